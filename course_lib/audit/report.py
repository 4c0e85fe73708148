"""What an audit found, to read, to keep, and to hold a pipeline to."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from course_lib import __version__
from course_lib.audit.causes import SHOWN, causes
from course_lib.audit.explain import explanation, paper
from course_lib.audit.figure import draw_findings
from course_lib.audit.finding import VERDICTS, Finding, Findings
from course_lib.audit.page import page, snippet
from course_lib.audit.policy import Gate, Policy, gate
from course_lib.audit.profile import Associations, Joint, Pair, Profile, Reliability
from course_lib.audit.schema import AuditError, Column, Schema
from course_lib.files import write_whole
from course_lib.plots import show

FORMAT = 1  # of the JSON; it rises when a reader must change


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where a frozen object has tuples."""

    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return {key: frozen(value) for key, value in table.items()}


@dataclass(frozen=True)
class AuditReport(Findings):
    """The findings of one audit, the gravest first: to read, to keep, to compare, to gate."""

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {verdict}" for verdict, number in self.counts.items())
        lines = [f"{len(self.findings)} findings: {counts}"]
        found = causes(self.findings)
        for family in self.families:
            grave = [cause for cause in found if cause.headline.family == family]
            for cause in grave[:SHOWN]:
                lines.append(f"  {cause.headline.verdict} {family}: {cause.sentence}")
            if len(grave) > SHOWN:
                lines.append(f"       {family}: and {len(grave) - SHOWN} more; see .table()")
        left_out = [f for f in self.findings if f.metric == "read_as" and f.verdict != "pass"]
        if left_out:
            told = [f"{f.slice} ({f.method.split(' ')[0].rstrip(':')})" for f in left_out]
            lines.append(f"Not compared: {', '.join(told)}.")
        return "\n".join([*lines, *self.notes])

    def __getitem__(self, id: str) -> Finding:
        """The finding of that id. Raises KeyError that names the nearest ones."""
        return self._find(id)

    def table(self, family: str | None = None, verdict: str | None = None) -> pd.DataFrame:
        """The findings as rows, all or those of a family or verdict."""
        rows = [
            finding.as_dict()
            for finding in self.findings
            if family in (None, finding.family) and verdict in (None, finding.verdict)
        ]
        columns = ["id", *(each.name for each in fields(Finding))]
        return pd.DataFrame(rows, columns=columns).set_index("id")

    def explain(self, id: str) -> str:
        """What a finding measures, what it says here, and the paper. Raises KeyError."""
        return explanation(self._find(id), self.about)

    def _find(self, id: str) -> Finding:
        for finding in self.findings:
            if finding.id == id:
                return finding
        near = [f.id for f in self.findings if id.split("[")[0] in f.id or id in f.slice][:5]
        raise KeyError(
            f"There is no finding '{id}'. "
            + (f"Near to it: {', '.join(near)}." if near else "All ids: report.table().index.")
        )

    def gate(self, policy: str | Mapping[str, Any] | Policy = "fail") -> Gate:
        """Pass or fail, with reasons, for a pipeline.

        Args:
            policy: "fail" or "warn", the mildest verdict that fails; the name of a policy ("research",
                "internal", "release") or of a file of one's own, "policy.toml#name"; or a mapping with
                any of "fail_on" (the same, "fail" if absent), "families" (only these), "ignore" (ids or
                metrics to leave out), "underpowered" (True: a finding that could not be made, or is not
                testable, fails too).

        Raises:
            AuditError: for a policy that is not understood.
        """
        return gate(self, policy)

    def compare(self, before: "AuditReport") -> pd.DataFrame:
        """What changed since another report: the findings whose verdict or estimate moved.

        `change` is "better" or "worse" by verdict, or by the effect where both have one verdict, and
        "new" or "gone" for what only one report has.
        """
        old = {finding.id: finding for finding in before.findings}
        new = {finding.id: finding for finding in self.findings}
        rows = []
        for id in dict.fromkeys([*new, *old]):
            one, two = old.get(id), new.get(id)
            if one is None or two is None:
                change = "new" if one is None else "gone"
            else:
                step = VERDICTS.index(two.verdict) - VERDICTS.index(one.verdict)
                moved = step or one.effect - two.effect
                if moved == 0:
                    continue
                change = "better" if moved > 0 else "worse"
            rows.append(
                {
                    "id": id,
                    "change": change,
                    "verdict before": one and one.verdict,
                    "verdict": two and two.verdict,
                    "estimate before": one and one.estimate,
                    "estimate": two and two.estimate,
                    "effect before": one and one.effect,
                    "effect": two and two.effect,
                }
            )
        columns = ["change", "verdict before", "verdict"]
        columns += ["estimate before", "estimate", "effect before", "effect"]
        return pd.DataFrame(rows, columns=["id", *columns]).set_index("id")

    def to_json(
        self,
        path: str | os.PathLike[str] | None = None,
        policy: str | Mapping[str, Any] | Policy = "fail",
    ) -> str:
        """The whole report as JSON, and into a file if a path is given; with what `policy` says of it."""
        content = {
            "format": FORMAT,
            "course_lib": __version__,
            "verdict": self.verdict,
            "counts": self.counts,
            "gate": self.gate(policy).as_dict(),
            "about": dict(self.about),
            "notes": list(self.notes),
            "schema": None
            if self.schema is None
            else [vars(column) for column in self.schema.columns],
            "profiles": [vars(each) for each in self.profiles],
            "associations": None if self.associations is None else vars(self.associations),
            "reliability": None if self.reliability is None else vars(self.reliability),
            "nearest": [vars(each) for each in self.nearest],
            "joints": [vars(each) for each in self.joints],
            "findings": [f.as_dict() | {"paper": paper(f.metric)} for f in self.findings],
        }
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str)
        if path is not None:
            write_whole(path, text)
        return text

    def to_html(
        self, path: str | os.PathLike[str] | None = None, policy: Policy | None = None
    ) -> str:
        """The whole report as one HTML page that needs no network; into a file if a path is given.

        It says which of the course's policies the report passes, and whether it passes `policy`.
        """
        text = page(self, policy)
        if path is not None:
            write_whole(path, text)
        return text

    def plot(self) -> None:
        """Show one picture: where the harm is, and how much of it."""
        show(*draw_findings(self))

    def _repr_html_(self) -> str:
        return snippet(self)

    @classmethod
    def from_json(cls, text: str) -> "AuditReport":
        """A report from what `to_json` gave. Raises AuditError if it is not one."""
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise AuditError(
                    f"The report has format {content['format']}; this version of course_lib reads "
                    f"{FORMAT}."
                )
            names = {each.name for each in fields(Finding)}
            findings = [
                Finding(
                    **{k: v for k, v in each.items() if k in names}
                    | {"columns": tuple(each["columns"])}
                )
                for each in content["findings"]
            ]
            columns = content["schema"]
            schema = None if columns is None else Schema(tuple(Column(**c) for c in columns))
            pairs, curves = content.get("associations"), content.get("reliability")
            return cls(
                tuple(findings),
                schema,
                tuple(content["notes"]),
                content["about"],
                tuple(Profile(**_tuples(each)) for each in content.get("profiles", ())),
                None if pairs is None else Associations(**_tuples(pairs)),
                None if curves is None else Reliability(**_tuples(curves)),
                tuple(Pair(**_tuples(each)) for each in content.get("nearest", ())),
                tuple(Joint(**_tuples(each)) for each in content.get("joints", ())),
            )
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, AuditError):
                raise
            raise AuditError(f"This is not an audit report: {error!r}.") from error
