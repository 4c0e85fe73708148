"""Privacy: attacks against oracles, nulls and planted leaks; gradients, accountant, marginals, audit."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import comb, logsumexp
from scipy.stats import binom
from sklearn.metrics import roc_auc_score, roc_curve

from course_lib import datasets
from course_lib.privacy import attacks, dp_sgd, marginals
from course_lib.privacy.accountant import (
    ORDERS,
    epsilon_of,
    gaussian,
    noise_for,
    rho_for,
    sampled_gaussian,
)
from course_lib.privacy.marginals import Domain, NoisyMarginals
from course_lib.privacy.one_run import epsilon_at_least, guess, p_value

LOANS = pd.concat([datasets.load("loans").train, datasets.load("loans").held_out])
SEEDS = range(5)


def thirds(seed, rows=900):
    """Loans to learn from, a control and a reference."""
    order = np.random.default_rng(seed).permutation(len(LOANS))[:rows]
    return [LOANS.iloc[part].reset_index(drop=True) for part in np.split(order, 3)]


# --- rates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_rates_are_those_of_the_roc_curve_with_ties_and_without(seed):
    rng = np.random.default_rng(seed)
    for levels in (3, 20, None):
        members, others = rng.normal(0.5, size=300), rng.normal(size=400)
        if levels:
            members, others = (np.round(x * levels / 4) for x in (members, others))
        truth = np.repeat([1, 0], [300, 400])
        scores = np.concatenate([members, others])
        assert attacks.auc(members, others) == pytest.approx(roc_auc_score(truth, scores))
        false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
        for fpr in (0.0013, 0.0101, 0.1003):  # between the steps of 1 / 400
            wanted = np.interp(fpr, false, true)
            assert attacks.tpr_at_fpr(members, others, fpr) == pytest.approx(wanted)


def test_a_tie_that_many_others_share_does_not_hide_the_members():
    """Copies have distance 0, and so have a few strangers: a threshold cannot part them, a lot can."""
    members, others = np.repeat([0.0, -1.0], [600, 400]), np.repeat([0.0, -1.0], [20, 980])
    assert attacks.tpr_at_fpr(members, others, 0.001) == pytest.approx(0.6 * 0.001 / 0.02)
    assert attacks.tpr_at_fpr(members, others, 0.02) == pytest.approx(0.6)
    assert attacks.tpr_at_fpr(members, members, 0.01) == pytest.approx(0.01)
    assert attacks.tpr_at_fpr(members, others, 1) == 1
    with pytest.raises(ValueError, match="between 0 and 1"):
        attacks.tpr_at_fpr(members, others, 2)
    with pytest.raises(ValueError, match="none missing"):
        attacks.auc(members, np.array([np.nan]))


def test_risk_has_newcombe_s_interval():
    """His first example: 56 of 70 against 48 of 80, Statistics in Medicine 17, 1998, table II."""
    hits = [np.arange(n) < k for k, n in ((56, 70), (48, 80))]
    found = attacks.risk(*hits)
    assert found.above == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


# --- attacks on tables ---------------------------------------------------------------------------


def spaced(*tables):
    """Numbers of the tables' numeric columns, in units of the first table's."""
    names = ["age", "income", "debt", "amount"]
    mean, sd = tables[0][names].mean(), tables[0][names].std()
    return [((table[names] - mean) / sd).to_numpy(float) for table in tables]


def test_attacks_say_nothing_where_nothing_leaks():
    """Synthetic rows that are fresh rows: members and control are alike."""
    found = {"values": [], "pairs": [], "density": [], "closest": []}
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(LOANS))[:1200]
        train, control, reference, made = (LOANS.iloc[part] for part in np.split(order, 4))
        x = spaced(train, control, reference, made)
        for name, attack in {
            "values": lambda t, _, m=made, r=reference: attacks.verbatim_numbers(t, m, r),
            "pairs": lambda t, _, m=made, r=reference: attacks.verbatim_numbers(t, m, r, 2),
            "density": lambda _, v, x=x: attacks.domias(v, x[3], x[2]),
            "closest": lambda _, v, x=x: attacks.closest_record(v, x[3]),
        }.items():
            found[name].append(attacks.auc(attack(train, x[0]), attack(control, x[1])))
    for name, aucs in found.items():
        # an AUC of 300 against 300 has a standard error of 0.0236, the mean of eight 0.0083
        assert np.mean(aucs) == pytest.approx(0.5, abs=4 * 0.0083), name


@pytest.mark.parametrize("seed", range(3))
def test_planted_leaks_are_found(seed):
    train, control, reference = thirds(seed)
    rng = np.random.default_rng(seed)
    # Each column shuffled by itself: no row is a member's, all numbers are.
    apart = pd.DataFrame({name: rng.permutation(train[name]) for name in train})
    scores = [attacks.verbatim_numbers(t, apart, reference) for t in (train, control)]
    assert attacks.auc(*scores) > 0.85 and attacks.tpr_at_fpr(*scores, 0.01) > 0.3
    x = spaced(train, control, reference, apart)
    assert attacks.auc(*(attacks.closest_record(v, x[3]) for v in x[:2])) < 0.56
    # Half the cells of each row swapped among the rows: pairs of levels and numbers stay.
    halves = train.copy()
    halves[list(train)[::2]] = train[list(train)[::2]].iloc[rng.permutation(300)].to_numpy()
    pairs = [attacks.verbatim_numbers(t, halves, reference, 2) for t in (train, control)]
    assert attacks.auc(*pairs) > 0.9
    # Near copies: members lie where synthetic rows are dense.
    near = x[0] + rng.normal(0, 0.05, x[0].shape)
    dense = [attacks.domias(v, near, x[2], k=1) for v in x[:2]]
    assert attacks.auc(*dense) > 0.8


def test_copies_are_counted_and_rows_between_records_are_none():
    rng = np.random.default_rng(0)
    learnt, control = rng.normal(size=(2, 100, 20))
    near = learnt[:30] + 0.05 * rng.normal(size=(30, 20))
    between = (learnt[30:60] + learnt[60:90]) / 2
    made = np.concatenate([near, between, rng.normal(size=(100, 20))])
    found = attacks.copied_from(made, learnt)
    assert found[:30].tolist() == list(range(30)) and (found[30:] == -1).all()
    assert (attacks.copied_from(made, control) == -1).all()


def test_tables_that_do_not_fit_are_refused():
    train, control, reference = thirds(0)
    with pytest.raises(ValueError, match="same columns"):
        attacks.verbatim_numbers(train, control.drop(columns="age"), reference)
    with pytest.raises(ValueError, match="at least one row"):
        attacks.verbatim_numbers(train, control, reference.head(0))
    with pytest.raises(ValueError, match="5 neighbours"):
        attacks.domias(np.zeros((3, 2)), np.zeros((4, 2)), np.zeros((9, 2)))
    with pytest.raises(ValueError, match="3 rows are wanted of 2"):
        attacks.nearest_rows(train, control.head(2), 3)


def test_gower_s_neighbours_by_hand():
    rows = pd.DataFrame({"x": [0.0, 5.0, 10.0], "kind": ["a", "b", None]})
    asked = pd.DataFrame({"x": [4.0, 9.0, np.nan], "kind": ["a", None, "b"]})
    # distances of the first: 0.4, 0.1 + 1, 0.6 + 1; of the third each number is missing on one side
    near = attacks.nearest_rows(asked, rows, 1)[:, 0]
    assert near[:2].tolist() == [0, 2]


def test_inference_and_linkage_are_risks_above_the_control():
    """A table of the records themselves tells their secrets; one of other people does not."""
    known = ["age", "income", "amount", "region", "sex"]
    above = {True: [], False: []}
    linked = {True: [], False: []}
    for seed in range(3):
        train, control, other = thirds(seed)
        for leak, made in ((True, train), (False, other)):
            secret = [
                attacks.infer_attribute(t, made, known, "debt", 0.02) for t in (train, control)
            ]
            above[leak].append(attacks.risk(*secret))
            halves = [
                attacks.link(t, made, ["age", "income"], ["amount", "debt"])
                for t in (train, control)
            ]
            linked[leak].append(attacks.risk(*halves))
    for found in (above, linked):
        assert all(risk.low > 0.3 for risk in found[True])
        # the mean of three differences of shares of 300 has a standard error of at most 0.024
        assert abs(np.mean([risk.above for risk in found[False]])) < 3 * 0.024


@pytest.mark.slow
def test_singling_out_by_what_the_records_themselves_say():
    hits = {True: [], False: []}
    for seed in range(3):
        train, _, other = thirds(seed)
        for leak, made in ((True, train), (False, other)):
            columns = ["income", "amount", "region", "age"]
            hits[leak].extend(attacks.single_out(train, made, columns, guesses=100, seed=seed))
    assert np.mean(hits[True]) == 1  # what fits one row of the table fits one record
    assert np.mean(hits[False]) < 0.6


# --- attacks with reference models ---------------------------------------------------------------


def means(seed, models, d=60, n=200):
    """Models that are the mean of 100 of n records, the log-likelihood of each record, and who is in."""
    rng = np.random.default_rng(seed)
    records, population = rng.normal(size=(n, d)), rng.normal(size=(300, d))
    inside = rng.permuted(np.tile(np.arange(n) < n // 2, (models, 1)), axis=1)
    centres = np.stack([records[side].mean(axis=0) for side in inside])

    def likelihood(x):
        return -0.5 * ((x[None] - centres[:, None]) ** 2).sum(axis=2)

    return likelihood(records), likelihood(population), inside


def test_reference_models_beat_one_threshold_for_all():
    gained = {"lira": [], "rmia": []}
    for seed in SEEDS:
        own, population, inside = means(seed, 33)
        member, target, rest = inside[0], own[0], own[1:]
        plain = attacks.auc(target[member], target[~member])
        said = attacks.lira(target, rest, inside[1:])
        gained["lira"].append(attacks.auc(said[member], said[~member]) - plain)
        out = np.where(inside[1:], np.nan, rest)  # references that did not learn from a record
        said = attacks.rmia(target, out, population[0], population[1:])
        gained["rmia"].append(attacks.auc(said[member], said[~member]) - plain)
    for name, more in gained.items():
        assert np.mean(more) > 0.1, name


def test_reference_attacks_say_nothing_about_a_model_that_knew_nobody():
    found = {"lira": [], "rmia": []}
    for seed in range(8):
        own, population, inside = means(seed, 17)
        stranger = np.random.default_rng(seed).permutation(inside[0])  # coins that were not used
        said = attacks.lira(own[0], own[1:], inside[1:])
        found["lira"].append(attacks.auc(said[stranger], said[~stranger]))
        said = attacks.rmia(own[0], own[1:], population[0], population[1:])
        found["rmia"].append(attacks.auc(said[stranger], said[~stranger]))
    for name, aucs in found.items():
        # 100 against 100: standard error 0.041, of the mean of eight 0.0145
        assert np.mean(aucs) == pytest.approx(0.5, abs=4 * 0.0145), name


def test_lira_wants_each_record_in_and_out():
    with pytest.raises(ValueError, match="in at least one reference model"):
        attacks.lira(np.zeros(2), np.zeros((3, 2)), np.ones((3, 2), bool))


def test_rmia_by_hand():
    target, references = np.log([0.4, 0.1]), np.log([[0.1, 0.1], [0.3, 0.1]])
    population, theirs = np.log([0.2, 0.3, 0.1]), np.log([[0.1] * 3, [0.1] * 3])
    # ratios: 0.4 / 0.2 = 2 and 1; of the population 2, 3, 1
    assert attacks.rmia(target, references + 1e-12, population, theirs, 0.999) == pytest.approx(
        [2 / 3, 1 / 3]
    )


# --- DP-SGD --------------------------------------------------------------------------------------


def test_gradients_of_each_record_are_those_of_a_loop():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    parameters = {name: value.detach() for name, value in net.named_parameters()}
    x, y = torch.randn(5, 3), torch.randn(5)

    def loss(p, x, y):
        return (torch.func.functional_call(net, p, (x[None],))[0, 0] - y).square()

    found = dp_sgd.per_example_gradients(loss, parameters, x, y)
    for i in range(5):
        net.zero_grad()
        (net(x[i : i + 1])[0, 0] - y[i]).square().backward()
        for name, value in net.named_parameters():
            torch.testing.assert_close(found[name][i], value.grad)


def test_a_clipped_gradient_moves_the_sum_by_no_more_than_the_bound():
    chance = torch.Generator().manual_seed(0)
    gradients = {"w": 9 * torch.randn(20, 3, 2, generator=chance), "b": torch.randn(20, 1)}
    still = {"w": torch.zeros(3, 2), "b": torch.zeros(1)}

    def total(rows):
        some = {name: g[rows] for name, g in gradients.items()}
        return dp_sgd.private_gradient(some, 0.7, still, expected=1)

    everyone = torch.arange(20)
    for i in range(20):
        moved = [total(everyone)[n] - total(everyone[everyone != i])[n] for n in gradients]
        size = torch.cat([m.flatten() for m in moved]).norm()
        own = torch.cat([g[i].flatten() for g in gradients.values()]).norm()
        assert size == pytest.approx(min(own.item(), 0.7), abs=1e-5)
    noise = dp_sgd.gaussian_noise(still, 2.0, chance)
    nobody = {name: g[:0] for name, g in gradients.items()}
    out = dp_sgd.private_gradient(nobody, 0.7, noise, expected=10)
    torch.testing.assert_close(out["w"], noise["w"] / 10)


def test_batches_and_noise_have_their_distributions():
    chance = torch.Generator().manual_seed(0)
    sizes = np.array([len(dp_sgd.poisson_sample(1000, 0.05, chance)) for _ in range(400)])
    assert sizes.mean() == pytest.approx(50, abs=4 * (1000 * 0.05 * 0.95 / 400) ** 0.5)
    assert sizes.var() == pytest.approx(47.5, rel=4 * (2 / 400) ** 0.5)
    noise = dp_sgd.gaussian_noise({"w": torch.zeros(10_000)}, 3.0, chance)["w"]
    assert noise.std().item() == pytest.approx(3, rel=4 * (0.5 / 10_000) ** 0.5)


# --- the accountant ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sigma", "rate", "steps", "epsilon"),
    [(1.0, 0.01, 1000, 2.101), (1.1, 256 / 60_000, 14_063, 2.597)],
)
def test_epsilon_is_that_of_opacus(sigma, rate, steps, epsilon):
    """Opacus 1.6, RDPAccountant, delta 1e-5."""
    found = epsilon_of(sampled_gaussian(sigma, rate, steps), 1e-5)
    assert found == pytest.approx(epsilon, abs=1e-3)


@pytest.mark.parametrize(("sigma", "rate"), [(0.3, 0.05), (1.0, 0.01), (8.0, 0.2)])
def test_the_integral_is_the_sum_of_whole_orders(sigma, rate):
    """Mironov, Talwar and Zhang 2019, section 3.3: a binomial sum where alpha is whole."""
    found = sampled_gaussian(sigma, rate, 1)
    for alpha in (2, 5, 32, 64, 256):
        k = np.arange(alpha + 1)
        terms = np.log(comb(alpha, k)) + k * np.log(rate) + (alpha - k) * np.log1p(-rate)
        wanted = logsumexp(terms + (k * k - k) / (2 * sigma**2)) / (alpha - 1)
        assert found[np.isclose(ORDERS, alpha)][0] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.slow
def test_noise_and_rho_for_an_epsilon():
    for epsilon in (0.5, 3.0):
        sigma = noise_for(epsilon, 1e-5, 0.05, 100)
        assert epsilon_of(sampled_gaussian(sigma, 0.05, 100), 1e-5) <= epsilon
        assert epsilon_of(sampled_gaussian(0.99 * sigma, 0.05, 100), 1e-5) > epsilon
        rho = rho_for(epsilon, 1e-5)
        assert epsilon_of(gaussian(rho), 1e-5) <= epsilon < epsilon_of(gaussian(1.01 * rho), 1e-5)
        # Bun and Steinke 2016, proposition 1.3, is a weaker conversion.
        assert epsilon <= rho + 2 * (rho * np.log(1e5)) ** 0.5
    for wrong in ((0.1, 0.1, 1), (1, 0, 1), (1, 0.1, 0)):
        with pytest.raises(ValueError, match="Wanted: noise"):
            sampled_gaussian(*wrong)
    with pytest.raises(ValueError, match="Epsilon must be above 0"):
        rho_for(0, 1e-5)
    with pytest.raises(ValueError, match="Delta lies between"):
        epsilon_of(gaussian(1.0), 0)


# --- noisy marginals -----------------------------------------------------------------------------


def test_marginals_without_noise_are_those_of_the_table():
    frame = LOANS.drop(columns="default")
    domain = Domain(frame)
    made = NoisyMarginals(domain, "approved").fit(frame, rho=1e9).sample(10_000, seed=1)
    pd.testing.assert_series_equal(made.dtypes, frame.dtypes)
    real, drawn = domain.encode(frame), domain.encode(made)
    for name in frame:
        shares = [
            np.bincount(c, minlength=domain.sizes[name]) / 10_000 for c in (real[name], drawn[name])
        ]
        # as in test_models_tabular: exceeded with a chance below 1e-4 for each of 10,000 draws
        most = (domain.sizes[name] / 10_000) ** 0.5 / 2 + (np.log(1e4) / 20_000) ** 0.5
        assert 0.5 * np.abs(shares[0] - shares[1]).sum() < most, name


def test_one_row_more_moves_what_is_noised_by_no_more_than_it_is_paid_for(monkeypatch):
    """Counts by 1 in one cell of each marginal: the noise is made for it."""
    frame = LOANS.drop(columns="default").head(400)
    domain = Domain(frame)

    class Silent(np.random.Generator):
        """No noise, and each choice as it comes; notes how loud the noise would have been."""

        def normal(self, loc=0.0, scale=1.0, size=None):
            sds.append(scale)
            return np.zeros(size)

        def gumbel(self, loc=0.0, scale=1.0, size=None):
            return np.zeros(size)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Silent(np.random.PCG64(seed)))
    sds, rho = [], 0.3
    one, other = (NoisyMarginals(domain, "approved").fit(frame.head(n), rho) for n in (400, 399))
    spent = sum(1 / (2 * sd**2) for sd in sds[: len(sds) // 2])
    assert spent == pytest.approx(2 / 3 * rho)
    assert len(one.measured) == len(sds) // 2
    for table, fewer in zip(one.measured, other.measured, strict=True):
        assert table.columns == fewer.columns
        assert np.abs(table.counts - fewer.counts).sum() == pytest.approx(1)


@pytest.mark.parametrize("label", ["approved", None])
@pytest.mark.parametrize("rho", [1e-3, 1.0])
def test_noisy_counts_agree_once_they_are_estimated(label, rho):
    frame = LOANS.drop(columns="default").head(400)
    model = NoisyMarginals(Domain(frame), label).fit(frame, rho, seed=3)
    assert min(table.counts.min() for table in model.measured) < 0  # so there was something to mend
    assert len(model.tree) == len(model.columns) - 1
    for name, counts in model.single.items():
        assert counts.min() > 0
        np.testing.assert_allclose(counts.sum(axis=1), model.classes, err_msg=name)
    rows = model.classes.sum()
    for a, b, counts in model.tree:
        assert counts.min() > 0
        np.testing.assert_allclose(counts.sum(axis=2), model.single[a], atol=2e-6 * rows)
        np.testing.assert_allclose(counts.sum(axis=1), model.single[b], atol=2e-6 * rows)


def test_estimated_counts_need_nothing_but_what_was_measured():
    """Else they would have to be paid for."""
    frame = LOANS.drop(columns="default").head(400)
    model = NoisyMarginals(Domain(frame), "approved").fit(frame, 0.05, seed=3)
    again = NoisyMarginals(model.domain, "approved")
    again.measured = model.measured
    again._estimate()
    for edge, other in zip(model.tree, again.tree, strict=True):
        assert edge[:2] == other[:2]
        np.testing.assert_array_equal(edge[2], other[2])


def test_estimated_counts_are_nearer_to_the_truth_than_measured_ones():
    """Of columns, since pairs tell them, too; of pairs most where nothing depends on anything."""
    rng = np.random.default_rng(0)
    y, lone = rng.integers(0, 2, (2, 3000))
    tied = np.where(rng.random(3000) < 0.7, rng.integers(0, 5, 3000), 2)
    columns = {"lone": lone, "tied": tied, "same": (tied + rng.integers(0, 2, 3000)) % 5, "y": y}
    frame = pd.DataFrame(columns)
    domain, wrong = Domain(frame), {"column": [], "lone pair": [], "tied pair": []}
    for seed in range(20):
        model = NoisyMarginals(domain, "y").fit(frame, 0.002, seed)
        found = [*model.single.values(), *(table for *_, table in model.tree)]
        for table, estimate in zip(model.measured, found, strict=True):
            shape = estimate.shape
            codes = [frame[name].to_numpy() for name in table.columns]
            cells = np.ravel_multi_index(codes, shape)
            truth = np.bincount(cells, minlength=estimate.size).reshape(shape)
            errors = [((counts - truth) ** 2).mean() for counts in (estimate, table.counts)]
            pair = "lone pair" if "lone" in table.columns else "tied pair"
            wrong["column" if len(shape) == 2 else pair].append(errors[0] / errors[1])
    left = {name: np.median(ratios) for name, ratios in wrong.items()}
    assert left["column"] < 0.9 and left["lone pair"] < 0.5 and left["tied pair"] < 0.8, left


def test_the_nearest_counts_are_those_that_an_optimiser_finds():
    rng = np.random.default_rng(0)
    counts, totals = rng.normal(2, 5, (4, 6)), np.array([10.0, 25.0, 3.0, 1.0])
    near = marginals._nearest_counts(counts, totals)
    np.testing.assert_allclose(near.sum(axis=1), totals)
    for row, total, found in zip(counts, totals, near, strict=True):
        best = minimize(
            lambda x, row=row: ((x - row) ** 2).sum(),
            np.full(6, total / 6),
            bounds=[(0, None)] * 6,
            constraints={"type": "eq", "fun": lambda x, total=total: x.sum() - total},
            options={"ftol": 1e-12},
        )
        np.testing.assert_allclose(found, best.x, atol=1e-5)


def test_raking_changes_the_margins_and_keeps_the_dependence():
    rng = np.random.default_rng(0)
    counts, rows = rng.uniform(1, 9, (2, 3, 4)), rng.uniform(1, 9, (2, 3))
    columns = rng.uniform(1, 9, (2, 4))
    columns *= (rows.sum(axis=1) / columns.sum(axis=1))[:, None]
    raked = marginals._raked(counts, rows, columns)
    np.testing.assert_allclose(raked.sum(axis=1), columns, rtol=1e-4)
    np.testing.assert_allclose(raked.sum(axis=2), rows, rtol=1e-4)
    odds = [np.log(t[:, :1, :1] * t / t[:, :1] / t[:, :, :1]) for t in (counts, raked)]
    np.testing.assert_allclose(*odds, atol=1e-12)


def test_counts_clipped_at_zero_make_small_groups_grow():
    frame = pd.DataFrame(
        {"group": ["a"] * 495 + ["b"] * 5, "x": [0, 1] * 250, "y": [0, 1, 1, 0] * 125}
    )
    domain = Domain(frame)
    shares = {}
    for rho in (100.0, 0.002):
        made = [
            NoisyMarginals(domain, "y").fit(frame, rho, seed).sample(2000, seed)["group"]
            for seed in range(20)
        ]
        shares[rho] = np.mean([(column == "b").mean() for column in made])
    assert shares[100.0] == pytest.approx(0.01, abs=0.003)
    assert shares[0.002] > 0.02


def test_a_value_that_many_rows_hold_has_a_cell_of_its_own():
    public = pd.DataFrame({"gain": np.linspace(0, 9999, 100).round().astype(int), "y": [0, 1] * 50})
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(4000) < 0.9, 0, rng.integers(1, 10_000, 4000))
    rows = pd.DataFrame({"gain": gain, "y": rng.integers(0, 2, 4000)})
    shares = {}
    for points in (None, {"gain": [0]}):
        domain = Domain(public, 6, points)
        made = domain.decode(domain.encode(rows), rng)
        assert made["gain"].dtype == np.int64
        shares[points is None] = (made["gain"] == 0).mean()
    assert shares[True] < 0.01 and shares[False] == pytest.approx(0.9, abs=0.02)
    gone = public.assign(gain=public["gain"].astype(float).where(public["gain"] != 0))
    domain = Domain(gone, 6, {"gain": [5.0]})
    told = pd.DataFrame({"gain": [np.nan, 5.0, 9999.0], "y": 0})
    back = domain.decode(domain.encode(told), rng)["gain"]
    assert np.isnan(back[0]) and back[1] == 5 and back[2] > 8000


def test_marginals_that_cannot_be_measured_are_refused():
    frame = pd.DataFrame({"x": [0, 1], "y": [1, 0]})
    with pytest.raises(ValueError, match="no column 'z'"):
        NoisyMarginals(Domain(frame), "z")
    with pytest.raises(ValueError, match="rho above 0"):
        NoisyMarginals(Domain(frame), None).fit(frame, rho=0)
    with pytest.raises(ValueError, match="two columns"):
        NoisyMarginals(Domain(frame), "y").fit(frame, rho=1)


# --- audited from below --------------------------------------------------------------------------


def test_p_values_by_the_sums_written_out():
    for right, guesses, canaries, epsilon, delta in (
        (80, 100, 100, 0.5, 0.0),
        (80, 100, 200, 0.5, 1e-3),
        (55, 60, 1000, 2.0, 1e-5),
    ):
        q = np.exp(epsilon) / (1 + np.exp(epsilon))
        wanted = sum(binom.pmf(k, guesses, q) for k in range(right, guesses + 1))
        worst = max(
            sum(binom.pmf(k, guesses, q) for k in range(right - i, right)) / i
            for i in range(1, right + 1)
        )
        wanted += 2 * canaries * delta * worst
        found = p_value(right, guesses, canaries, epsilon, delta)
        assert found == pytest.approx(min(wanted, 1), rel=1e-9)
    with pytest.raises(ValueError, match="right <= guesses"):
        p_value(3, 2, 5, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_the_bound_holds_for_coins_that_are_told_with_lies(epsilon):
    """Randomised response is exactly epsilon-private: at most 5 % of the bounds may lie above."""
    rng, above = np.random.default_rng(0), 0
    for _ in range(600):
        right = rng.binomial(200, 1 / (1 + np.exp(-epsilon)))
        above += epsilon_at_least(right, 200, 200) > epsilon
    assert above / 600 < 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5


@pytest.mark.slow
def test_an_honest_claim_stands_and_three_mistakes_are_caught():
    """A noisy sum of canaries of length 1: no clipping, less noise, and five times the bound."""
    sigma, m, d, delta = 4.0, 1000, 4000, 1e-5
    claim = epsilon_of(sampled_gaussian(sigma, 1.0, 1), delta)
    bounds = {}
    for name, length, sd in (
        ("honest", 1.0, sigma),
        ("noise four times too small", 1.0, sigma / 4),
        ("five times the bound", 5.0, sigma),
        ("no clipping", 8.0, sigma),
    ):
        bounds[name] = []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            canaries = rng.normal(size=(m, d)) / d**0.5
            inside = rng.random(m) < 0.5
            told = length * canaries[inside].sum(axis=0) + rng.normal(0, sd, d)
            right = guess(canaries @ told, inside, 200)
            bounds[name].append(epsilon_at_least(right, 200, m, delta))
    assert max(bounds.pop("honest")) <= claim
    for name, found in bounds.items():
        assert min(found) > claim, name
