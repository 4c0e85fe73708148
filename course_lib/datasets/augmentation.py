"""Small random changes to training images, so that few images go a longer way."""

import torch
from torch import Tensor
from torch.nn import functional as F


def random_shift(images: Tensor, share: float = 0.3) -> Tensor:
    """Move a random `share` of the images by up to one pixel in each direction, padding with 0.

    Args:
        images: (n, height * width) of square images, or (n, height, width).
        share: the probability with which an image is moved, 0 to 1.

    >>> random_shift(torch.ones(100, 8, 8), share=1.0).shape
    torch.Size([100, 8, 8])
    """
    if not share:
        return images
    side = round(images[0].numel() ** 0.5)
    squares = images.reshape(-1, side, side)
    padded = F.pad(squares, (1, 1, 1, 1))
    count, line = len(squares), torch.arange(side, device=images.device)
    rows, columns = torch.randint(0, 3, (2, count, 1), device=images.device) + line
    each = torch.arange(count, device=images.device)[:, None, None]
    moved = padded[each, rows[:, :, None], columns[:, None, :]]
    chosen = torch.rand(count, 1, 1, device=images.device) < share
    return torch.where(chosen, moved, squares).reshape(images.shape)
