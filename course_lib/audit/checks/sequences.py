"""Several rows of one person: how they follow each other. Each person is one unit in every test."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from course_lib.audit.contingency import tabulate
from course_lib.audit.dependence import given_margins
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, measured
from course_lib.audit.statistics import from_z, interval_only, kolmogorov_smirnov
from course_lib.audit.values import Values, present, read_column

ROUNDING = 1e-9
LEAST_PERSONS = 20  # with two rows or more, in each table


class Steps(NamedTuple):
    """Rows that follow each other, of one table, sorted by person and time.

    Attributes:
        order: of all rows (n,). person: codes of the sorted rows (n,).
        second: where in the sorted rows the later row of each step stands (k,).
    """

    order: np.ndarray
    person: np.ndarray
    second: np.ndarray

    @property
    def persons(self) -> int:
        """How many have two rows or more."""
        return len(np.unique(self.person[self.second]))

    def one_each(self, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One of the steps that are known (k,) of each person, at random."""
        tried = rng.permutation(np.flatnonzero(known))
        _, first = np.unique(self.person[self.second[tried]], return_index=True)
        return tried[first]


def check(
    evidence: Evidence,
    rng: np.random.Generator,
    entity: str,
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
) -> Iterator[Draft | Note]:
    """Drafts about the order of the rows of each person.

    Args:
        entity: the column that tells persons. real, synthetic: the tables with all rows.

    >>> from course_lib.audit.table import prepare
    >>> rows = pd.DataFrame({"id": [*range(30)] * 3, "x": np.arange(90) % 31 * 1.5, "s": [*"ab"] * 45})
    >>> tables = prepare(rows[:30], rows[:30], rows[:30], {"id": "identifier"})
    >>> found = check(Evidence(tables), np.random.default_rng(0), "id", rows, rows)
    >>> [draft.finding.id for draft in found if not isinstance(draft, Note)]
    ['lag_correlation[x]', 'transition_shares[s]', 'spell_length[s]']
    """
    columns: dict[str, Values] = {}
    for each in evidence.tables.schema.columns:
        if each.kind in ("number", "category", "date") and each.name != entity:
            _, values = read_column(each, real[each.name], synthetic[each.name])
            if values is not None:
                columns[each.name] = values
    dates = [column for column in columns.values() if column.kind == "date"]
    when = next((date for date in dates if _varies(date.real, real[entity])), None)
    sides = (
        _steps(real[entity], None if when is None else when.real),
        _steps(synthetic[entity], None if when is None else when.synthetic),
    )
    if min(side.persons for side in sides) < LEAST_PERSONS:
        return
    order = "in the order of their rows" if when is None else f"by '{when.name}'"
    yield Note(f"How the rows of one '{entity}' follow each other was compared, {order}.")
    margins = evidence.margins
    for name, column in columns.items():
        if column is when:
            yield _gaps(column, sides, rng, margins["time_since_last"])
        elif column.is_number:
            yield _lag(column, sides, margins["lag_correlation"])
        elif len(column.levels) > 1:
            yield _transitions(column, sides, rng, margins["transition_shares"])
            spells = [
                _spells(codes, side) for codes, side in zip(_both(column), sides, strict=True)
            ]
            yield measured(
                "fidelity",
                "spell_length",
                name,
                kolmogorov_smirnov(spells[1], spells[0]),
                margin=margins["spell_length"],
                method=f"rows in a row with one level, mean of each {entity}: on average "
                f"{spells[1].mean():.3g}, real {spells[0].mean():.3g}",
                columns=[name],
            )


def _both(column: Values) -> tuple[np.ndarray, np.ndarray]:
    return column.real, column.synthetic


def _varies(values: np.ndarray, keys: pd.Series) -> bool:
    several = pd.Series(values).groupby(keys.astype(str).to_numpy()).nunique()
    return bool((several > 1).any())


def _steps(keys: pd.Series, time: np.ndarray | None) -> Steps:
    person, _ = pd.factorize(keys.astype(str).where(keys.notna()))
    row = np.arange(len(person))
    order = np.lexsort((row, person)) if time is None else np.lexsort((row, time, person))
    person = person[order]
    return Steps(order, person, np.flatnonzero((person[1:] == person[:-1]) & (person[1:] >= 0)) + 1)


def _lag(column: Values, sides: tuple[Steps, Steps], margin: float) -> Draft:
    """The rank correlation of each row with the next one of its person, by Spearman."""
    found = []
    for values, side in zip(_both(column), sides, strict=True):
        ranks = stats.rankdata(values, nan_policy="omit")[side.order]
        one, two = ranks[side.second - 1], ranks[side.second]
        known = np.isfinite(one) & np.isfinite(two)
        found.append(_correlation(one[known], two[known], side.person[side.second[known]]))
    (real, se_real, _), (made, se, persons) = found
    if not np.isfinite(real + made):
        comparison = interval_only(np.nan, np.nan, 0, null=0.0)
    else:
        both = float(np.hypot(se, se_real))
        fewest = min(persons, found[0][2])
        # Of what a person keeps for life both correlations are 1 and both errors 0, but for rounding.
        both = 0.0 if both < ROUNDING else both
        p = float(abs(made - real) < ROUNDING)
        if both > 0:
            p = float(2 * stats.t.sf(abs(made - real) / both, fewest - 1))
        comparison = from_z(made - real, both, fewest, p=p)
    return measured(
        "fidelity",
        "lag_correlation",
        column.name,
        comparison,
        margin=margin,
        method=f"rank correlation of a row with the next one: {made:.2f}, real {real:.2f}",
        columns=[column.name],
    )


def _correlation(one: np.ndarray, two: np.ndarray, person: np.ndarray) -> tuple[float, float, int]:
    """Pearson's, its standard error with each person as one unit, and how many there are."""
    if len(one) < 3 or one.std() == 0 or two.std() == 0:
        return np.nan, np.nan, 0
    a, b = ((each - each.mean()) / each.std() for each in (one, two))
    r = float((a * b).mean())
    _, code = np.unique(person, return_inverse=True)
    sway = np.bincount(code, a * b - r * (a**2 + b**2) / 2)
    return r, float(np.sqrt((sway**2).sum()) / len(a)), len(sway)


def _transitions(
    column: Values, sides: tuple[Steps, Steps], rng: np.random.Generator, margin: float
) -> Draft:
    """From which level to which, one step of each person, by what they say beyond the levels' shares."""
    tables, stays = [], []
    real, made, cells = column.coarse
    for codes, side in zip((real, made), sides, strict=True):
        sorted_codes = codes[side.order]
        one, two = sorted_codes[side.second - 1], sorted_codes[side.second]
        drawn = side.one_each(np.ones(len(one), bool), rng)
        tables.append(tabulate(one[drawn], two[drawn], cells, cells))
        stays.append(float((one == two).mean()))
    (comparison,) = given_margins(tables[1:], tables[:1])
    return measured(
        "fidelity",
        "transition_shares",
        column.name,
        comparison,
        margin=margin,
        method=f"one step of each person; {stays[1]:.1%} of the synthetic steps keep the level, "
        f"{stays[0]:.1%} of the real ones",
        columns=[column.name],
    )


def _spells(codes: np.ndarray, side: Steps) -> np.ndarray:
    """Of each person, the mean number of rows in a row with one level."""
    codes = codes[side.order]
    known = side.person >= 0
    change = np.ones(len(codes), bool)
    change[side.second] = codes[side.second] != codes[side.second - 1]
    rows = np.bincount(side.person[known])
    return np.asarray(rows / np.bincount(side.person[known], change[known]))


def _gaps(
    column: Values, sides: tuple[Steps, Steps], rng: np.random.Generator, margin: float
) -> Draft:
    """The time since the row before, one step of each person."""
    gaps = []
    for days, side in zip(_both(column), sides, strict=True):
        gap = np.diff(days[side.order])[side.second - 1]
        gaps.append(gap[side.one_each(present(gap), rng)])
    comparison = (
        kolmogorov_smirnov(gaps[1], gaps[0])
        if min(map(len, gaps))
        else interval_only(np.nan, np.nan, 0, null=0.0)
    )
    told = [f"{np.median(gap):.3g}" if len(gap) else "–" for gap in gaps]
    return measured(
        "fidelity",
        "time_since_last",
        column.name,
        comparison,
        margin=margin,
        method=f"one step of each person; the median is {told[1]} days, real {told[0]}",
        columns=[column.name],
    )
