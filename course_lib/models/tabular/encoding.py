"""A table of mixed columns as rows of numbers, and back again."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Block:
    """What some columns of the encoded table are.

    Attributes:
        name: the table's column.
        kind: "number", one encoded column; or "category", one-hot, a column for each state.
        slice: which encoded columns.
        states: of a category, what each of its encoded columns stands for: a level of the table, or
            "(missing)", "(rare)"; of a number's own states also "(number)", or "(mode 0)" and so on.
        present: of a number, the encoded columns of which one is 1 where the number applies, and
            which are all 0 where the row has a point mass or a missing value instead. None where
            it always applies.
    """

    name: str
    kind: str
    slice: slice
    states: tuple = ()
    present: slice | None = None


class TableEncoder:
    """Makes rows of numbers of a table, and tables of such rows.

    A column of numbers with over 20 distinct values becomes a "number", with a "category" before
    it that says which state the row is in wherever there is more than one: the ordinary number, a
    point mass (a value that a share of at least 5 % of the rows has, such as the zeros of a debt),
    or a missing value. Everything else becomes a "category".

    Args:
        numbers: "quantile": normal scores, so that any marginal becomes a standard normal. Or
            "modes": a mixture of normal laws is fitted and a number becomes its mode and the number
            of standard deviations from that mode's mean (mode-specific normalisation, Xu et al.
            2019, arXiv 1907.00503, section 4.2; here the likeliest mode, there one drawn by chance,
            so that the same table always gives the same rows).
        kinds: column name -> "number" or "category", where the rule above is not wanted.
        rare: levels of a category with fewer rows than this share one state, "(rare)", and are
            drawn again by their frequency. 0, the default, keeps each: then the round trip is exact.

    Attributes:
        blocks: the `Block`s in order; `width`: how many encoded columns there are.
    """

    def __init__(
        self,
        numbers: str = "quantile",
        kinds: Mapping[str, str] | None = None,
        rare: int = 0,
    ): ...

    blocks: tuple[Block, ...]
    width: int

    def fit(self, frame: pd.DataFrame) -> "TableEncoder":
        """Learn columns, dtypes, levels, ranges and laws from a table of at least one row.

        Raises:
            ValueError: for no rows or columns, repeated column names, infinite numbers, or dtypes
                other than numbers, booleans, strings and categories.
        """

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """The rows (n, width) float32 of a table with the columns that were fitted, in any order.

        A number outside the range seen is moved to its end.

        Raises:
            ValueError: when a column is absent, a category has a level not seen in `fit`, or a value
                is missing in a column that had none missing.
        """

    def decode(self, encoded: np.ndarray, seed: int = 0) -> pd.DataFrame:
        """The table of rows (n, width): columns, order and dtypes as fitted.

        Of each category the largest entry counts. Numbers stay in the range seen and on its grain
        (whole numbers, hundreds, two decimals). `seed` draws the rare levels.

        Raises:
            ValueError: for another width, or entries that are not finite.
        """
