"""Mode collapse and model collapse: measures, and (by and by) benchmarks, cures and the loop."""

from course_lib.collapse.modes import Modes, mode_coverage

__all__ = ["Modes", "mode_coverage"]
