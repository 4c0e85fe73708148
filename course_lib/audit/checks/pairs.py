"""Each pair of columns: how often their values occur together."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from course_lib.audit.contingency import cramers_v, tabulate
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, measured
from course_lib.audit.statistics import counts, total_variation


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """Drafts about each pair of columns.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'pair_total_variation[x & sex]'
    """
    tables = evidence.tables
    split = tables.n_train
    for one, two in combinations(tables.values.values(), 2):
        (real_one, made_one, rows), (real_two, made_two, columns) = one.coarse, two.coarse
        synthetic = tabulate(made_one, made_two, rows, columns)
        train = tabulate(real_one[:split], real_two[:split], rows, columns)
        holdout = tabulate(real_one[split:], real_two[split:], rows, columns)
        real = train + holdout
        yield measured(
            "fidelity",
            "pair_total_variation",
            f"{one.name} & {two.name}",
            counts(synthetic, real),
            margin=evidence.margins["pair_total_variation"],
            reference=total_variation(holdout, train),
            method=f"association (Cramér's V) {cramers_v(synthetic):.2f}, real "
            f"{cramers_v(real):.2f}",
            columns=[one.name, two.name],
        )
