"""Which modes of a mixture samples reach: captured modes, high quality, reverse KL divergence."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min


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
        """High-quality samples (n, d) of each mode, and their share of all samples.

        A sample is of high quality within three standard deviations of its nearest centre. Of the
        true law in two dimensions 1 - exp(-4.5) = 98.89 % are, so that this is the ceiling.
        """
        nearest, distance = pairwise_distances_argmin_min(samples, self.centres)
        good = distance <= 3 * self.sd
        return np.bincount(nearest[good], minlength=len(self.centres)), float(good.mean())

    def measure(self, samples: np.ndarray) -> dict[str, float]:
        """`mode_coverage` of samples (n, d), and `high_quality`, their share within three sd."""
        counts, quality = self.counts(samples)
        return {**mode_coverage(counts), "high_quality": quality}


def mode_coverage(counts: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Coverage of modes from samples counted in each (modes,).

    Returns `modes`, how many have a sample at all; `coverage`, their share; and `reverse_kl`,
    KL(generated || real) in nats of the shares of samples in each mode against `weights` (uniform
    unless given).

    Source: Srivastava et al. 2017, arXiv 1705.07761 (VEEGAN), section 4.1; Lin et al. 2018,
    arXiv 1712.04086 (PacGAN), section 4.1.
    """
    counts = np.asarray(counts, float)
    weights = np.full(len(counts), 1.0) if weights is None else np.asarray(weights, float)
    weights = weights / weights.sum()
    captured = int((counts > 0).sum())
    if counts.sum() == 0:
        return {"modes": 0, "coverage": 0.0, "reverse_kl": float("inf")}
    share = counts / counts.sum()
    there = share > 0
    with np.errstate(divide="ignore"):
        divergence = (share[there] * np.log(share[there] / weights[there])).sum()
    return {
        "modes": captured,
        "coverage": captured / len(counts),
        "reverse_kl": float(max(divergence, 0.0)),
    }
