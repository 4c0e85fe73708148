"""Mode collapse and model collapse: modes counted, the recursive loop, and what theory says of it."""

from course_lib.collapse.modes import Modes, mode_coverage
from course_lib.collapse.recursive import Generations, recursive

__all__ = ["Generations", "Modes", "mode_coverage", "recursive"]
