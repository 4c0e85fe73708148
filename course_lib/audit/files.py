"""Tables from CSV, Parquet and Arrow files, with errors that say what to do.

pandas and pyarrow read the tables. What a CSV file's encoding and separator are is judged here: UTF-8 is
recognised surely, and what is not UTF-8 is taken for Windows-1252, as programs on Windows write.
charset-normalizer, asked for names with accents in Windows-1252, answered cp1250 for 3, 10, 50 and 500
rows. The standard library's csv.Sniffer finds the separators too, but does not tell where a header has
another one than its rows.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from course_lib.audit.reading import code_width
from course_lib.audit.schema import INDEX, AuditError, counts_rows, listed

PARQUET = {".parquet", ".pq"}
ARROW = {".arrow", ".feather", ".ipc"}
SEPARATORS = ",;\t|"
OTHER_SEPARATORS = ":^~\x01"  # which the audit does not read, since they stand in values
FOREIGN = {"{": "JSON", "[": "JSON", "<": "HTML or XML"}
SAVE_AS = "The audit reads CSV, Parquet (.parquet) and Arrow (.arrow, .feather): save the table as "
SAVE_AS += "one of these."
NUMBER = re.compile(r"[+-]?\d*[.,]?\d+(?:[eE][+-]?\d+)?")
BYTE_ORDER = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, which begins alike
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LINES, HEAD = 200, 100_000  # lines and characters from which the form of a file is judged
PEEK = 20_000  # rows that are looked at as text
NAMELESS = "Unnamed:"
# By pandas, among others.
TAKEN_AS_MISSING = {"NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "<NA>", "#N/A"}


def read_table(path: str | Path) -> pd.DataFrame:
    """The table in a CSV (also with ; tab or |, also .gz), Parquet or Arrow file (.arrow, .feather).

    Raises:
        AuditError: with what is wrong with the file and what to do.

    >>> pd.DataFrame({"sex": ["f", "m"], "age": [31, 40]}).to_csv("made.csv", sep=";", index=False)
    >>> read_table("made.csv")["age"].tolist()
    [31, 40]
    """
    path = Path(path)
    if path.is_dir():
        raise AuditError(
            f"{path} is a folder; name a CSV or Parquet file in it, or say by --link how the tables in it "
            "belong together, as in --link orders.customer_id=customers.id."
        )
    if not path.exists():
        near = [f.name for f in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        there = f" That folder has {listed(sorted(near), 5)}." if near else ""
        raise AuditError(f"There is no file {path}.{there}")
    try:
        kind = path.suffix.lower()
        table = _parquet(path) if kind in PARQUET else _arrow(path) if kind in ARROW else _csv(path)
    except OSError as error:
        raise AuditError(f"{path} cannot be read: {error.strerror or error}.") from error
    if table.empty:
        raise AuditError(
            f"{path} has {len(table)} rows and {table.shape[1]} columns: nothing to audit."
        )
    return table


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise AuditError(
            "Reading Parquet needs pyarrow: `pip install pyarrow`, or save the table as CSV."
        ) from error
    except (ValueError, OSError) as error:
        first = str(error).splitlines()[0]
        raise AuditError(f"{path} cannot be read as Parquet: {first}") from error


def _arrow(path: Path) -> pd.DataFrame:
    """A table that Arrow, Polars or Feather wrote: a file, or a stream."""
    try:
        from pyarrow import ArrowException, ipc
    except ImportError as error:
        raise AuditError(
            "Reading Arrow files needs pyarrow: `pip install pyarrow`, or save the table as CSV."
        ) from error
    try:
        with path.open("rb") as file:
            is_file = file.read(6) == b"ARROW1"
            file.seek(0)
            reader = ipc.open_file(file) if is_file else ipc.open_stream(file)
            return cast(pd.DataFrame, reader.read_all().to_pandas())
    except (ArrowException, ValueError, OSError) as error:
        first = str(error).splitlines()[0]
        raise AuditError(f"{path} cannot be read as an Arrow file: {first}") from error


def _csv(path: Path) -> pd.DataFrame:
    text, assumed = _text(path)
    layout = _layout(path, text, assumed)
    try:
        table = pd.read_csv(io.StringIO(text), low_memory=False, **layout.options)
    except (pd.errors.ParserError, ValueError) as error:
        raise _not_a_table(path, layout, error) from error
    table, dropped = _without_nameless(table)
    table.attrs["reading"] = (*layout.notes, *dropped, *_taken_as_missing(layout.rows))
    return table


def csv_batches(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """The table in a CSV file, `rows` rows at a time; the form is judged from the beginning of the file.

    Raises:
        AuditError: with what is wrong with the file and what to do.

    >>> pd.DataFrame({"age": [31, 40, 52]}).to_csv("three.csv", index=False)
    >>> [len(batch) for batch in csv_batches(Path("three.csv"), 2)]
    [2, 1]
    """
    text, assumed = _text(path, HEAD * 20)
    layout = _layout(path, text.rsplit("\n", 1)[0] if "\n" in text else text, assumed)
    first = None
    try:
        with pd.read_csv(
            path,
            chunksize=rows,
            encoding="cp1252" if assumed else _unicode(_start(path)) or "utf-8",
            compression="gzip" if _is_gzip(path) else None,
            low_memory=False,
            **layout.options,
        ) as reader:
            for table in reader:
                if first is None:
                    first = _without_nameless(table)[0].columns
                yield table[first]
    except UnicodeDecodeError as error:
        raise AuditError(f"{path} is not UTF-8 throughout: {error}. Save it as UTF-8.") from error
    except (pd.errors.ParserError, ValueError, OSError, EOFError) as error:
        raise _not_a_table(path, layout, error) from error


@dataclass(frozen=True)
class Layout:
    """The form of a CSV file, judged from its first lines.

    Attributes:
        options: of `pandas.read_csv`. notes: what had to be assumed or repaired.
        rows: the first rows, as text.
    """

    options: dict[str, Any]
    notes: tuple[str, ...]
    rows: pd.DataFrame


def _layout(path: Path, text: str, assumed: Sequence[str]) -> Layout:
    if not text.strip():
        raise AuditError(f"{path} is empty.")
    if (start := text.lstrip()[0]) in FOREIGN:
        raise AuditError(f"{path} begins with '{start}' and looks like {FOREIGN[start]}. {SAVE_AS}")
    head = re.split(r"\r\n|\n|\r", text[:HEAD])[:LINES]
    if len(text) > HEAD:
        head = head[:-1] or head  # the last line may be cut off
    skipped, notes, told = _preamble(head)
    head = head[skipped:]
    separator = told or max(SEPARATORS, key=head[0].count)
    _check_separator(path, separator, head)
    quote = "'" if _in_single_quotes(head[0].split(separator)) else '"'
    fields = list(csv.reader(head, delimiter=separator, quotechar=quote, skipinitialspace=True))
    names, repaired = _names(path, fields)
    options: dict[str, Any] = {"sep": separator, "skipinitialspace": True, "quotechar": quote}
    options |= {"header": 0, "names": names, "index_col": False, "skiprows": skipped}
    layout = Layout(options, (*assumed, *notes, *repaired), pd.DataFrame())
    try:
        rows = pd.read_csv(
            io.StringIO(text), nrows=PEEK, dtype=str, keep_default_na=False, **options
        )
    except pd.errors.EmptyDataError as error:
        raise AuditError(f"{path} is empty.") from error
    except (pd.errors.ParserError, ValueError) as error:
        raise _not_a_table(path, layout, error) from error
    codes = [name for name in names if code_width(rows[name][rows[name] != ""])]
    options |= {"dtype": dict.fromkeys(codes, str)}
    return Layout(options, layout.notes, rows)


def _preamble(lines: list[str]) -> tuple[int, list[str], str | None]:
    """How many lines stand above the names, what is told of them, and the separator told to Excel."""
    skipped, notes, told = 0, [], None
    for line in lines:
        rest = [other for other in lines[skipped + 1 :] if other.strip()]
        excel = re.fullmatch(r'"?sep=(.)"?[,;\t]*', line, re.IGNORECASE)
        if excel:
            told = excel[1]
        elif line.startswith("#") and rest and not _names_the_rest(line, rest):
            notes = ["lines that begin with # were left out"]
        elif line.strip() and not (told is None and _is_title(line, rest)):
            break
        elif line.strip():
            notes.append(
                f"the first line, '{line.strip(SEPARATORS + ' ')[:60]}', was taken for a title"
            )
        skipped += 1
    return skipped, notes, told


def _names_the_rest(line: str, rest: list[str]) -> bool:
    """Whether a line has as many separators as each line below it, and these have no names of their own."""
    separator = max(SEPARATORS, key=rest[0].count)
    fits = line.count(separator) > 0 and {line.count(separator)} == _count(rest, separator)
    return fits and not _looks_like_names(rest, separator)


def _count(lines: list[str], separator: str) -> set[int]:
    """How often the separator stands in each line, if that is the same number in all of them."""
    counts = {line.count(separator) for line in lines}
    return counts if len(counts) == 1 else set()


def _is_title(line: str, rest: list[str]) -> bool:
    """Whether one text stands alone above a line of names."""
    if len(rest) < 2:
        return False
    separator = max(SEPARATORS, key=rest[0].count)
    fields, wanted = line.split(separator), len(rest[0].split(separator))
    alone = sum(bool(field.strip()) for field in fields) == 1
    return (
        alone and wanted > 1 and len(fields) in (1, wanted) and _looks_like_names(rest, separator)
    )


def _looks_like_names(lines: list[str], separator: str) -> bool:
    """Whether the first line holds words only, none of which stands again below itself, as values do."""
    names, *rows = ([field.strip() for field in line.split(separator)] for line in lines)
    words = all(names) and not any(NUMBER.fullmatch(name) for name in names)
    columns = [{row[place] for row in rows if len(row) > place} for place in range(len(names))]
    return words and not any(name in column for name, column in zip(names, columns, strict=True))


def _in_single_quotes(names: list[str]) -> bool:
    return all(re.fullmatch(r"\s*'.*'\s*", name) for name in names)


def _not_a_table(path: Path, layout: Layout, error: Exception) -> AuditError:
    why = str(error).strip().removeprefix("Error tokenizing data. C error: ")
    return AuditError(
        f"{path} cannot be read as a table: {why} Does a value hold '{layout.options['sep']}' without "
        "quotation marks around it?"
    )


def _names(path: Path, rows: list[list[str]]) -> tuple[list[str], list[str]]:
    """A name for each field, and what had to be repaired; from the first rows, the header included."""
    names, notes = [name.strip() for name in rows[0]], []
    others = [row for row in rows[1:] if row]
    lengths = {len(row) for row in others}
    extra = max(lengths, default=0) - len(names)
    if extra > 0 and not any(field.strip() for row in others for field in row[len(names) :]):
        each = "each line ends" if len(lengths) == 1 else "some lines end"
        notes.append(f"{each} with a separator, which was left out")
        names += [""] * extra
    elif lengths == {len(names) + 1} and len({row[0] for row in others}) == len(others):
        notes.append("the first field of each line has no name; it was read as the row's name")
        names.insert(0, "")
    elif lengths and min(lengths) > len(names):
        raise AuditError(
            f"The first line of {path} has {len(names)} fields and the others have more, such as "
            f"{min(lengths)}. Does a value hold the separator, as a decimal comma, without quotation "
            "marks around it?"
        )
    _check_names(path, names, others)
    names = [name or _free_name(i, names) for i, name in enumerate(names)]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise AuditError(
            f"The first line of {path} names {listed(twice)} more than once. Rename or drop one: the "
            "audit cannot know which one you mean."
        )
    return names, notes


def _free_name(place: int, names: list[str]) -> str:
    """A name for a field that has none, which no other field has."""
    name = f"{NAMELESS} {place}"
    return name if name not in names else f"{NAMELESS} {place}.{len(names)}"


def _check_names(path: Path, names: list[str], rows: list[list[str]]) -> None:
    """Raises AuditError if the first line holds values: each field is one that its column has, or a number
    with a fraction above numbers."""
    if len(rows) < 2 or not any(names):
        return
    columns = [
        {row[place].strip() for row in rows if len(row) > place} for place in range(len(names))
    ]
    alike = [
        (name in column and not name.isdigit())
        or (bool(NUMBER.fullmatch(name)) and all(map(NUMBER.fullmatch, column)))
        for name, column in zip(names, columns, strict=True)
    ]
    whole = [int(name) for name in names if name.isdigit()]
    counted = len(whole) == len(names) and whole == sorted(whole)  # 0, 1, 2 or 2019, 2020 are names
    if all(alike) and not counted:
        raise AuditError(
            f"The first line of {path} holds values and not names: {listed(names, 4)}. Write the names of "
            "the columns above it."
        )


def _without_nameless(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table without columns that have no name and hold nothing, or only number the rows."""
    notes = []
    for name in [name for name in table.columns if INDEX.fullmatch(name)]:
        values, nameless = table[name], name.startswith(NAMELESS)
        if nameless and values.isna().all():
            table = table.drop(columns=name)
        elif _numbers_rows(values):
            told = "without a name" if nameless else f"'{name}'"
            notes.append(f"a column {told} numbers the rows, and was left out")
            table = table.drop(columns=name)
    return table, notes


def _taken_as_missing(rows: pd.DataFrame) -> Iterator[str]:
    """Sentences about words that were read as missing values, from the first rows as text."""
    for name in rows.columns:
        words = rows[name][rows[name].isin(TAKEN_AS_MISSING)].value_counts()
        for word, number in words.items():
            yield (
                f"in '{name}' the word '{word}' was read as a missing value ({number:,} times in the "
                f"first {len(rows):,} rows)"
            )


def _check_separator(path: Path, separator: str, head: list[str]) -> None:
    """Raises AuditError if the names are separated in one way and the values in another."""
    wanted, others = head[0].count(separator), [line for line in head[1:] if line]
    if not wanted:
        _check_only_column(path, head[0], others)
        return
    if not others or any(separator in line for line in others):
        return
    for other in SEPARATORS:
        if other != separator and all(line.count(other) >= wanted for line in others):
            raise AuditError(
                f"The first line of {path} is separated by '{separator}', the other lines by "
                f"'{other}'. Save the file with one separator."
            )


def _check_only_column(path: Path, first: str, others: list[str]) -> None:
    """Raises AuditError where the names are separated by none of the separators, and the values by one."""
    for each in OTHER_SEPARATORS:
        if first.count(each) and _count([first, *others], each):
            raise AuditError(
                f"{path} seems to be separated by '{each}'. Save it with one of these: comma, semicolon, "
                "tab, |."
            )
    for each in SEPARATORS:
        if others and all(len(row) > 1 for row in csv.reader(others, delimiter=each)):
            raise AuditError(
                f"The first line of {path} has no '{each}', by which the other lines are separated. Write "
                "the names of the columns there, with the same separator."
            )


def _numbers_rows(values: pd.Series) -> bool:
    """Whether the values count from 0 or 1 to the end, or number some rows of a larger table."""
    if not pd.api.types.is_integer_dtype(values):
        return False
    numbers, start = values.to_numpy(), values.iloc[0]
    counted = start in (0, 1) and (numbers == np.arange(start, start + len(values))).all()
    return bool(counted) or counts_rows(numbers.astype(float))


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _start(path: Path) -> bytes:
    with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
        return file.read(4096)


def _unicode(start: bytes) -> str | None:
    """Which encoding the first bytes of a file show: by a mark, or by every second byte being 0."""
    for mark, encoding in BYTE_ORDER.items():
        if start.startswith(mark):
            return encoding
    zeros = [start[k::2].count(0) / max(len(start[k::2]), 1) for k in (0, 1)]
    if max(zeros) > 0.7 and min(zeros) < 0.1:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    return None


def _text(path: Path, most: int = -1) -> tuple[str, list[str]]:
    """The text of a file, or of its first `most` bytes, and what had to be assumed to decode it."""
    with path.open("rb") as file:  # once: it may be a pipe
        raw = file.read(most)
    whole = len(raw) != most  # else the last character may be cut off
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw) if whole else zlib.decompressobj(31).decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise AuditError(f"{path} is a damaged .gz file: {error}.") from error
    known = _unicode(raw[:4096])
    if b"\0" in raw[:4096] and known is None:
        raise AuditError(f"{path} is not a text file. {SAVE_AS}")
    for encoding in (known,) if known else ("utf-8", "cp1252"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(raw, final=whole)
        except UnicodeDecodeError:
            continue
        return text, ["it is not UTF-8; read as Windows-1252"] * (encoding == "cp1252")
    raise AuditError(f"{path} has an unknown character encoding. Save it as UTF-8.")
