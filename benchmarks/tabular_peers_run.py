"""Trains one of ctgan's models on a table and samples from it, within the peer's own environment.

Started by tabular.py, and free of the course's own modules, which are not installed there:

    python tabular_peers_run.py CTGAN|TVAE table.json samples.csv EPOCHS SEED

`table.json` names the training file, the discrete columns and how many rows to sample. Prints JSON:
CPU seconds of training and of sampling, on one thread, and the versions.
"""

import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path

import ctgan
import numpy as np
import pandas as pd
import torch


def main(name: str, told: str, out: str, epochs: str, seed: str) -> None:
    about = json.loads(Path(told).read_text(encoding="utf-8"))
    text = dict.fromkeys(about["discrete"], str)
    table = pd.read_csv(about["file"], dtype=text, keep_default_na=False)
    torch.set_num_threads(1)
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002
    torch.manual_seed(int(seed))
    model = getattr(ctgan, name)(epochs=int(epochs), enable_gpu=False)
    start = time.process_time()
    model.fit(table, about["discrete"])
    trained = time.process_time()
    samples = model.sample(about["rows"])
    sampled = time.process_time()
    samples.to_csv(out, index=False)
    print(
        json.dumps(
            {
                "training_cpu_seconds": trained - start,
                "sampling_cpu_seconds": sampled - trained,
                "versions": {name: version(name) for name in ("ctgan", "torch")},
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
