"""Model collapse: fit, sample, fit to the samples, and so on, with real data kept in or thrown out."""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from course_lib.session import interactive, seed_everything
from course_lib.syllabus import unknown

Rows = np.ndarray | pd.DataFrame
REGIMES = {
    "replace": "each generation learns from the last one's samples only",
    "accumulate": "each learns from the real rows and the samples of all generations so far",
    "budget": "as accumulate, but from a random choice as large as the real data",
}


@dataclass(frozen=True)
class Generations:
    """What a recursive training made.

    Attributes:
        rows: of each generation, beginning with the real rows, which are generation 0.
        table: one row a generation: what `measure` gave, and how many rows it learnt from.
    """

    rows: tuple[Rows, ...]
    table: pd.DataFrame

    def __getitem__(self, generation: int) -> Rows:
        """The rows that a generation made, as an audit takes them; 0 is the real data."""
        return self.rows[generation]


def recursive(
    fit: Callable[[Rows], object],
    sample: Callable[[object, int], Rows],
    data: Rows,
    *,
    generations: int = 10,
    regime: str = "replace",
    fresh: float = 0.0,
    measure: Callable[[Rows], Mapping[str, float]] | None = None,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> Generations:
    """Train generation after generation on what the ones before it made.

    The global generators of Python, NumPy and PyTorch are seeded before each generation, by `seed`
    and its number, so that a run that was interrupted goes on as it would have.

    Args:
        fit: rows to a model. sample: a model and a number to so many rows.
        data: the real rows, (n, ...) or a DataFrame; every generation makes n rows.
        regime: "replace", "accumulate" or "budget"; see REGIMES.
        fresh: this share of what a generation learns from is real rows, drawn anew each time.
        measure: rows to numbers, kept in the table for each generation, 0 included.
        folder: save after each generation, and take up from there what was interrupted.

    Raises:
        ValueError: for an unknown regime, a share out of range, samples unlike the data, or a folder
            that holds another run.
    """
    if regime not in REGIMES:
        raise ValueError(unknown("regime", regime, REGIMES))
    if not 0 <= fresh <= 1:
        raise ValueError(f"fresh is a share of the rows, between 0 and 1; got {fresh}.")
    if len(data) < 2:
        raise ValueError(f"Recursive training needs at least two rows; got {len(data)}.")
    store = None if folder is None else _Store(Path(folder), data, regime, fresh, seed)
    made = [data] if store is None else [data, *store.load(data, generations)]
    learnt = [len(data)]
    watched = progress and (interactive() or sys.stderr.isatty())
    for number in tqdm(range(1, generations + 1), desc=regime, disable=not watched, leave=False):
        rng = np.random.default_rng([seed, number])
        learn_from = _training_rows(made[:number], regime, fresh, rng)
        learnt.append(len(learn_from))
        if number < len(made):
            continue  # saved by an earlier run
        seed_everything(int(rng.integers(2**31)))
        rows = sample(fit(learn_from), len(data))
        _check(rows, data, number)
        made.append(rows)
        if store is not None:
            store.save(rows, number)
    measured = [dict(measure(rows)) if measure else {} for rows in made]
    table = pd.DataFrame(measured, index=pd.RangeIndex(len(made), name="generation"))
    table.insert(0, "learnt from", learnt)
    return Generations(tuple(made), table)


def _training_rows(made: list[Rows], regime: str, fresh: float, rng) -> Rows:
    """What the next generation learns from; the first always learns from the real rows."""
    real, n = made[0], len(made[0])
    if len(made) == 1:
        return real
    rows = made[-1] if regime == "replace" else _joined(made)
    if regime == "budget":
        rows = _take(rows, rng.choice(len(rows), n, replace=False))
    if fresh:
        count = round(fresh * len(rows))
        kept = _take(rows, rng.choice(len(rows), len(rows) - count, replace=False))
        again = _take(real, rng.choice(n, count, replace=count > n))
        rows = _joined([kept, again])
    return rows


def _joined(parts: list[Rows]) -> Rows:
    if isinstance(parts[0], pd.DataFrame):
        return pd.concat(parts, ignore_index=True)
    return np.concatenate(parts)


def _take(rows: Rows, index: np.ndarray) -> Rows:
    return rows.iloc[index] if isinstance(rows, pd.DataFrame) else rows[index]


def _check(rows: Rows, data: Rows, number: int) -> None:
    if isinstance(data, pd.DataFrame):
        same = isinstance(rows, pd.DataFrame) and list(rows.columns) == list(data.columns)
        wanted = f"a DataFrame with the columns {list(data.columns)}"
    else:
        same = isinstance(rows, np.ndarray) and rows.shape[1:] == data.shape[1:]
        wanted = f"an array of shape {data.shape}"
    if not same or len(rows) != len(data):
        raise ValueError(
            f"Generation {number}: sample must give {len(data)} rows like the real ones, {wanted}; it "
            f"gave {type(rows).__name__} of shape {getattr(rows, 'shape', '?')}."
        )


class _Store:
    """One file a generation, written whole or not at all, beside the settings that made them."""

    def __init__(self, folder: Path, data: Rows, regime: str, fresh: float, seed: int):
        self.folder = folder
        self.key = {"regime": regime, "fresh": fresh, "seed": seed, "data": _digest(data)}
        folder.mkdir(parents=True, exist_ok=True)
        settings = folder / "run.json"
        if not settings.exists():
            self._write(settings, json.dumps(self.key).encode())
        elif json.loads(settings.read_text(encoding="utf-8")) != self.key:
            raise ValueError(
                f"{folder} holds another run: other data, regime, share or seed. Name another folder, "
                "or delete it."
            )

    def load(self, data: Rows, generations: int) -> list[Rows]:
        """The generations that are there, from the first to the first gap."""
        found = []
        for number in range(1, generations + 1):
            file = self._file(number, data)
            if not file.exists():
                break
            if isinstance(data, pd.DataFrame):
                text = file.read_text(encoding="utf-8")
                rows = pd.read_json(StringIO(text), orient="table").astype(data.dtypes)
            else:
                rows = np.load(file, allow_pickle=False)
            found.append(rows)
        return found

    def save(self, rows: Rows, number: int) -> None:
        file = self._file(number, rows)
        if isinstance(rows, pd.DataFrame):
            plain = rows.reset_index(drop=True)
            self._write(
                file, plain.to_json(orient="table", index=False, double_precision=15).encode()
            )
            return
        self._write(file, lambda handle: np.save(handle, rows, allow_pickle=False))

    def _file(self, number: int, rows: Rows) -> Path:
        ending = "json" if isinstance(rows, pd.DataFrame) else "npy"
        return self.folder / f"generation_{number:03}.{ending}"

    def _write(self, file: Path, content: bytes | Callable) -> None:
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=file.name, delete=False) as handle:
            try:
                content(handle) if callable(content) else handle.write(content)
                handle.close()
                os.replace(handle.name, file)
            except BaseException:
                os.unlink(handle.name)
                raise


def _digest(data: Rows) -> str:
    if isinstance(data, pd.DataFrame):
        content = pd.util.hash_pandas_object(data, index=False).to_numpy().tobytes()
        content += str(list(data.columns)).encode()
    else:
        content = np.ascontiguousarray(data).tobytes() + str((data.shape, data.dtype)).encode()
    return hashlib.sha256(content).hexdigest()
