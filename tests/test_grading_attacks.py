"""Every attack of `tests/attacks`, run for real: what it gets, and what it must not touch.

An attack is a notebook. Its metadata say which mark it must get and which flag, if any; an attack
whose answer is right raises an exception where its harm worked, and so loses the mark. After each,
everything must stand as before, and an honest submission gets its full mark from the same sandbox.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from course_lib.exercises import all_exercises
from course_lib.exercises.answers import fingerprint_of
from course_lib.exercises.dependence import standalone
from course_lib.exercises.exercise import call
from course_lib.exercises.registry import needed_modules
from course_lib.exercises.sources import statements
from course_lib.grading.evaluation import grade_submission
from course_lib.grading.intake.submission import Submission
from course_lib.grading.marking import Marking
from course_lib.grading.sandbox.engines import (
    PACKAGE,
    bubblewrap,
    hidden_files,
    try_walls,
)
from course_lib.syllabus import course

ATTACKS = sorted((Path(__file__).parent / "attacks").glob("*.ipynb"))
EACH_ATTACK = pytest.mark.parametrize("file", ATTACKS, ids=lambda file: file.stem)
LESSON = "00_start"
MARK = "attack-was-here"  # in the name of every file that an attack tries to leave
SECRET = "what-no-submission-may-read"
HONEST = """
def fit_gaussian(points):
    mean = points.mean(dim=0)
    return mean, (points - mean).T @ (points - mean) / (len(points) - 1)
"""
# What stands in the notebooks for text that would stop the tools that read them, such as ruff.
STANDS_FOR = {
    '\\"@DEEP@\\"': "(" * 3000 + "1" + ")" * 3000,
    '\\"@DEEPER@\\"': "x" + ".a" * 5000,
    '\\"@NEGATIVE@\\"': "-" * 5000 + "1",
    "@NULL@": "\\u0000",
    "@SURROGATE@": "\\ud800",
}

pytestmark = pytest.mark.usefixtures("walls")


def notebook(*sources, **more):
    """A notebook file with these code cells."""
    cells = [{"cell_type": "code", "source": s, "metadata": {}, **more} for s in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}).encode()


@pytest.fixture(scope="module")
def sandbox():
    exercises = Marking(LESSON, "").exercises
    with bubblewrap(hidden_files(), needed_modules(exercises)) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What an attack would like to read or change."""
    folder = tmp_path_factory.mktemp("course")
    for place in ("home/.ssh/id_ed25519", "grades/gradebook.db", "submissions/jane.ipynb"):
        file = folder / place
        file.parent.mkdir(parents=True)
        file.write_text(SECRET)
    return folder


@pytest.fixture(autouse=True)
def surroundings(folder, monkeypatch):
    monkeypatch.setenv("COURSE_TEST_SECRET", SECRET)
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert traces(folder) == []
    before = {f: (f.read_text(), f.stat().st_mtime_ns) for f in folder.rglob("*") if f.is_file()}
    yield
    after = {f: (f.read_text(), f.stat().st_mtime_ns) for f in folder.rglob("*") if f.is_file()}
    assert after == before
    assert traces(folder) == []


def traces(folder):
    """Files that an attack has left outside its sandbox."""
    places = [Path("/tmp"), Path("/dev/shm"), Path("/dev"), Path.cwd(), PACKAGE, folder]
    places += [*folder.iterdir(), *PACKAGE.iterdir()]
    return [f for place in places if place.is_dir() for f in place.iterdir() if MARK in f.name]


def processes_below(parent=None):
    """The processes that this one has started, and those that they have started."""
    parent = parent or os.getpid()
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = stat.read_text().partition(" (")
        except OSError:
            continue
        children.setdefault(int(rest.rpartition(") ")[2].split()[1]), []).append(int(number))
    found, waiting = [], [parent]
    while waiting:
        found += (mine := children.get(waiting.pop(), []))
        waiting += mine
    return found


def graded(content, sandbox, **more):
    submission = Submission("mallory", "mallory.ipynb")
    return grade_submission(content, submission, Marking(LESSON, "secret", **more), sandbox)


def assert_serves(sandbox):
    """The next submission gets what it deserves, and only the warm process is left."""
    result = graded(notebook(HONEST), sandbox)
    assert (result.points, result.flags) == (1.0, ())
    ends = time.monotonic() + 5  # a killed process takes a moment to go
    below = processes_below(sandbox._process.pid)
    while len(below) > 2 and time.monotonic() < ends:
        time.sleep(0.05)
        below = processes_below(sandbox._process.pid)
    assert len(below) == 2  # process 1 of the sandbox, and the warm process


# --- the attacks --------------------------------------------------------------------------------


def test_there_are_attacks_of_every_kind():
    assert len(ATTACKS) >= 45


@EACH_ATTACK
def test_attack(file, sandbox, folder):
    text = file.read_text().replace("@FOLDER@", str(folder))
    for short, long in STANDS_FOR.items():
        text = text.replace(short, long)
    attack = json.loads(file.read_text())["metadata"]["attack"]
    assert attack["lesson"] == LESSON
    sandbox.start()
    warm = sandbox._process
    result = graded(text.encode(), sandbox, patience=attack.get("patience", 1.0))
    kinds = {flag.kind for flag in result.flags}
    said = "\n".join(case.sentence for e in result.marks for case in e.cases)
    assert result.points == attack["points"], said
    assert kinds == ({attack["flag"]} if attack["flag"] else set()), result.flags
    json.dumps(result.to_json(), allow_nan=False, ensure_ascii=False).encode()  # fits into any file
    assert said.replace("\n", "").isprintable()
    assert "LEAK" not in said and "3141592653589" not in said and SECRET not in said
    if attack["points"] == result.of:  # its harm was to fail, and did not end the warm process
        assert sandbox._process is warm
        assert warm.poll() is None
    assert_serves(sandbox)
    assert sandbox._process is warm or attack["points"] < result.of


def python_for_others():
    """A Python that every user may run, and where its libraries are; or None."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(PACKAGE.parent)]
    for python in (sys.executable, f"/usr/local/bin/{version}", f"/usr/bin/{version}"):
        code = f"import sys; sys.path[:0] = {places!r}; import course_lib, pytest, torch"
        try:
            subprocess.run(
                [python, "-I", "-c", code],
                user=65534, group=65534, extra_groups=[], check=True, capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError):
            continue
        return python, places
    return None


@pytest.mark.skipif(os.getuid() != 0, reason="runs as an ordinary user anyway")
def test_attacks_as_an_ordinary_user(tmp_path_factory, request):
    """The same once more, in a process of the user nobody, for whom bubblewrap works otherwise.

    Without `--full` every fourth attack.
    """
    if (found := python_for_others()) is None:
        pytest.skip("no Python here that other users may run, and that finds these libraries")
    python, places = found
    home = Path(f"/tmp/attacks-as-nobody-{os.getpid()}")
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    names = [f"{Path(__file__).name}::test_attack[{file.stem}]" for file in ATTACKS]
    if not request.config.option.full:
        names = names[::4]
    names.append(f"{Path(__file__).name}::test_what_a_job_sees")
    arguments = ["-o", "addopts=", "-p", "no:cacheprovider", "--noconftest", "-q", *names]
    arguments += [
        "-p",
        "programs",
        "--basetemp",
        str(home / "tests"),
        "--rootdir",
        str(home),
        "-c",
        os.devnull,
    ]
    here = [*places, str(Path(__file__).parent)]
    code = f"import sys; sys.path[:0] = {here!r}; import pytest; sys.exit(pytest.main())"
    try:
        done = subprocess.run(
            [python, "-I", "-B", "-c", code, *arguments],
            user=65534, group=65534, extra_groups=[], cwd=Path(__file__).parent, timeout=600,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(home)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert f"{len(names)} passed" in done.stdout


# --- notebooks that attack the parser; made here, since they are large --------------------------

MADE = {
    "no notebook at all": (b"\x00\xff\xfe" * 100, 0.0),
    "empty file": (b"", 0.0),
    "nested JSON": (b'{"cells": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", 0.0),
    "JSON of empty lists": (b'{"cells": [' + b"[]," * (6 * 10**6) + b"[]]}", 0.0),
    "more than 4 MB of code": (notebook("x = 1\n" * 10**6, HONEST), 0.0),
    "no code but names": (notebook("# exercise: start.fit_gaussian", "fit_gaussian = 1"), 0.0),
    "a hundred thousand cells": (notebook(*["x = 1"] * 10**5, HONEST), None),
    "lines without end": (notebook("\n" * 10**6 + HONEST, HONEST), 1.0),
    "50 MB of outputs": (notebook(HONEST, outputs=[{"text": "[1, 2, 3] " * (5 * 10**6)}]), 1.0),
    "hostile metadata": (
        notebook(
            HONEST,
            metadata={"tags": [None, {}, "exercise", "\ud800", "../../etc"], "id": ["x"]},
            id="../../../etc/passwd",
            execution_count="NaN",
        ),
        1.0,
    ),
    "a number of a million digits": (notebook("x = " + "1" * 10**6, HONEST), 1.0),
    "source of other kinds": (notebook([1, None, "x = 1\n"], {"a": 1}, None, HONEST), 1.0),
    "NaN and Infinity": (notebook(HONEST, execution_count=float("nan")), 1.0),
    "byte order mark": (b"\xef\xbb\xbf" + notebook(HONEST), 1.0),
}


@pytest.mark.parametrize(("content", "points"), MADE.values(), ids=MADE)
def test_notebooks_that_attack_the_parser(content, points, sandbox):
    result = graded(content, sandbox)
    kinds = {flag.kind for flag in result.flags}
    if points is None:  # graded, or handed to a person
        assert result.points == 1.0 or "unreadable" in kinds
    else:
        assert result.points == points
    assert result.points or result.needs_person or result.marks[0].cases
    json.dumps(result.to_json(), allow_nan=False, ensure_ascii=False).encode()
    assert_serves(sandbox)


# --- the walls ----------------------------------------------------------------------------------


def test_what_a_job_sees(sandbox, folder):
    try_walls(sandbox)
    look = {"kind": "look", "paths": ["/", "/dev", "/usr", "/etc", str(PACKAGE), str(folder)]}
    seen, _ = sandbox.ask({**look, "home": str(folder / "home")}).last
    assert seen == {
        "root": False,
        "processes seen": [],
        "can fork": False,
        "can open a socket": False,
        "can write": [],
        "in home": [],
    }


def test_memory_that_jobs_share_with_the_warm_process_cannot_be_written(sandbox):
    """A page that is shared and writable would be a way from one job to the next."""
    assert_serves(sandbox)
    warm = processes_below(sandbox._process.pid)[-1]
    maps = Path(f"/proc/{warm}/maps").read_text().splitlines()
    assert len(maps) > 100
    assert [line for line in maps if line.split()[1][1:4] in ("w-s", "wxs")] == []


def test_the_sandbox_ends_with_all_that_it_holds():
    with bubblewrap() as other:
        mine = processes_below(other._process.pid)
        assert len(mine) == 2
    assert gone(mine)


def test_the_sandbox_ends_with_the_grader():
    """Even where the grader is killed, and cannot end anything itself."""
    code = (
        "from course_lib.grading.sandbox.engines import bubblewrap;"
        "bubblewrap().start(); print(); input()"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    grader = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    grader.stdout.readline()
    below = processes_below(grader.pid)
    assert len(below) == 3
    grader.kill()
    grader.wait()
    assert gone(below)
    grader.stdin.close()
    grader.stdout.close()


def gone(processes):
    """Whether the processes have ended, or end within a moment."""
    ends = time.monotonic() + 5
    while any(Path(f"/proc/{p}").exists() for p in processes) and time.monotonic() < ends:
        time.sleep(0.05)
    return not any(Path(f"/proc/{p}").exists() for p in processes)


def test_a_warm_process_that_was_killed_is_started_anew(sandbox):
    assert_serves(sandbox)
    sandbox._process.kill()
    assert_serves(sandbox)


# --- what goes in -------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", course().lessons.values(), ids=lambda lesson: lesson.id)
def test_what_goes_in_with_an_answer_holds_no_solution_that_is_still_asked_for(lesson):
    exercises = [e for e in all_exercises() if e.id in lesson.exercises]
    exercises.sort(key=lambda e: lesson.exercises.index(e.id))
    asked = {e.id: fingerprint_of(e.reference) for e in exercises}
    for number, exercise in enumerate(exercises):
        sent = [] if exercise.probe is call else [standalone(exercise.probe)]
        sent += [standalone(earlier.reference) for earlier in exercises[:number]]
        names = {name for source in sent for s in statements(source) for name in s.binds}
        later = {e.reference.__name__ for e in exercises[number:]}
        assert not names & later, (exercise.id, names & later)
        assert asked[exercise.id]
