"""What the page shows besides findings: reliability, nearest pairs, and a search that runs in a browser."""

import json

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, AuditReport, Finding, audit
from course_lib.audit.drawings import joint_pictures, matrices, reliability_picture
from course_lib.audit.evidence import Evidence
from course_lib.audit.nearest import nearest_pairs
from course_lib.audit.profile import Associations, Joint, Reliability
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


def made_up(*findings, **about):
    """A report of findings (family, verdict) without tables."""
    found = tuple(
        Finding(family, f"metric_{k}", f"slice {k}", verdict=verdict, method=f"method {k}")
        for k, (family, verdict) in enumerate(findings)
    )
    return AuditReport(found, None, (), about)


def test_privacy_comes_first_where_it_fails():
    sound = made_up(("structure", "fail"), ("privacy", "pass"))
    leaks = made_up(
        ("structure", "fail"), ("fidelity", "fail"), ("bias", "warn"), ("privacy", "fail")
    )
    assert sound.families[0] == "structure" and leaks.families[0] == "privacy"
    text = leaks.to_html()
    told = text[text.index('<ul class="found">') :]
    places = [
        told.index(f"<b>{name}:</b>") for name in ("Privacy", "Structure", "Fidelity", "Bias")
    ]
    assert places == sorted(places)
    assert text.index('<h3 id="privacy">') < text.index('<h3 id="structure">')
    assert [cause.split(":")[1] for cause in leaks.gate("warn").causes] == [
        " metric_3[slice 3]", " metric_0[slice 0]", " metric_1[slice 1]", " metric_2[slice 2]"
    ]  # fmt: skip


def test_each_family_that_stops_the_rows_has_a_line():
    both = [("privacy", "fail")] * 9 + [("bias", "fail"), ("privacy", "not testable")]
    text = made_up(*both).to_html()
    lines = text[text.index('class="policies"') : text.index('class="sign"')]
    assert "privacy: metric_0[slice 0] and 8 more; 1 could not be decided" in lines
    assert "bias: metric_9[slice 9]" in lines and "The policy needs" in lines
    assert made_up(*both).gate("fail").causes[1].startswith("fail: metric_9[slice 9]")


def test_a_report_without_harm_has_no_list_of_it():
    assert 'id="found"' not in made_up(("bias", "pass"), ("privacy", "not testable")).to_html()


def test_what_was_not_decided_is_folded():
    text = made_up(("bias", "underpowered"), ("bias", "not testable"), ("bias", "warn")).to_html()
    before, fold = text.split('<details class="fold only-undecided">')
    assert "slice 2" in before[before.index('<h3 id="bias">') :]
    assert "slice 0" not in before and "slice 0" in fold and "slice 1" in fold


def test_matrices_and_pairs_say_what_their_sides_are():
    names = ("age", "a very long name of a column", "<i>")
    for _, picture in matrices(Associations(names, (0.1, 0.2, 0.3), (0.3, 0.2, 0.1))):
        assert picture.count("<text") == 3 and ">age</text>" in picture
        assert "&lt;i&gt;</text>" in picture and "a very lo…lumn</text>" in picture
    pair = Joint(
        ("sex", "paid"), ("f", "m"), ("no", "yes"), ((0.2, 0.3), (0.1, 0.4)), ((0.5, 0),) * 2
    )
    assert len(joint_pictures(pair)) == 2
    report = audit(people(200, 0), people(100, 1), people(200, 2), progress=False)
    page = AuditReport(
        report.findings, report.schema, (), report.about, report.profiles, joints=(pair,)
    )
    text = page.to_html()
    assert text.count("down: <bdi>sex</bdi> (<bdi>f, m</bdi>)") == 2
    assert text.count("to the right: <bdi>paid</bdi> (<bdi>no, yes</bdi>)") == 2


def test_on_paper_the_decision_stands_on_the_first_sheet(browser, report, tmp_path):
    file = tmp_path / "report.html"
    report.to_html(file)
    # A sheet of US Letter, the lower of the usual ones, across, less its margins of 12 mm: in CSS pixels.
    page = browser.new_page(viewport={"width": 965, "height": 725})
    page.emulate_media(media="print")
    page.goto(file.as_uri())
    assert page.locator("dl.sign").is_visible()
    sign = page.locator("dl.sign").bounding_box()
    assert sign["y"] + sign["height"] <= 725
    assert page.locator(".paper").is_visible() and not page.locator("#tools").is_visible()
    assert page.locator("figure summary:visible").count() == 0
    picture = page.locator("#picture + figure img").bounding_box()
    assert picture["height"] < 600
    page.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--sample 0", "--sample 0: at least 100 rows of each table are needed."),
        ("--seed -3", "--seed -3 must be a whole number"),
        ("--entity nope", "There is no column 'nope' for --entity."),
        ("--aux nope", "--aux: There is no column called 'nope'"),
        ("--positive yes", "name the label, too, with --label"),
        ("--label approved --positive maybe", "--positive 'maybe' is not a level of the label"),
        ("--groups-of 3", "name them with --sensitive"),
        (
            "--bands age=30,18 --sensitive age",
            "bands of 'age': 30, 18. They must be numbers that rise",
        ),
        ("--bands age=30", "not one of the sensitive columns. Name it among them, too."),
        ("--nearest 2 --hide-rows", "--nearest 2 shows rows of people: do not hide the rows"),
        ("--nearest -1", "--nearest -1 must be the number of pairs"),
        ("--sample 100 --entity sex", "--entity needs the rows in memory"),
        ("--sample 100 --link a.k=b.k", "--sample: linked tables are read as a whole"),
        ("--html .", ". is a folder: name a file in it to write to."),
        ("--policy away.toml", "There is no policy file away.toml."),
    ],
)
def test_options_that_cannot_be_met_are_refused_in_one_sentence(
    tmp_path, monkeypatch, capsys, options, words
):
    monkeypatch.chdir(tmp_path)
    people(150, 0).to_csv("rows.csv", index=False)
    assert cli.main(["audit", "rows.csv", "rows.csv", "--quiet", *options.split()]) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and not said.out
