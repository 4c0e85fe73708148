"""A lesson as an autograder of Gradescope: one zip, which marks by the same judge as `course-lib grade`.

Gradescope unpacks it in `/autograder/source`, runs `setup.sh` once, and `run_autograder` for each
submission, in a container of its own (its documents: "Autograder Specifications").
"""

import importlib.metadata
import json
import os
import re
import secrets
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from course_lib.files import write_whole
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.submission import Submission, take_in
from course_lib.grading.lms.gradescope import results_json
from course_lib.grading.marking import Marking
from course_lib.grading.policy import choose
from course_lib.grading.pool import grade_one, secret_of
from course_lib.grading.result import Result
from course_lib.grading.sandbox.engines import ENGINES, hidden_files, make, try_walls
from course_lib.grading.sandbox.interpreter import PACKAGE
from course_lib.grading.sandbox.process import SandboxError

COPY = Path("/opt/course/src")  # where setup.sh puts this library
SETUP = """\
#!/usr/bin/env bash
# Runs once, when Gradescope builds the image: Python, what the course needs, and its library.
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends bubblewrap libseccomp2 python3 python3-venv
python=python3
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    apt-get install -y --no-install-recommends software-properties-common
    add-apt-repository -y ppa:deadsnakes/ppa
    apt-get update
    apt-get install -y --no-install-recommends python3.12 python3.12-venv
    python=python3.12
fi
$python -m venv /opt/course
/opt/course/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \\
    -r /autograder/source/requirements.txt
mkdir -p /opt/course/src
cp -r /autograder/source/course/. /opt/course/src/
"""
RUN = """\
#!/usr/bin/env bash
# Runs for each submission. The submission's own code runs inside a sandbox, and is judged outside of it.
exec /opt/course/bin/python -I -B -c "import sys; sys.path.insert(0, '/opt/course/src')
from course_lib.grading.lms.autograder import main
sys.exit(main('LESSON'))"
"""


def write_autograder(lesson: str, out: Path, seed: str | None = None) -> Path:
    """Write the zip for a lesson.

    Args:
        out: the zip, or a folder for it.
        seed: the secret from which the hidden cases are drawn; a new one unless given.

    Raises:
        GradingError: for an unknown lesson, or one without exercises.
    """
    if not Marking(lesson, "").exercises:
        raise GradingError(f"{lesson} has no exercises to be graded.")
    path = out / f"autograder_{lesson}.zip" if out.is_dir() else out
    files: dict[str, bytes] = {
        "setup.sh": SETUP.encode(),
        "run_autograder": RUN.replace("LESSON", lesson).encode(),
        "requirements.txt": "\n".join(_requirements()).encode() + b"\n",
        "run.json": json.dumps({"version": 1, "secret": seed or secrets.token_hex(16)}).encode(),
    }
    data = PACKAGE.parent / "data"  # in a checkout; the installed package holds its own
    for folder in (PACKAGE, *([data] if data.is_dir() else [])):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.relative_to(folder.parent).as_posix()
                files[f"course/{name}"] = file.read_bytes()

    def pack(stream: object) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
            for name, content in files.items():
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.external_attr = (
                    0o755 if name in ("setup.sh", "run_autograder") else 0o644
                ) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, content)

    try:
        write_whole(path, pack)
    except OSError as error:
        raise GradingError(f"{path} cannot be written ({error.strerror}).") from None
    return path


def _requirements() -> list[str]:
    """What the course's library needs, without its extras."""
    try:
        needs = importlib.metadata.requires("course-lib") or []
    except importlib.metadata.PackageNotFoundError:
        raise GradingError("Install the course first: pip install -e .") from None
    return [need for need in needs if not re.search(r";.*\bextra\b", need)]


def main(lesson: str, root: Path = Path("/autograder"), engine: str = "auto") -> int:
    """Grade the one submission in `root/submission` and write `root/results/results.json`."""
    results = root / "results"
    results.mkdir(exist_ok=True)
    try:
        content = results_json(grade(lesson, root, engine))
    except Exception as error:
        told = error if isinstance(error, GradingError) else type(error).__name__
        print(f"Not graded: {told}", file=sys.stderr)
        content = {
            "output": "This submission could not be graded. A person will look at it.",
            "stdout_visibility": "hidden",
            "tests": [],
            "extra_data": {"needs_person": True},
        }
    write_whole(results / "results.json", json.dumps(content, ensure_ascii=False))
    return 0


def grade(lesson: str, root: Path, engine: str = "auto") -> Result:
    """The result of the submission below `root`; of several notebooks that fit, the last counts.

    Raises:
        GradingError: there is no notebook, or no sandbox.
    """
    _close(root)
    secret = secret_of(root / "source", None)
    marking = Marking(lesson, secret)
    engine = _engine(marking) if engine == "auto" else engine
    found: list[Submission] = take_in(root / "submission", lesson, "folder").submissions
    student = found[0].student
    results = [
        grade_one(marking, engine, replace(one, student=student, attempt=number), one.read())
        for number, one in enumerate(found, 1)
    ]
    (result,) = choose(results, "last", most=len(results))
    return result


def _close(root: Path) -> None:
    """Let nobody but root read what an answer must not see; only where this is Gradescope's image,
    in which the course was copied for this purpose."""
    if os.getuid() or not PACKAGE.is_relative_to(COPY):
        return
    for name in ("source", "results", "submission", "submission_metadata.json"):
        if (root / name).exists():
            (root / name).chmod(0o700)
    for file in hidden_files():
        file.chmod(0o600)


def _engine(marking: Marking) -> str:
    """The first sandbox that holds: one of its own, or the container in which Gradescope runs this."""
    reasons = []
    for name in (*ENGINES, *(["inside"] if PACKAGE.is_relative_to(COPY) else [])):
        try:
            with make(name, marking) as sandbox:
                try_walls(sandbox)
            return name
        except SandboxError as error:
            reasons.append(str(error))
    raise SandboxError(" / ".join(reasons))
