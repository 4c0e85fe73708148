r"""A gripper lifts an object and carries it: friction and mass are drawn, the policy is three numbers.

Two fingers press with the force $F$ and hold by friction $2 \mu F$. The arm lifts by 0.3 m and carries by
0.5 m, half of each way faster and half of it slower, with the acceleration $a$. The object needs
$m (g + a)$ on the first half of the lift, $m (g - a)$ on the second, and $m \sqrt{g^2 + a^2}$ sideways.
What is missing makes it slip. A sensor sees the slip $s$ a little later, and the fingers press with

$$F = F_0 + k\, s .$$

The object is dropped at 20 mm, and crushed above $20 + 20 m$ newtons. Lengths are in metres, times in
seconds, masses in kilograms, forces in newtons; the slip of the policy is in millimetres. No number comes
from a measurement. To train on drawn objects is domain randomisation: Tobin et al. 2017, "Domain
randomization for transferring deep neural networks from simulation to the real world", arXiv 1703.06907.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

GRAVITY, STEP, LIFT, CARRY, DROP = 9.81, 0.02, 0.3, 0.5, 0.02
DELAY = 2  # steps until the sensor sees a slip
SLOWEST, FASTEST, STRONGEST = 0.5, 20.0, 60.0  # m/s^2, m/s^2, N
PATIENCE = 4.0  # seconds; a grasp that takes so long is worth nothing

Ranges = tuple[tuple[float, float], tuple[float, float]]  # of mass and of friction


@dataclass(frozen=True)
class Objects:
    """Masses and coefficients of friction of n objects, (n,) each.

    >>> Objects(np.array([0.5]), np.array([0.5])).crush
    array([30.])
    """

    mass: np.ndarray
    friction: np.ndarray

    @property
    def crush(self) -> np.ndarray:
        """The force above which each object breaks, (n,)."""
        return 20 + 20 * self.mass


@dataclass(frozen=True)
class Grasps:
    """What came of n grasps, (n,) each: dropped, crushed, and the seconds that they took."""

    dropped: np.ndarray
    crushed: np.ndarray
    seconds: np.ndarray

    @property
    def held(self) -> np.ndarray:
        """Whether the object arrived whole, (n,)."""
        return ~(self.dropped | self.crushed)

    @property
    def worth(self) -> np.ndarray:
        """1 less the share of `PATIENCE` that it took, 0 for an object that did not arrive: (n,)."""
        return np.where(self.held, np.maximum(1 - self.seconds / PATIENCE, 0), 0.0)


def draw_objects(n: int, ranges: Ranges, rng: np.random.Generator) -> Objects:
    """n objects, uniform in the ranges of mass and friction; each grasp changes friction by 3 %.

    >>> draw_objects(3, ((0.5, 0.5), (0.5, 0.5)), np.random.default_rng(0)).mass
    array([0.5, 0.5, 0.5])
    """
    mass, friction = (rng.uniform(low, high, n) for low, high in ranges)
    return Objects(mass, friction * np.exp(0.03 * rng.normal(size=n)))


def pick_and_place(policy: np.ndarray, objects: Objects) -> Grasps:
    """Each object is lifted and carried by its own row of the policy.

    Args:
        policy: (n, 3) or (3,): force at the start in N, N more for each mm of slip, acceleration in m/s^2.
        objects: n of them.

    >>> grasps = pick_and_place(np.array([20.0, 0.0, 5.0]), Objects(np.full(2, 0.5), np.array([0.5, 0.1])))
    >>> grasps.held
    array([ True, False])
    """
    mass, friction = objects.mass, objects.friction
    force, gain, a = np.broadcast_to(policy, (len(mass), 3)).T
    a = np.clip(a, SLOWEST, FASTEST)
    half_lift, half_carry = np.sqrt(LIFT / a), np.sqrt(CARRY / a)
    seconds = 2 * (half_lift + half_carry)
    slip, speed = np.zeros((2, len(mass)))
    seen = [slip] * DELAY
    dropped = crushed = np.zeros(len(mass), bool)
    for k in range(int(np.ceil(seconds.max() / STEP))):
        now = k * STEP
        presses = np.minimum(force + gain * 1000 * seen[0], STRONGEST)
        up = np.where(now < half_lift, GRAVITY + a, np.maximum(GRAVITY - a, 0))
        asked = np.where(now < 2 * half_lift, up, np.hypot(GRAVITY, a))
        # The object slides by what friction does not hold, and stops once friction holds more.
        speed = np.maximum(speed + STEP * (asked - 2 * friction * presses / mass), 0)
        moving = now < seconds
        slip = slip + np.where(moving, STEP * speed, 0)
        seen = [*seen[1:], slip]
        crushed = crushed | (moving & (presses > objects.crush))
        dropped = dropped | (slip > DROP)
    return Grasps(dropped, crushed, seconds)


def train_policy(
    draw: Callable[[int, np.random.Generator], Objects],
    rng: np.random.Generator,
    *,
    rounds: int = 25,
    candidates: int = 40,
    grasps: int = 40,
) -> np.ndarray:
    """The policy (3,) of highest mean worth, by the cross-entropy method on the logarithms of its numbers.

    Each round draws objects anew, tries all candidates on the same ones, and moves to the best eighth.
    Source: Rubinstein and Kroese 2004, "The cross-entropy method".

    Args:
        draw: gives objects to train on, from a number and a random generator.
        rng: draws candidates and objects.

    >>> one = lambda n, rng: draw_objects(n, ((0.5, 0.5), (0.5, 0.5)), rng)
    >>> train_policy(one, np.random.default_rng(0), rounds=3).shape
    (3,)
    """
    mean, sd = np.log([12.0, 0.3, 2.0]), np.ones(3)
    for _ in range(rounds):
        tried = mean + sd * rng.normal(size=(candidates, 3))
        objects = draw(grasps, rng)
        every = Objects(np.tile(objects.mass, candidates), np.tile(objects.friction, candidates))
        came = pick_and_place(np.exp(np.repeat(tried, grasps, axis=0)), every)
        worth = came.worth.reshape(candidates, grasps).mean(axis=1)
        best = tried[np.argsort(-worth)[: candidates // 8]]
        mean, sd = best.mean(axis=0), best.std(axis=0) + 0.02
    return np.minimum(np.exp(mean), [STRONGEST, np.inf, FASTEST])
