"""Which cases tell a right answer from one that was written down.

Some cases have the same right answer whatever their numbers are: the divergence of a distribution
from itself is 0. They show a learner an edge, but whoever has seen the notebook's check knows their
answer. So they count only together with a case whose answer cannot be known beforehand.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np

from course_lib.exercises.exercise import Case, Exercise
from course_lib.exercises.judge import Verdict, compare, expected_of
from course_lib.exercises.registry import get
from course_lib.exercises.trial import Outcome

OTHER_SEEDS = (11, 12, 13, 14, 15)
ALONE = "The result is right, but it is the same for all numbers. It counts once another case passes too."


def counted(
    exercise: Exercise, cases: Sequence[Case], verdicts: Sequence[Verdict]
) -> list[Verdict]:
    """The verdicts, where cases that tell nothing fail if they are all that passed.

    Args:
        cases: all cases of the exercise; `verdicts` are those of the first of them.
    """
    passed = [case for case, verdict in zip(cases, verdicts, strict=False) if verdict.passed]
    if not passed or any(tells(exercise, case) for case in passed):
        return list(verdicts)
    if not any(tells(exercise, case) for case in cases):  # nothing can be asked for then
        return list(verdicts)
    return [
        replace(verdict, passed=False, sentence=ALONE) if verdict.passed else verdict
        for verdict in verdicts
    ]


def tells(exercise: Exercise, case: Case) -> bool:
    """Whether the right answer here cannot be that to other numbers, nor one number for all."""
    seen = _seen(exercise.id).get(case.name)
    if seen is None:  # an instructor's own
        return True
    right = expected_of(exercise, case)
    guesses = [*seen, _filled(right, 0), _filled(right, 1)]
    return bool(seen) and not any(compare(exercise, right, guess).passed for guess in guesses)


@cache
def _seen(exercise_id: str) -> dict[str, list[Outcome]]:
    """What the library's answer gives on each case for the notebook's numbers and for some others;
    nothing where two of them are alike, as in a case with few possible answers."""
    exercise = get(exercise_id)
    found: dict[str, list[Outcome]] = {}
    for seed in (0, *OTHER_SEEDS):
        for case in exercise.cases(seed):
            found.setdefault(case.name, []).append(expected_of(exercise, case))
    return {
        name: []
        if any(compare(exercise, a, b).passed for a, b in combinations(outcomes, 2))
        else outcomes
        for name, outcomes in found.items()
    }


def _filled(outcome: Outcome, value: int) -> Outcome:
    arrays = {name: np.full_like(array, value) for name, array in outcome.arrays.items()}
    return replace(outcome, arrays=arrays)
