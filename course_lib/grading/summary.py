"""The results of a class: tables for people, files for the LMSs, likeness among answers.

Where a person must look, the grade is empty: an import then sets no mark, least of all a zero.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from course_lib.files import write_whole
from course_lib.grading.intake.archive import plain
from course_lib.grading.intake.submission import Submission
from course_lib.grading.lms import canvas, gradescope, moodle
from course_lib.grading.lms.table import csv_table
from course_lib.grading.policy import KEEP, Late, final_points, format_points, needs_person, unseen
from course_lib.grading.result import Flag, Result


def write(
    folder: Path | str,
    results: Sequence[Result],
    assignment: str,
    late: Late = KEEP,
    canvas_roster: Path | str | None = None,
    moodle_worksheet: Path | str | None = None,
) -> tuple[list[Path], list[str]]:
    """Write `grades.csv`, `canvas.csv`, `moodle.csv` and `gradescope/*.json`; each file appears
    whole or not at all.

    Args:
        results: one a student; see `policy.choose`.
        assignment: the column's name in Canvas, best with its id: "Build a VAE (4711)".
        canvas_roster: Canvas's own export of the gradebook, whose rows are filled in.
        moodle_worksheet: Moodle's own grading worksheet, whose rows are filled in.

    Returns:
        The files, and sentences for people: which students have no row in the roster or worksheet.
    """
    folder = Path(folder)
    (folder / "gradescope").mkdir(parents=True, exist_ok=True)
    for_canvas, lost = canvas.gradebook(results, assignment, late, canvas_roster)
    for_moodle, lost_too = moodle.worksheet(results, late, moodle_worksheet)
    files = {
        folder / "grades.csv": grades(results, late),
        folder / "canvas.csv": for_canvas,
        folder / "moodle.csv": for_moodle,
    }
    for result in results:
        name = folder / "gradescope" / f"{file_name(result)}.json"
        files[name] = (
            json.dumps(gradescope.results_json(result, late), indent=1, ensure_ascii=False) + "\n"
        )
    for path, text in files.items():
        write_whole(path, text)
    return list(files), lost + lost_too


def file_name(of: Result | Submission) -> str:
    """A name for a student's files that every system takes and no other student has."""
    who = f"{of.student}\n{of.student_id}"
    word = re.sub(r"\W+", "_", of.student).strip("_")[:20]
    return f"{word or 'student'}-{hashlib.sha256(who.encode()).hexdigest()}"


def grades(results: Sequence[Result], late: Late = KEEP) -> str:
    """The table for people: a row a student, a column an exercise, CSV in UTF-8.

    `points` is what the cases gave, `grade` what is left of it after lateness, empty where
    `needs_person` is yes.
    """
    exercises = list(dict.fromkeys(mark.id for result in results for mark in result.marks))
    rows: list[list[object]] = [
        [
            *("student", "student_id", *exercises, "points", "late", "grade", "of", "percent"),
            *("attempt", "submitted", "needs_person", "flags", "source"),
        ]
    ]
    for result in results:
        points = {} if unseen(result) else {mark.id: mark.points for mark in result.marks}
        mark = final_points(result, late)
        rows.append(
            [
                result.student,
                result.student_id,
                *(format_points(points.get(name)) for name in exercises),
                "" if unseen(result) else format_points(result.points),
                "yes" if result.late else "",
                format_points(mark),
                format_points(result.of),
                format_points(100 * mark / result.of) if mark is not None and result.of else "",
                result.attempt,
                result.submitted.isoformat() if result.submitted else "",
                "yes" if needs_person(result, late) or result.needs_person else "",
                " | ".join(_flag(flag) for flag in result.flags),
                result.source,
            ]
        )
    return csv_table(rows)


def _flag(flag: Flag) -> str:
    where = f"{flag.exercise}: " if flag.exercise else ""
    return f"{where}{flag.kind}: {flag.sentence}"


def similar(results: Sequence[Result]) -> str:
    """CSV of the answers whose normalised syntax trees are the same, by different students: names
    of variables, annotations and comments make no difference. The shorter an answer, the less it
    tells: `nodes` is the size of the tree. A hint where to look, and never a mark."""
    groups: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    nodes: dict[tuple[str, str], int] = {}
    for result in results:
        for mark in result.marks:
            if mark.fingerprint and not mark.unsolved:
                key = (mark.id, mark.fingerprint)
                groups[key].add((result.student, result.student_id))
                nodes[key] = mark.length
    alike = [key for key, students in groups.items() if len(students) > 1]
    alike.sort(key=lambda key: (-nodes[key], key))
    rows = [
        [key[0], nodes[key], len(groups[key]), " | ".join(sorted(s for s, _ in groups[key]))]
        for key in alike
    ]
    return csv_table([["exercise", "nodes", "students", "who"], *rows])


def table(results: Sequence[Result], late: Late = KEEP) -> str:
    """The results as a table for the terminal, those that need a person first."""
    rows = []
    for result in sorted(results, key=lambda r: not (needs_person(r, late) or r.needs_person)):
        mark = final_points(result, late)
        why = [
            " ".join(filter(None, (flag.kind, flag.exercise)))
            for flag in result.flags
            if flag.needs_person and not result.closed
        ]
        if mark is None and not why:
            why = ["late"]
        rows.append(
            {
                "student": plain(result.student, 40),
                "grade": "?" if mark is None else format_points(mark),
                "of": format_points(result.of),
                "to look at": ", ".join(why),
            }
        )
    return pd.DataFrame(rows).to_string(index=False)
