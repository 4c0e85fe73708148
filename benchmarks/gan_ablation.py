"""What keeps lesson 02's GAN from collapsing: one thing changed at a time, over five seeds.

Run in the course's environment, about fifteen minutes on one core:

    python benchmarks/gan_ablation.py

Each run has the classical GAN's networks, batch size, learning rate and number of steps, without a moving
average or a falling rate. It writes results/gan_ablation.json, which lesson 02 shows.
"""

from dataclasses import dataclass

import torch
from common import SEEDS, Judged, rounded, split_of_lesson, write

from course_lib.models import gan
from course_lib.models.layers import from_grey_levels
from course_lib.syllabus import lesson
from course_lib.training import finish, gradient_step, training_loop

PRESET = lesson("02_gan").settings("cpu")
ADAM = (0.9, 0.999)  # PyTorch's defaults
LEARNING_RATE, BATCH_SIZE, GAMMA = 1e-3, 64, PRESET.stabilised.gamma


@dataclass(frozen=True)
class Variant:
    """What a run changes of the classical GAN."""

    betas: tuple[float, float] = ADAM
    penalty: bool = False
    relativistic: bool = False
    fresh_noise: bool = (
        False  # for the generator's step, as in Algorithm 1 of Goodfellow et al. 2014
    )


VARIANTS = {
    "classical": Variant(),
    "classical, fresh noise": Variant(fresh_noise=True),
    "classical, beta_1 = 0.5": Variant((0.5, 0.999)),
    "classical, betas 0 and 0.99": Variant((0.0, 0.99)),
    "classical, penalty": Variant(penalty=True),
    "relativistic": Variant(relativistic=True),
    "relativistic, penalty": Variant(penalty=True, relativistic=True),
    "relativistic, penalty, betas 0 and 0.99": Variant((0.0, 0.99), True, True),
    "relativistic, betas 0 and 0.99": Variant((0.0, 0.99), relativistic=True),
}


def samples(x: torch.Tensor, variant: Variant, seed: int) -> torch.Tensor:
    """600 images of a GAN that was trained so."""
    torch.manual_seed(seed)
    generator = gan.Generator(PRESET.latent_dim, PRESET.channels)
    discriminator = gan.Discriminator(PRESET.channels)
    g_adam, d_adam = (
        torch.optim.Adam(network.parameters(), LEARNING_RATE, variant.betas, fused=True)
        for network in (generator, discriminator)
    )

    def step(real: torch.Tensor) -> float:
        z = torch.randn(len(real), PRESET.latent_dim)
        fake = generator(z).detach()
        real_logits, fake_logits = discriminator(real), discriminator(fake)
        if variant.relativistic:
            loss = gan.relativistic_loss(real_logits, fake_logits)
        else:
            loss = gan.discriminator_loss(real_logits, fake_logits)
        if variant.penalty:
            loss = loss + GAMMA * gan.gradient_penalty(discriminator, torch.cat([real, fake]))
        d_value = gradient_step(loss, d_adam)
        if variant.fresh_noise:
            z = torch.randn_like(z)
        fake_logits = discriminator(generator(z))
        if variant.relativistic:
            loss = gan.relativistic_loss(fake_logits, discriminator(real).detach())
        else:
            loss = gan.generator_loss(fake_logits)
        gradient_step(loss, g_adam)
        return d_value

    loop = training_loop(
        step,
        [from_grey_levels(x)],
        steps=PRESET.classical.steps,
        batch_size=BATCH_SIZE,
        seed=seed,
    )
    finish(loop)
    return generator.sample(600)


def run(judged: Judged, name: str, seed: int) -> dict[str, float]:
    """Train one variant and measure 600 samples of it."""
    images = samples(judged.x, VARIANTS[name], seed)
    figures = judged.figures(images, asked=None)
    covered = judged.judge.predict(images).bincount(minlength=10) >= 6
    row = {"seed": seed, "digits": int(covered.sum())}
    row |= {figure: figures[figure] for figure in ("fd_over_floor", "precision", "recall")}
    print(name, rounded(row), flush=True)
    return row


if __name__ == "__main__":
    torch.set_num_threads(1)
    judged = Judged(split_of_lesson(), seed=0)
    results = {name: [run(judged, name, seed) for seed in SEEDS] for name in VARIANTS}
    write("gan_ablation", PRESET, {}, results)
