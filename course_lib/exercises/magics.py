"""A notebook's cell as plain Python: what IPython makes of `%`, `!` and `?`.

IPython's own transformer does the work. What it would run in a cell or line with a timer or a catcher
of output around it stands here as the plain code, so that the names in it can be seen and the line
numbers hold.
"""

import ast
import re

# Cell magics whose body runs in the notebook's own namespace, and changes nothing else.
TRANSPARENT = ("capture", "time", "prun")
_HEAD = re.compile(r"\A[ \t\n]*%%(\w+)[^\n]*")
_TIMED = re.compile(
    r"^(\s*)(?:\w+ = )?get_ipython\(\)\.run_line_magic\('(?:time|prun)', ('.*'|\".*\")\)$"
)


def as_python(source: str) -> str:
    """The cell as Python that `ast.parse` reads. Raises SyntaxError where it cannot be made."""
    while (head := _HEAD.match(source)) and head[1] in TRANSPARENT:
        source = "\n" * head[0].count("\n") + source[head.end() :]
    try:
        ast.parse(source)
        return source
    except SyntaxError as error:
        original = error
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        parts = [_untimed(line) for line in TransformerManager().transform_cell(source).split("\n")]
        # The transformer drops empty lines at the start.
        blank = len(source) - len(source.lstrip("\n"))
        transformed = "\n" * blank + "\n".join(parts)
        ast.parse(transformed)
    except Exception:
        raise original from None
    return transformed


def _untimed(line: str) -> str:
    timed = _TIMED.match(line)
    return timed[1] + ast.literal_eval(timed[2]) if timed else line
