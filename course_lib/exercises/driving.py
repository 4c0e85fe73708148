"""The exercises of lesson 13: a simulator's step, weights, a proposal that moves to the crashes."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import binom, binomtest, norm

from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.plots import BLUE, ORANGE
from course_lib.rare_events.cross_entropy import cross_entropy_update, weighted_em_step
from course_lib.rare_events.cut_in import STEP, advance
from course_lib.rare_events.importance import (
    balance_weights,
    crude_interval,
    log_likelihood_ratio,
    rate_estimate,
)

# --- a step of the simulator -----------------------------------------------------------------------


def _advance_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(ahead, behind, a, b):
        return {
            "gap": rng.uniform(5, 50, 6),
            "ahead": rng.uniform(*ahead, 6),
            "behind": rng.uniform(*behind, 6),
            "a": rng.uniform(*a, 6),
            "b": rng.uniform(*b, 6),
        }

    return {
        "nobody brakes": case((20, 30), (25, 35), (0, 0), (0, 0)),
        "both brake": case((20, 30), (25, 35), (0.5, 3), (2, 8)),
        "the car ahead comes to a stop": case((0.1, 0.2), (5, 9), (4, 8), (1, 3)),
        "the car behind comes to a stop": case((5, 9), (0.1, 0.2), (1, 3), (4, 8)),
    }


def _advance_probe(answer, **inputs):
    return np.stack([np.asarray(part, float) for part in answer(*inputs.values())])


def _advance_by_displacement(gap, ahead, behind, a, b):
    def way(v, brake):
        then = np.where(v > 0.1 * brake, v - 0.1 * brake, 0.0)
        return then, 0.1 * (v + then) / 2

    (ahead, far), (behind, near) = way(ahead, a), way(behind, b)
    return gap + far - near, ahead, behind


def _advance_by_closing(gap, ahead, behind, a, b):
    after = np.clip(np.stack([ahead - 0.1 * a, behind - 0.1 * b]), 0, None)
    closing = ((behind - ahead) + (after[1] - after[0])) / 2
    return gap - 0.1 * closing, after[0], after[1]


def _advance_by_loop(gap, ahead, behind, a, b):
    rows = []
    for g, v, w, x, y in zip(gap, ahead, behind, a, b, strict=True):
        v2, w2 = max(v - STEP * x, 0), max(w - STEP * y, 0)
        rows.append((g + STEP * ((v + v2) - (w + w2)) / 2, v2, w2))
    return np.array(rows).T


def _advance_picture(answer):
    gap, ahead, behind = np.array([30.0]), np.array([20.0]), np.array([30.0])
    gaps = [30.0]
    for k in range(60):
        gap, ahead, behind = answer(gap, ahead, behind, np.zeros(1), np.full(1, 5.0 * (k > 10)))
        gaps.append(float(gap[0]))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(np.arange(61) * STEP, gaps, color=BLUE)
    ax.set(xlabel="seconds", ylabel="gap in metres", title="Braking begins after 1.1 s")
    return fig, (
        "The gap against time: it shrinks from 30 metres along a line, then along a curve once the car "
        "behind brakes, and grows again when that car has become the slower one."
    )


ADVANCE = Exercise(
    id="driving.advance",
    title="A step of the simulator",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return the gap and the speeds of both cars one time step of 0.1 s later. Speeds change "
    "linearly during "
    "the step and do not fall below 0.",
    hints=(
        "A speed after the step is np.maximum(v - STEP * brake, 0).",
        "The gap grows by STEP times the mean speed ahead, less STEP times the mean speed behind.",
        "A mean speed is that of before and after, added and halved.",
    ),
    reference=advance,
    inputs=_advance_cases,
    probe=_advance_probe,
    numpy=True,
    picture=_advance_picture,
    mistakes={
        "A car that stands drives backwards here. Speeds do not fall below 0.": slip(
            "np.maximum(ahead - STEP * a, 0)",
            "ahead - STEP * a",
            "np.maximum(behind - STEP * b, 0)",
            "behind - STEP * b",
        ),
        "The gap was moved by the speeds of before the step. Take the mean of before and after.": slip(
            "STEP / 2 * (ahead + ahead_then - behind - behind_then)", "STEP * (ahead - behind)"
        ),
        "The gap was moved by the speeds of after the step. Take the mean of before and after.": slip(
            "STEP / 2 * (ahead + ahead_then - behind - behind_then)",
            "STEP * (ahead_then - behind_then)",
        ),
        (
            "The gap grows where it should shrink: the car ahead makes it longer, the one behind "
            "shorter."
        ): slip("gap + STEP", "gap - STEP"),
        "The brakes have changed places: a belongs to the car ahead.": slip(
            "STEP * a", "STEP * x", "STEP * b", "STEP * a", "STEP * x", "STEP * b"
        ),
        "The time step is missing: in 0.1 s a car loses a tenth of its braking.": slip(
            "STEP * a", "a", "STEP * b", "b"
        ),
        "The cars speed up here. Braking makes them slower: subtract.": slip(
            "- STEP * a", "+ STEP * a", "- STEP * b", "+ STEP * b"
        ),
        "The car behind drives backwards here. Its speed does not fall below 0 either.": slip(
            "np.maximum(behind - STEP * b, 0)", "behind - STEP * b"
        ),
        "The speeds are in the wrong order: first the car ahead, then the one behind.": returning(
            "gap_then, behind_then, ahead_then"
        ),
        "The sum of two speeds was taken for their mean. Halve it.": slip("STEP / 2 *", "STEP *"),
        "The gap stays as it was. It changes with the speeds of both cars.": returning(
            "gap, ahead_then, behind_then"
        ),
    },
    alternatives=(_advance_by_displacement, _advance_by_closing, _advance_by_loop),
)

# --- a crude interval ------------------------------------------------------------------------------


def _interval_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(crashes, scenes):
        return {
            "crashes": crashes,
            "scenes": scenes,
            "confidence": round(float(rng.uniform(0.8, 0.99)), 3),
        }

    return {
        "no crash": case(0, int(rng.integers(10_000, 30_000))),
        "one crash": case(1, int(rng.integers(200, 400))),
        "a few crashes": case(int(rng.integers(2, 9)), int(rng.integers(100, 200))),
        "many crashes": case(int(rng.integers(30, 60)), int(rng.integers(80, 120))),
        "nothing but crashes": case(12, 12),
    }


def _interval_by_scipy(crashes, scenes, confidence):
    found = binomtest(crashes, scenes).proportion_ci(confidence, "exact")
    return found.low, found.high


def _interval_by_root(crashes, scenes, confidence):
    miss = (1 - confidence) / 2
    low, high = 0.0, 1.0
    if crashes:
        low = brentq(lambda p: binom.sf(crashes - 1, scenes, p) - miss, 0, 1, xtol=1e-13)
    if crashes < scenes:
        high = brentq(lambda p: binom.cdf(crashes, scenes, p) - miss, 0, 1, xtol=1e-13)
    return low, high


def _interval_by_bisection(crashes, scenes, confidence):
    def end(tail, inside):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if inside(tail(middle)) else (low, middle)
        return (low + high) / 2

    miss = (1 - confidence) / 2
    low = end(lambda p: binom.sf(crashes - 1, scenes, p), lambda tail: tail < miss)
    high = end(lambda p: binom.cdf(crashes, scenes, p), lambda tail: tail > miss)
    return (low if crashes else 0.0), (high if crashes < scenes else 1.0)


def _interval_by_bell(crashes, scenes, confidence):
    rate = crashes / scenes
    margin = norm.ppf((1 + confidence) / 2) * (rate * (1 - rate) / scenes) ** 0.5
    return rate - margin, rate + margin


def _interval_of_counts(crashes, scenes, confidence):
    return np.asarray(binom.interval(confidence, scenes, crashes / scenes)) / scenes


def _interval_picture(answer):
    counts = np.arange(7)
    low, high = np.array([answer(int(k), 20_000, 0.95) for k in counts]).T * 1e4
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.vlines(counts, low, high, color=BLUE, linewidth=3)
    ax.plot(counts, counts / 2, "o", color=ORANGE)
    ax.set(xlabel="crashes in 20,000 scenes", ylabel="rate in 10,000")
    return fig, (
        "Intervals of the rate for 0 to 6 crashes in 20,000 scenes. Each holds the observed rate; that for "
        "0 crashes reaches from 0 to about 1.8 in 10,000."
    )


CRUDE_INTERVAL = Exercise(
    id="driving.crude_interval",
    title="What a count of crashes says",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the lower and the upper end of Clopper and Pearson's interval for a rate; each end "
    "may be wrong with the probability (1 - confidence) / 2.",
    hints=(
        "The lower end is beta.ppf(miss, crashes, scenes - crashes + 1), with miss = (1 - confidence) / 2.",
        "The upper end is beta.ppf(1 - miss, crashes + 1, scenes - crashes).",
        "Without a crash the lower end is 0; with nothing but crashes the upper end is 1.",
    ),
    reference=crude_interval,
    inputs=_interval_cases,
    probe=call_for_array,
    numpy=True,
    rtol=1e-5,
    atol=1e-9,
    picture=_interval_picture,
    mistakes={
        (
            "The normal approximation, rate plus or minus its errors, has no width where no crash was "
            "seen."
        ): _interval_by_bell,
        "Each side was allowed to be wrong with all of 1 - confidence. Halve it.": slip(
            "(1 - confidence) / 2", "1 - confidence"
        ),
        "No crash seen does not mean that none can happen: the upper end is above 0.": returning(
            "(float(low), float(high) if crashes else 0.0)"
        ),
        (
            "This asks how far the count can lie from the expected one. It is the rate that is looked "
            "for."
        ): _interval_of_counts,
        "The two ends are in the wrong order: first the lower one.": returning(
            "float(high), float(low)"
        ),
        (
            "This interval takes a flat prior. Clopper and Pearson's has (crashes, scenes - crashes + "
            "1) below, and (crashes + 1, scenes - crashes) above."
        ): returning(
            "float(beta.ppf(miss, crashes + 1, scenes - crashes + 1)), float(beta.ppf(1 - miss, "
            "crashes + 1, scenes - crashes + 1))"
        ),
        "This is the rate that was seen, without an interval.": returning(
            "crashes / scenes, crashes / scenes"
        ),
        "The lower end is always 0 here. Where crashes were seen it lies above.": returning(
            "0.0, float(high)"
        ),
        "The upper end is always 1 here. Where not all scenes crashed it lies below.": returning(
            "float(low), 1.0"
        ),
        "These are numbers of crashes. Return rates: do not multiply by the number of scenes.": returning(
            "float(low) * scenes, float(high) * scenes"
        ),
        "This is the width of the interval. Return its two ends.": returning("float(high - low)"),
    },
    alternatives=(_interval_by_scipy, _interval_by_root, _interval_by_bisection),
)
# --- a likelihood ratio ----------------------------------------------------------------------------


def _ratio_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(mean, sd, d):
        mean, sd = rng.normal(0, mean, d), np.exp(rng.normal(0, sd, d))
        return {"u": mean + sd * rng.normal(size=(7, d)), "mean": mean, "sd": sd}

    return {
        "shifted": case(2, 0, 3),
        "shifted and stretched": case(2, 0.4, 6),
        "one input": case(1, 0.5, 1),
    }


def _ratio_by_scipy(u, mean, sd):
    return norm.logpdf(u).sum(axis=1) - norm.logpdf(u, mean, sd).sum(axis=1)


def _ratio_by_loop(u, mean, sd):
    total = np.zeros(len(u))
    for x, m, s in zip(u.T, mean, sd, strict=True):
        total += ((x - m) / s) ** 2 / 2 - x**2 / 2 + np.log(s)
    return total


def _ratio_by_densities(u, mean, sd):
    return np.log(norm.pdf(u).prod(axis=1)) - np.log((norm.pdf((u - mean) / sd) / sd).prod(axis=1))


def _ratio_picture(answer):
    u = np.linspace(-4, 6, 200)[:, None]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for sd, color in ((1.0, BLUE), (1.5, ORANGE)):
        ax.plot(u, answer(u, np.array([3.0]), np.array([sd])), color=color, label=f"sd {sd:g}")
    ax.set(xlabel="u", ylabel="log p - log q", title="A proposal around 3")
    ax.legend(fontsize=8)
    return fig, (
        "The logarithm of the likelihood ratio against u for proposals around 3: a falling line for the "
        "standard deviation 1, a curve for 1.5 that stays lower on the left."
    )


LOG_LIKELIHOOD_RATIO = Exercise(
    id="driving.log_likelihood_ratio",
    title="A likelihood ratio",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return log p(u) - log q(u) for each scene, where p is standard normal and q normal with "
    "the given mean and "
    "standard deviation of each input; the inputs are independent.",
    hints=(
        "The logarithm of a normal density is -0.5 ((u - mean) / sd)^2 - log(sd) and a constant.",
        "The constant is the same for p and q, and cancels. Independent inputs: add up over axis 1.",
    ),
    reference=log_likelihood_ratio,
    inputs=_ratio_cases,
    probe=call_for_array,
    numpy=True,
    picture=_ratio_picture,
    mistakes={
        "The ratio is upside down: p stands above, the proposal below.": slip(
            "(log_p - log_q)", "(log_q - log_p)"
        ),
        "The width of the proposal is missing in its density: a wide one is lower, by log(sd).": slip(
            " - np.log(sd)", ""
        ),
        "The mean was taken over the inputs. Independent densities multiply, so logarithms add up.": slip(
            ".sum(axis=1)", ".mean(axis=1)"
        ),
        "The sum runs over the scenes. There is one ratio for each scene: axis 1.": slip(
            ".sum(axis=1)", ".sum(axis=0)"
        ),
        "Only log q was returned. log p is missing: return log p - log q.": slip(
            "(log_p - log_q)", "log_q"
        ),
        "sd was used as a variance. Divide the difference by sd, then square.": slip(
            "((u - mean) / sd) ** 2", "(u - mean) ** 2 / sd"
        ),
        "This is the ratio itself. Return its logarithm.": returning(
            "np.exp((log_p - log_q).sum(axis=1))"
        ),
        "The factor 1/2 in the exponents is missing.": slip("-0.5 *", "-1.0 *", times=2),
        "The proposal's mean was added. Subtract it.": slip("u - mean", "u + mean"),
        "log(sd) has the wrong sign in the proposal's density: a wide distribution is lower.": slip(
            "- np.log(sd)", "+ np.log(sd)"
        ),
        "The proposal's mean is missing: its density depends on u - mean.": slip("(u - mean)", "u"),
    },
    alternatives=(_ratio_by_scipy, _ratio_by_loop, _ratio_by_densities),
)

# --- the cross-entropy update ----------------------------------------------------------------------


def _update_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, d, high, elite):
        u = rng.normal(1, 1, (n, d))
        noise = rng.normal(size=n)
        return {
            "u": u,
            "danger": u[:, 0] + noise + high,
            "log_ratio": 0.5 * d - u.sum(axis=1),
            "elite": elite,
        }

    return {
        "no scene has crashed": case(41, 3, -9.0, 0.1),
        "a few scenes have crashed": case(60, 2, -3.0, 0.3),
        "most scenes have crashed": case(90, 2, 0.0, 0.1),
    }


def _update_by_sorting(u, danger, log_ratio, elite):
    level = np.percentile(danger, 100 * (1 - elite))
    rows = np.flatnonzero(danger >= (level if level < 0 else 0))
    weights = np.exp(log_ratio[rows])
    return weights @ u[rows] / weights.sum()


def _update_by_masking(u, danger, log_ratio, elite):
    level = np.minimum(np.quantile(danger, 1 - elite), 0)
    weights = np.exp(log_ratio) * (danger >= level)
    return (weights[:, None] * u).sum(axis=0) / weights.sum()


def _update_by_logarithms(u, danger, log_ratio, elite):
    chosen = danger >= min(0.0, float(np.quantile(danger, 1 - elite)))
    share = np.exp(log_ratio[chosen] - logsumexp(log_ratio[chosen]))
    return np.einsum("n,nd->d", share, u[chosen])


def _update_picture(answer):
    rng = np.random.default_rng(0)
    u = rng.normal(size=(600, 2))
    danger = u.sum(axis=1) - 6
    mean = answer(u, danger, np.zeros(600), 0.1)
    fig, ax = plt.subplots(figsize=(3.6, 3.4))
    ax.plot(*u.T, "o", color=ORANGE, markersize=3, linestyle="none", label="scenes")
    ax.plot(*mean, "X", color=BLUE, markersize=12, linestyle="none", label="next mean")
    ax.set(xlabel="first input", ylabel="second input")
    ax.legend(fontsize=8)
    return fig, (
        "600 scenes as points around the origin, and the next mean of the proposal as a cross: it lies at "
        "the upper right, in the direction in which scenes get more dangerous."
    )


CROSS_ENTROPY_UPDATE = Exercise(
    id="driving.cross_entropy_update",
    title="The cross-entropy update",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return the weighted mean of the elite. The elite are the scenes whose danger is at least "
    "the 1 - elite quantile, or at least 0 where that quantile is above 0; the weights are the "
    "likelihood ratios.",
    hints=(
        "level = min(np.quantile(danger, 1 - elite), 0): beyond a crash there is nothing to learn.",
        "The weights are np.exp(log_ratio) of the chosen scenes; divide by their sum.",
    ),
    reference=cross_entropy_update,
    inputs=_update_cases,
    probe=call_for_array,
    numpy=True,
    picture=_update_picture,
    mistakes={
        (
            "The elite was not weighted, so it "
            "follows the proposal and not the inputs' distribution."
        ): returning("u[chosen].mean(axis=0)"),
        "The level went above 0, where all scenes have crashed. Every crash belongs to the elite.": slip(
            "min(np.quantile(danger, 1 - elite), 0)", "np.quantile(danger, 1 - elite)"
        ),
        "The logarithms of the ratios were taken as weights.": slip(
            "np.exp(log_ratio[chosen])", "log_ratio[chosen]"
        ),
        "These are the most harmless scenes. The elite has the highest danger.": slip(
            "danger >= level", "danger <= level"
        ),
        "The level is the quantile of elite instead of 1 - elite, so most scenes count.": slip(
            "1 - elite", "elite"
        ),
        "The weights are turned round: exp of the logarithm of the ratio, without a minus sign.": slip(
            "np.exp(log_ratio[chosen])", "np.exp(-log_ratio[chosen])"
        ),
        "This is the weighted sum. Divide it by the sum of the weights.": returning(
            "(u[chosen] * np.exp(log_ratio[chosen])[:, None]).sum(axis=0)"
        ),
        "You divided by the number of the elite. Divide by the sum of their weights.": returning(
            "(u[chosen] * np.exp(log_ratio[chosen])[:, None]).sum(axis=0) / chosen.sum()"
        ),
        "All scenes were averaged. Only the elite counts.": returning(
            "np.average(u, axis=0, weights=np.exp(log_ratio))"
        ),
        "This is the most dangerous scene alone. Average the whole elite.": returning(
            "u[np.argmax(danger)]"
        ),
        "The scene at the level itself belongs to the elite: compare with >=.": slip(
            "danger >= level", "danger > level"
        ),
    },
    alternatives=(_update_by_sorting, _update_by_masking, _update_by_logarithms),
)

# --- weighted EM -----------------------------------------------------------------------------------


def _em_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, k, d):
        means = rng.normal(0, 2, (k, d))
        return {
            "u": means[rng.integers(k, size=n)] + rng.normal(size=(n, d)),
            "weights": rng.exponential(size=n),
            "shares": rng.dirichlet(np.full(k, 3.0)),
            "means": means + rng.normal(0, 0.5, (k, d)),
        }

    return {
        "two components": case(40, 2, 2),
        "three components, six inputs": case(50, 3, 6),
        "one component": case(20, 1, 3),
    }


def _em_probe(answer, **inputs):
    shares, means = answer(*inputs.values())
    return {"shares": np.asarray(shares, float), "means": np.asarray(means, float)}


def _em_by_loop(u, weights, shares, means):
    densities = np.array(
        [s * np.exp(-0.5 * ((u - m) ** 2).sum(axis=1)) for s, m in zip(shares, means, strict=True)]
    )
    belongs = weights * densities / densities.sum(axis=0)
    new = np.array([(b[:, None] * u).sum(axis=0) / b.sum() for b in belongs])
    return belongs.sum(axis=1) / weights.sum(), new


def _em_by_scipy(u, weights, shares, means):
    logs = np.log(shares) + norm.logpdf(u[:, None], means).sum(axis=2)
    belongs = np.exp(logs - logsumexp(logs, axis=1, keepdims=True)) * weights[:, None]
    return belongs.sum(axis=0) / belongs.sum(), belongs.T @ u / belongs.sum(axis=0)[:, None]


def _em_by_average(u, weights, shares, means):
    logs = np.log(shares)[:, None] - 0.5 * np.square(u - means[:, None]).sum(-1)
    logs -= logs.max(axis=0)
    belongs = np.exp(logs) / np.exp(logs).sum(axis=0)
    new = np.stack([np.average(u, axis=0, weights=weights * b) for b in belongs])
    return np.average(belongs, axis=1, weights=weights), new


def _em_picture(answer):
    rng = np.random.default_rng(0)
    centres = np.array([[3.0, 0.0], [-1.0, 2.5]])
    u = centres[rng.integers(2, size=400)] + 0.7 * rng.normal(size=(400, 2))
    shares, means = np.full(2, 0.5), np.array([[0.5, 0.5], [0.0, 1.0]])
    path = [means]
    for _ in range(12):
        shares, means = answer(u, np.ones(400), shares, means)
        path.append(np.asarray(means))
    fig, ax = plt.subplots(figsize=(3.8, 3.4))
    ax.plot(*u.T, "o", color=ORANGE, markersize=2.5, linestyle="none")
    for way in np.array(path).transpose(1, 2, 0):
        ax.plot(*way, "-o", color=BLUE, markersize=4)
    ax.set(xlabel="first input", ylabel="second input", title="Twelve steps")
    return fig, (
        "Two clouds of points, and the paths of two means over twelve steps: from the middle each goes to "
        "the centre of a cloud of its own."
    )


WEIGHTED_EM_STEP = Exercise(
    id="driving.weighted_em_step",
    title="A step of weighted EM",
    points=2,
    minutes=15,
    difficulty=3,
    task="Return the shares (k,) and the means (k, d) after one step of EM for a mixture of normal "
    "distributions of variance 1, where each point counts with its weight.",
    hints=(
        "squares = ((u[None] - means[:, None]) ** 2).sum(axis=2) has the shape (k, n).",
        "How much a point belongs to a component: share times exp(-squares / 2), divided by the sum "
        "over the "
        "components. Multiply by the point's weight.",
        "total = belongs.sum(axis=1); the shares are total / total.sum(), the means (belongs @ u) / "
        "total[:, None].",
    ),
    reference=weighted_em_step,
    inputs=_em_cases,
    probe=_em_probe,
    numpy=True,
    picture=_em_picture,
    mistakes={
        "The weights of the points are missing.": slip(" * weights", ""),
        "A point belongs to components by their density alone here. Multiply by their shares.": slip(
            "np.log(shares)[:, None] - 0.5 * squares", "-0.5 * squares"
        ),
        "The shares do not add up to 1: divide by the sum of all weights.": slip(
            "total / total.sum()", "total / len(u)"
        ),
        "The means were divided by the sum over all components. Each has its own total.": slip(
            "(belongs @ u) / total[:, None]", "(belongs @ u) / total.sum()"
        ),
        "The exponent of the normal density is minus one half of the squared distance.": slip(
            "0.5 * squares", "squares"
        ),
        "The two are in the wrong order: first the shares, then the means.": returning(
            "(belongs @ u) / total[:, None], total / total.sum()"
        ),
        "Each point belongs to its likeliest component alone. EM shares it among them.": slip(
            "np.exp(log_parts - logsumexp(log_parts, axis=0))",
            "(log_parts == log_parts.max(axis=0))",
        ),
        "The means stay as they were. Move them to the weighted mean of what belongs to them.": returning(
            "total / total.sum(), means"
        ),
        "The distance must be squared in the exponent.": slip(
            "0.5 * squares", "0.5 * np.sqrt(squares)"
        ),
        "The parts add up to 1 over the points. They add up over the components, for each point.": slip(
            "logsumexp(log_parts, axis=0)", "logsumexp(log_parts, axis=1, keepdims=True)"
        ),
        "The weights of the points are missing in the means.": returning(
            "total / total.sum(), ((belongs / weights) @ u) / (belongs / weights).sum(axis=1)[:, "
            "None]"
        ),
        (
            "The shares stay as they were. They are the weighted parts of each component, over their "
            "sum."
        ): returning("shares, (belongs @ u) / total[:, None]"),
    },
    alternatives=(_em_by_loop, _em_by_scipy, _em_by_average),
)

# --- the balance heuristic -------------------------------------------------------------------------


def _balance_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(counts, far):
        counts = np.array(counts)
        n = int(counts.sum())
        return {
            "log_p": rng.normal(-9 - far, 2, n),
            "log_q": rng.normal(-8 - far, 2, (len(counts), n)),
            "counts": counts,
        }

    return {
        "two proposals": case([4, 4], 0.0),
        "unequal counts": case([2, 9, 3], 0.0),
        "densities too small for a number": case([5, 2], 900.0),
        "one proposal": case([6], 0.0),
    }


def _balance_by_shift(log_p, log_q, counts):
    top = log_q.max(axis=0)
    mixture = (counts / counts.sum()) @ np.exp(log_q - top)
    return np.exp(log_p - top) / mixture


def _balance_by_ratios(log_p, log_q, counts):
    return counts.sum() / (counts[:, None] * np.exp(log_q - log_p)).sum(axis=0)


def _balance_by_weights(log_p, log_q, counts):
    return np.exp(log_p - logsumexp(log_q, axis=0, b=(counts / sum(counts))[:, None]))


def _balance_picture(answer):
    u = np.linspace(-4, 6, 200)
    log_p, log_q = norm.logpdf(u), np.stack([norm.logpdf(u), norm.logpdf(u, 3)])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(u, answer(log_p, log_q, np.array([10, 10])), color=BLUE, label="both proposals")
    ax.plot(u, np.exp(log_p - log_q[1]), color=ORANGE, linestyle="--", label="the shifted one")
    ax.set(xlabel="u", ylabel="weight", ylim=(0, 4))
    ax.legend(fontsize=8)
    return fig, (
        "Weights against u. With the shifted proposal alone they grow without bound to the left; with both "
        "proposals in the balance they stay below 2."
    )


BALANCE_WEIGHTS = Exercise(
    id="driving.balance_weights",
    title="The balance heuristic",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return the weight of each scene: its density under p, divided by its density under the "
    "mixture of all proposals; the shares of the mixture are in proportion to the counts.",
    hints=(
        "The mixture's density is the sum of counts / counts.sum() times exp(log_q), over the proposals.",
        "Stay with logarithms: logsumexp(log_q + np.log(counts / counts.sum())[:, None], axis=0).",
        "It does not matter which proposal a scene came from.",
    ),
    reference=balance_weights,
    inputs=_balance_cases,
    probe=call_for_array,
    numpy=True,
    picture=_balance_picture,
    mistakes={
        (
            "Each scene was weighted by its own proposal alone. Where that is small the weight "
            "explodes."
        ): returning(
            "np.exp(log_p - log_q[np.repeat(np.arange(len(counts)), counts), np.arange(len(log_p))])"
        ),
        "The proposals count alike here. One that was drawn from more often has the larger share.": slip(
            "counts / counts.sum()", "np.ones(len(counts)) / len(counts)"
        ),
        "The densities of the proposals add up, not their logarithms.": slip(
            "logsumexp(log_q + share[:, None], axis=0)", "(counts / counts.sum()) @ log_q"
        ),
        "The counts must be shares: divided by the number of all scenes.": slip(
            "counts / counts.sum()", "counts"
        ),
        "The weight is upside down: p stands above.": slip(
            "np.exp(log_p - logsumexp(log_q + share[:, None], axis=0))",
            "np.exp(logsumexp(log_q + share[:, None], axis=0) - log_p)",
        ),
        "This is the logarithm of the weight. Take exp().": returning(
            "log_p - logsumexp(log_q + share[:, None], axis=0)"
        ),
        "The proportions divide the densities here. They multiply: add their logarithms.": slip(
            "log_q + share", "log_q - share"
        ),
        "All scenes were weighted by the first proposal. Use the mixture of all.": returning(
            "np.exp(log_p - log_q[0])"
        ),
        "The largest density was taken. The mixture adds up all of them.": slip(
            "logsumexp(log_q + share[:, None], axis=0)", "(log_q + share[:, None]).max(axis=0)"
        ),
        "The weights add up to 1. Return them as they are.": returning(
            "np.exp(log_p - logsumexp(log_q + share[:, None], axis=0)) / np.exp(log_p - "
            "logsumexp(log_q + share[:, None], axis=0)).sum()"
        ),
        "The density under p was averaged over the scenes. Each scene has its own.": returning(
            "np.exp(log_p.mean() - logsumexp(log_q + share[:, None], axis=0))"
        ),
    },
    alternatives=(_balance_by_shift, _balance_by_ratios, _balance_by_weights),
)

# --- an estimate -----------------------------------------------------------------------------------


def _estimate_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, share, spread):
        return {
            "weights": np.exp(rng.uniform(-6, -4) + rng.normal(0, spread, n)),
            "crashed": rng.random(n) < share,
        }

    return {
        "weights alike": case(40, 0.5, 0.0),
        "weights that differ": case(60, 0.4, 1.0),
        "few crashes": case(50, 0.1, 2.0),
        "no crash": case(20, 0.0, 1.0),
    }


def _estimate_by_moments(weights, crashed):
    n, counted = len(weights), np.where(crashed, weights, 0.0)
    first, second = counted.sum(), (counted**2).sum()
    variance = second / n - (first / n) ** 2
    return first / n, np.sqrt(max(variance, 0) / n), first**2 / second if second else 0.0


def _estimate_by_picking(weights, crashed):
    w = weights[crashed]
    n = len(weights)
    rate = w.sum() / n
    spread = (((w - rate) ** 2).sum() + (n - len(w)) * rate**2) / n
    effective = 0.0 if len(w) == 0 else w.sum() ** 2 / (w @ w)
    return [rate, np.sqrt(spread / n), effective]


def _estimate_by_shares(weights, crashed):
    counted = np.multiply(weights, crashed)
    total = counted.sum()
    share = counted / total if total else counted
    effective = 1 / (share @ share) if total else 0.0
    return np.mean(counted), np.std(counted) / np.sqrt(counted.size), effective


def _estimate_picture(answer):
    rng = np.random.default_rng(0)
    spreads = np.linspace(0, 3, 20)
    found = [answer(np.exp(rng.normal(0, s, 4000)), np.ones(4000, bool))[2] for s in spreads]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(spreads, found, color=BLUE)
    ax.set(xlabel="spread of the log weights", ylabel="effective number", yscale="log")
    return fig, (
        "The effective number of 4,000 crashes against the spread of the logarithms of their weights: all "
        "count where the weights are alike, a few only where they differ much."
    )


RATE_ESTIMATE = Exercise(
    id="driving.rate_estimate",
    title="A rate, its error, and how many crashes stand behind it",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return three numbers: the estimated crash rate, its standard error (the standard deviation "
    "of the weighted counts, divided by n and not n - 1, over the root of n), and the effective "
    "number of crashes.",
    hints=(
        "counted = weights * crashed; the rate is its mean over all scenes.",
        "The standard error of a mean: counted.std() / sqrt(number of scenes).",
        "The effective number is counted.sum() ** 2 / (counted ** 2).sum(), and 0 without a crash.",
    ),
    reference=rate_estimate,
    inputs=_estimate_cases,
    probe=call_for_array,
    numpy=True,
    picture=_estimate_picture,
    mistakes={
        (
            "The scenes that crashed were counted without their weights: this is the rate of the "
            "proposal."
        ): slip("weights * crashed", "1.0 * crashed"),
        "The mean runs over the crashes only. Every scene counts, most of them with 0.": slip(
            "counted.mean()", "counted.sum() / max(crashed.sum(), 1)"
        ),
        (
            "This is the spread of one scene. The error of the mean is smaller by the root of their "
            "number."
        ): slip(" / len(counted) ** 0.5", ""),
        "The effective number was taken of all scenes. Behind the rate stand those that crashed.": slip(
            "total**2 / (counted**2).sum() if total > 0 else 0.0",
            "weights.sum() ** 2 / (weights**2).sum()",
        ),
        (
            "The error of a share, root of p (1 - p) / n, holds for crude sampling: weighted scenes "
            "need the spread of the weighted counts."
        ): slip(
            "counted.std() / len(counted) ** 0.5",
            "(counted.mean() * abs(1 - counted.mean()) / len(counted)) ** 0.5",
        ),
        "You divided by the sum of the weights. Divide by the number of scenes: the mean.": slip(
            "counted.mean(), counted", "total / weights.sum(), counted"
        ),
        "You divided the variance by n - 1. Here it is divided by n.": slip(
            "counted.std()", "counted.std(ddof=1)"
        ),
        (
            "The third number is how many crashed. Weights that differ make the effective number "
            "smaller."
        ): returning(
            "np.array([counted.mean(), counted.std() / len(counted) ** 0.5, crashed.sum()])"
        ),
        "This is the variance of the mean. The standard error is its root.": slip(
            "counted.std() / len(counted) ** 0.5", "counted.var() / len(counted)"
        ),
        "You divided by n. The error of a mean shrinks with the root of n.": slip(
            "len(counted) ** 0.5", "len(counted)"
        ),
        "This is the sum of the weights of the crashes. The rate is their mean over all scenes.": slip(
            "counted.mean(), counted", "total, counted"
        ),
        "The sum of the weights must be squared in the effective number.": slip(
            "total**2 /", "total /"
        ),
    },
    alternatives=(_estimate_by_moments, _estimate_by_picking, _estimate_by_shares),
)
