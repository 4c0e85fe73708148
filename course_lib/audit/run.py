"""The audit: three tables (or arrays) in, a report out."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from course_lib.audit import features
from course_lib.audit.checks import (
    bias,
    columns,
    geometry,
    likelihood,
    pairs,
    privacy,
    utility,
)
from course_lib.audit.checks import (
    modes as mode_checks,
)
from course_lib.audit.finding import MARGINS, Draft, judge
from course_lib.audit.learners import Trials
from course_lib.audit.report import AuditReport
from course_lib.audit.schema import AuditError, Schema, listed
from course_lib.audit.table import LEAST_ROWS, Tables, prepare
from course_lib.mode_collapse import Modes
from course_lib.session import interactive
from course_lib.syllabus import unknown

HELD_OUT = 0.3  # of the real rows, where no holdout is given


@dataclass(frozen=True)
class Stage:
    """A part of the audit that the progress bar shows."""

    name: str
    drafts: Callable[[np.random.Generator], Iterator[Draft]]


def audit(
    real_train: pd.DataFrame | np.ndarray,
    real_holdout: pd.DataFrame | np.ndarray | None,
    synthetic: pd.DataFrame | np.ndarray,
    schema: Schema | Mapping[str, str] | None = None,
    *,
    label: str | None = None,
    positive: object = None,
    sensitive: Sequence[str] | str = (),
    classes: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    modes: Modes | None = None,
    log_likelihood: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    margins: Mapping[str, float] | None = None,
    level: float = 0.05,
    seed: int = 0,
    progress: bool = True,
) -> AuditReport:
    """Compare synthetic data with the real data that they stand in for.

    Tests of fidelity and bias ask whether the synthetic rows and all real rows could be draws of one
    law; tests of privacy ask whether the training rows are nearer to the synthetic ones than the
    holdout rows are, which only a real holdout, unseen by the generator, can tell.

    Args:
        real_train: what the generator learnt from: a DataFrame, or an array (n, ...) of features or
            images, which is flattened.
        real_holdout: real rows of the same law that it has not seen, or None: then 30 % of
            `real_train` are set aside, and the report says so.
        synthetic: what it made.
        schema: column name to kind (see `schema.KINDS`), where inference errs; printed if not given.
        label: the column that is to be predicted. positive: its level that counts, for two levels.
        sensitive: columns whose groups, and groups of pairs, are compared; numbers by quarters.
        classes: of arrays, one class to each row of the three: their shares are compared.
        modes: of arrays, known modes.
        log_likelihood: what a model gives each row of the three sets, in nats.
        margins: metric to the smallest effect that matters; see `finding.MARGINS`.
        level: of the false discovery rate over the whole report.
        seed: for samples, splits and resampling; the report is the same for the same seed.
        progress: show a progress bar, and print an inferred schema.

    Raises:
        AuditError: for data that cannot be audited, with what was wrong and what to do.
    """
    asked = [sensitive] if isinstance(sensitive, str) else list(sensitive)
    if bad := [name for name in margins or {} if name not in MARGINS]:
        raise AuditError(unknown("metric", bad[0], MARGINS))
    if not 0 < level < 1:
        raise AuditError(f"level={level} must lie between 0 and 1.")
    limits = {**MARGINS, **(margins or {})}
    notes: list[str] = []
    if real_holdout is None:
        real_train, real_holdout = _split(real_train, seed, notes)
    arrays = [isinstance(part, np.ndarray) for part in (real_train, real_holdout, synthetic)]
    if all(arrays):
        if label or asked or schema:
            raise AuditError(
                "Arrays have no columns, so no schema, label or sensitive columns: give DataFrames, or "
                "the classes of the rows as classes=(train, holdout, synthetic)."
            )
        parts = _checked_arrays(real_train, real_holdout, synthetic)
        stages = _array_stages(parts, classes, modes, limits, notes)
        kinds, about = None, {"features": parts[0].shape[1]}
    else:
        if classes is not None or modes is not None:
            raise AuditError("classes= and modes= are for arrays; of tables, name columns instead.")
        tables = prepare(
            real_train, real_holdout, synthetic, schema, label, positive, asked, limits
        )
        notes = tables.notes = notes + tables.notes
        if schema is None and progress:
            print(tables.schema)
        stages = _table_stages(tables)
        kinds = tables.schema
        about = {"columns": len(tables.values), "label": label, "sensitive": asked}
        about["positive"] = tables.positive
    if log_likelihood is not None:
        sets = [np.asarray(each, float).ravel() for each in log_likelihood]
        _check_likelihood(sets, (real_train, real_holdout, synthetic))
        stages.append(Stage("likelihood", lambda rng: likelihood.check(*sets, limits)))
    drafts: list[Draft] = []
    # One thread: on a shared machine two that wait for each other are up to ten times slower.
    with threadpool_limits(1):
        watched = progress and (interactive() or sys.stderr.isatty())
        bar = tqdm(stages, desc="audit", disable=not watched, leave=False)
        for number, stage in enumerate(bar):
            bar.set_description(f"audit: {stage.name}")
            # A stream of its own, so that a stage's numbers do not depend on what came before it.
            drafts += stage.drafts(np.random.default_rng([seed, number]))
    tests = sum(draft.finding.p is not None for draft in drafts)
    rows = {"train": len(real_train), "holdout": len(real_holdout), "synthetic": len(synthetic)}
    return AuditReport(
        findings=tuple(judge(drafts, level)),
        schema=kinds,
        notes=tuple(dict.fromkeys(notes)),
        about={"rows": rows, "level": level, "seed": seed, "tests": tests} | about,
    )


def _table_stages(tables: Tables) -> list[Stage]:
    trials: list[Trials] = []
    points: list[np.ndarray] = []

    def encoded() -> list[np.ndarray]:
        if not points:
            real, synthetic = features.encode(tables)
            points.extend([*np.split(real, [tables.n_train]), synthetic])
        return points

    def shape(rng: np.random.Generator) -> Iterator[Draft]:
        names = list(tables.values)
        raw = tuple(
            np.stack([getattr(each, side).astype(np.float32) for each in tables.values.values()], 1)
            for side in ("real", "synthetic")
        )
        return geometry.check(*encoded(), rng, tables.margins, tables.notes, names, raw)

    def useful(rng: np.random.Generator) -> Iterator[Draft]:
        trials.append(Trials(tables, rng))
        return utility.check(tables, rng, trials[0])

    stages = [
        Stage("structure", lambda rng: iter(tables.drafts)),
        Stage("columns", lambda rng: columns.check(tables, rng)),
        Stage("pairs", lambda rng: pairs.check(tables)),
        Stage("whole rows", shape),
    ]
    if tables.label and tables.features:
        stages.append(Stage("utility", useful))
    if tables.sensitive:
        stages.append(
            Stage("bias", lambda rng: bias.check(tables, rng, trials[0] if trials else None))
        )
    return [
        *stages,
        Stage("copies", lambda rng: privacy.check_table(tables)),
        Stage(
            "privacy",
            lambda rng: privacy.check(*encoded(), rng, tables.margins, tables.notes),
        ),
    ]


def _array_stages(parts, classes, modes, limits, notes) -> list[Stage]:
    scale = parts[0].std() or 1.0
    parts = [part / scale for part in parts]
    stages = [
        Stage("whole rows", lambda rng: geometry.check(*parts, rng, limits, notes)),
        Stage("privacy", lambda rng: privacy.check(*parts, rng, limits, notes)),
    ]
    if modes is not None:
        scaled = Modes(np.asarray(modes.centres) / scale, modes.sd / scale)
        stages.append(Stage("modes", lambda rng: mode_checks.check(*parts, scaled, limits)))
    if classes is not None:
        stages.append(Stage("classes", lambda rng: _class_drafts(classes, parts, rng, limits)))
    return stages


def _class_drafts(classes, parts, rng, limits) -> Iterator[Draft]:
    tables = [pd.DataFrame({"class": np.asarray(each).ravel()}) for each in classes]
    if [len(table) for table in tables] != [len(part) for part in parts]:
        raise AuditError(
            "classes= needs one class to each row of the training, holdout and synthetic arrays; got "
            f"{[len(t) for t in tables]} for {[len(p) for p in parts]} rows."
        )
    prepared = prepare(*tables, {"class": "category"}, None, None, ["class"], limits)
    yield from prepared.drafts
    yield from columns.check(prepared, rng)
    yield from bias.check(prepared, rng, None)


def _split(real, seed: int, notes: list[str]):
    rows = len(real)
    if rows < 2 * LEAST_ROWS:
        raise AuditError(
            f"The real data have {rows} row{'s' * (rows != 1)}: too few to set a holdout aside. At "
            f"least {2 * LEAST_ROWS} are needed, or a holdout of its own."
        )
    order = np.random.default_rng(seed).permutation(rows)
    held, kept = np.split(order, [int(HELD_OUT * rows)])
    notes.append(
        f"No holdout was given: {len(held):,} of the {rows:,} real rows were set aside (seed {seed}). "
        "If the generator learnt from them too, the findings on privacy are too kind."
    )
    take = (lambda index: real.iloc[index]) if isinstance(real, pd.DataFrame) else real.__getitem__
    return take(np.sort(kept)), take(np.sort(held))


def _checked_arrays(*parts: np.ndarray) -> list[np.ndarray]:
    names = ("training", "holdout", "synthetic")
    flat = []
    for name, part in zip(names, parts, strict=True):
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
    return flat


def _check_likelihood(sets, parts) -> None:
    if [len(each) for each in sets] != [len(part) for part in parts]:
        raise AuditError(
            "log_likelihood= needs one number to each row of the three sets; got "
            f"{[len(each) for each in sets]} for {[len(part) for part in parts]} rows."
        )
    if not all(np.isfinite(each).all() for each in sets):
        raise AuditError("log_likelihood= holds NaN or infinity: some rows have likelihood zero.")
