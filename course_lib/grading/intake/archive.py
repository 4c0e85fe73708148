"""Files in folders and zips, listed and read where they lie: nothing is ever unpacked to disk.

What lies there may be hostile. A file that cannot be read safely stays in the list with a sentence
that says why, so that it is seen, and harms no other.
"""

import io
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from course_lib.grading.errors import GradingError

LARGEST = 200 * 2**20  # bytes of a notebook, or of a zip inside a zip
# Bytes of a zip's table of contents. Python keeps some ten times as much: a million files in a
# student's zip would fill the memory before one of them is read.
CONTENTS = 32 * 2**20
INNER_CONTENTS = 4 * 2**20
DEEPEST = 12  # folders within folders
LONGEST = 255  # letters of a name, as on every file system
# Others, such as bzip2 and LZMA, may unfold a few bytes to gigabytes in one step.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What systems and editors leave behind. A notebook counts in a folder of any name but a hidden one: a
# student's folder may be called so.
JUNK_FILES = {"thumbs.db", "desktop.ini"}
JUNK_FOLDERS = {"__MACOSX", "__pycache__", "node_modules"}
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,  # also names that are not the UTF-8 that they claim to be
    RuntimeError,
    NotImplementedError,
    OverflowError,
)


@dataclass(frozen=True)
class Source:
    """Where bytes lie: a file on disk, or the n-th member of that zip, or of a zip in it."""

    path: Path
    members: tuple[int, ...] = ()
    problem: str = ""

    def read(self, most: int | None = None) -> bytes:
        """The bytes, at most `most` of them. Raises GradingError if they cannot be read."""
        if self.problem:
            raise GradingError(self.problem)
        most = LARGEST if most is None else most
        if not self.members:
            return _read_file(self.path, most)
        try:
            about = self.path.stat()
            opened = _opened(self.path, about.st_mtime_ns, about.st_size, os.getpid())
            *outer, last = self.members
            for index in outer:
                data = _member(opened, index, LARGEST)
                opened = _table(io.BytesIO(data), INNER_CONTENTS)
            return _member(opened, last, most)
        except BROKEN as error:
            raise GradingError(_damaged(error)) from error


@dataclass(frozen=True)
class Leaf:
    """A file, or an empty folder (`source` None), at `parts` below the level that is looked at."""

    parts: tuple[str, ...]
    shown: str  # its whole path, for people
    source: Source | None

    @property
    def name(self) -> str:
        return self.parts[-1]

    @property
    def is_zip(self) -> bool:
        return self.source is not None and self.name.lower().endswith(".zip")


def folder(path: Path) -> list[Leaf]:
    """All files below a folder, in the order of their names. Links are listed, never followed."""
    try:
        return list(_walk(path, (), plain(path.name)))
    except OSError as error:
        raise GradingError(f"The folder {path} cannot be opened: {error.strerror}.") from error


def archive(path: Path) -> list[Leaf]:
    """All files in a zip. Raises GradingError if its table of contents cannot be read."""
    try:
        with path.open("rb") as file:
            return _members(_table(file, CONTENTS), Source(path), (), plain(path.name))
    except BROKEN as error:
        raise GradingError(
            f"{plain(path.name)} cannot be read as a zip. {_damaged(error)} Download it again, or "
            "unpack it and name the folder."
        ) from error


def inner(leaf: Leaf) -> list[Leaf]:
    """The files of a zip that lies in a folder or in a zip; the zip itself with what is wrong."""
    source = leaf.source
    if source is None:
        return [leaf]
    try:
        if source.problem or len(source.members) > 1:
            raise GradingError(source.problem or "Zips in zips in zips are not opened.")
        if not source.members:
            with source.path.open("rb") as file:
                opened = _table(file, INNER_CONTENTS)
                return _members(opened, source, leaf.parts, leaf.shown) or [_empty(leaf)]
        opened = _table(io.BytesIO(source.read()), INNER_CONTENTS)
        return _members(opened, source, leaf.parts, leaf.shown) or [_empty(leaf)]
    except GradingError as error:
        problem = str(error)
    except BROKEN as error:
        problem = _damaged(error)
    return [Leaf(leaf.parts, leaf.shown, Source(source.path, source.members, problem))]


def plain(text: str, most: int = 200) -> str:
    """Text that can be written down anywhere: no control signs, none that reorder a line."""
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    kept = "".join("\ufffd" if _is_odd(letter) else letter for letter in text)
    return kept if len(kept) <= most else kept[: most - 1] + "…"


def _is_odd(letter: str) -> bool:
    return (
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
        or "\u202a" <= letter <= "\u202e"
        or "\u2066" <= letter <= "\u2069"
        or letter in "\u200e\u200f\ufeff"
    )


def _empty(leaf: Leaf) -> Leaf:
    return Leaf((*leaf.parts, ""), leaf.shown, None)


def _walk(path: Path, parts: tuple[str, ...], shown: str) -> Iterator[Leaf]:
    entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    for entry in entries:
        if _is_junk((entry.name, "") if entry.is_dir() else (entry.name,)):
            if entry.name in JUNK_FOLDERS and entry.is_dir(follow_symlinks=False):
                inside = _walk(Path(entry.path), (*parts, entry.name), f"{shown}/{entry.name}")
                yield from (leaf for leaf in inside if leaf.parts[-1].endswith(".ipynb"))
            continue
        here, told = (*parts, entry.name), f"{shown}/{plain(entry.name)}"
        file = Path(entry.path)
        if entry.is_symlink():
            problem = f"{plain(entry.name)} is a link to another place; links are not followed."
            yield Leaf((*here, "") if entry.is_dir() else here, told, Source(file, problem=problem))
        elif entry.is_dir(follow_symlinks=False):
            try:
                below = list(_walk(file, here, told)) if len(here) < DEEPEST else []
            except OSError as error:
                problem = f"The folder {plain(entry.name)} cannot be opened: {error.strerror}."
                below = [Leaf((*here, ""), told, Source(file, problem=problem))]
            yield from below or [Leaf((*here, ""), told, None)]
        elif entry.is_file(follow_symlinks=False):
            yield Leaf(here, told, Source(file))
        else:
            problem = f"{plain(entry.name)} is not an ordinary file."
            yield Leaf(here, told, Source(file, problem=problem))


def _read_file(path: Path, most: int) -> bytes:
    # Since the folder was listed, the file may have become a link, or a pipe that never ends.
    flags = os.O_RDONLY | sum(
        getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC")
    )
    try:
        with open(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise GradingError(f"{plain(path.name)} is not an ordinary file.")
            return _bounded(file, about.st_size, most)
    except OSError as error:
        raise GradingError(f"{plain(path.name)} cannot be read: {error.strerror}.") from error


def _bounded(file: IO[bytes], declared: int, most: int) -> bytes:
    """All of a file, at most `most` bytes, without trusting the size that it declares."""
    kept = bytearray()
    if declared <= most:
        while block := file.read(2**20):
            kept += block
            if len(kept) > most:
                break
        else:
            return bytes(kept)
    size = max(declared, len(kept)) / 2**20
    raise GradingError(
        f"The file is too large: it takes {size:,.0f} MB or more, and at most {most / 2**20:,.0f} "
        "MB are read."
    )


# --- zips --------------------------------------------------------------------------------------


class _Guarded:
    """A file that hands out no more than `most` bytes at once, which is how `zipfile` reads a
    zip's table of contents: all of it, at the size that it declares."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self.file, self.most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(self.most + 1 if size < 0 else min(size, self.most + 1))
        if len(data) > self.most:
            raise zipfile.BadZipFile("its table of contents is too large")
        return data


def _table(file: IO[bytes], most: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(cast(IO[bytes], _Guarded(file, most)))


@lru_cache(maxsize=4)
def _opened(path: Path, changed: int, size: int, process: int) -> zipfile.ZipFile:
    """Kept open: the table of contents of a zip of 10,000 submissions is read once a process."""
    return zipfile.ZipFile(path)


def _members(
    opened: zipfile.ZipFile, source: Source, parts: tuple[str, ...], shown: str
) -> list[Leaf]:
    leaves = []
    for index, info in enumerate(opened.infolist()):
        name = _name(info)
        below, problem = _path(name)
        if name.endswith("/"):
            below = (*below, "")
        if _is_junk(below):
            continue
        if below[-1] and not problem:
            problem = _problem(info)
        told = plain("/".join([shown, *filter(None, below)]), 500)
        member = Source(source.path, (*source.members, index), problem)
        leaves.append(Leaf((*parts, *below), told, member if below[-1] else None))
    filled = {leaf.parts[:-1] for leaf in leaves if leaf.source}
    return [leaf for leaf in leaves if leaf.source or leaf.parts[:-1] not in filled]


def _name(info: zipfile.ZipInfo) -> str:
    """The path in the zip. macOS writes UTF-8 without saying so, Windows backslashes."""
    name = info.orig_filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _path(name: str) -> tuple[tuple[str, ...], str]:
    """The parts of a path; one that would lead out of the zip becomes a name with a
    problem, so that it cannot land among another student's files."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name) or "\0" in name:
        problem = f"Its name in the zip, '{plain(name)}', is a path that leads out of the zip."
        return (_short(name.replace("/", "_").replace("..", "_")),), problem
    if any(len(part) > LONGEST for part in parts):
        problem = "Its name in the zip is longer than names of files can be."
        return tuple(map(_short, parts)), problem
    return parts or ("_",), ""


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:200]}…{name[-40:]}"


def _problem(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "It is a link to another place; links are not followed."
    if info.flag_bits & 0x1:
        return "It is encrypted with a password; ask for it without one."
    if info.compress_type not in METHODS:
        return "It is compressed in a way that is not read here; ask for an ordinary zip."
    return ""


def _member(opened: zipfile.ZipFile, index: int, most: int) -> bytes:
    info = opened.infolist()[index]
    if problem := _problem(info):
        raise GradingError(problem)
    with opened.open(info) as file:
        return _bounded(file, info.file_size, most)


def _damaged(error: Exception) -> str:
    reason = plain(str(error)).rstrip(".")
    return f"The zip is damaged, or not a zip ({reason or type(error).__name__})."


def _is_junk(parts: tuple[str, ...]) -> bool:
    """Whether a path, of a folder if its last part is empty, is no part of what students hand in."""
    *folders, name = parts
    if any(part.startswith(".") for part in parts):
        return True
    in_junk = any(folder in JUNK_FOLDERS for folder in folders)
    return name.casefold() in JUNK_FILES or (in_junk and not name.endswith(".ipynb"))
