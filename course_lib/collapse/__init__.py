"""Mode collapse and model collapse: modes counted, cures, the recursive loop, and what theory says."""

from course_lib.collapse.benchmarks import BENCHMARKS, GRID, RING
from course_lib.collapse.gan import GANs, Recipe, fit, recipe, recipes
from course_lib.collapse.loop import REGIMES, refit, training_rows
from course_lib.collapse.modes import (
    Modes,
    high_quality,
    mode_counts,
    mode_coverage,
    reverse_kl,
    support_size,
)
from course_lib.collapse.recursive import Generations, recursive
from course_lib.collapse.tails import tail_loss

__all__ = [
    "BENCHMARKS",
    "GRID",
    "REGIMES",
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
    "refit",
    "reverse_kl",
    "support_size",
    "tail_loss",
    "training_rows",
]
