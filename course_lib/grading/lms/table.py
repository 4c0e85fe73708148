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
SEPARATORS = {";": "semicolons", "\t": "tabs"}  # what spreadsheets write in place of commas


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


def read_csv_rows(file: Path | str, columns: Sequence[str]) -> list[list[str]]:
    """The rows of a CSV file, its head first, each as wide as the head; see `read_csv_lines`."""
    return [row for _, row in read_csv_lines(file, columns)]


def read_csv_lines(file: Path | str, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The rows of a CSV file, each with the number of its line in the file; empty ones left out.

    Raises:
        GradingError: it cannot be read, or its head lacks one of the columns.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
        rows, line = [], 1
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        for row in reader:
            if row:
                rows.append((line, row))
            line = reader.line_num + 1
    except FileNotFoundError:
        raise GradingError(f"There is no file {file}.") from None
    except UnicodeDecodeError:
        raise GradingError(
            f"{file} cannot be read: it is not UTF-8 text. In Excel, save it as “CSV UTF-8”."
        ) from None
    except (OSError, csv.Error) as error:
        raise GradingError(f"{file} cannot be read as a CSV file: {error}.") from error
    if not rows:
        raise GradingError(f"{file} is empty.")
    head = rows[0][1]
    if not set(columns) <= set(head):
        raise no_columns(file, head, columns)
    width = len(head)
    return [(line, (row + [""] * width)[:width]) for line, row in rows]


def no_columns(file: Path | str, head: Sequence[str], columns: Sequence[str]) -> GradingError:
    """The error to raise where the head of a file lacks columns."""
    what = f"columns {' and '.join(columns)}" if len(columns) > 1 else f"column {columns[0]}"
    used = next((sign for sign in (";", "\t") if len(head) == 1 and sign in head[0]), "")
    hint = f" Its cells must be separated by commas, not by {SEPARATORS[used]}." if used else ""
    return GradingError(f"{file} has no {what} in its first line.{hint}")


def name_key(name: str) -> str:
    """One form for a student's name and for what our own CSV files make of it, which people copy:
    spaces do not count, nor does the apostrophe that keeps a spreadsheet from running it.

    >>> name_key("=cmd ") == name_key("'=cmd"), name_key("a;=b") == name_key("a;'=b")
    (True, True)
    """
    return safe_cell(name.strip())


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
