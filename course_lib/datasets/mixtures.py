"""The ring of 8 and the grid of 25: the normal mixtures on which mode collapse is measured.

Source: Srivastava et al. 2017, arXiv 1705.07761 (VEEGAN), section 4.1; the constants as in Lin et al.
2018, arXiv 1712.04086 (PacGAN), section 4.1, and in its published code.
"""

import numpy as np

_ANGLES = 2 * np.pi * np.arange(8) / 8
RING_CENTRES = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
RING_SD = 0.01  # in each coordinate, in each of the modes; so too below
GRID_CENTRES = np.array([[-4.0 + 2 * i, -4.0 + 2 * j] for i in range(5) for j in range(5)])
GRID_SD = 0.05


def mixture(centres: np.ndarray, sd: float, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw from a mixture of normal distributions with equal weights.

    Args:
        centres: (k, d), the means.
        sd: the standard deviation in each coordinate, the same for all.
        n: the number of draws.
        seed: one seed, one sample.

    Returns:
        The points (n, d) float32, and the component (n,) int64 that each was drawn from.

    >>> points, component = mixture(RING_CENTRES, RING_SD, n=5, seed=0)
    >>> points.shape, component.tolist()
    ((5, 2), [6, 5, 4, 2, 2])
    """
    rng = np.random.default_rng(seed)
    which = rng.integers(len(centres), size=n)
    x = centres[which] + sd * rng.standard_normal((n, centres.shape[1]))
    return x.astype(np.float32), which.astype(np.int64)
