"""The settings of lessons, as a learner changes them; what models take of them is in test_settings.py."""

from types import SimpleNamespace

import pytest

from course_lib.syllabus import course

LESSONS = pytest.mark.parametrize("lesson", course().lessons.values(), ids=lambda each: each.id)


@LESSONS
def test_every_setting_of_a_lesson_can_be_changed_where_it_starts(lesson):
    for name, value in vars(lesson.settings("cpu")).items():
        if isinstance(value, SimpleNamespace):
            inner = next(iter(vars(value)))
            table = getattr(lesson.settings("cpu", **{name: {inner: 7}}), name)
            assert getattr(table, inner) == 7
            assert set(vars(table)) == set(vars(value))  # what is not named stays
        else:
            assert getattr(lesson.settings("cpu", **{name: 7}), name) == 7
