"""The data sets that come embedded, so that every lesson runs offline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_moons
from sklearn.model_selection import train_test_split

from course_lib.datasets.loans import applicants
from course_lib.datasets.mixtures import (
    GRID_CENTRES,
    GRID_SD,
    RING_CENTRES,
    RING_SD,
    mixture,
)
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


@dataclass(frozen=True)
class TableDataset:
    """A table in two parts of the same columns, with the roles that some columns play.

    Attributes:
        train, held_out: DataFrames, one row an observation, the label among the columns.
        label: the column to predict.
        sensitive: the columns that name groups of people.
    """

    name: str
    train: pd.DataFrame
    held_out: pd.DataFrame
    label: str
    sensitive: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.train):,} rows to train, {len(self.held_out):,} held out, "
            f"{self.train.shape[1]} columns, label {self.label}"
        )


def load(name: str) -> Dataset | TableDataset:
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


def _ring() -> Dataset:
    """Eight narrow normal laws on a circle of radius 1, x (n, 2), y the mode."""
    return _mixture("ring", RING_CENTRES, RING_SD)


def _grid() -> Dataset:
    """Twenty-five narrow normal laws on a square grid of spacing 2, x (n, 2), y the mode."""
    return _mixture("grid", GRID_CENTRES, GRID_SD)


def _mixture(name: str, centres: np.ndarray, sd: float) -> Dataset:
    parts = (mixture(centres, sd, n, seed) for seed, n in enumerate((50_000, 10_000)))
    return Dataset(name, *(Split(*part) for part in parts))


def _loans() -> TableDataset:
    """10,000 simulated loan applicants, with biases planted in who is approved."""
    people = applicants(10_000, seed=0)
    train, held_out = people[:6000], people[6000:].reset_index(drop=True)
    return TableDataset("loans", train, held_out, "approved", ("sex", "ethnicity"))


def _breast_cancer() -> TableDataset:
    """569 real biopsies of breast masses, 30 measures of their cell nuclei, malignant or not."""
    data = load_breast_cancer(as_frame=True)
    cells = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    table = cells.assign(malignant=data.target == 0)  # scikit-learn's 1 is benign
    return _parted("breast_cancer", table, "malignant", held_out=169, stratify=table["malignant"])


DIABETES_COLUMNS = {
    "bp": "blood_pressure",
    "s1": "total_cholesterol",
    "s2": "ldl",
    "s3": "hdl",
    "s4": "cholesterol_ratio",
    "s5": "log_triglycerides",
    "s6": "glucose",
    "target": "progression",
}


def _diabetes() -> TableDataset:
    """442 real patients with diabetes, and how far the disease had gone a year later."""
    table = load_diabetes(as_frame=True, scaled=False).frame.rename(columns=DIABETES_COLUMNS)
    whole = ["age", "total_cholesterol", "glucose", "progression"]
    # A code and not a number: "1" or "2".
    table = table.astype(dict.fromkeys(whole, int)).assign(sex=table["sex"].map({1: "1", 2: "2"}))
    return _parted("diabetes", table, "progression", ("sex",), held_out=142)


def _parted(name, table, label, sensitive=(), *, held_out, stratify=None) -> TableDataset:
    parts = train_test_split(table, test_size=held_out, random_state=0, stratify=stratify)
    return TableDataset(name, *(part.reset_index(drop=True) for part in parts), label, sensitive)


LOADERS: dict[str, Callable[[], Dataset | TableDataset]] = {
    "digits": _digits,
    "moons": _moons,
    "ring": _ring,
    "grid": _grid,
    "loans": _loans,
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
}
