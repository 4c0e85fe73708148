"""Stacked digits over three seeds: which of a thousand modes a GAN reaches.

Run in the course's environment, about twelve minutes on one core:

    python benchmarks/stacked.py

The networks, data and number of steps are the same for all; only the game (classical, or relativistic
with R1 and R2) and Adam's beta_1 differ. It writes course_lib/mode_collapse/recorded/stacked.json, which
lesson 06 shows, and nothing is taken from earlier checkpoints.
"""

import json
import os
import tempfile
import time

import torch
from common import provenance, rounded, split_of_lesson

from course_lib.mode_collapse import image_gans, stacked
from course_lib.models.classifier import train_judge
from course_lib.training import finish

SEEDS = range(3)
SHARED = {"latent_dim": 32, "channels": 32, "steps": 3000, "batch_size": 64, "learning_rate": 2e-3}
GAMES = ({"game": "classical", "gamma": 0.0}, {"game": "stabilised", "gamma": 0.3})
BETA_1 = (0.9, 0.5, 0.0)


def one_run(judge, digits: torch.Tensor, settings: dict, seed: int) -> dict[str, float]:
    """Train with one seed and count the modes of 26,000 samples."""
    settings = image_gans.ImageGANSettings.of(settings)
    torch.manual_seed(seed)
    pair = stacked.networks(settings)
    start = time.process_time()
    finish(image_gans.fit(*pair, [digits], settings, seed=seed))
    seconds = time.process_time() - start
    found = stacked.count_modes(judge, pair[0].sample(stacked.SAMPLES))
    row = rounded({"seed": seed, **found, "cpu_seconds": seconds})
    print(settings.game, settings.beta_1, row, flush=True)
    return row


def main() -> None:
    torch.set_num_threads(1)
    x, y, x_held, y_held = split_of_lesson()
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        judge = train_judge(x, y)
    digits = stacked.stack(x)
    rows = []
    for beta_1 in BETA_1:
        for game in GAMES:
            settings = {**SHARED, **game, "beta_1": beta_1}
            runs = [one_run(judge, digits, settings, seed) for seed in SEEDS]
            rows.append({"settings": settings, "runs": runs})
    ceiling = [
        rounded({"seed": seed, **stacked.count_modes(judge, stacked.stack(x_held, seed=seed))})
        for seed in SEEDS
    ]
    report = {
        **provenance(),
        "samples": stacked.SAMPLES,
        "judge_accuracy": round(judge.accuracy(x_held, y_held), 4),
        "held_out": ceiling,
        "models": rows,
    }
    stacked.RECORDED.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
