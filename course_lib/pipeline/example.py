"""A folder to begin with: rows of a table cut into days, and a pipeline.toml whose contract fits them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.files import write_whole
from course_lib.pipeline.contract import as_csv
from course_lib.pipeline.journal import PipelineError

MADE = 1000  # generated rows a day: the more, the sooner a fault of the generator is seen
OFTEN = 0.2  # a number that more rows than this hold exactly has a cell of its own
MOST_LEVELS = 60  # a column of texts with more is no category
SETTINGS = """\
# docs/pipeline.md of the course explains every setting.
name = {name}

[data]
arrivals = "arrivals/*.csv"  # one file a day, in the order of their names
reference = "reference.csv"  # rows that you trust from the start

[gates]
days = 60          # within so many days a good stream is stopped
false_stop = 0.05  # with at most this chance
distance = {distance}    # a generator may be so far from the real rows

[generate]
method = "{method}"  # or {other}, or "module:function" of your own
rows = {rows}

{budget}[contract]
{label}groups = {groups}

{columns}
"""
BUDGET = """\
[budget]
epsilon = 4.0  # of all releases together
delta = 1e-6
releases = {releases}  # how many share it

"""


def table_named(source: str) -> tuple[pd.DataFrame, str | None, tuple[str, ...]]:
    """Rows of a CSV file, or of "loans" or "adult"; with the label and the groups of these two.

    Raises:
        PipelineError: for a file that cannot be read.
    """
    from course_lib.datasets.loans import applicants
    from course_lib.datasets.tables import adult

    if source == "adult":
        people = adult()
        # The sampling weight says nothing of a person, and what the schooling is called repeats its number.
        table = people.train.drop(columns=["fnlwgt", "education"], errors="ignore")
        return table, people.label, tuple(people.sensitive)
    if source == "loans":
        return (
            applicants(30_000, seed=17).drop(columns=["default"]),
            "approved",
            ("sex", "ethnicity"),
        )
    try:
        return pd.read_csv(source), None, ()
    except (OSError, ValueError) as error:
        raise PipelineError(f"{source} cannot be read: {error}") from None


def write_example(
    folder: Path,
    source: str,
    *,
    label: str | None = None,
    groups: Sequence[str] = (),
    days: int = 20,
    rows: int = 500,
    reference: int = 3000,
    method: str = "copula",
    seed: int = 0,
) -> None:
    """Write `reference.csv`, `arrivals/day-001.csv` and so on, and pipeline.toml.

    The contract allows the levels and the ranges that stand in the whole table. It is a beginning, to be
    corrected by who knows what the columns may hold: a private generator takes its cells from there.

    Args:
        folder: new, or empty.
        source: a CSV file, "loans" or "adult".
        days: the most days; rows: of a day; reference: rows that are trusted from the start.

    Raises:
        PipelineError: for a folder that holds something, or a table that does not suffice.
    """
    if folder.exists() and any(folder.iterdir()):
        raise PipelineError(f"{folder} is not empty.")
    table, known_label, known_groups = table_named(source)
    label, groups = label or known_label, tuple(groups) or known_groups
    for name in [*groups, *([label] if label else [])]:
        if name not in table:
            raise PipelineError(f"{source} has no column '{name}'.")
    if len(table) < reference + rows:
        raise PipelineError(f"{source} has {len(table):,} rows; wanted are {reference + rows:,}.")
    table = table.iloc[np.random.default_rng(seed).permutation(len(table))].reset_index(drop=True)
    table = table.drop(columns=[name for name in table if not _usable(table[name])])
    for name in map(str, table):
        if not _numeric(table[name]) or name in (label, *groups):
            table[name] = table[name].astype(object).map(str, na_action="ignore")
    (folder / "arrivals").mkdir(parents=True, exist_ok=True)
    write_whole(folder / "reference.csv", as_csv(table.head(reference)))
    for day in range(min(days, (len(table) - reference) // rows)):
        start = reference + day * rows
        part = table.iloc[start : start + rows]
        write_whole(folder / "arrivals" / f"day-{day + 1:03d}.csv", as_csv(part))
    private = method == "marginals"
    text = SETTINGS.format(
        name=json.dumps(folder.resolve().name),
        distance=0.25 if private else 0.15,  # noise and coarse cells move a distribution
        method=method,
        other='"copula"' if private else '"marginals", which is private',
        rows=MADE,
        budget=BUDGET.format(releases=days) if private else "",
        label=f"label = {json.dumps(label)}\n" if label else "",
        groups=json.dumps(list(groups)),
        columns="\n".join(_rule_lines(name, table[name]) for name in map(str, table)),
    )
    write_whole(folder / "pipeline.toml", text)


def _numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _usable(column: pd.Series) -> bool:
    return _numeric(column) or column.nunique() <= MOST_LEVELS


def _rule_lines(name: str, column: pd.Series) -> str:
    """The rule that the whole table keeps; the range of a number is that of its values."""
    lines = [f"[contract.columns.{json.dumps(name)}]"]
    if _numeric(column):
        whole = bool((column.dropna() % 1 == 0).all())
        lines += [f'kind = "{"integer" if whole else "number"}"']
        lines += [f"min = {float(column.min())!r}", f"max = {float(column.max())!r}"]
        shares = column.value_counts(normalize=True)
        if often := sorted(float(value) for value in shares.index[shares > OFTEN]):
            lines += [f"often = {often}  # many rows hold exactly this"]
    else:
        levels = sorted(column.dropna().unique())
        lines += ['kind = "category"', f"levels = {json.dumps(levels)}"]
    if column.isna().any():
        lines.append("missing = true")
    return "\n".join(lines) + "\n"
