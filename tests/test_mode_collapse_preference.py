"""A reward learnt from pairs, and a generator tuned to it."""

import pytest
import torch

from course_lib.mode_collapse.preference import reward_model, tuned
from course_lib.models.gan import Generator


@pytest.fixture(scope="module")
def ink():
    """A reward learnt from 500 pairs, of which the one with more ink is preferred, and further pairs."""
    images = 16 * torch.rand(2, 600, 64, generator=torch.Generator().manual_seed(0))
    images *= torch.rand(2, 600, 1, generator=torch.Generator().manual_seed(1))
    more = images.sum(dim=2).argmax(dim=0)
    better, worse = images[more, range(600)], images[1 - more, range(600)]
    return reward_model(better[:500], worse[:500], steps=200), better[500:], worse[500:]


def test_the_reward_agrees_on_pairs_that_it_never_saw(ink):
    reward, better, worse = ink
    assert (reward(better / 8 - 1) > reward(worse / 8 - 1)).float().mean() > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_the_generator_climbs_and_an_anchor_holds_it(ink, seed):
    reward = ink[0]
    torch.manual_seed(seed)
    before, z = Generator(), torch.randn(200, 16)
    free, held = (tuned(before, reward, steps=20, anchor=anchor) for anchor in (0.0, 10.0))
    with torch.no_grad():
        gain = [(reward(after(z)) - reward(before(z))).mean() for after in (free, held)]
        moved = [(after(z) - before(z)).square().sum(dim=1).mean() for after in (free, held)]
    assert gain[0] > gain[1] > 0
    assert moved[0] > 3 * moved[1]


def test_neither_changes_what_it_is_given(ink):
    torch.manual_seed(0)
    generator = Generator()
    weights = [p.clone() for p in generator.parameters()]
    state = torch.random.get_rng_state()
    tuned(generator, ink[0], steps=2)
    reward_model(torch.ones(4, 64), torch.zeros(4, 64), steps=2)
    assert all(torch.equal(a, b) for a, b in zip(weights, generator.parameters(), strict=True))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(p.requires_grad for p in generator.parameters())
