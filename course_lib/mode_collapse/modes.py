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
    """
    nearest, distance = pairwise_distances_argmin_min(samples, centres)
    return np.bincount(nearest[distance <= 3 * sd], minlength=len(centres))


def high_quality(samples: np.ndarray, centres: np.ndarray, sd: float) -> float:
    """The share of samples (n, d) within three standard deviations of their nearest centre.

    Of the true law in two dimensions 1 - exp(-4.5) = 98.89 % are, so that this is the ceiling.
    """
    _, distance = pairwise_distances_argmin_min(samples, centres)
    return float((distance <= 3 * sd).mean())


def reverse_kl(counts: np.ndarray, weights: np.ndarray | None = None) -> float:
    """KL(generated || real) in nats, of the shares of samples counted in each mode (modes,).

    The real shares are those of `weights`, uniform unless given. Infinite where nothing was counted, or
    something in a mode without weight.
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
    """
    captured = int((np.asarray(counts) > 0).sum())
    return {
        "modes": captured,
        "coverage": captured / len(counts),
        "reverse_kl": reverse_kl(counts, weights),
    }


def support_size(samples: np.ndarray, tolerance: float) -> float:
    """How many different samples there would be if all were equally likely: the birthday estimate.

    Of n draws from N equally likely ones, n (n - 1) / (2 N) pairs are the same on average. Here the same
    are those of samples (n, d) that lie within `tolerance` of each other. Of unequal ones it estimates
    1 / sum p_i^2. Infinite where no pair is the same.

    Source: after Arora and Zhang 2017, arXiv 1706.08224: a batch of size about sqrt(N) has duplicates.
    """
    same = int((pdist(samples) <= tolerance).sum())
    pairs = len(samples) * (len(samples) - 1) / 2
    return pairs / same if same else float("inf")


@dataclass(frozen=True)
class Modes:
    """The modes of a mixture of equal isotropic normal laws.

    Attributes:
        centres: (modes, d).
        sd: standard deviation within a mode, in each coordinate.
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
