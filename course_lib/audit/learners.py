"""Models that are fitted to one table and tried on another: what utility and downstream bias rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score

from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.finding import Note
from course_lib.audit.profile import Reliability
from course_lib.audit.sampling import sample_rows
from course_lib.audit.schema import listed
from course_lib.audit.statistics import area
from course_lib.audit.table import Tables, Target

FITTED = 50_000  # rows at most that a model learns from
TRIED = 20_000  # rows of the holdout at most that it is tried on
LEAST = 10  # rows of each class that a group needs for an area under the curve
LEAK = 0.98  # Cramér's V from which a column gives the label away
TENTHS = 10  # parts of the holdout rows, by what a model expects
FEATURES = 100  # columns at most that a model learns from


def associations(tables: Tables, target: Target) -> dict[str, float]:
    """How strongly each feature is associated with the label in the real rows: Cramér's V.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "y": list("aab") * 20, "z": list("ccd") * 20})
    >>> tables = prepare(table, table, table, label="y")
    >>> round(associations(tables, tables.target)["z"], 6)
    1.0
    """
    return {
        name: float(cramers_v(joint(tables.values[name], target.column)[1]))
        for name in tables.features
    }


def design(tables: Tables, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, features) of the real and the synthetic rows: numbers, and codes of categories.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "y": list("aab") * 20, "z": list("ccd") * 20})
    >>> tables = prepare(table, table, table, label="y")
    >>> real, synthetic = design(tables, ["x", "z"])
    >>> real.shape, synthetic.shape
    ((120, 2), (60, 2))
    """
    real: list[np.ndarray] = []
    synthetic: list[np.ndarray] = []
    for name in names:
        column = tables.values[name]
        for side, values in ((real, column.real), (synthetic, column.synthetic)):
            values = values.astype(np.float32)
            if (
                column.known is not None
            ):  # a level that the real data lack is a missing one to a model
                values[(values < 0) | (values >= column.known)] = np.nan
            side.append(values)
    return np.stack(real, axis=1), np.stack(synthetic, axis=1)


def learner(kind: str, rows: int) -> HistGradientBoostingClassifier | HistGradientBoostingRegressor:
    """Gradient-boosted trees that small and large tables both can feed.

    >>> learner("binary", rows=100).min_samples_leaf
    5
    """
    model = HistGradientBoostingRegressor if kind == "number" else HistGradientBoostingClassifier
    leaf = int(np.clip(rows // 20, 2, 20))
    return model(max_iter=60, min_samples_leaf=leaf, early_stopping=False, random_state=0)


@dataclass(frozen=True)
class Trials:
    """Models fitted to disjoint parts of the synthetic rows and of the real training rows.

    All are tried on the same holdout rows. Models from parts of one distribution are themselves
    draws of one distribution, so that the two sets of scores may be compared by a t-test: it counts
    the luck of training, which a single model on each side hides.

    Attributes:
        target: what they predict.
        design: the columns (n, features) that they learn from, of all real and all synthetic rows.
        train, made: features and label of the real training rows and of the synthetic rows that they
            learn from, in random order.
        held: numbers of the real rows that they are tried on.
        x, y: features and label of these.
        notes: what was left out, and where samples were used.
    """

    target: Target
    design: tuple[np.ndarray, np.ndarray]
    train: tuple[np.ndarray, np.ndarray]
    made: tuple[np.ndarray, np.ndarray]
    held: np.ndarray
    x: np.ndarray
    y: np.ndarray
    notes: tuple[Note, ...]

    @property
    def kind(self) -> str:
        return self.target.kind

    @property
    def size(self) -> int:
        """How many rows of each kind the models learn from."""
        return min(len(self.train[1]), len(self.made[1]))

    @property
    def parts(self) -> int:
        return 10 if self.size >= 5000 else 5

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
        made, train = map(self.score, self.of_whole)
        return made, train

    @cached_property
    def of_whole(self) -> tuple[np.ndarray, np.ndarray]:
        """Predictions (holdout rows,) by a model of all synthetic rows, and by one of as many real ones."""
        made, train = (
            self._predict(x[: self.size], y[: self.size]) for x, y in (self.made, self.train)
        )
        return made, train

    def reliability(self) -> Reliability | None:
        """Whether the label comes as often as the two models say; None but for a label of two levels."""
        if self.kind != "binary" or len(self.y) < 2 * TENTHS or np.isnan(self.of_whole).any():
            return None
        made, real = (self._tenths(prediction) for prediction in self.of_whole)
        return Reliability(self.target.outcome_name, real, made)

    def _tenths(self, prediction: np.ndarray) -> tuple[tuple[float, float], ...]:
        parts = np.array_split(np.argsort(prediction, kind="stable"), TENTHS)
        return tuple(
            (round(float(prediction[rows].mean()), 4), round(float(self.y[rows].mean()), 4))
            for rows in parts
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
            return np.asarray(model.predict_proba(self.x[:, moves])[:, 1])
        return np.asarray(model.predict(self.x[:, moves]))

    def score(self, prediction: np.ndarray, rows: np.ndarray | None = None) -> float:
        """AUC, accuracy or R² on the holdout, or on some of its rows; NaN where there are too few."""
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


def prepare_trials(tables: Tables, target: Target, rng: np.random.Generator) -> Trials:
    """Draw the rows that models of the target learn from and are tried on.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "y": list("aab") * 20, "z": list("ccd") * 20})
    >>> tables = prepare(table, table, table, label="y")
    >>> trials = prepare_trials(tables, tables.target, np.random.default_rng(0))
    >>> trials.measure, trials.size
    ('AUC', 60)
    """
    strength = associations(tables, target)
    # A default that only granted loans can have gives the label away: with it every model scores alike.
    leaks = [name for name, v in strength.items() if v > LEAK]
    notes = []
    if leaks:
        notes.append(
            Note(
                f"Models that predict '{target.name}' did without {listed(leaks)}, which nearly "
                "determines it in the real data."
            )
        )
    names = [name for name in tables.features if name not in leaks]
    if len(names) > FEATURES:
        chosen = set(sorted(names, key=lambda name: -strength[name])[:FEATURES])
        notes.append(
            Note(
                f"Models that predict '{target.name}' learnt from the {FEATURES} of {len(names):,} "
                "columns that are most associated with it in the real data."
            )
        )
        names = [name for name in names if name in chosen]
    real, synthetic = design(tables, names)
    y_real, y_synthetic = _numbers_of(target)
    split = tables.n_train
    size = min(split, len(synthetic), FITTED)
    trained = _known(real[:split], y_real[:split], size, rng)
    made = _known(synthetic, y_synthetic, size, rng)
    known = np.flatnonzero(np.isfinite(y_real[split:])) + split
    held = known[sample_rows(len(known), TRIED, rng)]
    if size == FITTED or len(known) > TRIED:
        notes.append(
            Note(
                f"Models learnt from {size:,} rows of each kind and were tried on {len(held):,} "
                "holdout rows."
            )
        )
    return Trials(
        target, (real, synthetic), trained, made, held, real[held], y_real[held], tuple(notes)
    )


def _numbers_of(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """The label as numbers that a model can predict, NaN where it is not known: real, synthetic."""
    if target.kind == "binary":
        return target.outcome
    column = target.column
    if column.known is None:
        return column.real, column.synthetic

    def codes(values: np.ndarray) -> np.ndarray:
        return np.where((values >= 0) & (values < column.known), values, np.nan).astype(float)

    return codes(column.real), codes(column.synthetic)


def _known(
    x: np.ndarray, y: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(np.isfinite(y))
    rows = rng.permutation(rows)[:size]
    return x[rows], y[rows]
