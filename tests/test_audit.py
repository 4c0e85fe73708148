"""The audit on tables and arrays: what it finds, what it lets pass, and what it says to bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, AuditReport, Modes, audit, audit_arrays, corruptions
from course_lib.audit.files import read_table
from course_lib.audit.schema import infer
from course_lib.datasets.loans import applicants

SENSITIVE = ["sex", "ethnicity"]
DRUSAMI_WOMEN = {"sex": "female", "ethnicity": "Drusami"}


def draws(n=2000, seed=0):
    """Training, holdout and synthetic rows, all of one distribution."""
    sizes = (n, n // 2, n)
    return [applicants(rows, seed=100 * seed + i) for i, rows in enumerate(sizes)]


def loans_audit(train, holdout, synthetic, **options):
    options = {"label": "approved", "sensitive": SENSITIVE, "progress": False, **options}
    return audit(train, holdout, synthetic, **options)


def significant(report):
    return {finding.id for finding in report if finding.q is not None and finding.q < 0.05}


@pytest.fixture(scope="module")
def clean():
    return loans_audit(*draws())


# --- truth -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_distribution_gives_no_findings():
    # At most 7 % of audits may have one: 3 of 10 or more would happen in 3 % of cases at that rate.
    # The whole study, 200 draws, is benchmarks/audit.py.
    assert sum(bool(significant(loans_audit(*draws(seed=seed)))) for seed in range(10, 20)) < 3


PLANTED = {
    "labels of women halved": (
        lambda table, train: corruptions.scale_labels(table, "approved", {"sex": "female"}),
        "label_rate[sex = female]",
    ),
    "an intersection erased": (
        lambda table, train: corruptions.erase_group(table, DRUSAMI_WOMEN),
        "group_share[sex = female & ethnicity = Drusami]",
    ),
    "tails cut": (
        lambda table, train: corruptions.cut_tails(table, "income", 0.01),
        "tail_reach[income, high]",
    ),
    "a correlation broken": (
        lambda table, train: corruptions.break_correlation(table, "income"),
        "pair_total_variation[income & debt]",
    ),
    "a category invented": (
        lambda table, train: corruptions.invent_category(table, "region", share=0.01),
        "levels[region]",
    ),
    "another unit": (
        lambda table, train: corruptions.change_unit(table, "amount", 1.25),
        "kolmogorov_smirnov[amount]",
    ),
    "training rows copied": (
        lambda table, train: corruptions.copy_training(table, train, 0.05),
        "exact_copies[whole rows]",
    ),
    "training rows nearly copied": (
        lambda table, train: corruptions.copy_training(table, train, 0.05, noise=0.05),
        "membership_tpr[whole rows]",
    ),
    "a mode dropped": (
        lambda table, train: corruptions.drop_modes(table, "income", 1),
        "kolmogorov_smirnov[income]",
    ),
    "values rounded": (
        lambda table, train: corruptions.round_values(table, "debt", 100),
        "precision_of_digits[debt]",
    ),
    "a proxy made": (
        lambda table, train: corruptions.add_proxy(table, "region", "ethnicity"),
        "association[region with ethnicity]",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_fault_is_found(name):
    damage, expected = PLANTED[name]
    train, holdout, synthetic = draws(seed=3)
    damaged, _ = damage(synthetic, train)
    report = loans_audit(train, holdout, damaged)
    assert expected in significant(report)
    assert report[expected].verdict == "fail"


@pytest.mark.slow
def test_a_finding_says_what_was_done(clean):
    train, holdout, synthetic = draws(seed=3)
    damaged, _ = corruptions.change_unit(synthetic, "income", 12)
    report = loans_audit(train, holdout, damaged)
    assert "about 12 times" in report["kolmogorov_smirnov[income]"].method
    damaged, _ = corruptions.invent_category(synthetic, "region", "Atlantis")
    assert "invented: 'Atlantis'" in loans_audit(train, holdout, damaged)["levels[region]"].method
    assert "the same levels" in clean["levels[region]"].method


@pytest.mark.slow
def test_a_bootstrap_of_the_training_rows_is_nothing_but_copies():
    train, holdout, _ = draws()
    made = train.sample(len(train), replace=True, random_state=0)
    report = loans_audit(train, holdout, made)
    found = {finding.metric for finding in report if finding.verdict == "fail"}
    assert {"exact_copies", "distance_to_closest", "closer_to_training"} <= found
    assert {"membership_auc", "membership_tpr"} <= found
    assert report["exact_copies[whole rows]"].estimate > 0.99


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report(clean):
    assert loans_audit(*draws()).to_json() == clean.to_json()
    assert loans_audit(*draws(), seed=1).to_json() != clean.to_json()


def test_a_report_survives_its_json(clean):
    again = AuditReport.from_json(clean.to_json())
    assert again.to_json() == clean.to_json()
    assert json.loads(clean.to_json())["format"] == 1


@pytest.mark.slow
def test_too_few_rows_are_underpowered_and_never_pass():
    train, holdout, synthetic = draws(60)
    damaged, _ = corruptions.scale_labels(synthetic, "approved", {"sex": "female"}, 0.9)
    report = loans_audit(train, holdout, damaged)
    assert report["label_rate[sex = female]"].verdict == "underpowered"
    assert "utility[predicting approved]" in [finding.id for finding in report]


@pytest.mark.slow
def test_a_margin_moves_a_verdict():
    train, holdout, synthetic = draws(seed=3)
    damaged, _ = corruptions.scale_labels(synthetic, "approved", {"sex": "female"}, 0.8)
    strict = loans_audit(train, holdout, damaged)["label_rate[sex = female]"]
    mild = loans_audit(train, holdout, damaged, margins={"label_rate": 0.9})
    assert (strict.verdict, mild[strict.id].verdict) == ("fail", "warn")


def test_what_gives_the_label_away_is_left_out_and_told(clean):
    assert any("did without 'default'" in note for note in clean.notes)


@pytest.mark.slow
def test_a_spike_of_zeros_has_a_bin_of_its_own():
    rng = np.random.default_rng(0)

    def table(share):
        gain = np.where(rng.random(3000) < share, rng.lognormal(8, 1, 3000), 0)
        return pd.DataFrame({"gain": gain, "rich": (gain > 0) ^ (rng.random(3000) < 0.02)})

    train, holdout, made = table(0.06), table(0.06), table(0.06)
    made["gain"] = rng.permutation(made["gain"])
    report = audit(train, holdout, made, progress=False)
    assert "pair_total_variation[gain & rich]" in significant(report)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["income", "education", "approved"])
def test_labels_of_every_kind_have_a_utility(label):
    report = loans_audit(*draws(600), label=label)
    assert report[f"utility[predicting {label}]"].estimate is not None
    assert "utility" in {finding.family for finding in report}


# --- arrays ------------------------------------------------------------------------------------


def points(n, seed, sd=0.02):
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * rng.integers(8, size=n) / 8
    return np.stack([np.cos(angle), np.sin(angle)], 1) + sd * rng.standard_normal((n, 2))


RING = Modes(
    np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], 1), 0.02
)


@pytest.mark.slow
def test_arrays_of_one_distribution_pass_and_a_lost_mode_is_found():
    train, holdout, made = points(1000, 0), points(1000, 1), points(1000, 2)
    same = audit_arrays(train, holdout, made, modes=RING, progress=False)
    assert not significant(same)
    lost = made[RING.counts(made)[0].sum() and np.hypot(*(made - RING.centres[0]).T) > 0.2]
    report = audit_arrays(train, holdout, lost, modes=RING, progress=False)
    assert report["mode_coverage[all modes]"].verdict == "fail"
    assert "7 of 8 modes" in report["mode_coverage[all modes]"].method


def test_images_are_flattened_and_their_classes_compared():
    rng = np.random.default_rng(0)
    images = [rng.random((300, 4, 4)) for _ in range(3)]
    classes = [rng.integers(3, size=300) for _ in range(3)]
    classes[2] = np.where(classes[2] == 0, 1, classes[2])
    report = audit_arrays(*images, classes=tuple(classes), progress=False)
    assert report["group_share[class = 0]"].verdict == "fail"
    assert report.about["features"] == 16


def test_a_model_that_learnt_by_heart_is_told_by_its_likelihoods():
    rng = np.random.default_rng(0)
    train, holdout, made = (rng.normal(size=(400, 3)) for _ in range(3))
    logs = rng.normal(size=400) + 1, rng.normal(size=400), rng.normal(size=400)
    report = audit_arrays(train, holdout, made, log_likelihood=logs, progress=False)
    assert report["likelihood_gap[training rows]"].verdict == "fail"
    assert report["likelihood[synthetic rows]"].q > 0.05


@pytest.mark.parametrize(
    ("parts", "options", "says"),
    [
        ([np.zeros((50, 2)), np.zeros((50, 3)), np.zeros((50, 2))], {}, "differ in size"),
        ([np.zeros((50, 2)), np.zeros((5, 2)), np.zeros((50, 2))], {}, "holdout array has shape"),
        ([np.full((50, 2), np.nan)] * 3, {}, "NaN or infinity"),
        ([np.full((50, 2), "a")] * 3, {}, "not numbers"),
        ([pd.DataFrame({"x": range(50)})] * 3, {}, "Tables are audited by `audit`"),
        ([np.zeros((50, 2))] * 3, {"classes": (np.zeros(4),) * 3}, "one class to each row"),
        ([np.zeros((50, 2))] * 3, {"log_likelihood": (np.zeros(4),) * 3}, "one number to each row"),
    ],
)
def test_arrays_that_cannot_be_audited(parts, options, says):
    with pytest.raises(AuditError, match=says):
        audit_arrays(*parts, progress=False, **options)


@pytest.mark.parametrize("options", [{}, {"label": "y"}, {"modes": RING}, {"classes": (0, 0, 0)}])
def test_arrays_given_to_the_audit_of_tables_are_sent_to_the_other(options):
    with pytest.raises(AuditError, match="audit_arrays"):
        audit(*[np.zeros((50, 2))] * 3, progress=False, **options)
    with pytest.raises(AuditError, match="audit_arrays"):
        audit(pd.DataFrame({"x": range(50)}), None, np.zeros((50, 2)), progress=False)
    with pytest.raises(TypeError, match="unexpected keyword argument 'labels'"):
        audit(*[np.zeros((50, 2))] * 3, labels="y")


# --- bad tables ----------------------------------------------------------------------------------


def small(**columns):
    rows = {"a": np.arange(40) % 7 + 0.5 * (np.arange(40) % 3), "b": list("xyxy") * 10}
    return pd.DataFrame({**rows, **columns})


@pytest.mark.parametrize(
    ("real", "synthetic", "options", "says"),
    [
        (small(), pd.DataFrame(), {}, "synthetic data are empty"),
        (small()[:1], small(), {}, "1 row: too few to set a holdout aside"),
        (small(), small()[:1], {}, "synthetic data have 1 row;"),
        (small(), small().rename(columns={"a": "c", "b": "d"}), {}, "no column in common"),
        (small(), small(), {"label": "z"}, "no column 'z' in the real data"),
        (small(), small().drop(columns="b"), {"label": "b"}, "no column 'b' in the synthetic"),
        (small(), small(), {"sensitive": "z"}, "no column 'z'"),
        (small(), small(), {"label": "b", "positive": "q"}, "not a level of the label 'b'"),
        (small(), small(), {"label": "a", "positive": 1}, "is a number"),
        (small(), small(), {"schema": {"z": "number"}}, "schema names 'z'"),
        (small(), small(), {"schema": {"a": "integer"}}, "the kinds are"),
        (small(), small(), {"margins": {"label_rates": 1}}, "label_rate"),
        (small(), small(), {"level": 5}, "between 0 and 1"),
        (small(), [1, 2], {}, "must be a pandas DataFrame"),
        (small(c=np.nan), small(c=np.nan), {"label": "c"}, "of kind 'empty'"),
        (pd.concat([small(), small()], axis=1), small(), {}, "more than one column named 'a'"),
        (small()[["a"]].assign(a=np.nan), small(), {}, "No column can be compared"),
    ],
)
def test_tables_that_cannot_be_audited(real, synthetic, options, says):
    with pytest.raises(AuditError, match=says):
        audit(real, None, synthetic, progress=False, **options)


@pytest.mark.parametrize("rows", [20, 33])
def test_a_holdout_that_is_set_aside_has_rows_enough(rows):
    report = audit(small()[:rows], None, small(), progress=False)
    assert report.about["rows"] == {"train": rows - 10, "holdout": 10, "synthetic": 40}


def structure(report):
    return {f.id: f for f in report if f.family == "structure" or f.metric == "reused_values"}


@pytest.mark.parametrize(
    ("real", "synthetic", "id", "verdict"),
    [
        ({"c": 1}, {}, "column_missing[c]", "fail"),
        ({}, {"c": 1}, "column_new[c]", "warn"),
        ({"c": 1}, {"c": 1}, "constant[c]", "pass"),
        ({"c": np.nan}, {"c": 1}, "empty[c]", "warn"),
        ({"c": np.arange(40.0) ** 1.5}, {"c": np.nan}, "empty[c]", "fail"),
        (
            {"c": np.arange(40.0) ** 1.5},
            {"c": [np.inf] + [1.5] * 39},
            "infinite[c, synthetic]",
            "warn",
        ),
        (
            {"c": np.arange(40.0) ** 1.5},
            {"c": ["many", *map(str, range(39))]},
            "unreadable[c, synthetic]",
            "warn",
        ),
        (
            {"c": [f"id{i:03}" for i in range(40)]},
            {"c": [f"id{i + 39:03}" for i in range(40)]},
            "reused_values[c]",
            "not testable",  # running numbers meet by coincidence
        ),
        (
            {"c": [f"a note on case {i}" for i in range(40)]},
            {"c": [f"quite another note {i}" for i in range(40)]},
            "reused_values[c]",
            "not testable",
        ),
    ],
)
def test_odd_columns_are_findings(real, synthetic, id, verdict):
    report = audit(small(**real), None, small(**synthetic), progress=False)
    assert structure(report)[id].verdict == verdict


@pytest.mark.slow
def test_odd_tables_never_end_in_a_traceback():
    """Every pair of odd columns goes through, as real or as synthetic one, label or not."""
    rng = np.random.default_rng(0)
    odd = {
        "constant": 1,
        "gone": [None] * 40,
        "mostly gone": [1.5] + [np.nan] * 39,
        "infinite": [np.inf, -np.inf] * 20,
        "dates": pd.date_range("2020-01-01", periods=40).astype(str),
        "stamps": pd.date_range("2020-01-01", periods=40, tz="Europe/Berlin"),
        "mixed": [1, "two", 3.0, None] * 10,
        "words": [f"w{i}" for i in range(40)],
        "bools": rng.random(40) < 0.5,
        "nullable": pd.array([True, None] * 20, dtype="boolean"),
        "whole": pd.array([1, None, 3, 4] * 10, dtype="Int64"),
        "levels": pd.Categorical(["p", "q"] * 20),
        "numbers": rng.normal(size=40),
    }
    numbers = small(c=odd["numbers"])
    for values in odd.values():
        column = small(c=values)
        for real, synthetic in ((column, column), (column, numbers), (numbers, column)):
            for options in ({}, {"label": "b", "sensitive": ["b"]}):
                assert audit(real, None, synthetic, progress=False, **options).findings


def test_kinds_are_inferred():
    table = small(
        whole=np.arange(40) * 13 % 29,
        name=[f"n{i}" for i in range(40)],
        note=[f"it was {i} days ago" for i in range(40)],
        day=pd.date_range("2020-01-01", periods=40).strftime("%d.%m.%Y"),
        text_number=[str(i * 1.5) for i in range(40)],
        none=np.nan,
    )
    assert infer(table).kinds() == {
        "a": "number",
        "b": "category",
        "whole": "number",
        "name": "identifier",
        "note": "text",
        "day": "date",
        "text_number": "number",
        "none": "empty",
    }


def test_the_inferred_schema_is_printed(capsys):
    audit(small(), None, small())
    assert "Schema" in capsys.readouterr().out
    audit(small(), None, small(), schema={"a": "number"})
    assert "Schema" not in capsys.readouterr().out


# --- files and the command ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    train, holdout, synthetic = draws(800)
    train.to_csv(folder / "real.csv", index=False)
    holdout.to_csv(folder / "holdout.csv.gz", index=False)
    synthetic.to_parquet(folder / "same.parquet")
    damaged, _ = corruptions.scale_labels(synthetic, "approved", {"sex": "female"}, 0.4)
    damaged.to_csv(folder / "damaged.csv", index=False, sep=";", encoding="utf-16")
    return folder


def command(folder, synthetic, *options):
    call = ["audit", str(folder / "real.csv"), str(folder / synthetic), "--quiet"]
    return cli.main([*call, "--label", "approved", "--sensitive", "sex,ethnicity", *options])


@pytest.mark.slow
def test_the_command_ends_with_0_on_a_clean_table(files, capsys):
    assert command(files, "same.parquet", "--holdout", str(files / "holdout.csv.gz")) == 0
    assert " 0 fail" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_ends_with_1_on_findings_and_writes_the_report(files, tmp_path, capsys):
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    assert command(files, "damaged.csv", "--html", str(page), "--json", str(data)) == 1
    assert "fail bias: label_rate[" in capsys.readouterr().out
    assert "label_rate" in page.read_text(encoding="utf-8")
    report = AuditReport.from_json(data.read_text(encoding="utf-8"))
    assert report.verdict == "fail"
    assert command(files, "damaged.csv", "--fail-on", "never") == 0
    assert any("were set aside" in note for note in report.notes)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"a,b\n", "0 rows"),
        (b"a,a\n1,2\n", "names 'a' more than once"),
        (b'a,b\n1,2\n1,2,3,4\n"', "cannot be read as a table"),
        (b"PK\x03\x04\x00\x00\x00", "not a text file"),
        (b"\x1f\x8b\x08broken", "damaged .gz"),
        (None, "There is no file"),
    ],
)
def test_files_that_cannot_be_read(files, tmp_path, capsys, content, says):
    file = tmp_path / "odd.csv"
    if content is not None:
        file.write_bytes(content)
    assert cli.main(["audit", str(files / "real.csv"), str(file), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--label", "aproved"], "no column 'aproved'"),
        (["--schema", "age"], "--schema wants names and values"),
        (["--margin", "label_rate=much"], "'much' is not a number"),
        (["--margin", "label=1"], "label_rate"),
        (["--html", "nowhere/report.html"], "no folder"),
    ],
)
def test_bad_calls_end_with_2(files, capsys, options, says):
    call = ["audit", str(files / "real.csv"), str(files / "same.parquet"), "--quiet", *options]
    assert cli.main(call) == 2
    assert says in capsys.readouterr().err


def test_a_damaged_parquet_file_and_a_folder_are_named(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(AuditError, match="cannot be read as Parquet"):
        read_table(tmp_path / "t.parquet")
    with pytest.raises(AuditError, match="is a folder"):
        read_table(tmp_path)


def test_files_from_elsewhere_are_read(tmp_path):
    table = pd.DataFrame({"name": ["Zoë", "Åsa"], "b": [1.5, 2.5]})
    for encoding, separator in (("utf-8-sig", ","), ("cp1252", ";"), ("utf-16", "\t")):
        table.to_csv(tmp_path / "t.csv", index=False, encoding=encoding, sep=separator)
        pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), table)
