"""A table of mixed columns as rows of numbers, and back again."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture
from torch import Tensor

from course_lib.syllabus import unknown

FEW = 20  # a column of numbers with at most this many distinct values becomes a category
MASS = 0.05  # a single value that this share of the rows has is a state of its own
MODES = 10  # the most modes of a number; those with less than MODE_WEIGHT are dropped
MODE_WEIGHT = 0.005
MODE_ROWS = 5_000  # the most rows from which the modes are fitted
SMOOTH = 20  # rows that one straight line of a number's quantile function spans; a fifth of fewer than 100
SHARED = 5  # an end of the range that at least so many rows have is a limit, and nobody's secret
GRAINS = 10.0 ** np.arange(6, -10, -1)
MISSING, RARE, NUMBER = "(missing)", "(rare)", "(number)"


@dataclass(frozen=True)
class Block:
    """What some columns of the encoded table are.

    >>> frame = pd.DataFrame({"kind": ["a", "b", "a"]})
    >>> TableEncoder().fit(frame).blocks
    (Block(name='kind', kind='category', slice=slice(0, 2, None), states=('a', 'b'), present=None),)

    Attributes:
        name: the table's column.
        kind: "number", one encoded column; or "category", one-hot, a column for each state.
        slice: which encoded columns.
        states: of a category, what each of its encoded columns stands for: a level of the table or a
            number's point mass; or "(missing)", "(rare)", "(number)", "(mode 1)" and so on.
        present: of a number, the encoded columns that say whether it applies: one of them is 1 where
            it does, and all are 0 where the row has a point mass or a missing value instead. None
            where the number always applies.
    """

    name: str
    kind: str
    slice: slice
    states: tuple = ()
    present: slice | None = None


class TableEncoder:
    """Makes rows of numbers of a table, and tables of such rows.

    A column of numbers with over 20 distinct values becomes a "number". Where a row of it can be in
    more than one state, a "category" before the number says in which: an ordinary number (or its
    mode), a point mass (a value that at least 5 % of the rows have, such as the zeros of a debt), or
    a missing value. Everything else becomes a "category".

    >>> frame = pd.DataFrame({"size": np.arange(30.0), "kind": ["a", "b", "c"] * 10})
    >>> encoder = TableEncoder().fit(frame)
    >>> encoder.encode(frame).shape  # one number, and a column for each of three levels
    (30, 4)
    >>> encoder.decode(encoder.encode(frame)).equals(frame)
    True

    Args:
        numbers: "quantile": normal scores, so that any marginal becomes a standard normal. Or
            "modes": a mixture of normal distributions is fitted, and a number becomes its mode and how many
            of that mode's standard deviations it lies from its mean (mode-specific normalisation, Xu
            et al. 2019, arXiv 1907.00503, section 4.2; there the mode is drawn by chance and the
            unit is four standard deviations; here the likeliest mode and one, so that the same
            table always gives the same rows, of unit scale). Then a number without a grain of its
            own (see `decode`) comes back to a float32's seven digits; all else comes back exactly.
        kinds: column name -> "number" or "category", where the rule above does not suit.
        rare: levels of a category with fewer rows than this share one state, "(rare)". Decoding
            draws them by their frequency, whatever the rest of the row is. With 0, the default, each
            level keeps a state of its own, and the round trip is exact. A model with few rows to
            learn from may need a higher value.
        seen_only: False: a number is decoded to values between and beyond those seen, so that a rare
            number found in a synthetic table does not say who was in the real one. True: it is moved to
            the nearest value seen. Ask for it only where each number is public or stands for a code: the
            values themselves then give their owners away (`course_lib.privacy.attacks.verbatim_numbers`).

    Attributes:
        blocks: the `Block`s in order.
        width: the number of encoded columns.
    """

    def __init__(
        self,
        numbers: str = "quantile",
        kinds: Mapping[str, str] | None = None,
        rare: int = 0,
        seen_only: bool = False,
    ):
        if numbers not in SCALES:
            raise ValueError(unknown("encoding of numbers", numbers, SCALES))
        self.numbers, self.kinds, self.rare = numbers, dict(kinds or {}), rare
        self.seen_only = seen_only
        for kind in self.kinds.values():
            if kind not in ("number", "category"):
                raise ValueError(unknown("kind", kind, ("number", "category")))

    def fit(self, frame: pd.DataFrame) -> "TableEncoder":
        """Learn columns, dtypes, levels, ranges and scales from a table of at least one row.

        Raises:
            ValueError: for no rows or columns, repeated column names, infinite numbers, dtypes other
                than numbers, booleans, strings and categories, or `kinds` that do not fit.
        """
        if not len(frame) or not len(frame.columns):
            raise ValueError(f"A table needs rows and columns; this one is {frame.shape}.")
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise ValueError(f"Column names must differ; '{twice}' occurs twice.")
        for name in self.kinds:
            if name not in frame:
                raise ValueError(unknown("column", str(name), list(frame)))
        self.columns = [self._column(str(name), frame[name]) for name in frame]
        self.names, self.index = list(frame), frame.columns
        blocks, start = [], 0
        for column in self.columns:
            for block in column.blocks(start):
                blocks.append(block)
                start = block.slice.stop
        self.blocks, self.width = tuple(blocks), start
        return self

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """The rows (n, width) float32 of a table with the columns that were fitted, in any order.

        A number outside the range seen is moved to its end, and a number of a few distinct values
        to the nearest of these.

        Raises:
            ValueError: when a column is absent, a category has a level not seen in `fit`, or a value
                is missing in a column that had none missing.
        """
        self._fitted()
        for name in self.names:
            if name not in frame:
                raise ValueError(f"The table lacks the column '{name}'.")
        parts = [
            column.encode(frame[name])
            for name, column in zip(self.names, self.columns, strict=True)
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def decode(self, encoded: np.ndarray, seed: int = 0) -> pd.DataFrame:
        """The table of rows (n, width): columns, order and dtypes as fitted.

        Of each category the largest entry counts. Numbers stay on the grain of those seen (whole
        numbers, hundreds, two decimals), and near their range: they pass its ends by no more than the
        distance from an end to the value 20 places away from it (in fewer than 100 rows, a fifth of
        them). They never change their sign, nor pass a point mass, nor an end that five rows have.
        `seed` draws the rare levels.

        Raises:
            ValueError: for another width, or entries that are not finite.
        """
        self._fitted()
        encoded = np.asarray(encoded, np.float32)
        if encoded.ndim != 2 or encoded.shape[1] != self.width:
            raise ValueError(f"Rows of shape (n, {self.width}) are wanted; got {encoded.shape}.")
        if not np.isfinite(encoded).all():
            raise ValueError("The encoded rows hold entries that are not finite.")
        rng = np.random.default_rng(seed)
        columns, start = [], 0
        for column in self.columns:
            columns.append(column.decode(encoded[:, start : start + column.width], rng))
            start += column.width
        table = pd.concat(columns, axis=1)
        table.columns = self.index
        return table

    def _column(self, name: str, values: pd.Series) -> "_Category | Number":
        kind = self.kinds.get(values.name)
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            if np.isinf(values.dropna().to_numpy(float)).any():
                raise ValueError(f"Column '{name}' holds infinite numbers.")
            if kind is None:
                kind = "number" if is_number(values) else "category"
            if kind == "number" and values.isna().all():
                raise ValueError(f"Column '{name}' has no values, so it cannot be a number.")
            if kind == "number":
                return Number(name, values, SCALES[self.numbers], self.seen_only)
        elif kind == "number":
            raise ValueError(f"Column '{name}' holds no numbers; its dtype is {values.dtype}.")
        elif not (
            pd.api.types.is_bool_dtype(values)
            or pd.api.types.is_object_dtype(values)
            or pd.api.types.is_string_dtype(values)
            or isinstance(values.dtype, pd.CategoricalDtype)
        ):
            raise ValueError(
                f"Column '{name}' has the dtype {values.dtype}; numbers, booleans, strings and "
                "categories can be encoded. Dates become numbers by `.astype('int64')`."
            )
        return _Category(name, values, self.rare)

    def _fitted(self) -> None:
        if not hasattr(self, "columns"):
            raise ValueError("The encoder has seen no table yet: call `fit` first.")


def blanks(encoder: TableEncoder, blank: np.ndarray) -> tuple[Tensor, Tensor]:
    """Which encoded columns of rows are to be drawn, and which states must not be: (n, width) bool twice.

    Args:
        encoder: a fitted encoder.
        blank: (n, columns) bool, the values of the table that are to be drawn.

    >>> encoder = TableEncoder().fit(pd.DataFrame({"kind": ["a", "b", None]}))
    >>> blanks(encoder, np.array([[True], [False]]))[1].tolist()  # the third state is "missing"
    [[False, False, True], [False, False, False]]
    """
    free = torch.zeros(len(blank), encoder.width, dtype=torch.bool)
    barred = torch.zeros_like(free)
    columns = {str(name): torch.from_numpy(blank[:, i]) for i, name in enumerate(encoder.names)}
    for block in encoder.blocks:
        wanted = columns[block.name]
        free[:, block.slice] = wanted[:, None]
        if MISSING in block.states:
            barred[:, block.slice.start + block.states.index(MISSING)] = wanted
    return free, barred


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers, and too many distinct ones for a category.

    >>> is_number(pd.Series(range(30))), is_number(pd.Series([1, 2, 2]))
    (True, False)
    """
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    return column.nunique() > FEW


class _Category:
    """One-hot states: the levels kept, one for all rare ones, one for a missing value."""

    def __init__(self, name: str, values: pd.Series, rare: int):
        self.name, self.dtype = name, values.dtype
        self.is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(
            values
        )
        counts = values.value_counts(dropna=True)
        counts = counts[counts > 0]  # a categorical dtype may have levels without rows
        counts = counts.sort_index() if self.is_number else counts
        pooled = counts < rare
        self.kept, self.rare = list(counts.index[~pooled]), list(counts.index[pooled])
        self.shares = (counts[pooled] / counts[pooled].sum()).to_numpy(float)
        self.states = [*self.kept, *([RARE] if self.rare else [])]
        self.missing = _missing(values)
        if self.missing is not _NONE:
            self.states.append(MISSING)
        self.width = len(self.states)
        self.code = {level: i for i, level in enumerate(self.kept)}
        self.code |= dict.fromkeys(self.rare, len(self.kept))

    def blocks(self, start: int) -> list[Block]:
        return [Block(self.name, "category", slice(start, start + self.width), tuple(self.states))]

    def encode(self, values: pd.Series) -> np.ndarray:
        if self.is_number:
            values = _nearest(values, sorted(self.code))
        absent = values.isna()
        if absent.any() and self.missing is _NONE:
            raise ValueError(_unseen_missing(self.name))
        codes = values.astype(object).map(self.code)
        new = values[codes.isna() & ~absent]
        if len(new):
            raise ValueError(unknown(f"level of '{self.name}'", str(new.iloc[0]), list(self.code)))
        return _one_hot(codes.where(~absent, self.width - 1).to_numpy(int), self.width)

    def decode(self, encoded: np.ndarray, rng: np.random.Generator) -> pd.Series:
        codes = encoded.argmax(axis=1)
        levels = np.empty(self.width, object)
        for i, level in enumerate(self.kept):
            levels[i] = level
        if self.missing is not _NONE:
            levels[-1] = self.missing
        values = levels[codes]
        if self.rare:
            pooled = codes == len(self.kept)
            drawn = rng.choice(len(self.rare), pooled.sum(), p=self.shares)
            values[pooled] = np.array([*self.rare, None], object)[drawn]
        return pd.Series(values, dtype=self.dtype)


class Number:
    """One column of numbers: a state where there is more than one, and the number on a scale of its own.

    `TableEncoder` and the baselines share it.

    >>> column = Number("x", pd.Series(np.arange(30)), SCALES["quantile"])
    >>> column.value(np.zeros(2, int), np.array([0.0, 9.0])).tolist()  # the median, and beyond the largest
    [14.0, 35.0]

    Args:
        name, values: the column; at least one value is present.
        scale: of `SCALES`.
        seen_only: as in `TableEncoder`.
    """

    def __init__(self, name: str, values: pd.Series, scale: type, seen_only: bool = False):
        self.name, self.dtype, self.seen_only = name, values.dtype, seen_only
        present = values.dropna().to_numpy(float)
        self.low, self.high = present.min(), present.max()
        self.grain = _grain(present)
        distinct, counts = np.unique(present, return_counts=True)
        common = counts >= MASS * len(values)
        # Where every value is common, as in a column that was asked to be a number, none is special.
        self.masses = distinct[common & ~common.all()]
        free = np.sort(present[~np.isin(present, self.masses)])
        self.seen = np.unique(free)
        self.scale = scale(free)
        self._set_ends(free)
        modes = self.scale.modes
        self.states = [NUMBER] if modes == 1 else [f"(mode {i + 1})" for i in range(modes)]
        self.states += list(self.masses.astype(int) if (self.grain or 0) >= 1 else self.masses)
        self.missing = _missing(values)
        if self.missing is not _NONE:
            self.states.append(MISSING)
        self.width = 1 + (len(self.states) if len(self.states) > 1 else 0)

    def blocks(self, start: int) -> list[Block]:
        if self.width == 1:
            return [Block(self.name, "number", slice(start, start + 1))]
        stop = start + self.width - 1
        present = slice(start, start + self.scale.modes)
        if self.scale.modes == len(self.states):
            present = None
        return [
            Block(self.name, "category", slice(start, stop), tuple(self.states)),
            Block(self.name, "number", slice(stop, stop + 1), present=present),
        ]

    def encode(self, values: pd.Series) -> np.ndarray:
        x = values.to_numpy(float, na_value=np.nan)
        absent = np.isnan(x)
        if absent.any() and self.missing is _NONE:
            raise ValueError(_unseen_missing(self.name))
        mode, score = self.scale.encode(np.where(absent, self.low, x).clip(self.low, self.high))
        for i, mass in enumerate(self.masses):
            mode = np.where(x == mass, self.scale.modes + i, mode)
        mode = np.where(absent, len(self.states) - 1, mode)
        score = np.where(mode < self.scale.modes, score, 0)[:, None]
        if self.width == 1:
            return score
        return np.concatenate([_one_hot(mode, len(self.states)), score], axis=1)

    def decode(self, encoded: np.ndarray, rng: np.random.Generator) -> pd.Series:
        state = encoded[:, :-1].argmax(axis=1) if self.width > 1 else np.zeros(len(encoded), int)
        x = self.value(np.minimum(state, self.scale.modes - 1), encoded[:, -1])
        for i, mass in enumerate(self.masses):
            x = np.where(state == self.scale.modes + i, mass, x)
        values = pd.Series(x)
        if self.missing is not _NONE:
            values = values.mask(state == len(self.states) - 1)
        return values.astype(self.dtype)

    def value(self, mode: np.ndarray, score: np.ndarray) -> np.ndarray:
        """The numbers (n,) float of modes (n,) int and scores (n,): point masses have none."""
        x = self.scale.decode(mode, score)
        if self.seen_only:
            return self.seen[_closest(self.seen, x)]
        for end, reach, side in ((self.seen[0], self.below, -1), (self.seen[-1], self.above, 1)):
            past = np.maximum(side * (x - end), 0)
            # a line at first, which bends and stays below `reach`
            x = np.where(past > 0, end + side * reach * np.tanh(past / (reach or 1)), x)
        # Dividing by a whole number of grains a unit gives the very float that was written down.
        return _on_grain(x, self.grain).clip(self.least, self.most)

    def _set_ends(self, x: np.ndarray) -> None:
        """How far, and how far at most, numbers may pass the ends of x (n,), which is sorted."""
        step = self.grain or 0.0
        near = min(_block(len(x)), len(x) - 1)
        limits = []
        for side, edge, other in ((-1, x, self.masses), (1, -x[::-1], -self.masses)):
            end, reach = edge[0], edge[near] - edge[0]
            bound = end - reach
            if end >= 0:
                bound = max(bound, min(end, step))  # what was positive stays so
            if len(beyond := other[other < end]):
                bound = max(bound, min(end, beyond.max() + step))  # a point mass is not passed
            if (edge == end).sum() >= SHARED:
                bound = end
            limits.append((end - bound, side * -bound))
        (self.below, self.least), (self.above, self.most) = limits
        if pd.api.types.is_integer_dtype(self.dtype):
            kind = np.iinfo(getattr(self.dtype, "numpy_dtype", self.dtype))
            self.least, self.most = max(self.least, kind.min), min(self.most, kind.max)


def _block(n: int) -> int:
    """How many of n rows one straight line of a number's quantile function spans."""
    return min(SMOOTH, -(-n // 5))


class _Scores:
    """Normal scores: the number's quantile among those seen, as that of a standard normal variable.

    The quantiles are straight lines between knots, a block of rows (`_block`) from one to the next, and go
    on beyond the ends. With a knot at every value a generator would still draw the values seen more
    often than others: lines between neighbours are steepest, and the density highest, next to a value seen.
    """

    modes = 1

    def __init__(self, x: np.ndarray):
        self.values, counts = np.unique(x, return_counts=True)
        upper = np.cumsum(counts)
        knots, rows = [0], _block(len(x))
        for i in range(1, len(upper)):
            if upper[i] - upper[knots[-1]] >= rows:
                knots.append(i)
        last = len(upper) - 1
        if knots[-1] != last:
            knots = [*(knots[:-1] if len(knots) > 1 else knots), last]
        # score(v) = Phi^-1( P(X < v) + P(X = v) / 2 )
        self.knots, self.heights = (
            self.values[knots],
            norm.ppf((upper - counts / 2)[knots] / len(x)),
        )
        self.scores = np.interp(self.values, self.knots, self.heights).astype(np.float32)

    def encode(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        score = np.interp(x, self.knots, self.heights)
        return np.zeros(len(x), int), score.astype(np.float32)

    def decode(self, mode: np.ndarray, score: np.ndarray) -> np.ndarray:
        x = np.interp(score, self.heights, self.knots)
        if len(self.knots) > 1:
            for end, inner, side in ((0, 1, -1), (-1, -2, 1)):
                rise = self.knots[end] - self.knots[inner]
                steep = rise / (self.heights[end] - self.heights[inner])
                x += steep * side * np.maximum(side * (score - self.heights[end]), 0)
        # The very score of a value is its own, so that the way back is exact to the last digit.
        at = np.searchsorted(self.scores, score).clip(max=len(self.scores) - 1)
        return np.where(self.scores[at] == score, self.values[at], x)


class _Modes:
    """Mode-specific normalisation: the likeliest mode, and standard deviations from its mean."""

    def __init__(self, x: np.ndarray):
        rows = np.random.default_rng(0).permutation(len(x))[:MODE_ROWS]
        distinct = len(np.unique(x[rows]))
        mixture = BayesianGaussianMixture(
            n_components=min(MODES, distinct),
            weight_concentration_prior_type="dirichlet_process",
            weight_concentration_prior=0.001,
            random_state=0,
        )
        # In units of the whole column, as the mixture's priors do not know its scale.
        self.mean, self.sd = x.mean(), x.std() or 1.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit((x[rows, None] - self.mean) / self.sd)
        keep = mixture.weights_ > MODE_WEIGHT
        self.weights = mixture.weights_[keep] / mixture.weights_[keep].sum()
        self.means = mixture.means_[keep, 0] * self.sd + self.mean
        self.sds = np.sqrt(mixture.covariances_[keep, 0, 0]) * self.sd
        self.modes = len(self.means)

    def encode(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # the mode k that maximises log pi_k + log N(x; mu_k, sigma_k^2), and (x - mu_k) / sigma_k
        log_joint = np.log(self.weights) + norm.logpdf(x[:, None], self.means, self.sds)
        mode = log_joint.argmax(axis=1)
        return mode, (x - self.means[mode]) / self.sds[mode]

    def decode(self, mode: np.ndarray, score: np.ndarray) -> np.ndarray:
        return self.means[mode] + self.sds[mode] * score.astype(float)


SCALES = {"quantile": _Scores, "modes": _Modes}
_NONE = object()  # no value was missing


def _one_hot(codes: np.ndarray, width: int) -> np.ndarray:
    rows = np.zeros((len(codes), width), np.float32)
    rows[np.arange(len(codes)), codes] = 1
    return rows


def _missing(values: pd.Series) -> object:
    """How the column writes a missing value (NaN, None, pd.NA); _NONE if none is missing."""
    gone = values[values.isna()]
    return gone.iloc[0] if len(gone) else _NONE


def _unseen_missing(name: str) -> str:
    return f"Column '{name}' has missing values, and had none when the encoder was fitted."


def _nearest(values: pd.Series, levels: list) -> pd.Series:
    """Each number moved to the nearest of the sorted levels; a missing one stays missing."""
    if not levels:
        return values
    x = values.to_numpy(float, na_value=np.nan)
    at = _closest(np.array(levels, float), np.nan_to_num(x))
    found = np.array([*levels, None], object)[at]
    return pd.Series(found, index=values.index, dtype=object).mask(values.isna(), np.nan)


def _closest(known: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The place of the nearest of the sorted `known` for each x (n,)."""
    return np.searchsorted((known[1:] + known[:-1]) / 2, x)


def _grain(x: np.ndarray) -> float | None:
    """The largest power of ten, from a million to a billionth, of which all numbers are multiples."""
    for grain in GRAINS:
        if np.array_equal(_on_grain(x, grain), x):
            return float(grain)
    return None


def _on_grain(x: np.ndarray, grain: float | None) -> np.ndarray:
    """x rounded to multiples of the grain, each the float nearest to its decimal writing."""
    if grain is None:
        return x
    if grain >= 1:
        return np.round(x / grain) * grain
    return np.round(x * round(1 / grain)) / round(1 / grain)
