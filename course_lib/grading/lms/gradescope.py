"""Gradescope: how its exports are recognised, and the results that its page shows."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from course_lib.grading.errors import GradingError
from course_lib.grading.intake.archive import Leaf, plain
from course_lib.grading.lms.student import Layout, Recognised, Student, gathered
from course_lib.grading.policy import KEEP, Late, final_points, format_points, unseen
from course_lib.grading.result import Json, Result

FOLDER = re.compile(r"submission_\d+")
METADATA = "submission_metadata.yml"


def _recognise(leaves: list[Leaf], is_lesson: Callable[[str], bool]) -> Recognised:
    about = next((leaf for leaf in leaves if leaf.parts == (METADATA,)), None)
    if about is None:
        return Recognised([], leaves)
    known = submitters(about)
    found: list[tuple[object, Leaf, Student]] = []
    rest = []
    for leaf in leaves:
        top = leaf.parts[0]
        if len(leaf.parts) > 1 and FOLDER.fullmatch(top):
            for number, student in enumerate(known.get(top) or [Student(top)]):
                found.append(
                    ((top, number), leaf, replace(student, layout="gradescope", leaves=[]))
                )
        elif leaf is not about:
            rest.append(leaf)
    return gathered(found, rest)


LAYOUT = Layout("gradescope", "Gradescope", _recognise)


def submitters(leaf: Leaf) -> dict[str, list[Student]]:
    """Who handed in each of Gradescope's `submission_<id>` folders, from its metadata.

    Only the lines that matter are parsed: the file also holds all results of earlier gradings.
    """
    try:
        text = leaf.source.read().decode("utf-8", "replace") if leaf.source else ""
    except GradingError:
        return {}
    found = {}
    for name, block in re.findall(
        r"^(submission_\d+):[ ]*\n((?:[ ].*\n?|\n)*)", text, re.MULTILINE
    ):
        kept = re.findall(
            r"^  :(?:submitters:[ ]*\n(?:  [- ].*\n?)*|created_at:.*\n?)", block, re.MULTILINE
        )
        try:
            known = _loaded("".join(kept))
            found[name] = [
                Student(
                    plain(str(person.get(":name") or name)),
                    plain(str(person.get(":sid") or person.get(":email") or name)),
                    submitted=_in_utc(known.get(":created_at")),
                )
                for person in known.get(":submitters") or []
            ]
        except (RecursionError, ValueError, AttributeError, TypeError):
            continue
    return found


def _loaded(text: str) -> Any:
    """The few lines of YAML that `submitters` keeps. The course can be installed without PyYAML; then
    they are read one by one. Raises ValueError where they cannot be read."""
    try:
        import yaml
    except ModuleNotFoundError:
        return _read_line_by_line(text)
    try:
        # Not libyaml, which ends the whole process on text nested too deeply.
        return yaml.load(text, Loader=yaml.SafeLoader) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from None


def _read_line_by_line(text: str) -> dict[str, object]:
    people: list[dict[str, str]] = []
    found: dict[str, object] = {":submitters": people}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*(- )?(:\w+):[ ]*(.*)", line)
        if match is None:
            continue
        first, key, value = match.groups()
        if key == ":created_at":
            found[key] = _time(value)
        elif key != ":submitters":
            people += [{}] if first or not people else []
            people[-1][key] = _scalar(value)
    return found


def _scalar(value: str) -> str:
    """A text as YAML writes it in one line: plain, or in quotation marks of either kind."""
    value = value.strip()
    if value[:1] == value[-1:] == "'" and len(value) > 1:
        return value[1:-1].replace("''", "'")
    if value.startswith('"'):
        return str(json.loads(re.sub(r"\\x([0-9A-Fa-f]{2})", r"\\u00\1", value).replace("\\e", "")))
    return value


def _time(value: str) -> datetime | None:
    """A time such as 2026-03-01 23:59:30.000000000 -08:00."""
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", value.strip()).replace(" Z", "+00:00")
    try:
        return datetime.fromisoformat(re.sub(r" (?=[+-]\d\d:?\d\d$)", "", text))
    except ValueError:
        return None


def _in_utc(time: object) -> datetime | None:
    if not isinstance(time, datetime):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def results_json(result: Result, late: Late = KEEP, visibility: str = "visible") -> Json:
    """The content of Gradescope's `results.json`, as its autograder specification has it.

    Where a person must look, there is no score at all: Gradescope then asks for one.
    """
    mark = final_points(result, late)
    lines = []
    if mark is None:
        lines.append("A person will look at this submission before it gets a mark.")
    elif mark != result.points:
        lines.append(
            f"Handed in late: {format_points(result.points)} points became {format_points(mark)} "
            f"({late} off)."
        )
    tests = []
    for number, exercise in enumerate(() if unseen(result) else result.marks, start=1):
        for part, case in enumerate(exercise.cases, start=1):
            scores = {"score": round(case.points, 4), "max_score": round(case.of, 4)}
            tests.append(
                {
                    **(scores if mark is not None else {}),
                    "name": plain(f"{exercise.title}: {case.name}"),
                    "number": f"{number}.{part}",
                    "status": "passed" if case.passed else "failed",
                    "output": _lines(case.sentence),
                    "output_format": "text",
                    "visibility": visibility,
                }
            )
    return {
        **({"score": round(mark, 4)} if mark is not None else {}),
        "output": "\n".join(lines),
        "output_format": "text",
        "visibility": visibility,
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"needs_person": mark is None},
    }


def _lines(text: str) -> str:
    return "\n".join(plain(line, 2000) for line in text.splitlines())
