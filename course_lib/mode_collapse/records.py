"""What `benchmarks/mode_collapse.py` measured and what papers report, so that lessons need not train."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.mode_collapse.snapshots import Run

FIGURES = Path(__file__).with_name("recorded") / "points.json"
PUBLISHED = Path(__file__).with_name("recorded") / "published.csv"
KNOBS = Path(__file__).with_name("recorded") / "knobs.npz"


def record(benchmark: str) -> dict:
    """All that is recorded of "ring" or "grid": date, versions, settings, cpu_seconds and runs.

    >>> record("ring")["settings"]["vanilla"]["steps"]
    4000
    """
    return _figures()[benchmark]


def cure_runs(benchmark: str) -> pd.DataFrame:
    """One row for each cure and seed: cure, seed, modes, high_quality, reverse_kl.

    The divergence is infinite where a generator drew no high-quality sample at all.

    >>> len(cure_runs("ring").query("cure == 'vanilla'"))  # five seeds
    5
    """
    return pd.DataFrame(record(benchmark)["runs"]).fillna({"reverse_kl": np.inf})


def cure_table(benchmark: str) -> pd.DataFrame:
    """One row for each cure: means over the seeds, `fewest` modes, CPU seconds for all seeds together.

    Sorted by modes, then by reverse KL divergence.

    >>> int(cure_table("ring").loc["diffusion", "modes"])
    8
    """
    rows = cure_runs(benchmark).groupby("cure")
    means = rows[["modes", "high_quality", "reverse_kl"]].mean()
    means.insert(1, "fewest", rows["modes"].min())
    means["cpu_seconds"] = pd.Series(record(benchmark)["cpu_seconds"])
    return means.sort_values(["modes", "reverse_kl"], ascending=[False, True])


def published(benchmark: str) -> pd.DataFrame:
    """What the tables of VEEGAN and PacGAN say of "ring" or "grid"; NaN where they say nothing.

    >>> published("ring").columns.to_list()
    ['source', 'modes', 'high_quality', 'reverse_kl']
    """
    rows = pd.read_csv(PUBLISHED).query("benchmark == @benchmark")
    return rows.drop(columns="benchmark").set_index("model")


def knobs() -> dict[str, dict[float, Run]]:
    """By setting and value, the vanilla ring recipe with that one setting changed.

    Samples and surfaces are those of the first seed only; modes and quality those of all five.

    >>> list(knobs()["d_steps"])
    [1.0, 2.0, 4.0]
    """
    found: dict[str, dict[float, Run]] = {}
    with np.load(KNOBS, allow_pickle=False) as arrays:
        for name in sorted({key.rpartition("/")[0] for key in arrays}):
            setting, _, value = name.partition("=")
            parts = {part: arrays[f"{name}/{part}"] for part in Run.__dataclass_fields__}
            found.setdefault(setting, {})[float(value)] = Run(**parts)
    return {setting: dict(sorted(values.items())) for setting, values in found.items()}


@cache
def _figures() -> dict:
    return json.loads(FIGURES.read_text(encoding="utf-8"))
