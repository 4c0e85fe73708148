"""The control: a diffusion model, which minimises a bound on the likelihood and so misses no mode."""

import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from course_lib.models.diffusion import Denoiser, Diffusion, fit
from course_lib.training import finish

SETTINGS = Path(__file__).with_name("diffusion_control.toml")


def control(benchmark: str) -> SimpleNamespace:
    """The diffusion model's settings for "ring" or "grid"."""
    return SimpleNamespace(**tomllib.loads(SETTINGS.read_text(encoding="utf-8"))[benchmark])


def diffusion_sample(
    data: Tensor, settings: SimpleNamespace, count: int, *, seed: int = 0
) -> np.ndarray:
    """Points (count, d) of a diffusion model that is trained on `data` (n, d) first.

    `settings` is as for `models.diffusion.fit`, with the network's width and depth beside it, with
    `sampling_steps`, and with `scale`, which brings the data between -1 and 1.
    """
    torch.manual_seed(seed)
    network = Denoiser(settings.width, settings.depth, pixels=data.shape[1])
    model = Diffusion(network)
    grey_levels = 8 * (data / settings.scale + 1)  # the model takes data from 0 to 16
    finish(fit(model, [grey_levels], settings, seed=seed))
    *_, points = model.path(count, steps=settings.sampling_steps)
    return (settings.scale * points).numpy()
