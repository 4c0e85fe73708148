r"""The cross-entropy method: a proposal moves, level by level, to where the crashes are.

Rubinstein and Kroese 2004, "The cross-entropy method". At each level the proposal is fitted, with
likelihood ratios as weights, to the most dangerous scenes so far. With one Gaussian and the scenes of
the last level alone this is the textbook's method. With a mixture, with a part of $p$ itself in it (a
*defensive* mixture, Hesterberg 1995, "Weighted average importance sampling and defensive mixture
distributions"), and with the scenes of all levels weighted by the balance heuristic it is adaptive
multiple importance sampling (Cornuet et al. 2012, "Adaptive multiple importance sampling").

All components have the covariance matrix of the inputs, which is 1: only their means and shares move.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from course_lib.rare_events.importance import Rate, balance_weights, rate_estimate

Danger = Callable[[np.ndarray], np.ndarray]  # inputs (n, d) to danger (n,); a crash from 0 upwards


@dataclass(frozen=True)
class NormalMixture:
    """Normal distributions of variance 1 around means (k, d), with shares (k,) that add up to 1."""

    shares: np.ndarray
    means: np.ndarray

    def log_parts(self, u: np.ndarray) -> np.ndarray:
        """log of share times density of each component at u (n, d): (k, n).

        >>> NormalMixture(np.ones(1), np.zeros((1, 2))).log_parts(np.zeros((1, 2))).round(3)
        array([[-1.838]])
        """
        squares = ((u[None] - self.means[:, None]) ** 2).sum(axis=2)
        constant = u.shape[1] / 2 * np.log(2 * np.pi)
        return np.log(self.shares)[:, None] - 0.5 * squares - constant

    def log_pdf(self, u: np.ndarray) -> np.ndarray:
        """The log density at u (n, d): (n,).

        >>> NormalMixture(np.ones(1), np.zeros((1, 2))).log_pdf(np.zeros((1, 2))).round(3)
        array([-1.838])
        """
        return logsumexp(self.log_parts(u), axis=0)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n points, (n, d).

        >>> NormalMixture(np.ones(1), np.zeros((1, 2))).sample(3, np.random.default_rng(0)).shape
        (3, 2)
        """
        chosen = rng.choice(len(self.shares), n, p=self.shares)
        return self.means[chosen] + rng.normal(size=(n, self.means.shape[1]))

    def defended(self, share: float) -> "NormalMixture":
        """The mixture with this share of the standard normal distribution: no weight exceeds 1 / share.

        >>> NormalMixture(np.ones(1), np.ones((1, 2))).defended(0.1).shares
        array([0.9, 0.1])
        """
        means = np.vstack([self.means, np.zeros_like(self.means[:1])])
        return NormalMixture(np.append((1 - share) * self.shares, share), means)


def standard_normal(d: int) -> NormalMixture:
    """p itself, in d dimensions.

    >>> standard_normal(2).means
    array([[0., 0.]])
    """
    return NormalMixture(np.ones(1), np.zeros((1, d)))


def cross_entropy_update(
    u: np.ndarray, danger: np.ndarray, log_ratio: np.ndarray, elite: float
) -> np.ndarray:
    """The next mean of a Gaussian proposal, (d,): the weighted mean of the elite.

    Args:
        u: scenes (n, d).
        danger: (n,), a crash from 0 upwards.
        log_ratio: log p - log q of each scene, (n,).
        elite: the share of scenes to learn from. The level that they reach is no higher than 0.

    >>> cross_entropy_update(np.array([[0.0], [3.0]]), np.array([-2.0, -1.0]), np.zeros(2), 0.5)
    array([3.])
    """
    level = min(np.quantile(danger, 1 - elite), 0)
    chosen = danger >= level
    return np.average(u[chosen], axis=0, weights=np.exp(log_ratio[chosen]))


def weighted_em_step(
    u: np.ndarray, weights: np.ndarray, shares: np.ndarray, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One step of EM for a mixture of normal distributions of variance 1: new shares (k,) and means (k, d).

    Args:
        u: (n, d).
        weights: (n,).
        shares, means: the mixture so far, (k,) and (k, d).

    >>> weighted_em_step(np.array([[0.0], [2.0]]), np.array([1.0, 3.0]), np.ones(1), np.zeros((1, 1)))
    (array([1.]), array([[1.5]]))
    """
    squares = ((u[None] - means[:, None]) ** 2).sum(axis=2)
    log_parts = np.log(shares)[:, None] - 0.5 * squares
    belongs = np.exp(log_parts - logsumexp(log_parts, axis=0)) * weights
    total = belongs.sum(axis=1)
    return total / total.sum(), (belongs @ u) / total[:, None]


def fit_mixture(
    u: np.ndarray, weights: np.ndarray, components: int, rng: np.random.Generator, steps: int = 30
) -> NormalMixture:
    """A mixture fitted to weighted points by EM, from starts that lie far apart.

    >>> fit_mixture(np.array([[0.0], [9.0]]), np.ones(2), 2, np.random.default_rng(0)).shares
    array([0.5, 0.5])
    """
    means = u[[rng.choice(len(u), p=weights / weights.sum())]]
    while len(means) < components:
        # k-means++ (Arthur and Vassilvitskii 2007), with weights
        near = ((u[:, None] - means) ** 2).sum(axis=2).min(axis=1) * weights
        if not near.sum() > 0:
            break
        means = np.vstack([means, u[rng.choice(len(u), p=near / near.sum())]])
    shares = np.full(len(means), 1 / len(means))
    for _ in range(steps):
        shares, means = weighted_em_step(u, weights, np.maximum(shares, 1e-9), means)
    shares = np.maximum(shares, 0.02)  # a component is not given up early
    return NormalMixture(shares / shares.sum(), means)


@dataclass(frozen=True)
class Search:
    """What a search has drawn: scenes u (n, d), their danger and weights (n,), and its proposals."""

    u: np.ndarray
    danger: np.ndarray
    weights: np.ndarray
    proposals: tuple[NormalMixture, ...]

    @property
    def estimate(self) -> Rate:
        return Rate(*(float(x) for x in rate_estimate(self.weights, self.danger >= 0)))


def single_gaussian(
    danger: Danger, rng: np.random.Generator, d: int, scenes: int = 20_000, level: int = 2000,
    elite: float = 0.1, most_levels: int = 8,
) -> Search:  # fmt: skip
    """The textbook's cross-entropy method with one Gaussian; only the last scenes enter the estimate.

    Args:
        danger: from inputs to danger.
        d: how many inputs a scene has.
        scenes, level: how many are drawn in all, and at each level before the last.
        elite: the share of a level's scenes to learn from.
        most_levels: where to stop if the crashes are not reached.

    >>> found = single_gaussian(lambda u: u[:, 0] - 4, np.random.default_rng(0), 2)
    >>> round(found.estimate.rate / 3.167e-5, 1)
    1.0
    """
    proposal, moves, drawn = standard_normal(d), [], 0
    while True:
        moves.append(proposal)
        u = proposal.sample(level, rng)
        found = danger(u)
        drawn += level
        log_ratio = standard_normal(d).log_pdf(u) - proposal.log_pdf(u)
        mean = cross_entropy_update(u, found, log_ratio, elite)
        proposal = NormalMixture(np.ones(1), mean[None])
        if np.quantile(found, 1 - elite) >= 0 or len(moves) == most_levels:
            break
    u = proposal.sample(scenes - drawn, rng)
    weights = np.exp(standard_normal(d).log_pdf(u) - proposal.log_pdf(u))
    return Search(u, danger(u), weights, (*moves, proposal))


def defensive_mixture(
    danger: Danger, rng: np.random.Generator, d: int, components: int = 4, scenes: int = 20_000,
    level: int = 2000, elite: float = 0.1, defence: float = 0.1,
) -> Search:  # fmt: skip
    """A mixture with a defensive part, fitted again at each level to the scenes of all levels.

    Args:
        danger: from inputs to danger.
        d: how many inputs a scene has.
        components: of the mixture, besides the defence.
        scenes, level: how many are drawn in all, and from each proposal. All of them count.
        elite: the share of the newest scenes to learn from.
        defence: the share of the inputs' own distribution in each proposal; 0 for none.

    >>> found = defensive_mixture(lambda u: np.abs(u[:, 0]) - 4, np.random.default_rng(0), 2)
    >>> round(found.estimate.rate / 6.334e-5, 1)
    1.0
    """
    p = standard_normal(d)
    proposals = [p]
    u, found = np.empty((0, d)), np.empty(0)
    while True:
        fresh = proposals[-1].sample(level, rng)
        u, found = np.vstack([u, fresh]), np.append(found, danger(fresh))
        log_q = np.stack([q.log_pdf(u) for q in proposals])
        weights = balance_weights(p.log_pdf(u), log_q, np.full(len(proposals), level))
        if len(u) >= scenes:
            return Search(u, found, weights, tuple(proposals))
        chosen = found >= min(np.quantile(found[-level:], 1 - elite), 0)
        mixture = fit_mixture(u[chosen], weights[chosen], components, rng)
        proposals.append(mixture.defended(defence) if defence else mixture)
