"""The two ways in: three tables, or three arrays of features or images; a report comes out."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from course_lib.audit.alike import holdout_as_training
from course_lib.audit.checks import (
    attacks,
    bias,
    columns,
    geometry,
    leaks,
    likelihood,
    pairs,
    privacy,
    sequences,
    signal,
    structure,
    triples,
    utility,
)
from course_lib.audit.checks import modes as modes_check
from course_lib.audit.entities import LEAST_PERSONS, entity_findings, find_entity, one_row_each
from course_lib.audit.evidence import NO_TABLES, Check, Evidence, Sets
from course_lib.audit.finding import MARGINS, Draft, Finding, Note, judge
from course_lib.audit.nearest import nearest_pairs
from course_lib.audit.profile import Joint
from course_lib.audit.report import AuditReport
from course_lib.audit.schema import AuditError, Schema, listed
from course_lib.audit.summaries import summarise, summarise_joint, summarise_pairs
from course_lib.audit.table import FEW_PEOPLE, LEAST_ROWS, Tables, comparable, prepare
from course_lib.mode_collapse import Modes
from course_lib.session import interactive
from course_lib.syllabus import unknown

PARTS = ("training", "holdout", "synthetic")
JOINTS = 6  # pairs of columns at most that are drawn cell by cell
NEAREST = 78  # the stream of random numbers that draws rows for pairs
HELD_OUT = 0.3  # of the real rows, where no holdout is given
Table = Any  # a table of pandas, Polars, Arrow, or with the Arrow interface
Rows = TypeVar("Rows", pd.DataFrame, np.ndarray)


@dataclass(frozen=True)
class Stage:
    """A part of the audit that the progress bar shows."""

    name: str
    check: Check


def audit(
    real_train: Table,
    real_holdout: Table | None,
    synthetic: Table,
    schema: Schema | Mapping[str, str] | None = None,
    *,
    label: str | None = None,
    positive: object = None,
    sensitive: Sequence[str] | str = (),
    entity: str | None = None,
    aux: Sequence[str] | str = (),
    bands: Mapping[str, Sequence[float]] | None = None,
    groups_of: int = 2,
    log_likelihood: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    margins: Mapping[str, float] | None = None,
    level: float = 0.05,
    seed: int = 0,
    list_rows: bool = True,
    nearest: int = 0,
    progress: bool = True,
    **others: object,
) -> AuditReport:
    """Compare a synthetic table with the real table that it stands in for.

    Tests of fidelity and bias ask whether the synthetic rows and all real rows could be draws of one
    distribution; tests of privacy ask whether the training rows are nearer to the synthetic ones
    than the holdout rows are. Only a real holdout that the generator has not seen can tell that.

    Args:
        real_train: what the generator learnt from: a DataFrame of pandas or Polars, or an Arrow table.
        real_holdout: real rows of the same distribution that it has not seen, or None: then 30 % of
            `real_train` are set aside, and the report says so.
        synthetic: what it made.
        schema: column name to kind (see `schema.KINDS`), where inference is wrong; it is printed if
            it is not given.
        label: the column that is to be predicted. positive: its level that counts, for two levels.
        sensitive: columns whose groups, and groups of pairs, are compared; numbers by quarters.
        bands: of a sensitive column of numbers, where its groups begin and end: {"age": [18, 30, 65]} gives
            four groups. groups_of: how many sensitive columns are combined at most; 3 for triples, too.
        entity: the column that tells which rows belong to one person: they are one unit in every test
            and split. If it is not given, a column that is named and filled like one is taken.
        aux: columns that an attacker may know of people: from these every other column is guessed, linked
            and described. Without them the attacker is taken to know all columns but the one to guess.
        log_likelihood: what a model gives each row of the three tables, in nats.
        margins: metric to the smallest effect that matters; see `finding.MARGINS`.
        level: of the false discovery rate over the whole report.
        seed: for samples, splits and resampling; the report is the same for the same seed.
        list_rows: name the rows of people whose data came back; False for a report that others read: it
            also shows no level, group, bin or single value that fewer than 5 real rows have.
        nearest: how many pairs of a synthetic row and the training row nearest to it the report shows,
            value by value. They are data of people: none are shown without being asked for.
        progress: show a progress bar, and print an inferred schema.

    Raises:
        AuditError: for data that cannot be audited, with what was wrong and what to do.

    >>> from course_lib.datasets.loans import applicants
    >>> train, held_out, made = (applicants(300, seed=seed) for seed in range(3))
    >>> audit(train, held_out, made, progress=False)["levels[region]"].method
    'the same levels on both sides'
    """
    _no_arrays((real_train, real_holdout, synthetic), others)
    asked, known = names_of(sensitive), tuple(dict.fromkeys(names_of(aux)))
    label, entity = (None if name is None else str(name) for name in (label, entity))
    limits = checked_limits(margins, level, seed)
    given = real_holdout is not None
    train, made = as_pandas(real_train, "training"), as_pandas(synthetic, "synthetic")
    kept: pd.DataFrame | None = None
    rewritten: list[Draft] = []
    if real_holdout is not None:
        kept = as_pandas(real_holdout, "holdout")
        train, kept, rewritten = holdout_as_training(train, kept)
    units = _units(
        train,
        kept,
        made,
        entity,
        seed,
        limits["kolmogorov_smirnov"],
        [label, *asked],
    )
    held_out, notes, order = with_holdout(units.train, units.holdout, seed)
    if units.rows is not None and order is not None:
        order = units.rows[order]
    if schema is not None and not isinstance(schema, Schema):
        schema = _kinds(schema)
    if units.entity is not None:
        schema = {**_kinds(schema), units.entity: "identifier"}
    if nearest < 0:
        raise AuditError(f"nearest={nearest} must be the number of pairs to be shown, 0 or larger.")
    if nearest and not list_rows:
        raise AuditError(
            f"nearest={nearest} shows rows of people: do not hide the rows, or leave the pairs out."
        )
    least = 1 if list_rows else FEW_PEOPLE
    tables = prepare(
        *held_out, units.synthetic, schema, label, positive, asked, least, bands, groups_of
    )
    check_aux(known, tables)
    if schema is None and progress:
        print(tables.schema)
    likelihoods = _likelihoods(units.of(log_likelihood), (*held_out, units.synthetic))
    evidence = Evidence(
        tables,
        log_likelihood=likelihoods,
        margins=limits,
        seed=seed,
        holdout_given=given,
        real_order=units.rows if order is None else order,
        made_order=units.made,
        list_rows=list_rows,
        aux=known,
    )
    stages = stages_of(tables, [*units.drafts, *rewritten])
    if units.whole is not None:
        real, made = units.whole
        follow = partial(sequences.check, entity=str(units.entity), real=real, synthetic=made)
        stages.append(Stage("sequences", follow))
        every = _every_row(evidence, units)
        people = partial(_people, every=every, persons=real[units.entity])
        stages = [Stage("people", people) if each.name == "people" else each for each in stages]
    about = {"columns": len(tables.values), "label": label, "sensitive": asked}
    about["aux"] = list(known)
    about["entity"] = units.entity
    about["positive"] = tables.target.positive if tables.target else None
    report = report_of(evidence, stages, notes, about, level, progress)
    shown = nearest_pairs(evidence, nearest, np.random.default_rng([seed, NEAREST]))
    return replace(report, nearest=shown)


def stages_of(tables: Tables, persons: Sequence[Draft | Note] = ()) -> list[Stage]:
    """The parts of an audit of tables; `persons` is what was found about rows of one person.

    >>> table = pd.DataFrame({"x": range(20)})
    >>> [stage.name for stage in stages_of(prepare(table, table, table))][:3]
    ['structure', 'columns', 'pairs']
    """
    stages = [
        Stage("structure", structure.check),
        Stage("columns", columns.check),
        Stage("pairs", pairs.check),
        Stage("whole rows", geometry.check),
    ]
    if tables.target and tables.features:
        stages.append(Stage("utility", utility.check))
    if tables.sensitive:
        stages.append(Stage("bias", bias.check))
    return [
        *stages,
        Stage("copies", privacy.copies),
        Stage("privacy", privacy.check),
        Stage("people", leaks.check),
        Stage("attacks", attacks.check),
        Stage("persons", lambda *_: iter(persons)),
        Stage("triples", triples.check),
        Stage("signal", signal.check),
    ]


def audit_arrays(
    real_train: np.ndarray,
    real_holdout: np.ndarray | None,
    synthetic: np.ndarray,
    *,
    classes: Sequence[np.ndarray | None] | None = None,
    modes: Modes | None = None,
    log_likelihood: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    margins: Mapping[str, float] | None = None,
    level: float = 0.05,
    seed: int = 0,
    progress: bool = True,
) -> AuditReport:
    """Compare synthetic features or images with the real ones that they stand in for.

    The tests are those of `audit` that need no columns.

    Args:
        real_train: an array (n, ...) of features or images, which is flattened to (n, d).
        real_holdout, synthetic: arrays of rows of the same size.
        classes: one class to each row of the three arrays, None for a holdout that is not given: their
            shares are compared.
        modes: known modes.
        log_likelihood, margins, level, seed, progress: as in `audit`.

    Raises:
        AuditError: for arrays that cannot be audited, with what was wrong and what to do.

    >>> train, held_out, made = (np.random.default_rng(k).normal(size=(99, 2)) for k in range(3))
    >>> audit_arrays(train, held_out, made, progress=False).counts["fail"]
    0
    """
    for name, part in zip(PARTS, (real_train, real_holdout, synthetic), strict=True):
        if not isinstance(part, np.ndarray) and not (part is None and part is real_holdout):
            raise AuditError(
                f"The {name} data are a {type(part).__name__}, not an array. Tables are audited by "
                "`audit`; other rows become an array by `numpy.asarray`."
            )
    limits = checked_limits(margins, level, seed)
    held_out, notes, order = with_holdout(real_train, real_holdout, seed)
    if classes is not None and order is not None:
        classes = _split_classes(classes, order, len(held_out[0]))
    arrays = _checked_arrays(*held_out, synthetic)
    scale = arrays.train.std() or 1.0
    scaled = Sets(*(part / scale for part in arrays))
    known = None if modes is None else Modes(np.asarray(modes.centres) / scale, modes.sd / scale)
    tables = NO_TABLES if classes is None else _class_tables(classes, scaled)
    likelihoods = _likelihoods(log_likelihood, (*held_out, synthetic))
    given = real_holdout is not None
    evidence = Evidence(tables, scaled, known, likelihoods, limits, seed, given, real_order=order)
    stages = [
        Stage("whole rows", geometry.check),
        Stage("privacy", privacy.check),
        Stage("people", leaks.check),
    ]
    if known is not None:
        stages.append(Stage("modes", modes_check.check))
    if classes is not None:
        stages.append(Stage("classes", _classes))
    about = {"features": arrays.train.shape[1]}
    return report_of(evidence, stages, notes, about, level, progress)


def report_of(
    evidence: Evidence,
    stages: list[Stage],
    notes: list[Note],
    about: Mapping[str, Any],
    level: float,
    progress: bool,
) -> AuditReport:
    """Run the stages one after the other, and judge all that they found together.

    >>> table = pd.DataFrame({"x": range(20)})
    >>> evidence = Evidence(prepare(table, table, table))
    >>> len(report_of(evidence, [], [], {}, 0.05, False).findings)
    0
    """
    if evidence.log_likelihood is not None:
        stages = [*stages, Stage("likelihood", likelihood.check)]
    drafts: list[Draft] = []
    notes = list(notes)
    # One thread: on a shared machine two that wait for each other are up to ten times slower.
    with threadpool_limits(1):
        watched = progress and (interactive() or sys.stderr.isatty())
        bar = tqdm(stages, desc="audit", disable=not watched, leave=False)
        for number, stage in enumerate(bar):
            bar.set_description(f"audit: {stage.name}")
            # A stream of its own, so that a stage's numbers do not depend on what came before it.
            for each in stage.check(evidence, np.random.default_rng([evidence.seed, number])):
                if isinstance(each, Note):
                    notes.append(each)
                else:
                    drafts.append(each)
    tests = sum(draft.finding.p is not None for draft in drafts)
    sets = evidence.arrays or evidence.tables
    rows = {part: len(getattr(sets, part)) for part in ("train", "holdout", "synthetic")}
    compared = [] if evidence.arrays else list(evidence.tables.values.values())
    held = "given" if evidence.holdout_given else "set aside"
    findings = tuple(judge(drafts, level))
    return AuditReport(
        findings=findings,
        schema=None if evidence.arrays else evidence.tables.schema,
        notes=tuple(dict.fromkeys(note.text for note in notes)),
        about={
            "rows": rows,
            "holdout": held,
            "level": level,
            "seed": evidence.seed,
            "tests": tests,
            **about,
        },
        profiles=tuple(summarise(each, evidence.tables.least_people) for each in compared),
        associations=summarise_pairs(compared) if len(compared) > 1 else None,
        reliability=None if evidence.models is None else evidence.models.reliability(),
        joints=tuple(_joints(findings, evidence.tables)) if evidence.list_rows else (),
    )


def _joints(findings: Sequence[Finding], tables: Tables) -> Iterator[Joint]:
    """The pairs of columns that differ most, where that fails or warns."""
    grave = [each for each in findings if each.verdict in ("fail", "warn")]
    pairs = [each for each in grave if each.metric == "pair_total_variation"]
    for finding in sorted(pairs, key=lambda each: -each.effect)[:JOINTS]:
        if all(name in tables.values for name in finding.columns):
            yield summarise_joint(*(tables.values[name] for name in finding.columns))


def _classes(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """Of arrays: the classes, as one column that is sensitive."""
    for check in (structure.check, columns.check, bias.check):
        yield from check(evidence, rng)


def _split_classes(
    classes: Sequence[np.ndarray | None], order: np.ndarray, train: int
) -> list[np.ndarray | None]:
    """Classes of the training and holdout rows, where the holdout was set aside from the former."""
    own = np.asarray(classes[0]).ravel()
    if len(classes) != 3 or len(own) != len(order):
        return list(classes)  # refused where all three are looked at
    return [own[order[:train]], own[order[train:]], classes[2]]


def _class_tables(classes: Sequence[np.ndarray | None], parts: Sets) -> Tables:
    tables = [
        pd.DataFrame({"class": np.asarray([] if each is None else each).ravel()})
        for each in classes
    ]
    if [len(table) for table in tables] != [len(part) for part in parts]:
        raise AuditError(
            "classes= needs one class to each row of the training, holdout and synthetic arrays; got "
            f"{[len(t) for t in tables]} for {[len(p) for p in parts]} rows."
        )
    train, holdout, synthetic = tables
    return prepare(train, holdout, synthetic, {"class": "category"}, sensitive=["class"])


@dataclass(frozen=True)
class Units:
    """The tables with one row to each person; as they were where there is no column that tells persons.

    Attributes:
        rows: where the training rows, and then the holdout's, stood in their tables; None if all do.
        made: the same of the synthetic rows.
        whole: all real and all synthetic rows, where some were not drawn.
        known: how many of these real rows are training rows; 0 where no holdout was given.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame | None
    synthetic: pd.DataFrame
    entity: str | None = None
    rows: np.ndarray | None = None
    made: np.ndarray | None = None
    drafts: tuple[Draft | Note, ...] = ()
    whole: tuple[pd.DataFrame, pd.DataFrame] | None = None
    known: int = 0

    def of(self, given: Sequence[np.ndarray] | None) -> Sequence[np.ndarray] | None:
        """Of one number to each row of the three tables as given, those of the rows that were drawn."""
        if given is None or self.rows is None or self.made is None or self.holdout is None:
            return given
        ours, held = np.split(self.rows, [len(self.train)])
        parts = zip(given, (ours, held, self.made), strict=True)
        return [np.asarray(numbers, float).ravel()[rows] for numbers, rows in parts]


def _units(
    train: pd.DataFrame,
    holdout: pd.DataFrame | None,
    synthetic: pd.DataFrame,
    entity: str | None,
    seed: int,
    margin: float,
    others: Sequence[str | None],
) -> Units:
    found = entity or find_entity(train, synthetic)
    if found is None or (entity is None and found in others):
        return Units(train, holdout, synthetic)
    for table in (train, synthetic):
        persons = (
            table[found].map(str, na_action="ignore").nunique() if found in table else LEAST_PERSONS
        )
        if persons < LEAST_PERSONS:
            raise AuditError(
                f"entity={found}: the column has only {persons} different values, so that it does not tell "
                f"persons apart. At least {LEAST_PERSONS} are needed."
            )
    rng = np.random.default_rng([seed, 99])
    ours, theirs = (one_row_each(table, found, rng) for table in (train, synthetic))
    held = None if holdout is None else one_row_each(holdout, found, rng)
    rows = [ours.rows] if held is None else [ours.rows, held.rows]
    drafts = tuple(entity_findings(found, ours, held, theirs, margin))
    return Units(
        ours.table,
        None if held is None else held.table,
        theirs.table,
        found,
        np.concatenate(rows),
        theirs.rows,
        drafts,
        (train if holdout is None else pd.concat([train, holdout], ignore_index=True), synthetic),
        0 if holdout is None else len(train),
    )


def _every_row(evidence: Evidence, units: Units) -> Evidence:
    """The evidence of all rows of each person, where one of each was drawn for the other checks."""
    assert units.whole is not None
    real, made = units.whole
    known = units.known or len(real) // 2
    kinds = evidence.tables.schema.kinds()
    least = evidence.tables.least_people
    tables = prepare(real.iloc[:known], real.iloc[known:], made, kinds, least_people=least)
    return replace(evidence, tables=tables, real_order=None, made_order=None)


def _people(
    evidence: Evidence, rng: np.random.Generator, every: Evidence, persons: pd.Series
) -> Iterator[Draft | Note]:
    """What came back of any row of a person, and what resembles the one that was drawn."""
    codes, _ = pd.factorize(persons.astype(str))
    yield from leaks.copied(every, codes)
    yield from leaks.resembling(evidence, rng)


def _kinds(schema: Schema | Mapping[str, str] | None) -> dict[str, str]:
    if schema is None:
        return {}
    kinds = schema.kinds() if isinstance(schema, Schema) else dict(schema)
    return {str(name): kind for name, kind in kinds.items()}


def names_of(columns: Sequence[object] | object) -> list[str]:
    """Names of columns as the audit writes them, of one name or several; a number is written out.

    >>> names_of("sex"), names_of([3, "sex"])
    (['sex'], ['3', 'sex'])
    """
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        return [str(columns)]
    return [str(name) for name in columns]


def as_pandas(table: Any, part: str = "") -> pd.DataFrame:
    """A table of pandas as it is, with names that are strings; one of Polars, Arrow or another library as
    pandas' own.

    Args:
        part: which table it is, for the message.

    Raises:
        AuditError: if it is no table.

    >>> import pyarrow as pa
    >>> as_pandas(pa.table({"sex": ["f", "m"]}))["sex"].tolist()
    ['f', 'm']
    """
    if isinstance(table, pd.DataFrame):
        return comparable(table)
    if not (
        hasattr(table, "__arrow_c_stream__")
        or hasattr(table, "__dataframe__")
        or hasattr(table, "collect")
    ):
        raise _no_table(table, part)
    try:
        import narwhals as nw
    except ImportError as error:
        raise AuditError(
            "Tables of Polars and Arrow need narwhals and pyarrow: `pip install narwhals pyarrow`, or "
            "hand over a pandas DataFrame."
        ) from error
    try:
        frame = nw.from_native(table)
        whole = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    except TypeError:
        import pyarrow as pa

        try:
            whole = nw.from_native(pa.table(table), eager_only=True)
        except (TypeError, ValueError, pa.ArrowException):  # a column by itself, for example
            raise _no_table(table, part) from None
    return comparable(whole.to_pandas())


def _no_table(table: object, part: str) -> AuditError:
    told = "Features and images as arrays are audited by `audit_arrays`."
    if isinstance(table, str):
        told = "Files are read by the command `course-lib audit`."
    return AuditError(
        f"The {part} data must be a pandas DataFrame, or a table of Polars or Arrow; got "
        f"{type(table).__name__}. {told}"
    )


def checked_limits(
    margins: Mapping[str, float] | None, level: float, seed: int
) -> dict[str, float]:
    """The margins, those given in place of the usual ones. Raises AuditError for bad settings.

    >>> checked_limits({"mmd": 0.5}, level=0.05, seed=0)["mmd"]
    0.5
    """
    if bad := [name for name in margins or {} if name not in MARGINS]:
        raise AuditError(unknown("metric", bad[0], MARGINS))
    for name, margin in (margins or {}).items():
        if not 0 < margin < np.inf:
            raise AuditError(f"The margin {name}={margin} must be a number above 0, and finite.")
    if not 0 < level < 1:
        raise AuditError(f"level={level} must lie between 0 and 1.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise AuditError(f"seed={seed} must be a whole number, 0 or larger.")
    return {**MARGINS, **(margins or {})}


def check_aux(aux: Sequence[str], tables: Tables) -> None:
    """Raises AuditError for columns that an attacker cannot know, or if nothing is left to find out.

    >>> table = pd.DataFrame({"x": range(20), "sex": list("fm") * 10})
    >>> check_aux(["sex"], prepare(table, table, table))
    """
    compared = list(tables.values)
    for name in aux:
        if name in compared:
            continue
        kind = next((each.kind for each in tables.schema.columns if each.name == name), None)
        if kind is None:
            raise AuditError(f"aux=: {unknown('column', name, compared)}")
        raise AuditError(
            f"aux=: '{name}' was read as {kind}, which is not compared. Name other columns, or say what it "
            "is by schema=."
        )
    if aux and set(aux) == set(compared):
        raise AuditError("aux= names every column: leave at least one that the attacker finds out.")


def _no_arrays(parts: Sequence[object], others: Mapping[str, object]) -> None:
    """`audit` took arrays too, once."""
    if strange := [name for name in others if name not in ("classes", "modes")]:
        raise TypeError(f"audit() got an unexpected keyword argument '{strange[0]}'")
    arrays = [isinstance(part, np.ndarray) for part in parts]
    if others or any(arrays):
        what = f"{next(iter(others))}= is for arrays" if others else "These are arrays"
        raise AuditError(
            f"{what}: features and images are audited by `audit_arrays(real_train, real_holdout, "
            "synthetic, classes=..., modes=...)`. Tables must be pandas DataFrames, all three."
        )


def with_holdout(
    real: Rows, holdout: Rows | None, seed: int
) -> tuple[tuple[Rows, Rows], list[Note], np.ndarray | None]:
    """Training and holdout rows; the latter are set aside where none are given: then also their order.

    >>> (train, holdout), notes, order = with_holdout(np.arange(40.0)[:, None], None, seed=0)
    >>> len(train), len(holdout), len(order)
    (28, 12, 40)
    """
    if holdout is not None:
        return (real, holdout), [], None
    rows = len(real)
    if rows < 2 * LEAST_ROWS:
        raise AuditError(
            f"The real data have {rows} row{'s' * (rows != 1)}: too few to set a holdout aside. At "
            f"least {2 * LEAST_ROWS} are needed, or a holdout of its own."
        )
    order = np.random.default_rng(seed).permutation(rows)
    held, kept = np.split(order, [max(int(HELD_OUT * rows), LEAST_ROWS)])
    note = Note(
        f"No holdout was given: {len(held):,} of the {rows:,} real rows were set aside (seed {seed}). "
        "The generator may have learnt from them too. So the attacks on privacy are not testable, and "
        "models of synthetic rows score too well on them."
    )
    held, kept = np.sort(held), np.sort(kept)
    order = np.concatenate([kept, held])
    if isinstance(real, pd.DataFrame):
        return (real.iloc[kept], real.iloc[held]), [note], order
    return (real[kept], real[held]), [note], order


def _checked_arrays(*parts: np.ndarray) -> Sets:
    flat = []
    for name, part in zip(PARTS, parts, strict=True):
        if part.ndim < 2 or len(part) < LEAST_ROWS:
            raise AuditError(
                f"The {name} array has shape {part.shape}; it needs at least {LEAST_ROWS} rows, each "
                "of one feature or more."
            )
        if part.dtype.kind not in "fiub":
            raise AuditError(f"The {name} array holds {part.dtype}, not numbers.")
        part = part.reshape(len(part), -1).astype(np.float32)
        if not np.isfinite(part).all():
            bad = int((~np.isfinite(part)).any(axis=1).sum())
            raise AuditError(
                f"{bad} rows of the {name} array hold NaN or infinity. Drop or fill them first."
            )
        flat.append(part)
    if len({part.shape[1] for part in flat}) > 1:
        raise AuditError(
            f"The arrays' rows differ in size: {listed([part.shape[1:] for part in parts])}."
        )
    return Sets(*flat)


def _likelihoods(
    given: Sequence[np.ndarray] | None, parts: Sequence[pd.DataFrame | np.ndarray]
) -> Sets | None:
    if given is None:
        return None
    sets = [np.asarray(each, float).ravel() for each in given]
    if [len(each) for each in sets] != [len(part) for part in parts]:
        raise AuditError(
            "log_likelihood= needs one number to each row of the three sets; got "
            f"{[len(each) for each in sets]} for {[len(part) for part in parts]} rows."
        )
    if not all(np.isfinite(each).all() for each in sets):
        raise AuditError("log_likelihood= holds NaN or infinity: some rows have likelihood zero.")
    return Sets(*sets)
