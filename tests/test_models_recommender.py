"""What lesson 15 builds for a shop, against plain definitions."""

import numpy as np
import pytest
import torch

from course_lib.models.recommender import (
    MultinomialVAE,
    ease,
    gumbel_top_k,
    held_out_lift,
    order_lines,
    repeat_and_explore,
)


def test_ease_minimises_its_loss_under_a_diagonal_of_0():
    rng = np.random.default_rng(0)
    x = (rng.random((50, 8)) < 0.3).astype(float)

    def loss(weights):
        return ((x - x @ weights) ** 2).sum() + 4 * (weights**2).sum()

    best = ease(x, 4.0)
    assert not np.diag(best).any()
    for _ in range(50):
        step = rng.normal(0, 0.01, best.shape)
        np.fill_diagonal(step, 0)
        assert loss(best + step) > loss(best)


@pytest.mark.parametrize("seed", range(3))
def test_gumbel_top_k_draws_one_after_the_other_without_replacement(seed):
    rng = np.random.default_rng(seed)
    share, n = np.array([0.5, 0.3, 0.15, 0.05]), 40_000
    logits = np.tile(np.log(share), (n, 1))
    drawn = gumbel_top_k(logits, np.full(n, 2), rng.random((n, 4)))
    # P(j among two draws) = p_j + sum over i of p_i p_j / (1 - p_i)
    others = np.array([sum(p / (1 - p) for i, p in enumerate(share) if i != j) for j in range(4)])
    wanted = share * (1 + others)
    assert (drawn.sum(axis=1) == 2).all()
    np.testing.assert_allclose(drawn.mean(axis=0), wanted, atol=4 * 0.5 / np.sqrt(n))


def test_pairs_of_nothing_regress_to_a_lift_of_1():
    lifts = []
    for seed in range(5):
        x = (np.random.default_rng(seed).random((1000, 60)) < 0.1).astype(int)
        lifts.append(held_out_lift(x[:500], x[500:], 2, 50))
    chosen, judged = np.mean(lifts, axis=0)
    assert chosen > 1.7
    assert judged == pytest.approx(1, abs=0.1)


def test_orders_hold_what_is_asked():
    rng = np.random.default_rng(0)
    baskets = rng.random((40, 30)) < 0.3
    baskets[:, 0] = True
    orders, lines = rng.integers(1, 9, 40), rng.integers(1, 60, 40)
    made = order_lines(baskets, orders, lines, rng)
    assert not made.duplicated(["order", "item"]).any()
    for customer, own in made.groupby("customer"):
        basket = np.flatnonzero(baskets[customer])
        assert set(own["item"]) == set(basket)
        count = min(orders[customer], max(lines[customer], len(basket)))
        assert own["order"].nunique() == count
        wanted = np.clip(lines[customer], max(len(basket), count), len(basket) * count)
        assert len(own) == wanted
    assert made.groupby("order")["customer"].nunique().max() == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_vae_of_customers_learns_two_tastes(seed):
    """Two groups that buy from different halves of the shop: most invented baskets stay within a half."""
    rng = np.random.default_rng(seed)
    taste = rng.random(400) < 0.5
    x = np.zeros((400, 20))
    for i, first in enumerate(taste):
        x[i, rng.choice(10, 4, replace=False) + (0 if first else 10)] = 1
    torch.manual_seed(seed)
    model, known = MultinomialVAE(20, 1, hidden=32, latent=4), torch.zeros(400, 1)
    model.fit(torch.from_numpy(x).float(), known, steps=400, seed=seed)
    logits = model.sample(known).numpy().astype(float)
    inside = []
    for each in (logits, np.zeros_like(logits)):  # the second has no taste
        made = gumbel_top_k(each, np.full(400, 4), rng.random((400, 20)))
        inside.append(np.maximum(made[:, :10].sum(axis=1), made[:, 10:].sum(axis=1)).mean() / 4)
    assert inside[0] > 0.8 > 0.75 > inside[1]


def test_the_score_breaks_ties_of_repeats():
    lists = repeat_and_explore(np.array([[2, 2, 0, 5]]), np.array([[0.1, 0.3, 0.9, 0.2]]), 4, 3)
    assert lists.tolist() == [[3, 1, 0, 2]]
