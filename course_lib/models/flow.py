r"""Flow matching: learn the velocity that carries noise to data along straight lines.

Lipman et al. 2023, "Flow matching for generative modeling", arXiv 2210.02747; the straight path is also
the rectified flow of Liu et al. 2023, arXiv 2209.03003, and one of the stochastic interpolants of Albergo
and Vanden-Eijnden 2023, arXiv 2209.15571.

**Time runs the other way here than in `diffusion`**: t = 0 is noise $z$ and t = 1 is data $x$, and

$$x_t = (1 - t)\, z + t\, x, \qquad \frac{d x_t}{d t} = x - z .$$

The network learns the mean of $x - z$ given $x_t$. Following it from a noise gives a path that is not
straight in general: where lines cross, only their mean can be learned. `length_over_chord` measures it.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]  # points (n, d) and times (n,) to velocities (n, d)


def straight_path(x: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The point at time t on the straight line from noise to data, and its velocity, (n, d) each.

    Args:
        x, noise: (n, d).
        t: (n,), from 0 (noise) to 1 (data).

    >>> x, noise = torch.ones(1, 2), torch.zeros(1, 2)
    >>> straight_path(x, noise, torch.tensor([0.25]))
    (tensor([[0.2500, 0.2500]]), tensor([[1., 1.]]))
    """
    # x_t = (1 - t) noise + t x, and its derivative in t
    t = t.unsqueeze(1)
    return (1 - t) * noise + t * x, x - noise


def flow_matching_loss(velocity: Velocity, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """The mean squared error of the velocity on straight paths (Lipman et al., eq. 23): a scalar.

    Args:
        velocity: the network, from x_t (n, d) and t (n,) to (n, d).
        x, noise: (n, d).
        t: (n,), from 0 (noise) to 1 (data).

    >>> x, noise, t = torch.ones(2, 3), torch.zeros(2, 3), torch.tensor([0.1, 0.9])
    >>> flow_matching_loss(lambda x_t, t: torch.zeros_like(x_t), x, t, noise)
    tensor(1.)
    """
    # E || v_theta(x_t, t) - (x - noise) ||^2, as a mean over the numbers
    x_t, target = straight_path(x, noise, t)
    return F.mse_loss(velocity(x_t, t), target)


@torch.no_grad()
def euler_path(velocity: Velocity, noise: Tensor, steps: int) -> Tensor:
    """Points (steps + 1, n, d) on the way from noise (n, d) at t = 0 to data at t = 1, by Euler's steps.

    >>> euler_path(lambda x_t, t: torch.ones_like(x_t), torch.zeros(1, 1), steps=2).flatten()
    tensor([0.0000, 0.5000, 1.0000])
    """
    points = [noise]
    for i in range(steps):
        t = torch.full((len(noise),), i / steps, device=noise.device)
        points.append(points[-1] + velocity(points[-1], t) / steps)
    return torch.stack(points)


def length_over_chord(path: Tensor) -> Tensor:
    """How much longer each path is than the straight line between its ends: 1 for a straight one.

    Args:
        path: (steps + 1, n, d).

    >>> corner = torch.tensor([[[0.0, 0.0]], [[3.0, 0.0]], [[3.0, 4.0]]])
    >>> length_over_chord(corner)
    tensor([1.4000])
    """
    length = path.diff(dim=0).norm(dim=-1).sum(dim=0)
    return length / (path[-1] - path[0]).norm(dim=-1)
