"""Which people do the synthetic rows give away? Copies of rows, of values and of identifiers, by person.

Each check counts people, asks how many would be met by coincidence, and fails if there are more. None
needs a holdout: what coincidence gives is read from the real rows themselves.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.neighbors import NearestNeighbors

from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, stated
from course_lib.audit.reading import personal
from course_lib.audit.sampling import sample_rows
from course_lib.audit.table import Tables
from course_lib.audit.values import Values, present

SURE = 1e-3  # level of these tests, which are not corrected: one person is enough
CAUTION = 3  # the number expected by coincidence is itself an estimate: it counts so many times
WEAK = 0.5  # Cramér's V up to which two columns count as nearly independent
LISTED = 20  # rows that a finding names
CROWD = 6_000  # rows of each kind at most for near copies
FAR = 3.0  # interquartile ranges beyond the quartiles: Tukey's "far out"
BINS = 20
NEAR = 5  # other numbers that tell how dense they are around one
PAIRS = 200  # of columns at most whose numbers are looked up together
# In which numbers are written: powers of ten, and an hour, a minute and a second of days.
STEPS = (*(10.0**-k for k in range(-4, 10)), 1 / 24, 1 / 1440, 1 / 86400)


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Drafts about people whose rows or values came back.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'verbatim_people[whole rows]'
    """
    if evidence.arrays is not None:
        return
    yield _verbatim(evidence)
    yield from _reused(evidence)
    for column in evidence.tables.values.values():
        if column.is_number:
            yield from _rare_values(evidence, column)
    yield from _rare_pairs(evidence)
    if not evidence.holdout_given:
        yield from _near_copies(evidence, rng)


def _verdict(evidence: Evidence, found: int, chance: float) -> str:
    if found and chance < SURE:
        return "fail"
    return "pass" if evidence.holdout_given else "not testable"


def _rows_told(
    evidence: Evidence,
    made: np.ndarray,
    real: np.ndarray,
    places: tuple[np.ndarray, np.ndarray] | None = None,
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
    return f"; synthetic rows, counted from 1, and the real row of each: {', '.join(pairs)}{more}"


# --- whole rows --------------------------------------------------------------------------------


def _verbatim(evidence: Evidence) -> Draft:
    """People whose row no other real person has, and which a synthetic row repeats."""
    hashes = evidence.tables.row_hashes
    real, made = hashes.real, hashes.synthetic
    people, times = np.unique(real, return_counts=True)
    alone = people[times == 1]
    seen = alone[np.isin(alone, hashes.train if evidence.holdout_given else real)]
    rows = np.flatnonzero(np.isin(made, seen))
    copied, first = np.unique(made[rows], return_index=True)
    expected = _coincidences(evidence, len(np.unique(made)))
    chance = float(stats.poisson.sf(len(copied) - 1, CAUTION * expected)) if len(copied) else 1.0
    told = (
        f"{len(copied):,} of {len(seen):,} people whose row is unique have it repeated, value by "
    )
    told += f"value; about {_about(expected)} would be by coincidence"
    at = {value: i for i, value in enumerate(real.tolist())}
    owners = np.array([at[value] for value in copied.tolist()], int)
    verdict = _verdict(evidence, len(copied), chance)
    if verdict == "fail":
        told += _rows_told(evidence, rows[first], owners, hashes.places)
    return stated("verbatim_people", "whole rows", verdict, told, n=len(copied), family="privacy")


def _about(expected: float) -> str:
    return (
        f"{expected:,.0f}" if expected >= 10 else f"{expected:.1g}" if expected > 1e-3 else "none"
    )


def _coincidences(evidence: Evidence, made: int) -> float:
    """How many pairs of a synthetic and a training row would be equal by coincidence, if they had one
    distribution: the largest of three estimates.

    The twins among the real rows; the holdout rows that a training row equals; and the product of the
    columns' own chances of a match, of columns that hardly depend on each other.
    """
    tables = evidence.tables
    hashes = tables.row_hashes
    real, n = hashes.real, len(hashes.real)
    seen = len(hashes.train) if evidence.holdout_given else n
    times = np.unique(real, return_counts=True)[1]
    pairs = n * (n - 1) / 2
    twins = float((times * (times - 1) / 2).sum()) / pairs * made * seen
    held = 0.0
    if evidence.holdout_given and seen < n:
        held = float(np.isin(real[seen:], real[:seen]).mean()) * made
    product = float(made * seen) / hashes.kept  # of pairs of equal rows both or none are here
    used: list[Values] = []
    for column in sorted(tables.values.values(), key=_match):
        if product < SURE / 1e3 or _match(column) > 0.9:
            break
        if all(cramers_v(joint(column, other)[1]) < WEAK for other in used):
            product *= _match(column)
            used.append(column)
    return max(twins, held, product)


def _match(column: Values) -> float:
    """The chance that two real rows have the same value."""
    known = column.real[present(column.real)]
    gone = 1 - len(known) / len(column.real)
    if len(known) < 2:
        return 1.0
    times = np.unique(known, return_counts=True)[1]
    same = float((times * (times - 1.0)).sum() / (len(known) * (len(known) - 1.0)))
    if column.is_number:
        same = max(same, _density(known) * _unit(known))
    return gone**2 + (1 - gone) ** 2 * min(same, 1.0)


def _density(values: np.ndarray) -> float:
    """The mean density at a value, from bins that hold equally many."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    width = np.diff(edges)
    if not len(width):
        return np.inf
    share = np.histogram(values, edges)[0] / len(values)
    return float((share**2 / width).sum())


def _unit(values: np.ndarray) -> float:
    """The step in which nearly all values are written, 0 where they have no such step.

    A power of ten, or an hour, a minute or a second of values in days.
    """
    for step in sorted(STEPS, reverse=True):
        scaled = values / step
        if np.isclose(scaled, np.round(scaled), rtol=1e-12, atol=1e-6).mean() > 0.95:
            return float(step)
    return 0.0


def _near_copies(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Synthetic rows that stand closer to a real row than real rows stand to each other.

    How near a row is to its nearest real row is measured in that row's own distance to the next real
    one. Real rows among themselves, each left out in turn, show which ratios are common. Those of two rows
    that are each other's nearest come together, so pairs are counted.
    """
    real, made = evidence.points.real, evidence.points.synthetic
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
    people, first = np.unique(owner[close], return_index=True)
    told = f"{len(people):,} people have a synthetic row so near that hardly any two real rows are"
    verdict = _verdict(evidence, len(people), best)
    if verdict == "fail":
        rows = tried[np.flatnonzero(close)[first]]
        told += _rows_told(evidence, rows, kept[people])
    yield stated("near_copies", "whole rows", verdict, told, n=len(people), family="privacy")
    if max(len(real), len(made)) > CROWD:
        yield Note(f"Near copies were sought among {CROWD:,} rows of each kind at most.")


# --- single values -----------------------------------------------------------------------------


def _rare_values(evidence: Evidence, column: Values) -> Iterator[Draft]:
    """Exact numbers that one real person alone has, and outliers among them, in synthetic rows."""
    real, made = column.real, column.synthetic
    values, at, times = np.unique(real, return_index=True, return_counts=True)
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

    expected = len(given) * evidence.seen * _match(column)
    chance = float(stats.poisson.sf(len(copied) - 1, CAUTION * expected)) if len(copied) else 1.0
    # An outlier's own chance: as many rows as real ones there, on the places that are free.
    place = np.searchsorted(values, people[far(people)])
    ends = np.concatenate([[-np.inf], values[np.isfinite(values)], [np.inf]])
    room = np.minimum(ends[place + 1] - ends[place], ends[place + 2] - ends[place + 1])
    by_chance = float(len(given) / len(known) * np.minimum(_unit(known) / room, 1.0).sum())
    outliers = int(far(copied).sum())
    # They come back by chance at least as often as the other numbers do.
    near = max(len(people) - len(place), 1)
    by_chance = max(by_chance, len(place) * (len(copied) - outliers) / near)
    # And as often as new rows hit what one alone has where amounts are few, such as those of a tax table:
    # Good and Turing's estimate, from the outliers that two real people have.
    twice = int(far(values[times == 2]).sum())
    by_chance = max(by_chance, 2 * twice * len(given) / len(known) * evidence.seen / len(real))
    chance_far = float(stats.poisson.sf(outliers - 1, CAUTION * by_chance)) if outliers else 1.0
    verdict = _verdict(evidence, len(copied), 2 * min(chance, chance_far))
    told = f"{len(copied):,} of {len(people):,} numbers that one real person alone has come back "
    told += f"exactly (about {_about(expected)} by coincidence), {outliers:,} of them outliers"
    if verdict == "fail":
        order = at[np.searchsorted(values, copied)]
        shown = np.argsort(~far(copied), kind="stable")
        told += _rows_told(evidence, rows[first][shown], order[shown])
    yield stated(
        "rare_values", column.name, verdict, told, [column.name], len(copied), family="privacy"
    )


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
    chance = {column.name: _own_chances(column, seen) for column in numbers}
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
        each = made * chance[a.name] * chance[b.name] * _together(counts, a, b)[:seen]
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


def _own_chances(column: Values, seen: int) -> np.ndarray:
    """The chance that another row has a person's number by coincidence, (seen,); infinite where several
    people have it.

    It is the density of the real numbers around it, times the step in which it is written: a round number
    is met more often. If real numbers are equal more often than that says, all chances are raised.
    """
    known = np.sort(column.real[np.isfinite(column.real)])
    values, at, times = np.unique(column.real, return_index=True, return_counts=True)
    alone = np.isfinite(values) & (times == 1)
    own, n = values[alone], len(known)
    # The distance to the NEAR-th nearest other number: the narrowest window that holds so many.
    place, reach = np.searchsorted(known, own), np.full(len(own), np.inf)
    for before in range(NEAR + 1):
        left, right = place - before, place - before + NEAR
        inside = (left >= 0) & (right < n)
        ends = known[left.clip(min=0)], known[right.clip(max=n - 1)]
        width = np.maximum(own - ends[0], ends[1] - own)
        reach = np.where(inside, np.minimum(reach, width), reach)
    density = NEAR / (2 * n * reach)
    chance = density * np.maximum(_steps(own), _unit(known))
    chance = chance.clip(1 / n**2, 1.0)
    if len(own):
        # Good and Turing: the next row has a number that one has so far with a chance of 2 twins / n.
        twins = 2.0 * (times[np.isfinite(values)] == 2).sum() / (n * len(own))
        chance = (chance * max(1.0, twins / chance.mean())).clip(max=1.0)
    found = np.full(len(column.real), np.inf)
    found[at[alone]] = chance
    return found[:seen]


def _steps(values: np.ndarray) -> np.ndarray:
    """The largest step that each number is a multiple of, as in `_unit`; 0 where there is none (n,)."""
    steps = np.zeros(len(values))
    for step in sorted(STEPS):
        scaled = values / step
        whole = np.isclose(scaled, np.round(scaled), rtol=1e-12, atol=1e-6)
        steps[whole & ((np.round(scaled) != 0) | (values == 0))] = step
    return steps


def _together(counts: np.ndarray, a: Values, b: Values) -> np.ndarray:
    """How much more often real rows fall into a row's cell of two columns than if these were independent,
    at least 1 (n,)."""
    alone = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    lift = np.maximum((counts + 1) / np.maximum(alone, 1e-9), 1.0)
    return np.asarray(lift[a.coarse[0], b.coarse[0]])


def _reused(evidence: Evidence) -> Iterator[Draft]:
    """Identifiers, texts and personal data of real rows in synthetic ones."""
    tables = evidence.tables
    for column in tables.schema.columns:
        words = _words(tables, column.name)
        if column.kind not in ("text", "identifier") and not any(personal(words[0], column.name)):
            continue
        yield _reuse(evidence, column.name, *words)


def _words(tables: Tables, name: str) -> tuple[pd.Series, pd.Series]:
    real = pd.concat([tables.train[name], tables.holdout[name]], ignore_index=True)
    made = tables.synthetic[name].reset_index(drop=True)
    one, two = (
        side.map(lambda word: str(word).strip(), na_action="ignore") for side in (real, made)
    )
    return one, two


def _reuse(evidence: Evidence, name: str, real: pd.Series, made: pd.Series) -> Draft:
    times = real.value_counts()
    seen = real.iloc[: evidence.seen]
    singles = seen[seen.isin(times.index[times == 1])]
    owner = pd.Series(singles.index, index=singles.to_numpy())
    found = made[made.isin(owner.index)].drop_duplicates()
    pairs = len(real) * (len(real) - 1) / 2
    twins = float((times * (times - 1) / 2).sum()) / pairs * len(made) * len(seen)
    expected = max(twins, made.nunique() * min(len(singles) / _places(singles, made), 1.0))
    chance = float(stats.poisson.sf(len(found) - 1, CAUTION * expected)) if len(found) else 1.0
    verdict = _verdict(evidence, len(found), chance)
    told = f"{len(found):,} of {made.nunique():,} synthetic values are those of one real person"
    told += f" (about {_about(expected)} by coincidence)"
    if verdict == "fail":
        told += _rows_told(evidence, found.index.to_numpy(), owner[found.to_numpy()].to_numpy())
    return stated("reused_values", name, verdict, told, [name], len(found), family="privacy")


def _places(words: Sequence[str] | pd.Series, made: pd.Series) -> float:
    """How many different words there could be, judged from the characters at each place."""
    both = pd.concat([pd.Series(words), made.dropna()]).unique()
    if not len(both):
        return 1.0
    width = min(max(map(len, both)), 40)
    numbers = all(word.isdigit() for word in both)
    letters = np.array([list((word.zfill(width) if numbers else word.ljust(width))[:width])
                        for word in both])  # fmt: skip
    return float(np.prod([float(len(np.unique(letters[:, k]))) for k in range(width)]))
