"""Card payments, simulated: genuine habits of accounts, three kinds of fraud, and a fourth that comes
later.

data/payments.md says the equations. Every row carries its kind of fraud, which only a simulation knows.
"""

import numpy as np
import pandas as pd

KINDS = ("testing", "takeover", "cloned", "ring")  # the last one appears after LEARNT days only
CATEGORIES = ("food", "clothes", "travel", "fuel", "electronics", "leisure")
MERCHANTS, RING = 400, 6  # the last RING merchants are the ring
WARM, LEARNT, DAYS = 20, 50, 80  # days: the first 20 only give a history, 50 to 80 are the test
HIT = 0.035  # share of accounts that are hit in 30 days
RINGED, RING_DAYS = 0.014, (56, 68)  # share of accounts, and the days of the ring
COLUMNS = (
    *("account", "time", "amount", "category", "online", "distance", "merchant"),
    *("fraud", "kind", "episode"),
)


def transactions(accounts: int, *, seed: int = 0, ring: bool = True) -> pd.DataFrame:
    """80 days of payments of `accounts` accounts, sorted by account and time; columns as on the card.

    Args:
        ring: whether the fourth kind happens, on the days RING_DAYS.

    Raises:
        ValueError: for fewer than ten accounts.

    >>> table = transactions(100)
    >>> list(table)[:4], bool(table.groupby("account")["time"].is_monotonic_increasing.all())
    (['account', 'time', 'amount', 'category'], True)
    """
    if accounts < 10:
        raise ValueError(f"At least ten accounts are needed; got {accounts}.")
    rng = np.random.default_rng(seed)
    habits = _habits(accounts, rng)
    parts = [_genuine(habits, rng)]
    episode = 0
    for start in range(WARM, DAYS, 30):
        for kind in KINDS[:3]:
            hit = rng.choice(accounts, max(round(HIT / 3 * accounts), 1), replace=False)
            for account in hit:
                begin = 24 * (start + 29 * rng.random())
                episode += 1
                parts.append(_episode(kind, habits.loc[account], begin, episode, rng))
    if ring:
        for account in rng.choice(accounts, max(round(RINGED * accounts), 2), replace=False):
            begin = 24 * rng.uniform(*RING_DAYS)
            episode += 1
            parts.append(_episode("ring", habits.loc[account], begin, episode, rng))
    table = pd.concat(parts, ignore_index=True)
    table["amount"] = table["amount"].clip(lower=0.01).round(2)
    table["distance"] = table["distance"].round(1)
    table["category"] = np.array(CATEGORIES, object)[table["merchant"] % len(CATEGORIES)]
    table = table[table["time"] < 24 * DAYS].sort_values(["account", "time"], ignore_index=True)
    return table.assign(fraud=table["kind"] != "none")[list(COLUMNS)]


def _habits(accounts: int, rng: np.random.Generator) -> pd.DataFrame:
    """What makes each account its own: a row an account."""
    return pd.DataFrame(
        {
            "account": np.arange(accounts),
            "rate": 0.2 + rng.gamma(2.0, 0.35, accounts),  # payments a day
            "level": rng.normal(3.2, 0.8, accounts),  # of the logarithm of an amount
            "spread": rng.uniform(0.4, 0.8, accounts),
            "hour": rng.normal(14, 2, accounts),
            "online": rng.beta(2, 3, accounts),
            "reach": rng.normal(1.5, 0.6, accounts),  # of the logarithm of kilometres from home
            "trip": np.where(
                rng.random(accounts) < 0.4, rng.uniform(0, DAYS - 7, accounts), np.inf
            ),
            "away": np.exp(rng.normal(6, 0.7, accounts)),  # kilometres of the trip
        }
    )


def _merchants(account: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each payment (n,) a merchant: four times in five a favourite of the account."""
    popularity = 1 / (np.arange(MERCHANTS) + 20)
    popularity /= popularity.sum()
    favourites = rng.choice(MERCHANTS, (account.max() + 1, 6), p=popularity)
    own = favourites[account, rng.integers(0, 6, len(account))]
    other = rng.choice(MERCHANTS, len(account), p=popularity)
    return np.where(rng.random(len(account)) < 0.8, own, other)


def _genuine(habits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    account = np.repeat(habits["account"].to_numpy(), rng.poisson(habits["rate"] * DAYS))
    mine = habits.loc[account]
    day = rng.integers(0, DAYS, len(account))
    hour = (mine["hour"] + 3 * rng.standard_normal(len(account))) % 24
    time = 24 * day + hour.to_numpy()
    # One payment in 50 opens a spree: two to four more within the hour.
    more = np.where(rng.random(len(account)) < 0.02, rng.integers(2, 5, len(account)), 0)
    account, time = np.r_[account, np.repeat(account, more)], np.r_[time, np.repeat(time, more)]
    time[len(day) :] += rng.uniform(0.05, 1, more.sum())
    n, mine = len(account), habits.loc[account]
    large = 1.8 * (rng.random(n) < 0.01)  # now and then something dear
    amount = np.exp(mine["level"] + mine["spread"] * rng.standard_normal(n) + large)
    online = rng.random(n) < mine["online"].to_numpy()
    small = (rng.random(n) < 0.15) & online  # a ticket, a song
    amount = np.where(small, np.exp(rng.normal(1.0, 0.6, n)), amount)
    days = time / 24
    trip = mine["trip"].to_numpy()
    abroad = (days >= trip) & (days < trip + 5)
    near = np.exp(mine["reach"] + 0.7 * rng.standard_normal(n))
    far = mine["away"] * np.exp(0.1 * rng.standard_normal(n))
    distance = np.where(online, 0.0, np.where(abroad, far, near))
    columns = {"account": account, "time": time, "amount": amount, "online": online}
    columns |= {"distance": distance, "merchant": _merchants(account, rng)}
    return pd.DataFrame(columns).assign(kind="none", episode=0)


def _episode(
    kind: str, own: pd.Series, begin: float, episode: int, rng: np.random.Generator
) -> pd.DataFrame:
    """The payments of one fraud on one account, from the hour `begin` on."""
    merchant = rng.integers(0, MERCHANTS, 12)
    if kind == "testing":  # is the stolen number good? small sums, within minutes
        n = int(rng.integers(4, 9))
        gap, amount = rng.exponential(0.07, n), np.exp(rng.normal(1.0, 0.6, n))
        amount[-1] = np.exp(own["level"] + rng.normal(1.5, 0.5))
        online, distance = np.ones(n, bool), np.zeros(n)
    elif kind == "takeover":  # somebody else is logged in: dear for this account
        n = int(rng.integers(2, 6))
        gap = rng.exponential(2.0, n)
        amount = np.exp(own["level"] + rng.normal(1.7, 0.5, n))
        online, distance = np.ones(n, bool), np.zeros(n)
    elif kind == "cloned":  # a copy of the card, far away
        n = int(rng.integers(2, 6))
        gap = rng.exponential(1.5, n)
        amount = np.exp(own["level"] + rng.normal(0.6, 0.6, n))
        online = np.zeros(n, bool)
        distance = np.exp(rng.normal(6, 0.7)) * np.exp(0.1 * rng.standard_normal(n))
    else:  # ordinary sums, at the merchants of the ring, over days
        n = int(rng.integers(3, 5))
        gap = np.maximum(rng.exponential(14.0, n), 2.0)
        amount = np.exp(own["level"] + own["spread"] * rng.standard_normal(n))
        online = rng.random(n) < own["online"]
        distance = np.where(online, 0.0, np.exp(own["reach"] + 0.7 * rng.standard_normal(n)))
        merchant = MERCHANTS - 1 - rng.choice(RING, n, replace=False)
    time = begin + np.cumsum(gap)
    if kind == "ring":  # at the account's own hours
        hour = (own["hour"] + 3 * rng.standard_normal(n)) % 24
        time = np.sort(24 * np.floor(time / 24) + hour)
    columns = {"time": time, "amount": amount, "online": online, "distance": distance}
    columns["merchant"] = merchant[:n]
    return pd.DataFrame(columns).assign(account=int(own["account"]), kind=kind, episode=episode)
