"""Labels that follow from the other columns, or from chance: by group."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from course_lib.audit import corruptions
from course_lib.audit.checks import signal
from course_lib.audit.evidence import Evidence
from course_lib.audit.statistics import area, placements
from course_lib.audit.table import prepare
from course_lib.datasets.loans import applicants

COLUMNS = ["sex", "ethnicity", "income", "debt", "late_payments", "history", "approved"]


def findings(train, holdout, made, **options):
    options = {"label": "approved", "sensitive": ["sex"]} | options
    evidence = Evidence(prepare(train, holdout, made, **options), seed=3)
    return {d.finding.slice: d for d in signal.check(evidence, np.random.default_rng(0))}


def draws(seed, rows=(1500, 800, 1500)):
    return [applicants(n, seed=100 * seed + k)[COLUMNS] for k, n in enumerate(rows)]


def test_labels_by_chance_are_found_in_their_group_alone():
    train, holdout, made = draws(1)
    noisy, _ = corruptions.noise_labels(made, "approved", {"sex": "female"})
    found = findings(train, holdout, noisy)
    women, men = (found[f"sex = {sex}"] for sex in ("female", "male"))
    assert women.finding.p < 1e-4 < 0.01 < men.finding.p
    assert women.finding.estimate < -0.1 and women.finding.columns == ("sex", "approved")
    # A guess has an area of 0.5.
    assert float(women.finding.method.split("(AUC): ")[1][:4]) == pytest.approx(0.5, abs=0.06)


@pytest.mark.slow
def test_under_one_distribution_p_is_uniform_or_larger():
    p = [draft.finding.p for seed in range(40) for draft in findings(*draws(seed)).values()]
    p = np.array(p[::2])  # one group of each draw, so that they are independent
    assert len(p) == 40
    # Two models are tried on the same rows and count as one, so it errs on the safe side.
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 0.01
    assert (p < 0.05).sum() <= 6  # 40 draws of 5 %: more than 6 have a chance of 0.3 %


def test_better_labels_do_not_count():
    train, holdout, made = draws(2)
    sure = made.assign(approved=made["income"] > made["income"].median())
    sided = findings(train, holdout, sure)["sex = female"].finding
    assert sided.side == -1 and (sided.estimate <= 0 or sided.p > 0.5)


def test_what_has_too_few_rows_is_not_judged():
    train, holdout, made = draws(3, (60, 60, 60))
    rare = [t.assign(sex=["other"] * 12 + ["male"] * 48) for t in (train, holdout, made)]
    found = findings(*rare)
    assert found["sex = other"].finding.p is None
    assert "too few" in found["sex = other"].finding.method


@pytest.mark.parametrize("label", ["income", "ethnicity"])
def test_only_labels_of_two_levels_are_judged(label):
    assert not findings(*draws(4, (200, 100, 200)), label=label)


def test_placements_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    above, below = rng.integers(0, 9, 30), rng.integers(0, 7, 20)
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    one, two = placements(above, below)
    np.testing.assert_allclose(one, wins.mean(axis=1))
    np.testing.assert_allclose(two, wins.mean(axis=0))
    assert area(above, below) == pytest.approx(wins.mean())


def test_a_label_with_one_level_in_the_real_rows_is_no_crash():
    train, holdout, made = draws(5, (100, 60, 100))
    same = [t.assign(approved=True) for t in (train, holdout)]
    found = findings(
        *same, made, schema={"approved": "category", "sex": "category", "income": "number"}
    )
    assert all(d.finding.p is None for d in found.values())


def test_missing_labels_are_left_out():
    train, holdout, made = draws(6)
    some = made.assign(approved=made["approved"].astype(object).where(np.arange(len(made)) % 3 > 0))
    assert findings(train, holdout, some)["sex = female"].finding.p > 1e-3
    assert isinstance(some, pd.DataFrame)
