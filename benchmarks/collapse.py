"""Mode collapse and its cures over five seeds, on the ring and on the grid; and one knob at a time.

Run in the course's environment, part by part:

    python benchmarks/collapse.py ring
    python benchmarks/collapse.py grid
    python benchmarks/collapse.py knobs

The first two train every recipe of course_lib/collapse/recipes.toml, five seeds side by side, and the
diffusion control, and write their part of course_lib/collapse/recorded.json, which lessons 06 and 07
read. The third changes one setting of the vanilla ring recipe at a time and writes knobs.npz beside it.
The settings were chosen on other seeds, 11 to 15.
"""

import json
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import torch
from common import SEEDS, provenance, rounded, timed

from course_lib.collapse import BENCHMARKS, RING, GANs, Recipe, fit, recipe, recipes
from course_lib.collapse.control import control, diffusion_sample
from course_lib.collapse.recorded import FIGURES, KNOBS, SAMPLES, Run
from course_lib.datasets import load
from course_lib.training import finish

CHANGES = {
    "d_steps": (1, 2, 4, 8),
    "learning_rate": (5e-4, 1e-3, 2e-3, 4e-3),
    "latent_dim": (2, 4, 16, 64),
    "beta_1": (0.0, 0.5, 0.9),
    "width": (32, 64, 128),
    "batch_size": (30, 120, 480),
}
MOMENTS = 8
SIDE, REACH = 25, 1.5  # of the square grid on which a discriminator is asked


def one_cure(benchmark: str, settings: Recipe | SimpleNamespace) -> tuple[list[dict], float]:
    """The figures of every seed, and the CPU seconds of all together."""
    data = torch.from_numpy(load(benchmark).train.x)

    def samples():
        if isinstance(settings, Recipe):
            gans = GANs(settings, dimensions=2, seeds=SEEDS)
            finish(fit(gans, data))
            return gans.sample(SAMPLES)
        return [diffusion_sample(data, settings, SAMPLES, seed=seed) for seed in SEEDS]

    made, seconds = timed(samples)
    measured = [BENCHMARKS[benchmark].measure(points) for points in made]
    return [{"seed": seed, **row} for seed, row in zip(SEEDS, measured, strict=True)], seconds


def cures(benchmark: str) -> None:
    """Measure all cures on a benchmark and write its part of recorded.json."""
    everything = {**recipes(benchmark), "diffusion": control(benchmark)}
    part = {**provenance(), "settings": {}, "cpu_seconds": {}, "runs": []}
    for name, settings in everything.items():
        rows, part["cpu_seconds"][name] = one_cure(benchmark, settings)
        part["settings"][name] = (
            asdict(settings) if isinstance(settings, Recipe) else vars(settings)
        )
        part["runs"] += [{"cure": name, **rounded(row)} for row in rows]
        for row in part["runs"][-len(rows) :]:
            print(benchmark, row, flush=True)
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    figures[benchmark] = part
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def watched(settings: Recipe) -> Run:
    """Train the vanilla GAN with these settings on the ring and look at it at some moments."""
    gans = GANs(settings, dimensions=2, seeds=SEEDS)
    # early moments lie closer together, for there is more to see
    moments = np.unique(np.geomspace(100, settings.steps, MOMENTS).round(-2).astype(int))
    axis = torch.linspace(-REACH, REACH, SIDE)
    places = torch.cartesian_prod(axis, axis).flip(1)  # y varies slowest
    seen = []
    for step in fit(gans, torch.from_numpy(load("ring").train.x)):
        if step.number in moments:
            figures = [RING.measure(points) for points in gans.sample(SAMPLES)]
            seen.append(
                (
                    step.number,
                    gans.sample(400, average=False)[0].astype(np.float16),
                    (1 / (1 + np.exp(-gans.logits(places)[0].astype(float))))
                    .reshape(SIDE, SIDE)
                    .astype(np.float16),
                    np.array([row["modes"] for row in figures], np.int8),
                    np.array([row["high_quality"] for row in figures], np.float16),
                )
            )
    return Run(*(np.stack(part) for part in zip(*seen, strict=True)))


def knobs() -> None:
    """Change one setting of the vanilla recipe at a time, and write knobs.npz."""
    vanilla = recipe("ring", "vanilla")
    arrays = {}
    for setting, values in CHANGES.items():
        for value in values:
            run = watched(replace(vanilla, **{setting: value}))
            print(setting, value, run.modes[-1], run.high_quality[-1], flush=True)
            arrays |= {f"{setting}={value}/{part}": array for part, array in vars(run).items()}
    np.savez_compressed(KNOBS, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    (part,) = sys.argv[1:]
    knobs() if part == "knobs" else cures(part)
