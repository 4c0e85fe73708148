"""The kinds of sandbox: what starts each one, and the test that its walls hold.

bubblewrap builds the walls of the warm process: a read-only system without a network, in which
only Python and this package can be seen. It is small, audited, packaged by every distribution,
and needs no privileges of its own. bubblewrap starts a program anew each time, so it cannot put
walls around a fork: `confine` does that for every job. Where there is no bubblewrap, Docker or
Podman put a container around each submission; that starts slowly and holds as well.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from course_lib.exercises.registry import needed_modules
from course_lib.grading.marking import Marking
from course_lib.grading.sandbox.confine import NOBODY, SCRATCH
from course_lib.grading.sandbox.interpreter import (
    PACKAGE,
    Interpreter,
    InterpreterError,
    interpreter,
)
from course_lib.grading.sandbox.job import ENDED
from course_lib.grading.sandbox.process import Sandbox, SandboxError

MASKED = Path(__file__).with_name("masked.py")


# What of this package an answer may see: the rooms that every lesson stands on, and the machinery
# that runs an answer. All other modules are about what the lessons teach, and one of them may hold an
# exercise's solution in another form; so a new module is hidden until it is named here.
VISIBLE = """
    __init__ files syllabus colab devices kernel session training plots plots/*
    datasets/* explore/* models/__init__ models/layers
    exercises/__init__ exercises/aliases exercises/answers exercises/dependence exercises/exercise
    exercises/loading exercises/magics exercises/slips exercises/sources exercises/trial
    grading/__init__ grading/bounded_json grading/sandbox/*
"""


def hidden_files() -> list[Path]:
    """The files of this package that an answer may not read."""
    visible = {f for pattern in VISIBLE.split() for f in PACKAGE.glob(f"{pattern}.py")}
    return sorted(set(PACKAGE.rglob("*.py")) - visible)


def bubblewrap(
    hidden: Sequence[Path] = (), preload: Sequence[str] | None = (), python: str = ""
) -> Sandbox:
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
    runs = _interpreter(python)
    mounts = _mounts(hidden, runs)
    command += [*mounts, "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", SCRATCH]
    if "/tmp" not in mounts:
        command += ["--symlink", SCRATCH, "/tmp"]
    # An ordinary user owns what bubblewrap makes, and could leave files there for a later job.
    command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH]
    return Sandbox("bubblewrap", [*command, *_python("namespaces", preload, runs)])


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


def _python(confined: str, preload: Sequence[str] | None, python: Interpreter) -> list[str]:
    names = None if preload is None else list(preload)
    code = (
        f"import sys; sys.path[:0] = {[str(p) for p in python.paths]!r}; "
        f"from course_lib.grading.sandbox.job import main; main({confined!r}, {names!r})"
    )
    return [python.executable, "-I", "-c", code]


def _places(python: Interpreter) -> list[Path]:
    """The system's libraries, Python and its packages."""
    places = [Path(p) for p in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")]
    places += [Path("/etc/ld.so.cache"), Path("/etc/alternatives")]
    return [*places, *python.places]


def in_sight(path: Path, python: str = "") -> bool:
    """Whether an answer in the sandbox could see this path."""
    places = [*_places(_interpreter(python)), PACKAGE]
    return any(path.resolve().is_relative_to(place.resolve()) for place in places)


def _interpreter(python: str) -> Interpreter:
    try:
        return interpreter(python)
    except InterpreterError as error:
        raise SandboxError(str(error)) from None


def _mounts(hidden: Sequence[Path], python: Interpreter) -> list[str]:
    """The system's libraries, Python and this package, read-only, and nothing else."""
    places = _places(python)
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
        arguments += ["--ro-bind", str(MASKED), str(file)]
    for compiled in _compiled(hidden):
        arguments += ["--tmpfs", str(compiled), "--remount-ro", str(compiled)]
    return arguments


def _compiled(files: Sequence[Path]) -> list[Path]:
    """The folders that hold these files in compiled form."""
    folders = {file.parent / "__pycache__" for file in files}
    return sorted(folder for folder in folders if folder.exists())


def container(
    engine: str, image: str, hidden: Sequence[Path] = (), preload: Sequence[str] | None = ()
) -> Sandbox:
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
        command += ["--volume", f"{MASKED}:{place}:ro"]
    for compiled in _compiled(hidden):
        command += ["--tmpfs", str(inside / compiled.relative_to(PACKAGE))]
    python = _python("container", preload, Interpreter("python", (), (inside.parent,)))
    return Sandbox(engine, [*command, image, *python], walls=False)


def unconfined(preload: Sequence[str] | None = (), python: str = "") -> Sandbox:
    """No sandbox: answers run as the user who grades, and reach all that this user can reach."""
    forks = sys.platform == "linux"
    command = _python("limits" if forks else "cold", preload, _interpreter(python))
    return Sandbox("none", command, walls=False, forks=forks)


def inside_container(preload: Sequence[str] | None = ()) -> Sandbox:
    """For a container that was started for one submission alone, by root: answers run as nobody, under
    the filter of system calls and the limits. What they must not read, its owner has to close."""
    program = shutil.which("setpriv")
    if sys.platform != "linux" or os.getuid() or program is None:
        raise SandboxError(
            "Only root can lend this container to an answer (and setpriv is needed)."
        )
    Path(SCRATCH).mkdir(mode=0o1777, exist_ok=True)
    Path(SCRATCH).chmod(0o1777)
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    values = [f"{name}={value}" for name, value in _environment().items()]
    command = [program, *user, "env", "-i", f"--chdir={SCRATCH}", *values]
    return Sandbox("inside", [*command, *_python("container", preload, interpreter())], walls=False)


ENGINES = ("bubblewrap", "docker", "podman")
IMAGE = "course-lib-sandbox"


def make(engine: str, marking: Marking, warm: bool = True) -> Sandbox:
    """The sandbox for a lesson's answers.

    Args:
        engine: one of ENGINES, "none", or "auto" for the first of ENGINES that there is. An image
            may follow: "docker:our-image".
        warm: with the libraries loaded that answers need; without, it is only good for `try_walls`.

    Raises:
        SandboxError: there is none; the message says what to do.
    """
    hidden = hidden_files() if marking.forbid_reference else []
    preload = needed_modules(marking.exercises) if warm else None
    engine, _, image = engine.partition(":")
    image = image or IMAGE
    if engine == "none":
        return unconfined(preload, marking.python)
    if engine == "inside":
        return inside_container(preload)
    if engine == "bubblewrap":
        return bubblewrap(hidden, preload, marking.python)
    if engine in ENGINES:
        if marking.python:
            raise SandboxError(
                f"--python goes with bubblewrap: in {engine}, answers run in the image's Python."
            )
        return container(engine, image, hidden, preload)
    if engine != "auto":
        raise SandboxError(f"There is no sandbox {engine!r}; say one of {', '.join(ENGINES)}.")
    reasons = []
    for name in ENGINES:
        try:
            sandbox = make(f"{name}:{image}", marking, warm)
            try_walls(sandbox)
        except SandboxError as error:
            reasons.append(f"- {name}: {error}")
        else:
            return sandbox
    raise SandboxError(
        "There is no sandbox here, and without one a submission could read, change and send away "
        "everything that you can:\n" + "\n".join(reasons) + "\n"
        "Put one of these right, or, for submissions that you trust as your own code, say "
        "--no-sandbox."
    )


def refuse_without_walls(engine: str, marking: Marking) -> None:
    """Raise SandboxError where `make` would, or where its walls do not hold, in a fraction of the time
    that a warm sandbox takes to start."""
    with closing(make(engine, marking, warm=False)) as sandbox:
        if engine not in ("none", "auto"):  # which has tried them
            try_walls(sandbox)


def try_walls(sandbox: Sandbox) -> None:
    """Start the sandbox and test what a job in it can do. Raises SandboxError."""
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
