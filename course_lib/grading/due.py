"""When work was due, for the class and for single students, and so what is late.

A learning management system rarely says so in its download. A file says it for all of them: CSV with a
column `due`, and for single students `student` or `id`. A line without a student is the class's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from course_lib.grading.errors import GradingError
from course_lib.grading.intake.archive import plain
from course_lib.grading.lms.table import name_key, read_csv_lines, read_csv_rows
from course_lib.grading.result import Flag, Result

COLUMNS = ("student", "id", "due", "submitted")
MOODLE_TIMES = ("%A, %d %B %Y, %I:%M %p", "%A, %d %B %Y, %H:%M")  # a site in English


@dataclass(frozen=True)
class Line:
    """One line of the file.

    Attributes:
        student, id: whose it is, by name or by id; both "" for the class.
        due: until when; None where only `submitted` is told.
        submitted: when it was handed in, for a layout that does not say so.
    """

    student: str
    id: str
    due: datetime | None
    submitted: datetime | None


@dataclass(frozen=True)
class Due:
    """All lines of the file; without one, lateness is what the layout says."""

    lines: tuple[Line, ...] = ()

    def of(self, result: Result) -> Line | None:
        """The student's own line, by id before name."""
        by_id = [x for x in self.lines if x.id and x.id == result.student_id]
        name = _key(result.student)
        by_name = [x for x in self.lines if not x.id and x.student and _key(x.student) == name]
        lines = by_id or by_name
        return lines[0] if lines else None

    @property
    def of_class(self) -> datetime | None:
        """When the class's work was due."""
        lines = [line.due for line in self.lines if not line.student and not line.id]
        return lines[0] if lines else None


def read_due_times(file: Path) -> Due:
    """The lines of a file with the columns `due` and, as needed, `student`, `id`, `submitted`.

    Raises:
        GradingError: it cannot be read, a column is not known, a time lacks its zone, or two lines
            are about one student or the class.
    """
    (_, head), *rows = read_csv_lines(file, ["due"])
    place = {name.strip().casefold(): number for number, name in enumerate(head) if name.strip()}
    # A line whose student stood in a column called otherwise would be the whole class's.
    if unknown := [name for name in place if name not in COLUMNS]:
        raise GradingError(
            f"{file}, line 1: the column {plain(unknown[0], 60)!r} is not known. "
            f"Those that are: {', '.join(COLUMNS)}."
        )
    lines = []
    first: dict[tuple[str, str], int] = {}
    for number, row in rows:

        def said(column: str, row: list[str] = row) -> str:
            return row[place[column]].strip() if column in place else ""

        where = f"{file}, line {number}"
        due, submitted = (_time(said(column), where) for column in ("due", "submitted"))
        if due is None and submitted is None:
            raise GradingError(f"{where}: there is no time in it.")
        line = Line(said("student"), said("id"), due, submitted)
        key = ("", line.id) if line.id else (_key(line.student), "")
        if key in first:
            whose = plain(line.student or line.id, 60) or "the class (a line without a student)"
            raise GradingError(
                f"{where}: line {first[key]} is about {whose} too. Write both times into one line."
            )
        first[key] = number
        lines.append(line)
    return Due(tuple(lines))


def _time(text: str, where: str) -> datetime | None:
    """A time with its zone: 2026-03-01T23:59-08:00, or 2026-03-01 23:59 America/Los_Angeles."""
    if not text:
        return None
    zone: tzinfo | None = None
    when, _, name = text.rpartition(" ")
    try:
        if when and re.fullmatch(r"[A-Za-z][\w+/-]*", name):
            zone, text = ZoneInfo(name), when
        time = datetime.fromisoformat(text)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise GradingError(
            f"{where}: {text!r} is no time that is known here. Write 2026-03-01 23:59 "
            "Europe/Berlin, or 2026-03-01T23:59+01:00."
        ) from None
    if zone is not None and time.tzinfo is None:
        time = time.replace(tzinfo=zone)
    if time.tzinfo is None:
        raise GradingError(
            f"{where}: {text!r} has no time zone. Write 2026-03-01 23:59 Europe/Berlin, or "
            "2026-03-01T23:59+01:00."
        )
    return time


def with_due_times(results: Sequence[Result], due: Due) -> tuple[list[Result], list[str]]:
    """The results, late where they came after their due time; and sentences for people.

    Where nobody says when something was handed in, it stays as late as the layout says. A student
    with a due time of their own then needs a person: an extension cannot be told from lateness.
    """
    if not due.lines:
        return list(results), []
    found, unknown = [], 0
    for result in results:
        own = due.of(result)
        limit = own.due if own and own.due else due.of_class
        submitted = (own.submitted if own else None) or result.submitted
        if limit is None:
            found.append(result)
        elif submitted is not None:
            time = submitted if submitted.tzinfo else submitted.replace(tzinfo=limit.tzinfo)
            found.append(replace(result, late=time > limit, submitted=time))
        elif own and own.due and result.late:
            sentence = (
                "It is marked as late, but this student's own due time is "
                f"{limit.isoformat(' ', 'minutes')}, and it is not known when it was handed in."
            )
            found.append(replace(result, flags=(*result.flags, Flag("lateness", sentence))))
        else:
            unknown += 1
            found.append(result)
    lost = [line for line in due.lines if not _fits(line, results)]
    told = [
        f"The file of due times names {plain(line.student or line.id, 60)}, who has handed in nothing."
        for line in lost
    ]
    if unknown:
        told.append(
            f"It is not known when {unknown} students handed in; they are late where their system "
            "says so. Add a column submitted to the file of due times, or give Moodle's worksheet."
        )
    return found, told


def _fits(line: Line, results: Sequence[Result]) -> bool:
    if not line.student and not line.id:
        return True
    return any(
        line.id == result.student_id if line.id else _key(line.student) == _key(result.student)
        for result in results
    )


def _key(name: str) -> str:
    return name_key(name).casefold()


def submitted_in_moodle(worksheet: Path, zone: tzinfo | None) -> dict[str, datetime]:
    """When each participant handed in, by the number in the worksheet's Identifier.

    Args:
        zone: that of the times, which Moodle writes in that of whoever exported them.
    """
    column = "Last modified (submission)"
    head, *rows = read_csv_rows(worksheet, ["Identifier"])
    if column not in head or zone is None:
        return {}
    number, when = head.index("Identifier"), head.index(column)
    found = {}
    for row in rows:
        for form in MOODLE_TIMES:
            try:
                time = datetime.strptime(" ".join(row[when].split()), form)
            except ValueError:
                continue
            found[row[number].rpartition(" ")[2]] = time.replace(tzinfo=zone)
            break
    return found
