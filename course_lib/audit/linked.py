"""Two linked tables, such as customers and their orders: audited across the join."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from course_lib.audit.checks.leaks import copied
from course_lib.audit.entry_points import audit
from course_lib.audit.evidence import Evidence
from course_lib.audit.files import PARQUET, read_table
from course_lib.audit.finding import Draft, Finding, stated
from course_lib.audit.report import AuditReport
from course_lib.audit.schema import UNCOMPARED, AuditError, infer, listed, names_a_key
from course_lib.audit.table import prepare

SAME = "any row"
OWNED = 0.99  # of its values must belong to one parent alone, for a column to hold codes
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
    return replace(report, findings=(*report.findings, *keys), about={**report.about, "link": key})


@dataclass(frozen=True)
class Link:
    """Which column of one table names a row of another one: orders.customer_id=customers.id.

    Attributes:
        children, foreign: the table whose rows are linked, and its column.
        parents, primary: the table that they belong to, and its column.
    """

    children: str
    foreign: str
    parents: str
    primary: str

    @classmethod
    def parse(cls, text: str) -> "Link":
        """A link as it is written. Raises AuditError.

        >>> Link.parse("orders.customer_id=customers.id").parents
        'customers'
        """
        sides = [side.strip().partition(".") for side in text.split("=")]
        if len(sides) != 2 or not all(table and column for table, _, column in sides):
            raise AuditError(
                f"--link '{text}' is not a link: it wants a column of the table whose rows are linked, and "
                "the column that they name, as in --link orders.customer_id=customers.id."
            )
        (children, _, foreign), (parents, _, primary) = sides
        if children == parents:
            raise AuditError(f"--link '{text}' links the table '{parents}' to itself.")
        return cls(children, foreign, parents, primary)

    @property
    def key(self) -> str:
        """What the column is called in both tables that `read` gives."""
        return self.foreign if self.foreign == self.primary else f"{self.parents}.{self.primary}"

    def files(self, folder: str | Path) -> dict[str, Path]:
        """The file of each of the two tables in a folder. Raises AuditError that says what is there."""
        folder = Path(folder)
        if not folder.is_dir():
            raise AuditError(
                f"With --link, {folder} must be a folder that holds the tables '{self.parents}' and "
                f"'{self.children}', as CSV or Parquet."
            )
        kinds = {".csv", ".tsv", ".txt", ".gz", *PARQUET}
        there = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in kinds]
        found = {}
        for table in (self.parents, self.children):
            files = [file for file in there if file.name.partition(".")[0] == table]
            if len(files) != 1:
                names = listed([file.name for file in files or there])
                told = (
                    f"more than one file of the table '{table}'" if files else f"no table '{table}'"
                )
                raise AuditError(f"{folder} has {told}. Its files are: {names or 'none'}.")
            found[table] = files[0]
        return found

    def read(self, folder: str | Path) -> Linked:
        """The two tables in a folder, the key with one name in both. Raises AuditError."""
        tables = []
        for name, file in self.files(folder).items():
            column = self.primary if name == self.parents else self.foreign
            table = read_table(file)
            if column not in table.columns:
                raise AuditError(
                    f"{file} has no column '{column}', which --link names. Its columns are: "
                    f"{listed(table.columns)}."
                )
            tables.append(table.rename(columns={column: self.key}))
        return tables[0], tables[1]


def without_identifiers(real: pd.DataFrame, *others: pd.DataFrame, key: str) -> list[pd.DataFrame]:
    """Linked rows without the columns that name each row, and other keys as text, judged from real rows.

    >>> lines = pd.DataFrame({"k": [1, 2] * 20, "line_id": range(40), "order_id": [*range(20)] * 2})
    >>> without_identifiers(lines, key="k")[0].columns.tolist()
    ['k', 'order_id']
    """
    kinds = infer(real.drop(columns=key)).kinds()
    left_out = [name for name, kind in kinds.items() if kind in ("identifier", "nested", "empty")]
    codes = [
        name
        for name in kinds
        if name not in left_out and (names_a_key(name) or _counts_within(real, name, key))
    ]
    tables = []
    for table in (real, *others):
        there = [name for name in codes if name in table.columns]
        text = {name: table[name].map(str, na_action="ignore") for name in there}
        tables.append(table.drop(columns=left_out, errors="ignore").assign(**text))
    return tables


def _counts_within(lines: pd.DataFrame, name: str, key: str) -> bool:
    """Whether whole numbers tell groups of lines of one parent apart, as the number of an order does."""
    if not pd.api.types.is_integer_dtype(lines[name]):
        return False
    parents = lines.groupby(name)[key].nunique()
    return len(parents) > len(lines) / 20 and bool((parents <= 1).mean() > OWNED)


def audit_folders(
    link: Link,
    real: str | Path,
    holdout: str | Path | None,
    synthetic: str | Path,
    **options: Any,
) -> AuditReport:
    """`audit_linked` of two tables in each of two or three folders.

    Args:
        options: of `audit`.

    Raises:
        AuditError: for what is not there, or cannot be audited.

    >>> from course_lib.datasets.shop import linked_tables
    >>> for folder, seed in (("real", 0), ("made", 1)):
    ...     Path(folder).mkdir()
    ...     for name, table in zip(("customers", "orders"), linked_tables(80, seed=seed)):
    ...         table.to_csv(f"{folder}/{name}.csv", index=False)
    >>> link = Link.parse("orders.customer=customers.customer")
    >>> audit_folders(link, "real", None, "made", progress=False)["foreign_key[customer]"].verdict
    'pass'
    """
    if options.get("entity"):
        raise AuditError(
            f"With --link each row of '{link.parents}' is one unit: leave --entity out."
        )
    folders = [real, *([holdout] if holdout else []), synthetic]
    parents, children = zip(*(link.read(folder) for folder in folders), strict=True)
    lines = without_identifiers(*children, key=link.key)
    parts = list(zip(parents, lines, strict=True))
    report = audit_linked(parts[0], parts[1] if holdout else None, parts[-1], link.key, **options)
    held_out = children[1] if holdout else None
    hidden = not options.get("list_rows", True)
    found = _copied_lines(children[0], held_out, children[-1], link, hidden)
    return replace(report, findings=(*report.findings, *found))


def _copied_lines(
    real: pd.DataFrame, holdout: pd.DataFrame | None, made: pd.DataFrame, link: Link, hidden: bool
) -> Iterator[Finding]:
    """People whose own linked rows came back, or what these hold: identifiers, texts, rare numbers.

    In the joined table only their means and counts are left.
    """
    kinds = {**infer(real).kinds(), link.key: "identifier"}
    known = len(real) if holdout is not None else len(real) // 2
    lines = real if holdout is None else pd.concat([real, holdout], ignore_index=True)
    shared = [name for name in lines.columns if name in made.columns]
    kinds = {name: kind for name, kind in kinds.items() if name in shared}
    if set(kinds.values()) <= set(
        UNCOMPARED
    ):  # a column that is the same everywhere can be compared
        lines, made = (table.assign(**{SAME: SAME}) for table in (lines, made))
        kinds[SAME] = "category"
        shared = [*shared, SAME]
    tables = prepare(lines[shared].iloc[:known], lines[shared].iloc[known:], made[shared], kinds)
    evidence = Evidence(tables, holdout_given=holdout is not None, list_rows=not hidden)
    persons, _ = pd.factorize(lines[link.key].astype(str))
    for draft in copied(evidence, persons, link.children):
        if draft.finding.columns != (link.key,):  # a key is checked where it is the parents' own
            yield draft.finding


def _keys(parents: pd.DataFrame, children: pd.DataFrame, key: str) -> Iterator[Draft]:
    repeated = int(parents[key].duplicated().sum())
    told = f"{repeated:,} of {len(parents):,} rows have a key that stands before them"
    yield stated("primary_key", key, "fail" if repeated else "pass", told, [key], len(parents))
    orphans = int((~children[key].isin(parents[key])).sum())
    told = f"{orphans:,} of {len(children):,} linked rows belong to none of the parents"
    yield stated("foreign_key", key, "fail" if orphans else "pass", told, [key], len(children))
