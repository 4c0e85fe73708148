"""What an exercise is, its check in the notebook, and one module of exercises a lesson."""

from course_lib.exercises.checking import check
from course_lib.exercises.exercise import Case, Exercise, Mistake
from course_lib.exercises.judge import Verdict, assess
from course_lib.exercises.record import progress
from course_lib.exercises.registry import all_exercises, get
from course_lib.exercises.scoring import earned

__all__ = [
    "Case",
    "Exercise",
    "Mistake",
    "Verdict",
    "all_exercises",
    "assess",
    "check",
    "earned",
    "get",
    "progress",
]
