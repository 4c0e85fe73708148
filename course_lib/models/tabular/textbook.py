"""The parts of a model of tables in their shortest form, as lesson 05 builds them.

The finished models in the modules next to this one handle what these leave out: names, dtypes, point
masses.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch.nn.functional as F
from scipy.stats import norm, rankdata
from torch import Tensor


def normal_scores(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of x (n,), sorted, and the normal score of each; equal values share one.

    `np.interp(x, values, scores)` encodes and `np.interp(z, scores, values)` decodes.

    >>> values, scores = normal_scores(np.array([3.0, 1.0, 2.0]))
    >>> values, scores.round(2)
    (array([1., 2., 3.]), array([-0.97,  0.  ,  0.97]))
    """
    values, counts = np.unique(x, return_counts=True)
    # the share of rows below each value, and half of those at it
    middle = np.cumsum(counts) - counts / 2
    return values, norm.ppf(middle / len(x))


def one_hot(codes: np.ndarray, levels: int) -> np.ndarray:
    """Levels 0, 1, ... (n,), -1 where missing, as rows (n, levels + 1): the last column is "missing".

    >>> one_hot(np.array([1, -1]), levels=2)
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    states = np.where(codes < 0, levels, codes)
    return np.eye(levels + 1)[states]


def draw_levels(logits: Tensor, u: Tensor) -> Tensor:
    """A level for each row: (n,) int64, from logits (n, levels) and uniform numbers u (n,) in [0, 1).

    >>> import torch
    >>> draw_levels(torch.zeros(2, 2), u=torch.tensor([0.2, 0.7]))
    tensor([0, 1])
    """
    cumulative = logits.softmax(dim=1).cumsum(dim=1)
    return (u[:, None] >= cumulative[:, :-1]).sum(dim=1)


def mixed_loss(output: Tensor, target: Tensor, numbers: int, levels: Sequence[int]) -> Tensor:
    """The loss of each row in nats, (n,).

    Args:
        output: (n, d): means of the numbers, then logits of each category.
        target: (n, d): the numbers, then the one-hot columns of each category.
        numbers: how many columns are numbers; each is normal with variance 1.
        levels: how many columns each category has.

    >>> import torch
    >>> output, target = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 1.0]])
    >>> mixed_loss(output, target, numbers=1, levels=[2])  # 1/2 + log 2
    tensor([1.1931])
    """
    loss = 0.5 * (output[:, :numbers] - target[:, :numbers]).square().sum(dim=1)
    start = numbers
    for width in levels:
        log_p = F.log_softmax(output[:, start : start + width], dim=1)
        loss = loss - (target[:, start : start + width] * log_p).sum(dim=1)
        start += width
    return loss


def gaussian_copula(data: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """New rows (m, d) with the columns of data (n, d) and the correlations of its normal scores.

    Args:
        data: (n, d), each column without ties.
        noise: (m, d), independent standard normal numbers.

    Source: Nelsen, "An introduction to copulas", 2nd ed., 2006, section 2.3.

    >>> rng = np.random.default_rng(0)
    >>> gaussian_copula(rng.random((50, 2)), noise=rng.standard_normal((5, 2))).shape
    (5, 2)
    """
    scores = norm.ppf((rankdata(data, axis=0) - 0.5) / len(data))
    root = np.linalg.cholesky(np.corrcoef(scores, rowvar=False))
    uniform = norm.cdf(noise @ root.T)
    columns = zip(data.T, uniform.T, strict=True)
    return np.stack([np.quantile(x, u, method="inverted_cdf") for x, u in columns], axis=1)


def conditional_normal(correlation: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d - k,) and covariance (d - k, d - k) of the rest of N(0, correlation) given its first k.

    Args:
        correlation: (d, d).
        known: the values of the first k coordinates, (k,).

    Source: Bishop, "Pattern recognition and machine learning", 2006, equations 2.81 and 2.82.

    >>> mean, covariance = conditional_normal(np.array([[1.0, 0.5], [0.5, 1.0]]), known=np.array([2.0]))
    >>> mean, covariance
    (array([1.]), array([[0.75]]))
    """
    k = len(known)
    weights = np.linalg.solve(correlation[:k, :k], correlation[:k, k:]).T
    return weights @ known, correlation[k:, k:] - weights @ correlation[:k, k:]


def sample_where(
    draw: Callable[[int], np.ndarray],
    meets: Callable[[np.ndarray], np.ndarray],
    n: int,
    rounds: int = 100,
) -> np.ndarray:
    """The first n rows of a model that meet a constraint (rejection sampling).

    Args:
        draw: `draw(m)` gives m new rows.
        meets: which rows are good, (m,) bool.
        rounds: the most times that n rows are drawn.

    Raises:
        RuntimeError: when the rounds are used up before n rows were good.

    >>> sample_where(lambda m: np.arange(m), lambda rows: rows > 2, n=5)[:3]
    array([3, 4, 3])
    """
    kept = []
    for _ in range(rounds):
        rows = draw(n)
        kept.extend(rows[meets(rows)])
        if len(kept) >= n:
            return np.array(kept[:n])
    raise RuntimeError(
        f"{len(kept)} of {n} rows after {rounds} rounds: the model hardly ever draws such rows."
    )
