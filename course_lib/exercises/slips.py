"""Answers that differ from the reference by a small change, made from its source.

Most mistakes are of this kind: `slip("optimizer.zero_grad()", "pass")`. What is changed is said where
the mistake is, and a reference that is rewritten cannot leave a mistake behind unnoticed.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property


@dataclass(frozen=True)
class Slip:
    """The reference with some texts replaced; compiled when it is first called.

    Attributes:
        edits: pairs of old and new text, applied one after the other.
        times: how often each old text occurs.
        returns: what is returned in place of the last statement; empty for no change.
        reference: the function to change; the exercise fills it in.
    """

    edits: tuple[tuple[str, str], ...] = ()
    times: int = 1
    returns: str = ""
    reference: Callable[..., object] | None = None

    def of(self, reference: Callable[..., object]) -> "Slip":
        """The same change of this reference."""
        return replace(self, reference=reference)

    def __call__(self, *arguments: object, **named: object) -> object:
        return self.function(*arguments, **named)

    @cached_property
    def function(self) -> Callable[..., object]:
        """The changed function.

        Raises:
            ValueError: there is no reference yet, or an old text does not occur in its source as
                often as it should.
        """
        if self.reference is None:
            raise ValueError("A slip must be part of an exercise, whose reference it changes.")
        reference = inspect.unwrap(self.reference)
        source = _without_docstring(textwrap.dedent(inspect.getsource(reference)))
        for old, new in self.edits:
            if (found := source.count(old)) != self.times:
                raise ValueError(
                    f"The source of {reference.__name__} has {old!r} {found} times, and not "
                    f"{self.times} times. Change the slip, or say times={found}."
                )
            source = source.replace(old, new)
        if self.returns:
            source = _returning(source, self.returns)
        names = dict(reference.__globals__)
        exec(compile(source, f"<a slip in {reference.__name__}>", "exec"), names)
        function: Callable[..., object] = names[reference.__name__]
        return function


def slip(old: str, new: str, *more: str, times: int = 1) -> Slip:
    """The reference with `old` replaced by `new`; further pairs of texts may follow.

    Args:
        times: how often each old text occurs in the source (its docstring does not count). Another
            number is refused when the function is first called.

    Raises:
        ValueError: the texts do not come in pairs.
    """
    texts = (old, new, *more)
    if len(texts) % 2:
        raise ValueError("The texts of a slip come in pairs: old, new, old, new.")
    return Slip(tuple(zip(texts[::2], texts[1::2], strict=True)), times)


def returning(expression: str) -> Slip:
    """The reference, but its last statement returns this expression, in the reference's own names."""
    return Slip(returns=expression)


def _without_docstring(source: str) -> str:
    function = ast.parse(source).body[0]
    first = function.body[0] if isinstance(function, ast.FunctionDef) else function
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return source
    lines = source.splitlines()
    return "\n".join([*lines[: first.lineno - 1], *lines[first.end_lineno :]]) + "\n"


def _returning(source: str, expression: str) -> str:
    function = ast.parse(source).body[0]
    last = function.body[-1] if isinstance(function, ast.FunctionDef) else function
    return "\n".join([*source.splitlines()[: last.lineno - 1], f"    return {expression}"]) + "\n"
