"""The tables as such: how they were read, columns that are missing or new, rows in both real tables."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, stated
from course_lib.audit.table import Tables

OVERLAP = 0.01  # of the holdout rows, beyond coincidence, from which on the holdout is no holdout
SURE = 1e-4  # level of the test


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """What was found while the tables were read, and whether the holdout was held out.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": list(range(20)) * 3, "one": 1})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> [draft.finding.id for draft in found][-1]
    'holdout_overlap[whole rows]'
    """
    yield from evidence.tables.drafts
    if evidence.holdout_given and evidence.arrays is None and evidence.tables.values:
        yield _overlap(evidence.tables)


def _overlap(tables: Tables) -> Draft:
    """Holdout rows that are training rows too, against the training rows that have a twin.

    If the two tables are draws of one distribution, a holdout row equals some training row about as
    often as a training row equals another one. Each value counts once, so that one row repeated
    often is not evidence.
    """
    real, _ = tables.row_hashes
    train, holdout = np.split(real, [tables.n_train])
    values, times = np.unique(train, return_counts=True)
    twins = int((times > 1).sum())
    held = np.unique(holdout)
    shared = int(np.isin(held, values).sum())
    share, expected = shared / len(held), twins / len(values)
    table = np.array([[shared, len(held) - shared], [twins, len(values) - twins]])
    chance = stats.fisher_exact(table, "greater").pvalue
    told = f"{np.isin(holdout, values).mean():.1%} of the holdout rows equal a training row"
    if share - expected < OVERLAP or chance > SURE:
        told += ", no more than by coincidence"
        return stated("holdout_overlap", "whole rows", "pass", told, n=len(holdout))
    told += f", though only {expected:.1%} of the distinct training rows have a twin: the generator has "
    told += "seen these rows, so that the findings on privacy compare training rows with themselves"
    return stated("holdout_overlap", "whole rows", "fail", told, n=len(holdout))
