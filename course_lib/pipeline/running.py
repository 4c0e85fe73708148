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

import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from course_lib.files import write_whole
from course_lib.pipeline.budget import Budget
from course_lib.pipeline.day import Day, Outcome
from course_lib.pipeline.generators import Generator, generator_of
from course_lib.pipeline.journal import Entry, Journal, PipelineError
from course_lib.pipeline.page import runs_page
from course_lib.pipeline.settings import PipelineSettings
from course_lib.pipeline.steps import FolderStore


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
        self.settings, self.contract, self._generator = settings, settings.contract, generator
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
        with self.alone():
            # What is wrong with one of these is told before a day is begun.
            _ = self.reference, self.generator
            outcomes = []
            for file in self.undecided():
                outcomes.append(Day(self, file).decide())
                say(outcomes[-1])
            return outcomes

    def undecided(self) -> list[Path]:
        """The files of the days that arrived and are not decided yet, in their order.

        Raises:
            PipelineError: where no file arrived, or two have one name.
        """
        arrived = sorted(self.settings.folder.glob(self.settings.arrivals))
        if not arrived:
            raise PipelineError(
                f"no file fits data.arrivals = '{self.settings.arrivals}' in {self.settings.folder}."
            )
        if len({file.stem for file in arrived}) < len(arrived):
            raise PipelineError(
                "two files that arrived have one name; a day has a name of its own."
            )
        decided = {entry["day"] for entry in self.events() if entry["event"] != "rolled back"}
        return [file for file in arrived if file.stem not in decided]

    def roll_back(self, day: str, reason: str) -> list[str]:
        """Make `day` current again ("" for no day at all), and return the days withdrawn.

        Their rows no longer count as accepted. Budget that was spent stays spent: the rows were out.

        Raises:
            PipelineError: for a day that is not in force.
        """
        with self.alone():
            days = in_force(self.events())
            if day and day not in days:
                known = ", ".join(days) or "none"
                raise PipelineError(
                    f"'{day}' is not in force, so nothing can go back to it; these are: {known}."
                )
            withdrawn = days[days.index(day) + 1 :] if day else days
            if withdrawn:
                self.log.append(lambda _: {"event": "rolled back", "day": day, "why": reason})
            self.align()
            return withdrawn

    def events(self) -> list[Entry]:
        """The log, from the first day on."""
        return self.log.entries()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else runs the pipeline, and with the folders as the log says.

        Raises:
            PipelineError: where another process runs it.
        """
        try:
            with FileLock(self.state / "running.lock", timeout=0):
                self.align()
                yield
        except Timeout:
            raise PipelineError(
                f"another process is running the pipeline in {self.settings.folder}."
            ) from None

    def in_force(self) -> list[str]:
        """The days whose rows are published and not withdrawn."""
        return in_force(self.events())

    def cusums(self) -> dict[str, float]:
        """The evidence of all streams after the newest day in force."""
        days = self.in_force()
        published = {e["day"]: e["cusums"] for e in self.events() if e["event"] == "published"}
        return dict(published[days[-1]]) if days else {}

    @cached_property
    def generator(self) -> Generator:
        """What makes the rows.

        Raises:
            PipelineError: where a function of one's own cannot be imported.
        """
        return self._generator or generator_of(self.settings)

    @cached_property
    def reference(self) -> pd.DataFrame:
        """The rows that are trusted from the start.

        Raises:
            PipelineError: where they cannot be read, or break the contract.
        """
        path = self.settings.folder / self.settings.reference
        try:
            table = self.contract.read(path.read_bytes())
            wrong = self.contract.breaches(table)
        except (OSError, PipelineError) as error:
            raise PipelineError(f"data.reference: {path}: {error}") from None
        if wrong:
            raise PipelineError(f"data.reference: {path} breaks the contract: {'; '.join(wrong)}.")
        return table

    def seed(self, making: Mapping[str, object]) -> int:
        """The seed of a day's noise: the same after a crash, and known to nobody outside."""
        path = self.state / "secret"
        if not path.exists():
            write_whole(path, secrets.token_hex(32), private=True)
        call = json.dumps(making, sort_keys=True).encode()
        return int.from_bytes(hmac.digest(path.read_bytes(), call, "sha256")[:8], "big")

    def align(self) -> None:
        """Bring the folders, current.json and the page in line with the log."""
        events, folder = self.events(), self.settings.folder
        written = [folder / name for name in ("published", "quarantine", "withdrawn")]
        written += [self.state / name for name in ("accepted", "reports", "steps")]
        half = [file for place in written for file in place.glob("*.partial")]
        for name in ("current.json", "runs.html"):
            half += folder.glob(f"{name}.*.partial")
        for file in half:  # of a process that was killed while it wrote
            file.unlink()
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
