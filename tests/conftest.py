"""Fixtures for the tests of several modules."""

import os

import pytest
from jupyter_browser import why_no_browser


@pytest.fixture(scope="session")
def chromium():
    """Skip what needs a browser on a machine without one; fail it where all has to be tested."""
    if reason := why_no_browser():
        if os.environ.get("CI"):
            pytest.fail(f"{reason} Where CI is set, this test is never skipped.", pytrace=False)
        pytest.skip(reason)
