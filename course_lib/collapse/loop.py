"""The recursion in its barest form: what each generation learns from, and the loop itself."""

from collections.abc import Callable, Sequence

import numpy as np

REGIMES = {
    "replace": "each generation learns from the last one's samples only",
    "accumulate": "each learns from the real rows and the samples of all generations so far",
    "budget": "as accumulate, but from a random choice as large as the real data",
}


def training_rows(made: Sequence[np.ndarray], regime: str, rng: np.random.Generator) -> np.ndarray:
    """What the next generation learns from.

    Args:
        made: the rows of each generation so far, (n, ...) each, the real ones first.
        regime: "replace", "accumulate" or "budget"; see REGIMES.
        rng: chooses the rows of a budget.

    Source: Gerstgrasser et al. 2024, arXiv 2404.01413 (replace, accumulate); Kazdan et al. 2024,
    arXiv 2410.16713 (the budget, there "accumulate-subsample").
    """
    if regime == "replace":
        return made[-1]
    everything = np.concatenate(made)
    if regime == "accumulate":
        return everything
    chosen = rng.choice(len(everything), size=len(made[0]), replace=False)
    return everything[chosen]


def refit(
    fit: Callable[[np.ndarray], object],
    sample: Callable[[object, int], np.ndarray],
    data: np.ndarray,
    generations: int,
    learn_from: Callable[[list[np.ndarray]], np.ndarray],
) -> list[np.ndarray]:
    """The rows of every generation, the real ones first: fit, sample, fit to samples, and so on.

    `recursive` does the same and also seeds, checks, saves and measures each generation.

    Args:
        fit: rows to a model. sample: a model and a number to so many rows.
        data: the real rows, (n, ...); every generation makes n rows.
        learn_from: from the rows of all generations so far to those that the next one learns from.
    """
    made = [data]
    for _ in range(generations):
        model = fit(learn_from(made))
        made.append(sample(model, len(data)))
    return made
