"""A private generator of tables: a tree of noisy marginals, measured together with the label.

After MST (McKenna, Miklau and Sheldon 2021, "Winning the NIST contest", arXiv 2108.04978), with the
label in every marginal, as a table is usually made to be learnt from. What no marginal holds, the
synthetic rows do not know: a tree without the label in every marginal knows it by one path only.

What is done with noisy counts afterwards costs no privacy. So all of them together make one set of counts
that agree (Hay et al. 2010, arXiv 0904.0942), in which noise that looks like a dependence is shrunk.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from course_lib.models.tabular import TableModel

TRACE = 1e-6  # rows in a cell that would be empty
SWEEPS = 1000  # of raking, at most
SETTLED = 1e-6  # raking ends where no sum is wrong by more than this share of all rows


class Domain:
    """The cells into which each column is cut. Taken from public rows or from the description of the data.

    Cells taken from the private rows themselves would have to be paid for as well.

    Args:
        public: a table of the same columns, named by text, that is no secret.
        bins: the most cells of a number with more distinct values; edges are its quantiles.
        points: for such a number, values that many rows hold exactly, as 0. Each is a cell of its own.

    >>> domain = Domain(pd.DataFrame({"x": range(100), "kind": ["a", "b"] * 50}), bins=4)
    >>> domain.sizes
    {'x': 4, 'kind': 2}
    """

    def __init__(
        self,
        public: pd.DataFrame,
        bins: int = 6,
        points: Mapping[str, Sequence[float]] | None = None,
    ):
        self.table, self.names = public.head(0), [str(name) for name in public]
        self.edges: dict[str, np.ndarray] = {}
        self.levels: dict[str, list] = {}
        for name in self.names:
            column = public[name]
            numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(
                column
            )
            if numeric and column.nunique() > bins:
                cuts = np.quantile(column.dropna(), np.linspace(0, 1, bins + 1))
                whole = pd.api.types.is_integer_dtype(column)
                self.edges[name] = np.unique(np.ceil(cuts) if whole else cuts)
                missing = [pd.NA] if column.isna().any() else []
                self.levels[name] = [*(points or {}).get(name, ()), *missing]
            else:
                levels = sorted(column.dropna().unique())
                self.levels[name] = levels + ([pd.NA] if column.isna().any() else [])
        self.sizes = {
            name: len(self.levels[name]) + max(len(self.edges.get(name, ())) - 1, 0)
            for name in self.names
        }

    def encode(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """Cell numbers (n,) of each column. A number beyond the edges goes to the cell at that end,
        and what the domain does not know to the last cell."""
        codes = {}
        for name in self.sizes:
            column, last = frame[name], self.sizes[name] - 1
            if name in self.edges:
                x = column.to_numpy(float, na_value=np.nan)
                cell = np.searchsorted(self.edges[name][1:-1], np.nan_to_num(x), side="right")
                codes[name] = np.where(np.isnan(x), last, cell)
                for place, level in enumerate(self.levels[name], len(self.edges[name]) - 1):
                    if not pd.isna(level):
                        codes[name][x == level] = place
            else:
                places = {
                    level: i for i, level in enumerate(self.levels[name]) if not pd.isna(level)
                }
                codes[name] = column.astype(object).map(places).fillna(last).to_numpy(int)
        return codes

    def decode(self, codes: Mapping[str, np.ndarray], rng: np.random.Generator) -> pd.DataFrame:
        """A table of cell numbers (n,): a number is drawn evenly from its cell, whole if the column is."""
        columns = {}
        for name, code in codes.items():
            dtype = self.table[name].dtype
            if name in self.edges:
                edges = self.edges[name]
                cell = code.clip(max=len(edges) - 2)
                whole = pd.api.types.is_integer_dtype(dtype)
                ends = np.append(
                    edges[1:-1], edges[-1] + whole
                )  # cells are open above, but the last
                x = rng.uniform(edges[cell], ends[cell])
                x = np.floor(x) if whole else x
                values = pd.Series(x)
                for place, level in enumerate(self.levels[name], len(edges) - 1):
                    values = values.mask(code == place, np.nan if pd.isna(level) else level)
            else:
                levels = np.empty(len(self.levels[name]), object)
                levels[:] = self.levels[name]
                values = pd.Series(levels[code])
            columns[name] = values.astype(dtype)
        return pd.DataFrame(columns)


class Measured(NamedTuple):
    """A marginal as it was measured: noisy counts, negative ones too, and the noise's standard deviation.

    Its axes are the columns, the label first if there is one; a marginal without a label has an axis of
    length 1 before them.
    """

    columns: tuple[str, ...]
    counts: np.ndarray
    sd: float


class NoisyMarginals(TableModel):
    """Counts of pairs of columns and the label, noised, along a tree that a private choice has made.

    A third of rho measures each column with the label, a third chooses the tree's edges by the exponential
    mechanism (which pair is worst described so far?), and a third measures the chosen pairs with the label.
    The counts from which rows are drawn are made of these alone; see `fit`.

    Args:
        domain: the cells; see `Domain`.
        label: the column that every marginal holds, or None for marginals without one.

    Attributes:
        measured: all that was read from the table that was fitted, as `Measured`: first each column, then
            each pair of the tree. Other estimators can start from it.
        classes: estimated rows of each class, (classes,), above 0.
        single: of each column its estimated counts (classes, cells), above 0, which sum to `classes`.
        tree: the pairs (a, b, counts), with estimated counts (classes, cells of a, cells of b) above 0,
            which sum to those of the two columns.

    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame(rng.integers(0, 3, (500, 4)), columns=list("abcd"))
    >>> NoisyMarginals(Domain(frame), "d").fit(frame, rho=1.0, seed=0).sample(5, seed=1).shape
    (5, 4)
    """

    def __init__(self, domain: Domain, label: str | None):
        if label is not None and label not in domain.sizes:
            raise ValueError(f"The domain has no column '{label}'.")
        self.domain, self.label = domain, label
        self.columns = [name for name in domain.sizes if name != label]

    def fit(self, frame: pd.DataFrame, rho: float, seed: int = 0) -> "NoisyMarginals":
        """Measure a table of at least one row with rho of zero-concentrated privacy.

        Neighbouring tables differ by one row more or less. The noise comes from `seed`, which must
        stay secret where privacy is at stake.

        A column is measured by itself and in each pair that holds it. These counts are averaged, each
        weighted by the inverse of its variance, and moved to the nearest ones that are not negative and
        sum to the class's total, an average over the columns. Of a pair, the columns say all but how they
        depend on each other within a class. That part is shrunk, the more of it noise alone would explain
        (James and Stein 1961, "Estimation with quadratic loss"), and the pair is raked until it sums to
        its columns (Deming and Stephan 1940).

        Raises:
            ValueError: for a rho that is not above 0, or fewer than two columns beside the label.
        """
        if not rho > 0 or len(self.columns) < 2:
            raise ValueError("Wanted: rho above 0, and at least two columns beside the label.")
        rng, codes, sizes = (
            np.random.default_rng(seed),
            self.domain.encode(frame),
            self.domain.sizes,
        )
        y = codes[self.label] if self.label else np.zeros(len(frame), int)
        classes = sizes[self.label] if self.label else 1

        def counts(*names: str) -> np.ndarray:
            shape = (classes, *(sizes[name] for name in names))
            cells = np.ravel_multi_index((y, *(codes[name] for name in names)), shape)
            return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape).astype(float)

        def noisy(share: float, *names: str) -> np.ndarray:
            sd, read = (2 * share) ** -0.5, [self.label, *names] if self.label else names
            table = counts(*names) + rng.normal(0, sd, (classes, *(sizes[name] for name in names)))
            self.measured.append(Measured(tuple(read), table, sd))
            return table.clip(min=TRACE)

        edges = len(self.columns) - 1
        self.measured: list[Measured] = []
        single = {name: noisy(rho / 3 / (edges + 1), name) for name in self.columns}
        total = np.mean([table.sum(axis=1) for table in single.values()], axis=0)
        # How far the counts of each pair are from independence within the classes: one row more or
        # less moves this sum by at most 1.
        scores = {}
        for a, b in combinations(self.columns, 2):
            guess = np.einsum("ki,kj->kij", single[a], single[b])
            guess *= (total / guess.sum(axis=(1, 2)))[:, None, None]
            scores[a, b] = np.abs(counts(a, b) - guess).sum()
        temperature = np.sqrt(8 * rho / 3 / edges)  # epsilon of one choice: epsilon^2 / 8 each
        part = {name: {name} for name in self.columns}
        for _ in range(edges):
            open_pairs = [pair for pair in scores if part[pair[0]] is not part[pair[1]]]
            utility = np.array([scores[pair] for pair in open_pairs]) * temperature / 2
            a, b = open_pairs[int((utility + rng.gumbel(size=len(utility))).argmax())]
            noisy(rho / 3 / edges, a, b)
            joined = part[a] | part[b]
            part |= dict.fromkeys(joined, joined)
        self._estimate()
        self.table = frame[list(sizes)].head(0)
        return self

    def _estimate(self) -> None:
        """Counts above 0 that agree, from what was measured and nothing else."""
        pairs = {m.columns[-2:]: m for m in self.measured[len(self.columns) :]}
        told = dict(zip(self.columns, self.measured, strict=False))
        precision = {name: table.sd**-2 for name, table in told.items()}
        sums = {name: table.counts * precision[name] for name, table in told.items()}
        for (a, b), pair in pairs.items():
            for name, axis in ((a, 2), (b, 1)):
                known = pair.sd**-2 / pair.counts.shape[axis]
                precision[name] += known
                sums[name] = sums[name] + known * pair.counts.sum(axis=axis)
        means = {name: sums[name] / precision[name] for name in self.columns}
        weights = {name: precision[name] / means[name].shape[1] for name in self.columns}
        totals = sum(weights[name] * means[name].sum(axis=1) for name in self.columns)
        self.classes = np.clip(totals / sum(weights.values()), TRACE, None)
        self.single = {name: _nearest_counts(means[name], self.classes) for name in self.columns}
        self.tree = []
        for (a, b), pair in pairs.items():
            rows, columns = self.single[a], self.single[b]
            apart = np.einsum("ki,kj->kij", rows, columns) / self.classes[:, None, None]
            rest = pair.counts - apart
            rest -= rest.mean(axis=1, keepdims=True)
            rest -= rest.mean(axis=2, keepdims=True)
            free = len(rest) * (rest.shape[1] - 1) * (rest.shape[2] - 1)
            noise = max(free - 2, 0) * pair.sd**2
            kept = 1 - min(1.0, noise / max(float((rest**2).sum()), 1e-300))
            self.tree.append((a, b, _raked(apart + kept * rest, rows, columns)))

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        y = rng.choice(len(self.classes), n, p=self.classes / self.classes.sum())
        root = self.columns[0]
        drawn = {root: _draw_cells(self.single[root][y], rng)}
        waiting = list(self.tree)
        while waiting:
            a, b, table = next(edge for edge in waiting if edge[0] in drawn or edge[1] in drawn)
            waiting = [edge for edge in waiting if edge[:2] != (a, b)]
            if a in drawn:
                drawn[b] = _draw_cells(table[y, drawn[a]], rng)
            else:
                drawn[a] = _draw_cells(table[y, :, drawn[b]], rng)
        if self.label:
            drawn[self.label] = y
        return self.domain.decode({name: drawn[name] for name in self.domain.sizes}, rng)


def _draw_cells(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A cell for each row of weights (n, k)."""
    edges = weights.cumsum(axis=1)
    return (rng.random(len(weights))[:, None] * edges[:, -1:] >= edges[:, :-1]).sum(axis=1)


def _nearest_counts(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """The nearest counts (k, n), by squares, that are not negative and sum to the totals (k,), above 0.

    All of a class move by the same number, and what falls below 0 becomes 0 (Duchi et al. 2008, "Efficient
    projections onto the l1-ball"), but for a trace.
    """
    falling = -np.sort(-counts, axis=1)
    places = np.arange(1, counts.shape[1] + 1)
    shifts = (falling.cumsum(axis=1) - totals[:, None]) / places
    last = (falling > shifts).sum(axis=1) - 1
    near = (counts - shifts[np.arange(len(counts)), last][:, None]).clip(min=TRACE)
    return near * (totals / near.sum(axis=1))[:, None]


def _raked(counts: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Counts (k, m, n), negative ones made a trace, that sum to rows (k, m) and columns (k, n)."""
    counts = counts.clip(min=TRACE)
    for _ in range(SWEEPS):
        counts = counts * (rows / counts.sum(axis=2))[:, :, None]
        wrong = columns / counts.sum(axis=1)
        counts = counts * wrong[:, None, :]
        if np.abs(counts.sum(axis=2) - rows).max() <= SETTLED * rows.sum():
            break
    return counts
