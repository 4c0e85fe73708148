"""Environments of their own for the peers that the benchmarks compare with."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "build" / "peers"


def environment(peer: str, *wanted: str, constraints: Path | None = None) -> Path:
    """The Python of the environment called `peer`, made with the packages `wanted` if it is not there.

    Raises:
        SystemExit: they cannot be installed; the message gives pip's last line.
    """
    folder = PEERS / peer
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    installed, names = folder / "installed.txt", " ".join(wanted)
    if installed.exists() and installed.read_text(encoding="utf-8") == names:
        return python
    print(f"installing {names}", flush=True)
    pinned = ["-c", constraints] if constraints else []
    pip = [python, "-m", "pip", "install", *pinned, *wanted]
    for command in ([sys.executable, "-m", "venv", "--clear", folder], pip):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no reason was given"]
            raise SystemExit(f"{names} cannot be installed, so nothing was compared: {said[-1]}")
    installed.write_text(names, encoding="utf-8")
    return python
