"""The real files of the mirror: what is known of them, and that their faults are handled and told."""

import numpy as np
import pandas as pd
import pytest
from data_sets import at_hand

from course_lib import datasets
from course_lib.datasets.fetch import fetch
from course_lib.datasets.registry import registry
from course_lib.datasets.tables import AI4I_MODES
from course_lib.models.clinical import adjusted_effect


def both(data):
    return pd.concat([data.train, data.held_out], ignore_index=True)


@at_hand("mnist", "10k")
def test_mnist_s_test_images():
    data = datasets.load("mnist", split="10k")
    assert data.train.x.shape == (8000, 28, 28) and data.held_out.x.shape == (2000, 28, 28)
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int64)
    assert (data.train.x.min(), data.train.x.max()) == (0, 255)
    # The digits' counts in the official test part; both halves have the same shares.
    counts = np.array([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    held_out = np.bincount(data.held_out.y)
    np.testing.assert_array_equal(np.bincount(data.train.y) + held_out, counts)
    np.testing.assert_allclose(held_out, counts / 5, atol=1)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        pytest.param(name, file, id=file, marks=at_hand(name, "10k" if name == "mnist" else None))
        for name, entry in registry().items()
        for file in entry.files
        if not file.startswith("train-")
    ],
)
def test_the_sizes_of_the_registry(name, file):
    size = registry()[name].files[file].size
    known = 0.01 if size % 100_000 == 0 else 0
    assert fetch(name, file).stat().st_size == pytest.approx(size, rel=known)


@at_hand("adult")
def test_adult():
    data = datasets.load("adult")
    train = data.train
    assert (len(train), len(data.held_out)) == (32_561, 16_281)
    assert (train["sex"] == "Female").mean() == pytest.approx(0.3308, abs=5e-5)
    rates = train.groupby("sex")["income_over_50k"].mean()
    assert rates["Female"] == pytest.approx(0.1095, abs=5e-5)
    assert rates["Male"] == pytest.approx(0.3057, abs=5e-5)
    # The full stops would make two more labels of two, the comment a row of its own.
    assert train["income_over_50k"].dtype == data.held_out["income_over_50k"].dtype == bool
    assert data.held_out["income_over_50k"].sum() == 3846
    assert train["age"].dtype == data.held_out["age"].dtype == np.int64
    # "?" is missing, and no space is left over.
    text = both(data).select_dtypes(exclude=["number", "bool"])
    values = {value for name in text for value in text[name].dropna().unique()}
    assert "?" not in values and all(value == value.strip() for value in values)
    missing = both(data).isna().sum()
    assert missing[missing > 0].to_dict() == {
        "workclass": 2799,
        "occupation": 2809,
        "native_country": 857,
    }
    assert train.duplicated().sum() == 24
    told = " ".join(data.notes)
    for fact in ('"?"', "2,399", "1,221", "comment", "full stop", "24 rows", "5 held out"):
        assert fact in told
    assert all(note in str(data) for note in data.notes)


@at_hand("german_credit")
def test_german_credit():
    data = datasets.load("german_credit")
    table = both(data)
    assert len(table) == 1000 and table["good_credit"].sum() == 700
    assert data.held_out["good_credit"].mean() == pytest.approx(0.7)
    assert not table.isna().any(axis=None)
    women = table["personal_status"].isin(["A92", "A95"])
    assert women.sum() == 310 and "A95" not in set(table["personal_status"])
    assert ((table["sex"] == "female") == women).all()
    young = table["age"] <= 25
    assert table[young]["good_credit"].mean() == pytest.approx(0.579, abs=5e-4)
    assert table[~young]["good_credit"].mean() == pytest.approx(0.728, abs=5e-4)
    assert "disputed" in data.notes[0]


@at_hand("ai4i2020")
def test_ai4i2020():
    data = datasets.load("ai4i2020")
    table = both(data)
    assert next(iter(table)) == "quality"  # the byte-order mark went
    assert not any("\r" in name or "\ufeff" in name for name in table)
    assert table["machine_failure"].sum() == 339 and len(table) == 10_000
    assert table[AI4I_MODES].sum().tolist() == [46, 115, 95, 98, 19]
    failed, modes = table["machine_failure"], table[AI4I_MODES]
    assert (failed & ~modes.any(axis=1)).sum() == 9
    assert (~failed & table["random_failure"]).sum() == 18
    assert (modes.sum(axis=1) > 1).sum() == 24
    assert table["quality"].value_counts().to_dict() == {"L": 6000, "M": 2997, "H": 1003}
    told = " ".join(data.notes)
    for fact in ("byte-order mark", "CRLF", "9 failures", "18 rows"):
        assert fact in told
    assert data.held_out["machine_failure"].sum() == 68


@at_hand("cmapss")
def test_cmapss():
    data = datasets.load("cmapss")
    lives = data.train.groupby("engine")["cycle"].max()
    assert (len(lives), lives.min(), lives.max()) == (100, 128, 362)
    assert lives.mean() == pytest.approx(206.31)
    assert data.held_out["engine"].nunique() == 100
    # To train, each engine runs until nothing is left; held out, the file says what is left.
    last = [part.groupby("engine")["remaining_life"].last() for part in (data.train, data.held_out)]
    assert (last[0] == 0).all()
    assert (last[1].iloc[0], last[1].iloc[1], last[1].min(), last[1].max()) == (112, 98, 7, 145)
    told = " ".join(data.notes)
    for fact in ("7 columns have one value", "RUL_FD001.txt"):
        assert fact in told


@at_hand("nhefs")
def test_nhefs():
    """The figures of Hernán and Robins's book: 2.5 kg without adjustment, 3.5 with its covariates."""
    data = datasets.load("nhefs")
    table = pd.concat([data.train, data.held_out])
    assert len(table) == 1566 and not table.isna().any(axis=None)
    assert table["quit"].sum() == 403
    gained = table.groupby("quit")["weight_change"].mean()
    assert gained[True] - gained[False] == pytest.approx(2.54, abs=0.01)
    numbers = table.select_dtypes("number").drop(columns="weight_change").astype(float)
    names = ["sex", "race", "education", "exercise", "active"]
    levels = pd.get_dummies(table[names], drop_first=True).astype(float)
    x = pd.concat([numbers, numbers**2, levels], axis=1).to_numpy()
    found = adjusted_effect(table["quit"].to_numpy(float), table["weight_change"].to_numpy(), x)
    assert found == pytest.approx(3.46, abs=0.01)
    assert "63 people" in " ".join(data.notes)


@at_hand("heart_disease")
def test_heart_disease():
    data = datasets.load("heart_disease")
    table = pd.concat([data.train, data.held_out])
    assert len(table) == 920 and data.train["hospital"].iloc[0] == "cleveland"
    sizes = {"cleveland": 303, "hungarian": 294, "switzerland": 123, "va": 200}
    assert table["hospital"].value_counts().to_dict() == sizes
    share = table.groupby("hospital")["disease"].mean()
    assert share["cleveland"] == pytest.approx(0.459, abs=0.001)
    assert share["switzerland"] == pytest.approx(0.935, abs=0.001)
    told = " ".join(data.notes)
    for fact in ("66 rows", "172 rows"):
        assert fact in told


@at_hand("fsdd")
def test_spoken_digits():
    """As the publisher's README says: 50 recordings of each digit and speaker, 0 to 4 the test part."""
    data = datasets.load("fsdd")
    for part, each in ((data.train, 270), (data.held_out, 30)):
        assert part.x.dtype == np.float32 and part.y.dtype == np.int64
        assert np.bincount(part.y).tolist() == [each] * 10
        np.testing.assert_allclose(np.abs(part.x).max(axis=1), 0.9, atol=1e-3)
