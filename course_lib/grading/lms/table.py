"""CSV for learning management systems: rows that no spreadsheet runs, and rows found by student.

Every text in a result may come from a hostile notebook or from a file's name. No cell of a CSV file
can begin a formula.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from course_lib.grading.errors import GradingError
from course_lib.grading.intake.archive import plain
from course_lib.grading.policy import format_points
from course_lib.grading.result import Result

# What a spreadsheet takes for the beginning of a formula; the wide ones in East Asian settings.
FORMULA = ("=", "+", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "-")


class Students:
    """Results by the LMS's own id, else by login or name; each is given out once.

    An id of another LMS is never taken for one here, and a name only counts where people or
    nbgrader have named the files: elsewhere students choose their names themselves.
    """

    def __init__(self, results: Iterable[Result], layout: str):
        self.left = dict(enumerate(results))
        self.ids: dict[str, set[int]] = {}
        self.names: dict[str, set[int]] = {}
        for number, result in self.left.items():
            if own := own_id(result, layout):
                self.ids.setdefault(own, set()).add(number)
                continue
            for name in _own_names(result):
                self.names.setdefault(name.strip().casefold(), set()).add(number)

    def take(self, id: str, *names: str) -> Result | None:
        """The one result with this id, else with the first of these names that some result has."""
        found = [self.ids.get(id.strip(), set())]
        found += [self.names.get(name.strip().casefold(), set()) for name in names if name.strip()]
        matches = next(filter(None, found), set())
        if len(matches) != 1:
            return None
        (number,) = matches
        return self.left.pop(number, None)

    def notices(self, file: Path | str) -> list[str]:
        """What to tell people about those who have no row."""
        return [
            f"{Path(file).name} has no row for {plain(result.student, 60)}"
            + (f" (id {plain(result.student_id, 40)})" if result.student_id else "")
            + ", or cannot tell apart who it is. Enter this grade by hand, from grades.csv."
            for result in self.left.values()
        ]


def _own_names(result: Result) -> list[str]:
    if result.layout in ("", "nbgrader"):
        return [result.student]
    # Gradescope's ids are those of the institution; its names are the students' own.
    return [result.student_id] if result.layout in ("gradescope", "sakai") else []


def own_id(result: Result, layout: str) -> str:
    """The student's id, if it is that LMS's: another's could be a stranger's there."""
    id = result.student_id
    return id if result.layout == layout and id.isdecimal() else ""


def read_csv_rows(file: Path | str, columns: Iterable[str]) -> list[list[str]]:
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GradingError(f"{file} cannot be read as a CSV file: {error}.") from error
    if not rows or not set(columns) <= set(rows[0]):
        raise GradingError(f"{file} has no columns {' and '.join(columns)} in its first line.")
    width = len(rows[0])
    return [(row + [""] * width)[:width] for row in rows]


def full_points(results: Iterable[Result]) -> str:
    return format_points(max((result.of for result in results), default=0))


def csv_table(rows: Iterable[Sequence[object]], given: bool = False) -> str:
    """CSV. Text that is `given`, from the LMS's own file, keeps its spaces and its first sign."""
    file = io.StringIO()
    clean = str if given else safe_cell
    csv.writer(file, lineterminator="\n").writerows([clean(cell) for cell in row] for row in rows)
    return file.getvalue()


def safe_cell(value: object) -> str:
    text = str(value)
    indent = text[: len(text) - len(text.lstrip(" "))]
    text = plain(" ".join(text.split()), 4000)
    # Programs that take a semicolon for the end of a cell see another cell behind it.
    text = re.sub(rf";(\s*)(?=[{''.join(FORMULA)}])", r";\1'", text)
    return indent + (f"'{text}" if text.startswith(FORMULA) and text != "-" else text)
