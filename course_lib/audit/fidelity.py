"""How close generated samples are to real ones, measured on features."""

import numpy as np


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
