"""What lesson 12 builds for clinical decisions, against plain definitions and a known truth."""

import numpy as np
import pytest
from scipy.special import expit, logit

from course_lib.models.clinical import (
    adjusted_effect,
    copied_shares,
    draw_in_causal_order,
    expected_over_observed,
    net_benefit,
    recalibrated,
    weighted_effect,
)


@pytest.mark.parametrize("seed", range(3))
def test_patients_in_causal_order_have_the_effect_that_was_put_in(seed):
    """By regression and by weights, within four standard errors; the plain difference is far off."""
    rng = np.random.default_rng(seed)
    n = 40_000
    x = rng.normal(size=(n, 2))

    def propensity(rows):
        return expit(rows[:, 0])

    treated, outcome = draw_in_causal_order(
        x,
        propensity,
        lambda rows, a: 2.5 * a - 3 * rows[:, 0] + rows[:, 1],
        rng.random(n),
        rng.normal(size=n),
    )
    assert adjusted_effect(treated, outcome, x) == pytest.approx(2.5, abs=0.05)
    assert weighted_effect(treated, outcome, propensity(x)) == pytest.approx(2.5, abs=0.2)
    assert outcome[treated == 1].mean() - outcome[treated == 0].mean() < 1
    assert treated.mean() == pytest.approx(propensity(x).mean(), abs=0.01)


def test_a_right_risk_is_calibrated_and_its_net_benefit_is_the_best():
    rng = np.random.default_rng(0)
    true = rng.beta(1.5, 6, 200_000)
    died = (rng.random(200_000) < true).astype(float)
    group = rng.integers(0, 2, 200_000)
    np.testing.assert_allclose(expected_over_observed(true, died, group), 1, atol=0.02)
    best = net_benefit(true, died, 0.2)
    for shift in (-1.5, -0.7, 0.7, 1.5):
        assert net_benefit(expit(logit(true) + shift), died, 0.2) < best
    assert net_benefit(np.zeros(200_000), died, 0.2) == 0


@pytest.mark.parametrize("shift", [-3.0, -0.5, 0.0, 2.0])
def test_recalibration_takes_back_a_shift_of_the_log_odds(shift):
    rng = np.random.default_rng(1)
    true = rng.beta(2, 5, 100_000)
    died = (rng.random(100_000) < true).astype(float)
    wrong = expit(logit(true) + shift)
    np.testing.assert_allclose(recalibrated(wrong, wrong, died), true, atol=0.01)
    assert recalibrated(wrong, wrong, died).mean() == pytest.approx(died.mean(), abs=1e-9)


def test_copies_are_counted_by_patient():
    train = np.array([[1, 2], [1, 2], [3, 4], [5, 6]])
    held_out = np.array([[3, 4], [7, 8]])
    assert copied_shares(np.array([[1, 2], [3, 4], [3, 4]]), train, held_out) == (0.75, 0.5)
    assert copied_shares(np.array([[9, 9]]), train, held_out) == (0.0, 0.0)
