"""Answers that run in another Python than the judge."""

import sysconfig
import venv
from pathlib import Path

import pytest
from test_grading_many import LESSON, RIGHT, WRONG, hand_in

from course_lib.grading.marking import Marking
from course_lib.grading.pool import grade_all
from course_lib.grading.sandbox.engines import in_sight, make
from course_lib.grading.sandbox.interpreter import InterpreterError, interpreter
from course_lib.grading.sandbox.process import SandboxError

# An answer that is right only in the Python of this folder.
THERE = RIGHT.replace(
    "    mean =", "    import sys\n    assert sys.prefix == {place!r}\n    mean ="
)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A Python in an environment of its own, without libraries."""
    folder = tmp_path_factory.mktemp("other") / "environment"
    venv.create(folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def equipped(other):
    """The same with the libraries of this one."""
    (site,) = (other / "lib").glob("python*/site-packages")
    own = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (site / "libraries.pth").write_text("\n".join(sorted(own)))
    return other


def test_the_running_python_is_the_default():
    assert interpreter() == interpreter("")
    assert all(place.exists() for place in interpreter().places)


def test_a_python_without_the_libraries_is_refused_with_what_to_do(other):
    with pytest.raises(InterpreterError, match=r"No module named.*-m pip install"):
        interpreter(str(other / "bin" / "python"))
    with pytest.raises(SandboxError, match="cannot be started"):
        make("none", Marking(LESSON, "", python=str(other / "bin" / "no python")))


def test_in_a_container_runs_the_python_of_its_image():
    with pytest.raises(SandboxError, match="image's Python"):
        make("docker", Marking(LESSON, "", python="python3"))


@pytest.mark.usefixtures("walls")
def test_answers_run_in_the_python_that_is_named(equipped, tmp_path):
    python = str(equipped / "bin" / "python")
    assert in_sight(equipped / "lib", python) and not in_sight(equipped / "lib")
    submissions = [
        *hand_in(tmp_path / "right", 1, THERE.replace("{place!r}", repr(str(equipped)))),
        *hand_in(tmp_path / "wrong", 1, WRONG),
    ]
    points = {}
    for name in ("", python):
        marking = Marking(LESSON, "a secret of the tests", python=name)
        out = tmp_path / f"out{bool(name)}"
        graded = grade_all(submissions, marking, out, workers=1, progress=False)
        points[name] = {Path(result.source).parent.name: result.points for result in graded}
    assert points[python]["right"] == 1 and points[""]["right"] == 0
    assert points[python]["wrong"] == points[""]["wrong"] < 1
