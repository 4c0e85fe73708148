"""How often would a real row, or a value of one person, be met by coincidence? Read from the real rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.sampling import sample_rows
from course_lib.audit.tally import RowHashes
from course_lib.audit.values import Values, present

CAUTION = 3  # the number expected by coincidence is itself an estimate: it counts so many times
WEAK = 0.5  # Cramér's V up to which two columns count as nearly independent
DETERMINED = 0.9  # share of a number's variance from which on others make it up
BINS = 20
NEAR = 5  # other numbers that tell how dense they are around one
NEGLIGIBLE = 1e-6  # expected pairs below which no further column is looked at
COMMON = 0.05  # of the rows have a value that is not rare
WIDEST = 40  # characters of a word that are looked at
JUDGED = 100_000  # rows at most from which chances are read
REPEATED = 1e-4  # level of the test whether real rows were entered twice
# In which numbers are written: powers of ten, and an hour, a minute and a second of days.
STEPS = (*(10.0**-k for k in range(-4, 10)), 1 / 24, 1 / 1440, 1 / 86400)
ROUGH = 1e-6  # steps below are no steps in which people write
# Of means and ratios: by how much a whole number, a tenth and a hundredth are divided at most.
DIVISORS = {1.0: 1_000, 0.1: 60, 0.01: 60}
TRIED = 50  # odd numbers that tell whether they are parts
RATIOS = 0.02  # of a column's numbers, from which on it holds means or ratios


def chance_of(found: int, expected: float) -> float:
    """The chance of so many coincidences or more, where `expected` is an estimate.

    >>> chance_of(0, 5.0), round(chance_of(1, 0.001), 4)
    (1.0, 0.003)
    """
    return float(stats.poisson.sf(found - 1, CAUTION * expected)) if found else 1.0


def about(expected: float) -> str:
    """A number of coincidences in words.

    >>> about(12.3), about(0.02), about(1e-9)
    ('12', '0.02', 'none')
    """
    if expected >= 10:
        return f"{expected:,.0f}"
    return f"{expected:.1g}" if expected > 1e-3 else "none"


# --- whole rows --------------------------------------------------------------------------------


def entered_twice(real: np.ndarray, made: np.ndarray) -> bool:
    """Whether real rows repeat each other more often than synthetic ones do, and so not by coincidence.

    Args:
        real, made: a number to each row, equal for equal rows.

    >>> rows = np.arange(500)
    >>> entered_twice(np.append(rows, rows[:50]), rows), entered_twice(rows, rows)
    (True, False)
    """
    twice = [int((np.unique(side, return_counts=True)[1] > 1).sum()) for side in (real, made)]
    pairs = [len(side) * (len(side) - 1.0) for side in (real, made)]
    chance = stats.binom.sf(twice[0] - 1, sum(twice), pairs[0] / max(sum(pairs), 1.0))
    return bool(sum(twice) and chance < REPEATED)


def distinct(hashes: RowHashes, columns: Sequence[Values]) -> list[Values]:
    """The columns as they are; where real rows were entered twice, with each of these rows once.

    Args:
        hashes: of the rows that have these values; of more or fewer rows nothing is left out.

    >>> x = np.append(np.arange(500.0), np.arange(50.0))
    >>> hashes = RowHashes(x, x[:0], x[:500])
    >>> [len(column.real) for column in distinct(hashes, [Values("x", "number", x, x[:500])])]
    [500]
    """
    real = hashes.real
    whole = all(len(column.real) == len(real) for column in columns)
    if not whole or not entered_twice(real, hashes.synthetic):
        return list(columns)
    first = np.sort(np.unique(real, return_index=True)[1])
    return [replace(column, real=column.real[first]) for column in columns]


def few_rows(columns: Sequence[Values]) -> list[Values]:
    """The columns with at most JUDGED of their real rows, drawn at random.

    >>> x = np.arange(200_000.0)
    >>> [len(column.real) for column in few_rows([Values("x", "number", x, x)])]
    [100000]
    """
    if not columns or len(columns[0].real) <= JUDGED:
        return list(columns)
    rows = sample_rows(len(columns[0].real), JUDGED, np.random.default_rng(0))
    return [replace(column, real=column.real[rows]) for column in columns]


def coincidences(
    hashes: RowHashes,
    columns: Sequence[Values],
    seen: int,
    matches: Mapping[str, float] | None = None,
) -> float:
    """How many pairs of a synthetic row and one of the `seen` first real rows would be equal by
    coincidence, if they had one distribution: the largest of three estimates.

    The twins among the real rows; the holdout rows that a training row equals; and the product of the
    columns' own chances of a match, of columns that hardly depend on each other. Where real rows were
    entered twice, the twins among the synthetic rows take the place of the first two.

    Args:
        hashes: of rows that have the values of `columns`, each once: see `distinct`.
        matches: of each column, where they are known.

    >>> x = np.arange(200.0)
    >>> hashes = RowHashes(x[:100], x[100:], x + 1000)
    >>> round(coincidences(hashes, [Values("x", "number", x, x + 1000)], 100), 1)
    100.5
    """
    real, made = hashes.real, len(np.unique(hashes.synthetic))
    twins, held = rate_of_twins(real) * made * seen, 0.0
    if entered_twice(real, hashes.synthetic):
        twins = rate_of_twins(hashes.synthetic) * made * seen
    elif seen < len(real):
        held = float(np.isin(real[seen:], real[:seen]).mean()) * made
    same = {each.name: match(each) for each in columns} if matches is None else matches
    # Of pairs of equal rows both or none are here.
    product = independently(columns, same, float(made * seen) / hashes.kept)
    return max(twins, held, product)


def independently(columns: Sequence[Values], chances: Mapping[str, float], pairs: float) -> float:
    """How many of these pairs of rows would match by coincidence, from columns that hardly depend on each
    other. A number that the others make up, such as a sum of two, is left out.

    Args:
        chances: that two rows match in one column, by its name.

    >>> x = np.arange(100.0) % 10
    >>> columns = [Values("x", "number", x, x), Values("y", "number", x * 2, x)]
    >>> independently(columns, {"x": 0.1, "y": 0.1}, 1000.0)
    100.0
    """
    used: list[Values] = []
    for column in sorted(columns, key=lambda each: chances[each.name]):
        if pairs < NEGLIGIBLE or chances[column.name] > 0.9:
            break
        if all(cramers_v(joint(column, other)[1]) < WEAK for other in used) and not _made_up(
            column, used
        ):
            pairs *= max([chances[column.name], *(match_given(other, column) for other in used)])
            used.append(column)
    return pairs


def _made_up(column: Values, others: Sequence[Values]) -> bool:
    """Whether a number is nearly a weighted sum of other ones."""
    numbers = [other for other in others if other.is_number]
    if not column.is_number or not numbers:
        return False
    table = np.column_stack([each.real for each in (column, *numbers)])
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) <= len(numbers) + 1:
        return True
    y, x = table[:, 0], np.column_stack([np.ones(len(table)), table[:, 1:]])
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return bool(left.var() < (1 - DETERMINED) * y.var())


def rate_of_twins(rows: np.ndarray) -> float:
    """The share of the pairs of rows (n,), numbers or words, that are equal.

    >>> rate_of_twins(np.array([1, 1, 2]))
    0.3333333333333333
    """
    times = pd.Series(rows).value_counts().to_numpy(float)
    return float((times * (times - 1)).sum()) / max(len(rows) * (len(rows) - 1.0), 1.0)


def match(column: Values) -> float:
    """The chance that two real rows have the same value.

    >>> match(Values("sex", "category", np.array([0, 0, 1, 1]), np.zeros(1), ("f", "m"), 2))
    0.3333333333333333
    """
    known = column.real[present(column.real)]
    gone = 1 - len(known) / len(column.real)
    if len(known) < 2:
        return 1.0
    same = rate_of_twins(known)
    if column.is_number:
        same = max(same, _density(known) * unit(known))
    return gone**2 + (1 - gone) ** 2 * min(same, 1.0)


def match_given(one: Values, two: Values, *, rare: bool = False) -> float:
    """The chance that two real rows are equal in a second column, if they are in the first; 0 where that
    cannot be told.

    So a price that belongs to an article's number is no second coincidence, though no table of shares
    shows that they depend on each other.

    Args:
        rare: of rows whose second value few have, alone: that many have no debt says nothing about a
            number of one's own.

    >>> item = Values("item", "number", np.array([1.0, 2, 3, 1, 2, 3]), np.zeros(1))
    >>> price = Values("price", "number", np.array([7.5, 2, 9, 7.5, 2, 9]), np.zeros(1))
    >>> match_given(item, price)
    1.0
    """
    order = np.argsort(one.real, kind="stable")
    first, second = one.real[order], two.real[order]
    equal = (first[1:] == first[:-1]) & present(first[1:])
    if rare:
        _, code, times = np.unique(second, return_inverse=True, return_counts=True)
        few = times[code] <= max(COMMON * len(second), 2)
        equal &= few[1:] | few[:-1]
    if not equal.any():
        return 0.0
    return float((second[1:] == second[:-1])[equal].mean())


# --- single numbers ----------------------------------------------------------------------------


def _density(values: np.ndarray) -> float:
    """The mean density at a value, from bins that hold equally many."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    width = np.diff(edges)
    if not len(width):
        return np.inf
    share = np.histogram(values, edges)[0] / len(values)
    return float((share**2 / width).sum())


def unit(values: np.ndarray) -> float:
    """The step in which nearly all values are written, 0 where they have no such step.

    A power of ten, or an hour, a minute or a second of values in days.

    >>> unit(np.array([3.5, 7.0])), unit(np.array([2 / 3, 0.123456789012]))
    (0.1, 0.0)
    """
    for step in sorted(STEPS, reverse=True):
        if _multiples(values, step).mean() > 0.95:
            return float(step)
    return 0.0


def _multiples(values: np.ndarray, step: float | np.ndarray) -> np.ndarray:
    scaled = values / step
    return np.asarray(np.isclose(scaled, np.round(scaled), rtol=1e-12, atol=1e-6))


def steps(values: np.ndarray) -> np.ndarray:
    """The largest step that each number (n,) is a multiple of, as in `unit`; 0 where there is none.

    In a column of means or ratios a step is divided by as few as will do: 7.333.. is a third of 1.

    >>> steps(np.array([0.0, 3700, 0.37])).tolist()
    [10000.0, 100.0, 0.01]
    """
    found: np.ndarray = np.zeros(len(values))
    for step in sorted(STEPS):
        whole = _multiples(values, step)
        found[whole & ((np.round(values / step) != 0) | (values == 0))] = step
    odd = found < ROUGH
    if odd.sum() > RATIOS * len(values):
        few = values[odd][:TRIED, None]
        grids = [_multiples(few, base / np.arange(2, most + 1)) for base, most in DIVISORS.items()]
        if np.concatenate(grids, axis=1).any(axis=1).mean() > 0.5:
            found = np.maximum(found, _parts(values))
    return found


def _parts(values: np.ndarray) -> np.ndarray:
    """The largest step that is a whole number's, a tenth's or a hundredth's part, of each number (n,)."""
    found: np.ndarray = np.zeros(len(values))
    for base, most in DIVISORS.items():
        for divisor in range(2, most + 1):
            left = np.flatnonzero(found < base / divisor)
            found[left[_multiples(values[left], base / divisor)]] = base / divisor
    return found


def own_chances(column: Values, seen: int) -> np.ndarray:
    """The chance that another row has a person's number by coincidence, (seen,); infinite where several
    people have it.

    It is the density of the real numbers around it, times the step in which it is written: a round number
    is met more often. If real numbers are equal more often than that says, all chances are raised.

    >>> own_chances(Values("x", "number", np.arange(1.0, 100), np.zeros(1)), 2).round(3).tolist()
    [0.005, 0.006]
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
    chance = density * np.maximum(steps(own), unit(known))
    chance = chance.clip(1 / n**2, 1.0)
    if len(own):
        # Good and Turing: the next row has a number that one has so far with a chance of 2 twins / n.
        twins = 2.0 * (times[np.isfinite(values)] == 2).sum() / (n * len(own))
        chance = (chance * max(1.0, twins / chance.mean())).clip(max=1.0)
    found = np.full(len(column.real), np.inf)
    found[at[alone]] = chance
    return found[:seen]


def outliers_chance(expected: np.ndarray, came_back: np.ndarray) -> float:
    """The chance that so many outliers came back, from how many of each would by coincidence (k,).

    The least likely ones count by themselves, too: one number that lies far from all others is a person's,
    whatever the crowd at the fence does. Tried are the 1, 2, 4, ... least likely, and all.

    >>> round(outliers_chance(np.array([1e-9, 0.1, 0.1]), np.array([True, False, False])), 12)
    9e-09
    """
    order = np.argsort(expected, kind="stable")
    sums, found = expected[order].cumsum(), came_back[order].cumsum()
    cuts = sorted(
        {*(2**k for k in range(len(order).bit_length()) if 2**k < len(order)), len(order)}
    )
    chances = [chance_of(int(found[cut - 1]), float(sums[cut - 1])) for cut in cuts if cut]
    return min([1.0, *(len(chances) * each for each in chances)])


# --- words -------------------------------------------------------------------------------------


def possible_words(words: pd.Series, made: pd.Series) -> float:
    """How many different words there could be, judged from the characters at each place.

    >>> possible_words(pd.Series(["ab", "cb"]), pd.Series(["ad"]))
    4.0
    """
    both = pd.concat([words, made.dropna()]).unique()
    if not len(both):
        return 1.0
    width = min(max(map(len, both)), WIDEST)
    numbers = all(word.isdigit() for word in both)
    letters = np.array(
        [list((word.zfill(width) if numbers else word.ljust(width))[:width]) for word in both]
    )
    return float(np.prod([float(len(np.unique(letters[:, k]))) for k in range(width)]))
