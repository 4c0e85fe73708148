"""What a worker does: keep one warm sandbox, and grade one submission after another in it.

A worker is a process of its own, of a local pool or of a Dask cluster. Its sandbox is a subprocess,
started by exec, and so inherits nothing of Dask's threads.
"""

import atexit
import threading
from collections.abc import Mapping

from course_lib.grading.grade import grade
from course_lib.grading.marking import Marking
from course_lib.grading.sandbox import Sandbox, make, try_walls

_lock = threading.Lock()
_ready: dict[tuple, tuple[Marking, Sandbox]] = {}


def grade_one(marking: Marking, engine: str, about: Mapping[str, object], content: bytes) -> dict:
    """The result of one submission. Raises SandboxError where no sandbox can be had."""
    with _lock:  # one at a time: a job has the warm process, and the judge the random generators
        marking, sandbox = warm(marking, engine)
        return grade(content, about, marking, sandbox)


def warm(marking: Marking, engine: str) -> tuple[Marking, Sandbox]:
    """This process's sandbox, started and tried. Raises SandboxError where it cannot be had."""
    key = (marking.version, marking.seed_hash, engine)
    if key not in _ready:
        close()
        sandbox = make(engine, marking)
        if engine != "none":
            try_walls(sandbox)
        _ready[key] = marking, sandbox
    return _ready[key]


@atexit.register
def close() -> None:
    """End this worker's sandbox."""
    for _, sandbox in _ready.values():
        sandbox.close()
    _ready.clear()
