"""The grader against a real kernel: what a check says in a notebook is what the grader finds.

The grader gets the notebooks without outputs, so that it cannot read there what the kernel found.
Where the two differ, the submission must be flagged for a person.
"""

import copy
import json

import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from notebook_styles import corpus

from course_lib.grading.evaluation import grade_submission
from course_lib.grading.intake.submission import Submission
from course_lib.grading.marking import Marking
from course_lib.grading.sandbox.engines import make

MARKING = Marking("00_start", "a secret of the tests")
SOLVED = "Fit a Gaussian - Solved: "
# Figures take most of a check's time, and are not looked at here.
SETUP = """
import course_lib.exercises.checking as checking
checking._html = lambda *parts: ""
"""
pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.usefixtures("walls")]


def solved_in_kernels(books, folder):
    """Whether the check of each notebook says Solved; all run in one kernel, which forgets its names
    between them."""
    manager, channel = start_new_kernel(cwd=str(folder))
    found = {}
    try:
        for name, book in books.items():
            book = copy.deepcopy(book)
            reset = copy.deepcopy(book.cells[0])
            reset.source = "%reset -f\n" + SETUP
            book.cells.insert(0, reset)
            client = NotebookClient(book, km=manager, allow_errors=True, timeout=60)
            client.kc = channel
            client.reset_execution_trackers()
            for number, cell in enumerate(book.cells):
                client.execute_cell(cell, number)
            said = [
                o["data"].get("text/plain", "")
                for c in book.cells
                for o in c.outputs
                if "data" in o
            ]
            found[name] = any(SOLVED in text for text in said[-2:])
    finally:
        channel.stop_channels()
        manager.shutdown_kernel(now=True)
    return found


def graded(book, sandbox):
    content = json.dumps(book).encode()
    return grade_submission(content, Submission("Jane", "jane.ipynb"), MARKING, sandbox)


def differences(books, folder):
    """Notebooks about which kernel and grader differ without a flag; then those with one."""
    solved = solved_in_kernels(books, folder)
    silent, flagged = {}, {}
    with make("bubblewrap", MARKING) as sandbox:
        for name, book in books.items():
            result = graded(book, sandbox)
            if (result.points == result.of) != solved[name]:
                found = flagged if result.needs_person else silent
                said = [case.sentence for case in result.marks[0].cases]
                found[name] = (
                    solved[name],
                    result.points,
                    said[:1],
                    [f.sentence for f in result.flags],
                )
    return solved, silent, flagged


def test_no_difference_from_a_kernel_is_silent(tmp_path, request):
    books = corpus()
    assert len(books) >= 150
    if not request.config.getoption("--full"):
        books = dict(list(books.items())[::6])
    solved, silent, flagged = differences(books, tmp_path)
    assert not silent, silent
    assert sum(solved.values()) > 0.6 * len(books)
    assert sum(not ok for ok in solved.values()) > 0.05 * len(books)
    assert len(flagged) <= 0.05 * len(books), flagged
    for _, _, said, _ in flagged.values():
        assert "A person looks at it." in said[0]
