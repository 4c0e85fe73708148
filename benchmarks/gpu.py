"""Every lesson under the gpu preset on this machine's GPU, through nbval: minutes and memory.

Run in the course's environment on a machine with an NVIDIA GPU:

    python benchmarks/gpu.py                # or some of them: python benchmarks/gpu.py 02_gan

It writes results/gpu.json and prints the lines for the table in docs/gpu.md. Memory is the most that
the whole device had in use (nvidia-smi, every half second), so nothing else should run on it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from common import RESULTS, provenance

from course_lib.syllabus import course

ROOT = Path(__file__).resolve().parents[1]
MEMORY = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]


def memory() -> int:
    """The GPU's memory in use, MiB."""
    return int(subprocess.check_output(MEMORY, text=True))


def run(name: str) -> dict:
    """One lesson from top to bottom, with nothing trained before: minutes, MiB, and how it ended."""
    command = [sys.executable, "-m", "pytest", f"notebooks/{name}.ipynb", "-q", "--numprocesses=0"]
    with tempfile.TemporaryDirectory() as state, tempfile.TemporaryFile("w+") as said:
        own = {"COURSE_PRESET": "gpu", "COURSE_STATE": state, "COURSE_INTERACTIVE": "0"}
        env = {**os.environ, **own, "OMP_NUM_THREADS": "1"}
        before = peak = memory()
        start = time.perf_counter()
        lesson = subprocess.Popen(command, cwd=ROOT, env=env, stdout=said, stderr=said, text=True)
        while lesson.poll() is None:
            peak = max(peak, memory())
            time.sleep(0.5)
        minutes = (time.perf_counter() - start) / 60
        said.seek(0)
        counts = re.findall(r"\d+ (?:passed|failed|errors?|skipped)", said.read()[-400:])
    return {"lesson": name, "minutes": minutes, "mib": peak - before, "tests": ", ".join(counts)}


def main(names: list[str]) -> int:
    if not torch.cuda.is_available():
        print("PyTorch sees no CUDA GPU here, so there is nothing to measure.")
        return 1
    device = torch.cuda.get_device_name(0)
    print("| lesson | device | minutes | GPU memory, MiB | cells |\n|---|---|---|---|---|")
    rows = []
    for name in names or course().lessons:
        rows.append(row := run(name))
        print(
            f"| {name} | {device} | {row['minutes']:.1f} | {row['mib']} | {row['tests']} |",
            flush=True,
        )
    report = {**provenance(), "device": device, "runs": rows}
    (RESULTS / "gpu.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
