"""Two baselines that a model of tables has to beat."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from course_lib.models.tabular.encoding import SCALES, Number, is_number
from course_lib.models.tabular.sampling import TableModel
from course_lib.syllabus import unknown

ROUNDS = 20  # of Gibbs sampling, when rows are drawn given some of their values
NOISE = 1e-3  # the variance that is added to each score there


class IndependentColumns(TableModel):
    """Each column drawn independently: right marginals, no dependence.

    Args:
        seen_only: as in `TableEncoder`. By default a number with over 20 distinct values is drawn between
            and beyond those seen; with True only values seen are drawn, which gives their owners away.

    >>> frame = pd.DataFrame({"x": [1, 2, 3], "kind": ["a", "b", "b"]})
    >>> IndependentColumns().fit(frame).sample(5, seed=1).shape
    (5, 2)
    """

    def __init__(self, seen_only: bool = False):
        self.seen_only = seen_only

    def fit(self, frame: pd.DataFrame) -> "IndependentColumns":
        """Learn the columns of a table of at least one row (ValueError without)."""
        self.table = _with_rows(frame).head(0)
        self.marginals = {name: _Marginal(frame[name], self.seen_only) for name in frame}
        return self

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        return pd.DataFrame(
            {name: m.values_at(rng.random(n)) for name, m in self.marginals.items()}
        )

    def _fill(
        self, rows: pd.DataFrame, blank: np.ndarray, rng: np.random.Generator
    ) -> pd.DataFrame:
        u = {name: rng.random(len(rows)) * m.present for name, m in self.marginals.items()}
        return pd.DataFrame({name: m.values_at(u[name]) for name, m in self.marginals.items()})


class GaussianCopula(TableModel):
    """Marginals as seen, tied together by the correlations of normal scores (a Gaussian copula).

    Each column's values are ordered: numbers by size, levels by their frequency, a missing value
    last. Ties share their middle score, which makes the correlations of columns with few values a
    little too small. Source: Nelsen, "An introduction to copulas", 2nd ed., 2006, section 2.3; Patki
    et al. 2016, "The synthetic data vault".

    Args:
        seen_only: as in `IndependentColumns`.

    >>> frame = pd.DataFrame({"x": range(50), "y": range(50)})
    >>> rows = GaussianCopula().fit(frame).sample(5, seed=1)
    >>> bool((rows["x"] == rows["y"]).all())  # perfectly correlated, as in the table
    True
    """

    def __init__(self, seen_only: bool = False):
        self.seen_only = seen_only

    def fit(self, frame: pd.DataFrame) -> "GaussianCopula":
        """Learn marginals and correlations from a table of at least one row (ValueError without)."""
        self.table = _with_rows(frame).head(0)
        self.marginals = {name: _Marginal(frame[name], self.seen_only) for name in frame}
        scores = np.array([marginal.scores for marginal in self.marginals.values()])
        # A constant column has no correlations: its own place on the diagonal is all it needs.
        sd = scores.std(axis=1)
        scaled = (scores - scores.mean(axis=1, keepdims=True)) / np.where(sd > 0, sd, 1)[:, None]
        correlation = scaled @ scaled.T / scores.shape[1]
        np.fill_diagonal(correlation, 1.0)
        # Its root by eigenvalues, which also works where columns repeat each other.
        values, vectors = np.linalg.eigh(correlation)
        self.root = vectors * np.sqrt(values.clip(min=0))
        # The same among the values that are present, for filling gaps: a missing value says nothing there.
        scores = pd.DataFrame({n: m.present_scores for n, m in enumerate(self.marginals.values())})
        pairwise = scores.corr(min_periods=2).fillna(0).to_numpy(copy=True)
        np.fill_diagonal(pairwise, 1.0)
        # Pairs with gaps of their own need not fit together: some eigenvalues may be below 0.
        values, vectors = np.linalg.eigh(pairwise)
        known = (vectors * values.clip(min=0)) @ vectors.T + NOISE * np.eye(len(values))
        self.precision = np.linalg.inv(known)
        return self

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        uniform = norm.cdf(rng.standard_normal((n, len(self.root))) @ self.root.T)
        columns = zip(self.marginals.items(), uniform.T, strict=True)
        return pd.DataFrame({name: marginal.values_at(u) for (name, marginal), u in columns})

    def _fill(
        self, rows: pd.DataFrame, blank: np.ndarray, rng: np.random.Generator
    ) -> pd.DataFrame:
        # Gibbs sampling of truncated normal scores (Geweke 1991, "Efficient simulation from the
        # multivariate normal and Student-t distributions subject to linear constraints"): a known value
        # says between which two scores its coordinate lies, a missing one nothing.
        marginals = list(self.marginals.values())
        bounds = np.array(
            [m.between(rows[name]) for name, m in self.marginals.items()]
        )  # (columns, 2, rows), as shares of the values present
        for j in range(len(marginals)):
            bounds[j][:, blank[:, j]] = [[0.0], [1.0]]
        z = norm.ppf(bounds.mean(axis=1)).T
        for _ in range(ROUNDS):
            for j in range(len(marginals)):
                row = self.precision[j]
                sd = row[j] ** -0.5
                mean = z[:, j] - z @ row / row[j]
                low, high = norm.cdf((norm.ppf(bounds[j]) - mean) / sd)
                share = (low + (high - low) * rng.random(len(z))).clip(1e-9, 1 - 1e-9)
                edges = norm.ppf(bounds[j].clip(1e-9, 1 - 1e-9))
                z[:, j] = (mean + sd * norm.ppf(share)).clip(*edges)
        columns = zip(self.marginals.items(), norm.cdf(z).T, strict=True)
        return pd.DataFrame({name: m.values_at(u * m.present) for (name, m), u in columns})


class _Marginal:
    """A column's values in their order: its rows' normal scores, and its quantiles."""

    def __init__(self, column: pd.Series, seen_only: bool):
        codes, self.values = _ordered(column)
        counts = np.bincount(codes)
        # F(v) at and just below each value; its score is Phi^-1 of the middle
        self.upper = np.cumsum(counts) / len(codes)
        middle = (self.upper + np.concatenate([[0], self.upper[:-1]])) / 2
        self.scores = norm.ppf(middle)[codes]
        # the share of rows with a value, which come before those without, and these rows' own scores
        self.present = 1.0 - float(column.isna().mean())
        middle = np.where(self.values.isna(), np.nan, middle / max(self.present, 1e-9))
        self.present_scores = norm.ppf(middle)[codes]
        self.number = None
        if not seen_only and is_number(column):
            self.number = Number(str(column.name), column, SCALES["quantile"])
            seen = self.values.to_numpy(float, na_value=np.nan)
            # of the rows without a point mass and a missing value, the share at or below each value
            self.free = ~np.isnan(seen) & ~np.isin(seen, self.number.masses)
            self.free_upper = np.cumsum(counts * self.free) / (counts * self.free).sum()

    def between(self, column: pd.Series) -> np.ndarray:
        """The shares (2, n) of the values present between which each value of a column lies.

        They are those below it, and those up to it; 0 and 1 for a missing value.

        Raises:
            ValueError: for a level that was not seen in `fit`.
        """
        lower = np.concatenate([[0.0], self.upper[:-1]])
        known = pd.Index(self.values)
        at = known.get_indexer(column)
        if pd.api.types.is_numeric_dtype(self.values):
            seen = self.values.dropna().to_numpy(float)
            # a number between two values seen lies at the end of the first one's share
            between = np.searchsorted(seen, column.to_numpy(float, na_value=seen[0])) - 1
            at = np.where(at < 0, between.clip(0), at)
        unseen = (at < 0) & column.notna().to_numpy()
        if unseen.any():
            new = column[unseen].iloc[0]
            raise ValueError(unknown(f"level of '{column.name}'", str(new), list(map(str, known))))
        shares = np.stack([lower[at], self.upper[at]]) / max(self.present, 1e-9)
        return np.where(column.isna().to_numpy(), [[0.0], [1.0]], shares.clip(max=1.0))

    def values_at(self, u: np.ndarray) -> pd.Series:
        """The quantiles at the shares u (n,) in (0, 1)."""
        rows = np.searchsorted(self.upper[:-1], u)
        drawn = self.values.iloc[rows].reset_index(drop=True)
        if self.number is None:
            return drawn
        free = self.free[rows]
        knots = [np.concatenate([[0.0], shares]) for shares in (self.upper, self.free_upper)]
        score = norm.ppf(np.interp(u[free], *knots).clip(1e-12, 1 - 1e-12))
        smooth = drawn.to_numpy(float, na_value=np.nan, copy=True)
        smooth[free] = self.number.value(np.zeros(len(score), int), score)
        return pd.Series(smooth).astype(self.values.dtype)


def _with_rows(frame: pd.DataFrame) -> pd.DataFrame:
    if not len(frame):
        raise ValueError("A model of a table needs at least one row to learn from.")
    return frame


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
