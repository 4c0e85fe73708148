"""The exercises of lesson 04. TODO(lesson): replace the worked example by this lesson's own."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from course_lib.exercises.exercise import Exercise, Inputs, Mistake
from course_lib.exercises.slips import returning, slip
from course_lib.plots import BLUE, ORANGE


# TODO(lesson): a reference belongs to the room of what it does, such as course_lib/models.
def standardize(points: Tensor) -> Tensor:
    """The points (n, d), shifted and scaled so that each column has mean 0 and deviation 1."""
    centred = points - points.mean(dim=0)
    return centred / points.std(dim=0, correction=0)


def _cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def cloud(mean, sd, rows=200):
        return {"points": rng.normal(mean, sd, (rows, 2))}

    return {
        "points around (0, 0)": cloud([0, 0], [1, 2]),
        "points far from the origin": cloud([5, -3], [2, 0.5]),
        "columns of different widths": cloud([1, 2], [0.1, 10]),
    }


def _picture(answer):
    points = torch.from_numpy(_cases(1)["points far from the origin"]["points"]).float()
    fig, ax = plt.subplots(figsize=(4, 3.2))
    ax.plot(*points.T, "o", color=BLUE, markersize=3, linestyle="none", label="before")
    ax.plot(*answer(points).T, "x", color=ORANGE, markersize=4, linestyle="none", label="after")
    ax.set(xlabel="x1", ylabel="x2", title="What standardize does")
    ax.legend(fontsize=8)
    return fig, (
        "A cloud of points at x1 = 5 and x2 = -3, wider than it is high, and the same cloud after "
        "standardising: around the origin, and as wide as it is high."
    )


def _column_by_column(points: Tensor) -> Tensor:
    columns = [(c - c.mean()) / (c - c.mean()).square().mean().sqrt() for c in points.T]
    return torch.stack(columns, dim=1)


STANDARDIZE = Exercise(
    id="style.standardize",
    title="Standardise the columns",
    points=1,
    minutes=5,
    difficulty=1,
    task="Return the points with mean 0 and standard deviation 1 in every column (divide by n, not by "
    "n - 1).",
    hints=(
        "The points are the rows of a tensor of shape (n, 2). Subtract the mean of each column: "
        "average over the rows, which is dimension 0.",
        "Then divide by the standard deviation of each column, points.std(dim=0, correction=0).",
    ),
    reference=standardize,
    inputs=_cases,
    picture=_picture,
    mistakes=(
        Mistake(
            "The mean and the deviation are one number for the whole tensor. Take those of each "
            "column: dim=0.",
            returning("(points - points.mean()) / points.std()"),
        ),
        Mistake(
            "The points were not centred: subtract the mean of each column.",
            slip("points - points.mean(dim=0)", "points"),
        ),
        Mistake(
            "The points were divided by the variance. Divide by its root, the standard deviation.",
            slip("points.std(dim=0, correction=0)", "points.var(dim=0)"),
        ),
        Mistake(
            "The deviation divides by n - 1 here. Divide by n: correction=0.",
            slip(", correction=0", ""),
        ),
        Mistake(
            "The points are centred, but not scaled: divide by the standard deviation.",
            returning("centred"),
        ),
    ),
    alternatives=(
        _column_by_column,
        returning("centred / points.var(dim=0, correction=0).sqrt()"),
        returning("centred / centred.square().mean(dim=0).sqrt()"),
    ),
)
