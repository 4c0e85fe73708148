"""What runs inside the sandbox: a warm process that forks once for each job.

Three streams join it to the grader. On standard input comes a line with the job's limits, which
the warm process reads, and then the job, which it never reads: its fork does, so that no case ever
lies in the memory of a process from which later jobs are forked. On standard output the fork
answers. On standard error the warm process says that it is ready and how each fork ended.
"""

import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course_lib.grading.sandbox.confine import Limits

ENDED, TIMED_OUT, DIED, NOT_CONFINED = "ended", "timed out", "died", "not confined"
_CODES = {0: ENDED, 64: TIMED_OUT, 65: NOT_CONFINED}


def main(confined: str, preload: list[str] | None) -> None:
    """Serve jobs until standard input ends.

    Args:
        confined: "namespaces" (each fork gets its own, and a filter of system calls), "container"
            (the filter only: a container stands around all), "limits" (no walls) or "cold" (no
            fork either: this process takes one job and ends).
        preload: names of modules to import before the first fork; None for a trial of the walls, for which
            nothing is loaded.
    """
    import fcntl

    from course_lib.grading.sandbox import confine

    if confined == "namespaces" and os.getuid() == 0:
        confine.drop_root()
    if preload is not None:
        _warm_up(preload)
    if confined in ("namespaces", "container"):  # made before the forks
        confine.system_call_filter()
        confine.written_in_proc()
    if confined == "cold":
        _say({"ready": True})
        if _read_line():
            _job()
            _say({"ended": ENDED, "unread": False})
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    threads = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 1
    _say({"ready": True, "threads": threads})
    flags = [(stream, fcntl.fcntl(stream, fcntl.F_GETFL)) for stream in (0, 1)]
    while line := _read_line():
        limits = confine.Limits(**json.loads(line))
        sys.stdout.flush()
        keeper = os.fork()
        if keeper == 0:
            _keep(confined, limits)
        _, status = os.waitpid(keeper, 0)
        code = os.waitstatus_to_exitcode(status)
        for stream, before in flags:  # which a job shares, and could set to non-blocking
            fcntl.fcntl(stream, fcntl.F_SETFL, before)
        unread = bool(select.select([0], [], [], 0)[0])
        _say({"ended": _CODES.get(code, DIED), "unread": unread})


def _warm_up(preload: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    for name in preload:
        importlib.import_module(name)
    import IPython.core.inputtransformer2  # noqa: F401  (magics in cells)
    import numpy as np

    import course_lib.exercises.answers  # noqa: F401
    import course_lib.exercises.loading  # noqa: F401
    import course_lib.grading.sandbox.protocol  # noqa: F401
    from course_lib.exercises.exercise import Case, Setup
    from course_lib.exercises.trial import run

    # What PyTorch puts off until the first step would cost every job 10 ms. No gradients: a fork
    # of a process that has used them cannot compute any.
    trial = Case("trial", {"x": np.ones((2, 2), np.float32)})
    run(Setup(), lambda x: (x @ x).exp().sum(), trial)
    gc.collect()
    gc.freeze()  # no collection writes to what forks share


def _say(message: dict[str, Any]) -> None:
    os.write(2, json.dumps(message).encode() + b"\n")


def _read_line() -> bytes:
    """A line, and not a byte more."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def _keep(confined: str, limits: "Limits") -> None:
    """Fork the job into namespaces of its own, and end it when its time is up."""
    from course_lib.grading.sandbox import confine

    try:
        if confined == "namespaces":
            confine.new_namespaces()
    except OSError as error:
        _say({"refused": str(error)})
        os._exit(65)
    job = os.fork()
    if job == 0:
        os.setsid()  # a signal to its own process group would reach the warm process
        confine.end_with_parent()
        try:
            confine.set_limits(limits)
            if confined == "namespaces":
                confine.own_files()
            if confined != "limits":
                confine.give_up_rights()
        except (OSError, ValueError) as error:
            _say({"refused": str(error)})
            os._exit(65)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        try:
            _job()
        finally:
            os._exit(0)
    ends = time.monotonic() + limits.wall
    while (left := ends - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGCHLD}, left)
        pid, status = os.waitpid(job, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code in (0, 65) else 1)
    os.kill(job, signal.SIGKILL)  # process 1 of its namespace: all that it started ends with it
    os.waitpid(job, 0)
    os._exit(64)


# --- a job: from here on the process may turn hostile -----------------------------------------


class _Channel:
    """The job's connection to the grader, apart from the standard streams that a learner prints to."""

    def __init__(self) -> None:
        self.inward, self.outward = os.dup2(0, 100), os.dup2(1, 101)
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        os.closerange(3, 100)
        os.closerange(102, 4096)

    def read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        from course_lib.grading.sandbox import protocol

        return protocol.unpack(
            protocol.read_frame(lambda n: os.read(self.inward, n), protocol.MAX_INWARD)
        )

    def write(self, header: dict[str, Any], arrays: dict[str, Any] | None = None) -> None:
        from course_lib.grading.sandbox import protocol

        data = memoryview(protocol.pack_message(header, arrays))
        while data:
            data = data[os.write(self.outward, data) :]


def _job() -> None:
    channel = _Channel()
    request, arrays = channel.read()
    {"look": _look, "find": _find, "answer": _answer}[request["kind"]](channel, request | arrays)


def _look(channel: _Channel, request: dict[str, Any]) -> None:
    """What a job could reach, for the grader's trial before it lets a submission in."""
    import socket

    def can(what: Callable[[], object]) -> bool:
        try:
            what()
        except OSError:
            return False
        return True

    try:
        in_home = sorted(os.listdir(request["home"]))
    except OSError:
        in_home = []
    reachable = {Path(p).parts[: len(Path(request["home"]).parts) + 1] for p in sys.path}
    channel.write(
        {
            "root": os.getuid() == 0,
            "processes seen": [name for name in os.listdir("/proc") if name.isdigit()],
            "can fork": can(lambda: os.fork() or os._exit(0)),
            "can open a socket": can(lambda: socket.socket(socket.AF_INET).close()),
            "can write": [p for p in request["paths"] if os.access(p, os.W_OK)],
            "in home": [n for n in in_home if Path(request["home"], n).parts not in reachable],
        }
    )


def _find(channel: _Channel, request: dict[str, Any]) -> None:
    """Where the answers to some exercises are in a notebook."""
    from dataclasses import asdict

    from course_lib.exercises.answers import (
        NotebookError,
        Wanted,
        find_answers,
        is_newer,
        read_notebook,
    )

    try:
        cells, python = read_notebook(request["notebook"].tobytes())
    except NotebookError as error:
        return channel.write({"error": str(error)})
    if sum(len(cell.source) for cell in cells) > request["max_source"]:
        most = request["max_source"] >> 20
        return channel.write({"error": f"The notebook holds more than {most} MB of code."})
    answers = find_answers(cells, [Wanted(**w) for w in request["wanted"]])
    return channel.write(
        {
            "answers": {name: asdict(answer) for name, answer in answers.items()},
            "python": python,
            "newer": is_newer(python),
            "own": ".".join(map(str, sys.version_info[:2])),
        }
    )


def _answer(channel: _Channel, request: dict[str, Any]) -> None:
    """Run a learner's cells, then the answer on the cases, one at a time as they come."""
    from course_lib.exercises.exercise import Case, Setup, call
    from course_lib.exercises.loading import load_answer
    from course_lib.exercises.trial import run
    from course_lib.grading.sandbox import protocol

    loaded = load_answer(
        request["program"],
        request["answer"],
        request["exercise"],
        request["fallbacks"],
        request["load_seconds"],
        alone=True,
    )
    probe = call
    if request["probe"]:
        namespace: dict[str, Any] = {"__name__": "probe"}
        exec(compile(request["probe"]["source"], "probe", "exec"), namespace)
        probe = namespace[request["probe"]["name"]]
    channel.write(
        {
            "error": loaded.problem,
            "timed_out": loaded.timed_out,
            "outside": list(loaded.outside),
            "closed": loaded.closed,
        }
    )
    if loaded.problem:
        return
    setup = Setup(probe, request["seconds"], request["numpy"])
    header: dict[str, Any] = {"last": False}
    while not header["last"]:
        header, arrays = channel.read()
        case = Case(header["name"], {n: arrays.get(n, v) for n, v in header["inputs"].items()})
        outcome = run(setup, loaded.answer, case)
        # What is too much to send is left out, and the judge misses it.
        kinds = dict(islice(outcome.kinds.items(), protocol.MAX_ARRAYS))
        arrays = {name: array for name, array in outcome.arrays.items() if name in kinds}
        if sum(array.nbytes for array in arrays.values()) > protocol.MAX_FRAME // 2:
            arrays = {}
        channel.write(
            {
                "kinds": kinds,
                "error": outcome.error,
                "exception": outcome.exception,
                "line": outcome.line,
                "unsolved": outcome.unsolved,
                "timed_out": outcome.timed_out,
                "mutated": list(outcome.mutated),
            },
            arrays,
        )
