"""A lesson in JupyterLab as learners get it, in the dark; test_notebooks.py has the solved ones."""

import pytest
from browser_checks import check_all
from jupyter_browser import browsing


@pytest.mark.timeout(900)
def test_the_first_lesson_in_the_dark(chromium, tmp_path):
    with browsing(chromium, "00_start", tmp_path, theme="Dark") as lesson:
        lesson.run_all(minutes=10)
        check_all(lesson)
