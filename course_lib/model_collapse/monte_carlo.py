"""How far a figure measured over independent chains can be trusted: 99 % intervals."""

import numpy as np

Z = 2.576


def interval_of_median(values: np.ndarray) -> np.ndarray:
    """For the median of the distribution of values (n,): (2,), from their order alone.

    It holds whatever the distribution is.

    >>> interval_of_median(np.arange(101.0)).round(1)
    array([37.2, 62.8])
    """
    half = Z * 0.5 / len(values) ** 0.5
    return np.quantile(values, [0.5 - half, 0.5 + half])


def interval_of_mean(values: np.ndarray) -> np.ndarray:
    """For the mean of the distribution of values (n,): (2,), by the central limit theorem.

    It is a little too narrow if a few large values make up most of the mean.

    >>> interval_of_mean(np.array([0.0, 1.0] * 50)).round(3)
    array([0.371, 0.629])
    """
    half = Z * values.std(ddof=1) / len(values) ** 0.5
    return values.mean() + np.array([-half, half])


def interval_of_variance(values: np.ndarray) -> np.ndarray:
    """For the variance of the distribution of values (n,): (2,), that of the mean squared deviation.

    >>> interval_of_variance(np.arange(100.0)).round()
    array([ 640., 1026.])
    """
    return interval_of_mean((values - values.mean()) ** 2)
