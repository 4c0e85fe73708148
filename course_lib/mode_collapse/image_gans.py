"""GANs of small images that differ in their game alone: what is compared on digits is trained here."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from course_lib.mode_collapse.cures import wasserstein_penalty
from course_lib.models import gan
from course_lib.models.layers import from_grey_levels
from course_lib.syllabus import unknown
from course_lib.training import Step, ema_of, gradient_step, training_loop

GAMES = {
    "classical": "the non-saturating game (Goodfellow et al. 2014, arXiv 1406.2661)",
    "stabilised": "relativistic, with R1 and R2 (Huang et al. 2024, arXiv 2501.05441)",
    "wasserstein": "a critic's means, slope held at 1 (Gulrajani et al. 2017, arXiv 1704.00028)",
}


def fit(
    generator: gan.Generator,
    discriminator: gan.Discriminator,
    data: Sequence[Tensor],
    settings: SimpleNamespace,
    *,
    seed: int = 0,
) -> Iterator[Step]:
    """Train lesson 02's networks and yield every step; the order of the data is the same for all games.

    Args:
        data: grey levels x (n, pixels), 0 to 16, and their classes y if the networks take any.
        settings: game, one of GAMES, and gamma, the weight of its penalties; steps, batch_size,
            learning_rate and beta_1 of Adam. With ema_decay among them the rate falls to 0 along a
            cosine, and the generator ends with averaged weights, as in lesson 02; without, neither.

    Raises:
        ValueError: for an unknown game, with those that there are.
    """
    if settings.game not in GAMES:
        raise ValueError(unknown("game", settings.game, GAMES))
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
    ema, schedulers = None, []
    if hasattr(settings, "ema_decay"):
        ema = ema_of(generator, settings.ema_decay)
        schedulers = [CosineAnnealingLR(adam, settings.steps) for adam in (g_adam, d_adam)]
    yield from training_loop(
        steps[settings.game],
        (from_grey_levels(x), *classes),
        steps=settings.steps,
        batch_size=settings.batch_size,
        seed=seed,
        schedulers=schedulers,
        ema=ema,
        model=generator,
        label=f"training, {settings.game} game",
    )
    if ema is not None:
        generator.load_state_dict(ema.module.state_dict())
