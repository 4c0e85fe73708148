"""What a notebook says in a sentence where Python's traceback would not help: an IPython extension.

The course's JupyterLab (course_lib/lab) loads it in every kernel, so that it is there also after a restart,
before any cell has run. Elsewhere `session.start` loads it, on Colab also for kernels that are restarted.
"""

import ast
import json
import linecache
import os
import random
import symtable
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any

from course_lib import colab

STARTUP = """\
# Written by course_lib, so that it can explain itself also after a restart.
try:
    get_ipython().run_line_magic("load_ext", "course_lib.kernel")
except ImportError:
    pass
"""
# Set by IPython itself, and not by a cell.
NOT_OURS = ("In", "Out", "exit", "quit", "get_ipython", "open")


def install() -> None:
    """Load this extension where the course runs in a notebook."""
    from IPython import get_ipython

    if (shell := get_ipython()) is None:
        return
    load_ipython_extension(shell)
    if colab.here():
        with suppress(OSError):
            Path(shell.profile_dir.startup_dir, "course_lib.py").write_text(
                STARTUP, encoding="utf-8"
            )


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython's `%load_ext`; a second call changes nothing."""
    if getattr(shell, "course_messages", None) is None:
        shell.course_messages = messages = Messages(shell)
        kinds = (NameError, KeyboardInterrupt, AssertionError)
        shell.set_custom_exc(kinds, messages.explain)
        shell.events.register("pre_run_cell", messages.remember)
        shell.events.register("post_run_cell", messages.forget)


class Messages:
    """What is said of the errors of one kernel."""

    def __init__(self, shell: Any):
        self.shell = shell
        self.before: dict[str, object] | None = None
        self.put_back: Callable[[], None] | None = None

    def remember(self, *_info: object) -> None:
        """Before a cell runs: which names there are, what they stand for, and what is drawn next."""
        self.before = dict(self.shell.user_ns)
        self.put_back = randomness()

    def forget(self, *_result: object) -> None:
        self.before = None  # else what a cell has replaced would stay in memory

    def explain(
        self,
        _shell: object,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> None:
        """IPython's custom handler: show the error as a sentence if there is one, else as always."""
        if kind is KeyboardInterrupt:
            said = self.stopped(error, trace)
        elif kind is AssertionError:
            said = self.claimed(error, trace)
        else:
            said = self.missing(error)
        if said:
            error._render_traceback_ = lambda: [said]  # type: ignore[attr-defined]  # IPython asks for it
        self.shell.showtraceback((kind, error, trace), running_compiled_code=True)

    def missing(self, error: BaseException) -> str:
        """What to do about a name that nobody knows yet and a cell above defines; else ""."""
        name = getattr(error, "name", None)
        if not name or name in self.shell.user_ns:
            return ""
        cells = notebook_cells()
        current = self.shell.history_manager.input_hist_raw[-1].strip()
        at = next((n for n, cell in enumerate(cells) if cell.strip() == current), len(cells))
        if not any(name in self.bound(source) for source in cells[:at]):
            return ""
        where = "Runtime > Run before" if colab.here() else "Run > Run All Above Selected Cell"
        return f"{name!r} is not there yet: a cell above makes it.\nRun the cells above first: {where}."

    def bound(self, source: str) -> set[str]:
        """The names that a cell gives a value."""
        try:
            table = symtable.symtable(self.shell.transform_cell(source), "cell", "exec")
        except SyntaxError:
            return set()
        return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}

    def claimed(self, error: BaseException, trace: TracebackType) -> str:
        """What a cell has asserted and did not find; "" for an assertion of the library's."""
        *_, (frame, line) = walk_tb(trace)
        if frame.f_globals is not self.shell.user_ns:
            return ""
        source = "".join(linecache.getlines(frame.f_code.co_filename))
        statements = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Assert)]
        asserted = (
            ast.unparse(n.test) for n in statements if n.lineno <= line <= (n.end_lineno or 0)
        )
        what = str(error) or next(asserted, "")
        return (
            f"Not found in this run: {what}\nWhat a lesson claims holds for it as it stands. If you have "
            "changed something, that is no error: go on with the next cell."
        )

    def stopped(self, error: BaseException, trace: TracebackType) -> str:
        """Undo what the interrupted cell has done to names, and say where its training stood.

        The global random generators are put back as well, so that the cell, run again, gives what it
        would have given without the interruption.
        """
        names = self.shell.user_ns
        where = step_of(trace)
        if self.before is not None and self.put_back is not None:
            self.put_back()
            for name in {*names, *self.before} - {*NOT_OURS}:
                if name.startswith("_") or names.get(name) is self.before.get(name, error):
                    continue
                if name in self.before:
                    names[name] = self.before[name]
                else:
                    del names[name]
        at = f" at {where}" if where else ""
        return (
            f"Stopped{at}. Run this cell again to start it anew; what was there before it is kept."
        )


def randomness() -> Callable[[], None]:
    """What puts the global random generators back to where they are: Python's, NumPy's and PyTorch's.

    A library that is not imported yet has none, and is not imported for this.
    """
    ours, undo = random.getstate(), [lambda: random.setstate(ours)]
    if numpy := sys.modules.get("numpy"):
        theirs = numpy.random.get_state()
        undo.append(lambda: numpy.random.set_state(theirs))
    if torch := sys.modules.get("torch"):
        state = torch.get_rng_state()
        undo.append(lambda: torch.set_rng_state(state))
        if torch.cuda.is_initialized():
            states = torch.cuda.get_rng_state_all()
            undo.append(lambda: torch.cuda.set_rng_state_all(states))

    def put_back() -> None:
        for each in undo:
            each()

    return put_back


def step_of(trace: TracebackType | None) -> str:
    """Where a training stood that was interrupted, such as "step 90 of 4,000"; else ""."""
    found = ""
    for frame, _line in walk_tb(trace):
        code = frame.f_code
        # At the top of a cell only what it mentions: an earlier cell may have left a step.
        for name in code.co_names if frame.f_globals is frame.f_locals else code.co_varnames:
            value: Any = frame.f_locals.get(name)
            if type(value).__name__ == "Step" and not value.last:
                found = f"step {value.number:,} of {value.total:,}"
    return found


def own_file() -> Path | None:
    """The notebook's file where JupyterLab says which it is."""
    name = os.environ.get("JPY_SESSION_NAME", "")
    file = Path(name)
    for candidate in (file, Path.cwd() / file.name):
        if file.suffix == ".ipynb" and candidate.is_file():
            return candidate
    return None


def notebook_cells() -> list[str]:
    """The sources of the notebook's code cells, as last saved, or on Colab as on its page; [] elsewhere."""
    book = None
    if file := own_file():
        with suppress(OSError, ValueError):
            book = json.loads(file.read_text(encoding="utf-8"))
    elif colab.here():
        book = colab.notebook_on_page()
    cells = (book or {}).get("cells", [])
    return ["".join(c["source"]) for c in cells if c.get("cell_type") == "code"]
