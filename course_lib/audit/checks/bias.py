"""Groups: how many they are, how often they get the label, what gives them away, what models do."""

from collections.abc import Callable, Iterator

import numpy as np

from course_lib.audit.contingency import cramers_v
from course_lib.audit.evidence import Evidence
from course_lib.audit.fairness import demographic_parity
from course_lib.audit.finding import Draft, measured, stated
from course_lib.audit.learners import Trials
from course_lib.audit.schema import listed
from course_lib.audit.statistics import POWER, Z, from_z, permuted, shares, welch
from course_lib.audit.table import Tables, Target
from course_lib.audit.tally import Split

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
        known, positive = evidence.tables.tally.labels(target).real
        rate = positive / known
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
    tally = evidence.tables.tally
    (n_train,), (n_holdout,), (m,) = tally.rows()
    n = n_train + n_holdout
    for name, group in evidence.tables.groups.items():
        (train,), (holdout,), (made,) = tally.rows(name)
        rate = (train + holdout) / n
        yield measured(
            "bias",
            "group_share",
            name,
            shares(int(made), int(m), int(train + holdout), int(n)),
            margin=evidence.margins["group_share"] * rate,
            reference=holdout / n_holdout - train / n_train if n_holdout else None,
            method=f"{made / m:.2%} of synthetic rows, {rate:.2%} of real ones",
            columns=group.columns,
        )


def _label_rates(evidence: Evidence, target: Target) -> Iterator[Draft]:
    tables = evidence.tables
    for name, group in tables.groups.items():
        if name.startswith(f"{target.name} = "):
            continue
        counted = tables.tally.labels(target, name)
        (known, positive), (m, k) = counted.real, counted.synthetic
        if not known:
            continue
        rate = positive / known
        train, holdout = counted.train, counted.holdout
        two = train[0] and holdout[0]
        told = f"{target.outcome_name} in {rate:.1%} of real rows, " + (
            f"in {k / m:.1%} of synthetic ones" if m else "no synthetic rows"
        )
        yield measured(
            "bias",
            "label_rate",
            name if target == tables.target else f"{name}, {target.outcome_name}",
            shares(int(k), int(m), int(positive), int(known)),
            # The rarer side of the label decides, so that it does not matter which one is positive.
            margin=evidence.margins["label_rate"] * max(min(rate, 1 - rate), 1 / known),
            reference=holdout[1] / holdout[0] - train[1] / train[0] if two else None,
            method=told,
            columns=(*group.columns, target.name),
        )


def _gaps(evidence: Evidence, target: Target) -> Iterator[Draft]:
    """Amplification: the gap between a group's rate and the rest's, and how it changed."""
    tables = evidence.tables
    everyone = tables.tally.labels(target)
    for attribute in tables.sensitive:
        if attribute == target.name:
            continue
        own = [name for name, group in tables.groups.items() if group.columns == (attribute,)]
        if len(own) == 2:
            own = own[:1]  # the other one's gap is the same with the sign turned
        for name in own:
            ours = tables.tally.labels(target, name)
            sides = [
                (group, whole - group)
                for group, whole in (
                    (ours.synthetic, everyone.synthetic),
                    (ours.real, everyone.real),
                )
            ]
            parts = [part for side in sides for part in side]
            if any(min(positive, known - positive) < LEAST for known, positive in parts):
                told = f"fewer than {LEAST} rows of one side have or lack {target.outcome_name}, too few "
                told += "for a gap"
                yield stated(
                    "label_gap",
                    f"{name} against the rest",
                    "underpowered",
                    told,
                    (attribute, target.name),
                    family="bias",
                )
                continue
            gap, gap_real = (_rate(group) - _rate(rest) for group, rest in sides)
            variance = sum(_rate(part) * (1 - _rate(part)) / part[0] for part in parts)
            yield measured(
                "bias",
                "label_gap",
                f"{name} against the rest",
                from_z(gap - gap_real, float(np.sqrt(variance)), int(min(n for n, _ in parts))),
                margin=evidence.margins["label_gap"],
                reference=_own_change(ours, everyone),
                method=f"gap in {target.outcome_name}: {gap:+.1%} in synthetic, {gap_real:+.1%} in "
                f"real rows{_direction(gap, gap_real)}",
                columns=(attribute, target.name),
            )


def _rate(counted: np.ndarray) -> float:
    """The share of positive labels, of counts of known and of positive ones (2,)."""
    return float(counted[1] / counted[0])


def _own_change(ours: Split, everyone: Split) -> float | None:
    """How the gap of the holdout differs from that of the training rows; None without a group."""
    gaps = []
    for group, whole in ((ours.holdout, everyone.holdout), (ours.train, everyone.train)):
        if not group[0] or not whole[0] - group[0]:
            return None
        gaps.append(_rate(group) - _rate(whole - group))
    return gaps[0] - gaps[1]


def _direction(gap: float, gap_real: float) -> str:
    if gap * gap_real < 0:
        return "; reversed"
    return "; amplified" if abs(gap) > abs(gap_real) else "; narrowed"


def _associations(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """How far each column gives a sensitive one away: proxies."""
    tables = evidence.tables
    for number, attribute in enumerate(tables.sensitive):
        for name in tables.values:
            if name in tables.sensitive[: number + 1]:
                continue  # itself, or a pair that has been looked at
            counted = _joint(tables, name, attribute)
            synthetic, real = counted.synthetic, counted.real
            yield measured(
                "bias",
                "association",
                f"{name} with {attribute}",
                permuted(lambda a, b: cramers_v(a) - cramers_v(b), synthetic, real, rng),
                margin=evidence.margins["association"],
                reference=float(cramers_v(counted.holdout) - cramers_v(counted.train)),
                method=f"how well one predicts the other (Cramér's V, 0 to 1): "
                f"{cramers_v(synthetic):.2f} in synthetic, {cramers_v(real):.2f} in real rows",
                columns=[name, attribute],
            )


def _joint(tables: Tables, one: str, two: str) -> Split:
    """The cells (cells of one, cells of two) of a pair, which is counted once, in the columns' order."""
    order = list(tables.values)
    if order.index(one) < order.index(two):
        return tables.tally.cells(tables.values[one], tables.values[two])
    return Split(*(part.T for part in tables.tally.cells(tables.values[two], tables.values[one])))


def _downstream(evidence: Evidence, trials: Trials) -> Iterator[Draft]:
    """What models fitted to synthetic rows do to groups of real people, against models of real rows."""
    tables = evidence.tables
    measures: dict[str, Gap] = {
        "demographic_parity": lambda truth, chosen, group: demographic_parity(chosen, group),
        "equalized_odds": odds_gap,
    }
    for attribute in tables.sensitive:
        masks = [
            group.real[trials.held]
            for group in tables.groups.values()
            if group.columns == (attribute,)
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
