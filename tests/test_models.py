"""The GAN and the diffusion model against what their equations say."""

import pytest
import torch
from torch import nn

from course_lib.models import classifier, diffusion, flow, gan, unet
from course_lib.training import finish

ALPHA_BAR = diffusion.cosine_schedule(100)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# --- GAN ---------------------------------------------------------------------------------------


def test_the_game_at_chance_is_worth_log_4():
    undecided = torch.zeros(5)
    assert gan.discriminator_loss(undecided, undecided).item() == pytest.approx(2 * 0.6931472)
    assert gan.generator_loss(undecided).item() == pytest.approx(0.6931472)
    assert gan.relativistic_loss(undecided, undecided).item() == pytest.approx(0.6931472)


def test_the_penalty_of_a_linear_discriminator_is_its_squared_slope():
    slope = torch.tensor([1.0, -2.0, 3.0])
    penalty = gan.gradient_penalty(lambda x: x @ slope, torch.randn(4, 3))
    assert penalty.item() == pytest.approx(14.0)


def test_slerp_of_orthogonal_latents_keeps_their_length():
    a, b = torch.eye(5)[:2] * 3
    arc = gan.slerp(a, b, 9)
    torch.testing.assert_close(arc.norm(dim=1), torch.full((9,), 3.0))
    torch.testing.assert_close(arc[4], (a + b) / 2**0.5)


def test_a_fitted_generator_holds_the_averaged_weights_and_draws_whole_grey_levels():
    x, y = torch.randint(0, 17, (40, 64)).float(), torch.arange(40) % 10
    settings = gan.GANSettings(steps=3, batch_size=8, learning_rate=1e-3, ema_decay=0.5)
    generator = gan.Generator(4, 8, classes=10)
    before = [p.clone() for p in generator.parameters()]
    finish(gan.fit(generator, gan.Discriminator(8, classes=10), (x, y), settings))
    assert any(not torch.equal(a, b) for a, b in zip(before, generator.parameters(), strict=True))
    images = generator.sample(6, torch.arange(6))
    assert images.shape == (6, 64) and torch.equal(images, images.round())
    assert images.min() >= 0 and images.max() <= 16
    with pytest.raises(ValueError, match="say which class"):
        generator.sample(6)


def test_each_logit_depends_on_its_own_image_alone():
    x, y = torch.randn(5, 64), torch.arange(5)
    discriminator = gan.Discriminator(8, classes=10)
    alone = torch.cat([discriminator(x[i : i + 1], y[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(discriminator(x, y), alone)


def test_one_stabilised_step_moves_both_networks():
    generator, discriminator = gan.Generator(4, 8), gan.Discriminator(8)
    optimizers = [torch.optim.SGD(n.parameters(), lr=0.1) for n in (generator, discriminator)]
    before = [[p.clone() for p in n.parameters()] for n in (generator, discriminator)]
    losses = gan.stabilised_step(generator, discriminator, *optimizers, torch.randn(8, 64))
    assert set(losses) == {"discriminator", "generator"}
    for old, network in zip(before, (generator, discriminator), strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old, network.parameters(), strict=True))


# --- diffusion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [diffusion.cosine_schedule, diffusion.linear_schedule])
@pytest.mark.parametrize("steps", [10, 1000])
def test_a_schedule_falls_from_1_to_nearly_0(make, steps):
    alpha_bar = make(steps)
    assert alpha_bar.shape == (steps + 1,) and alpha_bar[0] == 1
    assert (alpha_bar.diff() <= 0).all() and 0 < alpha_bar[-1] < 1e-3


def test_the_linear_schedule_is_ddpms():
    beta = torch.linspace(1e-4, 0.02, 1000)
    expected = torch.cumprod(1 - beta, dim=0)
    torch.testing.assert_close(diffusion.linear_schedule(1000)[1:], expected, rtol=1e-3, atol=1e-6)


def noisy(rows=6, pixels=5):
    t = torch.randint(1, 101, (rows,))
    x_0, noise, alpha_bar = torch.randn(rows, pixels), torch.randn(rows, pixels), ALPHA_BAR[t]
    return x_0, noise, alpha_bar, diffusion.q_sample(x_0, alpha_bar, noise)


def test_v_gives_image_and_noise_back():
    x_0, noise, alpha_bar, x_t = noisy()
    v = diffusion.velocity(x_0, alpha_bar, noise)
    for found, right in zip(diffusion.from_velocity(x_t, v, alpha_bar), (x_0, noise), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)


def test_ddim_and_ddpm_are_one_sampler():
    x_0, noise, _, _ = noisy()
    now, then, fresh = ALPHA_BAR[70], ALPHA_BAR[55], torch.randn(6, 5)
    x_t = diffusion.q_sample(x_0, now.expand(6), noise)
    torch.testing.assert_close(
        diffusion.reverse_step(x_t, x_0, now, then, 0.0, fresh),
        diffusion.ddim_step(x_0, noise, then),
    )
    torch.testing.assert_close(
        diffusion.reverse_step(x_t, x_0, now, then, 1.0, fresh),
        diffusion.ddpm_step(x_t, x_0, now, then, fresh),
    )


def test_an_ancestral_step_has_the_marginals_of_the_forward_process():
    """Averaged over x_t given x_0, a draw from q(x_s | x_t, x_0) is a draw from q(x_s | x_0)."""
    rows = 200_000
    x_0, now, then = torch.full((rows, 1), 0.7), ALPHA_BAR[80], ALPHA_BAR[40]
    x_t = diffusion.q_sample(x_0, now.expand(rows), torch.randn(rows, 1))
    x_s = diffusion.ddpm_step(x_t, x_0, now, then, torch.randn(rows, 1))
    assert x_s.mean().item() == pytest.approx(0.7 * then.sqrt().item(), abs=0.01)
    assert x_s.var().item() == pytest.approx(1 - then.item(), rel=0.02)


def test_a_perfect_denoiser_has_no_loss_and_samples_its_image():
    image = torch.linspace(-1, 1, 64)

    class Knows(nn.Module):
        """Knows that all images are one, and so can tell v exactly."""

        classes, pixels = 0, 64

        def forward(self, x_t, time, y=None):
            a = model.alpha_bar[(time * model.steps).round().long()].unsqueeze(1)
            noise = (x_t - a.sqrt() * image) / (1 - a).sqrt()
            return a.sqrt() * noise - (1 - a).sqrt() * image

    model = diffusion.Diffusion(Knows(), steps=50)
    assert model.loss(image.expand(8, 64)).item() < 1e-8
    for eta in (0.0, 0.5, 1.0):
        *_, drawn = model.path(3, steps=10, eta=eta)
        torch.testing.assert_close(drawn, image.expand(3, 64), rtol=0, atol=0.01)


@pytest.mark.parametrize("side", [8, 12, 28])
def test_the_networks_take_images_of_other_sizes(side):
    x, y, time = torch.rand(3, side**2), torch.arange(3), torch.rand(3)
    generator = gan.Generator(4, 8, classes=10, side=side)
    discriminator = gan.Discriminator(8, classes=10, side=side)
    images = generator(torch.randn(3, 4), y)
    assert images.shape == x.shape and discriminator(images, y).shape == (3,)
    judge = classifier.DigitClassifier(8, side=side)
    assert judge(x).shape == (3, 10) and judge.features(x).shape == (3, 64)
    network = unet.UNet(8, classes=10, pixels=side**2)
    assert network(x, time, y).shape == network(x, time).shape == x.shape
    model = diffusion.Diffusion(network, steps=10)
    assert model.sample(3, y, steps=2, guidance=1.0).shape == x.shape


@pytest.mark.parametrize("pixels", [100, 10, 784 * 3])
def test_a_u_net_refuses_images_that_it_cannot_halve_twice(pixels):
    with pytest.raises(ValueError, match="square images of side 4, 8, 12"):
        unet.UNet(8, pixels=pixels)


def test_a_u_net_starts_at_0_and_learns_to_use_time_class_and_pixels():
    network = unet.UNet(8, classes=2, pixels=64)
    x, time, y = torch.randn(4, 64), torch.rand(4), torch.tensor([0, 0, 1, 1])
    assert torch.equal(network(x, time, y), torch.zeros(4, 64))
    adam = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(20):
        target = x.flip(1) + time[:, None] + y[:, None]
        loss = (network(x, time, y) - target).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    for changed in ((x + 1, time, y), (x, 1 - time, y), (x, time, 1 - y)):
        assert not torch.allclose(network(*changed), network(x, time, y), atol=1e-3)


def small_model():
    return diffusion.Diffusion(diffusion.Denoiser(16, 1, classes=10), steps=20)


def test_ddim_depends_on_its_first_noise_alone_and_gives_whole_grey_levels():
    model, y, x_T = small_model(), torch.arange(4), torch.randn(4, 64)
    one, other = (model.sample(4, y, steps=5, x_T=x_T) for _ in range(2))
    assert torch.equal(one, other) and torch.equal(one, one.round())
    assert len(list(model.path(4, y, steps=5))) == 6


def test_guidance_doubles_the_question_and_scale_0_changes_nothing():
    a, b = torch.randn(2, 3, 4)
    torch.testing.assert_close(diffusion.guide(a, b, 0.0), a)
    torch.testing.assert_close(diffusion.guide(a, b, 1.0), 2 * a - b)


def test_a_fitted_diffusion_model_learns_and_is_left_in_evaluation_mode():
    x = torch.cat([torch.zeros(64, 64), torch.full((64, 64), 16.0)])
    settings = diffusion.DiffusionSettings(
        steps=150, batch_size=32, learning_rate=3e-3, ema_decay=0.9
    )
    model, y = small_model(), torch.arange(2).repeat_interleave(64)
    finish(diffusion.fit(model, (x, y), settings))
    assert not model.training
    drawn = model.sample(20, torch.arange(2).repeat_interleave(10))
    assert drawn[:10].mean() < 3 and drawn[10:].mean() > 13


def test_a_flow_s_loss_is_smallest_for_the_mean_velocity():
    """Of data at -1 and 1, with equal shares, the mean velocity is known (Lipman et al. 2023)."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(20_000, 1, generator=generator) < 0.5).float() * 2 - 1
    noise = torch.randn(x.shape, generator=generator)
    t = 0.05 + 0.9 * torch.rand(len(x), generator=generator)

    def mean_velocity(x_t, t, tilt=0.0):
        t = t.unsqueeze(1)
        mean_x = torch.tanh(t * x_t / (1 - t) ** 2)  # E[x | x_t] for x in {-1, 1}
        return mean_x - (x_t - t * mean_x) / (1 - t) + tilt

    best = flow.flow_matching_loss(mean_velocity, x, t, noise)
    for tilt in (-0.2, 0.2):
        other = flow.flow_matching_loss(
            lambda x_t, t, b=tilt: mean_velocity(x_t, t, b), x, t, noise
        )
        assert other > best + 0.02

    path = flow.euler_path(lambda x_t, t: mean_velocity(x_t, t.clamp(max=0.999)), noise[:2000], 200)
    assert ((path[-1].abs() - 1).abs() < 0.05).float().mean() > 0.98  # it ends at -1 and 1
    assert (flow.length_over_chord(path) >= 1 - 1e-5).all()
