"""What a twin believes about the tools of each machine, and how it learns from what it sees.

A belief is a cloud of particles, each with a logarithm of a life and of a shape, and weights. It starts
from the maker's data sheet, which may be wrong. Each stretch of work that a tool has survived, or at whose
end it failed, changes the weights by its likelihood. Where few particles carry the weight, they are drawn
anew with kernel shrinkage (Liu and West 2001, "Combined parameter and state estimation in
simulation-based filtering"). Tools may change: each day a few particles jump.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from course_lib.twin.line import MACHINES, Exposure


@dataclass(frozen=True)
class Belief:
    """Particles `theta` (n, 3, N, 2), log life and log shape; `weight` (n, 3, N), whose sums are 1."""

    theta: np.ndarray
    weight: np.ndarray

    def mean(self) -> np.ndarray:
        """The believed life and shape of each machine's tools, (n, 3, 2): geometric means."""
        return np.exp((self.weight[..., None] * self.theta).sum(axis=2))

    def width(self) -> np.ndarray:
        """The standard deviation of the log life, (n, 3)."""
        log_life = self.theta[..., 0]
        mean = (self.weight * log_life).sum(axis=2, keepdims=True)
        return np.sqrt((self.weight * (log_life - mean) ** 2).sum(axis=2))

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Lives and shapes (n, 3, count) drawn from the belief, with replacement."""
        sums = np.cumsum(self.weight, axis=2)[..., None]
        u = rng.random((*self.weight.shape[:2], 1, count)) * sums[:, :, -1:]
        chosen = np.minimum((sums < u).sum(axis=2), self.weight.shape[2] - 1)
        theta = np.take_along_axis(self.theta, chosen[..., None], axis=2)
        return np.exp(theta[..., 0]), np.exp(theta[..., 1])


def believe(
    life: np.ndarray,
    shape: float,
    lines: int,
    particles: int,
    rng: np.random.Generator,
    sd: tuple[float, float],
) -> Belief:
    """The belief of the first day: log-normal around the data sheet's lives (3,) and its shape.

    `sd` holds the standard deviations of the logarithms of life and shape. If they are small, the forecast
    for ages that no tool reaches stays what the sheet says.

    >>> believe(np.full(3, 300.0), 3.0, 2, 50, np.random.default_rng(0), (1.0, 0.6)).theta.shape
    (2, 3, 50, 2)
    """
    centre = np.stack([np.log(life), np.full(MACHINES, np.log(shape))], axis=1)
    noise = rng.normal(size=(lines, MACHINES, particles, 2)) * sd
    return Belief(centre[:, None] + noise, np.full(noise.shape[:3], 1 / particles))


def exposure_log_likelihood(
    theta: np.ndarray, start: np.ndarray, end: np.ndarray, failed: np.ndarray
) -> np.ndarray:
    """The log-likelihood (r, N) of r stretches of work under N particles.

    Args:
        theta: (r, N, 2) log life and log shape.
        start, end: (r,) ages of the tool at the two ends of the stretch.
        failed: (r,) whether it failed at the end.

    With life b and shape k, a tool that was whole at the age s is whole at the age e with probability
    exp(-((e / b)^k - (s / b)^k)); if it fails at e, this is multiplied by the hazard
    (k / b) (e / b)^(k - 1).

    >>> theta = np.log([[[100.0, 1.0]]])
    >>> exposure_log_likelihood(theta, np.array([50]), np.array([150]), np.array([False]))
    array([[-1.]])
    """
    life, shape = np.exp(theta[..., 0]), np.exp(theta[..., 1])
    start, end, failed = start[:, None], end[:, None], failed[:, None]
    survived = (start / life) ** shape - (end / life) ** shape
    hazard = np.log(shape / life) + (shape - 1) * np.log(end / life)
    return survived + np.where(failed, hazard, 0.0)


def resample_shrunk(
    theta: np.ndarray, weight: np.ndarray, keep: float, u: float, noise: np.ndarray
) -> np.ndarray:
    """N particles of equal weight in place of weighted ones, with the same mean and covariance.

    Args:
        theta: (N, 2) particles.
        weight: (N,) their weights, with the sum 1.
        keep: a in Liu and West, between 0 and 1: how much of its place a particle keeps.
        u: one uniform number, for systematic resampling: particle i is drawn once for each of the
            points (j + u) / N that falls into its part of the cumulated weights.
        noise: (N, 2) standard normal numbers.

    Each drawn particle moves towards the mean, a theta + (1 - a) mean, and gets normal noise with
    1 - a^2 times the covariance (Liu and West 2001, eq. 10.3.11).

    >>> theta, weight = np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([0.5, 0.5])
    >>> resample_shrunk(theta, weight, 0.8, 0.5, np.zeros((2, 2)))
    array([[0.1, 0.2],
           [0.9, 1.8]])
    """
    n = len(theta)
    points = (np.arange(n) + u) / n
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), points), n - 1)
    mean = weight @ theta
    covariance = (weight[:, None] * (theta - mean)).T @ (theta - mean)
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(2))
    moved = keep * theta[chosen] + (1 - keep) * mean
    return moved + np.sqrt(1 - keep**2) * noise @ root.T


@dataclass(frozen=True)
class Filter:
    """How a twin learns. `jump` is the share of particles that jump each day; with 0 nothing is forgotten.

    `likelihood` and `resampling` may be replaced by functions of the same kind.
    """

    jump: float = 0.005
    jump_sd: float = 0.5
    keep: float = 0.99
    likelihood: Callable[..., np.ndarray] = exposure_log_likelihood
    resampling: Callable[..., np.ndarray] = resample_shrunk

    def learn(self, belief: Belief, seen: Exposure, rng: np.random.Generator) -> Belief:
        """The belief after what was seen; the numbers of the lines in `seen` are those of the belief."""
        theta = belief.theta
        if self.jump:
            jumps = rng.random(theta.shape[:3]) < self.jump
            theta = theta + jumps[..., None] * rng.normal(size=theta.shape) * [self.jump_sd, 0.2]
        log_weight = np.log(np.maximum(belief.weight, 1e-300))
        found = self.likelihood(theta[seen.line, seen.machine], seen.start, seen.end, seen.failed)
        np.add.at(log_weight, (seen.line, seen.machine), found)
        weight = np.exp(log_weight - log_weight.max(axis=2, keepdims=True))
        weight /= weight.sum(axis=2, keepdims=True)
        theta = theta.copy()
        count = theta.shape[2]
        for n, m in zip(*(1 / (weight**2).sum(axis=2) < count / 2).nonzero(), strict=True):
            noise = rng.normal(size=(count, 2))
            theta[n, m] = self.resampling(
                theta[n, m], weight[n, m], self.keep, float(rng.random()), noise
            )
            weight[n, m] = 1 / count
        return Belief(theta, weight)


def failure_chance(theta: np.ndarray, weight: np.ndarray, age: float, until: float) -> float:
    """The chance that a tool of this age fails before it has reached the age `until`.

    Args:
        theta: (N, 2) log life and log shape of the particles.
        weight: (N,) their weights.

    The mean over the particles of 1 - exp(-((until / b)^k - (age / b)^k)).

    >>> round(failure_chance(np.log([[100.0, 1.0]]), np.ones(1), age=50, until=150), 3)
    0.632
    """
    life, shape = np.exp(theta).T
    wear = (until / life) ** shape - (age / life) ** shape
    return float(weight @ -np.expm1(-wear))


def tools_seen(
    age: np.ndarray,
    failed: np.ndarray,
    theta: np.ndarray,
    weight: np.ndarray,
    share: float,
    u: np.ndarray,
    wear: np.ndarray,
    threshold: float,
) -> tuple[np.ndarray, np.ndarray]:
    """A generation of tools as a twin sees it: some are real, the others are its own output.

    Args:
        age, failed: (r,) the age at which each real tool left its machine, and whether it had failed.
        theta, weight: (N, 2) and (N,) what the twin believes.
        share: the tool j is real where u[j, 0] < share.
        u: (r, 2) uniform numbers; u[j, 1] chooses a particle by the cumulated weights.
        wear: (r,) unit exponential numbers: an imagined tool lasts life * wear^(1 / shape) steps,
            rounded up, with the life and the shape of its particle.
        threshold: the age at which an imagined tool is replaced that has not failed by then.

    Returns:
        Ages (r,) and failures (r,) of the tools, in their order.

    >>> belief = np.log([[100.0, 1.0]]), np.ones(1)
    >>> u, wear = np.array([[0.9, 0.5], [0.1, 0.5]]), np.array([0.505, 0.5])
    >>> tools_seen(np.array([80, 80]), np.array([False, False]), *belief, 0.2, u, wear, 70)
    (array([51., 80.]), array([ True, False]))
    """
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), u[:, 1]), len(weight) - 1)
    life, shape = np.exp(theta[chosen]).T
    lasts = np.ceil(life * wear ** (1 / shape))
    real = u[:, 0] < share
    return (
        np.where(real, age, np.minimum(lasts, threshold)),
        np.where(real, failed, lasts <= threshold),
    )
