"""Lesson 19's figures over five seeds: straightness, latents, few steps (digits), and sounds.

Run in the course's environment, about six and two minutes on two cores:

    python benchmarks/flow.py digits             # or one more seed for the record: digits 4
    python benchmarks/flow.py sounds

With the settings of the lesson's cpu preset it writes results/flow_digits.json and
results/flow_sounds.json. The settings were chosen on the lesson's own split with seed 0. Where FSDD is at
hand (COURSE_DATA_MIRROR), the second does the same with its recordings.
"""

import copy
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from common import ASKED, RESULTS, SEEDS, Judged, rounded, split_of_lesson, timed, write
from sklearn.decomposition import PCA
from sklearn.svm import SVC
from torch import Tensor, nn

from course_lib import datasets
from course_lib.datasets.fetch import MIRROR
from course_lib.models import flow, vae
from course_lib.models.diffusion import Denoiser, ddim_step, from_velocity
from course_lib.models.layers import from_grey_levels, to_grey_levels
from course_lib.models.spectrogram import griffin_lim, log_mel, magnitude_of
from course_lib.models.voice import heard
from course_lib.syllabus import lesson
from course_lib.training import finish

PRESET = lesson("19_flow").settings("cpu")


class FromImage(nn.Module):
    """A velocity from a network that says the image: narrow, it need not carry the noise."""

    def __init__(self, network: Denoiser):
        super().__init__()
        self.network = network

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return (self.network(x_t, t, y) - x_t) / (1 - t).clamp(min=0.05)[:, None]


def matching(network: nn.Module, x: Tensor, y: Tensor, path=flow.straight_path) -> Tensor:
    t = torch.rand(len(x))
    return flow.flow_matching_loss(
        lambda x_t, t: network(x_t, t, y), x, t, torch.randn_like(x), path
    )


def matching_pairs(network: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    t = torch.rand(len(x))
    return flow.flow_matching_loss(lambda x_t, t: network(x_t, t, y), x, t, noise)


def one_step(network: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    return flow.distillation_loss(lambda x_t, t: network(x_t, t, y), noise, x)


def path(network: nn.Module, noise: Tensor, y: Tensor, steps: int, way=flow.euler_path) -> Tensor:
    return way(lambda x_t, t: network(x_t, t, y), noise, steps)


def pairs_of(network: nn.Module, kinds: int, numbers: int) -> tuple[Tensor, Tensor, Tensor]:
    """What twenty steps make of noises: (made, y, noise)."""
    y, noise = torch.arange(PRESET.pairs) % kinds, torch.randn(PRESET.pairs, numbers)
    return path(network, noise, y, 20)[-1], y, noise


@torch.no_grad()
def ddim(network: nn.Module, noise: Tensor, y: Tensor, steps: int) -> Tensor:
    """The same network of the arc, by lesson 03's step."""
    x_t = noise
    for i in range(steps):
        now, then = (np.sin(np.pi / 2 * k / steps) ** 2 for k in (i, i + 1))
        v = -network(x_t, torch.full((len(y),), i / steps), y) * 2 / np.pi
        seen = from_velocity(x_t, v, torch.full((len(y),), max(now, 1e-5)))
        x_t = ddim_step(*seen, torch.tensor(then, dtype=torch.float32))
    return x_t


def digits(seed: int) -> dict[str, float]:
    """Straight and arc paths, reflow, distillation, latents and narrow networks, with one seed."""
    data = split_of_lesson()
    x, y = data[:2]
    judged, pixels = Judged(data, seed), from_grey_levels(x)
    row: dict[str, float] = {"fd_floor": judged.floor}

    def keep(name: str, images: Tensor) -> None:
        found = judged.figures(images)
        for figure in ("fd_over_floor", "recall", "read_as_asked"):
            row[f"{name}_{figure}"] = found[figure]

    def trained(name: str, network: nn.Module, loss: Callable, parts, settings) -> nn.Module:
        found, row[f"{name}_train_seconds"] = timed(
            lambda: flow.fit(network, loss, parts, settings, seed=seed)
        )
        return found

    torch.manual_seed(seed)
    wide, narrow = PRESET.flow.width, PRESET.small.width
    straight = trained("flow", Denoiser(wide, 3, 10), matching, (pixels, y), PRESET.flow)
    on_arc = partial(matching, path=flow.arc_path)
    arc = trained("arc", Denoiser(wide, 3, 10), on_arc, (pixels, y), PRESET.flow)
    made = pairs_of(straight, 10, 64)
    start = copy.deepcopy(straight)
    reflow = trained("reflow", start, matching_pairs, made, PRESET.further)
    distilled = trained("distilled", copy.deepcopy(straight), one_step, made, PRESET.further)

    noise = torch.randn(600, 64)
    for steps in (1, 2, 4, 20):
        for name, network in {"flow": straight, "reflow": reflow}.items():
            keep(f"{name}_{steps}", to_grey_levels(path(network, noise, ASKED, steps)[-1]))
        keep(f"ddim_{steps}", to_grey_levels(ddim(arc, noise, ASKED, steps)))
    keep("flow_heun_10", to_grey_levels(path(straight, noise, ASKED, 10, flow.heun_path)[-1]))
    keep("distilled_1", to_grey_levels(path(distilled, noise, ASKED, 1)[-1]))
    for name, network in {"flow": straight, "arc": arc, "reflow": reflow}.items():
        ratio = flow.length_over_chord(path(network, noise, ASKED, 100))
        row[f"{name}_length_over_chord"] = ratio.mean().item()

    # the latents
    coder = vae.VAE(PRESET.autoencoder.latent_dim, PRESET.autoencoder.width, dropout=0.0)
    _, row["autoencoder_train_seconds"] = timed(
        lambda: finish(vae.fit(coder, (x,), PRESET.autoencoder, seed=seed))
    )
    with torch.no_grad():
        codes = coder.encode(x)[0]
    scaled, mean = flow.scale_latents(codes, codes), codes.mean(dim=0)
    size = (codes - mean).pow(2).mean().sqrt()

    @torch.no_grad()
    def decoded(latents: Tensor) -> Tensor:
        return (16 * torch.sigmoid(coder.decode(latents * size + mean))).round()

    keep("reconstructed", decoded(scaled[balanced_rows(y)]))
    dims = PRESET.autoencoder.latent_dim
    latent = trained("latent", Denoiser(narrow, 3, 10, dims), matching, (scaled, y), PRESET.small)
    small = trained("narrow", Denoiser(narrow, 3, 10), matching, (pixels, y), PRESET.small)
    image = FromImage(Denoiser(narrow, 3, 10))
    image = trained("narrow_image", image, matching, (pixels, y), PRESET.small)
    made = pairs_of(latent, 10, dims)
    brief = trained("latent_distilled", copy.deepcopy(latent), one_step, made, PRESET.further)
    low = torch.randn(600, dims)
    keep("latent_20", decoded(path(latent, low, ASKED, 20)[-1]))
    keep("latent_10", decoded(path(latent, low, ASKED, 10)[-1]))
    keep("latent_distilled_1", decoded(path(brief, low, ASKED, 1)[-1]))
    keep("narrow_20", to_grey_levels(path(small, noise, ASKED, 20)[-1]))
    keep("narrow_image_20", to_grey_levels(path(image, noise, ASKED, 20)[-1]))

    decoder = flow.operations(coder.decoder)
    row["flow_20_operations"] = 20 * flow.operations(straight)
    row["latent_20_operations"] = 20 * flow.operations(latent) + decoder
    row["latent_distilled_1_operations"] = flow.operations(latent) + decoder
    row["distilled_1_operations"] = flow.operations(straight)
    many = torch.arange(6000) % 10
    for name, sampler in {
        "flow_20": lambda: path(straight, torch.randn(6000, 64), many, 20),
        "latent_20": lambda: decoded(path(latent, torch.randn(6000, dims), many, 20)[-1]),
        "latent_distilled_1": lambda: decoded(path(brief, torch.randn(6000, dims), many, 1)[-1]),
        "distilled_1": lambda: path(distilled, torch.randn(6000, 64), many, 1),
    }.items():
        row[f"{name}_microseconds"] = timed(sampler)[1] / 6000 * 1e6
    return row


def balanced_rows(y: Tensor) -> Tensor:
    """The first 60 rows of each kind."""
    return torch.cat([(y == kind).nonzero()[:60, 0] for kind in range(10)])


def sounds(name: str, seed: int) -> dict[str, float]:
    """A flow of log-mels in the latents of a PCA, its sounds, and two things to compare with."""
    data = datasets.load(name)
    mels, held = (log_mel(torch.from_numpy(part.x)) for part in (data.train, data.held_out))
    y = torch.from_numpy(data.train.y)
    pca = PCA(PRESET.voice_latents, random_state=seed).fit(mels.flatten(1).numpy())

    def coded(mels: Tensor) -> Tensor:
        return torch.from_numpy(pca.transform(mels.flatten(1).numpy())).float()

    codes = coded(mels)
    size = codes.pow(2).mean().sqrt()
    reader = SVC(C=10.0).fit(codes.numpy(), y.numpy())
    asked = torch.arange(PRESET.listened) % 10
    torch.manual_seed(seed)
    network = Denoiser(PRESET.voice.width, 3, 10, PRESET.voice_latents)
    network, seconds = timed(
        lambda: flow.fit(network, matching, (codes / size, y), PRESET.voice, seed=seed)
    )
    noise = torch.randn(len(asked), PRESET.voice_latents)
    # Something simpler: a normal distribution of the latents for each kind.
    normal = torch.stack(
        [
            torch.distributions.MultivariateNormal(
                codes[y == kind].mean(dim=0),
                codes[y == kind].T.cov() + 1e-4 * torch.eye(codes.shape[1]),
            ).sample()
            for kind in asked
        ]
    )
    row = {"train_seconds": seconds, "reader_held_out": reader.score(coded(held), data.held_out.y)}
    same = torch.randperm(len(held))[: PRESET.listened]
    sets = {
        "held_out": (coded(held)[same], torch.from_numpy(data.held_out.y)[same]),
        "flow": (path(network, noise, asked, 20)[-1] * size, asked),
        "normal": (normal, asked),
    }
    for what, (latents, kind) in sets.items():
        row[f"{what}_read_as_asked"] = reader.score(latents.numpy(), kind.numpy())
        if name == "vowels":
            row |= heard_as(what, to_sounds(pca, latents), kind.numpy())
    if name == "vowels":
        as_recorded = data.held_out.x[same.numpy()]
        row |= heard_as("recorded", as_recorded, data.held_out.y[same.numpy()])
    return row


def to_sounds(pca: PCA, latents: Tensor) -> np.ndarray:
    mels = torch.from_numpy(pca.inverse_transform(latents.numpy())).float()
    return griffin_lim(magnitude_of(mels.reshape(len(latents), 40, -1))).numpy()


def heard_as(what: str, found: np.ndarray, kind: np.ndarray) -> dict[str, float]:
    """Shares heard as asked, and the rank correlation of pitch and size of the voice."""
    table = heard(found)
    return {
        f"{what}_vowel": float((table["vowel"] == kind // 2).mean()),
        f"{what}_tone": float((table["tone"] == kind % 2).mean()),
        f"{what}_pitch_and_size": table["pitch"].corr(table["size"], method="spearman"),
    }


def recorded_runs(part: str) -> dict[str, list[dict]]:
    """The runs of the record, which more seeds are added to; their settings must be those of today.

    Raises:
        ValueError: when the settings have changed.
    """
    record = json.loads((RESULTS / f"flow_{part}.json").read_text(encoding="utf-8"))
    if record["settings"] != json.loads(json.dumps(PRESET, default=vars)):
        raise ValueError("The settings have changed since the record was made: run all seeds.")
    return record["runs"]


def main(part: str, *seeds: str) -> None:
    torch.set_num_threads(1)
    works = {"digits": {"digits": digits}}.get(part, {"vowels": partial(sounds, "vowels")})
    if part == "sounds" and os.environ.get(MIRROR):
        works["fsdd"] = partial(sounds, "fsdd")
    results = recorded_runs(part) if seeds else {name: [] for name in works}
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        for name, work in works.items():
            for seed in map(int, seeds or SEEDS):
                results[name] = [row for row in results[name] if row["seed"] != seed]
                results[name].append({"seed": seed, **work(seed)})
                print(name, rounded(results[name][-1]), flush=True)
    write(f"flow_{part}", PRESET, {}, results)


if __name__ == "__main__":
    main(*sys.argv[1:])
