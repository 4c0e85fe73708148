"""Planted faults: each does what it says, as strongly as it says, and nothing else."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from course_lib.audit import corruptions as c
from course_lib.datasets import load

WOMEN = {"sex": "female"}


@pytest.fixture(scope="module")
def loans():
    return load("loans").train


@pytest.fixture
def mixed():
    """300 rows of every type that a table may hold, with gaps and an index of its own."""
    rng = np.random.default_rng(0)
    n = 300
    number = rng.normal(size=n)
    whole = pd.array(rng.integers(0, 500, n), dtype="Int64")
    whole[::7] = pd.NA
    sure = pd.array(rng.random(n) < 0.4, dtype="boolean")
    sure[::11] = pd.NA
    return pd.DataFrame(
        {
            "number": np.where(rng.random(n) < 0.1, np.nan, number),
            "single": number.astype(np.float32),
            "whole": whole,
            "count": rng.integers(0, 6, n),
            "text": rng.choice(["a", "b", None], n, p=[0.6, 0.3, 0.1]),
            "kind": pd.Categorical(rng.choice(["x", "y", "z"], n), categories=["z", "y", "x", "w"]),
            "sure": sure,
            "answer": rng.choice(["no", "yes"], n),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D"),
        },
        index=pd.Index(rng.integers(0, 40, n), name="household"),  # not unique
    )


# Each function with arguments for the mixed table, and whether it is random.
ON_MIXED = {
    "scale_labels": (lambda t, **s: c.scale_labels(t, "sure", {"kind": ["x", "y"]}, **s), True),
    "scale_labels, text": (
        lambda t, **s: c.scale_labels(t, "answer", {"text": "a"}, 1.2, positive="yes", **s),
        True,
    ),
    "erase_group": (lambda t, **s: c.erase_group(t, {"kind": "x", "text": "a"}, 0.2, **s), True),
    "cut_tails": (lambda t: c.cut_tails(t, "number", 0.1), False),
    "cut_tails, whole": (lambda t: c.cut_tails(t, "whole", 0.1), False),
    "break_correlation": (lambda t, **s: c.break_correlation(t, "kind", 0.5, **s), True),
    "break_correlation, sure": (lambda t, **s: c.break_correlation(t, "sure", **s), True),
    "invent_category": (lambda t, **s: c.invent_category(t, "text", share=0.1, **s), True),
    "change_unit": (lambda t: c.change_unit(t, "whole", 1000), False),
    "copy_training": (lambda t, **s: c.copy_training(t, t[::-1], 0.3, noise=0.1, **s), True),
    "drop_modes": (lambda t, **s: c.drop_modes(t, "number", 3, **s), True),
    "drop_modes, text": (lambda t, **s: c.drop_modes(t, "kind", **s), True),
    "round_values": (lambda t: c.round_values(t, "whole", 10), False),
    "add_proxy": (lambda t, **s: c.add_proxy(t, "whole", "kind", 0.9, **s), True),
    "add_proxy, text": (lambda t, **s: c.add_proxy(t, "kind", "text", 0.9, **s), True),
    "repeat_rows": (lambda t, **s: c.repeat_rows(t, 10, **s), True),
    "lose_values": (lambda t, **s: c.lose_values(t, "whole", 0.2, {"text": "a"}, **s), True),
    "lose_values, text": (lambda t, **s: c.lose_values(t, "kind", 0.2, **s), True),
    "fill_missing": (lambda t, **s: c.fill_missing(t, "text", 0.7, **s), True),
    "fill_missing, whole": (lambda t, **s: c.fill_missing(t, "whole", **s), True),
    "noise_labels": (lambda t, **s: c.noise_labels(t, "sure", {"kind": ["x", "y"]}, **s), True),
}
EACH = pytest.mark.parametrize("name", ON_MIXED)


@EACH
def test_a_mixed_table_is_damaged_and_the_input_stays(name, mixed):
    before = mixed.copy(deep=True)
    damage, random = ON_MIXED[name]
    damaged, truth = damage(mixed)
    pd.testing.assert_frame_equal(mixed, before)
    # Rows, index, columns and types stay; what is not named stays as it was.
    assert damaged.index.equals(mixed.index) and not damaged.equals(mixed)
    pd.testing.assert_series_equal(damaged.dtypes, mixed.dtypes)
    rest = [column for column in mixed if column not in truth.columns]
    pd.testing.assert_frame_equal(damaged[rest], mixed[rest])
    assert truth.kind == name.split(",")[0]
    assert truth.sentence.endswith(".") and truth.strength > 0
    if random:
        pd.testing.assert_frame_equal(damage(mixed, seed=5)[0], damage(mixed, seed=5)[0])
        assert not damage(mixed, seed=5)[0].equals(damage(mixed, seed=6)[0])


@pytest.mark.parametrize("factor", [0, 0.5, 1.3])
def test_labels_of_one_group_are_scaled(loans, factor):
    damaged, truth = c.scale_labels(loans, "approved", WOMEN, factor)
    women = loans["sex"] == "female"
    counts = damaged["approved"].groupby(women).sum()
    before = loans["approved"].groupby(women).sum()
    assert counts[True] == round(factor * before[True]) and counts[False] == before[False]
    # Flipped one way only.
    changed = damaged["approved"][loans["approved"] != damaged["approved"]]
    assert (changed == (factor > 1)).all()
    assert (truth.columns, truth.where, truth.strength) == (("approved",), WOMEN, factor)
    assert "sex is female" in truth.sentence


@pytest.mark.parametrize("keep", [0, 0.25])
@pytest.mark.parametrize("group", [WOMEN, {"sex": "female", "ethnicity": ["Drusami", "Celdane"]}])
def test_a_group_is_erased_and_the_number_of_rows_stays(loans, group, keep):
    def members(table):
        inside = table["sex"] == "female"
        return inside & table["ethnicity"].isin(group.get("ethnicity", table["ethnicity"].unique()))

    damaged, truth = c.erase_group(loans, group, keep)
    assert len(damaged) == len(loans) and truth.where == group
    assert members(damaged).sum() == round(keep * members(loans).sum())
    pd.testing.assert_frame_equal(damaged[~members(loans)], loans[~members(loans)])
    # Those who came in their place are whole rows from outside.
    outside = set(map(tuple, loans[~members(loans)].astype(str).to_numpy()))
    assert set(map(tuple, damaged[~members(damaged)].astype(str).to_numpy())) <= outside


@pytest.mark.parametrize("column", ["income", "history"])
def test_tails_are_clipped_at_the_quantiles(loans, column):
    damaged, truth = c.cut_tails(loans, column, 0.05)
    before, after = loans[column].dropna(), damaged[column].dropna()
    assert before.index.equals(after.index)
    inside = before.between(after.min(), after.max())
    assert (before[inside] == after[inside]).all()
    for beyond, end in ((before < after.min(), after.min()), (before > after.max(), after.max())):
        assert 0 < beyond.mean() <= 0.05 and (after[beyond] == end).all()
    if column == "income":  # hardly any ties: the shares are as asked
        assert (~inside).mean() == pytest.approx(0.1, abs=0.002)
    assert truth.strength == 0.05 and f"{after.max():g}" in truth.sentence


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_correlation_is_broken_by_the_share_asked_for(loans, share):
    damaged, _ = c.break_correlation(loans, "debt", share)
    assert sorted(damaged["debt"]) == sorted(loans["debt"])
    with_income = [np.corrcoef(t["debt"], t["income"])[0, 1] for t in (loans, damaged)]
    # Four standard errors of a correlation of about 6,000 rows with heavy tails.
    assert with_income[0] > 0.3
    assert with_income[1] == pytest.approx((1 - share) * with_income[0], abs=0.08)
    assert (damaged["debt"] != loans["debt"]).mean() == pytest.approx(share, abs=0.06)


def test_a_category_is_invented(loans, mixed):
    damaged, truth = c.invent_category(loans, "region", "Atlantis", 0.02)
    new = damaged["region"] == "Atlantis"
    assert new.sum() == 120 and truth.where == {"region": "Atlantis"}
    assert (damaged["region"] == loans["region"])[~new].all()
    one, _ = c.invent_category(loans, "region", share=1e-9)
    assert (one["region"] == "never seen").sum() == 1
    grown = c.invent_category(mixed, "kind", "v")[0]["kind"]
    assert list(grown.cat.categories) == ["z", "y", "x", "w", "v"] and (grown == "v").sum() == 3


@pytest.mark.parametrize(("factor", "dtype"), [(12, np.int64), (0.5, np.float64)])
def test_a_unit_is_changed(loans, factor, dtype):
    damaged, truth = c.change_unit(loans, "income", factor)
    assert damaged["income"].dtype == dtype and truth.strength == factor
    np.testing.assert_array_equal(damaged["income"], loans["income"] * factor)


@pytest.mark.parametrize("share", [0.05, 1.0])
def test_copies_of_training_rows_are_verbatim_and_as_many_as_asked(loans, share):
    table, training = loans[:1000], loans[2000:4000]
    damaged, truth = c.copy_training(table, training[training.columns[::-1]], share)

    def rows(part):
        return [tuple(row) for row in part.astype(str).to_numpy()]

    known = set(rows(training))
    assert not known & set(rows(table))
    copied = [row for row in rows(damaged) if row in known]
    assert len(copied) == len(set(copied)) == 1000 * share
    kept = [a == b for a, b in zip(rows(damaged), rows(table), strict=True)]
    assert sum(kept) == 1000 - 1000 * share and truth.strength == share


def test_near_copies_differ_by_the_noise_asked_for(loans):
    table, training = loans[:3000], loans[3000:]
    exact, _ = c.copy_training(table, training, 1.0, seed=1)
    near, truth = c.copy_training(table, training, 1.0, noise=0.1, seed=1)
    words = list(loans.select_dtypes(exclude="number"))
    pd.testing.assert_frame_equal(exact[words], near[words])
    for name in ("age", "amount", "history"):
        moved = (near[name] - exact[name]).std() / training[name].std()
        assert moved == pytest.approx(0.1, rel=0.15), name  # less at the ends, more by rounding
        assert training[name].min() <= near[name].min()
        assert near[name].max() <= training[name].max()
    assert (near["history"].isna() == exact["history"].isna()).all()
    assert near["income"].dtype == int and "noise of 0.1" in truth.sentence


def test_modes_are_dropped_by_name_by_range_and_by_number(loans):
    damaged, truth = c.drop_modes(loans, "region", ["Lakes", "Mills"])
    left = set(loans["region"]) - {"Lakes", "Mills"}
    assert set(damaged["region"]) == left and truth.where == {"region": ["Lakes", "Mills"]}
    assert truth.strength == pytest.approx(loans["region"].isin(["Lakes", "Mills"]).mean())
    middle = loans["income"].between(20_000, 30_000)
    damaged, _ = c.drop_modes(loans, "income", [(20_000, 30_000)])
    assert not damaged["income"].between(20_000, 30_000).any()
    pd.testing.assert_frame_equal(damaged[~middle], loans[~middle])
    for column, count in (("income", 3), ("history", 2), ("term", 2), ("employment", 4)):
        damaged, truth = c.drop_modes(loans, column, count, seed=3)
        modes = truth.where[column]
        assert len(modes) == len(set(modes)) == count
        for mode in modes:
            low, high = mode if isinstance(mode, tuple) else (mode, mode)
            assert ((loans[column] >= low) & (loans[column] <= high)).any()
            assert not ((damaged[column] >= low) & (damaged[column] <= high)).any()
        if column == "income":
            assert truth.strength == pytest.approx(0.3, abs=0.01)
    # The ranges of a column share no value, ties or not.
    ranges = c.drop_modes(loans, "age", 9)[1].where["age"]
    assert all(high < low for (_, high), (low, _) in pairwise(ranges))
    assert set(c.drop_modes(loans, "term", [12])[0]["term"]) == {24, 36, 48, 60}


@pytest.mark.parametrize(("to", "dtype"), [(1000, np.int64), (2.5, np.float64)])
def test_values_are_rounded(loans, to, dtype):
    damaged, _ = c.round_values(loans, "income", to)
    assert damaged["income"].dtype == dtype and (damaged["income"] % to == 0).all()
    assert (damaged["income"] - loans["income"]).abs().max() <= to / 2


@pytest.mark.parametrize("column", ["income", "term", "region", "history"])
@pytest.mark.parametrize("fidelity", [0.6, 1.0])
def test_a_column_becomes_a_proxy(loans, column, fidelity):
    damaged, truth = c.add_proxy(loans, column, "ethnicity", fidelity)
    assert set(damaged[column].dropna()) <= set(loans[column].dropna())
    # Whose block a value belongs to, from a perfect proxy: nobody shares a value with another group.
    perfect, _ = c.add_proxy(loans, column, "ethnicity", 1.0, seed=9)
    owners = perfect.dropna(subset=column).groupby(column)["ethnicity"].unique()
    assert (owners.map(len) == 1).all() and owners.map(tuple).nunique() == 4
    owner = owners.map(lambda names: names[0])

    def betrayed(table):
        own = table[column].map(owner)
        return (own == table["ethnicity"])[own.notna()].mean()

    # 1 - fidelity keep their value, which may lie in their own block by chance.
    expected = fidelity + (1 - fidelity) * betrayed(loans)
    assert betrayed(damaged) == pytest.approx(expected, abs=0.04)
    assert betrayed(loans) < 0.7
    assert truth.strength == fidelity and "gives ethnicity away" in truth.sentence
    if column == "income":  # cut at the groups' shares: its own distribution hardly moves
        assert damaged[column].median() == pytest.approx(loans[column].median(), rel=0.1)


def test_each_level_has_a_block_even_where_one_value_prevails():
    table = pd.DataFrame({"n": np.repeat(range(5), [10, 10, 360, 10, 10]), "g": [*"abcd"] * 100})
    damaged, _ = c.add_proxy(table, "n", "g", 1.0)
    blocks = damaged.groupby("g")["n"].unique().map(set)
    assert blocks.to_dict() == {"a": {0, 1}, "b": {2}, "c": {3}, "d": {4}}


# A table, for the errors.
T = pd.DataFrame({"g": ["a", "a", "b", "b"], "y": [True, False, True, False], "n": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: c.scale_labels(T, "z", {"g": "a"}), "no column called 'z'"),
        (lambda: c.scale_labels(T, "n", {"g": "a"}, positive=1), "two values"),
        (lambda: c.scale_labels(T, "g", {"g": "a"}), "Name the positive one"),
        (lambda: c.scale_labels(T, "y", {"g": "a"}, -1), "factor must be 0 or more"),
        (lambda: c.scale_labels(T, "y", {"g": "a"}, 3), "smaller factor"),
        (lambda: c.scale_labels(T, "y", {"g": "c"}), "No row has g = 'c'. It has a, b"),
        (lambda: c.scale_labels(T, "y", {}), "A group is written like"),
        (lambda: c.scale_labels(T, "y", "a"), "A group is written like"),
        (lambda: c.erase_group(T, {"g": "a"}, 1.5), "keep must lie within 0 to 1"),
        (lambda: c.erase_group(T, {"g": ["a", "b"]}), "no row is left"),
        (lambda: c.erase_group(T, {"g": "a", "n": 3}), "No row has all of g is a and n is 3"),
        (lambda: c.cut_tails(T, "g"), "g holds no numbers"),
        (lambda: c.cut_tails(T, "y"), "y holds no numbers"),
        (lambda: c.cut_tails(T, "n", 0.5), "between 0 and 0.5"),
        (lambda: c.break_correlation(T, "n", 0), "above 0"),
        (lambda: c.break_correlation(T[:0], "n"), "no rows"),
        (lambda: c.invent_category(T, "n"), "holds numbers"),
        (lambda: c.invent_category(T, "g", "a"), "has the level 'a' already"),
        (lambda: c.invent_category(T, "g", share=2), "within 0 to 1"),
        (lambda: c.change_unit(T, "n", 1), "not 1"),
        (lambda: c.change_unit(T, "n", float("nan")), "positive"),
        (lambda: c.copy_training(T, T[["g"]]), "only one of them has n, y"),
        (lambda: c.copy_training(T, T[:1], 1.0), "4 copies are wanted and there are 1"),
        (lambda: c.copy_training(T, T, noise=-1), "noise must be 0 or more"),
        (lambda: c.drop_modes(T, "g", 2), "at most 1"),
        (lambda: c.drop_modes(T, "g", ["c"]), "No row has g = 'c'"),
        (lambda: c.drop_modes(T, "n", [(7, 9)]), r"No row has n = \(7, 9\)"),
        (lambda: c.drop_modes(T, "g", []), "at least one mode"),
        (lambda: c.drop_modes(T, "g", ["a", "b"]), "leave at least one"),
        (lambda: c.round_values(T, "n", 0), "step to round to"),
        (lambda: c.add_proxy(T, "n", "n"), "another column"),
        (lambda: c.add_proxy(T, "y", "n"), "y has 2 distinct values and n 4"),
        (lambda: c.add_proxy(T, "n", "g", 0), "fidelity must lie above 0"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("times", [2, 7, 10])
def test_rows_are_repeated_and_their_number_stays(loans, times):
    damaged, truth = c.repeat_rows(loans.assign(row=range(len(loans))), times)
    counts = damaged["row"].value_counts()
    assert len(damaged) == len(loans) and len(counts) == -(-len(loans) // times)
    assert counts.max() == times and counts.min() >= times - 1
    assert truth.strength == times


def test_values_are_lost_in_the_group_alone(loans):
    damaged, truth = c.lose_values(loans, "debt", 0.3, WOMEN)
    gone, women = damaged["debt"].isna(), loans["sex"] == "female"
    assert gone.sum() == round(0.3 * women.sum()) and not gone[~women].any()
    assert (damaged["debt"][~gone] == loans["debt"][~gone]).all()
    assert truth.where == WOMEN and "sex is female" in truth.sentence


def test_gaps_are_filled_with_values_of_others(loans):
    damaged, _ = c.fill_missing(loans, "history", 0.5)
    before, after = loans["history"].isna(), damaged["history"].isna()
    assert after.sum() == before.sum() - round(0.5 * before.sum()) and not after[~before].any()
    assert set(damaged["history"][before & ~after]) <= set(loans["history"].dropna())


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_labels_of_a_group_become_chance_and_their_rate_stays(loans, share):
    damaged, _ = c.noise_labels(loans, "approved", WOMEN, share)
    women = loans["sex"] == "female"
    changed = damaged["approved"] != loans["approved"]
    assert not changed[~women].any()
    rate = loans["approved"][women].mean()
    assert damaged["approved"][women].mean() == rate
    # Of a row that changes with another one, the label differs with a chance of 2 p (1 - p).
    assert changed[women].mean() == pytest.approx(share * 2 * rate * (1 - rate), abs=0.03)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: c.repeat_rows(t, 1),
        lambda t: c.repeat_rows(t, len(t) + 1),
        lambda t: c.lose_values(t, "debt", 0.0),
        lambda t: c.lose_values(t, "debts"),
        lambda t: c.fill_missing(t, "debt"),
        lambda t: c.noise_labels(t, "approved", {"sex": "none"}),
    ],
)
def test_the_later_ones_refuse_what_they_cannot_do(loans, call):
    with pytest.raises(ValueError, match=r"[.?]$|; got"):
        call(loans)
