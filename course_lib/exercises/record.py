"""What has been solved, kept in a small JSON file beside the notebooks."""

import json
import os
from pathlib import Path

import pandas as pd

from course_lib.exercises.registry import all_exercises
from course_lib.files import write_whole
from course_lib.session import state_folder


def progress() -> pd.DataFrame:
    """A table of all exercises: points, and whether you have solved them."""
    solved = _read()
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
    solved = _read()
    if exercise_id in solved:
        return
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"version": 1, "solved": sorted({*solved, exercise_id})}
    write_whole(file, json.dumps(content, indent=1))


def _read() -> set[str]:
    """The solved exercises. A file that cannot be read is put aside, never overwritten."""
    file = _file()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {str(name) for name in content["solved"]}
    except FileNotFoundError:
        return set()
    except (ValueError, KeyError, TypeError):
        aside = file.with_suffix(".unreadable.json")
        os.replace(file, aside)
        print(f"The record of your progress could not be read; it was put aside as {aside}.")
        return set()


def _file() -> Path:
    return state_folder() / "progress.json"
