"""The feedback pages as an LMS takes them back in bulk: one zip, one file a student."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from course_lib.files import write_whole
from course_lib.grading.lms import canvas, moodle
from course_lib.grading.result import Result

# Of a student's name, what their systems do not read as the end of a part, or as a folder.
UNSAFE = str.maketrans(dict.fromkeys('_/\\:*?"<>|', " "))


def moodle_name(result: Result) -> str:
    """The folder in which Moodle's `assignfeedback_file` looks for a participant's feedback: "<full
    name>_<participant>_assignsubmission_file", as in its own download."""
    name = " ".join(result.student.translate(UNSAFE).split()) or "Participant"
    return f"{name}_{result.student_id}_assignsubmission_file/feedback.html"


def canvas_name(result: Result) -> str:
    """The name by which Canvas finds student and file: its own name for what it gave, with another
    ending; "" where it gave none. Its re-upload takes the first two numbers between underscores."""
    for part in result.source.split("/"):
        if any(way.id == result.student_id and way.file for way in canvas.parse(part)):
            return f"{Path(part).stem}.feedback.html"
    return ""


def write_returned(folder: Path, pages: Iterable[tuple[Result, str]]) -> list[Path]:
    """Write `feedback_moodle.zip` and `feedback_canvas.zip` for those students that came from there.

    Returns:
        The files that were written.
    """
    files: dict[str, dict[str, str]] = {"moodle": {}, "canvas": {}}
    for result, page in pages:
        if result.layout == moodle.LAYOUT.name and result.student_id.isdecimal():
            files["moodle"][moodle_name(result)] = page
        if result.layout == canvas.LAYOUT.name and (name := canvas_name(result)):
            files["canvas"][name] = page
    written = []
    for system, pages_of in files.items():
        if pages_of:
            path = folder / f"feedback_{system}.zip"
            write_whole(path, packed(pages_of))
            written.append(path)
    return written


def packed(files: Mapping[str, str]) -> bytes:
    """A zip of these files that is the same whenever it is made."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text.encode("utf-8", "replace"))
    return body.getvalue()
