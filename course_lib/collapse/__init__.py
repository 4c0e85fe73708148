"""Mode collapse and model collapse: modes counted, cures, the recursive loop, and what theory says."""

from course_lib.collapse.benchmarks import BENCHMARKS, GRID, RING
from course_lib.collapse.gan import GANs, Recipe, fit, recipe, recipes
from course_lib.collapse.modes import (
    Modes,
    high_quality,
    mode_counts,
    mode_coverage,
    reverse_kl,
    support_size,
)
from course_lib.collapse.recursive import Generations, recursive

__all__ = [
    "BENCHMARKS",
    "GRID",
    "RING",
    "GANs",
    "Generations",
    "Modes",
    "Recipe",
    "fit",
    "high_quality",
    "mode_counts",
    "mode_coverage",
    "recipe",
    "recipes",
    "recursive",
    "reverse_kl",
    "support_size",
]
