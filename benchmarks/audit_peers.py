"""Speed and memory of the audit against well-known libraries, side by side on the same data.

Run in the course's environment, about ten minutes on two cores:

    python benchmarks/audit_peers.py

SDMetrics gets an environment of its own in build/peers, made at the first run, which needs the
network: its licence and its pins keep it out of the course's. fairlearn and prdc are in the course's
extra `oracles`. Ours and theirs take turns, one thread each, and each figure is the median of the
turns in CPU seconds. What is timed starts from DataFrames (or arrays), so ours includes finding out
the columns' kinds and coding them; only the pairs are timed without the kinds as well, which an audit
finds out once for all of its checks.
"""

import contextlib
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from peers import environment
from threadpoolctl import threadpool_limits

from course_lib.audit import features
from course_lib.audit.checks import bias, pairs, privacy
from course_lib.audit.evidence import Evidence
from course_lib.audit.fidelity import manifold_measures
from course_lib.audit.finding import MARGINS
from course_lib.audit.table import Tables, prepare
from course_lib.datasets import loans

RESULTS = Path(__file__).with_name("results")
VERSIONS = {"sdmetrics": "0.32.0"}
SDMETRICS = f"sdmetrics=={VERSIONS['sdmetrics']}"
TURNS = 5
PAIR_ROWS, RECORD_ROWS, GROUP_ROWS = 50_000, 3_000, 50_000
BOOTSTRAPS = 1000  # of MetricFrame for an interval; a tenth of them is timed too
POINTS = (10_000, 64)
GOALS = {"pairs": 20, "closest": 100, "groups": 1000, "prdc": 3, "prdc_memory": 4}
GROUP_COLUMNS = ["sex", "ethnicity"]


def seconds(work: Callable) -> float:
    """CPU seconds of a call, on one thread."""
    with threadpool_limits(1):
        start = time.process_time()
        work()
        return time.process_time() - start


def sdmetrics(asked: str, tables: dict[str, pd.DataFrame]) -> dict:
    """What audit_peers_run.py answers about these tables."""
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            table.to_csv(Path(folder, f"{name}.csv"), index=False)
        return ask(asked, folder)


def ask(asked: str, folder: str) -> dict:
    """The answer of audit_peers_run.py about the files in a folder."""
    script = Path(__file__).with_name("audit_peers_run.py")
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    subprocess.run(
        [environment("sdmetrics", SDMETRICS), script, asked, folder], env=one_thread, check=True
    )
    return json.loads(Path(folder, f"{asked}.json").read_text(encoding="utf-8"))


def all_pairs() -> dict:
    """Joint counts, total variation, its interval and p-value of all pairs, against ColumnPairTrends."""
    real, synthetic = (loans.applicants(PAIR_ROWS, seed=seed) for seed in (0, 1))
    half = PAIR_ROWS // 2

    def read() -> Tables:
        return prepare(real[:half], real[half:], synthetic)

    turns, whole, rng = [], [], np.random.default_rng(0)
    for _ in range(TURNS):
        tables = read()
        ours = seconds(lambda tables=tables: list(pairs.check(Evidence(tables), rng)))
        theirs = sdmetrics("pairs", {"real": real, "synthetic": synthetic})["cpu_seconds"]
        turns.append((ours, theirs))
        whole.append(ours + seconds(read))
    found = ratio(turns, "pairs", rows=PAIR_ROWS, columns=real.shape[1])
    found["times_faster_with_reading"] = round(
        found["theirs_cpu_seconds"] / statistics.median(whole), 1
    )
    return found


def closest_records() -> dict:
    """The nearest training and holdout row of every synthetic one, against DCROverfittingProtection."""
    train, holdout, synthetic = (loans.applicants(RECORD_ROWS, seed=seed) for seed in range(3))

    def searched() -> None:
        tables = prepare(train, holdout, synthetic)
        real, made = features.encode(tables)
        privacy._closer(real, RECORD_ROWS, made, MARGINS)

    tables = {"train": train, "holdout": holdout, "synthetic": synthetic}
    turns = [(seconds(searched), sdmetrics("closest", tables)["cpu_seconds"]) for _ in range(2)]
    return ratio(turns, "closest", rows=RECORD_ROWS, columns=train.shape[1])


def groups() -> dict:
    """Approval rates of all groups and intersections with intervals, against MetricFrame's bootstrap.

    Ours looks at twice the rows: it compares the synthetic rates with the real ones.
    """
    from fairlearn.metrics import MetricFrame, selection_rate

    names = [*GROUP_COLUMNS, "approved"]
    real, synthetic = (loans.applicants(GROUP_ROWS, seed=seed)[names] for seed in (0, 1))
    half = GROUP_ROWS // 2

    def counted() -> None:
        tables = prepare(
            real[:half], real[half:], synthetic, label="approved", sensitive=GROUP_COLUMNS
        )
        list(bias._label_rates(Evidence(tables), tables.target))

    def bootstrap(draws: int) -> None:
        chosen = synthetic["approved"].to_numpy(int)
        frame = MetricFrame(
            metrics={"rate": selection_rate},
            y_true=chosen,
            y_pred=chosen,
            sensitive_features=synthetic[GROUP_COLUMNS],
            n_boot=draws,
            ci_quantiles=[0.025, 0.975],
            random_state=0,
        )
        frame.by_group_ci  # noqa: B018

    ours = statistics.median(seconds(counted) for _ in range(TURNS))
    few, many = (
        seconds(lambda draws=draws: bootstrap(draws)) for draws in (BOOTSTRAPS // 10, BOOTSTRAPS)
    )
    found = ratio([(ours, many)], "groups", rows=GROUP_ROWS, bootstraps=BOOTSTRAPS)
    return found | {"times_faster_with_a_tenth_of_the_bootstraps": round(few / ours, 1)}


def neighbours() -> dict:
    """Precision, recall, density and coverage against prdc: CPU seconds and peak memory.

    Each run has a process of its own. Its peak is that of the whole process; what its imports took
    (ours come with all of course_lib) is told beside it.
    """

    def run(which: str) -> dict:
        command = [sys.executable, __file__, "--neighbours", which]
        one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
        said = subprocess.run(command, env=one_thread, check=True, capture_output=True, text=True)
        return json.loads(said.stdout.splitlines()[-1])

    runs = [(run("ours"), run("prdc")) for _ in range(TURNS)]
    found = ratio([tuple(side["cpu_seconds"] for side in turn) for turn in runs], "prdc")
    memory = {}
    for name in ("imports_mib", "peak_mib"):
        ours, theirs = (statistics.median(turn[side][name] for turn in runs) for side in (0, 1))
        memory |= {f"ours_{name}": round(ours), f"theirs_{name}": round(theirs)}
    memory["times_less_at_peak"] = round(memory["theirs_peak_mib"] / memory["ours_peak_mib"], 1)
    beyond = [
        memory[f"{who}_peak_mib"] - memory[f"{who}_imports_mib"] for who in ("ours", "theirs")
    ]
    memory["times_less_beyond_imports"] = round(beyond[1] / max(beyond[0], 1), 1)
    largest = max(
        abs(ours["figures"][name] - theirs["figures"][name])
        for ours, theirs in runs
        for name in ours["figures"]
    )
    found["memory"] = memory | bar(memory["times_less_beyond_imports"], GOALS["prdc_memory"])
    return found | {"points": POINTS, "largest_difference_of_the_figures": largest}


def one_neighbours(which: str) -> None:
    """What a process of `neighbours` does."""
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=POINTS), 0.95 * rng.normal(size=POINTS)
    if which == "prdc":
        from prdc import compute_prdc as measure
    else:
        measure = manifold_measures
    before = peak()
    found = {}
    with contextlib.redirect_stdout(io.StringIO()):
        took = seconds(lambda: found.update(measure(real, generated, 5)))
    figures = {name: float(value) for name, value in found.items()}
    print(
        json.dumps(
            {
                "cpu_seconds": took,
                "imports_mib": before,
                "peak_mib": peak(),
                "figures": figures,
            }
        )
    )


def peak() -> float:
    """The largest resident size of this process so far, in MiB (Linux tells KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ratio(turns: list[tuple[float, float]], goal: str, **about) -> dict:
    """Medians of ours and theirs, how many times faster ours is, and whether the goal is met."""
    ours, theirs = (statistics.median(side) for side in zip(*turns, strict=True))
    return {
        **about,
        "turns": len(turns),
        "ours_cpu_seconds": round(ours, 4),
        "theirs_cpu_seconds": round(theirs, 3),
        "times_faster": round(theirs / ours, 1),
        **bar(theirs / ours, GOALS[goal]),
    }


def bar(reached: float, goal: float) -> dict[str, str]:
    return {"bar": f">= {goal:g}: {'met' if reached >= goal else 'MISSED'}"}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--neighbours"]:
        one_neighbours(sys.argv[2])
        raise SystemExit
    environment("sdmetrics", SDMETRICS)
    report = {
        "date": date.today().isoformat(),
        "versions": {
            "python": platform.python_version(),
            **VERSIONS,
            **{name: version(name) for name in ("course-lib", "numpy", "pandas", "scikit-learn")},
            **{name: version(name) for name in ("fairlearn", "prdc")},
        },
        "goals": GOALS,
    }
    works = {
        "pairs": all_pairs,
        "closest_records": closest_records,
        "groups": groups,
        "neighbours": neighbours,
    }
    for name, work in works.items():
        report[name] = work()
        print(name, json.dumps(report[name], indent=1), flush=True)
    file = RESULTS / "audit_peers.json"
    file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
