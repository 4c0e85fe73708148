"""Attacks in the audit: what the synthetic rows tell of training rows and not of holdout rows."""

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, audit
from course_lib.audit.checks import attacks, privacy
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import DISTANCES, judge
from course_lib.audit.table import prepare
from course_lib.datasets.loans import applicants
from course_lib.privacy.attacks import tpr_at_fpr


def draws(n=400, seed=0):
    return [applicants(n, seed=10 * seed + k).drop(columns="default") for k in range(3)]


def found(train, holdout, made, given=True, aux=()):
    """The findings of the attacks alone, by id."""
    evidence = Evidence(prepare(train, holdout, made), holdout_given=given, aux=aux)
    rng = np.random.default_rng(0)
    drafts = [*privacy.check(evidence, rng), *attacks.check(evidence, rng)]
    return {f.id: f for f in judge([d for d in drafts if hasattr(d, "finding")])}


def failed(findings):
    return {name for name, finding in findings.items() if finding.verdict == "fail"}


@pytest.fixture(scope="module")
def copied():
    train, holdout, _ = draws()
    made = train.sample(len(train), replace=True, random_state=0, ignore_index=True)
    return found(train, holdout, made)


def test_a_bootstrap_gives_way_to_every_attack(copied):
    wanted = {
        f"membership_auc[{what}]" for what in ("whole rows", "single values", "pairs of values")
    }
    wanted |= {"attribute_inference[income]", "linkage[two halves of the columns]"}
    wanted |= {"singling_out[descriptions]", "membership_tpr[whole rows]"}
    assert wanted <= failed(copied)
    guessed = copied["attribute_inference[income]"]
    assert guessed.estimate > 0.4 and guessed.columns == ("income",)


def test_ties_at_distance_zero_hide_nobody():
    """Half of the strangers equal a synthetic row by coincidence, and so do most of the members."""
    member, stranger = np.r_[np.ones(900), np.zeros(100)], np.r_[np.ones(500), np.zeros(500)]
    rng, margins = np.random.default_rng(0), Evidence().margins
    drafts = list(privacy.membership(member, stranger, "x", "", rng, margins))
    rates = {draft.finding.metric: draft.finding.estimate for draft in drafts}
    assert rates["membership_tpr"] == pytest.approx(0.018) == tpr_at_fpr(member, stranger, 0.01)
    assert rates["membership_tpr_thousandth"] == pytest.approx(0.0018)


@pytest.mark.slow
def test_shuffled_columns_are_found_by_their_values_and_not_by_distance():
    train, holdout, _ = draws(600, seed=1)
    rng = np.random.default_rng(0)
    made = train.apply(lambda column: column.to_numpy()[rng.permutation(len(column))])
    seen = failed(found(train, holdout, made.astype(train.dtypes)))
    assert "membership_auc[single values]" in seen
    assert not seen & {"membership_auc[whole rows]", *(f"{name}[whole rows]" for name in DISTANCES)}


def test_pairs_of_common_values_can_be_rare():
    """Each value is common; which two stand together in a row tells who was learnt from."""

    def people(seed):
        rng = np.random.default_rng(seed)
        return pd.DataFrame({name: rng.integers(0, 60, 800) for name in "abcd"}).astype(str)

    train, holdout, rest = people(0), people(1), people(2)
    made = rest.assign(a=train["a"], b=train["b"])
    seen = failed(found(train, holdout, made))
    assert "membership_auc[pairs of values]" in seen
    assert "membership_auc[single values]" not in seen


@pytest.mark.slow
def test_draws_of_one_distribution_withstand_every_attack():
    alarms = [failed(found(*draws(200, seed))) for seed in range(10, 18)]
    # At most 5 % of audits may have one: two or more of eight would happen in 6 % of cases.
    assert sum(map(bool, alarms)) < 2, alarms


def test_what_the_attacker_knows_is_told_by_aux():
    train, holdout, made = draws(300)
    made = made.assign(**{name: train[name] for name in ("age", "income", "debt")})
    aux = ("age", "income")
    told = found(train, holdout, made, aux=aux)
    secrets = {f.slice for f in told.values() if f.metric == "attribute_inference"}
    assert secrets == set(train) - set(aux)
    assert told["attribute_inference[debt]"].verdict == "fail"
    assert "from age, income" in told["attribute_inference[debt]"].method
    assert told["attribute_inference[sex]"].verdict != "fail"
    assert "linkage[known columns with the others]" in told


@pytest.mark.parametrize(
    ("aux", "words"),
    [
        (["agee"], "Did you mean 'age'"),
        (["age", "pay"], "leave at least one"),
        (["code"], "was read as identifier"),
    ],
)
def test_what_cannot_be_known_is_refused_in_words(aux, words):
    rng = np.random.default_rng(0)
    tables = [
        pd.DataFrame(
            {
                "code": [f"{k}{i:05}x" for i in range(60)],
                "age": rng.integers(20, 60, 60),
                "pay": rng.normal(size=60),
            }
        )
        for k in "abc"
    ]
    with pytest.raises(AuditError, match=words):
        audit(*tables, aux=aux, progress=False)


def test_the_command_has_aux_and_the_report_keeps_it(tmp_path, capsys):
    paths = []
    for name, table in zip(("real", "made", "held"), draws(120), strict=True):
        paths.append(str(tmp_path / f"{name}.csv"))
        table[["age", "sex", "income", "debt"]].to_csv(paths[-1], index=False)
    asked = ["audit", *paths[:2], "--holdout", paths[2], "--quiet", "--json", f"{tmp_path}/r.json"]
    assert cli.main([*asked, "--aux", "age,sex", "--fail-on", "never"]) == 0
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert '"attribute_inference[debt]"' in text and '"attribute_inference[age]"' not in text
    assert cli.main([*asked, "--aux", "ages"]) == 2
    assert "Did you mean 'age'" in capsys.readouterr().err


def test_without_a_holdout_no_attack_is_testable():
    train, holdout, made = draws(200)
    told = found(train, holdout, made, given=False)
    assert {f.verdict for f in told.values()} == {"not testable"}
    assert {"linkage", "singling_out", "attribute_inference"} <= {f.metric for f in told.values()}


@pytest.mark.slow
def test_distances_come_after_the_attacks():
    train, holdout, _ = draws(200)
    report = audit(train, holdout, train.copy(), progress=False)
    order = [f.metric for f in report if f.family == "privacy" and f.verdict == "fail"]
    first = min(order.index(name) for name in DISTANCES if name in order)
    assert set(order[first:]) <= set(DISTANCES) and len(order) > first > 3
    assert all("2505.01524" in f.caveat for f in report if f.metric in DISTANCES)
