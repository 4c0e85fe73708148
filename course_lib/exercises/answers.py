"""Finding a learner's answers in a notebook, and all that they need to run.

The answer to an exercise is what its check gets when the notebook is run from top to bottom. Where
that is no answer (the check is gone, or stands above all answers), it is found by its cell's tag, else
by the marker `# exercise: id`, else by the function's name; never by the cell's id, which Colab drops.
Nothing of the notebook is executed here, but parsing it is work that a hostile notebook chooses: a
grader does that in the sandbox too.
"""

import ast
import hashlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from course_lib.exercises.aliases import current
from course_lib.exercises.dependence import Dependence
from course_lib.exercises.exercise import Exercise
from course_lib.exercises.magics import as_python
from course_lib.exercises.sources import Statement, excerpt, statements

MARKER = re.compile(r"^[ \t]*#[ \t]*exercise:[ \t]*([\w.]+)\s*?$", re.IGNORECASE | re.MULTILINE)


class NotebookError(ValueError):
    """The file handed in cannot be read as a notebook; the message says why."""


Program = tuple[tuple[int, str], ...]  # of each cell, its number and what is to be run of it


@dataclass(frozen=True)
class CodeCell:
    """A code cell of a notebook: `number` counts all cells from 1, as a person would; `said` is the
    beginning of what it displayed."""

    number: int
    source: str
    tags: frozenset[str] = frozenset()
    said: str = ""


@dataclass(frozen=True)
class Answer:
    """Where an exercise's answer was found, and what it needs.

    Attributes:
        found: "tag", "marker", "name", "check" (only its check names it) or "nowhere".
        name: the function's name in the notebook; "" where the check gets an expression.
        cell: the cell's number; 0 where there is none.
        programs: what to run before the answer, from the least to the most: what it needs; where
            that cannot be told for certain, also what may change it, all definitions, and the whole
            notebook up to its check. Lines that are left out are blank.
        certain: nothing else in the notebook can make a difference to the answer.
        uses: ids of other exercises whose functions the programs name.
        unsolved: the function is still the stub.
        problem: why the answer cannot run, such as a syntax error.
        saved: what its check said when the notebook was saved: "solved", "wrong" or "".
        fingerprint: the hash of the answer's normalised syntax tree.
        length: how many nodes that tree has.
        labelled: its cell has the exercise's tag or marker.
        other: another answer, behind the check.
    """

    found: str = "nowhere"
    name: str = ""
    cell: int = 0
    programs: tuple[Program, ...] = ()
    certain: bool = True
    uses: tuple[str, ...] = ()
    unsolved: bool = False
    problem: str = ""
    saved: str = ""
    fingerprint: str = ""
    length: int = 0
    labelled: bool = False
    other: "Answer | None" = None

    @property
    def program(self) -> Program:
        """The least that is to be run."""
        return self.programs[0] if self.programs else ()


@dataclass(frozen=True)
class Wanted:
    """An exercise to look for: its id, its function's name, whether it needs every cell, its title."""

    id: str
    name: str
    whole_notebook: bool = False
    title: str = ""

    @classmethod
    def of(cls, exercise: Exercise) -> "Wanted":
        return cls(
            exercise.id, exercise.reference.__name__, exercise.whole_notebook, exercise.title
        )


def code_cells(content: bytes) -> list[CodeCell]:
    """The code cells of a notebook file of nbformat 3 or 4; see `read_notebook`."""
    return read_notebook(content)[0]


def read_notebook(content: bytes) -> tuple[list[CodeCell], str]:
    """The code cells of a notebook file of nbformat 3 or 4, and the version of Python that it was
    saved with ("" where it does not say); odd cells are skipped, not refused.

    Raises:
        NotebookError: it is not JSON, or not a notebook.
    """
    if not content.strip():
        raise NotebookError("The file is empty.")
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
            source = source.replace("\r\n", "\n").replace("\r", "\n")
            found.append(CodeCell(number, source, frozenset(tags), _said(cell.get("outputs"))))
    return found, _python_version(book)


def _said(outputs: object) -> str:
    """The first words of what a cell displayed, in which a check says whether it is solved."""
    said = []
    for output in outputs[:20] if isinstance(outputs, list) else ():
        data = output.get("data") if isinstance(output, dict) else None
        text = data.get("text/plain") if isinstance(data, dict) else None
        if isinstance(text, list):
            text = "".join(part for part in text[:3] if isinstance(part, str))
        if isinstance(text, str):
            said.append(text[:300])
    return "\n".join(said)


def _python_version(book: dict) -> str:
    metadata = book.get("metadata")
    language = metadata.get("language_info") if isinstance(metadata, dict) else None
    version = language.get("version") if isinstance(language, dict) else None
    known = re.match(r"3\.\d{1,3}(?![^.])", version) if isinstance(version, str) else None
    return known[0] if known else ""


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
    try:
        source = as_python(cell.source)
        return _Parsed(cell, source, statements(source, cell.number))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return _Parsed(cell, cell.source, problem=_problem(error))


def _problem(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"The cell is not valid Python: {error.msg} (line {error.lineno} of the cell)."
    return f"The cell cannot be read as Python ({type(error).__name__})."


def is_newer(python: str) -> bool:
    """Whether a version such as "3.12" is newer than the running Python. Unknown ones may be."""
    return not python or tuple(map(int, python.split("."))) > sys.version_info[:2]


def find_answers(cells: Sequence[CodeCell], wanted: Sequence[Wanted]) -> dict[str, Answer]:
    """The answer to each of the wanted exercises, by the exercise's id."""
    finder = _Finder([_parse(cell) for cell in cells], {w.id: w.name for w in wanted})
    return {w.id: finder.find(w) for w in wanted}


@dataclass(frozen=True)
class _Place:
    """Where an answer may be: a cell, the answer's name, and the statement that binds it last."""

    found: str
    part: _Parsed
    name: str
    root: Statement | None = None

    @property
    def unsolved(self) -> bool:
        return self.root is not None and _is_stub(self.root.node)


class _Finder:
    """Finds the answers in one notebook. `names`: of each exercise by its id, its function's name."""

    def __init__(self, parsed: list[_Parsed], names: Mapping[str, str]):
        self.parsed = parsed
        self.names = names
        self.everything = [statement for part in parsed for statement in part.statements]
        self.index = {statement: i for i, statement in enumerate(self.everything)}
        self.part_of = {part.cell.number: part for part in parsed}
        self.dependence = Dependence(self.everything, _hands_back, given=("check",))
        self.checks: dict[str, list[tuple[Statement, ast.expr]]] = {}
        for statement in self.everything:
            for node in ast.walk(statement.node):
                if found := _check(node):
                    self.checks.setdefault(found[0], []).append((statement, found[1]))

    def find(self, wanted: Wanted) -> Answer:
        checked, argument = self.checks.get(wanted.id, [(None, None)])[-1]
        saved = self._saved(wanted)
        tiers = self._tiers(wanted)
        behind = self._marked(tiers)
        place = None
        if checked is not None and argument is not None:
            place = self._as_checked(checked, argument, tiers)
        if place is None or (place.unsolved and behind is not None and not behind.unsolved):
            place = behind
        if place is None:
            return Answer(saved=saved)
        answer = self._answer(wanted, place, checked, saved, tiers)
        if checked is None or self._at(place) > self.index[checked]:
            return answer
        later = [p for places in tiers.values() for p in places if p.root and not p.unsolved]
        later = [p for p in later if self._at(p) > self.index[checked]]
        if not later:
            return answer
        last = max(later, key=self._at)
        return replace(answer, other=self._answer(wanted, last, None, saved, tiers))

    def _at(self, place: _Place) -> int:
        return -1 if place.root is None else self.index[place.root]

    def _saved(self, wanted: Wanted) -> str:
        """What the last check of the exercise said when the notebook was saved."""
        checks = self.checks.get(wanted.id, [])
        said = self.part_of[checks[-1][0].cell].cell.said if checks else ""
        if not wanted.title or f"{wanted.title} - " not in said:
            return ""
        return "solved" if f"{wanted.title} - Solved: " in said else "wrong"

    def _answer(
        self,
        wanted: Wanted,
        place: _Place,
        checked: Statement | None,
        saved: str,
        tiers: Mapping[str, list[_Place]],
    ) -> Answer:
        labelled = any(place.root is p.root for t in ("tag", "marker") for p in tiers[t])
        answer = Answer(
            place.found, place.name, place.part.cell.number, saved=saved, labelled=labelled
        )
        root = place.root
        if root is None:
            return replace(answer, problem=place.part.problem)
        if root is not checked:
            fingerprint, length = _fingerprint(root.node)
            answer = replace(answer, fingerprint=fingerprint, length=length)
        if place.unsolved:
            return replace(answer, unsolved=True)
        if checked is not None and self.index[root] <= self.index[checked]:
            until = end = self.index[checked] + 1
        else:
            until = self.index[place.part.statements[-1]] + 1
            end = len(self.everything)
        roots = [s for s in place.part.statements if place.name in s.binds and not _is_check(s)]
        roots = [s for s in roots if self.index[s] < until] or [root]
        least = self.dependence.needed(roots, until)
        chosen = [least.statements]
        if wanted.whole_notebook:
            chosen = [tuple(s for s in self.everything if not _hands_back(s))]
        elif not least.certain or saved == "solved":
            more = self.dependence.needed(roots, until, thorough=True)
            whole = tuple(s for s in self.everything[:end] if not _hands_back(s))
            defined = {*more.statements, *self.dependence.definitions(end)}
            definitions = tuple(s for s in whole if s in defined)
            chosen = list(dict.fromkeys([least.statements, more.statements, definitions, whole]))
        named = {n for kept in chosen for s in kept for n in s.binds | s.uses} - {place.name}
        return replace(
            answer,
            programs=tuple(self._program(kept) for kept in chosen),
            certain=least.certain,
            uses=tuple(e for e, n in self.names.items() if n in named and e != wanted.id),
        )

    def _program(self, kept: Sequence[Statement]) -> Program:
        of_cell: dict[int, list[Statement]] = {}
        for statement in kept:
            of_cell.setdefault(statement.cell, []).append(statement)
        return tuple(
            (number, excerpt(self.part_of[number].source, of_cell[number]))
            for number in sorted(of_cell)
        )

    def _as_checked(
        self, check: Statement, argument: ast.expr, tiers: Mapping[str, list[_Place]]
    ) -> _Place | None:
        """What the check gets, where the cells run from top to bottom."""
        part = self.part_of[check.cell]
        if not isinstance(argument, ast.Name):
            return _Place("check", part, "", check)
        name = argument.id
        before = self.everything[: self.index[check]]
        root = next((s for s in reversed(before) if name in s.binds and not _hands_back(s)), None)
        if root is None:
            return None
        found = next(
            (t for t, places in tiers.items() if root in [p.root for p in places]), "check"
        )
        return _Place(found, self.part_of[root.cell], name, root)

    def _marked(self, tiers: Mapping[str, list[_Place]]) -> _Place | None:
        """The last answer by tag, marker or name; one that is solved before one that is not."""
        solved = {tier: [p for p in places if not p.unsolved] for tier, places in tiers.items()}
        for candidates in (solved, tiers):
            for places in candidates.values():
                if places:
                    return places[-1]
        return None

    def _tiers(self, wanted: Wanted) -> dict[str, list[_Place]]:
        known = {name.lower() for name in self.names}
        tiers: dict[str, list[_Place]] = {"tag": [], "marker": [], "name": []}
        for part in self.parsed:
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
                unreadable = (
                    part.problem and not markers and _defines(part.cell.source, wanted.name)
                )
                if not (wanted.name in defined or mine or unreadable):
                    continue
                name = wanted.name
            tier = "marker" if mine else "name" if not markers else ""
            tier = "tag" if tagged and tier else tier
            if tier:
                tiers[tier].append(_Place(tier, part, name, _last_binding(part, name)))
        return tiers


def _last_binding(part: _Parsed, name: str) -> Statement | None:
    return next(
        (s for s in reversed(part.statements) if name in s.binds and not _is_check(s)), None
    )


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


def _check(node: ast.AST | None) -> tuple[str, ast.expr] | None:
    """The id and the answer that a call of `check` gets; None for all else."""
    if not isinstance(node, ast.Call):
        return None
    function = node.func
    called = function.attr if isinstance(function, ast.Attribute) else ""
    called = function.id if isinstance(function, ast.Name) else called
    given = {k.arg: k.value for k in node.keywords}
    given |= dict(zip(("exercise_id", "answer"), node.args, strict=False))
    name, answer = given.get("exercise_id"), given.get("answer")
    if called != "check" or answer is None or not isinstance(name, ast.Constant):
        return None
    return current(str(name.value)), answer


def _is_check(statement: Statement) -> bool:
    """Whether the statement is `name = check("id", name)`, up to the names."""
    return _check(getattr(statement.node, "value", None)) is not None


def _hands_back(statement: Statement) -> bool:
    """Whether it is a check whose result gets the answer's own name, or none: it changes nothing."""
    found = _check(getattr(statement.node, "value", None))
    if found is None or not isinstance(found[1], ast.Name):
        return False
    return statement.binds <= {found[1].id}


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
