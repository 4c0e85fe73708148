"""Settings for every test, those in tests/ and the lessons under nbval alike.

Only pytest and nbval may be imported here: the lessons also run where the rest is not installed.
"""

import gc
import os
import shutil
import tempfile
from collections import Counter

import few_steps
import pytest

from course_lib.syllabus import course

LONG = {"sandbox", "browser", "nbgrader", "network", "slow"}
WEIGHT = 20  # about how many of the other tests take as long as one of these

pytest_plugins = ["notebook_rules", "executed_copies", "programs"]


def pytest_addoption(parser):
    parser.addoption(
        "--few-steps", action="store_true", help="cut the trainings of nbval's runs short"
    )
    parser.addoption(
        "--full", action="store_true", help="run in full what a sample shows nearly as well"
    )
    parser.addoption(
        "--frames", action="store_true", help="draw every picture of the panels, for the site"
    )


def pytest_configure(config):
    """Kernels inherit these. Every xdist worker comes by here, so each has a state of its own."""
    os.environ["COURSE_INTERACTIVE"] = "0"
    os.environ["COURSE_STATE"] = state = tempfile.mkdtemp(prefix="course-state-")
    config.add_cleanup(lambda: shutil.rmtree(state, ignore_errors=True))
    # What a kernel would choose itself, and no test opens a window. Agg would hide from us the
    # figures that a notebook displays by mistake.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # several lessons run side by side
    os.environ.setdefault("COURSE_PRESET", "cpu")  # also where there is a GPU
    if config.option.frames:
        os.environ["COURSE_FRAMES"] = "1"
    if config.option.few_steps:
        os.environ.update(few_steps.environment(os.path.join(state, "ipython")))


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What the tests import stays to the end: no garbage is looked for in it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that at the end no worker waits long for another."""
    weights = Counter()
    for item in items:
        weights[scope(item)] += WEIGHT if LONG & {mark.name for mark in item.iter_markers()} else 1
    items.sort(key=lambda item: (minutes(item), weights[scope(item)]), reverse=True)


def scope(item):
    """What stays on one worker (loadscope): a class, a module or a notebook."""
    return item.nodeid.rpartition("::")[0]


def minutes(item):
    """About how long the tests of this one's scope run a lesson, or mypy."""
    if item.path.name == "test_types.py":
        return 0.5  # without its cache
    if item.path.suffix == ".ipynb":
        lesson = course().lessons.get(item.path.stem)
        return lesson.run_minutes.get("cpu", 0) if lesson else 0
    return 0.5 if hasattr(item.cls, "lesson") else 0


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers(config):
    """One worker more than cores, up to four cores: while one waits for a browser or a time limit, another
    computes. None where starting them takes longer than the tests."""
    files = {argument.partition("::")[0] for argument in config.args}
    if config.option.keyword or (len(files) == 1 and os.path.isfile(*files)):
        config.option.dist = "no"
        return 0
    return min(os.cpu_count() or 1, 4) + 1
