"""Lesson 18: is the twin's forecast calibrated, if it trusts the data sheet and if it doubts it?

`python benchmarks/twin_forecast.py` judges forecasts on forty factories that nothing was chosen on.
"trusts the sheet" is the twin of the lesson; "doubts the sheet" differs in one thing, the width of its
first belief. What was computed is kept until the code changes, see parts.py; 4 CPU minutes.

A forecast is called calibrated if two things hold: the 95 % interval over the factories of what came less
what was said contains 0, and the interval of the calibration slope contains 1. That is the slope of a
logistic regression of the outcome on the logit of the forecast (Cox 1958); its interval comes from 500
draws of whole factories.
"""

from itertools import product
from types import SimpleNamespace

import numpy as np
from common import write
from parts import Parts
from scipy.special import expit, logit
from threadpoolctl import threadpool_limits
from twin import forecasts

from course_lib.twin.decide import Sheet, Story, Twin, World, best_plan, live

# The doubt was chosen on some of the seeds 500 to 901; the settings of the twin on factories of seed 0.
FACTORIES, SEEDS = 10, (2001, 2002, 2003, 2004)
WORLD = World(days=80)
DRIFT = WORLD.drift_day
TWINS = {"trusts the sheet": Twin(), "doubts the sheet": Twin(sheet=Sheet(doubt=(1.0, 0.6)))}
STAGES = {
    "days 21-60": slice(20, DRIFT),
    "days 61-80, after the change": slice(DRIFT, WORLD.days),
}
CODE = ("benchmarks/twin_forecast.py", "course_lib/twin")


def slope(chance: np.ndarray, fails: np.ndarray) -> float:
    """The calibration slope of forecasts (r,) whose outcomes are 0 or 1 (r,), by Newton's method."""
    x = logit(np.clip(chance, 1e-6, 1 - 1e-6))
    design, found = np.stack([np.ones_like(x), x]), np.array([0.0, 1.0])
    for _ in range(10):
        p = expit(found @ design)
        found = found + np.linalg.solve(design * p * (1 - p) @ design.T, design @ (fails - p))
    return float(found[1])


def slopes(chance: np.ndarray, fails: np.ndarray) -> dict[str, float]:
    """The slope over all factories, and its interval; both arguments are (days, factories, machines)."""
    known = ~np.isnan(chance)
    each = [(chance[:, i][known[:, i]], fails[:, i][known[:, i]]) for i in range(chance.shape[1])]
    rng = np.random.default_rng(0)
    drawn = [range(len(each)), *rng.integers(0, len(each), (500, len(each)))]
    found = []
    for factories in drawn:
        parts = zip(*(each[i] for i in factories), strict=True)
        found.append(slope(*(np.concatenate(part) for part in parts)))
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return {"slope": found[0], "slope_low": float(low), "slope_high": float(high)}


def measure(parts: Parts) -> None:
    """All parts that no other process is at; and the record as soon as none is missing."""
    plan = tuple(best_plan(WORLD.life_on(day), WORLD.shape) for day in (0, DRIFT))
    twins = TWINS | {"oracle": Twin(plan=plan, particles=2)}
    stories: dict[str, list[Story]] = {name: [] for name in twins}
    for name, seed in product(twins, SEEDS):
        story = parts.get(f"{name} {seed}", lambda: live(twins[name], WORLD, FACTORIES, seed))  # noqa: B023
        stories[name].append(story)
    if not parts.complete:
        return
    rows = {}
    for name in TWINS:
        for stage, days in STAGES.items():
            for what in ("", "_left"):
                chance, fails = (
                    np.concatenate([vars(story)[part + what][days] for story in stories[name]], 1)
                    for part in ("chance", "fails")
                )
                title = f"{name}, {'left in' if what else 'as planned'}, {stage}"
                rows |= forecasts(title, chance, fails)
                rows[f"slope, {title}"] = [slopes(chance, fails)]
    for name in TWINS:
        earned, best = (
            np.concatenate([story.reward for story in stories[kind]], axis=1)
            for kind in (name, "oracle")
        )
        rows[f"{name}, regret"] = [
            {"seed": i}
            | {
                f"{key}_regret": float(1 - earned[days, i].mean() / best[days, i].mean())
                for key, days in {
                    "stable": slice(3 * DRIFT // 4, DRIFT),
                    "drift": slice(DRIFT, 80),
                }.items()
            }
            for i in range(earned.shape[1])
        ]
    how = SimpleNamespace(
        factories=FACTORIES * len(SEEDS),
        seeds=SEEDS,
        world=vars(WORLD),
        sheets={name: vars(twin.sheet) for name, twin in TWINS.items()},
    )
    write("twin_forecast", how, {}, rows)


if __name__ == "__main__":
    with threadpool_limits(1):
        measure(Parts("twin_forecast", CODE))
