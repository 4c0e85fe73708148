"""Measures of bias between groups, and weights against it, as lesson 10 builds them.

Groups are codes 0 to k - 1; labels and decisions are 0 or 1 (or bool). Each has the shape (n,).
"""

import numpy as np


def share_z(k: int, m: int, k_real: int, n: int) -> float:
    """How many standard errors a share has moved, if both tables were draws of one distribution.

    Args:
        k, m: the group's rows among m synthetic rows.
        k_real, n: the same among n real rows.

    Source: the two-sample test of proportions with the pooled share, e.g. Agresti, "Categorical
    Data Analysis", 3rd ed., 2013, chapter 3.

    >>> round(share_z(40, 100, 50, 100), 2)
    -1.42
    """
    pooled = (k + k_real) / (m + n)
    sd = np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    return float((k / m - k_real / n) / sd)


def label_rates(label: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """P(label = 1 | group) for each of the codes, (groups,); NaN for a group without rows.

    >>> label_rates(np.array([1, 0, 1, 1]), np.array([0, 0, 1, 1]), 3).tolist()
    [0.5, 1.0, nan]
    """
    rates = np.full(groups, np.nan)
    for code in range(groups):
        rows = label[group == code]
        if len(rows):
            rates[code] = rows.mean()
    return rates


def amplification(real: np.ndarray, synthetic: np.ndarray) -> float:
    """By how much a gap between two groups' rates grew: above 0 amplified, below 0 narrowed.

    Args:
        real, synthetic: the two groups' rates, (2,) each. The gap is the first minus the second,
            and it grows in the direction that it has among the real rows.

    Source: after Zhao et al. 2017, arXiv 1707.09457.

    >>> round(amplification(np.array([0.6, 0.5]), np.array([0.7, 0.5])), 2)
    0.1
    """
    gap_real, gap = real[0] - real[1], synthetic[0] - synthetic[1]
    return float(np.sign(gap_real) * (gap - gap_real))


def demographic_parity(chosen: np.ndarray, group: np.ndarray) -> float:
    """The largest difference between groups of the share that is chosen.

    >>> demographic_parity(np.array([1, 1, 0, 1]), np.array([0, 0, 1, 1]))
    0.5
    """
    rates = [chosen[group == code].mean() for code in np.unique(group)]
    return float(max(rates) - min(rates))


def equalized_odds(truth: np.ndarray, chosen: np.ndarray, group: np.ndarray) -> float:
    """The larger difference between groups: of true-positive or of false-positive rates.

    Each group needs rows of either truth.

    Source: Hardt et al. 2016, arXiv 1610.02413.

    >>> equalized_odds(np.array([1, 0, 1, 0]), np.array([1, 0, 0, 0]), np.array([0, 0, 1, 1]))
    1.0
    """
    gaps = []
    for side in (0, 1):
        rates = [chosen[(group == code) & (truth == side)].mean() for code in np.unique(group)]
        gaps.append(max(rates) - min(rates))
    return float(max(gaps))


def reweighting(label: np.ndarray, group: np.ndarray) -> np.ndarray:
    """A weight for each row, (n,), under which label and group are independent.

    Source: Kamiran and Calders 2012, DOI 10.1007/s10115-011-0463-8, "reweighing": the weight is
    P(group) P(label) / P(group, label).

    >>> reweighting(np.array([1, 1, 0, 1]), np.array([0, 0, 1, 1])).tolist()
    [0.75, 0.75, 0.5, 1.5]
    """
    weights = np.empty(len(label))
    for code in np.unique(group):
        for value in np.unique(label):
            cell = (group == code) & (label == value)
            if cell.any():
                expected = (group == code).mean() * (label == value).mean()
                weights[cell] = expected / cell.mean()
    return weights


def implied_false_positives(prevalence: float, precision: float, recall: float) -> float:
    """The false-positive rate that follows from prevalence, precision and recall.

    Source: Chouldechova 2017, arXiv 1610.07524, where precision is called PPV and recall is
    1 - FNR.

    >>> round(implied_false_positives(0.5, 0.8, 0.8), 3)
    0.2
    """
    odds = prevalence / (1 - prevalence)
    return odds * (1 - precision) / precision * recall


def worst_calibration_gap(
    truth: np.ndarray, probability: np.ndarray, groups: np.ndarray, bins: int = 10
) -> tuple[int, int, float]:
    """Where predicted probabilities are wrong for most people: (group, bin, gap).

    Of all pairs of a group and a bin of scores it is the one with the largest sum, in size, of truth
    minus probability; the gap is the mean of that difference over its rows. A pair without rows has
    no gap. (0, 0, 0.0) if nothing is off.

    Args:
        truth: 0 or 1, (n,).
        probability: predicted, (n,), in [0, 1]. Bin b holds [b / bins, (b + 1) / bins), the last one 1
            as well.
        groups: who belongs to which group, (k, n), bool. Groups may overlap.
        bins: number of bins of equal width.

    Source: a step of the algorithm of Hébert-Johnson et al. 2018, arXiv 1711.08513.

    >>> truth, probability = np.array([1, 1, 0, 1]), np.array([0.5, 0.5, 0.5, 0.95])
    >>> worst_calibration_gap(truth, probability, np.array([[True, True, False, False]]))
    (0, 5, 0.5)
    """
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    most, worst = 0.0, (0, 0, 0.0)
    for group, bin_ in np.ndindex(len(groups), bins):
        rows = groups[group] & (bin_of == bin_)
        off = (truth[rows] - probability[rows]).sum()
        if abs(off) > most:
            most, worst = abs(off), (group, bin_, float(off / rows.sum()))
    return worst
