"""Formulas as MathML, made when the site is built: no script and no font has to be fetched for them."""

import re
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

# What the converter does not know, in terms that it does.
KNOWN = {r"\\arg\b": r"\\mathrm{arg}\\,"}
# In a formula of its own, limits stand below and above these.
WITH_LIMITS = {"∑", "∏", "max", "min", "⋃", "lim"}
FUNCTIONS = {"ln", "log", "exp", "sin", "cos"}  # which stand apart from what they are of
BARS = {"|", "∣", "‖", "∥"}  # which grow only after LaTeX's own command for it
UNDER = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}


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
    body = tidied(re.sub(r"^<math[^>]*>|</math>$", "", made), display)
    if "\\" in body:
        raise ValueError(f"The formula {source!r} cannot be converted as a whole.")
    return (
        f'<math display="{display}"><semantics><mrow>{body}</mrow>'
        f'<annotation encoding="application/x-tex">{escape(source)}</annotation></semantics></math>'
    )


def tidied(made: str, display: str) -> str:
    """MathML as LaTeX would set it: limits of sums, space after a logarithm, bars as high as letters."""
    tree = ElementTree.fromstring(f"<mrow>{made}</mrow>")
    for element in list(tree.iter()):
        if element.tag == "mrow":
            for after, child in reversed(list(enumerate(element, start=1))):
                followed = after < len(element) and element[after].text != "("
                if child.tag == "mi" and child.text in FUNCTIONS and followed:
                    element.insert(after, ElementTree.Element("mspace", width="0.17em"))
        if display == "block" and element.tag in UNDER and element[0].text in WITH_LIMITS:
            element.tag = UNDER[element.tag]
        if element.tag == "mo" and element.text in BARS:
            element.attrib.setdefault("stretchy", "false")
    return ElementTree.tostring(tree, encoding="unicode")


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
    # Pages are written anew when this file has changed.
    app.add_config_value("mathml_source", Path(__file__).read_text(encoding="utf-8"), "html")
    app.add_html_math_renderer(
        "mathml", inline_renderers=(inline, None), block_renderers=(block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
