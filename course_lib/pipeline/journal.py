"""A file that only grows: one JSON object a line, each naming the line before by its hash."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

Entry = dict[str, Any]


class PipelineError(ValueError):
    """What a person has to mend: in pipeline.toml, in the files it names, or in the pipeline's folder."""


class Journal:
    """An append-only file, safe against several writers and against a kill at any moment.

    A line that a kill cut short was never promised to anybody, so it is removed. A line that somebody
    changed or took out later no longer fits to its neighbours, and reading says so.

    Args:
        path: the file, in a folder that exists; it need not exist itself.
    """

    def __init__(self, path: Path):
        self.path = path

    def entries(self) -> list[Entry]:
        """All entries. Raises PipelineError where a line was changed, added or removed by hand."""
        entries, before = [], ""
        for number, line in enumerate(self._lines(), 1):
            try:
                entry = json.loads(line)
                fits = entry.pop("after") == before
            except (ValueError, KeyError, AttributeError, TypeError):
                fits = False
            if not fits:
                raise PipelineError(
                    f"{self.path}: line {number} does not follow the line before it. The file was "
                    "changed by hand; put back a copy of it from before that."
                )
            entries.append(entry)
            before = _digest(line)
        return entries

    def append(self, decide: Callable[[Sequence[Entry]], Entry | None]) -> Entry | None:
        """Append what `decide(entries)` returns, or nothing if that is None. Nobody else writes meanwhile.

        When it returns, the line is on the disk.
        """
        with FileLock(f"{self.path}.lock"):
            entry = decide(self.entries())
            if entry is None:
                return None
            lines = self._lines()
            line = json.dumps(
                {**entry, "after": _digest(lines[-1]) if lines else ""}, sort_keys=True
            )
            with open(self.path, "ab") as file:
                file.truncate(sum(len(whole.encode()) + 1 for whole in lines))
                file.seek(0, os.SEEK_END)
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            return entry

    def _lines(self) -> list[str]:
        """The whole lines; what stands behind the last line break was cut short."""
        if not self.path.exists():
            return []
        return self.path.read_bytes().decode("utf-8", "replace").split("\n")[:-1]


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
