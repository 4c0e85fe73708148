"""The simulated survey of crashes, and the planted lesions: what their cards say."""

import numpy as np
import pytest
from data_sets import at_hand

from course_lib import datasets
from course_lib.datasets.crashes import (
    DRAWN,
    RISK,
    SHARES,
    SPEEDS,
    people_in_crashes,
    surveyed,
)
from course_lib.datasets.lesions import plant_lesions


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_people_follow_the_equations_of_the_card(seed):
    from sklearn.linear_model import LogisticRegression

    people = people_in_crashes(400_000, seed=seed)
    speed = people["speed"].map(SPEEDS.index).to_numpy()
    np.testing.assert_allclose(np.bincount(speed) / len(people), SHARES, atol=0.003)
    assert people["died"].mean() == pytest.approx(0.0048, abs=0.0004)
    x = np.column_stack(
        [
            np.eye(len(SPEEDS))[speed],
            people["age"] - 37,
            people["belted"],
            people["airbag"] & people["frontal"],
        ]
    )
    model = LogisticRegression(C=1e6, fit_intercept=False, max_iter=2000).fit(x, people["died"])
    np.testing.assert_allclose(model.coef_[0, 1:5], RISK[1:], atol=0.4)
    np.testing.assert_allclose(model.coef_[0, 5:], [0.03, -1.0, -0.4], atol=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_the_weights_lead_back_to_all_people_and_the_rows_do_not(seed):
    people = people_in_crashes(400_000, seed=seed)
    table = surveyed(people, seed=seed + 10)
    assert table["weight"].sum() == pytest.approx(len(people), rel=0.02)
    truth = people["died"].mean()
    rate = np.average(table["died"], weights=table["weight"])
    assert rate == pytest.approx(truth, rel=0.12)
    assert table["died"].mean() > 10 * truth
    # Also within a class of speed, since the dead are drawn more often.
    fast = table[table["speed"] == "25-39"]
    true_fast = people.loc[people["speed"] == "25-39", "died"].mean()
    assert fast["died"].mean() > 2.5 * true_fast
    assert set(table.loc[~table["died"], "weight"]) == {round(1 / d, 2) for d in DRAWN}


def test_a_survey_depends_on_its_seeds_alone():
    people = people_in_crashes(3000, seed=2)
    np.random.seed(1)
    one = surveyed(people, seed=3)
    np.random.seed(2)
    assert one.equals(surveyed(people, seed=3)) and not one.equals(surveyed(people, seed=4))
    with pytest.raises(ValueError, match="At least one person"):
        people_in_crashes(0)


@at_hand("nass_cds")
def test_nass_cds():
    """The figures of the package's documentation, and of its weighted tables."""
    data = datasets.load("nass_cds")
    assert len(data.train) + len(data.held_out) == 26_005
    table = datasets.load("nass_cds").train
    assert tuple(sorted(table["speed"].unique())) == tuple(sorted(SPEEDS))
    assert list(table) == list(datasets.load("crashes").train)
    assert table["died"].mean() == pytest.approx(0.045, abs=0.001)
    assert np.average(table["died"], weights=table["weight"]) == pytest.approx(0.0054, abs=0.0012)
    assert "212 people" in " ".join(data.notes)


def test_half_of_the_images_get_a_spot_that_adds_to_the_digit():
    blank = np.zeros((4000, 8, 8))
    x, y = plant_lesions(blank, seed=1)
    assert y.mean() == 0.5 and x.dtype == np.float32 and y.dtype == np.int64
    assert (x[y == 0] == 0).all() and (x[y == 1].max(axis=(1, 2)) >= 7).all()
    # The middle of the brightest pixel is spread evenly over the inner pixels.
    flat = x[y == 1].reshape(-1, 64).argmax(axis=1)
    rows = np.bincount(flat // 8, minlength=8) / len(flat)
    np.testing.assert_allclose(rows, [0, 0, 0.25, 0.25, 0.25, 0.25, 0, 0], atol=0.04)
    assert x.max() <= 16
    bright, _ = plant_lesions(blank + 16, seed=1)
    assert (bright == 16).all()
    with pytest.raises(ValueError, match="8, 8"):
        plant_lesions(np.zeros((3, 28, 28)))


def test_larger_images_are_averaged_over_blocks():
    part = datasets.Split(np.arange(32, dtype=np.float32).reshape(2, 4, 4), np.zeros(2))
    images = datasets.Dataset("some", part, part)
    small = images.at_most(2)
    np.testing.assert_array_equal(small.train.x[0], [[2.5, 4.5], [10.5, 12.5]])
    assert small.train.x.dtype == np.float32
    np.testing.assert_array_equal(images.at_most(4).held_out.x, part.x)
    with pytest.raises(ValueError, match="blocks of 2 do not divide: choose a side that divides 3"):
        datasets.Dataset("odd", datasets.Split(np.zeros((2, 3, 3)), part.y), part).at_most(2)


@at_hand("pneumonia_mnist_rebuilt")
def test_the_stand_in_of_pneumonia_mnist():
    data = datasets.load("pneumonia_mnist_rebuilt")
    assert data.train.x.shape == (5232, 28, 28) and data.train.y.sum() == 3494 + 389
    assert data.held_out.y.sum() == 390 and data.train.x.max() == 255
    assert data.at_most(14).with_levels(16).train.x.shape[1:] == (14, 14)
    assert "stand-in" in str(data)
