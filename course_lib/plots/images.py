"""Sheets of grey-level images."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from course_lib.plots.showing import WIDEST, Picture


def image_grid(
    images: np.ndarray,
    columns: int = 10,
    low: float = 0.0,
    high: float = 16.0,
    title: str = "",
    ax=None,
) -> Figure:
    """Grey-level images side by side, dark ink on white.

    Args:
        images: (n, height, width), values from `low` (white) to `high` (black).
        columns: images a row.
        ax: draw on these axes instead of on a new figure.
    """
    images = np.asarray(images)
    if images.ndim != 3 or len(images) == 0:
        raise ValueError(f"Images must have the shape (n, height, width); got {images.shape}.")
    count, height, width = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    if ax is None:
        scale = min(0.55 if width < 16 else 0.8, WIDEST / columns)
        size = (max(scale * columns, 2.5), scale * rows + (0.35 if title else 0.05))
        _, ax = plt.subplots(figsize=size)
    # One sheet with a border between the images is drawn far faster than n axes.
    sheet = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1), np.nan)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + 1) + 1, (i % columns) * (width + 1) + 1
        sheet[top : top + height, left : left + width] = image
    shade = plt.get_cmap("gray_r").with_extremes(bad="#dde8f0")
    ax.imshow(sheet, vmin=low, vmax=high, cmap=shade)
    ax.axis("off")
    ax.set_title(title)
    return ax.figure


def image_rows(
    rows: Mapping[str, np.ndarray],
    *,
    title: str,
    columns: Sequence[str] = (),
    low: float = 0.0,
    high: float = 16.0,
) -> Picture:
    """Rows of images, each with its caption on the left, and if wanted captions over the columns.

    Args:
        rows: by caption, square images (n, height, width) or (n, pixels); as many in each row.
        columns: n captions, or none.
        low, high: the values that are drawn white and black.

    Raises:
        ValueError: when rows differ in their shape.

    >>> picture = image_rows({"real": np.zeros((3, 64)), "generated": np.ones((3, 64))}, title="Digits")
    >>> picture.alt
    'Digits. Rows of 3 images of 8 x 8 pixels: real, mean 0, spread 0; generated, mean 1, spread 0.'
    """
    arrays = {name: _squares(images) for name, images in rows.items()}
    shapes = {images.shape for images in arrays.values()}
    if len(shapes) != 1:
        raise ValueError(f"All rows need images of one shape and number; got {sorted(shapes)}.")
    ((count, height, width),) = shapes
    scale = min(0.55 if width < 16 else 0.8, (WIDEST - 1.5) / count)
    size = (scale * count + 1.5, scale * len(arrays) + (0.6 if columns else 0.35))
    fig, ax = plt.subplots(figsize=size)
    image_grid(np.concatenate([*arrays.values()]), count, low, high, title, ax)
    ax.axis("on")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=8)
    ax.set_yticks([i * (height + 1) + height / 2 for i in range(len(arrays))], list(arrays))
    ax.set_xticks([i * (width + 1) + width / 2 for i in range(len(columns))], list(columns))
    ax.xaxis.tick_top()
    found = (f"{name}, mean {a.mean():.3g}, spread {a.std():.3g}" for name, a in arrays.items())
    over = f" Columns: {', '.join(columns)}." if columns else ""
    kind = f"Rows of {count} images of {height} x {width} pixels"
    return Picture(fig, f"{title}. {kind}: {'; '.join(found)}.{over}")


def _squares(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images, float)
    if images.ndim == 2:
        side = int(np.sqrt(images.shape[1]))
        images = images.reshape(-1, side, side)
    return images
