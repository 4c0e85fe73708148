"""Which statements of a notebook an answer needs, so that the rest, which may train for minutes,
can be left out.

An answer reads names. What a name stands for is decided by the statements that bind it, by those
that change it afterwards (`cfg["half"] = 0.5`, `C.half = 0.5`, `parts.append(x)`, a function that
sets a global), and by star imports, which may bind anything. Not everything can be told without
running the code (`exec`, an object that changes under another name), so the answer also says whether
all could be told.
"""

import ast
import builtins
import inspect
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from course_lib.exercises.sources import Statement, excerpt, root_name, statements

BUILTINS = frozenset(dir(builtins)) | {"__name__", "display", "get_ipython"}
# With these in a notebook, reading it does not tell what its names stand for.
OBSCURE = frozenset(
    {"exec", "eval", "globals", "builtins", "importlib", "In", "Out"}
    | {"__import__", "__builtins__"}
)
# Magics that set something which names do not show.
SETTING = frozenset({"env", "set_env", "run", "writefile", "file", "ex", "user_ns", "run_cell"})
# What is set in these makes no difference to an answer that does not use them.
_APART = ("matplotlib", "pandas", "os", "sys", "warnings")
_CONSTANT = (
    ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.operator, ast.unaryop, ast.expr_context
)  # fmt: skip
_Table = dict[str, list[int]]


@dataclass(frozen=True)
class Needed:
    """Statements in their order. `certain`: nothing else in the notebook can make a difference."""

    statements: tuple[Statement, ...]
    certain: bool


class Dependence:
    """Answers what needs what among the statements of one notebook or module."""

    def __init__(
        self,
        everything: Sequence[Statement],
        skip: Callable[[Statement], bool] = lambda statement: False,
        given: Collection[str] = (),
    ):
        """`skip`: statements that never count. `given`: names that need no statement."""
        self.everything = everything
        self.given = frozenset(given)
        self.index = {statement: i for i, statement in enumerate(everything)}
        self.bound: _Table = {}
        self.used: _Table = {}
        self.changed: _Table = {}
        self.called: _Table = {}
        self.always: list[int] = []  # star imports and `from __future__`
        for i, s in enumerate(everything):
            if skip(s):
                continue
            for table, names in (
                (self.bound, s.binds),
                (self.used, s.uses),
                (self.changed, s.changes | s.sets),
                (self.called, s.calls),
            ):
                for name in names:
                    table.setdefault(name, []).append(i)
            if isinstance(s.node, ast.ImportFrom) and (
                s.node.module == "__future__" or s.node.names[0].name == "*"
            ):
                self.always.append(i)
        self.obscure = [i for i, s in enumerate(everything) if self._is_obscure(s)]

    def needed(
        self, roots: Iterable[Statement], until: int | None = None, thorough: bool = False
    ) -> Needed:
        """`roots` and all statements that they depend on.

        Args:
            until: how many statements have run when the answer is used; all of them unless given.
                Those behind count only for names that nothing binds before.
            thorough: also every statement that hands an object that is needed, and that can change,
                to anything else. That may be much.
        """
        until = len(self.everything) if until is None else until
        own = {name: self.index[root] for root in roots for name in root.binds}
        chosen = {self.index[root] for root in roots}
        chosen |= {i for i in self.always if i < until}
        stars = any(self._is_star(self.everything[i]) for i in chosen)
        certain = not any(i < until for i in self.obscure)
        seen = set(self.given)
        waiting = deque(sorted(own))
        for i in chosen:
            waiting += sorted(self.everything[i].uses)
        while waiting:
            name = waiting.popleft()
            if name in seen:
                continue
            seen.add(name)
            bindings = [i for i in self.bound.get(name, []) if i < until]
            if name in own:
                bindings = [i for i in bindings if i in chosen]
            elif not bindings and name not in BUILTINS:
                bindings = self.bound.get(name, [])
                certain = certain and (bool(bindings) or stars)
            kinds = {self._kind(self.everything[i]) for i in bindings}
            state = bool(kinds & {"state"})
            touching = self._touching(name, kinds, until, thorough and state)
            touching = {i for i in touching if i > own.get(name, -1)} - set(bindings)
            certain = certain and not (state or touching)
            for i in sorted({*bindings, *touching} - chosen):
                chosen.add(i)
                waiting += sorted(self.everything[i].uses)
                if i in touching and self._is_alias(self.everything[i], name):
                    waiting += sorted(self.everything[i].binds)
        kept = tuple(self.everything[i] for i in sorted(chosen))
        return Needed(kept, certain)

    def definitions(self, until: int) -> tuple[Statement, ...]:
        """All that is before `until` but loops, and calls of the notebook's own functions."""
        return tuple(s for s in self.everything[:until] if self._defines(s))

    def _is_obscure(self, s: Statement) -> bool:
        """Whether a statement may change something that names do not show."""
        if s.uses & OBSCURE or s.binds & OBSCURE:
            return True
        if s.uses & {"vars", "locals"} and any(
            isinstance(n, ast.Call) and root_name(n.func) in ("vars", "locals") and not n.args
            for n in ast.walk(s.node)
        ):
            return True
        if "get_ipython" in s.uses and any(
            (isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value in SETTING)
            or (isinstance(n, ast.Attribute) and n.attr in SETTING)
            for n in ast.walk(s.node)
        ):
            return True
        return any(
            isinstance(node := self.everything[i].node, ast.Import | ast.ImportFrom)
            and not (getattr(node, "module", None) or node.names[0].name).startswith(_APART)
            for name in s.changes
            for i in self.bound.get(name, [])
        )

    def _defines(self, s: Statement) -> bool:
        if isinstance(s.node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            return True
        if not isinstance(s.node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr | ast.If):
            return False
        called = {root_name(n.func) for n in ast.walk(s.node) if isinstance(n, ast.Call)}
        own = {self._kind(self.everything[i]) for name in called for i in self.bound.get(name, [])}
        return own <= {"module"} and not (isinstance(s.node, ast.Expr) and s.uses & OBSCURE)

    @staticmethod
    def _is_star(s: Statement) -> bool:
        return isinstance(s.node, ast.ImportFrom) and s.node.names[0].name == "*"

    @staticmethod
    def _kind(s: Statement) -> str:
        """What a statement binds: a "module" or what comes from one, a "function", a "class", a
        "constant", or "state", which may be anything."""
        if isinstance(s.node, ast.Import | ast.ImportFrom):
            return "module"
        if isinstance(s.node, ast.FunctionDef):
            return "function"
        if isinstance(s.node, ast.ClassDef):
            return "class"
        if not isinstance(s.node, ast.Assign | ast.AnnAssign) or s.node.value is None:
            return "state"
        targets = s.node.targets if isinstance(s.node, ast.Assign) else [s.node.target]
        plain = all(isinstance(target, ast.Name) for target in targets)
        parts = ast.walk(s.node.value)
        return "constant" if plain and all(isinstance(p, _CONSTANT) for p in parts) else "state"

    @staticmethod
    def _runs(s: Statement) -> bool:
        """Whether more happens than that a name is bound: code of the notebook's runs."""
        if isinstance(s.node, ast.FunctionDef):
            return bool(s.node.decorator_list)
        if isinstance(s.node, ast.ClassDef):
            return bool(s.node.decorator_list or s.node.bases or s.node.keywords)
        return not isinstance(s.node, ast.Import | ast.ImportFrom)

    def _touching(self, name: str, kinds: set[str], until: int, thorough: bool) -> set[int]:
        """The statements before `until` that may change what `name` stands for."""
        changing = list(self.changed.get(name, []))
        if kinds - {"module", "constant"}:
            changing += self.called.get(name, [])
        found = set()
        names = []
        for i in changing:
            s = self.everything[i]
            if self._runs(s):
                found.add(i)
            if isinstance(s.node, ast.FunctionDef | ast.ClassDef):
                names += sorted(s.binds)
        found |= self._reaching(names)
        if "module" in kinds:  # torch.set_default_dtype(torch.float64)
            found |= {
                i for i in self.called.get(name, []) if self._is_setting(self.everything[i], name)
            }
        if thorough:
            found |= self._reaching([name])
        elif "state" in kinds:  # its other names
            found |= {
                i for i in self.used.get(name, []) if self._is_alias(self.everything[i], name)
            }
        return {i for i in found if i < until}

    def _reaching(self, names: Iterable[str]) -> set[int]:
        """The statements that run something which reads one of the names, however far away."""
        found, seen, waiting = set(), set(), list(names)
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for i in self.used.get(name, []):
                s = self.everything[i]
                if self._runs(s):
                    found.add(i)
                if isinstance(s.node, ast.FunctionDef | ast.ClassDef):
                    waiting += sorted(s.binds)
        return found

    def _is_setting(self, s: Statement, module: str) -> bool:
        """A call of the module's function for its effect, of constants and imported names."""
        if not (isinstance(s.node, ast.Expr) and isinstance(s.node.value, ast.Call)):
            return False
        if root_name(s.node.value.func) != module:
            return False
        bindings = [i for name in s.uses for i in self.bound.get(name, [])]
        return all(self._kind(self.everything[i]) == "module" for i in bindings)

    @staticmethod
    def _is_alias(s: Statement, name: str) -> bool:
        """Whether a statement gives the object `name`, or a part of it, another name."""
        if not isinstance(s.node, ast.Assign | ast.AnnAssign) or s.node.value is None:
            return False
        parts = [s.node.value]
        if isinstance(s.node.value, ast.Tuple | ast.List):
            parts = s.node.value.elts
        parts = [p.func if isinstance(p, ast.Call) else p for p in parts]
        return name in {
            root_name(p) for p in parts if isinstance(p, ast.Name | ast.Attribute | ast.Subscript)
        }


@cache
def standalone(function: Callable[..., object]) -> str:
    """The source of a module's function together with what it needs from its module."""
    source = inspect.getsource(sys.modules[function.__module__])
    everything = statements(source)
    roots = [s for s in everything if function.__name__ in s.binds]
    return excerpt(source, Dependence(everything).needed(roots).statements)
