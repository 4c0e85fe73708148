"""The start of every lesson: choose device, preset, seed and plot theme, and say so in one line."""

import json
import os
import random
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from course_lib import devices, kernel
from course_lib.files import remember_lesson
from course_lib.syllabus import Lesson, lesson, unknown

PRESETS = ("cpu", "gpu")
THEME = Path(__file__).with_name("theme.mplstyle")
# What benchmarks measured: an installed package has it inside, a checkout beside it.
PACKAGE = Path(__file__).parent
RECORDED = (PACKAGE / "recorded", PACKAGE.parent / "benchmarks" / "results")


@dataclass(frozen=True)
class Session:
    """What a lesson runs on. `settings` holds the preset's data, sizes and steps; `device` is where
    its larger trainings run, while all that is small stays on the CPU."""

    lesson: Lesson
    device: torch.device
    preset: str
    seed: int
    settings: SimpleNamespace

    def __str__(self) -> str:
        machine = "t4" if self.preset == "gpu" else "cpu"
        minutes = self.lesson.run_minutes.get(machine)
        expected = f"about {minutes:g} min to run" if minutes else "running time not measured yet"
        return (
            f"Lesson {self.lesson.number:02d} {self.lesson.title} | device {self.device} | "
            f"preset {self.preset} | seed {self.seed} | {expected}"
        )


def start(
    name: str, preset: str | None = None, seed: int = 0, **changes: float | str | dict
) -> Session:
    """Prepare the notebook for the lesson `name` and print one line about it.

    Args:
        name: the lesson, such as "01_vae".
        preset: "cpu" or "gpu". Without it the environment variable COURSE_PRESET decides, and
            without that the hardware: "gpu" where CUDA is available.
        seed: seeds Python, NumPy and PyTorch.
        changes: settings of the preset to replace, such as `seeds=2` or `vae={"steps": 500}`.

    Raises:
        ValueError: for a lesson, a preset or a setting that does not exist, naming those that do.
    """
    chosen = lesson(name)
    has_gpu = torch.cuda.is_available()
    asked = preset or os.environ.get("COURSE_PRESET")
    preset = asked or ("gpu" if has_gpu else "cpu")
    if preset not in PRESETS:
        raise ValueError(unknown("preset", preset, PRESETS))
    settings = chosen.settings(preset, **changes)
    device, told = devices.choose_device(preset, bool(asked), chosen.gains_from_gpu)
    # The networks on the CPU are small, and threads wait for each other: while other programs
    # were busy, a training loop took ten times longer with two threads than with one.
    torch.set_num_threads(1)
    seed_everything(seed)
    import matplotlib.pyplot as plt  # here, so that seeding alone does not wait for it

    plt.style.use(THEME)
    kernel.install()
    if in_kernel():
        with suppress(OSError):  # it only saves a learner a click
            remember_lesson(name)
    session = Session(chosen, device, preset, seed, settings)
    different = "changed: " + ", ".join(f"{key} {value}" for key, value in changes.items())
    print("\n".join(filter(None, [str(session), different if changes else "", told])))
    return session


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch (all devices)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def recorded(benchmark: str) -> pd.DataFrame:
    """What `benchmarks/<benchmark>.py` measured, so that a lesson can quote it without training again.

    Returns:
        One row for each group of runs and each of its runs, which are the index; a column for each figure.

    Raises:
        ValueError: for a benchmark whose runs are not recorded, naming those that are.

    >>> len(recorded("gan").loc["the lesson's split"])  # five seeds
    5
    """
    files = {file.stem: file for folder in RECORDED for file in sorted(folder.glob("*.json"))}
    texts = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}
    runs = {name: text["runs"] for name, text in texts.items() if "runs" in text}
    if benchmark not in runs:
        raise ValueError(unknown("benchmark", benchmark, runs))
    groups = {group: pd.DataFrame(rows) for group, rows in runs[benchmark].items()}
    return pd.concat(groups, names=["group", "run"])


def interactive() -> bool:
    """Whether somebody is watching: in a notebook kernel, unless COURSE_INTERACTIVE=0 says no.

    Long work then shows its progress; otherwise it draws once, at its end.
    """
    wish = os.environ.get("COURSE_INTERACTIVE")
    if wish is not None:
        return wish not in ("", "0")
    return in_kernel()


def in_kernel() -> bool:
    """Whether this runs in a notebook."""
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")
