"""The production line, the twin that follows it, its decisions, and the worlds as environments."""

import doctest
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from scipy.stats import weibull_min

from course_lib.rare_events.cut_in import simulate_scenes
from course_lib.twin import decide, drivers, follow, line
from course_lib.twin.screen import LineScreen

SMALL = decide.Twin(particles=150, search=decide.Search(copies=4, days=2))


def machines(n, life=(450.0, 300.0, 375.0), shape=(4.0, 6.0, 5.0)):
    return np.tile(life, (n, 1)), np.tile(shape, (n, 1))


def test_no_part_is_lost_or_made_up():
    rng = np.random.default_rng(0)
    life, shape = machines(20)
    luck = line.draw_luck(20, rng)
    state, limits = line.new_lines(life, shape, luck), np.full((20, 3), 180.0)
    made = np.zeros((20, 3), int)
    for _ in range(600):
        state, happened = line.advance_lines(state, limits, life, shape, luck)
        made += happened.worked
    np.testing.assert_array_equal(made[:, :2] - made[:, 1:], state.buffers)
    assert (state.buffers >= 0).all() and (state.buffers <= line.PLANT.room).all()


def test_money_is_that_of_parts_failures_and_replacements():
    rng = np.random.default_rng(1)
    life, shape = machines(5)
    luck = line.draw_luck(5, rng)
    state, limits = line.new_lines(life, shape, luck), np.full((5, 3), 250.0)
    came = line.run_lines(state, limits, life, shape, luck, 1000)
    total = 0.0
    for _ in range(1000):
        state, happened = line.advance_lines(state, limits, life, shape, luck)
        total = total + happened.reward()
    np.testing.assert_allclose(came.reward, total)
    assert came.failures.sum() > 0 and came.replacements.sum() > 0


def test_tools_last_as_the_weibull_distribution_says():
    wear = np.random.default_rng(2).exponential(size=40_000)
    lasts = line.lasting(np.array(300.0), np.array(5.0), wear)
    for age in (200, 300, 350):
        assert (lasts > age).mean() == pytest.approx(weibull_min.sf(age, 5, scale=300), abs=0.01)
    older = line.still_lasting(np.full(40_000, 250), np.array(300.0), np.array(5.0), wear)
    assert (older > 250).all()
    expected = weibull_min.sf(320, 5, scale=300) / weibull_min.sf(250, 5, scale=300)
    assert (older > 320).mean() == pytest.approx(expected, abs=0.01)


def test_what_was_seen_is_all_the_work_there_was():
    life, shape = machines(4)
    luck = line.draw_luck(4, np.random.default_rng(3))
    state, limits = line.new_lines(life, shape, luck), np.full((4, 3), 200.0)
    worked, seen, failures = np.zeros((4, 3)), np.zeros((4, 3)), 0
    for _ in range(12):
        came = line.run_lines(state, limits, life, shape, luck, 100)
        assert (came.seen.end > came.seen.start).all()
        np.add.at(seen, (came.seen.line, came.seen.machine), came.seen.end - came.seen.start)
        failures += came.seen.failed.sum() - came.failures.sum()
        for _ in range(100):
            state, happened = line.advance_lines(state, limits, life, shape, luck)
            worked += happened.worked
    np.testing.assert_array_equal(seen, worked)
    assert failures == 0


@pytest.mark.parametrize("seed", range(3))
def test_resampling_keeps_mean_and_covariance(seed):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(20_000, 2)) @ [[0.4, 0.2], [0.0, 0.3]]
    weight = np.exp(-((theta[:, 0] - 0.2) ** 2) / 0.1)
    weight /= weight.sum()
    new = follow.resample_shrunk(theta, weight, 0.9, 0.3, rng.normal(size=(20_000, 2)))
    np.testing.assert_allclose(new.mean(axis=0), weight @ theta, atol=0.01)
    np.testing.assert_allclose(np.cov(new.T), np.cov(theta.T, aweights=weight), atol=0.005)


@pytest.mark.parametrize("seed", range(3))
def test_a_belief_finds_the_life_of_tools_that_are_replaced(seed):
    rng = np.random.default_rng(seed)
    belief = follow.believe(np.full(3, 510.0), 4.0, 1, 1500, rng, (0.5, 0.4))
    before = belief.width()[0].mean()
    lasts = line.lasting(300.0, 6.0, rng.exponential(size=300))
    end, failed = np.minimum(lasts, 260), lasts <= 260
    learns = follow.Filter(jump=0.0)
    for part in np.array_split(np.arange(300), 30):
        nothing = np.zeros(len(part), int)
        seen = line.Exposure(nothing, nothing + 1, 0.0 * nothing, end[part], failed[part])
        belief = learns.learn(belief, seen, rng)
    life = belief.mean()[0, 1, 0]
    assert life == pytest.approx(300, rel=0.1)
    assert belief.width()[0, 1] < 0.25 * before < belief.width()[0, 0], "other machines learnt, too"


def test_particles_are_drawn_by_their_weights():
    theta = np.log(np.array([[100.0, 2.0], [200.0, 3.0], [400.0, 5.0]]))
    belief = follow.Belief(np.tile(theta, (1, 3, 1, 1)), np.tile([0.1, 0.2, 0.7], (1, 3, 1)))
    life, shape = belief.draw(20_000, np.random.default_rng(0))
    assert (life[0, 1] > 300).mean() == pytest.approx(0.7, abs=0.02)
    assert set(np.round(life / shape).ravel()) == {50.0, 67.0, 80.0}, "a life with another's shape"


@pytest.mark.slow
def test_an_oracle_earns_more_than_any_neighbour():
    world = decide.World()
    best = decide.best_plan(world.life_on(0), world.shape, copies=60)
    life, shape = machines(150)
    luck = line.draw_luck(150, np.random.default_rng(4), tools=60)
    begin = line.new_lines(life, shape, luck)

    def money(plan):
        limits = np.tile(plan, (150, 1))
        return line.run_lines(begin, limits, life, shape, luck, 1440).reward.mean()

    assert money(best) > max(money(np.array(best) * f) for f in (0.5, 1.6))


def test_two_twins_meet_the_same_tools():
    world = decide.World(days=6)
    plan = ((200.0,) * 3,) * 2
    fixed = decide.Twin(plan=plan, particles=2)
    one, two = (decide.live(t, world, 3, 5) for t in (fixed, replace(fixed, particles=3)))
    np.testing.assert_array_equal(one.reward, two.reward)
    assert (decide.live(fixed, world, 3, 6).reward != one.reward).any()


def test_a_frozen_twin_learns_nothing_more():
    story = decide.live(replace(SMALL, frozen=2), decide.World(days=7), 2, 0)
    assert (story.life[2:] == story.life[2]).all() and (story.life[1] != story.life[0]).any()
    assert (story.thresholds[2:] == story.thresholds[2]).all()


def test_a_twin_that_doubts_the_sheet_begins_with_a_wider_belief():
    for doubt in (0.5, 1.0):
        twin = replace(SMALL, particles=2000, sheet=decide.Sheet(doubt=(doubt, 0.4)))
        story = decide.live(twin, decide.World(days=1), factories=1, seed=0)
        assert story.width[0] == pytest.approx(doubt, rel=0.1)


def test_twins_that_learn_together_see_the_tools_of_all_lines():
    n = np.arange(3)
    seen = line.Exposure(n, n, n, n + 5, n > 1)
    every = decide.seen_by_all(seen, 4)
    assert (np.bincount(every.line) == 3).all()
    for m in range(4):
        of_one = every.where(every.line == m)
        np.testing.assert_array_equal(of_one.machine, n)
        np.testing.assert_array_equal(of_one.failed, n > 1)
    world = decide.World(days=8)
    alone, together = (
        decide.live(replace(SMALL, together=t), world, 6, 0).width[-1].mean() for t in (False, True)
    )
    assert together < 0.8 * alone


def test_each_factory_may_have_tools_of_its_own():
    life = np.array([[60.0] * 3, [2000.0] * 3])
    world = decide.World(life=life, shape=np.full((2, 3), 5.0), days=4)
    plan = ((np.inf,) * 3,) * 2
    story = decide.live(decide.Twin(plan=plan, particles=2), world, 2, 0)
    failures = story.failures.sum(axis=(0, 2))
    assert failures[0] > 5 and failures[1] == 0
    screen, evenings = LineScreen(world, factory=1), []
    decide.live(SMALL, replace(world, days=1), 2, 0, lambda e: (evenings.append(e), screen.show(e)))
    assert "2000 is true" in screen.picture(evenings[-1]).alt


def test_a_share_of_what_is_seen_is_real():
    rng = np.random.default_rng(0)
    n = np.zeros(4000, int)
    real = line.Exposure(n, n, n, n + 1, n > 0)
    invented = replace(real, end=n + 2)
    seen = decide.mixed(real, invented, 0.25, 0.5, rng)
    assert (seen.end == 1).sum() == pytest.approx(1000, abs=100)
    assert (seen.end == 2).sum() == pytest.approx(2000, abs=120)


def test_a_twin_fed_by_itself_sees_no_failure_of_the_line():
    world = decide.World(life=(150.0, 150.0, 150.0), shape=(9.0, 9.0, 9.0), days=12)
    sheet = decide.Sheet(life=(500.0, 500.0, 500.0))
    lives = {}
    for real in (0.0, 1.0):
        twin = replace(SMALL, real=real, cut=0, sheet=sheet)
        lives[real] = decide.live(twin, world, 2, 0).life[-1].mean()
    assert lives[1.0] < 0.6 * lives[0.0]


def test_without_common_random_numbers_differences_are_noisier():
    world = decide.World()
    theta = np.log(np.stack([world.life, world.shape], axis=1))[None, :, None]
    sure = follow.Belief(theta, np.ones(theta.shape[:3]))
    life, shape = machines(1)
    state = line.new_lines(life, shape, line.draw_luck(1, np.random.default_rng(0)))
    tried = (world.life_on(0) * np.array([[0.5], [0.55]]))[None]
    errors = []
    for common in (True, False):
        search = decide.Search(copies=120, days=3, common=common)
        a, b = search.values(state, tried, sure, np.random.default_rng(1))[0]
        errors.append((a - b).std())
    assert errors[0] < 0.9 * errors[1]


def test_a_screen_tells_all_that_it_shows(monkeypatch):
    monkeypatch.setenv("COURSE_INTERACTIVE", "0")
    world = decide.World(days=3)
    screen = LineScreen(world)
    evenings = []
    decide.live(SMALL, world, 1, 0, lambda e: (screen.show(e), evenings.append(e)))
    picture = screen.picture(evenings[-1])
    for word in ("Day 3", "machine 3", "buffer 2", "450 is true", "earned"):
        assert word in picture.alt


@pytest.mark.parametrize("temper", ["hurried", "distracted"])
def test_a_temper_makes_scenes_more_dangerous(temper):
    ends = {}
    for name in ("calm", temper):
        u, _ = drivers.crowd(6000, {name: 1.0}, np.random.default_rng(0))
        ends[name] = simulate_scenes(u, 1.5)
    assert (ends[temper].danger > -1).mean() > 1.5 * (ends["calm"].danger > -1).mean()


def test_a_crowd_has_the_shares_asked_for():
    _, tempers = drivers.crowd(8000, {"calm": 3, "hurried": 1}, np.random.default_rng(0))
    assert np.bincount(tempers.ravel(), minlength=3)[2] == 0
    assert (tempers == 1).mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("shares", [{"angry": 1.0}, {"calm": -1.0, "hurried": 2.0}, {}])
def test_a_crowd_that_cannot_be_is_refused(shares):
    with pytest.raises(ValueError, match="temper"):
        drivers.crowd(3, shares, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["line", "follow", "decide", "drivers", "environments"])
def test_the_examples_run(name):
    if name == "environments":
        pytest.importorskip("gymnasium")
    found = doctest.testmod(import_module(f"course_lib.twin.{name}"))
    assert found.attempted > 0 and found.failed == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["FactoryEnv", "CutInEnv"])
def test_gymnasium_accepts_the_worlds(name):
    pytest.importorskip("gymnasium")
    from gymnasium.utils.env_checker import check_env

    from course_lib.twin import environments

    check_env(getattr(environments, name)(), skip_render_check=True)


def test_an_agent_that_replaces_by_age_earns_more_than_one_that_never_does():
    pytest.importorskip("gymnasium")
    from course_lib.twin.environments import FactoryEnv

    env = FactoryEnv(decide.World(days=12))
    earned = []
    for limit in (np.inf, 1.2):
        seen, _ = env.reset(seed=3)
        total, over = 0.0, False
        while not over:
            seen, reward, ended, cut_off, _ = env.step((seen[:3] > limit).astype(np.int8))
            total, over = total + float(reward), ended or cut_off
        earned.append(total)
    assert earned[1] > earned[0]


def test_hard_braking_avoids_a_crash_on_the_road():
    pytest.importorskip("gymnasium")
    from course_lib.twin.environments import CutInEnv

    env = CutInEnv({"hurried": 1.0})
    crashes = []
    for brakes in (False, True):
        count = 0
        for seed in range(60):
            seen, _ = env.reset(seed=seed)
            seen, ended, cut_off = seen.copy(), False, False
            env.scenes = replace(env.scenes, gap=np.array([12.0]), cutter=np.array([20.0]))
            while not (ended or cut_off):
                near = seen[1] > 0 and 10 * seen[0] < 2 * seen[1]
                seen, _, ended, cut_off, _ = env.step(np.int64(brakes and near))
            count += env.scenes.gap[0] <= 0
        crashes.append(count)
    assert crashes[0] > crashes[1]
