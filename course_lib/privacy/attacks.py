"""Attacks on a synthetic table or a model: each gives every record a score, high for "it was learnt from".

An attack says nothing by itself. The same attack on records that were *not* learnt from, the control, says
how much of its success is luck or general knowledge; `auc`, `tpr_at_fpr` and `risk` compare the two.
"""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata
from sklearn.neighbors import NearestNeighbors


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """The chance that a member (n,) scores higher than another record (m,), ties counted as half.

    >>> auc(np.array([2.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    members, others = _scores(members, others)
    ranks = rankdata(np.concatenate([members, others]))[: len(members)]
    pairs = len(members) * len(others)
    return float((ranks.sum() - len(members) * (len(members) + 1) / 2) / pairs)


def tpr_at_fpr(members: np.ndarray, others: np.ndarray, fpr: float = 0.01) -> float:
    """The share of members (n,) above a threshold that a share `fpr` of the others (m,) exceeds.

    Of records that tie at the threshold the attacker accuses as many as the rate allows, by lot: the
    expected rate on the straight line between two points of the ROC curve. Without it, a tie that more than
    `fpr` of the others share hides everyone above it or counts everyone in it. Source: Carlini et
    al. 2022, "Membership inference attacks from first principles", arXiv 2112.03570, section 3.

    Raises:
        ValueError: for no scores, scores that are not numbers, or a rate outside 0 to 1.

    >>> tpr_at_fpr(np.array([3.0, 1.0]), np.array([2.0, 1.0, 1.0, 0.0]), fpr=0.25)
    0.5
    """
    members, others = _scores(members, others)
    if not 0 <= fpr <= 1:
        raise ValueError(f"A rate lies between 0 and 1; got {fpr}.")
    thresholds = np.unique(np.concatenate([members, others]))[::-1]

    def at_least(scores: np.ndarray) -> np.ndarray:
        below = np.searchsorted(np.sort(scores), thresholds, side="left")
        return np.concatenate([[0.0], 1 - below / len(scores)])

    false, true = at_least(others), at_least(members)
    last = np.searchsorted(false, fpr, side="right") - 1  # the most members at this rate or less
    if false[last] == fpr or last + 1 == len(false):
        return float(true[last])
    along = (fpr - false[last]) / (false[last + 1] - false[last])
    return float(true[last] + along * (true[last + 1] - true[last]))


def value_reuse(records: np.ndarray, synthetic: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """How surprising it is to find each record's value in one synthetic column: (n,).

    A value that a share f of the reference rows has would be found among m synthetic rows with the chance
    1 - (1 - f)^m if the record had not been learnt from. Where it is found, the score is minus the
    logarithm of that chance: much for a rare number, hardly anything for a common level. Where it is not
    found, the score is 0. One row with the value is added to the reference, so that none is impossible.

    Args:
        records, synthetic, reference: one column of each table, (n,), (m,) and (l,), none missing.

    >>> value_reuse(np.array([1.5, 7.0]), np.array([1.5, 2.0]), np.array([2.0, 2.0, 9.0])).round(2)
    array([0.83, 0.  ])
    """
    values, codes = np.unique(np.concatenate([records, synthetic, reference]), return_inverse=True)
    n, m = len(records), len(synthetic)
    found = np.bincount(codes[n : n + m], minlength=len(values)) > 0
    share = (np.bincount(codes[n + m :], minlength=len(values)) + 1) / (len(reference) + 1)
    chance = 1 - (1 - share) ** m
    return np.where(found, -np.log(chance), 0.0)[codes[:n]]


def verbatim_numbers(
    records: pd.DataFrame, synthetic: pd.DataFrame, reference: pd.DataFrame, together: int = 1
) -> np.ndarray:
    """How surprising it is that a record's own values stand in the synthetic table: (n,).

    The sum of `value_reuse` over the columns, or over the combinations of columns.

    Args:
        records: the candidates.
        synthetic: what was published.
        reference: other rows of the same population with the same columns, neither learnt from nor
            candidates.
        together: 1 looks for single values; 2 for pairs of values of two columns in one row, and so on:
            rare combinations.

    Raises:
        ValueError: when the tables differ in columns, or one has no rows.

    >>> synthetic, reference = pd.DataFrame({"x": [1.5, 2.0]}), pd.DataFrame({"x": [2.0, 2.0, 9.0]})
    >>> verbatim_numbers(pd.DataFrame({"x": [1.5, 7.0]}), synthetic, reference).round(2)
    array([0.83, 0.  ])
    """
    names = list(records)
    for table in (synthetic, reference):
        if set(table) != set(names):
            raise ValueError("The three tables must have the same columns.")
    if not min(len(records), len(synthetic), len(reference)):
        raise ValueError("Each of the three tables needs at least one row.")
    tables = pd.concat([records, synthetic[names], reference[names]], ignore_index=True)
    codes = {name: pd.factorize(tables[name], use_na_sentinel=False)[0] for name in names}
    n, m = len(records), len(synthetic)
    scores = np.zeros(n)
    for chosen in combinations(names, together):
        code = codes[chosen[0]]
        for name in chosen[1:]:
            code = pd.factorize(code.astype(np.int64) * (codes[name].max() + 1) + codes[name])[0]
        scores += value_reuse(code[:n], code[n : n + m], code[n + m :])
    return scores


def closest_record(records: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """Minus the distance of each record (n, d) to the closest synthetic row (m, d): (n,).

    The best-known check, and a weak one: it does not see most of what the other attacks find
    (Yao et al. 2025, arXiv 2505.01524).

    >>> closest_record(np.array([[0.0], [3.0]]), np.array([[1.0]]))
    array([-1., -2.])
    """
    return -_distance(records, synthetic, 1)


def copied_from(made: np.ndarray, records: np.ndarray, ratio: float = 1 / 3) -> np.ndarray:
    """Which record each synthetic row or image copies, -1 if none: (m,).

    A row is a copy of its nearest record if that is less than `ratio` times as far as the second nearest.
    Rows that lie between records are no copies, however near they are. Source: Gu et al. 2023, "On
    memorization in diffusion models", arXiv 2310.02664, section 2, with a third for images. How many of the
    records that nobody learnt from are copied in this sense says how many copies are luck.

    Args:
        made, records: (m, d) and (n, d) numbers of comparable scale, n at least 2.

    >>> copied_from(np.array([[0.1], [0.5]]), np.array([[0.0], [1.0]]))
    array([ 0, -1])
    """
    distance, place = NearestNeighbors(n_neighbors=2).fit(records).kneighbors(made)
    return np.where(distance[:, 0] < ratio * distance[:, 1], place[:, 0], -1)


def domias(
    records: np.ndarray, synthetic: np.ndarray, reference: np.ndarray | None, k: int = 5
) -> np.ndarray:
    """The logarithm of the density of synthetic rows at each record, over that of real rows: (n,).

    Densities are those of the k-th nearest neighbour: with distance r_k among m points in d dimensions,
    k / (m r_k^d) up to a constant. Where a model has memorised, synthetic rows are denser than the
    population. After DOMIAS (van Breugel et al. 2023, arXiv 2302.12580, equation 2).

    Args:
        records, synthetic: (n, d) and (m, d) numbers of comparable scale.
        reference: other real rows (l, d); None takes for each record the other records.

    Raises:
        ValueError: when a table has fewer than k rows.

    >>> near, far = np.array([[0.0], [0.1]]), np.array([[2.0], [4.0]])
    >>> bool(domias(np.array([[0.05]]), near, far, k=1)[0] > 0)
    True
    """
    d = records.shape[1]
    made, real = (_distance(records, table, k) for table in (synthetic, reference))
    least = 1e-6 * max(made.max(), real.max(), 1e-300)
    sizes = np.log((len(records) - 1 if reference is None else len(reference)) / len(synthetic))
    return sizes + d * (np.log(real.clip(min=least)) - np.log(made.clip(min=least)))


def lira(target: np.ndarray, references: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The likelihood ratio attack: log N(s; in) - log N(s; out) of each record's score s, (n,).

    Args:
        target: the scores of the records by the model under attack, (n,), for example log-likelihoods.
        references: their scores by m models that were trained in the same way, (m, n).
        inside: which of these models learnt from which record, (m, n) bool.

    Each record has two means of its own, and all share two standard deviations, which is steadier with few
    models. Source: Carlini et al. 2022, arXiv 2112.03570, algorithm 1.

    Raises:
        ValueError: when a record was in all reference models, or in none.

    >>> references = np.array([[1.0, 0.0], [0.0, 1.0], [1.2, 0.1], [0.1, 1.3]])
    >>> lira(np.array([1.1, 0.1]), references, references > 0.5) > 0
    array([ True, False])
    """
    if not (inside.any(axis=0) & ~inside.all(axis=0)).all():
        raise ValueError("Each record must be in at least one reference model and out of another.")
    said = np.zeros(len(target))
    for side, sign in ((inside, 1), (~inside, -1)):
        count = side.sum(axis=0)
        mean = np.where(side, references, 0).sum(axis=0) / count
        spread = np.where(side, (references - mean) ** 2, 0).sum()
        freedom = max((count - 1).sum(), 1)
        said += sign * norm.logpdf(target, mean, max(np.sqrt(spread / freedom), 1e-12))
    return said


def rmia(
    target: np.ndarray,
    references: np.ndarray,
    population: np.ndarray,
    population_references: np.ndarray,
    gamma: float = 1.0,
) -> np.ndarray:
    """The robust membership attack: the share of population points that a record's ratio beats, (n,).

    A record's ratio is p(x | model) / p(x), where p(x) is its mean likelihood by the reference models.

    Args:
        target: log-likelihoods of n records by the model under attack, (n,).
        references: the same by m models that did not learn from the records, (m, n); NaN where one did.
        population, population_references: both for l points that nobody learnt from, (l,) and (m, l).
        gamma: by which factor a record must beat a point of the population.

    Source: Zarifzadeh, Liu and Shokri 2024, "Low-cost high-power membership inference attacks",
    arXiv 2312.03262, section 3.

    >>> rmia(np.array([2.0, 0.0]), np.zeros((1, 2)), np.array([0.5, 1.0]), np.zeros((1, 2)))
    array([1., 0.])
    """
    ratio, others = (
        own - _log_mean(many)
        for own, many in ((target, references), (population, population_references))
    )
    return np.searchsorted(np.sort(others), ratio - np.log(gamma), side="right") / len(others)


class Risk(NamedTuple):
    """How often an attack succeeds on members and on the control, and the difference with its interval."""

    members: float
    control: float
    above: float
    low: float
    high: float


def risk(members: np.ndarray, control: np.ndarray, level: float = 0.95) -> Risk:
    """An attack's success on members (n,) bool above that on a control (m,) bool.

    The interval of the difference is Newcombe's (1998, method 10), from two intervals of Wilson. What an
    attacker can guess of strangers, too, is knowledge of the world and no leak (Giomi et al. 2023,
    "A unified framework for quantifying privacy risk in synthetic data", arXiv 2211.10459).

    >>> risk(np.array([True] * 9 + [False]), np.array([True] * 2 + [False] * 8)).above.__round__(2)
    0.7
    """
    (one, one_low, one_high), (two, two_low, two_high) = (
        _wilson(np.asarray(hits, bool), level) for hits in (members, control)
    )
    above = one - two
    low = above - np.hypot(one - one_low, two_high - two)
    high = above + np.hypot(one_high - one, two - two_low)
    return Risk(one, two, above, float(low), float(high))


def infer_attribute(
    targets: pd.DataFrame,
    synthetic: pd.DataFrame,
    known: list[str],
    secret: str,
    within: float = 0.0,
) -> np.ndarray:
    """Whether an attacker guesses a secret from known columns, by the closest synthetic row: (n,) bool.

    Args:
        known: the columns that the attacker knows of the targets.
        secret: the column to guess.
        within: a number counts as guessed when it is off by at most this share of the truth.

    >>> synthetic = pd.DataFrame({"age": [30, 60], "ill": ["no", "yes"]})
    >>> targets = pd.DataFrame({"age": [31, 59], "ill": ["no", "no"]})
    >>> infer_attribute(targets, synthetic, ["age"], "ill")
    array([ True, False])
    """
    closest = nearest_rows(targets[known], synthetic[known], 1)[:, 0]
    said, truth = synthetic[secret].iloc[closest].reset_index(drop=True), targets[secret]
    truth = truth.reset_index(drop=True)
    if pd.api.types.is_numeric_dtype(truth) and not pd.api.types.is_bool_dtype(truth):
        right = (said - truth).abs() <= within * truth.abs()
    else:
        right = said.astype(object) == truth.astype(object)
    return (right.fillna(False) | (said.isna() & truth.isna())).to_numpy(bool)


def link(
    targets: pd.DataFrame, synthetic: pd.DataFrame, one: list[str], other: list[str], k: int = 1
) -> np.ndarray:
    """Whether a synthetic row ties two halves of a record together: (n,) bool.

    An attacker who holds the columns `one` of a person in one file and `other` in another takes the k
    synthetic rows that are closest to each half. A row in both sets links the files (Giomi et al. 2023,
    section 4.2).

    >>> synthetic = pd.DataFrame({"age": [30, 60], "pay": [10, 90]})
    >>> targets = pd.DataFrame({"age": [31, 31], "pay": [12, 88]})
    >>> link(targets, synthetic, ["age"], ["pay"])
    array([ True, False])
    """
    sets = (nearest_rows(targets[part], synthetic[part], k) for part in (one, other))
    return np.array([bool(set(a) & set(b)) for a, b in zip(*sets, strict=True)])


def single_out(
    records: pd.DataFrame, synthetic: pd.DataFrame, columns: list[str], guesses: int, seed: int = 0
) -> np.ndarray:
    """Whether a description read off a synthetic row fits exactly one record: (guesses,) bool.

    As `singled_out`, which also tells which record.

    >>> records = pd.DataFrame({"age": [30, 40, 50, 99]})
    >>> single_out(records, pd.DataFrame({"age": [35, 45, 45, 98]}), ["age"], guesses=1)
    array([ True])
    """
    return singled_out(records, synthetic, columns, guesses, seed) >= 0


def singled_out(
    records: pd.DataFrame, synthetic: pd.DataFrame, columns: list[str], guesses: int, seed: int = 0
) -> np.ndarray:
    """The one record that a description read off a synthetic row fits, -1 if none or several: (guesses,).

    A description takes the values of `columns` from a synthetic row: equal for levels; for numbers, at
    least or at most the value, whichever side of the median it lies on. Descriptions that fit several
    synthetic rows are passed over, as an attacker looks for somebody unique. Source: the predicates of
    Giomi et al. 2023, section 4.1.

    >>> records = pd.DataFrame({"age": [30, 40, 50, 99]})
    >>> singled_out(records, pd.DataFrame({"age": [35, 45, 45, 98]}), ["age"], guesses=1)
    array([0])
    """
    rng, places = np.random.default_rng(seed), []
    sides = [_comparable(synthetic[name], records[name]) for name in columns]
    for row in rng.permutation(len(synthetic)):
        fits = [np.ones(len(table), bool) for table in (synthetic, records)]
        for middle, *both in sides:
            value = both[0][row]
            for fit, x in zip(fits, both, strict=True):
                if middle is None or np.isnan(value):
                    fit &= (x == value) | ((x != x) & (value != value))
                else:
                    fit &= x >= value if value >= middle else x <= value
        if fits[0].sum() == 1:
            places.append(int(fits[1].argmax()) if fits[1].sum() == 1 else -1)
        if len(places) == guesses:
            break
    return np.array(places, int)


def nearest_rows(targets: pd.DataFrame, rows: pd.DataFrame, k: int) -> np.ndarray:
    """The places of the k rows closest to each target, (n, k), by Gower's distance of mixed columns.

    A number counts by its difference over the rows' range, a level by being equal or not, and so does a
    missing value (Gower 1971, "A general coefficient of similarity and some of its properties").

    Raises:
        ValueError: when there are fewer than k rows.

    >>> nearest_rows(pd.DataFrame({"x": [4]}), pd.DataFrame({"x": [0, 5, 9]}), 2)
    array([[1, 0]])
    """
    if len(rows) < k:
        raise ValueError(f"{k} rows are wanted of {len(rows)}.")
    a, b = [], []
    for name in rows:
        both = pd.concat([targets[name], rows[name]], ignore_index=True)
        if pd.api.types.is_numeric_dtype(both) and not pd.api.types.is_bool_dtype(both):
            x = both.to_numpy(float, na_value=np.nan)
            width = np.nanmax(x[len(targets) :]) - np.nanmin(x[len(targets) :])
            gone = np.isnan(x)
            columns = [np.where(gone, 0, x / (width or 1)), gone.astype(float)]
        else:
            codes = pd.factorize(both, use_na_sentinel=False)[0]
            columns = list(
                0.5 * np.eye(codes.max() + 1)[codes].T
            )  # two entries differ by a half each
        a += [column[: len(targets)] for column in columns]
        b += [column[len(targets) :] for column in columns]
    found = NearestNeighbors(n_neighbors=k, metric="manhattan").fit(np.stack(b, axis=1))
    return found.kneighbors(np.stack(a, axis=1), return_distance=False)


def _scores(*given: np.ndarray) -> list[np.ndarray]:
    scores = [np.asarray(side, float).ravel() for side in given]
    if not all(len(side) and not np.isnan(side).any() for side in scores):
        raise ValueError("Scores of at least one record on each side are wanted, none missing.")
    return scores


def _log_mean(logs: np.ndarray) -> np.ndarray:
    """log of the mean of exp(logs) over the first dimension, without the entries that are NaN."""
    known = ~np.isnan(logs)
    return np.logaddexp.reduce(np.where(known, logs, -np.inf), axis=0) - np.log(known.sum(axis=0))


def _distance(records: np.ndarray, rows: np.ndarray | None, k: int) -> np.ndarray:
    """To the k-th nearest of the rows, or where there are none to the k-th nearest other record."""
    others = len(records) - 1 if rows is None else len(rows)
    if others < k:
        raise ValueError(f"{k} neighbours are wanted of {others} rows.")
    crowd = NearestNeighbors(n_neighbors=k).fit(records if rows is None else rows)
    return crowd.kneighbors(None if rows is None else records)[0][:, -1]


def _wilson(hits: np.ndarray, level: float) -> tuple[float, float, float]:
    z, n, p = norm.ppf(0.5 + level / 2), len(hits), hits.mean()
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return float(p), float(middle - half), float(middle + half)


def _comparable(synthetic: pd.Series, records: pd.Series) -> tuple[Any, np.ndarray, np.ndarray]:
    """A column of both tables: numbers and the synthetic ones' median, or codes of levels and None."""
    both = pd.concat([synthetic, records], ignore_index=True)
    if pd.api.types.is_numeric_dtype(both) and not pd.api.types.is_bool_dtype(both):
        x = both.to_numpy(float, na_value=np.nan)
        middle = float(np.nanmedian(x[: len(synthetic)]))
    else:
        x, middle = pd.factorize(both, use_na_sentinel=False)[0].astype(float), None
    return middle, x[: len(synthetic)], x[len(synthetic) :]
