"""How often the values of two columns occur together, and how strongly they are associated."""

from collections.abc import Sequence

import numpy as np

from course_lib.audit.sampling import sample_rows
from course_lib.audit.values import Values

BLOCK = 1_000  # cells of columns whose pairs with all others are counted at once


def joint(one: Values, two: Values) -> tuple[np.ndarray, np.ndarray]:
    """Counts (cells of one, cells of two) of the synthetic and of the real rows.

    >>> from course_lib.audit.values import Values
    >>> sex = Values("sex", "category", np.array([0, 1, 1]), np.array([0, 0, 1]), ("f", "m"), 2)
    >>> synthetic, real = joint(sex, sex)
    >>> synthetic[:2, :2].tolist()
    [[2, 0], [0, 1]]
    """
    (real_one, synthetic_one, rows), (real_two, synthetic_two, columns) = one.coarse, two.coarse
    return (
        tabulate(synthetic_one, synthetic_two, rows, columns),
        tabulate(real_one, real_two, rows, columns),
    )


def tabulate(one: np.ndarray, two: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Counts (rows, columns) of two columns of codes (n,).

    >>> tabulate(np.array([0, 0, 1]), np.array([1, 1, 0]), 2, 2).tolist()
    [[0, 2], [1, 0]]
    """
    cell = one.astype(np.uint16) * np.uint16(columns) + two
    counts: np.ndarray = np.bincount(cell, minlength=rows * columns)
    return counts.reshape(rows, columns)


def cramers_v(counts: np.ndarray) -> np.ndarray:
    """Cramér's V of tables (..., rows, columns) of counts: 0 independent, 1 one determines the other.

    Empty rows and columns do not count.

    >>> float(cramers_v(np.array([[10, 0], [0, 10]])))
    1.0
    """
    counts = np.asarray(counts, float)
    total = counts.sum(axis=(-2, -1), keepdims=True)
    rows, columns = counts.sum(axis=-1, keepdims=True), counts.sum(axis=-2, keepdims=True)
    expected = rows * columns / np.maximum(total, 1)
    chi2 = np.divide(
        (counts - expected) ** 2, expected, out=np.zeros_like(counts), where=expected > 0
    ).sum(axis=(-2, -1))
    smaller = np.minimum((rows > 0).sum(axis=(-2, -1)), (columns > 0).sum(axis=(-2, -1))) - 1
    v: np.ndarray = np.sqrt(chi2 / np.maximum(total[..., 0, 0] * smaller, 1))
    return v


def pair_excess(
    real: Sequence[np.ndarray],
    synthetic: Sequence[np.ndarray],
    cells: Sequence[int],
    most: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """By how much each pair of columns differs beyond its margins, and beyond what chance gives.

    All pairs are counted together: products of indicators, a block of columns at a time. In each cell
    counts what is left of the difference of the two shares when each column's own relative change is
    taken away, to first order; or the difference itself, where that is smaller.

    Args:
        real, synthetic: codes (n,) and (m,) of each column. cells: how many codes each column has.
        most: rows of each kind that are counted.

    Returns:
        (columns, columns); below and on the diagonal nothing of use.

    >>> one, two, rng = np.array([0, 1] * 50), np.array([0, 0, 1, 1] * 25), np.random.default_rng(0)
    >>> pair_excess([one] * 3, [one, two, one], [2] * 3, 1000, rng).round(2)[0, 1:].tolist()
    [0.41, -0.06]
    """
    starts = np.concatenate([[0], np.cumsum(cells)])
    indicators = _indicators(real, starts, sample_rows(len(real[0]), most, rng))
    made = _indicators(synthetic, starts, sample_rows(len(synthetic[0]), most, rng))
    n, m, columns = len(indicators), len(made), len(cells)
    scale = (1 / m + 1 / n) * 2 / np.pi
    own, own_real = made.mean(axis=0), indicators.mean(axis=0)
    moved = (own - own_real) / np.maximum((own * m + own_real * n) / (m + n), 1e-9)
    excess = np.zeros((columns, columns))
    first = 0
    while first < columns:
        last = max(int(np.searchsorted(starts, starts[first] + BLOCK, "right")) - 1, first + 1)
        block = slice(starts[first], starts[last])
        share = made[:, block].T @ made / m
        share_real = indicators[:, block].T @ indicators / n
        pooled = (share * m + share_real * n) / (m + n)
        gap = share - share_real
        left = gap - pooled * (moved[block, None] + moved)
        beyond = np.minimum(np.abs(gap), np.abs(left)) - np.sqrt(pooled * (1 - pooled) * scale)
        by_row = np.add.reduceat(beyond, starts[first:last] - starts[first], axis=0)
        excess[first:last] = np.add.reduceat(by_row, starts[:-1], axis=1) / 2
        first = last
    return excess


def _indicators(codes: Sequence[np.ndarray], starts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """One column (n,) to each cell of each column of codes: 1 where the row is in that cell."""
    indicators = np.zeros((len(rows), starts[-1]), np.float32)
    every = np.arange(len(rows))
    for column, start in zip(codes, starts, strict=False):
        indicators[every, start + column[rows].astype(int)] = 1
    return indicators
