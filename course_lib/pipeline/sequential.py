"""Evidence that may be looked at every day: p-values, e-values and their CUSUM.

A p-value below .05 turns up in one of twenty days by chance, so who looks every day stops every good
stream. An e-value is a number that is at least 0 and has a mean of at most 1 if nothing is wrong. E-values
of many days may be multiplied, and the product may be looked at every day.
"""

import numpy as np
from scipy.special import gammaln
from scipy.stats import hypergeom

SHIFTS = (1.0, 2.0, 4.0, 8.0)  # what is bet on: standard deviations of the rank sum, up and down


def e_value(p: np.ndarray) -> np.ndarray:
    """An e-value for each p-value: the integral of k p^(k - 1) over k from 0 to 1.

    It is (1 - p + p log p) / (p log(p)^2), and with L = -log p also (exp(L) - 1 - L) / L^2. If p is
    uniform, each k p^(k - 1) has the mean 1, and so has their mixture. A p below 1e-300 counts as that.

    Source: Vovk and Wang 2021, "E-values: calibration, combination and applications", section 2.

    >>> e_value(np.array([1.0, 0.05, 0.001])).round(2)
    array([ 0.5 ,  1.78, 20.79])
    """
    L = -np.log(np.clip(p, 1e-300, 1))
    series = 0.5 + L / 6  # what it tends to near p = 1, where numbers of both sides cancel
    return np.asarray(np.where(L < 1e-4, series, (np.expm1(L) - L) / np.maximum(L, 1e-4) ** 2))


def e_cusum(e: np.ndarray) -> np.ndarray:
    """The evidence after each day that something changed, on whatever day.

    M_t = max(M_(t-1), 1) e_t, with M_0 = 1. If nothing is wrong, the chance that it ever reaches c within
    T days is at most T / c: it is never above R_t = (R_(t-1) + 1) e_t, and R_t + T - t is a supermartingale
    that starts at T, so Ville's inequality holds for it.

    Args:
        e: e-values, one a day (days,).

    Source: Shin, Ramdas and Rinaldo 2022, "E-detectors" (arXiv 2203.03532), section 2.

    >>> e_cusum(np.array([0.5, 4.0, 3.0, 0.1, 2.0]))
    array([ 0.5,  4. , 12. ,  1.2,  2.4])
    """
    evidence, last = np.empty(len(e)), 1.0
    for day, value in enumerate(e):
        last = max(last, 1.0) * value
        evidence[day] = last
    return evidence


def hypergeometric_tails(k: int, n: int, marked: int, whole: int) -> tuple[float, float]:
    """The chances of at most k, and of at least k, marked ones among n drawn out of a whole.

    That of scipy, and some ten times as fast for the few thousand rows that a day may have.

    >>> [round(p, 3) for p in hypergeometric_tails(1, 4, 5, 10)]
    [0.262, 0.976]
    """
    counts = np.arange(max(0, n + marked - whole), min(n, marked) + 1)
    others, left = whole - marked, n - counts
    logs = -gammaln(counts + 1) - gammaln(marked - counts + 1)
    logs -= gammaln(left + 1) + gammaln(others - left + 1)
    chances = np.exp(logs - logs.max())
    here = k - counts[0]
    total = chances.sum()
    below, above = chances[: here + 1].sum() / total, chances[here:].sum() / total
    return float(min(below, 1.0)), float(min(above, 1.0))


def share_p_value(k: int, n: int, k_before: int, n_before: int) -> float:
    """Two-sided p-value that k of n rows have something which k_before of n_before rows had.

    If all rows come from one source, then k is hypergeometric given the sum (Fisher's exact test); both
    tails count the value itself, and the smaller one is doubled.

    >>> round(share_p_value(0, 100, 40, 1000), 3), share_p_value(4, 100, 40, 1000)
    (0.041, 1.0)
    """
    return min(1.0, 2 * min(hypergeometric_tails(k, n, k + k_before, n + n_before)))


def one_value_p_value(today: np.ndarray, before: np.ndarray) -> float:
    """p-value that a single value stands in more rows of today than it did before.

    A poisoned row often carries a mark: one number, always the same. For each value that turns up today
    its count is hypergeometric, given how often it stands in both together. The smallest of these p-values
    is multiplied by the number of different values (Bonferroni).

    Args:
        today, before: numbers (n,) and (m,), none missing.

    >>> numbers = np.arange(500.0)
    >>> one_value_p_value(np.append(numbers[:92], [77.0] * 8), numbers[100:]) < 0.01
    True
    """
    if not len(today) or not len(before):
        return 1.0
    values, place = np.unique(np.concatenate([today, before]), return_inverse=True)
    k = np.bincount(place[: len(today)], minlength=len(values))
    whole = np.bincount(place, minlength=len(values))
    often = (k > 1) & (k > 2 * whole * len(today) / len(place))  # others are no news
    if not often.any():
        return 1.0
    n = len(today)
    above = [
        hypergeometric_tails(int(a), n, int(b), len(place))[1]
        for a, b in zip(k[often], whole[often], strict=True)
    ]
    return min(1.0, len(values) * min(above))


def group_p_values(
    label: np.ndarray, group: np.ndarray, label_before: np.ndarray, group_before: np.ndarray
) -> np.ndarray:
    """For each group, how surprising its number of labels is, given the rows of all days before.

    Args:
        label, label_before: 0 or 1 (n,) and (m,), of today and of the days before.
        group, group_before: the group of each row, as 0, 1, 2 and so on.

    Returns:
        Two-sided p-values, one for each group that has rows before; 1 where it has none today.

    >>> today, before = np.array([0, 0, 0, 0, 1, 1]), np.array([1, 1, 1, 1, 0, 1, 0, 1])
    >>> groups = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> group_p_values(today, groups[0], before, groups[1]).round(3)
    array([0.029, 0.8  ])
    """
    p_values = []
    for g in range(int(group_before.max()) + 1):
        n, n_before = int((group == g).sum()), int((group_before == g).sum())
        k, k_before = int(label[group == g].sum()), int(label_before[group_before == g].sum())
        below = hypergeom.cdf(k, n + n_before, k + k_before, n)
        above = hypergeom.sf(k - 1, n + n_before, k + k_before, n)
        p_values.append(min(1.0, 2 * min(below, above)))
    return np.array(p_values)


def shift_e_value(U: float, n: int, m: int) -> float:
    """An e-value against a shift, from Mann and Whitney's U: of n m pairs, those in which today is smaller.

    If all rows come from one source, every order of the n + m rows is equally likely. A bet on a shift
    says instead that an order has a chance in proportion to q^U. The quotient of the two chances has the
    mean 1: it is q^U times the number of orders, over the sum of q^U over all of them, which is the
    Gaussian binomial coefficient of n + m over n. The e-value is the mean of these quotients for shifts of
    1, 2, 4 and 8 standard deviations of U, down and up.

    It depends on the order alone, and the orders of different days are independent.

    Source: Mann and Whitney 1947, "On a test of whether one of two random variables is stochastically
    larger than the other" (U and how often each value of it comes); a quotient of chances as an e-value:
    Ramdas et al. 2023 (arXiv 2210.01948), section 2.

    >>> [round(shift_e_value(U, 30, 200), 2) for U in (3000, 4000, 5000)]
    [0.19, 15.74, 67410070.95]
    """
    if not n or not m:
        return 1.0
    less, more = sorted((n, m))
    i = np.arange(1, less + 1)
    orders = gammaln(n + m + 1) - gammaln(n + 1) - gammaln(m + 1)
    logs = []
    for size in SHIFTS:
        rate = size / np.sqrt(n * m * (n + m + 1) / 12)  # -log q
        coefficient = np.log(np.expm1(-rate * (more + i)) / np.expm1(-rate * i)).sum()
        logs += [orders - coefficient - rate * u for u in (U, n * m - U)]
    return float(np.exp(np.minimum(logs, 690)).mean())  # below the largest number there is


class Ranked:
    """A column's values of today and of the days before, sorted once, to be compared in many groups.

    Args:
        today, before: numbers (n,) and (m,), none missing.

    >>> column = Ranked(np.arange(50.0) + 30, np.arange(400.0) % 50)
    >>> round(column.distance(), 3), column.p_value() < 1e-6
    (0.6, True)
    """

    def __init__(self, today: np.ndarray, before: np.ndarray):
        values = np.concatenate([today, before])
        lot = np.random.default_rng(len(values)).permutation(len(values))
        self.order = np.lexsort((lot, values))  # those that tie are in an order by lot
        self.today = self.order < len(today)
        ordered = values[self.order]
        self.last = np.append(ordered[1:] != ordered[:-1], True)  # of those that tie

    def distance(self, inside: np.ndarray | None = None) -> float:
        """The largest difference of the two distribution functions, in all rows or in those `inside`
        (n + m,); 0 where one side is empty."""
        return self._compared(inside)[0]

    def p_value(self, inside: np.ndarray | None = None, tolerance: float = 0.0) -> float:
        """Bound on the chance of so large a distance if the truth's is at most `tolerance`.

        2 exp(-2 (D - tolerance)^2 n m / (n + m)), Massart's bound in the form of Wei and Dudley 2012,
        "Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities". Ties make it larger than need be.
        """
        D, n, m, _ = self._compared(inside)
        if not n or not m:
            return 1.0
        return float(min(1.0, 2 * np.exp(-2 * max(D - tolerance, 0.0) ** 2 * n * m / (n + m))))

    def shift_e_value(self, inside: np.ndarray | None = None) -> float:
        """An e-value that grows where today's values are larger or smaller; see `shift_e_value`."""
        _, n, m, U = self._compared(inside)
        return shift_e_value(U, n, m)

    def _compared(self, inside: np.ndarray | None) -> tuple[float, int, int, float]:
        chosen = np.ones(len(self.order), bool) if inside is None else inside[self.order]
        mine, other = chosen & self.today, chosen & ~self.today
        one, two = mine.cumsum(), other.cumsum()
        n, m = int(one[-1]), int(two[-1])
        if not n or not m:
            return 0.0, n, m, 0.0
        D = float(np.abs(one / n - two / m)[self.last].max())
        return D, n, m, float(one[other].sum())
