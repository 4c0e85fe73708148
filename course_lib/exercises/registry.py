"""From an exercise's id to the exercise. The syllabus says which there are, and in which order."""

import inspect
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from course_lib.exercises.aliases import current
from course_lib.exercises.exercise import Exercise
from course_lib.syllabus import course, unknown


def get(exercise_id: str) -> Exercise:
    """The exercise with this id or former id, such as "vae.kl_divergence".

    Raises:
        ValueError: no exercise has or had this id; the message lists the known ones.
    """
    exercise_id = current(exercise_id)
    known = [name for lesson in course().lessons.values() for name in lesson.exercises]
    if exercise_id not in known:
        raise ValueError(unknown("exercise", exercise_id, known))
    module = import_module(f"course_lib.exercises.{exercise_id.partition('.')[0]}")
    return next(e for e in declared(module) if e.id == exercise_id)


def declared(module: ModuleType) -> list[Exercise]:
    """The exercises that a module declares, in their order."""
    return [value for value in vars(module).values() if isinstance(value, Exercise)]


def all_exercises() -> list[Exercise]:
    """All exercises in the course's order."""
    return [get(name) for lesson in course().lessons.values() for name in lesson.exercises]


def needed_modules(exercises: Iterable[Exercise]) -> list[str]:
    """What to import before an answer's time starts, so that none of its seconds goes there."""
    modules = {module for e in exercises if (module := inspect.getmodule(e.inputs))}
    sources = [inspect.getsource(module) for module in modules]
    names = {
        "torch.optim": "torch._dynamo",  # which the first step of an optimiser imports
        "import pandas": "pandas",
        "from scipy": "scipy.stats",
        "from sklearn": "sklearn",
    }
    return [name for text, name in names.items() if any(text in source for source in sources)]
