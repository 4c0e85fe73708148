"""Running one answer on its cases in the sandbox, within its time."""

import builtins
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from course_lib.exercises.answers import Program
from course_lib.exercises.dependence import standalone
from course_lib.exercises.exercise import Case, Exercise, call
from course_lib.exercises.trial import Outcome
from course_lib.grading.sandbox import protocol
from course_lib.grading.sandbox.confine import Limits
from course_lib.grading.sandbox.job import DIED, TIMED_OUT
from course_lib.grading.sandbox.process import TAMPERED, Reply, Sandbox

SUBMISSION_SECONDS = 240  # of one attempt, all its answers together
LOAD_SECONDS = 60
WHOLE_SECONDS = 120  # for the whole notebook, where an answer's needs cannot be told
WHOLE_NOTEBOOK_SECONDS = 600  # the same, for an exercise that asks for it
GRACE_SECONDS = 5  # for an answer to stop at its time limit
# Two cases that hang, or that end Python, tell enough; each may cost its full time.
MAX_LOST = 2
# Cells that take longer run once for all cases; others anew for each, so that no case meets another.
SHARED_FROM_SECONDS = 1.0
# What an outcome may call a value. All else would be a learner's own words.
USUAL = (  # exceptions that may be named
    *(
        "ArithmeticError",
        "AssertionError",
        "AttributeError",
        "ImportError",
        "IndexError",
        "KeyError",
    ),
    *("MemoryError", "ModuleNotFoundError", "NameError", "OverflowError", "RecursionError"),
    *("RuntimeError", "TypeError", "UnboundLocalError", "ValueError", "ZeroDivisionError"),
)
NUMBERS = r"(bool|(b?float|u?int|complex)\d{1,3})"
KIND = re.compile(
    rf"(tensor {NUMBERS} on (cpu|meta)|NumPy array ({NUMBERS}|object)|number|str|bytes|NoneType|"
    "function|list|tuple|dict|set|generator|DataFrame|Series|Normal|Module|type|method)"
)


@dataclass(frozen=True)
class Call:
    """An answer to run: its exercise, its name in the notebook, the program to run before it, and the
    library's functions in place of earlier answers that were wrong. `whole`: the program is the
    whole notebook."""

    exercise: Exercise
    name: str
    program: Program
    fallbacks: Mapping[str, tuple[str, str]]
    whole: bool = False

    @property
    def load_seconds(self) -> float:
        if self.exercise.whole_notebook:
            return WHOLE_NOTEBOOK_SECONDS
        return WHOLE_SECONDS if self.whole else LOAD_SECONDS

    def request(self, patience: float) -> dict[str, Any]:
        """The message that begins the job."""
        probe = None
        if self.exercise.probe is not call:
            name = self.exercise.probe.__name__
            probe = {"name": name, "source": standalone(self.exercise.probe)}
        return {
            "kind": "answer",
            "exercise": self.exercise.id,
            "program": self.program,
            "answer": self.name,
            "fallbacks": dict(self.fallbacks),
            "load_seconds": self.load_seconds * patience,
            "seconds": self.exercise.seconds,
            "probe": probe,
            "numpy": self.exercise.numpy,
        }


@dataclass(frozen=True)
class Budget:
    """When the time of a submission is over, on the monotonic clock."""

    ends: float

    @classmethod
    def of(cls, exercises: Sequence[Exercise], patience: float) -> "Budget":
        whole = sum(WHOLE_NOTEBOOK_SECONDS for e in exercises if e.whole_notebook)
        return cls(time.monotonic() + (SUBMISSION_SECONDS + whole) * max(1.0, patience))

    @property
    def left(self) -> float:
        """Seconds."""
        return self.ends - time.monotonic()


@dataclass
class Run:
    """What came of running an answer.

    Attributes:
        outcomes: of the first cases; fewer where the others were not worth their time.
        problem: why the answer could not even be loaded.
        timed_out: loading it took too long.
        lost: how many cases ran out of time, or ended Python.
        tampered: something else than the grader's own code wrote to the grader.
        over: the submission's time was used up.
        outside: what the cells asked of the world outside of the notebook.
        closed: they use parts of the library that are out of an answer's reach.
        raised: the names of Python's exceptions that the answer, or the lack of one, raised.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    problem: str = ""
    timed_out: bool = False
    lost: int = 0
    tampered: bool = False
    over: bool = False
    outside: list[str] = field(default_factory=list)
    closed: bool = False
    raised: set[str] = field(default_factory=set)


def run_cases(
    answer: Call, cases: Sequence[Case], sandbox: Sandbox, patience: float, budget: Budget
) -> Run:
    """What the answer gives on each case. Each meets a process of its own, unless the cells before
    the answer take long."""
    run = Run()
    exercise = answer.exercise
    request = answer.request(patience)
    longest = exercise.seconds + GRACE_SECONDS * patience
    while len(run.outcomes) < len(cases):
        if budget.left < 1:
            run.over = True
            break
        messages = _Messages(cases[len(run.outcomes) :], exercise.whole_notebook)
        wall = min(request["load_seconds"] + longest * len(messages.cases), budget.left)
        limits = Limits(wall=wall, cpu=math.ceil(wall))
        reply = sandbox.ask(request, messages, limits=limits, seconds=longest + 2)
        run.tampered = reply.ending == TAMPERED
        if reply.messages and not run.tampered:
            _loaded(run, reply.messages[0][0])
            if run.problem:
                break
        given = [] if run.tampered else [_outcome(exercise, *m) for m in reply.messages[1:]]
        if len(given) < max(1, messages.sent):
            given.append(_failed(reply))
            run.lost += reply.ending == DIED
        run.lost += sum(outcome.timed_out for outcome in given)
        run.raised |= {outcome.exception for outcome in given if outcome.exception}
        run.outcomes += given
        hopeless = run.tampered or not reply.messages or given[-1].unsolved
        if hopeless or run.lost >= MAX_LOST:
            break
    return run


def _loaded(run: Run, said: dict[str, Any]) -> None:
    """What the sandbox says of the cells that run before the answer."""
    run.problem = printable(said.get("error") or "")
    run.timed_out = bool(said.get("timed_out"))
    run.closed = bool(said.get("closed"))
    outside = said.get("outside")
    run.outside = [printable(what) for what in outside[:20]] if isinstance(outside, list) else []
    raised = re.search(r" raised (\w+)", run.problem)
    run.raised |= {raised[1]} if raised and _known(raised[1]) else set()


class _Messages:
    """The messages with the cases, each made only when it is to be sent; the last one says so."""

    def __init__(self, cases: Sequence[Case], shared: bool):
        self.cases = cases
        self.shared = shared
        self.sent = 0

    def __call__(self) -> Iterator[bytes]:
        return self._after(time.monotonic())

    def _after(self, began: float) -> Iterator[bytes]:
        """The messages, of which the first is asked for when the cells have run."""
        self.sent = 0
        shared = self.shared
        for case in self.cases:
            shared = shared or (self.sent == 0 and time.monotonic() - began > SHARED_FROM_SECONDS)
            self.sent += 1
            last = not shared or self.sent == len(self.cases)
            arrays = {n: v for n, v in case.inputs.items() if isinstance(v, np.ndarray)}
            inputs = {n: None if n in arrays else v for n, v in case.inputs.items()}
            yield protocol.pack_message({"name": case.name, "inputs": inputs, "last": last}, arrays)
            if last:
                return


def _failed(reply: Reply) -> Outcome:
    """The outcome of a job that gave none."""
    if reply.ending == TIMED_OUT:
        return Outcome(
            timed_out=True,
            error="Your answer was stopped: it ran far beyond its time and could not be reached.",
        )
    if reply.ending == TAMPERED:
        return Outcome(error="What your answer wrote could not be read as a result.")
    return Outcome(
        error="Your answer ended Python itself: by an exit, a crash, or by using more memory or "
        "time than an answer may."
    )


def printable(text: object) -> str:
    """A learner's words, without what no file, terminal or table could hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text)[:300])


def _outcome(exercise: Exercise, said: dict[str, Any], arrays: dict[str, np.ndarray]) -> Outcome:
    """What the sandbox says that an answer gave. All words in it are chosen here, not there: an
    answer could otherwise write the hidden case into its feedback."""
    try:
        kinds = {
            str(name): kind if KIND.fullmatch(str(kind)) else "something else"
            for name, kind in dict(said["kinds"]).items()
        }
        if said["timed_out"]:
            error = (
                f"Your function was stopped after {exercise.seconds:g} seconds. "
                "Does a loop never end?"
            )
        elif said["error"]:
            error = _raised(str(said["exception"]))
        else:
            error = ""
        names = list(_argument_names(exercise))
        mutated = tuple(name for name in said["mutated"] if name in names)
        return Outcome(
            arrays={n: array for n, array in arrays.items() if _is_of_kind(array, kinds.get(n))},
            kinds={} if error else kinds,
            error=error,
            exception=_known(str(said["exception"])) if said["error"] else "",
            unsolved=bool(said["unsolved"]),
            timed_out=bool(said["timed_out"]),
            mutated=mutated,
        )
    except Exception:  # a hostile message can raise anything
        return Outcome(error="What your answer wrote could not be read as a result.")


def _is_of_kind(array: np.ndarray, kind: str | None) -> bool:
    if kind == "number":
        return array.shape == () and array.dtype.kind in "biuf"
    return kind is not None and str(array.dtype) in kind.split()


def _argument_names(exercise: Exercise) -> set[str]:
    return {name for case in exercise.cases(0) for name in case.inputs}


def _known(exception: str) -> str:
    """The name of an exception, where it is one of Python's own."""
    known = getattr(builtins, exception, None)
    return exception if isinstance(known, type) and issubclass(known, BaseException) else ""


def _raised(exception: str) -> str:
    """A sentence with nothing in it that an answer could choose freely: a line number would be enough
    to write down what it was given."""
    what = exception if exception in USUAL else "an exception"
    return f"Your function raised {what}. The check in the notebook shows its message and line."
