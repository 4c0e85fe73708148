"""What `load` returns: a data set in two parts, of arrays or of tables."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split


class Split(NamedTuple):
    """One part of a data set: `x` (n, ...) float32 and, where there are classes, `y` (n,) int64."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A data set in two parts: `train` to learn from, `held_out` to judge with.

    `notes` say what the original files have against them, one sentence each.
    """

    name: str
    train: Split
    held_out: Split
    notes: tuple[str, ...] = ()

    def with_levels(self, levels: int) -> "Dataset":
        """The same images with whole grey levels from 0 to `levels`, as models of grey levels want.

        The brightest pixel of the training images is taken for the highest level.
        """
        highest = self.train.x.max()

        def rounded(part: Split) -> Split:
            return Split(np.round(part.x * (levels / highest)).astype(np.float32), part.y)

        return replace(self, train=rounded(self.train), held_out=rounded(self.held_out))

    def at_most(self, side: int) -> "Dataset":
        """The same square images, by means over blocks of pixels, with no more than `side` a side.

        Images that are small enough stay as they are.

        Raises:
            ValueError: when the images cannot be cut into whole blocks.
        """
        size = self.train.x.shape[1]
        block = -(-size // side)
        if size % block:
            raise ValueError(
                f"{self.name} has {size} pixels a side, which blocks of {block} do not divide: "
                f"choose a side that divides {size}."
            )

        def smaller(part: Split) -> Split:
            n, rows, columns = part.x.shape
            blocks = part.x.reshape(n, rows // block, block, columns // block, block)
            return Split(blocks.mean(axis=(2, 4)), part.y)

        return replace(self, train=smaller(self.train), held_out=smaller(self.held_out))

    def __str__(self) -> str:
        return _told(
            f"{self.name}: {len(self.train.x):,} to train, {len(self.held_out.x):,} held out, "
            f"each of shape {self.train.x.shape[1:]}",
            self.notes,
        )


@dataclass(frozen=True)
class TableDataset:
    """A table in two parts of the same columns, with the roles that some columns play.

    Attributes:
        train, held_out: DataFrames, one row an observation, the label among the columns.
        label: the column to predict.
        sensitive: the columns that name groups of people.
        notes: what the original files have against them and what was done about it.
    """

    name: str
    train: pd.DataFrame
    held_out: pd.DataFrame
    label: str
    sensitive: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return _told(
            f"{self.name}: {len(self.train):,} rows to train, {len(self.held_out):,} held out, "
            f"{self.train.shape[1]} columns, label {self.label}",
            self.notes,
        )


@dataclass(frozen=True)
class LinkedDataset(TableDataset):
    """Two linked tables: one row a parent in `parents`, several rows of each in `train` and `held_out`.

    Attributes:
        parents: such as customers; the sensitive columns are theirs.
        key: the column by which both are linked; it has no value twice in `parents`.
    """

    parents: pd.DataFrame = field(default_factory=pd.DataFrame)
    key: str = ""

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.parents):,} rows linked by {self.key} with what follows\n"
            + (super().__str__())
        )


def _told(line: str, notes: tuple[str, ...]) -> str:
    return "\n".join([line, *(f"- {note}" for note in notes)])


def halves(x: np.ndarray, y: np.ndarray, held_out: int) -> tuple[Split, Split]:
    """Training and held-out part of one collection of images, stratified by class, seed 0.

    Args:
        x: (n, height, width).
        y: (n,), the classes.
        held_out: the number of images to hold out.

    >>> train, test = halves(np.zeros((10, 8, 8)), np.array([0, 1] * 5), held_out=4)
    >>> len(train.x), test.y.tolist()
    (6, [0, 1, 1, 0])
    """
    parts = train_test_split(x, y, test_size=held_out, random_state=0, stratify=y)
    return Split(parts[0], parts[2]), Split(parts[1], parts[3])


def parted(
    name: str,
    table: pd.DataFrame,
    label: str,
    sensitive: tuple[str, ...] = (),
    *,
    held_out: int,
    stratify: pd.Series | None = None,
    notes: tuple[str, ...] = (),
) -> TableDataset:
    """Split a table at random (seed 0) and name the roles of its columns.

    Args:
        name: the data set's name.
        table: one row an observation.
        label: the column to predict.
        sensitive: the columns that name groups of people.
        held_out: the number of rows to hold out.
        stratify: (n,), keep its shares equal in both parts.
        notes: what the original files have against them, one sentence each.

    >>> print(parted("ages", pd.DataFrame({"age": range(10)}), "age", held_out=3))
    ages: 7 rows to train, 3 held out, 1 columns, label age
    """
    parts = train_test_split(table, test_size=held_out, random_state=0, stratify=stratify)
    train, rest = (part.reset_index(drop=True) for part in parts)
    return TableDataset(name, train, rest, label, sensitive, notes)
