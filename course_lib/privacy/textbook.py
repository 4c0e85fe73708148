"""The parts of a privacy audit in their shortest form, as lesson 11 builds them."""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import beta


def rate_at(members: np.ndarray, others: np.ndarray, fpr: float) -> float:
    """The share of members (n,) that an attack finds where it accuses a share fpr of the others (m,).

    Of records that tie at the threshold a part is accused, by lot: the straight line between two points of
    the ROC curve. `attacks.tpr_at_fpr` is the same with its inputs checked.

    >>> rate_at(np.array([3.0, 1.0]), np.array([2.0, 1.0, 1.0, 0.0]), fpr=0.25)
    0.5
    """
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    false = [0.0, *((others >= t).mean() for t in thresholds)]
    true = [0.0, *((members >= t).mean() for t in thresholds)]
    best = dict(zip(false, true, strict=True))  # the last, and highest, at each rate
    return float(np.interp(fpr, list(best), list(best.values())))


def log_density_ratio(
    records: np.ndarray, synthetic: np.ndarray, reference: np.ndarray, k: int
) -> np.ndarray:
    """log p(synthetic) - log p(reference) at each record, by the k-th nearest neighbour: (n,).

    With the distance r to the k-th nearest of m rows in d dimensions, the density is k / (m r^d) up to a
    constant that both sides share. Source: van Breugel et al. 2023, arXiv 2302.12580.

    >>> near, far = np.array([[0.0], [1.0]]), np.array([[2.0], [4.0]])
    >>> log_density_ratio(np.array([[0.5]]), near, far, k=1).round(3)  # log of 1.5 / 0.5
    array([1.099])
    """
    r_made = np.sort(cdist(records, synthetic), axis=1)[:, k - 1]
    r_real = np.sort(cdist(records, reference), axis=1)[:, k - 1]
    volumes = records.shape[1] * (np.log(r_real) - np.log(r_made))
    return volumes + np.log(len(reference) / len(synthetic))


def risk_above_control(members: np.ndarray, control: np.ndarray) -> tuple[float, float]:
    """How much more often an attack succeeds on members (n,) bool than on a control (m,) bool, and the
    standard error of the difference.

    >>> members, control = np.array([1, 1, 1, 0]), np.array([1, 0, 0, 0])
    >>> [round(x, 3) for x in risk_above_control(members, control)]
    [0.5, 0.306]
    """
    p, q = members.mean(), control.mean()
    variance = p * (1 - p) / len(members) + q * (1 - q) / len(control)
    return float(p - q), float(variance**0.5)


def private_mean(
    gradients: np.ndarray, bound: float, noise: np.ndarray, expected: float
) -> np.ndarray:
    """The gradient of a step of DP-SGD, (d,), from gradients of each record (b, d) and scaled noise (d,).

    Source: Abadi et al. 2016, arXiv 1607.00133, algorithm 1.

    >>> private_mean(np.array([[3.0, 4.0], [0.3, 0.4]]), 1.0, np.zeros(2), expected=2)
    array([0.45, 0.6 ])
    """
    norms = np.sqrt((gradients**2).sum(axis=1, keepdims=True))
    clipped = gradients * np.minimum(1, bound / np.maximum(norms, 1e-12))
    return (clipped.sum(axis=0) + noise) / expected


def epsilon_from_guesses(right: int, guesses: int, confidence: float) -> float:
    """The lower bound of a pure epsilon that right guesses about coins prove, 0 if they prove nothing.

    Under epsilon no guess is right with a chance above e^epsilon / (1 + e^epsilon), so a lower bound of
    that chance (Clopper and Pearson) gives one of epsilon. Source: Steinke, Nasr and Jagielski 2023,
    arXiv 2305.08846, for delta 0.

    >>> epsilon_from_guesses(50, 100, 0.95), round(epsilon_from_guesses(100, 100, 0.95), 2)
    (0.0, 3.49)
    """
    if right == 0:
        return 0.0
    chance = beta.ppf(1 - confidence, right, guesses - right + 1)
    return float(max(np.log(chance / (1 - chance)), 0.0))


def rmia_scores(
    target: np.ndarray,
    references: np.ndarray,
    population: np.ndarray,
    population_references: np.ndarray,
    gamma: float,
) -> np.ndarray:
    """The share of population points whose likelihood ratio each record's exceeds gamma times, (n,).

    Args:
        target, references: log-likelihoods of n records by the model, (n,), and by m reference models that
            did not learn from them, (m, n).
        population, population_references: the same of l points that nobody learnt from, (l,) and (m, l).

    Source: Zarifzadeh, Liu and Shokri 2024, arXiv 2312.03262, section 3.

    >>> rmia_scores(np.array([2.0, 0.0]), np.zeros((1, 2)), np.array([0.5, 1.0]), np.zeros((1, 2)), 1.0)
    array([1., 0.])
    """
    ratio = target - np.log(np.exp(references).mean(axis=0))
    others = population - np.log(np.exp(population_references).mean(axis=0))
    return (ratio[:, None] >= np.log(gamma) + others).mean(axis=1)
