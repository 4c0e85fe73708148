"""Engines that run until they fail: a small simulator of our own, and NASA's C-MAPSS FD001.

Both give one row a cycle, with `engine`, `cycle`, the sensors and `remaining_life`. The engines to
train on run to their failure; those held out stop before it, as in C-MAPSS. data/engines.md says the
equations of the simulator.
"""

import numpy as np
import pandas as pd

from course_lib.datasets.fetch import fetch
from course_lib.datasets.splits import TableDataset

# What each simulated sensor gains as damage grows from 0 to 1, in units of its noise.
GAINS = (10.0, -9.0, 8.0, -7.0, 6.0, 5.0, 0.0, 0.0)
SENSORS = tuple(f"sensor_{k + 1}" for k in range(len(GAINS)))
CMAPSS_COLUMNS = (
    *("engine", "cycle"),
    *(f"setting_{k}" for k in range(1, 4)),
    *(f"sensor_{k}" for k in range(1, 22)),
)


def run_to_failure(engines: int, *, seed: int = 0) -> pd.DataFrame:
    """`engines` simulated engines from their first cycle to their failure.

    Raises:
        ValueError: for fewer than one engine.

    >>> lives = run_to_failure(3).groupby("engine")["cycle"].max()
    >>> len(lives), bool((lives >= 120).all())
    (3, True)
    """
    if engines < 1:
        raise ValueError(f"At least one engine is needed; got {engines}.")
    rng = np.random.default_rng(seed)
    tables = []
    for engine in range(1, engines + 1):
        life = int(120 + rng.gamma(4.0, 22.0))
        cycle = np.arange(1, life + 1)
        # D(t) = a + (1 - a) (e^(c t / L) - 1) / (e^c - 1): slow at first, then ever faster
        start, bend = rng.uniform(0, 0.1), rng.uniform(2, 4)
        damage = start + (1 - start) * np.expm1(bend * cycle / life) / np.expm1(bend)
        own = rng.normal(0, 0.5, len(GAINS))  # each engine's own offset
        noise = rng.standard_normal((life, len(GAINS)))
        sensors = own + damage[:, None] * np.array(GAINS) + noise
        columns = dict(zip(SENSORS, sensors.round(3).T, strict=True))
        table = pd.DataFrame({"engine": engine, "cycle": cycle, **columns})
        tables.append(table.assign(remaining_life=life - cycle))
    return pd.concat(tables, ignore_index=True)


def simulated_engines() -> TableDataset:
    """100 simulated engines to train on, and 100 others that stop 5 to 145 cycles before they fail.

    >>> print(simulated_engines())
    engines: 20,392 rows to train, 12,822 held out, 11 columns, label remaining_life
    """
    train, test = run_to_failure(100, seed=0), run_to_failure(100, seed=1)
    drawn = np.random.default_rng(2).integers(5, 146, 100)
    lives = test.groupby("engine")["cycle"].max().to_numpy()
    left = np.minimum(drawn, lives - 35)  # at least 35 cycles are seen
    seen = test["remaining_life"].to_numpy() >= left[test["engine"].to_numpy() - 1]
    return TableDataset("engines", train, test[seen].reset_index(drop=True), "remaining_life")


def cmapss() -> TableDataset:
    """NASA's C-MAPSS FD001: 100 simulated turbofan engines to train on, and 100 cut off before they fail.

    Raises:
        DataError: when a file cannot be fetched.

    >>> cmapss().train.shape
    (20631, 27)
    """
    train, test = (
        pd.read_csv(fetch("cmapss", f"{part}_FD001.txt"), sep=r"\s+", names=CMAPSS_COLUMNS)
        for part in ("train", "test")
    )
    (left,) = np.loadtxt(fetch("cmapss", "RUL_FD001.txt"), ndmin=2, unpack=True)
    after = dict.fromkeys(train["engine"].unique(), 0)
    known = dict(enumerate(left.astype(int), start=1))
    train, test = (
        table.assign(
            remaining_life=table.groupby("engine")["cycle"].transform("max")
            - table["cycle"]
            + table["engine"].map(last)
        )
        for table, last in ((train, after), (test, known))
    )
    constant = [str(name) for name in train if train[name].nunique() == 1]
    notes = (
        f"{len(constant)} columns have one value only ({', '.join(constant)}); they are kept.",
        "The engines held out stop before they fail: their remaining life is counted from the file "
        "RUL_FD001.txt, which gives it for the last cycle of each.",
    )
    return TableDataset("cmapss", train, test, "remaining_life", (), notes)
