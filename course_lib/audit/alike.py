"""The same values, written in another way in another file: what is taken as the same, and what is told."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from course_lib.audit.finding import Draft, stated
from course_lib.audit.reading import (
    ENOUGH,
    LIKE_A_DATE,
    Numbers,
    as_dates,
    as_numbers,
    date_form,
    date_order,
    is_marker,
)
from course_lib.audit.schema import FEW

MOST = 1_000  # levels of either file that are compared as words
# Words for yes and no.
TRUTH = dict.fromkeys(
    ["true", "yes", "y", "t", "1", "ja", "oui", "si", "sim", "on", "positive"], True
)
TRUTH |= dict.fromkeys(
    ["false", "no", "n", "f", "0", "nein", "non", "nao", "off", "negative"], False
)
SHOWN = 4


def same_levels(real: Iterable[str], made: Iterable[str]) -> dict[str, str]:
    """Of each level of a second file, that the first writes otherwise, the level of the first.

    Tried are, in this order: letter case, spaces, accents and points; the value of numbers; yes and no;
    the word for what is not known; and, where no level is common to both, abbreviations.

    >>> same_levels(["male", "female", "?"], ["M", "F", "?"]), same_levels(["yes", "no"], [1, 0])
    ({}, {'1': 'yes', '0': 'no'})
    >>> same_levels(["low", "mid", "high"], ["L", "M", "H"])
    {'L': 'low', 'M': 'mid', 'H': 'high'}
    """
    real, made = (list(dict.fromkeys(map(str, levels))) for levels in (real, made))
    ours = [level for level in real if level not in set(made)]
    theirs = [level for level in made if level not in set(real)]
    found: dict[str, str] = {}
    if not ours or not theirs or max(len(ours), len(theirs)) > MOST:
        return found
    for keys in (_folded, _values, _truths, _unknown):
        one, other = keys(ours), keys(theirs)
        level_of = {key: level for level, key in one.items()}
        if len(level_of) < len(one):
            continue  # two levels of the first file would become one
        found |= {level: level_of[key] for level, key in other.items() if key in level_of}
        ours = [level for level in ours if level not in found.values()]
        theirs = [level for level in theirs if level not in found]
    if not found and len(ours) == len(real) and len(theirs) == len(made):
        found = _abbreviated(ours, theirs)
    return found


def folded(text: str) -> str:
    """A word without what people write in two ways: case, accents, spaces, and signs at its ends.

    >>> folded(" New_York."), folded("Zürich")
    ('new york', 'zurich')
    """
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(each for each in letters if not unicodedata.combining(each)).casefold()
    spaced = re.sub(r"[\s_]+", " ", plain).strip()
    return spaced.strip(" .,;:'\"") or spaced


def _folded(levels: Sequence[str]) -> dict[str, str]:
    return {level: folded(level) for level in levels}


def _values(levels: Sequence[str]) -> dict[str, float]:
    numbers = as_numbers(pd.Series(levels, dtype=object))
    if numbers is None or not np.isfinite(numbers.values).all():
        return {}
    return dict(zip(levels, np.round(numbers.values, 12).tolist(), strict=True))


def _truths(levels: Sequence[str]) -> dict[str, bool]:
    truths = {level: TRUTH.get(folded(level)) for level in levels}
    known = {level: truth for level, truth in truths.items() if truth is not None}
    return known if len(known) == len(truths) <= 2 else {}


def _unknown(levels: Sequence[str]) -> dict[str, bool]:
    marked = is_marker(pd.Series(levels, dtype=object))
    return {level: True for level, mark in zip(levels, marked, strict=True) if mark}


def _abbreviated(ours: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """One to one, if each level of one file is the beginning of one level of the other."""
    if len(ours) != len(theirs) or len(ours) < 2:
        return {}
    for short, long in ((theirs, ours), (ours, theirs)):
        fits = {a: [b for b in long if folded(b).startswith(folded(a))] for a in short}
        pairs = [(a, b[0]) for a, b in fits.items() if len(b) == 1]
        if len({b for _, b in pairs}) == len(short) and all(a.isalpha() for a in short):
            return dict(pairs) if short is theirs else {b: a for a, b in pairs}
    return {}


def levels_told(same: Mapping[str, str], part: str = "synthetic", other: str = "real") -> str:
    """What was taken as the same, in words.

    >>> levels_told({"M": "male"})
    "the synthetic data use other words than the real data; read 'M' as 'male'"
    """
    pairs = [f"'{level}' as '{real}'" for level, real in same.items()]
    more = f" and {len(pairs) - SHOWN:,} more" if len(pairs) > SHOWN else ""
    told = " and ".join(pairs) if len(pairs) == 2 else ", ".join(pairs[:SHOWN])
    return f"the {part} data use other words than the {other} data; read {told}{more}"


def dates_differ(name: str, sides: Sequence[pd.Series]) -> Iterator[Draft]:
    """A draft where the real and the synthetic file write dates in two ways.

    >>> (draft,) = dates_differ("day", [pd.Series(["2020-01-31"]), pd.Series(["31.01.2020"])])
    >>> draft.finding.id
    'coding[day]'
    """
    forms = [date_form(side) if _is_written(side) else ("", "") for side in sides]
    orders = [date_order(side.dropna()) if _is_written(side) else None for side in sides]
    sure = {order.day_first for order in orders if order and order.certain}
    if not all(form for form, _ in forms) or (
        len({form for form, _ in forms}) < 2 and len(sure) < 2
    ):
        return
    one, other = (
        f"like '{example}'{'' if order is None else FIRST[order.day_first]}"
        for (_, example), order in zip(forms, orders, strict=True)
    )
    told = f"dates are written {one} in the real data, and {other} in the synthetic data; both were read"
    yield stated("coding", name, "warn", told, [name])


FIRST = {None: "", True: ", the day first", False: ", the month first"}


def _is_written(values: pd.Series) -> bool:
    """Whether the values are words or numbers, and not timestamps."""
    return is_text(values) or pd.api.types.is_numeric_dtype(values)


def is_text(values: pd.Series) -> bool:
    """Whether the values are words, as far as their type tells.

    >>> is_text(pd.Series(["a"])), is_text(pd.Series([1.5]))
    (True, False)
    """
    return bool(values.dtype == object or pd.api.types.is_string_dtype(values))


# --- the holdout -------------------------------------------------------------------------------


def holdout_as_training(
    train: pd.DataFrame, holdout: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, list[Draft]]:
    """Both real tables with values written in one way, and what had to be changed for it.

    >>> train, holdout = (pd.DataFrame({"sex": words * 20}) for words in (["male", "female"], ["M", "F"]))
    >>> holdout_as_training(train, holdout)[1]["sex"].tolist()[:2]
    ['male', 'female']
    """
    drafts, changed = [], {}
    for name in train.columns:
        if name not in holdout.columns:
            continue
        one, other = train[name], holdout[name]
        if not (is_text(one) or is_text(other) or one.dtype != other.dtype):
            continue
        try:
            found = _as_one(one, other)
        except TypeError:  # lists and records
            continue
        if found:
            told, changed[name] = found
            drafts.append(stated("coding", f"{name}, holdout", "warn", told, [name]))
    if changed:
        train = train.assign(**{name: both[0] for name, both in changed.items()})
        holdout = holdout.assign(**{name: both[1] for name, both in changed.items()})
    return train, holdout, drafts


def _as_one(one: pd.Series, other: pd.Series) -> tuple[str, tuple[pd.Series, pd.Series]] | None:
    """Two columns written in one way, and what was taken as the same; None if nothing is to be changed."""
    sides = one, other
    words = [pd.Series(side.dropna().unique(), dtype=object).astype(str) for side in sides]
    known = all(is_text(side) or pd.api.types.is_numeric_dtype(side) for side in sides)
    if not known or not all(map(len, words)):
        return None
    if any(map(is_text, sides)):
        read = [as_numbers(each) for each in words]
        if read[0] and read[1] and min(map(len, words)) > FEW:
            return _numbers_as_one(sides, words, (read[0], read[1]))
        if all(each.str.contains(LIKE_A_DATE).mean() >= ENOUGH for each in words):
            return _dates_as_one(sides, words)
    names = [{level_name(each): each for each in side.dropna().unique()} for side in sides]
    same = same_levels(*names)
    to = {names[1][level]: names[0][real] for level, real in same.items()}
    aligned = other.astype(object).map(lambda value: to.get(value, value), na_action="ignore")
    return (levels_told(same, "holdout", "training"), (one, aligned)) if same else None


def _numbers_as_one(
    sides: tuple[pd.Series, pd.Series], words: Sequence[pd.Series], read: tuple[Numbers, Numbers]
) -> tuple[str, tuple[pd.Series, pd.Series]] | None:
    ways = {
        (way.decimal, way.thousands, way.unit, way.clock) for way in (each.format for each in read)
    }
    if len(ways) == 1:
        return None
    one, other = (
        side.map(dict(zip(each, numbers.values, strict=True)).get, na_action="ignore").astype(float)
        for side, each, numbers in zip(
            (side.astype(object).map(str, na_action="ignore") for side in sides),
            words,
            read,
            strict=True,
        )
    )
    told = f"numbers such as '{words[1].iloc[0]}' and '{words[0].iloc[0]}' were both read"
    return told, (one, other)


def _dates_as_one(
    sides: tuple[pd.Series, pd.Series], words: Sequence[pd.Series]
) -> tuple[str, tuple[pd.Series, pd.Series]] | None:
    forms = [date_form(each) for each in words]
    orders = [date_order(each) for each in words]
    sure = [order for order in orders if order.certain and order.day_first is not None]
    if forms[0][0] == forms[1][0] and len({order.day_first for order in sure}) < 2:
        return None
    one, other = (
        as_dates(side, sure[0] if sure and not order.certain else order)
        for side, order in zip(sides, orders, strict=True)
    )
    told = f"dates such as '{forms[1][1]}' and '{forms[0][1]}' were both read"
    return told, (one, other)


def level_name(value: object) -> str:
    """A level's name, equal whatever file it came from: 1, 1.0 and "1" are one, True and "True".

    >>> level_name(1.0), level_name("1"), level_name(True), level_name(b"a")
    ('1', '1', 'True', 'a')
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = str(value).strip()
    if isinstance(value, bool | np.bool_):
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:.15g}" if np.isfinite(number) else text
