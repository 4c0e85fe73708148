"""Tables of counts by their dependence alone: what differs between two of them beyond the margins."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from course_lib.audit.contingency import padded
from course_lib.audit.effects import (
    Effects,
    covariance,
    effects_of,
    fitted,
    information,
    quadratic,
    variance,
)
from course_lib.audit.statistics import (
    ChiSquared,
    Comparison,
    Z,
    interval_only,
    least_rows,
    noncentrality,
)

FEW = (
    5  # rows that a level must be expected to have on the smaller side; those with fewer are joined
)
LEAST = 0.5  # variance of the rarest cells together, from which on they are tested
TOGETHER = 2**16  # numbers in the information of the tables that are fitted at once


class Cells(NamedTuple):
    """The cells of a stack of tables (tables, cells), those left out with no rows.

    Attributes:
        total: rows of both tables.
        share: the expected share of synthetic ones.
        odd: synthetic rows beyond what is expected.
        spread: the variance of `odd` by the fit, and `true`, before effects were fitted to it.
        per_row: the share of the synthetic table by which it differs, for each row in `odd`.
    """

    total: np.ndarray
    share: np.ndarray
    odd: np.ndarray
    spread: np.ndarray
    true: np.ndarray
    per_row: np.ndarray


def given_margins(synthetic: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> list[Comparison]:
    """Pairs of tables of counts (rows, columns) by their dependence: what differs beyond the margins.

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

    >>> made, real = np.array([[60, 20], [15, 5]]), np.array([[40, 10], [40, 10]])
    >>> other, even = np.array([[40, 10], [10, 40]]), np.array([[25, 25], [25, 25]])
    >>> [round(found.estimate, 2) + 0 for found in given_margins([made, other], [real, even])]
    [0.0, 0.3]
    """
    return [found for stack in _stacks(synthetic, real, 1) for found in _compared(stack)]


def given_pairs(synthetic: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> list[Comparison]:
    """Pairs of tables of counts of three columns (a, b, c): what differs beyond the columns' pairs.

    As `given_margins`, with one effect of each combination of two levels.

    >>> xor = np.array([[[50, 0], [0, 50]], [[0, 50], [50, 0]]])
    >>> given_pairs([xor], [np.full((2, 2, 2), 25)])[0].estimate
    0.5
    """
    return [found for stack in _stacks(synthetic, real, 2) for found in _compared(stack)]


def beyond_margins(synthetic: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> list[float]:
    """The estimates of `given_margins` alone; NaN where one table is empty.

    >>> other, even = np.array([[40, 10], [10, 40]]), np.array([[25, 25], [25, 25]])
    >>> [round(estimate, 2) for estimate in beyond_margins([other], [even])]
    [0.3]
    """
    return [float(found) for stack in _stacks(synthetic, real, 1) for found in _estimates(stack)]


class TableStack(NamedTuple):
    """Tables of one shape, those that were smaller filled up with nothing.

    Attributes:
        made, kept: synthetic and real rows (tables, cells) in the cells whose margins neither side lacks.
        m, n: all rows (tables,) of either side.
        effects: those of the cells.
    """

    made: np.ndarray
    kept: np.ndarray
    m: np.ndarray
    n: np.ndarray
    effects: Effects


def _stacks(
    synthetic: Sequence[np.ndarray], real: Sequence[np.ndarray], order: int
) -> Iterator[TableStack]:
    if not len(real):
        return
    shape = tuple(np.max([table.shape for table in real], axis=0).tolist())
    effects = effects_of(shape, order)
    together = max(TOGETHER // effects.design.shape[1] ** 2, 1)
    for first in range(0, len(real), together):
        some = slice(first, first + together)
        both = np.stack([padded(side[some], shape) for side in (synthetic, real)])
        m, n = both.reshape(*both.shape[:2], -1).sum(axis=2)
        if order == 1:
            both = _joined(both, m, n)
        made, kept = both.reshape(*both.shape[:2], -1)
        there = _in_both(made, kept, effects)
        yield TableStack(made * there, kept * there, m, n, effects)


def _joined(both: np.ndarray, m: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The same tables (2, tables, rows, columns), of each the levels that hardly occur as one."""
    for _ in range(2):
        rows = both.sum(axis=(0, 3))
        few = rows * np.minimum(m, n)[:, None] < FEW * (m + n)[:, None]
        together = (both * few[:, :, None]).sum(axis=2)
        both *= ~few[:, :, None]
        both[:, np.arange(len(m)), few.argmax(axis=1)] += together
        both = both.transpose(0, 1, 3, 2)
    return both


def _in_both(made: np.ndarray, kept: np.ndarray, effects: Effects) -> np.ndarray:
    """Which cells (tables, cells) have rows, and none of whose margins is empty on one side."""
    there = np.asarray(made + kept > 0)
    while True:
        empty = ((made * there) @ effects.design == 0) | ((kept * there) @ effects.design == 0)
        left = there & (empty @ effects.design.T == 0)
        if (left == there).all():
            return there
        there = left


def _estimates(stack: TableStack) -> np.ndarray:
    """The estimate of each table (tables,); NaN where one side is empty."""
    found = np.where(np.minimum(stack.m, stack.n) > 0, 0.0, np.nan)
    used = np.flatnonzero(stack.made.any(axis=1))
    made, total = stack.made[used], (stack.made + stack.kept)[used]
    share = fitted(made, total, stack.effects)
    odd = made - total * share
    found[used] = np.abs(odd / (1 - share)).sum(axis=1) / (2 * stack.m[used])
    return np.asarray(np.minimum(found, 1.0))


def _compared(stack: TableStack) -> Iterator[Comparison]:
    """Each table's comparison."""
    used = np.flatnonzero(stack.made.any(axis=1))
    tested = dict(zip(used.tolist(), _tested(stack, used), strict=True))
    for place, size in enumerate(np.minimum(stack.m, stack.n).astype(int).tolist()):
        if size == 0:
            yield Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)
        elif place in tested:
            yield tested[place]
        else:
            yield interval_only(0.0, 0.0, size, null=0.0, floor=0.0)


def _tested(stack: TableStack, used: np.ndarray) -> Iterator[Comparison]:
    """The comparisons of those tables of which cells are left."""
    made, total = stack.made[used], (stack.made + stack.kept)[used]
    m, n, effects = stack.m[used], stack.n[used], stack.effects
    share = fitted(made, total, effects)
    told = covariance(total * share * (1 - share), effects)
    varied = variance(told, effects)
    cells = _cells(made, total, share, varied, m)
    differ = np.abs(cells.odd * cells.per_row)
    estimate = differ.sum(axis=1) / 2
    left = np.maximum(cells.true - cells.spread**2 * varied, 0)
    null = (np.sqrt(left * 2 / np.pi) * cells.per_row).sum(axis=1) / 2
    sign = np.where(cells.odd < 0, -1, 1) * cells.per_row
    off = quadratic(told, (sign * cells.spread) @ effects.design)
    sd = np.sqrt(np.maximum((sign**2 * cells.spread).sum(axis=1) - off, 0)) / 2
    high = np.minimum(estimate + Z * sd, 1.0)
    rare = (total > 0) & (total < least_rows(share))
    test, tests = _chi_squared(cells, told, varied, rare, effects)
    # Of all differences with one chi^2, that spread over the cells as they vary has the largest total
    # variation. Of a cell with t rows, chi^2 shows only t - 1 parts in t.
    several = np.maximum(total, 2)
    part = cells.spread * cells.per_row**2 * several / (several - 1)
    reach = test.scale * (part * (total > 1)).sum(axis=1)
    among = (differ * rare).sum(axis=1) / 2
    shown = np.minimum(high, among + np.sqrt(np.maximum(test.upper * reach, 0)) / 2)
    shown = np.maximum(shown, np.sqrt(np.maximum(estimate**2 - null**2, 0)))
    high = np.where(tests, shown, high)
    low = np.minimum(np.maximum(estimate - null - Z * sd, 0), high)
    p, df = np.where(tests, test.p, 1.0), test.df
    for k, size in enumerate(np.minimum(m, n)):
        yield Comparison(
            float(min(estimate[k], 1)),
            float(low[k]),
            float(high[k]),
            float(min(null[k], 1)),
            float(p[k]),
            partial(_detectable, float(df[k]), float(reach[k])) if tests[k] else None,
            int(size),
            magnitude=True,
        )


def _detectable(df: float, reach: float, level: float) -> float:
    return float(min(np.sqrt(noncentrality(level, df) * reach) / 2, 1.0))


def _cells(
    made: np.ndarray, total: np.ndarray, share: np.ndarray, varied: np.ndarray, m: np.ndarray
) -> Cells:
    binomial = share * (1 - share)
    # Shares that were fitted vary less than the true ones, as a sample does about its own mean: the
    # factor is n / (n - 1) where all cells have one share.
    grown = np.clip(1 - binomial * varied, 0.2, 1)
    return Cells(
        total,
        share,
        made - total * share,
        total * binomial,
        total * binomial / grown,
        1 / (m[:, None] * (1 - share)),
    )


def _chi_squared(
    cells: Cells, told: np.ndarray, varied: np.ndarray, rare: np.ndarray, effects: Effects
) -> tuple[ChiSquared, np.ndarray]:
    """Pearson's chi-squared of each table (tables,) with its mean and variance, and where there is one.

    The cells that are `rare` (tables, cells) count as one, or not at all where they are too rare even so.
    Var(chi^2) sums the squared covariances of the cells' standardised residuals after the effects were
    fitted, by traces of matrices of the effects' size.
    """
    alone, together = (cells.total > 0) & ~rare, (cells.spread * rare).sum(axis=1) >= LEAST
    there = np.column_stack([alone, together])
    binomial, lean = cells.share * (1 - cells.share), 1 - 2 * cells.share
    spread, true, odd, fourth = (
        np.column_stack([each, (each * rare).sum(axis=1)]) * there
        for each in (cells.spread, cells.true, cells.odd, cells.spread * (1 - 6 * binomial))
    )
    of_rare = (cells.spread * rare) @ effects.design * together[:, None]
    fitted_part = np.column_stack([cells.spread**2 * varied, quadratic(told, of_rare)])
    per = np.divide(1, spread, out=np.zeros_like(spread), where=there)
    grown = true * per
    own = grown * (1 - fitted_part * per)
    mean = own.sum(axis=1)
    both = information(cells.true * alone, effects)
    both += (grown * per)[:, -1, None, None] * of_rare[:, :, None] * of_rare[:, None, :]
    both = both @ told
    squares = (grown * (2 * own - grown)).sum(axis=1) + np.einsum("tij,tji->t", both, both)
    skew = (lean * alone) @ effects.design
    skew += per[:, -1:] * ((cells.spread * lean * rare) @ effects.design)
    moment = 2 * squares + (own**2 * fourth * per**2).sum(axis=1)
    moment -= quadratic(told, skew) * mean / np.maximum(there.sum(axis=1), 1)
    tests = (mean >= 1e-6) & (moment >= 1e-6)
    found = (np.where(tests, each, 1.0) for each in ((odd**2 * per).sum(axis=1), mean, moment))
    return ChiSquared(*found), tests
