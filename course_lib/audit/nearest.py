"""The synthetic rows that lie nearest to a training row, to be looked at side by side."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from course_lib.audit.evidence import Evidence
from course_lib.audit.profile import Pair
from course_lib.audit.sampling import sample_rows

ROWS = 20_000  # of each kind that are looked at
CELLS = 40  # columns that are shown


def nearest_pairs(evidence: Evidence, number: int, rng: np.random.Generator) -> tuple[Pair, ...]:
    """The pairs of a synthetic and a training row with the smallest distances, one for each synthetic row.

    Args:
        number: how many, the nearest first.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": list(range(60)), "sex": list("fmm") * 20})
    >>> nearest_pairs(Evidence(prepare(table, table, table)), 1, np.random.default_rng(0))[0].distance
    0.0
    """
    train, _, made = evidence.points
    real_rows, made_rows = (sample_rows(len(part), ROWS, rng) for part in (train, made))
    if not number or min(len(real_rows), len(made_rows)) < 2:
        return ()
    index = NearestNeighbors(n_neighbors=2).fit(train[real_rows])
    distances, near = index.kneighbors(made[made_rows])
    tables = evidence.tables
    names = list(tables.values)
    names = [name for name in names if name in tables.train.columns][:CELLS]
    pairs = []
    for at in np.argsort(distances[:, 0], kind="stable")[:number]:
        real, synthetic = int(real_rows[near[at, 0]]), int(made_rows[at])
        pairs.append(
            Pair(
                synthetic=synthetic
                if evidence.made_order is None
                else int(evidence.made_order[synthetic]),
                real=real if evidence.real_order is None else int(evidence.real_order[real]),
                distance=round(float(distances[at, 0]), 4),
                next=round(float(distances[at, 1]), 4),
                columns=tuple(names),
                synthetic_values=_written(tables.synthetic[names].iloc[synthetic]),
                real_values=_written(tables.train[names].iloc[real]),
            )
        )
    return tuple(pairs)


def _written(row: pd.Series) -> tuple[str, ...]:
    return tuple("missing" if pd.isna(value) else str(value) for value in row)
