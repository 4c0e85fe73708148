"""Our tree of noisy marginals beside `mbi`, from the same measurements of loans, over three seeds.

Run in the course's environment:

    python benchmarks/privacy_mbi.py

mbi (McKenna, Sheldon and Miklau 2019, arXiv 1901.09136) gets an environment of its own in build/peers, made
at the first run, which needs the network: it needs jax. `NoisyMarginals` measures 5,000 private loans and
chooses its tree; 1,000 others are public. 5,000 rows are drawn from the very same noisy counts in three
ways: along the tree, from the counts "as measured" with negative ones made a trace; along the tree, from
"our" estimates, which agree and are shrunk; and by mbi, from the graphical model that fits all counts best
(mirror descent). `auc` is that of trees which learn from these rows, on real ones. `error_measured` and
`error_other` are the mean total variation distances between synthetic and private rows of two columns and
the label: of the marginals in the tree, and of all others.
"""

import json
import os
import subprocess
import tempfile
from copy import copy
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import rounded, write
from peers import environment
from privacy import DELTA, PUBLIC, utility

from course_lib import datasets
from course_lib.privacy.accountant import rho_for
from course_lib.privacy.marginals import TRACE, Domain, NoisyMarginals

VERSIONS = {"mbi": "2.0.0"}
MBI = f"mbi=={VERSIONS['mbi']}"
SEEDS, EPSILONS, ROWS = range(3), (10, 3, 1), 5000


def estimated(models: dict[str, NoisyMarginals]) -> tuple[dict[str, dict[str, np.ndarray]], dict]:
    """The cell numbers of the rows that mbi draws from what each model has measured; and its versions."""
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            about = {
                "sizes": model.domain.sizes,
                "measured": [[m.columns, m.sd] for m in model.measured],
                "rows": ROWS,
            }
            Path(folder, f"{name}.json").write_text(json.dumps(about), encoding="utf-8")
            counts = {str(i): m.counts for i, m in enumerate(model.measured)}
            np.savez(Path(folder, f"{name}.npz"), **counts)
        script = Path(__file__).with_name("privacy_mbi_run.py")
        one_thread = os.environ | {"OMP_NUM_THREADS": "1", "JAX_ENABLE_X64": "1"}
        one_thread["JAX_ENABLE_COMPILATION_CACHE"] = "0"
        one_thread["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        subprocess.run([environment("mbi", MBI), script, folder], env=one_thread, check=True)
        drawn = {name: dict(np.load(Path(folder, f"{name}_drawn.npz"))) for name in models}
        return drawn, json.loads(Path(folder, "answer.json").read_text(encoding="utf-8"))


def as_measured(model: NoisyMarginals) -> NoisyMarginals:
    """The same tree with the counts as they were measured, negative ones made a trace."""
    raw = [table.counts.clip(min=TRACE) for table in model.measured]
    plain = copy(model)
    plain.single = dict(zip(model.columns, raw, strict=False))
    plain.classes = np.mean([table.sum(axis=1) for table in plain.single.values()], axis=0)
    pairs = raw[len(model.columns) :]
    plain.tree = [(a, b, table) for (a, b, _), table in zip(model.tree, pairs, strict=True)]
    return plain


def errors(model: NoisyMarginals, made: pd.DataFrame, secret: pd.DataFrame) -> dict[str, float]:
    """Mean total variation of two columns and the label, in the tree and outside of it."""
    codes = [model.domain.encode(table) for table in (made, secret)]
    found: dict[bool, list[float]] = {True: [], False: []}
    edges = {frozenset(edge[:2]) for edge in model.tree}
    for pair in combinations(model.columns, 2):
        names = [model.label, *pair]
        shape = tuple(model.domain.sizes[name] for name in names)
        shares = []
        for side in codes:
            cell = np.ravel_multi_index([side[name] for name in names], shape)
            shares.append(np.bincount(cell, minlength=int(np.prod(shape))) / len(cell))
        found[frozenset(pair) in edges].append(float(np.abs(shares[0] - shares[1]).sum()) / 2)
    return {
        "error_measured": float(np.mean(found[True])),
        "error_other": float(np.mean(found[False])),
    }


def main() -> None:
    torch.set_num_threads(1)
    data = datasets.load("loans")
    held, rows = (part.drop(columns="default") for part in (data.held_out, data.train))
    models, secrets = {}, {}
    for seed in SEEDS:
        shuffled = rows.sample(frac=1, random_state=seed, ignore_index=True)
        domain, secret = Domain(shuffled[:PUBLIC]), shuffled[PUBLIC:].reset_index(drop=True)
        for epsilon in EPSILONS:
            name = f"{epsilon}_{seed}"
            models[name] = NoisyMarginals(domain, data.label)
            models[name].fit(secret, rho_for(epsilon, DELTA), seed)
            secrets[name] = secret
    drawn, answer = estimated(models)
    results: dict[str, list[dict]] = {}
    for name, model in models.items():
        epsilon, seed = name.split("_")
        ours, plain = (tree.sample(ROWS, int(seed)) for tree in (model, as_measured(model)))
        codes = {column: drawn[name][column] for column in model.domain.sizes}
        theirs = model.domain.decode(codes, np.random.default_rng(int(seed)))
        for who, made in (("as measured", plain), ("ours", ours), ("mbi", theirs)):
            row = {"seed": int(seed), "auc": utility(made, held, data.label)}
            row |= errors(model, made, secrets[name])
            if who == "mbi":
                row["cpu_seconds"] = answer["cpu_seconds"][name]
            results.setdefault(f"{who}, epsilon {epsilon}", []).append(row)
            print(who, name, rounded(row), flush=True)
    settings = SimpleNamespace(delta=DELTA, public=PUBLIC, rows=ROWS, versions=answer["versions"])
    write("privacy_mbi", settings, {}, results)


if __name__ == "__main__":
    environment("mbi", MBI)
    main()
