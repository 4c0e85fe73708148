"""The rules for notebooks under nbval, tried on small notebooks that break them."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import notebook_rules
import pytest
from cpu_clock import Clock, speed
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = pytest.mark.slow  # each session starts pytest and kernels

RAISES = {"tags": ["raises-exception"]}
SWALLOWS = """
import time
try:
    time.sleep(60)
except KeyboardInterrupt:
    pass
"""
COMPUTES = """
import time
end = time.process_time() + {seconds}
while time.process_time() < end:
    pass
"""
SLOW = COMPUTES.format(seconds=4)
SHORT = COMPUTES.format(seconds=0.6)

# name: stated minutes, code cells
NOTEBOOKS = {
    "good": (0.01, [SHORT, new_code_cell("1 / 0", metadata=RAISES), "x = 1"]),
    "slow": (0.01, [SLOW, SLOW, SLOW, "x = 1"]),
    "waiting": (0.01, ["import time; time.sleep(7)", "x = 1"]),
    "blocked": (0.01, ["x = 1", SWALLOWS, "x = 2"]),
    "blocked_but_may_raise": (0.01, [new_code_cell("while True: pass", metadata=RAISES), "x = 2"]),
    "silent": (0.01, [new_code_cell("x = 1", metadata=RAISES), "x = 2"]),
    "died": (0.01, ["import os", "os._exit(1)", "x = 2", "x = 3"]),
    "left_out": (0.01, ["x = 1", new_code_cell("x = 2", metadata={"tags": ["nbval-skip"]})]),
    "misstated": (1.5, ["x = 1"]),
}

CONFTEST = """
from pathlib import Path
import cpu_clock
import notebook_rules
from course_lib import syllabus

cpu_clock.speed = lambda: 1.0  # the cells below compute for so many seconds of this machine

syllabus.SYLLABUS = Path(__file__).with_name("syllabus.toml")
notebook_rules.START_UP = 10
notebook_rules.PATIENCE = 0
notebook_rules.PATIENCE_AT_LEAST = {patience}
pytest_plugins = ["notebook_rules"]
"""
LESSON = """
[lessons.{name}]
number = 0
title = ""
question = ""
objectives = []
prerequisites = ""
data = []
exercises = []
study_minutes = 1
run_minutes = {{ cpu = {minutes} }}
presets = {{ cpu = {{}} }}
"""


OPTIONS = ("--nbval-lax", "--nbval-current-env", "--junitxml=report.xml")


def run_pytest(folder: Path, names, *options, patience=300):
    """A test session over the named notebooks: its output, and each cell's outcome and message."""
    syllabus = '[course]\ntitle = ""\nrepository = ""\nbranch = ""\n'
    for name in names:
        minutes, cells = NOTEBOOKS[name]
        cells = [new_code_cell(c) if isinstance(c, str) else c for c in cells]
        nbformat.write(
            new_notebook(cells=[new_markdown_cell("#"), *cells]), folder / f"{name}.ipynb"
        )
        syllabus += LESSON.format(name=name, minutes=minutes)
    (folder / "syllabus.toml").write_text(syllabus)
    (folder / "conftest.py").write_text(CONFTEST.format(patience=patience))
    (folder / "pytest.ini").write_text("[pytest]\n")
    here = str(Path(notebook_rules.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": here, "CI": "1"},
        capture_output=True,
        text=True,
    )
    outcomes = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        notebook = case.get("classname").removesuffix(".ipynb").rpartition(".")[2]
        result = next((r for r in case if r.tag != "properties"), None)
        outcome = ("passed", "") if result is None else (result.tag, result.text or "")
        outcomes[notebook, int(case.get("name").removeprefix("Cell "))] = outcome
    return done, outcomes


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    names = [name for name in NOTEBOOKS if name != "blocked"]
    return folder, *run_pytest(folder, names, "-n2", "--dist=loadscope")


def failures(session, notebook):
    """The messages of the notebook's failed cells, by cell."""
    *_, outcomes = session
    return {
        cell: message
        for (name, cell), (outcome, message) in outcomes.items()
        if name == notebook and outcome in ("failure", "error")
    }


def test_a_good_notebook_passes(session):
    assert failures(session, "good") == {}


def test_a_lesson_that_outlives_its_budget_fails_and_is_stopped(session):
    failed = failures(session, "slow")
    assert list(failed) == [2, 3]
    assert "Its budget is 11 s: 2 x 0.01 stated minutes" in failed[2]
    assert "the last cell of slow was not run: the lesson has used up its budget" in failed[3]


def test_waiting_costs_nothing(session):
    assert failures(session, "waiting") == {}


def test_a_blocked_cell_that_swallows_the_interrupt_fails(tmp_path):
    session = tmp_path, *run_pytest(tmp_path, ["blocked"], "-p", "no:xdist", patience=8)
    failed = failures(session, "blocked")
    assert list(failed) == [1, 2]
    assert "blocked hangs: it has run for" in failed[1]


def test_a_blocked_cell_that_may_raise_fails(session):
    assert "Its budget is 11 s" in failures(session, "blocked_but_may_raise")[0]


def test_a_cell_that_should_raise_and_does_not_fails(session):
    assert "raised nothing" in failures(session, "silent")[0]


def test_a_dead_kernel_fails_the_cell_and_the_last_one(session):
    assert list(failures(session, "died")) == [1, 3]


def test_a_last_cell_that_was_not_run_fails(session):
    assert "was not run: it was skipped" in failures(session, "left_out")[1]


def test_minutes_that_are_stated_wrongly_fail(session):
    message = failures(session, "misstated")[0]
    assert "1.5 are stated. Change run_minutes in syllabus.toml" in message


def test_measured_minutes_of_complete_runs_are_kept_and_shown(session):
    folder, done, _ = session
    measured = json.loads((folder / "build" / "notebook_minutes.json").read_text())
    assert set(measured) == {"good", "misstated", "waiting"}
    assert 0.01 <= measured["good"] < 0.1 and measured["waiting"] < 0.1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("slow "))
    assert line.endswith("not a complete run")
    assert done.returncode == 1


def test_without_xdist_the_rules_hold_too(tmp_path):
    alone = tmp_path, *run_pytest(tmp_path, ["good", "slow", "misstated"], "-p", "no:xdist")
    assert not failures(alone, "good")
    assert list(failures(alone, "slow")) == [2, 3]
    assert list(failures(alone, "misstated")) == [0]
    assert (tmp_path / "build" / "notebook_minutes.json").exists()


def test_a_cell_that_its_own_limit_interrupts_fails_although_the_budget_holds(tmp_path):
    """The limit is nbval's, from pyproject.toml; here it comes before the budget."""
    _, outcomes = run_pytest(tmp_path, ["blocked"], "-p", "no:xdist", "--nbval-cell-timeout=0.5")
    outcome, message = outcomes["blocked", 1]
    assert outcome == "failure" and "and was interrupted" in message


@pytest.mark.parametrize(
    ("measured", "stated", "wrong"),
    [
        (1.5, 1.5, False),
        (2.9, 1.5, False),
        (3.1, 1.5, True),
        (0.8, 1.5, False),
        (0.7, 1.5, True),
        (0.01, 0.2, False),
        (0.01, 0.5, False),
        (0.01, 0.6, True),
        (0.6, 0.01, True),
    ],
)
def test_within_a_factor_of_two_above_a_quarter_of_a_minute(measured, stated, wrong):
    assert notebook_rules.misstated(measured, stated) is wrong


def test_what_children_compute_counts_while_they_run_and_after():
    speed()  # computes in this process
    clock = Clock(os.getpid())
    code = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True); input()"
    before = clock.read()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        running = clock.read() - before
        child.communicate(b"\n")
    ended = clock.read() - before
    tick = 0.02  # the system counts in hundredths of a second, for user and system time apart
    assert (0.5 - tick) * speed() <= running <= ended < 2.0 * speed()


def test_of_a_process_that_has_ended_the_last_reading_stays():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    clock = Clock(child.pid)
    last = clock.read()
    child.communicate(b"\n")
    assert clock.read() >= last
