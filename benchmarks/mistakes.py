"""How many mistakes an exercise names, and which changes of its reference get no sentence of their own.

    python benchmarks/mistakes.py                        # every exercise: counts
    python benchmarks/mistakes.py vae.elbo gan.slerp     # these, with the changes that no sentence names

A change of the reference (`mutations.py`) that the check rejects is named where one of the exercise's
mistakes gives the same, or told where the check says in another way what was wrong: a shape, a kind, an
error, or what would explain every value. Of the others the check says only which value is wrong.
"""

import argparse
import os
import sys
import warnings
from collections import Counter
from dataclasses import replace

import torch
from mutants import changes, explained

from course_lib.exercises import Exercise, get
from course_lib.exercises import all_exercises as every_exercise
from course_lib.exercises.judge import UNNAMED, assess
from course_lib.exercises.trial import run

EXPLAINED = ("Every value is ", "The order along ", "The two dimensions ", "stand in another order")


def said_of(exercise: Exercise) -> dict[str, str]:
    """Of each change of the reference: "named", "told" (by shape, kind, error or explanation), "unnamed" or
    "accepted"."""
    exercise = replace(exercise, seconds=2.0)
    cases = exercise.cases(0)
    names = {mistake.sentence for mistake in exercise.typical_mistakes}
    said = {}
    for change, build in changes(exercise):
        verdicts = assess(exercise, cases, [run(exercise, build(), case) for case in cases])
        wrong = [verdict for verdict in verdicts if not verdict.passed]
        if not wrong:
            said[change] = "accepted"
        elif any(verdict.sentence in names for verdict in wrong):
            said[change] = "named"
        elif any(UNNAMED not in v.sentence or any(e in v.detail for e in EXPLAINED) for v in wrong):
            said[change] = "told"
        else:
            said[change] = "unnamed"
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", metavar="exercise", help="all exercises unless given")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    exercises = [get(name) for name in chosen.ids] or every_exercise()
    total: Counter[str] = Counter()
    for exercise in exercises:
        count = len({mistake.sentence for mistake in exercise.typical_mistakes})
        total["mistakes"] += count
        total["exercises"] += 1
        line = f"{exercise.id}: {count} mistakes"
        if chosen.ids:
            said = said_of(exercise)
            known = explained().get(exercise.id, {})
            counts = Counter(said.values())
            line += "".join(f", {counts[k]} changes {k}" for k in ("named", "told", "unnamed"))
            line += "".join(
                f"\n    {c}" for c, k in said.items() if k == "unnamed" and c not in known
            )
        print(line, flush=True)
    print(f"{total['exercises']} exercises, {total['mistakes']} mistakes with a sentence")
    return 0


if __name__ == "__main__":
    sys.exit(main())
