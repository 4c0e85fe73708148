"""Differentially private gradients in the open: sample, one gradient for each record, clip, add noise.

Source: Abadi et al. 2016, "Deep learning with differential privacy", arXiv 1607.00133, algorithm 1.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, vmap

Gradients = dict[str, Tensor]


def poisson_sample(n: int, rate: float, chance: torch.Generator) -> Tensor:
    """The places of the records in a batch, each of n in it with the same chance: (b,) int64.

    The size of the batch varies, and must: the accountant's sum holds for this sampling only.

    >>> len(poisson_sample(1000, 0.1, torch.Generator().manual_seed(0)))
    100
    """
    return (torch.rand(n, generator=chance) < rate).nonzero()[:, 0]


def per_example_gradients(
    loss: Callable[..., Tensor], parameters: dict[str, Tensor], *batch: Tensor
) -> Gradients:
    """The gradient of each record's loss: name -> (b, *shape of the parameter).

    Args:
        loss: `loss(parameters, *record)` gives one record's loss, a number.
        parameters: name -> tensor.
        batch: tensors whose first dimension counts the b records.

    >>> square = lambda p, x: (p["w"] * x) ** 2
    >>> per_example_gradients(square, {"w": torch.tensor(1.0)}, torch.tensor([1.0, 3.0]))
    {'w': tensor([ 2., 18.])}
    """
    dims = (None, *(0 for _ in batch))
    return vmap(grad(loss), in_dims=dims, randomness="different")(parameters, *batch)


def private_gradient(
    gradients: Gradients, bound: float, noise: Gradients, expected: float
) -> Gradients:
    """The clipped and noised mean of gradients: name -> shape of the parameter.

    Each record's gradient, over all parameters, is shortened to the Euclidean norm `bound` where it is
    longer; they are summed; `noise`, already scaled, is added; and the sum is divided by the *expected*
    size of the batch, as the true one would tell how many records were drawn.

    Args:
        gradients: name -> (b, *shape), as of `per_example_gradients`; b may be 0.
        noise: name -> shape, with the standard deviation sigma times `bound`, as of `gaussian_noise`.

    >>> gradients = {"w": torch.tensor([[3.0, 4.0], [0.3, 0.4]])}
    >>> private_gradient(gradients, 1.0, {"w": torch.zeros(2)}, expected=2)
    {'w': tensor([0.4500, 0.6000])}
    """
    squares = [g.flatten(1).square().sum(dim=1) for g in gradients.values()]
    norm = torch.stack(squares).sum(dim=0).sqrt()
    factor = (bound / norm.clamp(min=1e-12)).clamp(max=1)
    return {
        name: (torch.tensordot(factor, g, dims=1) + noise[name]) / expected
        for name, g in gradients.items()
    }


def gaussian_noise(like: dict[str, Tensor], sd: float, chance: torch.Generator) -> Gradients:
    """Independent normal numbers of the standard deviation sd in the shapes of `like`.

    >>> gaussian_noise({"w": torch.zeros(2)}, 0.0, torch.Generator())
    {'w': tensor([0., 0.])}
    """
    return {name: sd * torch.randn(value.shape, generator=chance) for name, value in like.items()}
