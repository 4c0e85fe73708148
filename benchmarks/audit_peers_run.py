"""What SDMetrics says of tables, and the CPU seconds it takes; runs in an environment of its own.

    python audit_peers_run.py quality|pairs|closest FOLDER

The folder holds CSV files of the loan simulator's columns; the answer is written beside them.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import pandas as pd
from sdmetrics.reports import QualityReport
from sdmetrics.reports.single_table._properties import ColumnPairTrends  # noqa: PLC2701
from sdmetrics.single_table import DCROverfittingProtection

warnings.filterwarnings("ignore")
CATEGORIES = ("sex", "ethnicity", "region", "education", "employment")
TRUTH = ("advice", "approved", "default")


def metadata(table: pd.DataFrame) -> dict:
    kinds = dict.fromkeys(table.columns, "numerical")
    kinds |= dict.fromkeys(CATEGORIES, "categorical") | dict.fromkeys(TRUTH, "boolean")
    return {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}}


def quality(folder: Path) -> dict[str, float]:
    """The overall score of each pair of files NUMBER_real.csv and NUMBER_synthetic.csv."""
    scores = {}
    for file in sorted(folder.glob("*_real.csv")):
        number = file.name.split("_")[0]
        real, synthetic = pd.read_csv(file), pd.read_csv(folder / f"{number}_synthetic.csv")
        report = QualityReport()
        about = {"tables": {"loans": metadata(real)}}
        report.generate({"loans": real}, {"loans": synthetic}, about, verbose=False)
        scores[number] = report.get_score()
    return scores


def pairs(folder: Path) -> dict[str, float]:
    real, synthetic = pd.read_csv(folder / "real.csv"), pd.read_csv(folder / "synthetic.csv")
    start = time.process_time()
    score = ColumnPairTrends().get_score(real, synthetic, metadata(real))
    return {"cpu_seconds": time.process_time() - start, "score": float(score)}


def closest(folder: Path) -> dict[str, float]:
    train, holdout, synthetic = (
        pd.read_csv(folder / f"{name}.csv") for name in ("train", "holdout", "synthetic")
    )
    about = metadata(train)
    start = time.process_time()
    found = DCROverfittingProtection.compute_breakdown(
        real_training_data=train,
        synthetic_data=synthetic,
        real_validation_data=holdout,
        metadata=about,
        table_name=None,
    )
    seconds = time.process_time() - start
    return {"cpu_seconds": seconds, "closer_to_training": found["synthetic_data_percentages"]}


if __name__ == "__main__":
    asked, folder = sys.argv[1], Path(sys.argv[2])
    answer = {"quality": quality, "pairs": pairs, "closest": closest}[asked](folder)
    (folder / f"{asked}.json").write_text(json.dumps(answer, default=str), encoding="utf-8")
