"""The examples in the docstrings of the library: each public function has one, and all of them run.

Every example starts from seed 0 with `np`, `pd` and `torch` at hand, besides what its module imports.
"""

import doctest
import inspect
import os
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pandas as pd
import pytest
import torch

import course_lib
from course_lib.datasets import DataError
from course_lib.session import seed_everything

# Rooms in which every public function has an example. What the others have is run as well.
COMPLETE = (
    "audit",
    "datasets",
    "models",
    "mode_collapse",
    "model_collapse",
    "privacy",
    "rare_events",
)
ROOMS = (*COMPLETE, "syllabus", "training")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def modules(room):
    """The modules of a room, with those of its inner rooms."""
    package = import_module(f"{course_lib.__name__}.{room}")
    yield package
    for found in iter_modules(getattr(package, "__path__", ())):
        inner = f"{room}.{found.name}"
        if found.ispkg:
            yield from modules(inner)
        else:
            yield import_module(f"{course_lib.__name__}.{inner}")


def public_functions(room):
    """The functions that the modules of a room define at their top, unless they begin with "_"."""
    return [
        f"{module.__name__}.{name}"
        for module in modules(room)
        for name, value in vars(module).items()
        if inspect.isfunction(inspect.unwrap(value) if callable(value) else value)
        and getattr(value, "__module__", "") == module.__name__
        and not name.startswith("_")
    ]


def examples(room):
    """Every docstring of a room that holds an example."""
    names = {"np": np, "pd": pd, "torch": torch}
    for module in modules(room):
        found = doctest.DocTestFinder().find(module, extraglobs=names)
        yield from (test for test in found if test.examples)


EXAMPLES = {test.name: test for room in ROOMS for test in examples(room)}


@pytest.mark.parametrize("name", [name for room in COMPLETE for name in public_functions(room)])
def test_a_public_function_has_an_example(name):
    assert name in EXAMPLES, "write two lines, `>>> call` and what it gives, into the docstring"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_it_says(name, tmp_path, monkeypatch):
    mirror = os.environ.get("COURSE_DATA_MIRROR") or str(tmp_path)
    monkeypatch.setenv("COURSE_DATA_MIRROR", mirror if Path(mirror).is_dir() else str(tmp_path))
    monkeypatch.chdir(tmp_path)
    seed_everything(0)
    try:
        doctest.DebugRunner(optionflags=FLAGS).run(EXAMPLES[name])
    except doctest.UnexpectedException as failure:
        error = failure.exc_info[1]
        if isinstance(error, DataError):
            pytest.skip(f"not in COURSE_DATA_MIRROR: {str(error).partition(' is not at hand')[0]}")
        raise error from None
    except doctest.DocTestFailure as failure:
        where = f"{failure.test.filename}: {failure.example.source.strip()}"
        pytest.fail(
            f"{where}\nsays:\n{failure.example.want}\nbut gives:\n{failure.got}", pytrace=False
        )
