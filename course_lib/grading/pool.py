"""Grading many submissions: on all cores or a cluster, resumable, each result written once."""

import atexit
import contextlib
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from tqdm.auto import tqdm

from course_lib.files import write_whole
from course_lib.grading.errors import GradingError
from course_lib.grading.evaluation import grade_submission, unreadable
from course_lib.grading.intake.submission import Submission
from course_lib.grading.marking import Marking
from course_lib.grading.result import Result
from course_lib.grading.sandbox.engines import make, try_walls
from course_lib.grading.sandbox.process import Sandbox, SandboxError
from course_lib.grading.summary import file_name

MAX_TRIES = 3
RUN_FILE = "run.json"


@dataclass
class _Task:
    submission: Submission
    file: Path
    tries: int = 0


def secret_of(out: Path, seed: str | None) -> str:
    """The secret of the hidden cases: `seed`, or what an earlier run in `out` drew, or a new one.

    It is kept in `out/run.json`, which only its owner can read, so that grading again gives the
    same marks.
    """
    file = out / RUN_FILE
    if seed is not None:
        return seed
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["secret"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError):
        raise GradingError(
            f"{file} cannot be read. It holds the secret from which the hidden cases were drawn; "
            "restore it, or delete it to have all submissions graded with new cases."
        ) from None
    secret = secrets.token_hex(16)
    write_whole(file, json.dumps({"version": 1, "secret": secret}), private=True)
    return secret


def grade_all(
    submissions: Sequence[Submission],
    marking: Marking,
    out: Path,
    *,
    engine: str = "auto",
    workers: int | None = None,
    cluster: object | None = None,
    progress: bool = True,
) -> Iterator[Result]:
    """Grade all submissions and yield their results, those of earlier runs first.

    Each result is written to `out/results` as soon as it is there, whole or not at all; what is
    there already is not graded again. A worker that dies takes no submission with it: another one
    grades it.

    Args:
        workers: processes on this machine; as many as it has cores unless given.
        cluster: the address of a Dask scheduler, or a Dask client or cluster, instead of them.

    Raises:
        SandboxError: where a worker has no sandbox.
    """
    folder = out / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("*.partial"):
        leftover.unlink()
    bar = tqdm(total=len(submissions), desc="Grading", unit="submission", disable=not progress)
    with bar:
        waiting = []
        for submission in submissions:
            task = _prepare(submission, marking, folder)
            if isinstance(task, Result):
                bar.update()
                yield task
            else:
                waiting.append(task)
        for result in _run(waiting, marking, engine, workers, cluster):
            bar.update()
            yield result


def _prepare(submission: Submission, marking: Marking, folder: Path) -> Result | _Task:
    """A result that needs no grading, or the task; its bytes are read again when its turn comes."""
    try:
        content = submission.read()
    except GradingError as error:
        return unreadable(submission, marking, str(error))
    digest = hashlib.sha256(content).hexdigest()
    parts = (submission.student, submission.student_id, submission.source, digest)
    key = hashlib.sha256("\0".join((*parts, marking.version, marking.seed_hash)).encode())
    name = file_name(submission)
    file = folder / f"{name}-{key.hexdigest()}.json"
    done = _stored(file)
    return done if done is not None else _Task(submission, file)


def _stored(file: Path) -> Result | None:
    try:
        return Result.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _run(
    tasks: Sequence[_Task],
    marking: Marking,
    engine: str,
    workers: int | None,
    cluster: object | None,
) -> Iterator[Result]:
    """Grade the tasks, a window of them at a time, so that memory stays flat."""
    todo = list(reversed(tasks))
    while todo:
        with _executor(cluster, workers, len(todo)) as (executor, window):
            running: dict[Future[Result], _Task] = {}
            whole = True
            while running or (todo and whole):
                while todo and whole and len(running) < _room(todo[-1], window):
                    task = todo.pop()
                    try:
                        content = task.submission.read()
                    except GradingError as error:  # it has gone since
                        yield unreadable(task.submission, marking, str(error))
                        continue
                    try:
                        future = executor.submit(
                            grade_one, marking, engine, task.submission, content
                        )
                    except BrokenExecutor:
                        todo.append(task)
                        whole = False
                    else:
                        running[future] = task
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    task = running.pop(future)
                    result = _result(future, task, marking)
                    whole = whole and not isinstance(future.exception(), BrokenExecutor)
                    if result is None:
                        todo.append(task)
                        continue
                    if task.tries < MAX_TRIES:  # the next run tries again what failed here
                        write_whole(task.file, json.dumps(result.to_json(), ensure_ascii=False))
                    yield result


def _room(task: _Task, window: int) -> int:
    """How many may run at the same time. A task at its last try runs alone, so that no other
    task can make it fail."""
    return 1 if task.tries == MAX_TRIES - 1 else window


def _result(future: Future[Result], task: _Task, marking: Marking) -> Result | None:
    """What came of it; None if it is to be tried again."""
    try:
        return future.result()
    except SandboxError:
        raise
    except Exception as error:  # the worker died, or the grader has a fault: others go on
        task.tries += 1
        if task.tries < MAX_TRIES:
            return None
        why = f"{type(error).__name__}: {error}"[:200]
        sentence = f"Grading it failed {MAX_TRIES} times ({why})."
        return unreadable(task.submission, marking, sentence, kind="failed")


_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Here(Executor):
    """Grades in this very process: one worker is not worth a second one."""

    def submit(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Future[_T]:
        future: Future[_T] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def _executor(
    cluster: object | None, workers: int | None, tasks: int
) -> Iterator[tuple[Executor, int]]:
    """What runs `grade_one`, and how many calls it may have at once."""
    if cluster is None:
        count = max(1, min(workers or os.cpu_count() or 1, tasks))
        if count == 1:
            yield _Here(), 1
            return
        close()  # each worker has its own
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            yield pool, 2 * count
        return
    try:
        from distributed import Client
    except ImportError:
        raise GradingError(
            "--cluster needs Dask: pip install 'course-lib[grade]' here and on its workers."
        ) from None
    client = cluster if isinstance(cluster, Client) else Client(cluster, timeout="30s")
    try:
        cores = sum(client.ncores().values())
        yield client.get_executor(pure=False, retries=0), 2 * max(cores, 1)
    finally:
        if client is not cluster:
            client.close()


# --- a worker ----------------------------------------------------------------------------------

_lock = threading.Lock()
_ready: dict[tuple[str, str, str], tuple[Marking, Sandbox]] = {}


def grade_one(marking: Marking, engine: str, submission: Submission, content: bytes) -> Result:
    """The result of one submission. Raises SandboxError if there is no sandbox."""
    with _lock:  # one at a time: a job has the warm process, and the judge the random generators
        marking, sandbox = warm(marking, engine)
        return grade_submission(content, submission, marking, sandbox)


def warm(marking: Marking, engine: str) -> tuple[Marking, Sandbox]:
    """This process's sandbox, started and tested. Raises SandboxError if it cannot be started."""
    key = (marking.version, marking.seed_hash, engine)
    if key not in _ready:
        close()
        sandbox = make(engine, marking)
        if engine != "none":
            try_walls(sandbox)
        _ready[key] = marking, sandbox
    return _ready[key]


@atexit.register
def close() -> None:
    """End this worker's sandbox."""
    for _, sandbox in _ready.values():
        sandbox.close()
    _ready.clear()
