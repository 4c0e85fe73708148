"""What a grader would find in your notebook, told before you hand it in."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from course_lib import colab
from course_lib.exercises.aliases import original
from course_lib.exercises.answers import (
    Answer,
    CodeCell,
    NotebookError,
    Wanted,
    code_cells,
    find_answers,
)
from course_lib.exercises.checking import try_out
from course_lib.exercises.dependence import standalone
from course_lib.exercises.exercise import Exercise
from course_lib.exercises.loading import load_answer
from course_lib.exercises.registry import get
from course_lib.kernel import own_file
from course_lib.syllabus import course

COLUMNS = ["found by", "cell", "visible cases", "points", "remark"]


class WholeTable(pd.DataFrame):
    """A table that is shown with every row, and every sentence to its end."""

    def _repr_html_(self) -> str | None:
        with pd.option_context("display.max_colwidth", None, "display.max_rows", None):
            return pd.DataFrame(self).to_html()

    def __repr__(self) -> str:
        return self.to_string(max_colwidth=None)


def submit_check(notebook: str | os.PathLike | None = None) -> pd.DataFrame:
    """Look for your answers as the grader will, run them on the visible cases, and say what it
    would find and what not. Nothing is handed in.

    Args:
        notebook: the file to look at; without it the notebook in which this is called: as it was
            last saved, on Colab as it stands on the page, or, where neither can be reached, the
            cells that you have run.

    Returns:
        A row an exercise: where its answer was found, how many visible cases it passes, and a
        sentence where something is wrong. The grader's own cases have other numbers.

    Raises:
        ValueError: where there is no such file, or it holds none of the course's exercises.
    """
    cells, source = _cells(notebook)
    exercises = _lesson_of(cells)
    if not exercises and notebook is None:
        print(
            "No exercise was seen in the cells that were run here. Save the notebook, and name its "
            "file: submit_check('01_vae.ipynb')."
        )
        return pd.DataFrame(columns=COLUMNS)
    if not exercises:
        raise ValueError(f"None of the course's exercises is in {source}.")
    answers = find_answers(cells, [Wanted.of(exercise) for exercise in exercises])
    passed: dict[str, Exercise] = {}
    rows = []
    for exercise in exercises:
        row = _try(exercise, answers[exercise.id], exercises, passed)
        if row["points"] == exercise.points:
            passed[exercise.id] = exercise
        rows.append(row)
    table = pd.DataFrame(rows).set_index("exercise").rename_axis(None)[COLUMNS]
    print(
        f"{source}: {table['points'].sum():g} of {sum(e.points for e in exercises)} points on the "
        "visible cases."
    )
    return WholeTable(table)


def _cells(notebook: str | os.PathLike | None) -> tuple[list[CodeCell], str]:
    """The cells to look at, and a phrase that says where they come from."""
    file = Path(notebook) if notebook is not None else own_file()
    if file is not None:
        try:
            return code_cells(file.read_bytes()), f"{file.name}, as last saved"
        except OSError as error:
            raise ValueError(f"{file} cannot be read ({error.strerror}).") from None
        except NotebookError as error:
            raise ValueError(f"{file}: {error}") from None
    if colab.here() and (book := colab.notebook_on_page()):
        return code_cells(json.dumps(book).encode()), "The notebook on your page"
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        raise ValueError("Call it in a notebook, or name one: submit_check('01_vae.ipynb').")
    run = [CodeCell(n, source) for n, source in enumerate(shell.user_ns.get("In", [])) if source]
    return run, "The cells that you have run"


def _lesson_of(cells: Sequence[CodeCell]) -> list[Exercise]:
    """The exercises of the lesson that the cells are of; none if they are of none."""
    name = lesson_of(cells)
    return [get(exercise) for exercise in course().lessons[name].exercises] if name else []


def lesson_of(cells: Sequence[CodeCell]) -> str | None:
    """The lesson whose name and exercises the cells mention most, such as "01_vae", or None."""
    text = "\n".join(cell.source for cell in cells)

    def mentions(name: str) -> int:
        exercises = course().lessons[name].exercises
        return sum(text.count(part) for part in {name, *exercises, *map(original, exercises)})

    best = max(course().lessons, key=mentions)
    return best if mentions(best) else None


def _try(
    exercise: Exercise, answer: Answer, lesson: Sequence[Exercise], passed: dict[str, Exercise]
) -> dict:
    row = {
        "exercise": exercise.id,
        "found by": answer.found,
        "cell": answer.cell or "",
        "visible cases": "",
        "points": 0.0,
        "remark": "",
    }
    if answer.found == "nowhere":
        return row | {
            "remark": f"not found: mark its cell with “# exercise: {exercise.id}”, or define "
            f"{exercise.reference.__name__}"
        }
    if answer.unsolved:
        return row | {"remark": "not solved yet"}
    fallbacks = {
        other.id: (other.reference.__name__, standalone(other.reference))
        for other in lesson[: lesson.index(exercise)]
        if other.id in answer.uses and other.id not in passed
    }
    if answer.problem:
        return row | {"remark": answer.problem}
    loaded = load_answer(answer.program, answer.name, exercise.id, fallbacks)
    if loaded.problem:
        return row | {"remark": loaded.problem}
    verdicts = try_out(exercise, loaded.answer)
    good = sum(verdict.passed for _, verdict in verdicts)
    of = len(exercise.cases(0))
    why = next((verdict.sentence for _, verdict in verdicts if not verdict.passed), "")
    return row | {
        "visible cases": f"{good} of {of}",
        "points": round(exercise.points * good / of, 2),
        "remark": why,
    }
