"""The exercises of lesson 19: a path and its length, a solver, latents, one step, and a phase."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.models import flow, spectrogram
from course_lib.plots import BLUE, GREY, ORANGE

# --- the straight path ------------------------------------------------------------------------


def _path_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, numbers, t):
        return {
            "x": rng.uniform(-1, 1, (rows, numbers)),
            "noise": rng.standard_normal((rows, numbers)),
            "t": np.full(rows, t),
        }

    return {
        "one point, a quarter of the way": case(1, 2, 0.25),
        "each point at a time of its own": case(3, 5, rng.uniform(0.05, 0.95, 3)),
        "as many points as numbers": case(6, 6, rng.uniform(0.05, 0.95, 6)),
    }


def _path_picture(answer):
    x, noise = torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.tensor([[-1.0, -0.5], [-1.0, 0.5]])
    points = torch.stack([answer(x, noise, t.expand(2))[0] for t in torch.linspace(0, 1, 6)])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for line in range(2):
        ax.plot(*points[:, line].T, "o-", color=BLUE, markersize=4)
    ax.plot(*noise.T, "x", color=ORANGE, linestyle="none", label="noise, t = 0")
    ax.plot(*x.T, "s", color=GREY, linestyle="none", label="data, t = 1")
    ax.set(xlabel="x1", ylabel="x2", title="Two straight paths, at six times")
    ax.legend(fontsize=8)
    return fig, (
        "Two straight lines of six evenly spaced points, each from a noise on the left to a point of "
        "the data on the right. They cross in the middle."
    )


def _path_by_lerp(x, noise, t):
    return torch.lerp(noise, x, t[:, None]), x - noise


def _path_from_noise(x, noise, t):
    direction = x - noise
    return noise + t.reshape(-1, 1) * direction, direction


def _path_row_by_row(x, noise, t):
    points = [s * a + (1 - s) * z for a, z, s in zip(x, noise, t, strict=True)]
    return torch.stack(points), torch.sub(x, noise)


STRAIGHT_PATH = Exercise(
    id="flow.straight_path",
    title="A straight path and its velocity",
    points=1,
    minutes=6,
    difficulty=1,
    task="Return the point x_t on the straight line from the noise (t = 0) to the data (t = 1), and the "
    "velocity along the line: (x_t, velocity).",
    hints=(
        "x_t = (1 − t) · noise + t · x. What is its derivative in t?",
        "t has one value a row: t.unsqueeze(1) has the shape (n, 1). The velocity is x − noise, at "
        "every time.",
    ),
    reference=flow.straight_path,
    inputs=_path_cases,
    picture=_path_picture,
    mistakes={
        "Time runs backwards here: t = 0 is the noise and t = 1 is the data.": returning(
            "(1 - t) * x + t * noise, noise - x"
        ),
        "The velocity points from the data to the noise. It should lead to the data: x − noise.": slip(
            "x - noise", "noise - x"
        ),
        "The velocity is the derivative of x_t in t, and not the way that is left from x_t.": slip(
            "x - noise", "x - ((1 - t) * noise + t * x)"
        ),
        (
            "This is the arc of a diffusion model: there the squares of the weights add up to 1. Here "
            "the weights do."
        ): returning("(1 - t**2).sqrt() * noise + t * x, x - noise"),
        "All points are at the first one's time. Each has its own.": slip(
            "t.unsqueeze(1)", "t[:1].unsqueeze(1)"
        ),
        "The two are in the wrong order: first the point, then the velocity.": returning(
            "(x - noise, (1 - t) * noise + t * x)"
        ),
        "The noise keeps its whole weight: it falls from 1 to 0, so multiply it by 1 - t.": slip(
            "(1 - t) * noise + t * x", "noise + t * x"
        ),
        "The data have their whole weight at all times: multiply x by t.": slip(
            "(1 - t) * noise + t * x", "(1 - t) * noise + x"
        ),
        "The weights of noise and data have opposite signs here. Add both parts.": slip(
            "(1 - t) * noise + t * x", "t * x - (1 - t) * noise"
        ),
        "The velocity was multiplied by t. It is the same all along the line.": slip(
            "* x, x - noise", "* x, t * (x - noise)"
        ),
        "This velocity is the sum of both ends. It is the way from one to the other: x - noise.": slip(
            "x - noise", "x + noise"
        ),
        "The velocity is the data alone. Subtract the noise.": slip("* x, x - noise", "* x, x"),
    },
    alternatives=(_path_by_lerp, _path_from_noise, _path_row_by_row),
)

# --- how straight -----------------------------------------------------------------------------


def _length_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def walk(steps, rows, numbers):
        return {"path": rng.standard_normal((steps + 1, rows, numbers)).cumsum(axis=0)}

    corner = np.array([[[0.0, 0.0]], [[3.0, 0.0]], [[3.0, 4.0]]])
    return {
        "a corner of sides 3 and 4": {"path": corner * rng.uniform(0.5, 2)},
        "a straight path in uneven steps": {
            "path": np.array([0.0, 0.1, 0.5, 1.0])[:, None, None] * rng.standard_normal((1, 2, 3))
        },
        "several paths in five dimensions": walk(6, 4, 5),
    }


def _length_picture(answer):
    turn = torch.linspace(0, 1, 50)[:, None]
    sizes = torch.tensor([0.05, 1.0, 2.0, 3.0])
    path = torch.stack([torch.sin(turn * sizes), 1 - torch.cos(turn * sizes)], dim=-1)
    ratios = [float(ratio) for ratio in answer(path)]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for line, ratio in enumerate(ratios):
        ax.plot(*path[:, line].T, label=f"{ratio:.2f}")
    ax.set(xlabel="x1", ylabel="x2", title="Length over chord of four arcs")
    ax.legend(fontsize=8)
    return fig, (
        "Four arcs of circles that begin at one point. The straightest has length over chord "
        f"{ratios[0]:.2f}, the most bent one {ratios[-1]:.2f}."
    )


def _length_by_loops(path):
    found = []
    for row in range(path.shape[1]):
        points = path[:, row]
        length = sum((b - a).pow(2).sum().sqrt() for a, b in pairwise(points))
        found.append(length / (points[-1] - points[0]).pow(2).sum().sqrt())
    return torch.stack(found)


def _length_by_slices(path):
    length = torch.linalg.vector_norm(path[1:] - path[:-1], dim=2).sum(0)
    return length / torch.linalg.vector_norm(path[0] - path[-1], dim=1)


def _length_by_cdist(path):
    lengths = [F.pairwise_distance(a, b, eps=0.0) for a, b in pairwise(path)]
    return torch.stack(lengths).sum(0) / F.pairwise_distance(path[0], path[-1], eps=0.0)


LENGTH_OVER_CHORD = Exercise(
    id="flow.length_over_chord",
    title="Length over chord",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return for each path its length, the sum of its pieces, over its chord, the distance between "
    "its two ends.",
    hints=(
        "path.diff(dim=0) gives the pieces, (steps, n, d). The length of a piece is the norm over its "
        "last dimension.",
        "Add the lengths over the steps, dim=0, and divide by (path[-1] − path[0]).norm(dim=-1).",
    ),
    reference=flow.length_over_chord,
    inputs=_length_cases,
    picture=_length_picture,
    mistakes={
        "This is chord over length. A bent path should have a number above 1.": returning(
            "(path[-1] - path[0]).norm(dim=-1) / length"
        ),
        "This is the length alone: divide by the distance between the two ends.": returning(
            "length"
        ),
        "The pieces were added before their lengths were taken, so every path seems straight.": slip(
            "path.diff(dim=0).norm(dim=-1).sum(dim=0)",
            "path.diff(dim=0).sum(dim=0).norm(dim=-1)",
        ),
        "The lengths of the pieces are squared here: take the norm, not its square.": slip(
            ".norm(dim=-1).sum(dim=0)", ".pow(2).sum(dim=-1).sum(dim=0)"
        ),
        "The mean of the pieces is not the length: add them up.": slip(
            ".sum(dim=0)", ".mean(dim=0)"
        ),
        "This is the chord alone: the length over it is asked for.": returning(
            "(path[-1] - path[0]).norm(dim=-1)"
        ),
        "The chord was subtracted from the length. Divide by it.": returning(
            "length - (path[-1] - path[0]).norm(dim=-1)"
        ),
        (
            "The sizes in the numbers were added up, |x| + |y|. Take the norm, the root of the sum of "
            "squares."
        ): slip("path.diff(dim=0).norm(dim=-1)", "path.diff(dim=0).abs().sum(dim=-1)"),
        "The last piece of each path is missing.": slip(
            "path.diff(dim=0)", "path[:-1].diff(dim=0)"
        ),
        "The first piece of each path is missing.": slip(
            "path.diff(dim=0)", "path[1:].diff(dim=0)"
        ),
        "The longest piece is not the length: add up all of them.": slip(
            ".sum(dim=0)", ".amax(dim=0)"
        ),
        "The chord is the distance of the end from the start, and not from 0.": slip(
            "path[-1] - path[0]", "path[-1]"
        ),
        "The chord is squared here: take the norm, not its square.": slip(
            "(path[-1] - path[0]).norm(dim=-1)", "(path[-1] - path[0]).pow(2).sum(dim=-1)"
        ),
    },
    alternatives=(_length_by_loops, _length_by_slices, _length_by_cdist),
)

# --- Heun's step ------------------------------------------------------------------------------


class _Turning(nn.Module):
    """A velocity that depends on the place and, if `curve` is not 0, on the time."""

    def __init__(self, matrix: Tensor, curve: float):
        super().__init__()
        self.matrix, self.curve = matrix, curve

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return x_t @ self.matrix + self.curve * (t**2).unsqueeze(1)


def _heun_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(matrix, curve, dt, rows=3):
        return {
            "matrix": np.asarray(matrix, float),
            "curve": curve,
            "x_t": rng.standard_normal((rows, 2)),
            "t": rng.uniform(0, 0.5, rows),
            "dt": dt,
        }

    return {
        "a velocity that changes with the place": case(rng.standard_normal((2, 2)), 0.0, 0.25),
        "a velocity that changes with the time": case(np.zeros((2, 2)), 2.0, 0.5),
        "both": case(rng.standard_normal((2, 2)), -1.5, 0.1, rows=5),
    }


def _heun_probe(answer, matrix, curve, x_t, t, dt):
    return answer(_Turning(matrix, curve), x_t, t, dt)


def _heun_picture(answer):
    def circle(x_t, t):
        return x_t @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]) * 2 * torch.pi

    fig, ax = plt.subplots(figsize=(3.6, 3.4))
    ends = []
    for name, colour, style in (("Euler", ORANGE, "--"), ("yours", BLUE, "-")):
        points = [torch.tensor([[1.0, 0.0]])]
        for _ in range(12):
            here, t = points[-1], torch.zeros(1)
            there = (
                here + circle(here, t) / 12 if name == "Euler" else answer(circle, here, t, 1 / 12)
            )
            points.append(there)
        ends.append(float(points[-1].norm()))
        ax.plot(*torch.cat(points).T, "o", color=colour, linestyle=style, markersize=3, label=name)
    ax.set(xlabel="x1", ylabel="x2", title="Once round a circle in 12 steps", aspect="equal")
    ax.legend(fontsize=8)
    return fig, (
        "Two paths that should go once round the unit circle. After twelve Euler steps the distance to "
        f"the middle is {ends[0]:.2f}, after twelve of yours {ends[1]:.2f}."
    )


def _heun_from_euler(velocity, x_t, t, dt):
    first = velocity(x_t, t)
    guess = x_t + dt * first
    return guess + dt / 2 * (velocity(guess, t + dt) - first)


def _heun_as_mean_of_points(velocity, x_t, t, dt):
    euler = x_t + dt * velocity(x_t, t)
    return (x_t + euler + dt * velocity(euler, t + dt)) / 2


def _heun_with_lerp(velocity, x_t, t, dt):
    a = velocity(x_t, t)
    b = velocity(torch.add(x_t, a, alpha=dt), torch.add(t, dt))
    return torch.add(x_t, torch.lerp(a, b, 0.5), alpha=dt)


HEUN_STEP = Exercise(
    id="flow.heun_step",
    title="Heun's step",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return where x_t is a time dt later: move by the mean of the velocity here and the velocity at "
    "the point where an Euler step would end.",
    hints=(
        "An Euler step ends at x_t + dt · v(x_t, t). Ask the velocity there, at the time t + dt.",
        "x_t + dt · (first + second) / 2.",
    ),
    reference=flow.heun_step,
    inputs=_heun_cases,
    probe=_heun_probe,
    picture=_heun_picture,
    mistakes={
        "This is Euler's step: the velocity at its end is asked, too, and the mean is taken.": returning(
            "x_t + dt * first"
        ),
        "This moves by the second velocity alone. Take the mean of both.": returning(
            "x_t + dt * second"
        ),
        "The mean of the two velocities is missing its half.": returning(
            "x_t + dt * (first + second)"
        ),
        "The second velocity is asked at the first time. It belongs to the time t + dt.": slip(
            "first, t + dt)", "first, t)"
        ),
        "The second velocity is asked at the old place. It belongs to the end of the Euler step.": slip(
            "velocity(x_t + dt * first", "velocity(x_t"
        ),
        (
            "This is the midpoint method: the second velocity half a step ahead. Heun asks it at the "
            "end of the step, and takes the mean."
        ): returning("x_t + dt * velocity(x_t + dt / 2 * first, t + dt / 2)"),
        "The step goes backwards: add dt times the mean velocity.": slip(
            "x_t + dt * (first + second)", "x_t - dt * (first + second)"
        ),
        "The Euler step before the second velocity goes backwards.": slip(
            "x_t + dt * first", "x_t - dt * first"
        ),
        "This is the mean velocity. Move x_t by dt times it.": returning("(first + second) / 2"),
        "This is the way that x_t moves. Add it to x_t.": returning("dt * (first + second) / 2"),
        "The step length is missing: multiply the mean velocity by dt.": slip(
            "x_t + dt * (first + second) / 2", "x_t + (first + second) / 2"
        ),
        "The two velocities were subtracted. Add them, and take half.": slip(
            "first + second", "second - first"
        ),
        "The Euler step before the second velocity lacks its length dt.": slip(
            "x_t + dt * first", "x_t + first"
        ),
    },
    alternatives=(_heun_from_euler, _heun_as_mean_of_points, _heun_with_lerp),
)

# --- latents of one size ----------------------------------------------------------------------


def _scale_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, mean, sd):
        made = rng.normal(mean, sd, (40 + rows, len(mean)))
        return {"codes": made[40:], "train": made[:40]}

    one = rng.normal([2, -1], [3, 1], (30, 2))
    return {
        "latents of two sizes": case(4, [0, 0], [4, 1]),
        "latents far from 0": case(3, [5, -3, 1], [1, 2, 0.5]),
        "the training codes themselves": {"codes": one, "train": one},
    }


def _scale_picture(answer):
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(300, 2, generator=generator) * torch.tensor([3.0, 1.0]) + 4
    after = answer(train, train)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(*train.T, "o", color=GREY, markersize=3, linestyle="none", label="before")
    ax.plot(*after.T, "x", color=BLUE, markersize=4, linestyle="none", label="after")
    ax.set(xlabel="latent 1", ylabel="latent 2", title="Codes before and after scaling")
    ax.legend(fontsize=8)
    return fig, (
        "A cloud of codes away from the origin, wider than high, and the scaled one around the origin, "
        f"with standard deviations {after[:, 0].std():.2f} and {after[:, 1].std():.2f}."
    )


def _scale_by_flat(codes, train):
    centred = train - train.mean(dim=0, keepdim=True)
    return (codes - train.mean(dim=0, keepdim=True)) / centred.flatten().std(correction=0)


def _scale_by_variances(codes, train):
    return (codes - train.mean(0)) / train.var(dim=0, correction=0).mean().sqrt()


def _scale_by_norm(codes, train):
    centre = train.sum(dim=0) / len(train)
    return (codes - centre) * train.numel() ** 0.5 / (train - centre).norm()


SCALE_LATENTS = Exercise(
    id="flow.scale_latents",
    title="Latents as large as the noise",
    points=1,
    minutes=8,
    difficulty=2,
    task="Subtract from the codes the training codes' mean in each latent, and divide by one number, "
    "such that the training codes, treated in the same way, have a mean square of 1 over all "
    "their numbers. Return the result.",
    hints=(
        "The mean is taken for each latent, dim=0, and of the training codes only.",
        "The one number is the root of (train − mean).pow(2).mean(), over all rows and latents.",
    ),
    reference=flow.scale_latents,
    inputs=_scale_cases,
    picture=_scale_picture,
    mistakes={
        (
            "Each latent is divided by a number of its own. One number for all keeps their relative "
            "sizes, and small ones stay small."
        ): slip(".mean().sqrt()", ".mean(dim=0).sqrt()"),
        "The codes were not moved: subtract the mean of the training codes.": slip(
            "(codes - mean)", "codes"
        ),
        "This divides by the variance. Take its root.": slip(".sqrt()", ""),
        "The codes are centred and not scaled.": returning("codes - mean"),
        "The size is that of the training codes with their mean: subtract it before you square.": slip(
            "(train - mean).pow(2)", "train.pow(2)"
        ),
        "One mean for all latents: each latent has its own, dim=0.": slip(
            "train.mean(dim=0)", "train.mean()"
        ),
        "The codes' own mean was subtracted. Subtract that of the training codes.": slip(
            "(codes - mean)", "(codes - codes.mean(dim=0))"
        ),
        "The codes were multiplied by the size. Divide by it.": slip(
            "(codes - mean) /", "(codes - mean) *"
        ),
        "This is the mean size of the numbers. Take the root of the mean square.": slip(
            ".pow(2).mean().sqrt()", ".abs().mean()"
        ),
        "This is the root of the sum of squares. Take the mean of the squares.": slip(
            ".pow(2).mean()", ".pow(2).sum()"
        ),
        "The mean was added. Subtract it.": slip("(codes - mean) /", "(codes + mean) /"),
        "These are the training codes, scaled. Scale the codes.": returning(
            "(train - mean) / (train - mean).pow(2).mean().sqrt()"
        ),
        "The largest number is not the size. Take the root of the mean square.": slip(
            ".pow(2).mean().sqrt()", ".abs().max()"
        ),
    },
    alternatives=(_scale_by_flat, _scale_by_variances, _scale_by_norm),
)

# --- one step ---------------------------------------------------------------------------------


def _distil_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, numbers, curve):
        return {
            "matrix": rng.standard_normal((numbers, numbers)),
            "curve": curve,
            "noise": rng.standard_normal((rows, numbers)),
            "made": rng.uniform(-1, 1, (rows, numbers)),
        }

    return {
        "a student that knows no time": case(3, 2, 0.0),
        "one that answers otherwise at later times": case(4, 3, 2.0),
        "one pair": case(1, 4, -1.0),
    }


def _distil_probe(answer, matrix, curve, noise, made):
    """The loss, and the gradient that it sends into the student."""
    weights = matrix.clone().requires_grad_()
    loss = answer(_Turning(weights, curve), noise, made)
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return {"loss": loss, "gradient": None}
    return {"loss": loss, "gradient": torch.autograd.grad(loss.sum(), weights)[0]}


def _distil_picture(answer):
    noise = torch.linspace(-2, 2, 40)[:, None]
    made, slopes = noise.sign(), torch.linspace(-1.5, 0.5, 21)
    losses = [float(answer(lambda x, t, s=s: s * x, noise, made)) for s in slopes]
    best = float(slopes[int(np.argmin(losses))])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(slopes, losses, "o-", color=BLUE, markersize=3)
    ax.set(xlabel="slope of the student's velocity", ylabel="loss", title="One step to -1 or 1")
    return fig, (
        "The loss of a student whose velocity is a slope times the noise, against the slope: a curve "
        f"with one lowest point, near {best:.1f}."
    )


def _distil_in_velocity(student, noise, made):
    return (student(noise, noise.new_zeros(len(noise))) - (made - noise)).square().mean()


def _distil_by_norm(student, noise, made):
    missed = made - noise - student(noise, torch.zeros(noise.shape[0]))
    return missed.norm() ** 2 / missed.numel()


def _distil_by_rows(student, noise, made):
    there = noise + student(noise, 0 * noise[:, 0])
    return ((there - made) ** 2).mean(dim=1).mean()


DISTILLATION_LOSS = Exercise(
    id="flow.distillation_loss",
    title="One step in place of twenty",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the mean squared error, over pairs and numbers, of one Euler step of the student from the "
    "noise at t = 0 all the way to t = 1, against what the teacher made of the same noise.",
    hints=(
        "One step of length 1 ends at noise + student(noise, t), with t a tensor of n zeros.",
        "F.mse_loss(noise + student(noise, t), made).",
    ),
    reference=flow.distillation_loss,
    inputs=_distil_cases,
    probe=_distil_probe,
    picture=_distil_picture,
    mistakes={
        "The student says a velocity. The step ends at noise + velocity: add the noise.": slip(
            "noise + student(noise, t)", "student(noise, t)"
        ),
        "The step begins at t = 0, the noise, and not at t = 1.": slip("torch.zeros", "torch.ones"),
        "The step goes the wrong way: the velocity leads from noise to data, so add it.": slip(
            "noise + student", "noise - student"
        ),
        "This is a sum. Take the mean over pairs and numbers.": returning(
            "(noise + student(noise, t) - made).pow(2).sum()"
        ),
        "The student was asked at what the teacher made. It should see the noise.": slip(
            "student(noise, t)", "student(made, t)"
        ),
        "This is the mean of the distances' sizes. Square them.": slip("F.mse_loss", "F.l1_loss"),
        "This is one number a pair. Take the mean over the pairs, too.": returning(
            "((noise + student(noise, t) - made) ** 2).mean(dim=1)"
        ),
        "This is the root of the mean squared error. Leave the root out.": returning(
            "F.mse_loss(noise + student(noise, t), made).sqrt()"
        ),
        "The squares were added up over the numbers. Take the mean over them, too.": returning(
            "((noise + student(noise, t) - made) ** 2).sum(dim=1).mean()"
        ),
        "This is half of the mean squared error. Leave the half out.": returning(
            "F.mse_loss(noise + student(noise, t), made) / 2"
        ),
        "The student is compared with the noise. Compare it with what the teacher made.": slip(
            "t), made)", "t), noise)"
        ),
        "The student is asked in the middle of the way. The step begins at t = 0.": slip(
            "t = torch.zeros(len(noise), device=noise.device)",
            "t = torch.full((len(noise),), 0.5, device=noise.device)",
        ),
        "This is the mean error, in which above and below cancel out. Square first.": returning(
            "(noise + student(noise, t) - made).mean()"
        ),
    },
    alternatives=(_distil_in_velocity, _distil_by_norm, _distil_by_rows),
)

# --- the phase --------------------------------------------------------------------------------


def _phase_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, size):
        time = np.arange(2048) / 8000
        pitch = rng.uniform(100, 800, (rows, 1))
        sounds = np.sin(2 * np.pi * pitch * time) + 0.1 * rng.standard_normal((rows, 2048))
        found = spectrogram.stft(torch.from_numpy(sounds).float()).abs().numpy()
        return {"sounds": sounds, "magnitude": found * size * rng.uniform(0.5, 1.5, found.shape)}

    return {
        "one sound, other magnitudes": case(1, 1.0),
        "three sounds": case(3, 1.0),
        "magnitudes twice as large": case(2, 2.0),
    }


def _phase_picture(answer):
    time = torch.arange(5120) / 8000
    wanted = spectrogram.stft(torch.sin(2 * torch.pi * 220 * time)[None]).abs()
    sounds = torch.randn(1, 5120, generator=torch.Generator().manual_seed(0))
    missed = []
    for _ in range(20):
        found = spectrogram.stft(sounds).abs()
        missed.append(float((found - wanted).norm() / wanted.norm()))
        sounds = answer(sounds, wanted)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(range(20), missed, "o-", color=BLUE, markersize=3)
    ax.set(
        xlabel="round", ylabel="error of the magnitudes", title="From noise to a tone of 220 hertz"
    )
    return fig, (
        "The relative error of the magnitudes after each round: it falls from "
        f"{missed[0]:.2f} to {missed[-1]:.2f} in twenty rounds."
    )


def _phase_by_quotient(sounds, magnitude):
    found = spectrogram.stft(sounds)
    return spectrogram.inverse_stft(magnitude * found / found.abs().clamp(min=1e-12))


def _phase_by_exponential(sounds, magnitude):
    return spectrogram.inverse_stft(
        magnitude * torch.exp(1j * torch.angle(spectrogram.stft(sounds)))
    )


def _phase_by_parts(sounds, magnitude):
    angle = spectrogram.stft(sounds).angle()
    return spectrogram.inverse_stft(torch.complex(magnitude * angle.cos(), magnitude * angle.sin()))


GRIFFIN_LIM_STEP = Exercise(
    id="flow.griffin_lim_step",
    title="Keep the phase, change the magnitude",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return sounds from an STFT that has the phase of the given sounds and the given magnitudes; "
    "stft and inverse_stft are there.",
    hints=(
        "stft(sounds) is complex. Its phase is .angle(), and torch.polar(magnitude, phase) puts a "
        "complex number together.",
        "inverse_stft(torch.polar(magnitude, stft(sounds).angle())).",
    ),
    reference=spectrogram.griffin_lim_step,
    inputs=_phase_cases,
    rtol=1e-3,
    atol=1e-3,
    picture=_phase_picture,
    mistakes={
        "The phase is 0 everywhere: take that of the STFT of the sounds.": slip(
            "stft(sounds).angle()", "0 * magnitude"
        ),
        "The sounds come back unchanged: put the given magnitudes in place of their own.": returning(
            "inverse_stft(stft(sounds))"
        ),
        "The given magnitudes were multiplied by the sounds' own. They should replace them.": returning(
            "inverse_stft(magnitude * stft(sounds))"
        ),
        "The phase is turned round: its sign must stay.": slip(
            "stft(sounds).angle()", "-stft(sounds).angle()"
        ),
        "The magnitudes are squared here. An STFT holds amplitudes, not powers.": slip(
            "torch.polar(magnitude", "torch.polar(magnitude**2"
        ),
        "This is the STFT. Turn it back into sounds: inverse_stft.": returning(
            "torch.polar(magnitude, stft(sounds).angle()).abs().sum(dim=1)"
        ),
        "The magnitudes were added to the sounds' own. They should replace them.": slip(
            "torch.polar(magnitude, stft", "torch.polar(magnitude + stft(sounds).abs(), stft"
        ),
        "The sound is upside down: the phase was moved by pi.": slip(
            "stft(sounds).angle()", "stft(sounds).angle() + torch.pi"
        ),
        "This is the mean of the sounds' magnitudes and the given ones. Take the given ones.": slip(
            "torch.polar(magnitude, stft",
            "torch.polar((magnitude + stft(sounds).abs()) / 2, stft",
        ),
        "The magnitudes' roots were taken. They are amplitudes already.": slip(
            "torch.polar(magnitude,", "torch.polar(magnitude.sqrt(),"
        ),
        "The phase is that of the sounds played backwards. Keep their order.": slip(
            "stft(sounds).angle()", "stft(sounds.flip(-1)).angle()"
        ),
    },
    alternatives=(_phase_by_quotient, _phase_by_exponential, _phase_by_parts),
)
