"""What the audit makes of odd input: how columns and files are read, and what it says about it."""

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, audit, entry_points
from course_lib.audit.checks import structure
from course_lib.audit.files import read_table
from course_lib.audit.reading import as_dates, as_numbers
from course_lib.audit.schema import infer
from course_lib.audit.table import prepare


def people(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    return pd.DataFrame(
        {
            "sex": rng.choice(["female", "male"], n),
            "age": age,
            "income": np.round(rng.lognormal(10, 0.6, n), 2),
            "approved": np.where(rng.random(n) < 0.2 + age / 200, "yes", "no"),
        }
    )


def files(tmp_path, change, n=500, **options):
    """Two tables of one distribution as files, each changed: real and synthetic."""
    paths = []
    for seed, part in enumerate(("real", "synthetic")):
        table = people(n, seed)
        text = change(table, part)
        if isinstance(text, pd.DataFrame):
            text = text.to_csv(index=False, **options)
        path = tmp_path / f"{part}.csv"
        path.write_text(text)
        paths.append(path)
    return paths


def audited(paths, **options):
    return audit(read_table(paths[0]), None, read_table(paths[1]), progress=False, **options)


def harm(report):
    return {finding.id for finding in report if finding.verdict in ("fail", "warn")}


# --- numbers -----------------------------------------------------------------------------------

WRITTEN = {
    "decimal commas": lambda x: f"{x:.2f}".replace(".", ","),
    "thousands separated by commas": lambda x: f"{x:,.2f}",
    "thousands separated by points": lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,")),
    "thousands separated by spaces": lambda x: f"{x:,.2f}".replace(",", " "),
    "thousands separated by no-break spaces": lambda x: f"{x:,.2f}".replace(",", "\u00a0"),
    "apostrophes": lambda x: f"{x:,.2f}".replace(",", "'"),
    "whole thousands": lambda x: f"{x:,.0f}",
    "percent": lambda x: f"{x / 1000:.2f}%",
    "euros": lambda x: f"{x:,.2f} €",
    "dollars": lambda x: f"${x:,.2f}",
}


@pytest.fixture(scope="module")
def by_chance(tmp_path_factory):
    """What is found in the same tables with plain numbers, of no digits after the point or of two."""
    return {
        digits: harm(
            audited(
                files(
                    tmp_path_factory.mktemp("plain"),
                    lambda table, _, k=digits: table.assign(income=table["income"].round(k)),
                )
            )
        )
        for digits in (0, 2)
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
def test_numbers_are_read_however_they_are_written(tmp_path, name, by_chance):
    def change(table, part, factor=1):
        scale = factor if part == "synthetic" else 1
        return table.assign(income=[WRITTEN[name](x * scale) for x in table["income"]])

    same = audited(files(tmp_path, change))
    assert harm(same) <= by_chance[0 if name == "whole thousands" else 2]
    assert same["read_as[income]"].method.startswith("number (written with")
    assert {c.name: c.kind for c in same.schema.columns}["income"] == "number"
    far = audited(files(tmp_path, lambda table, part: change(table, part, 3)))
    assert far["kolmogorov_smirnov[income]"].verdict == "fail"
    assert far["kolmogorov_smirnov[income]"].estimate > 0.5


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["1,234", "950", "12,000"], [1234, 950, 12000]),
        (["0,125", "1,500", "0,250"], [0.125, 1.5, 0.25]),
        (["1.234,50", "31"], [1234.5, 31]),
        (["1'234.5", "31"], [1234.5, 31]),
        (["9.05%", "12 %"], [0.0905, 0.12]),
        (["-1,5", "+2,25", "3,0e3"], [-1.5, 2.25, 3000]),
        (["1.5", "?", "2.5", "n/a"], [1.5, np.nan, 2.5, np.nan]),
    ],
)
def test_a_format_is_judged_from_the_whole_column(words, values):
    np.testing.assert_allclose(as_numbers(pd.Series(words)).values, values)


@pytest.mark.parametrize("words", [["a", "b", "12"], ["12a", "13b", "14c", "15"], ["1-2", "3-4"]])
def test_words_stay_words(words):
    assert as_numbers(pd.Series(words * 10)) is None


@pytest.mark.parametrize("marker", ["?", "-", "n.k.", "not asked"])
def test_a_marker_of_missing_values_does_not_make_a_number_a_category(tmp_path, marker):
    def change(table, part):
        hole = np.random.default_rng(7).random(len(table)) < 0.08
        return table.assign(income=np.where(hole, marker, table["income"].astype(str)))

    report = audited(files(tmp_path, change))
    assert not harm(report)
    assert f"values say '{marker}' and are counted as missing" in report["read_as[income]"].method
    assert report["missing_rate[income]"].n == 500


def test_files_that_write_numbers_in_two_ways_are_aligned_and_told(tmp_path):
    def change(table, part):
        comma = table["income"].map(WRITTEN["decimal commas"])
        return table.assign(income=comma) if part == "synthetic" else table

    report = audited(files(tmp_path, change))
    assert harm(report) == {"coding[income]"}
    assert "decimal commas" in report["coding[income]"].method


# --- identifiers, codes, dates -------------------------------------------------------------------


def test_a_name_that_ends_in_id_by_chance_is_no_identifier(tmp_path):
    def change(table, part, factor=1):
        paid = np.random.default_rng(len(part)).permutation(10**6)[: len(table)]
        return table.assign(amount_paid=paid * (factor if part == "synthetic" else 1))

    paths = files(tmp_path, lambda table, part: change(table, part, 3))
    assert audited(paths)["kolmogorov_smirnov[amount_paid]"].verdict == "fail"


@pytest.mark.parametrize("name", ["id", "patient_id", "customerId", "ID", "userid", "order key"])
def test_a_key_is_an_identifier(name):
    key = np.random.default_rng(0).permutation(10**6)[:100]
    assert infer(pd.DataFrame({name: key})).kinds() == {name: "identifier"}


@pytest.mark.parametrize("name", ["paid", "amount_paid", "covid", "valid", "bid", "humid"])
def test_other_numbers_are_not(name):
    values = np.random.default_rng(0).permutation(10**6)[:100]
    assert infer(pd.DataFrame({name: values})).kinds() == {name: "number"}


def test_the_index_that_to_csv_writes_is_left_out(tmp_path):
    paths = files(tmp_path, lambda table, part: table[: 500 if part == "real" else 300].to_csv())
    report = audited(paths)
    assert not harm(report)
    assert "numbers the rows" in report["file_read[real training]"].method
    assert report.about["columns"] == 4


def test_a_column_that_counts_the_rows_of_both_real_files_is_not_compared():
    parts = [people(n, seed).reset_index(names="row") for seed, n in enumerate((400, 200, 300))]
    report = audit(*parts, progress=False)
    assert report["read_as[row]"].verdict == "underpowered"
    assert "it counts the rows" in report["read_as[row]"].method
    assert not harm(report) - {"reused_values[row]"}


@pytest.mark.slow
def test_codes_with_leading_zeros_stay_codes(tmp_path):
    def change(table, part, lost=False, shift=0):
        rng = np.random.default_rng(len(part))
        code = rng.integers(0, 20_000, len(table)) + shift * (part == "synthetic")
        words = [f"{c:05}" for c in code]
        return table.assign(
            zip=[w.lstrip("0") if lost and part == "synthetic" else w for w in words]
        )

    same = audited(files(tmp_path, change))
    assert not harm(same)
    assert "codes of 5 digits" in same["read_as[zip]"].method
    assert "first 2 of their 5 digits" in same["grouped_codes[zip]"].method
    lost = audited(files(tmp_path, lambda table, part: change(table, part, lost=True)))
    assert harm(lost) == {"coding[zip]"}
    assert "lost leading zeros" in lost["coding[zip]"].method
    moved = audited(files(tmp_path, lambda table, part: change(table, part, shift=10_000)))
    assert moved["total_variation[zip]"].verdict == "fail"


def test_whole_numbers_that_may_be_codes_are_told():
    values = np.random.default_rng(0).integers(1000, 99_999, 200)
    (column,) = infer(pd.DataFrame({"zip": values})).columns
    assert "may be codes" in column.note


@pytest.mark.parametrize(
    ("words", "months"),
    [
        (["03/04/2020", "25/04/2020", "01/05/2020"], [4, 4, 5]),
        (["03/04/2020", "04/25/2020", "05/01/2020"], [3, 4, 5]),
        (["03.04.2020", "05.04.2020"], [4, 4]),
        (["2020-03-04", "2020-04-25"], [3, 4]),
    ],
)
def test_day_and_month_are_read_in_one_order(words, months):
    assert as_dates(pd.Series(words)).dt.month.tolist() == months


def test_an_order_that_one_file_shows_holds_for_the_other():
    real = pd.DataFrame({"day": ["03/04/2020", "25/04/2020"] * 40})
    made = pd.DataFrame({"day": ["03/04/2020", "05/04/2020"] * 40})
    report = audit(real.assign(x=1.5), None, made.assign(x=1.5), {"day": "date"}, progress=False)
    assert "median 2020-04-0" in report["kolmogorov_smirnov[day]"].method
    (column,) = infer(pd.DataFrame({"day": [f"{d:02}/04/2020" for d in range(1, 21)] * 4})).columns
    assert column.kind == "date" and "the day first" in column.note


def test_scores_such_as_1_2_are_no_dates():
    table = pd.DataFrame({"score": ["1-2", "3-1", "0-0", "2-2"] * 20})
    assert infer(table).kinds() == {"score": "category"}


# --- columns of other types ----------------------------------------------------------------------


@pytest.mark.slow
def test_lists_are_told_and_not_compared(tmp_path):
    tables = [people(200, seed) for seed in range(2)]
    for table in tables:
        table["tags"] = [["a", "b"]] * len(table)
        table["record"] = [{"a": 1}] * len(table)
        table.to_parquet(tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet")
    paths = sorted(tmp_path.iterdir())
    report = audited(paths)
    assert "Not compared: record (nested), tags (nested)." in str(report)
    for name in ("tags", "record"):
        assert report[f"read_as[{name}]"].verdict == "underpowered"
        assert "not compared" in report[f"read_as[{name}]"].method
    assert cli.main(["audit", *map(str, paths), "--label", "approved", "--quiet"]) == 0
    assert "read_as[sex]" in {f.id for f in audit(tables[0], None, tables[1].assign(sex=[["f"]] * 200),
                                                   progress=False)}  # fmt: skip


def test_lengths_of_time_periods_and_odd_names_are_read():
    def table(seed):
        days = np.random.default_rng(seed).integers(1, 300, 200)
        return pd.DataFrame(
            {
                0: pd.to_timedelta(days, "D"),
                1.5: pd.PeriodIndex(
                    pd.Timestamp("2020-01-01") + pd.to_timedelta(days, "D"), freq="D"
                ),
                "a, b": list("xy") * 100,
            }
        )

    report = audit(table(0), None, table(1), sensitive=["a, b"], progress=False)
    assert report.schema.kinds() == {"0": "number", "1.5": "date", "a, b": "category"}
    assert not harm(report)


def test_names_on_several_levels_get_a_sentence():
    table = people(100, 0)
    table.columns = pd.MultiIndex.from_product([["a"], table.columns])
    with pytest.raises(AuditError, match="2 rows of column names"):
        audit(table, None, table, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("yes", "no"), (True, False), (1, 0), ("Y", "N"), (1.0, 0.0)])
def test_yes_and_no_are_the_same_in_other_words(words):
    real, made = people(500, 0), people(500, 1)
    made["approved"] = np.where(made["approved"] == "yes", *words)
    report = audit(real, None, made, label="approved", progress=False)
    assert harm(report) <= {"coding[approved]"}
    assert ("coding[approved]" in harm(report)) == (words != ("yes", "no"))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda i: f"jane.doe{i}@example.org", "e-mail addresses"),
        (lambda i: f"+49 170 {1234567 + i}", "phone numbers"),
        (lambda i: f"DE44 5001 0517 5407 32{i % 90 + 10} 31", "IBANs"),
    ],
)
def test_personal_data_are_suspected(make, kind):
    real, made = people(200, 0), people(200, 1)
    for table, start in ((real, 0), (made, 1000)):
        table["contact"] = [make(start + i) for i in range(200)]
    report = audit(real, None, made, progress=False)
    assert kind in report["personal_data[contact]"].method


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_lines_that_end_with_a_separator_do_not_shift_the_columns(tmp_path):
    def change(table, part):
        head, *lines = table.to_csv(index=False).splitlines()
        return "\n".join([head, *(f"{line}," for line in lines), ""])

    paths = files(tmp_path, change)
    table = read_table(paths[0])
    pd.testing.assert_frame_equal(table, people(500, 0))
    report = audited(paths, label="approved")
    assert not harm(report)
    assert "ends with a separator" in report["file_read[synthetic]"].method


def test_names_of_rows_without_a_name_of_their_own_are_left_out(tmp_path):
    path = tmp_path / "r.csv"
    lines = people(100, 0).to_csv().splitlines()
    path.write_text("\n".join([lines[0].removeprefix(","), *lines[1:]]))
    pd.testing.assert_frame_equal(read_table(path), people(100, 0))


def test_the_line_that_excel_reads_is_no_header(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_text("sep=;\n" + people(100, 0).to_csv(index=False, sep=";"))
    pd.testing.assert_frame_equal(read_table(path), people(100, 0))


def test_a_header_with_another_separator_gets_a_sentence(tmp_path):
    path = tmp_path / "two.csv"
    head, *lines = people(100, 0).to_csv(index=False, sep=";").splitlines()
    path.write_text("\n".join([head.replace(";", ","), *lines]))
    with pytest.raises(AuditError, match="separated by ',', the other lines by ';'"):
        read_table(path)


def test_words_that_readers_take_for_missing_are_told(tmp_path):
    def change(table, part):
        country = np.random.default_rng(len(part)).choice(["NA", "DE", "US"], len(table))
        return table.assign(country=country)

    report = audited(files(tmp_path, change))
    assert "in 'country' the word 'NA' was read as a missing value" in str(
        [f.method for f in report if f.metric == "file_read"]
    )


# --- the holdout ---------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_a_holdout_that_the_generator_has_seen_is_found(share):
    train, holdout = people(500, 0), people(300, 1)
    seen = int(share * 300)
    holdout = pd.concat([train[:seen], holdout[seen:]], ignore_index=True)
    report = audit(train, holdout, train, progress=False)
    assert report["holdout_overlap[whole rows]"].verdict == "fail"
    assert f"{share:.1%} of the holdout rows" in report["holdout_overlap[whole rows]"].method


def test_rows_with_few_possible_values_coincide():
    draws = [people(n, seed)[["sex", "approved"]] for seed, n in enumerate((500, 300, 500))]
    assert audit(*draws, progress=False)["holdout_overlap[whole rows]"].verdict == "pass"
    assert not [f for f in audit(draws[0], None, draws[2], progress=False) if "overlap" in f.metric]


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_few_possible_values_are_no_overlap(seed):
    """Of 2,000 rows of 13 coins many equal one of the holdout, by chance alone."""
    rng = np.random.default_rng(seed)
    coins = [pd.DataFrame(rng.integers(0, 2, (n, 13))).add_prefix("c") for n in (2000, 1000, 2000)]
    draft = structure._overlap(prepare(*coins))
    assert draft.finding.verdict == "pass", draft.finding.method
    coins[1].iloc[:300] = coins[0].iloc[:300]
    assert structure._overlap(prepare(*coins)).finding.verdict == "fail"


def test_a_panel_of_repeated_rows_is_no_overlap():
    # Each row ten times, in one of the two files: the twins are within the files.
    train, holdout = (people(n, seed) for seed, n in ((0, 50), (1, 30)))
    train, holdout = (pd.concat([part] * 10, ignore_index=True) for part in (train, holdout))
    report = audit(train, holdout, people(300, 2), progress=False)
    assert report["holdout_overlap[whole rows]"].verdict == "pass"


# --- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--margin", "label_rate=nan"], "label_rate=nan must be a number above 0"),
        (["--margin", "label_rate=inf"], "label_rate=inf must be a number above 0"),
        (["--margin", "label_rate=-1"], "label_rate=-1.0 must be a number above 0"),
        (["--seed", "-3"], "--seed -3 must be a whole number, 0 or larger"),
    ],
)
def test_bad_settings_get_a_sentence(tmp_path, capsys, extra, says):
    paths = files(tmp_path, lambda table, part: table, n=50)
    assert cli.main(["audit", *map(str, paths), "--quiet", *extra]) == 2
    assert says in capsys.readouterr().err


def test_a_fault_of_the_audit_itself_exits_3(tmp_path, capsys, monkeypatch):
    def broken(*args, **options):
        raise TypeError("unhashable type: 'list'")

    monkeypatch.setattr(entry_points, "prepare", broken)
    paths = files(tmp_path, lambda table, part: table, n=50)
    assert cli.main(["audit", *map(str, paths), "--quiet"]) == 3
    said = capsys.readouterr().err
    assert "fault in the audit itself" in said and "TypeError: unhashable type" in said


def test_a_name_with_a_comma_is_quoted(tmp_path):
    paths = files(tmp_path, lambda table, part: table.rename(columns={"sex": "sex, as told"}))
    asked = ["--sensitive", '"sex, as told",approved', "--schema", '"sex, as told=category"']
    assert cli.main(["audit", *map(str, paths), "--quiet", *asked]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["real.csv"], "synthetic"),
        (["real.csv", "made.csv", "--seed", "x"], "--seed"),
        (["real.csv", "made.csv", "--colour", "red"], "no option --colour"),
    ],
)
def test_a_mistake_in_the_call_is_told_in_a_sentence(capsys, arguments, words):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["audit", *arguments])
    first, second = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2
    assert words in first and second == "All options: course-lib audit --help"


@pytest.mark.parametrize("more", [[], ["--sample", "50", "--cluster", "tcp://nowhere:1"]])
def test_processes_without_batches_are_refused(tmp_path, capsys, more):
    path = tmp_path / "real.csv"
    pd.DataFrame({"x": range(40)}).to_csv(path, index=False)
    assert cli.main(["audit", str(path), str(path), "--workers", "2", *more]) == 2
    assert "--workers has no effect" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "words"), [("--entity=x", "one row of each person"), ("--nearest=2", "of a part")]
)
def test_what_needs_rows_in_memory_says_what_to_do(tmp_path, capsys, option, words):
    path = tmp_path / "real.csv"
    pd.DataFrame({"x": range(40)}).to_csv(path, index=False)
    assert cli.main(["audit", str(path), str(path), "--sample", "50", option]) == 2
    assert words in capsys.readouterr().err
