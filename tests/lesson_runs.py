"""A lesson whose learner answers wrongly, then rightly, and what its checks say of the answers."""

import ast
import inspect
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

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


def solution(exercise_id):
    """The library's own function, as a learner would write it into the exercise's cell."""
    return f"{MARK}{exercise_id}\n{inspect.getsource(get(exercise_id).reference)}"


def mistake(exercise_id, stub):
    """A learner's function that gives what the first of the typical mistakes gives."""
    (name,) = (node.name for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef))
    return (
        "from course_lib.exercises import get\n\n"
        f"def {name}(*args, **kwargs):\n"
        f"    return get({exercise_id!r}).typical_mistakes[0].answer(*args, **kwargs)\n"
    )


def goes_on(exercise_id, check):
    """The check's cell, which ends in an error unless the lesson goes on with the library's function."""
    name = next(n.targets[0].id for n in ast.parse(check).body if isinstance(n, ast.Assign))
    return (
        f"{check}\nif {name} is not get({exercise_id!r}).reference:\n"
        f'    raise RuntimeError("The lesson goes on with a wrong {name}.")\n'
    )


def tried_and_solved(lesson):
    """The notebook of a lesson whose learner makes each exercise's first mistake, and then solves it.

    Returns:
        The notebook, and the cells that check the mistakes, by exercise.
    """
    book, tried = read(lesson), {}
    for exercise_id, cell in stubs(book).items():
        place = book.cells.index(cell)
        check = goes_on(exercise_id, book.cells[place + 1].source)
        tried[exercise_id] = new_code_cell(check)
        book.cells[place:place] = [
            new_code_cell(mistake(exercise_id, cell.source)),
            tried[exercise_id],
        ]
        cell.source = solution(exercise_id)
    return book, {exercise_id: cell.id for exercise_id, cell in tried.items()}


def execute(book, folder, **environment):
    """Run a notebook from top to bottom in `folder`; its outputs are written into it.

    Args:
        environment: variables for its kernel, besides this process's own.
    """
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(book, timeout=SECONDS_A_CELL, resources=resources)
    client.execute(env={**os.environ, "COURSE_STATE": str(folder / "state"), **environment})
    return book


def said(cell):
    """What the check in an executed cell said, as text."""
    return "\n".join("".join(o.data["text/plain"]) for o in cell.outputs if "data" in o)


def checks(book):
    """What each exercise's check said of the answer above it in an executed notebook."""
    return {
        exercise_id: said(book.cells[book.cells.index(cell) + 1])
        for exercise_id, cell in stubs(book).items()
    }
