"""Lesson 05's models of tables against baselines and against ctgan's CTGAN and TVAE, over five seeds.

Run in the course's environment, about five minutes, and sixteen for the peers' training:

    python benchmarks/tabular.py
    python benchmarks/tabular.py ours    # measures again what our models draw

The second keeps the rows of ctgan's models and all times, which compare only within one run.

`ctgan` gets an environment of its own in build/peers, made at the first run, which needs the network:
its licence is not an open-source one. What its models drew is kept next to it and used again. One
thread each, times in CPU seconds. ctgan's models keep their own settings, 300 epochs among them.

All are measured by one code on the held-out rows: the mean total variation of the columns, and of the
pairs of columns (numbers cut into bins as in the audit); what gradient-boosted trees lose that learn
from synthetic rows instead of the training rows (the audit's learner and columns); and the share of
synthetic rows that lie nearer to a training row than to any of as many held-out ones (a half, unless
the model learnt rows by heart).
"""

import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import RESULTS, SEEDS, rounded, timed, write
from peers import PEERS, environment
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from course_lib import datasets
from course_lib.audit import features
from course_lib.audit.learners import learner, prepare_trials
from course_lib.audit.table import prepare
from course_lib.datasets.loans import applicants
from course_lib.models.tabular import (
    GaussianCopula,
    IndependentColumns,
    TableModel,
    TabularDiffusion,
    TabularVAE,
)

WANTED = ("ctgan==0.12.1", "torch==2.13.0")
EPOCHS = 300  # ctgan's default
STEPS = 1000  # our models' default
QUICK = {"loans": 600, "breast_cancer": 150}  # steps in a tenth of the quicker peer's time
SIZE = (10_000, 12)
BARS = {
    "accuracy_lost": ("<=", 0.03),
    "auc_lost": ("<=", 0.03),
    "cpu_seconds_of_10000_x_12": ("<=", 30),
    "share_of_training_time": ("<=", 0.1),
    "columns_over_peer": ("<=", 1),
    "pairs_over_peer": ("<=", 1),
    "accuracy_gained": (">=", 0),
    "auc_gained": (">=", 0),
}


def prepared(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table as ctgan takes it, and its discrete columns: no missing numbers, levels as text.

    A missing number becomes the median, with a discrete column added that says so; a missing
    level becomes a level of its own.
    """
    columns, discrete = {}, []
    for name in frame:
        values = frame[name]
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            columns[name] = values.astype(object).where(values.notna(), "missing").astype(str)
            discrete.append(name)
            continue
        columns[name] = values.fillna(values.median())
        if values.isna().any():
            columns[f"{name} is missing"] = values.isna().astype(str)
            discrete.append(f"{name} is missing")
    return pd.DataFrame(columns), discrete


def restored(made: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """What a peer drew, in the columns and dtypes of the real table."""
    columns = {}
    for name in frame:
        values, dtype = made[name], frame[name].dtype
        if pd.api.types.is_bool_dtype(dtype):
            values = values.map({"True": True, "False": False}).astype(dtype)
        elif pd.api.types.is_integer_dtype(dtype):
            values = values.round().astype(dtype)
        elif f"{name} is missing" in made:
            values = values.mask(made[f"{name} is missing"] == "True")
        columns[name] = values
    return pd.DataFrame(columns)


def peer(which: str, data: datasets.TableDataset, seed: int) -> tuple[pd.DataFrame, dict]:
    """What CTGAN or TVAE drew, as many rows as it learnt from, and its CPU seconds."""
    python, folder = environment("ctgan", *WANTED), PEERS / "tables"
    folder.mkdir(exist_ok=True)
    table, discrete = prepared(data.train)
    told, file = folder / f"{data.name}.json", folder / f"{data.name}.csv"
    name = f"{data.name}-{which}-{EPOCHS}-{seed}"
    out, said = folder / f"{name}.csv", folder / f"{name}.json"
    if not said.exists():
        table.to_csv(file, index=False)
        about = {"file": str(file), "discrete": discrete, "rows": len(table)}
        told.write_text(json.dumps(about), encoding="utf-8")
        script = Path(__file__).with_name("tabular_peers_run.py")
        command = [python, script, which, told, out, str(EPOCHS), str(seed)]
        one_thread = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
        done = subprocess.run(command, env=one_thread, check=True, capture_output=True, text=True)
        said.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
    made = pd.read_csv(out, dtype=dict.fromkeys(discrete, str), keep_default_na=False)
    took = json.loads(said.read_text(encoding="utf-8"))
    times = {
        f"{part}_cpu_seconds": took[f"{part}_cpu_seconds"] for part in ("training", "sampling")
    }
    return restored(made, data.train), times


def ours(model: TableModel, data: datasets.TableDataset, seed: int, **steps: int):
    """What a model of ours draws, as many rows as it learnt from, and its CPU seconds."""
    given = {**steps, "seed": seed} if steps else {}
    _, training = timed(lambda: model.fit(data.train, **given))
    made, sampling = timed(lambda: model.sample(len(data.train), seed=seed + 1))
    return made, {"training_cpu_seconds": training, "sampling_cpu_seconds": sampling}


def measured(data: datasets.TableDataset, made: pd.DataFrame, seed: int) -> dict[str, float]:
    """Fidelity and utility of synthetic rows, against the held-out ones."""
    tables = prepare(data.train, data.held_out, made, label=data.label)
    codes = []
    for column in tables.values.values():
        real, synthetic, cells = column.coarse
        codes.append((real[tables.n_train :].astype(int), synthetic.astype(int), cells))
    columns = [variation(*column) for column in codes]
    pairs = [
        variation(real * cells + other, made * cells + other_made, known * cells)
        for (real, made, known), (other, other_made, cells) in combinations(codes, 2)
    ]
    figures = {"columns_tv": np.mean(columns).item(), "pairs_tv": np.mean(pairs).item()}
    real, synthetic = features.encode(tables)
    train, held = real[: tables.n_train], real[tables.n_train :]
    train = train[np.random.default_rng(seed).permutation(len(train))[: len(held)]]
    near = [
        NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(synthetic)[0] for rows in (train, held)
    ]
    figures["nearer_to_training_rows"] = np.mean(
        (near[0] < near[1]) + 0.5 * (near[0] == near[1])
    ).item()
    trials = prepare_trials(tables, tables.target, np.random.default_rng(seed))
    for side, (x, y) in (("synthetic", trials.made), ("real", trials.train)):
        moves = np.isfinite(x).any(axis=0)
        model = learner(trials.kind, len(y)).fit(x[:, moves], y)
        said = model.predict_proba(trials.x[:, moves])[:, 1]
        figures[f"accuracy_{side}"] = accuracy_score(trials.y, said > 0.5)
        figures[f"auc_{side}"] = roc_auc_score(trials.y, said)
    return figures


def variation(one: np.ndarray, other: np.ndarray, cells: int) -> float:
    """Total variation of two samples of codes: half the summed differences of their shares."""
    shares = [np.bincount(codes, minlength=cells) / len(codes) for codes in (one, other)]
    return 0.5 * np.abs(shares[0] - shares[1]).sum()


def lost(figures: dict) -> dict[str, float]:
    return {
        f"{m}_lost": figures[f"{m}_real"] - figures[f"{m}_synthetic"] for m in ("accuracy", "auc")
    }


def against(quick: dict, theirs: dict) -> dict[str, float]:
    """Our quick model compared with a peer: shares of its time and distances, and what utility it gains."""
    return {
        "share_of_training_time": quick["training_cpu_seconds"] / theirs["training_cpu_seconds"],
        "columns_over_peer": quick["columns_tv"] / theirs["columns_tv"],
        "pairs_over_peer": quick["pairs_tv"] / theirs["pairs_tv"],
        "accuracy_gained": quick["accuracy_synthetic"] - theirs["accuracy_synthetic"],
        "auc_gained": quick["auc_synthetic"] - theirs["auc_synthetic"],
    }


def one_run(name: str, seed: int, kept: dict[str, list[dict]] | None = None) -> dict[str, dict]:
    """A row of figures for each model and comparison; `kept` are the rows of an earlier run."""
    data = datasets.load(name)
    models = {
        "training rows themselves": (data.train, {}),
        "independent columns": ours(IndependentColumns(), data, seed),
        "Gaussian copula": ours(GaussianCopula(), data, seed),
        "VAE": ours(TabularVAE(), data, seed, steps=STEPS),
        "diffusion": ours(TabularDiffusion(), data, seed, steps=STEPS),
        "quick diffusion": ours(TabularDiffusion(), data, seed, steps=QUICK[name]),
    }
    if kept is None:
        models |= {which: peer(which, data, seed) for which in ("TVAE", "CTGAN")}
    rows = {}
    for model, (made, times) in models.items():
        rows[model] = {"seed": seed, **times, **measured(data, made, seed)}
    for model in ("VAE", "diffusion", "quick diffusion"):
        rows[model] |= lost(rows[model])
    if kept is not None:
        for model, row in rows.items():
            row |= {k: v for k, v in of_seed(kept, f"{name}: {model}", seed).items() if "cpu" in k}
    for which in ("TVAE", "CTGAN"):
        if kept is not None:
            rows[which] = of_seed(kept, f"{name}: {which}", seed)
        row = {"seed": seed, **against(rows["quick diffusion"], rows[which])}
        rows[f"quick diffusion against {which}"] = row
    return rows


def of_seed(runs: dict[str, list[dict]], group: str, seed: int) -> dict:
    return next(row for row in runs[group] if row["seed"] == seed)


def size_run(seed: int) -> dict[str, dict]:
    """Training time of our models on a larger table."""
    rows, columns = SIZE
    table = applicants(rows, seed=seed).iloc[:, :columns]
    return {
        f"10,000 x 12: {name}": {
            "seed": seed,
            "cpu_seconds_of_10000_x_12": timed(
                lambda model=model: model.fit(table, steps=STEPS, seed=seed)
            )[1],
        }
        for name, model in (("VAE", TabularVAE()), ("diffusion", TabularDiffusion()))
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    earlier = None
    if sys.argv[1:] == ["ours"]:
        earlier = json.loads((RESULTS / "tabular.json").read_text(encoding="utf-8"))["runs"]
    else:
        environment("ctgan", *WANTED)
    TabularDiffusion().fit(datasets.load("diabetes").train, steps=5)  # the first fit warms up torch
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name in QUICK:
            for group, row in one_run(name, seed, earlier).items():
                results.setdefault(f"{name}: {group}", []).append(row)
                print(name, group, rounded(row), flush=True)
        if earlier is None:
            for group, row in size_run(seed).items():
                results.setdefault(group, []).append(row)
                print(group, rounded(row), flush=True)
    if earlier is not None:
        results |= {group: rows for group, rows in earlier.items() if group not in results}
    settings = SimpleNamespace(peers=WANTED, epochs=EPOCHS, steps=STEPS, quick_steps=QUICK)
    write("tabular", settings, BARS, results)
