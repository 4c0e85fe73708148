"""Every data set and split as a test's parameters; what would need a network is skipped by name."""

import os
from pathlib import Path

import pytest

from course_lib.datasets import names
from course_lib.datasets.registry import registry

SLOW = {"fsdd", "online_retail", "payments", "shop", "vowels"}  # more than a second to make or read
T10K = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def missing(name, split=None):
    """A sentence that names what the mirror, a folder, lacks of a data set; "" if nothing."""
    files = T10K if split == "10k" else list(registry()[name].files)
    mirror = Path(os.environ.get("COURSE_DATA_MIRROR") or "no-mirror")
    there = all((mirror / name / file).is_file() for file in files)
    whole = f"{name} ({split})" if split else name
    return "" if there else f"{whole} is not in the folder that COURSE_DATA_MIRROR names"


def at_hand(name, split=None):
    """The mark that skips a test unless the mirror has the files it needs."""
    reason = missing(name, split)
    return pytest.mark.skipif(bool(reason), reason=reason)


def _each():
    for name in names():
        marks = [at_hand(name)] if name in registry() else []
        marks += [pytest.mark.slow] if name in SLOW else []
        yield pytest.param(name, None, id=name, marks=marks)
        if name in ("mnist", "fashion_mnist"):
            yield pytest.param(name, "10k", id=f"{name}-10k", marks=at_hand(name, "10k"))


EACH_DATASET = pytest.mark.parametrize(("name", "split"), list(_each()))
