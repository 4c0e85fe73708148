"""The textbook measures of lesson 09, beside the audit's own and beside theory."""

import numpy as np
import pytest

from course_lib.audit.fidelity import frechet_bias, frechet_distance, manifold_measures
from course_lib.audit.textbook import (
    c2st,
    combined_estimate,
    density_ratio,
    extrapolate,
    precision_recall,
)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_are_those_of_the_audit(seed, k):
    rng = np.random.default_rng(seed)
    real, generated = rng.standard_normal((300, 4)), 1.3 * rng.standard_normal((250, 4))
    ours = precision_recall(real, generated, k)
    theirs = manifold_measures(real, generated, k)
    assert ours == pytest.approx((theirs["precision"], theirs["recall"]))


def test_the_p_value_of_a_blind_classifier_is_valid():
    rng = np.random.default_rng(0)
    ps = []
    for _ in range(2000):
        truth = np.arange(60) % 2
        shuffled = rng.permuted(np.tile(truth, (99, 1)), axis=1)
        ps.append(c2st(rng.integers(0, 2, 60), truth, shuffled)[1])
    ps = np.array(ps)
    assert ps.min() >= 1 / 100
    for level in (0.05, 0.2, 0.5):  # at most the level, but for 4 binomial standard errors
        assert (ps <= level).mean() < level + 4 * np.sqrt(level * (1 - level) / len(ps))


def test_the_limit_of_the_frechet_distance_is_free_of_its_bias():
    sizes = np.array([500, 1000, 2000, 4000])
    limits = []
    for seed in range(5):
        one, two = np.random.default_rng(seed).standard_normal((2, 4000, 16))
        limits.append(
            extrapolate(sizes, np.array([frechet_distance(one[:n], two[:n]) for n in sizes]))
        )
    bias = frechet_bias(np.eye(16), 4000, 4000)
    assert abs(np.mean(limits)) < bias / 2  # 3.4 sd of the mean of five (40 seeds)


def test_the_ratio_carries_one_normal_law_to_another():
    rng = np.random.default_rng(0)
    x = rng.normal(0.7, 1, 200_000)
    log_ratio = (x - 0.7) ** 2 / 2 - x**2 / 2
    probability = 1 / (
        1 + 3 * np.exp(-log_ratio)
    )  # of a classifier with three generated rows to one
    weights = density_ratio(probability, 100, 300)
    np.testing.assert_allclose(weights, np.exp(log_ratio), rtol=1e-9)
    assert abs(np.average(x, weights=weights)) < 0.02  # 5 standard errors


def test_intervals_from_combined_tables_cover_the_truth():
    rng = np.random.default_rng(0)
    n, tables, hits = 50, 5, []
    for _ in range(3000):
        real = rng.standard_normal(n)
        mean, variance = real.mean(), real.var(ddof=1)
        means = rng.normal(mean, (variance / n) ** 0.5, (tables, 1))  # posterior draws
        made = rng.normal(means, variance**0.5, (tables, n))
        estimate, total = combined_estimate(made.mean(axis=1), made.var(axis=1, ddof=1) / n)
        hits.append(abs(estimate) < 1.96 * total**0.5)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.025)  # five tables, no t quantile
