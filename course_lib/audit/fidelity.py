"""How close generated samples are to real ones, measured on features."""

from collections.abc import Iterator

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.neighbors import NearestNeighbors


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features.

        d^2 = |m_r - m_g|^2 + tr(C_r + C_g - 2 (C_r C_g)^(1/2))

    with means m and unbiased covariances C (ddof = 1). Zero for identical moments. At finite n it
    is biased upward: two samples of N(0, I) in d dimensions, n rows each, give about
    (d^2 + 5 d) / (2 n), so compare only values of equal n, and compare them with what real data score.

    Args:
        real, generated: features (n, d) and (m, d), n and m at least 2.

    Raises:
        ValueError: for anything but two finite matrices of one width.

    Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6 (FID).

    >>> real, generated = np.random.default_rng(0).normal(size=(2, 500, 3))
    >>> round(frechet_distance(real, generated + 1), 1)
    2.8
    """
    real, generated = _features(real, generated)
    if len(real) < 2 or len(generated) < 2:
        raise ValueError("A covariance needs at least two rows of features on each side.")
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        raise ValueError("The features contain values that are not finite (NaN or infinity).")
    return frechet_of_moments(*moments(real), *moments(generated))


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and unbiased covariance (d, d) of features (n, d).

    >>> mean, covariance = moments(np.eye(3))
    >>> covariance.shape
    (3, 3)
    """
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def frechet_of_moments(
    mean_real: np.ndarray, cov_real: np.ndarray, mean: np.ndarray, cov_generated: np.ndarray
) -> float:
    """The distance of `frechet_distance` from means (d,) and covariances (d, d).

    >>> zero, one = np.zeros(3), np.eye(3)
    >>> round(frechet_of_moments(zero, one, zero + 2, one), 6)
    12.0
    """

    def root(covariance: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(covariance)
        result: np.ndarray = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
        return result

    difference = mean_real - mean
    # tr((C_r C_g)^(1/2)) is the sum of the singular values of C_r^(1/2) C_g^(1/2), which stays exact
    # where the covariances have no full rank.
    cross = np.linalg.norm(root(cov_real) @ root(cov_generated), "nuc")
    return float(difference @ difference + np.trace(cov_real) + np.trace(cov_generated) - 2 * cross)


def frechet_bias(covariance: np.ndarray, n: int, m: int) -> float:
    """What `frechet_distance` gives on average for n and m rows of one normal distribution.

    With eigenvalues l_i of its covariance, to first order in 1/n + 1/m:

        (1/n + 1/m) (sum_i l_i + 1/2 sum_ij l_i l_j (1 + [i = j]) / (l_i + l_j))

    the first term from the means, the second from the covariances: it expands the distance of two
    covariances (Bhatia et al. 2019, "On the Bures-Wasserstein distance between positive definite
    matrices") and takes the variance of a Wishart matrix. N(0, I_d) with n = m gives
    (d^2 + 5 d) / (2 n).

    >>> round(frechet_bias(np.eye(2), 100, 100), 6)
    0.07
    """
    values = np.clip(np.linalg.eigvalsh(covariance), 0, None)
    values = values[values > 1e-12 * values.max(initial=0)]
    pairs = np.outer(values, values) / np.add.outer(values, values)
    return float((1 / n + 1 / m) * (values.sum() + (pairs.sum() + np.trace(pairs)) / 2))


def mmd2(real: np.ndarray, generated: np.ndarray, bandwidth: float | None = None) -> float:
    """Unbiased squared maximum mean discrepancy of features (n, d) and (m, d).

    The kernel is (x.y / d + 1)^3, so that this is the kernel inception distance (KID) on any
    features; with a `bandwidth` s it is exp(-|x - y|^2 / (2 s^2)). Zero on average for one
    distribution, and then below zero as often as above.

    Source: Gretton et al. 2012, "A kernel two-sample test", eq. 3; Bińkowski et al. 2018,
    arXiv 1801.01401 (KID).

    >>> real, generated = np.random.default_rng(0).normal(size=(2, 500, 3))
    >>> mmd2(real, generated) < 0.1 < mmd2(real, generated + 1)
    True
    """
    real, generated = _features(real, generated)
    if min(len(real), len(generated)) < 2:
        raise ValueError("The unbiased estimate needs at least two rows on each side.")
    gram = gram_matrix(np.concatenate([generated, real]), bandwidth)
    return float(mmd2_of_gram(gram, np.arange(len(gram)) < len(generated))[0])


def gram_matrix(features: np.ndarray, bandwidth: float | None = None) -> np.ndarray:
    """Kernel values (n, n) of all pairs of features (n, d); the kernels of `mmd2`.

    >>> gram_matrix(np.eye(2)).round(3).tolist()
    [[3.375, 1.0], [1.0, 3.375]]
    """
    if bandwidth is None:
        gram: np.ndarray = polynomial_kernel(features, degree=3, coef0=1)
    else:
        gram = rbf_kernel(features, gamma=1 / (2 * bandwidth**2))
    return gram


def mmd2_of_gram(gram: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Unbiased squared MMD for each division (draws, n) of the rows of a gram matrix (n, n).

    >>> gram = gram_matrix(np.array([[0.0], [0.0], [1.0], [1.0]]))
    >>> mmd2_of_gram(gram, np.array([True, True, False, False])).tolist()
    [7.0]
    """
    first = np.atleast_2d(first).astype(gram.dtype)
    m = first.sum(axis=1)
    n = len(gram) - m
    diagonal = np.diag(gram)
    rows = first @ gram
    within = (rows * first).sum(axis=1)
    across = rows.sum(axis=1) - within
    within_rest = gram.sum() - within - 2 * across
    own = first @ diagonal
    squared: np.ndarray = (
        (within - own) / (m * (m - 1))
        + (within_rest - (diagonal.sum() - own)) / (n * (n - 1))
        - 2 * across / (m * n)
    )
    return squared


def manifold_measures(real: np.ndarray, generated: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage of generated features, each relative to real ones.

    A ball around each point reaches to its k-th nearest neighbour of the same kind. Precision is the
    share of generated points within a real point's ball, recall the share of real points within a
    generated point's ball; density counts how many real balls hold a generated point, over k;
    coverage is the share of real balls that hold at least one generated point.

    A perfect generator does not score 1 in any of them: compare them with what real data score. A
    generator that has shrunk to the middle of the data scores well in density and coverage; recall
    shows what it has lost.

    Args:
        real, generated: features (n, d) and (m, d), n and m above k.

    Raises:
        ValueError: for anything but two matrices of one width with more than k rows each.

    Source: Kynkäänniemi et al. 2019, arXiv 1904.06991 (precision, recall); Naeem et al. 2020,
    arXiv 2002.09797 (density, coverage).

    >>> real, generated = np.random.default_rng(0).normal(size=(2, 500, 3))
    >>> manifold_measures(real, 0.1 * generated)["recall"]
    0.01
    """
    real, generated = _features(real, generated)
    if min(len(real), len(generated)) <= k:
        raise ValueError(f"Each side needs more than k = {k} rows.")
    real_radius, generated_radius = _radius(real, k), _radius(generated, k)
    count = np.zeros(len(generated))  # real balls that hold this generated point
    recalled, covered = [], []
    for real_rows, distance in _blocks(real, generated):
        in_real_ball = distance < real_radius[real_rows, None]
        count += in_real_ball.sum(axis=0)
        covered.append(in_real_ball.any(axis=1))
        recalled.append((distance < generated_radius).any(axis=1))
    return {
        "precision": float((count > 0).mean()),
        "recall": float(np.concatenate(recalled).mean()),
        "density": float(count.mean() / k),
        "coverage": float(np.concatenate(covered).mean()),
    }


def vendi_score(features: np.ndarray, bandwidth: float) -> float:
    """How many kinds of row features (n, d) hold: 1 for n copies, n for rows that are all unlike.

        exp(-sum_i l_i ln l_i),   l_i the eigenvalues of K / n

    with the kernel values K_ij = exp(-|x_i - x_j|^2 / (2 bandwidth^2)). It needs no reference: it says
    how varied rows are, and not whether they are right. It grows with n, so compare equal n only.

    Raises:
        ValueError: for a bandwidth of 0 or less.

    Source: Friedman and Dieng 2022, arXiv 2210.02410, definition 3.1.

    >>> round(vendi_score(np.array([[0.0], [0.0], [9.0], [9.0]]), bandwidth=1.0), 3)
    2.0
    """
    if not bandwidth > 0:
        raise ValueError(f"The kernel needs a bandwidth above 0; got {bandwidth}.")
    shares = np.linalg.eigvalsh(gram_matrix(np.asarray(features, float), bandwidth) / len(features))
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _features(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    real, generated = np.asarray(real, float), np.asarray(generated, float)
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"Features must be two matrices of one width; got {real.shape} and {generated.shape}."
        )
    return real, generated


def _blocks(one: np.ndarray, two: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Distances of some rows of `one` to all of `two`, block by block to spare memory."""
    start = 0
    for distance in pairwise_distances_chunked(one, two, working_memory=64):
        yield slice(start, start + len(distance)), distance
        start += len(distance)


def _radius(points: np.ndarray, k: int) -> np.ndarray:
    """The distance of each point to its k-th nearest neighbour, itself not counted."""
    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points)
    distances: np.ndarray = neighbours.kneighbors()[0]
    return distances[:, -1]
