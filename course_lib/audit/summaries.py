"""Both tables in brief, for the page to draw: the shares of each column's cells, and the pairs."""

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, pairwise

import numpy as np

from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.profile import Associations, Joint, Profile
from course_lib.audit.schema import level_told
from course_lib.audit.values import MONTHS, TOP, WEEKDAYS, Values, present

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
    facts = tuple(_facts(column, least_people))
    real_shares, made_shares = map(tuple, shares)
    return Profile(column.name, column.kind, tuple(cells), real_shares, made_shares, facts)


def _facts(column: Values, least_people: int) -> Iterator[tuple[str, str, str]]:
    """Mean, spread, ends and gaps of a number; days of a date; levels and gaps of a category."""
    sides = column.real, column.synthetic
    known = [side[present(side)] for side in sides]
    if column.is_number and all(map(len, known)):
        date = column.kind == "date"
        measures: dict[str, Callable[[np.ndarray], float]] = {"mean": np.mean, "median": np.median}
        if not date:
            measures["standard deviation"] = np.std
        if least_people < 2:  # the outermost value is one person's
            measures |= {
                "earliest" if date else "lowest": np.min,
                "latest" if date else "highest": np.max,
            }
        written = _day if date else _short
        with np.errstate(over="ignore", invalid="ignore"):
            for name, measure in measures.items():
                ours, theirs = (float(measure(side)) for side in known)
                if np.isfinite(ours) and np.isfinite(theirs):
                    yield name, written(ours), written(theirs)
    elif not column.is_number and least_people < 2:
        levels = [f"{len(np.unique(side)):,}" for side in known]
        yield "different levels", levels[0], levels[1]
    gone = [1 - len(side) / max(len(whole), 1) for side, whole in zip(known, sides, strict=True)]
    if any(gone):
        yield "missing", f"{gone[0]:.1%}", f"{gone[1]:.1%}"


def _number(column: Values, least_people: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    known = column.real[np.isfinite(column.real)]
    values, times = np.unique(known, return_counts=True)
    written = _day if column.kind == "date" else _short
    if len(values) <= BINS and times.min() >= least_people:
        inner = values[:-1] / 2 + values[1:] / 2
        cells = [written(value) for value in values]
    else:
        edges = _edges(known)
        made = column.synthetic[np.isfinite(column.synthetic)]
        edges = edges[edges > min(known.min(initial=np.inf), made.min(initial=np.inf))]
        edges = edges if len(edges) else values[1:2]  # nearly all have the least
        inner = _crowded(edges, known, least_people)
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


def summarise_joint(one: Values, two: Values) -> Joint:
    """The shares of both tables' rows in the cells of two columns, without rows and columns that are empty.

    >>> x = Values("x", "number", np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0]))
    >>> sex = Values("sex", "category", np.array([0, 0, 1]), np.array([0, 0, 1]), ("f", "m"), 2)
    >>> found = summarise_joint(x, sex)
    >>> found.columns, found.synthetic
    (('f', 'm'), ((0.3333, 0.0), (0.3333, 0.3333)))
    """
    made, real = joint(one, two)
    filled = (made + real) > 0
    kept = [np.flatnonzero(filled.any(axis=axis)) for axis in (1, 0)]
    sides = []
    for counts in (real, made):
        shares = counts[np.ix_(*kept)] / max(counts.sum(), 1)
        sides.append(tuple(tuple(round(float(share), 4) for share in row) for row in shares))
    rows, columns = (
        tuple(_cells(column)[k] for k in at) for column, at in zip((one, two), kept, strict=True)
    )
    return Joint((one.name, two.name), rows, columns, *sides)


def _cells(column: Values) -> list[str]:
    """What each cell of `Values.coarse` holds, in words."""
    if not column.is_number:
        top = [level_told(column.levels[level]) for level in column.by_count[:TOP]]
        return [*top, "another level", "missing"]
    written = _day if column.kind == "date" else _short
    if not len(column.edges):
        return ["any", "missing"]
    before = [float(np.nextafter(edge, -np.inf)) for edge in column.edges]
    # An edge right behind a value that many rows have is told by that value.
    behind = [
        len(repr(low)) < len(repr(float(edge)))
        for low, edge in zip(before, column.edges, strict=True)
    ]
    edges = [
        written(low if told else edge)
        for low, edge, told in zip(before, column.edges, behind, strict=True)
    ]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    first = f"up to {edges[0]}" if behind[0] else f"below {edges[0]}"
    last = f"above {edges[-1]}" if behind[-1] else f"{edges[-1]} and above"
    return [first, *between, last, "missing"]
