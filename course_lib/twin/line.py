"""A production line of three machines in a row, simulated for many lines at once.

Between the machines are two buffers of finite size (Gershwin 1994, "Manufacturing systems engineering",
chapter 3). Each machine holds a tool that wears only while it works. How long a tool lasts follows a
Weibull distribution: the chance that it lasts longer than a steps of work is exp(-(a / life)^shape).

Time goes in steps of ten minutes; a machine that works makes one part in a step. A tool that fails stops
its machine for a long repair. One that is replaced in time stops it for a short while. Either way the
next tool is new. Arrays have the lines in their first axis and, where there is one, the machines next.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MACHINES, STEPS_A_DAY = 3, 144
TOOLS = 400  # of one machine, at most; then the same luck comes again


@dataclass(frozen=True)
class Plant:
    """What does not change: room in a buffer, durations in steps, and money.

    >>> Plant().room
    8
    """

    room: int = 8
    repair: float = 54.0  # mean; exponential
    maintenance: int = 6
    part: float = 3.5
    repair_cost: float = 120.0
    maintenance_cost: float = 15.0


PLANT = Plant()


@dataclass(frozen=True)
class Luck:
    """What chance holds for the tools of n lines: `wear` and `repair` (n, 3, TOOLS), unit exponential.

    Two lines with equal luck differ only by what is done to them: **common random numbers**.
    """

    wear: np.ndarray
    repair: np.ndarray


def draw_luck(lines: int, rng: np.random.Generator, tools: int = TOOLS) -> Luck:
    """The luck of so many lines.

    >>> draw_luck(2, np.random.default_rng(0)).wear.shape
    (2, 3, 400)
    """
    return Luck(*rng.exponential(size=(2, lines, MACHINES, tools)))


@dataclass(frozen=True)
class State:
    """Where n lines stand.

    `buffers` (n, 2): parts. `age`, `down`, `tool` and `lasts` (n, 3): steps that the tool has worked,
    steps until the machine is back, the number of the tool, and the age at which it will fail (which
    nobody in the factory knows).
    """

    buffers: np.ndarray
    age: np.ndarray
    down: np.ndarray
    tool: np.ndarray
    lasts: np.ndarray


@dataclass(frozen=True)
class Happened:
    """What one step brought: `made` (n,) finished parts; `worked`, `failed`, `maintained` (n, 3);
    `age` (n, 3) of the tools at the end of the step, before a replacement."""

    made: np.ndarray
    worked: np.ndarray
    failed: np.ndarray
    maintained: np.ndarray
    age: np.ndarray

    def reward(self, plant: Plant = PLANT) -> np.ndarray:
        """Money earned in the step (n,)."""
        costs = plant.repair_cost * self.failed.sum(
            1
        ) + plant.maintenance_cost * self.maintained.sum(1)
        return plant.part * self.made - costs


Flow = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def line_step(able: np.ndarray, buffers: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Which machines work in a step, and the buffers after it.

    Args:
        able: (n, 3) bool, the machines that are not down.
        buffers: (n, 2) parts before the second and before the third machine.
        room: parts that fit into a buffer.

    The last machine goes first, so a part that it takes makes room. A machine without a part before it, or
    without room behind it, waits. The first one never lacks material.

    Returns:
        `worked` (n, 3) bool and the new buffers (n, 2).

    >>> line_step(np.array([[True, True, True]]), np.array([[1, 0]]), room=4)
    (array([[ True,  True, False]]), array([[1, 1]]))
    """
    first, second = buffers.T
    third_works = able[:, 2] & (second > 0)
    second = second - third_works
    second_works = able[:, 1] & (first > 0) & (second < room)
    first, second = first - second_works, second + second_works
    first_works = able[:, 0] & (first < room)
    worked = np.stack([first_works, second_works, third_works], axis=1)
    return worked, np.stack([first + first_works, second], axis=1)


def lasting(life: np.ndarray, shape: np.ndarray, wear: np.ndarray) -> np.ndarray:
    """The age at which a tool with this luck fails, in whole steps of at least 1.

    >>> lasting(np.array([600.0]), np.array([3.0]), np.array([1.0]))
    array([600.])
    """
    return np.maximum(np.ceil(life * wear ** (1 / shape)), 1.0)


def still_lasting(
    age: np.ndarray, life: np.ndarray, shape: np.ndarray, wear: np.ndarray
) -> np.ndarray:
    """The age at which a tool fails that has reached `age`: from the Weibull distribution above it.

    >>> still_lasting(np.array([300]), np.array([600.0]), np.array([3.0]), np.array([1.0]))
    array([625.])
    """
    lasts = np.ceil(life * (wear + (age / life) ** shape) ** (1 / shape))
    return np.maximum(lasts, age + 1.0)


def new_lines(life: np.ndarray, shape: np.ndarray, luck: Luck) -> State:
    """Lines with empty buffers and new tools; `life` and `shape` are (n, 3).

    >>> new_lines(np.full((1, 3), 600.0), np.full((1, 3), 3.0), draw_luck(1, np.random.default_rng(0))).age
    array([[0, 0, 0]])
    """
    nothing = np.zeros(luck.wear.shape[:2], int)
    lasts = lasting(life, shape, luck.wear[:, :, 0])
    return State(np.zeros((len(nothing), 2), int), nothing, nothing, nothing, lasts)


def advance_lines(
    state: State,
    thresholds: np.ndarray,
    life: np.ndarray,
    shape: np.ndarray,
    luck: Luck,
    plant: Plant = PLANT,
    flow: Flow = line_step,
) -> tuple[State, Happened]:
    """One step of n lines.

    Args:
        thresholds: (n, 3) the age at which a tool that works still is replaced; infinite for never.
        life, shape: (n, 3) of tools that are put in now. A tool in use keeps what it came with.

    >>> plenty, luck = np.full((1, 3), 600.0), draw_luck(1, np.random.default_rng(0))
    >>> state = new_lines(plenty, plenty / 200, luck)
    >>> advance_lines(state, plenty, plenty, plenty / 200, luck)[0].buffers
    array([[1, 0]])
    """
    able = state.down == 0
    worked, buffers = flow(able, state.buffers, plant.room)
    age = state.age + worked
    failed = worked & (age >= state.lasts)
    maintained = able & ~failed & (age >= thresholds)
    down = np.maximum(state.down - 1, 0)
    happened = Happened(worked[:, 2], worked, failed, maintained, age)
    renewed = failed | maintained
    if not renewed.any():
        return State(buffers, age, down, state.tool, state.lasts), happened
    n, m = renewed.nonzero()
    tool = state.tool + renewed
    used = state.tool[n, m] % luck.repair.shape[2]
    repair = np.ceil(plant.repair * luck.repair[n, m, used]).astype(int)
    down[n, m] = np.where(failed[n, m], repair, plant.maintenance)
    lasts = state.lasts.copy()
    wear = luck.wear[n, m, tool[n, m] % luck.wear.shape[2]]
    lasts[n, m] = lasting(life[n, m], shape[n, m], wear)
    return State(buffers, np.where(renewed, 0, age), down, tool, lasts), happened


@dataclass(frozen=True)
class Exposure:
    """What a factory sees of its tools: arrays (r,), one entry for each stretch of work of one tool.

    The tool of `machine` on `line` worked from the age `start` to the age `end` and `failed` there or
    not. A tool that is replaced in time, or goes on, is **censored**: it would have lasted longer.
    """

    line: np.ndarray
    machine: np.ndarray
    start: np.ndarray
    end: np.ndarray
    failed: np.ndarray

    def where(self, kept: np.ndarray) -> "Exposure":
        """Only some of the entries."""
        return Exposure(
            *(x[kept] for x in (self.line, self.machine, self.start, self.end, self.failed))
        )


@dataclass(frozen=True)
class Days:
    """What came of some steps of n lines: money (n,), failures and replacements (n, 3), exposure."""

    state: State
    reward: np.ndarray
    failures: np.ndarray
    replacements: np.ndarray
    seen: Exposure


def run_lines(
    state: State,
    thresholds: np.ndarray,
    life: np.ndarray,
    shape: np.ndarray,
    luck: Luck,
    steps: int = STEPS_A_DAY,
    plant: Plant = PLANT,
    flow: Flow = line_step,
) -> Days:
    """So many steps of n lines; the arguments are those of `advance_lines`.

    >>> plenty, luck = np.full((1, 3), 600.0), draw_luck(1, np.random.default_rng(0))
    >>> run_lines(new_lines(plenty, plenty / 200, luck), plenty, plenty, plenty / 200, luck).reward
    array([497.])
    """
    reward = np.zeros(len(state.age))
    failures, replacements = np.zeros((2, *state.age.shape), int)
    start, ended = state.age, []
    for _ in range(steps):
        state, happened = advance_lines(state, thresholds, life, shape, luck, plant, flow)
        reward += plant.part * happened.made
        over = happened.failed | happened.maintained
        if over.any():
            failures += happened.failed
            replacements += happened.maintained
            n, m = over.nonzero()
            ended.append((n, m, start[n, m], happened.age[n, m], happened.failed[n, m]))
            start = np.where(over, 0, start)
    n, m = (state.age > start).nonzero()
    ended.append((n, m, start[n, m], state.age[n, m], np.zeros(len(n), bool)))
    seen = Exposure(*(np.concatenate(parts) for parts in zip(*ended, strict=True)))
    costs = plant.repair_cost * failures.sum(1) + plant.maintenance_cost * replacements.sum(1)
    return Days(state, reward - costs, failures, replacements, seen)
