"""Google Colab: whether this is it, its Drive, and the notebook that only its page has.

The virtual machine does not hold the notebook's file, and forgets everything at its end.
"""

import json
import sys
from pathlib import Path

# Before this cell has run there is no course, so it imports nothing of it.
FIRST_CELL = """\
# @title On Google Colab this installs the course. Elsewhere it does nothing.
import importlib.util
import subprocess
import sys
import time

if "google.colab" in sys.modules and not importlib.util.find_spec("course_lib"):
    {source}
    started = time.perf_counter()
    command = [sys.executable, "-m", "pip", "install", f"course-lib[lessons] @ {{source}}"]
    pip = subprocess.run(command, capture_output=True, text=True)
    if pip.returncode:
        raise RuntimeError(f"The course could not be installed from {{source}}:\\n{{pip.stderr[-800:]}}")
    importlib.invalidate_caches()
    print(f"{{pip.stdout.splitlines()[-1]}} from {{source}} in {{time.perf_counter() - started:.0f}} s")"""
FROM_REPOSITORY = 'source = "https://github.com/{repository}/archive/{branch}.zip"'
FROM_UPLOAD = """\
uploaded = [*Path().glob("course_lib-*.whl"), *Path().glob("*.zip")]
    if not uploaded:
        raise FileNotFoundError(
            "This copy of the course does not say where it can be fetched from. Open the folder "
            "icon on the left, upload the course's wheel (course_lib-....whl) or the zip of its "
            "repository, and run this cell again."
        )
    source = uploaded[0].resolve().as_uri()"""
DRIVE = Path("/content/drive/MyDrive")
FOLDER = "Synthetic data course"  # on Drive


def first_cell(repository: str, branch: str) -> str:
    """The first code cell of a lesson, which installs the course on Colab and nothing else there.

    Args:
        repository: "OWNER/NAME" on GitHub, from which the course is fetched as a zip; where it is
            "", a wheel or zip that the learner has uploaded is taken.
        branch: the branch of the repository.
    """
    if repository:
        source = FROM_REPOSITORY.format(repository=repository, branch=branch)
        return FIRST_CELL.format(source=source)
    cell = FIRST_CELL.format(source=FROM_UPLOAD)
    return cell.replace("import time\n", "import time\nfrom pathlib import Path\n")


def here() -> bool:
    """Whether this Python is the kernel of a notebook on Colab."""
    return "google.colab" in sys.modules


def drive() -> Path | None:
    """The course's folder on Google Drive where it is mounted, else None. It need not exist yet."""
    return DRIVE / FOLDER if here() and DRIVE.is_dir() else None


def notebook() -> dict | None:
    """The notebook as it stands on the page, outputs left out; None if the page does not answer."""
    from google.colab import _message  # what Colab itself asks the page with; it has no public name

    try:
        answer = _message.blocking_request("get_ipynb", request="", timeout_sec=30)
        book = json.loads(json.dumps(answer["ipynb"]))
    except Exception:  # the page is closed, or Colab has changed: there are other ways
        return None
    if not isinstance(book, dict) or not isinstance(book.get("cells"), list):
        return None
    for cell in book["cells"]:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            cell.update(outputs=[], execution_count=None)
    return book


def download(file: Path) -> None:
    """Let the browser save `file`."""
    from google.colab import files

    files.download(str(file))
