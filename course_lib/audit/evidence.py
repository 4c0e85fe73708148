"""What every check is handed: the rows in each form that a check may need, and the margins."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from course_lib.audit.features import encode
from course_lib.audit.finding import MARGINS, Draft, Note
from course_lib.audit.learners import Trials, prepare_trials
from course_lib.audit.schema import Schema
from course_lib.audit.table import Tables
from course_lib.mode_collapse import Modes

MODELS = 4  # number of the stream of random numbers that models are trained with


class Sets(NamedTuple):
    """One array to each of the three sets of rows, the same columns in each."""

    train: np.ndarray
    holdout: np.ndarray
    synthetic: np.ndarray

    @property
    def real(self) -> np.ndarray:
        """Training rows, then holdout rows."""
        return np.concatenate([self.train, self.holdout])


NO_TABLES = Tables(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {}, Schema(()))


@dataclass(frozen=True)
class Evidence:
    """The rows of one audit, in each form that a check may need.

    Attributes:
        tables: the columns. Of arrays: a column for their classes, or none.
        arrays: the rows (n, d) of `audit_arrays`, scaled; None where tables were given.
        modes: known modes of the arrays, in their scale.
        log_likelihood: what a model gives each row of the three sets (n,), in nats.
        margins: the smallest effect that matters, by metric.
        seed: of the audit.
        holdout_given: whether the holdout was given, and not set aside from the training rows.
        real_order: where each real row of `tables` stood in the training rows as they were given;
            None where it still stands there. made_order: the same of the synthetic rows.
        list_rows: whether findings may name rows.
        aux: columns that an attacker knows of people; empty where nobody said.
    """

    tables: Tables = NO_TABLES
    arrays: Sets | None = None
    modes: Modes | None = None
    log_likelihood: Sets | None = None
    margins: Mapping[str, float] = field(default_factory=lambda: MARGINS)
    seed: int = 0
    holdout_given: bool = True
    real_order: np.ndarray | None = None
    made_order: np.ndarray | None = None
    list_rows: bool = True
    aux: tuple[str, ...] = ()

    @property
    def seen(self) -> int:
        """How many of the real rows the generator has seen: all, where no holdout was given."""
        return self.tables.n_train if self.holdout_given else self.tables.n_real

    @cached_property
    def points(self) -> Sets:
        """The rows as points (n, d): the arrays, or the encoded columns."""
        if self.arrays is not None:
            return self.arrays
        real, synthetic = encode(self.tables)
        train, holdout = np.split(real, [self.tables.n_train])
        return Sets(train, holdout, synthetic)

    @cached_property
    def models(self) -> Trials | None:
        """Models that predict the label, trained when first asked for; None without a label.

        They have a stream of random numbers of their own, so that they are the same whichever check
        asks first.
        """
        if self.tables.target is None or not self.tables.features:
            return None
        stream = np.random.default_rng([self.seed, MODELS])
        return prepare_trials(self.tables, self.tables.target, stream)


Check = Callable[[Evidence, np.random.Generator], Iterator[Draft | Note]]
