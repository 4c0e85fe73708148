"""Lesson 14: does invented fraud catch more fraud within the alarms that can be looked at? Over five seeds.

    python benchmarks/finance.py recall | leaks | card creditcard.csv

Trees learn from 30 days of 1,500 accounts, about 43,000 payments of which about 230 are fraud, and are
judged on the next 30 days of the same accounts: recall of the three known kinds of fraud and of a
fourth, new one, when 0.5 % of the payments can be looked at. To the real payments 1,000 invented frauds
are added, as rows: by SMOTE, a copula, a VAE and a diffusion model that learnt from the frauds alone; or as
episodes that are spliced into the lives of other accounts: real ones, SMOTE's, those of an
autoregressive model. Beside them: class weights, three times the accounts, and a part of the alarms
given to a score of rings. Each from the payment alone and with the account's history. Then: what a leak
reports, costs, and whose frauds were in.

`card`: the same ways on a file of your own in the format of the public card data (data/payments.md says
where to get it). Trees learn from the payments of the first day, with as many invented frauds as there are
real ones times three, and are judged on the second. It prints recall at 0.5 % alarms, and writes nothing.
"""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import SEEDS, rounded, write
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from course_lib.datasets.card_fraud import card_fraud
from course_lib.datasets.payments import CATEGORIES, KINDS, LEARNT, WARM, transactions
from course_lib.mode_collapse.steering import smote_sample
from course_lib.models.fraud import (
    alarms,
    context,
    fraud_episodes,
    history,
    lies_between,
    lives_with,
    recall_by_kind,
    ring_score,
    smote_episodes,
    splice,
    total_cost,
)
from course_lib.models.sequence import SequenceModel
from course_lib.models.tabular import GaussianCopula, TabularDiffusion, TabularVAE
from course_lib.privacy.attacks import auc, closest_record, domias

ACCOUNTS, TIMES, ADDED, SHARE, FOR_RINGS, STEPS = 1500, 3, 1000, 0.005, 0.001, 600
# With 8 bins: the best of seven settings by the likelihood of other accounts' episodes.
WRITER_STEPS = 150
PER_ALARM, TOLERANCE, NEIGHBOURS = 5.0, 1e-9, 20
ALONE = ["log_amount", "hour", "online", "log_distance", "category"]
CONTINUOUS = ["log_amount", "hour", "log_distance", "hours_since", "above_own_level"]
NUMERIC = [*CONTINUOUS, "in_the_month", "speed"]


def features(table: pd.DataFrame) -> pd.DataFrame:
    """What a payment shows alone, and what the account's history adds."""
    columns = (table[name].to_numpy(float) for name in ("account", "time", "amount"))
    account, time, amount = columns
    hour, month = (history(account, time, amount, window) for window in (1.0, 720.0))
    own = pd.DataFrame(
        {
            "log_amount": np.log(amount),
            "hour": time % 24,
            "online": table["online"].astype(bool).to_numpy(),
            "log_distance": np.log1p(table["distance"].to_numpy(float)),
            "category": table["category"].to_numpy(),
            "in_the_hour": hour[:, 0],
            "in_the_month": month[:, 0],
            "hours_since": month[:, 1],
            "above_own_level": month[:, 2],
        },
        index=table.index,
    )
    return pd.concat([own, context(table)], axis=1)


def numbers(x: pd.DataFrame) -> pd.DataFrame:
    codes = {name: i for i, name in enumerate(CATEGORIES)}
    return x.assign(category=x["category"].map(codes)).astype(float)


CAREFUL = {"min_samples_leaf": 20, "l2_regularization": 5.0, "max_leaf_nodes": 8}
HASTY = {"min_samples_leaf": 5}


def trees(
    x: pd.DataFrame, fraud: np.ndarray, weights: str | None = None, how: dict = CAREFUL
) -> HistGradientBoostingClassifier:
    model = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, class_weight=weights, random_state=0, **how
    )
    return model.fit(numbers(x), fraud)


def by_smote(x: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    plain = numbers(x)
    scale = plain.std().replace(0, 1).to_numpy()
    rows = smote_sample(torch.from_numpy(plain.to_numpy() / scale), n, seed=seed).numpy() * scale
    made = pd.DataFrame(rows, columns=list(x))
    kinds = np.array(CATEGORIES, object)[made["category"].round().astype(int)]
    return made.assign(category=kinds, online=made["online"] > 0.5)


def invented(x: pd.DataFrame, n: int, seed: int) -> dict[str, pd.DataFrame]:
    how = {"steps": STEPS, "seed": seed}
    return {
        "SMOTE": by_smote(x, n, seed),
        "copula": GaussianCopula().fit(x).sample(n, seed=seed),
        "VAE": TabularVAE().fit(x, **how).sample(n, seed=seed),
        "diffusion": TabularDiffusion().fit(x, **how).sample(n, seed=seed),
    }


def spliced(table: pd.DataFrame, made: list[np.ndarray], seed: int) -> pd.DataFrame:
    """The features of episodes that were put into other lives."""
    lives = lives_with(table, made, splice, between=(WARM, LEARNT - 1), seed=seed)
    return features(lives)[lives["fraud"].to_numpy()]


def smoted_episodes(real: list[np.ndarray], n: int, seed: int) -> list[np.ndarray]:
    """Within a kind and a number of payments: on the way from an episode to one of its neighbours."""
    rng = np.random.default_rng(seed)
    group = np.array([10 * len(e) + int(e[0, 2]) for e in real])
    made: list[np.ndarray] = []
    for each, count in zip(*np.unique(group, return_counts=True), strict=True):
        if count < 2:
            continue
        x = np.array([e for e, g in zip(real, group, strict=True) if g == each])
        m = max(round(n * count / len(real)), 1)
        base, rank = rng.integers(0, count, m), rng.integers(1, min(count, 6), m)
        made += list(smote_episodes(x, np.full(count, each), base, rank, rng.random(m)))
    return made


def one_run(seed: int) -> dict[str, dict]:
    table = transactions(TIMES * ACCOUNTS, seed=seed + 1)  # seed 0 is the lesson's own table
    x, day = features(table), table["time"] / 24
    own = table["account"] < ACCOUNTS
    learn, test = own & (day >= WARM) & (day < LEARNT), own & (day >= LEARNT)
    more = ~own & (day >= WARM) & (day < LEARNT)
    kind = table["kind"].map({name: i for i, name in enumerate(("none", *KINDS))}).to_numpy()
    kind_test, fraud = kind[test], table["fraud"].to_numpy()
    few = x[learn & fraud].reset_index(drop=True)
    rows: dict[str, dict] = {}
    amount = table["amount"][test].to_numpy()
    rings = ring_score(*(table[c][test].to_numpy() for c in ("account", "merchant", "time")))

    def judge(group: str, score: np.ndarray, alarmed: np.ndarray | None = None, **others) -> None:
        alarmed = alarms(score, SHARE) if alarmed is None else alarmed
        by_kind = recall_by_kind(alarmed, kind_test)
        known = (kind_test > 0) & (kind_test < 4)
        found = dict(zip(KINDS, by_kind.tolist(), strict=True))
        recall = float(alarmed[known].sum() / known.sum())
        cost = total_cost(alarmed, kind_test > 0, amount, PER_ALARM)
        precision = float(average_precision_score(known, score))
        rows[group] = {
            "seed": seed,
            "recall": recall,
            "average_precision": precision,
            **found,
            "cost": cost,
            **others,
        }
        print(seed, group, rounded(rows[group]), flush=True)

    def learnt(
        group: str,
        names: list[str],
        added: pd.DataFrame | None = None,
        weights: str | None = None,
        where: pd.Series = learn,
        how: dict = CAREFUL,
    ) -> None:
        given, y = x.loc[where, names], fraud[where]
        if added is not None:
            given = pd.concat([given, added[names]])
            y = np.r_[y, np.ones(len(added), bool)]
        model = trees(given, y, weights, how)
        score = model.predict_proba(numbers(x.loc[test, names]))[:, 1]
        # The rule of least expected cost: look where the fraud to be expected is dearer than a look.
        looked = (score * amount > PER_ALARM).astype(float)
        cost = total_cost(looked, kind_test > 0, amount, PER_ALARM)
        judge(group, score, rule_cost=cost, rule_share=float(looked.mean()))

    made = {}
    for view, names in (("alone", ALONE), ("history", list(x))):
        learnt(f"{view}: real", names)
        learnt(f"{view}: class weights", names, weights="balanced")
        made[view] = invented(few[names], ADDED, seed)
        for how, added in made[view].items():
            learnt(f"{view}: {how}", names, added)
        learnt(f"{view}: three times the real data", names, where=learn | more)
        # The same with a learner that is set without care for rare classes
        learnt(f"{view}, hasty: real", names, how=HASTY)
        learnt(f"{view}, hasty: three times the real data", names, where=learn | more, how=HASTY)
        for how, added in made[view].items():
            learnt(f"{view}, hasty: {how}", names, added, how=HASTY)
    # Episodes, spliced into other lives
    real = fraud_episodes(table[own & (day < LEARNT)])
    wanted = round(ADDED / np.mean([len(e) for e in real]))
    rng = np.random.default_rng(seed)
    model = SequenceModel(bins=8).fit(real, steps=WRITER_STEPS, seed=seed)
    sources = {
        "real": [real[i] for i in rng.integers(0, len(real), wanted)],
        "SMOTE": smoted_episodes(real, wanted, seed),
        "autoregressive": model.sample(wanted, seed=seed),
    }
    for how, episode in sources.items():
        learnt(f"history: {how} episodes", list(x), spliced(table[own], episode, seed))
    # The new kind: an input that nobody taught, and a part of the alarms of its own
    x["ring"] = 0.0
    trained = table[own & (day < LEARNT)]
    x.loc[own & (day < LEARNT), "ring"] = ring_score(
        *(trained[c].to_numpy() for c in ("account", "merchant", "time"))
    )
    x.loc[test, "ring"] = rings
    learnt("history: ring as an input", list(x))
    x = x.drop(columns="ring")
    score = trees(x[learn], fraud[learn]).predict_proba(numbers(x[test]))[:, 1]
    first = alarms(rings, FOR_RINGS)
    rest = np.where(first >= 1, -1.0, score)
    judge(
        "history: a fifth of the alarms for rings",
        score,
        first + (1 - first) * alarms(rest, SHARE - FOR_RINGS),
    )
    who = table["account"].to_numpy()
    inside, outside = (learn & fraud).to_numpy(), (more & fraud).to_numpy()
    rows |= members(few, who[inside], x[outside], who[outside], made["history"], seed)
    return rows


def leak(x: pd.DataFrame, fraud: np.ndarray, seed: int) -> dict[str, dict]:
    """SMOTE before the split, and after it: what a test reports, and how many test frauds lie between two
    training frauds."""
    rows = {}
    count = int((~fraud).sum() - fraud.sum())
    for view, names in (("alone", ALONE), ("history", list(x))):
        for how in ("before", "after"):
            parts = x[names].reset_index(drop=True), fraud
            if how == "before":
                parts = with_smote(*parts, count, seed)
            a, b, y, z = train_test_split(
                *parts, test_size=0.3, random_state=seed, stratify=parts[1]
            )
            if how == "after":
                a, y = with_smote(a, y, count, seed)
            said = trees(a, y).predict(numbers(b))
            hits = (said & z).sum()
            known, tested = a[y], b[z].head(300)
            real = [name for name in CONTINUOUS if name in names]
            scale = known[real].std().to_numpy()
            sets = (part[real].to_numpy(float) / scale for part in (tested, known))
            between = lies_between(*sets, NEIGHBOURS, TOLERANCE)
            rows[f"{view}: SMOTE {how} the split"] = {
                "seed": seed,
                "recall": float(hits / z.sum()),
                "precision": float(hits / max(said.sum(), 1)),
                "between": float(between.mean()),
            }
            print(seed, view, how, rounded(rows[f"{view}: SMOTE {how} the split"]), flush=True)
    return rows


def with_smote(x: pd.DataFrame, fraud: np.ndarray, count: int, seed: int):
    made = by_smote(x[fraud], count, seed)
    return pd.concat([x, made], ignore_index=True), np.r_[fraud, np.ones(count, bool)]


def members(
    few: pd.DataFrame,
    few_accounts: np.ndarray,
    others: pd.DataFrame,
    other_accounts: np.ndarray,
    made: dict[str, pd.DataFrame],
    seed: int,
) -> dict[str, dict]:
    """Whose frauds were learnt from? By account, against accounts that were not in."""
    rng = np.random.default_rng(seed)
    control = np.isin(other_accounts, rng.permutation(np.unique(other_accounts))[::2])
    scale = few[NUMERIC].std().to_numpy()

    def plain(rows: pd.DataFrame) -> np.ndarray:
        return rows[NUMERIC].to_numpy(float) / scale

    rows = {}
    for how, table in made.items():
        found = {}
        for attack in (closest_record, domias):
            given = (plain(table), plain(others[~control])) if attack is domias else (plain(table),)
            inside, outside = (
                pd.Series(attack(plain(part), *given)).groupby(accounts).mean().to_numpy()
                for part, accounts in (
                    (few, few_accounts),
                    (others[control], other_accounts[control]),
                )
            )
            found[f"{attack.__name__}_auc"] = auc(inside, outside)
        rows[f"members: {how}"] = {"seed": seed, **found}
        print(seed, how, rounded(found), flush=True)
    return rows


def recall() -> None:
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for group, row in one_run(seed).items():
            results.setdefault(group, []).append(row)
    settings = SimpleNamespace(
        accounts=ACCOUNTS,
        times=TIMES,
        added=ADDED,
        share=SHARE,
        for_rings=FOR_RINGS,
        steps=STEPS,
        per_alarm=PER_ALARM,
        writer_steps=WRITER_STEPS,
    )
    write("finance", settings, {}, results)


def leaks() -> None:
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        table = transactions(TIMES * ACCOUNTS, seed=seed + 1)
        day = table["time"] / 24
        learn = (table["account"] < ACCOUNTS) & (day >= WARM) & (day < LEARNT)
        x, fraud = features(table)[learn], table["fraud"][learn].to_numpy()
        for group, row in leak(x, fraud, seed).items():
            results.setdefault(group, []).append(row)
    settings = SimpleNamespace(accounts=ACCOUNTS, neighbours=NEIGHBOURS, tolerance=TOLERANCE)
    write("finance_leak", settings, {}, results)


def card(file: str) -> None:
    data = card_fraud(file)
    x, test = (part.drop(columns=["time", "fraud"]) for part in (data.train, data.held_out))
    fraud, truth = (part["fraud"].to_numpy(bool) for part in (data.train, data.held_out))
    few = x[fraud].reset_index(drop=True)
    scale, count = few.std().to_numpy(), 3 * len(few)
    for part, y in (("to learn from", fraud), ("to judge with", truth)):
        print(f"{len(y):,} payments {part}, {y.sum():,} of them fraud")

    def found(added: pd.DataFrame | None = None, weights: str | None = None) -> float:
        rows = x if added is None else pd.concat([x, added[list(x)]])
        y = fraud if added is None else np.r_[fraud, np.ones(len(added), bool)]
        model = HistGradientBoostingClassifier(
            max_iter=100, learning_rate=0.05, class_weight=weights, random_state=0, **CAREFUL
        )
        score = model.fit(rows, y).predict_proba(test)[:, 1]
        return float(alarms(score, SHARE)[truth].mean())

    print(
        f"recall at {SHARE:.1%} alarms: real {found():.3f}, weights {found(weights='balanced'):.3f}"
    )
    results: dict[str, list[float]] = {}
    for seed in SEEDS:
        how = {"steps": STEPS, "seed": seed}
        smote = smote_sample(torch.from_numpy(few.to_numpy() / scale), count, seed=seed).numpy()
        made = {
            "SMOTE": pd.DataFrame(smote * scale, columns=list(few)),
            "copula": GaussianCopula().fit(few).sample(count, seed=seed),
            "VAE": TabularVAE().fit(few, **how).sample(count, seed=seed),
            "diffusion": TabularDiffusion().fit(few, **how).sample(count, seed=seed),
        }
        for name, rows in made.items():
            results.setdefault(name, []).append(found(rows))
    for name, each in results.items():
        print(f"{name}: mean {np.mean(each):.3f}, {min(each):.3f} to {max(each):.3f}")


RUNS = {run.__name__: run for run in (recall, leaks, card)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        RUNS[sys.argv[1]](*sys.argv[2:])
