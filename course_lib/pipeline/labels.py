"""A gate against poison: labels that changed, looked for where they are rare.

Poison is a change of a small part of the labels, made on purpose (Biggio, Nelson and Laskov 2012,
"Poisoning attacks against support vector machines"). A twentieth of all labels set to "yes" moves their
rate by less than a day's noise. But where a "yes" was rare before, a twentieth is many times as much as
there was. So a model learns from some trusted rows how likely each row's label is, and rows of like chances
are counted together, in cells. How much this helps depends on the label: where it can be predicted, a lot;
where it is half a matter of chance, very little.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import hypergeom, norm

from course_lib.pipeline.contract import Contract
from course_lib.pipeline.watching import WEEK, Values

CELLS, TAUGHT = 10, 4  # cells, and every which trusted row teaches the model
CHANGED = 0.05  # the part of the labels that the gate bets was changed
BETS = (1.0, 2.0, 4.0)  # and the standard deviations by which that moves the count of a day
GRID = 0.1  # to which a cell's weight is rounded
# What may have been done to a rate: labels set to positive, set to negative, or swapped.
POISONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "more": lambda rate: rate + CHANGED * (1 - rate),
    "fewer": lambda rate: rate - CHANGED * rate,
    "swapped": lambda rate: rate + CHANGED * (1 - 2 * rate),
}


def bet(p: float, size: float) -> float:
    """An e-value from a p-value: exp(a z - a^2 / 2), with z = the normal quantile of 1 - p and a = `size`.

    If p is uniform, then z is standard normal, and this is the quotient of the densities of a normal
    number with the mean a and of a standard normal one; the mean of that is 1. It falls as p grows, so
    for a p that is larger than a uniform one the mean is at most 1.

    >>> bet(0.5, 1.0) < 1 < bet(0.05, 1.0)
    True
    """
    z = float(norm.isf(np.clip(p, 1e-300, 1)))
    return float(np.exp(size * z - size**2 / 2))


def poison_p_value(
    k: np.ndarray,
    n: np.ndarray,
    k_before: np.ndarray,
    n_before: np.ndarray,
    poison: Callable[[np.ndarray], np.ndarray],
    u: float,
) -> float:
    """p-value that the labels of today were changed as `poison` says, against those before.

    Each cell's k has a weight w, the logarithm of the quotient of the odds of a positive label after and
    before the poison: for given rates no other sum over the cells has more power (Neyman and Pearson).
    If nothing has changed, the k of each cell is hypergeometric given the sum of k and `k_before`, and w
    depends on that sum alone. So the distribution of the sum of w k is the convolution of the cells'
    ones, which is worked out on a grid. With u the p-value is exactly uniform. Given these sums and all
    later days it still is, so the p-values of different days are independent.

    Args:
        k, n: (c,) positive labels and rows of today in each cell.
        k_before, n_before: (c,) of all accepted days.
        poison: what it makes of a rate.
        u: a uniform number: the part of equal outcomes that counts.

    Source: Mantel and Haenszel 1959, "Statistical aspects of the analysis of data from retrospective
    studies of disease", add up hypergeometric counts of strata in this way, with equal weights.

    >>> k, n = np.array([5, 60]), np.array([100, 100])
    >>> poison_p_value(k, n, np.array([10, 600]), np.array([1000, 1000]), POISONS["more"], 0.5) < 0.01
    True
    """
    rate = (k + k_before + 0.5) / (n + n_before + 1)
    after = poison(rate)
    odds = np.log(after / (1 - after)) - np.log(rate / (1 - rate))
    weights = np.rint(odds / GRID).astype(int)
    chances, place = np.ones(1), 0
    for weight, here, rows, before, rows_before in zip(
        weights, k, n, k_before, n_before, strict=True
    ):
        if not rows or not rows_before:
            continue
        counts = np.arange(max(0, here + before - rows_before), min(rows, here + before) + 1)
        part = hypergeom.pmf(counts, rows + rows_before, here + before, rows)
        values = weight * counts - min(weight * counts[0], weight * counts[-1])
        place += int(weight * here - min(weight * counts[0], weight * counts[-1]))
        grown = np.zeros(len(chances) + int(values.max()))
        for value, chance in zip(values[part > 1e-20], part[part > 1e-20], strict=True):
            grown[value : value + len(chances)] += chance * chances
        chances = grown
    return float(min(1.0, chances[place + 1 :].sum() + u * chances[place]))


class LabelCells:
    """Cells of rows whose labels are about equally likely to be positive, as the trusted rows tell.

    One trusted row in four teaches the model; the others, and all accepted days, are what a day is
    compared with. So what a cell is does not depend on the rows that are counted in it.

    Args:
        trusted: rows that keep the contract.
        contract: with a label that is a category; its last level is the positive one. Without one
            there is nothing to watch.
    """

    def __init__(self, trusted: pd.DataFrame, contract: Contract):
        self.contract = contract
        label = contract.columns.get(contract.label or "")
        self.watched = label is not None and not label.numeric
        if label is None or not self.watched:
            return
        self.label, self.positive = str(contract.label), label.levels[-1]
        teaches = np.arange(len(trusted)) % TAUGHT == 0
        self.compared = trusted[~teaches]
        learn = trusted[teaches & trusted[self.label].notna().to_numpy()]
        self.numbers = {
            name: np.sort(learn[name].dropna().to_numpy(float))
            for name, rule in contract.columns.items()
            if rule.numeric
        }
        y = (learn[self.label].astype(str) == self.positive).to_numpy()
        self.model = None
        if 0 < y.sum() < len(y):
            from sklearn.linear_model import LogisticRegression

            self.model = LogisticRegression(C=0.3, max_iter=300).fit(self._features(learn), y)
        scores = self._scores(learn)
        self.edges = np.unique(np.quantile(scores, np.arange(1, CELLS) / CELLS))

    def values(self, today: np.ndarray, days: Sequence[np.ndarray]) -> dict[str, Values]:
        """What the stream of each poison says of today, by its name; every seventh day also of the week.

        Args:
            today, days: the counts, see `count`, of today and of each accepted day before it.
        """
        if not self.watched or not len(self.compared):
            return {}
        trusted, all_days = self.count(self.compared), [*days, today]
        found = self._compared("", today, np.sum([trusted, *days], axis=0))
        if len(all_days) % WEEK == 0:
            earlier = np.sum([trusted, *all_days[:-WEEK]], axis=0)
            found |= self._compared(", by the week", np.sum(all_days[-WEEK:], axis=0), earlier)
        return found

    def _compared(self, when: str, now: np.ndarray, before: np.ndarray) -> dict[str, Values]:
        lots = np.random.default_rng([int(now[1].sum()), int(before[1].sum())])
        found = {}
        for name, poison in POISONS.items():
            p = poison_p_value(now[0], now[1], before[0], before[1], poison, lots.random())
            e = float(np.mean([bet(p, size) for size in BETS]))
            found[f"label {self.label}={self.positive}: {name}{when}"] = Values(p, e)
        return found

    def count(self, table: pd.DataFrame) -> np.ndarray:
        """Positive labels and all labels in each cell, (2, cells)."""
        if not self.watched:
            return np.zeros((2, 0), int)
        table = table[table[self.label].notna()]
        cell = np.searchsorted(self.edges, self._scores(table))
        y = (table[self.label].astype(str) == self.positive).to_numpy()
        size = len(self.edges) + 1
        return np.stack([np.bincount(cell[y], minlength=size), np.bincount(cell, minlength=size)])

    def _scores(self, table: pd.DataFrame) -> np.ndarray:
        if self.model is None or table.empty:
            return np.zeros(len(table))
        return np.asarray(self.model.decision_function(self._features(table)))

    def _features(self, table: pd.DataFrame) -> np.ndarray:
        """Numbers as their rank among the rows that taught, categories as one column a level."""
        columns = []
        for name, rule in self.contract.columns.items():
            if name == self.label:
                continue
            if rule.numeric:
                known = self.numbers[name]
                x = table[name].to_numpy(float, na_value=np.nan)
                rank = (np.searchsorted(known, x) + np.searchsorted(known, x, side="right")) / 2
                gone = np.isnan(x)
                columns += [np.where(gone, 0.0, 3 * rank / max(len(known), 1) - 1.5), gone]
            else:
                text = table[name].astype(object).astype(str).to_numpy()
                columns += [text == level for level in rule.levels]
        return np.stack(columns, axis=1).astype(float) if columns else np.zeros((len(table), 1))
