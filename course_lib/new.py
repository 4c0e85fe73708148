"""A new lesson: what every lesson consists of, written in one step and ready to be filled in.

The words to replace are marked with MARK. `placeholders` lists what is still marked; the texts are in
the folder `template`.
"""

import json
import keyword
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from course_lib.files import write_whole
from course_lib.syllabus import ROOT, SYLLABUS, course

MARK = "TODO(lesson)"
TEMPLATE = Path(__file__).with_name("template")
COPIED = ("course_lib", "notebooks", "docs/gpu.md", "README.md", "pyproject.toml")
NOTEBOOK = "notebooks/<<id>>.ipynb"
# The files that only one lesson has, and the templates of their texts.
OWN = {
    "course_lib/exercises/<<name>>.py": "exercises.txt",
    "course_lib/explore/quizzes/<<id>>.toml": "quiz.txt",
    NOTEBOOK: "notebook.txt",
}


class NewLessonError(ValueError):
    """Why no lesson was written, as a sentence."""


def new_lesson(lesson: str, title: str) -> list[Path]:
    """Write everything that a lesson consists of, or nothing.

    The lesson is made in a copy of the checkout. Only when all is there and in order are the files
    brought over, the syllabus last. An interruption takes back what was brought over; after a power
    cut the same call completes it.

    Args:
        lesson: the id, two digits and a name, such as "11_privacy". The name is also that of the
            module of its exercises.
        title: what the header and the README call it.

    Returns:
        The files that are new or have changed.

    Raises:
        NewLessonError: this is not a checkout, or the id or the title cannot be used.
    """
    if not (ROOT / "pyproject.toml").exists():
        raise NewLessonError("This needs a checkout of the course.")
    words = _words(lesson, title)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in COPIED:
            _copy(ROOT / part, copy / part)
        for name, template in OWN.items():
            file, text = _filled(name, words), _template(template, words)
            if name == NOTEBOOK:
                text = _notebook(text)
            else:
                _refuse_other(file, text.encode())
            write_whole(copy / file, text)
        syllabus = copy / "course_lib" / SYLLABUS.name
        write_whole(syllabus, _with_entry(syllabus.read_text(encoding="utf-8"), words))
        _sync(copy)
        made = {
            file.relative_to(copy): file.read_bytes()
            for file in sorted(copy.rglob("*"))
            if file.is_file() and "__pycache__" not in file.parts
        }
    notebook = Path(_filled(NOTEBOOK, words))
    _refuse_other(notebook, made[notebook])
    return _bring_over(made)


def placeholders(lesson: str) -> dict[str, int]:
    """How many places of a lesson still wait for their words, by the file that they are in."""
    text = SYLLABUS.read_text(encoding="utf-8")
    entry = re.search(rf"(?ms)^\[lessons\.{lesson}\]$.*?(?=^\[lessons\.\w+\]$|\Z)", text)
    texts = {"course_lib/syllabus.toml": entry[0] if entry else ""}
    for name in OWN:
        file = _filled(name, {"id": lesson, "name": lesson.partition("_")[2]})
        if (ROOT / file).exists():
            texts[file] = (ROOT / file).read_text(encoding="utf-8")
    return {file: text.count(MARK) for file, text in texts.items() if MARK in text}


def _words(lesson: str, title: str) -> dict[str, str]:
    """What stands in the templates' gaps. Raises NewLessonError."""
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9]*(_[a-z0-9]+)*", lesson, re.ASCII):
        raise NewLessonError(
            f"{lesson!r} cannot be the id of a lesson. Write two digits and a name in small letters, "
            "such as 11_privacy."
        )
    number, _, name = lesson.partition("_")
    if lesson in course().lessons:
        raise NewLessonError(f"There is a lesson {lesson} already.")
    for other in course().lessons.values():
        if other.number == int(number):
            raise NewLessonError(f"The number {number} is taken: it is that of {other.id}.")
    if keyword.iskeyword(name):
        raise NewLessonError(f"{name!r} is a word of Python; choose another name.")
    if not title.strip():
        raise NewLessonError('A lesson needs a title: --title "...".')
    if re.search(r"[|`\x00-\x1f\x7f]", title):
        raise NewLessonError("A title is one line of text without the characters | and `.")
    quoted = json.dumps(title.strip(), ensure_ascii=False)
    words = {"id": lesson, "name": name, "title": quoted}
    return words | {"number": str(int(number)), "number2": number}


def _filled(text: str, words: dict[str, str]) -> str:
    """The text with a word in place of each gap, such as <<name>>."""
    return re.sub(r"<<(\w+)>>", lambda gap: words[gap[1]], text)


def _template(file: str, words: dict[str, str]) -> str:
    return _filled((TEMPLATE / file).read_text(encoding="utf-8"), words)


def _refuse_other(file: str | Path, content: bytes) -> None:
    """Raise NewLessonError if the checkout has this file with other content."""
    if (ROOT / file).exists() and (ROOT / file).read_bytes() != content:
        raise NewLessonError(f"{file} exists already. Remove it, or choose another name.")


def _notebook(text: str) -> str:
    """The notebook of a text in which each cell begins with `%% kind id tags`."""
    cells = []
    for part in re.split(r"(?m)^%% ", text)[1:]:
        first, _, source = part.partition("\n")
        kind, name, *tags = first.split()
        cell = {"cell_type": kind, "id": name, "metadata": {"tags": tags} if tags else {}}
        cell["source"] = source.strip("\n")
        cells.append(cell | ({"outputs": [], "execution_count": None} if kind == "code" else {}))
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def _with_entry(syllabus: str, words: dict[str, str]) -> str:
    """The syllabus with the lesson's entry where its number belongs."""
    entry = _template("syllabus.txt", words)
    for found in re.finditer(r"(?m)^\[lessons\.(\d\d)_\w+\]$", syllabus):
        if found[1] > words["number2"]:
            return syllabus[: found.start()] + entry + syllabus[found.start() :]
    return f"{syllabus.rstrip()}\n\n{entry.rstrip()}\n"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", ".*", "*.partial")
        shutil.copytree(source, target, ignore=ignored)
    else:
        shutil.copy(source, target)


def _sync(copy: Path) -> None:
    """Let the copy write its header, cards and tables, which also proves that the lesson loads."""
    command = [sys.executable, "-m", "course_lib.cli", "sync"]
    env = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise NewLessonError(f"The lesson could not be made: {done.stderr.strip()[-800:]}")


def _bring_over(made: dict[Path, bytes]) -> list[Path]:
    """Write the files that differ from the checkout's; if one cannot be written, take all back."""
    before = {f: (ROOT / f).read_bytes() if (ROOT / f).exists() else None for f in made}
    changed = [file for file in made if made[file] != before[file]]
    changed.sort(key=lambda file: file.name == SYLLABUS.name)
    written = []
    try:
        for file in changed:
            written.append(file)
            write_whole(ROOT / file, made[file])
    except BaseException:
        for file in written:
            content = before[file]
            if content is None:
                (ROOT / file).unlink(missing_ok=True)
            else:
                write_whole(ROOT / file, content)
        raise
    return [ROOT / file for file in changed]
