"""The simulated homes: what data/homes.md says of places, prices and adverts is there."""

import numpy as np
import pandas as pd
import pytest

from course_lib.datasets import homes


@pytest.fixture(scope="module")
def table():
    return homes.homes(4000, seed=1)


def test_boats_lie_on_the_river_and_nothing_else_does(table):
    water = homes.river_distance(table["east"], table["north"])
    boat = table["kind"] == "houseboat"
    assert water[boat].max() < 0.05
    assert water[~boat].min() > homes.WIDTH - 0.02  # places have two decimals
    a, b, radius = homes.PARK
    assert np.hypot(table["east"] - a, table["north"] - b)[~boat].min() > radius - 0.02
    shares = table["kind"].value_counts(normalize=True)[list(homes.KINDS)]
    assert shares.to_numpy() == pytest.approx(homes.SHARES, abs=0.03)


def test_the_price_follows_its_equation(table):
    water = homes.river_distance(table["east"], table["north"])
    features = np.column_stack(
        [np.ones(len(table)), np.hypot(table["east"], table["north"]), water < homes.NEAR]
    )
    y = np.log(table["price"] / table["area"])
    found, *_ = np.linalg.lstsq(features, y, rcond=None)
    assert found == pytest.approx([1.3, -0.12, 0.2], abs=0.03)


def test_an_advert_says_what_is_true_of_its_home(table):
    water = homes.river_distance(table["east"], table["north"])
    for (_, home), far in zip(table.iterrows(), water, strict=True):
        boat = home["kind"] == "houseboat"
        assert home["kind"] in home["advert"].split()
        assert homes.COUNTS[home["rooms"] - 1] in home["advert"]
        assert (homes.ON_WATER in home["advert"]) == boat
        if abs(far - homes.NEAR) > 0.02:
            assert (homes.NEAR_WATER in home["advert"]) == (not boat and far < homes.NEAR)


def test_one_seed_gives_one_town():
    pd.testing.assert_frame_equal(homes.homes(50, seed=2), homes.homes(50, seed=2))
    assert not homes.homes(50, seed=2).equals(homes.homes(50, seed=3))
    with pytest.raises(ValueError, match="At least one home"):
        homes.homes(0)
