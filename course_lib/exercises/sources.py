"""Source code without the statements that an answer does not need.

An answer in a notebook leans on imports, helper functions and constants of other cells, and the
rest of the notebook may train for minutes. `needed` picks, from the syntax tree, the statements
that some names depend on, and leaves the others out. Nothing is executed here.
"""

import ast
import inspect
import symtable
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Statement:
    """A top-level statement: where it stands, which global names it binds and which it uses."""

    cell: int
    first: int
    last: int
    binds: frozenset[str]
    uses: frozenset[str]
    node: ast.stmt


def statements(source: str, cell: int = 0) -> list[Statement]:
    """The top-level statements of `source`. Raises SyntaxError (or ValueError for null bytes)."""
    found = []
    for node in ast.parse(source).body:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)])
        binds, uses = _names(node)
        found.append(Statement(cell, first, node.end_lineno or first, binds, uses, node))
    return found


def _names(node: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """The global names that a statement binds and uses, also inside its functions and classes."""
    module = symtable.symtable(ast.unparse(node), "cell", "exec")
    binds, uses = set(), set()
    for symbol in module.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            binds.add(symbol.get_name())
        if symbol.is_referenced():
            uses.add(symbol.get_name())
    scopes = list(module.get_children())
    while scopes:
        scope = scopes.pop()
        scopes.extend(scope.get_children())
        for symbol in scope.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                uses.add(symbol.get_name())
            if symbol.is_declared_global() and symbol.is_assigned():
                binds.add(symbol.get_name())
    return frozenset(binds), frozenset(uses)


def needed(
    everything: Sequence[Statement],
    roots: Iterable[Statement],
    until: int | None = None,
    skip: Callable[[Statement], bool] = lambda statement: False,
    given: Collection[str] = (),
) -> list[Statement]:
    """`roots` and all statements that they depend on, in their order.

    Args:
        until: a cell. A name bound up to there keeps these bindings; those in later cells count
            only for names that have none before.
        skip: statements that never count as a binding.
        given: names that need no statement.
    """
    bindings: dict[str, list[Statement]] = {}
    for statement in everything:
        if not skip(statement):
            for name in statement.binds:
                bindings.setdefault(name, []).append(statement)
    chosen = list(roots)
    own = {name for root in chosen for name in root.binds}
    seen = set(own) | set(given)
    waiting = list(chosen)
    while waiting:
        for name in waiting.pop().uses - seen:
            seen.add(name)
            known = bindings.get(name, [])
            early = [s for s in known if until is None or s.cell <= until]
            for statement in early or known:
                if statement not in chosen:
                    chosen.append(statement)
                    waiting.append(statement)
    return sorted(chosen, key=lambda s: (s.cell, s.first))


def excerpt(source: str, keep: Iterable[Statement]) -> str:
    """`source` with only the lines of `keep`; the others are blank, so that line numbers hold."""
    lines = source.splitlines()
    wanted = {number for s in keep for number in range(s.first, s.last + 1)}
    return "\n".join(line if i in wanted else "" for i, line in enumerate(lines, 1)) + "\n"


@cache
def standalone(function: Callable[..., object]) -> str:
    """The source of a module's function together with what it needs from its module."""
    source = inspect.getsource(sys.modules[function.__module__])
    everything = statements(source)
    roots = [s for s in everything if function.__name__ in s.binds]
    return excerpt(source, needed(everything, roots))
