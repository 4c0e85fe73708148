"""The days of a pipeline, one after the other: each is published or quarantined, and the log says why.

What is on the disk, next to pipeline.toml:

    published/DAY.csv     generated rows that passed; those in force
    current.json          which of them is the newest, for who reads them
    quarantine/DAY.csv    arrived rows of a day that was stopped, or kept from the generator
    withdrawn/DAY.csv     what was published and then rolled back
    runs.html             a page of the runs
    .pipeline/            log.jsonl, budget.jsonl, the steps' outputs, the accepted rows

The log decides what is true. Files are written before the line that says so, or brought in line with it
at the next start; so a kill at any moment loses nothing and repeats nothing.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from course_lib import __version__
from course_lib.files import write_whole
from course_lib.pipeline.budget import Budget
from course_lib.pipeline.contract import as_csv
from course_lib.pipeline.generators import Generator, generator_of, in_holdout
from course_lib.pipeline.journal import Entry, Journal, PipelineError
from course_lib.pipeline.page import runs_page
from course_lib.pipeline.settings import PipelineSettings
from course_lib.pipeline.steps import FolderStore, Step, run_once
from course_lib.pipeline.watching import (
    arriving_p_values,
    evidence,
    generated_p_values,
    next_cusums,
    weekly_p_values,
)

AUDITED = 2000  # rows of a table in a day's report


@dataclass(frozen=True)
class Outcome:
    """What became of a day: published or not, why, and which stream had the most evidence."""

    day: str
    published: bool
    why: str
    stream: str = ""
    evidence: float = 0.0


def in_force(events: Sequence[Mapping[str, str]]) -> list[str]:
    """The days whose rows are published and not withdrawn, in their order; the last one is current.

    Args:
        events: what happened, in this order: {"event": "published", "day": ...}, "quarantined" with a day,
            and "rolled back" with the day that is current again, or with "" where none is.

    >>> happened = [("published", "1"), ("published", "2"), ("rolled back", "1"), ("published", "3")]
    >>> in_force([{"event": event, "day": day} for event, day in happened])
    ['1', '3']
    """
    days: list[str] = []
    for event in events:
        if event["event"] == "published":
            days.append(event["day"])
        elif event["event"] == "rolled back":
            days = days[: days.index(event["day"]) + 1] if event["day"] else []
    return days


class Pipeline:
    """A pipeline and its folder.

    Args:
        settings: see `settings.read_settings`.
        generator: in place of the one that the settings name.

    Raises:
        PipelineError: where the folder cannot be written to, or its log was changed by hand.
    """

    def __init__(self, settings: PipelineSettings, generator: Generator | None = None):
        self.settings, self.contract = settings, settings.contract
        self.generator = generator
        self.state = settings.folder / ".pipeline"
        try:
            for name in ("published", "quarantine", "withdrawn"):
                (settings.folder / name).mkdir(exist_ok=True)
            for name in ("accepted", "reports"):
                (self.state / name).mkdir(parents=True, exist_ok=True)
            self.store = FolderStore(self.state / "steps")
        except OSError as error:
            raise PipelineError(f"{settings.folder} cannot be written to: {error}") from None
        self.log = Journal(self.state / "log.jsonl")
        self.budget = Budget(self.state / "budget.jsonl", settings.total_rho or 0.0)

    def run(self, say: Callable[[Outcome], object] = lambda outcome: None) -> list[Outcome]:
        """Run every day that arrived and is not decided yet; `say` hears of each as it is decided.

        Raises:
            PipelineError: where another process runs this pipeline, the reference breaks the contract, or
                no file arrived.
        """
        with self._alone():
            self._align()
            arrived = sorted(self.settings.folder.glob(self.settings.arrivals))
            if not arrived:
                raise PipelineError(
                    f"no file fits data.arrivals = '{self.settings.arrivals}' in {self.settings.folder}."
                )
            if len({file.stem for file in arrived}) < len(arrived):
                raise PipelineError(
                    "two files that arrived have one name; a day has a name of its own."
                )
            generator = self.generator or generator_of(self.settings)
            reference = self._reference()
            decided = {entry["day"] for entry in self.events() if entry["event"] != "rolled back"}
            outcomes = []
            for file in arrived:
                if file.stem not in decided:
                    outcomes.append(self._day(file, reference, generator))
                    self._align()
                    say(outcomes[-1])
            return outcomes

    def roll_back(self, day: str, reason: str) -> list[str]:
        """Make `day` current again ("" for no day at all), and return the days withdrawn.

        Their rows no longer count as accepted. Budget that was spent stays spent: the rows were out.

        Raises:
            PipelineError: for a day that is not in force.
        """
        with self._alone():
            days = in_force(self.events())
            if day and day not in days:
                known = ", ".join(days) or "none"
                raise PipelineError(
                    f"'{day}' is not in force, so nothing can go back to it; these are: {known}."
                )
            withdrawn = days[days.index(day) + 1 :] if day else days
            if withdrawn:
                self.log.append(lambda _: {"event": "rolled back", "day": day, "why": reason})
            self._align()
            return withdrawn

    def events(self) -> list[Entry]:
        """The log, from the first day on."""
        return self.log.entries()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with FileLock(self.state / "running.lock", timeout=0):
                yield
        except Timeout:
            raise PipelineError(
                f"another process is running the pipeline in {self.settings.folder}."
            ) from None

    def _reference(self) -> pd.DataFrame:
        path = self.settings.folder / self.settings.reference
        try:
            table = self.contract.read(path.read_bytes())
            wrong = self.contract.breaches(table)
        except (OSError, PipelineError) as error:
            raise PipelineError(f"data.reference: {path}: {error}") from None
        if wrong:
            raise PipelineError(f"data.reference: {path} breaks the contract: {'; '.join(wrong)}.")
        return table

    def _day(self, file: Path, reference: pd.DataFrame, generator: Generator) -> Outcome:
        """Decide one day."""
        day, contract, common = file.stem, self.contract, {"version": __version__}
        arrived = {"arrived": file.read_bytes()}
        rules = {**common, "contract": asdict(contract)}

        def check_contract(inputs: Mapping[str, bytes], settings: object) -> bytes:
            try:
                return json.dumps(contract.breaches(contract.read(inputs["arrived"]))).encode()
            except PipelineError as error:
                return json.dumps([str(error)]).encode()

        if wrong := json.loads(run_once(check_contract, arrived, rules, self.store)):
            return self._quarantine(day, arrived["arrived"], f"contract: {'; '.join(wrong)}")
        today = contract.read(arrived["arrived"])

        events = self.events()
        accepted = in_force(events)
        published = {entry["day"]: entry for entry in events if entry["event"] == "published"}
        cusums = published[accepted[-1]]["cusums"] if accepted else {}
        contents = {
            name: (self.state / "accepted" / f"{name}.csv").read_bytes() for name in accepted
        }
        days = [contract.read(content) for content in contents.values()]
        before = pd.concat([reference, *days], ignore_index=True)
        pool = {f"accepted {name}": content for name, content in contents.items()}
        pool["reference"] = as_csv(reference)

        def watch_arrived(inputs: Mapping[str, bytes], settings: object) -> bytes:
            p = arriving_p_values(today, before, contract)
            return json.dumps(p | weekly_p_values([*days, today], reference, contract)).encode()

        p_values = json.loads(run_once(watch_arrived, {**pool, **arrived}, rules, self.store))
        cusums = next_cusums(cusums, p_values)
        if outcome := self._stopped(day, arrived["arrived"], cusums):
            return outcome

        kept_out = in_holdout(before, contract)
        seen, holdout = before[~kept_out], before[kept_out]
        making = {
            **rules,
            "generator": self.settings.generator,
            "rows": self.settings.rows,
            "rho": self.settings.release_rho,
            "day": day,
        }
        if self.settings.private and not self.budget.spend(day, self.settings.release_rho or 0.0):
            why = f"budget: all {self.settings.total_rho:.4g} of rho is spent; nothing more may be released"
            return self._quarantine(day, arrived["arrived"], why)

        def generate(inputs: Mapping[str, bytes], settings: object) -> bytes:
            made = generator(seen.reset_index(drop=True), self.settings.rows, self._seed(making))
            return as_csv(made)

        made = run_once(generate, pool, making, self.store)
        table = contract.read(made)
        if wrong := contract.breaches(table):
            return self._quarantine(day, arrived["arrived"], f"generated rows: {'; '.join(wrong)}")

        def watch_generated(inputs: Mapping[str, bytes], settings: object) -> bytes:
            p = generated_p_values(table, seen, holdout, today, contract, self.settings.tolerance)
            return json.dumps(p).encode()

        inputs = {**pool, **arrived, "generated": made}
        limits = {**rules, "tolerance": asdict(self.settings.tolerance)}
        cusums = next_cusums(
            cusums, json.loads(run_once(watch_generated, inputs, limits, self.store))
        )
        if outcome := self._stopped(day, arrived["arrived"], cusums):
            return outcome
        if self.settings.report:
            report = run_once(self._audit_step(seen, holdout, table), inputs, rules, self.store)
            write_whole(self.state / "reports" / f"{day}.html", report)
        return self._publish(day, arrived["arrived"], made, cusums)

    def _audit_step(self, seen: pd.DataFrame, holdout: pd.DataFrame, made: pd.DataFrame) -> Step:
        def audit_report(inputs: Mapping[str, bytes], settings: object) -> bytes:
            from course_lib.audit import audit
            from course_lib.audit.page import page

            real, control, generated = (
                part.head(AUDITED).reset_index(drop=True) for part in (seen, holdout, made)
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

        return audit_report

    def _seed(self, making: Mapping[str, object]) -> int:
        """The seed of a day's noise: the same after a crash, and known to nobody outside."""
        path = self.state / "secret"
        if not path.exists():
            write_whole(path, secrets.token_hex(32), private=True)
        call = json.dumps(making, sort_keys=True).encode()
        return int.from_bytes(hmac.digest(path.read_bytes(), call, "sha256")[:8], "big")

    def _stopped(self, day: str, arrived: bytes, cusums: Mapping[str, float]) -> Outcome | None:
        found = evidence(cusums)
        stream = next(iter(found))
        if found[stream] < self.settings.limit:
            return None
        why = f"gate: {stream}: evidence {found[stream]:,.0f}, and {self.settings.limit:,.0f} stops"
        return self._quarantine(day, arrived, why, stream, found[stream])

    def _quarantine(
        self, day: str, arrived: bytes, why: str, stream: str = "", found: float = 0.0
    ) -> Outcome:
        write_whole(self.settings.folder / "quarantine" / f"{day}.csv", arrived)
        entry = {
            "event": "quarantined",
            "day": day,
            "why": why,
            "stream": stream,
            "evidence": found,
        }
        self.log.append(lambda _: entry)
        return Outcome(day, False, why, stream, found)

    def _publish(
        self, day: str, arrived: bytes, made: bytes, cusums: Mapping[str, float]
    ) -> Outcome:
        found = evidence(cusums)
        stream = next(iter(found))
        why = f"passed: most evidence {found[stream]:,.2f}, in {stream}; {self.settings.limit:,.0f} stops"
        write_whole(self.state / "accepted" / f"{day}.csv", arrived)
        write_whole(self.settings.folder / "published" / f"{day}.csv", made)
        entry = {
            "event": "published",
            "day": day,
            "why": why,
            "stream": stream,
            "evidence": found[stream],
            "sha256": hashlib.sha256(made).hexdigest(),
            "cusums": dict(cusums),
        }
        self.log.append(lambda _: entry)
        return Outcome(day, True, why, stream, found[stream])

    def _align(self) -> None:
        """Bring the folders, current.json and the page in line with the log."""
        events, folder = self.events(), self.settings.folder
        days = in_force(events)
        published = {e["day"]: e for e in events if e["event"] == "published"}
        for day in published:
            if day not in days and (file := folder / "published" / f"{day}.csv").exists():
                file.replace(folder / "withdrawn" / f"{day}.csv")
        current = {}
        if days:
            digest = published[days[-1]]["sha256"]
            current = {"day": days[-1], "file": f"published/{days[-1]}.csv", "sha256": digest}
        write_whole(folder / "current.json", json.dumps(current) + "\n")
        write_whole(
            folder / "runs.html", runs_page(self.settings, events, days, self.budget.ledger())
        )
