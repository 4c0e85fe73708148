"""Helper library of the course "Synthetic data: build it, break it, audit it".

The rooms, from the ground floor up; a room imports only from those above it in this list:
`files`, `colab`, `syllabus`, `devices`, `session`, `datasets`, `training`, `models`, `plots`,
`mode_collapse`, `model_collapse`, `audit`, `explore`, `exercises`, `sync`, `grading`, `cli`.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("course-lib")
except PackageNotFoundError:  # the folder is used without being installed
    __version__ = "0+uninstalled"

__all__ = ["check", "progress", "save_work", "submit_check"]


def __getattr__(name: str):
    """Fetch a name on first use, so that `import course_lib` stays light."""
    if name in __all__:
        return getattr(import_module("course_lib.exercises"), name)
    raise AttributeError(f"module 'course_lib' has no attribute {name!r}")
