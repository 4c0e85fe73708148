"""A lesson as an assignment of nbgrader, for a course that already runs it.

What a person may edit is the source notebook; the release is made from it by nbgrader itself.

In nbgrader, the tests run in the same process as the answers, so an answer can fool them; with
`course-lib grade` it cannot. These tests are for learners who want to see how far they are. The
hidden ones are not secret: they are the same cases with other numbers.
"""

import ast
import inspect
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_lib.exercises import Exercise, get
from course_lib.exercises.aliases import original
from course_lib.grading.errors import GradingError
from course_lib.syllabus import Lesson, notebook
from course_lib.syllabus import lesson as find_lesson

HIDDEN_SEED = 20406
ESSAY = "essay"
ESSAY_POINTS = 2
FOR_GRADERS = """\
### BEGIN SOLUTION
For whoever grades: the rubric stands above. Give the highest level of which every word is true.
### END SOLUTION"""
CONFIG = """\
# nbgrader's settings for this course, yours to change: `course-lib assignment` writes this file
# once and never again.
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "synthetic-data"
# What replaces a solution. The stubs of the lessons follow it: they raise
# NotImplementedError with a hint, so nbgrader's own line that raises it is left out.
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE"}
# The lessons train models: nbgrader's 30 seconds a cell are too few.
c.Execute.timeout = 600
# A test cell that a learner has deleted is put back instead of counting zero.
c.OverwriteCells.add_missing_cells = True
"""


def write_assignment(lesson: str, out: Path) -> Path:
    """Write a lesson as an nbgrader assignment of the same name into the course folder `out`.

    Written are `nbgrader_config.py` (where there is none), `source/LESSON/LESSON.ipynb` and, by
    `nbgrader generate_assignment`, `release/LESSON/LESSON.ipynb` and the gradebook's entry.

    Returns:
        The release, which learners get.

    Raises:
        GradingError: for an unknown lesson, where nbgrader refuses, and where the source has been
            changed by hand (which is never overwritten).
    """
    try:
        known = find_lesson(lesson)
    except ValueError as error:
        raise GradingError(str(error)) from None
    out = Path(out).resolve()
    book = nbformat.read(notebook(known), as_version=4)
    return write_source(nbformat.writes(source(known, book)) + "\n", lesson, out)


def write_source(text: str, name: str, out: Path) -> Path:
    """Write a source notebook into the course folder and have nbgrader make its release."""
    target = out / "source" / name / f"{name}.ipynb"
    if target.exists() and target.read_text(encoding="utf-8") != text:
        raise GradingError(
            f"{target} is there, and is not what would be written: it was changed by hand, or the "
            "lesson has changed since. Move it away if it can be replaced."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        config = out / "nbgrader_config.py"
        if not config.exists():
            config.write_text(CONFIG, encoding="utf-8", newline="\n")
    except OSError as error:
        raise GradingError(f"{out} cannot be written to: {error}") from None
    nbgrader("generate_assignment", name, "--force", course=out)
    return out / "release" / name / f"{name}.ipynb"


def nbgrader(*arguments: str, course: Path) -> str:
    """Run a command of nbgrader in the course folder. Returns what it said; raises GradingError."""
    # nbgrader calls alembic by name, which is not on the path unless the environment is activated.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if "No module named nbgrader" in done.stdout:
        raise GradingError("nbgrader is not installed: pip install 'course-lib[grade]'.")
    if done.returncode:
        raise GradingError(f"nbgrader {' '.join(arguments)} failed:\n{done.stdout.strip()}")
    return done.stdout


def source(lesson: Lesson, book: NotebookNode) -> NotebookNode:
    """The instructor's notebook: solutions in the stubs, a test cell after each of them, and what a
    person marks: the lesson's own texts below their rubrics, else an essay at the end.

    The test stands before the lesson's check, which rebinds the function's name: `f = check("x.f",
    f)` gives back the library's function where the answer is wrong.
    """
    cells = []
    rubrics = {text.rubric_cell for text in lesson.written}
    written = {text.cell: text for text in lesson.written}
    for cell in book.cells:
        cells.append(cell)
        if cell.id in rubrics:  # the grader's page shows it as it stands here
            cell.metadata["nbgrader"] = _metadata(cell.id, locked=True)
        if cell.id in written:
            cell.source = f"{cell.source}\n\n{FOR_GRADERS}"
            points = written[cell.id].points
            cell.metadata["nbgrader"] = _metadata(cell.id, grade=True, solution=True, points=points)
        if "exercise" in cell.metadata.get("tags", []):
            exercise = get(cell.source.splitlines()[0].removeprefix("# exercise: "))
            cell.source = with_solution(cell.source, exercise)
            cell.metadata["nbgrader"] = _metadata(answer_cell(exercise.id), solution=True)
            cells.append(_test(exercise))
    book.cells = cells if lesson.written else [*cells, _essay(lesson)]
    return book


def answer_cell(exercise_id: str) -> str:
    """The grade_id of the cell that holds the answer."""
    return "answer-" + original(exercise_id).replace(".", "-")


def points_cell(exercise_id: str) -> str:
    """The grade_id of the cell that tests the answer, and carries its points."""
    return "test-" + original(exercise_id).replace(".", "-")


def remarks_cell(lesson: Lesson) -> str:
    """The grade_id of the cell whose comment is about the whole submission."""
    return lesson.written[-1].cell if lesson.written else ESSAY


def with_solution(stub: str, exercise: Exercise) -> str:
    """The stub, with the reference's code as a region that nbgrader takes out of the release.

    It comes before the line that raises NotImplementedError, so what is left is the lesson's stub.
    """
    (function,) = (node for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef))
    lines = stub.splitlines()
    first = function.body[-1].lineno - 1
    solution = ["    ### BEGIN SOLUTION", *_body(exercise, function), "    ### END SOLUTION"]
    return "\n".join([*lines[:first], *solution, *lines[first:]])


def _body(exercise: Exercise, stub: ast.FunctionDef) -> list[str]:
    """The lines of the reference below its docstring; all of it where more than that is needed,
    since it has decorators, or arguments that the stub lacks."""
    lines = inspect.getsource(exercise.reference).rstrip().splitlines()
    (function,) = (n for n in ast.parse("\n".join(lines)).body if isinstance(n, ast.FunctionDef))
    own = [argument.arg for argument in stub.args.args]
    if function.decorator_list or own != [argument.arg for argument in function.args.args]:
        names = ", ".join(own)
        whole = [f"    {line}" if line else "" for line in lines]
        return [*whole, "", f"    return {function.name}({names})"]
    has_docstring = ast.get_docstring(function) is not None
    return lines[function.body[0].end_lineno if has_docstring else function.body[0].lineno - 1 :]


def _test(exercise: Exercise) -> NotebookNode:
    name = exercise.reference.__name__
    call = f'earned("{exercise.id}", {name}, seeds=[%s])'
    text = f"""\
# The points for {exercise.id}, tried on your answer above; the hand-in is tried on more.
from course_lib.exercises import earned

{call % 0}
### BEGIN HIDDEN TESTS
{call % f"0, {HIDDEN_SEED}"}
### END HIDDEN TESTS"""
    name = points_cell(exercise.id)
    metadata = _metadata(name, grade=True, locked=True, points=exercise.points)
    cell: NotebookNode = new_code_cell(text, id=name, metadata={"nbgrader": metadata})
    return cell


def _essay(lesson: Lesson) -> NotebookNode:
    text = f"""\
## In your own words

{lesson.question} Answer in about 150 words, from what you have seen in this notebook: give one \
number that you measured and say what it supports, and name one thing that it cannot show. \
({ESSAY_POINTS} points; a person reads this.)

### BEGIN SOLUTION
For whoever grades: 1 point for an answer in the learner's own words that rests on a number from the \
notebook, quoted with what it was measured on; 1 point for a limit of it that is real.
### END SOLUTION"""
    metadata = _metadata(ESSAY, grade=True, solution=True, points=ESSAY_POINTS)
    cell: NotebookNode = new_markdown_cell(text, id=ESSAY, metadata={"nbgrader": metadata})
    return cell


def _metadata(
    grade_id: str,
    *,
    grade: bool = False,
    solution: bool = False,
    locked: bool = False,
    **points: int,
) -> dict:
    return {
        "schema_version": 3,
        "grade_id": grade_id,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
        **points,
    }
