"""Every picture that a panel can show, drawn in advance: for a page that has no kernel behind it."""

import base64
import io
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

# What a panel on a page may have at most; of a finer one, evenly spaced positions are drawn.
FRAMES = 80
BYTES = 2_500_000
KIND = "application/vnd.course.panel+json"  # of the output that holds the frames
LEAST = 3  # positions that a slider keeps, if it has as many


@dataclass(frozen=True)
class Positions:
    """A control's values and texts; a slider may leave some out, but not the one at which it starts."""

    label: str
    values: Sequence[Any]
    texts: Sequence[str]
    start: int
    is_slider: bool

    def thinned(self, count: int) -> "Positions":
        """At most so many of the positions: the ends, the start, and evenly spaced ones between.

        >>> Positions("x", range(9), "abcdefghi", 3, True).thinned(4).values
        (0, 3, 5, 8)
        """
        last = len(self.values) - 1
        if count > last or not self.is_slider:
            return self
        kept = [round(n * last / (count - 1)) for n in range(count)]
        if self.start not in kept:
            near = min(range(count), key=lambda n: abs(kept[n] - self.start))
            kept[min(max(near, 1), count - 2)] = self.start  # the ends stay
        return Positions(
            self.label,
            tuple(self.values[n] for n in kept),
            tuple(self.texts[n] for n in kept),
            kept.index(self.start),
            self.is_slider,
        )


def positions(label: str, control: widgets.Widget) -> Positions:
    """Where `control` can stand. Raises TypeError for a widget that has no positions to list."""
    if hasattr(control, "options"):
        texts, values = zip(*control._options_full, strict=True)
        is_slider = isinstance(control, widgets.SelectionSlider)
        return Positions(label, values, texts, control.index, is_slider)
    if not all(hasattr(control, name) for name in ("min", "max", "step")):
        raise TypeError(f"{label}: a {type(control).__name__} has no list of positions.")
    whole = isinstance(control.value, int)
    count = int((control.max - control.min) / control.step + 1e-6) + 1
    steps = (control.min + n * control.step for n in range(count))
    values = tuple(round(step) if whole else round(step, 10) + 0.0 for step in steps)
    start = min(range(count), key=lambda n: abs(values[n] - control.value))
    return Positions(label, values, tuple(f"{value:g}" for value in values), start, True)


def chosen(controls: Sequence[Positions], most: int) -> list[Positions]:
    """The positions to draw, at most `most` combinations where sliders allow it.

    >>> wide = Positions("x", range(50), "x" * 50, 0, True)
    >>> [len(each.values) for each in chosen([wide, wide], 80)]
    [9, 8]
    """
    counts = [len(each.values) for each in controls]
    while prod(counts) > most:
        longest = max(
            (n for n, each in enumerate(controls) if each.is_slider and counts[n] > LEAST),
            key=lambda n: (counts[n], n),
            default=None,
        )
        if longest is None:
            break
        counts[longest] -= 1
    return [each.thinned(count) for each, count in zip(controls, counts, strict=True)]


def show_frames(
    figure: Callable[..., tuple[Figure, str]], labels: dict[str, str], controls: dict[str, Any]
) -> None:
    """Draw `figure` at the positions of its controls, and display all of it as one output of `KIND`.

    Random numbers that the function draws are given back, so what follows sees what a learner sees.
    """
    full = [positions(labels[name], control) for name, control in controls.items()]
    with _as_it_was():
        at_start = {
            name: each.values[each.start] for name, each in zip(controls, full, strict=True)
        }
        size = len(_webp(figure(**at_start)[0]))
        drawn = chosen(full, min(FRAMES, int(BYTES / 1.25 / size)))
        frames = []
        for values in product(*(each.values for each in drawn)):
            picture, alt = figure(**dict(zip(controls, values, strict=True)))
            frames.append(
                {"webp": base64.b64encode(_webp(picture)).decode(), "alt": " ".join(alt.split())}
            )
    panel = {
        "controls": [
            {
                "label": each.label,
                "texts": list(each.texts),
                "start": each.start,
                "slider": each.is_slider,
            }
            for each in drawn
        ],
        "frames": frames,
        "positions": prod(len(each.values) for each in full),
    }
    display({KIND: panel, "text/plain": f"{len(frames)} pictures of the panel"}, raw=True)


def _webp(fig: Figure) -> bytes:
    # Some two thousand are drawn for the site: a PNG in between would make charts a third slower.
    raw, webp = io.BytesIO(), io.BytesIO()
    fig.savefig(raw, format="rgba", dpi=fig.dpi)
    size = fig.canvas.get_width_height()
    plt.close(fig)
    picture = Image.frombytes("RGBA", size, raw.getvalue()).convert("RGB")
    picture.save(webp, "WEBP", lossless=True, method=2)
    return webp.getvalue()


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Put the global generators back to where they stood."""
    kept, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(kept)
        np.random.set_state(of_numpy)
