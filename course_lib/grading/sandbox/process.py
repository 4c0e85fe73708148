"""The sandbox's warm process seen from outside: start it, hand it jobs, end it."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import IO, Any

import numpy as np

from course_lib.grading.errors import GradingError
from course_lib.grading.sandbox import protocol
from course_lib.grading.sandbox.confine import Limits
from course_lib.grading.sandbox.job import DIED, ENDED, NOT_CONFINED, TIMED_OUT

START_SECONDS = 120.0
SLACK_SECONDS = 15.0  # beyond the time at which a job is ended from within
RETRY_SECONDS = 10.0
# More answers than were asked for, or answers that break the protocol: somebody tampered with it.
TAMPERED = "tampered"


class SandboxError(GradingError):
    """There is no sandbox, or the one that was started does not hold."""


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """Standard input, output and error of a process that was started with pipes."""
    assert process.stdin and process.stdout and process.stderr
    return process.stdin, process.stdout, process.stderr


@dataclass(frozen=True)
class Reply:
    """What a job answered: JSON and arrays, one pair a message."""

    messages: list[tuple[dict[str, Any], dict[str, np.ndarray]]]
    ending: str

    @property
    def last(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return self.messages[-1]


@dataclass
class Sandbox:
    """One warm process behind walls; one job at a time.

    Attributes:
        name: "bubblewrap", "docker", "podman" or "none".
        command: starts the warm process.
        walls: no job reaches another, nor the warm process. Where it is False, the warm process is
            started anew for each submission.
        forks: the warm process takes more than one job.
    """

    name: str
    command: Sequence[str]
    walls: bool = True
    forks: bool = True
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _said: bytes = field(default=b"", repr=False)

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> subprocess.Popen[bytes]:
        """The warm process, started if none is running. Raises SandboxError if it does not start."""
        if self._process and self._process.poll() is None:
            return self._process
        self.close()
        self._said = b""
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )
        for stream in _pipes(self._process):
            os.set_blocking(stream.fileno(), False)
        ends = time.monotonic() + START_SECONDS
        noise = []
        for line in self._lines(self._process, ends):
            try:
                if json.loads(line).get("ready"):
                    return self._process
            except (ValueError, AttributeError):
                noise.append(line.decode(errors="replace"))
        self.close()
        raise SandboxError(
            f"The sandbox ({self.name}) did not start: " + (" / ".join(noise[-4:]) or "no answer")
        )

    def close(self) -> None:
        """End the process and all that it holds."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        for stream in _pipes(process):
            with contextlib.suppress(OSError):
                stream.close()

    def next_submission(self) -> None:
        """Nothing of the last submission may meet the next one."""
        if not self.walls:
            self.close()

    def ask(
        self,
        first: dict[str, Any],
        then: Callable[[], Iterator[bytes]] = lambda: iter(()),
        *,
        arrays: Mapping[str, np.ndarray] = MappingProxyType({}),
        limits: Limits | None = None,
        seconds: float | None = None,
        max_json: int = protocol.MAX_JSON,
    ) -> Reply:
        """Have one job done: send `first` with `arrays`; for each further message wait for an
        answer to the one before. The job's process is gone when this returns.

        Args:
            then: begins the further messages. Each is made only when it is to be sent.
            seconds: how long the answer to a further message may take; else only `limits` count.
        """
        outgoing = protocol.pack_message(first, arrays)
        limits = limits or Limits()
        began = time.monotonic()
        reply = self._ask(outgoing, then(), limits, seconds, max_json)
        # It may have been the machine: once more, unless it has taken its time.
        if reply.ending == DIED and time.monotonic() - began < RETRY_SECONDS:
            reply = self._ask(outgoing, then(), limits, seconds, max_json)
        return reply

    def _ask(
        self,
        first: bytes,
        then: Iterator[bytes],
        limits: Limits,
        seconds: float | None,
        max_json: int,
    ) -> Reply:
        process = self.start()
        line = json.dumps(asdict(limits)).encode() + b"\n"
        conversation = _Conversation(process, limits.wall + SLACK_SECONDS)
        replies: list[tuple[dict[str, Any], dict[str, Any]]] = []
        ending = ""
        outgoing: bytes | None = line + first
        try:
            while outgoing is not None:
                payload, ending = conversation.exchange(outgoing)
                if payload is None:
                    break
                replies.append(protocol.unpack(payload, max_json))
                if replies[-1][0].get("error") and len(replies) == 1:
                    break
                if seconds is not None:
                    conversation.within(seconds)
                outgoing = next(then, None)
            if not ending:
                extra, ending = conversation.exchange(b"")
                if extra is not None:
                    raise protocol.ProtocolError("more answers than questions")
            if conversation.unread and ending == ENDED:
                raise protocol.ProtocolError("an answer to a question that was not read")
        except protocol.ProtocolError:
            ending = TAMPERED
        if ending == TAMPERED or not conversation.over or conversation.unread or not self.forks:
            self.close()  # bytes may be left in the pipes: a new process begins with clean ones
        if ending == NOT_CONFINED:
            raise SandboxError(f"A job could not be confined: {conversation.refused}")
        return Reply(replies, ending)

    def _lines(self, process: subprocess.Popen[bytes], ends: float) -> Iterator[bytes]:
        """Lines of the warm process's standard error, until it ends or the time is up."""
        stream = _pipes(process)[2]
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while (left := ends - time.monotonic()) > 0:
                if not selector.select(left):
                    return
                part = os.read(stream.fileno(), 65536)
                self._said += part
                while b"\n" in self._said:
                    line, _, self._said = self._said.partition(b"\n")
                    yield line
                if not part:
                    return


class _Conversation:
    """Writing to a job and reading from it at once, so that neither waits for the other.

    Attributes:
        ended: how the job ended; empty while it runs.
        over: the warm process itself has said so, and waits for the next job.
        unread: the job left something of what was sent to it in the pipe.
    """

    def __init__(self, process: subprocess.Popen[bytes], seconds: float):
        self.process = process
        self.ends = self.latest = time.monotonic() + seconds
        self.received = bytearray()
        self.said = b""
        self.ended = ""
        self.over = False
        self.unread = False
        self.refused = ""

    def within(self, seconds: float) -> None:
        """What follows may take so long."""
        self.ends = min(self.latest, time.monotonic() + seconds)

    def exchange(self, outgoing: bytes) -> tuple[bytes | None, str]:
        """Send, and read one frame. Returns (payload, "") or (None, how the job ended)."""
        data = memoryview(outgoing)
        stdin, stdout, stderr = _pipes(self.process)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            if data:
                selector.register(stdin, selectors.EVENT_WRITE)
            while True:
                payload = self._frame()
                if payload is not None and data:
                    raise protocol.ProtocolError("an answer before its question")
                if payload is not None:
                    return payload, ""
                if self.ended:
                    self._drain()
                    payload = self._frame()
                    if payload is not None:
                        return payload, ""
                    if self.received and self.ended == ENDED:
                        raise protocol.ProtocolError("half a message")
                    self.unread = self.unread or bool(data)
                    return None, self.ended
                left = self.ends - time.monotonic()
                if left <= 0:
                    return None, TIMED_OUT
                for key, _ in selector.select(left):
                    if key.fileobj is stdin:
                        try:
                            data = data[os.write(key.fd, data[:65536]) :]
                        except BrokenPipeError:
                            data = data[:0]
                        if not data:
                            selector.unregister(stdin)
                    elif key.fileobj is stdout:
                        part = os.read(key.fd, 2**20)
                        self.received += part
                        if not part:
                            selector.unregister(stdout)
                    elif not self._listen(os.read(key.fd, 65536)):
                        self.ended = self.ended or DIED

    def _frame(self) -> bytes | None:
        """The next whole frame of what was received."""
        head = protocol.FRAME.size
        if len(self.received) < head:
            return None
        magic, size = protocol.FRAME.unpack(self.received[:head])
        if magic != protocol.MAGIC or size > protocol.MAX_FRAME:
            raise protocol.ProtocolError("no frame of the agreed form or size")
        if len(self.received) < head + size:
            return None
        payload = bytes(self.received[head : head + size])
        del self.received[: head + size]
        return payload

    def _listen(self, part: bytes) -> bool:
        """What the warm process says of how the job ended. False where it says nothing more."""
        self.said += part
        while b"\n" in self.said:
            line, _, self.said = self.said.partition(b"\n")
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a warning of some library
            if isinstance(message, dict):
                if "ended" in message:
                    self.ended, self.unread, self.over = message["ended"], message["unread"], True
                self.refused = message.get("refused", self.refused)
        return bool(part)

    def _drain(self) -> None:
        """The job is gone: take what it left in the pipe."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(_pipes(self.process)[1].fileno(), 2**20):
                self.received += part
                if len(self.received) > 2 * protocol.MAX_FRAME:
                    raise protocol.ProtocolError("a flood")
