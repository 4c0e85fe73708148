"""How often does a car crash that crashes hardly ever? Lesson 13's cut-ins.

    python benchmarks/driving.py rates | policy | crude

`rates`: twenty estimates of the crash rate with 20,000 scenes each, by crude sampling, by the cross-entropy
method with one Gaussian and with mixtures. The reference is an estimate with a million fresh scenes of
one defended mixture that was fitted beforehand, so that nothing was adapted to them.

`policy`: at which time to collision should the car brake hard? Crashes and needless hard braking at each
threshold, by weighted scenes and by dangerous scenes that a flow has generated, five seeds. Rates by
weighted scenes are in a million scenes, those by generated ones are shares.

`crude`: ten million scenes from the inputs' own distribution, to check the reference.
"""

import sys
from types import SimpleNamespace

import numpy as np
import torch
from common import SEEDS, rounded, write

from course_lib.models.flow import euler_path, flow_matching_loss
from course_lib.models.layers import mlp
from course_lib.rare_events.cross_entropy import (
    defensive_mixture,
    single_gaussian,
    standard_normal,
)
from course_lib.rare_events.cut_in import simulate_scenes
from course_lib.rare_events.importance import crude_interval, rate_estimate

SCENES, RUNS, FRESH = 20_000, 20, 1_000_000
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


def flow_of(u: np.ndarray, seed: int, n: int, steps: int = 1500) -> np.ndarray:
    """n scenes of a flow that has learnt from dangerous scenes u (m, 6)."""
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
    return euler_path(velocity, torch.randn(n, 6), 20)[-1].double().numpy()


def policy() -> None:
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        found = defensive_mixture(danger, rng, 6)
        crashed = found.danger >= 0
        chance = found.weights * crashed
        learnt_from = found.u[rng.choice(len(found.u), 4000, p=chance / chance.sum())]
        made = flow_of(learnt_from, seed, 5000)
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
    settings = SimpleNamespace(thresholds=THRESHOLDS, scenes=SCENES, generated=5000)
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


if __name__ == "__main__":
    {"rates": rates, "policy": policy, "crude": crude}[sys.argv[1]]()
