"""The pages that are made from the course's own files: start, path, glossary, measures, data, library."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from urllib.parse import quote

from lessons import LessonPage
from panels import panel_html
from records import raw

from course_lib.audit.explain import KINDS, metrics
from course_lib.syllabus import Lesson

HERE = Path(__file__).parent
# The parts of the course, by the number of each part's first lesson, and what one can do after it.
PARTS = {
    0: (
        "Build",
        "train a VAE, a GAN, a diffusion model and models of tables, each written by yourself",
    ),
    6: (
        "Break",
        "make a GAN collapse on purpose, cure it, and hold a loop of generations in place",
    ),
    9: ("Audit", "say how faithful, fair and private synthetic data are, and how sure that is"),
    12: (
        "Use",
        "decide with evidence where synthetic data help in five fields, and where they do not",
    ),
    17: ("Tomorrow", "generate data every day, and know when to stop"),
    19: ("Further", "go on to newer models, and to an audit of your own"),
}
# The rooms of the library that others than the course's own commands call.
ROOMS = (
    *("session", "datasets", "training", "models", "plots", "mode_collapse", "model_collapse"),
    *("privacy", "rare_events", "audit", "pipeline", "twin", "explore"),
)


def part_of(lesson: Lesson) -> tuple[str, str]:
    return PARTS[max(first for first in PARTS if first <= lesson.number)]


def needed(lesson: Lesson, lessons: Mapping[int, Lesson]) -> list[int]:
    """The lessons that one's prerequisites name, as in "Lessons 01, 05 and 09" or "01 to 03"."""
    found = re.search(r"[Ll]essons? (\d+(?:(?:, | and | to )\d+)*)", lesson.prerequisites)
    if not found:
        return []
    numbers: set[int] = set()
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", found.group(1)):
        numbers |= set(range(int(first), int(last or first) + 1))
    return sorted(numbers & lessons.keys() - {lesson.number})


# --- the start page ------------------------------------------------------------------------------

DOORS = (
    (
        "Learn",
        "Start with lesson 00. You build each model yourself, and a check tells you what is right and "
        "names the mistake if something is not.",
        {"notebooks/index.html": "To the lessons", "path.html": "Which lesson builds on which"},
    ),
    (
        "Teach",
        "Grade notebooks from your learning management system: each answer runs in a sandbox, on fresh "
        "numbers.",
        {
            "docs/instructor.html": "To the guide for instructors",
            "examples/feedback.html": "An example of graded feedback",
        },
    ),
    (
        "Audit your own data",
        "One command compares a synthetic table with the real one: fidelity, utility, bias and privacy.",
        {
            "docs/audit.html": "To the guide for audits",
            "measures.html": "What is measured, with formulas",
            "examples/audit.html": "An example of an audit",
        },
    ),
)


def door(title: str, text: str, links: Mapping[str, str], examples: bool) -> str:
    listed = "<br>".join(
        f'<a href="{target}">{link}</a>'
        for target, link in links.items()
        if examples or not target.startswith("examples/")
    )
    return f"<li><h2>{title}</h2><p>{text}</p><p>{listed}</p></li>"


def start_page(pages: Sequence[LessonPage], static: Path, examples: bool) -> str:
    doors = "".join(door(*each, examples) for each in DOORS)
    able = "\n".join(
        f"- **{part}**: {told}"
        for part, told in dict(part_of(page.lesson) for page in pages).items()
    )
    minutes = sum(page.lesson.study_minutes for page in pages)
    exercises = sum(len(page.lesson.exercises) for page in pages)
    lessons = counted(pages, "lesson")
    contents = "\n".join(
        [
            "Lessons <notebooks/index>",
            "Path <path>",
            "Glossary <glossary>",
            "Audit <docs/audit>",
            "Teach <docs/instructor>",
            "Library <api/index>",
            "More <more>",
        ]
    )
    cards = "".join(card(page, static) for page in pages)
    return f"""# Synthetic data: build it, break it, audit it

**A course in Jupyter notebooks.** You build generative models on a laptop without a GPU, you make them
fail, and you measure what they make: is it faithful, is it fair, does it keep secrets? {lessons}, about
{minutes / 60:.0f} hours, {exercises} exercises with checks, all of it offline.

{raw(f'<ul class="doors">{doors}</ul>')}

## What you will be able to do

{able}

## The lessons

Each has a picture that you can change: move a slider, with the mouse or with the arrow keys.

{raw(f'<ul class="cards">{cards}</ul>')}

## What you need

Python 3.11 to 3.13 and about 4 GB of disk. In the folder of the course:

```
python course.py lab
```

```{{toctree}}
:hidden:

{contents}
```
"""


def counted(things: Sequence, name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def card(page: LessonPage, static: Path) -> str:
    lesson = page.lesson
    cover = f'<img class="course-picture" alt="" src="_static/{page.cover}">' if page.cover else ""
    if page.panels:
        panel = page.panels[0]
        sliders = [n for n, control in enumerate(panel["controls"]) if control["slider"]]
        cover = panel_html(panel, f"{lesson.id}-1", static, up="", only=(*sliders, 0)[0])
    title = f"{lesson.number:02d} {escape(lesson.title)}"
    exercises = counted(lesson.exercises, "exercise")
    return (
        f'<li>{cover}<h3><a href="notebooks/{lesson.id}.html">{title}</a></h3>'
        f"<p>{escape(lesson.question)}</p>"
        f'<p class="minutes">{lesson.study_minutes} minutes, {exercises}</p></li>'
    )


def lesson_index(lessons: Sequence[Lesson]) -> str:
    """The list of lessons, part by part."""
    parts: dict[str, list[Lesson]] = {}
    for lesson in lessons:
        parts.setdefault(part_of(lesson)[0], []).append(lesson)
    trees = "\n".join(
        f"```{{toctree}}\n:caption: {part}\n:maxdepth: 1\n\n"
        + "\n".join(x.id for x in held)
        + "\n```\n"
        for part, held in parts.items()
    )
    return f"# Lessons\n\nThe [path](../path.md) shows which lesson builds on which.\n\n{trees}"


# --- the path ------------------------------------------------------------------------------------

WIDTH, HEIGHT, GAP_X, GAP_Y = 190, 58, 26, 46


def path_page(lessons: Sequence[Lesson]) -> str:
    by_number = {lesson.number: lesson for lesson in lessons}
    needs = {lesson.number: needed(lesson, by_number) for lesson in lessons}
    rows = "\n".join(
        f"| [{x.number:02d} {x.title}](notebooks/{x.id}.ipynb) | {x.prerequisites} "
        f"| {x.study_minutes} min |"
        for x in lessons
    )
    drawn = svg(by_number, needs)
    return f"""# The path through the lessons

An arrow leads from a lesson to one that builds on it. Lessons side by side can be taken in any order.

{raw(f'<div class="path" tabindex="0" role="group" aria-label="Map of the lessons">{drawn}</div>')}

| lesson | know before | to study |
|---|---|---|
{rows}
"""


def svg(lessons: Mapping[int, Lesson], needs: Mapping[int, Sequence[int]]) -> str:
    """The lessons as boxes, each below all that it needs; what follows from other arrows is not drawn."""
    depth: dict[int, int] = {}
    behind: dict[int, set[int]] = {}
    for number in sorted(lessons):  # a lesson needs only earlier ones
        depth[number] = 1 + max((depth[n] for n in needs[number]), default=-1)
        behind[number] = set(needs[number]).union(*(behind[n] for n in needs[number]))
    rows: dict[int, list[int]] = {}
    for number in sorted(lessons):
        rows.setdefault(depth[number], []).append(number)
    widest = max(map(len, rows.values()))
    total = widest * (WIDTH + GAP_X) + GAP_X
    place = {}
    for row, numbers in rows.items():
        left = (total - len(numbers) * (WIDTH + GAP_X) + GAP_X) / 2
        for n, number in enumerate(numbers):
            place[number] = (left + n * (WIDTH + GAP_X), GAP_Y / 2 + row * (HEIGHT + GAP_Y))
    edges, boxes = [], []
    for number, before in needs.items():
        direct = [n for n in before if not any(n in behind[other] for other in before)]
        for n in direct:
            (x0, y0), (x1, y1) = place[n], place[number]
            x0, y0, x1, y1 = x0 + WIDTH / 2, y0 + HEIGHT, x1 + WIDTH / 2, y1 - 7
            y = (y0 + y1) / 2
            curve = f"M{x0:.0f} {y0:.0f}C{x0:.0f} {y:.0f} {x1:.0f} {y:.0f} {x1:.0f} {y1:.0f}"
            edges.append(f'<path class="edge" marker-end="url(#arrow)" d="{curve}"/>')
    for number, (x, y) in place.items():
        lesson = lessons[number]
        lines = wrapped(f"{number:02d} {lesson.title}", 23)
        first = y + HEIGHT / 2 + 5 - 9 * (len(lines) - 1)
        text = "".join(
            f'<tspan x="{x + WIDTH / 2:.0f}" y="{first + 18 * n:.0f}">{escape(line)}</tspan>'
            for n, line in enumerate(lines)
        )
        boxes.append(
            f'<a href="notebooks/{lesson.id}.html"><rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" '
            f'height="{HEIGHT}" rx="8"/><text text-anchor="middle">{text}</text></a>'
        )
    height = GAP_Y + len(rows) * (HEIGHT + GAP_Y)
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="arrow" d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    return (
        f'<svg viewBox="0 0 {total} {height:.0f}" xmlns="http://www.w3.org/2000/svg">{arrow}'
        f"{''.join(edges)}{''.join(boxes)}</svg>"
    )


def wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


# --- glossary, measures, data, library -----------------------------------------------------------


def glossary() -> Mapping[str, Mapping]:
    return tomllib.loads((HERE / "glossary.toml").read_text(encoding="utf-8"))


def spellings(terms: Mapping[str, Mapping], lesson: str) -> dict[str, str]:
    """Each way of writing a term that a lesson may link, in lower case, with the term."""
    return {
        text.lower(): term
        for term, entry in terms.items()
        if lesson in entry["lessons"] or not entry.get("only_there")
        for text in (term, *entry.get("also", ()))
    }


def glossary_page(terms: Mapping[str, Mapping], lessons: Mapping[str, Lesson]) -> str:
    entries = []
    for term in sorted(terms, key=str.lower):
        entry = terms[term]
        where = " ".join(
            f"[{lessons[name].number:02d}](notebooks/{name}.ipynb)"
            for name in entry["lessons"]
            if name in lessons
        )
        taught = f" (lesson{'s' * (len(entry['lessons']) > 1)} {where})" if where else ""
        entries.append(f"{term}\n  {entry['means']}{taught}")
    return (
        "# Glossary\n\nThe words of the course, each with the lesson that explains it. Lessons link a word "
        "where they use it first.\n\n```{glossary}\n" + "\n\n".join(entries) + "\n```\n"
    )


NOTATION = r"""
In the formulas $x_1, \dots, x_m$ are the synthetic values or rows, and $y_1, \dots, y_n$ the real ones,
training rows and holdout together unless it is said otherwise. Of a column only values that are there
count. $p_j$ and $q_j$ are the shares of the synthetic and of the real rows in a level or cell $j$; $F_x$
and $F_y$ are the two cumulative distribution functions; $\#$ counts, and $[\cdot]$ is 1 if what stands in
it is true, else 0. As a point, a row has for each number its normal score among the real values, cut at
two standard deviations, and for each level an indicator.

The null hypothesis is the same throughout: synthetic and real rows are draws of one distribution. A
measure's null distribution says what it gives then, and it is seldom 0."""


def measures_page() -> str:
    """Every measure of the audit: formula, null, what fools it, how to read it, what to do, its source."""
    parts = []
    for kind, name in KINDS.items():
        held = {key: about for key, about in metrics().items() if about["kind"] == kind}
        if held:
            parts.append(f"## {name.capitalize()}\n")
            parts += [measure(key, about) for key, about in held.items()]
    return (
        "# What the audit measures\n\nThe words are those of the report. Each number stands in it beside "
        f"what real data score.\n\n{NOTATION}\n\n" + "\n".join(parts)
    )


def measure(key: str, about: Mapping[str, str]) -> str:
    source = about["paper"]
    if url := about.get("url"):
        source = f"[{source}]({quote(url, safe=':/;')})"
    rows = {
        "It measures": about["measures"],
        "Formula": f"\n\n{about['formula']}",
        "Null distribution": about["null"],
        "How to read it": about["read"],
        "What fools it": about["misses"],
        "If it fails": about["act"],
        "Source": source,
    }
    told = "\n\n".join(f"**{head}.** {text}" for head, text in rows.items() if text)
    return f"### {about['title']}\n\n`{key}`\n\n{told}\n"


def data_index(cards: Sequence[Path]) -> str:
    names = "\n".join(card.stem for card in cards)
    return (
        "# Data cards\n\nOne card for each data set: where it comes from, its licence, its columns, its "
        f"known faults.\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"
    )


def modules(room: str) -> list[str]:
    """The public modules of a room, the room itself first."""
    package = import_module(f"course_lib.{room}")
    names = [package.__name__]
    if hasattr(package, "__path__"):
        inside = walk_packages(package.__path__, prefix=f"{package.__name__}.")
        names += sorted(
            found.name for found in inside if not found.name.split(".")[-1].startswith("_")
        )
    return names


def api_pages() -> Iterator[tuple[str, str]]:
    """The reference: a page for each room, with the docstrings of its modules and their examples."""
    for room in ROOMS:
        text = f"# {room}\n\n"
        for name in modules(room):
            module = import_module(name)
            is_package = hasattr(module, "__path__")
            options = "   :no-members:\n" if is_package else "   :members:\n"
            heading = (
                f"## {name.removeprefix('course_lib.')}\n\n" if name != f"course_lib.{room}" else ""
            )
            text += f"{heading}```{{eval-rst}}\n.. automodule:: {name}\n{options}```\n\n"
        yield f"api/{room}.md", text
    names = "\n".join(ROOMS)
    yield (
        "api/index.md",
        "# The library\n\nWhat the lessons build by hand stands in `course_lib` in finished form. Examples "
        f"that begin with `>>>` are run by the tests.\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n",
    )


def more_page(examples: bool) -> str:
    others = [
        *(["examples"] if examples else []),
        *("measures", "data/index", "benchmarks/README", "benchmarks/results"),
        *("docs/pipeline", "docs/capstone", "docs/data"),
        *("docs/anywhere", "docs/colab", "docs/gpu", "CHANGELOG"),
    ]
    listed = "\n".join(others)
    return f"# More\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"


def examples_page(audited: str) -> str:
    return f"""# Two examples

- <a href="examples/audit.html">An audit</a> of rows that a Gaussian copula made from the data set
  `{audited}`, as `course-lib audit --html` writes it
- <a href="examples/feedback.html">Feedback</a> on a submission with right, wrong and missing answers, as
  `course-lib grade` writes it for each student
"""
