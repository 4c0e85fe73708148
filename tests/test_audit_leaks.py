"""A leak stops the audit: people whose rows, values or identifiers came back, with their rows."""

import importlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import audit
from course_lib.audit.checks import chances, leaks, near_copies
from course_lib.audit.entry_points import with_holdout
from course_lib.audit.evidence import Evidence
from course_lib.audit.table import prepare
from course_lib.audit.values import Values


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
    assert chances.steps(np.array([0.0, 3700, 0.37, 1 / 3])).tolist() == [1e4, 100, 0.01, 1 / 24]


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
    (draft,) = near_copies.near_copies(
        Evidence(tables, holdout_given=False), np.random.default_rng([seed, 8])
    )
    assert draft.finding.verdict == "not testable"


# --- kinds of leak that passed once ------------------------------------------------------------


def planted(made, rows, at=0):
    """The table with its rows from `at` on replaced by others."""
    return pd.concat([made.iloc[:at], rows, made.iloc[at + len(rows) :]], ignore_index=True)


@pytest.mark.parametrize("given", [False, True])
def test_one_copy_among_thousands_is_enough(given):
    train, holdout, made = (people(n, seed) for seed, n in enumerate((2500, 500, 3000)))
    assert found(train, holdout, made, given)["verbatim_people[whole rows]"].verdict != "fail"
    told = found(train, holdout, planted(made, train.iloc[[7]]), given)[
        "verbatim_people[whole rows]"
    ]
    assert (told.verdict, told.n) == ("fail", 1) and "1 (8)" in told.method


def test_copies_are_found_though_real_rows_were_entered_twice():
    rows, made = people(1100, 0), people(1100, 1)
    real = pd.concat([rows, rows.iloc[::10]], ignore_index=True)
    train, holdout = halves(real)
    id = "verbatim_people[whole rows]"
    assert found(train, holdout, made, given=False)[id].verdict == "not testable"
    told = found(train, holdout, planted(made, real.iloc[[0, 5, 33]]), given=False)[id]
    assert (told.verdict, told.n) == ("fail", 3)  # the first stands in the real rows twice


def test_copies_with_one_column_changed_name_the_column():
    train, holdout, made = (people(n, seed) for seed, n in enumerate((1000, 500, 1000)))
    id = "verbatim_people[whole rows but for one column]"
    assert found(train, holdout, made)[id].verdict == "pass"
    changed = train.iloc[[3, 9, 27]].assign(age=[20, 21, 22])
    told = found(train, holdout, planted(made, changed))[id]
    assert (
        (told.verdict, told.n) == ("fail", 3) and "'age'" in told.method and "1 (4)" in told.method
    )


def test_copies_of_the_holdout_are_told_as_that():
    train, holdout, made = (people(n, seed) for seed, n in enumerate((1000, 500, 1000)))
    findings = found(train, holdout, planted(made, holdout.iloc[[4, 8]]))
    told = findings["verbatim_people[whole rows of the holdout]"]
    assert told.verdict == "fail" and "the generator has seen it" in told.method
    assert "the holdout row of each" in told.method
    assert set(re.findall(r"(\d+) \((\d+)\)", told.method)) == {("1", "5"), ("2", "9")}
    assert findings["verbatim_people[whole rows]"].verdict == "pass"


@pytest.mark.parametrize("given", [False, True])
def test_ten_near_copies_among_two_thousand_are_found(given):
    def wide(n, seed):
        rng = np.random.default_rng(seed + 10)
        more = {f"x{k}": rng.normal(size=n) for k in range(4)}
        return people(n, seed).assign(**more)

    train, holdout, made = (wide(n, seed) for seed, n in enumerate((2000, 500, 2000)))
    near = train.iloc[:10].copy()
    for name in ("income", "x0", "x1", "x2", "x3"):
        near[name] += np.random.default_rng(5).normal(0, 0.005, 10) * train[name].std()
    id = "near_copies[whole rows]"
    assert found(train, holdout, made, given)[id].verdict != "fail"
    told = found(train, holdout, planted(made, near), given)[id]
    assert (told.verdict, told.n) == ("fail", 10)


def test_one_number_that_is_far_from_all_others_is_a_person_s():
    rng = np.random.default_rng(0)
    pay = pd.DataFrame(
        {"pay": np.round(rng.lognormal(10, 0.6, 4000)), "sex": rng.choice([*"fm"], 4000)}
    )
    train, made = pay.iloc[:2000].copy(), pay.iloc[2000:].copy()
    train.iloc[7, 0] = 987_654_321
    assert found(*halves(train), made, given=False)["rare_values[pay]"].verdict == "not testable"
    made.iloc[5, 0] = 987_654_321
    told = found(*halves(train), made, given=False)["rare_values[pay]"]
    assert told.verdict == "fail" and "they lie far from all other numbers" in told.method
    assert "6 (8)" in told.method


def test_levels_that_single_people_have_are_leaks_if_most_come_back():
    rng = np.random.default_rng(0)
    real, made = (pd.DataFrame({"ill": rng.choice([*"abc"], 900).astype(object)}) for _ in range(2))
    real.loc[:29, "ill"] = [f"rare {k}" for k in range(30)]
    made.loc[:29, "ill"] = [f"rare {k}" for k in range(30, 60)]
    assert found(*halves(real), made, given=False)["rare_values[ill]"].verdict == "not testable"
    made.loc[:24, "ill"] = real["ill"][:25]
    told = found(*halves(real), made, given=False)["rare_values[ill]"]
    assert (told.verdict, told.n) == ("fail", 25)


def test_diseases_of_one_law_come_back():
    share = 1 / np.arange(1, 2001)
    draws = (np.random.default_rng(k).choice(2000, 900, p=share / share.sum()) for k in range(2))
    real, made = (pd.DataFrame({"ill": [f"D{k}" for k in each]}) for each in draws)
    findings = found(*halves(real), made, given=False, schema={"ill": "category"})
    assert findings["rare_values[ill]"].verdict == "not testable"


@pytest.mark.parametrize(
    ("name", "write", "rewrite"),
    [
        ("email", "u{}@mail.org", str.upper),
        ("phone", "+49 170 {}", lambda word: word.replace("+49 ", "0049-").replace(" ", "")),
        ("customer_id", "{}", lambda word: f"{word}.0"),
        (
            "note",
            "the {} patient came on foot and went home by bus",
            lambda word: f" {word.title()}!",
        ),
    ],
)
def test_identifiers_that_are_written_in_another_way_are_reused_all_the_same(name, write, rewrite):
    numbers = np.random.default_rng(0).choice(10**8, 1200, replace=False) + 10**8
    words = [write.format(number) for number in numbers]
    table = people(1200, 0).assign(**{name: words})
    train, holdout, made = table.iloc[:500], table.iloc[500:700], table.iloc[700:].copy()
    kind = {name: "text" if name == "note" else "identifier"}
    id = f"reused_values[{name}]"
    assert found(train, holdout, made, schema={**KINDS, **kind})[id].verdict == "pass"
    made[name] = [*map(rewrite, words[:5]), *made[name][5:]]
    told = found(train, holdout, made, schema={**KINDS, **kind})[id]
    assert (told.verdict, told.n) == ("fail", 5)


KINDS = {
    "sex": "category", "age": "number", "income": "number", "hours": "number", "approved": "category"
}  # fmt: skip


def visits(persons, seed):
    """Ten visits each of people."""
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(persons), 10)
    return pd.DataFrame(
        {
            "patient_id": whose + 10_000 * seed,
            "sex": rng.choice(["f", "m"], persons)[whose],
            "pressure": np.round(
                rng.normal(120, 10, persons)[whose] + rng.normal(0, 5, len(whose)), 2
            ),
            "weight": np.round(rng.normal(70, 9, persons)[whose] + rng.normal(0, 1, len(whose)), 2),
            "note": [f"visit {number}" for number in rng.choice(10**9, len(whose), replace=False)],
        }
    )


@pytest.mark.slow
def test_any_visit_of_a_person_counts_not_only_the_one_that_was_drawn():
    real, made = visits(60, 0), visits(60, 1)
    clean = audit(real, None, made, entity="patient_id", progress=False)
    id = "verbatim_people[whole rows]"
    assert clean[id].verdict == clean["reused_values[note]"].verdict == "not testable"
    made.iloc[30:40, 1:] = real.iloc[50:60, 1:].to_numpy()
    leaky = audit(real, None, made, entity="patient_id", progress=False)
    assert leaky[id].verdict == leaky["reused_values[note]"].verdict == "fail"
    assert "1 of 60 people have 10 of their rows repeated" in leaky[id].method
    assert set(re.findall(r"(\d+) \((\d+)\)", leaky[id].method)) == {
        (str(31 + k), str(51 + k)) for k in range(10)
    }


def test_means_of_few_rows_coincide():
    """A seventh of a whole number is met more often than its digits say; an article has one price."""
    rng = np.random.default_rng(0)
    price = np.round(rng.lognormal(2, 1, 300), 2)
    tables = []
    for _ in range(2):
        bought = [rng.integers(0, 300, rng.integers(1, 4)) for _ in range(400)]
        means = {
            "article": [each.mean() for each in bought],
            "price": [price[e].mean() for e in bought],
        }
        tables.append(pd.DataFrame(means))
    findings = found(*halves(tables[0]), tables[1], given=False)
    assert verdicts(findings) == {"not testable"}
    assert chances.steps(np.array([22 / 7, 5.0, 0.5])).tolist() == pytest.approx([1 / 7, 1, 0.5])


def test_a_value_that_many_have_does_not_make_two_columns_one():
    """Two people with equal incomes and no debt: that is no sign that debts go with incomes."""
    income = Values("income", "number", np.array([1.0, 1, 2, 3, 4, 5, 6, 7]), np.zeros(1))
    debt = Values("debt", "number", np.array([0.0, 0, 0, 0, 0, 11, 12, 13]), np.zeros(1))
    assert chances.match_given(income, debt) == 1.0
    assert chances.match_given(income, debt, rare=True) == 0.0
    item = Values("item", "number", np.repeat(np.arange(1.0, 41), 2), np.zeros(1))
    price = Values("price", "number", np.repeat(np.arange(101.0, 141), 2), np.zeros(1))
    assert chances.match_given(item, price, rare=True) == 1.0
