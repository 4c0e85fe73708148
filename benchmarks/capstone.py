"""Lesson 20's path from a table to a decision, on three tables and several seeds.

    COURSE_DATA_MIRROR=... python benchmarks/capstone.py nassCDS.csv.gz

`loans` is the course's simulated table, `adult` the real census, and `accidents` a public file that the
course has no loader for (people in crashes of cars in the United States, 1997 to 2002): it is read from
the file that the command names, through the same input check as a learner's own.

Each seed splits the rows into three parts (2,000 each; the generators learn from the first) and draws its
own tables. Counted are the causes that stop a table by a policy where every failure stops: of the three
candidates and of the two remedies, by the second part ("independent", "copula", "by_kind", "filter",
"vae"; -1 where no filtered table could be made); and of the chosen remedy, in a fresh draw, by the third
part ("final"). "passed" and "release" are whether that one passes this policy, and the policy `release`;
"stopped_by" names the findings that stop it by the former.
"near" is the share of the rows by kind that lie nearer to a training row than 95 % of unseen real rows,
and "best" and "honest" are what the best of twenty tables scores where it was chosen, and on other rows.
"""

import argparse
from types import SimpleNamespace

import numpy as np
import pandas as pd
from common import write
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from course_lib import datasets
from course_lib.audit import Policy, audit
from course_lib.audit.choosing import choose_generator, honest_score, replace_copies
from course_lib.audit.own import own_table
from course_lib.models.tabular import GaussianCopula, IndependentColumns, TabularVAE

ROWS, DRAWS, STEPS, TABLES = 2000, 2, 1000, 20
POLICY = Policy("practice", needs=("holdout", "label", "sensitive"))
SEEDS = {"loans": 2, "adult": 1, "accidents": 1}
ABOUT = {
    "loans": (
        "approved",
        ["sex", "ethnicity"],
        ["employment", "education"],
        "age sex ethnicity education employment income debt amount approved",
    ),
    "adult": (
        "income_over_50k",
        ["sex", "race"],
        ["marital_status", "sex"],
        "age education marital_status race sex hours_per_week income_over_50k",
    ),
    "accidents": ("dead", ["sex"], ["dvcat", "seatbelt"], ""),
}
DROPPED = ["caseid", "weight"]  # who it was, and how many people a sampled one stands for


class Capstone:
    """One seed of the path on one table."""

    def __init__(self, rows: pd.DataFrame, name: str, seed: int):
        self.label, self.sensitive, split, _ = ABOUT[name]
        order = np.random.default_rng(seed).permutation(len(rows))
        size = self.size = min(ROWS, len(rows) // 3)
        starts = (0, size, 2 * size)
        self.train, self.select, self.last = (
            rows.iloc[order[start : start + size]].reset_index(drop=True) for start in starts
        )
        self.seed = seed
        self.kinds = self.train[[self.label, *split]].astype(str).agg(" / ".join, axis=1)
        self.models = {k: GaussianCopula().fit(t) for k, t in self.train.groupby(self.kinds)}

    def by_kind(self, seed: int, count: int) -> pd.DataFrame:
        kinds = np.random.default_rng(seed).permutation(self.kinds)
        asked = pd.Series(np.resize(kinds, count)).value_counts(sort=False)
        parts = [
            self.models[kind].sample(n, seed=seed + k) for k, (kind, n) in enumerate(asked.items())
        ]
        return pd.concat(parts, ignore_index=True)

    def nearness(self):
        """From rows to their distance from the training rows, and what counts as too near."""
        coded = pd.get_dummies(self.train, dtype=float)
        middle = coded.median()
        scaler = StandardScaler().fit(coded.fillna(middle))
        nearest = NearestNeighbors(n_neighbors=1).fit(scaler.transform(coded.fillna(middle)))

        def distance(table: pd.DataFrame) -> np.ndarray:
            own = pd.get_dummies(table, dtype=float).reindex(columns=coded.columns, fill_value=0.0)
            return nearest.kneighbors(scaler.transform(own.fillna(middle)))[0][:, 0]

        return distance, np.quantile(distance(self.select), 0.05)

    def group(self, table: pd.DataFrame) -> np.ndarray:
        return table[self.sensitive].astype(str).agg(" / ".join, axis=1).to_numpy()

    def filtered(self, seed: int) -> pd.DataFrame:
        pool = self.by_kind(seed, 4 * self.size).sample(frac=1, random_state=seed)
        pool = pool.reset_index(drop=True)
        distance, too_near = self.nearness()
        near = distance(pool) < too_near
        return pool.iloc[replace_copies(near, self.group(pool), self.size)].reset_index(drop=True)

    def report(self, made: pd.DataFrame, part: pd.DataFrame, seed: int):
        options = {"label": self.label, "sensitive": self.sensitive, "seed": seed}
        return audit(self.train, part, made, progress=False, **options)

    def gap(self, made: pd.DataFrame, part: pd.DataFrame) -> float:
        top = self.train[self.label].max()
        rates = [(t[self.label] == top).groupby(self.group(t)).mean() for t in (made, part)]
        weight = part.groupby(self.group(part)).size()
        away = (rates[0] - rates[1]).abs().reindex(weight.index).fillna(0)
        return float(np.average(away, weights=weight))

    def run(self) -> dict[str, float]:
        n = self.size
        independent, copula = (m().fit(self.train) for m in (IndependentColumns, GaussianCopula))
        vae = TabularVAE().fit(self.train, steps=STEPS, seed=self.seed)
        makers = {
            "independent": lambda seed: independent.sample(n, seed=seed),
            "copula": lambda seed: copula.sample(n, seed=seed),
            "by_kind": lambda seed: self.by_kind(seed, n),
            "filter": self.filtered,
            "vae": lambda seed: vae.sample(n, seed=seed),
        }
        scores, tables = {}, {}
        for name, make in makers.items():
            try:
                made = [make(100 * draw + self.seed) for draw in range(DRAWS)]
            except ValueError:  # a group has no spare row that is far enough
                scores[name] = np.full(DRAWS, np.inf)
                continue
            tables[name] = made[0]
            scores[name] = np.array(
                [
                    len(self.report(each, self.select, draw).gate(POLICY).causes)
                    for draw, each in enumerate(made)
                ],
                dtype=float,
            )
        remedies = [name for name in ("filter", "vae") if np.isfinite(scores[name]).all()]
        remedy = remedies[choose_generator(np.array([scores[name] for name in remedies]))]
        last = self.report(makers[remedy](12_345 + self.seed), self.last, self.seed + 1)
        distance, too_near = self.nearness()
        parts = [self.select.iloc[k::4] for k in range(4)]
        shop = np.array(
            [
                [self.gap(copula.sample(n, seed=seed), part) for part in parts]
                for seed in range(TABLES)
            ]
        )
        candidates = ["independent", "copula", "by_kind"]
        candidate = candidates[choose_generator(np.array([scores[name] for name in candidates]))]
        return {
            **{k: float(v.mean()) if np.isfinite(v).all() else -1.0 for k, v in scores.items()},
            "final": len(last.gate(POLICY).causes),
            "passed": float(bool(last.gate(POLICY))),
            "release": float(bool(last.gate("release"))),
            "near": float((distance(tables["by_kind"]) < too_near).mean()),
            "best": float(shop.min(axis=0).mean()),
            "honest": honest_score(shop),
            "candidate": candidate,
            "remedy": remedy,
            "stopped_by": list(last.gate(POLICY).stopped_by),
        }


def rows_of(name: str, file: str) -> pd.DataFrame:
    label, sensitive, _, columns = ABOUT[name]
    if name == "accidents":
        data, found = own_table(file, label, sensitive, drop=DROPPED)
        for note in data.notes:
            print("note:", note)
        print({f.id: f.method.split(":")[0] for f in found if f.verdict != "pass"})
    else:
        data = datasets.load(name)
    rows = pd.concat([data.train, data.held_out], ignore_index=True)
    return rows[columns.split()] if columns else rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("accidents", help="the file of road accidents, nassCDS.csv or .csv.gz")
    results = {}
    file = parser.parse_args().accidents
    with threadpool_limits(1):
        for name, seeds in SEEDS.items():
            rows = rows_of(name, file)
            results[name] = []
            for seed in range(seeds):
                results[name].append({"seed": seed, **Capstone(rows, name, seed).run()})
                print(name, results[name][-1], flush=True)
    how = {"rows": ROWS, "draws": DRAWS, "vae_steps": STEPS, "tables": TABLES}
    write("capstone", SimpleNamespace(**how, seeds=SEEDS), {}, results)
