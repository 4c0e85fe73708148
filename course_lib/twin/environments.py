"""The line and the motorway as Gymnasium environments, so that any agent of that ecosystem can act in them.

Gymnasium (Towers et al. 2024, arXiv 2407.17032) is an optional part: pip install "course-lib[twin]".
"""

from collections.abc import Mapping
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from course_lib.rare_events.cut_in import STEPS, WORLD, CutInWorld, begin_scenes, step_scenes
from course_lib.twin.decide import World
from course_lib.twin.drivers import crowd
from course_lib.twin.line import (
    MACHINES,
    PLANT,
    STEPS_A_DAY,
    Plant,
    draw_luck,
    new_lines,
    run_lines,
)

HOUR = STEPS_A_DAY // 24
Step = tuple[np.ndarray, SupportsFloat, bool, bool, dict[str, Any]]


class FactoryEnv(gym.Env[np.ndarray, np.ndarray]):
    """One production line; an action each hour.

    An action says for each machine whether its tool is replaced now, (3,) of 0 and 1. An observation (8,)
    holds the ages of the three tools in days of work, whether each machine is down, and how full both
    buffers are. The reward is the money of the hour. An episode lasts `world.days` days.

    >>> env = FactoryEnv()
    >>> env.reset(seed=0)[0]
    array([0., 0., 0., 0., 0., 0., 0., 0.], dtype=float32)
    """

    def __init__(self, world: World | None = None, plant: Plant = PLANT):
        self.world, self.plant = world or World(), plant
        self.action_space = gym.spaces.MultiBinary(MACHINES)
        self.observation_space = gym.spaces.Box(0.0, 100.0, (8,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin with new tools, under the luck of `seed`: the first observation, and an empty dict."""
        super().reset(seed=seed)
        self.hour = 0
        self.luck = draw_luck(1, self.np_random)
        self.shape = np.array([self.world.shape])
        self.state = new_lines(self.world.life_on(0)[None], self.shape, self.luck)
        return self._seen(), {}

    def step(self, action: np.ndarray) -> Step:
        """Let an hour pass: observation, reward, False, whether `world.days` are over, an empty dict.

        The third is False since nothing but time ends an episode.
        """
        life = self.world.life_on(self.hour // 24)[None]
        reward = 0.0
        # A threshold of 0 replaces the tool at once; after the first step it may wear again.
        orders = (
            np.where(np.asarray(action)[None] > 0, 0.0, np.inf),
            np.full((1, MACHINES), np.inf),
        )
        for thresholds, steps in zip(orders, (1, HOUR - 1), strict=True):
            came = run_lines(self.state, thresholds, life, self.shape, self.luck, steps, self.plant)
            self.state, reward = came.state, reward + float(came.reward[0])
        self.hour += 1
        return self._seen(), reward, False, self.hour >= 24 * self.world.days, {}

    def _seen(self) -> np.ndarray:
        parts = (
            self.state.age[0] / STEPS_A_DAY,
            self.state.down[0] > 0,
            self.state.buffers[0] / self.plant.room,
        )
        return np.clip(np.concatenate(parts), 0, 100).astype(np.float32)


class CutInEnv(gym.Env[np.ndarray, np.int64]):
    """Our car, a driver who cuts in, and one behind, both drawn from a crowd; an action each 0.1 s.

    Action 1 asks for hard braking, 0 leaves the car to its gentle braking. An observation (4,) holds the
    measured gap in front and its closing speed, and the same behind, in 100 m and 10 m/s. A crash ends the
    scene with the reward -1; a tenth of a second of hard braking costs 0.001. A scene lasts eight seconds.

    >>> CutInEnv().reset(seed=0)[0].shape
    (4,)
    """

    def __init__(self, shares: Mapping[str, float] | None = None, world: CutInWorld = WORLD):
        self.shares = shares or {"calm": 0.7, "hurried": 0.2, "distracted": 0.1}
        self.world = world
        self.action_space = gym.spaces.Discrete(2)
        self.observation_space = gym.spaces.Box(-10.0, 10.0, (4,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw a scene by `seed`: the first observation, and the tempers of both other drivers."""
        super().reset(seed=seed)
        u, tempers = crowd(1, self.shares, self.np_random)
        self.scenes, self.steps = begin_scenes(u, self.world), 0
        return self._seen(), {"tempers": tempers[0]}

    def step(self, action: np.int64) -> Step:
        """Let 0.1 s pass: observation, reward, whether cars crashed, whether the time is up, a dict."""
        # Hard braking is asked for below this time to collision: always, or never.
        self.scenes = step_scenes(self.scenes, 1e6 if action else 0.0, self.world)
        self.steps += 1
        crashed = bool(self.scenes.gap[0] <= 0 or self.scenes.rear_gap[0] <= 0)
        reward = -float(crashed) - 0.001 * float(self.scenes.hard[0])
        return self._seen(), reward, crashed, self.steps >= STEPS, {}

    def _seen(self) -> np.ndarray:
        s = self.scenes
        seen = (
            s.error * s.gap / 100,
            (s.ego - s.cutter) / 10,
            s.rear_gap / 100,
            (s.follower - s.ego) / 10,
        )
        return np.clip(np.concatenate(seen), -10, 10).astype(np.float32)
