"""Do the labels of a group depend on the other columns as they do in the real rows, or on chance?"""

from collections.abc import Iterator

import numpy as np

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, measured
from course_lib.audit.learners import LEAST, TRIED, Trials, learner
from course_lib.audit.statistics import Comparison, area, from_z, placements

HALVES = 77  # the stream of random numbers that cuts the real rows into two
NOTHING = Comparison(np.nan, np.nan, np.nan, 0.0, None, None, 0)


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """Drafts about groups whose synthetic labels say less than the real ones.

    Two models learn the label from one half of the real rows each. Each is tried on the other half and on
    the synthetic rows, group by group.

    >>> from course_lib.audit.table import prepare
    >>> x = np.random.default_rng(0).integers(0, 50, 900)
    >>> table = pd.DataFrame({"x": x, "sex": list("fmm") * 300, "y": np.where(x < 25, "no", "yes")})
    >>> tables = prepare(table[:300], table[300:600], table[600:], label="y", sensitive=["sex"])
    >>> found = check(Evidence(tables), np.random.default_rng(0))
    >>> next(found).finding.id
    'label_signal[sex = f]'
    """
    trials, tables = evidence.models, evidence.tables
    if trials is None or trials.kind != "binary" or not tables.sensitive:
        return
    sides = _scores(trials, np.random.default_rng([evidence.seed, HALVES]))
    for name, group in tables.groups.items():
        if tables.target is None or tables.target.name in group.columns:
            continue
        comparison, areas = (
            _compared(sides, group.real, group.synthetic) if sides else (NOTHING, None)
        )
        told = "too few rows of one side of the label"
        if areas is not None:
            told = f"how well models of real rows tell the group's labels (AUC): {areas[0]:.2f} of the "
            told += f"synthetic ones, {areas[1]:.2f} of real ones"
        yield measured(
            "bias",
            "label_signal",
            name,
            comparison,
            margin=evidence.margins["label_signal"],
            method=told,
            columns=[*group.columns, tables.target.name],
        )


class Side:
    """One model of half of the real rows, tried on the others.

    Attributes:
        real, synthetic: rows that it is tried on. of_real, of_synthetic: its scores of these.
        truth_real, truth: their labels.
    """

    def __init__(self, trials: Trials, learnt: np.ndarray, real: np.ndarray, synthetic: np.ndarray):
        x_real, x = trials.design
        y_real, y = trials.target.outcome
        moves = np.isfinite(x_real[learnt]).any(axis=0)
        model = learner("binary", len(learnt)).fit(x_real[learnt][:, moves], y_real[learnt])
        self.real, self.synthetic = real, synthetic
        self.of_real, self.of_synthetic = (
            model.predict_proba(side[:, moves])[:, 1] for side in (x_real[real], x[synthetic])
        )
        self.truth_real, self.truth = y_real[real], y[synthetic]


def _scores(trials: Trials, rng: np.random.Generator) -> list[Side]:
    """Two models that learn from one half of the real rows each; none where a half has one label only."""
    y_real, y = trials.target.outcome
    known = rng.permutation(np.flatnonzero(np.isfinite(y_real)))[: 2 * TRIED]
    made = rng.permutation(np.flatnonzero(np.isfinite(y)))[:TRIED]
    halves = known[::2], known[1::2]
    if not len(made) or any(len(np.unique(y_real[half])) < 2 for half in halves):
        return []
    if not np.isfinite(trials.design[0][known]).any():
        return []
    return [Side(trials, halves[k], halves[1 - k], made) for k in (0, 1)]


def _compared(
    sides: list[Side], real: np.ndarray, synthetic: np.ndarray
) -> tuple[Comparison, tuple[float, float] | None]:
    """The mean over both models of the area of the synthetic rows less that of the real ones.

    The variances are those of DeLong et al. 1988. Both models are tried on the same synthetic rows: their
    errors are added as if they were one error. The real rows of the two are different ones.
    """
    areas, variances, rows = [], [], []
    for side in sides:
        pairs = (
            (side.of_synthetic, side.truth, synthetic[side.synthetic]),
            (side.of_real, side.truth_real, real[side.real]),
        )
        both = []
        for scores, truth, inside in pairs:
            above, below = scores[inside & (truth == 1)], scores[inside & (truth == 0)]
            if min(len(above), len(below)) < LEAST:
                return NOTHING, None
            placed, placed_below = placements(above, below)
            own = placed.var(ddof=1) / len(above) + placed_below.var(ddof=1) / len(below)
            # Scores that part all rows of a small group do not show that no row could be on the wrong side.
            both.append((area(above, below), max(own, 1 / (4 * len(above) * len(below)))))
            rows.append(int(inside.sum()))
        areas.append([each[0] for each in both])
        variances.append([each[1] for each in both])
    of_made, of_real = np.mean(areas, axis=0)
    made, held = np.mean(variances, axis=0)
    se = float(np.sqrt(made + held / 2))
    comparison = from_z(float(of_made - of_real), se, min(rows)).one_sided(-1)
    return comparison, (float(of_made), float(of_real))
