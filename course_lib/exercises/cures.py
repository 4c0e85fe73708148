"""The exercises of lesson 07: cures against mode collapse, and ways to steer a generator."""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.mode_collapse import cures, steering
from course_lib.plots import BLUE, GREY, ORANGE

# --- packing ----------------------------------------------------------------------------------


def _pack_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(shape, size):
        return {"x": rng.normal(0, 1, shape), "size": size}

    return {
        "six points in pairs": case((6, 2), 2),
        "packs of one: nothing changes": case((4, 3), 1),
        "twelve points in threes": case((12, 5), 3),
        "five seeds side by side": case((5, 8, 2), 4),
    }


def _pack_by_slices(x, size):
    """Every size-th point from each start, side by side."""
    return torch.cat([x[..., start::size, :] for start in range(size)], dim=-1)


def _pack_by_unfold(x, size):
    return x.unfold(-2, size, size).transpose(-1, -2).flatten(-2)


def _pack_picture(answer):
    torch.manual_seed(0)
    varied = torch.randn(400, 1).sign() + 0.08 * torch.randn(400, 1)
    alike = 1 + 0.08 * torch.randn(400, 1)
    fig, axes = plt.subplots(1, 2, figsize=(4.6, 2.7), sharex=True, sharey=True)
    parts = (("real", varied, BLUE, "o"), ("collapsed", alike, ORANGE, "^"))
    for ax, (name, points, colour, marker) in zip(axes, parts, strict=True):
        first, second = answer(points, 2).T
        ax.plot(first, second, marker, color=colour, markersize=3, linestyle="none")
        ax.set(xlabel="first of the pair", title=name, aspect="equal")
    axes[0].set_ylabel("second of the pair")
    return fig, (
        "Pairs of points of two modes, -1 and 1. Real pairs lie in four clouds, at the corners of a "
        "square; those of a generator that has collapsed to the mode 1 in a single cloud, top right."
    )


PACK = Exercise(
    id="cures.pack",
    title="Packing",
    points=1,
    minutes=5,
    difficulty=1,
    task="Lay `size` neighbouring rows side by side: (..., n, d) becomes (..., n / size, size d).",
    hints=(
        "Rows 0 and 1 make the first pair, rows 2 and 3 the second. In memory they already lie one "
        "after the other.",
        "x.reshape(*leading, n // size, size * d), with the leading dimensions of x.shape[:-2].",
    ),
    reference=cures.pack,
    inputs=_pack_cases,
    picture=_pack_picture,
    mistakes={
        (
            "You packed row i with row i + n / size. That mixes as well, but here the rows of a pack "
            "are neighbours."
        ): lambda x, size: torch.cat(x.chunk(size, dim=-2), dim=-1),
        (
            "This repeats each row next to itself: the discriminator learns nothing of the others."
        ): lambda x, size: torch.cat([x[..., ::size, :]] * size, dim=-1),
        "The rows of a pack are averaged. Put them side by side, or the variety is gone.": lambda x, size: (
            x.unflatten(-2, (-1, size)).mean(dim=-2)
        ),
        (
            "The columns are in the wrong order: first all of the first row, then all of "
            "the second."
        ): lambda x, size: x.unfold(-2, size, size).flatten(-2),
        (
            "The packs have a dimension of their own here. The discriminator wants each as one row."
        ): lambda x, size: x.unflatten(-2, (-1, size)),
        "There are `size` packs here. There should be `size` rows in each pack.": returning(
            "x.reshape(*x.shape[:-2], size, x.shape[-2] // size * x.shape[-1])"
        ),
        "All rows lie side by side. Only `size` of them belong to a pack.": returning(
            "x.reshape(*x.shape[:-2], 1, -1)"
        ),
        (
            "You swapped rows and columns first, so that a pack holds one column of many rows. Lay "
            "whole rows side by side."
        ): returning(
            "x.transpose(-1, -2).reshape(*x.shape[:-2], x.shape[-2] // size, size * x.shape[-1])"
        ),
        "Only the first row of each pack is left. Lay all of its rows side by side.": returning(
            "x[..., ::size, :]"
        ),
        "The rows of a pack were added up. Lay them side by side.": returning(
            "x.unflatten(-2, (-1, size)).sum(dim=-2)"
        ),
        (
            "The seeds were thrown together. What stands before "
            "the last two dimensions stays as it is."
        ): returning("x.reshape(-1, size * x.shape[-1])"),
    },
    alternatives=(
        _pack_by_slices,
        _pack_by_unfold,
        returning("x.unflatten(-2, (-1, size)).flatten(-2)"),
    ),
)

# --- minibatch standard deviation -------------------------------------------------------------


def _deviation_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(shape, spread=1.0, alike=False):
        values = rng.normal(0.5, spread, shape)
        if alike:  # halves, so that their mean is exact and the slope at 0 is not left to rounding
            values = np.broadcast_to(np.round(2 * values[..., :1, :]) / 2, shape)
        return {"features": values}

    return {
        "a varied batch": case((8, 3)),
        "a wide one": case((5, 4), spread=4.0),
        "all rows alike: a collapse": case((6, 3), alike=True),
        "two seeds side by side": case((2, 7, 4)),
    }


def _deviation_by_moments(features):
    mean, mean_square = features.mean(dim=-2), features.square().mean(dim=-2)
    deviation = ((mean_square - mean**2).clamp(min=0) + 1e-8).sqrt().mean(dim=-1)
    column = deviation[..., None, None] * torch.ones_like(features[..., :1])
    return torch.cat((features, column), -1)


def _deviation_probe(answer, features):
    """The features and what is appended, and the slope that it passes on."""
    features = features.clone().requires_grad_()
    given = answer(features)
    if not isinstance(given, Tensor) or not given.requires_grad:
        return {"result": given, "its slope": None}
    (slope,) = torch.autograd.grad(given[..., -1].sum(), features, allow_unused=True)
    return {"result": given, "its slope": slope}


def _deviation_picture(answer):
    torch.manual_seed(0)
    batch = torch.randn(64, 8)
    scales = torch.linspace(0, 1, 11)
    told = [float(answer(scale * batch)[0, -1]) for scale in scales]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(scales, told, "o-", color=BLUE)
    ax.set(
        xlabel="spread of the batch", ylabel="extra feature", title="What the extra feature tells"
    )
    return fig, (
        "The extra feature against the spread of the batch: a straight line from 0, for a batch "
        "whose rows are all alike, to about 1."
    )


DEVIATION = Exercise(
    id="cures.minibatch_standard_deviation",
    title="Minibatch standard deviation",
    points=2,
    minutes=10,
    difficulty=2,
    task="Append to every row one number: the standard deviation over the batch (divide by n, not "
    "by n - 1), averaged over the features. Add 1e-8 to the variances, so that the slope of their root "
    "stays finite where all rows are alike.",
    hints=(
        "The batch is the second last dimension. Its variance per feature is (..., 1, d) with "
        "keepdim=True; divide by n, not n - 1 (correction=0).",
        "Standard deviation = (variance + 1e-8).sqrt(); the small number keeps the slope finite "
        "where all rows are alike. Then the mean over the features.",
        "expand() repeats the number for all rows, torch.cat(..., dim=-1) appends it.",
    ),
    reference=cures.with_deviation,
    inputs=_deviation_cases,
    probe=_deviation_probe,
    atol=2e-4,
    picture=_deviation_picture,
    mistakes={
        "This is the variance. Take its square root.": slip(
            "(variance + 1e-8).sqrt().mean", "variance.mean"
        ),
        "You averaged first and took the root after. Average the standard deviations.": slip(
            "(variance + 1e-8).sqrt().mean(dim=-1, keepdim=True)",
            "(variance.mean(dim=-1, keepdim=True) + 1e-8).sqrt()",
        ),
        "The deviation was taken over the features of each row. Take it over the batch.": slip(
            "dim=-2", "dim=-1"
        ),
        "One column for each feature is appended. One number is enough: their mean.": returning(
            "torch.cat([features, (variance + 1e-8).sqrt().expand_as(features)], dim=-1)"
        ),
        (
            "The small number under the root is missing: where all rows are alike the slope of the root "
            "is infinite, just when the generator needs one."
        ): slip(" + 1e-8", ""),
        "You divided by n - 1. Divide by n: correction=0.": slip("correction=0", "correction=1"),
        (
            "This is the standard deviation of all values together. Take it of each feature over the "
            "batch, then the mean."
        ): slip(
            "(variance + 1e-8).sqrt().mean(dim=-1, keepdim=True)",
            "features.std(dim=(-2, -1), keepdim=True, correction=0)",
        ),
        "The number stands in front. Append it: it comes after the features.": returning(
            "torch.cat([deviation.expand(*features.shape[:-1], 1), features], dim=-1)"
        ),
        "You appended a row. Every row gets one more number: dim=-1.": returning(
            "torch.cat([features, deviation.expand(*features.shape[:-2], 1, features.shape[-1])], "
            "dim=-2)"
        ),
        "This is the new column alone. Append it to the features.": returning(
            "deviation.expand(*features.shape[:-1], 1)"
        ),
        "You summed over the features. Take the mean.": slip(".sqrt().mean(", ".sqrt().sum("),
        "You divided the features by the deviation. Leave them as they are and append it.": returning(
            "features / deviation"
        ),
        (
            "The numbers are right, but no gradient reaches the features through the deviation. Leave "
            "out detach()."
        ): slip("(variance +", "(variance.detach() +"),
        "The standard deviation had its root taken twice. Take the variance, then one root.": slip(
            "features.var(", "features.std("
        ),
    },
    alternatives=(
        slip(
            "features.var(dim=-2, keepdim=True, correction=0)",
            "(features - features.mean(-2, True)).square().mean(-2, True)",
        ),
        _deviation_by_moments,
        slip(
            "features.var(dim=-2, keepdim=True, correction=0)",
            "features.std(dim=-2, keepdim=True, correction=0).square()",
        ),
    ),
)


# --- the penalty of WGAN-GP -------------------------------------------------------------------


class _Bumpy(nn.Module):
    """A critic with a slope that differs from place to place."""

    def __init__(self, w: Tensor):
        super().__init__()
        self.w = nn.Parameter(w.clone())

    def forward(self, x: Tensor) -> Tensor:
        return (torch.sin(self.w * x) + 0.5 * x).sum(dim=-1)


def _penalty_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(shape):
        return {
            "w": rng.normal(0, 1.5, shape[-1]),
            "real": rng.normal(0, 1, shape),
            "fake": rng.normal(2, 1, shape),
            "t": rng.uniform(0, 1, (*shape[:-1], 1)),
        }

    return {
        "one pair of points": case((1, 2)),
        "a batch of six": case((6, 3)),
        "64 pixels": case((4, 64)),
        "three seeds side by side": case((3, 5, 2)),
    }


def _penalty_probe(answer, w, real, fake, t):
    """The penalty, and its own gradient, which trains the critic."""
    critic = _Bumpy(w)
    penalty = answer(critic, real, fake, t)
    if not isinstance(penalty, Tensor) or not penalty.requires_grad:
        return {"penalty": penalty, "gradient of the penalty": None}
    gradient = torch.autograd.grad(penalty.sum(), critic.w, allow_unused=True)[0]
    return {"penalty": penalty, "gradient of the penalty": gradient}


def _penalty_by_functional(critic, real, fake, t):
    x = torch.lerp(fake, real, t).flatten(0, -2)
    gradients = vmap(grad(lambda row: critic(row[None])[0]))(x)
    return F.mse_loss(gradients.square().sum(-1).sqrt(), torch.ones(len(x)))


def _penalty_picture(answer):
    x = torch.tensor([[0.0, 1.0], [2.0, -1.0], [-1.0, 0.5]])
    direction = torch.tensor([0.6, 0.8])
    steepness = torch.linspace(0, 3, 13)
    penalties = [
        float(answer(lambda p, s=s: p @ (s * direction), x, -x, x[:, :1])) for s in steepness
    ]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(steepness, (steepness - 1) ** 2, color=GREY, linestyle="--", label="(steepness - 1)²")
    ax.plot(steepness, penalties, "o", color=BLUE, linestyle="none", label="penalty")
    ax.set(xlabel="steepness of a linear critic", ylabel="penalty", title="A slope of 1 is free")
    ax.legend(fontsize=8)
    return fig, (
        "The penalty of linear critics against their steepness: marks on a parabola that is 1 at "
        "steepness 0, touches 0 at steepness 1 and rises to 4 at steepness 3."
    )


def _penalty_by_rows(critic, real, fake, t):
    x = (fake + t * (real - fake)).flatten(0, -2)
    slopes = []
    for row in x:
        row = row[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(row)[0], row, create_graph=True)
        slopes.append(slope.square().sum().sqrt())
    return (torch.stack(slopes) - 1).pow(2).mean()


WASSERSTEIN_PENALTY = Exercise(
    id="cures.wasserstein_penalty",
    title="The penalty of WGAN-GP",
    points=3,
    minutes=15,
    difficulty=3,
    task="Return the mean of (slope - 1)² of the critic, at points a share t of the way from the fakes "
    "to the real ones.",
    hints=(
        "The points are t real + (1 - t) fake, one between each real point and its fake; detach them "
        "and let them require a gradient.",
        "As for R1: torch.autograd.grad(critic(x).sum(), x, create_graph=True) gives one gradient a "
        "point.",
        "The slope is the gradient's length, norm(dim=-1). Its distance from 1, squared, averaged "
        "over all points.",
    ),
    reference=cures.wasserstein_penalty,
    inputs=_penalty_cases,
    probe=_penalty_probe,
    picture=_penalty_picture,
    mistakes={
        (
            "The penalty has no gradient of its own, so it could not train anything: pass "
            "create_graph=True to torch.autograd.grad."
        ): slip("create_graph=True", "create_graph=False"),
        "This is R1's form, which pulls the slope to 0. WGAN-GP holds it at 1.": returning(
            "gradient.square().sum(dim=-1).mean()"
        ),
        "You took the slope at the real points. Take it between real points and fakes.": slip(
            "(t * real + (1 - t) * fake)", "real"
        ),
        "t counts from the wrong end: t = 1 is the real point.": slip(
            "t * real + (1 - t) * fake", "t * fake + (1 - t) * real"
        ),
        "You subtracted 1 from the squared length. Take the root first.": returning(
            "(gradient.square().sum(dim=-1) - 1).square().mean()"
        ),
        "Each coordinate of the gradient is held at 1 here. The length is: norm(dim=-1).": returning(
            "(gradient - 1).square().mean()"
        ),
        "You averaged the slopes before comparing with 1. Each point's slope counts for itself.": returning(
            "(gradient.norm(dim=-1).mean() - 1).square()"
        ),
        "You summed over the points. Take the mean.": returning(
            "(gradient.norm(dim=-1) - 1).square().sum()"
        ),
        "Only slopes above 1 cost something here. WGAN-GP also punishes those below 1.": returning(
            "(gradient.norm(dim=-1) - 1).clamp(min=0).square().mean()"
        ),
        "The difference was not squared.": returning("(gradient.norm(dim=-1) - 1).abs().mean()"),
        "You took the slope at the fakes. Take it between real points and fakes.": slip(
            "(t * real + (1 - t) * fake)", "fake"
        ),
        (
            "You took the gradient of the mean output, which divides it by the number of points. Take "
            "that of the sum."
        ): slip("critic(x).sum()", "critic(x).mean()"),
        "This is the length of all gradients together. Each point has its own: norm(dim=-1).": returning(
            "(gradient.norm() - 1).square()"
        ),
        "You added 1 to the slope. Subtract it.": returning(
            "(gradient.norm(dim=-1) + 1).square().mean()"
        ),
        "The difference was not squared, so slopes above and below 1 cancel.": returning(
            "(gradient.norm(dim=-1) - 1).mean()"
        ),
        "You subtracted the fakes. The points lie between: t times real plus (1 - t) times fake.": slip(
            "t * real + (1 - t) * fake", "t * real - (1 - t) * fake"
        ),
    },
    alternatives=(
        returning("((gradient**2).sum(-1).sqrt() - 1).pow(2).mean()"),
        _penalty_by_functional,
        _penalty_by_rows,
    ),
)

# --- unrolling --------------------------------------------------------------------------------


class _Linear(nn.Module):
    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def _unrolled_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(steps, rate, rows=6):
        return {
            "weight": rng.normal(0, 1, 3),
            "real": rng.normal(1, 1, (rows, 3)),
            "fake": rng.normal(-1, 1, (rows, 3)),
            "steps": steps,
            "rate": rate,
        }

    return {
        "no step: the discriminator as it is": case(0, 0.5),
        "one step": case(1, 0.5),
        "five steps": case(5, 0.2),
    }


def _unrolled_probe(answer, weight, real, fake, steps, rate):
    """Logits of the fakes after the steps; their gradient with respect to the fakes, which passes
    through the steps as well; and the weights, which must stay as they were."""
    discriminator = _Linear(weight)
    fake = fake.clone().requires_grad_()

    def loss(d):
        return F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean()

    later = answer(discriminator, loss, steps, rate)
    logits = later(fake)
    if not isinstance(logits, Tensor) or not logits.requires_grad:
        gradient = None
    else:
        (gradient,) = torch.autograd.grad(logits.sum(), fake, allow_unused=True)
    return {
        "logits": logits,
        "gradient for the generator": gradient,
        "weights of the discriminator afterwards": discriminator.weight.data.clone(),
    }


def _unrolled_recursively(discriminator, loss, steps, rate):
    names = [name for name, _ in discriminator.named_parameters()]

    def ahead(values, left):
        def play(x):
            return functional_call(discriminator, dict(zip(names, values, strict=True)), (x,))

        if not left:
            return play
        slopes = torch.autograd.grad(loss(play), values, create_graph=True)
        return ahead([v - rate * s for v, s in zip(values, slopes, strict=True)], left - 1)

    return ahead(list(discriminator.parameters()), steps)


def _unrolled_picture(answer):
    real, fake = torch.tensor([[-1.0], [1.0]]), torch.full((2, 1), 1.0)
    grid = torch.linspace(-2, 2, 81)[:, None]

    class Bumps(nn.Module):
        """Two bumps, one a mode; their heights are what is learnt."""

        def __init__(self):
            super().__init__()
            self.height = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            centres = torch.tensor([-1.0, 1.0])
            return torch.exp(-4 * (x - centres) ** 2) @ self.height

    def loss(d):
        return F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean()

    fig, ax = plt.subplots(figsize=(4.4, 3))
    for steps, colour, style in ((0, GREY, ":"), (1, BLUE, "--"), (5, ORANGE, "-")):
        ax.plot(
            grid, answer(Bumps(), loss, steps, 2.0)(grid).detach(), style, color=colour, label=steps
        )
    ax.set(xlabel="x", ylabel="logit", title="All fakes at 1: where D would go")
    ax.legend(title="steps ahead", fontsize=8)
    return fig, (
        "Real points at -1 and 1, all fakes at 1. The discriminator's logit now, flat at 0, and one "
        "and five steps ahead: it rises at -1 and falls at 1, so a generator that looks ahead "
        "learns to leave 1 before it is punished."
    )


def _unrolled_in_a_list(discriminator, loss, steps, rate):
    names, values = zip(*discriminator.named_parameters(), strict=True)
    values = list(values)

    def play(x):
        return functional_call(discriminator, dict(zip(names, values, strict=True)), (x,))

    for _ in range(steps):
        slopes = torch.autograd.grad(loss(play), values, create_graph=True)
        values = [torch.add(v, s, alpha=-rate) for v, s in zip(values, slopes, strict=True)]
    return play


UNROLLED = Exercise(
    id="cures.unrolled_discriminator",
    title="Unrolling",
    points=3,
    minutes=20,
    difficulty=3,
    task="Return the discriminator as it would be after `steps` steps of gradient descent on `loss`, "
    "without changing it, and so that gradients pass through the steps.",
    hints=(
        "Keep the weights in a dict of your own: dict(discriminator.named_parameters()). "
        "functional_call(discriminator, weights, (x,)) runs it with other weights than its own.",
        "Each step: the gradients of loss(D with these weights) with respect to these weights, by "
        "torch.autograd.grad(..., create_graph=True); the new weights are weight - rate * gradient.",
        "Return a function: lambda x: functional_call(discriminator, weights, (x,)).",
    ),
    reference=cures.unrolled,
    inputs=_unrolled_cases,
    probe=_unrolled_probe,
    picture=_unrolled_picture,
    mistakes={
        "The steps go uphill: descend, weight - rate * gradient.": slip(
            "weight - rate", "weight + rate"
        ),
        (
            "No gradient passes through the steps, so the generator cannot see where its opponent would "
            "go: create_graph=True."
        ): slip("create_graph=True", "create_graph=False"),
        "That is one step too many.": slip("range(steps)", "range(steps + 1)"),
        (
            "Every step takes its gradient at the first weights. Take it at those that the last step "
            "has reached."
        ): slip(
            "    def at",
            "    start = weights\n\n    def at",
            "loss(at(weights)), weights.values()",
            "loss(at(start)), start.values()",
        ),
        (
            "You changed the discriminator itself. The steps are only looked ahead; work on a copy of "
            "its weights."
        ): returning("discriminator.load_state_dict(weights) and discriminator"),
        "This is the discriminator as it is now, whatever `steps` says.": returning(
            "discriminator"
        ),
        "That is one step too few.": slip("range(steps)", "range(steps - 1)"),
        "The rate is missing: each step is rate times the gradient.": slip(
            "rate * gradient", "gradient"
        ),
        "You divided the rate by the number of steps. Each step has the whole rate.": slip(
            "rate * gradient", "rate / steps * gradient"
        ),
        "Only one step was taken, whatever `steps` says.": slip("range(steps)", "range(1)"),
        "The rate was squared on the way. Each step is rate times the gradient.": slip(
            "rate * gradient", "rate**2 * gradient"
        ),
        "You used only the sign of the gradient. Use it as it is.": slip(
            "rate * gradient", "rate * gradient.sign()"
        ),
    },
    alternatives=(
        _unrolled_recursively,
        slip("weight - rate * gradient", "torch.sub(weight, gradient, alpha=rate)"),
        _unrolled_in_a_list,
    ),
)

# --- importance weights -----------------------------------------------------------------------


def _weights_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, rare, share):
        target = np.arange(n) < rare
        return {"target": rng.permutation(target), "share": share}

    return {
        "a tenth becomes a half": case(20, 2, 0.5),
        "one row in fifty becomes nine tenths": case(50, 1, 0.9),
        "the target alone": case(12, 3, 1.0),
        "as it is: all weights 1": case(8, 2, 0.25),
    }


def _weights_by_ratio(target, share):
    before = target.float().mean()
    return torch.where(target, share / before, (1 - share) / (1 - before))


def _weights_by_parts(target, share):
    weights = torch.empty(len(target))
    weights[target] = share / target.sum()
    weights[~target] = (1 - share) / (~target).sum()
    return weights / weights.mean()


def _weights_picture(answer):
    target = torch.arange(100) < 5
    shares = torch.linspace(0.05, 1, 20)
    rare = [float(answer(target, float(s))[0]) for s in shares]
    other = [float(answer(target, float(s))[-1]) for s in shares]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(shares, rare, "o-", markersize=3, color=BLUE, label="a row of the target")
    ax.plot(shares, other, "s--", markersize=3, color=ORANGE, label="any other row")
    ax.set(
        xlabel="share wanted of the target", ylabel="weight", title="5 rows of 100 are the target"
    )
    ax.legend(fontsize=8)
    return fig, (
        "The weights of a target of 5 rows in 100 against the share wanted: a target row's rises in "
        "a line from 1 to 20, any other row's falls from 1 to 0."
    )


IMPORTANCE_WEIGHTS = Exercise(
    id="cures.importance_weights",
    title="Importance weights",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return one weight a row, 1 on average, under which the rows of `target` together make up "
    "`share` of all.",
    hints=(
        "A weight is the density wanted over the density that the data have: p'(x) / p(x).",
        "The target's share is now target.sum() / n. It should become `share`, and the others' "
        "1 - share.",
        "torch.where(target, share * n / count, (1 - share) * n / (n - count)).",
    ),
    reference=steering.importance_weights,
    inputs=_weights_cases,
    picture=_weights_picture,
    mistakes={
        "The other rows keep the weight 1, so the target does not reach its share.": slip(
            "(1 - share) * n / (n - count)", "1.0"
        ),
        "These weights sum to 1. Their mean should be 1, so that a weighted loss keeps its scale.": slip(
            " * n / ", " / ", times=2
        ),
        (
            "Each row of the target gets the weight `share`, however few they are. Divide by the share "
            "that they have now."
        ): slip("share * n / count, (1 - share) * n / (n - count)", "share, 1 - share"),
        "Target and rest are swapped.": slip(
            "where(target", "where(~target", "target.sum()", "(~target).sum()"
        ),
        "The ratio is upside down: divide the density wanted by the one that the data have.": returning(
            "1 / torch.where(target, share * n / count, 1 - share + 1e-9)"
        ),
        (
            "The rows of the target keep the weight 1. They should get share divided by the share that "
            "they have now."
        ): returning("torch.where(target, 1.0, (1 - share) * n / (n - count))"),
        (
            "The two counts are swapped: divide the target's "
            "share by the number of the target's rows."
        ): returning("torch.where(target, share * n / (n - count), (1 - share) * n / count)"),
        (
            "You did not divide by the number of rows. The weights of the target together make up "
            "`share`."
        ): returning("torch.where(target, share * n, (1 - share) * n)"),
        "These weights make both halves equal, whatever `share` says.": returning(
            "torch.where(target, n / (2 * count), n / (2 * (n - count)))"
        ),
        "The share is missing: each part would count as all rows.": returning(
            "torch.where(target, n / count, n / (n - count))"
        ),
        "The two weights have changed places.": returning(
            "torch.where(target, (1 - share) * n / (n - count), share * n / count)"
        ),
        "The share is missing in the target's weight.": slip("share * n / count", "n / count"),
        "The share is missing in the weight of the others: 1 - share.": slip(
            "(1 - share) * n", "n"
        ),
    },
    alternatives=(
        _weights_by_ratio,
        _weights_by_parts,
        returning("target * (share * n / count) + ~target * ((1 - share) * n / (n - count))"),
    ),
)

# --- discriminator rejection sampling ---------------------------------------------------------


def _acceptance_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(spread, rows, bound):
        return {"logits": rng.normal(0, spread, rows), "log_bound": bound}

    return {
        "a bound above every logit": case(1, 6, 5.0),
        "a bound that some exceed": case(2, 9, 0.5),
        "logits so large that exp() overflows": case(200, 7, 150.0),
    }


def _acceptance_picture(answer):
    logits = torch.linspace(-5, 3, 161)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for bound, colour, style in ((0.0, BLUE, "-"), (2.0, ORANGE, "--")):
        ax.plot(logits, answer(logits, bound), style, color=colour, label=f"log M = {bound:g}")
    ax.set(
        xlabel="logit = log p / q",
        ylabel="probability to keep",
        title="Keep what q makes too rarely",
    )
    ax.legend(fontsize=8)
    return fig, (
        "The probability to keep a sample against its logit, for two bounds: it grows exponentially "
        "and stays at 1 from the bound on. The higher bound keeps less."
    )


ACCEPTANCE = Exercise(
    id="cures.acceptance_probability",
    title="Rejection with a discriminator",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the probability with which each sample is kept, so that what is kept follows p "
    "instead of q: p / (M q), and never more than 1.",
    hints=(
        "Rejection sampling keeps x with probability p(x) / (M q(x)). The best discriminator's logit "
        "is log p(x) - log q(x).",
        "So p / (M q) = exp(logit - log M). Where M was chosen too small that exceeds 1: cap it.",
        "Cap the exponent at 0, not the exponential at 1: then nothing overflows.",
    ),
    reference=steering.acceptance,
    inputs=_acceptance_cases,
    picture=_acceptance_picture,
    mistakes={
        (
            "This is D(x), the probability that the sample is real. It keeps far too much of what q "
            "makes too often; the ratio p / q is exp(logit)."
        ): returning("torch.sigmoid(logits)"),
        "This is D(x) with a shifted threshold. Keep with p / (M q) = exp(logit - log M).": returning(
            "torch.sigmoid(logits - log_bound)"
        ),
        "A probability above 1: cap it where the logit exceeds the bound.": slip("max=0", "max=80"),
        "The bound is missing: M makes p / (M q) a probability.": slip(
            "(logits - log_bound)", "logits"
        ),
        (
            "You keep all above the bound and nothing below: what is kept then follows neither p nor q. "
            "Keep with a probability."
        ): returning("(logits >= log_bound).float()"),
        "You divided by log M. Divide by M, that is, subtract log M in the exponent.": returning(
            "(logits.exp() / log_bound).clamp(max=1)"
        ),
        "The difference has the wrong sign: logit minus log M.": returning(
            "(log_bound - logits).clamp(max=0).exp()"
        ),
        "This is the logarithm of the probability: take exp().": returning(
            "(logits - log_bound).clamp(max=0)"
        ),
        "You took the largest logit for the bound. Use log_bound, which is given.": returning(
            "(logits - logits.max()).exp()"
        ),
        (
            "exp() of such logits is infinite, and infinite by infinite is NaN. Subtract first, then "
            "take exp()."
        ): returning("(logits.exp() / torch.tensor(log_bound).exp()).clamp(max=1)"),
        "This is the probability to throw a sample away. Return that of keeping it.": returning(
            "1 - (logits - log_bound).clamp(max=0).exp()"
        ),
        "These numbers add up to 1 over the samples. Each sample has a probability of its own.": returning(
            "torch.softmax(logits, dim=0)"
        ),
    },
    alternatives=(
        returning("torch.exp(torch.minimum(logits - log_bound, torch.zeros(())))"),
        returning("torch.where(logits > log_bound, 1.0, torch.exp(logits - log_bound))"),
        returning("torch.clamp(torch.exp(logits - log_bound), max=1.0)"),
    ),
)

# --- SMOTE ------------------------------------------------------------------------------------


def _smote_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, columns, made):
        return {
            "x": rng.normal(0, 1, (rows, columns)),
            "base": rng.integers(rows, size=made),
            "rank": rng.integers(1, rows, size=made),
            "t": rng.uniform(0.05, 0.95, (made, 1)),
        }

    return {
        "three points, one new": case(3, 2, 1),
        "twelve images, ten new": case(12, 64, 10),
        "more new points than old ones": case(5, 3, 20),
    }


def _smote_loop(x, base, rank, t):
    made = []
    for i, r, way in zip(base, rank, t, strict=True):
        distances = (x - x[i]).norm(dim=1)
        other = x[torch.argsort(distances)[r]]
        made.append((1 - way) * x[i] + way * other)
    return torch.stack(made)


def _smote_by_topk(x, base, rank, t):
    distances = torch.cdist(x[base], x)
    order = distances.topk(len(x), dim=1, largest=False).indices
    other = x[order.gather(1, rank[:, None]).squeeze(1)]
    return torch.lerp(x[base], other, t)


def _smote_picture(answer):
    torch.manual_seed(0)
    angle = torch.linspace(0, 3.6, 9)
    x = torch.stack([angle.cos(), angle.sin()], dim=1)
    base, rank = torch.randint(9, (150,)), torch.randint(1, 3, (150,))
    made = answer(x, base, rank, torch.rand(150, 1))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(*made.T, ".", color=ORANGE, markersize=3, label="SMOTE, two neighbours")
    ax.plot(*x.T, "o", color=BLUE, label="given")
    ax.set(title="Only on lines between given points", aspect="equal")
    ax.legend(fontsize=8, loc="lower center")
    return fig, (
        "Nine points on an arc, and new ones, all on straight lines between neighbouring points: "
        "the new ones fill the gaps and never leave the outline."
    )


SMOTE = Exercise(
    id="cures.smote",
    title="SMOTE",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return new rows, each a share t of the way from row `base` of x to its `rank`-th nearest "
    "neighbour (rank 1 is the nearest other row).",
    hints=(
        "torch.cdist(x, x) gives all distances; argsort(dim=1) orders each row's neighbours, the "
        "nearest first. The very nearest, rank 0, is the row itself.",
        "x[neighbours[base, rank]] are the neighbours chosen; the new row is x[base] + t times the "
        "way there.",
    ),
    reference=steering.smote,
    inputs=_smote_cases,
    picture=_smote_picture,
    mistakes={
        "Rank 1 is the nearest other row. You counted the row itself as rank 1.": slip(
            "rank]]", "rank - 1]]"
        ),
        "t counts from the wrong end: t = 0 is the row itself.": slip("+ t *", "+ (1 - t) *"),
        "The neighbours are ordered from the farthest on.": slip(
            "argsort(dim=1)", "argsort(dim=1, descending=True)", "rank]]", "rank - 1]]"
        ),
        "You went towards row number `rank` of x. It is the rank-th nearest neighbour that is meant.": slip(
            "x[neighbours[base, rank]]", "x[rank]"
        ),
        "The step is added to the neighbour. Start from the row `base`.": slip(
            "return x[base] +", "return other +"
        ),
        "You went towards the neighbour as if from 0: the step is t times (neighbour - row).": returning(
            "x[base] + t * other"
        ),
        "The step has the wrong sign: it leads away from the neighbour.": returning(
            "x[base] - t * (other - x[base])"
        ),
        "These are copies of rows of x. Go a share t towards the neighbour.": returning(
            "x[base] + 0 * t"
        ),
        "These are copies of the neighbours. Go only a share t towards them.": returning(
            "other + 0 * t"
        ),
        "This is always half of the way, whatever t says.": returning("(x[base] + other) / 2"),
        "You always took the nearest neighbour. Take the one with the rank that is given.": slip(
            "neighbours[base, rank]", "neighbours[base, 1]"
        ),
        "All new rows share the mean t. Each has its own.": returning(
            "x[base] + t.mean() * (other - x[base])"
        ),
        "This is the step alone. Add it to the row.": returning("t * (other - x[base])"),
    },
    alternatives=(_smote_loop, _smote_by_topk, returning("(1 - t) * x[base] + t * other")),
)
