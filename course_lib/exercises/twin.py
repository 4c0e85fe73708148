"""The exercises of lesson 18: a line, a belief, a forecast, a choice, a loop that feeds itself."""

import math

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import weibull_min

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.plots import BLUE, GREY, ORANGE
from course_lib.twin.decide import pick_threshold, regret
from course_lib.twin.follow import (
    exposure_log_likelihood,
    failure_chance,
    resample_shrunk,
    tools_seen,
)
from course_lib.twin.line import line_step

# --- a step of the line ----------------------------------------------------------------------------


def _line_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(able, buffers, room):
        return {"able": np.array(able, bool), "buffers": np.array(buffers), "room": int(room)}

    room = int(rng.integers(3, 7))
    n = 40
    anything = rng.integers(0, room + 1, (n, 2))
    return {
        "all machines work": case(np.ones((n, 3)), anything, room),
        "some are down": case(rng.random((n, 3)) < 0.6, anything, room),
        "full buffers": case(
            np.ones((4, 3)), [[room, room], [room, 0], [0, room], [room, 1]], room
        ),
        "empty buffers": case(rng.random((6, 3)) < 0.7, np.zeros((6, 2), int), room),
        "the last one is down": case(
            [[1, 1, 0]] * 6, rng.integers(room - 1, room + 1, (6, 2)), room
        ),
        "the second one is down": case([[1, 0, 1]] * 6, rng.integers(0, room + 1, (6, 2)), room),
        # The first machine of the first line must wait, and the second one of the second line.
        "room for one part": case(
            np.vstack([[[1, 0, 1], [1, 1, 0]], rng.random((12, 3)) < 0.8]),
            np.vstack([[[1, 0], [1, 1]], rng.integers(0, 2, (12, 2))]),
            1,
        ),
    }


def _line_probe(answer, able, buffers, room):
    worked, after = answer(able.astype(bool), buffers.copy(), room)
    return {"worked": np.asarray(worked, float), "buffers": np.asarray(after, float)}


def _line_by_loop(able, buffers, room):
    worked, after = np.zeros(able.shape, bool), np.array(buffers)
    for n, row in enumerate(after):
        for machine in (2, 1, 0):
            has_part = machine == 0 or row[machine - 1] > 0
            has_room = machine == 2 or row[machine] < room
            if able[n, machine] and has_part and has_room:
                worked[n, machine] = True
                if machine > 0:
                    row[machine - 1] -= 1
                if machine < 2:
                    row[machine] += 1
    return worked, after


def _line_by_changes(able, buffers, room):
    third = able[:, 2] * (buffers[:, 1] >= 1)
    second = able[:, 1] * (buffers[:, 0] >= 1) * (buffers[:, 1] - third <= room - 1)
    first = able[:, 0] * (buffers[:, 0] - second <= room - 1)
    work = np.column_stack([first, second, third]).astype(int)
    return work == 1, buffers + work[:, :2] - work[:, 1:]


def _line_by_where(able, buffers, room):
    full = buffers == room
    third = np.logical_and(able[:, 2], buffers[:, 1] != 0)
    second = able[:, 1] & (buffers[:, 0] != 0) & ~(full[:, 1] & ~third)
    first = np.where(full[:, 0] & ~second, False, able[:, 0])
    change = [first.astype(int) - second, second.astype(int) - third]
    return np.array([first, second, third]).T, buffers + np.array(change).T


def _line_from_the_front(able, buffers, room):
    first_works = able[:, 0] & (buffers[:, 0] < room)
    first = buffers[:, 0] + first_works
    second_works = able[:, 1] & (first > 0) & (buffers[:, 1] < room)
    second = buffers[:, 1] + second_works
    third_works = able[:, 2] & (second > 0)
    worked = np.stack([first_works, second_works, third_works], axis=1)
    return worked, np.stack([first - second_works, second - third_works], axis=1)


def _line_picture(answer):
    buffers, levels = np.zeros((1, 2), int), []
    for step in range(40):
        able = np.array([[True, True, not 10 <= step < 25]])
        buffers = np.asarray(answer(able, buffers, 8)[1])
        levels.append(buffers[0])
    fig, ax = plt.subplots(figsize=(5, 2.8))
    ax.axvspan(9.5, 24.5, color="#dde8f0", label="machine 3 is down")
    for column, (name, colour) in enumerate((("first buffer", BLUE), ("second buffer", ORANGE))):
        ax.step(range(40), np.array(levels)[:, column], where="mid", color=colour, label=name)
    ax.set(xlabel="step", ylabel="parts")
    ax.legend(fontsize=8)
    return fig, (
        "Parts in both buffers over 40 steps. While machine 3 is down, from step 10 to step 24, the second "
        "buffer fills up to 8, and then the first one does. Afterwards both stay where they are."
    )


LINE_STEP = Exercise(
    id="twin.line_step",
    title="A step of the line",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return which machines work in this step and the buffers after it: a machine works if it is able "
    "to, has a part before it and room behind it; the last machine goes first, so what it takes makes "
    "room; the first machine never lacks material, and the last one never lacks room.",
    hints=(
        "first, second = buffers.T gives the two buffers as arrays (n,).",
        "third_works = able[:, 2] & (second > 0); then second = second - third_works.",
        "second_works needs first > 0 and second < room; it changes both buffers.",
    ),
    reference=line_step,
    inputs=_line_cases,
    probe=_line_probe,
    numpy=True,
    picture=_line_picture,
    mistakes={
        (
            "The first machine goes first here: a part runs through the line in one step, and no room "
            "is made for it."
        ): _line_from_the_front,
        "The last machine works without a part before it.": slip(
            "able[:, 2] & (second > 0)", "able[:, 2]"
        ),
        "The second machine works without a part before it.": slip("(first > 0) & ", ""),
        "The second machine works without room behind it.": slip(" & (second < room)", ""),
        "The first machine works without room behind it.": slip(
            "able[:, 0] & (first < room)", "able[:, 0]"
        ),
        "A machine that is down works here.": slip("able[:, 1] & (first > 0)", "(first > 0)"),
        "The part that the last machine takes stays in the buffer.": slip(
            "second = second - third_works", "pass"
        ),
        "The two are in the wrong order: first which machines worked, then the buffers.": returning(
            "np.stack([first + first_works, second], axis=1), worked"
        ),
        "The parts of the first machine are missing from the first buffer.": slip(
            "[first + first_works, second]", "[first, second]"
        ),
        "The second machine takes a part out of the first buffer: subtract it there.": slip(
            "first - second_works, second + second_works", "first, second + second_works"
        ),
        "The second machine puts its part into the second buffer: add it there.": slip(
            "first - second_works, second + second_works", "first - second_works, second"
        ),
    },
    alternatives=(_line_by_loop, _line_by_changes, _line_by_where),
)

# --- likelihood with exposure ----------------------------------------------------------------------


def _exposure_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(r, start, failed):
        theta = np.stack([rng.normal(5.5, 0.4, (r, 8)), rng.normal(1.2, 0.4, (r, 8))], axis=2)
        begin = np.zeros(r) if start == 0 else rng.integers(1, 150, r).astype(float)
        return {
            "theta": theta,
            "start": begin,
            "end": begin + rng.integers(10, 150, r),
            "failed": np.broadcast_to(failed, r).astype(bool),
        }

    return {
        "new tools that go on": case(5, 0, False),
        "new tools that fail": case(5, 0, True),
        "used tools that go on": case(6, 1, False),
        "used tools that fail": case(6, 1, True),
        "all together": case(12, 1, rng.random(12) < 0.4),
        "nothing seen": case(0, 0, False),
    }


def _exposure_probe(answer, theta, start, end, failed):
    return np.asarray(answer(theta, start, end, failed.astype(bool)), float)


def _exposure_by_scipy(theta, start, end, failed):
    life, shape = np.exp(theta[..., 0]), np.exp(theta[..., 1])
    ends = weibull_min.logsf(end[:, None], shape, scale=life)
    dies = weibull_min.logpdf(end[:, None], shape, scale=life)
    before = weibull_min.logsf(start[:, None], shape, scale=life)
    return np.where(failed[:, None], dies, ends) - before


def _exposure_by_loop(theta, start, end, failed):
    found = np.zeros(theta.shape[:2])
    for r in range(len(theta)):
        for i, (log_life, log_shape) in enumerate(theta[r]):
            b, k = math.exp(log_life), math.exp(log_shape)
            found[r, i] = -((end[r] / b) ** k) + (start[r] / b) ** k
            if failed[r]:
                found[r, i] += math.log(k) - k * log_life + (k - 1) * math.log(end[r])
    return found


def _exposure_by_logs(theta, start, end, failed):
    log_life, log_shape = np.moveaxis(theta, 2, 0)
    k = np.exp(log_shape)
    late = k * (np.log(end)[:, None] - log_life)
    gone = np.exp(late)
    had = np.where(start > 0, start, 1)[:, None] ** k * np.exp(-k * log_life)
    had = had * (start > 0)[:, None]
    return had - gone + failed[:, None] * (log_shape + late - np.log(end)[:, None])


def _exposure_picture(answer):
    lives = np.linspace(80, 700, 200)
    theta = np.stack([np.log(lives), np.full(200, np.log(5.0))], axis=1)
    cases = {"worked from 0 to 200, goes on": (0, 200, False), "failed at 200": (0, 200, True)}
    cases["was 150 old, went on to 200"] = (150, 200, False)
    fig, ax = plt.subplots(figsize=(5, 3))
    for (name, (start, end, failed)), colour in zip(
        cases.items(), (BLUE, ORANGE, GREY), strict=True
    ):
        arrays = (np.array([float(start)]), np.array([float(end)]), np.array([failed]))
        value = np.asarray(answer(theta[None], *arrays))[0]
        ax.plot(lives, np.exp(value - value.max()), color=colour, label=name)
    ax.set(xlabel="life", ylabel="likelihood, highest = 1")
    ax.legend(fontsize=8)
    return fig, (
        "Likelihood of lives from 80 to 700 steps. A tool that failed at 200 gives a peak near 200; one "
        "that still works at 200 rules out short lives and says nothing about long ones; one that was "
        "seen from 150 to 200 rules out a little less."
    )


EXPOSURE = Exercise(
    id="twin.exposure_log_likelihood",
    title="Likelihood with exposure",
    points=3,
    minutes=15,
    difficulty=3,
    task="Return the log-likelihood (r, N) of r stretches of work under N particles: (s / b)^k - (e / "
    "b)^k for a tool that worked from the age s to the age e, and log(k / b) + (k - 1) log(e / "
    "b) more if it failed there. theta holds the logarithms of the life b and of the shape k.",
    hints=(
        "life, shape = np.exp(theta[..., 0]), np.exp(theta[..., 1]) are (r, N).",
        "start[:, None] has the shape (r, 1), so it fits to (r, N).",
        "np.where(failed[:, None], hazard, 0.0) adds the hazard only where a tool failed.",
    ),
    reference=exposure_log_likelihood,
    inputs=_exposure_cases,
    probe=_exposure_probe,
    numpy=True,
    picture=_exposure_picture,
    mistakes={
        "What a tool had already survived at the start counts again: add (s / b)^k.": slip(
            "(start / life) ** shape - (end / life) ** shape", "-((end / life) ** shape)"
        ),
        "A tool that goes on is treated like one that failed.": slip(
            "np.where(failed, hazard, 0.0)", "hazard"
        ),
        "Only failures count here. That a tool survived says something, too.": returning(
            "np.where(failed, hazard, 0.0)"
        ),
        "A tool that failed is treated like one that goes on: its hazard is missing.": returning(
            "survived"
        ),
        "The exponent of the hazard is k - 1.": slip("(shape - 1)", "shape"),
        "The hazard begins with log(k / b).": slip("np.log(shape / life)", "np.log(shape)"),
        "theta holds logarithms: take np.exp of both columns.": slip(
            "np.exp(theta[..., 0]), np.exp(theta[..., 1])",
            "np.abs(theta[..., 0]) + 1, np.abs(theta[..., 1]) + 1",
        ),
        "The sign is turned round: a longer stretch of work lowers the likelihood.": slip(
            "(start / life) ** shape - (end / life) ** shape",
            "(end / life) ** shape - (start / life) ** shape",
        ),
        "The hazard was subtracted. A failure adds it.": slip("survived + np", "survived - np"),
        "The hazard is that at the age where the tool failed, and not at the start.": slip(
            "np.log(end / life)", "np.log((start + 1) / life)"
        ),
        "This is the likelihood. Return its logarithm.": returning(
            "np.exp(survived + np.where(failed, hazard, 0.0))"
        ),
    },
    alternatives=(_exposure_by_scipy, _exposure_by_loop, _exposure_by_logs),
)

# --- resampling with shrinkage ---------------------------------------------------------------------


def _resample_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, keep, sharp):
        theta = rng.normal(size=(n, 2)) @ np.array([[0.4, 0.15], [0.0, 0.3]]) + [5.5, 1.2]
        weight = np.exp(-sharp * rng.random(n))
        return {
            "theta": theta,
            "weight": weight / weight.sum(),
            "keep": keep,
            "u": float(rng.random()),
            "noise": rng.normal(size=(n, 2)),
        }

    return {
        "nearly equal weights": case(40, 0.98, 0.3),
        "few particles count": case(60, 0.95, 12.0),
        "much shrinkage": case(30, 0.5, 3.0),
        "no shrinkage": case(30, 1.0, 3.0),
        "few particles": case(7, 0.9, 2.0),
    }


def _resample_by_counts(theta, weight, keep, u, noise):
    n = len(theta)
    passed = np.floor(np.cumsum(weight) * n - u + 1 - 1e-12)
    passed[-1] = n
    counts = np.diff(np.r_[0, passed]).astype(int)
    mean = np.average(theta, axis=0, weights=weight)
    covariance = np.cov(theta.T, aweights=weight, ddof=0)
    step = noise @ np.linalg.cholesky(covariance).T * math.sqrt(1 - keep**2)
    return mean + keep * (np.repeat(theta, counts, axis=0) - mean) + step


def _resample_by_loop(theta, weight, keep, u, noise):
    n, i, total = len(theta), 0, weight[0]
    mean = sum(w * t for w, t in zip(weight, theta, strict=True))
    away = theta - mean
    xx, xy, yy = (
        float((weight * away[:, a] * away[:, b]).sum()) for a, b in ((0, 0), (0, 1), (1, 1))
    )
    a = math.sqrt(xx)
    b, c = xy / a, math.sqrt(yy - (xy / a) ** 2)
    new = np.empty((n, 2))
    for j in range(n):
        while total < (j + u) / n and i < n - 1:
            i += 1
            total += weight[i]
        first, second = noise[j]
        jitter = np.array([a * first, b * first + c * second])
        new[j] = keep * theta[i] + (1 - keep) * mean + math.sqrt(1 - keep**2) * jitter
    return new


def _resample_by_einsum(theta, weight, keep, u, noise):
    n = len(theta)
    chosen = (
        (np.cumsum(weight)[None, :] < (np.arange(n)[:, None] + u) / n).sum(axis=1).clip(0, n - 1)
    )
    mean = np.einsum("n,nd->d", weight, theta)
    covariance = np.einsum("n,ni,nj->ij", weight, theta, theta) - np.outer(mean, mean)
    root = np.linalg.cholesky((1 - keep**2) * covariance + 1e-15 * np.eye(2))
    return (1 - keep) * mean + keep * theta[chosen] + np.einsum("ij,nj->ni", root, noise)


def _resample_picture(answer):
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(400, 2)) * [0.5, 0.4] + [5.8, 1.3]
    weight = np.exp(-0.5 * ((theta[:, 0] - 5.5 - 0.3 * (theta[:, 1] - 1.3)) / 0.08) ** 2)
    weight /= weight.sum()
    new = np.asarray(answer(theta, weight, 0.98, 0.5, rng.normal(size=(400, 2))))
    fig, ax = plt.subplots(figsize=(5, 3))
    ax.plot(*np.exp(theta).T, "o", ls="none", ms=2.5, color=GREY, label="before")
    ax.plot(*np.exp(new).T, "o", ls="none", ms=2.5, color=BLUE, label="drawn anew")
    ax.set(xlabel="life", ylabel="shape")
    ax.legend(fontsize=8)
    return fig, (
        "Lives and shapes of 400 particles before and after they were drawn anew: the grey cloud covers "
        "lives from about 100 to 1,000; the blue one is a narrow, slanted cloud around 245, without gaps."
    )


RESAMPLE = Exercise(
    id="twin.resample_shrunk",
    title="Resampling with shrinkage",
    points=3,
    minutes=18,
    difficulty=3,
    task="Return N particles of equal weight: particle i is drawn once for each point (j + u) / N that "
    "falls into its part of the cumulated weights; each drawn one becomes keep * theta + (1 - keep) * mean "
    "and gets sqrt(1 - keep^2) * noise[j] times the transposed lower Cholesky root of the weighted "
    "covariance.",
    hints=(
        "np.searchsorted(np.cumsum(weight), points) finds the particle of each point; cut at N - 1, as "
        "sums are rounded.",
        "mean = weight @ theta; covariance = (weight[:, None] * (theta - mean)).T @ (theta - mean).",
        "root = np.linalg.cholesky(covariance + 1e-12 * np.eye(2)), and the noise is noise @ root.T.",
    ),
    reference=resample_shrunk,
    inputs=_resample_cases,
    numpy=True,
    picture=_resample_picture,
    mistakes={
        "The particles do not move towards the mean, so with every resampling the cloud grows.": slip(
            "keep * theta[chosen] + (1 - keep) * mean", "theta[chosen]"
        ),
        "There is no noise: after some rounds all particles are copies of a few.": returning(
            "moved"
        ),
        "The noise has to have 1 - a^2 times the covariance, so its factor is sqrt(1 - a^2).": slip(
            "np.sqrt(1 - keep**2)", "(1 - keep)"
        ),
        "The mean has to be weighted.": slip("weight @ theta", "theta.mean(axis=0)"),
        "The covariance has to be weighted.": slip(
            "(weight[:, None] * (theta - mean)).T", "(theta - mean).T / n"
        ),
        "The noise has to have the covariance of the particles: multiply it by the root.": slip(
            "noise @ root.T", "noise"
        ),
        "All particles were kept as they were. Draw them by their weights.": slip(
            "theta[chosen]", "theta"
        ),
        "noise @ root has another covariance: transpose the root.": slip("root.T", "root"),
        "keep and 1 - keep have changed places.": slip(
            "keep * theta[chosen] + (1 - keep) * mean",
            "(1 - keep) * theta[chosen] + keep * mean",
        ),
        "The points all use the place j alone: add u.": slip(
            "(np.arange(n) + u) / n", "(np.arange(n) + 0.5) / n"
        ),
        "You subtracted the noise. Add it.": slip("moved + np", "moved - np"),
    },
    alternatives=(_resample_by_counts, _resample_by_loop, _resample_by_einsum),
)

# --- a forecast of failure -------------------------------------------------------------------------


def _chance_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, age, until, sharp=2.0):
        weight = np.exp(-sharp * rng.random(n))
        return {
            "theta": np.stack([rng.normal(5.6, 0.3, n), rng.normal(1.3, 0.3, n)], axis=1),
            "weight": weight / weight.sum(),
            "age": float(age),
            "until": float(until),
        }

    age = int(rng.integers(80, 160))
    return {
        "a new tool": case(30, 0, age),
        "a used tool": case(30, age, age + 72),
        "an old tool": case(30, 3 * age, 3 * age + 72),
        "one step": case(30, age, age + 1),
        "no time": case(20, age, age),
        "uneven weights": case(50, age, age + 100, 20.0),
    }


def _chance_by_survival(theta, weight, age, until):
    survival = [
        weibull_min.sf(x, np.exp(theta[:, 1]), scale=np.exp(theta[:, 0])) for x in (until, age)
    ]
    return 1 - np.average(survival[0] / survival[1], weights=weight)


def _chance_by_loop(theta, weight, age, until):
    total = 0.0
    for (log_life, log_shape), w in zip(theta, weight, strict=True):
        k = math.exp(log_shape)
        total += w * math.exp((age**k - until**k) / math.exp(k * log_life))
    return sum(weight) - total


def _chance_by_sum(theta, weight, age, until):
    b, k = np.exp(theta[:, 0]), np.exp(theta[:, 1])
    hazard = np.power(until / b, k) - np.power(age / b, k)
    return np.sum(weight * (1 - np.exp(-hazard)))


def _chance_picture(answer):
    rng = np.random.default_rng(0)
    theta = np.stack([rng.normal(np.log(300), 0.1, 300), rng.normal(np.log(5), 0.2, 300)], axis=1)
    ages = np.arange(0, 400, 10)
    chance = [float(answer(theta, np.full(300, 1 / 300), float(a), float(a + 144))) for a in ages]
    fig, ax = plt.subplots(figsize=(5, 2.8))
    ax.plot(ages, chance, color=BLUE)
    ax.set(xlabel="age of the tool, steps", ylabel="chance to fail", ylim=(0, 1))
    return fig, (
        "The chance that a tool fails within 144 more steps of work, against its age: it rises from a few "
        "hundredths for a new tool to nearly 1 at an age of 350, where the believed life is 300."
    )


CHANCE = Exercise(
    id="twin.failure_chance",
    title="A forecast of failure",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the chance that a tool which works at the age `age` fails before the age `until`: "
    "the weighted mean over the particles of 1 - exp(-((until / b)^k - (age / b)^k)). theta "
    "holds the logarithms of the life b and of the shape k.",
    hints=(
        "life, shape = np.exp(theta).T gives two arrays (N,).",
        "Compute the chance for each particle, and then the mean: weight @ chances.",
    ),
    reference=failure_chance,
    inputs=_chance_cases,
    numpy=True,
    picture=_chance_picture,
    mistakes={
        (
            "This is the chance for a new tool. The tool has already survived to its age: subtract (age "
            "/ b)^k."
        ): slip("(until / life) ** shape - (age / life) ** shape", "(until / life) ** shape"),
        "This is the chance of survival. Return 1 minus it.": slip(
            "-np.expm1(-wear)", "np.exp(-wear)"
        ),
        "Take the mean of the chances, not the chance at the mean life and shape.": slip(
            "np.exp(theta).T", "np.exp(weight @ theta)[:, None] + 0 * theta.T"
        ),
        "The particles have weights: take the weighted mean.": slip(
            "weight @ -np.expm1(-wear)", "np.mean(-np.expm1(-wear))"
        ),
        "The tool works until - age steps longer, but it is not new: its age counts.": slip(
            "(until / life) ** shape - (age / life) ** shape", "((until - age) / life) ** shape"
        ),
        "The sign of the exponent is turned round: exp(-(...)).": slip(
            "-np.expm1(-wear)", "np.expm1(np.minimum(wear, 5))"
        ),
        "This is the sum of wear itself. The chance is 1 - exp(-wear).": returning(
            "float(weight @ wear)"
        ),
        "theta holds logarithms: take np.exp.": slip("np.exp(theta).T", "(np.abs(theta) + 1).T"),
        (
            "Particles with a wear above 1 were counted as sure failures, the others as none. "
            "Take the weighted mean of the chances."
        ): returning("float(weight @ (wear > 1))"),
        "A part of the age was subtracted from until, which is an age already. Leave it as it is.": slip(
            "(until / life)", "((until - age / 2) / life)"
        ),
        "The shape is missing: each fraction is raised to the power of k.": slip(
            "(until / life) ** shape - (age / life) ** shape", "until / life - age / life"
        ),
    },
    alternatives=(_chance_by_survival, _chance_by_loop, _chance_by_sum),
)

# --- the choice of a threshold ---------------------------------------------------------------------


def _pick_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def once(means, spread, own, current, r, gain):
        luck = rng.normal(0, spread, r)
        noise = rng.normal(size=(len(means), r))
        noise -= noise.mean(axis=1, keepdims=True)
        noise /= noise.std(axis=1, ddof=1, keepdims=True)
        values = np.array(means, float)[:, None] + luck + own * noise
        if gain is not None:  # the best one is ahead by this many standard errors of the difference
            best = int(np.argmax(means))
            difference = values[best] - values[current]
            values[best] += gain * difference.std(ddof=1) / math.sqrt(r) - difference.mean()
        order = rng.permutation(len(means))
        return values[order], int(np.argmax(order == current))

    def case(means, spread, own, current, r=12, gain=None):
        """Sixteen choices of one kind, each with its rows in another order."""
        drawn = [once(means, spread, own, current, r, gain) for _ in range(16)]
        values, rows = zip(*drawn, strict=True)
        return {"values": np.array(values), "current": np.array(rows)}

    base = [400, 406, 412, 418, 424]
    return {
        "a clear winner": case(base, 5, 2, 1),
        "much luck in common": case(base, 80, 2, 0),
        "within the error": case([400, 400.5, 400.2], 5, 30, 0, gain=0.6),
        "just above the error": case([400, 430, 390], 20, 3, 0, gain=1.02),
        "just below the error": case([390, 430, 400], 20, 3, 2, gain=0.98),
        "the current one is the best": case(base, 10, 2, 4),
        "two runs only": case([400, 408, 390], 30, 1, 0, r=2),
    }


def _pick_probe(answer, values, current):
    chosen = [answer(v, int(row)) for v, row in zip(values, current, strict=True)]
    return np.array([float(row) for row in chosen])


def _pick_by_loop(values, current):
    r = len(values[0])
    best = max(range(len(values)), key=lambda i: sum(values[i]))
    gains = [a - b for a, b in zip(values[best], values[current], strict=True)]
    mean = sum(gains) / r
    variance = sum((g - mean) ** 2 for g in gains) / (r - 1)
    return best if mean**2 > variance / r and mean > 0 else current


def _pick_by_t(values, current):
    gain = values - values[current]
    best = int(np.argmax(gain.sum(axis=1)))
    needed = np.std(gain[best], ddof=1) / len(gain[best]) ** 0.5
    return best if best != current and np.mean(gain[best]) > needed else current


def _pick_by_covariance(values, current):
    best = int(np.argmax(values.mean(axis=1)))
    both = np.cov(values[[best, current]])
    error = np.sqrt(max(both[0, 0] + both[1, 1] - 2 * both[0, 1], 0) / values.shape[1])
    return (current, best)[int(values[best].mean() - values[current].mean() > error + 1e-9)]


def _pick_unpaired(values, current):
    best = int(values.mean(axis=1).argmax())
    n = values.shape[1]
    error = np.sqrt((values[best].var(ddof=1) + values[current].var(ddof=1)) / n)
    return best if values[best].mean() - values[current].mean() > error else current


def _pick_picture(answer):
    rng = np.random.default_rng(0)
    luck = rng.normal(0, 25, 200)
    gains = np.linspace(-6, 12, 19)
    taken = []
    for gain in gains:
        runs = [
            np.stack(
                [400 + luck[k : k + 10], 400 + gain + luck[k : k + 10] + rng.normal(0, 12, 10)]
            )
            for k in range(100)
        ]
        taken.append(np.mean([int(answer(values, 0)) == 1 for values in runs]))
    fig, ax = plt.subplots(figsize=(5, 2.8))
    ax.plot(gains, taken, "o-", color=BLUE, ms=3)
    ax.set(
        xlabel="true gain of the other candidate, money a day", ylabel="taken", ylim=(-0.02, 1.02)
    )
    return fig, (
        "How often the other candidate is taken, against its true gain: hardly ever if it loses 6, in "
        "about a sixth of the cases if there is no difference, and nearly always if it gains 12."
    )


PICK = Exercise(
    id="twin.pick_threshold",
    title="A search with common random numbers",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return the row with the highest mean if its mean difference from the current row, column by "
    "column, is above the standard error of that difference (standard deviation with n - 1, over the root "
    "of n); else return the current row.",
    hints=(
        "gain = values[best] - values[current] is a number for each column, that is for each luck.",
        "The standard error is gain.std(ddof=1) / np.sqrt(len(gain)).",
    ),
    reference=pick_threshold,
    inputs=_pick_cases,
    probe=_pick_probe,
    numpy=True,
    picture=_pick_picture,
    mistakes={
        "The best row is always taken here, even if it is better by chance only.": returning(
            "best"
        ),
        (
            "The spread of the rows was used. Take the spread of the differences, column by column: the "
            "luck is common to both."
        ): _pick_unpaired,
        "The current row is always kept.": returning("current"),
        "Divide the standard deviation by the root of the number of columns.": slip(
            " / np.sqrt(len(gain))", ""
        ),
        "The standard deviation of a sample divides by n - 1: ddof=1.": slip("ddof=1", "ddof=0"),
        "This is the gain. Return the row.": returning("float(gain.mean())"),
        "One column decided. Take the mean over all columns.": slip(
            "values.mean(axis=1).argmax()", "values[:, 0].argmax()"
        ),
        "This is the error. Return the row.": returning("float(error)"),
        "The mean of the best row. Return its place.": returning("float(values[best].mean())"),
        "This is the row after the best one. Count from 0: argmax gives the place already.": returning(
            "(best + 1 if gain.mean() > error else current)"
        ),
    },
    alternatives=(_pick_by_loop, _pick_by_t, _pick_by_covariance),
)

# --- regret ----------------------------------------------------------------------------------------


def _regret_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(days, factories, window, loss):
        best = rng.uniform(300, 500, (days, factories))
        best[:: max(days // 3, 1)] *= 0.2
        return {
            "earned": best * (1 - loss * rng.random(best.shape)),
            "best": best,
            "window": window,
        }

    return {
        "one factory": case(12, 1, 4, 0.2),
        "many factories": case(15, 6, 5, 0.3),
        "a window of one day": case(8, 3, 1, 0.3),
        "a window of all days": case(9, 2, 9, 0.5),
        "one day": case(1, 4, 1, 0.4),
        "better than the oracle": case(10, 2, 3, -0.1),
        "a window longer than the days": case(5, 2, 8, 0.3),
    }


def _regret_by_loop(earned, best, window):
    found = []
    for day in range(1, len(earned) + 1):
        days = slice(max(day - window, 0), day)
        found.append(1 - earned[days].sum() / best[days].sum())
    return np.array(found)


def _regret_by_convolution(earned, best, window):
    kernel = np.ones(window)
    mine, theirs = (np.convolve(x.sum(axis=1), kernel)[: len(x)] for x in (earned, best))
    return (theirs - mine) / theirs


def _regret_by_matrix(earned, best, window):
    day = np.arange(len(earned))
    counted = (day[None, :] <= day[:, None]) & (day[None, :] > day[:, None] - window)
    return 1 - (counted @ earned).sum(axis=1) / (counted @ best).sum(axis=1)


def _regret_of_all_days(earned, best, window):
    return 1 - np.cumsum(earned.sum(axis=1)) / np.cumsum(best.sum(axis=1))


def _regret_of_ratios(earned, best, window):
    ratio = 1 - earned / best
    return np.array([ratio[max(d - window, 0) : d].mean() for d in range(1, len(ratio) + 1)])


def _regret_one_day_more(earned, best, window):
    return _regret_by_loop(earned, best, window + 1)


def _regret_of_own(earned, best, window):
    found = []
    for day in range(1, len(earned) + 1):
        days = slice(max(day - window, 0), day)
        found.append(best[days].sum() / earned[days].sum() - 1)
    return np.array(found)


def _regret_in_money(earned, best, window):
    lost = (best - earned).sum(axis=1)
    return np.array([lost[max(d - window, 0) : d].sum() for d in range(1, len(lost) + 1)])


def _regret_picture(answer):
    best = np.full((60, 1), 420.0)
    earned = best * (1 - np.r_[np.full(30, 0.02), np.linspace(0.4, 0.02, 30)])[:, None]
    fig, ax = plt.subplots(figsize=(5, 2.8))
    ax.plot(range(1, 61), 1 - (earned / best)[:, 0], color=GREY, label="each day")
    ax.plot(range(1, 61), answer(earned, best, 10), color=BLUE, label="the last 10 days")
    ax.set(xlabel="day", ylabel="regret")
    ax.legend(fontsize=8)
    return fig, (
        "Regret by the day and over the last ten days. Both stay at 0.02 until day 30. Then the one by the "
        "day jumps to 0.4 and falls in a straight line, and the other rises over ten days and follows it."
    )


REGRET = Exercise(
    id="twin.regret",
    title="Regret",
    points=1,
    minutes=10,
    difficulty=1,
    task="Return for each day the share of the oracle's money that was lost over the last `window` days: "
    "1 minus the money earned on these days in all factories over that of the oracle; on the first days "
    "take those that there are.",
    hints=(
        "Add the factories first: earned.sum(axis=1) is the money of a day.",
        "For day d the days are slice(max(d + 1 - window, 0), d + 1).",
    ),
    reference=regret,
    inputs=_regret_cases,
    numpy=True,
    picture=_regret_picture,
    mistakes={
        "All days since the first one were counted. Take the last ones only.": _regret_of_all_days,
        (
            "This is a mean of shares. Add the money first, and divide then: a day of little money "
            "counts little."
        ): _regret_of_ratios,
        "One day too many is in the window.": _regret_one_day_more,
        "Divide by the oracle's money, not by what was earned.": _regret_of_own,
        "This is the money lost. Divide it by that of the oracle.": _regret_in_money,
        "This is what was kept. The regret is 1 minus it.": returning("1 - lost / paid"),
        "The sign is turned round: the oracle's money minus the money earned.": slip(
            "best - earned", "earned - best"
        ),
        "Percent: the share should not be multiplied by 100.": returning("100 * lost / paid"),
        "Only the first factory was counted. Add up all of them.": slip("x.sum(axis=1)", "x[:, 0]"),
        "This is the last day alone. Return one number for each day.": returning(
            "(lost / paid)[-1:]"
        ),
    },
    alternatives=(_regret_by_loop, _regret_by_convolution, _regret_by_matrix),
)

# --- the self-feeding loop -------------------------------------------------------------------------


def _seen_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(r, share, threshold, sharp=2.0):
        lasts = 250 * rng.exponential(size=r) ** 0.25
        weight = np.exp(-sharp * rng.random(25))
        return {
            "age": np.ceil(np.minimum(lasts, threshold)),
            "failed": lasts <= threshold,
            "theta": np.stack([rng.normal(5.6, 0.3, 25), rng.normal(1.3, 0.3, 25)], axis=1),
            "weight": weight / weight.sum(),
            "share": share,
            "u": rng.random((r, 2)),
            "wear": rng.exponential(size=r),
            "threshold": float(threshold),
        }

    just = case(30, 0.0, 200)  # a third of its imagined tools last just as long as the threshold
    just["theta"] = np.tile(np.log([250.0, 1.0]), (25, 1))
    just["wear"][::3] = 0.799
    return {
        "only its own output": case(12, 0.0, 500),
        "only the real line": case(20, 1.0, 200),
        "a quarter is real": case(40, 0.25, 220),
        "half is real": case(40, 0.5, 180),
        "uneven weights": case(40, 0.1, 260, 30.0),
        "tools that fail at the threshold": just,
    }


def _seen_probe(answer, age, failed, theta, weight, share, u, wear, threshold):
    ages, fails = answer(age, failed.astype(bool), theta, weight, share, u, wear, threshold)
    return {"age": np.asarray(ages, float), "failed": np.asarray(fails, float)}


def _seen_by_loop(age, failed, theta, weight, share, u, wear, threshold):
    ages, fails = np.array(age, float), np.array(failed, bool)
    for j in range(len(age)):
        if u[j, 0] >= share:
            i, total = 0, weight[0]
            while total < u[j, 1] and i < len(weight) - 1:
                i += 1
                total += weight[i]
            lasts = math.ceil(math.exp(theta[i, 0]) * wear[j] ** math.exp(-theta[i, 1]))
            ages[j], fails[j] = min(lasts, threshold), lasts <= threshold
    return ages, fails


def _seen_by_mask(age, failed, theta, weight, share, u, wear, threshold):
    own = ~(u[:, 0] < share)
    i = np.clip((np.cumsum(weight) < u[own, 1][:, None]).sum(axis=1), 0, len(weight) - 1)
    lasts = np.ceil(np.exp(theta[i, 0] + np.log(wear[own]) / np.exp(theta[i, 1])))
    ages, fails = age.astype(float), failed.copy()
    fails[own] = ~(lasts > threshold)
    ages[own] = np.where(fails[own], lasts, threshold)
    return ages, fails


def _seen_by_choose(age, failed, theta, weight, share, u, wear, threshold):
    edges = np.cumsum(weight)
    edges[-1] = 1.0
    life, shape = (np.exp(theta[np.searchsorted(edges, u[:, 1]), c]) for c in (0, 1))
    lasts = np.ceil(life * np.power(wear, 1 / shape))
    real = np.asarray(u[:, 0] < share, float)
    ages = real * age + (1 - real) * np.clip(lasts, None, threshold)
    return ages, np.where(real == 1, failed, np.less_equal(lasts, threshold))


def _seen_picture(answer):
    rng = np.random.default_rng(0)
    n = 600
    real = 165 * rng.exponential(size=n) ** (1 / 6)
    theta = np.stack([np.full(50, np.log(330.0)), np.full(50, np.log(5.0))], axis=1)
    fig, ax = plt.subplots(figsize=(5, 2.8))
    for share, colour in ((0.0, ORANGE), (0.5, GREY), (1.0, BLUE)):
        ages, _ = answer(
            np.ceil(real), np.ones(n, bool), theta, np.full(50, 0.02), share,
            rng.random((n, 2)), rng.exponential(size=n), 1000.0,
        )  # fmt: skip
        ax.hist(
            ages, np.arange(0, 560, 20), histtype="step", color=colour, label=f"share {share:g}"
        )
    ax.set(xlabel="age at the end, steps", ylabel="tools")
    ax.legend(fontsize=8)
    return fig, (
        "Ages of 600 tools as the twin sees them. With share 1 all end near 160, which is the truth; with "
        "share 0 near 310, which is what the twin believes; with one half there are both peaks."
    )


SEEN = Exercise(
    id="twin.tools_seen",
    title="The self-feeding loop and its cure",
    points=2,
    minutes=15,
    difficulty=2,
    task="Return the ages and the failures of the tools that the twin sees. Tool j is the real one "
    "where u[j, 0] < share. Else it is imagined with the first particle whose cumulated weight "
    "reaches u[j, 1] (theta holds log life and log shape): it lasts life * wear[j]^(1 / shape) "
    "steps, rounded up. If that is at most the threshold, it fails then; otherwise it is "
    "replaced at the threshold.",
    hints=(
        "np.searchsorted(np.cumsum(weight), u[:, 1]) gives the particles; cut at N - 1 for rounding.",
        "life, shape = np.exp(theta[chosen]).T, and lasts = np.ceil(life * wear ** (1 / shape)).",
        "np.where(u[:, 0] < share, age, np.minimum(lasts, threshold)) are the ages.",
    ),
    reference=tools_seen,
    inputs=_seen_cases,
    probe=_seen_probe,
    numpy=True,
    picture=_seen_picture,
    mistakes={
        "Real and imagined tools have changed places.": slip("u[:, 0] < share", "u[:, 0] >= share"),
        "The particles have weights: draw by the cumulated weights.": slip(
            "np.cumsum(weight)", "np.arange(1, len(weight) + 1) / len(weight)"
        ),
        "An imagined tool that has not failed is replaced at the threshold: its age stops there.": slip(
            "np.minimum(lasts, threshold)", "lasts"
        ),
        "A tool lasts life times wear to the power of 1 / shape.": slip(
            "wear ** (1 / shape)", "wear**shape"
        ),
        "Every imagined tool has failed here. One that was replaced has not.": slip(
            "lasts <= threshold", "lasts > 0"
        ),
        "Failed and replaced have changed places among the imagined tools.": slip(
            "lasts <= threshold", "lasts > threshold"
        ),
        "The steps were rounded down. Round up.": slip("np.ceil", "np.floor"),
        "The exponent is 1 / shape.": slip("wear ** (1 / shape)", "wear"),
        "The two are in the wrong order: first the ages, then the failures.": returning(
            "(np.where(real, failed, lasts <= threshold), np.where(real, age, np.minimum(lasts, "
            "threshold)))"
        ),
        "All tools use the first particle. Each draws its own.": slip(
            "theta[chosen]", "theta[0 * chosen]"
        ),
        "A tool that lasts just until the threshold has failed: compare with <=.": slip(
            "lasts <= threshold", "lasts < threshold"
        ),
    },
    alternatives=(_seen_by_loop, _seen_by_mask, _seen_by_choose),
)
