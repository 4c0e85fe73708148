"""The exercises of lesson 09: measures of fidelity, and weights that correct a generator."""

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from course_lib.audit import fidelity, statistics, textbook
from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.plots import BLUE, GREY, ORANGE

# --- total variation ------------------------------------------------------------------------------


def _counts_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(synthetic, real):
        return {"synthetic": np.asarray(synthetic, np.int64), "real": np.asarray(real, np.int64)}

    some = rng.integers(1, 300, 6)
    shares = rng.dirichlet(np.full(10, 2.0))
    apart = rng.integers(10, 90, 4)
    return {
        "the same shares, twice as many rows: 0": case(2 * some, some),
        "no cell in common: 1": case([*apart, 0, 0, 0], [0, 0, 0, 0, *apart[:3]]),
        "two samples of one distribution": case(
            rng.multinomial(500, shares), rng.multinomial(900, shares)
        ),
        "two distributions": case(rng.integers(0, 200, 8), rng.integers(20, 400, 8)),
    }


def _tv_loop(synthetic, real):
    m, n = sum(synthetic), sum(real)
    return sum(max(a / m - b / n, 0) for a, b in zip(synthetic, real, strict=True))


def _tv_picture(answer):
    rng = np.random.default_rng(0)
    shares = np.full(20, 1 / 20)
    sizes = np.array([30, 60, 125, 250, 500, 1000, 2000, 4000])
    means = [np.mean([answer(*rng.multinomial(n, shares, 2)) for _ in range(30)]) for n in sizes]
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.loglog(sizes, means, color=BLUE, marker="o", markersize=4)
    ax.set(xlabel="rows on each side", ylabel="mean total variation")
    ax.set_title("One distribution, and still not 0")
    return fig, (
        "Mean total variation of two samples of one distribution with 20 equal cells, against the "
        "rows on each side, both logarithmic: a falling straight line, from about 0.4 at "
        "30 rows to 0.04 at 4,000."
    )


TOTAL_VARIATION = Exercise(
    id="fidelity.total_variation",
    title="Total variation of a marginal",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return the total variation of two sets of counts: 0 for equal shares, 1 where no cell is "
    "shared.",
    hints=(
        "Counts of different totals cannot be compared. Turn each into shares that sum to 1.",
        "Total variation is half of the summed absolute differences of the shares.",
    ),
    reference=statistics.total_variation,
    inputs=_counts_cases,
    numpy=True,
    picture=_tv_picture,
    mistakes={
        "The factor ½ is missing: what one cell lacks, another has too much, and it counts twice.": slip(
            " / 2", ""
        ),
        "Counts were compared as they are. Divide each set by its own total first.": slip(
            " / synthetic.sum()", "", " / real.sum()", ""
        ),
        "This is the largest difference of a single cell. Total variation sums over all cells.": slip(
            ".sum() / 2", ".max()"
        ),
        (
            "Without the absolute value, too much and too little cancel: the shares of both sides sum "
            "to 1."
        ): slip("np.abs", ""),
        "This is the mean over the cells. Shares are weights already: take the sum.": slip(
            ".sum() / 2", ".mean() / 2"
        ),
        "You squared the differences. Take their absolute values.": returning(
            "float(((synthetic / synthetic.sum() - real / real.sum()) ** 2).sum() / 2)"
        ),
        (
            "This is the Euclidean distance, the root of the sum of squares. Sum absolute differences, "
            "and halve."
        ): returning("float(np.linalg.norm(synthetic / synthetic.sum() - real / real.sum()))"),
        "Both sets were divided by the synthetic total. Divide each by its own.": slip(
            "real / real.sum()", "real / synthetic.sum()"
        ),
        "This is the share that both have in common. The total variation is 1 minus it.": returning(
            "float(np.minimum(synthetic / synthetic.sum(), real / real.sum()).sum())"
        ),
        "Percent: the result should lie between 0 and 1.": returning(
            "100 * float(np.abs(synthetic / synthetic.sum() - real / real.sum()).sum() / 2)"
        ),
        (
            "This is the Hellinger distance, from the "
            "roots of the shares. Take the shares themselves."
        ): returning(
            "float(np.sqrt(((np.sqrt(synthetic / synthetic.sum()) - np.sqrt(real / real.sum())) ** "
            "2).sum() / 2))"
        ),
        "You doubled the sum. Halve it.": slip(".sum() / 2", ".sum() * 2"),
        "You added the shares. Take their difference.": slip(
            "synthetic.sum() - real", "synthetic.sum() + real"
        ),
    },
    alternatives=(
        _tv_loop,
        returning("float(1 - np.minimum(synthetic / synthetic.sum(), real / real.sum()).sum())"),
        returning("float(np.clip(synthetic / synthetic.sum() - real / real.sum(), 0, None).sum())"),
    ),
)

# --- classifier two-sample test -------------------------------------------------------------------


def _c2st_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(least, right):
        n = least + 2 * rng.integers(16)  # so that no share is that of other numbers
        truth = np.arange(n) % 2
        predicted = np.where(np.arange(n) < round(right * n), truth, 1 - truth)
        order = rng.permutation(n)
        predicted, truth = predicted[order], truth[order]
        shuffled = rng.permuted(np.tile(truth, (199, 1)), axis=1)
        return {"predicted": predicted, "truth": truth, "shuffled": shuffled}

    return {
        "a little better than chance": case(40, 0.56),
        "exactly as good as chance": case(60, 0.5),
        "worse than chance": case(50, 0.42),
        "no permutation comes near": case(120, 0.9),
    }


def _c2st_loop(predicted, truth, shuffled):
    right = sum(a == b for a, b in zip(predicted, truth, strict=True))
    as_good = 1
    for labels in shuffled:
        as_good += (predicted == labels).sum() >= right
    return float(right / len(truth)), float(as_good / (len(shuffled) + 1))


def _c2st_picture(answer):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):  # predictions that know nothing: p should be uniform
        truth = np.arange(200) % 2
        shuffled = rng.permuted(np.tile(truth, (99, 1)), axis=1)
        found.append(answer(rng.integers(0, 2, 200), truth, shuffled)[1])
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.plot(np.sort(found), np.arange(1, 301) / 300, color=BLUE, label="blind classifiers")
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="uniform")
    ax.set(
        xlabel="p-value",
        ylabel="share of tests below it",
        title="Under the null, p is almost uniform",
    )
    ax.legend(fontsize=8)
    return fig, (
        "The cumulative share of 300 p-values of classifiers that guess: it climbs along the diagonal, a "
        "little below it, as valid p-values do."
    )


def _c2st_by_ranks(predicted, truth, shuffled):
    right = (np.vstack([truth, shuffled]) == predicted).sum(axis=1)
    return float(right[0] / len(truth)), float((right >= right[0]).mean())


C2ST = Exercise(
    id="fidelity.c2st",
    title="The classifier two-sample test",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the accuracy of the predictions and their permutation p-value: the share of labellings "
    "as good or better, the true one counted among them.",
    hints=(
        "The accuracy is how often `predicted == truth`. Under the null any permutation of the labels is "
        "as likely as the true one.",
        "`(predicted == shuffled).mean(axis=1)` has the accuracy for each row of permuted labels.",
        "p = (1 + how many of those reach the accuracy) / (1 + how many there are).",
    ),
    reference=textbook.c2st,
    inputs=_c2st_cases,
    numpy=True,
    picture=_c2st_picture,
    mistakes={
        (
            "A p-value of 0 claims more than so few permutations can know. Count the true labelling as "
            "one of them: add 1 above and below."
        ): slip(
            "(1 + (null >= accuracy).sum()) / (1 + len(shuffled))", "(null >= accuracy).mean()"
        ),
        "Ties count as well: a labelling as good as the true one speaks against it too. Use >=.": slip(
            ">=", ">"
        ),
        "This is the other tail: how many labellings are as bad or worse.": slip(">=", "<="),
        "Two-sided: only an accuracy above chance is evidence that the classifier can tell.": slip(
            "null >= accuracy", "np.abs(null - 0.5) >= np.abs(accuracy - 0.5)"
        ),
        "The first value is the mean accuracy of the permutations. Return that of the truth.": returning(
            "float(null.mean()), float(p)"
        ),
        "The true labelling is missing below: divide by 1 + len(shuffled).": slip(
            "(1 + len(shuffled))", "len(shuffled)"
        ),
        "The true labelling is missing above: it is one of those that are as good: 1 + ...": slip(
            "(1 + (null >= accuracy).sum())", "(null >= accuracy).sum()"
        ),
        "The two are in the wrong order: first the accuracy, then the p-value.": returning(
            "float(p), float(accuracy)"
        ),
        "This is the share of errors. Return the share that is predicted right.": returning(
            "float(1 - accuracy), float(p)"
        ),
        "The mean ran over the labellings. Each labelling has an accuracy over its rows: axis=1.": slip(
            "mean(axis=1)", "mean(axis=0)"
        ),
        "This is the number of right predictions. Return their share.": returning(
            "float((predicted == truth).sum()), float(p)"
        ),
        "This is 1 minus the p-value. A small p-value speaks against equal tables.": returning(
            "float(accuracy), float(1 - p)"
        ),
        (
            "The permutations have numbers of right predictions here, the truth has a share. Compare "
            "shares."
        ): slip("(predicted == shuffled).mean(axis=1)", "(predicted == shuffled).sum(axis=1)"),
    },
    alternatives=(
        _c2st_loop,
        slip(
            "(1 + (null >= accuracy).sum()) / (1 + len(shuffled))",
            "np.mean(np.append(null, accuracy) >= accuracy)",
        ),
        _c2st_by_ranks,
    ),
)

# --- Fréchet distance -----------------------------------------------------------------------------


def _frechet_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(real, generated):
        mean_real, cov_real = fidelity.moments(real)
        mean, cov_generated = fidelity.moments(generated)
        return {
            "mean_real": mean_real,
            "cov_real": cov_real,
            "mean": mean,
            "cov_generated": cov_generated,
        }

    def rows(n, d):
        return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d)

    same = rows(40, 3)
    return {
        "the same moments: 0": case(same, same),
        "only the means differ": case(same, same + rng.uniform(1, 2, 3)),
        "correlated features": case(rows(60, 4), rows(50, 4)),
        "fewer rows than features: no full rank": case(rows(4, 6), rows(60, 6)),
    }


_CROSS = 'np.linalg.norm(root(cov_real) @ root(cov_generated), "nuc")'


def _frechet_by_sqrtm(mean_real, cov_real, mean, cov_generated):
    ridge = 1e-12 * np.eye(len(mean))
    root = np.real(sqrtm((cov_real + ridge) @ (cov_generated + ridge)))
    shift = ((mean_real - mean) ** 2).sum()
    return float(shift + np.trace(cov_real + cov_generated - 2 * root))


def _frechet_picture(answer):
    scales = np.linspace(0.1, 2, 39)
    zero, eye = np.zeros(4), np.eye(4)
    fig, ax = plt.subplots(figsize=(4.6, 3))
    for shift, colour, style in ((0.0, BLUE, "-"), (0.5, ORANGE, "--")):
        values = [answer(zero, eye, zero + shift, scale**2 * eye) for scale in scales]
        ax.plot(scales, values, color=colour, linestyle=style, label=f"mean off by {shift:g}")
    ax.set(xlabel="scale of the generator", ylabel="Fréchet distance")
    ax.set_title("N(0, I) in four dimensions")
    ax.legend(fontsize=8)
    return fig, (
        "The Fréchet distance against the generator's scale: a parabola that touches 0 at scale 1, and "
        "the same parabola lifted by 1 where each of the four means is off by one half."
    )


FRECHET = Exercise(
    id="fidelity.frechet_distance",
    title="The Fréchet distance",
    points=2,
    minutes=15,
    difficulty=3,
    task="Return the squared Fréchet distance of two normal distributions from their means and "
    "covariances, also where a covariance does not have full rank.",
    hints=(
        "FD = |m_r - m_g|² + tr(C_r + C_g - 2 (C_r C_g)^½). The square root is one of a matrix, not of its "
        "entries.",
        "With C = V diag(λ) Vᵀ from `np.linalg.eigh`, the root is V diag(√λ) Vᵀ. Rounding can make a zero "
        "eigenvalue slightly negative: clip it.",
        "tr((C_r C_g)^½) is the sum of the singular values of C_r^½ C_g^½: `np.linalg.norm(..., 'nuc')`.",
    ),
    reference=fidelity.frechet_of_moments,
    inputs=_frechet_cases,
    numpy=True,
    picture=_frechet_picture,
    mistakes={
        (
            "The roots were taken entry by entry. The square root of a matrix is a matrix whose product "
            "with itself gives it back."
        ): slip(_CROSS, "np.trace(np.sqrt(np.abs(cov_real)) @ np.sqrt(np.abs(cov_generated)))"),
        "The distance of the means must be squared, like the variances next to it.": slip(
            "difference @ difference", "np.sqrt(difference @ difference)"
        ),
        "The means are missing: a generator that is off by a constant would be perfect.": slip(
            "difference @ difference + ", ""
        ),
        "Only the variances were compared. The covariances off the diagonal matter as well.": slip(
            _CROSS, "np.sqrt(np.diag(cov_real) * np.diag(cov_generated)).sum()"
        ),
        (
            "The square root is missing: the last term is that of the product's root, not of the "
            "product."
        ): slip(_CROSS, "np.trace(cov_real @ cov_generated)"),
        "This is the root of what is wanted. The distance as everybody quotes it (FID) is squared.": slip(
            "return float(",
            "distance = (",
            "2 * cross)",
            "2 * cross)\n    return float(np.sqrt(max(distance, 0.0)))",
        ),
        "The factor 2 before the last term is missing.": slip("2 * cross", "cross"),
        "The last term is subtracted, not added.": slip("- 2 * cross", "+ 2 * cross"),
        "The traces of the two covariances are missing.": slip(
            " + np.trace(cov_real) + np.trace(cov_generated)", ""
        ),
        "You summed the whole covariances. A trace is the sum of the diagonal.": slip(
            "np.trace(cov_real) + np.trace(cov_generated)",
            "cov_real.sum() + cov_generated.sum()",
        ),
        "You added the two means. Take their difference.": slip(
            "mean_real - mean", "mean_real + mean"
        ),
        "You averaged the squared differences of the means. Sum them.": slip(
            "difference @ difference", "(difference @ difference) / len(difference)"
        ),
        "The sign is turned round: a distance is never negative.": returning(
            "float(2 * cross - (difference @ difference + np.trace(cov_real) + "
            "np.trace(cov_generated)))"
        ),
    },
    alternatives=(
        slip(_CROSS, "np.sqrt(np.linalg.eigvals(cov_real @ cov_generated).real.clip(0)).sum()"),
        slip(
            _CROSS,
            "np.sqrt(np.linalg.eigvalsh(root(cov_real) @ cov_generated @ root(cov_real)).clip(0)).sum()",
        ),
        _frechet_by_sqrtm,
    ),
    atol=1e-4,
)

# --- its limit ------------------------------------------------------------------------------------


def _limit_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(sizes, limit, slope, noise):
        sizes = np.asarray(sizes, float)
        distances = limit + slope / sizes + noise * rng.standard_normal(len(sizes))
        return {"sizes": sizes, "distances": distances}

    a, b = rng.uniform(1, 5), rng.uniform(500, 3000)
    return {
        "a straight line in 1 / n": case([250, 500, 1000, 2000], a, b, 0.0),
        "one distribution: the limit is 0": case([100, 200, 400, 800], 0.0, b, 0.0),
        "with noise": case([300, 500, 900, 1500, 2500], a, b, 0.05),
    }


def _limit_by_lstsq(sizes, distances):
    design = np.stack([np.ones(len(sizes)), 1 / sizes], axis=1)
    return float(np.linalg.lstsq(design, distances, rcond=None)[0][0])


def _limit_by_covariance(sizes, distances):
    x = 1 / sizes
    slope = ((x - x.mean()) * (distances - distances.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return float(distances.mean() - slope * x.mean())


def _limit_picture(answer):
    sizes = np.array([250.0, 500, 1000, 2000])
    fig, ax = plt.subplots(figsize=(4.6, 3))
    for limit, colour, marker in ((0.0, BLUE, "o"), (2.0, ORANGE, "s")):
        distances = limit + 2200 / sizes
        end = answer(sizes, distances)
        ax.plot(1 / sizes, distances, marker, color=colour, label=f"true limit {limit:g}")
        ax.plot([0, 1 / sizes[0]], [end, end + 2200 / sizes[0]], "--", color=colour)
    ax.set(xlabel="1 / n", ylabel="Fréchet distance", title="Follow the line to 1 / n = 0")
    ax.set_xticks([0, 0.001, 0.002, 0.003, 0.004])
    ax.legend(fontsize=8)
    return fig, (
        "Fréchet distances against 1 / n for two generators, each on a straight dashed line. Followed to "
        "1 / n = 0, the lines end at 0 and at 2."
    )


def _limit_by_polynomial(sizes, distances):
    line = np.polynomial.Polynomial.fit(1 / sizes, distances, 1)
    return float(line(0.0))


EXTRAPOLATE = Exercise(
    id="fidelity.extrapolate_to_infinite_size",
    title="The distance at infinite size",
    points=1,
    minutes=5,
    difficulty=2,
    task="Fit a straight line to the distances against 1 / n, and return its value at 1 / n = 0.",
    hints=(
        "The horizontal axis is 1 / sizes. An endless sample is at its 0.",
        "`np.polyfit(x, y, 1)` returns the slope first, then the intercept.",
    ),
    reference=textbook.extrapolate,
    inputs=_limit_cases,
    numpy=True,
    picture=_limit_picture,
    mistakes={
        "The line was fitted against n. The bias falls like 1 / n, so only there is it straight.": slip(
            "1 / sizes", "sizes"
        ),
        "This is the slope. np.polyfit returns the highest power first.": returning(
            "float(_slope)"
        ),
        "This is the distance at the largest sample, which is still biased.": returning(
            "float(distances[-1])"
        ),
        (
            "This is the mean over the sizes: no size "
            "is free of the bias, and neither is their mean."
        ): returning("float(distances.mean())"),
        "The fit is against the logarithm of n, which has no place for infinity.": slip(
            "1 / sizes", "np.log(sizes)"
        ),
        "The line was fitted against one over the root of n. The bias falls like 1 / n.": slip(
            "1 / sizes", "1 / np.sqrt(sizes)"
        ),
        "This is the constant of a parabola. A straight line is asked for: degree 1.": returning(
            "float(np.polyfit(1 / sizes, distances, 2)[-1])"
        ),
        "The two are in the wrong order: np.polyfit takes x first, which is 1 / sizes.": slip(
            "1 / sizes, distances", "distances, 1 / sizes"
        ),
        "This is the line's value at the largest sample. Return it at 1 / n = 0, the constant.": returning(
            "float(intercept + _slope / sizes[-1])"
        ),
        "This is the line's value at n = 1. Return it at 1 / n = 0, the constant.": returning(
            "float(intercept + _slope)"
        ),
    },
    alternatives=(_limit_by_lstsq, _limit_by_covariance, _limit_by_polynomial),
)

# --- precision and recall -------------------------------------------------------------------------


def _manifold_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(real, generated, k):
        return {"real": real, "generated": generated, "k": k}

    real = rng.standard_normal((80, 3))
    halves = rng.standard_normal((60, 2)) + 8 * (np.arange(60)[:, None] % 2)
    return {
        "one distribution": case(real, rng.standard_normal((70, 3)), 3),
        "shrunk to the middle": case(real, 0.2 * rng.standard_normal((60, 3)), 5),
        "one of two modes only": case(halves, rng.standard_normal((50, 2)), 3),
        "twice as wide": case(real, 2.5 * rng.standard_normal((80, 3)), 4),
    }


def _manifold_by_neighbours(real, generated, k):
    def radius(points):
        return NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[0][:, -1]

    def inside(points, balls):
        return float((cdist(points, balls) < radius(balls)).any(axis=1).mean())

    return inside(generated, real), inside(real, generated)


def _manifold_by_audit(real, generated, k):
    found = fidelity.manifold_measures(real, generated, k)
    return found["precision"], found["recall"]


def _manifold_picture(answer):
    rng = np.random.default_rng(0)
    real = rng.standard_normal((300, 8))
    scales = np.linspace(0.2, 2, 13)
    values = np.array([answer(real, s * rng.standard_normal((300, 8)), 5) for s in scales])
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.plot(scales, values[:, 0], color=BLUE, marker="o", markersize=4, label="precision")
    ax.plot(scales, values[:, 1], color=ORANGE, marker="s", markersize=4, label="recall")
    ax.axvline(1, color=GREY, linestyle="--")
    ax.set(xlabel="scale of the generator", ylim=(-0.05, 1.05), title="One falls, the other rises")
    ax.legend(fontsize=8)
    return fig, (
        "Precision and recall of a normal distribution in eight dimensions against the generator's "
        "scale: precision falls from 1, recall rises from 0; they cross near the true "
        "scale 1, at about 0.93."
    )


def _manifold_by_partition(real, generated, k):
    radii = [np.partition(cdist(x, x), k, axis=1)[:, k] for x in (real, generated)]
    apart = cdist(generated, real)
    found = (apart < radii[0]).any(axis=1), (radii[1] > apart.T).any(axis=1)
    return tuple(float(np.mean(hits)) for hits in found)


PRECISION_RECALL = Exercise(
    id="fidelity.precision_recall",
    title="Precision and recall",
    points=3,
    minutes=15,
    difficulty=3,
    task="Return precision and recall with balls that reach to each point's k-th nearest neighbour of "
    "its own kind, where a point is not its own neighbour.",
    hints=(
        "Radii first: sort each row of `cdist(points, points)`. Its first entry is the point itself, at "
        "distance 0, so the k-th neighbour stands at index k.",
        "`cdist(real, generated)` has a row for each real and a column for each generated point. Compare "
        "it with the real radii, as a column, for precision; with the generated radii for recall.",
        "Precision: `.any(axis=0).mean()`, over the generated points. Recall: `.any(axis=1).mean()`.",
    ),
    reference=textbook.precision_recall,
    inputs=_manifold_cases,
    numpy=True,
    picture=_manifold_picture,
    mistakes={
        "Precision and recall are swapped: precision is about the generated points.": returning(
            "float(recall), float(precision)"
        ),
        (
            "Each point was counted as its own neighbour, so that the balls reach only to neighbour k - "
            "1."
        ): slip("[:, k]", "[:, k - 1]"),
        (
            "The balls are the wrong ones: precision asks for the balls of the real points, recall for "
            "those of the generated ones."
        ): slip(
            "radius(generated)).any(axis=1)",
            "radius(real)[:, None]).any(axis=1)",
            "radius(real)[:, None]).any(axis=0)",
            "radius(generated)).any(axis=0)",
        ),
        "All balls have the same size. Each point has its own radius: wide where points are sparse.": slip(
            "np.sort(cdist(points, points), axis=1)[:, k]",
            "np.full(len(points), np.sort(cdist(points, points), axis=1)[:, k].mean())",
        ),
        "The balls reach one neighbour too far: index 0 of the sorted distances is the point itself.": slip(
            "[:, k]", "[:, k + 1]"
        ),
        "These are the shares outside of the balls. Return the shares inside.": returning(
            "1 - float(precision), 1 - float(recall)"
        ),
        "A point counts here only if it lies in all balls. One is enough: any, not all.": slip(
            ".any(axis=0)", ".all(axis=0)", ".any(axis=1)", ".all(axis=1)"
        ),
        "k is always 5 here. Use the argument, of which 5 is only the default.": slip(
            "[:, k]", "[:, 5]"
        ),
        "Squared distances are compared with radii. Take distances.": slip(
            "cdist(real, generated)", "cdist(real, generated, 'sqeuclidean')"
        ),
        (
            "The first number is the share of real points with a generated one in their ball "
            "(coverage). Precision is a share of the generated points."
        ): slip("radius(real)[:, None]).any(axis=0)", "radius(real)[:, None]).any(axis=1)"),
        "Both numbers are the precision. The second is the recall: a share of the real points.": returning(
            "float(precision), float(precision)"
        ),
    },
    alternatives=(_manifold_by_neighbours, _manifold_by_audit, _manifold_by_partition),
)

# --- train on synthetic, test on real -------------------------------------------------------------


def _tstr_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def rows(n, apart):
        y = rng.permutation(np.arange(n) % 3)
        return rng.standard_normal((n, 2)) + apart * np.stack([y, y == 1], axis=1), y

    def case(m, n, apart):
        values = {}
        parts = (
            ("synthetic", rows(m, apart)),
            ("real", rows(n, 1.5)),
            ("held_out", rows(150, 1.5)),
        )
        for part, (x, y) in parts:
            values |= {f"{part}_x": x, f"{part}_y": y}
        return values

    return {
        "as many rows of each": case(60, 60, 0.5),
        "more real rows than synthetic ones": case(20, 120, 0.5),
        "more synthetic rows than real ones": case(150, 15, 1.5),
    }


def _tstr_probe(answer, synthetic_x, synthetic_y, real_x, real_y, held_out_x, held_out_y):
    """Both scores of a nearest-neighbour classifier, and whether it was left unfitted."""
    model = KNeighborsClassifier(n_neighbors=1)
    scores = answer(
        model,
        (synthetic_x, synthetic_y),
        (real_x, real_y),
        (held_out_x, held_out_y),
    )
    return {"scores": scores, "the model was left as it was": not hasattr(model, "classes_")}


def _tstr_by_hand(model, synthetic, real, held_out):
    n = min(len(synthetic[0]), len(real[0]))
    scores = []
    for x, y in (synthetic, real):
        fitted = clone(model)
        fitted.fit(x[:n], y[:n])
        scores.append(float((fitted.predict(held_out[0]) == held_out[1]).mean()))
    return scores[0], scores[1]


def _tstr_picture(answer):
    rng = np.random.default_rng(0)

    def rows(n, wrong=0.0):
        y = np.arange(n) % 2
        x = rng.standard_normal((n, 2)) + 2.5 * y[:, None]
        return x, np.where(rng.random(n) < wrong, 1 - y, y)

    shares = np.linspace(0, 0.5, 11)
    real, held_out = rows(300), rows(1000)
    values = np.array(
        [answer(KNeighborsClassifier(5), rows(300, w), real, held_out) for w in shares]
    )
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.plot(shares, values[:, 0], color=ORANGE, marker="o", markersize=4, label="synthetic rows")
    ax.plot(shares, values[:, 1], color=BLUE, linestyle="--", label="real rows")
    ax.set(xlabel="share of synthetic labels that are wrong", ylabel="accuracy on held-out rows")
    ax.set_title("Trained on synthetic, or on real")
    ax.legend(fontsize=8)
    return fig, (
        "Accuracy on held-out rows against the share of wrong synthetic labels. Trained on real rows: "
        "level, near 0.95. Trained on synthetic rows: the same at first, then falling to one half."
    )


def _tstr_one_after_the_other(model, synthetic, real, held_out):
    count = min(map(len, (synthetic[1], real[1])))
    of_synthetic = clone(model).fit(*(part[:count] for part in synthetic))
    of_real = clone(model).fit(*(part[:count] for part in real))
    return float(of_synthetic.score(*held_out)), float(of_real.score(*held_out))


TSTR = Exercise(
    id="fidelity.train_synthetic_test_real",
    title="Train on synthetic, test on real",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return two scores on the held-out rows: of a model trained on synthetic rows, and of one trained "
    "on equally many real rows. Of the larger set take the first rows.",
    hints=(
        "`clone(model)` gives a fresh, unfitted copy; use one for each training set.",
        "`rows = min(len(synthetic[1]), len(real[1]))`, and both learn from their first `rows` rows.",
        "`clone(model).fit(x, y).score(*held_out)` is a score.",
    ),
    reference=textbook.train_synthetic_test_real,
    inputs=_tstr_cases,
    probe=_tstr_probe,
    numpy=True,
    picture=_tstr_picture,
    mistakes={
        (
            "Unequal numbers of rows: the larger set teaches more, whatever its quality. Use equally "
            "many."
        ): slip("x[:rows], y[:rows]", "x, y"),
        "The models were tried on the rows that they learnt from. Use the held-out rows.": slip(
            "*held_out", "x[:rows], y[:rows]"
        ),
        (
            "This trains on real and tests on synthetic (TRTS): a generator that draws a single easy "
            "row would win. Train on the synthetic rows."
        ): returning(
            "clone(model).fit(real[0][:rows], real[1][:rows]).score(*synthetic), real_score"
        ),
        "The scores are the wrong way round: synthetic first, then real.": returning(
            "float(real_score), float(synthetic_score)"
        ),
        (
            "The model that was handed over is fitted now, and the caller did not ask for that. Fit "
            "clone(model)."
        ): slip("clone(model)", "model"),
        "These are the last rows. Of the larger set take the first rows.": slip(
            "x[:rows], y[:rows]", "x[-rows:], y[-rows:]"
        ),
        "Both models learnt from real rows. The first learns from the synthetic ones.": slip(
            "in (synthetic, real)", "in (real, real)"
        ),
        "Both models learnt from synthetic rows. The second learns from the real ones.": slip(
            "in (synthetic, real)", "in (synthetic, synthetic)"
        ),
        "This is the difference of the scores. Return both of them.": returning(
            "float(synthetic_score - real_score)"
        ),
        "This is the ratio of the scores. Return both of them.": returning(
            "float(synthetic_score / real_score)"
        ),
        "These are the shares of errors. Return the scores.": returning(
            "1 - float(synthetic_score), 1 - float(real_score)"
        ),
    },
    alternatives=(
        _tstr_by_hand,
        slip("clone(model)", "type(model)(**model.get_params())"),
        _tstr_one_after_the_other,
    ),
)

# --- estimates from synthetic tables --------------------------------------------------------------


def _combine_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(m, spread):
        estimates = rng.normal(5, spread, m)
        return {"estimates": estimates, "variances": rng.uniform(0.5, 1.5, m)}

    return {
        "two tables": case(2, 1.0),
        "five tables that differ much": case(5, 3.0),
        "twenty tables that hardly differ": case(20, 0.3),
    }


def _combine_by_loops(estimates, variances):
    m = len(estimates)
    mean = sum(estimates) / m
    between = sum((q - mean) ** 2 for q in estimates) / (m - 1)
    return mean, sum(variances) / m + between / m


def _combine_by_errors(estimates, variances):
    return estimates.mean(), variances.mean() + stats.sem(estimates) ** 2


def _combine_by_squares(estimates, variances):
    m, mean = len(estimates), np.sum(estimates) / len(estimates)
    between = (np.sum(np.square(estimates)) - m * mean**2) / (m - 1)
    return [mean, np.average(variances) + between / m]


def _combine_picture(answer):
    rng = np.random.default_rng(1)
    estimates = rng.normal(0, 1, 8)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.errorbar(range(8), estimates, 2 * np.ones(8), fmt="o", color=GREY, label="each table")
    estimate, variance = answer(estimates, np.ones(8))
    ax.errorbar([8.5], [estimate], [2 * variance**0.5], fmt="s", color=ORANGE, label="combined")
    ax.set(xlabel="synthetic table", ylabel="estimate, two standard errors")
    ax.set_title("Eight tables, one answer")
    ax.set_ylim(-5, 4)
    ax.legend(fontsize=8, loc="lower left", ncols=2)
    return fig, (
        "Estimates of eight synthetic tables with bars of two standard errors, and the combined one beside "
        "them, whose bar is a little longer than each of theirs."
    )


COMBINED_ESTIMATE = Exercise(
    id="fidelity.combined_estimate",
    title="What synthetic tables say together",
    points=2,
    minutes=10,
    difficulty=1,
    task="Return the mean of the tables' estimates, and its variance: the mean of the variances that they "
    "claim, plus the variance between the tables divided by their number.",
    hints=(
        "The variance between the tables is that of the estimates, with m - 1 in the denominator.",
        "variances.mean() + estimates.var(ddof=1) / len(estimates)",
    ),
    reference=textbook.combined_estimate,
    inputs=_combine_cases,
    probe=call_for_array,
    numpy=True,
    picture=_combine_picture,
    mistakes={
        (
            "The tables were treated as independent samples: m tables do not hold m times the "
            "information, since all come from one real table."
        ): slip("variances.mean()", "variances.mean() / len(estimates)"),
        "The variance between the tables is missing: each was drawn by chance.": slip(
            " + between / len(estimates)", ""
        ),
        (
            "This is the rule for missing data, mean(v) + (1 + 1 / m) b. There the real rows are partly "
            "kept; here the between part is b / m."
        ): slip("between / len(estimates)", "between * (1 + 1 / len(estimates))"),
        "The variance between the tables is an estimate from m values: divide by m - 1, ddof=1.": slip(
            "ddof=1", "ddof=0"
        ),
        "This is the standard error. Return its square, the variance.": slip(
            "float(total)", "float(total**0.5)"
        ),
        "The variance between the tables still has to be divided by their number.": slip(
            "between / len(estimates)", "between"
        ),
        "The two are in the wrong order: first the estimate, then its variance.": returning(
            "float(total), float(estimates.mean())"
        ),
        "You summed the variances that the tables claim. Take their mean.": slip(
            "variances.mean()", "variances.sum()"
        ),
        "Tables with a small variance count more here. All tables count alike: the plain mean.": returning(
            "float((estimates / variances).sum() / (1 / variances).sum()), float(total)"
        ),
        "You took the standard deviation between the tables. Take the variance.": slip(
            "estimates.var(ddof=1)", "estimates.std(ddof=1)"
        ),
        (
            "This is the rule for tables with rows of other people, (1 + 1 / m) b - mean(v). Here it is "
            "mean(v) + b / m."
        ): returning(
            "float(estimates.mean()), float((1 + 1 / len(estimates)) * between - variances.mean())"
        ),
        "You subtracted the variance between the tables. Add it.": slip("+ between", "- between"),
        "You multiplied by the number of tables. Divide.": slip(
            "between / len(estimates)", "between * len(estimates)"
        ),
        "This is the sum of the estimates. Take their mean.": returning(
            "float(estimates.sum()), float(total)"
        ),
    },
    alternatives=(_combine_by_loops, _combine_by_errors, _combine_by_squares),
)

# --- density ratio --------------------------------------------------------------------------------


def _ratio_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(probability, n_real, n_generated):
        return {"probability": probability, "n_real": n_real, "n_generated": n_generated}

    few, many = int(rng.integers(100, 300)), int(rng.integers(500, 900))
    return {
        "equally many of each": case(rng.uniform(0.05, 0.95, 8), 300, 300),
        "more generated rows than real ones": case(rng.uniform(0.05, 0.95, 12), few, many),
        "more real rows than generated ones": case(rng.uniform(0.05, 0.95, 12), many, few),
    }


def _ratio_by_bayes(probability, n_real, n_generated):
    prior = n_real / (n_real + n_generated)
    return (probability / prior) / ((1 - probability) / (1 - prior))


def _ratio_picture(answer):
    x = np.linspace(-3, 4, 200)
    real, generated = np.exp(-(x**2) / 2), np.exp(-((x - 0.7) ** 2) / 2)
    probability = real / (real + 3 * generated)  # fitted to three times as many generated rows
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.plot(x, real / 2.5066, color=BLUE, label="real")
    ax.plot(x, generated / 2.5066, color=GREY, label="generator")
    corrected = answer(probability, 100, 300) * generated / 2.5066
    ax.plot(x, corrected, color=ORANGE, linestyle="--", label="generator, weighted")
    ax.set(xlabel="x", ylabel="density", title="Weights turn one density into the other")
    ax.legend(fontsize=8)
    return fig, (
        "Three densities: the real one around 0, the generator's around 0.7, and the generator's times the "
        "weights, dashed, which lies on the real one."
    )


DENSITY_RATIO = Exercise(
    id="fidelity.density_ratio",
    title="From a probability to a weight",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the ratio of the real density to the generator's, from the calibrated probability that a "
    "row is real.",
    hints=(
        "Bayes' rule: the odds p / (1 - p) are the ratio of the densities times that of the numbers of "
        "rows.",
        "The classifier saw n_real / n_generated real rows to each generated one: divide the odds by that.",
    ),
    reference=textbook.density_ratio,
    inputs=_ratio_cases,
    numpy=True,
    picture=_ratio_picture,
    mistakes={
        (
            "The numbers of rows are missing: a classifier that saw more generated rows calls "
            "everything less real."
        ): slip(" * n_generated / n_real", ""),
        "The numbers of rows go the other way: divide the odds by n_real / n_generated.": slip(
            "n_generated / n_real", "n_real / n_generated"
        ),
        (
            "This is the generator's density over the real "
            "one: rows that look fake would weigh most."
        ): returning("(1 - probability) / probability * n_real / n_generated"),
        "A probability is not a ratio of densities: it never exceeds 1. Take the odds, p / (1 - p).": slip(
            " / (1 - probability)", ""
        ),
        (
            "The weights were divided by their sum. Return the ratio itself: its mean, near 1 or not, "
            "says whether the classifier is calibrated."
        ): returning("probability / (1 - probability) / (probability / (1 - probability)).sum()"),
        "This is the logarithm of the ratio. Return the ratio itself.": returning(
            "np.log(probability / (1 - probability) * n_generated / n_real)"
        ),
        "The ratio was cut at 1. It may be larger: there the generator draws too few rows.": returning(
            "np.minimum(probability / (1 - probability) * n_generated / n_real, 1)"
        ),
        (
            "You multiplied by the share of generated "
            "rows. Multiply by the ratio n_generated / n_real."
        ): returning("probability / (1 - probability) * n_generated / (n_real + n_generated)"),
        (
            "The ratio was divided by its mean. Return it as it is: a mean near 1 shows that the "
            "classifier is calibrated."
        ): returning("probability / (1 - probability) / (probability / (1 - probability)).mean()"),
        "You took the difference of the two probabilities. Divide one by the other.": returning(
            "(2 * probability - 1) * n_generated / n_real"
        ),
        "You took the root of the odds. Leave it out.": returning(
            "np.sqrt(probability / (1 - probability)) * n_generated / n_real"
        ),
        "You multiplied by 1 minus the probability. The odds divide by it.": slip(
            "/ (1 - probability)", "* (1 - probability)"
        ),
    },
    alternatives=(
        returning(
            "np.exp(np.log(probability) - np.log1p(-probability) - np.log(n_real / n_generated))"
        ),
        _ratio_by_bayes,
        returning("n_generated / n_real / (1 / probability - 1)"),
    ),
)
