"""The data of the course, each set in a training and a held-out part: arrays or tables.

`load("digits")` gives arrays, `load("loans")` DataFrames; `card` says where they come from.
"""

from course_lib.datasets.augmentation import random_shift
from course_lib.datasets.cards import card
from course_lib.datasets.loading import Dataset, Split, TableDataset, load, names

__all__ = ["Dataset", "Split", "TableDataset", "card", "load", "names", "random_shift"]
