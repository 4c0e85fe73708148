"""How often the values of two columns occur together, and how strongly they are associated."""

from collections.abc import Sequence

import numpy as np

from course_lib.audit.sampling import sample_rows
from course_lib.audit.values import Values

BLOCK = 1_000  # cells of columns whose pairs with all others are counted at once
BUNDLE = 144  # cells at most of a bundle of columns; those of two bundles are numbered in 16 bits


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


def all_pairs(codes: Sequence[np.ndarray], cells: Sequence[int]) -> np.ndarray:
    """Counts of all pairs of columns of codes (n,), as one matrix (all cells, all cells).

    A block of it is the table of two columns. Columns of few cells are tied up in bundles, and one
    bundle's cells counted against another's, so that a row is counted once for several pairs.

    Source: Greenacre 2017, "Correspondence analysis in practice", for the matrix, named after Burt.

    >>> all_pairs([np.array([0, 0, 1]), np.array([1, 1, 0])], [2, 2]).tolist()
    [[2, 0, 0, 2], [0, 1, 1, 0], [0, 1, 1, 0], [2, 0, 0, 2]]
    """
    tied = _tied(cells)
    bundles = [_Bundle([codes[k] for k in each], [cells[k] for k in each]) for each in tied]
    ends = np.cumsum([len(each.cells) for each in bundles])
    places = [slice(end - len(each.cells), end) for each, end in zip(bundles, ends, strict=True)]
    found = np.zeros((ends[-1], ends[-1]))
    for k, (one, place) in enumerate(zip(bundles, places, strict=True)):
        own = np.bincount(one.code, minlength=one.size)
        found[place, place] = (one.cells * own) @ one.cells.T
        for two, other in zip(bundles[k + 1 :], places[k + 1 :], strict=True):
            counts = tabulate(one.code, two.code, one.size, two.size)
            found[place, other] = one.cells @ counts @ two.cells.T
    found = np.maximum(found, found.T)
    # Back from the bundles' order of the columns to the given one.
    starts = np.cumsum([0, *cells])
    order = np.argsort(
        [starts[k] + cell for each in tied for k in each for cell in range(cells[k])]
    )
    return found[np.ix_(order, order)].astype(np.int64)


class _Bundle:
    """Columns of codes (n,) taken as one.

    Attributes:
        code: the joint code of each row (n,). size: how many joint codes there are.
        cells: 1 where a joint code lies in a cell of one of the columns (all cells, size), else 0.
    """

    def __init__(self, codes: Sequence[np.ndarray], sizes: Sequence[int]):
        self.size = int(np.prod(sizes))
        self.code = codes[0].astype(np.uint16)
        for code, size in zip(codes[1:], sizes[1:], strict=True):
            self.code = self.code * np.uint16(size) + code
        levels = np.indices(sizes).reshape(len(sizes), -1)
        each = zip(sizes, levels, strict=True)
        self.cells = np.concatenate([np.eye(size)[level].T for size, level in each])


def _tied(cells: Sequence[int]) -> list[list[int]]:
    """Which columns are tied up in one bundle: the next largest goes where it fits."""
    bundles: list[list[int]] = []
    for k in np.argsort(-np.array(cells), kind="stable").tolist():
        for tied in bundles:
            if np.prod([cells[each] for each in tied]) * cells[k] <= BUNDLE:
                tied.append(k)
                break
        else:
            bundles.append([k])
    return bundles


def padded(tables: Sequence[np.ndarray], shape: Sequence[int]) -> np.ndarray:
    """Tables of counts as one array of floats (tables, *shape), smaller ones filled up with zeros.

    >>> padded([np.ones((1, 2)), np.ones((2, 1))], (2, 2)).tolist()
    [[[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]]
    """
    found = np.zeros((len(tables), *shape))
    for place, table in zip(found, tables, strict=True):
        place[tuple(map(slice, table.shape))] = table
    return found


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
