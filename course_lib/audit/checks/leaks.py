"""Which people do the synthetic rows give away? Copies of rows, of values and of identifiers, by person.

Each check counts people, asks how many would be met by coincidence, and fails if there are more. None
needs a holdout: what coincidence gives is read from the real rows themselves (`chances`).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from course_lib.audit.checks.chances import about, chance_of, coincidences
from course_lib.audit.checks.near_copies import near_copies
from course_lib.audit.checks.own_values import rare_levels, rare_pairs, rare_values, reused
from course_lib.audit.checks.people import SURE_OF_COPIES, Rows, rows_of, rows_told, verdict_of
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, stated
from course_lib.audit.schema import listed
from course_lib.audit.tally import RowHashes
from course_lib.audit.values import Values


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Drafts about people whose rows or values came back.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'verbatim_people[whole rows]'
    """
    yield from copied(evidence)
    yield from resembling(evidence, rng)


def copied(
    evidence: Evidence, persons: np.ndarray | None = None, which: str = ""
) -> Iterator[Draft]:
    """What came back value by value: whole rows, rows but for one column, identifiers, rare numbers.

    Args:
        persons: a code of the person to each real row, training rows first; without it each row is one.
        which: of several tables, the one that these rows are of, to be told.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = copied(Evidence(prepare(table, table, table)), which="visits")
    >>> next(found).finding.id
    'verbatim_people[visits]'
    """
    rows = rows_of(evidence, persons)
    if rows.columns:
        yield from _verbatim(evidence, rows, which or "whole rows")
    if evidence.arrays is not None:
        return
    if len(rows.columns) > 1:
        yield from _but_for_one(evidence, rows, f"{which or 'whole rows'} but for one column")
    which = f"{which}: " if which else ""
    yield from reused(evidence, persons, which)
    for column in rows.columns:
        find = rare_values if column.is_number else rare_levels
        yield from find(evidence, column, persons, which)


def resembling(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """What only resembles a real row: two of its own numbers in another one, and near copies.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": np.random.default_rng(0).normal(size=200), "sex": list("fm") * 100})
    >>> found = resembling(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> [draft.finding.id for draft in found]
    ['near_copies[whole rows]']
    """
    if evidence.arrays is None:
        yield from rare_pairs(evidence)
    yield from near_copies(evidence, rng)


def _verbatim(evidence: Evidence, rows: Rows, slice: str) -> Iterator[Draft]:
    """People whose row no other real person has, and which a synthetic row repeats; then those of the
    holdout, whom the generator should not have seen."""
    yield _repeated(evidence, rows, slice)
    if evidence.holdout_given:
        yield _repeated(evidence, rows, f"{slice} of the holdout", strangers=True)


def _repeated(evidence: Evidence, rows: Rows, slice: str, *, strangers: bool = False) -> Draft:
    hashes, once = rows.hashes, rows.once
    seen = len(hashes.train) if evidence.holdout_given else len(hashes.real)
    numbers, at = rows.people(seen, strangers=strangers)
    made = np.flatnonzero(np.isin(hashes.synthetic, numbers))
    copied, first = np.unique(hashes.synthetic[made], return_index=True)
    owners = at[np.searchsorted(numbers, copied)]
    if strangers:
        once = replace(once, train=once.holdout, holdout=once.train)
    asked = len(once.train) if evidence.holdout_given else len(once.real)
    expected = coincidences(once, rows.judged, asked, rows.matches)
    verdict = verdict_of(evidence, len(copied), chance_of(len(copied), expected), SURE_OF_COPIES)
    told = f"{len(copied):,} of {len(numbers):,} people whose row is unique have it repeated, value by "
    if evidence.arrays is not None:
        told = f"{len(copied):,} of {len(numbers):,} rows that are unique are repeated, value by "
    elif rows.persons is not None:
        people, all_people = (len(np.unique(rows.persons[each])) for each in (owners, at))
        told = f"{people:,} of {all_people:,} people have {len(copied):,} of their rows repeated, value by "
    told += f"value; about {about(expected)} would be by coincidence"
    if verdict == "fail":
        whose, shift = "real", 0
        if strangers:
            told += (
                "; they are of the holdout, so that the generator has seen it, and no finding that "
            )
            told += "rests on it holds"
            # The holdout's rows are counted by themselves.
            numbered = hashes.places is not None or evidence.real_order is not None
            whose, shift = "holdout", 0 if numbered else seen
        told += rows_told(evidence, made[first], owners - shift, hashes.places, whose)
    return stated("verbatim_people", slice, verdict, told, n=len(copied), family="privacy")


def _but_for_one(evidence: Evidence, rows: Rows, slice: str) -> Iterator[Draft]:
    """People whose row a synthetic row repeats in all columns but one.

    Of rows in memory: each column is left out in turn.
    """
    seen, columns = evidence.seen, rows.columns
    sums = [_weighed(columns, side) for side in ("real", "synthetic")]
    changed = ~np.isin(sums[1], sums[0])
    best, found = (1.0, 0, 0.0), []
    for number, column in enumerate(columns):
        real, made = (
            whole - _weight(column, number, side)
            for whole, side in zip(sums, ("real", "synthetic"), strict=True)
        )
        near = changed & np.isin(made, real)
        if not near.any():
            continue
        train, holdout = np.split(real, [evidence.tables.n_train])
        less = rows.without(column, RowHashes(train, holdout, made))
        numbers, at = less.people(seen)
        copies = np.flatnonzero(near & np.isin(made, numbers))
        copied, first = np.unique(made[copies], return_index=True)
        expected = coincidences(less.once, less.judged, seen, rows.matches)
        chance = min(len(columns) * chance_of(len(copied), expected), 1.0)
        best = min(best, (chance, -len(copied), expected))
        if len(copied) and chance < SURE_OF_COPIES:
            found.append(
                (column.name, copies[first], at[np.searchsorted(numbers, copied)], expected)
            )
    chance, fewer, expected = best
    people, told = -fewer, "all columns but one"
    made_rows = owners = np.array([], int)
    if found:
        names, made_of, at_of, each = zip(*found, strict=True)
        owners, first = np.unique(np.concatenate(at_of), return_index=True)
        made_rows = np.concatenate(made_of)[first]
        people, expected = len(owners), max(each)
        told = f"all columns but one, which is {listed(names, 3)}"
    verdict = verdict_of(evidence, people, chance, SURE_OF_COPIES)
    told = (
        f"{people:,} people have a synthetic row that is theirs in {told}; about {about(expected)} "
    )
    told += "would be by coincidence"
    if verdict == "fail":
        told += rows_told(evidence, made_rows, owners)
    yield stated("verbatim_people", slice, verdict, told, n=people, family="privacy")


def _weighed(columns: list[Values], side: str) -> np.ndarray:
    """A number to each row, from which that of one column can be taken away again."""
    weights = [_weight(each, k, side) for k, each in enumerate(columns)]
    return np.asarray(np.sum(weights, axis=0, dtype=np.uint64))


def _weight(column: Values, number: int, side: str) -> np.ndarray:
    hashed = pd.util.hash_array(np.asarray(getattr(column, side), float) + 0.0)
    return np.asarray(hashed * np.uint64(2 * number + 1))
