"""How far a figure measured over independent chains can be trusted: intervals of 99 %."""

import numpy as np

Z = 2.576


def interval_of_median(values: np.ndarray) -> np.ndarray:
    """Of the median of the law of values (n,): (2,), from their order alone, whatever the law."""
    half = Z * 0.5 / len(values) ** 0.5
    return np.quantile(values, [0.5 - half, 0.5 + half])


def interval_of_mean(values: np.ndarray) -> np.ndarray:
    """Of the mean of the law of values (n,): (2,), by the central limit theorem.

    A little too narrow where a few large values make most of the mean.
    """
    half = Z * values.std(ddof=1) / len(values) ** 0.5
    return values.mean() + np.array([-half, half])


def interval_of_variance(values: np.ndarray) -> np.ndarray:
    """Of the variance of the law of values (n,): (2,), that of the mean squared deviation."""
    return interval_of_mean((values - values.mean()) ** 2)
