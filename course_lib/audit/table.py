"""Tables made comparable: one set of columns, numbers as floats, categories as codes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from course_lib.audit.finding import Draft, stated
from course_lib.audit.schema import AuditError, Schema, as_dates, given, infer, listed

MISSING = -1
MOST_BINS = 10  # of a number, in pairs
TOP = 10  # levels of a category, in pairs; the rest count together
LEAST_ROWS = 10
MOST_GROUPS = 60


@dataclass
class Values:
    """One column of the real rows (training rows first) and of the synthetic ones.

    Attributes:
        real, synthetic: floats with NaN where missing, or codes of `levels` with -1.
        levels: of a category: the real data's, in order, then what only the synthetic data have.
        known: how many of the levels the real data have; None for a number or a date.
        bins: into how many a number is cut for counting pairs.
    """

    name: str
    kind: str
    real: np.ndarray
    synthetic: np.ndarray
    levels: tuple[str, ...] = ()
    known: int | None = None
    bins: int = MOST_BINS

    @property
    def is_number(self) -> bool:
        return self.known is None

    @property
    def by_count(self) -> np.ndarray:
        """Codes of a category's levels in the real data, the most common first."""
        if self.known is None:
            raise TypeError(f"{self.name} is a number: it has no levels.")
        return np.argsort(-np.bincount(self.real[self.real >= 0], minlength=self.known))

    @cached_property
    def edges(self) -> np.ndarray:
        """Inner edges of a number's bins, at the real data's quantiles; the outer bins are open."""
        finite = self.real[np.isfinite(self.real)]
        at = np.quantile(finite, np.linspace(0, 1, self.bins + 1)[1:-1], method="lower")
        # A value that fills a bin by itself, such as a gain of zero, gets one of its own, and what
        # is left is halved.
        common = np.unique(at[1:][np.diff(at) == 0])
        if len(common):
            others = finite[~np.isin(finite, common)]
            halves = np.quantile(others, 0.5, method="lower") if len(others) else common[0]
            at = np.concatenate([at, np.nextafter(common, np.inf), [halves]])
        return np.unique(at[at > finite.min()])

    @cached_property
    def coarse(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Codes of at most a dozen cells for the real and the synthetic rows, and their number."""
        if self.is_number:
            cells = len(self.edges) + 2  # the last one for missing values

            def code(values: np.ndarray) -> np.ndarray:
                codes = np.zeros(len(values), np.uint8)
                for edge in self.edges:  # few of them: five times faster than a binary search
                    codes += values >= edge
                codes[~np.isfinite(values)] = cells - 1
                return codes

        else:
            # The most common levels; then the other ones, the invented ones, and missing values.
            top = self.by_count[:TOP]
            cells = len(top) + 3
            to = np.full(len(self.levels) + 1, len(top), np.uint8)
            to[self.known : -1] = len(top) + 1
            to[top] = np.arange(len(top))
            to[-1] = cells - 1

            def code(values: np.ndarray) -> np.ndarray:
                codes: np.ndarray = to[values]  # -1, missing, is the last entry
                return codes

        return code(self.real), code(self.synthetic), cells


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

    @cached_property
    def outcome(self) -> tuple[np.ndarray, np.ndarray]:
        """1 where the label is positive, 0 where not, NaN where missing: real and synthetic."""
        column = self.column

        def positive(values: np.ndarray) -> np.ndarray:
            if self.positive is None:
                middle = np.nanmedian(column.real)
                return np.where(np.isfinite(values), values > middle, np.nan)
            code = column.levels.index(self.positive)
            return np.where(values >= 0, values == code, np.nan)

        return positive(column.real), positive(column.synthetic)

    @property
    def outcome_name(self) -> str:
        """How the positive side reads in a sentence."""
        if self.positive is None:
            return f"{self.name} above its median"
        return f"{self.name} = {self.positive}"


class Group(NamedTuple):
    """Rows of one level of a sensitive column, or of one level of each of two.

    Attributes:
        columns: one or two names. real, synthetic: which rows belong to it, bool (n,).
    """

    columns: tuple[str, ...]
    real: np.ndarray
    synthetic: np.ndarray


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
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    values: Mapping[str, Values]
    schema: Schema
    target: Target | None = None
    sensitive: tuple[str, ...] = ()
    drafts: tuple[Draft, ...] = ()

    @property
    def n_train(self) -> int:
        return len(self.train)

    @property
    def n_real(self) -> int:
        return len(self.train) + len(self.holdout)

    @cached_property
    def groups(self) -> dict[str, Group]:
        """Each group of each sensitive column and of their pairs, by name.

        A number is cut into its quarters first.
        """
        groups: dict[str, Group] = {}
        single: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
        for name in self.sensitive:
            single[name] = {
                label: (real, synthetic) for label, real, synthetic in _levels_of(self.values[name])
            }
            for label, (real, synthetic) in single[name].items():
                groups[label] = Group((name,), real, synthetic)
        for one, two in combinations(self.sensitive, 2):
            for label_one, (real_one, synthetic_one) in single[one].items():
                for label_two, (real_two, synthetic_two) in single[two].items():
                    if len(groups) >= MOST_GROUPS:
                        return groups
                    real = real_one & real_two
                    if real.any():
                        groups[f"{label_one} & {label_two}"] = Group(
                            (one, two),
                            real,
                            synthetic_one & synthetic_two,
                        )
        return groups

    @cached_property
    def features(self) -> list[str]:
        """The columns that a model may learn from: all but the label."""
        return [name for name in self.values if self.target is None or name != self.target.name]


def _levels_of(column: Values) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Label and masks of each level of a column that real data have."""
    if column.is_number:
        finite = column.real[np.isfinite(column.real)]
        edges = np.unique(np.quantile(finite, [0.25, 0.5, 0.75]))
        bounds = [-np.inf, *edges, np.inf]
        for low, high in pairwise(bounds):
            name = (
                f"{column.name} < {high:g}"
                if low == -np.inf
                else f"{column.name} >= {low:g}"
                if high == np.inf
                else f"{low:g} <= {column.name} < {high:g}"
            )
            real = (column.real >= low) & (column.real < high)
            if real.any():
                yield name, real, (column.synthetic >= low) & (column.synthetic < high)
    else:
        for code in sorted(column.by_count[:TOP]):
            yield (
                f"{column.name} = {column.levels[code]}",
                column.real == code,
                column.synthetic == code,
            )


def prepare(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema | Mapping[str, str] | None = None,
    label: str | None = None,
    positive: object = None,
    sensitive: Sequence[str] = (),
) -> Tables:
    """Check the three tables and bring them to one form; the arguments are those of `audit`.

    Raises:
        AuditError: for what leaves nothing to audit; everything else becomes a finding.

    >>> table = pd.DataFrame({"sex": list("fm") * 20, "age": range(40)})
    >>> prepare(table, table, table, sensitive=["sex"]).groups.keys()
    dict_keys(['sex = f', 'sex = m'])
    """
    parts = {"real training": train, "real holdout": holdout, "synthetic": synthetic}
    for part, table in parts.items():
        _check_shape(part, table)
    common = [name for name in train.columns if name in holdout.columns]
    drafts = _column_drafts(common, list(synthetic.columns))
    shared = [name for name in common if name in synthetic.columns]
    if not shared:
        raise AuditError(
            "The real and the synthetic data have no column in common. Real: "
            f"{listed(common)}; synthetic: {listed(list(synthetic.columns))}. Are the first lines of "
            "both files column names?"
        )
    train, holdout, synthetic = train[shared], holdout[shared], synthetic[shared]
    real = pd.concat([train, holdout], ignore_index=True)
    found = infer(real) if schema is None else given(schema, real)
    for name in (*([label] if label else ()), *sensitive):
        if name not in shared:
            where = "real" if name not in common else "synthetic"
            raise AuditError(
                f"There is no column '{name}' in the {where} data. The columns in common are: "
                f"{listed(shared)}."
            )
    values: dict[str, Values] = {}
    # About 20 rows to a cell of a pair, so that the counts can tell something.
    bins = int(np.clip(np.sqrt(min(len(real), len(synthetic)) / 20), 3, MOST_BINS))
    for column in found.columns:
        column_drafts, each = _values(
            column.name, column.kind, real[column.name], synthetic[column.name]
        )
        drafts += column_drafts
        if each is not None:
            values[column.name] = replace(each, bins=bins)
    for name in (*([label] if label else ()), *sensitive):
        if name not in values:
            kind = found.kinds()[name]
            raise AuditError(
                f"Column '{name}' is of kind '{kind}', which cannot be a label or a sensitive "
                f"column. If it is one, say so: schema={{'{name}': 'category'}}."
            )
    if not values:
        raise AuditError(
            f"No column can be compared: {listed(shared)} are empty, identifiers or free text."
        )
    target = Target(values[label], _positive(values[label], positive)) if label else None
    return Tables(train, holdout, synthetic, values, found, target, tuple(sensitive), tuple(drafts))


def _check_shape(part: str, table: pd.DataFrame) -> None:
    if not isinstance(table, pd.DataFrame):
        raise AuditError(
            f"The {part} data must be a pandas DataFrame like the others; got "
            f"{type(table).__name__}. Features and images as arrays are audited by `audit_arrays`."
        )
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


def _column_drafts(real: Sequence[str], synthetic: Sequence[str]) -> list[Draft]:
    drafts = [
        stated("column_missing", str(name), "fail", "the synthetic data lack this column", [name])
        for name in real
        if name not in synthetic
    ]
    drafts += [
        stated("column_new", str(name), "warn", "only the synthetic data have this column", [name])
        for name in synthetic
        if name not in real
    ]
    return drafts


def _values(
    name: str, kind: str, real: pd.Series, synthetic: pd.Series
) -> tuple[list[Draft], Values | None]:
    """Findings about one column, and its values in comparable form, or None."""
    if kind == "empty":
        told = "no values in the real data, so nothing to compare with"
        return [stated("empty", name, "warn", told, [name])], None
    if kind in ("text", "identifier"):
        return [], None
    drafts = []
    if kind == "category":
        column = _category(name, kind, real, synthetic)
        if len(column.levels) == 1:
            drafts.append(
                stated("constant", name, "pass", "one and the same value everywhere", [name])
            )
    else:
        numbers, real_drafts = _numbers(name, kind, real, "real")
        made, synthetic_drafts = _numbers(name, kind, synthetic, "synthetic")
        drafts += real_drafts + synthetic_drafts
        column = Values(name, kind, numbers, made)
        if not np.isfinite(numbers).any():
            told = "no readable values in the real data, so nothing to compare with"
            return [*drafts, stated("empty", name, "warn", told, [name])], None
    if not _present(column.synthetic).any():
        drafts.append(
            stated("empty", name, "fail", "no values at all in the synthetic data", [name])
        )
    return drafts, column


def _present(values: np.ndarray) -> np.ndarray:
    return np.isfinite(values) if values.dtype.kind == "f" else values >= 0


def _numbers(name: str, kind: str, values: pd.Series, part: str) -> tuple[np.ndarray, list[Draft]]:
    """Floats with NaN where missing, and findings about what is not a number."""
    if kind == "date":
        dates = as_dates(values)
        days = (dates - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta(days=1)
        number = days.to_numpy(float)
    elif pd.api.types.is_numeric_dtype(values):
        number = values.to_numpy(float, na_value=np.nan)
    else:
        number = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    drafts = []
    unreadable = np.isnan(number) & values.notna().to_numpy()
    if unreadable.any():
        example = values[unreadable].iloc[0]
        drafts.append(
            stated(
                "unreadable",
                f"{name}, {part}",
                "warn",
                f"{unreadable.sum():,} values cannot be read as a {kind}, such as '{example}'; "
                "counted as missing",
                [name],
                int(unreadable.sum()),
            )
        )
    if (infinite := np.isinf(number)).any():
        number = np.where(infinite, np.nan, number)
        told = f"{infinite.sum():,} values are infinite; counted as missing"
        drafts.append(
            stated("infinite", f"{name}, {part}", "warn", told, [name], int(infinite.sum()))
        )
    return number, drafts


def _category(name: str, kind: str, real: pd.Series, synthetic: pd.Series) -> Values:
    coded = [pd.factorize(values) for values in (real, synthetic)]
    named = [[_level(level) for level in levels] for _, levels in coded]
    known = sorted(set(named[0]), key=_sort_key)
    new = sorted(set(named[1]) - set(known), key=_sort_key)
    number = {level: code for code, level in enumerate([*known, *new])}
    real_codes, synthetic_codes = (
        np.array([*(number[level] for level in levels), MISSING], np.int32)[codes]
        for (codes, _), levels in zip(coded, named, strict=True)
    )
    return Values(name, kind, real_codes, synthetic_codes, tuple(number), len(known))


def _level(value: object) -> str:
    """A level's name, equal whatever file it came from: 1, 1.0 and "1" are one, True and "True"."""
    text = str(value).strip()
    if isinstance(value, bool | np.bool_):
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:.15g}" if np.isfinite(number) else text


def _sort_key(level: str) -> tuple[int, float, str]:
    try:
        return (0, float(level), level)
    except ValueError:
        return (1, 0.0, level)


def _positive(column: Values, positive: object) -> str | None:
    """The level of the label that counts as positive."""
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
    asked = _level(positive)
    if asked not in levels:
        raise AuditError(
            f"positive={positive!r} is not a level of the label '{column.name}', whose levels are "
            f"{listed(levels)}."
        )
    return asked
