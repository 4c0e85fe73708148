"""Every lesson as a learner works through it: with right answers, and with wrong ones."""

import ast
import inspect
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_lib.exercises import get, progress
from course_lib.syllabus import course

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SECONDS_A_CELL = 300
MARK = "# exercise: "


def read(lesson):
    return nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)


def stubs(book):
    """The stub cells by the id of their exercise."""
    marked = (cell for cell in book.cells if "exercise" in cell.metadata.get("tags", []))
    return {cell.source.splitlines()[0].removeprefix(MARK): cell for cell in marked}


def solution(exercise_id, stub):
    return inspect.getsource(get(exercise_id).reference)


def mistake(exercise_id, stub):
    """A learner's function that gives what the first of the typical mistakes gives."""
    (name,) = (node.name for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef))
    return (
        "from course_lib.exercises import get\n\n"
        f"def {name}(*args, **kwargs):\n"
        f"    return get({exercise_id!r}).mistakes[0].answer(*args, **kwargs)\n"
    )


def execute(lesson, write, folder):
    """The lesson run from top to bottom in `folder`, with `write`'s answers in place of the stubs.

    Returns:
        The executed notebook, and what each exercise's check said.
    """
    book = read(lesson)
    checks = {}
    for exercise_id, cell in stubs(book).items():
        cell.source = f"{MARK}{exercise_id}\n{write(exercise_id, cell.source)}"
        checks[exercise_id] = book.cells[book.cells.index(cell) + 1]
    client = NotebookClient(
        book, timeout=SECONDS_A_CELL, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env={**os.environ, "COURSE_STATE": str(folder / "state")})
    said = {
        exercise_id: "\n".join(o.data["text/plain"] for o in cell.outputs if "data" in o)
        for exercise_id, cell in checks.items()
    }
    return book, said


@pytest.fixture(scope="class")
def solved(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("solved")
    return folder, *execute(request.cls.name, solution, folder)


@pytest.fixture(scope="class")
def wrong(request, tmp_path_factory, solved):
    folder = tmp_path_factory.mktemp("wrong")
    trained = solved[0] / "state" / "checkpoints"  # where they fit, they save the time
    if trained.exists():
        shutil.copytree(trained, folder / "state" / "checkpoints")
    return execute(request.cls.name, mistake, folder)


class Lesson:
    """The tests of one lesson. Each lesson gets a class, since `--dist loadscope` keeps a class in
    one worker: the lessons run side by side, and each is run only once for all its tests."""

    name: str

    def test_the_library_s_answers_solve_every_exercise(self, solved, monkeypatch):
        folder, _, said = solved
        for exercise_id, text in said.items():
            assert f"{get(exercise_id).title} - Solved:" in text
        monkeypatch.setenv("COURSE_STATE", str(folder / "state"))
        done = progress()["solved"]
        assert {name for name in done.index if done[name] == "yes"} == set(said)

    def test_every_figure_has_a_description(self, solved):
        assert undescribed(solved[1]) == []

    def test_the_lesson_goes_on_with_wrong_answers_and_names_each_mistake(self, wrong):
        _, said = wrong
        for exercise_id, text in said.items():
            assert "Not right yet" in text
            assert get(exercise_id).mistakes[0].sentence in text


for name in course().lessons:
    globals()[f"TestLesson{name.title().replace('_', '')}"] = type(name, (Lesson,), {"name": name})


# --- figures and their descriptions ------------------------------------------------------------


class Pictures(HTMLParser):
    """Collects the descriptions of the pictures in a piece of HTML; None where there is none."""

    def __init__(self, html):
        super().__init__()
        self.alts = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.alts.append((dict(attributes).get("alt") or "").strip() or None)


def undescribed(book):
    """Where an executed notebook shows a picture that a screen reader cannot speak of."""
    found = []
    for number, cell in enumerate(book.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            alts = Pictures(data.get("text/html", "")).alts
            bare = any(kind.startswith("image/") for kind in data) and not alts
            if bare or None in alts:
                found.append(f"cell {number}: {data.get('text/plain', '')[:60]}")
    widgets = book.metadata.get("widgets", {}).values()
    for model in (m for part in widgets for m in part["state"].values()):
        value = model["state"].get("value", "")
        if model["model_name"] == "ImageModel":  # has no place for a description
            found.append("a widget of the kind Image")
        elif model["model_name"] == "HTMLModel" and None in Pictures(value).alts:
            found.append(f"a widget: {value[:60]}")
    return found


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
