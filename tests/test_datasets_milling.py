"""The simulated milling machine and engines: their rules, their true risk, and their cards."""

import numpy as np
import pandas as pd
import pytest
from data_sets import at_hand

from course_lib import datasets
from course_lib.datasets.engines import GAINS, SENSORS, run_to_failure
from course_lib.datasets.milling import (
    MODES,
    RULED,
    SHARES,
    broken_rules,
    failure_risk,
    physics,
    states,
)
from course_lib.datasets.tables import AI4I_COLUMNS

N = 200_000


@at_hand("ai4i2020")
def test_the_rules_are_those_of_ai4i():
    """They reproduce three of its modes row by row, and its columns are ours."""
    data = datasets.load("ai4i2020")
    table = pd.concat([data.train, data.held_out], ignore_index=True)
    found, difference = broken_rules(table), physics(table)["difference"]
    stored_below = (difference.round(6) == 8.6) & (difference < 8.6) & table[RULED[0]]
    assert stored_below.sum() == 12
    pd.testing.assert_frame_equal(found[~stored_below], table[RULED][~stored_below])
    assert not found[stored_below][RULED[0]].any()
    assert list(AI4I_COLUMNS.values()) == list(states(1))


@pytest.mark.parametrize("seed", range(3))
def test_the_true_risk_is_how_often_states_fail(seed):
    """In bins of the stated risk, within four standard errors."""
    table = states(N, seed=seed)
    risk, failed = failure_risk(table), table["machine_failure"].to_numpy()
    broken = broken_rules(table).any(axis=1).to_numpy()
    assert (risk[broken] == 1).all() and failed[broken].all()
    bins = np.digitize(risk, [0.002, 0.02, 0.03, 0.05, 0.1])
    for each in np.unique(bins[~broken]):
        own = (bins == each) & ~broken
        error = 4 * (risk[own] * (1 - risk[own])).sum() ** 0.5
        assert failed[own].sum() == pytest.approx(risk[own].sum(), abs=error)
    assert failed.mean() == pytest.approx(0.037, abs=0.002)


def test_a_table_has_the_shares_and_ranges_of_its_card():
    table = states(N, seed=1)
    share = table["quality"].value_counts(normalize=True)
    np.testing.assert_allclose(share[["L", "M", "H"]], SHARES, atol=4 * (0.25 / N) ** 0.5)
    assert table["air_temperature"].mean() == pytest.approx(300, abs=0.02)
    seen = physics(table)
    assert seen["difference"].mean() == pytest.approx(10, abs=0.01)
    assert seen["difference"].std() == pytest.approx((0.7**2 + 0.71**2) ** 0.5, abs=0.01)
    assert table["tool_wear"].between(0, 240).all()
    chance = table[[MODES[0], MODES[4]]].to_numpy()
    assert chance[:, 0].mean() == pytest.approx(0.0052, abs=0.001)
    assert chance[:, 1].mean() == pytest.approx(0.001, abs=0.0003)
    assert (table["machine_failure"] == table[MODES].any(axis=1)).all()
    # About one failure in seven is chance.
    alone = table["machine_failure"] & ~table[RULED].any(axis=1)
    assert alone.sum() / table["machine_failure"].sum() == pytest.approx(1 / 7, abs=0.03)


def test_a_table_of_states_depends_on_its_seed_alone():
    np.random.seed(1)
    one = states(500, seed=3)
    np.random.seed(2)
    pd.testing.assert_frame_equal(one, states(500, seed=3))
    assert not one.equals(states(500, seed=4))
    with pytest.raises(ValueError, match="at least one row"):
        states(0)


def test_engines_wear_down_as_their_card_says():
    table = run_to_failure(200, seed=5)
    lives = table.groupby("engine")["cycle"].max()
    assert lives.min() >= 120
    # L = 120 + G, G of mean 88 and standard deviation 44; half a cycle is cut off.
    assert lives.mean() == pytest.approx(207.5, abs=4 * 44 / 200**0.5)
    assert (table.groupby("engine")["remaining_life"].last() == 0).all()
    # At the end the damage is 1: each sensor has moved by nearly its gain.
    ends = table.groupby("engine")[list(SENSORS)]
    moved = (ends.last() - ends.first()).mean()
    np.testing.assert_allclose(moved, 0.95 * np.array(GAINS), atol=0.5)
    with pytest.raises(ValueError, match="At least one engine"):
        run_to_failure(0)


def test_engines_held_out_stop_before_they_fail():
    data = datasets.load("engines")
    last = data.held_out.groupby("engine").tail(1)
    assert len(last) == 100
    assert last["remaining_life"].between(5, 145).all() and (last["cycle"] >= 35).all()
    assert (data.train.groupby("engine")["remaining_life"].last() == 0).all()
