"""The course's site: a small one is built from a copy of lesson 00 whose outputs are made here."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
import nbformat
import pytest
from nbformat.v4 import new_output
from packaging.utils import canonicalize_name
from site_checks import (
    PHONE,
    WIDE,
    faults_of_files,
    listen,
    own_pages,
    serious_faults,
    still_sliders,
)
from test_packaging import CONSTRAINTS
from test_structure import ROOMS as HOUSE

import course_lib.exercises.checking
import course_lib.pipeline
import course_lib.twin
from course_lib import plots
from course_lib.audit.explain import KINDS, metrics
from course_lib.explore import frames
from course_lib.syllabus import course

ROOT = Path(__file__).parents[1]
BUILDER = ROOT / "docs" / "site"
LESSON = "00_start"
PAGES = ("index", f"notebooks/{LESSON}", "path", "glossary", "measures", "docs/audit", "data/adult")
sys.path.insert(0, str(BUILDER))

import pages  # noqa: E402
import records  # noqa: E402
from words import linker, links_kept  # noqa: E402

build = import_module("build")  # by name: ruff would sort it by whether a folder build/ is there

WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "VBox()"}


# --- what needs no build -------------------------------------------------------------------------


def test_words_are_linked_where_they_come_first_and_not_in_code_or_formulas():
    link = linker({"vae": "VAE", "kl": "KL divergence"})
    text = "# A VAE\n\n`VAE` and $KL$: the VAE, [KL](x.md), and the KL of a VAE."
    linked = text.replace("the VAE", "the {term}`VAE <VAE>`")
    assert link(text) == linked.replace("the KL", "the {term}`KL <KL divergence>`")
    assert link("A VAE again.") == "A VAE again."


def test_links_to_files_that_are_no_pages_lead_to_the_repository_or_nowhere():
    text = "[a](../data/adult.md#use), [b](../LICENSE), [c](https://x.org), ![d](e.png), [f](../README.md)"
    kept = links_kept(text, "docs/audit.md", {"data/adult.md"}, "", "main")
    assert kept == "[a](../data/adult.md#use), b, [c](https://x.org), ![d](e.png), [f](/index.md)"
    kept = links_kept(text, "docs/audit.md", {"data/adult.md"}, "me/it", "main")
    assert "[b](https://github.com/me/it/blob/main/LICENSE)" in kept


def test_the_path_knows_what_each_lesson_needs():
    lessons = {lesson.number: lesson for lesson in course().lessons.values()}
    assert pages.needed(lessons[0], lessons) == []
    assert pages.needed(lessons[1], lessons) == [0]
    assert pages.needed(lessons[9], lessons) == [1, 2, 3]
    assert pages.needed(lessons[16], lessons) == [5, 9]
    for number, lesson in lessons.items():
        assert all(needed < number for needed in pages.needed(lesson, lessons))
        named = re.search(r"[Ll]esson", lesson.prerequisites)
        assert bool(named) == bool(pages.needed(lesson, lessons))


def test_every_term_is_spelt_once_and_names_lessons_that_there_are():
    terms = pages.glossary()
    spelt = [s.lower() for term, entry in terms.items() for s in (term, *entry.get("also", ()))]
    assert len(spelt) == len(set(spelt))
    for entry in terms.values():
        assert entry["lessons"] and set(entry["lessons"]) <= course().lessons.keys()
        assert entry["means"].endswith(".")
    assert {"mode collapse", "model collapse"} <= terms.keys()


README = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", sorted(records.RESULTS.glob("*.json")), ids=lambda file: file.stem)
def test_each_record_has_a_command_and_a_table(file):
    assert records.behind(file.stem, records.commands(README))
    page = records.record_page(file, README)
    assert '<table class="record"' in page
    assert f"benchmarks/results/{file.name}" in page and "an unknown day" not in page


def test_a_measure_is_drawn_with_a_dot_for_each_run():
    runs = {
        "one": [{"seed": 0, "recall": 0.5}, {"seed": 1, "recall": 0.7}],
        "two": [{"recall": 0.9}],
    }
    (drawn,) = [
        records.measure_html(name, groups, {"recall": [">=", 0.8]})
        for name, groups in records.by_measure(runs).items()
    ]
    assert drawn.count("<circle") == 3 and drawn.count('class="bar"') == 2
    assert "The lowest median is 0.6, of “one”, and the highest 0.9, of “two”." in drawn
    assert "Asked for: at least 0.8; 1 of 2 medians reach it." in drawn
    assert "0.6 <small>(0.5 to 0.7)</small>" in drawn


@pytest.mark.parametrize(
    ("values", "at"),
    [([0.0, 1.0], [3, 97]), ([1.0, 10.0, 100.0], [3, 50, 97]), ([2.0, 2.0], [50, 50])],
)
def test_a_scale_fills_the_row_and_is_logarithmic_over_many_sizes(values, at):
    scale = records.Scale(values)
    assert [round(scale.place(value)) for value in values] == at


# Rooms whose reference nobody needs who is not at work on the course itself.
INNER = {
    *("files", "syllabus", "colab", "devices", "kernel", "exercises", "grading", "sync", "new"),
    *("lab", "cli"),
}


def test_each_room_has_its_reference_and_each_guide_its_page():
    assert set(pages.ROOMS) == set(HOUSE) - INNER
    guides = {file.stem for file in (ROOT / "docs").glob("*.md")} - {"package"}  # for the index
    assert set(build.GUIDES) == guides
    below = pages.more_page(True) + pages.start_page([], Path(), True)
    assert all(f"docs/{name}" in below for name in guides)


@pytest.mark.parametrize("lesson", course().lessons)
def test_a_lesson_uses_each_term_that_it_explains(lesson):
    book = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown").lower()
    for term, entry in pages.glossary().items():
        if lesson in entry["lessons"]:
            spelt = (word.lower() for word in (term, *entry.get("also", ())))
            assert any(re.search(rf"\b{re.escape(word)}\b", text) for word in spelt), term


# --- a small site --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site_python():
    """The Python that builds the site, in the environment that `course.py` makes for it."""
    done = subprocess.run(
        [sys.executable, ROOT / "course.py", "site", "--tools"], capture_output=True, text=True
    )
    if done.returncode and "package index cannot be reached" in done.stderr:
        pytest.skip("What builds the site is not installed, and the package index is out of reach.")
    assert done.returncode == 0, done.stdout + done.stderr
    (python,) = [
        *(ROOT / ".venv-site").glob("bin/python"),
        *(ROOT / ".venv-site").glob("Scripts/python.exe"),
    ]
    return python


def shown_by(module, monkeypatch, call):
    """What a call displays, as an output of a notebook."""
    kept = []
    monkeypatch.setattr(module, "display", lambda data, raw: kept.append(data))
    call()
    (data,) = kept
    return new_output("display_data", data=data)


def panel_figure(size, kind):
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.plot([0, size], label=kind)
    return fig, f"A line of kind {kind} up to {size}."


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """A folder with a copy of lesson 00, as if executed: a picture, a check, a panel, a quiz."""
    book = nbformat.read(ROOT / "notebooks" / f"{LESSON}.ipynb", as_version=4)
    (exercise,) = course().lessons[LESSON].exercises

    def stub(*_):
        raise NotImplementedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_STATE", str(tmp_path_factory.mktemp("state")))
        checked = shown_by(
            course_lib.exercises.checking,
            patch,
            lambda: course_lib.exercises.checking.check(exercise, stub),
        )
        controls = {
            "size": ipywidgets.IntSlider(value=2, min=1, max=4),
            "kind": ipywidgets.Dropdown(options=["first", "second"]),
        }
        labels = {"size": "how large", "kind": "kind"}
        panel = shown_by(frames, patch, lambda: frames.show_frames(panel_figure, labels, controls))
    for cell in book.cells:
        if cell.cell_type == "code":
            if "explore(" in cell.source:
                cell.outputs = [new_output("display_data", data=WIDGET), panel]
            elif f'check("{exercise}"' in cell.source:
                cell.outputs = [checked]
            elif cell.id == "imports" or "quiz(" in cell.source:
                cell.outputs = [new_output("display_data", data=WIDGET)]
            elif "plots." in cell.source:
                cell.outputs = [
                    new_output("display_data", data=plots.bundle(plt.figure(), "A figure."))
                ]
    folder = tmp_path_factory.mktemp("copies")
    nbformat.write(book, folder / f"{LESSON}.ipynb")
    return folder


@pytest.fixture(scope="module")
def site(site_python, copies, tmp_path_factory):
    """The folder of the pages, and what the builder said."""
    out = tmp_path_factory.mktemp("site")
    command = [site_python, BUILDER / "build.py", "--no-api", f"--copies={copies}", f"--out={out}"]
    done = subprocess.run([*command, "--lessons", LESSON], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / "html", done.stderr


@pytest.mark.slow
def test_every_link_resolves_and_nothing_is_loaded_from_elsewhere(site):
    html, said = site
    assert "WARNING" not in said and "ERROR" not in said, said
    assert {html / f"{name}.html" for name in PAGES} <= set(own_pages(html))
    assert list(faults_of_files(html)) == []


@pytest.mark.slow
def test_a_fault_of_a_page_s_files_is_found(site, tmp_path):
    html, _ = site
    copied = tmp_path / "html"
    shutil.copytree(html, copied)
    (copied / "path.html").write_text(
        '<a href="nowhere.html">a</a><a href="index.html#nowhere">b</a><img src="https://x.org/c.png">',
        encoding="utf-8",
    )
    (copied / "_static" / "panels" / f"{LESSON}-1" / "7.webp").unlink()
    assert list(faults_of_files(copied)) == [
        f"notebooks/{LESSON}.html: {LESSON}-1 has no picture 7",
        "path.html: nowhere.html is not there",
        "path.html: index.html#nowhere leads to no place on its page",
        "path.html: https://x.org/c.png is loaded from elsewhere",
    ]


@pytest.mark.slow
def test_a_panel_has_a_picture_for_each_position_of_its_controls(site):
    html, _ = site
    text = (html / "notebooks" / f"{LESSON}.html").read_text(encoding="utf-8")
    (inside,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    panel = json.loads(inside)
    assert panel["texts"] == [["1", "2", "3", "4"], ["first", "second"]]
    assert panel["alts"][3] == "A line of kind second up to 2."
    pictures = html / "_static" / "panels" / f"{LESSON}-1"
    assert {file.name for file in pictures.iterdir()} == {f"{n}.webp" for n in range(8)}
    assert f'src="../_static/panels/{LESSON}-1/2.webp"' in text
    assert 'alt="A line of kind first up to 2."' in text


@pytest.mark.slow
def test_a_hint_lies_behind_a_fold_and_the_solution_behind_another(site):
    html, _ = site
    text = (html / "notebooks" / f"{LESSON}.html").read_text(encoding="utf-8")
    hint, solution = text.index("Hint 1 of"), text.index("The solution, from the library")
    between = text[hint:solution]
    assert between.count("<details") - between.count("</details>") >= 1
    assert "NotImplementedError" in text[:hint]  # the stub
    assert 'class="quiz"' in text and "application/vnd.jupyter" not in text
    assert "google.colab" not in text and "save_work" not in text


@pytest.mark.slow
def test_each_measure_of_the_audit_has_its_formula_and_its_null(site):
    text = (site[0] / "measures.html").read_text(encoding="utf-8")
    sections = re.split(r"<h3>", text)[1:]
    assert len(sections) == len(metrics())
    for section, (metric, about) in zip(sections, in_order(metrics()), strict=True):
        assert f">{metric}<" in section
        for head in ("Formula.", "Null distribution.", "What fools it.", "Source."):
            assert f"<strong>{head}</strong>" in section, (metric, head)
        assert section.count('<math display="block">') == about["formula"].count("$$") / 2
    assert "<munder><mo>∑</mo>" in text and "<munder><mo>max</mo>" in text


def in_order(told):
    return [each for kind in KINDS for each in told.items() if each[1]["kind"] == kind]


@pytest.mark.slow
def test_what_builds_the_site_is_pinned(site_python):
    folder = next((ROOT / ".venv-site").glob("[lL]ib*/**/site-packages"))
    here = {canonicalize_name(d.name): d.version for d in distributions(path=[str(folder)])}
    for name in here.keys() - {"pip", "setuptools"}:
        assert CONSTRAINTS.get(name) == here[name], name


LISTED = """
import sys
sys.path.insert(0, sys.argv[1])
from docstrings import list_modules
from docutils.core import publish_doctree
lines = sys.stdin.read().split(chr(10))
list_modules(None, "module", "twin", None, None, lines)
print(publish_doctree(chr(10).join(lines)).pformat())
"""


@pytest.mark.slow
def test_a_room_s_list_of_modules_stays_a_list(site_python):
    for room in (course_lib.twin, course_lib.pipeline):  # one of them indents its list
        done = subprocess.run(
            [site_python, "-c", LISTED, BUILDER],
            input=inspect.cleandoc(room.__doc__),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        modules = pages.modules(room.__name__.removeprefix("course_lib."))
        listed = re.findall(r"<term>\s+(\w+)", done.stdout)
        assert {f"{room.__name__}.{name}" for name in listed} <= set(modules)
        assert len(listed) == len(modules) - 1


FORMULAS = """
import re, sys
sys.path.insert(0, sys.argv[1])
from mathml import mathml
import nbformat
for file in sys.argv[2:]:
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"(?s)```.*?```|`[^`]*`", "", cell.source)
            found = r"(?s)\\$\\$(.+?)\\$\\$|\\$(?! )([^$]+?)(?<! )\\$(?![0-9])"
            for block, inline in re.findall(found, text):
                mathml(block or inline, "block" if block else "inline")
                print("formula")
"""


@pytest.mark.slow
def test_every_formula_of_the_lessons_can_be_shown(site_python):
    books = sorted((ROOT / "notebooks").glob("*.ipynb"))
    done = subprocess.run(
        [site_python, "-c", FORMULAS, BUILDER, *books], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("formula") > 300


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture
def opened(browser, site):
    """Opens pages from their folder, and fails if one complains or asks for anything beyond it."""
    problems = []

    def open_(name, **context):
        page = browser.new_context(**context).new_page()
        listen(page, problems)
        page.goto((site[0] / f"{name}.html").as_uri())
        return page

    yield open_
    for context in browser.contexts:
        context.close()
    assert problems == []


def test_a_slider_moves_by_keyboard_and_is_told(opened):
    page = opened(f"notebooks/{LESSON}")
    slider, picture = page.get_by_role("slider"), page.locator(".panel img")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert picture.get_attribute("alt") == "A line of kind first up to 3."
    assert picture.get_attribute("src").endswith("/4.webp")
    assert (
        slider.get_attribute("aria-valuetext") == "3" == page.locator(".panel output").inner_text()
    )
    assert page.locator(".panel-said").text_content() == "A line of kind first up to 3."
    page.get_by_label("kind", exact=True).select_option("second")
    assert picture.get_attribute("alt") == "A line of kind second up to 3."
    assert picture.evaluate("i => i.decode().then(() => i.naturalWidth)") > 100


def test_a_picture_of_the_start_page_moves_by_keyboard_too(opened):
    page = opened("index")
    slider, picture = page.get_by_role("slider"), page.locator(".cards .panel img")
    assert picture.get_attribute("src").endswith(f"/{LESSON}-1/2.webp")
    slider.focus()
    page.keyboard.press("End")
    assert picture.get_attribute("alt") == "A line of kind first up to 4."
    assert picture.get_attribute("src").endswith(f"/{LESSON}-1/6.webp")
    assert picture.evaluate("i => i.decode().then(() => i.naturalWidth)") > 100


def test_a_dark_page_is_printed_in_light_colours(opened):
    page = opened("index", color_scheme="dark")
    for media, theme in (("print", "light"), ("screen", "dark")):
        page.emulate_media(media=media)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
    page.pdf()
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")


def test_the_quiz_answers(opened):
    page = opened(f"notebooks/{LESSON}")
    question = page.locator(".quiz fieldset").first
    question.locator("[data-right=yes]").check()
    assert question.get_by_role("status").inner_text().startswith("Right. ")
    question.locator("[data-right=no]").first.check()
    assert question.get_by_role("status").inner_text().startswith("Not quite. ")
    assert page.locator(".quiz-score").inner_text().startswith("0 of ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_serious_fault_of_accessibility_and_no_wide_page_on_a_phone(opened, name, scheme):
    page = opened(name, viewport=PHONE, color_scheme=scheme)
    assert page.locator("html").get_attribute("data-theme") == scheme
    assert not page.evaluate(WIDE)
    assert serious_faults(page) == []


def test_faults_in_the_browser_are_found(opened):
    page = opened(f"notebooks/{LESSON}")
    assert list(still_sliders(page)) == []
    page.evaluate("document.querySelector('.panel img').removeAttribute('alt')")
    page.evaluate(
        "for (const input of document.querySelectorAll('.panel input')) input.disabled = true"
    )
    assert list(still_sliders(page)) == [f"{LESSON}-1-0 stays still"]
    assert [fault for fault, _ in serious_faults(page)] == ["image-alt"]
