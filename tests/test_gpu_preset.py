"""The gpu preset where there is no GPU: the code of every lesson that has one, at a few steps.

What gains from a GPU runs on the stand-in device of `standins/accelerator.py`, which refuses what a GPU
would refuse.
"""

import few_steps
import pytest
from data_sets import at_hand
from lesson_runs import execute, read

from course_lib.syllabus import course


def lessons():
    """Every lesson with a gpu preset; those that fetch MNIST need it at hand."""
    for name, lesson in course().lessons.items():
        if changes := lesson.presets.get("gpu"):
            marks = at_hand("mnist", "10k") if changes.get("larger") == "mnist" else ()
            yield pytest.param(name, id=name, marks=marks)


@pytest.mark.parametrize("short_lesson", list(lessons()))
def test_a_lesson_s_gpu_preset_runs(short_lesson, tmp_path):
    kernel = few_steps.environment(tmp_path / "ipython")
    book = execute(read(short_lesson), tmp_path, COURSE_PRESET="gpu", **kernel)
    text = "\n".join(o.text for c in book.cells for o in c.get("outputs", ()) if "text" in o)
    lesson = course().lessons[short_lesson]
    device = "standin" if getattr(lesson.settings("gpu"), "accelerate", False) else "cpu"
    assert f"device {device}" in text and "preset gpu" in text
