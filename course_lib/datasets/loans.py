"""Simulated loan applicants: a structural causal model whose biases and effects are planted.

Each column is a function of columns before it and of noise of its own; data/loans.md says the same
in words. Nothing here describes real people, places or lenders: groups and regions are invented.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit

from course_lib.syllabus import unknown

LEVELS = {
    "sex": ("female", "male"),
    "ethnicity": ("Almarin", "Borvek", "Celdane", "Drusami"),
    "region": ("Harbour", "Hills", "Lakes", "Mills", "Old Town", "Plains", "Valley", "Woods"),
    "education": ("basic", "secondary", "higher"),
    "employment": ("employed", "self-employed", "unemployed", "retired", "student"),
}
COLUMNS = (
    *("age", "sex", "ethnicity", "region", "education", "employment", "income", "debt", "history"),
    *("late_payments", "amount", "term", "advice", "approved", "default"),
)
YES_OR_NO = ("advice", "approved", "default")
POSITIVE = ("income", "amount", "term")
ETHNICITY_SHARES = (0.55, 0.27, 0.14, 0.04)
# Where the people of each group live as far as they live apart, region by region.
HOMES = (
    (0.35, 0.3, 0.0, 0.0, 0.0, 0.35, 0.0, 0.0),  # Almarin: Harbour, Hills, Plains
    (0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0),  # Borvek: Lakes, Mills
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.4),  # Celdane: Valley, Woods
    (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),  # Drusami: Old Town
)
REDLINED = ("Old Town", "Valley")
REMOTE = ("Hills", "Plains", "Woods")
TERMS = (12, 24, 36, 48, 60)
INTERSECTION = {"sex": "female", "ethnicity": "Drusami"}


@dataclass(frozen=True)
class LoanWorld:
    """What is planted among the applicants. At 0 each of them is switched off.

    Attributes:
        direct_bias: what being a woman adds to the log-odds of approval.
        proxy_bias: what living in a redlined region (Old Town, Valley) adds to them.
        intersection_bias: what being a woman of the Drusami adds to them, on top of direct_bias.
        segregation: 0 to 1; how far the groups live apart. At 0 the region tells nothing of the
            ethnicity, and the proxy bias falls on all groups alike.
        advice_effect: what debt advice adds to the log-odds of default.
        confounding: what a debt of one year's income adds to the log-odds of taking advice. At 0
            advice is given out by lot, and a plain comparison is right.
        missing_history: 0 to 0.25; the share of missing histories among those aged 30 and more
            outside the remote regions. It doubles below 30, and doubles in a remote region.

    Raises:
        ValueError: for a share out of its range or a number that is not finite.
    """

    direct_bias: float = -0.5
    proxy_bias: float = -0.6
    intersection_bias: float = -1.2
    segregation: float = 0.7
    advice_effect: float = -0.6
    confounding: float = 4.0
    missing_history: float = 0.08

    def __post_init__(self):
        for name, value in asdict(self).items():
            if not np.isfinite(value):
                raise ValueError(f"{name} must be a finite number; got {value}.")
        for name, most in (("segregation", 1.0), ("missing_history", 0.25)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie in 0 to {most:g}; got {getattr(self, name)}.")


DEFAULT_WORLD = LoanWorld()


def applicants(
    n: int, *, seed: int = 0, world: LoanWorld = DEFAULT_WORLD, do: Mapping | None = None
) -> pd.DataFrame:
    """Draw `n` independent loan applicants, 15 columns of mixed type (see data/loans.md).

    The noise depends on `n` and `seed` alone. So the same call with another world, or with `do`,
    shows the same people in another world: what would have happened to each of them.

    Args:
        n: number of rows, at least 1.
        seed: one seed, one table.
        world: the planted biases and effects.
        do: interventions, e.g. `{"advice": True}`: the column is set to this value (or to n values)
            whatever its causes say, and what comes after it follows. `{"approved": True}` lends to
            everybody, and so shows who would default.

    Returns:
        One row an applicant. `history` is missing (NaN) for some, `default` (pandas "boolean") for
        all who were not approved.

    Raises:
        ValueError: for fewer than one row, or for a `do` on an unknown column or level, or
            on an income, amount or term of 0 or less.

    Source: structural causal models, Pearl, "Causality", 2nd ed., 2009, sections 1.4 and 3.2.

    >>> people = applicants(1000, seed=1)
    >>> people.shape, round(float(people["approved"].mean()), 2)
    ((1000, 15), 0.64)
    """
    if n < 1:
        raise ValueError(f"A table needs at least one row; got n = {n}.")
    forced = _forced(do or {})
    rng = np.random.default_rng(seed)

    def column(name, value):
        return np.broadcast_to(forced.get(name, value), n)

    # Every draw below is made in this order and number, whatever the world and `do` are.
    # A = 18 + floor(73 B), B ~ Beta(1.6, 2.4)
    age = column("age", 18 + np.floor(73 * rng.beta(1.6, 2.4, n)).astype(int))
    # S and E are drawn apart from all else.
    sex = column("sex", _choose(rng.random(n), [0.5, 0.5]))
    ethnicity = column("ethnicity", _choose(rng.random(n), ETHNICITY_SHARES))
    # P(R = r | E = e) = g home(r | e) + (1 - g) / 8, g the segregation
    region_of = world.segregation * np.array(HOMES) + (1 - world.segregation) / 8
    region = column("region", _choose(rng.random(n), region_of[ethnicity]))
    # X = [z > -1.2] + [z > 0.9], z = -0.02 (A - 45) + logistic noise
    z = -0.02 * (age - 45) + rng.logistic(size=n)
    education = column("education", (z > -1.2).astype(int) + (z > 0.9))
    # Retired, else student, else unemployed, else self-employed, else employed.
    chances = [
        (3, expit(0.6 * (age - 65))),
        (4, expit(-0.7 * (age - 22))),
        (2, expit(-2.0 - 0.5 * education)),
        (1, 0.12),
    ]
    draws = [(kind, rng.random(n) < p) for kind, p in chances]
    kinds = [kind for kind, _ in draws]
    employment = column("employment", np.select([hit for _, hit in draws], kinds, default=0))
    unemployed = employment == LEVELS["employment"].index("unemployed")
    # log Y = 10.2 + 0.3 X + w(J) + 0.45 noise; w = 0, 0.05, -0.7, -0.35, -0.9 in the order of J
    wage = np.array([0.0, 0.05, -0.7, -0.35, -0.9])[employment]
    log_income = 10.2 + 0.3 * education + wage + 0.45 * rng.standard_normal(n)
    income = column("income", np.rint(np.exp(log_income)).astype(int))
    # D = 0 with probability 0.2, else Y exp(-1.3 + 0.8 noise)
    in_debt = rng.random(n) < 0.8
    owed = income * np.exp(-1.3 + 0.8 * rng.standard_normal(n))
    debt = column("debt", np.rint(in_debt * owed).astype(int))
    burden = np.minimum(debt / income, 2)  # b = min(D / Y, 2)
    # H = floor((A - 17) V), V ~ Beta(2, 1.5)
    history = column("history", np.floor((age - 17) * rng.beta(2, 1.5, n)))
    # L = Z min(K, 24), P(Z = 1) = s(-0.9 + 1.2 b + 0.8 [unemployed] - 0.02 H),
    # P(K = k) = (1 - t) t^k with t = 0.6, drawn as K = floor(log U / log t)
    late_payer = rng.random(n) < expit(-0.9 + 1.2 * burden + 0.8 * unemployed - 0.02 * history)
    k = np.floor(np.log1p(-rng.random(n)) / np.log(0.6))
    late = column("late_payments", (late_payer * np.minimum(k, 24)).astype(int))
    # M = 100 max(5, round(m / 100)), log m = 4.3 + 0.45 log Y + 0.5 noise
    log_amount = 4.3 + 0.45 * np.log(income) + 0.5 * rng.standard_normal(n)
    amount = column("amount", 100 * np.maximum(np.rint(np.exp(log_amount) / 100), 5).astype(int))
    # N = 12 (1 + the number of v > -1.5, -0.3, 0.7, 1.7), v = log(M / 8000) + logistic noise
    v = np.log(amount / 8000) + rng.logistic(size=n)
    term = column("term", np.array(TERMS)[np.searchsorted([-1.5, -0.3, 0.7, 1.7], v)])
    # P(T = 1) = s(-3 + c (b + 0.15 min(L, 5))), c the confounding
    trouble = burden + 0.15 * np.minimum(late, 5)
    advice = column("advice", rng.random(n) < expit(-3 + world.confounding * trouble))
    # q = risk without advice
    #   = 2.5 b + 0.35 min(L, 5) - 0.5 (log Y - 10.4) + 0.7 [unemployed] + 2 min(12 M / (N Y), 1)
    risk = (
        2.5 * burden
        + 0.35 * np.minimum(late, 5)
        - 0.5 * (np.log(income) - 10.4)
        + 0.7 * unemployed
        + 2 * np.minimum(12 * amount / (term * income), 1)
    )
    # P(approved) = s(2.1 - q + biases): the lender reads the risk right, then adds its biases.
    woman = sex == LEVELS["sex"].index("female")
    drusami = ethnicity == LEVELS["ethnicity"].index("Drusami")
    redlined = np.isin(region, [LEVELS["region"].index(name) for name in REDLINED])
    biases = (
        world.direct_bias * woman
        + world.proxy_bias * redlined
        + world.intersection_bias * (woman & drusami)
    )
    approved = column("approved", rng.random(n) < expit(2.1 - risk + biases))
    # P(default) = s(-2.7 + q + t T), t the effect of advice; neither sex nor region has a part.
    logit = -2.7 + risk + world.advice_effect * advice
    default = column("default", rng.random(n) < expit(logit))
    # P(H is missing) = m 2^[A < 30] 2^[R is remote]
    remote = np.isin(region, [LEVELS["region"].index(name) for name in REMOTE])
    hidden = rng.random(n) < world.missing_history * 2.0 ** ((age < 30).astype(int) + remote)
    recorded = column("history", np.where(hidden, np.nan, history))
    observed = pd.arrays.BooleanArray(default.copy(), ~approved)  # only a loan can be defaulted on

    people = (age, sex, ethnicity, region, education, employment, income, debt, recorded)
    loan = (late, amount, term, advice, approved, observed)
    table = pd.DataFrame(dict(zip(COLUMNS, (*people, *loan), strict=True)))
    names = {name: np.array(LEVELS[name], object)[table[name]] for name in LEVELS}
    return table.assign(**names)


def _forced(do: Mapping) -> dict[str, np.ndarray]:
    """The interventions as arrays, with codes in place of levels."""
    forced = {}
    for name, value in do.items():
        if name not in COLUMNS:
            raise ValueError(unknown("column", name, COLUMNS))
        forced[name] = np.asarray(value, bool if name in YES_OR_NO else None)
        if name in POSITIVE and not (forced[name] > 0).all():
            raise ValueError(f"{name} must be above 0; do asks for {value!r}.")
        if name in LEVELS:
            for level in np.unique(forced[name]):
                if level not in LEVELS[name]:
                    raise ValueError(unknown(f"level of {name}", str(level), LEVELS[name]))
            forced[name] = np.vectorize(LEVELS[name].index)(forced[name])
    return forced


def _choose(uniform: np.ndarray, shares) -> np.ndarray:
    """Codes drawn by inversion with the given shares: of one row, or of a row for each draw."""
    bounds = np.cumsum(shares, axis=-1)[..., :-1]
    return (uniform[:, None] > bounds).sum(axis=-1)


@dataclass(frozen=True)
class LoanTruth:
    """The planted truth in numbers. Probabilities are shares of 1; effects are differences of them.

    Attributes:
        world: the log-odds that were planted.
        approval: approval rates, `approval["sex"]["female"]`; for sex, ethnicity and region.
        approval_unbiased: the same people's rates, had the lender none of its three biases.
        intersection_share: the share of Drusami women among the applicants.
        intersection_approval, intersection_approval_unbiased: their rates of approval.
        advice_effect: average effect of advice on default, if everybody were lent to:
            E[default | do(advice)] - E[default | do(no advice)].
        advice_effect_approved: the same average over those who were approved.
        advice_naive: what a plain comparison says: the share of defaults among the approved who
            took advice, minus that among the approved who did not.
    """

    world: LoanWorld
    approval: dict[str, dict[str, float]]
    approval_unbiased: dict[str, dict[str, float]]
    intersection_share: float
    intersection_approval: float
    intersection_approval_unbiased: float
    advice_effect: float
    advice_effect_approved: float
    advice_naive: float


def truth(world: LoanWorld = DEFAULT_WORLD, *, n: int = 1_000_000, seed: int = 0) -> LoanTruth:
    """The truth about `world`, from `n` applicants seen as they are and under interventions.

    The same people, with the same noise, are drawn in each world. With a million of them a share
    is known to about 0.001 (two standard errors), a group's share to that over the root of its
    size.

    >>> unbiased = LoanWorld(direct_bias=0, proxy_bias=0, intersection_bias=0)
    >>> planted = truth(unbiased, n=10_000)
    >>> planted.approval == planted.approval_unbiased
    True
    """
    fair_world = replace(world, direct_bias=0, proxy_bias=0, intersection_bias=0)
    seen = applicants(n, seed=seed, world=world)
    fair = seen.assign(approved=applicants(n, seed=seed, world=fair_world)["approved"])
    helped, left = (
        applicants(n, seed=seed, world=world, do={"advice": taken, "approved": True})["default"]
        for taken in (True, False)
    )
    gain = helped.astype(float) - left.astype(float)
    crossed = (seen[list(INTERSECTION)] == pd.Series(INTERSECTION)).all(axis=1)
    defaults = seen[seen["approved"]].groupby("advice")["default"].mean()

    def rates(table):
        groups = ("sex", "ethnicity", "region")
        return {name: table.groupby(name)["approved"].mean().to_dict() for name in groups}

    return LoanTruth(
        world=world,
        approval=rates(seen),
        approval_unbiased=rates(fair),
        intersection_share=float(crossed.mean()),
        intersection_approval=float(seen["approved"][crossed].mean()),
        intersection_approval_unbiased=float(fair["approved"][crossed].mean()),
        advice_effect=float(gain.mean()),
        advice_effect_approved=float(gain[seen["approved"]].mean()),
        advice_naive=float(defaults[True] - defaults[False]),
    )
