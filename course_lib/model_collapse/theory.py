"""What recursive training must do where it can be reckoned: formulas to hold simulations against."""

import numpy as np
from scipy import special, stats


def gaussian_median_variance(n: int, generations: int) -> float:
    """Median variance of a normal law refitted `generations` times to n of its own samples, from 1.

    With the unbiased estimate the variance becomes a product of independent chi^2_{n-1} / (n-1). Its
    mean stays 1, but its logarithm is a random walk that drifts down:

        exp(G (psi((n-1)/2) - ln((n-1)/2)))

    is the exponential of the walk's mean, and by the walk's near symmetry about its median.
    """
    half = (n - 1) / 2
    drift = special.digamma(half) - np.log(half)
    return float(np.exp(generations * drift))


def gaussian_mean_spread(n: int, generations: int, fresh: float = 0.0) -> float:
    """Variance of the mean of the same loop, from a law of variance 1.

    Each generation adds 1 / n. A share of fresh real rows shrinks what was there to (1 - fresh)^2:

        1/n sum_{i<G} (1 - fresh)^{2i},

    which is G / n without any, and never above 1 / (n fresh (2 - fresh)) with some. That is to first
    order in 1 / n: between fresh and synthetic rows the fitted variance rises a little above 1.
    """
    kept = (1 - fresh) ** 2
    return sum(kept**i for i in range(generations)) / n


def share_spread(share: float, n: int, generations: int) -> float:
    """Standard deviation of a group's share after generations of n samples each, each of the last.

        sqrt(p (1 - p) (1 - (1 - 1/n)^G))

    Its mean stays p. Source: Wright 1931, "Evolution in Mendelian populations" (genetic drift).
    """
    kept = (1 - 1 / n) ** generations
    return float(np.sqrt(share * (1 - share) * (1 - kept)))


def extinction(share: float, n: int, generations: int) -> np.ndarray:
    """Chance (generations,) that a group with this share is gone after 1, 2, ... generations.

    By the Wright-Fisher chain itself: the count in the next generation is binomial(n, count / n).
    Source: Wright 1931, as for `share_spread`.
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
    """Test error of the linear regression loop, over that of the first fit to real labels.

    Each generation's labels come from the last fit, with fresh noise. Training on them alone
    ("replace") adds one first fit's error a generation: G. Training on all so far ("accumulate")
    adds ever less: sum_{i<=G} 1 / i^2, which stays below pi^2 / 6 = 1.645.

    Source: Gerstgrasser et al. 2024, arXiv 2404.01413, theorems 1 and 2.
    """
    if regime == "replace":
        return float(generation)
    if regime == "accumulate":
        return float((1 / np.arange(1, generation + 1) ** 2).sum())
    raise ValueError(f"The theory knows 'replace' and 'accumulate', not {regime!r}.")
