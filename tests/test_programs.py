"""What becomes of a test whose program is missing, and what a session says of it."""

import os
import subprocess
import sys
from pathlib import Path

import programs
import pytest

TESTS = """
import pytest

def test_page(chromium):
    pass

@pytest.mark.usefixtures("walls")
def test_grade():
    pass

def test_all_else():
    pass
"""


def session(folder: Path, *options, **environment):
    """What pytest says where no program is in the PATH."""
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    sandbox\n    browser\n")
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    env |= {"PATH": str(folder), "PYTHONPATH": str(Path(programs.__file__).parent)}
    plugins = ("-p", "programs", "-p", "no:xdist", "-p", "no:nbval")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options],
        cwd=folder,
        env=env | environment,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.slow
def test_what_is_missing_is_skipped_and_listed_with_what_to_do(tmp_path):
    said = session(tmp_path)
    assert "1 passed, 2 skipped" in said
    listed = said.partition("not tested on this machine")[2]
    assert "1 test: Chromium is not installed" in listed
    assert "'apt install chromium' adds it." in listed
    assert "'apt install bubblewrap' adds it." in listed


@pytest.mark.slow
def test_where_ci_is_set_it_fails(tmp_path):
    said = session(tmp_path, CI="1")
    assert "1 passed, 2 errors" in said
    assert "Where CI is set, no test is skipped for this." in said


@pytest.mark.slow
def test_the_markers_follow_from_the_programs(tmp_path):
    assert "1 passed, 2 deselected" in session(tmp_path, "-m", "not sandbox and not browser")
