"""Model collapse: fit, sample, fit to the samples, and so on, with the real data kept or thrown away."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from course_lib.files import write_whole
from course_lib.session import interactive, seed_everything
from course_lib.syllabus import unknown
from course_lib.training import fingerprint

Rows = np.ndarray | pd.DataFrame

REGIMES = {
    "replace": "each generation learns only from the samples of the last one",
    "accumulate": "each learns from the real rows and the samples of all generations so far",
    "budget": "as accumulate, but from a random selection as large as the real data",
}


def training_rows(made: Sequence[np.ndarray], regime: str, rng: np.random.Generator) -> np.ndarray:
    """What the next generation learns from.

    Args:
        made: the rows of each generation so far, (n, ...) each, the real ones first.
        regime: "replace", "accumulate" or "budget"; see REGIMES.
        rng: chooses the rows of a budget.

    Source: Gerstgrasser et al. 2024, arXiv 2404.01413 (replace, accumulate); Kazdan et al. 2024,
    arXiv 2410.16713 (the budget, there "accumulate-subsample").

    >>> made = [np.zeros(3), np.ones(3)]
    >>> training_rows(made, "accumulate", np.random.default_rng(0))
    array([0., 0., 0., 1., 1., 1.])
    """
    if regime == "replace":
        return made[-1]
    everything = np.concatenate(made)
    if regime == "accumulate":
        return everything
    chosen = rng.choice(len(everything), size=len(made[0]), replace=False)
    return everything[chosen]


def refit(
    fit: Callable[[np.ndarray], object],
    sample: Callable[[object, int], np.ndarray],
    data: np.ndarray,
    generations: int,
    learn_from: Callable[[list[np.ndarray]], np.ndarray],
) -> list[np.ndarray]:
    """The rows of every generation, the real ones first: fit, sample, fit to samples, and so on.

    `recursive` does the same and also seeds, checks, saves and measures each generation.

    Args:
        fit: maps rows to a model.
        sample: maps a model and a number m to m rows.
        data: the real rows, (n, ...); every generation makes n rows.
        learn_from: maps the rows of all generations so far to those that the next one learns from.

    >>> def sample(mean, n):
    ...     return np.full(n, mean)
    >>> refit(np.mean, sample, np.array([1.0, 3.0]), generations=1, learn_from=lambda made: made[-1])
    [array([1., 3.]), array([2., 2.])]
    """
    made = [data]
    for _ in range(generations):
        model = fit(learn_from(made))
        made.append(sample(model, len(data)))
    return made


@dataclass(frozen=True)
class Generations:
    """What a recursive training made.

    Attributes:
        rows: of each generation, beginning with the real rows, which are generation 0.
        table: one row for each generation: how many rows it learnt from, and what `measure` gave.

    >>> run = recursive(np.mean, lambda mean, n: np.full(n, mean), np.array([1.0, 3.0]), generations=2)
    >>> run[1]
    array([2., 2.])
    """

    rows: tuple[Rows, ...]
    table: pd.DataFrame

    def __getitem__(self, generation: int) -> Rows:
        """The rows that a generation made, ready for an audit; 0 is the real data."""
        return self.rows[generation]


def recursive(
    fit: Callable[[Rows], object],
    sample: Callable[[object, int], Rows],
    data: Rows,
    *,
    generations: int = 10,
    regime: str = "replace",
    fresh: float = 0.0,
    pool: Rows | None = None,
    measure: Callable[[Rows], Mapping[str, float]] | None = None,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> Generations:
    """Train generation after generation on what the ones before it made.

    The global generators of Python, NumPy and PyTorch are seeded before each generation, by `seed`
    and its number, and before each measure. So an interrupted run continues as if it had not been
    interrupted.

    Args:
        fit: maps rows to a model.
        sample: maps a model and a number m to m rows.
        data: the real rows, (n, ...) or a DataFrame; every generation makes n rows.
        regime: "replace", "accumulate" or "budget"; see REGIMES.
        fresh: from the second generation on, this share of the rows that a generation learns from is
            real, drawn for it from `pool`.
        pool: further real rows, never seen before: the "fresh data loop" of Alemohammad et al. 2023
            (arXiv 2307.01850). Without it the share comes from `data`, again and again: their
            "synthetic augmentation loop".
        measure: maps rows to numbers, which are kept in the table for each generation, 0 included.
        folder: save after each generation, and continue from there after an interruption. A folder
            belongs to one run: for other functions `fit` or `sample`, name another folder.
        progress: show a progress bar if somebody is watching.

    Raises:
        ValueError: for an unknown regime, a share out of range, samples that do not look like the data,
            or a folder that holds another run.

    >>> data = np.array([1.0, 3.0])
    >>> def sample(mean, n):
    ...     return np.full(n, mean)
    >>> run = recursive(np.mean, sample, data, generations=2, measure=lambda rows: {"sd": rows.std()})
    >>> run.table["sd"].to_list()
    [1.0, 0.0, 0.0]
    """
    if regime not in REGIMES:
        raise ValueError(unknown("regime", regime, REGIMES))
    if not 0 <= fresh <= 1:
        raise ValueError(f"fresh is a share of the rows, between 0 and 1; got {fresh}.")
    if len(data) < 2:
        raise ValueError(f"Recursive training needs at least two rows; got {len(data)}.")
    pool = data if pool is None else pool
    if different := _difference(pool, data):
        raise ValueError(f"The pool must hold rows like the data: {different}.")
    store = None
    if folder is not None:
        key = {"regime": regime, "fresh": fresh, "seed": seed, "data": fingerprint(data, pool)}
        store = _Store(Path(folder), key)
    made = [_plain(data)] if store is None else [_plain(data), *store.load(data, generations)]
    n, done = len(data), len(made) - 1
    watched = progress and (interactive() or sys.stderr.isatty())
    bar = tqdm(total=generations, initial=done, desc=regime, disable=not watched, leave=False)
    with bar:
        for number in range(done + 1, generations + 1):
            rng = np.random.default_rng([seed, number])
            learn_from = _learn_from(made, regime, fresh, pool, rng)
            seed_everything(int(rng.integers(2**31)))
            rows = sample(fit(learn_from), n)
            _check(rows, data, number)
            made.append(_plain(rows))
            if store is not None:
                store.save(made[-1], number)
            bar.update()
    learnt = [n, *(i * n if regime == "accumulate" else n for i in range(1, generations + 1))]
    measured = [_measured(measure, rows, seed) for rows in made]
    table = pd.DataFrame(measured, index=pd.RangeIndex(len(made), name="generation"))
    table.insert(0, "learnt from", learnt)
    return Generations(tuple(made), table)


def _measured(measure: Callable | None, rows: Rows, seed: int) -> dict[str, float]:
    if measure is None:
        return {}
    seed_everything(seed)  # so that a measure that draws gives the same after an interruption
    return dict(measure(rows))


def _learn_from(made: list[Rows], regime: str, fresh: float, pool: Rows, rng) -> Rows:
    """What the next generation learns from; the first always learns from the real rows."""
    if len(made) == 1:
        return made[0]
    numbers = np.split(np.arange(len(made) * len(made[0])), len(made))
    everything, chosen = _joined(made), training_rows(numbers, regime, rng)
    count = round(fresh * len(chosen))
    if not count:
        return _take(everything, chosen)
    kept = rng.choice(chosen, len(chosen) - count, replace=False)
    real = rng.choice(len(pool), count, replace=count > len(pool))
    return _joined([_take(everything, kept), _take(pool, real)])


def _plain(rows: Rows) -> Rows:
    """Numbered from 0: a table read back from its file has no other index."""
    return rows.reset_index(drop=True) if isinstance(rows, pd.DataFrame) else rows


def _joined(parts: list[Rows]) -> Rows:
    if isinstance(parts[0], pd.DataFrame):
        return pd.concat(parts, ignore_index=True)
    return np.concatenate(parts)


def _take(rows: Rows, index: np.ndarray) -> Rows:
    return rows.iloc[index] if isinstance(rows, pd.DataFrame) else rows[index]


def _check(rows: Rows, data: Rows, number: int) -> None:
    different = _difference(rows, data)
    if different or len(rows) != len(data):
        raise ValueError(
            f"Generation {number}: sample must give {len(data)} rows like the real ones; "
            f"{different or f'it gave {len(rows)}'}."
        )


def _difference(rows: object, data: Rows) -> str:
    """How rows differ from the data, apart from their number; empty if they do not."""
    if not isinstance(data, pd.DataFrame):
        if isinstance(rows, np.ndarray) and rows.shape[1:] == data.shape[1:]:
            return ""
        return f"not {_kind(rows)}, but an array of shape {('n', *data.shape[1:])}"
    if not isinstance(rows, pd.DataFrame) or list(rows.columns) != list(data.columns):
        return f"not {_kind(rows)}, but a DataFrame with the columns {list(data.columns)}"
    for name in data.columns:
        if rows[name].dtype != data[name].dtype:
            return f"column {name!r} is of type {rows[name].dtype}, not {data[name].dtype}"
    return ""


def _kind(rows: object) -> str:
    if isinstance(rows, pd.DataFrame):
        return f"a DataFrame with the columns {list(rows.columns)}"
    shape = f" of shape {rows.shape}" if isinstance(rows, np.ndarray) else ""
    return f"a {type(rows).__name__}{shape}"


class _Store:
    """One file for each generation, written whole or not at all, next to the settings of the run."""

    def __init__(self, folder: Path, key: Mapping[str, object]):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        settings = folder / "run.json"
        if not settings.exists():
            write_whole(settings, json.dumps(key))
        elif json.loads(settings.read_text(encoding="utf-8")) != key:
            raise ValueError(
                f"{folder} holds another run: other data, regime, share or seed. Name another folder, "
                "or delete it."
            )

    def load(self, data: Rows, generations: int) -> list[Rows]:
        """The saved generations, from the first up to the first gap."""
        found = []
        for number in range(1, generations + 1):
            file = self._file(number, data)
            if not file.exists():
                break
            if isinstance(data, pd.DataFrame):
                columns = json.loads(file.read_text(encoding="utf-8"))
                values = dict(enumerate(columns))  # names need not be text
                rows = pd.DataFrame(values, dtype=object).set_axis(data.columns, axis=1)
                found.append(rows.astype(data.dtypes))
            else:
                found.append(np.load(file, allow_pickle=False))
        return found

    def save(self, rows: Rows, number: int) -> None:
        file = self._file(number, rows)
        if isinstance(rows, pd.DataFrame):
            # Python's own JSON keeps every digit of a float; what is missing becomes null.
            values = [
                column.astype(object).where(column.notna(), None).tolist()
                for _, column in rows.items()
            ]
            write_whole(file, json.dumps(values, default=str))
            return
        write_whole(file, lambda stream: np.save(stream, rows, allow_pickle=False))

    def _file(self, number: int, rows: Rows) -> Path:
        ending = "json" if isinstance(rows, pd.DataFrame) else "npy"
        return self.folder / f"generation_{number:03}.{ending}"
