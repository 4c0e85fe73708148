"""Mode collapse in two dimensions: the benchmarks, the cures, and GANs trained side by side."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.collapse import GRID, RING, GANs, Recipe, cures, fit, recipe, recipes
from course_lib.datasets import load
from course_lib.datasets.mixtures import mixture
from course_lib.models.layers import mlp
from course_lib.training import finish

CEILING = 1 - np.exp(-4.5)  # of high quality: P(chi^2_2 <= 9)
TINY = Recipe(width=16, depth=2, steps=6, batch_size=12, latent_dim=3)
CURES = {
    "vanilla": {},
    "pack": {"pack": 3},
    "deviation": {"deviation": True},
    "unrolled": {"unroll": 2, "unroll_rate": 0.1},
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
