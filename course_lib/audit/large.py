"""An audit of files that are too large for memory.

The files are read three times, batch by batch: a random sample is drawn; of all rows the quantiles of
numbers and the levels of categories are taken; and all rows are counted, column by column, pair by pair
and group by group. What can be said by counts is said of all rows, by the very checks that count rows in
memory. Everything else, such as distances and models, is said of the sample.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from course_lib.audit.batches import Part, Sample, Tasks, parts_of, sampled, tasks
from course_lib.audit.coding import (
    ColumnCoding,
    Sketch,
    coded,
    codings_of,
    sketched,
    values_of_all,
)
from course_lib.audit.entities import find_entity
from course_lib.audit.entry_points import (
    check_aux,
    checked_limits,
    report_of,
    stages_of,
    with_holdout,
)
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Note
from course_lib.audit.report import AuditReport
from course_lib.audit.schema import AuditError, Schema
from course_lib.audit.table import FEW_PEOPLE, Tables, Target, bins_for, positive_level, prepare
from course_lib.audit.tally import (
    Key,
    Questions,
    RowHashes,
    Rows,
    RowTally,
    Sums,
    SumTally,
    hashes_of,
)
from course_lib.session import interactive

Result = TypeVar("Result")
SAMPLE = 50_000  # rows of each table
HASHED = 1_000_000  # rows of each table, about, among which copies are looked for
WIDE = 100  # columns up to which all pairs are counted over all rows
LOOKED_AT = 20_000  # rows in which repeated keys of persons are looked for


LARGE = 10**9  # bytes of a file that is not read into memory as a whole


def is_large(path: str | Path) -> bool:
    """Whether `audit_files` should read it: a folder of tables, or a file of more than LARGE bytes.

    >>> pd.DataFrame({"x": range(9)}).to_csv("small.csv", index=False)
    >>> is_large("small.csv")
    False
    """
    path = Path(path)
    return path.is_dir() or (path.is_file() and path.stat().st_size > LARGE)


def audit_files(
    real_train: str | Path,
    real_holdout: str | Path | None,
    synthetic: str | Path,
    schema: Schema | Mapping[str, str] | None = None,
    *,
    label: str | None = None,
    positive: object = None,
    sensitive: Sequence[str] | str = (),
    aux: Sequence[str] | str = (),
    bands: Mapping[str, Sequence[float]] | None = None,
    groups_of: int = 2,
    margins: Mapping[str, float] | None = None,
    level: float = 0.05,
    seed: int = 0,
    list_rows: bool = True,
    progress: bool = True,
    sample: int = SAMPLE,
    workers: int | None = None,
    cluster: object | None = None,
) -> AuditReport:
    """Compare synthetic rows with real ones in files, or folders of files, of any length.

    Args:
        real_train, real_holdout, synthetic: each a CSV or Parquet file, or a folder of them.
        sample: rows of each table that are drawn at random, for what cannot be said by counts.
        workers: processes that read; all cores if None. cluster: a Dask scheduler's address, or a client of
            one, in their place; it must see the files under the same paths.
        The others: as in `audit`. Rows count as independent; there is no `entity`.

    Raises:
        AuditError: for files that cannot be audited, with what was wrong and what to do.

    >>> from course_lib.datasets.loans import applicants
    >>> for seed, name in enumerate(("train", "made")):
    ...     applicants(300, seed=seed).to_csv(f"{name}.csv", index=False)
    ...
    >>> audit_files("train.csv", None, "made.csv", progress=False, workers=1).about["rows"]["synthetic"]
    300
    """
    asked = [sensitive] if isinstance(sensitive, str) else list(sensitive)
    known = (aux,) if isinstance(aux, str) else tuple(dict.fromkeys(aux))
    limits = checked_limits(margins, level, seed)
    if sample < 100:
        raise AuditError(f"sample={sample}: at least 100 rows of each table are needed.")
    if workers is not None and workers < 1:
        raise AuditError(f"workers={workers}: at least one process is needed.")
    paths = [path for path in (real_train, real_holdout, synthetic) if path is not None]
    with tasks(cluster, workers) as run:
        reader = Reader(run, [parts_of(path) for path in paths], progress)
        samplings = [partial(sampled, most=sample, seed=(seed, k)) for k in range(len(paths))]
        drawn = reader.each("sample", samplings, lambda one, two: one.joined(two, sample))
        train, holdout, notes, order = _real(drawn, real_holdout is not None, seed)
        made = drawn[-1].table
        least = 1 if list_rows else FEW_PEOPLE
        tables = prepare(
            train, holdout, made, schema, label, positive, asked, least, bands, groups_of
        )
        check_aux(known, tables)
        if schema is None and progress:
            print(tables.schema)
        sides = codings_of(tables, pd.concat([train, holdout], ignore_index=True), made)
        sketchings = [Sketching(codings) for codings in _by_file(sides, len(paths))]
        sketches = reader.each("columns", sketchings, Sketch.__add__)
        real = reduce(Sketch.__add__, sketches[:-1])
        bins = bins_for(real.rows, sketches[-1].rows)
        values, sides = values_of_all(tables, sides, real, sketches[-1], bins)
        target = None
        if label is not None:
            target = Target(values[label], positive_level(values[label], positive))
        tables = replace(tables, values=values, target=target)
        kept = min(HASHED / max(sketch.rows for sketch in sketches), 1)
        questions, asks = tables.questions.bare(), _asks(tables.questions, len(paths))
        countings = [
            Counting(codings, questions, keys, kept)
            for codings, keys in zip(_by_file(sides, len(paths)), asks, strict=True)
        ]
        counted = reader.each("counts", countings, Counted.joined)
    if real_holdout is None:  # set aside from the sample alone
        counted.insert(1, counted[0].nothing())
    tables = _of_all(tables, counted, kept)
    names = ("train", "holdout", "synthetic")
    rows = {name: each.rows for name, each in zip(names, counted, strict=True)}
    evidence = Evidence(
        tables,
        margins=limits,
        seed=seed,
        holdout_given=real_holdout is not None,
        real_order=order,
        made_order=drawn[-1].places,
        list_rows=list_rows,
        aux=known,
    )
    notes += _notes(rows, drawn, tables, kept)
    notes += _persons(paths[0], (label, *asked))
    about = {
        "columns": len(tables.values),
        "label": label,
        "sensitive": asked,
        "aux": list(known),
        "entity": None,
        "positive": target.positive if target else None,
        "rows": rows,
        "sample": {"train": len(train), "holdout": len(holdout), "synthetic": len(made)},
    }
    return report_of(evidence, stages_of(tables), notes, about, level, progress)


@dataclass(frozen=True)
class Sketching:
    """A task: the sketch of a part's rows."""

    codings: list[ColumnCoding]

    def __call__(self, part: Part) -> Sketch:
        return sketched(part.batches(), self.codings)


@dataclass(frozen=True)
class Counted:
    """What is counted of some rows of a table.

    Attributes:
        rows: how many they are.
        hashes: those that are kept; see `RowHashes`. places: where their rows stand.
    """

    rows: int
    sums: Sums
    hashes: np.ndarray
    places: np.ndarray

    def joined(self, other: "Counted") -> "Counted":
        """The same of both sets of rows, the other ones after these.

        >>> one = Counted(2, {Key("rows"): np.array([2])}, np.array([7]), np.array([1]))
        >>> one.joined(one).places.tolist()
        [1, 3]
        """
        return Counted(
            self.rows + other.rows,
            {key: count + other.sums[key] for key, count in self.sums.items()},
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([self.places, other.places + self.rows]),
        )

    def nothing(self) -> "Counted":
        """The same of no rows."""
        sums = {key: np.zeros_like(count) for key, count in self.sums.items()}
        return Counted(0, sums, self.hashes[:0], self.places[:0])


@dataclass(frozen=True)
class Counting:
    """A task: the counts of a part's rows, and the share of their hashes that is kept."""

    codings: list[ColumnCoding]
    questions: Questions
    keys: tuple[Key, ...]
    kept: float

    def __call__(self, part: Part) -> Counted:
        return reduce(Counted.joined, map(self._count, part.batches()))

    def _count(self, batch: pd.DataFrame) -> Counted:
        read = coded(batch, self.codings)
        columns = {name: read[name] for name in self.questions.values}
        rows, hashes = Rows(self.questions, columns), hashes_of(columns)
        kept = np.flatnonzero(hashes <= np.uint64(min(int(2**64 * self.kept), 2**64 - 1)))
        return Counted(len(batch), rows.counts(self.keys), hashes[kept], kept)


@dataclass(frozen=True)
class Reader:
    """Runs tasks on the parts of the files, and puts their results together in the parts' order."""

    run: Tasks
    files: Sequence[Sequence[Part]]
    progress: bool

    def each(
        self,
        what: str,
        of_files: Sequence[Callable[[Part], Result]],
        join: Callable[[Result, Result], Result],
    ) -> list[Result]:
        """One result for each file: that of its own task on all its parts."""
        watched = self.progress and (interactive() or sys.stderr.isatty())
        found = []
        for number, (parts, task) in enumerate(zip(self.files, of_files, strict=True), 1):
            bar = tqdm(
                self.run(task, parts),
                desc=f"audit: {what}, file {number} of {len(self.files)}",
                total=len(parts),
                disable=not watched,
                leave=False,
            )
            found.append(reduce(join, bar))
        return found


def _by_file(sides: Sequence[Result], files: int) -> list[Result]:
    """Of something of the real and of the synthetic side, that of each file; the synthetic one is last."""
    real, synthetic = sides
    return [real] * (files - 1) + [synthetic]


def _of_all(tables: Tables, counted: Sequence[Counted], kept: float) -> Tables:
    """The sample's tables with the counts and hashes of all rows."""
    train, holdout, made = counted
    places = np.concatenate([train.places, holdout.places]), made.places
    questions = tables.questions
    sums = train.sums, holdout.sums, made.sums
    return replace(
        tables,
        sums=SumTally(questions, sums, RowTally(questions, tables.n_train)),
        hashes=RowHashes(train.hashes, holdout.hashes, made.hashes, kept, places),
    )


def _real(
    drawn: list[Sample], held: bool, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, list[Note], np.ndarray]:
    """Training and holdout rows of the sample, and where the real rows stood in their files."""
    if held:
        train, holdout = drawn[0], drawn[1]
        return train.table, holdout.table, [], np.concatenate([train.places, holdout.places])
    (train_rows, holdout_rows), notes, order = with_holdout(drawn[0].table, None, seed)
    return train_rows, holdout_rows, notes, drawn[0].places[order]


def _asks(questions: Questions, files: int) -> list[tuple[Key, ...]]:
    """What is counted of each file; pairs by rank of synthetic rows only."""
    pairs = len(questions.values) <= WIDE
    keys = tuple(questions.keys(pairs))
    ranked = tuple(questions.keys_by_rank()) if pairs else ()
    return [keys] * (files - 1) + [keys + ranked]


def _notes(
    rows: Mapping[str, int], drawn: Sequence[Sample], tables: Tables, kept: float
) -> list[Note]:
    """What was counted over all rows, and what was not."""
    told = f"{rows['train']:,} training, {rows['holdout']:,} holdout and {rows['synthetic']:,} synthetic"
    least, most = min(len(each.table) for each in drawn), max(len(each.table) for each in drawn)
    size = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    looked_at = "all rows"
    if kept < 1:
        looked_at = f"{kept:.2%} of the rows, in which a row is with all its copies or not at all"
    pairs = "pairs of columns, " if len(tables.values) <= WIDE else ""
    return [
        Note(
            f"All {told} rows were counted: missing values, levels and bins of columns, tails, "
            f"{pairs}groups and their labels. Copies of whole rows were looked for among {looked_at}. "
            f"Every other finding rests on {size} rows of each table, drawn at random: distances, models, "
            "attacks, copies of values. What concerns a few people may not be in them."
        )
    ]


def _persons(path: str | Path, named: Sequence[str | None]) -> list[Note]:
    """Whether the first rows of a file look as if several belonged to one person."""
    first = next(parts_of(path)[0].batches())[:LOOKED_AT]
    entity = find_entity(first, first)
    if entity is None or entity in named:
        return []
    return [
        Note(
            f"Several rows seem to belong to one person ('{entity}'), and were counted as independent: "
            "p-values are too small. Keep one row of each person, or audit a part in memory with "
            "--entity."
        )
    ]
