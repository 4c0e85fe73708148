"""What is to be graded and with which cases: a lesson's exercises, a secret, private checks.

The cases of a submission come from the secret and from the submission's own bytes. So they are the
same whenever it is graded again, and what a learner could find out about them in one attempt is
worth nothing in the next.
"""

import hashlib
import hmac
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from course_lib.exercises.aliases import current, original
from course_lib.exercises.exercise import Case, Exercise
from course_lib.exercises.judge import expected_of
from course_lib.exercises.registry import get
from course_lib.grading.errors import GradingError
from course_lib.syllabus import Written, course, unknown

GRADING_VERSION = 1


@dataclass(frozen=True)
class Marking:
    """How a lesson's submissions are graded. Small and picklable: it travels to every worker.

    Attributes:
        lesson: "01_vae".
        secret: from which the hidden cases are drawn.
        checks: source of the instructor's private cases, by exercise: a module with a function
            `cases(seed)` that returns a list of `course_lib.exercises.Case`.
        forbid_reference: the library's solutions are out of an answer's reach.
        patience: a factor on the time that answers may take; above 1 on a slow machine.
        python: the Python that answers run in, by name or path; "" for the grader's own.
    """

    lesson: str
    secret: str = field(repr=False)
    checks: Mapping[str, str] = field(default_factory=dict, repr=False)
    forbid_reference: bool = True
    patience: float = 1.0
    python: str = ""

    def __reduce__(self) -> tuple[object, ...]:  # without what is cached
        return Marking, (
            self.lesson, self.secret, dict(self.checks), self.forbid_reference, self.patience,
            self.python,
        )  # fmt: skip

    @cached_property
    def exercises(self) -> list[Exercise]:
        """The lesson's exercises. Raises GradingError for an unknown lesson."""
        lessons = course().lessons
        if self.lesson not in lessons:
            raise GradingError(unknown("lesson", self.lesson, list(lessons)))
        found = [get(name) for name in lessons[self.lesson].exercises]
        return [replace(e, seconds=e.seconds * self.patience) for e in found]

    @cached_property
    def points(self) -> float:
        answers = sum(exercise.points for exercise in self.exercises)
        return float(answers + sum(text.points for text in self.written))

    @property
    def written(self) -> tuple[Written, ...]:
        """The lesson's texts that a person marks."""
        return course().lessons[self.lesson].written

    @cached_property
    def version(self) -> str:
        """The hash of all that decides a mark but the submission and the secret."""
        parts = [str(GRADING_VERSION), self.lesson, str(self.forbid_reference), str(self.patience)]
        parts += filter(None, [self.python])
        parts += [f"{text.id} {text.points}" for text in self.written]
        functions = [f for e in self.exercises for f in (e.reference, e.inputs)]
        modules = {module for f in functions if (module := inspect.getmodule(f))}
        parts += sorted(inspect.getsource(module) for module in modules)
        parts += [f"{name}\n{source}" for name, source in sorted(self.checks.items())]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @cached_property
    def seed_hash(self) -> str:
        return hashlib.sha256(b"seed\0" + self.secret.encode()).hexdigest()

    def cases(self, exercise: Exercise, submission: str) -> list[Case]:
        """The cases for a submission, named by the hash of its bytes."""
        message = f"{original(exercise.id)}\0{submission}".encode()
        digest = hmac.new(self.secret.encode(), message, hashlib.sha256).digest()
        seed = int.from_bytes(digest[:4], "big") + 1  # 0 is the seed of the visible cases
        return exercise.cases(seed) + self._private(exercise, seed)

    def _private(self, exercise: Exercise, seed: int) -> list[Case]:
        if exercise.id not in self.checks:
            return []
        namespace: dict = {"__name__": f"checks_{exercise.id}"}
        exec(compile(self.checks[exercise.id], f"{exercise.id}.py", "exec"), namespace)
        return list(namespace["cases"](seed))

    def validate(self) -> None:
        """Try every case on the library's own answers. Raises GradingError that names the fault."""
        known = [exercise.id for exercise in self.exercises]
        for name in self.checks:
            if name not in known:
                raise GradingError(f"--checks: {unknown('exercise', name, known)}")
        for exercise in self.exercises:
            try:
                cases = self.cases(exercise, "")
            except Exception as error:
                raise GradingError(
                    f"--checks: {exercise.id}.py raised {type(error).__name__}: {error}. It must "
                    "define cases(seed), which returns a list of course_lib.exercises.Case."
                ) from error
            for case in cases:
                if not isinstance(case, Case):
                    raise GradingError(
                        f"--checks: cases(seed) of {exercise.id}.py gave a {type(case).__name__}, "
                        "and no course_lib.exercises.Case."
                    )
                outcome = expected_of(exercise, case)
                if outcome.error:
                    raise GradingError(
                        f"The library's own answer to {exercise.id} fails in the case "
                        f"“{case.name}”: {outcome.error}"
                    )


def read_checks(folder: Path | None) -> dict[str, str]:
    """The files `<exercise id>.py` of a folder of private checks, by today's ids.

    Raises:
        GradingError: there is no such folder, it holds no such file, or two for one exercise.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise GradingError(f"--checks: there is no folder {folder}.")
    sources: dict[str, str] = {}
    for file in sorted(folder.glob("*.py")):
        if current(file.stem) in sources:
            raise GradingError(
                f"--checks: {folder} has two files for {current(file.stem)}, under its former id and "
                "under today's. Put all cases into one."
            )
        sources[current(file.stem)] = file.read_text(encoding="utf-8")
    if not sources:
        raise GradingError(f"--checks: {folder} holds no file such as vae.kl_divergence.py.")
    return sources
