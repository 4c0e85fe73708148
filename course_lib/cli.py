"""The command `course-lib`; `python course.py VERB` hands its verbs to it."""

import argparse
import sys
from collections.abc import Callable, Sequence

from course_lib import __version__

# A verb imports what it needs itself, so that --help and --version answer at once.


def progress(args: argparse.Namespace) -> int:
    """show which exercises are solved"""
    from course_lib.exercises import progress as table

    print(table().to_string())
    return 0


def sync(args: argparse.Namespace) -> int:
    """write the lessons' header cells and the README's table from syllabus.toml"""
    from course_lib.sync import main as write

    return write(check=args.check)


def sync_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing; fail if outdated")


def audit(args: argparse.Namespace) -> int:
    """compare a synthetic table with the real one: fidelity, utility, bias, privacy"""
    from pathlib import Path

    from course_lib.audit import AuditError
    from course_lib.audit import audit as run
    from course_lib.audit.files import read_table

    try:
        for name in filter(None, (args.html, args.json)):
            if not Path(name).resolve().parent.is_dir():
                raise AuditError(f"There is no folder {Path(name).resolve().parent} to write to.")
        report = run(
            read_table(args.real),
            read_table(args.holdout) if args.holdout else None,
            read_table(args.synthetic),
            _pairs(args.schema, "schema", "income=number,postcode=category") or None,
            label=args.label,
            positive=args.positive,
            sensitive=[name.strip() for name in args.sensitive.split(",") if name.strip()],
            margins={
                name: _number(value, name)
                for name, value in _pairs(args.margin, "margin", "label_rate=0.1").items()
            },
            seed=args.seed,
            progress=not args.quiet,
        )
        print(report)
        if args.html:
            report.to_html(args.html)
            print(f"The whole report: {args.html}")
        if args.json:
            report.to_json(args.json)
    except (AuditError, OSError) as error:
        print(f"course-lib audit: {error}", file=sys.stderr)
        return 2
    return 0 if args.fail_on == "never" or report.gate(args.fail_on) else 1


def _pairs(text: str, option: str, example: str) -> dict[str, str]:
    from course_lib.audit import AuditError

    parts = [part.split("=", 1) for part in text.split(",") if part.strip()]
    if any(len(part) < 2 for part in parts):
        raise AuditError(f"--{option} wants names and values, as in --{option} {example}")
    return {name.strip(): value.strip() for name, value in parts}


def _number(value: str, name: str) -> float:
    from course_lib.audit import AuditError

    try:
        return float(value)
    except ValueError:
        raise AuditError(f"--margin {name}={value}: '{value}' is no number.") from None


def audit_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.epilog = (
        "Exit status: 0 clean, 1 findings as grave as --fail-on, 2 bad input. "
        "Example: course-lib audit real.csv synthetic.csv --label approved --sensitive "
        "sex,ethnicity --html report.html"
    )
    add("real", help="the real rows that the generator learnt from: CSV or Parquet")
    add("synthetic", help="the rows that it made")
    add("--holdout", metavar="FILE", help="real rows it has not seen (else some are set aside)")
    add("--label", metavar="COLUMN", help="the column that is to be predicted")
    add("--positive", metavar="LEVEL", help="the label's level that counts")
    add("--sensitive", metavar="COLUMNS", default="", help="columns whose groups are compared")
    add("--schema", metavar="COLUMN=KIND,...", default="", help="what a column is, if misjudged")
    add(
        "--margin", metavar="METRIC=NUMBER,...", default="", help="the smallest effect that matters"
    )
    add("--html", metavar="FILE", help="write the report as one page")
    add("--json", metavar="FILE", help="write the report for a program")
    add("--fail-on", choices=["fail", "warn", "never"], default="fail", help="see below")
    add("--seed", type=int, default=0, help="of splits, samples and resampling (0)")
    add("--quiet", action="store_true", help="no progress bar and no schema")


def assignment(args: argparse.Namespace) -> int:
    """write a lesson as an assignment of nbgrader"""
    from pathlib import Path

    try:
        from course_lib.grading.assignment import write_assignment
        from course_lib.grading.result import GradingError
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


def assignment_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit status: 0 written, 2 not. Example: course-lib assignment 01_vae --out course"
    )
    parser.add_argument("lesson", help="such as 01_vae")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="the nbgrader course")


# Each verb: what it does (its docstring is its help), and what adds its arguments.
VERBS: dict[str, tuple[Callable, Callable | None]] = {
    "assignment": (assignment, assignment_arguments),
    "audit": (audit, audit_arguments),
    "progress": (progress, None),
    "sync": (sync, sync_arguments),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status; an unknown verb is refused with status 2."""
    parser = argparse.ArgumentParser(prog="course-lib", description="The commands of the course.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (function, add_arguments) in VERBS.items():
        text = function.__doc__
        sub = subparsers.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        if add_arguments:
            add_arguments(sub)
        sub.set_defaults(function=function)
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv and not argv[0].startswith("-") and argv[0] not in VERBS:
        parser.error(f"unknown verb '{argv[0]}'; the known ones are: {', '.join(VERBS)}")
    args = parser.parse_args(argv)
    return args.function(args)


if __name__ == "__main__":
    sys.exit(main())
