"""Building blocks that several models share."""

from itertools import pairwise

from torch import nn


def mlp(*sizes: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of the given sizes, SiLU between them: `mlp(64, 256, 256, 16)`.

    Args:
        sizes: width of the input, of each hidden layer, and of the output.
        dropout: share of hidden units that a training step ignores.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
