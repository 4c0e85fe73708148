"""Canvas: how its downloads are recognised, and the gradebook that it imports."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from course_lib.grading.errors import GradingError
from course_lib.grading.intake.archive import Leaf, plain
from course_lib.grading.lms.student import Layout, Recognised, Student, gathered
from course_lib.grading.lms.table import Students, csv_table, full_points, own_id, read_csv_rows
from course_lib.grading.policy import KEEP, Late, final_points, format_points
from course_lib.grading.result import Result

# After the name, Canvas's `content_zipper.rb` writes "[_LATE]_<user id>_<file id>_<file name>", and
# for what was typed in "[_LATE]_<user id>_text.html" or "_link.html".
NUMBERS = re.compile(
    r"(?=(?P<late>_LATE)?_(?P<id>[1-9]\d*)_(?:(?P<file>[1-9]\d*)_(?P<rest>.+)"
    r"|(?P<entry>(?:text|link)\.html))$)"
)
ANONYMOUS = re.compile(
    r"(?P<late>LATE_)?(?P<name>anon_[0-9A-Za-z]+)_"
    r"(?:(?P<file>\d+)_(?P<rest>.+)|(?P<entry>(?:text|link)\.html))"
)


@dataclass(frozen=True)
class Parsed:
    """A file's name, taken apart: the student's name and id, the file's id, the student's own name
    for the file."""

    name: str
    id: str
    late: bool
    file: str
    rest: str


def parse(name: str) -> list[Parsed]:
    """All ways to read a file's name as Canvas makes it, the shortest student's name first.

    There is more than one where the student's name, or their own name for the file, holds numbers
    between underscores.
    """
    if match := ANONYMOUS.fullmatch(name):
        rest = match["rest"] or match["entry"]
        return [Parsed(match["name"], "", bool(match["late"]), match["file"] or "", rest)]
    return [
        Parsed(
            name[: match.start()],
            match["id"],
            bool(match["late"]),
            match["file"] or "",
            match["rest"] or match["entry"],
        )
        for match in NUMBERS.finditer(name)
        if re.fullmatch(r"\w*[^\W\d_]\w*", name[: match.start()])
        and not name[: match.start()].endswith("_LATE")
    ]


def _recognise(leaves: list[Leaf], is_lesson: Callable[[str], bool]) -> Recognised:
    found: list[tuple[object, Leaf, Student]] = []
    rest, files = [], []
    for leaf in leaves:
        ways = parse(leaf.name) if len(leaf.parts) == 1 else []
        if not ways:
            rest.append(leaf)
            continue
        first, *others = ways
        files += [first.file] if first.file else []
        student = Student(plain(first.name), first.id, first.late, "canvas")
        if others and not is_lesson(first.rest):
            # Canvas lets students choose their names: one could hold a classmate's id.
            student.doubt = (
                f"The name {plain(leaf.name, 100)} can be read in several ways: it may be that of "
                + " or of ".join(f"{plain(way.name, 60)} (id {way.id})" for way in ways)
                + "."
            )
        own = replace(leaf, parts=(leaf.name, first.rest))
        found.append(((first.name, first.id, bool(student.doubt) and leaf.name), own, student))
    if len(set(files)) < len(files):  # such as "hw_2026_11_jane": dates and not ids
        return Recognised([], leaves)
    return gathered(found, rest)


LAYOUT = Layout("canvas", "Canvas", _recognise)


COLUMNS = ["ID", "Section"]  # without which a file is not an export of the gradebook
_CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]


def gradebook(
    results: Sequence[Result],
    assignment: str,
    late: Late = KEEP,
    roster: Path | str | None = None,
) -> tuple[str, list[str]]:
    """A CSV for Canvas's gradebook import, as its `gradebook_importer.rb` reads it.

    Canvas finds a student by ID, then by SIS ids, then by name. With a `roster` (the gradebook as
    Canvas exports it) the rows are Canvas's own, matched by those ids, and a grade that is there
    already stays where a person must look.

    Returns:
        The CSV, and a sentence for each student that the roster has no row for.
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
        return csv_table(rows), []
    head, *rows = read_csv_rows(roster, COLUMNS)
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
    return csv_table(filled, given=True), students.notices(roster)


def _title(column: str) -> str:
    """A column's title without the id that Canvas appends: "Build a VAE (4711)"."""
    return re.sub(r" \(\d+\)$", "", column)
