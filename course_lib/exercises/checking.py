"""The check in the notebook: each case with its verdict, hints one by one, the solution last."""

import inspect
import re
from collections.abc import Callable
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from IPython.display import display

from course_lib.exercises.exercise import Case, Exercise
from course_lib.exercises.judge import UNNAMED, Verdict, assess
from course_lib.exercises.record import record_solved, record_try
from course_lib.exercises.registry import get, needed_modules
from course_lib.exercises.trial import run
from course_lib.plots import image_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VISIBLE_SEED = 0
UNSOLVED = "Not solved yet."  # the sentence for a stub
Verdicts = list[tuple[Case, Verdict]]


def check(exercise_id: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    """Try `answer` on the exercise's cases, show the result, and return what the lesson goes on with.

    Returns:
        `answer` itself if it passed every case, else the library's reference, so that the lesson
        always runs on. Which of the two it is stands in the output.

    Raises:
        ValueError: for an exercise that does not exist.
    """
    exercise = get(exercise_id)
    verdicts = try_out(exercise, answer)
    passed = all(verdict.passed for _, verdict in verdicts)
    note = ""
    try:
        if passed:
            record_solved(exercise.id)
        elif _first_reason(verdicts) != UNSOLVED:
            record_try(exercise.id, _remembered(verdicts))
    except OSError as error:
        note = f"Your progress could not be kept ({error})."
    display(
        {
            "text/html": _html(exercise, verdicts, passed, note),
            "text/plain": _text(exercise, verdicts, passed, note),
        },
        raw=True,
    )
    return answer if passed else exercise.reference


def try_out(exercise: Exercise, answer: object, seed: int = VISIBLE_SEED) -> Verdicts:
    """The verdict on each case. It stops where an answer is unsolved or out of time."""
    for name in needed_modules([exercise]):
        import_module(name)
    cases, outcomes = [], []
    for case in exercise.cases(seed):
        cases.append(case)
        outcomes.append(run(exercise, answer, case))
        if outcomes[-1].unsolved or outcomes[-1].timed_out:
            break
    return list(zip(cases, assess(exercise, cases, outcomes), strict=True))


def _summary(exercise: Exercise, verdicts: Verdicts, passed: bool) -> tuple[str, str]:
    name = exercise.reference.__name__
    if passed:
        points = f"{exercise.points} point{'s' * (exercise.points != 1)}"
        return "Solved", f"All {len(verdicts)} cases passed ({points}). {name} is your own answer."
    if _first_reason(verdicts) == UNSOLVED:
        return (
            "Not solved yet",
            f"The lesson goes on with the library's {name}. "
            "Write your answer in the cell above, then run it and this one again.",
        )
    good = sum(verdict.passed for _, verdict in verdicts)
    return (
        "Not right yet",
        f"{good} of {len(verdicts)} cases tried passed. Until all do, the lesson goes on with the "
        f"library's {name}.",
    )


def _text(exercise: Exercise, verdicts: Verdicts, passed: bool, note: str) -> str:
    status, sentence = _summary(exercise, verdicts, passed)
    lines = [f"{exercise.title} - {status}: {sentence}"]
    for (case, verdict), why in zip(verdicts, _reasons(verdicts), strict=True):
        lines.append(f"  {case.name}: {'passed' if verdict.passed else why}")
    return "\n".join([*lines, note] if note else lines)


def _html(exercise: Exercise, verdicts: Verdicts, passed: bool, note: str) -> str:
    status, sentence = _summary(exercise, verdicts, passed)
    colour = {"Solved": "#029e73", "Not right yet": "#d55e00"}.get(status, "#0173b2")
    parts = [
        f"<p style='margin:0'><b>{escape(exercise.title)} &ndash; {status}.</b> "
        f"{escape(sentence)}</p>"
    ]
    if status != "Not solved yet":
        parts.append(_table(verdicts))
    if status == "Not right yet":
        call = f'from course_lib import hint; hint("{exercise.id}")'
        parts.append(f"<p>Stuck? What helps next, after your tries so far: <code>{call}</code></p>")
    if note:
        parts.append(f"<p>{escape(note)}</p>")
    parts.append(_details("What to expect: a figure", image_html(*_expected(exercise))))
    if not passed:
        parts.append(_hints(exercise))
    return (
        f"<div style='border-left:4px solid {colour};padding:0.6em 1em;"
        "background:var(--jp-layout-color2,#eef6ff);color:var(--jp-ui-font-color1,#222)'>"
        + "".join(parts)
        + "</div>"
    )


def _expected(exercise: Exercise) -> "tuple[Figure, str]":
    with torch.enable_grad():  # some pictures train, whatever the notebook has switched off
        return exercise.picture(exercise.reference)


def _table(verdicts: Verdicts) -> str:
    titles = ["case", "result", "why"]
    rows = [
        [escape(case.name), "passed" if verdict.passed else "<b>failed</b>", _marked_up(why)]
        for (case, verdict), why in zip(verdicts, _reasons(verdicts), strict=True)
    ]
    if not any(why for _, _, why in rows):
        titles, rows = titles[:2], [row[:2] for row in rows]
    head = "".join(f"<th scope='col' style='text-align:left'>{title}</th>" for title in titles)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f"<table style='margin:0.5em 0'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _marked_up(text: str) -> str:
    """As HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _first_reason(verdicts: Verdicts) -> str:
    return next((verdict.sentence for _, verdict in verdicts if not verdict.passed), "")


def _remembered(verdicts: Verdicts) -> str:
    """What `hint` is to know of a wrong answer: its mistake, or the numbers of the smallest case."""
    reason = _first_reason(verdicts)
    if not reason.endswith(UNNAMED):
        return reason
    told = [(case, verdict) for case, verdict in verdicts if verdict.sentence == reason]
    case, verdict = min(told, key=lambda each: _size(each[0]))
    return f"{reason} In the case “{case.name}”: {verdict.detail}"


def _size(case: Case) -> int:
    """How many numbers a case hands over."""
    return sum(np.size(value) for value in case.inputs.values())


def _reasons(verdicts: Verdicts) -> list[str]:
    """Why each case failed; what has been said of a case before is not said again."""
    reasons: list[str] = []
    said: set[str] = set()
    for _, verdict in verdicts:
        parts = [part for part in (verdict.sentence, verdict.detail) if part]
        new = [part for part in parts if part not in said]
        reasons.append(" ".join(new) if new or not parts else "the same")
        said.update(parts)
    return reasons


def _hints(exercise: Exercise) -> str:
    """Each hint lies inside the one before it, so they open one by one, the solution last."""
    source = escape(inspect.getsource(exercise.reference))
    nested = _details(
        "The solution, from the library",
        f"<pre style='padding:0.5em;font-size:0.9em'>{source}</pre>",
    )
    for number in range(len(exercise.hints), 0, -1):
        hint = f"<p style='margin:0.3em 0'>{escape(exercise.hints[number - 1])}</p>"
        nested = _details(f"Hint {number} of {len(exercise.hints)}", hint + nested)
    return nested


def _details(title: str, content: str) -> str:
    return (
        f"<details style='margin:0.3em 0'><summary style='cursor:pointer'>{escape(title)}</summary>"
        f"<div style='margin:0.3em 0 0 1em'>{content}</div></details>"
    )
