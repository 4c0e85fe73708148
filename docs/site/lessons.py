"""A lesson's page from its executed copy: the outputs without a kernel, words of the glossary linked."""

import base64
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from panels import panel_html, write_changed
from PIL import Image

from course_lib.explore.frames import KIND
from course_lib.explore.quiz import questions
from course_lib.syllabus import Lesson

WIDGET = "application/vnd.jupyter.widget-view+json"
LEFT_OUT = {"colab", "save"}  # cells that set Colab up and keep a learner's work
PICTURE = re.compile(
    r'(?:<style>[^<]*course-picture[^<]*</style>)?<img class="course-picture" alt="([^"]*)"[^>]*?'
    r'src="data:image/png;base64,([^"]+)">'
)
NOTE = """\
```{{note}}
This is the lesson as it runs, with its sliders and its quiz. To solve the exercises and to change what you
like, open `{file}` in JupyterLab: `python course.py lab`.
```"""


@dataclass
class LessonPage:
    """A lesson's page, and what the start page shows of it: `cover` is the path of a picture."""

    lesson: Lesson
    book: NotebookNode
    cover: str = ""
    panels: list[dict] = field(default_factory=list)


def lesson_page(
    lesson: Lesson, copy: Path, static: Path, linked: Callable[[str], str]
) -> LessonPage:
    """The page of a lesson.

    Args:
        copy: its executed copy.
        static: the folder for pictures.
        linked: rewrites the text of a Markdown cell; each lesson gets a fresh one.
    """
    book = nbformat.read(copy, as_version=4)
    page = LessonPage(lesson, book)
    book.cells = [cell for cell in book.cells if cell.get("id") not in LEFT_OUT]
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = linked(with_note(cell, copy.name))
        elif cell.cell_type == "code":
            cell.outputs = list(outputs(page, cell, static))
            tags = cell.metadata.get("tags", [])
            cell.metadata = NotebookNode(tags=tags)
            cell.execution_count = None
    book.metadata = NotebookNode(
        kernelspec=book.metadata.get("kernelspec", {"name": "python3", "display_name": "Python 3"}),
        language_info={"name": "python"},
    )
    return page


def with_note(cell: NotebookNode, file: str) -> str:
    """A cell's text; the header gets a note in the place of what is for those at work in the notebook."""
    if cell.get("id") != "header":
        return cell.source
    lines = [line for line in cell.source.splitlines() if not line.startswith("| Coming back")]
    kept = [line for line in lines if not line.startswith("[![Open in Colab]")]
    return "\n".join(kept) + "\n\n" + NOTE.format(file=file)


def outputs(page: LessonPage, cell: NotebookNode, static: Path) -> Iterator[NotebookNode]:
    """The outputs of a cell as a page can show them."""
    asked = re.search(r'(?m)^quiz\("(\w+)"\)', cell.source)
    shown = False  # whether something has taken the widgets' place
    for output in cell.outputs:
        data = output.get("data", {})
        if KIND in data:
            name = f"{page.lesson.id}-{len(page.panels) + 1}"
            page.panels.append(data[KIND])
            yield html_output(panel_html(data[KIND], name, static))
            shown = True
        elif WIDGET in data and asked and not shown:
            yield html_output(quiz_html(asked.group(1)))
            shown = True
        elif WIDGET in data:
            continue
        elif "text/html" in data:
            found = with_files(page, data["text/html"], static)
            yield html_output(found)
        else:
            yield output
    if not shown and any(WIDGET in output.get("data", {}) for output in cell.outputs):
        yield html_output("<p>Here the notebook shows controls that need its kernel.</p>")


def html_output(html: str) -> NotebookNode:
    return new_output("display_data", data={"text/html": html})


def with_files(page: LessonPage, html: str, static: Path) -> str:
    """HTML with its pictures in files of their own, and links between lessons that lead to pages."""

    def to_file(found: re.Match) -> str:
        alt, png = found.group(1), base64.b64decode(found.group(2))
        name = f"pictures/{hashlib.sha256(png).hexdigest()[:16]}.webp"
        picture = Image.open(io.BytesIO(png))
        if not (static / name).exists():
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, "WEBP", lossless=True, method=4)
            write_changed(static / name, buffer.getvalue())
        if not page.cover:
            page.cover = name
        width, height = picture.size
        return (
            f'<img class="course-picture" alt="{alt}" width="{width}" height="{height}" '
            f'src="../_static/{name}">'
        )

    linked = re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', html)  # the page of progress
    return PICTURE.sub(to_file, linked)


def quiz_html(lesson: str) -> str:
    """A lesson's quiz as radio buttons, with the feedback on each answer."""
    parts = []
    for number, question in enumerate(questions(lesson), start=1):
        choices = "".join(
            f'<label><input type="radio" name="quiz-{number}" autocomplete="off" '
            f'data-right="{"yes" if answer == question.right else "no"}" '
            f'data-feedback="{escape(said, True)}"> {escape(answer)}</label>'
            for answer, said in question.options.items()
        )
        parts.append(
            f"<fieldset><legend>{number}. {escape(question.text)}</legend>{choices}"
            '<p role="status"></p></fieldset>'
        )
    return f'<div class="quiz">{"".join(parts)}<p class="quiz-score" role="status"></p></div>'
