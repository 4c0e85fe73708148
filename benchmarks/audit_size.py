"""How long the audit takes, and how much memory, as tables grow longer and wider.

Run in the course's environment, about eight minutes on one core; it writes into results/audit.json:

    python benchmarks/audit_size.py

Draws of the loan simulator, all of one distribution: n training rows, n / 2 holdout rows and n synthetic
ones, 15 columns, label approved, sensitive columns sex and ethnicity, which make 14 groups. Each size runs
in a process of its own, which says its CPU seconds and its peak memory, imports and data included.

Of wide tables: 2,000 rows each, half of the columns numbers and half categories of five levels, which share
eight factors; one of them is the label, and one is sensitive.

    python benchmarks/audit_size.py files

audits Parquet folders that are read in batches, by two processes: n training rows, n / 10 holdout rows and
n synthetic ones, for a million, three and ten million; a million also in memory, to compare each figure
that is counted over all rows. About ten CPU minutes, and 1 GB on the disk.

    python benchmarks/audit_size.py attacks

tells in a minute by how much the attacks of `audit/checks/attacks.py` prolong an audit: with and without
them in turns, in one process and on the same tables.
"""

import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from audit import write

from course_lib.audit import audit, audit_files
from course_lib.audit.checks import attacks
from course_lib.datasets.loans import applicants

SIZES = (10_000, 50_000, 1_000_000)
WIDTHS = (15, 200, 500, 2_000)
ROWS = 2_000  # of a wide table
FILES = (1_000_000, 3_000_000, 10_000_000)  # rows of each table that is read in batches
PIECE = 500_000  # rows of one of its files
COUNTED = (
    "missing_rate", "total_variation", "levels", "rare_share", "tail_share", "pair_total_variation",
    "group_share", "label_rate", "label_gap", "association", "exact_copies",
)  # fmt: skip
ASKED = {"label": "approved", "sensitive": ["sex", "ethnicity"], "progress": False}
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


def write_tables(folder: Path, n: int) -> list[Path]:
    """Folders of Parquet files with training, holdout and synthetic rows."""
    paths = []
    for part, rows in enumerate((n, n // 10, n)):
        path = folder / str(part)
        path.mkdir()
        for piece, first in enumerate(range(0, rows, PIECE)):
            table = applicants(min(PIECE, rows - first), seed=1_000 * part + piece)
            table.to_parquet(path / f"{piece:04}.parquet", index=False)
        paths.append(path)
    return paths


class Memory(threading.Thread):
    """Watches the memory of this process and its children, added up, ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done, self.peak = threading.Event(), 0

    def run(self) -> None:
        me = psutil.Process()
        while not self.done.wait(0.1):
            total = 0
            for process in (me, *me.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
            self.peak = max(self.peak, total)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def of_files(paths: list[str], in_memory: bool) -> dict[str, object]:
    """One audit of these folders: CPU seconds and peak memory, and what it counted over all rows."""
    wall = time.perf_counter()
    watch = Memory()
    with watch:
        if in_memory:
            report = audit(*map(pd.read_parquet, paths), **ASKED)
        else:
            report = audit_files(*paths, workers=2, **ASKED)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "rows": report.about["rows"],
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(sum(each.ru_utime + each.ru_stime for each in used), 1),
        "peak_gb": round(watch.peak / 1024**3, 2),
        "failures": report.counts["fail"],
        "counted": {f.id: [f.estimate, f.low, f.high, f.p] for f in report if f.metric in COUNTED},
    }


def files() -> dict[str, object]:
    """Audits of files of growing size, and how far one of them agrees with an audit in memory."""
    runs, found = [], []
    for n in FILES:
        with tempfile.TemporaryDirectory() as folder:
            paths = list(map(str, write_tables(Path(folder), n)))
            for way in ("files", "memory") if n == FILES[0] else ("files",):
                command = [sys.executable, __file__, way, *paths]
                run = json.loads(subprocess.run(command, stdout=-1, check=True).stdout)
                found.append(run.pop("counted"))
                runs.append({"way": way, **run})
                print(runs[-1], flush=True)
    batched, memory = found[:2]
    same = sum(batched[name] == memory[name] for name in memory if name in batched)
    return {"runs": runs, "counted_findings": len(memory), "equal_to_the_last_digit": same}


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
    if sys.argv[1:] == ["files"]:
        write("files", files())
        sys.exit()
    if len(sys.argv) == 5:
        print(json.dumps(of_files(sys.argv[2:], sys.argv[1] == "memory")))
        sys.exit()
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
