"""What every arriving table must keep: its columns, their kinds, ranges and levels."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from course_lib.pipeline.journal import PipelineError

if TYPE_CHECKING:
    import pandera.pandas as pa

KINDS = ("integer", "number", "category")
SHOWN = 3  # examples of a broken rule


def keeps_rule(
    values: np.ndarray,
    kind: str,
    least: float,
    most: float,
    levels: Sequence[str],
    missing: bool,
) -> np.ndarray:
    """Which values of a column keep its rule.

    Args:
        values: numbers (n,), or texts (n,) of a category. NaN, or "", where one is missing.
        kind: "integer", "number" or "category".
        least, most: the range of a number, both ends allowed.
        levels: the levels of a category.
        missing: whether a value may be missing.

    Returns:
        Booleans (n,).

    >>> keeps_rule(np.array([17.0, 17.5, np.nan, 91.0]), "integer", 17, 90, (), True)
    array([ True, False,  True, False])
    """
    if kind == "category":
        gone, good = values == "", np.isin(values, levels)
    else:
        gone, good = np.isnan(values), (values >= least) & (values <= most)
        if kind == "integer":
            good &= values % 1 == 0
    return np.where(gone, missing, good)


@dataclass(frozen=True)
class Rule:
    """What one column must keep. `least`, `most` belong to numbers and integers, `levels` to categories.

    `often` holds numbers that many rows have exactly, such as 0. It is no rule: a private generator, which
    takes nothing from the rows without paying, has to be told of them.
    """

    kind: str
    least: float | None = None
    most: float | None = None
    levels: tuple[str, ...] = ()
    missing: bool = False
    often: tuple[float, ...] = ()

    @property
    def numeric(self) -> bool:
        return self.kind != "category"


@dataclass(frozen=True)
class Contract:
    """The rules of all columns, the label, and the columns whose groups are watched apart."""

    columns: Mapping[str, Rule]
    label: str | None = None
    groups: tuple[str, ...] = ()

    def read(self, content: bytes) -> pd.DataFrame:
        """The table in a CSV file, each column as its rule says as far as that is possible.

        Raises:
            PipelineError: when it is not a table at all.
        """
        try:
            table = pd.read_csv(
                io.BytesIO(content), dtype=str, keep_default_na=False, na_values=[""]
            )
        except (ValueError, UnicodeDecodeError) as error:
            raise PipelineError(f"not a CSV file: {error}") from None
        for name in table.columns.intersection(list(self.columns)):
            if self.columns[name].numeric:
                values = pd.to_numeric(table[name].str.strip(), errors="coerce")
                if not (values.isna() & table[name].notna()).any():
                    table[name] = self._as_kind(values, self.columns[name])
            else:
                table[name] = table[name].str.strip().astype(object)
        return table

    def breaches(self, table: pd.DataFrame) -> list[str]:
        """Each rule that the table breaks, in words; none if it keeps the contract.

        Raises:
            PipelineError: where pandera is not installed.
        """
        try:
            from pandera.errors import SchemaErrors
        except ModuleNotFoundError:
            raise PipelineError(
                'pandera is missing. This installs it: pip install "course-lib[pipeline]"'
            ) from None
        if table.columns.has_duplicates:
            return ["a column stands in the table more than once"]
        try:
            self._schema().validate(table, lazy=True)
        except SchemaErrors as errors:
            return sorted(set(self._told(errors.failure_cases)))
        return []

    def kept(self, table: pd.DataFrame) -> pd.Series:
        """Which rows of a table with the contract's columns keep all rules."""
        good = np.ones(len(table), bool)
        for name, rule in self.columns.items():
            if rule.numeric:
                values = table[name].to_numpy(float, na_value=np.nan)
            else:
                values = table[name].astype(object).fillna("").to_numpy(str)
            least = -np.inf if rule.least is None else rule.least
            most = np.inf if rule.most is None else rule.most
            good &= keeps_rule(values, rule.kind, least, most, rule.levels, rule.missing)
        return pd.Series(good, table.index)

    def public_rows(self) -> pd.DataFrame:
        """Rows that show what the contract allows, and nothing of any person: evenly spaced numbers, and
        all levels. From such rows a private generator may take its cells."""
        columns: dict[str, pd.Series[Any]] = {}
        size = max([100, *(len(rule.levels) + 1 for rule in self.columns.values())])
        for name, rule in self.columns.items():
            values: pd.Series[Any]
            if rule.numeric:
                if rule.least is None or rule.most is None:
                    raise PipelineError(
                        f"A private generator needs min and max of the column '{name}'."
                    )
                values = pd.Series(np.linspace(rule.least, rule.most, size))
                if rule.kind == "integer":
                    values = values.round()
            else:
                values = pd.Series(
                    [rule.levels[i % len(rule.levels)] for i in range(size)], dtype=object
                )
            if rule.missing:
                values = values.mask(np.arange(size) == size - 1)
            columns[name] = self._as_kind(values, rule) if rule.numeric else values
        return pd.DataFrame(columns)

    @staticmethod
    def _as_kind(values: pd.Series, rule: Rule) -> pd.Series:
        whole = rule.kind == "integer" and not values.isna().any() and (values % 1 == 0).all()
        return values.astype("int64" if whole and not rule.missing else "float64")

    def _schema(self) -> "pa.DataFrameSchema":
        import pandera.pandas as pa

        columns = {}
        for name, rule in self.columns.items():
            checks = []
            if rule.least is not None:
                checks.append(pa.Check.ge(rule.least))
            if rule.most is not None:
                checks.append(pa.Check.le(rule.most))
            if rule.levels:
                checks.append(pa.Check.isin(list(rule.levels)))
            if rule.kind == "integer" and rule.missing:
                checks.append(pa.Check(lambda values: values % 1 == 0, error="whole"))
            kind = {"category": object, "number": float}.get(
                rule.kind, float if rule.missing else int
            )
            columns[name] = pa.Column(kind, checks, nullable=rule.missing)
        return pa.DataFrameSchema(columns, strict=True)

    def _told(self, cases: pd.DataFrame) -> Iterator[str]:
        for (column, check), some in cases.groupby(["column", "check"], dropna=False, sort=False):
            values = list(dict.fromkeys(map(str, some["failure_case"])))
            shown = ", ".join(values[:SHOWN]) + (", ..." if len(values) > SHOWN else "")
            if check == "column_in_dataframe":
                yield f"the column '{values[0]}' is missing"
            elif check == "column_in_schema":
                yield f"there is a column '{values[0]}' that the contract does not know"
            elif str(check).startswith("dtype"):
                yield f"{column}: not every value is of the kind '{self.columns[str(column)].kind}'"
            elif check == "not_nullable":
                yield f"{column}: {len(some):,} values are missing"
            else:
                yield f"{column}: {len(some):,} values break the rule {check}, such as {shown}"


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as the bytes of a CSV file, the same on every system."""
    return table.to_csv(index=False, lineterminator="\n").encode()
