r"""Denoising diffusion.

Ho et al. 2020, "Denoising diffusion probabilistic models" (DDPM), arXiv 2006.11239. Symbols as
there: $x_0$ is clean, $\bar\alpha_t$ falls from 1 to nearly 0, and

$$x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon, \qquad \epsilon \sim N(0, I).$$

`alpha_bar` has T + 1 entries, so that t = 0 is the clean image and t = T the noise. The network
predicts the velocity v (Salimans and Ho 2022, arXiv 2202.00512), from which $x_0$ and $\epsilon$
follow. Images are rows of pixels in [-1, 1].

**The chain.** From an earlier time s to a later t more noise is added. With
$\alpha = \bar\alpha_t / \bar\alpha_s$,

$$q(x_t | x_s) = N(\sqrt{\alpha}\, x_s, (1 - \alpha) I).$$

**The way back.** If $x_0$ is known, the step back is normal, too (DDPM, eq. 6 and 7; `ddpm_step`):

$$q(x_s | x_t, x_0) = N(\mu(x_t, x_0), \sigma^2 I), \qquad
\mu = \frac{\sqrt{\bar\alpha_s} (1 - \alpha)}{1 - \bar\alpha_t} x_0
+ \frac{\sqrt{\alpha} (1 - \bar\alpha_s)}{1 - \bar\alpha_t} x_t, \qquad
\sigma^2 = \frac{(1 - \alpha) (1 - \bar\alpha_s)}{1 - \bar\alpha_t}.$$

The model takes the same step with its guess $\hat x_0$ in place of $x_0$.

**From the bound to a squared error.** The bound on $-\log p(x_0)$ has a KL divergence for each step
(DDPM, eq. 5). Both of its normal distributions have the variance $\sigma^2$, so that it is the squared
distance of their means over $2 \sigma^2$. With the signal-to-noise ratio
$\mathrm{SNR}(t) = \bar\alpha_t / (1 - \bar\alpha_t)$,

$$KL = \tfrac12 \left( \mathrm{SNR}(s) - \mathrm{SNR}(t) \right) \| x_0 - \hat x_0 \|^2.$$

(The last step, to $x_0$ itself, is not a KL divergence but $-\log p(x_0 | x_1)$.)

**Three weights.** In training another weight than the bound's is chosen. $x_t$ ties the errors of
$x_0$, $\epsilon$ and $v$ together (Salimans and Ho 2022, section 4):

$$\| \epsilon - \hat\epsilon \|^2 = \mathrm{SNR} \, \| x_0 - \hat x_0 \|^2, \qquad
\| v - \hat v \|^2 = (\mathrm{SNR} + 1) \, \| x_0 - \hat x_0 \|^2,$$

so the weights are SNR for the loss in $\epsilon$ (DDPM's simplified loss, eq. 14), SNR + 1 for the
loss in $v$ (here, `diffusion_loss`), and 1 for that in $x_0$.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.layers import from_grey_levels, time_embedding, to_grey_levels
from course_lib.models.unet import UNet
from course_lib.syllabus import Settings
from course_lib.training import (
    Step,
    ema_of,
    fit_with_checkpoint,
    gradient_step,
    training_loop,
)


def cosine_schedule(steps: int, s: float = 0.008) -> Tensor:
    """alpha_bar at t = 0 ... steps, (steps + 1,): Nichol and Dhariwal 2021 (2102.09672), eq. 17.

    >>> cosine_schedule(4).round(decimals=2)
    tensor([1.0000, 0.8500, 0.4900, 0.1400, 0.0000])
    """
    # alpha_bar_t = f(t) / f(0),   f(t) = cos^2( (t / T + s) / (1 + s) * pi / 2 )
    t = torch.arange(steps + 1, dtype=torch.float64)
    f = torch.cos((t / steps + s) / (1 + s) * math.pi / 2) ** 2
    return (f / f[0]).clamp(min=1e-5).float()


def linear_schedule(steps: int) -> Tensor:
    """alpha_bar of DDPM, (steps + 1,): beta rises evenly from 1e-4 to 0.02 (for steps = 1000).

    >>> alpha_bar = linear_schedule(1000)
    >>> alpha_bar.shape, alpha_bar[0], alpha_bar[-1]
    (torch.Size([1001]), tensor(1.), tensor(4.0358e-05))
    """
    # alpha_bar_t = prod_{s <= t} (1 - beta_s);  fewer steps take larger ones
    beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * 1000 / steps
    alpha_bar = torch.cumprod(1 - beta.clamp(max=0.999), dim=0)
    return torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar]).clamp(min=1e-5).float()


def q_sample(x_0: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    """x_t in closed form (DDPM, eq. 4).

    Args:
        x_0, noise: (n, pixels).
        alpha_bar: (n,), that of each image's own time.

    >>> x_0, noise = torch.ones(1, 2), torch.tensor([[-1.0, 1.0]])
    >>> q_sample(x_0, torch.tensor([0.64]), noise)  # 0.8 x_0 + 0.6 noise
    tensor([[0.2000, 1.4000]])
    """
    # x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) epsilon
    alpha_bar = alpha_bar.unsqueeze(1)
    return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise


def velocity(x_0: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    """v, the direction in which x_t moves on its way from image to noise; shapes as for q_sample.

    >>> x_0, noise = torch.ones(1, 2), torch.tensor([[-1.0, 1.0]])
    >>> velocity(x_0, torch.tensor([0.64]), noise)  # 0.8 noise - 0.6 x_0
    tensor([[-1.4000,  0.2000]])
    """
    # v = sqrt(alpha_bar) epsilon - sqrt(1 - alpha_bar) x_0
    alpha_bar = alpha_bar.unsqueeze(1)
    return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0


def from_velocity(x_t: Tensor, v: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """The clean image and the noise that x_t and v imply, (n, pixels) each.

    >>> x_t, v = torch.tensor([[0.2, 1.4]]), torch.tensor([[-1.4, 0.2]])
    >>> from_velocity(x_t, v, torch.tensor([0.64]))
    (tensor([[1., 1.]]), tensor([[-1.,  1.]]))
    """
    # x_0 = sqrt(alpha_bar) x_t - sqrt(1 - alpha_bar) v
    # epsilon = sqrt(1 - alpha_bar) x_t + sqrt(alpha_bar) v
    alpha_bar = alpha_bar.unsqueeze(1)
    x_0 = alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * v
    noise = (1 - alpha_bar).sqrt() * x_t + alpha_bar.sqrt() * v
    return x_0, noise


def diffusion_loss(
    network: nn.Module, x_0: Tensor, t: Tensor, alpha_bar: Tensor, noise: Tensor
) -> Tensor:
    """The mean squared error of v (Salimans and Ho 2022, arXiv 2202.00512, section 4): a scalar.

    It has the form of DDPM's simplified loss (eq. 14), which is about epsilon, but another weight for
    each t. In terms of the error of x_0, and with SNR = alpha_bar / (1 - alpha_bar):

        || epsilon - epsilon_theta ||^2 =  SNR      || x_0 - x_0,theta ||^2
        ||   v     -    v_theta    ||^2 = (SNR + 1) || x_0 - x_0,theta ||^2

    and an error of x_0 itself has the weight 1.

    Args:
        network: maps x_t (n, pixels) and t (n,) to v (n, pixels).
        x_0, noise: (n, pixels).
        t: (n,) whole numbers, each image's own time.
        alpha_bar: (T + 1,), the schedule.

    >>> x_0, noise = torch.zeros(2, 64), torch.ones(2, 64)
    >>> t, alpha_bar = torch.tensor([1, 2]), torch.tensor([1.0, 0.64, 0.36])
    >>> diffusion_loss(lambda x_t, t: torch.zeros_like(x_t), x_0, t, alpha_bar, noise)  # mean of alpha_bar
    tensor(0.5000)
    """
    # E || v - v_theta(x_t, t) ||^2, as a mean over the pixels
    x_t = q_sample(x_0, alpha_bar[t], noise)
    return F.mse_loss(network(x_t, t), velocity(x_0, alpha_bar[t], noise))


def ddim_step(x_0: Tensor, noise: Tensor, alpha_bar_s: Tensor) -> Tensor:
    """One deterministic step to the earlier time s (Song et al. 2021, arXiv 2010.02502, eq. 12).

    Args:
        x_0, noise: (n, pixels), what the network takes the clean image and the noise in x_t to be.
        alpha_bar_s: a scalar, that of the time to go to.

    >>> ddim_step(torch.ones(1, 2), torch.tensor([[-1.0, 1.0]]), torch.tensor(0.64))
    tensor([[0.2000, 1.4000]])
    """
    # x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s) epsilon
    return alpha_bar_s.sqrt() * x_0 + (1 - alpha_bar_s).sqrt() * noise


def ddpm_step(
    x_t: Tensor, x_0: Tensor, alpha_bar_t: Tensor, alpha_bar_s: Tensor, fresh_noise: Tensor
) -> Tensor:
    """A draw from q(x_s | x_t, x_0), one ancestral step from time t to s < t (DDPM, eq. 6 and 7).

    Args:
        x_t, x_0: (n, pixels), where we are, and what the network takes the clean image to be.
        alpha_bar_t, alpha_bar_s: scalars.
        fresh_noise: (n, pixels), standard normal.

    >>> x_t, x_0, fresh_noise = torch.ones(3, 1, 2)
    >>> ddpm_step(x_t, x_0, torch.tensor(0.5), torch.tensor(1.0), fresh_noise)  # at s = 0: x_0 itself
    tensor([[1., 1.]])
    """
    # alpha = alpha_bar_t / alpha_bar_s, and beta = 1 - alpha
    alpha = alpha_bar_t / alpha_bar_s
    # mean = ( sqrt(alpha_bar_s) beta x_0 + sqrt(alpha) (1 - alpha_bar_s) x_t ) / (1 - alpha_bar_t)
    mean = alpha_bar_s.sqrt() * (1 - alpha) * x_0 + alpha.sqrt() * (1 - alpha_bar_s) * x_t
    # variance = beta (1 - alpha_bar_s) / (1 - alpha_bar_t)
    variance = (1 - alpha) * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    return mean / (1 - alpha_bar_t) + variance.sqrt() * fresh_noise


def reverse_step(
    x_t: Tensor,
    x_0: Tensor,
    alpha_bar_t: Tensor,
    alpha_bar_s: Tensor,
    eta: float,
    fresh_noise: Tensor,
) -> Tensor:
    """Both samplers as one (Song et al. 2021, eq. 12 and 16): eta = 0 is DDIM, eta = 1 is DDPM.

    >>> x_t, x_0, fresh_noise = torch.ones(3, 1, 2)
    >>> reverse_step(x_t, x_0, torch.tensor(0.5), torch.tensor(1.0), eta=1.0, fresh_noise=fresh_noise)
    tensor([[1., 1.]])
    """
    # sigma = eta sqrt( (1 - alpha_bar_s) / (1 - alpha_bar_t) (1 - alpha_bar_t / alpha_bar_s) )
    variance = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)
    sigma = eta * variance.clamp(min=0).sqrt()
    # x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s - sigma^2) epsilon + sigma fresh
    noise = (x_t - alpha_bar_t.sqrt() * x_0) / (1 - alpha_bar_t).sqrt()
    kept = (1 - alpha_bar_s - sigma**2).clamp(min=0).sqrt()
    return alpha_bar_s.sqrt() * x_0 + kept * noise + sigma * fresh_noise


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598, eq. 6); scale 0 is none.

    >>> guide(torch.tensor([2.0]), torch.tensor([1.0]), scale=0.5)
    tensor([2.5000])
    """
    # (1 + w) conditional - w unconditional
    return (1 + scale) * conditional - scale * unconditional


class Denoiser(nn.Module):
    """v_theta(x_t, t, y): a residual MLP whose blocks are told time and class.

    Args:
        width, depth: units in each block, and how many blocks.
        classes: 0, or the number of classes; then `self.classes` stands for "no class given".
        pixels: size of an image.
        dropout: within the blocks.

    >>> Denoiser(classes=10)(torch.zeros(3, 64), torch.tensor([0.1, 0.5, 1.0])).shape
    torch.Size([3, 64])
    """

    def __init__(
        self,
        width: int = 256,
        depth: int = 3,
        classes: int = 0,
        pixels: int = 64,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.classes, self.pixels = classes, pixels
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(classes + 1, width)
        self.enter = nn.Linear(pixels, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, width),
                nn.SiLU(),
                nn.Dropout(dropout),
                nn.Linear(width, width),
            )
            for _ in range(depth)
        )
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, pixels))
        # Each block starts as the identity and the whole as 0: the loss starts at its natural scale.
        for last in (*(block[-1] for block in self.blocks), self.leave[-1]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x_t: Tensor, time: Tensor, y: Tensor | None = None) -> Tensor:
        """v (n, pixels) at x_t (n, pixels), for times (n,) from 0 to 1 and classes y (n,) or none."""
        if y is None:
            y = torch.full((len(x_t),), self.classes, device=x_t.device)
        told = F.silu(self.time(time_embedding(time)) + self.label(y))
        hidden = self.enter(x_t)
        for block in self.blocks:
            hidden = hidden + block(hidden + told)
        return self.leave(hidden)


class Diffusion(nn.Module):
    """A denoiser with its schedule: the loss to train it by, and one sampler for DDPM and DDIM.

    The network, a `Denoiser` or a `unet.UNet`, maps x_t, time and class to v and has the attributes
    `classes` and `pixels`.

    >>> model = Diffusion(Denoiser())
    >>> model.loss(torch.zeros(5, 64)).shape, model.sample(3, steps=2).shape
    (torch.Size([]), torch.Size([3, 64]))
    """

    def __init__(self, network: nn.Module, steps: int = 1000):
        super().__init__()
        self.network, self.steps = network, steps
        self.register_buffer("alpha_bar", cosine_schedule(steps))

    def loss(self, x_0: Tensor, y: Tensor | None = None, drop_class: float = 0.1) -> Tensor:
        """The loss of images (n, pixels) at random times. A share of the classes is withheld,
        so that the network also learns to work without a class, which guidance needs."""
        count = len(x_0)
        # One time in each n-th of the range instead of n independent ones: a steadier loss.
        spread = torch.arange(count, device=x_0.device) + torch.rand(count, device=x_0.device)
        t = (spread / count * self.steps).long().clamp(max=self.steps - 1) + 1
        if y is not None:
            withheld = torch.rand(count, device=x_0.device) < drop_class
            y = y.masked_fill(withheld, self.network.classes)

        def network(x_t: Tensor, t: Tensor) -> Tensor:
            return self.network(x_t, t / self.steps, y)

        return diffusion_loss(network, x_0, t, self.alpha_bar, torch.randn_like(x_0))

    @torch.no_grad()
    def sample(
        self,
        count: int,
        y: Tensor | None = None,
        *,
        steps: int = 20,
        eta: float = 0.0,
        guidance: float = 0.0,
        x_T: Tensor | None = None,
    ) -> Tensor:
        """Whole grey levels (count, pixels), 0 to 16, of new images of the classes y (count,).

        Args:
            steps: network evaluations; the times are spread evenly over the schedule.
            eta: 0 for DDIM (deterministic given x_T), 1 for DDPM (fresh noise at every step).
            guidance: see `guide`.
            x_T: (count, pixels), the noise to start from.
        """
        *_, x_0 = self.path(count, y, steps=steps, eta=eta, guidance=guidance, x_T=x_T)
        return to_grey_levels(x_0)

    @torch.no_grad()
    def path(
        self,
        count: int,
        y: Tensor | None = None,
        *,
        steps: int = 20,
        eta: float = 0.0,
        guidance: float = 0.0,
        x_T: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """x_t at every step of the sampler, from noise to image, (count, pixels) in [-1, 1]."""
        device, pixels = self.alpha_bar.device, self.network.pixels
        x = torch.randn(count, pixels, device=device) if x_T is None else x_T
        times = torch.linspace(self.steps, 0, steps + 1).round().long().tolist()
        yield x
        for t, s in pairwise(times):
            now, then = self.alpha_bar[t], self.alpha_bar[s]
            v = self._guided(x, t, y, guidance)
            x_0, _ = from_velocity(x, v, now.expand(count))
            x_0 = x_0.clamp(-1, 1)
            x = reverse_step(x, x_0, now, then, eta, torch.randn_like(x))
            yield x

    def _guided(self, x: Tensor, t: int, y: Tensor | None, guidance: float) -> Tensor:
        time = torch.full((len(x),), t / self.steps, device=x.device)
        conditional = self.network(x, time, y)
        if y is None or not guidance:
            return conditional
        return guide(conditional, self.network(x, time), guidance)


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings(Settings):
    """How a diffusion model is trained, whatever its network.

    Attributes:
        steps, batch_size, learning_rate: of Adam; the rate falls to 0 along a cosine.
        ema_decay: of the moving average of the weights, which are those that the model ends with.
        drop_class: share of the classes that are withheld in training, see `Diffusion.loss`.

    >>> DiffusionSettings.of({"steps": 100, "learning_rate": 1e-3, "ema_decay": 0.99}).drop_class
    0.1
    """

    steps: int
    batch_size: int = 64
    learning_rate: float
    ema_decay: float
    drop_class: float = 0.1


@dataclass(frozen=True, kw_only=True)
class MLPDiffusion(DiffusionSettings):
    """A diffusion model whose network is a `Denoiser` of this width, depth and dropout.

    >>> settings = MLPDiffusion(steps=100, learning_rate=1e-3, ema_decay=0.99, depth=2)
    >>> len(settings.network(classes=10, pixels=64).blocks)
    2
    """

    width: int = 256
    depth: int = 3
    dropout: float = 0.0

    def network(self, classes: int, pixels: int) -> Denoiser:
        """The untrained network for images of this many pixels."""
        return Denoiser(self.width, self.depth, classes, pixels, self.dropout)


@dataclass(frozen=True, kw_only=True)
class UNetDiffusion(DiffusionSettings):
    """A diffusion model whose network is a `UNet` with this many channels, for larger images.

    >>> settings = UNetDiffusion(steps=100, learning_rate=1e-3, ema_decay=0.99, channels=8)
    >>> settings.network(classes=10, pixels=784).pixels
    784
    """

    channels: int = 32

    def network(self, classes: int, pixels: int) -> UNet:
        """The untrained network for images of this many pixels."""
        return UNet(self.channels, classes, pixels)


def fit(
    model: Diffusion,
    data: Sequence[Tensor],
    settings: DiffusionSettings | SimpleNamespace,
    *,
    seed: int = 0,
) -> Iterator[Step]:
    """Train `model` and yield every step; it ends with averaged weights, in evaluation mode.

    Args:
        data: grey levels x (n, pixels), 0 to 16, and their classes y (n,) if the network takes any.
        settings: `DiffusionSettings`, or a table of them.

    >>> settings = DiffusionSettings(steps=2, learning_rate=1e-3, ema_decay=0.99)
    >>> [step.number for step in fit(Diffusion(Denoiser()), [torch.zeros(8, 64)], settings)]
    [1, 2]
    """
    settings = DiffusionSettings.of(settings)
    x, *classes = data
    optimizer = torch.optim.Adam(
        model.parameters(), settings.learning_rate, (0.9, 0.99), fused=True
    )
    ema = ema_of(model, settings.ema_decay)

    def step(x_0: Tensor, y: Tensor | None = None) -> float:
        return gradient_step(model.loss(x_0, y, settings.drop_class), optimizer)

    model.train()
    yield from training_loop(
        step,
        (from_grey_levels(x), *classes),
        steps=settings.steps,
        batch_size=settings.batch_size,
        seed=seed,
        optimizers=[optimizer],
        lr_schedule="cosine",
        ema=ema,
        label="training the diffusion model",
    )
    model.load_state_dict(ema.module.state_dict())
    model.eval()


def conditional_diffusion(
    x: Tensor,
    y: Tensor,
    settings: MLPDiffusion | UNetDiffusion | SimpleNamespace,
    *,
    seed: int = 0,
) -> Diffusion:
    """A diffusion model of x given y, from its checkpoint or trained now.

    Args:
        x, y: grey levels (n, pixels), and their classes (n,).
        settings: `MLPDiffusion`, or a table of them such as `lesson.settings.digits`; `UNetDiffusion`
            for larger images.

    Raises:
        ValueError: for a setting that is not known, or one that is missing.

    >>> x, y = torch.zeros(20, 64), torch.arange(20) % 10
    >>> settings = MLPDiffusion(steps=2, learning_rate=1e-3, ema_decay=0.99)
    >>> conditional_diffusion(x, y, settings).sample(2, torch.tensor([3, 8])).shape
    torch.Size([2, 64])
    """
    if not isinstance(settings, UNetDiffusion):
        settings = MLPDiffusion.of(settings)
    torch.manual_seed(seed)
    network = settings.network(classes=int(y.max()) + 1, pixels=x.shape[1])
    model = Diffusion(network).to(x.device)
    loop = fit(model, (x, y), settings, seed=seed)
    fit_with_checkpoint(
        "conditional_diffusion", model, loop, settings=settings, data=(x, y), seed=seed
    )
    return model
