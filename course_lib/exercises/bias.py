"""The exercises of lesson 10: measures of bias, a cure, and goals that exclude each other."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib.audit import fairness
from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.plots import BLUE, GREEN, GREY, ORANGE

# --- a share and its sampling null --------------------------------------------------------------


def _share_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(m, n, p, q):
        k, k_real = 1 + int(rng.binomial(m - 2, q)), 1 + int(rng.binomial(n - 2, p))
        return {"k": k, "m": m, "k_real": k_real, "n": n}

    return {
        "a share that is copied": case(4000 + seed, 6000, 0.3, 0.3),
        "a rare group that shrank": case(1000, 10_000 + seed, 0.04, 0.01),
        "a group that grew": case(500, 200 + seed, 0.4, 0.7),
    }


def _share_by_chi_squared(k, m, k_real, n):
    """The root of Pearson's chi-squared of the two-by-two table."""
    table = np.array([[k, m - k], [k_real, n - k_real]], float)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    return float(np.sign(k / m - k_real / n) * np.sqrt(((table - expected) ** 2 / expected).sum()))


def _share_by_counts(k, m, k_real, n):
    both = (k + k_real) / (m + n)
    expected = m * both
    variance = m * n / (m + n) * both * (1 - both)
    return (k - expected) / variance**0.5


def _share_picture(answer):
    moved = np.arange(-40, 41, 4)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for size, colour, style in ((1000, BLUE, "-"), (10_000, ORANGE, "--")):
        z = [answer(size // 10 + d * size // 1000, size, size // 10, size) for d in moved]
        ax.plot(moved / 10, z, color=colour, linestyle=style, label=f"{size:,} rows each")
    ax.axhspan(-2, 2, color=GREY, alpha=0.25, label="chance alone")
    ax.set(xlabel="share moved by, percentage points", ylabel="z", title="From a share of 10 %")
    ax.legend(fontsize=8)
    return fig, (
        "z against the movement of a share of 10 percent: rising curves, steeper with 10,000 rows "
        "than with 1,000. A grey band from -2 to 2 is what chance alone does."
    )


def _share_by_difference(k, m, k_real, n):
    pooled = np.average([k / m, k_real / n], weights=[m, n])
    sd = (pooled * (1 - pooled)) ** 0.5 * (1 / m + 1 / n) ** 0.5
    return float((k / m - k_real / n) / sd)


SHARE_Z = Exercise(
    id="bias.share_z_score",
    title="Has a share moved?",
    points=1,
    minutes=10,
    difficulty=2,
    task="Return how many standard errors the synthetic share lies above the real one, both tables "
    "being samples.",
    hints=(
        "Under the null both tables come from one distribution, so its share is estimated "
        "from both together.",
        "Pooled share p = (k + k_real) / (m + n). The variance of the difference is "
        "p (1 - p) (1 / m + 1 / n).",
    ),
    reference=fairness.share_z,
    inputs=_share_cases,
    numpy=True,
    picture=_share_picture,
    mistakes={
        "The real rows are a sample too: their own chance, 1 / n, is missing.": slip(
            "(1 / m + 1 / n)", "(1 / m)"
        ),
        "Under the null there is one share, so pool: p = (k + k_real) / (m + n).": slip(
            "pooled * (1 - pooled) * (1 / m + 1 / n)",
            "k / m * (1 - k / m) / m + k_real / n * (1 - k_real / n) / n",
        ),
        "The sign is turned round: above 0 should mean more synthetic rows than real ones.": slip(
            "k / m - k_real / n", "k_real / n - k / m"
        ),
        "You divided by the variance. A standard error is its root.": slip("np.sqrt", ""),
        "This is the difference alone. Divide it by what chance makes of it.": returning(
            "k / m - k_real / n"
        ),
        "You added two standard errors. It is the variances that add up: the root of 1 / m + 1 / n.": slip(
            "np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))",
            "np.sqrt(pooled * (1 - pooled)) * (1 / m**0.5 + 1 / n**0.5)",
        ),
        "This is the mean of the two shares. Pool the rows: (k + k_real) / (m + n).": slip(
            "(k + k_real) / (m + n)", "(k / m + k_real / n) / 2"
        ),
        "The factor 1 - p is missing in the variance of a share, p (1 - p).": slip(
            "pooled * (1 - pooled)", "pooled"
        ),
        "The sign is lost. It says whether there are too many synthetic rows or too few.": returning(
            "float(abs(k / m - k_real / n) / sd)"
        ),
        "You divided by all rows together. Each table has its own chance: 1 / m + 1 / n.": slip(
            "(1 / m + 1 / n)", "1 / (m + n)"
        ),
        "The synthetic rows are a sample too: their own chance, 1 / m, is missing.": slip(
            "(1 / m + 1 / n)", "(1 / n)"
        ),
        "This takes the real share as known. It is an estimate: pool, (k + k_real) / (m + n).": slip(
            "(k + k_real) / (m + n)", "k_real / n"
        ),
        (
            "This is the ratio of the shares. Take "
            "their difference, and divide by its standard error."
        ): returning("float((k / m) / (k_real / n))"),
        "You multiplied by the standard error. Divide.": returning(
            "float((k / m - k_real / n) * sd)"
        ),
        "1 / m + 1 / n multiplies the variance. Here it divides it.": slip(
            "* (1 / m + 1 / n)", "/ (1 / m + 1 / n)"
        ),
    },
    alternatives=(_share_by_chi_squared, _share_by_counts, _share_by_difference),
)

# --- rates of groups ------------------------------------------------------------------------------


def _people(seed, n, groups, sides=True):
    """Labels and groups, each group with both labels."""
    rng = np.random.default_rng(seed)
    group = np.concatenate([np.repeat(np.arange(groups), 4), rng.integers(0, groups, n)])
    label = np.concatenate(
        [np.tile([0, 1, 0, 1], groups), rng.random(n) < 0.25 + 0.15 * group[-n:]]
    )
    return rng, label.astype(bool), group


def _rates_cases(seed: int) -> Inputs:
    def case(n, groups, extra):
        _, label, group = _people(seed + n, n, groups)
        return {"label": label, "group": group, "groups": groups + extra}

    return {
        "two groups": case(40, 2, 0),
        "four groups": case(90, 4, 0),
        "a group without rows: NaN": case(30, 2, 1),
    }


def _rates_by_counts(label, group, groups):
    counts = np.bincount(group, minlength=groups)
    yes = np.bincount(group, weights=label, minlength=groups)
    return np.where(counts > 0, yes / np.maximum(counts, 1), np.nan)


def _rates_by_list(label, group, groups):
    return np.array(
        [float(np.mean(label[group == g])) if (group == g).any() else np.nan for g in range(groups)]
    )


def _bars(ax, values, names, colour=BLUE):
    ax.bar(names, values, color=colour, width=0.6)
    ax.grid(axis="x", visible=False)


def _rates_picture(answer):
    _, label, group = _people(5, 200, 4)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    _bars(ax, answer(label, group, 4), ["A", "B", "C", "D"])
    ax.axhline(label.mean(), color=ORANGE, linestyle="--", label="all")
    ax.set(xlabel="group", ylabel="rate of the label", ylim=(0, 1), title="One rate a group")
    ax.legend(fontsize=8)
    return fig, (
        "Bars of the label's rate in four groups, rising from the first to the fourth, and a dashed "
        "line at the rate of all."
    )


def _rates_by_pandas(label, group, groups):
    return pd.Series(label).astype(float).groupby(group).mean().reindex(range(groups)).to_numpy()


LABEL_RATES = Exercise(
    id="bias.label_rates",
    title="Conditional label rates",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return the rate of the label in each group, and NaN for a group without rows.",
    hints=(
        "For the group with the code 2: label[group == 2].mean().",
        "The mean of no rows is undefined: begin with np.full(groups, np.nan) and fill in what "
        "there is.",
    ),
    reference=fairness.label_rates,
    inputs=_rates_cases,
    numpy=True,
    picture=_rates_picture,
    mistakes={
        "This is P(group | label): whose share among the approved. Asked is P(label | group).": returning(
            "np.bincount(group, weights=label, minlength=groups) / label.sum()"
        ),
        "You divided by all rows: that is P(label, group). Divide by the group's rows.": returning(
            "np.bincount(group, weights=label, minlength=groups) / len(label)"
        ),
        "This is the rate of the label 0.": returning("1 - rates"),
        "These are counts. A rate is a share of the group.": returning(
            "np.bincount(group, weights=label, minlength=groups)"
        ),
        "A group without rows has no rate, and 0 would read as an accusation: NaN.": returning(
            "np.nan_to_num(rates)"
        ),
        "This is the rate of all rows, the same for each group. Each group has its own.": returning(
            "np.full(groups, label.mean())"
        ),
        (
            "The group without rows was left out, so the places no longer say which group is which. "
            "Keep it, as NaN."
        ): returning("rates[~np.isnan(rates)]"),
        "A group without rows got the rate of everyone. It has none: NaN.": returning(
            "np.where(np.isnan(rates), label.mean(), rates)"
        ),
        "Percent: rates should lie between 0 and 1.": returning("100 * rates"),
        "These are differences from the rate of everyone. Return the rates themselves.": returning(
            "rates - label.mean()"
        ),
        "This is the standard deviation of the label. Take its mean.": slip(
            "rows.mean()", "rows.std()"
        ),
        "These are numbers of rows with the label. A rate is their share of the group.": slip(
            "rows.mean()", "float(rows.sum())"
        ),
    },
    alternatives=(_rates_by_counts, _rates_by_list, _rates_by_pandas),
)

# --- amplification --------------------------------------------------------------------------------


def _amplification_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.01, 0.09, 3)

    def case(real, synthetic):
        return {"real": np.array(real), "synthetic": np.array(synthetic)}

    return {
        "the second group is ahead, and more so": case([0.5 + a, 0.7 + b], [0.4 + c, 0.8]),
        "the first group is ahead, and less so": case([0.8 + a, 0.4 + b], [0.7, 0.5 + c]),
        "turned round": case([0.6 + a, 0.4 + b], [0.3 + c, 0.75]),
    }


def _amplification_picture(answer):
    real = np.array([0.55, 0.7])
    gaps = np.linspace(-0.4, 0.4, 41)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    values = [answer(real, np.array([0.6 + g / 2, 0.6 - g / 2])) for g in gaps]
    ax.plot(gaps, values, color=BLUE)
    ax.axvline(-0.15, color=ORANGE, linestyle="--", label="gap of the real rows")
    ax.axhline(0, color=GREY, linewidth=1)
    ax.set(xlabel="gap of the synthetic rows", ylabel="amplification", title="0 where it is copied")
    ax.legend(fontsize=8)
    return fig, (
        "A falling line: amplification against the synthetic gap. It is 0 at the real gap of -0.15, "
        "marked by a dashed line, and positive to the left of it."
    )


AMPLIFICATION = Exercise(
    id="bias.amplification",
    title="Amplification",
    points=1,
    minutes=10,
    difficulty=2,
    task="Return by how much the gap between two groups' rates grew in the direction that it has "
    "among the real rows.",
    hints=(
        "The gap is the first rate minus the second, for the real and for the synthetic rows.",
        "If the real gap is negative, it grows by becoming more negative: multiply the change by the "
        "sign of the real gap.",
    ),
    reference=fairness.amplification,
    inputs=_amplification_cases,
    numpy=True,
    picture=_amplification_picture,
    mistakes={
        "A gap below 0 grows downwards: multiply the change by the sign of the real gap.": slip(
            "np.sign(gap_real) * ", ""
        ),
        "The absolute value hides the direction: a narrowed gap is not an amplified one.": returning(
            "float(abs(gap - gap_real))"
        ),
        "Real and synthetic are swapped: this is above 0 where the gap narrowed.": slip(
            "gap - gap_real", "gap_real - gap"
        ),
        "A gap that turned round is not the same gap: compare with its sign, not its size.": returning(
            "float(abs(gap) - abs(gap_real))"
        ),
        "This is the ratio of the gaps. By how much a gap grew is a difference.": returning(
            "float(gap / gap_real)"
        ),
        "You added the two gaps. Take their difference.": slip("gap - gap_real", "gap + gap_real"),
        "This is the synthetic gap alone. Subtract the real one.": returning(
            "float(np.sign(gap_real) * gap)"
        ),
        "The direction is that of the real gap, and not of the synthetic one.": slip(
            "np.sign(gap_real)", "np.sign(gap)"
        ),
        "This is the change of the first group's rate. Compare the gaps between the groups.": returning(
            "float(synthetic[0] - real[0])"
        ),
        "This is the growth as a share of the real gap. Return the growth itself.": returning(
            "float(np.sign(gap_real) * (gap - gap_real) / abs(gap_real))"
        ),
        "A gap that narrowed gives a negative number. Do not cut it off at 0.": returning(
            "float(max(np.sign(gap_real) * (gap - gap_real), 0))"
        ),
        "You multiplied by the real gap. Only its sign is needed.": slip(
            "np.sign(gap_real)", "gap_real"
        ),
    },
    alternatives=(
        lambda real, synthetic: (
            float((np.diff(synthetic) - np.diff(real))[0]) * (1 if real[1] > real[0] else -1)
        ),
        lambda real, synthetic: (
            (synthetic[np.argmax(real)] - synthetic[np.argmin(real)]).item()
            - (real.max() - real.min()).item()
        ),
        lambda real, synthetic: float(np.diff(synthetic - real)[0] * np.sign(np.diff(real)[0])),
    ),
)

# --- what a decision does to groups ---------------------------------------------------------------


def _decision_cases(seed: int, truth: bool) -> Inputs:
    rates = np.array(
        [0.4, 0.2, 0.8, 0.6]
    )  # the extremes are neither the first nor the last group's

    def case(n, groups):
        rng, label, group = _people(seed + n, n, groups)
        chosen = np.concatenate(
            [np.tile([1, 0, 0, 1], groups), rng.random(n) < rates[group[-n:]]]
        ).astype(bool)
        inputs = {"truth": label} if truth else {}
        return {**inputs, "chosen": chosen, "group": group}

    return {
        "two groups": case(60, 2),
        "three groups": case(120, 3),
        "four groups, unequal": case(300, 4),
    }


def _parity_picture(answer):
    group = np.repeat([0, 1], 100)
    rates = np.linspace(0, 1, 21)
    values = []
    for rate in rates:
        chosen = np.concatenate([np.arange(100) < 60, np.arange(100) < round(100 * rate)])
        values.append(answer(chosen, group))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(rates, values, color=BLUE)
    ax.axvline(0.6, color=ORANGE, linestyle="--", label="first group's rate")
    ax.set(xlabel="rate of the second group", ylabel="gap", title="0 at equal rates")
    ax.legend(fontsize=8)
    return fig, (
        "The gap against the rate of the second group: a V that touches 0 where it is the first "
        "group's rate of 0.6."
    )


DEMOGRAPHIC_PARITY = Exercise(
    id="bias.demographic_parity",
    title="Demographic parity",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return the largest difference between groups of the share that is chosen.",
    hints=(
        "One rate a group, as before; np.unique(group) lists the groups.",
        "The largest difference is the highest rate minus the lowest.",
    ),
    reference=fairness.demographic_parity,
    inputs=lambda seed: _decision_cases(seed, truth=False),
    numpy=True,
    picture=_parity_picture,
    mistakes={
        (
            "This is the ratio of the lowest rate to the highest (the four-fifths rule asks for it). "
            "Here: their difference."
        ): slip("max(rates) - min(rates)", "min(rates) / max(rates)"),
        "You divided by all rows. A group's rate is a share of that group.": slip(
            ".mean()", ".sum() / len(chosen)"
        ),
        "This compares a group with everybody, itself included. Compare groups with each other.": slip(
            "max(rates) - min(rates)", "max(abs(rate - chosen.mean()) for rate in rates)"
        ),
        "This is the standard deviation of the rates. Take the highest minus the lowest.": returning(
            "float(np.std(rates))"
        ),
        "This is the highest rate. Subtract the lowest.": returning("float(max(rates))"),
        "This is the mean difference of all pairs of groups. The largest is asked for.": returning(
            "float(np.abs(np.subtract.outer(rates, rates)).mean())"
        ),
        "The sign is turned round: the highest rate minus the lowest.": returning(
            "float(min(rates) - max(rates))"
        ),
        (
            "These are the groups' shares among the chosen. A rate is the share that is chosen in a "
            "group."
        ): slip("chosen[group == code].mean()", "chosen[group == code].sum() / chosen.sum()"),
        "These are numbers of the chosen. Groups differ in size: compare shares.": slip(
            ".mean()", ".sum()"
        ),
        "Percent: the difference should lie between 0 and 1.": returning(
            "100 * float(max(rates) - min(rates))"
        ),
        (
            "The first and the last group were compared. Take the highest rate minus the lowest, of all "
            "groups."
        ): returning("float(abs(rates[0] - rates[-1]))"),
    },
    alternatives=(
        returning("float(np.ptp(np.bincount(group, weights=chosen) / np.bincount(group)))"),
        returning("float(max(a - b for a in rates for b in rates))"),
        lambda chosen, group: float(
            np.ptp([np.mean(chosen[group == g]) for g in set(group.tolist())])
        ),
    ),
)


def _odds_cases(seed: int) -> Inputs:
    """Of two groups, once the false positives differ more and once the true positives do."""
    rng = np.random.default_rng(seed)
    truth, group = np.tile([0, 1], 120).astype(bool), np.repeat([0, 1], 120)

    def case(rates):
        chosen = rng.random(240) < np.array(rates)[group, truth.astype(int)]
        return {"truth": truth, "chosen": chosen, "group": group}

    return {
        "the false positives differ more": case([[0.1, 0.6], [0.7, 0.8]]),
        "the true positives differ more": case([[0.2, 0.9], [0.1, 0.4]]),
        "four groups, unequal": _decision_cases(seed, truth=True)["four groups, unequal"],
    }


def _odds_by_table(truth, chosen, group):
    cells = np.bincount(2 * group + truth)
    rates = np.bincount(2 * group + truth, weights=chosen) / cells
    return float(np.ptp(rates.reshape(-1, 2), axis=0).max())


def _odds_picture(answer):
    rng = np.random.default_rng(0)
    group, truth = np.repeat([0, 1], 2000), np.tile([0, 1], 2000)
    score = rng.normal(truth, 1) - 0.5 * group
    fig, ax = plt.subplots(figsize=(4.4, 3))
    cuts = np.linspace(-0.6, 1.2, 19)
    values = [answer(truth, score > np.where(group == 1, cut, 0.5), group) for cut in cuts]
    ax.plot(cuts, values, color=GREEN)
    ax.axvline(0.5, color=GREY, linestyle=":", label="the same threshold")
    ax.set(xlabel="threshold of the second group", ylabel="gap", title="Scores half a unit too low")
    ax.legend(fontsize=8)
    return fig, (
        "The gap in odds against the threshold of a group whose scores are half a unit too low: a V "
        "with its foot at 0, half a unit below the other group's threshold of 0.5."
    )


def _odds_by_pairs(truth, chosen, group):
    def rate(code, side):
        return chosen[(group == code) & (truth == side)].mean()

    codes = np.unique(group)
    return float(
        max(rate(a, side) - rate(b, side) for a in codes for b in codes for side in (0, 1))
    )


EQUALIZED_ODDS = Exercise(
    id="bias.equalized_odds",
    title="Equalised odds",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the larger of two gaps between groups: of true-positive and of false-positive rates.",
    hints=(
        "The true-positive rate of a group: the share chosen among its rows with truth 1.",
        "That is demographic parity twice: among the rows with truth 1, and among those with truth 0. "
        "Return the larger gap.",
    ),
    reference=fairness.equalized_odds,
    inputs=_odds_cases,
    numpy=True,
    picture=_odds_picture,
    mistakes={
        (
            "This is the gap in true-positive rates alone, called equal opportunity. False positives "
            "count as well."
        ): slip("in (0, 1)", "in (1,)"),
        "You took the mean of the two gaps. The larger one counts.": returning(
            "float(np.mean(gaps))"
        ),
        "You added the two gaps. The larger one counts.": returning("float(sum(gaps))"),
        "This is demographic parity: the truth has no part in it.": slip(" & (truth == side)", ""),
        (
            "Given the decision you compared the truth, which is precision. Compare the decisions, "
            "given the truth."
        ): slip(
            "chosen[(group == code) & (truth == side)]",
            "truth[(group == code) & (chosen == side)]",
        ),
        "This is the gap in false-positive rates alone. True positives count as well.": slip(
            "in (0, 1)", "in (0,)"
        ),
        "This is the smaller of the two gaps. The larger one counts.": returning(
            "float(min(gaps))"
        ),
        "These are numbers of the chosen. Groups differ in size: compare shares.": slip(
            ".mean() for", ".sum() for"
        ),
        "This is the standard deviation of the rates. Take the highest minus the lowest.": slip(
            "max(rates) - min(rates)", "np.std(rates)"
        ),
        "You divided by all rows. A true-positive rate is a share of the group's positives.": slip(
            "chosen[(group == code) & (truth == side)].mean()",
            "chosen[(group == code) & (truth == side)].sum() / len(chosen)",
        ),
        "This is the difference of the two gaps. Return the larger one.": returning(
            "float(abs(gaps[1] - gaps[0]))"
        ),
        "These are both gaps. Return the larger one.": returning("tuple(gaps)"),
    },
    alternatives=(
        _odds_by_table,
        lambda truth, chosen, group: max(
            fairness.demographic_parity(chosen[truth == side], group[truth == side])
            for side in (0, 1)
        ),
        _odds_by_pairs,
    ),
)

# --- a cure ---------------------------------------------------------------------------------------


def _weight_cases(seed: int) -> Inputs:
    def case(n, groups):
        _, label, group = _people(seed + n, n, groups)
        return {"label": label, "group": group}

    return {
        "two groups": case(40, 2),
        "three groups": case(100, 3),
        "four groups": case(200, 4),
    }


def _weights_by_rates(label, group):
    """P(label) / P(label | group), row by row."""
    rates = np.array([label[group == g].mean() for g in range(group.max() + 1)])[group]
    return np.where(label, label.mean() / rates, (1 - label.mean()) / (1 - rates))


def _weights_by_counts(label, group):
    table = np.zeros((group.max() + 1, 2))
    np.add.at(table, (group, label.astype(int)), 1)
    weight = table.sum(1, keepdims=True) * table.sum(0) / (len(label) * np.maximum(table, 1))
    return weight[group, label.astype(int)]


def _weights_picture(answer):
    _, label, group = _people(5, 400, 3)
    weights = answer(label, group)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    places = np.arange(3)
    before = [label[group == g].mean() for g in places]
    after = [np.average(label[group == g], weights=weights[group == g]) for g in places]
    ax.bar(places - 0.18, before, 0.34, color=BLUE, label="as they are")
    ax.bar(places + 0.18, after, 0.34, color=ORANGE, hatch="//", label="weighted")
    ax.set_xticks(places, ["A", "B", "C"])
    ax.set(xlabel="group", ylabel="rate of the label", ylim=(0, 1), title="Weights level the rates")
    ax.legend(fontsize=8)
    return fig, (
        "Pairs of bars for three groups. The rates of the label as they are rise from group to "
        "group; with the weights they are all the same."
    )


def _weights_row_by_row(label, group):
    n = len(label)
    return np.array(
        [
            (group == g).sum() * (label == y).sum() / ((group == g) & (label == y)).sum() / n
            for y, g in zip(label, group, strict=True)
        ]
    )


REWEIGHTING = Exercise(
    id="bias.reweighting",
    title="Weights that part label and group",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return a weight for each row, under which label and group are independent, and the shares of "
    "the groups and of the labels stay as they are.",
    hints=(
        "If they were independent, a cell would hold P(group) P(label) of the rows. It holds "
        "P(group, label).",
        "The weight of a row is the expected share of its cell over the share that it has.",
    ),
    reference=fairness.reweighting,
    inputs=_weight_cases,
    numpy=True,
    picture=_weights_picture,
    mistakes={
        "The quotient is turned round: cells with too many rows would get still more weight.": slip(
            "expected / cell.mean()", "cell.mean() / expected"
        ),
        (
            "1 / P(group, label) gives all cells the same weight in total, and so changes the shares of "
            "groups and labels as well."
        ): slip("expected / cell", "1 / cell"),
        "P(group) is missing: expected is P(group) P(label).": slip(
            "(group == code).mean() * ", ""
        ),
        "P(label) is missing: expected is P(group) P(label).": slip(
            " * (label == value).mean()", ""
        ),
        "The weights add up to 1. Their mean should be 1: do not divide by their sum.": returning(
            "weights / weights.sum()"
        ),
        "This is what is expected in each cell. Divide it by what is there.": slip(
            "expected / cell.mean()", "expected"
        ),
        "This is the share of each cell. The weight is the expected share divided by it.": slip(
            "expected / cell.mean()", "cell.mean()"
        ),
        "Expected are numbers of rows here, multiplied. Multiply shares.": slip(
            "(group == code).mean() * (label == value).mean()",
            "(group == code).sum() * (label == value).sum()",
        ),
        (
            "Each group gets the same weight in total here, whatever its labels. Use expected / "
            "observed of each cell."
        ): slip("expected / cell.mean()", "1 / (group == code).mean()"),
        (
            "Each label gets the same weight in total here, whatever its groups. Use expected / "
            "observed of each cell."
        ): slip("expected / cell.mean()", "1 / (label == value).mean()"),
        (
            "You added the two shares. If group and label had nothing to do with each other, their "
            "shares would multiply."
        ): slip(
            "(group == code).mean() * (label == value).mean()",
            "(group == code).mean() + (label == value).mean()",
        ),
    },
    alternatives=(_weights_by_rates, _weights_by_counts, _weights_row_by_row),
)

# --- multicalibration ---------------------------------------------------------------------------


def _gap_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, wrong, bins, certain=0, who=1):
        groups = rng.random((4, n)) < np.array([[0.5], [0.4], [0.15], [0.3]])
        probability = rng.uniform(0.02, 0.98, n)
        probability[:certain] = 1.0
        truth = rng.random(n) < np.clip(probability + wrong * groups[who], 0, 1)
        truth[:certain] = rng.random(certain) < 0.5
        return {"truth": truth * 1, "probability": probability, "groups": groups, "bins": bins}

    return {
        "one group is scored too low": case(900, 0.3, 5),
        "the last group is scored too high": case(800, -0.35, 5, who=3),
        "small groups by chance": case(60, 0.0, 10),
        "some scores are exactly 1": case(500, 0.0, 4, certain=120),
        "nothing is off": {
            **case(40, 0.0, 5),
            "truth": (answers := rng.integers(0, 2, 40)),
            "probability": answers.astype(float),
        },
    }


def _gap_probe(answer, truth, probability, groups, bins):
    return np.asarray(answer(truth, probability, groups, bins), dtype=float)


def _gap_by_loops(truth, probability, groups, bins=10):
    sums, sizes = np.zeros((len(groups), bins)), np.zeros((len(groups), bins))
    for i, score in enumerate(probability):
        column = min(int(score * bins), bins - 1)
        for row in range(len(groups)):
            if groups[row][i]:
                sums[row, column] += truth[i] - score
                sizes[row, column] += 1
    row, column = np.unravel_index(np.argmax(np.abs(sums)), sums.shape)
    return int(row), int(column), sums[row, column] / max(sizes[row, column], 1)


def _gap_by_histograms(truth, probability, groups, bins=10):
    code = np.clip(np.floor(probability * bins), 0, bins - 1).astype(int)
    off = np.array([np.bincount(code, m * (truth - probability), bins) for m in groups])
    size = np.array([np.bincount(code, m, bins) for m in groups])
    at = np.abs(off).argmax()
    return at // bins, at % bins, off.flat[at] / max(size.flat[at], 1)


def _gap_by_masks(truth, probability, groups, bins=10):
    edges = np.arange(1, bins) / bins
    code = np.digitize(probability, edges)
    cells = [(g, b, members & (code == b)) for g, members in enumerate(groups) for b in range(bins)]
    sums = [float(np.sum((truth - probability) * rows)) for _, _, rows in cells]
    group, bin_, rows = cells[int(np.argmax(np.abs(sums)))]
    return group, bin_, (truth - probability)[rows].mean() if rows.any() else 0.0


def _gap_picture(answer):
    rng = np.random.default_rng(0)
    score, member = rng.uniform(0, 1, 6000), rng.random(6000) < 0.3
    truth = rng.random(6000) < np.where(member, score**2, score)
    others = ~member
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for rows, colour, marker, name in (
        (others, BLUE, "o", "all others"),
        (member, ORANGE, "s", "a group"),
    ):
        edges = np.minimum((score * 10).astype(int), 9)
        means = [truth[rows & (edges == b)].mean() for b in range(10)]
        ax.plot(
            np.arange(10) / 10 + 0.05, means, marker, color=colour, linestyle="none", label=name
        )
    group, bin_, gap = answer(truth * 1, score, np.array([others, member]), 10)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    ax.plot([bin_ / 10 + 0.05] * 2, [bin_ / 10 + 0.05, bin_ / 10 + 0.05 + gap], color="#222222")
    ax.set(
        xlabel="score",
        ylabel="share that is true",
        title=f"Worst for most people: group {int(group)}",
    )
    ax.legend(fontsize=8)
    return fig, (
        "The share that is true against the score, in ten bins. For all others the points lie on the "
        "diagonal, for the group below it; a line marks the group's bin that is worst."
    )


WORST_CALIBRATION_GAP = Exercise(
    id="bias.worst_calibration_gap",
    title="The worst calibration gap",
    points=2,
    minutes=15,
    difficulty=2,
    task="Cut the scores from 0 to 1 into bins of equal width. Return the group and the bin where truth "
    "minus score, summed over the rows, is largest in size, and the mean of that difference there.",
    hints=(
        "The bin of a score is int(score * bins), and bins - 1 for a score of 1.",
        "For each group and each bin: rows = groups[g] & (bin_of == b). Sum truth - probability over "
        "these rows, and remember where the size of the sum is largest.",
        "The gap that is returned is the sum divided by the number of rows, with its sign.",
    ),
    reference=fairness.worst_calibration_gap,
    inputs=_gap_cases,
    probe=_gap_probe,
    numpy=True,
    picture=_gap_picture,
    mistakes={
        (
            "The sign is turned round: a group that is scored too low needs a shift up, truth minus "
            "score."
        ): slip("(truth[rows] - probability[rows])", "(probability[rows] - truth[rows])"),
        (
            "Only scores that are too low were looked for. Take the size of the sum: too high is wrong "
            "as well."
        ): slip("if abs(off) > most", "if off > most"),
        (
            "Cells were compared by their mean. In a cell of three rows chance makes the mean large: "
            "compare the sums, which count people."
        ): slip(
            "off = (truth[rows] - probability[rows]).sum()",
            "off = (truth[rows] - probability[rows]).sum() / max(rows.sum(), 1)",
            "float(off / rows.sum())",
            "float(off)",
        ),
        "This is the sum over the rows. The shift that each row needs is its mean.": slip(
            "float(off / rows.sum())", "float(off)"
        ),
        "Scores of exactly 1 fell out of the last bin.": slip(
            "np.minimum((probability * bins).astype(int), bins - 1)",
            "(probability * bins).astype(int)",
        ),
        "Each bin was judged for everybody. A gap of a group is over the rows of that group.": slip(
            "groups[group] & (bin_of == bin_)", "(bin_of == bin_)"
        ),
        "The order is wrong: first the group, then the bin, then the mean difference.": returning(
            "worst[1], worst[0], worst[2]"
        ),
        "The bins were rounded to the nearest edge. Cut off: bin 0 begins at 0, bin 1 at 1 / bins.": slip(
            "(probability * bins).astype(int)", "np.round(probability * bins).astype(int)"
        ),
        "There are always 10 bins here. Use the argument, of which 10 is only the default.": slip(
            "probability * bins", "probability * 10"
        ),
        "The sign of the difference is lost. It says whether the scores are too low or too high.": slip(
            "float(off / rows.sum())", "float(abs(off) / rows.sum())"
        ),
        "The bins were not looked at. A gap of a group is over its rows in one bin of scores.": slip(
            "groups[group] & (bin_of == bin_)", "groups[group]"
        ),
        "The truth was compared with the mean score of everybody. Subtract each row's own score.": slip(
            "probability[rows]).sum()", "probability.mean()).sum()"
        ),
    },
    alternatives=(_gap_by_loops, _gap_by_histograms, _gap_by_masks),
)

# --- goals that exclude each other ----------------------------------------------------------------


def _implied_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(low, high):
        p, ppv, tpr = (float(v) for v in rng.uniform(low, high, 3))
        return {"prevalence": p, "precision": ppv, "recall": tpr}

    return {
        "a rare outcome": case(0.1, 0.3),
        "a common one": case(0.55, 0.9),
        "one in between": case(0.3, 0.7),
    }


def _implied_by_counts(prevalence, precision, recall):
    """Of one person: count the true positives, then the false ones that the precision leaves."""
    true_positives = prevalence * recall
    chosen = true_positives / precision
    return (chosen - true_positives) / (1 - prevalence)


def _implied_by_odds(prevalence, precision, recall):
    logit = np.log(prevalence / (1 - prevalence)) - np.log(precision / (1 - precision))
    return float(recall * np.exp(logit))


def _implied_picture(answer):
    p = np.linspace(0.05, 0.7, 60)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for precision, colour, style in ((0.6, BLUE, "-"), (0.8, ORANGE, "--"), (0.95, GREEN, "-.")):
        ax.plot(p, [answer(q, precision, 0.7) for q in p], style, color=colour, label=precision)
    ax.set(xlabel="prevalence", ylabel="false-positive rate", ylim=(0, 1))
    ax.set_title("Recall 0.7, equal precision")
    ax.legend(fontsize=8, title="precision")
    return fig, (
        "The false-positive rate rises with the prevalence, for precisions of 0.6, 0.8 and 0.95: two "
        "groups on one curve differ in it unless their prevalence is the same."
    )


IMPLIED = Exercise(
    id="bias.implied_false_positives",
    title="What follows from prevalence",
    points=2,
    minutes=15,
    difficulty=3,
    task="Return the false-positive rate that follows from prevalence, precision and recall.",
    hints=(
        "Take one person on average: prevalence x recall is the true positives.",
        "Chosen are true positives / precision. What is left of them are false positives, out of "
        "1 - prevalence.",
    ),
    reference=fairness.implied_false_positives,
    inputs=_implied_cases,
    numpy=True,
    picture=_implied_picture,
    mistakes={
        (
            "1 - precision is the false discovery rate: a share of the chosen. Asked is a share of the "
            "negatives."
        ): returning("1 - precision"),
        "The odds of the prevalence are turned round.": slip(
            "prevalence / (1 - prevalence)", "(1 - prevalence) / prevalence"
        ),
        "The odds of the precision are turned round.": slip(
            "(1 - precision) / precision", "precision / (1 - precision)"
        ),
        "This is a share of all people. Divide by the negatives, 1 - prevalence.": slip(
            " / (1 - prevalence)", ""
        ),
        "The recall is missing: not every positive is found.": slip(" * recall", ""),
        (
            "You divided by the recall. Multiply: the more positives are found, the more false ones "
            "come along."
        ): slip("* recall", "/ recall"),
        (
            "This is the share of positives that are missed. Asked is the share of negatives that are "
            "chosen."
        ): returning("1 - recall"),
        "This is the true-negative rate. The false-positive rate is 1 minus it.": returning(
            "1 - odds * (1 - precision) / precision * recall"
        ),
        "The division by the precision is missing: the odds are (1 - precision) / precision.": slip(
            "(1 - precision) / precision", "(1 - precision)"
        ),
        "The factor 1 - precision is missing: the odds are (1 - precision) / precision.": slip(
            "(1 - precision) / precision", "1 / precision"
        ),
        "You used the share that is missed, 1 - recall. Use the recall.": slip(
            "* recall", "* (1 - recall)"
        ),
    },
    alternatives=(
        _implied_by_counts,
        _implied_by_odds,
        lambda prevalence, precision, recall: (
            recall / (precision / (1 - precision)) * prevalence / (1 - prevalence)
        ),
    ),
)
