"""Tables made comparable: one set of columns, numbers as floats, categories as codes."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, pairwise, product

import numpy as np
import pandas as pd

from course_lib.audit.alike import folded, is_text, level_name, same_levels
from course_lib.audit.finding import Draft, stated
from course_lib.audit.schema import GIVEN, AuditError, Column, Schema, given, infer, listed
from course_lib.audit.tally import Questions, RowHashes, RowTally, SumTally, Tally, hashes_of
from course_lib.audit.values import (
    MOST_BINS,
    Values,
    date_parts,
    present,
    read_column,
    shared_width,
)

LEAST_ROWS = 10
FEW_PEOPLE = 5  # real rows that a value must have to be shown, where rows are hidden
LEAST_SHARE = 0.001  # of all rows, that a group needs, so that there are not thousands of them


@dataclass(frozen=True)
class Target:
    """The column that is to be predicted.

    Attributes:
        positive: its level that counts; None for a number, whose upper half counts.
    """

    column: Values
    positive: str | None

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def kind(self) -> str:
        """What a model of it predicts: "number", "binary" or "multiclass"."""
        if self.column.is_number:
            return "number"
        return "binary" if self.column.known == 2 else "multiclass"

    @property
    def other_classes(self) -> "list[Target]":
        """Of a label with more than two levels: the same with each other level as the positive one."""
        if self.kind != "multiclass":
            return []
        levels = self.column.levels[: self.column.known]
        return [Target(self.column, level) for level in levels if level != self.positive]

    @cached_property
    def outcome(self) -> tuple[np.ndarray, np.ndarray]:
        """1 where the label is positive, 0 where not, NaN where missing: real and synthetic."""
        return self.outcome_of(self.column.real), self.outcome_of(self.column.synthetic)

    def outcome_of(self, values: np.ndarray) -> np.ndarray:
        """The same of other values of its column (n,)."""
        if self.positive is None:
            return np.where(np.isfinite(values), values > self.median, np.nan)
        code = self.column.levels.index(self.positive)
        return np.where(values >= 0, values == code, np.nan)

    def bare(self) -> "Target":
        """The same without rows."""
        empty = replace(self, column=self.column.bare())
        if self.positive is None:
            empty.__dict__["median"] = self.median  # a cached property
        return empty

    @cached_property
    def median(self) -> float:
        """Of a number: above it is the positive side."""
        return float(self.column.quantiles.at([0.5])[0])

    @property
    def outcome_name(self) -> str:
        """How the positive side reads in a sentence."""
        if self.positive is None:
            return f"{self.name} above its median"
        return f"{self.name} = {self.positive}"


@dataclass(frozen=True)
class Level:
    """One level of a sensitive column: a code, what lies between two numbers, or what is missing."""

    column: str
    name: str
    code: int | None = None
    low: float = -np.inf
    high: float = np.inf
    is_missing: bool = False

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which of the column's values (n,) have it, bool (n,).

        >>> Level("age", "age < 3", high=3).holds(np.array([1.0, 3.0, np.nan])).tolist()
        [True, False, False]
        """
        if self.is_missing:
            return ~present(values)
        if self.code is not None:
            return np.asarray(values == self.code)
        return np.asarray((values >= self.low) & (values < self.high))


@dataclass(frozen=True)
class Group:
    """Rows of one level of a sensitive column, or of one level of each of several.

    Attributes:
        levels: one, two or three. real, synthetic: which rows belong to it, bool (n,).
    """

    levels: tuple[Level, ...]
    real: np.ndarray
    synthetic: np.ndarray

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(level.column for level in self.levels)

    def holds(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which rows (n,) of these columns belong to it, bool (n,)."""
        masks = [level.holds(columns[level.column]) for level in self.levels]
        return np.asarray(np.all(masks, axis=0))

    def is_large(self, least_people: int = 1) -> bool:
        """Whether it has rows enough, of both kinds together, to be compared, and real ones to be shown."""
        rows = len(self.real) + len(self.synthetic)
        least = max(LEAST_ROWS, LEAST_SHARE * rows)
        enough = self.real.sum() + self.synthetic.sum() >= least
        return bool(enough and self.real.sum() >= least_people)


@dataclass(frozen=True)
class Tables:
    """The three tables, brought to one form.

    Attributes:
        train, holdout, synthetic: the tables as given, reduced to the columns that all have.
        values: each column that is compared, by name.
        schema: what each column was read as.
        target: the column to be predicted, if one was named.
        sensitive: columns whose groups are compared.
        drafts: findings about the structure, made on the way.
        least_people: real rows that a value, a level or a group must have to be shown.
        sums, hashes: counts and hashes of all rows, where the tables are a sample of them.
        bands: of a sensitive number, where its groups begin and end; without it they are its quarters.
        groups_of: how many sensitive columns are combined at most.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    values: Mapping[str, Values]
    schema: Schema
    target: Target | None = None
    sensitive: tuple[str, ...] = ()
    drafts: tuple[Draft, ...] = ()
    least_people: int = 1
    sums: SumTally | None = None
    hashes: RowHashes | None = None
    bands: Mapping[str, Sequence[float]] = field(default_factory=dict)
    groups_of: int = 2

    @cached_property
    def questions(self) -> Questions:
        """What the checks count of the rows."""
        target = self.target
        targets = () if target is None else (target, *target.other_classes)
        return Questions(self.values, self.groups, targets)

    @cached_property
    def tally(self) -> Tally:
        """How many rows there are of each sort: those here, or the many of which they are a sample."""
        return self.sums or RowTally(self.questions, self.n_train)

    @property
    def n_train(self) -> int:
        return len(self.train)

    @property
    def n_real(self) -> int:
        return len(self.train) + len(self.holdout)

    @cached_property
    def groups(self) -> dict[str, Group]:
        """Each group of each sensitive column and of their pairs, by name, that has rows enough.

        A number is cut into its bands or its quarters first. Missing is a group of its own.
        """
        return {
            name: group
            for name, group in self._all_groups.items()
            if group.is_large(self.least_people)
        }

    @cached_property
    def small_groups(self) -> dict[tuple[str, ...], list[str]]:
        """The groups that are too small to be compared, by their columns; each with its real rows.

        Those with fewer than `least_people` are only counted.
        """
        small: dict[tuple[str, ...], list[str]] = {}
        hidden: Counter[tuple[str, ...]] = Counter()
        for name, group in self._all_groups.items():
            if group.is_large(self.least_people):
                continue
            if group.real.sum() < self.least_people:
                hidden[group.columns] += 1
            else:
                small.setdefault(group.columns, []).append(f"{name} ({group.real.sum():,})")
        for columns, number in hidden.items():
            told = f"{number:,} of fewer than {self.least_people} people"
            small.setdefault(columns, []).append(told)
        return small

    @cached_property
    def _all_groups(self) -> dict[str, Group]:
        single: dict[str, list[Group]] = {}
        for name in self.sensitive:
            column = self.values[name]
            single[name] = [
                Group((level,), real, level.holds(column.synthetic))
                for level in _levels_of(column, self.bands.get(name))
                if (real := level.holds(column.real)).any()
            ]
        groups = {group.levels[0].name: group for own in single.values() for group in own}
        for number in range(2, self.groups_of + 1):
            for names in combinations(self.sensitive, number):
                large = ([group for group in single[name] if group.is_large()] for name in names)
                for members in product(*large):
                    real = np.logical_and.reduce([group.real for group in members])
                    if real.any():
                        levels = tuple(group.levels[0] for group in members)
                        made = np.logical_and.reduce([group.synthetic for group in members])
                        name = " & ".join(level.name for level in levels)
                        groups[name] = Group(levels, real, made)
        return groups

    @cached_property
    def row_hashes(self) -> RowHashes:
        """A number to each row, equal for rows of equal values."""
        if self.hashes is not None:
            return self.hashes
        real = hashes_of({name: each.real for name, each in self.values.items()})
        made = hashes_of({name: each.synthetic for name, each in self.values.items()})
        train, holdout = np.split(real, [self.n_train])
        return RowHashes(train, holdout, made)

    @cached_property
    def features(self) -> list[str]:
        """The columns that a model may learn from: all but the label."""
        return [name for name in self.values if self.target is None or name != self.target.name]


def _levels_of(column: Values, bands: Sequence[float] | None = None) -> Iterator[Level]:
    """Each level of a column that real data have, a number's bands or quarters, and what is missing."""
    name = column.name
    if column.is_number:
        edges = np.unique(column.quantiles.at([0.25, 0.5, 0.75]) if bands is None else bands)
        for low, high in pairwise([-np.inf, *edges, np.inf]):
            told = (
                f"{name} < {high:g}"
                if low == -np.inf
                else f"{name} >= {low:g}"
                if high == np.inf
                else f"{low:g} <= {name} < {high:g}"
            )
            yield Level(name, told, low=float(low), high=float(high))
    else:
        for code in range(column.known or 0):
            yield Level(name, f"{name} = {column.levels[code]}", code)
    yield Level(name, f"{name} is missing", is_missing=True)


def prepare(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema | Mapping[str, str] | None = None,
    label: str | None = None,
    positive: object = None,
    sensitive: Sequence[str] = (),
    least_people: int = 1,
    bands: Mapping[str, Sequence[float]] | None = None,
    groups_of: int = 2,
) -> Tables:
    """Check the three tables and bring them to one form; the arguments are those of `audit`.

    Args:
        least_people: real rows that a value must have to be shown; above 1 also without examples.

    Raises:
        AuditError: for what leaves nothing to audit; everything else becomes a finding.

    >>> table = pd.DataFrame({"sex": list("fm") * 20, "age": range(40)})
    >>> prepare(table, table, table, sensitive=["sex"]).groups.keys()
    dict_keys(['sex = f', 'sex = m'])
    """
    parts = {"real training": train, "real holdout": holdout, "synthetic": synthetic}
    train, holdout, synthetic = (_named(part, table) for part, table in parts.items())
    names = {
        part: list(table.columns)
        for part, table in zip(parts, (train, holdout, synthetic), strict=True)
    }
    common = [name for name in train.columns if name in holdout.columns]
    drafts = _file_drafts(parts) + _column_drafts(train, holdout, synthetic)
    shared = [name for name in common if name in synthetic.columns]
    if not shared:
        raise AuditError(
            "The real and the synthetic data have no column in common. Real: "
            f"{listed(common)}; synthetic: {listed(list(synthetic.columns))}. Are the first lines of "
            "both files column names?"
        )
    train, holdout, synthetic = train[shared], holdout[shared], synthetic[shared]
    real = pd.concat([train, holdout], ignore_index=True)
    split = len(train)
    found = _with_codes(
        infer(real, split) if schema is None else given(schema, real, split), real, synthetic
    )
    for name in (*([label] if label else ()), *sensitive):
        if name not in shared:
            lacking = [part for part, columns in names.items() if name not in columns]
            where = "real" if len(lacking) > 1 else lacking[0]
            raise AuditError(
                f"There is no column '{name}' in the {where} data. The columns in common are: "
                f"{listed(shared)}."
            )
    values: dict[str, Values] = {}
    bins = bins_for(len(real), len(synthetic))
    for column in found.columns:
        column_drafts, each = read_column(column, real[column.name], synthetic[column.name])
        drafts += column_drafts
        if each is not None:
            values[column.name] = replace(each, bins=bins)
            if column.kind == "date":
                values |= {part.name: part for part in date_parts(each) if part.name not in shared}
    for name in (*([label] if label else ()), *sensitive):
        if name not in values:
            kind = found.kinds()[name]
            raise AuditError(
                f"Column '{name}' is of kind '{kind}', which cannot be a label or a sensitive "
                f"column. If it is one, say so: schema={{'{name}': 'category'}}, or on the command line "
                f"--schema {name}=category."
            )
    if not values:
        raise AuditError(
            f"No column can be compared: {listed(shared)} are empty, identifiers or free text."
        )
    if groups_of not in (1, 2, 3):
        raise AuditError(f"groups_of={groups_of}: combine 1, 2 or 3 sensitive columns.")
    own = {str(name): tuple(edges) for name, edges in (bands or {}).items()}
    _check_bands(own, sensitive, values)
    target = Target(values[label], positive_level(values[label], positive)) if label else None
    if least_people > 1:
        found = Schema(tuple(replace(each, note=_plain(each.note)) for each in found.columns))
        drafts = [
            replace(each, finding=replace(each.finding, method=_plain(each.finding.method)))
            for each in drafts
        ]
    return Tables(
        train,
        holdout,
        synthetic,
        values,
        found,
        target,
        tuple(sensitive),
        tuple(drafts),
        least_people,
        bands=own,
        groups_of=groups_of,
    )


def _check_bands(
    bands: Mapping[str, Sequence[float]], sensitive: Sequence[str], values: Mapping[str, Values]
) -> None:
    """Raises AuditError where bands are not of a sensitive number, do not rise, or cut nothing."""
    for name, edges in bands.items():
        if name not in sensitive:
            raise AuditError(
                f"bands of '{name}': it is not one of the sensitive columns. Name it among them, too."
            )
        if not values[name].is_number:
            raise AuditError(
                f"bands of '{name}': it is a {values[name].kind}, and has levels already."
            )
        told = ", ".join(f"{edge:g}" for edge in edges) or "none"
        rise = len(edges) > 0 and all(one < two for one, two in pairwise(edges))
        if not rise or not np.isfinite(np.asarray(edges, float)).all():
            raise AuditError(
                f"bands of '{name}': {told}. They must be numbers that rise, such as 18, 30, 65."
            )
        least, most = values[name].quantiles.at([0.0, 1.0])
        if not any(least < edge <= most for edge in edges):
            raise AuditError(
                f"bands of '{name}': {told}. All real rows lie on one side, since its values go from "
                f"{least:g} to {most:g}: name a number between them."
            )


def _plain(text: str) -> str:
    """A sentence without the value that it gives as an example."""
    return re.sub(r",? ?\bsuch as ('.*'|.*$)", "", text)


def _named(part: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table with names that are strings. Raises AuditError for what is not a table."""
    if not isinstance(table, pd.DataFrame):
        raise AuditError(
            f"The {part} data must be a pandas DataFrame like the others; got "
            f"{type(table).__name__}. Features and images as arrays are audited by `audit_arrays`."
        )
    if isinstance(table.columns, pd.MultiIndex):
        raise AuditError(
            f"The {part} data have {table.columns.nlevels} rows of column names. Join them to one: "
            "table.columns = ['_'.join(map(str, name)) for name in table.columns]."
        )
    table = comparable(table)
    if twice := table.columns[table.columns.duplicated()].unique().tolist():
        raise AuditError(
            f"The {part} data have more than one column named {listed(twice)}. Rename or drop one: "
            "the audit cannot know which one you mean."
        )
    if table.shape[1] == 0 or len(table) == 0:
        raise AuditError(f"The {part} data are empty: {len(table)} rows, {table.shape[1]} columns.")
    if len(table) < LEAST_ROWS:
        raise AuditError(
            f"The {part} data have {len(table)} row{'s' * (len(table) > 1)}; an audit needs at "
            f"least {LEAST_ROWS}."
        )
    return table


def comparable(table: pd.DataFrame) -> pd.DataFrame:
    """The table with names that are strings, and Arrow's lists and records as objects that can be compared.

    >>> comparable(pd.DataFrame({3: [0.5]})).columns.tolist()
    ['3']
    """
    if isinstance(table.columns, pd.MultiIndex):
        return table  # refused in words
    if not all(isinstance(name, str) for name in table.columns):
        table = table.set_axis([str(name) for name in table.columns], axis=1)
    nested = [name for name, kind in table.dtypes.items() if _is_nested(kind)]
    if table.columns.is_unique:
        words = {name: table[name] for name in table.columns if table[name].dtype == object}
        table = table.assign(
            **{
                str(name): values.map(level_name, na_action="ignore")
                for name, values in words.items()
                if pd.api.types.infer_dtype(values, skipna=True) == "bytes"
            }
        )
    if nested and table.columns.is_unique:
        table = table.astype(dict.fromkeys(nested, object))
    return table


def _is_nested(kind: object) -> bool:
    arrow = getattr(kind, "pyarrow_dtype", None)
    return arrow is not None and getattr(arrow, "num_fields", 0) > 0


def _file_drafts(parts: Mapping[str, pd.DataFrame]) -> list[Draft]:
    """What `files.read_table` noticed while it read a table."""
    noticed = {part: table.attrs.get("reading", ()) for part, table in parts.items()}
    return [
        stated("file_read", part, "pass", "; ".join(sentences))
        for part, sentences in noticed.items()
        if sentences
    ]


def _column_drafts(
    train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame
) -> list[Draft]:
    real, made = list(train.columns), list(synthetic.columns)
    drafts = []
    for name in real:
        if name not in made:
            told = f"the synthetic data lack this column{_like(name, made)}"
            drafts.append(stated("column_missing", name, "fail", told, [name]))
    for name in made:
        if name not in real and name not in holdout.columns:
            told = f"only the synthetic data have this column{_like(name, real)}"
            drafts.append(stated("column_new", name, "warn", told, [name]))
    for name in sorted(set(real) ^ set(holdout.columns)):
        part, other = ("holdout", holdout) if name in real else ("training", train)
        told = f"the {part} data lack this column, so that it is not audited"
        told += _like(name, list(other.columns))
        drafts.append(stated("column_missing", f"{name}, {part}", "warn", told, [name]))
    return drafts


def _like(name: str, others: Sequence[str]) -> str:
    """Of a name that others lack, the one among them that differs by case, spaces or the like, in words."""
    near = next((other for other in others if folded(other) == folded(name)), None)
    return "" if near is None else f"; '{near}' may be the same: give both one name"


def _with_codes(schema: Schema, real: pd.DataFrame, synthetic: pd.DataFrame) -> Schema:
    """The schema, with the codes whose leading zeros only the synthetic file has kept."""
    return Schema(
        tuple(_with_zeros(each, real[each.name], synthetic[each.name]) for each in schema.columns)
    )


def _with_zeros(column: Column, real: pd.Series, synthetic: pd.Series) -> Column:
    if column.kind != "number" or column.note == GIVEN or is_text(real) or not is_text(synthetic):
        return column
    if not pd.api.types.is_numeric_dtype(real):
        return column
    words = [
        pd.Series(side.dropna().unique()).astype(str).str.strip().str.removesuffix(".0")
        for side in (real, synthetic)
    ]
    width = shared_width(*words)
    note = f"codes of {width} digits, whose leading zeros only the synthetic data have"
    return replace(column, kind="category", note=note) if width else column


def bins_for(real: int, synthetic: int) -> int:
    """Into how many bins a number is cut, so that about 20 rows are in a cell of a pair.

    >>> bins_for(100, 100), bins_for(1_000, 5_000), bins_for(10**6, 10**6)
    (3, 7, 10)
    """
    return int(np.clip(np.sqrt(min(real, synthetic) / 20), 3, MOST_BINS))


def positive_level(column: Values, positive: object) -> str | None:
    """The level of the label that counts as positive, or None for a number.

    Raises:
        AuditError: if `positive` is not a level of the label.

    >>> positive_level(Values("paid", "category", np.zeros(1), np.zeros(1), ("no", "yes"), 2), None)
    'yes'
    """
    if column.is_number:
        if positive is not None:
            raise AuditError(
                f"positive={positive!r} was given, but the label '{column.name}' is a number: its "
                "upper half is what counts as positive."
            )
        return None
    levels = column.levels[: column.known]
    if positive is None:
        common = {"true", "yes", "1", "y", "positive", "approved", "good"}
        named = [level for level in levels if str(level).lower() in common]
        return named[0] if named else levels[-1]
    asked = level_name(positive)
    if asked not in levels:
        near = [level for level in levels if folded(level) == folded(asked)]
        asked = near[0] if len(near) == 1 else same_levels(levels, [asked]).get(asked, asked)
    if asked not in levels:
        raise AuditError(
            f"positive={positive!r} is not a level of the label '{column.name}', whose levels are "
            f"{listed(levels)}."
        )
    return asked
