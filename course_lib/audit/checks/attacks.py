"""What do the synthetic rows tell an attacker of training rows that they do not tell of holdout rows?

The attacks are those of `course_lib.privacy.attacks`. Each is made on training rows and, as a control, on
holdout rows, of which the generator has seen nothing: only the difference counts. They need samples alone;
attacks that ask a model, or train others like it, are in lesson 11.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from course_lib.audit.checks.privacy import RECORDS, membership, not_testable
from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, measured
from course_lib.audit.sampling import sample_rows
from course_lib.audit.statistics import shares
from course_lib.audit.table import Tables
from course_lib.privacy import attacks

TARGETS = 500  # training rows, and as many holdout rows, whose secrets are guessed
KNOWN_ROWS = 5_000  # synthetic rows in which the attacker looks things up
COLUMNS = 14  # of those with the most different values, whose pairs of values are looked up
SECRETS = 3  # columns at most that are guessed where nobody says what the attacker knows
WITHIN = 0.02  # a number counts as guessed if it is off by at most this share of the truth
TRIALS, DESCRIBED, GUESSES = 5, 4, 40  # draws of columns, columns in each, descriptions of each
RISKS = ("attribute_inference", "linkage", "singling_out")


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Drafts about what an attacker with the synthetic rows finds out.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'membership_auc[single values]'
    """
    if not evidence.holdout_given:
        yield from map(not_testable, RISKS)
        return
    tables = evidence.tables
    if len(tables.values) < 2:
        return
    size = min(tables.n_train, tables.n_real - tables.n_train)
    yield from _verbatim(evidence, min(size, RECORDS), rng)
    real, made = _frames(tables)
    train, holdout = (
        side.iloc[sample_rows(len(side), min(size, TARGETS), rng)].reset_index(drop=True)
        for side in (real.iloc[: tables.n_train], real.iloc[tables.n_train :])
    )
    looked_up = made.iloc[sample_rows(len(made), KNOWN_ROWS, rng)].reset_index(drop=True)
    if len(looked_up) < len(made):
        yield Note(f"Attacks on secrets looked them up in {len(looked_up):,} synthetic rows.")
    yield from _inference(evidence, train, holdout, looked_up)
    yield _linkage(evidence, train, holdout, looked_up)
    yield _singling_out(evidence, train, holdout, looked_up, rng)


def _frames(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The compared columns of the real and of the synthetic rows: numbers, and levels as categories."""
    sides = []
    for part in ("real", "synthetic"):
        columns = {}
        for name, column in tables.values.items():
            values = getattr(column, part)
            if not column.is_number:
                values = pd.Categorical.from_codes(
                    values.astype(int), pd.Index(list(column.levels))
                )
            columns[name] = values
        sides.append(pd.DataFrame(columns))
    return sides[0], sides[1]


def _verbatim(evidence: Evidence, size: int, rng: np.random.Generator) -> Iterator[Draft]:
    """Membership by rare values, and by rare pairs of values in one row, that stand in the synthetic table.

    How rare they are is read from all real rows, training and holdout alike, so that swapping the two
    changes nothing.
    """
    tables = evidence.tables
    varied = sorted(tables.values.values(), key=lambda v: (-len(np.unique(v.real)), v.name))
    names = [column.name for column in varied[:COLUMNS]]
    real, made = (
        pd.DataFrame({name: getattr(tables.values[name], part) for name in names})
        for part in ("real", "synthetic")
    )
    records = pd.concat(
        [
            side.iloc[sample_rows(len(side), size, rng)]
            for side in (real.iloc[: tables.n_train], real.iloc[tables.n_train :])
        ]
    )
    for together, what in ((1, "single values"), (2, "pairs of values")):
        scores = attacks.verbatim_numbers(records, made, real, together)
        told = f"how rare the {what} of {len(names)} columns are that a record shares with a synthetic row"
        yield from membership(scores[:size], scores[size:], what, told, rng, evidence.margins)


def _risk(
    evidence: Evidence,
    metric: str,
    slice: str,
    found: tuple[int, int],
    size: int,
    told: str,
    columns: Sequence[str] = (),
) -> Draft:
    """How much more often of `size` times an attack finds training rows than holdout rows."""
    member, stranger = found
    return measured(
        "privacy",
        metric,
        slice,
        shares(member, size, stranger, size, side=1),
        margin=evidence.margins[metric],
        method=f"{told}: {member / size:.1%} of training rows, {stranger / size:.1%} of holdout rows; "
        "the difference counts",
        columns=columns,
    )


def _inference(
    evidence: Evidence, train: pd.DataFrame, holdout: pd.DataFrame, made: pd.DataFrame
) -> Iterator[Draft]:
    """Can a column be guessed from those that the attacker knows, by the closest synthetic row?"""
    tables = evidence.tables
    if evidence.aux:
        secrets = [name for name in tables.values if name not in evidence.aux]
    else:
        first = [*([tables.target.name] if tables.target else []), *tables.sensitive]
        varied = sorted(
            tables.values, key=lambda name: (-len(np.unique(tables.values[name].real)), name)
        )
        secrets = list(dict.fromkeys([*first, *varied]))[:SECRETS]
    for secret in secrets:
        known = list(evidence.aux) or [name for name in tables.values if name != secret]
        member, stranger = (
            int(attacks.infer_attribute(part, made, known, secret, WITHIN).sum())
            for part in (train, holdout)
        )
        within = f" to within {WITHIN:.0%}" if tables.values[secret].is_number else ""
        knows = f"from {len(known)} known columns" if not evidence.aux else _named(known)
        told = f"{secret} guessed{within} {knows}, by the closest synthetic row"
        found = (member, stranger)
        yield _risk(evidence, "attribute_inference", secret, found, len(train), told, [secret])


def _linkage(
    evidence: Evidence, train: pd.DataFrame, holdout: pd.DataFrame, made: pd.DataFrame
) -> Draft:
    """Does one synthetic row lie closest to both halves of a record?"""
    names = list(evidence.tables.values)
    one = list(evidence.aux) or names[::2]
    other = [name for name in names if name not in one]
    member, stranger = (
        int(attacks.link(part, made, one, other).sum()) for part in (train, holdout)
    )
    told = f"two parts of a record, {len(one)} columns and {len(other)}, tied together by one synthetic row"
    slice = "known columns with the others" if evidence.aux else "two halves of the columns"
    return _risk(evidence, "linkage", slice, (member, stranger), len(train), told)


def _singling_out(
    evidence: Evidence,
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    made: pd.DataFrame,
    rng: np.random.Generator,
) -> Draft:
    """Does a description that fits one synthetic row fit exactly one real row, too?

    A record counts once, however many descriptions fit it: they are not independent.
    """
    names = list(evidence.aux) or list(evidence.tables.values)
    asked = 0
    found: tuple[set[int], set[int]] = (set(), set())
    for trial in range(TRIALS):
        columns = list(rng.permutation(names)[:DESCRIBED])
        for who, part in zip(found, (train, holdout), strict=True):
            places = attacks.singled_out(part, made, columns, GUESSES, seed=trial)
            who |= set(places[places >= 0].tolist())
        asked += len(places)
    told = (
        f"exactly one row fitted by one of {asked} descriptions, which each fit one synthetic row"
    )
    people = (len(found[0]), len(found[1]))
    return _risk(evidence, "singling_out", "descriptions", people, max(asked, 1), told)


def _named(columns: Sequence[str]) -> str:
    return "from " + ", ".join(columns)
