"""Grading one submission: find its answers, run them in the sandbox, and judge them outside it."""

import hashlib
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import numpy as np

from course_lib.exercises.answers import (
    Answer,
    NotebookError,
    Wanted,
    fingerprint_of,
    is_one_line,
)
from course_lib.exercises.exercise import Case, Exercise, call
from course_lib.exercises.judge import assess
from course_lib.exercises.sources import standalone
from course_lib.exercises.trial import Outcome
from course_lib.grading import result
from course_lib.grading.intake.submission import Submission
from course_lib.grading.marking import Marking
from course_lib.grading.result import Flag, Hashes, Mark, Result
from course_lib.grading.sandbox import protocol
from course_lib.grading.sandbox.confine import Limits
from course_lib.grading.sandbox.job import DIED, ENDED, TIMED_OUT
from course_lib.grading.sandbox.process import TAMPERED, Reply, Sandbox
from course_lib.grading.telling import counted

MAX_SOURCE = 4 * 2**20
LOAD_SECONDS = 60
WHOLE_NOTEBOOK_SECONDS = 600
GRACE_SECONDS = 5  # for an answer to stop at its time limit
# Two cases that hang, or that end Python, tell enough; each may cost its full time.
MAX_LOST = 2
# What an outcome may call a value. All else would be a learner's own words.
NUMBERS = r"(bool|(b?float|u?int|complex)\d{1,3})"
KIND = re.compile(
    rf"(tensor {NUMBERS} on (cpu|meta)|NumPy array ({NUMBERS}|object)|number|str|bytes|NoneType|"
    "function|list|tuple|dict|set|generator|DataFrame|Series|Normal|Module|type|method)"
)
# Exceptions that may be named.
USUAL = {
    *(ArithmeticError, AssertionError, AttributeError, ImportError, IndexError, KeyError),
    *(MemoryError, ModuleNotFoundError, NameError, OverflowError, RecursionError, RuntimeError),
    *(TypeError, UnboundLocalError, ValueError, ZeroDivisionError),
}


@dataclass
class _Progress:
    """The state of one exercise's grading."""

    exercise: Exercise
    found: str = "nowhere"
    cases: list[result.Case] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    seconds: float = 0.0
    fingerprint: str = ""
    length: int = 0

    @property
    def passed(self) -> bool:
        return bool(self.cases) and all(case.passed for case in self.cases)

    def give(self, verdicts: Sequence[tuple[str, bool, str]]) -> None:
        """Share the points out evenly. `verdicts`: each case's name, pass or fail, sentence."""
        worth = self.exercise.points / len(verdicts)
        self.cases = [
            result.Case(name, passed, worth if passed else 0.0, worth, sentence)
            for name, passed, sentence in verdicts
        ]

    def flag(self, kind: str, sentence: str) -> None:
        flag = Flag(kind, sentence, self.exercise.id)
        if flag not in self.flags:
            self.flags.append(flag)

    def mark(self) -> Mark:
        passed = sum(case.passed for case in self.cases)
        return Mark(
            id=self.exercise.id,
            title=self.exercise.title,
            points=round(self.exercise.points * passed / max(1, len(self.cases)), 4),
            of=float(self.exercise.points),
            found=self.found,
            cases=tuple(self.cases),
            seconds=round(self.seconds, 3),
            fingerprint=self.fingerprint,
            length=self.length,
        )


def grade_submission(
    content: bytes, submission: Submission, marking: Marking, sandbox: Sandbox
) -> Result:
    """The result of one submission. `content` is the notebook file's bytes."""
    began = time.perf_counter()
    digest = hashlib.sha256(content).hexdigest()
    sandbox.next_submission()
    try:
        answers = _find(content, marking, sandbox)
    except NotebookError as error:
        return unreadable(submission, marking, str(error), digest=digest)
    exercises = [_Progress(exercise) for exercise in marking.exercises]
    passed: set[str] = set()
    for progress in exercises:
        start = time.perf_counter()
        _mark(progress, answers[progress.exercise.id], passed, marking, digest, sandbox)
        progress.seconds = time.perf_counter() - start
        if progress.passed:
            passed.add(progress.exercise.id)
    flags = [flag for progress in exercises for flag in progress.flags]
    return _result(submission, marking, digest, exercises, flags, began, sandbox.name)


def unreadable(
    submission: Submission,
    marking: Marking,
    sentence: str,
    kind: str = "unreadable",
    digest: str = "",
) -> Result:
    """The result of a submission that could not be graded: no points, and a person must look."""
    exercises = [_Progress(exercise) for exercise in marking.exercises]
    for progress in exercises:
        progress.give([("all", False, "Not graded: see the note at the top.")])
    flags = [Flag(kind, sentence)]
    return _result(submission, marking, digest, exercises, flags, time.perf_counter(), "none")


def _result(
    submission: Submission,
    marking: Marking,
    digest: str,
    exercises: Sequence[_Progress],
    flags: Sequence[Flag],
    began: float,
    sandbox: str,
) -> Result:
    return Result(
        student=submission.student,
        student_id=submission.student_id,
        source=submission.source,
        layout=submission.layout,
        attempt=submission.attempt,
        late=submission.late,
        submitted=submission.submitted,
        lesson=marking.lesson,
        hashes=Hashes(digest, marking.version, marking.seed_hash),
        flags=(*([Flag("identity", submission.doubt)] if submission.doubt else ()), *flags),
        marks=tuple(progress.mark() for progress in exercises),
        seconds=round(time.perf_counter() - began, 3),
        graded=datetime.now(UTC).replace(microsecond=0),
        sandbox=sandbox,
    )


def _find(content: bytes, marking: Marking, sandbox: Sandbox) -> dict[str, Answer]:
    """The answers in a notebook, found in the sandbox since parsing is work that it chooses."""
    reply = sandbox.ask(
        {
            "kind": "find",
            "wanted": [asdict(Wanted.of(exercise)) for exercise in marking.exercises],
            "max_source": MAX_SOURCE,
        },
        arrays={"notebook": np.frombuffer(content or b" ", np.uint8)},
        limits=Limits(memory=2**31),
        max_json=protocol.MAX_FRAME,
    )
    if reply.ending == ENDED and reply.messages and "error" in reply.last[0]:
        raise NotebookError(_printable(reply.last[0]["error"]))
    try:
        if reply.ending != ENDED:
            raise TypeError(reply.ending)
        found = reply.last[0]["answers"]
        return {e.id: _answer(found[e.id]) for e in marking.exercises}
    except (IndexError, KeyError, TypeError, ValueError):
        raise NotebookError(
            "The notebook's cells could not be taken apart: reading them "
            f"{'took too long' if reply.ending == TIMED_OUT else 'failed'}."
        ) from None


def _answer(said: dict) -> Answer:
    """What the sandbox says it has found, with every type made sure of."""
    return Answer(
        found=_one_of(said["found"], ("tag", "marker", "name", "nowhere")),
        name=str(said["name"]),
        cell=int(said["cell"]),
        program=tuple((int(number), str(source)) for number, source in said["program"]),
        uses=tuple(str(name) for name in said["uses"]),
        unsolved=bool(said["unsolved"]),
        problem=_printable(said["problem"]),
        fingerprint=str(said["fingerprint"])[:64],
        length=int(said["length"]),
    )


def _printable(text: object) -> str:
    """A learner's words, without what no file, terminal or table could hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text)[:300])


def _one_of(value: object, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(value)
    return str(value)


def _mark(
    progress: _Progress,
    answer: Answer,
    passed: set[str],
    marking: Marking,
    digest: str,
    sandbox: Sandbox,
) -> None:
    exercise = progress.exercise
    progress.found, progress.fingerprint, progress.length = (
        answer.found,
        answer.fingerprint,
        answer.length,
    )
    cases = marking.cases(exercise, digest)

    def none(sentence: str) -> None:
        progress.give([(case.name, False, sentence) for case in cases])

    if answer.found == "nowhere":
        progress.flag(
            "missing",
            f"No answer to {exercise.id} was found: no cell carries its tag or its marker "
            f"“# exercise: {exercise.id}”, and none defines {exercise.reference.__name__}.",
        )
        return none("No answer was found.")
    if answer.unsolved:
        return none("Not solved yet.")
    if answer.problem:
        return none(f"Cell {answer.cell}: {answer.problem}")
    earlier = {e.id: e for e in marking.exercises[: marking.exercises.index(exercise)]}
    fallbacks = {
        earlier[name].reference.__name__: standalone(earlier[name].reference)
        for name in answer.uses
        if name in earlier and name not in passed
    }
    request = _request(exercise, answer, fallbacks, marking.patience)
    outcomes = _outcomes(progress, request, cases, sandbox, marking.patience)
    if isinstance(outcomes, str):
        return none(outcomes)
    tried = cases[: len(outcomes)]
    verdicts = [
        (case.name, verdict.passed, verdict.sentence)
        for case, verdict in zip(
            tried, counted(exercise, cases, assess(exercise, tried, outcomes)), strict=True
        )
    ]
    untried = [(c.name, False, "Not tried, because of the cases before it.") for c in cases]
    progress.give(verdicts + untried[len(verdicts) :])
    if (
        marking.forbid_reference
        and progress.passed
        and progress.length >= 40
        and not is_one_line(exercise.reference)
        and fingerprint_of(exercise.reference) == progress.fingerprint
    ):
        progress.flag(
            "solution", f"The answer to {exercise.id} is the library's, up to the names in it."
        )
    return None


def _request(
    exercise: Exercise, answer: Answer, fallbacks: Mapping[str, str], patience: float
) -> dict:
    probe = None
    load_seconds = WHOLE_NOTEBOOK_SECONDS if exercise.whole_notebook else LOAD_SECONDS
    if exercise.probe is not call:
        probe = {"name": exercise.probe.__name__, "source": standalone(exercise.probe)}
    return {
        "kind": "answer",
        "program": answer.program,
        "answer": answer.name,
        "fallbacks": dict(fallbacks),
        "load_seconds": load_seconds * patience,
        "seconds": exercise.seconds,
        "probe": probe,
        "numpy": exercise.numpy,
    }


def _outcomes(
    progress: _Progress, request: dict, cases: Sequence[Case], sandbox: Sandbox, patience: float
) -> list[Outcome] | str:
    """What the answer gave on each case, or a sentence where it could not even be loaded.

    Each case meets a process of its own, but where the whole notebook must run before the first.
    """
    exercise = progress.exercise
    groups = [list(cases)] if exercise.whole_notebook else [[case] for case in cases]
    outcomes: list[Outcome] = []
    died = 0
    for group in groups:
        longest = exercise.seconds + GRACE_SECONDS * patience
        wall = request["load_seconds"] + longest * len(group)
        limits = Limits(wall=wall, cpu=math.ceil(wall))
        ask = {**request, "cases": len(group)}
        reply = sandbox.ask(ask, [_Sender(case) for case in group], limits=limits)
        tampered = reply.ending == TAMPERED
        if reply.messages and reply.messages[0][0].get("error") and not tampered:
            return _printable(reply.messages[0][0]["error"])
        given = [] if tampered else [_outcome(exercise, *m) for m in reply.messages[1:]]
        if len(given) < len(group):
            given += [_failed(progress, reply)] * (len(group) - len(given))
        outcomes += given
        died += reply.ending == DIED
        hopeless = tampered or given[-1].unsolved
        if hopeless or died + sum(o.timed_out for o in outcomes) >= MAX_LOST:
            break
    return outcomes


@dataclass(frozen=True)
class _Sender:
    """Makes the message with a case only when it is to be sent."""

    case: Case

    def __call__(self) -> bytes:
        arrays = {n: v for n, v in self.case.inputs.items() if isinstance(v, np.ndarray)}
        inputs = {n: None if n in arrays else v for n, v in self.case.inputs.items()}
        return protocol.pack_message({"name": self.case.name, "inputs": inputs}, arrays)


def _failed(progress: _Progress, reply: Reply) -> Outcome:
    """The outcome of a job that gave none."""
    if reply.ending == TIMED_OUT:
        return Outcome(
            timed_out=True,
            error="Your answer was stopped: it ran far beyond its time and could not be reached.",
        )
    if reply.ending == TAMPERED:
        progress.flag(
            "tampered",
            f"While {progress.exercise.id} ran, something other than the grader's own code wrote to "
            "the grader. What it gave counts as failed; look at the answer.",
        )
        return Outcome(error="What your answer wrote could not be read as a result.")
    return Outcome(
        error="Your answer ended Python itself: by an exit, a crash, or by using more memory or "
        "time than an answer may."
    )


def _outcome(exercise: Exercise, said: dict, arrays: dict[str, np.ndarray]) -> Outcome:
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


def _raised(exception: str) -> str:
    """A sentence with nothing in it that an answer could choose freely: a line number would be enough
    to write down what it was given."""
    is_usual = exception in {kind.__name__ for kind in USUAL}
    what = exception if is_usual else "an exception"
    return f"Your function raised {what}. The check in the notebook shows its message and line."
