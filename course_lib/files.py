"""Writing a file whole or not at all, filling the templates of pages, and the course's own folder."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

LAST_LESSON = "lesson"  # in the state folder


def write_whole(
    path: str | os.PathLike,
    content: str | bytes | Callable[[IO[bytes]], object],
    *,
    private: bool = False,
) -> None:
    """Write a file at once: a reader sees the old file or the new one, never a part of one.

    If the process is killed, a file whose name ends with ".partial" may be left next to it.

    Args:
        path: the file, in a folder that exists.
        content: text, which is written as UTF-8; or bytes; or a function that writes to the open
            binary file it is given.
        private: only the owner may read the file.

    Raises:
        OSError: when the file cannot be written; the old one is then unchanged.
    """
    path = Path(path)
    mask = os.umask(0)  # a temporary file is its owner's alone; the result is like any other file
    os.umask(mask)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f"{path.name}.", suffix=".partial", delete=False
    ) as file:
        try:
            if callable(content):
                content(file)
            else:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.close()
            if not private:
                os.chmod(file.name, 0o666 & ~mask)
            os.replace(file.name, path)
        except BaseException:
            file.close()
            os.unlink(file.name)
            raise


def page_templates(folder: Path) -> "Environment":
    """The templates of HTML pages in a folder.

    Every value is escaped, since names, levels and sentences are other people's text; one that is
    missing is an error.
    """
    from jinja2 import (  # only those who write pages need it
        Environment,
        FileSystemLoader,
        StrictUndefined,
    )

    return Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def state_folder() -> Path:
    """Where progress and checkpoints are kept: `.course` next to the notebook, or COURSE_STATE."""
    return Path(os.environ.get("COURSE_STATE") or ".course")


def remember_lesson(name: str) -> None:
    """Keep which lesson was started last. Raises OSError where nothing can be written."""
    state_folder().mkdir(parents=True, exist_ok=True)
    write_whole(state_folder() / LAST_LESSON, name)


def last_lesson() -> str:
    """The lesson that was started last, such as "06_mode_collapse"; "" if none is known."""
    try:
        return (state_folder() / LAST_LESSON).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
