"""What the page draws: each column of both tables in a few cells, and how strongly columns go together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One column: which share of the rows of each table lies in which cell.

    Attributes:
        cells: what each cell holds, in words; the last one is "missing" where values are.
        real, synthetic: shares of the rows, as many as cells.
    """

    name: str
    kind: str
    cells: tuple[str, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]


@dataclass(frozen=True)
class Associations:
    """Cramér's V of each pair of columns in both tables, in the order of `combinations(names, 2)`."""

    names: tuple[str, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]
