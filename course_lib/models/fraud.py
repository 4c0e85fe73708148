"""What lesson 14 builds against card fraud: alarms within a budget, histories, costs, a test for leaks."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from course_lib.datasets.payments import CATEGORIES, KINDS, MERCHANTS


def alarms(score: np.ndarray, share: float) -> np.ndarray:
    """The chance that each payment is looked at, (n,), when a share of all can be: highest scores first.

    The budget is round(share n) payments. Those that tie at the last place are drawn by lot.

    >>> alarms(np.array([3.0, 1.0, 1.0, 0.0]), share=0.5)
    array([1. , 0.5, 0.5, 0. ])
    """
    budget = round(share * len(score))
    last = np.sort(score)[-budget]
    above, ties = score > last, score == last
    return above + ties * (budget - above.sum()) / ties.sum()


def history(account: np.ndarray, time: np.ndarray, amount: np.ndarray, window: float) -> np.ndarray:
    """What was known of an account just before each payment: (n, 3).

    The columns: how many payments it made within the last `window` hours; hours since its last payment,
    `window` at most and for the first one; the logarithm of the amount minus the mean logarithm of all its
    earlier amounts, 0 for the first one.

    Args:
        account, time, amount: (n,), sorted by account and time; hours; amounts above 0.

    >>> history(np.array([7, 7, 8]), np.array([1.0, 3.0, 3.5]), np.array([1.0, np.e, 9.0]), 24.0)
    array([[ 0., 24.,  0.],
           [ 1.,  2.,  1.],
           [ 0., 24.,  0.]])
    """
    found = np.zeros((len(time), 3))
    for rows in np.split(np.arange(len(time)), np.flatnonzero(np.diff(account)) + 1):
        t, log = time[rows], np.log(amount[rows])
        before = np.arange(len(rows))
        found[rows, 0] = before - np.searchsorted(t, t - window)
        found[rows, 1] = np.minimum(np.diff(t, prepend=-np.inf), window)
        mean = (np.cumsum(log) - log) / np.maximum(before, 1)
        found[rows, 2] = np.where(before > 0, log - mean, 0)
    return found


def recall_by_kind(alarmed: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """The share of each kind of fraud 1 to k that is looked at, (k,); kind (n,) is 0 for a genuine payment.

    >>> recall_by_kind(np.array([1.0, 0.5, 0.0, 1.0]), np.array([1, 1, 2, 0]))
    array([0.75, 0.  ])
    """
    return np.bincount(kind, alarmed)[1:] / np.bincount(kind)[1:]


def smote_episodes(
    x: np.ndarray, kind: np.ndarray, base: np.ndarray, rank: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """New episodes (m, steps, d), each on the way from one of x (n, steps, d) to a neighbour of its own
    kind.

    Args:
        kind: of each episode, (n,).
        base: the episodes to start from, (m,).
        rank: which neighbour to move towards, 1 for the nearest, (m,); of the same kind, by the Euclidean
            distance of whole episodes.
        t: how far to move, 0 to 1, (m,).

    Source: Chawla et al. 2002, arXiv 1106.1813, here for sequences of equal length.

    >>> x = np.array([[[0.0]], [[1.0]], [[8.0]]])
    >>> place = np.array([0])
    >>> smote_episodes(x, np.array([1, 2, 1]), place, place + 1, np.array([0.5])).ravel()
    array([4.])
    """
    made = []
    for i, r, part in zip(base, rank, t, strict=True):
        apart = np.sqrt(((x - x[i]) ** 2).sum(axis=(1, 2)))
        apart[kind != kind[i]] = np.inf
        apart[i] = -1.0
        other = x[np.argsort(apart, kind="stable")[r]]
        made.append(x[i] + part * (other - x[i]))
    return np.array(made)


def lies_between(rows: np.ndarray, known: np.ndarray, k: int, tolerance: float) -> np.ndarray:
    """Which rows (n, d) lie on a straight line between two of their k nearest known rows (m, d): (n,) bool.

    Of the directions to those neighbours two point apart: the cosine of their angle is at most
    -1 + tolerance. A row that equals a known one counts as well. In three or more dimensions of real
    numbers hardly any row does so by chance, and each row that SMOTE made does.

    >>> lies_between(np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [3.0, 3.0]]), 2, 1e-6)
    array([ True, False])
    """
    found = np.zeros(len(rows), bool)
    for i, row in enumerate(rows):
        away = known - row
        length = np.sqrt((away**2).sum(axis=1))
        near = np.argsort(length)[:k]
        unit = away[near] / np.maximum(length[near], 1e-12)[:, None]
        found[i] = length.min() < 1e-12 or (unit @ unit.T).min() <= -1 + tolerance
    return found


def splice(
    time: np.ndarray, amount: np.ndarray, start: float, after: np.ndarray, times_own: np.ndarray
) -> np.ndarray:
    """An account's life with an episode put in, sorted by time: (n + m, 3) for time, amount and place.

    The place is 0 for the account's own payments, and 1 to m for those of the episode.

    Args:
        time, amount: of the account's own n payments, in hours and sorted; one at least before `start`.
        start: the hour at which the episode begins.
        after: hours from the start to each payment of the episode, (m,).
        times_own: each amount as a multiple of the account's own level, (m,): the exponential of the mean
            logarithm of its amounts before the start.

    >>> splice(np.array([0.0, 9.0]), np.array([10.0, 30.0]), 5.0, np.array([1.0]), np.array([3.0])).round(6)
    array([[ 0., 10.,  0.],
           [ 6., 30.,  1.],
           [ 9., 30.,  0.]])
    """
    level = np.exp(np.log(amount[time < start]).mean())
    own = np.column_stack([time, amount, np.zeros(len(time))])
    put_in = np.column_stack([start + after, level * times_own, 1 + np.arange(len(after))])
    life = np.vstack([own, put_in])
    return life[np.argsort(life[:, 0], kind="stable")]


def total_cost(
    alarmed: np.ndarray, fraud: np.ndarray, amount: np.ndarray, per_alarm: float
) -> float:
    """What alarms and misses cost together: `per_alarm` for each alarm, and the amount of each fraud
    missed.

    Costs differ from payment to payment: Bahnsen et al. 2013, "Cost sensitive credit card fraud
    detection using Bayes minimum risk", doi 10.1109/ICMLA.2013.68.

    >>> total_cost(np.array([1.0, 0.0]), np.array([True, True]), np.array([50.0, 80.0]), per_alarm=5.0)
    85.0
    """
    return float(per_alarm * alarmed.sum() + ((1 - alarmed) * fraud * amount).sum())


def ring_score(
    account: np.ndarray, merchant: np.ndarray, time: np.ndarray, days: int = 7
) -> np.ndarray:
    """How surprising is the company that each payment's merchant keeps: (n,).

    At the end of each day, of the payments of the last `days` days: two merchants i and j share C_ij
    accounts, and c_i c_j / n would be expected of n accounts if customers chose them independently. A
    payment's score is the largest (C_ij - E_ij) / sqrt(E_ij + 1) over the other merchants j of its account.

    Args:
        account, merchant: (n,) whole numbers; time: hours, (n,).

    >>> who, where = np.repeat(np.arange(40), 2), np.tile([0, 1], 40)
    >>> where[20:] = np.arange(2, 62)  # ten accounts share two merchants, the others share none
    >>> score = ring_score(who, where, np.zeros(80))
    >>> bool(score[:20].min() > score[20:].max())
    True
    """
    score, day = np.zeros(len(time)), np.floor(time / 24).astype(int)
    people, places = account.max() + 1, merchant.max() + 1
    for today in np.unique(day):
        seen = (day > today - days) & (day <= today)
        visits = np.zeros((people, places), np.float32)
        visits[account[seen], merchant[seen]] = 1
        shared = visits.T @ visits
        own = shared.diagonal()
        expected = np.outer(own, own) / max((visits.sum(axis=1) > 0).sum(), 1)
        surprise = (shared - expected) / np.sqrt(expected + 1)
        np.fill_diagonal(surprise, 0)
        now = np.flatnonzero(day == today)
        score[now] = (visits[account[now]] * surprise[merchant[now]]).max(axis=1)
    return score


def context(table: pd.DataFrame) -> pd.DataFrame:
    """Two more columns that look back, one row for each of `table`, sorted by account and time.

    `new_merchant` is 1 where the account has never paid there before. `speed` is the logarithm of 1 plus
    the kilometres an hour from the place of the account's last payment in person; 0 online and at first.

    >>> names = ("account", "time", "merchant", "online", "distance")
    >>> rows = [(1, 0.0, 5, False, 0.0), (1, 2.0, 5, False, 800.0)]
    >>> context(pd.DataFrame(rows, columns=names)).round(2).to_numpy().tolist()
    [[1.0, 0.0], [0.0, 5.99]]
    """
    new = ~table.duplicated(["account", "merchant"])
    in_person = table[["distance", "time"]].where(~table["online"].astype(bool))
    before = in_person.groupby(table["account"]).ffill().groupby(table["account"]).shift()
    hours = (table["time"] - before["time"]).clip(lower=0.1)
    speed = (in_person["distance"] - before["distance"]).abs() / hours
    return pd.DataFrame({"new_merchant": new.astype(float), "speed": np.log1p(speed.fillna(0))})


def fraud_episodes(table: pd.DataFrame) -> list[np.ndarray]:
    """Each fraud of a table of `datasets.payments` as an array (payments, 5).

    The columns: the logarithm of the hours since the payment before (0.01 hours for the first one); the
    logarithm of the amount over the account's level before the fraud; the kind (0, 1, ...); online (0 or
    1); the logarithm of 1 plus the distance. An account without an earlier payment is left out.

    >>> from course_lib.datasets.payments import transactions
    >>> fraud_episodes(transactions(200, seed=3, ring=False))[0].shape[1]
    5
    """
    lives, found = dict(iter(table.groupby("account"))), []
    for _, own in table[table["episode"] > 0].groupby("episode"):
        life, begin = lives[own["account"].iloc[0]], own["time"].iloc[0]
        before = life[(life["time"] < begin) & ~life["fraud"]]
        if not len(before):
            continue
        hours = np.diff(own["time"], prepend=begin - 0.01).clip(min=1e-3)
        ratio = np.log(own["amount"]) - np.log(before["amount"]).mean()
        kind = own["kind"].map({name: i for i, name in enumerate(KINDS)})
        columns = [np.log(hours), ratio, kind, own["online"], np.log1p(own["distance"])]
        found.append(np.column_stack(columns).astype(float))
    return found


def lives_with(
    table: pd.DataFrame,
    episodes: Sequence[np.ndarray],
    put_in: Callable[..., np.ndarray],
    between: tuple[float, float],
    seed: int = 0,
) -> pd.DataFrame:
    """For each episode the genuine life of a random account, with the episode put in at random merchants.

    Args:
        table: as of `datasets.payments`; the lives are taken from it, without their frauds.
        episodes: each (payments, 5), see `fraud_episodes`.
        put_in: puts times and amounts into a life, see `splice`.
        between: the days on which an episode may begin; a life has a payment before the first of them.

    Returns:
        Lives one after the other, with new account numbers; `fraud` marks what was put in.

    >>> from course_lib.datasets.payments import transactions
    >>> table = transactions(200, seed=3, ring=False)
    >>> int(lives_with(table, fraud_episodes(table)[:2], splice, (20, 40))["account"].nunique())
    2
    """
    rng, made = np.random.default_rng(seed), []
    lives = [life for _, life in table[~table["fraud"]].groupby("account")]
    lives = [life for life in lives if life["time"].iloc[0] < 24 * between[0]]
    for number, episode in enumerate(episodes):
        host = lives[rng.integers(len(lives))]
        after = np.cumsum(np.exp(episode[:, 0])) - np.exp(episode[0, 0])
        start = 24 * rng.uniform(*between)
        time, amount = (host[name].to_numpy(float) for name in ("time", "amount"))
        life = put_in(time, amount, start, after, np.exp(episode[:, 1]))
        place = life[:, 2].astype(int)
        strange = {
            "online": episode[:, 3] > 0.5,
            "distance": np.expm1(episode[:, 4].clip(min=0)),
            "merchant": rng.integers(0, MERCHANTS, len(episode)),
        }
        rows = pd.concat([host[list(strange)], pd.DataFrame(strange)], ignore_index=True)
        order = np.where(place > 0, len(host) + place - 1, np.cumsum(place == 0) - 1)
        whole = rows.iloc[order].reset_index(drop=True)
        times = {"time": life[:, 0], "amount": life[:, 1]}
        made.append(whole.assign(**times, account=number, fraud=place > 0))
    found = pd.concat(made, ignore_index=True)
    found["category"] = np.array(CATEGORIES, object)[found["merchant"] % len(CATEGORIES)]
    return found
