"""The command `course-lib`; `python course.py VERB` hands its verbs to it."""

import argparse
import csv
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pathlib import Path

# Each verb imports what it needs when it runs, so that --help and --version answer at once.


def _progress(args: argparse.Namespace) -> int:
    """show which exercises are solved"""
    from course_lib.exercises import progress as table

    print(table().to_string())
    return 0


def _lab(args: argparse.Namespace) -> int:
    """copy the lessons to a folder of your own, and open them in JupyterLab"""
    from importlib.util import find_spec
    from subprocess import run

    from course_lib.lab.copies import copy_lessons

    folder = _own_folder(args.folder)
    try:
        copied = copy_lessons(folder)
    except OSError as error:
        print(f"course-lib lab: {error}", file=sys.stderr)
        return 2
    if copied:
        print(f"{len(copied)} lessons are now in {folder}.", flush=True)
    if args.copy_only:
        return 0
    if not find_spec("jupyterlab"):
        text = 'JupyterLab is missing. This installs it: pip install "course-lib[lab]"'
        print(f"course-lib lab: {text}", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "course_lib.lab.server", *args.more]
    try:
        return run(command, cwd=folder, env={**os.environ, "PYTHONUTF8": "1"}).returncode
    except KeyboardInterrupt:
        return 130


def _lab_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "No file that is in the folder is changed. What stands after -- goes to JupyterLab. "
        "Example: course-lib lab my-course -- --no-browser --port 8890"
    )
    _folder_argument(parser)
    parser.add_argument("--copy-only", action="store_true", help="copy the lessons, open nothing")


def _update(args: argparse.Namespace) -> int:
    """bring new lessons and new versions to your folder; what you wrote stays as it is"""
    from course_lib.lab.copies import is_copy, update_lessons

    folder = _own_folder(args.folder)
    if not is_copy(folder):
        text = (
            f"No lessons were copied to {folder}. This does it: course-lib lab {args.folder or ''}"
        )
        print(f"course-lib update: {text.rstrip()}", file=sys.stderr)
        return 2
    try:
        done = update_lessons(folder)
    except OSError as error:
        print(f"course-lib update: {error}", file=sys.stderr)
        return 2
    said = {
        "copied": "new",
        "replaced": "replaced by a new version (you had written nothing in it)",
        "beside": "a new version, next to yours, which is as it was",
    }
    for how, names in done.items():
        for name in names:
            print(f"{name}: {said[how]}")
    if not any(done.values()):
        print("Every lesson is up to date.")
    print("To get later lessons, first: pip install --upgrade course-lib")
    return 0


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A lesson in which you have written nothing is replaced. Next to any other one a new version is "
        "put as NAME.new.ipynb. To get a lesson fresh, rename or delete yours and update."
    )
    _folder_argument(parser)


FOLDER = "synthetic-data-course"


def _folder_argument(parser: argparse.ArgumentParser) -> None:
    text = f"where your lessons are (this folder if they are here, else {FOLDER} in it)"
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help=text)


def _own_folder(name: str | None) -> "Path":
    from pathlib import Path

    from course_lib.lab.copies import is_copy

    here = Path.cwd()
    return here / name if name else here if is_copy(here) else here / FOLDER


def _sync(args: argparse.Namespace) -> int:
    """write the lessons' header cells and the README's table from syllabus.toml"""
    from course_lib.sync import ROOT, write_all

    if not (ROOT / "pyproject.toml").exists():
        print("course-lib sync: this needs a checkout of the course.", file=sys.stderr)
        return 2
    return write_all(check=args.check)


def _sync_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing; fail if outdated")


def _new(args: argparse.Namespace) -> int:
    """write a new lesson: notebook, syllabus entry, exercise module and quiz, to be filled in"""
    from course_lib.new import ROOT, NewLessonError, new_lesson, placeholders

    try:
        written = new_lesson(args.lesson, args.title)
    except (NewLessonError, OSError) as error:
        print(f"course-lib new: {error}", file=sys.stderr)
        return 2
    for file in written:
        print(f"written: {file.relative_to(ROOT)}")
    open_ = placeholders(args.lesson)
    print(f"{sum(open_.values())} places marked TODO(lesson) wait for your words, in")
    for name, count in open_.items():
        print(f"  {name}: {count}")
    print(
        "CONTRIBUTING.md lists what a lesson must keep to. `python course.py test` passes already."
    )
    return 0


def _new_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = 'Example: course-lib new 11_privacy --title "Audit privacy"'
    parser.add_argument("lesson", help="two digits and a name, such as 11_privacy")
    parser.add_argument("--title", required=True, help="what the header and the README call it")


def _repo(args: argparse.Namespace) -> int:
    """say on which GitHub repository the course is: badges, links and Colab's cells follow"""
    from course_lib.syllabus import course
    from course_lib.sync import ROOT, set_repository

    if not (ROOT / "pyproject.toml").exists():
        print("course-lib repo: this needs a checkout of the course.", file=sys.stderr)
        return 2
    if args.repository is None and not args.clear:
        now = course()
        print(f"{now.repository} (branch {now.branch})" if now.repository else "None is set.")
        return 0
    try:
        return set_repository("" if args.clear else args.repository, args.branch)
    except ValueError as error:
        print(f"course-lib repo: {error}", file=sys.stderr)
        return 2


def _repo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Without a name it shows the present one. For a fork, once: course-lib repo OWNER/NAME, "
        "then commit what it wrote."
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("repository", nargs="?", metavar="OWNER/NAME", help="such as ada/course")
    group.add_argument("--clear", action="store_true", help="no repository: learners upload a zip")
    parser.add_argument("--branch", default="main", help="the branch that learners get (main)")


def _audit(args: argparse.Namespace) -> int:
    """compare a synthetic table with the real one: fidelity, utility, bias, privacy"""
    from dataclasses import replace
    from pathlib import Path

    from course_lib.audit import AuditError, Link, audit_folders
    from course_lib.audit import audit as run
    from course_lib.audit.arrays import audit_rows, holds_rows
    from course_lib.audit.files import read_table
    from course_lib.audit.large import SAMPLE, audit_files, is_large
    from course_lib.audit.policy import named

    try:
        for name in filter(None, (args.html, args.json)):
            if not Path(name).resolve().parent.is_dir():
                raise AuditError(f"There is no folder {Path(name).resolve().parent} to write to.")
            if Path(name).is_dir():
                raise AuditError(f"{name} is a folder: name a file in it to write to.")
        policy = named(args.policy) if args.policy else None
        schema = _pairs(args.schema, "schema", "income=number,postcode=category") or None
        options: dict[str, Any] = {
            "label": args.label,
            "positive": args.positive,
            "sensitive": _split(args.sensitive),
            "entity": args.entity,
            "aux": _split(args.aux),
            "bands": _bands(args.bands),
            "groups_of": args.groups_of or 2,
            "margins": {
                name: _number(value, name)
                for name, value in _pairs(args.margin, "margin", "label_rate=0.1").items()
            },
            "seed": args.seed,
            "list_rows": not args.hide_rows,
            "nearest": args.nearest,
            "progress": not args.quiet,
        }
        files = {"real": args.real, "holdout": args.holdout, "synthetic": args.synthetic}
        files = {part: name for part, name in files.items() if name}
        arrays = not args.link and any(map(holds_rows, files.values()))
        (_refuse_table_options if arrays else _refuse_what_has_no_effect)(args)
        if args.link or arrays:
            _refuse_workers(args)
        if args.link:
            link = Link.parse(args.link)
            report = audit_folders(
                link, args.real, args.holdout, args.synthetic, schema=schema, **options
            )
            files = {
                f"{part} {table}": str(file)
                for part, folder in files.items()
                for table, file in link.files(folder).items()
            }
        elif arrays:
            options = {name: options[name] for name in ("margins", "seed", "progress")}
            report = audit_rows(
                args.real, args.holdout, args.synthetic, features=args.features, **options
            )
        elif args.features:
            raise AuditError("--features is for arrays (.npz, .npy) and folders of pictures.")
        elif args.sample is not None or args.cluster or any(map(is_large, files.values())):
            if args.workers is not None and args.cluster:
                raise AuditError("--workers has no effect with --cluster: the cluster has its own.")
            for name, instead in IN_MEMORY.items():
                if getattr(args, name):
                    raise AuditError(
                        f"--{name} needs the rows in memory, and these are read in batches. Leave "
                        "out --sample and --cluster, if you gave them. Of tables that are too large, "
                        f"{instead}."
                    )
                del options[name]
            report = audit_files(
                args.real,
                args.holdout,
                args.synthetic,
                schema,
                sample=SAMPLE if args.sample is None else args.sample,
                workers=args.workers,
                cluster=args.cluster,
                **options,
            )
        else:
            _refuse_workers(args)
            tables = {part: read_table(name) for part, name in files.items()}
            report = run(
                tables["real"], tables.get("holdout"), tables["synthetic"], schema, **options
            )
        report = replace(report, about={**report.about, **_provenance(files)})
        print(report)
        strictness = policy or ("fail" if args.fail_on == "never" else args.fail_on)
        gate = report.gate(strictness)
        if policy:
            print(f"Policy {policy.name}: {'passed' if gate else 'failed'}. {policy.says}".rstrip())
            for cause in gate.causes[:CAUSES]:
                print(f"  {cause}")
            if len(gate.causes) > CAUSES:
                print(f"  and {len(gate.causes) - CAUSES:,} more")
        if args.html:
            report.to_html(args.html, policy)
            print(f"The whole report: {args.html}")
        if args.json:
            report.to_json(args.json, strictness)
    except (AuditError, OSError) as error:
        print(f"course-lib audit: {_as_options(str(error))}", file=sys.stderr)
        return 2
    except Exception:
        print("course-lib audit: this is a fault in the audit itself:", file=sys.stderr)
        traceback.print_exc()
        return 3
    return 0 if (args.fail_on == "never" and not policy) or gate else 1


# What an audit in batches cannot do, and what to do instead.
IN_MEMORY = {
    "entity": "keep one row of each person in each file, and audit those; or audit some of the persons, "
    "each with all rows, as one file of each table",
    "nearest": "show them of a part of the rows, as one file of each table",
}
TABLES_ONLY = (
    "label",
    "positive",
    "sensitive",
    "bands",
    "entity",
    "aux",
    "schema",
    "groups_of",
    "sample",
    "cluster",
    "nearest",
)


def _refuse_table_options(args: argparse.Namespace) -> None:
    from course_lib.audit import AuditError

    if given := [f"--{name.replace('_', '-')}" for name in TABLES_ONLY if getattr(args, name)]:
        raise AuditError(
            f"{', '.join(given)}: only tables have columns. The classes of arrays are read from the array "
            "y in the .npz, those of pictures from the names of the folders that they are in."
        )


def _refuse_what_has_no_effect(args: argparse.Namespace) -> None:
    """Raises AuditError for an option without another one that it needs, or next to one that ignores it."""
    from course_lib.audit import AuditError

    if args.positive is not None and not args.label:
        raise AuditError("--positive is a level of the label: name the label, too, with --label.")
    if args.groups_of and not args.sensitive:
        raise AuditError("--groups-of combines sensitive columns: name them with --sensitive.")
    batches = [f"--{name}" for name in ("sample", "cluster") if getattr(args, name) is not None]
    if args.link and batches:
        raise AuditError(
            f"{' and '.join(batches)}: linked tables are read as a whole. Leave that out, or audit each "
            "table by itself without --link."
        )


def _refuse_workers(args: argparse.Namespace) -> None:
    """Raises AuditError for processes that would read batches, where there are none."""
    from course_lib.audit import AuditError

    if args.workers is not None:
        raise AuditError(
            "--workers has no effect here: it is for tables that are read in batches. Leave it out; tables "
            "in files are read in batches with --sample."
        )


def _as_options(message: str) -> str:
    """A message of the library with its arguments written as the shell's options.

    >>> _as_options("seed=-3 must be 0 or larger."), _as_options("There is no 'x' for entity=.")
    ("--seed -3 must be 0 or larger.", "There is no 'x' for --entity.")
    """

    def option(found: re.Match[str]) -> str:
        value = f" {found['value']}" if found["value"] else ""
        return f"{found['before']}--{found['name'].replace('_', '-')}{value}"

    names = "aux|entity|groups_of|nearest|positive|sample|schema|seed|workers"
    return re.sub(
        rf"(?P<before>^|for |by )(?P<name>{names})=(?P<value>'[^']*'|-?\w*)", option, message
    )


CAUSES = 10  # that are printed of why a policy stops the rows


def _provenance(parts: Mapping[str, str]) -> dict[str, object]:
    """Which files were audited, and when."""
    import hashlib
    from datetime import date
    from pathlib import Path

    files = {}
    for part, name in parts.items():
        path = Path(name)
        read = sorted(path.rglob("*")) if path.is_dir() else [path]
        digest, found = hashlib.sha256(), False
        for each in read:
            if each.is_file():  # not a pipe, which has been read
                found = True
                with each.open("rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
        if found:
            files[part] = {"name": path.name, "sha256": digest.hexdigest()}
    return {"files": files, "date": date.today().isoformat()}


def _pairs(text: str, option: str, example: str) -> dict[str, str]:
    from course_lib.audit import AuditError

    parts = [part.split("=", 1) for part in _split(text)]
    if any(len(part) < 2 for part in parts):
        raise AuditError(f"--{option} wants names and values, as in --{option} {example}")
    return {name.strip(): value.strip() for name, value in parts}


def _split(text: str) -> list[str]:
    """The parts of a list with commas; one that holds a comma itself stands in quotation marks."""
    parts = next(csv.reader([text], skipinitialspace=True), [])
    return [part.strip() for part in parts if part.strip()]


def _bands(texts: Sequence[str]) -> dict[str, list[float]]:
    """Of each column, where its groups begin: age=18,30,65, in one text for each column."""
    from course_lib.audit import AuditError

    bands = {}
    for text in texts:
        name, equals, edges = text.rpartition("=")
        if not equals or not name.strip():
            raise AuditError(
                f"--bands {text}: it wants a column and numbers, as in --bands age=18,30,65"
            )
        bands[name.strip()] = [_number(edge, name, "bands") for edge in _split(edges)]
    return bands


def _number(value: str, name: str, option: str = "margin") -> float:
    from course_lib.audit import AuditError

    try:
        return float(value)
    except ValueError:
        raise AuditError(f"--{option} {name}={value}: '{value}' is not a number.") from None


def _audit_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.epilog = (
        "Exit status: 0 clean, 1 findings as serious as --fail-on or --policy says, 2 bad input, 3 a fault "
        "in the audit itself. A name that holds a comma stands in quotation marks. "
        "Example: course-lib audit real.csv synthetic.csv --label approved --sensitive "
        "sex,ethnicity --html report.html"
    )
    add(
        "real",
        help="the real rows that the generator learnt from: CSV, Parquet, or a folder of such files; "
        "an array (.npz, .npy) or a folder of pictures",
    )
    add("synthetic", help="the rows that it made")
    add(
        "--holdout",
        metavar="FILE",
        help="real rows that the generator has not seen, a file or folder like the others (else some "
        "of the real rows are set aside)",
    )
    add("--label", metavar="COLUMN", help="the column that is to be predicted")
    add("--positive", metavar="LEVEL", help="the label's level that counts, such as yes")
    add(
        "--sensitive",
        metavar="COLUMNS",
        default="",
        help="columns whose groups are compared, such as sex,age",
    )
    add(
        "--bands",
        metavar="COLUMN=N,N,...",
        action="append",
        default=[],
        help="where the groups of a sensitive number begin (else its quarters), such as age=18,30,65; it "
        "may be repeated",
    )
    add(
        "--groups-of",
        type=int,
        choices=[1, 2, 3],
        help="how many sensitive columns are combined at most (2)",
    )
    add(
        "--link",
        metavar="TABLE.KEY=TABLE.KEY",
        help="of two folders: which column of one table names the rows of another one, such as "
        "orders.customer_id=customers.id",
    )
    add("--entity", metavar="COLUMN", help="rows with one value of it belong to one person")
    add(
        "--aux",
        metavar="COLUMNS",
        default="",
        help="columns that an attacker may know of people: from these the others are guessed",
    )
    add(
        "--features",
        metavar="MODULE:FUNCTION",
        help="of arrays and pictures: what turns the rows into features, which are compared instead",
    )
    add(
        "--schema",
        metavar="COLUMN=KIND,...",
        default="",
        help="what a column is, if misjudged: number, category, date, text or identifier",
    )
    add(
        "--margin",
        metavar="METRIC=NUMBER,...",
        default="",
        help="the smallest effect that matters, such as label_rate=0.1",
    )
    add("--html", metavar="FILE", help="write the report as one page")
    add("--json", metavar="FILE", help="write the report for a program")
    strict = parser.add_mutually_exclusive_group()
    strict.add_argument(
        "--fail-on",
        choices=["fail", "warn", "never"],
        default="fail",
        help="the mildest verdict that gives the exit status 1 (fail); never: always 0",
    )
    strict.add_argument(
        "--policy",
        metavar="NAME",
        help="research, internal or release; or one of your own: FILE.toml, FILE.toml#NAME",
    )
    add("--seed", type=int, default=0, help="of splits, samples and resampling (0)")
    add(
        "--sample",
        type=int,
        metavar="ROWS",
        help="read files of any size in batches, and count all rows; what cannot be counted is said of so "
        "many of each table, drawn at random (50000). Folders of tables (but for --link) and files over "
        "1 GB are always read so",
    )
    add("--workers", type=int, metavar="N", help="processes that read batches (all cores)")
    add(
        "--cluster",
        metavar="ADDRESS",
        help="a Dask scheduler that reads them, such as tcp://host:8786",
    )
    add(
        "--hide-rows", action="store_true", help="do not name the rows of people who are given away"
    )
    add(
        "--nearest",
        type=int,
        default=0,
        metavar="N",
        help="show the N synthetic rows nearest to a real one in the page, value by value (0)",
    )
    add("--quiet", action="store_true", help="no progress bar and no schema")


def _grade(args: argparse.Namespace) -> int:
    """grade a folder or zip of submitted notebooks, each answer in a sandbox"""
    from pathlib import Path

    if os.name == "nt":
        print(
            "course-lib grade: Windows itself has no sandbox for this. Run it in WSL 2, where it "
            "works as on Linux: wsl --install",
            file=sys.stderr,
        )
        return 2

    from course_lib.grading.command import UNSAFE, Settings, grade_class
    from course_lib.grading.errors import GradingError
    from course_lib.grading.policy import Late, needs_person
    from course_lib.grading.summary import table

    if args.no_sandbox:
        print(UNSAFE, file=sys.stderr)
    try:
        late = Late.parse(args.late)
        settings = Settings(
            submissions=Path(args.submissions),
            lesson=args.lesson,
            out=Path(args.out),
            checks=Path(args.checks) if args.checks else None,
            late=late,
            attempts=args.attempts,
            most_attempts=args.most_attempts,
            layout=args.layout,
            seed=args.seed,
            forbid_reference=not args.allow_reference,
            engine="none" if args.no_sandbox else args.sandbox,
            python=args.python,
            workers=args.workers,
            cluster=args.cluster,
            assignment=args.assignment,
            canvas_roster=Path(args.canvas_roster) if args.canvas_roster else None,
            moodle_worksheet=Path(args.moodle_worksheet) if args.moodle_worksheet else None,
            teams=Path(args.teams) if args.teams else None,
            due=Path(args.due) if args.due else None,
            nbgrader=Path(args.nbgrader) if args.nbgrader else None,
            progress=not args.quiet,
        )
        graded = grade_class(settings)
    except (GradingError, OSError) as error:
        print(f"course-lib grade: {error}", file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        print(
            "course-lib grade: this is a fault in the grader itself, and says nothing of any "
            "submission. What was graded is kept; call it again to go on.",
            file=sys.stderr,
        )
        return 3
    results = graded.results
    open_ = [result for result in results if needs_person(result, late)]
    seen = [result for result in results if result.needs_person and result not in open_]
    if not args.quiet:
        print(f"{graded.layout}.")
        print(table(results, late))
    print(f"{len(results)} students; written to {args.out}: grades.csv, feedback and more.")
    if open_:
        print(f"{len(open_)} need a person before their mark counts; their grades are left empty.")
    if seen:
        print(f"{len(seen)} lack an answer that a person should look for; the others count.")
    if graded.passed_over:
        named = ", ".join(graded.passed_over[:5])
        more = f" and {len(graded.passed_over) - 5} more" if len(graded.passed_over) > 5 else ""
        print(f"Passed over, since no notebook, zip or folder: {named}{more}.")
    if graded.changes:
        print(f"{len(graded.changes)} marks are not what they were: see audit.csv.")
    for notice in graded.notices:
        print(f"course-lib grade: {notice}", file=sys.stderr)
    return 1 if open_ or seen or graded.notices else 0


def _grade_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.epilog = (
        "Exit status: 0 all graded, 1 some need a person, 2 bad call, 3 a fault in the grader itself. "
        "Interrupted or called again, "
        "it goes on where it was. Example: course-lib grade submissions.zip --lesson 01_vae --out "
        "grades. The whole guide: docs/instructor.md"
    )
    add("submissions", help="a folder or zip: notebooks, folders of students, an LMS's download")
    add("--lesson", required=True, help="the lesson that was to be handed in, such as 01_vae")
    add("--out", required=True, metavar="FOLDER", help="where grades and feedback go")
    add(
        "--checks",
        metavar="FOLDER",
        help="private cases: files such as vae.elbo.py with cases(seed)",
    )
    add("--late", default="keep", help="keep (default), a percentage such as 10%%, or refuse")
    add("--attempts", choices=["best", "last"], default="best", help="which attempt counts (best)")
    text = "a person looks at a student who has more attempts than this (3)"
    add("--most-attempts", type=int, default=3, metavar="N", help=text)
    text = (
        "where it comes from: auto (default), canvas, moodle, gradescope, sakai, nbgrader, folder"
    )
    add("--layout", default="auto", metavar="NAME", help=text)
    add("--seed", help="draw the hidden cases from this secret (else from one kept in --out)")
    group = parser.add_mutually_exclusive_group()
    text = "an answer cannot reach the library's own solutions (the default)"
    group.add_argument("--forbid-reference", action="store_true", help=text)
    text = "an answer may call the library's solution"
    group.add_argument("--allow-reference", action="store_true", help=text)
    group = parser.add_mutually_exclusive_group()
    text = "auto (default), bubblewrap, docker or podman; docker:NAME takes the image NAME"
    group.add_argument("--sandbox", default="auto", help=text)
    text = "run the submitted code as yourself, with all that you can reach"
    group.add_argument("--no-sandbox", action="store_true", help=text)
    text = "the Python that answers run in (the grader's own): a newer one for newer notebooks"
    add("--python", default="", metavar="PATH", help=text)
    add("--workers", type=int, metavar="N", help="processes (as many as there are cores)")
    add("--cluster", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786, instead")
    add("--assignment", default="", help="the column's name in the LMS (the lesson's)")
    add("--canvas-roster", metavar="FILE", help="Canvas's exported gradebook, to be filled in")
    add("--moodle-worksheet", metavar="FILE", help="Moodle's grading worksheet, to be filled in")
    text = "who is in which team (Canvas's or Moodle's file): each member gets the team's mark"
    add("--teams", metavar="FILE", help=text)
    text = "CSV: due times with their zones, for the class and for single students"
    add("--due", metavar="FILE", help=text)
    add("--nbgrader", metavar="FOLDER", help="push into the gradebook of this nbgrader course")
    add("--quiet", action="store_true", help="no progress bar and no table")


def _gradescope(args: argparse.Namespace) -> int:
    """write a lesson as an autograder of Gradescope, which marks as `grade` does"""
    from pathlib import Path

    from course_lib.grading.errors import GradingError
    from course_lib.grading.lms.autograder import write_autograder

    try:
        path = write_autograder(args.lesson, Path(args.out), args.seed)
    except GradingError as error:
        print(f"course-lib gradescope: {error}", file=sys.stderr)
        return 2
    print(f"For Gradescope: {path}. It holds the secret of the hidden cases: keep it to yourself.")
    return 0


def _gradescope_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit status: 0 written, 2 not. Example: course-lib gradescope 01_vae"
    parser.add_argument("lesson", help="such as 01_vae")
    parser.add_argument(
        "--out", metavar="PATH", default=".", help="the zip, or a folder for it (.)"
    )
    parser.add_argument(
        "--seed", help="draw the hidden cases from this secret (else from a new one)"
    )


def _decide(args: argparse.Namespace) -> int:
    """write down a mark that a person gives; the next `grade` uses it"""
    from datetime import UTC, datetime
    from pathlib import Path

    from course_lib.grading import decisions
    from course_lib.grading.errors import GradingError

    folder = Path(args.grades)
    if not folder.is_dir():
        print(f"course-lib decide: there is no folder {folder}.", file=sys.stderr)
        return 2
    decision = decisions.Decision(
        student=args.student,
        student_id=args.id,
        exercise=args.exercise,
        mark=args.mark,
        reason=args.reason,
        who=args.who,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        decisions.add(folder, decision)
        count = len(decisions.read_decisions(folder / decisions.FILE))
    except (GradingError, OSError) as error:
        print(f"course-lib decide: {error}", file=sys.stderr)
        return 2
    print(
        f"{count} decisions in {folder / decisions.FILE}. Run course-lib grade again to use them."
    )
    return 0


def _decide_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit status: 0 written, 2 bad call. Example: course-lib decide grades --student jane "
        '--exercise vae.elbo --mark 2 --reason "right, in NumPy" --who "A. Teacher"'
    )
    add = parser.add_argument
    add("grades", help="the folder that course-lib grade wrote")
    add("--student", required=True, help="the student, as in grades.csv")
    add("--id", default="", help="the student_id in grades.csv, where two have one name")
    add("--exercise", default="", metavar="ID", help="the exercise (else the whole submission)")
    add("--mark", type=float, metavar="POINTS", help="the points (else what was computed stands)")
    add("--reason", required=True, help="why")
    add("--who", required=True, help="who decides")


def _assignment(args: argparse.Namespace) -> int:
    """write a lesson as an assignment of nbgrader"""
    from pathlib import Path

    try:
        from course_lib.grading.errors import GradingError
        from course_lib.grading.lms.nbgrader.assignment import write_assignment
    except ModuleNotFoundError as error:
        print(f"{error}. Install what it takes: pip install 'course-lib[grade]'", file=sys.stderr)
        return 2
    try:
        release = write_assignment(args.lesson, Path(args.out))
    except GradingError as error:
        print(f"course-lib assignment: {error}", file=sys.stderr)
        return 2
    print(f"For learners: {release}")
    return 0


def _assignment_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit status: 0 written, 2 not. Example: course-lib assignment 01_vae --out course"
    )
    parser.add_argument("lesson", help="such as 01_vae")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="the nbgrader course")


def _pipeline(args: argparse.Namespace) -> int:
    """generate, audit, and publish or quarantine every day that arrives; see status; roll back"""
    from course_lib.pipeline.journal import PipelineError

    try:
        return args.action(args)
    except (PipelineError, OSError) as error:
        print(f"course-lib pipeline: {error}", file=sys.stderr)
        return 2


def _pipeline_new(args: argparse.Namespace) -> int:
    from pathlib import Path

    from course_lib.pipeline.example import write_example

    folder = Path(args.folder)
    numbers = {name: getattr(args, name) for name in ("days", "rows", "reference", "method")}
    write_example(folder, args.data, label=args.label, groups=_split(args.groups), **numbers)
    print(f"Written: {folder / 'pipeline.toml'}. Read its contract, then: course-lib pipeline run")
    return 0


def _pipeline_run(args: argparse.Namespace) -> int:
    from course_lib.pipeline.day import Outcome
    from course_lib.pipeline.running import Pipeline
    from course_lib.pipeline.settings import read_settings

    pipeline = Pipeline(read_settings(args.settings))

    def say(outcome: Outcome) -> None:
        state = "published" if outcome.published else "QUARANTINED"
        print(f"{outcome.day}: {state}: {outcome.why}", flush=True)

    outcomes = pipeline.run(say)
    if not outcomes:
        print("Every day that arrived is decided.")
    print(f"The page of the runs: {pipeline.settings.folder / 'runs.html'}")
    return 0 if all(outcome.published for outcome in outcomes) else 1


def _pipeline_status(args: argparse.Namespace) -> int:
    from course_lib.pipeline.running import Pipeline, in_force
    from course_lib.pipeline.settings import read_settings

    pipeline = Pipeline(read_settings(args.settings))
    events = pipeline.events()
    for event in events:
        print(f"{event['day'] or '(none)'}: {event['event']}: {event['why']}")
    days = in_force(events)
    print(f"Current: {days[-1] if days else 'nothing is published'}.")
    if pipeline.settings.total_rho is not None:
        spent = sum(pipeline.budget.ledger().values())
        print(f"Privacy budget: {spent:.4g} of {pipeline.settings.total_rho:.4g} rho is spent.")
    return 0


def _pipeline_rollback(args: argparse.Namespace) -> int:
    from course_lib.pipeline.running import Pipeline
    from course_lib.pipeline.settings import read_settings

    withdrawn = Pipeline(read_settings(args.settings)).roll_back(args.to, args.reason)
    print(f"Withdrawn: {', '.join(withdrawn) or 'nothing'}.")
    return 0


def _pipeline_dagster(args: argparse.Namespace) -> int:
    import os
    import subprocess
    from pathlib import Path

    from course_lib.pipeline.journal import PipelineError

    try:
        from course_lib.pipeline.assets import __name__ as module
        from course_lib.pipeline.assets import environment
    except ModuleNotFoundError as error:
        raise PipelineError(
            f'{error.name} is missing. This installs it: pip install "course-lib[dagster]"'
        ) from None
    environ = {**os.environ, **environment(Path(args.settings))}
    command = [sys.executable, "-m", "dagster", "dev", "-m", module, "--port", str(args.port)]
    child = subprocess.Popen(command, env=environ)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            pass  # Ctrl-C reaches Dagster as well, which then ends its own programs


def _pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit status: 0 all published, 1 a day is quarantined, 2 bad input. "
        "Example: course-lib pipeline new trial --data loans, then course-lib pipeline run "
        "trial/pipeline.toml"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, function: Callable, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(action=function)
        return sub

    new = action("new", _pipeline_new, "cut a table into days, and write a pipeline.toml for it")
    new.add_argument("folder", help="a new folder")
    new.add_argument("--data", required=True, help="a CSV file, or loans, or adult")
    new.add_argument("--label", help="the column that is to be predicted")
    new.add_argument("--groups", default="", metavar="A,B", help="columns whose groups are watched")
    new.add_argument("--days", type=int, default=20, help="at most so many days (20)")
    new.add_argument("--rows", type=int, default=500, help="rows of a day (500)")
    new.add_argument("--reference", type=int, default=3000, help="rows trusted at first (3000)")
    methods = ("copula", "marginals")
    new.add_argument("--method", choices=methods, default="copula", help="marginals is private")
    run = action("run", _pipeline_run, "run every day that arrived and is not decided yet")
    status = action("status", _pipeline_status, "show what happened on each day, and why")
    rollback = action("rollback", _pipeline_rollback, "withdraw what was published after a day")
    rollback.add_argument("--to", required=True, metavar="DAY", help="current again; '' for none")
    rollback.add_argument("--reason", required=True, help="why, for the log")
    dagster = action("dagster", _pipeline_dagster, "let Dagster run the days, and show its page")
    dagster.add_argument(
        "--port", type=int, default=3000, help="of the page on this machine (3000)"
    )
    for sub in (run, status, rollback, dagster):
        sub.add_argument("settings", nargs="?", default="pipeline.toml", help="pipeline.toml")
    run.epilog = "docs/pipeline.md of the course explains every setting of pipeline.toml."


# Each verb: what it does (its docstring is its help), and what adds its arguments.
VERBS: dict[str, tuple[Callable, Callable | None]] = {
    "assignment": (_assignment, _assignment_arguments),
    "audit": (_audit, _audit_arguments),
    "decide": (_decide, _decide_arguments),
    "grade": (_grade, _grade_arguments),
    "gradescope": (_gradescope, _gradescope_arguments),
    "lab": (_lab, _lab_arguments),
    "new": (_new, _new_arguments),
    "pipeline": (_pipeline, _pipeline_arguments),
    "progress": (_progress, None),
    "repo": (_repo, _repo_arguments),
    "sync": (_sync, _sync_arguments),
    "update": (_update, _update_arguments),
}


class _Version(argparse.Action):
    """Asks for the version only when somebody wants to know it: the answer takes a while to find."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        from course_lib import __version__

        print(f"{parser.prog} {__version__}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """One that tells what is wrong in a sentence, without the list of all options before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nAll options: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status; an unknown verb is refused with status 2."""
    parser = _Parser(prog="course-lib", description="The commands of the course.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (function, add_arguments) in VERBS.items():
        text = function.__doc__ or verb
        sub = subparsers.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        if add_arguments:
            add_arguments(sub)
        sub.set_defaults(function=function)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console or file of Windows may lack a letter
            stream.reconfigure(errors="replace")
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv and not argv[0].startswith("-") and argv[0] not in VERBS:
        parser.error(f"unknown verb '{argv[0]}'; the known ones are: {', '.join(VERBS)}")
    more: list[str] = []
    if argv[:1] == ["lab"] and "--" in argv:  # what follows is JupyterLab's
        at = argv.index("--")
        argv, more = argv[:at], argv[at + 1 :]
    args, strange = parser.parse_known_args(argv, argparse.Namespace(more=more))
    if strange:
        subparsers.choices[args.verb].error(f"there is no option {' '.join(strange)}")
    return args.function(args)


if __name__ == "__main__":
    sys.exit(main())
