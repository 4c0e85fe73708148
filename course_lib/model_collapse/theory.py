"""What recursive training must do where it can be calculated: formulas to compare simulations with."""

import numpy as np
from scipy import special, stats

from course_lib.syllabus import unknown


def gaussian_median_variance(n: int, generations: int) -> float:
    """Median variance of a normal distribution refitted `generations` times to n of its own samples.

    The first variance is 1. With the unbiased estimate, the variance becomes a product of independent
    chi^2_{n-1} / (n-1). Its mean stays 1, but its logarithm is a random walk that drifts down:

        exp(G (psi((n-1)/2) - ln((n-1)/2)))

    is the exponential of the walk's mean. The walk is nearly symmetric, so this is about its median.

    >>> round(gaussian_median_variance(n=100, generations=50), 3)
    0.602
    """
    half = (n - 1) / 2
    drift = special.digamma(half) - np.log(half)
    return float(np.exp(generations * drift))


def gaussian_mean_spread(n: int, generations: int, fresh: float = 0.0) -> float:
    """Variance of the mean in the same loop, which begins with variance 1.

    Each generation adds 1 / n. A share of fresh real rows multiplies what was there by (1 - fresh)^2:

        1/n sum_{i<G} (1 - fresh)^{2i},

    which is G / n without fresh rows, and never above 1 / (n fresh (2 - fresh)) with some. This holds to
    first order in 1 / n: with fresh and synthetic rows mixed, the fitted variance rises a little above 1.

    >>> gaussian_mean_spread(n=100, generations=50)
    0.5
    """
    kept = (1 - fresh) ** 2
    return sum(kept**i for i in range(generations)) / n


def share_spread(share: float, n: int, generations: int) -> float:
    """Standard deviation of a group's share after generations of n samples, each drawn from the last.

        sqrt(p (1 - p) (1 - (1 - 1/n)^G))

    Its mean stays p. Source: Wright 1931, "Evolution in Mendelian populations" (genetic drift).

    >>> round(share_spread(0.01, n=1000, generations=50), 4)
    0.022
    """
    kept = (1 - 1 / n) ** generations
    return float(np.sqrt(share * (1 - share) * (1 - kept)))


def extinction(share: float, n: int, generations: int) -> np.ndarray:
    """Chance (generations,) that a group with this share is gone after 1, 2, ... generations.

    By the Wright-Fisher chain itself: the count in the next generation is binomial(n, count / n).
    Source: Wright 1931, as for `share_spread`.

    >>> extinction(0.01, n=100, generations=3).round(2)
    array([0.37, 0.53, 0.62])
    """
    counts = np.arange(n + 1)
    step = stats.binom.pmf(counts, n, counts[:, None] / n)  # from a count (row) to a count (column)
    chance = stats.binom.pmf(counts, n, share)
    gone = [chance[0]]
    for _ in range(generations - 1):
        chance = chance @ step
        gone.append(chance[0])
    return np.array(gone)


def regression_error(generation: int, regime: str) -> float:
    """Test error of the linear regression loop, divided by that of the first fit to real labels.

    Each generation's labels come from the last fit, with fresh noise. Training on them alone
    ("replace") adds the error of one first fit in each generation: G. Training on all so far
    ("accumulate") adds less and less: sum_{i<=G} 1 / i^2, which stays below pi^2 / 6 = 1.645.

    Source: Gerstgrasser et al. 2024, arXiv 2404.01413, theorems 1 and 2.

    >>> regression_error(4, "replace"), round(regression_error(4, "accumulate"), 3)
    (4.0, 1.424)
    """
    if regime == "replace":
        return float(generation)
    if regime == "accumulate":
        return float((1 / np.arange(1, generation + 1) ** 2).sum())
    raise ValueError(unknown("regime", regime, ("replace", "accumulate")))
