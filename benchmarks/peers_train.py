"""Trains one peer for a given number of CPU seconds and samples from it, within the peer's own environment.

Started by diffusion_peers.py, and free of the course's own modules, which are not installed here:

    python peers_train.py PEER data.npz samples.npz SECONDS SEED
"""

import sys
import time
from collections.abc import Callable, Iterator
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import Tensor

try:
    import torchvision  # noqa: F401
except (ImportError, RuntimeError):
    # A torchvision made for another build of torch fails on import. The peers need it for reading
    # image files and for the Inception network alone, neither of which is used here.
    for module in ("torchvision", "torchvision.transforms"):
        sys.modules[module] = MagicMock()

SETTINGS = {
    "denoising-diffusion-pytorch": {
        "batch_size": 64,
        "learning_rate": 1e-3,
        "unet": {"dim": 32, "dim_mults": (1, 2), "channels": 1, "cond_drop_prob": 0.1},
        "diffusion": {"objective": "pred_v", "sampling_timesteps": 20, "ddim_sampling_eta": 0.0},
    },
    "smalldiffusion": {
        "batch_size": 128,
        "learning_rate": 1e-3,
        # Depth and range of noise: from nine tries with seed 0 and nearly as many seconds.
        "network": {"hidden_dims": (256, 256, 256), "cond_dim": 32, "dropout_prob": 0.1},
        "schedule": {"N": 1000, "sigma_min": 0.1, "sigma_max": 50.0},
        "sampler": {"gam": 1.0, "mu": 0.0},
        "sampling_steps": 20,
    },
}

# One training step to each item, and a function that draws images of the classes it is given.
Peer = tuple[Iterator, Callable[[Tensor], Tensor]]


class Batches:
    """Images and labels in a new order each time; cheaper than a DataLoader, which collects the
    images one by one."""

    def __init__(self, x: Tensor, y: Tensor, size: int):
        self.x, self.y, self.size = x, y, size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self.x)).split(self.size):
            yield self.x[rows], self.y[rows]


def denoising_diffusion_pytorch(x: Tensor, y: Tensor) -> Peer:
    """Its class-conditional U-Net, for images (n, 1, 8, 8) from 0 to 1."""
    from denoising_diffusion_pytorch.classifier_free_guidance import GaussianDiffusion, Unet

    settings = SETTINGS["denoising-diffusion-pytorch"]
    unet = Unet(num_classes=10, **settings["unet"])
    model = GaussianDiffusion(unet, image_size=8, **settings["diffusion"])
    images = (x.reshape(-1, 1, 8, 8) + 1) / 2

    def steps() -> Iterator:
        optimizer = torch.optim.Adam(model.parameters(), settings["learning_rate"])
        while True:
            for image, label in Batches(images, y, settings["batch_size"]):
                model(image, classes=label).backward()
                optimizer.step()
                optimizer.zero_grad()
                yield

    def sample(asked: Tensor) -> Tensor:
        # At cond_scale=1 this method returns one tensor where version 2.3.4 unpacks two; the second,
        # for guidance, is not used here.
        unet.forward_with_cond_scale = lambda x, t, classes, **_: (
            unet(x, t, classes, cond_drop_prob=0.0),
            None,
        )
        return 2 * model.eval().sample(asked, cond_scale=1.0) - 1

    return steps(), sample


def smalldiffusion(x: Tensor, y: Tensor) -> Peer:
    """Its conditional MLP, predicting v, in its own training loop; rows of pixels in [-1, 1]."""
    import smalldiffusion as sd
    from accelerate import Accelerator

    settings = SETTINGS["smalldiffusion"]
    model = sd.Scaled(sd.PredV(sd.ConditionalMLP))(dim=x.shape[1], **settings["network"])
    schedule = sd.ScheduleLogLinear(**settings["schedule"])
    cpu = Accelerator(cpu=True)
    rest = {"epochs": 10**6, "lr": settings["learning_rate"], "conditional": True}
    batches = Batches(x, y, settings["batch_size"])
    steps = sd.training_loop(batches, model, schedule, cpu, **rest)

    def sample(asked: Tensor) -> Tensor:
        sigmas = schedule.sample_sigmas(settings["sampling_steps"])
        rest = {"batchsize": len(asked), "cond": asked, "accelerator": cpu, **settings["sampler"]}
        *_, images = sd.samples(model, sigmas, **rest)
        return images

    return steps, sample


def main(peer: str, data: str, samples: str, seconds: str, seed: str) -> None:
    """Train until the CPU seconds are spent, draw what is asked for, and write both's figures."""
    torch.set_num_threads(1)
    torch.manual_seed(int(seed))
    given = {name: torch.from_numpy(array) for name, array in np.load(data).items()}
    make = {f.__name__: f for f in (denoising_diffusion_pytorch, smalldiffusion)}
    steps, sample = make[peer.replace("-", "_")](given["x"], given["y"])
    began = time.process_time()
    for step, _ in enumerate(steps, start=1):  # noqa: B007, the last one is kept
        if time.process_time() - began >= float(seconds):
            break
    trained = time.process_time()
    images = sample(given["asked"])
    sampled = time.process_time()
    np.savez(
        samples,
        images=images.flatten(1).numpy(),
        steps=step,
        cpu_seconds=trained - began,
        sampling_seconds=sampled - trained,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
