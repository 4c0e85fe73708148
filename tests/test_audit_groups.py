"""Groups that the user sets: bands of a number, and triples of sensitive columns."""

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, audit
from course_lib.audit.files import read_table
from course_lib.audit.table import prepare
from course_lib.datasets.loans import applicants

ASKED = ["sex", "age", "region"]


def people(n, seed):
    return applicants(n, seed=seed)[["age", "sex", "region", "income", "approved"]]


def groups(**options):
    tables = prepare(people(900, 0), people(500, 1), people(900, 2), **options)
    return tables.groups | {name: None for names in tables.small_groups.values() for name in names}


def test_a_number_has_the_bands_that_were_asked_for():
    found = groups(sensitive=["age"], bands={"age": (30, 65)})
    named = [name for name, group in found.items() if group is not None]
    assert named == ["age < 30", "30 <= age < 65", "age >= 65"]
    age = np.concatenate([people(900, 0)["age"], people(500, 1)["age"]])
    assert (found["30 <= age < 65"].real == ((age >= 30) & (age < 65))).all()


def test_without_bands_it_has_quarters():
    assert len(groups(sensitive=["age"])) == 4


def test_triples_are_compared_on_request():
    two, three = (groups(sensitive=ASKED, groups_of=k) for k in (2, 3))
    more = set(three) - set(two)
    assert more and all(name.count(" & ") == 2 for name in more)
    name, group = next((n, g) for n, g in three.items() if n.count(" & ") == 2 and g)
    assert group.columns == ("sex", "age", "region")
    singles = [three[level].real for level in name.split(" & ")]
    assert (group.real == np.logical_and.reduce(singles)).all()
    assert not any(" & " in name for name in groups(sensitive=ASKED, groups_of=1))


@pytest.mark.slow
def test_a_harm_to_a_triple_is_found_where_triples_are_asked_for():
    tables = [people(n, seed) for n, seed in ((6000, 0), (3000, 1), (6000, 2))]
    made = tables[2]
    place = made["region"].value_counts().index[0]
    hit = (made["sex"] == "female") & (made["age"] < 30) & (made["region"] == place)
    tables[2] = made.assign(approved=made["approved"] & ~hit)
    report = audit(
        *tables,
        label="approved",
        sensitive=ASKED,
        bands={"age": [30, 50]},
        groups_of=3,
        progress=False,
    )
    name = f"label_rate[sex = female & age < 30 & region = {place}]"
    assert report[name].verdict == "fail"
    line = next(line for line in str(report).splitlines() if "fail bias" in line)
    assert name in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bands": {"age": [65, 30]}}, "numbers that rise"),
        ({"bands": {"age": [30, 30]}}, "numbers that rise"),
        ({"bands": {"age": []}}, "numbers that rise"),
        ({"bands": {"age": [30, np.inf]}}, "numbers that rise"),
        ({"bands": {"age": [200, 300]}}, "All real rows lie on one side"),
        ({"bands": {"age": [-1]}}, "name a number between them"),
        ({"bands": {"sex": [1]}}, "has levels already"),
        ({"bands": {"income": [1]}}, "not one of the sensitive"),
        ({"groups_of": 4}, "1, 2 or 3"),
    ],
)
def test_what_cannot_be_a_group_is_refused(options, words):
    tables = people(100, 0), people(100, 1), people(100, 2)
    with pytest.raises(AuditError, match=words):
        audit(*tables, sensitive=["sex", "age"], progress=False, **options)


def test_the_command_takes_bands_of_several_columns(tmp_path, capsys):
    for name, seed in (("real", 0), ("made", 1)):
        people(300, seed).to_feather(tmp_path / f"{name}.feather")
    files = [str(tmp_path / f"{name}.feather") for name in ("real", "made")]
    asked = [
        "--sensitive",
        "age,income",
        "--groups-of",
        "1",
        "--quiet",
        "--json",
        str(tmp_path / "o.json"),
    ]
    status = cli.main(["audit", *files, *asked, "--bands", "age=40", "--bands", "income=1e4, 3e4"])
    assert status == 0, capsys.readouterr()
    text = (tmp_path / "o.json").read_text()
    assert "age < 40" in text and "10000 <= income < 30000" in text and "age < 40 &" not in text


@pytest.mark.parametrize(
    ("bands", "words"),
    [("age", "as in --bands age=18,30,65"), ("age=a", "--bands age=a: 'a' is not")],
)
def test_bands_that_are_not_understood_are_told(tmp_path, capsys, bands, words):
    people(100, 0).to_csv(tmp_path / "a.csv", index=False)
    file = str(tmp_path / "a.csv")
    assert cli.main(["audit", file, file, "--sensitive", "age", "--bands", bands]) == 2
    assert words in capsys.readouterr().err


def numbered(table):
    return table.set_axis(range(table.shape[1]), axis=1)


def test_names_that_are_numbers_may_be_given_as_numbers():
    tables = [numbered(people(200, seed)) for seed in range(3)]
    report = audit(*tables, {0: "number"}, label=4, sensitive=1, aux=[0], progress=False)
    assert report.about["label"] == "4" and report["group_share[1 = female]"]


@pytest.mark.parametrize("kind", ["struct", "list"])
def test_nested_columns_of_arrow_are_told_as_not_compared(kind):
    pa = pytest.importorskip("pyarrow")
    types = {"struct": pa.struct([("a", pa.int64())]), "list": pa.list_(pa.int64())}
    values = {"struct": {"a": 1}, "list": [1, 2]}

    def with_nested(table):
        nested = pd.Series([values[kind]] * len(table), dtype=pd.ArrowDtype(types[kind]))
        return table.assign(nested=nested)

    report = audit(*(with_nested(people(100, seed)) for seed in range(3)), progress=False)
    assert report["read_as[nested]"].verdict == "underpowered"


@pytest.mark.parametrize("form", ["file", "stream"])
def test_arrow_files_and_streams_are_read(tmp_path, form):
    pa = pytest.importorskip("pyarrow")
    table = pa.Table.from_pandas(people(30, 0))
    path = tmp_path / "made.arrow"
    with pa.OSFile(str(path), "wb") as sink:
        new = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
        with new(sink, table.schema) as writer:
            writer.write_table(table)
    assert read_table(path)["age"].tolist() == people(30, 0)["age"].tolist()
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(AuditError, match="cannot be read as an Arrow file"):
        read_table(path)
