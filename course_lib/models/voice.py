"""What can be measured of a voice: its pitch, and the formants of its vowel."""

import numpy as np
import pandas as pd
from scipy.linalg import solve_toeplitz

from course_lib.datasets.sounds import FORMANTS, RATE

LOWEST, HIGHEST = 80.0, 400.0  # hertz


def pitch(sounds: np.ndarray) -> np.ndarray:
    """The pitch in hertz of each sound (n, samples), by the highest peak of its autocorrelation: (n,).

    Rabiner 1977, doi 10.1109/TASSP.1977.1162905.

    >>> time = np.arange(2000) / RATE
    >>> pitch(np.sin(2 * np.pi * 200 * time)[None]).round()
    array([200.])
    """
    sounds = (sounds - sounds.mean(axis=1, keepdims=True)) * np.hanning(sounds.shape[1])
    # The magnitude in place of the power: a strong formant weighs less.
    size = 2 * sounds.shape[1]
    magnitude = np.abs(np.fft.rfft(sounds, size))
    lags = np.arange(int(RATE / HIGHEST), int(RATE / LOWEST) + 1)
    correlation = np.fft.irfft(magnitude, size)[:, : lags[-1] + 2]
    inside = correlation[:, lags]
    # The shortest lag whose peak is nearly as high as the highest: its multiples are as high.
    peak = (inside >= correlation[:, lags - 1]) & (inside >= correlation[:, lags + 1])
    best = peak & (inside > 0.9 * np.where(peak, inside, -np.inf).max(axis=1, keepdims=True))
    chosen = lags[best.argmax(axis=1)]
    rows = np.arange(len(sounds))
    before, here, after = (correlation[rows, chosen + k] for k in (-1, 0, 1))
    curve = before - 2 * here + after
    shift = np.divide(before - after, 2 * curve, out=np.zeros_like(curve), where=curve < 0)
    return RATE / (chosen + shift)


def formants(sounds: np.ndarray, order: int = 10) -> np.ndarray:
    """The two lowest formants in hertz of each sound (n, samples), by linear prediction: (n, 2).

    Atal and Hanauer 1971, doi 10.1121/1.1912679. NaN where fewer than two are found.

    >>> formants(np.random.default_rng(0).standard_normal((1, 2000))).shape
    (1, 2)
    """
    found = np.full((len(sounds), 2), np.nan)
    for row, sound in enumerate(sounds):
        sharp = np.append(sound[0], sound[1:] - 0.97 * sound[:-1]) * np.hamming(len(sound))
        lags = np.correlate(sharp, sharp, "full")[len(sharp) - 1 :][: order + 1]
        lags[0] = lags[0] * (1 + 1e-4) + 1e-12
        predictor = solve_toeplitz(lags[:-1], lags[1:])
        roots = np.roots(np.append(1.0, -predictor))
        roots = roots[roots.imag > 0]
        frequency = np.angle(roots) * RATE / (2 * np.pi)
        width = -np.log(np.abs(roots)) * RATE / np.pi
        heard = np.sort(frequency[(frequency > 150) & (width < 500)])
        found[row, : len(heard)] = heard[:2]
    return found


def heard(sounds: np.ndarray) -> pd.DataFrame:
    """What is measured on sounds (n, 5120) like those of `datasets.sounds.voices`, a row each.

    The columns: vowel, a number from 0 to 4 (-1 where none is heard); tone, 1 where the pitch rises; pitch
    in hertz; and size, by how much the formants are higher than the vowel's own, which a small voice has.

    >>> from course_lib.datasets.sounds import voices
    >>> heard(voices(3)[0])[["vowel", "tone"]].to_numpy().tolist()
    [[0, 0], [0, 1], [1, 0]]
    """
    found = formants(sounds[:, 1000:3400])
    own = np.array(list(FORMANTS.values()))[:, :2]
    higher = np.log(found[:, None, :] / own)  # (n, vowels, 2)
    size = higher.mean(axis=2).clip(np.log(0.95), np.log(1.3))
    misfit = ((higher - size[..., None]) ** 2).sum(axis=2)
    vowel = np.where(np.isnan(misfit).any(axis=1), -1, np.nan_to_num(misfit).argmin(axis=1))
    early, late = pitch(sounds[:, 600:1800]), pitch(sounds[:, 2400:3600])
    size = np.exp(size[np.arange(len(sounds)), vowel])
    table = {
        "vowel": vowel,
        "tone": (late > early).astype(int),
        "pitch": pitch(sounds[:, 1000:3400]),
    }
    return pd.DataFrame(table | {"size": size})
