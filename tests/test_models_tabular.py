"""Models of tables: the encoder's round trip, the baselines, and what the learnt models must hold."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from course_lib import datasets
from course_lib.models.tabular import (
    GaussianCopula,
    IndependentColumns,
    LinkedTables,
    TableEncoder,
    TabularDiffusion,
    TabularDiffusionSettings,
    TabularVAE,
    TabularVAESettings,
    TextColumn,
    block_loss,
)
from course_lib.models.tabular.encoding import SMOOTH
from course_lib.privacy import attacks

LOANS = datasets.load("loans")
BOTH = pytest.mark.parametrize("numbers", ["quantile", "modes"])


def awkward(seed, n=300):
    """A table with everything that a table may hold."""
    rng = np.random.default_rng(seed)
    few = rng.choice(["a", "b", "c"], n, p=[0.6, 0.39, 0.01])
    gone = rng.random(n) < 0.2

    def holed(values, dtype):
        return pd.Series(values.astype(object)).mask(gone, None).astype(dtype)

    table = {
        "float": rng.normal(size=n),
        "cents": np.round(rng.lognormal(3, 1, n), 2),
        "tiny": rng.integers(1, 10**6, n) / 1e9,
        "int": rng.integers(-50, 50, n),
        "hundreds": 100 * rng.integers(1, 300, n),
        "big": rng.integers(0, 2**52, n),
        "small int": rng.integers(0, 100, n).astype(np.int8),
        "half": rng.normal(size=n).astype(np.float32),
        "zeros": np.where(rng.random(n) < 0.5, 0, rng.integers(1, 1000, n)),
        "holes": np.where(gone, np.nan, rng.normal(size=n)),
        "holes and zeros": np.where(gone, np.nan, np.maximum(rng.normal(size=n), 0)),
        "Int64": holed(rng.integers(0, 100, n), "Int64"),
        "Float64": holed(rng.normal(size=n), "Float64"),
        "few Int64": holed(rng.integers(0, 3, n), "Int64"),
        "few numbers": rng.choice([12, 24, 36], n),
        "bool": rng.random(n) < 0.5,
        "boolean": holed(rng.random(n) < 0.5, "boolean"),
        "constant": np.full(n, 7),
        "constant word": ["same"] * n,
        "never": np.full(n, np.nan),
        "word": few,
        "object": pd.Series(few, dtype=object),
        "object None": pd.Series(few, dtype=object).mask(gone, None),
        "object NaN": pd.Series(few, dtype=object).mask(gone, np.nan),
        "mixed": pd.Series([1 if x else "one" for x in gone], dtype=object),
        "category": pd.Categorical(few, ["c", "b", "a", "unused"], ordered=True),
        "category holes": pd.Categorical(np.where(gone, None, few)),
        "identity": [f"row {i}" for i in range(n)],
    }
    return pd.DataFrame(table)


@BOTH
@pytest.mark.parametrize("seed", range(2))
def test_an_awkward_table_comes_back_as_it_was(numbers, seed):
    table = awkward(seed)
    if numbers == "modes":
        # A mode's scale costs a float32's seven digits; what has a grain of its own comes back.
        table = table.drop(columns=["float", "half", "holes", "holes and zeros", "Float64", "big"])
    encoder = TableEncoder(numbers).fit(table)
    encoded = encoder.encode(table)
    assert encoded.dtype == np.float32 and encoded.shape == (len(table), encoder.width)
    pd.testing.assert_frame_equal(encoder.decode(encoded), table, check_exact=True)
    # The order of the columns, and of the rows, does not matter.
    turned = table.iloc[::-1, ::-1].reset_index(drop=True)
    np.testing.assert_array_equal(encoder.encode(turned), encoded[::-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("loans", "quantile"),
        ("breast_cancer", "quantile"),
        ("diabetes", "quantile"),
        ("loans", "modes"),
        ("diabetes", "modes"),
    ],
)
def test_the_course_s_tables_come_back_as_they_were(name, numbers):
    table = datasets.load(name).train
    encoder = TableEncoder(numbers).fit(table)
    pd.testing.assert_frame_equal(encoder.decode(encoder.encode(table)), table, check_exact=True)


def test_modes_lose_no_more_than_a_float32_does():
    table = awkward(0)[["float", "holes", "Float64"]]
    encoder = TableEncoder("modes").fit(table)
    back = encoder.decode(encoder.encode(table))
    pd.testing.assert_frame_equal(back, table, check_exact=False, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_table_of_hardly_any_rows_comes_back(rows):
    table = LOANS.train.head(rows)
    encoder = TableEncoder().fit(table)
    pd.testing.assert_frame_equal(encoder.decode(encoder.encode(table)), table)


@BOTH
def test_the_blocks_cover_each_encoded_column_once(numbers):
    table = awkward(0)
    encoder = TableEncoder(numbers).fit(table)
    assert [block.slice.start for block in encoder.blocks] == [
        0,
        *(block.slice.stop for block in encoder.blocks[:-1]),
    ]
    assert encoder.blocks[-1].slice.stop == encoder.width
    assert list(dict.fromkeys(block.name for block in encoder.blocks)) == list(table)
    encoded = encoder.encode(table)
    for block in encoder.blocks:
        part = encoded[:, block.slice]
        if block.kind == "category":
            assert part.shape[1] == len(block.states)
            assert set(np.unique(part)) <= {0, 1} and (part.sum(axis=1) == 1).all()
        elif block.present is not None:
            absent = encoded[:, block.present].sum(axis=1) == 0
            assert absent.any() and (part[absent] == 0).all()


def test_normal_scores_are_normal_whatever_the_marginal_is():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.exponential(size=5000) ** 3})
    scores = TableEncoder().fit(table).encode(table)[:, 0]
    # ranks: no sampling error, and within a line no share is off by more than the line's own
    assert kstest(scores, "norm").statistic < SMOOTH / 5000


def test_states_of_a_number_with_zeros_and_missing_values():
    state, number = TableEncoder().fit(awkward(0)[["holes and zeros"]]).blocks
    assert state.states == ("(number)", 0.0, "(missing)")
    assert number.present == slice(0, 1)


def test_modes_are_found():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-5, 0.5, 2000), rng.normal(5, 1, 1000)])
    encoder = TableEncoder("modes").fit(pd.DataFrame({"x": x}))
    encoded = encoder.encode(pd.DataFrame({"x": x}))
    sides = encoded[:, :-1].argmax(axis=1)
    assert not set(sides[x < 0]) & set(sides[x > 0])
    assert np.abs(encoded[:, -1]).max() < 6 and 0.5 < encoded[:, -1].std() < 1.1


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("seed", range(2))
def test_what_is_decoded_stays_near_the_range_and_on_the_grain(numbers, seed):
    table = awkward(seed).drop(columns="identity")
    encoder = TableEncoder(numbers).fit(table)
    rng = np.random.default_rng(seed)
    made = encoder.decode(10 * rng.standard_normal((500, encoder.width)))
    pd.testing.assert_series_equal(made.dtypes, table.dtypes)
    for name in table.select_dtypes("number"):
        if table[name].notna().any():
            x = np.sort(table[name].dropna().to_numpy(float))
            rounded = 1e-6 * np.abs(x).max()  # the smallest dtype has seven digits
            assert made[name].min() >= x[0] - (x[20] - x[0]) - rounded, name
            assert made[name].max() <= x[-1] + (x[-1] - x[-21]) + rounded, name
            assert (np.sign(made[name].min()) >= np.sign(x[0])) or x[0] < 0, name
    assert (made["hundreds"] % 100 == 0).all()
    np.testing.assert_array_equal(made["cents"], made["cents"].round(2))
    assert made["object None"].dropna().isin(["a", "b", "c"]).all()
    # Where nothing was missing, nothing is.
    assert not made.loc[:, table.notna().all()].isna().any(axis=None)


def test_numbers_outside_what_was_seen_move_to_its_ends():
    encoder = TableEncoder().fit(pd.DataFrame({"x": np.arange(100), "few": np.arange(100) % 3}))
    far = pd.DataFrame({"x": [-7, 500, 41], "few": [-1, 9, 1]})
    back = encoder.decode(encoder.encode(far))
    assert back["x"].tolist() == [0, 99, 41]
    assert back["few"].tolist() == [0, 2, 1]


def test_numbers_between_and_beyond_those_seen_are_drawn():
    """Their two largest values tell two people apart; what is drawn tells nobody."""
    x = np.concatenate([np.arange(1000, 1900, 9), [5000, 9000]])
    encoder = TableEncoder().fit(pd.DataFrame({"x": x}))
    made = encoder.decode(np.random.default_rng(0).standard_normal((20_000, 1)))["x"]
    assert (made % 1 == 0).all() and made.max() > 9000 and made.min() < 1000
    assert not made[made > 1900].isin([5000, 9000]).mean() > 0.01
    kept = TableEncoder(seen_only=True).fit(pd.DataFrame({"x": x}))
    made = kept.decode(np.random.default_rng(0).standard_normal((20_000, 1)))["x"]
    assert made.isin(x).all() and made.nunique() == len(x)


def test_numbers_do_not_pass_a_limit():
    rng = np.random.default_rng(0)
    x = rng.integers(1, 400, 300)
    table = pd.DataFrame(
        {
            "positive": x.clip(3),
            "at a limit": np.where(x < 20, 18, x),
            "above zeros": np.where(x < 40, 0, x),
            "below a cap": np.where(x > 360, 360, x),
            "negative": -x / 7,
            "of a byte": (x % 128).astype(np.int8),
        }
    )
    encoder = TableEncoder().fit(table)
    made = encoder.decode(8 * rng.standard_normal((4000, encoder.width)))
    assert made["positive"].min() >= 1 and made["at a limit"].min() == 18
    assert made["above zeros"].min() == 0 and made["below a cap"].max() == 360
    assert made["negative"].max() <= 0 and made["of a byte"].max() <= 127


@pytest.mark.parametrize("model", [IndependentColumns, GaussianCopula])
def test_a_rare_number_is_not_found_verbatim(model):
    """Over three seeds; all models stand in benchmarks/results/privacy_verbatim.json."""
    data = datasets.load("breast_cancer")
    rows = pd.concat([data.train, data.held_out], ignore_index=True)
    found = {True: [], False: []}
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(567)
        train, control, reference = (rows.iloc[part] for part in np.split(order, 3))
        for seen_only, aucs in found.items():
            made = model(seen_only).fit(train).sample(189, seed)
            scores = (attacks.verbatim_numbers(t, made, reference) for t in (train, control))
            aucs.append(attacks.auc(*scores))
    assert min(found[True]) > 0.99
    # the standard error of an AUC of two times 189 records is 0.03, of the mean of three 0.017
    assert np.mean(found[False]) == pytest.approx(0.5, abs=4 * 0.017)


def test_rare_levels_are_pooled_and_drawn_again_by_their_frequency():
    words = ["often"] * 900 + ["seldom"] * 6 + ["once"] * 2 + [None] * 92
    table = pd.DataFrame({"word": pd.Series(words, dtype=object)})
    encoder = TableEncoder(rare=10).fit(table)
    (block,) = encoder.blocks
    assert block.states == ("often", "(rare)", "(missing)")
    encoded = encoder.encode(table)
    assert encoded.sum(axis=0).tolist() == [900, 8, 92]
    drawn = encoder.decode(np.repeat(encoded[[900]], 4000, axis=0), seed=1)["word"]
    assert drawn.isin(["seldom", "once"]).all()
    # 6 / 8, within four standard errors of 4000 draws
    assert (drawn == "seldom").mean() == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 4000) ** 0.5)
    pd.testing.assert_series_equal(
        encoder.decode(encoded, seed=1)["word"], encoder.decode(encoded, seed=1)["word"]
    )


def test_kinds_may_be_chosen():
    table = pd.DataFrame({"term": [12, 24, 36] * 50, "age": np.arange(150)})
    encoder = TableEncoder(kinds={"term": "number", "age": "category"}).fit(table)
    assert [(b.name, b.kind) for b in encoder.blocks] == [("term", "number"), ("age", "category")]
    pd.testing.assert_frame_equal(encoder.decode(encoder.encode(table)), table)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pd.DataFrame({"x": []}), "needs rows"),
        (pd.DataFrame(index=[0]), "needs rows"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "'x' occurs twice"),
        (pd.DataFrame({"x": [1.0, np.inf]}), "'x' holds infinite"),
        (pd.DataFrame({"day": pd.to_datetime(["2020-01-01"])}), "'day' has the dtype datetime"),
    ],
)
def test_tables_that_cannot_be_encoded_are_refused(table, said):
    with pytest.raises(ValueError, match=said):
        TableEncoder().fit(table)


def test_what_was_not_seen_is_refused():
    table = pd.DataFrame({"x": np.arange(50.0), "word": ["a", "b"] * 25})
    encoder = TableEncoder().fit(table)
    with pytest.raises(ValueError, match=r"level of 'word'.*zebra"):
        encoder.encode(table.assign(word="zebra"))
    with pytest.raises(ValueError, match="'x' has missing values"):
        encoder.encode(table.assign(x=np.nan))
    with pytest.raises(ValueError, match="'word' has missing values"):
        encoder.encode(table.assign(word=None))
    with pytest.raises(ValueError, match="lacks the column 'word'"):
        encoder.encode(table[["x"]])
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        encoder.decode(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="not finite"):
        encoder.decode(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="call `fit` first"):
        TableEncoder().encode(table)
    with pytest.raises(ValueError, match=r"encoding of numbers.*ranks"):
        TableEncoder("ranks")
    with pytest.raises(ValueError, match=r"kind.*date"):
        TableEncoder(kinds={"x": "date"})
    with pytest.raises(ValueError, match="'word' holds no numbers"):
        TableEncoder(kinds={"word": "number"}).fit(table)
    with pytest.raises(ValueError, match=r"column.*height"):
        TableEncoder(kinds={"height": "number"}).fit(table)


# --- the loss ------------------------------------------------------------------------------------


def test_block_loss_is_the_sum_of_its_parts():
    table = awkward(0)[["zeros", "float", "word"]]
    encoder = TableEncoder().fit(table)
    target = torch.from_numpy(encoder.encode(table))
    output = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    log_sd = torch.linspace(-1, 1, encoder.width)
    zeros, amount, number, word = (block.slice for block in encoder.blocks)
    wanted = torch.zeros(len(target))
    for part in (zeros, word):
        wanted += torch.nn.functional.cross_entropy(
            output[:, part], target[:, part].argmax(dim=1), reduction="none"
        )
    for part, applies in ((amount, target[:, zeros.start]), (number, 1.0)):
        normal = torch.distributions.Normal(output[:, part], log_sd[part].exp())
        nats = -normal.log_prob(target[:, part]).squeeze(1) - 0.5 * np.log(2 * np.pi)
        wanted += nats * applies
    torch.testing.assert_close(block_loss(output, target, encoder.blocks, log_sd), wanted)
    plain = block_loss(output, target, encoder.blocks)
    torch.testing.assert_close(
        plain, block_loss(output, target, encoder.blocks, torch.zeros(encoder.width))
    )


def test_what_a_number_says_where_it_does_not_apply_costs_nothing():
    table = awkward(0)[["holes and zeros"]]
    encoder = TableEncoder().fit(table)
    target = torch.from_numpy(encoder.encode(table))
    one, other = torch.zeros_like(target), torch.zeros_like(target)
    other[:, -1] = 5.0
    changed = block_loss(one, target, encoder.blocks) != block_loss(other, target, encoder.blocks)
    assert torch.equal(changed, target[:, 0] == 1)


# --- baselines -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [IndependentColumns, GaussianCopula])
def test_baselines_keep_the_marginals(model):
    fitted = model().fit(LOANS.train)
    n = 4000
    for seed in range(5):
        made = fitted.sample(n, seed)
        pd.testing.assert_series_equal(made.dtypes, LOANS.train.dtypes)
        for name in ("sex", "region", "default", "term", "late_payments"):
            shares = LOANS.train[name].value_counts(normalize=True, dropna=False)
            found = made[name].value_counts(normalize=True, dropna=False)
            # The expected total variation of k levels is below sqrt(k / n) / 2, and by McDiarmid's
            # inequality it is exceeded by e with a probability of at most exp(-2 n e^2), here 1e-4.
            gap = 0.5 * shares.sub(found, fill_value=0).abs().sum()
            most = (len(shares) / n) ** 0.5 / 2 + (np.log(1e4) / (2 * n)) ** 0.5
            assert gap < most, (name, seed)
        assert made["history"].isna().mean() == pytest.approx(
            LOANS.train["history"].isna().mean(), abs=0.025
        )
        for name in ("age", "income"):
            assert kstest(made[name], LOANS.train[name]).statistic < 0.04


def test_only_the_copula_keeps_what_ties_columns_together():
    real = LOANS.train[["income", "amount"]].corr("spearman").iloc[0, 1]
    for seed in range(5):
        apart = IndependentColumns().fit(LOANS.train).sample(4000, seed)
        tied = GaussianCopula().fit(LOANS.train).sample(4000, seed)
        assert abs(apart["income"].corr(apart["amount"], "spearman")) < 0.07
        assert tied["income"].corr(tied["amount"], "spearman") == pytest.approx(real, abs=0.07)


@pytest.mark.parametrize("model", [IndependentColumns, GaussianCopula])
def test_baselines_take_awkward_tables(model):
    table = awkward(0)
    made = model().fit(table).sample(300, 0)
    pd.testing.assert_series_equal(made.dtypes, table.dtypes)
    assert made["never"].isna().all() and (made["constant"] == 7).all()


# --- learnt models -------------------------------------------------------------------------------

MODELS = {
    "vae": lambda: TabularVAE(settings=TabularVAESettings(width=64)),
    "diffusion": lambda: TabularDiffusion(settings=TabularDiffusionSettings(width=64)),
}
EACH_MODEL = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def fitted():
    torch.set_num_threads(1)
    return {name: make().fit(LOANS.train, steps=300) for name, make in MODELS.items()}


@EACH_MODEL
def test_one_seed_one_model_and_one_table(name):
    table, runs = awkward(0).drop(columns="identity"), []
    for _ in range(2):
        state = torch.get_rng_state()
        made = MODELS[name]().fit(table, steps=3, seed=1).sample(50, seed=2)
        assert torch.equal(torch.get_rng_state(), state)  # nobody else's luck is touched
        runs.append(made)
        torch.rand(3)
    pd.testing.assert_frame_equal(*runs)
    pd.testing.assert_series_equal(runs[0].dtypes, table.dtypes)
    for other in (
        MODELS[name]().fit(table, steps=3, seed=1).sample(50, seed=3),
        MODELS[name]().fit(table, steps=3, seed=2).sample(50, seed=2),
    ):
        assert not other.equals(runs[0])


@EACH_MODEL
def test_training_tells_its_losses_and_they_fall(name):
    steps = list(MODELS[name]().training(LOANS.train, steps=150))
    assert len(steps) == 150
    losses = [sum(step.losses.values()) for step in steps]
    assert np.mean(losses[-20:]) < 0.9 * np.mean(losses[:20])


@pytest.mark.slow
@EACH_MODEL
def test_conditions_and_constraints_hold(name, fitted):
    made = fitted[name].sample(
        300,
        seed=1,
        condition={"sex": "female", "default": None},
        constraint=lambda f: (f["debt"] <= f["income"]) & (f["age"] > 30),
    )
    assert len(made) == 300 and made.index.tolist() == list(range(300))
    assert (made["sex"] == "female").all() and made["default"].isna().all()
    assert (made["debt"] <= made["income"]).all() and (made["age"] > 30).all()
    pd.testing.assert_series_equal(made.dtypes, LOANS.train.dtypes)


def test_rejection_draws_from_the_conditional_distribution():
    model = IndependentColumns().fit(LOANS.train)
    real = LOANS.train["income"]
    for seed in range(5):
        made = model.sample(2000, seed, constraint=lambda f: f["income"] > 30_000)["income"]
        assert kstest(made, real[real > 30_000]).statistic < 0.05


def test_conditions_that_cannot_be_met_are_refused(fitted):
    model = fitted["vae"]
    with pytest.raises(
        RuntimeError, match=r"Of 2,000 rows drawn 0 were accepted, and 5 are wanted"
    ):
        model.sample(5, constraint=lambda f: f["age"] > 200, tries=10)
    with pytest.raises(ValueError, match=r"column.*height"):
        model.sample(5, condition={"height": 3})
    with pytest.raises(ValueError, match="one boolean for each row"):
        model.sample(5, constraint=lambda f: f["age"])
    with pytest.raises(ValueError, match="one boolean for each row"):
        model.sample(5, constraint=lambda f: True)
    with pytest.raises(ValueError, match="n = 0"):
        model.sample(0)
    with pytest.raises(ValueError, match="call `fit` first"):
        TabularVAE().sample(5)


@EACH_MODEL
def test_a_classifier_learns_from_synthetic_rows(name, fitted):
    """After few steps; the bars over five seeds stand in benchmarks/results/tabular.json."""
    columns = ["age", "income", "debt", "late_payments", "amount", "term"]

    def auc(table):
        model = HistGradientBoostingClassifier(max_iter=40, random_state=0)
        model.fit(table[columns], table["approved"])
        said = model.predict_proba(LOANS.held_out[columns])[:, 1]
        return roc_auc_score(LOANS.held_out["approved"], said)

    assert auc(fitted[name].sample(6000, seed=1)) > auc(LOANS.train) - 0.06


@EACH_MODEL
def test_a_missing_default_goes_with_a_refusal(name, fitted):
    """Always so in the real table; half the rows where columns are drawn apart."""

    def agreement(table):
        return (table["default"].isna() == ~table["approved"]).mean()

    assert agreement(LOANS.train) == 1
    apart = agreement(IndependentColumns().fit(LOANS.train).sample(2000, seed=1))
    assert apart < 0.6 < 0.8 < agreement(fitted[name].sample(2000, seed=1))


# --- gaps, linked tables, texts ---------------------------------------------------------------------


def gappy(n=1500, seed=0):
    """x and y with a correlation of .8, a level that follows x; a third of x and of the level hidden."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = 0.8 * x + 0.6 * rng.normal(size=n)
    whole = pd.DataFrame({"x": x, "y": y, "high": np.where(x > 0, "yes", "no")})
    hidden = rng.random((n, 2)) < 1 / 3
    holes = whole.assign(
        x=whole["x"].mask(hidden[:, 0]), high=whole["high"].mask(hidden[:, 1], None)
    )
    return whole, holes, hidden


FILLERS = {
    "copula": (GaussianCopula(), {}),
    "VAE": (TabularVAE(settings=TabularVAESettings(width=64)), {"steps": 400}),
    "diffusion": (TabularDiffusion(settings=TabularDiffusionSettings(width=64)), {"steps": 300}),
}


@pytest.mark.parametrize("name", FILLERS)
def test_gaps_are_filled_as_the_rest_of_the_row_says_and_what_is_known_stays(name):
    model, options = FILLERS[name]
    whole, holes, hidden = gappy()
    filled = model.fit(holes, **options).impute(holes, seed=1)
    assert not filled.isna().any(axis=None) and filled.index.equals(holes.index)
    for i, column in enumerate(("x", "high")):
        known = ~hidden[:, i]
        assert (filled[column][known] == holes[column][known]).all()
    pd.testing.assert_series_equal(filled["y"], whole["y"])
    drawn = filled[hidden[:, 0]]
    assert np.corrcoef(drawn["x"], drawn["y"])[0, 1] == pytest.approx(0.8, abs=0.15)
    assert drawn["x"].std() == pytest.approx(1, abs=0.15)  # draws, and not their means
    apart = hidden[:, 1] & ~hidden[:, 0]
    right = (filled["high"] == whole["high"])[apart & (whole["x"].abs() > 0.5)]
    assert right.mean() > 0.85
    again, other = (model.impute(holes, seed=seed) for seed in (1, 2))
    pd.testing.assert_frame_equal(again, filled)
    assert (other["x"] != filled["x"])[hidden[:, 0]].mean() > 0.9


def test_independent_columns_fill_gaps_from_their_own_column_alone():
    _, holes, hidden = gappy()
    filled = IndependentColumns().fit(holes).impute(holes)
    drawn = filled[hidden[:, 0]]
    assert abs(np.corrcoef(drawn["x"], drawn["y"])[0, 1]) < 0.15
    assert not filled.isna().any(axis=None)


def test_a_column_that_is_left_out_is_drawn_and_one_not_to_be_filled_keeps_its_gaps():
    people = LOANS.train.head(800)
    model = GaussianCopula().fit(people)
    rows = people.drop(columns="income").head(50)
    filled = model.impute(rows, columns=["income"])
    assert list(filled) == list(people) and filled["income"].notna().all()
    pd.testing.assert_series_equal(filled["history"], rows["history"])
    assert filled.dtypes.equals(people.dtypes)
    asked = model.impute(pd.DataFrame({"sex": ["female"] * 20}))
    assert (asked["sex"] == "female").all() and asked.drop(columns="default").notna().all(axis=None)


def test_what_cannot_be_filled_is_told():
    table = pd.DataFrame({"x": range(30), "kind": ["a", "b", "c"] * 10})
    model = GaussianCopula().fit(table)
    with pytest.raises(ValueError, match="no table yet"):
        GaussianCopula().impute(table)
    with pytest.raises(ValueError, match="no rows"):
        model.impute(table.head(0))
    with pytest.raises(ValueError, match="column"):
        model.impute(table.assign(z=1))
    with pytest.raises(ValueError, match="level of 'kind'"):
        model.impute(pd.DataFrame({"kind": ["d"]}))
    with pytest.raises(ValueError, match="let it be filled"):
        model.impute(pd.DataFrame({"x": [np.nan], "kind": ["a"]}), columns=["kind"])
    empty = table.assign(never=np.nan)
    with pytest.raises(ValueError, match="had no values"):
        GaussianCopula().fit(empty).impute(empty)


def shop(customers, seed):
    """Traders, a third of all, order four times as often and three times as much."""
    rng = np.random.default_rng(seed)
    trade = rng.random(customers) < 1 / 3
    people = pd.DataFrame(
        {"id": np.arange(customers) + 50, "kind": np.where(trade, "trade", "home")}
    )
    owner = np.repeat(np.arange(customers), rng.poisson(np.where(trade, 8, 2)))
    size = np.exp(rng.normal(np.where(trade[owner], 3, 2), 0.3)).round(1)
    return people, pd.DataFrame({"id": people["id"].to_numpy()[owner], "size": size})


def test_linked_tables_keep_keys_counts_and_what_a_parent_says_of_its_rows():
    people, orders = shop(600, seed=0)
    model = LinkedTables("id").fit(people, orders, steps=200)
    made, theirs = model.sample(500, seed=1)
    assert made["id"].tolist() == list(range(500)) and list(theirs) == ["id", "size"]
    assert theirs["id"].isin(made["id"]).all() and theirs["size"].notna().all()
    found = []
    for parents, children in ((people, orders), (made, theirs)):
        trade = parents.set_index("id")["kind"].eq("trade")
        counts = children.groupby("id").size().reindex(trade.index, fill_value=0)
        sizes = children["size"].groupby(children["id"].map(trade)).mean()
        found.append([trade.mean(), *counts.groupby(trade).mean(), *sizes])
    real, drawn = np.array(found)
    assert np.abs(drawn / real - 1).max() < 0.3
    pd.testing.assert_frame_equal(model.sample(500, seed=1)[1], theirs)


def test_tables_that_do_not_belong_together_are_refused():
    people, orders = shop(20, seed=0)
    model = LinkedTables("id", GaussianCopula)
    with pytest.raises(ValueError, match="no tables yet"):
        model.sample(3)
    with pytest.raises(ValueError, match="column"):
        model.fit(people.drop(columns="id"), orders)
    with pytest.raises(ValueError, match="stand once"):
        model.fit(pd.concat([people, people]), orders)
    with pytest.raises(ValueError, match="have no parent"):
        model.fit(people.head(2), orders)
    with pytest.raises(ValueError, match="'kind'"):
        model.fit(people, orders.assign(kind="x"))


def test_a_text_fits_its_row_and_has_no_word_that_few_have():
    rng = np.random.default_rng(0)
    kinds = rng.choice(["boat", "house"], 800)
    rooms = rng.integers(1, 4, 800)
    words = np.array(["one", "two", "three"])[rooms - 1]
    moods = rng.choice(["quiet", "sunny"], 800)
    texts = [f"{m} {k}, {w} rooms" for m, k, w in zip(moods, kinds, words, strict=True)]
    texts[0] = "Xaver sells a house"
    table = pd.DataFrame({"kind": kinds, "rooms": rooms, "advert": texts})
    writer = TextColumn("advert", width=32).fit(table, steps=250)
    rows = table.drop(columns="advert").tail(300)
    written = writer.write(rows, seed=1)
    assert written.index.equals(rows.index) and written.name == "advert"
    fits = [k in t and w in t for k, w, t in zip(kinds[-300:], words[-300:], written, strict=True)]
    assert np.mean(fits) > 0.9
    assert not written.str.contains("Xaver").any() and written.nunique() > 8
    pd.testing.assert_series_equal(writer.write(rows, seed=1), written)


def test_a_text_that_cannot_be_learnt_is_refused():
    table = pd.DataFrame({"kind": ["a", "b"] * 5, "advert": [f"word{i}" for i in range(10)]})
    with pytest.raises(ValueError, match="no table yet"):
        TextColumn("advert").write(table)
    with pytest.raises(ValueError, match="column"):
        TextColumn("text").fit(table)
    with pytest.raises(ValueError, match="nothing can be learnt"):
        TextColumn("advert").fit(table)
    with pytest.raises(ValueError, match="missing"):
        TextColumn("advert").fit(table.assign(advert=[None] * 10))
