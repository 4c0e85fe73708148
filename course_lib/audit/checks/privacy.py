"""Do the synthetic rows give the training rows away? Attacks first, distances after.

Every test here rests on one fact: if the generator learnt a distribution and not its training rows,
these are as new to it as the holdout rows are, and swapping the two changes nothing.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min

from course_lib.audit.evidence import Evidence
from course_lib.audit.finding import Draft, Note, measured, stated
from course_lib.audit.sampling import sample_rows
from course_lib.audit.statistics import Comparison, Z, from_z, rank_sum, shares
from course_lib.privacy import attacks

RECORDS = 10_000  # training rows, and as many holdout rows, at most
MADE = 50_000  # synthetic rows at most,
QUERIES = 20_000  # and of these, rows whose nearest real ones are sought
# At which shares of strangers accused wrongly an attack is judged; and for each the shares of all records
# that are called members in its test.
RATES = {
    "membership_tpr": (0.01, (0.01, 0.1, 0.4)),
    "membership_tpr_thousandth": (0.001, (0.001, 0.005, 0.02)),
}
RESAMPLES = 100
ATTACKS = ("membership_auc", *RATES, "closer_to_training", "distance_to_closest")
BLIND = "distances are blind to most leaks: data that pass can be attacked all the same (arXiv 2505.01524)"


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
        yield not_testable("exact_copies")


def check(evidence: Evidence, rng: np.random.Generator) -> Iterator[Draft | Note]:
    """An attack on membership with the rows as points; after it the distances, which see less.

    >>> from course_lib.audit.table import prepare
    >>> table = pd.DataFrame({"x": [*range(20)] * 3, "sex": list("fmm") * 20})
    >>> found = check(Evidence(prepare(table, table, table)), np.random.default_rng(0))
    >>> next(found).finding.id
    'membership_auc[whole rows]'
    """
    if not evidence.holdout_given:
        yield from map(not_testable, ATTACKS)
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
    records = np.concatenate([sample(train, size), sample(holdout, size)])
    # After van Breugel et al. 2023, arXiv 2302.12580 (DOMIAS), with nearest neighbours for its densities:
    # how near a record's nearest synthetic row is, against its nearest other record. If the training rows
    # are as new to the generator as the holdout rows, the scores of both have one distribution.
    scores = attacks.domias(records, made, None, k=1)
    told = f"nearest synthetic row against nearest other record, {size:,} records of each kind"
    yield from membership(scores[:size], scores[size:], "whole rows", told, rng, margins)
    yield _closer(records, size, queries, margins)
    yield _distance(sample(train, MADE), sample(holdout, RECORDS), queries, margins)


def _copies(evidence: Evidence) -> Draft:
    """Rows that equal a training row: among the synthetic ones, and, by coincidence, in the holdout."""
    hashes = evidence.tables.row_hashes
    train, holdout, synthetic = hashes.train, hashes.holdout, hashes.synthetic
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


def not_testable(metric: str) -> Draft:
    """The finding of an attack that needs a holdout where none was given.

    >>> not_testable("linkage").finding.verdict
    'not testable'
    """
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
        caveat="very typical rows are near to many others without having been copied; " + BLIND,
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
        caveat=BLIND,
    )


def membership(
    member: np.ndarray,
    stranger: np.ndarray,
    slice: str,
    told: str,
    rng: np.random.Generator,
    margins: Mapping[str, float],
) -> Iterator[Draft]:
    """What an attack's scores of equally many training rows (n,) and holdout rows (n,) are worth.

    The area under the ROC curve, and the shares of training rows found where 1 % and 0.1 % of the holdout
    rows are accused wrongly, ties by lot.

    >>> scores = np.random.default_rng(0).normal(size=(2, 500))
    >>> drafts = membership(*scores, "x", "", np.random.default_rng(0), Evidence().margins)
    >>> [draft.finding.metric for draft in drafts]
    ['membership_auc', 'membership_tpr', 'membership_tpr_thousandth']
    """
    size, scores = len(member), np.concatenate([member, stranger])
    yield measured(
        "privacy",
        "membership_auc",
        slice,
        rank_sum(member, stranger).one_sided(1),
        margin=margins["membership_auc"],
        method=told,
    )
    again = [(rng.choice(member, size), rng.choice(stranger, size)) for _ in range(RESAMPLES)]
    for metric, (rate, tops) in RATES.items():
        p = 1.0
        for top in tops:  # few surest records, or many sure ones
            threshold = np.quantile(scores, 1 - top)
            above = [int((side > threshold).sum()) for side in (member, stranger)]
            p = min(p, len(tops) * (shares(above[0], size, above[1], size, side=1).p or 0.0))
        found = attacks.tpr_at_fpr(member, stranger, rate)
        sd = float(np.std([attacks.tpr_at_fpr(*both, rate) for both in again], ddof=1))
        yield measured(
            "privacy",
            metric,
            slice,
            Comparison(
                found,
                max(found - Z * sd, 0.0),
                min(found + Z * sd, 1.0),
                rate,
                p,
                from_z(0, float(np.sqrt(2 * rate / size)), size).detectable,
                size,
                side=1,
            ),
            margin=margins[metric],
            method=f"share of training rows found where {rate:.1%} of strangers are accused wrongly; "
            + told,
            caveat="the records that an attacker is surest of are the ones that are harmed",
        )
