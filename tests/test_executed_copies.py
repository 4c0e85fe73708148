"""The copies that nbval's runs leave, tried on small notebooks."""

import os
import subprocess
import sys
from pathlib import Path

import executed_copies
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = pytest.mark.slow  # starts pytest and kernels

TESTS = Path(__file__).parent
CONFTEST = """
from pathlib import Path
import executed_copies

executed_copies.ROOT = Path(__file__).parent
pytest_plugins = ["executed_copies"]
"""
CELLS = {
    "good": ["print('a')\nprint('b')\n1", "import ipywidgets\nipywidgets.IntSlider(3)"],
    "bare": ["from IPython.display import HTML\nHTML('<img src=\"\">')"],
    "failed": ["1 / 0", "1"],
}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A folder in which nbval has run the notebooks, and what pytest said."""
    folder = tmp_path_factory.mktemp("copies")
    for name, sources in CELLS.items():
        cells = [new_markdown_cell("#"), *map(new_code_cell, sources)]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    (folder / "course_lib").mkdir()
    (folder / "course_lib" / "syllabus.toml").touch()
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "--nbval-lax", "--nbval-current-env"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    return folder, done.stdout


@pytest.fixture
def folder(session, monkeypatch):
    monkeypatch.setattr(executed_copies, "ROOT", session[0])
    executed_copies.surroundings.cache_clear()
    yield session[0]
    executed_copies.surroundings.cache_clear()


def test_a_copy_has_the_outputs_and_the_state_of_widgets(folder):
    copy = nbformat.read(executed_copies.copy_of(folder / "good.ipynb"), as_version=4)
    nbformat.validate(copy)
    (printed, result), (slider,) = (cell.outputs for cell in copy.cells[1:])
    assert printed.text == "a\nb\n" and result.data["text/plain"] == "1"
    (states,) = copy.metadata.widgets.values()
    model = slider.data["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert states["state"][model]["state"]["value"] == 3


def test_a_copy_counts_only_while_all_that_it_was_made_from_stays(folder):
    notebook, library = folder / "good.ipynb", folder / "course_lib" / "syllabus.toml"
    library.write_text("x = 1")
    executed_copies.surroundings.cache_clear()
    assert executed_copies.copy_of(notebook) is None
    library.write_text("")
    executed_copies.surroundings.cache_clear()
    assert executed_copies.copy_of(notebook)
    before = notebook.read_bytes()
    notebook.write_bytes(before.replace(b"'b'", b"'c'"))
    assert executed_copies.copy_of(notebook) is None
    notebook.write_bytes(before)


def test_a_notebook_that_failed_leaves_none(folder):
    assert executed_copies.copy_of(folder / "failed.ipynb") is None


def test_a_picture_without_a_description_fails_the_notebook(session):
    _, said = session
    assert "bare.ipynb::Cell 0: pictures without a description: ['cell 1: <IPython" in said
