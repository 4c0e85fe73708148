"""What the page shows besides findings: reliability, nearest pairs, and a search that runs in a browser."""

import json

import numpy as np
import pandas as pd
import pytest

from course_lib.audit import AuditError, AuditReport, audit
from course_lib.audit.drawings import reliability_picture
from course_lib.audit.evidence import Evidence
from course_lib.audit.nearest import nearest_pairs
from course_lib.audit.profile import Reliability
from course_lib.audit.table import prepare
from course_lib.datasets.loans import applicants

pytestmark = pytest.mark.slow  # the reports that it looks at

COLUMNS = ["age", "sex", "income", "debt", "approved"]


def people(n, seed):
    return applicants(n, seed=seed)[COLUMNS]


@pytest.fixture(scope="module")
def report():
    made = people(400, 2)
    made.iloc[7] = people(400, 0).iloc[30]
    return audit(
        people(400, 0),
        people(300, 1),
        made,
        label="approved",
        sensitive=["sex"],
        nearest=2,
        progress=False,
    )


def test_the_nearest_pair_is_the_copy(report):
    first, second = report.nearest
    assert (first.synthetic, first.real, first.distance) == (7, 30, 0)
    assert first.columns == tuple(COLUMNS) and first.synthetic_values == first.real_values
    assert 0 <= second.distance <= second.next and first.next > 0
    text = report.to_html()
    assert "Synthetic row 8 and real row 31: distance 0" in text
    assert str(people(400, 0)["income"].iloc[30]) in text


def test_pairs_are_those_of_all_distances():
    tables = prepare(people(120, 0), people(60, 1), people(90, 2))
    evidence = Evidence(tables)
    pairs = nearest_pairs(evidence, 5, np.random.default_rng(0))
    train, _, made = evidence.points
    apart = np.sqrt(((made[:, None] - train) ** 2).sum(axis=2))
    assert [pair.distance for pair in pairs] == pytest.approx(
        np.sort(apart.min(axis=1))[:5], abs=1e-3
    )
    for pair in pairs:
        assert pair.real == apart[pair.synthetic].argmin()


def test_no_pair_is_shown_without_being_asked_for():
    tables = people(100, 0), people(60, 1), people(100, 2)
    silent = audit(*tables, progress=False)
    assert silent.nearest == () and 'id="nearest"' not in silent.to_html()
    with pytest.raises(AuditError, match="do not hide the rows"):
        audit(*tables, nearest=1, list_rows=False, progress=False)
    with pytest.raises(AuditError, match="number of pairs"):
        audit(*tables, nearest=-1, progress=False)


def test_what_is_missing_is_told_as_missing():
    table = people(100, 0).assign(debt=np.nan, when=pd.Timestamp("2024-01-01"))
    table.loc[::2, "debt"] = 5.0
    found = audit(
        table,
        people(60, 1).assign(when=pd.Timestamp("2024-01-02")),
        table,
        nearest=1,
        progress=False,
    )
    assert {"missing", "5.0"} & set(found.nearest[0].real_values)


def test_reliability_is_that_of_tenths(report):
    curves = report.reliability
    assert curves.label == "approved = True"
    assert len(curves.real) == len(curves.synthetic) == 10
    for side in (curves.real, curves.synthetic):
        expected, came = np.array(side).T
        assert (np.diff(expected) >= 0).all() and ((came >= 0) & (came <= 1)).all()
        # Tenths of 300 holdout rows have one size, so their mean is the share of all.
        assert came.mean() == pytest.approx(people(300, 1)["approved"].mean(), abs=1e-3)


def test_a_model_of_turned_labels_is_seen_to_be_wrong():
    made = people(400, 2)
    turned = audit(
        people(400, 0),
        people(300, 1),
        made.assign(approved=~made["approved"]),
        label="approved",
        progress=False,
    )
    gaps = [np.abs(np.subtract(*np.array(side).T)).mean() for side in
            (turned.reliability.real, turned.reliability.synthetic)]  # fmt: skip
    assert gaps[1] > 1.5 * gaps[0]


@pytest.mark.parametrize("label", [None, "income", "region"])
def test_only_a_label_of_two_levels_has_curves(label):
    tables = [applicants(120, seed=seed)[["income", "region", "age"]] for seed in range(3)]
    assert audit(*tables, label=label, progress=False).reliability is None


def test_the_picture_says_how_far_off_each_model_is():
    curves = Reliability("paid", ((0.2, 0.3), (0.6, 0.7)), ((0.2, 0.6), (0.6, 0.8)))
    text = reliability_picture(curves)
    assert "of real rows expects 40% on average, and is 10% away" in text
    assert "of synthetic rows expects 40% on average, and is 30% away" in text


def test_all_of_it_survives_json(report):
    again = AuditReport.from_json(report.to_json())
    assert again == report and again.to_html() == report.to_html()
    assert len(json.loads(report.to_json())["nearest"]) == 2
    old = json.loads(report.to_json())
    del old["nearest"], old["reliability"]  # of an earlier version
    assert AuditReport.from_json(json.dumps(old)).nearest == ()


def test_pairs_that_fail_are_drawn_unless_rows_are_hidden():
    rng = np.random.default_rng(0)

    def table(linked):
        x = rng.normal(size=600)
        return pd.DataFrame({"x": x, "y": x * linked + 0.3 * rng.normal(size=600)})

    tables = table(1), table(1), table(0).assign(y=lambda t: rng.normal(size=600))
    report = audit(*tables, progress=False)
    assert [each.names for each in report.joints] == [("x", "y")]
    assert "The pairs that differ most" in report.to_html()
    assert AuditReport.from_json(report.to_json()) == report
    assert audit(*tables, list_rows=False, progress=False).joints == ()


@pytest.mark.parametrize("width", [1280, 375])
def test_findings_are_looked_for_and_ordered_in_a_browser(browser, report, tmp_path, width):
    file = tmp_path / "report.html"
    report.to_html(file)
    page = browser.new_page(viewport={"width": width, "height": 800})
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    assert page.locator("#tools").is_visible()
    page.get_by_label("Look for").fill("label_RATE female")
    visible = page.locator(".findings tbody tr:visible .slice").all_text_contents()
    assert visible and all("female" in slice for slice in visible)
    told = page.locator("#matches").text_content()
    assert told.startswith(f"{len(visible)} of ")
    page.get_by_label("Look for").fill("")
    page.get_by_label("Order").select_option("where")
    table = page.locator(".findings table").nth(1)
    names = table.locator(".slice").all_text_contents()
    assert names == page.evaluate(
        "names => names.toSorted((a, b) => a.localeCompare(b, undefined, {numeric: true}))", names
    )
    page.get_by_label("Order").select_option("effect")
    effects = [float(row.get_attribute("data-effect")) for row in table.locator("tbody tr").all()]
    assert effects == sorted(effects, reverse=True)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth") and not said
    page.close()


def test_the_page_is_whole_without_scripts(browser, report, tmp_path):
    file = tmp_path / "report.html"
    report.to_html(file)
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(file.as_uri())
    assert not page.locator("#tools").is_visible()
    assert page.locator(".findings table").count() > 3
    page.context.close()
