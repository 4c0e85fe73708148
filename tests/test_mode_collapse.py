"""Mode collapse in two dimensions: the benchmarks, the cures, and GANs trained side by side."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.datasets import load
from course_lib.datasets.mixtures import mixture
from course_lib.mode_collapse import (
    BENCHMARKS,
    GRID,
    RING,
    GANs,
    Recipe,
    cures,
    fit,
    game,
    high_quality,
    mode_counts,
    recipe,
    recipes,
    records,
    reverse_kl,
    support_size,
)
from course_lib.mode_collapse.diffusion_control import control, diffusion_sample
from course_lib.mode_collapse.snapshots import SAMPLES, half_width, surface, watch
from course_lib.models.layers import mlp
from course_lib.training import finish

CEILING = 1 - np.exp(-4.5)  # of high quality: P(chi^2_2 <= 9)
TINY = Recipe(width=16, depth=2, steps=6, batch_size=12, latent_dim=3)
CURES = {
    "vanilla": {},
    "pack": {"pack": 3},
    "deviation": {"deviation": True},
    "unrolled": {"unroll": 2, "unroll_rate": 0.1},
    "unrolled by Adam": {"unroll": 2},
    "WGAN-GP": {"loss": "wasserstein", "gradient_penalty": 0.1},
    "R1": {"r1": 0.1},
    "relativistic": {"loss": "relativistic", "r1": 0.1, "r2": 0.1},
    "many": {"d_steps": 3, "scale": 2.0},
}


def ring_data():
    return torch.from_numpy(load("ring").train.x)


# --- the benchmarks -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "modes"), [("ring", RING), ("grid", GRID)])
def test_the_data_are_drawn_from_the_published_mixtures(name, modes):
    data = load(name)
    found = modes.measure(data.train.x)
    assert (found["modes"], found["coverage"]) == (len(modes.centres), 1.0)
    # 50,000 draws: four standard errors of the share; 2 n KL is chi-squared with modes - 1 degrees
    assert found["high_quality"] == pytest.approx(CEILING, abs=4 * np.sqrt(0.011 / 50_000))
    assert found["reverse_kl"] < 60 / (2 * 50_000)
    deviations = data.train.x - modes.centres[data.train.y]
    np.testing.assert_allclose(deviations.std(axis=0), modes.sd, rtol=0.02)
    assert not np.isin(data.train.x, data.held_out.x).all()


def test_the_centres_and_deviations_are_those_of_the_papers():
    angles = [2 * np.pi * i / 8 for i in range(8)]
    np.testing.assert_allclose(RING.centres, [(np.cos(a), np.sin(a)) for a in angles])
    assert RING.sd**2 == pytest.approx(1e-4)
    np.testing.assert_allclose(
        GRID.centres, [(-4 + 2 * i, -4 + 2 * j) for i in range(5) for j in range(5)]
    )
    assert GRID.sd**2 == pytest.approx(0.0025)


def test_a_mixture_is_the_same_for_the_same_seed():
    one, again, other = (mixture(RING.centres, RING.sd, 10, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], again[0])
    assert not np.array_equal(one[0], other[0])


# --- the measures -------------------------------------------------------------------------------


def test_the_measures_follow_the_papers_definitions():
    """Against the same written as loops over samples, as in PacGAN's section 4.1."""
    rng = np.random.default_rng(0)
    samples = GRID.centres[rng.integers(20, size=400)] + 0.12 * rng.standard_normal((400, 2))
    detail = np.zeros(25)
    for sample in samples:
        distances = [np.sqrt(((sample - centre) ** 2).sum()) / GRID.sd for centre in GRID.centres]
        if min(distances) <= 3:
            detail[np.argmin(distances)] += 1
    np.testing.assert_array_equal(mode_counts(samples, GRID.centres, GRID.sd), detail)
    assert high_quality(samples, GRID.centres, GRID.sd) == pytest.approx(detail.sum() / 400)
    shares = detail / detail.sum()
    entropy = -sum(q * np.log(q) for q in shares if q)
    assert reverse_kl(detail) == pytest.approx(np.log(25) - entropy)
    found = GRID.measure(samples)
    assert found["modes"] == (detail > 0).sum()
    assert (found["high_quality"], found["reverse_kl"]) == (
        pytest.approx(detail.sum() / 400),
        pytest.approx(reverse_kl(detail)),
    )


def test_the_birthday_estimate_finds_the_support():
    rng = np.random.default_rng(0)
    found = [support_size(rng.integers(1000, size=(300, 1)) * 1.0, 0.5) for _ in range(100)]
    # 1 / N-hat is a mean over pairs: its mean is 1 / N exactly, with a standard error of 1.5 % here
    assert np.mean(1 / np.array(found)) == pytest.approx(1 / 1000, rel=0.05)
    assert support_size(np.zeros((20, 2)), 0.1) == 1
    assert support_size(np.arange(10.0)[:, None], 0.5) == np.inf
    real = load("ring").train.x[:2000]
    assert support_size(real, 0.1) == pytest.approx(8, rel=0.02)


# --- the game with one side held still ----------------------------------------------------------


def test_points_climb_to_the_top_of_a_fixed_discriminator():
    top = torch.tensor([0.3, -0.7])
    found = game.best_response(lambda x: -(x - top).square().sum(-1), torch.randn(9, 2), 200, 0.1)
    torch.testing.assert_close(found, top.expand(9, 2), atol=1e-4, rtol=0)
    assert not found.requires_grad


def test_hopping_visits_all_modes_in_time_and_one_at_a_time():
    visited = game.mode_hopping(np.full(8, 1 / 8), 0.1, 800)
    np.testing.assert_array_equal(np.bincount(visited), np.full(8, 100))
    assert (np.diff(visited) != 0).all()


# --- the cures ----------------------------------------------------------------------------------


def test_packing_lays_points_side_by_side():
    x = torch.arange(24.0).reshape(2, 6, 2)
    packed = cures.pack(x, 3)
    assert packed.shape == (2, 2, 6)
    assert packed[1, 0].tolist() == x[1, :3].flatten().tolist()
    assert torch.equal(cures.pack(x, 1), x)


def test_the_deviation_tells_how_much_a_batch_varies():
    torch.manual_seed(0)
    features = torch.randn(2, 50, 4)
    features[1] = features[1, 0]  # collapsed
    told = cures.with_deviation(features)
    assert torch.equal(told[..., :-1], features)
    expected = features[0].numpy().std(axis=0).mean()
    np.testing.assert_allclose(told[0, :, -1], expected, rtol=1e-5)
    assert told[1, :, -1].max() < 1e-3


def test_the_wasserstein_penalty_is_the_squared_distance_of_the_slope_from_one():
    slope = torch.tensor([3.0, 4.0])  # length 5
    real, fake, t = torch.randn(7, 2), torch.randn(7, 2), torch.rand(7, 1)
    assert cures.wasserstein_penalty(lambda x: x @ slope, real, fake, t).item() == pytest.approx(16)
    # |x|^2 has the slope 2 |x|: t = 1 asks at the real points
    penalty = cures.wasserstein_penalty(lambda x: x.square().sum(-1), real, fake, torch.ones(7, 1))
    assert penalty.item() == pytest.approx(
        (2 * real.norm(dim=1) - 1).square().mean().item(), rel=1e-5
    )


def test_unrolling_looks_ahead_as_gradient_descent_would_go():
    torch.manual_seed(0)
    network, x = mlp(2, 5, 1), torch.randn(8, 2)

    def loss(discriminator):
        return discriminator(x).square().mean()

    ahead = cures.unrolled(network, loss, 3, 0.1)(x)
    before = [p.clone() for p in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    assert cures.unrolled(network, loss, 0, 0.1)(x).equal(network(x))
    for old, now in zip(before, network.parameters(), strict=True):
        assert torch.equal(old, now)
    for _ in range(3):
        optimizer.zero_grad()
        loss(network).backward()
        optimizer.step()
    torch.testing.assert_close(ahead, network(x))


@pytest.mark.parametrize("trained", [0, 4])
def test_unrolling_by_adam_looks_ahead_as_adam_would_go(trained):
    torch.manual_seed(0)
    network, x = mlp(2, 5, 1), torch.randn(8, 2)
    optimizer = torch.optim.Adam(network.parameters(), 0.01, (0.5, 0.99))

    def loss(discriminator):
        return discriminator(x).square().mean()

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            loss(network).backward()
            optimizer.step()

    train(trained)
    ahead = cures.unrolled_by_adam(network, loss, 3, optimizer)(x)
    (slope,) = torch.autograd.grad(ahead.sum(), network[0].weight, retain_graph=True)
    assert slope.isfinite().all() and slope.abs().max() > 0
    train(3)
    torch.testing.assert_close(ahead, network(x))


def test_gradients_pass_through_the_steps_that_are_looked_ahead():
    torch.manual_seed(0)
    network, real = mlp(2, 5, 1), torch.randn(8, 2)
    fake = torch.randn(8, 2, requires_grad=True)

    def gradient(steps):
        opponent = cures.unrolled(network, lambda d: (d(fake) - d(real)).mean(), steps, 0.5)
        return torch.autograd.grad(-opponent(fake.detach()).mean(), fake, allow_unused=True)[0]

    assert gradient(0) is None
    assert gradient(2).abs().max() > 0


# --- GANs side by side --------------------------------------------------------------------------


@pytest.mark.parametrize("cure", CURES)
def test_side_by_side_is_as_one_by_one(cure):
    made = replace(TINY, **CURES[cure])
    together = GANs(made, dimensions=2, seeds=(3, 1, 4))
    finish(fit(together, ring_data()))
    for member, seed in enumerate((3, 1, 4)):
        alone = GANs(made, dimensions=2, seeds=(seed,))
        finish(fit(alone, ring_data()))
        for average in (True, False):
            np.testing.assert_allclose(
                together.sample(50, average=average)[member],
                alone.sample(50, average=average)[0],
                atol=2e-5,
            )


@pytest.mark.parametrize("cure", CURES)
def test_every_setting_changes_what_is_learnt_and_the_same_gives_the_same(cure):
    def samples(made):
        gans = GANs(made, dimensions=2, seeds=(0,))
        before = gans.sample(20)
        finish(fit(gans, ring_data()))
        assert not np.array_equal(gans.sample(20), before)
        return gans.sample(20)

    made = replace(TINY, **CURES[cure])
    np.testing.assert_array_equal(samples(made), samples(made))
    if cure != "vanilla":
        assert not np.array_equal(samples(made), samples(TINY))


def test_a_step_is_that_of_goodfellow_s_game():
    """One member's vanilla step against the plain one with PyTorch's own layers."""
    from course_lib.models.gan import alternating_step

    gans = GANs(replace(TINY, steps=1), dimensions=2, seeds=(0,))
    randomness = GANs(replace(TINY, steps=1), dimensions=2, seeds=(0,)).randomness
    plain = [_plain(gans.generators), _plain(gans.discriminators)]
    optimizers = [torch.optim.Adam(n.parameters(), TINY.learning_rate, (0.5, 0.99)) for n in plain]
    order = randomness.orders(50_000)
    z = [randomness.normal(12, 3)[0] for _ in range(2)]
    draws = iter(z)
    generator = nn.Module()
    generator.forward = lambda _: plain[0](next(draws))
    rows = _first_batch(ring_data()[order[0]])
    losses = alternating_step(
        generator, lambda x: plain[1](x).squeeze(1), *optimizers, rows, torch.zeros(0)
    )
    step = finish(fit(gans, ring_data()))
    assert step.losses["discriminator"] == pytest.approx(losses[0], rel=1e-5)
    assert step.losses["generator"] == pytest.approx(losses[1], rel=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(gans.generators(z[0][None])[0], plain[0](z[0]))


def _first_batch(data):
    from course_lib.training import batches

    whole = len(data) // 12 * 12
    return next(batches([data[:whole]], 12, 0))[0]


def _plain(networks):
    """The first member as a network of torch.nn.Linear layers."""
    layers = []
    for part in networks.modules():
        if hasattr(part, "weight"):
            layer = nn.Linear(*part.weight.shape[1:])
            layer.load_state_dict(
                {"weight": part.weight[0].T.clone(), "bias": part.bias[0, 0].clone()}
            )
            layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_a_discriminator_can_be_asked_anywhere():
    gans = GANs(TINY, dimensions=2, seeds=(0, 1))
    assert gans.logits(torch.zeros(9, 2)).shape == (2, 9)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"Did you mean 'wasserstein'"):
        Recipe(loss="wassersten")
    with pytest.raises(ValueError, match="packs of 7"):
        Recipe(batch_size=120, pack=7)
    with pytest.raises(ValueError, match="no recipe called 'vanila'"):
        recipe("ring", "vanila")
    with pytest.raises(ValueError, match="no benchmark called 'circle'"):
        recipes("circle")


def test_a_recipe_can_be_changed():
    changed = recipe("ring", "vanilla", steps=7)
    assert changed == replace(recipe("ring", "vanilla"), steps=7)


# --- watched trainings, and the record ----------------------------------------------------------


def test_watching_does_not_change_what_is_learnt():
    made = replace(TINY, steps=4)
    watched, alone = (GANs(made, dimensions=2, seeds=(0, 1)) for _ in range(2))
    run = watch(watched, ring_data(), RING, [2, 4])
    finish(fit(alone, ring_data()))
    np.testing.assert_array_equal(watched.sample(9), alone.sample(9))
    assert run.steps.tolist() == [2, 4]
    assert run.samples.shape == (2, 2, 400, 2) and run.surface.shape == (2, 2, 25, 25)
    assert run.modes.shape == run.high_quality.shape == (2, 2)
    found = RING.measure(alone.sample(SAMPLES)[1])
    assert run.modes[-1, 1] == found["modes"]
    assert run.high_quality[-1, 1] == pytest.approx(found["high_quality"], abs=0.001)


def test_a_surface_is_laid_out_with_x_along_rows_and_y_upwards():
    gans = GANs(TINY, dimensions=2, seeds=(0,))
    far = half_width(RING)
    corner = torch.tensor([[far, -far]])  # lower right
    expected = torch.from_numpy(gans.logits(corner)).sigmoid().item()
    assert surface(gans, RING, side=7)[0, 0, -1] == pytest.approx(expected, rel=1e-4)


def test_the_diffusion_control_follows_its_seed():
    settings = replace(control("ring"), steps=3, sampling_steps=2)
    one, again, other = (
        diffusion_sample(ring_data(), settings, 20, seed=seed) for seed in (1, 1, 2)
    )
    assert one.shape == (20, 2)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_the_record_was_made_with_the_recipes_as_they_are(benchmark):
    settings = {name: vars(made) for name, made in recipes(benchmark).items()}
    settings["diffusion"] = vars(control(benchmark))
    assert records.record(benchmark)["settings"] == settings
    rows = records.cure_runs(benchmark)
    assert set(rows["cure"]) == set(settings) == set(records.cure_table(benchmark).index)
    assert (rows.groupby("cure")["seed"].apply(sorted).map(tuple) == tuple(range(5))).all()


@pytest.mark.slow
def test_the_cheapest_row_of_the_record_is_made_again():
    """Vanilla on the ring. Another processor rounds otherwise, and a collapse is chaotic: which mode is
    left depends on it, how many hardly. So means over the five seeds are compared."""
    gans = GANs(recipe("ring", "vanilla"), dimensions=2, seeds=range(5))
    finish(fit(gans, ring_data()))
    found = [RING.measure(points) for points in gans.sample(SAMPLES)]
    row = records.cure_table("ring").loc["vanilla"]
    assert all(one["modes"] <= 4 and one["high_quality"] >= 0.9 for one in found)
    assert np.mean([one["modes"] for one in found]) == pytest.approx(row["modes"], abs=1)
    assert np.mean([one["high_quality"] for one in found]) == pytest.approx(
        row["high_quality"], abs=0.03
    )
    assert np.mean([one["reverse_kl"] for one in found]) == pytest.approx(
        row["reverse_kl"], abs=0.4
    )


def test_what_the_lessons_say_of_the_record_holds():
    """The bars of lessons 06 and 07, on the seeds that are reported and not those of the search."""
    ring, grid = records.cure_runs("ring"), records.cure_runs("grid")
    vanilla = ring.query("cure == 'vanilla'")
    assert (vanilla["modes"] <= 4).all() and (vanilla["high_quality"] >= 0.9).all()

    def cured(rows, modes, quality, divergence):
        means = rows.groupby("cure").mean()
        fewest = rows.groupby("cure")["modes"].min()
        good = means["high_quality"].ge(quality) & means["reverse_kl"].le(divergence)
        return list(means.index[good & fewest.ge(modes)])

    assert len(cured(ring, 8, 0.75, 0.02)) >= 3
    assert len(cured(grid, 24, 0.0, 0.06)) >= 2
    for (
        benchmark
    ) in BENCHMARKS:  # R1 against the best that any of PacGAN's rows has, column by column
        rows = records.published(benchmark)
        pacgan = rows[rows.index.str.startswith("PacGAN")]
        ours = records.cure_table(benchmark).loc["R1"]
        assert ours["modes"] >= pacgan["modes"].max()
        assert ours["high_quality"] >= pacgan["high_quality"].max()
        assert ours["reverse_kl"] <= pacgan["reverse_kl"].min()


def test_the_recorded_knobs_are_those_of_the_lesson_and_small():
    found = records.knobs()
    assert records.KNOBS.stat().st_size < 1_000_000
    vanilla = recipe("ring", "vanilla")
    for setting, values in found.items():
        assert getattr(vanilla, setting) in values  # the recipe itself stands in each panel
        for run in values.values():
            assert run.modes.shape == (len(run.steps), 5)
            assert run.steps[-1] == vanilla.steps
    last = records.record("ring")["runs"]
    at_end = found["latent_dim"][vanilla.latent_dim].modes[-1]
    assert sorted(at_end) == sorted(row["modes"] for row in last if row["cure"] == "vanilla")
