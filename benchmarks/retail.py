"""What invented customers teach a recommender, what they lose, whom they leave out, and whom they betray.

    python benchmarks/retail.py recommend    # recall of new items and with repeats, by how it was learnt
    python benchmarks/retail.py shape        # lift, tail, reach, groups, customers found again
    python benchmarks/retail.py coupons      # whom to send a coupon, by a real or an invented trial

Each on five simulated shops (other customers, the same items) and on five splits of Online Retail II,
which COURSE_DATA_MIRROR must hold.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import SEEDS, rounded, write
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

from course_lib import datasets
from course_lib.datasets.shop import (
    CUSTOMERS,
    FIRST_HELD_OUT,
    by_month,
    coupon_trial,
    linked_tables,
)
from course_lib.models.recommender import (
    MultinomialVAE,
    coverage_by_group,
    ease,
    gumbel_top_k,
    held_out_lift,
    recall_at_k,
    repeat_and_explore,
)
from course_lib.models.tabular import GaussianCopula
from course_lib.privacy.attacks import auc, closest_record, tpr_at_fpr

SOURCES = ("shop", "online_retail")
STEPS = 500
FACTOR = 3  # invented customers for each real one
PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0)
K = 20
LEAST_ITEMS = 3  # distinct items that a customer must have bought to count
REACH = 100  # customers
TOP, LEAST = 100, (3, 5, 10, 20)  # pairs, and customers who bought both


@dataclass(frozen=True)
class Part:
    """Some customers: how often each bought each item, before and later; their kind, region and value."""

    before: np.ndarray
    later: np.ndarray
    people: pd.DataFrame

    @property
    def x(self) -> np.ndarray:
        return (self.before > 0).astype(float)

    @property
    def wanted(self) -> np.ndarray:
        return self.later > 0


@dataclass(frozen=True)
class Shop:
    """Customers to learn from, to choose the penalty by, and to judge by; and the invented ones."""

    train: Part
    choose: Part
    test: Part
    vae: np.ndarray
    independent: np.ndarray
    model: MultinomialVAE


def known_columns(people: pd.DataFrame) -> torch.Tensor:
    columns = [people["kind"] == "trade", people["region"] == "abroad", np.log(people["items"]) / 3]
    return torch.from_numpy(np.column_stack(columns).astype(np.float32))


def counts(lines: pd.DataFrame, customers: int, items: int) -> np.ndarray:
    found = np.zeros((customers, items))
    np.add.at(found, (lines["customer"].to_numpy(), lines["item"].to_numpy()), 1)
    return found


def invented_parents(people: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Customers' columns by a copula: kind, region and how many distinct items."""
    columns = people[["kind", "region", "items"]]
    made = GaussianCopula().fit(columns).sample(n, seed=seed)
    return made.assign(items=made["items"].clip(lower=1).round().astype(int))


def shop_of(name: str, seed: int) -> Shop:
    if name == "shop":
        data = by_month(name, *linked_tables(CUSTOMERS, seed=seed), FIRST_HELD_OUT)
    else:
        data = datasets.load(name)
    items = int(pd.concat([data.train["item"], data.held_out["item"]]).max()) + 1
    n = len(data.parents)
    before, later = (counts(lines, n, items) for lines in (data.train, data.held_out))
    spent = (data.train["quantity"] * data.train["price"]).groupby(data.train["customer"]).sum()
    people = data.parents.assign(
        items=(before > 0).sum(axis=1), value=spent.reindex(range(n)).fillna(0).to_numpy()
    )
    regular = np.flatnonzero(people["items"] >= LEAST_ITEMS)
    fit, judged = train_test_split(regular, test_size=0.3, random_state=seed)
    fit, chosen = train_test_split(fit, test_size=0.15, random_state=seed)
    parts = [
        Part(before[rows], later[rows], people.iloc[rows].reset_index(drop=True))
        for rows in (fit, chosen, judged)
    ]
    train = parts[0]
    rng = np.random.default_rng(seed)
    parents = invented_parents(train.people, FACTOR * len(fit), seed)
    torch.manual_seed(seed)
    model = MultinomialVAE(items, 3)
    model.fit(
        torch.from_numpy(train.x).float(), known_columns(train.people), steps=STEPS, seed=seed
    )
    logits = model.sample(known_columns(parents)).numpy().astype(float)
    sizes = parents["items"].to_numpy()
    vae = gumbel_top_k(logits, sizes, rng.random(logits.shape))
    flat = np.broadcast_to(np.log(train.x.mean(axis=0) + 1e-6), logits.shape)
    independent = gumbel_top_k(flat, sizes, rng.random(logits.shape))
    return Shop(*parts, vae.astype(float), independent.astype(float), model)


def tables(shop: Shop) -> dict[str, np.ndarray]:
    return {
        "EASE on real": shop.train.x,
        "EASE on VAE customers": shop.vae,
        "EASE on independent customers": shop.independent,
        "EASE on real and VAE": np.concatenate([shop.train.x, shop.vae]),
    }


def tuned(x: np.ndarray, part: Part) -> tuple[np.ndarray, float]:
    """EASE with the penalty of the grid that recalls most new items of `part`."""
    best = (-1.0, np.zeros(0), 0.0)
    for penalty in PENALTIES:
        weights = ease(x, penalty)
        found = new_recall(part.x @ weights, part)
        best = max(best, (found, weights, penalty), key=lambda each: each[0])
    return best[1], best[2]


def new_recall(scores: np.ndarray, part: Part) -> float:
    seen = part.before > 0
    return recall_at_k(scores, part.wanted & ~seen, seen, K)


def any_recall(scores: np.ndarray, part: Part) -> float:
    return recall_at_k(scores, part.wanted, np.zeros_like(part.wanted), K)


def recommend_run(name: str, seed: int) -> dict[str, dict]:
    shop = shop_of(name, seed)
    test = shop.test
    tie = 1e-9 * np.random.default_rng(seed).random(test.x.shape)
    popular = np.broadcast_to(shop.train.x.mean(axis=0), test.x.shape) + tie
    rows = {}

    def judge(group: str, scores: np.ndarray, penalty: float = 0.0) -> None:
        figures = {"new": new_recall(scores, test), "any": any_recall(scores, test)}
        rows[group] = {"seed": seed, **figures, "penalty": penalty}

    judge("popularity", popular)
    for group, x in tables(shop).items():
        weights, penalty = tuned(x, shop.choose)
        judge(group, test.x @ weights + tie, penalty)
        if group == "EASE on real":
            scores = test.x @ weights + tie
    with torch.no_grad():
        x = torch.from_numpy(test.x).float()
        judge("the VAE itself", shop.model(x, known_columns(test.people))[0].numpy() + tie)
    own = test.before + 0.5 / (1 + np.exp(-scores))  # ties go to EASE
    judge("own frequency", np.where(test.before > 0, own, popular * 1e-3))
    del rows["own frequency"]["new"]  # it recommends nothing new
    level = 1 / (1 + np.exp(-scores))  # (0, 1), in the order of the scores
    for repeats in (0, 5, 10, 15, 20):
        lists = repeat_and_explore(test.before, level, K, repeats)
        place = np.zeros_like(scores)
        np.put_along_axis(place, lists, np.arange(K, 0, -1.0) + np.zeros((len(lists), 1)), axis=1)
        new = test.wanted & ~(test.before > 0)
        fresh = recall_at_k(place + tie, new, np.zeros_like(new), K)
        rows[f"{repeats} repeats"] = {
            "seed": seed,
            "new": fresh,
            "any": any_recall(place + tie, test),
        }
    return rows


def tail_share(x: np.ndarray, popularity: np.ndarray) -> float:
    """The share of purchases outside of the fifth of items that are bought most."""
    tail = np.argsort(-popularity)[len(popularity) // 5 :]
    return float(x[:, tail].sum() / x.sum())


def reach(x: np.ndarray, rng: np.random.Generator) -> float:
    """The share of the items that 100 customers buy, mean of 20 draws."""
    drawn = [x[rng.choice(len(x), REACH, replace=False)].any(axis=0).mean() for _ in range(20)]
    return float(np.mean(drawn))


def shape_run(name: str, seed: int) -> dict[str, dict]:
    shop = shop_of(name, seed)
    rng = np.random.default_rng(seed)
    rows: dict[str, dict] = {}
    half = len(shop.train.x) // 2
    one, other = shop.train.x[:half], shop.train.x[half:]
    bought = (one.sum(axis=0) > 0) & (other.sum(axis=0) > 0)
    bought &= (shop.vae.sum(axis=0) > 0) & (shop.independent.sum(axis=0) > 0)
    # A control in which no pair exists, of the same size as the two halves.
    nobody = shop.independent[: 2 * half]
    bought &= (nobody[:half].sum(axis=0) > 0) & (nobody[half:].sum(axis=0) > 0)
    for least in LEAST:
        judged = {
            "real": (one, other),
            "VAE": (one, shop.vae),
            "independent": (one, shop.independent),
            "control": (nobody[:half], nobody[half:]),
        }
        for group, (choose, judge) in judged.items():
            first, second = held_out_lift(choose[:, bought], judge[:, bought], least, TOP)
            rows[f"lift of pairs of {least}: {group}"] = {
                "seed": seed,
                "where chosen": first,
                "elsewhere": second,
            }
    popularity = shop.train.x.sum(axis=0)
    for group, x in (("real", shop.train.x), ("held-out", shop.test.x), ("VAE", shop.vae)):
        figures = {"tail": tail_share(x, popularity), "reach": reach(x, rng)}
        rows[f"items: {group}"] = {"seed": seed, **figures}
    test = shop.test
    new, seen = test.wanted & ~(test.before > 0), test.before > 0
    asked = new.any(axis=1)
    group = 2 * (test.people["region"] == "abroad") + (test.people["kind"] == "trade")
    tie = 1e-9 * rng.random(test.x.shape)
    lists = {"popularity": np.broadcast_to(popularity, test.x.shape) + tie}
    for title in ("EASE on real", "EASE on VAE customers"):
        lists[title] = test.x @ tuned(tables(shop)[title], shop.choose)[0] + tie
    for title, scores in lists.items():
        best = np.argsort(-np.where(seen, -np.inf, scores), axis=1)[:, :K]
        served = np.take_along_axis(new, best, axis=1).any(axis=1)
        by = {
            "kind": (group % 2, ("household", "trade")),
            "region": (group // 2, ("home", "abroad")),
        }
        for codes, names in by.values():
            own = codes.to_numpy()[asked]
            value = test.people["value"].to_numpy()[asked]
            share, worth = coverage_by_group(served[asked], own, 2, value)
            for k, who in enumerate(names):
                mine = new & (codes.to_numpy() == k)[:, None]
                rows[f"served: {title}: {who}"] = {
                    "seed": seed,
                    "customers": float(share[k]),
                    "value": float(worth[k]),
                    "recall": recall_at_k(scores, mine, seen, K),
                    "of all value": float(value[own == k].sum() / value.sum()),
                }
    rows |= found_again(shop, seed)
    return rows


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def found_again(shop: Shop, seed: int) -> dict[str, dict]:
    """Can an attacker who knows a customer's basket tell whether the generator learnt from it?"""
    rng = np.random.default_rng(seed)
    half = len(shop.test.x) // 2
    strangers, reference = unit(shop.test.x[:half]), unit(shop.test.x[half:])
    members = unit(shop.train.x[rng.choice(len(shop.train.x), half, replace=False)])
    # A positive control: real customers whose items are exchanged for others, one in five.
    noisy = shop.train.x.copy()
    for basket in noisy:
        own = np.flatnonzero(basket)
        gone = rng.permutation(own)[: len(own) // 5]
        basket[gone] = 0
        basket[rng.choice(np.flatnonzero(basket == 0), len(gone), replace=False)] = 1
    published = {"VAE": shop.vae, "independent": shop.independent, "a fifth exchanged": noisy}
    rows = {}
    for group, x in published.items():
        made = unit(x)
        scores = [
            closest_record(records, made) - closest_record(records, reference)
            for records in (members, strangers)
        ]
        figures = {"auc": auc(*scores), "tpr": tpr_at_fpr(*scores, 0.01)}
        rows[f"found again: {group}"] = {"seed": seed, **figures}
    return rows


def uplift_scores(trial: pd.DataFrame, wanted: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The chance to buy with the coupon, and that minus the chance without it, by two regressions."""
    chances = []
    for coupon in (True, False):
        own = trial[trial["coupon"].astype(bool) == coupon]
        model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(C=1.0))
        model.fit(features(own), own["bought"].astype(bool))
        chances.append(model.predict_proba(features(wanted))[:, 1])
    return chances[0], chances[0] - chances[1]


def features(trial: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.log1p(trial["orders"].astype(float)), trial["trade"].astype(float)])


def coupons_run(name: str, seed: int) -> dict[str, dict]:
    if name == "shop":
        data = by_month(name, *linked_tables(CUSTOMERS, seed=seed), FIRST_HELD_OUT)
    else:
        data = datasets.load(name)
    orders = data.train.groupby("customer")["order"].nunique()
    people = data.parents.set_index("customer").loc[orders.index]
    # As many customers as a trial of this kind has: those of the shop are drawn again.
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(orders), size=8000)
    trial = coupon_trial(
        orders.to_numpy()[drawn], (people["kind"] == "trade").to_numpy()[drawn], seed=seed
    )
    first, second = trial[:4000], trial[4000:].reset_index(drop=True)
    gain = (second["with"] - second["without"]).to_numpy()
    columns = ["orders", "trade", "coupon", "bought"]
    made = GaussianCopula().fit(first[columns]).sample(4000, seed=seed)
    likely, uplift = uplift_scores(first, second)
    _, invented = uplift_scores(made, second)
    # In causal order: who takes part, then the coupon by lot, then what follows from both.
    arms = []
    for coupon, arm in first.groupby("coupon"):
        part = GaussianCopula().fit(arm[["orders", "trade", "bought"]]).sample(2000, seed=seed)
        arms.append(part.assign(coupon=coupon))
    _, by_arm = uplift_scores(pd.concat(arms), second)
    sent = round(0.2 * len(second))
    rows = {}
    for group, score in (
        ("by lot", rng.random(len(second))),
        ("likely buyers", likely),
        ("uplift of the real trial", uplift),
        ("uplift of a copula's trial", invented),
        ("uplift of a copula for each arm", by_arm),
        ("the true uplift", gain),
    ):
        best = np.argsort(-score, kind="stable")[:sent]
        trade = float(second["trade"].to_numpy()[best].mean())
        rows[group] = {
            "seed": seed,
            "extra orders": float(1000 * gain[best].mean()),
            "trade": trade,
        }
    return rows


def runs(one) -> Iterator[tuple[str, dict]]:
    for name in SOURCES:
        for seed in SEEDS:
            for group, row in one(name, seed).items():
                yield f"{name}: {group}", row
            print(name, seed, flush=True)


def record(file: str, one) -> None:
    results: dict[str, list[dict]] = {}
    for group, row in runs(one):
        results.setdefault(group, []).append(row)
        print(group, rounded(row), flush=True)
    how = SimpleNamespace(
        steps=STEPS, factor=FACTOR, penalties=PENALTIES, k=K, least_items=LEAST_ITEMS, top=TOP
    )
    write(file, how, {}, results)


RUNS = {
    "recommend": ("retail_recommend", recommend_run),
    "shape": ("retail_shape", shape_run),
    "coupons": ("retail_coupons", coupons_run),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        record(*RUNS[sys.argv[1]])
