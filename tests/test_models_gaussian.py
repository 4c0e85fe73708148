"""The Gaussian as a generative model."""

import pytest
import torch

from course_lib.models import gaussian

pytestmark = pytest.mark.usefixtures("own_settings")


def test_the_gaussian_is_the_maximum_likelihood_fit():
    points = torch.randn(50, 3) @ torch.randn(3, 3) + 2
    mean, covariance = gaussian.fit_gaussian(points)
    torch.testing.assert_close(mean, points.mean(0))
    torch.testing.assert_close(covariance, points.T.cov(correction=0))
