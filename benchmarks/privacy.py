"""What synthetic tables give away, over five seeds.

    python benchmarks/privacy.py verbatim

`verbatim`: is a record's rare number found verbatim in the synthetic table? For each model of lesson
05, once with decoders that draw only numbers seen and once as they are by default, beside the distance
to the closest record. A third of the rows is learnt from, a third is the control, and a third tells how
common a value is; of the loans 6,000 rows are taken.
"""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import SEEDS, rounded, write

from course_lib import datasets
from course_lib.models.tabular import (
    GaussianCopula,
    IndependentColumns,
    TableEncoder,
    TableModel,
    TabularDiffusion,
    TabularVAE,
)
from course_lib.privacy import attacks

ROWS = {"breast_cancer": 567, "loans": 6000}
STEPS = 1000


def thirds(name: str, seed: int) -> list[pd.DataFrame]:
    """Rows to learn from, a control and a reference, drawn by the seed."""
    data = datasets.load(name)
    rows = pd.concat([data.train, data.held_out], ignore_index=True).drop(
        columns="default", errors="ignore"
    )
    order = np.random.default_rng(seed).permutation(len(rows))[: ROWS[name]]
    return [rows.iloc[part].reset_index(drop=True) for part in np.array_split(order, 3)]


def models(seen_only: bool) -> dict[str, TableModel]:
    return {
        "independent columns": IndependentColumns(seen_only),
        "Gaussian copula": GaussianCopula(seen_only),
        "VAE": TabularVAE(TableEncoder(seen_only=seen_only)),
        "diffusion": TabularDiffusion(TableEncoder(seen_only=seen_only)),
    }


def verbatim_run(name: str, seed: int) -> dict[str, dict]:
    """A row of figures for each model and decoder."""
    train, control, reference = thirds(name, seed)
    rows = {}
    for seen_only in (True, False):
        for model_name, model in models(seen_only).items():
            given = {"steps": STEPS, "seed": seed} if hasattr(model, "encoder") else {}
            made = model.fit(train, **given).sample(len(train), seed=seed + 1)
            scores = [attacks.verbatim_numbers(t, made, reference) for t in (train, control)]
            space = TableEncoder().fit(pd.concat([train, control, reference, made]))
            x_made = space.encode(made)
            near = [attacks.closest_record(space.encode(t), x_made) for t in (train, control)]
            decoder = "only numbers seen" if seen_only else "smoothed"
            rows[f"{name}: {model_name}, {decoder}"] = {
                "seed": seed,
                "auc": attacks.auc(*scores),
                "tpr_at_1_percent": attacks.tpr_at_fpr(*scores, 0.01),
                "closest_record_auc": attacks.auc(*near),
            }
    return rows


def verbatim() -> None:
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name in ROWS:
            for group, row in verbatim_run(name, seed).items():
                results.setdefault(group, []).append(row)
                print(group, rounded(row), flush=True)
    write("privacy_verbatim", SimpleNamespace(rows=ROWS, steps=STEPS), {}, results)


TASKS = {"verbatim": verbatim}

if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == [] or sys.argv[1] not in TASKS:
        sys.exit(f"python benchmarks/privacy.py {' | '.join(TASKS)}")
    TASKS[sys.argv[1]]()
