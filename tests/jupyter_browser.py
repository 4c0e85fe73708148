"""A learner's JupyterLab, started by `course.py lab`, and a browser in front of it."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
ARTEFACTS = ROOT / "build" / "browser"
FLAGS = [
    "--no-sandbox",  # a container has no user namespaces; the only page is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Every folder that JupyterLab and IPython would otherwise share with the learner's own work.
FOLDERS = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "IPYTHONDIR",
    "COURSE_STATE",
)
MINUTE = 60_000  # playwright counts in milliseconds


class Lab:
    """A running JupyterLab on a copy of the notebooks."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.token = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def url(self, lesson: str, alone: bool = True) -> str:
        """Where a lesson opens; without another that the workspace remembers, if it is to be alone."""
        address = f"http://127.0.0.1:{self.port}/lab/tree/{lesson}.ipynb?token={self.token}"
        return address + "&reset" * alone

    def setting(self, plugin: str, **values) -> None:
        """Write a user setting; pages opened from now on follow it."""
        path = self.folder / "JUPYTERLAB_SETTINGS_DIR" / plugin
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name + ".jupyterlab-settings").write_text(json.dumps(values))

    def is_up(self) -> bool:
        address = f"http://127.0.0.1:{self.port}/api/status?token={self.token}"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def running_lab(folder: Path, windowed: bool = True, **environment: str):
    """Start `course.py lab` as a learner would, on a copy of the notebooks in `folder`.

    Args:
        windowed: keep only the cells in sight in the page, as JupyterLab does unless told otherwise.
        environment: variables for its kernels, besides this process's own.
    """
    lab = Lab(folder)
    shutil.copytree(
        ROOT / "notebooks", lab.notebooks, ignore=shutil.ignore_patterns(".course", ".ipynb*")
    )
    # A learner's kernel is interactive: progress bars move and figures are redrawn.
    env = {name: value for name, value in os.environ.items() if name != "COURSE_INTERACTIVE"}
    for name in FOLDERS:
        env[name] = str(folder / name)
    env.update(environment)
    lab.setting("@jupyter-widgets/jupyterlab-manager/plugin", saveState=True)
    if not windowed:
        lab.setting("@jupyterlab/notebook-extension/tracker", windowingMode="none")
    log = folder / "lab.log"
    command = [
        *(sys.executable, str(ROOT / "course.py"), "lab", "--no-browser", "--ip=127.0.0.1"),
        *(f"--port={lab.port}", "--ServerApp.port_retries=0", "--allow-root"),
        *(f"--IdentityProvider.token={lab.token}", f"--ServerApp.root_dir={lab.notebooks}"),
    ]
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        limit = time.monotonic() + 240  # course.py may have to bring .venv up to date first
        while not lab.is_up():
            if server.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(
                    "JupyterLab did not come up. Its last words:\n"
                    + log.read_text(encoding="utf-8", errors="replace")[-3000:]
                )
            time.sleep(0.3)
        yield lab
    finally:
        # Nothing is kept of it, and a goodbye to kernel and files takes seconds.
        started = psutil.Process(server.pid)
        for process in [started, *started.children(recursive=True)]:
            process.kill()
        server.wait()


@contextmanager
def browsing(
    chromium: str,
    name: str,
    folder: Path,
    theme: str = "Light",
    book: NotebookNode | None = None,
    alone: bool = True,
    windowed: bool = False,
    **environment: str,
):
    """Open a lesson in a JupyterLab of its own.

    Where something fails in here, a picture of the whole lesson is kept.

    Args:
        chromium: the browser's path.
        folder: where the lab keeps its files.
        book: what to open in place of the lesson's notebook as learners get it.
        alone: leave out what the workspace of a first visit opens besides.
        windowed: keep only the cells in sight in the page, as a learner's JupyterLab does. To look at
            all of a lesson the window must then be as tall as the lesson, and to paint it takes long.
        environment: variables for the lab and its kernels, besides this process's own.
    """
    with running_lab(folder, windowed, **environment) as lab, sync_playwright() as playwright:
        lab.setting("@jupyterlab/apputils-extension/themes", theme=f"JupyterLab {theme}")
        if book is not None:
            nbformat.write(book, lab.notebooks / f"{name}.ipynb")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(MINUTE)
        lesson = Lesson(page, lab, name, alone, windowed)
        try:
            yield lesson
        except BaseException:
            lesson.screenshot(f"{name}-{theme.lower()}")
            raise
        finally:
            browser.close()


class Lesson:
    """A lesson open in the browser; what it does is what a learner could do."""

    def __init__(self, page, lab: Lab, name: str, alone: bool = True, windowed: bool = True):
        self.page, self.name, self.windowed = page, name, windowed
        self.file = lab.notebooks / f"{name}.ipynb"
        self.state = lab.folder / "COURSE_STATE"
        self.problems: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.goto(lab.url(name, alone))
        self.notebook = page.locator(".jp-Notebook")
        self.notebook.wait_for(timeout=2 * MINUTE)
        # The notebook's own status says idle before there is a kernel; the status bar does not.
        page.locator("#jp-main-statusbar", has_text=re.compile(r"\| Idle")).wait_for(
            timeout=2 * MINUTE
        )

    def _heard(self, message) -> None:
        if message.type == "error":  # none is known to be harmless, so none is filtered
            self.problems.append(f"{message.text} ({message.location.get('url', '')})")

    @property
    def prompts(self) -> list[str]:
        """The numbers beside the code cells in sight: "[ ]:", "[*]:" or "[3]:"."""
        prompts = self.notebook.locator(".jp-CodeCell .jp-InputPrompt:not(.jp-Placeholder-prompt)")
        return prompts.all_text_contents()

    def run_all(self, minutes: float) -> None:
        """Run, Run All Cells; then wait until every code cell has a number."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.locator("li[data-command='runmenu:run-all']").click()
        limit = time.monotonic() + 60 * minutes
        while not all(re.fullmatch(r"\[\d+\]:", prompt) for prompt in self.prompts):
            if self.complaints:
                raise AssertionError(f"{self.name} complains:\n" + "\n".join(self.complaints))
            if time.monotonic() > limit:
                raise TimeoutError(f"{self.name} still runs after {minutes:g} min: {self.prompts}")
            self.page.wait_for_timeout(1000)

    def saved(self) -> NotebookNode:
        """Save the lesson, with its outputs and the state of its widgets, and read the file."""
        before = self.file.stat().st_mtime_ns
        self.page.get_by_role("menuitem", name="File", exact=True).click()
        self.page.locator("li[data-command='docmanager:save']").click()
        limit = time.monotonic() + 60
        while self.file.stat().st_mtime_ns == before or self.dirty:
            if time.monotonic() > limit:
                raise TimeoutError(f"{self.name} was not saved within a minute.")
            self.page.wait_for_timeout(200)
        return nbformat.read(self.file, as_version=4)

    @property
    def dirty(self) -> bool:
        """Whether JupyterLab marks the lesson as changed since it was saved."""
        return self.page.locator(".lm-TabBar-tab.jp-mod-dirty").count() > 0

    @property
    def complaints(self) -> list[str]:
        """Tracebacks, and what else was written to stderr: JupyterLab renders them alike."""
        return self.notebook.locator(
            "[data-mime-type='application/vnd.jupyter.stderr'], "
            "[data-mime-type='application/vnd.jupyter.error']"
        ).all_text_contents()

    def accessible_images(self) -> set[str]:
        """The names of all images in the browser's accessibility tree."""
        session = self.page.context.new_cdp_session(self.page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        session.detach()
        return {
            node.get("name", {}).get("value", "").strip()
            for node in nodes
            if node.get("role", {}).get("value") in ("image", "img")
        }

    def contrasts(self, selector: str) -> list[float]:
        """The contrast between each such element's text and what is painted behind it (WCAG 2)."""
        return self.notebook.evaluate(
            f"(e, selector) => [...e.querySelectorAll(selector)].map({CONTRAST})", selector
        )

    def unroll(self) -> None:
        """Bring all cells into the page, where JupyterLab keeps only those in sight."""
        if self.windowed:
            self._be_as_tall_as_the_lesson()

    def _be_as_tall_as_the_lesson(self) -> None:
        width = self.page.viewport_size["width"]
        cells = self.notebook.locator(".jp-WindowedPanel-viewport")
        height = 0
        for _ in range(10):  # what comes into sight may turn out taller than was guessed
            before, height = height, cells.evaluate("e => e.scrollHeight")
            if height == before:
                break
            self.page.set_viewport_size({"width": width, "height": height + 150})
            self.notebook.locator(".jp-WindowedPanel-outer").evaluate("e => { e.scrollTop = 0 }")
            self.page.wait_for_timeout(500)

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the whole lesson."""
        self._be_as_tall_as_the_lesson()
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTEFACTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


CONTRAST = """element => {
  const numbers = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = colour => {
    const [r, g, b] = numbers(colour).slice(0, 3).map(v => v / 255).map(
      v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = element;
  const painted = e => { const c = numbers(getComputedStyle(e).backgroundColor);
                         return c.length === 3 || c[3] === 1; };
  while (behind.parentElement && !painted(behind)) behind = behind.parentElement;
  const text = light(getComputedStyle(element).color);
  const back = light(getComputedStyle(behind).backgroundColor);
  return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
}"""
