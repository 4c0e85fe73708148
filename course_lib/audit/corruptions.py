"""Planted faults: each function damages a copy of a table and says truly what it did.

A good audit finds them; with these functions an audit can be tested. All of them take any
DataFrame, mixed types and missing values included, leave it as it is, and return the damaged copy
with a `Damage`. Rows keep their number, order and index, and columns their type, unless said
otherwise. One seed, one result.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import (
    is_bool_dtype,
    is_integer_dtype,
    is_list_like,
    is_numeric_dtype,
)

from course_lib.syllabus import unknown

BINS = 10  # a column with more distinct numbers than this is cut into as many equal shares


@dataclass(frozen=True)
class Damage:
    """What was done to a table: the truth that an audit should find.

    Attributes:
        kind: the name of the function.
        columns: the columns that it concerns; all of them where whole rows were replaced.
        where: the rows or values concerned, e.g. {"sex": "female"}; empty if they are everywhere.
        strength: the number that the function was asked for (a share, a factor, a step).
        sentence: the same in plain words.
    """

    kind: str
    columns: tuple[str, ...]
    strength: float
    sentence: str
    where: dict[str, Any] = field(default_factory=dict)


Damaged = tuple[pd.DataFrame, Damage]


def scale_labels(
    table: pd.DataFrame,
    label: str,
    group: Mapping[str, Any],
    factor: float = 0.5,
    *,
    positive: object = True,
    seed: int = 0,
) -> Damaged:
    """Multiply the number of positive labels in one group by `factor`, by flipping random ones.

    Args:
        label: a column of two values; missing ones stay missing.
        group: column -> level, or a list of levels; rows must match all.
        factor: 0 or more; above 1, negatives are made positive.
        positive: the value that counts as positive.

    Raises:
        ValueError: if the label is not of two values, the group is empty or unknown, or there are
            too few negatives for the factor.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = scale_labels(table, "paid", {"sex": "f"})
    >>> damage.sentence
    'Where sex is f, the number of rows with paid = True was multiplied by 0.5.'
    """
    rng = np.random.default_rng(seed)
    values = _column(table, label)
    levels = list(values.dropna().unique())
    if len(levels) != 2 or positive not in levels:
        raise ValueError(
            f"A label has two values, and one of them is positive={positive!r}; {label} has "
            f"{_some(levels)}. Name the positive one, or take another column."
        )
    if not 0 <= factor < np.inf:
        raise ValueError(f"The factor must be 0 or more, and finite; got {factor}.")
    (negative,) = (level for level in levels if level != positive)
    inside = _members(table, group)
    is_positive = np.flatnonzero(inside & (values == positive).fillna(False).to_numpy(bool))
    is_negative = np.flatnonzero(inside & (values == negative).fillna(False).to_numpy(bool))
    change = round(factor * len(is_positive)) - len(is_positive)
    source, new = (is_positive, negative) if change < 0 else (is_negative, positive)
    if abs(change) > len(source):
        raise ValueError(
            f"{_words(group)} has {len(is_positive)} positives and {len(is_negative)} negatives: "
            f"too few to multiply the positives by {factor}. Take a smaller factor."
        )
    damaged = table.copy()
    values = values.copy()
    values.iloc[rng.choice(source, abs(change), replace=False)] = new
    damaged[label] = values.array
    return damaged, Damage(
        "scale_labels",
        (label,),
        factor,
        f"Where {_words(group)}, the number of rows with {label} = {positive} was multiplied by "
        f"{factor:g}.",
        dict(group),
    )


def erase_group(
    table: pd.DataFrame, group: Mapping[str, Any], keep: float = 0.0, *, seed: int = 0
) -> Damaged:
    """Erase a group or an intersection, except for a share `keep` of its rows.

    The rows are replaced by rows drawn from outside the group, so their number stays.

    Args:
        group: column -> level, or a list of levels; rows must match all.
        keep: 0 to 1.

    Raises:
        ValueError: for a group that is unknown, empty or everybody, or a share out of range.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = erase_group(table, {"sex": "f"})
    >>> set(damaged["sex"])
    {'m'}
    """
    rng = np.random.default_rng(seed)
    _share(keep, "keep")
    inside = _members(table, group)
    if inside.all():
        raise ValueError(f"All rows have {_words(group)}; no row is left to take their place.")
    members = np.flatnonzero(inside)
    gone = rng.choice(members, len(members) - round(keep * len(members)), replace=False)
    return _resampled(table, gone, np.flatnonzero(~inside), rng), Damage(
        "erase_group",
        tuple(table.columns),
        keep,
        f"Of the rows where {_words(group)}, a share of {keep:g} was kept; other rows took the "
        "place of the rest.",
        dict(group),
    )


def cut_tails(table: pd.DataFrame, column: str, share: float = 0.01) -> Damaged:
    """Clip a column of numbers at its quantiles `share` and 1 - `share`.

    Values beyond are set to the quantile itself, which heaps them there; the other columns stay.
    Both quantiles are values of the column, so whole numbers stay whole.

    Args:
        share: above 0 and below 0.5.

    Raises:
        ValueError: for a column without numbers or a share out of range.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = cut_tails(table, "age", 0.1)
    >>> damage.sentence
    'age was clipped to 10 to 89, its quantiles 0.1 and 0.9.'
    """
    values = _numbers(table, column)
    if not 0 < share < 0.5:
        raise ValueError(f"The share of each tail must lie between 0 and 0.5; got {share}.")
    known = values.dropna()
    ends: list[Any] = [known.quantile(share, "higher"), known.quantile(1 - share, "lower")]
    low, high = ends
    damaged = table.copy()
    damaged[column] = values.clip(low, high).array
    return damaged, Damage(
        "cut_tails",
        (column,),
        share,
        f"{column} was clipped to {low:g} to {high:g}, its quantiles {share:g} and {1 - share:g}.",
    )


def break_correlation(
    table: pd.DataFrame, column: str, share: float = 1.0, *, seed: int = 0
) -> Damaged:
    """Permute a column among a random share of the rows: its own distribution stays, its
    correlations with others are lost.

    Args:
        share: above 0 to 1; of all correlations with other columns, about 1 - `share` is left.

    Raises:
        ValueError: for an unknown column or a share out of range.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = break_correlation(table, "age")
    >>> damage.sentence
    'age was shuffled among a share of 1 of the rows.'
    """
    rng = np.random.default_rng(seed)
    values = _column(table, column)
    chosen = _some_rows(len(table), share, rng)
    order = np.arange(len(table))
    order[chosen] = rng.permutation(chosen)
    damaged = table.copy()
    damaged[column] = values.array.take(order)
    return damaged, Damage(
        "break_correlation",
        (column,),
        share,
        f"{column} was shuffled among a share of {share:g} of the rows.",
    )


def invent_category(
    table: pd.DataFrame,
    column: str,
    level: str = "never seen",
    share: float = 0.01,
    *,
    seed: int = 0,
) -> Damaged:
    """Write a level that the column does not have into a random share of the rows.

    Args:
        column: text or categories; of a pandas Categorical the categories grow by one.
        share: above 0 to 1; at least one row is changed.

    Raises:
        ValueError: for a column of numbers, a level that is there already, or a share out of range.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = invent_category(table, "sex", "x")
    >>> int((damaged["sex"] == "x").sum())
    1
    """
    rng = np.random.default_rng(seed)
    values = _column(table, column).copy()
    if is_numeric_dtype(values):
        raise ValueError(f"{column} holds numbers or truth values; name a column of categories.")
    if (values == level).any():
        raise ValueError(f"{column} has the level {level!r} already; choose another name.")
    if isinstance(values.dtype, pd.CategoricalDtype) and level not in values.cat.categories:
        values = values.cat.add_categories([level])
    values.iloc[_some_rows(len(table), share, rng)] = level
    damaged = table.copy()
    damaged[column] = values.array
    return damaged, Damage(
        "invent_category",
        (column,),
        share,
        f"{column} is {level!r}, which the real data do not have, in a share of {share:g} of the "
        "rows.",
        {column: level},
    )


def change_unit(table: pd.DataFrame, column: str, factor: float) -> Damaged:
    """Multiply a column of numbers by a constant, as if it were told in another unit.

    Whole numbers stay whole if the factor is an integer, and become floats otherwise.

    Args:
        factor: any positive number but 1.

    Raises:
        ValueError: for a column without numbers or another factor.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = change_unit(table, "age", 12)
    >>> damage.sentence
    'age was multiplied by 12 throughout.'
    """
    values = _numbers(table, column)
    if not 0 < factor < np.inf or factor == 1:
        raise ValueError(f"The factor must be positive, finite and not 1; got {factor}.")
    damaged = table.copy()
    damaged[column] = (values * factor).array
    return damaged, Damage(
        "change_unit", (column,), factor, f"{column} was multiplied by {factor:g} throughout."
    )


def copy_training(
    table: pd.DataFrame,
    training: pd.DataFrame,
    share: float = 0.05,
    *,
    noise: float = 0.0,
    seed: int = 0,
) -> Damaged:
    """Replace a random share of the rows by copies of distinct training rows.

    Args:
        training: the rows to copy; the same columns in any order.
        share: above 0 to 1.
        noise: 0 for verbatim copies; else each number of a copy moves by a normal error of `noise`
            standard deviations of its training column, within the range of that column. Whole
            numbers are rounded again; truth values, texts and missing values stay.

    Raises:
        ValueError: for other columns, too few training rows, a share out of range or noise below 0.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = copy_training(table, table, 0.1)
    >>> damage.sentence
    'A share of 0.1 of the rows are verbatim copies of training rows.'
    """
    rng = np.random.default_rng(seed)
    if set(training.columns) != set(table.columns):
        odd = sorted(map(str, set(training.columns) ^ set(table.columns)))
        raise ValueError(f"Both tables need the same columns; only one of them has {_some(odd)}.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"The noise must be 0 or more, and finite; got {noise}.")
    rows = _some_rows(len(table), share, rng)
    if len(rows) > len(training):
        raise ValueError(
            f"{len(rows)} copies are wanted and there are {len(training)} training rows. "
            "Take a smaller share."
        )
    training = training[table.columns]
    copies = training.iloc[rng.choice(len(training), len(rows), replace=False)].copy()
    for name in table.columns if noise else ():
        numbers = training[name]
        if is_numeric_dtype(numbers) and not is_bool_dtype(numbers):
            moved = copies[name] + noise * numbers.std() * rng.standard_normal(len(copies))
            moved = moved.clip(numbers.min(), numbers.max())
            whole = is_integer_dtype(numbers)
            copies[name] = (moved.round() if whole else moved).astype(numbers.dtype)
    places = np.arange(len(table))
    places[rows] = len(table) + np.arange(len(rows))
    damaged = pd.concat([table, copies]).iloc[places].set_axis(table.index)
    how = f"copies of training rows, with noise of {noise:g} standard deviations"
    return damaged, Damage(
        "copy_training",
        tuple(table.columns),
        share,
        f"A share of {share:g} of the rows are {how if noise else 'verbatim copies of training rows'}.",
    )


def drop_modes(
    table: pd.DataFrame, column: str, modes: int | Sequence[Any] = 1, *, seed: int = 0
) -> Damaged:
    """Drop modes of one column, as a collapsed generator does: their rows become rows of others.

    A mode is a level of the column; of a column with more than ten distinct numbers, one of ten
    ranges of equal share. Unlike `erase_group`, which takes a group of people away, this strikes
    wherever a column has several modes, and may choose them by itself.

    Args:
        modes: how many to drop, chosen at random; or which: a list of levels or, for numbers, of
            pairs (low, high), both ends included.

    Raises:
        ValueError: for an unknown or empty mode, or if no other mode would be left.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = drop_modes(table, "sex", ["m"])
    >>> set(damaged["sex"])
    {'f'}
    """
    rng = np.random.default_rng(seed)
    values = _column(table, column)
    ranged = is_numeric_dtype(values) and values.nunique() > BINS
    if isinstance(modes, int | np.integer):
        there = _ranges(values) if ranged else list(values.dropna().unique())
        if not 0 < modes < len(there):
            raise ValueError(
                f"{column} has {len(there)} modes: drop at least 1 and at most {len(there) - 1}; "
                f"got {modes}."
            )
        modes = [there[i] for i in sorted(rng.choice(len(there), modes, replace=False))]
    modes = list(modes)
    gone = np.zeros(len(table), bool)
    for mode in modes:
        hit = values.between(*mode) if is_list_like(mode) else values == mode
        if not hit.any():
            raise ValueError(f"No row has {column} = {mode!r}. It has {_some(values.unique())}.")
        gone |= hit.fillna(False).to_numpy(bool)
    if not modes or gone.all():
        raise ValueError(f"Name at least one mode of {column}, and leave at least one.")
    share = float(gone.mean())
    return _resampled(table, np.flatnonzero(gone), np.flatnonzero(~gone), rng), Damage(
        "drop_modes",
        tuple(table.columns),
        share,
        f"No row is left with {column} in {_some(modes)}; other rows took the place of theirs, a "
        f"share of {share:.3g}.",
        {column: modes},
    )


def round_values(table: pd.DataFrame, column: str, to: float) -> Damaged:
    """Round a column of numbers to multiples of `to`; halves go to the even multiple.

    Whole numbers stay whole if `to` is whole, and become floats otherwise.

    Raises:
        ValueError: for a column without numbers or a step that is not positive.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = round_values(table, "age", 10)
    >>> damage.sentence
    'age was rounded to multiples of 10.'
    """
    values = _numbers(table, column)
    if not 0 < to < np.inf:
        raise ValueError(f"The step to round to must be positive and finite; got {to}.")
    rounded = (values / to).round() * to
    if float(to).is_integer():
        rounded = rounded.astype(values.dtype)
    damaged = table.copy()
    damaged[column] = rounded.array
    return damaged, Damage(
        "round_values", (column,), to, f"{column} was rounded to multiples of {to:g}."
    )


def add_proxy(
    table: pd.DataFrame, column: str, of: str, fidelity: float = 0.95, *, seed: int = 0
) -> Damaged:
    """Turn a column into a near-deterministic proxy of another, with the values it already has.

    Its values, in their order, are cut into one block for each level of `of`, as large as that
    level is frequent (as nearly as whole values allow). Then each row gets, with probability
    `fidelity`, a value of its own level's block, drawn as often as the block holds it; the other
    rows keep what they have. Rows with `of` missing stay.

    Args:
        of: the sensitive column, two levels or more.
        fidelity: above 0 to 1.

    Raises:
        ValueError: for one column twice, too few distinct values in `column`, or a fidelity out of
            range.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = add_proxy(table, "age", of="sex", fidelity=1.0)
    >>> damaged.groupby("sex")["age"].max().tolist()
    [48, 97]
    """
    rng = np.random.default_rng(seed)
    values, sensitive = _column(table, column), _column(table, of)
    _share(fidelity, "fidelity", positive=True)
    shares = sensitive.value_counts(normalize=True).sort_index()
    codes, distinct = pd.factorize(values, sort=True)  # -1 where missing
    if column == of or not 2 <= len(shares) <= len(distinct):
        raise ValueError(
            f"{column} has {len(distinct)} distinct values and {of} {len(shares)}: a proxy is "
            f"another column with at least as many, of something with two or more."
        )
    # Block i holds the values from ends[i - 1] up to ends[i], at least one.
    counts = np.bincount(codes[codes >= 0])
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    blocks = np.arange(1, len(shares))
    ends = np.searchsorted(middle, np.cumsum(shares.to_numpy(float))[:-1])
    ends = np.maximum.accumulate(np.maximum(ends, blocks) - blocks) + blocks
    ends = np.minimum(ends, len(distinct) - len(shares) + blocks)
    block = np.where(codes >= 0, np.searchsorted(ends, codes, side="right"), -1)
    told = rng.random(len(table)) < fidelity
    order = np.arange(len(table))
    for i, level in enumerate(shares.index):
        rows = np.flatnonzero(told & (sensitive == level).fillna(False).to_numpy(bool))
        order[rows] = rng.choice(np.flatnonzero(block == i), len(rows))
    damaged = table.copy()
    damaged[column] = values.array.take(order)
    return damaged, Damage(
        "add_proxy",
        (column,),
        fidelity,
        f"{column} gives {of} away: each level has values of its own, with probability "
        f"{fidelity:g}.",
    )


def repeat_rows(table: pd.DataFrame, times: int, *, seed: int = 0) -> Damaged:
    """Keep one of `times` rows, and write each of those `times` times, in the place of the others.

    Args:
        times: 2 or more, and no more than there are rows.

    Raises:
        ValueError: for another number.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = repeat_rows(table, 10)
    >>> len(damaged), damaged["age"].nunique()
    (100, 10)
    """
    if not 2 <= times <= len(table):
        raise ValueError(f"Rows are repeated 2 to {len(table)} times here; got {times}.")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table))
    places = np.empty(len(table), int)
    places[order] = order[np.arange(len(table)) % -(-len(table) // times)]
    return table.iloc[places].set_axis(table.index), Damage(
        "repeat_rows",
        tuple(table.columns),
        times,
        f"Each row that is left stands about {times} times in the table.",
    )


def lose_values(
    table: pd.DataFrame,
    column: str,
    share: float = 0.1,
    group: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
) -> Damaged:
    """Make the values of a random share of the rows missing, of all rows or of one group.

    Whole numbers of NumPy become floats, and truth values objects, since they cannot be missing.

    Args:
        share: above 0 to 1; at least one row loses its value.
        group: column -> level, or a list of levels; rows must match all.

    Raises:
        ValueError: for an unknown column, a share out of range, or a group without rows.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "age": range(100), "paid": [True, False] * 50})
    >>> damaged, damage = lose_values(table, "age", 0.2, {"sex": "f"})
    >>> int(damaged["age"].isna().sum())
    10
    """
    rng = np.random.default_rng(seed)
    values = _column(table, column)
    rows = np.arange(len(table)) if group is None else np.flatnonzero(_members(table, group))
    gone = np.zeros(len(table), bool)
    gone[rows[_some_rows(len(rows), share, rng)]] = True
    damaged = table.copy()
    damaged[column] = values.mask(gone).array
    where = "" if group is None else f" where {_words(group)}"
    return damaged, Damage(
        "lose_values",
        (column,),
        share,
        f"{column} was made missing in a share of {share:g} of the rows{where}.",
        dict(group or {}),
    )


def fill_missing(table: pd.DataFrame, column: str, share: float = 1.0, *, seed: int = 0) -> Damaged:
    """Give a random share of the rows without a value one of another row.

    Args:
        share: above 0 to 1, of the missing values; at least one is filled.

    Raises:
        ValueError: for a column without missing values, or without any other, or a share out of range.

    >>> table = pd.DataFrame({"age": [20.0, None, 40.0, None], "paid": [True, False] * 2})
    >>> damaged, damage = fill_missing(table, "age", 0.5)
    >>> int(damaged["age"].isna().sum())
    1
    """
    rng = np.random.default_rng(seed)
    values = _column(table, column)
    gone, known = np.flatnonzero(values.isna()), np.flatnonzero(values.notna())
    if not len(gone) or not len(known):
        raise ValueError(f"{column} needs rows with a value and rows without one.")
    filled = gone[_some_rows(len(gone), share, rng)]
    order = np.arange(len(table))
    order[filled] = rng.choice(known, len(filled))
    damaged = table.copy()
    damaged[column] = values.array.take(order)
    return damaged, Damage(
        "fill_missing",
        (column,),
        share,
        f"A share of {share:g} of the missing values of {column} was filled with other rows' values.",
    )


def noise_labels(
    table: pd.DataFrame,
    label: str,
    group: Mapping[str, Any],
    share: float = 1.0,
    *,
    seed: int = 0,
) -> Damaged:
    """Give a random share of the rows of one group the labels of each other, by lot.

    How often the group has each label stays; who has it becomes chance.

    Args:
        group: column -> level, or a list of levels; rows must match all.
        share: above 0 to 1.

    Raises:
        ValueError: for an unknown column or level, an empty group, or a share out of range.

    >>> table = pd.DataFrame({"sex": list("fm") * 50, "paid": [True] * 50 + [False] * 50})
    >>> damaged, damage = noise_labels(table, "paid", {"sex": "f"})
    >>> int(damaged["paid"].sum()), damaged["paid"].equals(table["paid"])
    (50, False)
    """
    rng = np.random.default_rng(seed)
    values = _column(table, label)
    rows = np.flatnonzero(_members(table, group))
    chosen = rows[_some_rows(len(rows), share, rng)]
    order = np.arange(len(table))
    order[chosen] = rng.permutation(chosen)
    damaged = table.copy()
    damaged[label] = values.array.take(order)
    return damaged, Damage(
        "noise_labels",
        (label,),
        share,
        f"Where {_words(group)}, a share of {share:g} of the rows changed their {label} with each other.",
        dict(group),
    )


# --- what they share ------------------------------------------------------------------------------


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table.columns:
        raise ValueError(unknown("column", name, table.columns))
    return table[name]


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    values = _column(table, name)
    if not is_numeric_dtype(values) or is_bool_dtype(values) or values.isna().all():
        raise ValueError(f"{name} holds no numbers; name a column that does.")
    return values


def _members(table: pd.DataFrame, group: Mapping[str, Any]) -> np.ndarray:
    """Which rows match all columns of a group; there must be some."""
    if not isinstance(group, Mapping) or not group:
        raise ValueError(f"A group is written like {{'sex': 'female'}}; got {group!r}.")
    inside = np.ones(len(table), bool)
    for name, levels in group.items():
        values = _column(table, name)
        levels = list(levels) if is_list_like(levels) else [levels]
        for level in levels:
            if not (values == level).any():
                raise ValueError(f"No row has {name} = {level!r}. It has {_some(values.unique())}.")
        inside &= values.isin(levels).to_numpy(bool)
    if not inside.any():
        raise ValueError(f"No row has all of {_words(group)}.")
    return inside


def _share(value: float, name: str, *, positive: bool = False) -> None:
    if not 0 <= value <= 1 or (positive and value == 0):
        raise ValueError(f"{name} must lie {'above 0 and ' * positive}within 0 to 1; got {value}.")


def _some_rows(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """The positions of a random share of n rows, at least one."""
    if n == 0:
        raise ValueError("The table has no rows.")
    _share(share, "The share", positive=True)
    return rng.choice(n, max(1, round(share * n)), replace=False)


def _resampled(
    table: pd.DataFrame, gone: np.ndarray, donors: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """The table with the rows at `gone` replaced by random rows from `donors`."""
    places = np.arange(len(table))
    places[gone] = rng.choice(donors, len(gone))
    return table.iloc[places].set_axis(table.index)


def _ranges(values: pd.Series) -> list[tuple[float, float]]:
    """Ranges (low, high) that hold about a tenth of the values each and share none."""
    known = np.sort(values.dropna().to_numpy(float))
    edges = np.unique(known[np.arange(BINS) * len(known) // BINS])
    ends = [known[known < edge][-1] for edge in edges[1:]] + [known[-1]]
    return [(float(low), float(high)) for low, high in zip(edges, ends, strict=True)]


def _words(group: Mapping[str, Any]) -> str:
    return " and ".join(
        f"{name} is {' or '.join(map(str, levels)) if is_list_like(levels) else levels}"
        for name, levels in group.items()
    )


def _some(values: Iterable[object]) -> str:
    """Up to eight values in words."""
    values = list(values)
    shown = ", ".join(str(value) for value in values[:8])
    return shown + ", ..." * (len(values) > 8) if shown else "none"
