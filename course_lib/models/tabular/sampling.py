"""What every model of a table can do: draw rows, also such as meet a condition or a constraint."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from course_lib.syllabus import unknown

Constraint = Callable[[pd.DataFrame], "pd.Series | np.ndarray"]
LEAST_DRAWN = 200  # rows in a round of rejection, so that a few rows wanted get a fair trial
MOST_DRAWN = 20_000  # rows in a round, so that memory stays small


class TableModel:
    """A model that draws tables. A subclass has `fit`, which sets `table`, and `_draw(n, rng)`."""

    table: pd.DataFrame  # the fitted table without its rows: names and dtypes

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
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

        Rows that do not meet condition and constraint are thrown away and others drawn for them
        (rejection), so that what comes back follows the model's own law given both.

        Args:
            seed: one seed, one table.
            condition: column -> value that every row shall have, e.g. `{"sex": "female"}`; None asks
                for a missing value.
            constraint: maps a table to n booleans, e.g. `lambda f: f["debt"] <= f["income"]`.
            tries: at most so many rows are drawn for each one wanted, and 200 times as many at least.

        Raises:
            ValueError: for a model not fitted yet, n below 1, an unknown column in `condition`, or a
                constraint that does not give one boolean a row.
            RuntimeError: when the tries are used up; it says how many rows were drawn and accepted.
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
            # As many as the share accepted so far asks for, and some more.
            wanted = 1.2 * (n - accepted) * (drawn + 1) / (accepted + 1)
            size = int(np.clip(wanted, LEAST_DRAWN, min(MOST_DRAWN, max(most - drawn, 1))))
            rows = self._draw(size, rng)
            rows = rows[meets(rows, condition, constraint)]
            kept.append(rows)
            accepted, drawn = accepted + len(rows), drawn + size
        if accepted < n:
            raise RuntimeError(
                f"Of {drawn:,} rows drawn {accepted:,} were accepted, and {n:,} are wanted. The model "
                "(nearly) never draws such rows: loosen the condition or the constraint, ask for "
                "fewer rows, or allow more tries."
            )
        return pd.concat(kept, ignore_index=True).head(n)


def meets(
    rows: pd.DataFrame,
    condition: Mapping[str, object] | None = None,
    constraint: Constraint | None = None,
) -> np.ndarray:
    """Which rows meet both: (n,) bool. A comparison with a missing value is not met.

    Raises:
        ValueError: when the constraint does not give one boolean a row.
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
    said = pd.Series(constraint(rows))
    if len(said) != len(rows) or not pd.api.types.is_bool_dtype(said):
        raise ValueError(
            f"The constraint must give one boolean a row, {len(rows)} in all; "
            f"it gave {len(said)} of dtype {said.dtype}."
        )
    return good & said.fillna(False).to_numpy(bool)
