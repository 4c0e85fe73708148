"""The control: a diffusion model, which minimises a bound on the likelihood and so misses no mode."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib.models.diffusion import Denoiser, Diffusion, DiffusionSettings, fit
from course_lib.syllabus import unknown
from course_lib.training import finish

CONTROLS = Path(__file__).with_name("diffusion_control.toml")


@dataclass(frozen=True, kw_only=True)
class ControlSettings(DiffusionSettings):
    """How the diffusion model of points is made and trained, and how it draws.

    Attributes:
        width, depth: of the network, see `models.diffusion.Denoiser`.
        scale: data are divided by it before training, which brings them between -1 and 1.
        sampling_steps: evaluations of the network for each point.
    """

    width: int
    depth: int
    scale: float
    sampling_steps: int


def control(benchmark: str) -> ControlSettings:
    """The settings of the diffusion model for "ring" or "grid".

    Raises ValueError for another benchmark.

    >>> control("ring").steps
    4000
    """
    tables = tomllib.loads(CONTROLS.read_text(encoding="utf-8"))
    if benchmark not in tables:
        raise ValueError(unknown("benchmark", benchmark, tables))
    return ControlSettings.of(tables[benchmark])


def diffusion_sample(
    data: Tensor, settings: ControlSettings, count: int, *, seed: int = 0
) -> np.ndarray:
    """Points (count, d) of a diffusion model that is trained on `data` (n, d) first.

    >>> from dataclasses import replace
    >>> brief = replace(control("ring"), steps=2, sampling_steps=2)
    >>> diffusion_sample(torch.zeros(8, 2), brief, 5).shape
    (5, 2)
    """
    torch.manual_seed(seed)
    network = Denoiser(settings.width, settings.depth, pixels=data.shape[1])
    model = Diffusion(network)
    grey_levels = 8 * (data / settings.scale + 1)  # the model takes data from 0 to 16
    finish(fit(model, [grey_levels], settings, seed=seed))
    *_, points = model.path(count, steps=settings.sampling_steps)
    return (settings.scale * points).numpy()
