"""How far a learner has come: a page in the notebook, and a certificate as a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from course_lib.exercises.exercise import Exercise
from course_lib.exercises.record import whole_record
from course_lib.exercises.registry import all_exercises, get
from course_lib.explore.quiz import kept_scores
from course_lib.files import last_lesson, page_templates, write_whole
from course_lib.syllabus import Lesson, course

PAGES = page_templates(Path(__file__).with_name("pages"))
CERTIFICATE = "certificate.html"


class Progress(pd.DataFrame):
    """A table of all exercises that a notebook shows as a page."""

    def _repr_html_(self) -> str:
        return progress_page()


def progress() -> Progress:
    """What you have solved, and what comes next.

    On Colab it counts what `save_work` put on Drive, where that is mounted, and a progress.json
    that you have uploaded.

    Returns:
        A row an exercise: its title, its points, and whether it is solved. A notebook shows it as a page,
        with the exercises of the lesson that was started last on top.
    """
    solved = whole_record().solved
    rows = [
        {
            "exercise": exercise.id,
            "title": exercise.title,
            "points": exercise.points,
            "solved": "yes" if exercise.id in solved else "not yet",
        }
        for exercise in all_exercises()
    ]
    return Progress(pd.DataFrame(rows).set_index("exercise").rename_axis(None))


@dataclass(frozen=True)
class Bar:
    """One lesson of the page. `quiz` is such as "2 of 3", or "" where nothing was answered."""

    lesson: Lesson
    exercises: Sequence[Exercise]
    solved: int
    quiz: str

    @property
    def percent(self) -> int:
        return round(100 * self.solved / max(1, len(self.exercises)))


def _bars(solved: dict[str, str]) -> list[Bar]:
    scores = kept_scores()
    bars = []
    for lesson in course().lessons.values():
        exercises = [get(name) for name in lesson.exercises]
        count = sum(exercise.id in solved for exercise in exercises)
        right = scores.get(lesson.id)
        bars.append(Bar(lesson, exercises, count, f"{right[0]} of {right[1]}" if right else ""))
    return bars


def progress_page() -> str:
    """The page that `progress()` shows, as HTML."""
    solved = whole_record().solved
    bars = _bars(solved)
    last = last_lesson()
    here = next((bar for bar in bars if bar.lesson.id == last), bars[0])
    later = [*bars[bars.index(here) :], *bars]  # from this lesson on, then what was left out before
    follows = next(
        ((bar.lesson, e) for bar in later for e in bar.exercises if e.id not in solved), None
    )
    every = [exercise for bar in bars for exercise in bar.exercises]
    return PAGES.get_template("progress.html").render(
        bars=bars,
        here=here,
        follows=follows,
        solved=solved,
        count=len(every),
        points=sum(exercise.points for exercise in every),
        earned=sum(exercise.points for exercise in every if exercise.id in solved),
        hours=sum(bar.lesson.study_minutes for bar in bars) / 60,
    )


def certificate(name: str = "") -> Path:
    """Write a page of what you have solved and when, to print or to keep.

    It says of itself that it was checked on your own machine.

    Args:
        name: yours, as it shall stand on the page.

    Returns:
        The file, `certificate.html` beside the notebook. Raises OSError where it cannot be written.
    """
    solved = whole_record().solved
    file = Path(CERTIFICATE)
    page = PAGES.get_template("certificate.html").render(
        name=name,
        title=course().title,
        today=date.today().isoformat(),
        bars=[bar for bar in _bars(solved) if bar.solved],
        solved=solved,
        earned=sum(e.points for e in all_exercises() if e.id in solved),
        points=sum(e.points for e in all_exercises()),
    )
    write_whole(file, page)
    print(f"Written: {file.resolve()}. Open it in a browser to print it.")
    return file
