"""Two linked tables: what joins them is audited, and what one table alone would hide is found."""

import numpy as np
import pandas as pd
import pytest

from course_lib.audit import AuditError, audit, audit_linked, joined
from course_lib.datasets.shop import linked_tables


def _as_text(tables):
    people, lines = tables
    return people, lines.astype({"order": str, "item": str})


@pytest.fixture(scope="module")
def shops():
    return [_as_text(linked_tables(400, seed=seed)) for seed in (10, 11, 12)]


def test_what_is_right_passes_and_keeps_its_verdicts(shops):
    """Three shops of one law: no report of three rotations fails, where 5 % would be allowed to."""
    for k in range(3):
        report = audit_linked(*shops[k:], *shops[:k], "customer", progress=False)
        assert report["primary_key[customer]"].verdict == "pass"
        assert report["foreign_key[customer]"].verdict == "pass"
        assert report.counts["fail"] == 0
    report = audit_linked(*shops, "customer", progress=False)
    alone = audit(*(joined(*shop, "customer") for shop in shops), progress=False)
    assert len(report.findings) == len(alone.findings) + 2


def test_orphans_and_repeated_keys_are_named_with_their_number(shops):
    people, lines = shops[2]
    lost = pd.concat([people.drop(index=[0, 1]), people.loc[[5]]])
    report = audit_linked(*shops[:2], (lost, lines), "customer", progress=False)
    assert report["primary_key[customer]"].verdict == "fail"
    orphans = lines["customer"].isin([0, 1]).sum()
    assert report["foreign_key[customer]"].method.startswith(f"{orphans:,} of {len(lines):,}")
    assert report.explain("foreign_key[customer]")


def test_a_lost_link_is_found_though_both_tables_are_real_ones(shops):
    """Customers of one shop and orders of another one: each table is right, and the link is not."""
    people, lines = shops[2]
    order = np.random.default_rng(0).permutation(len(people))
    shuffled = people.assign(customer=people["customer"].to_numpy()[order])
    report = audit_linked(*shops[:2], (shuffled, lines), "customer", progress=False)
    assert report["foreign_key[customer]"].verdict == "pass"
    failed = report.table(verdict="fail")
    pairs = failed[failed["metric"] == "pair_total_variation"]
    assert any("kind" in columns for columns in pairs["columns"])
    # Every column by itself is as it was: no finding about one column fails.
    assert not failed["metric"].isin(["total_variation", "kolmogorov_smirnov", "wasserstein"]).any()


def test_a_parent_without_linked_rows_counts_as_none():
    people = pd.DataFrame({"k": ["a", "b"], "kind": ["x", "y"]})
    lines = pd.DataFrame({"k": ["a", "a", "a"], "item": ["p", "q", "p"], "n": [1, 2, 6]})
    table = joined(people, lines, "k")
    assert table["rows"].tolist() == [3, 0]
    assert table["different item"].tolist() == [2, 0]
    assert table["mean n"].tolist()[0] == 3
    assert table["mean n"].isna().tolist() == [False, True]


@pytest.mark.parametrize("which", ["parents", "linked rows"])
def test_a_missing_key_is_named(which):
    with_key, without = pd.DataFrame({"k": [1]}), pd.DataFrame({"other": [1]})
    tables = (without, with_key) if which == "parents" else (with_key, without)
    with pytest.raises(AuditError, match=f"The {which} have no column 'k'.*'?other"):
        joined(*tables, "k")
