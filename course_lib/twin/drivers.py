"""A crowd of synthetic drivers: the scenes of `rare_events.cut_in`, with people of different temper.

A temper moves the six standard normal inputs of a scene. The tempers and their numbers are invented for the
course; they are measured on nobody.
"""

from collections.abc import Mapping

import numpy as np

from course_lib.rare_events.cut_in import INPUTS
from course_lib.syllabus import unknown

# What a temper adds to the inputs: of the driver who cuts in, and of the one behind.
CUTTING = {
    "calm": {},
    "hurried": {"gap": -0.9, "closing speed": 0.5},
    "distracted": {"closing speed": 0.8, "cutter brakes": 0.8},
}
BEHIND = {
    "calm": {},
    "hurried": {"headway": -0.9},
    "distracted": {"reaction": 1.2},
}
TEMPERS = tuple(CUTTING)


def crowd(
    count: int, shares: Mapping[str, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The inputs u (count, 6) of scenes with two drivers drawn from a crowd, and their tempers (count, 2).

    Args:
        shares: how common each temper is, such as {"calm": 8, "hurried": 2}; they need not add up to 1.

    The tempers are numbers in `TEMPERS`: of the driver who cuts in, and of the one behind.

    Raises:
        ValueError: for a temper that does not exist, or shares below 0 or without a sum.

    >>> crowd(2, {"calm": 1.0}, np.random.default_rng(0))[1]
    array([[0, 0],
           [0, 0]])
    """
    for name in shares:
        if name not in TEMPERS:
            raise ValueError(unknown("temper", name, TEMPERS))
    parts = np.array([shares.get(name, 0.0) for name in TEMPERS])
    if (parts < 0).any() or not 0 < parts.sum() < np.inf:
        raise ValueError(
            f"The shares of the tempers must be 0 or more, with a sum; got {dict(shares)}."
        )
    tempers = rng.choice(len(TEMPERS), size=(count, 2), p=parts / parts.sum())
    u = rng.normal(size=(count, len(INPUTS)))
    for seat, moves in enumerate((CUTTING, BEHIND)):
        table = np.array([[moves[t].get(name, 0.0) for name in INPUTS] for t in TEMPERS])
        u += table[tempers[:, seat]]
    return u, tempers
