"""What is watched: streams of e-values, one a day each, and their evidence together.

Streams of the arriving rows ask whether today's rows and all accepted ones come from one source: each
number by its distribution and by a bet on a shift, and whether one value of it has become frequent; each
level by its share; the same within each group, with the rate of the label; and how many rows repeat
another. Once a week the same is asked of seven days together. The labels have a gate, see `labels`.
Streams of the generated rows ask whether they are within a tolerance: of the real rows' distributions, of
their tails and rare levels, and of how much nearer they are to rows that the generator has seen than to
rows that it cannot have seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom

from course_lib.pipeline.contract import Contract
from course_lib.pipeline.sequential import (
    Ranked,
    e_value,
    group_p_values,
    one_value_p_value,
    share_p_value,
)

MOST_EVIDENCE = 1e12  # more is no news
TAIL = 0.05  # the part of the real rows on either side that counts as a tail
# What the streams' names begin with, and each family's part of the evidence together.
FAMILIES = {
    "column": 0.2,
    "group": 0.2,
    "rows": 0.05,
    "week": 0.15,
    "label": 0.15,
    "generated": 0.25,
}
WEEK = 7


@dataclass(frozen=True)
class Tolerance:
    """How far a generator may be from the real rows before that counts against it.

    Attributes:
        distance: of two distribution functions, or of two shares of a level.
        kept: the part of the tails and of a level's rows that must be there.
        nearer: how much more than half of the generated rows may be nearer to seen rows, if as many were
            seen as were not.
    """

    distance: float = 0.15
    kept: float = 0.7
    nearer: float = 0.05


class Values(NamedTuple):
    """What a stream says of one day: a p-value, and the e-value that counts as its evidence."""

    p: float
    e: float


def of_p(p: float) -> Values:
    """A p-value with the e-value that it is exchanged for."""
    return Values(p, float(e_value(np.array(p))))


def arriving_values(
    today: pd.DataFrame, before: pd.DataFrame, contract: Contract
) -> dict[str, Values]:
    """What the streams of the arriving rows say, by name.

    Against all accepted rows and not against a fixed reference: the ranks of each day among all days up
    to it are independent of the ranks before, and so are the p-values and the e-values. Against a fixed
    reference they all share its error.

    The e-value of a number is the mean of two: that of its distribution's p-value, which finds any change,
    and the bet on a shift, which finds that one sooner. A mean of e-values is an e-value, whatever depends
    on what (Vovk and Wang 2021, section 3).

    Args:
        today, before: tables that keep the contract.
    """
    found: dict[str, Values] = {}
    both = pd.concat([today, before], ignore_index=True)
    is_today = np.arange(len(both)) < len(today)
    codes = {
        name: pd.Categorical(both[name], categories=rule.levels).codes
        for name, rule in contract.columns.items()
        if not rule.numeric
    }
    groups = {
        f"{name}={level}": codes[name] == code
        for name in contract.groups
        for code, level in enumerate(contract.columns[name].levels)
    }

    def share(marked: np.ndarray) -> Values:
        now, then = marked & is_today, marked & ~is_today
        return of_p(share_p_value(int(now.sum()), len(today), int(then.sum()), len(before)))

    def number(ranked: Ranked, inside: np.ndarray | None = None) -> Values:
        p, e = of_p(ranked.p_value(inside))
        return Values(p, (e + ranked.shift_e_value(inside)) / 2)

    for name, rule in contract.columns.items():
        family = "group" if name in contract.groups else "column"
        if rule.missing:
            found[f"{family} {name}: missing"] = share(both[name].isna().to_numpy(bool))
        for code, level in enumerate(rule.levels):
            found[f"{family} {name}={level}: share"] = share(codes[name] == code)
        if rule.numeric:
            there = both[name].notna().to_numpy(bool)
            x = both[name].to_numpy(float, na_value=np.nan)
            ranked = Ranked(x[there & is_today], x[there & ~is_today])
            found[f"column {name}"] = number(ranked)
            p = one_value_p_value(x[there & is_today], x[there & ~is_today])
            found[f"column {name}: one value"] = of_p(p)
            for group, mask in groups.items():
                found[f"group {group}: {name}"] = number(ranked, mask[there])
    label = contract.columns.get(contract.label or "")
    if label and not label.numeric:
        positive = (codes[str(contract.label)] == len(label.levels) - 1).astype(int)
        for name in contract.groups:
            levels = contract.columns[name].levels
            place = np.where(codes[name] < 0, len(levels), codes[name])
            p_values = group_p_values(
                positive[is_today], place[is_today], positive[~is_today], place[~is_today]
            )
            for level, p in zip(levels, p_values, strict=False):
                rate = f"rate of {contract.label}={label.levels[-1]}"
                found[f"group {name}={level}: {rate}"] = of_p(float(p))
    found["rows: repeated"] = share(both.duplicated(keep=False).to_numpy(bool))
    return found


def weekly_values(
    days: Sequence[pd.DataFrame], before: pd.DataFrame, contract: Contract
) -> dict[str, Values]:
    """The same for the last seven days together, every seventh day: small targets need many rows.

    Args:
        days: today and the accepted days before it, the last one today.
        before: the rows that were trusted before the first of them.

    Returns:
        No stream at all on six of seven days.
    """
    if not days or len(days) % WEEK:
        return {}
    week = pd.concat(days[-WEEK:], ignore_index=True)
    earlier = pd.concat([before, *days[:-WEEK]], ignore_index=True)
    found = arriving_values(week, earlier, contract)
    return {f"week: {name}": value for name, value in found.items() if not name.startswith("rows")}


def generated_values(
    generated: pd.DataFrame,
    seen: pd.DataFrame,
    holdout: pd.DataFrame,
    today: pd.DataFrame,
    contract: Contract,
    tolerance: Tolerance = Tolerance(),
) -> dict[str, Values]:
    """What the streams of the generated rows say, by name, each against its tolerance.

    Args:
        generated: what the generator made. It may have missing values only where the contract says so.
        seen: the rows that it learnt from.
        holdout: accepted rows that were kept from it. If they leaked, a copy of them is as near to one
            side as to the other, and they no longer show that it memorises.
        today: the rows of today. They arrived after it had learnt, so no leak can have shown them to it.
    """
    p: dict[str, float] = {}
    real = pd.concat([seen, holdout], ignore_index=True)
    n = len(generated)
    for name, rule in contract.columns.items():
        if rule.numeric:
            x, made = (table[name].dropna().to_numpy(float) for table in (real, generated))
            p[f"generated: distance of {name}"] = Ranked(made, x).p_value(
                tolerance=tolerance.distance
            )
            p[f"generated: tails of {name}"] = _tails_p_value(made, x, tolerance.kept)
            continue
        for level in rule.levels:
            k, share = int((generated[name] == level).sum()), float((real[name] == level).mean())
            p[f"generated: {name}={level} kept"] = float(binom.cdf(k, n, tolerance.kept * share))
            over = max(abs(k / n - share) - tolerance.distance, 0.0)
            bound = 2 * np.exp(-2 * over**2 * n * len(real) / (n + len(real)))
            p[f"generated: share of {name}={level}"] = float(min(1.0, bound))
    unseen = pd.concat([holdout, today], ignore_index=True)
    p["generated: memorised"] = nearer_p_value(generated, seen, unseen, tolerance.nearer)
    p["generated: memorised, by today"] = nearer_p_value(generated, real, today, tolerance.nearer)
    return {name: of_p(value) for name, value in p.items()}


def _tails_p_value(made: np.ndarray, real: np.ndarray, kept: float) -> float:
    low, high = np.quantile(real, [TAIL, 1 - TAIL])
    share = float(((real < low) | (real > high)).mean())  # less than 2 TAIL where values tie
    k = int(((made < low) | (made > high)).sum())
    return float(binom.cdf(k, len(made), kept * share))


def nearer_p_value(
    generated: pd.DataFrame, seen: pd.DataFrame, unseen: pd.DataFrame, tolerance: float
) -> float:
    """p-value that more generated rows are nearest to a seen row than there would be by chance.

    If nothing was memorised, then seen and unseen rows may change places: the nearest of all is a seen one
    with the chance m / (m + n). The tolerance adds to that a part of the rest, 2 `tolerance`. The distance
    is that of `privacy.attacks.nearest_rows`; rows that tie are in an order by lot.

    Args:
        seen, unseen: m and n rows.

    >>> numbers = np.random.default_rng(0).normal(size=(300, 2))
    >>> made, seen, unseen = (pd.DataFrame(part) for part in (numbers[:80], numbers[:150], numbers[150:]))
    >>> nearer_p_value(made, seen, unseen, 0.05) < 1e-9
    True
    """
    from course_lib.privacy.attacks import nearest_rows

    rows = pd.concat([seen, unseen], ignore_index=True)
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    nearest = order[nearest_rows(generated, rows.iloc[order].reset_index(drop=True), 1)[:, 0]]
    by_chance = len(seen) / len(rows)
    most = by_chance + 2 * tolerance * (1 - by_chance)
    return float(binom.sf((nearest < len(seen)).sum() - 1, len(generated), most))


def next_cusums(cusums: Mapping[str, float], e_values: Mapping[str, float]) -> dict[str, float]:
    """The CUSUM of every stream after e-values of one more day; a stream without one stays as it is."""
    after = dict(cusums)
    for name, e in e_values.items():
        grown = max(cusums.get(name, 1.0), 1.0) * e
        after[name] = min(grown, MOST_EVIDENCE)
    return after


def evidence(cusums: Mapping[str, float]) -> dict[str, float]:
    """Each stream's CUSUM times its weight, the largest first. Each family has its part of the weight.

    The weights add up to at most 1. So if nothing is wrong, the chance that any of these ever reaches
    c within T days is at most T / c, whatever depends on what: the chances of the streams add up.

    >>> evidence({"column age": 10.0, "column sex": 2.0, "rows: repeated": 4.0})
    {'column age': 1.0, 'rows: repeated': 0.4, 'column sex': 0.2}
    """
    found: dict[str, float] = {}
    for family, weight in FAMILIES.items():
        members = [name for name in cusums if name.split(" ")[0].rstrip(":") == family]
        found |= {name: weight * cusums[name] / len(members) for name in members}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
