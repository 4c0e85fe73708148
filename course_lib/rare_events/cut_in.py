r"""A car cuts in front of ours on a motorway: a simulator of many scenes at once.

Three cars drive in one lane: the one that cuts in, ours, and one behind ours. A scene is six
independent standard normal numbers. What follows from them stands on the card `data/cut_in.md`. The
braking policy looks at the **time to collision**, gap over closing speed (Hayward 1972, "Near-miss
determination through use of a scale of danger").

A scene can end in a front crash (our car hits the one that cut in) or in a rear crash (the one behind
hits ours, which braked hard). All lengths are in metres, times in seconds, speeds in m/s.
"""

from dataclasses import dataclass

import numpy as np

INPUTS = ("distance error", "gap", "closing speed", "cutter brakes", "headway", "reaction")
STEP, STEPS = 0.1, 80  # eight seconds


@dataclass(frozen=True)
class CutInWorld:
    """The parameters of the card's equations; `_sd` is the effect of one unit of an input.

    >>> CutInWorld().gap
    37.0
    """

    speed: float = 30.0
    error_sd: float = 0.35
    gap: float = 37.0
    gap_sd: float = 0.45
    closing: float = 1.0
    closing_sd: float = 1.8
    cutter_braking: float = 0.8
    cutter_braking_sd: float = 0.3
    headway: float = 2.5
    headway_sd: float = 0.35
    reaction: float = 1.1
    reaction_sd: float = 0.35
    cutter_brakes_for: float = 2.0
    gentle: float = 2.0
    gentle_below: float = 6.0
    hard: float = 7.0
    delay: float = 0.3
    least_hard: float = 3.0
    follower_braking: float = 7.0


WORLD = CutInWorld()


@dataclass(frozen=True)
class Scenes:
    """Where n scenes stand: gaps, speeds and what does not change, (n,) each; `time` is one number.

    `hard_at` is the time at which hard braking was asked for, infinite before.
    """

    time: float
    gap: np.ndarray
    rear_gap: np.ndarray
    ego: np.ndarray
    cutter: np.ndarray
    follower: np.ndarray
    hard: np.ndarray
    hard_at: np.ndarray
    error: np.ndarray
    cutter_braking: np.ndarray
    reaction: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What came of n scenes, (n,) each.

    `front` and `rear` are the least times to collision, 0 for a crash; `hard_at` is when hard braking
    began, infinite where it never did; `path`, where asked for, holds gap, rear gap and the three
    speeds, (STEPS + 1, 5, n).
    """

    front: np.ndarray
    rear: np.ndarray
    hard_at: np.ndarray
    path: np.ndarray | None = None

    @property
    def danger(self) -> np.ndarray:
        """Minus the least time to collision of a scene (n,): 0 for a crash, below 0 for the others."""
        return -np.minimum(self.front, self.rear)

    @property
    def crashed(self) -> np.ndarray:
        return self.danger >= 0

    @property
    def braked_hard(self) -> np.ndarray:
        return np.isfinite(self.hard_at)


def begin_scenes(u: np.ndarray, world: CutInWorld = WORLD) -> Scenes:
    """The first moment of the scenes with inputs u (n, 6): the other car has just crossed the line.

    >>> begin_scenes(np.zeros((1, 6))).gap
    array([37.])
    """
    error, gap, closing, braking, headway, reaction = u.T
    ego = np.full(len(u), world.speed)
    return Scenes(
        time=0.0,
        gap=world.gap * np.exp(world.gap_sd * gap),
        rear_gap=world.speed * world.headway * np.exp(world.headway_sd * headway),
        ego=ego,
        cutter=np.maximum(ego - world.closing - world.closing_sd * closing, 0),
        follower=ego,
        hard=np.zeros(len(u), bool),
        hard_at=np.full(len(u), np.inf),
        error=np.exp(world.error_sd * error),
        cutter_braking=world.cutter_braking * np.exp(world.cutter_braking_sd * braking),
        reaction=world.reaction * np.exp(world.reaction_sd * reaction),
    )


def advance(gap: np.ndarray, ahead: np.ndarray, behind: np.ndarray, a: np.ndarray, b: np.ndarray):
    """One time step of two cars in one lane: gap and both speeds afterwards, (n,) each.

    Args:
        gap: metres between them.
        ahead, behind: their speeds in m/s.
        a, b: how hard each of them brakes, m/s^2, 0 or more.

    A car that stands keeps standing. During the step a speed changes linearly, so the gap grows by the
    difference of the mean speeds times `STEP`.

    >>> advance(np.array([10.0]), np.array([20.0]), np.array([30.0]), np.zeros(1), np.zeros(1))[0]
    array([9.])
    """
    ahead_then = np.maximum(ahead - STEP * a, 0)
    behind_then = np.maximum(behind - STEP * b, 0)
    gap_then = gap + STEP / 2 * (ahead + ahead_then - behind - behind_then)
    return gap_then, ahead_then, behind_then


def time_to_collision(gap: np.ndarray, closing: np.ndarray) -> np.ndarray:
    """Seconds until a gap is gone at this closing speed, (n,): 0 once it is, at most 1,000 s per metre.

    >>> time_to_collision(np.array([20.0, -1.0]), np.array([10.0, 5.0]))
    array([2., 0.])
    """
    return np.where(gap <= 0, 0.0, gap / np.maximum(closing, 1e-3))


def step_scenes(scenes: Scenes, threshold: float, world: CutInWorld = WORLD) -> Scenes:
    """The scenes `STEP` seconds later, where our car brakes hard below `threshold` seconds to collision.

    It measures a gap with a scene's error, brakes gently below `world.gentle_below` seconds, and does
    not stop braking hard before `world.least_hard` seconds have passed and the gap no longer closes.

    >>> step_scenes(begin_scenes(np.zeros((1, 6))), threshold=1.5).gap.round(3)
    array([36.896])
    """
    closing = scenes.ego - scenes.cutter
    measured = scenes.error * scenes.gap
    goes_on = scenes.hard & (
        (closing > 0) | (scenes.time < scenes.hard_at + world.delay + world.least_hard - 1e-9)
    )
    hard = goes_on | ((closing > 0) & (measured < threshold * closing))
    hard_at = np.where(hard & np.isinf(scenes.hard_at), scenes.time, scenes.hard_at)
    acts = scenes.time >= hard_at + world.delay - 1e-9
    gentle = (closing > 0) & (measured < world.gentle_below * closing)
    braking = np.where(hard & acts, world.hard, np.where(gentle, world.gentle, 0.0))
    cutter_brakes = scenes.time < world.cutter_brakes_for - 1e-9
    gap, cutter, ego = advance(
        scenes.gap, scenes.cutter, scenes.ego, scenes.cutter_braking * cutter_brakes, braking
    )
    awake = (scenes.time >= hard_at + world.delay + scenes.reaction) & (
        scenes.follower > scenes.ego
    )
    # Until our car brakes hard, the driver behind keeps its pace.
    theirs = np.where(acts, world.follower_braking * awake, braking)
    rear_gap, _, follower = advance(scenes.rear_gap, scenes.ego, scenes.follower, braking, theirs)
    return Scenes(
        scenes.time + STEP, gap, rear_gap, ego, cutter, follower, hard, hard_at,
        scenes.error, scenes.cutter_braking, scenes.reaction,
    )  # fmt: skip


def simulate_scenes(
    u: np.ndarray, threshold: float = 1.5, world: CutInWorld = WORLD, path: bool = False
) -> Outcome:
    """Eight seconds of the scenes with inputs u (n, 6).

    Raises:
        ValueError: u is not a table of six finite numbers a scene.

    >>> simulate_scenes(np.zeros((2, 6))).crashed
    array([False, False])
    """
    if u.ndim != 2 or u.shape[1] != len(INPUTS) or not np.isfinite(u).all():
        raise ValueError(f"u must be (n, {len(INPUTS)}) finite numbers, not {u.shape}")
    if path:
        return _simulate(u, threshold, world, path)
    # In parts that fit into the processor's cache; one of them may be empty.
    parts = [_simulate(u[i : i + 4000], threshold, world) for i in range(0, len(u) or 1, 4000)]
    return Outcome(
        np.concatenate([part.front for part in parts]),
        np.concatenate([part.rear for part in parts]),
        np.concatenate([part.hard_at for part in parts]),
    )


def _simulate(u: np.ndarray, threshold: float, world: CutInWorld, path: bool = False) -> Outcome:
    scenes = begin_scenes(u, world)
    front, rear = np.full((2, len(u)), np.inf)
    kept = []
    for k in range(STEPS + 1):
        if path:
            kept.append([scenes.gap, scenes.rear_gap, scenes.ego, scenes.cutter, scenes.follower])
        front = np.minimum(front, time_to_collision(scenes.gap, scenes.ego - scenes.cutter))
        rear = np.minimum(rear, time_to_collision(scenes.rear_gap, scenes.follower - scenes.ego))
        if k < STEPS:
            scenes = step_scenes(scenes, threshold, world)
    return Outcome(front, rear, scenes.hard_at, np.array(kept) if path else None)
