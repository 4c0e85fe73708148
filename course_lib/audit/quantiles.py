"""The quantiles of a column that may be longer than memory: its distinct values, and how often they occur.

Up to `MOST` distinct values nothing is lost, and every quantile is that of numpy. Beyond it neighbouring
values are joined two by two, so that a quantile is off by about one part in `MOST`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

MOST = 1 << 20  # distinct values that are kept


@dataclass(frozen=True)
class Quantiles:
    """Distinct finite values (k,) in order, and how often each of them occurs (k,).

    >>> sketch = Quantiles.of(np.array([3.0, 1.0, np.nan])) + Quantiles.of(np.array([3.0, 9.0]))
    >>> sketch.at([0.0, 0.5, 1.0]).tolist(), sketch.rows
    ([1.0, 3.0, 9.0], 4)
    """

    values: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Quantiles":
        """Those of floats (n,); NaN and infinity do not count."""
        found = cls(*np.unique(values[np.isfinite(values)], return_counts=True))
        return found._joined()

    @classmethod
    def sum(cls, parts: "Iterable[Quantiles]") -> "Quantiles":
        """Those of all rows of the parts together.

        >>> Quantiles.sum([]).rows
        0
        """
        return reduce(cls.__add__, parts, cls(np.empty(0), np.empty(0, np.int64)))

    def __add__(self, other: "Quantiles") -> "Quantiles":
        values = np.concatenate([self.values, other.values])
        order = np.argsort(values, kind="stable")  # quick for two sorted runs
        values, times = values[order], np.concatenate([self.times, other.times])[order]
        first = np.flatnonzero(np.diff(values, prepend=-np.inf))
        return Quantiles(
            values[first], np.add.reduceat(times, first) if len(first) else times
        )._joined()

    def _joined(self) -> "Quantiles":
        """At most MOST values: of each two neighbours the more common one stands for both.

        The outermost values stay, since they tell the range.
        """
        found = self
        while len(found.values) > MOST:
            inner = (len(found.values) - 2) // 2 * 2
            pairs = found.times[1 : 1 + inner].reshape(-1, 2)
            kept = found.values[1 : 1 + inner].reshape(-1, 2)
            kept = np.take_along_axis(kept, pairs.argmax(axis=1)[:, None], axis=1)[:, 0]
            values = [found.values[:1], kept, found.values[1 + inner :]]
            times = [found.times[:1], pairs.sum(axis=1), found.times[1 + inner :]]
            found = Quantiles(np.concatenate(values), np.concatenate(times))
        return found

    @cached_property
    def _up_to(self) -> np.ndarray:
        """How many rows have each value or a smaller one (k,)."""
        return np.cumsum(self.times)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self._up_to[-1]) if len(self.values) else 0

    def below(self, edges: np.ndarray) -> np.ndarray:
        """How many rows have a smaller value than each edge (e,)."""
        up_to = np.concatenate([[0], self._up_to])
        return np.asarray(up_to[np.searchsorted(self.values, edges, "left")])

    def lower(self, shares: np.ndarray) -> np.ndarray:
        """The values (q,) at these shares of the rows, as numpy's quantile with method "lower"."""
        place = np.floor(np.asarray(shares) * (self.rows - 1)).astype(np.int64)
        return self._in_order(place)

    def at(self, shares: np.ndarray | list[float]) -> np.ndarray:
        """The values (q,) at these shares of the rows, interpolated as numpy's quantile does."""
        exact = np.asarray(shares) * (self.rows - 1)
        place = np.floor(exact).astype(np.int64)
        low = self._in_order(place)
        high = self._in_order(np.minimum(place + 1, self.rows - 1))
        part = exact - place
        from_high, from_low = high - (high - low) * (1 - part), low + (high - low) * part
        return np.asarray(np.where(part >= 0.5, from_high, from_low))

    def without(self, values: np.ndarray) -> "Quantiles":
        """The rest of the rows, where those with these values are left out."""
        kept = ~np.isin(self.values, values)
        return Quantiles(self.values[kept], self.times[kept])

    def _in_order(self, place: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[np.searchsorted(self._up_to, place, "right")])
