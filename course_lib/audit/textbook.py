"""Measures of fidelity in their textbook form, short enough to be read and built.

The audit's own versions add blocks to spare memory, intervals and reference values.
"""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, clone


def c2st(predicted: np.ndarray, truth: np.ndarray, shuffled: np.ndarray) -> tuple[float, float]:
    """Accuracy of a classifier that tells real from synthetic, and its permutation p-value.

    The p-value is the share of labels as good or better for the same predictions, among the truth
    and its permutations; the truth counts as one of them, so that it is never 0.

    Args:
        predicted: what a classifier says of rows that it was not fitted to (n,), 0 or 1.
        truth: what they are (n,).
        shuffled: permutations of `truth` (draws, n).

    Source: Lopez-Paz and Oquab 2017, arXiv 1610.06545 (classifier two-sample test).

    >>> truth = np.array([0, 1, 0, 1])
    >>> c2st(truth, truth, np.array([[1, 0, 0, 1], [0, 1, 1, 0], [1, 0, 1, 0]]))
    (1.0, 0.25)
    """
    accuracy = (predicted == truth).mean()
    null = (predicted == shuffled).mean(axis=1)
    p = (1 + (null >= accuracy).sum()) / (1 + len(shuffled))
    return float(accuracy), float(p)


def extrapolate(sizes: np.ndarray, distances: np.ndarray) -> float:
    """What Fréchet distances at several sample sizes tend to as the samples grow.

    Their bias falls like 1 / n, so that a straight line in 1 / n has the limit at its 0.

    Source: Chong and Forsyth 2020, arXiv 1911.07023.

    >>> round(extrapolate(np.array([100, 200]), np.array([0.5, 0.3])), 6)
    0.1
    """
    _slope, intercept = np.polyfit(1 / sizes, distances, 1)
    return float(intercept)


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Improved precision and recall of generated features (m, d) against real ones (n, d).

    Each point has a ball that reaches to its k-th nearest neighbour of its own kind. Precision is the
    share of generated points within a real point's ball, recall the share of real points within a
    generated point's ball.

    Source: Kynkäänniemi et al. 2019, arXiv 1904.06991, eq. 1 and 2.

    >>> real, generated = np.random.default_rng(0).normal(size=(2, 500, 3))
    >>> precision_recall(real, 0.1 * generated)[1]
    0.01
    """

    def radius(points: np.ndarray) -> np.ndarray:
        return np.sort(cdist(points, points), axis=1)[:, k]  # column 0 is the point itself

    distance = cdist(real, generated)
    precision = (distance < radius(real)[:, None]).any(axis=0).mean()
    recall = (distance < radius(generated)).any(axis=1).mean()
    return float(precision), float(recall)


def train_synthetic_test_real(
    model: "BaseEstimator",  # in quotes, since lesson 09 runs this source without importing it
    synthetic: tuple[np.ndarray, np.ndarray],
    real: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
) -> tuple[float, float]:
    """Score on held-out real rows of a model trained on synthetic rows, and of one trained on real.

    Both learn from equally many rows, the first of each set. Each set is features (n, d) and labels
    (n,); `model` is an unfitted scikit-learn estimator, which is left as it is.

    Source: Esteban et al. 2017, arXiv 1706.02633, section 4.1 (TSTR).

    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
    >>> train_synthetic_test_real(LogisticRegression(), (x, 1 - y), (x, y), (x, y))
    (0.0, 1.0)
    """
    rows = min(len(synthetic[1]), len(real[1]))
    synthetic_score, real_score = (
        clone(model).fit(x[:rows], y[:rows]).score(*held_out) for x, y in (synthetic, real)
    )
    return float(synthetic_score), float(real_score)


def density_ratio(probability: np.ndarray, n_real: int, n_generated: int) -> np.ndarray:
    """Estimated density of the real distribution over that of the generator, (n,).

    Args:
        probability: a calibrated classifier's probability that a row is real (n,).
        n_real, n_generated: how many rows of each kind it was fitted to.

    Source: Azadi et al. 2019, arXiv 1810.06758 (discriminator rejection sampling), section 3.

    >>> density_ratio(np.array([0.5, 0.8]), 100, 100).round(3).tolist()
    [1.0, 4.0]
    """
    ratio: np.ndarray = probability / (1 - probability) * n_generated / n_real
    return ratio


def combined_estimate(estimates: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    """One estimate and its variance from the analyses of several synthetic tables, two or more.

        q = mean(q_i),   T = mean(v_i) + b / m,   b = sum_i (q_i - q)^2 / (m - 1)

    It holds for tables of as many rows as the real one, each drawn from the real table's fitted
    model.

    Args:
        estimates: what each table gives (m,), m at least 2.
        variances: the squared standard error that each table claims (m,).

    Source: Reiter 2003, "Inference for partially synthetic, public use microdata sets", Survey
    Methodology 29.

    >>> estimate, variance = combined_estimate(np.array([1.0, 3.0]), np.array([0.5, 0.7]))
    >>> estimate, round(variance, 3)
    (2.0, 1.6)
    """
    between = estimates.var(ddof=1)
    total = variances.mean() + between / len(estimates)
    return float(estimates.mean()), float(total)
