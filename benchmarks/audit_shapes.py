"""Tables of seven shapes that are hard on tests; each call draws from the shape's one distribution.

`python benchmarks/audit.py shapes` audits draws of a shape against others: nothing is to be found.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

Table = pd.DataFrame


def people(n: int, rng: np.random.Generator) -> Table:
    """What all shapes have: a sensitive column, a number, and a label that depends on it."""
    age = rng.integers(18, 80, n)
    approved = np.where(rng.random(n) < 0.2 + age / 200, "yes", "no")
    return Table({"sex": rng.choice(["female", "male"], n), "age": age, "approved": approved})


def heavy_tails(n: int, rng: np.random.Generator) -> Table:
    """Claims without a variance, and a change without a mean."""
    return people(n, rng).assign(
        claim=np.round(100 * rng.pareto(1.1, n), 2), change=np.round(rng.standard_cauchy(n), 3)
    )


def many_levels(n: int, rng: np.random.Generator) -> Table:
    """A city out of 500, the k-th as common as 1 / k."""
    share = 1 / np.arange(1, 501)
    cities = [f"city{k}" for k in range(500)]
    return people(n, rng).assign(city=rng.choice(cities, n, p=share / share.sum()))


def rare_levels(n: int, rng: np.random.Generator) -> Table:
    """Two columns with one or two common levels, and a dozen of 0.1 to 2 % each."""
    rare = np.geomspace(0.001, 0.02, 12)
    share = np.array([1 - rare.sum(), *rare])
    jobs, faiths = ([f"{name}{k}" for k in range(13)] for name in ("job", "faith"))
    return people(n, rng).assign(
        job=rng.choice(jobs, n, p=share), faith=rng.choice(faiths, n, p=share)
    )


def panel(n: int, rng: np.random.Generator) -> Table:
    """Ten visits of each patient, whose sex, age and usual blood pressure stay."""
    persons = n // 10
    table = people(persons, rng).assign(patient=rng.permutation(10**7)[:persons])
    rows = table.loc[table.index.repeat(10)].reset_index(drop=True)
    usual = rng.normal(130, 12, persons).repeat(10)
    return rows.assign(pressure=np.round(usual + rng.normal(0, 4, len(rows)), 1))


def zeros_and_gaps(n: int, rng: np.random.Generator) -> Table:
    """Amounts that are mostly zero, counts, and a number that every fifth person did not tell."""
    spent = np.where(rng.random(n) < 0.7, 0.0, np.round(rng.lognormal(4, 1, n), 2))
    income = np.round(rng.lognormal(10, 0.6, n), -2)
    return people(n, rng).assign(
        spent=spent,
        visits=rng.negative_binomial(1, 0.4, n),
        income=np.where(rng.random(n) < 0.2, np.nan, income),
    )


def dates(n: int, rng: np.random.Generator) -> Table:
    """Days on which few come on a Sunday, with a trend, and a time of day."""
    day = np.sort(rng.triangular(0, 700, 701, n)).astype(int)
    rng.shuffle(day)
    sunday = (day + 3) % 7 == 6
    day = np.where(sunday & (rng.random(n) < 0.8), day - rng.integers(1, 6, n), day)
    minutes = rng.normal(13 * 60, 150, n).clip(0, 1439).astype(int)
    start = pd.Timestamp("2020-01-02")
    visited = start + pd.to_timedelta(day, "D") + pd.to_timedelta(minutes, "min")
    return people(n, rng).assign(visited=visited)


def dependent(n: int, rng: np.random.Generator) -> Table:
    """Columns that determine each other: parts and their sum, one amount in two units, a band."""
    table = people(n, rng)
    rent, food = (np.round(rng.gamma(4, 150, n)) for _ in range(2))
    bands = np.array(["young", "middle", "old"])[np.digitize(table["age"], [35, 60])]
    return table.assign(
        rent=rent, food=food, total=rent + food, total_thousands=(rent + food) / 1000, band=bands
    )


SHAPES: dict[str, Callable[[int, np.random.Generator], Table]] = {
    each.__name__: each
    for each in (
        heavy_tails, many_levels, rare_levels, panel, zeros_and_gaps, dates, dependent,
    )
}  # fmt: skip


def drawn(shape: str, n: int, seed: int, side: int) -> Table:
    """One of the independent draws (side 0, 1, ...) that belong to a seed."""
    return SHAPES[shape](n, np.random.default_rng([seed, side]))
