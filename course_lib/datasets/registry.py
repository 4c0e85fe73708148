"""What can be fetched: the data sets of data/registry.toml, their files and their places."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# Beside the package in a checkout, inside it in a wheel.
FOLDERS = (PACKAGE / "data", PACKAGE.parent / "data")


@dataclass(frozen=True)
class RemoteFile:
    """One file: its name, `hash` as "algorithm:hexadecimal" and its size in bytes."""

    name: str
    hash: str
    size: int


@dataclass(frozen=True)
class Remote:
    """A data set that can be fetched.

    Attributes:
        licence: under which the publisher gives it away.
        embedded: the embedded data set to go on with when it cannot be fetched.
        places: addresses that end in "/", to each of which a file's name is appended.
        files: by name.
    """

    name: str
    licence: str
    embedded: str
    places: tuple[str, ...]
    files: Mapping[str, RemoteFile]


@cache
def registry() -> dict[str, Remote]:
    """The data sets that can be fetched, by name, in the file's order.

    >>> registry()["mnist"].files["t10k-labels-idx1-ubyte.gz"].size
    4542
    """
    (file,) = [f / "registry.toml" for f in FOLDERS if (f / "registry.toml").exists()][:1]
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        name: Remote(
            name,
            entry["licence"],
            entry["embedded"],
            tuple(entry["places"]),
            {file: RemoteFile(file, **facts) for file, facts in entry["files"].items()},
        )
        for name, entry in found.items()
    }
