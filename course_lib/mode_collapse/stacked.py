"""Stacked digits: three digits as the channels of one image, so that there are 1,000 modes to cover.

The benchmark of Metz et al. 2017 (arXiv 1611.02163) and Srivastava et al. 2017 (VEEGAN, arXiv
1705.07761, section 4.2) on scikit-learn's 8 x 8 digits, which need no download; theirs has MNIST's
28 x 28. A classifier reads each channel; the three digits it reads are the image's mode. As in their
table 2, `modes` counts those of 1,000 that 26,000 samples reach, and `reverse_kl` is
KL(generated || real) in nats over the modes, real ones being all equally likely.

A classifier sometimes misreads, and 26,000 samples never cover 1,000 modes quite evenly. Held-out real
images are counted in the same way, which gives the ceiling.
"""

import json
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import pandas as pd
import torch
from torch import Tensor

from course_lib.mode_collapse.image_gans import ImageGANSettings
from course_lib.mode_collapse.modes import mode_coverage
from course_lib.models import gan
from course_lib.models.classifier import DigitClassifier

SAMPLES = 26_000  # as VEEGAN draws
PLACES = torch.tensor([100, 10, 1])
# Modes and KL of VEEGAN's table 2, on MNIST: one figure for each model, without a spread.
VEEGAN = [("DCGAN", 99, 3.4), ("ALI", 16, 5.4), ("Unrolled GAN", 48.7, 4.32), ("VEEGAN", 150, 2.95)]
RECORDED = Path(__file__).with_name("recorded") / "stacked.json"


def stack(x: Tensor, count: int = SAMPLES, seed: int = 0) -> Tensor:
    """`count` images of three digits each, (count, 192), from single ones x (n, 64).

    Each channel is drawn on its own, with replacement: all thousand triples are equally likely if all
    ten digits are.

    >>> stack(torch.zeros(10, 64), count=5).shape
    torch.Size([5, 192])
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(x), (count, 3), generator=generator)
    return x[rows].flatten(1)


def read_modes(judge: DigitClassifier, images: Tensor) -> Tensor:
    """The mode (n,) of each image (n, 192) of grey levels: 0 to 999, its three digits as read.

    >>> read_modes(DigitClassifier().eval(), torch.zeros(5, 192)).shape
    torch.Size([5])
    """
    read = [judge.predict(part.reshape(-1, 64)) for part in images.split(2000)]
    return (torch.cat(read).reshape(-1, 3) * PLACES).sum(dim=1)


def count_modes(judge: DigitClassifier, images: Tensor) -> dict[str, float]:
    """`modes` of 1,000, their `coverage`, and `reverse_kl` in nats, see `mode_coverage`.

    >>> count_modes(DigitClassifier().eval(), torch.zeros(5, 192))["modes"]  # five times the same image
    1
    """
    return mode_coverage(read_modes(judge, images).bincount(minlength=1000).numpy())


def networks(
    settings: ImageGANSettings | SimpleNamespace,
) -> tuple[gan.Generator, gan.Discriminator]:
    """Lesson 02's convolutional pair, for images of three planes (n, 192).

    >>> table = {"game": "classical", "gamma": 0.0, "steps": 2, "batch_size": 8}
    >>> settings = ImageGANSettings.of({**table, "learning_rate": 1e-3, "beta_1": 0.5})
    >>> networks(settings)[0].sample(5).shape
    torch.Size([5, 192])
    """
    settings = ImageGANSettings.of(settings)
    generator = gan.Generator(settings.latent_dim, settings.channels, colours=3)
    return generator, gan.Discriminator(settings.channels, colours=3)


def stacked_record() -> dict:
    """The recorded benchmark: settings, versions, date, the papers' rows and ours, seed by seed.

    `python benchmarks/stacked.py` makes it again.

    >>> stacked_record()["samples"]
    26000
    """
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def stacked_table() -> pd.DataFrame:
    """The paper's modes and KL and ours, one model a row; ours as the mean over the seeds.

    `runs` is the number of seeds, `modes_min` and `modes_max` are the extremes over them. Rows are
    sorted by the number of modes; the last is what held-out real digits reach, the ceiling.

    >>> int(stacked_table()["modes"].iloc[-1])
    1000
    """
    found = stacked_record()
    rows = [
        {"measured": "VEEGAN's table 2", "model": m, "modes": n, "reverse_kl": k}
        for m, n, k in VEEGAN
    ]
    for entry in found["models"]:
        model = f"{entry['settings']['game']} GAN, beta_1 = {entry['settings']['beta_1']}"
        rows.append({"measured": "here", "model": model, **_over_seeds(entry["runs"])})
    rows.sort(key=lambda row: row["modes"])
    rows.append(
        {"measured": "here", "model": "held-out real digits", **_over_seeds(found["held_out"])}
    )
    return pd.DataFrame(rows).set_index(["measured", "model"])


def _over_seeds(runs: list[dict]) -> dict[str, float]:
    modes = [run["modes"] for run in runs]
    return {
        "modes": fmean(modes),
        "modes_min": min(modes),
        "modes_max": max(modes),
        "reverse_kl": fmean(run["reverse_kl"] for run in runs),
        "runs": len(runs),
    }
