"""Six real tables, each audited against four tables whose right verdict is known beforehand.

`python benchmarks/audit.py real` audits them; the real files come through the data layer. The rows of each
are parted at random into training, holdout and other rows; what learns, learns from the training rows. A
row that a file repeats is kept once: in another part it would be a copy of a person, which an audit must
find.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib import datasets
from course_lib.audit import AuditReport, audit
from course_lib.models.tabular import GaussianCopula, IndependentColumns

Table = pd.DataFrame
TABLES = ("adult", "ai4i2020", "breast_cancer", "german_credit", "heart_disease", "nhefs")
AT_MOST = 2_000  # rows of each part
COLUMNS = ("kolmogorov_smirnov", "levels", "missing_rate", "total_variation", "wasserstein")
RELATIONS = ("pair_total_variation", "three_columns")


@dataclass(frozen=True)
class Candidate:
    """A table to audit: how it is made of training rows and of other real rows, and what must be said.

    Attributes:
        make: training rows, other rows and seed to the table.
        verdict: the right verdict in words.
        right: whether the failures of an audit, as pairs (family, metric), are that verdict.
    """

    make: Callable[[Table, Table, int], Table]
    verdict: str
    right: Callable[[set[tuple[str, str]]], bool]


def families(failures: set[tuple[str, str]]) -> set[str]:
    return {family for family, _ in failures}


def bootstrap(train: Table, _: Table, seed: int) -> Table:
    return train.sample(len(train), replace=True, random_state=seed).reset_index(drop=True)


CANDIDATES = {
    "other real rows": Candidate(
        lambda train, other, seed: other, "nothing fails", lambda failures: not failures
    ),
    "bootstrap": Candidate(
        bootstrap,
        "privacy fails, no column and no relation of columns does",
        lambda failures: (
            "privacy" in families(failures)
            and not any(metric in (*COLUMNS, *RELATIONS) for _, metric in failures)
        ),
    ),
    "copula": Candidate(
        lambda train, _, seed: GaussianCopula().fit(train).sample(len(train), seed=seed),
        "privacy does not fail",
        lambda failures: "privacy" not in families(failures),
    ),
    "independent columns": Candidate(
        lambda train, _, seed: IndependentColumns().fit(train).sample(len(train), seed=seed),
        "fidelity fails by relations of columns, privacy does not",
        lambda failures: (
            "privacy" not in families(failures)
            and any(metric in RELATIONS for _, metric in failures)
        ),
    ),
}


def parts(name: str, seed: int) -> tuple[Table, Table, Table]:
    """Training, holdout and other rows of a real table, at random and equally many."""
    data = datasets.load(name)
    rows = pd.concat([data.train, data.held_out]).drop_duplicates(ignore_index=True)
    n = min(len(rows) // 3, AT_MOST)
    order = np.random.default_rng(seed).permutation(len(rows))
    train, holdout, other = (
        rows.iloc[order[k * n : (k + 1) * n]].reset_index(drop=True) for k in range(3)
    )
    return train, holdout, other


def report_on(name: str, candidate: str, seed: int) -> AuditReport:
    """The audit of a candidate for a real table."""
    train, holdout, other = parts(name, seed)
    data = datasets.load(name)
    made = CANDIDATES[candidate].make(train, other, seed)
    return audit(
        train, holdout, made, label=data.label, sensitive=data.sensitive, seed=seed, progress=False
    )


def failures_of(name: str, candidate: str, seed: int) -> list[list[str]]:
    """The failures of an audit as [family, metric, slice]."""
    report = report_on(name, candidate, seed)
    return [[f.family, f.metric, f.slice] for f in report if f.verdict == "fail"]


def is_right(candidate: str, failures: list[list[str]]) -> bool:
    return CANDIDATES[candidate].right({(family, metric) for family, metric, _ in failures})
