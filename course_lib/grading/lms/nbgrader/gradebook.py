"""Our results in the gradebook of an nbgrader course, where its formgrader shows them.

Written is what `nbgrader autograde` would have left behind, without running anything: students,
submissions, scores and comments in the gradebook, and the files that formgrader and nbgrader's
exchange look for. What a person has entered (manual scores and comments, extra credit) stays.
"""

import json
import re
import secrets
import unicodedata
import warnings
from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import cast

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook, MissingEntry, Notebook, SourceCell, SubmittedNotebook
from nbgrader.apps import NbGrader
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import parse_utc
from sqlalchemy.exc import SAWarning

from course_lib.files import write_whole
from course_lib.grading import bounded_json
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.archive import plain
from course_lib.grading.lms.nbgrader.assignment import answer_cell, points_cell, remarks_cell
from course_lib.grading.result import WRITTEN, Mark, Result
from course_lib.syllabus import lesson

PERSON = "A person has to look at this before it counts."
# What Markdown, or MathJax in the page around it, would take for more than a letter.
SIGNS = str.maketrans({sign: f"&#{ord(sign)};" for sign in "[]$\\"})
HASHED = re.compile(r"-[0-9a-f]{12}$")


def push(
    results: Iterable[Result],
    course: Path,
    assignment: str,
    feedback: Callable[[Result], str] | None = None,
    notebook: Callable[[Result], bytes] | None = None,
) -> int:
    """Put results into the gradebook of the nbgrader course in the folder `course`.

    Args:
        results: one a student, as `course_lib.grading.errors` describes them.
        assignment: its name in nbgrader; it holds the lesson's notebook, from `write_assignment`.
        feedback: from a result to the HTML page that the student gets, if there is to be one.
        notebook: from a result to the submission's bytes, for formgrader to show; may raise
            GradingError. Without it, formgrader shows the scores and comments only.

    Pushing the same again changes nothing. Pushing another result of a student replaces the first,
    and asks a person again where one had scored the first by hand.

    Returns:
        How many students' results were put there.

    Raises:
        GradingError: where the course has no such assignment, or two results are of one student.
    """
    app = refuse_without_gradebook(course)
    pushed: set[str] = set()
    with (
        warnings.catch_warnings(),
        Gradebook(app.coursedir.db_url, app.coursedir.course_id) as gradebook,
    ):
        warnings.simplefilter("ignore", SAWarning)  # nbgrader's own, under SQLAlchemy 2.1
        for result in results:
            student = _student(result, gradebook)
            if student in pushed:
                raise GradingError(
                    f"Two results are of one student, {result.student!r}: choose one of them."
                )
            _push_one(result, student, app, gradebook, assignment, feedback, notebook)
            pushed.add(student)
    return len(pushed)


def student_id(name: str) -> str:
    """The name under which nbgrader knows a student: `name` itself, if it can name a folder.

    A name is any text that came with a submission, and nbgrader makes paths, globs and comma-
    separated lists of it. Where it holds more than letters, digits, spaces and ._-@', that is
    replaced, and a hash of the whole name is put after it, so that no two names become one.
    """
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c in " ._-@'" else "_" for c in name)
    kept = kept.strip(" .-")[:60]
    if kept == name and name and not HASHED.search(name):
        return name
    return f"{kept or 'student'}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"


def _student(result: Result, gradebook: Gradebook) -> str:
    """The student's id in the gradebook, where it is entered if it is new. Two students of one name
    have two ids in an LMS; the second of them gets it into the name."""
    name, number = result.student, result.student_id or None
    student = student_id(name)
    try:
        entry = gradebook.find_student(student)
    except MissingEntry:
        gradebook.add_student(student, lms_user_id=number)
        return student
    if number and entry.lms_user_id not in (None, number):
        student = student_id(f"{name} {number}")
    if number:
        gradebook.update_or_create_student(student, lms_user_id=number)
    return student


def refuse_without_gradebook(course: Path) -> NbGrader:
    """nbgrader in the course folder. Raises GradingError where its gradebook is missing."""
    app = _app(Path(course).resolve())
    database = app.coursedir.db_url.removeprefix("sqlite:///")
    if app.coursedir.db_url.startswith("sqlite:///") and not Path(database).is_file():
        raise GradingError(f"There is no gradebook {database}. First: course-lib assignment.")
    return app


def _app(course: Path) -> NbGrader:
    """nbgrader as it runs in the course folder, with the settings of nbgrader_config.py."""
    app = NbGrader(log_level="ERROR")
    app.load_cwd_config = False
    app.initialize([], root=str(course))
    return app


def _push_one(
    result: Result,
    student: str,
    app: NbGrader,
    gradebook: Gradebook,
    assignment: str,
    feedback: Callable[[Result], str] | None,
    notebook: Callable[[Result], bytes] | None,
) -> None:
    name = result.lesson
    try:
        released = gradebook.find_notebook(name, assignment)
    except MissingEntry:
        raise GradingError(
            f"The gradebook knows no assignment {assignment!r} with a notebook {name!r}. "
            f"First: course-lib assignment {name}."
        ) from None
    directory = app.coursedir
    submitted, autograded, returned = (
        Path(directory.format_path(step, student, assignment))
        for step in (
            directory.submitted_directory,
            directory.autograded_directory,
            directory.feedback_directory,
        )
    )
    raw, problem = _read(notebook, result)
    shown = nbformat.writes(to_show(raw, problem, released)).encode(errors="replace")
    changed = _content(autograded / f"{name}.ipynb") != shown

    stamp = _content(submitted / "timestamp.txt") or b""
    if result.submitted and parse_utc(result.submitted) != _time(stamp):
        stamp = result.submitted.isoformat().encode()
    submission = gradebook.update_or_create_submission(assignment, student, timestamp=_time(stamp))
    row = gradebook.find_submission_notebook(name, assignment, student)
    _enter(result, row, changed)
    row.late_submission_penalty = None
    gradebook.db.commit()
    if submission.total_seconds_late > 0:
        where = {"notebook": name, "assignment": assignment, "student": student}
        where["db_url"] = directory.db_url
        AssignLatePenalties(parent=app).preprocess(new_notebook(), {"nbgrader": where})

    # The files come last: where this is interrupted, `changed` holds again the next time.
    if raw is not None:
        _write(submitted / f"{name}.ipynb", raw)
    if stamp:
        _write(submitted / "timestamp.txt", stamp)
    # nbgrader's exchange gives feedback back to whoever knows the secret that came with the
    # submission; what came another way gets one that nobody knows.
    secret = (
        _content(submitted / "submission_secret.txt")
        or _content(autograded / "submission_secret.txt")
        or secrets.token_hex(64).encode()
    )
    for folder in (autograded, returned) if feedback else (autograded,):
        _write(folder / "timestamp.txt", stamp)
        _write(folder / "submission_secret.txt", secret)
    if feedback:
        _write(returned / f"{name}.html", feedback(result).encode(errors="replace"))
    _write(autograded / f"{name}.ipynb", shown)


def _enter(result: Result, row: SubmittedNotebook, changed: bool) -> None:
    """Scores and comments of one submitted notebook. What is as it was is left alone, together with
    what a person has since decided about it."""
    graded = {points_cell(mark.id): mark for mark in result.marks if mark.found != WRITTEN}
    texts = {text.id: text.cell for text in lesson(result.lesson).written}
    decided = {
        texts[mark.id]: mark
        for mark in result.marks
        if mark.found == WRITTEN
        and any(flag.exercise == mark.id and flag.kind == "decided" for flag in result.flags)
    }
    answers = {points_cell(name): answer_cell(name) for name in lesson(result.lesson).exercises}
    if unknown := set(graded) - {grade.name for grade in row.grades}:
        raise GradingError(
            f"The assignment in the gradebook has no cell {', '.join(sorted(unknown))}. Was it "
            "written for another version of the lesson?"
        )
    comments = {comment.name: comment for comment in row.comments}
    for grade in row.grades:
        if grade.name in decided:  # by `course-lib decide`
            grade.auto_score = _score(result, decided[grade.name], grade.max_score)
            grade.needs_manual_grade = False
            continue
        if grade.name not in answers:  # a text, the essay, or a cell of the instructor's own
            grade.needs_manual_grade |= changed
            continue
        mark = graded.get(grade.name)
        score = _score(result, mark, grade.max_score)
        text = _comment(result, mark)
        comment = comments.get(answers[grade.name])
        if (grade.auto_score, comment.auto_comment if comment else text) == (score, text):
            continue
        grade.auto_score = score
        grade.needs_manual_grade = result.suspect or score is None or grade.manual_score is not None
        if comment:
            comment.auto_comment = text
    remarks = remarks_cell(lesson(result.lesson))
    if remarks in comments:
        comments[remarks].auto_comment = _comment(result, None)


def _score(result: Result, mark: Mark | None, most: float) -> float | None:
    """The exercise's points on the gradebook's scale; None, and no zero, where a person decides."""
    if mark is None or (result.suspect and mark.found == "nowhere"):
        return None
    return mark.points / mark.of * most


def _comment(result: Result, mark: Mark | None) -> str | None:
    """What to say about an exercise, or about the whole submission. nbgrader takes it for Markdown,
    and some of its words are a learner's."""
    lines = [PERSON] if result.suspect else []
    if mark is None and result.late:
        lines.append("Handed in late.")
    about = mark.id if mark else None
    lines += [flag.sentence for flag in result.flags if flag.exercise == about]
    failed: dict[str, list[str]] = {}
    for case in mark.cases if mark else ():
        if not case.passed:
            failed.setdefault(case.sentence, []).append(case.name)
    lines += [f"{'; '.join(names)}: {sentence}" for sentence, names in failed.items()]
    short = (" ".join(line.split())[:500] for line in lines)
    return "\n".join(f"- {_shown(line)}" for line in short) or None


def _shown(line: str) -> str:
    """Markdown that shows a line as it is."""
    return escape(plain(line, 600), quote=False).translate(SIGNS)


def to_show(raw: bytes | None, problem: str, released: Notebook) -> NotebookNode:
    """The submission as formgrader shows it: the learner's cells without outputs, the graded ones
    marked as such. A graded cell is known by its grade_id, else by its first line, since tools drop
    metadata; one that is missing stands at the end, so that its score can be seen."""
    cells: list[tuple[object, str, NotebookNode]] = []
    if raw is not None:
        try:
            cells = _cells(raw)
        except Exception:  # JSON of any shape may come in
            problem = "The submission is not a notebook that can be shown."
    appended = []
    for source in released.source_cells:
        free = [  # of the right kind, and not yet another graded cell
            (grade_id, first, cell)
            for grade_id, first, cell in cells
            if cell.cell_type == source.cell_type and not cell.metadata
        ]
        found = [cell for grade_id, _, cell in free if grade_id == source.name] or [
            cell for _, first, cell in free if first == _first_line(source.source)
        ]
        if found:
            cell = found[-1]  # of several, the last counts
            cell.source = source.source if source.locked else cell.source
        else:
            missing = "# This cell is not in the submission."
            if source.cell_type == "markdown":
                missing = missing.removeprefix("# ")
            cell = _cell(source.cell_type, source.source if source.locked else missing)
            appended.append(cell)
        cell.metadata["nbgrader"] = _metadata(source, released)
    heading = [_cell("markdown", f"**{_shown(problem)}**")] if problem else []
    book: NotebookNode = new_notebook()
    book.cells = [*heading, *(cell for _, _, cell in cells), *appended]
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"  # the same each time
    book.metadata["kernelspec"] = json.loads(released.kernelspec)
    return book


def _cells(raw: bytes) -> list[tuple[object, str, NotebookNode]]:
    """Each cell's grade_id, where it has one, and the cell with its text alone.

    formgrader's page acts in the instructor's name. Markdown in it can hold HTML, links that run a
    program, pictures that call an address, formulas with links, or a pasted image, without whose
    bytes the page does not appear at all. So a learner's text is shown letter by letter.
    """
    cells = []
    for cell in cast(dict, bounded_json.loads(raw))["cells"]:
        text = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        kind = "code" if cell["cell_type"] == "code" else "markdown"
        marks = cell.get("metadata", {}).get("nbgrader", {})
        first = _first_line(text)
        shown = text if kind == "code" else literal(text)
        cells.append((marks.get("grade_id"), first, _cell(kind, shown)))
    return cells


def literal(text: str) -> str:
    """Markdown that shows a text as it was typed. All but letters, digits and spaces are written by
    their numbers, so nothing is left that Markdown, HTML or MathJax could act on."""
    lines = [plain(line.expandtabs(4), 4 * len(line) + 1) for line in text.splitlines()]
    shown = "".join(
        letter if letter.isalnum() or letter == " " else f"&#{ord(letter)};"
        for letter in "\n".join(lines)
    )
    return f'<pre style="white-space: pre-wrap">{shown}</pre>'


def _cell(kind: object, text: str) -> NotebookNode:
    """A cell with this text and nothing else. (nbformat's own functions check every cell against a
    JSON schema, a third of the time that a push took.)"""
    known = kind if kind in ("code", "markdown") else "raw"
    fields: dict[str, object] = {"cell_type": known, "source": text, "metadata": {}}
    if kind == "code":
        fields |= {"outputs": [], "execution_count": None}
    cell: NotebookNode = nbformat.from_dict(fields)
    return cell


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()


def _metadata(source: SourceCell, released: Notebook) -> dict:
    """What nbgrader writes into a graded cell."""
    points = {cell.name: cell.max_score for cell in [*released.grade_cells, *released.task_cells]}
    task = source.name in {cell.name for cell in released.task_cells}
    metadata = {
        "schema_version": 3,
        "grade_id": source.name,
        "grade": source.name in points and not task,
        "solution": source.name in {cell.name for cell in released.solution_cells},
        "locked": source.locked,
        "task": task,
        "cell_type": source.cell_type,
        "checksum": source.checksum,
    }
    return metadata | ({"points": points[source.name]} if source.name in points else {})


def _read(notebook: Callable[[Result], bytes] | None, result: Result) -> tuple[bytes | None, str]:
    """The submission, or None and a sentence that says why it is not there."""
    if notebook is None:
        return None, f"The submission is not kept here. It came as: {result.source}"
    try:
        return notebook(result), ""
    except GradingError as error:
        return None, str(error)


def _time(stamp: bytes) -> datetime | None:
    return parse_utc(stamp.decode().strip()) if stamp.strip() else None


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all, and only if it would change."""
    if _content(file) == content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content)
