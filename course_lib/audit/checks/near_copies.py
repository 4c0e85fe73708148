"""Synthetic rows that are not a person's row, but nearly."""

from collections.abc import Iterator

import numpy as np
from scipy import stats
from sklearn.neighbors import NearestNeighbors

from course_lib.audit.checks.chances import chance_of, few_rows, independently, match
from course_lib.audit.checks.people import SURE, rows_of, rows_told, verdict_of
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, stated
from course_lib.audit.sampling import sample_rows
from course_lib.audit.values import Values, present

CROWD = 6_000  # rows of each kind at most
NOISE = (0.01, 0.03)  # interquartile ranges by which all numbers of a near copy are off at most
MODEL_ROWS = 2_000  # from which it is judged how often two numbers are so near


def near_copies(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Synthetic rows that stand closer to a real row than real rows stand to each other.

    How near a row is to its nearest real row is measured in that row's own distance to the next real
    one. Real rows among themselves, each left out in turn, show which ratios are common. Those of two rows
    that are each other's nearest come together, so pairs are counted.

    A few copies are no more than real rows that are near by coincidence could be. They are told by
    having all levels and, but for a little noise, all numbers of a person: see `_noisy`.

    >>> from course_lib.audit.table import prepare
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> rows = [pd.DataFrame(rng.normal(size=(200, 3)), columns=[*"abc"]) for _ in range(2)]
    >>> evidence = Evidence(prepare(*rows, rows[0] + 1e-3))
    >>> [draft.finding.verdict for draft in near_copies(evidence, rng)]
    ['fail']
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
    verdict = verdict_of(evidence, len(people), best)
    if verdict == "fail":
        rows = tried[np.flatnonzero(close)[first]]
        told += rows_told(evidence, rows, kept[people])
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
    columns = rows_of(evidence, None).columns
    best, close = 1.0, np.zeros(len(made), bool)
    numbers = [column for column in columns if column.is_number]
    if not numbers:
        return best, close
    sides = [(column.real[owner], column.synthetic[made]) for column in columns]
    twins = [(column.real[kept], column.real[nearest]) for column in columns]
    same = _within(sides, [0.0] * len(columns))
    pairs, judged = float(len(made)) * len(kept), few_rows(columns)
    for noise in NOISE:
        limits = [noise * _range(column) if column.is_number else 0.0 for column in columns]
        near = _within(sides, limits) & ~same
        found = len(np.unique(owner[near]))
        rate = float(_within(twins, limits).sum()) / (len(kept) * (len(kept) - 1.0))
        matches = {
            column.name: _near_match(column, limit)
            for column, limit in zip(judged, limits, strict=True)
        }
        expected = max(pairs * rate, independently(judged, matches, pairs))
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
