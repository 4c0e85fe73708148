"""Do the synthetic rows give the training rows away? Attacks first, distances after.

Every test here rests on one fact: if the generator learnt a distribution and not its training rows,
these are as new to it as the holdout rows are, and swapping the two changes nothing.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors

from course_lib.audit.evidence import Evidence
from course_lib.audit.features import sample_rows
from course_lib.audit.finding import Draft, Note, measured, stated
from course_lib.audit.statistics import Comparison, Z, from_z, rank_sum, shares

RECORDS = 10_000  # training rows, and as many holdout rows, at most
MADE = 50_000  # synthetic rows at most,
QUERIES = 20_000  # and of these, rows whose nearest real ones are sought
FALSE_POSITIVES = 0.01
TOPS = (0.01, 0.1, 0.4)  # shares of all records that are called members in the test
ATTACKS = ("distance_to_closest", "closer_to_training", "membership_auc", "membership_tpr")


def copies(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft]:
    """What needs the values themselves: verbatim rows.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = copies(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.estimate
    0.0
    """
    if evidence.holdout_given:
        yield _copies(evidence)
    else:
        yield _not_testable("exact_copies")


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """Attacks by distance on the rows as points.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'distance_to_closest[whole rows]'
    """
    if not evidence.holdout_given:
        yield from map(_not_testable, ATTACKS)
        return
    (train, holdout, synthetic), margins = evidence.points, evidence.margins
    size = min(len(train), len(holdout), RECORDS)
    if max(len(train), len(holdout)) > RECORDS or len(synthetic) > MADE:
        yield Note(
            f"Attacks by distance used {size:,} training rows, as many holdout rows and "
            f"{min(len(synthetic), MADE):,} synthetic ones."
        )

    def sample(rows: np.ndarray, most: int) -> np.ndarray:
        return np.asarray(rows[sample_rows(len(rows), most, rng)])

    made = sample(synthetic, MADE)
    queries = sample(made, QUERIES)
    yield _distance(sample(train, MADE), sample(holdout, RECORDS), queries, margins)
    records = np.concatenate([sample(train, size), sample(holdout, size)])
    yield _closer(records, size, queries, margins)
    yield from _membership(records, size, made, rng, margins)


def _copies(evidence: Evidence) -> Draft:
    """Rows that equal a training row: among the synthetic ones, and, by coincidence, in the holdout."""
    tables = evidence.tables
    real, synthetic = tables.row_hashes
    train, holdout = np.split(real, [tables.n_train])
    copied, coincident = np.isin(synthetic, train), np.isin(holdout, train)
    return measured(
        "privacy",
        "exact_copies",
        "whole rows",
        shares(int(copied.sum()), len(synthetic), int(coincident.sum()), len(holdout), side=1),
        margin=evidence.margins["exact_copies"],
        method=f"{copied.sum():,} synthetic rows ({copied.mean():.1%}) equal a training row; of the "
        f"holdout rows {coincident.mean():.1%} do, by coincidence",
        caveat="rows with few possible values coincide without having been copied",
    )


def _not_testable(metric: str) -> Draft:
    told = "not testable: it needs real rows that the generator has not seen, as a holdout"
    return stated(metric, "whole rows", "not testable", told, family="privacy")


def _distance(
    train: np.ndarray, holdout: np.ndarray, made: np.ndarray, margins: Mapping[str, float]
) -> Draft:
    to, alone = (pairwise_distances_argmin_min(side, train)[1] for side in (made, holdout))
    return measured(
        "privacy",
        "distance_to_closest",
        "whole rows",
        rank_sum(-to, -alone).one_sided(1),
        margin=margins["distance_to_closest"],
        method="how often a synthetic row is nearer to its closest training row than a holdout row is "
        f"to its own; median distances {np.median(to):.3g} and {np.median(alone):.3g}",
        caveat="very typical rows are near to many others without having been copied",
    )


def _closer(
    records: np.ndarray, size: int, made: np.ndarray, margins: Mapping[str, float]
) -> Draft:
    (near, to), (near_holdout, to_holdout) = (
        pairwise_distances_argmin_min(made, side) for side in (records[:size], records[size:])
    )
    # Which of two equal crowds is nearer? A row that is equally near to both counts for neither.
    nearer = np.sign(np.round(to_holdout - to, 6))
    owner = np.where(nearer >= 0, near, near_holdout + size)
    # Rows that share their nearest record are dependent: each record counts as one observation.
    weight = np.bincount(owner, weights=np.abs(nearer), minlength=2 * size)
    estimate = float(0.5 + nearer.mean() / 2)
    se = float(np.sqrt((weight**2).sum()) / (2 * len(made)))
    return measured(
        "privacy",
        "closer_to_training",
        "whole rows",
        from_z(estimate, max(se, 0.5 / len(made)), size, null=0.5).one_sided(1),
        margin=margins["closer_to_training"],
        method=f"share of synthetic rows whose nearest real row is a training row, among {size:,} "
        "training rows and as many holdout rows",
        caveat="a few copied rows hardly move it; look at the attack",
    )


def _membership(
    records: np.ndarray,
    size: int,
    made: np.ndarray,
    rng: np.random.Generator,
    margins: Mapping[str, float],
) -> Iterator[Draft]:
    """The attack: a record is called a training row if synthetic rows are unusually near to it.

    The score is log(distance to the nearest other record) - log(distance to the nearest synthetic
    row): how near it is, relative to how crowded the place is. Under the null its distribution is the
    same for both kinds of record. After van Breugel et al. 2023, arXiv 2302.12580 (DOMIAS), with
    nearest neighbours for its densities.
    """
    crowd = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(records)
    alone = crowd.kneighbors()[0][:, 0]
    to = pairwise_distances_argmin_min(records, made)[1]
    tiny = 1e-6
    scores = np.log(alone + tiny) - np.log(to + tiny)
    member, stranger = scores[:size], scores[size:]
    told = f"nearest synthetic row against nearest other record, {size:,} records of each kind"
    yield measured(
        "privacy",
        "membership_auc",
        "whole rows",
        rank_sum(member, stranger).one_sided(1),
        margin=margins["membership_auc"],
        method=told,
    )
    p = 1.0
    for top in TOPS:  # few surest records, or many sure ones
        threshold = np.quantile(scores, 1 - top)
        above = [int((side > threshold).sum()) for side in (member, stranger)]
        p = min(p, len(TOPS) * (shares(above[0], size, above[1], size, side=1).p or 0.0))
    rate = _true_positives(member, stranger)
    again = [
        _true_positives(rng.choice(member, size), rng.choice(stranger, size)) for _ in range(200)
    ]
    sd = float(np.std(again, ddof=1))
    yield measured(
        "privacy",
        "membership_tpr",
        "whole rows",
        Comparison(
            rate,
            max(rate - Z * sd, 0.0),
            min(rate + Z * sd, 1.0),
            FALSE_POSITIVES,
            p,
            from_z(0, float(np.sqrt(2 * FALSE_POSITIVES / size)), size).detectable,
            size,
            side=1,
        ),
        margin=margins["membership_tpr"],
        method=f"share of training rows found where {FALSE_POSITIVES:.0%} of strangers are accused "
        "wrongly; " + told,
        caveat="the records that an attacker is surest of are the ones that are harmed",
    )


def _true_positives(member: np.ndarray, stranger: np.ndarray) -> float:
    return float((member > np.quantile(stranger, 1 - FALSE_POSITIVES)).mean())
