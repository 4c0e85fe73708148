"""What a notebook says of a name that is not there yet, and of a training that was stopped."""

import ast
import atexit
import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import few_steps
import interruptions
import lesson_runs
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from traitlets.config import Config

from course_lib import kernel
from course_lib.syllabus import ROOT, course

CELLS = [
    "%matplotlib inline\nimport numpy as np\nfrom course_lib import check\na = 1",
    "def answer():\n    return a",
    "answer = check('exercise', answer)",
    "b = late + 1",
    "late = 3",
]
TRAINING = """
from course_lib.training import training_loop

def one_step(x):
    if calls.append(1) or len(calls) == {stop}:
        raise KeyboardInterrupt
    return x.mean()

model = "half trained"
for step in training_loop(one_step, [rows], steps=4000):
    {body}
"""


@contextmanager
def new_shell():
    """An IPython that writes no history and is gone afterwards.

    Else each would collect garbage when Python ends, all of them for longer than pytest-xdist waits (10 s).
    """
    shell = InteractiveShell(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
    try:
        yield shell
    finally:
        atexit.unregister(shell.atexit_operations)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """An IPython whose notebook is a file with CELLS; `said` runs a cell and returns what it shows."""
    file = tmp_path / "lesson.ipynb"
    cells = [{"cell_type": "code", "source": source} for source in CELLS]
    file.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "a"}, *cells]}))
    monkeypatch.setenv("JPY_SESSION_NAME", str(file))
    with new_shell() as shell:
        kernel.load_ipython_extension(shell)
        kernel.load_ipython_extension(shell)  # as `session.start` does after Lab
        yield shell


@pytest.fixture
def said(shell, capsys):
    def run(source):
        result = shell.run_cell(source, store_history=True)
        return capsys.readouterr().out.strip(), result

    return run


def test_a_name_that_a_cell_above_makes(said):
    text, result = said("answer = check('exercise', answer)")
    assert text == (
        "'check' is not there yet: a cell above makes it.\n"
        "Run the cells above first: Run > Run All Above Selected Cell."
    )
    assert isinstance(result.error_in_exec, NameError)  # so that Run All stops here


@pytest.mark.parametrize("source", ["np.zeros(3)", "late + 1", "def f():\n    return a\n\nf()"])
def test_every_way_of_making_a_name_counts(said, source):
    text, _ = said(source)
    assert "Run All Above" in text and len(text.splitlines()) == 2


@pytest.mark.parametrize("source", ["b = late + 1", "print(mistyped)"])
def test_other_names_get_python_s_own_words(said, source):
    text, _ = said(source)  # the first is made below, the second nowhere
    assert "Run All Above" not in text and "is not defined" in text and "Traceback" in text


def test_nothing_is_promised_without_a_notebook(said, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    assert "NameError" in said("a + 1")[0]


def test_on_colab_the_page_is_asked_and_its_menu_named(said, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    monkeypatch.setattr(kernel.colab, "here", lambda: True)
    book = {"cells": [{"cell_type": "code", "source": [source]} for source in CELLS]}
    monkeypatch.setattr(kernel.colab, "notebook_on_page", lambda: book)
    assert said("a + 1")[0].endswith("Runtime > Run before.")


def test_on_colab_a_restarted_kernel_has_it_too(shell, monkeypatch, tmp_path):
    monkeypatch.setattr(kernel.colab, "here", lambda: True)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(shell.profile_dir, "startup_dir", str(tmp_path))
    kernel.install()
    with new_shell() as other:
        other.safe_execfile(str(Path(tmp_path, "course_lib.py")), other.user_ns)
    assert isinstance(other.course_messages, kernel.Messages)


@pytest.mark.parametrize(
    ("stop", "body", "reached"),
    [
        (91, "pass", "step 90 of 4,000"),  # within a step: 90 are done
        (0, "if step.number == 1200:\n        raise KeyboardInterrupt", "step 1,200 of 4,000"),
    ],
)
def test_a_stopped_training_says_where_it_stood_and_leaves_names_alone(said, stop, body, reached):
    said("import torch\nrows, calls, model = torch.ones(8, 1), [], 'trained'")
    text, result = said(TRAINING.format(stop=stop, body=body))
    assert text.startswith(f"Stopped at {reached}. Run this cell again to start it anew")
    assert len(text.splitlines()) == 1 and isinstance(result.error_in_exec, KeyboardInterrupt)
    assert said("model")[1].result == "trained"
    assert "NameError" in said("step")[0]


def test_an_interrupted_cell_draws_the_same_numbers_when_it_runs_again(said):
    drawn = "[random.random(), np.random.rand(), torch.rand(1).item()]"
    said("import random, torch\nimport numpy as np")
    said("torch.manual_seed(1); np.random.seed(1); random.seed(1)")  # another test may have left 0
    said(f"{drawn}\nraise KeyboardInterrupt")
    again = said(drawn)[1].result
    said("torch.manual_seed(0); np.random.seed(0); random.seed(0)")
    first = said(drawn)[1].result
    said("torch.manual_seed(0); np.random.seed(0); random.seed(0)")
    said(f"{drawn}\nraise KeyboardInterrupt")
    assert said(drawn)[1].result == first != again


def test_another_interruption_does_not_speak_of_an_earlier_training(said):
    said("import torch\nrows, calls = torch.ones(8, 1), []")
    said(TRAINING.format(stop=0, body="if step.number == 5:\n        break"))
    assert said("raise KeyboardInterrupt")[0].startswith("Stopped. Run this cell again")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\nassert x > 2, 'x is large'", "Not found in this run: x is large"),
        ("x = 1\nassert (\n    x\n    > 2\n)", "Not found in this run: x > 2"),
    ],
)
def test_a_claim_that_does_not_hold_says_what_and_that_one_may_go_on(said, source, expected):
    text, result = said(source)
    assert text.splitlines()[0] == expected and text.endswith("go on with the next cell.")
    assert isinstance(result.error_in_exec, AssertionError)


def test_an_assertion_of_a_library_s_keeps_its_traceback(said):
    text, _ = said("from numpy.testing import assert_equal\nassert_equal(1, 2)")
    assert "Traceback" in text and "go on" not in text


@pytest.mark.parametrize("lesson", course().lessons)
def test_every_check_and_slider_alone_is_told_to_run_the_cells_above(lesson, shell, monkeypatch):
    """In each lesson, on its notebook: so that nobody who comes back sees a traceback."""
    file = ROOT / "notebooks" / f"{lesson}.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(file))
    told = []
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type != "code" or not re.search(r"\b(check|explore)\(", cell.source):
            continue
        defined = {
            n.name for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)
        }
        for call in (n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Call)):
            named = [a.id for a in call.args if isinstance(a, ast.Name)]
            if ast.unparse(call.func) in ("check", "explore") and named and named[0] not in defined:
                monkeypatch.setattr(shell.history_manager, "input_hist_raw", [cell.source])
                told.append(shell.course_messages.missing(NameError(name=named[0])))
    assert len(told) >= len(course().lessons[lesson].exercises)
    assert all("Run All Above" in text for text in told)


# --- in a kernel of its own, as JupyterLab starts it -----------------------------------------------

SECONDS = 300  # that a cell may take
INTERRUPTED = """
import os, signal
from course_lib import training

def _stopped(*given, _batches=training.batches, **named):
    for number, batch in enumerate(_batches(*given, **named), 1):
        if number == 3 and training.batches is _stopped:
            training.batches = _batches  # the same training goes on to its end when its cell runs again
            os.kill(os.getpid(), signal.SIGINT)
        yield batch

training.batches = _stopped
"""


class Kernel:
    """A kernel with the course's extension; `run` gives what an error shows, or "" without one."""

    def __init__(self, folder):
        environment = few_steps.environment(folder / "ipython") | {"COURSE_PRESET": "cpu"}
        self.manager, self.client = start_new_kernel(
            extra_arguments=["--ext=course_lib.kernel"],
            env={**os.environ, **environment, "COURSE_STATE": str(folder / "state")},
            cwd=str(folder),
        )

    def run(self, source, **options):
        shown = []
        reply = self.client.execute_interactive(
            source, timeout=SECONDS, output_hook=shown.append, **options
        )
        if reply["content"]["status"] == "ok":
            return ""
        errors = [m["content"] for m in shown if m["msg_type"] == "error"]
        return "\n".join(line for error in errors for line in error["traceback"])

    def open(self, lesson):
        """Forget all, as a restart does, and say which notebook this is."""
        self.run("%reset -f", silent=True)
        name = str(lesson_runs.NOTEBOOKS / f"{lesson}.ipynb")
        set_name = f"__import__('os').environ['JPY_SESSION_NAME'] = {name!r}"
        self.run(set_name, store_history=False)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def own_kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    yield kernel
    kernel.close()


def code(lesson):
    return [cell.source for cell in lesson_runs.read(lesson).cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("lesson", course().lessons)
def test_after_a_restart_a_check_or_a_slider_alone_asks_for_the_cells_above(lesson, own_kernel):
    own_kernel.open(lesson)
    for call in (r"= check\(", r"\bexplore\("):
        alone = [source for source in code(lesson) if re.search(call, source)][-1]
        told = own_kernel.run(alone).splitlines()
        assert len(told) == 2 and told[0].endswith("is not there yet: a cell above makes it.")
        assert told[1] == "Run the cells above first: Run > Run All Above Selected Cell."


@pytest.mark.slow
def test_an_interrupted_training_says_where_it_stood_and_runs_again(own_kernel):
    """By a signal, as the square of JupyterLab sends it; test_notebooks.py does so in every lesson."""
    own_kernel.open("01_vae")
    for source in code("01_vae"):
        own_kernel.run(INTERRUPTED, store_history=False)
        if told := own_kernel.run(source):
            break
    assert re.fullmatch(interruptions.SAID, told)
    assert own_kernel.run(source) == ""
