"""Start JupyterLab for a learner, or find the one that runs: `course.py lab` calls this in notebooks/."""

import json
import os
import secrets
import sys
import threading
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from course_lib.files import last_lesson, state_folder
from course_lib.syllabus import course

HERE = Path(__file__).parent
TOC = "@jupyterlab/toc:plugin"  # the name of the table of contents in a layout
# Arguments that a Lab which runs already can serve as well as a new one.
HARMLESS = ("--allow-root", "--no-browser")
ROOT = """\
You are the administrator of this machine (root), and whoever reaches your JupyterLab could change
all of it. Start it as another user; in a container of your own, say that you know, with one of

    course-lib lab -- --allow-root{more}
    python course.py lab --allow-root{more}"""
NO_SCREEN = """\
No browser can be opened from here: open the address in one on this machine. To reach it from
another one, start there first: ssh -L {port}:localhost:{port} USER@THIS_MACHINE"""


def main(arguments: Sequence[str]) -> int:
    """Open the lesson where the learner left off, and return the exit status.

    Args:
        arguments: those that JupyterLab is to get besides.
    """
    path = f"lab/tree/{opened()}.ipynb"
    screen = has_screen(os.environ, sys.platform)
    shown = screen and "--no-browser" not in arguments
    if set(arguments) <= set(HARMLESS) and (server := running(Path.cwd())):
        tell("JupyterLab runs already:", address(server["url"], server["token"], path), shown)
        return 0
    if is_root() and not any("allow-root" in a or "allow_root" in a for a in arguments):
        print(ROOT.format(more="" if screen else " --no-browser"), file=sys.stderr)
        return 1
    set_up(os.environ)
    with only_in_log(state_folder() / "lab.log") as terminal:
        from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

        wanted = {
            "--ServerApp.answer_yes": True,  # its question would go into the log
            "--ServerApp.open_browser": False,  # `tell` does it
            "--LabApp.default_url": f"/{path}",
        }
        given = {argument.partition("=")[0] for argument in arguments}
        ours = [f"{name}={value}" for name, value in wanted.items() if name not in given]
        server_app = LabApp.initialize_server([*ours, *arguments])
        url = address(server_app.connection_url, server_app.identity_provider.token, path)
        tell("JupyterLab runs (Ctrl-C in this window ends it):", url, shown, terminal)
        if not screen:
            print(NO_SCREEN.format(port=server_app.port), file=terminal, flush=True)
        server_app.start()
        print("JupyterLab has ended.", file=terminal, flush=True)
    return 0


def opened() -> str:
    """The lesson to open: the one that was started last, at first the first."""
    last = last_lesson()
    return last if last in course().lessons else min(course().lessons)


def has_screen(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a browser with windows can be opened."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME")
    return not platform.startswith("linux") or any(environment.get(name) for name in names)


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def running(folder: Path) -> dict | None:
    """What Jupyter knows of a server that runs in this folder, or None."""
    from jupyter_server.serverapp import list_running_servers

    return next(
        (s for s in list_running_servers() if Path(s["root_dir"]).resolve() == folder.resolve()),
        None,
    )


def address(url: str, token: str, path: str) -> str:
    """Where a lesson opens in a browser; `url` ends with a slash."""
    return f"{url}{path}?token={token}" if token else f"{url}{path}"


def tell(what: str, url: str, shown: bool, terminal: TextIO = sys.stdout) -> None:
    """Print the address, and open it where somebody can see it."""
    print(f"{what}\n\n    {url}\n", file=terminal, flush=True)
    if shown:
        # Beside the server: some browsers return only when they are closed.
        threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()


def set_up(environment: dict[str, str] | os._Environ) -> None:
    """Put the course's settings in front of the learner's own, and lay out the windows of a first visit."""
    for name, folder in (("JUPYTER_CONFIG_PATH", "config"), ("JUPYTER_PATH", "data")):
        paths = [str(HERE / folder), environment.get(name, "")]
        environment[name] = os.pathsep.join(filter(None, paths))
    environment.setdefault("JUPYTER_TOKEN", secrets.token_hex(16))  # else Jupyter prints its own
    workspaces = environment.setdefault(
        "JUPYTERLAB_WORKSPACES_DIR", str((state_folder() / "workspaces").resolve())
    )
    if not any(Path(workspaces).glob("*")):
        from jupyterlab_server.workspaces_handler import WorkspacesManager

        WorkspacesManager(workspaces).save("default", json.dumps(workspace(opened())))


def workspace(lesson: str) -> dict:
    """JupyterLab's own description of its windows: the lesson, and beside it the table of contents."""
    widget = f"notebook:{lesson}.ipynb"
    layout = {
        "main": {
            "dock": {"type": "tab-area", "currentIndex": 0, "widgets": [widget]},
            "current": widget,
        },
        "left": {
            "collapsed": False,
            "visible": True,
            "current": TOC,
            "widgets": ["filebrowser", "running-sessions", TOC],
        },
        "right": {"collapsed": True, "visible": True, "widgets": []},
        "relativeSizes": [0.22, 0.78, 0],
    }
    opens = {"path": f"{lesson}.ipynb", "factory": "Notebook"}
    return {
        "data": {"layout-restorer:data": layout, widget: {"data": opens}},
        "metadata": {"id": "default"},
    }


@contextmanager
def only_in_log(log: Path) -> Iterator[TextIO]:
    """Send what this process and its children print to a log; yields the terminal.

    Where the block fails, the log is shown: it says why.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with log.open("w", encoding="utf-8") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    terminal = os.fdopen(os.dup(kept[0]), "w", encoding="utf-8", errors="replace")
    failed = True
    try:
        yield terminal
        failed = False
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in enumerate(kept, start=1):
            os.dup2(saved, number)
            os.close(saved)
        if failed:
            print(log.read_text(encoding="utf-8", errors="replace")[-4000:], file=sys.stderr)
        terminal.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
