"""Each lesson as nbval has executed it, kept in build/executed/ with its outputs and widgets.

A copy says what it was made from, so that whoever needs an executed lesson can see whether it is up to
date. None is made at a few steps, nor under Colab's versions. With `--frames` it also holds every picture
that a panel can show, for the course's site; such a run takes longer, so that its minutes are not compared.
"""

import hashlib
import importlib.util
import json
import os
import sys
import sysconfig
from functools import cache
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from figure_descriptions import undescribed
from nbval.plugin import IPyNbCell, IPyNbFile
from notebook_rules import few_steps

ROOT = Path(__file__).parents[1]
KEY = "made_from"
FRAMES = "has_frames"


def copy_of(notebook, frames=False):
    """The executed copy of a notebook, as a path; None unless it was made from what is there now.

    With `frames` only one that holds the pictures of the panels.
    """
    path = _path(notebook)
    if not path.exists():
        return None
    about = nbformat.read(path, as_version=4).metadata
    up_to_date = about.get(KEY) == key_of(notebook) and (about.get(FRAMES) or not frames)
    return path if up_to_date else None


def key_of(notebook):
    """A hash of all that decides a notebook's outputs: itself, the library and every version."""
    digest = hashlib.sha256(Path(notebook).read_bytes())
    digest.update(surroundings().encode())
    return digest.hexdigest()


@cache
def surroundings():
    """A hash of the library's files and of the installed versions."""
    digest = hashlib.sha256(sys.version.encode())
    # Not all of sys.path: setuptools, once imported, adds its own packages to it.
    folders = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    versions = sorted(f"{d.name}=={d.version}" for d in metadata.distributions(path=list(folders)))
    digest.update(json.dumps(versions).encode())
    for file in sorted((ROOT / "course_lib").rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()


def _path(notebook):
    return ROOT / "build" / "executed" / Path(notebook).name


class Recording:
    """Listens to a notebook's kernel while nbval runs its cells, and puts together their outputs.

    nbclient knows what a message means for the outputs and for the state of the widgets.
    """

    def __init__(self, file: IPyNbFile):
        from nbclient import NotebookClient

        self.notebook = file.path
        self.book = nbformat.read(file.path, as_version=4)
        self.code_cells = [cell for cell in self.book.cells if cell.cell_type == "code"]
        self.running = 0  # the index among the code cells
        self.passed = 0
        self.request = None  # the message that asked for the running cell
        self.client = NotebookClient(self.book, record_timing=False)
        self.client.reset_execution_trackers()
        self.get_message = file.get_kernel_message
        file.get_kernel_message = self.listen

    def begin(self, number):
        """Take what comes from now on for outputs of the code cell with this index."""
        self.running = number
        self.client.clear_before_next_output = False

    def listen(self, timeout=None, stream="iopub"):
        """In place of nbval's own method: get the next message, and take part in it."""
        message = self.get_message(timeout, stream)
        kind, request = message["msg_type"], message["parent_header"].get("msg_id")
        if kind == "execute_input":
            self.request = request
        if kind.startswith("comm") or (kind != "status" and request == self.request):
            cell = self.code_cells[self.running]
            self.client.process_message(message, cell, self.book.cells.index(cell))
        return message

    @property
    def complete(self):
        return self.passed == len(self.code_cells)

    def keep(self):
        frames = bool(os.environ.get("COURSE_FRAMES"))
        if not frames and copy_of(self.notebook, frames=True):
            return  # what is there says the same and holds more
        self.client.set_widgets_metadata()
        self.book.metadata |= {KEY: key_of(self.notebook), FRAMES: frames}
        path = _path(self.notebook)
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(self.book, path)


RECORDING = pytest.StashKey[Recording]()


def on_colab():
    """Whether this is `course.py test --colab`."""
    try:
        return importlib.util.find_spec("google.colab") is not None
    except ModuleNotFoundError:  # there is no google either
        return False


def pytest_configure(config):
    if not few_steps(config) and not on_colab():
        config.pluginmanager.register(Recorder(), "executed-copies")


class Recorder:
    """Makes the copies, and fails a notebook that shows a picture without a description."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        if isinstance(item, IPyNbCell):
            stash = item.parent.stash
            if RECORDING not in stash:
                stash[RECORDING] = Recording(item.parent)
            stash[RECORDING].begin(item.cell_num)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if not isinstance(item, IPyNbCell) or call.when != "call" or not report.passed:
            return report
        recording = item.parent.stash[RECORDING]
        recording.passed += 1
        if recording.complete:
            recording.keep()
            if places := undescribed(recording.book):
                report.outcome = "failed"
                report.longrepr = f"{item.nodeid}: pictures without a description: {places}"
        return report
