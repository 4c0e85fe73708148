"""Groups: how many they are, how often they get the label, what gives them away, what models do."""

from collections.abc import Callable, Iterator

import numpy as np

from course_lib.audit.contingency import cramers_v, joint, tabulate
from course_lib.audit.finding import Draft, measured
from course_lib.audit.learners import Trials
from course_lib.audit.statistics import from_z, permuted, shares, welch
from course_lib.audit.table import Tables

LEAST = 5  # positive and negative rows of a group that a gap of rates needs


def check(tables: Tables, rng: np.random.Generator, trials: Trials | None) -> Iterator[Draft]:
    yield from _group_shares(tables)
    if tables.label:
        yield from _label_rates(tables)
        yield from _gaps(tables)
    yield from _associations(tables, rng)
    if trials is not None and trials.kind == "binary":
        yield from _downstream(tables, trials)


def _group_shares(tables: Tables) -> Iterator[Draft]:
    split = tables.n_train
    for name, (columns, real, synthetic) in tables.groups.items():
        rate = real.mean()
        yield measured(
            "bias",
            "group_share",
            name,
            shares(int(synthetic.sum()), len(synthetic), int(real.sum()), len(real)),
            margin=tables.margins["group_share"] * rate,
            reference=real[split:].mean() - real[:split].mean(),
            method=f"{synthetic.mean():.2%} of synthetic rows, {rate:.2%} of real ones",
            columns=columns,
        )


def _label_rates(tables: Tables) -> Iterator[Draft]:
    y_real, y = tables.outcome
    split = tables.n_train
    for name, (columns, real, synthetic) in tables.groups.items():
        if name.startswith(f"{tables.label} = "):
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
        told = f"{tables.outcome_name} in {rate:.1%} of real rows, " + (
            f"in {labels.mean():.1%} of synthetic ones" if len(labels) else "no synthetic rows"
        )
        yield measured(
            "bias",
            "label_rate",
            name,
            shares(int(labels.sum()), len(labels), int(labels_real.sum()), len(labels_real)),
            margin=tables.margins["label_rate"] * max(rate, 1 / len(labels_real)),
            reference=holdout.mean() - train.mean() if two else None,
            method=told,
            columns=(*columns, tables.label),
        )


def _gaps(tables: Tables) -> Iterator[Draft]:
    """Amplification: the gap between a group's rate and the rest's, and how it changed."""
    y_real, y = tables.outcome
    for attribute in tables.sensitive:
        if attribute == tables.label:
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
                margin=tables.margins["label_gap"],
                reference=_own_change(y_real, real, tables.n_train),
                method=f"gap in {tables.outcome_name}: {gap:+.1%} in synthetic, {gap_real:+.1%} in "
                f"real rows{_direction(gap, gap_real)}",
                columns=(*columns, tables.label),
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
        return "; turned round"
    return "; amplified" if abs(gap) > abs(gap_real) else "; narrowed"


def _associations(tables: Tables, rng: np.random.Generator) -> Iterator[Draft]:
    """How far each column gives a sensitive one away: proxies."""
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
                margin=tables.margins["association"],
                reference=float(cramers_v(real - train) - cramers_v(train)),
                method=f"how far one gives the other away (Cramér's V, 0 to 1): "
                f"{cramers_v(synthetic):.2f} in synthetic, {cramers_v(real):.2f} in real rows",
                columns=[name, attribute],
            )


def _downstream(tables: Tables, trials: Trials) -> Iterator[Draft]:
    """What models fitted to synthetic rows do to groups of real people, against models of real rows."""
    measures: dict[str, Callable] = {
        "demographic_parity": demographic_parity,
        "equalized_odds": equalized_odds,
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
            scores = [
                np.array([_gap_of(gap, prediction, trials.y, group) for prediction in side])
                for side in trials.predictions
            ]
            yield measured(
                "bias",
                metric,
                attribute,
                welch(*scores, int((group >= 0).sum())).one_sided(1),
                margin=tables.margins[metric],
                method="gap between groups on the holdout: models of synthetic rows "
                f"{np.nanmean(scores[0]):.3f}, of real rows {np.nanmean(scores[1]):.3f}"
                if all(np.isfinite(side).any() for side in scores)
                else "no model could be fitted",
                columns=[attribute, tables.label],
            )


def _gap_of(gap: Callable, prediction: np.ndarray, truth: np.ndarray, group: np.ndarray) -> float:
    known = group >= 0
    if np.isnan(prediction).any() or len(np.unique(group[known])) < 2:
        return np.nan
    return gap(truth[known], prediction[known] >= 0.5, group[known])


def demographic_parity(truth: np.ndarray, chosen: np.ndarray, group: np.ndarray) -> float:
    """The largest difference between groups of the share that is chosen.

    Args:
        truth: not looked at. chosen: bool (n,). group: codes (n,).

    Source: Hardt et al. 2016, arXiv 1610.02413; the same as fairlearn's difference.
    """
    return float(np.ptp([chosen[group == code].mean() for code in np.unique(group)]))


def equalized_odds(truth: np.ndarray, chosen: np.ndarray, group: np.ndarray) -> float:
    """The larger of two differences between groups: of true-positive and of false-positive rates.

    A group without positive (or negative) rows has no such rate and is left out of it.

    Source: Hardt et al. 2016, arXiv 1610.02413; the same as fairlearn's difference, which counts
    such a missing rate as zero.
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
    return values[np.isfinite(values)]
