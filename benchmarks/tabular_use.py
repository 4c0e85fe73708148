"""What users of a table's generator ask of it: how many real rows it needs, and what it fills gaps with.

Run in the course's environment, about six and three minutes on one core:

    python benchmarks/tabular_use.py size
    python benchmarks/tabular_use.py impute

The first trains lesson 05's models on 200 to 6,000 rows of five shuffles of the loans, and lets trees learn
from the 6,000 rows that each draws. The second hides incomes in six new tables of 3,000 rows and fills them
in. What counts there is the slope of log amount on log income afterwards; data/loans.md plants 0.45. They
write results/tabular_use_size.json and results/tabular_use_impute.json.
"""

import sys
import warnings
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import SEEDS, rounded, timed, write
from scipy.stats import t as student
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.metrics import roc_auc_score

from course_lib import datasets
from course_lib.datasets.loans import applicants
from course_lib.models.tabular import GaussianCopula, TableModel, TabularVAE

SIZES = (200, 600, 2000, 6000)
DRAWN = 6000
STEPS = 1000
TABLES = range(6)
ROWS = 3000
DRAWS = 5  # filled tables whose results are pooled
SLOPE = 0.45  # of data/loans.md
HIDDEN = (0.2, 0.7)  # the chance that an income is hidden, for an amount below and above the median


def auc(table: pd.DataFrame, test: pd.DataFrame, label: str) -> float:
    """AUC on real rows of lesson 05's trees, which learnt from `table`; 0.5 where it has one class only."""
    both = pd.concat([table, test], ignore_index=True)
    x = pd.DataFrame(
        {
            name: both[name]
            if pd.api.types.is_numeric_dtype(both[name])
            else pd.Categorical(both[name]).codes
            for name in both.columns.drop(label)
        }
    ).astype(float)
    y = both[label].astype(bool).to_numpy()
    n = len(table)
    if len(set(y[:n])) == 1:
        return 0.5
    trees = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.08, random_state=0)
    return roc_auc_score(y[n:], trees.fit(x[:n], y[:n]).predict_proba(x[n:])[:, 1])


def size_run(seed: int) -> dict[str, dict[str, float]]:
    """A row for each size: the AUC from the real rows, and from 6,000 rows that models drew after them."""
    data = datasets.load("loans")
    people, strangers = (
        part.drop(columns="default", errors="ignore") for part in (data.train, data.held_out)
    )
    order = np.random.default_rng(seed).permutation(len(people))
    rows = {}
    for size in SIZES:
        real = people.iloc[order[:size]].reset_index(drop=True)
        row = {"rows": size, "auc_real_rows": auc(real, strangers, data.label)}
        models: dict[str, tuple[TableModel, dict]] = {
            "copula": (GaussianCopula(), {}),
            "vae": (TabularVAE(), {"steps": STEPS, "seed": seed}),
        }
        for name, (model, options) in models.items():
            model.fit(real, **options)  # type: ignore[attr-defined]
            made = model.sample(DRAWN, seed=seed + 1)
            row[f"auc_{name}"] = auc(made, strangers, data.label)
            if name == "vae":
                row["auc_real_and_vae"] = auc(pd.concat([real, made]), strangers, data.label)
        rows[f"{size} rows"] = row
        print(seed, rounded(row), flush=True)
    return rows


def slope_of(table: pd.DataFrame) -> tuple[float, float]:
    """The slope of log amount on log income, and its squared standard error."""
    x, y = np.log(table["income"].to_numpy(float)), np.log(table["amount"].to_numpy(float))
    x = x - x.mean()
    slope = x @ y / (x @ x)
    left = y - y.mean() - slope * x
    return slope, left @ left / (len(x) - 2) / (x @ x)


def pooled(tables: list[pd.DataFrame]) -> tuple[float, float, float]:
    """Slope and its 95 % interval: of one table, or of several by Rubin's rules (Rubin 1987, sec. 3.1)."""
    found = np.array([slope_of(table) for table in tables])
    slope, within = found.mean(axis=0)
    if len(tables) == 1:
        half = student.ppf(0.975, ROWS - 2) * within**0.5
    else:
        m = len(tables)
        between = found[:, 0].var(ddof=1) * (1 + 1 / m)
        freedom = (m - 1) * (1 + within / between) ** 2
        half = student.ppf(0.975, freedom) * (within + between) ** 0.5
    return slope, slope - half, slope + half


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for scikit-learn's imputers: logarithms of money, one-hot levels, all of unit size."""
    logs = frame.assign(**{name: np.log(frame[name]) for name in ("income", "amount")})
    logs["debt"] = np.log1p(logs["debt"])
    x = pd.get_dummies(logs, drop_first=True).astype(float)
    return (x - x.mean()) / x.std()


def by_sklearn(frame: pd.DataFrame, imputer) -> pd.DataFrame:
    """The frame with the incomes that an imputer of scikit-learn says."""
    x = numbers(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        filled = imputer.fit_transform(x)[:, x.columns.get_loc("income")]
    known = np.log(frame["income"])
    income = np.exp(filled * known.std() + known.mean())
    return frame.assign(income=frame["income"].fillna(pd.Series(income, index=frame.index)))


def impute_run(seed: int) -> dict[str, dict[str, float]]:
    """A row for each way to deal with hidden incomes, on one table."""
    people = applicants(ROWS, seed=1000 + seed).drop(
        columns=["default", "history", "late_payments"]
    )
    rng = np.random.default_rng(seed)
    large = people["amount"] > people["amount"].median()
    hidden = rng.random(ROWS) < np.where(large, HIDDEN[1], HIDDEN[0])
    gappy = people.assign(income=people["income"].mask(hidden).astype(float))
    vae = TabularVAE().fit(gappy, steps=STEPS, seed=seed)
    copula = GaussianCopula().fit(gappy)
    chained = [IterativeImputer(sample_posterior=True, random_state=i) for i in range(DRAWS)]
    mean = gappy.assign(income=gappy["income"].fillna(gappy["income"].mean()))
    ways: dict[str, Callable[[], list[pd.DataFrame]]] = {
        "nothing hidden": lambda: [people],
        "rows without income left out": lambda: [gappy.dropna(subset="income")],
        "the mean income": lambda: [mean],
        "KNNImputer": lambda: [by_sklearn(gappy, KNNImputer(n_neighbors=10))],
        "IterativeImputer": lambda: [by_sklearn(gappy, IterativeImputer(random_state=0))],
        "IterativeImputer, five draws": lambda: [by_sklearn(gappy, each) for each in chained],
        "copula, five draws": lambda: [copula.impute(gappy, seed=i) for i in range(DRAWS)],
        "VAE, one draw": lambda: [vae.impute(gappy, seed=0)],
        "VAE, five draws": lambda: [vae.impute(gappy, seed=i) for i in range(DRAWS)],
    }
    truth, rows = np.log(people["income"][hidden]), {}
    for name, way in ways.items():
        tables, seconds = timed(way)
        slope, low, high = pooled(tables)
        row = {"slope": slope, "covers": float(low <= SLOPE <= high), "cpu_seconds": seconds}
        if len(tables[0]) == ROWS:
            wrong = [np.log(table["income"][hidden]) - truth for table in tables]
            row["error_of_cells"] = float(np.mean([(w**2).mean() ** 0.5 for w in wrong]))
        rows[name] = {"seed": seed, **row}
        print(seed, name, rounded(row), flush=True)
    return rows


def main(part: str) -> None:
    torch.set_num_threads(1)
    work, seeds = {"size": (size_run, SEEDS), "impute": (impute_run, TABLES)}[part]
    results: dict[str, list[dict]] = {}
    for seed in seeds:
        for group, row in work(seed).items():
            results.setdefault(group, []).append({"seed": seed, **row})
    settings = {
        "size": {"sizes": SIZES, "drawn": DRAWN},
        "impute": {"rows": ROWS, "hidden": HIDDEN},
    }
    write(f"tabular_use_{part}", SimpleNamespace(steps=STEPS, **settings[part]), {}, results)


if __name__ == "__main__":
    main(sys.argv[1])
