"""Fetching a file once: from the cache, a mirror or its publisher; whole and right, or not at all.

pooch checks the hash and puts the file in place; the downloader here adds what it lacks: going on
with an interrupted download, other places, and one clear sentence for everything that can go wrong.
"""

import errno
import os
import shutil
import socket
from functools import partial
from itertools import chain
from pathlib import Path

import pooch
import requests
from filelock import FileLock, Timeout
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError, ReadTimeoutError

from course_lib.datasets.registry import Remote, RemoteFile, registry
from course_lib.session import interactive

CACHE, MIRROR = "COURSE_DATA_CACHE", "COURSE_DATA_MIRROR"
TIMEOUT = (10, 20)  # seconds to connect, and to wait for the next bytes
PATIENCE = 600  # seconds to wait for another process that is fetching the same data set
PIECE = 2**16  # bytes
LATER = "try again later"
SIGN_IN = "sign in to the network or its proxy in a browser and try again"
PAGE = (b"<!doctype", b"<html")


class DataError(RuntimeError):
    """A data set could not be fetched: the message says from where, why, and what to do."""


class PlaceError(Exception):
    """Why one place gave nothing, and what may help."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.remedy = remedy


def cache_folder() -> Path:
    """Where fetched files are kept: COURSE_DATA_CACHE, or the system's folder for caches.

    >>> cache_folder().is_absolute()
    True
    """
    return Path(os.environ.get(CACHE) or pooch.os_cache("course-lib")).expanduser().absolute()


def fetch(name: str, file: str) -> Path:
    """The path of a file of data/registry.toml, fetched unless it is at hand.

    COURSE_DATA_MIRROR, a folder or an address with a folder for each data set, stands in for the
    publisher: a folder is read where it lies. Only a file with the right hash is returned or kept.

    Raises:
        DataError: when no place has the file, or the cache cannot take it.

    >>> fetch("german_credit", "german.data").stat().st_size
    79793
    """
    remote, mirror = registry()[name], os.environ.get(MIRROR)
    wanted, folder = remote.files[file], cache_folder() / name
    if _right(folder / file, wanted):
        return folder / file
    if mirror and "://" not in mirror:
        return _mirrored(remote, wanted, Path(mirror).expanduser())
    places = (f"{mirror.rstrip('/')}/{name}/",) if mirror else remote.places
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=PATIENCE):
            if not _right(folder / file, wanted):  # else another process was faster
                _clear(folder, file)
                _download(remote, wanted, folder, places)
    except Timeout as error:
        raise _error(
            remote,
            f"another process has been fetching it into {folder} for {PATIENCE / 60:.0f} minutes",
            "wait for it or end it, and try again",
        ) from error
    except OSError as error:
        raise _unkept(remote, wanted, folder, error) from error
    return folder / file


def _mirrored(remote: Remote, wanted: RemoteFile, mirror: Path) -> Path:
    path = mirror / remote.name / wanted.name
    if _right(path, wanted):
        return path
    reason = "is another file than the publisher's (its hash differs)"
    raise _error(
        remote,
        f"{path}, where {MIRROR} points, {reason if path.exists() else 'does not exist'}",
        f"put {wanted.name} from {remote.places[0]} there, or unset {MIRROR} to download it",
    )


def _download(remote: Remote, wanted: RemoteFile, folder: Path, places: tuple[str, ...]) -> None:
    """Put the file into the folder from the first place that has it."""
    faults = {}
    for place in places:
        try:
            return _from_place(place, wanted, folder)
        except PlaceError as fault:
            faults[place] = fault
    tried = " and of ".join(f"{place} ({fault})" for place, fault in faults.items())
    remedies = dict.fromkeys(fault.remedy for fault in faults.values())
    raise _error(
        remote,
        f"{wanted.name} ({_size(wanted.size)}) was asked of {tried}",
        f"{', or '.join(remedies)}, or set {MIRROR} to a folder that holds "
        f"{remote.name}/{wanted.name}",
    )


def _from_place(place: str, wanted: RemoteFile, folder: Path) -> None:
    part = folder / f"{wanted.name}.part"
    resumed = part.exists()
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            place + wanted.name,
            wanted.hash,
            fname=wanted.name,
            path=folder,
            downloader=partial(_stream, wanted=wanted, part=part),
        )
    except ValueError as error:  # pooch has removed the file
        if resumed:  # its beginning may be to blame
            return _from_place(place, wanted, folder)
        raise PlaceError("what came is another file, its hash differs", LATER) from error


def _stream(url: str, output: str, _: object, *, wanted: RemoteFile, part: Path) -> None:
    """Download into `part`, going on where an earlier run stopped, then move it to `output`."""
    got = part.stat().st_size if part.exists() else 0
    if got >= wanted.size:
        part.unlink()
        got = 0
    with _asked(url, got) as answer:
        if answer.status_code == 416:  # nothing follows from here: what came before is wrong
            part.unlink()
        if answer.status_code >= 400:
            raise _refusal(answer)
        going_on = answer.status_code == 206
        got = got if going_on else 0
        try:
            pieces = answer.raw.stream(PIECE, decode_content=False)
            head = next(pieces, b"")
            if not got and head.lstrip()[:9].lower().startswith(PAGE):
                raise PlaceError("a web page came in place of the file", SIGN_IN)
            with open(part, "ab" if going_on else "wb") as file, _bar(wanted, got) as bar:
                for piece in chain([head], pieces):
                    file.write(piece)
                    got += len(piece)
                    bar.update(len(piece))
                    if got > 2 * wanted.size:  # endless; the hash will tell
                        break
        except HTTPError as error:
            silent = isinstance(error, ReadTimeoutError)
            raise _broken_off(got, wanted, silent=silent) from error
    if got < wanted.size and not _right(part, wanted):
        raise _broken_off(got, wanted)
    os.replace(part, output)


def _asked(url: str, start: int) -> requests.Response:
    # As the file is kept: compressed on the way it would have other bytes, and no ranges.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        return requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.Timeout as error:
        raise PlaceError("no answer in time", "check the connection, or " + LATER) from error
    except requests.exceptions.SSLError as error:
        raise PlaceError("no safe connection (https) could be made", SIGN_IN) from error
    except requests.RequestException as error:
        cause: BaseException | None = error
        while cause and not isinstance(cause, socket.gaierror):
            cause = cause.__cause__ or cause.__context__
        reason = "the server's name cannot be found" if cause else "no connection to the server"
        raise PlaceError(reason, "check the network connection and try again") from error


def _refusal(answer: requests.Response) -> PlaceError:
    code = answer.status_code
    if code in (401, 403, 407):
        remedy = "try another network, for this one or the server refuses"
    elif code in (404, 410):
        remedy = "look for a newer version of the course, for the file has moved"
    else:
        remedy = LATER
    return PlaceError(f"HTTP {code} {answer.reason}", remedy)


def _broken_off(got: int, wanted: RemoteFile, *, silent: bool = False) -> PlaceError:
    how = "nothing more came" if silent else "the download broke off"
    return PlaceError(
        f"{how} after {got:,} of {wanted.size:,} bytes", "try again (it goes on where it stopped)"
    )


def _unkept(remote: Remote, wanted: RemoteFile, folder: Path, error: OSError) -> DataError:
    """The cache cannot take the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        (folder / f"{wanted.name}.part").unlink(missing_ok=True)  # gives the room back
        free = shutil.disk_usage(folder).free
        what = (
            f"the disk is full: {wanted.name} needs {_size(wanted.size)} in {folder} and "
            f"{_size(free)} are free"
        )
        remedy = f"make room or set {CACHE} to a folder with more"
    else:
        what = f"{wanted.name} cannot be written to the cache {folder} ({error.strerror or error})"
        remedy = f"set {CACHE} to a folder in which you may write"
    return _error(remote, what, remedy)


def _error(remote: Remote, what: str, remedy: str) -> DataError:
    return DataError(
        f"The data set {remote.name!r} is not at hand: {what}; to get it, {remedy}; to go on "
        f"without it, use datasets.load({remote.embedded!r}), which needs no network."
    )


def _clear(folder: Path, file: str) -> None:
    """Remove a spoilt file, and the empty ones that a killed run of pooch leaves behind."""
    (folder / file).unlink(missing_ok=True)
    for stray in folder.glob("tmp*"):
        stray.unlink()


def _right(path: Path, wanted: RemoteFile) -> bool:
    algorithm, _, digest = wanted.hash.partition(":")
    return path.is_file() and pooch.file_hash(str(path), alg=algorithm) == digest


def _bar(wanted: RemoteFile, got: int) -> tqdm:
    return tqdm(
        total=wanted.size,
        initial=got,
        unit="B",
        unit_scale=True,
        desc=wanted.name,
        disable=not interactive(),
        leave=False,
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
