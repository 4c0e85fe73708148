"""Grading one submission: find its answers, run them in the sandbox, and judge them outside it."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from course_lib.exercises.answers import (
    Answer,
    NotebookError,
    Wanted,
    fingerprint_of,
    is_one_line,
)
from course_lib.exercises.dependence import standalone
from course_lib.exercises.exercise import Case, Exercise
from course_lib.exercises.judge import assess
from course_lib.grading import result
from course_lib.grading.execution import Budget, Call, Run, printable, run_cases
from course_lib.grading.intake.submission import Submission
from course_lib.grading.marking import Marking
from course_lib.grading.result import WRITTEN, Flag, Hashes, Mark, Result
from course_lib.grading.sandbox import protocol
from course_lib.grading.sandbox.confine import Limits
from course_lib.grading.sandbox.job import ENDED, TIMED_OUT
from course_lib.grading.sandbox.process import Sandbox
from course_lib.grading.telling import counted

MAX_SOURCE = 4 * 2**20
READ = "“{}” awaits a mark: a person reads it, by the rubric above it."
UNTOLD = "Here this did not come out as in your notebook. A person looks at it."


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
        found = _find(content, marking, sandbox)
    except NotebookError as error:
        return unreadable(submission, marking, str(error), digest=digest)
    exercises = [_Progress(exercise) for exercise in marking.exercises]
    budget = Budget.of(marking.exercises, marking.patience)
    marker = _Marker(marking, digest, sandbox, found, budget)
    for progress in exercises:
        start = time.perf_counter()
        marker.mark(progress)
        progress.seconds = time.perf_counter() - start
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
        flags=(
            *([Flag("identity", submission.doubt)] if submission.doubt else ()),
            *flags,
            *(Flag(WRITTEN, READ.format(text.title), text.id) for text in marking.written),
        ),
        marks=(
            *(progress.mark() for progress in exercises),
            *(Mark(t.id, t.title, 0.0, float(t.points), WRITTEN, ()) for t in marking.written),
        ),
        seconds=round(time.perf_counter() - began, 3),
        graded=datetime.now(UTC).replace(microsecond=0),
        sandbox=sandbox,
    )


@dataclass(frozen=True)
class _Found:
    """The answers in a notebook, by their exercises; the version of Python that it was saved with, and
    the one that runs it; whether the former is newer, or not known."""

    answers: dict[str, Answer]
    python: str
    own: str
    newer: bool


def _find(content: bytes, marking: Marking, sandbox: Sandbox) -> _Found:
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
        raise NotebookError(printable(reply.last[0]["error"]))
    try:
        if reply.ending != ENDED:
            raise TypeError(reply.ending)
        said = reply.last[0]
        answers = {e.id: _answer(said["answers"][e.id]) for e in marking.exercises}
        python, own = printable(said["python"]), printable(said["own"])
        return _Found(answers, python, own, bool(said["newer"]))
    except (IndexError, KeyError, TypeError, ValueError):
        raise NotebookError(
            "The notebook's cells could not be taken apart: reading them "
            f"{'took too long' if reply.ending == TIMED_OUT else 'failed'}."
        ) from None


def _answer(said: dict[str, Any]) -> Answer:
    """What the sandbox says it has found, with every type made sure of."""
    return Answer(
        found=_one_of(said["found"], ("tag", "marker", "name", "check", "nowhere")),
        name=str(said["name"]),
        cell=int(said["cell"]),
        programs=tuple(
            tuple((int(number), str(source)) for number, source in program)
            for program in said["programs"]
        ),
        certain=bool(said["certain"]),
        uses=tuple(str(name) for name in said["uses"]),
        unsolved=bool(said["unsolved"]),
        problem=printable(said["problem"]),
        saved=_one_of(said["saved"], ("solved", "wrong", "")),
        fingerprint=str(said["fingerprint"])[:64],
        length=int(said["length"]),
        labelled=bool(said["labelled"]),
        other=_answer(said["other"]) if said["other"] else None,
    )


def _one_of(value: object, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(value)
    return str(value)


@dataclass
class _Tried:
    """What became of an answer: each case's name, pass or fail, and sentence; how it was last run."""

    verdicts: list[tuple[str, bool, str]]
    run: Run = field(default_factory=Run)

    @property
    def passed(self) -> int:
        return sum(passed for _, passed, _ in self.verdicts)

    @property
    def full(self) -> bool:
        return self.passed == len(self.verdicts)


@dataclass
class _Marker:
    """Marks the exercises of one submission, one after the other."""

    marking: Marking
    digest: str
    sandbox: Sandbox
    found: _Found
    budget: Budget
    solved: set[str] = field(default_factory=set)

    def mark(self, progress: _Progress) -> None:
        exercise = progress.exercise
        answer = self.found.answers[exercise.id]
        cases = self.marking.cases(exercise, self.digest)
        if answer.found == "nowhere":
            progress.flag(
                "missing",
                f"No answer to {exercise.id} was found: no cell carries its tag or its marker "
                f"“# exercise: {exercise.id}”, and none defines {exercise.reference.__name__}.",
            )
            return progress.give([(case.name, False, "No answer was found.") for case in cases])
        tried = self._try(exercise, answer, cases)
        other = answer.other
        if other is not None and (not tried.full or other.labelled):
            again = self._try(exercise, other, cases)
            if again.passed != tried.passed:
                progress.flag(
                    "ambiguous",
                    f"Two answers to {exercise.id}, in cells {answer.cell} and {other.cell}, get "
                    f"different marks: {tried.passed} and {again.passed} of {len(cases)} cases. The "
                    "better one stands here. The check in the notebook got the first one.",
                )
                if again.passed > tried.passed:
                    tried, answer = again, other
        progress.found, progress.fingerprint = answer.found, answer.fingerprint
        progress.length = answer.length
        if tried.run.tampered:
            progress.flag(
                "tampered",
                f"While {exercise.id} ran, something other than the grader's own code wrote to the "
                "grader. What it gave counts as failed; look at the answer.",
            )
        elif not tried.full and (doubt := self._doubt(exercise, answer, tried)):
            progress.flag(*doubt)
            tried.verdicts = [(n, ok, "" if ok else UNTOLD) for n, ok, _ in tried.verdicts]
        progress.give(tried.verdicts)
        if progress.passed:
            self.solved.add(exercise.id)
        if (
            self.marking.forbid_reference
            and progress.passed
            and progress.length >= 40
            and not is_one_line(exercise.reference)
            and fingerprint_of(exercise.reference) == progress.fingerprint
        ):
            progress.flag(
                "solution", f"The answer to {exercise.id} is the library's, up to the names in it."
            )

    def _try(self, exercise: Exercise, answer: Answer, cases: Sequence[Case]) -> _Tried:
        """The best that comes of running the least, more, and at last the whole notebook."""

        def none(sentence: str, run: Run | None = None) -> _Tried:
            return _Tried([(case.name, False, sentence) for case in cases], run or Run())

        if answer.unsolved:
            return none("Not solved yet.")
        if answer.problem:
            return none(f"Cell {answer.cell}: {answer.problem}")
        position = self.marking.exercises.index(exercise)
        fallbacks = {
            earlier.id: (earlier.reference.__name__, standalone(earlier.reference))
            for earlier in self.marking.exercises[:position]
            if earlier.id in answer.uses and earlier.id not in self.solved
        }
        best, run = none(""), Run()
        for number, program in enumerate(answer.programs):
            whole = 0 < number == len(answer.programs) - 1
            call = Call(exercise, answer.name, program, fallbacks, whole)
            run = run_cases(call, cases, self.sandbox, self.marking.patience, self.budget)
            tried = none(run.problem, run) if run.problem else self._judged(exercise, cases, run)
            if tried.passed > best.passed or not (best.passed or (run.problem and number)):
                best = tried
            if tried.full or run.tampered or run.lost or run.timed_out or run.over:
                break
            if answer.saved == "wrong" and not (run.problem or run.raised):
                break  # as in the notebook
        best.run = run
        return best

    def _judged(self, exercise: Exercise, cases: Sequence[Case], run: Run) -> _Tried:
        tried = cases[: len(run.outcomes)]
        verdicts = [
            (case.name, verdict.passed, verdict.sentence)
            for case, verdict in zip(
                tried, counted(exercise, cases, assess(exercise, tried, run.outcomes)), strict=True
            )
        ]
        untried = [(c.name, False, "Not tried, because of the cases before it.") for c in cases]
        return _Tried(verdicts + untried[len(verdicts) :], run)

    def _doubt(self, exercise: Exercise, answer: Answer, tried: _Tried) -> tuple[str, str] | None:
        """The flag and the sentence for a person where it may be the grader that falls short."""
        run, python, own = tried.run, self.found.python, self.found.own
        why = next((sentence for _, passed, sentence in tried.verdicts if not passed), "")
        if answer.unsolved and answer.saved != "solved":
            return None
        saved_by = f"the notebook was saved by Python {python}" if python else "it may be newer"
        if (answer.problem and self.found.newer) or (python and self.found.newer and run.raised):
            return "python", (
                f"The answer to {exercise.id} ran in Python {own}, but {saved_by}: {why} Grade "
                "it by a newer Python, which --python names."
            )
        if answer.saved == "solved":
            return "disagrees", (
                f"The check that is saved in the notebook calls {exercise.id} solved, but here "
                f"{tried.passed} of {len(tried.verdicts)} cases passed: {why}"
            )
        if run.over:
            return "time", (
                f"Grading {exercise.id} was cut short: the time for one submission was used up."
            )
        outside = [*run.outside, *sorted(run.raised & {"FileNotFoundError", "ModuleNotFoundError"})]
        if outside:
            return "unsure", (
                f"The answer to {exercise.id} may need something from outside of the notebook that is "
                f"not here: {', '.join(outside[:4])}."
            )
        if not answer.certain and run.closed:
            return "unsure", (
                f"What the answer to {exercise.id} needs from the rest of the notebook could not be "
                "run here: some cells use parts of the library that are closed to answers."
            )
        if not answer.certain and (run.timed_out or run.lost) and len(answer.programs) > 1:
            return "unsure", (
                f"What the answer to {exercise.id} needs from the rest of the notebook could not be "
                f"run here: {why}"
            )
        return None
