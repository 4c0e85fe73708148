"""The mixtures whose modes are counted; their points are the data sets "ring" and "grid"."""

from course_lib.datasets.mixtures import GRID_CENTRES, GRID_SD, RING_CENTRES, RING_SD
from course_lib.mode_collapse.modes import Modes

RING = Modes(RING_CENTRES, RING_SD)
GRID = Modes(GRID_CENTRES, GRID_SD)
BENCHMARKS = {"ring": RING, "grid": GRID}
