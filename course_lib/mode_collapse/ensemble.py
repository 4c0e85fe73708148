"""Several small networks trained at once: one batched product takes the place of many small ones.

Every member has a random generator of its own, which draws its weights, the order of its data and its
latents. So the result of a member does not depend on which other members there are.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Randomness:
    """One random generator for each member, by its seed; every draw is stacked (members, ...).

    >>> randomness = Randomness([7, 8, 7])
    >>> draws = randomness.normal(100, 2)
    >>> draws.shape, torch.equal(draws[0], draws[2])
    (torch.Size([3, 100, 2]), True)
    """

    def __init__(self, seeds: Sequence[int]):
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __len__(self) -> int:
        return len(self._generators)

    def normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(shape, generator=g) for g in self._generators])

    def uniform(self, *shape: int) -> Tensor:
        return torch.stack([torch.rand(shape, generator=g) for g in self._generators])

    def orders(self, n: int) -> Tensor:
        """A permutation of n numbers for each member, (members, n)."""
        return torch.stack([torch.randperm(n, generator=g) for g in self._generators])


class Linears(nn.Module):
    """A linear layer for each member: (members, n, inputs) to (members, n, outputs).

    >>> Linears(2, 5, Randomness([0, 1, 2]))(torch.zeros(3, 10, 2)).shape
    torch.Size([3, 10, 5])
    """

    def __init__(self, inputs: int, outputs: int, randomness: Randomness):
        super().__init__()
        # He et al. 2015, arXiv 1502.01852: variances stay as they are from one ReLU to the next
        self.weight = nn.Parameter(randomness.normal(inputs, outputs) * math.sqrt(2 / inputs))
        self.bias = nn.Parameter(torch.zeros(len(randomness), 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def mlps(*sizes: int, randomness: Randomness) -> nn.Sequential:
    """`layers.mlp` for each member, with ReLUs between its layers.

    >>> mlps(2, 16, 16, 1, randomness=Randomness([0, 1, 2]))(torch.zeros(3, 10, 2)).shape
    torch.Size([3, 10, 1])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [Linears(inputs, outputs, randomness), nn.ReLU()]
    return nn.Sequential(*layers, Linears(*sizes[-2:], randomness))
