"""Predictive maintenance in its shortest form, as lesson 16 builds it: what to inspect, and when.

Failures: how many are found within a budget, which generated ones can be explained, and what a search for
the best settings promises. Remaining life: its target, its features and its score.
"""

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist


def breaks_rules(
    air: np.ndarray,
    process: np.ndarray,
    speed: np.ndarray,
    torque: np.ndarray,
    wear: np.ndarray,
    strain_limit: np.ndarray,
) -> np.ndarray:
    """Which of three rules each state breaks: (n, 3) bool, for heat, power and strain.

    Temperatures in kelvin, speed in revolutions a minute, torque in newton metres, wear in minutes,
    strain_limit in minutes times newton metres; each (n,). Source: Matzka, AI4I 2020, UCI, 2020.

    >>> state = [np.array([x]) for x in (300.0, 310.0, 1500.0, 70.0, 100.0, 11_000.0)]
    >>> breaks_rules(*state)  # 70 Nm at 1,500 turns a minute are 10,996 W
    array([[False,  True, False]])
    """
    heat = (process - air < 8.6) & (speed < 1380)
    power = torque * speed * 2 * np.pi / 60
    return np.column_stack([heat, (power < 3500) | (power > 9000), wear * torque > strain_limit])


def recall_at_budget(score: np.ndarray, failed: np.ndarray, share: float) -> float:
    """The share of failures among the rows inspected, of all failures: those of highest score first.

    The budget is round(share n) rows. Of rows that tie at the last place a part is inspected, by lot: the
    expected number of failures counts.

    >>> recall_at_budget(np.array([3.0, 1.0, 1.0, 0.0]), np.array([1, 1, 0, 0]) > 0, share=0.5)
    0.75
    """
    budget = round(share * len(score))
    last = np.sort(score)[-budget]
    above, ties = score > last, score == last
    lot = (budget - above.sum()) / ties.sum()
    return float((failed[above].sum() + lot * failed[ties].sum()) / failed.sum())


def accept(rows: np.ndarray, explained: np.ndarray, wanted: int) -> tuple[np.ndarray, float]:
    """The first `wanted` of the rows (n, d) that a reason explains, and the share of rows that one does.

    explained (n, m) bool says which of m reasons explains each row; one is enough. Rejection sampling with
    a constraint: von Neumann 1951.

    >>> accept(np.array([[1.0], [2.0], [3.0]]), np.array([[True], [False], [True]]), wanted=1)
    (array([[1.]]), 0.6666666666666666)
    """
    good = explained.any(axis=1)
    return rows[good][:wanted], float(good.mean())


def promise_and_truth(
    gain: np.ndarray, predicted: np.ndarray, true: np.ndarray, limit: float, best: int
) -> tuple[float, float]:
    """Mean predicted and mean true risk of the `best` settings of highest gain with a predicted risk of
    at most `limit`; all arguments of settings are (n,). Source: Smith and Winkler 2006, "The
    optimizer's curse", doi 10.1287/mnsc.1050.0451.

    >>> gain, predicted, true = np.array([3.0, 2.0, 1.0]), np.array([0.5, 0.0, 0.0]), np.ones(3)
    >>> promise_and_truth(gain, predicted, true, limit=0.01, best=1)
    (0.0, 1.0)
    """
    allowed = np.flatnonzero(predicted <= limit)
    chosen = allowed[np.argsort(-gain[allowed], kind="stable")[:best]]
    return float(predicted[chosen].mean()), float(true[chosen].mean())


def inside_fence(candidates: np.ndarray, known: np.ndarray, k: int, share: float) -> np.ndarray:
    """Which candidates (n, d) lie as near to known rows (m, d) as known rows do to each other: (n,) bool.

    A candidate is inside if the distance to its k-th nearest known row is at most the quantile `share`
    of the same distance of the known rows, each to the k-th nearest *other* one.

    >>> known = np.arange(10.0)[:, None]
    >>> inside_fence(np.array([[4.5], [30.0]]), known, k=1, share=0.9)
    array([ True, False])
    """
    among = np.sort(cdist(known, known), axis=1)[:, k]  # place 0 is the row itself
    reach = np.sort(cdist(candidates, known), axis=1)[:, k - 1]
    return reach <= np.quantile(among, share)


def remaining_life(engine: np.ndarray, cycle: np.ndarray, cap: float) -> np.ndarray:
    """The cycles that each row (n,) of an engine run to its failure has left, at most `cap`: (n,).

    Early in its life nothing tells one engine from another, so the target is cut: Heimes 2008, "Recurrent
    neural networks for remaining useful life estimation", doi 10.1109/PHM.2008.4711422.

    >>> remaining_life(np.array([1, 1, 1, 2, 2]), np.array([1, 2, 3, 1, 2]), cap=1)
    array([1, 1, 0, 1, 0])
    """
    left = np.zeros_like(cycle)
    for each in np.unique(engine):
        own = engine == each
        left[own] = cycle[own].max() - cycle[own]
    return np.minimum(left, cap)


def nasa_score(predicted: np.ndarray, true: np.ndarray) -> float:
    """The penalty of predicted remaining lives (n,), in cycles: being late costs more than being early.

    Source: Saxena et al. 2008, "Damage propagation modeling for aircraft engine run-to-failure simulation",
    doi 10.1109/PHM.2008.4711414, with 10 cycles for late and 13 for early.

    >>> round(nasa_score(np.array([20.0, 0.0]), np.array([10.0, 13.0])), 3)  # e - 1, twice
    3.437
    """
    d = predicted - true
    return float(np.expm1(np.where(d < 0, -d / 13, d / 10)).sum())


def window_features(table: pd.DataFrame, window: int = 30) -> pd.DataFrame:
    """Mean and slope of each sensor over the last `window` cycles, and the cycle: one row for each of
    `table`. Early rows take what cycles there are; a slope of one cycle is 0.

    Args:
        table: columns `engine`, `cycle` and `sensor_...`; the rows of an engine in their order.

    >>> frame = pd.DataFrame({"engine": 1, "cycle": [1, 2, 3], "sensor_1": [0.0, 2.0, 4.0]})
    >>> window_features(frame, 2).round(6).iloc[-1].to_dict()
    {'cycle': 3.0, 'sensor_1_mean': 3.0, 'sensor_1_slope': 2.0}
    """
    sensors = _sensors(table)
    x, engine = table[sensors].to_numpy(float), table["engine"].to_numpy()
    first = np.r_[0, np.flatnonzero(engine[1:] != engine[:-1]) + 1]
    place = np.arange(len(x))
    start = np.repeat(first, np.diff(np.r_[first, len(x)]))
    low = np.maximum(start, place - window + 1)
    n = (place - low + 1)[:, None]
    # Sums over windows as differences of running sums; time is counted from the last cycle.
    x = x - x.mean(axis=0)
    sums = np.vstack([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0)])
    timed = np.vstack([np.zeros((1, x.shape[1])), np.cumsum(place[:, None] * x, axis=0)])
    total = sums[place + 1] - sums[low]
    with_time = timed[place + 1] - timed[low] - place[:, None] * total
    mean_time = -(n - 1) / 2
    spread = n * (n.astype(float) ** 2 - 1) / 12
    slope = (with_time - mean_time * total) / np.where(n > 1, spread, 1)
    mean = total / n + table[sensors].to_numpy(float).mean(axis=0)
    names = [f"{s}_mean" for s in sensors], [f"{s}_slope" for s in sensors]
    columns = dict(zip([*names[0], *names[1]], np.hstack([mean, slope]).T, strict=True))
    return pd.DataFrame({"cycle": table["cycle"].to_numpy(float), **columns})


def mixed_life(one: pd.DataFrame, other: pd.DataFrame, weight: float) -> pd.DataFrame:
    """A run to failure between two: lives and sensors are mixed at equal shares of life, `weight` for one.

    Each table holds one engine from its first cycle to its failure, with `cycle` and `sensor_...`.

    >>> a, b = (pd.DataFrame({"cycle": range(1, n + 1), "sensor_1": 1.0}) for n in (100, 200))
    >>> len(mixed_life(a, b, 0.5))
    150
    """
    life = round(weight * len(one) + (1 - weight) * len(other))
    share = np.arange(1, life + 1) / life
    made: dict[str, np.ndarray] = {"cycle": np.arange(1, life + 1)}
    for name in _sensors(one):
        parts = [np.interp(share, _shares(len(t)), t[name].to_numpy(float)) for t in (one, other)]
        made[name] = weight * parts[0] + (1 - weight) * parts[1]
    return pd.DataFrame(made).assign(remaining_life=life - made["cycle"])


def _shares(life: int) -> np.ndarray:
    return np.arange(1, life + 1) / life


def _sensors(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table if str(name).startswith("sensor_")]
