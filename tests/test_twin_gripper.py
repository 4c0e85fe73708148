"""The gripper: its physics against formulas, and what training on drawn objects does."""

import numpy as np
import pytest

from course_lib.twin.gripper import (
    GRAVITY,
    Objects,
    draw_objects,
    pick_and_place,
    train_policy,
)


def objects(n, mass=0.5, friction=0.5):
    return Objects(np.full(n, mass), np.full(n, friction))


@pytest.mark.parametrize("a", [2.0, 5.0])
def test_friction_holds_what_the_lift_asks_for(a):
    needed = 0.5 * (GRAVITY + a) / (2 * 0.5)  # m (g + a) = 2 mu F
    for share, held in ((1.01, True), (0.9, False)):
        came = pick_and_place(np.array([share * needed, 0.0, a]), objects(3))
        assert (came.held == held).all() and (came.dropped == (not held)).all()
    way = 2 * (np.sqrt(0.3 / a) + np.sqrt(0.5 / a))
    np.testing.assert_allclose(came.seconds, way)


def test_a_force_above_the_limit_crushes_and_is_worth_nothing():
    came = pick_and_place(np.array([31.0, 0.0, 2.0]), objects(2))  # the limit is 20 + 20 m = 30 N
    assert came.crushed.all() and not came.held.any() and (came.worth == 0).all()
    whole = pick_and_place(np.array([29.0, 0.0, 2.0]), objects(2))
    np.testing.assert_allclose(whole.worth, 1 - whole.seconds / 4)


def test_pressing_harder_after_a_slip_saves_what_would_fall():
    weak = np.array([5.5, 0.0, 2.0])
    assert pick_and_place(weak, objects(1)).dropped.all()
    assert pick_and_place(np.array([5.5, 1.0, 2.0]), objects(1)).held.all()


def test_drawn_objects_lie_in_their_ranges_and_depend_on_the_generator_alone():
    ranges = ((0.2, 1.0), (0.3, 0.8))
    one, again = (draw_objects(5000, ranges, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.friction, again.friction)
    assert one.mass.min() >= 0.2 and one.mass.max() <= 1.0
    assert one.mass.mean() == pytest.approx(0.6, abs=0.02)
    assert 0.25 < one.friction.min() < 0.3 < 0.8 < one.friction.max() < 0.9


@pytest.mark.slow
def test_training_on_many_objects_holds_more_of_them_in_each_of_five_seeds():
    many = ((0.2, 1.0), (0.3, 0.8))
    for seed in range(5):
        held = []
        for ranges in (((0.5, 0.5), (0.5, 0.5)), many):
            policy = train_policy(
                lambda n, rng, own=ranges: draw_objects(n, own, rng), np.random.default_rng(seed)
            )
            tried = draw_objects(2000, many, np.random.default_rng(99))
            held.append(pick_and_place(policy, tried).held.mean())
        assert held[1] > held[0] + 0.05
