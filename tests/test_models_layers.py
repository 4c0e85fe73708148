"""The layers that several models share."""

import pytest
from torch import nn

from course_lib.models import layers

pytestmark = pytest.mark.usefixtures("own_settings")


def test_an_mlp_has_the_sizes_asked_for():
    model = layers.mlp(4, 8, 6, 2, dropout=0.5)
    linear = [m for m in model if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(4, 8), (8, 6), (6, 2)]
    assert [type(m).__name__ for m in model].count("Dropout") == 2
    assert isinstance(model[-1], nn.Linear) and len(layers.mlp(3, 2)) == 1
