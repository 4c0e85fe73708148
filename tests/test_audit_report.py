"""The report of an audit: its words, picture, page and verdicts, from findings made by hand."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from course_lib.audit import (
    MARGINS,
    AuditError,
    AuditReport,
    Finding,
    Schema,
    explain,
    figure,
    page,
)
from course_lib.audit.finding import FAMILIES, VERDICTS
from course_lib.audit.schema import Column
from course_lib.files import write_whole

SOURCES = Path(explain.__file__).parent
HOSTILE = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'so' <b>",
    "x" * 300,
    "العمر والدخل",
    "\u202etxt.exe",
    "$\\frac{1$",
    "two\nlines",
    "{{ 7 * 7 }}",
)
VOID = {"meta", "img", "input", "br", "link", "hr"}


def finding(metric="kolmogorov_smirnov", slice="age", verdict="fail", **changes) -> Finding:
    about = {
        "family": "fidelity",
        "estimate": 0.2,
        "low": 0.18,
        "high": 0.22,
        "reference": 0.02,
        "null": 0.01,
        "p": 1e-9,
        "q": 1e-8,
        "n": 500,
        "detectable": 0.04,
        "margin": 0.05,
        "method": "median 3, real 4",
        "columns": (slice,),
    }
    return Finding(metric=metric, slice=slice, verdict=verdict, **(about | changes))


def fact(slice="id", verdict="fail", metric="column_missing") -> Finding:
    return Finding("structure", metric, slice, verdict=verdict, method="lost", columns=(slice,))


def report(*findings: Finding, schema=None, notes=(), **about) -> AuditReport:
    rows = {"train": 1000, "holdout": 500, "synthetic": 1000}
    known = {
        "rows": rows,
        "level": 0.05,
        "seed": 0,
        "label": None,
        "sensitive": [],
        "positive": None,
    }
    return AuditReport(tuple(findings), schema, tuple(notes), known | about)


@pytest.fixture
def mixed() -> AuditReport:
    quiet = {"estimate": 0.02, "p": 0.4, "q": 0.6}
    return report(
        fact(),
        finding(),
        finding(slice="income", verdict="warn", estimate=0.04),
        finding(
            "membership_auc", "whole rows", "underpowered", family="privacy", columns=(), **quiet
        ),
        finding("label_rate", "sex = female", family="bias", columns=("sex", "approved")),
        finding("utility", "predicting approved", "pass", family="utility", **quiet),
        schema=Schema((Column("age", "number", "whole numbers"), Column("sex", "category"))),
        notes=("Samples were used.",),
    )


def hostile() -> AuditReport:
    findings = []
    for name in HOSTILE:
        findings += [
            fact(name),
            finding(slice=name, method=f"changed most: '{name}'"),
            finding("label_rate", f"{name} = {name} & sex = {name}", "warn", family="bias"),
        ]
    return report(
        *findings,
        schema=Schema(tuple(Column(name, "category", name) for name in HOSTILE)),
        notes=HOSTILE,
        label=HOSTILE[0],
        positive=HOSTILE[1],
        sensitive=list(HOSTILE),
    )


# --- words --------------------------------------------------------------------------------------


def used_metrics() -> set[str]:
    """All metrics that the audit's code names."""
    code = "\n".join(path.read_text() for path in SOURCES.rglob("*.py"))
    return set(MARGINS) | set(re.findall(r'\bstated\(\s*"(\w+)"', code))


def test_every_metric_is_explained_and_none_besides():
    assert set(explain.metrics()) == used_metrics()


@pytest.mark.parametrize("metric", sorted(explain.metrics()))
def test_an_explanation_is_complete(metric):
    words = explain.metrics()[metric]
    for name in ("measures", "formula", "null", "read", "misses", "act", "paper"):
        assert len(words[name]) > 10, name
    assert words["formula"].startswith("$$") or words["formula"].startswith("A rule")
    # What has a margin is an estimate, which has a distribution; of facts only some are tested.
    assert words["null"] != explain.FACT or metric not in MARGINS
    assert len(words["title"]) < 36
    assert words["kind"] in explain.KINDS
    assert ("unit" in words) == (metric in MARGINS)
    assert explain.paper(metric) == words["paper"]


@pytest.mark.parametrize("metric", sorted(explain.metrics()))
def test_the_source_of_a_metric_can_be_right(metric):
    """An address is that of the number in the words, and arXiv's numbers begin with year and month."""
    words = explain.metrics()[metric]
    source = words["paper"]
    numbers = re.findall(r"(?:arXiv|doi) (\S+?)[.,;)]*(?: |$)", source)
    assert len(numbers) == len(re.findall(r"arXiv|\bdoi\b", source))
    for number in numbers:
        assert re.fullmatch(r"\d\d(?:0[1-9]|1[0-2])\.\d{4,5}|10\.\d{4,5}/\S+", number)
    if "url" in words:
        number = re.fullmatch(r"https://(?:arxiv\.org/abs|doi\.org)/(.+)", words["url"])[1]
        assert number in numbers
    years = [int(year) for year in re.findall(r"\b(?:19|20)\d\d\b", source)]
    assert years or source.startswith(("A convention of this audit", "The tests are"))
    for first in re.findall(
        r"arXiv (\d\d)\d\d\.", source
    ):  # no paper is older than its first version
        assert max(years) >= 2000 + int(first)


def test_every_finding_is_explained_with_its_own_numbers(mixed):
    for each in mixed:
        told = mixed.explain(each.id)
        assert each.slice in told and each.verdict in told
        assert explain.metrics()[each.metric]["measures"] in told
        assert "None" not in told and "nan" not in told
    told = mixed.explain("kolmogorov_smirnov[age]")
    for words in (
        "estimate is 20.0% (95% interval 18.0% to 22.0%)",
        "one distribution would give about 1.0%",
        "real holdout gives 2.0%",
        "p = 1e-09",
        "Yes: an effect of 4 points",
        "3.8 times the margin large enough to matter",
        "look for a unit",
        "Smirnov 1948",
    ):
        assert words in told
    dark = mixed.explain("membership_auc[whole rows]")
    assert "may be there" in dark and "not read this as a pass" in dark


def test_what_could_not_be_measured_is_said():
    empty = dict.fromkeys(("estimate", "low", "high", "p", "q", "detectable", "null", "reference"))
    told = report(finding(verdict="underpowered", **empty)).explain("kolmogorov_smirnov[age]")
    assert "Nothing could be measured" in told and "no number to judge" in told


def test_a_measure_without_a_test_says_that_its_interval_decides():
    for verdict in ("fail", "pass", "underpowered"):
        told = explain.explanation(finding("wasserstein", "age", verdict, p=None, q=None), {})
        assert "the interval decides" in told and "interval" in told.split("Verdict.")[1]


@pytest.mark.parametrize(
    ("value", "metric", "distance", "written"),
    [
        (None, "recall", False, "–"),
        (0.1432, "recall", False, "14.3%"),
        (0.05, "recall", True, "5 points"),
        (0.01, "exact_copies", True, "1 point"),
        (0.021, "label_rate", False, "+2.1 points"),
        (-0.0021, "label_rate", False, "-0.21 points"),
        (0.0, "label_rate", False, "0.0 points"),
        (-0.000001, "label_rate", False, "0.000 points"),
        (-0.0, "recall", False, "0.0%"),
        (-0.0, "wasserstein", False, "0 sd"),
        (0.312, "wasserstein", False, "0.312 sd"),
        (-0.05, "utility", False, "-0.05"),
        (0.5321, "membership_auc", False, "0.532"),
        (1.234, "likelihood_gap", False, "1.23 nats"),
        (0.25, "a_metric_to_come", False, "0.25"),
    ],
)
def test_numbers_are_written_with_their_unit(value, metric, distance, written):
    assert explain.with_unit(value, metric, distance=distance) == written


@pytest.mark.parametrize(
    ("p", "told"),
    [(0.3, "30% of the time"), (0.01, "once in 100"), (1e-5, "100,000"), (0.0, "billion")],
)
def test_chances_are_frequencies(p, told):
    assert told in explain.chance(p)


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ({"fail": 1, "pass": 1}, "1 of 2 findings fails."),
        ({"fail": 2, "warn": 1}, "2 of 3 findings fail."),
        ({"warn": 1, "pass": 3}, "1 of 4 findings warns, and none fails"),
        ({"pass": 3}, "No difference that matters was found in 3 findings."),
        ({"pass": 3, "underpowered": 2}, "2 could not be decided"),
        ({}, "in 0 findings"),
    ],
)
def test_a_report_is_summed_up_in_a_sentence(verdicts, told):
    assert told in explain.summary({verdict: verdicts.get(verdict, 0) for verdict in VERDICTS})


# --- picture ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "findings",
    [
        (),
        (fact(),),
        tuple(finding(slice=f"c{i}", verdict="pass", estimate=0.01) for i in range(40)),
        tuple(finding("recall", "all columns", v, columns=()) for v in VERDICTS),
        (finding(estimate=50.0, low=None, high=None),),
        (finding(metric="a_metric_to_come"),),
    ],
)
def test_the_picture_is_drawn_of_any_report(findings):
    drawn, alt = figure.draw_findings(report(*findings))
    drawn.savefig(io.BytesIO(), format="png")
    assert f"{len(findings)} finding" in alt
    assert drawn.get_figwidth() <= 8.2


def test_the_picture_says_in_words_where_and_how_much(mixed):
    _, alt = figure.draw_findings(mixed)
    assert "id in values there" in alt and "age in distribution" in alt
    assert "sex = female in label" in alt
    assert "Distribution of a number, age: 3.8" in alt
    assert (
        "No finding is a fail or a warn" in figure.draw_findings(report(finding(verdict="pass")))[1]
    )


@pytest.mark.parametrize("each", [1, 1200])
def test_the_legend_names_the_verdicts_in_their_order_in_one_line(each):
    many = [finding(slice=f"c{i}", verdict=v) for v in VERDICTS for i in range(each)]
    drawn, _ = figure.draw_findings(report(*many))
    drawn.draw_without_rendering()
    boxes = [text.get_window_extent() for text in drawn.legends[0].get_texts()]
    assert len(boxes) == len(VERDICTS) and len({round(box.y0) for box in boxes}) == 1
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes)) and boxes[-1].x1 < drawn.bbox.x1


def test_a_pair_is_blamed_on_the_column_that_fails_by_itself():
    pair = finding("pair_total_variation", "age & sex", columns=("age", "sex"))
    assert list(figure.places(pair)) == ["age", "sex"]
    assert list(figure.places(pair, {"age"})) == ["age"]


def test_the_gravest_come_from_every_family_and_metric():
    many = [finding("pair_total_variation", f"a & {i}", estimate=9.0) for i in range(50)]
    leak = finding("membership_auc", "whole rows", family="privacy", estimate=0.3)
    chosen = figure.gravest(report(*many, leak).findings)
    assert leak in chosen and len(chosen) == 1 + figure.TWICE


def test_an_interval_that_holds_the_expected_value_reaches_to_zero():
    low, high = figure.in_margins(finding(estimate=0.0, null=0.01, low=-0.09, high=0.06))
    assert low == 0 and high == pytest.approx(2)


def test_names_are_shortened_so_that_they_differ():
    assert figure.shortened("sex = female & ethnicity = Drusami", 26) == "female & Drusami"
    assert figure.shortened("two\nlines", 26) == "two lines"
    for name in HOSTILE:
        assert len(figure.shortened(name, 26)) <= 26


def test_plot_shows_the_picture_with_its_description(mixed, monkeypatch):
    shown = []
    monkeypatch.setattr("course_lib.audit.report.show", lambda fig, alt: shown.append(alt))
    assert mixed.plot() is None
    assert "6 findings" in shown[0]


# --- page ---------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """What a browser would make of a page: elements, ids, text, and whether all tags are closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.attributes, self.ids, self.text = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.attributes if name == tag]


def test_the_page_is_well_formed_and_can_be_heard(mixed):
    outline = Outline(mixed.to_html())
    assert outline.all("html")[0]["lang"] == "en"
    assert (
        outline.tags.count("h1") == outline.tags.count("main") == outline.tags.count("title") == 1
    )
    levels = [int(tag[1]) for tag in outline.tags if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {"header", "nav", "footer"} <= set(outline.tags)
    assert outline.tags.count("caption") == outline.tags.count("table")
    assert all(each.get("scope") in ("row", "col") for each in outline.all("th"))
    assert len(outline.ids) == len(set(outline.ids))
    for link in outline.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in outline.ids
    (image,) = outline.all("img")
    assert "6 findings" in image["alt"]


@pytest.mark.slow
def test_the_page_needs_no_network_and_forbids_other_scripts(mixed):
    outline = Outline(mixed.to_html())
    assert not {"link", "iframe", "object"} & set(outline.tags)
    assert outline.all("script") == [{}]  # its own, in the page
    digest = base64.b64encode(hashlib.sha256(page.SCRIPT.encode()).digest()).decode()
    (rules,) = [each["content"] for each in outline.all("meta") if "http-equiv" in each]
    assert "default-src 'none'" in rules and f"script-src 'sha256-{digest}';" in rules
    assert outline.all("img")[0]["src"].startswith("data:image/png;base64,")
    urls = {words.get("url") for words in explain.metrics().values()}
    outside = {a["href"] for a in outline.all("a") if not a["href"].startswith("#")}
    assert outside and outside <= urls
    assert "url(" not in mixed.to_html() and "@import" not in mixed.to_html()


@pytest.mark.slow
def test_the_page_tells_all_there_is(mixed):
    text = Outline(mixed.to_html()).text
    for each in mixed:
        assert each.slice in text and each.method in text
    for words in ("3 of 6 findings fail", "Samples were used.", "whole numbers", "seed 0", "1,000"):
        assert words in text
    for family in FAMILIES:
        assert page.QUESTIONS[family] in text


def test_hostile_names_are_only_text():
    outline = Outline(hostile().to_html())
    assert outline.tags.count("script") == 1 and "b" in outline.tags
    for name in HOSTILE:
        assert name in outline.text
    assert not any("alert" in str(value) for tag in ("a", "td") for value in outline.all(tag))
    Outline(hostile()._repr_html_())


def test_a_long_report_stays_small_and_its_picture_is_one():
    rows = [finding(slice=f"column {i} & column {i + 1}") for i in range(250)]
    text = report(*rows).to_html()
    assert len(text.encode()) < 600_000
    Image.open(io.BytesIO(base64.b64decode(re.search(r'base64,([^"]+)', text)[1]))).verify()


@pytest.mark.parametrize("findings", [(), (finding("recall", "all columns", "pass", columns=()),)])
def test_a_page_of_nothing_and_one_of_arrays(findings):
    text = report(*findings, features=64).to_html()
    assert "Features of each row" in text and 'id="schema"' not in text
    Outline(text)


def test_the_page_is_written_whole(mixed, tmp_path):
    path = tmp_path / "report.html"
    assert mixed.to_html(path) == path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_all_text_of_the_page_has_contrast_in_light_and_dark():
    text = (SOURCES / "page.html").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6});", part)) for part in _schemes(text))
    for colours in (light, dark):
        pairs = [(ink, under) for ink in ("ink", "soft", "link") for under in ("page", "box")]
        pairs += [(f"{name}-ink", name) for name in ("fail", "warn", "dark", "pass")]
        for ink, under in pairs:
            bright, dim = sorted((_luminance(colours[each]) for each in (ink, under)), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, under)


def _schemes(text: str) -> list[str]:
    """The variables of the light and of the dark look; the third ones, for paper, are light again."""
    return re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]


def test_a_notebook_shows_the_gravest_in_the_colours_of_its_theme(mixed):
    text = mixed._repr_html_()
    outline = Outline(text)
    assert "var(--jp-layout-color2" in text and "var(--jp-ui-font-color1" in text
    assert "3 of 6 findings fail" in outline.text and "1 underpowered" in outline.text
    assert "Column missing" in outline.text
    assert not {"img", "script", "style"} & set(outline.tags)
    assert "table" not in Outline(report(finding(verdict="pass"))._repr_html_()).tags


# --- report -------------------------------------------------------------------------------------


def test_findings_stand_with_the_gravest_first(mixed):
    assert [each.verdict for each in mixed][-1] == "pass"
    order = [VERDICTS.index(each.verdict) for each in mixed]
    assert order == sorted(order)
    few = {"fail": 3, "warn": 1, "underpowered": 1, "not testable": 0, "pass": 1}
    assert mixed.counts == few
    assert mixed.verdict == "fail" and report().verdict == "pass"
    assert "6 findings: 3 fail" in str(mixed) and "Samples were used." in str(mixed)


def test_a_table_of_all_and_of_some(mixed):
    assert len(mixed.table()) == 6
    assert set(mixed.table("privacy").metric) == {"membership_auc"}
    assert set(mixed.table(verdict="fail").verdict) == {"fail"}
    assert mixed.table("bias", "pass").empty and "estimate" in mixed.table("bias", "pass")


def test_a_finding_is_had_by_its_id_and_near_ones_are_named(mixed):
    assert mixed["label_rate[sex = female]"].family == "bias"
    with pytest.raises(KeyError, match=r"Near to it: kolmogorov_smirnov\[age\]"):
        mixed.explain("kolmogorov_smirnov[agee]")
    with pytest.raises(KeyError, match="All ids"):
        mixed["nonsense"]


@pytest.mark.slow
def test_a_report_survives_json(mixed, tmp_path):
    path = tmp_path / "report.json"
    again = AuditReport.from_json(mixed.to_json(path))
    assert again == mixed and path.read_text(encoding="utf-8") == mixed.to_json()
    assert json.loads(mixed.to_json())["findings"][0]["paper"]
    odd = hostile()
    assert AuditReport.from_json(odd.to_json()) == odd
    assert AuditReport.from_json(odd.to_json()).to_html() == odd.to_html()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1}'])
def test_what_is_no_report_is_refused(text):
    with pytest.raises(AuditError):
        AuditReport.from_json(text)


@pytest.mark.parametrize(
    ("policy", "passed"),
    [
        ("fail", False),
        ({"families": "privacy"}, True),
        ({"families": ["privacy"], "underpowered": True}, False),
        ({"families": ["fidelity"], "ignore": ["kolmogorov_smirnov[age]"]}, True),
        (
            {"families": ["fidelity"], "ignore": ["kolmogorov_smirnov[age]"], "fail_on": "warn"},
            False,
        ),
        ({"ignore": ["kolmogorov_smirnov", "label_rate", "column_missing"]}, True),
    ],
)
def test_a_gate_holds_a_report_to_a_policy(mixed, policy, passed):
    gate = mixed.gate(policy)
    assert bool(gate) == passed == (not gate.reasons)
    assert str(gate).startswith("passed" if passed else "failed")


@pytest.mark.parametrize(
    "policy", ["pass", {"fail_on": "all"}, {"families": ["fairness"]}, {"ignored": ["levels"]}]
)
def test_a_policy_that_is_not_understood_is_refused(mixed, policy):
    with pytest.raises(AuditError):
        mixed.gate(policy)


def test_two_reports_are_compared():
    before = report(
        finding(slice="a"),
        finding(slice="b", verdict="pass"),
        finding(slice="c"),
        finding(slice="d"),
        finding(slice="same"),
    )
    after = report(
        finding(slice="a", verdict="pass"),
        finding(slice="b", verdict="warn"),
        finding(slice="c", estimate=0.1),
        finding(slice="new"),
        finding(slice="same"),
    )
    change = after.compare(before).change
    assert {id.split("[")[1][:-1]: each for id, each in change.items()} == {
        "a": "better",
        "b": "worse",
        "c": "better",
        "d": "gone",
        "new": "new",
    }
    assert after.compare(after).empty


def test_a_metric_of_a_newer_version_is_still_shown():
    odd = report(replace(finding(), metric="a_metric_to_come"))
    assert "does not know" in odd.explain("a_metric_to_come[age]")
    Outline(odd.to_html())


def test_a_written_report_can_be_read_by_others(tmp_path):
    made = (tmp_path / "other.txt", tmp_path / "report.json")
    made[0].write_text("as any program writes it")
    write_whole(made[1], "{}")
    assert made[1].stat().st_mode == made[0].stat().st_mode
