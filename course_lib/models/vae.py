r"""Variational autoencoder.

Kingma and Welling 2014, "Auto-encoding variational Bayes", arXiv 1312.6114. Symbols as there: the
encoder gives $q_\phi(z|x) = N(\mu, \mathrm{diag}\,\sigma^2)$ with `log_var` $= \log \sigma^2$, the
decoder gives $p_\theta(x|z)$, and the prior is $p(z) = N(0, I)$.

An image is a row of `pixels` grey levels, whole numbers from 0 to `levels` = $L$, and each pixel is
binomial: $p_\theta(x|z) = \prod_i \mathrm{Bin}(x_i; L, \mathrm{sigmoid}(\mathrm{logit}_i))$.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.datasets.augmentation import random_shift
from course_lib.models.layers import append_class, mlp
from course_lib.syllabus import Settings
from course_lib.training import Step, fit_with_checkpoint, gradient_step, training_loop


@dataclass(frozen=True, kw_only=True)
class VAESettings(Settings):
    """How a VAE is made and trained.

    Attributes:
        latent_dim, width, depth, dropout: of the networks, see `VAE`.
        beta: weight of the KL term, see `elbo`.
        steps, batch_size, learning_rate: of Adam; the rate falls to 0 along a cosine.
        shift: share of the images that are moved by a pixel in each step, see `random_shift`.

    >>> VAESettings.of({"steps": 100, "learning_rate": 1e-3}).latent_dim
    16
    """

    latent_dim: int = 16
    width: int = 256
    depth: int = 2
    dropout: float = 0.1
    beta: float = 1.0
    steps: int
    batch_size: int = 64
    learning_rate: float
    shift: float = 0.0


def reparameterize(mu: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """A sample of N(mu, exp(log_var)), through which gradients reach mu and log_var (section 2.4).

    Args:
        mu, log_var: (n, latent_dim).
        noise: standard normal, of the same shape.

    >>> reparameterize(torch.ones(1, 2), torch.zeros(1, 2), noise=torch.tensor([[-1.0, 2.0]]))
    tensor([[0., 3.]])
    """
    # z = mu + sigma * epsilon,   sigma = exp(log_var / 2)
    return mu + torch.exp(0.5 * log_var) * noise


def kl_divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, exp(log_var)) || N(0, I)) of each row in nats, (n, latent_dim) -> (n,): appendix B.

    >>> kl_divergence(torch.tensor([[0.0, 0.0], [1.0, 2.0]]), torch.zeros(2, 2))
    tensor([0.0000, 2.5000])
    """
    # KL = 1/2 sum_j (mu_j^2 + sigma_j^2 - 1 - log sigma_j^2)
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(dim=-1)


def log_likelihood(x: Tensor, logits: Tensor, levels: int = 16) -> Tensor:
    """log p(x|z) of each image in nats: grey levels and logits (..., pixels) -> (...,).

    >>> log_likelihood(torch.tensor([[0.0], [1.0]]), torch.zeros(2, 1), levels=1)  # a fair coin
    tensor([-0.6931, -0.6931])
    """
    # log Bin(x; L, p) = log (L choose x) + x log p + (L - x) log(1 - p),   p = sigmoid(logit)
    log_choose = math.lgamma(levels + 1) - torch.lgamma(x + 1) - torch.lgamma(levels - x + 1)
    return (log_choose + x * logits - levels * F.softplus(logits)).sum(dim=-1)


def elbo(x: Tensor, logits: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0) -> Tensor:
    """The evidence lower bound of each image in nats, (n,), from one sample of z (eq. 3).

    Args:
        x, logits: (n, pixels), grey levels and what the decoder made of z.
        mu, log_var: (n, latent_dim), what the encoder made of x.
        beta: weight of the KL term; 1 is the bound, more is the beta-VAE (Higgins et al. 2017).

    >>> x, logits = torch.zeros(3, 64), torch.zeros(3, 64)
    >>> elbo(x, logits, mu=torch.zeros(3, 4), log_var=torch.zeros(3, 4)).shape
    torch.Size([3])
    """
    # ELBO = E_q [log p(x|z)] - beta KL(q(z|x) || p(z))
    return log_likelihood(x, logits) - beta * kl_divergence(mu, log_var)


def conditional_elbo(
    encoder: nn.Module,
    decoder: nn.Module,
    x: Tensor,
    y: Tensor,
    noise: Tensor,
    beta: float = 1.0,
) -> Tensor:
    """The bound of each image given its digit, (n,): Sohn et al. 2015, eq. 4.

    Args:
        encoder: (n, pixels + 10) -> (n, 2 latent_dim), mu and log_var beside each other.
        decoder: (n, latent_dim + 10) -> logits (n, pixels).
        x, y: grey levels from 0 to 16 (n, pixels), and their digits (n,).
        noise: standard normal (n, latent_dim).
        beta: weight of the KL term.

    >>> encoder, decoder = nn.Linear(74, 8), nn.Linear(14, 64)
    >>> x, y, noise = torch.zeros(3, 64), torch.tensor([0, 1, 2]), torch.randn(3, 4)
    >>> conditional_elbo(encoder, decoder, x, y, noise).shape
    torch.Size([3])
    """
    # log p(x|y) >= E_q(z|x,y) [log p(x|z,y)] - beta KL(q(z|x,y) || p(z))
    told = F.one_hot(y, 10).to(x)
    mu, log_var = encoder(torch.cat([x / 8 - 1, told], dim=1)).chunk(2, dim=1)
    z = reparameterize(mu, log_var, noise)
    return elbo(x, decoder(torch.cat([z, told], dim=1)), mu, log_var, beta)


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> float:
    """One step uphill on the mean ELBO of the batch; returns the loss, which is its negative.

    >>> model = VAE()
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> train_step(model, optimizer, torch.zeros(8, 64)) > 0  # minus the mean ELBO
    True
    """
    loss = -model.elbo(x).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def sample(decoder: nn.Module, count: int, latent_dim: int) -> Tensor:
    """`count` new images: the mean grey levels (count, pixels), 0 to 16, of p(x|z) for z ~ p(z).

    >>> sample(nn.Linear(4, 64), count=3, latent_dim=4).shape
    torch.Size([3, 64])
    """
    z = torch.randn(count, latent_dim)
    return 16 * torch.sigmoid(decoder(z))


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """The bound of Burda et al. 2016 (arXiv 1509.00519, eq. 8): (k, n) -> (n,), in nats.

    Args:
        log_weights: log p(x, z_k) - log q(z_k|x) for k samples of z and n images.

    >>> log_weights = torch.tensor([[0.0], [2.0]])  # two samples of z, one image
    >>> importance_weighted_bound(log_weights) > log_weights.mean(dim=0)  # above the mean ELBO
    tensor([True])
    """
    # L_k = log 1/k sum_k w_k; logsumexp does not underflow where exp(log w) would
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """How many latents carry information: those whose mu varies over the images, (n, latent_dim).

    A unit is active if Var_x(E[z_j|x]) > threshold (Burda et al. 2016, section 5.2).

    >>> active_units(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))  # the second latent never moves
    1
    """
    return int((mu.var(dim=0) > threshold).sum())


class VAE(nn.Module):
    """Encoder and decoder, each an MLP; with `classes`, conditional on y (Sohn et al. 2015).

    Args:
        latent_dim: dimensions of z.
        width, depth: units in a hidden layer, and how many such layers.
        dropout: in the decoder, while training; it keeps 1,200 images from being learnt by heart.
        classes: 0, or the number of classes y that encoder and decoder are told (one-hot).
        pixels, levels: grey levels an image, and the highest of them.

    >>> model = VAE(latent_dim=4)
    >>> x = torch.zeros(5, 64)
    >>> model.elbo(x).shape, model.sample(3).shape
    (torch.Size([5]), torch.Size([3, 64]))
    """

    def __init__(
        self,
        latent_dim: int = 16,
        width: int = 256,
        depth: int = 2,
        dropout: float = 0.1,
        classes: int = 0,
        pixels: int = 64,
        levels: int = 16,
    ):
        super().__init__()
        self.latent_dim, self.classes, self.levels = latent_dim, classes, levels
        hidden = [width] * depth
        self.encoder = mlp(pixels + classes, *hidden, 2 * latent_dim)
        self.decoder = mlp(latent_dim + classes, *hidden, pixels, dropout=dropout)

    def encode(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mu and log_var of q(z|x), each (n, latent_dim), for grey levels x (n, pixels)."""
        scaled = 2 * x / self.levels - 1
        return self.encoder(append_class(scaled, y, self.classes)).chunk(2, dim=-1)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The logits (n, pixels) of p(x|z) for latents z (n, latent_dim)."""
        return self.decoder(append_class(z, y, self.classes))

    def elbo(
        self,
        x: Tensor,
        y: Tensor | None = None,
        beta: float = 1.0,
        noise: Tensor | None = None,
    ) -> Tensor:
        """The bound of each image (n,), with z drawn once, from `noise` where it is given."""
        mu, log_var = self.encode(x, y)
        noise = torch.randn_like(mu) if noise is None else noise
        logits = self.decode(reparameterize(mu, log_var, noise), y)
        return log_likelihood(x, logits, self.levels) - beta * kl_divergence(mu, log_var)

    @torch.no_grad()
    def sample(self, count: int, y: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        """Mean grey levels (count, pixels) of new images, of the classes y (count,) if given.

        `draw` makes whole grey levels of them.
        """
        device = next(self.parameters()).device
        z = torch.randn(count, self.latent_dim, device=device) if noise is None else noise
        return self.levels * torch.sigmoid(self.decode(z, y))

    @torch.no_grad()
    def log_weights(self, x: Tensor, k: int, y: Tensor | None = None) -> Tensor:
        """log p(x, z) - log q(z|x) for k draws of z ~ q(z|x): (k, n)."""
        mu, log_var = self.encode(x, y)
        rows = []
        for _ in range(k):  # one draw at a time keeps memory flat
            noise = torch.randn_like(mu)
            z = reparameterize(mu, log_var, noise)
            # log p(z) - log q(z|x): the constants of the two normal densities cancel
            log_ratio = 0.5 * (noise**2 + log_var - z**2).sum(dim=-1)
            rows.append(log_likelihood(x, self.decode(z, y), self.levels) + log_ratio)
        return torch.stack(rows)


def draw(means: Tensor, levels: int = 16) -> Tensor:
    """Grey levels drawn from binomials with these means: whole numbers, like a real image's.

    >>> draw(torch.tensor([0.0, 16.0]))
    tensor([ 0., 16.])
    """
    return torch.binomial(torch.full_like(means, levels), means / levels)


def fit(
    model: VAE,
    data: Sequence[Tensor],
    settings: VAESettings | SimpleNamespace,
    *,
    seed: int = 0,
) -> Iterator[Step]:
    """Train `model` on x, or on x and y, and yield every step; the model ends in evaluation mode.

    Args:
        data: grey levels x (n, pixels), and their classes y (n,) if the model takes any.
        settings: `VAESettings`, or a table of them; the networks are those of `model`.

    >>> settings = VAESettings(steps=2, learning_rate=1e-3)
    >>> [step.number for step in fit(VAE(), [torch.ones(8, 64)], settings)]
    [1, 2]
    """
    settings = VAESettings.of(settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)

    def step(x: Tensor, y: Tensor | None = None) -> float:
        loss = -model.elbo(random_shift(x, settings.shift), y, settings.beta).mean()
        return gradient_step(loss, optimizer)

    model.train()
    yield from training_loop(
        step,
        data,
        steps=settings.steps,
        batch_size=settings.batch_size,
        seed=seed,
        optimizers=[optimizer],
        lr_schedule="cosine",
        label="training the VAE",
    )
    model.eval()


def conditional_vae(
    x: Tensor, y: Tensor, settings: VAESettings | SimpleNamespace, *, seed: int = 0
) -> VAE:
    """A VAE of x given y, from its checkpoint or trained now.

    Args:
        x, y: grey levels (n, pixels), and their classes (n,).
        settings: `VAESettings`, or a table of them such as `lesson.settings.cvae`.

    Raises:
        ValueError: for a setting that is not known, or one that is missing.

    >>> x, y = torch.zeros(20, 64), torch.arange(20) % 10
    >>> settings = VAESettings(steps=2, learning_rate=1e-3)
    >>> conditional_vae(x, y, settings).sample(2, torch.tensor([3, 8])).shape
    torch.Size([2, 64])
    """
    settings = VAESettings.of(settings)
    torch.manual_seed(seed)
    model = VAE(
        settings.latent_dim,
        settings.width,
        settings.depth,
        settings.dropout,
        classes=int(y.max()) + 1,
        pixels=x.shape[1],
    ).to(x.device)
    loop = fit(model, (x, y), settings, seed=seed)
    fit_with_checkpoint("conditional_vae", model, loop, settings=settings, data=(x, y), seed=seed)
    return model
