"""Two linked tables, such as customers and their orders: audited across the join."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from course_lib.audit.entry_points import audit
from course_lib.audit.finding import Draft, stated
from course_lib.audit.report import AuditReport
from course_lib.audit.schema import AuditError, listed

Linked = tuple[pd.DataFrame, pd.DataFrame]  # the parents, and the rows that are linked to them


def joined(parents: pd.DataFrame, children: pd.DataFrame, key: str) -> pd.DataFrame:
    """One row a parent: its own columns, and what its linked rows say together.

    Added are `rows`, their number; for each column of numbers its mean; and for each other column how many
    different values it has there. A parent without linked rows has 0 rows, and no means.

    Args:
        parents: with the column `key`, which is left out of the result.
        children: with the same column. Codes must be text here, or they are taken for numbers.

    Raises:
        AuditError: when a table lacks the key.

    >>> people = pd.DataFrame({"customer": [1, 2], "kind": ["household", "trade"]})
    >>> orders = pd.DataFrame({"customer": [1, 1], "item": ["tea", "cup"], "price": [3.0, 5.0]})
    >>> joined(people, orders, "customer").to_numpy().tolist()
    [['household', 2, 2, 4.0], ['trade', 0, 0, nan]]
    """
    for table, name in ((parents, "parents"), (children, "linked rows")):
        if key not in table.columns:
            raise AuditError(
                f"The {name} have no column '{key}', the key. Theirs are: {listed(table.columns)}."
            )
    groups = children.groupby(key, observed=True)
    keys = parents[key]
    columns = {"rows": keys.map(groups.size()).fillna(0).astype(int).to_numpy()}
    for name in children.columns.drop(key):
        if pd.api.types.is_numeric_dtype(children[name]):
            columns[f"mean {name}"] = keys.map(groups[name].mean()).to_numpy()
        else:
            several = keys.map(groups[name].nunique()).fillna(0).astype(int)
            columns[f"different {name}"] = several.to_numpy()
    own = parents.drop(columns=key).reset_index(drop=True)
    return own.assign(**columns)


def audit_linked(
    real_train: Linked,
    real_holdout: Linked | None,
    synthetic: Linked,
    key: str,
    **options: Any,
) -> AuditReport:
    """Compare two linked synthetic tables with two linked real ones, across the join.

    The keys are checked, and the rows that `joined` makes are audited: so a link that is lost, such as that
    between a customer's kind and how much it orders, is found though each table by itself looks right.

    Args:
        real_train, real_holdout, synthetic: the parents and the linked rows of each. A holdout has other
            parents than the training data.
        key: the column that links them.
        options: of `audit`.

    Raises:
        AuditError: for tables that lack the key, or cannot be audited.

    >>> from course_lib.datasets.shop import linked_tables
    >>> real, held_out, made = (linked_tables(80, seed=seed) for seed in range(3))
    >>> report = audit_linked(real, held_out, made, "customer", progress=False)
    >>> report["foreign_key[customer]"].verdict
    'pass'
    """
    parts = [None if part is None else joined(*part, key) for part in (real_train, real_holdout)]
    report = audit(parts[0], parts[1], joined(*synthetic, key), **options)
    keys = tuple(draft.finding for draft in _keys(*synthetic, key))
    return replace(report, findings=(*report.findings, *keys))


def _keys(parents: pd.DataFrame, children: pd.DataFrame, key: str) -> Iterator[Draft]:
    repeated = int(parents[key].duplicated().sum())
    told = f"{repeated:,} of {len(parents):,} rows have a key that stands before them"
    yield stated("primary_key", key, "fail" if repeated else "pass", told, [key], len(parents))
    orphans = int((~children[key].isin(parents[key])).sum())
    told = f"{orphans:,} of {len(children):,} linked rows belong to none of the parents"
    yield stated("foreign_key", key, "fail" if orphans else "pass", told, [key], len(children))
