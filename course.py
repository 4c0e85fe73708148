#!/usr/bin/env python3
"""Set the course up and go: ``python course.py lab``, ``python course.py test``.

Only the standard library is used, so that a bare Python can start it, and only syntax that
Python 3.6 reads, so that an old Python gets a sentence and not a SyntaxError.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(os.path.realpath(__file__)).parent
OLDEST, NEWEST = (3, 11), (3, 13)  # as requires-python in pyproject.toml; a test compares them
CONSTRAINTS = "constraints.txt"
COLAB = "tests/colab-constraints.txt"
COLAB_LACKS = ("fairlearn", "narwhals")  # what the extra `lessons` may bring there
TAKES_LONG = ("lesson", "sandbox", "browser", "nbgrader", "network", "slow")  # pytest's markers
QUICK = "not (%s)" % " or ".join(TAKES_LONG)
SPACE_GB = 4  # an environment takes 2 GB, and pip needs room to unpack
SPACE_GB_CUDA = 12
PATIENCE = 15  # seconds between two lines of a long command where there is no terminal


class Trouble(Exception):
    """Something the learner can mend; its text is one plain sentence or two."""


class NoCpuBuild(Trouble):
    """PyTorch without CUDA cannot be had for this Python."""


# --- what can go wrong, in words ---------------------------------------------------------------

FULL_DISK = (
    "The disk is full ({free:.1f} GB free for the course, {temp:.1f} GB in {tempdir}): free at "
    "least {need} GB, or name a larger folder for temporary files in TMPDIR, and run the same "
    "command again."
)
NO_NETWORK = (
    "The package index cannot be reached: check the network (and the proxy), then run the same "
    "command again; it goes on from here."
)
NO_VENV = (
    "This Python cannot make environments (its venv or ensurepip module is missing); on Debian "
    "or Ubuntu, 'apt install python{0}.{1}-venv' as administrator adds it."
)
IN_USE = (
    "A file of the environment cannot be written: close every JupyterLab that runs from it, "
    "check that the folder is yours, and run the same command again."
)
LONG_PATH = (
    "A path is too long for Windows: move the course to a folder with a short path, such as "
    "C:\\course, and run the same command again."
)
# Read from top to bottom in the output of a failed command: the first pattern found decides.
SIGNS = (
    (r"No space left on device|Errno 28\b|not enough space on the disk|WinError 112\b", FULL_DISK),
    (r"Windows Long Path support|WinError 206\b", LONG_PATH),
    (r"No module named '?(venv|ensurepip)|ensurepip is not available", NO_VENV),
    (r"Permission denied|Errno 13\b|Read-only file system|WinError (5|32)\b", IN_USE),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ConnectionError|"
        r"ProxyError|ProtocolError|SSLError|Failed to establish|Connection (refused|reset|aborted)|"
        r"Network is unreachable|name resolution|getaddrinfo failed|Temporary failure",
        NO_NETWORK,
    ),
)


def known_sentence(output):
    """The sentence for a failure that its output gives away; None if it is another one."""
    for pattern, sentence in SIGNS:
        if re.search(pattern, output):
            return fill(sentence)
    return None


def explain(output, log):
    """One sentence for the output of a failed command, with the log that holds the rest."""
    known = known_sentence(output)
    if known:
        return "%s (Details: %s)" % (known, log)
    errors = re.findall(r"(?im)^error: *(.+)$", output)
    return "The set-up stopped: %s (Details: %s. Deleting %s and starting again may help.)" % (
        errors[-1].strip() if errors else "a command failed without a reason.",
        log,
        log.with_suffix("").name,
    )


def fill(sentence):
    """Put this machine's numbers into a sentence."""
    tempdir = tempfile.gettempdir()
    return sentence.format(
        *sys.version_info[:2],
        free=free_gb(ROOT),
        temp=free_gb(tempdir),
        tempdir=tempdir,
        need=SPACE_GB,
    )


def free_gb(folder):
    return shutil.disk_usage(str(folder)).free / 1e9


def check_space(need):
    if free_gb(ROOT) < need:
        raise Trouble(
            "Not enough room: the course needs %d GB on this disk and %.1f GB are free. Free "
            "some and run the same command again." % (need, free_gb(ROOT))
        )


def check_python(version):
    """Refuse a Python that the course was not tested on."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return
    raise Trouble(
        "Python %d.%d is too %s: the course needs Python %d.%d to %d.%d. Install one of them and "
        "start it by name, such as 'python%d.%d course.py lab' (on Windows 'py -%d.%d course.py "
        "lab')."
        % (
            tuple(version[:2])
            + ("old" if tuple(version[:2]) < OLDEST else "new",)
            + OLDEST
            + NEWEST * 3
        )
    )


# --- running other programs --------------------------------------------------------------------


@contextlib.contextmanager
def step(text):
    """Say what begins, and how long it took once it is done."""
    print("- %s ..." % text, flush=True)
    start = time.perf_counter()
    yield
    show_progress("")
    print("  done in %.1f s" % (time.perf_counter() - start), flush=True)


def show_progress(line):
    """On a terminal, keep the latest line of a long command in sight."""
    if sys.stdout.isatty():
        print("\r%-77.77s\r" % ("  " + line.strip() if line else ""), end="", flush=True)


def doing(line):
    """What a line of pip's or uv's says, for somebody who waits; "" where it says nothing new."""
    for pattern, words in (
        (r"\s*Collecting ([\w.-]+)", "looking up {0}"),
        (r"\s*Downloading ([\w.]+?)-\d\S* \((.+?)\)", "downloading {0} ({1})"),
        (
            r"\s*(?:Preparing|Building|Getting).*(?:metadata|wheel|editable)",
            "building the package",
        ),
    ):
        found = re.match(pattern, line)
        if found:
            return words.format(*found.groups())
    if line.startswith("Installing collected packages:"):
        return "unpacking %d packages" % len(line.split(":")[1].split(","))
    return ""


class Waiting:
    """Says every now and then what a long command does, and for how long: pip is silent for minutes."""

    def __init__(self, folder):
        self.folder, self.text, self.start = folder, "", time.perf_counter()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.tell, daemon=True)

    def tell(self):
        terminal = sys.stdout.isatty()
        while not self.done.wait(1 if terminal else PATIENCE):
            line = "%d s: %s" % (time.perf_counter() - self.start, self.text or "at work")
            if self.text.startswith("unpacking"):
                line += ", %d are there" % len(packages_in(self.folder, "*.dist-info"))
            if terminal:
                show_progress(line)
            else:
                print("  " + line, flush=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.thread.join()


def packages_in(folder, pattern):
    """What lies in an environment beside its packages, such as their `.dist-info`."""
    places = ("lib/python*/site-packages/", "Lib/site-packages/")
    return [found for place in places for found in folder.glob(place + pattern)]


def child_environment(**more):
    """The environment for other programs: UTF-8, and nothing that points to another Python."""
    unwanted = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return dict(kept, PYTHONUTF8="1", PIP_USER="0", **more)


def logged(command, log):
    """Run a command with its output in a log, and raise Trouble if it fails."""
    command = [str(part) for part in command]
    output = []
    with open(str(log), "a", encoding="utf-8") as file:
        file.write("\n$ %s\n" % " ".join(command))
        child = subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        try:
            with Waiting(log.with_suffix("")) as waiting:
                for line in child.stdout:
                    output.append(line)
                    file.write(line)
                    waiting.text = doing(line) or waiting.text
                code = child.wait()
        finally:
            stop(child)
    if code:
        raise Trouble(explain("".join(output), log))


def run(command, cwd, **environment):
    """Run a command in the foreground and return its exit status."""
    child = subprocess.Popen(
        [str(part) for part in command], cwd=str(cwd), env=child_environment(**environment)
    )
    try:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                pass  # the terminal sends Ctrl-C to the child as well: it decides when to end
    finally:
        stop(child)


def stop(child):
    if child.poll() is None:
        child.terminate()
        child.wait()


# --- an environment ----------------------------------------------------------------------------


class Environment:
    """A folder with a Python of its own; `install` is the function that fills it."""

    def __init__(self, name, install, *inputs):
        self.folder = ROOT / name
        self.install = install
        self.take(sys.executable, sys.version_info[:2])
        self.inputs = ("pyproject.toml", CONSTRAINTS) + inputs
        self.log = ROOT / (name + ".log")
        self.stamp = self.folder / "course-stamp"

    def take(self, command, version):
        """Make the environment with this Python, the one that runs unless told otherwise."""
        self.command, self.version = command, tuple(version)

    @property
    def python(self):
        return program(self.folder, "python")

    def fingerprint(self):
        """A hash of all that defines the environment."""
        parts = [str(self.folder), "%d.%d" % self.version, self.install.__name__]
        digest = hashlib.sha256("\n".join(parts).encode("utf-8"))
        for name in self.inputs:
            digest.update(b"\n" + (ROOT / name).read_bytes())
        return digest.hexdigest()

    def is_ready(self):
        with contextlib.suppress(OSError):
            return (
                self.python.exists()
                and self.stamp.read_text(encoding="utf-8") == self.fingerprint()
            )
        return False

    def why_anew(self):
        """Why the folder must be made from scratch; an empty string if it can be kept."""
        try:
            made = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
        except OSError:
            return "there is none yet"
        if not re.search(r"(?m)^version\w* *= *%d\.%d\b" % self.version, made):
            return "it was made with another Python"
        if str(self.folder) not in made:
            return "the course has moved, and environments cannot"
        try:
            logged([self.python, "-m", "pip", "--version"], self.log)
        except (OSError, Trouble):
            return "it is damaged"
        return ""

    def pip(self, *arguments):
        logged([self.python, "-m", "pip", "--disable-pip-version-check", *arguments], self.log)

    def would_install(self, *requirements):
        """What pip would install for the requirements, as its report describes it."""
        report = self.folder / "pip-report.json"
        self.pip("install", "--dry-run", "--quiet", "--report", report, *requirements)
        return json.loads(report.read_text(encoding="utf-8"))["install"]

    def prepare(self):
        """Bring the folder up to date, doing only what is missing."""
        if self.is_ready():
            return
        with only_one(ROOT / (self.folder.name + ".lock")):
            if self.is_ready():  # another run did it while this one waited
                return
            start = time.perf_counter()
            wanted = self.fingerprint()
            self.log.write_text("", encoding="utf-8")
            print("Preparing %s (details go to %s)" % (self.folder.name, self.log.name))
            why = self.why_anew()
            if why:
                self.make(why)
            else:
                self.stamp.unlink(missing_ok=True)
                self.drop_halves()
            self.install(self)
            # The stamp comes last and in one piece, so an interrupted run never looks finished.
            fresh = self.stamp.with_suffix(".new")
            fresh.write_text(wanted, encoding="utf-8")
            os.replace(str(fresh), str(self.stamp))
            seconds = time.perf_counter() - start
            print("%s is ready after %.0f s" % (self.folder.name, seconds), flush=True)

    def make(self, why):
        if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
            raise Trouble(fill(NO_VENV))
        with step(
            "Making %s with Python %d.%d (%s)" % ((self.folder.name,) + self.version + (why,))
        ):
            # Clear first, so that the space of a damaged environment counts as free.
            if self.folder.exists():
                shutil.rmtree(str(self.folder))
            check_space(SPACE_GB)
            logged([self.command, "-m", "venv", self.folder], self.log)

    def drop_halves(self):
        """Forget packages whose installation was cut off, so that pip installs them again."""
        for info in packages_in(self.folder, "*.dist-info"):
            if not (info / "INSTALLER").exists():  # pip and uv write it near the end
                shutil.rmtree(str(info))


def program(folder, name, windows=os.name == "nt"):
    """Where an environment keeps a program."""
    return folder / "Scripts" / (name + ".exe") if windows else folder / "bin" / name


@contextlib.contextmanager
def only_one(path):
    """Let one run at a time change an environment; the system frees the lock of a dead run."""
    with open(str(path), "a", encoding="utf-8") as file:
        told = False
        while not try_lock(file):
            if not told:
                print("Another run is preparing the environment: waiting for it", flush=True)
            told = True
            time.sleep(0.5)
        yield


def try_lock(file):
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # some network folders know no locks: go on without
    return True


# --- what goes into the environments -----------------------------------------------------------


def pinned(name):
    """The line of constraints.txt for a package; None if it has none."""
    found = re.search(
        r"(?m)^%s==\S+" % re.escape(name), (ROOT / CONSTRAINTS).read_text(encoding="utf-8")
    )
    return found.group() if found else None


def has_nvidia():
    return bool(shutil.which("nvidia-smi")) or os.path.exists("/proc/driver/nvidia/version")


def brings_cuda(report):
    """Does what pip would install ask for NVIDIA's packages?"""
    needs = [need for item in report for need in item["metadata"].get("requires_dist", [])]
    return any(re.match(r"(nvidia|cuda)[-_]", need) for need in needs)


def update_pip(env):
    # Old ones fetch a whole wheel only to say what they would install.
    if pinned("pip"):
        with step("Updating pip"):
            env.pip("install", pinned("pip"))


def avoid_cuda(env, constraints):
    """On Linux without an NVIDIA GPU, install PyTorch's CPU build if pip would take another.

    Where that cannot be reached the standard build follows, for the Python that runs this; for
    another one NoCpuBuild is raised, since then there is a smaller way.
    """
    torch = pinned("torch")
    if not torch or not sys.platform.startswith("linux") or has_nvidia():
        return
    with step("Asking which build of PyTorch pip would take"):
        cuda = brings_cuda(env.would_install("--no-deps", torch))
    if not cuda:
        return
    with step("Installing PyTorch without CUDA, as there is no NVIDIA GPU"):
        try:
            env.pip("install", pinned("uv") or "uv")  # uv knows where the CPU builds are
            uv = [env.python, "-m", "uv", "pip", "install", "--python", env.python]
            logged(uv + ["--torch-backend", "cpu", "-c", constraints, torch], env.log)
        except Trouble:
            if env.version != sys.version_info[:2]:
                raise NoCpuBuild("there is no PyTorch without CUDA for it within reach") from None
            print("  PyTorch's CPU build cannot be reached: the standard one follows, several GB")
            check_space(SPACE_GB_CUDA)


def install_course(env):
    update_pip(env)
    avoid_cuda(env, CONSTRAINTS)
    with step("Installing the course and its packages (a few minutes the first time)"):
        env.pip("install", "-c", CONSTRAINTS, "-e", ".[lab,test]")


def install_colab(env):
    """Colab's library versions, the proof that the course changes none, then the course."""
    pins = (ROOT / COLAB).read_text(encoding="utf-8").split("# Not from Colab")[0]
    update_pip(env)
    avoid_cuda(env, COLAB)
    with step("Installing Colab's versions of the libraries"):
        names = re.findall(r"(?m)^([\w.-]+)==", pins)
        env.pip("install", "-c", COLAB, pinned("torch"), *names)
    with step("Checking that the course would change none of them"):
        check_colab(env.would_install(".[lessons]"))
    with step("Installing the course and what runs its notebooks"):
        env.pip("install", "-c", COLAB, "-e", ".[notebooks]")


def install_site(env):
    """What builds the site, beside the course's own packages, which its programs see as well."""
    seen, own = (packages_in(each.folder, "pip")[0].parent for each in (COURSE_ENV, env))
    line = "import site; site.addsitedir(%r)\n" % str(seen)
    (own / "course.pth").write_text(line, encoding="utf-8")
    import tomllib  # a Python without it has been refused

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with step("Installing what builds the site"):
        env.pip("install", "-c", CONSTRAINTS, *project["optional-dependencies"]["site"])


def newest_python():
    """The newest of the tested Pythons that starts here and its version; Colab's is 3.13."""
    for minor in range(NEWEST[1], sys.version_info[1], -1):
        command = shutil.which("python3.%d" % minor)
        code = "import sys, venv, ensurepip; print(sys.version_info[1])"
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = command and subprocess.check_output(
                [command, "-c", code], stderr=subprocess.DEVNULL, timeout=60
            )
            if said and said.decode().strip() == str(minor):
                return command, (NEWEST[0], minor)
    return sys.executable, sys.version_info[:2]


def prepare_colab(env):
    """Bring .venv-colab up to date, with the newest Python for which that can be done."""
    command, version = newest_python()
    if version != sys.version_info[:2] and not env.is_ready():
        env.take(command, version)
        try:
            return env.prepare()
        except NoCpuBuild as why:
            print("Python %d.%d is here, but %s: going on with this one" % (version + (why,)))
            env.take(sys.executable, sys.version_info[:2])
    return env.prepare()


def check_colab(report):
    """Refuse a report in which pip would install more than the course and what only it needs."""
    ours = ("course-lib",) + COLAB_LACKS
    items = [item["metadata"] for item in report]
    others = ["%(name)s %(version)s" % item for item in items if item["name"] not in ours]
    if others:
        raise Trouble(
            "On Colab, pip would install %s besides the course: loosen the lower bounds in "
            "pyproject.toml." % ", ".join(others)
        )


COURSE_ENV = Environment(".venv", install_course)
COLAB_ENV = Environment(".venv-colab", install_colab, COLAB)
SITE_ENV = Environment(".venv-site", install_site)


# --- the verbs ---------------------------------------------------------------------------------


def lab(args, extra):
    COURSE_ENV.prepare()
    return run([COURSE_ENV.python, "-m", "course_lib.lab.server", *extra], ROOT / "notebooks")


def test(args, extra):
    env = COLAB_ENV if args.colab else COURSE_ENV
    if args.colab:
        prepare_colab(env)
    else:
        env.prepare()
    which = ["notebooks", "tests/test_colab.py"] if args.colab else []
    which += ["-m", QUICK] if args.quick else []
    if args.full:
        which.append("--full")
    elif args.colab:
        which.append("--few-steps")  # in .venv nbval trains every lesson in full
    print("Running the tests in %s" % env.folder.name, flush=True)
    start = time.perf_counter()
    # As if on Colab: its module is there, though nothing answers behind it.
    colab = {"PYTHONPATH": str(ROOT / "tests" / "standins")} if args.colab else {}
    code = run(
        [env.python, "-m", "pytest", *which, *extra],
        ROOT,
        COURSE_INTERACTIVE="0",
        OMP_NUM_THREADS="1",  # several lessons run side by side
        IPYTHONDIR=str(env.folder / "ipython"),  # neither read nor write the learner's own
        PYDEVD_DISABLE_FILE_VALIDATION="1",  # else older kernels chat about their debugger
        **colab,
    )
    print("The tests took %.0f s" % (time.perf_counter() - start), flush=True)
    return code


def site(args):
    """Execute the lessons that have changed, then write the pages."""
    COURSE_ENV.prepare()
    SITE_ENV.prepare()
    if args.tools:
        return 0
    start = time.perf_counter()
    builder = ROOT / "docs" / "site"
    settings = {"OMP_NUM_THREADS": "1", "COURSE_INTERACTIVE": "0"}
    # The executed copies depend on the versions in .venv, so they are made and asked for there.
    for env, name in ((COURSE_ENV, "executed.py"), (SITE_ENV, "build.py")):
        code = run([env.python, builder / name], ROOT, **settings)
        if code:
            return code
    print("The site took %.0f s: open build/site/html/index.html" % (time.perf_counter() - start))
    return 0


def hand_on(arguments):
    """Give a verb and its arguments to the package's own command."""
    COURSE_ENV.prepare()
    state = os.environ.get("COURSE_STATE") or str(ROOT / "notebooks" / ".course")
    command = program(COURSE_ENV.folder, "course-lib")
    return run([command, *arguments], os.getcwd(), COURSE_STATE=state)


def make_parsers():
    parser = argparse.ArgumentParser(
        prog="python course.py",
        description="Set up the course and open it. The first run makes an environment of its "
        "own in .venv; later runs start at once.",
        epilog="Any other verb (progress, sync, ...) is handed with its arguments to the "
        "command course-lib in .venv.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")

    def add(verb, description, **kwargs):
        return verbs.add_parser(
            verb, help=description, description=description, allow_abbrev=False, **kwargs
        )

    own = {
        "lab": add(
            "lab",
            "open the lessons in JupyterLab",
            epilog="Further arguments go to JupyterLab, such as --no-browser or --port 8890.",
        ),
        "test": add(
            "test",
            "run every test of the library and the lessons",
            epilog="Further arguments go to pytest, such as -k vae or tests/test_course.py.",
        ),
        "site": add(
            "site",
            "write the course as pages that need no server, in build/site/html",
            epilog="Lessons are executed only where they, the library or a version have changed.",
        ),
        "help": add("help", "show this help, or a verb's"),
    }
    kind = own["test"].add_mutually_exclusive_group()
    kind.add_argument(
        "--quick",
        action="store_true",
        help="leave out what takes long: %s" % ", ".join(TAKES_LONG),
    )
    kind.add_argument(
        "--colab",
        action="store_true",
        help="run the lessons with Google Colab's library versions, in .venv-colab",
    )
    own["test"].add_argument(
        "--full",
        action="store_true",
        help="run in full also what a sample shows nearly as well: more steps, submissions and attacks",
    )
    own["site"].add_argument(
        "--tools", action="store_true", help="only install what builds the site"
    )
    own["help"].add_argument("about", nargs="?", metavar="VERB")
    return parser, own


def dispatch(arguments):
    parser, own = make_parsers()
    if arguments and not arguments[0].startswith("-") and arguments[0] not in own:
        return hand_on(arguments)
    args, extra = parser.parse_known_args(arguments)
    if args.verb in ("lab", "test"):
        return {"lab": lab, "test": test}[args.verb](args, extra)
    if extra:
        parser.error("unknown argument: %s" % extra[0])
    if args.verb == "site":
        return site(args)
    if args.verb == "help" and args.about not in (None, *own):
        return hand_on([args.about, "--help"])
    own.get(getattr(args, "about", None), parser).print_help()
    return 0


def end(signum, frame):
    sys.exit(128 + signum)  # as an exception, so that children are ended too


def main(arguments):
    try:
        check_python(sys.version_info)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8", errors="replace")
        signal.signal(signal.SIGTERM, end)
        return dispatch(arguments)
    except Trouble as trouble:
        message = str(trouble)
    except OSError as error:
        message = known_sentence(str(error)) or str(error)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    show_progress("")
    print("\ncourse.py: " + message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
