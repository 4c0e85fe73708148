"""A panel of a lesson as a part of a page: its pictures as files, its controls as native ones."""

import base64
import json
from collections.abc import Mapping
from html import escape
from math import prod
from pathlib import Path
from typing import Any


def panel_html(
    panel: Mapping[str, Any], name: str, static: Path, up: str = "../", only: int | None = None
) -> str:
    """The HTML of a panel; its pictures are written below `static`.

    Args:
        panel: what `course_lib.explore.frames` displays.
        name: of the folder for the pictures; also the panel's id on the page.
        up: the way from the page to the site's top.
        only: the number of a control that is shown alone, while the others stay where they start.
    """
    folder = static / "panels" / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(panel["frames"]):
        write_changed(folder / f"{number}.webp", base64.b64decode(frame["webp"]))
    controls = panel["controls"]
    alts = [frame["alt"] for frame in panel["frames"]]
    drawn, possible = len(alts), panel["positions"]
    start = start_of(panel)
    first, step, at = 0, 1, start
    if only is not None:
        step = prod(len(control["texts"]) for control in controls[only + 1 :])
        controls = [controls[only]]
        at = controls[0]["start"]
        first = start - step * at
        alts = [alts[first + step * n] for n in range(len(controls[0]["texts"]))]
    key = name if only is None else f"live-{name}"
    inside = json.dumps({"texts": [c["texts"] for c in controls], "alts": alts})
    fields = "".join(control_html(c, f"{key}-{n}") for n, c in enumerate(controls))
    note = (
        f"<p class='panel-note'>This page has {drawn} of the {possible:,} positions; the notebook has "
        "all of them.</p>"
        if drawn < possible and only is None
        else ""
    )
    lazy = "" if only is None else 'loading="lazy" '  # of many, those out of sight can wait
    return (
        f'<div class="panel" id="{key}" role="group" aria-label="{escape(label(controls), True)}" '
        f'data-pictures="{up}_static/panels/{name}/" data-first="{first}" data-step="{step}">'
        f'<div class="panel-controls">{fields}</div>'
        f'<img class="course-picture" alt="{escape(alts[at], True)}" {lazy}'
        f'src="{up}_static/panels/{name}/{start}.webp">'
        '<p class="panel-said" aria-live="polite"></p>'
        f"{note}<noscript><p>Without JavaScript the picture does not change.</p></noscript>"
        f'<script type="application/json">{inside.replace("</", "<" + chr(92) + "/")}</script></div>'
    )


def start_of(panel: Mapping[str, Any]) -> int:
    """The number of the picture that a panel starts with; the last control runs fastest."""
    start = 0
    for control in panel["controls"]:
        start = start * len(control["texts"]) + control["start"]
    return start


def label(controls: list[Mapping[str, Any]]) -> str:
    return "Picture that changes with " + " and ".join(c["label"] for c in controls)


def control_html(control: Mapping[str, Any], name: str) -> str:
    """A slider or a menu with its label; a slider also has its value beside it."""
    title, texts, start = escape(control["label"]), control["texts"], control["start"]
    if not control["slider"]:
        options = "".join(
            f"<option{' selected' * (n == start)}>{escape(text)}</option>"
            for n, text in enumerate(texts)
        )
        return (
            f'<label for="{name}">{title}</label>'
            f'<select id="{name}" autocomplete="off">{options}</select><span></span>'
        )
    return (
        f'<label for="{name}">{title}</label>'
        f'<input type="range" id="{name}" min="0" max="{len(texts) - 1}" value="{start}" '
        f'aria-valuetext="{escape(texts[start], True)}" autocomplete="off">'
        f'<output for="{name}">{escape(texts[start])}</output>'
    )


def write_changed(file: Path, content: bytes) -> None:
    """Write a file only where it differs, so that what is built from it need not be built again."""
    if not file.exists() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
