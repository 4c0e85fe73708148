"""The smallest generative model: one normal distribution."""

import torch


def fit_gaussian(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (d,) and covariance (d, d) of points (n, d): the maximum-likelihood fit.

    >>> mean, covariance = fit_gaussian(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
    >>> mean, covariance.diag()
    (tensor([1., 1.]), tensor([1., 0.]))
    """
    mean = points.mean(dim=0)
    centred = points - mean
    return mean, centred.T @ centred / len(points)
