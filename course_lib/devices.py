"""Which device a training runs on: a CUDA GPU, Apple's (MPS) if it can do what is needed, or the CPU."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

CPU = torch.device("cpu")
NO_GPU = "The gpu preset was asked for, but PyTorch sees no GPU: this will be slow."
TOO_SMALL = "Nothing in this lesson is large enough to gain from the GPU: it runs on the CPU."


def choose_device(preset: str, asked: bool, gains_from_gpu: bool) -> tuple[torch.device, str]:
    """The device of a lesson, and a sentence about the choice if it may surprise.

    Apple's GPU needs no preset: the gpu preset fetches data, and a Mac should go on offline.

    Args:
        preset: "cpu" or "gpu".
        asked: whether somebody asked for this preset; then "cpu" is taken literally.
        gains_from_gpu: whether something in the lesson is large enough to gain from a GPU.
    """
    if preset == "gpu":
        if gains_from_gpu:
            return accelerator()
        return CPU, TOO_SMALL if torch.cuda.is_available() else NO_GPU
    if gains_from_gpu and not asked and torch.backends.mps.is_available():
        return accelerator()
    return CPU, ""


def accelerator() -> tuple[torch.device, str]:
    """The best device here for what gains from a GPU, and a sentence if it is the CPU."""
    if torch.cuda.is_available():
        # TF32 on GPUs that have it (Ampere and later); a T4 goes on in full float32.
        torch.set_float32_matmul_precision("high")
        return torch.device("cuda"), ""
    if torch.backends.mps.is_available():
        device = torch.device("mps")
        fault = fault_of(device)
        if fault:
            return CPU, f"Apple's GPU cannot do all that is needed here ({fault}): the CPU does it."
        return device, ""
    return CPU, NO_GPU


def fault_of(device: torch.device) -> str:
    """Why `device` cannot run the lessons' trainings; "" if one step with all their operations works.

    Not every operation of PyTorch exists on every device; second derivatives are missing most often.
    """
    try:
        net = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4, 8, 3, stride=2, padding=1),
            nn.GroupNorm(8, 8),
            nn.SiLU(),
            nn.Conv2d(8, 16, 1),
            nn.PixelShuffle(2),
            nn.MaxPool2d(2),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(16, 10),
        ).to(device)
        adam = torch.optim.Adam(net.parameters(), fused=True)
        table = nn.Embedding(10, 10).to(device)
        x = torch.rand(8, 1, 8, 8, device=device, requires_grad=True)
        y = torch.randint(10, (8,), device=device)
        y = y[torch.randperm(8).to(device)].masked_fill(torch.rand(8, device=device) < 0.5, 0)
        scores = net(x) + table(y) * nn.functional.one_hot(y, 10)
        (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
        loss = slope.square().mean() - torch.lgamma(scores.detach().square() + 1).mean()
        loss = loss + nn.functional.cross_entropy(scores, y) + nn.functional.softplus(scores).mean()
        loss.backward()
        adam.step()
        ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
        ema.update_parameters(net)
        ema.update_parameters(net)
        finite = all(parameter.isfinite().all() for parameter in ema.parameters())
        return "" if finite else "a step gives numbers that are not finite"
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return str(error).strip().splitlines()[0][:120] if str(error) else type(error).__name__
