"""What a check says of wrong values: where, and what would explain all of them."""

import numpy as np
import pytest

from course_lib.exercises import get
from course_lib.exercises.checking import try_out
from course_lib.exercises.differences import SHOWN, difference

RIGHT = np.random.default_rng(0).uniform(0.2, 3.0, (3, 3))
CLOSE = {"rtol": 1e-4, "atol": 1e-6}
EXPLAINED = {
    "opposite sign": -RIGHT,
    "1 minus": 1 - RIGHT,
    "is the square of": RIGHT**2,
    "square root": RIGHT**0.5,
    "1 divided by": 1 / RIGHT,
    "exponential": np.exp(RIGHT),
    "logarithm": np.log(RIGHT),
    "dimensions are swapped": RIGHT.T,
    "2.5 times": 2.5 * RIGHT,
    "0.125 times": RIGHT / 8,
    "0.7 too large": RIGHT + 0.7,
    "3 too small": RIGHT - 3,
    "dimension 0 is reversed": RIGHT[::-1],
    "dimension 1 is reversed": RIGHT[:, ::-1],
    "in another order": RIGHT.ravel()[[1, 0, 2, 3, 4, 5, 6, 8, 7]].reshape(3, 3),
}


@pytest.mark.parametrize("words", EXPLAINED)
def test_what_explains_every_value_is_said(words):
    assert words in difference(EXPLAINED[words], RIGHT, **CLOSE)


def test_the_first_place_and_how_many():
    given = RIGHT.copy()
    given[1, 2] += 1
    given[2, 0] -= 1
    said = difference(given, RIGHT, **CLOSE)
    assert said.startswith(f"first differs at (1, 2): you gave {given[1, 2]:.4g}, expected")
    assert said.endswith("2 of 9 values are wrong.")


def test_a_small_result_is_shown_whole():
    said = difference(np.array([[1, 0], [0, 12]]), np.eye(2), **CLOSE)
    assert said == ": you gave [[1, 0], [0, 12]], expected [[1, 0], [0, 1]]."
    assert difference(np.array(3), np.array(1.5), **CLOSE) == ": you gave 3, expected 1.5."
    assert len(RIGHT.ravel()) > SHOWN


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (np.full(9, 4.0), np.full(9, 2.0)),  # a factor, a sum and a square would each explain it
        (np.array([True] * 7 + [False]), np.array([True] * 8)),
        (np.array([1.0, np.nan] * 4), np.array([2.0, np.nan] * 4)),
    ],
)
def test_nothing_is_explained_where_anything_would(given, right):
    said = difference(given, right, **CLOSE)
    assert said.startswith("first differs at") and said.endswith("values are wrong.")


def test_a_check_says_it_and_the_grader_s_sentence_does_not():
    exercise = get("vae.kl_divergence")
    verdicts = try_out(exercise, lambda mean, log_var: 3 * exercise.reference(mean, log_var))
    wrong = [verdict for _, verdict in verdicts if not verdict.passed]
    assert any("3 times the expected" in verdict.detail for verdict in wrong)
    assert not any("times" in verdict.sentence for verdict in wrong)
