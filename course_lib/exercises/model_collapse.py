"""The exercises of lesson 08: the recursion, its rules, its theory, and a measure of what it loses."""

import functools
import math

import matplotlib.pyplot as plt
import numpy as np
from scipy import special, stats

from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.model_collapse import refit, tail_loss, theory, training_rows, verified_rows
from course_lib.plots import BLUE, GREEN, GREY, ORANGE

# --- the recursion ----------------------------------------------------------------------------


def _refit_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, generations, rule):
        inputs = {"data": rng.normal(3, 2, rows), "generations": generations, "rule": rule}
        return inputs

    return {
        "one generation": case(6, 1, "the last generation"),
        "five generations, each learns from the last": case(8, 5, "the last generation"),
        "four generations, each learns from all before it": case(5, 4, "all generations"),
    }


def _refit_probe(answer, data, generations, rule):
    """All rows, and how many the model of each generation learnt from."""
    learnt = []

    def fit(rows):
        learnt.append(len(rows))
        return rows.mean(), rows.std()

    def sample(model, n):  # without chance, and another pattern for each generation
        return model[0] + model[1] * np.sin(np.arange(n) + len(learnt))

    def learn_from(made):
        return made[-1] if rule == "the last generation" else np.concatenate(made)

    made = answer(fit, sample, data, generations, learn_from)
    rows = {f"generation {number}": np.asarray(rows) for number, rows in enumerate(made)}
    return {**rows, "how many rows each fit saw": np.asarray(learnt)}


def _refit_recursive(fit, sample, data, generations, learn_from):
    if generations == 0:
        return [data]
    made = _refit_recursive(fit, sample, data, generations - 1, learn_from)
    return [*made, sample(fit(learn_from(made)), len(data))]


def _refit_while(fit, sample, data, generations, learn_from):
    made, n = [np.array(data)], data.shape[0]
    while len(made) < generations + 1:
        made += [sample(fit(learn_from(list(made))), n)]
    return tuple(made)


def _refit_picture(answer):
    rng = np.random.default_rng(4)
    made = answer(
        lambda rows: (rows.mean(), rows.std(ddof=1)),
        lambda model, n: rng.normal(*model, n),
        rng.standard_normal(10),
        60,
        lambda made: made[-1],
    )
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for number, rows in enumerate(made):
        x = np.full(len(rows), number)
        ax.plot(x, rows, ".", color=BLUE if number else ORANGE, markersize=3, linestyle="none")
    ax.set(xlabel="generation", ylabel="value", title="10 real values, then samples of samples")
    return fig, (
        "Ten points for each of 60 generations: they spread over three units at first, wander upwards, "
        "and in the end lie on nearly one point."
    )


def _refit_by_accumulate(fit, sample, data, generations, learn_from):
    def next_one(made, _):
        return [*made, sample(fit(learn_from(made)), len(made[0]))]

    return functools.reduce(next_one, range(generations), [data])


REFIT = Exercise(
    id="model_collapse.refit",
    title="The recursion",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return a list of the real rows and, after them, of the rows of `generations` new generations: "
    "fit a model to what learn_from picks, sample from it as many rows as there are real ones, and so on.",
    hints=(
        "Keep a list that begins with the real rows. Each turn of the loop adds one generation to it.",
        "In each turn: learn_from(made) are the rows to fit, fit(...) gives a model, and "
        "sample(model, len(data)) gives the new generation.",
    ),
    reference=refit,
    inputs=_refit_cases,
    probe=_refit_probe,
    numpy=True,
    picture=_refit_picture,
    mistakes={
        (
            "Every generation was fitted to the real rows: that is not a recursion. Fit to what "
            "learn_from(made) picks."
        ): slip("learn_from(made)", "data"),
        "The real rows are missing: they are generation 0, the first of the list.": returning(
            "made[1:]"
        ),
        "One generation is missing: the real rows do not count as one.": slip(
            "range(generations)", "range(generations - 1)"
        ),
        "Each generation learnt from the last one, whatever the rule. Let learn_from(made) pick.": slip(
            "learn_from(made)", "made[-1]"
        ),
        (
            "Generations must stay as large as the real data: sample len(data) rows, not as many as "
            "were learnt from."
        ): slip("len(data)", "len(learn_from(made))"),
        "That is one generation too many.": slip("range(generations)", "range(generations + 1)"),
        "This is the last generation alone. Return all of them, the real rows first.": returning(
            "made[-1:]"
        ),
        "The newest generation comes first here. The real rows come first.": returning(
            "made[::-1]"
        ),
        "Each generation grows. Sample as many rows as there are real ones.": slip(
            "len(data))", "len(data) * len(made))"
        ),
        "Each generation also holds the rows of the one before. It holds its own samples alone.": slip(
            "made.append(sample(model, len(data)))",
            "made.append(np.concatenate([made[-1], sample(model, len(data))]))",
        ),
        "Each generation learnt from all before it, whatever the rule. Let learn_from(made) pick.": slip(
            "learn_from(made)", "np.concatenate(made)"
        ),
    },
    alternatives=(_refit_recursive, _refit_while, _refit_by_accumulate),
)

# --- the theory of the normal loop ------------------------------------------------------------


def _variance_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 200))
    return {
        "no generation: 1": {"n": n, "generations": 0},
        "one generation of few samples": {"n": int(rng.integers(4, 9)), "generations": 1},
        "many generations": {"n": n, "generations": int(rng.integers(50, 150))},
    }


def _variance_by_integration(n, generations):
    """The mean of log(chi^2 / (n - 1)) by its integral."""
    logs, _ = _expectation(lambda x: math.log(x / (n - 1)), n - 1)
    return math.exp(generations * logs)


def _expectation(function, freedom):
    from scipy.integrate import quad

    density = stats.chi2(freedom).pdf
    spread = 12 * math.sqrt(2 * freedom)
    ends = max(freedom - spread, 1e-12), freedom + spread + 60
    return quad(lambda x: function(x) * density(x), *ends, limit=200, points=[freedom])


def _variance_step_by_step(n, generations):
    variance = 1.0
    for _ in range(generations):
        variance *= 2 * math.exp(special.psi((n - 1) / 2)) / (n - 1)
    return variance


def _variance_picture(answer):
    fig, ax = plt.subplots(figsize=(4.4, 3))
    generations = np.arange(0, 201, 10)
    for n, colour, style in ((20, ORANGE, "--"), (100, BLUE, "-"), (1000, GREEN, "-.")):
        values = [answer(n, int(g)) for g in generations]
        ax.semilogy(generations, values, style, color=colour, label=f"n = {n}")
    ax.set(xlabel="generation", ylabel="median variance", ylim=(1e-4, 2))
    ax.set_title("Fewer samples, faster loss")
    ax.legend(fontsize=8)
    return fig, (
        "Median variance over 200 generations on a logarithmic axis: three straight lines from 1. "
        "With 20 samples it falls below a ten-thousandth, with 100 to about a tenth, with 1000 hardly."
    )


def _variance_by_product(n, generations):
    ratio = np.exp(special.polygamma(0, (n - 1) / 2)) / ((n - 1) / 2)
    return float(np.prod(np.full(generations, ratio)))


MEDIAN_VARIANCE = Exercise(
    id="model_collapse.median_variance",
    title="The theory's prediction",
    points=2,
    minutes=10,
    difficulty=2,
    task="A chain begins with the variance 1 and is refitted `generations` times to n of its own samples. "
    "Return the variance of the typical chain: the exponential of the mean of the variance's logarithm.",
    hints=(
        "Each refit multiplies the variance by chi²/(n - 1), with n - 1 degrees of freedom. The "
        "logarithm of a product is a sum: how large is one of its terms on average?",
        "E[ln chi²] = digamma(k/2) + ln 2 for k degrees of freedom. Subtract ln(n - 1).",
        "exp(G (digamma(h) - ln h)) with h = (n - 1) / 2; scipy.special.digamma.",
    ),
    reference=theory.gaussian_median_variance,
    inputs=_variance_cases,
    numpy=True,
    rtol=1e-3,
    picture=_variance_picture,
    mistakes={
        "This is the mean variance, which stays 1. The typical chain loses variance.": returning(
            "1.0"
        ),
        "Estimating the mean costs a degree of freedom: n - 1, not n.": slip("n - 1", "n"),
        (
            "This is ((n - 1) / n)^G, the mean variance when the fit divides by n. Here it divides by n "
            "- 1, and the loss comes from chance alone."
        ): returning("((n - 1) / n) ** generations"),
        (
            "This is the median of one factor, to the power G. The median of a product is not the "
            "product of the medians: take the mean of the logarithm, times G, and then the exponential."
        ): returning("float(stats.chi2.median(n - 1) / (n - 1)) ** generations"),
        "This is the logarithm of the typical variance: take its exponential.": returning(
            "float(generations * drift)"
        ),
        "This is the typical standard deviation. Its square is the variance.": returning(
            "float(np.exp(generations * drift)) ** 0.5"
        ),
        "Half the degrees of freedom: digamma and logarithm both take (n - 1) / 2.": slip(
            " / 2", ""
        ),
        "The sign is turned round, so the variance grows: digamma minus logarithm.": slip(
            "special.digamma(half) - np.log(half)", "np.log(half) - special.digamma(half)"
        ),
        "The logarithm of (n - 1) / 2 is missing: the variance is divided by n - 1.": slip(
            " - np.log(half)", ""
        ),
        "That is one refit too few.": slip("generations * drift", "(generations - 1) * drift"),
        "That is one refit too many.": slip("generations * drift", "(generations + 1) * drift"),
        (
            "exp(-G / n) is near this only for large n. Use the mean of the logarithm, which digamma "
            "gives."
        ): returning("float(np.exp(-generations / n))"),
    },
    alternatives=(_variance_by_integration, _variance_step_by_step, _variance_by_product),
)

# --- tails ------------------------------------------------------------------------------------


def _tail_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(real, synthetic, share):
        return {"real": real, "synthetic": synthetic, "share": share}

    real = rng.normal(5, 2, 400)
    numbers = np.repeat(np.arange(10.0), [10, 30, 60, 75, 75, 75, 75, 60, 30, 10])
    return {
        "the same rows: nothing is lost": case(real, real, 0.05),
        "a narrower distribution": case(real, rng.normal(5, 1.5, 300), 0.1),
        "skewed rows, another share": case(rng.exponential(2, 500), rng.exponential(1.2, 700), 0.2),
        "a distribution that has moved": case(real, rng.normal(6, 2, 400), 0.05),
        "whole numbers, some of them on the edge of a tail": case(
            rng.permutation(numbers), rng.poisson(4.0, 600).astype(float), 0.3
        ),
    }


def _tails_by_sorting(real, synthetic, share=0.05):
    ordered = np.sort(real)
    low, high = (np.percentile(ordered, 100 * p) for p in (share / 2, 1 - share / 2))
    return [
        1
        - sum(v < low for v in synthetic) / sum(v < low for v in real) * len(real) / len(synthetic),
        1
        - sum(v > high for v in synthetic)
        / sum(v > high for v in real)
        * len(real)
        / len(synthetic),
    ]


def _tails_by_counts(real, synthetic, share=0.05):
    edges = np.quantile(real, [share / 2, 1 - share / 2])
    edges = np.array([-np.inf, edges[0], np.nextafter(edges[1], np.inf), np.inf])
    counts = [np.histogram(rows, edges)[0][[0, 2]] / len(rows) for rows in (real, synthetic)]
    return (counts[0] - counts[1]) / counts[0]


def _tail_picture(answer):
    quantiles = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    scales = np.linspace(0.3, 1.1, 41)
    losses = np.array([answer(quantiles, 0.3 + s * quantiles, 0.05) for s in scales])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.axhline(0, color=GREY, linestyle=":")
    ax.plot(scales, losses[:, 0], color=BLUE, label="low tail")
    ax.plot(scales, losses[:, 1], color=ORANGE, linestyle="--", label="high tail")
    ax.set(xlabel="standard deviation", ylabel="tail loss", ylim=(-1.2, 1.1))
    ax.set_title("A distribution moved up by 0.3")
    ax.legend(fontsize=8)
    return fig, (
        "Tail loss of N(0.3, s²) against s, where N(0, 1) is real. Both tails are lost for small s. The "
        "high one is back at s = 0.85 and too heavy beyond; the low one is still half lost at s = 1."
    )


def _tails_by_ranks(real, synthetic, share=0.05):
    """By places in the sorted columns; the high tail is the low one of the negated columns."""

    def low(real, synthetic):
        edge = np.quantile(real, share / 2)
        mine, its = (np.searchsorted(np.sort(x), edge) / len(x) for x in (real, synthetic))
        return 1 - its / mine

    return np.array([low(real, synthetic), low(-real, -synthetic)])


TAIL_LOSS = Exercise(
    id="model_collapse.tail_loss",
    title="A measure of lost tails",
    points=2,
    minutes=10,
    difficulty=1,
    task="The tails are the real rows below the quantile share / 2 and above the quantile 1 - share / 2. "
    "Return which part of the low and of the high tail is missing among the synthetic rows: 0 for none, "
    "1 for all of it, less than 0 where a tail has grown.",
    hints=(
        "First say where the tails begin: np.quantile of the real rows at share / 2 and at "
        "1 - share / 2.",
        "Then, for the rows below the one and again for those above the other: their share of the "
        "synthetic rows, over their share of the real rows. What is missing is 1 minus that.",
    ),
    reference=tail_loss,
    inputs=_tail_cases,
    probe=call_for_array,
    numpy=True,
    picture=_tail_picture,
    mistakes={
        (
            "The tails begin at the quantiles of the real rows. At quantiles of the synthetic ones a "
            "distribution that has shrunk finds its own small tails complete."
        ): slip("quantile(real", "quantile(synthetic"),
        "Each side got the whole share. The two tails share it: share / 2 on either side.": slip(
            "share / 2", "share", times=2
        ),
        (
            "Both tails were thrown together. Keep them apart: a distribution that has moved makes one "
            "heavier, which hides that the other is gone."
        ): returning("1 - np.repeat(in_synthetic.sum() / in_real.sum(), 2)"),
        (
            "These are the shares of synthetic rows in the tails. Divide each by that of the real rows, "
            "and subtract the ratio from 1."
        ): returning("in_synthetic"),
        "This is what has been kept. What is lost is 1 minus it.": returning(
            "in_synthetic / in_real"
        ),
        "The low tail comes first, then the high one.": returning(
            "(1 - in_synthetic / in_real)[::-1]"
        ),
        "Rows at the edge itself do not belong to the tail: compare with < and >.": slip(
            "< low", "<= low", "> high", ">= high", times=2
        ),
        "This is the difference of the shares. Divide it by the share of the real rows.": returning(
            "in_real - in_synthetic"
        ),
        "A tail that has grown has a negative loss. Leave out the absolute value.": returning(
            "np.abs(1 - in_synthetic / in_real)"
        ),
        "A tail that has grown has a negative loss. Do not cut it off at 0.": returning(
            "np.clip(1 - in_synthetic / in_real, 0, None)"
        ),
        "Percent: the loss should lie between 0 and 1 where a tail has shrunk.": returning(
            "100 * (1 - in_synthetic / in_real)"
        ),
        "The share is always 5 % here. Use the argument, of which 0.05 is only the default.": slip(
            "[share / 2, 1 - share / 2]", "[0.025, 0.975]"
        ),
        "You counted rows. There may be more synthetic rows than real ones: compare shares.": slip(
            ".mean()", ".sum()", times=4
        ),
    },
    alternatives=(_tails_by_sorting, _tails_by_counts, _tails_by_ranks),
)

# --- a rare class dies ------------------------------------------------------------------------


def _extinction_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(share, n, generations):
        return {"share": share, "n": n, "generations": generations}

    return {
        "one generation": case(float(rng.uniform(0.02, 0.1)), 40, 1),
        "a rare class for twelve generations": case(float(rng.uniform(0.01, 0.05)), 60, 12),
        "a common class of few rows": case(float(rng.uniform(0.3, 0.5)), 8, 30),
    }


def _extinction_by_powers(share, n, generations):
    counts = np.arange(n + 1)
    step = np.stack([stats.binom(n, count / n).pmf(counts) for count in counts])
    start = stats.binom(n, share).pmf(counts)
    return [float((start @ np.linalg.matrix_power(step, g))[0]) for g in range(generations)]


def _extinction_backwards(share, n, generations):
    """By the chance to be gone from each count on, and one draw from the share."""
    counts = np.arange(n + 1)
    step = stats.binom.pmf(counts, n, counts[:, None] / n)
    gone, said = (counts == 0).astype(float), []
    for _ in range(generations):
        said.append(stats.binom.pmf(counts, n, share) @ gone)
        gone = step @ gone
    return np.array(said)


def _extinction_picture(answer):
    fig, ax = plt.subplots(figsize=(4.4, 3))
    generations = np.arange(1, 61)
    for share, colour, style in ((0.01, ORANGE, "--"), (0.03, BLUE, "-"), (0.1, GREEN, "-.")):
        gone = answer(share, 200, 60)
        ax.plot(generations, gone, style, color=colour, label=f"{share:.0%} at first")
    ax.set(xlabel="generation", ylabel="chance to be gone", ylim=(0, 1))
    ax.set_title("A class among 200 samples a generation")
    ax.legend(fontsize=8)
    return fig, (
        "The chance that a class is gone, over 60 generations of 200 samples: for a class of 1 % it "
        "climbs above nine tenths, for 3 % to four fifths, for 10 % to one half."
    )


def _extinction_by_survival(share, n, generations):
    """Without the count 0: what is missing from the sum is gone."""
    counts = np.arange(1, n + 1)
    step = stats.binom.pmf(counts, n, counts[:, None] / n)
    alive = [stats.binom.pmf(counts, n, share)]
    while len(alive) < generations:
        alive.append(alive[-1] @ step)
    return 1 - np.sum(alive, axis=1)


EXTINCTION = Exercise(
    id="model_collapse.extinction_probability",
    title="How a rare class dies",
    points=3,
    minutes=15,
    difficulty=3,
    task="Return the chance that a class with this share of the distribution is gone after 1, 2, ... "
    "generations of n samples each.",
    hints=(
        "Follow the distribution of the class's count, n + 1 numbers. After the first generation it "
        "is binomial(n, share).",
        "If the count is now i, it is binomial(n, i / n) in the next generation: one row of a matrix. "
        "The distribution times the matrix is the next distribution.",
        "step = stats.binom.pmf(counts, n, counts[:, None] / n), then chance = chance @ step. Entry 0 "
        "of each distribution is the chance to be gone by then.",
    ),
    reference=theory.extinction,
    inputs=_extinction_cases,
    probe=call_for_array,
    numpy=True,
    picture=_extinction_picture,
    mistakes={
        (
            "This draws every generation from the original share. In the recursion the share drifts, "
            "and a class that has become rarer dies sooner."
        ): returning("1 - (1 - (1 - share) ** n) ** np.arange(1, generations + 1)"),
        (
            "This is the chance to miss the class in all of G n samples. It needs to be missed in one "
            "generation only, since a class that is gone never comes back."
        ): returning("(1 - share) ** (n * np.arange(1, generations + 1))"),
        (
            "This is the chance to die in just "
            "that generation. Being gone adds up over generations."
        ): returning("np.diff(gone, prepend=0.0)"),
        "This is the chance to be still there.": returning("1 - np.array(gone)"),
        (
            "One generation late: the first n samples can already miss the class, with a chance of (1 - "
            "share)^n."
        ): returning("np.array([0.0, *gone[:-1]])"),
        "One generation early: the first number belongs to the first n samples.": returning(
            "np.array([*gone[1:], (chance @ step)[0]])"
        ),
        "There is one number too many: begin after the first generation, not before it.": returning(
            "np.array([0.0, *gone])"
        ),
        "This is the last generation alone. Return the chance after each.": returning(
            "np.array(gone[-1:])"
        ),
        "The chance stays that of the first generation. A class can also vanish later.": returning(
            "np.full(generations, gone[0])"
        ),
        (
            "You added up the chance of the first generation. The share drifts, and a class can vanish "
            "only once."
        ): returning("(1 - share) ** n * np.arange(1, generations + 1)"),
        "This is the chance that the class has taken all n rows. Take that of the count 0.": slip(
            "chance[0]", "chance[-1]", times=2
        ),
    },
    alternatives=(_extinction_by_powers, _extinction_backwards, _extinction_by_survival),
)

# --- what a generation learns from ------------------------------------------------------------

_DRAWS = 400


def _rows_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(regime, generations, n):
        made = rng.permutation(generations * n).reshape(generations, n).astype(float)
        return {"made": made, "regime": regime}

    return {
        "replace, after three generations": case("replace", 4, 5),
        "accumulate, after three generations": case("accumulate", 4, 5),
        "budget, after four generations": case("budget", 5, 20),
    }


def _rows_probe(answer, made, regime):
    """What is picked, whatever its order and by whatever draw."""
    made = list(made)
    rng = np.random.default_rng(0)
    rows = np.sort(np.asarray(answer(made, regime, rng)))
    if regime != "budget":
        return {"the rows, sorted": rows}
    draws = [np.asarray(answer(made, regime, rng)) for _ in range(_DRAWS)]
    rows, drawn = draws[-1], np.concatenate(draws)
    one, again = (np.asarray(answer(made, regime, np.random.default_rng(1))) for _ in range(2))
    return {
        "number of rows": len(rows),
        "different rows": len(np.unique(rows)),
        "the same choice from the same rng": np.array_equal(np.sort(one), np.sort(again)),
        "mean share of each generation": [np.isin(drawn, rows).mean() for rows in made],
        "rows of several generations in each choice": all(
            sum(np.isin(draw, rows).any() for rows in made) > 1 for draw in draws
        ),
    }


def _rows_by_index(made, regime, rng):
    pool = np.stack(made).reshape(-1, *made[0].shape[1:])
    n = made[0].shape[0]
    which = {
        "replace": np.arange(len(pool) - n, len(pool)),
        "accumulate": np.arange(len(pool)),
        "budget": rng.permutation(len(pool))[:n],
    }
    return pool[which[regime]]


def _rows_by_shuffling(made, regime, rng):
    if regime == "replace":
        return made[len(made) - 1].copy()
    pool = np.vstack([rows[:, None] for rows in made])[:, 0]
    rng.shuffle(pool)
    return pool if regime == "accumulate" else pool[: len(made[0])]


def _rows_picture(answer):
    rng = np.random.default_rng(0)
    n, generations = 400, 8
    fig, ax = plt.subplots(figsize=(4.4, 3))
    styles = (("replace", ORANGE, "s--"), ("accumulate", BLUE, "o-"), ("budget", GREEN, "^-."))
    for regime, colour, style in styles:
        rows = [
            answer([np.full(n, g) for g in range(count)], regime, rng)
            for count in range(1, generations + 1)
        ]
        real = [sum(chosen == 0) for chosen in rows]
        ax.plot(range(1, generations + 1), real, style, color=colour, markersize=5, label=regime)
    ax.set(xlabel="generation that learns", ylabel="real rows learnt from")
    ax.set_title("400 real rows, and what is left of them")
    ax.legend(fontsize=8)
    return fig, (
        "How many real rows each generation learns from: with accumulate always all 400, with replace "
        "none from the second on, with a budget one part in two, three, four and so on."
    )


def _rows_by_keys(made, regime, rng):
    """A budget by the smallest of random keys."""
    if regime == "replace":
        return np.array(made[-1])
    rows = np.concatenate(list(made), axis=0)
    if regime == "budget":
        rows = rows[np.argsort(rng.random(len(rows)))[: len(made[0])]]
    return rows


TRAINING_ROWS = Exercise(
    id="model_collapse.training_rows",
    title="Replace, accumulate, or a budget",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the rows that the next generation learns from: the last generation's (replace), all "
    "so far, the real ones included (accumulate), or as many of all these as there are real rows, "
    "chosen at random (budget).",
    hints=(
        "made is a list of arrays, the real rows first. made[-1] is the last generation, and "
        "np.concatenate(made) holds all rows.",
        "A budget is a choice without replacement: rng.choice(how_many_there_are, "
        "size=how_many_to_take, replace=False) gives row numbers.",
    ),
    reference=training_rows,
    inputs=_rows_cases,
    probe=_rows_probe,
    numpy=True,
    atol=0.03,  # six standard errors of a mean share
    picture=_rows_picture,
    mistakes={
        (
            "The real rows were left out. They belong to what accumulates, and they are what keeps the "
            "loop in place."
        ): slip("np.concatenate(made)", "np.concatenate(made[1:])"),
        "The budget was drawn with replacement, so rows come twice: replace=False.": slip(
            "replace=False", "replace=True"
        ),
        (
            "The budget was not drawn with the rng that is handed over, so nobody can repeat it: "
            "rng.choice, not np.random."
        ): slip("rng.choice", "np.random.default_rng().choice"),
        "The budget took the newest rows. Choose at random among all generations.": returning(
            "everything[-len(made[0]) :]"
        ),
        "The budget took the first rows, which are the real ones. Choose at random among all.": returning(
            "everything[: len(made[0])]"
        ),
        "There is no budget here: take only as many rows as the real data have.": returning(
            "everything"
        ),
        "Replace means that the last generation takes the place of all before it: made[-1] alone.": slip(
            "return made[-1]", "return np.concatenate(made)"
        ),
        "Replace takes the newest generation, made[-1]. These are the real rows.": slip(
            "return made[-1]", "return made[0]"
        ),
        "The newest generation is missing from what accumulates.": slip(
            "np.concatenate(made)", "np.concatenate(made[:-1])"
        ),
        "The budget is half of all rows here. It is the number of real rows.": slip(
            "size=len(made[0])", "size=len(everything) // 2"
        ),
        (
            "The budget took one generation as a "
            "whole. Choose rows at random among all generations."
        ): returning("made[rng.integers(len(made))]"),
    },
    alternatives=(_rows_by_index, _rows_by_shuffling, _rows_by_keys),
)

# --- verification -----------------------------------------------------------------------------


def _verified_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(t, runs, d, tolerance):
        x, weights = rng.standard_normal((t, runs, d)), rng.normal(1, 1, (runs, d))
        y = np.einsum("tri,ri->tr", x, weights) + 1.5 * rng.standard_normal((t, runs))
        rows = np.concatenate([x, y[..., None]], axis=-1)
        return {"rows": rows, "weights": weights, "tolerance": tolerance}

    return {
        "one chain, one input": case(12, 1, 1, 1.0),
        "several chains, each with a verifier of its own": case(10, 4, 3, 1.5),
        "a strict verifier": case(15, 3, 2, 0.5),
        "whole numbers, some exactly at the tolerance": {
            "rows": rng.integers(-2, 3, (20, 2, 2)).astype(float),
            "weights": np.array([[1.0], [-1.0]]),
            "tolerance": 1.0,
        },
    }


def _verified_by_loops(rows, weights, tolerance):
    kept = np.zeros_like(rows)
    for i in range(rows.shape[0]):
        for chain in range(rows.shape[1]):
            *x, y = rows[i, chain]
            if -tolerance <= y - np.dot(x, weights[chain]) <= tolerance:
                kept[i, chain] = rows[i, chain]
    return kept


def _verified_in_place(rows, weights, tolerance):
    found = np.array(rows)
    residual = found[:, :, -1] - (found[:, :, :-1] * weights[None]).sum(axis=2)
    found[residual**2 > tolerance**2] = 0
    return found


def _verified_by_choice(rows, weights, tolerance):
    residual = rows[..., -1] - np.einsum("...d,...d->...", rows[..., :-1], weights)
    return np.where((np.abs(residual) > tolerance)[..., None], 0.0, rows)


def _verified_picture(answer):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 80)
    rows = np.stack([x, 1.2 * x + rng.standard_normal(80)], axis=1)[:, None]
    kept = np.asarray(answer(rows, np.array([[0.6]]), 1.0))[:, 0]
    kept = kept[(kept != 0).any(axis=1)]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(*rows[:, 0].T, "o", color=GREY, markersize=4, linestyle="none", label="rejected")
    ax.plot(*kept.T, "o", color=BLUE, markersize=4, linestyle="none", label="kept")
    edge = np.array([-2.0, 2.0])
    ax.plot(edge, 0.6 * edge, color=ORANGE, linestyle="--", label="the verifier")
    ax.set(xlabel="x", ylabel="label", title="A verifier with too flat a line")
    ax.legend(fontsize=8)
    return fig, (
        "Eighty points around a rising line, and the verifier's flatter line. The points within 1 of the "
        "verifier's line are kept; those far above it on the right and far below on the left are not."
    )


VERIFIED_ROWS = Exercise(
    id="model_collapse.verified_rows",
    title="Verify before you learn",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the rows with zeros in place of each row whose label lies farther than the tolerance "
    "from what its chain's verifier expects.",
    hints=(
        "rows[..., :-1] are the inputs (t, runs, d), and rows[..., -1] are the labels (t, runs). What "
        'the verifier expects is np.einsum("tri,ri->tr", inputs, weights).',
        "Keep a row where the size of label minus expectation is at most the tolerance. Multiply the "
        "rows by that, as numbers 0 and 1: rows * kept[..., None].",
    ),
    reference=verified_rows,
    inputs=_verified_cases,
    probe=call_for_array,
    numpy=True,
    picture=_verified_picture,
    mistakes={
        (
            "A label far below what the verifier expects is as wrong as one far above: take the size of "
            "the difference."
        ): slip("np.abs(y - expected)", "(y - expected)"),
        "These are the rows that the verifier rejects.": slip("<=", ">"),
        (
            "Only the labels became 0. Inputs with a label of 0 are still a row to learn from: put "
            "zeros in place of the whole row."
        ): returning("np.concatenate([x, (y * kept)[..., None]], axis=-1)"),
        (
            "A row was kept or rejected in all chains at once. Each chain has rows and a verifier of "
            "its own."
        ): returning("rows * kept.all(axis=1)[:, None, None]"),
        "Each chain has a verifier of its own, and here the first one judged all chains.": slip(
            "weights)", "np.broadcast_to(weights[:1], weights.shape))"
        ),
        "The tolerance is in units of the label, and not in standard deviations of the difference.": slip(
            "<= tolerance", "<= tolerance * (y - expected).std()"
        ),
        (
            "The rejected rows were left out, so the chains no longer have the same number of rows. Put "
            "zeros in their place."
        ): returning("rows[kept]"),
        "A difference of just the tolerance is not farther than it: compare with <=.": slip(
            "<= tolerance", "< tolerance"
        ),
        "A squared difference is compared with the tolerance. Take the size of the difference.": slip(
            "np.abs(y - expected)", "(y - expected) ** 2"
        ),
        (
            "The rejected rows got the label that the verifier expects. Put zeros in place of the whole "
            "row."
        ): returning("np.concatenate([x, np.where(kept, y, expected)[..., None]], axis=-1)"),
        "This says which rows are kept. Return the rows, with zeros in place of the others.": returning(
            "kept"
        ),
        (
            "You gave half of the tolerance to either side. A label may lie the whole tolerance above "
            "or below."
        ): slip("<= tolerance", "<= tolerance / 2"),
        "You looked at the label alone. Its distance from what the verifier expects counts.": slip(
            "np.abs(y - expected)", "np.abs(y)"
        ),
        "The rejected rows became NaN. Put zeros in their place.": returning(
            "np.where(kept[..., None], rows, np.nan)"
        ),
    },
    alternatives=(_verified_by_loops, _verified_in_place, _verified_by_choice),
)

# --- a share of fresh real data ---------------------------------------------------------------


def _spread_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(generations, fresh):
        return {"n": int(rng.integers(50, 200)), "generations": generations, "fresh": fresh}

    return {
        "the first fit": case(1, float(rng.uniform(0.1, 0.4))),
        "no fresh rows: G / n": case(int(rng.integers(20, 60)), 0.0),
        "a share of fresh rows": case(int(rng.integers(5, 20)), float(rng.uniform(0.05, 0.3))),
        "all rows fresh: 1 / n": case(25, 1.0),
    }


def _spread_step_by_step(n, generations, fresh=0.0):
    spread = 1 / n
    for _ in range(generations - 1):
        spread = (1 - fresh) ** 2 * spread + 1 / n
    return spread


def _spread_closed(n, generations, fresh=0.0):
    kept = (1 - fresh) ** 2
    return generations / n if fresh == 0 else (1 - kept**generations) / (1 - kept) / n


def _spread_picture(answer):
    fig, ax = plt.subplots(figsize=(4.4, 3))
    generations = np.arange(1, 51)
    for fresh, colour, style in ((0.0, ORANGE, "--"), (0.05, BLUE, "-"), (0.2, GREEN, "-.")):
        values = [answer(100, int(g), fresh) for g in generations]
        ax.plot(generations, values, style, color=colour, label=f"{fresh:.0%} fresh")
    ax.set(xlabel="generation", ylabel="variance of the mean", ylim=(0, 0.5))
    ax.set_title("A little fresh data goes a long way")
    ax.legend(fontsize=8)
    return fig, (
        "Variance of the mean over 50 generations of 100 rows: a straight line up to 0.5 without "
        "fresh rows, a curve that levels off at 0.1 with 5 % and at 0.03 with 20 % of them."
    )


MEAN_SPREAD = Exercise(
    id="model_collapse.gaussian_mean_spread",
    title="What a share of fresh data is worth",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the variance of the normal loop's mean after so many fits to n rows each. From the second "
    "fit on a share `fresh` of the rows is new and real, with the mean 0. Chance adds 1 / n in each fit.",
    hints=(
        "The mean of the next generation's rows is (1 - fresh) times the old model's mean, plus noise "
        "of variance 1 / n. What does the factor do to a variance?",
        "The first fit has variance 1 / n. Then, again and again: "
        "variance = (1 - fresh)² · variance + 1 / n.",
        "Written out it is a geometric sum: 1/n times the sum of (1 - fresh)^(2i) for i from 0 to "
        "G - 1. The closed form of that sum divides by 0 at fresh = 0.",
    ),
    reference=theory.gaussian_mean_spread,
    inputs=_spread_cases,
    numpy=True,
    atol=1e-8,  # the values are small
    picture=_spread_picture,
    mistakes={
        "A factor on the mean works on its variance squared: (1 - fresh)².": slip(" ** 2", ""),
        "This is G / n, the loop without fresh rows.": returning("generations / n"),
        (
            "This is the level that the variance tends to after very many generations. Stop the sum at "
            "G terms."
        ): returning("1 / n / (fresh * (2 - fresh)) if fresh else generations / n"),
        "The first fit has no generation before it: begin the sum at i = 0, with 1 / n.": slip(
            "range(generations)", "range(1, generations + 1)"
        ),
        (
            "It is the synthetic part that carries the error on, 1 - fresh of the rows, not the fresh "
            "part."
        ): slip("1 - fresh", "fresh"),
        "This is the standard deviation of the mean. Its square is the variance.": returning(
            "(sum(kept**i for i in range(generations)) / n) ** 0.5"
        ),
        "A mean of n rows has the variance 1 / n, not 1 / (n - 1).": slip("/ n", "/ (n - 1)"),
        "The division by n is missing.": slip(" / n", ""),
        "This is what the first generation's error adds. Sum over all generations.": returning(
            "kept ** (generations - 1) / n"
        ),
        "You squared the fresh share alone. The factor is (1 - fresh)².": slip(
            "(1 - fresh) ** 2", "1 - fresh**2"
        ),
        "That is one generation too many: the sum has G terms.": slip(
            "range(generations)", "range(generations + 1)"
        ),
    },
    alternatives=(
        _spread_step_by_step,
        _spread_closed,
        lambda n, generations, fresh=0.0: float(
            np.sum((1 - fresh) ** (2 * np.arange(generations))) / n
        ),
    ),
)
