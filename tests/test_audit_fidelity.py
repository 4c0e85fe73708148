"""The distances of audit.fidelity against known values, and what they refuse."""

import numpy as np
import pytest

from course_lib.audit.fidelity import frechet_distance, manifold_measures

pytestmark = pytest.mark.usefixtures("own_settings")


# --- the Frechet distance ----------------------------------------------------------------------


@pytest.mark.parametrize(("d", "n"), [(16, 1000), (64, 1000)])
def test_frechet_distance_of_one_law_is_its_known_bias(d, n):
    """E ~ (d^2 + 5d) / (2n) for two samples of N(0, I_d); averaged over five seeds."""
    values = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        values.append(frechet_distance(*rng.standard_normal((2, n, d))))
    assert np.mean(values) == pytest.approx((d**2 + 5 * d) / (2 * n), rel=0.06)


def test_frechet_distance_of_planted_changes_is_exact(rng):
    x = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5))
    shift = np.array([3.0, 0, -1, 0, 2])
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + shift) == pytest.approx(14, rel=1e-9)
    centred = x - x.mean(axis=0)
    variance = np.trace(np.cov(x, rowvar=False))  # ddof = 1
    assert frechet_distance(centred, 3 * centred) == pytest.approx(4 * variance, rel=1e-9)


def test_frechet_distance_of_covariances_that_do_not_commute(rng):
    """Against the formula with the matrix root taken by scipy."""
    from scipy.linalg import sqrtm

    x, y = rng.standard_normal((400, 4)), rng.standard_normal((500, 4)) @ rng.random((4, 4))
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(
        cov_x + cov_y - 2 * np.real(sqrtm(cov_x @ cov_y))
    )
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_bears_features_without_full_rank(rng):
    few = rng.standard_normal((10, 40))
    constant = np.hstack([rng.standard_normal((200, 3)), np.ones((200, 2))])
    for x in (few, constant):
        assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
        assert frechet_distance(x, x + 1) == pytest.approx(x.shape[1], rel=1e-6)
    assert frechet_distance(np.zeros((5, 1)), np.ones((5, 1))) == pytest.approx(1)


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (np.zeros(5), np.zeros(5), "two matrices"),
        (np.zeros((5, 2)), np.zeros((5, 3)), "one width"),
        (np.zeros((1, 2)), np.zeros((5, 2)), "at least two rows"),
        (np.zeros((5, 2)), np.full((5, 2), np.nan), "not finite"),
    ],
)
def test_frechet_distance_refuses_bad_features(real, generated, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(real, generated)


# --- precision, recall, density, coverage ------------------------------------------------------


@pytest.mark.parametrize(
    ("d", "expected"),
    [(2, (0.993, 0.998, 0.985, 0.968)), (64, (0.68, 0.70, 0.92, 0.967))],
)
def test_manifold_measures_of_one_law_are_the_published_ones(d, expected):
    """k = 5, n = 2000: the mean of five seeds, against values measured with the prdc library. In 64
    dimensions single draws scatter by 0.02 (precision, recall) and 0.05 (density)."""
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        found.append(manifold_measures(rng.normal(size=(2000, d)), rng.normal(size=(2000, d))))
    tolerances = {"precision": 0.04, "recall": 0.04, "density": 0.1, "coverage": 0.02}
    for (name, tolerance), value in zip(tolerances.items(), expected, strict=True):
        assert np.mean([f[name] for f in found]) == pytest.approx(value, abs=tolerance)


def test_a_shrunken_generator_fools_density_and_not_recall():
    rng = np.random.default_rng(0)
    real, shrunk = rng.normal(size=(1000, 64)), 0.5 * rng.normal(size=(1000, 64))
    found = manifold_measures(real, shrunk)
    assert found["precision"] == 1 and found["recall"] == 0 and found["density"] > 50


def test_manifold_measures_refuse_what_they_cannot_measure():
    with pytest.raises(ValueError, match="one width"):
        manifold_measures(np.zeros((9, 2)), np.zeros((9, 3)))
    with pytest.raises(ValueError, match="more than k"):
        manifold_measures(np.zeros((5, 2)), np.zeros((9, 2)))
