"""Which findings come from one cause: a column that moved fails in many measures, and is told once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from course_lib.audit.finding import Finding
from course_lib.audit.schema import listed

NAMED = 2  # findings that come with a headline and are named
WHOLE_ROWS = (
    "two_sample_auc",
    "mmd",
    "frechet_distance",
    "precision",
    "recall",
    "density",
    "coverage",
)


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


def causes(findings: Iterable[Finding]) -> list[Cause]:
    """Failures and warnings by their cause, in the order of their headlines.

    Of fidelity: all measures of one column are one cause, and its pairs come with it; of the other
    pairs, those of the column with most of them are one; a triple comes with what has one of its columns;
    and measures of whole rows come with the first cause. Where rows are repeated, all of fidelity comes
    with that. The attacks that ask whether a record was in the training rows are one cause: they look in
    several ways for the same leak. Other findings stand for themselves.

    >>> low, high = (
    ...     Finding("fidelity", "tail_share", f"x, {side}", columns=("x",), verdict="fail")
    ...     for side in ("low", "high")
    ... )
    >>> [len(cause.others) for cause in causes([low, high])]
    [1]
    """
    grave = [finding for finding in findings if finding.verdict in ("fail", "warn")]
    unfaithful = [finding for finding in grave if finding.family == "fidelity"]
    repeated = [finding for finding in grave if finding.id == "duplicate_rows[whole rows]"]
    if repeated:
        groups = [[*repeated, *unfaithful]]
    else:
        groups = _of_columns(unfaithful)
        whole = [finding for finding in unfaithful if finding.metric in WHOLE_ROWS]
        if groups:
            groups[0] += whole
        elif whole:
            groups = [whole]
    if members := [finding for finding in grave if finding.metric.startswith("membership_")]:
        groups.append(members)
    heads = {id(group[0]): Cause(group[0], tuple(group[1:])) for group in groups}
    told = {id(finding) for group in groups for finding in group}
    return [
        heads.get(id(finding), Cause(finding, ()))
        for finding in grave
        if id(finding) in heads or id(finding) not in told
    ]


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
        if near:
            near[0].append(triple)
        else:
            groups.append([triple])
    return sorted(groups, key=lambda group: findings.index(group[0]))
