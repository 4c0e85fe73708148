"""Many submissions: each graded once, whatever is killed on the way."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import distributed
import nbformat
import pytest

from course_lib.cli import main
from course_lib.exercises import get
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.submission import find
from course_lib.grading.marking import Marking
from course_lib.grading.pool import grade_all, secret_of
from course_lib.grading.result import Mark, Result
from course_lib.grading.summary import similar

LESSON = "00_start"
MARKING = Marking(LESSON, "a secret of the tests")
RIGHT = """# exercise: start.fit_gaussian
def fit_gaussian(points):
    mean = points.mean(dim=0)
    centred = points - mean  # {remark}
    return mean, centred.T @ centred / len(points)
"""
WRONG = RIGHT.replace("/ len(points)", "")


def notebook(source):
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {},
            "cells": [
                {
                    "cell_type": "code",
                    "id": "a",
                    "metadata": {},
                    "source": source,
                    "outputs": [],
                    "execution_count": None,
                }
            ],
        }
    )


def hand_in(folder, count, source=RIGHT):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        file = folder / f"student {i:03} Ünal.ipynb"
        file.write_text(notebook(source.format(remark=i)), encoding="utf-8")
    return find(folder, LESSON)


def children(pid):
    """The processes that this one has started, their descendants included."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found += [int(entry.name), *children(int(entry.name))]
    return found


@pytest.fixture
def many(request):
    """How many submissions; a worker is killed after a quarter of them."""
    return 500 if request.config.option.full else 40


@pytest.mark.usefixtures("walls")
def test_many_submissions_with_a_worker_killed_in_the_middle(tmp_path, many):
    submissions = hand_in(tmp_path / "in", many)
    seen = []
    for result in grade_all(submissions, MARKING, tmp_path / "out", workers=2, progress=False):
        seen.append(result.source)
        if len(seen) == many // 4:
            workers = [p for p in children(os.getpid()) if "spawn_main" in command_of(p)]
            os.kill(workers[0], signal.SIGKILL)
    assert len(seen) == len(set(seen)) == many
    files = list((tmp_path / "out" / "results").glob("*.json"))
    assert len(files) == many
    results = [Result.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    assert {result.source for result in results} == {s.source for s in submissions}
    assert all(result.points == result.of for result in results)
    leave_nothing_running()


@pytest.mark.usefixtures("walls")
def test_a_dask_cluster_with_a_worker_killed_in_the_middle(tmp_path, many):
    submissions = hand_in(tmp_path / "in", many)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        seen = []
        for result in grade_all(
            submissions, MARKING, tmp_path / "out", cluster=client, progress=False
        ):
            seen.append(result.source)
            if len(seen) == many // 4:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    assert len(seen) == len(set(seen)) == many
    files = list((tmp_path / "out" / "results").glob("*.json"))
    assert len(files) == many
    assert sum(json.loads(file.read_text(encoding="utf-8"))["points"] for file in files) == many
    leave_nothing_running()


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def leave_nothing_running():
    for _ in range(100):
        left = [p for p in children(os.getpid()) if "bwrap" in command_of(p)]
        if not left:
            return
        time.sleep(0.1)
    pytest.fail(f"still running: {[command_of(p)[:80] for p in left]}")


@pytest.mark.usefixtures("walls")
def test_killed_at_any_moment_the_next_run_goes_on(tmp_path):
    hand_in(tmp_path / "in", 40)
    call = [sys.executable, "-m", "course_lib.cli", "grade", str(tmp_path / "in")]
    call += ["--lesson", LESSON, "--out", str(tmp_path / "out"), "--quiet", "--workers", "1"]
    results = tmp_path / "out" / "results"
    for wanted in (3, 9):
        process = subprocess.Popen(call, start_new_session=True, stdout=subprocess.DEVNULL)
        while len(list(results.glob("*.json"))) < wanted:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    first = {file: file.read_bytes() for file in results.glob("*.json")}
    assert 9 <= len(first) < 40
    done = subprocess.run(call, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    assert len(list(results.glob("*.json"))) == 40
    assert all(file.read_bytes() == content for file, content in first.items())  # never twice
    assert not list(results.glob("*.partial"))
    grades = (tmp_path / "out" / "grades.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(grades) == 41


@pytest.mark.usefixtures("walls")
def test_a_changed_submission_or_exercise_is_graded_anew_and_nothing_else(tmp_path):
    submissions = hand_in(tmp_path / "in", 3)
    out = tmp_path / "out"

    def run(marking=MARKING):
        results = list(grade_all(submissions, marking, out, workers=1, progress=False))
        return {r.student: (r.graded, r.seconds, r.points) for r in results}

    first = run()
    assert run() == first
    changed = submissions[1].source
    Path(tmp_path / "in" / Path(changed).name).write_text(notebook(WRONG), encoding="utf-8")
    second = run()
    differs = [student for student in first if first[student] != second[student]]
    assert differs == [submissions[1].student]
    assert second[differs[0]][2] < 1
    other_secret = Marking(LESSON, "another secret")
    assert all(run(other_secret)[s][0] >= first[s][0] for s in first)
    assert len(list((out / "results").glob("*.json"))) == 7


def test_the_secret_is_kept_for_its_owner_only(tmp_path):
    secret = secret_of(tmp_path, None)
    assert secret == secret_of(tmp_path, None) != secret_of(tmp_path, "mine") == "mine"
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(GradingError, match="cannot be read"):
        secret_of(tmp_path, None)


def test_same_answers_are_listed_as_a_hint(tmp_path):
    def result(student, print_):
        mark = Mark("vae.kl_divergence", "KL", 2, 2, "tag", (), fingerprint=print_, length=50)
        return Result(student, f"{student}.ipynb", "01_vae", (mark,))

    text = similar([result("a", "1"), result("b", "1"), result("c", "2"), result("=d", "1")])
    assert text.splitlines()[1:] == ["vae.kl_divergence,50,3,'=d | a | b"]


@pytest.mark.usefixtures("walls")
def test_the_command_grades_a_folder_and_says_what_is_open(tmp_path, capsys):
    hand_in(tmp_path / "in", 2)
    (tmp_path / "in" / "broken.ipynb").write_text("{")
    call = ["grade", str(tmp_path / "in"), "--lesson", LESSON, "--out", str(tmp_path / "out")]
    assert main([*call, "--workers", "1"]) == 1
    said = capsys.readouterr().out
    assert "3 students" in said
    assert "1 need a person" in said
    out = tmp_path / "out"
    rows = (out / "grades.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 4
    assert len(list((out / "feedback").glob("*.html"))) == 3
    assert len(list((out / "gradescope").glob("*.json"))) == 3
    for name in ("canvas.csv", "moodle.csv", "similar.csv"):
        assert (out / name).is_file()
    (tmp_path / "in" / "broken.ipynb").unlink()
    assert main([*call, "--quiet"]) == 0


@pytest.mark.usefixtures("walls")
def test_one_who_is_missing_from_the_roster_costs_nobody_else_a_mark(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("doejane_11_1001", "poeann_13_1003"):
        (tmp_path / "in" / f"{name}_{LESSON}.ipynb").write_text(notebook(RIGHT))
    roster = tmp_path / "roster.csv"
    roster.write_text('Student,ID,SIS User ID,SIS Login ID,Section,A\n"Doe, Jane",11,s,j,A,\n')
    call = ["grade", str(tmp_path / "in"), "--lesson", LESSON, "--out", str(tmp_path / "out")]
    assert main([*call, "--canvas-roster", str(roster), "--assignment", "A"]) == 1
    said = capsys.readouterr()
    assert "Canvas, 2 students" in said.out
    assert "roster.csv has no row for poeann (id 13)" in said.err
    assert '"Doe, Jane",11,s,j,A,1' in (tmp_path / "out" / "canvas.csv").read_text()
    assert len((tmp_path / "out" / "grades.csv").read_text().splitlines()) == 3
    roster.write_text("a,b\n")  # before anything is graded
    assert main([*call, "--canvas-roster", str(roster)]) == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere", "--lesson", LESSON], "nowhere"),
        (["in", "--lesson", "00_strat"], "Did you mean"),
        (["in", "--lesson", LESSON, "--checks", "none"], "no folder"),
        (["in", "--lesson", LESSON, "--late", "tomorrow"], "--late"),
        (["in", "--lesson", LESSON, "--checks", f"{sys.prefix}/share"], "answers can see"),
        (["in", "--lesson", LESSON, "--python", "python2000"], "cannot be started"),
        (["/usr/share", "--lesson", LESSON], "answers can see"),
        (["in", "--lesson", LESSON, "--sandbox", "magic"], "no sandbox"),
        (["in", "--lesson", LESSON, "--sandbox", "docker:none"], "docker"),
        (["in", "--lesson", LESSON, "--out", "in"], "would take its files for submissions"),
        (["in", "--lesson", LESSON, "--out", "in/grades"], "would take its files for submissions"),
    ],
)
def test_a_bad_call_is_refused_and_leaves_no_grades(arguments, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hand_in(tmp_path / "in", 1)
    assert main(["grade", "--out", "out", *arguments]) == 2
    assert word in capsys.readouterr().err
    assert not list(tmp_path.rglob("grades.csv")) and not (tmp_path / "in" / "grades").exists()


def test_without_a_sandbox_the_command_says_what_that_means(tmp_path, capsys):
    hand_in(tmp_path / "in", 1)
    call = ["grade", str(tmp_path / "in"), "--lesson", LESSON, "--out", str(tmp_path / "out")]
    assert main([*call, "--no-sandbox", "--quiet"]) == 0
    assert "read, change, delete" in capsys.readouterr().err


@pytest.mark.usefixtures("walls")
def test_instructors_can_take_the_lesson_s_own_notebook(tmp_path):
    """The notebook that learners get, unsolved, is graded like any other."""
    book = nbformat.read(Path(__file__).parents[1] / "notebooks" / f"{LESSON}.ipynb", as_version=4)
    (tmp_path / "in").mkdir()
    nbformat.write(book, tmp_path / "in" / "jane.ipynb")
    (result,) = grade_all(
        find(tmp_path / "in", LESSON), MARKING, tmp_path / "out", workers=1, progress=False
    )
    assert result.points == 0
    assert result.of == get("start.fit_gaussian").points
    assert not result.needs_person
