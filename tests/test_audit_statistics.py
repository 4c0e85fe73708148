"""Comparisons of two samples: p-values, intervals and detectable effects keep what they promise.

Every promise is tried in simulations of fixed seed. A share of R simulations has a standard error of
sqrt(p (1 - p) / R), and the tolerance is 3.5 of them, more only where a test is conservative by its
nature and no tighter bound holds.
"""

import numpy as np
import pytest
from scipy import stats

from course_lib.audit.checks.columns import tail_reach, wasserstein
from course_lib.audit.contingency import cramers_v
from course_lib.audit.statistics import (
    Comparison,
    area,
    chi_squared_moments,
    counts,
    expected_total_variation,
    from_z,
    interval_only,
    kolmogorov_smirnov,
    permutation_p,
    permuted,
    rank_sum,
    shares,
    total_variation,
    welch,
)

pytestmark = pytest.mark.slow  # simulations

RUNS = 1500
SMALL, LARGE = (40, 60), (2000, 3000)  # synthetic and real rows
LONE = 0.05 / 200  # what correction leaves to one of 200 tests


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def noise(share, runs=RUNS):
    return 3.5 * np.sqrt(share * (1 - share) / runs)


def drawn(comparison, rng, runs=RUNS):
    return [comparison(rng) for _ in range(runs)]


def p_below(comparisons, level):
    return np.mean([c.p < level for c in comparisons])


def gap_of_v(one, two):
    return cramers_v(one) - cramers_v(two)


def joint(v, cells=4):
    """Shares of a table of two columns whose Cramér's V is `v`."""
    flat = np.full((cells, cells), 1 / cells**2)
    return (flat + v * (np.eye(cells) / cells - flat)).ravel()


def table(rng, n, v):
    return rng.multinomial(n, joint(v)).reshape(4, 4)


# --- one distribution ----------------------------------------------------------------------------

MANY = np.geomspace(1, 30, 80) / np.geomspace(1, 30, 80).sum()
# Comparisons of m and n draws of one distribution, and whether their test is exact (or nearly) at small n.
ONE_LAW = {
    "shares, common": (lambda g, m, n: shares(g.binomial(m, 0.4), m, g.binomial(n, 0.4), n), False),
    "shares, rare": (lambda g, m, n: shares(g.binomial(m, 0.03), m, g.binomial(n, 0.03), n), False),
    "counts, 3": (
        lambda g, m, n: counts(
            g.multinomial(m, [0.5, 0.3, 0.2]), g.multinomial(n, [0.5, 0.3, 0.2])
        ),
        True,
    ),
    "counts, 80": (
        lambda g, m, n: counts(g.multinomial(m, MANY), g.multinomial(n, MANY)),
        True,
    ),
    "rank_sum": (lambda g, m, n: rank_sum(g.normal(size=m), g.normal(size=n)), True),
    "rank_sum, ties": (lambda g, m, n: rank_sum(g.integers(0, 4, m), g.integers(0, 4, n)), True),
    "welch": (lambda g, m, n: welch(g.normal(size=m), 3 * g.normal(size=n), n), True),
    "kolmogorov_smirnov": (
        lambda g, m, n: kolmogorov_smirnov(g.normal(size=m), g.normal(size=n)),
        True,
    ),
    "permuted": (
        lambda g, m, n: permuted(gap_of_v, table(g, m, 0.3), table(g, n, 0.3), g, 199),
        True,
    ),
}


@pytest.mark.parametrize("rows", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", ONE_LAW)
def test_p_values_are_uniform_under_one_law(name, rows, rng):
    make, exact = ONE_LAW[name]
    found = drawn(lambda g: make(g, *rows), rng)
    for level in (0.01, 0.05, 0.2):
        share = p_below(found, level)
        assert share < level + noise(level)
        if exact or (rows == LARGE and name != "shares, rare"):
            assert share > level - noise(level) - 0.2 * level


@pytest.mark.parametrize("rows", [SMALL, LARGE], ids=["small", "large"])
def test_the_reach_of_a_tail_is_tested_conservatively(rows, rng):
    m, n = rows
    found = drawn(lambda g: tail_reach(g.normal(size=m), g.normal(size=n)), rng)
    for level in (0.01, 0.05):
        assert level / 10 < p_below(found, level) < level + noise(level)


# m and n, the share, and the side that is tested.
LOPSIDED = [(1000, 1000, 0.01, 1), (2000, 1000, 0.003, -1), (50_000, 1000, 0.002, -1)]


@pytest.mark.parametrize(("m", "n", "share", "side"), LOPSIDED)
def test_one_sided_shares_keep_their_level(m, n, share, side, rng):
    found = drawn(lambda g: shares(g.binomial(m, share), m, g.binomial(n, share), n, side), rng)
    for level in (0.01, 0.05):
        assert p_below(found, level) < level + noise(level)


def test_what_differs_only_in_rare_cells_is_found(rng):
    # Taken together, as cells that expect fewer than 5 rows are by custom, they do not differ at all.
    p, q = DISTANCES["only rare cells differ"]
    found = drawn(lambda g: counts(g.multinomial(300, p), g.multinomial(300, q)), rng, 300)
    assert p_below(found, 0.05) > 0.9
    assert not any(c.high < 0.05 for c in found)


@pytest.mark.parametrize(("m", "n"), [(40, 60), (30, 400)])
def test_the_moments_of_chi_squared_are_those_of_all_permutations(m, n, rng):
    cells = np.r_[np.full(30, 1), np.full(9, 2), m + n - 48]
    pool = np.repeat(np.arange(len(cells)), cells)
    expected = cells * m / (m + n)
    found = []
    for _ in range(4000):
        drawn_cells = np.bincount(rng.permutation(pool)[:m], minlength=len(cells))
        gap = (drawn_cells - expected) ** 2
        found.append((gap / expected + gap / (cells - expected)).sum())
    mean, variance = chi_squared_moments(cells, m, n)
    assert np.mean(found) == pytest.approx(mean, rel=0.02)
    assert np.var(found) == pytest.approx(variance, rel=0.15)


def test_a_one_sided_share_has_the_one_sided_p_of_fisher():
    exact = stats.fisher_exact([[8, 1992], [0, 1000]], "greater").pvalue
    assert shares(8, 2000, 0, 1000, side=1).p == pytest.approx(exact)


def test_expected_values_under_one_law(rng):
    p = np.array([0.4, 0.3, 0.2, 0.1])
    for m, n in ((200, 300), LARGE):
        found = drawn(lambda g, m=m, n=n: counts(g.multinomial(m, p), g.multinomial(n, p)), rng)
        mean, se = (f([c.estimate for c in found]) for f in (np.mean, np.std))
        tolerance = 3.5 * se / np.sqrt(RUNS) + 0.01 * mean
        assert mean == pytest.approx(expected_total_variation(p, m, n), abs=tolerance)
        assert mean == pytest.approx(np.mean([c.null for c in found]), abs=tolerance)
        for distance in (
            lambda g, m=m, n=n: kolmogorov_smirnov(g.normal(size=m), g.normal(size=n)),
            lambda g, m=m, n=n: wasserstein(g.normal(size=m), g.normal(size=n), 1.0, g),
        ):
            found = drawn(distance, rng, 300)
            mean, null = (
                np.mean([getattr(c, name) for c in found]) for name in ("estimate", "null")
            )
            assert mean == pytest.approx(null, rel=0.08)


# --- intervals -----------------------------------------------------------------------------------

# Comparisons of two distributions, the true value, and the least coverage of a 95 % interval that is asked.
TWO_LAWS = {
    "shares": (lambda g, m, n: shares(g.binomial(m, 0.1), m, g.binomial(n, 0.3), n), -0.2, 0.93),
    "shares, rare": (
        lambda g, m, n: shares(g.binomial(m, 0.02), m, g.binomial(n, 0.05), n),
        -0.03,
        0.93,
    ),
    "rank_sum": (
        lambda g, m, n: rank_sum(g.normal(1, size=m), g.normal(size=n)),
        stats.norm.cdf(1 / np.sqrt(2)),
        0.92,
    ),
    "welch": (lambda g, m, n: welch(g.normal(1, size=m), g.normal(0, 2, size=n), n), 1.0, 0.93),
    "kolmogorov_smirnov": (
        lambda g, m, n: kolmogorov_smirnov(g.normal(1, size=m), g.normal(size=n)),
        2 * stats.norm.cdf(0.5) - 1,
        0.85,  # the largest distance of two samples is biased upward
    ),
    "wasserstein": (
        lambda g, m, n: wasserstein(g.normal(0.5, size=m), g.normal(size=n), 1.0, g),
        0.5,
        0.88,
    ),
    "permuted": (
        lambda g, m, n: permuted(gap_of_v, table(g, m, 0.5), table(g, n, 0.3), g, 19),
        0.2,
        0.85,  # so is Cramér's V of few rows
    ),
}


@pytest.mark.parametrize("rows", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", TWO_LAWS)
def test_intervals_cover_the_truth(name, rows, rng):
    make, truth, least = TWO_LAWS[name]
    runs = 500
    found = drawn(lambda g: make(g, *rows), rng, runs)
    share = np.mean([c.low <= truth <= c.high for c in found])
    assert least - noise(0.95, runs) / 2 < share < 0.995
    assert all(c.low <= c.estimate <= c.high for c in found)


FLAT = np.full(40, 1 / 40)
DISTANCES = {  # the shares of both sides
    "half of the cells differ": ([0.4, 0.3, 0.2, 0.1], [0.2, 0.3, 0.2, 0.3]),
    "one of many cells differs": (FLAT + np.r_[0.02, -0.02, np.zeros(38)], FLAT),
    "nothing differs": (FLAT, FLAT),
    "only rare cells differ": (
        np.r_[np.full(4, 0.125), np.full(50, 0.009), np.full(50, 0.001)],
        np.r_[np.full(4, 0.125), np.full(50, 0.005), np.full(50, 0.005)],
    ),
}


@pytest.mark.parametrize("rows", [(100, 150), LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", DISTANCES)
def test_intervals_of_total_variation_cover_the_truth(name, rows, rng):
    # The estimate is biased upward, more so the more cells do not differ: the interval allows for it.
    (p, q), (m, n) = DISTANCES[name], rows
    truth = total_variation(np.array(p), np.array(q))
    found = drawn(lambda g: counts(g.multinomial(m, p), g.multinomial(n, q)), rng)
    assert np.mean([c.low <= truth <= c.high for c in found]) > 0.94
    assert all(0 <= c.low <= c.high <= 1 for c in found)
    # What is left of the estimate without chance's part, as `Finding.distance` has it, is in it.
    left = [max(c.estimate**2 - c.null**2, 0.0) ** 0.5 for c in found]
    assert all(c.low <= size <= c.high for c, size in zip(found, left, strict=True))


@pytest.mark.parametrize("draw", ["standard_cauchy", "normal"])
def test_a_small_p_value_of_wasserstein_is_counted_and_not_extrapolated(draw, rng):
    # With 99 draws alone, a tail judged from nine of them gave p < 0.001 where 0.02 was true.
    def one(g):
        synthetic, real = (getattr(g, draw)(size=150) for _ in range(2))
        return wasserstein(synthetic, real, 1.0, g)

    found = drawn(one, rng, 300)
    assert p_below(found, 0.05) <= 0.05 + noise(0.05, 300)
    assert p_below(found, 0.001) <= 1 / 300


def test_from_z_and_interval_only_are_their_formulas():
    c = from_z(0.3, 0.1, 50, null=0.1)
    assert (c.low, c.high) == pytest.approx((0.3 - 0.196, 0.3 + 0.196), abs=1e-4)
    assert c.p == pytest.approx(2 * stats.norm.sf(2))
    assert c.one_sided(1).p == pytest.approx(stats.norm.sf(2))
    assert c.one_sided(-1).p == pytest.approx(stats.norm.cdf(2))
    assert interval_only(0.1, 0.2, 9, null=0, floor=0.0).low == 0
    assert interval_only(0.1, 0.2, 9, null=0).p is None


# --- what could have been found ------------------------------------------------------------------


def power(make, level, rng, runs=600):
    return p_below(drawn(make, rng, runs), level)


@pytest.mark.parametrize("level", [0.05, LONE])
def test_a_detectable_difference_of_shares_is_found(level, rng):
    (m, n), p = LARGE, 0.3
    effect = shares(int(p * m), m, int(p * n), n).detectable(level)
    for sign in (-1, 1):
        found = power(
            lambda g, s=sign: shares(g.binomial(m, p + s * effect), m, g.binomial(n, p), n),
            level,
            rng,
        )
        assert found == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize("level", [0.05, LONE])
def test_a_detectable_growth_of_a_rare_share_is_found(level, rng):
    (m, n), p = LARGE, 0.02
    effect = shares(int(p * m), m, int(p * n), n).detectable(level)
    assert power(
        lambda g: shares(g.binomial(m, p + effect), m, g.binomial(n, p), n), level, rng
    ) > 0.8 - noise(0.8, 600)


@pytest.mark.parametrize("level", [0.05, LONE])
@pytest.mark.parametrize("cells", [4, 20])
def test_a_detectable_total_variation_is_found(cells, level, rng):
    m, n = LARGE
    p = np.full(cells, 1 / cells)
    effect = counts(rng.multinomial(m, p), rng.multinomial(n, p)).detectable(level)
    moved = p + np.tile([2, -2], cells // 2) * effect / cells  # spread evenly over the cells
    assert total_variation(moved, p) == pytest.approx(effect)
    found = power(lambda g: counts(g.multinomial(m, moved), g.multinomial(n, p)), level, rng)
    assert found == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize("level", [0.05, LONE])
def test_a_detectable_area_is_found(level, rng):
    for m, n in ((100, 150), LARGE):
        effect = rank_sum(rng.normal(size=m), rng.normal(size=n)).detectable(level)
        shift = np.sqrt(2) * stats.norm.ppf(0.5 + effect)
        found = power(
            lambda g, m=m, n=n, s=shift: rank_sum(g.normal(s, size=m), g.normal(size=n)), level, rng
        )
        assert found == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("level", [0.05, LONE])
@pytest.mark.parametrize("models", [10, 100])
def test_a_detectable_difference_of_means_is_found(models, level, rng):
    effect = np.mean(
        [welch(*rng.normal(size=(2, models)), models).detectable(level) for _ in range(200)]
    )
    found = power(
        lambda g: welch(g.normal(effect, size=models), g.normal(size=models), models), level, rng
    )
    assert found == pytest.approx(0.8, abs=0.12 if models == 10 else 0.06)


@pytest.mark.parametrize("level", [0.05, LONE])
def test_a_detectable_z_is_found(level, rng):
    effect = from_z(0, 0.3, 10).detectable(level)
    found = power(lambda g: from_z(g.normal(effect, 0.3), 0.3, 10), level, rng)
    assert found == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("level", [0.05, LONE])
def test_a_detectable_distance_or_reach_is_found_at_least_as_often(level, rng):
    # Both allow for the least favourable way to differ, so that most are found more often.
    m, n = LARGE
    effect = kolmogorov_smirnov(rng.normal(size=m), rng.normal(size=n)).detectable(level)
    shift = 2 * stats.norm.ppf((1 + effect) / 2)
    make = lambda g: kolmogorov_smirnov(g.normal(shift, size=m), g.normal(size=n))  # noqa: E731
    assert power(make, level, rng, 300) > 0.75
    share = tail_reach(rng.normal(size=m), rng.normal(size=n)).detectable(level)

    def far(g):
        beyond = g.random(m) < share
        return tail_reach(np.where(beyond, 99, g.normal(size=m)), g.normal(size=n))

    assert power(far, level, rng, 300) > 0.75


def found_by_permutation(level, rng):
    m, n, v = *LARGE, 0.3
    effect = permuted(gap_of_v, table(rng, m, v), table(rng, n, v), rng).detectable(level)
    make = lambda g: permuted(gap_of_v, table(g, m, v + effect), table(g, n, v), g)  # noqa: E731
    return power(make, level, rng, 200)


def test_a_detectable_change_of_association_is_found(rng):
    assert found_by_permutation(0.05, rng) == pytest.approx(0.8, abs=0.11)


def test_a_detectable_change_of_association_is_found_among_many_tests(rng):
    assert found_by_permutation(LONE, rng) > 0.7


# --- tails of permutations -----------------------------------------------------------------------


# The tail is taken to be exponential, which that of chi-squared with five degrees of freedom nearly
# is; a normal tail is lighter, and that of one degree of freedom heavier.
TAILS = {
    "half-normal": (stats.halfnorm(), 0.5),
    "5": (stats.chi2(5), 1.25),
    "1": (stats.chi2(1), 2.0),
}


@pytest.mark.parametrize("name", TAILS)
def test_the_tail_of_permutations_keeps_its_level(name, rng):
    tail, most = TAILS[name]
    at = tail.isf(np.geomspace(1e-2, 1e-7, 100))
    levels = []
    for _ in range(150):
        null = tail.rvs(999, random_state=rng)
        p = np.array([permutation_p(value, null) for value in at])
        levels.append(tail.sf(at[np.argmax(p <= LONE)]))
    assert np.mean(levels) < most * LONE


def test_permutation_p_counts_where_it_can():
    null = np.arange(999.0)
    assert permutation_p(-1, null) == 1
    assert permutation_p(900, null) == pytest.approx(0.1)
    assert permutation_p(2000, null) < 1 / 1000
    assert permutation_p(5, np.full(999, 5.0)) == 1
    assert permutation_p(6, np.full(999, 5.0)) == 1 / 1000  # no tail to go by


def test_p_falls_as_the_statistic_grows():
    null = np.random.default_rng(0).normal(size=999)
    p = [permutation_p(value, null) for value in np.linspace(0, 8, 200)]
    assert all(0 < each <= 1 for each in p)
    assert np.all(
        np.diff(p) < 0.005
    )  # where counting ends and the tail begins it may rise by a little


# --- edges ---------------------------------------------------------------------------------------

NOTHING = {
    "shares": shares(0, 0, 3, 10),
    "counts": counts(np.zeros(3, int), np.array([1, 2, 3])),
    "permuted": permuted(
        gap_of_v, np.zeros((2, 2), int), np.ones((2, 2), int), np.random.default_rng(0)
    ),
    "welch": welch([1.0, 2.0], [1.0, 2.0, 3.0], 2),
    "welch, no numbers": welch([np.nan] * 5, [1.0, 2.0, 3.0], 2),
    "rank_sum": rank_sum(np.array([1.0]), np.array([1.0, 2.0])),
}


@pytest.mark.parametrize("name", NOTHING)
def test_an_empty_side_says_nothing(name):
    found = NOTHING[name]
    assert isinstance(found, Comparison)
    assert np.isnan(found.estimate)
    assert found.p is None
    assert found.detectable is None


def test_sides_that_are_equal_have_a_p_of_one(rng):
    assert shares(0, 50, 0, 70).p == 1
    assert shares(50, 50, 70, 70).p == 1
    assert counts(np.array([9, 0]), np.array([12, 0])).p == 1
    assert counts(np.array([30, 20]), np.array([60, 40])).p == pytest.approx(1)
    assert welch([1.0] * 4, [1.0] * 5, 4).p == 1
    assert rank_sum(np.zeros(9), np.zeros(7)).p == 1
    assert area(np.zeros(9), np.zeros(7)) == 0.5
    assert from_z(0.0, 0.0, 5).p == 1
    alike = permuted(gap_of_v, np.array([[5, 0], [0, 0]]), np.array([[9, 0], [0, 0]]), rng)
    assert (alike.estimate, alike.p) == (0, 1)


def test_nothing_is_claimed_to_be_visible_that_no_row_could_show():
    assert shares(0, 50, 0, 70).detectable(0.05) >= 1 / 50
    assert welch([1.0] * 4, [2.0] * 5, 4).p == 0
    assert rank_sum(np.ones(9), np.zeros(7)).estimate == 1
    found = shares(0, 50, 70, 70)
    assert found.estimate == -1
    assert -1 <= found.low < found.high < -0.8
    disjoint = counts(np.array([50, 0]), np.array([0, 70]))
    assert (disjoint.estimate, disjoint.high) == (1, 1)
    assert disjoint.p < 1e-20


def test_cells_too_rare_for_a_test_are_joined(rng):
    # 40 cells of one row each and two large ones: a test of the 42 would be far off.
    synthetic = np.r_[np.repeat([1, 0], 20), 500, 500]
    real = np.r_[np.repeat([0, 1], 20), 500, 500]
    assert counts(synthetic, real).p > 0.5
    # Even together they are too rare here, and join the next.
    assert counts(np.array([2, 300, 400]), np.array([0, 310, 390])).p > 0.3
