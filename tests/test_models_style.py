"""The parts of a style generator, and what is measured of written digits."""

import pytest
import torch
import torch.nn.functional as F

from course_lib import datasets, session
from course_lib.datasets.handwriting import slant, stroke_width
from course_lib.models import gan, style
from course_lib.training import finish


def test_the_fast_form_equals_weights_of_each_image_s_own():
    torch.manual_seed(0)
    x, weight, scales = torch.randn(5, 6, 4, 4), torch.randn(3, 6, 3, 3), torch.randn(5, 6)
    own = weight[None] * scales[:, None, :, None, None]
    own = own / (own.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
    slow = torch.cat([F.conv2d(m[None], w, padding=1) for m, w in zip(x, own, strict=True)])
    fast = style.modulated_convolution(x, weight, scales)
    fast = fast * style.demodulation(weight, scales)[:, :, None, None]
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_a_style_has_its_own_layer_and_no_other():
    """A change of the style of layer 2 changes the image, and mixing at the ends gives one image back."""
    torch.manual_seed(0)
    generator, y = style.StyleGenerator().eval(), torch.arange(4)
    with torch.no_grad():
        w, other = (generator.styles(torch.randn(4, 16), y) for _ in range(2))
        alone = generator.synthesis(w, y)
        at_the_end = generator.synthesis(style.mix(w, other, 4, 4), y)
        at_two = generator.synthesis(style.mix(w, other, 4, 2), y)
    assert torch.equal(alone, at_the_end)  # the strength of the noise begins at 0
    assert not torch.allclose(alone, at_two)


def test_with_the_class_in_the_constant_styles_know_nothing_of_it():
    torch.manual_seed(0)
    generator, z = style.StyleGenerator(class_in_constant=True), torch.randn(3, 16)
    low, high = (generator.styles(z, torch.full((3,), digit)) for digit in (0, 9))
    assert torch.equal(low, high)
    low, high = (generator.draw(low, torch.full((3,), digit)) for digit in (0, 9))
    assert not torch.equal(low, high)


def test_directions_recover_a_planted_law_although_properties_go_together():
    torch.manual_seed(0)
    y = torch.arange(600) % 3
    properties = torch.randn(600, 2) + torch.randn(600, 1) + 3 * y[:, None]
    law = torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 1.0]])
    w = properties @ law - 5 * y[:, None] + 0.1 * torch.randn(600, 3)
    torch.testing.assert_close(style.directions(w, y, properties), law, rtol=0, atol=0.05)


@pytest.mark.parametrize("each_class", [False, True])
def test_a_space_gains_nothing_by_its_dimensions(each_class):
    """Five seeds: noise of 32 dimensions explains nothing of a value on rows that were held out."""
    for seed in range(5):
        torch.manual_seed(seed)
        y, values = torch.arange(4000) % 10, torch.randn(4000)
        assert style.linear_share(torch.randn(4000, 32), y, values, each_class) < 0.02


def test_a_straight_path_has_the_length_of_its_chord_squared():
    start, end = torch.randn(2, 7, 3)
    length = style.path_length(lambda t: torch.lerp(start, end, t[:, None]), torch.full((7,), 0.3))
    assert length.item() == pytest.approx((end - start).square().sum(1).mean().item(), rel=1e-2)


def test_an_arc_has_its_ends_and_keeps_the_length():
    start, end = F.normalize(torch.randn(2, 9, 5), dim=2)
    for t, expected in ((0.0, start), (1.0, end)):
        torch.testing.assert_close(style.arc(start, end, torch.full((9,), t)), expected)
    middle = style.arc(start, end, torch.full((9,), 0.4))
    torch.testing.assert_close(middle.norm(dim=1), torch.ones(9))


def test_a_shear_changes_the_slant_by_its_size_and_a_thicker_stroke_the_width():
    bar = torch.zeros(1, 40, 40)
    bar[:, 5:35, 18:21] = 1
    sheared = torch.stack([row.roll(round(0.5 * (20 - i))) for i, row in enumerate(bar[0])])[None]
    assert slant(bar).item() == pytest.approx(0, abs=1e-5)
    assert slant(sheared).item() == pytest.approx(0.5, abs=0.02)
    assert slant(sheared.flip(2)).item() == pytest.approx(-0.5, abs=0.02)
    thick = bar.clone()
    thick[:, 5:35, 16:23] = 1
    assert stroke_width(bar).item() == pytest.approx(3, rel=0.15)
    assert stroke_width(thick).item() == pytest.approx(7, rel=0.25)
    torch.testing.assert_close(stroke_width(16 * bar), stroke_width(bar))
    blank = torch.zeros(2, 64)
    assert slant(blank).tolist() == stroke_width(blank).tolist() == [0, 0]


def test_training_changes_every_part_but_keeps_the_number_of_steps():
    digits = datasets.load("digits").train
    x, y = torch.from_numpy(digits.x[:64]).flatten(1), torch.from_numpy(digits.y[:64])
    torch.manual_seed(0)
    generator = style.StyleGenerator()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    settings = gan.GANSettings(steps=4, learning_rate=1e-2, ema_decay=0.5)
    loop = gan.fit(generator, gan.Discriminator(classes=10), (x, y), settings)
    assert finish(loop).number == 4
    same = [
        name for name, value in generator.state_dict().items() if torch.equal(value, before[name])
    ]
    assert same == ["synthesis_layers.3.noise"]  # the layer of pixels adds none


def test_the_bars_of_the_record():
    """What the lesson says of five seeds stands in benchmarks/results/style.json."""
    own = session.recorded("style").loc["style generator"]
    assert len(own) == 5
    assert own["read_as_asked"].median() >= 0.97
    assert own["fd_over_floor"].median() <= 2.5
    assert own["slant_r2_w_less_z"].min() >= 0.15
