"""How values that a file holds as text are read: numbers in the formats that people write, and dates.

A format is judged from a whole column and then used for all of it: "1,234" by itself could be more
than a thousand or a little more than one, and "03/04/2020" could be in March or in April.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

SAMPLE = 20_000  # rows from which words are recognised
ENOUGH = 0.95  # of the rows must be readable for a column to be of a kind
LEAST_DIGITS = 3  # of a code such as a postcode: "07" may be a month
WORDS = 3  # distinct words at most among numbers, as codes for values that are not known
KNOWN = 0.5  # of the rows must be numbers then
# Written in place of a value, in lower case. Readers of files make most of them missing already.
MISSING = {
    "?",
    "??",
    "-",
    "--",
    "---",
    ".",
    "*",
    "/",
    "n/a",
    "na",
    "#n/a",
    "#na",
    "none",
    "null",
    "nil",
}
MISSING |= {"nan", "unknown", "missing", "unspecified", "not available", "not known", "no data"}
CURRENCY = "€$£¥"
SIGNS = re.compile(rf"^[{CURRENCY}]\s*|\s*[%{CURRENCY}]$")


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written.

    Attributes:
        decimal, thousands: the separators; no thousands are separated if the latter is empty.
        example: a value of the column.
    """

    decimal: str = "."
    thousands: str = ""
    percent: bool = False
    currency: str = ""
    example: str = ""

    def __str__(self) -> str:
        told = [f"decimal {NAMES[self.decimal]}"] if self.decimal != "." else []
        told += [f"{NAMES[self.thousands]} between thousands"] if self.thousands else []
        told += ["percent signs"] if self.percent else []
        told += [f"the sign {self.currency}"] if self.currency else []
        return f"written with {_joined(told)}, such as '{self.example}'" if told else ""

    @property
    def is_special(self) -> bool:
        """Whether anything but a decimal point is used."""
        return bool(self.decimal != "." or self.thousands or self.percent or self.currency)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        decimal, thousands = re.escape(self.decimal), re.escape(self.thousands)
        whole = rf"[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+|\d+" if thousands else r"\d+"
        return re.compile(rf"[+-]?(?:(?:{whole})(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?")

    def numbers(self, words: pd.Series) -> np.ndarray:
        """Words (n,) as floats, NaN where a word is not a number in this format.

        A percentage becomes a share, so that "9.05%" and 0.0905 are the same.

        >>> NumberFormat(",", ".").numbers(pd.Series(["1.234,5", "many"])).tolist()
        [1234.5, nan]
        """
        bare = words.str.strip().str.replace(SPACES, " ", regex=True)
        percent = bare.str.endswith("%").to_numpy(bool)
        bare = bare.str.replace(SIGNS, "", regex=True).str.replace(SIGNS, "", regex=True)
        readable = bare.str.fullmatch(self.pattern).to_numpy(bool)
        if self.thousands:
            bare = bare.str.replace(self.thousands, "", regex=False)
        if self.decimal != ".":
            bare = bare.str.replace(self.decimal, ".", regex=False)
        found = pd.to_numeric(bare.where(readable), errors="coerce").to_numpy(float)
        return np.where(percent, found / 100, found)


NAMES = {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}
SPACES = r"[\u00a0\u2009\u202f]"  # no-break, thin and narrow
# Tried in this order; the first of those that read most values is taken.
FORMATS = [
    NumberFormat(decimal, thousands)
    for decimal, thousands in (
        (".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
    )
]  # fmt: skip
PLAIN = FORMATS[0]


def plain_numbers(words: pd.Series) -> np.ndarray:
    """Words (n,) as floats, NaN where Python would not read them as numbers.

    >>> plain_numbers(pd.Series(["1.5", "1,5"])).tolist()
    [1.5, nan]
    """
    return pd.to_numeric(words, errors="coerce").to_numpy(float, na_value=np.nan)


def is_marker(words: pd.Series) -> np.ndarray:
    """Which words (n,) stand for a value that is not known, such as "?".

    >>> is_marker(pd.Series(["12", "?", "N/A"])).tolist()
    [False, True, True]
    """
    return words.str.strip().str.lower().isin(MISSING).to_numpy(bool)


def code_width(words: pd.Series) -> int | None:
    """How many digits all words (n,) have, if they are codes: some begin with 0. None if they are not.

    >>> code_width(pd.Series(["02281", "61821"])), code_width(pd.Series(["2281", "61821"]))
    (5, None)
    """
    known = words.dropna().astype(str).str.strip()
    widths = known.str.len().unique()
    if len(widths) != 1 or widths[0] < LEAST_DIGITS or not known.str.fullmatch(r"\d+").all():
        return None
    return int(widths[0]) if known.str.startswith("0").any() else None


@dataclass(frozen=True)
class Numbers:
    """A column of words, read as numbers.

    Attributes:
        values: floats (n,), NaN where a word is not a number.
        format: how they are written.
        markers: words that stand for missing values, and how many rows have them.
    """

    values: np.ndarray
    format: NumberFormat
    markers: dict[str, int]


def as_numbers(words: pd.Series, likely: NumberFormat = PLAIN) -> Numbers | None:
    """Words (n,) as numbers, or None if they are something else; missing values stay missing.

    Of the words that are not markers of missing values, 95 % must be numbers in one format. Up to
    three other words may stand in as many as half of the rows, if the numbers have more values than
    a code would: these words are markers too.

    Args:
        likely: the format to take where several fit equally well.

    >>> as_numbers(pd.Series(["5.627,91", "31", "?"])).values.tolist()
    [5627.91, 31.0, nan]
    """
    known = words.dropna().astype(str)
    rows = known.value_counts()
    levels = rows.index.to_series().astype(str)
    counts = rows.to_numpy()
    marked = is_marker(levels)
    if not counts[~marked].sum() or not levels.str.contains(r"\d").any():
        return None
    best, read = PLAIN, plain_numbers(levels)
    share = counts[np.isfinite(read) & ~marked].sum() / counts[~marked].sum()
    if share < ENOUGH:
        tried = [likely, *FORMATS] if likely != PLAIN else FORMATS
        for each in tried:
            values = each.numbers(levels)
            got = counts[np.isfinite(values) & ~marked].sum() / counts[~marked].sum()
            if got > share:
                best, read, share = each, values, got
    unread = ~np.isfinite(read) & ~marked
    if share < ENOUGH:
        codes = levels[unread].str.strip().str.lower().unique()
        many = len(np.unique(read[np.isfinite(read)])) > 4 * (len(codes) + WORDS)
        if share < KNOWN or len(codes) > WORDS or not many:
            return None
        marked, unread = marked | unread, np.zeros_like(unread)
    markers = {str(word): int(rows[word]) for word in levels[marked]}
    used = levels[np.isfinite(read)]
    format_ = NumberFormat(
        best.decimal,
        best.thousands,
        bool(used.str.strip().str.endswith("%").mean() > 0.5),
        next(iter("".join(used.str.extract(f"([{CURRENCY}])")[0].dropna())), ""),
        _longest(used),
    )
    number = dict(zip(levels, np.where(marked, np.nan, read), strict=True))
    found = words.map(lambda word: number.get(str(word), np.nan), na_action="ignore")
    return Numbers(found.to_numpy(float, na_value=np.nan), format_, markers)


def _longest(words: pd.Series) -> str:
    return max(words.head(1000), key=len, default="")


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


# --- dates -------------------------------------------------------------------------------------

NUMERIC_DATE = r"^\s*(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)"
# A year with a month, three fields, or a time: "1-2" is not a date.
LIKE_A_DATE = (
    r"\d{4}[-/.]\d{1,2}(?!\d)|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}:\d{2}|[A-Za-z]{3}.*\d{4}"
)


@dataclass(frozen=True)
class DateOrder:
    """Whether the day comes first in dates such as 03/04/2020; None: they have another form."""

    day_first: bool | None
    certain: bool = True


def date_order(words: pd.Series) -> DateOrder:
    """The order of day and month in a column (n,) of words, judged from all of them.

    >>> date_order(pd.Series(["03/04/2020", "25/04/2020"]))
    DateOrder(day_first=True, certain=True)
    """
    words = words.iloc[:: max(len(words) // SAMPLE, 1)]
    found = words.astype(str).str.extract(NUMERIC_DATE)
    fields = found[found[0].notna()]
    if len(fields) < len(words) / 2 or fields.empty:
        return DateOrder(None)
    first, second = fields[0].astype(int), fields[2].astype(int)
    if (first > 12).any() or (second > 12).any():
        return DateOrder(bool((first > 12).sum() >= (second > 12).sum()))
    return DateOrder(bool((fields[1] == ".").mean() > 0.5), certain=bool((fields[1] == ".").all()))


def as_dates(values: pd.Series, order: DateOrder | None = None) -> pd.Series:
    """Words or timestamps as timestamps, NaT where they are none.

    Args:
        order: of day and month; judged from the values if not given.

    >>> as_dates(pd.Series(["2020-01-31", "soon"])).isna().tolist()
    [False, True]
    >>> as_dates(pd.Series(["03/04/2020", "25/04/2020"])).dt.month.tolist()
    [4, 4]
    """
    if order is None:
        text = not pd.api.types.is_datetime64_any_dtype(values)
        order = date_order(values.dropna()) if text else DateOrder(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on formats that pandas has to guess for each value
        return pd.to_datetime(
            values, errors="coerce", utc=True, format="mixed", dayfirst=bool(order.day_first)
        )


# --- personal data -----------------------------------------------------------------------------

# A suspicion is enough here, and it is told as one. The library phonenumbers checks whether a number can be
# dialled, for which it must know the country; email-validator whether an address is allowed.
PERSONAL = {
    "e-mail addresses": r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}",
    "IBANs": r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?",
    "phone numbers": r"(?:\+|00)\d{1,3}[\s./-]?(?:\(?\d{1,5}\)?[\s./-]?){2,5}"
    r"|\(?0\d{1,4}\)?[\s/-]\d[\d\s-]{4,}",
}


PERSON = re.compile(
    r"(^|_| )((first|last|full|sur|family|given|maiden|patient|customer|client|employee|user)?_? ?name|"
    r"vorname|nachname|prenom|nombre|apellido|cognome)s?($|_| )"
)
NAME = r"[^\W\d_][^\W\d_'’.-]*(?:[ '’.-]+[^\W\d_][^\W\d_'’.-]*){0,4}\.?"


def personal(words: pd.Series, column: str = "") -> Iterator[str]:
    """What kinds of personal data most of the words (n,) look like.

    Args:
        column: the name of the column, from which names of people are told from other words.

    >>> list(personal(pd.Series(["ada@example.org", "emmy@example.org"])))
    ['e-mail addresses']
    """
    sample = words.dropna().astype(str).str.strip().head(1000)
    for kind, pattern in PERSONAL.items():
        if len(sample) and sample.str.fullmatch(pattern).mean() > 0.5:
            yield kind
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()
    if len(sample) and PERSON.search(spaced) and sample.str.fullmatch(NAME).mean() > 0.5:
        yield "names of people"
