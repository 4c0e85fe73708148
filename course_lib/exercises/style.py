"""The exercises of lesson 04: the parts of a style generator, and what is measured of it."""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.models import style
from course_lib.models.layers import within_class
from course_lib.plots import BLUE, GREEN, GREY, ORANGE

# --- the mapping network ---------------------------------------------------------------------------


def _mapping_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, width, depth, scale):
        return {
            "z": rng.normal(0, scale, (rows, width)),
            "weights": rng.normal(0, width**-0.5, (depth, width, width)),
            "biases": rng.normal(0, 0.3, (depth, width)),
        }

    return {
        "one layer": case(5, 4, 1, 1.0),
        "three layers": case(6, 5, 3, 1.0),
        "long latents": case(4, 3, 2, 20.0),
    }


def _mapping_by_normalize(z, weights, biases):
    x = F.normalize(z, dim=1) * z.shape[1] ** 0.5
    for weight, bias in zip(weights, biases, strict=True):
        x = F.linear(x, weight, bias)
        x = torch.maximum(x, 0.2 * x)
    return x


def _mapping_by_rows(z, weights, biases):
    rows = []
    for row in z:
        x = row / row.square().mean().sqrt()
        for weight, bias in zip(weights, biases, strict=True):
            x = weight @ x + bias
            x = torch.where(x > 0, x, 0.2 * x)
        rows.append(x)
    return torch.stack(rows)


def _mapping_by_columns(z, weights, biases):
    x = (z / (z**2).mean(1, keepdim=True) ** 0.5).T
    for i in range(len(weights)):
        x = weights[i] @ x + biases[i][:, None]
        x = x.clamp(min=0) + 0.2 * x.clamp(max=0)
    return x.T


def _mapping_picture(answer):
    torch.manual_seed(0)
    z = torch.randn(300, 2)
    turned = torch.tensor([[[0.8, -0.6], [0.6, 0.8]]])
    w = answer(z, turned, torch.zeros(1, 2))
    fig, ax = plt.subplots(figsize=(4, 3.4))
    ax.plot(*z.T, "o", color=GREY, markersize=2.5, linestyle="none", label="z")
    ax.plot(*w.T, "x", color=BLUE, markersize=4, linestyle="none", label="w, after one layer")
    ax.set(xlabel="entry 1", ylabel="entry 2", aspect="equal", title="A circle, then bent")
    ax.legend(fontsize=8)
    return fig, (
        "A round cloud of latents z, and the styles w after one layer: a loop, round at the upper right "
        "and flat along both axes, since negative entries are multiplied by 0.2."
    )


MAP_LATENTS = Exercise(
    id="style.map_latents",
    title="From z to w",
    points=2,
    minutes=10,
    difficulty=1,
    task="Scale each row of z to a mean square of 1, then send it through all layers: x W^T + b and a "
    "leaky ReLU with a slope of 0.2, also after the last one.",
    hints=(
        "The mean square of each row: z.square().mean(dim=1, keepdim=True). Divide by its root.",
        "weights[i] has the shape (out, in), as in nn.Linear: x @ weight.T + bias.",
        "F.leaky_relu(x, 0.2) follows each layer.",
    ),
    reference=style.map_latents,
    inputs=_mapping_cases,
    picture=_mapping_picture,
    mistakes={
        "The latents were not normalised: divide each row by the root of its mean square.": slip(
            "z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()", "z"
        ),
        "Each row has length 1 here. Its mean square should be 1: take the mean and not the sum.": slip(
            ".mean(", ".sum("
        ),
        "The mean was taken over the batch. Each image has a latent of its own to normalise: dim=1.": slip(
            "dim=1, keepdim=True", "dim=0, keepdim=True"
        ),
        "You divided by the mean square. Divide by its root.": slip(".rsqrt()", ".reciprocal()"),
        "The weights have the shape (out, in): multiply by the transpose.": slip(
            "weight.T", "weight"
        ),
        "This is a plain ReLU. The leaky one keeps 0.2 of what is negative.": slip(
            "F.leaky_relu(x @ weight.T + bias, 0.2)", "F.relu(x @ weight.T + bias)"
        ),
        "F.leaky_relu has a slope of 0.01 unless it is told another: 0.2 here.": slip(
            "bias, 0.2)", "bias)"
        ),
        "The last layer has no leaky ReLU. It follows every layer, also the last one.": slip(
            "for weight, bias in zip(weights, biases, strict=True):",
            "for i, (weight, bias) in enumerate(zip(weights, biases, strict=True), 1):",
            "x = F.leaky_relu(x @ weight.T + bias, 0.2)",
            "x = F.leaky_relu(x @ weight.T + bias, 1.0 if i == len(weights) else 0.2)",
        ),
        "The biases are missing: each layer is x W^T + b.": slip(" + bias", ""),
        "You subtracted the biases. Add them.": slip(" + bias", " - bias"),
        "Only the first layer was used. Send x through all of them, one after the other.": slip(
            "zip(weights, biases, strict=True)", "zip(weights[:1], biases[:1], strict=True)"
        ),
        "The leaky ReLU comes before the layer here. It comes after x W^T + b.": slip(
            "F.leaky_relu(x @ weight.T + bias, 0.2)", "F.leaky_relu(x, 0.2) @ weight.T + bias"
        ),
        "You took away the mean of each row as well. Only divide by the root of the mean square.": slip(
            "z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()",
            "(z - z.mean(dim=1, keepdim=True)) / z.std(dim=1, keepdim=True)",
        ),
    },
    alternatives=(_mapping_by_normalize, _mapping_by_rows, _mapping_by_columns),
)

# --- modulated convolution -------------------------------------------------------------------------


def _convolution_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(images, inputs, outputs, kernel, size):
        return {
            "x": rng.normal(size=(images, inputs, *size)),
            "weight": rng.normal(size=(outputs, inputs, kernel, kernel)),
            "style": rng.normal(1, 0.5, (images, inputs)),
        }

    return {
        "as many channels out as in": case(4, 3, 3, 3, (4, 4)),
        "more channels out than in": case(3, 2, 5, 3, (4, 6)),
        "a kernel of one pixel": case(2, 4, 3, 1, (3, 3)),
        "a kernel of five pixels": case(2, 2, 2, 5, (6, 5)),
    }


def _convolution_grouped(x, weight, style):
    images, inputs, height, width = x.shape
    own = weight[None] * style[:, None, :, None, None]
    joined = F.conv2d(
        x.reshape(1, images * inputs, height, width),
        own.flatten(0, 1),
        padding=weight.shape[-1] // 2,
        groups=images,
    )
    return joined.reshape(images, -1, height, width)


def _convolution_by_image(x, weight, style):
    pictures = zip(x, style, strict=True)
    return torch.cat(
        [
            F.conv2d(own[None], weight * s[None, :, None, None], padding=weight.shape[-1] // 2)
            for own, s in pictures
        ]
    )


def _convolution_unfolded(x, weight, style):
    columns = F.unfold(
        torch.einsum("nihw,ni->nihw", x, style), weight.shape[-1], padding=weight.shape[-1] // 2
    )
    return (weight.flatten(1) @ columns).reshape(len(x), len(weight), *x.shape[2:])


def _scaling_what_comes_out(x, weight, style):
    outputs = torch.arange(len(weight)) % style.shape[1]
    maps = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    return maps * style[:, outputs, None, None]


def _convolution_picture(answer):
    x = torch.zeros(5, 1, 8, 8)
    x[:, 0, 2:6, 4] = 1.0
    x[:, 0, 2, 3:6] = 1.0
    scales = torch.tensor([[0.0], [0.5], [1.0], [1.5], [2.0]])
    maps = answer(x, torch.full((1, 1, 3, 3), 1 / 9), scales)[:, 0]
    fig, axes = plt.subplots(1, 5, figsize=(6, 1.6))
    for ax, image, scale in zip(axes, maps, scales, strict=True):
        ax.imshow(image.numpy(), vmin=0, vmax=1, cmap="gray_r")
        ax.set_title(f"style {float(scale):g}", fontsize=8)
        ax.axis("off")
    return fig, (
        "One shape, blurred by the same convolution under five styles from 0 to 2: from white paper the "
        "shape grows darker in equal steps."
    )


MODULATED_CONVOLUTION = Exercise(
    id="style.modulated_convolution",
    title="A convolution with a style",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return the convolution of each image's maps with the shared weights, after its input channels "
    "were multiplied by the image's own style. Height and width stay.",
    hints=(
        "style has the shape (n, in) and x (n, in, height, width): give the style two more axes.",
        "F.conv2d(x, weight, padding=...) needs half of the kernel's size as padding, rounded down.",
    ),
    reference=style.modulated_convolution,
    inputs=_convolution_cases,
    picture=_convolution_picture,
    mistakes={
        (
            "The style scaled the channels that come out. It belongs to those that go in."
        ): _scaling_what_comes_out,
        "All images got the first one's style. Each image has its own row.": slip(
            "style[:, :, None, None]", "style[:1, :, None, None]"
        ),
        "The maps have shrunk, since nothing was padded.": slip(
            ", padding=weight.shape[-1] // 2", ""
        ),
        "You scaled by 1 + style. The bias of the layer that makes the style is 1 already.": slip(
            "x * style[:, :, None, None]", "x * (1 + style[:, :, None, None])"
        ),
        "The style was added. It multiplies.": slip(
            "x * style[:, :, None, None]", "x + style[:, :, None, None]"
        ),
        "The style is missing: this is a plain convolution.": slip(
            "x * style[:, :, None, None]", "x"
        ),
        "You turned the kernel round. F.conv2d wants it as it is.": slip(
            "weight, padding", "weight.flip(2, 3), padding"
        ),
        "You divided by the style. Multiply.": slip("x * style[:", "x / style[:"),
        "You demodulated as well. This exercise asks for the modulated convolution alone.": returning(
            "F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2) * "
            "demodulation(weight, style)[:, :, None, None]"
        ),
        "You took exp() of the style. It is a factor, and not a logarithm.": slip(
            "style[:, :, None, None]", "style.exp()[:, :, None, None]"
        ),
        "All images got the mean style. Each image has its own row.": slip(
            "style[:, :, None, None]", "style.mean(dim=0)[None, :, None, None]"
        ),
        "All channels of an image got one factor, the mean of its style. Each channel has its own.": slip(
            "style[:, :, None, None]", "style.mean(dim=1)[:, None, None, None]"
        ),
        "The style was applied twice. Scale the maps or the weights, not both.": slip(
            "style[:, :, None, None]", "style.square()[:, :, None, None]"
        ),
    },
    alternatives=(_convolution_grouped, _convolution_by_image, _convolution_unfolded),
    atol=1e-4,
)

# --- demodulation ----------------------------------------------------------------------------------


def _demodulation_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(images, inputs, outputs, kernel, scale=1.0):
        return {
            "weight": rng.normal(0, scale, (outputs, inputs, kernel, kernel)),
            "style": rng.normal(1, 0.8, (images, inputs)),
        }

    return {
        "as many channels out as in": case(4, 3, 3, 3),
        "more channels out than in": case(3, 2, 5, 3),
        "small weights, a kernel of one pixel": case(5, 4, 2, 1, 0.05),
    }


def _demodulation_by_weights(weight, style):
    own = weight[None] * style[:, None, :, None, None]
    return 1 / own.flatten(2).norm(dim=2)


def _demodulation_by_einsum(weight, style):
    return torch.einsum("oikl,ni,oikl,ni->no", weight, style, weight, style) ** -0.5


def _demodulation_by_loop(weight, style):
    rows = [[(w * s[:, None, None]).square().sum() for w in weight] for s in style]
    return torch.stack([torch.stack(row) for row in rows]).rsqrt()


def _demodulation_picture(answer):
    torch.manual_seed(0)
    x, weight = torch.randn(1, 8, 16, 16), torch.randn(8, 8, 3, 3) / 8
    scales = torch.linspace(0.2, 4, 20)
    plain, cured = [], []
    for scale in scales:
        one = torch.full((1, 8), float(scale))
        maps = style.modulated_convolution(x, weight, one)
        plain.append(float(maps.std()))
        cured.append(float((maps * answer(weight, one)[:, :, None, None]).std()))
    fig, ax = plt.subplots(figsize=(4.2, 3))
    ax.plot(scales, plain, color=ORANGE, linestyle="--", label="modulated")
    ax.plot(scales, cured, color=BLUE, label="and demodulated")
    ax.set(xlabel="size of the style", ylabel="spread of the maps", title="The scale is taken out")
    ax.legend(fontsize=8)
    return fig, (
        "The standard deviation of the maps against the size of the style: without demodulation it rises "
        "in a straight line; with it, it stays near 1."
    )


DEMODULATION = Exercise(
    id="style.demodulation",
    title="Take the scale out again",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return for each image and each output channel one over the root of the sum of all squares of its "
    "weights, each weight multiplied by the style of its input channel.",
    hints=(
        "The weight from input i to output o at a place of the kernel is style[n, i] * weight[o, i].",
        "Its square is style^2 times weight^2, and the sum over the kernel concerns only the second: "
        "weight.square().sum(dim=(2, 3)) has the shape (out, in).",
        "The sum over i of (n, i) and (o, i) is a matrix product. Then .rsqrt().",
    ),
    reference=style.demodulation,
    inputs=_demodulation_cases,
    picture=_demodulation_picture,
    mistakes={
        "The root is missing: this divides by the sum of squares.": slip(
            ".rsqrt()", ".reciprocal()"
        ),
        "This is the root itself. The maps are multiplied by one over it.": slip(
            ".rsqrt()", ".sqrt()"
        ),
        "The style was not squared. It is a part of each weight, whose square is summed up.": slip(
            "style.square()", "style"
        ),
        "The style is missing: these are the factors for a style of 1.": slip(
            "style.square()", "torch.ones_like(style)"
        ),
        "You took the mean over the kernel. The output is a sum, so its variance is one as well.": slip(
            "weight.square().sum(dim=(2, 3))", "weight.square().mean(dim=(2, 3))"
        ),
        "You squared the sum over the kernel. Sum the squares.": slip(
            "weight.square().sum(dim=(2, 3))", "weight.sum(dim=(2, 3)).square()"
        ),
        (
            "You took the mean over the input channels. The output is a sum over them, so sum the "
            "squares."
        ): returning("(squares / weight.shape[1] + 1e-8).rsqrt()"),
        "The weights were not squared. Square each weight, then sum.": slip(
            "weight.square().sum", "weight.sum"
        ),
        "You summed absolute values. Sum squares, then take the root.": returning(
            "1 / (style.abs() @ weight.abs().sum(dim=(2, 3)).T)"
        ),
        "This is the sum of squares. Return one over its root.": returning("squares"),
        "All output channels share one factor. Each has weights of its own.": slip(
            "weight.square().sum(dim=(2, 3))",
            "weight.square().sum(dim=(2, 3)).mean(dim=0).expand(weight.shape[:2])",
        ),
        "All images share one factor. Each image has its own style.": slip(
            "style.square()", "style.square().mean(dim=0).expand(style.shape)"
        ),
        (
            "Images and channels are swapped: each row belongs to an image, each column to an output "
            "channel."
        ): returning("(squares + 1e-8).rsqrt().T"),
    },
    alternatives=(_demodulation_by_weights, _demodulation_by_einsum, _demodulation_by_loop),
    rtol=1e-3,
)

# --- mixing ----------------------------------------------------------------------------------------


def _mix_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, width, layers, cut):
        first, second = rng.normal(size=(2, rows, width))
        return {"first": first, "second": second, "layers": layers, "cut": cut}

    return {
        "four layers, cut after the first": case(3, 5, 4, 1),
        "five layers, cut after the third": case(2, 4, 5, 3),
        "nothing of the first": case(3, 2, 3, 0),
        "nothing of the second": case(3, 2, 3, 3),
    }


def _mix_by_where(first, second, layers, cut):
    early = (torch.arange(layers) < cut)[None, :, None]
    return torch.where(early, first[:, None], second[:, None])


def _mix_by_expanding(first, second, layers, cut):
    parts = first[:, None].expand(-1, cut, -1), second[:, None].expand(-1, layers - cut, -1)
    return torch.cat(parts, dim=1)


def _mix_by_filling(first, second, layers, cut):
    styles = torch.empty(first.shape[0], layers, first.shape[1])
    styles[:, :cut] = first[:, None]
    styles[:, cut:] = second[:, None]
    return styles


def _mix_picture(answer):
    first, second = torch.zeros(1, 1), torch.ones(1, 1)
    shares = torch.stack([answer(first, second, 4, cut)[0, :, 0] for cut in range(5)])
    fig, ax = plt.subplots(figsize=(3.8, 2.8))
    ax.imshow(shares.T.numpy(), vmin=0, vmax=1.6, cmap="Blues")
    for cut in range(5):
        for layer in range(4):
            name = "second" if shares[cut, layer] else "first"
            ax.text(cut, layer, name, ha="center", va="center", fontsize=7)
    ax.set(xlabel="cut", ylabel="layer", xticks=range(5), yticks=range(4), title="Whose style?")
    ax.grid(False)
    return fig, (
        "A table of four layers by cuts from 0 to 4. With cut 0 all layers have the style of the second "
        "image; with each further cut one more layer, from the top, has that of the first."
    )


MIX = Exercise(
    id="style.mix",
    title="Mix two styles",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return the styles of all layers, (n, layers, d): those of the first image for the layers before "
    "the cut, those of the second from the cut on.",
    hints=(
        "Layers are counted from 0. Layer number `cut` is the first one with the second style.",
        "torch.stack([...], dim=1) puts a list of (n, d) into (n, layers, d).",
    ),
    reference=style.mix,
    inputs=_mix_cases,
    picture=_mix_picture,
    mistakes={
        "First and second have changed places.": slip(
            "first if layer < cut else second", "second if layer < cut else first"
        ),
        "The cut is one layer late: layer number `cut` takes the second style already.": slip(
            "layer < cut", "layer <= cut"
        ),
        "The layers must be the second axis: dim=1.": slip("dim=1", "dim=0"),
        "The cut was counted from the last layer.": slip("layer < cut", "layer < layers - cut"),
        "All layers have one blend of both styles. Mixing gives each layer a pure one.": returning(
            "((cut / layers) * first + (1 - cut / layers) * second)[:, None].expand(-1, layers, -1)"
        ),
        "The cut is one layer early: the layer before number `cut` still takes the first style.": slip(
            "layer < cut", "layer < cut - 1"
        ),
        "Only the layer at the cut takes the second style. All layers from the cut on do.": slip(
            "first if layer < cut else second", "second if layer == cut else first"
        ),
        (
            "The styles alternate from layer to layer. There is one cut: the first before it, the "
            "second from it on."
        ): slip("layer < cut", "layer % 2 == 0"),
        "One layer is missing: there are `layers` of them.": slip(
            "range(layers)", "range(layers - 1)"
        ),
        (
            "The layers lie side by side in one long row. Give them an axis of their own: (n, layers, "
            "d)."
        ): returning("torch.cat([first.repeat(1, cut), second.repeat(1, layers - cut)], dim=1)"),
        "All layers have the second style, wherever the cut is.": returning(
            "second[:, None].expand(-1, layers, -1)"
        ),
        "All layers have the first style, wherever the cut is.": returning(
            "first[:, None].expand(-1, layers, -1)"
        ),
        "The two styles were added. Each layer takes one of them.": returning(
            "(first + second)[:, None].expand(-1, layers, -1)"
        ),
    },
    alternatives=(_mix_by_where, _mix_by_expanding, _mix_by_filling),
)

# --- truncation ------------------------------------------------------------------------------------


def _truncate_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, classes, width, psi):
        centres = rng.normal(0, 2, (classes, width))
        y = rng.permutation(np.arange(rows) % classes)
        return {
            "w": centres[y] + rng.normal(size=(rows, width)),
            "y": y,
            "centres": centres,
            "psi": psi,
        }

    return {
        "half of the way": case(8, 3, 4, 0.5),
        "a little": case(9, 4, 3, round(float(rng.uniform(0.7, 0.9)), 2)),
        "to the centres": case(6, 3, 2, 0.0),
        "beyond the drawn styles": case(7, 2, 3, 1.5),
    }


def _truncate_by_one_hot(w, y, centres, psi):
    middle = F.one_hot(y, len(centres)).to(w) @ centres
    return (1 - psi) * middle + psi * w


def _truncate_by_loop(w, y, centres, psi):
    moved = w.clone()
    for label in range(len(centres)):
        moved[y == label] += (1 - psi) * (centres[label] - w[y == label])
    return moved


def _truncate_picture(answer):
    torch.manual_seed(0)
    centres, y = torch.tensor([[-2.0, 0.0], [2.0, 1.0]]), torch.arange(120) % 2
    w = centres[y] + torch.randn(120, 2)
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.plot(*w.T, "o", color=GREY, markersize=3, linestyle="none", label="drawn")
    near = answer(w, y, centres, 0.4)
    ax.plot(*near.T, "x", color=BLUE, markersize=4, linestyle="none", label="psi = 0.4")
    ax.plot(*centres.T, "D", color=ORANGE, linestyle="none", label="centres")
    ax.set(xlabel="w1", ylabel="w2", title="Towards the centre of the class")
    ax.legend(fontsize=8)
    return fig, (
        "Two clouds of styles around their centres, and the same styles after truncation: two smaller "
        "clouds around the same centres."
    )


TRUNCATE = Exercise(
    id="style.truncate",
    title="Truncation towards a class",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return the styles moved towards the centre of their class: a share psi of the way from the "
    "centre to the style is left.",
    hints=(
        "centres[y] is the centre that belongs to each row, (n, d).",
        "psi = 1 must give w back, and psi = 0 the centre: centre + psi * (w - centre).",
    ),
    reference=style.truncate,
    inputs=_truncate_cases,
    picture=_truncate_picture,
    mistakes={
        (
            "All styles moved towards one centre, so that the digits become alike. Each class has its "
            "own."
        ): slip("centres[y]", "centres.mean(dim=0)"),
        "The styles were multiplied by psi, which moves them towards 0 and not to a centre.": returning(
            "psi * w"
        ),
        "psi is the share that is left, not the share that is taken away.": slip(
            "psi * (w", "(1 - psi) * (w"
        ),
        "The centre is missing: this is only what is left of the way from it.": slip(
            "centre + psi", "psi"
        ),
        "The sign is turned round: the styles went to the other side of their centre.": slip(
            "w - centre", "centre - w"
        ),
        "All styles moved to the centre of their class. A share psi of the way from it is left.": returning(
            "centre + 0 * w"
        ),
        "You cut every difference off at psi. Multiply the difference by psi.": returning(
            "centre + (w - centre).clamp(-psi, psi)"
        ),
        "You divided by psi, which moves the styles away from the centre. Multiply.": returning(
            "centre + (w - centre) / psi"
        ),
        "You multiplied the centre by psi. It multiplies the way from the centre to the style.": returning(
            "psi * centre + (w - centre)"
        ),
        (
            "You added centre and style and multiplied both by psi. It multiplies the difference of the "
            "two."
        ): returning("psi * (centre + w)"),
        "All styles moved towards the first centre. Each class has its own: centres[y].": slip(
            "centres[y]", "centres[:1]"
        ),
        "The classes are off by one: they count from 0, so take centres[y].": slip(
            "centres[y]", "centres[y - 1]"
        ),
        "psi has no effect: this is always half of the way.": returning("(centre + w) / 2"),
    },
    alternatives=(
        returning("torch.lerp(centre, w, psi)"),
        _truncate_by_one_hot,
        _truncate_by_loop,
    ),
)

# --- directions ------------------------------------------------------------------------------------


def _direction_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, classes, width, properties):
        y = np.arange(rows) % classes
        p = rng.normal(size=(rows, properties)) + rng.normal(size=(rows, 1))  # they go together
        p = p + rng.normal(0, 2, (classes, properties))[y]
        w = p @ rng.normal(size=(properties, width)) + rng.normal(0, 3, (classes, width))[y]
        return {"w": w + 0.3 * rng.normal(size=w.shape), "y": y, "properties": p}

    return {
        "two properties that go together": case(60, 3, 4, 2),
        "three properties": case(80, 4, 5, 3),
        "one property": case(40, 2, 3, 1),
    }


def _directions_by_solving(w, y, properties):
    x, p = within_class(w, y), within_class(properties, y)
    return torch.linalg.solve(p.T @ p, p.T @ x)


def _directions_by_dummies(w, y, properties):
    columns = torch.cat([properties, F.one_hot(y).to(w)], dim=1)
    return torch.linalg.lstsq(columns, w).solution[: properties.shape[1]]


def _directions_picture(answer):
    torch.manual_seed(0)
    p = torch.randn(200, 2)
    w = p @ torch.tensor([[1.5, 0.5], [-0.3, 1.0]]) + 0.2 * torch.randn(200, 2)
    steps = answer(w, torch.zeros(200, dtype=torch.long), p)
    fig, ax = plt.subplots(figsize=(4.4, 3.2))
    ax.plot(*w.T, "o", color=GREY, markersize=2.5, linestyle="none")
    for step, color, name in zip(steps, (BLUE, ORANGE), ("slant", "width"), strict=True):
        ax.annotate(
            "", (float(step[0]), float(step[1])), (0, 0), arrowprops={"color": color, "width": 2}
        )
        ax.plot([], [], color=color, label=f"{name} + 1")
    ax.set(xlabel="w1", ylabel="w2", title="Two directions", aspect="equal")
    ax.legend(fontsize=8)
    return fig, (
        "A cloud of styles in the plane and two arrows from its middle, one for each property: to the "
        "right and a little up, and up and a little to the left."
    )


DIRECTIONS = Exercise(
    id="style.directions",
    title="Directions by regression",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return how w changes when one property rises by 1 while the class and the other properties stay, "
    "a row for each property: the slopes of a regression of w on all properties, within classes.",
    hints=(
        "within_class(values, y) takes the mean of its class from each row. Use it on w and on the "
        "properties.",
        "torch.linalg.lstsq(A, B).solution is the X for which A X is nearest to B.",
        "Here A is what was measured, and B is how w changes: the solution has the shape (k, d).",
    ),
    reference=style.directions,
    inputs=_direction_cases,
    picture=_directions_picture,
    mistakes={
        (
            "The classes differ in w and in the properties, and this shows in the slopes: take the mean "
            "of each class away first."
        ): slip(
            "within_class(w, y), within_class(properties, y)",
            "w - w.mean(dim=0), properties - properties.mean(dim=0)",
        ),
        (
            "Each property was taken alone. If slant and width go together, a step for one turns the "
            "other, too: one regression on both."
        ): returning("(measured.T @ changes) / measured.square().sum(dim=0)[:, None]"),
        (
            "This is the regression of the properties on w. Its slopes say what to weigh, not how w "
            "changes."
        ): returning("torch.linalg.lstsq(changes, measured).solution.T"),
        (
            "The directions were scaled to length 1, so a "
            "step of 1 no longer means 1 of the property."
        ): returning("F.normalize(torch.linalg.lstsq(measured, changes).solution, dim=1)"),
        "The properties still hold the means of their classes. Take them away there, too.": slip(
            "within_class(properties, y)", "properties"
        ),
        (
            "Neither w nor the properties were compared with the means of their class: use within_class "
            "for both."
        ): returning("torch.linalg.lstsq(properties, w).solution"),
        "Rows and columns are swapped: there is a row for each property.": returning(
            "torch.linalg.lstsq(measured, changes).solution.T"
        ),
        (
            "The two are in the wrong order: lstsq(measured, changes) explains the changes of w by the "
            "properties."
        ): returning("torch.linalg.lstsq(changes, measured).solution"),
        (
            "These are covariances. Slopes are divided by how much the properties vary: use least "
            "squares."
        ): returning("measured.T @ changes / len(w)"),
        (
            "These are correlations, without units. A slope says how far w moves when a property rises "
            "by 1."
        ): returning(
            "(measured.T @ changes) / (measured.norm(dim=0)[:, None] * changes.norm(dim=0))"
        ),
        (
            "This is the change for one standard deviation of a property. It should be the one for a "
            "rise by 1."
        ): returning("torch.linalg.lstsq(measured / measured.std(dim=0), changes).solution"),
        "The sign is turned round: these directions make each property smaller.": returning(
            "-torch.linalg.lstsq(measured, changes).solution"
        ),
    },
    alternatives=(
        _directions_by_solving,
        _directions_by_dummies,
        returning("torch.linalg.pinv(measured) @ changes"),
        returning("torch.linalg.lstsq(measured, w).solution"),
    ),
    rtol=1e-3,
    atol=1e-4,
)

# --- path length -----------------------------------------------------------------------------------


def _path_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(paths, width, features, epsilon):
        return {
            "start": rng.normal(size=(paths, width)),
            "end": rng.normal(size=(paths, width)),
            "mixing": rng.normal(size=(width, features)),
            "t": rng.uniform(0, 0.8, paths),
            "epsilon": epsilon,
        }

    return {
        "steps of a tenth": case(6, 3, 4, 0.1),
        "steps of a twentieth": case(5, 4, 2, 0.05),
        "a single path": case(1, 2, 3, 0.1),
    }


def _path_probe(answer, start, end, mixing, t, epsilon):
    def draw(places):
        return torch.sin(torch.lerp(start, end, places[:, None])) @ mixing

    return answer(draw, t, epsilon)


def _path_by_loop(draw, t, epsilon=0.01):
    total = 0.0
    for a, b in zip(draw(t), draw(t + epsilon), strict=True):
        total = total + ((a - b) / epsilon).square().sum()
    return total / len(t)


def _path_picture(answer):
    def draw(t):
        return 2 * torch.stack([(3 * t).cos(), (3 * t).sin()], dim=1)

    steps = np.geomspace(0.02, 1, 25)
    lengths = [float(answer(draw, torch.zeros(1), float(step))) for step in steps]
    fig, ax = plt.subplots(figsize=(4.2, 3))
    ax.plot(steps, lengths, color=BLUE, label="chords of a circle")
    ax.axhline(36, color=GREEN, linestyle="--", label="its speed, squared")
    ax.set(xlabel="epsilon", ylabel="path length", title="Short steps see the curve")
    ax.legend(fontsize=8)
    return fig, (
        "The path length of an arc against epsilon: near a dashed line at 36 for short steps, and lower "
        "for long ones, which cut the bend off."
    )


PATH_LENGTH = Exercise(
    id="style.path_length",
    title="The length of a path",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the mean over all paths of the squared distance between the features at t and at t + "
    "epsilon, divided by epsilon squared.",
    hints=(
        "draw(t) gives the features (n, d) at the places t (n,).",
        "A squared distance is a sum over the features. The mean is taken over the paths only.",
    ),
    reference=style.path_length,
    inputs=_path_cases,
    probe=_path_probe,
    picture=_path_picture,
    mistakes={
        "The steps were not divided by epsilon squared: shorter steps would make every path shorter.": slip(
            " / epsilon**2", ""
        ),
        "You divided by epsilon once. The distance is squared, and so is its share of the path.": slip(
            "epsilon**2", "epsilon"
        ),
        "You took the mean over the features, too. A squared distance is their sum.": slip(
            ".sum(dim=1)", ".mean(dim=1)"
        ),
        "The distance was not squared.": returning(
            "(step.square().sum(dim=1).sqrt() / epsilon).mean()"
        ),
        "You summed over the paths. Take the mean.": slip(").mean()", ").sum()"),
        "The step went back, to t - epsilon.": slip("draw(t + epsilon)", "draw(t - epsilon)"),
        "You took the root at the end. The mean of the squares itself is asked for.": returning(
            "(step.square().sum(dim=1) / epsilon**2).mean().sqrt()"
        ),
        "You added the two features. Take their difference.": slip("- draw(t)", "+ draw(t)"),
        (
            "epsilon is always 0.01 in the division. Use the argument, of which 0.01 is only the "
            "default."
        ): slip("/ epsilon**2", "/ 0.01**2"),
        "You multiplied by epsilon squared. Divide.": slip("/ epsilon**2", "* epsilon**2"),
        (
            "This is the sum of absolute differences, squared. A squared distance is the sum of the "
            "squares."
        ): returning("(step.abs().sum(dim=1) / epsilon).square().mean()"),
        (
            "You averaged the steps of all paths first. Take the squared length of each step, then the "
            "mean."
        ): returning("step.mean(dim=0).square().sum() / epsilon**2"),
        "This is one number for each path. Take their mean.": returning(
            "step.square().sum(dim=1) / epsilon**2"
        ),
    },
    alternatives=(
        _path_by_loop,
        returning("(step / epsilon).norm(dim=1).square().mean()"),
        returning("torch.einsum('nd,nd->', step, step) / (len(t) * epsilon * epsilon)"),
    ),
    rtol=2e-3,
)
