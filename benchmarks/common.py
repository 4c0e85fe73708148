"""What the benchmarks of the digit models share: splits, timing, medians and the JSON."""

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from course_lib import __version__, datasets
from course_lib.audit.fidelity import frechet_distance, manifold_measures
from course_lib.models.classifier import balanced, train_judge

RESULTS = Path(__file__).with_name("results")
SEEDS = range(5)
ASKED = torch.arange(10).repeat_interleave(60)  # 600 samples, 60 of each digit

Data = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]  # x, y, x_held, y_held


class Judged:
    """A judge of one split with one seed, and what it says of samples."""

    def __init__(self, data: Data, seed: int):
        self.x, self.y, self.x_held, self.y_held = data
        self.judge, self.seconds = timed(lambda: train_judge(self.x, self.y, seed))
        self.look()

    def look(self) -> None:
        """See the real digits; again where the judge's weights have changed."""
        self.held = self.judge.features(self.x_held)
        self.floor = self.distance(balanced(self.x, self.y, 60))
        self.accuracy = self.judge.accuracy(self.x_held, self.y_held)

    def distance(self, images: torch.Tensor) -> float:
        return frechet_distance(self.held, self.judge.features(images))

    def memoriser(self, draws: int = 4) -> float:
        """Fréchet distance over the floor of a model that has learnt its training digits by heart
        and draws them at random, with replacement: what copying alone can reach."""
        generator = torch.Generator().manual_seed(0)

        def again(digit: int) -> torch.Tensor:
            own = self.x[self.y == digit]
            return own[torch.randint(len(own), (60,), generator=generator)]

        distances = [self.distance(torch.cat([again(d) for d in range(10)])) for _ in range(draws)]
        return sum(distances) / draws / self.floor

    def figures(self, images: torch.Tensor, asked: torch.Tensor | None = ASKED) -> dict[str, float]:
        """Fréchet distance over the floor, precision and recall, distance to the training digits
        over that of held-out ones, and, for conditional samples, the share read as asked."""
        found = manifold_measures(self.held.numpy(), self.judge.features(images).numpy())
        nearest = torch.cdist(images, self.x).amin(dim=1).median()
        unseen = torch.cdist(self.x_held, self.x).amin(dim=1).median()
        row = {
            "fd_over_floor": self.distance(images) / self.floor,
            "precision": found["precision"],
            "recall": found["recall"],
            "nearest_training_digit_over_held_out": (nearest / unseen).item(),
        }
        if asked is not None:
            right = self.judge.predict(images) == asked
            row["read_as_asked"] = right.float().mean().item()
        return row


def split_of_lesson() -> Data:
    digits = datasets.load("digits")
    return _tensors(digits.train.x, digits.train.y, digits.held_out.x, digits.held_out.y)


def other_split(seed: int) -> Data:
    """Another split of the same sizes, for settings that were chosen on the lesson's own."""
    digits = datasets.load("digits")
    x, y = (np.concatenate(both) for both in zip(digits.train, digits.held_out, strict=True))
    parts = train_test_split(x, y, test_size=600, random_state=seed + 1, stratify=y)
    return _tensors(parts[0], parts[2], parts[1], parts[3])


def timed(work: Callable) -> tuple:
    """What `work` returns, and the CPU seconds that it took."""
    start = time.process_time()
    result = work()
    return result, round(time.process_time() - start, 2)


def both_splits(one_run: Callable[[Data, int], dict]) -> dict[str, list[dict]]:
    """`one_run(data, seed)` for five seeds on the lesson's split and on five other splits.

    One thread, and nothing taken from earlier checkpoints.
    """
    torch.set_num_threads(1)
    results: dict[str, list[dict]] = {"the lesson's split": [], "five other splits": []}
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        for name, rows in results.items():
            for seed in SEEDS:
                data = split_of_lesson() if name == "the lesson's split" else other_split(seed)
                rows.append({"seed": seed, **one_run(data, seed)})
                print(name, rounded(rows[-1]), flush=True)
    return results


def write(name: str, settings: SimpleNamespace, bars: dict, results: dict) -> None:
    """Write results/<name>.json with the medians, and print those."""
    medians = {group: _medians(rows, bars) for group, rows in results.items()}
    report = {
        **provenance(),
        "settings": json.loads(json.dumps(settings, default=vars)),
        "bars": bars,
        "medians": medians,
        "runs": {group: [rounded(row) for row in rows] for group, rows in results.items()},
    }
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(medians, indent=1))


def provenance() -> dict:
    """When, and with which versions."""
    return {
        "date": date.today().isoformat(),
        "versions": {
            "course_lib": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _medians(rows: list[dict], bars: dict[str, tuple[str, float]]) -> dict[str, str]:
    """Median [min, max] of each figure, and whether its bar is met."""
    said = {}
    for name in rows[0]:
        if name == "seed" or isinstance(rows[0][name], str | list):
            continue
        values = [row[name] for row in rows]
        middle = statistics.median(values)
        said[name] = f"{middle:.3f} [{min(values):.3f}, {max(values):.3f}]"
        if name in bars:
            sign, bar = bars[name]
            met = middle >= bar if sign == ">=" else middle <= bar
            said[name] += f", bar {sign} {bar:g}: {'met' if met else 'MISSED'}"
    return said


def rounded(row: dict) -> dict:
    """A row of figures with four decimals."""
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def _tensors(x, y, x_held, y_held) -> Data:
    x, y, x_held, y_held = map(torch.from_numpy, (x, y, x_held, y_held))
    return x.flatten(1), y, x_held.flatten(1), y_held
