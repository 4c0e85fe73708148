"""The charts that recur: data and words in, a `Picture` out."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from course_lib.plots.showing import BLUE, GREEN, GREY, ORANGE, WIDEST, Picture

_MARKERS = "osD^v"
_CLOUDS = tuple(zip((BLUE, ORANGE, GREY, GREEN, "#222222"), "ox+s^", strict=True))
_IN_A_ROW = 5  # panels
_FEW = 15  # points of a curve that are marked one by one
_MOST = 2000  # points of a cloud that are drawn


def curves(
    x: ArrayLike,
    lines: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    log: str = "",
    levels: Mapping[str, float] | None = None,
    band: tuple[float, float] | None = None,
    around: Mapping[str, ArrayLike] | None = None,
) -> Picture:
    """Curves over x (k,). Several runs of one curve give their median and their range.

    Args:
        lines: by name, values (k,), or (runs, k) for the median with a band from lowest to highest.
        log: axes with a logarithmic scale: "", "x", "y" or "xy".
        levels: horizontal lines to compare with, by name.
        band: a range of y that is shaded, from low to high.
        around: by the name of a line, half the width (k,) of a band around it.

    Raises:
        ValueError: when a line has not one value for each x, or a band no line.

    >>> curves([1, 4], {"DDIM": [3.0, 1.5]}, xlabel="steps", ylabel="FD", title="Few steps").alt
    'Few steps. FD against steps. DDIM: 3 at 1, 1.5 at 4; lowest 1.5 at 4, highest 3 at 1.'
    """
    x = np.asarray(x, float)
    fig, ax = plt.subplots(figsize=(5.5, 3))
    said = [f"{title}. {ylabel} against {xlabel}."]
    if band is not None:
        ax.axhspan(*band, color="#dde8f0", zorder=0)
        said.append(f"The range from {band[0]:.3g} to {band[1]:.3g} is shaded.")
    few = len(x) <= _FEW
    halves = {name: np.asarray(half, float) for name, half in (around or {}).items()}
    if unknown := sorted(halves.keys() - lines.keys()):
        raise ValueError(f"There is no line called {unknown[0]!r} to draw a band around.")
    for i, (name, values) in enumerate(lines.items()):
        values = np.atleast_2d(np.asarray(values, float))
        if values.shape[1:] != x.shape:
            raise ValueError(f"{name!r} has {values.shape[1]} values, and x has {len(x)}.")
        middle = np.median(values, axis=0)
        marker = _MARKERS[i % len(_MARKERS)] if few else ""
        (line,) = ax.plot(x, middle, marker=marker, label=name)
        runs = ""
        if len(values) > 1:
            ax.fill_between(x, values.min(0), values.max(0), color=line.get_color(), alpha=0.2)
            runs = f" (median of {len(values)} runs, with their range)"
        if name in halves:
            half = halves[name]
            ax.fill_between(x, middle - half, middle + half, color=line.get_color(), alpha=0.2)
            runs += (
                f" (with a band of {half[0]:.3g} on each side at first and {half[-1]:.3g} at last)"
            )
        low, high = int(middle.argmin()), int(middle.argmax())
        said.append(
            f"{name}{runs}: {middle[0]:.3g} at {x[0]:.4g}, {middle[-1]:.3g} at {x[-1]:.4g}; "
            f"lowest {middle[low]:.3g} at {x[low]:.4g}, highest {middle[high]:.3g} at {x[high]:.4g}."
        )
    for name, level in (levels or {}).items():
        # Not in grey, which the fourth curve has, dotted too.
        text = f"{name}: {level:.3g}"
        ax.axhline(level, color=plt.rcParams["text.color"], linewidth=1, linestyle=":", label=text)
        said.append(f"A dotted line marks {level:.3g}: {name}.")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
        bottom, top = ax.get_ylim()
        if top < 30 * bottom:  # with one power of ten, its multiples have to be readable
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            ax.yaxis.set_minor_formatter("{x:g}")
    if few and "x" in log:
        ax.set_xticks(x, [f"{value:g}" for value in x])
        ax.set_xticks([], minor=True)
    ax.legend(fontsize=8)
    return Picture(fig, " ".join(said))


def scatter(
    panels: Mapping[str, Mapping[str, ArrayLike]],
    *,
    xlabel: str = "x1",
    ylabel: str = "x2",
    title: str = "",
    shared: bool = True,
    contours: str = "",
) -> Picture:
    """Points in the plane, such as real and generated ones: panels side by side, at most five in a row.

    Args:
        panels: by title, the point sets (n, 2) by name. Of a set, at most 2,000 points are drawn.
        shared: all panels have the same axes, and both axes the same scale; else each has its own.
        contours: the set whose density is drawn as five contours, by seaborn.

    Raises:
        ValueError: for more than five sets in a panel.

    >>> scatter({"a GAN": {"real": [[0, 0], [2, 2]]}}).alt
    'x2 against x1. a GAN: 2 real around (1, 1), spread 1.41 and 1.41.'
    """
    rows = -(-len(panels) // _IN_A_ROW)
    columns = -(-len(panels) // rows)
    width = min(WIDEST, 3.8 * columns)
    size = (width, rows * min(3.6, width / columns + 0.7))
    fig, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, sharex=shared, sharey=shared
    )
    said = [f"{title}. " if title else "", f"{ylabel} against {xlabel}."]
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    for ax, (name, sets) in zip(axes.flat, panels.items(), strict=False):
        if len(sets) > len(_CLOUDS):
            raise ValueError(
                f"{name!r} has {len(sets)} sets of points; at most {len(_CLOUDS)} differ in their marks."
            )
        found = []
        for (label, points), (colour, marker) in zip(sets.items(), _CLOUDS, strict=False):
            points = np.asarray(points, float)
            shown = points[:_MOST].T
            ax.plot(*shown, marker, color=colour, markersize=3.5, linestyle="none", label=label)
            if label == contours:
                import seaborn as sns  # only here, since its import takes long

                sns.kdeplot(x=shown[0], y=shown[1], ax=ax, color="#222222", levels=5, linewidths=1)
            if not len(points):
                found.append(f"no {label}")
                continue
            middle = points.mean(axis=0)
            spread = points.std(axis=0, ddof=1) if len(points) > 1 else np.zeros(2)
            found.append(
                f"{len(points):,} {label} around ({middle[0]:.3g}, {middle[1]:.3g}), "
                f"spread {spread[0]:.3g} and {spread[1]:.3g}"
            )
        ax.set_title(name, fontsize=11 if columns < 4 else 9)
        if shared:
            ax.set_aspect("equal")
        said.append(f" {name}: {'; '.join(found)}.")
    for ax in axes[-1]:
        ax.set_xlabel(xlabel)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    # The points may lie anywhere, so the names stand on a ground of their own.
    axes[0, 0].legend(fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")
    if title:
        fig.suptitle(title, fontsize=11)
    return Picture(fig, "".join(said))


def intervals(
    groups: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    xlabel: str,
    title: str,
    level: float | None = None,
    xlim: tuple[float, float] | None = None,
) -> Picture:
    """For each name, a mark with an interval on a line: what was estimated, and how uncertain it is.

    Args:
        groups: by group, such as a data set, and by name: estimate, low end, high end.
        level: a vertical line to compare with.
        xlim: the ends of the axis, where several pictures are to be compared, as by a slider.

    >>> intervals({"runs": {"SMOTE": (0.1, -0.1, 0.3)}}, xlabel="gain", title="Recall", level=0).alt
    'Recall. gain, with intervals. runs: SMOTE 0.1 (-0.1 to 0.3). A dotted line marks 0.'
    """
    names = list(dict.fromkeys(name for rows in groups.values() for name in rows))
    height = 0.9 + 0.27 * len(names) * max(1, len(groups) / 1.5) + 0.3 * (len(groups) > 1)
    fig, ax = plt.subplots(figsize=(7, height), layout="constrained")
    said = [f"{title}. {xlabel}, with intervals."]
    for i, ((group, rows), (colour, marker)) in enumerate(
        zip(groups.items(), _CLOUDS, strict=False)
    ):
        middle, low, high = np.asarray(list(rows.values()), float).T
        shift = 0.22 * (i - (len(groups) - 1) / 2)
        places = [len(names) - 1 - names.index(name) - shift for name in rows]
        ends = [middle - low, high - middle]
        ax.errorbar(middle, places, xerr=ends, fmt=marker, color=colour, markersize=4, label=group)
        found = zip(rows, middle, low, high, strict=True)
        said.append(
            f"{group}: {'; '.join(f'{n} {m:.3g} ({a:.3g} to {b:.3g})' for n, m, a, b in found)}."
        )
    if level is not None:
        ax.axvline(level, color=GREY, linestyle=":")
        said.append(f"A dotted line marks {level:.3g}.")
    ax.set_yticks(range(len(names)), names[::-1])
    ax.set(xlabel=xlabel, title=title, xlim=xlim, ylim=(-0.6, len(names) - 0.4))
    ax.grid(axis="y", visible=False)
    if len(groups) > 1:
        # Below the intervals, which may reach into each corner.
        fig.legend(loc="outside lower center", ncols=len(groups), fontsize=8)
    return Picture(fig, " ".join(said))


def histograms(
    values: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    title: str,
    bins: int = 40,
    marks: Mapping[str, float] | None = None,
) -> Picture:
    """Outlines of histograms over common bins, each of area 1, to be compared.

    Args:
        values: by name, the numbers (n,).
        marks: vertical lines, by name.

    >>> histograms({"real": [1.0, 2.0, 3.0], "generated": [2.0]}, xlabel="distance", title="Near").alt
    'Near. Histograms of distance. real: median 2, from 1 to 3; generated: median 2, from 2 to 2.'
    """
    arrays = {name: np.ravel(np.asarray(numbers, float)) for name, numbers in values.items()}
    edges = np.histogram_bin_edges(np.concatenate([*arrays.values()]), bins)
    styles = plt.rcParams["axes.prop_cycle"]
    fig, ax = plt.subplots(figsize=(5.5, 3))
    for (name, numbers), style in zip(arrays.items(), styles, strict=False):
        ax.hist(
            numbers,
            edges.tolist(),
            density=True,
            histtype="step",
            linewidth=1.8,
            label=name,
            **style,
        )
    found = [
        f"{name}: median {np.median(n):.3g}, from {n.min():.3g} to {n.max():.3g}"
        for name, n in arrays.items()
    ]
    said = [f"{title}. Histograms of {xlabel}. {'; '.join(found)}."]
    for name, place in (marks or {}).items():
        ax.axvline(place, color=GREY, linestyle=":", label=name)
        said.append(f"A dotted line marks {place:.3g}: {name}.")
    ax.set(xlabel=xlabel, ylabel="density", title=title)
    ax.legend(fontsize=8)
    return Picture(fig, " ".join(said))


def before_after(
    names: Sequence[str],
    before: ArrayLike,
    after: ArrayLike,
    *,
    xlabel: str,
    title: str,
    labels: tuple[str, str] = ("before", "after"),
) -> Picture:
    """For each name, two marks on a line: a value before a change, and after it.

    Args:
        names: the k things that are measured, from top to bottom.
        before, after: (k,).
        labels: what the two are called.

    >>> before_after(["recall"], [0.86], [0.62], xlabel="share", title="Guidance").alt
    'Guidance. share, before and after. recall: 0.86 and 0.62.'
    """
    first, second = np.asarray(before, float), np.asarray(after, float)
    rows = np.arange(len(names))[::-1]
    fig, ax = plt.subplots(figsize=(5.5, 0.9 + 0.4 * len(names)))
    ax.hlines(rows, first, second, color=GREY, linewidth=1.5)
    ax.plot(first, rows, "o", color=BLUE, linestyle="none", fillstyle="none", label=labels[0])
    ax.plot(second, rows, "D", color=ORANGE, linestyle="none", label=labels[1])
    ax.set_yticks(rows, names)
    ax.set(xlabel=xlabel, title=title, ylim=(-0.6, len(names) - 0.4))
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    pairs = zip(names, first, second, strict=True)
    found = "; ".join(f"{name}: {a:.3g} and {b:.3g}" for name, a, b in pairs)
    return Picture(fig, f"{title}. {xlabel}, {labels[0]} and {labels[1]}. {found}.")
