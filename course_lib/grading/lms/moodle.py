"""Moodle: how its downloads are recognised, and the grading worksheet that it takes back."""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from course_lib.grading.intake.archive import Leaf, plain
from course_lib.grading.lms.student import Layout, Recognised, Student, gathered
from course_lib.grading.lms.table import (
    Students,
    csv_table,
    own_id,
    read_csv_rows,
    safe_cell,
)
from course_lib.grading.policy import (
    KEEP,
    Late,
    apply_late,
    final_points,
    format_points,
    needs_person,
)
from course_lib.grading.result import Result

# "<full name>_<participant>_assignsubmission_<plugin>", as Moodle's `mod/assign` names a folder; up
# to 4.0 with one more underscore, and before a file's name where there are no folders. The first
# such part counts: Moodle takes underscores out of names, but students choose those of their files.
NAMED = re.compile(
    r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?P<plugin>[a-z]+)(?:_(?P<rest>.*))?", re.DOTALL
)


def _recognise(leaves: list[Leaf], is_lesson: Callable[[str], bool]) -> Recognised:
    found: list[tuple[object, Leaf, Student]] = []
    rest = []
    for leaf in leaves:
        match = NAMED.fullmatch(leaf.parts[0])
        if match is None:
            rest.append(leaf)
            continue
        name, id = plain(match["name"]), match["id"]
        if name == "Participant":  # marking is blind
            name = f"{name} {id}"
        if len(leaf.parts) == 1:  # downloaded without folders
            leaf = replace(leaf, parts=(leaf.name, match["rest"] or leaf.name))
        found.append(((match["name"], id), leaf, Student(name, id, layout="moodle")))
    return gathered(found, rest)


LAYOUT = Layout("moodle", "Moodle", _recognise)


COLUMNS = ["Identifier", "Grade"]  # without which a file is not a grading worksheet
_MOODLE = [
    "Identifier",
    "Full name",
    "Email address",
    "Status",
    "Grade",
    "Maximum grade",
    "Grade can be changed",
    "Last modified (submission)",
    "Last modified (grade)",
    "Feedback comments",
]


def worksheet(
    results: Sequence[Result], late: Late = KEEP, given: Path | str | None = None
) -> tuple[str, list[str]]:
    """A grading worksheet for Moodle, as its `assignfeedback_offline` reads it (site in English).

    Moodle finds a student by Identifier, "Participant " and the number in the name of the student's
    folder. It passes over rows without a grade. With the worksheet that Moodle exported (`given`),
    its own rows are filled in.

    Returns:
        The CSV, and a sentence for each student that the worksheet has no row for.
    """
    if given is None:
        rows = [_MOODLE]
        for result in results:
            id = own_id(result, "moodle")
            status = "Needs a person" if needs_person(result, late) else "Graded"
            mark = format_points(final_points(result, late))
            rows.append(
                [
                    f"Participant {id}" if id else "",
                    *(result.student, "", status, mark, format_points(result.of)),
                    "Yes",
                    moodle_time(result.submitted) if result.submitted else "",
                    moodle_time(result.graded) if mark and result.graded else "-",
                    _comment(result, late),
                ]
            )
        return csv_table(rows), []
    head, *rows = read_csv_rows(given, COLUMNS)
    students = Students(results, "moodle")
    place = {name: number for number, name in enumerate(head)}
    for row in rows:
        number = row[place["Identifier"]].rpartition(" ")[2]
        others = (row[place[c]] for c in ("Username", "Email address", "ID number") if c in place)
        found = students.take(number, *others)
        if found is None or (points := final_points(found, late)) is None:
            continue
        row[place["Grade"]] = format_points(points)
        if "Feedback comments" in place:
            row[place["Feedback comments"]] = safe_cell(_comment(found, late))
    return csv_table([head, *rows], given=True), students.notices(given)


def _comment(result: Result, late: Late) -> str:
    """A short comment in HTML, which is what Moodle takes a comment for."""
    if needs_person(result, late):
        return ""
    lines = [
        f"{plain(mark.title)}: {format_points(mark.points)} of {format_points(mark.of)}"
        + "".join(f"; {plain(s, 500)}" for s in dict.fromkeys(c.sentence for c in mark.cases) if s)
        for mark in result.marks
    ]
    if (after := apply_late(result, late)) != result.points:
        lines.append(f"Late: {format_points(result.points)} became {format_points(after)}")
    return "<br>".join(html.escape(line) for line in lines)


def moodle_time(time: datetime) -> str:
    """A time as Moodle writes it in English."""
    return f"{time:%A}, {time.day} {time:%B %Y}, {int(time.strftime('%I'))}:{time:%M %p}"
