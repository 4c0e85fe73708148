"""Which of a student's attempts counts, and what a late one loses."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from course_lib.grading.errors import GradingError
from course_lib.grading.result import Flag, Result

ATTEMPTS = ("best", "last")
MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Late:
    """What becomes of a late submission: `--late keep`, `--late 10%` or `--late refuse`."""

    percent: float = 0.0
    refuse: bool = False

    @classmethod
    def parse(cls, text: str) -> "Late":
        """From the option's words. Raises GradingError that lists them."""
        word = text.strip().lower()
        if word in ("keep", "refuse"):
            return cls(refuse=word == "refuse")
        try:
            percent = float(word.removesuffix("%")) if word.endswith("%") else -1.0
        except ValueError:
            percent = -1.0
        if not 0 <= percent <= 100:
            raise GradingError(
                f"--late {text}: say keep (late work is only marked as such), a percentage such as "
                "10% (taken off the points of a late submission), or refuse (a person decides)."
            )
        return cls(percent=percent)

    def __str__(self) -> str:
        return "refuse" if self.refuse else f"{self.percent:g}%" if self.percent else "keep"


KEEP = Late()


def apply_late(result: Result, late: Late = KEEP) -> float:
    """The points of a result after what lateness takes off; what a person gave stays as it is."""
    if result.decided is not None:
        return result.decided
    return result.points * (1 - late.percent / 100) if result.late else result.points


def needs_person(result: Result, late: Late = KEEP) -> bool:
    """Whether a person must look before the mark counts; then no export holds a grade."""
    return result.blocked or (late.refuse and result.late and not result.closed)


def unseen(result: Result) -> bool:
    """Whether a person must look and no answer was even found: then its zeros say nothing."""
    return result.needs_person and result.unfound


def final_points(result: Result, late: Late = KEEP) -> float | None:
    """The points to report, or None while a person must look: a zero that nobody gave is none."""
    return None if needs_person(result, late) else apply_late(result, late)


def format_points(points: float | None) -> str:
    """Points for people: at most two decimals, halves rounded up, nothing for none."""
    return "" if points is None else f"{round(points + 1e-9, 2):.10g}"


def choose(
    results: Iterable[Result],
    attempts: str = "best",
    late: Late = KEEP,
    most: int = MOST_ATTEMPTS,
) -> list[Result]:
    """One result a student, in the order in which the students come.

    Args:
        attempts: "last", or "best": most points after lateness, of equal ones the last; an attempt
            that needs a person counts only where the student has no other.
        most: where a student has more attempts than this, a person must look: with enough guesses
            even a wrong answer is right once.

    Raises:
        GradingError: for another word.
    """
    if attempts not in ATTEMPTS:
        raise GradingError(f"--attempts {attempts}: say best or last.")
    of_student: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        of_student.setdefault((result.student, result.student_id), []).append(result)

    def rank(result: Result) -> tuple[float, ...]:
        order = (result.attempt, _timestamp(result.submitted))
        if attempts == "last":
            return order
        return (not needs_person(result, late), apply_late(result, late), *order)

    return [_counted(max(own, key=rank), len(own), most) for own in of_student.values()]


def _counted(result: Result, attempts: int, most: int) -> Result:
    if attempts <= most:
        return result
    sentence = f"There are {attempts} attempts, and more than {most} may be guesses: compare them."
    return replace(result, flags=(*result.flags, Flag("attempts", sentence)))


def _timestamp(time: datetime | None) -> float:
    """Seconds since 1970, of a time in UTC unless it says otherwise; before all others for none."""
    if time is None:
        return float("-inf")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
