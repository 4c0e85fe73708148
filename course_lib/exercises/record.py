"""What has been solved and tried, kept in a small JSON file next to the notebooks."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Self

from course_lib import colab
from course_lib.exercises.aliases import current
from course_lib.files import state_folder, write_whole

FILE = "progress.json"
TRIES = 20  # of each exercise so many are remembered


@dataclass
class Record:
    """`solved` maps an exercise's id to the day, such as "2026-03-01", or to "" where none was kept;
    `tries` maps it to what its check said of wrong answers, the oldest first; `hints` to how many of its
    hints were given."""

    solved: dict[str, str] = field(default_factory=dict)
    tries: dict[str, list[str]] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Mapping) -> Self:
        """The record in a file's content. Raises KeyError, TypeError, AttributeError or ValueError."""
        days, tries = content.get("days", {}), content.get("tries", {})
        return cls(
            {current(str(name)): str(days.get(name, "")) for name in content["solved"]},
            {current(str(name)): [str(each) for each in said] for name, said in tries.items()},
            {current(str(name)): int(number) for name, number in content.get("hints", {}).items()},
        )

    def as_json(self) -> str:
        """The record as it stands in its file."""
        days = {name: day for name, day in sorted(self.solved.items()) if day}
        content = {"version": 1, "solved": sorted(self.solved), "days": days, "tries": self.tries}
        content["hints"] = self.hints
        return json.dumps(content, indent=1, ensure_ascii=False)


def record_solved(exercise_id: str) -> None:
    """Remember that the exercise is solved. Raises OSError where nothing can be written."""
    record = _read(_file())
    if exercise_id not in record.solved:
        record.solved[exercise_id] = date.today().isoformat()
        _write(record)


def record_try(exercise_id: str, said: str) -> None:
    """Remember what the check said of a wrong answer. Raises OSError where nothing can be written."""
    record = _read(_file())
    record.tries[exercise_id] = [*record.tries.get(exercise_id, []), said][-TRIES:]
    _write(record)


def record_hints(exercise_id: str, number: int) -> None:
    """Remember how many hints were given. Raises OSError where nothing can be written."""
    record = _read(_file())
    record.hints[exercise_id] = number
    _write(record)


def whole_record() -> Record:
    """The record, from wherever a part of it is: a Colab machine has several."""
    files = [_file()]
    if colab.here():
        files.append(Path(FILE))
    if folder := colab.drive():
        files.append(folder / FILE)
    whole = Record()
    for part in map(_read, reversed(files)):  # what is nearest counts
        whole.solved |= {n: day or whole.solved.get(n, "") for n, day in part.solved.items()}
        whole.tries |= part.tries
        whole.hints |= part.hints
    return whole


def _read(file: Path) -> Record:
    """The record in a file. One that cannot be read is put aside, never overwritten."""
    try:
        return Record.of(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Record()
    except (ValueError, KeyError, TypeError, AttributeError):
        aside = file.with_suffix(".unreadable.json")
        os.replace(file, aside)
        print(f"The record of your progress could not be read; it was put aside as {aside}.")
        return Record()


def _write(record: Record) -> None:
    _file().parent.mkdir(parents=True, exist_ok=True)
    write_whole(_file(), record.as_json())


def _file() -> Path:
    return state_folder() / FILE
