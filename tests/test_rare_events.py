"""Rare events: the simulator by hand, and estimates against rates that are known exactly."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, multivariate_normal, norm

from course_lib.rare_events import cut_in, importance
from course_lib.rare_events.cross_entropy import (
    NormalMixture,
    defensive_mixture,
    fit_mixture,
    single_gaussian,
    standard_normal,
)

CALM = np.zeros((1, 6))


def scene(**inputs):
    """Inputs of one scene, by what they stand for."""
    u = CALM.copy()
    for name, value in inputs.items():
        u[0, cut_in.INPUTS.index(name.replace("_", " "))] = value
    return u


# --- the simulator -------------------------------------------------------------------------------


def test_a_scene_by_hand_without_any_braking():
    """Without brakes the gap shrinks by the closing speed, and so does the time to collision."""
    world = replace(cut_in.WORLD, cutter_braking=0.0, gentle_below=0.0)
    end = cut_in.simulate_scenes(CALM, 0.0, world, path=True)
    gap = end.path[:, 0, 0]
    np.testing.assert_allclose(gap, 37 - 0.1 * np.arange(81) * 1.0)
    assert end.front[0] == pytest.approx(gap[-1])  # it closes at 1 m/s
    assert not end.braked_hard[0] and not end.crashed[0]


def test_a_stopped_car_stays_stopped_and_energy_is_right():
    """Braking from v with a takes v^2 / 2a metres, up to the last step's rounding."""
    gap, ahead, behind = np.array([100.0]), np.zeros(1), np.array([20.0])
    for _ in range(60):
        gap, ahead, behind = cut_in.advance(gap, ahead, behind, np.full(1, 9.0), np.full(1, 5.0))
    assert ahead[0] == behind[0] == 0
    assert gap[0] == pytest.approx(100 - 20**2 / (2 * 5))


def test_hard_braking_begins_after_the_delay_and_lasts():
    end = cut_in.simulate_scenes(scene(gap=-1.8, closing_speed=3.8), path=True)
    ego = end.path[:, 2, 0]
    first = int(np.argmax(np.diff(ego) < -0.1 * 7 + 1e-9))
    assert first * 0.1 == pytest.approx(end.hard_at[0] + 0.3)
    hard = np.isclose(np.diff(ego), -0.7)
    assert 0.1 * hard.sum() >= 3.0 - 1e-9


def test_both_ways_to_crash_and_what_makes_them_worse():
    near = {"gap": -0.8, "closing_speed": 2.6, "cutter_brakes": 0.9}
    front = cut_in.simulate_scenes(scene(distance_error=3.3, **near))
    assert front.front[0] == 0 and front.crashed[0]
    # the same scene with a sensor that is right
    assert not cut_in.simulate_scenes(scene(**near)).crashed[0]
    close = scene(distance_error=-0.8, gap=-2.2, closing_speed=2.5, headway=-2.0, reaction=1.9)
    rear = cut_in.simulate_scenes(close)
    assert rear.rear[0] == 0 and rear.front[0] > 0
    close[0, cut_in.INPUTS.index("reaction")] = 0
    assert not cut_in.simulate_scenes(close).crashed[0]


def test_scenes_do_not_depend_on_their_neighbours():
    u = 2 * np.random.default_rng(0).normal(size=(5000, 6))  # more than one part
    whole = cut_in.simulate_scenes(u)
    again = cut_in.simulate_scenes(u[4500:])
    np.testing.assert_array_equal(whole.danger[4500:], again.danger)
    one = cut_in.simulate_scenes(u[:50], path=True)
    np.testing.assert_array_equal(whole.front[:50], one.front)
    assert cut_in.simulate_scenes(u[:0]).danger.shape == (0,)
    for wrong in (u[:, :5], u[0], np.full((1, 6), np.nan)):
        with pytest.raises(ValueError, match="finite numbers"):
            cut_in.simulate_scenes(wrong)


# --- estimates -----------------------------------------------------------------------------------


def test_the_interval_is_scipy_s_and_covers():
    for crashes, scenes in ((0, 20_000), (3, 50), (50, 50)):
        wanted = binomtest(crashes, scenes).proportion_ci(0.9, "exact")
        found = importance.crude_interval(crashes, scenes, 0.9)
        assert found == pytest.approx((wanted.low, wanted.high))
    rng = np.random.default_rng(0)
    counts = rng.binomial(400, 0.01, 1000)
    covered = [
        lo <= 0.01 <= hi for lo, hi in (importance.crude_interval(int(k), 400, 0.9) for k in counts)
    ]
    assert np.mean(covered) >= 0.9 - 3 * (0.1 * 0.9 / 1000) ** 0.5


def test_densities_are_scipy_s():
    rng = np.random.default_rng(0)
    mixture = NormalMixture(np.array([0.3, 0.7]), rng.normal(size=(2, 3)))
    u = rng.normal(size=(20, 3))
    wanted = sum(
        s * multivariate_normal(m).pdf(u)
        for s, m in zip(mixture.shares, mixture.means, strict=True)
    )
    np.testing.assert_allclose(mixture.log_pdf(u), np.log(wanted))
    defended = mixture.defended(0.2)
    weights = np.exp(standard_normal(3).log_pdf(u) - defended.log_pdf(u))
    assert weights.max() <= 1 / 0.2


def two_tails(u):
    """Danger with two ways to fail, far apart, whose rates are known exactly."""
    return np.maximum(u[:, 0] - 4.0, -u[:, 0] - 4.2)


TWO_TAILS = norm.sf(4.0) + norm.sf(4.2)


@pytest.mark.slow
def test_the_mixture_is_right_on_two_tails_and_one_gaussian_loses_one():
    runs = range(20)
    mixture = [defensive_mixture(two_tails, np.random.default_rng(s), 2).estimate for s in runs]
    over = np.array([found.rate for found in mixture]) / TWO_TAILS
    assert over.std() <= 0.06
    assert over.mean() == pytest.approx(1, abs=0.04)
    assert np.mean([found.covers(TWO_TAILS) for found in mixture]) >= 0.85
    single = [single_gaussian(two_tails, np.random.default_rng(s), 2).estimate for s in runs]
    assert np.median([found.rate for found in single]) < 0.8 * TWO_TAILS
    assert np.mean([found.covers(TWO_TAILS) for found in single]) < 0.5


@pytest.mark.parametrize("seed", range(5))
def test_weighted_em_finds_weighted_clusters(seed):
    rng = np.random.default_rng(seed)
    centres = np.array([[6.0, 0.0], [0.0, 6.0]])
    u = centres[np.repeat([0, 1], 500)] + rng.normal(size=(1000, 2))
    mixture = fit_mixture(u, np.repeat([3.0, 1.0], 500), 2, rng)
    order = np.argsort(-mixture.means[:, 0])
    np.testing.assert_allclose(mixture.means[order], centres, atol=0.2)
    np.testing.assert_allclose(mixture.shares[order], [0.75, 0.25], atol=0.02)


def test_an_estimate_without_a_crash_is_zero():
    found = importance.rate_estimate(np.ones(10), np.zeros(10, bool))
    assert found.tolist() == [0, 0, 0]
