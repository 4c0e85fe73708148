"""Images with a planted lesion: real digits, of which half carry a soft bright spot.

The digit is the healthy body, which differs from image to image, and the spot is what has to be found.
data/lesions.md says the equations.
"""

import numpy as np
from sklearn.datasets import load_digits

from course_lib.datasets.splits import Dataset, halves

WIDTH = 1.0  # standard deviation of the spot, in pixels
PEAK = (10.0, 16.0)  # grey levels in the middle of the spot, from and to


def plant_lesions(images: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The images (n, 8, 8), a random half of them with a spot, and which ones (n,) of 0 and 1.

    Raises:
        ValueError: for other shapes.

    >>> x, y = plant_lesions(np.zeros((10, 8, 8)))
    >>> int(y.sum()), bool((x.max(axis=(1, 2)) > 0).sum() == 5)
    (5, True)
    """
    if images.ndim != 3 or images.shape[1:] != (8, 8):
        raise ValueError(f"The images must be (n, 8, 8); got {images.shape}.")
    rng = np.random.default_rng(seed)
    n = len(images)
    ill = rng.permutation(n) < n // 2
    middle = rng.uniform(1.5, 5.5, (n, 2, 1))
    peak = rng.uniform(*PEAK, (n, 1, 1))
    down, across = (np.exp(-((np.arange(8) - middle[:, k]) ** 2) / (2 * WIDTH**2)) for k in (0, 1))
    spot = peak * down[:, :, None] * across[:, None, :]
    x = np.clip(np.round(images + ill[:, None, None] * spot), 0, 16)
    return x.astype(np.float32), ill.astype(np.int64)


def lesions() -> Dataset:
    """1,797 real digits of 8x8, half of them with a planted spot; x in grey levels 0 to 16, y 1 for a spot.

    >>> print(lesions())
    lesions: 1,197 to train, 600 held out, each of shape (8, 8)
    """
    return Dataset("lesions", *halves(*plant_lesions(load_digits().images), held_out=600))
