"""Lesson 08's digits over five seeds: what each way of feeding generations leaves of the coverage.

Run in the course's environment, about nine minutes on two cores:

    python benchmarks/model_collapse.py

It trains with the settings of the lesson's cpu preset and writes results/model_collapse.json. The
settings were chosen on the lesson's own split, so each seed has another split.

The lesson draws the decoder's mean for an image. "replace_with_noise" adds the binomial noise of the
model's likelihood, for what that choice is worth.
"""

import os
import tempfile

import numpy as np
import torch
from common import SEEDS, Data, Judged, other_split, timed, write

from course_lib.audit.fidelity import manifold_measures
from course_lib.model_collapse import recursive
from course_lib.models import vae
from course_lib.syllabus import lesson
from course_lib.training import finish

PRESET = lesson("08_model_collapse").settings("cpu")
LOOPS = {
    "replace": {"regime": "replace"},
    "accumulate": {"regime": "accumulate"},
    "budget": {"regime": "budget"},
    "fresh": {"regime": "replace", "fresh": 0.2},
    "replace_with_noise": {"regime": "replace"},
}
BARS = {"replace_coverage_kept": ("<=", 0.5), "accumulate_coverage_kept": (">=", 0.9)}


def one_run(data: Data, seed: int) -> dict[str, float]:
    """Train a judge and every loop with one seed; of each loop, the last generation's coverage and
    recall of the held-out digits, as such and over the first generation's."""
    judged = Judged(data, seed)
    x, y, _, _ = data
    real = torch.cat([x, y[:, None]], dim=1).numpy()

    def measure(rows: np.ndarray) -> dict[str, float]:
        features = judged.judge.features(torch.from_numpy(rows[:600, :64]))
        return manifold_measures(judged.held.numpy(), features.numpy())

    row = {f"real_{name}": value for name, value in measure(real).items()}
    for name, options in LOOPS.items():
        loop, seconds = timed(
            lambda name=name, options=options: recursive(
                fit,
                lambda model, n: sample(model, y, noise=name == "replace_with_noise"),
                real,
                generations=PRESET.digits.generations,
                measure=measure,
                seed=seed,
                **options,
            )
        )
        first, last = loop.table.iloc[1], loop.table.iloc[-1]
        for what in ("coverage", "recall"):
            row[f"{name}_{what}"] = float(last[what])
            row[f"{name}_{what}_kept"] = float(last[what] / first[what])
        row[f"{name}_cpu_seconds"] = seconds
    return row


def fit(rows: np.ndarray) -> vae.VAE:
    x, y = torch.from_numpy(rows[:, :64]).contiguous(), torch.from_numpy(rows[:, 64]).long()
    settings = PRESET.vae
    model = vae.VAE(settings.latent_dim, settings.width, settings.depth, 0.0, classes=10)
    finish(vae.fit(model, (x, y), settings, seed=int(torch.randint(10**6, ()))))
    return model


def sample(model: vae.VAE, y: torch.Tensor, noise: bool) -> np.ndarray:
    asked = y[torch.randperm(len(y))]
    images = model.sample(len(y), asked)
    images = vae.draw(images) if noise else images
    return torch.cat([images, asked[:, None]], dim=1).numpy()


if __name__ == "__main__":
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state  # nothing taken from earlier checkpoints
        for seed in SEEDS:
            rows.append({"seed": seed, **one_run(other_split(seed), seed)})
            print(rows[-1], flush=True)
    write("model_collapse", PRESET, BARS, {"five other splits": rows})
