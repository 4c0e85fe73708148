"""Writing a file whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_whole(path: str | os.PathLike, content: str | bytes) -> None:
    """Put `content` (text as UTF-8) into a file at once: whoever reads it, and whatever is killed,
    meets the old file or the new one. What a killed writer leaves behind ends with ".partial"."""
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    mask = os.umask(0)  # a temporary file is its owner's alone; the result is like any other file
    os.umask(mask)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f"{path.name}.", suffix=".partial", delete=False
    ) as file:
        try:
            file.write(data)
            file.flush()
            os.chmod(file.name, 0o666 & ~mask)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
