"""Verdicts that hold: shapes of data that raised false alarms, groups that were left out, and the rule."""

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, audit
from course_lib.audit.finding import judge, measured
from course_lib.audit.statistics import from_z, shares


def people(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    return pd.DataFrame(
        {
            "sex": rng.choice(["female", "male"], n),
            "age": age,
            "approved": np.where(rng.random(n) < 0.2 + age / 200, "yes", "no"),
        }
    )


def harm(report):
    return {finding.id for finding in report if finding.verdict in ("fail", "warn")}


# --- one distribution ----------------------------------------------------------------------------


def cities(n, seed):
    rng = np.random.default_rng([seed, 1])
    share = 1 / np.arange(1, 501)
    city = rng.choice([f"city{i}" for i in range(500)], n, p=share / share.sum())
    return people(n, seed).assign(city=city)


def heavy(n, seed):
    rng = np.random.default_rng([seed, 2])
    return people(n, seed).assign(claim=np.round(rng.pareto(1.1, n) * 100, 2))


def visits(n, seed):
    """Ten rows of each patient."""
    rng = np.random.default_rng([seed, 3])
    patients = people(n // 10, seed).assign(patient=rng.permutation(10**7)[: n // 10])
    rows = patients.loc[patients.index.repeat(10)].reset_index(drop=True)
    pressure = rng.normal(130, 12, n // 10).repeat(10) + rng.normal(0, 4, n)
    return rows.assign(pressure=np.round(pressure, 1))


SHAPES = {"a category of 500 levels": cities, "heavy tails": heavy, "several rows a person": visits}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_one_distribution_raises_no_alarm(shape):
    # Each report may find something in 5 % of draws; two of three would be beyond chance.
    alarms = [
        harm(
            audit(
                SHAPES[shape](600, 2 * seed),
                None,
                SHAPES[shape](600, 2 * seed + 1),
                label="approved",
                sensitive=["sex"],
                progress=False,
            )
        )
        for seed in range(3)
    ]
    assert sum(map(bool, alarms)) <= 1, alarms


@pytest.mark.slow
def test_the_rows_of_one_person_are_one_unit(tmp_path):
    real, made = visits(800, 0), visits(800, 1)
    found = audit(real, None, made, label="approved", entity="patient", progress=False)
    assert found.about["entity"] == "patient" and found.about["rows"]["synthetic"] == 80
    assert found["kolmogorov_smirnov[rows of each patient]"].verdict != "fail"
    assert any("one unit" in note for note in found.notes)
    with pytest.raises(AuditError, match="no column 'person'"):
        audit(real, None, made, entity="person", progress=False)
    made.loc[:29, "patient"] = real.loc[770:, "patient"].to_numpy()
    paths = [str(tmp_path / name) for name in ("real.csv", "made.csv")]
    for table, path in zip((real, made), paths, strict=True):
        table.to_csv(path, index=False)
    assert cli.main(["audit", *paths, "--entity", "patient", "--quiet"]) == 1


@pytest.mark.slow
def test_a_person_in_both_real_tables_is_no_holdout():
    table = visits(1200, 0)
    real, held = table.iloc[np.arange(1200) % 10 < 7], table.iloc[np.arange(1200) % 10 >= 7]
    report = audit(real, held, visits(1000, 1), progress=False)
    assert report["holdout_overlap[patient]"].verdict == "fail"


# --- nobody left out -----------------------------------------------------------------------------


def nations(n, seed, refused=None):
    rng = np.random.default_rng([seed, 4])
    share = np.linspace(2, 1, 15)
    nation = rng.choice([f"N{i:02}" for i in range(15)], n, p=share / share.sum())
    table = people(n, seed).assign(nation=nation)
    table.loc[table["nation"] == refused, "approved"] = "no"
    return table


@pytest.mark.slow
def test_the_fourteenth_of_fifteen_nations_is_looked_at():
    report = audit(
        nations(3000, 0), None, nations(3000, 1, "N13"), label="approved", sensitive="nation",
        progress=False,
    )  # fmt: skip
    assert report["label_rate[nation = N13]"].verdict == "fail"
    assert {f"group_share[nation = N{i:02}]" for i in range(15)} <= {f.id for f in report}
    rates = [f for f in report if f.metric == "label_rate" and f.verdict in ("fail", "warn")]
    assert len(rates) == 1


@pytest.mark.slow
def test_people_of_unknown_sex_are_a_group_and_small_groups_are_listed():
    def table(seed, refused):
        rows = people(2000, seed)
        gone = np.random.default_rng([seed, 5]).random(2000) < 0.2
        rows.loc[gone, "sex"] = None
        rows.loc[:3, "sex"] = "diverse"
        if refused:
            rows.loc[gone, "approved"] = "no"
        return rows

    report = audit(
        table(0, False), None, table(1, True), label="approved", sensitive="sex", progress=False
    )
    assert report["label_rate[sex is missing]"].verdict == "fail"
    small = report["small_groups[sex]"]
    assert small.verdict == "underpowered" and "sex = diverse (4)" in small.method
    assert "a group needs about" in small.method


@pytest.mark.slow
def test_every_class_of_a_label_has_a_rate():
    def table(seed, women):
        rng = np.random.default_rng(seed)
        rows = people(1500, seed).drop(columns="approved")
        share = np.where(rows["sex"] == "female", women, 0.2)
        rows["grade"] = np.where(rng.random(1500) < share, "c", rng.choice(["a", "b"], 1500))
        return rows

    report = audit(
        table(0, 0.2), None, table(1, 0.5), label="grade", sensitive="sex", progress=False
    )
    assert report["label_rate[sex = female]"].verdict == "fail"  # of the last level, c
    rates = [f.id for f in report if f.metric == "label_rate" and "female" in f.id]
    assert len(rates) == 3


@pytest.mark.slow
def test_the_margin_does_not_depend_on_which_level_is_positive():
    tables = people(400, 0), None, people(400, 1)
    margins = {
        audit(*tables, label="approved", positive=level, sensitive="sex", progress=False)[
            "label_rate[sex = female]"
        ].margin
        for level in ("yes", "no")
    }
    assert len({round(margin, 9) for margin in margins}) == 1


@pytest.mark.slow
def test_dates_have_weekdays_months_and_hours():
    def table(seed, closed):
        rng = np.random.default_rng(seed)
        days = pd.Timestamp("2021-01-04") + pd.to_timedelta(rng.integers(0, 700, 900), "D")
        if closed:  # nobody comes on Sundays any more
            days = days.where(days.day_of_week != 6, days - pd.Timedelta(days=1))
        return pd.DataFrame({"day": days, "x": rng.normal(size=900)})

    clean = audit(table(0, False), None, table(1, False), progress=False)
    assert not harm(clean) and "total_variation[day: month]" in {f.id for f in clean}
    found = audit(table(0, False), None, table(1, True), progress=False)
    assert found["total_variation[day: weekday]"].verdict == "fail"
    assert "2021-" in clean["kolmogorov_smirnov[day]"].method


# --- the tables themselves -----------------------------------------------------------------------
@pytest.mark.slow
def test_repeated_rows_keys_and_a_shifted_holdout_are_told():
    real, held, made = (people(n, seed) for seed, n in enumerate((600, 300, 600)))
    for table, start in zip((real, held, made), (0, 600, 5000), strict=True):
        table["customer_id"] = np.random.default_rng(start).permutation(len(table)) + start + 7
    clean = audit(real, held, made, progress=False)
    assert clean["duplicate_rows[whole rows]"].verdict == "pass"
    assert clean["holdout_drift[whole rows]"].verdict == "pass"
    thrice = pd.concat([made.iloc[:200]] * 3, ignore_index=True)
    found = audit(real, held.assign(age=held["age"] + 9), thrice, progress=False)
    assert found["duplicate_rows[whole rows]"].verdict == "fail"
    assert "400 of 600 synthetic rows" in found["duplicate_keys[customer_id]"].method
    assert found["duplicate_keys[customer_id]"].verdict == "fail"
    assert found["holdout_drift[whole rows]"].verdict == "warn"
    assert "'age'" in found["holdout_drift[whole rows]"].method


def test_names_of_people_are_personal_data():
    names = [
        f"{a} {b}" for a in ("Ada", "Emmy", "Zoë", "Jean-Luc") for b in ("O'Hara", "Li", "Sól")
    ]
    table = people(120, 0).assign(full_name=names * 10, product_group=names * 10)
    report = audit(
        table, None, people(120, 1).assign(full_name="x", product_group="x"), progress=False
    )
    assert "names of people" in report["personal_data[full_name]"].method
    assert "personal_data[product_group]" not in {f.id for f in report}


@pytest.mark.slow
def test_arrow_tables_are_taken_as_they_are():
    arrow = pytest.importorskip("pyarrow")
    tables = [people(200, 0), people(200, 1)]
    one, two = (arrow.Table.from_pandas(table) for table in tables)

    class Stream:  # what any library with Arrow's interface has
        def __arrow_c_stream__(self, schema=None):
            return two.__arrow_c_stream__(schema)

    options = {"label": "approved", "sensitive": "sex", "progress": False}
    expected = audit(tables[0], None, tables[1], **options).to_json()
    assert audit(one, None, two, **options).to_json() == expected
    assert audit(one, None, Stream(), **options).to_json() == expected


# --- one headline per cause ----------------------------------------------------------------------


def earners(n, seed):
    rng = np.random.default_rng([seed, 6])
    income = rng.lognormal(10, 0.5, n)
    table = people(n, seed).assign(income=np.round(income), rent=np.round(income / 30, 1))
    return table.assign(food=np.round(income**0.5 * rng.lognormal(0, 0.2, n)))


def headlines(report):
    return [line for line in str(report).splitlines() if line.startswith(("  fail", "  warn"))]


def test_a_column_that_moved_is_told_once():
    made = earners(1500, 1)
    made["income"] *= 2
    report = audit(earners(1500, 0), None, made, progress=False)
    assert sum(f.verdict == "fail" for f in report) > 5
    (line,) = (line for line in headlines(report) if line.startswith("  fail"))
    assert "[income" in line and "more come with it" in line


def test_a_column_whose_dependence_is_lost_is_told_once():
    made = earners(1500, 1)
    made["income"] = made["income"].sample(frac=1, random_state=0).to_numpy()
    report = audit(earners(1500, 0), None, made, progress=False)
    (line,) = headlines(report)
    assert line.startswith("  fail fidelity: pair_total_variation[") and "income" in line


def test_repeated_rows_are_the_cause_of_what_follows_from_them():
    made = pd.concat([earners(100, 1)] * 10, ignore_index=True)
    told = headlines(audit(earners(1000, 0), None, made, progress=False))
    assert "duplicate_rows[whole rows]" in told[0] and "more come with it" in told[0]
    assert not [line for line in told if " fidelity: " in line]


# --- the rule ------------------------------------------------------------------------------------


def test_a_family_full_of_faults_lends_its_small_p_values_to_no_other():
    broken = [measured("fidelity", "levels", str(i), from_z(9, 1, 99), margin=1) for i in range(50)]
    sound = [measured("bias", "label_rate", str(i), from_z(2.1 * (i == 0), 1, 99), margin=1)
             for i in range(20)]  # fmt: skip
    assert {f.verdict for f in judge(broken)} == {"fail"}
    verdicts = {f.family: set() for f in judge([*broken, *sound])}
    for finding in judge([*broken, *sound]):
        verdicts[finding.family].add(finding.verdict)
    assert verdicts["fidelity"] == {"fail"}
    assert not verdicts["bias"] & {"fail", "warn"}


def test_with_one_family_the_correction_is_benjamini_and_hochbergs():
    p = [0.001, 0.02, 0.03, 0.5]
    drafts = [measured("bias", "label_rate", str(x), from_z(1, 1, 9, p=x), margin=1) for x in p]
    assert [round(f.q, 6) for f in judge(drafts)] == [0.004, 0.04, 0.04, 0.5]


@pytest.mark.parametrize(("rows", "verdict"), [(100, "underpowered"), (100_000, "pass")])
def test_pass_means_that_the_interval_is_inside_the_margin(rows, verdict):
    comparison = shares(rows // 2, rows, rows // 2, rows)
    (found,) = judge([measured("bias", "label_rate", "x", comparison, margin=0.05)])
    assert found.verdict == verdict
    assert (max(abs(found.low), abs(found.high)) <= 0.05) == (verdict == "pass")


# --- several rows of one person, one after the other ---------------------------------------------


def diary(persons, seed):
    """Eight days of each person: a level that persists, a state that mostly stays, and days between."""
    rng = np.random.default_rng([seed, 7])
    level = np.zeros((persons, 8))
    state = np.zeros((persons, 8), int)
    for day in range(1, 8):
        level[:, day] = 0.8 * level[:, day - 1] + rng.normal(size=persons)
        state[:, day] = np.where(
            rng.random(persons) < 0.2, rng.integers(3, size=persons), state[:, day - 1]
        )
    gaps = rng.integers(1, 5, (persons, 8)).cumsum(axis=1)
    days = pd.Timestamp("2021-01-04") + pd.to_timedelta(
        (gaps + rng.integers(200, size=(persons, 1))).ravel(), "D"
    )
    return pd.DataFrame(
        {
            "patient": np.repeat(rng.permutation(10**6)[:persons], 8),
            "sex": np.repeat(rng.choice(["female", "male"], persons), 8),
            "level": level.ravel().round(3),
            "state": np.array(["well", "ill", "away"])[state.ravel()],
            "day": days,
        }
    )  # fmt: skip


SEQUENCES = ("lag_correlation", "transition_shares", "spell_length", "time_since_last")


@pytest.mark.slow
def test_sequences_of_one_distribution_raise_no_alarm():
    reports = [audit(diary(150, k), None, diary(150, k + 50), progress=False) for k in range(3)]
    found = {f.metric for report in reports for f in report}
    assert set(SEQUENCES) <= found
    assert sum(any(name.startswith(SEQUENCES) for name in harm(report)) for report in reports) <= 1
    assert any("follow each other was compared, by 'day'" in note for note in reports[0].notes)


def test_rows_that_were_made_one_by_one_fail_as_sequences():
    made = diary(150, 1)
    rng = np.random.default_rng(0)
    for name in ("level", "state"):
        made[name] = rng.permutation(made[name])
    made["day"] = made["day"].min() + 3 * (made["day"] - made["day"].min())
    report = audit(diary(150, 0), None, made, entity="patient", progress=False)
    for id in ("lag_correlation[level]", "transition_shares[state]", "spell_length[state]",
               "time_since_last[day]"):  # fmt: skip
        assert report[id].verdict == "fail", id
    assert report["transition_shares[sex]"].verdict != "fail"
    assert report["lag_correlation[level]"].estimate == pytest.approx(-0.8, abs=0.15)


def test_what_a_person_keeps_for_life_raises_no_alarm():
    """Both rank correlations are 1, and their standard errors are no more than rounding."""
    rng = np.random.default_rng(0)
    real, made = (
        pd.DataFrame({"patient": np.repeat(np.arange(30), 10)}).assign(
            age=rng.integers(18, 80, 30).repeat(10), pressure=rng.normal(size=300)
        )
        for _ in range(2)
    )
    found = audit(real, None, made, entity="patient", progress=False)["lag_correlation[age]"]
    assert (found.p, found.verdict) == (1.0, "pass")
    made["age"] = rng.permutation(made["age"])
    found = audit(real, None, made, entity="patient", progress=False)["lag_correlation[age]"]
    assert found.verdict == "fail"


# --- hidden rows ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_hidden_rows_hide_the_values_of_few_people_too(tmp_path):
    def table(seed):
        rng = np.random.default_rng([seed, 8])
        rows = people(400, seed)
        rows["city"] = rng.choice(["Ostby", "Vik"], 400)
        rows["wealth"] = np.round(rng.lognormal(10, 1, 400), 2)
        return rows

    real, made = table(0), table(1)
    real.loc[:2, "city"], real.loc[3, "wealth"] = "Lonely Rock", 98765432.1
    made.loc[:9, "sex"] = "other"
    real.loc[4:5, "sex"] = "other"
    asked = {"label": "approved", "sensitive": ["sex", "city"], "progress": False}
    shown, hidden = (audit(real, None, made, list_rows=flag, **asked) for flag in (True, False))
    for text in (hidden.to_html(), hidden.to_json(), str(hidden)):
        assert "Lonely Rock" not in text
        assert "98765432" not in text.replace(",", "")
        assert "sex = other" not in text
    assert "Lonely Rock" in shown.to_html() and "98,765,432" in shown.to_json()
    assert "1 of fewer than 5 people" in hidden["small_groups[city]"].method
    assert "1 levels of fewer than 5 people" in hidden["levels[city]"].method
    for profile in hidden.profiles:
        rows = np.round(np.array(profile.real) * 400)
        assert ((rows == 0) | (rows >= 5)).all(), profile.name
