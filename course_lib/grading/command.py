"""`course-lib grade`, from what came in to what goes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from course_lib.files import write_whole
from course_lib.grading import bounded_json, decisions, due, feedback, statistics, summary
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.archive import plain
from course_lib.grading.intake.submission import Intake, Submission, take_in
from course_lib.grading.lms import canvas, moodle, nbgrader, returned
from course_lib.grading.lms.table import read_csv_rows
from course_lib.grading.lms.teams import for_members, read_teams
from course_lib.grading.marking import Marking, read_checks
from course_lib.grading.policy import KEEP, MOST_ATTEMPTS, Late, choose
from course_lib.grading.pool import grade_all, secret_of
from course_lib.grading.result import Result
from course_lib.grading.sandbox.engines import in_sight, refuse_without_walls

T = TypeVar("T")
UNSAFE = """\
WARNING: --no-sandbox. The submitted code now runs as you: it can read, change, delete and send away
everything that you can, this folder and its grades included. The marks are still judged outside of it, but
it may reach what they are judged by. Do this only with code that you would run yourself."""


@dataclass(frozen=True)
class Settings:
    """The options of `course-lib grade`; its --help explains them."""

    submissions: Path
    lesson: str
    out: Path
    checks: Path | None = None
    late: Late = KEEP
    attempts: str = "best"
    most_attempts: int = MOST_ATTEMPTS
    layout: str = "auto"
    seed: str | None = None
    forbid_reference: bool = True
    engine: str = "auto"
    python: str = ""
    workers: int | None = None
    cluster: object | None = field(default=None, repr=False)
    assignment: str = ""
    canvas_roster: Path | None = None
    moodle_worksheet: Path | None = None
    teams: Path | None = None
    due: Path | None = None
    nbgrader: Path | None = None
    progress: bool = True


@dataclass(frozen=True)
class Graded:
    """What came of it: the layout that was recognised, a result a student, and what people must
    know besides, such as students that a roster does not have; which marks have changed; and which
    files were nobody's submission."""

    layout: str
    results: list[Result]
    notices: list[str]
    changes: list[decisions.Change] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def grade_class(settings: Settings) -> Graded:
    """Grade everything and write `grades.csv`, the learning management systems' files, the
    feedback and `similar.csv`.

    Raises:
        GradingError: for a bad call, or where there is no sandbox.
    """
    out = settings.out
    _out_of_reach(settings)
    marking = Marking(
        settings.lesson,
        "",
        read_checks(settings.checks),
        settings.forbid_reference,
        python=settings.python,
    )
    marking.exercises  # noqa: B018  (raises for an unknown lesson, before anything is made)
    teams = read_teams(settings.teams) if settings.teams else {}
    if settings.canvas_roster:
        read_csv_rows(settings.canvas_roster, canvas.COLUMNS)
    if settings.moodle_worksheet:
        read_csv_rows(settings.moodle_worksheet, moodle.COLUMNS)
    decided = decisions.read_decisions(out / decisions.FILE)
    dues = due.read_due_times(settings.due) if settings.due else due.Due()
    if settings.nbgrader:
        _gradebook().refuse_without_gradebook(settings.nbgrader)
    came_in = take_in(settings.submissions, settings.lesson, settings.layout)
    submissions = came_in.submissions
    _not_among_submissions(settings, came_in)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GradingError(f"--out: {out} cannot be made ({error.strerror}).") from None
    secret = secret_of(out, settings.seed)
    marking = replace(marking, secret=secret)
    marking.validate()
    if settings.cluster is None:
        refuse_without_walls(settings.engine, marking)  # before a worker starts
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
    results.sort(key=lambda result: order[result.source])
    results, told = due.with_due_times(_with_times(results, dues, settings), dues)
    chosen = for_members(
        choose(results, settings.attempts, settings.late, settings.most_attempts), teams
    )
    chosen, notices = decisions.with_decisions(chosen, decided)
    notices = told + notices
    changes = decisions.record_changes(out, chosen, settings.late)
    of_source = {submission.source: submission for submission in submissions}
    _, lost = summary.write(
        out,
        chosen,
        settings.assignment or settings.lesson,
        settings.late,
        settings.canvas_roster,
        settings.moodle_worksheet,
    )
    notices += lost + _feedback(chosen, of_source, settings)
    write_whole(out / "similar.csv", summary.similar(results))
    page = statistics.statistics_page(chosen, lambda r: _sources(of_source[r.source], r))
    write_whole(out / "statistics.html", page)
    write_whole(out / "statistics.json", statistics.to_json(chosen))
    if settings.nbgrader:
        _push(chosen, of_source, settings, settings.nbgrader)
    return Graded(str(came_in), chosen, notices, changes, came_in.passed_over)


def _with_times(results: Sequence[Result], dues: due.Due, settings: Settings) -> list[Result]:
    """The results, with the times from Moodle's worksheet where there is one."""
    if settings.moodle_worksheet is None:
        return list(results)
    zone = next((line.due.tzinfo for line in dues.lines if line.due), None)
    times = due.submitted_in_moodle(settings.moodle_worksheet, zone)
    return [
        replace(r, submitted=times[r.student_id])
        if r.layout == "moodle" and r.student_id in times and r.submitted is None
        else r
        for r in results
    ]


def _out_of_reach(settings: Settings) -> None:
    """What the sandbox shows to an answer must not hold grades, other submissions or hidden cases."""
    for what, path in (
        ("SUBMISSIONS", settings.submissions),
        ("--out", settings.out),
        ("--checks", settings.checks),
        ("--canvas-roster", settings.canvas_roster),
        ("--moodle-worksheet", settings.moodle_worksheet),
        ("--teams", settings.teams),
        ("--due", settings.due),
        ("--nbgrader", settings.nbgrader),
    ):
        if path is not None and in_sight(path, settings.python):
            raise GradingError(
                f"{what}: {path} lies among Python's or the system's libraries, which answers can "
                "see. Move it to another place, such as your home."
            )


def _not_among_submissions(settings: Settings, came_in: Intake) -> None:
    """What is written must not be taken for submissions by the next run. In nbgrader's course folder
    it is not: there only what lies in `submitted` is somebody's."""
    inside = settings.out.resolve().is_relative_to(settings.submissions.resolve())
    if inside and came_in.layout != nbgrader.LAYOUT.title:
        raise GradingError(
            f"--out: {settings.out} lies in the folder of the submissions, and the next run would take "
            "its files for submissions. Name a folder beside it."
        )


def _feedback(
    results: Sequence[Result], of_source: dict[str, Submission], settings: Settings
) -> list[str]:
    """Write a page for each student. What goes wrong with one of them stops no other: a sentence
    for each is returned."""
    folder = settings.out / "feedback"
    folder.mkdir(exist_ok=True)
    notices = []
    pages = []
    for result in results:
        try:
            page = feedback.feedback_page(
                result, _figures(of_source[result.source], result), settings.late
            )
            write_whole(folder / f"{summary.file_name(result)}.html", page)
            pages.append((result, page))
        except Exception as error:
            notices.append(
                f"There is no feedback page for {plain(result.student, 60)} "
                f"({type(error).__name__}: {plain(str(error), 100)})."
            )
    returned.write_returned(settings.out, pages)
    return notices


def _figures(submission: Submission, result: Result) -> dict[str, list[bytes]]:
    return _from_notebook(feedback.figures_of, submission, result)


def _sources(submission: Submission, result: Result) -> dict[str, str]:
    return _from_notebook(feedback.sources_of, submission, result)


def _from_notebook(
    look: Callable[[dict, str], dict[str, T]], submission: Submission, result: Result
) -> dict[str, T]:
    """What `look` finds in a submission; nothing where it cannot be read."""
    try:
        notebook = bounded_json.loads(submission.read())
        return look(notebook, result.lesson) if isinstance(notebook, dict) else {}
    except (GradingError, ValueError, MemoryError, RecursionError):
        return {}


def _push(
    results: Sequence[Result],
    of_source: dict[str, Submission],
    settings: Settings,
    course: Path,
) -> None:
    _gradebook().push(
        results,
        course,
        settings.assignment or settings.lesson,
        feedback=lambda r: feedback.feedback_page(
            r, _figures(of_source[r.source], r), settings.late
        ),
        notebook=lambda r: of_source[r.source].read(),
    )


def _gradebook() -> ModuleType:
    try:
        from course_lib.grading.lms.nbgrader import gradebook
    except ImportError as error:
        raise GradingError(
            f"--nbgrader needs nbgrader ({error}): pip install 'course-lib[grade]'."
        ) from None
    return gradebook
