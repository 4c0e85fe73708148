"""What every model of a table can do: draw rows, if asked for only those that meet a condition."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from course_lib.syllabus import unknown

Constraint = Callable[[pd.DataFrame], "pd.Series | np.ndarray"]
LEAST_DRAWN = 200  # rows in a round of rejection, so that a request for few rows has a fair chance
MOST_DRAWN = 20_000  # rows in a round, so that memory stays small


class TableModel:
    """A model that draws tables. A subclass has `fit`, which sets `table`, `_draw(n, rng)`, and `_fill`.

    >>> from course_lib.models.tabular import GaussianCopula
    >>> model = GaussianCopula().fit(pd.DataFrame({"x": range(10)}))
    >>> isinstance(model, TableModel), len(model.sample(4))
    (True, 4)
    """

    table: pd.DataFrame  # the fitted table without its rows: names and dtypes

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        raise NotImplementedError

    def _fill(
        self, rows: pd.DataFrame, blank: np.ndarray, rng: np.random.Generator
    ) -> pd.DataFrame:
        """Rows drawn given the known values of `rows`; `blank` (n, columns) says which are not known.

        Every blank of `rows` holds some value that the column had in `fit`, which counts for nothing.
        """
        raise NotImplementedError

    def sample(
        self,
        n: int,
        seed: int = 0,
        condition: Mapping[str, object] | None = None,
        constraint: Constraint | None = None,
        tries: int = 100,
    ) -> pd.DataFrame:
        """`n` new rows, with the columns and dtypes of the table that was fitted.

        Rows that do not meet condition and constraint are thrown away, and others are drawn instead
        (rejection sampling). The rows returned follow the model's own distribution, given both.

        Args:
            seed: one seed, one table.
            condition: column -> the value that every row must have, e.g. `{"sex": "female"}`; None asks
                for a missing value.
            constraint: maps a table to n booleans, e.g. `lambda f: f["debt"] <= f["income"]`.
            tries: the most rows that are drawn for each row wanted; for fewer than 200 rows wanted, as
                many as for 200.

        Raises:
            ValueError: for a model not fitted yet, n below 1, an unknown column in `condition`, or a
                constraint that does not give one boolean for each row.
            RuntimeError: when the tries are used up; it says how many rows were drawn and accepted.

        >>> from course_lib.models.tabular import IndependentColumns
        >>> model = IndependentColumns().fit(pd.DataFrame({"x": range(10)}))
        >>> bool((model.sample(5, constraint=lambda rows: rows["x"] > 6)["x"] > 6).all())
        True
        """
        if not hasattr(self, "table"):
            raise ValueError("The model has seen no table yet: call `fit` first.")
        if n < 1:
            raise ValueError(f"A sample needs at least one row; got n = {n}.")
        for name in condition or {}:
            if name not in self.table:
                raise ValueError(unknown("column", str(name), list(self.table)))
        rng = np.random.default_rng(seed)
        if not condition and constraint is None:
            return self._draw(n, rng)
        kept, accepted, drawn = [], 0, 0
        most = tries * max(n, LEAST_DRAWN)
        while accepted < n and drawn < most:
            # As many as the share accepted so far makes necessary, and a fifth more.
            wanted = 1.2 * (n - accepted) * (drawn + 1) / (accepted + 1)
            size = int(np.clip(wanted, LEAST_DRAWN, min(MOST_DRAWN, max(most - drawn, 1))))
            rows = self._draw(size, rng)
            rows = rows[meets(rows, condition, constraint)]
            kept.append(rows)
            accepted, drawn = accepted + len(rows), drawn + size
        if accepted < n:
            raise RuntimeError(
                f"Of {drawn:,} rows drawn {accepted:,} were accepted, and {n:,} are wanted. The model "
                "never, or hardly ever, draws such rows: loosen the condition or the constraint, ask for "
                "fewer rows, or allow more tries."
            )
        return pd.concat(kept, ignore_index=True).head(n)

    def impute(
        self, frame: pd.DataFrame, seed: int = 0, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """`frame` with each missing value drawn, given the known values of its row.

        It draws and does not predict: two seeds give two tables, whose difference shows how much is not
        known. Known values stay as they are. That a value is missing counts as known in the columns that
        are not filled, and nothing is taken from it in those that are.

        Args:
            frame: columns of the table that was fitted; one that is left out is drawn for every row.
            columns: which to fill; by default all columns that lack a value.

        Raises:
            ValueError: for a model not fitted yet, no rows, an unknown column, a level not seen, a value
                missing in a column that is not filled and had none missing, or a column to fill
                in which every value was missing.

        >>> from course_lib.models.tabular import GaussianCopula
        >>> table = pd.DataFrame({"x": range(50), "y": range(50)})
        >>> filled = GaussianCopula().fit(table).impute(pd.DataFrame({"x": [10, 40]}))
        >>> bool((filled["y"] - filled["x"]).abs().max() < 5)
        True
        """
        if not hasattr(self, "table"):
            raise ValueError("The model has seen no table yet: call `fit` first.")
        if not len(frame):
            raise ValueError("There are no rows to fill.")
        names = list(self.table)
        for name in [*frame, *(columns or ())]:
            if name not in names:
                raise ValueError(unknown("column", str(name), names))
        rows = frame.reset_index(drop=True).reindex(columns=names)
        blank = rows.isna()
        if columns is not None:
            blank.loc[:, [name for name in frame if name not in columns]] = False
        some = self._draw(1000, np.random.default_rng(0))
        parts = {}
        for name in names:
            seen = some[name].dropna()
            if blank[name].any() and not len(seen):
                raise ValueError(f"Column '{name}' had no values in `fit`, so none can be drawn.")
            held = rows[name].astype(object)
            if blank[name].any():
                held = held.mask(blank[name], seen.iloc[0])
            dtype = self.table[name].dtype
            if held.isna().any() and isinstance(dtype, np.dtype) and dtype.kind in "biu":
                raise ValueError(
                    f"Column '{name}' has missing values, and had none in `fit`: let it be filled."
                )
            parts[name] = held.astype(dtype)
        if not blank.any(axis=None):
            return pd.DataFrame(parts)
        held = pd.DataFrame(parts)
        drawn = self._fill(held, blank.to_numpy(), np.random.default_rng(seed))
        for name in names:
            if blank[name].any():
                parts[name] = held[name].mask(blank[name], drawn[name])
                parts[name] = parts[name].astype(held[name].dtype)
        return pd.DataFrame(parts)


def meets(
    rows: pd.DataFrame,
    condition: Mapping[str, object] | None = None,
    constraint: Constraint | None = None,
) -> np.ndarray:
    """Which rows meet both: (n,) bool. A missing value meets no comparison.

    Raises:
        ValueError: when the constraint does not give one boolean for each row.

    >>> meets(pd.DataFrame({"x": [1, 2, 3]}), constraint=lambda rows: rows["x"] > 1)
    array([False,  True,  True])
    """
    good = np.ones(len(rows), bool)
    for name, value in (condition or {}).items():
        good &= (
            rows[name].isna().to_numpy()
            if pd.isna(value)
            else (rows[name] == value).fillna(False).to_numpy(bool)
        )
    if constraint is None:
        return good
    answers = pd.Series(constraint(rows))
    if len(answers) != len(rows) or not pd.api.types.is_bool_dtype(answers):
        raise ValueError(
            f"The constraint must give one boolean for each row, {len(rows)} in all; "
            f"it gave {len(answers)} of dtype {answers.dtype}."
        )
    return good & answers.fillna(False).to_numpy(bool)
