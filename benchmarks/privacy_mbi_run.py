"""Rows that mbi draws from noisy marginals; runs in an environment of its own.

    python privacy_mbi_run.py FOLDER

For each NAME.json and NAME.npz that privacy_mbi.py has left there it writes NAME_drawn.npz: cell numbers.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import mbi
import numpy as np

ITERATIONS = 1000


def drawn(about: dict, counts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows of the graphical model whose marginals come closest to the counts, weighted by their noise."""
    domain = mbi.Domain(list(about["sizes"]), list(about["sizes"].values()))
    measured = [
        mbi.LinearMeasurement(counts[str(i)].flatten(), tuple(columns), sd)
        for i, (columns, sd) in enumerate(about["measured"])
    ]
    model = mbi.estimation.MirrorDescent().estimate(domain, measured, iters=ITERATIONS)
    rows = model.synthetic_data(about["rows"])
    return {name: np.asarray(column) for name, column in rows.to_dict().items()}


if __name__ == "__main__":
    folder, seconds = Path(sys.argv[1]), {}
    for file in sorted(folder.glob("*.npz")):
        about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        start = time.process_time()
        found = drawn(about, dict(np.load(file)))
        seconds[file.stem] = round(time.process_time() - start, 1)
        np.savez(folder / f"{file.stem}_drawn.npz", **found)
        print(f"mbi: {file.stem}, {seconds[file.stem]} CPU seconds", flush=True)
    versions = {name: version(name) for name in ("mbi", "jax", "numpy")}
    answer = {"versions": versions, "cpu_seconds": seconds, "iterations": ITERATIONS}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
