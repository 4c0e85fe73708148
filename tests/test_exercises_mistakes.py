"""The mistakes that every exercise knows: each is rejected, with the sentence that names it."""

import warnings

import pytest

from course_lib import exercises
from course_lib.exercises import assess, judge
from course_lib.exercises.trial import run

EACH = pytest.mark.parametrize("exercise", exercises.all_exercises(), ids=lambda e: e.id)
FEWEST = 10  # mistakes that an exercise knows


@pytest.fixture
def run_once(monkeypatch):
    """A judge that runs an answer only once on a case; else it tries all mistakes for each wrong answer."""
    outcomes = {}

    def once(setup, answer, case):
        key = (id(answer), id(case))
        if key not in outcomes:
            outcomes[key] = run(setup, answer, case)
        return outcomes[key]

    monkeypatch.setattr(judge, "run", once)
    return once


@EACH
@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_typical_mistakes_are_rejected_with_their_sentence(exercise, seed, run_once):
    """And nothing that runs warns: a warning would appear in the learner's notebook, below the check."""
    cases = exercise.cases(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = [run_once(exercise, exercise.reference, case) for case in cases]
        assert not any(outcome.error for outcome in right)
        for mistake in exercise.typical_mistakes:
            outcomes = [run_once(exercise, mistake.answer, case) for case in cases]
            assert not any(outcome.error for outcome in outcomes)
            verdicts = assess(exercise, cases, outcomes)
            said = {v.sentence for v in verdicts if not v.passed}
            assert mistake.sentence in said, f"expected: {mistake.sentence}\nsaid: {said}"
            for wanted, given, verdict in zip(right, outcomes, verdicts, strict=True):
                if not verdict.passed and given.kinds == wanted.kinds and not given.mutated:
                    assert "expected" in verdict.detail, (
                        "no right value stands beside the wrong one"
                    )


@EACH
def test_the_likeliest_mistakes_have_a_sentence_each(exercise):
    sentences = {mistake.sentence for mistake in exercise.typical_mistakes}
    assert len(sentences) >= FEWEST
    assert all(sentence.endswith((".", "?", "!")) for sentence in sentences)
