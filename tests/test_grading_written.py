"""Texts that a person marks: in nbgrader with their rubrics, in our results, and in what goes out."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from jupyter_browser import FLAGS
from nbgrader.api import Gradebook
from playwright.sync_api import expect, sync_playwright
from test_grading_nbgrader import Server

from course_lib.cli import main
from course_lib.exercises import get
from course_lib.grading import summary
from course_lib.grading.decisions import Decision, with_decisions
from course_lib.grading.feedback import feedback_page
from course_lib.grading.lms.nbgrader import assignment
from course_lib.grading.lms.nbgrader.gradebook import push
from course_lib.grading.result import WRITTEN, Case, Flag, Mark, Result
from course_lib.grading.statistics import count
from course_lib.syllabus import lesson

ROOT = Path(__file__).parents[1]
NAME = "20_capstone"
TEXTS = lesson(NAME).written
ONE = "capstone.card_blanks"  # 1 point


def read(file):
    return nbformat.read(file, as_version=4)


def graded_cells(book):
    return {c.metadata.nbgrader.grade_id: c for c in book.cells if "nbgrader" in c.metadata}


def marked(student="ann", texts=TEXTS, solved=True):
    """What our grader gives: one exercise marked by cases, and texts that await a mark."""
    case = Case("all", solved, float(solved), 1.0, "" if solved else "No.")
    marks = [Mark(ONE, get(ONE).title, float(solved), 1.0, "tag", (case,))]
    marks += [Mark(text.id, text.title, 0.0, float(text.points), WRITTEN, ()) for text in texts]
    flags = tuple(Flag(WRITTEN, "It awaits a mark.", text.id) for text in texts)
    return Result(student, f"{student}.ipynb", NAME, tuple(marks), flags)


def decided(result, **points):
    said = [
        Decision(result.student, "", f"capstone.{name}", mark, "by the rubric", "A. Teacher", "")
        for name, mark in points.items()
    ]
    (found,), told = with_decisions([result], said)
    assert told == []
    return found


def row_of(result):
    (row,) = csv.DictReader(io.StringIO(summary.grades([result])))
    return row


def test_levels_are_worth_their_place_and_every_text_has_its_two_cells():
    assert [text.points for text in TEXTS] == [len(text.levels) - 1 for text in TEXTS] == [3] * 4
    book = {cell.id: cell for cell in read(ROOT / "notebooks" / f"{NAME}.ipynb").cells}
    ids = list(book)
    for text in TEXTS:
        assert ids.index(text.cell) == ids.index(text.rubric_cell) + 1
        for level in text.levels:
            assert level in book[text.rubric_cell].source


def test_no_grade_goes_out_until_a_person_has_marked_every_text(tmp_path):
    waiting = marked()
    assert waiting.of == 1 + sum(text.points for text in TEXTS)
    assert waiting.needs_person and not waiting.suspect
    row = row_of(waiting)
    assert (row["needs_person"], row["grade"]) == ("yes", "")
    assert "capstone.purpose: written" in row["flags"]

    some = decided(waiting, purpose=3, choice=2)
    assert row_of(some)["grade"] == ""
    everything = decided(some, card=0, statement=1)
    row = row_of(everything)
    assert (row["needs_person"], row["grade"], row["of"]) == ("", "7", "13")

    summary.write(tmp_path, [waiting], NAME)
    assert '"score"' not in next((tmp_path / "gradescope").iterdir()).read_text()


def test_a_text_settles_no_missing_answer():
    """Marks for the texts do not make a submission count in which no answer was found."""
    nothing = marked(solved=False)
    lost = replace(
        nothing,
        marks=(replace(nothing.marks[0], found="nowhere"), *nothing.marks[1:]),
        flags=(Flag("missing", "No answer.", ONE), *nothing.flags),
    )
    every = decided(lost, purpose=3, choice=3, card=3, statement=3)
    assert row_of(every)["grade"] == "" and every.suspect


def test_the_feedback_page_and_the_statistics_know_texts():
    page = feedback_page(marked())
    assert page.count("A person reads this, by the rubric in the lesson.") == len(TEXTS)
    assert [each.id for each in count([marked("ann"), marked("bob")])] == [ONE]


# --- nbgrader ---------------------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path):
    """A course whose lesson 20 consists of one exercise, its imports, and the texts."""
    book = read(ROOT / "notebooks" / f"{NAME}.ipynb")
    wanted = {"imports", "exercise-card_blanks", "check-card_blanks"}
    wanted |= {cell for text in TEXTS for cell in (text.cell, text.rubric_cell)}
    book.cells = [cell for cell in book.cells if cell.id in wanted]
    text = nbformat.writes(assignment.source(lesson(NAME), book))
    assignment.write_source(text, NAME, tmp_path)
    return tmp_path


def answered(folder):
    """The release, with a right answer and with texts."""
    book = read(folder / "release" / NAME / f"{NAME}.ipynb")
    cells = graded_cells(book)
    stub = cells["answer-capstone-card_blanks"]
    stub.source = assignment.with_solution(stub.source, get(ONE))
    for text in TEXTS:
        cells[text.cell].source = f"What I have to say about {text.title}."
    return book


def hand_in(folder, student, book):
    target = folder / "submitted" / student / NAME / f"{NAME}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(book, target)


def open_gradebook(folder):
    return Gradebook(f"sqlite:///{folder / 'gradebook.db'}")


def entered(folder, student):
    """Each graded cell: whether it awaits a person, its score, and the most."""
    with open_gradebook(folder) as book:
        row = book.find_submission_notebook(NAME, NAME, student)
        return {g.name: (g.needs_manual_grade, g.score, g.max_score) for g in row.grades}


def mark_by_hand(folder, student, **points):
    """As formgrader does when a person enters a score."""
    with open_gradebook(folder) as book:
        for name, score in points.items():
            grade = book.find_grade(f"written-capstone-{name}", NAME, NAME, student)
            grade.manual_score, grade.needs_manual_grade = score, False
        book.db.commit()
        submission = book.find_submission(NAME, student)
        return submission.score, submission.max_score, submission.needs_manual_grade


@pytest.mark.nbgrader
def test_the_release_has_the_rubrics_locked_above_the_texts(fresh):
    for part in ("source", "release"):
        cells = graded_cells(read(fresh / part / NAME / f"{NAME}.ipynb"))
        assert "essay" not in cells  # these texts stand in its place
        for text in TEXTS:
            rubric = cells[text.rubric_cell]
            assert rubric.metadata.nbgrader.locked and not rubric.metadata.nbgrader.grade
            assert all(level in rubric.source for level in text.levels)
            about = cells[text.cell].metadata.nbgrader
            assert (about.grade, about.solution, about.points) == (True, True, text.points)
            assert ("whoever grades" in cells[text.cell].source) == (part == "source")


@pytest.mark.nbgrader
def test_autograded_the_texts_await_a_person_and_the_marks_add_up(fresh):
    hand_in(fresh, "ann", answered(fresh))
    assignment.nbgrader("autograde", NAME, course=fresh)
    found = entered(fresh, "ann")
    assert found["test-capstone-card_blanks"] == (False, 1, 1)
    for text in TEXTS:
        waits, _, most = found[text.cell]
        assert waits and most == text.points
    book = read(fresh / "autograded" / "ann" / NAME / f"{NAME}.ipynb")
    assert TEXTS[0].levels[3] in graded_cells(book)[TEXTS[0].rubric_cell].source

    assert mark_by_hand(fresh, "ann", purpose=2, choice=3, card=1) == (7, 13, True)
    assert mark_by_hand(fresh, "ann", statement=3) == (10, 13, False)


@pytest.mark.nbgrader
def test_our_results_leave_the_texts_to_a_person_and_bring_what_was_decided(fresh):
    raw = nbformat.writes(answered(fresh)).encode()
    push([marked("ann")], fresh, NAME, notebook=lambda _: raw)
    found = entered(fresh, "ann")
    assert found["test-capstone-card_blanks"] == (False, 1, 1)  # nobody has to look at that
    assert all(found[text.cell][0] for text in TEXTS)
    shown = graded_cells(read(fresh / "autograded" / "ann" / NAME / f"{NAME}.ipynb"))
    assert TEXTS[0].levels[3] in shown[TEXTS[0].rubric_cell].source
    assert mark_by_hand(fresh, "ann", purpose=2)[0] == 3
    push([marked("ann")], fresh, NAME, notebook=lambda _: raw)  # what a person entered stays
    assert entered(fresh, "ann")["written-capstone-purpose"] == (False, 2, 3)

    by_decision = decided(marked("bob"), purpose=3, choice=3, card=3, statement=2)
    push([by_decision], fresh, NAME, notebook=lambda _: raw)
    assert [entered(fresh, "bob")[text.cell][:2] for text in TEXTS] == [
        (False, 3), (False, 3), (False, 3), (False, 2)
    ]  # fmt: skip


@pytest.mark.nbgrader
def test_a_mark_typed_into_formgrader_s_page_is_saved(fresh, tmp_path, chromium):
    """Without a network, too: then the page has no MathJax, which it says in the console and goes on."""
    raw = nbformat.writes(answered(fresh)).encode()
    push([marked("ann")], fresh, NAME, notebook=lambda _: raw)
    cell, server = TEXTS[0].cell, Server(fresh, tmp_path)
    try:
        server.wait()
        (row,) = server.formgrader(f"submitted_notebooks/{NAME}/{NAME}")
        with sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=chromium, args=FLAGS).new_page()
            page.route("**://cdnjs.cloudflare.com/**", lambda route: route.abort())
            here = f"http://127.0.0.1:{server.port}"
            # By way of JupyterLab, which logs the browser in; docs/instructor.md says why.
            page.goto(f"{here}/lab?token={server.token}", wait_until="commit")
            page.goto(f"{here}/formgrader/submissions/{row['id']}/")
            score = page.locator(f"input.score[id='{cell}']")
            expect(score).to_have_class(re.compile("needs_manual_grade"))
            score.fill("2")
            with page.expect_response("**/formgrader/api/grade/*"):
                page.locator(f"textarea[id='{cell}-comment']").click()
    finally:
        server.stop()
    assert entered(fresh, "ann")[cell] == (False, 2, 3)


@pytest.mark.usefixtures("walls")
@pytest.mark.nbgrader
def test_the_command_says_that_the_texts_await_a_person(fresh, tmp_path):
    hand_in(fresh, "ann", answered(fresh))
    call = ["grade", str(fresh / "submitted"), "--lesson", NAME, "--out", str(tmp_path / "grades")]
    assert main([*call, "--workers", "1", "--quiet"]) == 1  # a person has something to look at
    (row,) = csv.DictReader(io.StringIO((tmp_path / "grades" / "grades.csv").read_text()))
    assert row[ONE] == "1" and (row["grade"], row["needs_person"]) == ("", "yes")
    for text in TEXTS:
        decide = ["decide", str(tmp_path / "grades"), "--student", "ann", "--mark", "2"]
        decide += ["--exercise", text.id, "--reason", "by the rubric", "--who", "A. Teacher"]
        assert main(decide) == 0
    main([*call, "--workers", "1", "--quiet"])
    (row,) = csv.DictReader(io.StringIO((tmp_path / "grades" / "grades.csv").read_text()))
    assert all(row[text.id] == "2" for text in TEXTS)
