"""Docstrings of the library as Sphinx reads them.

In formulas, bars and stars are only bars and stars; a list of modules, each with what it is, stays a list.
"""

import re

from sphinx.application import Sphinx

CODE = re.compile(r"(`+[^`]+`+)")
PLURAL = re.compile(r"(`+[^`]+`+)(\w?)")
LISTED = re.compile(r"^ *(\w+) {2,}(\S.*)$")  # a module, and behind some spaces what it is


def escaped(line: str) -> str:
    """A line of text with the marks escaped outside of code."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    apart = PLURAL.sub(lambda m: m.group(1) + (m.group(2) and "\\ " + m.group(2)), line)
    parts = CODE.split(apart)
    return "".join(
        part if part.startswith("`") else re.sub(r"(?<!\\)([|*])", r"\\\1", part) for part in parts
    )


def escape_lines(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]):
    example = False
    for number, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            lines[number] = escaped(line)


def list_modules(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]):
    """Make a definition list of the modules that a room's docstring lists."""
    if what == "module":
        # The spaces between the columns are not kept, so the names must stand apart in another way.
        lines[:] = [LISTED.sub(r"\1\n    \2", line) for line in lines]
        lines[:] = "\n".join(lines).split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", list_modules, priority=90)
    app.connect("autodoc-process-docstring", escape_lines, priority=100)  # before napoleon
    return {"parallel_read_safe": True}
