"""Programs that a test may need and that `course.py` cannot install, each a fixture with its name.

A test that asks for `bubblewrap`, `libseccomp` or `chromium` is skipped where that program is missing, with
a sentence that says how to get it. Where CI is set it fails instead: there, everything has to be tested.
The session ends with a list of what was not tested and why.
"""

import ctypes
import os
import shutil
import subprocess
from collections import Counter

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# What bubblewrap must be able to do; inside a container it often may not.
TRIAL = ("--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "true")


def find_bubblewrap() -> str | None:
    """The path of a bubblewrap that works."""
    path = shutil.which("bwrap")
    works = path and not subprocess.run([path, *TRIAL], capture_output=True).returncode
    return path if works else None


def find_libseccomp() -> str | None:
    """The name under which the library can be loaded."""
    name = "libseccomp.so.2"
    try:
        ctypes.CDLL(name)
    except OSError:
        return None
    return name


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def required(found: str | None, otherwise: str) -> str:
    """What was found; without it the test is skipped, or fails where CI is set."""
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{otherwise} Where CI is set, no test is skipped for this.", pytrace=False)
    pytest.skip(otherwise)


@pytest.fixture(scope="session")
def bubblewrap():
    return required(
        find_bubblewrap(),
        "bubblewrap, which walls off what is graded, is not installed or may not make namespaces; "
        "on Debian or Ubuntu 'apt install bubblewrap' adds it.",
    )


@pytest.fixture(scope="session")
def libseccomp():
    return required(
        find_libseccomp(),
        "libseccomp, which filters the system calls of what is graded, is not installed; on Debian "
        "or Ubuntu 'apt install libseccomp2' adds it.",
    )


@pytest.fixture(scope="session")
def walls(bubblewrap, libseccomp):
    """What the sandbox of the grader needs."""


@pytest.fixture(scope="session")
def chromium():
    return required(
        find_chromium(),
        "Chromium is not installed, so no page can be opened in a browser; on Debian or Ubuntu "
        "'apt install chromium' adds it.",
    )


@pytest.fixture(scope="module")
def browser(chromium):
    """Chromium, driven by Playwright, for the pages of one module's tests."""
    from jupyter_browser import FLAGS
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


MARKERS = {"bubblewrap": "sandbox", "chromium": "browser"}


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items):
    for item in items:
        for name in MARKERS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKERS[name])
        if item.path.suffix == ".ipynb":
            item.add_marker("lesson")
            item.add_marker(pytest.mark.timeout(2000))  # notebook_rules.py watches over its cells


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[-1].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section("not tested on this machine")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count} {'test' if count == 1 else 'tests'}: {reason}")
