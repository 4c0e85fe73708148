"""How often the values of two columns occur together, and how strongly they are associated."""

import numpy as np

from course_lib.audit.values import Values


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
