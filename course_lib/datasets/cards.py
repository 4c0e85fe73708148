"""Data cards: source, licence, size, columns and known faults, one Markdown file a data set."""

from IPython.display import Markdown

from course_lib.datasets.registry import FOLDERS
from course_lib.syllabus import unknown


def card(name: str) -> Markdown:
    """The data card of `name`, which a notebook displays. Raises ValueError for an unknown name.

    >>> card("digits").data.splitlines()[0]
    '# Handwritten digits, 8x8'
    """
    files = {file.stem: file for folder in FOLDERS for file in folder.glob("*.md")}
    files.pop("README", None)
    if name not in files:
        raise ValueError(unknown("data card", name, sorted(files)))
    return Markdown(files[name].read_text(encoding="utf-8"))
