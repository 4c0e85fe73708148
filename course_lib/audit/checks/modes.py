"""Modes, if they are known: are all there, and in their shares?"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, measured
from course_lib.audit.statistics import Comparison, counts, interval_only, total_variation
from course_lib.mode_collapse import mode_coverage


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """Drafts about the shares of known modes among the points of the three sets.

    >>> from course_lib.audit.evidence import Sets
    >>> from course_lib.mode_collapse import Modes
    >>> evidence = Evidence(arrays=Sets(*np.zeros((3, 90, 2))), modes=Modes(np.zeros((1, 2)), 0.1))
    >>> next(check(evidence, np.random.default_rng(0))).finding.estimate
    0.0
    """
    if evidence.modes is None:
        return
    (train, holdout, synthetic), modes, margins = evidence.points, evidence.modes, evidence.margins
    (in_train, _), (in_holdout, good_holdout), (made, good) = (
        modes.counts(side) for side in (train, holdout, synthetic)
    )
    real = in_train + in_holdout
    ours, theirs = mode_coverage(made, real + 0.5), mode_coverage(in_holdout, real + 0.5)
    told = f"{ours['modes']} of {len(made)} modes reached, holdout {theirs['modes']}; high quality "
    told += f"{good:.1%}, holdout {good_holdout:.1%}"
    yield measured(
        "fidelity",
        "mode_coverage",
        "all modes",
        counts(np.append(made, len(synthetic) - made.sum()), _with_rest(real, train, holdout)),
        margin=margins["mode_coverage"],
        reference=total_variation(_with_rest(in_holdout, holdout), _with_rest(in_train, train)),
        method=told,
    )
    # 2 n KL is chi-squared with modes - 1 degrees of freedom under the null, the real counts' own
    # noise included.
    df = max(len(made) - 1, 1)
    rows = 1 / (1 / max(made.sum(), 1) + 1 / max(real.sum(), 1))
    kl = ours["reverse_kl"]
    sd = float(np.sqrt(2 * df) / (2 * rows)) + np.sqrt(2 * max(kl, 0) / max(made.sum(), 1))
    c = interval_only(kl, sd, int(made.sum()), null=df / (2 * rows), floor=0.0)
    yield measured(
        "fidelity",
        "reverse_kl",
        "all modes",
        Comparison(
            c.estimate, c.low, c.high, c.null, float(stats.chi2.sf(2 * rows * kl, df)),
            lambda level: float(stats.chi2.isf(level, df) / (2 * rows)), c.n, 1,
        ),
        margin=margins["reverse_kl"],
        reference=theirs["reverse_kl"],
        method="KL(synthetic || real) of the shares of the modes, in nats; " + told,
    )  # fmt: skip


def _with_rest(inside: np.ndarray, *parts: np.ndarray) -> np.ndarray:
    return np.append(inside, sum(map(len, parts)) - inside.sum())
