"""Small shifts of images."""

import pytest
import torch

from course_lib.datasets.augmentation import random_shift

pytestmark = pytest.mark.usefixtures("own_settings")


@pytest.mark.parametrize("shape", [(400, 64), (400, 8, 8)])
def test_a_shift_moves_by_at_most_a_pixel_and_as_often_as_asked(shape):
    torch.manual_seed(0)
    images = torch.zeros(400, 8, 8)
    images[:, 3, 4] = 1.0
    assert torch.equal(random_shift(images, 0.0), images)
    moved = random_shift(images.reshape(shape), 0.5)
    assert moved.shape == shape
    _, rows, columns = moved.reshape(400, 8, 8).nonzero(as_tuple=True)
    assert len(rows) == 400  # each image still has its one dot
    offsets = {(r - 3, c - 4) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)}
    assert offsets == {(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    share = ((rows != 3) | (columns != 4)).float().mean().item()
    assert share == pytest.approx(0.5 * 8 / 9, abs=0.1)


def test_a_shift_fills_with_paper_and_drops_what_leaves():
    torch.manual_seed(0)
    totals = random_shift(torch.ones(200, 8, 8), 1.0).sum(dim=(1, 2))
    assert set(totals.tolist()) == {64.0, 56.0, 49.0}
