"""GANs of small images that differ only in their game. Those compared on digits are trained here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from course_lib.mode_collapse.cures import wasserstein_penalty
from course_lib.models import gan
from course_lib.models.layers import from_grey_levels
from course_lib.syllabus import Settings, unknown
from course_lib.training import Step, ema_of, gradient_step, training_loop

GAMES = {
    "classical": "the non-saturating game (Goodfellow et al. 2014, arXiv 1406.2661)",
    "stabilised": "relativistic, with R1 and R2 (Huang et al. 2024, arXiv 2501.05441)",
    "wasserstein": "a critic's means, slope held at 1 (Gulrajani et al. 2017, arXiv 1704.00028)",
}


@dataclass(frozen=True, kw_only=True)
class ImageGANSettings(Settings):
    """How a GAN of small images is made and trained.

    Attributes:
        game: one of GAMES.
        gamma: weight of the game's gradient penalties.
        latent_dim, channels: of the networks, see `models.gan.Generator`.
        steps, batch_size, learning_rate, beta_1: of Adam.
        ema_decay: of the moving average of the generator's weights, which are those that it ends with;
            the learning rate then falls to 0 along a cosine, as in lesson 02. None: neither.

    >>> table = {"game": "classical", "gamma": 0.0, "steps": 2, "batch_size": 8}
    >>> ImageGANSettings.of({**table, "learning_rate": 1e-3, "beta_1": 0.5}).ema_decay is None
    True
    """

    game: str
    gamma: float
    latent_dim: int = 16
    channels: int = 32
    steps: int
    batch_size: int
    learning_rate: float
    beta_1: float
    ema_decay: float | None = None

    def __post_init__(self) -> None:
        if self.game not in GAMES:
            raise ValueError(unknown("game", self.game, GAMES))


def fit(
    generator: gan.Generator,
    discriminator: gan.Discriminator,
    data: Sequence[Tensor],
    settings: ImageGANSettings | SimpleNamespace,
    *,
    seed: int = 0,
) -> Iterator[Step]:
    """Train lesson 02's networks and yield every step; the order of the data is the same for all games.

    Args:
        data: grey levels x (n, pixels), 0 to 16, and their classes y (n,) if the networks take any.
        settings: `ImageGANSettings`, or a table of them; the networks are those given.

    Raises:
        ValueError: for an unknown game or setting, with the known ones.

    >>> settings = ImageGANSettings(
    ...     game="wasserstein", gamma=1.0, steps=2, batch_size=8, learning_rate=1e-3, beta_1=0.5
    ... )
    >>> pair = gan.Generator(), gan.Discriminator()
    >>> [step.number for step in fit(*pair, [torch.zeros(20, 64)], settings)]
    [1, 2]
    """
    settings = ImageGANSettings.of(settings)
    g_adam, d_adam = (
        torch.optim.Adam(
            net.parameters(), settings.learning_rate, (settings.beta_1, 0.99), fused=True
        )
        for net in (generator, discriminator)
    )

    def classical(real: Tensor, y: Tensor | None = None) -> dict[str, float]:
        z = torch.randn(len(real), generator.latent_dim)
        losses = gan.alternating_step(
            lambda z: generator(z, y), lambda x: discriminator(x, y), g_adam, d_adam, real, z
        )
        return dict(zip(("discriminator", "generator"), losses, strict=True))

    def stabilised(real: Tensor, y: Tensor | None = None) -> dict[str, float]:
        return gan.stabilised_step(
            generator, discriminator, g_adam, d_adam, real, y, gamma=settings.gamma
        )

    def wasserstein(real: Tensor, y: Tensor | None = None) -> dict[str, float]:
        def critic(x: Tensor) -> Tensor:
            return discriminator(x, y)

        def fake() -> Tensor:
            return generator(torch.randn(len(real), generator.latent_dim), y)

        made = fake().detach()
        penalty = wasserstein_penalty(critic, real, made, torch.rand(len(real), 1))
        d_loss = critic(made).mean() - critic(real).mean() + settings.gamma * penalty
        d_value = gradient_step(d_loss, d_adam)
        return {
            "discriminator": d_value,
            "generator": gradient_step(-critic(fake()).mean(), g_adam),
        }

    steps = {"classical": classical, "stabilised": stabilised, "wasserstein": wasserstein}
    x, *classes = data
    ema = None if settings.ema_decay is None else ema_of(generator, settings.ema_decay)
    yield from training_loop(
        steps[settings.game],
        (from_grey_levels(x), *classes),
        steps=settings.steps,
        batch_size=settings.batch_size,
        seed=seed,
        optimizers=(g_adam, d_adam),
        lr_schedule="constant" if ema is None else "cosine",
        ema=ema,
        label=f"training, {settings.game} game",
    )
    if ema is not None:
        generator.load_state_dict(ema.module.state_dict())
