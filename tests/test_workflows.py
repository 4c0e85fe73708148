"""GitHub's workflows cannot run here: linters read them, and what they name is compared with the course."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github"
FILES = sorted((FOLDER / "workflows").glob("*.yml"))
EACH_FILE = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Of the values that GitHub offers in an expression, those that these workflows use.
CONTEXTS = {"github": {"event_name", "ref", "workflow"}}


def lint(*arguments):
    return subprocess.run(
        [Path(sys.executable).parent / arguments[0], *arguments[1:]],
        capture_output=True,
        encoding="utf-8",
    )


def complaints(folder):
    """What is wrong with the workflows of a `.github` folder; nothing is fetched."""
    files = sorted((folder / "workflows").glob("*.yml"))
    schema = lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    found = [schema.stdout] if schema.returncode else []
    config = ["--config", FOLDER / "zizmor.yml"]
    audit = lint("zizmor", "--offline", "--no-progress", "--no-exit-codes", *config, folder)
    # An expression that it cannot read is only a warning to it.
    warnings = [line for line in audit.stderr.splitlines() if " WARN " in line]
    if audit.returncode or warnings or "No findings to report" not in audit.stdout + audit.stderr:
        found.append("\n".join([audit.stdout, *warnings]))
    for file in files:
        found += unknown_values(file.read_text(encoding="utf-8"))
    return found


def unknown_values(text):
    """The values in expressions that GitHub would find empty."""
    workflow = yaml.safe_load(text)
    matrices = [job.get("strategy", {}).get("matrix", {}) for job in workflow["jobs"].values()]
    known = CONTEXTS | {"matrix": {name for matrix in matrices for name in matrix}}
    steps = [step for job in workflow["jobs"].values() for step in job.get("steps", ())]
    known["steps"] = {step["id"] for step in steps if "id" in step}
    for expression in re.findall(r"\$\{\{(.*?)\}\}", text):
        # What a step puts out is its action's matter.
        inside = re.sub(r"'[^']*'", "", expression).replace(".outputs.", ":")
        for context, name in re.findall(r"\b([a-z]+)\.(\w+)", inside):
            if name not in known.get(context, ()):
                yield f"{context}.{name}"


@pytest.mark.slow
def test_the_linters_find_nothing():
    assert complaints(FOLDER) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("runs-on:", "run-on:"),
        ("${{ matrix.python }}", "${{ matrix.python ) }}"),
        ("${{ matrix.python }}", "${{ matrix.pyton }}"),
        ("github.event_name ==", "startsWit(github.event_name) =="),
        ("run: python course.py test --quick", "run: echo ${{ github.event.issue.title }}"),
    ],
)
def test_the_linters_find_mistakes(right, wrong, tmp_path):
    text = (FOLDER / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "tests.yml").write_text(text.replace(right, wrong), encoding="utf-8")
    assert complaints(tmp_path)


def test_the_tests_run_on_every_system_and_python_that_the_package_names():
    tests = yaml.safe_load((FOLDER / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    matrix = tests["jobs"]["quick"]["strategy"]["matrix"]
    named = [re.search(r":: (3\.\d+)$", line) for line in PROJECT["classifiers"]]
    assert matrix["python"] == [found[1] for found in named if found]
    assert [name.split("-")[0] for name in matrix["system"]] == ["ubuntu", "macos", "windows"]
    commands = [
        step["run"] for job in tests["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert "python course.py test --quick" in commands
    assert ".ci/run" in commands


# What the job that publishes may do, by workflow; all other jobs may only read.
PUBLISHING = {
    "release": {"contents": "read", "id-token": "write"},
    "site": {"pages": "write", "id-token": "write"},
}


@EACH_FILE
def test_only_the_job_that_publishes_may_do_more_than_read(file):
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        allowed = PUBLISHING[file.stem] if name == "publish" else {"contents": "read"}
        assert job["permissions"] == allowed
        assert ("environment" in job) == (name == "publish")
        for step in job.get("steps", ()):
            assert step.get("uses", "actions/").startswith("actions/")
            assert "secrets." not in str(step)


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.findall(r"(?m)^## \[(.+?)\] - (\d{4}-\d\d-\d\d)$", text)
    assert found[0][0] == PROJECT["version"]
    assert [day for _, day in found] == sorted((day for _, day in found), reverse=True)
    parts = re.findall(r"(?m)^### (.+)$", text)
    assert set(parts) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
