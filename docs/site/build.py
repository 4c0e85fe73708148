"""Write the course's site: from executed lessons and the course's own files, pages that need no server.

`python course.py site` calls it, after executed.py. What has not changed is not written again, and Sphinx
builds only what was written.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import pages  # noqa: E402
import records  # noqa: E402
from lessons import lesson_page  # noqa: E402
from panels import write_changed  # noqa: E402
from words import linker, links_kept  # noqa: E402

from course_lib.syllabus import Lesson, course  # noqa: E402

# Pages in docs/; package.md is the package index's.
GUIDES = ("anywhere", "audit", "capstone", "colab", "data", "gpu", "instructor", "pipeline")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the course's site.")
    parser.add_argument("--copies", type=Path, default=ROOT / "build" / "executed")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--lessons", nargs="*", help="only these, for a trial")
    parser.add_argument(
        "--no-api", action="store_true", help="leave out the reference, for a trial"
    )
    args = parser.parse_args()
    lessons = [x for x in course().lessons.values() if not args.lessons or x.id in args.lessons]
    source = args.out / "source"
    written = write_source(source, lessons, args.copies, api=not args.no_api)
    drop_others(source, written)
    from sphinx.cmd.build import build_main

    html = args.out / "html"
    settings = ["-b", "html", "-c", str(HERE), "-d", str(args.out / "doctrees"), "-q", "-j", "2"]
    settings += ["-D", f"html_static_path={source / '_static'}"]
    extra = args.copies / "examples"
    code = build_main([*settings, str(source), str(html)])
    if not code and extra.is_dir():
        for file in extra.glob("*.html"):
            (html / "examples").mkdir(exist_ok=True)
            shutil.copy2(file, html / "examples")
    return code


def write_source(source: Path, lessons: list[Lesson], copies: Path, api: bool) -> set[Path]:
    """Write all that Sphinx reads, and return the files."""
    static = source / "_static"
    written = set()

    def write(name: str, text: str) -> None:
        write_changed(source / name, text.encode())
        written.add(source / name)

    terms = pages.glossary()
    mirrored = dict(mirrored_pages())
    names = {f"notebooks/{x.id}.ipynb" for x in lessons} | mirrored.keys() | {"data/index.md"}
    repository, branch = course().repository, course().branch

    def kept(text: str, place: str) -> str:
        return links_kept(text, place, names, repository, branch)

    shown = []
    for lesson in lessons:
        name = f"notebooks/{lesson.id}.ipynb"
        link = linker(pages.spellings(terms, lesson.id))
        page = lesson_page(
            lesson, copies / f"{lesson.id}.ipynb", static, lambda t, n=name, k=link: k(kept(t, n))
        )
        shown.append(page)
        write(name, nbformat.writes(page.book))
    for name, file in mirrored.items():
        write(name, kept(file.read_text(encoding="utf-8"), name))
    audited = copies / "examples" / "audited.txt"
    has_examples = audited.exists()
    by_id = {lesson.id: lesson for lesson in lessons}
    write("index.md", pages.start_page(shown, static, has_examples))
    write("notebooks/index.md", pages.lesson_index(lessons))
    write("path.md", pages.path_page(lessons))
    write("glossary.md", pages.glossary_page(terms, by_id))
    write("measures.md", pages.measures_page())
    write("data/index.md", pages.data_index(sorted((ROOT / "data").glob("*.md"))))
    results = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    readme = mirrored["benchmarks/README.md"].read_text(encoding="utf-8")
    write("benchmarks/results.md", records.index_page(results, readme))
    for file in results:
        write(f"benchmarks/results/{file.stem}.md", records.record_page(file, readme))
    write("more.md", pages.more_page(has_examples))
    if has_examples:
        write("examples.md", pages.examples_page(audited.read_text(encoding="utf-8")))
    for name, text in pages.api_pages() if api else [("api/index.md", "# The library\n")]:
        write(name, text)
    for file in sorted((ROOT / "benchmarks" / "results").glob("*.png")):
        write_changed(source / file.relative_to(ROOT), file.read_bytes())
    for file in sorted((HERE / "static").iterdir()):
        write_changed(static / file.name, file.read_bytes())
    return written


def mirrored_pages() -> Iterator[tuple[str, Path]]:
    """Pages that lie in the checkout as they are, by the name that they keep."""
    for file in [
        *(ROOT / "docs" / f"{name}.md" for name in GUIDES),
        *sorted((ROOT / "data").glob("*.md")),
        ROOT / "benchmarks" / "README.md",
        ROOT / "CHANGELOG.md",
    ]:
        yield file.relative_to(ROOT).as_posix(), file


def drop_others(source: Path, written: set[Path]) -> None:
    """Remove pages of an earlier build that are no more; pictures that nobody shows do no harm."""
    for file in [*source.rglob("*.md"), *source.rglob("*.ipynb")]:
        if file not in written:
            file.unlink()


if __name__ == "__main__":
    sys.exit(main())
