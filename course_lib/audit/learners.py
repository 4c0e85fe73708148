"""Models that are fitted to one table and tried on another: what utility and downstream bias rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score

from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.features import sample_rows
from course_lib.audit.schema import listed
from course_lib.audit.statistics import area
from course_lib.audit.table import Tables

FITTED = 50_000  # rows at most that a model learns from
TRIED = 20_000  # rows of the holdout at most that it is tried on
LEAST = 10  # rows of each class that a group needs for an area under the curve
LEAK = 0.98  # Cramér's V from which a column gives the label away


def usable(tables: Tables) -> list[str]:
    """The columns that a model may learn from: all but the label, and but what gives it away.

    A column that follows from the label, such as a loan's default that only approved applicants can
    have, would let every model score alike; the report says which was left out.
    """
    leaks = [
        name
        for name in tables.features
        if cramers_v(joint(tables.values[name], tables.values[tables.label])[1]) > LEAK
    ]
    if leaks:
        tables.notes.append(
            f"Models that predict '{tables.label}' did without {listed(leaks)}, which nearly "
            "determines it in the real data."
        )
    return [name for name in tables.features if name not in leaks]


def design(tables: Tables, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, features) of the real and the synthetic rows: numbers, and codes of categories."""
    real, synthetic = [], []
    for name in names:
        column = tables.values[name]
        for side, values in ((real, column.real), (synthetic, column.synthetic)):
            values = values.astype(np.float32)
            if not column.is_number:  # a level that the real data lack is a missing one to a model
                values[(values < 0) | (values >= column.known)] = np.nan
            side.append(values)
    return np.stack(real, axis=1), np.stack(synthetic, axis=1)


def learner(kind: str, rows: int):
    """Gradient-boosted trees that small and large tables both can feed."""
    model = HistGradientBoostingRegressor if kind == "number" else HistGradientBoostingClassifier
    leaf = int(np.clip(rows // 20, 2, 20))
    return model(max_iter=60, min_samples_leaf=leaf, early_stopping=False, random_state=0)


@dataclass
class Trials:
    """Models fitted to disjoint parts of the synthetic rows and of the real training rows.

    All are tried on the same holdout rows. Given these, models from parts of one law are drawn from
    one law too, so that the two sets of scores may be compared by a t-test: it counts the luck of
    training, which a single model on each side hides.
    """

    tables: Tables
    rng: np.random.Generator

    def __post_init__(self) -> None:
        tables, rng = self.tables, self.rng
        column = tables.values[tables.label]
        self.kind = (
            "number" if column.is_number else "binary" if column.known == 2 else "multiclass"
        )
        real, synthetic = self.design = design(tables, usable(tables))
        y_real, y_synthetic = self._target()
        split = tables.n_train
        size = min(split, len(synthetic), FITTED)
        self.train = _known(real[:split], y_real[:split], size, rng)
        self.made = _known(synthetic, y_synthetic, size, rng)
        held = np.flatnonzero(np.isfinite(y_real[split:])) + split
        self.held = held[sample_rows(len(held), TRIED, rng)]
        self.x, self.y = real[self.held], y_real[self.held]
        if size == FITTED or len(held) > TRIED:
            tables.notes.append(
                f"Models learnt from {size:,} rows of each kind and were tried on {len(self.held):,} "
                "holdout rows."
            )
        self.size = min(len(self.train[1]), len(self.made[1]))
        self.parts = 10 if self.size >= 5000 else 5

    def _target(self) -> tuple[np.ndarray, np.ndarray]:
        if self.kind == "binary":
            return self.tables.outcome
        column = self.tables.values[self.tables.label]
        if self.kind == "number":
            return column.real, column.synthetic
        return tuple(
            np.where((codes >= 0) & (codes < column.known), codes, np.nan).astype(float)
            for codes in (column.real, column.synthetic)
        )

    @property
    def measure(self) -> str:
        return {"binary": "AUC", "multiclass": "accuracy", "number": "R²"}[self.kind]

    @cached_property
    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Predictions (parts, holdout rows) by models of synthetic and of real parts; NaN if none."""
        return self._of(*self.made), self._of(*self.train)

    @cached_property
    def whole(self) -> tuple[float, float]:
        """The score of one model on all synthetic rows, and of one on as many real ones."""
        return tuple(
            self.score(self._predict(x[: self.size], y[: self.size]))
            for x, y in (self.made, self.train)
        )

    def _of(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack(
            [self._predict(x[k :: self.parts], y[k :: self.parts]) for k in range(self.parts)]
        )

    def _predict(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if len(y) < 2 or len(np.unique(y)) < 2:
            return np.full(len(self.x), np.nan)
        moves = np.isfinite(x).any(axis=0)
        if not moves.any():
            return np.full(len(self.x), np.nan)
        model = learner(self.kind, len(y)).fit(x[:, moves], y)
        if self.kind == "binary":
            return model.predict_proba(self.x[:, moves])[:, 1]
        return model.predict(self.x[:, moves])

    def score(self, prediction: np.ndarray, rows: np.ndarray | None = None) -> float:
        """AUC, accuracy or R² on the holdout, or on some of its rows; NaN if it cannot be had."""
        rows = np.ones(len(self.y), bool) if rows is None else rows
        truth, prediction = self.y[rows], prediction[rows]
        if len(truth) < 2 or np.isnan(prediction).any():
            return np.nan
        if self.kind == "multiclass":
            return float(accuracy_score(truth, prediction))
        if self.kind == "number":
            return float(r2_score(truth, prediction))
        if min(truth.sum(), len(truth) - truth.sum()) < LEAST:
            return np.nan
        return area(prediction[truth == 1], prediction[truth == 0])


def _known(x: np.ndarray, y: np.ndarray, size: int, rng) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(np.isfinite(y))
    rows = rng.permutation(rows)[:size]
    return x[rows], y[rows]
