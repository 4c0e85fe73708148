"""The features decide: what the Fréchet distance says of four counterfeit digits in three feature spaces.

Run in the course's environment, about four minutes on one core:

    python benchmarks/features.py

Five seeds, each with a split of its own. The features are the pixels themselves, those of a judge that
learnt all ten digits, and those of a judge that learnt the digits 0 to 4 alone: to it the others are
strangers, as medical images are to a network that learnt everyday photographs. Each distance is divided
by that of real digits, as many and drawn in the same way. Writes results/features.json; lesson 09 shows it.
"""

import os
import tempfile

import torch
from common import SEEDS, other_split, write
from torch import Tensor

from course_lib.audit.fidelity import frechet_distance
from course_lib.models.classifier import train_judge

ROWS, KNOWN = 600, 5  # images on each side; digits that the stranger knows
SETTINGS = {"rows": ROWS, "digits known to the stranger": KNOWN}


def counterfeits(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Images (n, 64) with one plain fault each, which anybody sees who looks at many of them."""
    left = torch.zeros_like(x).reshape(-1, 8, 8)
    left[:, :, :-1] = x.reshape(-1, 8, 8)[:, :, 1:]
    means = torch.stack([x[y == digit].mean(dim=0) for digit in range(10)])[y]
    return {
        "one pixel to the left": left.flatten(1),
        "a quarter of the variety": means + 0.25 * (x - means),
        "no eights and nines": x[y < 8],
        "paler by a fifth": 0.8 * x,
    }


def one_run(seed: int) -> list[dict]:
    x, y, x_held, _ = other_split(seed)
    spaces = {
        "pixels": lambda images: images,
        "a judge of 0 to 4": train_judge(x[y < KNOWN], y[y < KNOWN], seed).features,
        "a judge of all digits": train_judge(x, y, seed).features,
    }
    dice = torch.Generator().manual_seed(seed)
    drawn = {"real digits": x, **counterfeits(x, y)}
    drawn = {
        name: rows[torch.randperm(len(rows), generator=dice)[:ROWS]] for name, rows in drawn.items()
    }
    rows = []
    for space, features in spaces.items():
        held = features(x_held)
        found = {name: frechet_distance(held, features(made)) for name, made in drawn.items()}
        null = found.pop("real digits")
        rows.append({"features": space, **{name: value / null for name, value in found.items()}})
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    groups: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        for seed in SEEDS:
            for row in one_run(seed):
                groups.setdefault(row.pop("features"), []).append({"seed": seed, **row})
            print(seed, {space: rows[-1] for space, rows in groups.items()}, flush=True)
    write("features", SETTINGS, {}, groups)
