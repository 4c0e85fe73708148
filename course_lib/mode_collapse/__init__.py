"""Mode collapse: one GAN, one training run, and a generator that covers a few modes of its data.

Modes counted, GANs that forget and why, cures, and steering on purpose. *Model* collapse, the loss of
tails over generations of models, is in `model_collapse`.
"""

from course_lib.mode_collapse.benchmarks import BENCHMARKS, GRID, RING
from course_lib.mode_collapse.modes import (
    Modes,
    high_quality,
    mode_counts,
    mode_coverage,
    reverse_kl,
    support_size,
)
from course_lib.mode_collapse.point_gans import GANs, Recipe, fit, recipe, recipes

__all__ = [
    "BENCHMARKS",
    "GRID",
    "RING",
    "GANs",
    "Modes",
    "Recipe",
    "fit",
    "high_quality",
    "mode_counts",
    "mode_coverage",
    "recipe",
    "recipes",
    "reverse_kl",
    "support_size",
]
