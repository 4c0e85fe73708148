"""The loss of rows in which numbers and categories stand side by side."""

from collections.abc import Sequence

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
            the constant is left out, so that a number adds half its squared error.
    """
