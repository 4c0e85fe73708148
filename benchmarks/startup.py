"""How long the commands take to start: what anyone waits for before anything happens.

Run in the course's environment, half a minute:

    python benchmarks/startup.py

Each command runs in turn with a Python that does nothing, so that both meet the same load.
The figures are medians of RUNS runs, in seconds and as a ratio. It writes results/startup.json.
"""

import json
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from common import RESULTS, provenance

RUNS = 15
PROGRAM = str(Path(sysconfig.get_path("scripts"), "course-lib"))
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import course_lib": [sys.executable, "-c", "import course_lib"],
    "course-lib --help": [PROGRAM, "--help"],
    "course-lib audit --help": [PROGRAM, "audit", "--help"],
    "import numpy": [sys.executable, "-c", "import numpy"],
}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    runs: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            runs[name].append(seconds(command))
    medians = {name: statistics.median(times) for name, times in runs.items()}
    rows = [
        {
            "command": name,
            "median_seconds": round(median, 3),
            "best_seconds": round(min(runs[name]), 3),
            "times_an_empty_python": round(median / medians["python"], 2),
        }
        for name, median in medians.items()
    ]
    for row in rows:
        print(row)
    report = {**provenance(), "runs": RUNS, "rows": rows}
    (RESULTS / "startup.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
