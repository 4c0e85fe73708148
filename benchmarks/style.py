"""Lesson 04's figures over five seeds: the style generator, the plain GAN, and two controls.

Run in the course's environment, about 20 minutes on two cores:

    python benchmarks/style.py                  # or only some: python benchmarks/style.py "plain GAN"

It trains with the settings of the lesson's cpu preset on the lesson's split and writes
results/style.json, with one group of runs for each generator, or those groups of it.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from common import RESULTS, SEEDS, Data, Judged, rounded, split_of_lesson, timed, write
from torch import Tensor

from course_lib.datasets.handwriting import slant, stroke_width
from course_lib.models import gan, style
from course_lib.models.layers import append_class, within_class
from course_lib.syllabus import lesson

PRESET = lesson("04_style").settings("cpu")
BARS = {
    "read_as_asked": (">=", 0.97),
    "fd_over_floor": ("<=", 2.5),
    "cpu_seconds": ("<=", 60.0),
    "slant_r2_w_less_z": (">=", 0.15),
    "turn_slant_class_kept": (">=", 0.9),
    "truncation_monotone": (">=", 1.0),
}
MANY = torch.arange(10).repeat_interleave(400)
GROUPS = (
    "plain GAN",
    "style generator",
    "class in the constant",
    "not trained",
)
PSIS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Space:
    """Points of many images, and how images are drawn from points (n, d) of the classes MANY."""

    points: Tensor
    draw: Callable[[Tensor], Tensor]

    def properties(self) -> Tensor:
        return measured(self.draw(self.points))


def measured(images: Tensor) -> Tensor:
    """Slant and stroke width, (n, 2)."""
    return torch.stack([slant(images), stroke_width(images)], dim=1)


def plain_run(data: Data, judged: Judged, seed: int) -> dict[str, float]:
    """The plain conditional GAN of lesson 02: what its latents z say of an image."""
    x, y, _, _ = data
    generator, seconds = timed(lambda: gan.conditional_gan(x, y, PRESET.plain, seed=seed))
    torch.manual_seed(seed + 100)
    space = Space(
        torch.randn(len(MANY), generator.latent_dim), lambda z: generator.sample(len(z), MANY, z)
    )
    properties = space.properties()
    with torch.no_grad():
        hidden = generator.body[0][:2](append_class(space.points, MANY, 10))
    return {
        **judged.figures(generator.sample(600, MANY[::400].repeat_interleave(60))),
        "cpu_seconds": seconds,
        **straightness(space.points, None, properties),
        # The plain GAN's first hidden layer is nearer to the image than z is, too.
        "slant_r2_hidden": style.linear_share(hidden, MANY, properties[:, 0]),
        "slant_r2_hidden_each_digit": style.linear_share(hidden, MANY, properties[:, 0], True),
        **turned(space, judged),
    }


def style_run(data: Data, judged: Judged, seed: int, kind: str) -> dict[str, float]:
    """A style generator: its digits, and what z and w say of an image."""
    x, y, _, _ = data
    generator, seconds = timed(lambda: trained(x, y, seed, kind))
    torch.manual_seed(seed + 100)
    z = torch.randn(len(MANY), generator.latent_dim)
    with torch.no_grad():
        space = Space(generator.styles(z, MANY), lambda w: generator.draw(w, MANY))
    properties = space.properties()
    return {
        **judged.figures(generator.sample(600, MANY[::400].repeat_interleave(60))),
        "cpu_seconds": seconds,
        "noise": max(float(layer.noise.detach().abs()) for layer in generator.synthesis_layers),
        **straightness(z, space.points, properties),
        **paths(generator, judged),
        **truncated(space, judged),
        **turned(space, judged),
        **mixed(generator, space, properties, judged),
    }


def trained(x: Tensor, y: Tensor, seed: int, kind: str) -> style.StyleGenerator:
    if kind == "not trained":
        torch.manual_seed(seed)
        return style.StyleGenerator(PRESET.style.latent_dim, PRESET.style.channels).eval()
    constant = kind == "class in the constant"
    return style.style_gan(x, y, PRESET.style, seed=seed, class_in_constant=constant)


def straightness(z: Tensor, w: Tensor | None, properties: Tensor) -> dict[str, float]:
    """R^2 of linear regressions on z and on w, with slopes for all digits together and for each."""
    found = {}
    for name, values in zip(("slant", "width"), properties.T, strict=True):
        for each, digits in ((False, ""), (True, "_each_digit")):
            z_share = style.linear_share(z, MANY, values, each)
            found[f"{name}_r2_z{digits}"] = z_share
            if w is None:
                continue
            w_share = style.linear_share(w, MANY, values, each)
            found[f"{name}_r2_w{digits}"] = w_share
            found[f"{name}_r2_w_less_z{digits}"] = w_share - z_share
    return found


def paths(generator: style.StyleGenerator, judged: Judged) -> dict[str, float]:
    """Perceptual path lengths in z, along arcs, and in w, along lines, between the same images."""
    z = torch.randn(2, len(MANY), generator.latent_dim)
    t = torch.rand(len(MANY)) * 0.99
    w = [generator.styles(part, MANY) for part in z]

    @torch.no_grad()
    def features(styles: Tensor) -> Tensor:
        return judged.judge.features(8 * (generator.synthesis(styles, MANY) + 1))

    in_z = style.path_length(lambda t: features(generator.styles(style.arc(*z, t), MANY)), t)
    in_w = style.path_length(lambda t: features(torch.lerp(*w, t[:, None])), t)
    return {
        "path_length_z": float(in_z),
        "path_length_w": float(in_w),
        "path_length_z_over_w": float(in_z / in_w),
    }


def truncated(space: Space, judged: Judged) -> dict[str, float]:
    """Accuracy over 4,000 images, recall and variety of 600, as psi grows from 0 to 1."""
    centres = torch.stack([space.points[label == MANY].mean(dim=0) for label in range(10)])
    some = torch.arange(len(MANY)).reshape(10, 400)[:, :60].flatten()
    found, rows = {}, []
    for psi in PSIS:
        images = space.draw(style.truncate(space.points, MANY, centres, psi))
        right = float((judged.judge.predict(images) == MANY).float().mean())
        recall = judged.figures(images[some])["recall"]
        rows.append((right, recall))
        found |= {f"accuracy_at_psi_{psi:g}": right, f"recall_at_psi_{psi:g}": recall}
    right, recall = zip(*rows, strict=True)
    monotone = list(right) == sorted(right, reverse=True) and list(recall) == sorted(recall)
    return found | {"truncation_monotone": float(monotone)}


def turned(space: Space, judged: Judged) -> dict[str, float]:
    """What steps do that should raise slant, or width, by one standard deviation within a class.

    Each digit has directions of its own, and as a comparison all digits share them. What is achieved of
    such a step is counted in standard deviations, steps up and down averaged. Then the steps are made
    longer until the property has really moved by one standard deviation: `steps` says how long, `other`
    how far the other property has moved with it, and `class_kept` how many of the images that were
    read as asked still are.
    """
    before = space.draw(space.points)
    properties = measured(before)
    right = judged.judge.predict(before) == MANY
    sd = within_class(properties, MANY).std(dim=0)

    def moved(step: Tensor) -> tuple[Tensor, float]:
        """By how many standard deviations the properties have moved, (2,); how many are still read."""
        change, kept = torch.zeros(2), 0.0
        for sign in (-1, 1):
            images = space.draw(space.points + sign * step)
            change += sign * ((measured(images) - properties) / sd).mean(dim=0) / 2
            kept += float((judged.judge.predict(images) == MANY)[right].float().mean()) / 2
        return change, kept

    shared = style.directions(space.points, MANY, properties) * sd[:, None]
    rows = [label == MANY for label in range(10)]
    own = [
        style.directions(space.points[r], torch.zeros_like(MANY[r]), properties[r]) for r in rows
    ]
    each = torch.stack(own, dim=1)[:, MANY] * sd[:, None, None]
    found = {}
    for i, name in enumerate(("slant", "width")):
        found[f"turn_{name}_shared_achieved"] = float(moved(shared[i].expand(len(MANY), -1))[0][i])
        found[f"turn_{name}_achieved"] = float(moved(each[i])[0][i])
        steps = one_deviation(lambda steps, i=i: float(moved(steps * each[i])[0][i]))
        change, kept = moved(steps * each[i])
        found |= {
            f"turn_{name}_steps": steps,
            f"turn_{name}_moved": float(change[i]),
            f"turn_{name}_other": float(change[1 - i]),
            f"turn_{name}_class_kept": kept,
        }
    return found


def one_deviation(achieved: Callable[[float], float], longest: float = 5.0) -> float:
    """How many steps move a property by 1, by lines between multiples of a half; at most `longest`."""
    steps, last = 0.0, 0.0
    while steps < longest:
        now = achieved(steps + 0.5)
        if now >= 1:
            return steps + 0.5 * (1 - last) / (now - last)
        steps, last = steps + 0.5, now
    return longest


def mixed(
    generator: style.StyleGenerator, space: Space, properties: Tensor, judged: Judged
) -> dict[str, float]:
    """Styles of two images, with the cut at every layer: within a class, and across classes."""
    at_random = torch.randperm(len(MANY))
    # Rows of the same class: the places of the class in some other order.
    same = torch.cat([400 * label + torch.randperm(400) for label in range(10)])
    within = within_class(properties, MANY)
    found = {}
    for cut in range(1, generator.layers):
        images = generator.draw(
            style.mix(space.points, space.points[same], generator.layers, cut), MANY
        )
        after = within_class(measured(images), MANY)
        found[f"mix_{cut}_class_kept"] = float(
            (judged.judge.predict(images) == MANY).float().mean()
        )
        for i, name in enumerate(("slant", "width")):
            pair = torch.stack([after[:, i], within[same, i]])
            found[f"mix_{cut}_{name}_of_second"] = float(torch.corrcoef(pair)[0, 1])
        images = generator.draw(
            style.mix(space.points, space.points[at_random], generator.layers, cut), MANY
        )
        read, other = judged.judge.predict(images), MANY[at_random] != MANY
        found[f"mix_{cut}_first_digit"] = float((read == MANY)[other].float().mean())
        found[f"mix_{cut}_second_digit"] = float((read == MANY[at_random])[other].float().mean())
    return found


def main(groups: Sequence[str]) -> None:
    torch.set_num_threads(1)
    data = split_of_lesson()
    results: dict[str, list[dict]] = {group: [] for group in groups}
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        for seed in SEEDS:
            judged = Judged(data, seed)
            for name, rows in results.items():
                run = (
                    plain_run(data, judged, seed)
                    if name == "plain GAN"
                    else style_run(data, judged, seed, name)
                )
                rows.append({"seed": seed, **run})
                print(name, rounded(rows[-1]), flush=True)
    file = RESULTS / "style.json"
    kept = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.exists() else {}
    found = kept | results
    write("style", PRESET, BARS, {name: found[name] for name in GROUPS if name in found})


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - set(GROUPS):
        sys.exit(f"There is no group {', '.join(sorted(unknown))}; there are: {', '.join(GROUPS)}.")
    main(sys.argv[1:] or GROUPS)
