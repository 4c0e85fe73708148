"""What nbval lets pass and this course does not; and how long each lesson took.

nbval passes a blocked cell that swallows the interrupt, a cell tagged `raises-exception` that raises
nothing, and it only expects failures ("xfail") once a cell has timed out. So, besides its own checks:

- a lesson has a budget: twice its stated minutes and a start-up allowance, for all its cells together;
- a cell that was interrupted fails, and what follows it is not run;
- a cell tagged `raises-exception` raises;
- the last cell is run;
- the stated minutes are those measured, within a factor of two.

A minute is a minute of CPU time of the kernel and its children, at the speed of the machine that the
course is tested on (cpu_clock.py). It is about what a learner waits with one core of such a machine free,
and it does not depend on what else the machine does. Wall-clock time only guards against what hangs.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty

import pytest
from cpu_clock import Clock
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

from course_lib.syllabus import SYLLABUS, course

START_UP = 30.0  # seconds that a lesson may take beyond its minutes, mostly for importing
FACTOR = 2
# A lesson hangs if its cells take longer than this by the clock on the wall.
PATIENCE = 10  # times its budget
PATIENCE_AT_LEAST = 600.0  # seconds
LOOK = 0.5  # seconds between two looks at the clocks
SHORTEST = 0.25  # minutes; below this the start of the kernel decides, and all count the same
PROPERTY = "notebook"


@dataclass
class Run:
    """What has become of a notebook so far."""

    name: str
    cells: int
    stated: float | None  # minutes
    clock: Clock | None = None  # of its kernel
    seconds: float = 0.0  # of that clock, the start of the kernel included
    wall: float = 0.0  # seconds that its cells took
    passed: int = 0
    stopped: str = ""  # why the remaining cells are not run

    @property
    def complete(self) -> bool:
        return self.passed == self.cells

    @property
    def budget(self) -> float:
        return float("inf") if self.stated is None else budget(self.stated)

    @property
    def patience(self) -> float:
        return max(PATIENCE * self.budget, PATIENCE_AT_LEAST)


RUN = pytest.StashKey[Run]()


def few_steps(config) -> bool:
    """Whether the lessons are cut short."""
    return config.getoption("few_steps", default=False)


def untimed(config) -> bool:
    """Whether the run differs from a learner's, so that its minutes tell nothing."""
    return few_steps(config) or config.getoption("frames", default=False)


def budget(minutes: float) -> float:
    """The seconds that a lesson of so many stated minutes may compute."""
    return FACTOR * 60 * minutes + START_UP


def misstated(measured: float, stated: float) -> bool:
    """Whether two numbers of minutes differ by more than the factor that a reader can live with."""
    low, high = sorted(max(minutes, SHORTEST) for minutes in (measured, stated))
    return high > FACTOR * low


# --- beside the kernel: in the worker, or in the only process ------------------------------------


def run_of(cell: IPyNbCell) -> Run:
    """The run of the notebook that `cell` belongs to."""
    file = cell.parent
    if RUN not in file.stash:
        name = file.path.stem
        lesson = None if untimed(cell.config) else course().lessons.get(name)
        machine = "t4" if os.environ.get("COURSE_PRESET") == "gpu" else "cpu"
        cells = sum(cell.cell_type == "code" for cell in file.nb.cells)
        file.stash[RUN] = Run(name, cells, lesson.run_minutes.get(machine) if lesson else None)
    return file.stash[RUN]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, IPyNbCell):
        return (yield)
    run, option = run_of(item), item.config.option
    if run.stopped:
        pytest.skip(run.stopped)
    kernel = item.parent.kernel
    if run.clock is None:
        run.clock = Clock(kernel.km.provisioner.pid)
        kernel.await_reply = watched(kernel, run)
    limit, start = option.nbval_cell_timeout, time.monotonic()
    option.nbval_cell_timeout = min(limit, max(run.patience - run.wall, 1.0))
    try:
        return (yield)
    finally:
        option.nbval_cell_timeout = limit
        run.wall += time.monotonic() - start
        run.seconds = run.clock.read()


def watched(kernel: RunningKernel, run: Run) -> Callable[..., None]:
    """The kernel's `await_reply`, which says that time is up also where the budget is."""
    await_reply = kernel.await_reply

    def wait(msg_id, timeout=None):
        end = time.monotonic() + timeout
        while True:
            try:
                return await_reply(msg_id, timeout=LOOK)
            except Empty:
                up = time.monotonic() > end or run.clock.read() > run.budget
                if up or not kernel.is_alive():
                    raise

    return wait


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if not isinstance(item, IPyNbCell) or call.when != "call":
        return report
    run = run_of(item)
    broken = broken_rule(item, run, call.duration)
    run.passed += report.passed and not broken
    measured = {"name": run.name, "seconds": run.seconds, "complete": run.complete}
    report.user_properties.append((PROPERTY, measured))
    if not broken and run.complete:
        broken = wrong_minutes(run)
    if broken:
        said = f"{report.longrepr}\n\n" if report.failed else ""
        report.outcome, report.longrepr = "failed", f"{said}{item.nodeid}: {broken}"
        report.__dict__.pop("wasxfail", None)
    return report


def broken_rule(cell: IPyNbCell, run: Run, seconds: float) -> str:
    """The rule that this cell has just broken, as a sentence; empty if none."""
    if not run.stopped and run.seconds > run.budget:
        run.stopped = "the lesson has used up its budget"
        return (
            f"{run.name} has computed for {run.seconds:.0f} s. Its budget is {run.budget:.0f} s: "
            f"{FACTOR} x {run.stated:g} stated minutes and {START_UP:.0f} s to start."
        )
    if not run.stopped and run.wall > run.patience:
        run.stopped = "the lesson hangs"
        return f"{run.name} hangs: it has run for {run.wall:.0f} s, and computed for {run.seconds:.0f} s."
    if not run.stopped and cell.parent.timed_out:
        run.stopped = "an earlier cell was interrupted"
        return f"the cell was still running after {seconds:.0f} s and was interrupted."
    outputs = cell.test_outputs  # None until the kernel has answered
    if outputs is None and cell.cell_num == run.cells - 1:
        why = run.stopped or "it was skipped, or its kernel was dead"
        return f"the last cell of {run.name} was not run: {why}."
    raised = any(output.output_type == "error" for output in outputs or ())
    if outputs is not None and cell.options["check_exception"] and not raised:
        return "the cell is tagged raises-exception, but raised nothing."
    return ""


def wrong_minutes(run: Run) -> str:
    measured = run.seconds / 60
    if run.stated is None or not misstated(measured, run.stated):
        return ""
    if measured < run.stated and not os.environ.get("CI"):
        return ""  # on a learner's fast machine there is nothing to complain about
    return (
        f"{run.name} took {measured:.2f} minutes of CPU time, but {run.stated:g} are stated. Change "
        f"run_minutes in {SYLLABUS.name}, then write the README's table with `python course.py sync`."
    )


# --- where all reports arrive: in xdist's controller, or in the only process ---------------------


def pytest_configure(config):
    if not hasattr(config, "workerinput") and not untimed(config):
        config.pluginmanager.register(Minutes(config), "notebook-minutes")


class Minutes:
    """Collects the measured minutes, writes them to build/notebook_minutes.json and shows them."""

    def __init__(self, config):
        self.file = config.rootpath / "build" / "notebook_minutes.json"
        self.seconds: dict[str, float] = {}
        self.complete: set[str] = set()

    def pytest_runtest_logreport(self, report):
        for name, value in report.user_properties:
            if name == PROPERTY and report.when == "call":
                notebook = value["name"]
                self.seconds[notebook] = value["seconds"]
                if value["complete"]:
                    self.complete.add(notebook)

    def pytest_sessionfinish(self):
        if self.complete:
            measured = {n: round(self.seconds[n] / 60, 3) for n in sorted(self.complete)}
            self.file.parent.mkdir(exist_ok=True)
            self.file.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter):
        if not self.seconds:
            return
        terminalreporter.section("minutes of the lessons, in CPU time of the reference machine")
        terminalreporter.line(f"{'notebook':<24}{'measured':>9}{'stated':>8}")
        for name, seconds in sorted(self.seconds.items()):
            lesson = course().lessons.get(name)
            stated = lesson.run_minutes.get("cpu", "-") if lesson else "-"
            note = "" if name in self.complete else "   not a complete run"
            terminalreporter.line(f"{name:<24}{seconds / 60:>9.2f}{stated:>8}{note}")
