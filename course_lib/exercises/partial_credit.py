"""The points that an answer earns, case by case, in a form that autograders read."""

import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr

from course_lib.exercises.checking import VISIBLE_SEED, try_out
from course_lib.exercises.registry import get


def earned(exercise_id: str, answer: Callable, seeds: Iterable[int] = (VISIBLE_SEED,)) -> float:
    """The points that `answer` earns: those of the exercise, in equal parts for each case of each
    seed. What did not pass is printed, with a sentence that says why.

    As the last line of an nbgrader test cell it gives partial credit. It never raises for a wrong
    answer, so that a notebook runs on, and nothing goes to stderr, which would cost the whole cell.

    Raises:
        ValueError: for an exercise that does not exist.
    """
    exercise = get(exercise_id)
    if answer is exercise.reference:
        print(
            f"{exercise.title}: this is the library's own {exercise.reference.__name__}, with which "
            "the lesson goes on until yours is right. Run the cell with your answer, then this one."
        )
        return 0.0
    passed = total = 0
    failed = []
    with redirect_stderr(sys.stdout):
        for seed in seeds:
            total += len(exercise.cases(seed))
            for case, verdict in try_out(exercise, answer, seed):
                passed += verdict.passed
                if not verdict.passed:
                    # With other numbers than those of the check, only the sentence is told.
                    shown = seed == VISIBLE_SEED
                    failed.append(
                        f"  {case.name}{'' if shown else ', other numbers'}: {verdict.sentence}"
                        + (f" {verdict.detail}" if shown and verdict.detail else "")
                    )
    print(f"{exercise.title}: {passed} of {total} cases passed.", *failed, sep="\n")
    return exercise.points * passed / total
