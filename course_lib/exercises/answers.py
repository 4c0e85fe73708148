"""Finding a learner's answers in a notebook, and all that they need to run.

An answer is found by its cell's tag, else by the marker `# exercise: id`, else by the function's
name; never by the cell's id, which Colab drops. Nothing of the notebook is executed here, but
parsing it is work that a hostile notebook chooses: a grader does that in the sandbox too.
"""

import ast
import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from course_lib.exercises.aliases import current
from course_lib.exercises.exercise import Exercise
from course_lib.exercises.sources import Statement, excerpt, needed, statements

MARKER = re.compile(r"^[ \t]*#[ \t]*exercise:[ \t]*([\w.]+)\s*?$", re.IGNORECASE | re.MULTILINE)


class NotebookError(ValueError):
    """The file handed in cannot be read as a notebook; the message says why."""


@dataclass(frozen=True)
class CodeCell:
    """A code cell of a notebook: `number` counts all cells from 1, as a person would."""

    number: int
    source: str
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answer:
    """Where an exercise's answer was found, and what it needs.

    Attributes:
        found: "tag", "marker", "name" or "nowhere".
        name: the function's name in the notebook.
        cell: the cell's number; 0 where there is none.
        program: the needed parts of the notebook's cells, by number and in order; lines that are
            not needed are blank.
        uses: ids of other exercises whose functions the program names.
        unsolved: the function is still the stub.
        problem: why the answer cannot run, such as a syntax error.
        fingerprint: the hash of the answer's normalised syntax tree.
        length: how many nodes that tree has.
    """

    found: str = "nowhere"
    name: str = ""
    cell: int = 0
    program: tuple[tuple[int, str], ...] = ()
    uses: tuple[str, ...] = ()
    unsolved: bool = False
    problem: str = ""
    fingerprint: str = ""
    length: int = 0


@dataclass(frozen=True)
class Wanted:
    """An exercise to look for: its id, its function's name, and whether it needs every cell."""

    id: str
    name: str
    whole_notebook: bool = False

    @classmethod
    def of(cls, exercise: Exercise) -> "Wanted":
        return cls(exercise.id, exercise.reference.__name__, exercise.whole_notebook)


def code_cells(content: bytes) -> list[CodeCell]:
    """The code cells of a notebook file of nbformat 3 or 4; odd cells are skipped, not refused.

    Raises:
        NotebookError: it is not JSON, or not a notebook.
    """
    try:
        book = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise NotebookError(f"The file is not UTF-8 text ({error.reason}).") from None
    except RecursionError:
        raise NotebookError("The file's JSON is nested too deeply.") from None
    except ValueError as error:
        raise NotebookError(f"The file is not valid JSON: {error}.") from None
    if not isinstance(book, dict):
        raise NotebookError("The file is JSON, but not a notebook.")
    cells = book.get("cells")
    if cells is None:  # nbformat 3 kept them in worksheets
        sheets = book.get("worksheets")
        if not isinstance(sheets, list):
            raise NotebookError("The file is JSON, but has no cells: it is not a notebook.")
        cells = [c for s in sheets if isinstance(s, dict) for c in s.get("cells") or []]
    if not isinstance(cells, list):
        raise NotebookError("The notebook's cells are not a list.")
    found = []
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", cell.get("input", ""))
        if isinstance(source, list):
            source = "".join(line for line in source if isinstance(line, str))
        metadata = cell.get("metadata")
        tags = metadata.get("tags") if isinstance(metadata, dict) else None
        tags = [t for t in tags if isinstance(t, str)] if isinstance(tags, list) else []
        if isinstance(source, str):
            found.append(CodeCell(number, source, frozenset(tags)))
    return found


@dataclass
class _Parsed:
    """A cell, its statements, and what is wrong with it."""

    cell: CodeCell
    source: str
    statements: list[Statement] = field(default_factory=list)
    problem: str = ""

    @property
    def markers(self) -> list[str]:
        return [current(name.lower()) for name in MARKER.findall(self.cell.source)]


def _parse(cell: CodeCell) -> _Parsed:
    source, problem = cell.source, ""
    try:
        return _Parsed(cell, source, statements(source, cell.number))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problem = _problem(error)
    try:  # magics such as %matplotlib or !pip, as IPython reads them
        from IPython.core.inputtransformer2 import TransformerManager

        source = TransformerManager().transform_cell(cell.source)
        return _Parsed(cell, source, statements(source, cell.number))
    except Exception:
        return _Parsed(cell, cell.source, problem=problem)


def _problem(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"The cell is not valid Python: {error.msg} (line {error.lineno} of the cell)."
    return f"The cell cannot be read as Python ({type(error).__name__})."


def find_answers(cells: Sequence[CodeCell], wanted: Sequence[Wanted]) -> dict[str, Answer]:
    """The answer to each of the wanted exercises, by the exercise's id."""
    parsed = [_parse(cell) for cell in cells]
    everything = [statement for part in parsed for statement in part.statements]
    names = {w.id: w.name for w in wanted}
    return {w.id: _find(w, parsed, everything, names) for w in wanted}


def _find(
    wanted: Wanted, parsed: list[_Parsed], everything: list[Statement], names: Mapping[str, str]
) -> Answer:
    found, part, name = _choose(wanted, parsed, {known.lower() for known in names})
    if part is None:
        return Answer()
    place = Answer(found, name, part.cell.number)
    if part.problem:
        return replace(place, problem=part.problem)
    roots = [s for s in part.statements if name in s.binds and not _is_check(s)]
    fingerprint, length = _fingerprint(roots[-1].node)
    place = replace(place, fingerprint=fingerprint, length=length)
    if _is_stub(roots[-1].node):
        return replace(place, unsolved=True)
    if wanted.whole_notebook:
        kept = [s for s in everything if not _is_check(s)]
    else:
        kept = needed(everything, roots, until=part.cell.number, skip=_is_check)
    named = {n for s in kept for n in s.binds | s.uses} - {name}
    program = tuple(
        (p.cell.number, excerpt(p.source, mine))
        for p in parsed
        if (mine := [s for s in kept if s.cell == p.cell.number])
    )
    uses = tuple(other for other, n in names.items() if n in named and other != wanted.id)
    return replace(place, program=program, uses=uses)


def _choose(
    wanted: Wanted, parsed: list[_Parsed], known: set[str]
) -> tuple[str, _Parsed | None, str]:
    """How the answer was found, its cell, and the function's name there."""
    tiers: dict[str, list[tuple[_Parsed, str]]] = {"tag": [], "marker": [], "name": []}
    for part in parsed:
        tagged = "exercise" in part.cell.tags
        markers = [
            marker for marker in part.markers if marker in known
        ]  # a mistyped id is not a marker
        mine = wanted.id.lower() in markers
        defined = [n for s in part.statements if not _is_check(s) for n in s.binds]
        if mine and wanted.name not in defined and not part.problem:
            nodes = [s.node for s in part.statements]
            functions = [n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
            if len(functions) != 1:  # a marker that was left in an empty or unrelated cell
                continue
            name = functions[0]
        else:
            unreadable = part.problem and not markers and _defines(part.cell.source, wanted.name)
            if not (wanted.name in defined or mine or unreadable):
                continue
            name = wanted.name
        if tagged and (mine or not markers):
            tiers["tag"].append((part, name))
        elif mine:
            tiers["marker"].append((part, name))
        elif not markers:
            tiers["name"].append((part, name))
    solved = {
        tier: [(p, n) for p, n in parts if not _unsolved(p, n)] for tier, parts in tiers.items()
    }
    for candidates in (solved, tiers):
        for tier, parts in candidates.items():
            if parts:
                part, name = parts[-1]
                return _later(wanted, parsed, tiers["name"], part) or (tier, part, name)
    return "nowhere", None, ""


def _later(
    wanted: Wanted,
    parsed: Sequence[_Parsed],
    unmarked: Sequence[tuple[_Parsed, str]],
    part: _Parsed,
) -> tuple[str, _Parsed, str] | None:
    """A definition in a new cell between the answer's and its check: the check would take it."""
    checks = [p.cell.number for p in parsed if any(_is_check(s, wanted.id) for s in p.statements)]
    if not checks:
        return None
    between = [
        (p, name)
        for p, name in unmarked
        if part.cell.number < p.cell.number < checks[-1] and not _unsolved(p, name)
    ]
    return ("name", *between[-1]) if between else None


def _unsolved(part: _Parsed, name: str) -> bool:
    mine = [s for s in part.statements if name in s.binds and not _is_check(s)]
    return bool(mine) and _is_stub(mine[-1].node)


def _defines(source: str, name: str) -> bool:
    return (
        re.search(rf"^[ \t]*(def|class)[ \t]+{re.escape(name)}\b", source, re.MULTILINE) is not None
    )


def _is_stub(node: ast.stmt) -> bool:
    """A function that has nothing but a docstring, an ellipsis and NotImplementedError."""
    if not isinstance(node, ast.FunctionDef):
        return False

    def empty(part: ast.stmt) -> bool:
        if isinstance(part, ast.Raise):
            raised = part.exc.func if isinstance(part.exc, ast.Call) else part.exc
            return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
        return isinstance(part, ast.Pass) or (
            isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        )

    return all(empty(part) for part in node.body)


def _is_check(statement: Statement, exercise_id: str | None = None) -> bool:
    """Whether the statement is `name = check("id", name)`, which the grader does in its own way."""
    value = getattr(statement.node, "value", None)
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called != "check" or not value.args or not isinstance(value.args[0], ast.Constant):
        return False
    return exercise_id is None or current(str(value.args[0].value)) == exercise_id


class _Normalised(ast.NodeTransformer):
    """Local names become numbers in order of appearance; docstrings and annotations are dropped."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def _name(self, name: str) -> str:
        return self.names.setdefault(name, f"n{len(self.names)}")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns = self._name(node.name), None
        self._drop_docstring(node)
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._name(node.name)
        self._drop_docstring(node)
        return self.generic_visit(node)

    def _drop_docstring(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:  # a bare annotation
            return ast.Pass()
        return self.generic_visit(ast.Assign([node.target], node.value, lineno=node.lineno))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = self._name(node.name) if node.name else None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self._name(node.arg), None
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._name(node.id)
        return node


@cache
def fingerprint_of(function: Callable[..., object]) -> str:
    """The fingerprint that a copy of this function would have."""
    source = inspect.getsource(function)
    return _fingerprint(ast.parse(source).body[0])[0]


@cache
def is_one_line(function: Callable[..., object]) -> bool:
    """Whether a function is one statement besides its docstring: then right answers are alike
    without being copies."""
    node = ast.parse(inspect.getsource(function)).body[0]
    body = node.body if isinstance(node, ast.FunctionDef) else [node, node]
    return len(body) - bool(isinstance(node, ast.FunctionDef) and ast.get_docstring(node)) == 1


def _fingerprint(node: ast.stmt) -> tuple[str, int]:
    try:
        tree = _Normalised().visit(ast.parse(ast.unparse(node)))
        text = ast.dump(tree)
        return hashlib.sha256(text.encode()).hexdigest()[:16], sum(1 for _ in ast.walk(tree))
    except (RecursionError, MemoryError, ValueError):
        return "", 0
