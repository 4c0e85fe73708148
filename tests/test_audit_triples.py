"""Three columns together: what no pair shows is found and named, and one distribution raises no alarm."""

import numpy as np
import pandas as pd
import pytest

from course_lib.audit.checks import triples
from course_lib.audit.evidence import Evidence
from course_lib.audit.table import prepare
from course_lib.datasets.loans import applicants


def draft(real, made, **asked):
    held = len(real) * 7 // 10
    tables = prepare(real[:held], real[held:], made, None, **asked)
    return next(iter(triples.check(Evidence(tables), np.random.default_rng(0)))).finding


def numbers(n, seed, kept=True):
    """Fourteen columns, the last of which has the sign of the product of two others."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 14))
    if kept:
        x[:, 13] = np.abs(x[:, 13]) * np.sign(x[:, 3] * x[:, 8])
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(14)])


def test_an_exclusive_or_among_fourteen_columns_is_found_and_named():
    found = draft(numbers(600, 0), numbers(600, 1, kept=False))
    assert found.columns == ("x3", "x8", "x13") and found.p < 1e-6
    assert "x3 & x8 & x13" in found.method and "of 364 triples" in found.method


def groups(n, seed, turned=False):
    """An effect that is positive in one group and negative in the other; or the other way round."""
    rng = np.random.default_rng(seed)
    group, x = rng.choice(["a", "b"], n), rng.normal(size=n)
    sign = np.where((group == "a") ^ turned, 1, -1)
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-sign * x)), "yes", "no")
    return pd.DataFrame({"group": group, "x": x, "z": rng.normal(size=n), "y": y})


def test_an_effect_that_is_turned_round_within_groups_is_named():
    found = draft(groups(600, 0), groups(600, 1, turned=True), label="y", sensitive=["group"])
    assert found.columns == ("group", "x", "y") and found.p < 1e-6


@pytest.mark.slow
def test_label_noise_in_an_intersection_of_8000_rows_is_named():
    made = applicants(8000, seed=9)
    rng = np.random.default_rng(0)
    inside = ((made["sex"] == "female") & (made["ethnicity"] == "Borvek")).to_numpy()
    made["approved"] ^= inside & (rng.random(8000) < 0.5)
    found = draft(applicants(8000, seed=3), made, label="approved", sensitive=["sex", "ethnicity"])
    assert found.p < 0.001 and "(sex & ethnicity) & approved" in found.method


@pytest.mark.slow
@pytest.mark.parametrize("make", [numbers, groups])
def test_one_distribution_raises_no_alarm(make):
    """Six draws each: 5 % expected, and three of six would come in 1 of 500 such tests."""
    p = [draft(make(300, 2 * k), make(300, 2 * k + 1)).p for k in range(6)]
    assert np.sum(np.less(p, 0.05)) <= 2
