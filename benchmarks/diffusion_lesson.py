"""Lesson 03's own functions over five seeds: what a learner who solves it will see.

Run in the course's environment, about five minutes on two cores:

    python benchmarks/diffusion_lesson.py

It runs the notebook's code cells, up to the claims on steps, once for each seed, and writes
results/diffusion_lesson.json. In the notebook a stub is replaced by the library's function, as it is
for a learner who has not solved it yet.
"""

import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
from common import SEEDS, rounded, write

from course_lib import session
from course_lib.syllabus import lesson

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "03_diffusion.ipynb"
LAST = "steps-claim"
BARS = {"read_as_asked": (">=", 0.98), "fd_over_floor": ("<=", 1.5), "cpu_seconds": ("<=", 60.0)}


def cells() -> list[str]:
    """The sources of the code cells, without Colab's and without the sliders."""
    book = nbformat.read(NOTEBOOK, as_version=4)
    found = []
    for cell in book.cells:
        if cell.cell_type == "code" and cell.id not in ("colab", "noise-explore"):
            found.append(cell.source)
        if cell.id == LAST:
            return found
    raise ValueError(f"{NOTEBOOK.name} has no cell {LAST!r}.")


def one_run(seed: int) -> dict[str, float]:
    """Run the cells with this seed; the figures of the samplers and of the numbers of steps."""
    start = session.start
    session.start = lambda name: start(name, "cpu", seed)
    names: dict = {"__name__": "lesson"}
    began, trained = time.process_time(), 0.0
    try:
        for source in cells():
            before = time.process_time()
            exec(compile(source, NOTEBOOK.name, "exec"), names)
            plt.close("all")
            if "model = train(" in source:
                trained = time.process_time() - before
    finally:
        session.start = start
    row = {"cpu_seconds": trained, "cpu_seconds_of_all_cells": time.process_time() - began}
    for name, figures in names["results"].items():
        prefix = "" if name == "DDIM" else f"{name.replace(',', '').replace(' ', '_')}_"
        for figure, value in figures.items():
            row[prefix + figure.replace(" / ", "_over_").replace(" ", "_").lower()] = value
    for name, values in names["quality"].items():
        for count, value in zip(names["counts"], values, strict=True):
            row[f"{name.lower()}_{count}_fd_over_floor"] = value
    return row


if __name__ == "__main__":
    rows = []
    with tempfile.TemporaryDirectory() as state:
        os.environ |= {"COURSE_STATE": state, "COURSE_INTERACTIVE": "0", "MPLBACKEND": "agg"}
        for seed in SEEDS:
            rows.append({"seed": seed, **one_run(seed)})
            print(rounded(rows[-1]), flush=True)
    write(
        "diffusion_lesson",
        lesson("03_diffusion").settings("cpu"),
        BARS,
        {"the lesson's split": rows},
    )
