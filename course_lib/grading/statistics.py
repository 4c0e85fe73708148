"""How a class did: a page for the instructor, with each exercise's and each case's share, the mistakes
by their sentence, how well an exercise tells students apart, and answers that are alike, side by side.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course_lib.files import page_templates
from course_lib.grading.intake.archive import plain
from course_lib.grading.result import Mark, Result
from course_lib.plots import image_html

MOST_PAIRS = 40  # on the page
MOST_SHOWN = 3000  # letters of an answer
SHINGLE = 6  # words and signs in a row
COMMON = 0.2  # a row of words that more than this share of a class has written tells nothing
LIKE = 0.6  # the least likeness that is shown
FEW = 5  # results, below which a correlation tells nothing
WORD = re.compile(r"[.]?\w+|[^\w\s]")

_templates = page_templates(Path(__file__).parent)


@dataclass(frozen=True)
class CaseCount:
    """A case's name and the share of students who pass it."""

    name: str
    share: float


@dataclass(frozen=True)
class ExerciseCount:
    """What a class made of an exercise.

    Attributes:
        solved: the share of students with all its points.
        points: the mean share of its points.
        discrimination: the correlation of its points with those of all other exercises together;
            NaN where there is none.
        cases: its cases, in order.
        mistakes: each sentence, and how many students it was said to, the most frequent first.
    """

    id: str
    title: str
    solved: float
    points: float
    discrimination: float
    cases: tuple[CaseCount, ...]
    mistakes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Pair:
    """Two students' answers to one exercise; `likeness` is 1 for the same syntax tree."""

    exercise: str
    first: str
    second: str
    likeness: float
    length: int
    sources: tuple[str, str]


def count(results: Sequence[Result]) -> list[ExerciseCount]:
    """The counts of each exercise, over the students for whom something was found.

    Source of the discrimination: the item-rest correlation, e.g. Crocker and Algina, "Introduction
    to Classical and Modern Test Theory", 1986, chapter 14.
    """
    marks: dict[str, list[tuple[Mark, float]]] = defaultdict(list)
    for result in results:
        if not result.unfound:
            for mark in (each for each in result.marks if each.cases):
                marks[mark.id].append((mark, result.points - mark.points))
    return [_count(own) for own in marks.values()]


def _count(own: Sequence[tuple[Mark, float]]) -> ExerciseCount:
    first = own[0][0]
    points = np.array([mark.points / mark.of for mark, _ in own])
    rest = np.array([rest for _, rest in own])
    passed: dict[str, list[bool]] = defaultdict(list)
    said: Counter[str] = Counter()
    for mark, _ in own:
        for case in mark.cases:
            passed[case.name].append(case.passed)
        said.update({case.sentence for case in mark.cases if case.sentence})
    names = [name for name in passed if len(passed[name]) * 2 > len(own) or len(own) == 1]
    tells = len(own) >= FEW and points.std() > 0 and rest.std() > 0
    return ExerciseCount(
        id=first.id,
        title=first.title,
        solved=float((points >= 1).mean()),
        points=float(points.mean()),
        discrimination=float(np.corrcoef(points, rest)[0, 1]) if tells else float("nan"),
        cases=tuple(CaseCount(name, float(np.mean(passed[name]))) for name in names),
        mistakes=tuple(said.most_common(8)),
    )


def pairs(results: Sequence[Result], answers: Callable[[Result], Mapping[str, str]]) -> list[Pair]:
    """Pairs of different students with similar answers, the most telling first: by likeness, then by
    length. A hint where to look, and never a mark.

    Two answers are alike as far as their rows of six words and signs are the same, whatever the names
    in them (Jaccard's index). What many in the class have written does not count.

    Args:
        answers: from a result to the source of its answers, by exercise.
    """
    by_exercise: dict[str, list[tuple[str, Mark, str]]] = defaultdict(list)
    for result in results:
        sources = answers(result)
        for mark in result.marks:
            if mark.found != "nowhere" and not mark.unsolved and mark.id in sources:
                who = result.student + (f" ({result.student_id})" if result.student_id else "")
                by_exercise[mark.id].append((who, mark, sources[mark.id]))
    found = [pair for own in by_exercise.values() for pair in _pairs(own)]
    found.sort(key=lambda pair: (-pair.likeness, -pair.length, pair.exercise, pair.first))
    return found[:MOST_PAIRS]


def _pairs(own: Sequence[tuple[str, Mark, str]]) -> Iterable[Pair]:
    shingles = [_shingles(source) for _, _, source in own]
    holders: dict[int, list[int]] = defaultdict(list)
    for number, rows in enumerate(shingles):
        for row in rows:
            holders[row].append(number)
    most = max(2, int(COMMON * len(own)))
    rare = {row: who for row, who in holders.items() if len(who) <= most}
    kept = [rows & rare.keys() for rows in shingles]
    together: Counter[tuple[int, int]] = Counter()
    for who in rare.values():
        together.update(combinations(who, 2))
    for (a, b), common in together.items():
        (first, mark, one), (second, other, two) = own[a], own[b]
        same = bool(mark.fingerprint) and mark.fingerprint == other.fingerprint
        likeness = 1.0 if same else common / max(1, len(kept[a] | kept[b]))
        if first != second and likeness >= LIKE:
            yield Pair(mark.id, first, second, likeness, mark.length, (one, two))


def _shingles(source: str) -> set[int]:
    """Hashes of all rows of `SHINGLE` words and signs, names replaced; comments do not count."""
    text = re.sub(r"#.*", "", source[: 4 * MOST_SHOWN])
    words = [
        word if word[0] == "." or not word[0].isalpha() else "n" for word in WORD.findall(text)
    ]
    return {hash(tuple(words[i : i + SHINGLE])) for i in range(len(words) - SHINGLE + 1)}


def statistics_page(
    results: Sequence[Result], answers: Callable[[Result], Mapping[str, str]]
) -> str:
    """The page, one HTML file without network or script."""
    counts = count(results)
    return _templates.get_template("statistics.html").render(
        lesson=results[0].lesson if results else "",
        students=len(results),
        counts=counts,
        picture=image_html(*_picture(counts)) if counts else "",
        pairs=pairs(results, answers),
        shown=_shown,
        plain=plain,
    )


def _shown(source: str) -> str:
    lines = [plain(line, 400) for line in source.expandtabs(4).splitlines()]
    text = "\n".join(lines)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\n..."


def _picture(counts: Sequence[ExerciseCount]) -> tuple[Figure, str]:
    figure = Figure(figsize=(7, 0.7 + 0.42 * len(counts)), layout="constrained")
    axes: Any = figure.subplots()
    places = np.arange(len(counts))
    shares = [100 * c.solved for c in counts]
    axes.barh(places, [100 * c.points for c in counts], color="#cfd8dc", label="mean of the points")
    axes.barh(places, shares, height=0.4, color="#0173b2", label="solved in full")
    axes.set_yticks(places, [plain(c.id, 40) for c in counts])
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="percent of students")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, frameon=False)
    said = "; ".join(
        f"{plain(c.id, 40)} {share:.0f}" for c, share in zip(counts, shares, strict=True)
    )
    return figure, f"Bars of the percentage of students who solved each exercise in full: {said}."


def to_json(results: Sequence[Result]) -> str:
    """The counts for a program."""
    rows = [
        {
            "exercise": c.id,
            "solved": round(c.solved, 4),
            "points": round(c.points, 4),
            "discrimination": None if np.isnan(c.discrimination) else round(c.discrimination, 4),
            "cases": [{"name": case.name, "passed": round(case.share, 4)} for case in c.cases],
            "mistakes": [{"sentence": text, "students": n} for text, n in c.mistakes],
        }
        for c in count(results)
    ]
    return json.dumps({"version": 1, "exercises": rows}, indent=1, ensure_ascii=False) + "\n"
