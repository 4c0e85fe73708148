"""Google Colab: installing the course there, its Drive, and the notebook, which only its page holds.

The virtual machine has no file of the notebook, and everything on it is lost when it ends.
"""

import json
import sys
from pathlib import Path

# Before this cell has run, course_lib is not there to be imported. What pip says is shown as it is.
FIRST_CELL = """\
# @title Only for Google Colab: {purpose}
import sys
from importlib.util import find_spec

if "google.colab" in sys.modules and not find_spec("course_lib"):
    %pip install --quiet "{source}"
    assert find_spec("course_lib"), "{remedy}\""""
# A form on Colab, collapsed in JupyterLab.
FIRST_CELL_METADATA = {"cellView": "form", "jupyter": {"source_hidden": True}}
DRIVE = Path("/content/drive/MyDrive")
FOLDER = "Synthetic data course"  # on Drive


def first_cell(repository: str, branch: str) -> str:
    """The first code cell of a lesson: it installs the course on Colab, and elsewhere does nothing.

    Args:
        repository: "OWNER/NAME" on GitHub, from which the course is fetched as a zip. If it is "",
            the newest wheel or zip that the learner has uploaded is installed.
        branch: the branch of the repository.
    """
    if repository:
        return FIRST_CELL.format(
            purpose="this cell installs the course",
            source=f"course-lib[lessons] @ https://github.com/{repository}/archive/{branch}.zip",
            remedy="The course is not installed. Pip says why, above.",
        )
    return FIRST_CELL.format(
        purpose="upload the course's wheel or zip (folder icon, left), then run this cell",
        source="$(ls -t course_lib-*.whl *.zip 2> /dev/null | head -n 1)[lessons]",
        remedy="Upload the course's wheel or zip, then run this again.",
    )


def here() -> bool:
    """Whether this Python is the kernel of a notebook on Colab."""
    return "google.colab" in sys.modules


def drive() -> Path | None:
    """The course's folder on Google Drive, or None if no Drive is mounted. It need not exist yet."""
    return DRIVE / FOLDER if here() and DRIVE.is_dir() else None


def notebook_on_page() -> dict | None:
    """The notebook as the page shows it, without outputs; None if the page does not answer."""
    from google.colab import _message  # noqa: PLC2701  (what Colab asks the page with; it has no public name)

    try:
        answer = _message.blocking_request("get_ipynb", request="", timeout_sec=30)
        book = json.loads(json.dumps(answer["ipynb"]))
    except Exception:  # the page is closed, or Colab has changed; the caller has other ways
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
