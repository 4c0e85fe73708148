"""Cures against mode collapse, each a few lines. Arrays may have any leading dimensions (..., n, d)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call


def pack(x: Tensor, size: int) -> Tensor:
    """Packs of `size` points, (..., n, d) to (..., n / size, size d): a discriminator that sees several
    points at once sees that they are alike.

    Source: Lin et al. 2018, arXiv 1712.04086 (PacGAN), section 2.

    >>> pack(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), size=2)
    tensor([[1., 2., 3., 4.]])
    """
    return x.reshape(*x.shape[:-2], x.shape[-2] // size, size * x.shape[-1])


def with_deviation(features: Tensor) -> Tensor:
    """Features (..., n, d), each row followed by how much the whole batch varies: (..., n, d + 1).

    Source: Karras et al. 2018, arXiv 1710.10196 (progressive GAN), section 3.

    >>> with_deviation(torch.tensor([[0.0], [2.0]]))
    tensor([[0., 1.],
            [2., 1.]])
    """
    # the standard deviation over the batch, averaged over the features
    variance = features.var(dim=-2, keepdim=True, correction=0)
    deviation = (variance + 1e-8).sqrt().mean(dim=-1, keepdim=True)
    return torch.cat([features, deviation.expand(*features.shape[:-1], 1)], dim=-1)


def wasserstein_penalty(critic: Callable, real: Tensor, fake: Tensor, t: Tensor) -> Tensor:
    """WGAN-GP: how far the critic's slope is from 1 between real points and fakes, squared.

    Args:
        real, fake: (..., n, d).
        t: (..., n, 1) from 0 to 1, the place between the two.

    Source: Gulrajani et al. 2017, arXiv 1704.00028, eq. 3.

    >>> slope = torch.tensor([3.0, 4.0])  # of length 5, so the penalty is (5 - 1)^2
    >>> real, fake = torch.zeros(4, 2), torch.ones(4, 2)
    >>> wasserstein_penalty(lambda x: x @ slope, real, fake, t=torch.full((4, 1), 0.5))
    tensor(16.)
    """
    # E ( || grad_x D(x) || - 1 )^2,   x = t real + (1 - t) fake
    x = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (gradient.norm(dim=-1) - 1).square().mean()


def unrolled(
    discriminator: nn.Module,
    loss: Callable[[Callable[[Tensor], Tensor]], Tensor],
    steps: int,
    rate: float,
) -> Callable[[Tensor], Tensor]:
    """The discriminator as it would be after `steps` more steps of gradient descent on `loss`.

    `loss` maps a discriminator to the scalar that it minimises. Gradients pass through the steps, so
    that a generator learns where its opponent would go.

    Source: Metz et al. 2017, arXiv 1611.02163, eq. 7 to 10; in their experiments the steps are Adam's.

    >>> discriminator = nn.Linear(1, 1, bias=False)
    >>> ahead = unrolled(discriminator, lambda d: d(torch.ones(1, 1)).sum(), steps=2, rate=0.5)
    >>> (ahead(torch.ones(1, 1)) - discriminator(torch.ones(1, 1))).round(decimals=4)  # two steps down
    tensor([[-1.]], grad_fn=<RoundBackward1>)
    """
    weights: Mapping[str, Tensor] = dict(discriminator.named_parameters())

    def at(weights: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: functional_call(discriminator, weights, (x,))

    for _ in range(steps):
        gradients = torch.autograd.grad(loss(at(weights)), weights.values(), create_graph=True)
        weights = {
            name: weight - rate * gradient
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
    return at(weights)


def unrolled_by_adam(
    discriminator: nn.Module,
    loss: Callable[[Callable[[Tensor], Tensor]], Tensor],
    steps: int,
    adam: torch.optim.Adam,
) -> Callable[[Tensor], Tensor]:
    """As `unrolled`, but the steps are those that `adam` would take next, as Metz et al. did it.

    Its rate and running averages are taken as they stand and not changed.

    Raises:
        ValueError: for an optimizer with more than one group of parameters.

    Source: Metz et al. 2017, arXiv 1611.02163, section 3; Kingma and Ba 2014, arXiv 1412.6980.

    >>> discriminator = nn.Linear(1, 1, bias=False)
    >>> adam = torch.optim.Adam(discriminator.parameters(), lr=0.1)
    >>> ahead = unrolled_by_adam(discriminator, lambda d: d(torch.ones(1, 1)).sum(), 2, adam)
    >>> moved = ahead(torch.ones(1, 1)) - discriminator(torch.ones(1, 1))
    >>> round(moved.item(), 4)  # two steps of one rate each
    -0.2
    """
    if len(adam.param_groups) != 1:
        raise ValueError("Unrolling by Adam needs an optimizer with one group of parameters.")
    rate, eps = adam.param_groups[0]["lr"], adam.param_groups[0]["eps"]
    beta_1, beta_2 = adam.param_groups[0]["betas"]
    weights: Mapping[str, Tensor] = dict(discriminator.named_parameters())
    state = [adam.state.get(weight, {}) for weight in weights.values()]
    zero = [torch.zeros_like(weight) for weight in weights.values()]
    m = [s.get("exp_avg", z).clone() for s, z in zip(state, zero, strict=True)]
    v = [s.get("exp_avg_sq", z).clone() for s, z in zip(state, zero, strict=True)]
    taken = int(state[0].get("step", 0))

    def at(weights: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: functional_call(discriminator, weights, (x,))

    for t in range(taken + 1, taken + steps + 1):
        gradients = torch.autograd.grad(loss(at(weights)), weights.values(), create_graph=True)
        # m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
        m = [beta_1 * old + (1 - beta_1) * g for old, g in zip(m, gradients, strict=True)]
        v = [beta_2 * old + (1 - beta_2) * g.square() for old, g in zip(v, gradients, strict=True)]
        # w <- w - rate m^ / sqrt(v^); eps stands within the root, where its slope stays finite
        weights = {
            name: weight
            - rate * (first / (1 - beta_1**t)) / (second / (1 - beta_2**t) + eps**2).sqrt()
            for (name, weight), first, second in zip(weights.items(), m, v, strict=True)
        }
    return at(weights)
