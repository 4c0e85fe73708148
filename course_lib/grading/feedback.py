"""A student's feedback as one HTML file: no network and no script, even if the notebook is hostile."""

import base64
import binascii
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from course_lib.exercises import get
from course_lib.exercises.aliases import original
from course_lib.files import page_templates
from course_lib.grading.policy import KEEP, Late, apply_late, format_points, needs_person, unseen
from course_lib.grading.result import WRITTEN, Case, Flag, Mark, Result
from course_lib.syllabus import course
from course_lib.syllabus import lesson as lesson_named

PNG = b"\x89PNG\r\n\x1a\n"
MOST_FIGURES = 6  # an exercise
LARGEST_FIGURE = 500_000  # bytes
MOST_PIXELS = 16_000_000  # a small file may unfold to gigabytes in the reader's browser
# Flags that tell a student what went wrong; the others are between the instructor and the machine.
FOR_STUDENTS = ("missing", "unreadable")

_templates = page_templates(Path(__file__).parent)


@dataclass(frozen=True)
class _Section:
    """One exercise as the page shows it. `said` is what is said of all its cases together."""

    mark: Mark
    cases: Sequence[Case]
    said: str
    flags: Sequence[Flag]
    figures: Sequence[str]

    @property
    def state(self) -> str:
        if self.mark.points >= self.mark.of:
            return "solved"
        return "partly" if self.mark.points > 0 else "open"


def feedback_page(
    result: Result, figures: Mapping[str, Sequence[bytes]] | None = None, late: Late = KEEP
) -> str:
    """The feedback on one submission.

    Args:
        result: what grading it gave.
        figures: by exercise, PNG images from the student's own notebook; see `figures_of`. What is
            not a PNG, or too large, is left out.
    """
    known = course().lessons.get(result.lesson)
    flags = [flag for flag in result.flags if flag.kind in FOR_STUDENTS]
    marks = () if unseen(result) else result.marks
    return _templates.get_template("feedback.html").render(
        result=result,
        title=known.title if known else result.lesson,
        sections=[
            _Section(
                mark,
                *_said(mark),
                [flag for flag in flags if flag.exercise == mark.id],
                _embedded(figures, mark.id),
            )
            for mark in marks
        ],
        flags=[flag for flag in flags if not flag.exercise],
        open=needs_person(result, late),
        total=apply_late(result, late),
        late=late,
        number=format_points,
    )


def figures_of(notebook: dict, lesson: str) -> dict[str, list[bytes]]:
    """The figures that a notebook's saved outputs hold, by exercise of the lesson.

    An exercise's figures are those between its answer (the last cell that gives one) and the next
    exercise's. At most `MOST_FIGURES` each, all of them PNG and of bounded size.
    """
    found: dict[str, list[bytes]] = {}
    current = None
    for cell, _, given in _cells(notebook, lesson):
        if given:
            current = given[-1]
            found[current] = []
        if current is not None:
            room = MOST_FIGURES - len(found[current])
            found[current] += [png for png, _ in zip(_pngs(cell), range(room), strict=False)]
    return {name: pngs for name, pngs in found.items() if pngs}


def sources_of(notebook: dict, lesson: str) -> dict[str, str]:
    """The text of the last cell that gives an answer to each exercise of the lesson."""
    return {name: source for _, source, given in _cells(notebook, lesson) for name in given}


def _cells(notebook: dict, lesson: str) -> Iterator[tuple[dict, str, list[str]]]:
    """Each code cell, its text, and the exercises that it gives an answer to."""
    answers = {name: _answer(name) for name in lesson_named(lesson).exercises}
    cells = notebook.get("cells")
    for cell in cells if isinstance(cells, list) else []:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = _text(cell.get("source"))
            yield cell, source, [name for name, answer in answers.items() if answer.search(source)]


def _answer(exercise: str) -> re.Pattern:
    """What marks the answer's cell: `# exercise: id`, or the definition of its function."""
    name = re.escape(get(exercise).reference.__name__)
    ids = "|".join({re.escape(exercise), re.escape(original(exercise))})
    marker = rf"^[ \t]*#[ \t]*exercise:[ \t]*(?:{ids})[ \t]*$"
    return re.compile(rf"{marker}|^(?:def|class)[ \t]+{name}\b", re.MULTILINE)


def _pngs(cell: dict) -> Iterator[bytes]:
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        data = output.get("data") if isinstance(output, dict) else None
        text = _text(data.get("image/png")) if isinstance(data, dict) else ""
        if not 0 < len(text) < 2 * LARGEST_FIGURE:
            continue
        try:
            png = base64.b64decode(text)
        except (binascii.Error, ValueError):
            continue
        if _is_figure(png):
            yield png


def _text(value: object) -> str:
    """A notebook's text; nbformat also allows a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _is_figure(png: bytes) -> bool:
    if not png.startswith(PNG) or not 24 <= len(png) <= LARGEST_FIGURE:
        return False
    width, height = struct.unpack(">II", png[16:24])
    return png[12:16] == b"IHDR" and 0 < width * height <= MOST_PIXELS


def _embedded(figures: Mapping[str, Sequence[bytes]] | None, exercise: str) -> list[str]:
    kept = [png for png in (figures or {}).get(exercise, []) if _is_figure(png)]
    return [base64.b64encode(png).decode() for png in kept[:MOST_FIGURES]]


def _said(mark: Mark) -> tuple[Sequence[Case], str]:
    """The cases to show, and what is said instead of them where it is the same for all, such as
    "Not solved yet."; an answer that was not found has no cases to show."""
    cases = mark.cases
    sentences = {case.sentence for case in cases}
    if mark.found == WRITTEN:
        return (), "A person reads this, by the rubric in the lesson."
    if mark.found == "nowhere":
        return (), "No answer to this exercise was found in the notebook."
    if len(sentences) == 1 and "" not in sentences and not any(case.passed for case in cases):
        return (), sentences.pop()
    before = ["", *(case.sentence for case in cases)]
    once = [
        replace(case, sentence="") if case.sentence == last else case
        for case, last in zip(cases, before, strict=False)
    ]
    return once, ""
