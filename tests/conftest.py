"""Fixtures for the tests of several modules."""

import matplotlib.pyplot as plt
import numpy as np
import pytest


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
