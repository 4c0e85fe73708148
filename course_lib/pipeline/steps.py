"""A step runs once for the same inputs, and what it gave outlives a crash."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path

from course_lib.files import write_whole

Step = Callable[[Mapping[str, bytes], Mapping[str, object]], bytes]


def run_once(
    step: Callable[[Mapping[str, bytes], Mapping[str, object]], bytes],
    inputs: Mapping[str, bytes],
    settings: Mapping[str, object],
    store: MutableMapping[str, bytes],
) -> bytes:
    """What `step(inputs, settings)` gives; it is called only if the store has no answer for the same call.

    Two calls are the same if the step's name, the settings, and the names and contents of the inputs
    are. So a changed file is seen, and neither its date nor the order of the names matters.

    Args:
        settings: names to what JSON can hold.
        store: keys to outputs, such as `FolderStore`.

    >>> store: dict[str, bytes] = {}
    >>> def shout(inputs, settings): print("called"); return inputs["a"].upper()
    >>> [run_once(shout, {"a": text}, {}, store) for text in (b"x", b"y", b"x")]
    called
    called
    [b'X', b'Y', b'X']
    """
    contents = {name: hashlib.sha256(content).hexdigest() for name, content in inputs.items()}
    call = json.dumps([step.__name__, dict(settings), contents], sort_keys=True)
    key = hashlib.sha256(call.encode()).hexdigest()
    if key not in store:
        store[key] = step(inputs, settings)
    return store[key]


class FolderStore(MutableMapping[str, bytes]):
    """A mapping kept in a folder, a file a key. A file that was damaged counts as absent.

    Args:
        folder: is made if it is not there.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, key: str) -> bytes:
        try:
            digest, content = (self.folder / key).read_bytes().split(b"\n", 1)
        except (OSError, ValueError):
            raise KeyError(key) from None
        if digest != hashlib.sha256(content).hexdigest().encode():
            raise KeyError(key)
        return content

    def __setitem__(self, key: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest().encode()
        write_whole(self.folder / key, digest + b"\n" + content)

    def __delitem__(self, key: str) -> None:
        (self.folder / key).unlink()

    def __iter__(self) -> Iterator[str]:
        # What a killed process left half written ends with .partial.
        return (file.name for file in self.folder.iterdir() if file.suffix != ".partial")

    def __len__(self) -> int:
        return sum(1 for _ in self)
