"""Mode collapse and model collapse: modes counted, the recursive loop, and what theory says of it."""

from course_lib.collapse.loop import REGIMES, refit, training_rows
from course_lib.collapse.modes import Modes, mode_coverage
from course_lib.collapse.recursive import Generations, recursive
from course_lib.collapse.tails import tail_loss

__all__ = [
    "REGIMES",
    "Generations",
    "Modes",
    "mode_coverage",
    "recursive",
    "refit",
    "tail_loss",
    "training_rows",
]
