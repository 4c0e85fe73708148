"""The tables as such: how they were read, what is missing, new, doubled, or in both real tables."""

from collections.abc import Iterator
from dataclasses import replace

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
    draft = stated("duplicate_rows", "whole rows", verdict, told, n=size)
    return replace(draft, finding=replace(draft.finding, estimate=float(repeated[0])))


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
    """Holdout rows that are training rows too, against what chance would part.

    If training and holdout rows are draws of one distribution, which of the real rows went where is
    chance: of m equal rows all are training rows, or all holdout rows, with a known probability. Each
    value counts once, so that one row repeated often is not evidence.

    A binomial count with the mean of these probabilities has the heavier tail: Hoeffding 1956,
    DOI 10.1214/aoms/1177728178.
    """
    train, holdout = tables.row_hashes.train, tables.row_hashes.holdout
    values, times = np.unique(np.concatenate([train, holdout]), return_counts=True)
    values, times = values[times > 1], times[times > 1]
    shared = int((np.isin(values, train) & np.isin(values, holdout)).sum())
    chance, likely = 1.0, 0.0
    if len(values):
        each, code = np.unique(times, return_inverse=True)
        sizes = len(train), len(holdout)
        apart = sum(stats.hypergeom.pmf(0, sum(sizes), each, size) for size in sizes)
        likely = float((1 - np.asarray(apart))[code].mean())
        chance = float(stats.binom.sf(shared - 1, len(values), likely))
    expected = likely * len(values)
    told = f"{np.isin(holdout, train).mean():.1%} of the holdout rows equal a training row"
    if shared - expected < OVERLAP * len(np.unique(holdout)) or chance > SURE:
        told += ", no more than by coincidence"
        return stated("holdout_overlap", "whole rows", "pass", told, n=len(holdout))
    told += (
        f"; {len(values):,} rows stand in the real data more than once, {shared:,} of them in both "
    )
    told += f"tables, where {expected:,.0f} would by chance: the generator has seen these rows, so that "
    told += "the findings on privacy compare training rows with themselves"
    return stated("holdout_overlap", "whole rows", "fail", told, n=len(holdout))
