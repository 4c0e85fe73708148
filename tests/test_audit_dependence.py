"""Pairs given their margins: calibrated where only a column moved; lost dependence is found."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from course_lib.audit import audit
from course_lib.audit.dependence import beyond_margins, given_margins, given_pairs
from course_lib.audit.statistics import ChiSquared
from course_lib.audit.values import Values

DRAWS = 150


def cells(rows, columns, shift, slope=0.15):
    """Shares of a table whose rows and columns depend on each other, its rows shifted."""
    apart = np.subtract.outer(np.arange(rows), np.arange(columns))
    shares = np.exp(-slope * apart**2 + shift * np.linspace(-1, 1, rows)[:, None])
    return shares / shares.sum()


def drawn(shares, rows, rng):
    return rng.multinomial(rows, shares.ravel()).reshape(shares.shape)


def compared(made, real):
    (found,) = given_margins([made], [real])
    return found


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(("m", "n"), [(300, 300), (3000, 3000), (300, 3000)])
def test_alarms_stay_at_their_level_whether_or_not_a_margin_moved(m, n, shift):
    """150 draws each: 5 % expected, and a share above 11 % would come in 1 of 1,000 such tests."""
    rng = np.random.default_rng([m, n, shift])
    one, two = cells(8, 8, shift), cells(8, 8, 0)
    p = [compared(drawn(one, m, rng), drawn(two, n, rng)).p for _ in range(DRAWS)]
    assert np.mean(np.less(p, 0.05)) <= 0.11
    assert np.mean(np.less(p, 0.01)) <= 0.045


def test_lost_dependence_is_found_at_the_strength_that_is_told():
    rng = np.random.default_rng(0)
    with_, without = cells(4, 4, 1, 0.1), cells(4, 4, 0, 0.0)
    found = [compared(drawn(with_, 2000, rng), drawn(without, 2000, rng)) for _ in range(50)]
    assert np.mean([each.p < 0.05 for each in found]) >= 0.95
    told = found[0].detectable(0.05)
    (truth,) = beyond_margins([10**7 * with_], [10**7 * without])
    assert told < truth
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.9


def test_of_large_tables_it_is_the_likelihood_ratio_test_of_no_three_way_interaction():
    rng = np.random.default_rng(1)
    made, real = (drawn(cells(3, 4, shift), 50_000, rng) for shift in (0.5, 0))
    table = np.stack([made, real]).astype(float)
    fitted = np.ones_like(table)
    for _ in range(500):  # iterative proportional fitting to the three margins of two
        for axis in range(3):
            fitted *= table.sum(axis, keepdims=True) / fitted.sum(axis, keepdims=True)
    ratio = 2 * (table * np.log(table / fitted)).sum()
    assert compared(made, real).p == pytest.approx(stats.chi2.sf(ratio, 6), rel=0.01)


def fields(found):
    numbers = [found.estimate, found.low, found.high, found.null, found.p, found.n]
    numbers.append(found.detectable(0.01) if found.detectable else None)
    return [-1.0 if number is None else number for number in numbers]


@pytest.mark.parametrize(("order", "compare"), [(1, given_margins), (2, given_pairs)])
def test_many_tables_at_once_get_what_each_gets_alone(order, compare):
    """Tables of other shapes, sparse, empty on one side or with levels that one side lacks."""
    rng = np.random.default_rng(order)
    made, real = [], []
    for _ in range(150):
        shape = rng.integers(1, 9 if order == 1 else 5, order + 1)
        shares = rng.dirichlet(np.full(np.prod(shape), rng.choice([0.1, 3.0])))
        for side in (made, real):
            side.append(
                rng.multinomial(rng.choice([0, 30, 3000], p=[0.1, 0.3, 0.6]), shares).reshape(shape)
            )
    together = compare(made, real)
    for found, one, two in zip(together, made, real, strict=True):
        (alone,) = compare([one], [two])
        assert fields(found) == pytest.approx(fields(alone), rel=1e-6, abs=1e-6, nan_ok=True)
    assert sum(each.detectable is not None for each in together) >= 10


def test_the_mean_and_variance_of_chi_squared_are_those_of_all_cells_written_out():
    """Of tables without rare cells: the residuals' covariance matrix, from a regression on dummies."""
    rng = np.random.default_rng(3)
    made, real = (drawn(cells(3, 4, shift), 4000, rng) for shift in (0.5, 0))
    total, share = (made + real).ravel(), np.full(12, 0.5)
    row, column = np.indices((3, 4)).reshape(2, -1)
    design = np.column_stack([np.eye(3)[row], np.eye(4)[column][:, 1:]])
    for _ in range(20):
        weight = total * share * (1 - share)
        step = made.ravel() - total * share
        effects = np.log(share / (1 - share)) + step / weight
        fit = np.linalg.lstsq(
            np.sqrt(weight)[:, None] * design, np.sqrt(weight) * effects, rcond=None
        )
        share = 1 / (1 + np.exp(-design @ fit[0]))
    weight = total * share * (1 - share)
    hat = design @ np.linalg.inv((design.T * weight) @ design) @ design.T
    grown = 1 / (1 - share * (1 - share) * np.diag(hat))
    root = np.sqrt(weight)
    left = (np.eye(12) - np.outer(root, root) * hat) * np.sqrt(np.outer(grown, grown))
    skew = ((1 - 2 * share)[:, None] * design).sum(0)
    bent = skew @ np.linalg.inv((design.T * weight) @ design) @ skew
    mean = np.trace(left)
    fourth = (1 - 6 * share * (1 - share)) / weight
    variance = 2 * (left**2).sum() + np.diag(left) ** 2 @ fourth - bent * mean / 12
    statistic = ((made.ravel() - total * share) ** 2 / weight).sum()
    assert compared(made, real).p == pytest.approx(
        ChiSquared(statistic, mean, variance).p, rel=1e-6
    )


def test_what_both_sides_lack_or_only_one_has_is_left_out():
    made, real = np.array([[30, 10, 5], [10, 30, 0]]), np.array([[30, 10, 0], [10, 30, 0]])
    assert compared(made, real).estimate == pytest.approx(0, abs=1e-6)
    assert np.isnan(compared(made, 0 * real).estimate)
    assert compared(made[:1], real[:1]).estimate == 0


def test_a_chi_squared_variable_has_its_own_p_value():
    assert ChiSquared(7.0, 3.0, 6.0).p == pytest.approx(stats.chi2.sf(7, 3))
    assert ChiSquared(14.0, 6.0, 24.0).p == pytest.approx(stats.chi2.sf(7, 3))


def test_equal_values_stay_together_in_ranks():
    real = np.repeat([0.0, 1, 2, 3], [600, 200, 100, 100])
    made = np.repeat([0.0, 2, 4, 6, np.nan], [580, 220, 100, 90, 10])
    column = Values("x", "number", real, made)
    assert [len(np.unique(column.ranked[made == value])) for value in (0.0, 2, 4, 6)] == [1] * 4
    assert (column.ranked[made == 0] == column.coarse[0][real == 0][0]).all()
    assert (column.ranked[np.isnan(made)] == column.coarse[2] - 1).all()


# --- reports -------------------------------------------------------------------------------------


def earners(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    income = np.round(rng.lognormal(9 + age / 80, 0.5))
    flat = np.where(rng.random(n) < 1 / (1 + np.exp(9.5 - np.log(income))), "owned", "rented")
    region = rng.choice(["north", "south", "east"], n, p=[0.5, 0.3, 0.2])
    sex = rng.choice(["female", "male"], n)
    return pd.DataFrame({"age": age, "income": income, "flat": flat, "region": region, "sex": sex})


def more_of_the_south(table):
    many = earners(20_000, 2)
    weights = np.where(many["region"] == "south", 3, 1)
    return many.sample(len(table), weights=weights, random_state=0)


MOVED = {
    "income": lambda table: table.assign(income=table["income"] * 2),
    "age": lambda table: table.assign(age=table["age"] + 8),
    "region": more_of_the_south,
}


@pytest.mark.slow
@pytest.mark.parametrize("column", MOVED)
def test_a_column_that_moved_fails_alone(column):
    made = MOVED[column](earners(3000, 1))
    report = audit(earners(3000, 0), None, made, progress=False)
    pairs = report.table("fidelity")
    pairs = pairs[pairs["metric"] == "pair_total_variation"]
    assert not pairs["verdict"].isin(["fail", "warn"]).any()
    failed = report.table("fidelity", "fail")
    own = failed[failed["columns"].map(len) == 1]
    assert {name for names in own["columns"] for name in names} == {column}


@pytest.mark.slow
def test_a_column_that_moved_and_lost_its_dependence_fails_in_pairs_too():
    made = MOVED["income"](earners(3000, 1))
    made["income"] = made["income"].sample(frac=1, random_state=0).to_numpy()
    report = audit(earners(3000, 0), None, made, progress=False)
    assert report["pair_total_variation[age & income]"].verdict == "fail"
    assert report["pair_total_variation[income & flat]"].verdict == "fail"
    assert report["pair_total_variation[region & sex]"].verdict not in ("fail", "warn")
