"""Tuning a generator to preferences: a reward is learnt from pairs, and the generator climbs it.

The loop of Christiano et al. 2017 (arXiv 1706.03741) in its plainest form: one round of comparisons, and
gradients that pass through the generator. What becomes of variety, lesson 07 measures.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.gan import Generator
from course_lib.models.layers import from_grey_levels, mlp
from course_lib.training import gradient_step

BATCH, RATE = 64, 3e-3  # of the reward


def reward_model(better: Tensor, worse: Tensor, steps: int = 800, seed: int = 0) -> nn.Module:
    """A network that gives images (n, pixels), in [-1, 1], rewards (n,): learnt from pairs.

    Of a pair, a is preferred to b with probability sigmoid(r(a) - r(b)), and the likelihood of all
    preferences is maximised.

    Args:
        better, worse: grey levels (n, pixels), 0 to 16, of the images preferred and of the others.

    Source: Bradley and Terry 1952, Biometrika 39, 324.

    >>> reward = reward_model(torch.full((8, 4), 16.0), torch.zeros(8, 4), steps=50)
    >>> dark, light = reward(torch.tensor([[-1.0] * 4, [1.0] * 4]))
    >>> bool(light > dark)
    True
    """
    better, worse = from_grey_levels(better), from_grey_levels(worse)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reward = nn.Sequential(mlp(better.shape[1], 128, 64, 1), nn.Flatten(0))
        adam = torch.optim.Adam(reward.parameters(), RATE)
        for _ in range(steps):
            rows = torch.randint(len(better), (BATCH,))
            gradient_step(-F.logsigmoid(reward(better[rows]) - reward(worse[rows])).mean(), adam)
    return reward.requires_grad_(False)


def tuned(
    generator: Generator,
    reward: nn.Module,
    steps: int,
    anchor: float = 0.0,
    rate: float = 3e-4,
    seed: int = 0,
) -> Generator:
    """A copy of the generator after `steps` steps up the reward.

    Args:
        anchor: weight of the squared distance between what a latent gives now and what it gave before. It
            stands in for the divergence from the model before, which a GAN has no formula for.

    >>> before, reward = Generator(), nn.Sequential(nn.Linear(64, 1), nn.Flatten(0))
    >>> after, z = tuned(before, reward, steps=5), torch.zeros(1, 16)
    >>> bool(reward(after(z)) > reward(before(z)))
    True
    """
    before, after = copy.deepcopy(generator).requires_grad_(False), copy.deepcopy(generator)
    adam = torch.optim.Adam(after.parameters(), rate)
    dice = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        z = torch.randn(BATCH, generator.latent_dim, generator=dice)
        images = after(z)
        moved = (images - before(z)).square().sum(dim=1).mean()
        gradient_step(anchor * moved - reward(images).mean(), adam)
    return after
