"""Mode collapse and its cures over five seeds, on the ring and on the grid; and one knob at a time.

Run in the course's environment, part by part:

    python benchmarks/mode_collapse.py ring
    python benchmarks/mode_collapse.py grid
    python benchmarks/mode_collapse.py ring R1 diffusion
    python benchmarks/mode_collapse.py knobs

The first two train every recipe of course_lib/mode_collapse/recipes.toml, five seeds side by side, and the
diffusion control, and write their part of recorded/points.json there, which lessons 06 and 07
read. The third makes two of its rows again. The last changes one setting of the vanilla ring recipe at a
time and writes knobs.npz next to it. The settings were chosen on other seeds, 11 to 13.
"""

import json
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from common import SEEDS, provenance, rounded, timed

from course_lib.datasets import load
from course_lib.mode_collapse import BENCHMARKS, RING, GANs, Recipe, fit, recipe, recipes
from course_lib.mode_collapse.diffusion_control import ControlSettings, control, diffusion_sample
from course_lib.mode_collapse.records import FIGURES, KNOBS
from course_lib.mode_collapse.snapshots import SAMPLES, Run, watch
from course_lib.training import finish

CHANGES = {
    "d_steps": (1, 2, 4),
    "learning_rate": (5e-4, 1e-3, 2e-3, 4e-3),
    "latent_dim": (2, 4, 16, 64),
    "beta_1": (0.0, 0.5, 0.9),
    "width": (32, 64),
}
MOMENTS = 8


def one_cure(benchmark: str, settings: Recipe | ControlSettings) -> tuple[list[dict], float]:
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
    for row in measured:
        if not np.isfinite(row["reverse_kl"]):  # nothing of high quality; JSON knows no infinity
            row["reverse_kl"] = None
    return [{"seed": seed, **row} for seed, row in zip(SEEDS, measured, strict=True)], seconds


def cures(benchmark: str, names: list[str]) -> None:
    """Measure the named cures on a benchmark, or all, and write them into its part of points.json."""
    everything = {**recipes(benchmark), "diffusion": control(benchmark)}
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    part = figures.setdefault(benchmark, {"settings": {}, "cpu_seconds": {}, "runs": []})
    for name in names or everything:
        rows, seconds = one_cure(benchmark, everything[name])
        part |= provenance()
        part["settings"][name] = vars(everything[name])
        part["cpu_seconds"][name] = seconds
        part["runs"] = [row for row in part["runs"] if row["cure"] != name]
        part["runs"] += [{"cure": name, **rounded(row)} for row in rows]
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        print(benchmark, name, seconds, *map(rounded, rows), sep="\n", flush=True)


def knobs() -> None:
    """Change one setting of the vanilla recipe at a time, and write knobs.npz."""
    vanilla = recipe("ring", "vanilla")
    data = torch.from_numpy(load("ring").train.x)
    # early moments lie closer together, for there is more to see
    moments = np.geomspace(100, vanilla.steps, MOMENTS).round(-2).astype(int)

    @cache
    def trained(changed: Recipe) -> Run:
        return watch(GANs(changed, dimensions=2, seeds=SEEDS), data, RING, moments)

    arrays = {}
    for setting, values in CHANGES.items():
        for value in values:
            run = trained(replace(vanilla, **{setting: value}))
            print(setting, value, run.modes[-1], run.high_quality[-1], flush=True)
            parts = {**vars(run), "samples": run.samples[:, :1], "surface": run.surface[:, :1]}
            arrays |= {f"{setting}={value}/{part}": array for part, array in parts.items()}
    np.savez_compressed(KNOBS, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    part, *names = sys.argv[1:]
    knobs() if part == "knobs" else cures(part, names)
