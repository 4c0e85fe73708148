"""Sounds to listen to, each with its name in words."""

from collections.abc import Mapping
from html import escape

import numpy as np
from IPython.display import HTML, Audio
from numpy.typing import ArrayLike


def players(sounds: Mapping[str, ArrayLike], rate: int = 8000) -> HTML:
    """A player for each sound (samples,), by its name, which a screen reader says, too.

    Args:
        sounds: values from -1 to 1; a sound with larger ones is made softer.
        rate: samples a second.

    >>> page = players({"a click": [0.0, 1.0, 0.0]})
    >>> 'aria-label="a click"' in page.data, page.data.count("<audio")
    (True, 1)
    """
    boxes = []
    for name, sound in sounds.items():
        values = np.asarray(sound, float)
        values = values / max(1.0, np.abs(values).max())
        source = Audio(values, rate=rate, normalize=False).src_attr()
        boxes.append(
            f'<figure style="display: inline-block; margin: 4px"><figcaption>{escape(name)}</figcaption>'
            f'<audio controls preload="none" style="width: 14em" aria-label="{escape(name)}" '
            f'src="{source}"></audio></figure>'
        )
    return HTML("".join(boxes))
