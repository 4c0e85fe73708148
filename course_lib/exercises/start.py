"""The exercise of lesson 00."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.models.gaussian import fit_gaussian
from course_lib.plots import BLUE, ORANGE


def _cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def cloud(mean, mixing, rows=500):
        points = rng.standard_normal((rows, 2)) @ np.asarray(mixing).T + mean
        return {"points": points}

    return {
        "a round cloud around (0, 0)": cloud([0, 0], [[1, 0], [0, 1]]),
        "a cloud far from the origin": cloud([5, -3], [[1, 0], [0, 2]]),
        "a slanted cloud": cloud([1, 2], [[2, 0], [1.5, 0.5]]),
    }


def _probe(answer, points):
    """Mean and covariance, which may also be NumPy's."""
    mean, covariance = answer(points)
    return tuple(
        torch.from_numpy(part).float() if isinstance(part, np.ndarray) else part
        for part in (mean, covariance)
    )


def _picture(answer):
    points = torch.from_numpy(_cases(1)["a slanted cloud"]["points"]).float()
    mean, covariance = answer(points)
    values, vectors = np.linalg.eigh(covariance.numpy())
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    ellipse = mean.numpy()[:, None] + 2 * vectors @ (np.sqrt(values)[:, None] * circle)
    fig, ax = plt.subplots(figsize=(4, 3.2))
    ax.plot(*points.T, "o", color=BLUE, markersize=2, alpha=0.6, linestyle="none", label="points")
    ax.plot(*ellipse, color=ORANGE, label="2 standard deviations")
    ax.plot(*mean, "X", color="#222222", markersize=9, linestyle="none", label="mean")
    ax.set(xlabel="x1", ylabel="x2", title="What fit_gaussian finds")
    ax.legend(fontsize=8)
    return fig, (
        "A slanted cloud of points, a cross at its mean, and the ellipse of two standard "
        "deviations of the fitted Gaussian around it, slanted like the cloud."
    )


def _loop(points: Tensor):
    mean = sum(points) / len(points)
    covariance = torch.zeros(points.shape[1], points.shape[1])
    for point in points:
        covariance = covariance + torch.outer(point - mean, point - mean) / len(points)
    return mean, covariance


FIT_GAUSSIAN = Exercise(
    id="start.fit_gaussian",
    title="Fit a Gaussian",
    points=1,
    minutes=3,
    difficulty=1,
    task="Return the mean and the covariance matrix of a cloud of points. You may divide by n or by "
    "n - 1: the check accepts both.",
    hints=(
        "The points are the rows of a tensor of shape (n, 2). The mean is one point: average "
        "over the rows, which is dimension 0.",
        "Subtract the mean from every point. For centred points C (n, 2) the covariance is "
        "C.T @ C / n, a matrix of shape (2, 2).",
    ),
    reference=fit_gaussian,
    inputs=_cases,
    probe=_probe,
    rtol=5e-3,  # dividing by n - 1 instead of n is right as well
    atol=5e-3,
    picture=_picture,
    mistakes={
        "The mean is one number for the whole tensor. Average over the rows only: dim=0.": returning(
            "points.mean(), centred.T @ centred / len(points)"
        ),
        "The mean was taken within each point, over dim=1. Average over the points: dim=0.": returning(
            "points.mean(dim=1), centred.T @ centred / len(points)"
        ),
        (
            "These are the standard deviations. The covariance is a matrix of shape (2, 2), which also "
            "says how x1 and x2 vary together."
        ): returning("mean, points.std(dim=0)"),
        "The points were not centred: subtract the mean before you multiply.": returning(
            "mean, points.T @ points / len(points)"
        ),
        "The sum of products still has to be divided by the number of points.": slip(
            " / len(points)", ""
        ),
        (
            "This is the median. A Gaussian is fitted by the mean: add up the points and divide by "
            "their number."
        ): returning("points.median(dim=0).values, centred.T @ centred / len(points)"),
        (
            "These are the variances alone. The covariance is a matrix of shape (2, 2), which also says "
            "how x1 and x2 vary together."
        ): returning("mean, points.var(dim=0)"),
        (
            "The variances stand on the diagonal, and 0 elsewhere. The products of x1 and x2 belong "
            "there too: centred.T @ centred."
        ): returning("mean, torch.diag(points.var(dim=0))"),
        (
            "This is the matrix of correlations, with 1 on the diagonal. For the covariance do not "
            "divide by the standard deviations."
        ): returning("mean, torch.corrcoef(points.T)"),
        "The two are in the wrong order: return the mean first, then the covariance.": returning(
            "centred.T @ centred / len(points), mean"
        ),
        (
            "You multiplied points with points, which gives a matrix of shape (n, n). Turn the first "
            "factor: centred.T @ centred."
        ): returning("mean, centred @ centred.T / len(points)"),
        "You divided by the number of columns. Divide by the number of points, len(points).": returning(
            "mean, centred.T @ centred / points.shape[1]"
        ),
        (
            "You divided by the number of all values, rows times columns. Divide by the number of "
            "points, len(points)."
        ): returning("mean, centred.T @ centred / points.numel()"),
        (
            "The mean is right, but you returned the square root of the covariance in each place. Leave "
            "the square root out."
        ): returning("mean, (centred.T @ centred / len(points)).abs().sqrt()"),
        "You added the mean to every point. Subtract it.": slip("points - mean", "points + mean"),
    },
    alternatives=(
        _loop,
        returning("[points.mean(0), points.T.cov(correction=1)]"),
        lambda points: (np.mean(points.numpy(), axis=0), np.cov(points.numpy(), rowvar=False)),
    ),
)
