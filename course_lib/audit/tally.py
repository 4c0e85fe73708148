"""What the checks count: cells, levels, pairs, groups, labels of the training, holdout and synthetic rows.

A count has a `Key`. `RowTally` counts rows in memory when it is asked; `SumTally` hands out sums of the
same counts over batches of rows that are too many for memory (`large`). A check does not know which of
the two it asks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from course_lib.audit.contingency import all_pairs, tabulate
from course_lib.audit.values import Values

if TYPE_CHECKING:
    from course_lib.audit.table import Group, Target

NO_ROWS = np.empty(0, bool)
MOST_LEFT_OUT = (
    8  # one in so many pairs of columns must be asked for, for all to be counted at once
)


class Split(NamedTuple):
    """The same counts of the three sets of rows.

    >>> Split(np.array([1, 2]), np.array([3, 4]), np.array([5, 6])).real.tolist()
    [4, 6]
    """

    train: np.ndarray
    holdout: np.ndarray
    synthetic: np.ndarray

    @property
    def real(self) -> np.ndarray:
        """Of training and holdout rows together."""
        return np.asarray(self.train + self.holdout)


class Key(NamedTuple):
    """What is counted.

    Attributes:
        what: "rows" of a group; its "labels", known and positive ones; "cells" of one column or of two;
            "levels" of a category; "tails" of a number, rows beyond its lower and its upper threshold.
        names: the columns, or the group; no group means all rows.
        by_rank: which of two columns are counted by rank; of synthetic rows only.
        target: which of `Questions.targets`.
    """

    what: str
    names: tuple[str, ...] = ()
    by_rank: tuple[bool, ...] = (False, False)
    target: int = 0


@dataclass(frozen=True)
class Questions:
    """The columns, groups and labels whose rows are counted, whatever rows they were made from.

    Attributes:
        values: each column, by name. groups: by name. targets: the label, once for each level that may
            count as positive.
    """

    values: Mapping[str, Values]
    groups: "Mapping[str, Group]" = field(default_factory=dict)
    targets: "tuple[Target, ...]" = ()

    def bare(self) -> "Questions":
        """The same without any rows, to be sent to a process that counts others."""
        values = {name: each.bare() for name, each in self.values.items()}
        groups = {
            name: replace(each, real=NO_ROWS, synthetic=NO_ROWS)
            for name, each in self.groups.items()
        }
        targets = tuple(each.bare() for each in self.targets)
        return Questions(values, groups, targets)

    def keys(self, pairs: bool = True) -> Iterator[Key]:
        """All counts that the checks may ask for; without those of two columns if `pairs` is False."""
        for name, column in self.values.items():
            yield Key("cells", (name,))
            yield Key("tails" if column.is_number else "levels", (name,))
        if pairs:
            yield from (Key("cells", pair) for pair in combinations(self.values, 2))
        for names in ((), *((group,) for group in self.groups)):
            yield Key("rows", names)
            yield from (Key("labels", names, target=k) for k in range(len(self.targets)))

    def keys_by_rank(self) -> Iterator[Key]:
        """Those of pairs of synthetic values of which one or both are counted by rank."""
        for pair in combinations(self.values, 2):
            number = [self.values[name].is_number for name in pair]
            for ways in ((False, True), (True, False), (True, True)):
                if not any(way and not able for way, able in zip(ways, number, strict=True)):
                    yield Key("cells", pair, ways)


@dataclass(frozen=True)
class Rows:
    """Some rows of one set: each column (n,) as floats, or as codes of its levels."""

    questions: Questions
    columns: Mapping[str, np.ndarray]
    _cells: dict[tuple[str, bool], np.ndarray] = field(default_factory=dict)

    def count(self, key: Key) -> np.ndarray:
        """How many of these rows there are of each sort; see `Key`.

        >>> age = Values("age", "number", np.arange(9.0), np.arange(9.0), bins=3)
        >>> rows = Rows(Questions({"age": age}), {"age": np.array([1.0, 8.0, np.nan])})
        >>> rows.count(Key("cells", ("age",))).tolist()
        [1, 0, 1, 1]
        """
        asked = self.questions
        if key.what in ("rows", "labels"):
            inside = np.ones(len(next(iter(self.columns.values()))), bool)
            if key.names:
                inside = asked.groups[key.names[0]].holds(self.columns)
            if key.what == "rows":
                return np.array([inside.sum()])
            target = asked.targets[key.target]
            label = target.outcome_of(self.columns[target.name][inside])
            return np.array([np.isfinite(label).sum(), (label == 1).sum()])
        sizes = [asked.values[name].cells for name in key.names]
        if len(key.names) == 2:
            one, two = (self._cell(*way) for way in zip(key.names, key.by_rank, strict=True))
            return tabulate(one, two, *sizes)
        (name,) = key.names
        if key.what == "cells":
            return np.bincount(self._cell(name), minlength=sizes[0])
        column, values = asked.values[name], self.columns[name]
        if key.what == "levels":
            return np.bincount(values[values >= 0], minlength=len(column.levels))
        low, high = column.thresholds
        return np.array([(values < low).sum(), (values > high).sum()])

    def counts(self, keys: Sequence[Key]) -> dict[Key, np.ndarray]:
        """The counts of many keys at once, which is quicker where most pairs of columns are among them.

        >>> age = Values("age", "number", np.arange(9.0), np.arange(9.0), bins=3)
        >>> rows = Rows(Questions({"x": age, "y": age}), {"x": np.array([1.0, 8]), "y": np.array([4.0, 8])})
        >>> found = rows.counts([Key("rows"), Key("cells", ("x", "y"))])
        >>> found[Key("cells", ("x", "y"))].tolist()
        [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
        """
        pairs = {
            key: tuple(zip(key.names, key.by_rank, strict=True))
            for key in keys
            if key.what == "cells" and len(key.names) == 2
        }
        columns = list(dict.fromkeys(column for pair in pairs.values() for column in pair))
        if len(pairs) <= len(columns) ** 2 / MOST_LEFT_OUT:
            return {key: self.count(key) for key in keys}
        sizes = [self.questions.values[name].cells for name, _ in columns]
        counts = all_pairs([self._cell(*column) for column in columns], sizes)
        ends = np.cumsum(sizes).tolist()
        place = {
            column: slice(end - size, end)
            for column, size, end in zip(columns, sizes, ends, strict=True)
        }
        found = {key: counts[place[one], place[two]] for key, (one, two) in pairs.items()}
        return found | {key: self.count(key) for key in keys if key not in pairs}

    def _cell(self, name: str, by_rank: bool = False) -> np.ndarray:
        if (name, by_rank) not in self._cells:
            column = self.questions.values[name]
            to = column.cell_by_rank if by_rank else column.cell_of
            self._cells[name, by_rank] = to(self.columns[name])
        return self._cells[name, by_rank]


class Tally(ABC):
    """The counts of the three sets of rows."""

    questions: Questions

    @abstractmethod
    def of(self, key: Key) -> Split:
        """The counts of all three sets."""

    @abstractmethod
    def of_synthetic(self, key: Key) -> np.ndarray:
        """The count of the synthetic rows alone."""

    def each(self, keys: Sequence[Key]) -> list[Split]:
        """The counts of many keys."""
        return [self.of(key) for key in keys]

    def cells(self, *columns: Values) -> Split:
        """Rows in each cell (cells,) of a column, or of two (cells, cells)."""
        return self.of(Key("cells", tuple(column.name for column in columns)))

    def pairs(self, columns: Sequence[tuple[Values, Values]]) -> list[Split]:
        """Rows in each cell (cells, cells) of each two columns."""
        return self.each([Key("cells", (one.name, two.name)) for one, two in columns])

    def levels(self, column: Values) -> Split:
        """Rows with each level of a category (levels,)."""
        return self.of(Key("levels", (column.name,)))

    def tails(self, column: Values) -> Split:
        """Rows below the lower and above the upper threshold of a number (2,)."""
        return self.of(Key("tails", (column.name,)))

    def rows(self, group: str = "") -> Split:
        """Rows of a group, or of all (1,)."""
        return self.of(Key("rows", (group,) if group else ()))

    def labels(self, target: "Target", group: str = "") -> Split:
        """Rows of a group, or of all, with a label, and with the positive one (2,)."""
        number = [each.positive for each in self.questions.targets].index(target.positive)
        return self.of(Key("labels", (group,) if group else (), target=number))


@dataclass(frozen=True)
class RowTally(Tally):
    """Counts of rows in memory, each made when it is asked for."""

    questions: Questions
    n_train: int

    @cached_property
    def _sets(self) -> tuple[Rows, Rows, Rows]:
        values = self.questions.values
        parts = {name: np.split(each.real, [self.n_train]) for name, each in values.items()}
        train, holdout = ({name: part[k] for name, part in parts.items()} for k in (0, 1))
        synthetic = {name: each.synthetic for name, each in values.items()}
        return (
            Rows(self.questions, train),
            Rows(self.questions, holdout),
            Rows(self.questions, synthetic),
        )

    def of(self, key: Key) -> Split:
        return Split(*(rows.count(key) for rows in self._sets))

    def each(self, keys: Sequence[Key]) -> list[Split]:
        counts = [rows.counts(keys) for rows in self._sets]
        return [Split(*(found[key] for found in counts)) for key in keys]

    def of_synthetic(self, key: Key) -> np.ndarray:
        return self._sets[2].count(key)


Sums = Mapping[Key, np.ndarray]


@dataclass(frozen=True)
class RowHashes:
    """A number to each row, equal for rows of equal values, of the three sets of rows.

    Attributes:
        kept: the share of all possible numbers that are here. Rows that are equal are all here or all left
            out, so that copies can be counted among them as among all rows.
        places: of the real rows, training rows first, and of the synthetic ones: where they stand in their
            files; None where they stand as in the tables.
    """

    train: np.ndarray
    holdout: np.ndarray
    synthetic: np.ndarray
    kept: float = 1.0
    places: tuple[np.ndarray, np.ndarray] | None = None

    @cached_property
    def real(self) -> np.ndarray:
        """Those of the training rows, then of the holdout rows."""
        return np.concatenate([self.train, self.holdout])


def hashes_of(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """A number (n,) to each row of some columns of floats or codes, equal for rows of equal values.

    >>> len(set(hashes_of({"x": np.array([1.0, 2.0, 1.0])})))
    2
    """
    table = pd.DataFrame({name: each + 0.0 for name, each in columns.items()})
    return pd.util.hash_pandas_object(table, index=False).to_numpy()


@dataclass(frozen=True)
class SumTally(Tally):
    """Counts that were summed over batches beforehand, of each of the three sets.

    Attributes:
        sample: what was not summed is counted there.
    """

    questions: Questions
    sums: tuple[Sums, Sums, Sums]
    sample: RowTally

    def of(self, key: Key) -> Split:
        if key not in self.sums[0]:
            return self.sample.of(key)
        return Split(*(each[key] for each in self.sums))

    def of_synthetic(self, key: Key) -> np.ndarray:
        found = self.sums[2].get(key)
        return self.sample.of_synthetic(key) if found is None else found
