"""Flows: their paths, the mean velocity, the solvers' orders, and what training and scaling must hold."""

import math

import pytest
import torch
from torch import nn

from course_lib.models import flow
from course_lib.models.diffusion import Denoiser

PATHS = pytest.mark.parametrize("path", [flow.straight_path, flow.arc_path])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@PATHS
def test_a_path_leads_from_noise_to_data_and_its_velocity_is_its_slope(path):
    x, noise = normal(2, 7, 3)
    begin, end = (path(x, noise, torch.full((7,), t, dtype=torch.float64))[0] for t in (0.0, 1.0))
    torch.testing.assert_close(begin, noise)
    torch.testing.assert_close(end, x)
    t = torch.linspace(0.1, 0.9, 7, dtype=torch.float64)
    slope = (path(x, noise, t + 1e-5)[0] - path(x, noise, t - 1e-5)[0]) / 2e-5
    torch.testing.assert_close(path(x, noise, t)[1], slope, rtol=1e-6, atol=1e-6)


def test_the_mean_velocity_is_that_of_all_lines_through_the_point():
    data, x_t = normal(4, 2), normal(3, 2, seed=1)
    a, b = 0.6, 0.4
    found = flow.marginal_velocity(x_t, data, a, b, a_rate=1.0, b_rate=-1.0)
    for point, velocity in zip(x_t, found, strict=True):
        noise = (point - a * data) / b  # the noise that each of the data needs to be here
        chance = torch.exp(-noise.square().sum(dim=1) / 2)
        mean = (chance[:, None] * (data - noise)).sum(dim=0) / chance.sum()
        torch.testing.assert_close(velocity, mean)


def test_following_the_mean_velocity_makes_the_data_s_distribution():
    data = torch.tensor([[-1.0], [1.0], [1.0], [1.0]], dtype=torch.float64)

    def velocity(x_t, t):
        b = max(1 - t[0].item(), 1e-3)
        return flow.marginal_velocity(x_t, data, 1 - b, b, a_rate=1.0, b_rate=-1.0)

    ends = flow.euler_path(velocity, normal(2000, 1), steps=200)[-1]
    assert (ends.abs() - 1).abs().median() < 0.02
    assert (ends > 0).double().mean().item() == pytest.approx(0.75, abs=0.04)  # 4 standard errors


def test_the_loss_is_zero_where_the_velocity_is_known_and_counts_the_error_of_each_number():
    x, noise = normal(2, 5, 3)
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    assert flow.flow_matching_loss(lambda x_t, t: x - noise, x, t, noise) == 0
    assert flow.flow_matching_loss(lambda x_t, t: x - noise + 2, x, t, noise) == pytest.approx(4)
    arc = flow.arc_path(x, noise, t)[1]
    assert flow.flow_matching_loss(lambda x_t, t: arc, x, t, noise, flow.arc_path) == 0


@pytest.mark.parametrize(("solver", "order"), [(flow.euler_path, 1), (flow.heun_path, 2)])
def test_the_error_of_a_solver_falls_with_its_order(solver, order):
    start = torch.ones(1, 1, dtype=torch.float64)
    errors = [
        abs(solver(lambda x_t, t: -x_t, start, steps)[-1].item() - math.exp(-1))
        for steps in (20, 40)
    ]
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.05)


def test_a_quarter_of_a_circle_is_longer_than_its_chord():
    angle = torch.linspace(0, math.pi / 2, 500)
    arc = torch.stack([angle.cos(), angle.sin()], dim=1)[:, None]
    found = flow.length_over_chord(torch.cat([arc, 7 * arc], dim=1))
    assert found.tolist() == pytest.approx([math.pi / 8**0.5] * 2, rel=1e-4)


def test_latents_are_scaled_by_one_number_that_the_training_codes_give():
    train = normal(100, 3) * torch.tensor([5.0, 1.0, 0.1]) + 7
    scaled = flow.scale_latents(train, train)
    assert scaled.mean(dim=0).abs().max() < 1e-12
    assert scaled.square().mean().item() == pytest.approx(1)
    ratio = scaled.std(dim=0) / train.std(dim=0)
    assert ratio.max().item() == pytest.approx(ratio.min().item())
    far = train + 100  # other codes are moved and scaled as the training codes are
    torch.testing.assert_close(flow.scale_latents(far, train) - scaled, 100 * ratio.expand(100, 3))


def test_distillation_asks_for_one_step_at_time_0_and_trains_the_student_alone():
    noise, made = normal(2, 6, 2)
    asked = []
    student = nn.Linear(2, 2).double()

    def velocity(x_t, t):
        asked.append((x_t, t))
        return student(x_t)

    loss = flow.distillation_loss(velocity, noise, made)
    loss.backward()
    ((where, when),) = asked
    assert torch.equal(where, noise) and not when.any()
    error = (noise + student(noise) - made).square().mean()
    torch.testing.assert_close(loss, error)
    assert student.weight.grad.abs().sum() > 0 and made.grad is None


def test_fit_learns_averages_and_repeats_itself():
    x = torch.tensor([[1.0], [3.0]]).repeat(32, 1)
    settings = flow.FlowSettings(steps=80, learning_rate=0.1, ema_decay=0.9)

    def fitted():
        torch.manual_seed(0)
        network = nn.Linear(1, 1)
        return flow.fit(
            network, lambda net, x: (net(torch.zeros_like(x)) - x).square().mean(), [x], settings
        )

    network = fitted()
    assert not network.training
    assert network.bias.item() == pytest.approx(2, abs=0.2)  # the mean of the data
    assert torch.equal(network.bias, fitted().bias)


def test_operations_are_two_for_each_weight_of_a_linear_layer():
    network = Denoiser(width=8, depth=2, classes=10, pixels=5)
    #            time: 64 -> 8 -> 8, in, two blocks of two layers, out; the embedding only looks up
    weights = 64 * 8 + 8 * 8 + 5 * 8 + 2 * 2 * 8 * 8 + 8 * 5
    assert flow.operations(network) == 2 * weights


def test_the_density_of_euler_s_path_is_that_of_a_known_map_and_integrates_to_one():
    """v(x, t) = A x + b: every step is affine, so the result is normal with known mean and covariance."""
    a, b = 0.4 * normal(2, 2), normal(2, seed=3)
    steps, x = 8, normal(50, 2, seed=1)

    def velocity(points, t):
        return points @ a.T + b + t[:, None]

    matrix, shift = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for i in range(steps):
        step = torch.eye(2, dtype=torch.float64) + a / steps
        matrix, shift = step @ matrix, step @ shift + (b + i / steps) / steps
    known = torch.distributions.MultivariateNormal(shift, matrix @ matrix.T)
    found = flow.euler_log_density(velocity, x, steps)
    torch.testing.assert_close(found, known.log_prob(x))
    # What euler_path draws has this distribution: its mean and covariance agree.
    drawn = flow.euler_path(velocity, normal(20_000, 2, seed=5), steps)[-1]
    torch.testing.assert_close(drawn.mean(dim=0), shift, atol=0.05, rtol=0)


def test_a_network_s_density_integrates_to_one_over_the_plane():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 2))

    def velocity(points, t):
        return net(torch.cat([points, t[:, None]], dim=1))

    line = torch.linspace(-6, 6, 81)
    grid = torch.cartesian_prod(line, line)
    total = flow.euler_log_density(velocity, grid, 10).exp().sum() * (12 / 80) ** 2
    assert abs(total.item() - 1) < 0.01
