"""Sliders and menus over a pure figure function."""

import os
from collections.abc import Callable
from html import escape

import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from course_lib.plots import image_html


def explore(figure: Callable[..., tuple[Figure, str]], **controls: widgets.Widget) -> widgets.VBox:
    """Show `figure(**values)` and redraw it whenever a control moves.

    The figure is drawn once at once, so an error in the function stops the cell. Later errors are
    shown in the picture's place and raised again. Core widgets only: works from ipywidgets 7.7 on.

    Args:
        figure: a pure function of the controls' values that returns a figure and its description.
        controls: a widget for each argument. Its description is the label; a read-out in text
            follows, since a screen reader finds no name on a slider's handle.

    Returns:
        The displayed box; its children are the controls, the read-out and the picture.
    """
    picture = widgets.HTML()
    readout = widgets.HTML()

    def draw(_change=None) -> None:
        values = {name: control.value for name, control in controls.items()}
        texts = [f"{label(name)}: {_text(value)}" for name, value in values.items()]
        readout.value = f'<span role="status">{escape("; ".join(texts))}</span>'
        try:
            picture.value = image_html(*figure(**values))
        except Exception as error:
            plt.close("all")  # a half-drawn figure would be shown by the notebook itself
            picture.value = f"<p><b>The figure failed:</b> {escape(repr(error))}</p>"
            raise

    def label(name: str) -> str:
        return controls[name].description or name

    for control in controls.values():
        control.style.description_width = "initial"
        if control.layout.width is None:  # the usual 300 px leave a long label's slider no track
            control.layout.width, control.layout.max_width = "98%", "40em"
        # One redraw when the handle is released, not one for every pixel on the way.
        if hasattr(control, "continuous_update"):
            control.continuous_update = False
        control.observe(draw, names="value")
    draw()
    box = widgets.VBox([*controls.values(), readout, picture])
    display(box)
    if os.environ.get("COURSE_FRAMES"):  # for the course's site, which has no kernel
        from course_lib.explore.frames import show_frames

        show_frames(figure, {name: label(name) for name in controls}, controls)
    return box


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
