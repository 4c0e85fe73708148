"""The shape of the house: what imports what, and that every page and notebook is in order."""

import ast
import json
import re
import statistics
import subprocess
import sys
import tomllib
import warnings
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules
from urllib.parse import parse_qs, urlsplit

import nbformat
import pandas as pd
import pytest
from data_sets import EACH_DATASET
from IPython.core.inputtransformer2 import TransformerManager
from matplotlib.axes import Axes
from pandas.io.formats.style import Styler
from torch import nn

import course_lib.exercises
from course_lib import datasets, sync
from course_lib.colab import FIRST_CELL_METADATA
from course_lib.datasets.loading import EMBEDDED
from course_lib.datasets.registry import registry
from course_lib.exercises import get
from course_lib.exercises.registry import declared
from course_lib.explore.quiz import FOLDER as QUIZZES
from course_lib.new import MARK, placeholders
from course_lib.syllabus import course

ROOT = Path(__file__).parents[1]
LESSONS = course().lessons
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EACH_BOOK = pytest.mark.parametrize("file", BOOKS, ids=lambda file: file.stem)
EACH_LESSON = pytest.mark.parametrize("lesson", LESSONS.values(), ids=lambda lesson: lesson.id)


def cells(file, kind):
    book = nbformat.read(file, as_version=4)
    return [cell for cell in book.cells if cell.cell_type == kind]


def test_every_lesson_has_its_notebook_and_every_notebook_its_lesson():
    assert [file.stem for file in BOOKS] == sorted(LESSONS)


# --- imports -----------------------------------------------------------------------------------

# From the ground floor up, as the docstring of course_lib lists them.
ROOMS = [
    name
    for names in re.findall(r"(?m)^    (\S.*?)  ", course_lib.__doc__)
    for name in names.split(", ")
]
DESIGN = ROOT.parent / "shared" / "DESIGN.md"  # the plan; it is not part of the repository
PLANNED = {"privacy", "pipeline", "twin"}
# The plan puts them above exercises; but they hold in finished form what learners write in lessons 17, 18.
MOVED = {"pipeline", "twin"}
ADDED = {
    "kernel",
    "lab",
    "rare_events",
}  # since then: words for who comes back, and a Lab without an instructor's tools; rare events
FORBIDDEN = {("audit", "models"), ("models", "audit")}


def imported(source):
    """The dotted names that a piece of Python imports, lazily or at once."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_way(room, source):
    """The rooms that a module of `room` imports and may not."""
    rooms = {name.split(".")[1] for name in imported(source) if name.startswith("course_lib.")}
    floor = ROOMS.index(room)
    return [
        other
        for other in sorted(rooms & {m.name for m in iter_modules(course_lib.__path__)})
        if ROOMS.index(other) > floor
        or (room, other) in FORBIDDEN
        or (other == "grading" and room not in ("grading", "cli"))
    ]


def test_imports_point_downwards():
    package = ROOT / "course_lib"
    wrong = {}
    for file in package.rglob("*.py"):
        inside = file.relative_to(package)
        if inside.name == "__init__.py" and len(inside.parts) == 1:
            continue  # the door: it fetches `check` from upstairs when asked
        found = wrong_way(inside.parts[0].removesuffix(".py"), file.read_text(encoding="utf-8"))
        if found:
            wrong[str(inside)] = found
    assert wrong == {}


def test_the_rooms_are_those_that_course_lib_lists():
    assert sorted(ROOMS) == sorted(module.name for module in iter_modules(course_lib.__path__))


@pytest.mark.slow
def test_what_only_computes_starts_no_program():
    """So `.ci/run` need not repeat the tests of these rooms where programs are out of reach."""
    script = (ROOT / ".ci" / "run").read_text()
    (rooms,) = re.findall(r"(?m)^computing=\((.+)\)$", script)
    # Seen from the top folder, where pytest starts.
    assert "--ignore-glob=tests/test_$name*.py" in script
    for room in rooms.split():
        files = [
            *(ROOT / "course_lib" / room).rglob("*.py"),
            *(ROOT / "tests").glob(f"test_{room}*.py"),
        ]
        assert len(files) > 2
        for file in files:
            text = file.read_text(encoding="utf-8")
            names = {name.split(".")[0] for name in imported(text)}
            assert not names & {"multiprocessing", "pty", "shutil", "subprocess"}, file
            assert "CDLL" not in text, file


PROGRAMS = re.compile(r"\b(bwrap|bubblewrap|seccomp|chromium|google-chrome|docker|podman|git)\b")


def reached(file, known):
    """The modules of ours that a file imports, directly or not, added to `known`."""
    for name in imported(file.read_text(encoding="utf-8")):
        parts = name.split(".")
        for top in (ROOT, ROOT / "tests", ROOT / "benchmarks"):
            for k in range(1, len(parts) + 1):
                path = top.joinpath(*parts[:k])
                for module in (path.with_suffix(".py"), path / "__init__.py"):
                    if module.is_file() and module not in known:
                        known.add(module)
                        reached(module, known)
    return known


@pytest.mark.slow
def test_what_names_no_program_is_not_repeated_without_them():
    """What `.ci/run` leaves out besides the rooms that only compute."""
    listed = " ".join(re.findall(r"(?m)^without\+?=\((.+)\)$", (ROOT / ".ci" / "run").read_text()))
    assert "mutants" in listed
    assert any(
        PROGRAMS.search(f.read_text()) for f in reached(ROOT / "tests/test_grading.py", set())
    )
    for name in listed.split():
        (file,) = (ROOT / "tests").glob(f"test_{name}*.py")
        # programs.py is what looks for them, for whoever asks.
        for module in reached(file, {file}) - {ROOT / "tests" / "programs.py"}:
            assert not PROGRAMS.search(module.read_text(encoding="utf-8")), (name, module)


@pytest.mark.skipif(not DESIGN.exists(), reason="the plan is not next to this checkout")
def test_the_rooms_are_those_of_the_plan():
    section = DESIGN.read_text(encoding="utf-8").split("## Rooms (course_lib)")[1]
    lines = section.split("```")[1].strip().splitlines()
    planned = [
        re.sub(r"\.py$|/$", "", name) for line in lines for name in line.split("  ")[0].split(", ")
    ]
    rooms = [name for name in ROOMS if name not in ADDED | MOVED]
    wanted = [name for name in planned if name in ROOMS or name not in PLANNED]
    assert [name for name in wanted if name not in MOVED] == rooms
    assert set(planned) >= MOVED


# What every module of a kind calls alike, because others choose among these modules.
PROTOCOL = {
    "check": "one for each family of an audit's findings; and what a learner calls on an answer",
    "fit": "trains the model of its module",
    "main": "is run by a command",
}


def test_no_two_functions_share_a_name():
    places = {}
    for file in (ROOT / "course_lib").rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        if MARK in source and file.parent.name == "exercises":
            continue  # a lesson that is not finished holds the worked example
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(file.relative_to(ROOT / "course_lib")))
    shared = {name: files for name, files in places.items() if len(files) > 1}
    assert {name: files for name, files in shared.items() if name not in PROTOCOL} == {}
    assert set(PROTOCOL) <= set(shared), "an exception that is not needed"


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("models", "from course_lib.plots import show"),
        ("session", "def f():\n    import course_lib.exercises.judge"),
        ("datasets", "from course_lib import training"),
        ("audit", "from course_lib.models import vae"),
        ("models", "from course_lib.audit.fidelity import frechet_distance"),
    ],
)
def test_an_import_the_wrong_way_is_found(room, source):
    assert len(wrong_way(room, source)) == 1


# --- notebooks ---------------------------------------------------------------------------------


@EACH_BOOK
def test_a_notebook_is_valid_and_stripped(file):
    raw = json.loads(file.read_text(encoding="utf-8"))
    nbformat.validate(raw)  # cell ids too: each there, and each another
    assert (raw["nbformat"], raw["nbformat_minor"]) >= (4, 5)
    assert set(raw["metadata"]) <= {"kernelspec", "language_info"}
    for cell in raw["cells"]:
        shown_as = FIRST_CELL_METADATA if cell["id"] == "colab" else {}
        rest = {key: value for key, value in cell["metadata"].items() if key != "tags"}
        assert rest == shown_as
        if cell["cell_type"] == "code":
            kept = "nbval-check-output" in cell["metadata"].get("tags", [])
            # nbval compares outputs only where the cell has a count.
            assert bool(cell["outputs"]) == (cell["execution_count"] is not None) == kept


@EACH_BOOK
def test_a_notebook_s_size(file):
    own = [cell for cell in cells(file, "code") if cell.id not in ("colab", "save")]
    lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in own]
    assert statistics.median(lines) <= 10
    assert max(lines) <= 40
    claims = [cell for cell in own if "claim" in cell.metadata.get("tags", [])]
    # Not the rubrics and the link, which sync writes, nor where a learner writes below a rubric.
    mine = {cell for text in LESSONS[file.stem].written for cell in (text.cell, text.rubric_cell)}
    text = [cell for cell in cells(file, "markdown") if cell.id not in mine | {"next"}]
    count = len(own) - len(claims) + len(text)
    fewest = 0 if file.stem == "00_start" or placeholders(file.stem) else 45
    assert fewest <= count <= 75
    words = sum(len(re.findall(r"\w+", cell.source)) for cell in text)
    ratio = words / sum(lines)
    if not 8 <= ratio <= 12:  # a guide, not a rule
        warnings.warn(f"{file.stem}: {ratio:.1f} words of prose to a line of code", stacklevel=1)


AXES = {"ax", "axes", "fig", "left", "right", "plt"}
COMPOUND = (ast.FunctionDef, ast.ClassDef, ast.For, ast.With, ast.If, ast.While, ast.Try)


def drawing_lines(source):
    """The numbers of the lines of statements that name matplotlib's objects or a chart of `plots`."""
    tree = ast.parse(source)
    own = AXES if any(isinstance(n, ast.Name) and n.id == "plt" for n in ast.walk(tree)) else {"ax"}
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or isinstance(node, COMPOUND):
            continue
        inside = list(ast.walk(node))
        names = {n.id for n in inside if isinstance(n, ast.Name)}
        charts = {
            n.attr
            for n in inside
            if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "plots"
        }
        if names & own or charts - {"Dashboard"}:
            found |= set(range(node.lineno, node.end_lineno + 1))
    return found


@EACH_BOOK
def test_at_most_a_tenth_of_a_lesson_s_code_draws(file):
    """So that the idea is not hidden between lines that set colours and titles."""
    python = TransformerManager().transform_cell
    count = drawn = 0
    for cell in cells(file, "code"):
        source = python(cell.source)
        lines = source.splitlines()
        code = {i for i, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"}
        count, drawn = count + len(code), drawn + len(code & drawing_lines(source))
    assert drawn <= 0.1 * count, f"{drawn} of {count} lines draw"


def test_lines_that_draw_are_found():
    source = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nfor x in y:\n"
    source += "    z = x\n    ax.plot(\n        z\n    )\nplots.curves(y)\nshow = plots.Dashboard()"
    assert drawing_lines(source) == {2, 5, 6, 7, 8}


@EACH_BOOK
def test_what_a_lesson_asserts_stands_apart_and_says_what_it_checks(file):
    """So that it does not stop a learner who tries something else in the cell before."""
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type != "code" or cell.id == "colab":
            continue
        found = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Assert)]
        assert not found or "claim" in cell.metadata.get("tags", []), cell.id
        assert all(statement.msg for statement in found), cell.id


@EACH_LESSON
def test_guesses_are_asked_before_any_result_and_answered_below(lesson):
    """Above the questions nothing runs but the cell for Colab, and nothing answers them."""
    book = nbformat.read(ROOT / "notebooks" / f"{lesson.id}.ipynb", as_version=4).cells
    places = [i for i, cell in enumerate(book) if re.search("^## Predict$", cell.source, re.M)]
    assert len(places) == 1
    above, questions = book[: places[0]], book[places[0]].source.split("## Predict")[1]
    assert all(cell.cell_type == "markdown" or cell.id == "colab" for cell in above)
    assert not any("guess, settled" in cell.source for cell in above)
    assert questions.count("?") >= 2 and "*My guess" in questions
    answers = [cell.source for cell in book[places[0] + 1 :] if cell.cell_type == "markdown"]
    assert any(re.search(r"\bguess", text) for text in answers)


@EACH_LESSON
def test_a_notebook_opens_with_the_title(lesson):
    first = nbformat.read(ROOT / "notebooks" / f"{lesson.id}.ipynb", as_version=4).cells[0]
    title = f"# {lesson.number:02d} {lesson.title}"
    assert first.cell_type == "markdown" and first.source.splitlines()[0] == title


@EACH_LESSON
def test_each_exercise_has_a_stub_and_the_next_cell_checks_it(lesson):
    code = cells(ROOT / "notebooks" / f"{lesson.id}.ipynb", "code")
    found = []
    for stub, check in pairwise(code):
        if "exercise" not in stub.metadata.get("tags", []):
            assert "# exercise:" not in stub.source, "the tag `exercise` is missing"
            continue
        found.append(stub.source.splitlines()[0].removeprefix("# exercise: "))
        name = get(found[-1]).reference.__name__
        (function,) = (n for n in ast.parse(stub.source).body if isinstance(n, ast.FunctionDef))
        assert function.name == name
        assert "raise NotImplementedError(" in ast.unparse(function)
        untyped = [argument.arg for argument in function.args.args if argument.annotation is None]
        assert untyped == [] and function.returns is not None, "a stub says of what type all is"
        assert f'{name} = check("{found[-1]}", {name})' in check.source
    assert tuple(found) == lesson.exercises


# What a statement of its own can only show, and does not show before the end of its cell.
SHOWN_ONLY = {
    name
    for kind in (pd.DataFrame, pd.Series, Styler)
    for name in dir(kind)
    if not name.startswith("to_") or name == "to_frame"
} - {name for kind in (Axes, nn.Module, Path, dict, list, set) for name in dir(kind)}
SHOWN_ONLY -= {"info", "isetitem", "join", "map", "pipe", "sample", "use"}  # others' do something


def unseen(source):
    """Expressions whose value nobody sees: they stand before the end of a cell, or in a block."""
    tree = ast.parse(source)
    last = tree.body[-1] if tree.body else None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Expr) or node is last:
            continue
        value = node.value
        if isinstance(value, ast.Call):
            called = value.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in SHOWN_ONLY or name[:1].isupper():  # a new table; a new object
                yield ast.unparse(node)
        elif not isinstance(value, ast.Constant | ast.Yield | ast.YieldFrom | ast.Await):
            yield ast.unparse(node)


@EACH_BOOK
def test_what_a_cell_works_out_to_show_is_seen(file):
    python = TransformerManager().transform_cell
    found = {cell.id: list(unseen(python(cell.source))) for cell in cells(file, "code")}
    assert {name: code for name, code in found.items() if code} == {}, "show it last"


def test_an_expression_that_shows_nothing_is_found():
    for code in (
        "table.round(2)",
        "table",
        "report.counts",
        "(x.shape, x.min())",
        "pd.DataFrame(looks).T.round(3)",
        "pd.DataFrame(looks)",
        "HTML('<b>x</b>')",
        "table.sort_values('q').head()",
        "table.style.format('{:.1%}')",
        "table[['a', 'b']]",
    ):
        assert list(unseen(code)) == []
        assert len(list(unseen(f"{code}\nassert True"))) == 1, code
        assert len(list(unseen(f"for _ in range(2):\n    {code}"))) == 1, code
    for code in (
        "'A docstring.'",
        "print(x)",
        "found.append(x)",
        "found |= {1}",
        "ax.plot(x)",
        "ax.set(title='x')",
        "report.plot()",
        "judge.eval()",
        "torch.manual_seed(0)",
        "plots.show(fig, alt='x')",
        "table.to_csv('x.csv')",
        "finish(train(x))",
        "plt.style.use('ggplot')",
    ):
        assert list(unseen(f"{code}\nassert True")) == [], code


def card_faults(text):
    """What is wrong with the order of a cell that holds an exercise's card."""
    headings = re.findall(r"(?m)^#{1,6} +(.*?) *$", text)
    faults = ["a heading that says no more than Exercise"] if "Exercise" in headings else []
    if not headings or not headings[-1].startswith("Exercise: "):
        faults.append("the card is not the cell's last section")
    return faults


@EACH_LESSON
def test_a_card_comes_after_the_text_that_leads_to_it(lesson):
    found = {
        cell.id: card_faults(cell.source)
        for cell in cells(ROOT / "notebooks" / f"{lesson.id}.ipynb", "markdown")
        if cell.id.startswith("card-")
    }
    assert len(found) == len(lesson.exercises)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_a_new_card_goes_below_the_text_and_an_old_one_stays():
    exercise = get("vae.kl_divergence")
    text = "What was found.\n\n## New\n\nTheory."
    first = sync.with_card(text, exercise)
    assert first.startswith(text) and card_faults(first) == []
    assert sync.with_card(f"{first}\n\nMore.", exercise) == f"{first}\n\nMore."
    assert sync.with_card("", exercise) == sync.exercise_card(exercise)


def test_a_card_in_the_wrong_place_is_found():
    card = sync.exercise_card(get("vae.kl_divergence"))
    assert card_faults(card) == card_faults(f"## New\n\n{card}\n\nMore.") == []
    assert len(card_faults(f"{card}\n\n## New")) == 1
    assert len(card_faults(f"{card}\n\n## New\n\n### Exercise")) == 2
    assert len(card_faults(f"### Exercise\n\n{card}")) == 1


def test_no_file_holds_the_marks_of_an_unfinished_merge():
    """Recorded results and notebooks are read by no linter."""
    mark = re.compile(r"^(<{7} |>{7} )", re.MULTILINE)
    files = [
        file
        for room in ("benchmarks", "course_lib", "data", "docs", "notebooks", "tests")
        for file in (ROOT / room).rglob("*")
        if file.suffix in {".py", ".json", ".toml", ".md", ".ipynb", ".csv", ".yml", ".html"}
    ]
    assert files
    marked = [
        file for file in files if mark.search(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert marked == []


def test_ruff_finds_nothing():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


# --- pages -------------------------------------------------------------------------------------

FOLDERS = ("docs", "data", "benchmarks")
PAGES = [*ROOT.glob("*.md"), *(p for d in FOLDERS for p in (ROOT / d).rglob("*.md")), *BOOKS]
EACH_PAGE = pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
LINK = re.compile(r"(!?)\[([^\]]*)\]\(\s*<?([^)\s>]+)[^)]*\)")


def prose(file):
    """The Markdown of a page or notebook, without its code."""
    if file.suffix == ".ipynb":
        text = "\n\n".join(cell.source for cell in cells(file, "markdown"))
    else:
        text = file.read_text(encoding="utf-8")
    return re.sub(r"(?ms)^ *(```|~~~).*?^ *\1|`[^`\n]*`", "", text)


def heading_faults(text):
    levels = [len(marks) for marks in re.findall(r"(?m)^(#{1,6})\s", text)]
    faults = [] if levels.count(1) == 1 and levels[0] == 1 else ["not one H1, at the top"]
    skipped = [b for a, b in pairwise(levels) if b > a + 1]
    return faults + [f"a heading of level {level} follows one far above it" for level in skipped]


def broken_links(text, folder):
    """Links to files that are not there, and pictures without a description."""
    links = LINK.findall(text)
    faults = [f"no description: {target}" for mark, alt, target in links if mark and not alt]
    targets = [target for _, _, target in links]
    targets += re.findall(r"""(?:href|src)=["']([^"']+)["']""", text)
    targets += re.findall(r"(?m)^\[[^\]]+\]:\s*(\S+)", text)
    for target in targets:
        path = target.partition("#")[0]
        if re.match(r"[a-z][a-z+.-]*:", path) or not path:  # elsewhere, or on this page
            continue
        if not (folder / path).exists():
            faults.append(target)
    return faults


@EACH_PAGE
def test_headings_form_an_outline(file):
    assert heading_faults(prose(file)) == []


@EACH_PAGE
def test_links_to_files_resolve(file):
    assert broken_links(prose(file), file.parent) == []


def test_faults_in_pages_are_found(tmp_path):
    (tmp_path / "there.md").touch()
    good = "# A\n\n## B\n\n[x](there.md#part) [y](https://example.org) [z](#b) ![w](there.md)"
    assert heading_faults(good) == broken_links(good, tmp_path) == []
    assert len(heading_faults("# A\n\n### B")) == 1
    assert len(heading_faults("# A\n\n# B")) == len(heading_faults("## A")) == 1
    bad = '[x](gone.md) ![](there.md) <a href="gone.html">z</a>\n\n[y]: gone.txt'
    assert len(broken_links(bad, tmp_path)) == 4


# --- the syllabus and what follows from it -------------------------------------------------------


def test_what_is_generated_is_up_to_date():
    stale = [
        str(file.relative_to(ROOT))
        for file, content in sync.generated()
        if file.read_text(encoding="utf-8") != content
    ]
    assert stale == [], "run `python course.py sync`"


@EACH_LESSON
def test_the_badge_is_shown_only_with_a_repository(lesson, monkeypatch):
    monkeypatch.setattr(sync, "course", lambda: replace(course(), repository="some/course"))
    target = (
        f"(https://colab.research.google.com/github/some/course/blob/main/notebooks/{lesson.id}"
    )
    assert target in sync.header(lesson)
    monkeypatch.setattr(sync, "course", lambda: replace(course(), repository=""))
    assert "colab" not in sync.header(lesson).lower()


def test_badges_and_links_follow_the_repository(monkeypatch):
    monkeypatch.setattr(sync, "course", lambda: replace(course(), repository="", branch="main"))
    assert sync.badges() == "" and sync.one_click() == {}
    assert "course.py repo OWNER/NAME" in sync.link_list()
    own = replace(course(), repository="some/course", branch="a/b")
    monkeypatch.setattr(sync, "course", lambda: own)
    places = sync.one_click()
    assert places["Binder"] == (
        "https://mybinder.org/v2/gh/some/course/a%2Fb?urlpath=lab%2Ftree%2Fnotebooks%2F00_start.ipynb"
    )
    hub = parse_qs(urlsplit(places["JupyterHub"]).query)
    assert hub == {
        "repo": ["https://github.com/some/course"],
        "branch": ["a/b"],
        "urlpath": ["lab/tree/course/notebooks/00_start.ipynb"],
    }
    for name in ("Colab", "Binder", "Codespaces"):
        assert f"({places[name]})" in sync.badges()
        assert f"({places[name]})" in sync.link_list()
    assert (ROOT / ".github" / "workflows" / "tests.yml").is_file()  # the first badge's
    assert "some/course/actions/workflows/tests.yml" in sync.badges()


def test_what_is_written_between_markers_can_be_empty():
    begin, end = (mark.format(name="badges") for mark in sync.MARKS)
    text = f"a\n{begin}\n{end}\nb\n"
    assert sync._between(text, "badges", "") == text
    filled = sync._between(text, "badges", "c")
    assert filled == f"a\n{begin}\nc\n{end}\nb\n"
    assert sync._between(filled, "badges", "") == text


def test_cells_with_checked_outputs_keep_what_nbval_needs():
    cell = {"cell_type": "code", "id": "a", "source": "1", "execution_count": 7}
    output = {"output_type": "execute_result", "execution_count": 7, "data": {}, "metadata": {}}
    book = {"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {"widgets": {}}}
    header = {"cell_type": "markdown", "id": "header", "metadata": {}, "source": ""}
    kept = {**cell, "outputs": [output], "metadata": {"tags": ["nbval-check-output"]}}
    dropped = {**cell, "id": "b", "outputs": [output], "metadata": {"collapsed": True}}
    lesson = replace(LESSONS["00_start"], exercises=())
    source = json.dumps({**book, "cells": [header, kept, dropped]})
    _, colab, first, second, follows, save = json.loads(sync.generated_notebook(lesson, source))[
        "cells"
    ]
    assert (colab["id"], follows["id"], save["id"]) == ("colab", "next", "save")
    assert follows["source"][0].startswith("**Next:** [01 Build a VAE](01_vae.ipynb).")
    assert first["outputs"] and first["execution_count"] is not None
    assert (second["outputs"], second["execution_count"], second["metadata"]) == ([], None, {})


def test_the_syllabus_lists_the_exercises_that_there_are():
    modules = [
        import_module(f"course_lib.exercises.{module.name}")
        for module in iter_modules(course_lib.exercises.__path__)
    ]
    there = [e.id for module in modules for e in declared(module)]
    listed = [name for lesson in LESSONS.values() for name in lesson.exercises]
    assert sorted(there) == sorted(listed)


@EACH_LESSON
def test_a_quiz_has_one_right_answer_a_question_and_feedback_for_each(lesson):
    file = QUIZZES / f"{lesson.id}.toml"
    asked = tomllib.loads(file.read_text(encoding="utf-8"))["question"]
    assert len(asked) >= 3
    for question in asked:
        options = question["option"]
        assert question["text"].strip() and len(options) >= 2
        assert sum(option.get("right", False) for option in options) == 1, question["text"]
        assert len({option["answer"] for option in options}) == len(options)
        assert all(option["feedback"].strip() for option in options), question["text"]


@EACH_DATASET
def test_a_data_card_agrees_with_the_data(name, split):
    data = datasets.load(name, split)
    text = datasets.card(name).data
    rows = dict(re.findall(r"(?m)^\| ([^|]+) \| (.+) \|$", text))
    table = isinstance(data, datasets.TableDataset)
    train, held_out = (part if table else part.x for part in (data.train, data.held_out))
    size = "size" if split is None else f'size of split "{split}"'
    numbers = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", rows[size])]
    assert numbers[:3] == [len(train) + len(held_out), len(train), len(held_out)]
    assert {"source", "licence", "sensitive attributes"} <= set(rows)
    if table:
        # The columns, in their order, stand in the table whose first header is "column".
        listed = text.split("| column |", 1)[1].split("\n\n")[0].splitlines()[2:]
        assert [line.split("`")[1] for line in listed] == list(train)
        assert rows["label"] == f"`{data.label}`"
        assert tuple(re.findall(r"`(\w+)`", rows["sensitive attributes"])) == data.sensitive
    else:
        assert rows["shape"] == str(train.shape[1:])


@pytest.mark.parametrize("name", registry())
def test_a_card_agrees_with_the_registry(name):
    """Also for data that are not at hand here."""
    text = datasets.card(name).data
    rows = dict(re.findall(r"(?m)^\| ([^|]+) \| (.+) \|$", text))
    entry = registry()[name]
    assert rows["licence"] == entry.licence
    stated = re.search(r"Fetched, ([\d.]+) (k|M)B$", rows["source"])
    unit = {"k": 1e3, "M": 1e6}[stated[2]]
    total = sum(file.size for file in entry.files.values())
    assert float(stated[1]) == pytest.approx(total / unit, rel=0.02)
    small = sum(file.size for file in entry.files.values() if file.name.startswith("t10k")) / 1e6
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    size = f"{stated[1]} {stated[2]}B" + (f', or {small:.1f} MB as `split="10k"`' if small else "")
    assert re.search(rf"(?m)^\| `{name}` \| [^|]+ \| {re.escape(size)} \| \[card\]", page)
    if small:
        assert rows['size of split "10k"'].endswith(f"; {small:.1f} MB")
    assert all(place.endswith("/") for place in entry.places)
    assert entry.embedded in EMBEDDED
    for file in entry.files.values():
        assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.hash)


@EACH_LESSON
def test_a_lesson_s_data_exist(lesson):
    assert set(lesson.data) <= set(datasets.names())
