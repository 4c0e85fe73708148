"""Three columns together: a search for what no pair shows, such as an effect that groups do not share."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from course_lib.audit.dependence import given_pairs
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, measured
from course_lib.audit.sampling import sample_rows
from course_lib.audit.statistics import Comparison
from course_lib.audit.table import Tables
from course_lib.audit.values import Values

MOST = 14  # columns whose triples are all looked at: 364
ROWS = 50_000  # of each kind at most
CELLS = 3  # of a number
LEVELS = 3  # of a category; the rarer ones are one
NAMED = 3


class Coded(NamedTuple):
    """A column in few cells.

    Attributes:
        names: of the column, or of two sensitive ones together.
        real, synthetic: codes of the rows, from 0.
        cells: how many.
    """

    names: tuple[str, ...]
    real: np.ndarray
    synthetic: np.ndarray
    cells: int


Triple = tuple[Coded, ...]


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """One draft about all triples: the one of them that differs most beyond its pairs.

    Its p-value is multiplied by the number of triples (Bonferroni).

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20, "s": list("aabb") * 15})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'three_columns[all triples]'
    """
    columns, left_out = _columns(evidence.tables)
    rows = [sample_rows(len(side), ROWS, rng) for side in (columns[0].real, columns[0].synthetic)]
    coded = [_coded(column, *rows) for column in columns]
    found = _compared([*combinations(coded, 3)]) + _compared(
        [*_intersections(evidence.tables, coded)]
    )
    tested = sorted(
        ((comparison, triple) for comparison, triple in found if comparison.p is not None),
        key=lambda each: each[0].p or 0.0,
    )
    if not tested:
        return
    comparison, worst = tested[0]
    p = min((comparison.p or 0.0) * len(tested), 1.0)
    next_ones = [
        _name(triple) for each, triple in tested[1:NAMED] if (each.p or 0) * len(tested) < 0.05
    ]
    told = f"of {len(tested):,} triples, the one that differs most beyond its pairs: {_name(worst)}"
    told += f"; then {'; '.join(next_ones)}" if next_ones else ""
    yield measured(
        "fidelity",
        "three_columns",
        "all triples",
        replace(comparison, p=p),
        margin=evidence.margins["three_columns"],
        method=told,
        columns=[name for each in worst for name in each.names],
    )
    if left_out:
        yield Note(
            f"Triples were looked at among {len(columns)} of {len(columns) + left_out} columns: the label, "
            "the sensitive ones, and the first of the others."
        )


def _compared(triples: Sequence[Triple]) -> list[tuple[Comparison, Triple]]:
    made, real = ([_counts(triple, part) for triple in triples] for part in ("synthetic", "real"))
    return list(zip(given_pairs(made, real), triples, strict=True))


def _name(triple: Triple) -> str:
    return " & ".join(f"({' & '.join(each.names)})" if len(each.names) > 1 else each.names[0]
                      for each in triple)  # fmt: skip


def _columns(tables: Tables) -> tuple[list[Values], int]:
    """At most MOST columns, the label and the sensitive ones among them, and how many were left out."""
    first = [*([tables.target.name] if tables.target else []), *tables.sensitive]
    names = list(dict.fromkeys([*first, *tables.values]))
    kept = set(names[:MOST])
    columns = [column for name, column in tables.values.items() if name in kept]
    return columns, len(names) - len(kept)


def _coded(column: Values, real_rows: np.ndarray, made_rows: np.ndarray) -> Coded:
    if column.is_number:
        few = replace(column, bins=CELLS)
        real, _, cells = few.coarse
        return Coded((column.name,), real[real_rows], few.ranked[made_rows], cells)
    top = column.by_count[:LEVELS]
    to = np.full(len(column.levels) + 1, LEVELS)
    to[top] = np.arange(len(top))
    real, made = to[column.real[real_rows]], to[column.synthetic[made_rows]]
    return Coded((column.name,), real, made, LEVELS + 1)


def _intersections(tables: Tables, coded: list[Coded]) -> Iterator[Triple]:
    """Two sensitive columns as one, with the label and each other column."""
    if tables.target is None:
        return
    by_name = {each.names[0]: each for each in coded}
    label = by_name[tables.target.name]
    for pair in combinations([name for name in tables.sensitive if name in by_name], 2):
        one, two = (by_name[name] for name in pair)
        both = Coded(
            pair,
            one.real.astype(int) * two.cells + two.real,
            one.synthetic.astype(int) * two.cells + two.synthetic,
            one.cells * two.cells,
        )
        for other in coded:
            if other.names[0] not in (*pair, label.names[0]):
                yield both, label, other


def _counts(triple: Triple, part: str) -> np.ndarray:
    shape = tuple(each.cells for each in triple)
    code = np.zeros(len(getattr(triple[0], part)), int)
    for each in triple:
        code = code * each.cells + getattr(each, part)
    counts: np.ndarray = np.bincount(code, minlength=int(np.prod(shape))).reshape(shape)
    return counts
