"""Steering: a generator turned on purpose towards chosen modes, such as a rare class.

Two ways need training: data weighted towards the target, and, as the extreme case, fine-tuning on the
target alone. One needs none: reject what misses the target. SMOTE is the classical baseline.
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
        digit: the one that has become rare.
        x, y: the training digits that are left, (n, 64) and (n,).
        few: those of the rare digit among them, (keep, 64).
        hidden: the training digits of it that were taken away, (m, 64): the data one would like to have.

    >>> rare = scarce(torch.zeros(60, 64), torch.arange(60) % 10, digit=8, keep=2)
    >>> len(rare.few), len(rare.hidden), len(rare.x)
    (2, 4, 56)
    """

    digit: int
    x: Tensor
    y: Tensor
    few: Tensor
    hidden: Tensor


def scarce(x: Tensor, y: Tensor, digit: int, keep: int = 12, seed: int = 0) -> Scarce:
    """Keep only `keep` random images of `digit`, and all of the others.

    >>> rare = scarce(torch.zeros(60, 64), torch.arange(60) % 10, digit=8, keep=2)
    >>> int((rare.y == 8).sum())
    2
    """
    rows = (y == digit).nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    there = torch.ones(len(x), dtype=torch.bool)
    there[rows[keep:]] = False
    return Scarce(digit, x[there], y[there], x[rows[:keep]], x[rows[keep:]])


def importance_weights(target: Tensor, share: float) -> Tensor:
    """Weights (n,) with mean 1 under which the rows of `target` (n,), a mask, make up `share` of all.

    With weights w = p' / p, a game for p becomes a game for p': its best discriminator is p' / (p' + q).

    >>> importance_weights(torch.tensor([True, False, False, False]), share=0.5)
    tensor([2.0000, 0.6667, 0.6667, 0.6667])
    """
    count = target.sum()
    n = len(target)
    return torch.where(target, share * n / count, (1 - share) * n / (n - count))


def resample(weights: Tensor, count: int, seed: int = 0) -> Tensor:
    """`count` rows (count,) drawn with replacement in proportion to weights (n,).

    >>> resample(torch.tensor([0.0, 1.0, 0.0]), count=4)
    tensor([1, 1, 1, 1])
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(weights, count, replacement=True, generator=generator)


def acceptance(logits: Tensor, log_bound: float) -> Tensor:
    """The probability (n,) with which a sample is kept, from logits of a discriminator.

    For the best discriminator exp(logit) is p / q, so that the samples that are kept follow p; exactly
    so if no logit is above `log_bound`.

    Source: Azadi et al. 2019, arXiv 1810.06758 (discriminator rejection sampling), section 3.

    >>> acceptance(torch.tensor([0.0, 1.0, 2.0]), log_bound=1.0)
    tensor([0.3679, 1.0000, 1.0000])
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
        sample: maps a number n to n samples.
        keep: maps samples (n, ...) to the probability (n,) with which each is kept.
        seed: of the choices. Give the sampler another one, or its draws and these are not independent.

    >>> kept, drawn = reject(lambda n: torch.rand(n), lambda x: (x > 0.5).float(), count=10)
    >>> len(kept), bool((kept > 0.5).all())
    (10, True)
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
        base: the row to start from, (m,).
        rank: which neighbour of it to move towards, (m,): 1 is the nearest.
        t: how far to move, from 0 to 1, (m, 1).

    Source: Chawla et al. 2002, arXiv 1106.1813.

    >>> x = torch.tensor([[0.0], [1.0], [5.0]])
    >>> smote(x, base=torch.tensor([0]), rank=torch.tensor([1]), t=torch.tensor([[0.25]]))
    tensor([[0.2500]])
    """
    # x_new = x_i + t (x_j - x_i), x_j a near neighbour of x_i
    neighbours = torch.cdist(x, x).argsort(dim=1)  # the nearest is the row itself
    other = x[neighbours[base, rank]]
    return x[base] + t * (other - x[base])


def smote_sample(x: Tensor, count: int, neighbours: int = 5, seed: int = 0) -> Tensor:
    """`count` rows by `smote` from random rows, towards random neighbours, each part of the way.

    >>> smote_sample(torch.rand(20, 2), count=5).shape
    torch.Size([5, 2])
    """
    generator = torch.Generator().manual_seed(seed)
    base = torch.randint(len(x), (count,), generator=generator)
    rank = torch.randint(1, neighbours + 1, (count,), generator=generator)
    return smote(x, base, rank, torch.rand(count, 1, generator=generator))


# --- what was recorded --------------------------------------------------------------------------


def steering_record(part: str) -> dict:
    """What `python benchmarks/steering.py PART` measured: "digits", "games" or "ring".

    >>> sorted(steering_record("digits"))
    ['date', 'runs', 'settings', 'versions']
    """
    return json.loads(RECORDED.read_text(encoding="utf-8"))[part]


def steering_runs(part: str) -> pd.DataFrame:
    """The recorded runs of a part, one in each row.

    >>> "way" in steering_runs("digits").columns
    True
    """
    return pd.DataFrame(steering_record(part)["runs"])


def means(table: pd.DataFrame, by: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means of the figures of `table` in each group of `by`, and half the width of their 95 % intervals.

    The intervals are Student's, over the runs of a group; groups keep their order in the table.

    >>> table = pd.DataFrame({"way": ["a", "a", "b", "b"], "recall": [0.1, 0.3, 0.5, 0.5]})
    >>> mean, half = means(table, by="way")
    >>> mean["recall"].to_list()
    [0.2, 0.5]
    """
    groups = table.groupby(by, sort=False)
    mean = groups.mean(numeric_only=True)
    count = groups.count()[mean.columns]
    return mean, groups.std(numeric_only=True) * student.ppf(0.975, count - 1) / np.sqrt(count)


def gains(table: pd.DataFrame, figure: str, baseline: str) -> pd.DataFrame:
    """How much better each way does in `figure` than the way `baseline`: mean, low and high.

    Runs are paired by their digit, so that an easy digit favours no way. The intervals are Student's
    and hold for all ways together with 95 % (Bonferroni's correction).

    >>> table = pd.DataFrame(
    ...     {"digit": [1, 1, 2, 2], "way": ["a", "b"] * 2, "recall": [0.5, 0.75, 0.25, 0.5]}
    ... )
    >>> float(gains(table, "recall", baseline="a").loc["b", "mean"])
    0.25
    """
    wide = table.pivot(index="digit", columns="way", values=figure)[list(table["way"].unique())]
    differences = wide.sub(wide[baseline], axis=0).drop(columns=baseline)
    n, mean = len(differences), differences.mean()
    level = 1 - 0.025 / differences.shape[1]
    half = differences.std() * student.ppf(level, n - 1) / np.sqrt(n)
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
