"""Modes counted, and recursive training held against its theory."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.audit import audit
from course_lib.mode_collapse import Modes, mode_coverage
from course_lib.model_collapse import (
    recursive,
    refit,
    tail_loss,
    theory,
    training_rows,
    verified_rows,
)
from course_lib.model_collapse.monte_carlo import (
    interval_of_mean,
    interval_of_median,
    interval_of_variance,
)

RING = Modes(
    np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], 1), 0.01
)


def ring(n, seed=0, modes=8):
    rng = np.random.default_rng(seed)
    return RING.centres[rng.integers(modes, size=n)] + RING.sd * rng.standard_normal((n, 2))


# --- modes --------------------------------------------------------------------------------------


def test_all_modes_of_the_true_mixture_are_captured_at_the_ceiling_of_quality():
    counts, quality = RING.counts(ring(100_000))
    found = mode_coverage(counts)
    assert (found["modes"], found["coverage"]) == (8, 1.0)
    assert quality == pytest.approx(1 - np.exp(-4.5), abs=0.002)  # 6 standard errors
    assert found["reverse_kl"] < 0.001


def test_modes_that_are_missing_are_counted():
    found = mode_coverage(RING.counts(ring(4000, modes=6))[0])
    assert (found["modes"], found["coverage"]) == (6, 0.75)
    assert found["reverse_kl"] == pytest.approx(np.log(8 / 6), abs=0.01)


def test_samples_between_modes_are_of_no_mode():
    counts, quality = RING.counts(np.zeros((50, 2)))
    assert quality == 0 and counts.sum() == 0
    assert mode_coverage(counts) == {"modes": 0, "coverage": 0.0, "reverse_kl": float("inf")}


def test_a_mode_without_weight_makes_the_divergence_infinite():
    assert mode_coverage([1, 1], [1, 0])["reverse_kl"] == float("inf")


# --- theory ---------------------------------------------------------------------------------------


def test_reference_values_of_the_field():
    assert theory.gaussian_median_variance(100, 100) == pytest.approx(0.363, abs=0.0005)
    gone = theory.extinction(0.01, 1000, 50)
    assert gone[9] == pytest.approx(0.177, abs=0.001)
    assert gone[49] == pytest.approx(0.677, abs=0.002)  # a simulated figure; the chain gives .678
    assert theory.gaussian_mean_spread(100, 50) == pytest.approx(0.5)
    assert theory.gaussian_mean_spread(100, 10**4, 0.1) == pytest.approx(1 / (100 * 0.1 * 1.9))
    assert theory.regression_error(10, "replace") == 10
    assert theory.regression_error(10, "accumulate") == pytest.approx(1.550, abs=0.001)
    assert theory.regression_error(10**5, "accumulate") < np.pi**2 / 6
    with pytest.raises(ValueError, match="replace"):
        theory.regression_error(3, "budget")


def fit_normal(rows):
    """A chain in each column."""
    return rows.mean(axis=0), rows.std(axis=0, ddof=1)


def sample_normal(model, n):
    return np.random.normal(*model, size=(n, *np.shape(model[0])))


def within(value, interval):
    return interval[0] <= value <= interval[1]


SEEDS = pytest.mark.parametrize("seed", range(3))


@SEEDS
@pytest.mark.parametrize(("n", "generations"), [(50, 20), (100, 50)])
def test_the_normal_loop_follows_the_formulas(n, generations, seed):
    """1,000 chains side by side; each formula lies in the 99 % interval of the run."""
    real = np.random.default_rng(seed).standard_normal((n, 1000))
    loop = recursive(fit_normal, sample_normal, real, generations=generations - 1, seed=seed)
    last = loop[generations - 1]  # refitted as often as there are generations, real rows included
    median = theory.gaussian_median_variance(n, generations)
    assert within(median, interval_of_median(last.var(axis=0, ddof=1)))
    spread = theory.gaussian_mean_spread(n, generations)
    assert within(spread, interval_of_variance(last.mean(axis=0)))


@SEEDS
@pytest.mark.parametrize("fresh", [0.1, 0.5])
def test_fresh_rows_tie_the_mean_down(fresh, seed):
    n, generations, runs = 200, 30, 1000
    rng = np.random.default_rng(seed)
    real, pool = rng.standard_normal((n, runs)), rng.standard_normal((generations * n, runs))
    means = []

    def fit(rows):
        means.append(rows.mean(axis=0))
        return fit_normal(rows)

    recursive(fit, sample_normal, real, generations=generations, fresh=fresh, pool=pool, seed=seed)
    expected = theory.gaussian_mean_spread(n, generations, fresh)
    assert within(expected, interval_of_variance(means[-1]))


def test_a_fixed_share_of_real_rows_ties_the_loop_down_too():
    """The augmentation loop: without a pool the share comes from the same real rows, over and over."""
    real = np.random.default_rng(0).standard_normal((100, 400))
    alone, anchored = (
        recursive(fit_normal, sample_normal, real, generations=40, fresh=fresh)[40]
        for fresh in (0.0, 0.2)
    )
    off = [np.abs(rows.mean(axis=0) - real.mean(axis=0)).mean() for rows in (alone, anchored)]
    assert off[1] < off[0] / 2


@SEEDS
def test_a_rare_class_drifts_and_dies_as_wright_and_fisher_say(seed):
    n, generations, runs = 500, 20, 1000
    real = np.zeros((n, runs), dtype=bool)
    real[: n // 100] = True  # 1 % in each chain
    loop = recursive(
        lambda rows: rows.mean(axis=0),
        lambda share, n: np.random.random((n, runs)) < share,
        real,
        generations=generations,
        seed=seed,
    )
    shares = loop[generations].mean(axis=0)
    assert within(theory.extinction(0.01, n, generations)[-1], interval_of_mean(shares == 0))
    assert within(theory.share_spread(0.01, n, generations) ** 2, interval_of_variance(shares))
    assert within(0.01, interval_of_mean(shares))


@SEEDS
@pytest.mark.parametrize("regime", ["replace", "accumulate"])
def test_the_regression_loop_follows_gerstgrasser(regime, seed):
    """Labels from the last fit: the error grows by one a generation, or stays below pi^2 / 6."""
    d, t, generations, runs = 5, 40, 8, 1000
    rng = np.random.default_rng(seed)
    inputs, truth = rng.standard_normal((t, runs, d)), rng.standard_normal((runs, d))
    errors = []

    def labelled(weights):
        labels = np.einsum("tri,ri->tr", inputs, weights) + np.random.standard_normal((t, runs))
        return np.concatenate([inputs, labels[..., None]], axis=-1)

    def fit(rows):
        x, y = rows[..., :d], rows[..., d]
        gram, moment = np.einsum("tri,trj->rij", x, x), np.einsum("tri,tr->ri", x, y)
        weights = np.linalg.solve(gram, moment[..., None])[..., 0]
        errors.append(((weights - truth) ** 2).sum(axis=1) / (d / (t - d - 1)))
        return weights

    np.random.seed(seed)
    recursive(
        fit,
        lambda weights, n: labelled(weights),
        labelled(truth),
        generations=generations,
        regime=regime,
        seed=seed,
    )
    assert within(theory.regression_error(generations, regime), interval_of_mean(errors[-1]))
    if regime == "replace":
        slopes = np.polyfit(np.arange(generations), errors, 1)[0]
        assert within(1.0, interval_of_mean(slopes))
    else:
        assert errors[-1].mean() < np.pi**2 / 6


@SEEDS
def test_the_intervals_hold_what_they_say(seed):
    """Of 500 samples of a skewed distribution about 99 % hold the truth, a little less for the skew."""
    draws = np.random.default_rng(seed).exponential(size=(500, 400))
    for interval, truth, least in (
        (interval_of_median, np.log(2), 0.97),
        (interval_of_mean, 1.0, 0.96),
        (interval_of_variance, 1.0, 0.92),
    ):
        assert least < np.mean([within(truth, interval(values)) for values in draws]) < 1


# --- tails ----------------------------------------------------------------------------------------


def test_tail_loss_is_0_for_equal_distributions_and_known_for_others():
    rng = np.random.default_rng(0)
    real, same = rng.standard_normal((2, 200_000))
    # Four standard errors of a ratio of two shares of 0.025.
    assert tail_loss(real, same) == pytest.approx([0, 0], abs=0.08)
    # P(Z > 1.96 / 0.7) / 0.025, and a distribution moved up by one: P(Z < -2.96), P(Z > 0.96)
    assert tail_loss(real, 0.7 * same) == pytest.approx([0.898, 0.898], abs=0.03)
    assert tail_loss(real, same + 1) == pytest.approx([1 - 0.0615, 1 - 6.742], abs=0.3)
    assert tail_loss(real, 0 * same).tolist() == [1, 1]


# --- the loop ---------------------------------------------------------------------------------------


def test_the_bare_loop_is_the_same_recursion():
    def fit(rows):
        return rows.mean(), rows.std()

    def sample(model, n):
        return model[0] + model[1] * np.linspace(-1, 1, n)

    real = np.random.default_rng(0).standard_normal(12)
    rng = np.random.default_rng(0)
    for regime in ("replace", "accumulate"):
        bare = refit(fit, sample, real, 4, lambda made, r=regime: training_rows(made, r, rng))
        full = recursive(fit, sample, real, generations=4, regime=regime)
        np.testing.assert_array_equal(np.stack(bare), np.stack(full.rows))


def test_regimes_learn_from_what_they_say():
    seen = []

    def fit(rows):
        seen.append(rows.copy())
        return len(seen)

    def sample(model, n):
        return np.full(n, float(model))

    real = np.zeros(10)
    recursive(fit, sample, real, generations=3)
    assert [set(rows) for rows in seen] == [{0.0}, {1.0}, {2.0}]
    seen.clear()
    loop = recursive(fit, sample, real, generations=3, regime="accumulate")
    assert [len(rows) for rows in seen] == [10, 20, 30]
    assert list(loop.table["learnt from"]) == [10, 10, 20, 30]
    seen.clear()
    recursive(fit, sample, real, generations=3, regime="budget")
    assert [len(rows) for rows in seen] == [10, 10, 10] and set(seen[2]) <= {0.0, 1.0, 2.0}
    seen.clear()
    recursive(fit, sample, real, generations=2, fresh=0.3)
    assert (seen[1] == 0).sum() == 3 and (seen[1] == 1).sum() == 7


def test_an_interrupted_run_goes_on_with_the_same_result(tmp_path):
    real = np.random.default_rng(0).standard_normal(30)
    options = {
        "generations": 6,
        "regime": "budget",
        "fresh": 0.1,
        "seed": 3,
        "measure": lambda rows: {"some": np.random.choice(rows)},  # one that draws
    }
    whole = recursive(fit_normal, sample_normal, real, **options)
    calls = []

    def breaks(rows):
        calls.append(len(rows))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return fit_normal(rows)

    with pytest.raises(KeyboardInterrupt):
        recursive(breaks, sample_normal, real, folder=tmp_path, **options)
    assert sorted(file.name for file in tmp_path.iterdir())[:2] == [
        "generation_001.npy",
        "generation_002.npy",
    ]
    again = recursive(breaks, sample_normal, real, folder=tmp_path, **options)
    assert len(calls) == 4 + 3  # three more, not six
    for one, two in zip(whole.rows, again.rows, strict=True):
        np.testing.assert_array_equal(one, two)
    pd.testing.assert_frame_equal(whole.table, again.table, check_exact=True)
    with pytest.raises(ValueError, match="another run"):
        recursive(fit_normal, sample_normal, real + 1, folder=tmp_path, **options)


def test_an_interrupted_table_goes_on_with_the_same_result(tmp_path):
    """To the last digit, whatever the types of its columns, and whatever its index."""
    rng = np.random.default_rng(0)
    n = 40
    real = pd.DataFrame(
        {
            "third": rng.normal(size=n) / 3,
            "count": rng.integers(9, size=n),
            "gap": pd.array(rng.integers(9, size=n), dtype="Int64"),
            "level": pd.Categorical(rng.choice(["x", "y"], n), ["y", "z", "x"], ordered=True),
            "word": rng.choice(["a", "null"], n),
            "when": pd.to_datetime("2020-02-29 10:00:00.123") + pd.to_timedelta(np.arange(n), "D"),
            7: rng.random(n) < 0.5,
        }
    )
    real.loc[3, ["third", "gap", "word", "when"]] = None

    def noisy(rows, n):
        rows = rows.sample(n, replace=True)
        return rows.assign(third=rows["third"] * np.random.normal(1, 0.1, n))

    whole = recursive(lambda rows: rows, noisy, real, generations=5)
    recursive(lambda rows: rows, noisy, real, generations=2, folder=tmp_path)
    again = recursive(lambda rows: rows, noisy, real, generations=5, folder=tmp_path)
    for one, two in zip(whole.rows, again.rows, strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_tables_go_through_and_an_audit_can_read_them(tmp_path):
    rng = np.random.default_rng(0)
    real = pd.DataFrame(
        {"a": rng.normal(size=60), "b": rng.choice(["x", "y"], 60), "c": rng.integers(9, size=60)}
    )

    def bootstrap(rows, n):
        return rows.sample(n, replace=True).reset_index(drop=True)

    def measure(rows):
        return {"distinct": rows["a"].nunique()}

    runs = [
        recursive(
            lambda rows: rows, bootstrap, real, generations=4, measure=measure, folder=tmp_path
        )
        for _ in range(2)
    ]
    for one, two in zip(runs[0].rows, runs[1].rows, strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    distinct = runs[0].table["distinct"]
    assert distinct[0] == 60 and distinct.is_monotonic_decreasing and distinct[4] < 30
    report = audit(real[:30], real[30:], runs[0][4], progress=False)
    assert report["exact_copies[whole rows]"].verdict == "fail"


def test_torch_is_seeded_too():
    loops = [
        recursive(
            lambda rows: None, lambda _, n: torch.randn(n).numpy(), np.zeros(4), generations=2
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(loops[0][2], loops[1][2])
    assert not np.array_equal(loops[0][1], loops[0][2])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"regime": "acumulate"}, "accumulate"),
        ({"fresh": 1.5}, "between 0 and 1"),
        ({"data": np.zeros(1)}, "at least two rows"),
        ({"sample": lambda model, n: np.zeros(n + 1)}, "Generation 1: sample must give 10 rows"),
        ({"sample": lambda model, n: [0] * n}, "not a list, but an array"),
        ({"sample": lambda model, n: np.zeros((n, 2))}, r"of shape \(10, 2\), but an array"),
        ({"pool": np.zeros((30, 2))}, "pool must hold rows like the data"),
    ],
)
def test_bad_calls_say_what_is_wrong(options, says):
    given = {"fit": np.mean, "sample": sample_normal, "data": np.zeros(10), **options}
    with pytest.raises(ValueError, match=says):
        recursive(**given)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (pd.DataFrame({"b": [1, 2]}), "with the columns"),
        (pd.DataFrame({"a": [1.5, 2.5]}), "'a' is of type float64, not int64"),
    ],
)
def test_a_table_of_other_columns_or_types_is_refused(rows, says):
    with pytest.raises(ValueError, match=says):
        recursive(lambda rows: None, lambda model, n: rows, pd.DataFrame({"a": [1, 2]}))


# --- the lesson -------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]


def test_every_run_of_the_benchmark_meets_the_bars():
    """Over five seeds, on digits. Lesson 08 reads its table from the same record."""
    report = json.loads((ROOT / "benchmarks/results/model_collapse.json").read_text())
    (rows,) = report["runs"].values()
    kept = pd.DataFrame(rows)
    assert len(kept) == 5
    assert (kept["replace_coverage_kept"] <= 0.5).all()
    assert (kept["accumulate_coverage_kept"] >= 0.9).all()


# --- verification ---------------------------------------------------------------------------------


def test_each_chain_s_verifier_rejects_its_own_rows():
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((50, 3, 2)), rng.standard_normal((3, 2))
    residual = rng.uniform(-2, 2, (50, 3))
    y = np.einsum("tri,ri->tr", x, weights) + residual
    rows = np.concatenate([x, y[..., None]], axis=-1)
    kept = verified_rows(rows, weights, 1.0)
    rejected = abs(residual) > 1
    assert (kept[rejected] == 0).all() and np.array_equal(kept[~rejected], rows[~rejected])
    assert 0.3 < rejected.mean() < 0.7


def test_rejected_rows_add_nothing_to_least_squares():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((40, 1, 3))
    kept = verified_rows(rows, np.zeros((1, 2)), 0.8)[:, 0]
    accepted = rows[abs(rows[:, 0, -1]) <= 0.8, 0]
    all_rows, some_rows = (np.linalg.lstsq(r[:, :2], r[:, 2])[0] for r in (kept, accepted))
    assert len(accepted) < 40 and np.allclose(all_rows, some_rows)
