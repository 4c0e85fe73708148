"""Two tables of counts by their dependence alone: what differs between them beyond the margins."""

from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import special

from course_lib.audit.statistics import ChiSquared, Comparison, Z, interval_only, least_rows

FEW = (
    5  # rows that a level must be expected to have on the smaller side; those with fewer are joined
)
ROUNDS = 30  # of Newton's method at most
FURTHEST = 12.0  # log odds of a cell at most
LEAST = 0.5  # variance of the rarest cells together, from which on they are tested


class Cells(NamedTuple):
    """The cells that have rows in both tables' margins, one after the other (k,).

    Attributes:
        total: rows of both tables.
        share: the expected share of synthetic ones.
        odd: synthetic rows beyond what is expected.
        spread: the variance of `odd` by the fit, and `true`, before effects were fitted to it.
        design: which effects each has (k, effects).
        per_row: the share of the synthetic table by which it differs, for each row in `odd`.
    """

    total: np.ndarray
    share: np.ndarray
    odd: np.ndarray
    spread: np.ndarray
    true: np.ndarray
    design: np.ndarray
    per_row: np.ndarray


def given_margins(synthetic: np.ndarray, real: np.ndarray) -> Comparison:
    """Two tables of counts (rows, columns) by their dependence: what differs beyond the margins.

    The null hypothesis is that both have the same odds ratios, whatever their margins are ("no three-way
    interaction"): whether a row of data is synthetic depends on one effect of its level in one column and
    one of its level in the other, in a logistic regression. The estimate is the total variation of the
    synthetic table from the real one, weighted by these effects. So a column whose own shares changed does
    not make each of its pairs differ. Levels that one side lacks are left out, and levels that hardly
    occur are joined.

    The test is Pearson's chi-squared of the cells, with the mean and variance that it has in sparse
    tables. Cells too rare even for that are tested as one.

    Source: Bishop, Fienberg and Holland 1975, "Discrete multivariate analysis", for the hypothesis;
    McCullagh 1985 (International Statistical Review 53) and Osius and Rojek 1992 (JASA 87) for such
    moments.

    >>> round(given_margins(np.array([[60, 20], [15, 5]]), np.array([[40, 10], [40, 10]])).estimate, 6)
    0.0
    >>> round(given_margins(np.array([[40, 10], [10, 40]]), np.array([[25, 25], [25, 25]])).estimate, 2)
    0.3
    """
    return _given(*_joined(synthetic, real), 1)


def given_pairs(synthetic: np.ndarray, real: np.ndarray) -> Comparison:
    """Two tables of counts of three columns (a, b, c): what differs beyond the three pairs of columns.

    As `given_margins`, with one effect of each combination of two levels.

    >>> xor = np.array([[[50, 0], [0, 50]], [[0, 50], [50, 0]]])
    >>> given_pairs(xor, np.full((2, 2, 2), 25)).estimate
    0.5
    """
    return _given(synthetic, real, 2)


def beyond_margins(synthetic: np.ndarray, real: np.ndarray) -> float:
    """The estimate of `given_margins` alone; NaN where one table is empty.

    >>> round(beyond_margins(np.array([[40, 10], [10, 40]]), np.array([[25, 25], [25, 25]])), 2)
    0.3
    """
    if min(synthetic.sum(), real.sum()) == 0:
        return np.nan
    synthetic, real = _joined(synthetic, real)
    made, kept, design = _in_both(synthetic, real, 1)
    if not len(made):
        return 0.0
    share = _fitted(made, made + kept, design)[0]
    odd = made - (made + kept) * share
    return min(float(np.abs(odd / (1 - share)).sum() / (2 * synthetic.sum())), 1.0)


def _given(synthetic: np.ndarray, real: np.ndarray, order: int) -> Comparison:
    size, m = int(min(synthetic.sum(), real.sum())), int(synthetic.sum())
    if size == 0:
        return Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)
    made, kept, design = _in_both(synthetic, real, order)
    if not len(made):
        return interval_only(0.0, 0.0, size, null=0.0, floor=0.0)
    share, information = _fitted(made, made + kept, design)
    covariance = _covariance(information)
    cells = _cells(made, made + kept, share, design, covariance, m)
    estimate = float(np.abs(cells.odd * cells.per_row).sum() / 2)
    left = cells.true - cells.spread**2 * _variance(design, covariance)
    null = float((np.sqrt(np.maximum(left, 0) * 2 / np.pi) * cells.per_row).sum() / 2)
    sign = np.where(cells.odd < 0, -1, 1) * cells.per_row
    fitted = (sign * cells.spread) @ design
    sd = max(float(sign**2 @ cells.spread - fitted @ covariance @ fitted), 0.0) ** 0.5 / 2
    high, p, detectable = min(estimate + Z * sd, 1.0), 1.0, None
    rare = cells.total < least_rows(cells.share)
    test = _tested(cells, covariance, rare)
    if test.variance > 0:
        p = test.p
        # Of all differences with one chi^2, that spread over the cells as they vary has the largest total
        # variation. Of a cell with t rows, chi^2 shows only t - 1 parts in t.
        several = np.maximum(cells.total, 2)
        part = cells.spread * cells.per_row**2 * several / (several - 1)
        reach = test.scale * float(part[cells.total > 1].sum())

        def detectable(level: float) -> float:
            return float(min(np.sqrt(test.noncentrality(level) * reach) / 2, 1.0))

        among = float(np.abs(cells.odd * cells.per_row)[rare].sum()) / 2
        high = min(high, among + max(test.upper * reach, 0.0) ** 0.5 / 2)
        high = max(high, max(estimate**2 - null**2, 0.0) ** 0.5)
    return Comparison(
        min(estimate, 1.0),
        min(max(estimate - null - Z * sd, 0.0), high),
        high,
        min(null, 1.0),
        p,
        detectable,
        size,
        magnitude=True,
    )


def _joined(synthetic: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both tables (rows, columns), the levels that hardly occur as one."""
    for _ in range(2):
        both = synthetic.sum(1) + real.sum(1)
        few = both * min(synthetic.sum(), real.sum()) < FEW * both.sum()
        if few.sum() > 1:
            synthetic, real = (
                np.vstack([side[~few], side[few].sum(0)]) for side in (synthetic, real)
            )
        synthetic, real = synthetic.T, real.T
    return synthetic, real


def _in_both(
    synthetic: np.ndarray, real: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells (k,) of both tables whose margins are not empty on one side, and their design."""
    design = _design(synthetic.shape, order)
    made, kept = synthetic.ravel(), real.ravel()
    there = made + kept > 0
    while True:
        empty = (made[there] @ design[there] == 0) | (kept[there] @ design[there] == 0)
        left = there & ~(design[:, empty] > 0).any(axis=1)
        if (left == there).all():
            return made[there], kept[there], design[there]
        there = left


@cache
def _design(shape: tuple[int, ...], order: int) -> np.ndarray:
    """Which of the effects each cell has: one for each combination of levels of `order` columns."""
    levels = np.indices(shape).reshape(len(shape), -1)
    blocks = []
    for axes in combinations(range(len(shape)), order):
        code = np.ravel_multi_index([levels[axis] for axis in axes], [shape[axis] for axis in axes])
        blocks.append(np.eye(int(code.max()) + 1)[code])
    return np.concatenate(blocks, axis=1)


def _fitted(
    made: np.ndarray, total: np.ndarray, design: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Expected shares of synthetic rows (k,) by logistic regression, and the information on its effects."""
    target = made @ design
    of_each = total @ design
    used = of_each > 0
    blocks = design[0].sum()  # each cell has one effect of each block
    overall = special.logit(made.sum() / total.sum())
    effects = np.zeros(design.shape[1])
    effects[used] = special.logit(target[used] / of_each[used]) - overall * (1 - 1 / blocks)
    for _ in range(ROUNDS):
        share = special.expit(np.clip(design @ effects, -FURTHEST, FURTHEST))
        weight = total * share * (1 - share)
        information = (design * weight[:, None]).T @ design
        off = target - (total * share) @ design
        if np.abs(off).max() < 1e-5 * total.sum() ** 0.5:
            break
        ridge = 1e-9 * np.trace(information) * np.eye(len(effects))
        effects += np.clip(np.linalg.solve(information + ridge, off), -2, 2)
    return share, information


def _covariance(information: np.ndarray) -> np.ndarray:
    """Of the effects, those combinations left out that the table does not tell."""
    values, vectors = np.linalg.eigh(information)
    told = values > 1e-7 * values[-1]
    return np.asarray((vectors[:, told] / values[told]) @ vectors[:, told].T)


def _variance(design: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Of each cell's fitted log odds (k,)."""
    return np.asarray(np.einsum("ij,ij->i", design @ covariance, design))


def _cells(
    made: np.ndarray,
    total: np.ndarray,
    share: np.ndarray,
    design: np.ndarray,
    covariance: np.ndarray,
    m: int,
) -> Cells:
    binomial = share * (1 - share)
    # Shares that were fitted vary less than the true ones, as a sample does about its own mean: the
    # factor is n / (n - 1) where all cells have one share.
    grown = np.clip(1 - binomial * _variance(design, covariance), 0.2, 1)
    return Cells(
        total,
        share,
        made - total * share,
        total * binomial,
        total * binomial / grown,
        design,
        1 / (m * (1 - share)),
    )


def _tested(cells: Cells, covariance: np.ndarray, rare: np.ndarray) -> ChiSquared:
    """Pearson's chi-squared, the rare cells (k,) as one, with its mean and variance."""
    cell = np.where(rare, 0, np.cumsum(~rare))
    if cells.spread[rare].sum() < LEAST:  # too rare even together: not tested
        cell, cells = cell[~rare], Cells(*(part[~rare] for part in cells))
    if not len(cell):
        return ChiSquared(0.0, 0.0, 0.0)
    _, cell = np.unique(cell, return_inverse=True)
    k = int(cell.max()) + 1
    variance, true, odd = (
        np.bincount(cell, each, k) for each in (cells.spread, cells.true, cells.odd)
    )
    binomial = cells.share * (1 - cells.share)
    fourth = np.bincount(cell, cells.spread * (1 - 6 * binomial), k) / variance**2
    weights, third = np.zeros((2, k, cells.design.shape[1]))
    np.add.at(weights, cell, cells.spread[:, None] * cells.design)
    np.add.at(third, cell, (cells.spread * (1 - 2 * cells.share))[:, None] * cells.design)
    # Covariance of the cells' standardised residuals, after the effects were fitted.
    root = np.sqrt(variance)
    left = np.eye(k) - weights @ covariance @ weights.T / np.outer(root, root)
    left *= np.sqrt(np.outer(true, true) / np.outer(variance, variance))
    own = np.diag(left)
    skew = (third / variance[:, None]).sum(0)
    mean = float(own.sum())
    spread = 2 * float((left**2).sum()) + float(own**2 @ fourth)
    spread -= float(skew @ covariance @ skew) * mean / k
    if mean < 1e-6 or spread < 1e-6:
        return ChiSquared(0.0, 0.0, 0.0)
    return ChiSquared(float((odd**2 / variance).sum()), mean, spread)
