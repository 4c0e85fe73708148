"""Lesson 02's figures over five seeds: the classical GAN's collapse, and conditional samples.

Run in the course's environment, about eight minutes on two cores:

    python benchmarks/gan.py

It trains with the settings of the lesson's cpu preset and writes results/gan.json. The settings
were chosen on the lesson's own split, so the same is done on five other splits.
"""

import torch
from common import ASKED, Data, Judged, both_splits, timed, write

from course_lib.models import gan
from course_lib.models.layers import from_grey_levels
from course_lib.syllabus import lesson
from course_lib.training import finish, training_loop

PRESET = lesson("02_gan").settings("cpu")
BARS = {"read_as_asked": (">=", 0.98), "fd_over_floor": ("<=", 1.1), "cpu_seconds": ("<=", 30.0)}


def one_run(data: Data, seed: int) -> dict[str, float]:
    """Train judge, classical GAN and conditional stabilised GAN with one seed and measure them."""
    x, y, _, _ = data
    judged = Judged(data, seed)
    images = classical(x, seed)
    collapsed = judged.figures(images, asked=None)
    generator, seconds = timed(lambda: gan.conditional_gan(x, y, PRESET.conditional, seed=seed))
    return {
        "judge_accuracy": judged.accuracy,
        "fd_floor": judged.floor,
        "memoriser_fd_over_floor": judged.memoriser(),
        **{f"classical_{name}": value for name, value in collapsed.items()},
        "classical_digits_covered": covered(judged, images),
        **judged.figures(generator.sample(600, ASKED)),
        "cpu_seconds": seconds,
    }


def classical(x: torch.Tensor, seed: int) -> torch.Tensor:
    """600 samples of the classical GAN, trained with Adam as PyTorch sets it by default."""
    torch.manual_seed(seed)
    generator = gan.Generator(PRESET.latent_dim, PRESET.channels)
    discriminator = gan.Discriminator(PRESET.channels)
    g_adam = torch.optim.Adam(generator.parameters(), lr=1e-3, fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), lr=1e-3, fused=True)

    def step(real: torch.Tensor) -> float:
        z = torch.randn(len(real), PRESET.latent_dim)
        return gan.alternating_step(generator, discriminator, g_adam, d_adam, real, z)[0]

    real = from_grey_levels(x)
    finish(training_loop(step, [real], steps=PRESET.classical.steps, seed=seed))
    return generator.sample(600)


def covered(judged: Judged, images: torch.Tensor) -> float:
    """How many digits the judge reads at least six times in 600."""
    return float((judged.judge.predict(images).bincount(minlength=10) >= 6).sum())


if __name__ == "__main__":
    write("gan", PRESET, BARS, both_splits(one_run))
