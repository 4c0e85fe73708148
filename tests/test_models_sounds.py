"""Sounds as spectrograms and back, what is measured of a voice, and the simulator's planted truth."""

import numpy as np
import pytest
import torch
from data_sets import at_hand
from scipy.stats import spearmanr

from course_lib import datasets
from course_lib.datasets.sounds import FORMANTS, KINDS, RATE, SAMPLES, voices
from course_lib.models import spectrogram, voice


@pytest.fixture(scope="module")
def sounds():
    return voices(100, seed=3)


def tone(frequency, samples=SAMPLES):
    return torch.sin(2 * torch.pi * frequency * torch.arange(samples) / RATE)[None]


def test_the_stft_has_an_exact_way_back(sounds):
    some = torch.from_numpy(sounds[0][:5])
    back = spectrogram.inverse_stft(spectrogram.stft(some))
    torch.testing.assert_close(back, some, atol=1e-5, rtol=0)


def test_mel_bands_are_triangles_that_rise_with_frequency():
    filters = spectrogram.mel_filters()
    assert (filters >= 0).all()
    torch.testing.assert_close(filters.sum(dim=1), torch.ones(40))
    frequency = torch.linspace(0, RATE / 2, filters.shape[1])
    centres = filters @ frequency
    widths = (filters > 0).sum(dim=1)
    assert (centres.diff() > 0).all() and widths[-1] > 3 * widths[0]


@pytest.mark.parametrize("frequency", [300, 1000, 3000])
def test_a_tone_is_loudest_in_the_band_at_its_frequency(frequency):
    bands = spectrogram.log_mel(tone(frequency))[0, :, 20]
    filters = spectrogram.mel_filters()
    centres = filters @ torch.linspace(0, RATE / 2, filters.shape[1])
    near = (centres - frequency).abs().argsort()[:2]
    assert bands.argmax() in near
    assert spectrogram.log_mel(torch.zeros(1, SAMPLES)).max().item() == pytest.approx(np.log(1e-3))


def test_magnitudes_explain_their_bands(sounds):
    mels = spectrogram.log_mel(torch.from_numpy(sounds[0][:4]))
    found = spectrogram.magnitude_of(mels)
    assert (found >= 0).all()
    explained, wanted = spectrogram.mel_filters() @ found, mels.exp()
    assert (explained - wanted).norm() < 0.05 * wanted.norm()


def test_each_round_of_griffin_and_lim_brings_the_magnitude_nearer(sounds):
    wanted = spectrogram.stft(torch.from_numpy(sounds[0][:4])).abs()

    def error(rounds):
        made = spectrogram.griffin_lim(wanted, rounds, seed=1)
        return (spectrogram.stft(made).abs() - wanted).norm() / wanted.norm()

    errors = [error(rounds) for rounds in (0, 4, 16)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.5 * errors[0]


@pytest.mark.parametrize("frequency", [90, 151, 240, 390])
def test_the_pitch_of_a_tone_is_its_frequency(frequency):
    assert voice.pitch(tone(frequency, 2400).numpy()).item() == pytest.approx(frequency, rel=0.01)


def test_the_pitch_of_a_voice_is_that_of_its_pulses_and_not_of_a_formant(sounds):
    waves, truth = sounds
    found = voice.pitch(waves[:, 1000:3400])
    assert np.median(np.abs(found / truth["pitch"] - 1)) < 0.05


def test_what_is_planted_is_heard(sounds):
    waves, truth = sounds
    found = voice.heard(waves)
    assert (found["vowel"] == truth["kind"] // 2).mean() > 0.9
    assert (found["tone"] == truth["kind"] % 2).mean() > 0.95
    assert spearmanr(found["size"], truth["voice"]).statistic > 0.8
    assert spearmanr(found["pitch"], truth["voice"]).statistic > 0.8


def test_formants_of_resonances_are_found_and_none_in_silence(sounds):
    waves, truth = sounds
    found = voice.formants(waves[:, 1000:3400])
    assert np.nanmedian(np.abs(found / truth[["f1", "f2"]].to_numpy() - 1)) < 0.1
    assert np.isnan(voice.formants(np.zeros((1, 2400)))).all()


def test_the_simulator_plants_kinds_in_turn_and_one_size_for_pitch_and_formants(sounds):
    waves, truth = sounds
    assert waves.shape == (100, SAMPLES) and waves.dtype == np.float32
    assert np.abs(waves).max() <= 1 and np.abs(waves).max(axis=1).min() > 0.8
    assert truth["kind"].tolist() == [i % len(KINDS) for i in range(100)]
    own = np.array(list(FORMANTS.values()))[truth["kind"] // 2, 0]
    assert spearmanr(truth["f1"] / own, truth["pitch"]).statistic > 0.8
    assert np.abs(waves[:, -200:]).max() < 0.01  # a sound has an end
    assert np.array_equal(voices(100, seed=3)[0], waves)
    assert not np.array_equal(voices(100, seed=4)[0], waves)
    with pytest.raises(ValueError, match="At least one sound"):
        voices(0)


@pytest.mark.slow
@at_hand("fsdd")
def test_recordings_are_of_one_length_and_loudness_and_no_take_is_in_both_parts():
    data = datasets.load("fsdd")
    for part, many in ((data.train, 270), (data.held_out, 30)):
        assert part.x.shape[1] == SAMPLES
        assert np.bincount(part.y).tolist() == [many] * 10
        assert np.abs(part.x).max() < 0.9001
    takes = [{wave.tobytes() for wave in part.x} for part in (data.train, data.held_out)]
    assert not takes[0] & takes[1]
