"""Both tables in brief, for the page to draw: the shares of each column's cells, and the pairs."""

from collections.abc import Iterable
from itertools import combinations, pairwise

import numpy as np

from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.profile import Associations, Profile
from course_lib.audit.schema import level_told
from course_lib.audit.values import MONTHS, WEEKDAYS, Values

BINS = 24  # of a number
LEVELS = 12  # of a category that are drawn one by one, the most common; of one with an order BINS
MATRIX = 20  # columns at most whose associations are drawn
ENDS = (0.01, 0.99)  # quantiles of the real values between which bins are equally wide


def summarise(column: Values, least_people: int = 1) -> Profile:
    """A column's cells: bins of equal width, the outer ones open, or levels, the rare ones together.

    Args:
        least_people: real rows that a cell must have, or none at all; else it is joined with the next.

    >>> sides = np.array([0, 0, 1, -1]), np.array([0, 1, 1, 1])
    >>> found = summarise(Values("sex", "category", *sides, ("f", "m"), 2))
    >>> found.cells, found.real, found.synthetic
    (('m', 'f', 'missing'), (0.25, 0.5, 0.25), (0.75, 0.25, 0.0))
    """
    cut = _number if column.is_number else _category
    cells, real, made = cut(column, least_people)
    gone = len(cells)
    shares = []
    for codes in (real, made):
        counts = np.bincount(np.where(codes < 0, gone, codes), minlength=gone + 1)
        shares.append([round(float(n), 4) for n in counts / max(len(codes), 1)])
    if any(side[-1] for side in shares):
        cells = [*cells, "missing"]
    else:
        shares = [side[:-1] for side in shares]
    return Profile(column.name, column.kind, tuple(cells), *map(tuple, shares))


def _number(column: Values, least_people: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    known = column.real[np.isfinite(column.real)]
    values, times = np.unique(known, return_counts=True)
    written = _day if column.kind == "date" else _short
    if len(values) <= BINS and times.min() >= least_people:
        inner = values[:-1] / 2 + values[1:] / 2
        cells = [written(value) for value in values]
    else:
        inner = _crowded(_edges(known), known, least_people)
        names = [written(edge) for edge in inner]
        between = [f"{a} to {b}" for a, b in pairwise(names)]
        cells = [f"below {names[0]}", *between, f"{names[-1]} and above"] if names else ["all"]

    def code(side: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(side), np.searchsorted(inner, side, side="right"), -1)

    return cells, code(column.real), code(column.synthetic)


def _edges(known: np.ndarray) -> np.ndarray:
    """Inner edges of about BINS bins of one round width; by quantiles where a width does not serve."""
    low, high = np.quantile(known, ENDS, method="lower")
    width = _round_width((high - low) / BINS)
    if 0 < width < np.inf and low + width > low and high - width < high:
        return np.asarray(np.arange(np.ceil(low / width), np.floor(high / width) + 1) * width)
    return np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))


def _crowded(edges: np.ndarray, known: np.ndarray, least_people: int) -> np.ndarray:
    """Edges (k,), without those beside which a bin would have too few real rows."""
    if least_people < 2:
        return edges
    kept: list[float] = []
    below, n = 0, len(known)
    for edge in edges:
        under = int((known < edge).sum())
        if under - below >= least_people and n - under >= least_people:
            kept.append(edge)
            below = under
    return np.array(kept)


def _round_width(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least `least`; 0 if there is none."""
    if not 0 < least < np.inf:
        return 0.0
    power = 10.0 ** np.floor(np.log10(least))
    return float(next((step * power for step in (1, 2, 5) if step * power >= least), 10 * power))


def _short(value: float) -> str:
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _day(days: float) -> str:
    return str(np.datetime64("1970-01-01") + np.timedelta64(int(days), "D"))


def _category(column: Values, least_people: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    natural = all(level.isdigit() or level in WEEKDAYS + MONTHS for level in column.levels)
    if natural and len(column.levels) <= BINS:
        top = np.arange(len(column.levels))
    else:
        top = column.by_count[:LEVELS]
    if least_people > 1:
        top = _common(column, top, least_people)
    cells = [level_told(column.levels[level]) for level in top]
    to = np.full(len(column.levels) + 1, len(top))
    to[top] = np.arange(len(top))
    to[-1] = -1  # missing values have the code -1
    if len(column.levels) > len(top):
        cells.append(f"{len(column.levels) - len(top):,} other levels")
    return cells, to[column.real], to[column.synthetic]


def _common(column: Values, top: np.ndarray, least_people: int) -> np.ndarray:
    """Of levels that are to be drawn one by one, those with enough real rows; so must the others have."""
    times = np.bincount(column.real[column.real >= 0], minlength=len(column.levels))
    top = top[(times[top] == 0) | (times[top] >= least_people)]
    shown = times[top] > 0
    if 0 < times.sum() - times[top].sum() < least_people and shown.any():
        rarest = np.flatnonzero(shown)[np.argmin(times[top][shown])]
        top = np.delete(top, rarest)
    return top


def summarise_pairs(columns: Iterable[Values]) -> Associations:
    """How strongly the columns of each pair go together, for the first MATRIX columns.

    >>> x = Values("x", "number", np.arange(99.0), np.arange(99.0))
    >>> y = Values("y", "number", np.arange(99.0), np.arange(99.0)[::-1])
    >>> summarise_pairs([x, y]).real
    (1.0,)
    """
    drawn = list(columns)[:MATRIX]
    pairs = [joint(*pair) for pair in combinations(drawn, 2)]
    made, real = (
        tuple(round(float(cramers_v(sides[at])), 3) for sides in pairs) for at in range(2)
    )
    return Associations(tuple(column.name for column in drawn), real, made)
