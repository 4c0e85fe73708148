"""The exercises of lesson 06: modes counted, and a collapse made by hand."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import stats
from scipy.spatial import cKDTree

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.mode_collapse import GRID, RING, game, modes
from course_lib.plots import BLUE, GREY, ORANGE

# --- modes counted, and their quality ------------------------------------------------------------


def _points(rng, mixture, n, keep, blur=1.0):
    """n points from the modes `keep` of a mixture, `blur` times as wide as they should be."""
    chosen = rng.choice(keep, n)
    return mixture.centres[chosen] + blur * mixture.sd * rng.standard_normal((n, 2))


def _mode_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(mixture, most, keep, blur=1.0):
        n = most - rng.integers(40)  # so that no share is that of other numbers
        return {
            "samples": _points(rng, mixture, n, keep, blur),
            "centres": mixture.centres.copy(),
            "sd": mixture.sd,
        }

    return {
        "the ring itself": case(RING, 300, np.arange(8)),
        "a ring without its last two modes, and blurred": case(RING, 300, np.arange(6), 2.5),
        "a few modes of the grid, far too wide": case(GRID, 400, np.arange(0, 20, 3), 4.0),
    }


def _distances(samples, centres):
    return np.linalg.norm(samples[:, None] - centres, axis=-1)


def _counts_mode_by_mode(samples, centres, sd):
    distances = _distances(samples, centres)
    return np.array([(column <= 3 * sd).sum() for column in distances.T])


def _counts_in_a_loop(samples, centres, sd):
    counts = np.zeros(len(centres))
    for sample in samples:
        distances = ((sample - centres) ** 2).sum(axis=1)
        nearest = distances.argmin()
        counts[nearest] += distances[nearest] <= 9 * sd**2
    return counts


def _counts_picture(answer):
    rng = np.random.default_rng(0)
    samples = _points(rng, RING, 2500, np.array([0, 1, 1, 1, 3, 4, 4, 6]), 1.8)
    counts = answer(samples, RING.centres, RING.sd)
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.bar(np.arange(8), counts, color=BLUE)
    ax.set(xlabel="mode", ylabel="high-quality samples", title="Five of eight modes, unevenly")
    ax.set_xticks(range(8))
    return fig, (
        "Bars of the high-quality samples in each of eight modes: modes 2, 5 and 7 have none, and mode "
        "1 has the most."
    )


def _counts_by_tree(samples, centres, sd):
    _, nearest = cKDTree(centres).query(samples, distance_upper_bound=3 * sd)
    return np.bincount(nearest, minlength=len(centres) + 1)[:-1]  # the last are far from all


MODE_COUNTS = Exercise(
    id="mode_collapse.mode_counts",
    title="Count the modes",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return how many high-quality samples each mode has: samples within three standard deviations "
    "of the centre that is nearest to them.",
    hints=(
        "You need two things of each sample: which centre is nearest, and how far away that one is.",
        "`pairwise_distances_argmin_min(samples, centres)` returns both. Keep the samples with a distance "
        "of at most 3 * sd.",
        "`np.bincount(nearest[good], minlength=len(centres))` counts them, empty modes included.",
    ),
    reference=modes.mode_counts,
    inputs=_mode_cases,
    numpy=True,
    picture=_counts_picture,
    mistakes={
        (
            "Every sample is counted for its nearest mode, however far away it is: rubbish between two "
            "modes would count as a mode reached."
        ): slip("[distance <= 3 * sd]", ""),
        (
            "One standard deviation is too strict: it throws away 61 % of the true points. The papers "
            "allow three."
        ): slip("3 * sd", "sd"),
        "A squared distance is compared with 3 sd. Take the root, or square the other side as well.": slip(
            "distance <=", "distance**2 <="
        ),
        (
            "Three standard deviations in each coordinate make a square; its corners are farther away. "
            "The distance to the centre counts."
        ): slip("distance <= 3 * sd", "(np.abs(samples - centres[nearest]) <= 3 * sd).all(axis=1)"),
        "Modes at the end that no sample reached are left out. np.bincount takes a minlength.": slip(
            ", minlength=len(centres)", ""
        ),
        (
            "This says which modes are reached. Return how many samples each has: the divergence needs "
            "them."
        ): returning(
            "(np.bincount(nearest[distance <= 3 * sd], minlength=len(centres)) > 0).astype(int)"
        ),
        "These are shares of all samples. Return how many there are.": returning(
            "np.bincount(nearest[distance <= 3 * sd], minlength=len(centres)) / len(samples)"
        ),
        (
            "This is the number of good samples in "
            "all modes together. Return one number for each mode."
        ): returning("int((distance <= 3 * sd).sum())"),
        "Two standard deviations are too strict: the papers allow three.": slip("3 * sd", "2 * sd"),
        "The standard deviation was squared. Compare the distance with 3 * sd.": slip(
            "3 * sd", "3 * sd**2"
        ),
        "These are the samples farther away than three standard deviations. Count those within.": slip(
            "distance <=", "distance >"
        ),
        "This is the nearest mode of each sample. Count how many good samples each mode has.": returning(
            "nearest"
        ),
    },
    alternatives=(_counts_mode_by_mode, _counts_in_a_loop, _counts_by_tree),
)


def _quality_picture(answer):
    rng = np.random.default_rng(0)
    blurs = np.linspace(0.2, 4, 20)
    shares = [
        answer(_points(rng, RING, 3000, np.arange(8), blur), RING.centres, RING.sd)
        for blur in blurs
    ]
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.plot(blurs, shares, color=BLUE, marker="o", markersize=3, label="share of high quality")
    ax.axvline(1, color=GREY, linestyle="--", label="the true width")
    ax.set(xlabel="width of the modes, over the true one", ylim=(0, 1.05))
    ax.set_title("Too narrow is not punished")
    ax.legend(fontsize=8)
    return fig, (
        "The share of high-quality samples against the width of the modes: 1 for modes that are too "
        "narrow, just below 1 at the true width, then falling to below 0.3 at four times the width."
    )


def _quality_near_each(samples, centres, sd):
    return float((_distances(samples, centres) <= 3 * sd).any(axis=1).mean())


def _quality_by_tree(samples, centres, sd):
    distance, _ = cKDTree(centres).query(samples)
    return np.count_nonzero(distance <= 3 * sd) / len(samples)


HIGH_QUALITY = Exercise(
    id="mode_collapse.high_quality_share",
    title="The share of high quality",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return the share of samples within three standard deviations of the nearest centre, as a "
    "number from 0 to 1.",
    hints=(
        "The same test as before, but now only how often it is passed.",
        "The mean of an array of booleans is the share of those that are true.",
    ),
    reference=modes.high_quality,
    inputs=_mode_cases,
    numpy=True,
    picture=_quality_picture,
    mistakes={
        "This is the number of good samples. Divide by how many there are in all.": slip(
            "mean()", "sum()"
        ),
        "This is the share of bad samples: those beyond three standard deviations.": slip(
            "distance <=", "distance >"
        ),
        "Percent: the share should lie between 0 and 1.": returning(
            "100 * float((distance <= 3 * sd).mean())"
        ),
        "One standard deviation is too strict. The papers allow three.": slip("3 * sd", "sd"),
        (
            "The mean over samples and centres together: each sample has one nearest centre, so this is "
            "too small by the number of modes."
        ): lambda samples, centres, sd: float((_distances(samples, centres) <= 3 * sd).mean()),
        "Two standard deviations are too strict: the papers allow three.": slip("3 * sd", "2 * sd"),
        "The standard deviation was squared. Compare the distance with 3 * sd.": slip(
            "3 * sd", "3 * sd**2"
        ),
        "A squared distance is compared with 3 sd. Take its root first.": slip(
            "distance <=", "distance**2 <="
        ),
        "sd has no effect: the limit is 3 * sd, and not 3.": slip("3 * sd", "3"),
        (
            "This is the mean distance to the nearest centre. Return the share of samples within 3 * "
            "sd."
        ): returning("float(distance.mean())"),
        (
            "This is the share of modes that were "
            "reached. Return the share of samples that are good."
        ): returning("float(len(np.unique(_[distance <= 3 * sd])) / len(centres))"),
    },
    alternatives=(
        _quality_near_each,
        returning("sum(distance <= 3 * sd) / len(samples)"),
        _quality_by_tree,
    ),
)

# --- reverse KL divergence -----------------------------------------------------------------------


def _kl_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(counts):
        return {"counts": np.asarray(counts, dtype=np.int64)}

    some = rng.integers(5, 400, 8)
    some[rng.choice(8, 3, replace=False)] = 0
    return {
        "every mode equally often: 0": case(np.full(8, rng.integers(50, 300))),
        "one mode of eight: log 8": case(np.eye(8)[rng.integers(8)] * rng.integers(100, 3000)),
        "three modes missing, the others uneven": case(some),
        "25 modes, uneven": case(rng.integers(1, 200, 25)),
    }


def _shares(counts):
    return counts / counts.sum()


def _entropy(counts):
    q = _shares(counts)[counts > 0]
    return float(-(q * np.log(q)).sum())


def _kl_loop(counts):
    total, divergence = sum(counts), 0.0
    for count in counts:
        if count:
            divergence += count / total * math.log(count / total * len(counts))
    return divergence


def _kl_picture(answer):
    captured = np.arange(1, 9)
    even = [answer((np.arange(8) < k) * 100) for k in captured]
    uneven = [answer(np.where(np.arange(8) < k, 2.0 ** -np.arange(8), 0) * 12800) for k in captured]
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.plot(captured, even, color=BLUE, marker="o", label="equally often")
    ax.plot(captured, uneven, color=ORANGE, marker="s", label="each half as often as the last")
    ax.set(xlabel="modes captured of 8", ylabel="reverse KL in nats", ylim=(-0.1, 2.2))
    ax.set_title("Having a mode is not using it")
    ax.legend(fontsize=8)
    return fig, (
        "The reverse KL divergence against how many of eight modes are captured. Equally used modes: "
        "from log 8 = 2.1 down to 0 at all eight. Modes each used half as often as the last: from 2.1 "
        "down to 0.7 only, although all eight are there."
    )


REVERSE_KL = Exercise(
    id="mode_collapse.reverse_kl",
    title="The reverse KL divergence",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return KL(generated || real) in nats of the shares of samples in each mode, where all real "
    "modes are equally likely.",
    hints=(
        "Turn the counts into shares q that sum to 1. The real shares are p = 1 / number of modes.",
        "KL(q || p) = sum of q log(q / p), over the modes. A mode without samples contributes 0.",
        "Pick the modes with q > 0 before you take the logarithm.",
    ),
    reference=modes.reverse_kl,
    inputs=_kl_cases,
    numpy=True,
    picture=_kl_picture,
    mistakes={
        (
            "This is KL(real || generated), which is infinite as soon as one mode is missing. Swap the "
            "two."
        ): slip("(q[there] * np.log(q[there] / p[there])).sum()", "-np.log(q / p).mean()"),
        "Modes without samples give 0 log 0, which is NaN to a computer. Leave them out of the sum.": slip(
            'divide="ignore"', 'all="ignore"', "q > 0", "q >= 0"
        ),
        "The counts must be divided by their sum first: a divergence is between shares.": slip(
            "counts / counts.sum()", "counts"
        ),
        "Bits, not nats: use the natural logarithm.": slip(
            "max(divergence, 0.0)", "divergence / np.log(2)"
        ),
        "This is the entropy of the shares. The divergence is log(number of modes) minus it.": _entropy,
        "This is the mean over the modes. The shares are weights already: take the sum.": slip(
            "max(divergence, 0.0)", "divergence / len(counts)"
        ),
        (
            "The modes were counted after the empty ones had been left out. All real modes count in p, "
            "also those without samples."
        ): returning("float((q[there] * np.log(q[there] * there.sum())).sum())"),
        "This is the share of modes that were reached. The divergence also says how evenly.": returning(
            "float((counts > 0).mean())"
        ),
        (
            "This is KL(real || generated), summed over the modes that have samples. Swap the two: the "
            "sum of q log(q / p)."
        ): returning("float((p[there] * np.log(p[there] / q[there])).sum())"),
        (
            "The fraction in the logarithm is turned round, so the result is never positive: log(q / "
            "p)."
        ): returning("float((q[there] * np.log(p[there] / q[there])).sum())"),
        "The shares of the real modes do not add up to 1: divide them by their sum.": slip(
            "weights / weights.sum()", "weights"
        ),
        (
            "This is the total variation distance, half the sum of the differences. The divergence has "
            "a logarithm."
        ): returning("float(0.5 * np.abs(q - p).sum())"),
        "The logarithm is missing: the sum of q log(q / p).": returning(
            "float((q[there] * (q[there] / p[there])).sum())"
        ),
    },
    alternatives=(
        _kl_loop,
        lambda counts: math.log(len(counts)) - _entropy(counts),
        lambda counts: float(stats.entropy(counts, np.ones(len(counts)))),
    ),
)

# --- the birthday estimate -----------------------------------------------------------------------


def _birthday_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(size, n, dimensions=2):
        there = 10 * rng.permutation(size * dimensions).reshape(size, dimensions).astype(float)
        drawn = rng.integers(size, size=n)
        drawn[-1] = drawn[0]  # at least one pair, whatever the seed
        noise = rng.uniform(-0.2, 0.2, (n, dimensions))
        return {"samples": there[drawn] + noise, "tolerance": float(rng.uniform(1, 3))}

    return {
        "a single mode: 1": case(1, 10),
        "eight modes": case(8, 60),
        "a thousand different ones, in five dimensions": case(1000, 80, 5),
        "a finer tolerance: some of a mode are the same": {**case(8, 60), "tolerance": 0.1},
        "copies only, at the tolerance 0": {
            "samples": rng.integers(12, size=(30, 1)).astype(float),
            "tolerance": 0.0,
        },
        "no two alike: infinitely many": {
            "samples": 10 * rng.permutation(40).reshape(20, 2).astype(float),
            "tolerance": 1.0,
        },
    }


def _apart(samples):
    return np.linalg.norm(samples[:, None] - samples, axis=-1)


def _support_loop(samples, tolerance):
    n, same = len(samples), 0
    for i in range(n):
        for j in range(i):
            same += np.linalg.norm(samples[i] - samples[j]) <= tolerance
    return n * (n - 1) / (2 * same) if same else np.inf


def _support_matrix(samples, tolerance):
    n = len(samples)
    same = (_apart(samples) <= tolerance).sum() - n  # each pair twice, and no sample with itself
    return float(n * (n - 1) / same) if same else math.inf


def _distinct(samples, tolerance):
    """How many of the samples have no earlier one near them."""
    near = np.tril(_apart(samples) <= tolerance, k=-1)
    return float((~near.any(axis=1)).sum())


def _birthday_picture(answer):
    rng = np.random.default_rng(0)
    sizes = np.unique(np.geomspace(4, 2000, 14).astype(int))
    found = [[answer(rng.integers(n, size=(200, 1)) * 1.0, 0.5) for _ in range(8)] for n in sizes]
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.loglog(sizes, sizes, color=GREY, linestyle="--", label="the truth")
    ax.loglog(sizes, found, ".", color=BLUE, markersize=4)
    ax.loglog(sizes, np.median(found, axis=1), color=BLUE, label="median of eight estimates")
    ax.set(xlabel="equally likely samples there are", ylabel="estimate")
    ax.set_title("From 200 draws, up to thousands")
    ax.legend(fontsize=8)
    return fig, (
        "Estimated against true support size, both logarithmic, from 4 to 2,000. The median of the "
        "estimates from 200 draws follows the diagonal; single estimates scatter the more the larger the "
        "support."
    )


def _support_by_triangle(samples, tolerance):
    upper = np.triu_indices(len(samples), k=1)
    share = (_apart(samples)[upper] <= tolerance).mean()
    return float(1 / share) if share > 0 else np.inf


SUPPORT_SIZE = Exercise(
    id="mode_collapse.support_size",
    title="The birthday estimate",
    points=2,
    minutes=15,
    difficulty=3,
    task="Two samples are the same if their distance is at most the tolerance. Estimate from the share of "
    "pairs that are the same how many equally likely samples there would be, and return that number: "
    "float('inf') if no pair is the same.",
    hints=(
        "Of N equally likely things, two draws are the same with probability 1 / N. How many pairs do n "
        "draws make?",
        "n (n - 1) / 2 pairs, of which a share 1 / N is the same. Solve for N.",
        "`pdist(samples)` gives the distance of each pair once: count those within the tolerance, and "
        "divide.",
    ),
    reference=modes.support_size,
    inputs=_birthday_cases,
    numpy=True,
    picture=_birthday_picture,
    mistakes={
        (
            "Equal pairs are counted twice, as (i, j) and as (j, i), while n (n - 1) / 2 counts each "
            "pair once: the estimate is half of what it should be."
        ): slip("same = int(", "same = 2 * int("),
        "Each sample is also compared with itself, and is of course the same.": slip(
            "same = int((pdist(samples) <= tolerance).sum())",
            "same = (pdist(samples) <= tolerance).sum() + len(samples) / 2",
        ),
        "This is the share of equal pairs, 1 / N. Turn it over.": returning("same / pairs"),
        (
            "This counts the different samples that were drawn; it can never exceed n. The birthday "
            "estimate looks beyond."
        ): _distinct,
        (
            "Copies are the same at any tolerance, also at 0: a distance within the tolerance may be "
            "equal to it, so compare with <=."
        ): slip("<= tolerance", "< tolerance"),
        "There are n (n - 1) / 2 pairs, not n^2 / 2: a sample makes no pair with itself.": slip(
            "(len(samples) - 1)", "len(samples)"
        ),
        "Squared distances are compared with the tolerance. Take distances: pdist(samples).": slip(
            "pdist(samples)", "pdist(samples, 'sqeuclidean')"
        ),
        "This is the number of equal pairs. Divide the number of all pairs by it.": returning(
            "float(same)"
        ),
        "Without an equal pair there is no upper limit: return infinity, not 0.": slip(
            'float("inf")', "0.0"
        ),
        "Without an equal pair there is no upper limit: return infinity, not the number of samples.": slip(
            'float("inf")', "float(len(samples))"
        ),
        "Without an equal pair you counted one all the same. Return infinity.": slip(
            'float("inf")', "pairs"
        ),
        (
            "You took the root at the end. N is the number of pairs divided by the number of equal "
            "ones."
        ): returning("(pairs / same) ** 0.5 if same else float('inf')"),
        "You counted the pairs that differ. Count those within the tolerance.": slip(
            "<= tolerance", "> tolerance"
        ),
    },
    alternatives=(_support_loop, _support_matrix, _support_by_triangle),
)

# --- the best response ---------------------------------------------------------------------------


def _hills(peaks, heights):
    """A discriminator with a round hill at each peak (k, d); its logit is smooth everywhere."""

    def discriminator(x):
        apart = (x[:, None] - peaks).square().sum(dim=-1)
        return torch.logsumexp(heights - apart / 2, dim=1)

    return discriminator


def _response_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(peaks, n, steps, rate):
        return {
            "peaks": rng.uniform(-2, 2, (peaks, 2)),
            "heights": rng.uniform(0, 1, peaks),
            "x": rng.normal(0, 1, (n, 2)),
            "steps": steps,
            "rate": rate,
        }

    return {
        "one hill, a single step": case(1, 5, 1, 0.2),
        "three hills, ten steps": case(3, 6, 10, 0.2),
        "three hills, a hundred small steps": case(3, 8, 100, 0.05),
    }


def _response_probe(answer, peaks, heights, x, steps, rate):
    arrived = answer(_hills(peaks, heights), x, steps, rate)
    return {
        "the points": arrived,
        "whether they need gradients": getattr(arrived, "requires_grad", 0),
    }


def _climb_point_by_point(discriminator, x, steps, rate):
    arrived = []
    for point in x:
        at = point.clone()[None]
        for _ in range(steps):
            at = at.detach().requires_grad_()
            discriminator(at)[0].backward()
            at = at + rate * at.grad
        arrived.append(at.detach()[0])
    return torch.stack(arrived)


def _climb_with_sgd(discriminator, x, steps, rate):
    points = x.clone().requires_grad_()
    optimizer = torch.optim.SGD([points], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        (-discriminator(points).sum()).backward()
        optimizer.step()
    return points.detach()


def _response_picture(answer):
    peaks = 1.5 * torch.from_numpy(RING.centres).float()
    discriminator = _hills(peaks, torch.tensor([0.0, 0, 0, 2, 0, 0, 0, 0]))
    torch.manual_seed(0)
    start = 0.9 * torch.randn(150, 2)
    fig, axes = plt.subplots(1, 3, figsize=(8.2, 3.1))
    side = torch.linspace(-3, 3, 80)
    heights = discriminator(torch.cartesian_prod(side, side).flip(1)).reshape(80, 80)
    for ax, steps in zip(axes, (0, 10, 150), strict=True):
        x = answer(discriminator, start, steps, 0.1)
        ax.imshow(heights.numpy(), origin="lower", extent=(-3, 3, -3, 3), cmap="Greys", vmax=7)
        ax.plot(*x.numpy().T, "o", color=ORANGE, markersize=3, alpha=0.7, linestyle="none")
        ax.set(title=f"after {steps} steps", xticks=[], yticks=[], xlim=(-3, 3), ylim=(-3, 3))
        ax.grid(False)
    return fig, (
        "Three panels over the hill of a fixed discriminator, darkest at the upper left: a cloud of "
        "points at the start, drawn out towards the hill after 10 steps, and all on its top after 150."
    )


def _climb_by_functional(discriminator, x, steps, rate):
    slope = torch.func.grad(lambda points: discriminator(points).sum())
    for _ in range(steps):
        x = x + rate * slope(x)
    return x


BEST_RESPONSE = Exercise(
    id="mode_collapse.best_response",
    title="A collapse by hand",
    points=2,
    minutes=15,
    difficulty=2,
    task="Let points climb the logit of a discriminator that stays as it is: repeat x <- x + rate * "
    "gradient, and return where they are after the given number of steps.",
    hints=(
        "Each point needs the gradient of its own logit. The gradient of the sum of the logits has them "
        "all, since no point's logit depends on another point.",
        "In every step: detach x, let it require a gradient, take torch.autograd.grad of the summed "
        "logits, and move.",
        "(slope,) = torch.autograd.grad(discriminator(x).sum(), x), and then x = x + rate * slope.",
    ),
    reference=game.best_response,
    inputs=_response_cases,
    probe=_response_probe,
    picture=_response_picture,
    mistakes={
        "The points go downhill, to where the discriminator says fake. Add the gradient.": slip(
            "x + rate", "x - rate"
        ),
        (
            "The gradient of the mean is smaller by the number of points: each point should take its "
            "own full step. Take the sum."
        ): slip(".sum()", ".mean()"),
        "The slope is always the one at the start. Compute it again where the points are now.": slip(
            "for _ in",
            "start = x.clone().requires_grad_()\n    for _ in",
            "discriminator(x).sum(), x",
            "discriminator(start).sum(), start",
        ),
        "Only one step was taken.": slip("range(steps)", "range(1)"),
        "The points still belong to the computation graph, so nobody can plot them: x.detach().": returning(
            "x"
        ),
        "The slopes are cut to length 1, so that points never come to rest. Use them as they are.": slip(
            "rate * slope", "rate * slope / slope.norm(dim=1, keepdim=True)"
        ),
        "The rate is missing: each step is rate times the gradient.": slip("rate * slope", "slope"),
        "You used only the sign of the gradient. Use it as it is.": slip(
            "rate * slope", "rate * slope.sign()"
        ),
        "That is one step too many.": slip("range(steps)", "range(steps + 1)"),
        "That is one step too few.": slip("range(steps)", "range(steps - 1)"),
        "You climbed the probability. The points climb the logit: leave out the sigmoid.": slip(
            "discriminator(x).sum()", "discriminator(x).sigmoid().sum()"
        ),
        "You divided the rate by the number of steps. Each step has the whole rate.": slip(
            "rate * slope", "rate / steps * slope"
        ),
        "These are the logits at the end. Return where the points are.": returning(
            "discriminator(x).detach()"
        ),
    },
    alternatives=(_climb_point_by_point, _climb_with_sgd, _climb_by_functional),
)

# --- mode hopping --------------------------------------------------------------------------------


def _hopping_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(count, rate, rounds):
        q = rng.dirichlet(np.full(count, 5.0))
        return {"q": q, "rate": rate, "rounds": rounds}

    return {
        "two modes": case(2, 0.3, 8),
        "eight modes, a long memory": case(8, 0.05, 40),
        "eight modes, a short memory": case(8, 0.5, 40),
    }


def _hop_by_logits(q, rate, rounds):
    visited = np.zeros(rounds, dtype=int)
    q = q.copy()
    for number in range(rounds):
        logits = np.log(1 / len(q)) - np.log(q)
        visited[number] = logits.argmax()
        q *= 1 - rate
        q[visited[number]] += rate
    return visited


def _hop_in_plain_python(q, rate, rounds):
    belief, visited = [float(share) for share in q], []
    for _ in range(rounds):
        mode = belief.index(min(belief))
        belief = [(1 - rate) * share + rate * (i == mode) for i, share in enumerate(belief)]
        visited.append(mode)
    return np.array(visited)


def _hopping_picture(answer):
    q = np.random.default_rng(3).dirichlet(np.full(8, 5.0))
    visited = answer(q, 0.1, 60)
    fig, ax = plt.subplots(figsize=(6, 3))
    ax.plot(visited, "o", color=ORANGE, markersize=4, linestyle="none")
    ax.plot(visited, color=GREY, linewidth=0.6)
    ax.set(xlabel="round", ylabel="the generator's only mode", yticks=range(8))
    ax.set_title("One mode at a time, and all of them in turn")
    return fig, (
        "The generator's only mode in each of 60 rounds: it jumps every round, at first in an irregular "
        "order and then around the same cycle of all eight modes."
    )


def _hop_by_unit_vectors(q, rate, rounds):
    visited = []
    for _ in range(rounds):
        visited.append(int((1 / q).argmax()))
        q = q + rate * (np.eye(len(q))[visited[-1]] - q)
    return np.array(visited)


MODE_HOPPING = Exercise(
    id="mode_collapse.mode_hopping",
    title="Mode hopping",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the modes that a generator visits if in every round it moves, all of it, to the mode "
    "where the discriminator's logit is highest, and the discriminator then remembers that.",
    hints=(
        "The logit at mode i is log(p_i / q_i), with the same p_i everywhere. Where is it highest?",
        "Where q is lowest. After the jump, the memory becomes (1 - rate) q, plus rate at that mode.",
        "Make a new q in each round (q = ...) instead of changing the given one in place.",
    ),
    reference=game.mode_hopping,
    inputs=_hopping_cases,
    numpy=True,
    picture=_hopping_picture,
    mistakes={
        (
            "The generator goes where q is highest: where the discriminator has met it most. The logit "
            "log(p / q) is highest where q is lowest."
        ): slip("argmin", "argmax"),
        "The discriminator never learns: q stays as it was, and the generator with it.": slip(
            "(1 - rate) * q + rate * (np.arange(len(q)) == mode)", "q"
        ),
        (
            "The shares of old and new are swapped: the memory should move by `rate` towards the new "
            "mode."
        ): slip("(1 - rate) * q + rate *", "rate * q + (1 - rate) *"),
        (
            "These are the modes after each round's update, one round late. Note the mode before the "
            "discriminator moves."
        ): slip("append(mode)", "append(np.argmin(q))"),
        "The old memory does not fade: multiply q by 1 - rate before the new mode is added.": slip(
            "(1 - rate) * q", "q"
        ),
        (
            "This says how often each mode was visited. "
            "Return the modes in the order of the visits."
        ): returning("np.bincount(visited, minlength=len(q))"),
        "This is the memory at the end. Return the modes that were visited.": returning("q"),
        "The discriminator forgets all but the last mode. The old memory keeps 1 - rate.": slip(
            "(1 - rate) * q + rate * (np.arange(len(q)) == mode)",
            "1.0 * (np.arange(len(q)) == mode)",
        ),
        "One round is missing.": slip("range(rounds)", "range(rounds - 1)"),
        "That is one round too many.": slip("range(rounds)", "range(rounds + 1)"),
        (
            "The modes were taken in turn, whatever "
            "the discriminator remembers. Go where q is lowest."
        ): returning("np.arange(rounds) % len(q)"),
    },
    alternatives=(_hop_by_logits, _hop_in_plain_python, _hop_by_unit_vectors),
)
