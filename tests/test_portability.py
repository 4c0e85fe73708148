"""Windows and macOS, as far as the source shows it: encodings, places and calls that one system lacks."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "course.py", *sorted((ROOT / "course_lib").rglob("*.py"))]
# Grading submitted code needs Linux, or a container; `course-lib grade` says so elsewhere.
LINUX_ONLY = ("course_lib/grading/sandbox/",)
# Functions and modules that Windows lacks. One that is asked for by `hasattr` first is no call.
POSIX = """
    os.chown os.fork os.getegid os.geteuid os.getgid os.getloadavg os.getpgid os.getuid os.killpg
    os.mkfifo os.nice os.openpty os.posix_spawn os.sched_getaffinity os.setgid os.setpgid os.setsid
    os.setuid os.statvfs os.uname signal.SIGALRM signal.SIGHUP signal.SIGKILL signal.SIGPIPE
    signal.SIGUSR1 signal.alarm signal.pause signal.pthread_kill signal.setitimer signal.sigwait
"""
MODULES = {"fcntl", "grp", "msvcrt", "pty", "pwd", "resource", "termios", "tty", "winreg"}
# Where such a name stands behind a question for the system.
GUARDED = {
    "course.py": {"fcntl", "msvcrt"},
    "course_lib/exercises/trial.py": {"SIGALRM", "setitimer"},
    "course_lib/grading/lms/autograder.py": {"getuid"},  # in Gradescope's image
    "course_lib/lab/server.py": {"geteuid"},
}


def relative(file):
    return file.relative_to(ROOT).as_posix()


def everywhere(file):
    return not relative(file).startswith(LINUX_ONLY)


def keyword(call, name):
    return next((k.value for k in call.keywords if k.arg == name), None)


def in_binary(call, place):
    given = keyword(call, "mode") or (call.args[place] if len(call.args) > place else None)
    modes = [n.value for n in ast.walk(given) if isinstance(n, ast.Constant)] if given else []
    return any("b" in mode for mode in modes if isinstance(mode, str))


def opens_text(call):
    """Whether a method `open` is asked for text, as that of a path is: its first argument is a mode."""
    given = call.args[0] if call.args else keyword(call, "mode")
    mode = given.value if isinstance(given, ast.Constant) else ""
    return bool(re.fullmatch(r"[rwax]\+?t?", str(mode)))


def without_encoding(source):
    """The lines that read or write text in whatever encoding the system prefers."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or keyword(node, "encoding"):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if (
            (name == "read_text" and not node.args)
            or (name == "write_text" and len(node.args) < 2)
            or (name == "open" and isinstance(node.func, ast.Name) and not in_binary(node, 1))
            or (name == "open" and isinstance(node.func, ast.Attribute) and opens_text(node))
            or (name in ("run", "Popen", "check_output") and keyword(node, "text"))
            or (name in ("run", "Popen", "check_output") and keyword(node, "universal_newlines"))
        ):
            yield node.lineno


@pytest.mark.parametrize(
    "source",
    [
        "open(p)",
        "open(p, 'w')",
        "p.open('w')",
        "p.read_text()",
        "p.write_text('a')",
        "subprocess.run(c, text=True)",
    ],
)
def test_the_rule_finds(source):
    assert list(without_encoding(source)) == [1]


@pytest.mark.parametrize(
    "source", ["open(p, 'rb')", "p.open('wb')", "p.read_text('utf-8')", "os.open(p, 0)"]
)
def test_the_rule_lets_through(source):
    assert list(without_encoding(source)) == []


@pytest.mark.slow
def test_text_is_read_and_written_with_a_named_encoding():
    found = {
        relative(file): lines
        for file in filter(everywhere, FILES)
        if (lines := list(without_encoding(file.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.slow
def test_no_folder_of_one_system_is_named():
    for file in filter(everywhere, FILES):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.match(r"(/tmp|/var|/usr|/home|[A-Z]:\\)(\W|$)", node.value), file


@pytest.mark.slow
def test_what_only_one_system_has_is_asked_for_first():
    found = {}
    for file in filter(everywhere, FILES):
        names = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if f"{node.value.id}.{node.attr}" in POSIX.split():
                    names.add(node.attr)
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names} & MODULES
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module} & MODULES
            elif isinstance(node, ast.keyword) and node.arg in ("preexec_fn", "shell"):
                names.add(node.arg)
        if names - GUARDED.get(relative(file), set()):
            found[relative(file)] = names
    assert found == {}
