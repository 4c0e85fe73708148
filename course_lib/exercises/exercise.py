"""What an exercise is: a card, a reference, cases from a seed, a probe and a judge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.exercises.slips import Slip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Answer = Callable[..., object]
Value = np.ndarray | float | int | str
Inputs = Mapping[str, Mapping[str, object]]  # of each case by its name, each input by its name


@dataclass(frozen=True)
class Case:
    """One trial of an answer. `inputs` are plain arrays and numbers, in the order of the answer's
    arguments; arrays reach the answer as tensors, or as they are where the exercise is in NumPy."""

    name: str
    inputs: Mapping[str, Value]


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer and the sentence for it.

    It serves twice: the judge names the mistake when an answer gives what `answer` gives, and a
    test makes sure that the judge rejects it with this very sentence.
    """

    sentence: str
    answer: Answer


def call(answer: Callable[..., object], **inputs: object) -> object:
    """The default probe: call the answer with the inputs, by position."""
    return answer(*inputs.values())


def call_for_array(answer: Callable[..., object], **inputs: object) -> object:
    """A probe that turns the answer's result, which may be a list of numbers, into a NumPy array."""
    return np.asarray(answer(*inputs.values()), dtype=float)


@dataclass(frozen=True)
class Setup:
    """How an answer is run. A sandbox knows this part of an exercise, and no other."""

    probe: Callable[..., object] = call
    seconds: float = 10.0
    numpy: bool = False


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: "<module>.<name>", as in `check("vae.kl_divergence", ...)` and in the syllabus.
        points, minutes, difficulty: what it is worth, how long to spend, 1 (easy) to 3 (hard).
        task: one sentence that says what to write.
        hints: from a nudge to nearly the answer; the solution follows them.
        reference: the library's own function. Its source runs in the lesson's notebook as it is.
        inputs: from a seed to the inputs of each case, by the case's name; another seed gives other
            numbers of the same kind.
        picture: from an answer to a figure of what it does, and the figure's description.
        mistakes: at least ten: the sentence, and the wrong answer that it names, a `slip` where a small
            change makes it; or several answers that are wrong in the same way.
        alternatives: at least three right answers, written in other ways.
        probe: `probe(answer, **inputs)` runs an answer on one case and returns a tensor, an array, a
            number, or a dict or tuple of them. It runs together with the learner's code, so it may
            hold nothing that should stay hidden.
        numpy: answers get and give NumPy arrays, with floats of 64 bits. Elsewhere they get tensors,
            with floats of 32 bits.
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
    reference: Callable[..., object]
    inputs: Callable[[int], Inputs]
    picture: Callable[[Callable[..., object]], "tuple[Figure, str]"]
    mistakes: Mapping[str, Answer | tuple[Answer, ...]]
    alternatives: tuple[Callable[..., object], ...] = field(repr=False)
    probe: Callable[..., object] = call
    numpy: bool = False
    rtol: float = 1e-4
    atol: float = 1e-5
    seconds: float = 10.0
    whole_notebook: bool = False

    def __post_init__(self) -> None:
        """Let every slip know the reference that it changes."""
        object.__setattr__(self, "alternatives", tuple(map(self._bound, self.alternatives)))

    @cached_property
    def typical_mistakes(self) -> tuple[Mistake, ...]:
        """Each wrong answer with its sentence."""
        return tuple(
            Mistake(sentence, self._bound(answer))
            for sentence, given in self.mistakes.items()
            for answer in (given if isinstance(given, tuple) else (given,))
        )

    def _bound(self, answer: Callable[..., object]) -> Callable[..., object]:
        return answer.of(self.reference) if isinstance(answer, Slip) else answer

    def cases(self, seed: int) -> list[Case]:
        """The cases for a seed; the notebook's check has those of seed 0."""
        return [
            Case(name, {key: self._value(value) for key, value in inputs.items()})
            for name, inputs in self.inputs(seed).items()
        ]

    def _value(self, value: Any) -> Value:
        if not isinstance(value, list | np.ndarray):
            plain: Value = value
            return plain
        array = np.asarray(value)
        is_float = array.dtype.kind == "f"
        return array.astype(np.float32) if is_float and not self.numpy else array
