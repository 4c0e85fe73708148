"""Figures with a description for screen readers, the few charts that recur, and a training's dashboard.

`curves`, `scatter`, `histograms`, `intervals`, `image_rows` and `before_after` take data and words and
return a `Picture`. Its description is made from the data, so that it stays true when the data change.
"""

from course_lib.plots.charts import before_after, curves, histograms, intervals, scatter
from course_lib.plots.dashboard import Dashboard
from course_lib.plots.images import image_grid, image_rows
from course_lib.plots.showing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    WIDEST,
    Picture,
    bundle,
    image_html,
    show,
)
from course_lib.plots.sounds import players

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "WIDEST",
    "Dashboard",
    "Picture",
    "before_after",
    "bundle",
    "curves",
    "histograms",
    "image_grid",
    "image_html",
    "image_rows",
    "intervals",
    "players",
    "scatter",
    "show",
]
