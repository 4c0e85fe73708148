"""What an audit found: one finding, all of them, and how they come to their verdicts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from course_lib.audit.profile import Associations, Joint, Pair, Profile, Reliability
from course_lib.audit.schema import Schema
from course_lib.audit.statistics import Comparison

FAMILIES = ("structure", "fidelity", "utility", "bias", "privacy")
DISTANCES = (
    "closer_to_training",
    "distance_to_closest",
)  # they come last: they are blind to most leaks
VERDICTS = ("fail", "warn", "underpowered", "not testable", "pass")  # the gravest first

# The smallest effect that matters, for each metric: the distance from what two samples of one
# distribution would give. These are conventions, not laws of nature; `audit(..., margins={...})`
# changes them. "relative" margins are shares of the real rate, after the four-fifths rule for
# selection rates (US Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 D).
MARGINS = {
    "total_variation": 0.05,
    "kolmogorov_smirnov": 0.05,
    "wasserstein": 0.1,
    "pair_total_variation": 0.1,
    "levels": 0.01,
    "missing_rate": 0.02,
    "tail_share": 0.5,  # relative
    "tail_reach": 0.005,
    "rare_share": 0.5,  # relative
    "precision_of_digits": 0.1,
    "three_columns": 0.03,
    "lag_correlation": 0.1,
    "transition_shares": 0.1,
    "spell_length": 0.05,
    "time_since_last": 0.05,
    "two_sample_auc": 0.05,
    "mmd": 0.02,
    "frechet_distance": 0.05,  # of the total variance
    "precision": 0.05,
    "recall": 0.05,
    "density": 0.2,
    "coverage": 0.05,
    "label_calibration": 0.03,
    "likelihood": 0.1,
    "likelihood_gap": 0.1,
    "mode_coverage": 0.05,
    "reverse_kl": 0.05,
    "utility": 0.03,
    "group_utility": 0.05,
    "group_share": 0.2,  # relative
    "label_rate": 0.2,  # relative
    "label_gap": 0.05,
    "label_signal": 0.05,
    "association": 0.1,
    "demographic_parity": 0.05,
    "equalized_odds": 0.05,
    "exact_copies": 0.01,
    "distance_to_closest": 0.05,
    "closer_to_training": 0.02,
    "membership_auc": 0.02,
    "membership_tpr": 0.01,
    "membership_tpr_thousandth": 0.01,
    "attribute_inference": 0.1,
    "linkage": 0.05,
    "singling_out": 0.05,
}


@dataclass(frozen=True)
class Finding:
    """One measure of one slice of the data.

    Attributes:
        family: structure, fidelity, utility, bias or privacy.
        metric: its name, as `AuditReport.explain` knows it.
        slice: the columns, group or rows that it is about.
        estimate: what was measured.
        low, high: its 95 % interval.
        reference: the same measure of the real holdout against the real training rows, where it is
            cheap to have.
        null: what two samples of one distribution would give on average.
        p, q: the p-value, and the same corrected for the other tests of its family; see `judge`.
        n: rows that it rests on, on the smaller side.
        detectable: the smallest distance from `null` that would have been found in 80 % of cases at
            the level that so many tests of its family leave to each.
        margin: the smallest distance from `null` that matters.
        verdict: "pass", "warn", "fail", "underpowered" or "not testable"; see `judge`.
        side: 1 if only an estimate above `null` counts against the data, -1 if only one below, else 0.
        magnitude: whether `null` is what chance adds to a size whose true value would be 0.
        method: how it was measured, and what was seen. caveat: what to mind.
        columns: of the table, that it is about.
    """

    family: str
    metric: str
    slice: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    null: float | None = None
    p: float | None = None
    q: float | None = None
    n: int = 0
    detectable: float | None = None
    margin: float | None = None
    verdict: str = "pass"
    method: str = ""
    caveat: str = ""
    columns: tuple[str, ...] = ()
    side: int = 0
    magnitude: bool = False

    @property
    def id(self) -> str:
        """What `explain`, `compare` and policies call it: metric and slice."""
        return f"{self.metric}[{self.slice}]"

    @property
    def effect(self) -> float:
        """How far the estimate is from `null`, in margins; 1 is where it begins to matter.

        Zero for a one-sided measure that is on its good side.
        """
        if self.estimate is None or not self.margin:
            return 1.0 if self.verdict == "fail" else 0.0
        return self.distance / self.margin

    @property
    def distance(self) -> float:
        """How far the estimate is from `null`, in the direction that counts.

        Of a size, what is left of it without chance: noise adds to it as it adds to a length.
        """
        if self.magnitude:
            return float(max((self.estimate or 0.0) ** 2 - (self.null or 0.0) ** 2, 0.0) ** 0.5)
        away = (self.estimate or 0.0) - (self.null or 0.0)
        return max(self.side * away, 0.0) if self.side else abs(away)

    def as_dict(self) -> dict[str, Any]:
        """All fields, and the id, for JSON and tables."""
        return {"id": self.id} | asdict(self) | {"columns": list(self.columns)}


@dataclass(frozen=True)
class Findings:
    """The findings of one audit, the gravest first, and what they rest on.

    Attributes:
        findings: each measure of each slice with its verdict. Of privacy, attacks before distances.
        schema: what each column was read as; None for arrays.
        notes: where samples were used, what was set aside.
        about: rows of each table, level, seed, label and sensitive columns.
        profiles, associations: each column of both tables to be drawn, and the pairs; of tables only.
        reliability: of models that learnt from either table, where a label of two levels was named.
        joints: pairs of columns that fail or warn, the gravest, cell by cell.
        nearest: pairs of a synthetic and a real row to be looked at, where they were asked for.
    """

    findings: tuple[Finding, ...]
    schema: Schema | None
    notes: tuple[str, ...]
    about: Mapping[str, Any]
    profiles: tuple[Profile, ...] = ()
    associations: Associations | None = None
    reliability: Reliability | None = None
    nearest: tuple[Pair, ...] = ()
    joints: tuple[Joint, ...] = ()

    def __post_init__(self) -> None:
        order = sorted(
            self.findings,
            key=lambda f: (
                VERDICTS.index(f.verdict),
                FAMILIES.index(f.family),
                f.metric in DISTANCES,
                -f.effect,
                f.id,
            ),
        )
        object.__setattr__(self, "findings", tuple(order))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def families(self) -> tuple[str, ...]:
        """The families in the order in which they are told: privacy first where it fails.

        Nothing else matters before that is mended.

        >>> leak = Finding("privacy", "exact_copies", "whole rows", verdict="fail")
        >>> Findings((leak,), None, (), {}).families[:2]
        ('privacy', 'structure')
        """
        leaks = any(f.family == "privacy" and f.verdict == "fail" for f in self.findings)
        return tuple(sorted(FAMILIES, key=lambda name: not leaks or name != "privacy"))

    @property
    def counts(self) -> dict[str, int]:
        """How many findings have each verdict."""
        found = Counter(finding.verdict for finding in self.findings)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def verdict(self) -> str:
        """The gravest verdict that rests on a finding of harm: fail, warn or pass."""
        return next((each for each in ("fail", "warn") if self.counts[each]), "pass")


@dataclass(frozen=True)
class Note:
    """What the reader must know: where a sample was used, what was set aside."""

    text: str


@dataclass(frozen=True)
class Draft:
    """A finding before its verdict, which waits for all the others.

    Attributes:
        tests: how many comparisons it stands for, of which it is the one that differs most.
    """

    finding: Finding
    comparison: Comparison | None
    tests: int = 1


def measured(
    family: str,
    metric: str,
    slice: str,
    comparison: Comparison,
    *,
    margin: float,
    reference: float | None = None,
    method: str = "",
    caveat: str = "",
    columns: Sequence[str] = (),
) -> Draft:
    """A draft from a comparison; NaN means that nothing could be measured.

    >>> from course_lib.audit.statistics import shares
    >>> measured("bias", "group_share", "sex = f", shares(40, 100, 50, 100), margin=0.1).finding.n
    100
    """

    def number(value: float | None) -> float | None:
        return None if value is None or not np.isfinite(value) else float(value)

    c = comparison
    return Draft(
        Finding(
            family,
            metric,
            slice,
            number(c.estimate),
            number(c.low),
            number(c.high),
            number(reference),
            number(c.null),
            number(c.p),
            n=int(c.n),
            margin=margin,
            method=method,
            caveat=caveat,
            columns=tuple(columns),
            side=c.side,
            magnitude=c.magnitude,
        ),
        c,
    )


def stated(
    metric: str,
    slice: str,
    verdict: str,
    method: str,
    columns: Sequence[str] = (),
    n: int = 0,
    *,
    family: str = "structure",
) -> Draft:
    """A fact about the tables, which needs no test.

    >>> stated("empty", "age", "warn", "no values").finding.id
    'empty[age]'
    """
    finding = Finding(
        family, metric, slice, verdict=verdict, method=method, n=n, columns=tuple(columns)
    )
    return Draft(finding, None)


def judge(drafts: Sequence[Draft], level: float = 0.05) -> list[Finding]:
    """Correct the p-values within their families, then give each finding its verdict.

    One rule for all: *fail* if q < level and the effect is a margin or more; *warn* if q < level and
    it is smaller; *pass* if the 95 % interval lies within the margin, which shows that a difference
    that matters is not there; else *underpowered*. Where no valid test is known, *fail* asks that the
    whole interval lies beyond the margin.

    What could have been found is computed at level / (number of tests of the family).

    Source: Benjamini and Bogomolov 2014, DOI 10.1111/rssb.12028, for the correction: a family is
    looked into if its Simes p-value is small among the families', and its tests are then corrected by
    Benjamini and Hochberg's procedure at a level that counts how many families were selected. So a
    family full of faults does not lend its small p-values to a sound one. Pass is a test of
    equivalence: Schuirmann 1987, DOI 10.1007/BF01068419.

    >>> from course_lib.audit.statistics import shares
    >>> draft = measured("bias", "group_share", "sex = f", shares(4, 100, 50, 100), margin=0.1)
    >>> judge([draft])[0].verdict
    'fail'
    """
    tested = {i: draft for i, draft in enumerate(drafts) if draft.finding.p is not None}
    q = _corrected(tested, level)
    tests: Counter[str] = Counter()
    for draft in tested.values():
        tests[draft.finding.family] += draft.tests
    return [
        _judged(draft, q.get(i), level, level / max(tests[draft.finding.family], 1))
        for i, draft in enumerate(drafts)
    ]


def _corrected(tested: Mapping[int, Draft], level: float) -> dict[int, float]:
    """q-values such that q < level is what Benjamini and Bogomolov's procedure rejects.

    Comparisons that a draft stands for and that have no p-value of their own count with p = 1.
    """
    families: dict[str, dict[int, float]] = {}
    silent: Counter[str] = Counter()
    for i, draft in tested.items():
        family = draft.finding.family
        families.setdefault(family, {})[i] = float(np.clip(draft.finding.p or 0.0, 0, 1))
        silent[family] += draft.tests - 1
    within = {}
    for name, own in families.items():
        q = false_discovery_control([*own.values(), *[1.0] * silent[name]])
        within[name] = dict(zip(own, q[: len(own)].tolist(), strict=True))
    if not within:
        return {}
    simes = [min(own.values()) for own in within.values()]
    selected = int((false_discovery_control(simes) < level).sum())
    factor = len(within) / max(selected, 1)
    return {i: min(q * factor, 1.0) for own in within.values() for i, q in own.items()}


def _judged(draft: Draft, q: float | None, level: float, each: float) -> Finding:
    finding, comparison = draft.finding, draft.comparison
    if comparison is None:
        return finding
    if finding.estimate is None or finding.margin is None:
        return replace(finding, verdict="underpowered")
    detectable = comparison.detectable(each) if comparison.detectable else None
    null = 0.0 if comparison.magnitude else comparison.null
    above, below = comparison.high - null, null - comparison.low
    if comparison.side:
        furthest, nearest = (above, -below) if comparison.side > 0 else (below, -above)
    else:
        furthest, nearest = max(above, below), max(-above, -below)
    verdict = "pass" if furthest <= finding.margin else "underpowered"
    if q is None and nearest > finding.margin:
        verdict = "fail"
    elif q is not None and q < level:
        verdict = "fail" if finding.distance >= finding.margin else "warn"
    return replace(finding, q=q, detectable=detectable, verdict=verdict)
