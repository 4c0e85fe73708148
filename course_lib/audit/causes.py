"""Which findings come from one cause: a column that moved fails in many measures, and is told once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from course_lib.audit.finding import Finding
from course_lib.audit.schema import listed

NAMED = 2  # findings that come with a headline and are named
SHOWN = 5  # causes of a family in the printed summary
WHOLE_ROWS = (
    "two_sample_auc",
    "mmd",
    "frechet_distance",
    "precision",
    "recall",
    "density",
    "coverage",
)
MANY = 0.25  # of the rows repeat others: then tests that take rows as independent all fail
COPIES = ("verbatim_people", "near_copies", "exact_copies")  # the first that is found tells of all
OF_LABELS = ("label_rate", "label_gap", "label_signal")
BUT_FOR_ONE, OF_HOLDOUT = "but for one column", "of the holdout"  # in slices of copied rows
OF_MODELS = ("demographic_parity", "equalized_odds")


class Cause(NamedTuple):
    """The gravest finding of one cause, and the others that come with it."""

    headline: Finding
    others: tuple[Finding, ...]

    @property
    def sentence(self) -> str:
        """The headline in words, and what comes with it."""
        told = f"{self.headline.id}: {self.headline.method}"
        if not self.others:
            return told
        named = listed([finding.id for finding in self.others], NAMED)
        return f"{told} [{len(self.others):,} more come with it: {named}]"


def causes(findings: Iterable[Finding], *, fold_groups: bool = True) -> list[Cause]:
    """Failures and warnings by their cause, in the order of their headlines.

    - Fidelity: all measures of one column are one cause, and its pairs come with it; of the other
      pairs, those of the column with most of them are one; a triple comes with what has one of its
      columns; and measures of whole rows come with the first cause. Where a quarter of the rows or
      more are repeated, all of fidelity comes with that.
    - Bias: of the groups whose labels differ, the one with the clearest evidence is the headline. With
      it come its gap, the groups that have rows in common with it, unless they differ where it has no
      part, and what models do to it. So it is with the groups' sizes.
    - Utility: what models lose in groups comes with what they lose as a whole, or with the group that
      loses most clearly.
    - Privacy: where rows are copied, all but reused identifiers comes with that. Else the attacks
      that ask whether a record was in the training rows are one cause: they look in several ways for
      the same leak.

    Other findings stand for themselves.

    Args:
        fold_groups: False for a reader who wants to see every group and every attack that stops a table,
            as a policy does: then of the last three only the attacks on membership are folded.

    >>> low, high = (
    ...     Finding("fidelity", "tail_share", f"x, {side}", columns=("x",), verdict="fail")
    ...     for side in ("low", "high")
    ... )
    >>> [len(cause.others) for cause in causes([low, high])]
    [1]
    """
    findings = list(findings)
    grave = [finding for finding in findings if finding.verdict in ("fail", "warn")]
    by_family = {
        family: [finding for finding in grave if finding.family == family]
        for family in ("fidelity", "utility", "bias", "privacy")
    }
    groups = _of_fidelity(grave, by_family["fidelity"])
    if fold_groups:
        groups += [
            *_of_utility(by_family["utility"]),
            *_of_groups(by_family["bias"], _halves(findings)),
        ]
        groups += _of_leaks(by_family["privacy"])
    else:
        groups += _of_members(by_family["privacy"])
    heads = {id(group[0]): Cause(group[0], tuple(group[1:])) for group in groups}
    told = {id(finding) for group in groups for finding in group}
    return [
        heads.get(id(finding), Cause(finding, ()))
        for finding in grave
        if id(finding) in heads or id(finding) not in told
    ]


def headlines(findings: Iterable[Finding]) -> list[Cause]:
    """The causes that the printed summary tells: the first ones of each family.

    >>> lost = [Finding("structure", "column_missing", f"c{i}", verdict="fail") for i in range(9)]
    >>> len(headlines(lost))
    5
    """
    seen: Counter[str] = Counter()
    told = []
    for cause in causes(findings):
        seen[cause.headline.family] += 1
        if seen[cause.headline.family] <= SHOWN:
            told.append(cause)
    return told


def _of_fidelity(grave: Sequence[Finding], unfaithful: list[Finding]) -> list[list[Finding]]:
    repeated = [finding for finding in grave if finding.id == "duplicate_rows[whole rows]"]
    if repeated and (repeated[0].estimate is None or repeated[0].estimate >= MANY):
        return [[*repeated, *unfaithful]]
    groups = [_most_telling(group) for group in _of_columns(unfaithful)]
    whole = [finding for finding in unfaithful if finding.metric in WHOLE_ROWS]
    if groups:
        groups[0] += whole
    elif whole:
        groups = [whole]
    return groups


def _most_telling(group: list[Finding]) -> list[Finding]:
    """The same with an invented or lost level first, where one fails: the other measures follow from it."""
    for finding in group:
        if finding.metric == "levels" and finding.verdict == group[0].verdict:
            return [finding, *(other for other in group if other is not finding)]
    return group


def _of_utility(losses: list[Finding]) -> Iterator[list[Finding]]:
    whole = [finding for finding in losses if finding.metric == "utility"]
    of_groups = [finding for finding in losses if finding.metric == "group_utility"]
    if whole and of_groups:
        yield [*whole, *of_groups]
    elif of_groups:
        yield from _nested(of_groups)


def _halves(findings: Sequence[Finding]) -> frozenset[str]:
    """Columns of two groups: of these one gap is told, since that of the other is the same turned round."""
    gaps = {
        finding.slice: finding.columns[0] for finding in findings if finding.metric == "label_gap"
    }
    number = Counter(gaps.values())
    return frozenset(name for name in number if number[name] == 1)


def _of_groups(findings: list[Finding], halves: frozenset[str]) -> Iterator[list[Finding]]:
    """Of bias: sizes, labels, and what models do."""
    sizes = list(_nested([finding for finding in findings if finding.metric == "group_share"]))
    of_labels = [finding for finding in findings if finding.metric in OF_LABELS]
    labels = list(_nested(of_labels, halves))
    for size in sizes:
        gone = _group(size[0])
        # Who is left of a larger group is another mixture: its labels differ, too.
        mixtures = [
            group
            for group in labels
            if _group(group[0]) < gone and _clearest(size[0]) < _clearest(group[0])
        ]
        size += [finding for group in mixtures for finding in group]
        labels = [group for group in labels if group not in mixtures]
    groups = sizes + labels
    for finding in findings:
        if finding.metric in OF_MODELS:
            near = [group for group in labels if finding.slice in group[0].columns]
        elif finding.metric == "association":
            near = [
                group for group in sizes + labels if set(finding.columns) <= set(group[0].columns)
            ]
        else:
            continue
        if near:
            near[0].append(finding)
        else:
            groups.append([finding])
    yield from groups


def _nested(
    findings: Sequence[Finding], halves: frozenset[str] = frozenset()
) -> Iterator[list[Finding]]:
    """Findings about groups by their cause: the clearest first, then what is left without its rows.

    Args:
        halves: columns of two groups; where the gap between them is clearest, both have moved.
    """
    left = sorted(findings, key=_clearest)
    while left:
        head, rest = left[0], left[1:]
        both = head.metric == "label_gap" and head.columns[0] in halves
        own = frozenset() if both else _group(head)
        # The gap of a group holds the rows of all others: it tells nothing by itself.
        apart = [
            _group(finding)
            for finding in rest
            if finding.metric != "label_gap" and _disjoint(_group(finding), own)
        ]
        come = [
            finding
            for finding in rest
            if (finding.metric == "label_gap" or not _disjoint(_group(finding), own))
            and not any(_group(finding) <= other for other in apart)
        ]
        yield [head, *come]
        left = [finding for finding in rest if finding not in come]


def _clearest(finding: Finding) -> tuple[float, float]:
    """To sort by: the p-value, and where it is 0 how many widths of the interval lie before the null."""
    width = (finding.high or 0.0) - (finding.low or 0.0)
    p = 1.0 if finding.p is None else finding.p
    return p, -finding.distance / width if width > 0 else 0.0


def _group(finding: Finding) -> frozenset[str]:
    """The levels that the rows of a group have, such as those of two columns.

    >>> sorted(_group(Finding("bias", "label_gap", "sex = f & age < 30 against the rest")))
    ['age < 30', 'sex = f']
    """
    slice = finding.slice.removesuffix(" against the rest")
    if finding.metric == "label_rate":
        slice = slice.partition(", ")[0]
    return frozenset(slice.split(" & "))


def _disjoint(one: frozenset[str], two: frozenset[str]) -> bool:
    """Whether two groups have different levels of one column, and so no row in common."""
    levels = {_column(level): level for level in one}
    return any(levels.get(_column(level), level) != level for level in two)


def _column(level: str) -> str:
    """The name of the column in "sex = f", "age < 30", "30 <= age < 40", "age >= 40", "sex is missing"."""
    if " <= " in level:
        return level.partition(" <= ")[2].partition(" < ")[0]
    for sign in (" = ", " < ", " >= ", " is missing"):
        if sign in level:
            return level.partition(sign)[0]
    return level


def _of_leaks(leaks: list[Finding]) -> Iterator[list[Finding]]:
    copies = [finding for metric in COPIES for finding in leaks if finding.metric == metric]
    copies.sort(key=lambda each: (COPIES.index(each.metric), BUT_FOR_ONE in each.slice))
    # Whoever copies the holdout has seen it: a cause of its own, since other findings rest on it.
    strangers = [each for each in copies if each.slice.endswith(OF_HOLDOUT)]
    own = [each for each in copies if each not in strangers]
    if copies:
        come = [each for each in leaks if each not in copies and each.metric != "reused_values"]
        yield [*(own or strangers), *come]
        yield from ([each] for each in strangers if own)
    else:
        yield from _of_members(leaks)


def _of_members(leaks: list[Finding]) -> Iterator[list[Finding]]:
    if members := [finding for finding in leaks if finding.metric.startswith("membership_")]:
        yield members


def _of_columns(findings: Sequence[Finding]) -> list[list[Finding]]:
    """One list for each column that differs by itself, and for each that most of the other pairs have."""
    alone: dict[str, list[Finding]] = {}
    pairs, triples = [], []
    for finding in findings:
        names = {name.split(": ")[0] for name in finding.columns}  # a date's weekday is the date's
        if len(names) == 1:
            alone.setdefault(names.pop(), []).append(finding)
        elif len(names) == 2:
            pairs.append(finding)
        elif names and finding.metric == "three_columns":
            triples.append(finding)
    groups = list(alone.values())
    for pair in pairs.copy():
        if moved := next((own for name, own in alone.items() if name in pair.columns), None):
            moved.append(pair)
            pairs.remove(pair)
    while pairs:
        number = Counter(name for pair in pairs for name in pair.columns)
        most = max(number, key=lambda name: number[name])
        groups.append([pair for pair in pairs if most in pair.columns])
        pairs = [pair for pair in pairs if most not in pair.columns]
    for triple in triples:
        near = [group for group in groups if set(triple.columns) & set(group[0].columns)]
        if near and _leads(triple, near[0]):
            near[0].insert(0, triple)
        elif near:
            near[0].append(triple)
        else:
            groups.append([triple])
    return sorted(groups, key=lambda group: findings.index(group[0]))


def _leads(triple: Finding, group: Sequence[Finding]) -> bool:
    """Whether a triple tells more than the group that it comes with.

    It fails and the group only warns; or it is surer than each of the group's pairs, beyond which it was
    measured.
    """
    if triple.verdict != group[0].verdict:
        return triple.verdict == "fail"
    pairs = all(len(finding.columns) == 2 for finding in group)
    return pairs and _clearest(triple) < min(map(_clearest, group))
