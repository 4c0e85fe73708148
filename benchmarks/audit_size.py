"""How long the audit takes, and how much memory, as tables grow.

Run in the course's environment, about two minutes on one core; it writes into results/audit.json:

    python benchmarks/audit_size.py

Draws of the loan simulator, all of one distribution: n training rows, n / 2 holdout rows and n synthetic
ones, 15 columns, label approved, sensitive columns sex and ethnicity, which make 14 groups. Each size runs
in a process of its own, which says its CPU seconds and its peak memory, imports and data included.
"""

import json
import resource
import subprocess
import sys
import time

from audit import write

from course_lib.audit import audit
from course_lib.datasets.loans import applicants

SIZES = (10_000, 50_000, 1_000_000)


def measure(n: int) -> dict[str, float]:
    train, holdout, synthetic = (
        applicants(rows, seed=seed) for seed, rows in enumerate((n, n // 2, n))
    )
    wall, cpu = time.perf_counter(), time.process_time()
    report = audit(
        train, holdout, synthetic, label="approved", sensitive=["sex", "ethnicity"], progress=False
    )
    return {
        "rows": n,
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
        "findings": len(report.findings),
        "notes": list(report.notes),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        sys.exit()
    runs = []
    for size in SIZES:
        done = subprocess.run([sys.executable, __file__, str(size)], stdout=-1, check=True)
        runs.append(json.loads(done.stdout))
        print(runs[-1], flush=True)
    write("size", {"runs": runs}, sum(run["cpu_seconds"] for run in runs))
