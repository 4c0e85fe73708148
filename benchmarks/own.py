"""The bars of lessons 01 to 03 by the functions that learners write there, over five seeds.

Run in the course's environment, about eight minutes on one core:

    python benchmarks/own.py                  # or only some: python benchmarks/own.py 03_diffusion

The other benchmarks of these lessons measure the library's models. This one runs the cells of the
notebooks, with the library's functions as answers to the exercises, up to the images that are judged, and
writes results/own.json or those rows of it. Cells that have nothing to do with the model are left out.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from types import SimpleNamespace

import nbformat
import torch
from common import ASKED, RESULTS, SEEDS, Judged, rounded, split_of_lesson, write

from course_lib.syllabus import lesson

NOTEBOOKS = RESULTS.parents[1] / "notebooks"
# Of each lesson: the last cell that is run, cells that are left out, the images, and what was asked for.
WORK: dict[str, tuple[str, set[str], Callable, torch.Tensor | None]] = {
    "01_vae": (
        "cvae-train",
        {
            "ae-reconstruct",
            "ae-sample",
            "ae-why",
            "kl-monte-carlo",
            "train",
            "vae-result",
            "outside",
            "vae-samples",
            "codes-on-prior",
            "overfit-run",
            "beta-run",
            "beta-plot",
            "map-train",
            "map-confusion",
            "map-figure",
            "interpolate-plot",
        },
        lambda made: made["draw"](made["cvae_images"]),
        ASKED,
    ),
    "02_gan": (
        "stabilised-measure",
        {"densities", "critic-plot", "value", "losses-plot", "starve-measure"},
        lambda made: made["stabilised_images"],
        None,
    ),
    "03_diffusion": (
        "sampler",
        {"chain-compare", "noise-explore", "rows", "rows-errors"},
        lambda made: made["generated"],
        ASKED,
    ),
}
BARS = {"read_as_asked": (">=", 0.97), "recall": (">=", 0.75)}


def run_cells(name: str, seed: int) -> dict:
    """What the cells of lesson `name` have made, up to its images."""
    last, left_out, *_ = WORK[name]
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    ids = [cell.id for cell in cells]
    assert last in ids and left_out <= set(ids), "the notebook's cells have other ids now"
    made: dict = {"__name__": "__main__"}
    for cell in cells[: ids.index(last) + 1]:
        claims = "claim" in cell.metadata.get("tags", [])
        if cell.cell_type != "code" or cell.id in left_out | {"colab"} or claims:
            continue
        source = cell.source.replace(f'start("{name}")', f'start("{name}", seed={seed})')
        exec(compile(source, f"{name}, {cell.id}", "exec"), made)
    return made


def one_run(name: str, seed: int) -> dict[str, float]:
    """The figures of one seed; the seconds are those of all cells that were run."""
    start = time.process_time()
    made = run_cells(name, seed)
    seconds = round(time.process_time() - start, 2)
    *_, images_of, asked = WORK[name]
    images, judged = images_of(made), Judged(split_of_lesson(), seed)
    counts = judged.judge.predict(images).bincount(minlength=10)
    row = judged.figures(images, asked)
    row["digits"] = float((counts >= len(images) / 100).sum())
    return {**row, "cpu_seconds": seconds}


def main(names: list[str]) -> None:
    os.environ["COURSE_INTERACTIVE"] = "0"
    file = RESULTS / "own.json"
    results = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.exists() else {}
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        for name in names:
            results[name] = []
            for seed in SEEDS:
                results[name].append({"seed": seed, **one_run(name, seed)})
                print(name, rounded(results[name][-1]), flush=True)
    settings = {name: lesson(name).settings("cpu") for name in results}
    write("own", SimpleNamespace(**settings), BARS, results)


if __name__ == "__main__":
    main(sys.argv[1:] or list(WORK))
