"""What the checks on leaks have in common: whose the rows are, which of them are told, and the verdict."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from course_lib.audit.checks.chances import distinct, entered_twice, few_rows, match
from course_lib.audit.evidence import Evidence
from course_lib.audit.tally import RowHashes
from course_lib.audit.values import Values

SURE = 1e-3  # level of these tests, which are not corrected: one person is enough
SURE_OF_COPIES = 1e-2  # the same for whole rows and identifiers, whose coincidences are rare
UNSURE = 0.05  # up to here what was found is undecided, and does not pass
LISTED = 20  # rows that a finding names
FEATURES = 30  # of an array at most, from which coincidences are judged


def verdict_of(evidence: Evidence, found: int, chance: float, sure: float = SURE) -> str:
    """The verdict on so many people, where `chance` is that of so many coincidences.

    >>> verdict_of(Evidence(), 1, 1e-4), verdict_of(Evidence(), 0, 1.0)
    ('fail', 'pass')
    """
    if found and chance < sure:
        return "fail"
    if not evidence.holdout_given:
        return "not testable"
    undecided = found and sure == SURE_OF_COPIES and chance < UNSURE
    return "underpowered" if undecided else "pass"


def rows_told(
    evidence: Evidence,
    made: np.ndarray,
    real: np.ndarray,
    places: tuple[np.ndarray, np.ndarray] | None = None,
    whose: str = "real",
) -> str:
    """Which synthetic rows are like which real ones, counted from 1; nothing if rows are hidden.

    Args:
        made, real: rows of the tables (k,).
        places: where the real and the synthetic rows stand, if they are not those of the tables.
        whose: of which table the real rows are.

    >>> rows_told(Evidence(), np.array([4]), np.array([7]))
    '; synthetic rows, counted from 1, and the real row of each: 5 (8)'
    """
    if not evidence.list_rows or not len(made):
        return ""
    order, made_order = places or (evidence.real_order, evidence.made_order)
    numbers = (real if order is None else order[real]) + 1
    made = made if made_order is None else made_order[made]
    pairs = [f"{a + 1:,} ({b:,})" for a, b in zip(made[:LISTED], numbers[:LISTED], strict=True)]
    more = f" and {len(made) - LISTED:,} more" if len(made) > LISTED else ""
    return (
        f"; synthetic rows, counted from 1, and the {whose} row of each: {', '.join(pairs)}{more}"
    )


@dataclass(frozen=True)
class Rows:
    """Rows to be looked for, and the columns from which coincidences are judged.

    Attributes:
        persons: whose each real row is (n,), None if each is of another person.
    """

    hashes: RowHashes
    columns: list[Values]
    persons: np.ndarray | None = None

    @cached_property
    def judged(self) -> list[Values]:
        """The columns as chances are read from them: one row of each person, at random, and none twice."""
        if self.persons is None:
            return few_rows(distinct(self.hashes, self.columns))
        order = np.random.default_rng(0).permutation(len(self.persons))
        drawn = order[once_each(self.persons[order], np.zeros(len(order)))]
        return few_rows([replace(each, real=each.real[drawn]) for each in self.columns])

    @cached_property
    def once(self) -> RowHashes:
        """The numbers of the rows, those of one person each once."""
        if self.persons is None:
            return self.hashes
        train, at = self.hashes.train, once_each(self.persons, self.hashes.real)
        early, late = at[at < len(train)], at[at >= len(train)] - len(train)
        return replace(self.hashes, train=train[early], holdout=self.hashes.holdout[late])

    @cached_property
    def matches(self) -> dict[str, float]:
        """Of each column, the chance that two real rows have the same value."""
        return {column.name: match(column) for column in self.judged}

    def people(self, seen: int, *, strangers: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the rows that one person alone has, and where each of these rows stands.

        A row that was entered twice is one person's. Those of the first `seen` rows, or of all others.
        """
        real = self.hashes.real
        at = once_each(self.persons, real)
        values, first, times = np.unique(real[at], return_index=True, return_counts=True)
        most = 2 if entered_twice(real, self.hashes.synthetic) else 1
        own = (times <= most) & ((at[first] >= seen) == strangers)
        return values[own], at[first[own]]

    def without(self, column: Values, hashes: RowHashes) -> "Rows":
        """The same rows with one column less, whose hashes are given."""
        rows = Rows(hashes, [each for each in self.columns if each is not column], self.persons)
        left = [each for each in self.judged if each.name != column.name]
        rows.__dict__.update(judged=left, matches=self.matches)  # cached properties
        return rows


def once_each(persons: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """Where each value of each person stands first; all places if each row is of another person.

    >>> once_each(np.array([0, 0, 1]), np.array([5, 5, 5])).tolist()
    [0, 2]
    """
    if persons is None:
        return np.arange(len(values))
    pairs = pd.DataFrame({"person": persons, "value": values})
    return np.flatnonzero(~pairs.duplicated().to_numpy())


def rows_of(evidence: Evidence, persons: np.ndarray | None) -> Rows:
    """The rows of tables, or of arrays, of which some features stand for all in what chance gives.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": range(20), "sex": list("fm") * 10})
    >>> len(rows_of(Evidence(prepare(table, table, table)), None).hashes.real)
    40
    """
    if evidence.arrays is None:
        # Without the weekdays and months that were made of dates.
        own = [column.name for column in evidence.tables.schema.columns]
        columns = [column for name, column in evidence.tables.values.items() if name in own]
        return Rows(evidence.tables.row_hashes, columns, persons)
    real, made = evidence.arrays.real, evidence.arrays.synthetic
    width = real.shape[1]
    columns = [
        Values(str(k), "number", real[:, k].astype(float), made[:, k].astype(float))
        for k in np.unique(np.linspace(0, width - 1, FEATURES).astype(int))
    ]
    train, holdout, synthetic = (
        pd.util.hash_array(np.array([row.tobytes() for row in part + 0.0], object))
        for part in evidence.arrays
    )
    return Rows(RowHashes(train, holdout, synthetic), columns, persons)
