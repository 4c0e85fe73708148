"""Two tables of counts by their dependence alone: what differs between them beyond the margins."""

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


class Fit(NamedTuple):
    """One dependence for both tables, whose margins are their own.

    Attributes:
        share: of each cell's rows, the expected share of synthetic ones (rows, columns).
        information: about the effects of rows and columns (rows + columns, rows + columns).
    """

    share: np.ndarray
    information: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """Of the effects, those combinations left out that the table does not tell."""
        values, vectors = np.linalg.eigh(self.information)
        told = values > 1e-7 * values[-1]
        return (vectors[:, told] / values[told]) @ vectors[:, told].T


class Cells(NamedTuple):
    """The cells that have rows, one after the other (k,).

    Attributes:
        total: rows of both tables.
        share: the expected share of synthetic ones.
        odd: synthetic rows beyond what is expected.
        spread: the variance of `odd` by the fit, and `true`, before effects were fitted to it.
        design: which effects each has (k, rows + columns).
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
    size, m = int(min(synthetic.sum(), real.sum())), int(synthetic.sum())
    if size == 0:
        return Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)
    synthetic, real = _in_both(synthetic, real)
    if min(synthetic.shape) < 2:
        return interval_only(0.0, 0.0, size, null=0.0, floor=0.0)
    fit = _fitted(synthetic, synthetic + real)
    covariance = fit.covariance
    cells = _cells(synthetic, synthetic + real, fit.share, covariance, m)
    estimate = float(np.abs(cells.odd * cells.per_row).sum() / 2)
    left = cells.true - cells.spread**2 * _variance(cells.design, covariance)
    null = float((np.sqrt(np.maximum(left, 0) * 2 / np.pi) * cells.per_row).sum() / 2)
    sign = np.where(cells.odd < 0, -1, 1) * cells.per_row
    fitted = (sign * cells.spread) @ cells.design
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


def beyond_margins(synthetic: np.ndarray, real: np.ndarray) -> float:
    """The estimate of `given_margins` alone; NaN where one table is empty.

    >>> round(beyond_margins(np.array([[40, 10], [10, 40]]), np.array([[25, 25], [25, 25]])), 2)
    0.3
    """
    m = synthetic.sum()
    if min(m, real.sum()) == 0:
        return np.nan
    synthetic, real = _in_both(synthetic, real)
    if min(synthetic.shape) < 2:
        return 0.0
    share = _fitted(synthetic, synthetic + real).share
    odd = synthetic - (synthetic + real) * share
    return min(float(np.abs(odd / (1 - share)).sum() / (2 * m)), 1.0)


def _in_both(synthetic: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both tables with the levels that both have; those that hardly occur are one."""
    for _ in range(2):
        both = synthetic.sum(1) + real.sum(1)
        few = both * min(synthetic.sum(), real.sum()) < FEW * both.sum()
        if few.sum() > 1:
            synthetic, real = (
                np.vstack([side[~few], side[few].sum(0)]) for side in (synthetic, real)
            )
        synthetic, real = synthetic.T, real.T
    while True:
        rows, columns = ((synthetic.sum(axis) > 0) & (real.sum(axis) > 0) for axis in (1, 0))
        if rows.all() and columns.all():
            return synthetic, real
        synthetic, real = (side[np.ix_(rows, columns)] for side in (synthetic, real))


def _fitted(synthetic: np.ndarray, total: np.ndarray) -> Fit:
    """The logistic regression of being synthetic on an effect of the row and one of the column."""
    n_rows, size = len(total), sum(total.shape)
    target = np.concatenate([synthetic.sum(1), synthetic.sum(0)])
    overall = special.logit(synthetic.sum() / total.sum())
    effects = special.logit(target / np.concatenate([total.sum(1), total.sum(0)]))
    effects[n_rows:] -= overall
    information = np.empty((size, size))
    for _ in range(ROUNDS):
        odds = np.clip(effects[:n_rows, None] + effects[n_rows:], -FURTHEST, FURTHEST)
        share = special.expit(odds)
        expected = total * share
        weight = expected * (1 - share)
        information[:n_rows, :n_rows] = np.diag(weight.sum(1))
        information[n_rows:, n_rows:] = np.diag(weight.sum(0))
        information[:n_rows, n_rows:] = weight
        information[n_rows:, :n_rows] = weight.T
        off = target - np.concatenate([expected.sum(1), expected.sum(0)])
        if np.abs(off).max() < 1e-5 * total.sum() ** 0.5:
            break
        ridge = 1e-9 * np.trace(information) * np.eye(size)
        effects += np.clip(np.linalg.solve(information + ridge, off), -2, 2)
    return Fit(share, information)


def _variance(design: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Of each cell's fitted log odds (k,)."""
    return np.asarray(np.einsum("ij,ij->i", design @ covariance, design))


def _cells(
    synthetic: np.ndarray, total: np.ndarray, expected: np.ndarray, covariance: np.ndarray, m: int
) -> Cells:
    row, column = np.nonzero(total)
    design = np.zeros((len(row), sum(total.shape)))
    design[np.arange(len(row)), row] = 1
    design[np.arange(len(row)), len(total) + column] = 1
    total, share = total[row, column], expected[row, column]
    binomial = share * (1 - share)
    # Shares that were fitted vary less than the true ones, as a sample does about its own mean: the
    # factor is n / (n - 1) where all cells have one share.
    grown = np.clip(1 - binomial * _variance(design, covariance), 0.2, 1)
    return Cells(
        total,
        share,
        synthetic[row, column] - total * share,
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
