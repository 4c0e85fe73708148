"""Planted faults: how each is made, and which finding says what it is.

`python benchmarks/audit.py power` plants each of them 50 times at its usual strength; the eleven with
`strengths` are those of `curves`. Tables are draws of small simulators: the loans of the course, or one
that is written down here where loans cannot have the fault.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from course_lib.audit import AuditReport, audit, audit_linked
from course_lib.audit import corruptions as c
from course_lib.audit.causes import headlines
from course_lib.audit.finding import VERDICTS
from course_lib.datasets import loans, shop

Table = pd.DataFrame
ROWS = {"train": 2000, "holdout": 1000, "synthetic": 2000}
USUAL = tuple(ROWS.values())
FEW = ["age", "sex", "ethnicity", "income", "debt", "amount", "term", "approved"]  # of the loans
NATIONS = [f"N{k:02}" for k in range(1, 16)]
LEVEL = 0.05


class Parts(NamedTuple):
    """Training, holdout and synthetic rows: three tables, or three pairs of linked ones."""

    train: Any
    holdout: Any
    synthetic: Any


@dataclass(frozen=True)
class Fault:
    """A planted fault, and which findings say so.

    Attributes:
        plant: table, training rows, strength and seed to the damaged table; the table is the synthetic
            one, unless `into` names another.
        right: pattern of the ids of the findings that count.
        usual: the strength of `power`. strengths: those of `curves`, faint to strong.
        axis: what the strength is, in words.
        says: pattern that the headline's sentence must hold, too.
        drawn: seed to three tables without the fault.
        options: of `audit`. ask: what audits the tables.
    """

    plant: Callable[[Any, Any, float, int], Any]
    right: str
    usual: float
    axis: str
    strengths: tuple[float, ...] = ()
    says: str = ""
    into: str = "synthetic"
    drawn: Callable[[int], Parts] = field(default=lambda seed: tables(seed))
    options: Mapping[str, Any] = field(
        default_factory=lambda: {"label": "approved", "sensitive": ["sex", "ethnicity"]}
    )
    ask: Callable[..., AuditReport] = audit

    def made(self, strength: float, seed: int) -> Parts:
        """The three tables with the fault in one of them."""
        parts = self.drawn(seed)
        damaged = self.plant(getattr(parts, self.into), parts.train, strength, seed)
        if isinstance(damaged, tuple) and isinstance(damaged[1], c.Damage):
            damaged = damaged[0]
        return parts._replace(**{self.into: damaged})

    def report(self, strength: float, seed: int) -> AuditReport:
        return self.ask(*self.made(strength, seed), **self.options, seed=seed, progress=False)


class Seen(NamedTuple):
    """What an audit says of one planted fault.

    Attributes:
        found: ids of the right findings that fail or warn, and have q < 0.05 if they are tested.
        named: of these, the ones that are headlines of the printed summary.
        first: whether the first headline of all, failures before warnings, is a right one.
    """

    found: list[str]
    named: list[str]
    first: bool


def seen(fault: Fault, report: AuditReport) -> Seen:
    """Found is a finding with the right id and verdict; named is a headline that says what it is.

    The printed summary tells at most five headlines of each family, one for each cause.
    """
    right = re.compile(fault.right)
    found = [
        finding.id
        for finding in report
        if right.fullmatch(finding.id)
        and finding.verdict in ("fail", "warn")
        and (finding.q is None or finding.q < LEVEL)
    ]
    told = headlines(report)
    named = [
        cause.headline.id
        for cause in told
        if cause.headline.id in found and re.search(fault.says, cause.sentence)
    ]
    first = min(told, key=lambda cause: VERDICTS.index(cause.headline.verdict), default=None)
    return Seen(found, named, first is not None and first.headline.id in named)


def tables(seed: int, rows: tuple[int, ...] = USUAL, columns: list[str] | None = None) -> Parts:
    """Loans: independent draws of one distribution."""
    return three(lambda n, s: loans.applicants(n, seed=s)[columns or slice(None)], seed, rows)


def three(draw: Callable[[int, int], Any], seed: int, rows: tuple[int, ...] = USUAL) -> Parts:
    """Three independent draws, of so many rows and with seeds of their own."""
    seeds = np.random.SeedSequence(seed).generate_state(3)
    return Parts(*(draw(n, int(s)) for n, s in zip(rows, seeds, strict=True)))


def few(seed: int) -> Parts:
    return tables(seed, columns=FEW)


def applied(n: int, seed: int) -> Table:
    """Some columns of the loans, and what they lack: a nation, an untold sex, a key, a place, a day."""
    rng = np.random.default_rng([seed, 1])
    rows = loans.applicants(n, seed=seed)[FEW]
    share = np.linspace(2, 0.5, len(NATIONS))
    day = rng.integers(0, 700, n)
    sunday = (day + 2) % 7 == 6  # 2024 began on a Monday
    day = np.where(sunday & (rng.random(n) < 0.8), day - rng.integers(1, 6, n), day).clip(0)
    return rows.assign(
        sex=rows["sex"].astype(object).where(rng.random(n) >= 0.08),
        nation=rng.choice(NATIONS, n, p=share / share.sum()),
        savings=np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2, 4000, n).round()),
        client_id=rng.integers(10**11, 10**12, n),
        postcode=[f"{code:05}" for code in rng.integers(0, 9, n) * 4000 + rng.integers(1, 900, n)],
        applied=pd.Timestamp("2024-01-01") + pd.to_timedelta(day, "D"),
    )


def with_columns(*names: str, rows: tuple[int, ...] = USUAL) -> Callable[[int], Parts]:
    """Draws of `applied` with these columns besides the label and three others."""
    kept = list(dict.fromkeys([*names, "age", "income", "debt", "approved"]))
    return lambda seed: three(lambda n, s: applied(n, s)[kept], seed, rows)


def outcomes(n: int, seed: int) -> Table:
    """A label of three classes."""
    rng = np.random.default_rng([seed, 2])
    rows = loans.applicants(n, seed=seed)[FEW]
    said = np.where(rows["approved"], "approved", "refused")
    return rows.drop(columns="approved").assign(
        outcome=np.where(rng.random(n) < 0.15, "withdrawn", said)
    )


def switches(n: int, seed: int) -> Table:
    """Fourteen columns of yes and no; the third is the exclusive or of the first two, in 85 %."""
    rng = np.random.default_rng(seed)
    bits = rng.random((n, 14)) < 0.5
    bits[:, 2] = bits[:, 0] ^ bits[:, 1] ^ (rng.random(n) < 0.15)
    return Table(np.where(bits, "yes", "no"), columns=[f"s{k:02}" for k in range(1, 15)])


def doses(n: int, seed: int) -> Table:
    """More of a drug helps the young and harms the old; in all together it does nothing."""
    rng = np.random.default_rng(seed)
    old, dose = rng.random(n) < 0.5, rng.gamma(4, 2, n)
    effect = np.where(old, -1, 1) * (dose - 8) / 4 + rng.normal(size=n)
    sex = rng.choice(["female", "male"], n)
    return Table({
        "group": np.where(old, "old", "young"), "sex": sex, "weight": rng.normal(75, 12, n).round(1),
        "dose": dose.round(2), "effect": effect.round(2),
    })  # fmt: skip


def visits(n: int, seed: int) -> Table:
    """Eight visits of each patient: a blood pressure that drifts, and a state that lasts."""
    rng = np.random.default_rng(seed)
    persons, each = n // 8, 8
    drift = np.zeros((persons, each))
    state = rng.random((persons, each)) < 0.4
    for k in range(1, each):
        drift[:, k] = 0.8 * drift[:, k - 1] + 0.6 * rng.normal(size=persons)
        state[:, k] = np.where(rng.random(persons) < 0.8, state[:, k - 1], state[:, k])
    first = rng.integers(0, 300, persons)[:, None]
    day = first + np.cumsum(rng.integers(1, 15, (persons, each)), axis=1)
    return Table({
        "patient": np.repeat(rng.choice(10**7, persons, replace=False), each),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(day.ravel(), "D"),
        "sex": np.repeat(rng.choice(["female", "male"], persons), each),
        "pressure": (130 + 12 * drift).round(1).ravel(),
        "state": np.where(state, "ill", "well").ravel(),
    })  # fmt: skip


def customers(n: int, seed: int) -> tuple[Table, Table]:
    """The course's shop: customers, and the lines of their orders."""
    people, lines = shop.linked_tables(n, seed=seed)
    return people, lines[["customer", "quantity", "price"]]


def panel(seed: int) -> Parts:
    return three(visits, seed, (4000, 2000, 4000))


def linked(seed: int) -> Parts:
    return three(customers, seed, (500, 300, 500))


# --- what is planted, where `corruptions` has no function for it ----------------------------------


def _middle(table: Table, column: str, share: float) -> tuple[float, float]:
    """The range of a column that holds this share of its rows, around its median."""
    low, high = table[column].quantile([(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def refused_unknown(table: Table, factor: float, seed: int) -> Table:
    """Fewer approvals of people whose sex is not told."""
    told = table.assign(sex=table["sex"].fillna("?"))
    return c.scale_labels(told, "approved", {"sex": "?"}, factor, seed=seed)[0].assign(
        sex=table["sex"]
    )


def other_weekdays(table: Table, share: float, seed: int) -> Table:
    """Dates of a share of the rows moved by up to three days."""
    rng = np.random.default_rng(seed)
    move = np.where(rng.random(len(table)) < share, rng.integers(-3, 4, len(table)), 0)
    return table.assign(applied=table["applied"] + pd.to_timedelta(move, "D"))


def independent(table: Table, column: str, share: float, seed: int) -> Table:
    return c.break_correlation(table, column, share, seed=seed)[0]


def turned_round(table: Table, share: float, seed: int) -> Table:
    """The groups of a share of the rows exchanged, so that within them the effect turns round."""
    rng = np.random.default_rng(seed)
    other = table["group"].map({"old": "young", "young": "old"})
    return table.assign(group=table["group"].where(rng.random(len(table)) >= share, other))


def ids_of(table: Table, train: Table, share: float, seed: int) -> Table:
    """Keys of training rows in a share of the rows."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(table), round(share * len(table)), replace=False)
    keys = table["client_id"].to_numpy(copy=True)
    keys[rows] = rng.choice(train["client_id"].to_numpy(), len(rows), replace=False)
    return table.assign(client_id=keys)


def any_order(table: Table, column: str, share: float, seed: int) -> Table:
    """The values of a share of the patients' visits in another order, each patient's own ones."""
    rng = np.random.default_rng(seed)
    persons = table["patient"].unique()
    chosen = set(rng.choice(persons, round(share * len(persons)), replace=False))
    order = table.groupby("patient", sort=False)[column].transform(
        lambda own: rng.permutation(own.to_numpy()) if own.name in chosen else own
    )
    return table.assign(**{column: order})


def orphans(parts: tuple[Table, Table], share: float, seed: int) -> tuple[Table, Table]:
    """Lines of orders that no customer has."""
    rng = np.random.default_rng(seed)
    people, lines = parts
    lost = rng.random(len(lines)) < share
    return people, lines.assign(customer=lines["customer"].where(~lost, lines["customer"] + 10**6))


def shuffled_link(parts: tuple[Table, Table], seed: int) -> tuple[Table, Table]:
    """Each customer has the orders of another one."""
    rng = np.random.default_rng(seed)
    people, lines = parts
    keys = people["customer"].to_numpy()
    other = dict(zip(keys, rng.permutation(keys), strict=True))
    return people, lines.assign(customer=lines["customer"].map(other))


def of_training(holdout: Table, train: Table, share: float, seed: int) -> Table:
    return c.copy_training(holdout, train, share, seed=seed)[0]


WOMEN_CELDANE = {"sex": "female", "ethnicity": "Celdane"}
PAIRS = r"pair_total_variation\[(income & .*|.* & income)\]"
BIASED = {"label": "approved", "sensitive": ["sex", "ethnicity"]}
NATION = {"label": "approved", "sensitive": ["sex", "nation"]}
PLAIN = {"sensitive": []}
SEX = {"label": "approved", "sensitive": ["sex"]}

# fmt: off
FAULTS = {
    "scale_labels": Fault(
        lambda t, _, x, s: c.scale_labels(t, "approved", {"sex": "female"}, x, seed=s),
        r"label_(rate|gap)\[sex = female( against the rest)?\]", 0.5,
        "women's approvals times", (0.95, 0.9, 0.8, 0.7, 0.5),
    ),
    "erase_group": Fault(
        lambda t, _, x, s: c.erase_group(t, dict(loans.INTERSECTION), x, seed=s),
        r"group_share\[sex = female & ethnicity = Drusami\]", 0.0,
        "share kept of a group of 2 %", (0.8, 0.6, 0.4, 0.2, 0.0),
    ),
    "cut_tails": Fault(
        lambda t, _, x, s: c.cut_tails(t, "income", x),
        r"tail_(share|reach)\[income, (low|high)\]", 0.01,
        "share clipped at each end of income", (0.002, 0.005, 0.01, 0.02, 0.05),
    ),
    "break_correlation": Fault(
        lambda t, _, x, s: c.break_correlation(t, "income", x, seed=s),
        PAIRS, 1.0,
        "share of incomes shuffled", (0.1, 0.2, 0.4, 0.7, 1.0),
    ),
    "invent_category": Fault(
        lambda t, _, x, s: c.invent_category(t, "region", share=x, seed=s),
        r"levels\[region\]", 0.01,
        "share of rows of an invented region", (0.001, 0.002, 0.005, 0.01, 0.02),
    ),
    "change_unit": Fault(
        lambda t, _, x, s: c.change_unit(t, "amount", x),
        r"(kolmogorov_smirnov|wasserstein|total_variation|precision_of_digits)\[amount\]", 1.1,
        "amounts times", (1.02, 1.05, 1.1, 1.2, 1.5),
    ),
    "copy_training": Fault(
        lambda t, real, x, s: c.copy_training(t, real, x, seed=s),
        r"(exact_copies|verbatim_people)\[whole rows\]", 0.05,
        "share of verbatim copies", (0.001, 0.002, 0.005, 0.01, 0.05),
    ),
    "near_copies": Fault(
        lambda t, real, x, s: c.copy_training(t, real, x, noise=0.05, seed=s),
        r"(near_copies|membership_(auc|tpr|tpr_thousandth))\[whole rows\]", 0.05,
        "share of near copies", (0.005, 0.01, 0.02, 0.05, 0.1),
    ),
    "drop_modes": Fault(
        lambda t, _, x, s: c.drop_modes(t, "income", [_middle(t, "income", x)], seed=s),
        rf"(kolmogorov_smirnov|total_variation|wasserstein)\[income\]|{PAIRS}",
        0.1, "share of incomes, around the median", (0.02, 0.05, 0.1, 0.15, 0.2),
    ),
    "round_values": Fault(
        lambda t, _, x, s: c.round_values(t, "debt", x),
        r"precision_of_digits\[debt\]", 100,
        "debts rounded to", (2, 5, 10, 50, 100),
    ),
    "add_proxy": Fault(
        lambda t, _, x, s: c.add_proxy(t, "region", "ethnicity", x, seed=s),
        r"association\[region with ethnicity\]", 0.95,
        "share of regions that tell the ethnicity", (0.05, 0.1, 0.2, 0.4, 0.95),
    ),
    "repeated rows": Fault(
        lambda t, _, x, s: c.repeat_rows(t, int(x), seed=s),
        r"duplicate_rows\[whole rows\]", 10, "how often each row stands in the table",
        drawn=few, options=PLAIN,
    ),
    "lost column": Fault(
        lambda t, *_: t.drop(columns="debt"),
        r"column_missing\[debt\]", 1, "columns lost", drawn=few, options=PLAIN,
    ),
    "missing values filled": Fault(
        lambda t, _, x, s: c.fill_missing(t, "savings", x, seed=s),
        r"missing_rate\[savings\]", 1.0, "share of a tenth that is missing, filled with others' values",
        drawn=with_columns("savings", "sex"), options=PLAIN,
    ),
    "values lost": Fault(
        lambda t, _, x, s: c.lose_values(t, "debt", x, {"sex": "female"}, seed=s),
        r"missing_rate\[debt\]|pair_total_variation\[(debt & sex|sex & debt)\]", 0.2,
        "share of women's debts lost", drawn=few, options=PLAIN,
    ),
    "a nation refused": Fault(
        lambda t, _, x, s: c.scale_labels(t, "approved", {"nation": NATIONS[13]}, x, seed=s),
        r"label_(rate|gap)\[nation = N14( against the rest)?\]", 0.0,
        "approvals of the 14th of 15 nations (3 %), times",
        drawn=with_columns("nation", "sex"), options=NATION,
    ),
    "unknown sex refused": Fault(
        lambda t, _, x, s: refused_unknown(t, x, s),
        r"label_(rate|gap)\[sex is missing( against the rest)?\]", 0.4,
        "approvals of the 8 % whose sex is not told, times",
        drawn=with_columns("nation", "sex"), options=SEX,
    ),
    "a class of three": Fault(
        lambda t, _, x, s: t.assign(outcome=t["outcome"].where(
            (t["sex"] != "female") | (t["outcome"] != "withdrawn")
            | (np.random.default_rng(s).random(len(t)) < x), "refused")),
        r"label_rate\[sex = female, outcome = withdrawn\]", 0.4,
        "share kept of women's 'withdrawn', the others refused",
        drawn=lambda seed: three(outcomes, seed), options={"label": "outcome", "sensitive": ["sex"]},
    ),
    "noise in an intersection": Fault(
        lambda t, _, x, s: c.noise_labels(t, "approved", WOMEN_CELDANE, x, seed=s),
        r"label_signal\[sex = female & ethnicity = Celdane\]", 1.0,
        "share of 7 % of 8,000 rows who changed labels with each other",
        drawn=lambda seed: tables(seed, (8000, 4000, 8000), FEW), options=BIASED,
    ),
    "a group's labels by chance": Fault(
        lambda t, _, x, s: c.noise_labels(t, "approved", {"sex": "female"}, x, seed=s),
        r"label_signal\[sex = female\]", 1.0, "share of women who changed labels with each other",
        drawn=few,
    ),
    "exclusive or lost": Fault(
        lambda t, _, x, s: independent(t, "s03", x, s),
        r"three_columns\[all triples\]", 1.0, "share of one of 14 columns shuffled",
        says=r"s01.*s02.*s03", drawn=lambda seed: three(switches, seed), options=PLAIN,
    ),
    "turned round in groups": Fault(
        lambda t, _, x, s: turned_round(t, x, s),
        r"three_columns\[all triples\]", 1.0, "share of rows whose group was exchanged",
        says=r"(?=.*group)(?=.*dose)(?=.*effect)", drawn=lambda seed: three(doses, seed), options=PLAIN,
    ),
    "weekdays lost": Fault(
        lambda t, _, x, s: other_weekdays(t, x, s),
        r"(total_variation|levels|rare_share)\[applied: weekday\]", 1.0,
        "share of dates moved by up to three days", drawn=with_columns("applied", "sex"), options=PLAIN,
    ),
    "keys reused": Fault(
        lambda t, real, x, s: ids_of(t, real, x, s),
        r"reused_values\[client_id\]", 0.05, "share of keys that are those of training rows",
        drawn=with_columns("client_id", "sex"), options=PLAIN,
    ),
    "leading zeros lost": Fault(
        lambda t, *_: t.assign(postcode=t["postcode"].astype(int)),
        r"coding\[postcode\]", 1, "postcodes written as numbers",
        drawn=with_columns("postcode", "sex"), options=PLAIN,
    ),
    "steps in any order": Fault(
        lambda t, _, x, s: any_order(t, "pressure", x, s),
        r"lag_correlation\[pressure\]", 0.5, "share of patients whose values were reordered",
        drawn=panel, options={"entity": "patient", "sensitive": ["sex"]},
    ),
    "states that do not last": Fault(
        lambda t, _, x, s: any_order(t, "state", x, s),
        r"(transition_shares|spell_length)\[state\]", 1.0, "share of patients whose states were reordered",
        drawn=panel, options={"entity": "patient", "sensitive": ["sex"]},
    ),
    "broken keys": Fault(
        lambda t, _, x, s: orphans(t, x, s),
        r"foreign_key\[customer\]", 0.01, "share of order lines of no customer",
        drawn=linked, options={"key": "customer"}, ask=audit_linked,
    ),
    "orders of others": Fault(
        lambda t, _, x, s: shuffled_link(t, s),
        r"pair_total_variation\[(kind & .*|.* & kind)\]", 1,
        "customers who have another one's orders", drawn=linked, options={"key": "customer"},
        ask=audit_linked,
    ),
    "holdout not held out": Fault(
        lambda t, real, x, s: of_training(t, real, x, s),
        r"holdout_overlap\[whole rows\]", 0.05, "share of holdout rows that are training rows",
        into="holdout", drawn=few, options=PLAIN,
    ),
    "another holdout": Fault(
        lambda t, _, x, s: c.change_unit(t, "income", x),
        r"holdout_drift\[whole rows\]", 1.2, "incomes of the holdout times",
        says=r"income", into="holdout", drawn=few, options=PLAIN,
    ),
}
# fmt: on
