"""What has been solved, kept in a small JSON file next to the notebooks."""

import json
import os
from pathlib import Path

import pandas as pd

from course_lib import colab
from course_lib.exercises.aliases import current
from course_lib.exercises.registry import all_exercises
from course_lib.files import state_folder, write_whole

FILE = "progress.json"


def progress() -> pd.DataFrame:
    """A table of all exercises: points, and whether you have solved them.

    On Colab it counts what `save_work` put on Drive, where that is mounted, and a progress.json
    that you have uploaded.
    """
    solved = solved_so_far()
    return (
        pd.DataFrame(
            [
                {
                    "exercise": exercise.id,
                    "title": exercise.title,
                    "points": exercise.points,
                    "solved": "yes" if exercise.id in solved else "not yet",
                }
                for exercise in all_exercises()
            ]
        )
        .set_index("exercise")
        .rename_axis(None)
    )


def record_solved(exercise_id: str) -> None:
    """Remember that the exercise is solved. Raises OSError where nothing can be written."""
    solved = _read(_file())
    if exercise_id in solved:
        return
    _file().parent.mkdir(parents=True, exist_ok=True)
    write_whole(_file(), as_json({*solved, exercise_id}))


def solved_so_far() -> set[str]:
    """The ids of the solved exercises, from wherever a record of them is."""
    files = [_file()]
    if colab.here():
        files.append(Path(FILE))
    if folder := colab.drive():
        files.append(folder / FILE)
    return set().union(*map(_read, files))


def as_json(solved: set[str]) -> str:
    """The record as it stands in its file."""
    return json.dumps({"version": 1, "solved": sorted(solved)}, indent=1)


def _read(file: Path) -> set[str]:
    """The solved exercises in a record. One that cannot be read is put aside, never overwritten."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {current(str(name)) for name in content["solved"]}
    except FileNotFoundError:
        return set()
    except (ValueError, KeyError, TypeError):
        aside = file.with_suffix(".unreadable.json")
        os.replace(file, aside)
        print(f"The record of your progress could not be read; it was put aside as {aside}.")
        return set()


def _file() -> Path:
    return state_folder() / FILE
