"""How much of the real tails synthetic rows have lost."""

import numpy as np


def tail_loss(real: np.ndarray, synthetic: np.ndarray, share: float = 0.05) -> float:
    """The part of the real tails that is missing: 0 if none is, 1 if nothing lies out there any more.

        1 - P(synthetic row beyond the real quantiles) / P(real row beyond them)

    The quantiles are those that cut off `share / 2` of the real values on either side. Heavier tails
    than the real ones give a value below 0.

    Args:
        real, synthetic: one column each, (n,) and (m,).
        share: of the real values that count as tails, both sides together.
    """
    low, high = np.quantile(real, [share / 2, 1 - share / 2])
    outside_real = ((real < low) | (real > high)).mean()
    outside_synthetic = ((synthetic < low) | (synthetic > high)).mean()
    return float(1 - outside_synthetic / outside_real)
