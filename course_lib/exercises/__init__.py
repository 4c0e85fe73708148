"""What an exercise is, its check in the notebook, and one module of exercises a lesson."""

from importlib import import_module
from typing import Any

_HOME = {
    "Case": "exercise",
    "Exercise": "exercise",
    "Mistake": "exercise",
    "Verdict": "judge",
    "all_exercises": "registry",
    "assess": "judge",
    "certificate": "overview",
    "check": "checking",
    "earned": "partial_credit",
    "get": "registry",
    "hint": "hints",
    "progress": "overview",
    "save_work": "saving",
    "submit_check": "submit",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Fetch a name on first use: running an answer does not load the plotting library."""
    if name in _HOME:
        return getattr(import_module(f"course_lib.exercises.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
