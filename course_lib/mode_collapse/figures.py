"""Figures of a watched training, each with its description."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from course_lib.mode_collapse.modes import Modes
from course_lib.mode_collapse.snapshots import Run, half_width
from course_lib.plots import BLUE, GREY, ORANGE, WIDEST, Picture

# White where the discriminator says fake, light blue where it says real: points stand out on both.
SHADE = LinearSegmentedColormap.from_list("real", ["#ffffff", "#8fbfe0"])


def draw_surface(ax: Axes, surface: np.ndarray, mixture: Modes) -> AxesImage:
    """A discriminator's probability of "real" (side, side) as shades, and crosses at the modes.

    >>> from course_lib.mode_collapse import RING
    >>> from course_lib.mode_collapse.records import knobs
    >>> image = draw_surface(plt.figure().subplots(), knobs()["beta_1"][0.5].surface[0, 0], RING)
    >>> image.get_extent()
    [-1.5, 1.5, -1.5, 1.5]
    >>> plt.close("all")
    """
    far = half_width(mixture)
    image = ax.imshow(
        surface.astype(float),
        origin="lower",
        extent=(-far, far, -far, far),
        cmap=SHADE,
        vmin=0,
        vmax=1,
        interpolation="bilinear",
    )
    ax.plot(*mixture.centres.T, "x", color="#222222", markersize=6, linestyle="none")
    ax.set(xlim=(-far, far), ylim=(-far, far), xticks=[], yticks=[], aspect="equal")
    ax.grid(False)
    return image


def draw_points(ax: Axes, points: np.ndarray) -> None:
    """A generator's points (n, 2).

    >>> ax = plt.figure().subplots()
    >>> draw_points(ax, np.zeros((5, 2)))
    >>> len(ax.lines[0].get_xdata())
    5
    >>> plt.close("all")
    """
    ax.plot(*points.T, "o", color=ORANGE, markersize=3, alpha=0.5, linestyle="none")


def draw_moment(ax: Axes, run: Run, mixture: Modes, moment: int, member: int = 0) -> AxesImage:
    """A member's samples over its discriminator's surface, after run.steps[moment].

    >>> from course_lib.mode_collapse import RING
    >>> from course_lib.mode_collapse.records import knobs
    >>> ax = plt.figure().subplots()
    >>> image = draw_moment(ax, knobs()["beta_1"][0.5], RING, moment=0)
    >>> len(ax.lines)  # the modes, and the samples
    2
    >>> plt.close("all")
    """
    image = draw_surface(ax, run.surface[moment, member], mixture)
    draw_points(ax, run.samples[moment, member].astype(float))
    return image


def film_frame(
    run: Run, mixture: Modes, moment: int, member: int = 0, label: str = ""
) -> tuple[Figure, str]:
    """One moment of a training: samples and surface of a member, and every member's modes so far.

    >>> from course_lib.mode_collapse import RING
    >>> from course_lib.mode_collapse.records import knobs
    >>> fig, alt = film_frame(knobs()["beta_1"][0.5], RING, moment=0)
    >>> alt[:9]
    'step 100.'
    >>> plt.close("all")
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(WIDEST, 3.6), width_ratios=(1.15, 1))
    image = draw_moment(left, run, mixture, moment, member)
    fig.colorbar(image, ax=left, shrink=0.85, label="D: probability of real")
    step, modes = int(run.steps[moment]), run.modes[: moment + 1]
    left.set_title(f"{label}step {step:,}")
    for curve in run.modes.T:
        right.plot(run.steps, curve, color=GREY, linestyle="-", linewidth=0.8, alpha=0.7)
    right.plot(run.steps[: moment + 1], modes.mean(axis=1), color=BLUE, marker="o", markersize=3)
    right.axvline(step, color=ORANGE, linestyle="--", linewidth=1)
    count = len(mixture.centres)
    right.set(xlabel="step", ylabel="modes captured", ylim=(-0.03 * count, 1.06 * count))
    right.set_title("Each seed, and their mean")
    reached = mixture.measure(run.samples[moment, member].astype(float))
    alt = (
        f"{label}step {step}. Left: the generator's points over the discriminator's surface; of "
        f"{run.samples.shape[2]} points {reached['high_quality']:.0%} lie on a mode, and "
        f"{reached['modes']} of {count} modes are reached. Right: modes captured against steps, now "
        f"{', '.join(map(str, run.modes[moment]))} in the {run.modes.shape[1]} seeds."
    )
    return fig, alt


def film_strip(
    run: Run, mixture: Modes, moments: Sequence[int], member: int = 0
) -> tuple[Figure, str]:
    """Several moments of a member's training side by side.

    >>> from course_lib.mode_collapse import RING
    >>> from course_lib.mode_collapse.records import knobs
    >>> fig, alt = film_strip(knobs()["beta_1"][0.5], RING, moments=[0, 7])
    >>> len(fig.axes)
    2
    >>> plt.close("all")
    """
    fig, axes = plt.subplots(1, len(moments), figsize=(WIDEST, WIDEST / len(moments) + 0.35))
    said = []
    for ax, moment in zip(axes, moments, strict=True):
        draw_moment(ax, run, mixture, moment, member)
        step = int(run.steps[moment])
        ax.set_title(f"step {step:,}", fontsize=9)
        reached = mixture.measure(run.samples[moment, member].astype(float))["modes"]
        said.append(f"step {step}: {reached}")
    return fig, (
        "The generator's points over the discriminator's surface at several moments of one training. "
        f"Modes with points on them, {'; '.join(said)}, of {len(mixture.centres)}."
    )


def hopping(run: Run, mixture: Modes, member: int = 0) -> tuple[Figure, str]:
    """Which share of a member's samples lies nearest to each mode, at every moment.

    >>> from course_lib.mode_collapse import RING
    >>> from course_lib.mode_collapse.records import knobs
    >>> fig, alt = hopping(knobs()["beta_1"][0.5], RING)
    >>> fig.axes[0].get_ylabel()
    'mode'
    >>> plt.close("all")
    """
    shares = np.stack([_shares(points, mixture) for points in run.samples[:, member].astype(float)])
    fig, ax = plt.subplots(figsize=(6.4, 2.9))
    image = ax.imshow(shares.T, aspect="auto", origin="lower", cmap="Blues", vmin=0, vmax=1)
    places = np.linspace(0, len(run.steps) - 1, 6).astype(int)
    ax.set_xticks(places, [f"{run.steps[i]:,}" for i in places])
    ax.set(xlabel="step", ylabel="mode", yticks=range(len(mixture.centres)))
    ax.set_title("Where the generator's samples are")
    ax.grid(False)
    fig.colorbar(image, ax=ax, label="share of the samples")
    often = len(np.unique(shares.argmax(axis=1)))
    return fig, (
        "The share of samples near each mode, a row for each mode, over the steps. At any moment few "
        f"rows are dark; over the whole training {often} of {len(mixture.centres)} modes were at some time "
        "the most frequent."
    )


def _shares(points: np.ndarray, mixture: Modes) -> np.ndarray:
    nearest = ((points[:, None] - mixture.centres) ** 2).sum(axis=-1).argmin(axis=1)
    return np.bincount(nearest, minlength=len(mixture.centres)) / len(points)


def knob_panels(
    runs: Mapping[str, Mapping[float, Run]], names: Mapping[str, str], count: int
) -> tuple[Figure, str]:
    """Modes captured at the end against the values of each setting: every seed, and the mean.

    Args:
        names: what to call each setting, in the order of the panels.
        count: modes there are.

    >>> from course_lib.mode_collapse.records import knobs
    >>> fig, alt = knob_panels(knobs(), {"beta_1": "beta 1", "width": "units"}, count=8)
    >>> fig.axes[0].get_title()
    'beta 1'
    >>> plt.close("all")
    """
    columns = 3
    rows = -(-len(names) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDEST, 2.3 * rows), sharey=True, squeeze=False
    )
    said = []
    for ax, (setting, name) in zip(axes.flat, names.items(), strict=False):
        values = list(runs[setting])
        ends = np.stack([runs[setting][value].modes[-1] for value in values])
        places = np.arange(len(values))
        spread = np.linspace(-0.12, 0.12, ends.shape[1])  # else equal seeds would hide one another
        ax.plot((places[:, None] + spread).ravel(), ends.ravel(), "o", color=GREY, markersize=4)
        ax.plot(places, ends.mean(axis=1), color=BLUE, marker="s", markersize=5)
        ax.set_xticks(places, [f"{value:g}" for value in values])
        ax.set(title=name, ylim=(0, count + 0.5), yticks=range(0, count + 1, 2))
        means = ", ".join(
            f"{m:.1f} at {v:g}" for m, v in zip(ends.mean(axis=1), values, strict=True)
        )
        said.append(f"{name}: {means}")
    for ax in axes.flat[len(names) :]:
        ax.axis("off")
    for ax in axes[:, 0]:
        ax.set_ylabel("modes captured")
    return fig, (
        f"Modes of {count} captured at the end, mean of five seeds, one panel for each setting. "
        f"{'; '.join(said)}."
    )


def over_surface(surface: np.ndarray, mixture: Modes, sets: Mapping[str, ArrayLike]) -> Picture:
    """Sets of points (n, 2), by title, each over the same discriminator's surface (side, side).

    >>> from course_lib.mode_collapse import RING
    >>> over_surface(np.ones((4, 4)), RING, {"at the freeze": RING.centres}).alt.split(": ")[-1]
    '8 points, nearest to 8 modes.'
    >>> plt.close("all")
    """
    fig, axes = plt.subplots(1, len(sets), figsize=(WIDEST, 3), squeeze=False)
    said = []
    for ax, (title, points) in zip(axes.flat, sets.items(), strict=True):
        points = np.asarray(points, float)
        draw_surface(ax, surface, mixture)
        draw_points(ax, points)
        ax.set_title(title, fontsize=10)
        modes = int((_shares(points, mixture) > 0).sum())
        said.append(f"{title}: {len(points)} points, nearest to {modes} modes")
    return Picture(fig, f"Points over one discriminator's surface. {'; '.join(said)}.")


def colour_rows(rows: Mapping[str, ArrayLike]) -> Picture:
    """Rows of stacked digits (n, 3 * pixels), by name, whose three digits are the colours of one image.

    >>> colour_rows({"real": np.eye(2, 192), "generated": np.ones((2, 192))}).alt.split(". ")[-1]
    'real: 2 images, 2 of them different; generated: 2 images, 1 of them different.'
    >>> plt.close("all")
    """
    fig, axes = plt.subplots(len(rows), 1, figsize=(7, 0.85 * len(rows)), squeeze=False)
    said = []
    for ax, (name, images) in zip(axes.flat, rows.items(), strict=True):
        images = np.asarray(images, float)
        side = math.isqrt(images.shape[1] // 3)
        tiles = (images / 16).reshape(-1, 3, side, side).transpose(2, 0, 3, 1)  # row, image, column
        framed = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=1)
        ax.imshow(framed.reshape(side, -1, 3))
        ax.set_title(name, fontsize=10)
        ax.axis("off")
        different = len(np.unique(images.round(), axis=0))
        said.append(f"{name}: {len(images)} images, {different} of them different")
    return Picture(fig, f"Rows of stacked digits in colour. {'; '.join(said)}.")


def landscapes(
    side: ArrayLike, fields: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]]
) -> Picture:
    """Critics over the plane: shades for the logit, arrows uphill, and dots for the fakes.

    Args:
        side: the k places on each axis of the square.
        fields: by title, the logits (k, k), the directions (k, k, 2) and the fakes (n, 2); the first index
            of a field is that of x1.

    >>> flat = np.zeros((7, 7)), np.ones((7, 7, 2)), np.zeros((5, 2))
    >>> print(landscapes(np.linspace(-1, 1, 7), {"flat": flat}).alt.split(". ")[-1])
    flat: logits from 0 to 0, 5 fakes around (0, 0), spread 0 and 0.
    >>> plt.close("all")
    """
    side = np.asarray(side)
    fig, axes = plt.subplots(
        1, len(fields), figsize=(WIDEST, WIDEST / len(fields) + 0.35), squeeze=False
    )
    said = ["Logits as shades, darker where they are higher; arrows point uphill; dots are fakes"]
    some = slice(None, None, 6)
    for ax, (title, field) in zip(axes.flat, fields.items(), strict=True):
        height, uphill, fakes = (np.asarray(part, float) for part in field)
        ends = np.quantile(height, [0.05, 0.95])
        shades = np.linspace(ends[0], max(ends[1], ends[0] + 1e-9), 13)
        ax.contourf(side, side, height.T, shades, cmap="Blues", extend="both")
        u, v = uphill[some, some].transpose(2, 1, 0)
        ax.quiver(side[some], side[some], u, v, color="#222222", width=0.004, scale=22)
        ax.plot(*fakes.T, "o", color=ORANGE, markersize=3)
        far = side.min(), side.max()
        ax.set(title=title, aspect="equal", xticks=[], yticks=[], xlim=far, ylim=far)
        middle, spread = fakes.mean(axis=0), fakes.std(axis=0)
        said.append(
            f"{title}: logits from {height.min():.3g} to {height.max():.3g}, {len(fakes)} fakes around "
            f"({middle[0]:.2g}, {middle[1]:.2g}), spread {spread[0]:.2g} and {spread[1]:.2g}"
        )
    return Picture(fig, ". ".join(said) + ".")


def ranked(values: pd.Series, source: pd.Series, label: str, benchmark: str) -> Picture:
    """Bars of one figure of many models, blue where it was measured here and grey where a paper says it.

    Args:
        values: by model, from the lowest bar to the top one.
        source: "measured here", or the paper, for each.
        label: what is shown; a divergence has a logarithmic axis.

    >>> found = pd.Series({"vanilla": 2.0, "R1": 8.0})
    >>> print(ranked(found, found.map(lambda _: "measured here"), "modes", "ring").alt)
    ring: modes. From the top: R1, 8 (measured here); vanilla, 2 (measured here).
    >>> plt.close("all")
    """
    fig, ax = plt.subplots(figsize=(7, 0.27 * len(values) + 0.9))
    here = source == "measured here"
    ax.barh(values.index, values, color=np.where(here, BLUE, GREY))
    ax.set(xlabel=label, title=f"{benchmark}: measured here (blue), in papers (grey)")
    ax.set(xscale="log" if "KL" in label else "linear", ylim=(-0.7, len(values) - 0.3))
    ax.grid(axis="y", visible=False)
    said = [f"{name}, {values[name]:.3g} ({source[name]})" for name in values.index[::-1]]
    return Picture(fig, f"{benchmark}: {label}. From the top: {'; '.join(said)}.")
