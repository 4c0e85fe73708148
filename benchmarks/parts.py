"""Parts of a long benchmark, each computed once and kept in build/ until the code changes.

A run that was stopped goes on where it was, and runs side by side share the work.
"""

import hashlib
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

ROOT = Path(__file__).parent.parent


class Parts:
    """The parts of one benchmark.

    Args:
        name: of the benchmark.
        sources: files and folders of code, from the root; if one of them changes, all is computed anew, so
            that all parts of a record come from one state of the code.
    """

    def __init__(self, name: str, sources: Sequence[str]):
        files: list[Path] = []
        for source in sources:
            path = ROOT / source
            files += sorted(path.glob("*.py")) if path.is_dir() else [path]
        code = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
        self.folder = ROOT / "build" / "parts" / f"{name}-{code[:12]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.complete = True

    def get(self, key: str, compute: Callable[[], Any]) -> Any:
        """What `compute` returns, now or before. None where another process is at it; then the parts
        are not `complete`."""
        file = self.folder / hashlib.sha256(key.encode()).hexdigest()[:16]
        try:
            with FileLock(f"{file}.lock", timeout=0):
                if not file.exists():
                    content = pickle.dumps(compute())
                    file.with_suffix(".partial").write_bytes(content)
                    file.with_suffix(".partial").replace(file)
                    print(key, "done", flush=True)
                return pickle.loads(file.read_bytes())
        except Timeout:
            self.complete = False
            return None
