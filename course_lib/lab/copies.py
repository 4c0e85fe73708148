"""The lessons in a folder of the learner's own: copied there, and brought up to date without a loss.

`.course/lessons.json` in that folder keeps a hash of each version of a lesson that the folder was offered.
So a copy in which nobody has written is told from one that holds a learner's work, which is never changed.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from course_lib.files import write_whole
from course_lib.syllabus import course, notebook

OFFERED = Path(".course") / "lessons.json"


def is_copy(folder: Path) -> bool:
    """Whether lessons were copied to this folder."""
    return (folder / OFFERED).is_file()


def copy_lessons(folder: Path) -> list[str]:
    """Copy the lessons that this folder was never offered; no file that is there is changed.

    Returns:
        The names of the files that were written.

    Raises:
        OSError: when one cannot be written.
    """
    offered = _offered(folder)
    written = []
    for source in _sources():
        file = folder / source.name
        if file.name not in offered and not file.exists():
            _offer(source, file, offered)
            written.append(file.name)
    _keep(folder, offered)
    return written


def update_lessons(folder: Path) -> dict[str, list[str]]:
    """Bring lessons that are missing, and the present version of the others.

    A lesson in which nobody has written is replaced; whether it was run does not count. One with the
    learner's work stays, and a version that the folder has not had yet is put beside it.

    Returns:
        The names of the files that were written: "copied", "replaced" and "beside".

    Raises:
        OSError: when one cannot be written.
    """
    offered = _offered(folder)
    done: dict[str, list[str]] = {"copied": [], "replaced": [], "beside": []}
    for source in _sources():
        file, known = folder / source.name, offered.get(source.name, [])
        new = content_hash(source)
        how = "copied"
        if file.exists():
            there = content_hash(file)
            if there == new:
                offered[source.name] = _with(known, new)
                continue
            how = "replaced" if there in known else "beside"
        if how == "beside":
            if new in known:
                continue
            file = next(f for f in _beside(file) if not f.exists() or content_hash(f) in known)
        _offer(source, file, offered)
        done[how].append(file.name)
    _keep(folder, offered)
    return done


def content_hash(file: Path) -> str:
    """A hash of what stands in a notebook's cells, without outputs; of all its bytes if it is none."""
    content = file.read_bytes()
    try:
        cells = [
            [c["cell_type"], "".join(c["source"])]
            for c in json.loads(content.decode("utf-8"))["cells"]
        ]
    except (ValueError, LookupError, TypeError):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(json.dumps(cells).encode("utf-8")).hexdigest()


def _sources() -> list[Path]:
    return [notebook(lesson) for lesson in course().lessons.values()]


def _beside(file: Path) -> Iterator[Path]:
    """Names for a new version: 01_vae.new.ipynb, 01_vae.new2.ipynb and so on."""
    for number in range(1, 1000):
        yield file.with_name(f"{file.stem}.new{number if number > 1 else ''}{file.suffix}")
    raise OSError(f"There are too many versions of {file}.")


def _offer(source: Path, file: Path, offered: dict[str, list[str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, source.read_bytes())
    offered[source.name] = _with(offered.get(source.name, []), content_hash(source))


def _with(known: list[str], new: str) -> list[str]:
    return known if new in known else [*known, new]


def _offered(folder: Path) -> dict[str, list[str]]:
    """What the folder was offered, by the lesson's file; nothing where that is not known any more."""
    try:
        content = json.loads((folder / OFFERED).read_text(encoding="utf-8"))
        return {str(name): [str(version) for version in content[name]] for name in content}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _keep(folder: Path, offered: dict[str, list[str]]) -> None:
    (folder / OFFERED).parent.mkdir(parents=True, exist_ok=True)
    write_whole(folder / OFFERED, json.dumps(offered, indent=1, sort_keys=True) + "\n")
