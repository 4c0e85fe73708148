"""Lesson 03's figures over five seeds: conditional samples, guidance, and three models at one budget.

Run in the course's environment, about fifteen minutes on two cores:

    python benchmarks/diffusion.py

It trains with the settings of the lesson's cpu preset and writes results/diffusion.json. The
settings were chosen on the lesson's own split, so the same is done on five other splits.
"""

import time

from common import ASKED, Data, Judged, both_splits, timed, write

from course_lib.models.diffusion import conditional_diffusion
from course_lib.models.gan import conditional_gan
from course_lib.models.vae import conditional_vae, draw
from course_lib.syllabus import lesson

PRESET = lesson("03_diffusion").settings("cpu")
STEPS = 20
BARS = {"read_as_asked": (">=", 0.98), "fd_over_floor": ("<=", 1.5), "cpu_seconds": ("<=", 60.0)}


def one_run(data: Data, seed: int) -> dict[str, float]:
    """Train judge, diffusion model and the three rivals with one seed and measure them."""
    x, y, _, _ = data
    judged = Judged(data, seed)
    model, seconds = timed(lambda: conditional_diffusion(x, y, PRESET.digits, seed=seed))
    row = {
        "judge_accuracy": judged.accuracy,
        "fd_floor": judged.floor,
        **judged.figures(model.sample(600, ASKED, steps=STEPS)),
        "cpu_seconds": seconds,
    }
    guided = judged.figures(model.sample(600, ASKED, steps=STEPS, guidance=1.0))
    row |= {f"guidance_1_{name}": guided[name] for name in ("read_as_asked", "recall")}
    for steps in (5, 50):
        for name, eta in (("ddim", 0.0), ("ddpm", 1.0)):
            drawn = model.sample(600, ASKED, steps=steps, eta=eta)
            row[f"{name}_{steps}_fd_over_floor"] = judged.figures(drawn)["fd_over_floor"]
    return row | rivals(judged, seed)


def rivals(judged: Judged, seed: int) -> dict[str, float]:
    """VAE, GAN and diffusion model with equal numbers of weights and about equal computing time."""
    x, y, fair = judged.x, judged.y, PRESET.fair
    vae, vae_seconds = timed(lambda: conditional_vae(x, y, fair.vae, seed=seed))
    gan, gan_seconds = timed(lambda: conditional_gan(x, y, fair.gan, seed=seed))
    diffusion, seconds = timed(lambda: conditional_diffusion(x, y, fair.diffusion, seed=seed))
    samplers = {
        "vae": (lambda: draw(vae.sample(600, ASKED)), vae_seconds),
        "gan": (lambda: gan.sample(600, ASKED), gan_seconds),
        "diffusion": (lambda: diffusion.sample(600, ASKED, steps=STEPS), seconds),
    }
    row = {}
    for name, (sampler, trained) in samplers.items():
        began = time.perf_counter()
        images = sampler()
        row[f"fair_{name}_sampling_ms"] = 1000 * (time.perf_counter() - began)
        row[f"fair_{name}_cpu_seconds"] = trained
        found = judged.figures(images)
        for figure in ("read_as_asked", "fd_over_floor", "precision", "recall"):
            row[f"fair_{name}_{figure}"] = found[figure]
    return row


if __name__ == "__main__":
    write("diffusion", PRESET, BARS, both_splits(one_run))
