"""The tables as such: columns that are missing or new, values that cannot be read."""

from collections.abc import Iterator

import numpy as np

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """What was found while the tables were read."""
    yield from evidence.tables.drafts
