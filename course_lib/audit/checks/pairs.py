"""Each pair of columns: do their values go together as in the real data, whatever each does by itself?

Of many columns all pairs are counted, and those that differ most are tested one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from course_lib.audit.contingency import cramers_v, padded, pair_excess
from course_lib.audit.dependence import beyond_margins, given_margins
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, measured
from course_lib.audit.statistics import Comparison
from course_lib.audit.tally import Key, Split, Tally
from course_lib.audit.values import Values

TESTED = 5_000  # pairs that are tested one by one: all pairs of 100 columns
DOUBTED = 0.05  # p-value below which a pair is also compared by ranks
BY_RANK = ((False, True), (True, False), (True, True))  # which of two numbers
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
        yield from _tested(evidence, pairs)
        return
    real, synthetic, cells = zip(*(column.coarse for column in columns), strict=True)
    excess = pair_excess(real, synthetic, cells, COUNTED, rng)
    order = np.argsort(-excess[np.triu_indices(len(columns), 1)], kind="stable")
    *first, next_one = _tested(evidence, [pairs[k] for k in order[: TESTED + 1]])
    yield from first
    left = len(pairs) - TESTED
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


def _tested(evidence: Evidence, pairs: Sequence[tuple[Values, Values]]) -> Iterator[Draft]:
    """A draft about each of these pairs."""
    counts = evidence.tables.tally.pairs(pairs)
    compared = _compared(evidence.tables.tally, pairs, counts)
    references = beyond_margins([each.holdout for each in counts], [each.train for each in counts])
    most = max((one.cells for pair in pairs for one in pair), default=1)
    made = cramers_v(padded([each.synthetic for each in counts], (most, most)))
    real = cramers_v(padded([each.real for each in counts], (most, most)))
    for (one, two), found, reference, v, v_real in zip(
        pairs, compared, references, made, real, strict=True
    ):
        yield measured(
            "fidelity",
            "pair_total_variation",
            f"{one.name} & {two.name}",
            found,
            margin=evidence.margins["pair_total_variation"],
            reference=reference,
            method=f"association (Cramér's V) {v:.2f}, real {v_real:.2f}",
            columns=[one.name, two.name],
        )


def _compared(
    tally: Tally, pairs: Sequence[tuple[Values, Values]], counts: Sequence[Split]
) -> list[Comparison]:
    """Their dependence: by values, or by ranks where these explain more.

    A number that was stretched has other values and the same ranks, and its cells hold other rows. What
    differs both ways differs by more than a change of one column.
    """
    found = given_margins([each.synthetic for each in counts], [each.real for each in counts])
    for by_rank in BY_RANK:
        doubted = [
            k
            for k, (pair, each) in enumerate(zip(pairs, found, strict=True))
            if each.p is not None
            and each.p < DOUBTED
            and all(column.is_number or not way for column, way in zip(pair, by_rank, strict=True))
        ]
        keys = [Key("cells", (pairs[k][0].name, pairs[k][1].name), by_rank) for k in doubted]
        ranked = [tally.of_synthetic(key) for key in keys]
        others = given_margins(ranked, [counts[k].real for k in doubted])
        for k, other in zip(doubted, others, strict=True):
            if other.p is not None and other.p > (found[k].p or 0):
                found[k] = other
    return found
