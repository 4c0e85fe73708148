"""What lesson 14 builds against fraud, and its sequence model, against plain definitions."""

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.datasets.payments import transactions
from course_lib.mode_collapse.steering import smote_sample
from course_lib.models.fraud import (
    alarms,
    fraud_episodes,
    history,
    lies_between,
    lives_with,
    ring_score,
    splice,
)
from course_lib.models.sequence import Bins, SequenceModel


def test_alarms_with_ties_are_the_mean_over_lots():
    rng = np.random.default_rng(0)
    score = rng.integers(0, 4, 60).astype(float)
    drawn = np.zeros(60)
    for _ in range(2000):
        drawn[np.lexsort([rng.random(60), -score])[:12]] += 1
    wanted = alarms(score, 0.2)
    assert wanted.sum() == pytest.approx(12)
    np.testing.assert_allclose(drawn / 2000, wanted, atol=4 * (0.25 / 2000) ** 0.5)


def test_a_history_does_not_change_with_what_comes_later():
    table = transactions(50, seed=1)
    columns = [table[name].to_numpy(float) for name in ("account", "time", "amount")]
    whole = history(*columns, 24.0)
    early = table["time"].to_numpy() < 24 * 40
    cut = history(*(column[early] for column in columns), 24.0)
    np.testing.assert_allclose(cut, whole[early])


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_smote_lie_between_and_others_do_not(seed):
    rng = np.random.default_rng(seed)
    known, others = rng.normal(size=(80, 4)), rng.normal(size=(200, 4))
    made = smote_sample(torch.from_numpy(known), 200, seed=seed).numpy()
    assert lies_between(made, known, 80, 1e-9).all()
    assert lies_between(others, known, 80, 1e-9).mean() < 0.01


def test_the_ring_score_knows_no_label_and_no_later_day():
    table = transactions(1500, seed=2)
    table = table[(table["time"] >= 24 * 50) & (table["time"] < 24 * 75)]
    columns = [table[name].to_numpy() for name in ("account", "merchant", "time")]
    score = ring_score(*columns)
    ring = (table["kind"] == "ring").to_numpy()
    assert np.median(score[ring]) > np.quantile(score[~ring], 0.97)
    early = table["time"].to_numpy() < 24 * 60
    np.testing.assert_allclose(ring_score(*(c[early] for c in columns)), score[early], atol=1e-4)


def test_episodes_come_back_out_of_the_lives_that_they_were_put_into():
    table = transactions(400, seed=4, ring=False)
    episodes = fraud_episodes(table)
    assert len(episodes) == pytest.approx(2 * 3 * round(0.035 / 3 * 400), abs=3)
    lives = lives_with(table, episodes[:5], splice, (30, 40), seed=1)
    for number, episode in enumerate(episodes[:5]):
        life = lives[lives["account"] == number]
        put_in = life[life["fraud"]]
        assert life["time"].is_monotonic_increasing and len(put_in) == len(episode)
        begin = put_in["time"].iloc[0]
        before = life[(life["time"] < begin) & ~life["fraud"]]["amount"]
        ratio = np.log(put_in["amount"]) - np.log(before).mean()
        np.testing.assert_allclose(ratio, episode[:, 1])
        np.testing.assert_allclose(np.diff(put_in["time"]), np.exp(episode[1:, 0]))
        assert (put_in["online"] == (episode[:, 3] > 0.5)).all()
        np.testing.assert_allclose(np.log1p(put_in["distance"]), episode[:, 4])
        own = table[~table["fraud"]].groupby("account").size()
        assert (len(life) - len(put_in)) in set(own)


def test_bins_give_back_values_of_the_same_bin():
    values = np.random.default_rng(0).normal(size=500)
    for column, most in ((values, 16), (np.round(values), 16)):
        bins = Bins(column, most)
        codes = bins.codes(column)
        assert set(codes) == set(range(bins.count))
        again = bins.values(codes, np.random.default_rng(1))
        np.testing.assert_array_equal(bins.codes(again), codes)


@pytest.mark.slow
def test_a_sequence_model_learns_order_lengths_and_what_follows_from_what():
    """Sequences count up from 0 in steps of their first difference, and end after three or five steps."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(200):
        n, step = rng.choice([3, 5]), rng.choice([1.0, 2.0])
        made.append(np.column_stack([step * np.arange(n), np.full(n, step)]))
    model = SequenceModel().fit(made, steps=500, learning_rate=1e-2, seed=0)
    drawn = model.sample(200, seed=1)
    right = [
        len(x) in (3, 5) and np.array_equal(x[:, 0], x[0, 1] * np.arange(len(x))) for x in drawn
    ]
    assert np.mean(right) > 0.75
    assert np.mean([len(x) == 3 for x in drawn]) == pytest.approx(0.5, abs=0.15)
    # Two free choices of two each: log 4 nats, and a little for what is not learnt.
    assert -model.log_likelihood(made).mean() == pytest.approx(np.log(4), abs=0.3)
    odd = [np.array([[0.0, 1.0], [2.0, 2.0], [1.0, 1.0]])]
    assert model.log_likelihood(odd)[0] < -6
    pd.testing.assert_frame_equal(
        pd.DataFrame(model.sample(1, seed=3)[0]), pd.DataFrame(model.sample(1, seed=3)[0])
    )
    with pytest.raises(ValueError, match="at least one sequence"):
        SequenceModel().fit([])
