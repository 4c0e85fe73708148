r"""Sounds as pictures of their frequencies, and back.

The short-time Fourier transform (STFT) cuts a sound into overlapping windows and gives the complex
amplitude of each frequency in each of them. Most models keep the magnitudes only, in bands that are
spaced as we hear (mel, Stevens, Volkmann and Newman 1937, doi 10.1121/1.1915893). The phase is lost, and
has to be found again: Griffin and Lim 1984, "Signal estimation from modified short-time Fourier
transform", doi 10.1109/TASSP.1984.1164317.
"""

import torch
from torch import Tensor

RATE, WINDOW, HOP, BANDS = 8000, 512, 128, 40
FLOOR = 1e-3  # magnitudes below are silence


def stft(sounds: Tensor) -> Tensor:
    """Complex amplitudes (n, 257, frames) of sounds (n, samples), samples a multiple of 128.

    >>> stft(torch.zeros(2, 5120)).shape
    torch.Size([2, 257, 41])
    """
    window = torch.hann_window(WINDOW, device=sounds.device)
    return torch.stft(sounds, WINDOW, HOP, window=window, return_complex=True)


def inverse_stft(amplitudes: Tensor) -> Tensor:
    """Sounds (n, samples) whose STFT is nearest to `amplitudes` (n, 257, frames).

    >>> inverse_stft(torch.zeros(2, 257, 41, dtype=torch.complex64)).shape
    torch.Size([2, 5120])
    """
    window = torch.hann_window(WINDOW, device=amplitudes.device)
    return torch.istft(amplitudes, WINDOW, HOP, window=window)


def mel_filters(bands: int = BANDS, bins: int = WINDOW // 2 + 1, rate: int = RATE) -> Tensor:
    """Triangles (bands, bins) whose corners are evenly spaced in mel, each with the sum 1.

    >>> mel_filters().shape, bool(torch.isclose(mel_filters().sum(dim=1), torch.ones(40)).all())
    (torch.Size([40, 257]), True)
    """
    # mel(f) = 2595 log10(1 + f / 700)
    highest = 2595 * torch.log10(torch.tensor(1 + rate / 2 / 700))
    corners = 700 * (10 ** (torch.linspace(0, 1, bands + 2) * highest / 2595) - 1)
    frequency = torch.linspace(0, rate / 2, bins)
    low, middle, high = (corners[i : i + bands, None] for i in range(3))
    triangles = torch.minimum(
        (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    )
    triangles = triangles.clamp(min=0)
    return triangles / triangles.sum(dim=1, keepdim=True)


def log_mel(sounds: Tensor) -> Tensor:
    """The logarithm of the magnitude in 40 bands: (n, samples) to (n, 40, frames).

    >>> log_mel(torch.zeros(2, 5120)).shape
    torch.Size([2, 40, 41])
    """
    return (mel_filters().to(sounds.device) @ stft(sounds).abs()).clamp(min=FLOOR).log()


def magnitude_of(mels: Tensor, rounds: int = 30) -> Tensor:
    """Magnitudes (n, 257, frames), none negative, that explain log-mels (n, 40, frames) best.

    By the multiplicative updates of Lee and Seung 2001 for the squared error.

    >>> magnitude_of(log_mel(torch.zeros(2, 5120))).shape
    torch.Size([2, 257, 41])
    """
    filters, wanted = mel_filters().to(mels.device), mels.exp()
    found = filters.T @ wanted
    above, square = filters.T @ wanted, filters.T @ filters
    for _ in range(rounds):
        found = found * above / (square @ found).clamp(min=1e-8)
    return found


def griffin_lim_step(sounds: Tensor, magnitude: Tensor) -> Tensor:
    """One round: keep the phase of the sounds (n, samples), and take these magnitudes (n, 257, frames).

    Griffin and Lim 1984, section III. Raises RuntimeError for sounds of another length.

    >>> sounds = torch.sin(torch.arange(5120) * 0.3)[None]
    >>> torch.allclose(griffin_lim_step(sounds, stft(sounds).abs()), sounds, atol=1e-5)
    True
    """
    return inverse_stft(torch.polar(magnitude, stft(sounds).angle()))


def griffin_lim(magnitude: Tensor, rounds: int = 32, seed: int = 0) -> Tensor:
    """Sounds (n, samples) with about these magnitudes (n, 257, frames), from random phases.

    >>> griffin_lim(torch.zeros(2, 257, 41), rounds=2).shape
    torch.Size([2, 5120])
    """
    generator = torch.Generator().manual_seed(seed)
    phase = 2 * torch.pi * torch.rand(magnitude.shape, generator=generator)
    sounds = inverse_stft(torch.polar(magnitude, phase.to(magnitude.device)))
    for _ in range(rounds):
        sounds = griffin_lim_step(sounds, magnitude)
    return sounds
