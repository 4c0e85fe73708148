"""Every training is interrupted once and its cell run again, as a learner may: for a test's kernel.

The first training of a cell gets the signal of JupyterLab's square at its third step. What the cell
then says, and whether what was there before it is kept, goes into a file, one line of JSON for each
interruption. Then the cell runs a second time; what is shown of it is what that time shows.
"""

import json
import os
import signal
from pathlib import Path

import numpy as np
import torch
from IPython.display import clear_output

from course_lib import training

FILE = "COURSE_INTERRUPTIONS"  # an environment variable: the file to write
STEP = 3  # that is not finished any more
SAID = (
    r"Stopped at step 2 of [\d,]+\. Run this cell again to start it anew; "
    r"what was there before it is kept\."
)


class Interruptions:
    """Interrupts the cells of an IPython shell, except those that check an answer."""

    def __init__(self, shell, file):
        self.shell, self.file = shell, Path(file)
        self.batches, self.run = training.batches, shell.run_cell
        self.waiting, self.before = False, None
        training.batches, shell.run_cell = self.stopping, self.twice

    def stopping(self, *given, **named):
        """`training.batches`, which at the third step gets the signal if its cell waits for one."""
        mine, self.waiting = self.waiting, False
        for number, batch in enumerate(self.batches(*given, **named), 1):
            if mine and number == 1:
                self.before = kept(self.shell)
            if mine and number == STEP:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    def twice(self, source, *given, **named):
        """`run_cell`, and again if it was interrupted."""
        show, told = self.shell._showtraceback, []
        self.waiting, self.before = "check(" not in source, None

        def listen(kind, error, lines):
            if kind is KeyboardInterrupt:
                told.extend(lines)
            else:
                show(kind, error, lines)

        self.shell._showtraceback = listen
        try:
            result = self.run(source, *given, **named)
        finally:
            self.shell._showtraceback = show
            self.waiting = False
        if not isinstance(result.error_in_exec, KeyboardInterrupt):
            return result
        after = kept(self.shell)
        changed = [
            name for name in {*self.before, *after} if self.before.get(name) != after.get(name)
        ]
        line = {"cell": source, "told": "\n".join(told), "changed": sorted(changed)}
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        clear_output()  # as JupyterLab does before a cell runs again
        return self.run(source, *given, **named)


def kept(shell):
    """The names that there were before the cell that runs, each with a trace of its value."""
    before = shell.course_messages.before
    names = shell.user_ns if before is None else before
    ours = {name: value for name, value in names.items() if not name.startswith("_")}
    return {name: trace(value) for name, value in ours.items() if name not in ("In", "Out")}


def trace(value, depth=3):
    """Something small that changes when a value that a training might change in place does."""
    if isinstance(value, torch.nn.Module):
        return [trace(each) for each in value.state_dict().values()]
    if isinstance(value, torch.Tensor):
        return repr(value.detach().double().sum().item())  # in words: NaN is not NaN
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return repr(value.sum(dtype=float))
    if isinstance(value, torch.Generator):
        return value.get_state().sum().item()
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if isinstance(value, dict) and depth:
        return {str(key): trace(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list | tuple) and depth:
        return [trace(each, depth - 1) for each in value]
    return id(value)
