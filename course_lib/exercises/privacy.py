"""The exercises of lesson 11: attacks and their control, a private gradient, a bound from below."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import beta, binom
from sklearn.metrics import roc_curve
from sklearn.neighbors import NearestNeighbors

from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.plots import BLUE, ORANGE
from course_lib.privacy.attacks import value_reuse
from course_lib.privacy.textbook import (
    epsilon_from_guesses,
    log_density_ratio,
    private_mean,
    rate_at,
    risk_above_control,
    rmia_scores,
)

# --- a rate at few false accusations ---------------------------------------------------------------


def _rate_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(members, others, fpr):
        return {"members": members, "others": others, "fpr": fpr}

    return {
        "no ties": case(rng.normal(1, 1, 40), rng.normal(0, 1, 50), 0.1),
        "ties at the top": case(
            np.repeat([2.0, 1.0, 0.0], [12 + int(rng.integers(9)), 10, 8]),
            np.repeat([2.0, 1.0, 0.0], [10, 20 + int(rng.integers(9)), 70]),
            0.05,
        ),
        "ties everywhere": case(
            rng.integers(0, 6, 60).astype(float), rng.integers(0, 5, 70).astype(float), 0.13
        ),
        "few members": case(rng.normal(0.5, 1, 7), rng.normal(0, 1, 40), 0.45),
        "few members, few accused": case(rng.normal(1.5, 1, 5), rng.normal(0, 1, 80), 0.11),
        "all others are accused": case(np.r_[rng.normal(size=9), -9.0], rng.normal(size=8), 1.0),
    }


def _rate_by_sklearn(members, others, fpr):
    truth = np.repeat([1, 0], [len(members), len(others)])
    false, true, _ = roc_curve(truth, np.r_[members, others], drop_intermediate=False)
    keep = np.r_[false[1:] > false[:-1], True]
    return np.interp(fpr, false[keep], true[keep])


def _rate_step_by_step(members, others, fpr):
    accused, budget = 0.0, fpr * len(others)
    for level in sorted({*members, *others}, reverse=True):
        cost, gain = (others == level).sum(), (members == level).sum()
        if cost > budget + 1e-12:
            accused += gain * budget / cost
            break
        accused, budget = accused + gain, budget - cost
    return accused / len(members)


def _rate_picture(answer):
    rng = np.random.default_rng(0)
    members, others = np.round(rng.normal(1.2, 1, 400), 1), np.round(rng.normal(0, 1, 400), 1)
    rates = np.linspace(0.002, 1, 60)
    fig, ax = plt.subplots(figsize=(4.2, 3.2))
    ax.plot(rates, [answer(members, others, rate) for rate in rates], color=BLUE)
    ax.plot(rates, rates, color=ORANGE, linestyle="--")
    ax.set(xscale="log", yscale="log", xlabel="false accusations", ylabel="members found")
    return fig, (
        "The share of members found against the share of false accusations, both on logarithmic axes. "
        "The curve lies above the dashed diagonal, which stands for guessing."
    )


RATE_AT = Exercise(
    id="privacy.rate_at",
    title="Members found at few false accusations",
    points=2,
    minutes=12,
    difficulty=2,
    task="An attack accuses all records whose score is at least a threshold. Return the share of members "
    "that it accuses where it accuses a share fpr of the others. Where no threshold gives exactly fpr, "
    "take the straight line between two points of the ROC curve.",
    hints=(
        "Each distinct score is a threshold. The rates are (others >= t).mean() and (members >= t).mean().",
        "Begin with the point (0, 0). Of several points with one false rate keep the highest.",
        "np.interp(fpr, false, true) is the straight line between two points.",
    ),
    reference=rate_at,
    inputs=_rate_cases,
    probe=call_for_array,
    numpy=True,
    picture=_rate_picture,
    mistakes={
        "Records with the threshold's own score are left out. Who ties with it counts: >=.": slip(
            ">=", ">", times=2
        ),
        "The rates of members and of others have changed places.": slip(
            "(others >= t)",
            "(x >= t)",
            "(members >= t)",
            "(others >= t)",
            "(x >= t)",
            "(members >= t)",
        ),
        (
            "A tie that more than fpr of the others share hides every member above it here. Accuse a "
            "part of it: the straight line between two points."
        ): returning("float(max(t for f, t in best.items() if f <= fpr))"),
        (
            "A quantile of the others was taken as threshold, and all who reach it are accused: with "
            "ties these are more than a share fpr."
        ): returning("float((members >= np.quantile(others, 1 - fpr)).mean())"),
        "This is the share of members below the threshold. An attack accuses the high scores.": returning(
            "1 - float(np.interp(fpr, list(best), list(best.values())))"
        ),
        (
            "The threshold was taken from the members themselves. "
            "A share fpr of the others exceeds it."
        ): returning("float((members >= np.quantile(members, 1 - fpr)).mean())"),
        "You subtracted fpr. Return the share of members itself.": returning(
            "float(np.interp(fpr, list(best), list(best.values()))) - fpr"
        ),
        "This is a number of members. Return their share.": returning(
            "len(members) * float(np.interp(fpr, list(best), list(best.values())))"
        ),
        (
            "This is how often a member scores above another record, a mean over all thresholds. Return "
            "the rate at one fpr."
        ): returning("float((members[:, None] > others).mean())"),
        "This is the best accuracy over all thresholds. Return the rate of members at one fpr.": returning(
            "float(((np.array(true) + 1 - np.array(false)) / 2).max())"
        ),
        "Percent: the share should lie between 0 and 1.": returning(
            "100 * float(np.interp(fpr, list(best), list(best.values())))"
        ),
    },
    alternatives=(
        _rate_by_sklearn,
        _rate_step_by_step,
        returning("np.interp(fpr, np.array(list(best)), np.array(list(best.values()))).item()"),
    ),
)

# --- values found again ----------------------------------------------------------------------------


def _reuse_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, m, rows, levels, first_is_found):
        records, synthetic, reference = (
            rng.geometric(1 / levels, size).astype(float) for size in (n, m, rows)
        )
        # The first and the last row of a column count, like all others.
        synthetic[[0, -1]], reference[0] = (-1.0, -2.0), -1.0 if first_is_found else -3.0
        records[:3] = -1.0, -2.0, -3.0
        return {"records": records, "synthetic": synthetic, "reference": reference}

    return {
        "many rows of each": case(12, 61, 90, 12, True),
        "few synthetic rows": case(10, 7, 100, 6, False),
        "hardly any value is found": case(10, 5, 20, 300, False),
    }


def _reuse_by_loop(records, synthetic, reference):
    scores = []
    for value in records:
        share = ((reference == value).sum() + 1) / (len(reference) + 1)
        found = value in set(synthetic.tolist())
        scores.append(-np.log1p(-((1 - share) ** len(synthetic))) if found else 0.0)
    return np.array(scores)


def _reuse_by_comparing(records, synthetic, reference):
    share = ((records[:, None] == reference).sum(axis=1) + 1) / (len(reference) + 1)
    chance = -np.expm1(len(synthetic) * np.log1p(-share))
    return np.isin(records, synthetic) * -np.log(chance)


def _reuse_by_dictionary(records, synthetic, reference):
    values, counts = np.unique(reference, return_counts=True)
    known = dict(zip(values.tolist(), counts.tolist(), strict=True))
    share = np.array([known.get(v, 0) + 1 for v in records.tolist()]) / (1 + len(reference))
    return np.where(np.isin(records, synthetic), -np.log(1 - (1 - share) ** len(synthetic)), 0)


def _reuse_picture(answer):
    reference = np.repeat([0.0, 1.0, 2.0, 3.0], [600, 300, 90, 9])
    values = np.arange(5.0)
    fig, ax = plt.subplots(figsize=(4.2, 3))
    ax.bar(values, answer(values, values, reference), color=BLUE)
    ax.set(xlabel="value, from common to unseen", ylabel="score", title="All five are found")
    return fig, (
        "Five bars, one for each value: the more seldom a value is among the reference rows, the higher "
        "is the score for finding it."
    )


VALUE_REUSE = Exercise(
    id="privacy.value_reuse",
    title="A rare number, found verbatim",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return a score for each record: 0 where its value is not among the synthetic values, else minus "
    "the logarithm of the chance to find it among m synthetic rows if the record was not learnt from, with "
    "one row with that value added to the reference.",
    hints=(
        "np.isin(records, synthetic) tells which values are found.",
        "A value's share is (its count in the reference + 1) / (rows of the reference + 1).",
        "Among m rows a value of share f is found with the chance 1 - (1 - f)^m.",
    ),
    reference=value_reuse,
    inputs=_reuse_cases,
    probe=call_for_array,
    numpy=True,
    picture=_reuse_picture,
    mistakes={
        "This gives the score to every record. A value that is not found gains nothing.": returning(
            "-np.log(chance)[codes[:n]]"
        ),
        "The chance is that of one row, not of m: 1 - (1 - f)^m.": slip(
            "1 - (1 - share) ** m", "share"
        ),
        "The shares were counted among the synthetic rows. How rare a value is, the reference tells.": slip(
            "codes[n + m :]", "codes[n : n + m]", "len(reference)", "len(synthetic)"
        ),
        (
            "Found counts as 1, however common the value is. Rare values must count more: minus the "
            "logarithm of the chance."
        ): returning("np.where(found, 1.0, 0.0)[codes[:n]]"),
        "This is the logarithm of the chance itself, so a rare value gets the lowest score.": slip(
            "-np.log(chance)", "np.log(chance)"
        ),
        "This is the chance not to find the value. Take 1 minus it.": slip(
            "1 - (1 - share) ** m", "(1 - share) ** m"
        ),
        "The logarithm has the base 10. Use the natural one, np.log.": slip(
            "-np.log(chance)", "-np.log10(chance)"
        ),
        "The chance is that of as many rows as the reference has. There are m synthetic rows.": slip(
            "** m", "** len(reference)"
        ),
        "A value that is not found scores 0, and not NaN.": slip("chance), 0.0", "chance), np.nan"),
        "The two are turned round: a value that is found gets the score, another one gets 0.": slip(
            "-np.log(chance), 0.0", "0.0, -np.log(chance)"
        ),
        "m times the share is near the chance only where it is small. Use 1 - (1 - f)^m.": slip(
            "1 - (1 - share) ** m", "np.minimum(m * share, 1)"
        ),
        "This is a score for each different value. Return one for each record.": returning(
            "np.where(found, -np.log(chance), 0.0)"
        ),
    },
    alternatives=(_reuse_by_loop, _reuse_by_comparing, _reuse_by_dictionary),
)

# --- a ratio of densities --------------------------------------------------------------------------


def _ratio_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(d, m, rows, k):
        return {
            "records": rng.normal(size=(6, d)),
            "synthetic": rng.normal(0.3, 1, (m, d)),
            "reference": rng.normal(size=(rows, d)),
            "k": k,
        }

    return {
        "one column": case(1, 30, 45, 1),
        "three columns, the third neighbour": case(3, 40, 25, 3),
        "two columns, the fifth neighbour": case(2, 20, 60, 5),
    }


def _ratio_by_trees(records, synthetic, reference, k):
    def log_density(rows):
        found = NearestNeighbors(n_neighbors=k).fit(rows).kneighbors(records)[0][:, -1]
        return -np.log(len(rows)) - records.shape[1] * np.log(found)

    return log_density(synthetic) - log_density(reference)


def _ratio_by_partition(records, synthetic, reference, k):
    made, real = (
        np.partition(cdist(records, rows), k - 1, axis=1)[:, k - 1]
        for rows in (synthetic, reference)
    )
    return np.log((real / made) ** records.shape[1] * len(reference) / len(synthetic))


def _ratio_by_broadcasting(records, synthetic, reference, k):
    logs = []
    for rows in (synthetic, reference):
        squares = ((records[:, None] - rows[None]) ** 2).sum(axis=2)
        logs.append(0.5 * np.log(np.sort(squares, axis=1)[:, k - 1]))
    shift = np.log(len(reference)) - np.log(len(synthetic))
    return shift + records.shape[1] * (logs[1] - logs[0])


def _ratio_picture(answer):
    rng = np.random.default_rng(0)
    reference, synthetic = (
        rng.normal(size=(400, 1)),
        np.r_[rng.normal(size=(300, 1)), rng.normal(1.5, 0.05, (100, 1))],
    )
    x = np.linspace(-2.5, 2.5, 200)[:, None]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(x, answer(x, synthetic, reference, 20), color=BLUE)
    ax.axhline(0, color=ORANGE, linestyle="--")
    ax.set(xlabel="x", ylabel="log ratio", title="A quarter of the rows crowd around 1.5")
    return fig, (
        "The logarithm of the density of synthetic over reference rows against x: near 0 but for a high "
        "peak at 1.5, where synthetic rows crowd."
    )


LOG_DENSITY_RATIO = Exercise(
    id="privacy.log_density_ratio",
    title="Denser than the population",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return for each record the logarithm of the density of synthetic rows over that of reference "
    "rows, each from the distance r to the k-th nearest of m rows in d dimensions: k / (m r^d).",
    hints=(
        "cdist(records, rows) gives all distances; sort each line and take place k - 1.",
        "The constant and k cancel. What is left: d (log r_real - log r_made), and the numbers of rows.",
        "Add log(len(reference) / len(synthetic)).",
    ),
    reference=log_density_ratio,
    inputs=_ratio_cases,
    probe=call_for_array,
    numpy=True,
    picture=_ratio_picture,
    mistakes={
        "The dimension is missing: a volume grows as r to the power d.": slip(
            "records.shape[1] * ", ""
        ),
        "The ratio is upside down: a record with near synthetic rows must score high.": slip(
            "np.log(r_real) - np.log(r_made)",
            "np.log(r_made) - np.log(r_real)",
            "len(reference) / len(synthetic)",
            "len(synthetic) / len(reference)",
        ),
        (
            "The two tables differ in their numbers of rows, and a density is a share: add "
            "log(len(reference) / len(synthetic))."
        ): returning("volumes"),
        "The numbers of rows are upside down: m stands below in each density.": slip(
            "len(reference) / len(synthetic)", "len(synthetic) / len(reference)"
        ),
        "Place k is the neighbour after the k-th: Python counts from 0.": slip(
            "[:, k - 1]", "[:, k]", times=2
        ),
        "This is the ratio itself. Return its logarithm.": returning(
            "np.exp(volumes + np.log(len(reference) / len(synthetic)))"
        ),
        "The nearest row was taken, whatever k says. Take the k-th nearest.": slip(
            "[:, k - 1]", "[:, 0]", times=2
        ),
        "The mean distance to the k nearest rows was taken. Take that to the k-th alone.": slip(
            "np.sort(cdist(records, synthetic), axis=1)[:, k - 1]",
            "np.sort(cdist(records, synthetic), axis=1)[:, :k].mean(axis=1)",
            "np.sort(cdist(records, reference), axis=1)[:, k - 1]",
            "np.sort(cdist(records, reference), axis=1)[:, :k].mean(axis=1)",
        ),
        (
            "This is a ratio of distances. Densities go with the power d of the distance, and the "
            "logarithm is asked for."
        ): returning("r_real / r_made"),
        "The volume counts twice. It grows as r to the power d, the number of columns.": slip(
            "records.shape[1] *", "2 * records.shape[1] *"
        ),
        (
            "The density of the reference is missing: a record in a crowded place scores high in any "
            "table."
        ): returning("-records.shape[1] * np.log(r_made) - np.log(len(synthetic))"),
        "d is the number of columns, not of records.": slip("records.shape[1]", "records.shape[0]"),
        "k stands in both densities and cancels out. Leave log(k) out.": returning(
            "volumes + np.log(k * len(reference) / len(synthetic))"
        ),
    },
    alternatives=(_ratio_by_trees, _ratio_by_partition, _ratio_by_broadcasting),
)

# --- RMIA ------------------------------------------------------------------------------------------


def _rmia_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(models, n, points, gamma):
        level = rng.normal(-40, 4, n)
        others = rng.normal(-40, 4, points)
        return {
            "target": level + rng.normal(0.7, 1, n),
            "references": level + rng.normal(0, 1, (models, n)),
            "population": others + rng.normal(0, 1, points),
            "population_references": others + rng.normal(0, 1, (models, points)),
            "gamma": gamma,
        }

    return {
        "two references": case(2, 12, 25, 1.0),
        "six references": case(6, 10, 30, 1.0),
        "a ratio of at least two": case(3, 15, 40, 2.0),
    }


def _rmia_by_sorting(target, references, population, population_references, gamma):
    ratio, others = (
        own - logsumexp(many, axis=0) + np.log(len(many))
        for own, many in ((target, references), (population, population_references))
    )
    return np.searchsorted(np.sort(others), ratio - np.log(gamma), side="right") / len(others)


def _rmia_by_loop(target, references, population, population_references, gamma):
    beats = []
    for i, own in enumerate(target):
        ratio = np.exp(own) / np.mean([np.exp(model[i]) for model in references])
        others = np.exp(population) / np.exp(population_references).mean(axis=0)
        beats.append(np.mean(ratio / others >= gamma))
    return np.array(beats)


def _rmia_by_shares(target, references, population, population_references, gamma):
    ratio = 1 / np.exp(references - target).mean(axis=0)
    others = 1 / np.exp(population_references - population).mean(axis=0)
    return np.array([(r >= gamma * others).sum() / others.size for r in ratio])


def _rmia_picture(answer):
    inputs = _rmia_cases(3)["six references"] | {"gamma": 1.0}
    rng = np.random.default_rng(0)
    level, shift = rng.normal(-40, 4, 600), np.repeat([1.5, 0.0], 300)
    inputs |= {
        "target": level + shift + rng.normal(0, 1, 600),
        "references": level + rng.normal(0, 1, (6, 600)),
    }
    scores = answer(*inputs.values())
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.hist([scores[:300], scores[300:]], 12, color=[BLUE, ORANGE], label=["members", "others"])
    ax.set(xlabel="share of the population that is beaten", ylabel="records")
    ax.legend(fontsize=8)
    return fig, (
        "Histograms of the scores of members and of others. Those of the others are spread evenly, those "
        "of the members crowd near 1."
    )


RMIA = Exercise(
    id="privacy.rmia_scores",
    title="More likely than reference models say",
    points=2,
    minutes=15,
    difficulty=3,
    task="Return for each record the share of population points whose likelihood ratio, times gamma, is at "
    "most the record's own ratio. A ratio is the likelihood by the model over the mean likelihood by the "
    "references.",
    hints=(
        "All inputs are logarithms. The mean is one of likelihoods: np.exp(references).mean(axis=0).",
        "ratio = target - log of that mean, and the same for the population.",
        "Compare each record with each point: ratio[:, None] >= np.log(gamma) + others.",
    ),
    reference=rmia_scores,
    inputs=_rmia_cases,
    probe=call_for_array,
    numpy=True,
    picture=_rmia_picture,
    mistakes={
        (
            "The model's own likelihoods were compared. A typical record is likely in every model: "
            "divide by the references' mean likelihood."
        ): slip(
            "target - np.log(np.exp(references).mean(axis=0))",
            "target",
            "population - np.log(np.exp(population_references).mean(axis=0))",
            "population",
        ),
        "The mean was taken of the logarithms. It is the mean of the likelihoods that is wanted.": slip(
            "np.log(np.exp(references).mean(axis=0))",
            "references.mean(axis=0)",
            "np.log(np.exp(population_references).mean(axis=0))",
            "population_references.mean(axis=0)",
        ),
        "The share is upside down: a member's ratio exceeds those of the population.": slip(
            ">= np.log(gamma) + others", "< np.log(gamma) + others"
        ),
        "Only the records were divided by what the references say. The population needs it, too.": slip(
            "population - np.log(np.exp(population_references).mean(axis=0))", "population"
        ),
        (
            "This is the ratio itself. How high it "
            "is tells only the comparison with the population."
        ): returning("ratio"),
        "gamma is a factor on the ratio. In logarithms add log(gamma).": slip(
            "np.log(gamma)", "gamma"
        ),
        "gamma has no effect: the record's ratio must be gamma times as large.": slip(
            "np.log(gamma) + others", "others"
        ),
        "gamma works the wrong way: the population's ratio is multiplied by it.": slip(
            "np.log(gamma) + others", "others - np.log(gamma)"
        ),
        (
            "This is a number for each population point. Return one for each record: the mean over axis "
            "1."
        ): slip("others).mean(axis=1)", "others).mean(axis=0)"),
        "These are numbers of population points. Return their share.": slip(
            "others).mean(axis=1)", "others).sum(axis=1)"
        ),
        "The largest likelihood of the references was taken. Take their mean.": slip(
            "np.exp(references).mean(",
            "np.exp(references).max(",
            "np.exp(population_references).mean(",
            "np.exp(population_references).max(",
        ),
        "The references' likelihood was multiplied. Divide by it: subtract its logarithm.": slip(
            "target - np.log", "target + np.log", "population - np.log", "population + np.log"
        ),
    },
    alternatives=(_rmia_by_sorting, _rmia_by_loop, _rmia_by_shares),
)

# --- risk above a control --------------------------------------------------------------------------


def _risk_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, p, m, q):
        return {
            "members": (rng.random(n) < p).astype(np.int64),
            "control": (rng.random(m) < q).astype(np.int64),
        }

    return {
        "a leak": case(80, 0.7, 50, 0.3),
        "no leak": case(60, 0.4, 90, 0.4),
        "few in the control": case(120, 0.5, 30, 0.2),
        "no leak, and the control ahead by chance": case(40, 0.3, 40, 0.6),
    }


def _risk_by_counts(members, control):
    shares = [sum(hits) / len(hits) for hits in (members, control)]
    parts = [s * (1 - s) / len(h) for s, h in zip(shares, (members, control), strict=True)]
    return shares[0] - shares[1], np.sqrt(sum(parts))


def _risk_by_variances(members, control):
    spread = members.var() / members.size + control.var() / control.size
    return members.mean() - control.mean(), np.sqrt(spread)


def _risk_by_errors(members, control):
    errors = [np.std(hits) / len(hits) ** 0.5 for hits in (members, control)]
    return np.mean(members) - np.mean(control), np.hypot(*errors)


def _risk_picture(answer):
    rng = np.random.default_rng(0)
    sizes = [30, 100, 300, 1000]
    found = [answer(*(rng.random((2, n)) < [[0.5], [0.35]]).astype(int)) for n in sizes]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    above, error = np.array(found).T
    ax.errorbar(range(4), above, 2 * error, fmt="o", color=BLUE, capsize=3)
    ax.axhline(0, color=ORANGE, linestyle="--")
    ax.set(
        xticks=range(4),
        xticklabels=sizes,
        xlabel="records on each side",
        ylabel="risk above control",
    )
    return fig, (
        "The risk above the control with two standard errors, for 30 to 1,000 records on each side: the "
        "interval shrinks around 0.15 and leaves the dashed line at 0."
    )


RISK = Exercise(
    id="privacy.risk_above_control",
    title="Risk above a control",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return how much more often an attack succeeds on members than on the control, and the standard "
    "error of this difference.",
    hints=(
        "The success on a side is a mean of zeros and ones.",
        "A share p of n records has the variance p (1 - p) / n. The variances of two sides add up.",
    ),
    reference=risk_above_control,
    inputs=_risk_cases,
    probe=call_for_array,
    numpy=True,
    picture=_risk_picture,
    mistakes={
        "The success on the control was not taken away: what strangers are told as well is no leak.": slip(
            "float(p - q)", "float(p)"
        ),
        "The two standard errors were added. It is the variances that add up.": returning(
            "p - q, (p * (1 - p) / len(members)) ** 0.5 + (q * (1 - q) / len(control)) ** 0.5"
        ),
        "This is the variance. The standard error is its root.": slip(
            "float(variance**0.5)", "float(variance)"
        ),
        "The variance of a mean shrinks with the number of records: divide by it.": slip(
            " / len(members)", "", " / len(control)", ""
        ),
        "The control's share varies by chance, too: add its variance.": slip(
            " + q * (1 - q) / len(control)", ""
        ),
        "The two are in the wrong order: first the difference, then its standard error.": returning(
            "float(variance**0.5), float(p - q)"
        ),
        "This is the ratio of the two rates. Return their difference.": returning(
            "float(p / q), float(variance**0.5)"
        ),
        "The sign is turned round: members minus control.": returning(
            "float(q - p), float(variance**0.5)"
        ),
        (
            "This is half the width of a 95 % interval. Return the standard error, without the factor "
            "1.96."
        ): returning("float(p - q), float(1.96 * variance**0.5)"),
        (
            "The difference was divided by 1 minus "
            "the control's rate. Return the difference itself."
        ): returning("float((p - q) / (1 - q)), float(variance**0.5)"),
        "The factor 1 - p is missing in the variance of a share, p (1 - p) / n.": slip(
            "p * (1 - p)", "p", "q * (1 - q)", "q"
        ),
        (
            "The difference was cut at 0. By chance it "
            "can lie below, and that tells something as well."
        ): returning("float(max(p - q, 0)), float(variance**0.5)"),
    },
    alternatives=(_risk_by_counts, _risk_by_variances, _risk_by_errors),
)

# --- a private gradient ----------------------------------------------------------------------------


def _mean_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, d, size, bound, sd, expected):
        return {
            "gradients": size * rng.normal(size=(rows, d)),
            "bound": bound,
            "noise": rng.normal(0, sd, d),
            "expected": expected,
        }

    return {
        "all are clipped": case(6, 4, 5.0, 1.0, 0.8, 8.0),
        "none is clipped": case(5, 3, 0.1, 2.0, 0.5, 4.0),
        "some are clipped": case(12, 5, 0.5, 1.1, 1.0, 10.0),
    }


def _mean_by_loop(gradients, bound, noise, expected):
    total = noise.copy()
    for g in gradients:
        norm = np.linalg.norm(g)
        total += g if norm <= bound else g * bound / norm
    return total / expected


def _mean_by_weights(gradients, bound, noise, expected):
    weights = 1 / np.maximum(np.linalg.norm(gradients, axis=1) / bound, 1)
    return (weights @ gradients + noise) / expected


def _mean_by_where(gradients, bound, noise, expected):
    norms = np.linalg.norm(gradients, axis=1)[:, None]
    clipped = np.where(norms > bound, gradients / norms * bound, gradients)
    return np.vstack([clipped, noise]).sum(axis=0) / expected


def _mean_picture(answer):
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 60)
    gradients = rng.lognormal(0, 1, 60)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    clipped = np.stack([answer(g[None], 1.0, np.zeros(2), 1.0) for g in gradients])
    fig, ax = plt.subplots(figsize=(3.6, 3.4))
    ax.plot(*gradients.T, "o", color=ORANGE, markersize=4, linestyle="none", label="gradients")
    ax.plot(*clipped.T, "x", color=BLUE, markersize=4, linestyle="none", label="clipped")
    ax.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="first parameter", ylabel="second")
    ax.legend(fontsize=8)
    return fig, (
        "Gradients of 60 records as points, and what clipping makes of each: those outside the circle of "
        "radius 1 move to it along the line to the origin, the others stay."
    )


PRIVATE_MEAN = Exercise(
    id="privacy.private_mean",
    title="The step of DP-SGD",
    points=2,
    minutes=12,
    difficulty=2,
    task="Shorten each record's gradient to the norm `bound` where it is longer, add up, add the noise, "
    "and divide by the expected size of the batch.",
    hints=(
        "The norm of each record: np.sqrt((gradients**2).sum(axis=1, keepdims=True)).",
        "A factor of min(1, bound / norm) shortens long gradients and leaves short ones alone.",
        "Noise is added once, to the sum. Then comes the division.",
    ),
    reference=private_mean,
    inputs=_mean_cases,
    probe=call_for_array,
    numpy=True,
    picture=_mean_picture,
    mistakes={
        "Nothing was clipped, so one record can move the sum as far as it likes.": returning(
            "(gradients.sum(axis=0) + noise) / expected"
        ),
        (
            "The sum was clipped. Each record's gradient must "
            "be, or one record can turn the whole sum."
        ): returning(
            "(gradients.sum(axis=0) * min(1, bound / np.linalg.norm(gradients.sum(axis=0))) + noise) "
            "/ expected"
        ),
        "Short gradients were stretched to the bound. They stay as they are: min(1, bound / norm).": slip(
            "np.minimum(1, bound / np.maximum(norms, 1e-12))", "bound / norms"
        ),
        (
            "The mean was taken over the records drawn. Their number is private: divide by the expected "
            "one."
        ): slip("/ expected", "/ len(gradients)"),
        "The noise is missing.": slip(" + noise", ""),
        (
            "Each number was clipped by itself. It is the norm of a record's whole gradient that "
            "counts."
        ): returning("(np.clip(gradients, -bound, bound).sum(axis=0) + noise) / expected"),
        "The noise was added to each record's gradient, so it counts as often as there are records.": slip(
            "clipped.sum(axis=0) + noise", "(clipped + noise).sum(axis=0)"
        ),
        "You compared the squared norm with the bound. Take the root first.": slip(
            "np.sqrt((gradients**2).sum(axis=1, keepdims=True))",
            "(gradients**2).sum(axis=1, keepdims=True)",
        ),
        "The noise was added after the division. Add it to the sum, then divide.": slip(
            "(clipped.sum(axis=0) + noise) / expected", "clipped.sum(axis=0) / expected + noise"
        ),
        "The division by the expected size of the batch is missing.": slip(" / expected", ""),
        "The noise was multiplied by the bound. It is given ready to use.": slip(
            "+ noise", "+ bound * noise"
        ),
        "You averaged the gradients before the noise. Add them up.": slip(
            "clipped.sum(axis=0)", "clipped.mean(axis=0)"
        ),
        "Long gradients were left out. Shorten them to the bound.": returning(
            "((gradients * (norms <= bound)).sum(axis=0) + noise) / expected"
        ),
    },
    alternatives=(_mean_by_loop, _mean_by_weights, _mean_by_where),
)

# --- a bound from below ----------------------------------------------------------------------------


def _bound_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(wrong, guesses):
        """About so many guesses, of which a number in this range is wrong."""
        guesses = int(rng.integers(guesses, guesses + guesses // 10))
        confidence = round(float(rng.uniform(0.9, 0.99)), 3)
        right = guesses - int(rng.integers(*wrong)) if wrong else 0
        return {"right": right, "guesses": guesses, "confidence": confidence}

    return {
        "many are right": case((10, 40), 200),
        "hardly more than half": case((160, 170), 400),
        "few guesses, many right": case((1, 7), 40),
        "fewer than half": case((65, 90), 100),
        "all are right": case((0, 1), 60),
        "none is right": case(None, 30),
    }


def _bound_by_root(right, guesses, confidence):
    def excess(epsilon):
        return binom.sf(right - 1, guesses, 1 / (1 + np.exp(-epsilon))) - (1 - confidence)

    return 0.0 if excess(0.0) >= 0 else brentq(excess, 0, 50, xtol=1e-10)


def _bound_by_bisection(right, guesses, confidence):
    low, high = 0.5, 1.0
    if binom.sf(right - 1, guesses, low) >= 1 - confidence:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if binom.sf(right - 1, guesses, middle) < 1 - confidence
            else (low, middle)
        )
    return np.log(low) - np.log1p(-low)


def _bound_by_isf(right, guesses, confidence):
    wrong = beta.isf(1 - confidence, guesses - right + 1, right) if right else 1.0
    return max(np.log((1 - wrong) / wrong), 0.0) if wrong < 1 else 0.0


def _bound_picture(answer):
    shares = np.linspace(0.5, 1, 51)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for guesses, color in ((100, ORANGE), (1000, BLUE)):
        ax.plot(
            shares,
            [answer(round(share * guesses), guesses, 0.95) for share in shares],
            color=color,
            label=f"{guesses:,} guesses",
        )
    ax.set(xlabel="share of right guesses", ylabel="epsilon at least")
    ax.legend(fontsize=8)
    return fig, (
        "The lower bound of epsilon against the share of right guesses, for 100 and for 1,000 guesses: 0 "
        "up to a little above a half, then it rises, and earlier with more guesses."
    )


EPSILON = Exercise(
    id="privacy.epsilon_from_guesses",
    title="Epsilon from below",
    points=2,
    minutes=12,
    difficulty=3,
    task="Return the lower bound of epsilon that right guesses about fair coins prove, from the one-sided "
    "lower bound of Clopper and Pearson at this confidence, and 0 if they prove nothing.",
    hints=(
        "Under epsilon a guess is right with a chance of at most e^epsilon / (1 + e^epsilon).",
        "The lower bound of a chance by Clopper and Pearson: beta.ppf(1 - confidence, right, guesses - "
        "right + 1); with no right guess it is 0.",
        "Solve for epsilon: log(chance / (1 - chance)), and no less than 0.",
    ),
    reference=epsilon_from_guesses,
    inputs=_bound_cases,
    probe=call_for_array,
    numpy=True,
    picture=_bound_picture,
    mistakes={
        (
            "This is the estimate and not a bound: by chance it lies above the true epsilon half the "
            "time."
        ): slip(
            "beta.ppf(1 - confidence, right, guesses - right + 1)",
            "min(right / guesses, 1 - 1e-9)",
        ),
        "This is the upper bound of the chance. A proof of a leak needs the lower one.": slip(
            "beta.ppf(1 - confidence, right, guesses - right + 1)",
            "min(beta.ppf(confidence, right + 1, max(guesses - right, 1e-9)), 1 - 1e-9)",
        ),
        "A negative epsilon means nothing: the bound is at least 0.": slip(
            "max(np.log(chance / (1 - chance)), 0.0)", "np.log(chance / (1 - chance))"
        ),
        "The odds are missing: epsilon is log(chance / (1 - chance)), not log of twice the chance.": slip(
            "np.log(chance / (1 - chance))", "np.log(2 * chance)"
        ),
        "The confidence was split between two sides. Only one side is asked for: 1 - confidence.": slip(
            "1 - confidence", "(1 - confidence) / 2"
        ),
        "This is the bound of the chance. Epsilon is the logarithm of its odds.": returning(
            "float(chance)"
        ),
        "These are the odds. Epsilon is their logarithm.": returning(
            "float(chance / (1 - chance))"
        ),
        "A bound below one half proves nothing: return 0, and not the absolute value.": returning(
            "float(abs(np.log(chance / (1 - chance))))"
        ),
        "The logarithm has the base 10. Use the natural one, np.log.": slip("np.log(", "np.log10("),
        (
            "This is a quantile of a posterior with a flat prior. The bound takes beta.ppf(1 - "
            "confidence, right, guesses - right + 1)."
        ): slip("1 - confidence, right, guesses", "1 - confidence, right + 1, guesses"),
        "The quantile is the upper one. A lower bound takes 1 - confidence.": slip(
            "1 - confidence", "confidence"
        ),
        "The odds need the chance above: log(chance / (1 - chance)).": returning(
            "float(max(-np.log(1 - chance), 0.0))"
        ),
    },
    alternatives=(_bound_by_root, _bound_by_bisection, _bound_by_isf),
)
