"""Judging what an answer gave: pass or fail, and a sentence that names the mistake."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.exercises.differences import difference
from course_lib.exercises.exercise import Case, Exercise, Setup
from course_lib.exercises.trial import Outcome, run

REFERENCE_SECONDS = (
    300.0  # on a busy machine, too: an answer must not fail for the reference's sake
)
UNNAMED = "has the right shape, but wrong values."  # how a sentence ends that knows no mistake


@dataclass(frozen=True)
class Verdict:
    """`sentence` says what is wrong; `detail` shows numbers, which a grader hides: an answer chooses
    its shapes and counts, and could write what it was given into them."""

    passed: bool
    sentence: str = ""
    detail: str = ""


def assess(exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Judge what an answer gave on each case against what the reference gives.

    An answer that fails is compared with the exercise's typical mistakes. Where one of them gives
    the same on every case, its sentence replaces the general one.

    Raises:
        RuntimeError: the reference itself failed, so that nothing can be said of the answer.
    """
    expected = [expected_of(exercise, case) for case in cases]
    if failed := [outcome.error for outcome in expected if outcome.error]:
        raise RuntimeError(f"The library's own answer to {exercise.id} failed: {failed[0]}")
    verdicts = [
        _assess_one(exercise, right, given) for right, given in zip(expected, outcomes, strict=True)
    ]
    has_wrong_values = [
        bool(given.kinds) and not compare(exercise, right, given).passed
        for right, given in zip(expected, outcomes, strict=True)
    ]
    if not any(has_wrong_values):
        return verdicts
    sentence = _named_mistake(exercise, cases, outcomes)
    return [
        Verdict(False, sentence, verdict.detail) if sentence and is_wrong else verdict
        for is_wrong, verdict in zip(has_wrong_values, verdicts, strict=True)
    ]


def expected_of(exercise: Exercise, case: Case) -> Outcome:
    """What the reference gives on a case."""
    unhurried = Setup(exercise.probe, REFERENCE_SECONDS, exercise.numpy)
    return run(unhurried, exercise.reference, case)


def _assess_one(exercise: Exercise, expected: Outcome, given: Outcome) -> Verdict:
    if given.unsolved:
        return Verdict(False, "Not solved yet.")
    if given.error:
        return Verdict(False, given.error)
    verdict = compare(exercise, expected, given)
    if verdict.passed and given.mutated:
        names = ", ".join(f"`{name}`" for name in given.mutated)
        return Verdict(
            False,
            f"The values are right, but your function changed its input {names} in place. "
            "Compute a new tensor instead, since the caller still needs the old one.",
        )
    return verdict


def _named_mistake(exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> str:
    for mistake in exercise.typical_mistakes:
        if all(
            compare(exercise, run(exercise, mistake.answer, case), given).passed
            for case, given in zip(cases, outcomes, strict=True)
        ):
            return mistake.sentence
    return ""


def compare(exercise: Exercise, expected: Outcome, given: Outcome) -> Verdict:
    """Compare every value of `given` with `expected`: kind, shape, finiteness, then numbers."""
    if set(given.kinds) != set(expected.kinds):
        if len(given.kinds) == len(expected.kinds) and not any("result" in k for k in given.kinds):
            return Verdict(
                False,
                f"Your function returned a dictionary with the keys {_listed(given.kinds)}. Return the "
                "values alone, in the order that the task names them.",
            )
        return Verdict(
            False,
            f"Your function should return {_these(expected)}, but it returned {_these(given)}.",
        )
    for name, kind in expected.kinds.items():
        verdict = _compare_one(exercise, name, kind, expected, given)
        if not verdict.passed:
            return verdict
    return Verdict(True)


def _compare_one(
    exercise: Exercise, name: str, kind: str, expected: Outcome, given: Outcome
) -> Verdict:
    what = "The result" if name == "result" else f"`{name}`"
    if given.kinds[name] != kind:
        return Verdict(False, f"{what} {_kind_sentence(kind, given.kinds[name])}")
    if name not in expected.arrays:  # of one kind, and without numbers, such as None
        return Verdict(True)
    if name not in given.arrays:
        return Verdict(False, f"{what} does not hold plain numbers. Is it a sparse tensor?")
    right, value = expected.arrays[name], given.arrays[name]
    if value.shape != right.shape:
        return Verdict(
            False,
            f"{what} has another shape than expected{_shape_advice(right.shape, value.shape)}.",
            f"{what} has the shape {value.shape}; {right.shape} was expected.",
        )
    if not np.isfinite(value).all() and np.isfinite(right).all():
        bad = ~np.isfinite(value)
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f", the first at {place}" if place else ""
        word = "NaN" if np.isnan(value).any() else "infinite"
        return Verdict(
            False,
            f"{what} has {word} values. Look for a logarithm of zero, a division by zero, or an "
            "exp() that overflows.",
            f"{what}: {bad.sum():,} of {value.size:,} values are {word}{where}; {right[place]:.4g} was "
            "expected there.",
        )
    if np.allclose(value, right, rtol=exercise.rtol, atol=exercise.atol, equal_nan=True):
        return Verdict(True)
    how = difference(value, right, exercise.rtol, exercise.atol)
    return Verdict(
        False,
        f"{what} {UNNAMED}",
        f"{what}{'' if how.startswith(':') else ' '}{how}",
    )


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"“{name}”" for name in names)


def _these(outcome: Outcome) -> str:
    """How many values an outcome has, in words, and of what kind where that is short."""
    kinds = list(outcome.kinds.values())
    if not kinds:
        return "nothing"
    if len(kinds) == 1:
        return f"one value ({kinds[0]})"
    return f"{len(kinds)} values ({', '.join(kinds)})" if len(kinds) < 4 else "more than 3 values"


def _kind_sentence(expected: str, given: str) -> str:
    if given == "NoneType":
        return "is None. Did you forget `return`?"
    words = f"is of the kind “{given}”, but “{expected}” was expected."
    if given.startswith("tensor") and expected == "number":
        return f"{words} Use .item(), which also lets go of the computation graph."
    if given.startswith("tensor") and expected.startswith("tensor"):
        if given.split(" on ")[1] != expected.split(" on ")[1]:
            return f"{words} Keep the device of the inputs."
        return f"{words} Keep the type of the inputs."
    if expected.startswith("tensor"):
        return f"{words} Stay with PyTorch's functions, so that gradients can flow."
    return words


def _shape_advice(right: tuple[int, ...], given: tuple[int, ...]) -> str:
    if not given and right:
        return ": did you sum or average over everything, the batch included?"
    if len(given) == len(right) + 1:
        return ": one dimension is still to be summed or picked"
    if sorted(given) == sorted(right):
        return ": are two dimensions swapped?"
    return ""
