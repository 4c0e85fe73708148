"""The data sets that come embedded, so that every lesson runs offline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import train_test_split

from course_lib.syllabus import unknown


class Split(NamedTuple):
    """One part of a data set: `x` (n, ...) float32 and, where there are classes, `y` (n,) int64."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A data set in two parts: `train` to learn from, `held_out` to judge with."""

    name: str
    train: Split
    held_out: Split

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.train.x):,} to train, {len(self.held_out.x):,} held out, "
            f"each of shape {self.train.x.shape[1:]}"
        )


def load(name: str) -> Dataset:
    """Load the data set `name`. Raises ValueError that lists the known ones."""
    if name not in LOADERS:
        raise ValueError(unknown("data set", name, LOADERS))
    return LOADERS[name]()


def names() -> tuple[str, ...]:
    """The data sets that `load` knows."""
    return tuple(LOADERS)


def _digits() -> Dataset:
    """1,797 real handwritten digits, x (n, 8, 8) with grey levels 0 to 16, y the digit."""
    images = load_digits()
    x, y = images.images.astype(np.float32), images.target.astype(np.int64)
    parts = train_test_split(x, y, test_size=600, random_state=0, stratify=y)
    return Dataset("digits", Split(parts[0], parts[2]), Split(parts[1], parts[3]))


def _moons() -> Dataset:
    """Two interleaving half circles with Gaussian noise of standard deviation 0.1, x (n, 2)."""
    x, y = make_moons(n_samples=1200, noise=0.1, random_state=0)
    x, y = x.astype(np.float32), y.astype(np.int64)
    return Dataset("moons", Split(x[:600], y[:600]), Split(x[600:], y[600:]))


LOADERS: dict[str, Callable[[], Dataset]] = {"digits": _digits, "moons": _moons}
