"""Two tables that belong together, such as customers and their orders."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from course_lib.models.tabular.sampling import TableModel
from course_lib.models.tabular.vae import TabularVAE
from course_lib.syllabus import unknown

Pair = tuple[pd.DataFrame, pd.DataFrame]  # the parents, and the rows that are linked to them


class LinkedTables:
    """Draws parents, then the rows of each given its parent.

    The first model learns one row a parent: its own columns, how many rows it has, and the mean of each
    number in them. The second one learns the linked rows, each beside the row of its parent. So rows of one
    parent are alike as far as those columns make them so; given these they are drawn independently. Such
    a description of the children in the parent's row is that of Patki et al. 2016, "The synthetic data
    vault", IEEE DSAA, section IV.

    Args:
        key: the column that links them.
        model: makes the two models, each untrained.

    >>> people = pd.DataFrame({"person": range(40), "kind": ["a", "b"] * 20})
    >>> orders = pd.DataFrame({"person": list(range(40)) * 2, "size": range(80)})
    >>> made, theirs = LinkedTables("person").fit(people, orders, steps=2).sample(10, seed=1)
    >>> len(made), bool(theirs["person"].isin(made["person"]).all())
    (10, True)
    """

    def __init__(self, key: str, model: Callable[[], TableModel] = TabularVAE):
        self.key, self.model = key, model

    def fit(self, parents: pd.DataFrame, children: pd.DataFrame, **options) -> "LinkedTables":
        """Learn both tables.

        Args:
            parents: with the column `key`, one row for each of its values.
            children: with the same column, and no other one of the parents.
            options: of the models' `fit`, such as `steps` and `seed`.

        Raises:
            ValueError: for a key that is absent or stands twice among the parents, rows without a
                parent, no rows at all, a column that both tables have, or a table that a model cannot
                learn.
        """
        key = self.key
        for table in (parents, children):
            if key not in table:
                raise ValueError(unknown("column", key, list(table)))
        if parents[key].duplicated().any():
            twice = parents[key][parents[key].duplicated()].iloc[0]
            raise ValueError(
                f"The key '{key}' must stand once among the parents; {twice!r} is repeated."
            )
        orphans = ~children[key].isin(parents[key])
        if orphans.any() or not len(children):
            raise ValueError(f"{orphans.sum():,} of {len(children):,} linked rows have no parent.")
        both = [str(name) for name in children.columns.drop(key) if name in parents]
        if both:
            raise ValueError(f"Both tables have a column '{both[0]}': give one another name.")
        self.parent_columns = list(parents.columns.drop(key))
        self.child_columns = list(children.columns.drop(key))
        described = self._described(parents, children)
        beside = children.merge(described.assign(**{key: parents[key].to_numpy()}), on=key)
        self.of_parents = self._fitted(described, options)
        self.of_children = self._fitted(beside.drop(columns=key), options)
        return self

    def sample(self, n: int, seed: int = 0) -> Pair:
        """`n` new parents with the keys 0, 1, ..., and their rows.

        Raises:
            ValueError: for a model not fitted yet, or n below 1.
        """
        if not hasattr(self, "of_children"):
            raise ValueError("The model has seen no tables yet: call `fit` first.")
        described = self.of_parents.sample(n, seed=seed)
        parents = described[self.parent_columns].assign(**{self.key: np.arange(n)})
        # A mean is missing where a parent has no rows, and known in all rows that there are.
        counts = described[self.rows].to_numpy(int).clip(min=0)
        mother = np.repeat(np.arange(n), counts)
        if len(mother):
            beside = described.iloc[mother].reset_index(drop=True)
            drawn = self.of_children.impute(beside, seed=seed + 1)
        else:
            drawn = self.of_children.sample(1, seed=seed + 1).head(0)
        children = drawn[self.child_columns].assign(**{self.key: mother})
        return (
            parents[[self.key, *self.parent_columns]],
            children[[self.key, *self.child_columns]],
        )

    @property
    def rows(self) -> str:
        """What the column with the number of a parent's rows is called in the models."""
        return f"rows of a {self.key}"

    def _described(self, parents: pd.DataFrame, children: pd.DataFrame) -> pd.DataFrame:
        """One row a parent: its own columns, the number of its rows, and the means of their numbers."""
        groups = children.groupby(self.key)
        keys = parents[self.key]
        columns = {self.rows: keys.map(groups.size()).fillna(0).astype(int).to_numpy()}
        for name in self.child_columns:
            values = children[name]
            if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
                columns[f"mean {name}"] = keys.map(groups[name].mean()).to_numpy(float)
        return parents[self.parent_columns].reset_index(drop=True).assign(**columns)

    def _fitted(self, table: pd.DataFrame, options: dict) -> TableModel:
        model = self.model()
        model.fit(table, **options)  # type: ignore[attr-defined]
        return model
