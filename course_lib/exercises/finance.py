"""The exercises of lesson 14: alarms within a budget, histories, a leak, episodes in lives, and costs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.models.fraud import (
    alarms,
    history,
    lies_between,
    recall_by_kind,
    smote_episodes,
    splice,
    total_cost,
)
from course_lib.plots import BLUE, GREY, ORANGE

# --- alarms within a budget ------------------------------------------------------------------------


def _alarm_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(score, share):
        return {"score": score, "share": share}

    tied = rng.permutation(np.repeat([0.9, 0.5, 0.1], [4, 10, 30]))
    return {
        "no ties": case(rng.normal(size=83), 0.1),
        "rounded up": case(rng.normal(size=57), 0.05),
        "ties at the last place": case(tied, 0.2),
        "many ties": case(rng.integers(0, 5, 90).astype(float), 0.3),
        "every score is the same": case(np.full(40, rng.normal()), 0.25),
        "all are looked at": case(rng.normal(size=12), 1.0),
    }


def _alarms_by_level(score, share):
    left, chance = round(share * len(score)), np.zeros(len(score))
    for level in np.unique(score)[::-1]:
        own = score == level
        chance[own] = min(1.0, left / own.sum())
        left = max(left - own.sum(), 0)
    return chance


def _alarms_by_counting(score, share):
    above = (score[None, :] > score[:, None]).sum(axis=1)
    ties = (score[None, :] == score[:, None]).sum(axis=1)
    return np.clip((round(share * len(score)) - above) / ties, 0, 1)


def _alarms_by_pandas(score, share):
    order = pd.Series(-score).rank(method="first").to_numpy()
    inside = pd.Series((order <= round(share * len(score))).astype(float))
    return inside.groupby(score).transform("mean").to_numpy()


def _alarms_picture(answer):
    rng = np.random.default_rng(0)
    score = np.sort(np.round(rng.normal(size=300), 1))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for share, colour in ((0.05, BLUE), (0.2, ORANGE)):
        ax.plot(score, answer(score, share), ".-", color=colour, label=f"{share:.0%}")
    ax.set(xlabel="score", ylabel="chance to be looked at")
    ax.legend(title="budget", fontsize=8)
    return fig, (
        "The chance to be looked at against the score, for two budgets: 0 for low scores, 1 for high ones, "
        "and between 0 and 1 at the one score where the budget runs out."
    )


ALARMS = Exercise(
    id="finance.alarms",
    title="Alarms within a budget",
    points=1,
    minutes=10,
    difficulty=1,
    task="The budget is `share` times the number of payments, rounded to a whole number. Return for "
    "each payment the chance that it is looked at: 1 for the highest scores and 0 for the "
    "lowest. Payments that tie at the last place all have the same chance, such that all chances "
    "add up to the budget.",
    hints=(
        "The budget is round(share * len(score)) payments; np.sort(score)[-budget] is the last score "
        "that is reached.",
        "Payments above that score have the chance 1. Those with just this score share what is left.",
    ),
    reference=alarms,
    inputs=_alarm_cases,
    probe=call_for_array,
    numpy=True,
    picture=_alarms_picture,
    mistakes={
        (
            "All payments that tie at the last place are looked at here, which can be many more than "
            "the budget."
        ): slip("ties * (budget - above.sum()) / ties.sum()", "ties"),
        "Those that tie at the last place are left out. They share what is left of the budget.": slip(
            "above + ties * (budget - above.sum()) / ties.sum()", "above * 1.0"
        ),
        "The lowest scores are looked at here. Begin with the highest.": slip(
            "[-budget]", "[budget - 1]", "score > last", "score < last"
        ),
        "The budget was cut down to a whole number. Round it.": slip(
            "round(share * len(score))", "max(int(share * len(score)), 1)"
        ),
        "The whole budget is shared among the ties. Those above have used a part of it.": slip(
            "(budget - above.sum())", "budget"
        ),
        "The ties were looked at in the order of their rows. Each of them has the same chance.": returning(
            "np.isin(np.arange(len(score)), np.argsort(-score, kind='stable')[:budget]) * 1.0"
        ),
        "Every payment has the same chance. Begin with the highest scores.": returning(
            "np.full(len(score), budget / len(score))"
        ),
        "Each tie has a chance of one half. They share what is left of the budget.": slip(
            "(budget - above.sum()) / ties.sum()", "0.5"
        ),
        (
            "A quantile was taken as threshold: all who reach it are looked at, which can be more than "
            "the budget."
        ): returning("(score >= np.quantile(score, 1 - share)) * 1.0"),
        "The chances add up to 1. They should add up to the budget.": returning(
            "(above + ties * (budget - above.sum()) / ties.sum()) / budget"
        ),
        "This is the chance not to be looked at. Take 1 minus it.": slip(
            "return above + ties * (budget - above.sum()) / ties.sum()",
            "return 1 - above - ties * (budget - above.sum()) / ties.sum()",
        ),
    },
    alternatives=(_alarms_by_level, _alarms_by_counting, _alarms_by_pandas),
)

# --- history without looking ahead -----------------------------------------------------------------


def _history_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(lengths, window, spread):
        names = np.sort(rng.choice(50, len(lengths), replace=False))
        account = np.repeat(names, lengths)
        time = np.concatenate([np.sort(rng.uniform(0, spread, n)) for n in lengths])
        amount = np.exp(rng.normal(3, 1, len(account)))
        return {"account": account, "time": time, "amount": amount, "window": window}

    edge = case([5], 2.0, 1.0) | {"time": np.array([0.0, 2.0, 4.0, 4.5, 6.5])}
    edge["amount"] = np.exp(rng.normal(-2, 0.5, 5))  # cents: logarithms below 0
    return {
        "three accounts": case([6, int(rng.integers(8, 12)), 5], 24.0, 80.0),
        "a short window": case([12, 9], 1.0, 15.0),
        "one payment each": case([1, 1, 1], 24.0, 50.0),
        "just a window ago": edge,
        "one account": case([20], 12.0, 100.0),
    }


def _history_by_loop(account, time, amount, window):
    found = []
    for i in range(len(time)):
        past = [j for j in range(i) if account[j] == account[i]]
        recent = sum(time[j] >= time[i] - window for j in past)
        since = min(time[i] - time[past[-1]], window) if past else window
        level = np.mean([np.log(amount[j]) for j in past]) if past else np.log(amount[i])
        found.append([recent, since, np.log(amount[i]) - level])
    return np.array(found)


def _history_by_pandas(account, time, amount, window):
    table = pd.DataFrame({"account": account, "time": time, "log": np.log(amount)})
    own = table.groupby("account")
    since = (table["time"] - own["time"].shift()).clip(upper=window).fillna(window)
    mean = own["log"].transform(lambda values: values.expanding().mean().shift())
    count = [
        ((table["account"] == a) & (table["time"] < t) & (table["time"] >= t - window)).sum()
        for a, t in zip(account, time, strict=True)
    ]
    return np.column_stack([count, since, (table["log"] - mean).fillna(0)])


def _history_by_comparing(account, time, amount, window):
    earlier = (account[:, None] == account) & (time[:, None] > time)
    apart = np.where(earlier, time[:, None] - time, np.inf)
    log, n = np.log(amount), earlier.sum(axis=1)
    level = np.where(n > 0, earlier @ log / np.maximum(n, 1), log)
    recent = (earlier & (time[None, :] >= time[:, None] - window)).sum(axis=1)
    return np.stack([recent, np.minimum(apart.min(axis=1), window), log - level], axis=1)


def _history_picture(answer):
    rng = np.random.default_rng(0)
    time = np.sort(np.r_[rng.uniform(0, 400, 30), 300 + rng.uniform(0, 2, 6)])
    amount = np.exp(rng.normal(3, 0.5, 36))
    found = answer(np.zeros(36, int), time, amount, 24.0)
    fig, ax = plt.subplots(figsize=(4.8, 3))
    ax.plot(time, found[:, 0], "o-", color=BLUE, markersize=3)
    ax.set(xlabel="hour", ylabel="payments in the 24 hours before")
    return fig, (
        "The number of payments in the last 24 hours, for each payment of one account: low most of the "
        "time, and a sharp peak near hour 300, where six payments come within two hours."
    )


HISTORY = Exercise(
    id="finance.history",
    title="History without looking ahead",
    points=2,
    minutes=20,
    difficulty=3,
    task="Return three columns for each payment, from earlier payments of the same account only: how "
    "many of them lie within the last `window` hours (one exactly `window` hours ago counts); "
    "hours since the last one, at most the window; and the logarithm of the amount minus the "
    "mean logarithm of all earlier amounts. For the first payment of an account these are 0, the "
    "window, and 0.",
    hints=(
        "The rows are sorted by account and time, so the rows of an account follow one another: "
        "np.split(np.arange(n), np.flatnonzero(np.diff(account)) + 1) gives them.",
        "Within an account, the number of payments before the i-th is i. "
        "np.searchsorted(t, t - window) says how many are older than the window.",
        "np.cumsum(log) - log is the sum of all earlier logarithms, without the payment itself.",
    ),
    reference=history,
    inputs=_history_cases,
    probe=call_for_array,
    numpy=True,
    picture=_history_picture,
    mistakes={
        "The mean includes the payment itself. Take the earlier amounts only.": slip(
            "(np.cumsum(log) - log) / np.maximum(before, 1)",
            "np.cumsum(log) / (before + 1)",
        ),
        (
            "The mean is taken over all payments of the account, also those that come later: this looks "
            "ahead."
        ): slip("(np.cumsum(log) - log) / np.maximum(before, 1)", "log.mean()"),
        "The payment itself was counted among those of the last hours.": slip(
            "before - np.searchsorted(t, t - window)",
            "before + 1 - np.searchsorted(t, t - window)",
        ),
        "Payments of other accounts were taken in. Keep the accounts apart.": slip(
            "np.flatnonzero(np.diff(account)) + 1", "np.array([], int)"
        ),
        "Hours since the last payment are at most the window.": slip(
            "np.minimum(np.diff(t, prepend=-np.inf), window)",
            "np.diff(t, prepend=t[0] - window)",
        ),
        "Amounts are compared by the difference of their logarithms, and not of the amounts.": slip(
            "np.log(amount[rows])", "amount[rows]"
        ),
        "A payment just a window ago is still within the window.": slip(
            "np.searchsorted(t, t - window)", 'np.searchsorted(t, t - window, side="right")'
        ),
        "Before an account's first payment the hours are the window, and not 0.": slip(
            "prepend=-np.inf", "prepend=t[0]"
        ),
        "The sign is turned round: the logarithm of the amount minus the mean of the earlier ones.": slip(
            "log - mean, 0", "mean - log, 0"
        ),
        "All earlier payments were counted. Count those of the last window hours.": slip(
            "before - np.searchsorted(t, t - window)", "before"
        ),
        "The amount is compared with the last one alone. Take the mean of all earlier ones.": slip(
            "(np.cumsum(log) - log) / np.maximum(before, 1)", "np.concatenate([[0], log[:-1]])"
        ),
        "For an account's first payment the third number is 0: there is nothing to compare with.": slip(
            "np.where(before > 0, log - mean, 0)", "log - mean"
        ),
    },
    alternatives=(_history_by_loop, _history_by_pandas, _history_by_comparing),
)

# --- recall by kind --------------------------------------------------------------------------------


def _kind_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, kinds, rate, lots=False):
        kind = np.where(rng.random(n) < rate, rng.integers(1, kinds + 1, n), 0)
        kind[:kinds] = np.arange(1, kinds + 1)
        alarmed = rng.random(n) if lots else (rng.random(n) < 0.4).astype(float)
        alarmed[0] = 1.0
        order = rng.permutation(n)
        return {"alarmed": alarmed[order], "kind": kind[order]}

    return {
        "three kinds": case(80, 3, 0.4),
        "alarms by lot": case(60, 4, 0.5, lots=True),
        "few frauds": case(90, 3, 0.05),
        "one kind": case(30, 1, 0.3),
    }


def _kinds_by_loop(alarmed, kind):
    return np.array([alarmed[kind == k].mean() for k in range(1, kind.max() + 1)])


def _kinds_by_pandas(alarmed, kind):
    table = pd.DataFrame({"alarmed": alarmed, "kind": kind})
    return table[table["kind"] > 0].groupby("kind")["alarmed"].mean().to_numpy()


def _kinds_by_matrix(alarmed, kind):
    own = kind[:, None] == np.arange(1, kind.max() + 1)
    return (alarmed @ own) / own.sum(axis=0)


def _kinds_picture(answer):
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 4, 4000)
    score = rng.normal(size=4000) + np.array([0, 2.0, 1.0, 0.0])[kind]
    found = answer((score > 1.5).astype(float), kind)
    fig, ax = plt.subplots(figsize=(4, 3))
    ax.bar([f"kind {k + 1}" for k in range(3)], found, color=[BLUE, ORANGE, GREY])
    ax.set(ylabel="recall", ylim=(0, 1))
    return fig, (
        "Three bars, the recall of three kinds of fraud: high for the first, lower for the second, and "
        "near 0 for the third, which looks like genuine payments."
    )


RECALL_BY_KIND = Exercise(
    id="finance.recall_by_kind",
    title="Recall by kind of fraud",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return for each kind of fraud, 1 to the largest, the share of its payments that are looked at: "
    "the sum of their chances over their number; kind 0 is a genuine payment and is left out.",
    hints=(
        "For one kind: alarmed[kind == k].mean().",
        "np.bincount(kind, alarmed) adds up alarmed for each kind, with kind 0 in front.",
    ),
    reference=recall_by_kind,
    inputs=_kind_cases,
    probe=call_for_array,
    numpy=True,
    picture=_kinds_picture,
    mistakes={
        "Kind 0 is no fraud. Leave it out.": returning(
            "np.bincount(kind, alarmed) / np.bincount(kind)"
        ),
        "This divides by all frauds. Each kind is divided by its own number.": slip(
            "np.bincount(kind)[1:]", "(kind > 0).sum()"
        ),
        (
            "This divides by the alarms: it is the share of a kind among them. Recall divides by the "
            "frauds of the kind."
        ): slip("np.bincount(kind)[1:]", "alarmed.sum()"),
        "Any chance above 0 was counted as an alarm. Add up the chances.": slip(
            "np.bincount(kind, alarmed)", "np.bincount(kind, alarmed > 0)"
        ),
        "These are the numbers that are looked at. Divide by how many of the kind there are.": slip(
            " / np.bincount(kind)[1:]", ""
        ),
        "These are the shares that are missed. Return those that are looked at.": returning(
            "1 - np.bincount(kind, alarmed)[1:] / np.bincount(kind)[1:]"
        ),
        "This is the share over all kinds of fraud together. Return one for each kind.": returning(
            "np.bincount(kind, alarmed)[1:].sum() / (kind > 0).sum()"
        ),
        "A chance of at least one half was counted as an alarm. Add up the chances.": slip(
            "np.bincount(kind, alarmed)", "np.bincount(kind, alarmed >= 0.5)"
        ),
        "This divides by all payments. Each kind is divided by its own number.": slip(
            "np.bincount(kind)[1:]", "len(kind)"
        ),
        "Percent: the shares should lie between 0 and 1.": returning(
            "100 * np.bincount(kind, alarmed)[1:] / np.bincount(kind)[1:]"
        ),
        "The last kind was left out, and kind 0 was kept. Leave out kind 0.": returning(
            "(np.bincount(kind, alarmed) / np.bincount(kind))[:-1]"
        ),
    },
    alternatives=(_kinds_by_loop, _kinds_by_pandas, _kinds_by_matrix),
)

# --- rows between rows -----------------------------------------------------------------------------


def _between_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(real, added, k, tolerance=1e-6):
        base = real[rng.integers(0, len(real) // 2, added)]
        other = real[rng.integers(len(real) // 2, len(real), added)]
        part = rng.uniform(0.2, 0.8, (added, 1))
        rows = np.vstack([base + part * (other - base), rng.normal(size=(added, real.shape[1]))])
        return {"rows": rng.permutation(rows), "known": real, "k": k, "tolerance": tolerance}

    cloud = rng.normal(size=(24, 3))
    outside = case(cloud, 6, 24)
    step = cloud[1:7] - cloud[:6]
    outside["rows"] = np.vstack(
        [cloud[:6] + 1.5 * step, cloud[:6] - 0.5 * step, cloud[:3] + 0.5 * step[:3]]
    )
    copies = case(cloud, 4, 10)
    copies["rows"] = np.vstack([cloud[:3], copies["rows"]])
    # The two ends are not among the nearest.
    ring = rng.normal(size=(12, 3))
    ring *= 0.2 / np.linalg.norm(ring, axis=1)[:, None]
    ends = np.array([[4.0, 0.0, 0.0], [-4.0, 0.0, 0.0]])
    far = {"rows": np.zeros((1, 3)), "known": np.vstack([ring, ends])}
    near = far | {"rows": np.vstack([np.zeros((1, 3)), ends / 2])}
    wide = rng.normal(size=(8, 3))
    middle = (wide[:4] + wide[4:]) / 2 + 0.05 * rng.normal(size=(4, 3))
    return {
        "all are near": case(cloud, 8, 24),
        "beyond the ends": outside,
        "copies": copies,
        "one end is far": far | {"k": 13, "tolerance": 1e-6},
        "and near enough": near | {"k": 14, "tolerance": 1e-6},
        "a wide tolerance": {"rows": middle, "known": wide, "k": 8, "tolerance": 0.02},
        "five columns": case(rng.normal(size=(30, 5)), 8, 30),
    }


def _between_by_lengths(rows, known, k, tolerance):
    found = []
    for row in rows:
        length = np.linalg.norm(known - row, axis=1)
        near = known[np.argsort(length)[:k]]
        if length.min() < 1e-12:
            found.append(True)
            continue
        a = near - row
        b = a / np.linalg.norm(a, axis=1, keepdims=True)
        # the cosine from the length of the difference of two unit vectors
        apart = ((b[:, None] - b[None]) ** 2).sum(axis=2)
        found.append(bool((1 - apart / 2).min() <= -1 + tolerance))
    return np.array(found)


def _between_by_pairs(rows, known, k, tolerance):
    found = np.zeros(len(rows), bool)
    for i, row in enumerate(rows):
        near = sorted(known - row, key=lambda v: v @ v)[:k]
        for a in near:
            if a @ a < 1e-24:
                found[i] = True
            for b in near:
                scale = np.sqrt((a @ a) * (b @ b))
                found[i] |= scale > 0 and a @ b <= (tolerance - 1) * scale
    return found


def _between_by_sums(rows, known, k, tolerance):
    away = known[None] - rows[:, None]
    length = np.sqrt((away**2).sum(axis=2))
    order = np.argsort(length, axis=1)[:, :k]
    near = np.take_along_axis(away, order[..., None], axis=1)
    unit = near / np.maximum(np.take_along_axis(length, order, axis=1), 1e-12)[..., None]
    # |u + v|^2 = 2 + 2 cos
    together = ((unit[:, :, None] + unit[:, None]) ** 2).sum(axis=3)
    return (together.min(axis=(1, 2)) <= 2 * tolerance) | (length.min(axis=1) < 1e-12)


def _between_picture(answer):
    rng = np.random.default_rng(0)
    known = rng.normal(size=(25, 2))
    known = np.column_stack([known, rng.normal(size=25)])
    t = rng.random((40, 1))
    made = known[rng.integers(0, 25, 40)] * t + known[rng.integers(0, 25, 40)] * (1 - t)
    rows = np.vstack([made, rng.normal(size=(40, 3))])
    inside = np.asarray(answer(rows, known, 25, 1e-6)).astype(bool)
    fig, ax = plt.subplots(figsize=(4.2, 3.4))
    ax.plot(*known[:, :2].T, "x", color=ORANGE, linestyle="none", label="known")
    ax.plot(*rows[inside, :2].T, ".", color=BLUE, linestyle="none", label="between two known")
    ax.plot(*rows[~inside, :2].T, ".", color=GREY, linestyle="none", label="not between")
    ax.legend(fontsize=8)
    return fig, (
        "Known points as crosses, and eighty others: the forty that were made between two known points "
        "are marked, and those that were drawn at random are not."
    )


LIES_BETWEEN = Exercise(
    id="finance.lies_between",
    title="A detector of leaks",
    points=2,
    minutes=18,
    difficulty=3,
    task="Return which rows lie on a straight line between two of their k nearest known rows: of the "
    "directions from the row to these k, two have a cosine of at most -1 + tolerance, or the row equals a "
    "known one (a distance below 1e-12).",
    hints=(
        "known - row gives all directions. np.argsort of their lengths, and [:k], gives the nearest.",
        "Divide each direction by its length. unit @ unit.T then holds the cosine of each pair.",
        "A row between two known ones sees them in opposite directions: the smallest cosine is -1.",
    ),
    reference=lies_between,
    inputs=_between_cases,
    probe=call_for_array,
    numpy=True,
    picture=_between_picture,
    mistakes={
        "Cosines near +1 belong to rows beyond the ends: both known rows lie on the same side.": slip(
            "(unit @ unit.T).min() <= -1 + tolerance",
            "(unit @ unit.T - 2 * np.eye(len(unit))).max() >= 1 - tolerance",
        ),
        "A row that equals a known one counts as well.": slip("length.min() < 1e-12 or ", ""),
        "All known rows were taken. Look at the k nearest only.": slip(
            "np.argsort(length)[:k]", "np.argsort(length)"
        ),
        "The directions must have length 1, or their products are no cosines.": slip(
            " / np.maximum(length[near], 1e-12)[:, None]", ""
        ),
        "The k farthest rows were taken, and not the nearest.": slip(
            "np.argsort(length)[:k]", "np.argsort(-length)[:k]"
        ),
        "The tolerance is missing or has the wrong sign: the cosine may be a little above -1.": slip(
            "-1 + tolerance", "-1 - tolerance"
        ),
        "Cosines near +1 were counted as well. Those rows lie beyond the ends, on one side of both.": slip(
            "(unit @ unit.T).min() <= -1 + tolerance",
            "np.abs(unit @ unit.T - np.eye(len(unit))).max() >= 1 - tolerance",
        ),
        "These are the rows that do not lie between. Return the others.": returning("~found"),
        "Only the two nearest rows were taken. Look at the k nearest.": slip("[:k]", "[:2]"),
        (
            "Any obtuse angle was counted. The two directions are opposite: a cosine of at most -1 + "
            "tolerance."
        ): slip("<= -1 + tolerance", "<= tolerance"),
        "The directions start at 0. They start at the row: known - row.": slip(
            "away = known - row", "away = known"
        ),
    },
    alternatives=(_between_by_lengths, _between_by_pairs, _between_by_sums),
)

# --- SMOTE on sequences ----------------------------------------------------------------------------


def _smote_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, steps, d, kinds, made, spread=1.0):
        kind = rng.permutation(np.arange(n) % kinds + 1)
        x = spread * (rng.normal(size=(n, steps, d)) + kind[:, None, None])
        base = rng.integers(0, n, made)
        rank = rng.integers(1, n // kinds, made)
        rank[0] = n // kinds - 1
        return {"x": x, "kind": kind, "base": base, "rank": rank, "t": rng.random(made)}

    return {
        "two kinds": case(12, 4, 2, 2, 8),
        "three kinds": case(15, 3, 3, 3, 6),
        "one kind": case(8, 5, 1, 1, 6),
        "one step, all near": case(10, 1, 2, 2, 7, spread=0.1),
    }


def _smote_by_flat(x, kind, base, rank, t):
    flat, made = x.reshape(len(x), -1), []
    for i, r, part in zip(base, rank, t, strict=True):
        mates = [j for j in range(len(x)) if kind[j] == kind[i] and j != i]
        mates.sort(key=lambda j, i=i: ((flat[j] - flat[i]) ** 2).sum())
        made.append((1 - part) * x[i] + part * x[mates[r - 1]])
    return np.stack(made)


def _smote_by_matrix(x, kind, base, rank, t):
    flat = x.reshape(len(x), -1)
    apart = ((flat[:, None] - flat[None]) ** 2).sum(axis=2) + 1e9 * (kind[:, None] != kind)
    np.fill_diagonal(apart, -1)
    other = np.argsort(apart, axis=1)[base, rank]
    return x[base] + t[:, None, None] * (x[other] - x[base])


def _smote_by_lerp(x, kind, base, rank, t):
    made = np.empty((len(base), *x.shape[1:]))
    for m in range(len(base)):
        own = np.flatnonzero(kind == kind[base[m]])
        length = np.linalg.norm((x[own] - x[base[m]]).reshape(len(own), -1), axis=1)
        other = own[np.argsort(length)[rank[m]]]
        made[m] = x[base[m]] * (1 - t[m]) + x[other] * t[m]
    return made


def _smote_picture(answer):
    rng = np.random.default_rng(0)
    steps = np.arange(6)
    low = 0.4 * np.sin(steps) + rng.normal(0, 0.15, (5, 6))
    high = 3 - 0.3 * steps + rng.normal(0, 0.15, (5, 6))
    x, kind = np.vstack([low, high])[..., None], np.repeat([1, 2], 5)
    base = rng.integers(0, 10, 20)
    made = answer(x, kind, base, rng.integers(1, 5, 20), rng.random(20))
    fig, ax = plt.subplots(figsize=(4.6, 3.2))
    for values, colour, name in ((x, ORANGE, "real"), (made, BLUE, "made")):
        lines = ax.plot(steps, np.asarray(values)[..., 0].T, color=colour, linewidth=0.9)
        lines[0].set_label(name)
    ax.set(xlabel="payment of the episode", ylabel="value")
    ax.legend(fontsize=8)
    return fig, (
        "Curves of two kinds, one low and one high and falling. The made curves lie among those of one "
        "kind or of the other; none runs through the empty space between them."
    )


SMOTE_EPISODES = Exercise(
    id="finance.smote_episodes",
    title="SMOTE on episodes of one kind",
    points=2,
    minutes=15,
    difficulty=2,
    task="Return new episodes x_i + t (x_j - x_i). Here x_i is the episode that `base` names, and x_j "
    "is its neighbour number `rank` (1 is the nearest) among the other episodes of the same "
    "kind, by the Euclidean distance over all steps and columns.",
    hints=(
        "The squared differences of whole episodes are added over both the steps and the columns.",
        "Set the distance to episodes of another kind to np.inf, so that they come last.",
        "An episode is nearest to itself. If it stands at place 0, the nearest other one is at place 1.",
    ),
    reference=smote_episodes,
    inputs=_smote_cases,
    probe=call_for_array,
    numpy=True,
    picture=_smote_picture,
    mistakes={
        "The neighbour may be of another kind here: a mixture of two kinds of fraud is neither.": slip(
            "apart[kind != kind[i]] = np.inf", "pass"
        ),
        "The neighbours are counted from the episode itself. Number 1 is the nearest other one.": slip(
            "[r]]", "[r - 1]]"
        ),
        "The new episode lies beyond: start at x_i and move towards x_j by t.": slip(
            "part * (other - x[i])", "(1 + part) * (other - x[i])"
        ),
        "The episode moves away from its neighbour: the difference is x_j - x_i.": slip(
            "(other - x[i])", "(x[i] - other)"
        ),
        "The neighbour is that of the first step alone. Compare whole episodes.": slip(
            "((x - x[i]) ** 2).sum(axis=(1, 2))", "((x[:, 0] - x[i, 0]) ** 2).sum(axis=1)"
        ),
        "The farthest episodes were taken for the nearest.": slip(
            'np.argsort(apart, kind="stable")[r]',
            'np.argsort(apart, kind="stable")[(kind == kind[i]).sum() - r]',
        ),
        "t counts from the wrong end: t = 0 is the episode itself.": slip(
            "part * (other", "(1 - part) * (other"
        ),
        "These are copies of the neighbours. Go only a share t towards them.": slip(
            "x[i] + part * (other - x[i])", "other + 0 * part"
        ),
        "These are copies of the episodes. Go a share t towards the neighbour.": slip(
            "x[i] + part * (other - x[i])", "x[i] + 0 * part"
        ),
        "This is always half of the way, whatever t says.": slip(
            "x[i] + part * (other - x[i])", "(x[i] + other) / 2"
        ),
    },
    alternatives=(_smote_by_flat, _smote_by_matrix, _smote_by_lerp),
)

# --- an episode in a life --------------------------------------------------------------------------


def _splice_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, m, start, gap):
        time = np.r_[rng.uniform(0, 5), np.sort(rng.uniform(5, 100, n - 1))]
        return {
            "time": time,
            "amount": np.exp(rng.normal(3, 1, n)),
            "start": start,
            "after": np.r_[0.0, np.cumsum(rng.exponential(gap, m - 1))],
            "times_own": np.exp(rng.normal(1, 0.5, m)),
        }

    return {
        "in the middle": case(12, 4, 50.0 + rng.uniform(0, 5), 6.0),
        "at the end": case(8, 3, 120.0, 2.0),
        "one payment before": case(6, 3, 5.0, 0.01),
        "one payment put in": case(9, 1, 60.0, 1.0),
        "between all others": case(10, 6, 30.0, 15.0),
    }


def _splice_by_pandas(time, amount, start, after, times_own):
    own = pd.DataFrame({"time": time, "amount": amount, "place": 0})
    level = np.exp(np.log(own.loc[own["time"] < start, "amount"]).mean())
    put_in = {"time": after + start, "amount": times_own * level}
    made = pd.DataFrame(put_in).assign(place=range(1, len(after) + 1))
    return pd.concat([own, made]).sort_values("time").to_numpy(float)


def _splice_by_lists(time, amount, start, after, times_own):
    before = [a for t, a in zip(time, amount, strict=True) if t < start]
    level = float(np.prod(before)) ** (1 / len(before))
    life = [(t, a, 0) for t, a in zip(time, amount, strict=True)]
    episode = zip(after, times_own, strict=True)
    life += [(start + t, level * a, k) for k, (t, a) in enumerate(episode, 1)]
    return np.array(sorted(life), float)


def _splice_by_insert(time, amount, start, after, times_own):
    level = np.exp(np.log(amount)[: np.searchsorted(time, start)].mean())
    where = np.searchsorted(time, start + after)
    return np.stack(
        [
            np.insert(time, where, start + after),
            np.insert(amount, where, level * times_own),
            np.insert(np.zeros(len(time)), where, np.arange(len(after)) + 1),
        ],
        axis=1,
    )


def _splice_picture(answer):
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 300, 40))
    amount = np.exp(rng.normal(3, 0.5, 40))
    life = answer(time, amount, 180.0, np.array([0, 2.0, 5.0, 9.0]), np.array([4.0, 5, 6, 4]))
    own = life[:, 2] == 0
    fig, ax = plt.subplots(figsize=(4.8, 3))
    ax.plot(*life[own, :2].T, "o", color=BLUE, linestyle="none", markersize=4, label="own")
    ax.plot(*life[~own, :2].T, "D", color=ORANGE, linestyle="none", label="put in")
    ax.set(xlabel="hour", ylabel="amount", yscale="log")
    ax.legend(fontsize=8)
    return fig, (
        "Forty payments of one account over 300 hours, and four that were put in shortly after hour 180: "
        "close together and several times as large as the others."
    )


SPLICE = Exercise(
    id="finance.splice",
    title="An episode in an account's life",
    points=1,
    minutes=12,
    difficulty=2,
    task="Return the account's payments and those of the episode in the order of time, in three columns: "
    "hour, amount, and place, which is 0 for the account's own payments and 1, 2, ... for those of the "
    "episode. The episode's hours are start + after; its amounts are times_own times the exponential of "
    "the mean logarithm of the account's amounts before the start.",
    hints=(
        "amount[time < start] are the account's amounts before the start. The level is the "
        "exponential of the "
        "mean of their logarithms.",
        "Make two arrays of three columns with np.column_stack, and put them together with np.vstack.",
        "life[np.argsort(life[:, 0])] sorts the rows by time.",
    ),
    reference=splice,
    inputs=_splice_cases,
    probe=call_for_array,
    numpy=True,
    picture=_splice_picture,
    mistakes={
        (
            "The level is taken over the whole life, also over what comes after the start: this looks "
            "ahead."
        ): slip("amount[time < start]", "amount"),
        "The level is the exponential of the mean logarithm, and not the mean amount.": slip(
            "np.exp(np.log(amount[time < start]).mean())", "amount[time < start].mean()"
        ),
        "The episode's hours count from its start: add it.": slip(
            "start + after, level", "after, level"
        ),
        "The episode was put at the end. Sort the payments by time.": returning("life"),
        "The amounts of the episode are multiples of the account's level: multiply.": slip(
            "level * times_own", "times_own"
        ),
        "The places of the episode count from 1: 0 stands for the account's own payments.": slip(
            "1 + np.arange(len(after))", "np.arange(len(after))"
        ),
        "The episode runs backwards: its hours are start + after.": slip(
            "start + after", "start - after"
        ),
        "The level is the exponential of the mean logarithm, and not the median.": slip(
            "np.exp(np.log(amount[time < start]).mean())", "np.median(amount[time < start])"
        ),
        "The level is the last amount alone. Take all amounts before the start.": slip(
            "np.exp(np.log(amount[time < start]).mean())", "amount[time < start][-1]"
        ),
        "The columns are in the wrong order: hour, amount, place.": returning(
            "life[np.argsort(life[:, 0], kind='stable')][:, [1, 0, 2]]"
        ),
        "All payments of the episode have the place 1. Count them: 1, 2, ...": slip(
            "1 + np.arange(len(after))", "np.ones(len(after))"
        ),
        "The payments were sorted by amount. Sort them by time.": returning(
            "life[np.argsort(life[:, 1], kind='stable')]"
        ),
        "This is the episode alone. Return it together with the account's own payments.": returning(
            "put_in"
        ),
        "The place was set for the account's own payments, too. Theirs is 0.": slip(
            "np.zeros(len(time))", "1 + np.arange(len(time))"
        ),
    },
    alternatives=(_splice_by_pandas, _splice_by_lists, _splice_by_insert),
)

# --- costs -----------------------------------------------------------------------------------------


def _cost_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, rate, per_alarm, lots=False):
        alarmed = rng.random(n) if lots else (rng.random(n) < 0.3).astype(float)
        fraud = rng.random(n) < rate
        # A fraud that is seen, one that is missed, and a false alarm, so that each of them counts.
        alarmed[:3], fraud[:3] = [1.0, 0.0, 1.0], [True, True, False]
        amount = np.exp(rng.normal(3, 1, n))
        order = rng.permutation(n)
        return {
            "alarmed": alarmed[order],
            "fraud": fraud[order],
            "amount": amount[order],
            "per_alarm": per_alarm,
        }

    nothing = case(20, 0.3, 5.0)
    nothing["alarmed"] = np.zeros(20)
    return {
        "few frauds": case(60, 0.05, 5.0),
        "many frauds": case(40, 0.5, 3.0),
        "alarms by lot": case(50, 0.3, 10.0, lots=True),
        "nothing is looked at": nothing,
        "a look is free": case(30, 0.4, 0.0),
    }


def _cost_by_loop(alarmed, fraud, amount, per_alarm):
    total = 0.0
    for chance, bad, euros in zip(alarmed, fraud, amount, strict=True):
        total += per_alarm * chance + (euros * (1 - chance) if bad else 0.0)
    return total


def _cost_by_savings(alarmed, fraud, amount, per_alarm):
    lost = np.where(fraud, amount, 0.0)
    return lost.sum() - alarmed @ (lost - per_alarm)


def _cost_by_parts(alarmed, fraud, amount, per_alarm):
    missed = amount[fraud] * (1 - alarmed[fraud])
    return np.sum(missed) + per_alarm * np.sum(alarmed)


def _cost_picture(answer):
    rng = np.random.default_rng(0)
    n = 4000
    fraud = rng.random(n) < 0.02
    score = rng.normal(size=n) + 2.5 * fraud
    amount = np.exp(rng.normal(4, 1, n))
    shares = np.linspace(0.001, 0.2, 40)
    order = np.argsort(np.argsort(-score))
    cost = [answer((order < share * n).astype(float), fraud, amount, 5.0) for share in shares]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(100 * shares, cost, color=BLUE)
    ax.set(xlabel="% of the payments that are looked at", ylabel="cost, euros")
    return fig, (
        "The total cost against the share of payments that are looked at: it falls steeply at first, "
        "reaches its least at a few per cent, and then rises slowly."
    )


TOTAL_COST = Exercise(
    id="finance.total_cost",
    title="What alarms and misses cost",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return the cost of all alarms, per_alarm for each, also for those of frauds, plus the amounts of "
    "the frauds that are missed; where a payment is looked at by lot, count the expected cost.",
    hints=(
        "The number of alarms is alarmed.sum(), whether they are right or not.",
        "A payment is missed with the chance 1 - alarmed. It costs its amount if it is a fraud.",
    ),
    reference=total_cost,
    inputs=_cost_cases,
    probe=call_for_array,
    numpy=True,
    picture=_cost_picture,
    mistakes={
        "Only false alarms were counted. Somebody has to look at the right ones, too.": slip(
            "alarmed.sum()", "(alarmed * ~fraud).sum()"
        ),
        "The frauds that are seen were counted, and not those that are missed.": slip(
            "(1 - alarmed)", "alarmed"
        ),
        "Each miss costs its own amount. This only counts the misses.": slip(" * amount", ""),
        "Genuine payments that are not looked at cost nothing.": slip(" * fraud", ""),
        "Alarms cost as well: per_alarm for each.": slip("per_alarm * alarmed.sum() + ", ""),
        "This is the mean cost of a payment. Return the sum.": returning(
            "float(per_alarm * alarmed.sum() + ((1 - alarmed) * fraud * amount).sum()) / "
            "len(amount)"
        ),
        "Every payment was looked at here. Count the alarms only.": slip(
            "alarmed.sum()", "len(alarmed)"
        ),
        "This is what the alarms save. Return what they cost, plus the frauds that are missed.": returning(
            "float((alarmed * fraud * amount).sum() - per_alarm * alarmed.sum())"
        ),
        "A fraud that is looked at by lot counts as seen. It is missed with 1 minus its chance.": slip(
            "(1 - alarmed)", "(alarmed == 0)"
        ),
        "per_alarm was added to each fraud that is missed. Nobody looked there.": slip(
            "* amount)", "* (amount + per_alarm))"
        ),
        "A payment that is looked at by lot counts as a whole alarm. Add up the chances.": slip(
            "alarmed.sum()", "(alarmed > 0).sum()"
        ),
        "The frauds that are missed were subtracted. They are a cost: add them.": slip(
            "+ ((1", "- ((1"
        ),
    },
    alternatives=(_cost_by_loop, _cost_by_savings, _cost_by_parts),
)
