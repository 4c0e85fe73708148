"""What an instructor does with a class: decisions, due times, statistics, feedback in bulk."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.cli import main
from course_lib.grading import decisions, due, statistics, summary
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.submission import find
from course_lib.grading.lms import autograder, canvas, moodle, returned
from course_lib.grading.policy import Late, final_points, needs_person
from course_lib.grading.result import Case, Flag, Mark, Result

TWO = ("vae.elbo", "vae.train_step")


def mark(name, points, sentence="The sign is wrong.", found="tag", fingerprint=""):
    cases = (
        Case("a", points >= 1, min(points, 1), 1, "" if points >= 1 else sentence),
        Case("b", points >= 2, max(points - 1, 0), 1, "" if points >= 2 else sentence),
    )
    return Mark(name, name.upper(), points, 2.0, found, cases, fingerprint=fingerprint, length=60)


def result(student="jane", points=(2, 1), flags=(), **more):
    marks = tuple(map(mark, TWO, points))
    return Result(student, f"{student}.ipynb", "01_vae", marks, tuple(flags), **more)


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def decided(folder, *lines):
    file = folder / decisions.FILE
    text = io.StringIO()
    csv.writer(text).writerows([decisions.COLUMNS, *lines])
    file.write_text(text.getvalue())
    return decisions.read_decisions(file)


# --- decisions --------------------------------------------------------------------------------------


def test_a_person_s_mark_for_the_whole_counts_and_settles_every_flag(tmp_path):
    known = decided(tmp_path, ("jane", "", "", "3.5", "looked at", "A. Teacher", "today"))
    jane = result(flags=[Flag("unreadable", "broken")], late=True)
    late = Late.parse("50%")
    assert final_points(jane, late) is None
    (jane, bob), told = decisions.with_decisions([jane, result("bob")], known)
    assert final_points(jane, late) == 3.5 and not needs_person(jane, Late.parse("refuse"))
    assert final_points(bob, late) == 3 and not told
    assert "A. Teacher" in jane.flags[-1].sentence and "looked at" in jane.flags[-1].sentence


def test_a_person_s_mark_for_an_exercise_settles_that_exercise_only(tmp_path):
    known = decided(tmp_path, ("jane", "", TWO[1], "2", "right, in NumPy", "A. Teacher", ""))
    flags = [Flag("tampered", "x", TWO[1]), Flag("tampered", "y", TWO[0])]
    (jane,), _ = decisions.with_decisions([result(flags=flags)], known)
    assert [m.points for m in jane.marks] == [2, 2]
    assert needs_person(jane)  # the other one is still open
    (jane,), _ = decisions.with_decisions([result(flags=flags[:1])], known)
    assert final_points(jane) == 4


def test_a_person_may_let_stand_what_was_computed(tmp_path):
    known = decided(tmp_path, ("jane", "", "", "", "two honest attempts", "A. Teacher", ""))
    (jane,), _ = decisions.with_decisions([result(flags=[Flag("attempts", "5 attempts")])], known)
    assert final_points(jane) == 3


def test_one_answer_that_is_gone_does_not_blank_the_whole_grade():
    gone = result(flags=[Flag("missing", "deleted", TWO[1])], points=(2, 0))
    assert gone.needs_person and final_points(gone) == 2  # to be looked at, and the rest counts
    nothing = replace(gone, marks=tuple(replace(m, found="nowhere") for m in gone.marks))
    assert final_points(nothing) is None


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (("jane", "", "", "7", "", "A", ""), "reason"),
        (("jane", "", "", "7", "why", "", ""), "who"),
        (("", "", "", "7", "why", "A", ""), "student"),
        (("jane", "", "", "many", "why", "A", ""), "many"),
        (("jane", "", "", "-1", "why", "A", ""), "-1"),
        (("jane", "", "", "nan", "why", "A", ""), "nan"),
        (("jane", "", "", "99", "why", "A", ""), "99"),
        (("jane", "", "vae.nothing", "1", "why", "A", ""), "vae.nothing"),
    ],
)
def test_a_decision_that_cannot_be_meant_is_refused(line, word, tmp_path):
    with pytest.raises(GradingError, match=word):
        decisions.with_decisions([result()], decided(tmp_path, line))


def test_a_decision_for_nobody_or_for_two_changes_nothing_and_is_told(tmp_path):
    known = decided(
        tmp_path, ("zoe", "", "", "1", "why", "A", ""), ("jane", "", "", "1", "why", "A", "")
    )
    twice = [result(student_id="1"), result(student_id="2")]
    same, told = decisions.with_decisions(twice, known)
    assert same == twice and len(told) == 2 and "student_id" in told[1]
    by_id = decided(tmp_path, ("jane", "2", "", "1", "why", "A", ""))
    (first, second), told = decisions.with_decisions(twice, by_id)
    assert (final_points(first), final_points(second), told) == (3, 1, [])


@pytest.mark.parametrize("as_written", [False, True])
def test_a_decision_fits_a_name_as_people_and_as_grades_csv_write_it(as_written, tmp_path):
    names = ["jane", "=cmd|' !A1'", "-2+3", "\uff1da", "ann;=bob", "O'Neil, Zoë"]
    results = [result(name) for name in names]
    (tmp_path / "grades.csv").write_text(summary.grades(results), encoding="utf-8")
    written = [row["student"] for row in rows((tmp_path / "grades.csv").read_text("utf-8"))]
    assert written != names
    for name in written if as_written else names:
        decisions.add(tmp_path, decisions.Decision(name, "", "", 1, "why", "A", ""))
    known = decisions.read_decisions(tmp_path / decisions.FILE)
    found, told = decisions.with_decisions(results, known)
    assert [final_points(r) for r in found] == [1] * len(names) and not told


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"student": "zoe"}, "No student in .* is called zoe"),
        ({"student": "Jane"}, "No student in .* is called Jane"),
        ({"student": "bob", "student_id": "9"}, "called bob and has the id 9"),
        ({"student": "ann"}, "2 students in .* are called ann. .* --id"),
        ({"exercise": "vae.train_steps"}, "Did you mean 'vae.train_step'"),
        ({"exercise": TWO[1], "mark": 99}, "99 points are more than the 2 "),
        ({"mark": 4.5}, "4.5 points are more than the 4 "),
    ],
)
def test_a_decision_that_does_not_fit_the_grades_is_not_written_down(said, words, tmp_path):
    """It would stop the next run, or change nothing in it."""
    decision = replace(decisions.Decision("jane", "", "", 1, "why", "A", ""), **said)
    with pytest.raises(GradingError, match="First: course-lib grade"):
        decisions.add(tmp_path, decision)
    results = [
        result(),
        result("bob"),
        result("ann", student_id="1"),
        result("ann", student_id="2"),
    ]
    (tmp_path / "grades.csv").write_text(summary.grades(results))
    with pytest.raises(GradingError, match=words):
        decisions.add(tmp_path, decision)
    assert not (tmp_path / decisions.FILE).exists()
    good = [("jane", "", ""), ("jane", "", TWO[1]), ("ann", "2", "")]
    for name, id, exercise in good:
        decisions.add(tmp_path, decisions.Decision(name, id, exercise, 2, "why", "A", ""))
    assert len(decisions.read_decisions(tmp_path / decisions.FILE)) == len(good)


def test_a_decision_about_a_text_has_the_text_s_points(tmp_path):
    text = Mark("capstone.purpose", "Purpose", 0.0, 3.0, "written", ())
    jane = Result("jane", "jane.ipynb", "20_capstone", (text,), ())
    (tmp_path / "grades.csv").write_text(summary.grades([jane]))
    decision = decisions.Decision("jane", "", text.id, 3, "why", "A", "")
    decisions.add(tmp_path, decision)
    with pytest.raises(GradingError, match="than the 3"):
        decisions.add(tmp_path, replace(decision, mark=3.5))


def test_former_ids_of_exercises_are_known(tmp_path):
    known = decided(tmp_path, ("jane", "", "vae.kl", "1", "why", "A", ""))
    assert known[0].exercise == "vae.kl_divergence"
    stored = result().to_json()
    stored["exercises"][0]["id"] = "vae.kl"
    stored["flags"] = [{"exercise": "vae.kl", "kind": "missing", "sentence": "x"}]
    read = Result.from_json(stored)
    assert read.marks[0].id == read.flags[0].exercise == "vae.kl_divergence"


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from(["ann", "=bob", "cem\n"]), st.integers(0, 4)), max_size=6)
)
def test_every_changed_mark_is_in_the_trail_and_no_other(changes):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        marks = {"ann": 1, "=bob": 1, "cem\n": 1}

        def run():
            results = [replace(result(n), decided=float(p)) for n, p in marks.items()]
            return decisions.record_changes(folder, results)

        assert run() == []
        expected = 0
        for who, points in changes:
            expected += marks[who] != points
            marks[who] = points
            run()
            assert len(decisions.trail(folder)) == expected
        assert run() == []


def test_the_command_writes_a_decision_that_outlives_the_next_run(tmp_path, capsys, walls):
    source = (
        "# exercise: start.fit_gaussian\ndef fit_gaussian(points):\n    return points.mean(0)\n"
    )
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "jane_00_start.ipynb").write_text(json.dumps(book))
    out = tmp_path / "grades"
    call = [
        "grade",
        str(tmp_path / "in"),
        "--lesson",
        "00_start",
        "--out",
        str(out),
        "--workers",
        "1",
    ]
    decide = ["decide", str(out), "--student", "jane", "--mark", "0.5", "--who", "A. Teacher"]
    assert main([*decide, "--reason", "half of it"]) == 2  # nothing graded yet
    assert main(call) == 0
    assert main([*decide, "--reason", ""]) == 2
    assert not (out / "decisions.csv").exists()
    assert main([*decide, "--reason", "half of it"]) == 0
    for _ in range(2):
        assert main(call) == 0
        (row,) = rows((out / "grades.csv").read_text())
        assert row["grade"] == "0.5" and "half of it" in row["flags"]
    (change,) = rows((out / "audit.csv").read_text())
    assert (change["before"], change["after"], change["student"]) == ("0", "0.5", "jane")
    assert (out / "statistics.html").exists() and "fit_gaussian" in (
        out / "statistics.json"
    ).read_text()


# --- due times --------------------------------------------------------------------------------------


def dues(folder, text):
    (folder / "due.csv").write_text(text)
    return due.read_due_times(folder / "due.csv")


def at(text):
    return datetime.fromisoformat(text)


def test_what_is_late_depends_on_the_moment_and_not_on_the_clock_s_zone(tmp_path):
    known = dues(tmp_path, "student,due\n,2026-03-01 23:59 America/Los_Angeles\n")
    assert known.of_class == at("2026-03-02T07:59:00+00:00")
    early = result("ann", submitted=at("2026-03-02T08:58:00+01:00"), late=True)
    late = result("bob", submitted=at("2026-03-02T08:00:00+00:00"))
    (ann, bob), told = due.with_due_times([early, late], known)
    assert (ann.late, bob.late, told) == (False, True, [])


def test_an_extension_is_one_student_s_own(tmp_path):
    text = "student,id,due\n,,2026-03-01T12:00+00:00\nJosé,,2026-03-05T12:00+00:00\n,7,2026-03-03T12:00Z\n"
    known = dues(tmp_path, text)
    time = at("2026-03-04T12:00:00+00:00")
    given_ = [
        result("Jose\u0301", submitted=time),
        result("eve", student_id="7", submitted=time),
        result("bob", submitted=time),
    ]
    found, told = due.with_due_times(given_, known)
    assert [r.late for r in found] == [False, True, True] and not told


def test_without_a_time_the_layout_s_word_counts_and_an_extension_needs_a_person(tmp_path):
    known = dues(tmp_path, "student,due\n,2026-03-01T12:00Z\nann,2026-03-05T12:00Z\n")
    (ann, bob), told = due.with_due_times(
        [result("ann", late=True), result("bob", late=True)], known
    )
    assert needs_person(ann) and bob.late and not needs_person(bob)
    assert any("not known when 1" in sentence for sentence in told)


def test_the_file_can_say_when_something_was_handed_in(tmp_path):
    text = "student,due,submitted\n,2026-03-01T12:00Z,\n"
    text += "ann,,2026-03-01 12:01 UTC\nzoe,,2026-03-01 12:01 UTC\n"
    (ann,), told = due.with_due_times([result("ann")], dues(tmp_path, text))
    assert ann.late and "zoe" in told[0]


@pytest.mark.parametrize(
    "time", ["2026-03-01 23:59", "tomorrow", "2026-03-01 23:59 Mars/Base", "1 2 3"]
)
def test_a_time_without_a_zone_or_sense_is_refused(time, tmp_path):
    with pytest.raises(GradingError, match="line 2"):
        dues(tmp_path, f"student,due\n,{time}\n")


def test_no_line_for_one_student_becomes_the_class_s(tmp_path):
    with pytest.raises(GradingError, match=r"'name' is not known. .* student, id, due, submitted"):
        dues(tmp_path, "name,due\nann,2026-03-05T12:00Z\n")
    assert dues(tmp_path, "Student,due,\nann,2026-03-05T12:00Z,\n").of_class is None


@pytest.mark.parametrize("who", ["ann,", "'=ann,", ",7", ","])
def test_nobody_has_two_due_times(who, tmp_path):
    other = "  =ANN," if who.startswith("'") else who
    time = "2026-03-05T12:00Z"
    text = f"student,id,due\n{who},{time}\n\nbob,8,{time}\n{other},{time}\n"
    with pytest.raises(GradingError, match="line 5: line 2 is about"):
        dues(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"student;due\n;2026-03-01T12:00Z\n", "no column due .* by commas, not by semicolons"),
        (b"student\tdue\n", "no column due .* by commas, not by tabs"),
        (b"student,until\n", "no column due in its first line.$"),
        (b"", "is empty"),
        ("student,due\nMüller,2026-03-01T12:00Z\n".encode("cp1252"), "CSV UTF-8"),
        (None, "There is no file"),
        (b"student,due\n\n\n,tomorrow\n", "line 4"),
        (b'student,due\n"two\nlines",2026-03-01T12:00Z\n,tomorrow\n', "line 4"),
    ],
)
def test_a_csv_file_that_cannot_be_used_says_where_and_why(content, words, tmp_path):
    file = tmp_path / "due.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(GradingError, match=words):
        due.read_due_times(file)


def test_moodle_s_worksheet_says_when_and_gets_times_back(tmp_path):
    when = at("2026-11-28T19:18:00+01:00")
    assert moodle.moodle_time(when) == "Saturday, 28 November 2026, 7:18 PM"
    (tmp_path / "w.csv").write_text(
        "Identifier,Last modified (submission)\n"
        'Participant 7,"Saturday, 28 November 2026, 7:18 PM"\nParticipant 8,-\n'
    )
    zone = when.tzinfo
    assert due.submitted_in_moodle(tmp_path / "w.csv", zone) == {"7": when}
    jane = result(
        student_id="7", layout="moodle", submitted=when, graded=at("2026-11-29T08:05:00+01:00")
    )
    (row,) = rows(moodle.worksheet([jane])[0])
    assert row["Last modified (submission)"] == "Saturday, 28 November 2026, 7:18 PM"
    assert row["Last modified (grade)"] == "Sunday, 29 November 2026, 8:05 AM"


# --- feedback in bulk -------------------------------------------------------------------------------


def test_feedback_goes_back_under_the_names_that_the_systems_gave(tmp_path):
    jane = result("Jane_Doe/x", student_id="5", layout="moodle")
    ann = replace(
        result("doejane", student_id="1234", layout="canvas"),
        source="week.zip/doejane_LATE_1234_56789_01_vae.ipynb",
    )
    by_hand = result("bob")
    written = returned.write_returned(
        tmp_path, [(r, f"<p>{r.student}") for r in (jane, ann, by_hand)]
    )
    assert [path.name for path in written] == ["feedback_moodle.zip", "feedback_canvas.zip"]
    with zipfile.ZipFile(written[0]) as archive:
        (name,) = archive.namelist()
        assert name == "Jane Doe x_5_assignsubmission_file/feedback.html"
        assert moodle.NAMED.fullmatch(name.split("/")[0])["id"] == "5"
    with zipfile.ZipFile(written[1]) as archive:
        (name,) = archive.namelist()
        assert canvas.parse(name)[0].id == "1234" and canvas.parse(name)[0].file == "56789"
        assert archive.read(name) == b"<p>doejane"
    before = written[0].read_bytes()
    returned.write_returned(tmp_path, [(jane, "<p>Jane_Doe/x")])
    assert written[0].read_bytes() == before


# --- statistics -------------------------------------------------------------------------------------


def test_shares_mistakes_and_discrimination():
    points = [(2, 2), (2, 2), (1, 0), (2, 1), (0, 0), (0, 0)]
    results = [result(str(n), pair) for n, pair in enumerate(points)]
    unseen = replace(result("x"), marks=tuple(replace(m, found="nowhere") for m in result().marks))
    first, second = statistics.count([*results, unseen])
    assert first.solved == pytest.approx(3 / 6) and first.points == pytest.approx(7 / 12)
    assert [c.share for c in first.cases] == pytest.approx([4 / 6, 3 / 6])
    assert first.mistakes == (("The sign is wrong.", 3),)
    assert second.solved == pytest.approx(2 / 6)
    # The correlation of the two columns, by hand: of two exercises each is the other's rest.
    assert first.discrimination == pytest.approx(second.discrimination)
    assert first.discrimination == pytest.approx(25 / 29)


ONE = """def elbo(x, logits, mu, log_var, beta=1.0):
    divergence = 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(-1)
    fit = torch.distributions.Binomial(16, logits=logits).log_prob(x).sum(-1)
    return fit - beta * divergence
"""


def test_pairs_are_ranked_whatever_the_names_and_comments():
    renamed = ONE.replace("divergence", "kl").replace("fit", "likelihood") + "# mine\n"
    changed = ONE.replace("0.5 * (", "(").replace(".sum(-1)\n", ".sum(-1) / 2\n", 1)
    head = ONE.splitlines()[0]
    other = f"{head}\n    return log_likelihood(x, logits) - beta * kl(mu)\n"
    sources = {"ann": ONE, "bob": renamed, "cem": changed, "dan": other}
    results = [replace(result(name), marks=(mark(TWO[0], 2),)) for name in sources]
    found = statistics.pairs(results, lambda r: {TWO[0]: sources[r.student]})
    assert (found[0].first, found[0].second, found[0].likeness) == ("ann", "bob", 1.0)
    assert {name for pair in found for name in (pair.first, pair.second)} == {
        "ann",
        "bob",
        "cem",
    } or (len(found) == 1)
    assert found[0].sources == (ONE, renamed)


def test_the_page_shows_no_markup_of_a_learner_and_describes_its_picture():
    hostile = "<script>alert(1)</script>\u202e\n" + ONE
    results = [replace(result(f"<b>{n}"), marks=(mark(TWO[0], 2, fingerprint="f"),)) for n in "ab"]
    page = statistics.statistics_page(results, lambda r: {TWO[0]: hostile})
    assert "<script>alert" not in page and "<b>a" not in page and "\u202e" not in page
    assert "&lt;script&gt;" in page and 'alt="Bars of' in page and "Content-Security-Policy" in page
    assert statistics.statistics_page([], lambda r: {})


# --- Gradescope's autograder ------------------------------------------------------------------------

FIT = """# exercise: start.fit_gaussian
def fit_gaussian(points):
    mean = points.mean(dim=0)
    return mean, (points - mean).T @ (points - mean) / len(points)
"""


def handed_in(root, source, name="Untitled.ipynb"):
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (root / "submission").mkdir(parents=True, exist_ok=True)
    (root / "submission" / name).write_text(json.dumps(book))
    return root


def autograded(root):
    assert autograder.main("00_start", root) == 0
    return json.loads((root / "results" / "results.json").read_text())


def test_the_autograder_holds_all_that_gradescope_runs(tmp_path, capsys):
    assert main(["gradescope", "01_vae", "--out", str(tmp_path), "--seed", "s"]) == 0
    assert main(["gradescope", "99_nothing", "--out", str(tmp_path)]) == 2
    assert "99_nothing" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "autograder_01_vae.zip") as archive:
        names = set(archive.namelist())
        for script in ("setup.sh", "run_autograder"):
            assert archive.getinfo(script).external_attr >> 16 == 0o755
            done = subprocess.run(["bash", "-n"], input=archive.read(script), capture_output=True)
            assert done.returncode == 0, done.stderr
        assert b"main('01_vae')" in archive.read("run_autograder")
        needs = archive.read("requirements.txt").decode().split()
        assert json.loads(archive.read("run.json"))["secret"] == "s"
    assert {"course/course_lib/grading/evaluation.py", "course/course_lib/syllabus.toml"} <= names
    assert any(name.startswith("course/data/") for name in names)
    assert not any("__pycache__" in name for name in names)
    assert any(need.startswith("torch") for need in needs)
    assert not any(need.startswith("nbgrader") for need in needs)


def test_the_autograder_marks_by_the_same_judge(tmp_path, walls):
    (tmp_path / "source").mkdir()
    right = autograded(handed_in(tmp_path, FIT))
    assert right["score"] == 1 and all(test["status"] == "passed" for test in right["tests"])
    secret = json.loads((tmp_path / "source" / "run.json").read_text())["secret"]
    wrong = autograded(handed_in(tmp_path, FIT.replace(" / len(points)", "")))
    assert wrong["score"] == 0 and secret not in json.dumps(wrong)
    (tmp_path / "submission" / "Untitled.ipynb").write_text("{")
    assert "score" not in autograded(tmp_path)
    (tmp_path / "submission" / "Untitled.ipynb").unlink()
    nothing = autograded(tmp_path)
    assert "score" not in nothing and "person" in nothing["output"]


METADATA = """---
submission_1:
  :submitters:
  - :name: Jane Doe
    :sid: '111'
    :email: jane@x.example
  - :name: "Zo\\u00EB \\"Z\\" O'Neil"
    :sid: '112'
    :email: zoe@x.example
  :created_at: 2026-03-01 23:59:30.000000000 -08:00
  :score: 1.0
submission_2:
  :submitters:
  - :name: 'Bob O''Roe'
    :sid:
    :email: bob@x.example
  :created_at: 2026-03-02 08:59:30.123456789 Z
"""


def test_gradescope_s_export_is_read_alike_without_pyyaml(tmp_path, monkeypatch):
    """What `pip install -e .` alone brings is enough."""
    for number in (1, 2):
        folder = tmp_path / "assignment_9_export" / f"submission_{number}"
        folder.mkdir(parents=True)
        (folder / "00_start.ipynb").write_text("{}")
    (tmp_path / "assignment_9_export" / "submission_metadata.yml").write_text(METADATA)

    def students():
        found = find(tmp_path, "00_start")
        return [(s.student, s.student_id, s.submitted and s.submitted.timestamp()) for s in found]

    with_yaml = students()
    assert [name for name, *_ in with_yaml] == ["Bob O'Roe", "Jane Doe", 'Zoë "Z" O\'Neil']
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert students() == with_yaml
