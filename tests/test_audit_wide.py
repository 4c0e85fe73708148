"""Tables of so many columns that not each pair can be tested, nor each finding be listed."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from course_lib.audit import audit
from course_lib.audit.checks.pairs import TESTED
from course_lib.audit.contingency import all_pairs, pair_excess, tabulate
from course_lib.audit.finding import Draft, judge, measured
from course_lib.audit.page import LISTED
from course_lib.audit.statistics import expected_total_variation, shares

COLUMNS = 110


def wide(rows, seed):
    """Numbers that have a factor in common, of which the last two nearly agree."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 1)) + rng.normal(size=(rows, COLUMNS))
    numbers[:, -1] = numbers[:, -2] + 0.1 * rng.normal(size=rows)
    return pd.DataFrame(numbers, columns=[f"x{i}" for i in range(COLUMNS)])


@pytest.fixture(scope="module")
def report():
    train, holdout, synthetic = (wide(400, seed) for seed in range(3))
    synthetic["x109"] = synthetic["x109"].sample(frac=1, random_state=0).to_numpy()
    return audit(train, holdout, synthetic, progress=False)


@pytest.mark.slow
def test_the_pair_that_broke_is_named_and_one_pair_stands_for_those_that_differ_least(report):
    pairs = report.table("fidelity")
    pairs = pairs[pairs["metric"] == "pair_total_variation"]
    left = COLUMNS * (COLUMNS - 1) // 2 - TESTED
    assert len(pairs) == TESTED + 1
    assert report["pair_total_variation[x108 & x109]"].verdict == "fail"
    others = report[f"pair_total_variation[{left:,} other pairs]"]
    assert others.verdict not in ("fail", "warn")
    assert others.estimate < pairs["estimate"].quantile(0.1)
    assert any(f"{left + TESTED:,} pairs" in note for note in report.notes)


@pytest.mark.slow
def test_the_page_lists_the_gravest_and_says_how_many_it_leaves_out(report):
    page = report.to_html()
    passed = report.table("fidelity", "pass")
    assert len(passed) > LISTED
    assert f"{len(passed) - LISTED:,} more are not listed here" in page
    assert "x108 &amp; x109" in page
    assert len(page.encode()) < 3e6


def test_all_pairs_are_counted_as_each_is_alone():
    rng = np.random.default_rng(0)
    columns = [(rng.integers(k, size=300), rng.integers(k, size=200), k) for k in (2, 5, 9, 3)]
    excess = pair_excess(*zip(*columns, strict=True), 1000, rng)
    for i in range(4):
        for j in range(i + 1, 4):
            (real_one, made_one, a), (real_two, made_two, b) = columns[i], columns[j]
            real, made = tabulate(real_one, real_two, a, b), tabulate(made_one, made_two, a, b)
            chance = expected_total_variation((real + made).ravel(), 200, 300)
            gap, both = made / 200 - real / 300, (real + made) / 500
            moved = [
                gap.sum(axis, keepdims=True) / both.sum(axis, keepdims=True) for axis in (0, 1)
            ]
            left = np.minimum(abs(gap), abs(gap - both * (moved[0] + moved[1])))
            assert excess[i, j] == pytest.approx(left.sum() / 2 - chance, abs=1e-5)


@pytest.mark.parametrize("rows", [0, 1, 5000])
def test_pairs_of_bundled_columns_are_those_that_are_counted_alone(rows):
    rng = np.random.default_rng(rows)
    cells = [12, 2, 11, 3, 150, 1, 4, 12, 5]
    columns = [rng.integers(0, size, rows).astype(np.uint8) for size in cells]
    found = all_pairs(columns, cells)
    ends = np.cumsum(cells)
    for i, j in itertools.combinations(range(len(cells)), 2):
        block = found[ends[i] - cells[i] : ends[i], ends[j] - cells[j] : ends[j]]
        assert (block == tabulate(columns[i], columns[j], cells[i], cells[j])).all()


def test_the_correction_counts_the_pairs_that_were_not_tested():
    drafts = [
        measured("fidelity", "group_share", str(k), shares(k, 100, 50, 100), margin=0.1)
        for k in (20, 38, 48)
    ]
    p = [draft.finding.p for draft in drafts]
    drafts[-1] = Draft(drafts[-1].finding, drafts[-1].comparison, tests=98)
    q = [finding.q for finding in judge(drafts)]
    assert q == pytest.approx(false_discovery_control(p + [1.0] * 97)[:3])
