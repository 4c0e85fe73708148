"""The simulated payments and the reader of public ones: habits, kinds of fraud, and their cards."""

import numpy as np
import pandas as pd
import pytest

from course_lib.datasets import DataError
from course_lib.datasets.card_fraud import COLUMNS, card_fraud
from course_lib.datasets.payments import (
    HIT,
    KINDS,
    LEARNT,
    MERCHANTS,
    RING,
    RING_DAYS,
    WARM,
    transactions,
)

N = 3000


@pytest.fixture(scope="module")
def table():
    return transactions(N, seed=5)


def test_accounts_pay_as_the_card_says(table):
    own = table[~table["fraud"]]
    assert table["account"].nunique() == N
    assert (np.diff(table["account"]) >= 0).all()
    assert table.groupby("account")["time"].is_monotonic_increasing.all()
    # 0.9 payments a day, and 0.02 times three more in a spree; the rate's deviation is 0.35 sqrt 2.
    assert len(own) / N / 80 == pytest.approx(0.9 * 1.06, abs=4 * 0.5 / N**0.5)
    assert own["online"].mean() == pytest.approx(0.4, abs=0.02)
    assert (own.loc[own["online"], "distance"] == 0).all()
    assert table["amount"].min() > 0
    assert ((table["amount"] * 100).round(6) % 1 == 0).all()
    # Six favourites: of a typical account most payments go to few merchants.
    busiest = own.groupby("account")["merchant"].agg(lambda m: m.value_counts().head(6).sum())
    assert (busiest.sum() / len(own)) > 0.8


def test_frauds_happen_as_the_card_says(table):
    frauds = table[table["fraud"]]
    assert (table["fraud"] == (table["kind"] != "none")).all()
    assert (frauds["episode"] > 0).all() and (table.loc[~table["fraud"], "episode"] == 0).all()
    starts = frauds.groupby("episode").agg({"time": "min", "kind": "first", "account": "nunique"})
    assert (starts["account"] == 1).all()
    days = starts["time"] / 24
    for kind in KINDS[:3]:
        for first in (WARM, LEARNT):
            inside = (starts["kind"] == kind) & days.between(first, first + 30)
            assert inside.sum() == round(HIT / 3 * N)
    ring = frauds[frauds["kind"] == "ring"]
    assert days[starts["kind"] == "ring"].between(RING_DAYS[0], RING_DAYS[1] + 3).all()
    assert (ring["merchant"] >= MERCHANTS - RING).all()
    assert not ring.duplicated(["episode", "merchant"]).any()
    assert frauds["time"].min() > 24 * WARM
    online = frauds.groupby("kind")["online"].mean()
    assert online["testing"] == online["takeover"] == 1 and online["cloned"] == 0


def test_a_ring_can_be_left_out_and_a_seed_gives_one_table():
    quiet = transactions(200, seed=3, ring=False)
    assert set(quiet["kind"]) <= {"none", *KINDS[:3]}
    pd.testing.assert_frame_equal(quiet, transactions(200, seed=3, ring=False))
    assert not quiet.equals(transactions(200, seed=4, ring=False))
    with pytest.raises(ValueError, match="At least ten accounts"):
        transactions(9)


def test_a_file_in_the_public_format_is_read(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(6, len(COLUMNS))), columns=COLUMNS)
    rows["Time"] = [0, 10, 86_399, 86_400, 100_000, 100_000]
    rows["Class"] = [0, 1, 0, 0, 1, 1]
    rows.iloc[5] = rows.iloc[4]
    file = tmp_path / "creditcard.csv"
    rows.to_csv(file, index=False)
    data = card_fraud(file)
    assert (len(data.train), len(data.held_out), data.label) == (3, 3, "fraud")
    assert data.train["fraud"].tolist() == [False, True, False]
    assert list(data.train)[:2] == ["time", "v1"] and list(data.train)[-2:] == ["amount", "fraud"]
    assert "1 payments repeat" in data.notes[0]
    rows.drop(columns="V3").to_csv(file, index=False)
    with pytest.raises(DataError, match="other columns"):
        card_fraud(file)
    with pytest.raises(DataError, match="There is no file"):
        card_fraud(tmp_path / "none.csv")
