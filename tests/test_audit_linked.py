"""Two linked tables: what joins them is audited, and what one table alone would hide is found."""

import json

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, audit, audit_linked, joined
from course_lib.datasets.shop import linked_tables


def _as_text(tables):
    people, lines = tables
    return people, lines.astype({"order": str, "item": str})


@pytest.fixture(scope="module")
def shops():
    return [_as_text(linked_tables(400, seed=seed)) for seed in (10, 11, 12)]


@pytest.mark.slow
def test_what_is_right_passes_and_keeps_its_verdicts(shops):
    """Three shops of one distribution: no report of three rotations fails; 5 % would be allowed to."""
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


# --- from the shell ------------------------------------------------------------------------------

LINK = ["--link", "orders.customer_id=customers.id", "--quiet"]


@pytest.fixture
def folders(shops, tmp_path):
    """Three folders of two tables, whose key has a name of its own in each."""
    for name, (people, lines) in zip(("real", "holdout", "made"), shops, strict=True):
        folder = tmp_path / name
        folder.mkdir()
        people.rename(columns={"customer": "id"}).to_csv(folder / "customers.csv", index=False)
        lines.rename(columns={"customer": "customer_id"}).to_csv(folder / "orders.csv", index=False)
    return [str(tmp_path / name) for name in ("real", "made", "holdout")]


@pytest.mark.slow
def test_two_folders_are_audited_across_their_link(folders, tmp_path):
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    real, made, held = folders
    more = ["--holdout", held, "--html", str(page), "--json", str(data)]
    assert cli.main(["audit", real, made, *LINK, *more]) == 0
    content = json.loads(data.read_text(encoding="utf-8"))
    verdicts = {finding["id"]: finding["verdict"] for finding in content["findings"]}
    assert verdicts["foreign_key[customers.id]"] == verdicts["primary_key[customers.id]"] == "pass"
    assert {"real customers", "holdout orders", "synthetic orders"} <= set(
        content["about"]["files"]
    )
    assert content["about"]["rows"]["synthetic"] == 400
    assert "wasserstein[different order]" in verdicts  # a code, though it is a number in the file
    assert "Linked by" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_folder_whose_link_is_lost_fails(folders, tmp_path):
    real, made, held = folders
    table = pd.read_csv(f"{made}/customers.csv")
    table["id"] = np.random.default_rng(0).permutation(table["id"])
    table.to_csv(f"{made}/customers.csv", index=False)
    assert cli.main(["audit", real, made, "--holdout", held, *LINK]) == 1


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("orders.customer_id", "is not a link"),
        ("orders=customers.id", "is not a link"),
        ("orders.customer_id=orders.id", "to itself"),
        ("sales.customer_id=customers.id", "no table 'sales'. Its files are: 'customers.csv'"),
        ("orders.customer=customers.id", "orders.csv has no column 'customer'"),
        ("orders.customer_id=customers.number", "customers.csv has no column 'number'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_link_is_told(folders, capsys, link, told):
    assert cli.main(["audit", *folders[:2], "--link", link, "--quiet"]) == 2
    assert told in capsys.readouterr().err


def test_folders_and_links_go_together(folders, capsys):
    real, made, _ = folders
    assert cli.main(["audit", real, made, "--quiet"]) == 2
    assert "--link" in capsys.readouterr().err
    assert cli.main(["audit", f"{real}/orders.csv", made, *LINK]) == 2
    assert "must be a folder" in capsys.readouterr().err
    assert cli.main(["audit", real, made, *LINK, "--entity", "id"]) == 2
    assert "leave --entity out" in capsys.readouterr().err


def test_what_the_linked_rows_hold_is_looked_for_too(tmp_path, capsys):
    """Notes and addresses are in the orders; the joined table has only their number."""
    real, made = shop_with_notes(0), shop_with_notes(1)
    assert linked_status(tmp_path, real, made) == 0
    made[1].loc[[8, 9], "note"] = [real[1].loc[16, "note"].upper(), real[1].loc[30, "note"]]
    assert linked_status(tmp_path, real, made) == 1
    told = capsys.readouterr().out
    assert "reused_values[orders: note]" in told and "9 (17), 10 (31)" in told


def shop_with_notes(seed):
    rng = np.random.default_rng(seed)
    parents = pd.DataFrame({"id": range(60), "kind": rng.choice(["a", "b"], 60)})
    orders = pd.DataFrame({"customer": np.repeat(range(60), 4), "price": rng.integers(1, 9, 240)})
    numbers = rng.choice(10**9, 240, replace=False)
    return parents, orders.assign(note=[f"parcel {number}" for number in numbers])


def linked_status(folder, *shops):
    for name, tables in zip(("real", "made"), shops, strict=True):
        (folder / name).mkdir(exist_ok=True)
        for table, file in zip(tables, ("customers", "orders"), strict=True):
            table.to_csv(folder / name / f"{file}.csv", index=False)
    link = ["--link", "orders.customer=customers.id", "--quiet"]
    return cli.main(["audit", str(folder / "real"), str(folder / "made"), *link])
