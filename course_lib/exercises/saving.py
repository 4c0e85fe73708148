"""Keeping a learner's answers and progress where they outlive a Colab machine."""

import json
import tempfile
import zipfile
from pathlib import Path

from course_lib import colab
from course_lib.exercises.answers import code_cells
from course_lib.exercises.record import FILE, whole_record
from course_lib.exercises.submit import lesson_of
from course_lib.files import state_folder, write_whole

MOUNT = 'from google.colab import drive; drive.mount("/content/drive")'


def save_work() -> None:
    """Save your answers and your progress, and say where they are.

    On Colab the notebook and `progress.json` go into the folder "Synthetic data course" of your
    Drive if it is mounted, and are downloaded as one zip if not; a notebook that lies there already
    and differs is kept as "... (before).ipynb". Elsewhere both are files already, and are left alone.

    Raises:
        OSError: Drive or the disk cannot be written.
    """
    if not colab.here():
        print(
            "Your answers are in this notebook (save it with Ctrl-S or Cmd-S), and what you have "
            f"solved in {state_folder() / FILE}."
        )
        return
    files = {FILE: whole_record().as_json()}
    book = colab.notebook_on_page()
    if book is None:
        print(
            "The page did not hand over the notebook: save it yourself (File, Save a copy in Drive, "
            "or File, Download). Your progress is saved without it."
        )
    else:
        files[f"{_name(book)}.ipynb"] = json.dumps(book, ensure_ascii=False, indent=1)
    folder = colab.drive()
    if folder is None:
        _download(files)
        print(
            f"Downloaded: {' and '.join(files)}. To go on another day, upload {FILE} next to the "
            f"notebook. Easier: mount your Drive with\n    {MOUNT}\nand run this cell again."
        )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _replace(folder / name, content)
        print(f"Saved on your Drive, in {folder.name}: {' and '.join(files)}.")


def _name(book: dict) -> str:
    return lesson_of(code_cells(json.dumps(book).encode())) or "notebook"


def _replace(file: Path, content: str) -> None:
    """Write the file; an older notebook of that name that differs is kept next to it."""
    if file.suffix == ".ipynb" and file.exists() and file.read_text(encoding="utf-8") != content:
        file.replace(file.with_stem(f"{file.stem} (before)"))
    write_whole(file, content)


def _download(files: dict[str, str]) -> None:
    stem = next((name for name in files if name != FILE), FILE).partition(".")[0]
    packed = Path(tempfile.mkdtemp()) / f"{stem}.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    colab.download(packed)
