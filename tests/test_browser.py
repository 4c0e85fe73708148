"""The lessons in JupyterLab, in a real browser, as a learner meets them."""

import re

import pytest
from jupyter_browser import FLAGS, MINUTE, Lesson, running_lab
from playwright.sync_api import sync_playwright

from course_lib.syllabus import course


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def lab(browser, tmp_path):
    with running_lab(tmp_path) as lab:
        yield lab


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "theme"), [("00_start", "Dark"), *((name, "Light") for name in course().lessons)]
)
def test_a_lesson_in_the_browser(browser, lab, name, theme):
    lab.setting("apputils-extension/themes", theme=f"JupyterLab {theme}")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(MINUTE)
    lesson = Lesson(page, lab, name)
    try:
        lesson.run_all(minutes=10)
        lesson.unroll()
        assert lesson.complaints == []
        no_bar_is_left(lesson)
        hints_open(lesson)
        checks_can_be_read(lesson)
        sliders_move_the_pictures(lesson)
        the_quiz_answers(lesson)
        every_picture_has_a_name(lesson)
        assert lesson.complaints == [], "a widget's callback failed"
        assert lesson.problems == [], "errors in the browser's console"
    finally:
        lesson.screenshot(f"{name}-{theme.lower()}")
        page.close()


def no_bar_is_left(lesson):
    """A progress bar goes when its training is done."""
    assert lesson.notebook.locator(".widget-hprogress:visible").count() == 0


def hints_open(lesson):
    """The hints under a check open with a click, the second inside the first."""
    hint = lesson.notebook.locator("details", has_text="Hint 1 of").last
    inside = hint.locator(":scope > div")
    assert not inside.is_visible()
    hint.locator(":scope > summary").click()
    inside.wait_for(state="visible")
    assert len(inside.locator("p").first.inner_text()) > 20
    assert inside.locator("summary").first.is_visible()


def checks_can_be_read(lesson):
    """The boxes under exercises keep the contrast that WCAG asks for, in this theme."""
    boxes = lesson.notebook.locator(".jp-RenderedHTMLCommon div:has(> details)")
    assert boxes.count() > 0
    for box in boxes.all():
        assert lesson.contrast(box.locator("summary").first) >= 4.5


def sliders_move_the_pictures(lesson):
    """One press of an arrow key redraws a panel's picture and says the new value."""
    from playwright.sync_api import expect

    panels = lesson.notebook.locator(".widget-vbox:has(> .widget-slider)")
    assert panels.count() > 0
    for panel in panels.all():
        for slider in panel.locator(".widget-slider").all():
            track = slider.locator(".slider-container").bounding_box()
            assert track["width"] > 100, "the slider's track is squeezed by its label"
            readout, picture = panel.get_by_role("status"), panel.locator("img")
            said, drawn = readout.inner_text(), picture.get_attribute("src")
            slider.locator(".noUi-handle").press("ArrowRight")
            expect(readout).not_to_have_text(said)
            expect(picture).not_to_have_attribute("src", drawn)


def the_quiz_answers(lesson):
    """An answer gets feedback and counts."""
    question = lesson.notebook.locator(".widget-vbox:has(> .widget-radio)").first
    question.get_by_role("radio").first.check()
    feedback = question.get_by_role("status")
    feedback.wait_for()
    assert re.match(r"(Right|Not quite)\. \w+", feedback.inner_text())
    assert lesson.notebook.get_by_text(re.compile(r"^[01] of \d+ answered right\.$")).is_visible()


def every_picture_has_a_name(lesson):
    """Each figure carries a description, and it reaches the accessibility tree."""
    pictures = lesson.notebook.locator(".jp-OutputArea img")
    lesson.notebook.evaluate("e => e.querySelectorAll('details').forEach(d => { d.open = true })")
    lesson.unroll()
    named = lesson.accessible_images()
    assert pictures.count() > 0
    for picture in pictures.all():
        name = (picture.get_attribute("alt") or "").strip()
        assert name, "a figure has no description"
        assert name in named, "the browser does not pass on a figure's description"
