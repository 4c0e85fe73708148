"""A training watched: what the GANs draw and how their discriminators judge, at several moments."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from course_lib.mode_collapse.modes import Modes
from course_lib.mode_collapse.point_gans import GANs, fit

SAMPLES = 2500  # as many as VEEGAN and PacGAN judge
SHOWN, SIDE = 400, 25


@dataclass(frozen=True)
class Run:
    """How the training of several GANs of points in the plane went.

    Attributes:
        steps: (moments,), the steps after which the GANs were looked at.
        samples: (moments, seeds, n, 2) of the generators as they were then.
        surface: (moments, seeds, side, side), the discriminators' probability of "real" on a square
            grid, `half_width(mixture)` in each direction; rows from the lowest y to the highest.
        modes, high_quality: (moments, seeds), of SAMPLES from the moving averages of the generators.

    >>> from course_lib.mode_collapse.records import knobs
    >>> run = knobs()["beta_1"][0.5]
    >>> run.samples.shape, run.modes.shape  # eight moments; samples of one seed, modes of five
    ((8, 1, 400, 2), (8, 5))
    """

    steps: np.ndarray
    samples: np.ndarray
    surface: np.ndarray
    modes: np.ndarray
    high_quality: np.ndarray


def half_width(mixture: Modes) -> float:
    """Half the side of a square around 0 that shows all modes, with some room around them.

    >>> half_width(Modes(np.array([[0.0, 2.0], [1.0, 0.0]]), sd=0.1))
    3.0
    """
    return 1.5 * float(np.abs(mixture.centres).max())


def surface(gans: GANs, mixture: Modes, side: int = SIDE) -> np.ndarray:
    """Each discriminator's probability of "real" on a square grid, (members, side, side), see `Run`.

    >>> from course_lib.mode_collapse import RING, Recipe
    >>> surface(GANs(Recipe(width=8), dimensions=2, seeds=[0, 1]), RING, side=5).shape
    (2, 5, 5)
    """
    axis = torch.linspace(-half_width(mixture), half_width(mixture), side)
    places = torch.cartesian_prod(axis, axis).flip(1)  # x varies fastest
    real = torch.from_numpy(gans.logits(places)).sigmoid()
    return real.reshape(-1, side, side).numpy()


def watch(gans: GANs, data: Tensor, mixture: Modes, moments: Sequence[int]) -> Run:
    """Train `gans` on `data` (n, 2), drawn from `mixture`, and look at them after the steps `moments`.

    >>> from course_lib.mode_collapse import RING, Recipe
    >>> gans = GANs(Recipe(width=8, steps=3, batch_size=10), dimensions=2, seeds=[0, 1])
    >>> watch(gans, torch.zeros(40, 2), RING, moments=[1, 3]).modes.shape
    (2, 2)
    """
    seen = []
    for step in fit(gans, data):
        if step.number not in moments:
            continue
        figures = [mixture.measure(points) for points in gans.sample(SAMPLES)]
        seen.append(
            (
                np.int32(step.number),
                gans.sample(SHOWN, average=False).astype(np.float16),
                surface(gans, mixture).astype(np.float16),
                np.array([row["modes"] for row in figures], np.int8),
                np.array([row["high_quality"] for row in figures], np.float16),
            )
        )
    return Run(*(np.stack(part) for part in zip(*seen, strict=True)))
