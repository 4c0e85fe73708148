"""Each column by itself: its distribution, its levels, its tails, what is missing, how it is rounded."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import stats

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, measured
from course_lib.audit.schema import level_told, listed
from course_lib.audit.statistics import (
    POWER,
    Comparison,
    Z,
    counts,
    interval_only,
    kolmogorov_smirnov,
    permutation_p,
    permutation_threshold,
    shares,
    total_variation,
)
from course_lib.audit.tally import Split, Tally
from course_lib.audit.values import TAIL, Values

RARE = 0.02  # a level with a smaller share counts as rare
MOST_PLACES = 400  # values at which two distribution functions are compared
DRAWS = 99  # of the rows dealt out again,
MORE = 900  # and further ones, where few of the first reach the observed value
SHUFFLED = 20_000  # rows at most that are dealt one by one


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """Drafts about each column by itself.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'kolmogorov_smirnov[x]'
    """
    tables = evidence.tables
    for column in tables.values.values():
        yield from _missing(evidence, column)
        real, synthetic = _present(column.real), _present(column.synthetic)
        if not len(synthetic):
            continue
        if column.is_number:
            train, holdout = (_present(part) for part in np.split(column.real, [tables.n_train]))
            for draft in _number(evidence, column, real, synthetic, train, holdout, rng):
                yield _without_single_values(draft) if tables.least_people > 1 else draft
            yield _bins(evidence, column)
        else:
            yield from _category(evidence, column)


def _present(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values[values >= 0]


def _missing(evidence: Evidence, column: Values) -> Iterator[Draft]:
    """Draft of a column with missing values: the last of its cells."""
    counted = evidence.tables.tally.cells(column)
    (n_train, train), (n_holdout, holdout), (m, made) = (
        (int(cells.sum()), int(cells[-1])) for cells in counted
    )
    n, real = n_train + n_holdout, train + holdout
    if not (real or made):
        return
    yield measured(
        "fidelity",
        "missing_rate",
        column.name,
        shares(made, m, real, n),
        margin=evidence.margins["missing_rate"],
        reference=holdout / n_holdout - train / n_train if n_holdout else None,
        method=f"missing in {made / m:.1%} of synthetic and {real / n:.1%} of real rows",
        columns=[column.name],
    )


# --- categories --------------------------------------------------------------------------------


def _category(evidence: Evidence, column: Values) -> Iterator[Draft]:
    known = column.known or 0
    counted = evidence.tables.tally.levels(column)
    train, holdout, count = counted
    count_real = counted.real
    yield measured(
        "fidelity",
        "total_variation",
        column.name,
        counts(count, count_real),
        margin=evidence.margins["total_variation"],
        reference=total_variation(holdout, train) if holdout.sum() and train.sum() else None,
        method=_largest_change(column, count, count_real, evidence.tables.least_people),
        columns=[column.name],
    )
    yield measured(
        "fidelity",
        "levels",
        column.name,
        _levels(known, count, count_real),
        margin=evidence.margins["levels"],
        reference=_levels(known, holdout, train).estimate
        if holdout.sum() and train.sum()
        else None,
        method=_levels_told(column, count, count_real, evidence.tables.least_people),
        columns=[column.name],
    )
    # Rare in both tables together: levels that only the synthetic rows have count too.
    rare = count + count_real < RARE * (count.sum() + count_real.sum())
    if rare.any():
        rate = (count[rare].sum() + count_real[rare].sum()) / (count.sum() + count_real.sum())
        yield measured(
            "fidelity",
            "rare_share",
            column.name,
            shares(count[rare].sum(), count.sum(), count_real[rare].sum(), count_real.sum()),
            margin=evidence.margins["rare_share"] * rate,
            reference=holdout[rare].sum() / max(holdout.sum(), 1)
            - train[rare].sum() / max(train.sum(), 1),
            method=f"levels under {RARE:.0%} each: {count[rare].sum() / count.sum():.2%} of synthetic rows "
            f"together, {count_real[rare].sum() / count_real.sum():.2%} of real ones",
            columns=[column.name],
        )


def _largest_change(
    column: Values, count: np.ndarray, count_real: np.ndarray, least_people: int
) -> str:
    change = count / count.sum() - count_real / count_real.sum()
    most = int(np.abs(change).argmax())
    if 0 < count_real[most] < least_people:
        return f"changed most: a level of fewer than {least_people} people"
    return f"changed most: '{column.levels[most]}', {100 * change[most]:+.1f} points"


def _levels(known: int, count: np.ndarray, count_real: np.ndarray) -> Comparison:
    """The share of one side's rows in levels that the other side lacks, the larger of the two.

    Under one distribution a level that occurs k times in all has all its rows on the synthetic side
    with chance (that side's share of the rows)^k. How many levels do is a sum of such events, and a
    Poisson variable of the same mean has the longer upper tail (Anderson and Samuels 1967, "Some
    inequalities among binomial and Poisson probabilities"). The same for the real side; the smaller of the
    two p-values counts, doubled.
    """
    m, n = int(count.sum()), int(count_real.sum())
    both = count + count_real
    new, vanished = count[known:], count_real[count == 0]
    estimate = float(max(new.sum() / m, vanished.sum() / n))
    one_sided = [
        stats.poisson.sf(len(alone) - 1, ((side / (m + n)) ** both).sum())
        for alone, side in ((new, m), (vanished, n))
    ]

    def detectable(level: float) -> float:
        # So many rows of one level must be on one side; in 80 % of cases, so somewhat more.
        rows = np.log(level / 2) / np.log(max(m, n) / (m + n))
        return float((rows + POWER * np.sqrt(rows)) / min(m, n))

    sd = np.sqrt(max(estimate * (1 - min(estimate, 1)), 1 / min(m, n)) / min(m, n))
    return Comparison(
        estimate,
        max(estimate - Z * sd, 0.0),
        min(estimate + Z * sd, 1.0),
        0.0,
        float(min(1.0, 2 * min(one_sided))),
        detectable,
        min(m, n),
    )


def _levels_told(
    column: Values, count: np.ndarray, count_real: np.ndarray, least_people: int
) -> str:
    new = column.levels[column.known :]
    gone = np.flatnonzero(count == 0)
    vanished = [column.levels[code] for code in gone if count_real[code] >= least_people]
    told = [f"invented: {listed(map(level_told, new))}"] if new else []
    told += [f"vanished: {listed(map(level_told, vanished))}"] if vanished else []
    if hidden := len(gone) - len(vanished):
        told.append(f"vanished: {hidden:,} levels of fewer than {least_people} people each")
    return "; ".join(told) or "the same levels on both sides"


# --- numbers -----------------------------------------------------------------------------------


def _bins(evidence: Evidence, column: Values) -> Draft:
    """The shares of a number's bins: a gap in the middle hardly moves a distribution function."""
    train, holdout, count = (cells[:-1] for cells in evidence.tables.tally.cells(column))
    return measured(
        "fidelity",
        "total_variation",
        column.name,
        counts(count, train + holdout),
        margin=evidence.margins["total_variation"],
        reference=total_variation(holdout, train) if holdout.sum() and train.sum() else None,
        method=f"{len(count)} bins of about equal real shares",
        columns=[column.name],
    )


def _number(
    evidence: Evidence,
    column: Values,
    real: np.ndarray,
    synthetic: np.ndarray,
    train: np.ndarray,
    holdout: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[Draft]:
    margins = evidence.margins
    two = len(train) > 0 and len(holdout) > 0
    yield measured(
        "fidelity",
        "kolmogorov_smirnov",
        column.name,
        kolmogorov_smirnov(synthetic, real),
        margin=margins["kolmogorov_smirnov"],
        reference=stats.ks_2samp(holdout, train, method="asymp").statistic if two else None,
        method=_units_told(real, synthetic, column.kind),
        columns=[column.name],
    )
    scale = float(real.std()) or 1.0
    yield measured(
        "fidelity",
        "wasserstein",
        column.name,
        wasserstein(synthetic, real, scale, rng),
        margin=margins["wasserstein"],
        reference=stats.wasserstein_distance(holdout, train) / scale if two else None,
        method="mean distance that values would have to move, in standard deviations of the real ones",
        columns=[column.name],
    )
    yield from _tails(evidence, column)
    for side in ("low", "high"):
        if not _beyond(evidence.tables.tally, column, side).real[1]:
            continue  # the outermost value is so common that there is no tail
        yield measured(
            "fidelity",
            "tail_reach",
            f"{column.name}, {side}",
            tail_reach(*((-synthetic, -real) if side == "low" else (synthetic, real))),
            margin=margins["tail_reach"],
            reference=tail_reach(
                *((-holdout, -train) if side == "low" else (holdout, train))
            ).estimate
            if two
            else None,
            method=f"{'smallest' if side == 'low' else 'largest'} values: "
            f"{_plain(_outermost(synthetic, side), column.kind)}, real "
            f"{_plain(_outermost(real, side), column.kind)}",
            caveat="a side with fewer rows reaches less far",
            columns=[column.name],
        )
    cells = _digits(synthetic), _digits(real)
    yield measured(
        "fidelity",
        "precision_of_digits",
        column.name,
        counts(*cells),
        margin=margins["precision_of_digits"],
        reference=total_variation(_digits(holdout), _digits(train)) if two else None,
        method=_rounding_told(*cells),
        columns=[column.name],
    )


def _beyond(tally: Tally, column: Values, side: str) -> Split:
    """Of the rows with a value: how many there are, and how many lie in the tail on this side (2,)."""
    cells, tails = tally.cells(column), tally.tails(column)
    parts = zip(cells, tails, strict=True)
    return Split(*(np.array([all_[:-1].sum(), tail[int(side == "high")]]) for all_, tail in parts))


def _tails(evidence: Evidence, column: Values) -> Iterator[Draft]:
    """The share of rows beyond the thresholds outside which a hundredth of the real ones lie."""
    for side, threshold in zip(("low", "high"), column.thresholds, strict=True):
        counted = _beyond(evidence.tables.tally, column, side)
        (n, real), (m, made) = counted.real, counted.synthetic
        if not real:
            continue
        expected = real / n
        (n_train, train), (n_holdout, holdout) = counted.train, counted.holdout
        yield measured(
            "fidelity",
            "tail_share",
            f"{column.name}, {side}",
            shares(int(made), int(m), int(real), int(n)),
            margin=evidence.margins["tail_share"] * expected,
            reference=holdout / n_holdout - train / n_train if n_train and n_holdout else None,
            method=f"rows {'under' if side == 'low' else 'over'} {_plain(threshold, column.kind)}, where "
            f"{expected:.2%} of the real ones are",
            columns=[column.name],
        )


def _without_single_values(draft: Draft) -> Draft:
    """The same, where its words would tell the numbers of single people."""
    finding = draft.finding
    if finding.metric not in ("tail_share", "tail_reach"):
        return draft
    told = "the outermost values, which are hidden like the rows"
    if finding.metric == "tail_share":
        told = f"rows among the {TAIL:.0%} of the real values that lie furthest out"
    return replace(draft, finding=replace(finding, method=told))


def tail_reach(synthetic: np.ndarray, real: np.ndarray) -> Comparison:
    """The share of one side's values that lie above all of the other's, the larger of the two.

    Under one distribution the k largest values of all are on one given side with chance about (that side's
    share of the rows)^k.

    >>> tail_reach(np.arange(200.0), np.arange(100.0)).estimate
    0.5
    """
    m, n = len(synthetic), len(real)
    above, above_real = int((synthetic > real.max()).sum()), int((real > synthetic.max()).sum())
    p = min((m / (m + n)) ** above, (n / (m + n)) ** above_real)
    estimate = max(above / m, above_real / n)
    rarest = np.log(max(m, n) / (m + n))

    def detectable(level: float) -> float:
        rows = np.log(level / 2) / rarest
        return float((rows + POWER * np.sqrt(rows)) / min(m, n))

    sd = np.sqrt(max(above, above_real, 1)) / (m if above else n)
    return Comparison(
        estimate,
        max(estimate - Z * sd, 0.0),
        estimate + Z * sd,
        0.0,
        float(min(1.0, 2 * p)),
        detectable,
        min(m, n),
    )


def _outermost(values: np.ndarray, side: str) -> float:
    return float(values.min() if side == "low" else values.max())


def wasserstein(
    synthetic: np.ndarray, real: np.ndarray, scale: float, rng: np.random.Generator
) -> Comparison:
    """The area between two distribution functions, over `scale`, with a permutation test.

    The rows are dealt out again on a grid of their values: all of them, or quantiles and the outermost
    ones where they are many. Its p-value below 1 / (draws + 1) is an extrapolation; see
    `statistics.permutation_p`.

    >>> shift = wasserstein(np.arange(9.0), np.arange(9.0) + 3, 1.0, np.random.default_rng(0))
    >>> round(float(shift.estimate), 6)
    3.0
    """
    m, n = len(synthetic), len(real)
    estimate = float(stats.wasserstein_distance(synthetic, real)) / scale
    grid = _grid(np.concatenate([real, synthetic]))
    width = np.diff(grid)
    if not len(width):
        return replace(
            interval_only(estimate, 0.0, min(m, n), null=0.0, floor=0.0), p=1.0, magnitude=True
        )
    cells = [
        np.bincount(np.searchsorted(grid, values, "left"), minlength=len(grid))
        for values in (synthetic, real)
    ]

    def area(made: np.ndarray, kept: np.ndarray) -> np.ndarray:
        gap = np.abs(np.cumsum(made, axis=-1) / m - np.cumsum(kept, axis=-1) / n)
        total: np.ndarray = (gap[..., :-1] * width).sum(axis=-1) / scale
        return total

    pooled = cells[0] + cells[1]
    observed = float(area(cells[0], cells[1]))
    dealt = _deal(pooled, m, rng, DRAWS)
    null = area(dealt, pooled - dealt)
    if (
        null >= observed
    ).sum() < DRAWS / 10:  # few draws tell such a tail badly (Besag and Clifford 1991)
        dealt = _deal(pooled, m, rng, MORE)
        null = np.concatenate([null, area(dealt, pooled - dealt)])
    again = area(rng.multinomial(m, cells[0] / m, 50), rng.multinomial(n, cells[1] / n, 50))
    sd, usual = float(again.std(ddof=1)), float(null.mean())
    return Comparison(
        estimate,
        max(estimate - usual - Z * sd, 0.0),
        estimate + Z * sd,
        usual,
        permutation_p(observed, null),
        lambda level: max(permutation_threshold(level, null) + POWER * sd, 0.0),
        min(m, n),
        magnitude=True,
    )


def _grid(values: np.ndarray) -> np.ndarray:
    """Distinct values, at most about 400: the outermost ones, and quantiles between them."""
    ends = np.unique(values)
    if len(ends) <= MOST_PLACES:
        return ends
    outer = MOST_PLACES // 4
    inner = np.quantile(values, np.linspace(0, 1, MOST_PLACES // 2), method="lower")
    return np.unique(np.concatenate([ends[:outer], inner, ends[-outer:]]))


def _deal(pooled: np.ndarray, m: int, rng: np.random.Generator, draws: int) -> np.ndarray:
    """m of the rows in cells (k,) drawn without replacement, many times: counts (draws, k)."""
    rows = np.repeat(np.arange(len(pooled)), pooled)
    if len(rows) > SHUFFLED:
        return rng.multivariate_hypergeometric(pooled, m, draws, method="marginals")
    dealt = np.empty((draws, len(pooled)), np.int64)
    for each in dealt:
        each[:] = np.bincount(
            rng.choice(rows, m, replace=False, shuffle=False), minlength=len(pooled)
        )
    return dealt


def _plain(value: float, kind: str = "number") -> str:
    """Four digits, and no exponent for an everyday number; a day as a date."""
    if kind == "date":
        return str(np.datetime64("1970-01-01") + np.timedelta64(int(value), "D"))
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def _units_told(real: np.ndarray, synthetic: np.ndarray, kind: str) -> str:
    at = np.linspace(0.1, 0.9, 9)
    ours, theirs = np.quantile(synthetic, at), np.quantile(real, at)
    told = f"median {_plain(ours[4], kind)}, real {_plain(theirs[4], kind)}"
    if kind == "date" or (theirs == 0).any() or (ours * theirs <= 0).any():
        return told
    ratio = ours / theirs
    factor = float(np.median(ratio))
    if np.ptp(ratio) < 0.1 * factor and not 0.8 < factor < 1.25:
        told += f"; about {factor:.2g} times the real values throughout: another unit?"
    return told


# Decimal places, from tens of thousands (-4) to six digits behind the point.
PLACES = np.arange(-4, 7)


def _digits(values: np.ndarray) -> np.ndarray:
    """Counts of values by how many decimal places they need, from -4 (10,000s) to more than 6."""
    need = np.full(len(values), len(PLACES))
    left = np.arange(len(values))
    for cell, places in enumerate(PLACES):
        scaled = values[left] * 10.0**places
        whole = np.abs(scaled - np.round(scaled)) < 1e-6 * np.maximum(1, np.abs(scaled) * 1e-6)
        need[left[whole]] = cell
        left = left[~whole]
    return np.bincount(need, minlength=len(PLACES) + 1)


def _rounding_told(synthetic: np.ndarray, real: np.ndarray) -> str:
    change = synthetic / synthetic.sum() - real / real.sum()
    most = int(change.argmax())
    if change[most] < 0.02:
        return "rounded alike"
    if most == len(PLACES):
        return f"{change[most]:.0%} more rows have digits that the real ones do not have"
    place = 10.0 ** -PLACES[most]
    return f"{change[most]:.0%} more rows are multiples of {place:g} and not of {10 * place:g}"
