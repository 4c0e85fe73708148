"""Lesson 16: invented breakdowns, a search for settings, and invented lives, over several seeds.

    python benchmarks/manufacturing.py failures | settings | lives | real_lives | robot

`failures`: trees learn to predict failures from 3,000 states of a machine. To these, 1,000 invented
failures are added: by SMOTE, a copula, a VAE and a diffusion model that learnt from the failures alone,
each as made and with only those that a rule or a worn tool explains; and by a VAE and a diffusion model
of the whole table. Beside them: class weights, 2,000 real states more, three physics features, the rules
themselves. Judged on 5,000 other states. Ten simulated tables ("milling"), and five splits of AI4I 2020, of
whose 339 failures 12 lie so near to a limit that our rules leave them out (see `milling.broken_rules`).

`settings`: the 50 most powerful settings with a predicted risk of at most 1 %, searched in a box and
inside of fences, and their true risk.

`lives`, `real_lives`: remaining life from trees on window features ("engines"; NASA's C-MAPSS FD001): by
window, with the cross-validated error that chooses it, and with mixed lives when engines are few.

`robot`: a gripper's policy that was trained on one object, or on many of drawn mass and friction, and the
first one at half and at a quarter of its acceleration. Tried on objects like those of the training, and on
smoother and heavier ones that no training saw. Ten seeds.
"""

import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import SEEDS, rounded, write
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from course_lib import datasets
from course_lib.datasets.milling import (
    INPUTS,
    TOOL_LIMITS,
    broken_rules,
    failure_risk,
    physics,
    power,
    states,
)
from course_lib.mode_collapse.steering import smote_sample
from course_lib.models.maintenance import (
    inside_fence,
    mixed_life,
    nasa_score,
    promise_and_truth,
    recall_at_budget,
    remaining_life,
    window_features,
)
from course_lib.models.tabular import GaussianCopula, TabularDiffusion, TabularVAE
from course_lib.twin.gripper import draw_objects, pick_and_place, train_policy

ROWS, MORE, ADDED, BUDGET, STEPS = 3000, 2000, 1000, 0.05, 1000
CODES = {"L": 0, "M": 1, "H": 2}
CANDIDATES, LIMIT, BEST, NEIGHBOURS, SHARE = 20_000, 0.01, 50, 5, 0.95
LIFE_CAP, WINDOWS, WINDOW, MIXED, REPEATS = 125, (20, 30, 40), 40, 30, 12
MASSES, FRICTIONS = (0.2, 1.0), (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
PLACES = {
    "the one object": ((0.5, 0.5), (0.5, 0.5)),
    "many objects": (MASSES, (0.3, 0.8)),
    "smoother ones": (MASSES, (0.2, 0.3)),
    "heavier ones": ((1.0, 1.4), (0.3, 0.8)),
}


def parts(name: str, seed: int) -> list[pd.DataFrame]:
    """States to learn from, more of them, and states to judge with."""
    if name == "milling":
        table = states(10_000, seed=seed + 1)  # seed 0 is the lesson's own table
    else:
        data = datasets.load(name)
        table = pd.concat([data.train, data.held_out]).sample(frac=1, random_state=seed)
    bounds = (0, ROWS, ROWS + MORE, len(table))
    return [table.iloc[a:b].reset_index(drop=True) for a, b in pairwise(bounds)]


def numbers(table: pd.DataFrame, with_physics: bool = False) -> pd.DataFrame:
    x = table[INPUTS].assign(quality=table["quality"].map(CODES)).astype(float)
    return pd.concat([x, physics(table)], axis=1) if with_physics else x


def trees(table: pd.DataFrame, with_physics: bool = False, weights: str | None = None):
    model = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, min_samples_leaf=5, class_weight=weights, random_state=0
    )
    return model.fit(numbers(table, with_physics), table["machine_failure"].astype(bool))


def explained(table: pd.DataFrame) -> np.ndarray:
    """Which states break a rule or have a tool that may be at its end: (n,) bool."""
    worn = table["tool_wear"] >= TOOL_LIMITS[0] - 5
    return (broken_rules(table).any(axis=1) | worn).to_numpy()


def by_smote(failures: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    x = numbers(failures)
    scale = x.std().replace(0, 1)
    rows = smote_sample(torch.from_numpy((x / scale).to_numpy()), n, seed=seed)
    made = pd.DataFrame(rows.numpy() * scale.to_numpy(), columns=x.columns)
    levels = np.array(list(CODES), object)
    return made.assign(quality=levels[made["quality"].round().astype(int)])


def invented(train: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """Tables of invented failures by the name of what made them: more than are added."""
    failed = train["machine_failure"].to_numpy(bool)
    own = train.loc[failed, INPUTS].reset_index(drop=True)
    many = 3 * ADDED
    made = {
        "SMOTE": by_smote(own, many, seed),
        "copula": GaussianCopula().fit(own).sample(many, seed=seed),
        "VAE": TabularVAE().fit(own, steps=STEPS, seed=seed).sample(many, seed=seed),
        "diffusion": TabularDiffusion().fit(own, steps=STEPS, seed=seed).sample(many, seed=seed),
    }
    whole = train[[*INPUTS, "machine_failure"]]
    for name, model in (("VAE", TabularVAE()), ("diffusion", TabularDiffusion())):
        rows = model.fit(whole, steps=STEPS, seed=seed).sample(3 * CANDIDATES, seed=seed)
        made[f"{name} of the whole table"] = rows[rows["machine_failure"].astype(bool)]
    return made


def failures_run(name: str, seed: int) -> dict[str, dict]:
    train, more, test = parts(name, seed)
    truth = test["machine_failure"].to_numpy(bool)
    rows = {}

    def judge(group: str, score: np.ndarray, **others: float) -> None:
        recall = recall_at_budget(score, truth, BUDGET)
        precision = float(average_precision_score(truth, score))
        rows[group] = {"seed": seed, "recall": recall, "average_precision": precision, **others}

    def learnt(group: str, table: pd.DataFrame, with_physics=False, weights=None, **others) -> None:
        model = trees(table, with_physics, weights)
        judge(group, model.predict_proba(numbers(test, with_physics))[:, 1], **others)

    learnt("real", train)
    learnt("class weights", train, weights="balanced")
    for kind, made in invented(train, seed).items():
        good = explained(made)
        for how, picked in (("", made), (", filtered", made[good])):
            picked = picked[:ADDED].assign(machine_failure=True)
            table = pd.concat([train[[*INPUTS, "machine_failure"]], picked])
            learnt(f"{kind}{how}", table, explained=float(good.mean()), added=len(picked))
    learnt("2,000 more real states", pd.concat([train, more]))
    learnt("three physics features", train, with_physics=True)
    worn = test["tool_wear"] >= TOOL_LIMITS[0]
    judge("the rules themselves", (broken_rules(test).any(axis=1) + 0.1 * worn).to_numpy(float))
    return rows


def failures() -> None:
    results: dict[str, list[dict]] = {}
    for name, seeds in (("milling", range(10)), ("ai4i2020", SEEDS)):
        for seed in seeds:
            for group, row in failures_run(name, seed).items():
                results.setdefault(f"{name}: {group}", []).append(row)
                print(name, group, rounded(row), flush=True)
    settings = SimpleNamespace(rows=ROWS, more=MORE, added=ADDED, budget=BUDGET, steps=STEPS)
    write("manufacturing_failures", settings, {}, results)


def settings_run(name: str, seed: int) -> dict[str, dict]:
    train, _, _ = parts(name, seed)
    rng = np.random.default_rng(seed)
    columns = {c: rng.uniform(train[c].min(), train[c].max(), CANDIDATES) for c in INPUTS[1:]}
    quality = rng.choice(list(CODES), CANDIDATES)
    places = {"box": pd.DataFrame({"quality": quality, **columns})}
    known, box = numbers(train), numbers(places["box"])
    scale = known.std()
    near = inside_fence((box / scale).to_numpy(), (known / scale).to_numpy(), NEIGHBOURS, SHARE)
    places["box, fenced by real rows"] = places["box"][near].reset_index(drop=True)
    rows = train[[*INPUTS, "machine_failure"]]
    for kind, model in (
        ("copula", GaussianCopula()),
        ("VAE", TabularVAE()),
        ("diffusion", TabularDiffusion()),
    ):
        given = {} if kind == "copula" else {"steps": STEPS, "seed": seed}
        places[f"{kind} rows"] = model.fit(rows, **given).sample(CANDIDATES, seed=seed)
    places["real rows"] = train
    found = {}
    for with_physics in (False, True):
        model = trees(train, with_physics)
        for place, table in places.items():
            predicted = model.predict_proba(numbers(table, with_physics))[:, 1]
            gain = power(table).to_numpy()
            promised, true = promise_and_truth(gain, predicted, failure_risk(table), LIMIT, BEST)
            _, watts = promise_and_truth(gain, predicted, gain, LIMIT, BEST)
            group = f"{place}, physics features" if with_physics else place
            found[group] = {"seed": seed, "predicted": promised, "true": true, "watts": watts}
    return found


def settings() -> None:
    results: dict[str, list[dict]] = {}
    for name, seeds in (("milling", range(10)), ("ai4i2020", SEEDS)):
        for seed in seeds:
            for group, row in settings_run(name, seed).items():
                results.setdefault(f"{name}: {group}", []).append(row)
                print(name, group, rounded(row), flush=True)
    how = SimpleNamespace(
        rows=ROWS, candidates=CANDIDATES, limit=LIMIT, best=BEST, neighbours=NEIGHBOURS, share=SHARE
    )
    write("manufacturing_settings", how, {}, results)


def life_trees(table: pd.DataFrame, window: int, seed: int = 0):
    target = remaining_life(table["engine"].to_numpy(), table["cycle"].to_numpy(), LIFE_CAP)
    model = HistGradientBoostingRegressor(max_iter=150, learning_rate=0.05, random_state=seed)
    return model.fit(window_features(table, window), target)


def lives(name: str = "engines") -> None:
    data = datasets.load(name)
    train, test = data.train, data.held_out
    last = test["engine"].to_numpy() != test["engine"].shift(-1).to_numpy()
    truth = test["remaining_life"].to_numpy()[last]
    results: dict[str, list[dict]] = {}

    def add(group: str, row: dict) -> None:
        results.setdefault(group, []).append(row)
        print(group, rounded(row), flush=True)

    def said(table: pd.DataFrame, window: int, seed: int = 0) -> np.ndarray:
        return life_trees(table, window, seed).predict(window_features(test, window)[last])

    for window in WINDOWS:
        errors = []
        for one, other in GroupKFold(5).split(train, groups=train["engine"]):
            held = train.iloc[other]
            lost = life_trees(train.iloc[one], window).predict(window_features(held, window))
            wanted = np.minimum(held["remaining_life"].to_numpy(), LIFE_CAP)
            errors.append((lost - wanted)[held["cycle"].to_numpy() >= min(WINDOWS)])
        for seed in SEEDS:
            guess = said(train, window, seed)
            row = {
                "seed": seed,
                "cross_validated": rms(np.concatenate(errors)),
                "rmse": rms(guess - truth),
                "rmse_of_capped_truth": rms(guess - np.minimum(truth, LIFE_CAP)),
                "nasa_score": nasa_score(guess, truth),
            }
            add(f"window of {window}", row)
    # A guess without any sensor: what the mean of the capped targets scores.
    mean = np.minimum(train["remaining_life"], LIFE_CAP).mean()
    add("one guess for all", {"seed": 0, "rmse": rms(mean - truth)})
    for count in (5, 10):
        for seed in range(REPEATS):
            rng = np.random.default_rng(seed)
            few = rng.choice(train["engine"].unique(), count, replace=False)
            own = {k: table for k, table in train.groupby("engine") if k in few}
            made = []
            for j in range(MIXED):
                one, other = rng.choice(few, 2, replace=False)
                mixed = mixed_life(own[one], own[other], rng.random())
                made.append(mixed.assign(engine=1000 + j))
            real = pd.concat(own.values())
            row = {
                "seed": seed,
                "real": rms(said(real, WINDOW) - truth),
                "with_mixed": rms(said(pd.concat([real, *made]), WINDOW) - truth),
            }
            add(f"{count} engines", row | {"gain": row["real"] - row["with_mixed"]})
    how = SimpleNamespace(cap=LIFE_CAP, window=WINDOW, mixed=MIXED, repeats=REPEATS)
    write("manufacturing_lives" if name == "engines" else "manufacturing_cmapss", how, {}, results)


def real_lives() -> None:
    lives("cmapss")


def robot() -> None:
    results: dict[str, list[dict]] = {}
    for seed in range(10):
        one, many = (
            train_policy(
                lambda n, rng, own=own: draw_objects(n, own, rng), np.random.default_rng(seed)
            )
            for own in (PLACES["the one object"], PLACES["many objects"])
        )
        policies = {"trained on one": one, "trained on many": many}
        for name, slower in (("half", 0.5), ("a quarter", 0.25)):
            policies[f"trained on one, {name} of the acceleration"] = one * [1, 1, slower]
        for name, policy in policies.items():
            row = {
                "seed": seed,
                **dict(zip(("force", "gain", "acceleration"), policy, strict=True)),
            }
            places = PLACES | {f"{mu:.2f}": (MASSES, (mu, mu)) for mu in FRICTIONS}
            for place, ranges in places.items():
                came = pick_and_place(policy, draw_objects(4000, ranges, np.random.default_rng(99)))
                row[f"held: {place}"] = came.held.mean()
                row[f"worth: {place}"] = came.worth.mean()
                row["seconds"] = came.seconds.mean()
            rows = results.setdefault(name, [])
            rows.append({k: v if k == "seed" else float(v) for k, v in row.items()})
            print(name, rounded(rows[-1]), flush=True)
    write("manufacturing_robot", SimpleNamespace(places=PLACES, frictions=FRICTIONS), {}, results)


def rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


RUNS = {run.__name__: run for run in (failures, settings, lives, real_lives, robot)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        RUNS[sys.argv[1]]()
