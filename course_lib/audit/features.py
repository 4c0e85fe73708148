"""Rows as points: what distances between rows of a table are measured on."""

import numpy as np
from sklearn.preprocessing import QuantileTransformer

from course_lib.audit.table import Tables
from course_lib.audit.values import TOP, Values

SPREAD = 2.0  # normal scores are cut here, so that one far value does not rule a distance


def encode(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) of the real rows, training rows first, and of the synthetic ones, float32.

    A number becomes its normal score among the real values: the quantile of N(0, 1) at its rank. A
    category becomes one indicator for each of its common levels and one for the rest, scaled so that
    two different levels are one apart. Missing is the middle, and an indicator of its own. Each
    column so weighs about as much, whatever its unit.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"sex": list("fm") * 20})
    >>> real, synthetic = encode(prepare(table, table, table))
    >>> real.shape, synthetic.shape
    ((80, 2), (40, 2))
    """
    parts = [
        _number(column) if column.is_number else _category(column)
        for column in tables.values.values()
    ]
    real, synthetic = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
    moves = real.std(axis=0) + synthetic.std(axis=0) > 0
    return real[:, moves], synthetic[:, moves]


def _number(column: Values) -> tuple[np.ndarray, np.ndarray]:
    finite = column.real[np.isfinite(column.real)]
    scores = QuantileTransformer(
        n_quantiles=min(len(finite), 1000),
        output_distribution="normal",
        subsample=200_000,
        random_state=0,
    ).fit(finite[:, None])

    def code(values: np.ndarray) -> np.ndarray:
        gone = ~np.isfinite(values)
        score = np.clip(scores.transform(values[:, None])[:, 0], -SPREAD, SPREAD)
        return np.stack([np.where(gone, 0, score), gone], axis=1).astype(np.float32)

    return code(column.real), code(column.synthetic)


def _category(column: Values) -> tuple[np.ndarray, np.ndarray]:
    top = column.by_count[:TOP]
    cell = np.full(len(column.levels) + 1, len(top))
    cell[top] = np.arange(len(top))
    cell[-1] = len(top) + 1
    indicators = (np.eye(len(top) + 2) / np.sqrt(2)).astype(np.float32)
    return indicators[cell[column.real]], indicators[cell[column.synthetic]]
