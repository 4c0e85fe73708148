"""One day of a pipeline, in steps that may each run in a process of its own."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from course_lib import __version__
from course_lib.files import write_whole
from course_lib.pipeline.contract import as_csv
from course_lib.pipeline.generators import in_holdout
from course_lib.pipeline.journal import PipelineError
from course_lib.pipeline.labels import LabelCells
from course_lib.pipeline.steps import Step, run_once
from course_lib.pipeline.watching import (
    Values,
    arriving_values,
    evidence,
    generated_values,
    next_cusums,
    weekly_values,
)

if TYPE_CHECKING:
    from course_lib.pipeline.running import Pipeline

AUDITED = 2000  # rows of a table in a day's report


@dataclass(frozen=True)
class Outcome:
    """What became of a day: published or not, why, and which stream had the most evidence."""

    day: str
    published: bool
    why: str
    stream: str = ""
    evidence: float = 0.0


class Day:
    """The steps of one day, in their order. The first one that returns an outcome has decided the day.

    What a step has found is kept in the pipeline's folder, so a later one finds it again, also in another
    process, and no step is repeated.

    Args:
        pipeline: nobody else may run it meanwhile.
        file: the rows that arrived.
    """

    def __init__(self, pipeline: "Pipeline", file: Path):
        self.pipeline, self.settings, self.contract = pipeline, pipeline.settings, pipeline.contract
        self.name, self.arrived = file.stem, {"arrived": file.read_bytes()}
        self.rules = {"version": __version__, "contract": asdict(self.contract)}

    def decide(self) -> Outcome:
        """All steps, as far as they are not done yet."""
        return self.watch_arrived() or self.generate() or self.watch_generated() or self.publish()

    def watch_arrived(self) -> Outcome | None:
        """Does what arrived keep the contract, and does it come from the source of the days before?"""
        if wrong := json.loads(self._once(self._check_contract, self.arrived, self.rules)):
            return self._quarantine(f"contract: {'; '.join(wrong)}")
        return self._stopped(self._cusums_of_arrived)

    def generate(self) -> Outcome | None:
        """Charge the privacy budget, if there is one, and make rows; do these keep the contract?"""
        settings = self.settings
        if settings.private and not self.pipeline.budget.spend(
            self.name, settings.release_rho or 0.0
        ):
            return self._quarantine(
                f"budget: all {settings.total_rho:.4g} of rho is spent; nothing more may be released"
            )
        if wrong := self.contract.breaches(self.contract.read(self._made)):
            return self._quarantine(f"generated rows: {'; '.join(wrong)}")
        return None

    def watch_generated(self) -> Outcome | None:
        """Are the rows that were made within the tolerances?"""
        return self._stopped(self._cusums_of_generated)

    def publish(self) -> Outcome:
        """Put the rows where they are read, and say so in the log."""
        if self.settings.report:
            report = self._once(self._audit_report, self._all_inputs, self.rules)
            write_whole(self.pipeline.state / "reports" / f"{self.name}.html", report)
        cusums = self._cusums_of_generated
        stream, found = next(iter(evidence(cusums).items()))
        limit = self.settings.limit
        why = f"passed: most evidence {found:,.2f}, in {stream}; {limit:,.0f} stops"
        write_whole(self.pipeline.state / "accepted" / f"{self.name}.csv", self.arrived["arrived"])
        write_whole(self.settings.folder / "published" / f"{self.name}.csv", self._made)
        entry = {
            "event": "published",
            "day": self.name,
            "why": why,
            "stream": stream,
            "evidence": found,
            "sha256": hashlib.sha256(self._made).hexdigest(),
            "cusums": dict(cusums),
        }
        self.pipeline.log.append(lambda _: entry)
        self.pipeline.align()
        return Outcome(self.name, True, why, stream, found)

    def _stopped(self, cusums: Mapping[str, float]) -> Outcome | None:
        stream, found = next(iter(evidence(cusums).items()))
        limit = self.settings.limit
        if found < limit:
            return None
        why = f"gate: {stream}: evidence {found:,.0f}, and {limit:,.0f} stops"
        return self._quarantine(why, stream, found)

    def _quarantine(self, why: str, stream: str = "", found: float = 0.0) -> Outcome:
        write_whole(
            self.settings.folder / "quarantine" / f"{self.name}.csv", self.arrived["arrived"]
        )
        entry = {
            "event": "quarantined",
            "day": self.name,
            "why": why,
            "stream": stream,
            "evidence": found,
        }
        self.pipeline.log.append(lambda _: entry)
        self.pipeline.align()
        return Outcome(self.name, False, why, stream, found)

    # --- what the steps compute, each once ------------------------------------------------------------

    def _once(self, step: Step, inputs: Mapping[str, bytes], rules: Mapping[str, object]) -> bytes:
        return run_once(step, inputs, rules, self.pipeline.store)

    def _check_contract(self, inputs: Mapping[str, bytes], rules: object) -> bytes:
        try:
            wrong = self.contract.breaches(self.contract.read(inputs["arrived"]))
        except PipelineError as error:
            wrong = [str(error)]
        return json.dumps(wrong).encode()

    def _watch_arrived(self, inputs: Mapping[str, bytes], rules: object) -> bytes:
        days, reference = [*self._days, self._today], self.pipeline.reference
        found = arriving_values(self._today, self._before, self.contract)
        found |= weekly_values(days, reference, self.contract)
        cells = LabelCells(reference, self.contract)
        before = [cells.count(table) for table in self._days]
        return _e_values(found | cells.values(cells.count(self._today), before))

    def _generate(self, inputs: Mapping[str, bytes], rules: Mapping[str, object]) -> bytes:
        seen, seed = self._seen.reset_index(drop=True), self.pipeline.seed(rules)
        return as_csv(self.pipeline.generator(seen, self.settings.rows, seed))

    def _watch_generated(self, inputs: Mapping[str, bytes], rules: object) -> bytes:
        made, tolerance = self.contract.read(self._made), self.settings.tolerance
        tables = (made, self._seen, self._holdout, self._today)
        return _e_values(generated_values(*tables, self.contract, tolerance))

    def _audit_report(self, inputs: Mapping[str, bytes], rules: object) -> bytes:
        from course_lib.audit import audit
        from course_lib.audit.page import page

        real, control, generated = (
            part.head(AUDITED).reset_index(drop=True)
            for part in (self._seen, self._holdout, self.contract.read(self._made))
        )
        kinds = {
            name: "number" if rule.numeric else "category"
            for name, rule in self.contract.columns.items()
        }
        found = audit(
            real,
            control,
            generated,
            kinds,
            label=self.contract.label,
            sensitive=[name for name in self.contract.groups if name != self.contract.label],
            list_rows=False,
            progress=False,
        )
        return page(found).encode()

    @cached_property
    def _today(self) -> pd.DataFrame:
        return self.contract.read(self.arrived["arrived"])

    @cached_property
    def _accepted(self) -> dict[str, bytes]:
        folder = self.pipeline.state / "accepted"
        return {name: (folder / f"{name}.csv").read_bytes() for name in self.pipeline.in_force()}

    @cached_property
    def _days(self) -> list[pd.DataFrame]:
        return [self.contract.read(content) for content in self._accepted.values()]

    @cached_property
    def _before(self) -> pd.DataFrame:
        return pd.concat([self.pipeline.reference, *self._days], ignore_index=True)

    @cached_property
    def _pool(self) -> dict[str, bytes]:
        accepted = {f"accepted {name}": content for name, content in self._accepted.items()}
        return {**accepted, "reference": as_csv(self.pipeline.reference)}

    @cached_property
    def _seen(self) -> pd.DataFrame:
        return self._before[~in_holdout(self._before, self.contract)]

    @cached_property
    def _holdout(self) -> pd.DataFrame:
        return self._before[in_holdout(self._before, self.contract)]

    @cached_property
    def _made(self) -> bytes:
        making = {
            **self.rules,
            "generator": self.settings.generator,
            "rows": self.settings.rows,
            "rho": self.settings.release_rho,
            "day": self.name,
        }
        return self._once(self._generate, self._pool, making)

    @cached_property
    def _all_inputs(self) -> dict[str, bytes]:
        return {**self._pool, **self.arrived, "generated": self._made}

    @cached_property
    def _cusums_of_arrived(self) -> dict[str, float]:
        found = self._once(self._watch_arrived, {**self._pool, **self.arrived}, self.rules)
        return next_cusums(self.pipeline.cusums(), json.loads(found))

    @cached_property
    def _cusums_of_generated(self) -> dict[str, float]:
        rules = {**self.rules, "tolerance": asdict(self.settings.tolerance)}
        found = self._once(self._watch_generated, self._all_inputs, rules)
        return next_cusums(self._cusums_of_arrived, json.loads(found))


def _e_values(found: Mapping[str, Values]) -> bytes:
    return json.dumps({name: value.e for name, value in found.items()}).encode()
