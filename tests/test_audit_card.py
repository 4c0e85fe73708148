"""The way from audits to a decision: a table of one's own, choice, claims, and the card on one page."""

import re

import numpy as np
import pandas as pd
import pytest

from course_lib.audit import Policy, audit
from course_lib.audit.card import BLANK, WORDS, card_blanks, data_card
from course_lib.audit.choosing import (
    choose_generator,
    claim_verdicts,
    honest_score,
    replace_copies,
    rows_needed,
)
from course_lib.audit.own import own_table
from course_lib.audit.schema import AuditError
from course_lib.datasets.loans import applicants
from course_lib.models.tabular import GaussianCopula

COLUMNS = ["age", "sex", "income", "approved"]


# --- the decisions, by simulation --------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.5, 0.2, 0.04])
def test_with_the_rows_needed_a_sound_table_passes_as_often_as_asked(rate):
    margin, power = 0.04, 0.8
    n = int(rows_needed(np.array([rate]), np.array([margin]), power=power)[0])
    rng = np.random.default_rng(0)
    made, real = (rng.binomial(n, rate, 20_000) / n for _ in range(2))
    error = np.sqrt((made * (1 - made) + real * (1 - real)) / n)
    passes = np.abs(made - real) + 1.96 * error <= margin
    assert passes.mean() == pytest.approx(power, abs=0.03)


def test_the_rule_keeps_the_simplest_of_equals_and_the_clearly_better_one():
    rng = np.random.default_rng(0)
    equal = [choose_generator(5 + rng.normal(size=(3, 8))) for _ in range(400)]
    lowest = [int((5 + rng.normal(size=(3, 8))).mean(axis=1).argmin()) for _ in range(400)]
    assert equal.count(0) > 0.6 * 400 > 1.5 * lowest.count(0)  # a third by the lowest mean
    better = np.array([[9.0], [5], [1]])
    assert all(choose_generator(better + rng.normal(size=(3, 8))) == 2 for _ in range(100))


def test_the_winner_is_worth_what_all_are_where_all_are_equal():
    rng = np.random.default_rng(0)
    scores = [rng.normal(5, 1, (40, 4)) for _ in range(200)]
    honest = np.mean([honest_score(score) for score in scores])
    cursed = np.mean([score.min(axis=0).mean() for score in scores])
    assert honest == pytest.approx(5, abs=0.15)
    assert cursed < 3.1  # the least of 40 lies two deviations below


@pytest.mark.slow
def test_claims_hold_together_and_one_by_one_they_do_not():
    """Twenty true differences just beyond the margin: how often is any of them called supported?"""
    rng = np.random.default_rng(0)
    k, error = 20, np.full(20, 0.02)
    wrong = {"together": 0, "alone": 0}
    for _ in range(2000):
        estimate = 0.1001 + error * rng.normal(size=k)
        margin = np.full(k, 0.1)
        wrong["together"] += bool((claim_verdicts(estimate, error, margin) == 1).any())
        each = [claim_verdicts(estimate[[i]], error[[i]], margin[[i]])[0] == 1 for i in range(k)]
        wrong["alone"] += any(each)
    assert wrong["together"] / 2000 <= 0.05
    assert wrong["alone"] / 2000 > 0.2


def test_groups_keep_their_shares_when_copies_are_replaced():
    rng = np.random.default_rng(0)
    group = (rng.random(4000) < 0.1).astype(int)
    copied = rng.random(4000) < np.where(group, 0.5, 0.02)
    kept = replace_copies(copied, group, 1000)
    assert not copied[kept].any() and len(set(kept)) == 1000
    assert group[kept].mean() == group[:1000].mean()
    dropped = group[:1000][~copied[:1000]].mean()
    assert dropped < 0.7 * group[:1000].mean()


# --- a table of one's own ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_table_of_ones_own_comes_back_as_the_audit_reads_it(tmp_path):
    rows = applicants(200, seed=0)[COLUMNS]
    wages = [f"{wage:,.1f}".translate(str.maketrans(",.", ".,")) for wage in rows["income"]]
    wages[:3] = ["?"] * 3
    strange = rows.assign(income=wages, customer_id=range(200), note="")
    strange = strange.rename(columns={"age": "Alter (Jahre)", "income": "Wage; EUR"})
    strange.to_csv(tmp_path / "own.csv", sep=";", index=False)
    data, found = own_table(tmp_path / "own.csv", "approved", ["sex"])
    assert list(data.train) == ["Alter (Jahre)", "sex", "Wage; EUR", "approved"]
    both = pd.concat([data.train, data.held_out])
    assert len(both) == 200 and both["Wage; EUR"].isna().sum() == 3
    assert sorted(both["Wage; EUR"].dropna()) == sorted(rows["income"][3:].astype(float))
    assert any("customer_id" in note for note in data.notes)
    assert {f.id for f in found} >= {"read_as[sex]", "read_as[customer_id]"}
    made = GaussianCopula().fit(data.train).sample(100, seed=0)
    report = audit(
        data.train, data.held_out, made, label="approved", sensitive="sex", progress=False
    )
    assert report["read_as[Wage; EUR]"].verdict == "pass"


def test_levels_that_a_generator_can_only_repeat_are_told_and_can_be_dropped(tmp_path):
    rows = applicants(400, seed=0)[COLUMNS].assign(place=[f"p{k % 150}" for k in range(400)])
    rows.to_csv(tmp_path / "own.csv", index=False)
    data, _ = own_table(tmp_path / "own.csv", "approved")
    assert any("place (150)" in note for note in data.notes)
    data, _ = own_table(tmp_path / "own.csv", "approved", drop=["place"])
    assert "place" not in data.train and data.notes == ()
    with pytest.raises(AuditError, match="no column 'plaice' to drop"):
        own_table(tmp_path / "own.csv", "approved", drop=["plaice"])


# --- the card ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def audited():
    train, held_out, made = (applicants(300, seed=seed)[COLUMNS] for seed in range(3))
    return audit(train, held_out, made, label="approved", sensitive="sex", progress=False), made


def card_of(audited, **words):
    report, made = audited
    return data_card(
        report,
        report.gate(Policy("mine", says="For a <b>test</b>.")),
        made,
        title="A table",
        generator="copula, seed 1",
        words=words,
        claims={"It differs by less than 10 %.": 1, "Group <i>B</i>, too.": 0},
    )


FULL = {name: f"Words about {name}." for name in WORDS}


@pytest.mark.slow
def test_a_card_names_the_blanks_that_are_left(audited):
    card = card_of(audited, purpose="Practice.", may="It ____.")
    assert card.blanks == [name for name in WORDS if name != "purpose"]
    assert "still blank: source" in str(card) and "Not complete" in card.to_html()
    full = card_of(audited, **FULL)
    assert full.blanks == [] and "complete" in str(full)
    assert "Not complete" not in full.to_html()
    assert card_blanks(dict.fromkeys(WORDS, BLANK), list(WORDS)) == list(WORDS)


def test_a_card_holds_the_facts_and_runs_nothing_that_is_written_into_it(audited, tmp_path):
    card = card_of(audited, **(FULL | {"purpose": "<script>alert(1)</script>"}))
    page = card.to_html(tmp_path / "card.html")
    assert (tmp_path / "card.html").read_text(encoding="utf-8") == page
    assert "<script>" not in page and "<i>B</i>" not in page and "<b>test" not in page
    hashes = dict(card.facts)
    assert re.fullmatch("[0-9a-f]{64}", hashes["SHA-256 of the table as CSV"])
    assert hashes["SHA-256 of the table as CSV"] in page and "copula, seed 1" in page
    for word in ("supported", "undecided", "@page", "300 train"):
        assert word in page
    other = card_of((audited[0], audited[1].head(299)), **FULL)
    assert dict(other.facts)["SHA-256 of the table as CSV"] not in page
    assert dict(other.facts)["SHA-256 of the policy"] in page


def test_an_entry_that_the_card_lacks_and_a_claim_that_is_none_are_refused(audited):
    with pytest.raises(AuditError, match="The card has no 'porpoise'"):
        card_of(audited, porpoise="x")
    report, made = audited
    with pytest.raises(AuditError, match="A claim is 1"):
        data_card(report, report.gate(), made, title="", generator="", words={}, claims={"x": 2})
