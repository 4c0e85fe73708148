"""How values that a file holds as text are read: numbers in the formats that people write, and dates.

A format is judged from a whole column and then used for all of it: "1,234" by itself could be more
than a thousand or a little more than one, and "03/04/2020" could be in March or in April.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, cast

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
MISSING |= {
    "nan",
    "<na>",
    "#n/a",
    "unknown",
    "missing",
    "unspecified",
    "not available",
    "not known",
}
MISSING |= {"no data"}
# What may stand around a number: a currency, before or behind it, or a unit or a multiple behind it.
ISO_CURRENCIES = (
    "USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|CNY|RMB|INR|BRL|MXN|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY"
)
ISO_CURRENCIES += "|ZAR|KRW|SGD|HKD|ILS"
SYMBOLS = "€$£¥₹₩₽₺₫฿₪₴₦"
BEFORE = rf"[A-Z]{{0,2}}[{SYMBOLS}]|(?:{ISO_CURRENCIES}|Rs|Fr|kr)\b\.?"
BEHIND = rf"[%‰{SYMBOLS}]|[^\W\d_][^\s\d,()-]{{0,11}}\d?|°[A-Z]?"
MULTIPLES = {"k": 1e3, "K": 1e3, "Mio": 1e6, "Mio.": 1e6, "M": 1e6, "mn": 1e6, "million": 1e6}
MULTIPLES |= {"bn": 1e9, "Mrd": 1e9, "Mrd.": 1e9, "billion": 1e9}
LEAST_UNIT = 0.3  # of the rows must have a unit: "12a" among house numbers is another number
PARTS = re.compile(
    rf"(?P<open>\()?(?P<sign>[+-]?) ?(?P<before>{BEFORE})? ?(?P<open_>\()?(?P<sign_>[+-]?)"
    r"(?P<number>(?:\d(?:[\d.,' ]*\d)?[.,]?|[.,]\d+)(?:[eE][+-]?\d+)?)"
    rf" ?(?P<behind>{BEHIND})?(?P<close>\))?(?P<minus>-)?"
)
# A time of day or a length of time: "13:45", "1:45 pm", "1 days 02:00:00"; "1h 20m", "PT1H20M".
CLOCK = re.compile(
    r"(?P<sign>-)?(?:(?P<days>-?\d+) days?,? ?\+?)?(?P<hours>\d+):(?P<minutes>[0-5]\d)"
    r"(?::(?P<seconds>[0-5]\d(?:\.\d+)?))? ?(?P<half>[ap]\.?m\.?)?",
    re.IGNORECASE,
)
LENGTH = re.compile(
    r"(?P<sign>-)?P?(?:(?P<days>\d+) ?d(?:ays?)?)? ?T?(?:(?P<hours>\d+(?:\.\d+)?) ?h(?:(?:ou)?rs?)?)? ?"
    r"(?:(?P<minutes>\d+(?:\.\d+)?) ?m(?:in(?:ute)?s?)?)? ?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?) ?s(?:ec(?:ond)?s?)?)?",
    re.IGNORECASE,
)
SAME_SIGNS = str.maketrans({**dict.fromkeys("’‘´`", "'"), **dict.fromkeys("−–", "-")})
IN_HOURS = {"days": 24.0, "hours": 1.0, "minutes": 1 / 60, "seconds": 1 / 3600}


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written.

    Attributes:
        decimal, thousands: the separators; no thousands are separated if the latter is empty.
        unit: what stands before or behind most of them, such as "kg", "$" or "%".
        minus: how negative numbers are written, if not by a hyphen in front: "(", "−" or "behind".
        multiples: whether some end in a word that multiplies them, such as "1.2k".
        clock: whether they are times of day or lengths of time, such as "1:30", which become hours.
        example: a value of the column.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    minus: str = ""
    multiples: bool = False
    clock: bool = False
    example: str = ""

    def __str__(self) -> str:
        told = [f"decimal {NAMES[self.decimal]}"] if self.decimal != "." else []
        told += [f"{NAMES[self.thousands]} between thousands"] if self.thousands else []
        told += ["percent signs"] if self.unit == "%" else []
        told += [f"the unit {self.unit}"] if self.unit not in ("", "%") else []
        told += [MINUS[self.minus]] if self.minus else []
        told += ["k for thousand, M for million or the like"] if self.multiples else []
        told += ["hours, minutes or seconds, read in hours"] if self.clock else []
        return f"written with {_joined(told)}, such as '{self.example}'" if told else ""

    @property
    def is_special(self) -> bool:
        """Whether it is anything that Python would not read as a number."""
        odd = (self.thousands, self.unit, self.minus, self.multiples, self.clock)
        return self.decimal != "." or any(odd)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        decimal, thousands = re.escape(self.decimal), re.escape(self.thousands)
        # The second way is India's: 12,34,567.
        grouped = (
            rf"[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+|[1-9]\d?(?:{thousands}\d\d)+{thousands}\d{{3}}"
        )
        whole = rf"{grouped}|\d+" if thousands else r"\d+"
        return re.compile(rf"(?:(?:{whole})(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?")

    def numbers(self, words: pd.Series) -> np.ndarray:
        """Words (n,) as floats, NaN where a word is not a number in this format.

        A percentage becomes a share, so that "9.05%" and 0.0905 are the same.

        >>> NumberFormat(",", ".").numbers(pd.Series(["1.234,5", "many"])).tolist()
        [1234.5, nan]
        >>> NumberFormat(unit="kg").numbers(pd.Series(["12 kg", "(3.5kg)", "7"])).tolist()
        [12.0, -3.5, 7.0]
        """
        return _hours(words) if self.clock else self.of(_parts(words))

    def of(self, parts: pd.DataFrame) -> np.ndarray:
        """The same of words whose parts are known, see `_parts`."""
        bare = parts["number"]
        if not bare.any():
            return np.full(len(parts), np.nan)
        readable = bare.str.fullmatch(self.pattern) & parts["unit"].isin(["", self.unit])
        if self.thousands:
            bare = bare.str.replace(self.thousands, "", regex=False)
        if self.decimal != ".":
            bare = bare.str.replace(self.decimal, ".", regex=False)
        found = pd.to_numeric(bare.where(readable.to_numpy(bool)), errors="coerce").to_numpy(float)
        percent = (parts["unit"] == "%").to_numpy(bool)
        factor = parts["factor"].to_numpy(float) / np.where(percent, 100, 1)
        return np.asarray(found * factor)


NAMES = {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}
MINUS = {
    "(": "negative numbers in parentheses",
    "−": "a sign for minus that is no hyphen",
    "behind": "the minus sign behind the number",
}
SPACES = r"[\s\u00a0\u2009\u202f]+"  # no-break, thin and narrow ones, too
# Tried in this order; the first of those that read most values is taken.
FORMATS = [
    NumberFormat(decimal, thousands)
    for decimal, thousands in (
        (".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
    )
]  # fmt: skip
PLAIN = FORMATS[0]


def _parts(words: pd.Series) -> pd.DataFrame:
    """Of words (n,): the digits, the unit, what the digits are multiplied by, and how minus is written."""
    names = ["number", "unit", "factor", "minus"]
    return pd.DataFrame([_parted(str(word)) for word in words], words.index, columns=names)


def _parted(word: str) -> tuple[str, str, float, str]:
    bare = re.sub(SPACES, " ", word.strip())
    found = PARTS.fullmatch(bare.translate(SAME_SIGNS))
    if found is None:
        return "", "", 1.0, ""
    part = {name: value or "" for name, value in found.groupdict().items()}
    opened = part["open"] + part["open_"]
    minus = (part["sign"] + part["sign_"] + part["minus"]).count("-") + len(opened)
    if minus > 1 or len(opened) != len(part["close"]):
        return "", "", 1.0, ""
    multiple = MULTIPLES.get(part["behind"])
    behind = re.sub(r"(?<=\w{3})s$", "", part["behind"])  # 1 room, 2 rooms
    way = "(" if opened else "behind" if part["minus"] else "−" if bare[0] in "−–" else ""
    unit = part["before"] + (behind if multiple is None else "")
    return part["number"], unit, (multiple or 1.0) * (-1) ** minus, way


def _hours(words: pd.Series) -> np.ndarray:
    """Times of day and lengths of time (n,) as hours, NaN where a word is neither.

    >>> _hours(pd.Series(["13:45", "1:30 pm", "PT90M", "noon"])).tolist()
    [13.75, 13.5, 1.5, nan]
    """
    return np.array([_hour(str(word).strip()) for word in words], float)


def _hour(word: str) -> float:
    found = CLOCK.fullmatch(word) or LENGTH.fullmatch(word)
    part = {} if found is None else found.groupdict()
    parts = {name: float(part[name]) for name in IN_HOURS if part.get(name)}
    if not parts:
        return np.nan
    if half := part.get("half"):
        parts["hours"] = parts["hours"] % 12 + 12 * (half[0] in "pP")
    hours = sum(value * IN_HOURS[name] for name, value in parts.items())
    return -hours if part["sign"] else hours


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
    """How many digits words (n,) have, if they are codes: some begin with 0. None if they are not.

    Words that do not begin with 0 may be shorter: a program that took them for numbers has cut off zeros.

    >>> code_width(pd.Series(["02281", "61821"])), code_width(pd.Series(["2281", "61821"]))
    (5, None)
    """
    known = words.dropna().astype(str).str.strip()
    known = known[(known != "") & ~is_marker(known)]
    if known.empty or not known.str.fullmatch(r"\d+").all():
        return None
    lengths, zero = known.str.len(), known.str.startswith("0")
    width = int(lengths.max())
    if width < LEAST_DIGITS or not zero.any() or (lengths[zero] < width).any():
        return None
    return width


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
    known_rows = counts[~marked].sum()
    share = counts[np.isfinite(read) & ~marked].sum() / known_rows
    parts = None
    if share < 1:
        parts = _parts(levels)
        unit = _unit_of(parts["unit"][~marked], counts[~marked])
        for each in dict.fromkeys([NumberFormat(likely.decimal, likely.thousands), *FORMATS]):
            values = (each := replace(each, unit=unit)).of(parts)
            got = counts[np.isfinite(values) & ~marked].sum() / known_rows
            if got > share:
                best, read, share = each, values, got
    if share < ENOUGH:
        values = _hours(levels)
        got = counts[np.isfinite(values) & ~marked].sum() / known_rows
        if got > max(share, ENOUGH):
            best, read, share = NumberFormat(clock=True), values, got
    unread = ~np.isfinite(read) & ~marked
    if share < ENOUGH:
        codes = levels[unread].str.strip().str.lower().unique()
        many = len(np.unique(read[np.isfinite(read)])) > 4 * (len(codes) + WORDS)
        if share < KNOWN or len(codes) > WORDS or not many:
            return None
        marked, unread = marked | unread, np.zeros_like(unread)
    markers = {str(word): int(rows[word]) for word in levels[marked]}
    used = np.isfinite(read)
    if parts is not None and not best.clock and best is not PLAIN:
        signs = parts["minus"][used]
        multiples = bool((parts["factor"][used].abs() != 1).any())
        best = replace(best, minus=next(iter(signs[signs != ""]), ""), multiples=multiples)
    best = replace(best, example=_longest(levels[used]))
    number = dict(zip(levels, np.where(marked, np.nan, read), strict=True))
    found = words.map(lambda word: number.get(str(word), np.nan), na_action="ignore")
    return Numbers(found.to_numpy(float, na_value=np.nan), best, markers)


def _unit_of(units: pd.Series, rows: np.ndarray) -> str:
    """The unit that most rows have, of words (n,) that stand in so many rows (n,); or none."""
    times = pd.Series(rows, index=units.index).groupby(units).sum().drop("", errors="ignore")
    often = not times.empty and times.max() >= LEAST_UNIT * rows.sum()
    return str(times.idxmax()) if often else ""


def _longest(words: pd.Series) -> str:
    return max(words.head(1000), key=len, default="")


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


# --- dates -------------------------------------------------------------------------------------

NUMERIC_DATE = r"^\s*(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)"
# A year with a month, three fields of which one is a year, or a month's name: "1-2", "1.1.2" are none.
LIKE_A_DATE = (
    r"\d{4}[-/.]\d{1,2}(?!\d)|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})(?![\d.])|^\d{1,2}/(?:19|20)\d\d$"
    r"|[A-Za-z]{3}.*\d{4}|^\d{1,2}[- ][A-Za-z]{3}[- ]\d{2}(?!\d)"
)
# Numbers that are dates: the unit in which they count from 1970, and up to what size.
Unit = Literal["s", "ms", "us", "ns"]
SINCE_1970: dict[Unit, float] = {"s": 1e10, "ms": 1e13, "us": 1e16}
YEARS = (1800, 2200)


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
    if pd.api.types.is_numeric_dtype(values):
        return _dates_of_numbers(values)
    if order is None:
        text = not pd.api.types.is_datetime64_any_dtype(values)
        order = date_order(values.dropna()) if text else DateOrder(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on formats that pandas has to guess for each value
        return pd.to_datetime(
            values, errors="coerce", utc=True, format="mixed", dayfirst=bool(order.day_first)
        )


def _dates_of_numbers(values: pd.Series) -> pd.Series:
    """Numbers (n,) as timestamps: years, dates such as 20200131, or time since 1970.

    >>> _dates_of_numbers(pd.Series([20200131, 20200201])).dt.day.tolist()
    [31, 1]
    """
    size = float(values.abs().median())
    for form, (low, high) in (("%Y%m%d", (YEARS[0] * 1e4, YEARS[1] * 1e4)), ("%Y", YEARS)):
        if low <= size <= high:
            whole = values.map(lambda value: f"{value:.0f}", na_action="ignore").astype(object)
            return pd.Series(
                pd.to_datetime(whole.tolist(), format=form, errors="coerce", utc=True), values.index
            )
    unit: Unit = next((unit for unit, most in SINCE_1970.items() if not size >= most), "ns")
    return cast(pd.Series, pd.to_datetime(values, unit=unit, errors="coerce", utc=True))


def date_form(words: pd.Series) -> tuple[str, str]:
    """How most dates (n,) are written, digits as 9 and letters as a, and an example; empty without words.

    >>> date_form(pd.Series(["3 May 2020", "12 June 2021"]))
    ('9 a 9', '3 May 2020')
    """
    words = words.dropna().head(SAMPLE).astype(str).str.strip()
    if words.empty:
        return "", ""
    forms = words.str.replace(r"\d+", "9", regex=True)
    forms = forms.str.replace(r"[^\W\d_]+", "a", regex=True)
    form = str(forms.mode().iloc[0])
    return form, str(words[forms == form].iloc[0])


# --- personal data -----------------------------------------------------------------------------

# A suspicion is enough here, and it is told as one. The library phonenumbers checks whether a number can be
# dialled, for which it must know the country; email-validator whether an address is allowed.
PERSONAL = {
    "e-mail addresses": r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}",
    "IBANs": r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?",
    "phone numbers": r"(?:\+|00)\d{1,3}[\s./-]?(?:\(?\d{1,5}\)?[\s./-]?){2,5}"
    r"|\(?0\d{1,4}\)?[\s/-]\d[\d\s-]{4,}|\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}",
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


def comparable_words(words: pd.Series, kinds: Sequence[str] = ()) -> pd.Series:
    """Words (n,) in one way of writing, so that a copy in capitals is still a copy; missing ones stay so.

    Small letters, with one space for all that is neither letter nor digit; whole numbers without point or
    leading zeros; phone numbers and IBANs without anything between their digits.

    Args:
        kinds: what `personal` says of them.

    >>> comparable_words(pd.Series(["Ada@Mail.org ", "ada@mail.org", "0012.0"])).tolist()
    ['ada mail org', 'ada mail org', '12']
    >>> comparable_words(pd.Series(["+49 170-12", "0049 17012"]), ["phone numbers"]).tolist()
    ['004917012', '004917012']
    """
    plain = words.map(lambda word: str(word).strip().casefold(), na_action="ignore")
    plain = plain.astype(object).where(plain.notna())
    if "phone numbers" in kinds or "IBANs" in kinds:
        return plain.str.replace(r"^\+", "00", regex=True).str.replace(r"[\W_]", "", regex=True)
    plain = plain.str.replace(r"^0*(\d+)(\.0+)?$", r"\1", regex=True)
    return plain.str.replace(r"[\W_]+", " ", regex=True).str.strip()
