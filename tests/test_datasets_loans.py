"""The simulated loans: what is planted is found again, and what is not planted is not."""

import re
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from course_lib import datasets
from course_lib.datasets.loans import COLUMNS, LEVELS, REDLINED, LoanWorld, applicants, truth

DEFAULT = LoanWorld()
FAIR = LoanWorld(direct_bias=0, proxy_bias=0, intersection_bias=0)
N = 40_000


def risk(table):
    """q of the card, from the columns alone."""
    instalments = 12 * table["amount"] / (table["term"] * table["income"])
    return (
        2.5 * (table["debt"] / table["income"]).clip(upper=2)
        + 0.35 * table["late_payments"].clip(upper=5)
        - 0.5 * (np.log(table["income"]) - 10.4)
        + 0.7 * (table["employment"] == "unemployed")
        + 2 * instalments.clip(upper=1)
    )


def features(table):
    """The terms of both equations, and two that neither has: Drusami men, and age."""
    woman, drusami = table["sex"] == "female", table["ethnicity"] == "Drusami"
    terms = {
        "one": 1.0,
        "risk": risk(table),
        "woman": woman,
        "redlined": table["region"].isin(REDLINED),
        "drusami woman": woman & drusami,
        "drusami": drusami,
        "age": table["age"] / 100,
        "advice": table["advice"],
    }
    return pd.DataFrame(terms, index=table.index).astype(float)


def logistic_regression(x, y):
    """Maximum likelihood by Newton's method: the coefficients and their standard errors."""
    x, y, beta = x.to_numpy(), y.to_numpy(float), np.zeros(x.shape[1])
    for _ in range(12):
        p = expit(x @ beta)
        information = (x * (p * (1 - p))[:, None]).T @ x
        beta = beta + np.linalg.solve(information, x.T @ (y - p))
    return beta, np.sqrt(np.diag(np.linalg.inv(information)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("world", [DEFAULT, FAIR], ids=["biased", "fair"])
def test_the_planted_biases_are_what_a_regression_finds(world, seed):
    """Within four standard errors, each of which is under a third of what is planted."""
    table = applicants(N, seed=seed, world=world)
    x = features(table)
    found, error = logistic_regression(x, table["approved"])
    planted = [2.1, -1, world.direct_bias, world.proxy_bias, world.intersection_bias, 0, 0, 0]
    assert (np.abs(found - planted) < 4 * error).all(), dict(zip(x, found, strict=True))
    sizes = [DEFAULT.direct_bias, DEFAULT.proxy_bias, DEFAULT.intersection_bias]
    assert (error[2:5] < np.abs(sizes) / 6).all()


@pytest.mark.parametrize("seed", range(3))
def test_who_a_person_is_tells_nothing_of_default(seed):
    """Among the approved alone, since nothing hidden decides about both."""
    table = applicants(N, seed=seed)
    table = table[table["approved"]]
    found, error = logistic_regression(features(table), table["default"])
    planted = [-2.7, 1, 0, 0, 0, 0, 0, DEFAULT.advice_effect]
    assert (np.abs(found - planted) < 4 * error).all(), found
    assert error[-1] < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_advice_helps_though_it_seems_to_harm(seed):
    known = truth(n=100_000, seed=seed)
    assert known.advice_effect == pytest.approx(-0.071, abs=0.006)
    assert known.advice_effect_approved == pytest.approx(-0.060, abs=0.006)
    assert known.advice_naive == pytest.approx(0.027, abs=0.02) and known.advice_naive > 0
    # Adjusted for the risk, the approved of a plain table tell the truth (g-computation).
    table = applicants(N, seed=seed + 10)
    table = table[table["approved"]]
    x = features(table)[["one", "risk", "advice"]]
    beta, _ = logistic_regression(x, table["default"])
    with_, without = (expit(x.assign(advice=taken) @ beta).mean() for taken in (1.0, 0.0))
    assert with_ - without == pytest.approx(known.advice_effect_approved, abs=0.015)


@pytest.mark.slow
def test_without_confounding_the_plain_comparison_is_right():
    known = truth(replace(DEFAULT, confounding=0), n=200_000)
    # Under 5 % take advice by lot: about 6,000 approved, one standard error of 0.004.
    assert known.advice_naive == pytest.approx(known.advice_effect_approved, abs=0.016)


@pytest.mark.slow
def test_what_is_switched_off_is_gone():
    assert truth(replace(DEFAULT, advice_effect=0), n=20_000).advice_effect == 0
    fair = truth(FAIR, n=100_000)
    assert fair.approval == fair.approval_unbiased
    assert fair.intersection_approval == fair.intersection_approval_unbiased
    known = truth(n=100_000)
    assert known.approval["sex"]["male"] - known.approval["sex"]["female"] > 0.08
    assert known.approval["ethnicity"]["Almarin"] - known.approval["ethnicity"]["Drusami"] > 0.15
    assert known.intersection_approval < 0.33 < 0.66 < known.intersection_approval_unbiased
    assert 0.01 < known.intersection_share < 0.03
    # Fair rates differ between groups by chance alone: four standard errors of the smallest.
    for group in known.approval_unbiased.values():
        assert max(group.values()) - min(group.values()) < 4 * 0.5 / np.sqrt(4000)


def test_the_region_gives_ethnicity_away_only_where_groups_live_apart():
    def gap(world):
        """Approval of Almarin men less that of Drusami men: the proxy bias and nothing else."""
        men = applicants(200_000, world=world).query("sex == 'male'")
        rates = men.groupby("ethnicity")["approved"].mean()
        guess = pd.crosstab(men["region"], men["ethnicity"]).max(axis=1).sum() / len(men)
        return rates["Almarin"] - rates["Drusami"], guess

    apart, guessed = gap(DEFAULT)
    assert apart > 0.06 and 0.75 < guessed < 0.85  # a proxy, though not a name tag
    mixed, guessed = gap(replace(DEFAULT, segregation=0))
    assert abs(mixed) < 4 * 0.5 / np.sqrt(4000) and guessed == pytest.approx(0.55, abs=0.01)


@pytest.mark.parametrize("m", [0.0, 0.08, 0.25])
def test_histories_go_missing_where_the_card_says(m):
    table = applicants(N, world=replace(DEFAULT, missing_history=m))
    remote = table["region"].isin(["Hills", "Plains", "Woods"])
    share = table["history"].isna().groupby([table["age"] < 30, remote]).mean()
    np.testing.assert_allclose(share, [m, 2 * m, 2 * m, 4 * m], atol=0.03)


# --- structure ---------------------------------------------------------------------------------


def test_a_table_has_the_columns_types_and_ranges_of_its_card():
    table = applicants(N)
    assert tuple(table) == COLUMNS and len(table) == N
    for name, levels in LEVELS.items():
        assert set(table[name]) == set(levels)
    for name in ("age", "income", "debt", "late_payments", "amount", "term"):
        assert table[name].dtype == int and (table[name] >= 0).all()
    assert table["age"].min() == 18 and 85 < table["age"].max() <= 90
    assert set(table["term"]) == {12, 24, 36, 48, 60}
    assert (table["amount"] % 100 == 0).all() and table["amount"].min() >= 500
    assert table["advice"].dtype == table["approved"].dtype == bool
    assert table["default"].dtype == "boolean"
    assert (table["default"].isna() == ~table["approved"]).all()
    assert (table["history"].dropna() <= table["age"][table["history"].notna()] - 18).all()
    # Log-normal income, and many without late payments or debt.
    skew = (table["income"].skew(), np.log(table["income"]).skew())
    assert skew[0] > 1.2 and abs(skew[1]) < 0.3
    assert 0.75 < (table["late_payments"] == 0).mean() < 0.9
    assert (table["debt"] == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert 0.03 < (table["ethnicity"] == "Drusami").mean() < 0.05


def test_a_table_depends_on_its_seed_alone():
    np.random.seed(1)
    one = applicants(500, seed=3)
    np.random.seed(2)
    pd.testing.assert_frame_equal(one, applicants(500, seed=3))
    assert not one.equals(applicants(500, seed=4))


def test_another_world_holds_the_same_people():
    one, other = applicants(2000), applicants(2000, world=FAIR)
    outcome = ["approved", "default"]
    pd.testing.assert_frame_equal(one.drop(columns=outcome), other.drop(columns=outcome))
    # A bias against some only ever takes approvals away.
    assert (other["approved"] >= one["approved"]).all() and one["approved"].ne(
        other["approved"]
    ).any()


def test_an_intervention_sets_its_column_and_what_follows_from_it():
    seen = applicants(20_000)
    helped = applicants(20_000, do={"advice": True})
    assert helped["advice"].all()
    rest = [name for name in COLUMNS if name not in ("advice", "default")]
    pd.testing.assert_frame_equal(seen[rest], helped[rest])
    # Who took advice anyway fares as before; of the others some are saved and none is harmed.
    took = seen["advice"]
    pd.testing.assert_series_equal(seen["default"][took], helped["default"][took])
    saved = seen["default"].astype(float) - helped["default"].astype(float)
    assert set(saved.dropna()) == {0.0, 1.0}
    # Lending to all shows everybody's default, and changes nobody's.
    lent = applicants(20_000, do={"approved": 1})
    assert lent["default"].notna().all()
    assert (lent["default"] == seen["default"])[seen["approved"]].all()
    # Levels are written as in the table; n values are as good as one; causes do not follow.
    swapped = np.where(seen["sex"] == "male", "female", "male")
    changed = applicants(20_000, do={"sex": swapped})
    assert (changed["sex"] == swapped).all()
    assert (changed["approved"] >= seen["approved"])[seen["sex"] == "female"].all()
    known = applicants(1000, do={"history": 3})["history"]
    assert (known == 3).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: applicants(0), "at least one row"),
        (lambda: applicants(5, do={"advise": True}), "Did you mean 'advice'"),
        (lambda: applicants(5, do={"sex": "woman"}), "level of sex called 'woman'"),
        (lambda: applicants(5, do={"income": 0}), "income must be above 0"),
        (lambda: LoanWorld(segregation=1.5), "segregation must lie in 0 to 1"),
        (lambda: LoanWorld(missing_history=0.5), "missing_history must lie in 0 to 0.25"),
        (lambda: LoanWorld(direct_bias=float("nan")), "direct_bias must be a finite number"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the data set and its card -------------------------------------------------------------------


def test_the_data_set_is_the_simulator_s():
    loans = datasets.load("loans")
    assert (len(loans.train), len(loans.held_out)) == (6000, 4000)
    assert (loans.label, loans.sensitive) == ("approved", ("sex", "ethnicity"))
    both = pd.concat([loans.train, loans.held_out], ignore_index=True)
    pd.testing.assert_frame_equal(both, applicants(10_000, seed=0))
    assert str(loans) == "loans: 6,000 rows to train, 4,000 held out, 15 columns, label approved"


def rows_of(card, header):
    """A table of the card as {first cell: the other cells}."""
    body = card.split(f"| {header} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in body]
    return {first.strip("`"): rest for first, *rest in cells}


@pytest.mark.slow
def test_the_card_states_the_parameters_and_what_follows_from_them():
    card = datasets.card("loans").data
    stated = {name: float(cells[1]) for name, cells in rows_of(card, "parameter").items()}
    assert stated == asdict(DEFAULT)
    known = truth(n=200_000)
    for name, (value, _) in rows_of(card, "quantity").items():
        error = 4 * 0.5 / np.sqrt(200_000 * (0.02 if "approval" in name else 0.1))
        assert float(value) == pytest.approx(getattr(known, name), abs=error), name
    rates = {**known.approval["sex"], **known.approval["ethnicity"]}
    text = card.split("Approved are")[1].split("Without")[0]
    shares = [float(n) / 100 for n in re.findall(r"([\d.]+) %", text)]
    order = ["female", "male", "Almarin", "Borvek", "Celdane", "Drusami"]
    np.testing.assert_allclose(shares, [rates[name] for name in order], atol=0.02)
