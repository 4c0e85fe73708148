"""The simulated shop: what is planted is there, the two tables fit together, and the cards are right."""

import numpy as np
import pandas as pd
import pytest
from data_sets import at_hand

from course_lib import datasets
from course_lib.datasets.shop import (
    ABROAD,
    FIRST_HELD_OUT,
    ITEMS,
    TRADE,
    catalogue,
    coupon_trial,
    linked_tables,
)


@pytest.fixture(scope="module")
def shop():
    return linked_tables(2000, seed=1)


@pytest.mark.slow
def test_the_tables_fit_together(shop):
    people, lines = shop
    assert people["customer"].is_unique and lines["customer"].isin(people["customer"]).all()
    assert lines.groupby("order")["customer"].nunique().max() == 1
    assert lines.groupby("order")["month"].nunique().max() == 1
    assert not lines.duplicated(["order", "item"]).any()
    assert lines["item"].between(0, ITEMS - 1).all() and lines["quantity"].min() >= 1
    for share, wanted in (
        ((people["kind"] == "trade").mean(), TRADE),
        ((people["region"] == "abroad").mean(), ABROAD),
    ):
        assert share == pytest.approx(wanted, abs=4 * np.sqrt(wanted * (1 - wanted) / len(people)))


@pytest.mark.slow
def test_tastes_pairs_seasons_and_regions_are_planted(shop):
    people, lines = shop
    items = catalogue()
    baskets = pd.crosstab(lines["order"], lines["item"]).reindex(columns=range(ITEMS), fill_value=0)
    baskets = baskets.to_numpy() > 0
    share = baskets.mean(axis=0)
    one = items.index[items.index < items["partner"]].to_numpy()
    other = items["partner"].to_numpy()[one]
    together = (baskets[:, one] & baskets[:, other]).mean(axis=0)
    stranger = np.roll(other, 1)  # another pair's item, mostly of the same aisle
    apart = (baskets[:, one] & baskets[:, stranger]).mean(axis=0)
    lift = together.sum() / (share[one] * share[other]).sum()
    assert lift > 3 * apart.sum() / (share[one] * share[stranger]).sum()
    late = lines["month"] >= FIRST_HELD_OUT
    seasonal = items["seasonal"].to_numpy()[lines["item"]]
    assert seasonal[late].mean() > 2 * seasonal[~late].mean()
    abroad = (people["region"] == "abroad").to_numpy()[lines["customer"]]
    foreign = items["foreign"].to_numpy()[lines["item"]]
    assert foreign[abroad].mean() > 3 * foreign[~abroad].mean()
    aisles = pd.crosstab(lines["customer"], items["aisle"].to_numpy()[lines["item"]])
    largest = (aisles.max(axis=1) / aisles.sum(axis=1))[aisles.sum(axis=1) >= 20]
    assert largest.median() > 0.4  # of ten aisles


def test_trade_is_a_large_part_of_the_value(shop):
    people, lines = shop
    value = (lines["quantity"] * lines["price"]).groupby(lines["customer"]).sum()
    of_trade = (people["kind"] == "trade").reindex(value.index)
    assert 0.5 < value[of_trade].sum() / value.sum() < 0.75


@pytest.mark.parametrize("seed", range(3))
def test_the_trial_is_drawn_by_its_true_chances(seed):
    n = 40_000
    rng = np.random.default_rng(seed)
    trial = coupon_trial(rng.poisson(6, n), rng.random(n) < 0.2, seed=seed)
    for coupon, chance in ((True, "with"), (False, "without")):
        own = trial[trial["coupon"] == coupon]
        error = own["bought"].mean() - own[chance].mean()
        assert abs(error) < 4 * np.sqrt(0.25 / len(own))
    assert trial["coupon"].mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / n))
    assert (trial.loc[trial["trade"], "with"] < trial.loc[trial["trade"], "without"]).all()


def test_a_shop_needs_a_customer():
    with pytest.raises(ValueError, match="At least one customer"):
        linked_tables(0)


def test_the_data_set_is_cut_by_month():
    data = datasets.load("shop")
    assert data.train["month"].max() == FIRST_HELD_OUT - 1
    assert data.held_out["month"].min() == FIRST_HELD_OUT
    assert data.parents["customer"].is_unique and len(data.parents) == 1200


@pytest.mark.slow
@at_hand("online_retail")
def test_online_retail():
    data = datasets.load("online_retail")
    people = data.parents
    assert (len(people), len(data.train), len(data.held_out)) == (4204, 172_583, 87_658)
    lines = pd.concat([data.train, data.held_out])
    assert lines["customer"].isin(people["customer"]).all() and people["customer"].is_unique
    assert lines["item"].nunique() == 800 and lines["quantity"].min() > 0
    assert not lines.duplicated(["order", "item"]).any()
    assert people["kind"].value_counts().to_dict() == {"household": 3207, "trade": 997}
    assert people["region"].value_counts().to_dict() == {"home": 3876, "abroad": 328}
    # Items are numbered by how many customers bought them in the training months.
    buyers = data.train.groupby("item")["customer"].nunique()
    assert buyers.is_monotonic_decreasing
    told = " ".join(data.notes)
    for fact in ("525,461", "6,865", "107,833", "11,211"):
        assert fact in told and fact in datasets.card("online_retail").data
