"""What the judge does with bombs, crashes, many attempts and copies."""

import csv
import io
import json
import resource
import subprocess
import sys
import zipfile

import pytest

from course_lib.cli import main
from course_lib.exercises import get
from course_lib.exercises.answers import Wanted, code_cells, find_answers, fingerprint_of
from course_lib.grading import bounded_json, command
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.submission import find
from course_lib.grading.policy import choose, final_points
from course_lib.grading.result import Case, Mark, Result
from course_lib.grading.summary import similar

ANSWER = (
    "# exercise: start.fit_gaussian\nimport torch\ndef fit_gaussian(points):\n"
    "    mean = points.mean(dim=0)\n    return mean, (points - mean).T @ (points - mean) / len(points)\n"
)


def book(source=ANSWER, **more):
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell], **more}


# --- JSON that is larger than it looks --------------------------------------------------------------

BOMBS = {
    "dictionaries": b'[{"":0},' + b'{"":0},' * 3_000_000 + b"0]",
    "lists": b"[" + b"[]," * 8_000_000 + b"0]",
    "numbers": b"[" + b"1," * 12_000_000 + b"1]",
    "keys of one dictionary": b'{"a":0' + b',"a":0' * 4_000_000 + b"}",
    "deep": b"[" * 5_000_000,
    "deep, and closed": b"[" * 800_000 + b"]" * 800_000,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_it_is_parsed(kind):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(bounded_json.TooLargeError):
        bounded_json.loads(BOMBS[kind])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize(
    "text", ["[" + "1," * 500_000, '{"a": "' + "\\\\" * 600_000, '"' + '\\"' * 700_000, "{" * 100]
)
def test_broken_json_is_told_in_a_moment(text):
    with pytest.raises(ValueError):
        bounded_json.loads(text.encode())


def test_a_large_notebook_of_figures_and_text_is_read():
    cells = [{"cell_type": "code", "source": ["a = {}, [], ':'\n"] * 50, "outputs": []}] * 400
    figure = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo" * 500_000}}
    cells.append({"cell_type": "code", "source": '"\\" \\\\', "outputs": [figure]})
    text = json.dumps({"cells": cells}).encode()
    assert len(text) > 4 * 2**20
    assert bounded_json.loads(text) == {"cells": cells}


def test_a_bomb_costs_only_its_own_student_a_mark(tmp_path, walls):
    """The case of the 285 KB zip that took 6.1 GB."""
    whole = json.dumps(book()).encode()
    with zipfile.ZipFile(tmp_path / "week.zip", "w", zipfile.ZIP_DEFLATED) as week:
        week.writestr("aaron_00_start.ipynb", whole)
        week.writestr(
            "mallory_00_start.ipynb", whole[:-1] + b',"x":[' + b'{"":0},' * 7_000_000 + b"0]}"
        )
        week.writestr("zoe_00_start.ipynb", json.dumps(book(ANSWER + "# z")).encode())
    code = (
        "import resource, sys; from course_lib.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4_500_000 * 1024,) * 2)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    call_ = ["grade", str(tmp_path / "week.zip"), "--lesson", "00_start", "--workers", "1"]
    call_ += ["--out", str(tmp_path / "out"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *call_], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    rows = {r["student"]: r for r in table(tmp_path / "out" / "grades.csv")}
    assert (rows["aaron"]["grade"], rows["zoe"]["grade"]) == ("1", "1")
    assert rows["mallory"]["grade"] == "" and "values" in rows["mallory"]["flags"]
    assert len(list((tmp_path / "out" / "feedback").iterdir())) == 3
    assert (tmp_path / "out" / "similar.csv").exists()


def table(file):
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("a fault"), RecursionError()])
def test_a_crash_has_an_exit_status_of_its_own(error, monkeypatch, tmp_path, capsys):
    def crash(*_):
        raise error

    monkeypatch.setattr(command, "grade_class", crash)
    (tmp_path / "jane_00_start.ipynb").write_text(json.dumps(book()))
    call_ = ["grade", str(tmp_path), "--lesson", "00_start", "--out", str(tmp_path / "out")]
    assert main(call_) == 3
    assert "fault in the grader" in capsys.readouterr().err


def test_one_page_that_fails_leaves_the_others(monkeypatch, tmp_path, walls):
    came = tmp_path / "came"
    came.mkdir()
    for name in ("ann", "bob", "cem"):
        (came / f"{name}_00_start.ipynb").write_text(json.dumps(book(ANSWER + f"# {name}")))
    whole = command.feedback.feedback_page

    def page(result, *others):
        if result.student == "bob":
            raise MemoryError
        return whole(result, *others)

    monkeypatch.setattr(command.feedback, "feedback_page", page)
    settings = command.Settings(came, "00_start", tmp_path / "out", workers=1, progress=False)
    graded = command.grade_class(settings)
    assert ["bob" in notice for notice in graded.notices] == [True]
    assert len(list((tmp_path / "out" / "feedback").iterdir())) == 2


def test_what_is_too_large_is_a_sentence(tmp_path):
    (tmp_path / "jane_00_start.ipynb").write_bytes(b"[" * 2_000_000)
    (submission,) = find(tmp_path, "00_start")
    with pytest.raises(GradingError, match="deep"):
        submission.read()


# --- many attempts ----------------------------------------------------------------------------------


def attempt(number, points=1.0):
    mark = Mark("start.fit_gaussian", "Fit", points, 3.0, "tag", ())
    return Result("mallory", f"{number}.ipynb", "00_start", (mark,), attempt=number)


@pytest.mark.parametrize(("count", "person"), [(1, False), (3, False), (4, True), (20, True)])
@pytest.mark.parametrize("which", ["best", "last"])
def test_more_than_three_attempts_need_a_person(count, person, which):
    (chosen,) = choose([attempt(n + 1, n % 3) for n in range(count)], which)
    assert chosen.needs_person is person
    assert (final_points(chosen) is None) is person
    (chosen,) = choose([attempt(n + 1) for n in range(count)], which, most=30)
    assert not chosen.needs_person


# --- copies -----------------------------------------------------------------------------------------


def print_of(source, name):
    found = find_answers(code_cells(json.dumps(book(source)).encode()), [Wanted("x", name)])["x"]
    return found.fingerprint


def test_a_copy_stays_one_under_other_names_annotations_and_layout():
    reference = get("bias.equalized_odds").reference
    copy = """
def equalized_odds(wahr, gewaehlt, gruppe):
    "Mine."
    luecken: list = []
    for seite in (0, 1):
        raten = [gewaehlt[(gruppe == k) & (wahr == seite)].mean()
                 for k in np.unique(gruppe)]
        luecken.append((max(raten) - min(raten)))  # a comment
    return float(max(luecken))
"""
    assert print_of(copy, "equalized_odds") == fingerprint_of(reference)
    other = copy.replace("max(raten) - min(raten)", "np.ptp(raten)")
    assert print_of(other, "equalized_odds") != fingerprint_of(reference)


def test_stubs_are_not_alike():
    def result(student, sentence):
        cases = (Case("a", False, 0, 1, sentence),)
        mark = Mark("vae.elbo", "ELBO", 0, 2, "tag", cases, fingerprint="same", length=50)
        return Result(student, f"{student}.ipynb", "01_vae", (mark,))

    stubs = [result(name, "Not solved yet.") for name in "abc"]
    assert len(similar(stubs).splitlines()) == 1
    tries = [result(name, "The sign is wrong.") for name in "de"]
    assert similar([*stubs, *tries]).splitlines()[1:] == ["vae.elbo,50,2,d | e"]
