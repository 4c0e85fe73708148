r"""A generator whose layers are told their style.

Karras et al. 2019, "A style-based generator architecture for generative adversarial networks", arXiv
1812.04948: a mapping network turns latents $z$ into styles $w$, and each layer of the synthesis network is
scaled by $w$, so that layers may have styles of different images. Karras et al. 2020, "Analyzing and
improving the image quality of StyleGAN", arXiv 1912.04958, scale the weights of a convolution and take
the scale out again (modulation and demodulation).

It is trained with the discriminator and the game of `models.gan`.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models import gan
from course_lib.models.gan import GANSettings, LatentNetwork
from course_lib.models.layers import to_grey_levels, within_class
from course_lib.training import fit_with_checkpoint


def map_latents(z: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """The mapping network f: latents z (n, d) to styles w (n, d), by layers x W^T + b with leaky ReLUs.

    Before them each row of z is scaled to a mean square of 1 (pixel normalisation).

    Args:
        weights, biases: of all layers, (depth, d, d) and (depth, d).

    >>> map_latents(torch.tensor([[3.0, -3.0]]), torch.eye(2)[None], torch.zeros(1, 2))
    tensor([[ 1.0000, -0.2000]])
    """
    # z / sqrt(mean z^2), then x <- LeakyReLU(x W^T + b)
    x = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
    for weight, bias in zip(weights, biases, strict=True):
        x = F.leaky_relu(x @ weight.T + bias, 0.2)
    return x


def modulated_convolution(x: Tensor, weight: Tensor, style: Tensor) -> Tensor:
    """A convolution whose input channels are scaled for each image by its style: (n, out, height, width).

    Args:
        x: maps (n, in, height, width).
        weight: (out, in, k, k), k odd; the same for all images.
        style: (n, in).

    Source: Karras et al. 2020, eq. 1, with the scale moved from the weights to the maps.

    >>> image, weight = torch.ones(1, 1, 1, 3), torch.ones(1, 1, 1, 1)
    >>> modulated_convolution(image, weight, torch.tensor([[2.0]])).flatten()
    tensor([2., 2., 2.])
    """
    # sum_i (s_i w_ijk) * x_i = sum_i w_ijk * (s_i x_i)
    return F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """By what each output channel is multiplied, so that the style does not change its scale: (n, out).

    Args:
        weight: (out, in, k, k).
        style: (n, in).

    Source: Karras et al. 2020, eq. 3, as factors of the maps.

    >>> demodulation(torch.ones(1, 1, 1, 1), torch.tensor([[2.0], [4.0]]))
    tensor([[0.5000],
            [0.2500]])
    """
    # 1 / sqrt(sum over i and k of (s_i w_jik)^2)
    squares = style.square() @ weight.square().sum(dim=(2, 3)).T
    return (squares + 1e-8).rsqrt()


def mix(first: Tensor, second: Tensor, layers: int, cut: int) -> Tensor:
    """Styles (n, layers, d): those of `first` for the layers before `cut`, those of `second` from there on.

    Args:
        first, second: styles w (n, d) of two images each.
        cut: 0 to `layers`; 0 leaves nothing of `first`, `layers` nothing of `second`.

    Source: Karras et al. 2019, section 3.1.

    >>> mix(torch.zeros(1, 1), torch.ones(1, 1), layers=3, cut=1).flatten()
    tensor([0., 1., 1.])
    """
    return torch.stack([first if layer < cut else second for layer in range(layers)], dim=1)


def truncate(w: Tensor, y: Tensor, centres: Tensor, psi: float) -> Tensor:
    """Styles (n, d) drawn towards the centre of their class; psi = 1 changes nothing, 0 leaves the centre.

    Args:
        w, y: styles (n, d) and their classes (n,).
        centres: the mean style of each class, (classes, d).

    Source: Karras et al. 2019, appendix B, with a centre for each class.

    >>> truncate(torch.tensor([[4.0]]), torch.tensor([1]), torch.tensor([[0.0], [2.0]]), psi=0.5)
    tensor([[3.]])
    """
    # w' = m_y + psi (w - m_y)
    centre = centres[y]
    return centre + psi * (w - centre)


def directions(w: Tensor, y: Tensor, properties: Tensor) -> Tensor:
    """How w changes with each property, the class and the other properties being the same: (k, d).

    The slopes of a linear regression of w on the properties, both less the means of their class. So a
    step along row j should raise property j by 1 and leave the others, on average.

    Args:
        w, y: styles (n, d) of images and their classes (n,).
        properties: what was measured of these images, (n, k).

    >>> w = torch.tensor([[0.0, 0.0], [2.0, 4.0], [5.0, 5.0], [6.0, 7.0]])
    >>> directions(w, torch.tensor([0, 0, 1, 1]), torch.tensor([[0.0], [2.0], [1.0], [2.0]]))
    tensor([[1., 2.]])
    """
    # argmin_V sum_n || (w - m_y) - (p - p_y) V ||^2
    changes, measured = within_class(w, y), within_class(properties, y)
    return torch.linalg.lstsq(measured, changes).solution


def arc(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Places t (n,) on the arcs from the rows of `start` to those of `end`, (n, d), see `gan.slerp`.

    >>> arc(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([1 / 3])).round(decimals=3)
    tensor([[1.7320, 1.0000]])
    """
    cosine = F.cosine_similarity(start, end, dim=1)
    angle = torch.arccos(cosine.clamp(-0.9999, 0.9999))
    first, second = ((1 - t) * angle).sin(), (t * angle).sin()
    return (first[:, None] * start + second[:, None] * end) / angle.sin()[:, None]


def linear_share(points: Tensor, y: Tensor, values: Tensor, each_class: bool = False) -> float:
    """R^2 of a linear regression of values (n,) on points (n, d), both less the means of their class y.

    It is fitted to every other row and counted on the rest, so that a space gains nothing by its number
    of dimensions alone. Where the values do not vary, it is NaN.

    Args:
        each_class: each class has slopes of its own; else all classes share them.

    >>> points = torch.randn(200, 2)
    >>> round(linear_share(points, torch.arange(200) % 10, points @ torch.tensor([1.0, 2.0])), 3)
    1.0
    """
    missed, all_there = torch.zeros(()), torch.zeros(())
    for rows in [(y == label) for label in y.unique()] if each_class else [torch.ones_like(y) > 0]:
        half = torch.arange(int(rows.sum()), device=y.device) % 2 == 0
        fitted, tested = (
            (
                within_class(points[rows][part], y[rows][part]),
                within_class(values[rows][part, None], y[rows][part]),
            )
            for part in (half, ~half)
        )
        slopes = torch.linalg.lstsq(*fitted).solution
        missed = missed + (tested[1] - tested[0] @ slopes).square().sum()
        all_there = all_there + tested[1].square().sum()
    return float(1 - missed / all_there)


def path_length(draw: Callable[[Tensor], Tensor], t: Tensor, epsilon: float = 0.01) -> Tensor:
    """How much images change along paths, squared, for each squared share of the path: a scalar.

    Args:
        draw: from places t (n,) on n paths, 0 at the start and 1 at the end, to features (n, d) of the
            images there.
        t: a place on each path, (n,).
        epsilon: the share of the path that a step takes.

    Source: perceptual path length, Karras et al. 2019, section 4.1.

    >>> path_length(lambda t: 3 * t[:, None], torch.tensor([0.0, 0.5])).round()
    tensor(9.)
    """
    # E || g(t + e) - g(t) ||^2 / e^2
    step = draw(t + epsilon) - draw(t)
    return (step.square().sum(dim=1) / epsilon**2).mean()


class Mapping(nn.Module):
    """f: latents z (n, latent_dim) and classes y (n,) to styles w (n, w_dim), see `map_latents`.

    The class has a learnt vector, which is appended to z. The weights begin as in He et al. 2015, arXiv
    1502.01852, eq. 15, so that the variety of z is not lost on the way: with the smaller weights that
    PyTorch's linear layers begin with, all styles are nearly equal.

    >>> Mapping()(torch.randn(3, 16), torch.tensor([0, 1, 2])).shape
    torch.Size([3, 32])
    """

    def __init__(self, latent_dim: int = 16, w_dim: int = 32, classes: int = 10, depth: int = 3):
        super().__init__()
        self.embedding = nn.Embedding(classes, w_dim - latent_dim)
        scale = math.sqrt(2 / (1 + 0.2**2) / w_dim)
        self.weights = nn.Parameter(scale * torch.randn(depth, w_dim, w_dim))
        self.biases = nn.Parameter(torch.zeros(depth, w_dim))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return map_latents(torch.cat([z, self.embedding(y)], dim=1), self.weights, self.biases)


class StyledConvolution(nn.Module):
    """Modulation, a 3 x 3 convolution, demodulation, noise and a leaky ReLU: maps in, maps out.

    Each layer reads its own scales from w by a linear layer. Noise of one number a position is added with
    a learnt strength, which begins at 0.

    Args:
        inputs, outputs: channels.
        w_dim: entries of w.
        last: whether it makes the pixels: then there is no demodulation, no noise and no activation.

    >>> StyledConvolution(4, 8, w_dim=32)(torch.zeros(3, 4, 5, 5), torch.zeros(3, 32)).shape
    torch.Size([3, 8, 5, 5])
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, last: bool = False):
        super().__init__()
        self.last = last
        gain = 1.0 if last else math.sqrt(2 / (1 + 0.2**2))
        self.weight = nn.Parameter(
            torch.randn(outputs, inputs, 3, 3) * gain / math.sqrt(9 * inputs)
        )
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.noise = nn.Parameter(torch.zeros(()))
        self.style = nn.Linear(w_dim, inputs)
        nn.init.normal_(self.style.weight, std=w_dim**-0.5)
        nn.init.ones_(self.style.bias)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.style(w)
        x = modulated_convolution(x, self.weight, style)
        if self.last:
            return x + self.bias
        x = x * demodulation(self.weight, style)[:, :, None, None]
        x = x + self.noise * torch.randn_like(x[:, :1]) + self.bias
        return F.leaky_relu(x, 0.2) * math.sqrt(2)


class StyleGenerator(LatentNetwork):
    """G: latents z (n, latent_dim) and classes y (n,) to images (n, side^2), through styles.

    `mapping` makes w; `synthesis` begins with learnt maps of half the side, the same for every image, and
    has a styled convolution for each of its `layers`. The last one makes four channels, which are
    interleaved to the image as in `gan.Generator`.

    Args:
        latent_dim, w_dim: entries of z and of w.
        channels: maps of each layer.
        classes: that can be asked for.
        layers: of the synthesis, with the last one.
        side: height and width of an image, an even number.
        class_in_constant: each class has learnt maps of its own to begin with, and w knows nothing of
            the class.

    >>> generator = StyleGenerator()
    >>> generator.sample(3, y=torch.tensor([0, 1, 2])).shape
    torch.Size([3, 64])
    """

    def __init__(
        self,
        latent_dim: int = 16,
        channels: int = 32,
        classes: int = 10,
        w_dim: int = 32,
        layers: int = 4,
        side: int = 8,
        class_in_constant: bool = False,
    ):
        super().__init__()
        self.latent_dim, self.classes, self.layers = latent_dim, classes, layers
        self.class_in_constant = class_in_constant
        self.mapping = Mapping(latent_dim, w_dim, 1 if class_in_constant else classes)
        begins = classes if class_in_constant else 1
        self.constant = nn.Parameter(torch.randn(begins, channels, side // 2, side // 2))
        self.synthesis_layers = nn.ModuleList(
            StyledConvolution(channels, 4 if last else channels, w_dim, last)
            for last in (layer == layers - 1 for layer in range(layers))
        )

    def styles(self, z: Tensor, y: Tensor) -> Tensor:
        """The styles w (n, w_dim) of latents z of the classes y."""
        return self.mapping(z, torch.zeros_like(y) if self.class_in_constant else y)

    def synthesis(self, w: Tensor, y: Tensor) -> Tensor:
        """Images (n, side^2) in [-1, 1] from styles w (n, w_dim), or (n, layers, w_dim), one a layer.

        The classes y count only where the class is in the constant.
        """
        w = w if w.ndim == 3 else mix(w, w, self.layers, self.layers)
        x = self.constant[y if self.class_in_constant else torch.zeros_like(y)]
        for layer, style in zip(self.synthesis_layers, w.unbind(dim=1), strict=True):
            x = layer(x, style)
        return F.pixel_shuffle(x, 2).flatten(1).tanh()

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.synthesis(self.styles(z, y), y)

    @torch.no_grad()
    def draw(self, w: Tensor, y: Tensor) -> Tensor:
        """Whole grey levels (n, side^2), 0 to 16, from styles, see `synthesis`."""
        return to_grey_levels(self.synthesis(w, y))

    @torch.no_grad()
    def sample(self, count: int, y: Tensor, z: Tensor | None = None) -> Tensor:
        """Whole grey levels (count, pixels), 0 to 16, of new images of the classes y."""
        device = self.constant.device
        z = torch.randn(count, self.latent_dim, device=device) if z is None else z
        return self.draw(self.styles(z, y), y)


def style_gan(
    x: Tensor,
    y: Tensor,
    settings: GANSettings | SimpleNamespace,
    *,
    seed: int = 0,
    class_in_constant: bool = False,
) -> StyleGenerator:
    """A style generator of x given y, trained as in `gan.conditional_gan`, or from its checkpoint.

    Args:
        x, y: grey levels (n, pixels), and their classes (n,).
        settings: `GANSettings`, or a table of them; `channels` are those of both networks.

    >>> x, y = torch.zeros(20, 64), torch.arange(20) % 10
    >>> settings = GANSettings(steps=2, learning_rate=1e-3, ema_decay=0.99)
    >>> style_gan(x, y, settings).sample(2, torch.tensor([3, 8])).shape
    torch.Size([2, 64])
    """
    settings = GANSettings.of(settings)
    torch.manual_seed(seed)
    size = {"classes": int(y.max()) + 1, "side": math.isqrt(x.shape[1])}
    generator = StyleGenerator(
        settings.latent_dim, settings.channels, class_in_constant=class_in_constant, **size
    ).to(x.device)
    discriminator = gan.Discriminator(settings.channels, **size).to(x.device)
    loop = gan.fit(generator, discriminator, (x, y), settings, seed=seed)
    fit_with_checkpoint("style_gan", generator, loop, settings=settings, data=(x, y), seed=seed)
    return generator
