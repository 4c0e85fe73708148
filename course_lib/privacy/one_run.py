"""Privacy audited from below in one training run: how many of the guesses about canaries are right?

Source: Steinke, Nasr and Jagielski 2023, "Privacy auditing with one (1) training run", arXiv 2305.08846.
Of m canaries each goes into the training with a fair coin of its own. An auditor who sees only the result
guesses r of these coins. If more guesses are right than (epsilon, delta) allows, the claim is wrong.
"""

import numpy as np
from scipy.stats import binom


def p_value(right: int, guesses: int, canaries: int, epsilon: float, delta: float = 0.0) -> float:
    """The largest chance of so many right guesses, or more, about an (epsilon, delta)-private mechanism.

    P[W >= v] + 2 m delta max_i P[v > W >= v - i] / i, where W is binomial with r trials and the chance
    e^epsilon / (1 + e^epsilon), v is the number of right guesses and i = 1 ... v (their bound
    for approximate differential privacy).

    >>> round(p_value(right=9, guesses=10, canaries=20, epsilon=0.0), 4)  # a fair coin: 11 / 1024
    0.0107
    """
    if not 0 <= right <= guesses <= canaries:
        raise ValueError("Wanted: 0 <= right <= guesses <= canaries.")
    q = 1 / (1 + np.exp(-epsilon))
    tail = binom.sf(right - 1, guesses, q)
    if right and delta:
        i = np.arange(1, right + 1)
        tail += 2 * canaries * delta * (np.cumsum(binom.pmf(right - i, guesses, q)) / i).max()
    return float(min(tail, 1))


def epsilon_at_least(
    right: int, guesses: int, canaries: int, delta: float = 0.0, level: float = 0.95
) -> float:
    """The lower bound of epsilon that the guesses prove with the confidence `level`; 0 if nothing.

    Every smaller epsilon has a `p_value` below 1 - level. How many guesses to make must be settled before
    the coins are seen.

    >>> epsilon_at_least(50, 100, 100), round(epsilon_at_least(100, 100, 100), 2)
    (0.0, 3.49)
    """
    low, high = 0.0, 30.0
    if p_value(right, guesses, canaries, low, delta) >= 1 - level:
        return 0.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        if p_value(right, guesses, canaries, middle, delta) < 1 - level:
            low = middle
        else:
            high = middle
    return low


def guess(scores: np.ndarray, inside: np.ndarray, guesses: int) -> int:
    """How many guesses are right: the highest half of `guesses` scores is called in, the lowest out.

    Args:
        scores: (m,), high for canaries that seem to have been learnt from.
        inside: their coins, (m,) bool.
        guesses: r, even and at most m; the scores in between are passed over.

    >>> guess(np.array([3.0, 1.0, 2.0, 0.0]), np.array([True, False, False, True]), guesses=2)
    1
    """
    order = np.argsort(scores, kind="stable")
    half = guesses // 2
    return int((~inside[order[:half]]).sum() + inside[order[len(order) - half :]].sum())
