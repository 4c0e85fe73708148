"""Grades for people and for learning management systems.

Every text in a result may come from a hostile notebook or a file's name. In a CSV no cell can begin
a formula; in a Moodle comment, which is HTML, all markup is escaped. Where a person must look, the
grade is empty: an import then sets no mark, least of all a zero.
"""

import csv
import hashlib
import html
import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from course_lib.files import write_whole
from course_lib.grading.archive import plain
from course_lib.grading.policy import KEEP, Late, apply_late, grade, needs_person, unseen, written
from course_lib.grading.result import GradingError

# What a spreadsheet takes for the beginning of a formula; the wide ones in East Asian settings.
FORMULA = ("=", "+", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "-")


def write(
    folder: Path | str,
    results: Sequence[dict],
    assignment: str,
    late: Late = KEEP,
    canvas_roster: Path | str | None = None,
    moodle_worksheet: Path | str | None = None,
) -> list[Path]:
    """Write `grades.csv`, `canvas.csv`, `moodle.csv` and `gradescope/*.json`; each file appears
    whole or not at all.

    Args:
        results: one a student; see `policy.choose`.
        assignment: the column's name in Canvas, best with its id: "Build a VAE (4711)".
        canvas_roster: Canvas's own export of the gradebook, whose rows are filled in.
        moodle_worksheet: Moodle's own grading worksheet, whose rows are filled in.
    """
    folder = Path(folder)
    (folder / "gradescope").mkdir(parents=True, exist_ok=True)
    files = {
        folder / "grades.csv": grades(results, late),
        folder / "canvas.csv": canvas(results, assignment, late, canvas_roster),
        folder / "moodle.csv": moodle(results, late, moodle_worksheet),
    }
    for result in results:
        name = folder / "gradescope" / f"{file_name(result)}.json"
        files[name] = json.dumps(gradescope(result, late), indent=1, ensure_ascii=False) + "\n"
    for path, text in files.items():
        write_whole(path, text)
    return list(files)


def file_name(result: dict) -> str:
    """A name for a student's files that every system takes and no other student has."""
    who = f"{result['student']}\n{result.get('student_id', '')}"
    word = re.sub(r"\W+", "_", result["student"]).strip("_")[:40]
    return f"{word or 'student'}-{hashlib.sha256(who.encode()).hexdigest()[:8]}"


def grades(results: Sequence[dict], late: Late = KEEP) -> str:
    """The table for people: a row a student, a column an exercise, CSV in UTF-8.

    `points` is what the cases gave, `grade` what is left of it after lateness, empty where
    `needs_person` is yes.
    """
    exercises = list(dict.fromkeys(e["id"] for result in results for e in result["exercises"]))
    rows = [
        [
            *("student", "student_id", *exercises, "points", "late", "grade", "of", "percent"),
            *("attempt", "submitted", "needs_person", "flags", "source"),
        ]
    ]
    for result in results:
        points = {} if unseen(result) else {e["id"]: e["points"] for e in result["exercises"]}
        mark = grade(result, late)
        rows.append(
            [
                result["student"],
                result.get("student_id", ""),
                *(written(points.get(name)) for name in exercises),
                "" if unseen(result) else written(result["points"]),
                "yes" if result.get("late") else "",
                written(mark),
                written(result["of"]),
                written(100 * mark / result["of"]) if mark is not None and result["of"] else "",
                result.get("attempt", 1),
                result.get("submitted") or "",
                "yes" if needs_person(result, late) else "",
                " | ".join(_flag(flag) for flag in result["flags"]),
                result["source"],
            ]
        )
    return csv_table(rows)


# --- Canvas ------------------------------------------------------------------------------------

_CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]


def canvas(
    results: Sequence[dict],
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
        rows = [[*_CANVAS, assignment], ["    Points Possible", "", "", "", "", _of(results)]]
        for result in results:
            id = _own_id(result, "canvas")
            login = "" if id else result["student"]
            rows.append([result["student"], id, "", login, "", written(grade(result, late))])
        return csv_table(rows)
    head, *rows = _read(roster, ["ID", "Section"])
    known = head[: head.index("Section") + 1]  # who it is; notes and other assignments follow
    named = [c for c in head if assignment in (c, _title(c))] or [assignment]
    if len(named) > 1:
        raise GradingError(
            f"{roster} has several columns called {assignment}; give one with its id: {named[0]}."
        )
    column = head.index(named[0]) if named[0] in head else None
    students = _Students(results, "canvas")
    filled = [known + named]
    for row in rows:
        about = dict(zip(known, row, strict=False))
        mark = "" if column is None else row[column]
        if "Points Possible" in row[0]:
            mark = mark or _of(results)
        elif found := students.take(
            about["ID"], about.get("SIS Login ID", ""), about.get("SIS User ID", "")
        ):
            new = grade(found, late)
            mark = mark if new is None else written(new)
        filled.append([*about.values(), mark])
    students.check(roster)
    return csv_table(filled, given=True)


def _title(column: str) -> str:
    """A column's title without the id that Canvas appends: "Build a VAE (4711)"."""
    return re.sub(r" \(\d+\)$", "", column)


# --- Moodle ------------------------------------------------------------------------------------

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


def moodle(results: Sequence[dict], late: Late = KEEP, worksheet: Path | str | None = None) -> str:
    """A grading worksheet for Moodle, as its `assignfeedback_offline` reads it (site in English).

    Moodle finds a student by Identifier, "Participant " and the number in the name of his folder.
    It passes over rows without a grade. With the `worksheet` that Moodle exported, its own rows are
    filled in.
    """
    if worksheet is None:
        rows = [_MOODLE]
        for result in results:
            id = _own_id(result, "moodle")
            status = "Needs a person" if needs_person(result, late) else "Graded"
            mark = written(grade(result, late))
            rows.append(
                [
                    f"Participant {id}" if id else "",
                    *(result["student"], "", status, mark, written(result["of"])),
                    *("Yes", "", "-", _comment(result, late)),
                ]
            )
        return csv_table(rows)
    head, *rows = _read(worksheet, ["Identifier", "Grade"])
    students = _Students(results, "moodle")
    place = {name: number for number, name in enumerate(head)}
    for row in rows:
        number = row[place["Identifier"]].rpartition(" ")[2]
        others = (row[place[c]] for c in ("Username", "Email address", "ID number") if c in place)
        found = students.take(number, *others)
        if found is None or (mark := grade(found, late)) is None:
            continue
        row[place["Grade"]] = written(mark)
        if "Feedback comments" in place:
            row[place["Feedback comments"]] = _cell(_comment(found, late))
    students.check(worksheet)
    return csv_table([head, *rows], given=True)


def _comment(result: dict, late: Late) -> str:
    """A short comment in HTML, which is what Moodle takes a comment for."""
    if needs_person(result, late):
        return ""
    lines = [
        f"{plain(e['title'])}: {written(e['points'])} of {written(e['of'])}"
        + "".join(
            f"; {plain(s, 500)}" for s in dict.fromkeys(c["sentence"] for c in e["cases"]) if s
        )
        for e in result["exercises"]
    ]
    if (after := apply_late(result, late)) != result["points"]:
        lines.append(f"Late: {written(result['points'])} became {written(after)}")
    return "<br>".join(html.escape(line) for line in lines)


# --- Gradescope --------------------------------------------------------------------------------


def gradescope(result: dict, late: Late = KEEP, visibility: str = "visible") -> dict:
    """The content of Gradescope's `results.json`, as its autograder specification has it.

    Where a person must look, there is no score at all: Gradescope then asks for one.
    """
    mark = grade(result, late)
    lines = []
    if mark is None:
        lines.append("A person will look at this submission before it gets a mark.")
    elif mark != result["points"]:
        lines.append(
            f"Handed in late: {written(result['points'])} points became {written(mark)} "
            f"({late} off)."
        )
    tests = []
    for number, exercise in enumerate([] if unseen(result) else result["exercises"], start=1):
        for part, case in enumerate(exercise["cases"], start=1):
            scores = {"score": round(case["points"], 4), "max_score": round(case["of"], 4)}
            tests.append(
                {
                    **(scores if mark is not None else {}),
                    "name": plain(f"{exercise['title']}: {case['name']}"),
                    "number": f"{number}.{part}",
                    "status": "passed" if case["passed"] else "failed",
                    "output": _lines(case["sentence"]),
                    "output_format": "text",
                    "visibility": visibility,
                }
            )
    return {
        **({"score": round(mark, 4)} if mark is not None else {}),
        "output": "\n".join(lines),
        "output_format": "text",
        "visibility": visibility,
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"needs_person": mark is None},
    }


# --- rows --------------------------------------------------------------------------------------


class _Students:
    """Results by the LMS's own id, else by login or name; each is given out once."""

    def __init__(self, results: Iterable[dict], layout: str):
        self.left = dict(enumerate(results))
        self.ids: dict[str, set[int]] = {}
        self.names: dict[str, set[int]] = {}
        for number, result in self.left.items():
            if own := _own_id(result, layout):
                self.ids.setdefault(own, set()).add(number)
                continue
            for name in (result.get("student_id", ""), result["student"]):
                self.names.setdefault(name.strip().casefold(), set()).add(number)

    def take(self, id: str, *names: str) -> dict | None:
        """The one result with this id, else with the first of these names that some result has."""
        found = [self.ids.get(id.strip(), set())]
        found += [self.names.get(name.strip().casefold(), set()) for name in names if name.strip()]
        (number, *others) = next(filter(None, found), {None})
        return None if others else self.left.pop(number, None)

    def check(self, file: Path | str) -> None:
        if self.left:
            who = ", ".join(plain(result["student"], 60) for result in self.left.values())
            raise GradingError(f"{file} has no row for, or cannot tell apart: {who}.")


def _own_id(result: dict, layout: str) -> str:
    """The student's id, if it is that LMS's: another's could be a stranger's there."""
    id = result.get("student_id", "")
    return id if result.get("layout", layout) == layout and id.isdecimal() else ""


def _read(file: Path | str, columns: Iterable[str]) -> list[list[str]]:
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GradingError(f"{file} cannot be read as a CSV file: {error}.") from error
    if not rows or not set(columns) <= set(rows[0]):
        raise GradingError(f"{file} has no columns {' and '.join(columns)} in its first line.")
    width = len(rows[0])
    return [(row + [""] * width)[:width] for row in rows]


def _of(results: Iterable[dict]) -> str:
    return written(max((result["of"] for result in results), default=0))


def _flag(flag: dict) -> str:
    where = f"{flag['exercise']}: " if flag.get("exercise") else ""
    return f"{where}{flag['kind']}: {flag['sentence']}"


def _lines(text: str) -> str:
    return "\n".join(plain(line, 2000) for line in text.splitlines())


def csv_table(rows: Iterable[Sequence[object]], given: bool = False) -> str:
    """CSV. Text that is `given`, from the LMS's own file, keeps its spaces and its first sign."""
    file = io.StringIO()
    clean = str if given else _cell
    csv.writer(file, lineterminator="\n").writerows([clean(cell) for cell in row] for row in rows)
    return file.getvalue()


def _cell(value: object) -> str:
    text = str(value)
    indent = text[: len(text) - len(text.lstrip(" "))]
    text = plain(" ".join(text.split()), 4000)
    # Programs that take a semicolon for the end of a cell see another cell behind it.
    text = re.sub(rf";(\s*)(?=[{''.join(FORMULA)}])", r";\1'", text)
    return indent + (f"'{text}" if text.startswith(FORMULA) and text != "-" else text)
