"""Simulated homes for sale in a town on a river: places, rare houseboats, and an advert in words.

Where the river runs, what a home costs and which words its advert has are planted; data/homes.md says how.
"""

import numpy as np
import pandas as pd

from course_lib.datasets.splits import TableDataset

KINDS = ("flat", "house", "houseboat")
SHARES = (0.6, 0.37, 0.03)
SPREAD = (1.5, 3.0)  # km, of flats and of houses around the centre
WIDTH = 0.08  # km, half of the river
NEAR = 0.4  # km: homes that are no farther from the river say so
PARK = (-2.5, 1.6, 1.0)  # km: centre and radius of a park without homes
COUNTS = ("one room", "two rooms", "three rooms", "four rooms", "five rooms", "six rooms")
ON_WATER, NEAR_WATER = "on the water", "close to the river"
MOODS = ("bright", "quiet", "modern", "charming", "spacious", "renovated", "sunny", "cosy")
EXTRAS = (
    *("a new kitchen", "wooden floors", "a large balcony", "a lift", "a cellar", "two bathrooms"),
    *("solar panels", "a fireplace", "double glazing", "a bicycle shed"),
)
CALLS = (
    "call us today",
    "viewing on Saturday",
    "free from May",
    "no agents please",
    "ready to move in",
)


def river(x: np.ndarray) -> np.ndarray:
    """Where the middle of the river lies, in km to the north, at x km to the east.

    >>> river(np.array([0.0])).tolist()
    [-0.5]
    """
    return 1.5 * np.sin(0.7 * np.asarray(x)) - 0.5


def river_distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance in km of places (n,) from the middle of the river, to the nearest 20 metres.

    >>> river_distance(np.array([0.0]), np.array([-0.5])).round(2).tolist()
    [0.0]
    """
    course = np.arange(-12, 12, 0.02)
    bend = river(course)
    squared = (np.asarray(x)[:, None] - course) ** 2 + (np.asarray(y)[:, None] - bend) ** 2
    return np.sqrt(squared.min(axis=1))


def homes(n: int, *, seed: int = 0) -> pd.DataFrame:
    """`n` independent homes: place (`east`, `north`), `kind`, `rooms`, `area`, `price` and `advert`.

    Raises:
        ValueError: for fewer than one home.

    >>> table = homes(500)
    >>> bool((river_distance(table["east"], table["north"])[table["kind"] == "houseboat"] < 0.1).all())
    True
    """
    if n < 1:
        raise ValueError(f"At least one home is needed; got {n}.")
    rng = np.random.default_rng((seed, 7))
    code = rng.choice(3, n, p=SHARES)
    east, north = _places(rng, code)
    water = river_distance(east, north)
    rooms = 1 + rng.binomial(5, np.array([0.3, 0.6, 0.25])[code])
    area = np.round(14 * rooms * np.exp(0.25 * rng.standard_normal(n)) + 8)
    # log price = log area + 1.3 - 0.12 km from the centre + 0.2 [near the river] + 0.15 epsilon
    log_price = np.log(area) + 1.3 - 0.12 * np.hypot(east, north) + 0.2 * (water < NEAR)
    price = np.round(np.exp(log_price + 0.15 * rng.standard_normal(n)))
    table = pd.DataFrame(
        {
            "east": east.round(2),
            "north": north.round(2),
            "kind": np.array(KINDS, object)[code],
            "rooms": rooms,
            "area": area.astype(int),
            "price": price.astype(int),
        }
    )
    return table.assign(advert=_adverts(rng, table, water))


def _places(rng: np.random.Generator, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """East and north (n,): flats in the middle, houses around, boats on the river; no others there."""
    n = len(code)
    boat = code == KINDS.index("houseboat")
    east, north = np.zeros(n), np.zeros(n)
    left = np.flatnonzero(~boat)
    while len(left):
        spread = np.array(SPREAD)[code[left]]
        east[left], north[left] = rng.standard_normal((2, len(left))) * spread
        a, b, radius = PARK
        wet = river_distance(east[left], north[left]) < WIDTH
        left = left[wet | (np.hypot(east[left] - a, north[left] - b) < radius)]
    east[boat] = rng.uniform(-6, 6, boat.sum())
    north[boat] = river(east[boat]) + rng.uniform(-WIDTH / 4, WIDTH / 4, boat.sum())
    return east, north


def _adverts(rng: np.random.Generator, table: pd.DataFrame, water: np.ndarray) -> list[str]:
    texts = []
    for kind, rooms, far in zip(table["kind"], table["rooms"], water, strict=True):
        parts = [f"with {COUNTS[rooms - 1]}"]
        if kind == "houseboat":
            parts.append(ON_WATER)
        elif far < NEAR:
            parts.append(NEAR_WATER)
        parts += list(rng.choice(EXTRAS, rng.integers(0, 3), replace=False))
        text = f"{rng.choice(MOODS)} {kind} {', '.join(parts)}"
        texts.append(f"{text}, {rng.choice(CALLS)}" if rng.random() < 0.5 else text)
    return texts


def simulated_homes() -> TableDataset:
    """6,000 simulated homes, 3,000 to train and 3,000 held out.

    >>> simulated_homes().train.shape
    (3000, 7)
    """
    table = homes(6000, seed=0)
    return TableDataset("homes", table[:3000], table[3000:].reset_index(drop=True), "price")
