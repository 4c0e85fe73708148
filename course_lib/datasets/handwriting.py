"""What is measured of a written digit, beside which digit it is: its slant and the width of its stroke."""

import torch
import torch.nn.functional as F
from torch import Tensor


def slant(images: Tensor) -> Tensor:
    """How far the ink moves to the right for each pixel that one goes up: (n,), 0 for upright digits.

    The slope of the line that predicts a pixel's column from its row, weighted by ink. A shear by this
    much would set the digit upright, which is how LeCun et al. 1998, "Gradient-based learning applied
    to document recognition", section III.A, take the slant from NIST's digits. An image without ink has 0.

    Args:
        images: (n, side^2) or (n, side, side), 0 for paper.

    >>> leaning = torch.eye(8).flip(0)[None]  # a stroke from bottom left to top right
    >>> slant(leaning)
    tensor([1.])
    """
    squares = _squares(images)
    place = torch.arange(squares.shape[-1], dtype=squares.dtype, device=squares.device)
    ink = squares.sum(dim=(1, 2)).clamp(min=1e-6)
    down, right = (squares.sum(dim=axis) @ place / ink for axis in (2, 1))
    rows, columns = (place - middle[:, None] for middle in (down, right))
    together = torch.einsum("nij,ni,nj->n", squares, rows, columns)
    vertical = torch.einsum("nij,ni->n", squares, rows.square())
    return -together / vertical.clamp(min=1e-6)


def stroke_width(images: Tensor) -> Tensor:
    """The mean width of a digit's stroke in pixels: (n,), twice its ink over the length of its contour.

    A stroke of length l and width b has an area of about l b and a contour of about 2 l. The contour of
    grey levels is the sum of the lengths of their gradient (their total variation, in the sense of
    Rudin, Osher and Fatemi 1992). An image without ink has 0.

    Args:
        images: (n, side^2) or (n, side, side), 0 for paper; the scale of the grey levels cancels.

    >>> bar = torch.zeros(1, 40, 40)
    >>> bar[:, 5:35, 10:13] = 16  # 3 pixels wide and 30 long
    >>> stroke_width(bar).round(decimals=1)
    tensor([2.8000])
    """
    squares = F.pad(_squares(images), (1, 1, 1, 1))
    corner = squares[:, :-1, :-1]
    down, right = squares[:, 1:, :-1] - corner, squares[:, :-1, 1:] - corner
    contour = (down.square() + right.square()).sqrt().sum(dim=(1, 2))
    return 2 * squares.sum(dim=(1, 2)) / contour.clamp(min=1e-6)


def _squares(images: Tensor) -> Tensor:
    side = round(images[0].numel() ** 0.5)
    return images.reshape(-1, side, side)
