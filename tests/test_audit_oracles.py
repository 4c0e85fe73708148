"""The audit's numbers against known values and against well-kept libraries.

Each tolerance says how far chance may take the number with these seeds: three standard errors or
more, unless the two are one formula, which must then agree to the digits of a float.
"""

import contextlib
import io

import numpy as np
import ot
import pandas as pd
import pytest
import torch
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from prdc import compute_prdc
from scipy import stats
from sklearn.metrics import roc_auc_score
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from course_lib.audit import audit, corruptions, fairness
from course_lib.audit.checks import bias, geometry, pairs
from course_lib.audit.checks.columns import wasserstein
from course_lib.audit.contingency import cramers_v, joint
from course_lib.audit.evidence import Evidence
from course_lib.audit.fidelity import (
    frechet_bias,
    frechet_distance,
    frechet_of_moments,
    manifold_measures,
    mmd2,
)
from course_lib.audit.finding import MARGINS
from course_lib.audit.statistics import (
    area,
    counts,
    kolmogorov_smirnov,
    rank_sum,
    shares,
    total_variation,
)
from course_lib.audit.table import prepare
from course_lib.audit.values import Values
from course_lib.mode_collapse import Modes, mode_coverage

EXACT = {"rel": 1e-9, "abs": 1e-12}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- moments and kernels -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("d", "n", "draws", "tolerance"),
    [(64, 1000, 8, 0.03), (64, 10_000, 3, 0.03), (256, 1000, 2, 0.02)],
)
def test_frechet_distance_of_one_normal_law_is_its_bias(rng, d, n, draws, tolerance):
    # 2.21, 0.221 and 33.4.
    expected = (d**2 + 5 * d) / (2 * n)
    measured = [frechet_distance(*rng.normal(size=(2, n, d))) for _ in range(draws)]
    assert np.mean(measured) == pytest.approx(expected, rel=tolerance)
    assert frechet_bias(np.eye(d), n, n) == pytest.approx(expected, **EXACT)


def test_frechet_bias_of_unequal_variances_and_sizes(rng):
    scale = np.geomspace(1, 0.1, 16)
    turned = np.linalg.qr(rng.normal(size=(16, 16)))[0] * scale  # columns: turned and scaled
    n, m = 2000, 3000
    measured = [
        frechet_distance(rng.normal(size=(n, 16)) @ turned.T, rng.normal(size=(m, 16)) @ turned.T)
        for _ in range(150)
    ]
    assert np.std(measured) / np.sqrt(150) < 0.02 * np.mean(measured)
    assert np.mean(measured) == pytest.approx(frechet_bias(turned @ turned.T, n, m), rel=0.06)


def test_frechet_distance_of_two_known_normal_laws():
    # Diagonal covariances: |m|^2 + sum (s_i - t_i)^2.
    s, t, mean = np.array([1.0, 2.0, 0.0]), np.array([0.5, 3.0, 1.0]), np.array([1.0, 0.0, 2.0])
    distance = frechet_of_moments(np.zeros(3), np.diag(s**2), mean, np.diag(t**2))
    assert distance == pytest.approx(5 + 0.25 + 1 + 1, **EXACT)


@pytest.mark.slow
def test_kernel_distance_is_zero_on_average_for_one_law(rng):
    drawn = [mmd2(*rng.normal(size=(2, 300, 8))) for _ in range(200)]
    assert abs(np.mean(drawn)) < 3.5 * np.std(drawn) / np.sqrt(200)
    assert np.min(drawn) < 0 < np.max(drawn)


def test_rbf_kernel_distance_of_two_normal_laws(rng):
    # E k(x, y) of a kernel of bandwidth 1 is 1/3 within a distribution, e^(-1/6) / 3 across.
    expected = 2 / 3 * (1 - np.exp(-1 / 6))
    assert expected == pytest.approx(0.10235, abs=1e-5)
    drawn = [
        mmd2(rng.normal(size=(400, 2)), rng.normal([1, 0], size=(400, 2)), bandwidth=1)
        for _ in range(100)
    ]
    assert np.mean(drawn) == pytest.approx(expected, abs=3.5 * np.std(drawn) / np.sqrt(100))


class Own(torch.nn.Module):
    """A feature module for torchmetrics that hands the features on."""

    num_features = 12

    def forward(self, x):
        return x


@pytest.fixture
def features(rng):
    return rng.normal(size=(300, 12)), 0.3 + 1.2 * rng.normal(size=(300, 12))


def updated(metric, real, generated):
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(generated), real=False)
    return metric.compute()


@pytest.mark.filterwarnings("ignore:Metric .* will save all extracted features")
def test_torchmetrics_agrees(features):
    fid = FrechetInceptionDistance(feature=Own(), input_img_size=(12,)).set_dtype(torch.float64)
    assert updated(fid, *features).item() == pytest.approx(frechet_distance(*features), rel=1e-9)
    # Its KID is a mean over random subsets; one subset of everything is the unbiased estimate.
    kid = KernelInceptionDistance(feature=Own(), subsets=1, subset_size=300)
    assert updated(kid, *features)[0].item() == pytest.approx(mmd2(*features), rel=1e-9)


# --- neighbours ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "m", "d", "k"), [(400, 300, 2, 5), (200, 500, 64, 3), (300, 300, 1, 1)]
)
def test_prdc_agrees(rng, n, m, d, k):
    one, two = rng.normal(size=(n, d)), 0.8 * rng.normal(size=(m, d)) + 0.1
    for real, generated in ((one, two), (two, one)):
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = compute_prdc(real, generated, nearest_k=k)
        assert manifold_measures(real, generated, k) == pytest.approx(theirs, rel=1e-12)


def four(real, generated):
    return [*manifold_measures(real, generated, 5).values()]


def test_a_perfect_generator_does_not_score_one(rng):
    # Precision, recall, density, coverage; null density is 1 and null coverage 1 - 2^-k. The density
    # of one draw varies by 0.06 in 64 dimensions.
    flat = np.mean([four(*rng.normal(size=(2, 2000, 2))) for _ in range(4)], axis=0)
    assert flat == pytest.approx([0.995, 0.996, 1.0, 1 - 2**-5], abs=0.015)
    deep = np.mean([four(*rng.normal(size=(2, 2000, 64))) for _ in range(4)], axis=0)
    assert deep[[0, 1, 3]] == pytest.approx([0.70, 0.70, 1 - 2**-5], abs=0.025)
    assert deep[2] == pytest.approx(1, abs=0.12)


def test_a_shrunken_generator_fools_density_and_coverage_but_not_recall(rng):
    precision, recall, density, coverage = four(
        rng.normal(size=(2000, 64)), 0.5 * rng.normal(size=(2000, 64))
    )
    assert (precision, recall, coverage) == (1, 0, 1)
    assert density == pytest.approx(191, abs=6)


GRID = np.array([(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)], float)


def on_grid(rng, n, modes=25, sd=0.05):
    return GRID[rng.integers(0, modes, n)] + sd * rng.normal(size=(n, 2))


def test_dropped_and_narrow_modes_of_the_grid(rng):
    dropped = four(on_grid(rng, 2000), on_grid(rng, 2000, modes=20))
    assert dropped == pytest.approx([0.986, 0.798, 0.986, 0.792], abs=0.04)
    narrow = four(on_grid(rng, 2000), on_grid(rng, 2000, sd=0.005))
    assert narrow == pytest.approx([0.998, 0.062, 1.075, 0.153], abs=0.1)
    assert narrow[1] < 0.1
    assert narrow[3] < 0.25


def test_the_true_law_has_not_all_of_its_samples_within_three_sd(rng):
    n = 100_000
    made, good = Modes(GRID, 0.05).counts(on_grid(rng, n))
    ceiling = 1 - np.exp(-4.5)  # 98.89 %
    assert good == pytest.approx(ceiling, abs=3.5 * np.sqrt(ceiling * (1 - ceiling) / n))
    found = mode_coverage(made)
    assert found["modes"] == 25
    # 2 n KL is chi-squared with 24 degrees of freedom.
    assert found["reverse_kl"] < stats.chi2.isf(1e-4, 24) / (2 * made.sum())
    made, _ = Modes(GRID, 0.05).counts(on_grid(rng, n, modes=20))
    assert mode_coverage(made)["modes"] == 20
    assert mode_coverage(made)["reverse_kl"] == pytest.approx(np.log(25 / 20), abs=0.002)


# --- two samples ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_classifier_cannot_tell_one_distribution_apart(rng):
    # The area under the curve has the null distribution of a Mann-Whitney statistic on the test rows.
    n, draws = 600, 30
    sd = np.sqrt((n + 1) / (12 * (n / 2) ** 2))  # of the n / 2 test rows of each kind
    found = [
        geometry._classifier(*rng.normal(size=(2, n, 3)), rng, MARGINS, ()).finding.estimate
        for _ in range(draws)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=3.5 * sd / np.sqrt(draws))
    assert np.std(found, ddof=1) == pytest.approx(sd, rel=3.5 / np.sqrt(2 * draws))


def test_scipy_agrees_on_distributions(rng):
    one, two = rng.normal(size=300), rng.exponential(size=450).round(1)
    ours, theirs = kolmogorov_smirnov(one, two), stats.ks_2samp(one, two)
    assert ours.estimate == pytest.approx(theirs.statistic, **EXACT)
    at = np.sort(np.concatenate([one, two]))
    steps = [np.searchsorted(np.sort(side), at, "right") / len(side) for side in (one, two)]
    assert ours.estimate == pytest.approx(np.abs(steps[0] - steps[1]).max(), **EXACT)
    equal = rng.normal(size=(2, 400))
    exact = stats.ks_2samp(*equal, method="exact").pvalue
    assert kolmogorov_smirnov(*equal).p == pytest.approx(exact, rel=0.15)


def test_pot_agrees_on_the_wasserstein_distance(rng):
    one, two = rng.normal(size=300), 2 * rng.exponential(size=450)
    scale = two.std()
    ours = wasserstein(one, two, scale, rng).estimate * scale
    assert ours == pytest.approx(ot.wasserstein_1d(one, two, p=1), rel=1e-9)
    assert ours == pytest.approx(ot.emd2_1d(one, two, metric="euclidean"), rel=1e-9)


def test_scipy_agrees_on_counts(rng):
    synthetic, real = rng.multinomial(500, [0.5, 0.3, 0.2]), rng.multinomial(800, [0.4, 0.4, 0.2])
    table = np.stack([synthetic, real])
    expected = stats.chi2_contingency(table, correction=False).pvalue
    # Ours has the exact moments of chi-squared; of many rows in few cells they are nearly SciPy's.
    assert counts(synthetic, real).p == pytest.approx(expected, rel=0.02)
    assert total_variation(synthetic, real) == pytest.approx(
        np.abs(synthetic / 500 - real / 800).sum() / 2, **EXACT
    )
    assert cramers_v(table) == pytest.approx(stats.contingency.association(table), **EXACT)
    few = shares(3, 40, 15, 60)
    assert few.p == pytest.approx(stats.fisher_exact([[3, 37], [15, 45]]).pvalue, rel=1e-9)
    many = shares(150, 400, 250, 500)
    two = [[150, 250], [250, 250]]
    assert many.p == pytest.approx(stats.chi2_contingency(two, correction=False).pvalue, rel=1e-9)


@pytest.mark.parametrize("cells", [8, 40, 90])
def test_scipy_s_permutations_agree_on_sparse_counts(rng, cells):
    p = np.full(cells, 1 / cells)
    q = p * np.where(np.arange(cells) % 2, 1.3, 0.7)
    table = np.stack([rng.multinomial(150, p), rng.multinomial(150, q)])
    kept = table.sum(axis=0) >= 2  # rarer cells are tested as one
    table = np.column_stack([table[:, kept], table[:, ~kept].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    shuffled = stats.PermutationMethod(n_resamples=1999, rng=rng)
    expected = stats.chi2_contingency(table, correction=False, method=shuffled).pvalue
    assert counts(*table).p == pytest.approx(expected, abs=0.03)


def test_newcombe_s_own_example():
    # Newcombe 1998, Statistics in Medicine 17, 873-890: 56/70 against 48/80, method 10.
    found = shares(56, 70, 48, 80)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_ranks_agree_with_scipy_and_scikit_learn(rng):
    one, two = rng.integers(0, 12, 200), rng.integers(2, 14, 350)
    made = np.repeat([1, 0], [200, 350])
    expected = roc_auc_score(made, np.concatenate([one, two]))
    assert area(one, two) == pytest.approx(expected, **EXACT)
    found = rank_sum(one, two)
    theirs = stats.mannwhitneyu(one, two, use_continuity=False, method="asymptotic")
    assert found.estimate == pytest.approx(theirs.statistic / (200 * 350), **EXACT)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)


# --- groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 5])
def test_fairlearn_agrees(rng, levels):
    truth, group = rng.random(800) < 0.3, rng.integers(0, levels, 800)
    chosen = rng.random(800) < 0.2 + 0.3 * truth + 0.05 * group
    parity = demographic_parity_difference(truth, chosen, sensitive_features=group)
    odds = equalized_odds_difference(truth, chosen, sensitive_features=group)
    assert fairness.demographic_parity(chosen, group) == pytest.approx(parity, **EXACT)
    assert fairness.equalized_odds(truth, chosen, group) == pytest.approx(odds, **EXACT)
    assert bias.odds_gap(truth, chosen, group) == pytest.approx(odds, **EXACT)


def test_a_group_without_positives_has_no_rate_where_fairlearn_counts_a_zero(rng):
    truth, group = rng.random(800) < 0.3, rng.integers(0, 3, 800)
    truth[group == 0] = False
    chosen = rng.random(800) < 0.5
    others = [chosen[truth & (group == code)].mean() for code in (1, 2)]
    rejected = [chosen[~truth & (group == code)].mean() for code in (0, 1, 2)]
    expected = max(np.ptp(others), np.ptp(rejected))
    assert bias.odds_gap(truth, chosen, group) == pytest.approx(expected, **EXACT)
    theirs = equalized_odds_difference(truth, chosen, sensitive_features=group)
    assert theirs == pytest.approx(max(others), **EXACT)  # against a rate of zero


def test_halved_labels_of_women_in_a_large_table(rng):
    # The labels of women halved from 5.2 %: z = -12 where SDMetrics' score moves from .9918 to .9917.
    n = 50_000

    def table():
        female = rng.random(n) < 1 / 3
        label = rng.random(n) < np.where(female, 0.052, 0.08)
        return pd.DataFrame({"sex": np.where(female, "female", "male"), "label": label})

    real, synthetic = table(), table()
    damaged, _ = corruptions.scale_labels(synthetic, "label", {"sex": "female"}, 0.5)
    assert abs(z_of_women(real, synthetic)) < 3.5
    assert z_of_women(real, damaged) == pytest.approx(-12, abs=2)


def z_of_women(real, synthetic):
    half = len(real) // 2
    tables = prepare(real[:half], real[half:], synthetic, label="label", sensitive=["sex"])
    (found,) = (
        draft.finding
        for draft in bias._label_rates(Evidence(tables), tables.target)
        if draft.finding.slice == "sex = female"
    )
    return np.sign(found.estimate) * stats.norm.isf(found.p / 2)


@pytest.mark.slow
def test_one_generation_of_wright_and_fisher_is_what_a_group_share_is_held_against(rng):
    # After G generations of n rows a share p varies by sqrt(p (1 - p) (1 - (1 - 1/n)^G)).
    p, n, runs = 0.01, 1000, 40_000
    share = np.full(runs, p)
    for generation in range(1, 11):
        share = rng.binomial(n, share) / n
        sd = np.sqrt(p * (1 - p) * (1 - (1 - 1 / n) ** generation))
        assert share.std() == pytest.approx(sd, rel=0.03)
        assert share.mean() == pytest.approx(p, abs=4 * sd / np.sqrt(runs))
        if generation == 1:
            level = np.mean(
                [shares(k, n, 10**5, 10**7).p < 0.05 for k in np.rint(share[:4000] * n)]
            )
            assert level <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
    assert np.mean(share == 0) == pytest.approx(0.177, abs=0.01)
    # So drift alone, without a bias, is soon more than one generation allows.
    assert np.mean([shares(k, n, 10**5, 10**7).p < 0.05 for k in np.rint(share[:4000] * n)]) > 0.2


# --- traps that other tools fell into ------------------------------------------------------------


def test_one_outlier_does_not_move_a_pair(rng):
    # Where each side is binned by its own range, one outlier moved SDMetrics' score .771 -> .038.
    def table(n):
        x = rng.normal(size=n)
        return pd.DataFrame({"x": x, "y": x + rng.normal(size=n)})

    train, holdout, synthetic = table(1000), table(1000), table(1000)
    far = synthetic.copy()
    far.loc[0, "x"] = 1e6

    def pair(made):
        tables = prepare(train, holdout, made)
        (draft,) = pairs.check(Evidence(tables), rng)
        return draft.finding.estimate

    # One row is 1 / 1000 of its cells, and as much of the margins that the real rows are weighted to.
    assert pair(far) == pytest.approx(pair(synthetic), abs=2 / 1000)
    own_edges = [np.histogram2d(made["x"], made["y"], bins=10)[0] for made in (synthetic, far)]
    assert total_variation(*own_edges) > 0.5


def test_bins_end_at_infinity(rng):
    column = Values("x", "number", rng.normal(size=500), np.array([-1e300, 1e300, np.nan, 0.0]))
    _, codes, cells = column.coarse
    assert list(codes[:3]) == [0, cells - 2, cells - 1]
    synthetic, real = joint(column, column)
    assert synthetic.sum() == 4
    assert real.sum() == 500


@pytest.fixture(scope="module")
def people():
    def table(n, seed):
        rng = np.random.default_rng(seed)
        income, sex = rng.lognormal(10, 0.5, n).round(2), rng.choice(["f", "m"], n)
        debt = (income * rng.lognormal(-1, 0.7, n)).round(2)
        good = rng.random(n) < 1 / (1 + np.exp(2 * debt / income - 1))
        town = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
        return pd.DataFrame(
            {"income": income, "debt": debt, "sex": sex, "town": town, "good": good}
        )

    return table(1000, 0), table(1000, 1), table(1000, 2)


def found(people, synthetic):
    train, holdout, _ = people
    report = audit(train, holdout, synthetic, label="good", sensitive=["sex"], progress=False)
    return {f.id: f for f in report if f.q is not None and f.q < 0.05}


@pytest.mark.slow
def test_an_unseen_category_is_a_finding_and_not_a_crash(people):
    # SDMetrics' logistic detection crashes on it.
    damaged, _ = corruptions.invent_category(people[2], "town", "nowhere", share=0.02)
    assert "nowhere" in found(people, damaged)["levels[town]"].method


@pytest.mark.slow
def test_copies_of_a_twentieth_of_the_rows_are_found(people):
    # Where distances to the closest record moved from 0.938 to 0.892 only.
    assert not found(people, people[2])
    damaged, _ = corruptions.copy_training(people[2], people[0], 0.05)
    assert {"exact_copies[whole rows]", "membership_tpr[whole rows]"} <= set(found(people, damaged))


def test_calibration_gaps_agree_with_a_table_of_pandas(rng):
    score, groups = rng.uniform(0, 1, 3000), rng.random((4, 3000)) < 0.3
    truth = (rng.random(3000) < np.where(groups[2], score**2, score)).astype(int)
    sums = [
        pd.Series((truth - score)[g]).groupby((score[g] * 10).astype(int)).agg(["sum", "mean"])
        for g in groups
    ]
    worst = pd.concat(dict(enumerate(sums)))
    group, bin_ = worst["sum"].abs().idxmax()
    expected = (group, bin_, pytest.approx(worst["mean"][group, bin_]))
    assert fairness.worst_calibration_gap(truth, score, groups) == expected
    assert group == 2
