"""How often does a car crash that crashes hardly ever? Lesson 13's cut-ins.

    python benchmarks/driving.py rates | policy | crude | density | deaths

`rates`: twenty estimates of the crash rate with 20,000 scenes each, by crude sampling, by the cross-entropy
method with one Gaussian and with mixtures. The reference is an estimate with a million fresh scenes of
one defended mixture that was fitted beforehand, so that nothing was adapted to them.

`policy`: at which time to collision should the car brake hard? Crashes and needless hard braking at each
threshold, by weighted scenes and by dangerous scenes that a flow has generated, five seeds. Rates by
weighted scenes are in a million scenes, those by generated ones are shares.

`crude`: ten million scenes from the inputs' own distribution, to check the reference.

`density`: twenty rates by a flow that has learnt from the crashes of a search, and whose density is
computed: 5,000 new scenes of the flow, and 500 of the inputs' own distribution, weighted by the balance
heuristic. Beside it the share of crashes among the flow's scenes, which is all that a model without a
density has.

`deaths`: who dies in a crash, by a survey that draws severe crashes more often: the share of its rows,
the weighted rate, and the shares in copula tables of the rows as they are and of rows drawn again by
weight. Five simulated surveys, whose truth is known, and five bootstraps of NASS CDS.
"""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import SEEDS, rounded, write

from course_lib import datasets
from course_lib.datasets.crashes import PEOPLE, people_in_crashes, surveyed
from course_lib.models.flow import (
    Velocity,
    euler_log_density,
    euler_path,
    flow_matching_loss,
)
from course_lib.models.layers import mlp
from course_lib.models.tabular import GaussianCopula
from course_lib.rare_events.cross_entropy import (
    Search,
    defensive_mixture,
    single_gaussian,
    standard_normal,
)
from course_lib.rare_events.cut_in import simulate_scenes
from course_lib.rare_events.importance import balance_weights, crude_interval, rate_estimate

SCENES, RUNS, FRESH, GENERATED, EULER = 20_000, 20, 1_000_000, 5000, 20
THRESHOLDS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def danger(u: np.ndarray) -> np.ndarray:
    return simulate_scenes(u).danger


def ways(u: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The rates of front crashes and of rear crashes; a scene with both counts as front."""
    found = simulate_scenes(u)
    front = found.front <= 0
    return float((weights * front).mean()), float((weights * (found.crashed & ~front)).mean())


def reference() -> dict[str, float]:
    """Rate, relative error, and the rates of both ways, by scenes to which nothing was adapted."""
    rng = np.random.default_rng(2026)
    found = defensive_mixture(danger, rng, 6, scenes=100_000, level=10_000)
    q, p = found.proposals[-1], standard_normal(6)
    u = q.sample(FRESH, rng)
    weights = np.exp(p.log_pdf(u) - q.log_pdf(u))
    rate, error, _ = rate_estimate(weights, danger(u) >= 0)
    front, rear = ways(u, weights)
    return {"rate": rate, "error": error, "front": front, "rear": rear}


def crude_run(rng: np.random.Generator, truth: dict) -> dict:
    u = rng.normal(size=(SCENES, 6))
    crashes = int((danger(u) >= 0).sum())
    low, high = crude_interval(crashes, SCENES, 0.95)
    rate = crashes / SCENES
    error = (rate * (1 - rate) / SCENES) ** 0.5
    return {
        "over_truth": rate / truth["rate"],
        "claimed_error": error / truth["rate"],
        "covers": float(abs(rate - truth["rate"]) <= 1.96 * error),
        "exact_covers": float(low <= truth["rate"] <= high),
    }


def search_run(search, rng: np.random.Generator, truth: dict) -> dict:
    found = search(danger, rng, 6)
    front, rear = ways(found.u, found.weights)
    said = found.estimate
    return {
        "over_truth": said.rate / truth["rate"],
        "claimed_error": said.error / said.rate,
        "covers": float(said.covers(truth["rate"])),
        "effective": said.effective,
        "front_over_truth": front / truth["front"],
        "rear_over_truth": rear / truth["rear"],
    }


def mixture_of(components: int, defence: float):
    def search(danger, rng, d):
        return defensive_mixture(danger, rng, d, components=components, defence=defence)

    return search


def rates() -> None:
    truth = reference()
    print(truth, flush=True)
    methods = {
        "one Gaussian": single_gaussian,
        "one Gaussian, defended and recycled": mixture_of(1, 0.1),
        "mixture of 4, not defended": mixture_of(4, 0.0),
        "mixture of 2, defended": mixture_of(2, 0.1),
        "mixture of 4, defended": mixture_of(4, 0.1),
    }
    results: dict[str, list[dict]] = {"crude": []}
    for seed in range(RUNS):
        results["crude"].append({"seed": seed, **crude_run(np.random.default_rng(seed), truth)})
        for name, search in methods.items():
            row = {"seed": seed, **search_run(search, np.random.default_rng(seed), truth)}
            results.setdefault(name, []).append(row)
            print(name, rounded(row), flush=True)
    crude = (1 - truth["rate"]) / truth["rate"] / SCENES  # relative variance
    summary = []
    for name in methods:
        over = np.array([row["over_truth"] for row in results[name]])
        row = {
            "seed": name,
            "mean_over_truth": over.mean(),
            "relative_sd": over.std(ddof=1),
            "coverage": np.mean([row["covers"] for row in results[name]]),
            "crude_variance_over_own": crude / over.var(ddof=1),
        }
        summary.append({k: v if k == "seed" else float(v) for k, v in row.items()})
    results["summary"] = summary
    # The rate has more zeros than figures that are rounded to four decimals can hold.
    results["reference, in a million"] = [
        {"seed": 2026, **{name: float(1e6 * value) for name, value in truth.items()}}
    ]
    write("driving_rates", SimpleNamespace(scenes=SCENES, runs=RUNS, fresh=FRESH), {}, results)


def trained_flow(u: np.ndarray, seed: int, steps: int = 1500) -> Velocity:
    """The velocity of a flow that has learnt from dangerous scenes u (m, 6)."""
    torch.manual_seed(seed)
    x = torch.from_numpy(u).float()
    net = mlp(7, 64, 6)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)

    def velocity(points, t):
        return net(torch.cat([points, t[:, None]], dim=1))

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        batch = x[torch.randint(len(x), (256,))]
        optimizer.zero_grad()
        flow_matching_loss(velocity, batch, torch.rand(256), torch.randn(256, 6)).backward()
        optimizer.step()
    return velocity


def scenes_of(velocity: Velocity, n: int) -> np.ndarray:
    """n scenes (n, 6) of a trained flow."""
    return euler_path(velocity, torch.randn(n, 6), EULER)[-1].double().numpy()


def crashes_of(found: Search, rng: np.random.Generator) -> np.ndarray:
    """4,000 crashes of a search, drawn again by their weights: (4000, 6)."""
    chance = found.weights * (found.danger >= 0)
    return found.u[rng.choice(len(found.u), 4000, p=chance / chance.sum())]


def policy() -> None:
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        found = defensive_mixture(danger, rng, 6)
        made = scenes_of(trained_flow(crashes_of(found, rng), seed), GENERATED)
        needed = {
            "weighted": simulate_scenes(found.u, 0.0).front <= 0,
            "generated": simulate_scenes(made, 0.0).front <= 0,
        }
        for threshold in THRESHOLDS:
            row = {"seed": seed}
            for name, u, weights in (
                ("weighted", found.u, found.weights),
                ("generated", made, np.ones(len(made))),
            ):
                end = simulate_scenes(u, threshold)
                scale = 1e6 if name == "weighted" else 1.0
                row[f"{name}_crashes"] = float(scale * (weights * end.crashed).mean())
                needless = end.braked_hard & ~needed[name]
                row[f"{name}_needless"] = float(scale * (weights * needless).mean())
            # A search of its own, to check the weights far from the threshold that was searched at.
            again = defensive_mixture(
                lambda u, at=threshold: simulate_scenes(u, at).danger,
                np.random.default_rng(seed),
                6,
            )
            row["own_search_crashes"] = 1e6 * again.estimate.rate
            results.setdefault(f"threshold {threshold:g} s", []).append(row)
            print(threshold, rounded(row), flush=True)
    settings = SimpleNamespace(thresholds=THRESHOLDS, scenes=SCENES, generated=GENERATED)
    write("driving_policy", settings, {}, results)


def crude(millions: int = 10) -> None:
    rng = np.random.default_rng(7)
    crashes = 0
    for million in range(millions):
        crashes += sum(int((danger(rng.normal(size=(20_000, 6))) >= 0).sum()) for _ in range(50))
        print(million + 1, crashes, flush=True)
    low, high = crude_interval(crashes, millions * 1_000_000, 0.95)
    row = {
        "seed": 7,
        "crashes": crashes,
        "scenes_in_millions": millions,
        "rate_in_a_million": crashes / millions,
        "low_in_a_million": 1e6 * low,
        "high_in_a_million": 1e6 * high,
    }
    write("driving_crude", SimpleNamespace(millions=millions), {}, {"crude": [row]})


def density() -> None:
    truth = reference()
    results: dict[str, list[dict]] = {}
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        found = defensive_mixture(danger, rng, 6)
        velocity = trained_flow(crashes_of(found, rng), seed)
        made = scenes_of(velocity, GENERATED)
        u = np.vstack([made, rng.normal(size=(GENERATED // 10, 6))])
        log_q = euler_log_density(velocity, torch.from_numpy(u).float(), EULER).double().numpy()
        log_p = standard_normal(6).log_pdf(u)
        weights = balance_weights(
            log_p, np.stack([log_q, log_p]), np.array([len(made), len(u) - len(made)])
        )
        crashed = danger(u) >= 0
        rate, error, effective = rate_estimate(weights, crashed)
        front, rear = ways(u, weights)
        row = {
            "seed": seed,
            "over_truth": rate / truth["rate"],
            "claimed_error": error / rate,
            "covers": float(abs(rate - truth["rate"]) <= 1.96 * error),
            "effective": effective,
            "front_over_truth": front / truth["front"],
            "rear_over_truth": rear / truth["rear"],
            "share_over_truth": float(crashed[:GENERATED].mean() / truth["rate"]),
            "share": float(crashed[:GENERATED].mean()),
            "mean_weight": float(weights.mean()),
        }
        results.setdefault("flow with its density", []).append(row)
        print(rounded(row), flush=True)
    write("driving_density", SimpleNamespace(generated=GENERATED, euler=EULER), {}, results)


def deaths_run(survey: pd.DataFrame, seed: int) -> dict[str, float]:
    """Shares of the dead in per cent: of the rows, weighted, and in two copula tables."""
    weights = survey["weight"].to_numpy() / survey["weight"].mean()
    again = survey.sample(len(survey), replace=True, weights=weights, random_state=seed)
    rate, error, effective = rate_estimate(weights, survey["died"].to_numpy())
    row = {"rows": survey["died"].mean(), "weighted": rate, "error": error}
    for name, rows in (("copula_of_rows", survey), ("copula_of_weighted", again)):
        model = GaussianCopula().fit(rows.drop(columns="weight").reset_index(drop=True))
        row[name] = model.sample(50_000, seed=seed)["died"].mean()
    # In per cent, since figures are rounded to four decimals.
    return {name: float(100 * value) for name, value in row.items()} | {
        "effective": float(effective)
    }


def deaths() -> None:
    results: dict[str, list[dict]] = {}
    whole = datasets.load("nass_cds")
    real = pd.concat([whole.train, whole.held_out], ignore_index=True)
    for seed in SEEDS:
        people = people_in_crashes(PEOPLE, seed=seed + 1)
        row = deaths_run(surveyed(people, seed=seed), seed) | {
            "truth": 100 * float(people["died"].mean())
        }
        results.setdefault("crashes", []).append({"seed": seed, **row})
        drawn = real.sample(len(real), replace=True, random_state=seed, ignore_index=True)
        results.setdefault("nass_cds", []).append({"seed": seed, **deaths_run(drawn, seed)})
        print({name: rounded(rows[-1]) for name, rows in results.items()}, flush=True)
    write("driving_deaths", SimpleNamespace(people=PEOPLE), {}, results)


if __name__ == "__main__":
    torch.set_num_threads(1)
    runs = (rates, policy, crude, density, deaths)
    {run.__name__: run for run in runs}[sys.argv[1]]()
