"""Which cases tell a right answer from one that was written down.

Some cases have the same right answer whatever their numbers are: the divergence of a distribution
from itself is 0. They show a learner an edge, but whoever has seen the notebook's check knows their
answer. So they count only together with a case whose answer cannot be known beforehand.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from course_lib.exercises.exercise import Case, Exercise
from course_lib.exercises.judge import Verdict, compare
from course_lib.exercises.registry import get
from course_lib.exercises.trial import Outcome, run

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
    """Whether the right answer to the notebook's case of this name would be wrong here."""
    seen = _visible(exercise.id).get(case.name)
    return (
        seen is None or not compare(exercise, run(exercise, exercise.reference, case), seen).passed
    )


@cache
def _visible(exercise_id: str) -> dict[str, Outcome]:
    """What the library's answer gives on the cases that the notebook shows."""
    exercise = get(exercise_id)
    return {case.name: run(exercise, exercise.reference, case) for case in exercise.cases(0)}
