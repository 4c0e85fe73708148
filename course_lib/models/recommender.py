"""Recommending from baskets in its shortest form, as lesson 15 builds it.

Customers are rows of a table of 0 and 1 over items. EASE learns from them what to recommend; a multinomial
VAE invents more of them; and what is recommended is judged by what the customer bought later.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.training import finish, gradient_step, training_loop


def recall_at_k(scores: np.ndarray, wanted: np.ndarray, barred: np.ndarray, k: int) -> float:
    """The mean share of the wanted items among the k of highest score that are not barred.

    Args:
        scores: of each customer and item (n, items), without ties.
        wanted, barred: (n, items) bool. What is barred is never recommended.
        k: the length of the list.

    Each customer's hits are divided by the most that are possible, min(k, number wanted); customers who
    want nothing are left out. Source: Liang et al. 2018, arXiv 1802.05814, section 4.2.

    >>> wanted = np.array([[False, True, True]])
    >>> recall_at_k(np.array([[0.3, 0.2, 0.1]]), wanted, ~wanted & False, k=2)
    0.5
    """
    best = np.argsort(-np.where(barred, -np.inf, scores), axis=1)[:, :k]
    hits = np.take_along_axis(wanted, best, axis=1).sum(axis=1)
    asked = wanted.sum(axis=1)
    some = asked > 0
    return float((hits[some] / np.minimum(asked[some], k)).mean())


def ease(x: np.ndarray, penalty: float) -> np.ndarray:
    """The weights B (items, items) with which x @ B scores items for customers x (n, items).

    B minimises |x - x B|^2 + penalty |B|^2 under a diagonal of 0, so that no item recommends itself: with
    P = (x'x + penalty I)^-1 it is -P_ij / P_jj off the diagonal. Source: Steck 2019, "Embarrassingly
    shallow autoencoders for sparse data", arXiv 1905.03375, equation 8.

    >>> ease(np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]), 1.0).round(2)
    array([[0.  , 0.67],
           [0.5 , 0.  ]])
    """
    inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def multinomial_loss(
    x: Tensor, logits: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> Tensor:
    """Minus the bound on log p(x) of a multinomial VAE, in nats, averaged over customers; a scalar.

    Args:
        x: what each customer bought, (n, items), 0 or 1.
        logits: of the decoder, (n, items); their softmax says where each purchase falls.
        mu, log_var: of the code's normal distribution, (n, latent).
        beta: the weight of the divergence from the standard normal.

    Source: Liang et al. 2018, arXiv 1802.05814, equations 2 and 3.

    >>> one = torch.tensor([[1.0, 0.0]])
    >>> multinomial_loss(one, torch.zeros(1, 2), torch.zeros(1, 3), torch.zeros(1, 3))
    tensor(0.6931)
    """
    log_likelihood = (x * F.log_softmax(logits, dim=1)).sum(dim=1)
    divergence = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(dim=1)
    return (beta * divergence - log_likelihood).mean()


def gumbel_top_k(logits: np.ndarray, sizes: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Baskets (n, items) bool, each of its own size without repeats, drawn by softmax(logits).

    The items of the highest logit plus Gumbel noise -log(-log(u)) are those that drawing one after the
    other without replacement would give. Source: Kool et al. 2019, arXiv 1903.06059, section 2.3.

    Args:
        logits: (n, items).
        sizes: how many items each basket holds, (n,) int, at most the number of items.
        uniform: draws u from (0, 1), (n, items).

    >>> gumbel_top_k(np.array([[5.0, 0.0, 0.0]]), np.array([1]), np.full((1, 3), 0.5))
    array([[ True, False, False]])
    """
    order = np.argsort(-(logits - np.log(-np.log(uniform))), axis=1)
    place = np.argsort(order, axis=1)
    return place < sizes[:, None]


def held_out_lift(
    choose: np.ndarray, judge: np.ndarray, least: int, top: int
) -> tuple[float, float]:
    """Mean lift of the strongest pairs of items, where they were chosen and where they are judged.

    The lift of a pair is how often both are bought together, over how often they would be if they were
    independent. The `top` pairs of largest lift are chosen among those that `least` customers bought. The
    second mean is free of the luck by which the first was chosen: it is smaller (regression to the mean).

    Args:
        choose, judge: baskets (n, items) and (m, items), 0 or 1; each item is bought in both.
        least: customers that must have bought both items of a pair in `choose`.
        top: the number of pairs.

    Source of lift: Brin et al. 1997, "Dynamic itemset counting and implication rules", SIGMOD, as interest.

    >>> both = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]])
    >>> held_out_lift(both, both, least=1, top=1)
    (2.0, 2.0)
    """
    one, other = np.triu_indices(choose.shape[1], 1)
    lifts = []
    for x in (choose, judge):
        share = x.mean(axis=0)
        together = (x.T @ x)[one, other] / len(x)
        lifts.append(together / (share[one] * share[other]))
    often = (choose.T @ choose)[one, other] >= least
    strongest = np.argsort(-np.where(often, lifts[0], -np.inf))[:top]
    return float(lifts[0][strongest].mean()), float(lifts[1][strongest].mean())


def coverage_by_group(
    served: np.ndarray, group: np.ndarray, groups: int, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each group the share of its customers who are served, and the share of its value they stand for.

    Args:
        served: whether each customer is served, (n,) bool.
        group: 0 to groups - 1, (n,); each group has a customer with a value above 0.
        value: what each customer spends, (n,).

    >>> coverage_by_group(np.array([True, False]), np.array([0, 0]), 1, np.array([3.0, 1.0]))
    (array([0.5]), array([0.75]))
    """
    own = (group[None, :] == np.arange(groups)[:, None]).astype(float)
    return (own @ served) / own.sum(axis=1), (own @ (served * value)) / (own @ value)


def repeat_and_explore(bought: np.ndarray, scores: np.ndarray, k: int, repeats: int) -> np.ndarray:
    """Lists (n, k) of items: at most `repeats` that the customer bought most often, then new ones by score.

    Args:
        bought: how often each customer bought each item, (n, items); ties go to the higher score.
        scores: of each customer and item (n, items), from 0 to below 1, without ties. Enough items are new.
        k: the length of a list.
        repeats: how many places at its beginning are for items bought before.

    >>> repeat_and_explore(np.array([[3, 0, 0, 1]]), np.array([[0.1, 0.5, 0.2, 0.4]]), k=2, repeats=1)
    array([[0, 1]])
    """
    old = np.argsort(-np.where(bought > 0, bought + scores, -np.inf), axis=1)
    new = np.argsort(-np.where(bought > 0, -np.inf, scores), axis=1)
    lists = []
    for row, olds, news in zip(bought, old, new, strict=True):
        kept = min(repeats, int((row > 0).sum()))
        lists.append(np.concatenate([olds[:kept], news[: k - kept]]))
    return np.array(lists)


class MultinomialVAE(nn.Module):
    """A VAE of customers: which items they buy, given what is known of them.

    Args:
        items: the number of items.
        known: columns that are given and not generated, such as the kind of customer.
        hidden: units of the one hidden layer of encoder and decoder.
        latent: dimension of the code.

    Source: Liang et al. 2018, arXiv 1802.05814, with known columns besides, as in a conditional VAE.
    """

    def __init__(self, items: int, known: int, hidden: int = 200, latent: int = 32) -> None:
        super().__init__()
        self.latent = latent
        self.drop = nn.Dropout(0.5)
        self.encoder = nn.Sequential(
            nn.Linear(items + known, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent + known, hidden), nn.Tanh(), nn.Linear(hidden, items)
        )

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, items), mean and log variance (n, latent) for baskets x and known columns."""
        seen = self.drop(F.normalize(x))
        mu, log_var = self.encoder(torch.cat([seen, known], dim=1)).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * (log_var / 2).exp()
        return self.decoder(torch.cat([z, known], dim=1)), mu, log_var

    @torch.no_grad()
    def sample(self, known: Tensor) -> Tensor:
        """Logits (n, items) of new customers, one to each row of the known columns."""
        z = torch.randn(len(known), self.latent, device=known.device)
        logits: Tensor = self.decoder(torch.cat([z, known], dim=1))
        return logits

    def fit(
        self, x: Tensor, known: Tensor, *, steps: int, seed: int, batch_size: int = 200
    ) -> "MultinomialVAE":
        """Train on baskets x (n, items) by Adam; the divergence's weight rises to 1 over half the steps."""
        torch.manual_seed(seed)
        optimizer = torch.optim.Adam(self.parameters(), lr=2e-3)
        taken = 0

        def step(baskets: Tensor, given: Tensor) -> float:
            nonlocal taken
            taken += 1
            logits, mu, log_var = self(baskets, given)
            beta = min(1.0, 2 * taken / steps)
            return gradient_step(multinomial_loss(baskets, logits, mu, log_var, beta), optimizer)

        finish(training_loop(step, [x, known], steps=steps, batch_size=batch_size, seed=seed))
        return self.eval()


def order_lines(
    baskets: np.ndarray, orders: np.ndarray, lines: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Deal each customer's basket into orders: a table of `customer`, `order` and `item`.

    Args:
        baskets: which items each customer ever buys, (n, items) bool, at least one.
        orders, lines: how many orders and how many lines each customer shall have, (n,) int. No more
            orders than lines are made, at least one line of each item, and at most one in each order.

    >>> made = order_lines(np.array([[True, True]]), np.array([2]), np.array([3]), np.random.default_rng(0))
    >>> len(made), made["order"].nunique(), made["item"].nunique()
    (3, 2, 2)
    """
    tables, first = [], 0
    for customer, basket in enumerate(baskets):
        items = rng.permutation(np.flatnonzero(basket))
        count = int(np.clip(orders[customer], 1, max(lines[customer], len(items))))
        wanted = int(np.clip(lines[customer], max(len(items), count), len(items) * count))
        # Places (item, order): item by item along a diagonal, so that every item and every order has one.
        diagonal = np.arange(max(len(items), count))
        places = np.unique((diagonal % len(items)) * count + diagonal % count)
        free = np.setdiff1d(np.arange(len(items) * count), places)
        places = np.concatenate([places, rng.permutation(free)[: wanted - len(places)]])
        owner, places_of = np.full(len(places), customer), first + places % count
        columns = {"customer": owner, "order": places_of, "item": items[places // count]}
        tables.append(pd.DataFrame(columns))
        first += count
    return pd.concat(tables, ignore_index=True)
