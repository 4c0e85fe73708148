"""The trained models of 28 x 28 digits that come with the course, ready to draw from.

`benchmarks/larger.py checkpoints` has trained them on MNIST (10,000 of its images, 17 grey levels).
"""

import json
from collections.abc import Callable

from torch import nn

from course_lib.models import checkpoint, diffusion, gan, style, vae
from course_lib.models.classifier import DigitClassifier

SIDE = 28
CLASSES = 10


def _vae(settings: dict) -> nn.Module:
    found = vae.VAESettings.of(settings)
    shape = (found.latent_dim, found.width, found.depth, found.dropout)
    return vae.VAE(*shape, classes=CLASSES, pixels=SIDE**2)


def _gan(settings: dict) -> nn.Module:
    found = gan.GANSettings.of(settings)
    return gan.Generator(found.latent_dim, found.channels, classes=CLASSES, side=SIDE)


def _diffusion(settings: dict) -> nn.Module:
    found = diffusion.UNetDiffusion.of(settings)
    return diffusion.Diffusion(found.network(CLASSES, SIDE**2))


def _style(settings: dict) -> nn.Module:
    found = gan.GANSettings.of(settings)
    return style.StyleGenerator(found.latent_dim, found.channels, CLASSES, side=SIDE)


def _judge(settings: dict) -> nn.Module:
    return DigitClassifier(side=SIDE)


MODELS: dict[str, Callable[[dict], nn.Module]] = {
    "01_vae": _vae,
    "02_gan": _gan,
    "03_diffusion": _diffusion,
    "04_style": _style,
    "mnist_judge": _judge,
}


def trained(name: str) -> nn.Module:
    """The model `name` with its trained weights, in evaluation mode, on the CPU.

    Raises:
        ValueError: for an unknown name, with the known ones.
        CheckpointError: for a damaged file, or one whose weights do not fit the model.

    >>> import torch
    >>> trained("01_vae").sample(2, torch.tensor([3, 8])).shape
    torch.Size([2, 784])
    """
    found = checkpoint.find_checkpoint(name)
    model = MODELS[name](json.loads(found.about["settings"]))
    wanted = {key: value.shape for key, value in model.named_parameters()}
    if {key: value.shape for key, value in found.weights.items()} != wanted:
        raise checkpoint.CheckpointError(f"The weights of '{name}' do not fit its model.")
    model.load_state_dict({**model.state_dict(), **found.weights})
    return model.eval()
