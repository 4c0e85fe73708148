"""A lesson in the real nbgrader: written as an assignment, validated, autograded, and our results in
its gradebook, its formgrader and its exchange."""

import copy
import html
import json
import os
import re
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest
import torch
from nbconvert import HTMLExporter
from nbgrader.api import Gradebook
from nbgrader.apps import NbGrader
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.preprocessors import ClearSolutions, Execute
from nbgrader.validator import Validator

from course_lib.cli import main
from course_lib.exercises import all_exercises, earned, get
from course_lib.exercises.aliases import original
from course_lib.exercises.checking import try_out
from course_lib.grading.errors import GradingError
from course_lib.grading.lms.nbgrader import assignment, gradebook
from course_lib.grading.lms.nbgrader.gradebook import push, student_id
from course_lib.grading.result import Flag, Result
from course_lib.syllabus import course, lesson

ROOT = Path(__file__).parents[1]
NAME = "01_vae"
TWO = ("vae.reparameterize", "vae.kl_divergence")  # 1 point and 2

pytestmark = pytest.mark.nbgrader


def read(file):
    return nbformat.read(file, as_version=4)


def graded_cells(book):
    return {c.metadata.nbgrader.grade_id: c for c in book.cells if "nbgrader" in c.metadata}


# --- the points that an answer earns -------------------------------------------------------------


def test_every_case_earns_its_part_and_the_rest_says_why(capsys):
    kl = get("vae.kl_divergence")
    assert earned("vae.kl_divergence", kl.alternatives[0], seeds=[0, 7]) == kl.points
    assert "passed.\n" in capsys.readouterr().out

    bad = len(kl.cases(0))

    def right_once(mu, log_var):
        nonlocal bad
        bad -= 1
        return kl.reference(mu, log_var) if bad else -kl.reference(mu, log_var)

    cases = len(kl.cases(0))
    assert earned("vae.kl_divergence", right_once) == pytest.approx(kl.points * (cases - 1) / cases)
    said = capsys.readouterr().out
    assert f"{cases - 1} of {cases} cases passed" in said
    assert len(said.splitlines()) == 2 and "you gave" in said

    assert earned("vae.kl_divergence", kl.typical_mistakes[0].answer, seeds=[7]) < kl.points
    said = capsys.readouterr().out
    assert kl.typical_mistakes[0].sentence in said
    assert "you gave" not in said  # numbers only of the cases that the check shows


def test_an_unsolved_answer_earns_nothing_and_raises_nothing(capsys):
    def kl_divergence(mu, log_var):
        raise NotImplementedError("later")

    assert earned("vae.kl_divergence", kl_divergence, seeds=[0, 1]) == 0.0
    assert "Not solved yet." in capsys.readouterr().out


def test_the_reference_that_a_check_gave_back_is_no_answer(capsys):
    assert earned("vae.kl_divergence", get("vae.kl_divergence").reference) == 0.0
    assert "the library's own kl_divergence" in capsys.readouterr().out


def test_noise_costs_nothing(capsys):
    def kl_divergence(mu, log_var):
        print("look", file=sys.stderr)
        return get("vae.kl_divergence").reference(mu, log_var)

    assert earned("vae.kl_divergence", kl_divergence) == get("vae.kl_divergence").points
    assert capsys.readouterr().err == ""


# --- writing an assignment -----------------------------------------------------------------------


@pytest.fixture(scope="module", params=["00_start", "01_vae"])
def whole(request, tmp_path_factory):
    """A course with a whole lesson in it."""
    folder = tmp_path_factory.mktemp("whole") / "a course"
    release = assignment.write_assignment(request.param, folder)
    return folder, request.param, release


def test_a_release_holds_the_lesson_s_stubs_and_nothing_hidden(whole):
    folder, name, release = whole
    stubs = read(ROOT / "notebooks" / f"{name}.ipynb")
    source, released = read(folder / "source" / name / f"{name}.ipynb"), read(release)
    text = release.read_text(encoding="utf-8")
    for word in ("SOLUTION", "HIDDEN", str(assignment.HIDDEN_SEED), "whoever grades"):
        assert word not in text
        assert word in (folder / "source" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    there = {cell.id: cell for cell in released.cells}
    assert [cell.id for cell in source.cells] == [cell.id for cell in released.cells]
    for cell in stubs.cells:
        lines = [x for x in there[cell.id].source.splitlines() if x.strip() != "# YOUR CODE HERE"]
        assert lines == cell.source.splitlines()
        assert there[cell.id].metadata.get("tags") == cell.metadata.get("tags")
    order = [cell.id for cell in released.cells if cell.id in {c.id for c in stubs.cells}]
    assert order == [cell.id for cell in stubs.cells]


def test_the_graded_cells_are_in_order_and_worth_the_lesson_s_points(whole):
    folder, name, release = whole
    exercises = [get(each) for each in lesson(name).exercises]
    for file in (folder / "source" / name / f"{name}.ipynb", release):
        book = read(file)
        MetadataValidator().validate_nb(book)  # the schema, and that every grade_id is unique
        marked = graded_cells(book)
        pairs = [(f"answer-{dashed(e.id)}", f"test-{dashed(e.id)}") for e in exercises]
        assert list(marked) == [each for pair in pairs for each in pair] + ["essay"]
        assert {c.metadata.nbgrader.schema_version for c in marked.values()} == {3}
        for exercise, (answer, test) in zip(exercises, pairs, strict=True):
            assert marked[answer].metadata.nbgrader.solution
            metadata = marked[test].metadata.nbgrader
            assert metadata.grade and metadata.locked and metadata.points == exercise.points
            # Behind the check the name may stand for the library's function.
            ids = [cell.id for cell in book.cells]
            assert ids.index(marked[test].id) == ids.index(marked[answer].id) + 1
        essay = marked["essay"]
        assert essay.cell_type == "markdown"
        assert essay.metadata.nbgrader.grade and essay.metadata.nbgrader.solution
        assert lesson(name).question in essay.source


def dashed(exercise_id):
    return original(exercise_id).replace(".", "-")  # released assignments keep their cells' names


@pytest.mark.parametrize("whole", ["00_start"], indirect=True)
def test_writing_again_changes_nothing_and_a_change_by_hand_is_kept(whole):
    folder, name, release = whole
    source = folder / "source" / name / f"{name}.ipynb"
    config = folder / "nbgrader_config.py"
    config.write_text(config.read_text() + "# mine\n")
    before = {file: file.read_bytes() for file in (source, release, config)}
    assignment.write_assignment(name, folder)
    assert {file: file.read_bytes() for file in before} == before
    source.write_text(source.read_text(encoding="utf-8").replace("150 words", "90 words"))
    with pytest.raises(GradingError, match="changed by hand"):
        assignment.write_assignment(name, folder)
    assert "90 words" in source.read_text(encoding="utf-8")
    source.write_bytes(before[source])


def test_a_bad_call_is_a_sentence(tmp_path):
    with pytest.raises(GradingError, match=r"no lesson called '01_vea'\. Did you mean"):
        assignment.write_assignment("01_vea", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(GradingError, match="cannot be written to"):
        assignment.write_assignment("00_start", tmp_path / "file")
    (tmp_path / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.source_directory = 'elsewhere'\n"
    )
    with pytest.raises(GradingError, match="nbgrader generate_assignment 00_start --force failed"):
        assignment.write_assignment("00_start", tmp_path)


@pytest.mark.parametrize("exercise", all_exercises(), ids=lambda exercise: exercise.id)
def test_the_solution_in_the_source_is_right(exercise):
    """Also where the stub names its arguments or decorators otherwise than the library."""
    stub = STUBS[exercise.id]
    names = dict(vars(sys.modules[exercise.reference.__module__]))
    exec(assignment.with_solution(stub, exercise), names)
    answer = names[exercise.reference.__name__]
    assert answer is not exercise.reference
    verdicts = try_out(exercise, answer, assignment.HIDDEN_SEED)
    assert all(verdict.passed for _, verdict in verdicts)


def stubs():
    for name in course().lessons:
        for cell in read(ROOT / "notebooks" / f"{name}.ipynb").cells:
            if "exercise" in cell.metadata.get("tags", []):
                yield cell.source.splitlines()[0].removeprefix("# exercise: "), cell.source


STUBS = dict(stubs())


def test_with_nbgrader_s_own_settings_a_stub_stays_unsolved():
    """A course may have settings that we do not touch."""
    stub = STUBS["vae.kl_divergence"]
    metadata = {"nbgrader": {"solution": True}}
    cell = nbformat.v4.new_code_cell(
        assignment.with_solution(stub, get("vae.kl_divergence")), metadata=metadata
    )
    book, _ = ClearSolutions().preprocess(nbformat.v4.new_notebook(cells=[cell]), {})
    text = book.cells[0].source
    assert "raise NotImplementedError()" in text and "SOLUTION" not in text
    names = {"Tensor": torch.Tensor}
    exec(text, names)
    ((_, verdict),) = try_out(get("vae.kl_divergence"), names["kl_divergence"])
    assert verdict.sentence == "Not solved yet."


# --- validate and autograde, on a lesson cut down to two exercises --------------------------------


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A course whose lesson 01 consists of its imports and two exercises."""
    book = read(ROOT / "notebooks" / f"{NAME}.ipynb")
    wanted = {"imports", *(f"{what}-{e}" for what in ("exercise", "check") for e in ("kl", PART))}
    book.cells = [cell for cell in book.cells if cell.id in wanted]
    assert len(book.cells) == 5
    folder = tmp_path_factory.mktemp("cut")
    text = nbformat.writes(assignment.source(lesson(NAME), book))
    assignment.write_source(text, NAME, folder)
    return folder


PART = "reparameterize"


@pytest.fixture
def fresh(cut, tmp_path):
    """A copy of that course, without submissions."""
    shutil.copytree(cut, tmp_path / "course")
    return tmp_path / "course"


def hand_in(folder, student, book):
    target = folder / "submitted" / student / NAME / f"{NAME}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(book, target)


def answered(folder, **answers):
    """The release with answers written into its stubs, by grade_id."""
    book = read(folder / "release" / NAME / f"{NAME}.ipynb")
    for name, text in answers.items():
        graded_cells(book)[name.replace("_", "-")].source = text
    return book


def open_gradebook(folder):
    return Gradebook(f"sqlite:///{folder / 'gradebook.db'}")


def scores(folder, student):
    with open_gradebook(folder) as book:
        row = book.find_submission_notebook(NAME, NAME, student)
        return {grade.name: grade.auto_score for grade in row.grades}


def test_nbgrader_makes_our_release_from_our_source(cut, tmp_path):
    """Elsewhere, where nothing but the source and the settings are."""
    shutil.copytree(cut / "source", tmp_path / "source")
    shutil.copy(cut / "nbgrader_config.py", tmp_path)
    assignment.nbgrader("generate_assignment", NAME, course=tmp_path)
    again = read(tmp_path / "release" / NAME / f"{NAME}.ipynb")
    assert again == read(cut / "release" / NAME / f"{NAME}.ipynb")


def test_the_source_validates_and_the_release_does_not(cut):
    validator = Validator()
    assert validator.validate(str(cut / "source" / NAME / f"{NAME}.ipynb")) == {}
    found = validator.validate(str(cut / "release" / NAME / f"{NAME}.ipynb"))
    failed = [cell["source"].splitlines()[0] for cell in found["failed"]]
    assert list(found) == ["failed"]
    points = "# The points for {}, tried on your answer above; the hand-in is tried on more."
    assert failed == [*(points.format(name) for name in TWO), "## In your own words"]


def test_nbgrader_autogrades(fresh):
    source = fresh / "source" / NAME / f"{NAME}.ipynb"
    hand_in(fresh, "full", read(source))
    stub = STUBS["vae.kl_divergence"]
    right = assignment.with_solution(stub, get("vae.kl_divergence"))
    wrong = stub[: stub.index("    raise")] + "    return mu.sum(dim=-1) + 9"
    some = (
        stub[: stub.index("    raise")]
        + "    if (log_var == 0).all():\n        return 0.5 * (mu**2).sum(dim=-1)\n"
        + "    return mu.sum(dim=-1)"
    )
    hand_in(fresh, "wrong", answered(fresh, answer_vae_kl=wrong))
    hand_in(fresh, "some", answered(fresh, answer_vae_kl=some))
    half = answered(fresh, answer_vae_kl=right)
    half.cells = [cell for cell in half.cells if cell.id != "test-vae-kl"]  # nbgrader puts it back
    hand_in(fresh, "half", half)
    assignment.nbgrader("autograde", NAME, course=fresh)

    assert scores(fresh, "full") == {"test-vae-reparameterize": 1, "test-vae-kl": 2, "essay": None}
    # An essay that nobody has touched is worth nothing.
    assert scores(fresh, "half") == {"test-vae-reparameterize": 0, "test-vae-kl": 2, "essay": 0}
    # The check gives the library's function back under the learner's name; it earns nothing.
    assert scores(fresh, "wrong") == {"test-vae-reparameterize": 0, "test-vae-kl": 0, "essay": 0}
    assert 0 < scores(fresh, "some")["test-vae-kl"] < 2


def test_the_course_s_settings_reach_nbgrader(cut):
    app = NbGrader()
    app.initialize([], root=str(cut))
    assert Execute(parent=app).timeout == 600


# --- our results in the gradebook -----------------------------------------------------------------


def result(student="ann", passed=(3, 3), **changes):
    """A result whose two exercises passed so many of three cases."""
    exercises = []
    for name, good in zip(TWO, passed, strict=True):
        cases = [
            {"name": f"case {i}", "passed": i < good, "points": 0.0, "of": 0.0}
            | {"sentence": "" if i < good else "The sign is wrong: 1 < 2 <b>really</b>."}
            for i in range(3)
        ]
        points = get(name).points
        exercises.append(
            {"id": name, "title": get(name).title, "points": points * good / 3, "of": float(points)}
            | {"found": "tag", "cases": cases, "seconds": 0.1}
        )
    stored = {
        **{"version": 1, "student": student, "source": f"{student}.ipynb", "lesson": NAME},
        **{"flags": [], "exercises": exercises, "graded": "2026-01-01T00:00:00+00:00"},
        **changes,
    }
    return Result.from_json(stored)


def for_a_person(sentence="It patches torch."):
    """A flag for which a person must look."""
    return {"exercise": None, "kind": "tampered", "sentence": sentence}


def page(result):
    return f"<!doctype html><title>Feedback</title><p>For {result.student}"


def entries(folder, student="ann"):
    """All that formgrader's API tells of one submitted notebook."""
    with open_gradebook(folder) as book:
        row = book.find_submission_notebook(NAME, NAME, student)
        grades = {grade.name: grade.to_dict() for grade in row.grades}
        comments = {comment.name: comment.auto_comment for comment in row.comments}
        return grades, comments


def everything(folder):
    """The gradebook as SQL, and every file with the time of its last change."""
    with sqlite3.connect(folder / "gradebook.db") as database:
        dump = "\n".join(database.iterdump())
    files = {
        file.relative_to(folder): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in folder.rglob("*")
        if file.is_file() and file.name != "gradebook.db"
    }
    return dump, files


def test_scores_and_sentences_arrive(fresh):
    raw = (fresh / "release" / NAME / f"{NAME}.ipynb").read_bytes()
    pushed = push([result("ann", (3, 2)), result("bob")], fresh, NAME, page, lambda _: raw)
    assert pushed == 2
    grades, comments = entries(fresh)
    assert grades["test-vae-reparameterize"]["auto_score"] == 1
    assert grades["test-vae-kl"]["auto_score"] == pytest.approx(4 / 3)
    assert [grades[f"test-{dashed(name)}"]["needs_manual_grade"] for name in TWO] == [False, False]
    assert grades["essay"]["needs_manual_grade"] and grades["essay"]["auto_score"] is None
    # nbgrader's feedback takes a comment for Markdown.
    said = "- case 2: The sign is wrong: 1 &lt; 2 &lt;b&gt;really&lt;/b&gt;."
    assert comments == {"answer-vae-reparameterize": None, "answer-vae-kl": said, "essay": None}
    with open_gradebook(fresh) as book:
        assert {s.id: pytest.approx(s.score) for s in book.students} == {"ann": 7 / 3, "bob": 3}
    folder = fresh / "feedback" / "ann" / NAME
    assert (folder / f"{NAME}.html").read_text() == page(result())
    assert (fresh / "submitted" / "ann" / NAME / f"{NAME}.ipynb").read_bytes() == raw


def test_the_gradebook_s_own_scale_counts(fresh):
    with open_gradebook(fresh) as book:
        book.find_grade_cell("test-vae-kl", NAME, NAME).max_score = 10
        book.db.commit()
    push([result(passed=(3, 1))], fresh, NAME)
    assert entries(fresh)[0]["test-vae-kl"]["auto_score"] == pytest.approx(10 / 3)


def test_pushing_again_changes_nothing(fresh):
    results = [result("ann", (3, 2), submitted="2026-01-02T03:04:05+01:00"), result("bob")]
    raw = (fresh / "release" / NAME / f"{NAME}.ipynb").read_bytes()
    push(results, fresh, NAME, page, lambda _: raw)
    before = everything(fresh)
    push(results, fresh, NAME, page, lambda _: raw)
    assert everything(fresh) == before


def test_what_a_person_entered_stays_until_the_submission_changes(fresh):
    person = result(passed=(1, 2), flags=[for_a_person()])
    push([person], fresh, NAME, notebook=lambda _: b'{"cells": []}')
    with open_gradebook(fresh) as book:
        row = book.find_submission_notebook(NAME, NAME, "ann")
        for grade in row.grades:  # as formgrader does
            grade.needs_manual_grade = False
            grade.manual_score = 2.0 if grade.name in ("essay", "test-vae-kl") else None
        for comment in row.comments:
            comment.manual_comment = "well done"
        book.db.commit()
    before = everything(fresh)
    push([person], fresh, NAME, notebook=lambda _: b'{"cells": []}')
    assert everything(fresh) == before

    better = result(passed=(3, 3), attempt=2)
    cell = {"cell_type": "markdown", "source": "new", "metadata": {}}
    raw = json.dumps({"cells": [cell]}).encode()
    push([better], fresh, NAME, notebook=lambda _: raw)
    grades, _ = entries(fresh)
    kept = {name: grade["manual_score"] for name, grade in grades.items()}
    assert kept == {"test-vae-reparameterize": None, "test-vae-kl": 2.0, "essay": 2.0}
    asked = {name: grade["needs_manual_grade"] for name, grade in grades.items()}
    assert asked == {"test-vae-reparameterize": False, "test-vae-kl": True, "essay": True}
    with open_gradebook(fresh) as book:
        rows = book.find_submission_notebook(NAME, NAME, "ann").comments
        assert {comment.comment for comment in rows} == {"well done"}
    assert (fresh / "submitted" / "ann" / NAME / f"{NAME}.ipynb").read_bytes() == raw


def test_where_a_person_is_needed_there_is_no_silent_zero(fresh):
    missing = {"exercise": TWO[0], "kind": "missing", "sentence": "The answer was not found."}
    lost = result(passed=(0, 3), flags=[missing, for_a_person()])
    first, second = lost.marks
    lost = replace(lost, marks=(replace(first, found="nowhere"), second))
    unreadable = result("bob", flags=[for_a_person()], exercises=[])
    push([lost, unreadable], fresh, NAME)
    grades, comments = entries(fresh)
    assert all(grade["needs_manual_grade"] for grade in grades.values())
    assert grades["test-vae-reparameterize"]["auto_score"] is None
    assert grades["test-vae-kl"]["auto_score"] == 2
    assert "The answer was not found." in comments["answer-vae-reparameterize"]
    assert "It patches torch." in comments["essay"] and gradebook.PERSON in comments["essay"]
    grades, comments = entries(fresh, "bob")
    assert all(grade["needs_manual_grade"] for grade in grades.values())
    assert {grade["auto_score"] for grade in grades.values()} == {None}
    assert gradebook.PERSON in comments["answer-vae-kl"]
    # A person has cleared it up, and the result says so.
    push([result(passed=(0, 3))], fresh, NAME)
    grades, _ = entries(fresh)
    assert grades["test-vae-reparameterize"]["auto_score"] == 0
    assert not grades["test-vae-reparameterize"]["needs_manual_grade"]
    # Graded first, unreadable now: the old score goes.
    push([result(exercises=[], flags=[for_a_person()])], fresh, NAME)
    assert {grade["auto_score"] for grade in entries(fresh)[0].values()} == {None}


def test_late_submissions_follow_the_course_s_own_rule(fresh):
    with open_gradebook(fresh) as book:
        book.update_or_create_assignment(NAME, duedate="2026-01-02 00:00:00 UTC")
    config = fresh / "nbgrader_config.py"
    rule = 'c.LateSubmissionPlugin.penalty_method = "zero"\n'
    config.write_text(config.read_text() + rule)
    late = result("late", late=True, submitted="2026-01-02T05:00:00+00:00")
    in_time = result("in time", submitted="2026-01-02T05:00:00+06:00")
    push([late, in_time], fresh, NAME)
    with open_gradebook(fresh) as book:
        row = book.find_submission_notebook(NAME, NAME, "late")
        assert row.assignment.total_seconds_late == 5 * 3600
        assert row.late_submission_penalty == row.score == 3
        row = book.find_submission_notebook(NAME, NAME, "in time")
        assert row.assignment.total_seconds_late == 0 and row.late_submission_penalty is None
    assert "Handed in late." in entries(fresh, "late")[1]["essay"]


HOSTILE = [
    *("../../../outside", "/etc/passwd", "..", ".", "", " ", "a/b", "a\\b", "a\x00b", "*", "[a-z]"),
    *("~root", "$(id)", "<script>alert(1)</script>", "x" * 5000, "é" * 300, "a,b", "a+b", "-f"),
    *(".hidden", "trailing.", " spaced ", "\udcff", "new\nline", "\u202egnp", "CON\t", "a:b"),
    *("{student_id}", "%s", "a;b", "'; DROP TABLE student; --"),
]


def test_a_hostile_name_writes_nowhere_else(fresh):
    around = sorted(fresh.parent.iterdir())
    assert push([result(name) for name in HOSTILE], fresh, NAME, page) == len(HOSTILE)
    assert sorted(fresh.parent.iterdir()) == around
    for step in ("autograded", "feedback"):
        students = sorted(path.name for path in (fresh / step).iterdir())
        assert students == sorted(student_id(name) for name in HOSTILE)
        for student in students:
            assert os.listdir(fresh / step / student) == [NAME]
    with open_gradebook(fresh) as book:
        assert sorted(s.id for s in book.students) == students
        assert {s.score for s in book.students} == {3}


def test_names_are_kept_where_they_can_be_and_never_fall_together():
    for name in ("doe_jane", "Zoë Müller", "李雷", "o'brien", "jane.doe@example.org", "अनिल कुमार"):
        assert student_id(name) == name
    ids = [student_id(name) for name in HOSTILE]
    assert len(set(ids)) == len(HOSTILE)
    assert not set(ids) & {student_id(each) for each in ids}  # nobody can take another's id
    assert all(len(os.fsencode(each)) < 255 and not set(each) & set("/\\\0*?[],+") for each in ids)


def test_two_students_of_one_name_stay_two(fresh):
    first, second = result(student_id="12"), result(student_id="34", passed=(0, 0))
    push([first, second], fresh, NAME)
    push([second], fresh, NAME)  # alone, it still is the second
    with open_gradebook(fresh) as book:
        assert {s.id: (s.lms_user_id, s.score) for s in book.students} == {
            "ann": ("12", 3),
            "ann 34": ("34", 0),
        }


def test_a_bad_push_is_a_sentence(fresh, tmp_path):
    with pytest.raises(GradingError, match="There is no gradebook"):
        push([result()], tmp_path / "nowhere", NAME)
    assert not (tmp_path / "nowhere").exists()
    call = ["grade", str(fresh / "submitted"), "--lesson", NAME, "--out", str(tmp_path / "grades")]
    assert main([*call, "--nbgrader", str(tmp_path / "nowhere")]) == 2  # before anything is graded
    assert not (tmp_path / "grades").exists()
    with pytest.raises(GradingError, match="no assignment 'week1' with a notebook '01_vae'"):
        push([result()], fresh, "week1")
    with pytest.raises(GradingError, match="Two results are of one student"):
        push([result(), result()], fresh, NAME)
    first, second = result().marks
    other = replace(result(), marks=(replace(first, id="vae.elbo"), second))
    with pytest.raises(GradingError, match="has no cell test-vae-elbo"):
        push([other], fresh, NAME)


def test_formgrader_gets_a_notebook_with_every_graded_cell_whatever_came_in(fresh):
    release = answered(fresh, essay="## In your own words\n\nBy <b>sampling</b>.")
    bare = answered(fresh, answer_vae_kl="# exercise: vae.kl_divergence\nmine = 1")
    for cell in bare.cells:  # as after a tool that keeps no metadata
        cell.metadata = {}
    bare.cells = [cell for cell in bare.cells if cell.id != "test-vae-kl"]
    noisy = answered(fresh)
    noisy.cells[0].outputs = [nbformat.v4.new_output("stream", text="x" * 1000)]
    doubled = answered(fresh, answer_vae_kl="# exercise: vae.kl_divergence\nfirst = 1")
    doubled.cells.append(nbformat.v4.new_code_cell("# exercise: vae.kl_divergence\nlast = 1"))
    doubled.cells[-1].metadata = graded_cells(doubled)["answer-vae-kl"].metadata
    swapped = answered(fresh, answer_vae_kl="# exercise: vae.reparameterize\nboth = 1")
    del swapped.cells[1]  # the other answer
    odd = [b"no JSON", b"[]", b'{"cells": 3}', b'{"cells": [{"source": [1]}]}', b"[" * 10**5]
    books = [release, bare, noisy, doubled, swapped]
    raws = [nbformat.writes(book).encode() for book in books] + odd
    given = dict(zip("abcdefghij", raws, strict=True))
    results = [result(name) for name in given]
    push(results, fresh, NAME, notebook=lambda r: given[r.student])
    for name in given:
        book = read(fresh / "autograded" / name / NAME / f"{NAME}.ipynb")
        nbformat.validate(book)
        MetadataValidator().validate_nb(book)
        assert len(graded_cells(book)) == 5
        assert not any(cell.get("outputs") for cell in book.cells)
    shown = {
        name: graded_cells(read(fresh / "autograded" / name / NAME / f"{NAME}.ipynb"))
        for name in given
    }
    assert "By <b>sampling</b>." in html.unescape(shown["a"]["essay"].source)
    assert "<b>" not in shown["a"]["essay"].source
    assert shown["b"]["answer-vae-kl"].source.endswith("mine = 1")
    assert "earned(" in shown["b"]["test-vae-kl"].source
    assert shown["d"]["answer-vae-kl"].source.endswith("last = 1")
    assert "not in the submission" in shown["f"]["answer-vae-kl"].source


HOSTILE = [
    "[my essay](javascript:alert(document.cookie))",
    "[a][b]\n\n[b]: javascript:alert(1)",
    "<javascript:alert(1)> <img src=x onerror=alert(1)>",
    "&#106;avascript&colon;alert(1) java\tscript:alert(1)",
    "My essay: see the picture ![image.png](attachment:image.png)",
    "![](http://elsewhere.example/x.png) ![](/formgrader/api/submission)",
    "$$\\href{javascript:alert(1)}{x}$$ and $\\style{color:red}{y}$",
    "\\begin{equation}\\href{javascript:alert(1)}{x}\\end{equation}",
    "</pre><script>alert(1)</script>\n\n```\n\n    code\n# head\u2028[x](data:text/html,alert(1))",
]


@pytest.mark.parametrize("kind", ["markdown", "raw", "heading"])
def test_what_a_learner_wrote_is_shown_and_runs_nothing(kind, fresh):
    book = answered(fresh)
    raw = json.loads(nbformat.writes(book))
    for text in HOSTILE:
        pasted = {"image.png": {"image/png": "iVBORw0KGgo="}}
        raw["cells"].append(
            {"cell_type": kind, "metadata": {}, "source": text, "attachments": pasted}
        )
    push([result("ann")], fresh, NAME, notebook=lambda _: json.dumps(raw).encode())
    shown = read(fresh / "autograded" / "ann" / NAME / f"{NAME}.ipynb")
    shown.cells = [cell for cell in shown.cells if cell.source.startswith("<pre")]
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(shown)
    page = page[page.index("<body") :]
    blocks = re.findall(r"<pre style=.*?</pre>", page, re.DOTALL)
    told = [html.unescape(re.sub("<[^>]*>", "", block)) for block in blocks]
    for text in HOSTILE:
        assert any("".join(text.split()) in "".join(block.split()) for block in told), text
    rest = page
    for block in blocks:
        rest = rest.replace(block, "")
        assert block.count("<") == 2  # of the block itself
    assert not re.search("alert|attachment:|elsewhere|href\\{|formgrader/api", rest)


def test_no_word_of_a_learner_becomes_a_link_in_a_comment(fresh):
    text = "Cell 3 raised ValueError: [x](javascript:alert(1)) $\\href{javascript:1}{y}$ <b>"
    push([replace(result("ann"), flags=(Flag("failed", text),))], fresh, NAME)
    _, comments = entries(fresh)
    said = comments["essay"]
    assert not any(sign in said for sign in "[]$\\<") and text in html.unescape(said)


# --- nbgrader's exchange and its formgrader --------------------------------------------------------


def test_feedback_goes_back_through_the_exchange(fresh, tmp_path, monkeypatch):
    """A student submits; the course collects, is graded by us, and releases what we wrote."""
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    config = fresh / "nbgrader_config.py"
    config.write_text(config.read_text() + f"c.Exchange.root = {str(exchange)!r}\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    run = assignment.nbgrader
    run("release_assignment", NAME, course=fresh)
    student = tmp_path / "student"
    student.mkdir()
    shutil.copy(config, student)
    run("fetch_assignment", NAME, course=student)
    run("submit", NAME, course=student)
    run("collect", NAME, course=fresh)
    (who,) = (path.name for path in (fresh / "submitted").iterdir())
    raw = (fresh / "submitted" / who / NAME / f"{NAME}.ipynb").read_bytes()
    before = everything(fresh)[1]

    other = result("by mail")  # never saw the exchange, and must not be in its way
    push([result(who), other], fresh, NAME, page, lambda _: raw)
    after = everything(fresh)[1]
    assert {file: after[file] for file in before} == before  # what was collected is as it came
    assert "no feedback available" in run("list", "--cached", course=student)
    run("release_feedback", NAME, course=fresh)
    assert "feedback ready to be fetched" in run("list", "--cached", course=student)
    run("fetch_feedback", NAME, course=student)
    (fetched,) = student.rglob(f"feedback/*/{NAME}.html")
    assert fetched.read_text() == page(result(who))
    # nbgrader's own feedback can still be made, and carries our scores.
    run("generate_feedback", NAME, "--force", course=fresh)
    html = (fresh / "feedback" / who / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "(Score: 3.0 / 5.0)" in html


class Server:
    """A Jupyter server with formgrader, in the folder of a course."""

    def __init__(self, folder, scratch):
        self.folder, self.token = folder, secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        names = ("CONFIG", "DATA", "RUNTIME")
        env = {f"JUPYTER_{name}_DIR": str(scratch / name) for name in names}
        self.log = (scratch / "server.log").open("w+")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server", "--no-browser", "--ip=127.0.0.1"),
                *("--allow-root", f"--port={self.port}", "--ServerApp.port_retries=0"),
                f"--IdentityProvider.token={self.token}",
            ],
            cwd=folder,
            env={**os.environ, **env},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def get(self, path):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{quote(path)}",
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def formgrader(self, path):
        return json.loads(self.get(f"formgrader/api/{path}"))

    def wait(self):
        limit = time.monotonic() + 120
        while time.monotonic() < limit and self.process.poll() is None:
            try:
                return self.get("api/status")
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        self.log.seek(0)
        raise RuntimeError(self.log.read()[-3000:])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture
def server(fresh, tmp_path):
    server = Server(fresh, tmp_path)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def test_formgrader_lists_the_assignment_and_shows_our_results(server):
    fresh = server.folder
    (listed,) = server.formgrader("assignments")
    assert (listed["name"], listed["num_submissions"]) == (NAME, 0)
    assert (listed["source_path"], listed["release_path"]) == (f"source/{NAME}", f"release/{NAME}")
    (book,) = server.formgrader(f"notebooks/{NAME}")
    assert (book["name"], book["max_code_score"], book["max_written_score"]) == (NAME, 3, 2)

    names = ["ann", "Zoë Müller", "../../etc"]
    evil = "<img src=x onerror=alert(1)>"
    hostile = answered(fresh, essay=f"## In your own words\n\nLuck. {evil}")
    hostile.cells += [nbformat.v4.new_raw_cell(evil), nbformat.v4.new_code_cell(f"# {evil}")]
    raw = nbformat.writes(hostile).encode()
    results = [result(name, (3, 1), submitted="2026-01-02T03:04:05+01:00") for name in names]
    results += [result("lost", exercises=[], flags=[for_a_person()])]
    push(results, fresh, NAME, page, lambda r: b"" if r.student == "lost" else raw)

    assert server.formgrader("assignments")[0]["num_submissions"] == 4
    submissions = {each["student"]: each for each in server.formgrader(f"submissions/{NAME}")}
    assert set(submissions) == {student_id(name) for name in [*names, "lost"]}
    for name in names:
        found = server.formgrader(f"submission/{NAME}/{student_id(name)}")
        assert found["autograded"] and found["submitted"] and found["needs_manual_grade"]
        assert found["code_score"] == pytest.approx(1 + 2 / 3)
        assert found["timestamp"] == "2026-01-02T02:04:05"
    rows = server.formgrader(f"submitted_notebooks/{NAME}/{NAME}")
    assert len(rows) == 4
    assert {row["student"]: row["needs_manual_grade"] for row in rows}["lost"]
    for row in rows:
        html = server.get(f"formgrader/submissions/{row['id']}/")
        for cell in ("test-vae-kl", "test-vae-reparameterize", "essay"):
            assert f'id="{cell}"' in html  # a box for the score
        assert ("Luck." in html) == ("onerror" in html) == (row["student"] != "lost")
        assert "<img src=x" not in html
    (row,) = [row for row in rows if row["student"] == "ann"]
    query = f"?submission_id={row['id']}"
    grades = json.loads(server_get(server, f"formgrader/api/grades{query}"))
    assert {g["name"]: g["auto_score"] for g in grades}["test-vae-kl"] == pytest.approx(2 / 3)
    comments = json.loads(server_get(server, f"formgrader/api/comments{query}"))
    assert "case 1; case 2: The sign is wrong" in str(comments)


def server_get(server, path):
    """A path with a query, which must not be quoted."""
    address = f"http://127.0.0.1:{server.port}/{path}&token={server.token}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


@pytest.mark.usefixtures("walls")
def test_the_command_grades_what_nbgrader_collected_and_fills_its_gradebook(tmp_path):
    folder, name = tmp_path / "course", "00_start"
    assert main(["assignment", name, "--out", str(folder)]) == 0
    book = read(folder / "release" / name / f"{name}.ipynb")
    stub = next(c for c in book.cells if c.source.startswith("# exercise: "))
    for student, right in (("ann", True), ("bob", False)):
        answer = assignment.with_solution(stub.source, get("start.fit_gaussian"))
        target = folder / "submitted" / student / name / f"{name}.ipynb"
        target.parent.mkdir(parents=True)
        changed = copy.deepcopy(book)
        changed.cells[book.cells.index(stub)].source = answer if right else stub.source
        nbformat.write(changed, target)
    call = ["grade", str(folder / "submitted"), "--lesson", name, "--out", str(tmp_path / "grades")]
    call += ["--nbgrader", str(folder), "--workers", "1", "--quiet"]
    for _ in range(2):  # the second time changes nothing
        assert main(call) == 0
        with open_gradebook(folder) as gradebook:
            marks = {
                s.student.id: s.notebooks[0].score for s in gradebook.assignment_submissions(name)
            }
        assert marks == {"ann": get("start.fit_gaussian").points, "bob": 0}
    for student in ("ann", "bob"):
        assert (folder / "feedback" / student / name / f"{name}.html").is_file()
