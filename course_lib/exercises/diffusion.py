"""The exercises of lesson 03: the parts of a diffusion model."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.models import diffusion
from course_lib.plots import BLUE, GREEN, GREY, ORANGE

# --- the schedule -----------------------------------------------------------------------------


def _schedule_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {
        "ten steps": {"steps": 10},
        "a thousand steps": {"steps": 1000},
        "some other number of steps": {"steps": int(rng.integers(20, 500))},
        "another offset s": {
            "steps": int(rng.integers(20, 60)),
            "s": float(rng.uniform(0.05, 0.2)),
        },
    }


def _schedule_picture(answer):
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(answer(1000), color=BLUE, label="cosine")
    ax.plot(diffusion.linear_schedule(1000), color=ORANGE, linestyle="--", label="linear (DDPM)")
    ax.set(xlabel="t", ylabel="alpha_bar", title="How much of the image is left")
    ax.legend(fontsize=8)
    return fig, (
        "alpha_bar against t from 0 to 1000. The cosine curve falls gently from 1 to 0 like a "
        "slide; DDPM's linear one falls faster and is near 0 after two thirds."
    )


def _schedule_loop(steps, s=0.008):
    values = []
    for t in range(steps + 1):
        f_t = math.cos((t / steps + s) / (1 + s) * math.pi / 2) ** 2
        f_0 = math.cos(s / (1 + s) * math.pi / 2) ** 2
        values.append(max(f_t / f_0, 1e-5))
    return torch.tensor(values)


def _schedule_by_half_angle(steps, s=0.008):
    """cos^2 a = (1 + cos 2a) / 2."""
    angle = (torch.linspace(0, 1, steps + 1, dtype=torch.float64) + s) / (1 + s) * math.pi
    f = (1 + torch.cos(angle)) / 2
    return torch.clamp(f / f[0], min=1e-5).to(torch.float32)


def _schedule_by_steps(steps, s=0.008):
    """alpha_bar as the product of what each step leaves, alpha_t = f(t) / f(t - 1)."""
    angle = (torch.arange(steps + 1).double() / steps + s) / (1 + s) * math.pi / 2
    f = angle.cos().square()
    left = torch.cat([f.new_ones(1), f[1:] / f[:-1]])
    return left.cumprod(dim=0).clamp_min(1e-5).float()


def _schedule_by_sine(steps, s=0.008):
    """cos a = sin(pi / 2 - a)."""

    def f(t):
        return torch.sin(math.pi / 2 * (1 - (t / steps + s) / (1 + s))) ** 2

    t = torch.linspace(0, steps, steps + 1, dtype=torch.float64)
    alpha_bar = f(t) / f(t[0])
    return torch.maximum(alpha_bar, torch.tensor(1e-5)).float()


def _schedule_in_place(steps, s=0.008):
    """With a list, whose last values are raised afterwards."""
    angles = [(t / steps + s) / (1 + s) * math.pi / 2 for t in range(steps + 1)]
    alpha_bar = torch.tensor([math.cos(a) ** 2 / math.cos(angles[0]) ** 2 for a in angles])
    alpha_bar[alpha_bar < 1e-5] = 1e-5
    return alpha_bar


SCHEDULE = Exercise(
    id="diffusion.cosine_schedule",
    title="The cosine schedule",
    points=1,
    minutes=8,
    difficulty=2,
    task="Return alpha_bar at t = 0, 1, ..., steps for the cosine schedule, never below 1e-5.",
    hints=(
        "f(t) = cos²((t / T + s) / (1 + s) · π / 2), and alpha_bar is f(t) / f(0).",
        "t runs from 0 to steps, both included: torch.arange(steps + 1).",
        "clamp(min=1e-5) keeps the last value off 0, since the sampler divides by its root.",
    ),
    reference=diffusion.cosine_schedule,
    inputs=_schedule_cases,
    rtol=5e-5,
    atol=1e-6,
    picture=_schedule_picture,
    mistakes={
        "The square is missing: it is cos², so that the square root of alpha_bar is a cosine.": slip(
            " ** 2", ""
        ),
        "alpha_bar must be 1 at t = 0: divide by f(0).": slip("f / f[0]", "f"),
        "This starts with noise and ends with the image. alpha_bar falls from 1 to nearly 0.": returning(
            "(f / f[0]).clamp(min=1e-5).float().flip(0)"
        ),
        "The last value is below 1e-5. Clamp it, since the sampler divides by its square root.": slip(
            ".clamp(min=1e-5)", ""
        ),
        "The offset s is missing: it is added to t / T.": slip(
            "(t / steps + s) / (1 + s)", "t / steps"
        ),
        "The offset is always 0.008 here. Use the argument s, of which 0.008 is only the default.": slip(
            "(t / steps + s) / (1 + s)", "(t / steps + 0.008) / 1.008"
        ),
        "t = 0 is missing: alpha_bar has steps + 1 values, the first of which is 1.": returning(
            "(f / f[0]).clamp(min=1e-5).float()[1:]"
        ),
        (
            "These are the sizes of the single steps, beta. alpha_bar says how much is left of the "
            "image after all steps up to t."
        ): returning("torch.cat([f[:1] * 0, 1 - f[1:] / f[:-1]]).clamp(min=1e-5).float()"),
        "This is the noise's share, 1 - alpha_bar. It should be the image's, which begins at 1.": returning(
            "(1 - f / f[0]).clamp(min=1e-5).float()"
        ),
        "The cosine goes through half a circle here and comes back. It ends at pi / 2.": slip(
            "* math.pi / 2", "* math.pi"
        ),
        "This is a sine: it begins with noise. The cosine begins at 1.": slip(
            "torch.cos(", "torch.sin("
        ),
        "This is a straight line from 1 to 0. The schedule is the square of a cosine.": returning(
            "torch.linspace(1, 0, steps + 1).clamp(min=1e-5)"
        ),
        "The division by 1 + s is missing: without it the angle passes pi / 2.": slip(
            "(t / steps + s) / (1 + s)", "(t / steps + s)"
        ),
        "The offset s has the wrong sign: add it to t / T.": slip("t / steps + s", "t / steps - s"),
        "You divided by the last value. alpha_bar must be 1 at t = 0: divide by f(0).": slip(
            "f / f[0]", "f / f[-1]"
        ),
    },
    alternatives=(
        _schedule_loop,
        _schedule_by_half_angle,
        _schedule_by_steps,
        _schedule_by_sine,
        _schedule_in_place,
    ),
)

# --- noise in one step ------------------------------------------------------------------------


def _q_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, pixels, alpha_bar):
        return {
            "x_0": rng.uniform(-1, 1, (rows, pixels)),
            "alpha_bar": np.full(rows, alpha_bar),
            "noise": rng.standard_normal((rows, pixels)),
        }

    return {
        "a single image, half noise": case(1, 4, 0.5),
        "each image with a time of its own": case(3, 5, rng.uniform(0.05, 0.95, 3)),
        "as many images as pixels": case(6, 6, rng.uniform(0.05, 0.95, 6)),
    }


def _q_picture(answer):
    x_0 = torch.tensor([-1.0, 1.0]).repeat(5000)[:, None]
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    bins = torch.linspace(-4, 4, 61)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for a, colour, style in ((0.95, BLUE, "-"), (0.7, ORANGE, "--"), (0.05, GREEN, ":")):
        x_t = answer(x_0, torch.full((len(x_0),), a), noise)
        outline = {"histtype": "step", "color": colour, "linestyle": style, "linewidth": 1.8}
        ax.hist(x_t.flatten(), bins, density=True, label=f"alpha_bar = {a:g}", **outline)
    ax.set(xlabel="x_t", ylabel="density", title="From the points -1 and 1 to noise")
    ax.set(ylim=(0, 1.4))
    ax.legend(fontsize=8)
    return fig, (
        "Histograms of x_t for data that is -1 or 1. At alpha_bar 0.95 two narrow peaks, at 0.7 "
        "two wide ones that overlap, at 0.05 a single bell around 0."
    )


Q_SAMPLE = Exercise(
    id="diffusion.q_sample",
    title="Any amount of noise in one step",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return x_t for images x_0 (n, pixels), with an alpha_bar (n,) of each image's own.",
    hints=(
        "x_t = √alpha_bar · x_0 + √(1 − alpha_bar) · noise.",
        "alpha_bar has one value an image: alpha_bar.unsqueeze(1) has the shape (n, 1), which "
        "multiplies every pixel of its image.",
    ),
    reference=diffusion.q_sample,
    inputs=_q_cases,
    picture=_q_picture,
    mistakes={
        "The square roots are missing: with them the squares of the two weights add up to 1.": slip(
            ".sqrt()", "", times=2
        ),
        "Image and noise have swapped their weights: alpha_bar = 1 is the clean image.": returning(
            "alpha_bar.sqrt() * noise + (1 - alpha_bar).sqrt() * x_0"
        ),
        "The weight of the noise is √(1 − alpha_bar), not 1 − √alpha_bar.": slip(
            "(1 - alpha_bar).sqrt()", "(1 - alpha_bar.sqrt())"
        ),
        "The image keeps its full strength: it must shrink by √alpha_bar.": slip(
            "alpha_bar.sqrt() * x_0", "x_0"
        ),
        "All images share the first one's alpha_bar. Each has a time of its own.": slip(
            "unsqueeze(1)", "unsqueeze(1)[:1]"
        ),
        "The square root of the noise's weight is missing: √(1 − alpha_bar).": slip(
            "(1 - alpha_bar).sqrt()", "(1 - alpha_bar)"
        ),
        "The square root of the image's weight is missing: √alpha_bar.": slip(
            "alpha_bar.sqrt() * x_0", "alpha_bar * x_0"
        ),
        "You subtracted the noise. Add it.": slip("+ (1 - alpha_bar)", "- (1 - alpha_bar)"),
        "The noise keeps its full strength: its weight is √(1 − alpha_bar).": returning(
            "alpha_bar.sqrt() * x_0 + noise"
        ),
        "The noise is missing: this is only the image, made weaker.": returning(
            "alpha_bar.sqrt() * x_0"
        ),
        (
            "This is the velocity v. x_t is the sum of √alpha_bar times the image and √(1 − alpha_bar) "
            "times the noise."
        ): returning("alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0"),
        "You squared the weights. They are square roots: √alpha_bar and √(1 − alpha_bar).": slip(
            ".sqrt()", ".square()", times=2
        ),
        "All images share the mean alpha_bar. Each has a time of its own.": slip(
            "alpha_bar.unsqueeze(1)", "alpha_bar.mean()"
        ),
        (
            "You drew noise of your own. Use the noise that is given: the network must learn to find "
            "just this."
        ): slip("* noise", "* torch.randn_like(noise)"),
        "The image is missing: this is only the noise.": returning(
            "(1 - alpha_bar).sqrt() * noise"
        ),
        "Image and noise have the same weight here. The noise has √(1 − alpha_bar).": returning(
            "alpha_bar.sqrt() * x_0 + alpha_bar.sqrt() * noise"
        ),
    },
    alternatives=(
        lambda x_0, alpha_bar, noise: (
            torch.einsum("n,np->np", alpha_bar**0.5, x_0)
            + torch.einsum("n,np->np", (1 - alpha_bar) ** 0.5, noise)
        ),
        lambda x_0, alpha_bar, noise: torch.stack(
            [
                a.sqrt() * x + (1 - a).sqrt() * e
                for x, a, e in zip(x_0, alpha_bar, noise, strict=True)
            ]
        ),
        lambda x_0, alpha_bar, noise: (
            (alpha_bar.sqrt() * x_0.T + (1 - alpha_bar).sqrt() * noise.T).T
        ),
        lambda x_0, alpha_bar, noise: (
            torch.diag(alpha_bar.sqrt()) @ x_0 + torch.diag((1 - alpha_bar).sqrt()) @ noise
        ),
        returning("torch.addcmul(alpha_bar.sqrt() * x_0, (1 - alpha_bar).pow(0.5), noise)"),
    ),
)

# --- what v says ------------------------------------------------------------------------------


def _v_cases(seed: int) -> Inputs:
    cases = {}
    for name, inputs in _q_cases(seed).items():
        x_0, alpha_bar, noise = (torch.from_numpy(value).float() for value in inputs.values())
        x_t = diffusion.q_sample(x_0, alpha_bar, noise)
        v = diffusion.velocity(x_0, alpha_bar, noise)
        cases[name] = {"x_t": x_t.numpy(), "v": v.numpy(), "alpha_bar": alpha_bar.numpy()}
    return cases


def _rotated(x_t, v, alpha_bar):
    """v and x_t are x_0 and noise, rotated; rotate them back by the same angle."""
    angle = torch.arccos(alpha_bar.sqrt())[:, None]
    return torch.cos(angle) * x_t - torch.sin(angle) * v, torch.sin(angle) * x_t + torch.cos(
        angle
    ) * v


def _by_substitution(x_t, v, alpha_bar):
    a, b = alpha_bar[:, None].sqrt(), (1 - alpha_bar[:, None]).sqrt()
    x_0 = a * x_t - b * v
    return [x_0, (x_t - a * x_0) / b]


def _by_complex_numbers(x_t, v, alpha_bar):
    """x_t + i v = (a - i b)(x_0 + i epsilon), and 1 / (a - i b) = a + i b."""
    turned_back = torch.complex(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())[:, None]
    both = torch.complex(x_t, v) * turned_back
    return both.real, both.imag


def _by_two_equations(x_t, v, alpha_bar):
    """Solve [[a, b], [-b, a]] (x_0, epsilon) = (x_t, v) for each image."""
    a, b = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    matrix = torch.stack([torch.stack([a, b], dim=1), torch.stack([-b, a], dim=1)], dim=1)
    solved = torch.linalg.solve(matrix, torch.stack([x_t, v], dim=1))
    return solved[:, 0], solved[:, 1]


def _noise_first(x_t, v, alpha_bar):
    a, b = alpha_bar.sqrt().view(-1, 1), (1 - alpha_bar).sqrt().view(-1, 1)
    noise = b * x_t + a * v
    return (x_t - b * noise) / a, noise


def _from_velocity_picture(answer):
    pixel = torch.arange(32)
    x_0 = (0.8 * torch.sin(pixel / 5))[None]
    noise = torch.randn(1, 32, generator=torch.Generator().manual_seed(0))
    a = torch.tensor([0.4])
    x_t = diffusion.q_sample(x_0, a, noise)
    implied, _ = answer(x_t, diffusion.velocity(x_0, a, noise), a)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(pixel, x_t[0], "x:", color=GREY, linewidth=1, label="x_t")
    ax.plot(pixel, x_0[0], color=BLUE, label="true x_0")
    ax.plot(pixel, implied[0], "o", color=ORANGE, markersize=4, linestyle="none", label="found x_0")
    ax.set(xlabel="pixel", ylabel="value", title="With the true v, x_0 comes back exactly")
    ax.set(ylim=(-1.9, 2.1))
    ax.legend(fontsize=8, loc="upper center", ncols=3)
    return fig, (
        "A smooth wave x_0, the ragged x_t made of it and noise, and the x_0 that was found from "
        "x_t and v: its marks lie on the smooth wave exactly."
    )


FROM_VELOCITY = Exercise(
    id="diffusion.from_velocity",
    title="Image and noise from v",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the clean image and the noise that x_t and v imply: (x_0, noise).",
    hints=(
        "With a = √alpha_bar and b = √(1 − alpha_bar): x_t = a x_0 + b ε and v = a ε − b x_0. Two "
        "equations, two unknowns, and a² + b² = 1.",
        "a x_t − b v has no ε in it any more. What is it?",
        "x_0 = a x_t − b v, and ε = b x_t + a v.",
    ),
    reference=diffusion.from_velocity,
    inputs=_v_cases,
    rtol=1e-3,
    atol=1e-4,
    picture=_from_velocity_picture,
    mistakes={
        "The order is turned round: first the image, then the noise.": returning("noise, x_0"),
        "The sign of v is turned round in both: x_0 = a x_t − b v, ε = b x_t + a v.": slip(
            "- (1 - alpha_bar).sqrt() * v",
            "+ (1 - alpha_bar).sqrt() * v",
            "+ alpha_bar.sqrt() * v",
            "- alpha_bar.sqrt() * v",
        ),
        "You took the network's output for the noise. It is v.": returning(
            "(x_t - (1 - alpha_bar).sqrt() * v) / alpha_bar.sqrt(), v"
        ),
        "You took the network's output for the image. It is v.": returning(
            "v, (x_t - alpha_bar.sqrt() * v) / (1 - alpha_bar).sqrt()"
        ),
        "The square roots are missing: a = √alpha_bar and b = √(1 − alpha_bar).": slip(
            ".sqrt()", "", times=4
        ),
        (
            "a and b are swapped: a = √alpha_bar belongs to the image, b = √(1 − alpha_bar) to the "
            "noise."
        ): returning(
            "(1 - alpha_bar).sqrt() * x_t - alpha_bar.sqrt() * v, "
            "alpha_bar.sqrt() * x_t + (1 - alpha_bar).sqrt() * v"
        ),
        "The sign of v is turned round in the image: x_0 = a x_t − b v.": slip(
            "- (1 - alpha_bar).sqrt() * v", "+ (1 - alpha_bar).sqrt() * v"
        ),
        "The sign of v is turned round in the noise: ε = b x_t + a v.": slip(
            "+ alpha_bar.sqrt() * v", "- alpha_bar.sqrt() * v"
        ),
        "All images share the first one's alpha_bar. Each has a time of its own.": slip(
            "unsqueeze(1)", "unsqueeze(1)[:1]"
        ),
        (
            "The noise is not what is left when you subtract the image, since both are weighted: ε = b "
            "x_t + a v."
        ): returning("x_0, x_t - x_0"),
        "This is the image alone. Return the noise as well: (x_0, noise).": returning("x_0"),
        "This is the noise alone. Return the image as well: (x_0, noise).": returning("noise"),
        "You squared the weights. They are square roots: a = √alpha_bar and b = √(1 − alpha_bar).": slip(
            ".sqrt()", ".square()", times=4
        ),
    },
    alternatives=(
        _rotated,
        _by_substitution,
        _by_complex_numbers,
        _by_two_equations,
        _noise_first,
    ),
)

# --- the loss ---------------------------------------------------------------------------------


class _Affine(nn.Module):
    """A stand-in for a denoiser: v = w x_t + t / 10, with one weight a pixel."""

    def __init__(self, w: Tensor):
        super().__init__()
        self.w = nn.Parameter(w.clone())

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.w * x_t + t.unsqueeze(1) / 10


def _loss_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, pixels, schedule):
        return {
            "w": rng.normal(0, 1, pixels),
            "x_0": rng.uniform(-1, 1, (rows, pixels)),
            "t": rng.integers(1, 10, rows),
            "alpha_bar": schedule(10).numpy(),
            "noise": rng.standard_normal((rows, pixels)),
        }

    return {
        "one image": case(1, 4, diffusion.cosine_schedule),
        "six images at their own times": case(6, 5, diffusion.cosine_schedule),
        "another schedule": case(3, 4, diffusion.linear_schedule),
    }


def _loss_probe(answer, w, x_0, t, alpha_bar, noise):
    """The loss, and the gradient that it sends into the network."""
    network = _Affine(w)
    loss = answer(network, x_0, t, alpha_bar, noise)
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return {"loss": loss, "gradient": None}
    return {"loss": loss, "gradient": torch.autograd.grad(loss.sum(), network.w)[0]}


def _loss_in_x_0(network, x_0, t, alpha_bar, noise):
    """The same loss from the difference of the two clean images, which is b times that of v."""
    a = alpha_bar[t]
    x_t = diffusion.q_sample(x_0, a, noise)
    implied, _ = diffusion.from_velocity(x_t, network(x_t, t), a)
    return ((implied - x_0) ** 2 / (1 - a)[:, None]).mean()


def _loss_in_noise(network, x_0, t, alpha_bar, noise):
    """The same loss from the difference of the two noises, which is a times that of v."""
    a = alpha_bar[t]
    x_t = diffusion.q_sample(x_0, a, noise)
    _, implied = diffusion.from_velocity(x_t, network(x_t, t), a)
    return torch.mean((implied - noise).square() / a.unsqueeze(1))


def _loss_by_image(network, x_0, t, alpha_bar, noise):
    """The mean over the pixels of each image, then the mean over the images."""
    x_t = diffusion.q_sample(x_0, alpha_bar[t], noise)
    v, guess = diffusion.velocity(x_0, alpha_bar[t], noise), network(x_t, t)
    return torch.stack(
        [(one - other).pow(2).mean() for one, other in zip(v, guess, strict=True)]
    ).mean()


def _loss_picture(answer):
    x_0 = torch.tensor([-0.5, 0.5]).repeat(64, 128)
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    alpha_bar = diffusion.cosine_schedule(1000)
    times = torch.arange(0, 1001, 50)
    losses = [
        float(answer(lambda x_t, t: 0 * x_t, x_0, t.expand(64), alpha_bar, noise)) for t in times
    ]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(alpha_bar + 0.25 * (1 - alpha_bar), color=GREY, linestyle="--", label="expected")
    ax.plot(times, losses, "o", color=BLUE, linestyle="none", label="loss")
    ax.set(xlabel="time t", ylabel="loss", title="A network that always answers 0", ylim=(0, None))
    ax.legend(fontsize=8)
    return fig, (
        "The loss of a network that always answers 0, against t. Marks fall from 1, where v is the "
        "noise, to 0.25, where v is minus the image, along a dashed line with the expected value."
    )


LOSS = Exercise(
    id="diffusion.diffusion_loss",
    title="The loss in v",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the mean, over images and pixels, of the squared error of the network's v at noisy "
    "images.",
    hints=(
        "Three lines: make x_t, ask the network, compare with the true v.",
        "alpha_bar[t] picks each image's own value. q_sample and velocity take it.",
        "F.mse_loss(network(x_t, t), velocity(x_0, alpha_bar[t], noise)).",
    ),
    reference=diffusion.diffusion_loss,
    inputs=_loss_cases,
    probe=_loss_probe,
    picture=_loss_picture,
    mistakes={
        "The target is the noise here. This network predicts v: compare with velocity(...).": slip(
            "velocity(x_0, alpha_bar[t], noise)", "noise"
        ),
        "The target is the clean image here. This network predicts v: compare with velocity(...).": slip(
            "velocity(x_0, alpha_bar[t], noise)", "x_0"
        ),
        "The network was shown the clean image. Show it x_t.": slip(
            "network(x_t, t)", "network(x_0, t)"
        ),
        (
            "This is the squared length of each image's error, a sum over its pixels. Take the mean "
            "over the pixels, too, so that the loss does not grow with the size of the images."
        ): returning(
            "(network(x_t, t) - velocity(x_0, alpha_bar[t], noise)).square().sum(dim=1).mean()"
        ),
        "You summed the squares. Take their mean.": slip("noise))", "noise), reduction='sum')"),
        "This is the square root of the error. The loss is the mean of the squares itself.": slip(
            "return F.mse_loss(", "return torch.sqrt(F.mse_loss(", "noise))", "noise)))"
        ),
        "The network was told alpha_bar[t]. Tell it the time t.": slip(
            "network(x_t, t)", "network(x_t, alpha_bar[t])"
        ),
        "These are absolute errors. The bound asks for squares.": slip("mse_loss", "l1_loss"),
        "The network was not asked: this compares x_t itself with v.": returning(
            "F.mse_loss(x_t, velocity(x_0, alpha_bar[t], noise))"
        ),
        "You halved the mean of the squares. The loss is the mean itself.": returning(
            "F.mse_loss(network(x_t, t), velocity(x_0, alpha_bar[t], noise)) / 2"
        ),
        "The times are one too small: the value that belongs to t is alpha_bar[t].": slip(
            "alpha_bar[t]", "alpha_bar[t - 1]", times=2
        ),
        "Image and noise are in the wrong order: velocity(x_0, alpha_bar[t], noise).": slip(
            "velocity(x_0, alpha_bar[t], noise)", "velocity(noise, alpha_bar[t], x_0)"
        ),
        "The sign is turned round: the error would be made as large as possible.": slip(
            "return F", "return -F"
        ),
        (
            "The loss is right, but no gradient reaches the network. Leave out detach() and "
            "torch.no_grad()."
        ): slip("network(x_t, t)", "network(x_t, t).detach()"),
    },
    alternatives=(
        returning("(network(x_t, t) - velocity(x_0, alpha_bar[t], noise)).square().mean()"),
        _loss_in_x_0,
        _loss_in_noise,
        _loss_by_image,
        returning("nn.MSELoss()(velocity(x_0, alpha_bar[t], noise), network(x_t, t))"),
    ),
)

# --- one step back ----------------------------------------------------------------------------


def _step_inputs(rng, t, s, rows=3, pixels=5):
    alpha_bar = diffusion.cosine_schedule(1000)
    x_0 = torch.from_numpy(rng.uniform(-1, 1, (rows, pixels))).float()
    noise = torch.from_numpy(rng.standard_normal((rows, pixels))).float()
    x_t = diffusion.q_sample(x_0, alpha_bar[t].expand(rows), noise)
    return x_t.numpy(), x_0.numpy(), noise.numpy(), alpha_bar[t].numpy(), alpha_bar[s].numpy()


def _ddim_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(t, s):
        _, x_0, noise, _, a_s = _step_inputs(rng, t, s)
        return {"x_0": x_0, "noise": noise, "alpha_bar_s": a_s}

    return {
        "from much noise to a little less": case(900, 850),
        "a long step": case(700, 200),
        "the last step, to the clean image": case(50, 0),
    }


def _ddim_picture(answer):
    x_0, noise = torch.tensor([[0.8, -0.6]]), torch.tensor([[-0.9, -1.4]])
    alpha_bar = diffusion.cosine_schedule(1000)[::100].flip(0)
    path = torch.cat([answer(x_0, noise, a) for a in alpha_bar])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(*path.T, "o-", color=BLUE, markersize=4, label="x_s for s = 1000, 900, ..., 0")
    ax.plot(*noise.T, "s", color=ORANGE, markersize=11, fillstyle="none", label="noise")
    ax.plot(*x_0.T, "D", color=GREEN, markersize=11, fillstyle="none", label="image x_0")
    ax.set(xlabel="x1", ylabel="x2", title="From noise to image, nothing random")
    ax.legend(fontsize=8)
    return fig, (
        "Eleven marks on a smooth curve in the plane of two pixels. It begins in the square that "
        "marks the noise and bends towards the image, a diamond, where it ends."
    )


DDIM_STEP = Exercise(
    id="diffusion.ddim_step",
    title="The DDIM step",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return x_s at the earlier time s, with the same image and the same noise in it.",
    hints=(
        "If image and noise are known, the closed form gives x at any time. No randomness is needed.",
        "x_s = √alpha_bar_s · x_0 + √(1 − alpha_bar_s) · noise.",
    ),
    reference=diffusion.ddim_step,
    inputs=_ddim_cases,
    picture=_ddim_picture,
    mistakes={
        "The square roots are missing.": slip(".sqrt()", "", times=2),
        "Image and noise have swapped their weights.": returning(
            "alpha_bar_s.sqrt() * noise + (1 - alpha_bar_s).sqrt() * x_0"
        ),
        "This jumps to the clean image at once. One step goes only as far as time s.": returning(
            "x_0"
        ),
        "Fresh noise makes this another sampler. DDIM keeps the noise that is there.": slip(
            "* noise", "* torch.randn_like(x_0)"
        ),
        "The weight of the noise is √(1 − alpha_bar_s), not 1 − √alpha_bar_s.": slip(
            "(1 - alpha_bar_s).sqrt()", "(1 - alpha_bar_s.sqrt())"
        ),
        "The image keeps its full strength. At time s it counts √alpha_bar_s times.": slip(
            "alpha_bar_s.sqrt() * x_0", "x_0"
        ),
        "You subtracted the noise. Add it.": slip("+ (1 - alpha_bar_s)", "- (1 - alpha_bar_s)"),
        "The noise is missing: this is only the image, made weaker.": returning(
            "alpha_bar_s.sqrt() * x_0"
        ),
        "The noise keeps its full strength: its weight is √(1 − alpha_bar_s).": returning(
            "alpha_bar_s.sqrt() * x_0 + noise"
        ),
        "The square root of the noise's weight is missing: √(1 − alpha_bar_s).": slip(
            "(1 - alpha_bar_s).sqrt()", "(1 - alpha_bar_s)"
        ),
        "The square root of the image's weight is missing: √alpha_bar_s.": slip(
            "alpha_bar_s.sqrt() * x_0", "alpha_bar_s * x_0"
        ),
        (
            "This is the velocity at time s. The step "
            "gives x_s, the weighted sum of image and noise."
        ): returning("alpha_bar_s.sqrt() * noise - (1 - alpha_bar_s).sqrt() * x_0"),
        "You squared the weights. They are square roots.": slip(".sqrt()", ".square()", times=2),
        "The image is missing: this is only the noise.": returning(
            "(1 - alpha_bar_s).sqrt() * noise"
        ),
        "Image and noise have the same weight here. The noise has √(1 − alpha_bar_s).": returning(
            "alpha_bar_s.sqrt() * x_0 + alpha_bar_s.sqrt() * noise"
        ),
    },
    alternatives=(
        returning("q_sample(x_0, alpha_bar_s.expand(len(x_0)), noise)"),
        returning("torch.addcmul(x_0 * alpha_bar_s**0.5, noise, (1 - alpha_bar_s) ** 0.5)"),
        lambda x_0, noise, a: math.sqrt(a) * x_0 + math.sqrt(1 - a) * noise,
        lambda x_0, noise, a: torch.stack([x_0, noise], -1) @ torch.stack([a, 1 - a]).sqrt(),
        lambda x_0, noise, a: torch.cos(a.sqrt().acos()) * x_0 + torch.sin(a.sqrt().acos()) * noise,
    ),
)


def _ddpm_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(t, s):
        x_t, x_0, _, a_t, a_s = _step_inputs(rng, t, s)
        fresh = rng.standard_normal(x_t.shape)
        return {
            "x_t": x_t,
            "x_0": x_0,
            "alpha_bar_t": a_t,
            "alpha_bar_s": a_s,
            "fresh_noise": fresh,
        }

    return {
        "one of a thousand steps": case(500, 499),
        "a longer step": case(800, 600),
        "the last step: no noise is added": case(50, 0),
    }


def _ddpm_by_bayes(x_t, x_0, a_t, a_s, fresh):
    """The product of two Gaussians: precisions add up."""
    alpha = a_t / a_s
    if a_s == 1:
        return x_0.clone()
    precision = 1 / (1 - a_s) + alpha / (1 - alpha)
    mean = (a_s.sqrt() * x_0 / (1 - a_s) + alpha.sqrt() * x_t / (1 - alpha)) / precision
    return mean + fresh / precision.sqrt()


def _ddpm_by_regression(x_t, x_0, a_t, a_s, fresh):
    """x_s and x_t are jointly normal given x_0: the mean of x_s, corrected by what x_t tells."""
    covariance = (a_t / a_s).sqrt() * (1 - a_s)
    mean = a_s.sqrt() * x_0 + covariance / (1 - a_t) * (x_t - a_t.sqrt() * x_0)
    variance = (1 - a_s) - covariance**2 / (1 - a_t)
    return mean + variance.clamp(min=0).sqrt() * fresh


def _ddpm_from_noise(x_t, x_0, a_t, a_s, fresh):
    """DDPM's eq. 11, with the noise that x_t and x_0 imply."""
    noise = (x_t - a_t.sqrt() * x_0) / (1 - a_t).sqrt()
    alpha = a_t / a_s
    mean = (x_t - (1 - alpha) / (1 - a_t).sqrt() * noise) / alpha.sqrt()
    return mean + ((1 - alpha) * (1 - a_s) / (1 - a_t)) ** 0.5 * fresh


def _ddpm_in_floats(x_t, x_0, a_t, a_s, fresh):
    a_t, a_s = a_t.item(), a_s.item()
    beta = 1 - a_t / a_s
    to_image, to_here = math.sqrt(a_s) * beta, math.sqrt(a_t / a_s) * (1 - a_s)
    sd = math.sqrt(beta * (1 - a_s) / (1 - a_t))
    return (to_image * x_0 + to_here * x_t) / (1 - a_t) + sd * fresh


def _ddpm_picture(answer):
    x_t, x_0 = torch.tensor(1.5), torch.tensor(-0.5)
    a_t, a_s = torch.tensor(0.3), torch.tensor(0.6)
    fresh = torch.randn(5000, 1, generator=torch.Generator().manual_seed(0))
    draws = answer(x_t.expand(5000, 1), x_0.expand(5000, 1), a_t, a_s, fresh)
    low, mean, high = _ddpm_by_bayes(x_t, x_0, a_t, a_s, torch.tensor([-1.0, 0.0, 1.0]))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.hist(draws.flatten(), 40, color=BLUE, alpha=0.6, label="5,000 draws of x_s")
    ax.vlines(mean, 0, 450, ORANGE, "-", label="mean")
    ax.vlines([low, high], 0, 450, ORANGE, "--", label="mean ± 1 standard deviation")
    ax.set(xlabel="x_s", ylabel="draws", title="q(x_s | x_t, x_0) for x_t = 1.5, x_0 = -0.5")
    ax.set(ylim=(0, 650))
    ax.legend(fontsize=8)
    return fig, (
        "A bell-shaped histogram of 5,000 draws of x_s. Lines mark the exact mean in its middle, "
        "0.33, between x_0 and x_t, and, dashed, one standard deviation of 0.53 on either side."
    )


DDPM_STEP = Exercise(
    id="diffusion.ddpm_step",
    title="One reverse step of DDPM",
    points=3,
    minutes=15,
    difficulty=3,
    task="Return a draw from q(x_s | x_t, x_0), made with the fresh noise that is given.",
    hints=(
        "It is Gaussian: a mean between x_0 and x_t, and a variance. Write alpha = alpha_bar_t / "
        "alpha_bar_s, what is left of the signal between s and t.",
        "Mean: (√alpha_bar_s (1 − alpha) x_0 + √alpha (1 − alpha_bar_s) x_t) / (1 − alpha_bar_t).",
        "Variance: (1 − alpha)(1 − alpha_bar_s) / (1 − alpha_bar_t). The noise is multiplied by its "
        "square root.",
    ),
    reference=diffusion.ddpm_step,
    inputs=_ddpm_cases,
    rtol=1e-3,
    atol=2e-4,
    picture=_ddpm_picture,
    mistakes={
        "You multiplied the fresh noise by the variance. It takes the standard deviation.": slip(
            "variance.sqrt()", "variance"
        ),
        "The fresh noise is missing: this is the mean only.": slip(
            " + variance.sqrt() * fresh_noise", ""
        ),
        (
            "The variance is 1 − alpha here, that of the step forward. Knowing x_0 makes it smaller: "
            "times (1 − alpha_bar_s) / (1 − alpha_bar_t)."
        ): slip("variance.sqrt()", "(1 - alpha).sqrt()"),
        "The weights of x_0 and x_t are swapped in the mean.": slip(
            "(1 - alpha) * x_0",
            "(1 - alpha) * x_t",
            "(1 - alpha_bar_s) * x_t",
            "(1 - alpha_bar_s) * x_0",
        ),
        "The mean still has to be divided by 1 − alpha_bar_t.": slip(
            "mean / (1 - alpha_bar_t)", "mean"
        ),
        "The square roots are missing in the mean: √alpha_bar_s for the image, √alpha for x_t.": slip(
            "alpha_bar_s.sqrt() * (1 - alpha)",
            "alpha_bar_s * (1 - alpha)",
            "alpha.sqrt()",
            "alpha",
        ),
        (
            "This is DDIM's kind of step: the image and fresh noise, mixed as at time s. The mean "
            "should also remember x_t."
        ): returning("alpha_bar_s.sqrt() * x_0 + (1 - alpha_bar_s).sqrt() * fresh_noise"),
        "alpha is turned round: it is alpha_bar_t / alpha_bar_s, which is below 1.": slip(
            "alpha = alpha_bar_t / alpha_bar_s\n", "alpha = alpha_bar_s / alpha_bar_t\n"
        ),
        "The fraction in the variance is turned round: (1 − alpha_bar_s) / (1 − alpha_bar_t).": slip(
            "(1 - alpha) * (1 - alpha_bar_s) / (1 - alpha_bar_t)",
            "(1 - alpha) * (1 - alpha_bar_t) / (1 - alpha_bar_s)",
        ),
        "You took alpha for beta and beta for alpha: alpha is alpha_bar_t / alpha_bar_s.": slip(
            "alpha = alpha_bar_t / alpha_bar_s\n", "alpha = 1 - alpha_bar_t / alpha_bar_s\n"
        ),
        "The mean forgets x_t: √alpha (1 − alpha_bar_s) x_t is missing.": slip(
            " + alpha.sqrt() * (1 - alpha_bar_s) * x_t", ""
        ),
        "You subtracted the fresh noise. The check compares with the mean plus the noise.": slip(
            "+ variance.sqrt()", "- variance.sqrt()"
        ),
        "You drew noise of your own. Use fresh_noise, which is given.": slip(
            "* fresh_noise", "* torch.randn_like(x_t)"
        ),
        "You divided the mean by 1 − alpha_bar_s. Divide by 1 − alpha_bar_t.": slip(
            "mean / (1 - alpha_bar_t)", "mean / (1 - alpha_bar_s)"
        ),
    },
    alternatives=(
        _ddpm_by_bayes,
        returning("reverse_step(x_t, x_0, alpha_bar_t, alpha_bar_s, 1.0, fresh_noise)"),
        _ddpm_by_regression,
        _ddpm_from_noise,
        _ddpm_in_floats,
    ),
)

# --- guidance ---------------------------------------------------------------------------------


def _guide_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(scale):
        conditional, unconditional = rng.normal(0, 1, (2, 3, 4))
        return {"conditional": conditional, "unconditional": unconditional, "scale": scale}

    return {"scale 0: no guidance": case(0.0), "scale 1": case(1.0), "scale 2.5": case(2.5)}


def _guide_picture(answer):
    conditional, unconditional = torch.tensor([1.0, 0.8]), torch.tensor([0.2, 0.5])
    guided = torch.stack([answer(conditional, unconditional, scale) for scale in (0.0, 1.0, 2.0)])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.axline(unconditional, conditional, color=GREY, linestyle=":", linewidth=1)
    ax.plot(*unconditional, "s", color=ORANGE, linestyle="none", label="unconditional")
    ax.plot(*conditional, "D", color=GREEN, markersize=12, fillstyle="none", label="conditional")
    ax.plot(*guided.T, "o", color=BLUE, linestyle="none", label="guided")
    for scale, point in enumerate(guided):
        ax.annotate(f"scale {scale}", point, (-10, 0), textcoords="offset points", ha="right")
    ax.set(xlabel="v1", ylabel="v2", title="Away from the unconditional prediction")
    ax.legend(fontsize=8, loc="lower right")
    return fig, (
        "Points on one line, evenly spaced: the unconditional prediction, the conditional one with "
        "scale 0 inside its diamond, and beyond it, further away, scale 1 and scale 2."
    )


GUIDE = Exercise(
    id="diffusion.classifier_free_guidance",
    title="Classifier-free guidance",
    points=1,
    minutes=5,
    difficulty=1,
    task="Push the conditional prediction further away from the unconditional one, by `scale` times "
    "their difference.",
    hints=(
        "At scale 0 nothing changes: the result is the conditional prediction.",
        "conditional + scale · (conditional − unconditional).",
    ),
    reference=diffusion.guide,
    inputs=_guide_cases,
    picture=_guide_picture,
    mistakes={
        (
            "At scale 0 this gives the unconditional prediction, and at 1 no guidance yet. Here 0 means "
            "no guidance: start from the conditional one."
        ): returning("unconditional + scale * (conditional - unconditional)"),
        "The two predictions are swapped: this pushes away from the class.": returning(
            "(1 + scale) * unconditional - scale * conditional"
        ),
        "The difference has the wrong sign: this pulls towards the unconditional prediction.": returning(
            "conditional + scale * (unconditional - conditional)"
        ),
        "The weights must add up to 1: (1 + scale) and minus scale.": slip(
            "- scale * un", "+ scale * un"
        ),
        "The scale has no effect.": returning("2 * conditional - unconditional"),
        "This is the push alone. Add it to the conditional prediction.": returning(
            "scale * (conditional - unconditional)"
        ),
        "The unconditional prediction is missing: you only made the conditional one larger.": returning(
            "(1 + scale) * conditional"
        ),
        (
            "The scale multiplies the conditional prediction only. It multiplies the difference of the "
            "two."
        ): returning("conditional + scale * conditional - unconditional"),
        (
            "You subtracted the unconditional prediction, but added nothing in its place: conditional + "
            "scale * (conditional - unconditional)."
        ): returning("conditional - scale * unconditional"),
        "This is the mean of the two predictions. Guidance goes beyond the conditional one.": returning(
            "(conditional + unconditional) / 2"
        ),
        (
            "This starts from 0. Start from the conditional prediction, then add scale times the "
            "difference."
        ): returning("(1 + scale) * (conditional - unconditional)"),
        "You divided the difference by the scale. A larger scale pushes further: multiply.": returning(
            "conditional + (conditional - unconditional) / (scale + 1)"
        ),
        "The weight of the conditional prediction is 1 + scale, with a plus sign.": slip(
            "(1 + scale)", "(1 - scale)"
        ),
    },
    alternatives=(
        returning("conditional + scale * (conditional - unconditional)"),
        returning("torch.lerp(unconditional, conditional, 1.0 + scale)"),
        returning("unconditional + (1 + scale) * (conditional - unconditional)"),
        returning("torch.add(conditional, conditional - unconditional, alpha=scale)"),
        lambda yes, no, w: torch.stack([yes, no], -1) @ torch.tensor([1 + w, -w]),
    ),
)
