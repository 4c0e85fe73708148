"""All columns at once: rows as points, told apart by a classifier, a kernel, moments and neighbours.

Works on the features of a table as well as on arrays that were features from the start.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance

from course_lib.audit import fidelity
from course_lib.audit.evidence import Evidence, Sets
from course_lib.audit.finding import Draft, Note, measured
from course_lib.audit.sampling import sample_rows
from course_lib.audit.statistics import (
    POWER,
    Comparison,
    Z,
    interval_only,
    permutation_p,
    rank_sum,
)
from course_lib.audit.table import Tables
from course_lib.audit.values import Values

CLASSIFIED = 20_000  # rows of each kind at most for the classifier,
GRAM = 1_000  # the kernel,
NEIGHBOURS = 4_000  # the neighbours
MOMENTS = 100_000  # and the moments
BLOCKS = 20
DIRECTIONS = 500  # of more than twice as many features, for the Fréchet distance


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Drafts about the rows as points (n, d).

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'two_sample_auc[all columns]'
    """
    real, synthetic, margins = evidence.points.real, evidence.points.synthetic, evidence.margins
    caps = {"classifier": CLASSIFIED, "neighbours": NEIGHBOURS, "kernel": GRAM, "moments": MOMENTS}
    largest = max(len(real), len(synthetic))
    if sampled := [f"{rows:,} for the {name}" for name, rows in caps.items() if rows < largest]:
        yield Note(
            f"Measures of whole rows used samples, of each kind at most: {', '.join(sampled)}."
        )
    if evidence.arrays is None:  # trees do better on the values themselves than on encoded ones
        yield _classifier(*_stacked(evidence.tables), rng, margins, list(evidence.tables.values))
    else:
        yield _classifier(real, synthetic, rng, margins, [])
    yield _kernel(real, evidence.points, rng, margins)
    yield _frechet(real, evidence.points, rng, margins)
    yield from _manifold(evidence.points, rng, margins)


def _stacked(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """The values and ranks of levels of all columns (n, columns), of the real and the synthetic rows."""
    pairs = [_ranked(column) for column in tables.values.values()]
    real, synthetic = zip(*pairs, strict=True)
    return np.stack(real, 1, dtype=np.float32), np.stack(synthetic, 1, dtype=np.float32)


def _ranked(column: Values) -> tuple[np.ndarray, np.ndarray]:
    """A level by how common it is in both tables: a code would tell which table had it first."""
    if column.is_number:
        return column.real, column.synthetic
    rank = np.empty(len(column.levels) + 1)
    rank[column.by_count] = np.arange(len(column.levels))
    rank[-1] = -1
    return rank[column.real], rank[column.synthetic]


def _classifier(
    real: np.ndarray,
    synthetic: np.ndarray,
    rng: np.random.Generator,
    margins: Mapping[str, float],
    columns: Sequence[str],
) -> Draft:
    """A classifier that learns on half of the rows to tell synthetic from real, tested on the rest."""
    size = min(len(real), len(synthetic), CLASSIFIED)
    rows = np.concatenate(
        [real[sample_rows(len(real), size, rng)], synthetic[sample_rows(len(synthetic), size, rng)]]
    )
    made = np.repeat([0, 1], size)
    half = np.zeros(2 * size, bool)
    for kind in (0, 1):
        half[rng.permutation(np.flatnonzero(made == kind))[: size // 2]] = True
    model = HistGradientBoostingClassifier(
        max_iter=60, min_samples_leaf=max(20, size // 200), random_state=0
    ).fit(rows[half], made[half])
    scores = model.decision_function(rows[~half])
    comparison = rank_sum(scores[made[~half] == 1], scores[made[~half] == 0]).one_sided(1)
    told = "gradient-boosted trees, fitted to half of the rows, tested on the other half"
    if comparison.p is not None and comparison.p < 0.01 and len(columns):
        test = np.flatnonzero(~half)
        test = rng.permutation(test)[:4000]
        weight = permutation_importance(
            model, rows[test], made[test], scoring="roc_auc", n_repeats=2, random_state=0
        ).importances_mean
        most = [columns[i] for i in np.argsort(-weight)[:3] if weight[i] > 0.002]
        told += f"; told apart mostly by {', '.join(most)}" if most else ""
    return measured(
        "fidelity",
        "two_sample_auc",
        "all columns",
        comparison,
        margin=margins["two_sample_auc"],
        method=told,
    )


def _kernel(
    real: np.ndarray, sets: Sets, rng: np.random.Generator, margins: Mapping[str, float]
) -> Draft:
    train, holdout, synthetic = sets
    size = min(len(real), len(synthetic), GRAM)
    points = np.concatenate(
        [synthetic[sample_rows(len(synthetic), size, rng)], real[sample_rows(len(real), size, rng)]]
    ).astype(float)
    gram = fidelity.gram_matrix(points)
    made = np.arange(2 * size) < size
    estimate = float(fidelity.mmd2_of_gram(gram, made)[0])
    null = fidelity.mmd2_of_gram(gram, rng.permuted(np.tile(made, (500, 1)), axis=1))
    reference = fidelity.mmd2(
        train[sample_rows(len(train), size, rng)], holdout[sample_rows(len(holdout), size, rng)]
    )
    # Its own spread, from the mean kernel values of each point (the first term of its variance).
    witness = gram[:, made].mean(axis=1) - gram[:, ~made].mean(axis=1)
    sd = 2 * np.sqrt((witness[made].var() + witness[~made].var()) / size)
    sd_null = float(null.std(ddof=1))
    comparison = Comparison(
        estimate,
        estimate - Z * max(sd, sd_null),
        estimate + Z * max(sd, sd_null),
        0.0,
        permutation_p(estimate, null),
        lambda level: (
            float(np.log(0.1 / level) * sd_null / 2 + (POWER + 1.3) * sd_null)
            if level < 0.1
            else sd_null
        ),
        size,
        side=1,
    )
    return measured(
        "fidelity",
        "mmd",
        "all columns",
        comparison,
        margin=margins["mmd"],
        reference=reference,
        method="difference of mean kernel values, which with this kernel compare moments up to the third; "
        f"{size:,} rows of each kind",
    )


def _frechet(
    real: np.ndarray, sets: Sets, rng: np.random.Generator, margins: Mapping[str, float]
) -> Draft:
    real = real[sample_rows(len(real), MOMENTS, rng)].astype(float)
    synthetic = sets.synthetic[sample_rows(len(sets.synthetic), MOMENTS, rng)].astype(float)
    train, holdout = sets.train, sets.holdout
    features = real.shape[1]
    told = f"of {features} features"
    if features > 2 * DIRECTIONS:  # the time grows with their third power
        told = f"along {DIRECTIONS} random directions, at right angles, of {features} features"
        turn = np.linalg.qr(rng.normal(size=(features, DIRECTIONS)))[0]
        real, synthetic, train, holdout = (
            side @ turn for side in (real, synthetic, train, holdout)
        )
    estimate = fidelity.frechet_distance(real, synthetic)
    covariance = fidelity.moments(real)[1]
    draws = 50 if real.shape[1] <= 128 else 10
    sums = [_block_sums(side) for side in (real, synthetic)]
    again = [
        fidelity.frechet_of_moments(*(part for side in sums for part in _redrawn(side, rng)))
        for _ in range(draws)
    ]
    comparison = interval_only(
        estimate,
        float(np.std(again, ddof=1)),
        min(len(real), len(synthetic)),
        null=fidelity.frechet_bias(covariance, len(real), len(synthetic)),
        floor=0.0,
    )
    two = min(len(train), len(holdout)) > 1
    return measured(
        "fidelity",
        "frechet_distance",
        "all columns",
        comparison,
        margin=margins["frechet_distance"] * float(np.trace(covariance)),
        reference=fidelity.frechet_distance(train, holdout) if two else None,
        method=f"{told}; the expected value is that of normal features",
        caveat="it grows with fewer rows, for one distribution too: compare it only with what is expected",
    )


def _block_sums(features: np.ndarray) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Rows, sums and sums of products of blocks of rows: all that moments need."""
    blocks = np.array_split(features, min(BLOCKS, len(features) // 2))
    return [(len(block), block.sum(axis=0), block.T @ block) for block in blocks]


def _redrawn(
    blocks: Sequence[tuple[int, np.ndarray, np.ndarray]], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    drawn = [blocks[i] for i in rng.integers(len(blocks), size=len(blocks))]
    n = sum(rows for rows, _, _ in drawn)
    mean = sum(total for _, total, _ in drawn) / n
    second = sum(product for _, _, product in drawn) / n
    return mean, (second - np.outer(mean, mean)) * n / (n - 1)


def _manifold(
    sets: Sets, rng: np.random.Generator, margins: Mapping[str, float]
) -> Iterator[Draft]:
    train, holdout, synthetic = sets
    size = min(len(train), len(holdout), len(synthetic), NEIGHBOURS)
    k = 5
    if size <= k:
        return
    held = holdout[sample_rows(len(holdout), size, rng)]
    ours = fidelity.manifold_measures(held, synthetic[sample_rows(len(synthetic), size, rng)], k)
    theirs = fidelity.manifold_measures(held, train[sample_rows(len(train), size, rng)], k)
    for name, value in ours.items():
        # A share of rows and its reference each vary like a binomial; density, whose balls overlap,
        # by at most 2.7 / sqrt(rows) in simulations of N(0, I) in 2 to 64 dimensions.
        share = min(max((value + theirs[name]) / 2, 1 / size), 1 - 1 / size)
        sd = 2.7 / np.sqrt(size) if name == "density" else np.sqrt(2 * share * (1 - share) / size)
        yield measured(
            "fidelity",
            name,
            "all columns",
            interval_only(value, sd, size, null=theirs[name], floor=0.0),
            margin=margins[name],
            reference=theirs[name],
            method=f"k = {k}, {size:,} rows each; the expected value is the training rows' own",
            caveat="each of the four measures misses something: read them together",
        )
