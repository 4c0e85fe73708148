"""Throughput of `course-lib grade` against nbgrader's autograde: same assignment, same answers.

Run in the course's environment (with the extra `grade` and bubblewrap), about fifteen minutes on two
cores:

    python benchmarks/grading.py

Two assignments: a light one, the exercise of lesson 00 without the lesson around it, and lesson 01
as it is. nbgrader runs each notebook from top to bottom in a kernel of its own, training
included; we run what the answers need. Both take turns with one process each, and time is wall
clock, start included, as an instructor would wait. A third part grades many light submissions to
see whether memory stays flat.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import nbformat
from common import RESULTS
from nbformat.v4 import new_code_cell

from course_lib.exercises import get
from course_lib.grading.lms.nbgrader import assignment
from course_lib.grading.marking import Marking
from course_lib.syllabus import lesson

LIGHT, WHOLE = "00_start", "01_vae"
TURNS = 3
MARK = "# exercise: "


def stubs(book: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    cells = (c for c in book.cells if c.source.startswith(MARK))
    return {cell.source.splitlines()[0].removeprefix(MARK): cell for cell in cells}


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(Path(__file__).parents[1] / "notebooks" / f"{name}.ipynb", 4)


def light() -> nbformat.NotebookNode:
    """The exercise of the first lesson with its imports, and nothing else."""
    book = read(LIGHT)
    imports = new_code_cell("import torch\nfrom torch import Tensor", id="imports")
    book.cells = [imports, *stubs(book).values()]
    return book


def hand_in(course: Path, name: str, count: int) -> None:
    """As many students as asked for, who have solved the release by the library's answers."""
    release = nbformat.read(course / "release" / name / f"{name}.ipynb", 4)
    for exercise, cell in stubs(release).items():
        cell.source = assignment.with_solution(cell.source, get(exercise))
    shutil.rmtree(course / "submitted", ignore_errors=True)
    for i in range(count):
        folder = course / "submitted" / f"student{i:04}" / name
        folder.mkdir(parents=True)
        release.cells[0].source += f"\n# student {i}"
        nbformat.write(release, folder / f"{name}.ipynb")


def ours(course: Path, name: str, out: Path, workers: int = 1) -> float:
    """Seconds that `course-lib grade` takes, from the call to the end."""
    call = [sys.executable, "-m", "course_lib.cli", "grade", str(course / "submitted")]
    call += ["--lesson", name, "--out", str(out), "--quiet", "--workers", str(workers)]
    start = time.perf_counter()
    subprocess.run(call, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def theirs(course: Path, name: str) -> float:
    """Seconds that `nbgrader autograde` takes for the same folder."""
    shutil.rmtree(course / "autograded", ignore_errors=True)
    start = time.perf_counter()
    assignment.nbgrader("autograde", name, "--force", course=course)
    return time.perf_counter() - start


def compare(name: str, book: nbformat.NotebookNode, few: int, many: int, turns: int) -> dict:
    """Seconds a submission of both: nbgrader on `few`, ours on `many`."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder) / "course"
        text = nbformat.writes(assignment.source(lesson(name), book)) + "\n"
        assignment.write_source(text, name, course)
        for turn in range(turns):
            hand_in(course, name, few)
            their = theirs(course, name) / few
            hand_in(course, name, many)
            out = Path(folder) / f"out{turn}"
            our = ours(course, name, out) / many
            marks = {json.loads(f.read_text())["points"] for f in (out / "results").glob("*.json")}
            assert marks == {Marking(name, "").points}
            rows.append({"nbgrader": their, "ours": our, "ratio": their / our})
            print(name, {k: round(v, 3) for k, v in rows[-1].items()}, flush=True)
    median = {k: round(statistics.median(r[k] for r in rows), 3) for k in rows[0]}
    return {"submissions": {"nbgrader": few, "ours": many}, "median": median, "turns": rows}


def flat(count: int) -> dict:
    """Seconds and the largest resident memory of the grader itself over many submissions."""
    code = (
        "import resource, sys; from course_lib.cli import main; code = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder) / "course"
        text = nbformat.writes(assignment.source(lesson(LIGHT), light())) + "\n"
        assignment.write_source(text, LIGHT, course)
        for number in (count // 10, count):
            hand_in(course, LIGHT, number)
            call = [sys.executable, "-c", code, "grade", str(course / "submitted"), "--quiet"]
            call += ["--lesson", LIGHT, "--out", str(Path(folder) / f"out{number}")]
            start = time.perf_counter()
            said = subprocess.run(call, capture_output=True, text=True, check=False).stdout
            seconds = time.perf_counter() - start
            memory = float(said.splitlines()[-1])
            rows[number] = {"seconds": round(seconds, 1), "MiB": round(memory)}
            print(number, rows[number], "workers", os.cpu_count(), flush=True)
    return rows


def main() -> None:
    figures = {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("course-lib", "torch", "nbgrader")},
        "cores": os.cpu_count(),
        "light": compare(LIGHT, light(), few=6, many=120, turns=TURNS),
        "lesson 01": compare(WHOLE, read(WHOLE), few=1, many=20, turns=1),
        "many light ones, all cores": flat(1000),
    }
    (RESULTS / "grading.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
