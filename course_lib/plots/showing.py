"""Showing a figure with a description that reaches a screen reader."""

import base64
import io
from html import escape
from typing import NamedTuple

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

# The colours of the theme, by role; each reaches 3:1 contrast on white.
BLUE, ORANGE, GREEN, GREY = "#0173b2", "#d55e00", "#029e73", "#949494"
WIDEST = 8.2  # inches; what JupyterLab shows unshrunk in a 1280 pixel window, next to its file list
# Figures are drawn on white. Where the page is dark, the browser turns black and white round and keeps the
# hues, so that no white slab glares. JupyterLab, Colab and VS Code each mark a dark page in their own way.
DARK_PAGES = ('body[data-jp-theme-light="false"]', 'html[theme="dark"]', "body.vscode-dark")
DARK_STYLE = (
    "<style>"
    + ", ".join(f"{page} img.course-picture" for page in DARK_PAGES)
    + " { filter: invert(0.93) hue-rotate(180deg) }</style>"
)


def show(fig: Figure, alt: str) -> None:
    """Display `fig` with `alt`, the description that a screen reader speaks, and close it.

    JupyterLab drops the alternative text of a plain PNG, so the picture travels as HTML too.

    Raises:
        ValueError: when the description is empty.
    """
    display(bundle(fig, alt), raw=True)


def bundle(fig: Figure, alt: str) -> dict[str, object]:
    """`fig` as a display bundle (HTML with `alt`, PNG, plain text); closes the figure."""
    png = _png(fig)
    return {
        "text/html": image_html(png, alt),
        "image/png": base64.b64encode(png).decode(),
        "text/plain": " ".join(alt.split()),
    }


def image_html(picture: bytes | Figure, alt: str) -> str:
    """An `<img>` with the picture inside it and `alt` as its description; dark on a dark page."""
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(
            "A figure needs a description: say in a sentence what it shows, for those who cannot "
            "see it, as in show(fig, alt='Histogram of ... with two peaks at ...')."
        )
    png = _png(picture) if isinstance(picture, Figure) else picture
    data = base64.b64encode(png).decode()
    words = " ".join(alt.split())  # a description may be made of captions, which break lines
    return (
        f'{DARK_STYLE}<img class="course-picture" alt="{escape(words, quote=True)}" '
        'style="max-width:100%;height:auto" '
        f'src="data:image/png;base64,{data}">'
    )


class Picture(NamedTuple):
    """A figure and its description: the notebook shows both where it is a cell's last value.

    A slider (`explore`) takes it as it is, since it is a pair.
    """

    figure: Figure
    alt: str

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, object]:
        return bundle(self.figure, self.alt)


def _png(fig: Figure) -> bytes:
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    plt.close(fig)
    return buffer.getvalue()
