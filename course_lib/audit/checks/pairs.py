"""Each pair of columns: do their values go together as in the real data, whatever each does by itself?

Of many columns all pairs are counted, and those that differ most are tested one by one.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product

import numpy as np

from course_lib.audit.contingency import cramers_v, pair_excess
from course_lib.audit.dependence import beyond_margins, given_margins
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, measured
from course_lib.audit.statistics import Comparison
from course_lib.audit.tally import Key, Split, Tally
from course_lib.audit.values import Values

TESTED = 5_000  # pairs that are tested one by one: all pairs of 100 columns
DOUBTED = 0.05  # p-value below which a pair is also compared by ranks
COUNTED = 10_000  # rows of each kind that tell which ones


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Drafts about each pair of columns; of more than TESTED pairs one stands for all that differ less.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'pair_total_variation[x & sex]'
    """
    columns = list(evidence.tables.values.values())
    pairs = list(combinations(columns, 2))
    if len(pairs) <= TESTED:
        yield from (_pair(evidence, *pair) for pair in pairs)
        return
    real, synthetic, cells = zip(*(column.coarse for column in columns), strict=True)
    excess = pair_excess(real, synthetic, cells, COUNTED, rng)
    order = np.argsort(-excess[np.triu_indices(len(columns), 1)], kind="stable")
    yield from (_pair(evidence, *pairs[k]) for k in order[:TESTED])
    left = len(pairs) - TESTED
    next_one = _pair(evidence, *pairs[order[TESTED]])
    finding = next_one.finding
    yield replace(
        next_one,
        finding=replace(
            finding,
            slice=f"{left:,} other pairs",
            method=f"the one of them that differs most: {finding.slice}; {finding.method}",
        ),
        tests=left,
    )
    yield Note(
        f"{len(columns):,} columns have {len(pairs):,} pairs. All were counted, on at most "
        f"{COUNTED:,} rows of each kind, and the {TESTED:,} that differ most were tested one by one. The "
        "correction for many tests counts all of them."
    )


def _pair(evidence: Evidence, one: Values, two: Values) -> Draft:
    counted = evidence.tables.tally.cells(one, two)
    return measured(
        "fidelity",
        "pair_total_variation",
        f"{one.name} & {two.name}",
        _compared(evidence.tables.tally, one, two, counted),
        margin=evidence.margins["pair_total_variation"],
        reference=beyond_margins(counted.holdout, counted.train),
        method=f"association (Cramér's V) {cramers_v(counted.synthetic):.2f}, real "
        f"{cramers_v(counted.real):.2f}",
        columns=[one.name, two.name],
    )


def _compared(tally: Tally, one: Values, two: Values, counted: Split) -> Comparison:
    """Their dependence: by values, or by ranks where these explain more.

    A number that was stretched has other values and the same ranks, and its cells hold other rows. What
    differs both ways differs by more than a change of one column.
    """
    found = given_margins(counted.synthetic, counted.real)
    ways = ([False, True] if column.is_number else [False] for column in (one, two))
    for by_rank in list(product(*ways))[1:]:
        if found.p is None or found.p >= DOUBTED:
            break
        ranked = tally.of_synthetic(Key("cells", (one.name, two.name), by_rank))
        other = given_margins(ranked, counted.real)
        found = found if other.p is None or other.p <= found.p else other
    return found
