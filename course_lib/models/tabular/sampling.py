"""What every model of a table can do: draw rows, also such as meet a condition or a constraint."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

Constraint = Callable[[pd.DataFrame], "pd.Series | np.ndarray"]


class TableModel:
    """A model that draws tables; a subclass gives `fit` and `_draw`."""

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
        (rejection), so that what comes back is the model's own law given them.

        Args:
            seed: one seed, one table.
            condition: column -> value that every row shall have, e.g. `{"sex": "female"}`.
            constraint: maps a table to n booleans, e.g. `lambda f: f["debt"] <= f["income"]`.
            tries: at most so many rows are drawn for each one wanted (and for 100 at least).

        Raises:
            ValueError: for an unknown column in `condition`, n below 1, or a constraint that does
                not give one boolean a row.
            RuntimeError: when the tries are used up; it says how many rows were drawn and accepted.
        """
