"""The exercises of lesson 15: recommending, inventing baskets, and asking who is left out."""

from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import torch

from course_lib.exercises.exercise import Exercise, Inputs, call_for_array
from course_lib.exercises.slips import returning, slip
from course_lib.models.recommender import (
    coverage_by_group,
    ease,
    gumbel_top_k,
    held_out_lift,
    multinomial_loss,
    recall_at_k,
    repeat_and_explore,
)
from course_lib.plots import BLUE, GREY, ORANGE

# --- recall at k -----------------------------------------------------------------------------------


def _recall_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, items, k, wanted, barred):
        later, before = rng.random((n, items)) < wanted, rng.random((n, items)) < barred
        later[0, :2], before[0, :2] = True, False
        # What was bought before scores high, as it does in a shop.
        scores = rng.random((n, items)) + 0.8 * before + 0.3 * later
        return {"scores": scores, "wanted": later & ~before, "barred": before, "k": k}

    return {
        "some items are barred": case(12, 20, 5, 0.3, 0.25),
        "nothing is barred": case(10, 15, 4, 0.4, 0.0),
        "some want fewer than k": case(14, 16, 8, 0.12, 0.2),
        "some want nothing": case(25, 12, 3, 0.05, 0.1),
        "more is wanted than the list holds": case(9, 12, 2, 0.8, 0.1),
        "one item a list": case(15, 10, 1, 0.3, 0.2),
    }


def _recall_by_loop(scores, wanted, barred, k):
    shares = []
    for s, w, b in zip(scores, wanted, barred, strict=True):
        if not w.any():
            continue
        order = [j for j in np.argsort(s)[::-1] if not b[j]][:k]
        shares.append(sum(bool(w[j]) for j in order) / min(k, int(w.sum())))
    return sum(shares) / len(shares)


def _recall_by_rank(scores, wanted, barred, k):
    allowed = np.where(barred, scores.min() - 1, scores)
    rank = (allowed[:, None, :] > allowed[:, :, None]).sum(axis=2)
    hits = ((rank < k) & wanted).sum(axis=1)
    most = np.clip(wanted.sum(axis=1), 0, k)
    return np.mean(hits[most > 0] / most[most > 0])


def _recall_by_partition(scores, wanted, barred, k):
    rows = np.flatnonzero(wanted.any(axis=1))
    allowed = np.where(barred[rows], -1e9, scores[rows])
    best = np.argpartition(-allowed, k - 1, axis=1)[:, :k]
    hits = wanted[rows[:, None], best].sum(axis=1)
    return float(np.average(hits / np.fmin(wanted[rows].sum(axis=1), k)))


def _recall_picture(answer):
    rng = np.random.default_rng(0)
    wanted = rng.random((200, 100)) < 0.06
    scores = rng.normal(size=wanted.shape) + 1.5 * wanted
    sizes = [1, 2, 5, 10, 20, 40, 70, 100]
    none = np.zeros_like(wanted)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for s, colour, name in (
        (scores, BLUE, "a good score"),
        (rng.random(wanted.shape), GREY, "by lot"),
    ):
        ax.plot(sizes, [answer(s, wanted, none, k) for k in sizes], "o-", color=colour, label=name)
    ax.set(xlabel="length of the list, k", ylabel="recall at k")
    ax.legend(fontsize=8)
    return fig, (
        "Recall against the length of the list. A good score finds about a half with short lists, and "
        "both curves end at 1, where the list holds every item; by lot the curve is nearly a straight line."
    )


RECALL_AT_K = Exercise(
    id="retail.recall_at_k",
    title="Recall at k",
    points=2,
    minutes=12,
    difficulty=2,
    task="For each customer who wants something, count the wanted items among the k that have the "
    "highest scores and are not barred, and divide by k or by the number of wanted items, "
    "whichever is smaller. Return the mean over these customers.",
    hints=(
        "np.where(barred, -np.inf, scores) puts what is barred to the end of every list.",
        "np.argsort(-scores, axis=1)[:, :k] gives the places of the k highest of each row, and "
        "np.take_along_axis(wanted, places, axis=1) tells which of them are wanted.",
        "Leave out the customers with wanted.sum(axis=1) == 0 before the mean is taken.",
    ),
    reference=recall_at_k,
    inputs=_recall_cases,
    probe=call_for_array,
    numpy=True,
    picture=_recall_picture,
    mistakes={
        "Items that are barred stand in the lists here. Put their scores to minus infinity first.": slip(
            "np.where(barred, -np.inf, scores)", "scores"
        ),
        (
            "This divides by k for everybody: it is the precision. Who wants fewer than k items can "
            "have no more than those."
        ): slip("np.minimum(asked[some], k)", "k"),
        "This divides by all that is wanted. A list of k items cannot hold more than k of them.": slip(
            "np.minimum(asked[some], k)", "asked[some]"
        ),
        "Customers who want nothing count as 0 here. Leave them out.": slip(
            "(hits[some] / np.minimum(asked[some], k)).mean()",
            "(hits / np.clip(asked, 1, k)).mean()",
        ),
        (
            "The hits of all customers were added up before the division, so that large customers count "
            "more. Take the mean of the customers' shares."
        ): slip(
            "(hits[some] / np.minimum(asked[some], k)).mean()",
            "hits[some].sum() / np.minimum(asked[some], k).sum()",
        ),
        "The items of lowest score are recommended here.": slip(
            "-np.where(barred, -np.inf, scores)", "np.where(barred, np.inf, scores)"
        ),
        (
            "This is the share of customers with at least one hit. Count how many of their items are "
            "found."
        ): returning("float((hits[some] > 0).mean())"),
        "This is the sum over the customers. Take their mean.": returning(
            "float((hits[some] / np.minimum(asked[some], k)).sum())"
        ),
        "You divided by the larger of the two. Divide by the smaller one.": slip(
            "np.minimum(asked[some], k)", "np.maximum(asked[some], k)"
        ),
        "The lists are one item too long: take k of them.": slip("[:, :k]", "[:, : k + 1]"),
        (
            "This is the mean number of hits. Divide each "
            "by the smaller of k and the number wanted."
        ): returning("float(hits[some].mean())"),
        "Percent: the recall should lie between 0 and 1.": returning(
            "100 * float((hits[some] / np.minimum(asked[some], k)).mean())"
        ),
    },
    alternatives=(_recall_by_loop, _recall_by_rank, _recall_by_partition),
)

# --- EASE ------------------------------------------------------------------------------------------


def _ease_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, items, share, penalty):
        x = (rng.random((n, items)) < share).astype(float)
        x[:, 1] = np.where(rng.random(n) < 0.8, x[:, 0], x[:, 1])  # a pair
        return {"x": x, "penalty": penalty}

    return {
        "a pair among others": case(40, 6, 0.4, 2.0),
        "a large penalty": case(30, 5, 0.5, 200.0),
        "fewer customers than items": case(5, 9, 0.4, 1.0),
        "two items": case(20, 2, 0.5, 5.0),
        "popular and rare items": case(60, 7, np.linspace(0.1, 0.9, 7), 10.0),
    }


def _ease_by_regressions(x, penalty):
    items = x.shape[1]
    weights = np.zeros((items, items))
    for j in range(items):
        others = np.arange(items) != j
        z = x[:, others]
        gram = z.T @ z + penalty * np.eye(items - 1)
        weights[others, j] = np.linalg.solve(gram, z.T @ x[:, j])
    return weights


def _ease_by_lagrange(x, penalty):
    inverse = np.linalg.pinv(np.dot(x.T, x) + np.diag(np.full(x.shape[1], penalty)))
    return np.eye(x.shape[1]) - inverse @ np.diag(1 / np.diag(inverse))


def _ease_in_torch(x, penalty):
    z = torch.from_numpy(x)
    inverse = torch.linalg.inv(z.T @ z + penalty * torch.eye(z.shape[1], dtype=z.dtype))
    weights = inverse / -inverse.diagonal()
    return weights.fill_diagonal_(0).numpy()


def _ease_picture(answer):
    rng = np.random.default_rng(0)
    taste = rng.random((400, 2)) < 0.5
    x = (rng.random((400, 8)) < 0.1 + 0.5 * np.repeat(taste, 4, axis=1)).astype(float)
    x[:, 7] = np.where(rng.random(400) < 0.8, x[:, 6], 0)
    weights = np.asarray(answer(x, 20.0))
    fig, ax = plt.subplots(figsize=(4, 3.2))
    image = ax.imshow(weights, cmap="PuOr", vmin=-0.8, vmax=0.8)
    ax.set(xlabel="item recommended", ylabel="item bought")
    fig.colorbar(image, label="weight")
    return fig, (
        "The weights of eight items of two tastes: small positive weights within the first four and within "
        "the last four, a large one between the last two items, which are a pair, and a diagonal of 0."
    )


EASE = Exercise(
    id="retail.ease",
    title="EASE, a recommender in four lines",
    points=2,
    minutes=15,
    difficulty=2,
    task="Return the weights of EASE: with P the inverse of x'x plus penalty times the identity, the entry "
    "in row i and column j is -P[i, j] / P[j, j], and the diagonal is 0.",
    hints=(
        "x.T @ x counts how often two items were bought by the same customer.",
        "Add penalty * np.eye(items), and invert by np.linalg.inv.",
        "inverse / np.diag(inverse) divides each column by its own diagonal entry. "
        "np.fill_diagonal(weights, 0) sets the diagonal.",
    ),
    reference=ease,
    inputs=_ease_cases,
    probe=call_for_array,
    numpy=True,
    picture=_ease_picture,
    mistakes={
        "The diagonal must be 0, or each item recommends itself and nothing is learnt.": slip(
            "np.fill_diagonal(weights, 0.0)", "pass"
        ),
        "The sign is wrong: items that are bought together must have a weight above 0.": slip(
            "-inverse", "inverse"
        ),
        "Each row was divided by its diagonal entry. Divide each column: j is the item recommended.": slip(
            "np.diag(inverse)", "np.diag(inverse)[:, None]"
        ),
        "The penalty belongs on the diagonal alone: penalty times the identity.": slip(
            "np.eye(x.shape[1])",
            "np.ones((x.shape[1], x.shape[1])) + 1e-6 * np.eye(x.shape[1])",
        ),
        "The penalty was forgotten, or hardly counts.": slip("penalty * np.eye", "1e-6 * np.eye"),
        "These are the counts of items bought together. EASE needs the inverse of them.": slip(
            "np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))", "-(x.T @ x) - penalty"
        ),
        "The division by the diagonal of P is missing.": slip(" / np.diag(inverse)", ""),
        "You divided by the square of the diagonal. Divide by P[j, j].": slip(
            "np.diag(inverse)", "np.diag(inverse) ** 2"
        ),
        "The counts were divided by the number of customers. The penalty is meant for x'x itself.": slip(
            "x.T @ x +", "x.T @ x / len(x) +"
        ),
        "The penalty was subtracted. Add it.": slip("+ penalty", "- penalty"),
        "Weights below 0 were cut off. They say which items are not bought together: keep them.": returning(
            "np.maximum(weights, 0)"
        ),
        "The weights were made symmetric. Each column is divided by its own P[j, j].": returning(
            "(weights + weights.T) / 2"
        ),
    },
    alternatives=(_ease_by_regressions, _ease_by_lagrange, _ease_in_torch),
)

# --- the loss of a multinomial VAE -----------------------------------------------------------------


def _loss_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, items, latent, beta, share=0.4, width=1.0):
        x = (rng.random((n, items)) < share).astype(float)
        x[:, 0] = 1.0
        return {
            "x": x,
            "logits": rng.normal(0, 1.5, (n, items)),
            "mu": rng.normal(0, width, (n, latent)),
            "log_var": rng.normal(-0.5, 0.7 * width, (n, latent)),
            "beta": beta,
        }

    return {
        "four customers": case(4, 6, 3, 1.0),
        "half of the divergence": case(5, 8, 2, 0.5),
        "no divergence": case(3, 5, 4, 0.0),
        "one customer": case(1, 7, 2, 1.0),
        "large baskets": case(4, 12, 2, 0.2, share=0.9),
        "a wide code": case(3, 4, 6, 2.0, width=1.8),
    }


def _loss_by_distributions(x, logits, mu, log_var, beta=1.0):
    code = torch.distributions.Normal(mu, (log_var / 2).exp())
    standard = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    divergence = torch.distributions.kl_divergence(code, standard).sum(dim=1)
    items = torch.distributions.Categorical(logits=logits)
    return torch.mean(beta * divergence - (x * items.logits).sum(dim=1))


def _loss_by_log_sum_exp(x, logits, mu, log_var, beta=1.0):
    said = (x * (logits - torch.logsumexp(logits, dim=1, keepdim=True))).sum() / len(x)
    far = -0.5 * (1 + log_var - mu.pow(2) - torch.exp(log_var)).sum() / len(x)
    return beta * far - said


def _loss_by_loop(x, logits, mu, log_var, beta=1.0):
    total = torch.zeros(())
    for row, out, m, v in zip(x, logits, mu, log_var, strict=True):
        total = total - torch.dot(row, torch.log(torch.softmax(out, dim=0)))
        total = total + beta * sum((m**2 + v.exp() - 1 - v) / 2)
    return total / len(x)


def _loss_picture(answer):
    logits = torch.linspace(-4, 6, 60)
    x = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    zero = torch.zeros(1, 2)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    loss = [float(answer(x, torch.tensor([[v, 0.0, 0.0, 0.0]]), zero, zero, 1.0)) for v in logits]
    ax.plot(logits, loss, color=BLUE)
    ax.axhline(np.log(4), color=GREY, linestyle="--")
    ax.set(xlabel="logit of the item that was bought", ylabel="loss, nats")
    return fig, (
        "The loss of one purchase among four items against the logit of the item bought: it falls from "
        "above 4 towards 0, and crosses the dashed line at log 4 where all four logits are 0."
    )


MULTINOMIAL_LOSS = Exercise(
    id="retail.multinomial_loss",
    title="The loss of a multinomial VAE",
    points=2,
    minutes=15,
    difficulty=2,
    task="Return beta times the divergence of the code's normal distribution from the standard normal, "
    "minus the sum of x times the log-softmax of the logits, averaged over the customers.",
    hints=(
        "F.log_softmax(logits, dim=1) gives the logarithm of each item's share in every row.",
        "The divergence of one customer is half the sum of mu ** 2 + exp(log_var) - 1 - log_var.",
        "Sum over the items, and over the code; take the mean over the customers alone.",
    ),
    reference=multinomial_loss,
    inputs=_loss_cases,
    picture=_loss_picture,
    mistakes={
        (
            "This is the loss of a yes or no for each item. Here the items of a customer compete: "
            "softmax."
        ): slip("F.log_softmax(logits, dim=1)", "F.logsigmoid(logits)"),
        "The softmax lacks its logarithm.": slip("F.log_softmax", "F.softmax"),
        "The softmax was taken over the customers. It runs over the items of each customer: dim=1.": slip(
            "F.log_softmax(logits, dim=1)", "F.log_softmax(logits, dim=0)"
        ),
        "This is the bound itself. A loss is minus the bound: it must fall when the model improves.": slip(
            "beta * divergence - log_likelihood", "log_likelihood - beta * divergence"
        ),
        "The divergence was taken off the loss. It is a price, and is added.": slip(
            "beta * divergence", "-beta * divergence"
        ),
        "beta is the weight of the divergence alone.": slip(
            "beta * divergence - log_likelihood",
            "divergence - beta * log_likelihood",
        ),
        "This is the sum over the customers. Take their mean.": slip(").mean()", ").sum()"),
        "log_var is the logarithm of a variance: exp(log_var), and no square of it.": slip(
            "log_var.exp()", "(2 * log_var).exp()"
        ),
        "You averaged over the dimensions of the code. The divergence is a sum over them.": slip(
            "log_var).sum(dim=1)", "log_var).mean(dim=1)"
        ),
        "You averaged over the items. The log-likelihood is a sum over them.": slip(
            "dim=1)).sum(dim=1)", "dim=1)).mean(dim=1)"
        ),
        "The factor 1/2 of the divergence is missing.": slip("0.5 * (mu", "1.0 * (mu"),
        "beta has no effect: multiply the divergence by it.": slip(
            "beta * divergence", "divergence"
        ),
    },
    alternatives=(_loss_by_distributions, _loss_by_log_sum_exp, _loss_by_loop),
)

# --- baskets by Gumbel top-k -----------------------------------------------------------------------


def _gumbel_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, items, largest, spread=1.0):
        return {
            "logits": rng.normal(0, spread, (n, items)),
            "sizes": rng.integers(1, largest + 1, n),
            "uniform": rng.uniform(0.001, 0.999, (n, items)),
        }

    return {
        "small baskets": case(20, 15, 5),
        "all logits are equal": case(20, 12, 6, spread=0.0),
        "sure of its items": case(20, 12, 4, spread=3.0),
        "one item each": case(25, 10, 1),
        "up to the whole shop": case(20, 6, 6),
    }


def _gumbel_by_race(logits, sizes, uniform):
    # Exponential clocks with rates exp(logit): the first to ring are drawn.
    time = -np.log(uniform) / np.exp(logits)
    baskets = np.zeros(logits.shape, bool)
    for row, size in enumerate(sizes):
        baskets[row, np.argsort(time[row])[:size]] = True
    return baskets


def _gumbel_by_threshold(logits, sizes, uniform):
    noisy = logits - np.log(np.log(1 / uniform))
    last = np.take_along_axis(np.sort(noisy, axis=1), logits.shape[1] - sizes[:, None], axis=1)
    return noisy >= last


def _gumbel_by_counting(logits, sizes, uniform):
    noisy = logits - np.log(-np.log(uniform))
    above = (noisy[:, None, :] > noisy[:, :, None]).sum(axis=2)
    return above < np.asarray(sizes).reshape(-1, 1)


def _gumbel_picture(answer):
    rng = np.random.default_rng(0)
    share = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    logits = np.tile(np.log(share), (4000, 1))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for size, colour, shift in ((1, BLUE, -0.2), (3, ORANGE, 0.2)):
        drawn = answer(logits, np.full(4000, size), rng.uniform(1e-9, 1, logits.shape))
        ax.bar(
            np.arange(5) + shift,
            np.mean(drawn, axis=0),
            0.38,
            color=colour,
            label=f"{size} of 5 items",
        )
    ax.plot(np.arange(5) - 0.2, share, "k_", markersize=14, label="softmax")
    ax.set(xlabel="item", ylabel="share of baskets with it")
    ax.legend(fontsize=8)
    return fig, (
        "How often each of five items stands in a basket. With one item a basket the shares are those of "
        "the softmax, marked by lines; with three they are higher, and nearer to one another."
    )


GUMBEL_TOP_K = Exercise(
    id="retail.gumbel_top_k",
    title="Baskets by Gumbel top-k",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return which items each basket holds: those with the highest logit plus Gumbel noise "
    "-log(-log(u)), as many as the basket's size says.",
    hints=(
        "The noisy logits are logits - np.log(-np.log(uniform)).",
        "np.argsort(-noisy, axis=1) gives the items from the highest down; np.argsort of that gives each "
        "item's place in this order.",
        "An item is in the basket if its place is below the basket's size.",
    ),
    reference=gumbel_top_k,
    inputs=_gumbel_cases,
    probe=call_for_array,
    numpy=True,
    picture=_gumbel_picture,
    mistakes={
        "No chance takes part: equal logits always give the same basket. Add the noise.": slip(
            "(logits - np.log(-np.log(uniform)))", "logits"
        ),
        "The noise has the wrong sign: it is minus the logarithm of minus the logarithm.": slip(
            "logits - np.log", "logits + np.log"
        ),
        "One logarithm is missing: that is exponential noise, and not Gumbel's.": slip(
            "np.log(-np.log(uniform))", "np.log(uniform)"
        ),
        "The noise was added to the shares. It belongs to the logits.": slip(
            "(logits - np.log", "(np.exp(logits) - np.log"
        ),
        "Each basket holds one item too many: places count from 0.": slip(
            "place < sizes", "place <= sizes"
        ),
        "The items of the lowest noisy logit were taken.": slip("np.argsort(-(", "np.argsort(+("),
        "An order is not a place: argsort once more to have the place of each item.": slip(
            "place = np.argsort(order, axis=1)", "place = order"
        ),
        "All baskets have the size of the largest. Each has its own.": slip(
            "sizes[:, None]", "sizes.max()"
        ),
        "These are places in the order. Return which items the basket holds: place below size.": returning(
            "place"
        ),
        "Each basket holds one item too few: places count from 0.": slip(
            "place < sizes[:, None]", "place < sizes[:, None] - 1"
        ),
        "All items above 0 were taken. Take as many as the basket's size says.": returning(
            "logits - np.log(-np.log(uniform)) > 0"
        ),
    },
    alternatives=(_gumbel_by_race, _gumbel_by_threshold, _gumbel_by_counting),
)

# --- lift, held out --------------------------------------------------------------------------------


def _lift_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def baskets(n, items, share):
        x = rng.random((n, items)) < share
        x[:, 1] |= x[:, 0] & (rng.random(n) < 0.7)
        x[0] = True  # every item is bought
        return x.astype(int)

    def case(n, m, items, share, least, top):
        while True:
            x = baskets(n, items, share)
            one, other = np.triu_indices(items, 1)
            together = (x.T @ x)[one, other]
            each = x.sum(axis=0)
            lift = n * together / (each[one] * each[other])
            if not least:  # just as many as bought the strongest pair
                least = int(together[np.argmax(lift)])
            ranked = np.sort(np.where(together >= least, lift, 0))[::-1]
            # The pairs that are chosen must not be a matter of ties.
            if ranked[top - 1] > ranked[top] + 1e-6 and ranked[top - 1] > 0:
                return {"choose": x, "judge": baskets(m, items, share), "least": least, "top": top}

    return {
        "pairs of ten customers": case(90, 80, 9, np.linspace(0.5, 0.05, 9), 10, 4),
        "rare pairs count": case(60, 70, 8, 0.15, 1, 5),
        "halves of unequal size": case(40, 100, 7, np.linspace(0.6, 0.1, 7), 4, 3),
        "the strongest pair alone": case(80, 60, 6, 0.3, 5, 1),
        "just enough customers": case(50, 60, 6, 0.3, 0, 1),
    }


def _lift_by_loop(choose, judge, least, top):
    def lift(x, a, b):
        return np.mean(x[:, a] * x[:, b]) / (np.mean(x[:, a]) * np.mean(x[:, b]))

    items = range(choose.shape[1])
    pairs = [(a, b) for a in items for b in items if a < b]
    pairs = [(a, b) for a, b in pairs if np.sum(choose[:, a] * choose[:, b]) >= least]
    pairs = sorted(pairs, key=lambda pair: lift(choose, *pair), reverse=True)[:top]
    return tuple(sum(lift(x, *pair) for pair in pairs) / len(pairs) for x in (choose, judge))


def _lift_by_matrix(choose, judge, least, top):
    def lift(x):
        each = x.sum(axis=0)
        return len(x) * (x.T @ x) / np.outer(each, each)

    allowed = np.triu(choose.T @ choose >= least, 1)
    flat = np.flatnonzero(allowed)
    best = flat[np.argsort(lift(choose).ravel()[flat])[::-1][:top]]
    return lift(choose).ravel()[best].mean(), lift(judge).ravel()[best].mean()


def _lift_by_counting(choose, judge, least, top):
    def counted(x):
        both = Counter()
        for row in x:
            bought = np.flatnonzero(row).tolist()
            both.update((a, b) for a in bought for b in bought if a < b)
        return both, Counter(np.nonzero(x)[1].tolist()), len(x)

    def lift(pair, both, each, n):
        return n * both[pair] / (each[pair[0]] * each[pair[1]])

    first, second = counted(choose), counted(judge)
    pairs = [pair for pair, times in first[0].items() if times >= least]
    pairs.sort(key=lambda pair: -lift(pair, *first))
    return tuple(
        float(np.mean([lift(pair, *part) for pair in pairs[:top]])) for part in (first, second)
    )


def _lift_picture(answer):
    rng = np.random.default_rng(0)
    x = (rng.random((800, 60)) < rng.uniform(0.03, 0.2, 60)).astype(int)
    sizes = [1, 2, 3, 5, 7, 9]
    found = np.array([answer(x[:400], x[400:], least, 20) for least in sizes])
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(sizes, found[:, 0], "o-", color=ORANGE, label="where they were chosen")
    ax.plot(sizes, found[:, 1], "s-", color=BLUE, label="in the other half")
    ax.axhline(1, color=GREY, linewidth=0.8)
    ax.set(xlabel="customers who bought both, at least", ylabel="mean lift of 20 pairs")
    ax.legend(fontsize=8)
    return fig, (
        "Items that have nothing to do with one another. The strongest pairs have a mean lift well above 1 "
        "in the half where they were chosen, and about 1 in the other half."
    )


HELD_OUT_LIFT = Exercise(
    id="retail.held_out_lift",
    title="Lift, held out",
    points=2,
    minutes=15,
    difficulty=3,
    task="Take the pairs of items of which at least `least` customers of `choose` bought both. Of "
    "these take the `top` pairs with the largest lift in `choose`. Return their mean lift in "
    "`choose` and their mean lift in `judge`.",
    hints=(
        "x.T @ x counts for each pair how many customers bought both; np.triu_indices(items, 1) names each "
        "pair once.",
        "The lift of a pair is the share that bought both, over the product of the two items' shares.",
        "Put the lift of rare pairs to minus infinity before you sort; the second table takes no part in "
        "the choice.",
    ),
    reference=held_out_lift,
    inputs=_lift_cases,
    numpy=True,
    picture=_lift_picture,
    mistakes={
        "The pairs were chosen in the table that judges them. Choose in the first one.": slip(
            "often, lifts[0]", "often, lifts[1]"
        ),
        "Both means are of the table where the pairs were chosen.": slip(
            "lifts[1][strongest]", "lifts[0][strongest]"
        ),
        "Rare pairs take part: leave out those that fewer than least customers bought.": slip(
            "np.where(often, lifts[0], -np.inf)", "lifts[0]"
        ),
        "The share was divided by one item's share alone. That is the confidence of a rule.": slip(
            "(share[one] * share[other])", "share[one]"
        ),
        "The weakest pairs were taken. Sort from high to low.": slip(
            "-np.where(often, lifts[0], -np.inf)", "np.where(often, lifts[0], np.inf)"
        ),
        "Each table's counts are divided by its own number of customers.": slip(
            "/ len(x)", "/ len(choose)"
        ),
        "The pairs bought most often were taken, and not those of largest lift.": slip(
            "np.where(often, lifts[0], -np.inf)",
            "(choose.T @ choose)[one, other]",
        ),
        "The two are in the wrong order: first the mean in choose, then in judge.": returning(
            "float(lifts[1][strongest].mean()), float(lifts[0][strongest].mean())"
        ),
        "These are sums. Return the mean lift of the pairs.": returning(
            "float(lifts[0][strongest].sum()), float(lifts[1][strongest].sum())"
        ),
        "A pair that exactly `least` customers bought takes part: compare with >=.": slip(
            ">= least", "> least"
        ),
        "The division by the items' shares is missing: this is how often pairs are bought.": slip(
            "together / (share[one] * share[other])", "together"
        ),
    },
    alternatives=(_lift_by_loop, _lift_by_matrix, _lift_by_counting),
)

# --- who is served ---------------------------------------------------------------------------------


def _coverage_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, groups, rate, skew=1.0):
        group = np.r_[
            np.arange(groups), rng.choice(groups, n - groups, p=rng.dirichlet([3] * groups))
        ]
        value = rng.lognormal(2, skew, n)
        served = rng.random(n) < rate + 0.3 * (value > np.median(value))
        order = rng.permutation(n)
        return {
            "served": served[order],
            "group": group[order],
            "groups": groups,
            "value": value[order],
        }

    return {
        "two groups": case(40, 2, 0.4),
        "four groups": case(60, 4, 0.3),
        "a few large customers": case(50, 3, 0.2, skew=2.5),
        "one group": case(20, 1, 0.5),
        "nobody is served": case(15, 2, -1.0),
    }


def _coverage_by_loop(served, group, groups, value):
    shares, worth = np.zeros(groups), np.zeros(groups)
    for g in range(groups):
        own = group == g
        shares[g] = served[own].mean()
        worth[g] = value[own & served].sum() / value[own].sum()
    return shares, worth


def _coverage_by_counts(served, group, groups, value):
    def total(weights):
        return np.bincount(group, weights=weights, minlength=groups)

    return total(served) / total(np.ones(len(group))), total(served * value) / total(value)


def _coverage_by_average(served, group, groups, value):
    rows = [np.flatnonzero(group == g) for g in range(groups)]
    plain = [np.average(served[r]) for r in rows]
    return np.array(plain), np.array([np.average(served[r], weights=value[r]) for r in rows])


def _coverage_picture(answer):
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], [90, 10])
    value = np.where(group == 1, 40.0, 5.0) * rng.lognormal(0, 0.8, 100)
    served = rng.random(100) < np.where(value > 30, 0.9, 0.35)
    shares, worth = answer(served, group, 2, value)
    fig, ax = plt.subplots(figsize=(4.4, 2.8))
    at = np.arange(2)
    ax.bar(at - 0.2, shares, 0.38, color=BLUE, label="of the customers")
    ax.bar(at + 0.2, worth, 0.38, color=ORANGE, label="of the value")
    ax.set(xticks=at, xticklabels=["households", "trade"], ylabel="share served", ylim=(0, 1.35))
    ax.legend(fontsize=8)
    return fig, (
        "The shares served of households and of trade, by customers and by value. For both groups the "
        "share of the value is higher, since large customers are served more often."
    )


COVERAGE_BY_GROUP = Exercise(
    id="retail.coverage_by_group",
    title="Who is served, by group",
    points=1,
    minutes=10,
    difficulty=1,
    task="Return for each group the share of its customers who are served, and the share of its value that "
    "these customers stand for.",
    hints=(
        "A mask group == g gives the customers of one group.",
        "The mean of booleans is a share. For the value, divide the sum of the served by the sum of all.",
    ),
    reference=coverage_by_group,
    inputs=_coverage_cases,
    numpy=True,
    picture=_coverage_picture,
    mistakes={
        "The two results have changed places: customers first, then value.": returning(
            "(own @ (served * value)) / (own @ value), (own @ served) / own.sum(axis=1)"
        ),
        "The number served was divided by all customers. Divide by those of the group.": slip(
            "own.sum(axis=1)", "len(served)"
        ),
        (
            "This is each group's share among those who are served. Asked is the share served in a "
            "group."
        ): slip("own.sum(axis=1)", "max(served.sum(), 1)"),
        "The value was divided by that of all customers. Divide by the value of the group.": slip(
            "(own @ value)", "value.sum()"
        ),
        "These are the shares of who is not served.": slip(
            "(own @ served)", "(own @ ~served)", "(served * value)", "(~served * value)"
        ),
        "These are numbers of customers. Divide by those of the group.": slip(
            " / own.sum(axis=1)", ""
        ),
        "Both results are shares of customers. The second is the share of value.": returning(
            "(own @ served) / own.sum(axis=1), (own @ served) / own.sum(axis=1)"
        ),
        (
            "The second is the value served for each customer of the group. Divide by the group's "
            "value."
        ): returning(
            "(own @ served) / own.sum(axis=1), (own @ (served * value)) / own.sum(axis=1)"
        ),
        "The first result is missing: the share of the group's customers who are served.": returning(
            "(own @ (served * value)) / (own @ value)"
        ),
        (
            "The second is each group's share of the "
            "value that is served. Divide by the group's value."
        ): returning(
            "(own @ served) / own.sum(axis=1), (own @ (served * value)) / max((served * "
            "value).sum(), 1)"
        ),
        "The first is the share of everybody. Each group has its own.": returning(
            "np.full(groups, served.mean()), (own @ (served * value)) / (own @ value)"
        ),
    },
    alternatives=(_coverage_by_loop, _coverage_by_counts, _coverage_by_average),
)

# --- repeat against explore ------------------------------------------------------------------------


def _mix_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, items, k, repeats, share=0.4):
        bought = rng.integers(1, 5, (n, items)) * (rng.random((n, items)) < share)
        bought[:, : k + 1] *= rng.random((n, k + 1)) < 0.3  # enough is new
        bought[:, -1] = rng.integers(1, 5, n)
        return {"bought": bought, "scores": rng.random((n, items)), "k": k, "repeats": repeats}

    return {
        "half and half": case(8, 20, 6, 3),
        "nothing is repeated": case(8, 14, 4, 0),
        "as often as can be": case(8, 16, 5, 5, share=0.6),
        "few were bought before": case(10, 12, 5, 4, share=0.08),
        "one of each": case(9, 10, 2, 1),
    }


def _mix_by_loop(bought, scores, k, repeats):
    lists = []
    for counts, score in zip(bought, scores, strict=True):
        ranked = sorted(range(len(score)), key=lambda j: (-counts[j], -score[j]))
        old = [j for j in ranked if counts[j] > 0][:repeats]
        new = sorted((j for j in range(len(score)) if counts[j] == 0), key=lambda j: -score[j])
        lists.append((old + new)[:k])
    return np.array(lists)


def _mix_by_one_score(bought, scores, k, repeats):
    rank = np.argsort(np.argsort(-(bought + scores), axis=1), axis=1)
    repeated = (bought > 0) & (rank < repeats)
    total = np.where(repeated, 10 + bought + scores, np.where(bought > 0, -1.0, scores))
    return np.argsort(-total, axis=1)[:, :k]


def _mix_by_lexsort(bought, scores, k, repeats):
    lists = np.zeros((len(bought), k), int)
    for i in range(len(bought)):
        order = np.lexsort((-scores[i], -bought[i]))
        old = order[bought[i][order] > 0][: min(k, repeats)]
        by_score = np.argsort(scores[i])[::-1]
        new = by_score[bought[i][by_score] == 0]
        lists[i] = np.r_[old, new][:k]
    return lists


def _mix_picture(answer):
    rng = np.random.default_rng(0)
    taste = rng.gamma(0.4, 1, (300, 60))
    bought = rng.poisson(taste)
    later = rng.poisson(0.6 * taste) > 0
    shares = []
    for repeats in range(11):
        lists = np.asarray(answer(bought, rng.random(bought.shape), 10, repeats)).astype(int)
        hit = np.take_along_axis(later, lists, axis=1)
        old = np.take_along_axis(bought > 0, lists, axis=1)
        shares.append([hit.mean(), (hit & ~old).mean()])
    every, new = np.transpose(shares)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.plot(range(11), every, "o-", color=BLUE, label="right items")
    ax.plot(range(11), new, "s-", color=ORANGE, label="right items that are new")
    ax.set(xlabel="places of ten for items bought before", ylabel="share of the list")
    ax.legend(fontsize=8)
    return fig, (
        "Against the places given to items bought before: the share of right items rises, and the share of "
        "right items that are new falls."
    )


REPEAT_AND_EXPLORE = Exercise(
    id="retail.repeat_and_explore",
    title="Repeat against explore",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return for each customer a list of k items: first at most `repeats` items bought before, "
    "those bought most often first (among equals the higher score first), then items never "
    "bought, the highest score first.",
    hints=(
        "Scores lie below 1, so bought + scores sorts by the count and then by the score.",
        "np.where(bought > 0, bought + scores, -np.inf) puts to the end what was never bought.",
        "Who has bought fewer than repeats items gets more new ones: the list always has k items.",
    ),
    reference=repeat_and_explore,
    inputs=_mix_cases,
    probe=call_for_array,
    numpy=True,
    picture=_mix_picture,
    mistakes={
        "Items bought before fill places that are for new ones.": slip(
            "np.where(bought > 0, -np.inf, scores)", "scores"
        ),
        (
            "Where few items were bought before, items never bought stand among the repeats, in an "
            "order of their own. Take no more repeats than the customer has bought."
        ): slip("min(repeats, int((row > 0).sum()))", "repeats"),
        "The repeats are sorted by score. What was bought most often comes first.": slip(
            "bought + scores, -np.inf", "scores, -np.inf"
        ),
        "The new items stand first here. Begin with the repeats.": slip(
            "[olds[:kept], news[: k - kept]]",
            "[news[: k - kept], olds[:kept]]",
        ),
        "The new items of lowest score were taken.": slip("-np.inf, scores)", "-np.inf, -scores)"),
        "What was bought least often comes first here.": slip(
            "bought + scores, -np.inf", "scores - bought, -np.inf"
        ),
        "The whole list is filled with repeats. At most `repeats` of them are allowed.": slip(
            "min(repeats, int((row > 0).sum()))", "min(k, int((row > 0).sum()))"
        ),
        "There are no repeats here. Begin with those that were bought most often.": slip(
            "min(repeats, int((row > 0).sum()))", "0"
        ),
        (
            "The lists are sorted by the items' numbers. "
            "Keep the order: repeats first, then new ones."
        ): returning("np.sort(np.array(lists), axis=1)"),
        "Items bought once count as new. An item that was bought at all is not new.": slip(
            "np.where(bought > 0, -np.inf", "np.where(bought > 1, -np.inf"
        ),
        "The lists stand in the reverse order. The best of the repeats comes first.": returning(
            "np.array(lists)[:, ::-1]"
        ),
    },
    alternatives=(_mix_by_loop, _mix_by_one_score, _mix_by_lexsort),
)
