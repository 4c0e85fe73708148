"""course.py: what it decides and what it says. Nothing here is downloaded, nor is .venv touched.

The stories at the end run the real course.py, with a real environment and pip, on a tiny project
that builds itself.
"""

import ast
import errno
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import tomllib
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace

import pytest

SOURCE = Path(__file__).parent.parent / "course.py"
NETWORK = (
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'\n"
    "ERROR: Could not find a version that satisfies the requirement numpy (from versions: none)"
)
DISK = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"


@pytest.fixture
def course(tmp_path):
    """course.py as a module, living in an empty folder of its own."""
    shutil.copy(SOURCE, tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\nuv==0.13.9\n")
    spec = importlib.util.spec_from_file_location("course_under_test", tmp_path / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def runs(course, monkeypatch):
    """What is run in the foreground, with no environment being made."""
    calls = []

    def run(command, cwd, **environment):
        calls.append(SimpleNamespace(command=list(command), cwd=cwd, environment=environment))
        return 7

    monkeypatch.setattr(course, "run", run)
    monkeypatch.setattr(course.Environment, "prepare", lambda self: None)
    return calls


# --- the Python that starts it -----------------------------------------------------------------


def test_source_is_readable_for_python_3_6():
    ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize(
    ("version", "word"), [((3, 6, 15), "old"), ((3, 10, 13), "old"), ((3, 14, 0), "new")]
)
def test_untested_python_is_refused_in_one_line(version, word):
    done = start(SOURCE.parent, "lab", version=version)
    assert done.returncode == 1
    assert f"Python {version[0]}.{version[1]} is too {word}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (3, 13, 9)])
def test_tested_python_is_accepted(course, version):
    course.check_python(version)


# --- what it says when something fails ---------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (NETWORK, "check the network"),
        (DISK, "The disk is full"),
        (NETWORK + DISK, "The disk is full"),
        ("ERROR: [WinError 112] There is not enough space on the disk", "The disk is full"),
        ("HINT: ... does not have Windows Long Path support enabled.", "a short path, such as C:"),
        ("ERROR: [WinError 5] Access is denied: 'torch.dll'", "close every JupyterLab"),
        ("The virtual environment was not created: ensurepip is not available", "python3"),
        ("Collecting x\nERROR: No matching distribution found for x", "distribution found for x"),
        ("", "without a reason"),
    ],
)
def test_failure_gets_a_sentence_and_the_log(course, tmp_path, output, expected):
    message = course.explain(output, tmp_path / ".venv.log")
    assert expected in message
    assert str(tmp_path / ".venv.log") in message
    assert "\n" not in message


def test_failed_command_raises_with_its_output_in_the_log(course, tmp_path):
    log = tmp_path / "x.log"
    code = "print('Connection refused \\u00e9'); raise SystemExit(1)"
    with pytest.raises(course.Trouble, match="check the network"):
        course.logged([sys.executable, "-c", code], log)
    assert "Connection refused \u00e9" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Collecting torch>=2.6 (from course-lib==0.1.0)", "looking up torch"),
        (
            "  Downloading numpy-2.4.6-cp311-cp311-linux.whl (18.2 MB)",
            "downloading numpy (18.2 MB)",
        ),
        ("Installing collected packages: torch, numpy, pandas", "unpacking 3 packages"),
        (
            "  Preparing editable metadata (pyproject.toml): started",
            "building the package",
        ),
        ("     |████████| 18.2 MB 5.1 MB/s", ""),
    ],
)
def test_a_line_of_pip_s_in_words(course, line, expected):
    assert course.doing(line) == expected


def test_a_long_command_says_what_it_does_also_without_a_terminal(course, monkeypatch, capsys):
    monkeypatch.setattr(course, "PATIENCE", 0.05)
    env = course.COURSE_ENV
    (env.folder / "lib" / "python3.11" / "site-packages" / "numpy-2.dist-info").mkdir(parents=True)
    code = "import time; print('Installing collected packages: a, b', flush=True); time.sleep(0.5)"
    course.logged([sys.executable, "-c", code], env.log)
    assert "s: unpacking 2 packages, 1 are there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "expected", "status"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full", 1),
        (OSError(errno.EIO, "Input/output error"), "Input/output error", 1),
        (KeyboardInterrupt(), "goes on from here", 130),
    ],
)
def test_errors_end_in_a_sentence(course, monkeypatch, capsys, error, expected, status):
    def dispatch(arguments):
        raise error

    monkeypatch.setattr(course, "dispatch", dispatch)
    monkeypatch.setattr(course.signal, "signal", lambda *args: None)
    assert course.main([]) == status
    said = capsys.readouterr().err
    assert expected in said
    assert "Traceback" not in said


def test_too_little_space_is_said_before_anything_is_made(course, monkeypatch):
    monkeypatch.setattr(course, "free_gb", lambda folder: 1.0)
    with pytest.raises(course.Trouble, match=r"4 GB on this disk and 1\.0 GB"):
        course.COURSE_ENV.make("there is none yet")
    assert not course.COURSE_ENV.folder.exists()


def test_missing_ensurepip_names_the_package(course, monkeypatch):
    monkeypatch.setattr(course.importlib.util, "find_spec", lambda name: name != "ensurepip")
    with pytest.raises(course.Trouble, match=r"apt install python3\.\d+-venv"):
        course.COURSE_ENV.make("there is none yet")


# --- verbs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "handed with its arguments"),
        (["help"], "handed with its arguments"),
        ([], "handed with its arguments"),
        (["lab", "--help"], "--no-browser"),
        (["help", "lab"], "--no-browser"),
        (["test", "-h"], "--colab"),
        (["help", "test"], "--colab"),
        (["help", "--help"], "VERB"),
    ],
)
def test_help(course, runs, capsys, arguments, expected):
    try:
        assert course.dispatch(arguments) == 0
    except SystemExit as done:
        assert done.code == 0
    assert expected in capsys.readouterr().out
    assert not runs


@pytest.mark.parametrize(
    ("arguments", "handed"),
    [
        (["grade", "--fast", "a b"], ["grade", "--fast", "a b"]),
        (["sync", "--help"], ["sync", "--help"]),
        (["help", "sync"], ["sync", "--help"]),
    ],
)
def test_other_verbs_are_handed_on(course, runs, arguments, handed):
    assert course.dispatch(arguments) == 7
    command = course.program(course.ROOT / ".venv", "course-lib")
    assert runs[0].command == [command, *handed]
    assert runs[0].cwd == os.getcwd()


def test_lab_passes_arguments_on(course, runs):
    assert course.dispatch(["lab", "--no-browser", "--port", "8890"]) == 7
    assert runs[0].command[1:] == ["-m", "course_lib.lab.server", "--no-browser", "--port", "8890"]
    assert runs[0].cwd == course.ROOT / "notebooks"


def test_test_passes_arguments_on_in_order(course, runs):
    assert course.dispatch(["test", "-k", "vae", "tests/test_x.py", "-x"]) == 7
    assert runs[0].command[1:] == ["-m", "pytest", "-k", "vae", "tests/test_x.py", "-x"]
    assert runs[0].environment["COURSE_INTERACTIVE"] == "0"
    assert runs[0].environment["OMP_NUM_THREADS"] == "1"


def test_colab_runs_the_notebooks_in_its_own_environment(course, runs):
    assert course.dispatch(["test", "--colab", "-k", "vae"]) == 7
    python = course.program(course.ROOT / ".venv-colab", "python")
    asked = ["notebooks", "tests/test_colab.py", "--few-steps", "-k", "vae"]
    assert runs[0].command == [python, "-m", "pytest", *asked]
    assert runs[0].environment["PYTHONPATH"] == str(course.ROOT / "tests" / "standins")


def test_quick_leaves_out_what_takes_long_and_only_markers_that_exist(course, runs):
    assert course.dispatch(["test", "--quick", "-x"]) == 7
    assert runs[0].command[1:] == ["-m", "pytest", "-m", course.QUICK, "-x"]
    settings = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    markers = settings["tool"]["pytest"]["ini_options"]["markers"]
    assert [marker.partition(":")[0] for marker in markers] == list(course.TAKES_LONG)


@pytest.mark.parametrize("where", [[], ["--colab"]])
def test_full_trains_in_full_everywhere(course, runs, where):
    assert course.dispatch(["test", *where, "--full"]) == 7
    assert "--full" in runs[0].command and "--few-steps" not in runs[0].command


@pytest.fixture
def pythons(course, monkeypatch):
    """Pretend that these Pythons are installed, each answering with a version; and make nothing."""
    made = []

    def pretend(**found):
        own = (sys.executable, sys.version_info[:2])
        monkeypatch.setattr(course.shutil, "which", lambda name: name if name in found else None)

        def ask(command, **kwargs):
            if found[command[0]] is None:  # such as a shim without a Python behind it
                raise subprocess.CalledProcessError(127, command)
            return b"%d\n" % found[command[0]]

        monkeypatch.setattr(course.subprocess, "check_output", ask)
        return own

    def prepare(env):
        made.append(env.version)
        if env.version in lacking:
            raise course.NoCpuBuild("no build")

    lacking = set()
    monkeypatch.setattr(course.Environment, "prepare", prepare)
    return SimpleNamespace(pretend=pretend, made=made, lacking=lacking)


@pytest.mark.skipif(sys.version_info[:2] > (3, 12), reason="there is no newer Python to take")
def test_colab_takes_the_newest_python_that_starts(course, pythons):
    own = pythons.pretend(**{"python3.13": 13})
    assert course.newest_python() == ("python3.13", (3, 13))
    pythons.pretend(**{"python3.13": None})
    assert course.newest_python() == own
    pythons.pretend(**{"python3.13": 11})  # a wrong name
    assert course.newest_python() == own
    pythons.pretend()
    assert course.newest_python() == own


@pytest.mark.skipif(sys.version_info[:2] > (3, 12), reason="there is no newer Python to take")
def test_colab_goes_on_with_this_python_where_the_newest_has_no_pytorch(course, pythons, capsys):
    pythons.pretend(**{"python3.13": 13})
    pythons.lacking.add((3, 13))
    course.prepare_colab(course.COLAB_ENV)
    assert pythons.made == [(3, 13), sys.version_info[:2]]
    assert "Python 3.13 is here, but no build" in capsys.readouterr().out


def test_another_python_gets_no_cuda_build(course, torch_on):
    with pytest.raises(course.NoCpuBuild, match="without CUDA"):
        torch_on(CUDA, reachable=False, version=(3, 99))


@pytest.mark.parametrize(
    ("folder", "windows", "expected"),
    [
        (PureWindowsPath(r"C:\My course\.venv"), True, r"C:\My course\.venv\Scripts\python.exe"),
        (PurePosixPath("/home/me/.venv"), False, "/home/me/.venv/bin/python"),
    ],
)
def test_where_programs_are(course, folder, windows, expected):
    assert str(course.program(folder, "python", windows)) == expected


# --- PyTorch without CUDA ----------------------------------------------------------------------

CPU = [{"metadata": {"requires_dist": ["filelock", "sympy>=1.13.3"]}}]
CUDA = [{"metadata": {"requires_dist": ["filelock", 'nvidia-nccl-cu13==2.29; x == "y"']}}]
CUDA_13 = [{"metadata": {"requires_dist": ["cuda-toolkit[cublas]==13.0.3"]}}]


@pytest.fixture
def torch_on(course, monkeypatch):
    """Run avoid_cuda as if on some machine; returns the commands that it used."""

    def decide(
        report, platform="linux", nvidia=False, reachable=True, version=sys.version_info[:2]
    ):
        used = []

        def logged(command, log):
            used.append(" ".join(str(part) for part in command))
            if not reachable:
                raise course.Trouble("no way")

        def would_install(*requirements):
            used.append("dry run " + " ".join(requirements))
            return report

        env = SimpleNamespace(
            would_install=would_install,
            pip=lambda *arguments: used.append("pip " + " ".join(arguments)),
            python="PYTHON",
            version=version,
            log=Path("log"),
        )
        monkeypatch.setattr(course, "logged", logged)
        monkeypatch.setattr(course, "has_nvidia", lambda: nvidia)
        monkeypatch.setattr(course.sys, "platform", platform)
        course.avoid_cuda(env, "constraints.txt")
        return used

    return decide


@pytest.mark.parametrize("report", [CUDA, CUDA_13])
def test_cuda_build_is_replaced_where_there_is_no_gpu(torch_on, report):
    asked, got_uv, installed = torch_on(report)
    assert asked == "dry run --no-deps torch==2.13.0"
    assert got_uv == "pip install uv==0.13.9"
    assert "--torch-backend cpu -c constraints.txt torch==2.13.0" in installed


@pytest.mark.parametrize("report", [CPU, []])
def test_cpu_build_or_an_installed_one_is_left_to_pip(torch_on, report):
    assert torch_on(report) == ["dry run --no-deps torch==2.13.0"]


@pytest.mark.parametrize(
    ("platform", "nvidia"), [("linux", True), ("darwin", False), ("win32", False)]
)
def test_nothing_is_asked_where_pip_is_right(torch_on, platform, nvidia):
    assert torch_on(CUDA, platform, nvidia) == []


def test_unreachable_cpu_build_is_said_plainly(course, torch_on, monkeypatch, capsys):
    monkeypatch.setattr(course, "free_gb", lambda folder: 100.0)
    torch_on(CUDA, reachable=False)
    assert "the standard one follows, several GB" in capsys.readouterr().out


def test_unreachable_cpu_build_needs_room_for_the_standard_one(course, torch_on, monkeypatch):
    monkeypatch.setattr(course, "free_gb", lambda folder: 5.0)
    with pytest.raises(course.Trouble, match="Not enough room"):
        torch_on(CUDA, reachable=False)


def test_colab_refuses_anything_besides_the_course(course):
    own = {"metadata": {"name": "course-lib", "version": "0.1.0"}}
    lacking = {"metadata": {"name": "fairlearn", "version": "0.15.0"}}
    course.check_colab([own, lacking])
    with pytest.raises(course.Trouble, match=r"numpy 2\.4\.6 besides"):
        course.check_colab([own, {"metadata": {"name": "numpy", "version": "2.4.6"}}])


# --- an environment ----------------------------------------------------------------------------


def test_only_whole_packages_are_kept(course):
    packages = course.COURSE_ENV.folder / "lib" / "python3.11" / "site-packages"
    for name, whole in [("numpy-2.dist-info", True), ("torch-2.dist-info", False)]:
        (packages / name).mkdir(parents=True)
        (packages / name / "METADATA").touch()
        if whole:
            (packages / name / "INSTALLER").touch()
    course.COURSE_ENV.drop_halves()
    assert [entry.name for entry in packages.iterdir()] == ["numpy-2.dist-info"]


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_fingerprint_follows_its_files(course, file):
    before = course.COURSE_ENV.fingerprint()
    assert course.COURSE_ENV.fingerprint() == before
    (course.ROOT / file).write_text("# changed")
    assert course.COURSE_ENV.fingerprint() != before


def test_fingerprint_follows_python(course):
    before = course.COURSE_ENV.fingerprint()
    course.COURSE_ENV.take("python3.99", (3, 99))
    assert course.COURSE_ENV.fingerprint() != before


def test_environment_of_another_python_is_made_anew(course):
    env = course.COURSE_ENV
    assert env.why_anew() == "there is none yet"
    env.folder.mkdir()
    (env.folder / "pyvenv.cfg").write_text(f"version = 3.9.18\ncommand = venv {env.folder}\n")
    assert env.why_anew() == "it was made with another Python"
    version = "{}.{}.{}".format(*sys.version_info)
    (env.folder / "pyvenv.cfg").write_text(f"version = {version}\ncommand = venv /elsewhere\n")
    assert "moved" in env.why_anew()
    (env.folder / "pyvenv.cfg").write_text(f"version = {version}\ncommand = venv {env.folder}\n")
    assert env.why_anew() == "it is damaged"


def test_one_run_at_a_time(course, tmp_path):
    with course.only_one(tmp_path / "lock"), open(tmp_path / "lock", "a") as second:
        assert not course.try_lock(second)
    with open(tmp_path / "lock", "a") as third:
        assert course.try_lock(third)


# --- stories on a tiny project -----------------------------------------------------------------

# A build backend that needs no other package. The wheel brings a `pytest` that prints how it was
# called, and the command course-lib.
BACKEND = """
import pathlib, time, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    if pathlib.Path("slow").exists():
        pathlib.Path("building").touch()
        time.sleep(60)
    name, info = "course_lib-0.1.0-py3-none-any.whl", "course_lib-0.1.0.dist-info/"
    extras = "Provides-Extra: lab\\nProvides-Extra: test\\n"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.writestr("pytest.py", "import os, sys; print('PYTEST', sys.argv[1:])")
        wheel.writestr("course_cli.py", "def main(): print('CLI'); return 5")
        wheel.writestr(info + "METADATA",
            "Metadata-Version: 2.1\\nName: course-lib\\nVersion: 0.1.0\\n" + extras)
        wheel.writestr(info + "WHEEL",
            "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "entry_points.txt",
            "[console_scripts]\\ncourse-lib = course_cli:main\\n")
        wheel.writestr(info + "RECORD", "")
    return name

build_wheel = build_editable
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "a course"  # with a space, as many learners have
    folder.mkdir()
    shutil.copy(SOURCE, folder)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "constraints.txt").write_text("")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    return folder


def command(version=None, *arguments):
    """Python code that runs course.py as a terminal would, perhaps under another version."""
    code = f"""
        import runpy, signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.version_info = {version!r} or sys.version_info
        sys.argv = ["course.py", *{list(arguments)!r}]
        runpy.run_path("course.py", run_name="__main__")
    """
    return [sys.executable, "-c", textwrap.dedent(code)]


OFFLINE = dict(os.environ, PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="")


def start(folder, *arguments, version=None):
    return subprocess.run(
        command(version, *arguments),
        cwd=folder,
        env=OFFLINE,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


@pytest.mark.slow
def test_story_of_a_normal_life(project):
    first = start(project, "test", "-k", "x y")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "- Making .venv" in first.stdout
    assert len(re.findall(r"done in \d+\.\d s", first.stdout)) == 2
    assert "PYTEST ['-k', 'x y']" in first.stdout

    log = (project / ".venv.log").stat().st_mtime_ns
    began = time.perf_counter()
    again = start(project, "test")
    assert time.perf_counter() - began < 5  # 0.2 s on an idle machine
    assert "Preparing" not in again.stdout
    assert (project / ".venv.log").stat().st_mtime_ns == log

    other = start(project, "nonsense")
    assert (other.returncode, other.stdout) == (5, "CLI\n")

    (project / "constraints.txt").write_text("numpy==2.0.0\n")
    changed = start(project, "test")
    assert "- Installing the course" in changed.stdout
    assert "- Making" not in changed.stdout

    moved = project.rename(project.with_name("elsewhere"))
    after = start(moved, "test")
    assert "the course has moved" in after.stdout
    assert "PYTEST" in after.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
def test_story_of_an_interruption(project):
    (project / "slow").touch()
    running = subprocess.Popen(
        command(None, "test"), cwd=project, env=OFFLINE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    deadline = time.monotonic() + 60
    while not (project / "building").exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=30)[1]
    assert running.returncode == 130
    assert said.strip() == "Stopped. The same command goes on from here."
    assert not (project / ".venv" / "course-stamp").exists()

    (project / "slow").unlink()
    again = start(project, "test")
    assert "PYTEST" in again.stdout, again.stderr
    assert "- Making" not in again.stdout


@pytest.mark.slow
def test_story_of_a_package_that_cannot_be_found(project):
    backend = project / "backend.py"
    backend.write_text(
        backend.read_text().replace('extras = "', 'extras = "Requires-Dist: no-such-thing\\n')
    )
    done = start(project, "test")
    assert done.returncode == 1
    assert "No matching distribution found for no-such-thing" in done.stderr
    assert str(project / ".venv.log") in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
