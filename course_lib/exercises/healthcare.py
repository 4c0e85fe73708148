"""The exercises of lesson 12: effects, patients in causal order, calibration, transport and copies."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.linear_model import LinearRegression

from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.models.clinical import (
    adjusted_effect,
    copied_shares,
    draw_in_causal_order,
    expected_over_observed,
    net_benefit,
    recalibrated,
    weighted_effect,
)
from course_lib.plots import BLUE, GREY, ORANGE

# --- the adjusted effect ---------------------------------------------------------------------------


def _adjusted_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, d, pull, shift=0.0):
        x = rng.normal(shift, 1, (n, d))
        treated = (rng.random(n) < expit(pull * (x[:, 0] - shift))).astype(float)
        effect = rng.uniform(1, 5)
        outcome = 2 + effect * treated - 3 * x.sum(axis=1) + rng.normal(0, 0.5, n)
        return {"treated": treated, "outcome": outcome, "covariates": x}

    return {
        "one covariate": case(60, 1, 1.5),
        "three covariates": case(90, 3, 1.0),
        "treatment drawn by lot": case(50, 2, 0.0),
        "covariates far from 0": case(60, 2, 1.5, shift=4.0),
    }


def _effect_by_residuals(treated, outcome, covariates):
    # Frisch, Waugh and Lovell: what the covariates do not explain of either
    x = np.column_stack([np.ones(len(treated)), covariates])
    a, y = (v - x @ np.linalg.lstsq(x, v, rcond=None)[0] for v in (treated, outcome))
    return a @ y / (a @ a)


def _effect_by_sklearn(treated, outcome, covariates):
    return LinearRegression().fit(np.c_[covariates, treated], outcome).coef_[-1]


def _effect_by_normal_equations(treated, outcome, covariates):
    x = np.column_stack([treated, covariates])
    x, y = x - x.mean(axis=0), outcome - outcome.mean()
    return np.linalg.solve(x.T @ x, x.T @ y)[0]


def _adjusted_picture(answer):
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    pulls = np.linspace(-2, 2, 17)
    naive, adjusted = [], []
    for pull in pulls:
        a = (rng.random(300) < expit(pull * x)).astype(float)
        y = 3 * a - 2 * x + rng.normal(0, 0.5, 300)
        naive.append(y[a == 1].mean() - y[a == 0].mean())
        adjusted.append(answer(a, y, x[:, None]))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(pulls, naive, color=ORANGE, label="difference of means")
    ax.plot(pulls, adjusted, color=BLUE, label="adjusted")
    ax.axhline(3, color=GREY, linewidth=0.8)
    ax.set(xlabel="how far the covariate decides who is treated", ylabel="effect")
    ax.legend(fontsize=8)
    return fig, (
        "Two estimates of an effect of 3 against how far a covariate decides who is treated. The "
        "difference of means falls from far above 3 to far below; the adjusted one stays at 3."
    )


ADJUSTED_EFFECT = Exercise(
    id="healthcare.adjusted_effect",
    title="The adjusted effect",
    points=1,
    minutes=10,
    difficulty=1,
    task="Return the coefficient of the treatment in a least-squares fit of the outcome on a constant, the "
    "treatment and the covariates.",
    hints=(
        "np.column_stack puts a column of ones, the treatment and the covariates side by side.",
        "np.linalg.lstsq(design, outcome, rcond=None)[0] holds the coefficients, in the order of the "
        "columns.",
    ),
    reference=adjusted_effect,
    inputs=_adjusted_cases,
    numpy=True,
    picture=_adjusted_picture,
    mistakes={
        "The covariates are left out: this is the plain difference of means.": slip(
            "treated, covariates]", "treated]"
        ),
        "The constant is missing: without a column of ones the fit goes through 0.": slip(
            "np.ones(len(treated)), ", "", "[0][1]", "[0][0]"
        ),
        "This is the coefficient of another column. Count from 0, and mind the order of the columns.": slip(
            "[0][1]", "[0][2]"
        ),
        "This is the constant, and not the treatment's coefficient.": slip("[0][1]", "[0][0]"),
        "Only the first covariate is used. All columns of the covariates belong into the fit.": slip(
            "treated, covariates]", "treated, covariates[:, 0] ** 2]"
        ),
        "This is the coefficient of the last covariate. The treatment is column 1.": slip(
            "[0][1]", "[0][-1]"
        ),
        (
            "The covariates were averaged into one. Each belongs into the fit with a coefficient of its "
            "own."
        ): slip("treated, covariates]", "treated, covariates.mean(axis=1)]"),
        (
            "Outcome and treatment are swapped: the outcome is explained by the treatment and the "
            "covariates."
        ): returning(
            "float(np.linalg.lstsq(np.column_stack([np.ones(len(treated)), outcome, covariates]), "
            "treated, rcond=None)[0][1])"
        ),
        (
            "The covariates were taken out of the outcome only. They must stand in one fit together "
            "with the treatment."
        ): slip(
            "    design = np.column_stack([np.ones(len(treated)), treated, covariates])\n",
            (
                "    design = np.column_stack([np.ones(len(treated)), covariates])\n    outcome = "
                "outcome - design @ np.linalg.lstsq(design, outcome, rcond=None)[0]\n    design = "
                "np.column_stack([np.ones(len(treated)), treated])\n"
            ),
        ),
        "The coefficient was divided by the outcome's standard deviation. Return it as it is.": returning(
            "float(np.linalg.lstsq(design, outcome, rcond=None)[0][1] / outcome.std())"
        ),
        "The sign is turned round: above 0 means that the treated have the larger outcome.": returning(
            "-float(np.linalg.lstsq(design, outcome, rcond=None)[0][1])"
        ),
    },
    alternatives=(_effect_by_residuals, _effect_by_sklearn, _effect_by_normal_equations),
)

# --- inverse probability weights -------------------------------------------------------------------


def _weight_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, pull, effect):
        x = rng.normal(size=n)
        propensity = expit(pull * x + rng.normal(0, 0.3, n))
        treated = (rng.random(n) < propensity).astype(float)
        treated[:2] = 0.0, 1.0
        outcome = 4 + effect * treated - 3 * x + rng.normal(size=n)
        return {"treated": treated, "outcome": outcome, "propensity": propensity}

    return {
        "strong confounding": case(80, 1.5, 3.0),
        "weak confounding": case(60, 0.4, -2.0),
        "few treated": case(40, 1.0, 5.0) | {"treated": np.r_[np.ones(4), np.zeros(36)]},
        "the same chance for all": case(40, 1.0, 2.0) | {"propensity": np.full(40, 0.4)},
    }


def _weighted_by_loop(treated, outcome, propensity):
    sums = {0: [0.0, 0.0], 1: [0.0, 0.0]}
    for a, y, p in zip(treated, outcome, propensity, strict=True):
        w = 1 / p if a else 1 / (1 - p)
        sums[int(a)][0] += w * y
        sums[int(a)][1] += w
    return sums[1][0] / sums[1][1] - sums[0][0] / sums[0][1]


def _weighted_by_sums(treated, outcome, propensity):
    one, zero = treated / propensity, (1 - treated) / (1 - propensity)
    return float((one * outcome).sum() / one.sum() - (zero * outcome).sum() / zero.sum())


def _weighted_by_regression(treated, outcome, propensity):
    w = 1 / np.where(treated > 0.5, propensity, 1 - propensity)
    return LinearRegression().fit(treated[:, None], outcome, sample_weight=w).coef_[0]


def _weighted_picture(answer):
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    pulls = np.linspace(-1.5, 1.5, 13)
    naive, weighted = [], []
    for pull in pulls:
        p = expit(pull * x)
        a = (rng.random(4000) < p).astype(float)
        y = 3 * a - 2 * x
        naive.append(y[a == 1].mean() - y[a == 0].mean())
        weighted.append(answer(a, y, p))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(pulls, naive, color=ORANGE, label="difference of means")
    ax.plot(pulls, weighted, color=BLUE, label="weighted")
    ax.axhline(3, color=GREY, linewidth=0.8)
    ax.set(xlabel="how far the covariate decides who is treated", ylabel="effect")
    ax.legend(fontsize=8)
    return fig, (
        "Two estimates of an effect of 3 against how far a covariate decides who is treated. The "
        "difference of means falls steeply; the weighted one stays near 3."
    )


WEIGHTED_EFFECT = Exercise(
    id="healthcare.weighted_effect",
    title="Inverse probability weights",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return the difference of the weighted mean outcomes of the treated and of the others, where each "
    "patient has the weight 1 / (the probability of the treatment that they had).",
    hints=(
        "A treated patient had this treatment with probability propensity, another one with 1 - "
        "propensity.",
        "np.where(treated == 1, 1 / propensity, 1 / (1 - propensity)) is the weight of each.",
        "np.average(outcome[group], weights=weights[group]) divides by the sum of the group's weights.",
    ),
    reference=weighted_effect,
    inputs=_weight_cases,
    numpy=True,
    picture=_weighted_picture,
    mistakes={
        "The weights are the probabilities themselves. Divide 1 by them.": slip(
            "1 / propensity, 1 / (1 - propensity)", "propensity, 1 - propensity"
        ),
        "Those who were not treated have the weight 1 / (1 - propensity).": slip(
            "1 / (1 - propensity)", "1 / propensity"
        ),
        "The two weights have changed places: a treated patient has 1 / propensity.": slip(
            "1 / propensity, 1 / (1 - propensity)", "1 / (1 - propensity), 1 / propensity"
        ),
        "These are plain means, without the weights.": slip(", weights=weights[group]", ""),
        "The others are subtracted from the treated, and not the other way round.": returning(
            "float(means[1] - means[0])"
        ),
        (
            "Divide by the sum of the group's weights. Divided by the number of all patients the means "
            "depend on where the outcome has its zero."
        ): returning(
            "float(((weights * outcome)[those].sum() - (weights * outcome)[~those].sum()) / "
            "len(treated))"
        ),
        "This is the ratio of the two means. Return their difference.": returning(
            "float(means[0] / means[1])"
        ),
        "This is the mean of the treated alone. Subtract that of the others.": returning(
            "float(means[0])"
        ),
        "The weights were squared. Use 1 / (the probability of the treatment that they had).": slip(
            "weights=weights[group]", "weights=weights[group] ** 2"
        ),
        (
            "This is the weighted mean of all patients. Take those of the treated and of the others, "
            "and subtract."
        ): returning("float(np.average(outcome, weights=weights))"),
    },
    alternatives=(_weighted_by_loop, _weighted_by_sums, _weighted_by_regression),
)

# --- a generator in causal order -------------------------------------------------------------------


def _order_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, d, pull):
        return {
            "covariates": rng.normal(size=(n, d)),
            "pull": pull * rng.uniform(0.5, 1.5, d),
            "push": rng.normal(0, 2, d),
            "effect": float(rng.uniform(2, 6)),
            "u": rng.random(n),
            "noise": rng.normal(0, 1, n),
        }

    return {
        "one covariate": case(30, 1, 1.5),
        "three covariates": case(40, 3, 1.0),
        "a rare treatment": case(40, 2, 0.5) | {"covariates": rng.normal(-2, 1, (40, 2))},
        "no noise": case(20, 2, 1.0) | {"noise": np.zeros(20)},
    }


def _ordered(answer, covariates, pull, push, effect, u, noise):
    """The answer's treatments and outcomes, with models made of the case's numbers."""

    def propensity(x):
        return expit(x @ pull)

    def expected(x, treated):
        return x @ push + np.asarray(treated, float) * (effect + x[:, 0])

    a, y = answer(covariates, propensity, expected, u, noise)
    return np.array([np.asarray(a, float), np.asarray(y, float)])


def _order_by_where(covariates, propensity, expected, u, noise):
    a = np.where(propensity(covariates) > u, 1, 0)
    return a, np.add(noise, expected(covariates, a))


def _order_by_loop(covariates, propensity, expected, u, noise):
    a = np.zeros(len(u))
    for i, p in enumerate(propensity(covariates)):
        if u[i] < p:
            a[i] = 1.0
    y = [m + e for m, e in zip(expected(covariates, a), noise, strict=True)]
    return a, np.array(y)


def _order_by_both_outcomes(covariates, propensity, expected, u, noise):
    # potential outcomes first, then the one that the treatment lets us see
    n = len(covariates)
    with_it, without = expected(covariates, np.ones(n)), expected(covariates, np.zeros(n))
    a = u < propensity(covariates)
    return a, np.where(a, with_it, without) + noise


def _order_picture(answer):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (500, 1))
    a, y = answer(
        x,
        lambda rows: expit(1.5 * rows[:, 0]),
        lambda rows, a: 3 * np.asarray(a, float) - 2 * rows[:, 0],
        rng.random(500),
        rng.normal(0, 0.6, 500),
    )
    treated = np.asarray(a, float) > 0.5
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(x[~treated, 0], y[~treated], ".", color=GREY, linestyle="none", label="not treated")
    ax.plot(x[treated, 0], y[treated], ".", color=BLUE, linestyle="none", label="treated")
    ax.set(xlabel="covariate", ylabel="outcome")
    ax.legend(fontsize=8)
    return fig, (
        "Outcome against a covariate: two parallel bands that fall from left to right. The upper band, of "
        "the treated, is dense on the right, and the lower band on the left."
    )


DRAW_IN_CAUSAL_ORDER = Exercise(
    id="healthcare.draw_in_causal_order",
    title="A generator in causal order",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return the treatments (1 where u is below the propensity of the patient's covariates, else 0), "
    "and the outcomes: what is expected with these covariates and these treatments, plus the noise.",
    hints=(
        "propensity is a function: propensity(covariates) gives a probability for each patient.",
        "u < propensity(covariates) is true as often as this probability says; .astype(float) makes it 0 "
        "and 1.",
        "The outcome comes last: expected(covariates, treated) + noise, with the treatments just drawn.",
    ),
    reference=draw_in_causal_order,
    inputs=_order_cases,
    probe=_ordered,
    numpy=True,
    picture=_order_picture,
    mistakes={
        "The treatment is drawn the wrong way round: it is 1 where u is below the propensity.": slip(
            "u < propensity", "u > propensity"
        ),
        "The treatment is not drawn: everyone above a half gets it. Compare with u.": slip(
            "(u < propensity(covariates))", "(propensity(covariates) > 0.5)"
        ),
        (
            "The treatment does not look at the covariates: all have the mean propensity. This removes "
            "the confounding that the real table has."
        ): slip("propensity(covariates))", "propensity(covariates).mean())"),
        "The noise is missing: patients with equal covariates would have equal outcomes.": slip(
            " + noise", ""
        ),
        "The outcome does not know the treatment that was drawn: hand it to `expected`.": slip(
            "expected(covariates, treated)", "expected(covariates, 0 * treated)"
        ),
        "The outcome uses the probability of the treatment, and not the treatment.": slip(
            "expected(covariates, treated)", "expected(covariates, propensity(covariates))"
        ),
        "The two are in the wrong order: first the treatments, then the outcomes.": returning(
            "expected(covariates, treated) + noise, treated"
        ),
        "The noise of the outcome was added to u. It has no part in who is treated.": slip(
            "u < propensity", "u + noise < propensity"
        ),
        "You subtracted the noise. Add it.": slip("+ noise", "- noise"),
        (
            "These are the probabilities of a treatment. Return 1 for who is treated, and 0 for the "
            "others."
        ): returning("propensity(covariates), expected(covariates, treated) + noise"),
        "Only the treated have noise. Every outcome has it.": slip("+ noise", "+ noise * treated"),
    },
    alternatives=(_order_by_where, _order_by_loop, _order_by_both_outcomes),
)

# --- expected over observed ------------------------------------------------------------------------


def _ratio_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, groups, factor):
        group = np.arange(n) % groups
        true = rng.beta(2, 5, n) * np.where(group == 0, 1.0, 0.6)
        died = (rng.random(n) < true).astype(float)
        died[:groups] = 1.0  # each group has a death
        order = rng.permutation(n)
        risk = np.clip(true * factor, 0, 1)
        return {"risk": risk[order], "died": died[order], "group": group[order]}

    uneven = case(60, 3, 1.3)
    uneven["group"] = np.where(uneven["group"] == 2, 5, uneven["group"])
    return {
        "risks too high": case(80, 2, 2.0),
        "risks too low": case(60, 2, 0.5),
        "about right": case(70, 2, 1.0),
        "three groups": uneven,
        "one group": case(40, 1, 1.5),
    }


def _ratios_by_pandas(risk, died, group):
    table = pd.DataFrame({"risk": risk, "died": died, "group": group})
    sums = table.groupby("group")[["risk", "died"]].sum()
    whole = table["risk"].sum() / table["died"].sum()
    return [whole, *(sums["risk"] / sums["died"])]


def _ratios_by_means(risk, died, group):
    masks = [np.ones(len(risk), bool), *(group == g for g in sorted(set(group.tolist())))]
    return [np.mean(risk[m]) / np.mean(died[m]) for m in masks]


def _ratios_by_counts(risk, died, group):
    _, code = np.unique(group, return_inverse=True)
    each = np.bincount(code, risk) / np.bincount(code, died)
    return np.concatenate([[np.sum(risk) / np.sum(died)], each])


def _ratio_picture(answer):
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 500)
    true = rng.beta(2, 6, 1000)
    died = (rng.random(1000) < true).astype(float)
    shifts = np.linspace(-1, 1.5, 21)
    found = np.array([answer(expit(logit(true) + s + 0.3 * group), died, group) for s in shifts])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for k, (colour, name) in enumerate(((GREY, "all"), (BLUE, "group 0"), (ORANGE, "group 1"))):
        ax.plot(shifts, found[:, k], color=colour, label=name)
    ax.axhline(1, color=GREY, linewidth=0.8)
    ax.set(xlabel="shift of the log odds", ylabel="expected / observed")
    ax.legend(fontsize=8)
    return fig, (
        "Expected over observed deaths against a shift of all risks: three rising curves that cross 1 "
        "near a shift of 0, the one of the group with higher risks first."
    )


EXPECTED_OVER_OBSERVED = Exercise(
    id="healthcare.expected_over_observed",
    title="Calibration and E/O by sex",
    points=2,
    minutes=10,
    difficulty=1,
    task="Return the number of expected deaths over the number of observed deaths: first of everyone, "
    "then of each group, in the sorted order of the groups.",
    hints=(
        "The expected number of deaths is the sum of the risks. The observed number is the sum of died.",
        "np.unique(group) gives the groups in sorted order; group == each chooses the patients of one.",
    ),
    reference=expected_over_observed,
    inputs=_ratio_cases,
    probe=call_for_array,
    numpy=True,
    picture=_ratio_picture,
    mistakes={
        "This is observed over expected. Divide the expected number by the observed one.": slip(
            "risk.sum() / died.sum()", "died.sum() / risk.sum()"
        ),
        "Each group is divided by the deaths of everyone. Take the group's own deaths.": slip(
            "died[own].sum()", "died.sum()"
        ),
        "These are the ratios of the groups alone. The first number is that of everyone.": returning(
            "np.array(ratios[1:])"
        ),
        "The groups come in sorted order. Here they come the other way round.": slip(
            "np.unique(group)", "np.unique(group)[::-1]"
        ),
        (
            "A risk is not rounded to a predicted death: the risks themselves add up to what is "
            "expected."
        ): slip("risk[own].sum()", "(risk[own] > 0.5).sum()"),
        "The first number is the mean of the groups' ratios. It is the ratio of all deaths.": returning(
            "np.array([np.mean(ratios[1:]), *ratios[1:]])"
        ),
        "The number of everyone comes first, then the groups.": returning(
            "np.array([*ratios[1:], ratios[0]])"
        ),
        "These are expected numbers of deaths. Divide them by the observed ones.": slip(
            "risk[own].sum() / died[own].sum()", "risk[own].sum()"
        ),
        "Everyone's expected deaths were taken for each group. Take the group's own.": slip(
            "risk[own].sum()", "risk.sum()"
        ),
        "These are differences. Divide the expected number by the observed one.": slip(
            "risk[own].sum() / died[own].sum()", "risk[own].sum() - died[own].sum()"
        ),
        "One death was added below. Divide by the deaths that were observed.": slip(
            "died[own].sum())", "(died[own].sum() + 1))"
        ),
    },
    alternatives=(_ratios_by_pandas, _ratios_by_means, _ratios_by_counts),
)

# --- net benefit -----------------------------------------------------------------------------------


def _benefit_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, threshold, factor=1.0):
        true = rng.beta(2, 5, n)
        died = (rng.random(n) < true).astype(float)
        return {"risk": np.clip(true * factor, 0, 1), "died": died, "threshold": threshold}

    tied = case(60, 0.3)
    tied["risk"] = np.round(tied["risk"], 1)
    return {
        "a threshold of one in five": case(80, 0.2),
        "a high threshold": case(80, 0.6, 1.5),
        "a low threshold": case(50, 0.05),
        "risks too high": case(60, 0.25, 2.0),
        "risks equal to the threshold": tied,
        "nobody is treated": case(30, 0.99, 0.5),
    }


def _benefit_by_loop(risk, died, threshold):
    total = 0.0
    for p, d in zip(risk, died, strict=True):
        if p >= threshold:
            total += 1 if d else -threshold / (1 - threshold)
    return total / len(risk)


def _benefit_by_value(risk, died, threshold):
    value = np.where(died > 0.5, 1.0, -1 / (1 / threshold - 1))
    return (value * (risk >= threshold)).mean()


def _benefit_by_counts(risk, died, threshold):
    chosen = died[~(risk < threshold)]
    right = chosen.sum()
    return (right - (len(chosen) - right) * threshold / (1 - threshold)) / len(died)


def _benefit_picture(answer):
    rng = np.random.default_rng(0)
    true = rng.beta(1.2, 5, 4000)
    died = (rng.random(4000) < true).astype(float)
    thresholds = np.linspace(0.02, 0.6, 30)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for risk, colour, name in (
        (true, BLUE, "right risks"),
        (expit(logit(true) + 1.5), ORANGE, "risks too high"),
        (np.ones(4000), GREY, "treat all"),
    ):
        ax.plot(thresholds, [answer(risk, died, t) for t in thresholds], color=colour, label=name)
    ax.set(xlabel="threshold", ylabel="net benefit", ylim=(-0.1, 0.22))
    ax.legend(fontsize=8)
    return fig, (
        "Net benefit against the threshold. Right risks stay above 0. Risks that are too high fall below "
        "them, and below 0 in the middle. Treating all falls fastest."
    )


NET_BENEFIT = Exercise(
    id="healthcare.net_benefit",
    title="Net benefit",
    points=1,
    minutes=10,
    difficulty=2,
    task="Everyone with a risk of at least the threshold is treated. Return the share of all patients who "
    "are treated and died, minus the share who are treated and did not, times threshold / (1 - threshold).",
    hints=(
        "(treat & (died == 1)).mean() is the first share, of all patients.",
        "A doctor who treats from a risk of 20 % on takes 4 needless treatments for one that was needed: "
        "the odds 0.2 / 0.8 are the price of one.",
    ),
    reference=net_benefit,
    inputs=_benefit_cases,
    numpy=True,
    picture=_benefit_picture,
    mistakes={
        (
            "The price of a needless treatment is the odds of the threshold, threshold / (1 - "
            "threshold)."
        ): slip("wrong * threshold / (1 - threshold)", "wrong * threshold"),
        "Needless treatments cost as much as needed ones bring here. They have a price of their own.": slip(
            "wrong * threshold / (1 - threshold)", "wrong"
        ),
        "A risk equal to the threshold is treated as well: at least, not above.": slip(
            "risk >= threshold", "risk > threshold"
        ),
        "Those below the threshold are treated here.": slip(
            "risk >= threshold", "risk < threshold"
        ),
        "The odds are upside down: threshold / (1 - threshold).": slip(
            "threshold / (1 - threshold)", "(1 - threshold) / threshold"
        ),
        "Both shares are of all patients, and not of those who died and of the others.": returning(
            "float(right / max((died == 1).mean(), 1e-9) - wrong / max((died == 0).mean(), 1e-9) * "
            "threshold / (1 - threshold))"
        ),
        "These are numbers of patients. Take shares of all patients.": slip(
            ".mean()", ".sum()", times=2
        ),
        "Needless treatments were added. They are a price: subtract them.": slip(
            "right - wrong", "right + wrong"
        ),
        "The price is missing: each needless treatment costs threshold / (1 - threshold).": returning(
            "float(right)"
        ),
        (
            "You subtracted the deaths of those who were not treated. The price is that of needless "
            "treatments."
        ): returning("float(right - (~treat & (died == 1)).mean() * threshold / (1 - threshold))"),
        (
            "The odds of the threshold belong to the "
            "needless treatments, and not to the needed ones."
        ): returning("float(right * threshold / (1 - threshold) - wrong)"),
        "These are shares of the treated. Take shares of all patients.": returning(
            "float((right - wrong * threshold / (1 - threshold)) / max(treat.mean(), 1e-9))"
        ),
    },
    alternatives=(_benefit_by_loop, _benefit_by_value, _benefit_by_counts),
)

# --- recalibration ---------------------------------------------------------------------------------


def _local_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, m, shift):
        true = rng.beta(2, 4, m).clip(0.02, 0.98)
        died = (rng.random(m) < true).astype(float)
        died[:2] = 0.0, 1.0
        local = expit(logit(true) + shift)
        return {"risk": rng.beta(2, 4, n).clip(0.02, 0.98), "local_risk": local, "local_died": died}

    return {
        "risks too high": case(12, 60, 1.5),
        "risks too low": case(12, 60, -1.2),
        "far too high": case(10, 40, 4.0),
        "few local patients": case(8, 10, 0.5),
        "nearly right": case(10, 80, 0.0),
    }


def _moved_by_newton(risk, local_risk, local_died):
    odds, move = np.log(local_risk / (1 - local_risk)), 0.0
    for _ in range(200):
        p = 1 / (1 + np.exp(-odds - move))
        step = (local_died.sum() - p.sum()) / (p * (1 - p)).sum()
        move += np.clip(step, -1, 1)
    return 1 / (1 + (1 - risk) / risk * np.exp(-move))


def _moved_by_bisection(risk, local_risk, local_died):
    low, high = -40.0, 40.0
    for _ in range(100):
        middle = (low + high) / 2
        if expit(logit(local_risk) + middle).sum() > local_died.sum():
            high = middle
        else:
            low = middle
    return expit(logit(risk) + low)


def _moved_by_likelihood(risk, local_risk, local_died):
    # The maximum likelihood of a logistic regression that has an offset and a constant alone.
    odds = logit(local_risk)

    def loss(b):
        return (np.logaddexp(0, odds + b) - local_died * (odds + b)).sum()

    move = minimize_scalar(loss, bracket=(-1, 1), options={"xtol": 1e-10}).x
    return expit(logit(risk) + move)


def _local_picture(answer):
    risk = np.linspace(0.01, 0.99, 99)
    rng = np.random.default_rng(0)
    true = rng.beta(2, 6, 400)
    died = (rng.random(400) < true).astype(float)
    fig, ax = plt.subplots(figsize=(4, 3.4))
    for shift, colour in ((1.5, ORANGE), (-1.0, BLUE)):
        made = answer(risk, expit(logit(true) + shift), died)
        ax.plot(risk, made, color=colour, label=f"local risks moved by {shift:+.1f}")
    ax.plot(risk, risk, "--", color=GREY)
    ax.set(xlabel="risk as predicted", ylabel="risk, recalibrated")
    ax.legend(fontsize=8)
    return fig, (
        "The recalibrated risk against the predicted one. Where local risks were too high the curve lies "
        "below the dashed diagonal, where they were too low above it; both end at 0 and 1."
    )


RECALIBRATED = Exercise(
    id="healthcare.recalibrated",
    title="Transport: recalibrate with local patients",
    points=2,
    minutes=15,
    difficulty=3,
    task="Find the one number that, added to the log odds of the local risks, makes their mean the share "
    "of local patients who died, and return the risks with this number added to their log odds.",
    hints=(
        "logit gives log odds, and expit makes them a probability again.",
        "expit(logit(local_risk) + b).mean() rises with b: find the b where it equals local_died.mean().",
        "brentq(function, -30, 30) finds the zero of a function between two numbers.",
    ),
    reference=recalibrated,
    inputs=_local_cases,
    probe=call_for_array,
    numpy=True,
    picture=_local_picture,
    mistakes={
        (
            "The risks are multiplied by a factor here, which can make them larger than 1. Move their "
            "log odds."
        ): returning("risk * local_died.mean() / local_risk.mean()"),
        (
            "The number is the difference of the log odds of two means. Find the one that makes the "
            "means equal."
        ): returning(
            "expit(logit(risk) + logit(local_died.mean()) - logit(local_risk.mean()))",
        ),
        "The number is added with the wrong sign.": slip(
            "logit(risk) + move", "logit(risk) - move"
        ),
        "These are the local risks. The task asks for the risks of the other patients.": returning(
            "expit(logit(local_risk) + move)"
        ),
        "The number is added to the risks themselves, and not to their log odds.": returning(
            "risk + move"
        ),
        (
            "This moves the log odds by the logarithm of a ratio of means, which fits rare deaths only. "
            "Find the number that makes the means equal."
        ): returning("expit(logit(risk) + np.log(local_died.mean() / local_risk.mean()))"),
        (
            "The number is the difference to the mean of the log odds. Find the one that makes the mean "
            "risk right."
        ): returning("expit(logit(risk) + logit(local_died.mean()) - odds.mean())"),
        "These are log odds. Bring them back to risks by expit.": returning("logit(risk) + move"),
        "The log odds were multiplied by the number. Add it.": returning(
            "expit(logit(risk) * move)"
        ),
        "These are the risks as they were. Add the number to their log odds.": returning("risk"),
        (
            "The difference of the means was added to the log odds. It is in other units: find the "
            "number by a search."
        ): returning("expit(logit(risk) + local_died.mean() - local_risk.mean())"),
    },
    alternatives=(_moved_by_newton, _moved_by_bisection, _moved_by_likelihood),
)

# --- copies ----------------------------------------------------------------------------------------


def _copy_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def rows(n, levels):
        return rng.integers(0, levels, (n, 3)).astype(float)

    def case(levels, copied, k=40):
        train, held_out, made = rows(30, levels), rows(25, levels), rows(k, levels)
        made[:copied] = train[:copied]
        return {"synthetic": rng.permutation(made), "train": train, "held_out": held_out}

    repeated = case(50, 0)
    repeated["synthetic"] = np.repeat(repeated["train"][:3], 10, axis=0)
    own = case(12, 4)
    own["train"][5:15] = own["train"][0]  # many alike
    return {
        "many copied": case(50, 12),
        "a coarse table": case(3, 5),
        "one row copied again and again": repeated,
        "training rows that repeat each other": own,
        "few synthetic rows": case(8, 2, k=6),
    }


def _copies_by_broadcasting(synthetic, train, held_out):
    def share(rows):
        return (rows[:, None] == synthetic[None]).all(axis=2).any(axis=1).mean()

    return share(train), share(held_out)


def _copies_by_merge(synthetic, train, held_out):
    made = pd.DataFrame(synthetic).drop_duplicates().assign(found=1.0)
    keys = list(range(synthetic.shape[1]))
    return [
        pd.DataFrame(rows).merge(made, on=keys, how="left")["found"].notna().mean()
        for rows in (train, held_out)
    ]


def _copies_by_bytes(synthetic, train, held_out):
    made = {row.tobytes() for row in synthetic}
    shares = []
    for rows in (train, held_out):
        shares.append(sum(row.tobytes() in made for row in rows) / len(rows))
    return np.array(shares)


def _copy_picture(answer):
    rng = np.random.default_rng(0)
    levels = [2, 3, 4, 6, 9, 14, 20]
    found = []
    for level in levels:
        train, held_out, made = (rng.integers(0, level, (300, 3)).astype(float) for _ in range(3))
        made[:60] = train[:60]
        found.append(answer(made, train, held_out))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for k, (colour, name) in enumerate(((ORANGE, "training patients"), (GREY, "held out"))):
        ax.plot(levels, [pair[k] for pair in found], "o-", color=colour, label=name)
    ax.set(xlabel="values that a column can have", ylabel="share with an equal synthetic row")
    ax.legend(fontsize=8)
    return fig, (
        "The share of patients with an equal synthetic row against the number of values of a column. "
        "Both curves begin near 1; held-out patients fall to 0, training patients to one fifth."
    )


COPIED_SHARES = Exercise(
    id="healthcare.copied_shares",
    title="Counting copies",
    points=1,
    minutes=10,
    difficulty=2,
    task="Return the share of training patients who have an equal row in the synthetic table, and the same "
    "share of held-out patients.",
    hints=(
        "A set of tuples answers quickly whether a row is in it: set(map(tuple, rows.tolist())).",
        "Count real patients, and not synthetic rows: one patient who was copied twice is one patient.",
    ),
    reference=copied_shares,
    inputs=_copy_cases,
    probe=call_for_array,
    numpy=True,
    picture=_copy_picture,
    mistakes={
        "This is the share of synthetic rows. Count the patients who have an equal one.": returning(
            "tuple(float(np.mean([row in set(map(tuple, rows.tolist())) for row in "
            "map(tuple, synthetic.tolist())])) for rows in (train, held_out))"
        ),
        "Patients who are alike are counted once here. Each of them is a patient.": returning(
            "tuple(len(made & set(map(tuple, rows.tolist()))) / len(rows) for rows in "
            "(train, held_out))"
        ),
        "A row counts here if one of its columns is equal. All must be.": returning(
            "tuple(float((rows[:, None] == synthetic).any(axis=2).any(axis=1).mean()) for rows in "
            "(train, held_out))"
        ),
        (
            "Both shares are of the training patients. "
            "The second is the control: held-out patients."
        ): returning("(share(train), share(train))"),
        "The two have changed places: training patients come first.": returning(
            "(share(held_out), share(train))"
        ),
        "These are numbers of patients. Return shares.": slip("float(np.mean(", "float(np.sum("),
        "These are the shares without an equal row. Count those that have one.": slip(
            "tuple(row) in made", "tuple(row) not in made"
        ),
        "This is the difference of the two shares. Return both.": returning(
            "share(train) - share(held_out)"
        ),
        "Only the first column was compared. All columns of a row must be equal.": returning(
            "tuple(float(np.isin(rows[:, 0], synthetic[:, 0]).mean()) for rows in (train, "
            "held_out))"
        ),
        "Each number occurs somewhere in its column here. They must stand together in one row.": returning(
            "tuple(float(np.all([np.isin(rows[:, j], synthetic[:, j]) for j in "
            "range(rows.shape[1])], axis=0).mean()) for rows in (train, held_out))"
        ),
        "You divided by the number of synthetic rows. Divide by the number of patients.": returning(
            "tuple(float(sum(tuple(row) in made for row in rows.tolist()) / len(synthetic)) for "
            "rows in (train, held_out))"
        ),
    },
    alternatives=(_copies_by_broadcasting, _copies_by_merge, _copies_by_bytes),
)
