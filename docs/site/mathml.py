"""Formulas as MathML, made when the site is built: no script and no font has to be fetched for them."""

import re
from html import escape

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

# What the converter does not know, in terms that it does.
KNOWN = {r"\\arg\b": r"\\mathrm{arg}\\,"}


def mathml(source: str, display: str) -> str:
    """A formula in LaTeX as MathML, with the source as its annotation.

    Raises:
        ValueError: for a formula that cannot be converted.
    """
    text = " ".join(source.split())
    for pattern, known in KNOWN.items():
        text = re.sub(pattern, known, text)
    try:
        made = convert(text, display=display)
    except Exception as error:
        raise ValueError(f"The formula {source!r} cannot be converted: {error!r}") from error
    body = re.sub(r"^<math[^>]*>|</math>$", "", made)
    if "\\" in body:
        raise ValueError(f"The formula {source!r} cannot be converted as a whole.")
    return (
        f'<math display="{display}"><semantics><mrow>{body}</mrow>'
        f'<annotation encoding="application/x-tex">{escape(source)}</annotation></semantics></math>'
    )


def inline(writer, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(writer, node: nodes.math_block) -> None:
    # It may be wider than a phone, so it can be scrolled, also by keyboard.
    writer.body.append(
        '<div class="formula" tabindex="0" role="group" aria-label="formula">'
        f"{mathml(node.astext(), 'block')}</div>\n"
    )
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer(
        "mathml", inline_renderers=(inline, None), block_renderers=(block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
