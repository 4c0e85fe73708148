"""How much of the real tails synthetic rows have lost."""

import numpy as np


def tail_loss(real: np.ndarray, synthetic: np.ndarray, share: float = 0.05) -> np.ndarray:
    """The missing part of the low and of the high tail, (2,): 0 if none is missing, 1 if all is.

        1 - P(synthetic row beyond the real quantile) / P(real row beyond it),   on either side

    The quantiles cut off `share / 2` of the real values on either side. A tail that is heavier than the
    real one gives a value below 0; the two tails are kept apart, so that one cannot make up for the
    other. If no real value lies beyond a quantile, as with few distinct values, there is no tail to
    lose: NaN.

    Args:
        real, synthetic: one column each, (n,) and (m,).
        share: of the real values that count as tails, both sides together.

    >>> real = np.arange(1000.0)
    >>> tail_loss(real, real[100:])  # the low tail is gone
    array([ 1.        , -0.11111111])
    """
    low, high = np.quantile(real, [share / 2, 1 - share / 2])
    in_real = np.array([(real < low).mean(), (real > high).mean()])
    in_synthetic = np.array([(synthetic < low).mean(), (synthetic > high).mean()])
    return 1 - in_synthetic / in_real
