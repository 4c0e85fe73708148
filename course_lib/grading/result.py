"""What grading a submission gives: its marks, exercise by exercise and case by case, and flags.

A result is stored as JSON, one file a submission. `to_json` and `from_json` are the only places
that know the keys of that file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from course_lib.exercises.aliases import current

VERSION = 1
# Kinds of flags for which a person must look before the mark may count.
NEEDS_PERSON = frozenset(
    {
        "missing",
        "unreadable",
        "tampered",
        "failed",
        "identity",
        "attempts",
        "lateness",
        "disagrees",
        "unsure",
        "ambiguous",
        "python",
        "time",
        "written",
    }
)
# A text that a person marks by a rubric. Until then it is worth nothing, and nobody suspects anything.
WRITTEN = "written"

UNSOLVED = "Not solved yet."  # what is said of a stub

Json = dict[str, object]


@dataclass(frozen=True)
class Case:
    """How an answer did in one case: the points it got, out of how many, and why not all."""

    name: str
    passed: bool
    points: float
    of: float
    sentence: str = ""


@dataclass(frozen=True)
class Flag:
    """Something that a person should know. `exercise` is None if it is about the whole submission."""

    kind: str
    sentence: str
    exercise: str | None = None

    @property
    def needs_person(self) -> bool:
        return self.kind in NEEDS_PERSON


@dataclass(frozen=True)
class Mark:
    """What the answer to one exercise got.

    Attributes:
        id, title: the exercise.
        points, of: what it got, and what it could have got.
        found: how the answer was found: "tag", "marker", "name" or "nowhere"; WRITTEN for a text that
            a person marks, which has no cases.
        cases: each case of the exercise, in order.
        seconds: the wall-clock time that it took.
        fingerprint, length: hash and size of the answer's normalised syntax tree; "" and 0 where
            there is none.
    """

    id: str
    title: str
    points: float
    of: float
    found: str
    cases: tuple[Case, ...]
    seconds: float = 0.0
    fingerprint: str = ""
    length: int = 0

    @property
    def unsolved(self) -> bool:
        """Whether it is still the stub that the lesson hands out."""
        return bool(self.cases) and self.cases[0].sentence == UNSOLVED


@dataclass(frozen=True)
class Hashes:
    """What the marks depend on, as SHA-256: the submission, the exercises' version, the secret."""

    submission: str = ""
    exercises: str = ""
    seed: str = ""


@dataclass(frozen=True)
class Result:
    """The result of grading one submission.

    Attributes:
        student, student_id, source, layout, attempt, late, submitted: as in `Submission`.
        lesson: "01_vae".
        marks: one an exercise, in the lesson's order.
        flags: what a person should know.
        seconds: the wall-clock time of the whole grading.
        graded: when, in UTC.
        sandbox: in which sandbox the answers ran.
        decided: the points that a person gives for the whole; not stored, since decisions are kept
            in a file of their own.
        settled: a person lets stand what was computed; not stored either.
    """

    student: str
    source: str
    lesson: str
    marks: tuple[Mark, ...]
    flags: tuple[Flag, ...] = ()
    student_id: str = ""
    layout: str = ""
    attempt: int = 1
    late: bool = False
    submitted: datetime | None = None
    hashes: Hashes = field(default_factory=Hashes)
    seconds: float = 0.0
    graded: datetime | None = None
    sandbox: str = "none"
    decided: float | None = None
    settled: bool = False

    @property
    def points(self) -> float:
        """The sum over the exercises, before lateness."""
        return round(sum(mark.points for mark in self.marks), 4)

    @property
    def of(self) -> float:
        """The most points that the lesson gives."""
        return float(sum(mark.of for mark in self.marks))

    @property
    def needs_person(self) -> bool:
        """Whether a person should look at it."""
        return not self.closed and any(flag.needs_person for flag in self.flags)

    @property
    def suspect(self) -> bool:
        """Whether a person should look at it for another reason than that its texts await a mark."""
        flags = (flag for flag in self.flags if flag.kind != WRITTEN)
        return not self.closed and any(flag.needs_person for flag in flags)

    @property
    def unfound(self) -> bool:
        """Whether no answer to any exercise was found."""
        return all(mark.found in ("nowhere", WRITTEN) for mark in self.marks)

    @property
    def closed(self) -> bool:
        """Whether a person has decided about the whole."""
        return self.settled or self.decided is not None

    @property
    def blocked(self) -> bool:
        """Whether there is no mark until a person has looked. One answer that is missing among
        others costs its own points only."""
        flags = [f for f in self.flags if self.unfound or not (f.kind == "missing" and f.exercise)]
        return not self.closed and any(flag.needs_person for flag in flags)

    def to_json(self) -> Json:
        """A dict that `json` can write; `from_json` reads it back."""
        return {
            "version": VERSION,
            "student": self.student,
            "student_id": self.student_id,
            "source": self.source,
            "layout": self.layout,
            "attempt": self.attempt,
            "late": self.late,
            "submitted": self.submitted.isoformat() if self.submitted else None,
            "lesson": self.lesson,
            "hashes": {
                "submission": self.hashes.submission,
                "exercises": self.hashes.exercises,
                "seed": self.hashes.seed,
            },
            "points": self.points,
            "of": self.of,
            "needs_person": self.needs_person,
            "flags": [
                {"exercise": flag.exercise, "kind": flag.kind, "sentence": flag.sentence}
                for flag in self.flags
            ],
            "exercises": [_mark_to_json(mark) for mark in self.marks],
            "seconds": self.seconds,
            "graded": self.graded.isoformat(timespec="seconds") if self.graded else None,
            "sandbox": self.sandbox,
        }

    @classmethod
    def from_json(cls, stored: object) -> "Result":
        """The result that `to_json` wrote. Raises ValueError if it is not one of this version."""
        try:
            if not isinstance(stored, Mapping) or stored["version"] != VERSION:
                raise ValueError(f"not a result of version {VERSION}")
            hashes = stored.get("hashes", {})
            return cls(
                student=str(stored["student"]),
                student_id=str(stored.get("student_id", "")),
                source=str(stored["source"]),
                layout=str(stored.get("layout", "")),
                attempt=int(stored.get("attempt", 1)),
                late=bool(stored.get("late", False)),
                submitted=_time(stored.get("submitted")),
                lesson=str(stored["lesson"]),
                hashes=Hashes(**{str(name): str(value) for name, value in hashes.items()}),
                marks=tuple(_mark(mark) for mark in stored["exercises"]),
                flags=tuple(
                    Flag(str(flag["kind"]), str(flag["sentence"]), _exercise(flag["exercise"]))
                    for flag in stored["flags"]
                ),
                seconds=float(stored.get("seconds", 0.0)),
                graded=_time(stored.get("graded")),
                sandbox=str(stored.get("sandbox", "none")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a result: {type(error).__name__} {error}") from None


def _exercise(stored: object) -> str | None:
    return None if stored is None else current(str(stored))


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None


def _mark_to_json(mark: Mark) -> Json:
    return {
        "id": mark.id,
        "title": mark.title,
        "points": mark.points,
        "of": mark.of,
        "found": mark.found,
        "cases": [
            {
                "name": case.name,
                "passed": case.passed,
                "points": case.points,
                "of": case.of,
                "sentence": case.sentence,
            }
            for case in mark.cases
        ],
        "seconds": mark.seconds,
        "fingerprint": mark.fingerprint,
        "length": mark.length,
    }


def _mark(stored: Mapping[str, object]) -> Mark:
    cases = stored["cases"]
    if not isinstance(cases, list):
        raise TypeError("cases")
    return Mark(
        id=current(str(stored["id"])),
        title=str(stored["title"]),
        points=_number(stored["points"]),
        of=_number(stored["of"]),
        found=str(stored["found"]),
        cases=tuple(
            Case(
                name=str(case["name"]),
                passed=bool(case["passed"]),
                points=float(case["points"]),
                of=float(case["of"]),
                sentence=str(case["sentence"]),
            )
            for case in cases
        ),
        seconds=_number(stored.get("seconds", 0.0)),
        fingerprint=str(stored.get("fingerprint", "")),
        length=int(_number(stored.get("length", 0))),
    )


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
