"""The tables as such: how they were read, what is missing, new, doubled, or in both real tables."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, stated
from course_lib.audit.sampling import sample_rows
from course_lib.audit.schema import listed
from course_lib.audit.statistics import counts
from course_lib.audit.table import Tables
from course_lib.audit.values import present

OVERLAP = 0.01  # of the holdout rows, beyond coincidence, from which on the holdout is no holdout
REPEATED = 0.01  # of the rows, beyond the real ones' share, from which on duplicates are a fault
SURE = 1e-4  # level of the tests


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """What was found while the tables were read, and whether the holdout was held out.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": list(range(20)) * 3, "one": 1})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> [draft.finding.id for draft in found][-1]
    'holdout_drift[whole rows]'
    """
    yield from evidence.tables.drafts
    if evidence.arrays is not None or not evidence.tables.values:
        return
    yield _duplicates(evidence.tables, rng)
    yield from _keys(evidence.tables)
    if evidence.holdout_given:
        yield _overlap(evidence.tables)
        yield _drift(evidence.tables)


def _duplicates(tables: Tables, rng: np.random.Generator) -> Draft:
    """Rows that repeat another row of their table, in equally many synthetic and real rows."""
    real, made = tables.row_hashes.real, tables.row_hashes.synthetic
    size = min(len(real), len(made))
    twice = [
        size - len(np.unique(side[sample_rows(len(side), size, rng)])) for side in (made, real)
    ]
    table = np.array([[twice[0], size - twice[0]], [twice[1], size - twice[1]]])
    chance = stats.fisher_exact(table, "greater").pvalue
    repeated = [1 - len(np.unique(side)) / len(side) for side in (made, real)]
    told = f"duplicate rows: {repeated[0]:.1%} of the synthetic rows repeat an earlier one, and "
    told += f"{repeated[1]:.1%} of the real ones"
    verdict = "fail" if chance < SURE and twice[0] - twice[1] >= REPEATED * size else "pass"
    if verdict == "fail":
        told += "; equal rows are not independent, so that other findings may follow from this one"
    return stated("duplicate_rows", "whole rows", verdict, told, n=size)


def _keys(tables: Tables) -> Iterator[Draft]:
    """Keys that occur more than once, in a column where each row should have its own."""
    for column in tables.schema.columns:
        if column.kind != "identifier":
            continue
        parts = {"training": tables.train, "holdout": tables.holdout, "synthetic": tables.synthetic}
        told, worst = [], 0.0
        for part, table in parts.items():
            keys = table[column.name].dropna().astype(str)
            if number := int(keys.duplicated().sum()):
                told.append(f"{number:,} of {len(keys):,} {part} rows have the key of another row")
                worst = max(worst, number / len(keys))
        if told:
            verdict = "fail" if worst > 0.5 else "warn"
            yield stated("duplicate_keys", column.name, verdict, "; ".join(told), [column.name])


def _drift(tables: Tables) -> Draft:
    """Whether training and holdout rows have one distribution, column by column."""
    p: dict[str, float] = {}
    for name, column in tables.values.items():
        train, holdout = (part[present(part)] for part in np.split(column.real, [tables.n_train]))
        if min(len(train), len(holdout)) < 2:
            continue
        if column.is_number:
            p[name] = float(stats.ks_2samp(holdout, train, method="asymp").pvalue)
        else:
            size = len(column.levels)
            p[name] = (
                counts(*(np.bincount(side, minlength=size) for side in (holdout, train))).p or 0.0
            )
    moved = sorted((name for name in p if p[name] * len(p) < SURE), key=p.__getitem__)
    told = (
        "training and holdout rows have the same distribution in each column, as far as can be told"
    )
    if moved:
        told = f"the holdout has another distribution than the training rows, in {listed(moved)}: what "
        told += "it is compared with, and all of privacy, rests on the two being draws of one"
    return stated("holdout_drift", "whole rows", "warn" if moved else "pass", told, moved)


def _overlap(tables: Tables) -> Draft:
    """Holdout rows that are training rows too, against the training rows that have a twin.

    If the two tables are draws of one distribution, a holdout row equals some training row about as
    often as a training row equals another one. Each value counts once, so that one row repeated
    often is not evidence.
    """
    train, holdout = tables.row_hashes.train, tables.row_hashes.holdout
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
