"""Samples of rows, drawn without replacement."""

import numpy as np


def sample_rows(count: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers in order: all of `count`, or `most` of them drawn without replacement.

    >>> sample_rows(4, 10, np.random.default_rng(0)).tolist()
    [0, 1, 2, 3]
    """
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))
