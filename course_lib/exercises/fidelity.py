"""The exercises of lesson 09: measures of fidelity, and weights that correct a generator."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from course_lib.audit import fidelity, statistics, textbook
from course_lib.exercises.exercise import Case, Exercise, Mistake
from course_lib.plots import BLUE, GREY, ORANGE


def _numpy_probe(answer, **inputs):
    """The answer on NumPy arrays; an array comes back as one of floats, whatever its numbers are."""
    given = answer(*(v.numpy() if isinstance(v, torch.Tensor) else v for v in inputs.values()))
    return given.astype(float) if isinstance(given, np.ndarray) else given


# --- total variation ------------------------------------------------------------------------------


def _counts_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def case(name, synthetic, real):
        return Case(
            name,
            {"synthetic": np.asarray(synthetic, np.int64), "real": np.asarray(real, np.int64)},
        )

    some = rng.integers(1, 300, 6)
    law = rng.dirichlet(np.full(10, 2.0))
    apart = rng.integers(10, 90, 4)
    return [
        case("the same shares, twice as many rows: 0", 2 * some, some),
        case("no cell in common: 1", [*apart, 0, 0, 0], [0, 0, 0, 0, *apart[:3]]),
        case("two samples of one law", rng.multinomial(500, law), rng.multinomial(900, law)),
        case("two laws", rng.integers(0, 200, 8), rng.integers(20, 400, 8)),
    ]


def _shares(counts):
    return counts / counts.sum()


def _tv_loop(synthetic, real):
    m, n = sum(synthetic), sum(real)
    return sum(max(a / m - b / n, 0) for a, b in zip(synthetic, real, strict=True))


def _tv_picture(answer):
    rng = np.random.default_rng(0)
    law = np.full(20, 1 / 20)
    sizes = np.array([30, 60, 125, 250, 500, 1000, 2000, 4000])
    means = [
        np.mean([answer(*rng.multinomial(n, law, 2)) for _ in range(30)])  # both of one law
        for n in sizes
    ]
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.loglog(sizes, means, color=BLUE, marker="o", markersize=4)
    ax.set(xlabel="rows on each side", ylabel="mean total variation")
    ax.set_title("One law, and still not 0")
    return fig, (
        "Mean total variation of two samples of one law with 20 equal cells, against the rows on each "
        "side, both logarithmic: a falling straight line, from about 0.4 at 30 rows to 0.04 at 4,000."
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
    cases=_counts_cases,
    probe=_numpy_probe,
    picture=_tv_picture,
    mistakes=(
        Mistake(
            "The factor ½ is missing: what one cell lacks, another has too much, and it counts twice.",
            lambda synthetic, real: 2 * statistics.total_variation(synthetic, real),
        ),
        Mistake(
            "Counts were compared as they are. Divide each set by its own total first.",
            lambda synthetic, real: float(np.abs(synthetic - real).sum() / 2),
        ),
        Mistake(
            "This is the largest difference of a single cell. Total variation sums over all cells.",
            lambda synthetic, real: float(np.abs(_shares(synthetic) - _shares(real)).max()),
        ),
        Mistake(
            "Without the absolute value, too much and too little cancel: the shares of both sides sum "
            "to 1.",
            lambda synthetic, real: float((_shares(synthetic) - _shares(real)).sum() / 2),
        ),
        Mistake(
            "This is the mean over the cells. Shares are weights already: take the sum.",
            lambda synthetic, real: float(np.abs(_shares(synthetic) - _shares(real)).mean() / 2),
        ),
    ),
    alternatives=(
        _tv_loop,
        lambda synthetic, real: float(1 - np.minimum(_shares(synthetic), _shares(real)).sum()),
    ),
)

# --- classifier two-sample test -------------------------------------------------------------------


def _c2st_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def case(name, n, right):
        truth = np.arange(n) % 2
        predicted = np.where(np.arange(n) < round(right * n), truth, 1 - truth)
        order = rng.permutation(n)
        predicted, truth = predicted[order], truth[order]
        shuffled = rng.permuted(np.tile(truth, (199, 1)), axis=1)
        return Case(name, {"predicted": predicted, "truth": truth, "shuffled": shuffled})

    return [
        case("a little better than chance", 40, 0.56),
        case("exactly as good as chance", 60, 0.5),
        case("worse than chance", 50, 0.42),
        case("no permutation comes near", 120, 0.9),
    ]


def _c2st_with(count):
    """A test whose p-value is `count(null, accuracy)`."""

    def answer(predicted, truth, shuffled):
        accuracy = (predicted == truth).mean()
        null = (predicted == shuffled).mean(axis=1)
        return float(accuracy), float(count(null, accuracy))

    return answer


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
        title="Under the null, p is all but uniform",
    )
    ax.legend(fontsize=8)
    return fig, (
        "The cumulative share of 300 p-values of classifiers that guess: it climbs along the diagonal, a "
        "little below it, as valid p-values do."
    )


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
    cases=_c2st_cases,
    probe=_numpy_probe,
    picture=_c2st_picture,
    mistakes=(
        Mistake(
            "A p-value of 0 claims more than so few permutations can know. Count the true labelling as "
            "one of them: add 1 above and below.",
            _c2st_with(lambda null, accuracy: (null >= accuracy).mean()),
        ),
        Mistake(
            "Ties count as well: a labelling as good as the true one speaks against it too. Use >=.",
            _c2st_with(lambda null, accuracy: (1 + (null > accuracy).sum()) / (1 + len(null))),
        ),
        Mistake(
            "This is the other tail: how many labellings are as bad or worse.",
            _c2st_with(lambda null, accuracy: (1 + (null <= accuracy).sum()) / (1 + len(null))),
        ),
        Mistake(
            "Two-sided: only an accuracy above chance is evidence that the classifier can tell.",
            _c2st_with(
                lambda null, accuracy: (
                    (1 + (np.abs(null - 0.5) >= np.abs(accuracy - 0.5)).sum()) / (1 + len(null))
                )
            ),
        ),
        Mistake(
            "The first value is the mean accuracy of the permutations. Return that of the truth.",
            lambda predicted, truth, shuffled: (
                float((predicted == shuffled).mean()),
                textbook.c2st(predicted, truth, shuffled)[1],
            ),
        ),
    ),
    alternatives=(
        _c2st_loop,
        _c2st_with(lambda null, accuracy: np.mean(np.append(null, accuracy) >= accuracy)),
    ),
)

# --- Fréchet distance -----------------------------------------------------------------------------


def _frechet_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def case(name, real, generated):
        mean_real, cov_real = fidelity.moments(real)
        mean, cov_generated = fidelity.moments(generated)
        return Case(
            name,
            {
                "mean_real": mean_real,
                "cov_real": cov_real,
                "mean": mean,
                "cov_generated": cov_generated,
            },
        )

    def rows(n, d):
        return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d)

    same = rows(40, 3)
    return [
        case("the same moments: 0", same, same),
        case("only the means differ", same, same + rng.uniform(1, 2, 3)),
        case("correlated features", rows(60, 4), rows(50, 4)),
        case("fewer rows than features: no full rank", rows(4, 6), rows(60, 6)),
    ]


def _frechet_with(trace_of, mean_weight=1.0):
    """The distance with another term in place of tr(C_r + C_g - 2 (C_r C_g)^(1/2))."""

    def answer(mean_real, cov_real, mean, cov_generated):
        shift = mean_weight * ((mean_real - mean) ** 2).sum()
        return float(shift + trace_of(cov_real, cov_generated))

    return answer


def _right_trace(one, two):
    zero = np.zeros(len(one))
    return fidelity.frechet_of_moments(zero, one, zero, two)


def _trace_by_eigenvalues(one, two):
    values = np.linalg.eigvals(one @ two).real.clip(0)
    return np.trace(one) + np.trace(two) - 2 * np.sqrt(values).sum()


def _trace_by_symmetric_root(one, two):
    values, vectors = np.linalg.eigh(one)
    half = vectors @ np.diag(np.sqrt(values.clip(0))) @ vectors.T
    inner = np.linalg.eigvalsh(half @ two @ half).clip(0)
    return np.trace(one + two) - 2 * np.sqrt(inner).sum()


def _trace_by_sqrtm(one, two):
    ridge = 1e-12 * np.eye(len(one))
    return np.trace(one + two - 2 * np.real(sqrtm((one + ridge) @ (two + ridge))))


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
    task="Return the Fréchet distance of two normal laws from their means and covariances, also where "
    "a covariance has no full rank.",
    hints=(
        "d² = |m_r - m_g|² + tr(C_r + C_g - 2 (C_r C_g)^½). The square root is one of a matrix, not of its "
        "entries.",
        "With C = V diag(λ) Vᵀ from `np.linalg.eigh`, the root is V diag(√λ) Vᵀ. Rounding can make a zero "
        "eigenvalue slightly negative: clip it.",
        "tr((C_r C_g)^½) is the sum of the singular values of C_r^½ C_g^½: `np.linalg.norm(..., 'nuc')`.",
    ),
    reference=fidelity.frechet_of_moments,
    cases=_frechet_cases,
    probe=_numpy_probe,
    picture=_frechet_picture,
    mistakes=(
        Mistake(
            "The roots were taken entry by entry. The square root of a matrix is a matrix whose product "
            "with itself gives it back.",
            _frechet_with(
                lambda one, two: np.trace(
                    one + two - 2 * np.sqrt(np.abs(one)) @ np.sqrt(np.abs(two))
                )
            ),
        ),
        Mistake(
            "The distance of the means must be squared, like the variances beside it.",
            lambda mean_real, cov_real, mean, cov_generated: float(
                np.linalg.norm(mean_real - mean) + _right_trace(cov_real, cov_generated)
            ),
        ),
        Mistake(
            "The means are missing: a generator that is off by a constant would be perfect.",
            _frechet_with(_right_trace, mean_weight=0.0),
        ),
        Mistake(
            "Only the variances were compared. The covariances off the diagonal matter as well.",
            _frechet_with(
                lambda one, two: ((np.sqrt(np.diag(one)) - np.sqrt(np.diag(two))) ** 2).sum()
            ),
        ),
        Mistake(
            "The square root is missing: the last term is that of the product's root, not of the product.",
            _frechet_with(lambda one, two: np.trace(one + two - 2 * one @ two)),
        ),
        Mistake(
            "This is the root of what is wanted. The distance as everybody quotes it (FID) is squared.",
            lambda mean_real, cov_real, mean, cov_generated: float(
                np.sqrt(
                    max(fidelity.frechet_of_moments(mean_real, cov_real, mean, cov_generated), 0.0)
                )
            ),
        ),
    ),
    alternatives=(
        _frechet_with(_trace_by_eigenvalues),
        _frechet_with(_trace_by_symmetric_root),
        _frechet_with(_trace_by_sqrtm),
    ),
    atol=1e-4,
)

# --- its limit ------------------------------------------------------------------------------------


def _limit_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def case(name, sizes, limit, slope, noise):
        sizes = np.asarray(sizes, float)
        distances = limit + slope / sizes + noise * rng.standard_normal(len(sizes))
        return Case(name, {"sizes": sizes, "distances": distances})

    a, b = rng.uniform(1, 5), rng.uniform(500, 3000)
    return [
        case("a straight line in 1 / n", [250, 500, 1000, 2000], a, b, 0.0),
        case("one law: the limit is 0", [100, 200, 400, 800], 0.0, b, 0.0),
        case("with noise", [300, 500, 900, 1500, 2500], a, b, 0.05),
    ]


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
    cases=_limit_cases,
    probe=_numpy_probe,
    picture=_limit_picture,
    mistakes=(
        Mistake(
            "The line was fitted against n. The bias falls like 1 / n, so only there is it straight.",
            lambda sizes, distances: float(np.polyfit(sizes, distances, 1)[1]),
        ),
        Mistake(
            "This is the slope. np.polyfit returns the highest power first.",
            lambda sizes, distances: float(np.polyfit(1 / sizes, distances, 1)[0]),
        ),
        Mistake(
            "This is the distance at the largest sample, which is still biased.",
            lambda sizes, distances: float(distances[-1]),
        ),
        Mistake(
            "This is the mean over the sizes: no size is free of the bias, and neither is their mean.",
            lambda sizes, distances: float(distances.mean()),
        ),
        Mistake(
            "The fit is against the logarithm of n, which has no place for infinity.",
            lambda sizes, distances: float(np.polyfit(np.log(sizes), distances, 1)[1]),
        ),
    ),
    alternatives=(_limit_by_lstsq, _limit_by_covariance),
)

# --- precision and recall -------------------------------------------------------------------------


def _manifold_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def case(name, real, generated, k):
        return Case(name, {"real": real, "generated": generated, "k": k})

    real = rng.standard_normal((80, 3))
    halves = rng.standard_normal((60, 2)) + 8 * (np.arange(60)[:, None] % 2)
    return [
        case("one law", real, rng.standard_normal((70, 3)), 3),
        case("shrunk to the middle", real, 0.2 * rng.standard_normal((60, 3)), 5),
        case("one of two modes only", halves, rng.standard_normal((50, 2)), 3),
        case("twice as wide", real, 2.5 * rng.standard_normal((80, 3)), 4),
    ]


def _manifold_with(k_shift=0, order=(0, 1), swap_balls=False, nearest_only=False):
    """Precision and recall with something wrong."""

    def answer(real, generated, k):
        radius_real = np.sort(cdist(real, real), axis=1)[:, k + k_shift]
        radius_generated = np.sort(cdist(generated, generated), axis=1)[:, k + k_shift]
        if nearest_only:
            radius_real = np.full(len(real), radius_real.mean())
            radius_generated = np.full(len(generated), radius_generated.mean())
        distance = cdist(real, generated)
        if swap_balls:
            precision = (distance < radius_generated).any(axis=0).mean()
            recall = (distance < radius_real[:, None]).any(axis=1).mean()
        else:
            precision = (distance < radius_real[:, None]).any(axis=0).mean()
            recall = (distance < radius_generated).any(axis=1).mean()
        both = float(precision), float(recall)
        return both[order[0]], both[order[1]]

    return answer


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
        "Precision and recall of a normal law in eight dimensions against the generator's scale: precision "
        "falls from 1, recall rises from 0; they cross near the true scale 1, at about 0.93."
    )


PRECISION_RECALL = Exercise(
    id="fidelity.precision_recall",
    title="Precision and recall",
    points=3,
    minutes=15,
    difficulty=3,
    task="Return precision and recall with balls that reach to each point's k-th nearest neighbour of "
    "its own kind.",
    hints=(
        "Radii first: sort each row of `cdist(points, points)`. Its first entry is the point itself, at "
        "distance 0, so the k-th neighbour stands at index k.",
        "`cdist(real, generated)` has a row for each real and a column for each generated point. Compare "
        "it with the real radii, as a column, for precision; with the generated radii for recall.",
        "Precision: `.any(axis=0).mean()`, over the generated points. Recall: `.any(axis=1).mean()`.",
    ),
    reference=textbook.precision_recall,
    cases=_manifold_cases,
    probe=_numpy_probe,
    picture=_manifold_picture,
    mistakes=(
        Mistake(
            "Precision and recall are swapped: precision is about the generated points.",
            _manifold_with(order=(1, 0)),
        ),
        Mistake(
            "Each point was counted as its own neighbour, so that the balls reach only to neighbour k - 1.",
            _manifold_with(k_shift=-1),
        ),
        Mistake(
            "The balls are the wrong ones: precision asks for the balls of the real points, recall for "
            "those of the generated ones.",
            _manifold_with(swap_balls=True),
        ),
        Mistake(
            "All balls have the same size. Each point has its own radius: wide where points are sparse.",
            _manifold_with(nearest_only=True),
        ),
        Mistake(
            "The balls reach one neighbour too far: index 0 of the sorted distances is the point itself.",
            _manifold_with(k_shift=1),
        ),
    ),
    alternatives=(_manifold_by_neighbours, _manifold_by_audit),
)

# --- train on synthetic, test on real -------------------------------------------------------------


def _tstr_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def rows(n, apart):
        y = rng.permutation(np.arange(n) % 3)
        return rng.standard_normal((n, 2)) + apart * np.stack([y, y == 1], axis=1), y

    def case(name, m, n, apart):
        values = {}
        parts = (
            ("synthetic", rows(m, apart)),
            ("real", rows(n, 1.5)),
            ("held_out", rows(150, 1.5)),
        )
        for part, (x, y) in parts:
            values |= {f"{part}_x": x, f"{part}_y": y}
        return Case(name, values)

    return [
        case("as many rows of each", 60, 60, 0.5),
        case("more real rows than synthetic ones", 20, 120, 0.5),
        case("more synthetic rows than real ones", 150, 15, 1.5),
    ]


def _tstr_probe(answer, synthetic_x, synthetic_y, real_x, real_y, held_out_x, held_out_y):
    """Both scores of a nearest-neighbour classifier, and whether it was left unfitted."""
    model = KNeighborsClassifier(n_neighbors=1)
    scores = answer(
        model,
        (synthetic_x.numpy(), synthetic_y.numpy()),
        (real_x.numpy(), real_y.numpy()),
        (held_out_x.numpy(), held_out_y.numpy()),
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


def _tstr_fresh(model, synthetic, real, held_out):
    (a, b), (c, d) = synthetic, real
    few = slice(min(len(b), len(d)))
    one = type(model)(**model.get_params()).fit(a[few], b[few])
    two = type(model)(**model.get_params()).fit(c[few], d[few])
    return float(one.score(*held_out)), float(two.score(*held_out))


def _tstr_all_rows(model, synthetic, real, held_out):
    return tuple(float(clone(model).fit(*rows).score(*held_out)) for rows in (synthetic, real))


def _tstr_on_training(model, synthetic, real, held_out):
    rows = min(len(synthetic[1]), len(real[1]))
    parts = [(x[:rows], y[:rows]) for x, y in (synthetic, real)]
    return tuple(float(clone(model).fit(*part).score(*part)) for part in parts)


def _trts(model, synthetic, real, held_out):
    rows = min(len(synthetic[1]), len(real[1]))
    fitted = clone(model).fit(real[0][:rows], real[1][:rows])
    return float(fitted.score(*synthetic)), float(fitted.score(*held_out))


def _tstr_in_place(model, synthetic, real, held_out):
    rows = min(len(synthetic[1]), len(real[1]))
    return tuple(
        float(model.fit(x[:rows], y[:rows]).score(*held_out)) for x, y in (synthetic, real)
    )


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


TSTR = Exercise(
    id="fidelity.train_synthetic_test_real",
    title="Train on synthetic, test on real",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return two scores on the held-out rows: of a model trained on synthetic rows, and of one trained "
    "on equally many real rows.",
    hints=(
        "`clone(model)` gives a fresh, unfitted copy; use one for each training set.",
        "`rows = min(len(synthetic[1]), len(real[1]))`, and both learn from their first `rows` rows.",
        "`clone(model).fit(x, y).score(*held_out)` is a score.",
    ),
    reference=textbook.train_synthetic_test_real,
    cases=_tstr_cases,
    probe=_tstr_probe,
    picture=_tstr_picture,
    mistakes=(
        Mistake(
            "Unequal numbers of rows: the larger set teaches more, whatever its quality. Use equally many.",
            _tstr_all_rows,
        ),
        Mistake(
            "The models were tried on the rows that they learnt from. Use the held-out rows.",
            _tstr_on_training,
        ),
        Mistake(
            "This trains on real and tests on synthetic (TRTS): a generator that draws a single easy row "
            "would win. Train on the synthetic rows.",
            _trts,
        ),
        Mistake(
            "The scores are the wrong way round: synthetic first, then real.",
            lambda *parts: textbook.train_synthetic_test_real(*parts)[::-1],
        ),
        Mistake(
            "The model that was handed over is fitted now, and the caller did not ask for that. Fit "
            "clone(model).",
            _tstr_in_place,
        ),
    ),
    alternatives=(_tstr_by_hand, _tstr_fresh),
)

# --- density ratio --------------------------------------------------------------------------------


def _ratio_cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def case(name, probability, n_real, n_generated):
        return Case(
            name, {"probability": probability, "n_real": n_real, "n_generated": n_generated}
        )

    few, many = int(rng.integers(100, 300)), int(rng.integers(500, 900))
    return [
        case("equally many of each", rng.uniform(0.05, 0.95, 8), 300, 300),
        case("more generated rows than real ones", rng.uniform(0.05, 0.95, 12), few, many),
        case("more real rows than generated ones", rng.uniform(0.05, 0.95, 12), many, few),
    ]


def _ratio_by_logits(probability, n_real, n_generated):
    logit = np.log(probability) - np.log1p(-probability)
    return np.exp(logit - np.log(n_real / n_generated))


def _ratio_by_bayes(probability, n_real, n_generated):
    prior = n_real / (n_real + n_generated)
    return (probability / prior) / ((1 - probability) / (1 - prior))


def _ratio_picture(answer):
    x = np.linspace(-3, 4, 200)
    real, generated = np.exp(-(x**2) / 2), np.exp(-((x - 0.7) ** 2) / 2)
    probability = real / (real + 3 * generated)  # fitted to three times as many generated rows
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.plot(x, real / 2.5066, color=BLUE, label="real law")
    ax.plot(x, generated / 2.5066, color=GREY, label="generator")
    corrected = answer(probability, 100, 300) * generated / 2.5066
    ax.plot(x, corrected, color=ORANGE, linestyle="--", label="generator, weighted")
    ax.set(xlabel="x", ylabel="density", title="Weights carry one law to the other")
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
    cases=_ratio_cases,
    probe=_numpy_probe,
    picture=_ratio_picture,
    mistakes=(
        Mistake(
            "The numbers of rows are missing: a classifier that saw more generated rows calls everything "
            "less real.",
            lambda probability, n_real, n_generated: probability / (1 - probability),
        ),
        Mistake(
            "The numbers of rows go the other way: divide the odds by n_real / n_generated.",
            lambda probability, n_real, n_generated: (
                probability / (1 - probability) * n_real / n_generated
            ),
        ),
        Mistake(
            "This is the generator's density over the real one: rows that look fake would weigh most.",
            lambda probability, n_real, n_generated: (
                (1 - probability) / probability * n_real / n_generated
            ),
        ),
        Mistake(
            "A probability is no ratio of densities: it never exceeds 1. Take the odds, p / (1 - p).",
            lambda probability, n_real, n_generated: probability * n_generated / n_real,
        ),
        Mistake(
            "The weights were divided by their sum. Return the ratio itself: its mean, near 1 or not, says "
            "whether the classifier is calibrated.",
            lambda probability, n_real, n_generated: (
                probability / (1 - probability) / (probability / (1 - probability)).sum()
            ),
        ),
    ),
    alternatives=(_ratio_by_logits, _ratio_by_bayes),
)

EXERCISES = (
    TOTAL_VARIATION,
    C2ST,
    FRECHET,
    EXTRAPOLATE,
    PRECISION_RECALL,
    TSTR,
    DENSITY_RATIO,
)
