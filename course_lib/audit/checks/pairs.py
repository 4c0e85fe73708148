"""Each pair of columns: how often their values occur together."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from course_lib.audit.counting import cramers_v, joint, tabulate
from course_lib.audit.finding import Draft, measured
from course_lib.audit.statistics import counts, total_variation
from course_lib.audit.table import Tables


def check(tables: Tables, rng: np.random.Generator) -> Iterator[Draft]:
    split = tables.n_train
    for one, two in combinations(tables.values.values(), 2):
        synthetic, real = joint(one, two)
        (codes_one, _, rows), (codes_two, _, columns) = one.coarse, two.coarse
        train = tabulate(codes_one[:split], codes_two[:split], rows, columns)
        yield measured(
            "fidelity",
            "pair_total_variation",
            f"{one.name} & {two.name}",
            counts(synthetic, real, rng),
            margin=tables.margins["pair_total_variation"],
            reference=total_variation(real - train, train),
            method=f"association (Cramér's V) {cramers_v(synthetic):.2f}, real "
            f"{cramers_v(real):.2f}",
            columns=[one.name, two.name],
        )
