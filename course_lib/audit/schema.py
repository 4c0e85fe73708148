"""What each column of a table is, inferred from the real data or given."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

KINDS = {
    "number": "a quantity, compared by its distribution",
    "category": "one of a few levels, compared by their shares",
    "date": "a point in time, compared as a number of days",
    "text": "free text, checked only for copies",
    "identifier": "a different name or number in each row, checked only for copies",
    "empty": "no values in the real data",
}
FEW = 12  # a numeric column with so many values at most is compared level by level
SAMPLE = 20_000  # rows from which strings are recognised


class AuditError(ValueError):
    """What was given cannot be audited; the message says why, where, and what to do."""


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    note: str = ""


@dataclass(frozen=True)
class Schema:
    """The columns of a table and their kinds; prints as a list."""

    columns: tuple[Column, ...]

    def __str__(self) -> str:
        width = max((len(column.name) for column in self.columns), default=0)
        lines = [
            f"  {column.name:<{width}}  {column.kind:<10}  {column.note}".rstrip()
            for column in self.columns
        ]
        return "\n".join(["Schema (pass `schema=` to change it):", *lines])

    def kinds(self) -> dict[str, str]:
        """Column name to kind."""
        return {column.name: column.kind for column in self.columns}


def infer(table: pd.DataFrame) -> Schema:
    """The kind of each column of a table of real data, judged from its values.

    Numbers with at most 12 distinct values count as categories; whole numbers or words that never
    repeat as identifiers; strings of which 95 % read as numbers or as dates as those.

    >>> infer(pd.DataFrame({"sex": list("fm") * 20, "height": np.linspace(1.5, 2, 40)})).kinds()
    {'sex': 'category', 'height': 'number'}
    """
    return Schema(tuple(_column(str(name), table[name]) for name in table.columns))


def given(kinds: "Schema | Mapping[str, str]", table: pd.DataFrame) -> Schema:
    """`kinds` where it names a column, inference for the rest. Raises AuditError if it is wrong.

    >>> given({"zip": "category"}, pd.DataFrame({"zip": range(100, 200)})).kinds()
    {'zip': 'category'}
    """
    asked = kinds.kinds() if isinstance(kinds, Schema) else dict(kinds)
    inferred = infer(table)
    if unknown := [name for name in asked if name not in inferred.kinds()]:
        raise AuditError(
            f"The schema names {listed(unknown)}, which the real data do not have. Their columns "
            f"are: {listed(inferred.kinds())}."
        )
    if wrong := {name: kind for name, kind in asked.items() if kind not in KINDS}:
        name, kind = next(iter(wrong.items()))
        raise AuditError(
            f"The schema calls column '{name}' a '{kind}'; the kinds are {listed(KINDS)}."
        )
    return Schema(
        tuple(
            Column(column.name, asked[column.name], "as given") if column.name in asked else column
            for column in inferred.columns
        )
    )


def listed(names: Iterable[object], most: int = 8) -> str:
    """Names in quotation marks, the first few of a long list.

    >>> listed(["sex", "age", "income"], most=2)
    "'sex', 'age' and 1 more"
    """
    quoted = [f"'{name}'" for name in names]
    more = len(quoted) - most
    return ", ".join(quoted[:most]) + (f" and {more} more" if more > 0 else "")


def _column(name: str, values: pd.Series) -> Column:
    present = values.dropna()
    if pd.api.types.is_float_dtype(present):
        present = present[np.isfinite(present)]
    if present.empty:
        return Column(name, "empty", "all missing")
    distinct = present.nunique()
    if distinct == 1:
        return Column(name, "category", "constant")
    if isinstance(values.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(values):
        return Column(name, "category", f"{distinct} levels")
    if pd.api.types.is_datetime64_any_dtype(values):
        return Column(name, "date")
    if pd.api.types.is_numeric_dtype(values):
        return _numbers(name, present.to_numpy(float), distinct)
    return _strings(name, present, distinct)


def _numbers(name: str, values: np.ndarray, distinct: int) -> Column:
    whole = bool((values == np.round(values)).all())
    if distinct <= FEW:
        return Column(name, "category", f"{distinct} levels, numbers")
    steps = np.diff(values)
    counts_up = whole and distinct == len(values) and len(values) > 20
    if counts_up and ((steps > 0).all() or name.lower().endswith("id")):
        return Column(name, "identifier", "never repeats")
    return Column(name, "number", "whole numbers" if whole else "")


def _strings(name: str, present: pd.Series, distinct: int) -> Column:
    words = present.iloc[:: max(len(present) // SAMPLE, 1)].astype(str).str.strip().value_counts()
    levels, rows = words.index.to_series(), words.to_numpy()

    def share(holds: pd.Series) -> float:
        return float(rows[holds.to_numpy()].sum() / rows.sum())

    if share(pd.to_numeric(levels, errors="coerce").notna()) >= 0.95:
        if distinct <= FEW:
            return Column(name, "category", f"{distinct} levels, numbers")
        return Column(name, "number", "written as text")
    dated = share(levels.str.contains(r"\d{1,4}[-/.:]\d{1,2}", regex=True)) >= 0.95
    if dated and share(as_dates(levels).notna()) >= 0.95:
        return Column(name, "date", "written as text")
    repeats = distinct / len(present)
    if repeats > 0.5 and len(present) > 20:
        if levels.str.contains(" ").mean() > 0.5:
            return Column(name, "text")
        if repeats > 0.95:
            return Column(name, "identifier", "never or hardly ever repeats")
    return Column(name, "category", f"{distinct} levels")


def as_dates(values: pd.Series) -> pd.Series:
    """Strings or timestamps as timestamps, NaT where they are none.

    >>> as_dates(pd.Series(["2020-01-31", "soon"])).isna().tolist()
    [False, True]
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on formats that pandas has to guess for each value
        return pd.to_datetime(values, errors="coerce", utc=True, format="mixed")
