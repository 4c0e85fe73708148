"""A leak stops the audit: people whose rows, values or identifiers came back, with their rows."""

import importlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import audit
from course_lib.audit.checks import leaks
from course_lib.audit.entry_points import with_holdout
from course_lib.audit.evidence import Evidence
from course_lib.audit.table import prepare


def people(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    return pd.DataFrame(
        {
            "sex": rng.choice(["female", "male"], n),
            "age": age,
            "income": np.round(rng.lognormal(10, 0.6, n), 2),
            "hours": np.round(rng.normal(40, 8, n)),
            "approved": np.where(rng.random(n) < 0.2 + age / 200, "yes", "no"),
        }
    )


def found(train, holdout, made, given=True, **options):
    """The leak findings alone, by id: they need no models."""
    tables = prepare(train, holdout, made, **options)
    evidence = Evidence(tables, holdout_given=given)
    drafts = leaks.check(evidence, np.random.default_rng(0))
    return {draft.finding.id: draft.finding for draft in drafts if hasattr(draft, "finding")}


def halves(table):
    return table.iloc[: len(table) * 2 // 3], table.iloc[len(table) * 2 // 3 :]


def verdicts(findings):
    return {finding.verdict for finding in findings.values()}


def test_five_people_copied_word_for_word_are_found_with_their_rows():
    train, holdout, made = (people(n, seed) for seed, n in enumerate((1000, 500, 1000)))
    made.iloc[[7, 20, 99, 500, 999]] = train.iloc[[3, 1, 4, 15, 9]].to_numpy()
    told = found(train, holdout, made)["verbatim_people[whole rows]"]
    assert (told.verdict, told.n, told.family) == ("fail", 5, "privacy")
    pairs = re.findall(r"([\d,]+) \(([\d,]+)\)", told.method)
    assert set(pairs) == {("8", "4"), ("21", "2"), ("100", "5"), ("501", "16"), ("1,000", "10")}


@pytest.mark.parametrize("hide", [False, True])
def test_a_leak_ends_the_command_with_1_and_its_rows_can_be_hidden(tmp_path, capsys, hide):
    train, holdout, made = (people(n, seed) for seed, n in enumerate((300, 150, 300)))
    made.iloc[[7]] = train.iloc[[3]].to_numpy()
    paths = []
    for name, table in (("real", train), ("made", made), ("held", holdout)):
        paths.append(str(tmp_path / f"{name}.csv"))
        table.to_csv(paths[-1], index=False)
    asked = ["audit", *paths[:2], "--holdout", paths[2], "--quiet"] + ["--hide-rows"] * hide
    assert cli.main(asked) == 1
    printed = capsys.readouterr().out
    assert "fail privacy: verbatim_people[whole rows]" in printed.splitlines()[1]
    assert ("8 (4)" in printed) != hide


def test_rows_are_those_of_the_file_where_a_holdout_was_set_aside():
    train, made = people(400, 0), people(400, 1)
    made.iloc[[10, 30]] = train.iloc[[399, 5]].to_numpy()
    report = audit(train, None, made, progress=False)
    told = report["verbatim_people[whole rows]"]
    assert told.verdict == "fail"
    assert set(re.findall(r"(\d+) \((\d+)\)", told.method)) == {("11", "400"), ("31", "6")}


def test_every_reused_address_is_a_leak():
    train, holdout, made = (people(n, seed) for seed, n in enumerate((300, 150, 300)))
    for part, table in (("a", train), ("b", holdout), ("c", made)):
        table["email"] = [f"jane.doe{i}{part}@example.org" for i in range(len(table))]
    assert found(train, holdout, made)["reused_values[email]"].verdict == "pass"
    made.loc[5, "email"] = train.loc[17, "email"]
    told = found(train, holdout, made)["reused_values[email]"]
    assert told.verdict == "fail" and told.n == 1 and "6 (18)" in told.method


def test_running_numbers_and_common_names_coincide():
    rng = np.random.default_rng(0)
    first, last = [f"N{i}" for i in range(40)], [f"Family{i}" for i in range(40)]
    tables = [people(n, seed) for seed, n in enumerate((300, 150, 300))]
    for table, start in zip(tables, (0, 300, 0), strict=True):
        table["code"] = [f"P{start + i:04}" for i in range(len(table))]
        table["name"] = [f"{rng.choice(first)} {rng.choice(last)}" for _ in range(len(table))]
    told = found(*tables)
    assert {told[f"reused_values[{name}]"].verdict for name in ("code", "name")} == {"pass"}


def test_near_copies_are_found_without_a_holdout_and_privacy_never_passes():
    real, made = people(1500, 0), people(1500, 1)
    rng = np.random.default_rng(2)
    near = real.iloc[:150].copy()
    for name in ("age", "income", "hours"):
        near[name] = np.round(near[name] * (1 + 0.01 * rng.normal(size=150)), 2)
    near[["age", "hours"]] = near[["age", "hours"]].round()
    copied = pd.concat([near, made.iloc[150:]], ignore_index=True)
    assert found(*halves(real), copied, given=False)["near_copies[whole rows]"].verdict == "fail"
    clean = found(*halves(real), made, given=False)
    assert verdicts(clean) == {"not testable"}


@pytest.mark.slow
def test_without_a_holdout_nothing_about_privacy_passes():
    report = audit(people(300, 0), None, people(300, 1), label="approved", progress=False)
    private = [finding for finding in report if finding.family == "privacy"]
    assert {finding.verdict for finding in private} == {"not testable"}
    assert "membership_auc[whole rows]" in {finding.id for finding in private}
    assert "not testable" in str(report)
    assert "have seen" in report["utility[predicting approved]"].caveat
    assert report.gate() and not report.gate({"underpowered": True})


def test_numbers_and_outliers_of_single_people_are_leaks():
    train, holdout, made = (people(n, seed) for seed, n in enumerate((1000, 500, 1000)))
    assert found(train, holdout, made)["rare_values[income]"].verdict == "pass"
    shuffled = made.assign(income=train["income"].sample(frac=1, random_state=0).to_numpy())
    told = found(train, holdout, shuffled)["rare_values[income]"]
    assert told.verdict == "fail" and told.n > 900
    train.loc[11, "income"] = made.loc[3, "income"] = 9_123_456.78
    told = found(train, holdout, made)["rare_values[income]"]
    assert (
        told.verdict == "fail" and "1 of them outliers" in told.method and "4 (12)" in told.method
    )


def test_two_numbers_of_one_person_are_a_leak_in_any_row():
    train, holdout, made = (people(n, seed) for seed, n in enumerate((1000, 500, 1000)))
    for table in (train, holdout, made):
        rng = np.random.default_rng(len(table) + int(table["income"].iloc[0]))
        table["debt"] = np.round(rng.lognormal(9, 1, len(table)), 2)
    clean = found(train, holdout, made)["rare_pairs[two numbers]"]
    assert (clean.verdict, clean.n) == ("pass", 0)
    made.loc[3, ["income", "debt"]] = train.loc[11, ["income", "debt"]].to_numpy(float)
    told = found(train, holdout, made)["rare_pairs[two numbers]"]
    assert (told.verdict, told.n) == ("fail", 1) and "4 (12)" in told.method
    # One number that several people have is nobody's own.
    train.loc[12, "debt"] = train.loc[11, "debt"]
    assert found(train, holdout, made)["rare_pairs[two numbers]"].n == 0


def test_two_numbers_in_whole_units_are_a_leak_of_an_outlier_and_chance_in_a_crowd():
    def drawn(seed):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame({"income": rng.lognormal(8, 0.8, 400).round()})
        return table.assign(debt=rng.lognormal(6, 1, 400).round())

    for seed in range(0, 30, 3):
        train, holdout, made = (drawn(seed + part) for part in range(3))
        copied = ["income", "debt"]
        train.loc[7] = [46_813.0, 9_377.0]
        middle = (train / train.median() - 1).abs().sum(axis=1).argmin()
        told = {}
        for name, person in (("outlier", 7), ("middle", middle)):
            leaked = made.copy()
            leaked.loc[3, copied] = train.loc[person, copied]
            told[name] = found(train, holdout, leaked)["rare_pairs[two numbers]"]
        assert found(train, holdout, made)["rare_pairs[two numbers]"].n == 0
        assert told["outlier"].verdict == "fail" and "4 (8)" in told["outlier"].method
        assert told["middle"].n == 0


def test_a_round_number_is_met_by_coincidence_more_often():
    assert leaks._steps(np.array([0.0, 3700, 0.37, 1 / 3])).tolist() == [1e4, 100, 0.01, 1 / 24]


SHAPES = {
    "people": people,
    "few values": lambda n, s: pd.DataFrame(
        np.random.default_rng(s).integers(0, 4, (n, 6)), columns=list("abcdef")
    ).astype(str),
    "some coincide": lambda n, s: pd.DataFrame(
        np.random.default_rng(s).poisson(4, (n, 4)), columns=list("abcd")
    ),
    "counts with a heavy tail": lambda n, s: pd.DataFrame(
        np.floor(np.random.default_rng(s).pareto(1.2, (n, 3)) * 10), columns=list("abc")
    ),
    "rounded, and one column determines another": lambda n, s: people(n, s).assign(
        income=lambda t: t["income"].round(-3), tax=lambda t: (t["income"] * 0.3).round(-2)
    ),
    "prices from a list": lambda n, s: pd.DataFrame(
        {
            "price": np.random.default_rng(99)
            .lognormal(3, 1, 400)
            .round(2)[np.random.default_rng(s).zipf(1.3, n) % 400],
            "pieces": np.random.default_rng(s).poisson(2, n),
        }
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("n", [150, 900])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_distribution_gives_no_leaks(shape, n):
    for seed in range(6):
        for given in (True, False):
            parts = (SHAPES[shape](rows, 3 * seed + k) for k, rows in enumerate((n, n // 2, n)))
            bad = {
                f.id: f.method for f in found(*parts, given=given).values() if f.verdict == "fail"
            }
            assert not bad, (seed, given, bad)


def test_equal_times_of_day_may_be_coincidence():
    def visits(seed):
        rng = np.random.default_rng(seed)
        minutes = rng.normal(780, 150, 300).clip(0, 1439).astype(int) + 1440 * rng.integers(
            0, 400, 300
        )
        return people(300, seed).assign(
            at=pd.Timestamp("2020-01-02") + pd.to_timedelta(minutes, "min")
        )

    real = [visits(seed) for seed in range(0, 12, 2)]
    made = [visits(seed) for seed in range(1, 13, 2)]
    made[0].loc[7, "at"] = real[0].loc[3, "at"]  # a coincidence for certain
    told = [
        found(*halves(one), two)["rare_values[at]"] for one, two in zip(real, made, strict=True)
    ]
    assert {each.verdict for each in told} == {"pass"}
    made[0].loc[:60, "at"] = real[0].loc[:60, "at"]
    assert found(*halves(real[0]), made[0])["rare_values[at]"].verdict == "fail"


def gains(n, seed):
    """Nine in ten gain nothing, the others one of 150 amounts: so is capital_gain in Adult."""
    rng, weights = np.random.default_rng(seed), 1 / np.arange(1, 151)
    amounts = np.random.default_rng(0).choice(np.arange(1000, 30_000), 150, replace=False)
    gain = np.where(rng.random(n) < 0.9, 0, rng.choice(amounts, n, p=weights / weights.sum()))
    return people(n, seed).assign(gain=gain)


def test_rare_amounts_of_a_short_list_come_back_by_coincidence():
    for seed in range(5):
        train, holdout, made = (gains(2000, 10 * seed + part) for part in range(3))
        told = found(train, holdout, made)["rare_values[gain]"]
        assert (told.verdict, told.n > 2) == ("pass", True), told.method
    outlier = train["gain"].idxmax()
    train.loc[outlier, ["gain", "income"]] = 54_321, 999_999.01
    made.loc[[7], list(made)] = train.loc[[outlier]].to_numpy()
    told = found(train, holdout, made.astype(train.dtypes))
    assert told["verbatim_people[whole rows]"].verdict == "fail"


def test_equal_numbers_without_a_step_give_no_warning(rng):
    """Such as the mean of a customer's payments: a number without a step, which two rows share."""
    tables = [pd.DataFrame(rng.normal(size=(90, 2)), columns=["a", "b"]) for _ in range(3)]
    tables[0].loc[1, "a"] = tables[0].loc[0, "a"]
    with np.errstate(all="raise"):
        told = found(*tables)
    assert told["rare_pairs[two numbers]"].verdict == "pass"


@pytest.mark.parametrize(
    ("shape", "seed"), [("dates", 50508), ("dependent", 50604), ("dependent", 50613)]
)
def test_real_rows_that_are_near_to_each_other_count_as_one_event(shape, seed, monkeypatch):
    """Draws of one distribution that failed while the two rows of a pair counted one by one."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    drawn = importlib.import_module("audit_shapes").drawn
    real, made = (drawn(shape, 300, seed, side) for side in (0, 1))
    halves_of_real, _, _ = with_holdout(real, None, seed)
    tables = prepare(*halves_of_real, made, None, "approved", None, ["sex"])
    (draft,) = leaks._near_copies(
        Evidence(tables, holdout_given=False), np.random.default_rng([seed, 8])
    )
    assert draft.finding.verdict == "not testable"
