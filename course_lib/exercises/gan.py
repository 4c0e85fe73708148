"""The exercises of lesson 02: the parts of a generative adversarial network."""

import math
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.models import gan
from course_lib.plots import BLUE, GREEN, GREY, ORANGE

# --- Jensen-Shannon divergence ----------------------------------------------------------------

_GRID = np.linspace(-8, 8, 801)


def _normal(mean: float, scale: float, x: np.ndarray = _GRID) -> np.ndarray:
    return np.exp(-0.5 * ((x - mean) / scale) ** 2) / (scale * math.sqrt(2 * math.pi))


def _box(low: float, high: float) -> np.ndarray:
    inside = (low <= _GRID) & (high > _GRID)
    return inside / (inside.sum() * 0.02)


def _js_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(p, q, dx=0.02):
        return {"p": p, "q": q, "dx": dx}

    a, b = rng.uniform(0.5, 2.0, 2)
    return {
        "one density twice: 0": case(_normal(a, 1), _normal(a, 1)),
        "two normal densities on a coarser grid": case(
            _normal(-a, 1, _GRID[::3]), _normal(b, 0.7, _GRID[::3]), 0.06
        ),
        "no overlap at all: log 2": case(_box(-3 - a, -1), _box(1, 3 + b)),
    }


def _js_as_value(p, q, dx):
    """By the game: the value at the optimal discriminator is 2 JS - log 4."""
    d = p / (p + q).clamp(min=1e-30)
    value = torch.xlogy(p, d) + torch.xlogy(q, q / (p + q).clamp(min=1e-30))
    return (value.sum() * dx + math.log(4)) / 2


def _js_loop(p, q, dx):
    total = torch.tensor(0.0)
    for a, b in zip(p, q, strict=True):
        m = (a + b) / 2
        if a > 0:
            total = total + 0.5 * a * torch.log(a / m) * dx
        if b > 0:
            total = total + 0.5 * b * torch.log(b / m) * dx
    return total


def _js_picture(answer):
    x = torch.linspace(-6, 14, 401)
    distances = torch.linspace(0, 8, 41)
    normals = torch.exp(-0.5 * (x - distances[:, None]) ** 2) / math.sqrt(2 * math.pi)
    values = [float(answer(normals[0], q, 0.05)) for q in normals]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.axhline(math.log(2), color=GREY, linestyle="--", label="log 2")
    ax.plot(distances, values, color=BLUE, label="JS of N(0, 1) and N(d, 1)")
    ax.set(xlabel="distance d of the means", ylabel="JS in nats", title="Never more than log 2")
    ax.legend(fontsize=8)
    return fig, (
        "The Jensen-Shannon divergence of two normal densities against the distance of their "
        "means: from 0 it rises in an S and flattens, from about 6 on, along a dashed line at log 2."
    )


JENSEN_SHANNON = Exercise(
    id="gan.jensen_shannon",
    title="The Jensen-Shannon divergence",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the Jensen-Shannon divergence in nats of two densities given on a grid, also where "
    "one or both of them are 0.",
    hints=(
        "Both densities are compared with their mean, m = (p + q) / 2. An integral over the grid is "
        "a sum times dx.",
        "JS = ½ ∫ p log(p / m) + ½ ∫ q log(q / m). Where p = 0 its term is 0, but log(0) is not.",
        "torch.xlogy(a, b) is a log(b), and 0 where a is 0. Where p and q are both 0, m is 0 as "
        "well: torch.nan_to_num turns that 0 / 0 into 0.",
    ),
    reference=gan.jensen_shannon,
    inputs=_js_cases,
    atol=1e-4,
    picture=_js_picture,
    mistakes={
        "The factor ½ is missing: each of the two divergences counts half.": slip("0.5 * ", ""),
        "The spacing dx is missing: without it this is a sum, not an integral.": slip(" * dx", ""),
        "This is KL(p || m) alone. Jensen-Shannon is the mean of it and KL(q || m).": slip(
            " + torch.xlogy(q, q / m)", "", "0.5 * ", ""
        ),
        "You compared with the sum p + q. The mean is half of it.": slip(
            "(p + q) / 2\n", "p + q\n"
        ),
        "Bits, not nats: use the natural logarithm.": returning(
            "0.5 * torch.nan_to_num(terms).sum() * dx / math.log(2)"
        ),
        "This is the mean of KL(p || q) and KL(q || p). Compare each with m = (p + q) / 2.": slip(
            "p / m", "p / q.clamp(min=1e-30)", "q / m", "q / p.clamp(min=1e-30)"
        ),
        (
            "This is the Jensen-Shannon distance, a square "
            "root. The divergence itself is asked for."
        ): returning("(0.5 * torch.nan_to_num(terms).sum() * dx).clamp(min=0).sqrt()"),
        "The sign is turned round: a divergence is never negative.": returning(
            "-0.5 * torch.nan_to_num(terms).sum() * dx"
        ),
        "This is KL(p || q). Compare each of the two with their mean m.": returning(
            "torch.xlogy(p, p / q.clamp(min=1e-30)).sum() * dx"
        ),
        "You divided by the spacing dx. An integral is the sum times dx.": slip("* dx", "/ dx"),
        (
            "m stands in front here: KL(m || p) and KL(m || "
            "q). It must be KL(p || m) and KL(q || m)."
        ): returning(
            "0.5 * (torch.xlogy(m, m / p.clamp(min=1e-30)) + torch.xlogy(m, m / "
            "q.clamp(min=1e-30))).sum() * dx"
        ),
        "You averaged the terms. An integral is their sum times dx.": slip(".sum()", ".mean()"),
        (
            "This is the total variation distance, half the "
            "area between p and q. It has no logarithm."
        ): returning("0.5 * (p - q).abs().sum() * dx"),
        "You subtracted the second divergence. Add the two.": slip(
            "p / m) + torch", "p / m) - torch"
        ),
    },
    alternatives=(
        _js_as_value,
        _js_loop,
        returning(
            "(torch.xlogy(p, p).sum() + torch.xlogy(q, q).sum() - 2 * torch.xlogy(m, m).sum()) * dx / 2"
        ),
    ),
)

# --- the two losses ---------------------------------------------------------------------------


def _logits_cases(seed: int, names: tuple[str, ...]) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(centre, spread, rows):
        values = {n: rng.normal(centre, spread, rows) for n in names}
        return values

    return {
        "an undecided discriminator": case(0, 0.1, 4),
        "logits of either sign": case(0, 2, 7),
        "logits so large that exp() overflows": case(0, 300, 5),
    }


def _game_picture(answer):
    logits = torch.linspace(-6, 6, 200)
    real = torch.stack([answer(v[None], torch.full((1,), -9.0)) for v in logits])
    fake = torch.stack([answer(torch.full((1,), 9.0), v[None]) for v in logits])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(logits, real, color=BLUE, label="for a real image")
    ax.plot(logits, fake, color=ORANGE, linestyle="--", label="for a fake image")
    ax.set(xlabel="logit", ylabel="loss in nats", title="What the discriminator pays")
    ax.legend(fontsize=8)
    return fig, (
        "The discriminator's loss against its logit: for a real image it falls towards 0 as the "
        "logit grows; for a fake image it rises from 0. The curves cross at logit 0."
    )


DISCRIMINATOR_LOSS = Exercise(
    id="gan.discriminator_loss",
    title="The discriminator's loss",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return what the discriminator minimises: the mean loss on real images plus the mean loss "
    "on fakes, from logits.",
    hints=(
        "It wants D to be 1 on real images and 0 on fakes: -log D(real) - log(1 - D(fake)), each "
        "averaged over its images.",
        "With D = sigmoid(l): -log D = softplus(-l) and -log(1 - D) = softplus(l). F.softplus does "
        "not overflow.",
    ),
    reference=gan.discriminator_loss,
    inputs=lambda seed: _logits_cases(seed, ("real_logits", "fake_logits")),
    picture=_game_picture,
    mistakes={
        "Real and fake are swapped: this loss rewards calling real images fake.": slip(
            "-real_logits", "real_logits", "(fake_logits", "(-fake_logits"
        ),
        "The fakes are missing: a discriminator that calls everything real would pay nothing.": slip(
            " + F.softplus(fake_logits).mean()", ""
        ),
        "Both terms call the images real. For fakes the sign of the logit turns: softplus(l).": slip(
            "softplus(fake_logits)", "softplus(-fake_logits)"
        ),
        "You summed over the batch. Take the mean over the real images and over the fakes.": slip(
            ".mean()", ".sum()", times=2
        ),
        "You averaged the two terms. Goodfellow's game adds them.": returning(
            "(F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()) / 2"
        ),
        (
            "You took logits for probabilities. The sigmoid comes first, best inside softplus."
        ): lambda real_logits, fake_logits: (
            -torch.log(real_logits.clamp(1e-6, 1)).mean()
            - torch.log((1 - fake_logits).clamp(1e-6, 1)).mean()
        ),
        "The sign is turned round: this loss falls when the discriminator is wrong.": returning(
            "-F.softplus(-real_logits).mean() - F.softplus(fake_logits).mean()"
        ),
        "You subtracted the loss on fakes. The discriminator pays for both: add them.": returning(
            "F.softplus(-real_logits).mean() - F.softplus(fake_logits).mean()"
        ),
        (
            "The real images are missing: a discriminator "
            "that calls everything fake would pay nothing."
        ): returning("F.softplus(fake_logits).mean()"),
        (
            "This is the hinge loss. Here it is -log D for real images and -log(1 - D) for fakes: "
            "softplus."
        ): returning("F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()"),
        (
            "This is the difference of the mean logits, the loss of a Wasserstein GAN. Here each logit "
            "goes through softplus."
        ): returning("fake_logits.mean() - real_logits.mean()"),
        (
            "These are squared errors, the loss of a least-squares GAN. Here each logit goes through "
            "softplus."
        ): returning("(real_logits - 1).square().mean() + fake_logits.square().mean()"),
        (
            "You took the mean of the logits first, then softplus. Take the loss of each image, then "
            "the mean."
        ): returning("F.softplus(-real_logits.mean()) + F.softplus(fake_logits.mean())"),
        "Both terms call the images fake. For real ones the sign of the logit turns: softplus(-l).": slip(
            "-real_logits", "real_logits"
        ),
        "This is relu, which costs nothing as soon as the sign is right. Use softplus.": returning(
            "F.relu(-real_logits).mean() + F.relu(fake_logits).mean()"
        ),
    },
    alternatives=(
        lambda real_logits, fake_logits: (
            F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
            + F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
        ),
        returning("-(F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean())"),
        returning(
            "torch.logaddexp(0 * real_logits, -real_logits).mean()"
            " + torch.logaddexp(0 * fake_logits, fake_logits).mean()"
        ),
    ),
)


def _generator_picture(answer):
    logits = torch.linspace(-6, 6, 200)
    losses = torch.stack([answer(logit[None]) for logit in logits])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(logits, losses, color=BLUE, label="-log D, non-saturating")
    ax.plot(
        logits, -F.softplus(logits), color=ORANGE, linestyle="--", label="log(1 - D), saturating"
    )
    ax.set(xlabel="logit of a fake image", ylabel="loss in nats", title="What the generator pays")
    ax.legend(fontsize=8)
    return fig, (
        "The generator's loss against the logit of its image: it falls steeply where the logit is "
        "negative and nears 0 where it is positive. The dashed log(1 - D) is flat on the left."
    )


GENERATOR_LOSS = Exercise(
    id="gan.generator_loss",
    title="The generator's loss, non-saturating",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return the non-saturating loss of the generator from the logits of its images.",
    hints=(
        "The generator wants its images to be taken for real: D(G(z)) near 1.",
        "-log D(G(z)), averaged; with logits that is one softplus.",
    ),
    reference=gan.generator_loss,
    inputs=lambda seed: _logits_cases(seed, ("fake_logits",)),
    picture=_generator_picture,
    mistakes={
        (
            "This is the saturating loss, log(1 - D): nearly flat where the generator is worst. "
            "Minimise -log D instead."
        ): returning("-F.softplus(fake_logits).mean()"),
        "This is the discriminator's loss on fakes: it would make them easier to detect.": slip(
            "-fake_logits", "fake_logits"
        ),
        "The sign is turned round: this loss grows when the discriminator is fooled.": slip(
            "return F", "return -F"
        ),
        "You summed over the batch. Take the mean.": slip(".mean()", ".sum()"),
        "This is the mean logit, the loss of a Wasserstein GAN. Here: -log sigmoid(logit).": returning(
            "-fake_logits.mean()"
        ),
        "This is the hinge loss of one side. Here it is -log D: softplus of minus the logit.": returning(
            "F.relu(1 - fake_logits).mean()"
        ),
        (
            "This is a squared error, the loss of a least-squares GAN. Here it is -log D: softplus of "
            "minus the logit."
        ): returning("(fake_logits - 1).square().mean()"),
        "This is one loss for each image. Take their mean.": returning("F.softplus(-fake_logits)"),
        "You took the mean of the logits first. Take the loss of each image, then the mean.": returning(
            "F.softplus(-fake_logits.mean())"
        ),
        "The logarithm is missing: this is -D. The loss is -log D.": returning(
            "-torch.sigmoid(fake_logits).mean()"
        ),
        "You took the sigmoid before softplus. Softplus already holds it: hand over the logits.": returning(
            "F.softplus(-torch.sigmoid(fake_logits)).mean()"
        ),
        "This is relu, which has no slope as soon as the sign is right. Use softplus.": returning(
            "F.relu(-fake_logits).mean()"
        ),
    },
    alternatives=(
        returning("-F.logsigmoid(fake_logits).mean()"),
        returning("F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))"),
        returning("torch.logaddexp(torch.zeros(()), -fake_logits).mean()"),
    ),
)

# --- one alternating step ---------------------------------------------------------------------


class _Counted(nn.Module):
    """A linear generator that counts how often a gradient comes back through it."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.gradients = 0

    def forward(self, z: Tensor) -> Tensor:
        images = z @ self.weight
        if images.requires_grad:
            images.register_hook(self._count)
        return images

    def _count(self, _gradient: Tensor) -> None:
        self.gradients += 1


class _Linear(nn.Module):
    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def _step_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(steps, optimizer):
        return {
            "g": rng.normal(0, 1, (2, 3)),
            "d": rng.normal(0, 1, 3),
            "real": rng.normal(1, 1, (6, 3)),
            "z": rng.normal(0, 1, (6, 2)),
            "steps": steps,
            "optimizer": optimizer,
        }

    return {
        "one step of gradient descent": case(1, "SGD"),
        "three steps, one after the other": case(3, "SGD"),
        "three steps of Adam": case(3, "Adam"),
    }


def _step_probe(answer, g, d, real, z, steps, optimizer):
    """Both losses, both networks' weights, and how often a gradient reached the generator."""
    generator, discriminator = _Counted(g), _Linear(d)
    kind = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[optimizer]
    g_optimizer = kind(generator.parameters(), lr=0.1)
    d_optimizer = kind(discriminator.parameters(), lr=0.1)

    def again(*_args, **_kwargs):
        return z.clone()

    # The generator may answer with `z` or, as in Goodfellow's Algorithm 1, with noise of its own. Both are
    # right, so here both are the same numbers.
    with patch.object(torch, "randn", again), patch.object(torch, "randn_like", again):
        for _ in range(steps):
            losses = answer(generator, discriminator, g_optimizer, d_optimizer, real, z)
    return {
        "losses": losses,
        "weights of the generator": generator.weight.data.clone(),
        "weights of the discriminator": discriminator.weight.data.clone(),
        "backward passes through the generator, a step": generator.gradients // steps,
    }


_GENERATORS_TURN = """\
    g_loss = generator_loss(discriminator(generator(z)))
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
"""


def _step_in_one_go(generator, discriminator, g_optimizer, d_optimizer, real, z):
    """Both losses from one pass, before either network has moved."""
    fake = generator(z)
    d_loss = gan.discriminator_loss(discriminator(real), discriminator(fake.detach()))
    g_loss = gan.generator_loss(discriminator(fake))
    d_optimizer.zero_grad()
    g_optimizer.zero_grad()
    g_gradients = torch.autograd.grad(g_loss, list(generator.parameters()))
    d_loss.backward()
    d_optimizer.step()
    for parameter, gradient in zip(generator.parameters(), g_gradients, strict=True):
        parameter.grad = gradient
    g_optimizer.step()
    return d_loss.item(), g_loss.item()


def _step_by_autograd(generator, discriminator, g_optimizer, d_optimizer, real, z):
    def descend(loss, network, optimizer):
        parameters = list(network.parameters())
        for parameter, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = g
        optimizer.step()
        return loss.item()

    fake = generator(z).detach()
    d_loss = gan.discriminator_loss(discriminator(real), discriminator(fake))
    d_value = descend(d_loss, discriminator, d_optimizer)
    return d_value, descend(gan.generator_loss(discriminator(generator(z))), generator, g_optimizer)


def _step_picture(answer):
    """The generator learns the mean of the data; weight decay calms the discriminator."""
    spread = torch.linspace(-1, 1, 9)
    real, z = (spread + 2)[:, None], torch.stack([spread, torch.ones(9)], dim=1)
    generator, discriminator = _Linear(torch.tensor([[1.0], [0.0]])), _Linear(torch.zeros(1))
    g_optimizer = torch.optim.SGD(generator.parameters(), lr=0.3)
    d_optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.3, weight_decay=0.5)
    means, losses = [], []
    for _ in range(100):
        means.append(generator(z).mean().item())
        losses.append(answer(generator, discriminator, g_optimizer, d_optimizer, real, z))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.axhline(2, color=GREY, linestyle=":", label="mean of the data")
    ax.plot(means, color=GREEN, label="mean of the fakes")
    ax.plot([d for d, _ in losses], color=BLUE, linestyle="--", label="d_loss")
    ax.plot([g for _, g in losses], color=ORANGE, linestyle="-.", label="g_loss")
    ax.set(xlabel="round", ylabel="mean; loss in nats", title="A hundred rounds of a toy game")
    ax.legend(fontsize=8)
    return fig, (
        "A toy game over a hundred rounds: the mean of the fakes rises from 0 nearly to 2, the mean "
        "of the data. d_loss dips and comes back to log 4 = 1.39, g_loss to log 2 = 0.69."
    )


ALTERNATING_STEP = Exercise(
    id="gan.alternating_step",
    title="One round of the game",
    points=3,
    minutes=15,
    difficulty=3,
    task="Let the discriminator take one step, then the generator, and return both losses as floats: "
    "(d_loss, g_loss).",
    hints=(
        "Two losses, two optimisers, two steps. The discriminator goes first; the generator then "
        "plays against the discriminator as it has become.",
        "In the discriminator's step the fakes are only data: generator(z).detach(). In the "
        "generator's step the gradient must pass through the discriminator, so there is no detach. "
        "Draw new noise for that step, or use z again: both are right.",
        "Each half: compute the loss, zero_grad() of its own optimiser, backward(), step(). "
        "zero_grad() right before backward() also clears what the other half left behind.",
    ),
    reference=gan.alternating_step,
    inputs=_step_cases,
    probe=_step_probe,
    picture=_step_picture,
    mistakes={
        (
            "The discriminator's loss flows back into the generator: detach the fakes in the first "
            "half. It costs time, and moves the generator wherever its gradients are not cleared."
        ): slip(".detach()", ""),
        "The generator never moves: in the second half its images must not be detached.": slip(
            "generator(z)))", "generator(z).detach()))"
        ),
        "Gradients of earlier steps add up: clear them before each backward().": slip(
            "d_optimizer.zero_grad()", "pass", "g_optimizer.zero_grad()", "pass"
        ),
        "Real and fake are swapped in the discriminator's loss.": slip(
            "discriminator(real), discriminator(fake)",
            "discriminator(fake), discriminator(real)",
        ),
        "The generator moved first. Here the discriminator does, and the generator answers.": slip(
            _GENERATORS_TURN, "", "    fake =", _GENERATORS_TURN + "    fake ="
        ),
        (
            "The generator's loss was computed before the discriminator had moved. Ask the new "
            "discriminator."
        ): _step_in_one_go,
        "The two losses are in the wrong order: return (d_loss, g_loss).": returning(
            "g_loss.item(), d_loss.item()"
        ),
        (
            "The generator's loss is minus the discriminator's here, which saturates. Use "
            "generator_loss."
        ): slip(
            "generator_loss(discriminator(generator(z)))",
            "-discriminator_loss(discriminator(real), discriminator(generator(z)))",
        ),
        "The discriminator never moves: call d_optimizer.step() after d_loss.backward().": slip(
            "    d_optimizer.step()\n", ""
        ),
        "The discriminator takes two steps with one gradient. Call d_optimizer.step() once.": slip(
            "    d_optimizer.step()\n", "    d_optimizer.step()\n    d_optimizer.step()\n"
        ),
        "The generator takes two steps with one gradient. Call g_optimizer.step() once.": slip(
            "    g_optimizer.step()\n", "    g_optimizer.step()\n    g_optimizer.step()\n"
        ),
        (
            "The generator's gradients of earlier steps add up: call g_optimizer.zero_grad() before its "
            "backward()."
        ): slip("    g_optimizer.zero_grad()\n", ""),
        (
            "The discriminator's gradients add up, also those that the generator's half left: call "
            "d_optimizer.zero_grad() before its backward()."
        ): slip("    d_optimizer.zero_grad()\n", ""),
        (
            "The generator is trained to be detected: its loss must fall when its images are called "
            "real. Use generator_loss."
        ): slip("g_loss = generator_loss(", "g_loss = -generator_loss("),
    },
    alternatives=(
        slip("fake = generator(z).detach()", "with torch.no_grad():\n        fake = generator(z)"),
        slip("discriminator(generator(z)))", "discriminator(generator(torch.randn_like(z))))"),
        slip(
            "discriminator(generator(z)))",
            "discriminator(generator(torch.randn(len(real), z.shape[1]))))",
        ),
        _step_by_autograd,
        slip(
            "g_loss = generator_loss(discriminator(generator(z)))",
            "g_loss = generator_loss(discriminator(generator(z.clone())))",
            "d_optimizer.zero_grad()",
            "d_optimizer.zero_grad(set_to_none=False)",
        ),
    ),
)

# --- gradient penalty -------------------------------------------------------------------------


class _Bumpy(nn.Module):
    """A discriminator with a gradient that can be worked out: D(x) = sum_j sin(w_j x_j) + v x_j."""

    def __init__(self, w: Tensor):
        super().__init__()
        self.w = nn.Parameter(w.clone())

    def forward(self, x: Tensor) -> Tensor:
        return (torch.sin(self.w * x) + 0.5 * x).sum(dim=1)


def _penalty_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, pixels):
        return {"w": rng.normal(0, 1, pixels), "x": rng.normal(0, 1, (rows, pixels))}

    return {"one image": case(1, 3), "a batch of five": case(5, 4), "64 pixels": case(8, 64)}


def _penalty_probe(answer, w, x):
    """The penalty, and its own gradient, by which the discriminator will be flattened."""
    discriminator = _Bumpy(w)
    penalty = answer(discriminator, x)
    if not isinstance(penalty, Tensor) or not penalty.requires_grad:
        return {"penalty": penalty, "gradient of the penalty": None}
    gradient = torch.autograd.grad(penalty.sum(), discriminator.w, allow_unused=True)[0]
    return {"penalty": penalty, "gradient of the penalty": gradient}


def _penalty_by_functional(discriminator, x):
    def one(row):
        return discriminator(row[None])[0]

    gradients = torch.func.vmap(torch.func.grad(one))(x)
    return (gradients**2).sum() / len(x)


def _penalty_by_rows(discriminator, x):
    total = 0.0
    for row in x:
        row = row[None].clone().requires_grad_(True)
        gradient = torch.autograd.grad(discriminator(row)[0], row, create_graph=True)[0]
        total = total + gradient.pow(2).sum()
    return total / x.shape[0]


def _penalty_picture(answer):
    x = torch.tensor([[0.0, 1.0], [2.0, -1.0], [-1.0, 0.5]])
    direction = torch.tensor([0.6, 0.8])
    steepness = torch.linspace(0, 3, 13)
    penalties = [float(answer(_Linear(s * direction), x).detach()) for s in steepness]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(steepness, steepness**2, color=GREY, linestyle="--", label="steepness squared")
    ax.plot(steepness, penalties, "o", color=BLUE, linestyle="none", label="penalty")
    ax.set(xlabel="steepness of a linear D", ylabel="R1", title="Steepness is charged squared")
    ax.legend(fontsize=8)
    return fig, (
        "The penalty of linear discriminators against their steepness: marks from 0 to 9 that lie "
        "on a dashed parabola, the square of the steepness."
    )


GRADIENT_PENALTY = Exercise(
    id="gan.gradient_penalty",
    title="The gradient penalty R1",
    points=2,
    minutes=15,
    difficulty=3,
    task="Return the mean squared length of the discriminator's gradient with respect to its images.",
    hints=(
        "The gradient is taken with respect to the images, not the weights: the images need "
        "requires_grad_().",
        "torch.autograd.grad(discriminator(x).sum(), x) gives one gradient an image, since each "
        "logit depends on its own image only.",
        "The penalty is trained on itself, so its gradient needs a graph: create_graph=True. Then "
        "square, sum over the pixels, average over the batch.",
    ),
    reference=gan.gradient_penalty,
    inputs=_penalty_cases,
    probe=_penalty_probe,
    picture=_penalty_picture,
    mistakes={
        (
            "The penalty has no gradient of its own, so it could not train anything: pass "
            "create_graph=True to torch.autograd.grad."
        ): slip("create_graph=True", "create_graph=False"),
        "You averaged over the pixels. The squared length is their sum.": slip(
            ".sum(dim=-1).mean()", ".mean()"
        ),
        "This is the length, not its square.": returning("gradient.norm(dim=1).mean()"),
        "You summed over the batch. Take the mean over the images.": slip(
            ".sum(dim=-1).mean()", ".sum()"
        ),
        "This holds the length at 1, as WGAN-GP does. R1 pulls it towards 0.": returning(
            "(gradient.norm(dim=1) - 1).square().mean()"
        ),
        (
            "You halved the penalty. The factor 1/2 belongs "
            "to the weight that the penalty gets later."
        ): returning("gradient.square().sum(dim=-1).mean() / 2"),
        "You added up absolute values. The squared length is a sum of squares.": returning(
            "gradient.abs().sum(dim=-1).mean()"
        ),
        (
            "You took the gradient of the mean output, which divides it by the number of images. Take "
            "that of the sum: each image then has its own gradient."
        ): slip("discriminator(x).sum()", "discriminator(x).mean()"),
        (
            "You averaged the gradients over the images first. Take the squared length of each, then "
            "the mean."
        ): returning("gradient.mean(dim=0).square().sum()"),
        "You summed over the images and averaged over the pixels. It is the other way round.": returning(
            "gradient.square().sum(dim=0).mean()"
        ),
        (
            "This is the mean square of the discriminator's outputs. The penalty is about their "
            "gradient."
        ): returning("discriminator(x).square().mean()"),
        "The sign is turned round: a penalty is never negative.": returning(
            "-gradient.square().sum(dim=-1).mean()"
        ),
        "This is one squared length for each image. Take their mean.": returning(
            "gradient.square().sum(dim=-1)"
        ),
        "The gradient was not squared, so its entries cancel each other. Square, then sum.": returning(
            "gradient.sum(dim=-1).mean()"
        ),
    },
    alternatives=(
        _penalty_by_functional,
        _penalty_by_rows,
        returning("gradient.norm(dim=-1).pow(2).mean()"),
    ),
)

# --- relativistic loss ------------------------------------------------------------------------


def _relativistic_picture(answer):
    difference = torch.linspace(-6, 6, 25)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for worse, colour, style in ((0.0, BLUE, "-"), (5.0, ORANGE, "o")):
        logit = torch.tensor([worse])
        losses = [float(answer(logit + d, logit)) for d in difference]
        ax.plot(difference, losses, style, color=colour, markersize=4, label=f"worse = {worse:g}")
    ax.set(xlabel="better - worse", ylabel="loss in nats", title="Only the difference counts")
    ax.legend(fontsize=8)
    return fig, (
        "The loss against the difference of the two logits falls from 6 to nearly 0. A line for "
        "worse = 0 and marks for worse = 5 coincide: only the difference counts."
    )


RELATIVISTIC = Exercise(
    id="gan.relativistic_loss",
    title="A relativistic loss",
    points=1,
    minutes=5,
    difficulty=2,
    task="Return the mean loss of pairs: small where the logit of `better` exceeds that of `worse`.",
    hints=(
        "The pair is judged by the difference of its logits, as if one asked which of the two "
        "images is the real one.",
        "-log sigmoid(better - worse), averaged over the pairs; softplus again.",
    ),
    reference=gan.relativistic_loss,
    inputs=lambda seed: _logits_cases(seed, ("better", "worse")),
    picture=_relativistic_picture,
    mistakes={
        "The difference is turned round: this rewards the worse of the two.": slip(
            "worse - better", "better - worse"
        ),
        "Each logit is judged on its own here. Judge the difference of the pair.": returning(
            "F.softplus(-better).mean() + F.softplus(worse).mean()"
        ),
        "You took the difference of the means. Compare pair by pair, then average the losses.": returning(
            "F.softplus(worse.mean() - better.mean())"
        ),
        "You summed over the pairs. Take the mean.": slip(".mean()", ".sum()"),
        "The softplus is missing: a bare difference can be driven to infinity.": returning(
            "(worse - better).mean()"
        ),
        (
            "This is a sigmoid, the probability that the pair is judged wrongly. The loss is softplus, "
            "its logarithmic form."
        ): returning("torch.sigmoid(worse - better).mean()"),
        "This is a hinge loss. Here the difference goes through softplus.": returning(
            "F.relu(1 - better + worse).mean()"
        ),
        (
            "You compared every `better` with every `worse`. Compare pair by pair: the first with the "
            "first, and so on."
        ): returning("F.softplus(worse - better[:, None]).mean()"),
        "You added the two logits. Take their difference: worse - better.": returning(
            "F.softplus(-worse - better).mean()"
        ),
        "The sign of the loss is turned round: it must be small where `better` exceeds `worse`.": returning(
            "-F.softplus(worse - better).mean()"
        ),
        "This is one loss for each pair. Take their mean.": returning("F.softplus(worse - better)"),
        (
            "This is a squared difference: it punishes a good "
            "pair as much as a bad one. Use softplus."
        ): returning("(worse - better).square().mean()"),
        "This is relu, which costs nothing as soon as the order is right. Use softplus.": returning(
            "F.relu(worse - better).mean()"
        ),
    },
    alternatives=(
        returning("-F.logsigmoid(better - worse).mean()"),
        returning("F.binary_cross_entropy_with_logits(better - worse, torch.ones_like(better))"),
        returning("torch.logaddexp(better, worse).sub(better).mean()"),
    ),
)

# --- a walk on the sphere ---------------------------------------------------------------------


def _slerp_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(start, end, steps):
        return {"z_start": start, "z_end": end, "steps": steps}

    z = rng.normal(0, 1, 8)
    start, end = rng.normal(0, 1, (2, 32))
    end *= np.linalg.norm(start) / np.linalg.norm(end)
    return {
        "a quarter of a circle": case([1.0, 0.0], [0.0, 1.0], 3),
        "two latents of the same length": case(start, end, 7),
        "the same latent twice": case(z, z, 4),
    }


def _unit(z: Tensor) -> Tensor:
    return z / z.norm()


def _slerp_by_numbers(z_start, z_end, steps):
    cosine = F.cosine_similarity(z_start, z_end, dim=0).clamp(-1, 1).item()
    angle = math.acos(cosine)
    points = []
    for i in range(steps):
        t = i / (steps - 1)
        if math.sin(angle) < 1e-4:
            points.append((1 - t) * z_start + t * z_end)
        else:
            a, b = math.sin((1 - t) * angle), math.sin(t * angle)
            points.append((a * z_start + b * z_end) / math.sin(angle))
    return torch.stack(points)


def _slerp_by_plane(z_start, z_end, steps):
    """In the plane of both: turn the direction, and blend in the rest to keep the same weights."""
    angle = torch.arccos((_unit(z_start) @ _unit(z_end)).clamp(-1, 1)).clamp(min=1e-3)
    t = torch.linspace(0, 1, steps)[:, None]
    weights = torch.sin(torch.cat([1 - t, t], dim=1) * angle) / torch.sin(angle)
    return weights @ torch.stack([z_start, z_end])


def _slerp_evenly(z_start, z_end, steps):
    """Directions by equal angles, and lengths that change evenly: the steps are even for any lengths."""
    angle = torch.arccos((_unit(z_start) @ _unit(z_end)).clamp(-1, 1)).clamp(min=1e-3)
    t = torch.linspace(0, 1, steps)[:, None]
    direction = torch.sin((1 - t) * angle) * _unit(z_start) + torch.sin(t * angle) * _unit(z_end)
    return torch.lerp(z_start.norm(), z_end.norm(), t) * F.normalize(direction, dim=1)


def _slerp_picture(answer):
    start, end = torch.tensor([2.0, 0.0]), 2 * torch.tensor([-0.5, math.sqrt(0.75)])
    line = torch.lerp(start, end, torch.linspace(0, 1, 7)[:, None])
    turn = np.linspace(0, 2 * math.pi, 200)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(2 * np.cos(turn), 2 * np.sin(turn), color=GREY, linestyle=":", label="length 2")
    ax.plot(*line.T, "s--", color=ORANGE, markersize=4, label="straight line")
    ax.plot(*answer(start, end, 7).T, "o-", color=BLUE, label="slerp")
    ax.set(xlabel="z1", ylabel="z2", title="The arc keeps the length", aspect="equal")
    ax.set(ylim=(-0.8, 2.3))
    ax.legend(fontsize=8, loc="lower center")
    return fig, (
        "Seven points, evenly spaced on the arc of a circle between two latents 120 degrees apart, "
        "and seven on the straight line between the two, which cuts through the circle's inside."
    )


SLERP = Exercise(
    id="gan.slerp",
    title="A walk on the sphere",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return evenly spaced latents on the arc from z_start to z_end, which have the same length, "
    "also where the two are the same. With different lengths there are several such curves, and the "
    "check asks for none of them.",
    hints=(
        "The angle w between the two comes from their dot product: cos w = a · b / (|a| |b|).",
        "The arc is sin((1 - t) w) / sin w · a + sin(t w) / sin w · b, with t from 0 to 1.",
        "Where w is (nearly) 0 the formula is 0 / 0: use the straight line there. Rounding can push "
        "the cosine just above 1, so clamp it.",
    ),
    reference=gan.slerp,
    inputs=_slerp_cases,
    rtol=1e-3,
    atol=1e-4,
    picture=_slerp_picture,
    mistakes={
        (
            "This is the straight line. In many dimensions it cuts through the middle of the prior; "
            "follow the arc."
        ): returning("torch.lerp(z_start, z_end, t)"),
        "The walk goes the wrong way round: t = 0 must give z_start.": slip(
            "0, 1, steps", "1, 0, steps"
        ),
        "The angle needs directions: divide the dot product by both lengths.": slip(
            " / (z_start.norm() * z_end.norm())", ""
        ),
        "The last point, z_end itself, is missing: let t run from 0 to 1, both included.": slip(
            "0, 1, steps", "0, 1 - 1 / steps, steps"
        ),
        (
            "This keeps the weights of the straight line and only stretches the points to the length of "
            "z_start: they are not evenly spaced on the arc."
        ): returning("F.normalize(torch.lerp(z_start, z_end, t), dim=1) * z_start.norm()"),
        "The division by sin(angle) is missing, so the ends are not z_start and z_end.": returning(
            "torch.sin((1 - t) * angle) * z_start + torch.sin(t * angle) * z_end"
        ),
        "The angle is missing inside the sines: sin((1 - t) * angle) and sin(t * angle).": returning(
            "(torch.sin(1 - t) * z_start + torch.sin(t) * z_end) / torch.sin(angle)"
        ),
        (
            "cos and sin as weights fit only a right angle between the two. Use sin((1 - t) * angle) / "
            "sin(angle) for z_start."
        ): returning("torch.cos(t * angle) * z_start + torch.sin(t * angle) * z_end"),
        (
            "Where both latents are the same, the angle is 0, and this divides 0 by 0. Take the "
            "straight line there."
        ): slip("if angle < 1e-4:", "if angle < -1:"),
        "The angle is in degrees, but torch.sin takes radians.": slip(
            "torch.arccos(cosine.clamp(-1, 1))",
            "torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))",
        ),
        "There is one point too many: `steps` is the number of points, with both ends.": slip(
            "0, 1, steps", "0, 1, steps + 1"
        ),
        "The first point, z_start itself, is missing: let t run from 0 to 1, both included.": slip(
            "0, 1, steps", "1 / steps, 1, steps"
        ),
        (
            "The points lie in the right directions, but have the length 1. They keep the length of "
            "z_start."
        ): returning(
            "F.normalize((torch.sin((1 - t) * angle) * z_start + torch.sin(t * angle) * z_end) / "
            "torch.sin(angle), dim=1)"
        ),
    },
    alternatives=(_slerp_by_numbers, _slerp_by_plane, _slerp_evenly),
)
