"""How a wrong value differs from the right one: the first place, and what would explain every value."""

from collections.abc import Callable, Iterator

import numpy as np

SHOWN = 6  # values that are shown whole

# What is often left out or done once too often, as a function of the right values.
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Every value has the opposite sign.": lambda right: -right,
    "Every value is 1 minus the expected one.": lambda right: 1 - right,
    "Every value is the square of the expected one.": np.square,
    "Every value is the square root of the expected one.": np.sqrt,
    "Every value is 1 divided by the expected one.": lambda right: 1 / right,
    "Every value is the exponential of the expected one.": np.exp,
    "Every value is the logarithm of the expected one.": np.log,
    "The two dimensions are swapped.": np.transpose,
}


def difference(given: np.ndarray, right: np.ndarray, rtol: float, atol: float) -> str:
    """Say where two arrays of one shape first differ, and how.

    Args:
        given: what an answer gave, numbers or booleans, finite.
        right: what was expected, of the same shape.
        rtol, atol: how close counts as equal, as in `numpy.allclose`.

    Returns:
        Words to follow the value's name, such as "at (0, 2): you gave 3, expected 1.5."

    >>> difference(np.array([1.0, 4.0]), np.array([1.0, 5.0]), 1e-5, 1e-8)
    ': you gave [1, 4], expected [1, 5].'
    >>> difference(np.array(range(9)), np.array(range(9)) / 2, 1e-5, 1e-8)
    'first differs at (1,): you gave 1, expected 0.5. Every value is 2 times the expected one.'
    """
    given, right = np.asarray(given, float), np.asarray(right, float)
    wrong = ~np.isclose(given, right, rtol, atol, equal_nan=True)
    if right.size <= SHOWN:
        told = f": you gave {_written(given)}, expected {_written(right)}."
    else:
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        told = (
            f"first differs at {place}: you gave {given[place]:.4g}, expected {right[place]:.4g}."
        )
    why = next(_explanations(given, right, rtol, atol), "")
    if not why and right.size > SHOWN:
        why = f"{wrong.sum():,} of {wrong.size:,} values are wrong."
    return f"{told} {why}".rstrip()


def _explanations(given: np.ndarray, right: np.ndarray, rtol: float, atol: float) -> Iterator[str]:
    """What would make every right value the given one. Of nearly constant values anything would."""
    size = float(np.abs(right).max())
    if not (np.isfinite(right).all() and np.ptp(right) > 10 * (atol + rtol * size)):
        return

    def same(made: np.ndarray) -> bool:
        return made.shape == given.shape and np.allclose(made, given, rtol, atol)

    with np.errstate(all="ignore"):
        for sentence, change in CHANGES.items():
            if same(change(right)):
                yield sentence
    factor = float((given * right).sum() / (right * right).sum())
    if factor and same(factor * right):
        yield f"Every value is {factor:.4g} times the expected one."
    offset = float((given - right).mean())
    if same(right + offset):
        yield f"Every value is {abs(offset):.4g} too {'large' if offset > 0 else 'small'}."
    for axis in range(right.ndim):
        if same(np.flip(right, axis)):
            yield f"The order along dimension {axis} is reversed."
    if same(np.sort(right, None)[np.argsort(np.argsort(given, None))].reshape(given.shape)):
        yield "The values are right, but stand in another order."


def _written(values: np.ndarray) -> str:
    text = np.array2string(values, separator=", ", formatter={"float_kind": "{:.4g}".format})
    return " ".join(text.split()).replace("[ ", "[")
