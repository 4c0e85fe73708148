"""Groups: how many they are, how often they get the label, what gives them away, what models do."""

from collections.abc import Callable, Iterator

import numpy as np

from course_lib.audit.contingency import cramers_v, joint, tabulate
from course_lib.audit.evidence import Evidence
from course_lib.audit.fairness import demographic_parity
from course_lib.audit.finding import Draft, measured, stated
from course_lib.audit.learners import Trials
from course_lib.audit.schema import listed
from course_lib.audit.statistics import POWER, Z, from_z, permuted, shares, welch
from course_lib.audit.table import Target

Gap = Callable[[np.ndarray, np.ndarray, np.ndarray], float]  # of truth, choices and group codes
LISTED = 40  # small groups that are named
LEAST = 5  # positive and negative rows of a group that a gap of rates needs


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """Drafts about groups: sizes, label rates, gaps, proxies, and what models do to them.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table, sensitive=["sex"])), np.random.default_rng(0))
    >>> next(found).finding.id
    'group_share[sex = f]'
    """
    yield from _small_groups(evidence)
    yield from _group_shares(evidence)
    if evidence.tables.target is not None:
        for target in (evidence.tables.target, *evidence.tables.target.other_classes):
            yield from _label_rates(evidence, target)
        yield from _gaps(evidence, evidence.tables.target)
    yield from _associations(evidence, rng)
    if evidence.models is not None and evidence.models.kind == "binary":
        yield from _downstream(evidence, evidence.models)


def _small_groups(evidence: Evidence) -> Iterator[Draft]:
    """What was left out, and how many rows a group needs for an effect of a margin to be seen."""
    target, margins = evidence.tables.target, evidence.margins
    needed = 2 * ((Z + POWER) / margins["group_share"]) ** 2
    if target is not None:
        rate = float(np.nanmean(target.outcome[0]))
        rarer = max(min(rate, 1 - rate), 0.01)
        effect = margins["label_rate"] * rarer
        needed = max(needed, 2 * rarer * (1 - rarer) * ((Z + POWER) / effect) ** 2)
    for columns, names in evidence.tables.small_groups.items():
        yield stated(
            "small_groups",
            " & ".join(columns),
            "underpowered",
            f"{len(names):,} groups have too few rows to be compared, here with their real rows: "
            f"{listed(names, LISTED)}; a group needs about {needed:,.0f} rows in each table for a "
            "difference that matters to be seen",
            columns,
            len(names),
            family="bias",
        )


def _group_shares(evidence: Evidence) -> Iterator[Draft]:
    tables = evidence.tables
    split = tables.n_train
    for name, (columns, real, synthetic) in tables.groups.items():
        rate = real.mean()
        yield measured(
            "bias",
            "group_share",
            name,
            shares(int(synthetic.sum()), len(synthetic), int(real.sum()), len(real)),
            margin=evidence.margins["group_share"] * rate,
            reference=real[split:].mean() - real[:split].mean(),
            method=f"{synthetic.mean():.2%} of synthetic rows, {rate:.2%} of real ones",
            columns=columns,
        )


def _label_rates(evidence: Evidence, target: Target) -> Iterator[Draft]:
    tables, (y_real, y) = evidence.tables, target.outcome
    split = tables.n_train
    for name, (columns, real, synthetic) in tables.groups.items():
        if name.startswith(f"{target.name} = "):
            continue
        labels, labels_real = _finite(y[synthetic]), _finite(y_real[real])
        if not len(labels_real):
            continue
        rate = labels_real.mean()
        train, holdout = (
            _finite(y_real[:split][real[:split]]),
            _finite(y_real[split:][real[split:]]),
        )
        two = len(train) and len(holdout)
        told = f"{target.outcome_name} in {rate:.1%} of real rows, " + (
            f"in {labels.mean():.1%} of synthetic ones" if len(labels) else "no synthetic rows"
        )
        yield measured(
            "bias",
            "label_rate",
            name if target == tables.target else f"{name}, {target.outcome_name}",
            shares(int(labels.sum()), len(labels), int(labels_real.sum()), len(labels_real)),
            # The rarer side of the label decides, so that it does not matter which one is positive.
            margin=evidence.margins["label_rate"] * max(min(rate, 1 - rate), 1 / len(labels_real)),
            reference=holdout.mean() - train.mean() if two else None,
            method=told,
            columns=(*columns, target.name),
        )


def _gaps(evidence: Evidence, target: Target) -> Iterator[Draft]:
    """Amplification: the gap between a group's rate and the rest's, and how it changed."""
    tables, (y_real, y) = evidence.tables, target.outcome
    for attribute in tables.sensitive:
        if attribute == target.name:
            continue
        own = [item for item in tables.groups.items() if item[1][0] == (attribute,)]
        if len(own) == 2:
            own = own[:1]  # the other one's gap is the same with the sign turned
        for name, (columns, real, synthetic) in own:
            sides = [
                (_finite(labels[mask]), _finite(labels[~mask]))
                for labels, mask in ((y, synthetic), (y_real, real))
            ]
            if any(min(p.sum(), len(p) - p.sum()) < LEAST for side in sides for p in side):
                told = f"fewer than {LEAST} rows of one side have or lack {target.outcome_name}, too few "
                told += "for a gap"
                yield stated(
                    "label_gap",
                    f"{name} against the rest",
                    "underpowered",
                    told,
                    (*columns, target.name),
                    family="bias",
                )
                continue
            gap, gap_real = (ours.mean() - rest.mean() for ours, rest in sides)
            variance = sum(p.mean() * (1 - p.mean()) / len(p) for side in sides for p in side)
            yield measured(
                "bias",
                "label_gap",
                f"{name} against the rest",
                from_z(
                    gap - gap_real, float(np.sqrt(variance)), min(len(p) for s in sides for p in s)
                ),
                margin=evidence.margins["label_gap"],
                reference=_own_change(y_real, real, tables.n_train),
                method=f"gap in {target.outcome_name}: {gap:+.1%} in synthetic, {gap_real:+.1%} in "
                f"real rows{_direction(gap, gap_real)}",
                columns=(*columns, target.name),
            )


def _own_change(labels: np.ndarray, group: np.ndarray, split: int) -> float | None:
    """How the gap of the holdout differs from that of the training rows; None without a group."""
    gaps = []
    for part in (slice(split, None), slice(split)):
        sides = [_finite(labels[part][mask]) for mask in (group[part], ~group[part])]
        if not all(map(len, sides)):
            return None
        gaps.append(sides[0].mean() - sides[1].mean())
    return float(gaps[0] - gaps[1])


def _direction(gap: float, gap_real: float) -> str:
    if gap * gap_real < 0:
        return "; reversed"
    return "; amplified" if abs(gap) > abs(gap_real) else "; narrowed"


def _associations(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """How far each column gives a sensitive one away: proxies."""
    tables = evidence.tables
    for number, attribute in enumerate(tables.sensitive):
        for name, column in tables.values.items():
            if name in tables.sensitive[: number + 1]:
                continue  # itself, or a pair that has been looked at
            other = tables.values[attribute]
            synthetic, real = joint(column, other)
            (codes, _, rows), (codes_other, _, columns) = column.coarse, other.coarse
            split = tables.n_train
            train = tabulate(codes[:split], codes_other[:split], rows, columns)
            yield measured(
                "bias",
                "association",
                f"{name} with {attribute}",
                permuted(lambda a, b: cramers_v(a) - cramers_v(b), synthetic, real, rng),
                margin=evidence.margins["association"],
                reference=float(cramers_v(real - train) - cramers_v(train)),
                method=f"how well one predicts the other (Cramér's V, 0 to 1): "
                f"{cramers_v(synthetic):.2f} in synthetic, {cramers_v(real):.2f} in real rows",
                columns=[name, attribute],
            )


def _downstream(evidence: Evidence, trials: Trials) -> Iterator[Draft]:
    """What models fitted to synthetic rows do to groups of real people, against models of real rows."""
    tables = evidence.tables
    measures: dict[str, Gap] = {
        "demographic_parity": lambda truth, chosen, group: demographic_parity(chosen, group),
        "equalized_odds": odds_gap,
    }
    for attribute in tables.sensitive:
        masks = [
            real[trials.held]
            for columns, real, _ in tables.groups.values()
            if columns == (attribute,)
        ]
        group = np.full(len(trials.y), -1)
        for code, mask in enumerate(masks):
            if mask.sum() >= 2 * LEAST:
                group[mask] = code
        for metric, gap in measures.items():
            made, real = (
                np.array([_gap_of(gap, prediction, trials.y, group) for prediction in side])
                for side in trials.predictions
            )
            yield measured(
                "bias",
                metric,
                attribute,
                welch(made, real, int((group >= 0).sum())).one_sided(1),
                margin=evidence.margins[metric],
                method=f"gap between groups on the holdout, over {trials.parts} models of "
                f"{trials.size // trials.parts:,} rows each: of synthetic rows "
                f"{np.nanmean(made):.3f}, of real rows {np.nanmean(real):.3f}"
                if all(np.isfinite(side).any() for side in (made, real))
                else "no model could be fitted",
                columns=[attribute, trials.target.name],
            )


def _gap_of(gap: Gap, prediction: np.ndarray, truth: np.ndarray, group: np.ndarray) -> float:
    known = group >= 0
    if np.isnan(prediction).any() or len(np.unique(group[known])) < 2:
        return np.nan
    return gap(truth[known], prediction[known] >= 0.5, group[known])


def odds_gap(truth: np.ndarray, chosen: np.ndarray, group: np.ndarray) -> float:
    """The larger of two differences between groups: of true-positive and of false-positive rates.

    That of `fairness.equalized_odds` where each group has rows of either truth. A group without
    positive (or negative) rows has no such rate and is left out of it; fairlearn's difference counts
    such a missing rate as zero.

    Args:
        truth, chosen: bool (n,). group: codes (n,).

    Source: Hardt et al. 2016, arXiv 1610.02413.

    >>> odds_gap(np.array([True, True, False]), np.array([True, False, True]), np.array([0, 1, 0]))
    1.0
    """
    rates = [
        [
            chosen[(group == code) & (truth == side)].mean()
            for code in np.unique(group)
            if ((group == code) & (truth == side)).any()
        ]
        for side in (0, 1)
    ]
    return float(max(np.ptp(each) if each else 0.0 for each in rates))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.asarray(values[np.isfinite(values)])
