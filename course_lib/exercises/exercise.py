"""What an exercise is: a card, a reference, cases from a seed, a probe and a judge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Value = np.ndarray | float | int | str


@dataclass(frozen=True)
class Case:
    """One trial of an answer. `inputs` are plain arrays and numbers, in the order of the answer's
    arguments; arrays reach the answer as tensors."""

    name: str
    inputs: Mapping[str, Value]


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer and the sentence for it.

    It serves twice: the judge names the mistake when an answer gives what `answer` gives, and a
    test holds that the judge rejects it with this very sentence.
    """

    sentence: str
    answer: Callable


def call(answer: Callable, **inputs) -> object:
    """The default probe: call the answer with the inputs, by position."""
    return answer(*inputs.values())


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: "<module>.<name>", as in `check("vae.kl_divergence", ...)` and in the syllabus.
        points, minutes, difficulty: what it is worth, how long to spend, 1 (easy) to 3 (hard).
        task: one sentence that says what to write.
        hints: from a nudge to nearly the answer; the solution follows them.
        reference: the library's own function. Its source runs in the lesson's notebook as it is.
        cases: from a seed to the cases; another seed gives other numbers of the same kind.
        picture: from an answer to a figure of what it does, and the figure's description.
        mistakes: at least four, each with its sentence.
        alternatives: at least two right answers, written in other ways.
        probe: `probe(answer, **inputs)` runs an answer on one case and returns a tensor, a number,
            or a dict or tuple of them. It runs together with the learner's code, so it may hold
            nothing that should stay hidden.
        rtol, atol: how far from the reference a value may lie.
        seconds: the time that one case may take.
        whole_notebook: an answer cannot be graded without running every cell of its notebook.
    """

    id: str
    title: str
    points: int
    minutes: int
    difficulty: int
    task: str
    hints: tuple[str, ...]
    reference: Callable
    cases: Callable[[int], list[Case]]
    picture: Callable[[Callable], "tuple[Figure, str]"]
    mistakes: tuple[Mistake, ...]
    alternatives: tuple[Callable, ...] = field(repr=False)
    probe: Callable[..., object] = call
    rtol: float = 1e-4
    atol: float = 1e-5
    seconds: float = 10.0
    whole_notebook: bool = False
