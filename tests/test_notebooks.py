"""Every lesson as a learner works through it: each exercise answered wrongly first, and then rightly.

It trains for a few steps only, since nbval runs every lesson in full. Besides, every other setting is
changed, as lessons invite to, and each training is interrupted once and its cell run again. With `--full`
it trains in full, with the settings as they are and without interruptions.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import data_sets
import few_steps
import interruptions
import pytest
from browser_checks import check_all
from figure_descriptions import undescribed
from jupyter_browser import Lesson, browsing
from lesson_runs import checks, execute, said, tried_and_solved
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from programs import find_chromium

from course_lib.exercises import get, progress
from course_lib.syllabus import course

# Lessons without a training loop.
UNTRAINED = ("00_start", "11_privacy", "13_driving", "17_pipeline", "18_twin")

# Each lesson gets a class, since `--dist loadscope` keeps a class in one worker: the lessons run side
# by side, and each is run only once for all tests of its class.


@dataclass(frozen=True)
class Worked:
    """A lesson that has run. `tried` are the checks of the mistakes; `page` is None without a browser;
    `interrupted` tells of each interruption."""

    book: NotebookNode
    tried: dict[str, NotebookNode]
    state: Path
    page: Lesson | None
    interrupted: list[dict]


def why_not_gpu(lesson):
    """Why the lesson's gpu preset cannot be run here, as a sentence; "" if it can."""
    changes = lesson.presets.get("gpu")
    if not changes:
        return f"{lesson.id} does not gain from a GPU"
    return data_sets.missing("mnist", "10k") if changes.get("larger") == "mnist" else ""


@pytest.fixture(scope="class")
def worked(request, tmp_path_factory):
    """In JupyterLab in a real browser, or in a kernel alone where no browser is installed; with the gpu
    preset, where that can be run here."""
    lesson, folder = course().lessons[request.cls.lesson], tmp_path_factory.mktemp("worked")
    file, kernel = folder / "interruptions", {}
    if not request.config.option.full:
        kernel = few_steps.environment(folder / "ipython") | {few_steps.CHANGED: "1"}
        kernel[interruptions.FILE] = str(file)
    kernel["COURSE_PRESET"] = "cpu" if why_not_gpu(lesson) else "gpu"
    (book, ids), chromium = tried_and_solved(lesson.id), find_chromium()

    def seen(book, state, page):
        cells = {cell.id: cell for cell in book.cells}
        told = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        tried = {name: cells[i] for name, i in ids.items()}
        return Worked(book, tried, state, page, [json.loads(line) for line in told])

    if not chromium:
        yield seen(execute(book, folder, **kernel), folder / "state", None)
        return
    with browsing(chromium, lesson.id, folder, book=book, **kernel) as page:
        page.run_all(minutes=10)
        failed = request.session.testsfailed
        yield seen(page.saved(), page.state, page)
        if request.session.testsfailed > failed:
            page.screenshot(lesson.id)  # the whole lesson, to see what was wrong


@pytest.mark.lesson
@pytest.mark.timeout(900)
class WorkedLesson:
    lesson: str

    def test_the_library_s_answers_solve_every_exercise(self, worked, monkeypatch):
        told = checks(worked.book)
        for exercise_id, text in told.items():
            assert f"{get(exercise_id).title} - Solved:" in text
        monkeypatch.setenv("COURSE_STATE", str(worked.state))
        done = progress()["solved"]
        assert {name for name in done.index if done[name] == "yes"} == set(told)

    def test_each_mistake_is_named(self, worked):
        for exercise_id, cell in worked.tried.items():
            assert "Not right yet" in said(cell)
            assert get(exercise_id).typical_mistakes[0].sentence in said(cell)

    def test_every_figure_has_a_description(self, worked):
        assert worked.book.metadata.widgets  # the panels' pictures are looked at, too
        assert undescribed(worked.book) == []

    def test_an_interrupted_training_says_where_it_stood_and_keeps_what_was_there(
        self, worked, pytestconfig
    ):
        """That its cell then runs is seen in all that follows."""
        trains = self.lesson not in UNTRAINED and not pytestconfig.option.full
        assert bool(worked.interrupted) == trains
        for each in worked.interrupted:
            assert re.fullmatch(interruptions.SAID, each["told"])
            assert each["changed"] == [], f"not kept after an interruption of\n{each['cell']}"

    def test_in_the_browser(self, chromium, worked):
        check_all(worked.page)


class WorkedLessonOnGpu(WorkedLesson):
    """What gains from a GPU runs on the stand-in device of `standins/accelerator.py`, which refuses what a
    GPU would refuse."""

    def test_the_gpu_preset_runs(self, worked):
        lesson = course().lessons[self.lesson]
        if reason := why_not_gpu(lesson):
            pytest.skip(reason)
        text = "\n".join(
            o.text for c in worked.book.cells for o in c.get("outputs", ()) if "text" in o
        )
        device = "standin" if lesson.gains_from_gpu else "cpu"
        assert f"device {device}" in text and "preset gpu" in text


for name, entry in course().lessons.items():
    kind = WorkedLessonOnGpu if entry.presets.get("gpu") else WorkedLesson
    title = f"Test{kind.__name__}{name.title().replace('_', '')}"
    globals()[title] = type(title, (kind,), {"lesson": name})


# --- figures and their descriptions ------------------------------------------------------------


def shown(code):
    """A notebook of one cell, executed."""
    book = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(book, timeout=60).execute()
    return book


@pytest.mark.slow
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
