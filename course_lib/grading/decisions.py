"""What people decide about marks, and the trail of every mark that has changed.

Decisions stand in `decisions.csv` in the folder of the grades. It is read on every run, so a decision
outlives a new grading, and only `course-lib decide` or a person's own hand writes to it.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from course_lib.exercises import get
from course_lib.exercises.aliases import current
from course_lib.files import write_whole
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.archive import plain
from course_lib.grading.lms.table import csv_table, name_key, read_csv_lines, read_csv_rows
from course_lib.grading.policy import KEEP, Late, final_points, format_points
from course_lib.grading.result import Flag, Result
from course_lib.syllabus import course, unknown

FILE, TRAIL, LAST = "decisions.csv", "audit.csv", "marks.json"
COLUMNS = ("student", "student_id", "exercise", "mark", "reason", "who", "when")
TRAIL_COLUMNS = ("when", "student", "student_id", "before", "after", "who", "reason")


@dataclass(frozen=True)
class Decision:
    """One line of the file.

    Attributes:
        student, student_id: as in `grades.csv`.
        exercise: the exercise it is about; "" for the whole submission.
        mark: the points that a person gives; None to let stand what was computed.
        reason, who, when: why, by whom, and the time as they wrote it.
    """

    student: str
    student_id: str
    exercise: str
    mark: float | None
    reason: str
    who: str
    when: str


def read_decisions(file: Path) -> list[Decision]:
    """The decisions in a file, none where there is no file.

    Raises:
        GradingError: it cannot be read, or a line lacks a reason or a name, or its mark is none.
    """
    if not file.exists():
        return []
    (_, head), *rows = read_csv_lines(file, COLUMNS[:-1])
    place = {name: number for number, name in enumerate(head)}
    return [_decision(row, place, f"{file}, line {n}") for n, row in rows]


def _decision(row: list[str], place: dict[str, int], where: str) -> Decision:
    said = {name: row[place[name]].strip() if name in place else "" for name in COLUMNS}
    if not (said["student"] and said["reason"] and said["who"]):
        raise GradingError(f"{where}: a decision needs a student, a reason and who decided it.")
    try:
        mark = float(said["mark"].replace(",", ".")) if said["mark"] else None
    except ValueError:
        mark = math.nan
    if mark is not None and not 0 <= mark < math.inf:
        raise GradingError(
            f"{where}: the mark {said['mark']!r} is not a number of points. Leave it empty to let stand "
            "what was computed."
        )
    exercise = current(said["exercise"])
    return Decision(
        *(said["student"], said["student_id"], exercise, mark),
        *(said["reason"], said["who"], said["when"]),
    )


def add(folder: Path, decision: Decision) -> None:
    """Append a decision to the file in a folder of grades.

    Raises:
        GradingError: where `read_decisions` would refuse it, or it does not fit `grades.csv`: the
            next run would stop at it, or pass over it.
    """
    file = folder / FILE
    row = _row(decision)
    place = {name: number for number, name in enumerate(COLUMNS)}
    decision = _decision([str(cell) for cell in row], place, "this decision")
    _refuse_misfit(folder / "grades.csv", decision)
    write_whole(file, csv_table([COLUMNS, *map(_row, read_decisions(file)), row]))


def _refuse_misfit(grades: Path, decision: Decision) -> None:
    """Raise GradingError where a decision is about nobody, two students or no exercise of the table
    in `grades.csv`, or gives more points than there are."""
    if not grades.exists():
        raise GradingError(
            f"There is no {grades}. First: course-lib grade, with --out {grades.parent}."
        )
    head, *rows = read_csv_rows(grades, ["student", "student_id", "points", "of"])
    table = [dict(zip(head, row, strict=True)) for row in rows]
    name, id = name_key(decision.student), decision.student_id
    fits = [
        row
        for row in table
        if name_key(row["student"]) == name and (not id or row["student_id"] == id)
    ]
    if len(fits) != 1:
        who = plain(decision.student, 60)
        raise GradingError(
            f"{len(fits)} students in {grades} are called {who}. Give the student_id too: --id."
            if fits
            else f"No student in {grades} is called {who}"
            + (f" and has the id {plain(decision.student_id, 40)}" if decision.student_id else "")
            + ". Write name and id as they stand there."
        )
    exercises = head[head.index("student_id") + 1 : head.index("points")]
    if decision.exercise and decision.exercise not in exercises:
        raise GradingError(unknown("exercise", decision.exercise, exercises))
    most = _most(decision.exercise) if decision.exercise else float(fits[0]["of"])
    if decision.mark is not None and decision.mark > most:
        raise GradingError(f"{decision.mark:g} points are more than the {most:g} that there are.")


def _most(exercise: str) -> float:
    """The points of an exercise or of a text that a person reads."""
    lessons = course().lessons.values()
    texts = {text.id: text.points for lesson in lessons for text in lesson.written}
    return float(texts[exercise] if exercise in texts else get(exercise).points)


def _row(decision: Decision) -> list[object]:
    mark = "" if decision.mark is None else f"{decision.mark:.10g}"
    return [mark if name == "mark" else getattr(decision, name) for name in COLUMNS]


def with_decisions(
    results: Iterable[Result], decisions: Sequence[Decision]
) -> tuple[list[Result], list[str]]:
    """The results as people have decided, and a sentence for each decision that fits no student.

    A later decision about the same exercise, or the whole, replaces an earlier one. One about an
    exercise settles the flags of that exercise; one about the whole settles all.

    Raises:
        GradingError: a decision is about an exercise that the lesson does not have, or gives more
            points than there are.
    """
    results = list(results)
    told = []
    for decision in decisions:
        fits = [n for n, result in enumerate(results) if _is_of(decision, result)]
        if len(fits) != 1:
            told.append(
                f"decisions.csv: {len(fits) or 'no'} students fit {plain(decision.student, 60)}"
                + (" (give the student_id too)" if len(fits) > 1 else "")
                + "; this decision changes nothing."
            )
            continue
        (number,) = fits
        results[number] = _decided(results[number], decision)
    return results, told


def _is_of(decision: Decision, result: Result) -> bool:
    by_id = not decision.student_id or decision.student_id == result.student_id
    return by_id and name_key(decision.student) == name_key(result.student)


def _decided(result: Result, decision: Decision) -> Result:
    points = "as computed" if decision.mark is None else f"{format_points(decision.mark)} points"
    sentence = f"{points}, decided by {decision.who}: {decision.reason}"
    known = {mark.id: mark for mark in result.marks}
    most = known[decision.exercise].of if decision.exercise in known else result.of
    if decision.exercise and decision.exercise not in known:
        raise GradingError(
            f"decisions.csv: {result.lesson} has no exercise {decision.exercise!r}; it has "
            f"{', '.join(known)}."
        )
    if decision.mark is not None and decision.mark > most:
        raise GradingError(
            f"decisions.csv: {plain(decision.student, 60)} cannot get {decision.mark:g} points, of "
            f"{most:g}."
        )
    flag = Flag("decided", sentence, decision.exercise or None)
    if not decision.exercise:
        kept = [f for f in result.flags if f.kind != "decided" or f.exercise]
        stands = decision.mark is None
        return replace(result, flags=(*kept, flag), decided=decision.mark, settled=stands)
    marks = tuple(
        replace(mark, points=decision.mark)
        if mark.id == decision.exercise and decision.mark is not None
        else mark
        for mark in result.marks
    )
    others = [f for f in result.flags if f.exercise != decision.exercise]
    return replace(result, flags=(*others, flag), marks=marks)


# --- the trail ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One line of the trail: a student's mark before and after, "" where there was none."""

    when: str
    student: str
    student_id: str
    before: str
    after: str
    who: str
    reason: str


def record_changes(folder: Path, results: Sequence[Result], late: Late = KEEP) -> list[Change]:
    """Append to `audit.csv` every mark that is not what it was after the last run.

    The trail only grows. What the last run gave is kept beside it in `marks.json`.
    """
    last = _last(folder / LAST)
    now = {f"{r.student}\n{r.student_id}": format_points(final_points(r, late)) for r in results}
    when = datetime.now(UTC).isoformat(timespec="seconds")
    changes = []
    for result in results:
        key = f"{result.student}\n{result.student_id}"
        if key in last and last[key] != now[key]:
            decided = [flag.sentence for flag in result.flags if flag.kind == "decided"]
            who = "a person" if decided else "the grader"
            reason = " | ".join(decided) or "graded again"
            changes.append(
                Change(when, result.student, result.student_id, last[key], now[key], who, reason)
            )
    trail = folder / TRAIL
    if changes or not trail.exists():
        before = trail.read_text(encoding="utf-8") if trail.exists() else csv_table([TRAIL_COLUMNS])
        write_whole(trail, before + csv_table(astuple(change) for change in changes))
    write_whole(folder / LAST, json.dumps(last | now, ensure_ascii=False, indent=0))
    return changes


def _last(file: Path) -> dict[str, str]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in known.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def trail(folder: Path) -> list[Change]:
    """The trail in a folder of grades, the oldest change first."""
    file = folder / TRAIL
    if not file.exists():
        return []
    _, *rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))
    return [Change(*row) for row in rows]
