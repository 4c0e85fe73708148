"""Logistic regression of a table's cells on effects of their levels, of many tables at once.

Whether a row of data is synthetic or real depends on the cell that it lies in: on one effect of each of
the cell's levels, or of each combination of two. Each cell has one effect of each such block, so that
within a block the information is diagonal, and the first block is eliminated before equations are solved.

A stack is an array (tables, cells) of tables of one shape, their cells one after the other.
"""

from functools import cache
from itertools import combinations, permutations, product
from typing import NamedTuple

import numpy as np
from scipy import special

ROUNDS = 30  # of Newton's method at most
FURTHEST = 12.0  # log odds of a cell at most


class Effects(NamedTuple):
    """Which effects each cell of a table has.

    Attributes:
        design: 1 where a cell has an effect (cells, effects), else 0.
        blocks: the number of the effect of each block that a cell has (blocks, cells).
        first: how many effects the first block has.
    """

    design: np.ndarray
    blocks: np.ndarray
    first: int


@cache
def effects_of(shape: tuple[int, ...], order: int) -> Effects:
    """One effect of each combination of levels of `order` columns, of tables of this shape.

    >>> effects_of((2, 3), 1).blocks.tolist()
    [[0, 0, 0, 1, 1, 1], [2, 3, 4, 2, 3, 4]]
    """
    levels = np.indices(shape).reshape(len(shape), -1)
    blocks, size = [], 0
    for axes in combinations(range(len(shape)), order):
        sizes = [shape[axis] for axis in axes]
        blocks.append(size + np.ravel_multi_index([levels[axis] for axis in axes], sizes))
        size += int(np.prod(sizes))
    design = sum(np.eye(size)[block] for block in blocks)
    return Effects(np.asarray(design), np.stack(blocks), int(blocks[0].max()) + 1)


def information(weight: np.ndarray, effects: Effects) -> np.ndarray:
    """The sums of the cells' weights (tables, cells) over each two effects (tables, effects, effects).

    >>> information(np.array([[1.0, 2, 3, 4]]), effects_of((2, 2), 1))[0, :2].tolist()
    [[3.0, 0.0, 1.0, 2.0], [0.0, 7.0, 3.0, 4.0]]
    """
    sums = weight @ effects.design
    found = np.zeros((*sums.shape, sums.shape[1]))
    every = np.arange(sums.shape[1])
    found[:, every, every] = sums
    for one, two in permutations(effects.blocks, 2):  # no two cells have the same two effects
        found[:, one, two] = weight
    return found


def fitted(made: np.ndarray, total: np.ndarray, effects: Effects) -> np.ndarray:
    """The expected share of synthetic rows of each cell (tables, cells), by Newton's method.

    Args:
        made: synthetic rows (tables, cells). total: rows of both kinds. An effect has rows of both kinds or
            no rows.

    >>> fitted(np.array([[3.0, 2, 2, 1]]), np.full((1, 4), 4.0), effects_of((2, 2), 1)).round(3).tolist()
    [[0.75, 0.5, 0.5, 0.25]]
    """
    target, of_each = made @ effects.design, total @ effects.design
    rows = total.sum(axis=1)
    overall = special.logit(made.sum(axis=1) / rows)[:, None]
    found = np.zeros_like(target)
    used = of_each > 0
    found[used] = special.logit(target[used] / of_each[used])
    found -= np.where(used, overall * (1 - 1 / len(effects.blocks)), 0)
    share = np.empty_like(total)
    left = np.arange(len(total))
    for _ in range(ROUNDS):
        log_odds = np.clip(found[left] @ effects.design.T, -FURTHEST, FURTHEST)
        share[left] = special.expit(log_odds)
        expected = total[left] * share[left]
        off = target[left] - expected @ effects.design
        further = np.abs(off).max(axis=1) >= 1e-5 * np.sqrt(rows[left])
        left, off = left[further], off[further]
        if not len(left):
            break
        weight = expected[further] * (1 - share[left])
        found[left] += np.clip(_solved(weight, off, effects), -2, 2)
    return share


def _solved(weight: np.ndarray, off: np.ndarray, effects: Effects) -> np.ndarray:
    """Newton's steps (tables, effects), with a little ridge for what the table does not tell."""
    first = effects.first
    ridge = 1e-9 * len(effects.blocks) * weight.sum(axis=1)
    own, across, rest = _parted(weight, effects)
    own += ridge[:, None]
    rest += ridge[:, None, None] * np.eye(rest.shape[1])
    over = across / own[:, :, None]
    later = np.linalg.solve(
        rest - across.mT @ over, off[:, first:, None] - over.mT @ off[:, :first, None]
    )
    return np.concatenate([off[:, :first, None] / own[:, :, None] - over @ later, later], axis=1)[
        :, :, 0
    ]


def covariance(weight: np.ndarray, effects: Effects) -> np.ndarray:
    """The covariance of the effects, as far as the tables tell them (tables, effects, effects).

    A generalised inverse of the information: combinations that the cells do not tell apart are left out.

    >>> covariance(np.full((1, 4), 2.0), effects_of((2, 2), 1))[0, 2:, 2:].round(3).tolist()
    [[0.125, -0.125], [-0.125, 0.125]]
    """
    own, across, rest = _parted(weight, effects)
    largest = 2 * np.maximum(own.max(axis=1), np.diagonal(rest, axis1=1, axis2=2).max(axis=1))
    own = np.divide(1, own, out=np.zeros_like(own), where=own > 0)
    over = across * own[:, :, None]
    values, vectors = np.linalg.eigh(rest - across.mT @ over)
    told = values > 1e-7 * largest[:, None]
    later = (
        vectors * np.divide(1, values, out=np.zeros_like(values), where=told)[:, None]
    ) @ vectors.mT
    mixed = -over @ later
    first = effects.first
    found = np.empty((len(weight), *[effects.design.shape[1]] * 2))
    found[:, :first, :first] = -mixed @ over.mT
    found[:, np.arange(first), np.arange(first)] += own
    found[:, :first, first:], found[:, first:, :first] = mixed, mixed.mT
    found[:, first:, first:] = later
    return found


def _parted(weight: np.ndarray, effects: Effects) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The information in three parts: the first block's diagonal, across to the others, and theirs."""
    whole, first = information(weight, effects), effects.first
    own = np.diagonal(whole, axis1=1, axis2=2)[:, :first].copy()
    return own, whole[:, :first, first:], whole[:, first:, first:]


def variance(covariance: np.ndarray, effects: Effects) -> np.ndarray:
    """Of each cell's fitted log odds (tables, cells).

    >>> effects = effects_of((2, 2), 1)
    >>> variance(covariance(np.full((1, 4), 2.0), effects), effects).round(3).tolist()
    [[0.375, 0.375, 0.375, 0.375]]
    """
    ways = product(effects.blocks, repeat=2)
    return np.asarray(sum(covariance[:, one, two] for one, two in ways))


def quadratic(covariance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The variance (tables,) of a weighted sum of the effects (tables, effects).

    >>> quadratic(np.eye(2)[None], np.array([[3.0, 4.0]])).tolist()
    [25.0]
    """
    return np.asarray(np.einsum("ti,tij,tj->t", weights, covariance, weights))
