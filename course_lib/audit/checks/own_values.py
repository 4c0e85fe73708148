"""What one person alone has, in synthetic rows: numbers, levels, two numbers, identifiers, texts."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from course_lib.audit.checks.chances import (
    CAUTION,
    NEAR,
    WEAK,
    about,
    chance_of,
    distinct,
    match,
    match_given,
    outliers_chance,
    own_chances,
    possible_words,
    rate_of_twins,
    steps,
    unit,
)
from course_lib.audit.checks.people import SURE, SURE_OF_COPIES, once_each, rows_told, verdict_of
from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, stated
from course_lib.audit.reading import comparable_words, personal
from course_lib.audit.values import Values

FAR = 3.0  # interquartile ranges beyond the quartiles: Tukey's "far out"
PAIRS = 200  # of columns at most whose numbers are looked up together


def rare_values(
    evidence: Evidence, column: Values, persons: np.ndarray | None, which: str
) -> Iterator[Draft]:
    """Exact numbers that one real person alone has, and outliers among them, in synthetic rows.

    Args:
        persons, which: as in `leaks.copied`.

    >>> from course_lib.audit.table import prepare
    >>> rows = [pd.DataFrame({"x": np.arange(20) + k / 8}) for k in range(3)]
    >>> evidence = Evidence(prepare(*rows))
    >>> next(rare_values(evidence, evidence.tables.values["x"], None, "")).finding.method[:42]
    '0 of 20 numbers that one real person alone'
    """
    real, made = column.real, column.synthetic
    once = once_each(persons, real)
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
    verdict = verdict_of(evidence, len(copied), 2 * min(chance, chance_far))
    told = f"{len(copied):,} of {len(people):,} numbers that one real person alone has came back "
    told += f"exactly (about {about(expected)} by coincidence), {back.sum():,} of them outliers"
    if verdict == "fail" and chance_far < chance:
        told += ", and not by coincidence: they lie far from all other numbers"
    if verdict == "fail":
        order = at[np.searchsorted(values, copied)]
        shown = np.argsort(~far(copied), kind="stable")
        told += rows_told(evidence, rows[first][shown], order[shown])
    slice = f"{which}{column.name}"
    yield stated("rare_values", slice, verdict, told, [column.name], len(copied), family="privacy")


def rare_levels(
    evidence: Evidence, column: Values, persons: np.ndarray | None, which: str
) -> Iterator[Draft]:
    """Levels that one real person alone has, in synthetic rows.

    Good and Turing: a new row has a level that one person has so far with a chance of 2 twins / n, where
    twins are the levels that two have. One twin more is counted, since few may be none by luck.

    Args:
        persons, which: as in `leaks.copied`.

    >>> from course_lib.audit.table import prepare
    >>> rows = [pd.DataFrame({"ill": [*"aabbccdd" * 5, rare]}) for rare in "xyz"]
    >>> evidence = Evidence(prepare(*rows))
    >>> next(rare_levels(evidence, evidence.tables.values["ill"], None, "")).finding.method[:38]
    '0 of 1 levels that one real person alo'
    """
    once = once_each(persons, column.real)
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
    verdict = verdict_of(evidence, len(copied), chance_of(len(copied), expected))
    told = f"{len(copied):,} of {len(levels):,} levels that one real person alone has came back (about "
    told += f"{about(expected)} by coincidence)"
    if verdict == "fail":
        told += rows_told(evidence, rows[first], owners[np.searchsorted(levels, copied)])
    slice = f"{which}{column.name}"
    yield stated("rare_values", slice, verdict, told, [column.name], len(copied), family="privacy")


def rare_pairs(evidence: Evidence) -> Iterator[Draft]:
    """Two exact numbers that one real person alone has, together in one synthetic row.

    One such row is enough, whatever else stands in it: an outlier can be the only thing that was copied.
    A find counts if hardly any coincidence would be expected among all people and pairs of columns for
    which one is at most as probable. So it counts for an outlier where it would not for someone in a crowd.

    >>> from course_lib.audit.table import prepare
    >>> draws = [np.random.default_rng(k).normal(size=(99, 2)) for k in range(3)]
    >>> tables = prepare(*(pd.DataFrame(each, columns=["x", "y"]) for each in draws))
    >>> [draft.finding.n for draft in rare_pairs(Evidence(tables))]
    [0]
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
    verdict = verdict_of(evidence, len(found), 0.0)
    told = (
        f"{len(found):,} people have two of their own numbers together in one synthetic row, where"
    )
    told += " nobody would by coincidence"
    if verdict == "fail":
        told += rows_told(evidence, rows[sure][first], found)
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
            (one, match_given(once[a.name], once[b.name], rare=True)),
            (two, match_given(once[b.name], once[a.name], rare=True)),
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


def reused(evidence: Evidence, persons: np.ndarray | None, which: str) -> Iterator[Draft]:
    """Identifiers, texts and personal data of real rows in synthetic ones.

    Args:
        persons, which: as in `leaks.copied`.

    >>> from course_lib.audit.table import prepare
    >>> rows = [pd.DataFrame({"id": [f"{k}{n}" for n in range(20)], "x": range(20)}) for k in "abc"]
    >>> next(reused(Evidence(prepare(*rows)), None, "")).finding.id
    'reused_values[id]'
    """
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
    real = real.iloc[once_each(persons, real.to_numpy())]
    times = real.value_counts()
    seen = real[real.index < evidence.seen]
    singles = seen[seen.isin(times.index[times == 1])]
    owner = pd.Series(singles.index, index=singles.to_numpy())
    found = made[made.isin(owner.index)].drop_duplicates()
    twins = rate_of_twins(real.dropna().to_numpy()) * len(made) * len(seen)
    could = min(len(singles) / possible_words(singles, made), 1.0)
    expected = max(twins, made.nunique() * could)
    chance = chance_of(len(found), expected)
    verdict = verdict_of(evidence, len(found), chance, SURE_OF_COPIES)
    told = f"{len(found):,} of {made.nunique():,} synthetic values are those of one real person"
    told += f" (about {about(expected)} by coincidence)"
    if verdict == "fail":
        told += rows_told(evidence, found.index.to_numpy(), owner[found.to_numpy()].to_numpy())
    slice = f"{which}{name}"
    return stated("reused_values", slice, verdict, told, [name], len(found), family="privacy")
