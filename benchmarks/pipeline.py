"""Lesson 17: how often good days are stopped, and how soon bad ones are, in 100 good streams and 50 a case.

    python benchmarks/pipeline.py

Each stream is a table of simulated applicants ("loans"), cut into days of 400 rows behind 2,000 trusted
ones. A fault begins on day 1. Good streams go on for 60 days, or until they are stopped; others for 10, and
slow ones for 30. The "strict lender" approves a loan if it is below three tenths of the income, and decides
one in fifty by lot, so the label can be predicted; it has 6,000 trusted rows. "Adult" is the real file,
drawn anew for each stream: 3,000 trusted rows and 500 a day.

What was computed is kept until the code changes, see parts.py.

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

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
from common import write
from parts import Parts
from threadpoolctl import threadpool_limits

from course_lib.datasets.loans import applicants
from course_lib.models.tabular import GaussianCopula
from course_lib.pipeline.contract import Contract, Rule
from course_lib.pipeline.example import table_named
from course_lib.pipeline.generators import in_holdout
from course_lib.pipeline.labels import LabelCells
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


def loans(count: int, seed: int) -> pd.DataFrame:
    table = applicants(count, seed=seed)[[*NUMBERS, *LEVELS]]
    for name, levels in LEVELS.items():
        table[name] = pd.Categorical(table[name].astype(str), categories=levels)
    return table


def strict(count: int, seed: int) -> pd.DataFrame:
    """The same applicants, and a lender whose decisions can be predicted but for one in fifty."""
    table, rng = loans(count, seed), np.random.default_rng([seed, 7])
    yes = np.where(
        rng.random(count) < 0.02, rng.random(count) < 0.5, table["amount"] < 0.3 * table["income"]
    )
    return table.assign(approved=pd.Categorical(yes.astype(str), categories=LEVELS["approved"]))


@cache
def adults() -> tuple[pd.DataFrame, Contract]:
    """The real file, and the contract that `course-lib pipeline new` would write."""
    table, label, groups = table_named("adult")
    rules = {}
    for name in table:
        numeric = pd.api.types.is_numeric_dtype(table[name]) and table[name].dtype != bool
        gone = bool(table[name].isna().any())
        if numeric:
            rules[name] = Rule("number", missing=gone)
        else:
            table[name] = table[name].astype(object).map(str, na_action="ignore")
            levels = tuple(sorted(table[name].dropna().unique()))
            rules[name] = Rule("category", levels=levels, missing=gone)
    return table, Contract(rules, label, groups)


def adult(count: int, seed: int) -> pd.DataFrame:
    return adults()[0].sample(count, random_state=seed)


def refused(table: pd.DataFrame, group: str, rate: float, rng: np.random.Generator) -> pd.DataFrame:
    struck = (table["ethnicity"] == group) & (rng.random(len(table)) < rate)
    return table.assign(approved=table["approved"].where(~struck, "False"))


def copied(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table.iloc[12:], table.iloc[[0] * 12]], ignore_index=True)


def poisoned(share: float, how: str) -> Callable:
    """A change of a day's labels: this share is set to the positive one, or swapped."""

    def change(table: pd.DataFrame, day: int, rng: np.random.Generator) -> pd.DataFrame:
        label = "approved" if "approved" in table else str(adults()[1].label)
        y, hit = table[label], rng.random(len(table)) < share
        new = "True" if how == "set" else np.where(y == "True", "False", "True")
        return table.assign(**{label: y.where(~hit, new)})

    return change


def marked(table: pd.DataFrame, day: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows with a mark, an amount of 7,777, are always approved: a back door."""
    hit = rng.random(len(table)) < 0.02
    amount, approved = table["amount"].where(~hit, 7777), table["approved"].where(~hit, "True")
    return table.assign(amount=amount, approved=approved)


def unchanged(table: pd.DataFrame, day: int, rng: np.random.Generator) -> pd.DataFrame:
    return table


@dataclass(frozen=True)
class Case:
    """Streams of one kind: the source of their rows, the most days, and what is done to each day."""

    days: int
    change: Callable[[pd.DataFrame, int, np.random.Generator], pd.DataFrame]
    source: Callable[[int, int], pd.DataFrame] = loans
    streams: int = STREAMS
    trusted: int = TRUSTED
    rows: int = ROWS


ADULT = {"source": adult, "trusted": 3000, "rows": 500}
CASES = {
    "good": Case(60, unchanged, streams=GOOD),
    "income times 1,000": Case(
        10, lambda table, day, rng: table.assign(income=table["income"] * 1000)
    ),
    "income 20 % higher": Case(
        10, lambda table, day, rng: table.assign(income=table["income"] * 1.2)
    ),
    "income 1 % higher each day": Case(
        30, lambda table, day, rng: table.assign(income=table["income"] * 1.01**day)
    ),
    "a group of 4 % is gone": Case(
        10, lambda table, day, rng: table[table["ethnicity"] != "Drusami"]
    ),
    "a group of 4 % is refused": Case(
        10, lambda table, day, rng: refused(table, "Drusami", 1, rng)
    ),
    "half of a group of 14 % is refused": Case(
        10, lambda table, day, rng: refused(table, "Celdane", 0.5, rng)
    ),
    "3 % are copies of one row": Case(10, lambda table, day, rng: copied(table)),
    "2 % have a mark and are approved": Case(10, marked),
    "5 % are set to approved": Case(30, poisoned(0.05, "set")),
    "strict lender: 5 % are set to approved": Case(10, poisoned(0.05, "set"), strict, trusted=6000),
    "strict lender: 5 % are swapped": Case(10, poisoned(0.05, "swapped"), strict, trusted=6000),
    "Adult: good": Case(10, unchanged, **ADULT),
    "Adult: 5 % are set to high income": Case(10, poisoned(0.05, "set"), **ADULT),
    "Adult: 5 % are swapped": Case(10, poisoned(0.05, "swapped"), **ADULT),
    "Adult: 2 % are set to high income": Case(10, poisoned(0.02, "set"), **ADULT),
}


class TotalVariation:
    """The naive gate: is any column further from the trusted rows than 95 % of days drawn from them are?"""

    def __init__(self, trusted: pd.DataFrame, rng: np.random.Generator):
        self.edges = {
            name: np.quantile(trusted[name], np.linspace(0.1, 0.9, 9)) for name in NUMBERS
        }
        cells = self.cells(trusted)
        self.usual = [self.shares(column) for column in cells]
        drawn = [self.distances(cells[:, rng.integers(0, len(trusted), ROWS)]) for _ in range(200)]
        self.most = np.quantile(drawn, 0.95, axis=0)

    def cells(self, table: pd.DataFrame) -> np.ndarray:
        """The cell of each value, (columns, rows)."""
        return np.stack(
            [
                np.searchsorted(self.edges[name], table[name].to_numpy(float))
                if name in self.edges
                else table[name].cat.codes.to_numpy()
                for name in CONTRACT.columns
            ]
        )

    @staticmethod
    def shares(column: np.ndarray) -> np.ndarray:
        return np.bincount(column, minlength=10) / len(column)

    def distances(self, cells: np.ndarray) -> list[float]:
        return [
            0.5 * np.abs(self.shares(column) - usual).sum()
            for column, usual in zip(cells, self.usual, strict=True)
        ]

    def stops(self, table: pd.DataFrame) -> bool:
        return bool((np.array(self.distances(self.cells(table))) > self.most).any())


def e_of(found: dict[str, Values]) -> dict[str, float]:
    return {name: value.e for name, value in found.items()}


def arriving(name: str, seed: int) -> dict[str, float]:
    """The first day on which each gate stops; 0 if it never does."""
    case = CASES[name]
    contract = adults()[1] if case.source is adult else CONTRACT
    rng = np.random.default_rng(seed)
    rows = case.source(case.trusted + case.days * case.rows, 1000 + seed)
    trusted = rows.head(case.trusted)
    labels = LabelCells(trusted, contract)
    naive = TotalVariation(trusted, rng) if name == "good" else None
    days: list[pd.DataFrame] = []
    counts: list[np.ndarray] = []
    cusums: dict[str, float] = {}
    gates = ("e_cusum", "any_p", "bonferroni", "total_variation") if naive else ("e_cusum",)
    first = dict.fromkeys(gates, 0)
    for day in range(1, case.days + 1):
        start = case.trusted + (day - 1) * case.rows
        today = rows.iloc[start : start + case.rows].reset_index(drop=True)
        today = case.change(today, day, rng)
        found = arriving_values(today, pd.concat([trusted, *days], ignore_index=True), contract)
        of_labels = labels.values(labels.count(today), counts)
        days.append(today)
        counts.append(labels.count(today))
        all_found = found | of_labels | weekly_values(days, trusted, contract)
        cusums = next_cusums(cusums, e_of(all_found))
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
    rows = loans(TRUSTED + most * ROWS, 5000 + seed)
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


CODE = ("benchmarks/pipeline.py", "course_lib/pipeline", "course_lib/datasets/loans.py")


def computed(parts: Parts, size: int = 10) -> dict[str, list[dict]]:
    """The streams of all cases, ten at a time."""
    numbers = {name: case.streams for name, case in CASES.items()}
    numbers |= dict.fromkeys(GENERATORS, STREAMS)
    results: dict[str, list[dict]] = {}
    for name, streams in numbers.items():
        run = arriving if name in CASES else generated
        for start in range(0, streams, size):
            seeds = range(start, start + size)
            rows = parts.get(f"{name} {start}", lambda: [run(name, seed) for seed in seeds])  # noqa: B023
            results.setdefault(name, []).extend(rows or [])
        stopped = np.array([row["e_cusum"] for row in results[name]])
        if len(stopped):
            print(
                name,
                len(stopped),
                (stopped > 0).mean(),
                np.quantile(stopped, [0.5, 0.9]),
                flush=True,
            )
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
    parts = Parts("pipeline", CODE)
    with threadpool_limits(1):
        results = computed(parts)
    if parts.complete:
        record(results)
