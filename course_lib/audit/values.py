"""One column, made comparable: numbers as floats, categories as codes; and what was read into them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from course_lib.audit.alike import dates_differ, is_text, level_name, levels_told, same_levels
from course_lib.audit.finding import Draft, stated
from course_lib.audit.quantiles import Quantiles
from course_lib.audit.reading import MISSING as UNKNOWN
from course_lib.audit.reading import (
    PLAIN,
    DateOrder,
    NumberFormat,
    as_dates,
    as_numbers,
    code_width,
    date_order,
    is_marker,
    personal,
    plain_numbers,
)
from course_lib.audit.schema import KINDS, UNCOMPARED, Column

MISSING = -1
MOST_BINS = 10  # of a number, in pairs
TAIL = 0.01  # of a number's real values, at either end
TOP = 10  # levels of a category, in pairs; the rest count together
# Numbers that stand for what is not known, where at least such a share of the rows has them.
SENTINELS = {sign * (10**k - 1) for k in range(1, 8) for sign in (1, -1)} | {
    -1,
    -8,
    -88,
    -888,
    888,
    8888,
}
LEAST_CODED = 0.01
PREFIXES = 30  # groups at most that codes are compared by


@dataclass
class Values:
    """One column of the real rows (training rows first) and of the synthetic ones.

    Attributes:
        real, synthetic: floats with NaN where missing, or codes of `levels` with -1.
        levels: of a category: the real data's, in order, then what only the synthetic data have.
        known: how many of the levels the real data have; None for a number or a date.
        bins: into how many a number is cut for counting pairs.
        all_real, all_synthetic: of a number, the quantiles of rows of which those here are a sample.
        all_counts: of a category, how often both tables have each level, of the same rows.
    """

    name: str
    kind: str
    real: np.ndarray
    synthetic: np.ndarray
    levels: tuple[str, ...] = ()
    known: int | None = None
    bins: int = MOST_BINS
    all_real: Quantiles | None = None
    all_synthetic: Quantiles | None = None
    all_counts: np.ndarray | None = None

    def bare(self) -> "Values":
        """The same without rows, but with the edges and levels that they have given it.

        >>> Values("x", "number", np.arange(9.0), np.arange(9.0), bins=3).bare().edges.tolist()
        [2.0, 5.0]
        """
        kept = ("thresholds", "edges", "edges_by_rank") if self.is_number else ("by_count",)
        empty = replace(
            self,
            real=self.real[:0],
            synthetic=self.synthetic[:0],
            all_real=None,
            all_synthetic=None,
        )
        empty.__dict__.update({name: getattr(self, name) for name in kept})  # cached properties
        return empty

    @property
    def is_number(self) -> bool:
        return self.known is None

    @cached_property
    def by_count(self) -> np.ndarray:
        """Codes of a category's levels in both tables together, the most common first.

        An order by one table's counts alone would favour that table: its common levels are common
        there by chance too.
        """
        if self.known is None:
            raise TypeError(f"{self.name} is a number: it has no levels.")
        if self.all_counts is None:
            sides = (self.real, self.synthetic)
            real, made = (np.bincount(side + 1, minlength=len(self.levels) + 1) for side in sides)
            count = (real + made)[1:]  # without -1, missing
        else:
            count = self.all_counts
        # Equally common ones by their names: the codes would tell which table has them.
        name = np.argsort(np.argsort(np.array(self.levels)))
        return np.lexsort((name, -count))

    @cached_property
    def quantiles(self) -> Quantiles:
        """Those of a number's real rows."""
        return self.all_real or Quantiles.of(self.real)

    @cached_property
    def thresholds(self) -> tuple[float, float]:
        """Below and above them are the outermost TAIL of a number's real values, at either end."""
        low, high = self.quantiles.at([TAIL, 1 - TAIL])
        return float(low), float(high)

    @cached_property
    def edges(self) -> np.ndarray:
        """Inner edges of a number's bins, at the real data's quantiles; the outer bins are open."""
        real = self.quantiles
        at = real.lower(np.linspace(0, 1, self.bins + 1)[1:-1])
        # A value that fills a bin by itself, such as a gain of zero, gets one of its own, and what
        # is left is halved.
        common = np.unique(at[1:][np.diff(at) == 0])
        if len(common):
            others = real.without(common)
            halves = others.lower(np.array([0.5])) if others.rows else common[:1]
            at = np.concatenate([at, np.nextafter(common, np.inf), halves])
        return np.unique(at[at > real.values[0]])

    @cached_property
    def edges_by_rank(self) -> np.ndarray:
        """Inner edges of bins that hold the real shares of the synthetic rows.

        Equal values stay together, where most of them belong.
        """
        real, made = self.quantiles, self.all_synthetic or Quantiles.of(self.synthetic)
        share = real.below(self.edges) / real.rows
        middle = (np.cumsum(made.times) - made.times / 2) / max(made.rows, 1)
        first = np.searchsorted(middle, share, side="left")
        return np.append(made.values, np.inf)[first]

    @property
    def cells(self) -> int:
        """How many cells there are in pairs; the last one is for missing values."""
        return (len(self.edges) if self.is_number else min(TOP, len(self.levels))) + 2

    @cached_property
    def coarse(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Codes of at most a dozen cells for the real and the synthetic rows, and their number."""
        return self.cell_of(self.real), self.cell_of(self.synthetic), self.cells

    def cell_of(self, values: np.ndarray) -> np.ndarray:
        """The cell (n,) of each float or code (n,): a bin, or one of the most common levels.

        >>> age = Values("age", "number", np.arange(9.0), np.arange(9.0), bins=3)
        >>> age.cell_of(np.array([-1.0, 4.0, 99.0, np.nan])).tolist()
        [0, 1, 2, 3]
        """
        if self.is_number:
            return _cut(values, self.edges)
        # The most common levels; then the other ones, and missing values.
        top = self.by_count[:TOP]
        to = np.full(len(self.levels) + 1, len(top), np.uint8)
        to[top] = np.arange(len(top))
        to[-1] = len(top) + 1
        return np.asarray(to[values])  # -1, missing, is the last entry

    def cell_by_rank(self, values: np.ndarray) -> np.ndarray:
        """The cell (n,) of each synthetic value (n,) of a number by its rank: each holds the real share."""
        return _cut(values, self.edges_by_rank)

    @cached_property
    def ranked(self) -> np.ndarray:
        """Those of the synthetic rows."""
        return self.cell_by_rank(self.synthetic)


def _cut(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Which of the cells between edges each value (n,) lies in; the last one is for missing values."""
    codes = np.zeros(len(values), np.uint8)
    for edge in edges:  # few of them: five times faster than a binary search
        codes += values >= edge
    codes[~np.isfinite(values)] = len(edges) + 1
    return codes


@dataclass(frozen=True)
class Side:
    """One file's values of a column, read.

    Attributes:
        part: "real" or "synthetic".
        values: floats (n,), NaN where missing.
        unread: rows (n,) whose value could not be read, bool.
        written: how the values are written.
        markers: words that stand for missing values, and how many rows have them.
    """

    part: str
    values: np.ndarray
    unread: np.ndarray
    written: NumberFormat | None = None
    markers: dict[str, int] = field(default_factory=dict)


def read_column(
    column: Column, real: pd.Series, synthetic: pd.Series
) -> tuple[list[Draft], Values | None]:
    """Findings about how a column was read, and its values in comparable form, or None.

    >>> table = pd.DataFrame({"age": ["31,5", "40,0", "?"] * 20})
    >>> drafts, values = read_column(Column("age", "number"), table["age"], table["age"])
    >>> values.real[:3].tolist()
    [31.5, 40.0, nan]
    """
    name = column.name
    if column.kind == "empty":
        told = "no values in the real data, so nothing to compare with"
        return [
            stated("empty", name, "warn" if synthetic.notna().any() else "pass", told, [name])
        ], None
    drafts = list(_personal(name, real))
    if column.kind in UNCOMPARED:
        return [_read_as(column, "underpowered"), *drafts], None
    facts: list[str] = []
    if column.kind == "category":
        values, told_of_codes = read_levels(name, real, synthetic)
        drafts += told_of_codes
        if len(values.levels) == 1:
            drafts.append(
                stated("constant", name, "pass", "one and the same value everywhere", [name])
            )
    else:
        read = _days if column.kind == "date" else _numbers
        sides = read(real, synthetic)
        facts += [*_markers_told(sides), *_code_for_missing(column, sides[0].values)]
        drafts += (
            dates_differ(name, (real, synthetic))
            if column.kind == "date"
            else _differently_written(name, sides)
        )
        for side, words in zip(sides, (real, synthetic), strict=True):
            drafts += _odd(column, side, words)
        numbers, made = (np.where(np.isinf(side.values), np.nan, side.values) for side in sides)
        values = Values(name, column.kind, numbers, made)
        if not np.isfinite(values.real).any():
            told = "no readable values in the real data, so nothing to compare with"
            return [*drafts, stated("empty", name, "warn", told, [name])], None
    if not present(values.synthetic).any():
        drafts.append(
            stated("empty", name, "fail", "no values at all in the synthetic data", [name])
        )
    if column.kind == "number" and (written := sides[0].written) and written.is_special:
        column = replace(column, note=str(written))
    return [_read_as(column, "pass", facts), *drafts], values


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HOURS = tuple(f"{hour:02}" for hour in range(24))
DATE_PARTS = {"weekday": WEEKDAYS, "month": MONTHS, "hour": HOURS}


def date_part_codes(days: np.ndarray) -> dict[str, np.ndarray]:
    """Codes (n,) of weekday, month and hour of days since 1970 (n,); -1 where they are missing.

    >>> {part: codes.tolist() for part, codes in date_part_codes(np.array([0.5, np.nan])).items()}
    {'weekday': [3, -1], 'month': [0, -1], 'hour': [12, -1]}
    """
    known = np.isfinite(days)
    there = days[known]
    whole = np.floor(there)
    months = (np.datetime64("1970-01-01") + whole.astype("timedelta64[D]")).astype("datetime64[M]")
    parts = {
        "weekday": (whole.astype(int) + 3) % 7,  # 1970 began on a Thursday
        "month": months.astype(int) % 12,
        "hour": np.floor((there % 1) * 24 + 1e-6).astype(int) % 24,
    }
    codes = {part: np.full(len(days), MISSING, np.int32) for part in parts}
    for part, values in parts.items():
        codes[part][known] = values
    return codes


def date_parts(column: Values) -> list[Values]:
    """Weekday, month and hour of a column of days since 1970, as categories, where they vary.

    >>> days = Values("day", "date", np.arange(0.0, 100), np.arange(0.0, 100))
    >>> [part.name for part in date_parts(days)]
    ['day: weekday', 'day: month']
    """
    real, made = date_part_codes(column.real), date_part_codes(column.synthetic)
    parts = [
        Values(f"{column.name}: {name}", "category", real[name], made[name], levels, len(levels))
        for name, levels in DATE_PARTS.items()
    ]
    both = [np.concatenate([each.real, each.synthetic]) for each in parts]
    return [
        each
        for each, codes in zip(parts, both, strict=True)
        if len(np.unique(codes[codes >= 0])) > 1
    ]


def present(values: np.ndarray) -> np.ndarray:
    """Which floats or codes (n,) are not missing, bool (n,).

    >>> present(np.array([1.5, np.nan])).tolist(), present(np.array([0, -1])).tolist()
    ([True, False], [True, False])
    """
    return np.asarray(np.isfinite(values) if values.dtype.kind == "f" else values >= 0)


# --- what is said of it ------------------------------------------------------------------------


def _read_as(column: Column, verdict: str, facts: Sequence[str] = ()) -> Draft:
    note = f" ({column.note})" if column.note else ""
    told = "; ".join([f"{column.kind}{note}: {KINDS[column.kind]}", *facts])
    return stated("read_as", column.name, verdict, told, [column.name])


def _personal(name: str, values: pd.Series) -> Iterator[Draft]:
    if is_text(values):
        for kind in personal(values, name):
            yield stated("personal_data", name, "warn", f"the values look like {kind}", [name])


def _odd(column: Column, side: Side, words: pd.Series) -> Iterator[Draft]:
    """Values that could not be read, or that no measure can take."""
    where = f"{column.name}, {side.part}"
    if number := int(side.unread.sum()):
        told = f"{number:,} values cannot be read as a {column.kind}, such as "
        told += f"'{words[side.unread].iloc[0]}'; counted as missing"
        yield stated("unreadable", where, "warn", told, [column.name], number)
    if number := int(np.isinf(side.values).sum()):
        told = f"{number:,} values are infinite; counted as missing"
        yield stated("infinite", where, "warn", told, [column.name], number)


def _markers_told(sides: Sequence[Side]) -> Iterator[str]:
    words = dict.fromkeys(word for side in sides for word in side.markers)
    if words:
        shown = ", ".join(f"'{word}'" for word in words)
        numbers = " and ".join(f"{sum(s.markers.values()):,} {s.part}" for s in sides)
        yield f"{numbers} values say {shown} and are counted as missing"


def _code_for_missing(column: Column, values: np.ndarray) -> Iterator[str]:
    """A suspicion: a number such as -999 that many rows have, outside of all others."""
    known = values[np.isfinite(values)]
    if column.kind != "number" or not len(known):
        return
    for extreme in (known.min(), known.max()):
        rows, others = int((known == extreme).sum()), known[known != extreme]
        if extreme not in SENTINELS or rows < max(LEAST_CODED * len(values), 5) or not len(others):
            continue
        gap = min(abs(extreme - others.min()), abs(extreme - others.max()))
        if gap > np.ptp(others) or extreme < 0 <= others.min():
            yield (
                f"{rows:,} real values are {extreme:g}, apart from all others: if it stands for what is "
                "not known, leave it empty in all files"
            )


def _differently_written(name: str, sides: Sequence[Side]) -> Iterator[Draft]:
    """Numbers that the two files write in two ways: a program that reads both may go wrong."""
    formats = [side.written or PLAIN for side in sides]
    if not any(each.is_special for each in formats):
        return
    one, two = formats
    values = [side.values[np.isfinite(side.values)] for side in sides]
    fractions = all((each % 1 != 0).any() for each in values)
    thousands = all((np.abs(each) >= 1000).any() for each in values)
    negative = all((each < 0).any() for each in values)
    differ = (
        (one.decimal != two.decimal and fractions)
        or (one.thousands != two.thousands and thousands)
        or (one.minus != two.minus and negative)
        or (one.unit, one.clock, one.multiples) != (two.unit, two.clock, two.multiples)
    )
    if differ and all(map(len, values)):
        told = [str(each) if each.is_special else "plain" for each in formats]
        told_of = (
            f"numbers are {told[0]} in the real data, and {told[1]} in the synthetic data; both "
        )
        yield stated("coding", name, "warn", told_of + "were read", [name])


# --- numbers and dates -------------------------------------------------------------------------


def _numbers(real: pd.Series, synthetic: pd.Series) -> list[Side]:
    first = _number_side("real", real, PLAIN)
    second = _number_side("synthetic", synthetic, first.written or PLAIN)
    return [_as_near(first, real, second), _as_near(second, synthetic, first)]


def _as_near(side: Side, words: pd.Series, other: Side) -> Side:
    """A side all of whose values are like 1,234 with a comma as the decimal sign, if the other tells so."""
    written = side.written
    if written is None or written.decimal != "." or written.thousands != ",":
        return side
    size, wanted = (np.nanmedian(np.abs(each.values)) for each in (side, other))
    commas = replace(written, decimal=",", thousands="")
    values = commas.numbers(words)
    if (
        not 100 < size / max(wanted, 1e-300) < 10_000
        or (np.isnan(values) & ~np.isnan(side.values)).any()
    ):
        return side
    return replace(side, values=values, written=commas)


def _number_side(part: str, values: pd.Series, likely: NumberFormat) -> Side:
    nothing = np.zeros(len(values), bool)
    if pd.api.types.is_timedelta64_dtype(values):
        return Side(
            part, pd.to_timedelta(values).dt.total_seconds().to_numpy(float) / 86_400, nothing
        )
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values):
        return Side(part, values.to_numpy(float, na_value=np.nan), nothing)
    words = values.map(str, na_action="ignore")
    known = values.notna().to_numpy()
    if not known.any():
        return Side(part, np.full(len(values), np.nan), nothing)
    numbers = as_numbers(words, likely)
    if numbers is None:
        read = likely.numbers(words) if likely.is_special else plain_numbers(words)
        return Side(part, read, known & np.isnan(read), likely)
    marked = words.isin(list(numbers.markers)).to_numpy(bool)
    unread = known & np.isnan(numbers.values) & ~marked
    return Side(part, numbers.values, unread, numbers.format, numbers.markers)


def _days(real: pd.Series, synthetic: pd.Series) -> list[Side]:
    """Dates as days since 1970."""
    sides = []
    orders = date_orders(real, synthetic)
    for part, values, order in zip(("real", "synthetic"), (real, synthetic), orders, strict=True):
        number = days_of(values, order)
        sides.append(Side(part, number, np.isnan(number) & values.notna().to_numpy()))
    return sides


def date_orders(real: pd.Series, synthetic: pd.Series) -> list[DateOrder | None]:
    """Of either side, the order of day and month that the column itself shows; None for timestamps.

    >>> date_orders(pd.Series(["03/04/2020"]), pd.Series(["25/04/2020"]))[0].day_first
    True
    """
    orders = [date_order(each.dropna()) if is_text(each) else None for each in (real, synthetic)]
    sure = next((order for order in orders if order and order.certain), None)
    return [order if order and order.certain else sure or order for order in orders]


def days_of(values: pd.Series, order: DateOrder | None) -> np.ndarray:
    """Dates (n,) as days since 1970, NaN where they cannot be read.

    >>> days_of(pd.Series(["1970-01-03", "soon"]), None).tolist()
    [2.0, nan]
    """
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    days = (as_dates(values, order) - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta(days=1)
    return days.to_numpy(float)


def number_formats(real: pd.Series, synthetic: pd.Series) -> list[NumberFormat]:
    """How either side of a column of numbers is written.

    >>> [each.decimal for each in number_formats(pd.Series(["1,5", "2,5"]), pd.Series([1.5, 2.5]))]
    [',', '.']
    """
    return [side.written or PLAIN for side in _numbers(real, synthetic)]


def numbers_of(values: pd.Series, written: NumberFormat) -> np.ndarray:
    """Values (n,) that are written in this format as floats, NaN where they are none.

    >>> numbers_of(pd.Series(["1,5", "?"]), NumberFormat(",")).tolist()
    [1.5, nan]
    """
    if pd.api.types.is_timedelta64_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return _number_side("", values, written).values
    codes, levels = pd.factorize(values)  # each word is read once
    words = pd.Series(levels, dtype=object).map(str)
    read = written.numbers(words) if written.is_special else plain_numbers(words)
    return np.append(read, np.nan)[codes]


# --- categories --------------------------------------------------------------------------------


def read_levels(name: str, real: pd.Series, synthetic: pd.Series) -> tuple[Values, list[Draft]]:
    """A category's values, and findings about how its levels are written.

    >>> read_levels("sex", pd.Series(["m", "f"]), pd.Series(["m", None]))[0].levels
    ('f', 'm')
    """
    sides = [pd.factorize(_hashable(values)) for values in (real, synthetic)]
    codes = [[str(level).strip().removesuffix(".0") for level in levels] for _, levels in sides]
    unknown: tuple[set[str], set[str]] = (set(), set())
    zeros = any(code.isdigit() and code[0] == "0" for side in codes for code in side)
    width = shared_width(*(pd.Series(each, dtype=object) for each in codes)) if zeros else None
    if width:
        named, drafts = _codes(name, codes, width)
    else:
        named, drafts = _names(name, [list(levels) for _, levels in sides])
        unknown, told = _unknown(name, named, [bool((places < 0).any()) for places, _ in sides])
        drafts += told
    known = sorted(set(named[0]) - unknown[0], key=_sort_key)
    new = sorted(set(named[1]) - unknown[1] - set(known), key=_sort_key)
    number = {level: code for code, level in enumerate([*known, *new])}
    real_codes, synthetic_codes = (
        np.array([*(number.get(level, MISSING) for level in levels), MISSING], np.int32)[places]
        for (places, _), levels in zip(sides, named, strict=True)
    )
    values = Values(name, "category", real_codes, synthetic_codes, tuple(number), len(known))
    return values, drafts


def shared_width(*sides: pd.Series) -> int | None:
    """How many digits the codes of the real and the synthetic file have, if they are codes.

    One of the files may have lost all leading zeros.

    >>> shared_width(pd.Series(["2281", "61821"]), pd.Series(["02281"]))
    5
    """
    widths = [width for width in map(code_width, sides) if width]
    if not widths:
        return None
    width = max(widths)
    for side in sides:
        known = side[~is_marker(side)]
        if not known.str.fullmatch(r"\d+").all() or (known.str.len() > width).any():
            return width if side is not sides[0] and code_width(sides[0]) else None
    return width


def _names(name: str, levels: Sequence[Sequence[object]]) -> tuple[list[list[str]], list[Draft]]:
    """Names of the levels of both sides; those of the synthetic data as the real data write them."""
    real, made = ([level_name(level) for level in side] for side in levels)
    same = same_levels(real, made)
    told = [levels_told(same)] if same else []
    spaced = [{str(each) for each in side if str(each) != str(each).strip()} for side in levels]
    if odd := sorted(spaced[0] ^ spaced[1]):
        told.append(f"one file has spaces around words, such as '{odd[0]}'; they were left out")
    named = [real, [same.get(level, level) for level in made]]
    return named, [stated("coding", name, "warn", "; ".join(told), [name])] if told else []


def _unknown(
    name: str, named: Sequence[Sequence[str]], gone: Sequence[bool]
) -> tuple[tuple[set[str], set[str]], list[Draft]]:
    """Of either side, the words for what is not known, where the other side has no value instead.

    Args:
        gone: whether values are missing on either side.
    """
    words = [{level for level in side if level.lower() in UNKNOWN} for side in named]
    if bool(words[0]) == bool(words[1]) or any(
        bool(word) == empty for word, empty in zip(words, gone, strict=True)
    ):
        return (set(), set()), []
    part = "real" if words[0] else "synthetic"
    told = f"'{min(words[0] | words[1])}' stands in the {part} data where the other file has no value; "
    told += "counted as missing"
    return (words[0], words[1]), [stated("coding", name, "warn", told, [name])]


def _hashable(values: pd.Series) -> pd.Series:
    """The same, with lists and records as text."""
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True).startswith("mixed"):
        return values.map(str, na_action="ignore")
    return values


def _codes(
    name: str, codes: Sequence[Sequence[str]], width: int
) -> tuple[list[list[str]], list[Draft]]:
    """Codes such as postcodes, many of them in groups: by as many first digits as make 30 groups at most.

    A file whose codes were read as numbers once has lost the leading zeros; they are put back.
    """
    full = [[code.zfill(width) if code.isdigit() else code for code in side] for side in codes]
    drafts = []
    for part, side in zip(("real", "synthetic"), codes, strict=True):
        if lost := [code for code in side if code.isdigit() and len(code) < width]:
            told = f"the codes have {width} digits; {len(lost):,} of the {part} ones have lost leading "
            told += f"zeros, such as '{lost[0]}', and were read as '{lost[0].zfill(width)}'"
            drafts.append(stated("coding", name, "warn", told, [name]))
    real = {code for code in full[0] if code.isdigit()}
    if len(real) <= PREFIXES:
        return [list(side) for side in full], drafts
    digits = max((k for k in range(1, width) if len({c[:k] for c in real}) <= PREFIXES), default=1)
    told = f"the codes were compared by the first {digits} of their {width} digits"
    drafts.append(stated("grouped_codes", name, "pass", told, [name]))
    rest = "…" * (digits < width)
    return [[c[:digits] + rest if c.isdigit() else c for c in side] for side in full], drafts


def _sort_key(level: str) -> tuple[int, float, str]:
    try:
        return (0, float(level), level)
    except ValueError:
        return (1, 0.0, level)
