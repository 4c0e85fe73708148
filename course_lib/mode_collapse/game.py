"""The game with one side held still: why a generator collapses."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def best_response(
    discriminator: Callable[[Tensor], Tensor], x: Tensor, steps: int, rate: float
) -> Tensor:
    """Where a generator's points x (n, d) go while the discriminator stays as it is: (n, d).

    In each step every point climbs the discriminator's logit: x <- x + rate * grad D(x).
    """
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
        x = x + rate * slope
    return x.detach()


def mode_hopping(q: np.ndarray, rate: float, rounds: int) -> np.ndarray:
    """The modes (rounds,) that a generator visits which always gives its best response.

    The real modes are equally likely. The discriminator remembers how often it has met fakes of each,
    q (modes,), and so its logit at mode i is log(p_i / q_i). In each round the generator jumps to the
    mode with the highest logit, all of it; then the discriminator's memory moves by the share `rate`
    towards that mode.
    """
    visited = []
    for _ in range(rounds):
        mode = np.argmin(q)  # the highest log(p / q), for p is the same everywhere
        q = (1 - rate) * q + rate * (np.arange(len(q)) == mode)
        visited.append(mode)
    return np.array(visited)
