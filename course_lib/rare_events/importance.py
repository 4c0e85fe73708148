r"""Importance sampling: scenes are drawn from a proposal $q$ and weighted by $p / q$.

$p$ is the standard normal distribution of the inputs. With several proposals, $q$ is their mixture in the
proportions in which they were drawn from: the balance heuristic of Veach and Guibas 1995, "Optimally
combining sampling techniques for Monte Carlo rendering", equation 12.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import beta


def crude_interval(crashes: int, scenes: int, confidence: float) -> tuple[float, float]:
    """The interval of Clopper and Pearson (1934) for a rate of which `crashes` of `scenes` were seen.

    Each side may be wrong with (1 - confidence) / 2. Without a crash the lower end is 0.

    >>> tuple(round(end, 6) for end in crude_interval(0, 20_000, 0.9))
    (0.0, 0.00015)
    """
    miss = (1 - confidence) / 2
    low = beta.ppf(miss, crashes, scenes - crashes + 1) if crashes > 0 else 0.0
    high = beta.ppf(1 - miss, crashes + 1, scenes - crashes) if crashes < scenes else 1.0
    return float(low), float(high)


def log_likelihood_ratio(u: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """log p(u) - log q(u), (n,): p standard normal, q normal with mean and standard deviation (d,).

    >>> log_likelihood_ratio(np.zeros((1, 2)), np.array([1.0, 0.0]), np.ones(2))
    array([0.5])
    """
    log_p = -0.5 * u**2
    log_q = -0.5 * ((u - mean) / sd) ** 2 - np.log(sd)
    return (log_p - log_q).sum(axis=1)


def balance_weights(log_p: np.ndarray, log_q: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """p over the mixture of all proposals, (n,), whichever of them a scene came from.

    Args:
        log_p: (n,).
        log_q: (proposals, n), the density of every scene under every proposal.
        counts: (proposals,), how many scenes were drawn from each.

    >>> balance_weights(np.zeros(1), np.log([[0.5], [2.0]]), np.array([10, 10]))
    array([0.8])
    """
    share = np.log(counts / counts.sum())
    return np.exp(log_p - logsumexp(log_q + share[:, None], axis=0))


@dataclass(frozen=True)
class Rate:
    """An estimated rate, its standard error, and the effective number of crashes behind it."""

    rate: float
    error: float
    effective: float

    def covers(self, truth: float) -> bool:
        """Is the truth within 1.96 standard errors?

        >>> Rate(1.0, 0.1, 50).covers(1.1)
        True
        """
        return abs(self.rate - truth) <= 1.96 * self.error


def rate_estimate(weights: np.ndarray, crashed: np.ndarray) -> np.ndarray:
    """Rate, its standard error, and the effective number of crashes, (3,).

    Args:
        weights: p / q of each scene, (n,).
        crashed: (n,) of True and False.

    The effective number is that of Kish (1965), (sum w)^2 / sum w^2 over the crashes, 0 without one.

    >>> rate_estimate(np.array([0.5, 0.5, 2.0, 1.0]), np.array([True, True, False, False]))
    array([0.25 , 0.125, 2.   ])
    """
    counted = weights * crashed
    total = counted.sum()
    effective = total**2 / (counted**2).sum() if total > 0 else 0.0
    return np.array([counted.mean(), counted.std() / len(counted) ** 0.5, effective])
