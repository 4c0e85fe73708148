"""The learner's copies of the lessons: what nobody wrote in may be replaced, all else stays."""

import json
from types import SimpleNamespace

import pytest

from course_lib import cli
from course_lib.lab import copies
from course_lib.lab.copies import content_hash, copy_lessons, update_lessons
from course_lib.syllabus import course, notebook

NAMES = [f"{name}.ipynb" for name in course().lessons]
FIRST, SECOND = NAMES[:2]


@pytest.fixture
def release(tmp_path, monkeypatch):
    """The lessons as the package holds them: two, in a folder where a test may write new versions."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name in (FIRST, SECOND):
        write(folder / name, "1")
    monkeypatch.setattr(copies, "_sources", lambda: sorted(folder.glob("*.ipynb")))
    return folder


def write(file, *sources, outputs=()):
    cells = [{"cell_type": "code", "source": [s], "outputs": list(outputs)} for s in sources]
    file.write_text(json.dumps({"cells": cells}), encoding="utf-8")


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.glob("*.ipynb")}


def test_every_lesson_is_copied_as_it_is(tmp_path):
    assert copy_lessons(tmp_path) == NAMES
    for lesson in course().lessons.values():
        assert (tmp_path / f"{lesson.id}.ipynb").read_bytes() == notebook(lesson).read_bytes()
    assert update_lessons(tmp_path) == {"copied": [], "replaced": [], "beside": []}


def test_copying_changes_no_file_that_is_there(release, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / FIRST).write_text("my own notes", encoding="utf-8")
    assert copy_lessons(mine) == [SECOND]
    (mine / SECOND).unlink()
    before = contents(mine)
    assert copy_lessons(mine) == []  # what was deleted does not come back by itself
    assert contents(mine) == before


def test_an_update_keeps_what_was_written_and_replaces_the_rest(release, tmp_path):
    mine = tmp_path / "mine"
    copy_lessons(mine)
    write(mine / FIRST, "my answer")
    write(mine / SECOND, "1", outputs=[{"output_type": "stream"}])  # only run
    work = (mine / FIRST).read_bytes()
    for name in (FIRST, SECOND):
        write(release / name, "2")
    write(release / "99_new.ipynb", "1")
    beside = FIRST.replace(".ipynb", ".new.ipynb")
    assert update_lessons(mine) == {
        "copied": ["99_new.ipynb"],
        "replaced": [SECOND],
        "beside": [beside],
    }
    assert (mine / FIRST).read_bytes() == work
    assert (mine / SECOND).read_bytes() == (release / SECOND).read_bytes()
    assert (mine / beside).read_bytes() == (release / FIRST).read_bytes()
    # A second update has nothing to do, even when the learner has thrown the new version away.
    (mine / beside).unlink()
    assert not any(update_lessons(mine).values())


def test_a_version_beside_is_kept_too_once_somebody_wrote_in_it(release, tmp_path):
    mine = tmp_path / "mine"
    copy_lessons(mine)
    write(mine / FIRST, "my answer")
    beside, third = (FIRST.replace(".ipynb", f".{end}.ipynb") for end in ("new", "new2"))
    write(release / FIRST, "2")
    assert update_lessons(mine)["beside"] == [beside]
    write(release / FIRST, "3")
    assert update_lessons(mine)["beside"] == [beside]  # nobody has written in the second version
    write(mine / beside, "my other answer")
    write(release / FIRST, "4")
    before = contents(mine)
    assert update_lessons(mine)["beside"] == [third]
    assert {**before, third: (release / FIRST).read_bytes()} == contents(mine)


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": 1}', "\x00", None])
def test_without_a_record_nothing_is_replaced(release, tmp_path, damage):
    mine = tmp_path / "mine"
    copy_lessons(mine)
    if damage is None:
        (mine / copies.OFFERED).unlink()
    else:
        (mine / copies.OFFERED).write_text(damage, encoding="utf-8")
    write(release / FIRST, "2")
    before = contents(mine)
    assert update_lessons(mine)["replaced"] == []
    assert before.items() <= contents(mine).items()


@pytest.mark.parametrize("text", ["", "null", "[]", '{"cells": [1]}', '{"cells": [{}]}', "\x00"])
def test_what_is_no_notebook_is_told_apart_by_its_bytes(tmp_path, text):
    for name, content in (("a", text), ("b", text), ("c", text + " ")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    a, b, c = (content_hash(tmp_path / name) for name in "abc")
    assert a == b != c


# --- the commands ------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """What is started, and where; nothing is."""
    calls = []

    def run(command, cwd, env):
        calls.append((command[1:], cwd, env["PYTHONUTF8"]))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("subprocess.run", run)
    return calls


def test_lab_copies_and_opens(release, tmp_path, monkeypatch, opened, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lab", "mine", "--", "--no-browser", "--port", "8890"]) == 0
    assert opened == [
        (["-m", "course_lib.lab.server", "--no-browser", "--port", "8890"], tmp_path / "mine", "1")
    ]
    assert "2 lessons are now in" in capsys.readouterr().out
    # In a folder that has the lessons, this folder is meant; elsewhere one inside it.
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["lab"]) == 0
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lab", "--", "--port", "1"]) == 0
    assert [cwd for _, cwd, _ in opened[1:]] == [tmp_path / "mine", tmp_path / cli.FOLDER]


def test_copy_only_opens_nothing(release, tmp_path, opened):
    assert cli.main(["lab", str(tmp_path / "mine"), "--copy-only"]) == 0
    assert (tmp_path / "mine" / FIRST).exists()
    assert opened == []


def test_lab_without_jupyterlab_says_what_to_install(
    release, tmp_path, monkeypatch, opened, capsys
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["lab", str(tmp_path / "mine")]) == 2
    assert 'pip install "course-lib[lab]"' in capsys.readouterr().err
    assert (tmp_path / "mine" / FIRST).exists()
    assert opened == []


def test_update_says_what_was_done(release, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["update", "mine"]) == 2
    assert "course-lib lab mine" in capsys.readouterr().err
    copy_lessons(tmp_path / "mine")
    write(tmp_path / "mine" / FIRST, "my answer")
    for name in (FIRST, SECOND):
        write(release / name, "2")
    assert cli.main(["update", "mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == [
        SECOND,
        FIRST.replace(".ipynb", ".new.ipynb"),
    ]
    assert cli.main(["update", "mine"]) == 0
    assert "Every lesson is up to date." in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(release, tmp_path, opened, capsys):
    (tmp_path / "mine").write_text("a file", encoding="utf-8")
    assert cli.main(["lab", str(tmp_path / "mine")]) == 2
    assert capsys.readouterr().err.startswith("course-lib lab: ")
    assert opened == []
