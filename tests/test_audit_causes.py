"""One cause is told once: of groups, of models, of copies."""

import pytest

from course_lib.audit.causes import causes, headlines
from course_lib.audit.finding import Finding


def bias(metric, slice, p, columns=("sex", "paid"), verdict="fail", effect=0.3):
    return Finding(
        "bias", metric, slice, effect, effect - 0.1, effect + 0.1, null=0.0, p=p, q=p, margin=0.1,
        verdict=verdict, columns=tuple(columns),
    )  # fmt: skip


def told(*findings, **options):
    return [
        (cause.headline.id, [other.id for other in cause.others])
        for cause in causes(findings, **options)
    ]


WOMEN = bias("label_rate", "sex = f", 1e-20)
GAP = bias("label_gap", "sex = f against the rest", 1e-12)
YOUNG_WOMEN = bias("label_rate", "sex = f & age < 30", 1e-9, ("sex", "age", "paid"), effect=0.5)
YOUNG = bias("label_rate", "age < 30", 1e-8, ("age", "paid"))
MODELS = bias("demographic_parity", "sex", 1e-3, ("sex", "paid"))
PROXY = bias("association", "paid with sex", 1e-3, ("paid", "sex"))


def test_what_comes_with_a_harmed_group_is_folded():
    assert told(YOUNG_WOMEN, YOUNG, GAP, WOMEN, MODELS, PROXY) == [
        (WOMEN.id, [GAP.id, YOUNG_WOMEN.id, YOUNG.id, MODELS.id, PROXY.id])
    ]


def test_each_of_them_is_told_to_who_answers_for_the_rows():
    every = (YOUNG_WOMEN, YOUNG, GAP, WOMEN, MODELS, PROXY)
    assert told(*every, fold_groups=False) == [(each.id, []) for each in every]


def test_a_harm_to_an_intersection_is_named_as_that():
    both = bias("label_rate", "sex = f & age < 30", 1e-30, ("sex", "age", "paid"))
    assert told(both, WOMEN, YOUNG)[0] == (both.id, [WOMEN.id, YOUNG.id])


def test_two_groups_without_common_rows_are_two_causes():
    nations = [bias("label_rate", f"nation = {k}", 10.0**-k, ("nation", "paid")) for k in (9, 5)]
    assert told(*nations) == [(nations[0].id, []), (nations[1].id, [])]


def test_a_group_that_differs_without_the_other_one_is_a_cause_of_its_own():
    young_men = bias("label_rate", "sex = m & age < 30", 1e-7, ("sex", "age", "paid"))
    found = told(WOMEN, YOUNG, young_men)
    assert found == [(WOMEN.id, []), (YOUNG.id, [young_men.id])]


def test_the_gap_of_another_group_comes_with_the_cause():
    other = bias("label_gap", "nation = b against the rest", 1e-3, ("nation", "paid"))
    one = bias("label_rate", "nation = a", 1e-9, ("nation", "paid"))
    assert told(one, other) == [(one.id, [other.id])]


def test_rates_of_two_groups_that_changed_places_are_one_cause():
    gap = bias("label_gap", "sex = f against the rest", 1e-40)
    men = bias("label_rate", "sex = m", 1e-15)
    assert told(gap, WOMEN, men) == [(gap.id, [WOMEN.id, men.id])]
    third = bias("label_gap", "sex = x against the rest", 0.5, verdict="pass")
    assert told(gap, WOMEN, men, third) == [(gap.id, [WOMEN.id]), (men.id, [])]


@pytest.mark.parametrize("p", [1e-30, 1e-2])
def test_a_group_that_is_gone_comes_before_the_labels_of_those_who_are_left(p):
    gone = bias("group_share", "sex = f & age < 30", p, ("sex", "age"))
    found = told(gone, YOUNG)
    assert found == ([(gone.id, [YOUNG.id])] if p < YOUNG.p else [(gone.id, []), (YOUNG.id, [])])


def test_bands_of_a_number_are_told_apart():
    bands = [
        bias("label_rate", slice, p, ("age", "paid"))
        for slice, p in (("age < 30", 1e-9), ("30 <= age < 40", 1e-8), ("age >= 40", 1e-7))
    ]
    assert told(*bands) == [(band.id, []) for band in bands]


def test_the_loss_in_groups_comes_with_the_loss():
    whole = Finding("utility", "utility", "predicting paid", p=1e-3, verdict="fail")
    group = Finding("utility", "group_utility", "sex = f", p=1e-9, verdict="fail")
    other = Finding("utility", "group_utility", "sex = m", p=1e-4, verdict="fail")
    assert told(group, whole) == [(whole.id, [group.id])]
    assert told(other, group) == [(other.id, []), (group.id, [])]


def test_copied_rows_are_told_once_and_reused_keys_beside_them():
    names = ("membership_auc", "verbatim_people", "rare_values", "reused_values")
    leaks = [Finding("privacy", name, "all", verdict="fail") for name in names]
    attack, copies, values, keys = leaks
    assert told(*leaks) == [(copies.id, [attack.id, values.id]), (keys.id, [])]
    assert told(attack, values) == [(attack.id, []), (values.id, [])]


def test_a_triple_that_fails_is_no_part_of_a_warning():
    pair = Finding("fidelity", "pair_total_variation", "a & b", columns=("a", "b"), verdict="warn")
    triple = Finding(
        "fidelity", "three_columns", "all triples", columns=("a", "b", "c"), verdict="fail"
    )
    assert told(triple, pair) == [(triple.id, [pair.id])]


def test_headlines_are_five_of_each_family():
    lost = [Finding("structure", "column_missing", f"c{i}", verdict="fail") for i in range(8)]
    leaks = [Finding("privacy", "rare_values", f"c{i}", verdict="fail") for i in range(2)]
    assert [cause.headline for cause in headlines([*lost, *leaks])] == [*lost[:5], *leaks]


@pytest.mark.parametrize(
    ("share", "folded"), [(0.9, True), (0.25, True), (0.1, False), (None, True)]
)
def test_many_repeated_rows_explain_what_is_unfaithful_and_few_do_not(share, folded):
    rows = Finding("structure", "duplicate_rows", "whole rows", share, verdict="fail")
    lost = Finding("fidelity", "total_variation", "x", columns=("x",), verdict="fail")
    assert told(rows, lost) == (
        [(rows.id, [lost.id])] if folded else [(rows.id, []), (lost.id, [])]
    )


def test_an_invented_level_is_the_headline_of_its_column():
    rare, levels = (
        Finding("fidelity", name, "x", columns=("x",), verdict=verdict)
        for name, verdict in (("rare_share", "fail"), ("levels", "fail"))
    )
    assert told(rare, levels) == [(levels.id, [rare.id])]
    mild = Finding("fidelity", "levels", "x", columns=("x",), verdict="warn")
    assert told(rare, mild) == [(rare.id, [mild.id])]


@pytest.mark.parametrize(("p", "leads"), [(1e-30, True), (1e-3, False)])
def test_a_triple_leads_pairs_that_are_less_sure(p, leads):
    pair = Finding(
        "fidelity", "pair_total_variation", "a & b", p=1e-9, columns=("a", "b"), verdict="fail"
    )
    triple = Finding(
        "fidelity", "three_columns", "all", p=p, columns=("a", "b", "c"), verdict="fail"
    )
    head, other = (triple, pair) if leads else (pair, triple)
    assert told(pair, triple) == [(head.id, [other.id])]
    column = Finding("fidelity", "wasserstein", "a", p=1e-3, columns=("a",), verdict="fail")
    assert told(column, triple) == [(column.id, [triple.id])]


def test_exact_copies_lead_and_copies_of_the_holdout_are_told_by_themselves():
    slices = ("whole rows but for one column", "whole rows of the holdout", "whole rows")
    found = [Finding("privacy", "verbatim_people", each, verdict="fail") for each in slices]
    for given, told in ((found, {slices[2], slices[1]}), (found[:2], set(slices[:2]))):
        assert {cause.headline.slice for cause in causes(given)} == told
    assert [cause.headline.slice for cause in causes(found[1:2])] == [slices[1]]
