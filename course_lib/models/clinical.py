"""What lesson 12 builds: a treatment's effect, patients in causal order, calibrated risks, copies counted.

The effect of a treatment that was not drawn by lot: by regression and by weights. Patients drawn in
causal order. Predicted risks held against what happened, what they are worth for a decision, and how
they are set right.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit


def adjusted_effect(treated: np.ndarray, outcome: np.ndarray, covariates: np.ndarray) -> float:
    """The coefficient of the treatment (n,) in a least-squares fit of the outcome (n,) on a constant, the
    treatment and the covariates (n, d).

    It is the mean effect where everything that moves both is a covariate, enters as it does here, and
    the effect is the same for all: Hernan and Robins 2020, "Causal inference: What if", chapter 15.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> treated = np.array([0.0, 1.0, 0.0, 1.0])
    >>> round(adjusted_effect(treated, 5 * treated - 2 * x[:, 0], x), 6)
    5.0
    """
    design = np.column_stack([np.ones(len(treated)), treated, covariates])
    return float(np.linalg.lstsq(design, outcome, rcond=None)[0][1])


def weighted_effect(treated: np.ndarray, outcome: np.ndarray, propensity: np.ndarray) -> float:
    """The difference of the weighted mean outcomes of treated and others; all arguments are (n,).

    Each patient counts by the inverse of the probability of the treatment that they had; propensity is that
    of being treated. Source: Hernan and Robins 2020, "Causal inference: What if", section 12.2; Hajek 1971.

    >>> weighted_effect(np.array([1, 1, 0]), np.array([4.0, 1.0, 1.0]), np.array([0.25, 0.5, 0.5]))
    2.0
    """
    weights = np.where(treated == 1, 1 / propensity, 1 / (1 - propensity))
    those = treated == 1
    means = [np.average(outcome[group], weights=weights[group]) for group in (those, ~those)]
    return float(means[0] - means[1])


def draw_in_causal_order(
    covariates: np.ndarray,
    propensity: Callable[[np.ndarray], np.ndarray],
    expected: Callable[[np.ndarray, np.ndarray], np.ndarray],
    u: np.ndarray,
    noise: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Treatments (n,) of 0 and 1, then outcomes (n,), of patients with these covariates (n, d).

    The treatment is 1 where u (n,), uniform on (0, 1), lies below propensity(covariates). The outcome is
    expected(covariates, treatments) + noise (n,). Ancestral sampling in the order of a causal graph: Pearl
    2009, "Causality", section 1.4.

    >>> draw_in_causal_order(np.array([[1.0], [2.0]]), lambda x: x[:, 0] / 4, lambda x, a: 10 * a,
    ...     u=np.array([0.4, 0.4]), noise=np.array([1.0, 2.0]))
    (array([0., 1.]), array([ 1., 12.]))
    """
    treated = (u < propensity(covariates)).astype(float)
    return treated, expected(covariates, treated) + noise


def expected_over_observed(risk: np.ndarray, died: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Expected over observed deaths: of everyone, then of each group in sorted order. (1 + groups,).

    The risks (n,) of some patients add up to the number of deaths that is expected among them. Above 1 the
    risks are too high. Source: Van Calster et al. 2019, "Calibration: the Achilles heel of predictive
    analytics", doi 10.1186/s12916-019-1466-7.

    >>> risk, died = np.array([0.5, 0.5, 0.9, 0.7]), np.array([1, 0, 1, 0])
    >>> expected_over_observed(risk, died, np.array(["m", "m", "f", "f"])).round(2)
    array([1.3, 1.6, 1. ])
    """
    ratios = [risk.sum() / died.sum()]
    for each in np.unique(group):
        own = group == each
        ratios.append(risk[own].sum() / died[own].sum())
    return np.array(ratios)


def net_benefit(risk: np.ndarray, died: np.ndarray, threshold: float) -> float:
    """True positives a patient, less false positives at the odds of the threshold, if all are treated whose
    risk (n,) is at least the threshold.

    Source: Vickers and Elkin 2006, "Decision curve analysis", doi 10.1177/0272989X06295361.

    >>> round(net_benefit(np.array([0.9, 0.3, 0.1]), np.array([1, 0, 0]), threshold=0.2), 4)
    0.25
    """
    treat = risk >= threshold
    right, wrong = (treat & (died == 1)).mean(), (treat & (died == 0)).mean()
    return float(right - wrong * threshold / (1 - threshold))


def recalibrated(risk: np.ndarray, local_risk: np.ndarray, local_died: np.ndarray) -> np.ndarray:
    """The risks (n,), with the log odds of all moved by one number: (n,).

    The number is the one with which the mean of the local risks (m,), moved alike, is the share of local
    patients who died (m,); some must have died, and some not. Known as recalibration in the large:
    Steyerberg 2019, "Clinical prediction models", 2nd ed., section 20.2.

    >>> recalibrated(np.array([0.5]), np.array([0.5, 0.5, 0.5, 0.5]), np.array([1, 0, 0, 0])).round(3)
    array([0.25])
    """
    odds = logit(local_risk)
    move = brentq(lambda b: expit(odds + b).mean() - local_died.mean(), -30, 30)
    return expit(logit(risk) + move)


def copied_shares(
    synthetic: np.ndarray, train: np.ndarray, held_out: np.ndarray
) -> tuple[float, float]:
    """The shares of training (n, d) and of held-out patients (m, d) that equal a synthetic row (k, d).

    The second share is the control: nobody held out can have been copied.

    >>> rows = np.array([[1, 2], [3, 4]])
    >>> copied_shares(np.array([[1, 2], [1, 2]]), rows, np.array([[5, 6]]))
    (0.5, 0.0)
    """
    made = set(map(tuple, synthetic.tolist()))

    def share(rows: np.ndarray) -> float:
        return float(np.mean([tuple(row) in made for row in rows.tolist()]))

    return share(train), share(held_out)
