"""Tables too large for memory: files and folders, read in batches, on several cores or a cluster."""

import gzip
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from joblib.externals.loky import ProcessPoolExecutor  # its processes need no guarded main module

from course_lib.audit.files import PARQUET, csv_batches
from course_lib.audit.schema import AuditError

BATCH = 100_000  # rows that are in memory at once, in each process
PATIENCE = "30s"  # in which a scheduler must answer
SHARE = 2_000_000  # rows of a Parquet file that one task reads
CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Part:
    """A file, or some row groups of a Parquet file: what one task reads.

    Attributes:
        number: which of its table's parts it is.
    """

    path: Path
    number: int
    groups: tuple[int, ...] | None = None

    def batches(self) -> Iterator[pd.DataFrame]:
        """Its rows, at most BATCH at a time. Raises AuditError for a file that cannot be read."""
        if self.groups is None:
            yield from csv_batches(self.path, BATCH)
            return
        with _parquet(self.path) as file:
            for batch in file.iter_batches(BATCH, row_groups=list(self.groups)):
                yield batch.to_pandas()


def parts_of(path: str | Path) -> list[Part]:
    """The parts of a table: a CSV or Parquet file, or a folder of such files, in the order of their names.

    Raises:
        AuditError: if there is nothing to read.

    >>> pd.DataFrame({"age": [31, 40]}).to_csv("rows.csv", index=False)
    >>> [batch["age"].tolist() for part in parts_of("rows.csv") for batch in part.batches()]
    [[31, 40]]
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file())
        files = [f for f in found if not f.name.startswith((".", "_")) and _is_table(f)]
        if not files:
            raise AuditError(f"The folder {path} holds no CSV and no Parquet file.")
        if len({_is_parquet(file) for file in files}) > 1:
            raise AuditError(
                f"The folder {path} holds both CSV and Parquet files. Keep one kind in it."
            )
        _check_same_columns(path, files)
    elif not path.exists():
        raise AuditError(f"There is no file {path}.")
    parts: list[Part] = []
    for file in files:
        for groups in _shares(file) if _is_parquet(file) else [None]:
            parts.append(Part(file, len(parts), groups))
    return parts


def _check_same_columns(folder: Path, files: list[Path]) -> None:
    """Raises AuditError where the files are tables of different kinds, and not parts of one."""
    first = files[0]
    for other in files[1:]:
        if _heading(other) != _heading(first):
            raise AuditError(
                f"The folder {folder} holds different tables: {first.name} and {other.name} have other "
                "columns. Name a file, or say by --link how the tables belong together, as in --link "
                "orders.customer_id=customers.id."
            )


def _heading(file: Path) -> object:
    """What tells which columns a file has: its first line, or its columns' names."""
    if _is_parquet(file):
        with _parquet(file) as opened:
            return sorted(opened.schema_arrow.names)
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as lines:
            return sorted(re.split(rb"[,;\t|]", lines.readline().strip()))
    except (OSError, EOFError):
        return None  # told where it is read


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() in PARQUET


def _is_table(file: Path) -> bool:
    return _is_parquet(file) or file.name.lower().endswith(CSV)


@contextmanager
def _parquet(path: Path) -> Iterator["pq.ParquetFile"]:  # type: ignore[name-defined]  # noqa: F821
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise AuditError("Reading Parquet needs pyarrow: `pip install pyarrow`.") from error
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise AuditError(
            f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}"
        ) from error


def _shares(path: Path) -> Iterator[tuple[int, ...]]:
    """The row groups of a Parquet file, in shares of about SHARE rows."""
    with _parquet(path) as file:
        rows = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
    groups: list[int] = []
    for k, _ in enumerate(rows):
        groups.append(k)
        if sum(rows[g] for g in groups) >= SHARE or k == len(rows) - 1:
            yield tuple(groups)
            groups = []


# --- tasks -------------------------------------------------------------------------------------


@contextmanager
def tasks(cluster: object | None, workers: int | None) -> Iterator["Tasks"]:
    """What runs a function on each part: this process, several, or the workers of a Dask cluster.

    Args:
        cluster: the address of a Dask scheduler, or a Dask client.
        workers: processes, if there is no cluster; all cores if None.

    Raises:
        AuditError: if Dask is not there, or the scheduler does not answer.

    >>> with tasks(None, workers=1) as run:
    ...     list(run(abs, [-1, 2]))
    ...
    [1, 2]
    """
    if cluster is None:
        count = workers or os.cpu_count() or 1
        if count == 1:
            yield lambda function, parts: map(function, parts)
            return
        with ProcessPoolExecutor(count) as pool:
            yield _mapped(pool)
        return
    try:
        from distributed import Client
    except ImportError:
        raise AuditError(
            "--cluster needs Dask: pip install distributed, here and on its workers."
        ) from None
    try:
        client = cluster if isinstance(cluster, Client) else Client(cluster, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise AuditError(f"No Dask scheduler answers at {cluster}: {error}") from error
    try:
        yield _mapped(client.get_executor(pure=False))
    finally:
        if client is not cluster:
            client.close()


Tasks = Callable[[Callable[..., Result], Iterable[object]], Iterator[Result]]


def _mapped(pool: Executor) -> Tasks:
    def run(function: Callable[..., Result], parts: Iterable[object]) -> Iterator[Result]:
        waiting = [pool.submit(function, part) for part in parts]
        while waiting:  # a result that was handed out is not kept
            yield waiting.pop(0).result()

    return run


# --- a sample ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """Rows drawn at random from a table, without replacement.

    Attributes:
        rows: how many rows the table has.
        table: those drawn, in the table's order. places: where they stand in it, from 0.
        lots: the number drawn for each row; those with the smallest are in.
    """

    rows: int
    table: pd.DataFrame
    places: np.ndarray
    lots: np.ndarray

    def joined(self, other: "Sample", most: int) -> "Sample":
        """A sample of both tables, the other one's rows after these."""
        lots = np.concatenate([self.lots, other.lots])
        table = pd.concat([self.table, other.table], ignore_index=True)
        kept = np.sort(np.argsort(lots, kind="stable")[:most])
        places = np.concatenate([self.places, other.places + self.rows])
        kept_table = table.iloc[kept].reset_index(drop=True)
        return Sample(self.rows + other.rows, kept_table, places[kept], lots[kept])


def sampled(part: Part, most: int, seed: tuple[int, ...]) -> Sample:
    """At most `most` rows of a part, drawn at random; the same for the same seed.

    >>> pd.DataFrame({"x": range(9)}).to_csv("nine.csv", index=False)
    >>> len(sampled(parts_of("nine.csv")[0], 4, seed=(0,)).table)
    4
    """
    rng = np.random.default_rng([*seed, part.number])
    found: Sample | None = None
    for batch in part.batches():
        lots = rng.random(len(batch))
        low = lots < (found.lots.max() if found and len(found.lots) == most else 2.0)
        own = Sample(len(batch), batch[low], np.flatnonzero(low), lots[low])
        found = (found or Sample(0, batch[:0], own.places[:0], lots[:0])).joined(own, most)
    if found is None:
        raise AuditError(f"{part.path} has no rows.")
    return found
