"""Lesson 01's figures over five seeds: held-out ELBO, and conditional samples before the judge.

Run in the course's environment, about five minutes on two cores:

    python benchmarks/vae.py

It trains with the settings of the lesson's cpu preset and writes results/vae.json. The settings
were chosen on the lesson's own split, so the same is done on five other splits, to see what that
choice was worth.
"""

import torch
from common import ASKED, Data, Judged, both_splits, timed, write

from course_lib.models import vae
from course_lib.syllabus import lesson
from course_lib.training import finish

PRESET = lesson("01_vae").settings("cpu")
BARS = {"held_out_elbo": (">=", -90.0), "read_as_asked": (">=", 0.97), "fd_over_floor": ("<=", 1.5)}


def one_run(data: Data, seed: int) -> dict[str, float]:
    """Train judge, VAE and conditional VAE with one seed and measure them."""
    x, y, x_held, _ = data
    judged = Judged(data, seed)
    torch.manual_seed(seed)
    model = vae.VAE(PRESET.latent_dim, PRESET.width, dropout=PRESET.dropout)
    settings = vae.VAESettings.of(PRESET.vae)
    _, vae_seconds = timed(lambda: finish(vae.fit(model, (x,), settings, seed=seed)))
    with torch.no_grad():
        elbo = torch.stack([model.elbo(x_held).mean() for _ in range(16)]).mean().item()
    conditional, cvae_seconds = timed(lambda: vae.conditional_vae(x, y, PRESET.cvae, seed=seed))
    return {
        "judge_accuracy": judged.accuracy,
        "fd_floor": judged.floor,
        "held_out_elbo": elbo,
        **judged.figures(vae.draw(conditional.sample(600, ASKED))),
        "judge_cpu_seconds": judged.seconds,
        "vae_cpu_seconds": vae_seconds,
        "conditional_cpu_seconds": cvae_seconds,
    }


if __name__ == "__main__":
    write("vae", PRESET, BARS, both_splits(one_run))
