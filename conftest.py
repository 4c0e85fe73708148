"""Settings for every test, those in tests/ and the lessons under nbval alike.

Only pytest and nbval may be imported here: the lessons also run where the rest is not installed.
"""

import os
import shutil
import tempfile
from collections import Counter

import few_steps

from course_lib.syllabus import course

pytest_plugins = ["notebook_rules", "executed_copies"]


def pytest_addoption(parser):
    parser.addoption("--few-steps", action="store_true", help="cut the notebooks' trainings short")


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
    if config.option.few_steps:
        os.environ.update(few_steps.environment(os.path.join(state, "ipython")))


def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that at the end no worker waits long for another."""
    tests = Counter(map(scope, items))
    items.sort(
        key=lambda item: (minutes(item, tests[scope(item)]), tests[scope(item)]), reverse=True
    )


def scope(item):
    """What stays on one worker (loadscope): a class, a module or a notebook."""
    return item.nodeid.rpartition("::")[0]


def minutes(item, tests):
    """About how long the tests of this one's scope run lessons: one in full, or each at a few steps."""
    notebook = item.path.suffix == ".ipynb"
    name = item.path.stem if notebook else getattr(item.cls, "full_lesson", None)
    if lesson := course().lessons.get(name):
        return lesson.run_minutes.get("cpu", 0)
    return 0.2 * tests if "short_lesson" in getattr(item, "fixturenames", ()) else 0
