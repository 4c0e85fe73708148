"""Synthetic rows that somebody checks before the next generation learns from them."""

import numpy as np


def verified_rows(rows: np.ndarray, weights: np.ndarray, tolerance: float) -> np.ndarray:
    """Labelled rows of many chains, with zeros in place of those that a verifier rejects.

    The verifier rejects a row if its label lies farther than `tolerance` from what its own weights
    expect, |y - x.v| > tolerance. A row of zeros adds nothing to a least-squares fit, and so the
    array keeps its shape where chains reject different rows.

    Args:
        rows: (t, runs, d + 1), t rows in each chain: d inputs, then the label.
        weights: of each chain's verifier, (runs, d).
        tolerance: in units of the label.

    Source: Feng et al. 2024, arXiv 2406.07515 (verification of synthetic data).

    >>> rows = np.array([[[1.0, 2.0]], [[1.0, 5.0]]])  # two rows of one chain: x = 1, y = 2 and 5
    >>> verified_rows(rows, np.array([[2.0]]), tolerance=1.0).tolist()
    [[[1.0, 2.0]], [[0.0, 0.0]]]
    """
    x, y = rows[..., :-1], rows[..., -1]
    expected = np.einsum("tri,ri->tr", x, weights)
    kept = np.abs(y - expected) <= tolerance
    checked: np.ndarray = rows * kept[..., None]
    return checked
