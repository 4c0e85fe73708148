"""Simulated states of a milling machine, with the failure rules that AI4I 2020 publishes.

The failures follow the rules that Matzka gives for AI4I 2020 (UCI, doi 10.24432/C5HS5C). How the machine
runs is our own: rows are independent, and data/milling.md says each equation. The true risk of every
state is known, so that what a model promises can be held against it.
"""

import numpy as np
import pandas as pd

QUALITIES = ("L", "M", "H")
SHARES = (0.6, 0.3, 0.1)
STEP = {"L": 2.0, "M": 3.0, "H": 5.0}  # minutes of wear that a product costs
OVERSTRAIN = {"L": 11_000.0, "M": 12_000.0, "H": 13_000.0}  # minutes x newton metres
LEAST_DIFFERENCE, LEAST_SPEED = 8.6, 1380.0  # kelvin, revolutions a minute
POWERS = (3500.0, 9000.0)  # watts
TOOL_LIMITS = (200.0, 240.0)  # minutes
BREAKS = 0.43  # the share of tools that fail at their limit; the others are replaced in time
RANDOM = 0.001
MODES = [
    f"{cause}_failure"
    for cause in ("tool_wear", "heat_dissipation", "power", "overstrain", "random")
]
RULED = MODES[1:4]  # the modes that follow from a state without chance
INPUTS = [
    *("quality", "air_temperature", "process_temperature", "rotational_speed", "torque"),
    "tool_wear",
]


def power(table: pd.DataFrame) -> pd.Series:
    """Mechanical power in watts: torque (newton metres) times angular speed (radians a second).

    >>> table = pd.DataFrame({"torque": [40.0], "rotational_speed": [1500]})
    >>> round(float(power(table)[0]))
    6283
    """
    return table["torque"] * table["rotational_speed"] * (2 * np.pi / 60)


def physics(table: pd.DataFrame) -> pd.DataFrame:
    """The three quantities that the rules look at, without their limits: power in watts, the difference
    of temperatures in kelvin, and strain in minutes times newton metres.

    >>> list(physics(states(1)))
    ['power', 'difference', 'strain']
    """
    return pd.DataFrame(
        {
            "power": power(table),
            "difference": table["process_temperature"] - table["air_temperature"],
            "strain": table["tool_wear"] * table["torque"],
        }
    )


def broken_rules(table: pd.DataFrame) -> pd.DataFrame:
    """Which of the three rules without chance each state breaks: a column of booleans a rule.

    Temperatures come in tenths, so their difference is rounded: one of 8.6 breaks no rule. The file of
    AI4I 2020 compares unrounded differences: 12 failures of heat are stored there a little below 8.6.

    Source: Matzka, AI4I 2020 Predictive Maintenance Dataset, UCI, 2020.

    >>> list(broken_rules(states(3)))
    ['heat_dissipation_failure', 'power_failure', 'overstrain_failure']
    """
    seen = physics(table)
    slow = table["rotational_speed"] < LEAST_SPEED
    hot = seen["difference"].round(6) < LEAST_DIFFERENCE
    rules = (
        hot & slow,
        ~seen["power"].between(*POWERS),
        seen["strain"] > table["quality"].map(OVERSTRAIN).astype(float),
    )
    return pd.DataFrame(dict(zip(RULED, rules, strict=True)))


def failure_risk(table: pd.DataFrame) -> np.ndarray:
    """The true probability of a failure in each state, (n,): 1 where a rule is broken, else chance.

    >>> worn = pd.DataFrame({"quality": ["L"], "air_temperature": [300.0], "tool_wear": [215]})
    >>> worn = worn.assign(process_temperature=310.0, rotational_speed=1500, torque=40.0)
    >>> failure_risk(worn).round(3)
    array([0.036])
    """
    ruled = broken_rules(table).any(axis=1).to_numpy()
    wear = table["tool_wear"].to_numpy(float)
    step = table["quality"].map(STEP).to_numpy(float)
    # Wear w = u L with L of density proportional to L on (200, 240): given w, L is uniform on what
    # lies above w, and the tool is at its end if L < w + step. Whole minutes are taken at their middle.
    low, high = TOOL_LIMITS
    w = wear + 0.5
    above = high - np.maximum(w, low)
    ends = np.clip(np.minimum(w + step, high) - np.maximum(w, low), 0, None)
    tool = BREAKS * np.divide(ends, above, out=np.ones_like(w), where=above > 0)
    return np.where(ruled, 1.0, 1 - (1 - tool) * (1 - RANDOM))


def states(n: int, *, seed: int = 0) -> pd.DataFrame:
    """Draw `n` independent states of the machine: 12 columns, named as in "ai4i2020".

    Raises:
        ValueError: for fewer than one row.

    >>> table = states(10_000)
    >>> table.shape, int(table["machine_failure"].sum())
    ((10000, 12), 396)
    """
    if n < 1:
        raise ValueError(f"A table needs at least one row; got n = {n}.")
    rng = np.random.default_rng(seed)
    quality = rng.choice(QUALITIES, n, p=SHARES)
    # A = 300 + 2 e;  P - A = 10 - 0.35 (A - 300) + 0.71 e
    air = 300 + 2 * rng.standard_normal(n)
    process = air + 10 - 0.35 * (air - 300) + 0.71 * rng.standard_normal(n)
    torque = np.maximum(40 + 10 * rng.standard_normal(n), 1)
    # N = 1050 + 17,800 / max(T, 10) + 52 e
    speed = 1050 + 17_800 / np.maximum(torque, 10) + 52 * rng.standard_normal(n)
    # A tool's limit L is seen as often as the tool is long in use: its density grows with L.
    low, high = TOOL_LIMITS
    limit = np.sqrt(low**2 + (high**2 - low**2) * rng.random(n))
    wear = limit * rng.random(n)
    step = pd.Series(quality).map(STEP).to_numpy()
    tool = (wear + step > limit) & (rng.random(n) < BREAKS)
    table = pd.DataFrame(
        {
            "quality": quality.astype(object),
            "air_temperature": air.round(1),
            "process_temperature": process.round(1),
            "rotational_speed": np.rint(speed).astype(int),
            "torque": torque.round(1),
            "tool_wear": np.floor(wear).astype(int),
        }
    )
    ruled = broken_rules(table)
    chance = rng.random(n) < RANDOM
    modes = pd.DataFrame({MODES[0]: tool, **ruled, MODES[4]: chance})
    return pd.concat([table.assign(machine_failure=modes.any(axis=1)), modes], axis=1)
