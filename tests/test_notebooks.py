"""Every lesson as a learner works through it: with right answers, and with wrong ones.

With right answers it runs at full length: in JupyterLab in a real browser, or in a kernel alone where no
browser is installed. With wrong answers it has to go on and name the mistakes, which a few steps show.
"""

from dataclasses import dataclass
from pathlib import Path

import few_steps
import pytest
from browser_checks import check_all
from figure_descriptions import undescribed
from jupyter_browser import Lesson, browsing, why_no_browser
from lesson_runs import answered, execute, mistake, read, said, solution, stubs
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_lib.exercises import get, progress
from course_lib.syllabus import course


@dataclass(frozen=True)
class Solved:
    """A lesson that has run with the library's answers. `page` is None without a browser."""

    book: NotebookNode
    state: Path
    page: Lesson | None


def last_stub(lesson):
    """A cell that checks the last exercise unsolved, so that there are hints to open."""
    book = read(lesson)
    *_, stub = stubs(book).values()
    check = book.cells[book.cells.index(stub) + 1]
    return new_code_cell(f"{stub.source}\n\n{check.source}")


@pytest.fixture(scope="class")
def solved(request, tmp_path_factory):
    lesson, folder = request.cls.full_lesson, tmp_path_factory.mktemp("solved")
    book = answered(lesson, solution)
    if why_no_browser():
        yield Solved(execute(book, folder), folder / "state", None)
        return
    book.cells.append(last_stub(lesson))
    with browsing(lesson, folder, book=book) as page:
        page.run_all(minutes=10)
        yield Solved(page.saved(), page.state, page)


@pytest.mark.timeout(900)
class SolvedLesson:
    """The tests of one solved lesson. Each lesson gets a class, since `--dist loadscope` keeps a class
    in one worker: the lessons run side by side, and each is run only once for all its tests."""

    full_lesson: str  # conftest.py begins with those that take long

    def test_the_library_s_answers_solve_every_exercise(self, solved, monkeypatch):
        checks = said(solved.book)
        for exercise_id, text in checks.items():
            assert f"{get(exercise_id).title} - Solved:" in text
        monkeypatch.setenv("COURSE_STATE", str(solved.state))
        done = progress()["solved"]
        assert {name for name in done.index if done[name] == "yes"} == set(checks)

    def test_every_figure_has_a_description(self, solved):
        assert solved.book.metadata.widgets  # the panels' pictures are looked at, too
        assert undescribed(solved.book) == []

    def test_in_the_browser(self, chromium, solved):
        check_all(solved.page)


for name in course().lessons:
    title = f"TestSolved{name.title().replace('_', '')}"
    globals()[title] = type(title, (SolvedLesson,), {"full_lesson": name})


@pytest.mark.parametrize("short_lesson", course().lessons)
def test_with_wrong_answers_it_goes_on_and_names_each_mistake(short_lesson, tmp_path):
    kernel = few_steps.environment(tmp_path / "ipython")
    book = execute(answered(short_lesson, mistake), tmp_path, **kernel)
    for exercise_id, text in said(book).items():
        assert "Not right yet" in text
        assert get(exercise_id).mistakes[0].sentence in text


# --- figures and their descriptions ------------------------------------------------------------


def shown(code):
    """A notebook of one cell, executed."""
    book = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(book, timeout=60).execute()
    return book


def test_a_figure_or_widget_without_description_is_found():
    book = shown(
        "import ipywidgets, matplotlib.pyplot as plt\n"
        "from IPython.display import HTML\n"
        "from course_lib import plots\n"
        "from course_lib.explore import explore\n"
        "explore(lambda: (plt.figure(), 'described'))\n"
        "plots.show(plt.figure(), alt='described')\n"
        "display(HTML('<img src=nothing.png>'), ipywidgets.HTML('<img src=nothing.png alt=\"\">'))\n"
        "display(ipywidgets.Image(value=b'', format='png'))\n"
        "plt.plot([1, 2]);\n"
    )
    found = " ".join(undescribed(book))
    assert len(undescribed(book)) == 4, found
    for what in ("HTML", "Figure", "a widget: <img", "kind Image"):
        assert what in found


def test_a_described_picture_is_accepted():
    data = {"image/png": "", "text/html": '<img alt="a line" src="">', "text/plain": "a line"}
    output = new_output("display_data", data=data)
    assert undescribed(new_notebook(cells=[new_code_cell("", outputs=[output])])) == []
