"""Lesson 18: is the twin's forecast calibrated, and if not, why?

`python benchmarks/twin_forecast.py` judges forecasts on forty factories that nothing was chosen on.
"doubts the sheet" is the twin of the lesson; "trusts the sheet" differs in one thing, the width of its
first belief. What was computed is kept until the code changes, see parts.py; 4 CPU minutes.

A forecast is called calibrated if two things hold: the 95 % interval over the factories of what came less
what was said contains 0, and the interval of the calibration slope contains 1. That is the slope of a
logistic regression of the outcome on the logit of the forecast (Cox 1958); its interval comes from 500
draws of whole factories.

`python benchmarks/twin_forecast.py cause` asks the same of eighty factories for each case. Their twins do
not search: they replace a tool at half of the believed life. "one world" is that of the lesson. In "its own
world" the life and shape of each factory's tools are drawn from the first belief. In "one world, ten
factories" each twin sees the tools of ten lines; there whole groups of ten are drawn for the intervals.
Half a CPU minute.
"""

import sys
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
from common import write
from parts import Parts
from scipy.special import expit, logit
from threadpoolctl import threadpool_limits
from twin import forecasts

from course_lib.twin.decide import Search, Sheet, Story, Twin, World, best_plan, live
from course_lib.twin.line import MACHINES

# The doubt was chosen on some of the seeds 500 to 901; the settings of the twin on factories of seed 0.
FACTORIES, SEEDS = 10, (2001, 2002, 2003, 2004)
WORLD = World(days=80)
DRIFT = WORLD.drift_day
TWINS = {"trusts the sheet": Twin(sheet=Sheet(doubt=(0.5, 0.4))), "doubts the sheet": Twin()}
SIMPLE = Twin(search=Search(shares=(0.5,), copies=2, days=1), particles=400)
CAUSES = {
    "one world": SIMPLE,
    "its own world": SIMPLE,
    "one world, ten factories": replace(SIMPLE, together=True),
}
CAUSE_SEEDS = range(3001, 3009)
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


def slopes(chance: np.ndarray, fails: np.ndarray, group: int = 1) -> dict[str, float]:
    """The slope over all factories, and its interval by draws of groups of so many factories.

    `chance` and `fails` are (days, factories, machines).
    """
    known = ~np.isnan(chance)
    parts = [slice(i, i + group) for i in range(0, chance.shape[1], group)]
    each = [(chance[:, part][known[:, part]], fails[:, part][known[:, part]]) for part in parts]
    rng = np.random.default_rng(0)
    drawn = [range(len(each)), *rng.integers(0, len(each), (500, len(each)))]
    found = []
    for factories in drawn:
        parts = zip(*(each[i] for i in factories), strict=True)
        found.append(slope(*(np.concatenate(part) for part in parts)))
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return {"slope": found[0], "slope_low": float(low), "slope_high": float(high)}


def drawn_world(seed: int) -> World:
    """A world for each of ten factories, drawn from the first belief of the twin."""
    sheet, rng = Sheet(), np.random.default_rng([seed, 3])
    life, shape = (
        centre * np.exp(sd * rng.normal(size=(FACTORIES, MACHINES)))
        for centre, sd in zip((np.array(sheet.life), sheet.shape), sheet.doubt, strict=True)
    )
    return World(life=life, shape=shape, days=DRIFT)


def judged(
    title: str, stories: list[Story], days: slice, group: int = 1
) -> dict[str, list[dict[str, float]]]:
    """Scores, reliability and slope of both forecasts, of all factories of the stories."""
    rows = {}
    for way, part in (("as planned", ""), ("left in", "_left")):
        chance, fails = (
            np.concatenate([vars(story)[what + part][days] for story in stories], axis=1)
            for what in ("chance", "fails")
        )
        named = title.format(way)
        rows |= forecasts(named, chance, fails)
        rows[f"slope, {named}"] = [slopes(chance, fails, group)]
    return rows


def measure_causes(parts: Parts) -> None:
    """The record twin_forecast_cause, as soon as no part is missing."""
    causes: dict[str, list[Story]] = {name: [] for name in CAUSES}
    for name, seed in product(CAUSES, CAUSE_SEEDS):
        world = drawn_world(seed) if name == "its own world" else World(days=DRIFT)
        story = parts.get(
            f"{name} {seed}",
            lambda: live(CAUSES[name], world, FACTORIES, seed),  # noqa: B023
        )
        causes[name].append(story)
    if not parts.complete:
        return
    rows: dict[str, list[dict[str, float]]] = {}
    for name, kept in causes.items():
        group = FACTORIES if CAUSES[name].together else 1
        rows |= judged(f"{name}, {{}}", kept, slice(20, DRIFT), group)
    how = SimpleNamespace(factories=FACTORIES * len(CAUSE_SEEDS), seeds=[*CAUSE_SEEDS])
    write("twin_forecast_cause", how, {}, rows)


def measure(parts: Parts) -> None:
    """The record twin_forecast, as soon as no part is missing."""
    plan = tuple(best_plan(WORLD.life_on(day), WORLD.shape) for day in (0, DRIFT))
    twins = TWINS | {"oracle": Twin(plan=plan, particles=2)}
    stories: dict[str, list[Story]] = {name: [] for name in twins}
    for name, seed in product(twins, SEEDS):
        story = parts.get(f"{name} {seed}", lambda: live(twins[name], WORLD, FACTORIES, seed))  # noqa: B023
        stories[name].append(story)
    if not parts.complete:
        return
    rows: dict[str, list[dict[str, float]]] = {}
    for name, (stage, days) in product(TWINS, STAGES.items()):
        rows |= judged(f"{name}, {{}}, {stage}", stories[name], days)
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
        if sys.argv[1:] == ["cause"]:
            measure_causes(Parts("twin_forecast_cause", CODE))
        else:
            measure(Parts("twin_forecast", CODE))
