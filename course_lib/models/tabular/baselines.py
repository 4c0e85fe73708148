"""Two baselines that a model of tables has to beat."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from course_lib.models.tabular.sampling import TableModel


class IndependentColumns(TableModel):
    """Each column drawn independently from the values seen: right marginals, no dependence.

    >>> frame = pd.DataFrame({"x": [1, 2, 3], "kind": ["a", "b", "b"]})
    >>> IndependentColumns().fit(frame).sample(5, seed=1).shape
    (5, 2)
    """

    def fit(self, frame: pd.DataFrame) -> "IndependentColumns":
        """Keep the columns of a table of at least one row (ValueError without)."""
        self.seen, self.table = _with_rows(frame), frame.head(0)
        return self

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        rows = {
            name: _take(self.seen[name], rng.integers(len(self.seen), size=n)) for name in self.seen
        }
        return pd.DataFrame(rows)


class GaussianCopula(TableModel):
    """Marginals as seen, tied together by the correlations of normal scores (a Gaussian copula).

    Each column's values are ordered: numbers by size, levels by their frequency, a missing value
    last. Ties share their middle score, which makes the correlations of columns with few values a
    little too small. Only values seen are drawn. Source: Nelsen, "An introduction to
    copulas", 2nd ed., 2006, section 2.3; Patki et al. 2016, "The synthetic data vault".

    >>> frame = pd.DataFrame({"x": range(50), "y": range(50)})
    >>> rows = GaussianCopula().fit(frame).sample(5, seed=1)
    >>> bool((rows["x"] == rows["y"]).all())  # perfectly correlated, as in the table
    True
    """

    def fit(self, frame: pd.DataFrame) -> "GaussianCopula":
        """Learn marginals and correlations from a table of at least one row (ValueError without)."""
        self.table = _with_rows(frame).head(0)
        self.values, self.edges, scores = {}, {}, []
        for name in frame:
            codes, values = _ordered(frame[name])
            # F(v) at and just below each value; its score is Phi^-1 of the middle
            upper = np.cumsum(np.bincount(codes)) / len(codes)
            middle = (upper + np.concatenate([[0], upper[:-1]])) / 2
            self.values[name], self.edges[name] = values, upper[:-1]
            scores.append(norm.ppf(middle)[codes])
        scores = np.array(scores)
        # A constant column has no correlations: its own place on the diagonal is all it needs.
        sd = scores.std(axis=1)
        scaled = (scores - scores.mean(axis=1, keepdims=True)) / np.where(sd > 0, sd, 1)[:, None]
        correlation = scaled @ scaled.T / scores.shape[1]
        np.fill_diagonal(correlation, 1.0)
        # Its root by eigenvalues, which also works where columns repeat each other.
        values, vectors = np.linalg.eigh(correlation)
        self.root = vectors * np.sqrt(values.clip(min=0))
        return self

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        uniform = norm.cdf(rng.standard_normal((n, len(self.root))) @ self.root.T)
        rows = {
            name: _take(self.values[name], np.searchsorted(self.edges[name], u))
            for name, u in zip(self.values, uniform.T, strict=True)
        }
        return pd.DataFrame(rows)


def _with_rows(frame: pd.DataFrame) -> pd.DataFrame:
    if not len(frame):
        raise ValueError("A model of a table needs at least one row to learn from.")
    return frame


def _take(values: pd.Series, rows: np.ndarray) -> pd.Series:
    return values.iloc[rows].reset_index(drop=True)


def _ordered(column: pd.Series) -> tuple[np.ndarray, pd.Series]:
    """Codes (n,) of a column's values in their order, and the values, a missing one last."""
    present = column.dropna()
    if pd.api.types.is_numeric_dtype(column):
        values = present.drop_duplicates().sort_values()
    else:
        counts = present.value_counts()
        values = present.drop_duplicates()
        values = values.iloc[np.argsort(-counts[values].to_numpy(), kind="stable")]
    if len(present) < len(column):
        values = pd.concat([values, column[column.isna()].head(1)])
    codes = pd.Index(values).get_indexer(column)
    return codes, values.reset_index(drop=True)
