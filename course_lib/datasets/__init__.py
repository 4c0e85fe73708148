"""The data of the course, each set in a training and a held-out part: arrays or tables.

`load("digits")` gives arrays, `load("loans")` DataFrames; `card` says where they come from. Some come
embedded, others ("mnist", "adult") are fetched when they are asked for, and kept.
"""

from course_lib.datasets.augmentation import random_shift
from course_lib.datasets.cards import card
from course_lib.datasets.fetch import DataError
from course_lib.datasets.loading import load, names
from course_lib.datasets.splits import Dataset, Split, TableDataset

__all__ = ["DataError", "Dataset", "Split", "TableDataset", "card", "load", "names", "random_shift"]
