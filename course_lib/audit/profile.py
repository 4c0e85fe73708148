"""What the page draws: each column of both tables in a few cells, and how strongly columns go together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One column: which share of the rows of each table lies in which cell.

    Attributes:
        cells: what each cell holds, in words; the last one is "missing" where values are.
        real, synthetic: shares of the rows, as many as cells.
        facts: what else is told of it, such as its mean: what, in the real rows, in the synthetic ones.
    """

    name: str
    kind: str
    cells: tuple[str, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]
    facts: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Associations:
    """Cramér's V of each pair of columns in both tables, in the order of `combinations(names, 2)`."""

    names: tuple[str, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]


@dataclass(frozen=True)
class Joint:
    """Two columns together: which share of the rows of each table lies in which cell.

    Attributes:
        names: of the two columns. rows, columns: what the cells of the first and of the second hold.
        real, synthetic: shares of all rows, row by row.
    """

    names: tuple[str, str]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    real: tuple[tuple[float, ...], ...]
    synthetic: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Reliability:
    """How often models are right that say how likely the label is: on real holdout rows, by tenths of them.

    Attributes:
        label: what they predict, in words.
        real, synthetic: of the model of real and of synthetic rows, each tenth's mean prediction and its
            share of rows with the label.
    """

    label: str
    real: tuple[tuple[float, float], ...]
    synthetic: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Pair:
    """A synthetic row and the training row that is nearest to it.

    Attributes:
        synthetic, real: which rows of their tables, from 0.
        distance: between them, as points (`features.encode`). next: to the second nearest training row.
        columns: names of the columns. synthetic_values, real_values: what stands there, in words.
    """

    synthetic: int
    real: int
    distance: float
    next: float
    columns: tuple[str, ...]
    synthetic_values: tuple[str, ...]
    real_values: tuple[str, ...]
