"""How much privacy is spent: epsilon at a delta, by Rényi differential privacy (RDP).

A mechanism whose Rényi divergence of order alpha between neighbouring tables is at most r(alpha) is
(epsilon, delta)-private for every delta (`epsilon_of`). Neighbours differ by one record more or less.
Opacus accounts in the same way, and a test holds its figures for two settings.
"""

from collections.abc import Callable

import numpy as np

ORDERS = np.concatenate([1 + np.arange(1, 100) / 10, np.arange(12, 257)])
GRID = 4000  # points of the integral, no more than half a sigma apart
LEAST_NOISE = 0.2  # with less the grid would be too coarse


def sampled_gaussian(noise_multiplier: float, rate: float, steps: int) -> np.ndarray:
    """r(alpha) at `ORDERS` of the sampled Gaussian mechanism: DP-SGD with Poisson sampling.

    log E[((1 - q) + q exp((2 x - 1) / (2 sigma^2)))^alpha] / (alpha - 1) with x ~ N(0, sigma^2), times
    the steps (Mironov, Talwar and Zhang 2019, arXiv 1908.10530, section 3.3); the integral is taken on
    a grid.

    Args:
        noise_multiplier: sigma, the noise's standard deviation over the bound of a record's gradient.
        rate: q, the chance with which each record is in a step's batch.

    Raises:
        ValueError: for noise below 0.2, which protects nobody, no steps, or a rate outside 0 to 1.

    >>> sampled_gaussian(2.0, rate=1.0, steps=1)[:2]  # without sampling: alpha / (2 sigma^2)
    array([0.1375, 0.15  ])
    """
    if noise_multiplier < LEAST_NOISE or steps < 1 or not 0 < rate <= 1:
        raise ValueError(
            f"Wanted: noise of at least {LEAST_NOISE}, a step or more, and a rate above 0 up to 1."
        )
    sigma, alpha = noise_multiplier, ORDERS[:, None]
    if rate == 1:
        return steps * ORDERS / (2 * sigma**2)
    # The integrand has one hump at 0 and one at x = alpha, each as wide as sigma: a grid for each order.
    x = np.linspace(-12 * sigma, ORDERS + 12 * sigma, GRID, axis=1)
    mix = np.logaddexp(np.log1p(-rate), np.log(rate) + (2 * x - 1) / (2 * sigma**2))
    inside = alpha * mix - x**2 / (2 * sigma**2) - 0.5 * np.log(2 * np.pi * sigma**2)
    integral = np.logaddexp.reduce(inside, axis=1) + np.log(x[:, 1] - x[:, 0])
    return steps * np.maximum(integral, 0) / (ORDERS - 1)


def gaussian(rho: float) -> np.ndarray:
    """r(alpha) = rho alpha at `ORDERS`: zero-concentrated privacy, which noisy counts are measured in.

    Noise of the standard deviation sigma on numbers that one record moves by at most 1 (in the Euclidean
    norm) costs rho = 1 / (2 sigma^2), and costs add up (Bun and Steinke 2016, arXiv 1605.02065).

    >>> gaussian(0.5)[:2]
    array([0.55, 0.6 ])
    """
    return rho * ORDERS


def epsilon_of(divergence: np.ndarray, delta: float) -> float:
    """The smallest epsilon at a delta that the divergences at `ORDERS` prove.

    min over alpha of r + log((alpha - 1) / alpha) - (log delta + log alpha) / (alpha - 1) (Canonne, Kamath
    and Steinke 2020, arXiv 2004.00010, proposition 12).

    Raises:
        ValueError: for a delta outside 0 to 1.

    >>> round(epsilon_of(sampled_gaussian(1.0, rate=0.01, steps=1000), delta=1e-5), 2)
    2.1
    """
    if not 0 < delta < 1:
        raise ValueError(f"Delta lies between 0 and 1; got {delta}.")
    alpha = ORDERS
    said = divergence + np.log1p(-1 / alpha) - (np.log(delta) + np.log(alpha)) / (alpha - 1)
    return float(max(said.min(), 0))


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The smallest noise multiplier, to a thousandth, with which DP-SGD keeps (epsilon, delta).

    Raises:
        ValueError: for an epsilon that is not positive, and what `sampled_gaussian` raises.

    >>> sigma = noise_for(2.0, 1e-5, rate=0.01, steps=1000)
    >>> epsilon_of(sampled_gaussian(sigma, 0.01, 1000), 1e-5) <= 2.0
    True
    """

    def spent(sigma: float) -> float:
        return epsilon_of(sampled_gaussian(sigma, rate, steps), delta)

    return _smallest(spent, epsilon, 1e-3)


def rho_for(epsilon: float, delta: float) -> float:
    """The largest rho, to a thousandth of itself, that keeps (epsilon, delta).

    >>> epsilon_of(gaussian(rho_for(1.0, 1e-5)), 1e-5) <= 1.0
    True
    """
    return 1 / _smallest(lambda over: epsilon_of(gaussian(1 / over), delta), epsilon, 1e-3)


def _smallest(spent: Callable[[float], float], epsilon: float, precision: float) -> float:
    """The smallest x, from above, with spent(x) <= epsilon, for a function that falls."""
    if epsilon <= 0:
        raise ValueError(f"Epsilon must be above 0; got {epsilon}.")
    low, high = 0.0, 1.0
    while spent(high) > epsilon:
        low, high = high, 2 * high
    while high - low > precision * max(high, precision):
        middle = (low + high) / 2
        low, high = (low, middle) if spent(middle) <= epsilon else (middle, high)
    return high
