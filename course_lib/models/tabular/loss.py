"""The loss of rows that hold both numbers and categories."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.models.tabular.encoding import Block


def block_loss(
    output: Tensor, target: Tensor, blocks: Sequence[Block], log_sd: Tensor | None = None
) -> Tensor:
    """The loss of each row in nats, (n,): normal distributions for numbers, cross-entropy for categories.

    >>> blocks = [Block("x", "number", slice(0, 1)), Block("y", "category", slice(1, 3))]
    >>> block_loss(torch.zeros(2, 3), torch.tensor([[1.0, 1, 0], [0.0, 0, 1]]), blocks)
    tensor([1.1931, 0.6931])

    Args:
        output: (n, d), of a network: the mean of each number, the logits of each category.
        target: (n, d), encoded rows: numbers and one-hot columns. A number that does not apply (a
            missing value, a point mass; see `Block.present`) adds nothing.
        blocks: what each encoded column is.
        log_sd: (d,), log standard deviations; only those of numbers are used. None: all standard
            deviations are 1 and the constants are left out, so that a number adds half its squared
            error.
    """
    total = output.new_zeros(len(output))
    for block in blocks:
        if block.kind == "category":
            # -sum_k y_k log softmax(logits)_k
            log_p = F.log_softmax(output[:, block.slice], dim=1)
            total = total - (target[:, block.slice] * log_p).sum(dim=1)
    numbers = [block for block in blocks if block.kind == "number"]
    if not numbers:
        return total
    # All numbers at once: a table may have many. -log N(x; mean, sd^2), without the constant, is
    # ((x - mean) / sd)^2 / 2 + log sd.
    at = [block.slice.start for block in numbers]
    loss = 0.5 * (target[:, at] - output[:, at]) ** 2
    if log_sd is not None:
        loss = loss * torch.exp(-2 * log_sd[at]) + log_sd[at]
    applies = torch.ones_like(loss)
    for i, block in enumerate(numbers):
        if block.present is not None:
            applies[:, i] = target[:, block.present].sum(dim=1)
    return total + (applies * loss).sum(dim=1)
