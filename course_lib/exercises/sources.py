"""Source code as top-level statements: which global names each one binds, uses and changes.

Nothing is executed here. `dependence` picks the statements that an answer needs.
"""

import ast
import symtable
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Statement:
    """A top-level statement and what it does to global names.

    Attributes:
        cell, first, last: where it stands: its cell's number, its first and last line.
        binds: names that it binds when it runs.
        uses: names that it, or a function or class in it, reads.
        sets: names that its functions bind when they are called (`global`).
        changes: names whose attributes or items it, or a function in it, assigns or deletes.
        calls: names of which it, or a function in it, calls a method.
    """

    cell: int
    first: int
    last: int
    binds: frozenset[str]
    uses: frozenset[str]
    sets: frozenset[str]
    changes: frozenset[str]
    calls: frozenset[str]
    node: ast.stmt


def lines(source: str) -> list[str]:
    """The lines as Python counts them. `splitlines` would also break at a form feed, U+0085 and
    U+2028, which may stand in a comment or a text."""
    return source.split("\n")


def statements(source: str, cell: int = 0) -> list[Statement]:
    """The top-level statements of `source`. Raises SyntaxError (or ValueError for null bytes)."""
    found = []
    for node in ast.parse(source).body:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)])
        binds, uses, sets = _names(node)
        known = binds | uses | sets
        changes, calls = _changed(node)
        found.append(
            Statement(
                cell,
                first,
                node.end_lineno or first,
                binds,
                uses,
                sets,
                changes & known,
                calls & known,
                node,
            )
        )
    return found


def _names(node: ast.stmt) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The global names that a statement binds, that it uses, and that its functions bind."""
    module = symtable.symtable(ast.unparse(node), "cell", "exec")
    binds: set[str] = set()
    uses: set[str] = set()
    sets: set[str] = set()
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
            if symbol.is_declared_global() and (symbol.is_assigned() or symbol.is_imported()):
                (binds if scope.get_type() == "class" else sets).add(symbol.get_name())
    return frozenset(binds), frozenset(uses), frozenset(sets)


def _changed(node: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """The names whose attributes or items are stored, and those of which a method is called."""
    changes, calls = set(), set()
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute | ast.Subscript):
            if isinstance(part.ctx, ast.Store | ast.Del):
                changes.add(root_name(part))
        elif isinstance(part, ast.AugAssign):  # += may change a list or an array in place
            changes.add(root_name(part.target))
        elif isinstance(part, ast.Call):
            if isinstance(part.func, ast.Attribute):
                calls.add(root_name(part.func))
            elif root_name(part.func) in ("setattr", "delattr") and part.args:
                changes.add(root_name(part.args[0]))
        elif isinstance(part, ast.FunctionDef | ast.ClassDef):  # @handlers.register
            calls |= {root_name(d) for d in part.decorator_list if isinstance(d, ast.Attribute)}
    return frozenset(changes), frozenset(calls)


def root_name(node: ast.expr) -> str:
    """The name at the start of `a.b["c"].d`, or of `vars(a)["b"]`; "" where there is none."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            node = node.args[0] if node.func.id == "vars" else node
    return node.id if isinstance(node, ast.Name) else ""


def excerpt(source: str, keep: Iterable[Statement]) -> str:
    """`source` with only the lines of `keep`; the others are blank, so that line numbers hold."""
    wanted = {number for s in keep for number in range(s.first, s.last + 1)}
    kept = (line if i in wanted else "" for i, line in enumerate(lines(source), 1))
    return "\n".join(kept) + "\n"
