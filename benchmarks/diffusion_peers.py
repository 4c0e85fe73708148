"""Lesson 03's diffusion model against two packages, at the same CPU seconds of training.

Run in the course's environment, about eight minutes on two cores:

    python benchmarks/diffusion_peers.py

Each peer gets an environment of its own in build/peers, made at the first run, which needs the
network. Every model trains on the lesson's 1,197 digits with one thread, the peers for as long as
ours took with that seed, and one judge reads 600 samples of each, 60 of every digit, from 20 steps
of DDIM. Our settings were chosen on this split; the peers' stand in peers_train.py. They train at a
constant rate and without an average of the weights, which ours has.
"""

import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from common import ASKED, Judged, split_of_lesson, timed, write
from peers import ROOT
from peers import environment as made
from peers_train import SETTINGS

from course_lib.models.diffusion import conditional_diffusion
from course_lib.models.layers import from_grey_levels, to_grey_levels
from course_lib.syllabus import lesson

PRESET = lesson("03_diffusion").settings("cpu").digits
VERSIONS = {"denoising-diffusion-pytorch": "2.3.4", "smalldiffusion": "0.5.0"}
OURS = "course_lib"


def environment(peer: str) -> Path:
    """The Python of a peer's own environment, with PyTorch as the course has it."""
    wanted = ("torch", f"{peer}=={VERSIONS[peer]}")
    return made(peer, *wanted, constraints=ROOT / "constraints.txt")


def train_ours(judged: Judged, seed: int) -> tuple[torch.Tensor, dict[str, float]]:
    """Grey levels of our samples, and what they took."""
    model, seconds = timed(lambda: conditional_diffusion(judged.x, judged.y, PRESET, seed=seed))
    images, sampling = timed(lambda: model.sample(600, ASKED, steps=20))
    return images, {"steps": PRESET.steps, "cpu_seconds": seconds, "sampling_seconds": sampling}


def train_peer(
    peer: str, judged: Judged, seconds: float, seed: int
) -> tuple[torch.Tensor, dict[str, float]]:
    """Grey levels of a peer's samples, and what they took."""
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        data, samples = Path(folder, "data.npz"), Path(folder, "samples.npz")
        np.savez(data, x=from_grey_levels(judged.x), y=judged.y, asked=ASKED)
        script = Path(__file__).with_name("peers_train.py")
        command = [environment(peer), script, peer, data, samples, str(seconds), str(seed)]
        subprocess.run(command, env=one_thread, check=True)
        with np.load(samples) as found:
            took = {name: found[name].item() for name in found if name != "images"}
            return to_grey_levels(torch.from_numpy(found["images"])), took


def one_seed(seed: int) -> dict[str, dict[str, float]]:
    """Each model's figures with one seed, before one judge."""
    judged = Judged(split_of_lesson(), seed)
    drawn = {OURS: train_ours(judged, seed)}
    budget = drawn[OURS][1]["cpu_seconds"]
    drawn |= {peer: train_peer(peer, judged, budget, seed) for peer in VERSIONS}
    rows = {}
    for name, (images, took) in drawn.items():
        found = judged.figures(images)
        rows[name] = {"seed": seed, **found, **took}
        rows[name]["fd_over_ours"] = found["fd_over_floor"] / rows[OURS]["fd_over_floor"]
        print(seed, name, {k: round(v, 3) for k, v in rows[name].items()}, flush=True)
    return rows


def table(results: dict[str, list[dict]]) -> str:
    """The medians, a line for each model."""
    columns = ("fd_over_floor", "fd_over_ours", "read_as_asked", "recall")
    columns += ("steps", "cpu_seconds", "sampling_seconds")
    lines = [f"{'median':28}" + "".join(f"{name:>18}" for name in columns)]
    for model, rows in results.items():
        medians = (statistics.median(row[name] for row in rows) for name in columns)
        lines.append(f"{model:28}" + "".join(f"{value:18.3f}" for value in medians))
    return "\n".join(lines)


if __name__ == "__main__":
    for peer in VERSIONS:
        environment(peer)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state  # no earlier checkpoints
        seeds = [one_seed(seed) for seed in range(3)]
    results = {name: [rows[name] for rows in seeds] for name in (OURS, *VERSIONS)}
    settings = SimpleNamespace(**{OURS: PRESET, "peers": VERSIONS, **SETTINGS})
    write("diffusion_peers", settings, {}, results)
    print(table(results))
