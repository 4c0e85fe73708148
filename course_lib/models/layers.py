"""Building blocks, and the scale of images, that several models share."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mlp(
    *sizes: int, dropout: float = 0.0, activation: Callable[[], nn.Module] = nn.SiLU
) -> nn.Sequential:
    """Linear layers of the given sizes with activations between: `mlp(64, 256, 256, 16)`.

    Args:
        sizes: width of the input, of each hidden layer, and of the output.
        dropout: share of hidden units that a training step ignores.
        activation: makes the module that follows each hidden layer.

    >>> mlp(64, 256, 16)(torch.zeros(5, 64)).shape
    torch.Size([5, 16])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), activation()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def within_class(values: Tensor, y: Tensor) -> Tensor:
    """`values` (n, k) less the mean of their class y (n,).

    >>> within_class(torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([0, 0, 1])).flatten()
    tensor([-1.,  1.,  0.])
    """
    one_hot = F.one_hot(y).to(values)
    means = one_hot.T @ values / one_hot.sum(dim=0).clamp(min=1)[:, None]
    return values - means[y]


def append_class(values: Tensor, y: Tensor | None, classes: int) -> Tensor:
    """`values` (n, d) followed by the class y (n,) as one-hot columns: (n, d + classes).

    With classes = 0 there is no y, and the values come back unchanged.

    Raises:
        ValueError: when y is missing although there are classes, or given although there are none.

    >>> append_class(torch.zeros(1, 2), torch.tensor([1]), classes=3)
    tensor([[0., 0., 0., 1., 0.]])
    """
    if (y is None) != (classes == 0):
        raise ValueError(
            "This model is conditional: say which class, y."
            if y is None
            else "This model is not conditional: it takes no class y."
        )
    return values if y is None else torch.cat([values, F.one_hot(y, classes).to(values)], dim=-1)


def time_embedding(time: Tensor, dim: int = 64) -> Tensor:
    """Sines and cosines of times (n,) from 0 to 1 at `dim / 2` frequencies from 1 to 1000.

    >>> time_embedding(torch.tensor([0.0, 0.5]), dim=8).shape
    torch.Size([2, 8])
    """
    frequency = torch.exp(torch.linspace(0, math.log(1000), dim // 2, device=time.device))
    angle = time.unsqueeze(1) * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def from_grey_levels(x: Tensor, levels: int = 16) -> Tensor:
    """Grey levels, 0 to `levels`, as values in [-1, 1].

    >>> from_grey_levels(torch.tensor([0.0, 8.0, 16.0]))
    tensor([-1.,  0.,  1.])
    """
    return 2 * x / levels - 1


def to_grey_levels(x: Tensor, levels: int = 16) -> Tensor:
    """Values in [-1, 1] as whole grey levels, 0 to `levels`.

    >>> to_grey_levels(torch.tensor([-1.2, 0.0, 0.99]))
    tensor([ 0.,  8., 16.])
    """
    return ((x + 1) * levels / 2).round().clamp(0, levels)
