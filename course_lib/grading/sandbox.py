"""The sandbox seen from outside: start it, try its walls, hand it jobs, end it.

bubblewrap builds the walls of the warm process: a read-only system without a network, in which
only Python and this package can be seen. It is small, audited, packaged by every distribution,
and needs no rights of its own. What bubblewrap cannot do, since it starts a program anew, is to
wall off a fork: `confine` does that for every job. Where there is no bubblewrap, Docker or Podman
put a container around each submission, which starts slowly and holds as well.
"""

import contextlib
import importlib.util
import inspect
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from course_lib.exercises.exercise import Exercise
from course_lib.grading import wire
from course_lib.grading.confine import NOBODY, SCRATCH, Limits
from course_lib.grading.inside import DIED, ENDED, NOT_CONFINED, TIMED_OUT
from course_lib.grading.marking import Marking
from course_lib.grading.result import GradingError

PACKAGE = Path(__file__).parents[1]
START_SECONDS = 120.0
# More answers than asked for, or answers that keep no agreement: somebody tampered with it.
TAMPERED = "tampered"


class SandboxError(GradingError):
    """No sandbox can be had, or one that was had does not hold."""


@dataclass(frozen=True)
class Reply:
    """What a job answered: JSON and arrays, one pair a message."""

    messages: list[tuple[dict, dict[str, np.ndarray]]]
    ending: str

    @property
    def last(self) -> tuple[dict, dict[str, np.ndarray]]:
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
    _process: subprocess.Popen | None = field(default=None, repr=False)
    _said: bytes = field(default=b"", repr=False)

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def start(self) -> None:
        """Start the warm process, if none is running. Raises SandboxError if it does not come."""
        if self._process and self._process.poll() is None:
            return
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
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            os.set_blocking(stream.fileno(), False)
        ends = time.monotonic() + START_SECONDS
        noise = []
        for line in self._lines(ends):
            try:
                if json.loads(line).get("ready"):
                    return
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
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                stream.close()

    def next_submission(self) -> None:
        """Nothing of the last submission may meet the next one."""
        if not self.walls:
            self.close()

    def ask(
        self,
        first: dict,
        then: Sequence[Callable[[], bytes]] = (),
        *,
        arrays: Mapping[str, np.ndarray] = MappingProxyType({}),
        limits: Limits | None = None,
        max_json: int = wire.MAX_JSON,
    ) -> Reply:
        """Have one job done: send `first` with `arrays`; for each further message wait for an
        answer to the one before. The job's process is gone when this returns."""
        outgoing = wire.pack(first, arrays)
        reply = self._ask(outgoing, then, limits or Limits(), max_json)
        if reply.ending == DIED:  # it may have been the machine: once more
            reply = self._ask(outgoing, then, limits or Limits(), max_json)
        return reply

    def _ask(
        self, first: bytes, then: Sequence[Callable[[], bytes]], limits: Limits, max_json: int
    ) -> Reply:
        self.start()
        line = json.dumps(asdict(limits)).encode() + b"\n"
        conversation = _Conversation(self._process, limits.wall + 15)
        replies: list[tuple[dict, dict]] = []
        ending = ""
        try:
            outgoing = line + first
            for number in range(1 + len(then)):
                payload, ending = conversation.exchange(outgoing)
                if payload is None:
                    break
                replies.append(wire.unpack(payload, max_json))
                if number == len(then) or (replies[-1][0].get("error") and number == 0):
                    break
                outgoing = then[number]()
            if not ending:
                extra, ending = conversation.exchange(b"")
                if extra is not None:
                    raise wire.WireError("more answers than questions")
            if conversation.unread and ending == ENDED:
                raise wire.WireError("an answer to a question that was not read")
        except wire.WireError:
            ending = TAMPERED
        if ending == TAMPERED or not conversation.over or conversation.unread or not self.forks:
            self.close()  # bytes may be left in the pipes: a new process begins with clean ones
        if ending == NOT_CONFINED:
            raise SandboxError(f"A job could not be confined: {conversation.refused}")
        return Reply(replies, ending)

    def _lines(self, ends: float) -> Iterator[bytes]:
        """Lines of the warm process's standard error, until it ends or the time is up."""
        stream = self._process.stderr
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

    def __init__(self, process: subprocess.Popen, seconds: float):
        self.process = process
        self.ends = time.monotonic() + seconds
        self.received = bytearray()
        self.said = b""
        self.ended = ""
        self.over = False
        self.unread = False
        self.refused = ""

    def exchange(self, outgoing: bytes) -> tuple[bytes | None, str]:
        """Send, and read one frame. Returns (payload, "") or (None, how the job ended)."""
        data = memoryview(outgoing)
        process = self.process
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            if data:
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while True:
                payload = self._frame()
                if payload is not None and data:
                    raise wire.WireError("an answer before its question")
                if payload is not None:
                    return payload, ""
                if self.ended:
                    self._drain()
                    payload = self._frame()
                    if payload is not None:
                        return payload, ""
                    if self.received and self.ended == ENDED:
                        raise wire.WireError("half a message")
                    self.unread = self.unread or bool(data)
                    return None, self.ended
                left = self.ends - time.monotonic()
                if left <= 0:
                    return None, TIMED_OUT
                for key, _ in selector.select(left):
                    if key.fileobj is process.stdin:
                        try:
                            data = data[os.write(key.fd, data[:65536]) :]
                        except BrokenPipeError:
                            data = data[:0]
                        if not data:
                            selector.unregister(process.stdin)
                    elif key.fileobj is process.stdout:
                        part = os.read(key.fd, 2**20)
                        self.received += part
                        if not part:
                            selector.unregister(process.stdout)
                    elif not self._listen(os.read(key.fd, 65536)):
                        self.ended = self.ended or DIED

    def _frame(self) -> bytes | None:
        """The next whole frame of what was received."""
        head = wire.FRAME.size
        if len(self.received) < head:
            return None
        magic, size = wire.FRAME.unpack(self.received[:head])
        if magic != wire.MAGIC or size > wire.MAX_FRAME:
            raise wire.WireError("no frame of the agreed form or size")
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
            while part := os.read(self.process.stdout.fileno(), 2**20):
                self.received += part
                if len(self.received) > 2 * wire.MAX_FRAME:
                    raise wire.WireError("a flood")


# --- kinds of sandbox -------------------------------------------------------------------------


def solution_files(exercises: Sequence[Exercise]) -> list[Path]:
    """The files of this package that hold the exercises, with their solutions and mistakes."""
    files = set()
    for exercise in exercises:
        for function in (exercise.reference, exercise.cases):
            files.add(Path(inspect.getmodule(function).__file__))
    return sorted(file for file in files if file.is_relative_to(PACKAGE))


def needed_modules(exercises: Sequence[Exercise]) -> str:
    """What to import before the first fork, so that no job spends its time on it."""
    sources = {inspect.getsource(inspect.getmodule(e.cases)) for e in exercises}
    names = {
        "torch.optim": "torch._dynamo",  # which the first step of an optimiser imports
        "import pandas": "pandas",
        "from scipy": "scipy.stats",
        "from sklearn": "sklearn",
    }
    return ",".join(m for text, m in names.items() if any(text in s for s in sources))


def bubblewrap(hidden: Sequence[Path] = (), preload: str = "") -> Sandbox:
    """A sandbox by bubblewrap. `hidden` are files of this package that answers may not read."""
    bwrap = shutil.which("bwrap")
    if sys.platform != "linux" or bwrap is None:
        raise SandboxError("bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap).")
    root = os.getuid() == 0
    command = [bwrap, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-cgroup", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if root:  # the warm process becomes nobody as soon as Python runs
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user"]
    command += ["--clearenv"]
    for name, value in _environment().items():
        command += ["--setenv", name, value]
    mounts = _mounts(hidden)
    command += [*mounts, "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", SCRATCH]
    if "/tmp" not in mounts:
        command += ["--symlink", SCRATCH, "/tmp"]
    # An ordinary user owns what bubblewrap makes, and could leave files there for a later job.
    command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH]
    return Sandbox("bubblewrap", [*command, *_python("namespaces", preload)])


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        # A fork must not find itself without the threads of its parent.
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }


def _python(confined: str, preload: str, paths: Sequence[Path] | None = None) -> list[str]:
    paths = _import_paths() if paths is None else paths
    code = (
        f"import sys; sys.path[:0] = {[str(p) for p in paths]!r}; "
        f"from course_lib.grading.inside import main; main({confined!r}, {preload!r})"
    )
    return [sys.executable, "-I", "-c", code]


def _import_paths() -> list[Path]:
    """Where Python finds this package, and the libraries that come from elsewhere than its own."""
    own = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    found = [PACKAGE.parent]
    for name in ("torch", "numpy", "IPython"):
        place = Path(importlib.util.find_spec(name).origin).parents[1]
        if place not in own and place not in found:
            found.append(place)
    return found


def _places() -> list[Path]:
    """The system's libraries, Python and its packages."""
    places = [Path(p) for p in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")]
    places += [Path("/etc/ld.so.cache"), Path("/etc/alternatives")]
    places += [Path(sys.prefix), Path(sys.base_prefix), Path(sysconfig.get_path("stdlib"))]
    return places + _import_paths()[1:]


def in_sight(path: Path) -> bool:
    """Whether an answer in the sandbox could see this path."""
    return any(path.resolve().is_relative_to(place.resolve()) for place in [*_places(), PACKAGE])


def _mounts(hidden: Sequence[Path]) -> list[str]:
    """The system's libraries, Python and this package, read-only, and nothing else."""
    places = _places()
    arguments: list[str] = []
    made: set[Path] = set()
    for place in dict.fromkeys([*places, PACKAGE]):
        if any(place != other and place.is_relative_to(other) for other in places):
            continue
        if place.is_symlink() and place.parent == Path("/"):
            arguments += ["--symlink", os.readlink(place), str(place)]
        elif place.exists():
            for parent in reversed(place.parents[:-1]):
                if parent not in made:  # bubblewrap would make it for itself only
                    made.add(parent)
                    arguments += ["--perms", "0755", "--dir", str(parent)]
            arguments += ["--ro-bind", str(place), str(place)]
    for file in hidden:
        arguments += ["--ro-bind", str(PACKAGE / "grading" / "masked.py"), str(file)]
        if (compiled := file.parent / "__pycache__").exists():
            arguments += ["--tmpfs", str(compiled), "--remount-ro", str(compiled)]
    return arguments


def container(engine: str, image: str, hidden: Sequence[Path] = (), preload: str = "") -> Sandbox:
    """A sandbox by Docker or Podman: one container a submission, from an image with the course's
    dependencies. The course's own library is mounted into it, without the `hidden` files."""
    program = shutil.which(engine)
    if program is None:
        raise SandboxError(f"{engine} is not installed.")
    known = subprocess.run([program, "image", "inspect", image], capture_output=True, check=False)
    if known.returncode:
        why = known.stderr.decode(errors="replace").strip().splitlines()
        raise SandboxError(
            f"{engine} has no image {image} ({why[-1] if why else 'it did not say why'}). "
            f"Build it in the course's folder: {engine} build --tag {image} docs/sandbox"
        )
    command = [program, "run", "--rm", "--interactive", "--network", "none", "--read-only"]
    command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    command += ["--pids-limit", "64", "--ulimit", "nofile=256:256", "--ulimit", "core=0:0"]
    command += ["--memory", "3g", "--user", f"{NOBODY}:{NOBODY}", "--workdir", SCRATCH]
    command += ["--tmpfs", f"{SCRATCH}:size=64m,mode=1777"]
    for name, value in _environment().items():
        command += ["--env", f"{name}={value}"]
    inside = Path("/course/course_lib")
    command += ["--volume", f"{PACKAGE}:{inside}:ro"]
    for file in hidden:
        place = inside / file.relative_to(PACKAGE)
        command += ["--volume", f"{PACKAGE / 'grading' / 'masked.py'}:{place}:ro"]
        if (file.parent / "__pycache__").exists():
            command += ["--tmpfs", str(place.parent / "__pycache__")]
    python = _python("container", preload, [inside.parent])
    return Sandbox(engine, [*command, image, "python", *python[1:]], walls=False)


def unconfined(preload: str = "") -> Sandbox:
    """No sandbox: answers run as the user who grades, and reach all that this user can reach."""
    forks = sys.platform == "linux"
    command = _python("limits" if forks else "cold", preload)
    return Sandbox("none", command, walls=False, forks=forks)


ENGINES = ("bubblewrap", "docker", "podman")
IMAGE = "course-lib-sandbox"


def make(engine: str, marking: Marking) -> Sandbox:
    """The sandbox for a lesson's answers.

    Args:
        engine: one of ENGINES, "none", or "auto" for the first of ENGINES that there is. An image
            may follow: "docker:our-image".

    Raises:
        SandboxError: it cannot be had; with what to do about it.
    """
    hidden = solution_files(marking.exercises) if marking.forbid_reference else []
    preload = needed_modules(marking.exercises)
    engine, _, image = engine.partition(":")
    image = image or IMAGE
    if engine == "none":
        return unconfined(preload)
    if engine == "bubblewrap":
        return bubblewrap(hidden, preload)
    if engine in ENGINES:
        return container(engine, image, hidden, preload)
    if engine != "auto":
        raise SandboxError(f"There is no sandbox {engine!r}; say one of {', '.join(ENGINES)}.")
    reasons = []
    for name in ENGINES:
        try:
            sandbox = make(f"{name}:{image}", marking)
            try_walls(sandbox)
        except SandboxError as error:
            reasons.append(f"- {name}: {error}")
        else:
            return sandbox
    raise SandboxError(
        "No sandbox can be had here, and without one a submission could read, change and send away "
        "whatever you can:\n" + "\n".join(reasons) + "\n"
        "Put one of these right, or, for submissions that you trust as your own code, say "
        "--no-sandbox."
    )


def try_walls(sandbox: Sandbox) -> None:
    """Start the sandbox and see for oneself what a job in it can do. Raises SandboxError."""
    home = str(Path.home())
    seen = sandbox.ask({"kind": "look", "paths": [str(PACKAGE), "/usr", "/"], "home": home})
    if seen.ending != ENDED or not seen.messages:
        raise SandboxError(f"A trial job in the sandbox came to nothing ({seen.ending}).")
    found, _ = seen.last
    holes = [what for what in ("root", "can fork", "can open a socket") if found[what]]
    holes += [f"can write to {path}" for path in found["can write"]]
    holes += [f"sees {name} in your home" for name in found["in home"]]
    if sandbox.walls and found["processes seen"]:
        holes.append("sees other processes")
    if holes:
        sandbox.close()
        raise SandboxError(f"The sandbox does not hold: a job in it {'; '.join(holes)}.")
