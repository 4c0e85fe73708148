"""What each column of a table is, inferred from the real data or given."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.audit.reading import (
    LIKE_A_DATE,
    YEARS,
    as_dates,
    as_numbers,
    code_width,
    date_order,
)

KINDS = {
    "number": "a quantity, compared by its distribution",
    "category": "one of a few levels, compared by their shares",
    "date": "a point in time, compared as a number of days",
    "text": "free text, checked only for copies",
    "identifier": "a different name or number in each row, checked only for copies",
    "nested": "lists or records in each row, not compared",
    "empty": "no values in the real data",
}
UNCOMPARED = ("text", "identifier", "nested", "empty")
GIVEN = "as given"  # the note of a column whose kind was told
FEW = 12  # a numeric column with so many values at most is compared level by level
SAMPLE = 20_000  # rows from which strings are recognised
NUMBERED = 20  # rows that a count of rows must be longer than
CHANCE = 7.0  # equal pairs that chance would give, so that none is no coincidence: exp(-7) < 0.001
EVEN = (
    0.15  # distance of numbers that grow from row to row from evenly spread ones, such as keys are
)
# Names of columns that hold identifiers: they end in one of these words, or in one joined with "id".
KEYS = frozenset(
    ["id", "ids", "key", "uuid", "guid", "mrn", "ssn", "isbn", "imei", "iban", "serial"]
)
NUMBERS = frozenset(["no", "nr", "number"])  # behind another word: "invoice no"
INDEX = re.compile(
    r"index|level_\d|Unnamed: ?[\d.]+|(row|record|sample|obs)[ _](id|index|no|nr|number)"
)
JOINED = re.compile(
    r"(customer|client|user|person|patient|subject|member|student|employee|order|account|record|row|"
    r"case|item|product|device|session|transaction|trans|group|house|household|visit|event)_?id"
)
TIMES = frozenset(["time", "timestamp", "date", "datetime", "epoch", "unix", "created", "updated"])
CODES = frozenset(["zip", "zipcode", "postcode", "postal", "plz", "cap", "iban", "fips", "phone"])


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


def infer(table: pd.DataFrame, n_train: int | None = None) -> Schema:
    """The kind of each column of a table of real data, judged from its values.

    Numbers with at most 12 distinct values count as categories; whole numbers or words that never
    repeat as identifiers, and so do numbers that count the rows; strings of which 95 % read as
    numbers or as dates as those.

    Args:
        n_train: how many rows come from the first of two files that were joined to this table.

    >>> infer(pd.DataFrame({"sex": list("fm") * 20, "height": np.linspace(1.5, 2, 40)})).kinds()
    {'sex': 'category', 'height': 'number'}
    """
    return Schema(tuple(_column(str(name), table[name], n_train) for name in table.columns))


def given(
    kinds: "Schema | Mapping[str, str]", table: pd.DataFrame, n_train: int | None = None
) -> Schema:
    """`kinds` where it names a column, inference for the rest. Raises AuditError if it is wrong.

    >>> given({"zip": "category"}, pd.DataFrame({"zip": range(100, 200)})).kinds()
    {'zip': 'category'}
    """
    asked = kinds.kinds() if isinstance(kinds, Schema) else dict(kinds)
    inferred = infer(table, n_train)
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
            Column(column.name, asked[column.name], GIVEN) if column.name in asked else column
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


def level_told(level: str) -> str:
    """A level as readers see it: of a number with many digits the first four.

    >>> level_told("0.00193381309509277"), level_told("12.5"), level_told("travel")
    ('0.001934…', '12.5', 'travel')
    """
    digits = re.fullmatch(r"-?\d+\.\d+(?:e[-+]?\d+)?", level)
    return f"{float(level):.4g}…" if digits and len(level) > 10 else level


def _column(name: str, values: pd.Series, n_train: int | None) -> Column:
    present = values.dropna()
    if pd.api.types.is_float_dtype(present):
        present = present[np.isfinite(present)]
    if present.empty:
        return Column(name, "empty", "all missing")
    if _is_nested(present):
        return Column(name, "nested", f"such as {_shortened(present.iloc[0])}")
    distinct = present.nunique()
    if distinct == 1:
        return Column(name, "category", "constant")
    if isinstance(values.dtype, pd.CategoricalDtype) and distinct == len(present) > NUMBERED:
        return _strings(name, present.astype(str), distinct)
    if isinstance(values.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(values):
        return Column(name, "category", f"{distinct} levels")
    if pd.api.types.is_datetime64_any_dtype(values) or isinstance(values.dtype, pd.PeriodDtype):
        return Column(name, "date")
    if pd.api.types.is_timedelta64_dtype(values):
        return Column(name, "number", "lengths of time, in days")
    if pd.api.types.is_complex_dtype(values):
        return Column(name, "nested", "complex numbers")
    if pd.api.types.is_numeric_dtype(values):
        whole = len(present) == len(values)
        return _numbers(name, present.to_numpy(float), distinct, n_train if whole else None)
    return _strings(name, present, distinct)


def _is_nested(present: pd.Series) -> bool:
    """Whether the values are lists, records or arrays."""
    kinds = (list, tuple, dict, set, frozenset, np.ndarray)
    return present.dtype == object and any(isinstance(each, kinds) for each in present)


def _shortened(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else text[:39] + "…"


def _numbers(name: str, values: np.ndarray, distinct: int, n_train: int | None) -> Column:
    whole = bool((values == np.round(values)).all())
    if distinct <= FEW:
        return Column(name, "category", f"{distinct} levels, numbers")
    if whole and (told := _as_date(name, values)):
        return Column(name, "date", told)
    if whole and counts_rows(values, n_train):
        return Column(name, "identifier", "it counts the rows")
    if whole and distinct == len(values) > NUMBERED:
        if _grows(values, n_train):
            return Column(name, "identifier", "never repeats, and grows from row to row")
        if names_a_key(name):
            return Column(name, "identifier", "never repeats, and is named as a key")
    if whole and CODES & set(_words_of(name)):
        return Column(name, "number", "whole numbers; its name says that they may be codes")
    return Column(name, "number", "whole numbers" if whole else "")


def _as_date(name: str, values: np.ndarray) -> str:
    """How whole numbers are dates, in words; empty if they are none."""
    low, high = (1e4 * year for year in YEARS)
    if low < values.min() and values.max() < high:
        if as_dates(pd.Series(np.unique(values))).notna().all():
            return f"year, month and day in one number, such as {values[0]:.0f}"
    elif TIMES & set(_words_of(name)) and values.min() > 1e8:
        dates = as_dates(pd.Series(values)).dt.year
        if dates.between(*YEARS).all():
            return "time since 1970"
    return ""


def counts_rows(values: np.ndarray, n_train: int | None = None) -> bool:
    """Whether whole numbers (n,) number the rows of each file, or of some of its rows in any order.

    They never repeat, though there are so few numbers between the smallest and the largest that some
    would by chance; this is least likely where all are equally likely.

    Args:
        n_train: how many are those of a first file, if there are two.

    >>> counts_rows(np.random.default_rng(0).permutation(500)[:300]), counts_rows(np.arange(100) ** 4)
    (True, False)
    """
    whole = len(np.unique(values)) == len(values)
    parts = [values] if whole else np.split(values, [n_train or len(values)])
    if any(0 < len(part) <= NUMBERED for part in parts):
        return False
    return all(
        len(np.unique(part)) == len(part)
        and len(part) * (len(part) - 1) / 2 >= CHANCE * (np.ptp(part) + 1)
        for part in parts
        if len(part)
    )


def _grows(values: np.ndarray, n_train: int | None) -> bool:
    """Whether numbers grow from row to row of each file, and about evenly: sorted amounts do not."""
    parts = [part for part in np.split(values, [n_train or len(values)]) if len(part)]
    for part in parts:
        even = np.linspace(part[0], part[-1], len(part))
        if (np.diff(part) <= 0).any() or np.abs(part - even).max() > EVEN * np.ptp(part):
            return False
    return True


def _words_of(name: str) -> list[str]:
    """The words that a name is made of, in lower case: "customerId" and "customer_id" have two."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower().split()


PERSONS = frozenset(
    re.findall(
        r"\w+",
        "customer client user person patient subject member student employee household account "
        "participant respondent individual",
    )
)


def names_a_person(name: str) -> bool:
    """Whether a column's name says that it tells persons, or whatever has several rows, apart.

    >>> names_a_person("patient_id"), names_a_person("patient"), names_a_person("age")
    (True, True, False)
    """
    words = re.findall(r"[a-z0-9]+", " ".join(_words_of(name)))
    rest = [word for word in words if word not in KEYS | NUMBERS | {"index", "code"}]
    joined = any(word.endswith("id") and word[:-2].rstrip("_") in PERSONS for word in words)
    return joined or (len(rest) == 1 and rest[0] in PERSONS)


def names_a_key(name: str) -> bool:
    """Whether a column's name says that it holds keys.

    >>> [names_a_key(name) for name in ("order_id", "Invoice No.", "amount_paid", "price_index")]
    [True, True, False, False]
    """
    words = re.findall(r"[a-z0-9]+", " ".join(_words_of(name)))
    if INDEX.fullmatch(name) or any(map(JOINED.fullmatch, words)):
        return True
    if words[:1] == ["id"]:  # id_customer, but not id_rating
        return len(words) == 1 or bool(JOINED.fullmatch(f"{words[1]}id"))
    return bool(words) and (words[-1] in KEYS or (len(words) > 1 and words[-1] in NUMBERS))


def _strings(name: str, present: pd.Series, distinct: int) -> Column:
    sample = present.iloc[:: max(len(present) // SAMPLE, 1)].astype(str).str.strip()
    words = sample.value_counts()
    levels, rows = words.index.to_series(), words.to_numpy()

    def share(holds: pd.Series) -> float:
        return float(rows[holds.to_numpy()].sum() / rows.sum())

    keys = distinct == len(present) > NUMBERED and levels.str.fullmatch(r"[\w-]+").all()
    if keys and names_a_key(name):
        return Column(name, "identifier", "never repeats, and is named as a key")
    if distinct > FEW and (width := code_width(levels)):
        return Column(name, "category", f"codes of {width} digits, some with leading zeros")
    if numbers := as_numbers(sample):
        if distinct - len(numbers.markers) <= FEW:
            return Column(name, "category", f"{distinct} levels, numbers")
        written = str(numbers.format) if numbers.format.is_special else "written as text"
        return Column(name, "number", written)
    dated = share(levels.str.contains(LIKE_A_DATE, regex=True)) >= 0.95
    if dated and share(as_dates(levels).notna()) >= 0.95:
        order = date_order(levels)
        told = {None: "written as text", True: "the day first", False: "the month first"}
        sure = "" if order.certain else ", which no value confirms"
        return Column(name, "date", told[order.day_first] + sure)
    repeats = distinct / len(present)
    if repeats > 0.5 and len(present) > 20:
        if levels.str.contains(" ").mean() > 0.5:
            return Column(name, "text")
        if repeats > 0.95:
            return Column(name, "identifier", "never or hardly ever repeats")
    return Column(name, "category", f"{distinct} levels")
