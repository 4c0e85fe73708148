"""Bring up to date what the site shows of the course's own runs: executed lessons, and two examples.

It runs in `.venv`, whose versions decide whether a copy is up to date. The copies are those that the tests
make and judge (`tests/executed_copies.py`), with every picture of the panels inside.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from executed_copies import copy_of, surroundings  # noqa: E402

from course_lib.syllabus import course, notebook  # noqa: E402

EXAMPLES = ROOT / "build" / "executed" / "examples"


def main() -> int:
    missing = [book for book in map(notebook, course().lessons.values()) if not has_copy(book)]
    if missing:
        print(f"Executing {len(missing)} lessons, with the pictures of their sliders", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "--frames", *map(str, missing)]
        subprocess.run(command, cwd=ROOT)
    if without := [book.stem for book in missing if not has_copy(book)]:
        print(f"The site was not written: no executed copy of {', '.join(without)}.")
        return 1
    write_examples()
    return 0


def has_copy(book: Path) -> bool:
    return copy_of(book, frames=True) is not None


def write_examples() -> None:
    """Write the example pages, unless those there come from the same code and versions."""
    source = (HERE / "examples.py").read_bytes()
    key = hashlib.sha256(surroundings().encode() + source).hexdigest()
    made_from = EXAMPLES / "made_from"
    if made_from.exists() and made_from.read_text(encoding="utf-8") == key:
        return
    print("Writing an audit and graded feedback as examples", flush=True)
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, HERE / "examples.py", EXAMPLES], cwd=ROOT, check=True)
    made_from.write_text(key, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
