r"""Generative adversarial networks.

Goodfellow et al. 2014, "Generative adversarial nets", arXiv 1406.2661: a generator $G(z)$ and a
discriminator $D(x)$ play a game. Here the discriminator gives *logits*, so the paper's $D(x)$ is
sigmoid(logit). Stabilised as in Huang et al. 2024, "The GAN is dead; long live the GAN! A modern GAN
baseline", arXiv 2501.05441: a relativistic loss with gradient penalties on real and fake images.

Images are rows of pixels in [-1, 1]; `to_grey_levels` and `from_grey_levels` translate.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.layers import append_class, from_grey_levels, mlp, to_grey_levels
from course_lib.syllabus import Settings
from course_lib.training import (
    Step,
    ema_of,
    fit_with_checkpoint,
    gradient_step,
    training_loop,
)


@dataclass(frozen=True, kw_only=True)
class GANSettings(Settings):
    """How a stabilised GAN is made and trained.

    Attributes:
        latent_dim, channels: of the networks, see `Generator`.
        steps, batch_size, learning_rate: of Adam; the rate falls to 0 along a cosine.
        gamma: weight of the gradient penalties, see `stabilised_step`.
        ema_decay: of the moving average of the generator's weights, which are those that it ends with.

    >>> GANSettings.of({"steps": 100, "learning_rate": 1e-3, "ema_decay": 0.99}).gamma
    0.3
    """

    latent_dim: int = 16
    channels: int = 32
    steps: int
    batch_size: int = 64
    learning_rate: float
    gamma: float = 0.3
    ema_decay: float


def jensen_shannon(p: Tensor, q: Tensor, dx: float) -> Tensor:
    """Jensen-Shannon divergence in nats of two densities given on one grid with spacing dx.

    >>> p, q = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    >>> jensen_shannon(p, q, dx=1.0)  # log 2, the largest value
    tensor(0.6931)
    """
    # JS = 1/2 KL(p || m) + 1/2 KL(q || m),   m = (p + q) / 2;   0 log 0 = 0
    m = (p + q) / 2
    terms = torch.xlogy(p, p / m) + torch.xlogy(q, q / m)
    return 0.5 * torch.nan_to_num(terms).sum() * dx


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """What the discriminator minimises (eq. 1 with its sign changed): a scalar, from (n,) twice.

    >>> discriminator_loss(torch.zeros(4), torch.zeros(4))  # log 4: it cannot tell them apart
    tensor(1.3863)
    """
    # -E log D(x) - E log(1 - D(G(z))),   log sigmoid(l) = -softplus(-l)
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    """The non-saturating loss of the generator (section 3): a scalar, from logits (n,).

    >>> generator_loss(torch.tensor([0.0, 0.0]))
    tensor(0.6931)
    """
    # -E log D(G(z))
    return F.softplus(-fake_logits).mean()


def alternating_step(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    z: Tensor,
) -> tuple[float, float]:
    """One step of the discriminator, then one of the generator; returns their losses as floats.

    >>> networks = Generator(), Discriminator()
    >>> optimizers = [torch.optim.Adam(network.parameters()) for network in networks]
    >>> losses = alternating_step(*networks, *optimizers, torch.zeros(8, 64), torch.randn(8, 16))
    >>> len(losses)
    2
    """
    # The discriminator learns from fakes as they are: nothing flows back into the generator.
    fake = generator(z).detach()
    d_loss = discriminator_loss(discriminator(real), discriminator(fake))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    # The generator learns through the discriminator, so here gradients must pass.
    g_loss = generator_loss(discriminator(generator(z)))
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()


def gradient_penalty(discriminator, x: Tensor) -> Tensor:
    """The mean squared length of the discriminator's gradient at images x (..., n, pixels): a scalar.

    `discriminator` maps images to logits (..., n), each from its own image alone.

    On real images it is R1, on generated ones R2 (Mescheder et al. 2018, arXiv 1801.04406, eq. 9).

    >>> slope = torch.tensor([3.0, 4.0])
    >>> gradient_penalty(lambda x: x @ slope, torch.zeros(5, 2))
    tensor(25.)
    """
    # E || grad_x D(x) ||^2, and itself differentiable
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gradient.square().sum(dim=-1).mean()


def relativistic_loss(better: Tensor, worse: Tensor) -> Tensor:
    """Small when logits of the pair's first half exceed those of its second: a scalar, from (n,).

    The discriminator minimises it with real images first, the generator with fakes first
    (Jolicoeur-Martineau 2019, arXiv 1807.00734; Huang et al. 2024, eq. 2).

    >>> relativistic_loss(torch.tensor([1.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    # E softplus(-(D(better) - D(worse)))
    return F.softplus(worse - better).mean()


def slerp(z_start: Tensor, z_end: Tensor, steps: int) -> Tensor:
    """`steps` points on the arc from z_start to z_end (latent_dim,), both included.

    White 2016, "Sampling generative networks", arXiv 1609.04468: in many dimensions a straight line
    passes through the middle of the prior, where no sample ever lies; an arc keeps the length.

    >>> slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), steps=3).norm(dim=1).round()
    tensor([2., 2., 2.])
    """
    # sin((1-t) w) / sin w  a  +  sin(t w) / sin w  b,   w the angle between a and b
    cosine = torch.dot(z_start, z_end) / (z_start.norm() * z_end.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    t = torch.linspace(0, 1, steps, device=z_start.device).unsqueeze(1)
    if angle < 1e-4:  # the same direction: the arc is a line
        return (1 - t) * z_start + t * z_end
    return (torch.sin((1 - t) * angle) * z_start + torch.sin(t * angle) * z_end) / torch.sin(angle)


class LatentNetwork(nn.Module):
    """A network that makes images of latents z (n, latent_dim), and of classes y (n,) if there are any.

    >>> LatentNetwork().latent_dim
    16
    """

    latent_dim: int = 16


class Generator(LatentNetwork):
    """G: latents z (n, latent_dim), and classes y (n,) if there are any, to images (n, side^2).

    Linear layers lay out `channels` maps of half the side, 4 x 4 for an image of 8 x 8, and two
    convolutions refine them. The four channels of the last one are interleaved to the image: a
    sub-pixel convolution (Shi et al. 2016, arXiv 1609.05158). So every convolution works on 16
    positions instead of 64, for a quarter of the work, and its 3 x 3 window spans 6 x 6 pixels,
    nearly a whole digit of 8 x 8.

    Args:
        latent_dim: dimensions of z ~ N(0, I).
        channels: maps of the first convolution; the linear layer before has 8 times as many units.
        classes: 0, or the number of classes that can be asked for.
        colours: planes of an image, each of side^2 pixels: with 3 the images are (n, 3 side^2).
        side: height and width of an image, an even number.

    >>> generator = Generator(latent_dim=16, classes=10)
    >>> generator.sample(3, y=torch.tensor([0, 1, 2])).shape
    torch.Size([3, 64])
    """

    def __init__(
        self,
        latent_dim: int = 16,
        channels: int = 32,
        classes: int = 0,
        colours: int = 1,
        side: int = 8,
    ):
        super().__init__()
        self.latent_dim, self.classes = latent_dim, classes
        half = side // 2
        self.body = nn.Sequential(
            mlp(latent_dim + classes, 8 * channels, half**2 * channels, activation=_leaky),
            _leaky(),
            nn.Unflatten(1, (channels, half, half)),
            nn.Conv2d(channels, channels, 3, padding=1),
            _leaky(),
            nn.Conv2d(channels, 4 * colours, 3, padding=1),
            nn.PixelShuffle(2),  # (n, 4, 4, 4) to (n, 1, 8, 8)
            nn.Flatten(),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.body(append_class(z, y, self.classes))

    @torch.no_grad()
    def sample(self, count: int, y: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        """Whole grey levels (count, pixels), 0 to 16, of new images of the classes y."""
        device = next(self.parameters()).device
        z = torch.randn(count, self.latent_dim, device=device) if z is None else z
        return to_grey_levels(self(z, y))


class Discriminator(nn.Module):
    """D: images (n, side^2), and their classes y (n,) if there are any, to logits (n,).

    The generator's path in reverse: blocks of 2 x 2 pixels become the four channels of a map of half the
    side, two convolutions compute features of it, the second halving it again, and a small head judges
    the features together with the class. There is no batch norm: each logit must depend on its own
    image alone, or R1 and R2 would not be the slopes of single images.

    >>> Discriminator(classes=10)(torch.zeros(3, 64), torch.tensor([0, 1, 2])).shape
    torch.Size([3])
    """

    def __init__(self, channels: int = 32, classes: int = 0, colours: int = 1, side: int = 8):
        super().__init__()
        self.classes = classes
        quarter = (side + 2) // 4
        self.features = nn.Sequential(
            nn.Unflatten(1, (colours, side, side)),
            nn.PixelUnshuffle(2),  # (n, 1, 8, 8) to (n, 4, 4, 4)
            nn.Conv2d(4 * colours, channels, 3, padding=1),
            _leaky(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            _leaky(),
            nn.Flatten(),
        )
        inputs = 2 * channels * quarter**2 + classes
        self.head = mlp(inputs, 4 * channels, 1, activation=_leaky)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.head(append_class(self.features(x), y, self.classes)).squeeze(dim=1)


def _leaky() -> nn.Module:
    # A slope everywhere: a generator learns only through gradients that the discriminator passes.
    return nn.LeakyReLU(0.2)


def stabilised_step(
    generator: LatentNetwork,
    discriminator: Discriminator,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    y: Tensor | None = None,
    gamma: float = 0.3,
) -> dict[str, float]:
    """One round with the relativistic loss and both gradient penalties (Huang et al. 2024, eq. 5).

    Args:
        real, y: images (n, pixels) in [-1, 1] and, if the networks are conditional, their classes.
        gamma: weight of the two penalties together; each counts gamma / 2.

    >>> networks = Generator(), Discriminator()
    >>> optimizers = [torch.optim.Adam(network.parameters()) for network in networks]
    >>> sorted(stabilised_step(*networks, *optimizers, torch.zeros(8, 64)))
    ['discriminator', 'generator']
    """

    def noise() -> Tensor:
        return torch.randn(len(real), generator.latent_dim, device=real.device)

    # L_D = E softplus(-(D(real) - D(fake))) + gamma/2 (R1 + R2),   where the mean squared slope over
    # real and fake images together, in one pass, is (R1 + R2) / 2
    both = torch.cat([real, generator(noise(), y).detach()])
    y_both = None if y is None else y.repeat(2)
    penalty = gradient_penalty(lambda x: discriminator(x, y_both), both)
    real_logits, fake_logits = discriminator(both, y_both).chunk(2)
    d_loss = relativistic_loss(real_logits, fake_logits) + gamma * penalty
    d_value = gradient_step(d_loss, d_optimizer)
    # L_G = E softplus(-(D(fake) - D(real)))
    fake_logits = discriminator(generator(noise(), y), y)
    g_loss = relativistic_loss(fake_logits, discriminator(real, y).detach())
    return {"discriminator": d_value, "generator": gradient_step(g_loss, g_optimizer)}


def fit(
    generator: LatentNetwork,
    discriminator: Discriminator,
    data: Sequence[Tensor],
    settings: GANSettings | SimpleNamespace,
    *,
    seed: int = 0,
) -> Iterator[Step]:
    """Train by `stabilised_step` and yield every step; the generator ends with averaged weights.

    Args:
        data: grey levels x (n, pixels), 0 to 16, and their classes y (n,) if the networks take any.
        settings: `GANSettings`, or a table of them; the networks are those given.

    >>> settings = GANSettings(steps=2, learning_rate=1e-3, ema_decay=0.99)
    >>> [step.number for step in fit(Generator(), Discriminator(), [torch.zeros(8, 64)], settings)]
    [1, 2]
    """
    settings = GANSettings.of(settings)
    x, *classes = data
    # An average of past gradients chases an opponent that has moved on: beta_1 = 0.
    optimizers = [
        torch.optim.Adam(net.parameters(), settings.learning_rate, (0.0, 0.99), fused=True)
        for net in (generator, discriminator)
    ]
    ema = ema_of(generator, settings.ema_decay)

    def step(real: Tensor, y: Tensor | None = None) -> dict[str, float]:
        return stabilised_step(generator, discriminator, *optimizers, real, y, settings.gamma)

    yield from training_loop(
        step,
        (from_grey_levels(x), *classes),
        steps=settings.steps,
        batch_size=settings.batch_size,
        seed=seed,
        optimizers=optimizers,
        lr_schedule="cosine",
        ema=ema,
        label="training the GAN",
    )
    generator.load_state_dict(ema.module.state_dict())


def conditional_gan(
    x: Tensor, y: Tensor, settings: GANSettings | SimpleNamespace, *, seed: int = 0
) -> Generator:
    """The generator of a stabilised GAN of x given y, from its checkpoint or trained now.

    Args:
        x, y: grey levels (n, pixels), and their classes (n,).
        settings: `GANSettings`, or a table of them such as `lesson.settings.conditional`.

    Raises:
        ValueError: for a setting that is not known, or one that is missing.

    >>> x, y = torch.zeros(20, 64), torch.arange(20) % 10
    >>> settings = GANSettings(steps=2, learning_rate=1e-3, ema_decay=0.99)
    >>> conditional_gan(x, y, settings).sample(2, torch.tensor([3, 8])).shape
    torch.Size([2, 64])
    """
    settings = GANSettings.of(settings)
    torch.manual_seed(seed)
    size = {"classes": int(y.max()) + 1, "side": math.isqrt(x.shape[1])}
    generator = Generator(settings.latent_dim, settings.channels, **size).to(x.device)
    discriminator = Discriminator(settings.channels, **size).to(x.device)
    loop = fit(generator, discriminator, (x, y), settings, seed=seed)
    fit_with_checkpoint(
        "conditional_gan", generator, loop, settings=settings, data=(x, y), seed=seed
    )
    return generator
