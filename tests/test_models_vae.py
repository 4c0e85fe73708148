"""The VAE against its formulas and torch.distributions."""

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import datasets
from course_lib.models import vae

pytestmark = pytest.mark.usefixtures("own_settings")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 17, (30, 64), generator=generator).float()
    mu, log_var = torch.randn(2, 30, 4, generator=generator)
    return SimpleNamespace(x=x, mu=mu, log_var=log_var, y=torch.arange(30) % 10)


@pytest.mark.parametrize("levels", [16, 30])
def test_the_likelihood_is_torch_s_binomial(batch, levels):
    logits = torch.linspace(-30, 30, 30 * 64).reshape(30, 64)
    binomial = torch.distributions.Binomial(levels, logits=logits.double())
    torch.testing.assert_close(
        vae.log_likelihood(batch.x.double(), logits.double(), levels),
        binomial.log_prob(batch.x.double()).sum(-1),
    )


def test_the_likelihood_sums_to_one_over_the_grey_levels():
    x = torch.arange(17.0)[:, None]
    total = vae.log_likelihood(x, torch.full((17, 1), 0.7)).exp().sum()
    assert total.item() == pytest.approx(1, rel=1e-5)


def test_the_divergence_is_torch_s_and_the_mean_over_samples(batch):
    q = torch.distributions.Normal(batch.mu, torch.exp(0.5 * batch.log_var))
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = vae.kl_divergence(batch.mu, batch.log_var)
    torch.testing.assert_close(kl, torch.distributions.kl_divergence(q, prior).sum(-1))
    torch.manual_seed(0)
    z = q.sample((20_000,))
    log_ratio = (q.log_prob(z) - prior.log_prob(z)).sum(-1)
    standard_error = log_ratio.std(0) / math.sqrt(len(z))
    assert ((log_ratio.mean(0) - kl).abs() < 5 * standard_error).all()


def test_a_reparameterised_sample_has_the_right_distribution_and_passes_gradients(batch):
    torch.manual_seed(0)
    noise = torch.randn(40_000, 30, 4)
    z = vae.reparameterize(batch.mu, batch.log_var, noise)
    torch.testing.assert_close(z.mean(0), batch.mu, atol=0.1, rtol=0)
    torch.testing.assert_close(z.var(0), batch.log_var.exp(), atol=0.02, rtol=0.05)
    log_var = torch.zeros(1, 1, requires_grad=True)
    vae.reparameterize(torch.zeros(1, 1), log_var, torch.full((1, 1), 2.0)).sum().backward()
    assert log_var.grad.item() == pytest.approx(1.0)  # d/dv exp(v/2) 2 at v = 0


@pytest.mark.parametrize("classes", [0, 10])
def test_the_bound_of_the_model_is_its_parts_put_together(batch, classes):
    torch.manual_seed(0)
    model = vae.VAE(latent_dim=4, width=16, classes=classes).eval()
    y = batch.y if classes else None
    noise = torch.randn(30, 4)
    mu, log_var = model.encode(batch.x, y)
    logits = model.decode(mu + torch.exp(log_var / 2) * noise, y)
    binomial = torch.distributions.Binomial(16, logits=logits)
    expected = binomial.log_prob(batch.x).sum(-1) - 3 * vae.kl_divergence(mu, log_var)
    torch.testing.assert_close(model.elbo(batch.x, y, beta=3.0, noise=noise), expected)
    torch.testing.assert_close(vae.elbo(batch.x, logits, mu, log_var, beta=3.0), expected)


def test_a_conditional_model_is_told_the_class_and_others_are_not(batch):
    told, untold = vae.VAE(4, 16, classes=10), vae.VAE(4, 16)
    with pytest.raises(ValueError, match="is conditional: say which class"):
        told.elbo(batch.x)
    with pytest.raises(ValueError, match="is conditional"):
        told.sample(3)
    with pytest.raises(ValueError, match="not conditional"):
        untold.elbo(batch.x, batch.y)
    noise = torch.randn(30, 4)
    one, other = told.sample(30, batch.y, noise), told.sample(30, (batch.y + 1) % 10, noise)
    assert one.shape == (30, 64) and not torch.equal(one, other)
    assert one.min() >= 0 and one.max() <= 16


@pytest.mark.slow
def test_the_importance_weighted_bound_tightens_and_reaches_the_truth(batch):
    """With a decoder that ignores z, log p(x) is known: the likelihood itself."""
    torch.manual_seed(0)
    model = vae.VAE(latent_dim=4, width=16).eval()
    nn.init.zeros_(model.decoder[-1].weight)
    nn.init.constant_(model.encoder[-1].bias, 0.5)  # q is not the prior
    truth = vae.log_likelihood(batch.x, model.decode(torch.zeros(30, 4)))
    weights = model.log_weights(batch.x, 3000)
    assert weights.shape == (3000, 30)
    bounds = [
        torch.stack([vae.importance_weighted_bound(part) for part in weights.split(k)]).mean(0)
        for k in (1, 10, 100, 3000)
    ]
    for looser, tighter in pairwise(bounds):
        assert tighter.mean() > looser.mean()
    kl = vae.kl_divergence(*model.encode(batch.x))
    torch.testing.assert_close(bounds[0], truth - kl, atol=0.1, rtol=0)
    torch.testing.assert_close(bounds[-1], truth, atol=0.1, rtol=0)


def test_active_units_are_those_that_vary():
    mu = torch.randn(500, 4) * torch.tensor([1.0, 0.05, 0.5, 0.0]) + torch.tensor([0, 0, 0, 3.0])
    assert vae.active_units(mu) == 2
    assert vae.active_units(mu, threshold=1e-4) == 3


def test_fitting_raises_the_bound_and_depends_on_the_seed_alone():
    x = torch.from_numpy(datasets.load("digits").train.x[:100]).flatten(1)
    settings = vae.VAESettings(steps=60, batch_size=10, learning_rate=1e-2, shift=0.3)

    def fitted(seed):
        torch.manual_seed(seed)
        model = vae.VAE(latent_dim=2, width=16)
        losses = [s.losses["loss"] for s in vae.fit(model, [x], settings, seed=seed)]
        assert not model.training
        return losses

    one = fitted(1)
    assert np.mean(one[-10:]) < 0.8 * np.mean(one[:3])
    assert one == fitted(1) and one != fitted(2)
