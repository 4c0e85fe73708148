"""The simulated patients: their planted effect and shifts, as their cards say."""

import numpy as np
import pandas as pd
import pytest

from course_lib import datasets
from course_lib.datasets.patients import (
    EFFECT,
    HOSPITALS,
    PAINS,
    hospital_patients,
    smokers,
)

N = 100_000


def fitted(table, columns, outcome):
    """Least-squares coefficients of a constant and these columns."""
    design = np.column_stack([np.ones(len(table)), *columns])
    return np.linalg.lstsq(design, table[outcome].to_numpy(float), rcond=None)[0]


@pytest.mark.parametrize("seed", range(3))
def test_the_effect_and_the_confounding_are_those_of_the_card(seed):
    table = smokers(N, seed=seed)
    a = (table["age"] - 45) / 10
    level = table["exercise"].map({"much": 0, "some": 1, "little": 2})
    columns = [table["quit"], a, a**2, table["weight"] - 70, table["cigarettes"] - 20, level]
    found = fitted(table, columns, "weight_change")
    np.testing.assert_allclose(found[1:], [EFFECT, -1.3, -0.6, -0.1, 0.03, -0.3], atol=0.3)
    assert found[1] == pytest.approx(EFFECT, abs=4 * 7 / (N * 0.16) ** 0.5)
    gained = table.groupby("quit")["weight_change"].mean()
    assert gained[True] - gained[False] == pytest.approx(1.6, abs=0.2)
    assert table["quit"].mean() == pytest.approx(0.21, abs=0.01)


def test_quitting_changes_nothing_about_who_dies():
    from sklearn.linear_model import LogisticRegression

    table = smokers(N, seed=5)
    a = (table["age"] - 45) / 10
    level = table["exercise"].map({"much": 0, "some": 1, "little": 2})
    x = np.column_stack([table["quit"], a, table["sex"] == "male", table["cigarettes"] - 20, level])
    model = LogisticRegression(C=1e6, max_iter=500).fit(x, table["died"])
    np.testing.assert_allclose(model.coef_[0], [0, 0.9, 0.5, 0.02, 0.25], atol=0.1)
    assert table["died"].mean() == pytest.approx(0.166, abs=0.005)


def test_a_cohort_depends_on_its_seed_alone():
    np.random.seed(1)
    one = smokers(300, seed=3)
    np.random.seed(2)
    pd.testing.assert_frame_equal(one, smokers(300, seed=3))
    assert not one.equals(smokers(300, seed=4))
    with pytest.raises(ValueError, match="At least one person"):
        smokers(0)


def test_hospitals_differ_in_age_sex_and_rate_but_not_in_symptoms():
    tables = {name: hospital_patients(20_000, name, seed=1) for name in HOSPITALS}
    for name, (middle, men, _) in HOSPITALS.items():
        assert tables[name]["age"].mean() == pytest.approx(middle, abs=0.5)
        assert (tables[name]["sex"] == "male").mean() == pytest.approx(men, abs=0.02)
        ill = tables[name][tables[name]["disease"]]
        shares = ill["chest_pain"].value_counts(normalize=True)[list(PAINS)]
        np.testing.assert_allclose(shares, [0.06, 0.14, 0.22, 0.58], atol=0.03)
        assert (ill["exercise_angina"] == "yes").mean() == pytest.approx(0.42, abs=0.03)
    rates = [table["disease"].mean() for table in tables.values()]
    np.testing.assert_allclose(rates, [0.44, 0.24, 0.75, 0.89], atol=0.02)
    with pytest.raises(ValueError, match="hospital"):
        hospital_patients(10, "nort")
    with pytest.raises(ValueError, match="At least one patient"):
        hospital_patients(0, "north")


def test_each_hospital_has_as_many_patients_in_both_parts():
    data = datasets.load("hospitals")
    for part in (data.train, data.held_out):
        assert part["hospital"].value_counts().to_dict() == dict.fromkeys(HOSPITALS, 400)
    assert not data.train.equals(data.held_out)
