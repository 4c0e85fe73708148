"""The exercises of lesson 05: encoding a table, the loss, a copula, conditions and constraints."""

import math
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import norm, rankdata

from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.models.tabular.textbook import (
    conditional_normal,
    draw_levels,
    gaussian_copula,
    mixed_loss,
    normal_scores,
    one_hot,
    sample_where,
)
from course_lib.plots import BLUE, GREY, ORANGE

# --- numbers ------------------------------------------------------------------------------------


def _scores_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {
        "no two values are equal": {"x": rng.exponential(3, 9)},
        "whole numbers with ties": {"x": rng.integers(0, 5, 20).astype(float)},
        "half of the values are zero": {"x": np.r_[np.zeros(12), rng.exponential(2, 12)]},
    }


def _scores_probe(answer, x):
    values, scores = answer(x)
    return {"values": np.asarray(values), "scores": np.asarray(scores)}


def _scores_by_ranks(x):
    order = np.sort(x)
    middle = (rankdata(order) - 0.5) / len(order)
    first = np.r_[True, order[1:] > order[:-1]]
    return order[first], norm.ppf(middle[first])


def _scores_by_counting(x):
    values = sorted(set(x.tolist()))
    share = [((x < v).sum() + (x <= v).sum()) / (2 * len(x)) for v in values]
    return np.array(values), math.sqrt(2) * torch.erfinv(2 * torch.tensor(share) - 1).numpy()


def _scores_picture(answer):
    rng = np.random.default_rng(0)
    x = np.r_[np.zeros(300), rng.lognormal(1, 0.8, 900)]
    values, scores = answer(x)
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.8))
    left.hist(x, 40, color=GREY)
    left.set(xlabel="value", ylabel="rows", title="As it is")
    right.hist(np.interp(x, values, scores), 40, color=BLUE)
    right.set(xlabel="normal score", title="Normal scores")
    return fig, (
        "Left: a quarter of the values is 0, the rest has a long tail to the right. Right: their normal "
        "scores are bell-shaped above one tall bar, which holds all the zeros."
    )


def _scores_by_bisection(x):
    order = np.sort(x)
    values = np.unique(order)
    below, upto = (np.searchsorted(order, values, side) for side in ("left", "right"))
    return values, norm.isf(1 - (below + upto) / (2 * len(x)))


NORMAL_SCORES = Exercise(
    id="tables.normal_scores",
    title="Numbers as normal scores",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the distinct values of a column in order, and for each the normal score of its place: "
    "the quantile of N(0, 1) at the share of rows below it plus half of those at it.",
    hints=(
        "np.unique(x, return_counts=True) gives the sorted values and how often each occurs.",
        "np.cumsum(counts) counts the rows up to and with each value. Take away half of its own.",
        "scipy.stats.norm.ppf turns a share between 0 and 1 into a normal score.",
    ),
    reference=normal_scores,
    inputs=_scores_cases,
    probe=_scores_probe,
    numpy=True,
    picture=_scores_picture,
    rtol=1e-3,
    mistakes={
        (
            "The last value gets an infinite score: the share up to and with it is 1. Count only half "
            "of the rows at the value itself."
        ): slip(" - counts / 2", ""),
        (
            "The first value gets a score of minus infinity: no row is below it. Add half of the rows "
            "at the value itself."
        ): slip("counts / 2", "counts"),
        (
            "Equal values were counted once. A value that many rows share takes as much of the normal "
            "distribution as there are rows: use the counts."
        ): slip(
            "values, counts = np.unique(x, return_counts=True)",
            "values = x = np.unique(x)\n    counts = np.ones(len(x))",
        ),
        "These are the shares, spread evenly over 0 to 1. One step is missing: norm.ppf.": returning(
            "values, middle / len(x)"
        ),
        (
            "This shifts and stretches the column, which keeps its shape. Normal scores depend on the "
            "order of the values alone."
        ): returning("values, (values - x.mean()) / x.std()"),
        (
            "n + 1 avoids the infinite score at one end but is not even: ties must take the middle of "
            "the rows that share them."
        ): slip(" - counts / 2", "", "len(x)", "(len(x) + 1)"),
        "The two are in the wrong order: first the values, then their scores.": returning(
            "norm.ppf(middle / len(x)), values"
        ),
        "norm.cdf leads from a score to a share. You need the way back: norm.ppf.": slip(
            "norm.ppf", "norm.cdf"
        ),
        "The sign is turned round: the largest value should have the largest score.": returning(
            "values, -norm.ppf(middle / len(x))"
        ),
        "These are numbers of rows. norm.ppf needs shares from 0 to 1: divide by len(x).": returning(
            "values, norm.ppf(middle)"
        ),
        "You divided by the number of distinct values. Divide by the number of rows, len(x).": returning(
            "values, norm.ppf(middle / len(values))"
        ),
        "These are the shares, stretched to -1 to 1. One step is missing: norm.ppf.": returning(
            "values, 2 * middle / len(x) - 1"
        ),
        (
            "The shares of the values were not summed up: the share below a value is np.cumsum(counts) "
            "- counts."
        ): slip("np.cumsum(counts) - counts / 2", "counts / 2"),
    },
    alternatives=(_scores_by_ranks, _scores_by_counting, _scores_by_bisection),
)

# --- categories -----------------------------------------------------------------------------------


def _one_hot_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(codes, levels):
        return {"codes": codes, "levels": levels}

    some = rng.integers(0, 4, 12)
    some[[1, 5]] = -1
    return {
        "three levels, none missing": case(rng.permutation(np.arange(9) % 3), 3),
        "four levels, some missing": case(some, 4),
        "a level that no row has": case(np.array([0, -1, 2, 0]), 5),
    }


def _one_hot_picture(answer):
    codes = np.array([0, 2, -1, 1, 0, -1, 2, 2])
    fig, ax = plt.subplots(figsize=(3.2, 3))
    ax.imshow(answer(codes, 3), cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    ax.set_xticks(range(4), ["basic", "secondary", "higher", "missing"], rotation=30)
    ax.set_yticks(range(8), [f"row {i}" for i in range(8)])
    ax.grid(False)
    return fig, (
        "Eight rows of four columns, basic, secondary, higher and missing. Each row has one dark "
        "field, in the column of its level; the third and the sixth are missing."
    )


def _one_hot_loop(codes, levels):
    rows = [[0] * (levels + 1) for _ in codes]
    for row, code in zip(rows, codes, strict=True):
        row[levels if code == -1 else code] = 1
    return rows


ONE_HOT = Exercise(
    id="tables.one_hot",
    title="Categories, and what is missing",
    points=1,
    minutes=6,
    difficulty=1,
    task="Return a column of levels (0, 1, ...; -1 where the value is missing) as one-hot rows, with one "
    "more column, the last, for a missing value.",
    hints=(
        "The result has levels + 1 columns, whichever levels the rows happen to have.",
        "np.eye(levels + 1) holds each of the wanted rows once. Which of them is that of a missing "
        "value?",
    ),
    reference=one_hot,
    inputs=_one_hot_cases,
    probe=call_for_array,
    numpy=True,
    picture=_one_hot_picture,
    mistakes={
        (
            "There is no column for a missing value. That a value is missing can tell something as "
            "well, and a model should learn it."
        ): returning("np.eye(levels + 1)[states][:, :-1]"),
        (
            "A missing value got a row of zeros, which no softmax can give back. It is a state of its "
            "own: a 1 in the last column."
        ): returning("np.eye(levels + 1)[states] * (codes >= 0)[:, None]"),
        (
            "Missing values were counted as the last level: an index of -1 is the last column, and that "
            "must be the one for missing values."
        ): slip("levels, codes", "levels - 1, codes"),
        (
            "There must be a column for every level, also for one that these rows do not have: the next "
            "rows may have it."
        ): returning("(codes[:, None] == np.unique(codes)).astype(float)"),
        "The column for missing values comes last, after all levels.": returning(
            "np.roll(np.eye(levels + 1)[states], 1, axis=1)"
        ),
        "These are the numbers of the states. Make a row of zeros with a single 1 of each.": returning(
            "states"
        ),
        "Rows and columns are swapped: each value of the column is a row.": returning(
            "np.eye(levels + 1)[states].T"
        ),
        (
            "The rows with a missing value were left out. Keep them: there must be as many rows as "
            "codes."
        ): returning("np.eye(levels + 1)[states[codes >= 0]]"),
        "Missing values were counted as level 0. They have a state of their own, the last.": slip(
            "levels, codes", "0, codes"
        ),
        (
            "All columns up to the level are 1 here, as if levels were amounts. Only the level's own "
            "column is 1."
        ): returning("(np.arange(levels + 1) <= states[:, None]).astype(float)"),
        "The other columns hold -1. They should hold 0.": returning(
            "2 * np.eye(levels + 1)[states] - 1"
        ),
        (
            "Missing values became NaN, on which nothing can be trained. They get a 1 in the last "
            "column."
        ): returning("np.where(codes[:, None] < 0, np.nan, np.eye(levels + 1)[states])"),
        "The column of level 0 was left out. Every level has one.": returning(
            "np.eye(levels + 1)[states][:, 1:]"
        ),
    },
    alternatives=(
        returning("np.eye(levels + 1)[codes]"),  # -1 is the last row
        returning("(codes[:, None] == np.append(np.arange(levels), -1)).astype(int)"),
        _one_hot_loop,
    ),
)

# --- the loss -------------------------------------------------------------------------------------


def _loss_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(numbers, levels, rows=5):
        target = [rng.normal(size=(rows, numbers))]
        target += [np.eye(width)[rng.integers(0, width, rows)] for width in levels]
        target = np.concatenate(target, axis=1)
        output = rng.normal(size=target.shape)
        inputs = {"output": output, "target": target, "numbers": numbers}
        return {**inputs, "levels": np.array(levels, int)}

    return {
        "two numbers": case(2, []),
        "a category of four levels": case(0, [4]),
        "three numbers, two categories": case(3, [2, 5]),
    }


def _loss_probe(answer, output, target, numbers, levels):
    return answer(output, target, numbers, levels.tolist())


def _loss_by_split(output, target, numbers, levels):
    parts = [numbers, *levels]
    total = 0
    for i, (said, true) in enumerate(
        zip(output.split(parts, dim=1), target.split(parts, dim=1), strict=True)
    ):
        if i == 0:
            total = total + ((said - true) ** 2 / 2).sum(1)
        else:
            total = total + F.cross_entropy(said, true.argmax(1), reduction="none")
    return total


def _loss_by_likelihood(output, target, numbers, levels):
    normal = torch.distributions.Normal(output[:, :numbers], 1.0)
    log_p = (normal.log_prob(target[:, :numbers]) + 0.5 * math.log(2 * math.pi)).sum(1)
    start = numbers
    for width in levels:
        chances = output[:, start : start + width].softmax(1)
        log_p = log_p + (chances * target[:, start : start + width]).sum(1).log()
        start += width
    return -log_p


def _loss_picture(answer):
    x = torch.linspace(-3, 3, 61)
    rows = torch.zeros(61, 3)
    rows[:, 0] = x
    number = answer(rows[:, :1], torch.zeros(61, 1), 1, [])
    logits = torch.stack([x, torch.zeros(61)], dim=1)
    category = answer(logits, torch.tensor([[1.0, 0.0]]).expand(61, 2), 0, [2])
    fig, ax = plt.subplots(figsize=(4.2, 3))
    ax.plot(x, number, color=BLUE, label="a number, off by x")
    ax.plot(
        x, category, color=ORANGE, linestyle="--", label="a category, logit x of the right level"
    )
    ax.set(xlabel="x", ylabel="loss in nats", ylim=(0, 5))
    ax.legend(fontsize=8)
    return fig, (
        "A number's loss is a parabola with its minimum 0 where the output is right. A category's "
        "falls from 3 nats to nearly 0 as the logit of the right level rises."
    )


def _loss_row_by_row(output, target, numbers, levels):
    losses = []
    for said, true in zip(output, target, strict=True):
        loss = ((said[:numbers] - true[:numbers]) ** 2).sum() / 2
        start = numbers
        for width in levels:
            logits, level = said[start : start + width], true[start : start + width].argmax()
            loss = loss + logits.logsumexp(0) - logits[level]
            start += width
        losses.append(loss)
    return torch.stack(losses)


MIXED_LOSS = Exercise(
    id="tables.mixed_loss",
    title="The loss of a mixed row",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return each row's loss in nats: half the squared error for every number, and the cross-entropy "
    "for every category, each with a softmax of its own.",
    hints=(
        "The numbers come first: output[:, :numbers]. Then walk through the categories, and remember "
        "where the next one starts.",
        "A category's loss is minus the log-probability of its true level: "
        "-(one_hot * F.log_softmax(logits, dim=1)).sum(dim=1).",
        "Sum over the columns, dim=1: one loss a row. No mean.",
    ),
    reference=mixed_loss,
    inputs=_loss_cases,
    probe=_loss_probe,
    picture=_loss_picture,
    mistakes={
        (
            "The categories got a squared error. That measures distances between levels that have none; "
            "take the cross-entropy of their logits."
        ): returning("0.5 * (output - target).square().sum(dim=1)"),
        (
            "All categories went through one softmax, as if a row had a single one of all their levels. "
            "Each category needs its own."
        ): slip("in levels", "in [sum(levels)]"),
        (
            "These are logits, not log-probabilities: F.log_softmax first, else the loss has no lower "
            "end."
        ): slip(
            "F.log_softmax(output[:, start : start + width], dim=1)",
            "output[:, start : start + width]",
        ),
        (
            "The numbers lack the factor 1/2 of -log N(x; mean, 1), and so weigh twice as much as they "
            "should in comparison with the categories."
        ): slip("0.5 * ", ""),
        "The categories add nothing yet.": slip("in levels", "in []"),
        "You divided by the number of columns. The loss of a row is the sum over them.": returning(
            "loss / output.shape[1]"
        ),
        "You averaged over the rows. Each row has a loss of its own.": returning("loss.mean()"),
        "The cross-entropy has the wrong sign: subtract target times log-probability.": slip(
            "loss - (target", "loss + (target"
        ),
        "The numbers add nothing yet: half of their squared error belongs to the loss.": slip(
            "0.5 * (output[:, :numbers]", "0 * (output[:, :numbers]"
        ),
        "The numbers have absolute errors. Take half of the squared error.": slip(
            ".square()", ".abs()"
        ),
        "Every category reads the columns of the first one: move `start` on by the width.": slip(
            "        start += width\n", ""
        ),
        "You averaged over the numbers. The loss of a row is the sum over them.": slip(
            "square().sum(", "square().mean("
        ),
        "These are probabilities. The cross-entropy needs their logarithms: F.log_softmax.": slip(
            "F.log_softmax", "F.softmax"
        ),
        "The softmax runs over the rows. It runs over the levels of one row: dim=1.": slip(
            "start + width], dim=1)", "start + width], dim=0)"
        ),
        "You added output and target of the numbers. Take their difference.": slip(
            "[:, :numbers] - target", "[:, :numbers] + target"
        ),
        "The softmax was taken of the target. Take it of the output.": slip(
            "F.log_softmax(output", "F.log_softmax(target"
        ),
        "The target has no effect: each row pays only for its own level. Multiply by the target.": slip(
            "target[:, start : start + width] * log_p", "log_p"
        ),
    },
    alternatives=(_loss_by_split, _loss_by_likelihood, _loss_row_by_row),
)

# --- drawing a category -----------------------------------------------------------------------------


def _draw_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(logits):
        u = (rng.permutation(len(logits)) + 0.5) / len(logits)
        return {"logits": logits, "u": u}

    return {
        "two levels, nine to one": case(np.tile([math.log(9.0), 0.0], (60, 1))),
        "five levels, a distribution for each row": case(rng.normal(size=(40, 5))),
        "a rare level comes first": case(np.tile([-3.0, 1.0, 1.0], (40, 1))),
        "u is just what the first level has": {"logits": np.zeros((3, 2)), "u": [0.25, 0.5, 0.75]},
        "u is the largest float below 1": {
            "logits": rng.normal(size=(60, 7)),
            "u": np.full(60, 1 - 2.0**-24),
        },
    }


def _draw_probe(answer, logits, u):
    """The level of every row, and what becomes of shares when each row is drawn many times."""
    grid = (torch.arange(1000) + 0.5) / 1000
    shares = [(answer(row.expand(1000, -1), grid) == 0).double().mean() for row in logits[:3]]
    drawn = torch.stack([(answer(logits, u) == k).double() for k in range(logits.shape[1])])
    return {
        "share of level 0": torch.stack(shares),
        "rows of each level": drawn.sum(dim=1),
        "levels": torch.as_tensor(answer(logits, u)).double(),
    }


def _draw_by_search(logits, u):
    cumulative = logits.softmax(dim=1).cumsum(dim=1)
    found = torch.searchsorted(cumulative, u[:, None], right=True)[:, 0]
    return found.clamp(max=logits.shape[1] - 1)


def _draw_by_loop(logits, u):
    levels = []
    for shares, chance in zip(logits.double().softmax(dim=1).tolist(), u.tolist(), strict=True):
        level, total = 0, shares[0]
        while chance >= total and level < len(shares) - 1:
            level += 1
            total += shares[level]
        levels.append(level)
    return torch.tensor(levels)


def _draw_picture(answer):
    shares = torch.tensor([0.6, 0.3, 0.07, 0.03])
    u = torch.rand(4000, generator=torch.Generator().manual_seed(0))
    drawn = torch.bincount(answer(shares.log().expand(4000, 4), u).long(), minlength=4) / 4000
    fig, ax = plt.subplots(figsize=(4.2, 2.8))
    at = np.arange(4)
    ax.bar(at - 0.2, shares, 0.4, color=GREY, label="the model's shares")
    ax.bar(at + 0.2, drawn, 0.4, color=BLUE, label="4,000 rows drawn")
    ax.set(xlabel="level", ylabel="share")
    ax.set_xticks(at)
    ax.legend(fontsize=8)
    return fig, (
        "Bars of four levels with shares .6, .3, .07 and .03, and next to each one of nearly the same "
        "height for 4,000 drawn rows."
    )


def _draw_by_comparison(logits, u):
    cumulative = logits.softmax(dim=1).cumsum(dim=1)
    cumulative[:, -1] = 1
    return (cumulative > u[:, None]).int().argmax(dim=1)


DRAW_LEVELS = Exercise(
    id="tables.draw_levels",
    title="Draw, do not pick",
    points=1,
    minutes=8,
    difficulty=2,
    task="Return a level for each row, drawn from the softmax of its logits: the first level whose "
    "cumulative probability exceeds the row's uniform number u, or the last level if rounding leaves none.",
    hints=(
        "Probabilities first: logits.softmax(dim=1). Their cumulative sums cut 0 to 1 into pieces, one a "
        "level; u falls into one of them.",
        "The level's number is how many of the cumulative sums are at or below u.",
    ),
    reference=draw_levels,
    inputs=_draw_cases,
    probe=_draw_probe,
    picture=_draw_picture,
    mistakes={
        (
            "This picks the likeliest level every time, and a level that is nowhere the likeliest is "
            "never drawn: so rare groups vanish. Draw by chance."
        ): returning("logits.argmax(dim=1)"),
        "The logits were summed up as they are. Make probabilities of them first: softmax.": slip(
            ".softmax(dim=1)", ""
        ),
        "The probabilities were not summed up: u must be compared with the cumulative sums.": slip(
            ".cumsum(dim=1)", ""
        ),
        "One too high: levels count from 0, so a u below the first cumulative sum is level 0.": returning(
            "(u[:, None] >= cumulative).sum(dim=1) + 1"
        ),
        (
            "Rounding can leave the sum of all probabilities below u. Such a row has the last level, "
            "and no higher one: leave the last cumulative sum out of the comparison."
        ): returning("(u[:, None] >= cumulative).sum(dim=1)"),
        (
            "Rounding can leave the sum of all probabilities below u. Such a row has the last level, "
            "and argmax, which finds nothing there, says level 0."
        ): returning("(cumulative > u[:, None]).int().argmax(dim=1)"),
        (
            "Where u is just the cumulative sum of a level, that sum does not exceed u: the next level "
            "is the one."
        ): slip(">=", ">"),
        "Every level is equally likely here, whatever the logits say.": returning(
            "(u * logits.shape[1]).long()"
        ),
        (
            "You counted the levels whose cumulative probability exceeds u. Count those that u has "
            "passed: u >= cumulative."
        ): slip(">=", "<"),
        "The softmax runs over the rows. It runs over the levels of one row: dim=1.": slip(
            "softmax(dim=1)", "softmax(dim=0)"
        ),
        "All rows share the first u. Each row has its own.": slip("u[:, None]", "u[:1, None]"),
        "The sign of the logits is turned round, so likely levels become rare.": slip(
            "logits.softmax", "(-logits).softmax"
        ),
        "Sigmoids do not add up to 1 over the levels. Use the softmax.": slip(
            "logits.softmax(dim=1)", "logits.sigmoid()"
        ),
    },
    alternatives=(_draw_by_search, _draw_by_loop, _draw_by_comparison),
)

# --- the copula -------------------------------------------------------------------------------------


def _copula_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(root, shape, rows=1800):
        data = rng.normal(size=(2000, len(root))) @ root
        noise = rng.normal(size=(rows, len(root)))
        noise -= noise.mean(axis=0)  # and without any correlation, so that the rows' own is exact
        noise = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise, rowvar=False))).T
        return {"data": shape(data), "noise": noise}

    # Correlations that differ from seed to seed by more than an answer may err.
    pair = np.array([[1.0, rng.uniform(0.5, 1.5)], [0.0, 0.5]])
    low, middle, high = rng.uniform(0.4, 1.0, 3)
    three = np.array([[1.0, -low, 0.3], [0.0, 0.8, middle], [0.0, 0.0, high]])
    return {
        "two correlated columns": case(pair, lambda x: x),
        "three columns with long tails": case(three, lambda x: np.exp(2 * x)),
        "columns of very different scales": case(
            three, lambda x: x**3 * [1, 100, 0.01] + [0, 50, 3]
        ),
    }


def _copula_probe(answer, data, noise):
    """What the task asks of the rows, since there are many ways to make them."""
    rows = np.asarray(answer(data, noise), dtype=float)
    if rows.shape != noise.shape:
        return {"rows": rows}
    known = set(map(tuple, data))
    edges = np.quantile(data, np.linspace(0.1, 0.9, 9), axis=0)
    scores = norm.ppf((rankdata(rows, axis=0) - 0.5) / len(rows))
    return {
        "rows, how many and of how many columns": rows.shape,
        "share of each column below each tenth of the data": (rows <= edges[:, None]).mean(axis=1),
        "correlations of the normal scores": np.corrcoef(scores, rowvar=False),
        "share of rows that are rows of the data": np.mean([tuple(row) in known for row in rows]),
    }


def _back(data, uniform):
    columns = zip(data.T, uniform.T, strict=True)
    return np.stack([np.quantile(x, u, method="inverted_cdf") for x, u in columns], axis=1)


def _copula_by_sorting(data, noise):
    order = data.argsort(axis=0).argsort(axis=0)
    scores = norm.ppf((order + 0.5) / len(data))
    correlation = scores.T @ scores / (scores**2).sum(axis=0)  # every column has the same scores
    made = np.linalg.cholesky(correlation) @ noise.T
    place = np.ceil(norm.cdf(made.T) * len(data)).astype(int).clip(1, len(data)) - 1
    return np.take_along_axis(np.sort(data, axis=0), place, axis=0)


def _copula_by_columns(data, noise):
    n, d = data.shape
    scores = np.empty_like(data)
    for j in range(d):
        below = (data[:, j][None] < data[:, j][:, None]).sum(axis=1)
        scores[:, j] = norm.ppf((below + 0.5) / n)
    normal = noise @ np.linalg.cholesky(np.cov(scores.T) / scores[:, 0].var(ddof=1)).T
    return _back(data, norm.cdf(normal))


def _copula_by_other_choices(data, noise):
    """Correlations from those of the ranks, a symmetric root, and quantiles with interpolation."""
    ranks = np.corrcoef(rankdata(data, axis=0), rowvar=False)
    values, vectors = np.linalg.eigh(2 * np.sin(np.pi / 6 * ranks))
    uniform = norm.cdf(noise @ (vectors * np.sqrt(values)) @ vectors.T)
    return np.stack([np.quantile(x, u) for x, u in zip(data.T, uniform.T, strict=True)], axis=1)


def _copula_picture(answer):
    rng = np.random.default_rng(3)
    normal = rng.normal(size=(600, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    data = np.stack([np.exp(normal[:, 0]), normal[:, 1] ** 3], axis=1)
    made = answer(data, rng.normal(size=(600, 2)))
    fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.9), sharex=True, sharey=True)
    for ax, rows, name, colour in zip(
        axes, (data, made), ("real", "copula"), (GREY, BLUE), strict=True
    ):
        ax.plot(*rows.T, ".", markersize=3, linestyle="none", color=colour)
        ax.set(title=name, xscale="log", xlabel="column 1")
    axes[0].set_ylabel("column 2")
    return fig, (
        "Two clouds of 600 points, real and drawn, that look alike: the second column rises with the "
        "first, steeply at both ends."
    )


GAUSSIAN_COPULA = Exercise(
    id="tables.gaussian_copula",
    title="A Gaussian copula",
    points=3,
    minutes=15,
    difficulty=3,
    task="Return new rows whose columns have the distributions of the data's columns, and whose normal "
    "scores have the correlations of the data's normal scores.",
    hints=(
        "Forwards: the normal scores of each column, norm.ppf((rankdata(data, axis=0) - 0.5) / n), and "
        "their correlation matrix.",
        "noise @ L.T has the correlation matrix L @ L.T; np.linalg.cholesky finds L.",
        "Backwards: norm.cdf makes shares of the correlated numbers, and np.quantile(column, shares, "
        'method="inverted_cdf") looks up the values there.',
    ),
    reference=gaussian_copula,
    inputs=_copula_cases,
    probe=_copula_probe,
    numpy=True,
    atol=0.03,  # of shares and correlations, which differ a little from one way to another
    picture=_copula_picture,
    mistakes={
        "The columns are independent here: correlate the noise before you use it.": slip(
            "np.corrcoef(scores, rowvar=False)", "np.eye(data.shape[1])"
        ),
        (
            "These are the correlations of the raw values, which a long tail distorts. Take those of "
            "the normal scores."
        ): slip("corrcoef(scores", "corrcoef(data"),
        "The root stands the wrong way round: for rows of noise it is noise @ L.T.": slip(
            "root.T", "root"
        ),
        (
            "Each column came out normal. Turn the correlated numbers into shares by norm.cdf, and "
            "these into values by the column's quantiles."
        ): returning("noise @ root.T * data.std(axis=0) + data.mean(axis=0)"),
        (
            "These are rows of the data, drawn again. New rows join values that need not have stood "
            "together: make them from the noise."
        ): returning("data[np.arange(len(noise)) % len(data)]"),
        "These are still normal scores: bring them back to values by norm.cdf and np.quantile.": returning(
            "noise @ root.T"
        ),
        (
            "These are shares from 0 to 1. Bring them "
            "back to values by the quantiles of each column."
        ): returning("uniform"),
        (
            "You used the matrix of correlations itself. Its root, np.linalg.cholesky, makes noise "
            "correlated."
        ): slip(
            "np.linalg.cholesky(np.corrcoef(scores, rowvar=False))",
            "np.corrcoef(scores, rowvar=False)",
        ),
        "You inverted the correlations. Take their root, np.linalg.cholesky.": slip(
            "np.linalg.cholesky(np.corrcoef(scores, rowvar=False))",
            "np.linalg.inv(np.corrcoef(scores, rowvar=False))",
        ),
        "Rows and columns are swapped: stack the columns side by side, axis=1.": returning(
            "np.stack([np.quantile(x, u, method='inverted_cdf') for x, u in columns])"
        ),
        "You sorted each column by itself, which destroys how they go together.": returning(
            "np.sort(np.stack([np.quantile(x, u, method='inverted_cdf') for x, u in columns], "
            "axis=1), axis=0)"
        ),
    },
    alternatives=(_copula_by_sorting, _copula_by_columns, _copula_by_other_choices),
)

# --- conditional rows --------------------------------------------------------------------------------


def _conditional_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(d, k):
        rows = rng.normal(size=(3 * d, d)) @ rng.normal(size=(d, d))
        inputs = {"correlation": np.corrcoef(rows, rowvar=False), "known": rng.normal(size=k)}
        return inputs

    return {
        "one of two is known": case(2, 1),
        "two of five are known": case(5, 2),
        "all but one are known": case(4, 3),
    }


def _conditional_probe(answer, correlation, known):
    mean, covariance = answer(correlation, known)
    return {"mean": np.asarray(mean), "covariance": np.asarray(covariance)}


def _conditional_by_precision(correlation, known):
    k, precision = len(known), np.linalg.inv(correlation)
    covariance = np.linalg.inv(precision[k:, k:])
    return -covariance @ precision[k:, :k] @ known, covariance


def _conditional_picture(answer):
    rng = np.random.default_rng(0)
    correlation = np.array([[1.0, 0.8], [0.8, 1.0]])
    cloud = rng.multivariate_normal([0, 0], correlation, 1500)
    fig, ax = plt.subplots(figsize=(3.8, 3.2))
    ax.plot(*cloud.T, ".", markersize=2, linestyle="none", color=GREY)
    for known, colour in ((-1.5, ORANGE), (1.0, BLUE)):
        mean, covariance = (
            np.asarray(part).ravel()[0] for part in answer(correlation, np.array([known]))
        )
        spread = 2 * math.sqrt(covariance)
        ax.errorbar(known, mean, spread, color=colour, marker="o", capsize=4, linewidth=2)
    ax.set(xlabel="known", ylabel="the rest", title="Mean and two sd, given what is known")
    return fig, (
        "A tilted cloud of points, and at two places on its horizontal axis the mean of the points "
        "there with a bar of two standard deviations: the bar covers the cloud's height at that place."
    )


def _conditional_by_cholesky(correlation, known):
    """The root's lower blocks say what is left."""
    k, root = len(known), np.linalg.cholesky(correlation)
    mean = root[k:, :k] @ np.linalg.solve(root[:k, :k], known)
    return mean, root[k:, k:] @ root[k:, k:].T


CONDITIONAL_NORMAL = Exercise(
    id="tables.conditional_normal",
    title="Conditional rows, without throwing any away",
    points=2,
    minutes=12,
    difficulty=3,
    task="Return mean and covariance of the remaining coordinates of N(0, C) when the first k are known.",
    hints=(
        "Cut C into blocks: C_kk of the known, C_rr of the rest, C_kr between them.",
        "With W = C_rk C_kk^-1 the mean is W times the known values, and the covariance C_rr - W C_kr.",
        "np.linalg.solve(C_kk, C_kr) gives C_kk^-1 C_kr, which is W transposed.",
    ),
    reference=conditional_normal,
    inputs=_conditional_cases,
    probe=_conditional_probe,
    numpy=True,
    picture=_conditional_picture,
    mistakes={
        "C_kk^-1 is missing. Known values that repeat each other must share their influence.": slip(
            "np.linalg.solve(correlation[:k, :k], correlation[:k, k:]).T",
            "correlation[:k, k:].T",
        ),
        (
            "The mean is right, but knowing something also makes the rest less uncertain: subtract W "
            "C_kr from C_rr."
        ): returning("weights @ known, correlation[k:, k:]"),
        "The known values do not move the mean yet.": slip(
            "weights @ known", "0 * weights @ known"
        ),
        "The covariance has grown. Knowledge shrinks it: C_rr minus W C_kr.": slip(
            "- weights @", "+ weights @"
        ),
        "The two are in the wrong order: first the mean, then the covariance.": returning(
            "correlation[k:, k:] - weights @ correlation[:k, k:], weights @ known"
        ),
        "The mean has the wrong sign: it is W times the known values.": slip(
            "return weights @ known", "return -weights @ known"
        ),
        "C_kk^-1 is missing in the covariance: subtract W C_kr.": returning(
            "weights @ known, correlation[k:, k:] - correlation[k:, :k] @ correlation[:k, k:]"
        ),
        "You subtracted W W^T. It is W C_kr that is known already.": returning(
            "weights @ known, correlation[k:, k:] - weights @ weights.T"
        ),
        "These are the variances alone. Return the whole covariance matrix.": returning(
            "weights @ known, np.diag(correlation[k:, k:] - weights @ correlation[:k, k:])"
        ),
        "This is what is known and its covariance. Return both for the coordinates that remain.": returning(
            "known, correlation[:k, :k]"
        ),
        "You inverted the covariance of the rest. Subtract W C_kr from C_rr.": returning(
            "weights @ known, np.linalg.inv(correlation[k:, k:])"
        ),
        "The covariance is that of all coordinates. Only the remaining ones are asked for.": returning(
            "weights @ known, correlation"
        ),
        "The covariance has the wrong sign: C_rr minus W C_kr.": returning(
            "weights @ known, weights @ correlation[:k, k:] - correlation[k:, k:]"
        ),
        "This is what is known already, W C_kr. Subtract it from C_rr.": returning(
            "weights @ known, weights @ correlation[:k, k:]"
        ),
    },
    alternatives=(
        _conditional_by_precision,
        slip(
            "np.linalg.solve(correlation[:k, :k], correlation[:k, k:]).T",
            "correlation[k:, :k] @ np.linalg.inv(correlation[:k, :k])",
        ),
        _conditional_by_cholesky,
    ),
)

# --- constraints ------------------------------------------------------------------------------------


def _where_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(least, n, rounds=100):
        return {"stream": rng.normal(size=4000), "least": least, "n": n, "rounds": rounds}

    late = np.r_[np.full(10, -1.0), rng.uniform(1, 2, 10)]  # good rows from the third round of 5 on
    return {
        "half of the rows are good": case(0.0, 20),
        "one row in six is good": case(1.0, 30),
        "every row is good, and one round is enough": case(-99.0, 12, 1),
        "no row is good": case(99.0, 5),
        "the last round is just enough": {**case(0.0, 5, 3), "stream": late},
        "one round too few": {**case(0.0, 5, 2), "stream": late},
        "more rounds than a hundred": {**case(0.0, 1, 140), "stream": np.r_[-np.ones(120), late]},
    }


def _where_probe(answer, stream, least, n, rounds):
    """The rows that come back, drawn from a stream in its order; none if RuntimeError is raised."""
    place = [0]

    def draw(m):
        start = place[0]
        place[0] += m
        return np.take(stream, np.arange(start, start + m), mode="wrap")

    try:
        rows = np.asarray(answer(draw, lambda rows: rows >= least, n, rounds))
    except NotImplementedError:  # the stub; it is a RuntimeError too
        raise
    except RuntimeError:
        return {"gave up with a RuntimeError": 1, "rows": np.zeros(0)}
    return {"gave up with a RuntimeError": 0, "rows": rows}


def _where_one_by_one(draw, meets, n, rounds=100):
    kept = []
    for _ in range(rounds * n):
        row = draw(1)
        if meets(row)[0]:
            kept.append(row[0])
        if len(kept) == n:
            return kept
    raise RuntimeError("the rounds are used up")


def _where_lazily(draw, meets, n, rounds=100):
    batches = (draw(n) for _ in range(rounds))
    kept = list(islice((row for rows in batches for row in rows[meets(rows)]), n))
    if len(kept) < n:
        raise RuntimeError("the rounds are used up")
    return kept


def _where_while(draw, meets, n, rounds=100):
    good = draw(n)
    good = good[meets(good)]
    while len(good) < n:
        rounds -= 1
        if rounds == 0:
            raise RuntimeError("the rounds are used up")
        rows = draw(n)
        good = np.concatenate([good, rows[meets(rows)]])
    return good[:n]


def _where_picture(answer):
    rng = np.random.default_rng(0)
    rows = answer(lambda m: rng.normal(size=m), lambda rows: rows >= 0.5, 3000)
    fig, ax = plt.subplots(figsize=(4.2, 2.8))
    ax.hist(rng.normal(size=10_000), 60, density=True, color=GREY, alpha=0.6, label="all rows")
    ax.hist(rows, 40, density=True, color=BLUE, alpha=0.8, label="rows of at least 0.5")
    ax.set(xlabel="value", ylabel="density")
    ax.legend(fontsize=8)
    return fig, (
        "A bell-shaped histogram of all rows, and over it that of the rows of at least 0.5: the bell's "
        "right part, cut off sharply at 0.5 and scaled up, with no pile at the edge."
    )


SAMPLE_WHERE = Exercise(
    id="tables.sample_where",
    title="Rows that meet a constraint",
    points=2,
    minutes=10,
    difficulty=1,
    task="Draw n rows in each round, and return the first n that meet the constraint; raise RuntimeError "
    "when `rounds` rounds are not enough.",
    hints=(
        "Keep a list. In each round draw n rows, and add those for which meets(rows) is true.",
        "As soon as there are n, return the first n of them. After the last round there were too few: "
        "raise RuntimeError, and say how many there were.",
    ),
    reference=sample_where,
    inputs=_where_cases,
    probe=_where_probe,
    numpy=True,
    picture=_where_picture,
    mistakes={
        (
            "Rows that break the constraint were moved to its edge, where they pile up: a new, false "
            "peak. Throw them away and draw others."
        ): slip(
            "return np.array(kept[:n])",
            "drawn = draw(n)\n            return np.where(meets(drawn), drawn, min(kept[:n]))",
        ),
        "One round is not enough: what was thrown away must be drawn again until there are n rows.": slip(
            "if len(kept) >= n", "if kept"
        ),
        "Too few rows came back in silence. Somebody will take them for n: raise RuntimeError.": returning(
            "np.array(kept)"
        ),
        "It gives up after 100 rounds, whatever `rounds` says: that is only the default.": slip(
            "range(rounds)", "range(100)"
        ),
        "More than n rows came back: cut the list to the first n.": slip("kept[:n]", "kept"),
        "These are the rows that break the constraint.": slip("[meets(rows)]", "[~meets(rows)]"),
        "It gives up one round too early: there are `rounds` of them.": slip(
            "range(rounds)", "range(rounds - 1)"
        ),
        "It tries one round too many: there are `rounds` of them.": slip(
            "range(rounds)", "range(rounds + 1)"
        ),
        "These are the last n of the rows. Return the first n.": slip("kept[:n]", "kept[-n:]"),
        "The good rows of earlier rounds are lost. Add the new ones to them.": slip(
            "kept.extend(rows[meets(rows)])", "kept = list(rows[meets(rows)])"
        ),
        "The constraint has no effect: keep only the rows that meet it.": slip(
            "rows[meets(rows)]", "rows"
        ),
    },
    alternatives=(_where_one_by_one, _where_lazily, _where_while),
)
