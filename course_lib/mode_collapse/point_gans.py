"""GANs of points, several seeds at once, with any of the cures.

gans = GANs(recipe("ring", "vanilla"), dimensions=2, seeds=range(5))
finish(fit(gans, torch.from_numpy(load("ring").train.x)))
samples = gans.sample(2500)  # (5, 2500, 2)
"""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.mode_collapse.cures import (
    pack,
    unrolled,
    unrolled_by_adam,
    wasserstein_penalty,
    with_deviation,
)
from course_lib.mode_collapse.ensemble import Linears, Randomness, mlps
from course_lib.models.gan import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    relativistic_loss,
)
from course_lib.syllabus import Settings, unknown
from course_lib.training import Step, ema_of, gradient_step, training_loop

RECIPES = Path(__file__).with_name("recipes.toml")
# What the discriminator minimises, from logits of real points and of fakes; then what the generator
# minimises, from logits of fakes and of real points.
LOSSES = {
    "classical": (discriminator_loss, lambda fake, real: generator_loss(fake)),
    "relativistic": (relativistic_loss, relativistic_loss),
    "wasserstein": (
        lambda real, fake: (fake - real).mean(),
        lambda fake, real: -fake.mean(),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """Settings of a GAN and of its cures; the defaults are a vanilla GAN without any.

    Attributes:
        latent_dim: dimensions of z ~ N(0, I).
        width, depth: units and number of the hidden layers of both networks.
        steps, batch_size, learning_rate, beta_1: of Adam; the rate falls to 0 along a cosine.
        ema_decay: of the moving average of the generator's weights, from which samples are drawn.
        d_steps: steps of the discriminator for each step of the generator.
        loss: "classical" (non-saturating), "relativistic" or "wasserstein".
        r1, r2: weights of the gradient penalties on real points and on fakes.
        gradient_penalty: weight of WGAN-GP's penalty between them.
        pack: points that the discriminator sees at once; must divide batch_size.
        deviation: whether it is told how much a batch varies.
        unroll, unroll_rate: how many of the discriminator's steps the generator looks ahead, and the rate
            of plain gradient descent in them; at the rate 0 they are steps of its own Adam.
        scale: data are divided by it before training, and samples multiplied.

    >>> Recipe(steps=100, pack=2).batch_size
    120
    """

    latent_dim: int = 16
    width: int = 128
    depth: int = 3
    steps: int = 6000
    batch_size: int = 120
    learning_rate: float = 1e-3
    beta_1: float = 0.5
    ema_decay: float = 0.995
    d_steps: int = 1
    loss: str = "classical"
    r1: float = 0.0
    r2: float = 0.0
    gradient_penalty: float = 0.0
    pack: int = 1
    deviation: bool = False
    unroll: int = 0
    unroll_rate: float = 0.0
    scale: float = 1.0

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(unknown("loss", self.loss, LOSSES))
        if self.batch_size % self.pack:
            raise ValueError(f"{self.batch_size} points do not make packs of {self.pack}.")


class Discriminators(nn.Module):
    """One discriminator for each member: points (members, n, d) to logits (members, n / pack).

    >>> discriminators = Discriminators(2, Recipe(pack=2), Randomness([0, 1, 2]))
    >>> discriminators(torch.zeros(3, 10, 2)).shape
    torch.Size([3, 5])
    """

    def __init__(self, dimensions: int, recipe: Recipe, randomness: Randomness):
        super().__init__()
        self.pack, self.deviation = recipe.pack, recipe.deviation
        hidden = [recipe.width] * recipe.depth
        self.features = nn.Sequential(
            mlps(recipe.pack * dimensions, *hidden, randomness=randomness), nn.ReLU()
        )
        self.head = Linears(recipe.width + recipe.deviation, 1, randomness)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(pack(x, self.pack))
        if self.deviation:
            features = with_deviation(features)
        return self.head(features).squeeze(-1)


class GANs:
    """One GAN for each seed.

    Attributes:
        generators: map latents (members, n, latent_dim) to points (members, n, d) / recipe.scale.
        discriminators: map points / recipe.scale to logits; see `Discriminators`.
        average: the moving average of the generators.

    >>> gans = GANs(Recipe(width=8), dimensions=2, seeds=range(3))
    >>> gans.sample(100).shape
    (3, 100, 2)
    """

    def __init__(self, recipe: Recipe, *, dimensions: int, seeds: Sequence[int]):
        self.recipe, self.seeds = recipe, tuple(seeds)
        self.randomness = Randomness(self.seeds)
        hidden = [recipe.width] * recipe.depth
        self.generators = mlps(recipe.latent_dim, *hidden, dimensions, randomness=self.randomness)
        self.discriminators = Discriminators(dimensions, recipe, self.randomness)
        self.average = ema_of(self.generators, recipe.ema_decay)

    @torch.no_grad()
    def sample(self, count: int, *, average: bool = True) -> np.ndarray:
        """Points (members, count, d), always from the same latents.

        Args:
            average: from the moving average of the generators, or from the generators as they are.
        """
        latents = Randomness([10_000 + seed for seed in self.seeds])
        generators = self.average if average else self.generators
        points = generators(latents.normal(count, self.recipe.latent_dim))
        return (self.recipe.scale * points).numpy()

    @torch.no_grad()
    def logits(self, points: Tensor) -> np.ndarray:
        """Each discriminator's logits of points (n, d): (members, n). Not for packs."""
        points = points / self.recipe.scale
        return self.discriminators(points.expand(len(self.seeds), *points.shape)).numpy()


def fit(gans: GANs, data: Tensor) -> Iterator[Step]:
    """Train all members on `data` (n, d) and yield every step, with the members' mean losses.

    Each member sees the data in an order of its own.

    >>> gans = GANs(Recipe(width=8, steps=2, batch_size=10), dimensions=2, seeds=range(3))
    >>> [step.number for step in fit(gans, torch.zeros(40, 2))]
    [1, 2]
    """
    recipe, randomness = gans.recipe, gans.randomness
    rows = recipe.batch_size * recipe.d_steps
    whole = len(data) // rows * rows  # no short batch, which packs could not be made of
    own = data[randomness.orders(len(data))[:, :whole]].transpose(0, 1) / recipe.scale
    optimizers = [
        torch.optim.Adam(
            networks.parameters(), recipe.learning_rate, (recipe.beta_1, 0.99), fused=True
        )
        for networks in (gans.generators, gans.discriminators)
    ]

    def step(real: Tensor) -> dict[str, float]:
        for batch in real.transpose(0, 1).chunk(recipe.d_steps, dim=1):
            d_loss = _discriminator_step(gans, optimizers[1], batch)
        return {"discriminator": d_loss, "generator": _generator_step(gans, *optimizers, batch)}

    yield from training_loop(
        step,
        [own],
        steps=recipe.steps,
        batch_size=rows,
        optimizers=optimizers,
        lr_schedule="cosine",
        ema=gans.average,
        label="training the GANs",
    )


def _fakes(gans: GANs, count: int) -> Tensor:
    return gans.generators(gans.randomness.normal(count, gans.recipe.latent_dim))


def _discriminator_step(gans: GANs, optimizer: torch.optim.Optimizer, real: Tensor) -> float:
    recipe, discriminators = gans.recipe, gans.discriminators
    fake = _fakes(gans, recipe.batch_size).detach()
    loss = LOSSES[recipe.loss][0](discriminators(real), discriminators(fake))
    if recipe.r1:
        loss = loss + recipe.r1 / 2 * gradient_penalty(discriminators, real)
    if recipe.r2:
        loss = loss + recipe.r2 / 2 * gradient_penalty(discriminators, fake)
    if recipe.gradient_penalty:
        t = gans.randomness.uniform(recipe.batch_size, 1)
        penalty = wasserstein_penalty(discriminators, real, fake, t)
        loss = loss + recipe.gradient_penalty * penalty
    return _step(gans, loss, optimizer)


def _generator_step(
    gans: GANs, optimizer: torch.optim.Adam, d_optimizer: torch.optim.Adam, real: Tensor
) -> float:
    recipe, opponent = gans.recipe, gans.discriminators
    fake = _fakes(gans, recipe.batch_size)

    def d_loss(d: Callable[[Tensor], Tensor]) -> Tensor:
        return len(gans.seeds) * LOSSES[recipe.loss][0](d(real), d(fake))

    if recipe.unroll and recipe.unroll_rate:
        opponent = unrolled(gans.discriminators, d_loss, recipe.unroll, recipe.unroll_rate)
    elif recipe.unroll:
        opponent = unrolled_by_adam(gans.discriminators, d_loss, recipe.unroll, d_optimizer)
    return _step(gans, LOSSES[recipe.loss][1](opponent(fake), opponent(real)), optimizer)


def _step(gans: GANs, loss: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """A step on the mean loss times the number of members: each gets the gradient it would get alone."""
    members = len(gans.seeds)
    return gradient_step(members * loss, optimizer) / members


def recipe(benchmark: str, name: str, **changes: object) -> Recipe:
    """The recipe `name` for "ring" or "grid" from recipes.toml, with `changes` made to it.

    Raises ValueError for an unknown name, with the known ones.

    >>> recipe("ring", "vanilla", steps=100).loss
    'classical'
    """
    known = recipes(benchmark)
    if name not in known:
        raise ValueError(unknown("recipe", name, known))
    return replace(known[name], **changes)


def recipes(benchmark: str) -> dict[str, Recipe]:
    """All recipes for "ring" or "grid", by name.

    >>> list(recipes("grid"))[:2]
    ['vanilla', 'vanilla, 2 latents']
    """
    tables = tomllib.loads(RECIPES.read_text(encoding="utf-8"))
    if benchmark not in tables:
        raise ValueError(unknown("benchmark", benchmark, tables))
    return {name: Recipe.of(settings) for name, settings in tables[benchmark].items()}
