"""Which small changes of its reference does an exercise's check accept?

Run in the course's environment, about two minutes on two cores:

    python benchmarks/mutants.py                       # every exercise; writes results/mutants.json
    python benchmarks/mutants.py vae.elbo gan.slerp    # these alone; their rows of the record are written

Each mutant of each reference (`mutations.py`) goes through the check with the cases of several seeds, as
in the notebook (seed 0) and in grading (others). One that passes with any of them either shows a case
that the exercise lacks, or gives the same values as the reference wherever the exercise asks for them.
`mutants_equivalent.toml` says why for each of the second kind. What is left over is listed, and the
command then ends with 1.
"""

import argparse
import inspect
import json
import os
import sys
import time
import tomllib
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import repeat
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from zlib import crc32

import torch
import torch._dynamo  # noqa: F401 - which an optimizer loads when it is first used: not within a mutant's time
from common import RESULTS, provenance
from mutations import built, mutants

from course_lib.exercises import Case, Exercise, all_exercises, get
from course_lib.exercises.judge import compare
from course_lib.exercises.trial import Outcome, run

SEEDS = (0, 1, 2)
SECONDS, SLOWER = 2.0, 20  # that a case may take; or so many times what it takes the reference
PATIENCE = 20.0  # before a worker that says nothing is killed: not every loop can be interrupted
FORK = get_context("fork")  # so a worker begins with everything imported
EXPLAINED = Path(__file__).with_name("mutants_equivalent.toml")
RECORD = RESULTS / "mutants.json"
Change = tuple[str, Callable[[], Callable]]  # what was changed, and what makes the changed function


@dataclass(frozen=True)
class Tried:
    """How many mutants of an exercise were tried, and those that its check accepts."""

    count: int
    accepted: tuple[str, ...]


def changes(exercise: Exercise) -> list[Change]:
    """All mutants of the reference, and for each argument the reference that looks at it only once."""
    reference = exercise.reference
    found: list[Change] = [
        (mutant.change, lambda mutant=mutant: built(mutant, reference))
        for mutant in mutants(reference)
    ]
    names = inspect.signature(reference).parameters
    return found + [
        (f"{name} stays what it was at first", lambda i=i: _frozen(reference, i))
        for i, name in enumerate(names)
    ]


def _frozen(function: Callable, place: int) -> Callable:
    first: list[object] = []

    def mutant(*arguments: object, **named: object) -> object:
        if place >= len(arguments):
            raise TypeError  # the exercise hands it over in another way
        if not first:
            first.append(deepcopy(arguments[place]))
        return function(*arguments[:place], deepcopy(first[0]), *arguments[place + 1 :], **named)

    return mutant


def tried(exercise: Exercise, seeds: Sequence[int] = SEEDS, one_in: int = 1) -> Tried:
    """Try the mutants of an exercise in a process of their own, which is replaced when it hangs.

    Args:
        one_in: try only one mutant in so many, always the same ones.
    """
    chosen = [change for change in changes(exercise) if crc32(change[0].encode()) % one_in == 0]
    accepted, waiting = [], chosen
    while waiting:
        ours, theirs = FORK.Pipe(duplex=False)
        process = FORK.Process(target=_work, args=(theirs, exercise, seeds, waiting), daemon=True)
        process.start()
        theirs.close()
        done = 0
        while done < len(waiting) and ours.poll(PATIENCE):
            try:
                passed = ours.recv()
            except EOFError:
                break
            if passed:
                accepted.append(waiting[done][0])
            done += 1
        process.join(timeout=0.1 if done < len(waiting) else None)
        process.kill()
        process.join()
        if not done and process.exitcode == 1:
            raise RuntimeError(f"No mutant of {exercise.id} could be tried; see above.")
        waiting = waiting[done + 1 :]  # without the one that hung, or of which the process died
    return Tried(len(chosen), tuple(accepted))


def _work(
    answers: Connection, exercise: Exercise, seeds: Sequence[int], mutants: Sequence[Change]
) -> None:
    """Say of each mutant whether it passes all cases of any of the seeds."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where LAPACK complains of what mutants give it
    sets = []
    start = time.perf_counter()
    for seed in seeds:
        sets.append([(case, _right(exercise, case)) for case in exercise.cases(seed)])
    seconds = (time.perf_counter() - start) / sum(map(len, sets))
    exercise = replace(exercise, seconds=max(SECONDS, SLOWER * seconds))
    for _, build in mutants:
        answers.send(any(_passes(exercise, build(), cases) for cases in sets))


def _right(exercise: Exercise, case: Case) -> Outcome:
    outcome = run(exercise, exercise.reference, case)
    if outcome.error:
        raise RuntimeError(f"The reference of {exercise.id} failed: {outcome.error}")
    return outcome


def _passes(exercise: Exercise, answer: Callable, cases: Iterable[tuple[Case, Outcome]]) -> bool:
    for case, expected in cases:
        given = run(exercise, answer, case)
        if given.error or given.unsolved or given.mutated:
            return False
        if not compare(exercise, expected, given).passed:
            return False
    return True


def explained() -> dict[str, dict[str, str]]:
    """Of each exercise, the mutants that are equivalent to the reference, and why."""
    groups = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))
    return {
        exercise: {mutant: group["why"] for group in groups_ for mutant in group["mutants"]}
        for exercise, groups_ in groups.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", metavar="exercise", help="all exercises unless given")
    parser.add_argument("--one-in", type=int, default=1, help="try only one mutant in so many")
    parser.add_argument(
        "--seeds", type=int, default=len(SEEDS), help="sets of cases, from seed 0 on"
    )
    parser.add_argument("--keep", action="store_true", help="write no record")
    chosen = parser.parse_args()
    ids = chosen.ids or [exercise.id for exercise in all_exercises()]
    torch.set_num_threads(1)
    equivalent, rows, left = explained(), {}, 0
    with ProcessPoolExecutor(mp_context=FORK) as pool:
        jobs = (ids, repeat(range(chosen.seeds)), repeat(chosen.one_in))
        for name, found in zip(ids, pool.map(_tried, *jobs), strict=True):
            known = equivalent.get(name, {})
            print(f"{name}: {found.count} mutants, {len(found.accepted)} accepted", flush=True)
            wrong = [f"unexplained: {m}" for m in found.accepted if m not in known]
            if chosen.one_in == 1:
                wrong += [
                    f"explained, but not accepted: {m}" for m in set(known) - set(found.accepted)
                ]
            for line in wrong:
                print("   ", line, flush=True)
            left += len(wrong)
            rows[name] = {"mutants": found.count, "accepted": list(found.accepted)}
    if not chosen.keep and chosen.one_in == 1 and chosen.seeds == len(SEEDS):
        _record(rows)
    print(f"{left} left to explain")
    return int(left > 0)


def _record(rows: dict[str, dict]) -> None:
    """Write the rows of some exercises; those of others stay, of exercises that there still are."""
    equivalent, old = explained(), {}
    if RECORD.exists():
        old = json.loads(RECORD.read_text(encoding="utf-8"))["exercises"]
    names = [exercise.id for exercise in all_exercises()]
    rows = {name: (old | rows)[name] for name in names if name in old | rows}
    left = sum(
        len(set(row["accepted"]) ^ set(equivalent.get(name, {}))) for name, row in rows.items()
    )
    report = {
        **provenance(),
        "seeds": len(SEEDS),
        "mutants": sum(row["mutants"] for row in rows.values()),
        "accepted": sum(len(row["accepted"]) for row in rows.values()),
        "unexplained": left,
        "exercises": rows,
    }
    RECORD.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _tried(exercise_id: str, seeds: Sequence[int], one_in: int) -> Tried:
    return tried(get(exercise_id), seeds, one_in)


if __name__ == "__main__":
    sys.exit(main())
