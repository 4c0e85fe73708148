"""Short sounds: simulated vowels with a planted truth, and the recordings of FSDD.

Both are waveforms x (n, 5120) from -1 to 1, 0.64 seconds at 8,000 samples a second, and y from 0 to 9.
data/vowels.md says the equations of the simulator.
"""

import io
import tarfile

import numpy as np
import pandas as pd
from scipy.io import wavfile
from scipy.signal import lfilter

from course_lib.datasets.fetch import fetch
from course_lib.datasets.splits import Dataset, Split

RATE = 8000  # samples a second
SAMPLES = 5120
# Mean formants of men in hertz: Peterson and Barney 1952, doi 10.1121/1.1906875, table II.
FORMANTS = {
    "heed": (270, 2290, 3010),
    "head": (530, 1840, 2480),
    "hod": (730, 1090, 2440),
    "hawed": (570, 840, 2410),
    "who'd": (300, 870, 2240),
}
TONES = ("falling", "rising")
KINDS = tuple(f"{vowel}, {tone}" for vowel in FORMANTS for tone in TONES)
BANDWIDTHS = (60.0, 90.0, 150.0)  # hertz
SLOPE = 0.25  # how much the logarithm of the pitch changes over a sound


def voices(n: int, *, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """`n` simulated sounds (n, 5120) and the truth about each: kind, voice, pitch, f1, f2, f3 (hertz).

    Args:
        n: the kinds come in turn.

    Raises:
        ValueError: for fewer than one sound.

    >>> sounds, truth = voices(3)
    >>> sounds.shape, list(truth.columns)
    ((3, 5120), ['kind', 'voice', 'pitch', 'f1', 'f2', 'f3'])
    """
    if n < 1:
        raise ValueError(f"At least one sound is needed; got n = {n}.")
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % len(KINDS)
    # A small voice has a high pitch and high formants: one number u decides both.
    voice = rng.random(n)
    pitch = 120 * 2**voice * np.exp(0.05 * rng.standard_normal(n))
    scale = 1.2**voice * np.exp(0.01 * rng.standard_normal(n))
    formants = np.array(list(FORMANTS.values()))[kind // 2] * scale[:, None]
    slope = SLOPE * (2 * (kind % 2) - 1)
    sounds = np.stack(
        [_voiced(rng, *each) for each in zip(pitch, slope, formants, strict=True)]
    ).astype(np.float32)
    names = ("f1", "f2", "f3")
    truth = pd.DataFrame({"kind": kind, "voice": voice, "pitch": pitch})
    return sounds, truth.assign(**dict(zip(names, formants.T, strict=True)))


def _voiced(rng: np.random.Generator, pitch: float, slope: float, formants: np.ndarray):
    """Pulses of the glottis through three resonators (Fant's source and filter)."""
    length = int(rng.uniform(0.75, 0.95) * SAMPLES)
    time = np.arange(length) / length
    phase = np.cumsum(pitch * np.exp(slope * (time - 0.5))) / RATE + rng.random()
    pulses = np.zeros(length + 1)
    # A pulse where the phase passes a whole number, shared by the two samples beside it.
    after = np.flatnonzero(np.diff(np.floor(phase))) + 1
    late = (phase[after] % 1) / np.diff(phase)[after - 1]
    pulses[after] += 1 - late
    pulses[after - 1] += late
    sound = lfilter([1.0], [1.0, -0.95], pulses[:length])
    for centre, width in zip(formants, BANDWIDTHS, strict=True):
        radius, angle = np.exp(-np.pi * width / RATE), 2 * np.pi * centre / RATE
        poles = [1.0, -2 * radius * np.cos(angle), radius**2]
        sound = lfilter([sum(poles)], poles, sound)
    sound -= sound.mean()
    sound *= np.minimum(1, np.minimum(time, 1 - time) / 0.1)  # no click at either end
    whole = np.zeros(SAMPLES)
    whole[:length] = sound / np.abs(sound).max()
    return 0.9 * whole + 0.001 * rng.standard_normal(SAMPLES)


def simulated_vowels() -> Dataset:
    """1,800 simulated sounds, 1,200 to train: five vowels, each with a falling or a rising pitch.

    >>> print(simulated_vowels())
    vowels: 1,200 to train, 600 held out, each of shape (5120,)
    """
    made = (voices(n, seed=seed) for seed, n in enumerate((1200, 600)))
    train, held_out = (
        Split(sounds, truth["kind"].to_numpy(np.int64, copy=True)) for sounds, truth in made
    )
    return Dataset("vowels", train, held_out)


def spoken_digits() -> Dataset:
    """FSDD: 3,000 recordings of ten English digits by six speakers; indices 0 to 4 are held out.

    Each is scaled to a largest value of 0.9, and cut, or filled with silence, to 5,120 samples.

    Raises:
        DataError: when the file cannot be fetched.

    >>> print(spoken_digits())
    fsdd: 2,700 to train, 300 held out, each of shape (5120,)
    """
    parts: dict[bool, list[tuple[int, np.ndarray]]] = {True: [], False: []}
    with tarfile.open(fetch("fsdd", "free-spoken-digit-dataset.tar.gz")) as archive:
        for member in sorted(archive, key=lambda member: member.name):
            recording = archive.extractfile(member)
            if recording is None or not member.name.endswith(".wav"):
                continue
            digit, _, index = member.name.split("/")[-1].removesuffix(".wav").split("_")
            _, wave = wavfile.read(io.BytesIO(recording.read()))
            whole = np.zeros(SAMPLES, np.float32)
            kept = wave[:SAMPLES].astype(np.float32)
            whole[: len(kept)] = 0.9 * kept / np.abs(kept).max()
            parts[int(index) < 5].append((int(digit), whole))
    train, held_out = (
        Split(np.stack([wave for _, wave in part]), np.array([digit for digit, _ in part]))
        for part in (parts[False], parts[True])
    )
    return Dataset("fsdd", train, held_out)
