"""Every command and example of the instructor's guide, as it stands there."""

import ast
import re
import shlex
import tomllib
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from test_grading import solved, stubs

from course_lib.cli import main
from course_lib.exercises import get
from course_lib.grading.due import read_due_times
from course_lib.grading.lms.nbgrader import assignment
from course_lib.grading.marking import Marking, read_checks

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "instructor.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BLOCKS = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", GUIDE)
PYTHON = [text for language, text in BLOCKS if language == "python"]
TABLES = [text for language, text in BLOCKS if not language and text.startswith("student,")]
COMMANDS = [t.splitlines() for language, t in BLOCKS if not language and t not in TABLES]
MARK = "# exercise: "


def installed(words):
    """What a line of pip would install, checked against this project."""
    for place, word in enumerate(words):
        if word == "-e":
            extras = Requirement(f"x{words[place + 1].removeprefix('.')}").extras
            assert extras <= set(PROJECT["optional-dependencies"])
        if word == "-c":
            assert (ROOT / words[place + 1]).is_file()
        if word == "--extra-index-url":
            container = ROOT / "docs" / "sandbox" / "Dockerfile"
            assert words[place + 1] in container.read_text(encoding="utf-8")


def hand_in_by_nbgrader(course):
    """What a learner hands in who has solved the release."""
    book = nbformat.read(course / "release" / "01_vae" / "01_vae.ipynb", 4)
    for cell in stubs(book):
        name = cell.source.splitlines()[0].removeprefix(MARK)
        cell.source = assignment.with_solution(cell.source, get(name))
    folder = course / "submitted" / "jane" / "01_vae"
    folder.mkdir(parents=True)
    nbformat.write(book, folder / "01_vae.ipynb")


@pytest.mark.nbgrader
@pytest.mark.usefixtures("walls")
def test_every_command_does_what_the_guide_says(tmp_path, monkeypatch, capsys):
    (tmp_path / "submissions").mkdir()
    nbformat.write(solved(), tmp_path / "submissions" / "jane.ipynb")
    (tmp_path / "constraints.txt").write_text("")
    called = []
    for block in COMMANDS:
        monkeypatch.chdir(tmp_path)
        for line in block:
            program, *words = shlex.split(line)
            called.append(" ".join([program, *words[:1]]))
            if program == "course-lib":
                assert main(words) == 0, (line, capsys.readouterr())
            elif program == "cd":
                monkeypatch.chdir(words[0])
            elif program == "pip":
                installed(words[1:])
            elif program == "sudo":
                assert words[:2] == ["apt", "install"]
                script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
                assert all(f"packages+=({name})" in script for name in words[2:])
            elif program == "nbgrader":  # test_grading_nbgrader.py runs it
                assert words[0] == "validate" and Path(words[1]).is_file()
            else:
                assert line == "jupyter lab"
        if (tmp_path / "course").is_dir() and not (tmp_path / "course" / "submitted").exists():
            hand_in_by_nbgrader(tmp_path / "course")
    assert len(called) >= 10 and called.count("course-lib grade") == 3
    rows = (tmp_path / "grades" / "grades.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 2 and rows[1].startswith("jane,")
    assert (tmp_path / "autograder_01_vae.zip").is_file()


def test_every_example_is_taken(tmp_path):
    (cases,) = [text for text in PYTHON if "def cases" in text]
    (tmp_path / "vae.kl_divergence.py").write_text(cases, encoding="utf-8")
    marking = Marking("01_vae", "a secret", read_checks(tmp_path))
    marking.validate()
    (table,) = TABLES
    (tmp_path / "due.csv").write_text(table, encoding="utf-8")
    read_due_times(tmp_path / "due.csv")
    for text in PYTHON:
        ast.parse(text)
