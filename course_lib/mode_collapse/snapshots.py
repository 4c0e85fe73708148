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
        steps: (moments,) after which the rest was taken.
        samples: (moments, seeds, n, 2) of the generators as they were then.
        surface: (moments, seeds, side, side), the discriminators' probability of "real" on a square
            grid, `reach(law)` in each direction; rows from the lowest y to the highest.
        modes, high_quality: (moments, seeds), of SAMPLES from the moving averages of the generators.
    """

    steps: np.ndarray
    samples: np.ndarray
    surface: np.ndarray
    modes: np.ndarray
    high_quality: np.ndarray


def reach(law: Modes) -> float:
    """How far a square around 0 must reach to show the modes with some room about them."""
    return 1.5 * float(np.abs(law.centres).max())


def surface(gans: GANs, law: Modes, side: int = SIDE) -> np.ndarray:
    """Each discriminator's probability of "real" on a square grid, (members, side, side), see `Run`."""
    axis = torch.linspace(-reach(law), reach(law), side)
    places = torch.cartesian_prod(axis, axis).flip(1)  # x varies fastest
    real = torch.from_numpy(gans.logits(places)).sigmoid()
    return real.reshape(-1, side, side).numpy()


def watch(gans: GANs, data: Tensor, law: Modes, moments: Sequence[int]) -> Run:
    """Train `gans` on `data` (n, 2), drawn from `law`, and look at them after the steps `moments`."""
    seen = []
    for step in fit(gans, data):
        if step.number not in moments:
            continue
        figures = [law.measure(points) for points in gans.sample(SAMPLES)]
        seen.append(
            (
                np.int32(step.number),
                gans.sample(SHOWN, average=False).astype(np.float16),
                surface(gans, law).astype(np.float16),
                np.array([row["modes"] for row in figures], np.int8),
                np.array([row["high_quality"] for row in figures], np.float16),
            )
        )
    return Run(*(np.stack(part) for part in zip(*seen, strict=True)))
