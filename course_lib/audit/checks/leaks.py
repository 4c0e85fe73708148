"""Which people do the synthetic rows give away? Copies of rows, of values and of identifiers, by person.

Each check counts people, asks how many would be met by coincidence, and fails if there are more. None
needs a holdout: what coincidence gives is read from the real rows themselves (`chances`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.neighbors import NearestNeighbors

from course_lib.audit.checks.chances import (
    CAUTION,
    NEAR,
    WEAK,
    about,
    chance_of,
    coincidences,
    distinct,
    entered_twice,
    match,
    match_given,
    outliers_chance,
    own_chances,
    places,
    rate_of_twins,
    steps,
    unit,
)
from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, stated
from course_lib.audit.reading import comparable_words, personal
from course_lib.audit.sampling import sample_rows
from course_lib.audit.schema import listed
from course_lib.audit.tally import RowHashes
from course_lib.audit.values import Values, present

SURE = 1e-3  # level of these tests, which are not corrected: one person is enough
SURE_OF_COPIES = 1e-2  # the same for whole rows and identifiers, whose coincidences are rare
UNSURE = 0.05  # up to here what was found is undecided, and does not pass
LISTED = 20  # rows that a finding names
CROWD = 6_000  # rows of each kind at most for near copies
FAR = 3.0  # interquartile ranges beyond the quartiles: Tukey's "far out"
PAIRS = 200  # of columns at most whose numbers are looked up together
FEATURES = 30  # of an array at most, from which coincidences are judged
NOISE = (0.01, 0.03)  # interquartile ranges by which all numbers of a near copy are off at most
MODEL_ROWS = 2_000  # from which it is judged how often two numbers are so near


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
    rows = _rows_of(evidence, persons)
    if rows.columns:
        yield from _verbatim(evidence, rows, which or "whole rows")
    if evidence.arrays is not None:
        return
    if len(rows.columns) > 1:
        yield from _but_for_one(evidence, rows, f"{which or 'whole rows'} but for one column")
    which = f"{which}: " if which else ""
    yield from _reused(evidence, persons, which)
    for column in rows.columns:
        find = _rare_values if column.is_number else _rare_levels
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
        yield from _rare_pairs(evidence)
    yield from _near_copies(evidence, rng)


def _verdict(evidence: Evidence, found: int, chance: float, sure: float = SURE) -> str:
    if found and chance < sure:
        return "fail"
    if not evidence.holdout_given:
        return "not testable"
    undecided = found and sure == SURE_OF_COPIES and chance < UNSURE
    return "underpowered" if undecided else "pass"


def _rows_told(
    evidence: Evidence,
    made: np.ndarray,
    real: np.ndarray,
    places: tuple[np.ndarray, np.ndarray] | None = None,
    whose: str = "real",
) -> str:
    """Which synthetic rows are like which real ones, counted from 1; nothing if rows are hidden.

    Args:
        places: where the real and the synthetic rows stand, if they are not those of the tables.
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


# --- whole rows --------------------------------------------------------------------------------


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
            return distinct(self.hashes, self.columns)
        order = np.random.default_rng(0).permutation(len(self.persons))
        drawn = order[_once_each(self.persons[order], np.zeros(len(order)))]
        return [replace(column, real=column.real[drawn]) for column in self.columns]

    @cached_property
    def once(self) -> RowHashes:
        """The numbers of the rows, those of one person each once."""
        if self.persons is None:
            return self.hashes
        train, at = self.hashes.train, _once_each(self.persons, self.hashes.real)
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
        at = _once_each(self.persons, real)
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


def _once_each(persons: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """Where each value of each person stands first; all places if each row is of another person."""
    if persons is None:
        return np.arange(len(values))
    pairs = pd.DataFrame({"person": persons, "value": values})
    return np.flatnonzero(~pairs.duplicated().to_numpy())


def _rows_of(evidence: Evidence, persons: np.ndarray | None) -> Rows:
    """The rows of tables, or of arrays, of which some features stand for all in what chance gives."""
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
    verdict = _verdict(evidence, len(copied), chance_of(len(copied), expected), SURE_OF_COPIES)
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
        told += _rows_told(evidence, made[first], owners - shift, hashes.places, whose)
    return stated("verbatim_people", slice, verdict, told, n=len(copied), family="privacy")


def _but_for_one(evidence: Evidence, rows: Rows, slice: str) -> Iterator[Draft]:
    """People whose row a synthetic row repeats in all columns but one.

    Of rows in memory: each column is left out in turn.
    """
    seen, columns = evidence.seen, rows.columns
    sums = [_weighed(columns, side) for side in ("real", "synthetic")]
    best, found = (1.0, 0, 0.0), []
    for number, column in enumerate(columns):
        real, made = (
            whole - _weight(column, number, side)
            for whole, side in zip(sums, ("real", "synthetic"), strict=True)
        )
        near = np.isin(made, real) & ~np.isin(sums[1], sums[0])
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
    verdict = _verdict(evidence, people, chance, SURE_OF_COPIES)
    told = (
        f"{people:,} people have a synthetic row that is theirs in {told}; about {about(expected)} "
    )
    told += "would be by coincidence"
    if verdict == "fail":
        told += _rows_told(evidence, made_rows, owners)
    yield stated("verbatim_people", slice, verdict, told, n=people, family="privacy")


def _weighed(columns: list[Values], side: str) -> np.ndarray:
    """A number to each row, from which that of one column can be taken away again."""
    weights = [_weight(each, k, side) for k, each in enumerate(columns)]
    return np.asarray(np.sum(weights, axis=0, dtype=np.uint64))


def _weight(column: Values, number: int, side: str) -> np.ndarray:
    hashed = pd.util.hash_array(np.asarray(getattr(column, side), float) + 0.0)
    return np.asarray(hashed * np.uint64(2 * number + 1))


def _near_copies(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Synthetic rows that stand closer to a real row than real rows stand to each other.

    How near a row is to its nearest real row is measured in that row's own distance to the next real
    one. Real rows among themselves, each left out in turn, show which ratios are common. Those of two rows
    that are each other's nearest come together, so pairs are counted.

    A few copies are no more than real rows that are near by coincidence could be. They are told by
    having all levels and, but for a little noise, all numbers of a person: see `_noisy`.
    """
    points = evidence.points
    real = points.train if evidence.holdout_given else points.real
    made = points.synthetic
    kept = sample_rows(len(real), CROWD, rng)
    tried = sample_rows(len(made), CROWD, rng)
    crowd = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(real[kept])
    apart, neighbour = crowd.kneighbors()
    to, owner = (each[:, 0] for each in crowd.kneighbors(made[tried], n_neighbors=1))
    nearest = neighbour[:, 0]
    mutual = neighbour[nearest, 0] == np.arange(len(kept))
    room = np.where(mutual, apart[nearest, 1], apart[nearest, 0])
    tiny = 1e-5
    fair = np.flatnonzero((room > tiny) & (apart[:, 0] > tiny))
    usual = apart[fair, 0] / room[fair]
    # Two real rows that are near are near to each other: a pair is one event, of half as many.
    pair = np.minimum(fair, nearest[fair]) * len(kept) + np.maximum(fair, nearest[fair])
    fits = (apart[owner, 0] > tiny) & (to > tiny)
    ratio = np.where(fits, to / np.maximum(apart[owner, 0], tiny), np.inf)
    if len(usual) < 100:
        return
    best, close = 1.0, np.zeros(len(ratio), bool)
    for limit in (np.quantile(usual, 0.01), usual.min()):
        below = ratio < limit
        k, pairs = len(np.unique(owner[below])), len(np.unique(pair[usual < limit]))
        table = np.array([[k, len(ratio) - k], [pairs, len(usual) // 2 - pairs]])
        chance = 2 * float(stats.fisher_exact(table, "greater").pvalue)
        if chance < best:
            best, close = chance, below
    told = "so near that hardly any two real rows are"
    if best >= SURE and evidence.arrays is None:
        chance, noisy = _noisy(evidence, kept[owner], tried, kept, kept[nearest])
        if chance < SURE:
            best, close = chance, noisy
            told = "with all their levels, and all their numbers but for a little noise"
    people, first = np.unique(owner[close], return_index=True)
    told = f"{len(people):,} people have a synthetic row {told}"
    verdict = _verdict(evidence, len(people), best)
    if verdict == "fail":
        rows = tried[np.flatnonzero(close)[first]]
        told += _rows_told(evidence, rows, kept[people])
    yield stated("near_copies", "whole rows", verdict, told, n=len(people), family="privacy")
    if max(len(real), len(made)) > CROWD:
        yield Note(f"Near copies were sought among {CROWD:,} rows of each kind at most.")


def _noisy(
    evidence: Evidence, owner: np.ndarray, made: np.ndarray, kept: np.ndarray, nearest: np.ndarray
) -> tuple[float, np.ndarray]:
    """The chance that so many synthetic rows have all levels and nearly all numbers of the real row next
    to them, and which do (k,). Verbatim ones are left to another check.

    Args:
        owner: of each synthetic row `made` (k,), the real row nearest to it.
        kept, nearest: the real rows that were looked at (n,), and the other one nearest to each.
    """
    columns = _rows_of(evidence, None).columns
    best, close = 1.0, np.zeros(len(made), bool)
    numbers = [column for column in columns if column.is_number]
    if not numbers:
        return best, close
    sides = [(column.real[owner], column.synthetic[made]) for column in columns]
    twins = [(column.real[kept], column.real[nearest]) for column in columns]
    same = _within(sides, [0.0] * len(columns))
    pairs = float(len(made)) * len(kept)
    for noise in NOISE:
        limits = [noise * _range(column) if column.is_number else 0.0 for column in columns]
        near = _within(sides, limits) & ~same
        found = len(np.unique(owner[near]))
        rate = float(_within(twins, limits).sum()) / (len(kept) * (len(kept) - 1.0))
        expected = max(pairs * rate, _near_coincidences(columns, limits, pairs))
        chance = len(NOISE) * chance_of(found, expected)
        if chance < best:
            best, close = chance, near
    return best, close


def _within(pairs: list[tuple[np.ndarray, np.ndarray]], limits: list[float]) -> np.ndarray:
    """Which rows (k,) differ in no column by more than its limit; missing values are equal."""
    near = [
        (np.abs(one - two) <= limit) | (~present(one) & ~present(two))
        for (one, two), limit in zip(pairs, limits, strict=True)
    ]
    return np.asarray(np.all(near, axis=0))


def _range(column: Values) -> float:
    """The interquartile range of a number, or its standard deviation where that is 0."""
    known = column.real[np.isfinite(column.real)]
    if not len(known):
        return 0.0
    low, high = np.quantile(known, [0.25, 0.75])
    return float(high - low) or float(known.std())


def _near_coincidences(columns: list[Values], limits: list[float], pairs: float) -> float:
    """How many pairs of rows would differ by no more than the limits by coincidence, from columns that
    hardly depend on each other."""
    chances = [_near_match(each, limit) for each, limit in zip(columns, limits, strict=True)]
    used: list[Values] = []
    for k in np.argsort(chances, kind="stable"):
        if all(cramers_v(joint(columns[k], other)[1]) < WEAK for other in used):
            pairs *= max([chances[k], *(match_given(other, columns[k]) for other in used)])
            used.append(columns[k])
    return pairs


def _near_match(column: Values, limit: float) -> float:
    """The chance that two real rows differ by no more than the limit."""
    if not limit:
        return match(column)
    known = np.sort(column.real[np.isfinite(column.real)])
    if len(known) < 2:
        return 1.0
    some = known[:: max(len(known) // MODEL_ROWS, 1)]
    ends = (
        np.searchsorted(known, some - limit, "left"),
        np.searchsorted(known, some + limit, "right"),
    )
    gone = 1 - len(known) / len(column.real)
    near = float((ends[1] - ends[0] - 1).mean()) / (len(known) - 1)
    return gone**2 + (1 - gone) ** 2 * near


# --- single values -----------------------------------------------------------------------------


def _rare_values(
    evidence: Evidence, column: Values, persons: np.ndarray | None, which: str
) -> Iterator[Draft]:
    """Exact numbers that one real person alone has, and outliers among them, in synthetic rows."""
    real, made = column.real, column.synthetic
    once = _once_each(persons, real)
    values, at, times = np.unique(real[once], return_index=True, return_counts=True)
    at = once[at]
    single = np.isfinite(values) & (times == 1) & (at < evidence.seen)
    people = values[single]
    known, given = real[np.isfinite(real)], made[np.isfinite(made)]
    if not len(people) or not len(given):
        return
    rows = np.flatnonzero(np.isin(made, people))
    copied, first = np.unique(made[rows], return_index=True)
    low, high = np.quantile(known, [0.25, 0.75])
    reach = FAR * (high - low)

    def far(numbers: np.ndarray) -> np.ndarray:
        return np.asarray((numbers < low - reach) | (numbers > high + reach))

    expected = len(given) * evidence.seen * match(column)
    chance = chance_of(len(copied), expected)
    # An outlier's own chance: as many rows as real ones there, on the places that are free.
    place = np.searchsorted(values, people[far(people)])
    ends = np.concatenate([[-np.inf], values[np.isfinite(values)], [np.inf]])
    room = np.minimum(ends[place + 1] - ends[place], ends[place + 2] - ends[place + 1])
    step = np.maximum(steps(values[place]), unit(known))
    each = len(given) / len(known) * np.minimum(step / room, 1.0)
    back = np.isin(values[place], copied)
    # They come back by chance at least as often as the other numbers do.
    near = max(len(people) - len(place), 1)
    by_chance = max(each.sum(), len(place) * (len(copied) - back.sum()) / near)
    # And as often as new rows hit what one alone has where amounts are few, such as those of a tax table:
    # Good and Turing's estimate, from the outliers that two real people have.
    twice = int(far(values[times == 2]).sum())
    by_chance = max(by_chance, 2 * twice * len(given) / len(known) * evidence.seen / len(real))
    if len(place) and by_chance > each.sum():
        each = (
            each * by_chance / each.sum()
            if each.sum()
            else np.full(len(place), by_chance / len(place))
        )
    chance_far = outliers_chance(each, back)
    verdict = _verdict(evidence, len(copied), 2 * min(chance, chance_far))
    told = f"{len(copied):,} of {len(people):,} numbers that one real person alone has came back "
    told += f"exactly (about {about(expected)} by coincidence), {back.sum():,} of them outliers"
    if verdict == "fail" and chance_far < chance:
        told += ", and not by coincidence: they lie far from all other numbers"
    if verdict == "fail":
        order = at[np.searchsorted(values, copied)]
        shown = np.argsort(~far(copied), kind="stable")
        told += _rows_told(evidence, rows[first][shown], order[shown])
    slice = f"{which}{column.name}"
    yield stated("rare_values", slice, verdict, told, [column.name], len(copied), family="privacy")


def _rare_levels(
    evidence: Evidence, column: Values, persons: np.ndarray | None, which: str
) -> Iterator[Draft]:
    """Levels that one real person alone has, in synthetic rows.

    Good and Turing: a new row has a level that one person has so far with a chance of 2 twins / n, where
    twins are the levels that two have. One twin more is counted, since few may be none by luck.
    """
    once = _once_each(persons, column.real)
    codes, at, times = np.unique(column.real[once], return_index=True, return_counts=True)
    at = once[at]
    single = (codes >= 0) & (times == 1) & (at < evidence.seen)
    levels, owners = codes[single], at[single]
    if not len(levels):
        return
    rows = np.flatnonzero(np.isin(column.synthetic, levels))
    copied, first = np.unique(column.synthetic[rows], return_index=True)
    twins = 1 + int(((codes >= 0) & (times == 2)).sum())
    drawn = len(column.synthetic) / len(column.real) * evidence.seen / len(column.real)
    expected = min(2 * twins * drawn, float(len(levels)))
    verdict = _verdict(evidence, len(copied), chance_of(len(copied), expected))
    told = f"{len(copied):,} of {len(levels):,} levels that one real person alone has came back (about "
    told += f"{about(expected)} by coincidence)"
    if verdict == "fail":
        told += _rows_told(evidence, rows[first], owners[np.searchsorted(levels, copied)])
    slice = f"{which}{column.name}"
    yield stated("rare_values", slice, verdict, told, [column.name], len(copied), family="privacy")


def _rare_pairs(evidence: Evidence) -> Iterator[Draft]:
    """Two exact numbers that one real person alone has, together in one synthetic row.

    One such row is enough, whatever else stands in it: an outlier can be the only thing that was copied.
    A find counts if hardly any coincidence would be expected among all people and pairs of columns for
    which one is at most as probable. So it counts for an outlier where it would not for someone in a crowd.
    """
    finds = [(each[people], people, rows) for each, people, rows in _pairs_of_numbers(evidence)]
    if not finds:
        return
    chance, people, rows = map(np.concatenate, zip(*finds, strict=True))
    order = np.argsort(chance, kind="stable")
    chance, people, rows = chance[order], people[order], rows[order]
    expected = np.zeros(len(chance) + 1)
    if len(chance):
        for each, _, _ in _pairs_of_numbers(evidence):
            each = each[np.isfinite(each)]
            expected += np.bincount(np.searchsorted(chance, each), each, minlength=len(expected))
    sure = CAUTION * expected.cumsum()[:-1] < SURE
    found, first = np.unique(people[sure], return_index=True)
    verdict = _verdict(evidence, len(found), 0.0)
    told = (
        f"{len(found):,} people have two of their own numbers together in one synthetic row, where"
    )
    told += " nobody would by coincidence"
    if verdict == "fail":
        told += _rows_told(evidence, rows[sure][first], found)
    yield stated("rare_pairs", "two numbers", verdict, told, n=len(found), family="privacy")


def _pairs_of_numbers(evidence: Evidence) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each pair of columns that hardly depend on each other: how many rows would have both numbers of
    each person by coincidence (seen,), which people have them in one row, and in which (finds,)."""
    seen, made = evidence.seen, len(evidence.tables.synthetic)
    numbers = [column for column in evidence.tables.values.values() if column.is_number]
    numbers = [column for column in numbers if np.isfinite(column.real).sum() > NEAR]
    once = {column.name: column for column in distinct(evidence.tables.row_hashes, numbers)}
    chance = {column.name: own_chances(column, seen) for column in numbers}
    least = {name: each.min() for name, each in chance.items()}
    owner: dict[str, np.ndarray] = {}
    pairs = combinations(numbers, 2)
    for a, b in sorted(pairs, key=lambda two: least[two[0].name] * least[two[1].name])[:PAIRS]:
        if CAUTION * made * least[a.name] * least[b.name] >= SURE:
            break
        counts = joint(a, b)[1]
        if cramers_v(counts) >= WEAK:
            continue
        for column in (a, b):
            if column.name not in owner:
                owner[column.name] = _single_owner(column, seen)
        both = (owner[a.name] >= 0) & (owner[a.name] == owner[b.name])
        one, two = chance[a.name], chance[b.name]
        together = one * two * _together(counts, a, b)[:seen]
        # Who has the one number may have the other with it, as an article's number comes with its price.
        for alone, also in (
            (one, match_given(once[a.name], once[b.name])),
            (two, match_given(once[b.name], once[a.name])),
        ):
            if also:
                together = np.maximum(together, alone * also)
        each = made * together
        yield each, owner[a.name][both], np.flatnonzero(both)


def _single_owner(column: Values, seen: int) -> np.ndarray:
    """Of each synthetic row, the real row that alone has its number; -1 if there is none (m,)."""
    values, at, times = np.unique(column.real, return_index=True, return_counts=True)
    single = np.isfinite(values) & (times == 1) & (at < seen)
    if not single.any():
        return np.full(len(column.synthetic), -1)
    numbers, owner = values[single], at[single]
    place = np.searchsorted(numbers, column.synthetic).clip(max=len(numbers) - 1)
    return np.where(numbers[place] == column.synthetic, owner[place], -1)


def _together(counts: np.ndarray, a: Values, b: Values) -> np.ndarray:
    """How much more often real rows fall into a row's cell of two columns than if these were independent,
    at least 1 (n,)."""
    alone = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    lift = np.maximum((counts + 1) / np.maximum(alone, 1e-9), 1.0)
    return np.asarray(lift[a.coarse[0], b.coarse[0]])


def _reused(evidence: Evidence, persons: np.ndarray | None, which: str) -> Iterator[Draft]:
    """Identifiers, texts and personal data of real rows in synthetic ones."""
    tables = evidence.tables
    for column in tables.schema.columns:
        name = column.name
        if column.kind == "nested":
            continue
        real = pd.concat([tables.train[name], tables.holdout[name]], ignore_index=True)
        found = list(personal(real, name))
        if column.kind not in ("text", "identifier") and not found:
            continue
        made = tables.synthetic[name].reset_index(drop=True)
        words = comparable_words(real, found), comparable_words(made, found)
        yield _reuse(evidence, name, *words, persons, which)


def _reuse(
    evidence: Evidence,
    name: str,
    real: pd.Series,
    made: pd.Series,
    persons: np.ndarray | None,
    which: str,
) -> Draft:
    real = real.iloc[_once_each(persons, real.to_numpy())]
    times = real.value_counts()
    seen = real[real.index < evidence.seen]
    singles = seen[seen.isin(times.index[times == 1])]
    owner = pd.Series(singles.index, index=singles.to_numpy())
    found = made[made.isin(owner.index)].drop_duplicates()
    twins = rate_of_twins(real.dropna().to_numpy()) * len(made) * len(seen)
    could = min(len(singles) / places(singles, made), 1.0)
    expected = max(twins, made.nunique() * could)
    chance = chance_of(len(found), expected)
    verdict = _verdict(evidence, len(found), chance, SURE_OF_COPIES)
    told = f"{len(found):,} of {made.nunique():,} synthetic values are those of one real person"
    told += f" (about {about(expected)} by coincidence)"
    if verdict == "fail":
        told += _rows_told(evidence, found.index.to_numpy(), owner[found.to_numpy()].to_numpy())
    slice = f"{which}{name}"
    return stated("reused_values", slice, verdict, told, [name], len(found), family="privacy")
