"""What goes out: grades for people and for LMSs, and the student's page."""

import base64
import csv
import io
import json
import re
import struct
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from course_lib.grading import feedback, summary
from course_lib.grading.errors import GradingError
from course_lib.grading.lms import canvas, gradescope, moodle
from course_lib.grading.policy import Late, apply_late, choose, final_points
from course_lib.grading.result import Result

HOSTILE = (
    "<script>document.title = 'taken'</script>",
    "</style><img src=x onerror=\"document.title='taken'\">",
    "\"><svg onload=document.title='taken'>",
    "<a href=\"javascript:document.title='taken'\">click</a>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe",
    "https://example.org/?leak",
    "two\nlines, \"quoted\", 'so'; &amp;",
    "x" * 300,
    "العمر والدخل",
)
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "  =1", "\r\n=1", "ok;=1+1", "＝1+1")


def stored(student="doe_jane", points=(1.0, 2.0, 0.0), **changes) -> dict:
    """A result as it is stored: three exercises of lesson 01, each of two points in two cases."""
    exercises = []
    for number, (name, gained) in enumerate(
        zip(("vae.reparameterize", "vae.kl_divergence", "vae.elbo"), points, strict=True)
    ):
        cases = [
            {
                "name": f"case {letter}",
                "passed": gained >= least,
                "points": float(gained >= least),
                "of": 1.0,
                "sentence": "" if gained >= least else "The sum runs over the batch, not over z.",
            }
            for letter, least in (("a", 1), ("b", 2))
        ]
        exercises.append(
            {"id": name, "title": f"Exercise {number}", "points": gained, "of": 2.0, "found": "tag"}
            | {"cases": cases, "seconds": 0.1, "fingerprint": "", "length": 0}
        )
    return {
        "version": 1,
        "student": student,
        "student_id": "1234",
        "source": f"week1.zip/{student}.ipynb",
        "layout": "",
        "attempt": 1,
        "late": False,
        "submitted": "2026-09-01T12:30:00+00:00",
        "lesson": "01_vae",
        "hashes": {"submission": "ab" * 32, "exercises": "cd" * 32, "seed": "ef" * 32},
        "points": sum(points),
        "of": 6.0,
        "needs_person": False,
        "flags": [],
        "exercises": exercises,
        "seconds": 0.9,
        "graded": "2026-09-02T08:00:00+00:00",
        "sandbox": "bubblewrap",
    } | changes


def result(student="doe_jane", points=(1.0, 2.0, 0.0), **changes) -> Result:
    return Result.from_json(stored(student, points, **changes))


def unread(student="roe", **changes) -> Result:
    """A result that a person must look at."""
    flag = {"exercise": None, "kind": "unreadable", "sentence": "This is no notebook."}
    blank = stored(student, (0.0, 0.0, 0.0), flags=[flag], **changes)
    for exercise in blank["exercises"]:
        exercise["found"] = "nowhere"
    return Result.from_json(blank)


def say(sentence, changed):
    """The same result, whose first exercise says something else of each of its cases."""
    first, *others = changed.marks
    cases = tuple(replace(case, sentence=sentence) for case in first.cases)
    return replace(changed, marks=(replace(first, cases=cases), *others))


# --- the stored form -----------------------------------------------------------------------------


def test_a_result_is_read_back_as_it_was_stored():
    flags = [
        {"exercise": "vae.kl_divergence", "kind": "missing", "sentence": "No cell defines it."}
    ]
    for json_ in (stored(), stored(flags=flags, needs_person=True, late=True, submitted=None)):
        assert Result.from_json(json_).to_json() == json_
        assert Result.from_json(json.loads(json.dumps(json_))) == Result.from_json(json_)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"exercises": None},
        {"exercises": [{"id": "vae.kl"}]},
        {"flags": [{}]},
        {"attempt": "first"},
        {"submitted": "yesterday"},
        {"hashes": {"colour": "red"}},
    ],
)
def test_what_is_not_a_stored_result_is_refused(change):
    with pytest.raises(ValueError):
        Result.from_json(stored() | change)
    with pytest.raises(ValueError):
        Result.from_json([stored()])


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


# --- policies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "points", "mark"),
    [("keep", 3.0, 3.0), ("10%", 2.7, 2.7), ("12.5%", 2.625, 2.625), ("refuse", 3.0, None)],
)
def test_late(words, points, mark):
    late = Late.parse(words)
    assert str(late) == words
    assert (apply_late(result(), late), final_points(result(), late)) == (3.0, 3.0)
    assert apply_late(result(late=True), late) == pytest.approx(points)
    assert final_points(result(late=True), late) == (None if mark is None else pytest.approx(mark))


@pytest.mark.parametrize("words", ["", "ten", "101%", "-5%", "10", "nan%", "%"])
def test_a_late_policy_that_is_none(words):
    with pytest.raises(GradingError, match="say keep"):
        Late.parse(words)


def test_the_best_or_the_last_attempt():
    first = result(points=(2.0, 2.0, 0.0), attempt=1)
    second = result(points=(1.0, 0.0, 0.0), attempt=2)
    third = unread("doe_jane", attempt=3)
    other = result(student_id="99")
    everything = [third, first, other, second]
    assert choose(everything, "best") == [first, other]
    assert choose(everything, "last") == [third, other]
    assert choose([third], "best") == [third]
    # Lateness counts before the best is chosen; of equal attempts the last one stands.
    late = replace(first, attempt=4, late=True)
    assert choose([late, first], "best", Late.parse("10%")) == [first]
    assert choose([first, late], "best") == [late]
    with pytest.raises(GradingError, match="say best or last"):
        choose(everything, "first")


# --- grades.csv --------------------------------------------------------------------------------


def test_grades_for_people():
    late = Late.parse("10%")
    flagged = [{"exercise": "vae.kl_divergence", "kind": "died", "sentence": "It ran out of time."}]
    table = summary.grades([result(late=True, flags=flagged), unread("Zoë")], late)
    assert not table.startswith("\ufeff")
    jane, zoe = rows(table)
    assert (jane["vae.reparameterize"], jane["vae.kl_divergence"], jane["vae.elbo"]) == (
        "1",
        "2",
        "0",
    )
    assert (jane["points"], jane["late"], jane["grade"], jane["of"]) == ("3", "yes", "2.7", "6")
    assert (jane["percent"], jane["needs_person"]) == ("45", "")
    assert jane["flags"] == "vae.kl_divergence: died: It ran out of time."
    assert (zoe["student"], zoe["grade"], zoe["percent"]) == ("Zoë", "", "")
    assert (zoe["points"], zoe["vae.kl_divergence"], zoe["of"]) == ("", "", "6")
    assert (zoe["needs_person"], zoe["flags"]) == ("yes", "unreadable: This is no notebook.")
    assert pd.read_csv(io.StringIO(table))["grade"].isna().tolist() == [False, True]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_a_formula(text):
    bad = result(
        text,
        source=text,
        flags=[{"exercise": text, "kind": text, "sentence": text}],
        student_id=text,
    )
    first, *others = say(text, bad).marks
    bad = replace(bad, marks=(replace(first, id=text, title=text), *others))
    for table in (
        summary.grades([bad]),
        canvas.gradebook([bad], text)[0],
        moodle.worksheet([bad])[0],
    ):
        for delimiter in ",;":
            for row in csv.reader(io.StringIO(table, newline=""), delimiter=delimiter):
                for cell in row:
                    assert not re.match(r"\s*[=+@＝]", cell), cell
                    assert cell == "-" or not re.match(r"\s*-", cell), cell


# --- Canvas ------------------------------------------------------------------------------------


def test_canvas():
    students = [
        result(layout="canvas"),
        result("other", student_id=""),
        unread(student_id="7", layout="canvas"),
    ]
    head, possible, jane, other, roe = csv.reader(
        io.StringIO(canvas.gradebook(students, "Build a VAE (4711)")[0])
    )
    # `gradebook_importer.rb`: the first columns by these names, assignments after "Section".
    assert head == [
        "Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Build a VAE (4711)",
    ]  # fmt: skip
    assert "Points Possible" in possible[0] and possible[-1] == "6"
    assert jane == ["doe_jane", "1234", "", "", "", "3"]
    assert other == ["other", "", "", "other", "", "3"]
    assert roe[1] == "7" and roe[-1] == ""


ROSTER = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Notes,Build a VAE (4711),Other (4712),Total
,,,,,,Manual Posting,,
"    Points Possible",,,,,,6.00,10.00,(read only)
"Doe, Jane",1234,S1,jdoe@example.org,A,,1.00,9.00,50
"Roe, Al",7,S2,aroe@example.org,A,,5.00,,80
"Zoë, =1",8,S3,zoe@example.org,A,,,,
"Student, Test",9,,xyz,A,,,,
"""


def test_canvas_by_its_own_roster(tmp_path):
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER, encoding="utf-8")
    students = [
        result(layout="canvas"),
        unread(student_id="7", layout="canvas"),
        result("ZOE@example.org", student_id=""),
    ]
    table = canvas.gradebook(students, "Build a VAE", roster=file)[0]
    head, posting, possible, jane, roe, zoe, test = csv.reader(io.StringIO(table))
    assert head[-1] == "Build a VAE (4711)" and head[4] == "Section" and len(head) == 6
    assert (posting[-1], possible[0]) == ("Manual Posting", "    Points Possible")
    assert jane == ["Doe, Jane", "1234", "S1", "jdoe@example.org", "A", "3"]
    assert roe[-1] == "5.00"  # the mark that is there stays until a person has looked
    assert (zoe[1], zoe[-1], test[-1]) == ("8", "3", "")
    strangers = [result("stranger", student_id="5", layout="canvas"), *students]
    filled, notices = canvas.gradebook(strangers, "Build a VAE", roster=file)
    assert filled == table  # one who is missing from the roster costs nobody else a mark
    assert len(notices) == 1 and "has no row for stranger (id 5)" in notices[0]
    with pytest.raises(GradingError, match="no columns ID and Section"):
        file.write_text("a,b\n1,2\n")
        canvas.gradebook(students, "Build a VAE", roster=file)


def test_another_lms_s_id_is_nobody_s_id_in_canvas(tmp_path):
    stranger = result("ada", student_id="7", layout="gradescope")
    assert rows(canvas.gradebook([stranger], "A")[0])[1]["ID"] == ""
    assert rows(moodle.worksheet([stranger])[0])[0]["Identifier"] == ""
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER, encoding="utf-8")
    table, notices = canvas.gradebook([stranger], "Build a VAE", roster=file)
    assert len(notices) == 1 and ",3" not in table


# --- Moodle ------------------------------------------------------------------------------------


def test_moodle():
    late = Late.parse("50%")
    hostile = say(HOSTILE[0], result("Zoë", student_id="124", late=True, layout="moodle"))
    students = [result(layout="moodle"), hostile, unread(student_id="125", layout="moodle")]
    jane, zoe, roe = rows(moodle.worksheet(students, late)[0])
    # `importgradeslib.php` asks for Identifier, Grade and "Last modified (grade)".
    assert (jane["Identifier"], jane["Grade"], jane["Maximum grade"]) == (
        "Participant 1234",
        "3",
        "6",
    )
    assert "Last modified (grade)" in jane
    assert jane["Feedback comments"].startswith("Exercise 0: 1 of 2; The sum runs")
    assert zoe["Grade"] == "1.5" and "3 became 1.5" in zoe["Feedback comments"]
    assert "<script" not in zoe["Feedback comments"]
    assert "&lt;script&gt;" in zoe["Feedback comments"]
    assert (roe["Grade"], roe["Status"], roe["Feedback comments"]) == ("", "Needs a person", "")


def test_moodle_by_its_own_worksheet(tmp_path):
    file = tmp_path / "worksheet.csv"
    file.write_text(
        "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
        "Last modified (submission),Last modified (grade),Feedback comments\n"
        'Participant 1234,Jane Doe,jane@example.org,Submitted,,6.00,Yes,"Monday, 1 September",-,\n'
        "Participant 7,Al Roe,al@example.org,Submitted,5.00,6.00,Yes,-,Tuesday,- keep\n"
        "Participant 8,Zoë,zoe@example.org,No submission,,6.00,Yes,-,-,\n",
        encoding="utf-8",
    )
    table = moodle.worksheet(
        [result(layout="moodle"), unread(student_id="7", layout="moodle")], given=file
    )[0]
    jane, roe, zoe = rows(table)
    assert (jane["Grade"], jane["Last modified (submission)"]) == ("3", "Monday, 1 September")
    assert "Exercise 1: 2 of 2" in jane["Feedback comments"]
    assert (roe["Grade"], roe["Feedback comments"], zoe["Grade"]) == ("5.00", "- keep", "")


# --- Gradescope --------------------------------------------------------------------------------


def test_gradescope():
    content = gradescope.results_json(result(late=True), Late.parse("10%"))
    assert content["score"] == pytest.approx(2.7)
    assert "3 points became 2.7" in content["output"]
    assert content["output_format"] == "text" and content["visibility"] == "visible"
    assert len(content["tests"]) == 6
    assert content["tests"][1] == {
        "score": 0.0,
        "max_score": 1.0,
        "name": "Exercise 0: case b",
        "number": "1.2",
        "status": "failed",
        "output": "The sum runs over the batch, not over z.",
        "output_format": "text",
        "visibility": "visible",
    }
    assert sum(test["score"] for test in content["tests"]) == 3.0


def test_gradescope_gives_no_zero_where_a_person_must_look():
    assert gradescope.results_json(unread())["tests"] == []
    content = gradescope.results_json(
        result(flags=[{"exercise": None, "kind": "tampered", "sentence": "It wrote."}])
    )
    assert "score" not in content and "A person will look" in content["output"]
    assert not any("score" in test or "max_score" in test for test in content["tests"])


# --- files -------------------------------------------------------------------------------------


def test_all_files_are_written(tmp_path):
    twins = [result("Jane Doe", student_id="1"), result("Jane Doe", student_id="2")]
    odd = [result(name, student_id="") for name in ("../../x", "CON", "a/b", "", "é" * 300)]
    files, _ = summary.write(tmp_path / "grades", [*twins, *odd], "VAE")
    found = [f for f in (tmp_path / "grades").rglob("*") if f.is_file()]
    assert sorted(found) == sorted(files) and len(files) == 3 + 7
    for file in files:
        assert file.resolve().is_relative_to(tmp_path / "grades")
        text = file.read_text(encoding="utf-8")
        assert json.loads(text)["tests"] if file.suffix == ".json" else text
    names = {summary.file_name(r) for r in twins + odd}
    assert len({name.casefold() for name in names}) == 7
    assert summary.write(tmp_path / "grades", [*twins, *odd], "VAE") == (files, [])


# --- the student's page ------------------------------------------------------------------------


def png(width=2, height=2, extra=b"") -> bytes:
    """A true PNG with grey pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixels = zlib.compress((b"\0" + b"\x80" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"tEXt", b"k\0" + extra) + chunk(b"IDAT", pixels)
    return feedback.PNG + parts + chunk(b"IEND", b"")


class Page(HTMLParser):
    """Elements and attributes of a page, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *each) for each in attributes]

    def handle_data(self, data):
        self.words.append(data)


def hostile_result() -> Result:
    """Every text of a result, hostile."""
    words = iter(HOSTILE * 20)

    def spoilt(value, key=""):
        if isinstance(value, dict):
            return {k: spoilt(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [spoilt(v) for v in value]
        keep = ("lesson", "kind", "graded", "submitted", "found")
        return next(words) if isinstance(value, str) and key not in keep else value

    flags = [{"exercise": None, "kind": "unreadable", "sentence": text} for text in HOSTILE]
    return Result.from_json(spoilt(stored(flags=flags, late=True, attempt=2)))


def test_the_page_says_what_the_result_says():
    words = " ".join(" ".join(Page(feedback.feedback_page(result())).words).split())
    assert "Feedback: Build a VAE" in words
    assert "doe_jane , handed in 2026-09-01 12:30" in words
    assert "3 of 6 points" in words
    assert words.count("The sum runs over the batch, not over z.") == 2  # once an exercise
    assert "◐ partly solved" in words and "✓ solved" in words and "✗ not solved yet" in words
    assert "person" not in words


def test_the_page_of_a_late_and_of_an_open_submission():
    late = Late.parse("10%")
    words = " ".join(Page(feedback.feedback_page(result(late=True), late=late)).words)
    assert "Handed in late: 3 points became 2.7 (10% off)." in words
    words = " ".join(Page(feedback.feedback_page(unread())).words)
    assert "A person will look at this." in words and "This is no notebook." in words
    assert "No mark has been given yet." in words and "of 6" not in words


def test_what_is_missing_stands_with_its_exercise():
    flag = {"exercise": "vae.elbo", "kind": "missing", "sentence": "No cell defines elbo."}
    first, second, third = say("Not solved yet.", result(flags=[flag])).marks
    missing = replace(result(flags=[flag]), marks=(first, second, replace(third, found="nowhere")))
    words = "".join(Page(feedback.feedback_page(missing)).words)
    _, first, _, last = words.split("Exercise ")
    assert first.count("Not solved yet.") == 1
    assert "No cell defines elbo." in last and "case a" not in last


def test_what_is_between_instructor_and_machine_is_not_on_the_page():
    flags = [
        {"exercise": None, "kind": kind, "sentence": f"<{kind}>"}
        for kind in ("tampered", "unreadable")
    ]
    text = feedback.feedback_page(result(flags=flags))
    assert "tampered" not in text and "&lt;unreadable&gt;" in text


def test_no_text_becomes_markup():
    plain = Page(
        feedback.feedback_page(
            result(flags=[{"exercise": None, "kind": "unreadable", "sentence": "x"}])
        )
    )
    page = Page(feedback.feedback_page(hostile_result()))
    assert set(page.tags) <= set(plain.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on") and name not in ("href", "action")
        assert name != "src" or value.startswith("data:image/png;base64,")
        assert name != "class" or "<" not in value, tag
    assert "49" not in feedback.feedback_page(hostile_result())  # {{ 7 * 7 }}


def test_only_pictures_of_bounded_size_are_embedded():
    good = png()
    bad = [
        b"<svg onload=alert(1)>",
        b"GIF89a" + good,
        feedback.PNG,
        feedback.PNG + b"<script>" * 4,
        png(extra=bytes(feedback.LARGEST_FIGURE)),
        good[:16] + struct.pack(">II", 100_000, 100_000) + good[24:],
    ]
    page = Page(
        feedback.feedback_page(
            result(), {"vae.kl_divergence": [*bad, *[good] * 9], "vae.nothing": [good]}
        )
    )
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert [base64.b64decode(s.partition(",")[2]) for s in sources] == [
        good
    ] * feedback.MOST_FIGURES
    texts = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert texts[0] == "Your figure 1 of 6 for Exercise 1"


def shown(png_bytes, lines=False):
    text = base64.encodebytes(png_bytes).decode()
    data = {"image/png": text.splitlines(True) if lines else text, "text/html": "<script>"}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def code(source, *outputs):
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {}}


def test_figures_are_those_between_an_answer_and_the_next():
    a, b, c, d, e = (png(extra=bytes([65 + n])) for n in range(5))
    book = {
        "cells": [
            code("plot()", shown(a)),
            code("# exercise: vae.kl_divergence\ndef kl_divergence(): ...", shown(b)),
            {"cell_type": "markdown", "source": "# exercise: vae.elbo"},
            code(["show(\n", ")"], shown(c, lines=True), {"output_type": "stream", "text": "x"}),
            code("def elbo(x):\n    return 1"),
            code("1", shown(d)),
            code("def kl_divergence_twice(): ..."),
            code("  # exercise: vae.sample", shown(e), shown(b"no png")),
        ]
    }
    assert feedback.figures_of(book, "01_vae") == {
        "vae.kl_divergence": [b, c],
        "vae.elbo": [d],
        "vae.sample": [e],
    }
    book["cells"] += [code("def kl_divergence(): ...", *[shown(e)] * 9)]  # the last answer counts
    assert feedback.figures_of(book, "01_vae")["vae.kl_divergence"] == [e] * feedback.MOST_FIGURES


@pytest.mark.parametrize(
    "book",
    [
        {},
        {"cells": None},
        {"cells": "x"},
        {"cells": [None, 1, "x", {}, {"cell_type": "code"}]},
        {"cells": [code(None), code(["x", 1]), code({"a": 1})]},
        {
            "cells": [
                code(
                    "# exercise: vae.kl_divergence",
                    None,
                    1,
                    {},
                    {"data": 1},
                    {"data": {"image/png": 7}},
                )
            ]
        },
        {
            "cells": [
                {
                    "cell_type": "code",
                    "source": "# exercise: vae.kl_divergence",
                    "outputs": {"a": 1},
                }
            ]
        },
        {"cells": [code("# exercise: vae.kl_divergence", {"data": {"image/png": "é" * 10}})]},
        {
            "cells": [
                code("# exercise: vae.kl_divergence", {"data": {"image/png": "A" * 2_000_000}})
            ]
        },
        {"cells": [code("\n" * 300_000 + " " * 300_000)]},
    ],
)
def test_figures_of_a_broken_notebook(book):
    assert feedback.figures_of(book, "01_vae") == {}


def test_every_answer_of_the_lessons_is_found():
    for file in sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb")):
        book = nbformat.read(file, as_version=4)
        expected = []
        for cell in book.cells:
            if "exercise" in cell.metadata.get("tags", []):
                cell.outputs = [shown(png())]
                expected.append(re.match(r"# exercise: (\S+)", cell.source)[1])
        assert list(feedback.figures_of(book, file.stem)) == expected


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_in_a_browser(browser, tmp_path, scheme, width):
    """No script runs, nothing is fetched, nothing scrolls sideways, and all text can be read."""
    figures = {"vae.kl_divergence": [png(900, 500), png(300, 300)], HOSTILE[5]: [png(400, 200)]}
    first, *others = hostile_result().marks
    spoilt = replace(hostile_result(), marks=(replace(first, id="vae.kl_divergence"), *others))
    file = tmp_path / "page.html"
    file.write_text(feedback.feedback_page(spoilt, figures, Late.parse("10%")), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=True
    )
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append("a dialog"))
    page.goto(file.as_uri())
    page.wait_for_timeout(200)
    assert [url for url in asked if not url.startswith("data:image/png")] == [file.as_uri()]
    assert said == []
    assert page.title() == "Feedback: Build a VAE"
    assert page.locator("script, a, iframe, form, object, svg").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate(CONTRAST) >= 4.5
    context.close()


# The least contrast (WCAG 2.2) between the text of an element and what is painted behind it.
CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.map(v => v / 255).map(v =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const parse = s => s.match(/[\\d.]+/g).map(Number);
  const behind = e => { for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c.slice(0, 3);
    } return [255, 255, 255]; };
  let least = 21;
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(behind(e))];
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least; }"""
