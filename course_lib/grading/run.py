"""`course-lib grade`, from what came in to what goes out."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from course_lib.files import write_whole
from course_lib.grading import exports, feedback
from course_lib.grading.archive import plain
from course_lib.grading.grade import NEEDS_PERSON
from course_lib.grading.many import grade_all, secret_of
from course_lib.grading.marking import Marking, read_checks
from course_lib.grading.policy import KEEP, Late, choose, grade, needs_person
from course_lib.grading.result import GradingError
from course_lib.grading.sandbox import in_sight
from course_lib.grading.submission import Submission, find
from course_lib.grading.worker import warm

UNSAFE = """\
WARNING: --no-sandbox. The submitted code now runs as you: it can read, change, delete and send away
whatever you can, this folder and its grades included. The marks are still judged outside of it, but
it may reach what they are judged by. Do this only with code that you would run yourself."""


@dataclass(frozen=True)
class Settings:
    """The options of `course-lib grade`; their meaning stands in its --help."""

    submissions: Path
    lesson: str
    out: Path
    checks: Path | None = None
    late: Late = KEEP
    attempts: str = "best"
    seed: str | None = None
    forbid_reference: bool = True
    engine: str = "auto"
    workers: int | None = None
    cluster: object | None = field(default=None, repr=False)
    assignment: str = ""
    canvas_roster: Path | None = None
    moodle_worksheet: Path | None = None
    nbgrader: Path | None = None
    progress: bool = True


def run(settings: Settings) -> list[dict]:
    """Grade everything and write `grades.csv`, the learning management systems' files, the
    feedback and `similar.csv`. Returns one result a student.

    Raises:
        GradingError: for a bad call, or where there is no sandbox.
    """
    out = settings.out
    _out_of_reach(settings)
    marking = Marking(settings.lesson, "", read_checks(settings.checks), settings.forbid_reference)
    marking.exercises  # noqa: B018  (raises for an unknown lesson, before anything is made)
    submissions = find(settings.submissions, settings.lesson)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GradingError(f"--out: {out} cannot be made ({error.strerror}).") from None
    secret = secret_of(out, settings.seed)
    marking = Marking(settings.lesson, secret, marking.checks, settings.forbid_reference)
    marking.validate()
    if settings.cluster is None:
        warm(marking, settings.engine)  # refuses here, before a worker starts
    results = list(
        grade_all(
            submissions,
            marking,
            out,
            engine=settings.engine,
            workers=settings.workers,
            cluster=settings.cluster,
            progress=settings.progress,
        )
    )
    order = {s.source: i for i, s in enumerate(submissions)}
    results.sort(key=lambda result: order[result["source"]])
    chosen = choose(results, settings.attempts, settings.late)
    of_source = {submission.source: submission for submission in submissions}
    exports.write(
        out,
        chosen,
        settings.assignment or settings.lesson,
        settings.late,
        settings.canvas_roster,
        settings.moodle_worksheet,
    )
    _feedback(chosen, of_source, settings)
    write_whole(out / "similar.csv", similar(results))
    if settings.nbgrader:
        _push(chosen, of_source, settings)
    return chosen


def _out_of_reach(settings: Settings) -> None:
    """What the sandbox shows to an answer must not hold grades or other submissions."""
    for what, path in (("SUBMISSIONS", settings.submissions), ("--out", settings.out)):
        if in_sight(path):
            raise GradingError(
                f"{what}: {path} lies beside Python's or the system's libraries, which answers can "
                "see. Move it to another place, such as your home."
            )


def _feedback(
    results: Sequence[dict], of_source: dict[str, Submission], settings: Settings
) -> None:
    folder = settings.out / "feedback"
    folder.mkdir(exist_ok=True)
    for result in results:
        page = feedback.page(result, _figures(of_source[result["source"]], result), settings.late)
        write_whole(folder / f"{exports.file_name(result)}.html", page)


def _figures(submission: Submission, result: dict) -> dict[str, list[bytes]]:
    try:
        notebook = json.loads(submission.read().decode("utf-8-sig"))
    except (GradingError, ValueError, RecursionError):
        return {}
    return feedback.figures_of(notebook, result["lesson"]) if isinstance(notebook, dict) else {}


def similar(results: Sequence[dict]) -> str:
    """CSV of the answers whose normalised syntax trees are the same, by different students: names
    of variables, annotations and comments make no difference. The shorter an answer, the less it
    tells: `nodes` is the size of the tree. A hint where to look, and never a mark."""
    groups: dict[tuple[str, str], dict] = defaultdict(dict)
    nodes = {}
    for result in results:
        for exercise in result["exercises"]:
            if exercise.get("fingerprint"):
                key = (exercise["id"], exercise["fingerprint"])
                groups[key].setdefault((result["student"], result["student_id"]), result)
                nodes[key] = exercise["length"]
    rows = [
        [
            exercise,
            nodes[exercise, print_],
            len(students),
            " | ".join(sorted(s for s, _ in students)),
        ]
        for (exercise, print_), students in groups.items()
        if len(students) > 1
    ]
    rows.sort(key=lambda row: (-row[1], row[0]))
    return exports.csv_table([["exercise", "nodes", "students", "who"], *rows])


def _push(results: Sequence[dict], of_source: dict[str, Submission], settings: Settings) -> None:
    try:
        from course_lib.grading.gradebook import push
    except ImportError as error:
        raise GradingError(
            f"--nbgrader needs nbgrader ({error}): pip install 'course-lib[grade]'."
        ) from None
    push(
        results,
        settings.nbgrader,
        settings.assignment or settings.lesson,
        feedback=lambda r: feedback.page(r, _figures(of_source[r["source"]], r), settings.late),
        notebook=lambda r: of_source[r["source"]].read(),
    )


def table(results: Sequence[dict], late: Late = KEEP) -> str:
    """The results as a table for the terminal, those that need a person first."""
    rows = []
    for result in sorted(results, key=lambda r: not needs_person(r, late)):
        mark = grade(result, late)
        why = [" ".join(filter(None, (f["kind"], f["exercise"]))) for f in _open_flags(result)]
        if mark is None and not why:
            why = ["late"]
        rows.append(
            {
                "student": plain(result["student"]),
                "grade": "?" if mark is None else f"{mark:g}",
                "of": f"{result['of']:g}",
                "to look at": ", ".join(why),
            }
        )
    return pd.DataFrame(rows).to_string(index=False)


def _open_flags(result: dict) -> list[dict]:
    return [flag for flag in result["flags"] if flag["kind"] in NEEDS_PERSON]
