"""How close generated samples are to real ones, measured on features."""

import numpy as np
from scipy.spatial.distance import cdist


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features.

        d^2 = |m_r - m_g|^2 + tr(C_r + C_g - 2 (C_r C_g)^(1/2))

    with means m and unbiased covariances C (ddof = 1). Zero for identical moments. At finite n it
    is biased upward: two samples of N(0, I) in d dimensions, n rows each, give about
    (d^2 + 5 d) / (2 n), so compare only values of equal n, beside what real data score.

    Args:
        real, generated: features (n, d) and (m, d), n and m at least 2.

    Raises:
        ValueError: for anything but two finite matrices of one width.

    Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6 (FID).
    """
    real, generated = np.asarray(real, float), np.asarray(generated, float)
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"Features must be two matrices of one width; got {real.shape} and {generated.shape}."
        )
    if len(real) < 2 or len(generated) < 2:
        raise ValueError("A covariance needs at least two rows of features on each side.")
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        raise ValueError("The features contain values that are not finite (NaN or infinity).")
    difference = real.mean(axis=0) - generated.mean(axis=0)
    cov_real = np.atleast_2d(np.cov(real, rowvar=False))
    cov_generated = np.atleast_2d(np.cov(generated, rowvar=False))
    # tr((C_r C_g)^(1/2)) is the sum of the singular values of C_r^(1/2) C_g^(1/2), which stays exact
    # where the covariances have no full rank.
    cross = np.linalg.norm(_root(cov_real) @ _root(cov_generated), "nuc")
    return float(difference @ difference + np.trace(cov_real) + np.trace(cov_generated) - 2 * cross)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T


def manifold_measures(real: np.ndarray, generated: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage of generated features, each relative to real ones.

    A ball around each point reaches to its k-th nearest neighbour of the same kind. Precision is the
    share of generated points within a real point's ball, recall the share of real points within a
    generated point's ball; density counts how many real balls hold a generated point, over k;
    coverage is the share of real balls that hold at least one generated point.

    A perfect generator does not score 1 in any of them: hold them beside what real data score. A
    generator that has shrunk to the middle of the data is praised by density and coverage, and found
    out by recall.

    Args:
        real, generated: features (n, d) and (m, d), n and m above k.

    Raises:
        ValueError: for anything but two matrices of one width with more than k rows each.

    Source: Kynkäänniemi et al. 2019, arXiv 1904.06991 (precision, recall); Naeem et al. 2020,
    arXiv 2002.09797 (density, coverage).
    """
    real, generated = np.asarray(real, float), np.asarray(generated, float)
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"Features must be two matrices of one width; got {real.shape} and {generated.shape}."
        )
    if min(len(real), len(generated)) <= k:
        raise ValueError(f"Each side needs more than k = {k} rows.")
    real_radius = _radius(real, k)
    generated_radius = _radius(generated, k)
    distance = cdist(real, generated)
    in_real_ball = distance < real_radius[:, None]
    return {
        "precision": float(in_real_ball.any(axis=0).mean()),
        "recall": float((distance < generated_radius[None, :]).any(axis=1).mean()),
        "density": float(in_real_ball.sum(axis=0).mean() / k),
        "coverage": float(in_real_ball.any(axis=1).mean()),
    }


def _radius(points: np.ndarray, k: int) -> np.ndarray:
    """The distance of each point to its k-th nearest neighbour, itself not counted."""
    return np.partition(cdist(points, points), k, axis=1)[:, k]
