"""A lesson in JupyterLab as learners get it, in the dark; test_notebooks.py has the solved ones."""

import pytest
from browser_checks import check_all
from jupyter_browser import browsing


def is_a_learner_s(lesson):
    """The table of contents is open; nothing of an instructor's, no Launcher and no question is there."""
    page = lesson.page
    page.locator(".jp-TableOfContents", has_text="Two words that must not be mixed").wait_for()
    assert page.locator(".jp-NotebookPanel").count() == 1
    assert page.locator(".jp-Launcher").count() == 0
    assert page.locator(".jp-toast-buttonBar, .jp-Dialog").count() == 0
    toolbar = page.locator(".jp-NotebookPanel-toolbar").inner_text()
    assert "Notebook" in toolbar and "Validate" not in toolbar
    for menu in ("nbgrader", "Formgrader", "Jupytext"):
        assert page.get_by_role("menuitem", name=menu).count() == 0


def a_check_alone_says_what_to_do(lesson):
    """As after a restart: one short message in the place of a traceback."""
    lesson.unroll()
    cell = lesson.notebook.locator(".jp-CodeCell", has_text='check("start.fit_gaussian"').first
    cell.locator(".jp-InputArea-editor").click()
    lesson.page.keyboard.press("Control+Enter")
    error = cell.locator(".jp-OutputArea-output").first
    error.wait_for()
    said = error.inner_text().strip()
    assert said.startswith("'fit_gaussian' is not there yet") and len(said.splitlines()) == 2
    lesson.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.timeout(900)
def test_the_first_lesson_in_the_dark(chromium, tmp_path):
    with browsing(
        chromium, "00_start", tmp_path, theme="Dark", alone=False, windowed=True
    ) as lesson:
        is_a_learner_s(lesson)
        a_check_alone_says_what_to_do(lesson)
        lesson.run_all(minutes=10)
        check_all(lesson)
