"""Train on synthetic, test on real: does a model learn from the synthetic rows what it should?"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, measured
from course_lib.audit.learners import Trials, learner
from course_lib.audit.statistics import Comparison, Z, welch

BANDS = 5
SEEN = (
    "no holdout was given: the generator may have seen the rows that models are tried on, and then "
    "its scores are too high"
)
SPREAD = 10  # summed squared residuals that a band needs, as many as 40 even chances give


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Drafts about models that learn from synthetic and from real rows.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table, label="sex")), np.random.default_rng(0))
    >>> next(found).finding.id
    'utility[predicting sex]'
    """
    trials, tables = evidence.models, evidence.tables
    if trials is None:
        return
    yield from trials.notes
    label = trials.target.name
    caveat = "" if evidence.holdout_given else SEEN
    made, train = trials.predictions
    synthetic_score, real_score = trials.whole
    scores, scores_real = (
        np.array([trials.score(each) for each in side]) for side in (made, train)
    )
    yield measured(
        "utility",
        "utility",
        f"predicting {label}",
        welch(scores, scores_real, len(trials.y)).one_sided(-1),
        margin=evidence.margins["utility"],
        method=f"{trials.measure} on the holdout, synthetic less real training, over {trials.parts} "
        f"models of disjoint parts each; trained on {trials.size:,} rows: synthetic "
        f"{synthetic_score:.3f}, real {real_score:.3f}",
        caveat=caveat,
        columns=[label],
    )
    for name, group in tables.groups.items():
        rows = group.real[trials.held]
        if rows.sum() < 2:
            continue
        scores, scores_real = (
            np.array([trials.score(each, rows) for each in side]) for side in (made, train)
        )
        yield measured(
            "utility",
            "group_utility",
            name,
            welch(scores, scores_real, int(rows.sum())).one_sided(-1),
            margin=evidence.margins["group_utility"],
            method=f"{trials.measure} on this group's {rows.sum():,} holdout rows: synthetic "
            f"{_mean(scores)}, real {_mean(scores_real)}",
            caveat=caveat,
            columns=group.columns,
        )
    if trials.kind == "binary":
        yield _calibration(trials, tables.n_train, evidence.margins["label_calibration"])


def _mean(scores: np.ndarray) -> str:
    scores = scores[np.isfinite(scores)]
    return f"{scores.mean():.3f}" if len(scores) else "unknown"


def _calibration(trials: Trials, split: int, margin: float) -> Draft:
    """Do labels of synthetic rows come as often as a model of the real rows says they should?

    The model is fitted to holdout rows: one that had seen the training rows would find their copies
    surer than new rows. Its residuals, label less probability, are averaged in five bands of the
    probability, on the training and on the synthetic rows; under one distribution the differences are
    normal around zero.
    """
    target = trials.target
    real, synthetic = trials.design
    y_real, y_synthetic = target.outcome
    x, y = trials.x, trials.y
    moves = np.isfinite(x).any(axis=0)
    if len(np.unique(y)) < 2 or not moves.any():
        nothing = Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)
        return measured("fidelity", "label_calibration", target.name, nothing, margin=margin)
    model = learner("binary", len(y)).fit(x[:, moves], y)
    sides = []
    for features, labels in ((synthetic, y_synthetic), (real[:split], y_real[:split])):
        known = np.isfinite(labels)
        probability = model.predict_proba(features[known][:, moves])[:, 1]
        sides.append((probability, labels[known] - probability))
    edges = np.quantile(sides[1][0], np.linspace(0, 1, BANDS + 1)[1:-1])
    gap_of, variance_of, rows_of = [], [], []
    bands = [np.searchsorted(edges, probability) for probability, _ in sides]
    for band in range(BANDS):
        parts = [residual[code == band] for (_, residual), code in zip(sides, bands, strict=True)]
        # Means of few or of nearly certain labels are not normal.
        if min((part**2).sum() for part in parts) < SPREAD:
            continue
        gap_of.append(parts[0].mean() - parts[1].mean())
        variance_of.append(sum(part.var(ddof=1) / len(part) for part in parts))
        rows_of.append(len(parts[1]))
    gaps, variances, weights = map(np.array, (gap_of, variance_of, rows_of))
    if not len(gaps) or not (variances > 0).all():
        comparison = Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)
    else:
        share = weights / weights.sum()
        estimate = float((share * np.abs(gaps)).sum())
        null = float((share * np.sqrt(variances * 2 / np.pi)).sum())
        sd = float(np.sqrt((share**2 * variances).sum()))
        comparison = Comparison(
            estimate,
            max(estimate - Z * sd, 0.0),
            estimate + Z * sd,
            null,
            float(stats.chi2.sf((gaps**2 / variances).sum(), len(gaps))),
            lambda level: float(
                np.sqrt(stats.chi2.isf(level, len(gaps)) + 1) * np.sqrt(variances.mean())
            ),
            int(weights.sum()),
        )
    return measured(
        "fidelity",
        "label_calibration",
        target.name,
        comparison,
        margin=margin,
        method=f"mean gap in {BANDS} bands between the share of '{target.outcome_name}' and what a "
        "model of the holdout rows expects, beyond the training rows' own",
        columns=[target.name],
    )
