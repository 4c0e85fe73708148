"""The wheel and the sdist: built, and the wheel tried in an environment of its own, without a checkout."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from course_lib.syllabus import course

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
BUILD = "import sys; from hatchling import build; build.{}(sys.argv[1])"


def built(kind, folder, source=ROOT):
    subprocess.run([sys.executable, "-c", BUILD.format(kind), folder], cwd=source, check=True)
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("build_wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """Runs a command in an environment that has the wheel, and in a folder that has nothing."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "env", with_pip=False)
    places = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    scheme = "venv"
    inside = Path(sysconfig.get_path("purelib", scheme, places))
    programs = Path(sysconfig.get_path("scripts", scheme, places))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    python = programs / Path(sys.executable).name
    install = ["--python", python, "install", "--no-deps", "--no-index", wheel]
    subprocess.run([*pip, *install], check=True)
    # The packages that the course needs come from here. An editable course in the same place is not
    # seen: files that end with .pth count only in an environment's own folder.
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (inside / "needed.pth").write_text("\n".join(packages), encoding="utf-8")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COURSE_", "PYTHON"))}

    def command(*arguments, name="course-lib"):
        return subprocess.run(
            [programs / name, *arguments],
            cwd=folder,
            env=clean,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )

    command.folder, command.python = folder, python.name
    return command


def names(file):
    """The files in a wheel or sdist, without the folder that an sdist puts around them."""
    if file.suffix == ".whl":
        return set(zipfile.ZipFile(file).namelist())
    with tarfile.open(file) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def kept(*folders):
    """The files of a checkout's folders, without what Python, Jupyter and the lessons leave there."""
    files = [file.relative_to(ROOT) for f in folders for file in (ROOT / f).rglob("*")]
    return {
        file.as_posix()
        for file in files
        if (ROOT / file).is_file()
        and not any(part == "__pycache__" or part.startswith(".") for part in file.parts)
    }


def test_a_wheel_holds_lessons_cards_and_records_and_nothing_else(wheel):
    held = names(wheel)
    expected = kept("course_lib")
    for folder, inside in (
        ("notebooks", "notebooks"),
        ("data", "data"),
        ("benchmarks/results", "recorded"),
    ):
        expected |= {n.replace(folder, f"course_lib/{inside}", 1) for n in kept(folder)}
    assert {name for name in held if ".dist-info/" not in name} == expected


def test_an_sdist_holds_what_the_wheel_is_built_from(wheel, tmp_path):
    sdist = built("build_sdist", tmp_path)
    held = names(sdist)
    assert kept("course_lib", "notebooks", "data", "benchmarks/results") <= held
    assert {"pyproject.toml", "constraints.txt", "CHANGELOG.md", "LICENSE"} <= held
    assert not any(name.startswith("tests/") for name in held)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    (tmp_path / "wheel").mkdir()
    assert names(built("build_wheel", tmp_path / "wheel", source)) == names(wheel)


def test_the_library_is_the_wheel_s(run):
    code = (
        "import course_lib; from course_lib import datasets, session; "
        "from course_lib.datasets.registry import registry; from course_lib.syllabus import *; "
        "print(course_lib.__file__, course_lib.__version__); "
        "assert all(notebook(lesson).is_file() for lesson in course().lessons.values()); "
        "assert datasets.card('digits') and registry() and len(session.recorded('gan'))"
    )
    done = run("-c", code, name=run.python)
    assert done.returncode == 0, done.stderr
    place, version = done.stdout.split()
    assert Path(place).is_relative_to(run.folder)
    assert (Path(place).parents[1] / f"course_lib-{version}.dist-info").is_dir()


def test_lessons_are_copied_and_updated(run):
    folder = run.folder / "mine"
    done = run("update", "mine")
    assert done.returncode == 2 and not folder.exists()
    done = run("lab", "mine", "--copy-only")
    assert done.returncode == 0, done.stderr
    assert {file.stem for file in folder.glob("*.ipynb")} == set(course().lessons)
    done = run("update", "mine")
    assert "Every lesson is up to date." in done.stdout


def test_audit(run):
    rng = np.random.default_rng(0)
    for name in ("real", "synthetic"):
        table = pd.DataFrame({"age": rng.normal(40, 9, 60), "sex": rng.choice(["f", "m"], 60)})
        table.to_csv(run.folder / f"{name}.csv", index=False)
    done = run("audit", "real.csv", "synthetic.csv", "--quiet", "--html", "report.html")
    assert done.returncode in (0, 1), done.stderr
    assert "<html" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_what_needs_a_checkout_says_so(run):
    for arguments in (("sync",), ("repo",), ("new", "99_more", "--title", "More")):
        done = run(*arguments)
        assert done.returncode == 2
        assert "checkout of the course" in done.stderr


@pytest.mark.sandbox
def test_grade(run, bubblewrap, libseccomp):
    run("lab", "handed", "--copy-only")
    (run.folder / "in").mkdir()
    (run.folder / "handed" / "00_start.ipynb").rename(run.folder / "in" / "ada_00_start.ipynb")
    done = run("grade", "in", "--lesson", "00_start", "--out", "out", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert (run.folder / "out" / "grades.csv").is_file()
