"""What the page draws: each column of both tables in a few cells, and how strongly pairs go together."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from course_lib.audit import AuditReport, audit
from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.drawings import (
    column_picture,
    drawn_first,
    in_words,
    joint_pictures,
    matrices,
)
from course_lib.audit.finding import Finding
from course_lib.audit.profile import Associations, Joint, Profile
from course_lib.audit.summaries import (
    BINS,
    LEVELS,
    MATRIX,
    summarise,
    summarise_joint,
    summarise_pairs,
)
from course_lib.audit.values import Values


def number(real, made, kind="number"):
    return Values("x", kind, np.asarray(real, float), np.asarray(made, float))


@settings(max_examples=150, deadline=None)
@given(
    arrays(float, st.integers(2, 90), elements=st.floats(allow_infinity=False)),
    arrays(float, st.integers(2, 90), elements=st.floats(allow_infinity=False)),
)
@pytest.mark.slow
def test_every_column_of_numbers_has_its_shares(real, made):
    if not np.isfinite(real).any():
        real[0] = 0.0
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        found = summarise(number(real, made))
    assert len(found.cells) == len(found.real) == len(found.synthetic) <= 3 * BINS
    assert sum(found.real) == pytest.approx(1, abs=0.01)
    assert sum(found.synthetic) == pytest.approx(1, abs=0.01)
    assert column_picture(found).startswith("<svg")


def test_bins_have_round_edges_and_open_ends():
    found = summarise(number(np.arange(1000) * 1.7, np.full(10, 5000.0)))
    assert found.cells[:2] == ("below 100", "100 to 200")
    assert found.cells[-1] == "1,600 and above" and found.synthetic[-1] == 1
    assert found.real[0] == pytest.approx(0.059) and found.real[1] == pytest.approx(0.059)


def test_few_values_have_a_cell_each():
    found = summarise(number([1, 2, 2, 4], [2, 2.9, 3.1, np.nan]))
    assert found.cells == ("1", "2", "4", "missing")
    assert found.real == (0.25, 0.5, 0.25, 0) and found.synthetic == (0, 0.5, 0.25, 0.25)


def test_many_ties_do_not_hide_the_rest():
    values = np.concatenate([np.zeros(5000), np.arange(1, 40)])
    found = summarise(number(values, values))
    assert found.real == found.synthetic and len(found.cells) > 1


def test_dates_are_told_as_dates():
    found = summarise(number(np.arange(18_000.0, 19_000), [18_500], "date"))
    assert found.cells[1] == "2019-06-03 to 2019-07-23"  # 50 days


def test_rare_levels_are_told_together():
    codes = np.repeat(np.arange(30), np.arange(30, 0, -1))
    levels = tuple(f"level {i}" for i in range(30))
    found = summarise(Values("city", "category", codes, codes[:60], levels, 30))
    assert found.cells[:1] == ("level 0",) and found.cells[-1] == "18 other levels"
    assert len(found.cells) == LEVELS + 1


def test_levels_of_many_digits_are_told_short():
    """A generator of real numbers in a column of few whole ones makes many such levels."""
    rng = np.random.default_rng(0)
    counts = pd.DataFrame({"payments": rng.integers(0, 4, 200), "amount": rng.normal(size=200)})
    made = counts.assign(payments=counts["payments"] + 1 / 3)
    report = audit(counts[:100], counts[100:], made, progress=False)
    (column,) = [each for each in report.profiles if each.name == "payments"]
    assert "0.3333…" in column.cells
    told = report["levels[payments]"].method
    assert "invented: '0.3333…', '1.333…'" in told and "3333333" not in told


def test_what_has_an_order_keeps_it():
    codes = np.array([2, 2, 2, 1, 1, 0])
    for levels in (("Mon", "Tue", "Wed"), ("2", "10", "100")):
        assert summarise(Values("x", "category", codes, codes, levels, 3)).cells == levels
    assert summarise(Values("x", "category", codes, codes, ("a", "b", "c"), 3)).cells[0] == "c"


def test_pairs_are_those_of_the_measure():
    rng = np.random.default_rng(0)
    columns = [
        Values(f"x{i}", "number", *rng.normal(size=(2, 300)).cumsum(axis=1)) for i in range(25)
    ]
    found = summarise_pairs(columns)
    assert len(found.names) == MATRIX and len(found.real) == MATRIX * (MATRIX - 1) / 2
    made, real = joint(columns[0], columns[1])
    assert found.real[0] == round(float(cramers_v(real)), 3)
    assert found.synthetic[0] == round(float(cramers_v(made)), 3)


HOSTILE = "<script>alert(1)</script>\" onload='x"


def test_names_cannot_leave_the_pictures():
    one = Profile(HOSTILE, "category", (HOSTILE, "b"), (0.5, 0.5), (1.0, 0.0))
    pictures = [
        column_picture(one),
        *dict(
            joint_pictures(Joint((HOSTILE, "y"), (HOSTILE,), ("a",), ((1.0,),), ((1.0,),)))
        ).values(),
        *dict(matrices(Associations((HOSTILE, "y"), (1,), (0,)))).values(),
    ]
    for picture in pictures:
        assert "<script" not in picture and "onload='" not in picture and '" onload' not in picture
    assert "50% of the real rows, 100% of the synthetic ones" in in_words(one)


def test_the_gravest_columns_come_first():
    profiles = tuple(Profile(name, "number", ("1",), (1.0,), (1.0,)) for name in "abc")
    found = (
        Finding("fidelity", "levels", "c", verdict="fail", columns=("c",)),
        Finding("fidelity", "levels", "b", columns=("b", "c")),
    )
    assert [each.name for each in drawn_first(profiles, found)] == ["c", "b", "a"]


@pytest.mark.slow
def test_a_whole_audit_is_drawn_and_survives_json():
    rng = np.random.default_rng(0)

    def table(shift):
        return pd.DataFrame(
            {
                "when": pd.Timestamp("2020-01-01")
                + pd.to_timedelta(rng.integers(0, 900, 200), "D"),
                "income": rng.lognormal(8 + shift, 1, 200),
                "sex": rng.choice(["f", "m"], 200),
                "same": "one",
            }
        )

    report = audit(table(0), table(0), table(1), progress=False)
    page = report.to_html()
    again = AuditReport.from_json(report.to_json())
    assert again == report and again.to_html() == page
    drawn = [each.name for each in report.profiles]
    assert {"when", "when: weekday", "income", "sex"} <= {*drawn}
    assert page.count('class="real" d=') == len(drawn) and "Synthetic less real" in page
    assert page.index("income: the shares differ most") < page.index("sex: the shares differ most")


def test_facts_are_those_of_the_column():
    found = summarise(number([1, 2, 3, np.nan], [10, 30]))
    assert {what: (real, made) for what, real, made in found.facts} == {
        "mean": ("2", "20"), "median": ("2", "20"), "standard deviation": ("0.8165", "10"),
        "lowest": ("1", "10"), "highest": ("3", "30"), "missing": ("25.0%", "0.0%"),
    }  # fmt: skip
    days = summarise(number([0.0, 31.0], [31.0], "date"))
    assert ("earliest", "1970-01-01", "1970-02-01") in days.facts
    sex = Values("sex", "category", np.array([0, 1, 1]), np.array([0, 0]), ("f", "m"), 2)
    assert summarise(sex).facts == (("different levels", "2", "1"),)


def test_where_rows_are_hidden_no_single_person_s_value_is_told():
    told = {what for what, *_ in summarise(number(np.arange(100), np.arange(100)), 5).facts}
    assert told == {"mean", "median", "standard deviation"}


def test_a_pair_is_drawn_cell_by_cell():
    rng = np.random.default_rng(0)
    x = number(rng.normal(size=500), rng.normal(size=300))
    sex = Values(
        "sex", "category", rng.integers(0, 2, 500), rng.integers(-1, 2, 300), ("f", "m"), 2
    )
    found = summarise_joint(x, sex)
    assert set(found.columns) == {"f", "m", "missing"}
    assert np.sum(found.real) == pytest.approx(1, abs=0.01) and len(found.rows) == len(found.real)
    at = found.columns.index("m")
    assert np.sum(found.synthetic, axis=0)[at] == pytest.approx(
        (sex.synthetic == 1).mean(), abs=0.002
    )
    assert found.rows[0].startswith("below") and found.rows[-1].endswith("and above")
    (_, picture), _ = joint_pictures(found)
    assert picture.count("<rect") == np.count_nonzero(found.real)
    assert "the shares differ most at" in picture


def test_the_edge_behind_a_heap_is_told_by_the_heap():
    heap = np.concatenate([np.zeros(400), np.arange(1, 200) / 7])
    found = summarise_joint(number(heap, heap), number(heap, heap))
    assert found.rows[0] == "up to 0" and "e-324" not in "".join(found.rows)


@pytest.mark.parametrize("scale", [0.5, 1.0, 20.0])
def test_no_cell_lies_below_all_values(scale):
    """A number that begins at 0 needs no cell below 0."""
    rng = np.random.default_rng(0)
    real, made = (scale * rng.exponential(size=400) for _ in range(2))
    real[:40] = 0
    found = summarise(Values("x", "number", real, made))
    assert not found.cells[0].startswith("below 0 ") and found.cells[0] != "below 0"
    assert found.real[0] + found.synthetic[0] > 0
    made[0] = -scale
    assert summarise(Values("x", "number", real, made)).cells[0] == "below 0"
