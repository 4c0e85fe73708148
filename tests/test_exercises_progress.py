"""What is remembered of a learner's work, and the page, the hints and the certificate made of it."""

import json

import numpy as np
import pytest
import torch

from course_lib import certificate, hint, progress
from course_lib.exercises import check, checking, get, record
from course_lib.exercises.hints import advice
from course_lib.exercises.judge import UNNAMED
from course_lib.exercises.overview import progress_page
from course_lib.explore import quiz
from course_lib.explore.quiz import kept_scores, questions
from course_lib.files import remember_lesson
from course_lib.syllabus import course

KL = get("vae.kl_divergence")
FIRST, SECOND = (mistake.sentence for mistake in KL.typical_mistakes[:2])
pytestmark = pytest.mark.usefixtures("own_settings")


def answer(quiz_box, number, text):
    quiz_box.children[number].children[1].value = text


def test_the_record_keeps_days_and_tries_and_reads_what_earlier_versions_wrote():
    record.record_try("vae.elbo", "too small")
    record.record_solved("vae.elbo")
    kept = record.whole_record()
    (day,) = kept.solved.values()
    assert len(day) == 10 and kept.tries == {"vae.elbo": ["too small"]}
    old = record.Record.of({"version": 1, "solved": ["vae.kl"]})
    assert old.solved == {"vae.kl_divergence": ""}
    assert record.Record.of(json.loads(kept.as_json())) == kept


def test_only_the_latest_tries_are_kept():
    for number in range(record.TRIES + 3):
        record.record_try("vae.elbo", str(number))
    tries = record.whole_record().tries["vae.elbo"]
    assert len(tries) == record.TRIES and tries[-1] == str(record.TRIES + 2)


def test_the_check_remembers_what_was_wrong_but_not_a_stub(monkeypatch):
    monkeypatch.setattr(checking, "display", lambda *args, **kwargs: None)

    def stub(mu, log_var):
        raise NotImplementedError("write it")

    checking.check(KL.id, stub)
    assert record.whole_record().tries == {}
    checking.check(KL.id, KL.typical_mistakes[0].answer)
    assert record.whole_record().tries == {KL.id: [FIRST]}


def test_hint_goes_on_from_what_was_wrong(capsys):
    hint(KL.id)
    assert KL.hints[0] in capsys.readouterr().out
    record.record_try(KL.id, FIRST)
    record.record_try(KL.id, SECOND)
    hint(KL.id)
    said = capsys.readouterr().out
    assert SECOND in said and "This is new" in said and KL.hints[0] not in said
    record.record_solved(KL.id)
    hint(KL.id)
    assert "is solved" in capsys.readouterr().out
    with pytest.raises(ValueError, match="Did you mean"):
        hint("vae.kl_divergance")


def test_the_same_mistake_again_leads_from_hint_to_hint_and_then_to_the_solution():
    hints, given = ("one", "two"), 0
    for number, expected in enumerate(
        ("Hint 1 of 2: one", "Hint 2 of 2: two", "seen all hints"), 2
    ):
        lines, given = advice(hints, ["a"] * number, given)
        assert expected in lines[-1] and f"You have met it {number} times." in lines[-1]
    lines, given = advice(hints, ["a", "a", "b"], given=1)
    assert lines[:2] == ["Your last try: b", "Mended since: a"] and given == 1


def test_no_hint_is_given_twice(capsys):
    """Also not when another mistake leads to the next one."""
    for said, number in ((FIRST, 0), (FIRST, 1), (SECOND, 1), (SECOND, 2)):
        record.record_try(KL.id, said)
        hint(KL.id)
        assert (f"Hint {number} of 3: {KL.hints[number - 1]}" in capsys.readouterr().out) == (
            said in record.whole_record().tries[KL.id][:-1]
        )
        assert record.whole_record().hints.get(KL.id, 0) == number


def test_a_mistake_without_a_name_leads_to_a_hint_at_once():
    lines, given = advice(("one", "two"), ["a", f"The result {UNNAMED}"])
    assert "Work out that case by hand" in lines[-2]
    assert lines[-1] == "Hint 1 of 2: one" and given == 1
    assert "Mended since: a" in lines
    lines, _ = advice(("one", "two"), [f"The result {UNNAMED}", "a"])
    assert not any("Mended" in line for line in lines)


def test_of_a_mistake_without_a_name_the_smallest_case_is_remembered(capsys):
    check(KL.id, lambda mu, log_var: KL.reference(mu, log_var) * torch.exp(mu.sum()))
    capsys.readouterr()
    hint(KL.id)
    said = capsys.readouterr().out
    smallest = min(KL.cases(0), key=lambda case: np.size(case.inputs["mu"]))
    assert f"{UNNAMED} In the case “{smallest.name}”: The result" in said
    assert "you gave" in said and "expected" in said and "Hint 1 of" in said


def test_a_quiz_s_score_is_kept():
    box = quiz("00_start")
    first = questions("00_start")[0]
    answer(box, 0, first.right)
    assert kept_scores() == {"00_start": (1, len(questions("00_start")))}
    wrong = next(option for option in first.options if option != first.right)
    answer(box, 0, wrong)
    assert kept_scores()["00_start"][0] == 0


def test_the_page_shows_this_lesson_first_and_what_comes_next():
    remember_lesson("01_vae")
    lesson = course().lessons["01_vae"]
    record.record_solved(lesson.exercises[0])
    page = progress()._repr_html_()
    follows = get(lesson.exercises[1])
    assert f'Next: <a href="01_vae.ipynb"><b>{follows.title}</b>' in page
    assert "<b>1 of " in page and f"This lesson: 01 {lesson.title}" in page
    assert page.count("☐") == len(lesson.exercises) - 1
    assert f"width:{round(100 / len(lesson.exercises))}%" in page
    for other in course().lessons.values():
        assert f'<a href="{other.id}.ipynb">' in page and f"{other.study_minutes} min" in page


def test_after_the_last_exercise_the_page_goes_back_to_what_was_left_out():
    names = [name for lesson in course().lessons.values() for name in lesson.exercises]
    remember_lesson(list(course().lessons)[-1])
    for name in names[1:]:
        record.record_solved(name)
    assert f"<b>{get(names[0]).title}</b>" in progress_page()
    record.record_solved(names[0])
    assert "All is solved" in progress_page()


def test_the_certificate_says_what_was_solved_when_and_that_nobody_watched(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    record.record_solved(KL.id)
    file = certificate("Ada <b>")
    page = file.read_text(encoding="utf-8")
    assert KL.title in page and record.whole_record().solved[KL.id] in page
    assert "Self-checked" in page and "Ada &lt;b&gt;" in page
    assert get("vae.elbo").title not in page
    assert str(file.resolve()) in capsys.readouterr().out
