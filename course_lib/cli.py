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


# Each verb: what it does (its docstring is its help), and what adds its arguments.
VERBS: dict[str, tuple[Callable, Callable | None]] = {
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
