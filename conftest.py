"""Settings for every test, those in tests/ and the lessons under nbval alike.

Only pytest and nbval may be imported here: the lessons also run where the rest is not installed.
"""

import os
import shutil
import tempfile

pytest_plugins = ["notebook_rules", "programs"]


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
