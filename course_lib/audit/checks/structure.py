"""The tables as such: columns that are missing or new, values that cannot be read."""

from collections.abc import Iterator

import numpy as np

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """What was found while the tables were read.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"one": 1, "x": range(60), "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.method
    'one and the same value everywhere'
    """
    yield from evidence.tables.drafts
