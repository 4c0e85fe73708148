"""A quiz with feedback on every answer, made of core widgets so that it runs on Colab too."""

import json
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

import ipywidgets as widgets
from IPython.display import display

from course_lib.files import state_folder, write_whole
from course_lib.syllabus import unknown

SCORES = "quizzes.json"  # in the state folder
FOLDER = Path(__file__).with_name("quizzes")
CLOSE = 'style="margin:0;line-height:1.4"'  # else two lines stand as far apart as two widgets
APART = 'style="margin:1em 0 0;line-height:1.4"'  # from the feedback on the question before


@dataclass(frozen=True)
class Question:
    """`options` maps each answer to the feedback for it; `right` is one of the answers."""

    text: str
    options: dict[str, str]
    right: str


def questions(lesson: str) -> list[Question]:
    """The quiz of `lesson`, from quizzes/<lesson>.toml. Raises ValueError for an unknown one."""
    file = FOLDER / f"{lesson}.toml"
    if not file.exists():
        raise ValueError(unknown("quiz", lesson, sorted(f.stem for f in FOLDER.glob("*.toml"))))
    entries = tomllib.loads(file.read_text(encoding="utf-8"))["question"]
    return [
        Question(
            text=entry["text"],
            options={option["answer"]: option["feedback"] for option in entry["option"]},
            right=next(o["answer"] for o in entry["option"] if o.get("right")),
        )
        for entry in entries
    ]


def kept_scores() -> dict[str, tuple[int, int]]:
    """By lesson how many questions of its quiz were answered right, and of how many."""
    try:
        content = json.loads((state_folder() / SCORES).read_text(encoding="utf-8"))
        return {str(name): (int(right), int(of)) for name, (right, of) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _keep(lesson: str, right: int, of: int) -> None:
    """Keep a score; where nothing can be written, the quiz goes on without."""
    scores = {**kept_scores(), lesson: (right, of)}
    with suppress(OSError):
        state_folder().mkdir(parents=True, exist_ok=True)
        write_whole(state_folder() / SCORES, json.dumps(scores, indent=1))


def quiz(lesson: str) -> widgets.VBox:
    """Ask the questions of `lesson`; every choice is answered at once, and may be changed."""
    asked = questions(lesson)
    score = widgets.HTML()
    right: set[int] = set()

    def ask(number: int, question: Question) -> widgets.VBox:
        title = widgets.HTML(f"<p {APART}><b>{number}. {escape(question.text)}</b></p>")
        choices = widgets.RadioButtons(
            options=list(question.options),
            value=None,
            layout=widgets.Layout(width="auto", margin="2px 2px 0"),
        )
        feedback = widgets.HTML()

        def answer(change) -> None:
            correct = change["new"] == question.right
            (right.add if correct else right.discard)(number)
            word = "Right." if correct else "Not quite."
            said = escape(question.options[change["new"]])
            feedback.value = f'<p role="status" {CLOSE}><b>{word}</b> {said}</p>'
            _keep(lesson, len(right), len(asked))
            score.value = f"<p {APART}>{len(right)} of {len(asked)} answered right.</p>"

        choices.observe(answer, names="value")
        return widgets.VBox([title, choices, feedback])

    box = widgets.VBox([*(ask(i, q) for i, q in enumerate(asked, start=1)), score])
    display(box)
    return box
