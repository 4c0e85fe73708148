"""Running an answer on a case: guarded, timed, and turned into arrays.

What comes back is an `Outcome`, made of arrays and text only, so that a grader can run this part
in a sandbox and judge outside it.
"""

import ctypes
import linecache
import random
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import numpy as np
import torch

from course_lib.exercises.exercise import Case, Exercise, Setup, Value


@dataclass(frozen=True)
class Outcome:
    """What an answer gave on a case.

    Attributes:
        arrays: the values by name ("result" for a single one); absent where a value had no array.
        kinds: what each value was: "tensor float32 on cpu", "number", "str" ...
        error: a sentence, where the answer failed before it gave anything.
        exception: the name of the exception's class, where one was raised.
        line: the line of the learner's cell that raised it; 0 where unknown.
        unsolved: the answer is still the stub.
        timed_out: the answer was stopped at the time limit; `error` says so.
        mutated: names of inputs that the answer changed in place.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    exception: str = ""
    line: int = 0
    unsolved: bool = False
    timed_out: bool = False
    mutated: tuple[str, ...] = ()


class TimeIsUp(BaseException):
    """Raised inside an answer that runs too long; no `except Exception` swallows it."""


def run(exercise: Exercise | Setup, answer: object, case: Case) -> Outcome:
    """Run `answer` on `case`. Whatever it does, an Outcome comes back, and the global random
    generators are left as they were. Only the learner's own interruption passes through."""
    if not callable(answer):
        return Outcome(
            error=f"A function is needed here, but this is {_a(type(answer).__name__)}. "
            "Hand over the function's name, without calling it."
        )
    inputs = {name: _given(value, exercise.numpy) for name, value in case.inputs.items()}
    with _own_randomness(), torch.enable_grad():
        try:
            with time_limit(exercise.seconds):
                given = list(_flatten("result", exercise.probe(answer, **inputs)))
        except NotImplementedError:
            return Outcome(unsolved=True)
        except TimeIsUp:
            return Outcome(
                timed_out=True,
                error=f"Your function was stopped after {exercise.seconds:g} seconds. "
                "Does a loop never end?",
            )
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # even exit() must not end the lesson
            line, text = _where(error, answer)
            return Outcome(
                error=f"Your function raised {said(error)}{text}",
                exception=type(error).__name__,
                line=line,
            )
    mutated = tuple(name for name, value in case.inputs.items() if _changed(value, inputs[name]))
    arrays, kinds = {}, {}
    for name, value in given:
        if exercise.numpy and isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            value = value.astype(float)  # whole numbers and booleans are as good as floats there
        kinds[name], array = _plain(value)
        if array is not None:
            arrays[name] = array
    return Outcome(arrays, kinds, mutated=mutated)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeIsUp in the block after `seconds`.

    By a signal where there is one, since that ends a sleep too; elsewhere (Windows, or outside the
    main thread) by an asynchronous exception, which waits for the next line of Python.
    """
    if hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread():

        def stop(_number: int, _frame: FrameType | None) -> None:
            raise TimeIsUp

        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return

    thread = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    lock, over = threading.Lock(), False

    def interrupt() -> None:
        with lock:
            if not over:
                raise_in(thread, ctypes.py_object(TimeIsUp))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            over = True
        timer.cancel()


@contextmanager
def _own_randomness(seed: int = 0) -> Iterator[None]:
    """Seed the global generators for the block, and put their states back after it."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        # Not torch.manual_seed, which keeps a call and its traceback for each device not in use yet: that
        # would take most of a check's time.
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def _given(value: Value, numpy: bool) -> Value | torch.Tensor:
    """A copy of the value, as the answer gets it."""
    if not isinstance(value, np.ndarray):
        return value
    return value.copy() if numpy else torch.from_numpy(value.copy())


def _changed(before: Value, after: Value | torch.Tensor) -> bool:
    if not isinstance(before, np.ndarray):
        return False
    now = after.detach().numpy() if isinstance(after, torch.Tensor) else np.asarray(after)
    return now.shape != before.shape or not np.array_equal(before, now, equal_nan=True)


def _flatten(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(str(key), item)
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from _flatten(f"{name}[{i}]", item)
    else:
        yield name, value


def _plain(value: object) -> tuple[str, np.ndarray | None]:
    """The kind of a value in words, and its array where it has one."""
    if isinstance(value, torch.Tensor) and type(value) in (torch.Tensor, torch.nn.Parameter):
        kind = f"tensor {str(value.dtype).removeprefix('torch.')} on {value.device.type}"
        try:
            return kind, value.detach().cpu().numpy().copy()
        except (TypeError, RuntimeError, NotImplementedError):  # sparse, bfloat16, without data
            return kind, None
    if isinstance(value, np.ndarray) and type(value) is np.ndarray:
        is_number = value.dtype.kind in "biufc"
        return f"NumPy array {value.dtype}", value.copy() if is_number else None
    if isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating):
        array = np.asarray(value)
        return "number", None if array.dtype.hasobject else array  # such as 10**400
    return type(value).__name__, None


def said(error: BaseException) -> str:
    """The name of an exception's class, and the first line of its message."""
    message = str(error).strip().splitlines()
    return f"{type(error).__name__}: {message[0]}" if message else type(error).__name__


def _where(error: BaseException, answer: Callable[..., object]) -> tuple[int, str]:
    """The line of the learner's cell where it happened, as a number and as words."""
    file = getattr(getattr(answer, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if not frames:
        return 0, ""
    number = frames[-1].lineno or 0
    line = frames[-1].line or linecache.getline(str(file), number).strip()
    return number, f" (line {number} of your cell: {line})"


def _a(word: str) -> str:
    return f"an {word}" if word[:1].lower() in "aeiou" else f"a {word}"
