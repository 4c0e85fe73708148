"""The exercises of lesson 16: rules, an inspection budget, a search for settings, and remaining life."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.models.maintenance import (
    accept,
    breaks_rules,
    inside_fence,
    nasa_score,
    promise_and_truth,
    recall_at_budget,
    remaining_life,
)
from course_lib.plots import BLUE, GREY, ORANGE

# --- rules from physics ----------------------------------------------------------------------------


def _rule_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    names = ("air", "process", "speed", "torque", "wear", "strain_limit")

    def case(*columns):
        return dict(zip(names, map(np.array, columns), strict=True))

    def drawn(n, speed, torque):
        air = rng.normal(300, 2, n)
        wear = rng.uniform(0, 240, n)
        limits = rng.choice([11_000.0, 12_000.0, 13_000.0], n)
        process = air + rng.uniform(7.5, 10, n)
        return case(air, process, rng.normal(speed, 150, n), rng.normal(torque, 9, n), wear, limits)

    a = 300 + float(rng.uniform(-2, 2))
    torques = np.array([3499.5, 3500.5, 8999.5, 9000.5]) / (2 * np.pi * 1500 / 60)
    # One state near each limit, on either side, and on it where numbers can be equal.
    return {
        "states as they come": drawn(60, 1450, 45),
        "much power": drawn(60, 1650, 55),
        "little power": drawn(60, 2700, 13),
        "near the limits of heat": case(
            *([a] * 6, [a + 8.55, a + 8.55, a + 8.65, a + 8.55, a - 9, a + 8.55]),
            *([1380.0, 1379.9, 1300.0, 1380.1, 1300.0, 1300.0], [40.0] * 6),
            *([100.0] * 6, [11_000.0] * 6),
        ),
        "near the limits of power": case(
            *([a] * 4, [a + 10] * 4, [1500.0] * 4, list(torques)),
            *([10.0] * 4, [11_000.0] * 4),
        ),
        "near the limits of strain": case(
            *([a] * 4, [a + 10] * 4, [1500.0] * 4, [50.0] * 4),
            *([220.0, 220.1, 240.0, 240.1], [11_000.0, 11_000.0, 12_000.0, 12_000.0]),
        ),
    }


def _rules_by_loop(air, process, speed, torque, wear, strain_limit):
    broken = []
    for a, p, n, t, w, most in zip(air, process, speed, torque, wear, strain_limit, strict=True):
        watts = t * n * np.pi / 30
        broken.append([p < a + 8.6 and n < 1380, watts < 3500 or watts > 9000, t * w > most])
    return np.array(broken)


def _rules_by_logic(air, process, speed, torque, wear, strain_limit):
    watts = torque * (2 * np.pi / 60 * speed)
    heat = np.logical_and(process - air < 8.6, speed < 1380)
    power = np.logical_not(np.logical_and(watts >= 3500, watts <= 9000))
    return np.stack([heat, power, torque > strain_limit / np.maximum(wear, 1e-9)], axis=1)


def _rules_by_distance(air, process, speed, torque, wear, strain_limit):
    watts = 2 * np.pi * speed * torque / 60
    slow = (speed < 1380).astype(int)
    columns = [(8.6 - process + air > 0) * slow, np.abs(watts - 6250) > 2750, wear * torque]
    columns[2] = columns[2] > strain_limit
    return np.array(columns).T.astype(bool)


def _rules_picture(answer):
    speed, torque = np.meshgrid(np.linspace(1150, 2900, 120), np.linspace(4, 76, 120))
    n = speed.size
    state = [np.full(n, x) for x in (300.0, 308.0)] + [speed.ravel(), torque.ravel()]
    broken = answer(*state, np.full(n, 210.0), np.full(n, 11_000.0))
    fig, ax = plt.subplots(figsize=(4.6, 3.2))
    for k, (colour, name) in enumerate(((GREY, "heat"), (BLUE, "power"), (ORANGE, "strain"))):
        where = broken[:, k].reshape(speed.shape).astype(float)
        ax.contourf(speed, torque, where, [0.5, 1.5], colors=[colour], alpha=0.5)
        ax.plot([], [], "s", color=colour, alpha=0.5, label=name)
    ax.set(xlabel="speed, revolutions a minute", ylabel="torque, Nm")
    ax.legend(fontsize=8, loc="upper right")
    return fig, (
        "Torque against speed for a worn tool and a small difference of temperatures. Heat fills the "
        "strip of low speed, strain the upper part, and power all that lies outside of a band of "
        "hyperbolas."
    )


BREAKS_RULES = Exercise(
    id="manufacturing.breaks_rules",
    title="Rules from physics",
    points=2,
    minutes=12,
    difficulty=1,
    task="Return for each state which rules it breaks, in three columns: heat (the temperatures differ by "
    "less than 8.6 K and the speed is below 1380), power (below 3500 or above 9000 watts), and strain "
    "(wear times torque above the limit).",
    hints=(
        "Power in watts is torque times angular speed, and angular speed is 2 pi n / 60 for n turns a "
        "minute.",
        "Combine conditions on arrays with & and |, each in parentheses.",
        "np.column_stack puts the three arrays of booleans side by side.",
    ),
    reference=breaks_rules,
    inputs=_rule_cases,
    probe=call_for_array,
    numpy=True,
    picture=_rules_picture,
    mistakes={
        "Power needs the angular speed in radians a second: multiply by 2 pi and divide by 60.": slip(
            " * 2 * np.pi / 60", ""
        ),
        "Turns a second were taken for radians a second: a turn is 2 pi radians.": slip(
            " * 2 * np.pi / 60", " / 60"
        ),
        "Heat needs both: a small difference of temperatures and a low speed.": slip(
            "(process - air < 8.6) & (speed", "(process - air < 8.6) | (speed"
        ),
        "The difference is that of process and air, in this order: the process is the warmer one.": slip(
            "process - air", "air - process"
        ),
        "Too little power is a failure as well: below 3500 watts.": slip(
            "(power < 3500) | (power > 9000)", "power > 9000"
        ),
        "Strain is wear times torque, and not torque alone.": slip(
            "wear * torque > strain_limit", "torque > strain_limit"
        ),
        "Strain is wear times torque, and not wear times speed.": slip(
            "wear * torque > strain_limit", "wear * speed > strain_limit"
        ),
        "Too much power is a failure as well: above 9000 watts.": slip(
            "(power < 3500) | (power > 9000)", "power < 3500"
        ),
        "These are the states whose power is right. Too little or too much breaks the rule.": slip(
            "(power < 3500) | (power > 9000)", "(power > 3500) & (power < 9000)"
        ),
        "No power is below 3500 and above 9000 at once: either of the two breaks the rule.": slip(
            "(power < 3500) | (power > 9000)", "(power < 3500) & (power > 9000)"
        ),
        "A strain of just the limit is allowed: compare with >.": slip(
            "> strain_limit", ">= strain_limit"
        ),
        "The columns are in the wrong order: heat, power, strain.": returning(
            "np.column_stack([(power < 3500) | (power > 9000), heat, wear * torque > strain_limit])"
        ),
        "This says whether any rule is broken. Return a column for each rule.": returning(
            "heat | (power < 3500) | (power > 9000) | (wear * torque > strain_limit)"
        ),
    },
    alternatives=(_rules_by_loop, _rules_by_logic, _rules_by_distance),
)

# --- recall at a budget ----------------------------------------------------------------------------


def _budget_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(score, failed, share):
        return {"score": score, "failed": failed, "share": share}

    def noisy(n, levels, share, rate=0.15):
        failed = rng.random(n) < rate
        failed[:2] = True, False
        score = rng.normal(size=n) + 1.5 * failed
        return case(np.round(score * levels) / levels, failed, share)

    tied = np.repeat([0.9, 0.5, 0.1], [4, 10, 30])
    return {
        "no ties": noisy(83, 1e6, 0.1),
        "rounded up": noisy(57, 1e6, 0.05),
        "many ties": noisy(90, 1, 0.2, 0.3),
        "ties at the last place": case(
            tied, rng.random(44) < np.repeat([0.9, 0.6, 0.3], [4, 10, 30]), 0.2
        ),
        "one row to inspect": case(
            np.r_[0.0, rng.normal(-1, 0.2, 19)], np.r_[True, rng.random(19) < 0.5], 0.05
        ),
        "everything is inspected": noisy(30, 2, 1.0),
        "every score is the same": case(np.zeros(40), np.arange(40) % 7 == seed % 7, 0.25),
    }


def _budget_level_by_level(score, failed, share):
    left, found = float(round(share * len(score))), 0.0
    for level in np.unique(score)[::-1]:
        own = score == level
        part = min(1.0, left / own.sum())
        found += part * failed[own].sum()
        left -= part * own.sum()
    return found / failed.sum()


def _budget_by_chance_of_each_row(score, failed, share):
    budget = int(np.rint(share * len(score)))
    above = (score[None, :] > score[:, None]).sum(axis=1)
    ties = (score[None, :] == score[:, None]).sum(axis=1)
    return float((np.clip((budget - above) / ties, 0, 1) * failed).sum() / failed.sum())


def _budget_by_pandas(score, failed, share):
    table = pd.DataFrame({"score": score, "failed": failed.astype(float)})
    mean = table.groupby("score")["failed"].transform("mean").to_numpy()
    order = np.argsort(-score)
    return float(mean[order][: round(share * len(score))].sum() / failed.sum())


def _budget_picture(answer):
    rng = np.random.default_rng(0)
    failed = rng.random(2000) < 0.04
    score = rng.normal(size=2000) + 2 * failed
    shares = np.linspace(0.005, 0.5, 40)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(shares, [answer(score, failed, share) for share in shares], color=BLUE)
    ax.plot(shares, shares, color=ORANGE, linestyle="--")
    ax.set(xlabel="share of the machines inspected", ylabel="share of the failures found")
    return fig, (
        "The share of failures found against the share of machines inspected: steep at first, then flat, "
        "and far above the dashed diagonal, which stands for inspecting at random."
    )


RECALL_AT_BUDGET = Exercise(
    id="manufacturing.recall_at_budget",
    title="Failures found within a budget",
    points=2,
    minutes=12,
    difficulty=2,
    task="The rows with the highest scores are inspected: `share` of all rows, rounded to a whole "
    "number. Return the share of all failures that are found. Of the rows that tie at the last "
    "place only a part is inspected, chosen by lot: count the expected number of failures.",
    hints=(
        "The budget is round(share * len(score)) rows.",
        "np.sort(score)[-budget] is the score at the last place. Rows above it are all inspected.",
        "Of the rows with just this score, a share (budget - number above) / number of ties is inspected.",
    ),
    reference=recall_at_budget,
    inputs=_budget_cases,
    probe=call_for_array,
    numpy=True,
    picture=_budget_picture,
    mistakes={
        "This divides by the rows inspected: it is the precision. Recall divides by all failures.": slip(
            "/ failed.sum()", "/ budget"
        ),
        (
            "All rows that tie at the last place are inspected here, which can be many more than the "
            "budget."
        ): slip("(budget - above.sum()) / ties.sum()", "1"),
        "The rows that tie at the last place are left out. A part of them is inspected.": slip(
            "(budget - above.sum()) / ties.sum()", "0"
        ),
        "The rows of lowest score are inspected here. Begin with the highest.": slip(
            "np.sort(score)[-budget]",
            "np.sort(score)[budget - 1]",
            "score > last",
            "score < last",
        ),
        "The budget was cut down to a whole number. Round it.": slip(
            "round(share * len(score))", "max(int(share * len(score)), 1)"
        ),
        "The budget is a share of all rows, and not of the failures.": slip(
            "round(share * len(score))", "max(round(share * failed.sum()), 1)"
        ),
        "This is the number of failures that are found. Divide by all failures.": returning(
            "float(failed[above].sum() + lot * failed[ties].sum())"
        ),
        "This is the share of failures that are missed. Return that of those found.": returning(
            "1 - float((failed[above].sum() + lot * failed[ties].sum()) / failed.sum())"
        ),
        "You divided by the number of all rows. Divide by all failures.": slip(
            "/ failed.sum()", "/ len(failed)"
        ),
        (
            "The ties were inspected in the order of their rows. A part is inspected by lot: count the "
            "expected number."
        ): returning(
            "float(failed[np.argsort(-score, kind='stable')[:budget]].sum() / failed.sum())"
        ),
        "Half of the ties are inspected here, whatever the budget. They share what is left of it.": slip(
            "(budget - above.sum()) / ties.sum()", "0.5"
        ),
    },
    alternatives=(_budget_level_by_level, _budget_by_chance_of_each_row, _budget_by_pandas),
)

# --- rejection by rules ----------------------------------------------------------------------------


def _accept_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, m, rate, wanted):
        explained = rng.random((n, m)) < rate
        # One row with a single reason, one with two, one with none, so that no case is empty.
        explained[:3] = False
        explained[0, 0] = explained[1, -1] = explained[1, 0] = True
        order = rng.permutation(n)
        return {"rows": rng.normal(size=(n, 3)), "explained": explained[order], "wanted": wanted}

    return {
        "more than wanted": case(60, 4, 0.2, 8),
        "fewer than wanted": case(20, 3, 0.1, 50),
        "one reason": case(30, 1, 0.5, 5),
        "one row wanted": case(25, 4, 0.15, 1),
    }


def _accept_by_loop(rows, explained, wanted):
    kept, good = [], 0
    for row, reasons in zip(rows, explained, strict=True):
        if sum(reasons):
            good += 1
            if len(kept) < wanted:
                kept.append(row)
    return np.array(kept), good / len(rows)


def _accept_by_places(rows, explained, wanted):
    places = np.flatnonzero(explained.sum(axis=1) > 0)
    return rows[places[:wanted]], len(places) / len(rows)


def _accept_by_max(rows, explained, wanted):
    good = np.max(explained, axis=1).astype(bool)
    return np.compress(good, rows, axis=0)[0:wanted], float(np.count_nonzero(good) / good.size)


def _accept_picture(answer):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 2))
    explained = np.column_stack([rows.sum(axis=1) > 1.5, rows[:, 0] < -1.5])
    kept, share = answer(rows, explained, 600)
    fig, ax = plt.subplots(figsize=(4, 3.2))
    ax.plot(*rows.T, ".", color=GREY, markersize=3, linestyle="none", label="drawn")
    ax.plot(*np.asarray(kept).T, "o", color=BLUE, markersize=3, linestyle="none", label="accepted")
    ax.set(title=f"{share:.0%} accepted")
    ax.legend(fontsize=8)
    return fig, (
        "A round cloud of points. Those in its upper right part and those at its left edge are marked as "
        "accepted: each of the two regions is one reason."
    )


ACCEPT = Exercise(
    id="manufacturing.accept",
    title="Rejection by rules",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return the first `wanted` of the rows that at least one reason explains, and the share of "
    "all rows that at least one reason explains.",
    hints=(
        "explained has a column for each reason; explained.any(axis=1) tells which rows have one.",
        "Choose these rows first, then take the first wanted of them.",
        "The share is the mean of the booleans, whatever the number wanted is.",
    ),
    reference=accept,
    inputs=_accept_cases,
    numpy=True,
    picture=_accept_picture,
    mistakes={
        "One reason is enough. This asks for all of them: any, not all.": slip(
            ".any(axis=1)", ".all(axis=1)"
        ),
        "The rows that nothing explains were kept. Keep the others.": slip(
            "rows[good]", "rows[~good]"
        ),
        "The first rows were taken before the choice. Choose first, then take as many as wanted.": slip(
            "rows[good][:wanted]", "rows[:wanted][good[:wanted]]"
        ),
        (
            "The share is that of all rows which a reason explains, and not only of those that are "
            "returned."
        ): slip("float(good.mean())", "len(rows[good][:wanted]) / len(rows)"),
        "This returns every row that is explained. Take only as many as wanted.": slip(
            "[:wanted]", ""
        ),
        "This is the share of rows that are rejected.": slip(
            "float(good.mean())", "1 - float(good.mean())"
        ),
        "These are the last rows. Return the first ones.": slip("[:wanted]", "[-wanted:]"),
        "This is a number of rows. Return the share.": slip(
            "float(good.mean())", "float(good.sum())"
        ),
        "This is the share of all reasons that hold. Return the share of rows with at least one.": slip(
            "float(good.mean())", "float(explained.mean())"
        ),
        "Only the first reason was looked at. Any of them explains a row.": slip(
            "explained.any(axis=1)", "explained[:, 0]"
        ),
        "The share is that of the first rows. Take it over all rows.": returning(
            "rows[good][:wanted], float(good[:wanted].mean())"
        ),
        "The two are in the wrong order: first the rows, then the share.": returning(
            "float(good.mean()), rows[good][:wanted]"
        ),
    },
    alternatives=(_accept_by_loop, _accept_by_places, _accept_by_max),
)

# --- the optimiser's curse -------------------------------------------------------------------------


def _curse_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, limit, best):
        predicted = np.round(rng.beta(1, 8, n), 2)
        gain = rng.normal(100, 20, n) + 200 * predicted
        return {
            "gain": gain,
            "predicted": predicted,
            "true": np.where(rng.random(n) < 0.3, 0.0, predicted + rng.uniform(0, 0.5, n)),
            "limit": limit,
            "best": best,
        }

    return {
        "many are allowed": case(80, 0.15, 10),
        "the risk is at the limit for some": case(60, 0.05, 20),
        "fewer allowed than wanted": case(40, 0.02, 30),
        "the best one alone": case(50, 0.1, 1),
    }


def _curse_by_sorting(gain, predicted, true, limit, best):
    rows = sorted(zip(-gain, predicted, true, strict=True))
    rows = [row for row in rows if row[1] <= limit][:best]
    return sum(row[1] for row in rows) / len(rows), sum(row[2] for row in rows) / len(rows)


def _curse_by_pandas(gain, predicted, true, limit, best):
    table = pd.DataFrame({"gain": gain, "predicted": predicted, "true": true})
    chosen = table[table["predicted"] <= limit].nlargest(best, "gain")
    return float(chosen["predicted"].mean()), float(chosen["true"].mean())


def _curse_by_mask(gain, predicted, true, limit, best):
    worth = np.where(predicted > limit, -np.inf, gain)
    chosen = np.argsort(worth)[::-1][: min(best, int((predicted <= limit).sum()))]
    return predicted[chosen].mean(), true[chosen].mean()


def _curse_picture(answer):
    rng = np.random.default_rng(0)
    true = rng.beta(2, 6, 20_000)
    counts = [10, 100, 1000, 10_000]
    said = []
    for n in counts:
        noise = rng.normal(0, 0.15, n)
        said.append(answer(1 - true[:n] - noise, true[:n] + noise, true[:n], 1.0, 5))
    promised, found = np.transpose(said)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(counts, promised, "o-", color=BLUE, label="promised")
    ax.plot(counts, found, "s--", color=ORANGE, label="true")
    ax.set(xscale="log", xlabel="settings that were searched", ylabel="risk of the best five")
    ax.legend(fontsize=8)
    return fig, (
        "The risk of the five best settings against how many were searched. The promised risk falls far "
        "below 0; the true risk falls much less, so the gap between the two grows."
    )


PROMISE_AND_TRUTH = Exercise(
    id="manufacturing.promise_and_truth",
    title="The optimiser's curse",
    points=2,
    minutes=12,
    difficulty=2,
    task="Of the settings with a predicted risk of at most the limit, choose the `best` ones with the "
    "highest gain (`best` is their number). Return their mean predicted risk and their mean true "
    "risk.",
    hints=(
        "np.flatnonzero(predicted <= limit) gives the places of the settings that are allowed.",
        "Sort the allowed ones by minus their gain and take the first best.",
        "The true risk takes no part in the choice. It is only looked up in the end.",
    ),
    reference=promise_and_truth,
    inputs=_curse_cases,
    numpy=True,
    picture=_curse_picture,
    mistakes={
        "The choice was made by the true risk, which nobody knows in advance. Use the predicted one.": slip(
            "predicted <= limit", "true <= limit"
        ),
        "A predicted risk of just the limit is allowed: at most.": slip(
            "predicted <= limit", "predicted < limit"
        ),
        "The settings of lowest gain were chosen. Sort from high to low.": slip(
            "np.argsort(-gain[allowed]", "np.argsort(gain[allowed]"
        ),
        "The limit was forgotten: settings of any predicted risk were chosen.": slip(
            "np.flatnonzero(predicted <= limit)", "np.arange(len(gain))"
        ),
        (
            "The settings of lowest predicted risk were chosen. The limit settles the risk; among those "
            "allowed, the gain decides."
        ): slip("np.argsort(-gain[allowed]", "np.argsort(predicted[allowed]"),
        "The mean was taken over all settings that are allowed. Only the best of them count.": slip(
            "[:best]", ""
        ),
        "The two are in the wrong order: first the predicted risk, then the true one.": returning(
            "float(true[chosen].mean()), float(predicted[chosen].mean())"
        ),
        "These are the largest risks. Return the means.": returning(
            "float(predicted[chosen].max()), float(true[chosen].max())"
        ),
        "This is the difference of the two. Return both.": returning(
            "float(true[chosen].mean() - predicted[chosen].mean())"
        ),
        "These are sums. Return the means.": returning(
            "float(predicted[chosen].sum()), float(true[chosen].sum())"
        ),
        "The first mean is over all settings that are allowed. Both are over the chosen ones.": returning(
            "float(predicted[allowed].mean()), float(true[chosen].mean())"
        ),
    },
    alternatives=(_curse_by_sorting, _curse_by_pandas, _curse_by_mask),
)

# --- the fence -------------------------------------------------------------------------------------


def _fence_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(candidates, known, k, share):
        return {"candidates": candidates, "known": known, "k": k, "share": share}

    cloud = rng.normal(size=(60, 2)) @ np.array([[1.0, 0.8], [0.0, 0.4]])
    line = float(rng.integers(-5, 5)) + np.arange(12.0)[:, None]
    return {
        "a cloud and its box": case(rng.uniform(-3, 3, (50, 2)), cloud, 3, 0.9),
        "the nearest neighbour": case(rng.uniform(-2, 2, (40, 2)), cloud, 1, 0.8),
        "three columns": case(rng.normal(0, 1.4, (40, 3)), rng.normal(size=(50, 3)), 5, 0.95),
        "just at the reach": case(
            np.r_[line[:1] - 1, line[-1:] + 1.5, line[:1] + 0.5], line, 1, 0.9
        ),
        "known rows themselves": case(line[3:6], line, 2, 0.5),
        "few known rows": case(rng.normal(0, 1.2, (30, 2)), rng.normal(size=(8, 2)), 2, 0.6),
    }


def _fence_by_neighbours(candidates, known, k, share):
    search = NearestNeighbors(n_neighbors=k + 1).fit(known)
    among = search.kneighbors(known)[0][:, -1]
    return search.kneighbors(candidates, k)[0][:, -1] <= np.quantile(among, share) + 1e-12


def _fence_by_tree(candidates, known, k, share):
    tree = cKDTree(known)
    among = tree.query(known, k=[k + 1])[0][:, 0]
    return tree.query(candidates, k=[k])[0][:, 0] <= np.quantile(among, share)


def _fence_by_partition(candidates, known, k, share):
    apart = cdist(known, known)
    np.fill_diagonal(apart, np.inf)
    among = np.partition(apart, k - 1, axis=1)[:, k - 1]
    reach = np.partition(cdist(candidates, known), k - 1, axis=1)[:, k - 1]
    return ~(reach > np.quantile(among, share))


def _fence_picture(answer):
    rng = np.random.default_rng(0)
    known = rng.normal(size=(300, 2)) @ np.array([[1.0, -0.9], [0.0, 0.35]])
    box = rng.uniform(known.min(axis=0), known.max(axis=0), (1500, 2))
    inside = answer(box, known, 5, 0.95).astype(bool)
    fig, ax = plt.subplots(figsize=(4, 3.2))
    ax.plot(*box[~inside].T, ".", color=GREY, markersize=2, linestyle="none", label="outside")
    ax.plot(*box[inside].T, ".", color=BLUE, markersize=4, linestyle="none", label="inside")
    ax.plot(*known.T, "x", color=ORANGE, markersize=3, linestyle="none", label="known")
    ax.legend(fontsize=8)
    return fig, (
        "Known points along a falling diagonal, and candidates spread over the whole box around them. "
        "Only candidates along the diagonal are marked as inside the fence."
    )


INSIDE_FENCE = Exercise(
    id="manufacturing.inside_fence",
    title="A fence around a search",
    points=2,
    minutes=15,
    difficulty=3,
    task="For each candidate take the distance to its k-th nearest known row. Return which candidates "
    "have one of at most the quantile `share` of the same distance among the known rows, each to "
    "its k-th nearest other known row.",
    hints=(
        "cdist(candidates, known) gives all distances. Sort each line; the k-th nearest is at place k - 1.",
        "Among the known rows each is its own nearest row, at place 0. The k-th nearest other one is at "
        "place k.",
        "np.quantile(among, share) is how far a candidate may lie away.",
    ),
    reference=inside_fence,
    inputs=_fence_cases,
    probe=call_for_array,
    numpy=True,
    picture=_fence_picture,
    mistakes={
        "Each known row was counted as its own neighbour. The k-th nearest other row is at place k.": slip(
            "axis=1)[:, k]", "axis=1)[:, k - 1]"
        ),
        "The candidates' distance is that to the neighbour after the k-th: places count from 0.": slip(
            "axis=1)[:, k - 1]", "axis=1)[:, k]"
        ),
        "The reach is the largest distance among the known rows here. Take the quantile share.": slip(
            "np.quantile(among, share)", "among.max()"
        ),
        "The quantile was taken of the candidates' own distances. The known rows set the fence.": slip(
            "np.quantile(among, share)", "np.quantile(reach, share)"
        ),
        "These are the candidates outside of the fence.": slip("reach <= np", "reach > np"),
        "The nearest known row decides here. Look at the k-th nearest.": slip(
            "axis=1)[:, k]", "axis=1)[:, 1]", "axis=1)[:, k - 1]", "axis=1)[:, 0]"
        ),
        "The quantile is that of 1 - share. Take the quantile share.": slip(
            "np.quantile(among, share)", "np.quantile(among, 1 - share)"
        ),
        "A candidate just at the reach is inside: at most, <=.": slip("reach <= np", "reach < np"),
        "These are the distances. Return which of them are within the reach.": returning("reach"),
        (
            "This is the box around the known rows. Its corners can be far from every known row: "
            "compare distances."
        ): returning(
            "((candidates >= known.min(axis=0)) & (candidates <= known.max(axis=0))).all(axis=1)"
        ),
        "The reach is the mean distance among the known rows. Take the quantile share.": slip(
            "np.quantile(among, share)", "among.mean()"
        ),
        "Squared distances of the candidates are compared with distances. Take the root.": slip(
            "cdist(candidates, known)", "cdist(candidates, known, 'sqeuclidean')"
        ),
    },
    alternatives=(_fence_by_neighbours, _fence_by_tree, _fence_by_partition),
)

# --- remaining life --------------------------------------------------------------------------------


def _life_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(lives, cap, shuffled=False):
        names = rng.choice(50, len(lives), replace=False) + 1
        engine = np.repeat(names, lives)
        cycle = np.concatenate([np.arange(1, life + 1) for life in lives])
        order = rng.permutation(len(engine)) if shuffled else np.arange(len(engine))
        return {"engine": engine[order], "cycle": cycle[order], "cap": cap}

    return {
        "two engines": case([int(rng.integers(6, 9)), 14], 5.0),
        "rows in no order": case([5, int(rng.integers(9, 12)), 7], 6.0, shuffled=True),
        "a cap that nobody reaches": case([4, 3], 125.0),
        "one engine": case([int(rng.integers(150, 160))], 125.0),
    }


def _life_by_pandas(engine, cycle, cap):
    table = pd.DataFrame({"engine": engine, "cycle": cycle})
    return (
        (table.groupby("engine")["cycle"].transform("max") - table["cycle"])
        .clip(upper=cap)
        .to_numpy()
    )


def _life_by_dictionary(engine, cycle, cap):
    ends = {}
    for name, now in zip(engine.tolist(), cycle.tolist(), strict=True):
        ends[name] = max(now, ends.get(name, 0))
    return np.array(
        [min(ends[n] - c, cap) for n, c in zip(engine.tolist(), cycle.tolist(), strict=True)]
    )


def _life_by_comparing(engine, cycle, cap):
    same = engine[:, None] == engine[None, :]
    ends = np.where(same, cycle[None, :], 0).max(axis=1)
    return np.clip(ends - cycle, None, cap)


def _life_picture(answer):
    cycle = np.r_[np.arange(1, 191), np.arange(1, 281)]
    engine = np.repeat([1, 2], [190, 280])
    left = answer(engine, cycle, 125.0)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for name, colour in ((1, BLUE), (2, ORANGE)):
        ax.plot(cycle[engine == name], left[engine == name], color=colour, label=f"engine {name}")
    ax.set(xlabel="cycle", ylabel="target, cycles left")
    ax.legend(fontsize=8)
    return fig, (
        "The target of two engines against the cycle: flat at 125 at first, then a straight line down to "
        "0, which the second engine reaches later than the first."
    )


REMAINING_LIFE = Exercise(
    id="manufacturing.remaining_life",
    title="A target for remaining life",
    points=1,
    minutes=10,
    difficulty=2,
    task="Return for each row how many cycles its engine has left until its own last cycle, and the cap "
    "where it is more.",
    hints=(
        "For each engine: its largest cycle minus the cycle of the row. The rows may come in any order.",
        "np.unique(engine) gives the engines; a mask engine == each gives the rows of one.",
        "np.minimum(left, cap) cuts the target.",
    ),
    reference=remaining_life,
    inputs=_life_cases,
    probe=call_for_array,
    numpy=True,
    picture=_life_picture,
    mistakes={
        "The target is not cut: return the cap where more is left.": returning("left"),
        "The last cycle is that of the longest life of all engines. Take each engine's own.": slip(
            "cycle[own].max()", "cycle.max()"
        ),
        "In its last cycle an engine has 0 cycles left, and not 1.": slip(
            "cycle[own].max() - cycle[own]", "cycle[own].max() - cycle[own] + 1"
        ),
        "These are the cycles behind the engine. What lies ahead is asked for.": slip(
            "cycle[own].max() - cycle[own]", "cycle[own] - cycle[own].min()"
        ),
        "The cap is the most that the target may be, and not the least: minimum, not maximum.": slip(
            "np.minimum", "np.maximum"
        ),
        "The sign is turned round: the last cycle minus this one.": slip(
            "cycle[own].max() - cycle[own]", "cycle[own] - cycle[own].max()"
        ),
        "The target was divided by the cap. Return cycles.": returning(
            "np.minimum(left, cap) / cap"
        ),
        "The last row of an engine need not be its last cycle: take the maximum.": slip(
            "cycle[own].max() - cycle[own]", "cycle[own][-1] - cycle[own]"
        ),
        "Where more is left than the cap, return the cap, and not 0.": returning(
            "np.where(left > cap, 0, left)"
        ),
        "The cap was subtracted from what is left. It is the most that the target may be.": returning(
            "np.maximum(left - cap, 0)"
        ),
        "You returned NaN where more is left than the cap. Return the cap.": returning(
            "np.where(left > cap, np.nan, left)"
        ),
    },
    alternatives=(_life_by_pandas, _life_by_dictionary, _life_by_comparing),
)

# --- NASA's score ----------------------------------------------------------------------------------


def _score_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(errors):
        true = rng.integers(30, 120, len(errors)).astype(float)
        return {"predicted": true + errors, "true": true}

    return {
        "early and late": case(rng.normal(0, 12, 20)),
        "all too late": case(rng.uniform(1, 25, 12)),
        "all too early": case(-rng.uniform(1, 25, 12)),
        "some right to the cycle": case(np.r_[0.0, 0.0, rng.normal(0, 8, 3)]),
        "within a cycle": case(np.r_[-0.6, 0.7, rng.uniform(-0.9, 0.9, 2)]),
    }


def _score_by_loop(predicted, true):
    total = 0.0
    for guess, life in zip(predicted, true, strict=True):
        late = guess - life
        total += np.exp(late / 10) - 1 if late > 0 else np.exp(-late / 13) - 1
    return total


def _score_by_sides(predicted, true):
    late, early = np.maximum(predicted - true, 0), np.maximum(true - predicted, 0)
    return (np.exp(late / 10) + np.exp(early / 13) - 2).sum()


def _score_by_maximum(predicted, true):
    d = predicted - true
    return np.exp(np.maximum(d / 10, -d / 13)).sum() - len(d)


def _score_picture(answer):
    errors = np.linspace(-40, 40, 81)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(errors, [answer(np.array([100 + e]), np.array([100.0])) for e in errors], color=BLUE)
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set(xlabel="predicted minus true life, cycles", ylabel="penalty")
    return fig, (
        "The penalty of one prediction against its error: 0 in the middle, rising on both sides, and "
        "more steeply on the right, where the failure comes before it was expected."
    )


NASA_SCORE = Exercise(
    id="manufacturing.nasa_score",
    title="NASA's score",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return the sum of the penalties: with d = predicted - true, exp(-d / 13) - 1 where d is below "
    "0, and exp(d / 10) - 1 elsewhere.",
    hints=(
        "np.where(d < 0, -d / 13, d / 10) is the exponent of each.",
        "Take exp, subtract 1 from each, and add them up. np.expm1 does the first two at once.",
    ),
    reference=nasa_score,
    inputs=_score_cases,
    probe=call_for_array,
    numpy=True,
    picture=_score_picture,
    mistakes={
        "Late and early have changed places: being late is the worse, with the smaller scale 10.": slip(
            "-d / 13, d / 10", "-d / 10, d / 13"
        ),
        "An early prediction costs as well: where d is below 0 the exponent is -d / 13.": slip(
            "np.where(d < 0, -d / 13, d / 10)", "d / 10"
        ),
        "A right prediction must cost 0: subtract 1 from each exponential.": slip(
            "np.expm1", "np.exp"
        ),
        "This is the mean. NASA's score is the sum.": slip(".sum()", ".mean()"),
        "Both sides are treated alike here. Being early is divided by 13.": slip(
            "-d / 13", "-d / 10"
        ),
        "This is the root of the mean squared error. NASA's score is a sum of exponentials.": returning(
            "float(np.sqrt((d**2).mean()))"
        ),
        "This is the sum of the absolute errors. NASA's score is a sum of exponentials.": returning(
            "float(np.abs(d).sum())"
        ),
        "The scales are missing: divide by 13 where it is early, and by 10 where it is late.": slip(
            "-d / 13, d / 10", "-d, d"
        ),
        "A late prediction costs the most: where d is above 0 the exponent is d / 10.": slip(
            "-d / 13, d / 10", "-d / 13, 0 * d"
        ),
        "This is the largest penalty. NASA's score is their sum.": slip(".sum()", ".max()"),
        "This is the logarithm of the score. Return the score itself.": returning(
            "float(np.log1p(np.expm1(np.where(d < 0, -d / 13, d / 10)).sum()))"
        ),
    },
    alternatives=(_score_by_loop, _score_by_sides, _score_by_maximum),
)
