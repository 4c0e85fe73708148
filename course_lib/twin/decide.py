"""Thresholds of maintenance, chosen by simulation; and the days of a line whose twin chooses them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from course_lib.twin.follow import Belief, Filter, believe, failure_chance
from course_lib.twin.line import (
    MACHINES,
    PLANT,
    STEPS_A_DAY,
    Exposure,
    Flow,
    Luck,
    Plant,
    State,
    draw_luck,
    line_step,
    new_lines,
    run_lines,
    still_lasting,
)

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, np.inf)  # thresholds to try, in parts of the believed life


@dataclass(frozen=True)
class World:
    """The real factory, which the twin does not see: lives and shapes of the tools, and a change.

    `life` and `shape` are (3,), or (n, 3) for n factories that differ.

    >>> World().life_on(99)
    array([450., 165., 375.])
    """

    life: tuple[float, ...] | np.ndarray = (450.0, 300.0, 375.0)
    shape: tuple[float, ...] | np.ndarray = (4.0, 6.0, 5.0)
    drift_day: int = 60
    drift: float = 0.55  # of machine 2's life
    days: int = 100

    def life_on(self, day: int) -> np.ndarray:
        """The life of the tools that are put in on this day, (3,) or (n, 3)."""
        return np.array(self.life) * [1, self.drift if day >= self.drift_day else 1, 1]


@dataclass(frozen=True)
class Sheet:
    """What the maker of the machines says: here far too much.

    `doubt` holds the standard deviations of the logarithms of life and shape with which a twin believes it.
    With half of it a twin's forecasts are too low for tools that are left in (benchmarks/twin_forecast.py).

    >>> Sheet().life
    (765.0, 510.0, 640.0)
    """

    life: tuple[float, ...] = (765.0, 510.0, 640.0)
    shape: float = 4.0
    doubt: tuple[float, float] = (1.0, 0.6)


def pick_threshold(values: np.ndarray, current: int) -> int:
    """The candidate to use: the best one, if it is better than the current one by more than chance.

    Args:
        values: (c, r) money of c candidates on r imagined lines; column j of all rows had the same luck.
        current: the row of the candidate in use.

    With common random numbers the differences within a column count, not the spread of a row (Law
    2015, "Simulation modeling and analysis", chapter 11). The candidate with the highest mean is taken if
    its mean difference from the current one is above the standard error of that difference; else
    nothing changes.

    >>> pick_threshold(np.array([[5.0, 9.0, 1.0], [6.0, 10.0, 2.1]]), current=0)
    1
    """
    best = int(values.mean(axis=1).argmax())
    gain = values[best] - values[current]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return best if gain.mean() > error else current


def from_here(
    state: State, life: np.ndarray, shape: np.ndarray, rng: np.random.Generator
) -> tuple[State, Luck]:
    """Imagined lines that stand where `state` stands: what a tool has left is drawn, as nobody knows it.

    `life` and `shape` are (n, 3). The first entry of `luck.wear` is of the tools in use.
    """
    luck = draw_luck(len(life), rng, 60)
    lasts = still_lasting(state.age, life, shape, luck.wear[:, :, 0])
    return State(state.buffers, state.age, state.down, np.zeros_like(state.age), lasts), luck


def stacked(state: State, chosen: np.ndarray) -> State:
    """The lines with these numbers, in this order; a number may come more than once."""
    return State(
        *(x[chosen] for x in (state.buffers, state.age, state.down, state.tool, state.lasts))
    )


@dataclass(frozen=True)
class Search:
    """How thresholds are chosen: imagined lines for each candidate, and the days that they run."""

    shares: Sequence[float] = SHARES
    copies: int = 24
    days: int = 8
    common: bool = True
    plant: Plant = PLANT
    flow: Flow = line_step
    pick: Callable[[np.ndarray, int], int] = pick_threshold

    def values(
        self, state: State, candidates: np.ndarray, belief: Belief, rng: np.random.Generator
    ) -> np.ndarray:
        """Money a day of each candidate on each imagined line, (n, candidates, copies).

        `candidates` (n, c, 3) are thresholds. With `common` random numbers all candidates of a line
        meet the same tools and repairs; else each meets its own.
        """
        n, c, _ = candidates.shape
        draws = self.copies if self.common else c * self.copies
        life, shape = (x.transpose(0, 2, 1).reshape(-1, MACHINES) for x in belief.draw(draws, rng))
        here, luck = from_here(stacked(state, np.repeat(np.arange(n), draws)), life, shape, rng)
        rows = np.arange(n * draws)
        if self.common:
            rows = np.tile(rows.reshape(n, 1, draws), (1, c, 1)).ravel()
        days = run_lines(
            stacked(here, rows),
            np.repeat(candidates.reshape(-1, MACHINES), self.copies, axis=0),
            life[rows],
            shape[rows],
            Luck(luck.wear[rows], luck.repair[rows]),
            self.days * STEPS_A_DAY,
            self.plant,
            self.flow,
        )
        return days.reward.reshape(n, c, self.copies) / self.days

    def choose(
        self, state: State, shares: np.ndarray, belief: Belief, rng: np.random.Generator
    ) -> np.ndarray:
        """Better shares (n, 3) of the believed lives: one machine is varied at a time."""
        n, k = len(shares), len(self.shares)
        tried = np.repeat(shares[:, None], MACHINES * k, axis=1)
        for m in range(MACHINES):
            tried[:, m * k : (m + 1) * k, m] = self.shares
        life = belief.mean()[..., 0]
        values = self.values(state, tried * life[:, None], belief, rng)
        values = values.reshape(n, MACHINES, k, self.copies)
        better = shares.copy()
        for i, m in np.ndindex(n, MACHINES):
            current = list(self.shares).index(float(shares[i, m]))
            better[i, m] = self.shares[self.pick(values[i, m], current)]
        return better


@dataclass(frozen=True)
class Twin:
    """What a twin is fed with, and when it stops.

    From day `cut` on it sees the share `real` of what the real line shows, and takes the share `own` of
    what it imagines itself for real; without a value, the rest. From day `frozen` on it neither learns
    nor searches. `explore` is the share of days on which a tool may run half as long again, to see how
    long it lasts. Twins that learn `together` see the tools of all factories. With a `plan`, the thresholds
    of that plan hold before and after the change, and there is no twin.
    """

    plan: tuple[tuple[float, ...], ...] = ()
    real: float = 1.0
    own: float | None = None
    cut: int = 20
    frozen: int | None = None
    every: int = 5
    explore: float = 0.0
    together: bool = False
    particles: int = 800
    filter: Filter = field(default_factory=Filter)
    search: Search = field(default_factory=Search)
    sheet: Sheet = field(default_factory=Sheet)
    forecast: Callable[..., float] = failure_chance


@dataclass(frozen=True)
class Story:
    """What came of n factories over the days.

    `reward` (days, n) is the money of each day. All else is (days, n, 3): of each morning the thresholds,
    the believed lives and their widths; the failures of the day; the forecast that a tool fails within a
    day's work and before it is replaced, and whether it was to; and the same for a tool that is left in.
    """

    reward: np.ndarray
    thresholds: np.ndarray
    life: np.ndarray
    width: np.ndarray
    failures: np.ndarray
    chance: np.ndarray
    fails: np.ndarray
    chance_left: np.ndarray
    fails_left: np.ndarray


@dataclass(frozen=True)
class Evening:
    """What a screen may show of a day that has ended."""

    day: int
    state: State
    belief: Belief
    thresholds: np.ndarray
    reward: np.ndarray


def live(
    twin: Twin,
    world: World,
    factories: int,
    seed: int,
    watch: Callable[[Evening], None] | None = None,
) -> Story:
    """The days of so many factories, each with a twin that learns and decides.

    The luck of the real lines depends on the seed alone, so that two twins meet the same tools.
    """
    luck = draw_luck(factories, np.random.default_rng([seed, 1]))
    rng = np.random.default_rng([seed, 2])
    real_shape = np.broadcast_to(world.shape, (factories, MACHINES))
    real = new_lines(np.broadcast_to(world.life_on(0), real_shape.shape), real_shape, luck)
    sheet = twin.sheet
    belief = believe(np.array(sheet.life), sheet.shape, factories, twin.particles, rng, sheet.doubt)
    shares = np.full((factories, MACHINES), 0.5)
    imagined, own_luck = None, luck
    kept: list[tuple[np.ndarray, ...]] = []
    for day in range(world.days):
        awake = not twin.plan and (twin.frozen is None or day < twin.frozen)
        if awake and day % twin.every == 0:
            shares = twin.search.choose(real, shares, belief, rng)
        if twin.plan:
            thresholds = np.tile(twin.plan[int(day >= world.drift_day)], (factories, 1))
        else:  # between two searches the thresholds follow the believed lives
            thresholds = shares * belief.mean()[..., 0]
        today = thresholds * np.where(rng.random(shares.shape) < twin.explore, 1.5, 1.0)
        planned = forecasts(real, today, belief, twin.forecast)
        left = forecasts(real, np.full_like(today, np.inf), belief, twin.forecast)
        life = np.broadcast_to(world.life_on(day), real_shape.shape)
        happened = run_lines(real, today, life, real_shape, luck, flow=twin.search.flow)
        kept.append(
            (
                happened.reward,
                today,
                belief.mean()[..., 0],
                belief.width(),
                happened.failures,
                *planned,
                *left,
            )
        )
        seen = happened.seen
        if awake and (twin.real < 1 or twin.own) and day >= twin.cut:
            theirs, shape = (x[..., 0] for x in belief.draw(1, rng))
            if imagined is None:
                imagined, own_luck = from_here(real, theirs, shape, rng)
                own_luck = draw_luck(factories, rng)
            invented = run_lines(imagined, today, theirs, shape, own_luck, flow=twin.search.flow)
            imagined = invented.state
            own = 1 - twin.real if twin.own is None else twin.own
            seen = mixed(seen, invented.seen, twin.real, own, rng)
        real = happened.state
        if awake:
            if twin.together:
                seen = seen_by_all(seen, factories)
            belief = twin.filter.learn(belief, seen, rng)
        if watch is not None:
            watch(Evening(day, real, belief, today, happened.reward))
    return Story(*(np.array(x) for x in zip(*kept, strict=True)))


def seen_by_all(seen: Exposure, lines: int) -> Exposure:
    """What so many lines have shown, shown to the twin of each of them.

    >>> zero = np.zeros(2, int)
    >>> seen_by_all(Exposure(np.arange(2), zero, zero, zero + 9, zero > 0), 2).line
    array([0, 0, 1, 1])
    """
    every = np.tile(np.arange(len(seen.line)), lines)
    return replace(seen.where(every), line=np.repeat(np.arange(lines), len(seen.line)))


def mixed(
    real: Exposure, invented: Exposure, share: float, own: float, rng: np.random.Generator
) -> Exposure:
    """Each real stretch of work with probability `share`, and each invented one with probability `own`."""
    parts = [
        vars(real.where(rng.random(len(real.line)) < share)),
        vars(invented.where(rng.random(len(invented.line)) < own)),
    ]
    return Exposure(*(np.concatenate([part[name] for part in parts]) for name in parts[0]))


def forecasts(
    state: State,
    thresholds: np.ndarray,
    belief: Belief,
    forecast: Callable[..., float] = failure_chance,
) -> tuple[np.ndarray, np.ndarray]:
    """The chance that each tool fails within a day's work, and before it is replaced; and whether it will.

    Both are (n, 3), with NaN for a machine that is down. With infinite thresholds nothing is replaced.
    """
    until = np.maximum(np.minimum(state.age + STEPS_A_DAY, np.ceil(thresholds)), state.age + 1)
    chance = np.full(state.age.shape, np.nan)
    for n, m in zip(*(state.down == 0).nonzero(), strict=True):
        chance[n, m] = forecast(
            belief.theta[n, m], belief.weight[n, m], state.age[n, m], until[n, m]
        )
    return chance, np.where(state.down == 0, state.lasts <= until, np.nan)


def regret(earned: np.ndarray, best: np.ndarray, window: int) -> np.ndarray:
    """The share of the oracle's money that was lost over the last days, after each day (d,).

    Args:
        earned: (d, n) money of n factories on d days.
        best: (d, n) what the oracle earned there.
        window: how many days count; on the first days, those that there are.

    Money of all factories and days of the window is added before it is divided.

    >>> regret(np.array([[8.0], [5.0], [10.0]]), np.full((3, 1), 10.0), window=2)
    array([0.2 , 0.35, 0.25])
    """
    lost, paid = (np.cumsum(x.sum(axis=1)) for x in (best - earned, best))
    lost[window:], paid[window:] = lost[window:] - lost[:-window], paid[window:] - paid[:-window]
    return lost / paid


def best_plan(
    life: np.ndarray, shape: Sequence[float], seed: int = 0, copies: int = 300
) -> tuple[float, ...]:
    """Thresholds (3,) for tools whose life and shape (3,) are known: what an oracle does."""
    rng = np.random.default_rng(seed)
    theta = np.log(np.stack([life, shape], axis=1))[None, :, None]
    sure = Belief(theta, np.ones(theta.shape[:3]))
    lives, shapes = (np.exp(theta[:, :, 0, k]) for k in (0, 1))
    state = new_lines(lives, shapes, draw_luck(1, rng))
    search = Search(
        shares=(0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.85, np.inf), copies=copies, days=10
    )
    shares = np.full((1, MACHINES), 0.5)
    for _ in range(2):
        shares = search.choose(state, shares, sure, rng)
    return tuple(float(x) for x in (shares * life)[0])
