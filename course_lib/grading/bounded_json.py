"""JSON of unknown origin, measured before it is parsed.

A parsed value takes up to thirty times the memory of its text (`[],[],[],`), and a string up to four
times. So the text is first looked at without building anything: how long it is, how many values it
holds and how deep they lie.
"""

import json
import re

LARGEST = 50 * 2**20  # bytes
MOST_VALUES = 400_000  # some 100 MB of memory in the worst case
DEEPEST = 200
SMALL = 2**20  # too short to do harm: at most some 30 MB of values

# Strings are passed over in one step, whatever they hold; a string that never ends matches without
# its last quotation mark. Possessive, so that no text can make the search go back.
_PARTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[\[{]|[\]}]|[,:]', re.DOTALL)


class TooLargeError(ValueError):
    """The text is longer, or would become more, than is parsed; the message says which."""


def measure(text: bytes) -> None:
    """Raise TooLargeError where parsing would take much memory. Broken JSON is left to the parser."""
    if len(text) > LARGEST:
        raise TooLargeError(
            f"it has {len(text) / 2**20:,.0f} MB, and at most {LARGEST >> 20} are read"
        )
    if len(text) <= SMALL:
        return
    values = depth = 0
    for part in _PARTS.finditer(text):
        first = text[part.start()]
        if first in b"[{":
            depth += 1
            values += 1
            if depth > DEEPEST:
                raise TooLargeError(f"its values lie more than {DEEPEST} deep")
        elif first in b"]}":
            depth -= 1
        elif first in b",:":
            values += 1
        elif not part[1]:
            return  # a string without an end
        if values > MOST_VALUES:
            raise TooLargeError(f"it holds more than {MOST_VALUES:,} values")


def loads(text: bytes) -> object:
    """The value that the text stands for.

    Raises:
        TooLargeError: see `measure`.
        ValueError: it is not JSON in UTF-8, or nested too deeply.
    """
    measure(text)
    try:
        return json.loads(text.decode("utf-8-sig"))
    except (RecursionError, MemoryError) as error:
        raise TooLargeError(f"it could not be parsed ({type(error).__name__})") from None
