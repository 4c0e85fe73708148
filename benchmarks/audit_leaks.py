"""Synthetic tables with a planted leak, and what the audit says of their privacy.

`python benchmarks/audit.py leaks` plants each of them; the strength is that of `LEAKS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.audit import corruptions
from course_lib.audit.checks import attacks, leaks, privacy
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Finding, judge
from course_lib.audit.table import prepare
from course_lib.privacy.attacks import nearest_rows

Table = pd.DataFrame
NUMBERS = ("age", "income", "debt", "amount")
FAMILIES = 4  # that an audit corrects for, in which only privacy has a fault


@dataclass(frozen=True)
class Leak:
    """How a table with a leak is made of fresh rows and of training rows, and how strong it is."""

    plant: Callable[[Table, Table, np.random.Generator], Table]
    strength: str


def bootstrap(made: Table, train: Table, rng: np.random.Generator) -> Table:
    return train.iloc[rng.integers(0, len(train), len(made))].reset_index(drop=True)


def near_copies(made: Table, train: Table, rng: np.random.Generator) -> Table:
    seed = int(rng.integers(2**31))
    return corruptions.copy_training(made, train, 0.1, noise=0.05, seed=seed)[0]


def swapped_cells(made: Table, train: Table, rng: np.random.Generator) -> Table:
    """Half of the columns exchanged between the training rows."""
    other = rng.permutation(len(train))
    return train.assign(**{name: train[name].to_numpy()[other] for name in list(train)[::2]})


def smote(made: Table, train: Table, rng: np.random.Generator) -> Table:
    """Each training row with its numbers moved a random part of the way to those of a near row."""
    near = nearest_rows(train, train, 5)[np.arange(len(train)), rng.integers(1, 5, len(train))]
    part, moved = rng.random(len(train)), {}
    for name in NUMBERS:
        x = train[name].to_numpy(float)
        moved[name] = (x + part * (x[near] - x)).round().astype(train[name].dtype)
    return train.assign(**moved)


def value_reuse(made: Table, train: Table, rng: np.random.Generator) -> Table:
    """A fifth of the incomes are those of training rows, in other people's rows."""
    rows = rng.choice(len(made), len(made) // 5, replace=False)
    income = made["income"].to_numpy().copy()
    income[rows] = rng.choice(train["income"].to_numpy(), len(rows), replace=False)
    return made.assign(income=income)


def one_outlier(made: Table, train: Table, rng: np.random.Generator) -> Table:
    """One synthetic row is that of the training row with the highest income."""
    leaked = made.copy()
    leaked.iloc[int(rng.integers(len(made)))] = train.loc[train["income"].idxmax()]
    return leaked.astype(made.dtypes)


def outlier_numbers(made: Table, train: Table, rng: np.random.Generator) -> Table:
    """Three numbers of the row with the highest income of those in debt, in a row that is otherwise new."""
    leaked, row = made.copy(), int(rng.integers(len(made)))
    outlier = train[train["debt"] > 0]["income"].idxmax()
    for name in ("income", "debt", "amount"):
        leaked.loc[row, name] = train.loc[outlier, name]
    return leaked.astype(made.dtypes)


LEAKS = {
    "bootstrap": Leak(bootstrap, "all rows are training rows drawn with replacement"),
    "near copies": Leak(
        near_copies, "a tenth of the rows, numbers moved by .05 standard deviations"
    ),
    "swapped cells": Leak(swapped_cells, "half of the columns exchanged between training rows"),
    "SMOTE": Leak(smote, "all rows, four numbers moved towards one of the four nearest rows"),
    "value reuse": Leak(value_reuse, "a fifth of the incomes"),
    "one outlier copied": Leak(one_outlier, "one row, that with the highest income"),
    "one outlier's numbers": Leak(
        outlier_numbers, "income, debt and amount of one, in another row"
    ),
}


def alarms(train: Table, holdout: Table, made: Table, seed: int, families: int) -> list[Finding]:
    """The findings of privacy that fail or warn.

    Of an audit only the checks of privacy are run, those that count people first: what they say does not
    depend on the others, which are left out if it is an alarm. The correction of an audit for many tests
    also counts the other families: q grows by `families`, the most that it can where one has a fault.
    """
    evidence = Evidence(prepare(train, holdout, made), seed=seed)
    rng = np.random.default_rng(seed)
    drafts: list[Draft] = []
    for check in (leaks.check, privacy.copies, privacy.check, attacks.check):
        drafts += [draft for draft in check(evidence, rng) if isinstance(draft, Draft)]
        told = [d.finding for d in drafts if d.comparison is None and d.finding.verdict == "fail"]
        if told:
            return told
    found = judge(drafts, 0.05 / families)
    return [finding for finding in found if finding.verdict in ("fail", "warn")]


def leak_found(kind: str | None, parts: tuple[Table, Table, Table], seed: int) -> list[str]:
    """The alarms about tables with this leak, or about fresh rows, which are judged without allowance."""
    train, holdout, made = parts
    if kind:
        made = LEAKS[kind].plant(made, train, np.random.default_rng(seed))
    found = alarms(train, holdout, made, seed, FAMILIES if kind else 1)
    return [f"{finding.verdict} {finding.id}" for finding in found]
