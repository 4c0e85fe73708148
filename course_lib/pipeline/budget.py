"""The privacy budget: how much each release costs, and that the sum never exceeds what was allowed."""

import math
from collections.abc import Mapping
from pathlib import Path

from course_lib.pipeline.journal import Entry, Journal


def charge(
    ledger: Mapping[str, float], release: str, cost: float, total: float
) -> tuple[bool, dict[str, float]]:
    """Whether a release may be made, and the ledger afterwards: names of releases to what they cost.

    A release that has been charged is not charged again: a run that was killed and is resumed makes the
    same release. One that the rest of the budget does not cover is refused, and costs nothing.

    Args:
        cost, total: in rho of zero-concentrated privacy, which adds up over releases (Bun and Steinke
            2016, arXiv 1605.02065, lemma 2.3).

    Raises:
        ValueError: for a cost that is not a finite number above 0.

    >>> charge({"monday": 0.6}, "tuesday", 0.5, total=1.0)
    (False, {'monday': 0.6})
    """
    if not (math.isfinite(cost) and cost > 0):
        raise ValueError(f"A release costs a finite number above 0, not {cost}.")
    if release in ledger:
        return True, dict(ledger)
    # Thirty times a thirtieth may be a little more than one.
    if math.fsum([*ledger.values(), cost]) > total * (1 + 1e-12):
        return False, dict(ledger)
    return True, {**ledger, release: cost}


class Budget:
    """The ledger of a pipeline, kept in an append-only file that one process at a time may write to.

    Args:
        path: the file.
        total: rho for all releases together.
    """

    def __init__(self, path: Path, total: float):
        self.journal, self.total = Journal(path), total

    def ledger(self) -> dict[str, float]:
        """Names of releases to rho."""
        return {entry["release"]: entry["rho"] for entry in self.journal.entries()}

    def spend(self, release: str, cost: float) -> bool:
        """Charge a release before it is made. False, and no charge, if the rest does not cover it."""
        granted = False

        def decide(entries: object) -> Entry | None:
            nonlocal granted
            before = self.ledger()
            granted, after = charge(before, release, cost, self.total)
            return {"release": release, "rho": cost} if len(after) > len(before) else None

        self.journal.append(decide)
        return granted
