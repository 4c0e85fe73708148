"""Files that are read in batches: the same figures as in memory, and a sample for the rest."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from course_lib.audit import AuditError, audit, audit_files, batches, large, quantiles
from course_lib.audit.batches import parts_of, sampled
from course_lib.audit.files import read_table
from course_lib.audit.quantiles import Quantiles
from course_lib.audit.table import prepare
from course_lib.audit.tally import Rows
from course_lib.cli import main
from course_lib.datasets.loans import applicants

COUNTED = {
    "missing_rate", "total_variation", "levels", "rare_share", "tail_share", "pair_total_variation",
    "group_share", "label_rate", "label_gap", "association", "exact_copies", "duplicate_rows",
    "holdout_overlap",
}  # fmt: skip
ASKED = {"label": "approved", "sensitive": ["sex", "ethnicity", "age"], "progress": False}
ROWS = {"train": 3_000, "holdout": 1_500, "made": 2_400}


@pytest.fixture(scope="module")
def tables():
    """Loans with a date, a number that never repeats, missing values, faults and copies."""
    rng = np.random.default_rng(0)
    parts = {}
    for seed, (name, rows) in enumerate(ROWS.items()):
        table = applicants(rows, seed=seed)
        table["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D")
        table["score"] = rng.normal(size=rows)
        table.loc[rng.random(rows) < 0.05, "debt"] = np.nan
        # As common in a sample as in all rows, so that both are read alike.
        table["late_payments"] = table["late_payments"].clip(upper=5)
        parts[name] = table
    made = parts["made"]
    made["income"] *= 1.1
    made.loc[::40, "region"] = "nowhere"
    made.iloc[:60] = parts["train"].iloc[100:160].to_numpy()
    return {name: table.infer_objects() for name, table in parts.items()}


def write(tables, folder, form):
    """The three tables as files, or folders of three files each, and what a reader in memory has."""
    paths = []
    for name, table in tables.items():
        path = folder / f"{name}.{form}"
        if form == "csv":
            table.to_csv(path, index=False, sep=";", decimal=",")
        else:
            path.mkdir()
            for k, rows in enumerate(np.array_split(np.arange(len(table)), 3)):
                table.iloc[rows].to_parquet(path / f"part{k}.parquet", index=False)
        paths.append(path)
    return paths, [read_table(path) for path in paths] if form == "csv" else list(tables.values())


def are_the_copies(told):
    """Whether a finding names rows with their originals, which stand 100 rows further down."""
    pairs = re.findall(r"(\d+) \((\d+)\)", told)
    return pairs and all(int(real) - int(made) == 100 for made, real in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_counts_of_all_rows_are_those_in_memory_to_the_last_digit(
    tables, tmp_path, monkeypatch, form
):
    paths, whole = write(tables, tmp_path, form)
    monkeypatch.setattr(batches, "BATCH", 700)
    here = audit(*whole, **ASKED)
    files = audit_files(*paths, sample=1_000, workers=1, **ASKED)
    assert {f.id for f in here if f.metric in COUNTED} == {
        f.id for f in files if f.metric in COUNTED
    }
    fields = ["estimate", "low", "high", "reference", "null", "p", "n", "margin", "method"]
    for one in here:
        if one.metric in COUNTED:
            two = files[one.id]
            for field in fields:
                np.testing.assert_equal(getattr(two, field), getattr(one, field), err_msg=one.id)
    assert files["levels[region]"].verdict == "fail"
    assert files["verbatim_people[whole rows]"].verdict == "fail"
    assert files["verbatim_people[whole rows]"].n == 60
    assert are_the_copies(files["verbatim_people[whole rows]"].method)
    assert files.about["rows"] == {"train": 3_000, "holdout": 1_500, "synthetic": 2_400}
    assert any(
        "All 3,000 training, 1,500 holdout and 2,400 synthetic" in note for note in files.notes
    )


@pytest.mark.parametrize("names", [["age"], ["age", "sex"], None])
def test_many_counts_are_those_that_are_made_one_by_one(tables, names):
    """Also of one column, which has no pairs, and where pairs are not asked for."""
    made = tables["made"][names or list(tables["made"])]
    prepared = prepare(made, made, made)
    columns = {name: each.synthetic for name, each in prepared.values.items()}
    rows, questions = Rows(prepared.questions, columns), prepared.questions
    for pairs in (True, False):
        keys = [*questions.keys(pairs), *(questions.keys_by_rank() if pairs else ())]
        found = rows.counts(keys)
        assert list(found) and set(found) == set(keys)
        for key in keys:
            np.testing.assert_array_equal(found[key], rows.count(key))
    assert rows.counts([]) == {}


@pytest.mark.slow
def test_without_a_holdout_all_real_rows_are_counted(tables, tmp_path):
    paths, whole = write(tables, tmp_path, "csv")
    report = audit_files(paths[0], None, paths[2], sample=500, workers=1, **ASKED)
    found = report["label_rate[sex = female]"]
    real = whole[0][whole[0]["sex"] == "female"]["approved"].mean()
    made = whole[2][whole[2]["sex"] == "female"]["approved"].mean()
    assert found.estimate == pytest.approx(made - real)
    assert report["exact_copies[whole rows]"].verdict == "not testable"
    assert report["verbatim_people[whole rows]"].verdict == "fail"


@pytest.mark.slow
def test_copies_are_found_among_few_of_many_rows(tables, tmp_path, monkeypatch):
    """Rows are kept by what they hold, so that a row and its copy are both kept or both left out."""
    paths, _ = write(tables, tmp_path, "csv")
    monkeypatch.setattr(large, "HASHED", 600)  # a fifth
    found = audit_files(*paths, sample=200, workers=1, **ASKED)["verbatim_people[whole rows]"]
    assert found.verdict == "fail"
    assert 3 <= found.n <= 25  # 12 expected of 60
    assert are_the_copies(found.method)


def test_the_sample_is_the_same_whatever_the_batches(tables, tmp_path, monkeypatch):
    paths, whole = write(tables, tmp_path, "csv")
    (part,) = parts_of(paths[0])
    drawn = []
    for rows in (97, 10_000):
        monkeypatch.setattr(batches, "BATCH", rows)
        drawn.append(sampled(part, 250, seed=(7,)))
    assert (drawn[0].places == drawn[1].places).all()
    assert (drawn[0].table["income"] == whole[0]["income"].iloc[drawn[0].places].to_numpy()).all()
    assert sampled(part, 250, seed=(8,)).places.tolist() != drawn[0].places.tolist()
    shares = [np.histogram(sampled(part, 1_000, (s,)).places, 3, (0, 3_000))[0] for s in range(20)]
    assert np.abs(np.mean(shares, axis=0) - 1_000 / 3).max() < 15  # sd of a mean: 3.3


def test_quantiles_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    for values in (
        rng.normal(size=1_001),
        rng.poisson(1, 1_000),
        np.append(rng.random(99), np.nan),
    ):
        values = np.asarray(values, float)
        sketch = Quantiles.sum(Quantiles.of(part) for part in np.array_split(values, 7))
        at = rng.random(50)
        finite = values[np.isfinite(values)]
        np.testing.assert_array_equal(sketch.at(at), np.quantile(finite, at))
        np.testing.assert_array_equal(sketch.lower(at), np.quantile(finite, at, method="lower"))
        np.testing.assert_array_equal(
            sketch.below(np.array([0.5, 1.0])), [(finite < 0.5).sum(), (finite < 1).sum()]
        )


def test_more_values_than_are_kept_cost_little_accuracy(monkeypatch):
    monkeypatch.setattr(quantiles, "MOST", 1_000)
    values = np.random.default_rng(0).exponential(size=50_000)
    values[:5_000] = 0.0  # a value that many have stays
    sketch = Quantiles.sum(Quantiles.of(part) for part in np.array_split(values, 50))
    assert len(sketch.values) <= 1_000
    assert sketch.rows == 50_000
    at = np.linspace(0.01, 0.99, 99)
    reached = np.searchsorted(np.sort(values), sketch.lower(at), "right") / 50_000
    assert np.abs(reached - at)[at > 0.1].max() < 0.01
    assert sketch.values[0] == 0
    assert sketch.values[-1] == values.max()


@pytest.mark.slow
def test_several_processes_and_a_cluster_give_the_same(tables, tmp_path):
    import distributed

    paths, _ = write(tables, tmp_path, "parquet")
    asked = ASKED | {"sample": 300}
    alone = audit_files(*paths, workers=1, **asked)
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        by_address = audit_files(*paths, cluster=client, **asked)
    for other in (audit_files(*paths, workers=2, **asked), by_address):
        assert json.dumps([f.as_dict() for f in other], default=str) == json.dumps(
            [f.as_dict() for f in alone], default=str
        )


def test_rows_of_one_person_are_told(tmp_path):
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(100), 10)
    table = pd.DataFrame({"patient_id": patient, "sex": patient % 2, "x": rng.normal(size=1_000)})
    for name in ("real", "made"):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    report = audit_files(
        tmp_path / "real.csv", None, tmp_path / "made.csv", workers=1, sample=200, progress=False
    )
    assert any("'patient_id'" in note and "independent" in note for note in report.notes)


@pytest.mark.slow
def test_the_command_reads_folders_and_large_files(tables, tmp_path, capsys):
    paths, _ = write(tables, tmp_path, "parquet")
    command = ["audit", str(paths[0]), str(paths[2]), "--holdout", str(paths[1]), "--quiet"]
    command += ["--label", "approved", "--sample", "300", "--workers", "1"]
    assert main([*command, "--json", str(tmp_path / "report.json")]) == 1
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["about"]["rows"]["synthetic"] == ROWS["made"]
    assert told["about"]["sample"]["synthetic"] == 300
    assert len(told["about"]["files"]["synthetic"]["sha256"]) == 64
    assert main([*command, "--entity", "region"]) == 2
    assert "--entity needs the rows in memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no CSV and no Parquet"),
        ({"a.csv": "x\n1\n", "b.parquet": ""}, "holds both"),
        ({"a.parquet": "no table"}, "cannot be read as Parquet"),
        ({"a.csv": ""}, "is empty"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_read_is_refused_in_words(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(AuditError, match=message):
        audit_files(tmp_path, None, tmp_path, progress=False, workers=1)


def test_settings_that_cannot_be_are_refused_in_words(tables, tmp_path):
    paths, _ = write(tables, tmp_path, "csv")
    for settings, message in (({"sample": 5}, "at least 100"), ({"workers": 0}, "at least one")):
        with pytest.raises(AuditError, match=message):
            audit_files(*paths, **ASKED, **settings)


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_told(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "PATIENCE", "1s")
    paths, _ = write(tables, tmp_path, "csv")
    with pytest.raises(AuditError, match="No Dask scheduler"):
        audit_files(*paths, cluster="tcp://127.0.0.1:9", progress=False)
