"""What lesson 16 builds for predictive maintenance, against plain definitions."""

import numpy as np
import pandas as pd
import pytest

from course_lib.datasets.engines import run_to_failure
from course_lib.datasets.milling import OVERSTRAIN, broken_rules, states
from course_lib.models.maintenance import (
    breaks_rules,
    mixed_life,
    recall_at_budget,
    window_features,
)


def test_the_lesson_s_rules_are_the_simulator_s():
    table = states(20_000, seed=2)
    columns = ("air_temperature", "process_temperature", "rotational_speed", "torque", "tool_wear")
    arrays = [table[name].to_numpy(float) for name in columns]
    found = breaks_rules(*arrays, table["quality"].map(OVERSTRAIN).to_numpy())
    # A difference of 8.6 in tenths may be stored a little smaller: leave those rows out.
    clear = (arrays[1] - arrays[0]).round(6) != 8.6
    np.testing.assert_array_equal(found[clear], broken_rules(table).to_numpy()[clear])


def test_recall_with_ties_is_the_mean_over_lots():
    rng = np.random.default_rng(0)
    score, failed = rng.integers(0, 4, 60), rng.random(60) < 0.3
    found = []
    for _ in range(4000):
        order = np.lexsort([rng.random(60), -score])
        found.append(failed[order[:12]].sum() / failed.sum())
    wanted = recall_at_budget(score.astype(float), failed, 0.2)
    assert np.mean(found) == pytest.approx(wanted, abs=4 * np.std(found) / 4000**0.5)


@pytest.mark.parametrize("window", [1, 2, 7, 30])
def test_window_features_are_means_and_least_squares_slopes(window):
    table = run_to_failure(3, seed=1)
    found = window_features(table, window)
    assert len(found) == len(table)
    for place in (0, 1, 5, 100, len(table) - 1):
        engine, cycle = table["engine"].iloc[place], table["cycle"].iloc[place]
        own = table[(table["engine"] == engine) & (table["cycle"] <= cycle)].tail(window)
        for name in ("sensor_1", "sensor_8"):
            values = own[name].to_numpy()
            slope = np.polyfit(own["cycle"], values, 1)[0] if len(own) > 1 else 0
            assert found[f"{name}_mean"].iloc[place] == pytest.approx(values.mean(), abs=1e-8)
            assert found[f"{name}_slope"].iloc[place] == pytest.approx(slope, abs=1e-8)


def test_a_mixed_life_lies_between_its_parents():
    table = run_to_failure(2, seed=3)
    one, other = (rows.reset_index(drop=True) for _, rows in table.groupby("engine"))
    for weight in (0.0, 0.3, 1.0):
        made = mixed_life(one, other, weight)
        assert len(made) == round(weight * len(one) + (1 - weight) * len(other))
        assert made["remaining_life"].iloc[-1] == 0
        last = weight * one["sensor_1"].iloc[-1] + (1 - weight) * other["sensor_1"].iloc[-1]
        assert made["sensor_1"].iloc[-1] == pytest.approx(last)
    pd.testing.assert_frame_equal(
        mixed_life(one, other, 1.0)[["sensor_1"]], one[["sensor_1"]], atol=1e-9
    )
