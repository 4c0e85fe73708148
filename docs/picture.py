"""Draw the README's picture: what three models of lesson 01 make of random latents.

Run in the course's environment, about a minute on two cores: python docs/picture.py
"""

from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import torch

from course_lib import datasets, plots, session
from course_lib.audit.fidelity import frechet_distance
from course_lib.models import vae
from course_lib.models.classifier import balanced, digit_judge
from course_lib.training import finish

OUT = Path(__file__).with_name("picture.png")


def main() -> None:
    settings = session.start("01_vae", preset="cpu").settings
    digits = datasets.load("digits")
    x, y = torch.from_numpy(digits.train.x).flatten(1), torch.from_numpy(digits.train.y)
    judge = digit_judge()
    held = judge.features(torch.from_numpy(digits.held_out.x))
    floor = frechet_distance(held, judge.features(balanced(x, y, 60)))

    models = {
        "beta = 0.0001": train(x, settings, beta=1e-4),
        "VAE, beta = 1": train(x, settings, beta=1.0),
    }
    torch.manual_seed(0)
    images = {name: model.sample(600) for name, model in models.items()}
    asked = torch.arange(10).repeat_interleave(60)
    conditional = vae.conditional_vae(x, y, settings.cvae)
    images["conditional, beta = 3"] = (
        conditional.sample(600, asked).reshape(10, 60, 64).swapaxes(0, 1)
    )

    fig, axes = plt.subplots(1, 3, figsize=(10, 2.3))
    for ax, (name, means) in zip(axes, images.items(), strict=True):
        means = means.reshape(-1, 64)
        ratio = frechet_distance(held, judge.features(vae.draw(means))) / floor
        title = f"{name}: FD {ratio:.2g} x floor"
        plots.image_grid(means[:60].reshape(-1, 8, 8), ax=ax, title=title)
    fig.savefig(OUT)


def train(x: torch.Tensor, settings: SimpleNamespace, beta: float) -> vae.VAE:
    torch.manual_seed(0)
    model = vae.VAE(settings.latent_dim, settings.width, dropout=settings.dropout)
    finish(vae.fit(model, (x,), vae.VAESettings(beta=beta, **vars(settings.vae))))
    return model


if __name__ == "__main__":
    main()
