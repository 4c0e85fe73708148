"""The game with one side held still: why a generator collapses."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def best_response(
    discriminator: Callable[[Tensor], Tensor], x: Tensor, steps: int, rate: float
) -> Tensor:
    """Where a generator's points x (n, d) move while the discriminator stays as it is: (n, d).

    In each step every point climbs the discriminator's logit: x <- x + rate * grad D(x).

    >>> best_response(lambda x: -x.square().sum(dim=-1), torch.ones(1, 2), steps=2, rate=0.25)
    tensor([[0.2500, 0.2500]])
    """
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
        x = x + rate * slope
    return x.detach()


def mode_hopping(q: np.ndarray, rate: float, rounds: int) -> np.ndarray:
    """The modes (rounds,) that are visited by a generator that always gives its best response.

    The real modes are equally likely. The discriminator remembers how often it has met fakes of each,
    q (modes,), and so its logit at mode i is log(p_i / q_i). In each round the whole generator jumps to
    the mode with the highest logit; then the discriminator's memory moves by the share `rate`
    towards that mode.

    >>> mode_hopping(np.array([0.2, 0.3, 0.5]), rate=0.5, rounds=4)
    array([0, 1, 2, 0])
    """
    visited = []
    for _ in range(rounds):
        mode = np.argmin(q)  # the highest log(p / q), for p is the same everywhere
        q = (1 - rate) * q + rate * (np.arange(len(q)) == mode)
        visited.append(mode)
    return np.array(visited)
