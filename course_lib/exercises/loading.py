"""Running the cells that an answer needs, as a kernel would, without a kernel.

The cells find what they find in a notebook: a module `__main__` of their own, `display`, a stand-in for
`get_ipython()`, and a `check` that hands an answer on.
"""

import __future__

import ast
import asyncio
import inspect
import linecache
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, MappingProxyType, ModuleType
from typing import Any

from course_lib.exercises.aliases import current
from course_lib.exercises.trial import TimeIsUp, said, time_limit

CLOSED = "out of reach while an answer is graded"  # as `grading.sandbox.masked` says it
# Line magics that change nothing in what an answer computes.
HARMLESS = frozenset(
    {"matplotlib", "pylab", "config", "precision", "pprint", "xmode", "colors", "history", "pwd"}
    | {"autoreload", "load_ext", "reload_ext", "time", "timeit", "prun", "capture", "notebook"}
    | {"who", "whos", "who_ls", "pinfo", "pinfo2", "pdoc", "psource", "pdef"}
)


class _Reached(BaseException):
    """The check of the answer that is looked for was reached."""


@dataclass(frozen=True)
class Loaded:
    """What came of the cells that an answer needs.

    Attributes:
        answer: the answer; None where there is none.
        problem: a sentence that says why there is none.
        timed_out: the cells ran for too long.
        outside: what they asked of the world outside of the notebook and did not get: a program, a
            package, a file.
        closed: they asked for a part of the library that a sandbox keeps out of reach.
    """

    answer: object = None
    problem: str = ""
    timed_out: bool = False
    outside: tuple[str, ...] = ()
    closed: bool = False


def load_answer(
    program: Sequence[tuple[int, str]],
    name: str,
    own_id: str = "",
    fallbacks: Mapping[str, Sequence[str]] = MappingProxyType({}),
    seconds: float = 60.0,
    alone: bool = False,
) -> Loaded:
    """Run the cells that an answer needs (`answers.find_answers` picks them) in a new namespace.

    Args:
        program: number and source of each cell, in order.
        name: what the answer is called there; "" for what the check of `own_id` gets.
        fallbacks: of other exercises by id, the name of their function and source that defines it,
            which takes the place of the learner's, as the check in the notebook would put it there.
        alone: this process and its folder belong to the answer, also after this call.
    """
    module = ModuleType("__main__")
    shell = _Shell(module.__dict__, alone)
    checked: dict[str, object] = {}
    library, given = {}, {}
    for other, (function, source) in fallbacks.items():
        own: dict[str, object] = {"__name__": "library"}
        exec(compile(source, "library", "exec"), own)
        library[other] = given[function] = own[function]

    here = 0

    def check(exercise_id: str, answer: object, *_: object, **__: object) -> object:
        checked[current(exercise_id)] = answer
        if not name and current(exercise_id) == own_id and here == program[-1][0]:
            raise _Reached  # what follows may bind names that the answer uses
        return library.get(current(exercise_id), answer)

    module.__dict__.update(display=_nothing, get_ipython=lambda: shell, check=check, **given)
    if alone:
        sys.path.insert(0, os.getcwd())
        sys.modules["__main__"] = module
    problem, waiting, flags, closed = "", list(program), 0, False
    try:
        with time_limit(seconds), _no_kernel(check):
            for _ in range(2):  # cells may have been saved out of order
                again = []
                for number, source in waiting:
                    here = number
                    try:
                        code = _compiled(number, source, flags)
                        flags |= code.co_flags & __future__.annotations.compiler_flag
                        _execute(code, module.__dict__)
                    except (TimeIsUp, _Reached):
                        raise
                    except BaseException as error:  # even exit() must not end the lesson
                        problem = problem or f"Cell {number} of your notebook raised {said(error)}"
                        if isinstance(error, ModuleNotFoundError | FileNotFoundError):
                            shell.asked(f"cell {number} raised {said(error)}")
                        closed = closed or (isinstance(error, ImportError) and CLOSED in str(error))
                        again.append((number, source))
                    module.__dict__.update(given)
                waiting = again
    except _Reached:
        pass
    except TimeIsUp:
        problem = f"The cells that your answer needs ran for more than {seconds:g} seconds."
        return Loaded(None, problem, True, tuple(shell.outside[:20]), closed)
    outside = tuple(shell.outside[:20])
    answer = module.__dict__.get(name) if name else checked.get(own_id)
    if (name and name not in module.__dict__) or (not name and own_id not in checked):
        missing = (
            f"Your notebook does not define `{name}`." if name else "The check was not reached."
        )
        return Loaded(None, problem or missing, outside=outside, closed=closed)
    return Loaded(answer, outside=outside, closed=closed)


def _nothing(*_: object, **__: object) -> None:
    """Do nothing, whatever is given."""


def _compiled(number: int, source: str, flags: int) -> CodeType:
    """The cell's code; its lines can be shown when one of them raises."""
    file = f"<cell {number}>"
    linecache.cache[file] = (len(source), None, [f"{x}\n" for x in source.split("\n")], file)
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: CodeType = compile(source, file, "exec", flags=flags, dont_inherit=True)
    return code


def _execute(code: CodeType, namespace: dict[str, object]) -> None:
    waits = eval(code, namespace)  # a coroutine where the cell has `await` outside of a function
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(waits)


@contextmanager
def _no_kernel(check: Callable[..., object]) -> Iterator[None]:
    """What a cell imports from the course to show something, or to check an answer, does not."""
    import course_lib
    import course_lib.exercises

    names = {
        "check": check,
        **dict.fromkeys(("earned", "progress", "save_work", "submit_check"), _nothing),
    }
    rooms: tuple[Any, ...] = (course_lib, course_lib.exercises)
    before = [dict(vars(room)) for room in rooms]
    for room in rooms:
        vars(room).update(names)
    try:
        yield
    finally:
        for room, kept in zip(rooms, before, strict=True):
            for name in names:
                vars(room).pop(name, None)
                if name in kept:
                    vars(room)[name] = kept[name]


class _Shell:
    """What `get_ipython()` gives: enough for cells that set something up."""

    def __init__(self, namespace: dict[str, object], alone: bool):
        self.user_ns = namespace
        self.outside: list[str] = []
        self._alone = alone

    def asked(self, what: str) -> None:
        """Note that a cell asked for something outside of the notebook."""
        if what[:200] not in self.outside[:20]:
            self.outside.append(what[:200])

    def run_line_magic(self, name: str, line: str = "", *_: object) -> object:
        if name in ("env", "set_env") and "=" in line and self._alone:
            key, value = line.split("=", 1)
            os.environ[key.strip()] = value.strip()
        elif name == "run" and self._alone and Path(line.strip()).is_file():
            script = Path(line.strip())
            _execute(compile(script.read_text(encoding="utf-8"), str(script), "exec"), self.user_ns)
        elif name not in HARMLESS:
            self.asked(f"%{name} {line}".strip())
        return None

    magic = run_line_magic

    def run_cell_magic(self, name: str, line: str = "", body: str = "", *_: object) -> object:
        file = line.split()[-1] if line.split() else ""
        if name in ("writefile", "file") and file and self._alone:
            with open(file, "a" if "-a" in line.split()[:-1] else "w", encoding="utf-8") as out:
                out.write(body)
        elif name not in HARMLESS:
            self.asked(f"%%{name} {line}".strip())
        return None

    def system(self, command: str = "") -> None:
        self.asked(f"!{command}")

    def getoutput(self, command: str = "", **_: object) -> list[str]:
        self.asked(f"!{command}")
        return []

    def run_cell(self, source: str, **_: object) -> None:
        _execute(_compiled(0, source, 0), self.user_ns)

    ex = run_cell

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing
