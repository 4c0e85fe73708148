"""Two samples compared: an estimate, its interval, a p-value, and what could have been detected.

Every comparison asks the same question: do the synthetic and the real rows have one distribution?
Most work on counts, which are all that a test needs of a table, however long it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
from scipy import special, stats

Z = float(stats.norm.ppf(0.975))
POWER = float(stats.norm.ppf(0.8))
Alternative = Literal["two-sided", "less", "greater"]


@dataclass(frozen=True)
class Comparison:
    """What a statistic says of two samples.

    Attributes:
        estimate: the statistic.
        low, high: its 95 % interval.
        null: its expected value if both samples had the same distribution.
        p: the chance of a statistic this far from `null` if both had the same distribution; None
            where no valid test is known, and the interval decides.
        detectable: the distance from `null` that is found in 80 % of cases, given the level of the
            test; None where nothing could be found.
        n: how many rows, real or synthetic, it rests on: the smaller number.
        side: 1 if only an estimate above `null` counts against the data, -1 if only one below, else 0.
        magnitude: whether it is a size that chance adds to, as noise adds to a length: the root of the
            sum of squares. Its true value under one distribution is 0, and `null` is chance's part.
    """

    estimate: float
    low: float
    high: float
    null: float
    p: float | None
    detectable: Callable[[float], float] | None
    n: int
    side: int = 0
    magnitude: bool = False

    def one_sided(self, side: int) -> "Comparison":
        """The same with only one direction tested, for a statistic with a symmetric distribution."""
        p = self.p
        if p is not None:
            p = p / 2 if side * (self.estimate - self.null) > 0 else 1 - p / 2
        return replace(self, side=side, p=p)


def from_z(
    estimate: float, se: float, n: int, *, null: float = 0.0, p: float | None = None
) -> Comparison:
    """A statistic that is close to normal with standard error `se`; two-sided.

    >>> round(from_z(0.3, 0.1, n=100).p, 4)
    0.0027
    """
    if p is None:
        p = float(2 * stats.norm.sf(abs(estimate - null) / se)) if se > 0 else 1.0
    return Comparison(
        estimate,
        estimate - Z * se,
        estimate + Z * se,
        null,
        p,
        lambda level: float((stats.norm.isf(level / 2) + POWER) * se),
        n,
    )


def interval_only(
    estimate: float, sd: float, n: int, *, null: float, floor: float | None = None
) -> Comparison:
    """A statistic with a standard deviation and no valid test.

    >>> interval_only(0.3, 0.1, 100, null=0.0).p is None
    True
    """
    low = estimate - Z * sd
    return Comparison(
        estimate,
        low if floor is None else max(low, floor),
        estimate + Z * sd,
        null,
        None,
        lambda level: float((Z + POWER) * sd),
        n,
    )


def shares(k: int, m: int, k_real: int, n: int, side: int = 0) -> Comparison:
    """k of m synthetic rows against k_real of n real ones: the difference of the two shares.

    The interval is Newcombe's (1998, method 10); the p-value is Fisher's exact one where a cell
    expects fewer than 50 rows, else that of the pooled z-test. Fisher's distribution is asymmetric where
    m and n differ, so that a one-sided p-value (`side` 1 or -1) is not half of the two-sided one.

    >>> round(shares(40, 100, 50, 100).estimate, 3)
    -0.1
    """
    if min(m, n) == 0:
        return Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)
    p1, p2, pooled = k / m, k_real / n, (k + k_real) / (m + n)
    low1, high1 = _wilson(k, m)
    low2, high2 = _wilson(k_real, n)
    difference = p1 - p2
    se = np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    if min(pooled, 1 - pooled) * min(m, n) < 50:
        asked: Alternative = "two-sided" if side == 0 else "greater" if side > 0 else "less"
        table = np.array([[k, m - k], [k_real, n - k_real]])
        p = float(stats.fisher_exact(table, asked).pvalue)
    elif side:
        p = float(stats.norm.sf(side * difference / se))
    else:
        p = float(2 * stats.norm.sf(abs(difference) / se))

    def detectable(level: float) -> float:
        # A share that grows varies more than the pooled one; where rows are few, one row more or
        # less on the smaller side is the least that can be told.
        effect = least = 1 / min(m, n)
        tail = level if side else level / 2
        for _ in range(20):
            p1 = min(pooled + effect, 1.0)
            both = (p1 * m + pooled * n) / (m + n)
            null_se = np.sqrt(both * (1 - both) * (1 / m + 1 / n))
            own_se = np.sqrt(p1 * (1 - p1) / m + pooled * (1 - pooled) / n)
            effect = max(stats.norm.isf(tail) * null_se + POWER * own_se, least)
        return float(effect + (1 / m + 1 / n) / 2)

    return Comparison(
        difference,
        difference - np.hypot(p1 - low1, high2 - p2),
        difference + np.hypot(high1 - p1, p2 - low2),
        0.0,
        min(p, 1.0),
        detectable,
        min(m, n),
        side,
    )


def _wilson(k: int, n: int) -> tuple[float, float]:
    p, z2 = k / n, Z * Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return centre - half, centre + half


def total_variation(synthetic: np.ndarray, real: np.ndarray) -> float:
    """Half the summed absolute difference of two sets of counts as shares: 0 alike, 1 disjoint.

    >>> total_variation(np.array([50, 50]), np.array([75, 25]))
    0.25
    """
    return float(np.abs(synthetic / synthetic.sum() - real / real.sum()).sum() / 2)


def expected_total_variation(counts: np.ndarray, m: int, n: int) -> float:
    """Total variation of m against n rows of one distribution whose pooled counts are `counts`.

    Each share differs by about N(0, p (1 - p) (1/m + 1/n)), whose mean size is sd sqrt(2 / pi).

    >>> round(expected_total_variation(np.array([50, 50]), 100, 100), 3)
    0.056
    """
    p = counts / counts.sum()
    return float(np.sqrt(p * (1 - p) * (1 / m + 1 / n) * 2 / np.pi).sum() / 2)


def counts(synthetic: np.ndarray, real: np.ndarray) -> Comparison:
    """Two sets of counts (cells,) by total variation, with the chi-squared test of homogeneity.

    In sparse tables the statistic has another mean and variance than chi-squared's; the test uses the exact
    ones (`chi_squared_moments`). Cells that are too rare even for that are tested as one.

    >>> round(counts(np.array([50, 50]), np.array([80, 20])).estimate, 3)
    0.3
    """
    synthetic, real = synthetic.ravel(), real.ravel()
    filled = synthetic + real > 0
    synthetic, real = synthetic[filled], real[filled]
    m, n = int(synthetic.sum()), int(real.sum())
    if min(m, n) == 0:
        return Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)
    estimate = total_variation(synthetic, real)
    pooled = synthetic + real
    least = float(least_rows(np.array(m / (m + n))))
    rare = pooled < least
    table = np.stack([synthetic[~rare], real[~rare]])
    if rare.any():
        table = np.column_stack([table, [synthetic[rare].sum(), real[rare].sum()]])
        if table[:, -1].sum() < least and table.shape[1] > 2:
            smallest = np.argmin(table[:, :-1].sum(axis=0))  # too rare even together: join the next
            table[:, smallest] += table[:, -1]
            table = table[:, :-1]
    expected = table.sum(axis=0) * np.array([[m], [n]]) / (m + n)
    chi2 = float(((table - expected) ** 2 / expected).sum())
    test = ChiSquared(chi2, *chi_squared_moments(table.sum(axis=0), m, n))
    p, detectable = 1.0, None
    # What chance adds to the estimate lies between nothing and what it adds under one distribution;
    # the interval allows for both, else it would leave out the truth wherever most cells do not differ.
    null, sd = expected_total_variation(pooled, m, n), _spread(synthetic / m, real / n, m, n)
    high = min(estimate + Z * sd, 1.0)
    if test.variance > 0:
        p = float(test.p)
        # Of all shifts with one chi^2, that spread evenly over the cells has the largest total variation.
        # Of a cell with t rows, chi^2 shows only t - 1 parts in t.
        seen = table.sum(axis=0)[table.sum(axis=0) > 1]
        df, reach = float(test.df), float(test.scale * (seen**2 / (seen - 1)).sum()) / (m * n)

        def detectable(level: float) -> float:
            return float(min(np.sqrt(noncentrality(level, df) * reach) / 2, 1.0))

        # The largest shift under which so small a chi^2 would still come in 2.5 % of cases, and what may
        # differ among the rare cells, which were taken together.
        among = float(np.abs(synthetic / m - real / n)[rare].sum()) / 2
        high = min(high, among + max(float(test.upper) * reach, 0.0) ** 0.5 / 2)
        high = max(high, max(estimate**2 - null**2, 0.0) ** 0.5)
    return Comparison(
        estimate,
        max(estimate - null - Z * sd, 0.0),
        high,
        null,
        p,
        detectable,
        min(m, n),
        magnitude=True,
    )


def least_rows(share: np.ndarray) -> np.ndarray:
    """How many rows a cell must have to be tested by itself, by its expected share (k,) of synthetic rows.

    The excess kurtosis of the binomial distribution of its rows over the two tables is then at most 1/4:
    else a rare cell's part of chi-squared may be huge.

    >>> least_rows(np.array([0.5, 0.1])).round(1).tolist()
    [2.0, 20.4]
    """
    both = np.maximum(share * (1 - share), 1e-12)
    return np.asarray(np.maximum(2.0, 4 * (1 - 6 * both) / both))


Numbers = Any  # a float, or an array of one for each table (tables,)


@dataclass(frozen=True)
class ChiSquared:
    """A statistic that is near a multiple of a chi-squared variable, by its mean and variance.

    Of one table, or of several at once (tables,).

    >>> float(ChiSquared(3.841, mean=1, variance=2).p.round(3))
    0.05
    """

    statistic: Numbers
    mean: Numbers
    variance: Numbers

    @property
    def scale(self) -> Numbers:
        return self.variance / (2 * self.mean)

    @property
    def df(self) -> Numbers:
        """Degrees of freedom."""
        return 2 * self.mean**2 / self.variance

    @property
    def p(self) -> Numbers:
        return special.chdtrc(self.df, self.statistic / self.scale)

    @property
    def upper(self) -> Numbers:
        """The largest noncentrality under which so small a statistic would still come in 2.5 % of cases."""
        return _largest_noncentrality(self.statistic / self.scale, self.df)


def chi_squared_moments(cells: np.ndarray, m: int, n: int) -> tuple[float, float]:
    """Mean and variance of chi-squared for two samples of m and n rows with these pooled counts (cells,).

    Given both margins, over all ways to deal the rows to the samples. 0 and 0 where there is nothing to
    compare. Dawson 1954, DOI 10.1093/biomet/41.3-4.391.

    >>> [round(moment, 3) for moment in chi_squared_moments(np.array([50, 50]), 40, 60)]
    [1.01, 2.017]
    """
    rows, k = m + n, len(cells)
    if rows < 4 or k < 2:
        return 0.0, 0.0
    by_side = (rows * (1 / m + 1 / n) - 4) / (rows - 2)
    by_cell = (rows * float((1 / cells).sum()) - k**2) / (rows - 2)
    both = ((rows - 2) / (rows - 1) - by_side) * ((rows - k) * (k - 1) / (rows - 1) - by_cell)
    variance = 2 * rows / (rows - 3) * both + rows**2 / (rows - 1) * by_side * by_cell
    return rows * (k - 1) / (rows - 1), variance if variance > 1e-9 else 0.0


def _largest_noncentrality(chi2: Numbers, df: Numbers) -> Numbers:
    """The upper end of the 95 % interval of a chi-squared statistic's noncentrality.

    By Patnaik's match of two moments, as in `noncentrality`.
    """
    low, high = 0.0 * chi2, 4.0 * (chi2 + 10)
    for _ in range(40):
        middle = (low + high) / 2
        scale = (df + 2 * middle) / (df + middle)
        under = special.chdtr((df + middle) / scale, chi2 / scale) > 0.025
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return high


def _spread(share: np.ndarray, share_real: np.ndarray, m: int, n: int) -> float:
    """The standard deviation of a total variation: of the differences, their signs held fixed."""
    sign = np.where(share < share_real, -1, 1)
    variances = [(1 - (sign @ p) ** 2) / rows for p, rows in ((share, m), (share_real, n))]
    return float(np.sqrt(max(sum(variances), 0.0))) / 2


def noncentrality(level: float, df: float) -> float:
    """The noncentrality at which a chi-squared test of this level finds 80 %.

    By Patnaik's match of two moments, which is within 3 % of the exact one here and far faster.

    >>> round(noncentrality(0.05, 10), 1)
    16.2
    """
    return _noncentrality(level, round(df, 1))


@cache
def _noncentrality(level: float, df: float) -> float:
    threshold = float(special.chdtri(df, level))
    low, high = 0.0, 4.0 * (threshold + 10)
    for _ in range(40):
        middle = (low + high) / 2
        scale = (df + 2 * middle) / (df + middle)
        power = special.chdtrc((df + middle) / scale, threshold / scale)
        low, high = (middle, high) if power < 0.8 else (low, middle)
    return high


def kolmogorov_smirnov(synthetic: np.ndarray, real: np.ndarray) -> Comparison:
    """The largest distance of two empirical distribution functions, with its asymptotic test.

    >>> round(kolmogorov_smirnov(np.arange(100.0), np.arange(100.0) + 20).estimate, 6)
    0.2
    """
    m, n = len(synthetic), len(real)
    result = stats.ks_2samp(synthetic, real, method="asymp")
    at = result.statistic_location
    below, below_real = (synthetic <= at).mean(), (real <= at).mean()
    sd = np.sqrt(below * (1 - below) / m + below_real * (1 - below_real) / n)
    width = np.sqrt(1 / m + 1 / n)
    return Comparison(
        float(result.statistic),
        float(max(result.statistic - Z * sd, 0)),
        float(min(result.statistic + Z * sd, 1)),
        float(np.sqrt(np.pi / 2) * np.log(2) * width),  # the mean of Kolmogorov's distribution
        float(result.pvalue),
        lambda level: float((stats.kstwobign.isf(level) + POWER / 2) * width),
        min(m, n),
        magnitude=True,
    )


def permuted(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    synthetic: np.ndarray,
    real: np.ndarray,
    rng: np.random.Generator,
    draws: int = 999,
) -> Comparison:
    """Any statistic of two sets of counts, tested by dealing the pooled rows out again.

    Args:
        statistic: maps counts (draws, *cells) of both sides to numbers (draws,).
        synthetic, real: counts of one shape.

    >>> def gap(synthetic, real):
    ...     return synthetic[:, 0] - real[:, 0]
    ...
    >>> permuted(gap, np.array([50, 50]), np.array([80, 20]), np.random.default_rng(0)).estimate
    -30.0
    """
    shape, m, n = synthetic.shape, int(synthetic.sum()), int(real.sum())
    if min(m, n) == 0:
        return Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)
    estimate = float(statistic(synthetic[None], real[None])[0])
    pooled = (synthetic + real).ravel()
    dealt = rng.multivariate_hypergeometric(pooled, m, draws, method="marginals")
    null = statistic(dealt.reshape(-1, *shape), (pooled - dealt).reshape(-1, *shape))
    again = statistic(
        rng.multinomial(m, synthetic.ravel() / m, 200).reshape(-1, *shape),
        rng.multinomial(n, real.ravel() / n, 200).reshape(-1, *shape),
    )
    centre, sd = float(null.mean()), float(null.std(ddof=1))
    half = Z * float(again.std(ddof=1))
    return Comparison(
        estimate,
        estimate - half,
        estimate + half,
        centre,
        permutation_p(abs(estimate - centre), np.abs(null - centre)),
        lambda level: permutation_threshold(level, np.abs(null - centre)) + float(POWER * sd),
        min(m, n),
    )


def permutation_p(observed: float, null: np.ndarray) -> float:
    """The share of `null` at or above `observed`, and below the reach of the draws an estimate.

    B draws cannot tell a p-value under 1 / (B + 1), and many tests at once ask for smaller ones.
    Where fewer than ten draws reach the observed value, the tail is taken to fall exponentially from
    the upper tenth of the draws on. A normal tail falls faster, so that p is then too large; that of
    a chi-squared statistic with one degree of freedom falls more slowly, and p can be too small by a
    factor of two at 1 in 4,000.

    Source: Knijnenburg et al. 2009, "Fewer permutations, more accurate P-values", with the
    generalised Pareto tail's shape fixed at zero.

    >>> permutation_p(0.5, np.linspace(0, 1, 999))
    0.5
    """
    beyond = int((null >= observed).sum())
    if beyond >= 10:
        return (beyond + 1) / (len(null) + 1)
    threshold = float(np.quantile(null, 0.9))
    excess = null[null > threshold] - threshold
    if not len(excess) or excess.mean() <= 0:
        return (beyond + 1) / (len(null) + 1)
    return float(0.1 * np.exp(-(observed - threshold) / excess.mean()))


def permutation_threshold(level: float, null: np.ndarray) -> float:
    """The value from which on `permutation_p` is below `level`.

    >>> round(permutation_threshold(0.1, np.linspace(0, 1, 999)), 3)
    0.9
    """
    upper = float(np.quantile(null, 0.9))
    if level * (len(null) + 1) >= 11:
        return float(np.quantile(null, 1 - level))
    excess = null[null > upper] - upper
    return upper + float(np.log(0.1 / level) * excess.mean()) if len(excess) else upper


def welch(synthetic: np.ndarray, real: np.ndarray, n: int) -> Comparison:
    """The difference of the means of two sets of independent values, by Welch's t-test.

    >>> welch(np.array([0.7, 0.8, 0.9]), np.array([0.7, 0.8, 0.9]), n=100).p
    1.0
    """
    synthetic, real = np.asarray(synthetic, float), np.asarray(real, float)
    synthetic, real = synthetic[np.isfinite(synthetic)], real[np.isfinite(real)]
    if min(len(synthetic), len(real)) < 3:
        return Comparison(np.nan, np.nan, np.nan, 0.0, None, None, n)
    estimate = float(synthetic.mean() - real.mean())
    a, b = synthetic.var(ddof=1) / len(synthetic), real.var(ddof=1) / len(real)
    se = float(np.sqrt(a + b))
    if se == 0:
        return Comparison(estimate, estimate, estimate, 0.0, float(estimate == 0), None, n)
    df = (a + b) ** 2 / (a**2 / (len(synthetic) - 1) + b**2 / (len(real) - 1))
    half = float(stats.t.ppf(0.975, df)) * se

    def detectable(level: float) -> float:
        # The noncentral t that exceeds the threshold in 80 % of cases, by its normal approximation.
        threshold = stats.t.isf(level / 2, df)
        spread = np.sqrt(1 + threshold**2 / (2 * df))
        return float((threshold * (1 - 1 / (4 * df)) + POWER * spread) * se)

    return Comparison(
        estimate,
        estimate - half,
        estimate + half,
        0.0,
        float(2 * stats.t.sf(abs(estimate) / se, df)),
        detectable,
        n,
    )


def area(above: np.ndarray, below: np.ndarray) -> float:
    """The area under the ROC curve: how often a score of `above` exceeds one of `below`; ties half.

    >>> area(np.array([2, 3]), np.array([1, 2]))
    0.875
    """
    ranks = stats.rankdata(np.concatenate([above, below]))[: len(above)]
    return float((ranks.mean() - (len(above) + 1) / 2) / len(below))


def placements(above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of `below` that each score of `above` exceeds, and of `above` that exceeds each of `below`.

    Ties count half. The mean of either is the area under the ROC curve, and their variances, each over its
    number of scores, add up to the variance of the area (DeLong et al. 1988).

    >>> placements(np.array([2, 3]), np.array([1, 2]))[0].tolist()
    [0.75, 1.0]
    """
    m, n = len(above), len(below)
    ranks = stats.rankdata(np.concatenate([above, below]))
    placed = (ranks[:m] - stats.rankdata(above)) / n
    placed_below = 1 - (ranks[m:] - stats.rankdata(below)) / m
    return placed, placed_below


def rank_sum(synthetic: np.ndarray, real: np.ndarray) -> Comparison:
    """The area under the ROC curve of scores, with the p-value of all permutations of the labels.

    For scores that were fixed before these rows were seen, the area is the Mann-Whitney statistic,
    whose mean 1/2 and variance under permutation are known, ties included. The interval is that of
    DeLong et al. 1988.

    >>> rank_sum(np.array([2, 3]), np.array([1, 2])).estimate
    0.875
    """
    m, n = len(synthetic), len(real)
    if min(m, n) < 2:
        return Comparison(np.nan, np.nan, np.nan, 0.5, None, None, min(m, n))
    ranks = stats.rankdata(np.concatenate([synthetic, real]))
    estimate = area(synthetic, real)
    # Var(mean rank of the m) = s^2 (1/m - 1/(m+n)); the area is that mean over n, but for a shift.
    null_sd = float(ranks.std(ddof=1)) * np.sqrt(1 / m - 1 / (m + n)) / n
    placed, placed_real = placements(synthetic, real)
    se = float(np.sqrt(placed.var(ddof=1) / m + placed_real.var(ddof=1) / n))
    p = float(2 * stats.norm.sf(abs(estimate - 0.5) / null_sd)) if null_sd > 0 else 1.0
    return Comparison(
        estimate,
        max(estimate - Z * se, 0.0),
        min(estimate + Z * se, 1.0),
        0.5,
        p,
        lambda level: float((stats.norm.isf(level / 2) + POWER) * null_sd),
        min(m, n),
    )
