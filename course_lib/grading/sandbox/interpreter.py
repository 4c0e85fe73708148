"""The Python that runs answers: this one or another, and where it and its libraries lie.

As a script it runs in the other Python and tells about it, so it imports the standard library only.
"""

import importlib.util
import json
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Interpreter:
    """A Python and its places.

    Attributes:
        executable: what starts it.
        places: folders of Python itself and of its libraries.
        paths: what has to be added to its import path: this package, and libraries that come from
            elsewhere than its own.
    """

    executable: str
    places: tuple[Path, ...]
    paths: tuple[Path, ...]


class InterpreterError(Exception):
    """This Python cannot run answers; the text says why and what to do."""


@cache
def interpreter(python: str = "") -> Interpreter:
    """The Python with this name or path; "" is the running one. Raises InterpreterError."""
    said = _asked(python) if python else _of_this_python()
    paths = [PACKAGE.parent, *map(Path, said["elsewhere"])]
    return Interpreter(said["executable"], (*map(Path, said["places"]), *paths[1:]), tuple(paths))


def _asked(python: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [python, "-I", __file__], capture_output=True, text=True, check=False, timeout=120
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InterpreterError(f"--python: {python} cannot be started ({error}).") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise InterpreterError(
            f"--python: {python} cannot run answers ({said}). It needs the course's libraries: "
            f"{python} -m pip install {PACKAGE.parent}"
        )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _of_this_python() -> dict[str, Any]:
    own = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    found = []
    for name in ("torch", "numpy", "IPython"):
        place = str(Path(getattr(importlib.util.find_spec(name), "origin", "")).parents[1])
        if place not in own and place not in found:
            found.append(place)
    return {
        "executable": sys.executable,
        "places": [sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib")],
        "elsewhere": found,
    }


if __name__ == "__main__":
    sys.path.insert(0, str(PACKAGE.parent))
    import course_lib.exercises.loading  # noqa: F401  (fails where a library is missing or too old)

    print(json.dumps(_of_this_python()))
