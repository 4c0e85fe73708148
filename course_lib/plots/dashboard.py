"""A dashboard of a running training that is redrawn in place."""

import time
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import DisplayHandle, display

from course_lib.plots.images import image_grid
from course_lib.plots.showing import WIDEST, bundle
from course_lib.session import interactive


class Dashboard:
    """Losses and samples of a running training, redrawn in one place.

    Use it as a context manager and call `update` in the loop. Watching live costs little: it redraws
    at most once in `every` seconds, and asks for samples only then. When nobody is watching, it draws
    once, at the end.

        with Dashboard("VAE") as dashboard:
            for step in training_loop(...):
                dashboard.update(step, samples=lambda: vae.sample(20))
    """

    def __init__(self, title: str, every: float = 1.0, high: float = 16.0):
        self.title, self.every, self.high = title, every, high
        self.history: dict[str, list[tuple[int, float]]] = {}
        self._handle: DisplayHandle | None = None
        self._drawn = 0.0
        self._latest: tuple | None = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        # Also after an interruption or an error: what was reached is worth seeing.
        if self._latest is not None:
            self._draw(*self._latest)

    def update(self, step, samples=None, extra: Mapping[str, float] | None = None) -> None:
        """Record the losses of `step` and the values of `extra`; redraw when it is time.

        Args:
            step: a `training.Step`.
            samples: a function that returns images (n, height, width), called only to draw.
            extra: further named values, such as a held-out measure at some of the steps.
        """
        for name, value in {**step.losses, **(extra or {})}.items():
            self.history.setdefault(name, []).append((step.number, value))
        self._latest = (step, samples)
        if interactive() and time.monotonic() - self._drawn >= self.every:
            self._draw(step, samples)

    def _draw(self, step, samples) -> None:
        images = None
        if samples is not None:
            with torch.random.fork_rng():  # watching must not change what is learnt
                images = np.asarray(samples())
        columns = 1 if images is None else 2
        fig, axes = plt.subplots(1, columns, figsize=(columns * WIDEST / 2, 3.2), squeeze=False)
        axis = axes[0, 0]
        settled = []  # without the first steps, whose fall would flatten the rest of the curve
        for name, points in self.history.items():
            steps, values = zip(*points, strict=True)
            means = _smooth(steps, values)
            axis.plot(steps, means, label=name)
            settled.extend(means[np.asarray(steps) > step.number / 20])
        if settled:
            low, high = min(settled), max(settled)
            axis.set_ylim(low - 0.05 * (high - low) - 1e-9, high + 0.05 * (high - low) + 1e-9)
        axis.set(xlabel="step", ylabel="loss (running mean)", title=self.title)
        axis.set_xlim(0, step.total)
        axis.legend()
        if images is not None:
            image_grid(
                images, ax=axes[0, 1], high=self.high, title=f"samples at step {step.number}"
            )
        now = ", ".join(f"{name} {self._now(name):.4g}" for name in self.history)
        alt = f"{self.title}: step {step.number} of {step.total}. {now}."
        if images is not None:
            alt += f" Next to the loss curves, {len(images)} samples of the model."
        content = bundle(fig, alt)
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
        self._drawn = time.monotonic()

    def _now(self, name: str) -> float:
        steps, values = zip(*self.history[name], strict=True)
        return float(_smooth(steps, values)[-1])


def _smooth(steps: Sequence[int], values: Sequence[float], window: int = 25) -> np.ndarray:
    """Mean over the values of the last `window` steps. Values measured less often stay as they are."""
    total = np.cumsum(np.insert(np.asarray(values, float), 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.searchsorted(steps, np.asarray(steps) - window, side="right")
    return (total[ends] - total[starts]) / (ends - starts)
