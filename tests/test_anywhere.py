"""Where the course opens with one click: no such place can be reached here, but its files are read."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

from course_lib import cli
from course_lib.lab.copies import copy_lessons
from course_lib.syllabus import course

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMAGE = (ROOT / "docs" / "classroom" / "Dockerfile").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "anywhere.md").read_text(encoding="utf-8")


def instructions(name):
    joined = re.sub(r"(?m)^#.*\n", "", IMAGE).replace("\\\n", " ")
    return [line.partition(" ")[2] for line in joined.splitlines() if line.startswith(f"{name} ")]


def supported(version):
    return SpecifierSet(PROJECT["requires-python"]).contains(version)


def test_the_image_takes_a_python_that_the_course_supports_and_what_is_there():
    (base,) = instructions("FROM")
    assert supported(re.search(r"python:(3\.\d+)", base)[1])
    assert re.search(r"grep \'\^torch==\' constraints\.txt", IMAGE)
    assert re.search(r"(?m)^torch==", (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert '".[lab]"' in IMAGE and "lab" in PROJECT["optional-dependencies"]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert not {"course_lib", "data", "notebooks", "benchmarks", "pyproject.toml"} & set(ignored)


def test_the_image_starts_a_command_that_there_is(tmp_path, monkeypatch):
    started = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        cli.VERBS, "lab", (lambda args: started.append(args) or 0, cli._lab_arguments)
    )
    command, *arguments = json.loads(instructions("CMD")[0])
    assert command in PROJECT["scripts"]
    assert cli.main(arguments) == 0
    assert (started[0].folder, started[0].more) == ("course", ["--ip=0.0.0.0", "--no-browser"])


def test_the_guide_s_commands_are_known(tmp_path, monkeypatch):
    """Each is read as it stands; `lab` and `update` are also run, and open nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: type("Done", (), {"returncode": 0}))
    commands = set(re.findall(r"(?m)(?:^|`)course-lib ((?:lab|update) [^`\n]*)(?:$|`)", GUIDE))
    assert len(commands) >= 4
    for command in sorted(commands):
        copy_lessons(tmp_path / "course")
        copy_lessons(tmp_path / "my-course")
        assert cli.main(shlex.split(command)) == 0


def test_the_machine_of_codespaces():
    machine = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert supported(re.search(r"python:(3\.\d+)", machine["image"])[1])
    command, script, verb = machine["postCreateCommand"].split()
    assert (command, verb in cli.VERBS) == ("python", True)
    assert (ROOT / script).is_file()
    parts = machine["customizations"]
    assert all((ROOT / file).is_file() for file in parts["codespaces"]["openFiles"])
    interpreter = parts["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter == "${containerWorkspaceFolder}/.venv/bin/python"


def test_binder_finds_its_files_at_the_top():
    # With a Dockerfile or a folder `binder` there, Binder would read that and nothing else.
    assert not [n for n in ("Dockerfile", "binder", ".binder") if (ROOT / n).exists()]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge"]
    script = ROOT / "postBuild"
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    names = [f"notebooks/{name}.ipynb" for name in course().lessons]
    assert all((ROOT / name).is_file() for name in names)
