"""Lesson 17: how often good days are stopped, and how soon bad ones are, in 100 good streams and 50 a case.

    python benchmarks/pipeline.py

Each stream is a table of simulated applicants ("loans"), cut into days of 400 rows behind 2,000 trusted
ones. A fault begins on day 1. Good streams go on for 60 days, or until they are stopped; others for 10, and
slow ones for 30.

`arriving`: no generator. Beside the sequential gate ("e_cusum") three naive ones on the good streams:
"any_p" stops when any p-value of a day is below .05, "bonferroni" when one is below .05 over the number of
streams, "total_variation" when the total variation of any column (numbers in ten cells) is above the 95th
percentile of 200 days drawn from the trusted rows.

`generated`: a copula makes 1,000 rows a day for 6 days ("copula"), or what it is replaced by: "memoriser"
draws rows that it has seen, "half memoriser" does so for half of its rows, "leaked memoriser" draws from
the holdout as well, "loses a group" makes no Drusami, and "collapsing" learns each day from its own rows of
the day before, at nine tenths of their spread. Counted are the bad days published before the stop; of the
collapsing one these are the days on which less than a third of the tails of income is left.
"""

from collections.abc import Callable, Iterable
from types import SimpleNamespace

import numpy as np
import pandas as pd
from common import write
from threadpoolctl import threadpool_limits

from course_lib.datasets.loans import applicants
from course_lib.models.tabular import GaussianCopula
from course_lib.pipeline.contract import Contract, Rule
from course_lib.pipeline.generators import in_holdout
from course_lib.pipeline.watching import (
    Values,
    arriving_values,
    evidence,
    generated_values,
    next_cusums,
    weekly_values,
)

GOOD, STREAMS, TRUSTED, ROWS, MADE, LIMIT = 100, 50, 2000, 400, 1000, 60 / 0.05
NUMBERS = ("age", "income", "amount")
LEVELS = {
    "sex": ("female", "male"),
    "ethnicity": ("Almarin", "Borvek", "Celdane", "Drusami"),
    "approved": ("False", "True"),
}
CONTRACT = Contract(
    {name: Rule("number") for name in NUMBERS}
    | {name: Rule("category", levels=levels) for name, levels in LEVELS.items()},
    "approved",
    ("sex", "ethnicity"),
)


def rows_of(count: int, seed: int) -> pd.DataFrame:
    table = applicants(count, seed=seed)[[*NUMBERS, *LEVELS]]
    for name, levels in LEVELS.items():
        table[name] = pd.Categorical(table[name].astype(str), categories=levels)
    return table


def refused(table: pd.DataFrame, group: str, rate: float, rng: np.random.Generator) -> pd.DataFrame:
    struck = (table["ethnicity"] == group) & (rng.random(len(table)) < rate)
    return table.assign(approved=table["approved"].where(~struck, "False"))


def copied(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table.iloc[12:], table.iloc[[0] * 12]], ignore_index=True)


def accepted(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(approved=table["approved"].where(rng.random(len(table)) > 0.05, "True"))


# Each fault: the most days, and what it does to the rows of a day.
FAULTS = {
    "good": (60, lambda table, day, rng: table),
    "income times 1,000": (10, lambda table, day, rng: table.assign(income=table["income"] * 1000)),
    "income 20 % higher": (10, lambda table, day, rng: table.assign(income=table["income"] * 1.2)),
    "income 1 % higher each day": (
        30,
        lambda table, day, rng: table.assign(income=table["income"] * 1.01**day),
    ),
    "a group of 4 % is gone": (10, lambda table, day, rng: table[table["ethnicity"] != "Drusami"]),
    "a group of 4 % is refused": (10, lambda table, day, rng: refused(table, "Drusami", 1, rng)),
    "half of a group of 14 % is refused": (
        10,
        lambda table, day, rng: refused(table, "Celdane", 0.5, rng),
    ),
    "3 % are copies of one row": (10, lambda table, day, rng: copied(table)),
    "5 % are set to approved": (30, lambda table, day, rng: accepted(table, rng)),
}


def cells(table: pd.DataFrame, edges: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {}
    for name in CONTRACT.columns:
        if name in edges:
            codes = np.searchsorted(edges[name], table[name].to_numpy(float))
            size = len(edges[name]) + 1
        else:
            codes, size = table[name].cat.codes.to_numpy(), len(LEVELS[name])
        found[name] = np.bincount(codes, minlength=size) / len(table)
    return found


class TotalVariation:
    """The naive gate: is any column further from the trusted rows than 95 % of days drawn from them are?"""

    def __init__(self, trusted: pd.DataFrame, rng: np.random.Generator):
        self.edges = {
            name: np.quantile(trusted[name], np.linspace(0.1, 0.9, 9)) for name in NUMBERS
        }
        self.usual = cells(trusted, self.edges)
        drawn = [
            self.distances(trusted.iloc[rng.integers(0, len(trusted), ROWS)]) for _ in range(200)
        ]
        self.most = {name: np.quantile([row[name] for row in drawn], 0.95) for name in self.usual}

    def distances(self, table: pd.DataFrame) -> dict[str, float]:
        now = cells(table, self.edges)
        return {name: 0.5 * np.abs(now[name] - self.usual[name]).sum() for name in now}

    def stops(self, table: pd.DataFrame) -> bool:
        return any(value > self.most[name] for name, value in self.distances(table).items())


def e_of(found: dict[str, Values]) -> dict[str, float]:
    return {name: value.e for name, value in found.items()}


def arriving(fault: str, seed: int) -> dict[str, float]:
    """The first day on which each gate stops; 0 if it never does."""
    most, change = FAULTS[fault]
    rng = np.random.default_rng(seed)
    rows = rows_of(TRUSTED + most * ROWS, 1000 + seed)
    trusted = rows.head(TRUSTED)
    naive = TotalVariation(trusted, rng) if fault == "good" else None
    days: list[pd.DataFrame] = []
    cusums: dict[str, float] = {}
    gates = ("e_cusum", "any_p", "bonferroni", "total_variation") if naive else ("e_cusum",)
    first = dict.fromkeys(gates, 0)
    for day in range(1, most + 1):
        start = TRUSTED + (day - 1) * ROWS
        today = change(rows.iloc[start : start + ROWS].reset_index(drop=True), day, rng)
        found = arriving_values(today, pd.concat([trusted, *days], ignore_index=True), CONTRACT)
        days.append(today)
        cusums = next_cusums(cusums, e_of(found | weekly_values(days, trusted, CONTRACT)))
        stops = {"e_cusum": max(evidence(cusums).values()) >= LIMIT}
        if naive:
            least = min(value.p for value in found.values())
            stops["any_p"] = least < 0.05
            stops["bonferroni"] = least < 0.05 / len(found)
            stops["total_variation"] = naive.stops(today)
        for gate, stop in stops.items():
            first[gate] = first[gate] or day * stop
        if first["e_cusum"]:  # the pipeline goes no further
            break
    return {"seed": seed, **first, "stream": next(iter(evidence(cusums)))}


def drawn(rows: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    return rows.iloc[rng.integers(0, len(rows), count)].reset_index(drop=True)


def narrower(rows: pd.DataFrame, factor: float) -> pd.DataFrame:
    means = rows[list(NUMBERS)].mean()
    return rows.assign(**{n: means[n] + factor * (rows[n] - means[n]) for n in NUMBERS})


def made_by(
    name: str,
    seen: pd.DataFrame,
    holdout: pd.DataFrame,
    own: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    if name == "memoriser":
        return drawn(seen, MADE, rng)
    if name == "leaked memoriser":
        return drawn(pd.concat([seen, holdout]), MADE, rng)
    learnt = own if name == "collapsing" else seen
    made = GaussianCopula().fit(learnt).sample(MADE, seed=int(rng.integers(2**31)))
    if name == "half memoriser":
        return pd.concat([made.head(MADE // 2), drawn(seen, MADE // 2, rng)], ignore_index=True)
    if name == "loses a group":
        return drawn(made[made["ethnicity"] != "Drusami"], MADE, rng)
    return narrower(made, 0.9) if name == "collapsing" else made


def generated(name: str, seed: int, most: int = 6) -> dict[str, float]:
    """The first day on which the gate stops (0 if never), and how many bad days were published before."""
    rng = np.random.default_rng(seed)
    rows = rows_of(TRUSTED + most * ROWS, 5000 + seed)
    truth = rows["income"].quantile([0.05, 0.95]).to_numpy()
    cusums: dict[str, float] = {}
    bad = stopped = 0
    stream, own = "", rows.head(TRUSTED)
    for day in range(1, most + 1):
        end = TRUSTED + (day - 1) * ROWS
        before, today = rows.iloc[:end], rows.iloc[end : end + ROWS]
        kept_out = in_holdout(before, CONTRACT)
        seen, holdout = before[~kept_out], before[kept_out]
        own = made = made_by(name, seen, holdout, own, rng)
        found = generated_values(made, seen, holdout, today, CONTRACT)
        cusums = next_cusums(cusums, e_of(found))
        stream, most_found = next(iter(evidence(cusums).items()))
        if most_found >= LIMIT:
            stopped = day
            break
        tails = ((made["income"] < truth[0]) | (made["income"] > truth[1])).mean()
        bad += name not in ("copula", "collapsing") or (name == "collapsing" and tails < 0.1 / 3)
    return {"seed": seed, "e_cusum": stopped, "published_bad": int(bad), "stream": stream}


GENERATORS = (
    "copula",
    "memoriser",
    "half memoriser",
    "leaked memoriser",
    "loses a group",
    "collapsing",
)


def streams(run: Callable[[str, int], dict], names: Iterable[str]) -> dict[str, list[dict]]:
    results = {}
    for name in names:
        results[name] = [run(name, seed) for seed in range(GOOD if name == "good" else STREAMS)]
        stopped = np.array([row["e_cusum"] for row in results[name]])
        print(name, (stopped > 0).mean(), np.quantile(stopped, [0.5, 0.9]), flush=True)
    return results


def record(results: dict[str, list[dict]]) -> None:
    how = {
        "good": GOOD,
        "streams": STREAMS,
        "trusted": TRUSTED,
        "rows": ROWS,
        "made": MADE,
        "limit": LIMIT,
    }
    write("pipeline", SimpleNamespace(**how, days=60, false_stop=0.05), {}, results)


if __name__ == "__main__":
    with threadpool_limits(1):
        record(streams(arriving, FAULTS) | streams(generated, GENERATORS))
