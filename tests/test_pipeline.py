"""The pipeline: what runs once, what is stopped and why, what a kill leaves, and what the budget allows."""

import itertools
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import hypergeom, kstest

from course_lib.cli import main
from course_lib.pipeline.budget import Budget, charge
from course_lib.pipeline.contract import Contract, Rule, as_csv
from course_lib.pipeline.journal import Journal, PipelineError
from course_lib.pipeline.labels import POISONS, LabelCells, bet, poison_p_value
from course_lib.pipeline.running import Pipeline, in_force
from course_lib.pipeline.sequential import (
    Ranked,
    e_cusum,
    e_value,
    group_p_values,
    hypergeometric_tails,
    one_value_p_value,
    share_p_value,
    shift_e_value,
)
from course_lib.pipeline.settings import PipelineSettings, read_settings
from course_lib.pipeline.steps import FolderStore, run_once
from course_lib.pipeline.watching import evidence, next_cusums

# --- e-values ----------------------------------------------------------------------------------


def test_an_e_value_has_a_mean_of_at_most_one():
    p = (np.arange(2_000_000) + 0.5) / 2_000_000  # evenly spaced: the mean over a uniform p
    assert 0.9 < e_value(p).mean() <= 1
    assert (np.diff(e_value(np.array([1e-300, 1e-9, 0.01, 0.5, 0.9999, 1.0]))) < 0).all()
    # No jump where the series takes over.
    assert e_value(np.array([np.exp(-0.99e-4), np.exp(-1.01e-4)])) == pytest.approx(0.5, rel=1e-4)


def test_the_cusum_of_good_days_stays_below_its_limit():
    """At most T / c of good streams: 60 days, limit 1200, so 5 %. The bound is loose."""
    rng = np.random.default_rng(0)
    reached = [e_cusum(e_value(rng.random(60))).max() >= 1200 for _ in range(4000)]
    assert np.mean(reached) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_p_values_of_shares_are_not_too_small(share):
    rng = np.random.default_rng(1)
    p = np.array(
        [
            share_p_value(int(k), 400, int(before), 3000)
            for k, before in zip(
                rng.binomial(400, share, 3000), rng.binomial(3000, share, 3000), strict=True
            )
        ]
    )
    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() < level + 3 * np.sqrt(level / 3000)


def test_groups_are_compared_each_for_itself():
    rng = np.random.default_rng(2)
    group, before = rng.integers(0, 3, 600), rng.integers(0, 3, 4000)
    label = np.where(group == 1, rng.random(600) < 0.1, rng.random(600) < 0.5).astype(int)
    p = group_p_values(label, group, (rng.random(4000) < 0.5).astype(int), before)
    assert p[1] < 1e-10 and p[[0, 2]].min() > 0.001


def test_the_tails_are_those_of_scipy():
    rng = np.random.default_rng(5)
    for _ in range(100):
        whole = int(rng.integers(2, 20_000))
        marked, n = int(rng.integers(0, whole + 1)), int(rng.integers(1, min(whole, 2000) + 1))
        k = int(rng.hypergeometric(marked, whole - marked, n))
        wanted = hypergeom.cdf(k, whole, marked, n), hypergeom.sf(k - 1, whole, marked, n)
        assert hypergeometric_tails(k, n, marked, whole) == pytest.approx(wanted, rel=1e-6)


def test_a_mark_on_few_rows_is_seen_and_common_values_are_not():
    rng = np.random.default_rng(6)
    p = np.array(
        [one_value_p_value(rng.poisson(20, 100), rng.poisson(20, 900)) for _ in range(400)]
    )
    assert (p < 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 / 400)
    amounts = rng.integers(5, 300, 1400) * 100.0
    assert one_value_p_value(np.append(amounts[:388], [7777.0] * 12), amounts[400:]) < 1e-4
    assert one_value_p_value(np.zeros(0), amounts) == 1


# --- labels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", POISONS)
def test_the_p_value_against_poison_is_uniform_and_independent_of_the_day_before(poison):
    rng = np.random.default_rng(8)
    rates, trusted, found = np.array([0.005, 0.05, 0.5]), np.full(3, 150), []
    for _ in range(400):
        k, n = np.array([rng.binomial(trusted, rates), trusted]), np.full(3, 60)
        p = []
        for _ in range(2):
            today = rng.binomial(n, rates)
            p.append(poison_p_value(today, n, *k, POISONS[poison], rng.random()))
            k = k + np.array([today, n])
        found.append(p)
    first, second = np.array(found).T
    assert min(kstest(first, "uniform").pvalue, kstest(second, "uniform").pvalue) > 0.001
    assert abs(np.corrcoef(first, second)[0, 1]) < 3.3 / np.sqrt(400)


def test_an_e_value_of_a_bet_has_the_mean_one():
    p = (np.arange(1000) + 0.5) / 1000
    assert np.mean([bet(float(x), 0.5) for x in p]) == pytest.approx(1, abs=0.01)


def labelled(count, seed, poisoned=0.0):
    """Rows whose label can be predicted, and a part of which is set to "yes"."""
    table, rng = people(count, seed), np.random.default_rng([seed, 1])
    yes = (table["x"] + table["z"] + 0.3 * rng.normal(size=count) > 1) | (
        rng.random(count) < poisoned
    )
    return table.assign(label=np.where(yes, "yes", "no"))


def days_until_found(seed, poisoned, days=14):
    cells = LabelCells(labelled(2000, seed), PEOPLE)
    counts, cusums = [], {}
    for day in range(days):
        today = cells.count(labelled(300, 1000 * seed + day, poisoned))
        found = cells.values(today, counts)
        counts.append(today)
        cusums = next_cusums(cusums, {name: value.e for name, value in found.items()})
        if max(evidence(cusums).values()) > 60 / 0.05:
            return day + 1
    return 0


def test_a_twentieth_of_labels_set_to_yes_is_found_where_they_are_rare():
    assert all(1 <= days_until_found(seed, 0.05) <= 4 for seed in range(1, 4))
    assert [days_until_found(seed, 0.0) for seed in range(1, 4)] == [0] * 3


def test_without_a_label_that_varies_nothing_is_watched():
    numbers = replace(PEOPLE, label="x")
    cells = LabelCells(people(100, 0), numbers)
    assert cells.values(cells.count(people(50, 1)), []) == {}
    cells = LabelCells(people(100, 0).assign(label="no"), PEOPLE)
    found = cells.values(cells.count(people(50, 1).assign(label="no")), [])
    assert all(0 < value.p <= 1 for value in found.values()) and len(found) == len(POISONS)


def test_ranked_compares_as_scipy_does():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(3)
    today, before = rng.integers(0, 40, 300).astype(float), rng.integers(3, 40, 2000).astype(float)
    inside = rng.random(2300) < 0.4
    assert Ranked(today, before).distance() == pytest.approx(ks_2samp(today, before).statistic)
    found = Ranked(today, before).distance(inside)
    assert found == pytest.approx(ks_2samp(today[inside[:300]], before[inside[300:]]).statistic)
    assert Ranked(today, before).p_value(np.zeros(2300, bool)) == 1.0
    assert Ranked(today, before).p_value(tolerance=1.0) == 1.0


def test_a_bet_on_a_shift_has_the_mean_one_over_all_orders():
    """Exactly one, and so is the mean of all bets of which it is made."""
    n, m = 3, 5
    found = []
    for today in itertools.combinations(range(n + m), n):
        before = set(range(n + m)) - set(today)
        U = sum(one < other for one in today for other in before)
        found.append(shift_e_value(U, n, m))
    assert np.mean(found) == pytest.approx(1, rel=1e-12)
    assert shift_e_value(0, 400, 400) == shift_e_value(400 * 400, 400, 400) > 1e50
    assert shift_e_value(0, 30_000, 30_000) < np.inf and shift_e_value(0, 0, 9) == 1


def test_a_bet_on_a_shift_finds_it_sooner_than_the_distribution_does():
    rng = np.random.default_rng(4)
    more = []
    for _ in range(20):
        ranked = Ranked(rng.normal(0.35, 1, 400), rng.normal(0, 1, 2000))
        more.append(ranked.shift_e_value() / float(e_value(np.array(ranked.p_value()))))
    assert np.median(more) > 30


def test_values_that_tie_are_no_evidence():
    """All are equal: an order by lot, so none is told from another."""
    same = [Ranked(np.zeros(n), np.zeros(2000)).shift_e_value() for n in range(100, 160)]
    assert np.mean(same) < 1.5 and max(same) < 100


def test_a_stream_without_an_e_value_keeps_its_evidence():
    after = next_cusums({"week: column a": 30.0}, {"column a": 1e6})
    assert after["week: column a"] == 30.0 and after["column a"] > 1e5
    assert next(iter(evidence(after))) == "column a"
    assert (
        next_cusums(after, {"column a": 1e300})["column a"] == 1e12
    )  # finite, so JSON can hold it


# --- steps, journal, budget ----------------------------------------------------------------------


def test_a_step_runs_again_only_for_other_inputs(tmp_path):
    calls = []

    def upper(inputs, settings):
        calls.append(inputs)
        return inputs["a"].upper()

    store = FolderStore(tmp_path / "steps")
    run = [
        run_once(upper, {"a": b"x", "b": b""}, {"n": 1}, store),
        run_once(upper, {"b": b"", "a": b"x"}, {"n": 1}, FolderStore(tmp_path / "steps")),
    ]
    assert run == [b"X", b"X"] and len(calls) == 1
    run_once(upper, {"a": b"y", "b": b""}, {"n": 1}, store)
    run_once(upper, {"a": b"x", "b": b""}, {"n": 2}, store)
    assert len(calls) == 3 == len(store)
    for file in (tmp_path / "steps").iterdir():  # a damaged output is made again
        file.write_bytes(file.read_bytes()[:-1])
    assert run_once(upper, {"a": b"x", "b": b""}, {"n": 1}, store) == b"X" and len(calls) == 4


def test_the_journal_repairs_a_torn_line_and_sees_a_changed_one(tmp_path):
    journal = Journal(tmp_path / "log.jsonl")
    for _ in range(3):
        journal.append(lambda entries: {"n": len(entries)})
    assert journal.append(lambda entries: None) is None
    with open(journal.path, "ab") as file:
        file.write(b'{"n": 3, "af')
    assert [entry["n"] for entry in journal.entries()] == [0, 1, 2]
    journal.append(lambda entries: {"n": len(entries)})
    assert [entry["n"] for entry in journal.entries()] == [0, 1, 2, 3]
    lines = journal.path.read_text().splitlines(keepends=True)
    for wrong in (lines[:1] + lines[2:], [lines[0].replace("0", "7"), *lines[1:]], ["[]\n"]):
        journal.path.write_text("".join(wrong))
        with pytest.raises(PipelineError, match="changed by hand"):
            journal.entries()


def test_a_budget_is_not_overspent_by_many_at_once(tmp_path):
    def spend(n):
        return Budget(tmp_path / "budget.jsonl", 1.0).spend(f"release {n % 30}", 0.1)

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(spend, range(60)))
    ledger = Budget(tmp_path / "budget.jsonl", 1.0).ledger()
    assert len(ledger) == 10 and sum(ledger.values()) == pytest.approx(1.0)
    assert sum(granted) == 20  # each of the ten was asked for twice, and charged once


def test_what_a_release_may_cost():
    with pytest.raises(ValueError, match="above 0"):
        charge({}, "a", float("nan"), 1.0)
    assert charge({"a": 1.0}, "a", 1.0, 1.0) == (True, {"a": 1.0})


def test_what_is_in_force_after_rolling_back():
    def events(*pairs):
        return [{"event": event, "day": day} for event, day in pairs]

    p, q, r = "published", "quarantined", "rolled back"
    assert in_force(events((p, "1"), (q, "2"), (p, "3"), (r, ""), (p, "4"))) == ["4"]
    assert in_force(events((p, "1"), (p, "2"), (p, "3"), (r, "1"), (r, "1"))) == ["1"]


# --- contract and settings -----------------------------------------------------------------------

RULES = {
    "age": Rule("integer", 18, 90),
    "pay": Rule("number", 0, None, missing=True),
    "kind": Rule("category", levels=("a", "b")),
}
CONTRACT = Contract(RULES, "kind", ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("age,pay,kind\n20,1.5,a\n30,,b\n", []),
        ("age,pay,kind\n20,1.5,a\n", []),
        ("age,pay\n20,1.5\n", ["'kind' is missing"]),
        ("age,pay,kind,more\n20,1,a,1\n", ["'more' that the contract does not know"]),
        ("age,pay,kind\n200,1,a\n17,1,a\n", ["such as 17", "such as 200"]),
        ("age,pay,kind\nold,1,a\n", ["not every value is of the kind 'integer'"]),
        ("age,pay,kind\n20.5,1,a\n", ["not every value is of the kind 'integer'"]),
        ("age,pay,kind\n,1,a\n", ["not every value is of the kind 'integer'"]),
        ("age,pay,kind\n20,-1,c\n", ["such as c", "such as -1"]),
        ("age,pay,kind\n20,1,\n", ["kind: 1 values are missing"]),
    ],
)
def test_a_broken_contract_is_told_in_words(text, told):
    pytest.importorskip("pandera")
    found = CONTRACT.breaches(CONTRACT.read(text.encode()))
    assert bool(found) == bool(told)
    for words in told:
        assert any(words in sentence for sentence in found), found


def test_the_contract_of_a_row_agrees_with_pandera():
    pytest.importorskip("pandera")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "age": rng.integers(10, 100, 200),
            "pay": np.where(rng.random(200) < 0.2, np.nan, rng.normal(1, 1, 200)),
            "kind": rng.choice(["a", "b", "c"], 200),
        }
    )
    good = CONTRACT.kept(rows)
    assert 20 < good.sum() < 180
    assert CONTRACT.breaches(CONTRACT.read(as_csv(rows[good]))) == []
    for place in np.flatnonzero(~good)[:5]:
        assert CONTRACT.breaches(CONTRACT.read(as_csv(rows.iloc[[place]])))


GOOD = """
[data]
arrivals = "arrivals/*.csv"
reference = "reference.csv"
[contract]
label = "kind"
[contract.columns.x]
kind = "number"
min = 0
max = 1
[contract.columns.kind]
kind = "category"
levels = ["a", "b"]
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[data]", "[dada]"), "Did you mean 'data'"),
        (("[data]", "[data"), "is not TOML"),
        (("reference =", "referense ="), "Did you mean 'data.reference'"),
        (('reference = "reference.csv"', ""), "data.reference is missing"),
        (("min = 0", "min = 2"), "min 2 is above max 1"),
        (("min = 0", 'min = "0"'), "contract.columns.x.min is a number; got '0'"),
        (('kind = "number"', 'kind = "numbr"'), "Did you mean 'number'"),
        (('label = "kind"', 'label = "kidn"'), "Did you mean 'kind'"),
        (('label = "kind"', 'groups = ["x"]'), "'x' is not a category"),
        (('levels = ["a", "b"]', "levels = [1, 2]"), "a list of the levels, as texts"),
        (("min = 0", "min = 0\noften = [2]"), "often holds numbers of its range; got 2"),
        (('levels = ["a", "b"]', 'levels = ["a"]\noften = [1]'), "often belongs to a number"),
        (("[contract]", "[gates]\ndays = 0\n[contract]"), "gates.days is at least 1"),
        (("[contract]", "[gates]\nfalse_stop = 5\n[contract]"), "above 0 and up to 1; got 5"),
        (("[contract]", '[generate]\nmethod = "gan"\n[contract]'), "generate.method is one of"),
        (("[contract]", '[generate]\nmethod = "marginals"\n[contract]'), r"a table \[budget\]"),
        (("[contract]", "[budget]\nepsilon = 1\n[contract]"), "belongs to the private method"),
        (("[contract]", "[audit]\nreport = 1\n[contract]"), "audit.report is true or false"),
    ],
)
def test_a_wrong_pipeline_toml_says_where_and_what_is_wanted(tmp_path, change, told):
    (tmp_path / "pipeline.toml").write_text(GOOD)
    assert read_settings(tmp_path / "pipeline.toml").limit == 1200
    (tmp_path / "pipeline.toml").write_text(GOOD.replace(*change))
    with pytest.raises(PipelineError, match=told) as caught:
        read_settings(tmp_path / "pipeline.toml")
    assert "pipeline.toml" in str(caught.value)


# --- the days ------------------------------------------------------------------------------------

PEOPLE = Contract(
    {
        "x": Rule("number", -9, 1e6),
        "y": Rule("number", -9, 9),
        "z": Rule("number", -9, 9),
        "group": Rule("category", levels=("large", "small")),
        "label": Rule("category", levels=("no", "yes")),
    },
    "label",
    ("group",),
)


def people(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame(
        {
            "x": x,
            "y": 0.7 * x + rng.normal(size=n),
            "z": rng.normal(size=n),
            "group": np.where(rng.random(n) < 0.1, "small", "large"),
            "label": np.where(rng.random(n) < 0.5, "yes", "no"),
        }
    )


def fresh(seen, rows, seed):
    """The best generator that there can be: rows of the truth."""
    return people(rows, seed % 2**32)


def folder_with(path, days, seed=0, rows=200, making=200, **changes):
    """A pipeline with a reference and these days: tables, or numbers of clean days."""
    (path / "arrivals").mkdir(parents=True)
    (path / "reference.csv").write_bytes(as_csv(people(1000, seed)))
    tables = (
        [people(rows, 100 * seed + d + 1) for d in range(days)] if isinstance(days, int) else days
    )
    for number, table in enumerate(tables, 1):
        (path / "arrivals" / f"{number:02d}.csv").write_bytes(as_csv(table))
    settings = PipelineSettings(
        "trial", path, "arrivals/*.csv", "reference.csv", PEOPLE, rows=making
    )
    return replace(settings, **changes)


def states(outcomes):
    return "".join("p" if outcome.published else "q" for outcome in outcomes)


@pytest.fixture(autouse=True)
def _needs_pandera(request):
    if "tmp_path" in request.fixturenames and "folder_with" in request.function.__code__.co_names:
        pytest.importorskip("pandera")


@pytest.mark.slow
def test_good_days_are_published_and_told(tmp_path):
    settings = folder_with(tmp_path, 8, seed=3)
    outcomes = Pipeline(settings, fresh).run()
    assert states(outcomes) == "p" * 8
    assert Pipeline(settings, fresh).run() == []
    current = json.loads((tmp_path / "current.json").read_text())
    assert current["day"] == "08" and (tmp_path / current["file"]).exists()
    assert "8 days in force" in (tmp_path / "runs.html").read_text()


def test_a_fault_is_quarantined_and_good_days_go_on(tmp_path):
    clean = [people(200, d + 50) for d in range(5)]
    faults = [
        clean[0].assign(x=clean[0]["x"].abs() * 1000),
        clean[1].assign(label="yes"),
        clean[2].assign(group="huge"),
        pd.concat([clean[3].iloc[:180], clean[3].iloc[[0] * 20]]),
    ]
    settings = folder_with(tmp_path, [*faults, clean[4]])
    outcomes = Pipeline(settings, fresh).run()
    assert states(outcomes) == "qqqqp"
    for outcome, words in zip(
        outcomes, ("column x", "label=", "such as huge", "rows: repeated"), strict=False
    ):
        assert words in outcome.why
    assert sorted(file.name for file in (tmp_path / "published").iterdir()) == ["05.csv"]
    assert len(list((tmp_path / "quarantine").iterdir())) == 4


def memorising(seen, rows, seed):
    return seen.sample(rows, replace=True, random_state=seed % 2**32)


def shrinking(seen, rows, seed):
    made = people(rows, seed % 2**32)
    return made.assign(**{name: 0.5 * made[name] for name in "xyz"})


def forgetting(seen, rows, seed):
    return people(rows, seed % 2**32).assign(group="large")


def leaking(seen, rows, seed):
    """It knows all accepted rows, and so the holdout as well."""
    return people(1000, 0).sample(rows, random_state=seed % 2**32)


@pytest.mark.parametrize(
    ("generator", "stream"),
    [
        (memorising, "memorised"),
        (shrinking, "tails"),
        (forgetting, "group=small kept"),
        (leaking, "memorised, by today"),
    ],
)
def test_a_bad_generator_is_stopped_before_it_publishes(tmp_path, generator, stream):
    (outcome,) = Pipeline(folder_with(tmp_path, 1, making=1000), generator).run()
    assert not outcome.published and f"generated: {stream}" in outcome.why
    assert not list((tmp_path / "published").iterdir())


def test_a_private_pipeline_stops_when_its_budget_is_spent(tmp_path):
    changes = {"generator": "marginals", "total_rho": 4.0, "release_rho": 2.0}
    contract = replace(PEOPLE, columns={**PEOPLE.columns, "x": Rule("number", -9, 9)})
    settings = folder_with(tmp_path, 3, contract=contract, **changes)
    pipeline = Pipeline(settings, fresh)
    outcomes = pipeline.run()
    assert states(outcomes) == "ppq" and "budget" in outcomes[-1].why
    assert pipeline.budget.ledger() == {"01": 2.0, "02": 2.0}
    assert "4 of 4 rho" in (tmp_path / "runs.html").read_text()


def test_rolling_back_withdraws_and_later_days_go_on(tmp_path):
    settings = folder_with(tmp_path, 3)
    pipeline = Pipeline(settings, fresh)
    pipeline.run()
    assert pipeline.roll_back("01", "a fault found later") == ["02", "03"]
    assert json.loads((tmp_path / "current.json").read_text())["day"] == "01"
    assert len(list((tmp_path / "withdrawn").iterdir())) == 2
    (tmp_path / "arrivals" / "04.csv").write_bytes(as_csv(people(200, 77)))
    assert states(pipeline.run()) == "p"
    assert in_force(pipeline.events()) == ["01", "04"]
    with pytest.raises(PipelineError, match="'02' is not in force"):
        pipeline.roll_back("02", "")
    assert pipeline.roll_back("", "all of it") == ["01", "04"]
    assert json.loads((tmp_path / "current.json").read_text()) == {}


# Run in a process of its own, so that what is forked holds no threads. A child kills itself at the first
# write at which none was killed before, either just before it or just after, and the next child goes on
# from there, until one comes to its end. Each write that a run makes is such a place, once.
KILLED = """
import os, signal, sys
from pathlib import Path
import test_pipeline as here
import course_lib.pipeline.day as day
import course_lib.pipeline.running as running
import course_lib.pipeline.steps as steps
import course_lib.privacy.attacks
import sklearn.linear_model
from course_lib.pipeline.journal import Journal

folder, when = Path(sys.argv[1]), sys.argv[2]
settings = here.private_folder(folder)
made, places = folder / "made.txt", folder / "places.txt"


def deadly(function, name_of):
    def called(*args, **kwargs):
        name = name_of(*args)
        known = places.read_text().split("|") if places.exists() else []
        if when != "never" and name not in known and when == "before":
            places.write_text("|".join([*known, name]))
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if when != "never" and name not in known and when == "after":
            places.write_text("|".join([*known, name]))
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return called


def logged(function):
    def called(self, key, content):
        if when == "before":  # what was killed before it was kept has to be made again
            function(self, key, content)
        with open(made, "a") as file:
            file.write(key + " ")
        if when != "before":
            function(self, key, content)
    return called


steps.FolderStore.__setitem__ = logged(steps.FolderStore.__setitem__)
steps.write_whole = deadly(steps.write_whole, lambda path, *rest: str(path))
day.write_whole = running.write_whole = deadly(running.write_whole, lambda path, *rest: str(path))
Journal.append = deadly(Journal.append, lambda self, decide: f"{self.path} {len(self.entries())}")
killed = 0
while True:
    pid = os.fork()
    if not pid:
        running.Pipeline(settings, here.fresh).run()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status == 0:
        break
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    killed += 1
    assert killed < 100
print(killed)
"""


def private_folder(path):
    """A good day, and one that breaks a gate, with a budget for three."""
    contract = replace(PEOPLE, columns={**PEOPLE.columns, "x": Rule("number", -9, 9)})
    tables = [people(150, 1), people(150, 2).assign(label="yes")]
    changes = {"generator": "marginals", "total_rho": 3.0, "release_rho": 1.0}
    settings = folder_with(path, tables, contract=contract, **changes)
    (path / ".pipeline").mkdir()
    (path / ".pipeline" / "secret").write_text("the same in every folder")
    return settings


def left_behind(folder):
    files = [*(folder / "published").iterdir(), *(folder / "quarantine").iterdir()]
    state = folder / ".pipeline"
    files += [state / "log.jsonl", state / "budget.jsonl", folder / "current.json"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot be forked here")
def test_a_kill_at_any_write_loses_nothing_and_repeats_nothing(tmp_path):
    pytest.importorskip("pandera")
    killed = {}
    for when in ("never", "before", "after"):
        run = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / when), when],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert run.returncode == 0, run.stderr
        killed[when] = int(run.stdout)
        made = (tmp_path / when / "made.txt").read_text().split()
        assert len(set(made)) == len(made), "a step that was done was done again"
    assert killed["never"] == 0 and min(killed["before"], killed["after"]) > 12, killed
    wanted = left_behind(tmp_path / "never")
    assert {"published/01.csv", "quarantine/02.csv"} == {n for n in wanted if n.endswith(".csv")}
    assert left_behind(tmp_path / "before") == wanted
    assert left_behind(tmp_path / "after") == wanted


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    settings = folder_with(tmp_path, 1)
    pipeline = Pipeline(settings, fresh)
    half = [tmp_path / "published" / "01.csv.x.partial", tmp_path / "current.json.x.partial"]
    half += [tmp_path / ".pipeline" / "steps" / "a.x.partial"]
    for file in half:
        file.write_text("cut sho")
    assert states(pipeline.run()) == "p"
    assert not list(tmp_path.rglob("*.partial"))


def test_one_process_at_a_time(tmp_path):
    settings = folder_with(tmp_path, 1)
    pipeline = Pipeline(settings, fresh)
    with pipeline.alone(), pytest.raises(PipelineError, match="another process"):
        Pipeline(settings, fresh).run()


# --- Dagster -----------------------------------------------------------------------------------


PEOPLE_TOML = """
[data]
arrivals = "arrivals/*.csv"
reference = "reference.csv"
[contract]
label = "label"
groups = ["group"]
[contract.columns]
x = { kind = "number", min = -9, max = 9 }
y = { kind = "number", min = -9, max = 9 }
z = { kind = "number", min = -9, max = 9 }
group = { kind = "category", levels = ["large", "small"] }
label = { kind = "category", levels = ["no", "yes"] }
"""


@pytest.mark.slow
def test_dagster_stops_what_comes_after_a_gate(tmp_path):
    """Three days in their order: a good one, a bad one, and one whose generator copies."""
    dagster = pytest.importorskip("dagster", reason='pip install "course-lib[dagster]" adds it')
    from course_lib.pipeline import assets

    folder_with(tmp_path, [people(200, 1), people(200, 2).assign(label="yes"), people(200, 3)])
    toml = tmp_path / "pipeline.toml"
    toml.write_text(PEOPLE_TOML)

    def fair(seen, rows, seed):
        return (memorising if len(seen) > 770 else fresh)(seen, rows, seed)

    job = assets.definitions(toml, fair).resolve_job_def("decide_day")
    done = {}
    with dagster.DagsterInstance.ephemeral() as instance:
        assert not instance.telemetry_enabled
        for day in ("02", "01", "02", "03", "01"):
            instance.add_dynamic_partitions("days", [day])
            run = job.execute_in_process(instance=instance, partition_key=day, raise_on_error=False)
            made = [event.asset_key.path[0] for event in run.get_asset_materialization_events()]
            passed = [check.passed for check in run.get_asset_check_evaluations()]
            done.setdefault(day, []).append((run.success, made, passed))
    arrived, generated, published = "arrived_rows", "generated_rows", "published_rows"
    assert done["01"] == [
        (True, [arrived, generated, published], [True, True]),
        (False, [], []),  # it is decided already
    ]
    assert done["02"] == [(False, [], []), (False, [arrived], [False])]  # too early; then its gate
    assert done["03"] == [(False, [arrived, generated], [True, False])]
    assert {file.name for file in (tmp_path / "published").iterdir()} == {"01.csv"}
    assert {file.name for file in (tmp_path / "quarantine").iterdir()} == {"02.csv", "03.csv"}


@pytest.mark.slow
def test_dagster_is_told_to_send_nothing(tmp_path):
    pytest.importorskip("dagster", reason='pip install "course-lib[dagster]" adds it')
    from course_lib.pipeline.assets import environment

    (tmp_path / "pipeline.toml").write_text(GOOD)
    home = Path(environment(tmp_path / "pipeline.toml")["DAGSTER_HOME"])
    settings = yaml.safe_load((home / "dagster.yaml").read_text())
    assert settings == {"telemetry": {"enabled": False}, "nux": {"enabled": False}}


def test_without_dagster_the_command_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dagster", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "course_lib.pipeline.assets", raising=False)
    (tmp_path / "pipeline.toml").write_text(GOOD)
    assert main(["pipeline", "dagster", str(tmp_path / "pipeline.toml")]) == 2
    assert 'dagster is missing. This installs it: pip install "course-lib[dagster]"' in (
        capsys.readouterr().err
    )


# --- the command ---------------------------------------------------------------------------------


def test_the_command_from_an_empty_folder(tmp_path, capsys):
    pytest.importorskip("pandera")
    folder = tmp_path / "trial"
    toml = str(folder / "pipeline.toml")
    table = people(700, 5).rename(columns={"x": "first x"})
    table.to_csv(tmp_path / "own.csv", index=False)
    own = ["--data", str(tmp_path / "own.csv"), "--label", "label", "--groups", "group"]
    sizes = ["--days", "2", "--rows", "100", "--reference", "500"]
    assert main(["pipeline", "new", str(folder), *own, *sizes]) == 0
    assert main(["pipeline", "run", toml]) == 0
    assert "day-002: published" in capsys.readouterr().out
    assert main(["pipeline", "rollback", toml, "--to", "day-001", "--reason", "a trial"]) == 0
    assert main(["pipeline", "status", toml]) == 0
    assert "Current: day-001" in capsys.readouterr().out
    assert main(["pipeline", "rollback", toml, "--to", "day-007", "--reason", "a trial"]) == 2
    assert "day-007' is not in force" in capsys.readouterr().err
    assert main(["pipeline", "new", str(folder), *own]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main(["pipeline", "run", str(tmp_path / "none.toml")]) == 2
    assert "cannot be read" in capsys.readouterr().err
