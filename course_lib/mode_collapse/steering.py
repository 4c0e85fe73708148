"""Steering: a generator turned on purpose towards chosen modes, such as a rare class.

Two ways need training: data weighted towards the target, and, at its end, fine-tuning on the target
alone. One needs none: reject what misses the target. Beside them the classical baseline, SMOTE.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student
from torch import Tensor

RECORDED = Path(__file__).with_name("recorded") / "steering.json"


@dataclass(frozen=True)
class Scarce:
    """Digits of which one has become rare.

    Attributes:
        x, y: the training digits that are left, (n, 64) and (n,).
        few: those of the rare digit among them.
        hidden: training digits of it that were taken away, which stand for what one would wish to have.
    """

    digit: int
    x: Tensor
    y: Tensor
    few: Tensor
    hidden: Tensor


def scarce(x: Tensor, y: Tensor, digit: int, keep: int = 12, seed: int = 0) -> Scarce:
    """Keep only `keep` random images of `digit`, and all of the others."""
    rows = (y == digit).nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    there = torch.ones(len(x), dtype=torch.bool)
    there[rows[keep:]] = False
    return Scarce(digit, x[there], y[there], x[rows[:keep]], x[rows[keep:]])


def importance_weights(target: Tensor, share: float) -> Tensor:
    """Weights (n,) with mean 1 under which the rows of `target` (n,), a mask, make up `share` of all.

    Under weights w = p' / p a game for p becomes one for p': the best discriminator is p' / (p' + q).
    """
    count = target.sum()
    n = len(target)
    return torch.where(target, share * n / count, (1 - share) * n / (n - count))


def resample(weights: Tensor, count: int, seed: int = 0) -> Tensor:
    """`count` rows (count,) drawn with replacement in proportion to weights (n,)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(weights, count, replacement=True, generator=generator)


def acceptance(logits: Tensor, log_bound: float) -> Tensor:
    """The probability (n,) with which a sample is kept, from logits of a discriminator.

    With the best discriminator exp(logit) is p / q, so that what is kept follows p, exactly so where
    `log_bound` is no less than any logit.

    Source: Azadi et al. 2019, arXiv 1810.06758 (discriminator rejection sampling), section 3.
    """
    # p / (q M) = exp(logit - log M), at most 1
    return (logits - log_bound).clamp(max=0).exp()


def reject(
    sample: Callable[[int], Tensor],
    keep: Callable[[Tensor], Tensor],
    count: int,
    most: int = 50_000,
    batch: int = 2_000,
    seed: int = 0,
) -> tuple[Tensor, int]:
    """Draw until `count` samples are kept or `most` are drawn; returns those kept and how many drawn.

    Args:
        sample: a number to so many samples.
        keep: samples (n, ...) to the probability (n,) with which each is kept.
        seed: of the choices; give the sampler another, or its draws and these are not independent.
    """
    generator = torch.Generator().manual_seed(seed)
    kept, drawn = [], 0
    while sum(map(len, kept)) < count and drawn < most:
        samples = sample(batch)
        drawn += batch
        kept.append(samples[torch.rand(batch, generator=generator) < keep(samples)])
    found = torch.cat(kept)
    if len(found) > count:  # only what had to be drawn counts
        drawn = round(drawn * count / len(found))
    return found[:count], drawn


def smote(x: Tensor, base: Tensor, rank: Tensor, t: Tensor) -> Tensor:
    """New rows (m, d), each between a row of x (n, d) and one of its nearest neighbours in x.

    Args:
        base: the row to start from, (m,). rank: which neighbour to go towards, 1 for the nearest, (m,).
        t: how far on the way, from 0 to 1, (m, 1).

    Source: Chawla et al. 2002, arXiv 1106.1813.
    """
    # x_new = x_i + t (x_j - x_i), x_j a near neighbour of x_i
    neighbours = torch.cdist(x, x).argsort(dim=1)  # the nearest is the row itself
    other = x[neighbours[base, rank]]
    return x[base] + t * (other - x[base])


def smote_sample(x: Tensor, count: int, neighbours: int = 5, seed: int = 0) -> Tensor:
    """`count` rows by `smote` with random rows, neighbours and ways."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.randint(len(x), (count,), generator=generator)
    rank = torch.randint(1, neighbours + 1, (count,), generator=generator)
    return smote(x, base, rank, torch.rand(count, 1, generator=generator))


# --- what was recorded --------------------------------------------------------------------------


def recorded(part: str) -> dict:
    """A part of what `python benchmarks/steering.py` measured: "digits", "variety", "games" or "ring"."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))[part]


def runs(part: str) -> pd.DataFrame:
    """The recorded runs of a part, one a row."""
    return pd.DataFrame(recorded(part)["runs"])


def means(table: pd.DataFrame, by: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means of the figures of `table` in each group of `by`, and half the width of their 95 % intervals.

    The intervals are Student's, over the runs of a group; groups keep their order in the table.
    """
    groups = table.groupby(by, sort=False)
    mean = groups.mean(numeric_only=True)
    count = groups.count()[mean.columns]
    return mean, groups.std(numeric_only=True) * student.ppf(0.975, count - 1) / np.sqrt(count)


def gains(table: pd.DataFrame, figure: str, baseline: str) -> pd.DataFrame:
    """What each way adds to `figure` over the way `baseline`, run by run: mean, low and high.

    Runs are paired by their digit, so that an easy digit counts for no way more than for another. The
    intervals are Student's and hold for all ways together with 95 % (Bonferroni's correction).
    """
    wide = table.pivot(index="digit", columns="way", values=figure)[list(table["way"].unique())]
    differences = wide.sub(wide[baseline], axis=0).drop(columns=baseline)
    n, mean = len(differences), differences.mean()
    level = 1 - 0.025 / differences.shape[1]
    half = differences.std() * student.ppf(level, n - 1) / np.sqrt(n)
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
