"""A lesson with a learner's answers in place of its stubs, and what its checks say of them."""

import ast
import inspect
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from course_lib.exercises import get

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SECONDS_A_CELL = 300
MARK = "# exercise: "


def read(lesson):
    """The notebook of a lesson, as learners get it."""
    return nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)


def stubs(book):
    """The stub cells by the id of their exercise."""
    marked = (cell for cell in book.cells if "exercise" in cell.metadata.get("tags", []))
    return {cell.source.splitlines()[0].removeprefix(MARK): cell for cell in marked}


def solution(exercise_id, stub):
    """The library's own function, as source."""
    return inspect.getsource(get(exercise_id).reference)


def mistake(exercise_id, stub):
    """A learner's function that gives what the first of the typical mistakes gives."""
    (name,) = (node.name for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef))
    return (
        "from course_lib.exercises import get\n\n"
        f"def {name}(*args, **kwargs):\n"
        f"    return get({exercise_id!r}).mistakes[0].answer(*args, **kwargs)\n"
    )


def answered(lesson, write):
    """The notebook of a lesson with `write(exercise_id, stub)` in place of every stub."""
    book = read(lesson)
    for exercise_id, cell in stubs(book).items():
        cell.source = f"{MARK}{exercise_id}\n{write(exercise_id, cell.source)}"
    return book


def execute(book, folder, **environment):
    """Run a notebook from top to bottom in `folder`; its outputs are written into it.

    Args:
        environment: variables for its kernel, besides this process's own.
    """
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(book, timeout=SECONDS_A_CELL, resources=resources)
    client.execute(env={**os.environ, "COURSE_STATE": str(folder / "state"), **environment})
    return book


def said(book):
    """What each exercise's check said in an executed notebook, as text."""
    texts = {}
    for exercise_id, cell in stubs(book).items():
        check = book.cells[book.cells.index(cell) + 1]
        shown = (o.data["text/plain"] for o in check.outputs if "data" in o)
        texts[exercise_id] = "\n".join(map("".join, shown))
    return texts
