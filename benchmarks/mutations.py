"""Every small change of a function's source, as a learner's slip would make it, one change at a time.

What a learner is given is left alone (the signature), and so is what no check looks at: types, the
messages of exceptions, `strict=` and `device=`, and the wrappers `float()` and `int()`.
"""

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from difflib import SequenceMatcher

OPERATORS: dict[type[ast.AST], list[type[ast.AST]]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
}
ONE_SIDED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Pow, ast.MatMult)  # operands that may be swapped
NAMES = {
    **{"sum": "mean", "mean": "sum", "max": "min", "min": "max", "any": "all", "all": "any"},
    **{
        "var": "std",
        "std": "var",
        "exp": "log",
        "log": "exp",
        "argmin": "argmax",
        "argmax": "argmin",
    },
    **{
        "sin": "cos",
        "cos": "sin",
        "zeros": "ones",
        "ones": "zeros",
        "square": "abs",
        "abs": "square",
    },
    **{
        "softmax": "sigmoid",
        "log_softmax": "logsigmoid",
        "softplus": "relu",
        "cdf": "ppf",
        "ppf": "cdf",
    },
    **{"randn": "rand", "pmf": "cdf", "corrcoef": "cov", "sqrt": "square", "digamma": "gammaln"},
    **{"argsort": "sort", "sort": "argsort", "cumsum": "cumprod", "trace": "sum", "empty": "zeros"},
}
SPREADS = {"var": "correction", "std": "correction", "cov": "ddof"}  # each by n or by n - 1
LEFT_ALONE = {"strict", "device", "dtype"}  # keywords that change no value on a CPU
WRAPPERS = {"float", "int"}


@dataclass(frozen=True)
class Mutant:
    """A changed function: its lines before and after, and its module as a syntax tree."""

    change: str
    tree: ast.Module


def mutants(function: Callable) -> list[Mutant]:
    """Every change of the function, each with a description of its own."""
    original = tree_of(function)
    (definition,) = original.body
    assert isinstance(definition, ast.FunctionDef)
    variables = _variables(definition)
    before = ast.unparse(original)
    found, seen = [], {before}
    times: Counter[str] = Counter()
    given = _given(definition)
    for position, node in enumerate(ast.walk(original)):
        if node in given:
            continue
        for new in _variants(node, variables):
            tree = deepcopy(original)
            target = list(ast.walk(tree))[position]
            _Replacing(target, new).visit(tree)
            ast.fix_missing_locations(tree)
            if (after := ast.unparse(tree)) in seen:
                continue
            seen.add(after)
            change = _change(before, after)
            times[change] += 1
            again = f" (place {times[change]})" if times[change] > 1 else ""
            found.append(Mutant(change + again, tree))
    return found


def _given(definition: ast.FunctionDef) -> set[ast.AST]:
    """What is left alone: defaults, and what `strict` and the like are set to."""
    roots: list[ast.AST] = [*definition.args.defaults]
    for node in ast.walk(definition):
        if isinstance(node, ast.keyword) and node.arg in LEFT_ALONE:
            roots.append(node.value)
    return {node for root in roots for node in ast.walk(root)}


def _change(before: str, after: str) -> str:
    """The lines that differ, before and after."""
    lines = [[line.strip() for line in text.splitlines()] for text in (before, after)]
    parts = SequenceMatcher(None, *lines, autojunk=False).get_opcodes()
    words = []
    for _, i, j, k, m in (part for part in parts if part[0] != "equal"):
        words.append(
            f"{'; '.join(lines[0][i:j]) or 'nothing'} -> {'; '.join(lines[1][k:m]) or 'nothing'}"
        )
    return " and ".join(words)


def tree_of(function: Callable) -> ast.Module:
    """The function's source without docstring, annotations and messages of exceptions."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            if ast.get_docstring(node):
                node.body = node.body[1:]
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args = []
    return _Unannotated().visit(tree)


def built(mutant: Mutant, function: Callable) -> Callable:
    """The mutant as a function, in the namespace of the original."""
    function = inspect.unwrap(function)
    names = dict(function.__globals__)
    exec(compile(mutant.tree, f"<a mutant of {function.__name__}>", "exec"), names)
    return names[function.__name__]


class _Unannotated(ast.NodeTransformer):
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return ast.copy_location(ast.Assign([node.target], node.value), node)


class _Replacing(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST | None):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST | None:
        return self.new if node is self.old else self.generic_visit(node)


def _variables(definition: ast.FunctionDef) -> list[str]:
    arguments = [
        a.arg for n in ast.walk(definition) if isinstance(n, ast.arguments) for a in n.args
    ]
    stored = [
        n.id
        for n in ast.walk(definition)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]
    return list(dict.fromkeys(arguments + stored))


def _variants(node: ast.AST, variables: list[str]) -> Iterator[ast.AST | None]:
    """What may stand in the node's place."""
    match node:
        case ast.FunctionDef():
            for i in range(len(node.decorator_list)):
                yield _with(node, decorator_list=_without(node.decorator_list, i))
            for argument in node.args.args:
                if default := _default(node, argument.arg):
                    ignored = ast.Assign([ast.Name(argument.arg, ast.Store())], default)
                    yield _with(node, body=[ignored, *node.body])
        case ast.BinOp():
            for operator in OPERATORS.get(type(node.op), []):
                yield _with(node, op=operator())
            if isinstance(node.op, ONE_SIDED):
                yield _with(node, left=node.right, right=node.left)
            yield from (node.left, node.right)
        case ast.BoolOp():
            yield _with(node, op=OPERATORS[type(node.op)][0]())
            yield from node.values
        case ast.UnaryOp():
            yield node.operand
        case ast.Compare():
            for operator in OPERATORS.get(type(node.ops[0]), []):
                yield _with(node, ops=[operator()])
        case ast.Constant():
            yield from map(ast.Constant, _other_constants(node.value))
        case ast.Name(ctx=ast.Load()):
            yield from (ast.Name(other, ast.Load()) for other in variables if node.id in variables)
            if node.id in NAMES:
                yield ast.Name(NAMES[node.id], ast.Load())
        case ast.Attribute():
            if node.attr == "T":
                yield node.value
            if node.attr in NAMES:
                yield _with(node, attr=NAMES[node.attr])
        case ast.Subscript(ctx=ast.Load()):
            yield node.value
        case ast.Slice():
            yield from _slices(node)
        case ast.Tuple(elts=[first, second], ctx=ast.Load()):
            yield _with(node, elts=[second, first])
        case ast.IfExp():
            yield from (node.body, node.orelse)
        case ast.If():
            yield from (_with(node, test=ast.Constant(value)) for value in (True, False))
        case ast.comprehension():
            yield from (_with(node, ifs=_without(node.ifs, i)) for i in range(len(node.ifs)))
        case ast.Call():
            yield from _calls(node)
        case ast.Raise():
            yield ast.Pass()
        case ast.Expr() | ast.Assign() | ast.AugAssign():
            yield ast.Pass()
    if isinstance(node, ast.For):
        yield ast.Pass()
        yield _with(node, body=[*node.body, ast.Break()])


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    is_method = isinstance(node.func, ast.Attribute) and not _is_module(node.func.value)
    if is_method:
        yield node.func.value
    elif node.args and name not in WRAPPERS:
        yield node.args[0]
    for i, keyword in enumerate(node.keywords):
        if keyword.arg not in LEFT_ALONE:
            yield _with(node, keywords=_without(node.keywords, i))
    for i in range(len(node.args)):
        yield _with(node, args=_without(node.args, i))
        if i:
            swapped = [*node.args[: i - 1], node.args[i], node.args[i - 1], *node.args[i + 1 :]]
            yield _with(node, args=swapped)
        if name == "range":
            for operator in (ast.Add(), ast.Sub()):
                nearby = ast.BinOp(node.args[i], operator, ast.Constant(1))
                yield _with(node, args=[*node.args[:i], nearby, *node.args[i + 1 :]])
    if name in SPREADS and not any(k.arg == SPREADS[name] for k in node.keywords):
        keyword = "ddof" if not is_method else SPREADS[name]
        for value in (0, 1):
            yield _with(node, keywords=[*node.keywords, ast.keyword(keyword, ast.Constant(value))])


def _is_module(node: ast.AST) -> bool:
    """Whether a call of this node's attribute is a function's and not a method's, as in np.sum(x)."""
    root = node
    while isinstance(root, ast.Attribute):
        root = root.value
    known = {"np", "torch", "F", "math", "stats", "norm", "special", "rng"}
    return isinstance(root, ast.Name) and root.id in known


def _slices(node: ast.Slice) -> Iterator[ast.AST]:
    for bound in ("lower", "upper"):
        value = getattr(node, bound)
        if value is None:
            continue
        yield _with(node, **{bound: None})
        if not isinstance(value, ast.Constant):  # a constant is changed as one
            for operator in (ast.Add(), ast.Sub()):
                yield _with(node, **{bound: ast.BinOp(value, operator, ast.Constant(1))})
    if node.step is not None:
        yield _with(node, step=None)


def _other_constants(value: object) -> list[object]:
    match value:
        case bool():
            return [not value]
        case int():
            return [value - 1, value + 1]
        case float():
            return [value / 2, value * 2, 0.0]
        case _:
            return []


def _default(node: ast.FunctionDef, argument: str) -> ast.AST | None:
    names = [a.arg for a in node.args.args]
    defaults = dict(
        zip(names[len(names) - len(node.args.defaults) :], node.args.defaults, strict=True)
    )
    return defaults.get(argument)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    copy = deepcopy(node)
    for name, value in fields.items():
        setattr(copy, name, deepcopy(value))
    return copy


def _without(items: list, i: int) -> list:
    return [*items[:i], *items[i + 1 :]]
