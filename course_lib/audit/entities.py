"""Rows of one person are one unit: which column tells the persons, and one row of each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.audit.finding import Draft, Note, measured, stated
from course_lib.audit.schema import AuditError, listed, names_a_person
from course_lib.audit.statistics import kolmogorov_smirnov

LEAST_ROWS = 2.0  # a person, on average, in a table with several rows each
LEAST_PERSONS = 20
CONSTANT = 0.9  # of the persons with several rows must have one value, in a column that is theirs


@dataclass(frozen=True)
class Persons:
    """One row of each person, drawn at random, and how many rows each had.

    Attributes:
        table: the drawn rows. rows: where they stand in the table as given.
        sizes: rows of each person (persons,).
        keys: of the persons, as text.
    """

    table: pd.DataFrame
    rows: np.ndarray
    sizes: np.ndarray
    keys: frozenset[str]


def find_entity(real: pd.DataFrame, synthetic: pd.DataFrame) -> str | None:
    """The column that tells which rows belong to one person, if the table has several rows of each.

    Its name says so (patient, customer_id), its values repeat in both tables, and another column hardly
    ever changes within a person.

    >>> visits = pd.DataFrame({"patient": np.repeat(range(30), 3), "sex": np.repeat(list("fmm") * 10, 3)})
    >>> find_entity(visits, visits)
    'patient'
    """
    for name in real.columns:
        if not isinstance(name, str) or name not in synthetic.columns or not names_a_person(name):
            continue
        if all(_repeats(table[name]) for table in (real, synthetic)) and _owns(real, name):
            return name
    return None


def _repeats(keys: pd.Series) -> bool:
    known = keys.dropna()
    try:
        persons = known.nunique()
    except TypeError:  # lists and records
        return False
    return bool(persons >= LEAST_PERSONS and len(known) >= LEAST_ROWS * persons)


def _owns(table: pd.DataFrame, name: str) -> bool:
    several = table[table[name].map(table[name].value_counts()) > 1]
    for other in table.columns:
        if other == name:
            continue
        try:
            if several[other].nunique() < 2:
                continue
            values = several.groupby(name, observed=True)[other].nunique()
        except TypeError:
            continue
        if (values <= 1).mean() >= CONSTANT:
            return True
    return False


def one_row_each(table: pd.DataFrame, entity: str, rng: np.random.Generator) -> Persons:
    """One row of each person at random. Raises AuditError if there is no such column.

    >>> visits = pd.DataFrame({"patient": [1, 1, 2], "x": [5, 5, 7]})
    >>> one_row_each(visits, "patient", np.random.default_rng(0)).table["x"].tolist()
    [5, 7]
    """
    if entity not in table.columns:
        raise AuditError(
            f"There is no column '{entity}' for entity=. The columns are: {listed(table.columns)}."
        )
    keys = table[entity].astype(str).where(table[entity].notna()).to_numpy(object)
    order = rng.permutation(len(table))
    drawn = pd.Series(keys[order])
    first = (~drawn.duplicated() & drawn.notna()).to_numpy(bool)
    rows = np.sort(order[first])
    sizes = pd.Series(keys).value_counts().to_numpy()
    return Persons(table.iloc[rows], rows, sizes, frozenset(keys[rows]))


def entity_findings(
    entity: str, train: Persons, holdout: Persons | None, synthetic: Persons, margin: float
) -> Iterator[Draft | Note]:
    """What is known of the persons: how many rows each has, and whether some are in both real tables.

    >>> visits = pd.DataFrame({"patient": [1, 1, 2], "x": [5, 5, 7]})
    >>> persons = one_row_each(visits, "patient", np.random.default_rng(0))
    >>> found = [*entity_findings("patient", persons, persons, persons, 0.05)]
    >>> found[-1].finding.verdict
    'fail'
    """
    yield Note(
        f"Rows with the same '{entity}' are one unit: one row of each was drawn at random, so that "
        f"{len(train.rows):,} training and {len(synthetic.rows):,} synthetic units were compared."
    )
    real = train.sizes if holdout is None else np.concatenate([train.sizes, holdout.sizes])
    yield measured(
        "fidelity",
        "kolmogorov_smirnov",
        f"rows of each {entity}",
        kolmogorov_smirnov(synthetic.sizes.astype(float), real.astype(float)),
        margin=margin,
        method=f"on average {synthetic.sizes.mean():.3g} synthetic rows and {real.mean():.3g} real ones",
        columns=[entity],
    )
    if holdout is not None:
        both = len(train.keys & holdout.keys)
        told = f"{both:,} of {len(holdout.keys):,} values of '{entity}' in the holdout are also in the "
        told += "training data, so that the holdout is not new to the generator"
        verdict = "fail" if both else "pass"
        yield stated("holdout_overlap", entity, verdict, told, [entity], both)
