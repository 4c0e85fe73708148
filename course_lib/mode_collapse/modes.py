"""Which modes of a mixture samples reach: captured modes, high quality, reverse KL divergence.

Source: Srivastava et al. 2017, arXiv 1705.07761 (VEEGAN), section 4.1; Lin et al. 2018, arXiv
1712.04086 (PacGAN), section 4.1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.metrics import pairwise_distances_argmin_min


def mode_counts(samples: np.ndarray, centres: np.ndarray, sd: float) -> np.ndarray:
    """The high-quality samples of each mode, (modes,), from samples (n, d) and centres (modes, d).

    A sample is of high quality within three standard deviations of its nearest centre.

    >>> mode_counts(np.array([[0.1], [0.2], [5.0]]), centres=np.array([[0.0], [1.0]]), sd=0.1)
    array([2, 0])
    """
    nearest, distance = pairwise_distances_argmin_min(samples, centres)
    return np.bincount(nearest[distance <= 3 * sd], minlength=len(centres))


def high_quality(samples: np.ndarray, centres: np.ndarray, sd: float) -> float:
    """The share of samples (n, d) within three standard deviations of their nearest centre.

    In two dimensions 1 - exp(-4.5) = 98.89 % of the real samples are, so that this is the ceiling.

    >>> high_quality(np.array([[0.1], [5.0]]), centres=np.array([[0.0], [1.0]]), sd=0.1)
    0.5
    """
    _, distance = pairwise_distances_argmin_min(samples, centres)
    return float((distance <= 3 * sd).mean())


def reverse_kl(counts: np.ndarray, weights: np.ndarray | None = None) -> float:
    """KL(generated || real) in nats, of the shares of samples counted in each mode (modes,).

    The real shares are those of `weights`, uniform unless given. Infinite if no sample was counted, or if
    one was counted in a mode without weight.

    >>> round(reverse_kl(np.array([10, 0])), 4)  # one of two modes: log 2
    0.6931
    """
    # sum q log(q / p),   0 log 0 = 0
    counts = np.asarray(counts, float)
    weights = np.ones(len(counts)) if weights is None else np.asarray(weights, float)
    if counts.sum() == 0:
        return float("inf")
    q, p = counts / counts.sum(), weights / weights.sum()
    there = q > 0
    with np.errstate(divide="ignore"):
        divergence = (q[there] * np.log(q[there] / p[there])).sum()
    return float(max(divergence, 0.0))


def mode_coverage(counts: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Coverage of modes from samples counted in each (modes,).

    Returns `modes`, how many have a sample at all; `coverage`, their share; and `reverse_kl`.

    >>> mode_coverage(np.array([5, 5, 0, 0]))["coverage"]
    0.5
    """
    captured = int((np.asarray(counts) > 0).sum())
    return {
        "modes": captured,
        "coverage": captured / len(counts),
        "reverse_kl": reverse_kl(counts, weights),
    }


def support_size(samples: np.ndarray, tolerance: float) -> float:
    """How many different samples there would be if all were equally likely: the birthday estimate.

    Among n draws from N equally likely values, n (n - 1) / (2 N) pairs are the same on average. Here two
    samples (n, d) count as the same if they lie within `tolerance` of each other. If the values are not
    equally likely, the estimate is of 1 / sum p_i^2. Infinite if no pair is the same.

    Source: after Arora and Zhang 2017, arXiv 1706.08224: a batch of size about sqrt(N) has duplicates.

    >>> samples = np.array([[0.0], [0.0], [1.0], [2.0]])  # one pair of six is the same
    >>> support_size(samples, tolerance=0.1)
    6.0
    """
    same = int((pdist(samples) <= tolerance).sum())
    pairs = len(samples) * (len(samples) - 1) / 2
    return pairs / same if same else float("inf")


@dataclass(frozen=True)
class Modes:
    """The modes of a mixture of equally likely isotropic normal distributions.

    Attributes:
        centres: (modes, d).
        sd: standard deviation within a mode, in each coordinate.

    >>> modes = Modes(centres=np.array([[0.0, 0.0], [1.0, 1.0]]), sd=0.1)
    >>> modes.measure(np.zeros((10, 2)))["modes"]
    1
    """

    centres: np.ndarray
    sd: float

    def counts(self, samples: np.ndarray) -> tuple[np.ndarray, float]:
        """High-quality samples (n, d) of each mode, and their share of all; see `mode_counts`."""
        counts = mode_counts(samples, self.centres, self.sd)
        return counts, float(counts.sum() / len(samples))

    def measure(self, samples: np.ndarray) -> dict[str, float]:
        """`mode_coverage` of samples (n, d), and their share of `high_quality`."""
        counts, quality = self.counts(samples)
        return {**mode_coverage(counts), "high_quality": quality}
