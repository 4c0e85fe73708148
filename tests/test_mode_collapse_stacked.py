"""Stacked digits: a thousand modes counted, and the recorded table made again in part."""

import numpy as np
import pytest
import torch

from course_lib import datasets
from course_lib.mode_collapse import image_gans, stacked
from course_lib.models import gan
from course_lib.models.classifier import digit_judge
from course_lib.training import finish


class Reader:
    """A judge that never errs: the digit is written into the first pixel."""

    def predict(self, images):
        return images[:, 0].long()


def digits(labels):
    pictures = torch.zeros(len(labels), 64)
    pictures[:, 0] = torch.as_tensor(labels, dtype=torch.float32)
    return pictures


def test_a_mode_is_the_three_digits_as_read():
    stacks = torch.stack([digits([3, 0, 7]).flatten(), digits([9, 9, 9]).flatten()])
    assert stacked.read_modes(Reader(), stacks).tolist() == [307, 999]


def test_all_triples_are_drawn_and_counted_at_the_expected_divergence():
    divergences = []
    for seed in range(5):
        found = stacked.count_modes(Reader(), stacked.stack(digits(range(10)), seed=seed))
        assert found["modes"] == 1000
        divergences.append(found["reverse_kl"])
    # Counts of n equally likely triples: E KL is about (1000 - 1) / 2n, with a standard
    # deviation of sqrt(2 * 999) / 2n for each seed.
    n = stacked.SAMPLES
    assert np.mean(divergences) == pytest.approx(
        999 / (2 * n), abs=3 * np.sqrt(2 * 999 / 5) / (2 * n)
    )


def test_a_collapsed_generator_is_found():
    found = stacked.count_modes(Reader(), stacked.stack(digits([4, 7]), 4000))
    assert found["modes"] == 8
    assert found["reverse_kl"] == pytest.approx(np.log(1000 / 8), abs=0.01)


def test_stacking_keeps_whole_digits_and_follows_its_seed():
    x = torch.from_numpy(datasets.load("digits").train.x).flatten(1)
    stacks = stacked.stack(x, 50, seed=3)
    assert stacks.shape == (50, 192)
    nearest = torch.cdist(stacks.reshape(150, 64), x).amin(dim=1)
    assert nearest.max() < 1e-2  # cdist rounds; two digits of the data lie 5 and more apart
    assert torch.equal(stacks, stacked.stack(x, 50, seed=3))
    assert not torch.equal(stacks, stacked.stack(x, 50, seed=4))


@pytest.mark.parametrize("colours", [1, 3])
def test_the_networks_fit_images_of_so_many_planes(colours):
    generator, discriminator = gan.Generator(colours=colours), gan.Discriminator(colours=colours)
    drawn = generator(torch.randn(5, generator.latent_dim))
    assert drawn.shape == (5, 64 * colours)
    assert discriminator(drawn).shape == (5,)


def test_planes_are_not_mixed_up():
    """Each plane of an image keeps its 64 pixels together, as `stack` lays them out."""
    discriminator = gan.Discriminator(colours=3)
    unfolded = discriminator.features[0](torch.arange(192.0)[None])
    assert torch.equal(unfolded[0, 1].flatten(), torch.arange(64.0, 128.0))


@pytest.mark.parametrize("game", image_gans.GAMES)
def test_training_runs_and_follows_its_seed(game):
    x = torch.from_numpy(datasets.load("digits").train.x).flatten(1)
    settings = image_gans.ImageGANSettings(
        latent_dim=8,
        channels=4,
        steps=3,
        batch_size=8,
        learning_rate=1e-3,
        beta_1=0.5,
        game=game,
        gamma=0.3,
    )

    def trained():
        torch.manual_seed(0)
        pair = stacked.networks(settings)
        before = [p.clone() for p in pair[0].parameters()]
        last = finish(image_gans.fit(*pair, [stacked.stack(x, 64)], settings))
        assert last.last and set(last.losses) == {"discriminator", "generator"}
        assert any(not torch.equal(a, b) for a, b in zip(before, pair[0].parameters(), strict=True))
        return pair[0].sample(4, z=torch.ones(4, 8))

    assert torch.equal(trained(), trained())


# --- the record ---------------------------------------------------------------------------------


def test_the_record_says_how_it_was_made():
    found = stacked.stacked_record()
    assert {"date", "versions", "samples", "judge_accuracy", "held_out", "models"} <= set(found)
    assert found["samples"] == stacked.SAMPLES
    assert all(len(entry["runs"]) == len(found["held_out"]) for entry in found["models"])


def test_the_table_holds_the_paper_s_rows_and_ours_sorted():
    table = stacked.stacked_table()
    assert table.loc[("VEEGAN's table 2", "DCGAN"), ["modes", "reverse_kl"]].tolist() == [99, 3.4]
    assert len(table) == 4 + len(stacked.stacked_record()["models"]) + 1
    assert table["modes"][:-1].is_monotonic_increasing


def test_what_the_lesson_says_of_the_record_holds():
    """The classical game loses most modes with momentum; the stabilised one never does."""
    for entry in stacked.stacked_record()["models"]:
        modes = [run["modes"] for run in entry["runs"]]
        settings = entry["settings"]
        if settings["game"] == "classical" and settings["beta_1"] == 0.9:
            assert max(modes) < 100
        if settings["game"] == "stabilised" and settings["beta_1"] <= 0.5:
            assert min(modes) > 900
    assert all(run["modes"] == 1000 for run in stacked.stacked_record()["held_out"])


@pytest.mark.slow
def test_a_row_of_the_record_is_made_again():
    """Seed 0 of the first row, cut after a third of its steps: as collapsed as the record says."""
    entry = stacked.stacked_record()["models"][0]
    settings = image_gans.ImageGANSettings.of({**entry["settings"], "steps": 1000})
    assert settings.game == "classical"
    torch.manual_seed(0)
    pair = stacked.networks(settings)
    x = torch.from_numpy(datasets.load("digits").train.x).flatten(1)
    finish(image_gans.fit(*pair, [stacked.stack(x)], settings))
    found = stacked.count_modes(digit_judge(), pair[0].sample(2600))
    assert found["modes"] <= 50 and entry["runs"][0]["modes"] <= 50
