"""The models of lessons 01 to 04's sections "Larger" on MNIST's 10,000 test images, over three seeds.

Run in the course's environment, with MNIST in the cache, a mirror or the network's reach:

    python benchmarks/larger.py                  # or only some: python benchmarks/larger.py 02_gan
    python benchmarks/larger.py 04_style 1       # or only seed 1 of it
    python benchmarks/larger.py checkpoints      # and which: python benchmarks/larger.py checkpoints 02_gan

It trains on the CPU, in one thread, with the settings of the gpu presets, and writes results/larger.json
or those runs of it. As in the lessons, 600 samples, 60 a class, are held against as many held-out images.

The second command trains the models with which these sections open, with one seed. The first two are
smaller than those of the presets, so that every file is below 2 MB. That of lesson 03 takes longest, 7
CPU minutes on an idle machine and 13 on a busy one. It writes course_lib/models/checkpoints, and their
figures to results/larger_checkpoints.json: those of the rounded weights that are in the files.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from types import SimpleNamespace

import torch
from common import ASKED, RESULTS, Data, Judged, provenance, rounded, timed, write
from torch import nn

from course_lib import datasets
from course_lib.models import checkpoint
from course_lib.models.classifier import balanced
from course_lib.models.diffusion import UNetDiffusion, conditional_diffusion
from course_lib.models.gan import GANSettings, conditional_gan
from course_lib.models.style import style_gan
from course_lib.models.vae import VAESettings, conditional_vae, draw
from course_lib.syllabus import Settings, lesson
from course_lib.training import fingerprint

SEEDS = range(3)
SMALLER: dict[str, dict[str, int]] = {
    "01_vae": {"width": 384},
    "02_gan": {"channels": 24},
    "03_diffusion": {},
    "04_style": {},
}
JUDGE = "mnist_judge"
# Of each lesson: its model's settings, how it is trained, and how 600 images are drawn from it.
MODELS: dict[str, tuple[type[Settings], Callable, dict[str, Callable]]] = {
    "01_vae": (VAESettings, conditional_vae, {"": lambda model: draw(model.sample(600, ASKED))}),
    "02_gan": (GANSettings, conditional_gan, {"": lambda model: model.sample(600, ASKED)}),
    "03_diffusion": (
        UNetDiffusion,
        conditional_diffusion,
        {
            "": lambda model: model.sample(600, ASKED),
            "guidance_half_": lambda model: model.sample(600, ASKED, guidance=0.5),
        },
    ),
    "04_style": (GANSettings, style_gan, {"": lambda model: model.sample(600, ASKED)}),
}


def data() -> Data:
    """MNIST's test images in two parts, with the lessons' grey levels; the held-out ones balanced."""
    mnist = datasets.load("mnist", "10k").with_levels(16)
    x, y = (torch.from_numpy(part) for part in mnist.train)
    x_held, y_held = (torch.from_numpy(part) for part in mnist.held_out)
    return x.flatten(1), y, balanced(x_held.flatten(1), y_held, 60), ASKED


def one_run(
    mnist: Data, name: str, settings: Settings, seed: int, keep: bool = False
) -> dict[str, float]:
    """Train the model of lesson `name` with one seed, and judge what it draws.

    With `keep`, model and judge become checkpoints first, which rounds their weights.
    """
    judged = Judged(mnist, seed)
    _, train, samplers = MODELS[name]
    model, seconds = timed(lambda: train(*mnist[:2], settings, seed=seed))
    if keep:
        kept(name, model, asdict(settings), mnist)
        kept(JUDGE, judged.judge, {}, mnist)
        judged.look()
    row = {"judge_accuracy": judged.accuracy, "cpu_seconds": seconds}
    for prefix, sampler in samplers.items():
        torch.manual_seed(seed)
        images, drawing = timed(lambda sampler=sampler: sampler(model))
        figures = {**judged.figures(images), "sampling_cpu_seconds": drawing}
        row |= {prefix + key: value for key, value in figures.items()}
    return row


def kept(name: str, model: nn.Module, settings: dict, mnist: Data) -> None:
    """Write the checkpoint `name`, and give the model the rounded weights that are in it."""
    made = provenance()
    about = {
        "model": f"{name}, {type(model).__name__}",
        "settings": json.dumps(settings),
        "seed": str(SEEDS[0]),
        "data": f"mnist, 10k, 17 grey levels; training part {fingerprint(*mnist[:2])}",
        "date": made["date"],
        "versions": json.dumps(made["versions"]),
        "made by": "python benchmarks/larger.py checkpoints",
    }
    file = checkpoint.FOLDER / (name + checkpoint.ENDING)
    file.parent.mkdir(exist_ok=True)
    checkpoint.save(file, dict(model.named_parameters()), about)
    model.load_state_dict({**model.state_dict(), **checkpoint.read(file).weights})


def plans() -> Iterator[tuple[str, str, Settings]]:
    """What each row is called, its lesson and settings; one asks what the VAE's beta must be."""
    for name, (kind, _, _) in MODELS.items():
        yield name, name, kind.of(lesson(name).settings("gpu").mnist)
    of_vae = VAESettings.of(lesson("01_vae").settings("gpu").mnist)
    small_beta = lesson("01_vae").settings("gpu").cvae.beta
    yield "01_vae, beta as for 64 pixels", "01_vae", replace(of_vae, beta=small_beta)


def all_runs(names: Sequence[str], seeds: Sequence[int]) -> dict[str, list[dict]]:
    """The plans of these lessons over the seeds; nothing comes from earlier checkpoints."""
    torch.set_num_threads(1)
    mnist, results = data(), {}
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        for called, name, settings in plans():
            if name not in names:
                continue
            rows = results[called] = []
            for seed in seeds:
                rows.append({"seed": seed, **one_run(mnist, name, settings, seed)})
                print(called, rounded(rows[-1]), flush=True)
    return results


def checkpoints(names: Sequence[str]) -> None:
    """Train and keep one model of each lesson, and write its figures."""
    torch.set_num_threads(1)
    mnist, file = data(), RESULTS / "larger_checkpoints.json"
    found = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.exists() else {}
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        for name in names:
            of_preset = MODELS[name][0].of(lesson(name).settings("gpu").mnist)
            settings = replace(of_preset, **SMALLER[name])
            row = one_run(mnist, name, settings, SEEDS[0], keep=True)
            found[name] = [{"seed": SEEDS[0], **row}]
            write("larger_checkpoints", SimpleNamespace(**SMALLER), {}, found)


if __name__ == "__main__" and sys.argv[1:2] == ["checkpoints"]:
    checkpoints(sys.argv[2:] or list(MODELS))
elif __name__ == "__main__":
    seeds = [int(word) for word in sys.argv[1:] if word.isdigit()]
    lessons = [word for word in sys.argv[1:] if not word.isdigit()]
    found = all_runs(lessons or list(MODELS), seeds or SEEDS)
    file = RESULTS / "larger.json"
    earlier = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.exists() else {}
    for called, rows in found.items():
        kept_rows = [row for row in earlier.get(called, []) if row["seed"] not in (seeds or SEEDS)]
        found[called] = sorted([*kept_rows, *rows], key=lambda row: row["seed"])
    settings = SimpleNamespace(**{called: plan for called, _, plan in plans()})
    write("larger", settings, {}, earlier | found)
