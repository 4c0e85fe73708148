"""Canvas: how its downloads are recognised, and the gradebook that it imports."""

import re
from collections.abc import Sequence
from pathlib import Path

from course_lib.grading.errors import GradingError
from course_lib.grading.lms.table import Students, csv_table, full_points, own_id, read_table
from course_lib.grading.policy import KEEP, Late, final_points, format_points
from course_lib.grading.result import Result

# "<name>[_LATE]_<user id>_<file id>_<file name>", as Canvas's `content_zipper.rb` writes it.
NAMED = re.compile(
    r"(?P<name>\w+?)(?P<late>_LATE)?_(?P<id>[1-9]\d*)_(?P<file>[1-9]\d*)_(?P<rest>.+)"
)
ANONYMOUS = re.compile(r"(?P<late>LATE_)?(?P<name>anon_[0-9A-Za-z]+)_(?P<file>\d+)_(?P<rest>.+)")


def match(name: str) -> re.Match[str] | None:
    """The parts of a file name as Canvas makes it; None for another name."""
    found = ANONYMOUS.fullmatch(name) or NAMED.fullmatch(name)
    return found if found and re.search(r"[^\W\d_]", found["name"]) else None


_CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]


def gradebook(
    results: Sequence[Result],
    assignment: str,
    late: Late = KEEP,
    roster: Path | str | None = None,
) -> str:
    """A CSV for Canvas's gradebook import, as its `gradebook_importer.rb` reads it.

    Canvas finds a student by ID, then by SIS ids, then by name. With a `roster` (the gradebook as
    Canvas exports it) the rows are Canvas's own, matched by those ids, and a grade that is there
    already stays where a person must look.
    """
    if roster is None:
        rows = [
            [*_CANVAS, assignment],
            ["    Points Possible", "", "", "", "", full_points(results)],
        ]
        for result in results:
            id = own_id(result, "canvas")
            login = "" if id else result.student
            rows.append(
                [result.student, id, "", login, "", format_points(final_points(result, late))]
            )
        return csv_table(rows)
    head, *rows = read_table(roster, ["ID", "Section"])
    known = head[: head.index("Section") + 1]  # who it is; notes and other assignments follow
    named = [c for c in head if assignment in (c, _title(c))] or [assignment]
    if len(named) > 1:
        raise GradingError(
            f"{roster} has several columns called {assignment}; give one with its id: {named[0]}."
        )
    column = head.index(named[0]) if named[0] in head else None
    students = Students(results, "canvas")
    filled = [known + named]
    for row in rows:
        about = dict(zip(known, row, strict=False))
        mark = "" if column is None else row[column]
        if "Points Possible" in row[0]:
            mark = mark or full_points(results)
        elif found := students.take(
            about["ID"], about.get("SIS Login ID", ""), about.get("SIS User ID", "")
        ):
            new = final_points(found, late)
            mark = mark if new is None else format_points(new)
        filled.append([*about.values(), mark])
    students.check(roster)
    return csv_table(filled, given=True)


def _title(column: str) -> str:
    """A column's title without the id that Canvas appends: "Build a VAE (4711)"."""
    return re.sub(r" \(\d+\)$", "", column)
