"""Tables from CSV and Parquet files, with errors that say what to do."""

import csv
import gzip
import io
from collections import Counter
from pathlib import Path

import pandas as pd

from course_lib.audit.schema import AuditError, listed

PARQUET = {".parquet", ".pq"}


def read_table(path: str | Path) -> pd.DataFrame:
    """The table in a CSV (also with ; tab or |, also .gz) or Parquet file.

    Raises:
        AuditError: with what is wrong with the file and what to do.

    >>> pd.DataFrame({"sex": ["f", "m"], "age": [31, 40]}).to_csv("made.csv", sep=";", index=False)
    >>> read_table("made.csv")["age"].tolist()
    [31, 40]
    """
    path = Path(path)
    if path.is_dir():
        raise AuditError(f"{path} is a folder; name a CSV or Parquet file in it.")
    if not path.exists():
        near = [f.name for f in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        there = f" That folder has {listed(sorted(near), 5)}." if near else ""
        raise AuditError(f"There is no file {path}.{there}")
    try:
        table = _parquet(path) if path.suffix.lower() in PARQUET else _csv(path)
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


def _csv(path: Path) -> pd.DataFrame:
    text = _text(path)
    if not text.strip():
        raise AuditError(f"{path} is empty.")
    first = text.lstrip().split("\n", 1)[0]
    separator = max(",;\t|", key=first.count)
    names = [name.strip() for name in next(csv.reader([first.rstrip("\r")], delimiter=separator))]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise AuditError(
            f"The first line of {path} names {listed(twice)} more than once. Rename or drop one: the "
            "audit cannot know which one you mean."
        )
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=separator, skipinitialspace=True, low_memory=False
        )
    except pd.errors.EmptyDataError as error:
        raise AuditError(f"{path} is empty.") from error
    except (pd.errors.ParserError, ValueError) as error:
        told = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise AuditError(
            f"{path} cannot be read as a table: {told} Does a value hold '{separator}' without "
            "quotation marks around it?"
        ) from error
    table.columns = [str(name).strip() for name in table.columns]
    return table


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            raise AuditError(f"{path} is a damaged .gz file: {error}.") from error
    if b"\0" in raw[:4096] and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise AuditError(f"{path} is not a text file. The audit reads CSV and Parquet (.parquet).")
    for encoding in (
        ("utf-16",) if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    ):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AuditError(f"{path} has an unknown character encoding. Save it as UTF-8.")
