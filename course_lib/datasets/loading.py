"""Loading by name: the embedded data sets, with which every lesson runs offline, and the fetched."""

from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_moons

from course_lib.datasets.crashes import crashes, nass_cds
from course_lib.datasets.engines import cmapss, simulated_engines
from course_lib.datasets.homes import simulated_homes
from course_lib.datasets.images import idx_family, pneumonia_mnist, pneumonia_mnist_rebuilt
from course_lib.datasets.lesions import lesions
from course_lib.datasets.loans import applicants
from course_lib.datasets.milling import states
from course_lib.datasets.mixtures import (
    GRID_CENTRES,
    GRID_SD,
    RING_CENTRES,
    RING_SD,
    mixture,
)
from course_lib.datasets.patients import cohort, heart_disease, hospitals, nhefs
from course_lib.datasets.payments import LEARNT, transactions
from course_lib.datasets.shop import online_retail, simulated_shop
from course_lib.datasets.sounds import simulated_vowels, spoken_digits
from course_lib.datasets.splits import Dataset, Split, TableDataset, halves, parted
from course_lib.datasets.tables import adult, ai4i2020, german_credit
from course_lib.syllabus import unknown


def load(name: str, split: str | None = None) -> Dataset | TableDataset:
    """Load the data set `name`: embedded, or fetched once from its publisher, a mirror or the cache.

    Args:
        name: one of `names()`.
        split: "60k" or "10k" for "mnist" and "fashion_mnist" (see `images.idx_family`); the others
            have one split and take none.

    Raises:
        ValueError: for an unknown name or split, with the known ones.
        DataError: when a file cannot be fetched; it says why and what to do.

    >>> print(load("digits"))
    digits: 1,197 to train, 600 held out, each of shape (8, 8)
    """
    if name not in LOADERS:
        raise ValueError(unknown("data set", name, LOADERS))
    if name in SPLIT:
        return LOADERS[name](split)
    if split is not None:
        raise ValueError(f"{name} has one split only: write datasets.load({name!r}).")
    return LOADERS[name]()


def names() -> tuple[str, ...]:
    """The data sets that `load` knows: the embedded ones, then those that it fetches.

    >>> names()[:3]
    ('digits', 'moons', 'ring')
    """
    return tuple(LOADERS)


def _digits() -> Dataset:
    """1,797 real handwritten digits, x (n, 8, 8) with grey levels 0 to 16, y the digit."""
    images = load_digits()
    x, y = images.images.astype(np.float32), images.target.astype(np.int64)
    return Dataset("digits", *halves(x, y, held_out=600))


def _moons() -> Dataset:
    """Two interleaving half circles with Gaussian noise of standard deviation 0.1, x (n, 2)."""
    x, y = make_moons(n_samples=1200, noise=0.1, random_state=0)
    x, y = x.astype(np.float32), y.astype(np.int64)
    return Dataset("moons", Split(x[:600], y[:600]), Split(x[600:], y[600:]))


def _ring() -> Dataset:
    """Eight narrow normal distributions on a circle of radius 1, x (n, 2), y the mode."""
    return _mixture("ring", RING_CENTRES, RING_SD)


def _grid() -> Dataset:
    """Twenty-five narrow normal distributions on a square grid of spacing 2, x (n, 2), y the mode."""
    return _mixture("grid", GRID_CENTRES, GRID_SD)


def _mixture(name: str, centres: np.ndarray, sd: float) -> Dataset:
    train, held_out = (mixture(centres, sd, n, seed) for seed, n in enumerate((50_000, 10_000)))
    return Dataset(name, Split(*train), Split(*held_out))


def _loans() -> TableDataset:
    """10,000 simulated loan applicants, with biases planted in who is approved."""
    people = applicants(10_000, seed=0)
    train, held_out = people[:6000], people[6000:].reset_index(drop=True)
    return TableDataset("loans", train, held_out, "approved", ("sex", "ethnicity"))


def _milling() -> TableDataset:
    """10,000 simulated states of a milling machine, and whether it failed."""
    table = states(10_000, seed=0)
    train, held_out = table[:8000], table[8000:].reset_index(drop=True)
    return TableDataset("milling", train, held_out, "machine_failure")


def _payments() -> TableDataset:
    """80 days of simulated card payments of 4,500 accounts, and which are fraud; the last 30 held out."""
    table = transactions(4500, seed=0)
    early = table["time"] < 24 * LEARNT
    train, held_out = (table[part].reset_index(drop=True) for part in (early, ~early))
    return TableDataset("payments", train, held_out, "fraud")


def _breast_cancer() -> TableDataset:
    """569 real biopsies of breast masses, 30 measures of their cell nuclei, malignant or not."""
    data = load_breast_cancer(as_frame=True)
    cells = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    table = cells.assign(malignant=data.target == 0)  # scikit-learn's 1 is benign
    return parted("breast_cancer", table, "malignant", held_out=169, stratify=table["malignant"])


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
    return parted("diabetes", table, "progression", ("sex",), held_out=142)


EMBEDDED: dict[str, Callable[[], Dataset | TableDataset]] = {
    "digits": _digits,
    "moons": _moons,
    "ring": _ring,
    "grid": _grid,
    "loans": _loans,
    "milling": _milling,
    "engines": simulated_engines,
    "payments": _payments,
    "shop": simulated_shop,
    "homes": simulated_homes,
    "vowels": simulated_vowels,
    "lesions": lesions,
    "crashes": crashes,
    "cohort": cohort,
    "hospitals": hospitals,
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
}
SPLIT = {name: partial(idx_family, name) for name in ("mnist", "fashion_mnist")}
TABLES = {
    "adult": adult,
    "german_credit": german_credit,
    "ai4i2020": ai4i2020,
    "cmapss": cmapss,
    "online_retail": online_retail,
    "nhefs": nhefs,
    "heart_disease": heart_disease,
    "nass_cds": nass_cds,
}
LOADERS: dict[str, Callable[..., Dataset | TableDataset]] = {
    **EMBEDDED,
    **SPLIT,
    "pneumonia_mnist": pneumonia_mnist,
    "pneumonia_mnist_rebuilt": pneumonia_mnist_rebuilt,
    "fsdd": spoken_digits,
    **TABLES,
}
