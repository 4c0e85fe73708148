"""The exercises of lesson 10: measures of bias, a cure, and what cannot be had at once."""

import matplotlib.pyplot as plt
import numpy as np

from course_lib.audit import fairness
from course_lib.exercises.exercise import Case, Exercise, Mistake
from course_lib.plots import BLUE, GREEN, GREY, ORANGE


def _probe(answer, **inputs):
    return answer(*(v.numpy() if hasattr(v, "numpy") else v for v in inputs.values()))


# --- a share and its sampling null --------------------------------------------------------------


def _share_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def case(name, m, n, p, q):
        k, k_real = 1 + int(rng.binomial(m - 2, q)), 1 + int(rng.binomial(n - 2, p))
        return Case(name, {"k": k, "m": m, "k_real": k_real, "n": n})

    return [
        case("a share that is copied", 4000 + seed, 6000, 0.3, 0.3),
        case("a rare group that shrank", 1000, 10_000 + seed, 0.04, 0.01),
        case("a group that grew", 500, 200 + seed, 0.4, 0.7),
    ]


def _share_without_pooling(k, m, k_real, n):
    p, q = k / m, k_real / n
    return (p - q) / np.sqrt(p * (1 - p) / m + q * (1 - q) / n)


def _share_over_variance(k, m, k_real, n):
    both = (k + k_real) / (m + n)
    return (k / m - k_real / n) / (both * (1 - both) * (1 / m + 1 / n))


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


SHARE_Z = Exercise(
    id="bias.share_z_score",
    title="Has a share moved?",
    points=1,
    minutes=10,
    difficulty=2,
    task="Return how many standard errors the synthetic share lies above the real one, both tables "
    "being samples.",
    hints=(
        "Under the null both tables come from one law, so its share is estimated from both together.",
        "Pooled share p = (k + k_real) / (m + n). The variance of the difference is "
        "p (1 - p) (1 / m + 1 / n).",
    ),
    reference=fairness.share_z,
    cases=_share_cases,
    probe=_probe,
    picture=_share_picture,
    mistakes=(
        Mistake(
            "The real rows are a sample too: their own chance, 1 / n, is missing.",
            lambda k, m, k_real, n: (
                (k / m - k_real / n)
                / np.sqrt((k + k_real) / (m + n) * (1 - (k + k_real) / (m + n)) / m)
            ),
        ),
        Mistake(
            "Under the null there is one share, so pool: p = (k + k_real) / (m + n).",
            _share_without_pooling,
        ),
        Mistake(
            "The sign is turned round: above 0 should mean more synthetic rows than real ones.",
            lambda k, m, k_real, n: -fairness.share_z(k, m, k_real, n),
        ),
        Mistake(
            "You divided by the variance. A standard error is its root.",
            _share_over_variance,
        ),
        Mistake(
            "This is the difference alone. Divide it by what chance makes of it.",
            lambda k, m, k_real, n: k / m - k_real / n,
        ),
    ),
    alternatives=(_share_by_chi_squared, _share_by_counts),
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


def _rates_cases(seed: int) -> list[Case]:
    def case(name, n, groups, extra):
        _, label, group = _people(seed + n, n, groups)
        return Case(name, {"label": label, "group": group, "groups": groups + extra})

    return [
        case("two groups", 40, 2, 0),
        case("four groups", 90, 4, 0),
        case("a group without rows: NaN", 30, 2, 1),
    ]


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


LABEL_RATES = Exercise(
    id="bias.label_rates",
    title="Conditional label rates",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return the rate of the label in each group, and NaN for a group without rows.",
    hints=(
        "For the group with the code 2: label[group == 2].mean().",
        "The mean of nothing is no number: begin with np.full(groups, np.nan) and fill in what "
        "there is.",
    ),
    reference=fairness.label_rates,
    cases=_rates_cases,
    probe=_probe,
    picture=_rates_picture,
    mistakes=(
        Mistake(
            "This is P(group | label): whose share among the approved. Asked is P(label | group).",
            lambda label, group, groups: (
                np.bincount(group, weights=label, minlength=groups) / label.sum()
            ),
        ),
        Mistake(
            "You divided by all rows: that is P(label, group). Divide by the group's rows.",
            lambda label, group, groups: (
                np.bincount(group, weights=label, minlength=groups) / len(label)
            ),
        ),
        Mistake(
            "This is the rate of the label 0.",
            lambda label, group, groups: 1 - fairness.label_rates(label, group, groups),
        ),
        Mistake(
            "These are counts. A rate is a share of the group.",
            lambda label, group, groups: np.bincount(group, weights=label, minlength=groups).astype(
                float
            ),
        ),
        Mistake(
            "A group without rows has no rate, and 0 would read as an accusation: NaN.",
            lambda label, group, groups: np.nan_to_num(fairness.label_rates(label, group, groups)),
        ),
    ),
    alternatives=(_rates_by_counts, _rates_by_list),
)

# --- amplification --------------------------------------------------------------------------------


def _amplification_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.01, 0.09, 3)

    def case(name, real, synthetic):
        return Case(name, {"real": np.array(real), "synthetic": np.array(synthetic)})

    return [
        case("the second group is ahead, and more so", [0.5 + a, 0.7 + b], [0.4 + c, 0.8]),
        case("the first group is ahead, and less so", [0.8 + a, 0.4 + b], [0.7, 0.5 + c]),
        case("turned round", [0.6 + a, 0.4 + b], [0.3 + c, 0.75]),
    ]


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
    cases=_amplification_cases,
    probe=_probe,
    picture=_amplification_picture,
    mistakes=(
        Mistake(
            "A gap below 0 grows downwards: multiply the change by the sign of the real gap.",
            lambda real, synthetic: float((synthetic[0] - synthetic[1]) - (real[0] - real[1])),
        ),
        Mistake(
            "The absolute value hides the direction: a narrowed gap is not an amplified one.",
            lambda real, synthetic: float(abs((synthetic[0] - synthetic[1]) - (real[0] - real[1]))),
        ),
        Mistake(
            "Real and synthetic are swapped: this is above 0 where the gap narrowed.",
            lambda real, synthetic: -fairness.amplification(real, synthetic),
        ),
        Mistake(
            "A gap that turned round is not the same gap: compare with its sign, not its size.",
            lambda real, synthetic: float(abs(np.diff(synthetic)[0]) - abs(np.diff(real)[0])),
        ),
    ),
    alternatives=(
        lambda real, synthetic: (
            float((np.diff(synthetic) - np.diff(real))[0]) * (1 if real[1] > real[0] else -1)
        ),
        lambda real, synthetic: (
            (synthetic[np.argmax(real)] - synthetic[np.argmin(real)]).item()
            - (real.max() - real.min()).item()
        ),
    ),
)

# --- what a decision does to groups ---------------------------------------------------------------


def _decision_cases(seed: int, truth: bool) -> list[Case]:
    def case(name, n, groups):
        rng, label, group = _people(seed + n, n, groups)
        chosen = np.concatenate(
            [np.tile([1, 0, 0, 1], groups), rng.random(n) < 0.2 + 0.2 * group[-n:] % 0.7]
        ).astype(bool)
        inputs = {"truth": label} if truth else {}
        return Case(name, {**inputs, "chosen": chosen, "group": group})

    return [
        case("two groups", 60, 2),
        case("three groups", 120, 3),
        case("four groups, unequal", 300, 4),
    ]


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
    cases=lambda seed: _decision_cases(seed, truth=False),
    probe=_probe,
    picture=_parity_picture,
    mistakes=(
        Mistake(
            "This is the ratio of the lowest rate to the highest (the four-fifths rule asks for it). "
            "Here: their difference.",
            lambda chosen, group: float(
                min(chosen[group == g].mean() for g in np.unique(group))
                / max(chosen[group == g].mean() for g in np.unique(group))
            ),
        ),
        Mistake(
            "You divided by all rows. A group's rate is a share of that group.",
            lambda chosen, group: float(np.ptp(np.bincount(group, weights=chosen) / len(chosen))),
        ),
        Mistake(
            "This compares a group with everybody, itself included. Compare groups with each other.",
            lambda chosen, group: float(
                max(abs(chosen[group == g].mean() - chosen.mean()) for g in np.unique(group))
            ),
        ),
        Mistake(
            "This is the standard deviation of the rates. Take the highest minus the lowest.",
            lambda chosen, group: float(
                np.std([chosen[group == g].mean() for g in np.unique(group)])
            ),
        ),
    ),
    alternatives=(
        lambda chosen, group: float(
            np.ptp(np.bincount(group, weights=chosen) / np.bincount(group))
        ),
        lambda chosen, group: max(
            float(chosen[group == a].mean() - chosen[group == b].mean())
            for a in np.unique(group)
            for b in np.unique(group)
        ),
    ),
)


def _odds_cases(seed: int) -> list[Case]:
    """Of two groups, once the false positives differ more and once the true positives do."""
    rng = np.random.default_rng(seed)
    truth, group = np.tile([0, 1], 120).astype(bool), np.repeat([0, 1], 120)

    def case(name, rates):
        chosen = rng.random(240) < np.array(rates)[group, truth.astype(int)]
        return Case(name, {"truth": truth, "chosen": chosen, "group": group})

    return [
        case("the false positives differ more", [[0.1, 0.6], [0.7, 0.8]]),
        case("the true positives differ more", [[0.2, 0.9], [0.1, 0.4]]),
        _decision_cases(seed, truth=True)[2],
    ]


def _gap_given(truth, chosen, group, side):
    rows = truth == side
    return fairness.demographic_parity(chosen[rows], group[rows])


def _odds_by_table(truth, chosen, group):
    cells = np.bincount(2 * group + truth)
    rates = np.bincount(2 * group + truth, weights=chosen) / cells
    return float(np.ptp(rates.reshape(-1, 2), axis=0).max())


def _odds_given(truth, chosen, group, by):
    """As equalized odds, with the conditioning turned round: precision in place of recall."""
    return max(fairness.demographic_parity(truth[chosen == s], group[chosen == s]) for s in by)


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
    cases=_odds_cases,
    probe=_probe,
    picture=_odds_picture,
    mistakes=(
        Mistake(
            "This is the gap in true-positive rates alone, called equal opportunity. False positives "
            "count as well.",
            lambda truth, chosen, group: _gap_given(truth, chosen, group, 1),
        ),
        Mistake(
            "You took the mean of the two gaps. The larger one counts.",
            lambda truth, chosen, group: (
                sum(_gap_given(truth, chosen, group, side) for side in (0, 1)) / 2
            ),
        ),
        Mistake(
            "You added the two gaps. The larger one counts.",
            lambda truth, chosen, group: sum(
                _gap_given(truth, chosen, group, side) for side in (0, 1)
            ),
        ),
        Mistake(
            "This is demographic parity: the truth has no part in it.",
            lambda truth, chosen, group: fairness.demographic_parity(chosen, group),
        ),
        Mistake(
            "Given the decision you compared the truth, which is precision. Compare the decisions, "
            "given the truth.",
            lambda truth, chosen, group: _odds_given(truth, chosen, group, (0, 1)),
        ),
    ),
    alternatives=(
        _odds_by_table,
        lambda truth, chosen, group: max(_gap_given(truth, chosen, group, side) for side in (0, 1)),
    ),
)

# --- a cure ---------------------------------------------------------------------------------------


def _weight_cases(seed: int) -> list[Case]:
    def case(name, n, groups):
        _, label, group = _people(seed + n, n, groups)
        return Case(name, {"label": label, "group": group})

    return [
        case("two groups", 40, 2),
        case("three groups", 100, 3),
        case("four groups", 200, 4),
    ]


def _weights_with(of):
    """Weights by a formula of P(group), P(label) and P(group, label)."""

    def weights(label, group):
        result = np.empty(len(label))
        for g in np.unique(group):
            for y in (0, 1):
                cell = (group == g) & (label == y)
                result[cell] = of((group == g).mean(), (label == y).mean(), cell.mean())
        return result

    return weights


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


REWEIGHTING = Exercise(
    id="bias.reweighting",
    title="Weights that part label and group",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return a weight for each row, under which label and group are independent.",
    hints=(
        "If they were independent, a cell would hold P(group) P(label) of the rows. It holds "
        "P(group, label).",
        "The weight of a row is the expected share of its cell over the share that it has.",
    ),
    reference=fairness.reweighting,
    cases=_weight_cases,
    probe=_probe,
    picture=_weights_picture,
    mistakes=(
        Mistake(
            "The quotient is turned round: cells with too many rows would get still more weight.",
            _weights_with(lambda g, y, both: both / (g * y)),
        ),
        Mistake(
            "1 / P(group, label) gives all cells the same weight in total, and so changes the shares "
            "of groups and labels as well.",
            _weights_with(lambda g, y, both: 1 / both),
        ),
        Mistake(
            "P(group) is missing: expected is P(group) P(label).",
            _weights_with(lambda g, y, both: y / both),
        ),
        Mistake(
            "P(label) is missing: expected is P(group) P(label).",
            _weights_with(lambda g, y, both: g / both),
        ),
    ),
    alternatives=(_weights_by_rates, _weights_by_counts),
)

# --- what cannot be had at once -------------------------------------------------------------------


def _implied_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def case(name, low, high):
        p, ppv, tpr = (float(v) for v in rng.uniform(low, high, 3))
        return Case(name, {"prevalence": p, "precision": ppv, "recall": tpr})

    return [
        case("a rare outcome", 0.1, 0.3),
        case("a common one", 0.55, 0.9),
        case("one in between", 0.3, 0.7),
    ]


def _implied_with(of):
    return lambda prevalence, precision, recall: of(prevalence, precision, recall)


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
    task="Return the false-positive rate that prevalence, precision and recall leave no choice about.",
    hints=(
        "Take one person on average: prevalence x recall is the true positives.",
        "Chosen are true positives / precision. What is left of them are false positives, out of "
        "1 - prevalence.",
    ),
    reference=fairness.implied_false_positives,
    cases=_implied_cases,
    probe=_probe,
    picture=_implied_picture,
    mistakes=(
        Mistake(
            "1 - precision is the false discovery rate: a share of the chosen. Asked is a share of "
            "the negatives.",
            _implied_with(lambda p, ppv, tpr: 1 - ppv),
        ),
        Mistake(
            "The odds of the prevalence are turned round.",
            _implied_with(lambda p, ppv, tpr: (1 - p) / p * (1 - ppv) / ppv * tpr),
        ),
        Mistake(
            "The odds of the precision are turned round.",
            _implied_with(lambda p, ppv, tpr: p / (1 - p) * ppv / (1 - ppv) * tpr),
        ),
        Mistake(
            "This is a share of all people. Divide by the negatives, 1 - prevalence.",
            _implied_with(lambda p, ppv, tpr: p * (1 - ppv) / ppv * tpr),
        ),
        Mistake(
            "The recall is missing: not every positive is found.",
            _implied_with(lambda p, ppv, tpr: p / (1 - p) * (1 - ppv) / ppv),
        ),
    ),
    alternatives=(_implied_by_counts, _implied_by_odds),
)

EXERCISES = (
    SHARE_Z,
    LABEL_RATES,
    AMPLIFICATION,
    DEMOGRAPHIC_PARITY,
    EQUALIZED_ODDS,
    REWEIGHTING,
    IMPLIED,
)
