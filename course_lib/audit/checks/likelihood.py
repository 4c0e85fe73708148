"""A model's own log-likelihoods: of its samples, and of rows that it did and did not learn from."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, measured
from course_lib.audit.statistics import from_z, kolmogorov_smirnov


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """Drafts about log-likelihoods (n,) in nats that a model gives the three sets.

    >>> from course_lib.audit.evidence import Sets
    >>> logs = Sets(*np.random.default_rng(0).normal(size=(3, 90)))
    >>> [draft.finding.metric for draft in check(Evidence(log_likelihood=logs), np.random.default_rng(0))]
    ['likelihood', 'likelihood_gap']
    """
    if evidence.log_likelihood is None:
        return
    (train, holdout, synthetic), margins = evidence.log_likelihood, evidence.margins
    yield measured(
        "fidelity",
        "likelihood",
        "synthetic rows",
        kolmogorov_smirnov(synthetic, holdout),
        margin=margins["likelihood"],
        reference=stats.ks_2samp(train, holdout, method="asymp").statistic,
        method="a calibrated model gives its own samples the same likelihoods as new real rows: "
        f"medians {np.median(synthetic):.4g} and {np.median(holdout):.4g} nats",
    )
    gap = float(train.mean() - holdout.mean())
    se = float(np.sqrt(train.var(ddof=1) / len(train) + holdout.var(ddof=1) / len(holdout)))
    yield measured(
        "privacy",
        "likelihood_gap",
        "training rows",
        from_z(gap, se, min(len(train), len(holdout))).one_sided(1),
        margin=margins["likelihood_gap"] * float(holdout.std(ddof=1)),
        method="mean log-likelihood of training rows less that of the holdout, in nats: what the model "
        "has memorised",
    )
