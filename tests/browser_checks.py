"""What a learner must be able to see and do in a lesson that has run in JupyterLab."""

import re
import time

from playwright.sync_api import expect

LOOKS = "picture => picture.src + picture.alt"


def the_installer_is_folded(lesson):
    """The first code cell, for Colab, shows its first line only, and a click opens it."""
    cell = lesson.notebook.locator(".jp-CodeCell").first
    line = cell.locator(".jp-InputPlaceholder")
    assert line.inner_text().startswith("# @title Only for Google Colab")
    assert not cell.locator(".jp-InputArea-editor").is_visible()
    line.locator(".jp-Placeholder-content").click()
    cell.locator(".jp-InputArea-editor").wait_for(state="visible")


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
    contrasts = lesson.contrasts(".jp-RenderedHTMLCommon div > details > summary")
    assert contrasts and min(contrasts) >= 4.5


def sliders_move_the_pictures(lesson):
    """One press of an arrow key redraws a panel's picture and says the new value.

    After a few steps of training there may be nothing to draw at either value: then its description tells.
    """
    panels = lesson.notebook.locator(".widget-vbox:has(> .widget-slider)")
    assert panels.count() > 0
    for panel in panels.all():
        for slider in panel.locator(".widget-slider").all():
            track = slider.locator(".slider-container").bounding_box()
            assert track["width"] > 100, "the slider's track is squeezed by its label"
            readout, picture = panel.get_by_role("status"), panel.locator("img")
            said, drawn = readout.inner_text(), picture.evaluate(LOOKS)
            slider.locator(".noUi-handle").press("ArrowRight")
            expect(readout).not_to_have_text(said)
            limit = time.monotonic() + 5
            while picture.evaluate(LOOKS) == drawn:
                assert time.monotonic() < limit, f"the picture stays as it is: {said}"
                lesson.page.wait_for_timeout(100)


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
    lesson.notebook.evaluate("e => e.querySelectorAll('details').forEach(d => { d.open = true })")
    lesson.unroll()
    names = lesson.notebook.evaluate(
        "e => [...e.querySelectorAll('.jp-OutputArea img')].map(i => (i.alt || '').trim())"
    )
    assert names and all(names), "a figure has no description"
    missing = set(names) - lesson.accessible_images()
    assert not missing, f"the browser does not pass on descriptions: {missing}"


def pictures_fit_the_theme(lesson):
    """On a dark page a picture is dark: the browser turns its white round."""
    dark = lesson.page.locator("body").get_attribute("data-jp-theme-light") == "false"
    filters = lesson.notebook.locator("img.course-picture").evaluate_all(
        "pictures => pictures.map(picture => getComputedStyle(picture).filter)"
    )
    assert filters
    assert all(("invert" in each) == dark for each in filters)


CHECKS = (
    the_installer_is_folded,
    no_bar_is_left,
    hints_open,
    checks_can_be_read,
    sliders_move_the_pictures,
    the_quiz_answers,
    every_picture_has_a_name,
    pictures_fit_the_theme,
)


def check_all(lesson):
    """All of the above, and that nothing has failed on the way."""
    lesson.unroll()
    assert lesson.complaints == []
    for check in CHECKS:
        check(lesson)
    assert lesson.complaints == [], "a widget's callback failed"
    assert lesson.problems == [], "errors in the browser's console"
