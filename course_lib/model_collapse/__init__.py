"""Model collapse: models that learn from models, generation after generation, and lose the tails.

The recursion, what theory says of it, and tails measured. *Mode* collapse, a generator that covers few
modes of its data, is in `mode_collapse`.
"""

from course_lib.model_collapse.generations import (
    REGIMES,
    Generations,
    recursive,
    refit,
    training_rows,
)
from course_lib.model_collapse.tails import tail_loss
from course_lib.model_collapse.verification import verified_rows

__all__ = [
    "REGIMES",
    "Generations",
    "recursive",
    "refit",
    "tail_loss",
    "training_rows",
    "verified_rows",
]
