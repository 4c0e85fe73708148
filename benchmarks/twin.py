"""Lesson 18: what a twin earns that is fed by its line, frozen, or fed by its own output.

`python benchmarks/twin.py` lets twenty factories live through a hundred days with each kind of twin; on day
60 the tools of machine 2 change. All kinds meet the same tools. Nothing is trained; 9 CPU minutes.
"""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
from common import write
from scipy.stats import beta
from threadpoolctl import threadpool_limits

from course_lib.twin.decide import Search, Sheet, Story, Twin, World, best_plan, live
from course_lib.twin.follow import Filter

FACTORIES, SEED = 20, 1  # the settings were chosen on factories of seed 0
WORLD = World()
DRIFT, DAYS = WORLD.drift_day, WORLD.days
STAGES = {
    "stable": slice(3 * DRIFT // 4, DRIFT),
    "drift": slice(DRIFT, DRIFT + 20),
    "late": slice(DRIFT + 20, DAYS),
}
NEVER = (np.inf,) * 3
LOW = Sheet(life=(180.0, 120.0, 150.0))  # far below the truth
KINDS = {
    "fed": Twin(),
    "frozen on day 20": Twin(frozen=20),
    "own output from day 20": Twin(real=0.0),
    "own output from day 0": Twin(real=0.0, cut=0),
    "fed, forgets nothing": Twin(filter=Filter(jump=0.0)),
    "own output from day 20, forgets nothing": Twin(real=0.0, filter=Filter(jump=0.0)),
    "10 % real": Twin(real=0.1),
    "25 % real": Twin(real=0.25),
    "50 % real": Twin(real=0.5),
    "25 % real, and nothing else": Twin(real=0.25, own=0.0),
    "all real, and as much of its own": Twin(real=1.0, own=1.0),
    "fed, without common random numbers": Twin(search=Search(common=False)),
    "low sheet": Twin(sheet=LOW),
    "low sheet, explores": Twin(sheet=LOW, explore=0.1),
}


def figures(story: Story, oracle: Story) -> list[dict[str, float]]:
    """One row a factory: reward a day and regret in each stage, and what the twin believed of machine 2."""
    rows = []
    for i in range(FACTORIES):
        row: dict[str, float] = {"seed": i}
        for name, days in STAGES.items():
            earned, best = story.reward[days, i].mean(), oracle.reward[days, i].mean()
            row |= {name: earned, f"{name}_regret": 1 - earned / best}
        for day in (19, DRIFT - 1, DAYS - 1):
            row |= {f"life_{day}": story.life[day, i, 1], f"width_{day}": story.width[day, i, 1]}
        row["failures"] = float(story.failures[:DRIFT, i].sum())
        rows.append({k: v if k == "seed" else float(v) for k, v in row.items()})
    return rows


def forecasts(
    name: str, chance: np.ndarray, fails: np.ndarray
) -> dict[str, list[dict[str, float]]]:
    """Brier scores beside those of the base rate, a factory a row; and reliability, a bin a row."""
    known = ~np.isnan(chance)
    base = fails[known].mean()
    scores = []
    for i in range(chance.shape[1]):
        ours, came = chance[:, i][known[:, i]], fails[:, i][known[:, i]]
        scores.append(
            {
                "seed": i,
                "brier": float(((ours - came) ** 2).mean()),
                "brier_of_base_rate": float(((base - came) ** 2).mean()),
                "mean_chance": float(ours.mean()),
                "rate": float(came.mean()),
            }
        )
    bins = []
    edges = np.array([0, 0.02, 0.05, 0.1, 0.2, 0.4, 1])
    for low, high in pairwise(edges):
        here = known & (chance >= low) & (chance < high)
        n, k = int(here.sum()), int(fails[here].sum())
        if n:
            interval = beta.ppf([0.025, 0.975], [k + 1e-9, k + 1], [n - k + 1, n - k + 1e-9])
            bins.append(
                {
                    "forecast": float(chance[here].mean()),
                    "count": n,
                    "rate": k / n,
                    "low": float(interval[0]),
                    "high": float(interval[1]),
                }
            )
    return {f"forecasts, {name}": scores, f"reliability, {name}": bins}


def by_day(stories: dict[str, Story]) -> dict[str, list[dict[str, float]]]:
    """Means over the factories on each day: reward, believed life of machine 2, and its width."""
    found = {}
    for what, pick in {
        "reward": lambda s: s.reward.mean(axis=1),
        "life": lambda s: s.life[:, :, 1].mean(axis=1),
        "width": lambda s: s.width[:, :, 1].mean(axis=1),
    }.items():
        columns = {name: pick(story) for name, story in stories.items()}
        found[f"{what} by day"] = [
            {"day": day, **{name: float(c[day]) for name, c in columns.items()}}
            for day in range(DAYS)
        ]
    return found


if __name__ == "__main__":
    with threadpool_limits(1):
        before, after = (best_plan(WORLD.life_on(day), WORLD.shape) for day in (0, DRIFT))
        promised = best_plan(np.array(Sheet().life), [Sheet().shape] * 3)
        plans = {
            "oracle": (before, after),
            "data sheet": (promised, promised),
            "never maintained": (NEVER, NEVER),
        }
        kinds = {name: Twin(plan=plan, particles=2) for name, plan in plans.items()} | KINDS
        stories: dict[str, Story] = {}
        for name, kind in kinds.items():
            stories[name] = live(kind, WORLD, FACTORIES, SEED)
            rewards = [round(stories[name].reward[days].mean(), 1) for days in STAGES.values()]
            print(name, rewards, flush=True)
        rows = {name: figures(story, stories["oracle"]) for name, story in stories.items()}
        fed, days = stories["fed"], slice(20, DRIFT)
        rows |= forecasts("as planned", fed.chance[days], fed.fails[days])
        rows |= forecasts("left in", fed.chance_left[days], fed.fails_left[days])
        rows |= by_day({name: story for name, story in stories.items() if name in list(KINDS)[:6]})
        how = SimpleNamespace(
            factories=FACTORIES,
            world=vars(WORLD),
            sheet=vars(Sheet()),
            plans=[before, after, promised],
        )
        write("twin", how, {}, rows)
