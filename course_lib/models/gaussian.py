"""The smallest generative model: one Gaussian."""

import torch


def fit_gaussian(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (d,) and covariance (d, d) of points (n, d): the maximum-likelihood fit."""
    mean = points.mean(dim=0)
    centred = points - mean
    return mean, centred.T @ centred / len(points)
