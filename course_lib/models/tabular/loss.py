"""The loss of rows in which numbers and categories stand side by side."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.models.tabular.encoding import Block


def mixed_loss(
    output: Tensor, target: Tensor, blocks: Sequence[Block], log_sd: Tensor | None = None
) -> Tensor:
    """The loss of each row in nats, (n,): numbers by a normal law, categories by cross-entropy.

    Args:
        output: (n, d), what a network says: the mean of each number, logits of each category.
        target: (n, d), encoded rows: numbers and one-hots. Where a number does not apply (a missing
            value, a point mass; see `Block.present`) it adds nothing.
        blocks: which encoded column is what.
        log_sd: (d,), log standard deviations, of which the numbers' are used. None: all are 1 and
            the constants are left out, so that a number adds half its squared error.
    """
    total = output.new_zeros(len(output))
    for block in blocks:
        said, true = output[:, block.slice], target[:, block.slice]
        if block.kind == "category":
            # -sum_k y_k log softmax(logits)_k
            total = total - (true * F.log_softmax(said, dim=1)).sum(dim=1)
            continue
        # -log N(x; mean, sd^2) = ((x - mean) / sd)^2 / 2 + log sd, without the constant
        loss = 0.5 * (true - said) ** 2
        if log_sd is not None:
            s = log_sd[block.slice]
            loss = loss * torch.exp(-2 * s) + s
        if block.present is not None:
            loss = loss * target[:, block.present].sum(dim=1, keepdim=True)
        total = total + loss.squeeze(1)
    return total
