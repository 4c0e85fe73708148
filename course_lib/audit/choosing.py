"""From audits to a decision: how many rows it needs, which generator, what may be claimed."""

import numpy as np
from scipy.stats import norm


def rows_needed(
    rate: np.ndarray, margin: np.ndarray, level: float = 0.05, power: float = 0.8
) -> np.ndarray:
    """How many rows of each table (n,) a check of a rate needs, so that a sound one passes.

    Both tables have the same true `rate`. The check passes if the two-sided interval at `level` of the
    difference lies within +- `margin`; `power` is the chance of that. Normal approximation.

    Source: Julious 2004, DOI 10.1002/sim.1783, on equivalence where the true difference is 0.

    >>> rows_needed(np.array([0.5, 0.04]), np.array([0.05, 0.05])).tolist()
    [2102.0, 323.0]
    """
    distance = norm.ppf(1 - level / 2) + norm.ppf((1 + power) / 2)
    needed: np.ndarray = np.ceil(2 * rate * (1 - rate) * (distance / margin) ** 2)
    return needed


def choose_generator(score: np.ndarray) -> int:
    """The first generator that is not clearly worse than the best one.

    Args:
        score: (generators, draws), lower is better; the preferred (simplest) generator first. The
            draws of one column share their seed, so differences are taken within a column.

    A generator is clearly worse if the mean of its differences to the best one is more than their
    standard error. Source: the one-standard-error rule of Breiman, Friedman, Olshen and Stone 1984,
    "Classification and regression trees", chapter 3, on paired differences.

    >>> choose_generator(np.array([[9.0, 8, 9], [3, 5, 4], [4, 3, 4]]))
    1
    """
    best = score.mean(axis=1).argmin()
    worse = score - score[best]
    error = worse.std(axis=1, ddof=1) / np.sqrt(score.shape[1])
    return int(np.argmax(worse.mean(axis=1) <= error))


def honest_score(score: np.ndarray) -> float:
    """What the best table is worth on rows that did not choose it, lower is better.

    Args:
        score: (tables, parts): each table's score on each part of the real rows, at least two parts.

    For each part the table with the lowest mean on all *other* parts is chosen and scored on this one.
    Source: Varma and Simon 2006, DOI 10.1186/1471-2105-7-91 (nested cross-validation).

    >>> honest_score(np.array([[1.0, 5], [4, 4]]))
    4.5
    """
    found = []
    for part in range(score.shape[1]):
        others = np.delete(score, part, axis=1).mean(axis=1)
        found.append(score[others.argmin(), part])
    return float(np.mean(found))


def replace_copies(copied: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    """Places (n,) of the rows of a table without copies, in which each group keeps its share.

    Args:
        copied: (m,) which drawn rows copy a training row; the first n are the table, the others spare.
        group: (m,) the group of each row.

    A row that is a copy is replaced by the first spare row of its group that is none and not used yet.

    Raises:
        ValueError: a group has too few spare rows.

    >>> replace_copies(np.array([0, 1, 1, 0, 0], bool), np.array([0, 1, 0, 0, 1]), 2).tolist()
    [0, 4]
    """
    kept = np.arange(n)
    used = set()
    for place in np.flatnonzero(copied[:n]):
        for spare in range(n, len(group)):
            if group[spare] == group[place] and not copied[spare] and spare not in used:
                kept[place] = spare
                used.add(spare)
                break
        else:
            raise ValueError("draw more rows: a group has no spare row left")
    return kept


def claim_verdicts(
    estimate: np.ndarray, error: np.ndarray, margin: np.ndarray, level: float = 0.05
) -> np.ndarray:
    """Of each claim "the difference is smaller than the margin" (k,): 1 supported, -1 refuted, 0 open.

    Args:
        estimate, error: (k,) the measured differences and their standard errors; NaN if not measured.

    The k intervals hold together with the chance 1 - `level` (Bonferroni). A claim is supported if its
    interval lies within the margin on both sides, and refuted if the whole interval lies beyond it.
    Source: Schuirmann 1987, DOI 10.1007/BF01068419, for equivalence by an interval.

    >>> claim_verdicts(np.array([0.0, 0.4, 0.1]), np.full(3, 0.02), np.full(3, 0.1)).tolist()
    [1, -1, 0]
    """
    reach = norm.ppf(1 - level / (2 * len(estimate))) * error
    low, high = estimate - reach, estimate + reach
    supported = (low >= -margin) & (high <= margin)
    refuted = (low > margin) | (high < -margin)
    verdicts: np.ndarray = supported.astype(int) - refuted.astype(int)
    return verdicts
