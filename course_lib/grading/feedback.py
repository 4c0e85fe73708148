"""A student's feedback as one HTML file: no network, no script, whatever the notebook held."""

import base64
import binascii
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from course_lib.exercises import get
from course_lib.exercises.aliases import original
from course_lib.grading.policy import KEEP, Late, apply_late, needs_person, unseen, written
from course_lib.syllabus import course
from course_lib.syllabus import lesson as lesson_named

PNG = b"\x89PNG\r\n\x1a\n"
MOST_FIGURES = 6  # an exercise
LARGEST_FIGURE = 500_000  # bytes
MOST_PIXELS = 16_000_000  # a small file may unfold to gigabytes in the reader's browser
# Flags that tell a student what went wrong; the others are between the instructor and the machine.
FOR_STUDENTS = ("missing", "unreadable")

# Every value is escaped: names, sentences and flags are other people's text.
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    result: dict, figures: Mapping[str, Sequence[bytes]] | None = None, late: Late = KEEP
) -> str:
    """The feedback on one submission.

    Args:
        result: what grading it gave.
        figures: by exercise, PNG images from the student's own notebook; see `figures_of`. What is
            no PNG, or too large, is left out.
    """
    known = course().lessons.get(result["lesson"])
    flags = [flag for flag in result["flags"] if flag["kind"] in FOR_STUDENTS]
    return _templates.get_template("feedback.html").render(
        result=result,
        title=known.title if known else result["lesson"],
        exercises=[
            exercise
            | _said(exercise)
            | {
                "state": _state(exercise),
                "flags": [flag for flag in flags if flag["exercise"] == exercise["id"]],
                "figures": _embedded(figures, exercise["id"]),
            }
            for exercise in ([] if unseen(result) else result["exercises"])
        ],
        flags=[flag for flag in flags if not flag["exercise"]],
        open=needs_person(result, late),
        total=apply_late(result, late),
        late=late,
        number=written,
    )


def figures_of(notebook: dict, lesson: str) -> dict[str, list[bytes]]:
    """The figures that a notebook's saved outputs hold, by exercise of the lesson.

    An exercise's figures are those between its answer (the last cell that gives one) and the next
    exercise's. At most `MOST_FIGURES` each, all of them PNG and of bounded size.
    """
    answers = {name: _answer(name) for name in lesson_named(lesson).exercises}
    found: dict[str, list[bytes]] = {}
    current = None
    cells = notebook.get("cells")
    for cell in cells if isinstance(cells, list) else []:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = _text(cell.get("source"))
        if given := [name for name, answer in answers.items() if answer.search(source)]:
            current = given[-1]
            found[current] = []
        if current is not None:
            room = MOST_FIGURES - len(found[current])
            found[current] += [png for png, _ in zip(_pngs(cell), range(room), strict=False)]
    return {name: pngs for name, pngs in found.items() if pngs}


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
    """A notebook's text, which may be in lines."""
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


def _said(exercise: dict) -> dict:
    """The cases, and instead of them what is said of all alike, such as "Not solved yet."; of an
    answer that was not found there is none to speak of."""
    cases = exercise["cases"]
    sentences = {case["sentence"] for case in cases}
    if exercise["found"] == "nowhere":
        return {"cases": [], "said": "No answer to this exercise was found in the notebook."}
    if len(sentences) == 1 and "" not in sentences and not any(c["passed"] for c in cases):
        return {"cases": [], "said": sentences.pop()}
    before = ["", *(case["sentence"] for case in cases)]
    once = [
        case | {"sentence": "" if case["sentence"] == last else case["sentence"]}
        for case, last in zip(cases, before, strict=False)
    ]
    return {"cases": once, "said": ""}


def _state(exercise: dict) -> str:
    if exercise["points"] >= exercise["of"]:
        return "solved"
    return "partly" if exercise["points"] > 0 else "open"
