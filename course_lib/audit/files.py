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
from course_lib.audit.schema import AuditError, listed

PARQUET = {".parquet", ".pq"}
ARROW = {".arrow", ".feather", ".ipc"}
SEPARATORS = ",;\t|"
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
            encoding="cp1252" if assumed else "utf-16" if _is_utf16(path) else "utf-8-sig",
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
    blank = re.match(r"[\r\n]*", text)[0]  # type: ignore[index]  # it always matches
    text = text[len(blank) :]
    if not text.strip():
        raise AuditError(f"{path} is empty.")
    told = re.match(r"sep=(.)\r?\n", text)  # a line that Excel reads
    text = text[told.end() :] if told else text
    head = re.split(r"\r\n|\n|\r", text[:HEAD])[:LINES]
    if len(text) > HEAD:
        head = head[:-1] or head  # the last line may be cut off
    separator = told[1] if told else max(SEPARATORS, key=head[0].count)
    _check_separator(path, separator, head)
    names, repaired = _names(path, list(csv.reader(head, delimiter=separator)))
    options: dict[str, Any] = {"sep": separator, "skipinitialspace": True}
    options |= {"header": 0, "names": names, "index_col": False}
    layout = Layout(options, (*assumed, *repaired), pd.DataFrame())
    try:
        rows = pd.read_csv(
            io.StringIO(text), nrows=PEEK, dtype=str, keep_default_na=False, **options
        )
    except pd.errors.EmptyDataError as error:
        raise AuditError(f"{path} is empty.") from error
    except (pd.errors.ParserError, ValueError) as error:
        raise _not_a_table(path, layout, error) from error
    codes = [name for name in names if code_width(rows[name][rows[name] != ""])]
    skipped = len(re.findall(r"\r\n|\n|\r", blank)) + (told is not None)
    options |= {"dtype": dict.fromkeys(codes, str), "skiprows": skipped}
    return Layout(options, layout.notes, rows)


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
    if {len(row) for row in others} == {len(names) + 1}:  # one field more in each row
        if all(row[-1].strip() == "" for row in others):
            notes.append("each line ends with a separator, which was left out")
            names.append("")
        else:
            notes.append("the first field of each line has no name; it was read as the row's name")
            names.insert(0, "")
    names = [name or f"{NAMELESS} {i}" for i, name in enumerate(names)]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise AuditError(
            f"The first line of {path} names {listed(twice)} more than once. Rename or drop one: the "
            "audit cannot know which one you mean."
        )
    return names, notes


def _without_nameless(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table without columns that have no name and hold nothing, or only number the rows."""
    notes = []
    for name in [name for name in table.columns if name.startswith(NAMELESS)]:
        values = table[name]
        if values.isna().all():
            table = table.drop(columns=name)
        elif _numbers_rows(values):
            notes.append("a column without a name numbers the rows, and was left out")
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
    if not wanted or not others or any(separator in line for line in others):
        return
    for other in SEPARATORS:
        if other != separator and all(line.count(other) >= wanted for line in others):
            raise AuditError(
                f"The first line of {path} is separated by '{separator}', the other lines by "
                f"'{other}'. Save the file with one separator."
            )


def _numbers_rows(values: pd.Series) -> bool:
    """Whether the values count from 0 or 1 to the end."""
    if not pd.api.types.is_integer_dtype(values):
        return False
    start = values.iloc[0]
    return bool(
        start in (0, 1) and (values.to_numpy() == np.arange(start, start + len(values))).all()
    )


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _is_utf16(path: Path) -> bool:
    with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
        return file.read(2) in (b"\xff\xfe", b"\xfe\xff")


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
    if b"\0" in raw[:4096] and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise AuditError(
            f"{path} is not a text file. The audit reads CSV, Parquet (.parquet) and Arrow "
            "(.arrow, .feather): save the table as one of these."
        )
    for encoding in (
        ("utf-16",) if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    ):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(raw, final=whole)
        except UnicodeDecodeError:
            continue
        return text, ["it is not UTF-8; read as Windows-1252"] * (encoding == "cp1252")
    raise AuditError(f"{path} has an unknown character encoding. Save it as UTF-8.")
