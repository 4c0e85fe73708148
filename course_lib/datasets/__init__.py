"""The data of the course: `load("digits")` gives arrays split into training and held-out parts."""

from course_lib.datasets.augmentation import random_shift
from course_lib.datasets.cards import card
from course_lib.datasets.loading import Dataset, Split, load, names

__all__ = ["Dataset", "Split", "card", "load", "names", "random_shift"]
