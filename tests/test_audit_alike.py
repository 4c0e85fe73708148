"""Files that write the same values, names and rows in other ways: what is read, and what is told."""

import numpy as np
import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, audit
from course_lib.audit.alike import same_levels
from course_lib.audit.files import read_table
from course_lib.audit.reading import as_dates, as_numbers, code_width
from course_lib.audit.schema import infer, names_a_key
from course_lib.audit.table import positive_level, prepare
from course_lib.audit.values import Values, read_levels


def people(n, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sex": rng.choice(["female", "male"], n),
            "income": np.round(rng.lognormal(10, 0.6, n), 2),
        }
    )


def told(*tables, **options):
    """What the structure's findings say, by their names."""
    train, holdout, made = tables
    return {
        each.finding.id: each.finding for each in prepare(train, holdout, made, **options).drafts
    }


# --- numbers and times -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "values", "way"),
    [
        (["(1,200)", "$5", "$(3.50)", "-$7"], [-1200, 5, -3.5, -7], "parentheses"),
        (["5.5-", "3"], [-5.5, 3], "behind the number"),
        (["−5", "3"], [-5, 3], "no hyphen"),
        (["1’234.5", "31"], [1234.5, 31], "apostrophes"),
        (["12,34,567", "1,234"], [1234567, 1234], "commas between thousands"),
        (["12 kg", "3.5kg", "7"], [12, 3.5, 7], "the unit kg"),
        (["1 room", "3 rooms"], [1, 3], "the unit room"),
        (["12,5 km/h", "3 km/h"], [12.5, 3], "km/h"),
        (["USD 1,200.50", "USD 5"], [1200.5, 5], "the unit USD"),
        (["R$ 1.200,00", "R$ 5,00"], [1200, 5], "R$"),
        (["1.5k", "2M", "7"], [1500, 2e6, 7], "k for thousand"),
        (["13:30", "2:15"], [13.5, 2.25], "hours"),
        (["1:30 pm", "12:00 AM"], [13.5, 0], "hours"),
        (["1 days 02:00:00", "0 days 00:30:00"], [26, 0.5], "hours"),
        (["1h 30m", "45m"], [1.5, 0.75], "hours"),
        (["P1DT2H", "PT30M"], [26, 0.5], "hours"),
    ],
)
def test_numbers_with_units_and_times_are_read(words, values, way):
    numbers = as_numbers(pd.Series(words))
    np.testing.assert_allclose(numbers.values, values)
    assert way in str(numbers.format)
    np.testing.assert_allclose(numbers.format.numbers(pd.Series(words)), values)  # as in batches


@pytest.mark.parametrize(
    "words",
    [
        ["1st", "2nd", "3rd"],
        ["A12", "B7"],
        ["city9", "city10"],
        ["5'11", "6'2"],
        ["12a", "13b", "14", "15c"],
        ["120/80", "130/85"],
        ["18-25", "26-35"],
        ["3 Jan", "4 Feb"],
        ["1.1.2", "1.2.1"],
    ],
)
def test_words_with_digits_stay_words(words):
    assert infer(pd.DataFrame({"x": words * 20})).kinds() == {"x": "category"}


def test_a_few_words_in_another_way_are_read_too():
    """Commas between thousands in 2 % of the rows, that are above a thousand."""
    words = [str(i) for i in range(900, 998)] + ["1,020", "1,500"]
    assert as_numbers(pd.Series(words)).values[-2:].tolist() == [1020, 1500]


def test_a_comma_that_may_be_either_is_read_as_the_other_file_tells():
    rng = np.random.default_rng(0)
    real, made = ([f"{x:.3f}" for x in rng.normal(25, 2, 200)] for _ in range(2))
    comma = [word.replace(".", ",") for word in real]
    numbers = [pd.DataFrame({"x": each}) for each in (comma, made)]
    tables = prepare(numbers[0][:150], numbers[0][150:], numbers[1])
    assert 20 < tables.values["x"].real.mean() < 30
    assert (
        "decimal commas" in told(numbers[0][:150], numbers[0][150:], numbers[1])["coding[x]"].method
    )


def test_a_number_for_what_is_not_known_is_suspected():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(300) < 0.1, -999, rng.normal(50, 9, 300).round(1))
    table = pd.DataFrame({"x": values})
    assert "real values are -999" in told(table[:200], table[200:], table)["read_as[x]"].method
    table = pd.DataFrame({"x": rng.normal(50, 9, 300).round(1)})
    assert "not known" not in told(table[:200], table[200:], table)["read_as[x]"].method


# --- dates, keys and codes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["14-Aug-20", "02-May-19"], ["01/2020", "12/2019"], [20200814, 20190502]]
)
def test_other_ways_to_write_dates(words):
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 900, 200), "D")
    form = {"1": "%d-%b-%y", "0": "%m/%Y", "2": "%Y%m%d"}[str(words[0])[0]]
    table = pd.DataFrame({"x": days.strftime(form)})
    if form == "%Y%m%d":
        table = table.astype(int)
    assert infer(table).kinds() == {"x": "date"}
    assert as_dates(pd.Series(words)).dt.year.tolist() == ([2020, 2019])


def test_seconds_since_1970_are_dates_where_the_name_says_so():
    seconds = np.random.default_rng(0).integers(1.5e9, 1.6e9, 100)
    table = pd.DataFrame({"created_at": np.sort(seconds), "size": seconds})
    assert infer(table).kinds() == {"created_at": "date", "size": "number"}
    assert as_dates(pd.Series([1577836800, 1577836800.0])).dt.year.tolist() == [2020, 2020]
    assert as_dates(pd.Series([1577836800000])).dt.year.tolist() == [2020]


def test_dates_that_two_files_write_in_two_ways_are_told():
    days = pd.date_range("2020-01-01", periods=60)
    one, other = (pd.DataFrame({"x": days.strftime(way)}) for way in ("%d/%m/%Y", "%Y-%m-%d"))
    method = told(one[:40], one[40:], other)["coding[x]"].method
    assert "'01/01/2020', the day first" in method and "'2020-01-01'" in method
    assert "coding[x]" not in told(one[:40], one[40:], one)


@pytest.mark.parametrize(
    "name", ["price_index", "index_value", "key_rate", "id_rating", "acid", "Number"]
)
def test_names_of_quantities_are_no_keys(name):
    assert not names_a_key(name)


@pytest.mark.parametrize(
    "name", ["Invoice No.", "case_nr", "MRN", "ssn", "id_customer", "row_index", "index"]
)
def test_names_of_keys(name):
    assert names_a_key(name)


@pytest.mark.parametrize("order", ["as it was", "sorted"])
@pytest.mark.parametrize("share", [0.1, 0.7])
def test_numbers_of_some_rows_of_a_larger_table_are_keys(order, share):
    number = np.random.default_rng(0).permutation(int(300 / share))[:300]
    table = pd.DataFrame({"x": np.sort(number) if order == "sorted" else number})
    assert infer(table).kinds() == {"x": "identifier"}


def test_keys_grow_evenly_and_sorted_amounts_do_not():
    rng = np.random.default_rng(0)
    keys = 10**6 + np.cumsum(rng.integers(1, 200, 300))
    paid = np.unique(rng.lognormal(12, 1, 300).astype(int))[:290]
    for values, kind in ((keys, "identifier"), (paid, "number")):
        table = pd.DataFrame({"x": values})
        assert infer(table).kinds() == {"x": kind}
        parts = pd.concat([table[::2], table[1::2]], ignore_index=True)  # two files, each sorted
        assert infer(parts, len(table[::2])).kinds() == {"x": kind}


@pytest.mark.parametrize("lost", ["real", "synthetic"])
def test_zeros_that_one_file_lost_are_put_back(lost):
    rng = np.random.default_rng(0)
    sides = {part: rng.integers(0, 20_000, 300) for part in ("real", "synthetic")}
    tables = {
        part: pd.DataFrame({"zip": code if part == lost else [f"{c:05}" for c in code]})
        for part, code in sides.items()
    }
    real, made = tables["real"], tables["synthetic"]
    found = told(real[:200], real[200:], made)
    assert f"of the {lost} ones have lost leading zeros" in found["coding[zip]"].method
    assert not [each for each in audit(real, None, made, progress=False) if each.verdict == "fail"]


def test_codes_beside_missing_values_stay_codes():
    assert code_width(pd.Series(["02281", "?", "61821", "NA"])) == 5
    assert code_width(pd.Series(["0", "5", "110"])) is None


# --- levels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "made"),
    [
        (["male", "female"], ["M", "F"]),
        (["M", "F"], ["male", "female"]),
        (["MALE", "FEMALE"], ["male", "female"]),
        (["low", "mid", "high"], ["L", "M", "H"]),
        (["New York", "Bern"], ["new_york", "bern"]),
        (["Zürich", "Genève"], ["Zurich", "Geneve"]),
        (["<=50K", ">50K"], ["<=50K.", ">50K."]),
        (["0,5", "1,0"], ["0.5", "1"]),
        (["7 %", "19 %"], ["0.07", "0.19"]),
        (["yes", "no", "unknown"], ["1", "0", "unknown"]),
        (["ja", "nein"], ["True", "False"]),
        (["a", "b", "?"], ["a", "b", "n/a"]),
    ],
)
def test_levels_in_other_words_are_aligned_and_told(real, made):
    values, drafts = read_levels("x", pd.Series(real), pd.Series(made))
    assert values.real.tolist() == values.synthetic.tolist()
    assert [draft.finding.id for draft in drafts] == ["coding[x]"]


@pytest.mark.parametrize(
    ("real", "made"),
    [
        (["male", "female"], ["male", "Male"]),  # an invented spelling
        (["yes", "no"], ["yes", "1"]),
        (["a", "A"], ["b", "B"]),
        (["T", "N"], ["Y", "G"]),
        (["a", "b"], ["c", "d"]),
    ],
)
def test_levels_that_are_new_stay_new(real, made):
    assert not same_levels(real, made)


def test_a_word_for_what_is_not_known_beside_no_value():
    real, made = pd.Series(["x", "y", "?"] * 9), pd.Series(["x", "y", None] * 9)
    values, (draft,) = read_levels("x", real, made)
    assert values.levels == ("x", "y")
    assert values.real.tolist() == values.synthetic.tolist()
    assert "'?' stands in the real data" in draft.finding.method
    both, drafts = read_levels("x", real, real)
    assert "?" in both.levels and not drafts


def test_the_positive_level_in_other_words():
    label = Values("paid", "category", np.zeros(1), np.zeros(1), ("False", "True"), 2)
    assert [positive_level(label, asked) for asked in ("true", True, "TRUE", "yes")] == ["True"] * 4
    with pytest.raises(AuditError, match="'maybe' is not a level"):
        positive_level(label, "maybe")


# --- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["levels", "decimal commas", "dates"])
def test_a_holdout_that_is_written_otherwise_is_read_as_the_training_rows(change):
    train, holdout, made = (people(n, seed) for seed, n in enumerate((400, 200, 400)))
    for table in (train, holdout, made):
        days = pd.Timestamp("2019-01-01") + pd.to_timedelta(table["income"] * 100 // 1 % 300, "D")
        table["day"] = days.dt.strftime(
            "%Y-%m-%d" if table is holdout and change == "dates" else "%d/%m/%Y"
        )
    if change == "levels":
        holdout["sex"] = holdout["sex"].map({"male": "M", "female": "F"})
    if change == "decimal commas":
        holdout["income"] = holdout["income"].map(lambda x: f"{x:.2f}".replace(".", ","))
    report = audit(train, holdout, made, progress=False)
    name = {"levels": "sex", "decimal commas": "income", "dates": "day"}[change]
    assert report[f"coding[{name}, holdout]"].verdict == "warn"
    assert report["holdout_drift[whole rows]"].verdict == "pass"


def test_columns_that_one_table_lacks_or_names_otherwise():
    train, holdout, made = (people(n, seed) for seed, n in enumerate((60, 30, 60)))
    found = told(train, holdout, made.rename(columns={"income": "Income"}))
    assert "'Income' may be the same" in found["column_missing[income]"].method
    found = told(train, holdout.drop(columns="income"), made)
    assert "the holdout data lack this column" in found["column_missing[income, holdout]"].method
    assert "column_new[income]" not in found
    with pytest.raises(AuditError, match="no column 'sex' in the real holdout"):
        prepare(train, holdout.drop(columns="sex"), made, label="sex")


def test_bytes_and_lists_further_down():
    tables = [people(200, seed) for seed in range(3)]
    for table in tables:
        table["b"] = [b"a", b"c"] * 100
        table["blob"] = [bytes([200 + i % 50, i % 256, 0]) for i in range(200)]
        table["late"] = ["a"] * 150 + [["b"]] * 50
    tables[2]["b"] = ["a", "c"] * 100
    made = prepare(*tables)
    assert made.values["b"].levels == ("a", "c")
    assert made.schema.kinds()["late"] == "nested"


@pytest.mark.parametrize("given", [None, "real.csv", [{"a": 1}], people(30, 0)["sex"]])
def test_what_is_no_table_gets_a_sentence(given):
    with pytest.raises(AuditError, match=r"training data must be a pandas DataFrame.*got"):
        audit(given, None, people(30, 0))


def test_an_entity_of_a_few_values_gets_a_sentence():
    with pytest.raises(AuditError, match="only 2 different values"):
        audit(people(60, 0), None, people(60, 1), entity="sex", progress=False)


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "# made on Monday\n# for you, and others\n" + text,
        lambda text: "Incomes of 2020\n\n" + text,
        lambda text: "Incomes of 2020,\n" + text,
        lambda text: '"SEP=,"\n' + text,
        lambda text: "sep=;\r\n" + text.replace(",", ";"),
        lambda text: "\n\n" + text,
        lambda text: "\n".join(f"{line},," for line in text.splitlines()),
        lambda text: "\n".join(
            f"{line}{',' * (i % 3 == 1)}" for i, line in enumerate(text.splitlines())
        ),
        lambda text: "\n".join("'" + line.replace(",", "','") + "'" for line in text.splitlines()),
    ],
)
def test_lines_around_the_table_are_left_out(tmp_path, change):
    path = tmp_path / "t.csv"
    path.write_text(change(people(60, 0).to_csv(index=False)))
    pd.testing.assert_frame_equal(read_table(path), people(60, 0))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_encodings_of_unicode(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(people(60, 0).to_csv(index=False).encode(encoding))
    pd.testing.assert_frame_equal(read_table(path), people(60, 0))


@pytest.mark.parametrize("number", ["all", "some", "some, shuffled"])
@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index"])
def test_a_column_that_numbers_rows_is_left_out(tmp_path, number, name):
    path, rng = tmp_path / "t.csv", np.random.default_rng(0)
    rows = np.arange(60) if number == "all" else rng.permutation(90)[:60]
    rows = np.sort(rows) if number == "some" else rows
    table = people(60, 0)
    table.set_index(pd.Index(rows, name=name)).to_csv(path)
    pd.testing.assert_frame_equal(read_table(path), table)


def test_two_columns_that_number_rows(tmp_path):
    path, table = tmp_path / "t.csv", people(60, 0)
    table.assign(**{"Unnamed: 0": range(60)}).to_csv(path)
    pd.testing.assert_frame_equal(read_table(path), table)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,5,x\n1,7,y\n2,9,z\n", "has 2 fields and the others have more"),
        ("female,42.5\nmale,31.5\nfemale,20.5\n", "holds values and not names"),
        ("5.1,3.5\n4.9,3.0\n4.7,3.2\n", "holds values and not names"),
        ("a b\n1,2\n3,4\n", "has no ','"),
        ("a:b\n1:2\n3:4\n", "separated by ':'"),
        ('[{"a": 1}]', "looks like JSON"),
        ("<table><tr>", "looks like HTML"),
    ],
)
def test_files_that_are_no_such_table_get_a_sentence(tmp_path, text, says):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(AuditError, match=says):
        read_table(path)
    assert cli.main(["audit", str(path), str(path), "--quiet"]) == 2


@pytest.mark.parametrize("names", [["0", "1"], ["2019", "2020"], ["1.5", "b"]])
def test_names_that_are_numbers_are_names(tmp_path, names):
    path, table = (
        tmp_path / "t.csv",
        pd.DataFrame(np.arange(40.0).reshape(20, 2) / 8, columns=names),
    )
    table.to_csv(path, index=False)
    assert read_table(path).columns.tolist() == names
