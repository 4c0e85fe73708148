"""Google Colab, against a stand-in for the module that only Colab has (tests/standins).

Nobody has looked at a live Colab here: what the stand-in answers is what Colab's own code does.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from course_lib import colab, progress, save_work, submit_check
from course_lib.exercises import record
from course_lib.syllabus import course

ROOT = Path(__file__).parent.parent
STANDINS = ROOT / "tests" / "standins"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLVED = (
    "import torch\n\n# exercise: vae.kl_divergence\n"
    "def kl_divergence(mean, log_var):\n    return ...\n"
)
ANSWER = """# exercise: vae.kl_divergence
def kl_divergence(mean, log_var):
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(-1)
"""


@pytest.fixture
def on_colab(monkeypatch, tmp_path):
    """This process believes that it runs on Colab, without Drive; gives the stand-in's module."""
    before = {name: sys.modules.pop(name) for name in google_modules()}
    monkeypatch.syspath_prepend(str(STANDINS))
    import google.colab

    monkeypatch.setattr(colab, "DRIVE", tmp_path / "no drive")
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield google.colab
    for name in google_modules():
        del sys.modules[name]
    sys.modules.update(before)


def google_modules():
    """What is loaded of the package that only Colab has."""
    return [name for name in sys.modules if name.split(".")[0] == "google"]


@pytest.fixture
def drive(on_colab, monkeypatch, tmp_path):
    """The course's folder on a mounted Drive."""
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "MyDrive")
    colab.DRIVE.mkdir()
    return colab.DRIVE / colab.FOLDER


@pytest.fixture
def elsewhere(monkeypatch):
    """Not on Colab, also in `course.py test --colab`."""
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)


def page(*sources):
    """A notebook as the page has it: no cell ids, with outputs and widgets' state."""
    output = [{"output_type": "stream", "name": "stdout", "text": ["hello"]}]
    cells = [
        {"cell_type": "code", "metadata": {}, "source": s, "outputs": output, "execution_count": 3}
        for s in sources
    ]
    metadata = {"colab": {"name": "Copy of 01_vae.ipynb"}, "widgets": {"x": {}}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 0}


# --- the first cell ------------------------------------------------------------------------------


RUN_CELL = """\
import sys
from IPython.core.interactiveshell import InteractiveShell

{start}
done = InteractiveShell.instance().run_cell({source!r})
print(sorted({{"course_lib", "torch"}} & set(sys.modules)))
done.raise_error()
"""


def run_first_cell(source, folder, python=sys.executable, on_colab=True):
    """Run the cell in a fresh IPython that sees neither this checkout nor the user's own files."""
    start = f"sys.path.insert(0, {str(STANDINS)!r}); import google.colab" if on_colab else ""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["IPYTHONDIR"] = str(folder / "ipython")
    code = RUN_CELL.format(start=start, source=source)
    return subprocess.run(
        [python, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("repository", ["", "ada/course"])
def test_the_first_cell_is_short_and_folded(repository):
    """On Colab a form; in JupyterLab collapsed, which tests/test_browser.py looks at."""
    cell = colab.first_cell(repository, "main")
    assert cell.startswith("# @title ")
    assert sum(bool(line) for line in cell.splitlines()) <= 6
    assert colab.FIRST_CELL_METADATA["cellView"] == "form"
    assert colab.FIRST_CELL_METADATA["jupyter"] == {"source_hidden": True}


def test_elsewhere_the_first_cell_does_nothing(tmp_path):
    done = run_first_cell(colab.first_cell("", "main"), tmp_path, on_colab=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_where_the_course_is_there_the_first_cell_does_nothing(tmp_path):
    (tmp_path / "course_lib.py").touch()
    done = run_first_cell(colab.first_cell("ada/course", "main"), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A Python that has every package of this one but the course, as Colab has."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    packages = next(folder.glob("[lL]ib/**/site-packages"))
    here = next(Path(p) for p in sys.path if p.endswith("site-packages"))
    others = folder / "others"
    others.mkdir()
    for entry in here.iterdir():
        if "course_lib" not in entry.name:
            (others / entry.name).symlink_to(entry)
    # Outside of the environment's own packages, where pip would replace none of them.
    (packages / "others.pth").write_text(str(others))
    for old in packages.glob("setuptools*"):  # the venv's own would hide the other folder's
        shutil.rmtree(old)
    return next(folder.glob("[bS][ic][nr]*/python*"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The repository as GitHub zips it."""
    file = tmp_path_factory.mktemp("archive") / "course-main.zip"
    with zipfile.ZipFile(file, "w") as packed:
        for part in (
            "pyproject.toml",
            "constraints.txt",
            "docs/package.md",
            "LICENSE*",
            "data",
            "course_lib",
            "notebooks",
            "benchmarks/results",
        ):
            for path in ROOT.glob(part):
                for inner in path.rglob("*") if path.is_dir() else [path]:
                    if inner.is_file() and "__pycache__" not in inner.parts:
                        packed.write(inner, Path("course-main", inner.relative_to(ROOT)))
    return file


@pytest.mark.slow
def test_without_a_repository_the_first_cell_asks_for_an_upload(bare, tmp_path):
    done = run_first_cell(colab.first_cell("", "main"), tmp_path, bare)
    assert done.returncode == 1
    assert "Upload the course's wheel or zip" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_the_first_cell_installs_an_uploaded_course_and_nothing_else(bare, archive, tmp_path):
    uninstall(bare)
    before = packages(bare)
    shutil.copy(archive, tmp_path / "course-main (1).zip")  # as a browser names it the second time
    cell = colab.first_cell("", "main") + "\nimport course_lib\nprint(course_lib.__file__)"
    done = run_first_cell(cell, tmp_path, bare)
    assert done.returncode == 0, done.stdout + done.stderr
    where = done.stdout.splitlines()[-2]
    assert str(bare.parent.parent) in where
    assert packages(bare) - before == {"course_lib"}
    card = "from course_lib import datasets; print(datasets.card('digits').data[:8])"
    read = subprocess.run([bare, "-c", card], cwd=tmp_path, capture_output=True, text=True)
    assert read.stdout.startswith("# "), read.stderr


def packages(python):
    """What is installed in the environment itself."""
    folder = next(python.parent.parent.glob("[lL]ib/**/site-packages"))
    return {entry.name for entry in folder.iterdir() if not entry.name.endswith(".dist-info")}


def uninstall(python):
    command = [python, "-m", "pip", "uninstall", "--quiet", "--yes", "course-lib"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.slow
def test_a_failed_installation_is_told_with_pips_words(bare, tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    uninstall(bare)
    done = run_first_cell(colab.first_cell("", "main"), tmp_path, bare)
    assert done.returncode == 1
    assert "not a zip file" in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith("AssertionError: Upload the course's")


def test_the_first_cell_fetches_from_the_repository():
    cell = colab.first_cell("ada/course", "autumn")
    assert '"course-lib[lessons] @ https://github.com/ada/course/archive/autumn.zip"' in cell
    assert "pload" not in cell
    compile(TransformerManager().transform_cell(cell), "cell", "exec")


# --- course.py repo ------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    """A copy of what `repo` writes, and a function that runs it there."""
    for part in ("course_lib", "notebooks"):
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignore)
    for part in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / part, tmp_path)

    def repo(*arguments):
        command = [sys.executable, "-m", "course_lib.cli", "repo", *arguments]
        env = dict(os.environ, PYTHONPATH=str(tmp_path))
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)

    return tmp_path, repo


def contents(folder):
    files = [folder / "README.md", folder / "course_lib" / "syllabus.toml"]
    return {file.name: file.read_text() for file in [*files, *folder.glob("notebooks/*.ipynb")]}


@pytest.mark.slow
def test_one_command_sets_the_repository_everywhere(checkout):
    folder, repo = checkout
    before = contents(folder)
    done = repo("https://github.com/ada/course.git", "--branch", "autumn")
    assert done.returncode == 0, done.stderr
    after = contents(folder)
    assert 'repository = "ada/course"\nbranch = "autumn"' in after.pop("syllabus.toml")
    readme = after.pop("README.md")
    for name, text in after.items():
        target = f"colab.research.google.com/github/ada/course/blob/autumn/notebooks/{name}"
        assert target in text and target in readme
        assert "https://github.com/ada/course/archive/autumn.zip" in text
    assert repo().stdout == "ada/course (branch autumn)\n"
    assert repo("--clear", "--branch", course().branch).returncode == 0
    if not course().repository:
        assert contents(folder) == before


@pytest.mark.parametrize(
    "wrong",
    [["ada"], ["ada/course/more"], ['ada/co"urse'], ["ada/course", "--branch", "a b"], ["a b/c"]],
)
def test_a_wrong_repository_is_refused_and_nothing_changes(checkout, wrong):
    folder, repo = checkout
    before = contents(folder)
    done = repo(*wrong)
    assert done.returncode == 2 and "course-lib repo: " in done.stderr
    assert contents(folder) == before


# --- saving --------------------------------------------------------------------------------------


def test_work_is_saved_on_a_mounted_drive_and_what_was_there_is_kept(on_colab, drive, capsys):
    on_colab._message.page = page(SOLVED)
    record.record_solved("vae.kl_divergence")
    save_work()
    kept = json.loads((drive / "01_vae.ipynb").read_text())
    assert kept["cells"][0]["source"] == SOLVED and kept["cells"][0]["outputs"] == []
    assert json.loads((drive / "progress.json").read_text())["solved"] == ["vae.kl_divergence"]
    assert "Saved on your Drive" in capsys.readouterr().out
    on_colab._message.page = page(ANSWER)
    save_work()
    save_work()  # the same again leaves the older one in place
    assert json.loads((drive / "01_vae.ipynb").read_text())["cells"][0]["source"] == ANSWER
    before = json.loads((drive / "01_vae (before).ipynb").read_text())
    assert before["cells"][0]["source"] == SOLVED
    assert not list(drive.glob("*.partial"))


def test_a_new_machine_goes_on_where_drive_says(on_colab, drive, tmp_path, capsys, monkeypatch):
    record.record_solved("vae.kl_divergence")
    save_work()
    assert "did not hand over the notebook" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "another"))
    assert progress().loc["vae.kl_divergence", "solved"] == "yes"
    record.record_solved("vae.elbo")
    save_work()
    solved = json.loads((drive / "progress.json").read_text())["solved"]
    assert solved == ["vae.elbo", "vae.kl_divergence"]


def test_without_drive_work_is_downloaded_and_goes_on_from_an_upload(on_colab, tmp_path, capsys):
    on_colab._message.page = page(ANSWER)
    record.record_solved("vae.kl_divergence")
    save_work()
    ((name, content),) = on_colab.files.downloaded
    assert name == "01_vae.zip" and "mount your Drive" in capsys.readouterr().out
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert sorted(packed.namelist()) == ["01_vae.ipynb", "progress.json"]
        packed.extract("progress.json", tmp_path)  # uploaded another day, to a new machine
    shutil.rmtree(tmp_path / "state")
    assert progress().loc["vae.kl_divergence", "solved"] == "yes"
    assert progress().loc["vae.elbo", "solved"] == "not yet"


def test_elsewhere_saving_says_where_the_work_is(elsewhere, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))
    save_work()
    assert str(tmp_path / "progress.json") in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


# --- submit_check without the notebook's file ----------------------------------------------------


def test_submit_check_reads_the_page(on_colab, capsys):
    on_colab._message.page = page("import torch", ANSWER)
    table = submit_check()
    assert table.loc["vae.kl_divergence", "found by"] == "marker"
    assert table.loc["vae.kl_divergence", "points"] > 0
    assert "The notebook on your page" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [None, "no notebook", {"cells": "none"}, {}])
def test_submit_check_without_the_page_reads_what_was_run(on_colab, answer, monkeypatch, capsys):
    import IPython

    shell = SimpleNamespace(user_ns={"In": ["", "import torch", ANSWER]})
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    on_colab._message.page = answer
    assert submit_check().loc["vae.kl_divergence", "points"] > 0
    assert "The cells that you have run" in capsys.readouterr().out


# --- widgets -------------------------------------------------------------------------------------

# Colab's ipywidgets 7.7.1 lacks or breaks these.
MISSING = re.compile(
    r"\b(Accordion|Tab|TagsInput|ColorsInput|Stack|TimePicker|NaiveDatetimePicker)\(|tooltip="
)


@pytest.mark.parametrize("book", NOTEBOOKS, ids=lambda file: file.stem)
def test_no_widget_that_colab_lacks_is_used_in_a_lesson(book):
    cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert not MISSING.findall(code)


def test_no_widget_that_colab_lacks_is_used_in_the_library():
    files = (ROOT / "course_lib").rglob("*.py")
    assert [f.name for f in files if MISSING.search(f.read_text(encoding="utf-8"))] == []
    assert MISSING.search("widgets.Tab(children)") and MISSING.search('Button(tooltip="x")')
