"""mypy finds nothing, and every module that must be strict is."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import course_lib.exercises
from course_lib.exercises.registry import declared

ROOT = Path(__file__).parents[1]


def test_mypy_finds_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True
    )  # it keeps its cache in .mypy_cache
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_exercises_share_is_strict():
    """A module of its own for every lesson may leave out the types; a new one beside them may not."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    strict = {m for part in settings["overrides"] if len(part) > 2 for m in part["module"]}
    names = [
        module.name
        for module in iter_modules(course_lib.exercises.__path__, "course_lib.exercises.")
    ]
    shared = {name for name in names if not declared(import_module(name))}
    assert shared <= strict
