"""What `datasets.load` gives, against its sources."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data_sets import EACH_DATASET
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from course_lib import datasets

pytestmark = pytest.mark.usefixtures("own_settings")


def test_the_digits_are_split_as_stated():
    digits = datasets.load("digits")
    assert len(digits.train.x) == 1197 and len(digits.held_out.x) == 600
    assert digits.train.x.shape[1:] == (8, 8)
    assert (digits.train.x.dtype, digits.train.y.dtype) == (np.float32, np.int64)
    assert digits.train.x.min() == 0 and digits.train.x.max() == 16
    # Every digit of the collection is in exactly one part.
    both = np.concatenate([part.x.reshape(-1, 64) for part in (digits.train, digits.held_out)])
    original = load_digits().data
    assert sorted(map(tuple, both)) == sorted(map(tuple, original))
    # Stratified: each digit has the same share of both parts, as nearly as whole numbers go.
    counts = np.bincount(np.concatenate([digits.train.y, digits.held_out.y]))
    np.testing.assert_allclose(np.bincount(digits.held_out.y), counts * 600 / 1797, atol=1)


@EACH_DATASET
def test_data_are_the_same_every_time(name, split):
    np.random.seed(1)
    one = datasets.load(name, split)
    np.random.seed(2)
    other = datasets.load(name, split)
    for part in ("train", "held_out"):
        if isinstance(one, datasets.TableDataset):
            pd.testing.assert_frame_equal(getattr(one, part), getattr(other, part))
            continue
        np.testing.assert_array_equal(getattr(one, part).x, getattr(other, part).x)
        np.testing.assert_array_equal(getattr(one, part).y, getattr(other, part).y)


def test_the_real_tables_are_those_of_scikit_learn_under_readable_names():
    cancer, patients = datasets.load("breast_cancer"), datasets.load("diabetes")
    for data, original, target in (
        (cancer, load_breast_cancer(), "malignant"),
        (patients, load_diabetes(scaled=False), "progression"),
    ):
        assert data.label == target and list(data.train) == list(data.held_out)
        both = pd.concat([data.train, data.held_out]).astype(float)
        flipped = 1 - original.target if target == "malignant" else original.target
        expected = np.column_stack([original.data, flipped])
        assert sorted(map(tuple, both.to_numpy())) == sorted(map(tuple, expected))
    assert cancer.train["malignant"].dtype == bool
    malignant = [part["malignant"].mean() for part in (cancer.train, cancer.held_out)]
    np.testing.assert_allclose(malignant, 212 / 569, atol=1 / 169)
    assert set(patients.train["sex"]) == {"1", "2"}  # codes, not numbers


def test_what_the_cards_say_of_the_real_tables_holds():
    patients, cancer = (
        pd.concat([data.train, data.held_out])
        for data in (datasets.load("diabetes"), datasets.load("breast_cancer"))
    )
    triglycerides = np.exp(patients["log_triglycerides"])
    ldl = patients["total_cholesterol"] - patients["hdl"] - triglycerides / 5
    assert (np.abs(ldl - patients["ldl"]) < 0.01).sum() == 438
    assert (cancer["mean_perimeter"] ** 2 / cancer["mean_area"] - 1).min() > 11
    assert cancer["mean_compactness"].between(0.019, 0.35).all()
    flat = cancer[["mean_concavity", "concavity_error", "worst_concavity"]] == 0
    assert flat.all(axis=1).sum() == 13


def test_unknown_data_and_cards_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="Did you mean 'digits'"):
        datasets.load("digit")
    with pytest.raises(ValueError, match=r"Known: 'adult', .*'moons'"):
        datasets.card("cifar10")


def test_the_card_of_a_file_that_no_place_offers_sends_to_a_mirror():
    """The registry says so in a comment above the data set; a learner reads the card."""
    text = (Path(__file__).parents[1] / "data" / "registry.toml").read_text(encoding="utf-8")
    told = re.findall(r"((?:^# .*\n)+)\[(\w+)\]", text, re.M)
    missing = {name for comment, name in told if "mirror" in comment.replace("\n# ", " ")}
    assert missing >= {"nass_cds", "online_retail", "cmapss", "pneumonia_mnist_rebuilt", "fsdd"}
    for name in missing:
        assert "COURSE_DATA_MIRROR" in datasets.card(name).data, name


def test_other_images_get_the_grey_levels_of_the_digits():
    x = np.array([[[0.0, 255.0], [128.0, 15.0]]], np.float32)
    held_out = datasets.Split(np.zeros_like(x), np.zeros(1))
    images = datasets.Dataset("some", datasets.Split(x, np.zeros(1)), held_out).with_levels(16)
    np.testing.assert_array_equal(images.train.x, [[[0, 16], [8, 1]]])
    assert images.train.x.dtype == np.float32 and images.held_out.x.max() == 0
    digits = datasets.load("digits")
    np.testing.assert_array_equal(digits.with_levels(16).held_out.x, digits.held_out.x)
