"""How the columns of one batch become floats and codes, by what a sample of the whole table has shown."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import pandas as pd

from course_lib.audit.quantiles import Quantiles
from course_lib.audit.reading import PLAIN, DateOrder, NumberFormat
from course_lib.audit.schema import AuditError
from course_lib.audit.table import Tables
from course_lib.audit.values import (
    DATE_PARTS,
    MISSING,
    Values,
    date_orders,
    date_part_codes,
    days_of,
    number_formats,
    numbers_of,
    read_levels,
)

MOST_LEVELS = 1_000_000  # of a category, in both tables together


@dataclass(frozen=True)
class ColumnCoding:
    """How one column of one file is read.

    Attributes:
        kind: "number", "date" or "category".
        written, order: of numbers, and of dates.
        codes: of a category: the code of each level as text; empty before all levels are known.
    """

    name: str
    kind: str
    written: NumberFormat = PLAIN
    order: DateOrder | None = None
    codes: Mapping[str, int] = field(default_factory=dict)

    def read(self, values: pd.Series) -> np.ndarray:
        """Values (n,) as floats with NaN where missing, or as codes with -1.

        >>> ColumnCoding("sex", "category", codes={"f": 0}).read(pd.Series(["f", None])).tolist()
        [0, -1]
        """
        if self.kind == "category":
            places, levels = pd.factorize(values)
            codes = [self.codes.get(str(level), MISSING) for level in levels]
            return np.array([*codes, MISSING], np.int32)[places]
        if self.kind == "date":
            return days_of(values, self.order)
        numbers = numbers_of(values, self.written)
        return np.where(np.isinf(numbers), np.nan, numbers)


def codings_of(
    tables: Tables, real: pd.DataFrame, synthetic: pd.DataFrame
) -> list[list[ColumnCoding]]:
    """How the compared columns of the real and of the synthetic files are read.

    Args:
        real, synthetic: the samples' rows from which `tables` was made.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": ["1,5", "2,5"] * 20, "sex": list("fm") * 20})
    >>> [each.kind for each in codings_of(prepare(table, table, table), table, table)[0]]
    ['category', 'category']
    """
    sides: list[list[ColumnCoding]] = [[], []]
    for column in tables.schema.columns:
        if column.name not in tables.values:
            continue
        both = real[column.name], synthetic[column.name]
        formats = number_formats(*both) if column.kind == "number" else [PLAIN] * 2
        orders = date_orders(*both) if column.kind == "date" else [None] * 2
        for side, written, order in zip(sides, formats, orders, strict=True):
            side.append(ColumnCoding(column.name, column.kind, written, order))
    return sides


@dataclass(frozen=True)
class Sketch:
    """What the edges and levels of the columns are made from, of some or all rows of a table.

    Attributes:
        rows: how many. quantiles: of numbers and dates. levels: of categories, as text, with their counts.
        parts: counts of weekday, month and hour of dates, by the part's column.
    """

    rows: int = 0
    quantiles: Mapping[str, Quantiles] = field(default_factory=dict)
    levels: Mapping[str, Counter[str]] = field(default_factory=dict)
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __add__(self, other: "Sketch") -> "Sketch":
        nothing = Quantiles.sum([])
        names = {*self.quantiles, *other.quantiles}
        texts = {*self.levels, *other.levels}
        days = {*self.parts, *other.parts}
        return Sketch(
            self.rows + other.rows,
            {n: self.quantiles.get(n, nothing) + other.quantiles.get(n, nothing) for n in names},
            {n: self.levels.get(n, Counter()) + other.levels.get(n, Counter()) for n in texts},
            {n: np.asarray(self.parts.get(n, 0) + other.parts.get(n, 0)) for n in days},
        )


def sketched(batches: Iterable[pd.DataFrame], codings: Iterable[ColumnCoding]) -> Sketch:
    """The sketch of the rows of some batches.

    Raises:
        AuditError: for a column with too many levels.

    >>> rows = pd.DataFrame({"sex": ["f", "m", "f"]})
    >>> sketched([rows], [ColumnCoding("sex", "category")]).levels["sex"]["f"]
    2
    """
    codings = list(codings)
    found = reduce(Sketch.__add__, (_sketch(batch, codings) for batch in batches), Sketch())
    for name, levels in found.levels.items():
        if len(levels) > MOST_LEVELS:
            raise AuditError(
                f"Column '{name}' has more than {MOST_LEVELS:,} levels. If they are keys or free text, say "
                f"so, and they are left out: --schema {name}=identifier."
            )
    return found


def _sketch(batch: pd.DataFrame, codings: Iterable[ColumnCoding]) -> Sketch:
    quantiles, levels, parts = {}, {}, {}
    for coding in codings:
        values = batch[coding.name]
        if coding.kind == "category":
            places, words = pd.factorize(values)
            times = np.bincount(places[places >= 0], minlength=len(words))
            counted: Counter[str] = Counter()
            for word, number in zip(words, times.tolist(), strict=True):
                counted[str(word)] += number  # 1 and "1" are one level
            levels[coding.name] = counted
            continue
        read = coding.read(values)
        quantiles[coding.name] = Quantiles.of(read)
        if coding.kind == "date":
            for part, codes in date_part_codes(read).items():
                known = codes[codes >= 0]
                parts[f"{coding.name}: {part}"] = np.bincount(
                    known, minlength=len(DATE_PARTS[part])
                )
    return Sketch(len(batch), quantiles, levels, parts)


def values_of_all(
    tables: Tables, codings: list[list[ColumnCoding]], real: Sketch, synthetic: Sketch, bins: int
) -> tuple[dict[str, Values], list[list[ColumnCoding]]]:
    """The columns of `tables`, a sample, with edges and levels of all rows; and how all rows are read.

    Args:
        real, synthetic: sketches of all rows. bins: into how many a number is cut.

    >>> from course_lib.audit.table import prepare
    >>> few, all_ = (pd.DataFrame({"sex": list(levels) * 20}) for levels in ("fm", "fmx"))
    >>> tables = prepare(few, few, few)
    >>> codings = codings_of(tables, few, few)
    >>> sketch = sketched([all_], codings[0])
    >>> values_of_all(tables, codings, sketch, sketch, bins=3)[0]["sex"].levels
    ('f', 'm', 'x')
    """
    values = dict(tables.values)
    known: list[list[ColumnCoding]] = [[], []]
    for ours, theirs in zip(*codings, strict=True):
        name, sample = ours.name, tables.values[ours.name]
        if ours.kind != "category":
            quantiles = real.quantiles[name], synthetic.quantiles[name]
            values[name] = replace(
                sample, bins=bins, all_real=quantiles[0], all_synthetic=quantiles[1]
            )
            known[0].append(ours)
            known[1].append(theirs)
            continue
        counted = real.levels[name], synthetic.levels[name]
        words = [pd.Series(list(each), dtype=object) for each in counted]
        every, _ = read_levels(name, *words)  # a code to each distinct word
        codes = [
            dict(zip(each, side.tolist(), strict=True))
            for each, side in zip(words, (every.real, every.synthetic), strict=True)
        ]
        times = np.zeros(len(every.levels), np.int64)
        for each, code in zip(counted, codes, strict=True):
            for word, number in each.items():
                times[code[word]] += number
        both = [replace(one, codes=code) for one, code in zip((ours, theirs), codes, strict=True)]
        for side, one in zip(known, both, strict=True):
            side.append(one)
        values[name] = replace(
            every,
            bins=bins,
            real=both[0].read(pd.concat([tables.train[name], tables.holdout[name]])),
            synthetic=both[1].read(tables.synthetic[name]),
            all_counts=times,
        )
    for name, column in values.items():
        if name in real.parts:
            times = real.parts[name] + synthetic.parts[name]
            values[name] = replace(column, bins=bins, all_counts=times)
    return values, known


def coded(batch: pd.DataFrame, codings: Iterable[ColumnCoding]) -> dict[str, np.ndarray]:
    """Each column of a batch as floats or codes (n,), and the parts of its dates.

    >>> rows = pd.DataFrame({"day": pd.to_datetime(["1970-01-02"])})
    >>> sorted(coded(rows, [ColumnCoding("day", "date")]))
    ['day', 'day: hour', 'day: month', 'day: weekday']
    """
    return dict(_coded(batch, codings))


def _coded(
    batch: pd.DataFrame, codings: Iterable[ColumnCoding]
) -> Iterator[tuple[str, np.ndarray]]:
    for coding in codings:
        read = coding.read(batch[coding.name])
        yield coding.name, read
        if coding.kind == "date":
            for part, codes in date_part_codes(read).items():
                yield f"{coding.name}: {part}", codes
