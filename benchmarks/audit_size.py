"""How long the audit takes, and how much memory, as tables grow longer and wider.

Run in the course's environment, about eight minutes on one core; it writes into results/audit.json:

    python benchmarks/audit_size.py

Draws of the loan simulator, all of one distribution: n training rows, n / 2 holdout rows and n synthetic
ones, 15 columns, label approved, sensitive columns sex and ethnicity, which make 14 groups. Each size runs
in a process of its own, which says its CPU seconds and its peak memory, imports and data included.

Of wide tables: 2,000 rows each, half of the columns numbers and half categories of five levels, which share
eight factors; one of them is the label, and one is sensitive.

    python benchmarks/audit_size.py attacks

tells in a minute by how much the attacks of `audit/checks/attacks.py` prolong an audit: with and without
them in turns, in one process and on the same tables.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from audit import write

from course_lib.audit import audit
from course_lib.audit.checks import attacks
from course_lib.datasets.loans import applicants

SIZES = (10_000, 50_000, 1_000_000)
WIDTHS = (15, 200, 500, 2_000)
ROWS = 2_000  # of a wide table
ATTACKED, TURNS = (2_000, 10_000), 3  # rows with and without the attacks, and how often


def wide(columns: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    weights = np.random.default_rng(0).normal(size=(8, columns))
    numbers = rng.normal(size=(ROWS, 8)) @ weights + 2 * rng.normal(size=(ROWS, columns))
    levels = np.array(list("abcde"))[np.digitize(numbers, [-3, -1, 1, 3])]
    half = columns // 2
    return pd.DataFrame(
        {f"x{i}": numbers[:, i] for i in range(half)}
        | {f"c{i}": levels[:, i] for i in range(half, columns)}
    )


def measure(kind: str, n: int) -> dict[str, object]:
    if kind == "rows":
        tables = [applicants(rows, seed=seed) for seed, rows in enumerate((n, n // 2, n))]
        asked = {"label": "approved", "sensitive": ["sex", "ethnicity"]}
    else:
        tables = [wide(n, seed) for seed in range(3)]
        asked = {"label": f"c{n - 1}", "sensitive": [f"c{n - 2}"]}
    wall, cpu = time.perf_counter(), time.process_time()
    report = audit(*tables, **asked, progress=False)
    page = len(report.to_html().encode()) / 1e6
    return {
        kind: n,
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
        "findings": len(report.findings),
        "failures": report.counts["fail"],
        "page_mb": round(page, 2),
        "notes": list(report.notes),
    }


def prolonged() -> list[dict[str, float]]:
    """CPU seconds of audits with and without the attacks, and their ratio, by rows."""
    runs, check = [], attacks.check
    for n in ATTACKED:
        tables = [applicants(rows, seed=seed) for seed, rows in enumerate((n, n // 2, n))]
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(TURNS):
            for made in seconds:
                attacks.check = check if made else lambda evidence, rng: iter(())
                start = time.process_time()
                audit(*tables, label="approved", sensitive=["sex", "ethnicity"], progress=False)
                seconds[made].append(time.process_time() - start)
        found, without = (statistics.median(seconds[made]) for made in (True, False))
        runs.append({"rows": n, "with": found, "without": without, "ratio": found / without})
        print(runs[-1], flush=True)
    return [{name: round(value, 2) for name, value in run.items()} for run in runs]


if __name__ == "__main__":
    if sys.argv[1:] == ["attacks"]:
        write("attacks", {"turns": TURNS, "runs": prolonged()})
        sys.exit()
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
        sys.exit()
    for part, kind, values in (("size", "rows", SIZES), ("width", "columns", WIDTHS)):
        runs = []
        for value in values:
            command = [sys.executable, __file__, kind, str(value)]
            runs.append(json.loads(subprocess.run(command, stdout=-1, check=True).stdout))
            print(runs[-1], flush=True)
        write(part, {"cpu_seconds": sum(run["cpu_seconds"] for run in runs), "runs": runs})
