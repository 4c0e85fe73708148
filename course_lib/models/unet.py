"""A small U-Net: the denoiser for images too large for a perceptron.

Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation", arXiv
1505.04597, told time and class as in Ho et al. 2020 (DDPM), arXiv 2006.11239.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.layers import time_embedding


class Block(nn.Module):
    """A residual block: two convolutions; what the network is told is added between them.

    >>> Block(8, 16, told=4)(torch.zeros(2, 8, 7, 7), torch.zeros(2, 4)).shape
    torch.Size([2, 16, 7, 7])
    """

    def __init__(self, inputs: int, outputs: int, told: int):
        super().__init__()
        self.enter = nn.Sequential(
            nn.GroupNorm(8, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.told = nn.Linear(told, outputs)
        self.leave = nn.Sequential(
            nn.GroupNorm(8, outputs), nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1)
        )
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.leave[-1].weight)  # each block starts as its shortcut
        nn.init.zeros_(self.leave[-1].bias)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """(n, inputs, h, w) and told (n, told) to (n, outputs, h, w)."""
        hidden = self.enter(x) + self.told(told)[:, :, None, None]
        return self.skip(x) + self.leave(hidden)


class UNet(nn.Module):
    """v_theta(x_t, t, y): down to a quarter of the image's side, and up again, joined to what came down.

    Blocks of 2 x 2 pixels become four channels first, as in lesson 02's GAN, so that no convolution
    works at the full side; a second halving follows inside.

    Args:
        channels: maps at half the image's side, a multiple of 8; at a quarter there are twice as many.
        classes: 0, or the number of classes; then `self.classes` stands for "no class given".
        pixels: of an image, whose side must be a multiple of 4.

    Raises:
        ValueError: for an image of another size.

    >>> UNet(channels=8)(torch.zeros(2, 784), torch.tensor([0.1, 0.9])).shape
    torch.Size([2, 784])
    """

    def __init__(self, channels: int = 32, classes: int = 0, pixels: int = 784):
        super().__init__()
        side = math.isqrt(pixels)
        if side**2 != pixels or side % 4:
            raise ValueError(f"{pixels} pixels: a U-Net needs square images of side 4, 8, 12, ...")
        self.classes, self.pixels = classes, pixels
        wide = told = 2 * channels
        self.time = nn.Sequential(nn.Linear(64, told), nn.SiLU(), nn.Linear(told, told))
        self.label = nn.Embedding(classes + 1, told)
        self.enter = nn.Sequential(
            nn.Unflatten(1, (1, side, side)),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4, channels, 3, padding=1),
        )
        self.down = Block(channels, channels, told)
        self.halve = nn.Conv2d(channels, wide, 3, stride=2, padding=1)
        self.middle = nn.ModuleList(Block(wide, wide, told) for _ in range(2))
        self.widen = nn.Conv2d(wide, 4 * channels, 1)  # for four pixels each
        self.up = Block(2 * channels, channels, told)
        self.leave = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, 4, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Flatten(),
        )
        nn.init.zeros_(self.leave[2].weight)  # the whole starts as 0, its natural scale
        nn.init.zeros_(self.leave[2].bias)

    def forward(self, x_t: Tensor, time: Tensor, y: Tensor | None = None) -> Tensor:
        """v (n, pixels) at x_t (n, pixels), for times (n,) from 0 to 1 and classes y (n,) or none."""
        if y is None:
            y = torch.full((len(x_t),), self.classes, device=x_t.device)
        told = F.silu(self.time(time_embedding(time)) + self.label(y))
        fine = self.down(self.enter(x_t), told)
        coarse = self.halve(fine)
        for block in self.middle:
            coarse = block(coarse, told)
        raised = F.pixel_shuffle(self.widen(coarse), 2)
        return self.leave(self.up(torch.cat([fine, raised], dim=1), told))
