"""A screen of one line and of what its twin believes, redrawn in one place while the days pass."""

import time

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import DisplayHandle, display

from course_lib.plots.showing import BLUE, GREEN, GREY, ORANGE, WIDEST, Picture, bundle
from course_lib.session import interactive
from course_lib.twin.decide import Evening, World
from course_lib.twin.line import MACHINES, PLANT, Plant


class LineScreen:
    """The machines, their buffers and the twin's beliefs of one factory, evening after evening.

    Use it as a context manager, and give its `show` to `decide.live`. It redraws at most once in `every`
    seconds, and only while somebody watches; else it draws once, at the end.

        with LineScreen(World()) as screen:
            story = live(Twin(), World(), factories=1, seed=0, watch=screen.show)
    """

    def __init__(self, world: World, factory: int = 0, every: float = 1.0, plant: Plant = PLANT):
        self.world, self.factory, self.every, self.plant = world, factory, every, plant
        self.lives: list[np.ndarray] = []
        self.widths: list[np.ndarray] = []
        self._handle: DisplayHandle | None = None
        self._drawn = 0.0
        self._latest: Evening | None = None

    def __enter__(self) -> "LineScreen":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._latest is not None:
            self._draw(self._latest)

    def show(self, evening: Evening) -> None:
        """Take in a day; redraw when it is time."""
        self.lives.append(evening.belief.mean()[self.factory, :, 0])
        self.widths.append(evening.belief.width()[self.factory])
        self._latest = evening
        if interactive() and time.monotonic() - self._drawn >= self.every:
            self._draw(evening)

    def _draw(self, evening: Evening) -> None:
        content = bundle(*self.picture(evening))
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
        self._drawn = time.monotonic()

    def picture(self, evening: Evening) -> Picture:
        """The line on the left, the believed lives on the right."""
        fig, (left, right) = plt.subplots(1, 2, figsize=(WIDEST, 3.1))
        here, said = self.factory, []
        state, limits = evening.state, evening.thresholds[self.factory]
        for m in range(MACHINES):
            used = float(state.age[here, m] / limits[m]) if np.isfinite(limits[m]) else 0.0
            down = bool(state.down[here, m] > 0)
            left.add_patch(plt.Rectangle((2 * m, 0), 1, 1, fill=False, linewidth=1.2))
            colour = ORANGE if down else BLUE
            height = 1.0 if down else min(used, 1.0)
            left.add_patch(plt.Rectangle((2 * m, 0), 1, height, color=colour, alpha=0.6))
            what = "down" if down else f"{100 * used:.0f} %"
            left.text(2 * m + 0.5, 1.05, f"machine {m + 1}\n{what}", ha="center", fontsize=8)
            said.append(
                f"machine {m + 1} {'is down' if down else f'works, its tool at {what} of its threshold'}"
            )
        for b, parts in enumerate(state.buffers[here]):
            height = float(parts / self.plant.room)
            left.add_patch(plt.Rectangle((2 * b + 1.3, 0), 0.4, 1, fill=False, linewidth=0.8))
            left.add_patch(plt.Rectangle((2 * b + 1.3, 0), 0.4, height, color=GREY))
            left.text(2 * b + 1.5, -0.14, f"{parts} parts", ha="center", fontsize=8)
            said.append(f"buffer {b + 1} holds {parts} of {self.plant.room} parts")
        earned = float(evening.reward[here])
        left.set(
            xlim=(-0.2, 5.2), ylim=(-0.25, 1.4), title=f"day {evening.day + 1}: {earned:.0f} earned"
        )
        left.axis("off")
        days = np.arange(1, len(self.lives) + 1)
        lives, widths = np.array(self.lives), np.array(self.widths)
        every = state.age.shape
        truth = np.array(
            [np.broadcast_to(self.world.life_on(day), every)[here] for day in range(len(days))]
        )
        for m, colour in enumerate((GREEN, ORANGE, BLUE)):
            right.plot(days, lives[:, m], color=colour, label=f"machine {m + 1}")
            low, high = (lives[:, m] * np.exp(sign * widths[:, m]) for sign in (-1, 1))
            right.fill_between(days, low, high, color=colour, alpha=0.12, linewidth=0)
            right.plot(days, truth[:, m], color=colour, linestyle=":")
            said.append(
                f"the twin believes in a life of {lives[-1, m]:.0f} steps for machine {m + 1}, "
                f"where {truth[-1, m]:.0f} is true"
            )
        # On a logarithmic scale, so that the wide belief of the first days does not hide the later ones.
        ticks = [100, 200, 500, 1000, 2000]
        right.set(xlabel="day", ylabel="life, steps", title="believed (lines), true (dotted)")
        right.set_yscale("log")
        right.set_yticks(ticks, [str(tick) for tick in ticks])
        right.minorticks_off()
        right.legend(fontsize=8)
        alt = f"Day {evening.day + 1}, {earned:.0f} earned. {'; '.join(said)}."
        return Picture(fig, alt)
