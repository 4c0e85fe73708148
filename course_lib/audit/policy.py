"""What must hold before synthetic rows may go to someone: policies, and a report held to one."""

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from course_lib.audit.causes import Cause, causes
from course_lib.audit.explain import metrics
from course_lib.audit.finding import FAMILIES, Findings
from course_lib.audit.schema import AuditError, listed
from course_lib.syllabus import unknown

# Which verdicts stop a report, by the word that a policy uses.
STOPS = {
    "never": frozenset[str](),
    "fail": frozenset({"fail"}),
    "warn": frozenset({"fail", "warn"}),
}
UNDECIDED = frozenset({"underpowered", "not testable"})
NEEDS = {
    "holdout": "real rows that the generator has not seen (holdout)",
    "label": "the column that is to be predicted (label)",
    "sensitive": "the columns whose groups are compared (sensitive)",
}


@dataclass(frozen=True)
class Policy:
    """What stops synthetic rows: for each family of findings a word of STOPS.

    >>> sorted(Policy("mine", decided=("privacy",)).stops("privacy"))
    ['fail', 'not testable', 'underpowered']
    """

    name: str
    says: str = ""  # for whom the rows are, in a sentence
    needs: tuple[str, ...] = ()  # of NEEDS: what the audit must have been given
    decided: tuple[str, ...] = ()  # families in which what could not be tested stops them, too
    ignore: tuple[str, ...] = ()  # ids of findings, or metrics
    structure: str = "fail"
    fidelity: str = "fail"
    utility: str = "fail"
    bias: str = "fail"
    privacy: str = "fail"

    def __post_init__(self) -> None:
        for family in FAMILIES:
            word = getattr(self, family)
            if not isinstance(word, str) or word not in STOPS:
                raise AuditError(
                    f"Policy '{self.name}': {family} = {word!r} is none of {', '.join(STOPS)}."
                )
        if wrong := sorted(set(self.decided) - set(FAMILIES)):
            raise AuditError(
                f"Policy '{self.name}': there is no family '{wrong[0]}'; they are {', '.join(FAMILIES)}."
            )
        if wrong := sorted(set(self.needs) - set(NEEDS)):
            raise AuditError(
                f"Policy '{self.name}': it cannot need '{wrong[0]}', only {', '.join(NEEDS)}."
            )

    def stops(self, family: str) -> frozenset[str]:
        """The verdicts of a family that stop the rows."""
        stops = STOPS[getattr(self, family)]
        return stops | UNDECIDED if stops and family in self.decided else stops


@dataclass(frozen=True)
class Gate:
    """Whether a report passes a policy, and the reasons if not. True in an `if` when passed.

    `reasons` names each finding, `causes` tells those of one cause at once, and `stopped_by` holds the
    findings' ids alone. `status` is 0 or 1 for each family, as an exit status is.
    """

    passed: bool
    reasons: tuple[str, ...]
    causes: tuple[str, ...]
    policy: Policy
    status: Mapping[str, int]
    stopped_by: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return "\n".join(["passed" if self.passed else "failed", *self.reasons])

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the policy's name, whether it passed, the status by family, and the reasons."""
        return {
            "policy": self.policy.name,
            "says": self.policy.says,
            "passed": self.passed,
            "status": dict(self.status),
            "reasons": list(self.reasons),
        }


@cache
def policies() -> Mapping[str, Policy]:
    """The policies that come with the course, by name.

    >>> list(policies())
    ['research', 'internal', 'release']
    """
    return _all_of(Path(__file__).with_name("policies.toml"))


def named(text: str) -> Policy:
    """A policy by its name, or from a file of one's own: "release", "policy.toml" or "policy.toml#strict".

    Raises:
        AuditError: there is no such policy or file, or what the file says is not understood.

    >>> named("internal").needs
    ('holdout',)
    """
    if text in policies():
        return policies()[text]
    file, _, name = text.partition("#")
    if not Path(file).suffix == ".toml":
        raise AuditError(
            f"There is no policy '{text}'. The course has {listed(list(policies()))}; one of your own "
            "stands in a file such as policy.toml."
        )
    own = _all_of(Path(file))
    if taken := sorted(set(own) & set(policies())):
        # Else a signed page could say "release" and mean something milder.
        raise AuditError(f"{file}: '{taken[0]}' is a policy of the course. Choose another name.")
    if not name and len(own) == 1:
        return next(iter(own.values()))
    if name not in own:
        which = f"no policy '{name}'" if name else "several policies"
        raise AuditError(f"{file} has {which}. Ask for one: {_asked(file, own)}.")
    return own[name]


def _asked(file: str, own: Mapping[str, Policy]) -> str:
    return " or ".join(f"{file}#{name}" for name in own)


def _all_of(file: Path) -> dict[str, Policy]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AuditError(f"There is no policy file {file}.") from error
    except (OSError, ValueError) as error:
        raise AuditError(f"The policy {file} cannot be read: {error}") from error
    if not content or not all(isinstance(table, dict) for table in content.values()):
        raise AuditError(
            f"{file}: each policy is a table with a name, such as [strict], and what holds for it."
        )
    return {name: _policy(name, table) for name, table in content.items()}


def _policy(name: str, table: Mapping[str, Any]) -> Policy:
    known = {each.name for each in fields(Policy)} - {"name"}
    if wrong := sorted(set(table) - known):
        raise AuditError(f"Policy '{name}' has no '{wrong[0]}'; it has {', '.join(sorted(known))}.")
    lists = {key: table[key] for key in ("needs", "decided", "ignore") if key in table}
    for key, value in lists.items():
        if not (isinstance(value, list) and all(isinstance(word, str) for word in value)):
            raise AuditError(f"Policy '{name}': {key} is a list of words, not {value!r}.")
    for word in lists.get("ignore", ()):
        metric = word.partition("[")[0]
        if metric not in metrics():
            raise AuditError(f"Policy '{name}', ignore: {unknown('metric', metric, metrics())}")
    if not isinstance(table.get("says", ""), str):
        raise AuditError(f"Policy '{name}': says is a sentence, not {table['says']!r}.")
    return Policy(name, **{**table, **{key: tuple(value) for key, value in lists.items()}})


def from_rules(rules: str | Mapping[str, Any] | Policy) -> Policy:
    """What `AuditReport.gate` takes, as a policy. Raises AuditError for what is not understood.

    >>> from_rules({"families": ["bias"]}).privacy
    'never'
    """
    if isinstance(rules, Policy):
        return rules
    if isinstance(rules, str):
        everywhere: dict[str, Any] = dict.fromkeys(FAMILIES, rules)
        return Policy(rules, **everywhere) if rules in STOPS else named(rules)
    known = {"fail_on", "families", "ignore", "underpowered"}
    if wrong := sorted(set(rules) - known):
        raise AuditError(f"A policy has no '{wrong[0]}'; it has {', '.join(sorted(known))}.")
    fail_on = rules.get("fail_on", "fail")
    if fail_on not in ("fail", "warn"):
        raise AuditError(f"fail_on must be 'fail' or 'warn', not {fail_on!r}.")
    families = rules.get("families", FAMILIES)
    families = [families] if isinstance(families, str) else list(families)
    if wrong := [family for family in families if family not in FAMILIES]:
        raise AuditError(f"There is no family '{wrong[0]}'; they are {', '.join(FAMILIES)}.")
    levels: dict[str, Any] = {f: fail_on if f in families else "never" for f in FAMILIES}
    return Policy(
        "own rules",
        decided=FAMILIES if rules.get("underpowered") else (),
        ignore=tuple(rules.get("ignore", ())),
        **levels,
    )


def _dealt(found: Sequence[Cause], families: Sequence[str]) -> list[Cause]:
    """The first cause of each family, then the second of each, so that few lines tell of every family."""
    turns: Counter[str] = Counter()
    places = []
    for cause in found:
        family = cause.headline.family
        places.append((turns[family], families.index(family)))
        turns[family] += 1
    return [found[k] for k in sorted(range(len(found)), key=places.__getitem__)]


def gate(findings: Findings, rules: str | Mapping[str, Any] | Policy) -> Gate:
    """Hold what an audit found to a policy. Raises AuditError for one that is not understood.

    >>> gate(Findings((), None, (), {}), "release").reasons[0]
    'The policy needs real rows that the generator has not seen (holdout); the audit had none.'
    """
    policy = from_rules(rules)
    given = {
        "holdout": findings.about.get("holdout") == "given",
        "label": bool(findings.about.get("label")),
        "sensitive": bool(findings.about.get("sensitive")),
    }
    missing = [
        f"The policy needs {NEEDS[need]}; the audit had none."
        for need in policy.needs
        if not given[need]
    ]
    stopped = [
        finding
        for finding in findings
        if finding.verdict in policy.stops(finding.family)
        and not {finding.id, finding.metric} & {*policy.ignore}
    ]
    reasons = [f"{each.verdict}: {each.id}: {each.method}" for each in stopped]
    status = {family: int(any(f.family == family for f in stopped)) for family in FAMILIES}
    undecided = Counter((f.verdict, f.family) for f in stopped if f.verdict in UNDECIDED)
    told = [
        f"{cause.headline.verdict}: {cause.sentence}"
        for cause in _dealt(causes(stopped, fold_groups=False), findings.families)
    ]
    told += [f"{verdict}: {n:,} of {family}" for (verdict, family), n in undecided.items()]
    passed = not (missing or stopped)
    stopped_by = tuple(each.id for each in stopped)
    return Gate(passed, (*missing, *reasons), (*missing, *told), policy, status, stopped_by)
