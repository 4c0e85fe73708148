"""Fixtures for the tests of several modules."""

import os
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def leaves_no_trace():
    """A test leaves as it was what decides where the course believes that it runs.

    Tests of one process run in an order that changes from run to run: what one leaves behind fails another.
    """

    def place():
        names = {name: value for name, value in os.environ.items() if name.startswith("COURSE_")}
        return "google.colab" in sys.modules, os.getcwd(), names

    before = place()
    yield
    assert place() == before


@pytest.fixture
def own_settings(tmp_path, monkeypatch):
    """A state folder of its own for each test, and the figure settings put back after it."""
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("COURSE_PRESET", raising=False)
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
