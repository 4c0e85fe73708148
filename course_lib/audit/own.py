"""A table of one's own from a file: what the input check says, and its rows as generators need them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.audit.files import read_table
from course_lib.audit.finding import Findings, judge
from course_lib.audit.schema import UNCOMPARED, AuditError, listed
from course_lib.audit.table import prepare
from course_lib.audit.values import Values, present
from course_lib.datasets.splits import TableDataset

MOST_LEVELS = 100  # of a category, from which on single levels have few people each


def own_table(
    file: str | os.PathLike[str],
    label: str,
    sensitive: Sequence[str] = (),
    schema: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    seed: int = 0,
) -> tuple[TableDataset, Findings]:
    """The table in a CSV or Parquet file, half to train and half held out, and what its check found.

    The rows come back as the audit reads them: numbers as numbers however they are written, all else
    as levels, and unknown values as missing. Identifiers, free text and empty columns are left out, since
    no generator here can make them.

    Args:
        label, sensitive, schema: as in `audit`.
        drop: columns to leave out from the start, such as one that names the rows.
        seed: of the shuffle before the table is halved.

    Raises:
        AuditError: for what cannot be audited, with what was wrong and what to do.

    >>> wages = [f"1.{100 + i},5" for i in range(58)] + ["?", "?"]
    >>> rows = {"Wage, EUR": wages, "job": list("abc") * 20, "customer_id": range(60)}
    >>> pd.DataFrame(rows).to_csv("staff.csv", sep=";", index=False)
    >>> table, found = own_table("staff.csv", label="job")
    >>> list(table.train), float(table.train["Wage, EUR"].min()) > 1000
    (['Wage, EUR', 'job'], True)
    """
    whole = read_table(Path(file))
    notes = list(whole.attrs.pop("reading", ()))
    if missing := sorted(set(drop) - set(whole)):
        raise AuditError(f"There is no column '{missing[0]}' to drop: {listed(list(whole))}.")
    whole = whole.drop(columns=list(drop))
    order = np.random.default_rng(seed).permutation(len(whole))
    whole = whole.iloc[order].reset_index(drop=True)
    half = len(whole) - len(whole) // 2
    train, held_out = whole.iloc[:half], whole.iloc[half:]
    tables = prepare(train, held_out, held_out, schema, label, None, list(sensitive))
    left_out = [column.name for column in tables.schema.columns if column.kind in UNCOMPARED]
    if left_out:
        notes.append(f"left out, since they are no numbers or levels: {listed(left_out)}")
    if many := [each for each in tables.values.values() if len(each.levels) > MOST_LEVELS]:
        told = listed([f"{each.name} ({len(each.levels):,})" for each in many])
        notes.append(
            f"so many levels that a generator can only repeat them; drop or coarsen: {told}"
        )
    findings = Findings(tuple(judge(tables.drafts)), tables.schema, tuple(notes), {})
    rows = pd.DataFrame(
        {n: _column(tables.values[n]) for n in map(str, whole) if n in tables.values}
    )
    parts = rows.iloc[:half], rows.iloc[half:].reset_index(drop=True)
    name = Path(file).stem
    return TableDataset(name, *parts, label, tuple(sensitive), tuple(notes)), findings


def _column(values: Values) -> pd.Series:
    """A column's real values, missing ones as NaN; whole numbers as integers."""
    if not values.is_number:
        levels = np.array([*values.levels, None], dtype=object)  # -1, missing, is the last one
        return pd.Series(levels[values.real])
    whole = present(values.real).all() and (values.real == np.round(values.real)).all()
    return pd.Series(values.real.astype(np.int64) if whole else values.real)
