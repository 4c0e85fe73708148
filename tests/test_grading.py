"""Grading one submission: fair to whatever a learner's notebook went through."""

import copy
import dataclasses
import hashlib
import hmac
import inspect
import json
from pathlib import Path

import nbformat
import numpy as np
import pytest

from course_lib.exercises import all_exercises, get, submit_check
from course_lib.exercises.answers import Wanted, code_cells, find_answers
from course_lib.exercises.dependence import standalone
from course_lib.exercises.exercise import call
from course_lib.exercises.registry import needed_modules
from course_lib.exercises.sources import statements
from course_lib.grading.errors import GradingError
from course_lib.grading.evaluation import grade_submission
from course_lib.grading.execution import USUAL
from course_lib.grading.intake.submission import Submission
from course_lib.grading.marking import Marking, read_checks
from course_lib.grading.result import WRITTEN
from course_lib.grading.sandbox.engines import (
    hidden_files,
    make,
    try_walls,
)
from course_lib.grading.sandbox.process import SandboxError
from course_lib.syllabus import course

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSON = "01_vae"
MARKING = Marking(LESSON, "a secret of the tests")
MARK = "# exercise: "


@pytest.fixture(scope="module")
def sandbox(walls):
    with make("bubblewrap", MARKING) as sandbox:
        try_walls(sandbox)
        yield sandbox


def solved(lesson=LESSON, only=None):
    """The lesson with the library's answers in place of its stubs; with `only` these ones."""
    book = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)
    for cell in stubs(book):
        name = cell.source.splitlines()[0].removeprefix(MARK)
        if only is None or name in only:
            cell.source = f"{MARK}{name}\n{inspect.getsource(get(name).reference)}"
    return book


def stubs(book):
    return [c for c in book.cells if c.source.startswith(MARK)]


def cell_of(book, exercise):
    return next(c for c in stubs(book) if c.source.startswith(MARK + exercise + "\n"))


def graded(book, sandbox, marking=MARKING):
    content = book if isinstance(book, bytes) else json.dumps(book).encode()
    return grade_submission(content, Submission("Jane", "jane.ipynb"), marking, sandbox)


def points(result):
    return {e.id: e.points for e in result.marks}


def sentences(result, exercise):
    (found,) = (e for e in result.marks if e.id == exercise)
    return [case.sentence for case in found.cases]


# --- marks ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("walls")
@pytest.mark.parametrize("lesson", [n for n, x in course().lessons.items() if x.exercises])
def test_the_library_s_answers_get_full_marks_and_stubs_none(lesson):
    marking = Marking(lesson, "another secret")
    marking.validate()
    with make("bubblewrap", marking) as sandbox:
        full = graded(solved(lesson), sandbox, marking)
        texts = sum(text.points for text in marking.written)  # which a person marks
        assert full.points == full.of - texts == marking.points - texts > 0
        asked = {flag.kind for flag in full.flags if flag.needs_person}
        assert asked == ({WRITTEN} if texts else set())
        assert {e.found for e in full.marks} <= {"tag", WRITTEN}
        empty = graded(solved(lesson, only=()), sandbox, marking)
    assert empty.points == 0
    assert empty.needs_person == bool(texts)
    assert {s for e in empty.marks for s in sentences(empty, e.id)} == {"Not solved yet."}


def test_wrong_answers_get_the_sentence_of_their_mistake(sandbox):
    book = solved()
    cell_of(book, "vae.kl_divergence").source = (
        "# exercise: vae.kl_divergence\n"
        "def kl_divergence(mu, log_var):\n"
        "    return -0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)\n"
    )
    result = graded(book, sandbox)
    # elbo calls kl_divergence: the learner is not punished twice for one mistake
    assert points(result)["vae.kl_divergence"] < 1
    assert {n for n, p in points(result).items() if p < get(n).points} == {"vae.kl_divergence"}
    assert "sign" in " ".join(sentences(result, "vae.kl_divergence"))


def test_each_case_counts_by_itself(sandbox):
    book = solved()
    cell_of(book, "vae.kl_divergence").source = (
        "# exercise: vae.kl_divergence\ncalls = []\n"
        "def kl_divergence(mu, log_var):\n"
        "    calls.append(1)\n"
        "    assert len(calls) == 1  # each case meets a fresh process\n"
        "    right = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)\n"
        "    return right if right.sum() > 0 else right + 1\n"
    )
    result = graded(book, sandbox)
    (kl,) = (e for e in result.marks if e.id == "vae.kl_divergence")
    passed = [case.passed for case in kl.cases]
    assert 0 < sum(passed) < len(passed)
    assert kl.points == pytest.approx(
        get("vae.kl_divergence").points * sum(passed) / len(passed), abs=1e-3
    )


def test_the_same_submission_gets_the_same_cases_and_another_one_others():
    kl = get("vae.kl_divergence")
    a, again, b = (MARKING.cases(kl, name) for name in ("a", "a", "b"))
    visible = kl.cases(0)

    def numbers(cases):
        return [v.tolist() for c in cases for v in c.inputs.values() if hasattr(v, "tolist")]

    assert numbers(a) == numbers(again)
    assert numbers(a) != numbers(b)
    assert numbers(visible) not in (numbers(a), numbers(b))
    assert numbers(Marking(LESSON, "other").cases(kl, "a")) != numbers(a)


def test_hidden_numbers_never_reach_the_sentences(sandbox):
    book = solved()
    cell_of(book, "vae.kl_divergence").source = (
        "# exercise: vae.kl_divergence\n"
        "def kl_divergence(mu, log_var):\n"
        "    raise type('E' + str(mu.flatten().tolist()), (ValueError,), {})(str(mu.tolist()))\n"
    )
    for sentence in sentences(graded(book, sandbox), "vae.kl_divergence"):
        assert sentence == (
            "Your function raised an exception. "
            "The check in the notebook shows its message and line."
        )


SHOWN = {
    "shape": "return torch.zeros([round(abs(float(x)) * 1000) for x in mu.flatten()[:2]])",
    "count": "return [0] * round(abs(float(mu.flatten()[0])) * 1000)",
    "NaN": "return right.where(torch.arange(len(right)) > round(abs(float(mu[0, 0]))), torch.nan)",
    "line": "exec(compile('\\n' * round(abs(float(mu[-1, -1])) * 1000) + '1 / 0', '<cell 1>', 'exec'))",
    "exception": "raise list(Exception.__subclasses__())[int(abs(float(mu[-1, -1])) * 9)]('x')",
}


@pytest.mark.parametrize("way", SHOWN)
def test_no_sentence_tells_more_than_a_few_bits_of_a_case(way, sandbox):
    """What an answer may choose freely (a shape, a count, a line) stands in no sentence."""
    book = solved(only=["vae.kl_divergence"])
    cell_of(book, "vae.kl_divergence").source = (
        "# exercise: vae.kl_divergence\nimport torch\ndef kl_divergence(mu, log_var):\n"
        "    right = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)\n"
        f"    {SHOWN[way]}\n"
    )
    # Where an answer calls `exec`, all code above it runs first: no trainings, then.
    book.cells = stubs(book)
    said = set()
    for number in range(4):
        book.metadata["number"] = number  # other bytes, so other cases
        said |= set(sentences(graded(book, sandbox), "vae.kl_divergence"))
    told = [text.replace("more than 3", "").replace("float32", "") for text in said]
    assert not any(letter.isdigit() for letter in "".join(told)), told
    assert len(said - {""}) <= len(USUAL)


# --- fairness ---------------------------------------------------------------------------------


def stripped(book):
    for cell in book.cells:
        cell.metadata = {}
        cell.pop("id", None)
    return book


def saved_by_colab(book):
    book = stripped(book)
    for cell in stubs(book):
        cell.metadata = {"id": "x1Y2z3", "tags": ["exercise"]}
    book.nbformat_minor = 0
    book.metadata["colab"] = {"provenance": []}
    book.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    return book


def reordered(book):
    book.cells = book.cells[::-1]
    return book


def without_markers(book):
    for cell in stubs(book):
        cell.source = cell.source.split("\n", 1)[1]
        cell.metadata = {}
    return book


def with_huge_outputs(book):
    cell = next(c for c in book.cells if c.cell_type == "code")
    cell.outputs = [{"output_type": "stream", "name": "stdout", "text": "x" * 50_000_000}]
    return book


def noisy(book):
    for cell in stubs(book):
        cell.source = (
            "%matplotlib inline\n!pip list\nimport sys, warnings\n" + cell.source + "\n"
            "warnings.warn('beware'); print('on stderr', file=sys.stderr)\n"
        )
    return book


def with_a_cell_that_dies(book):
    kl = next(
        i for i, c in enumerate(book.cells) if c.source.startswith(MARK + "vae.kl_divergence")
    )
    book.cells.insert(kl, nbformat.v4.new_code_cell("1 / 0"))
    book.cells.insert(kl, nbformat.v4.new_code_cell("import os; os._exit(1)"))
    book.cells.insert(kl, nbformat.v4.new_code_cell("while True: pass"))
    book.cells.insert(kl, nbformat.v4.new_code_cell("this is no Python"))
    return book


def duplicated(book):
    """The first of each pair is wrong: the last one wins."""
    for cell in stubs(book):
        wrong = copy.deepcopy(cell)
        head = wrong.source.split("\n")
        define = next(i for i, line in enumerate(head) if line.startswith("def "))
        wrong.source = (
            "\n".join(head[:define]) + f"\n{head[define].split('(')[0]}(*a, **k): return 0"
        )
        book.cells.insert(book.cells.index(cell), wrong)
    return book


def answered_in_a_new_cell(book):
    """The stub stays; the answer stands in a cell of its own below it."""
    empty = solved(only=())
    for cell, stub in zip(stubs(book), stubs(empty), strict=True):
        answer = nbformat.v4.new_code_cell(cell.source.split("\n", 1)[1])
        book.cells[book.cells.index(cell)] = stub
        book.cells.insert(book.cells.index(stub) + 1, answer)
    return book


def with_helpers_elsewhere(book):
    """Imports and a helper stand in other cells, before and after."""
    cell_of(book, "vae.kl_divergence").source = (
        "# exercise: vae.kl_divergence\ndef kl_divergence(mu, log_var):\n"
        "    return np.float32(HALF) * _inner(mu, log_var).sum(-1)\n"
    )
    book.cells.insert(0, nbformat.v4.new_code_cell("import numpy as np\nHALF = 0.5"))
    helper = "def _inner(mu, log_var):\n    return mu**2 + log_var.exp() - 1 - log_var"
    book.cells.append(nbformat.v4.new_code_cell(helper))
    return book


def of_nbformat_3(book):
    cells = [
        {"cell_type": c.cell_type, "metadata": {}, "language": "python"}
        | {("input" if c.cell_type == "code" else "source"): c.source.splitlines(keepends=True)}
        for c in book.cells
    ]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}


@pytest.mark.parametrize(
    "change",
    [
        stripped,
        saved_by_colab,
        reordered,
        without_markers,
        with_huge_outputs,
        noisy,
        with_a_cell_that_dies,
        duplicated,
        answered_in_a_new_cell,
        with_helpers_elsewhere,
        of_nbformat_3,
    ],
)
def test_right_answers_keep_their_marks_whatever_the_notebook_went_through(change, sandbox):
    result = graded(change(solved()), sandbox)
    assert result.points == result.of, [s for s in result.marks if s.points == 0]
    assert not result.needs_person


def test_how_an_answer_was_found_stands_in_the_result(sandbox):
    book = solved(only=["vae.kl_divergence"])
    assert [e.found for e in graded(book, sandbox).marks] == ["tag"] * 8
    assert [e.found for e in graded(stripped(book), sandbox).marks] == ["marker"] * 8
    by_name = graded(without_markers(solved(only=["vae.kl_divergence"])), sandbox)
    assert [e.found for e in by_name.marks] == ["name"] * 8


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"{", "JSON"),
        (b"[" * 100_000, "nested"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"{}", "no cells"),
        (b'{"cells": 3}', "not a list"),
        (b"[]", "not a notebook"),
        (b"", "empty"),
    ],
)
def test_what_cannot_be_read_is_flagged_for_a_person_and_no_silent_zero(content, word, sandbox):
    result = graded(content, sandbox)
    assert result.needs_person
    assert [flag.kind for flag in result.flags] == ["unreadable"]
    assert word in result.flags[0].sentence


def test_a_missing_answer_is_flagged_and_the_others_keep_their_marks(sandbox):
    book = solved()
    book.cells.remove(cell_of(book, "vae.kl_divergence"))
    result = graded(book, sandbox)
    assert result.needs_person
    assert ("missing", "vae.kl_divergence") in [(f.kind, f.exercise) for f in result.flags]
    assert result.points == result.of - get("vae.kl_divergence").points


def test_a_hanging_answer_costs_its_own_points_only(sandbox):
    book = solved(only=["vae.reparameterize", "vae.active_units"])
    quits = "def kl_divergence(mu, log_var):\n    import os\n    os._exit(3)\n"
    cell_of(book, "vae.kl_divergence").source = f"# exercise: vae.kl_divergence\n{quits}"
    result = graded(book, sandbox)
    assert points(result)["vae.reparameterize"] == get("vae.reparameterize").points
    assert points(result)["vae.active_units"] == get("vae.active_units").points
    assert "ended Python" in sentences(result, "vae.kl_divergence")[0]


# --- the notebook as a kernel runs it is the truth ------------------------------------------------


def with_answer(exercise, source, *, before=(), behind=(), after=()):
    """The solved lesson with another answer's cell, and code cells around it, its check, and after it."""
    book = solved()
    cell = cell_of(book, exercise)
    cell.source = f"{MARK}{exercise}\n{source}"
    place = book.cells.index(cell)
    check = next(
        i for i, c in enumerate(book.cells) if i > place and f'check("{exercise}"' in c.source
    )
    new = nbformat.v4.new_code_cell
    book.cells[check + 1 : check + 1] = map(new, after)
    book.cells[place + 1 : place + 1] = map(new, behind)
    book.cells[place:place] = map(new, before)
    return book


KL = "    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)\n"
WRONG = "def kl_divergence(mu, log_var):\n    return (mu**2).sum()\n"


def check_cell(book, exercise="vae.kl_divergence"):
    return next(c for c in book.cells if f'check("{exercise}"' in c.source)


def say_solved(book, exercise="vae.kl_divergence", status="Solved: All 4 cases passed."):
    text = f"{get(exercise).title} - {status}"
    check_cell(book, exercise).outputs = [
        nbformat.v4.new_output("display_data", data={"text/plain": text})
    ]
    return book


def kinds(result):
    return {flag.kind for flag in result.flags} - {"solution"}


def test_an_answer_under_a_new_name_is_handed_on(sandbox):
    """Only its check gives it the name under which the next answer calls it."""
    book = with_answer("vae.kl_divergence", "def my_kl(mu, log_var):\n" + KL)
    check_cell(book).source = 'kl_divergence = check("vae.kl", my_kl)'
    result = graded(book, sandbox)
    assert (result.points, kinds(result)) == (result.of, set())


def test_names_that_are_bound_later_make_no_difference(sandbox):
    source = (
        "def kl_divergence(mu, log_var):\n"
        "    terms = [half() * x for x in (mu**2, log_var.exp(), -log_var, -torch.ones_like(mu))]\n"
        "    return sum(terms).sum(-1)\n"
    )
    before = [
        "%%capture\n!pip install einops\nconfig = {}",
        "%%time\ndef half():\n    return config['half']",
    ]
    behind = ["config['half'] = 0.5"]
    book = with_answer("vae.kl_divergence", source, before=before, behind=behind)
    for later in ("sum = 0\nfor i in range(10):\n    sum += i", "config['half'] = 3"):
        book.cells.append(nbformat.v4.new_code_cell(later))
    result = graded(book, sandbox)
    assert (result.points, kinds(result)) == (result.of, set())


def test_where_the_saved_check_says_solved_and_the_grader_does_not_a_person_is_asked(sandbox):
    book = with_answer("vae.kl_divergence", WRONG)
    assert not graded(book, sandbox).needs_person
    assert not graded(say_solved(book, status="Not right yet: 0 of 4."), sandbox).needs_person
    result = graded(say_solved(book), sandbox)
    assert result.needs_person
    assert kinds(result) == {"disagrees"}
    assert "A person looks at it." in sentences(result, "vae.kl_divergence")[0]
    assert points(result)["vae.kl_divergence"] == 0  # what is saved gives no points


def test_python_that_the_grader_does_not_know_is_no_mistake_of_the_learner_s(sandbox):
    book = with_answer(
        "vae.kl_divergence", "def kl_divergence(mu, log_var):\n    later! syntax\n" + KL
    )
    for version, flags in (("3.99.1", {"python"}), ("", {"python"}), ("3.8.2", set())):
        book.metadata["language_info"] = {"name": "python", "version": version}
        result = graded(book, sandbox)
        assert kinds(result) == flags
        assert ("not valid Python" in sentences(result, "vae.kl_divergence")[0]) == (not flags)


@pytest.mark.parametrize("first", [WRONG, "def kl_divergence(mu, log_var):\n" + KL])
def test_two_answers_before_and_behind_the_check_are_for_a_person(first, sandbox):
    second = (
        "def kl_divergence(mu, log_var):\n" + KL if first == WRONG else MARK + "vae.kl\n" + WRONG
    )
    result = graded(with_answer("vae.kl_divergence", first, after=[second]), sandbox)
    assert kinds(result) == {"ambiguous"}
    assert points(result)["vae.kl_divergence"] == get("vae.kl_divergence").points  # the better one


def test_what_lies_outside_of_the_notebook_is_for_a_person(sandbox):
    source = (
        "import my_own_helpers as own\ndef kl_divergence(mu, log_var):\n    return own.kl(mu)\n"
    )
    result = graded(with_answer("vae.kl_divergence", source), sandbox)
    assert kinds(result) == {"unsure"}
    assert "my_own_helpers" in next(f.sentence for f in result.flags if f.kind == "unsure")


def fitted(*parts):
    """A notebook of lesson 00, whose only exercise is quick: lines before its answer, and in it."""
    lines = ["mean = points.mean(0)", "centred = points - mean"]
    lines += ["return mean, centred.T @ centred / len(points)"]
    body = "".join(f"    {line}\n" for line in [*parts[1:], *lines])
    source = f"{MARK}start.fit_gaussian\n{parts[0]}\ndef fit_gaussian(points):\n{body}"
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])


def test_slow_cells_run_once_for_all_cases(sandbox):
    book = fitted(
        "import time; time.sleep(1.2); runs = []", "runs.append(1)", "assert len(runs) > 1"
    )
    (mark,) = graded(book, sandbox, Marking("00_start", "s")).marks
    assert [case.passed for case in mark.cases] == [False, True, True]


def test_an_answer_that_sleeps_and_dies_costs_little(sandbox):
    book = fitted(
        "import os, signal, time",
        "signal.setitimer(signal.ITIMER_REAL, 0)",
        "time.sleep(72)",
        "os._exit(1)",
    )
    (mark,) = graded(book, sandbox, Marking("00_start", "s", patience=0.1)).marks
    assert mark.points == 0
    assert mark.seconds < 72  # it is not even waited for once


def test_a_submission_has_a_budget_of_time(sandbox, monkeypatch):
    monkeypatch.setattr("course_lib.grading.execution.SUBMISSION_SECONDS", -1)
    result = graded(fitted(""), sandbox, Marking("00_start", "s"))
    assert kinds(result) == {"time"}
    assert result.needs_person


def test_state_from_a_cell_that_may_not_run_here_is_for_a_person(sandbox):
    book = fitted("", "assert state['ready']")
    closed = "from course_lib.models.vae import elbo\nstate = {}\nstate['ready'] = True"
    whole = "try:\n    " + closed.replace("\n", "\n    ") + "\nfinally:\n    pass"
    book.cells.insert(0, nbformat.v4.new_code_cell(whole))
    result = graded(book, sandbox, Marking("00_start", "s"))
    assert kinds(result) == {"unsure"}
    assert "closed to answers" in result.flags[0].sentence


# --- the library's solutions --------------------------------------------------------------------

COPIED = """# exercise: vae.kl_divergence
def kl_divergence(mu, log_var):
    from course_lib.models.vae import kl_divergence as theirs
    return theirs(mu, log_var)
"""


def test_the_library_s_answer_counts_only_where_the_instructor_allows_it(sandbox):
    book = solved()
    cell_of(book, "vae.kl_divergence").source = COPIED
    assert points(graded(book, sandbox))["vae.kl_divergence"] == 0
    allowing = Marking(LESSON, "s", forbid_reference=False)
    with make("bubblewrap", allowing) as open_:
        assert (
            points(graded(book, open_, allowing))["vae.kl_divergence"]
            == get("vae.kl_divergence").points
        )


def test_a_copy_of_the_solution_is_told_to_the_instructor(sandbox):
    result = graded(solved(), sandbox)
    kinds = {flag.kind for flag in result.flags}
    assert kinds == {"solution"}
    assert not result.needs_person  # the lesson shows it as its last hint


@pytest.mark.slow
def test_what_goes_into_the_sandbox_holds_no_later_solution():
    """Neither a probe nor an earlier exercise's reference brings a later exercise's along."""
    for name, lesson in course().lessons.items():
        exercises = [get(e) for e in lesson.exercises]
        files = hidden_files()
        for i, exercise in enumerate(exercises):
            later = {e.reference.__name__ for e in exercises[i + 1 :]}
            sources = [standalone(exercise.reference)]
            if exercise.probe is not call:
                sources.append(standalone(exercise.probe))
                namespace = {"__name__": "probe"}
                exec(compile(sources[-1], "probe", "exec"), namespace)
                assert callable(namespace[exercise.probe.__name__])
            for source in sources:
                bound = {n for s in statements(source) for n in s.binds}
                assert not bound & later, f"{name}: {exercise.id}"
                for file in files:
                    assert f"course_lib.{file.parent.name}.{file.stem}" not in source
                    assert f"from course_lib.{file.parent.name} import {file.stem}" not in source


def test_what_an_exercise_needs_is_warm():
    assert "torch._dynamo" in needed_modules([get("vae.train_step")])
    assert needed_modules([get("start.fit_gaussian")]) == []


# --- private cases ------------------------------------------------------------------------------

PRIVATE = """
import numpy as np
from course_lib.exercises import Case

def cases(seed):
    rng = np.random.default_rng(seed)
    zeros = np.zeros((2, 3), np.float32)
    return [Case("ours: the prior itself", {"mu": zeros, "log_var": zeros})]
"""


@pytest.mark.parametrize("name", ["vae.kl", "vae.kl_divergence"])
def test_an_instructor_s_own_cases_count_like_the_others(name, sandbox, tmp_path):
    (tmp_path / f"{name}.py").write_text(PRIVATE)
    marking = Marking(LESSON, "s", read_checks(tmp_path))
    marking.validate()
    assert marking.version != MARKING.version
    result = graded(solved(only=["vae.kl_divergence"]), sandbox, marking)
    (kl,) = (e for e in result.marks if e.id == "vae.kl_divergence")
    assert kl.cases[-1].name == "ours: the prior itself"
    assert kl.points == kl.of


def test_two_files_of_private_cases_for_one_exercise_are_refused(tmp_path):
    for name in ("vae.kl.py", "vae.kl_divergence.py"):
        (tmp_path / name).write_text(PRIVATE)
    with pytest.raises(GradingError, match=r"two files for vae\.kl_divergence"):
        read_checks(tmp_path)


def test_a_new_id_leaves_the_hidden_cases_as_they_were():
    """The seed that the first release would draw, from the id that the exercise had then."""
    digest = hmac.new(b"s", b"vae.kl\0abc", hashlib.sha256).digest()
    exercise = get("vae.kl_divergence")
    expected = exercise.cases(int.from_bytes(digest[:4], "big") + 1)
    given = Marking(LESSON, "s").cases(exercise, "abc")
    for one, other in zip(given, expected, strict=True):
        for name, value in one.inputs.items():
            np.testing.assert_array_equal(value, other.inputs[name])


@pytest.mark.parametrize(
    ("name", "source", "word"),
    [
        ("vae.lk.py", PRIVATE, "vae.kl_divergence"),
        ("vae.kl.py", "cases = 3", "must define"),
        ("vae.kl.py", "def cases(seed):\n    return [1]", "no course_lib.exercises.Case"),
        ("vae.kl.py", PRIVATE.replace('"log_var": zeros', '"log_var": zeros[:1, :2]'), "fails in"),
    ],
)
def test_private_cases_that_cannot_work_are_refused_before_anything_is_graded(
    name, source, word, tmp_path
):
    (tmp_path / name).write_text(source)
    with pytest.raises(GradingError, match=word):
        Marking(LESSON, "s", read_checks(tmp_path)).validate()


# --- the learner's own look before handing in ------------------------------------------------------


@pytest.mark.slow
def test_a_learner_sees_beforehand_what_would_be_found(tmp_path, capsys):
    book = solved()
    cell_of(
        book, "vae.kl_divergence"
    ).source = "# exercise: vae.kl_divergence\ndef kl_divergence(mu, log_var):\n  return 0"
    book.cells.remove(cell_of(book, "vae.sample"))
    nbformat.write(book, tmp_path / "mine.ipynb")
    table = submit_check(tmp_path / "mine.ipynb")
    assert table.loc["vae.elbo", "points"] == get("vae.elbo").points
    assert table.loc["vae.kl_divergence", "points"] == 0
    assert table.loc["vae.kl_divergence", "remark"]
    assert table.loc["vae.sample", "found by"] == "nowhere"
    assert "not found" in table.loc["vae.sample", "remark"]
    assert "mine.ipynb" in capsys.readouterr().out


def test_without_a_file_the_cells_that_were_run_are_looked_at(monkeypatch):
    class Shell:
        user_ns = {"In": ["", *(c.source for c in solved().cells if c.cell_type == "code")]}  # noqa: RUF012

    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setattr("IPython.get_ipython", Shell)
    table = submit_check()
    assert set(table["found by"]) == {"marker"}
    assert table["points"].sum() == MARKING.points


def test_a_notebook_without_exercises_says_so(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "empty.ipynb")
    with pytest.raises(ValueError, match="None of the course's exercises"):
        submit_check(tmp_path / "empty.ipynb")
    with pytest.raises(ValueError, match="cannot be read"):
        submit_check(tmp_path / "nowhere.ipynb")


def test_where_nothing_was_run_it_says_what_to_do(monkeypatch, capsys):
    class Shell:
        user_ns = {"In": [""]}  # noqa: RUF012

    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setattr("IPython.get_ipython", Shell)
    assert submit_check().empty
    assert "Save the notebook" in capsys.readouterr().out


# --- finding ------------------------------------------------------------------------------------


def test_only_what_an_answer_needs_is_kept():
    book = solved()
    cells = code_cells(json.dumps(book).encode())
    answers = find_answers(cells, [Wanted.of(get(e)) for e in course().lessons[LESSON].exercises])
    text = "\n".join(source for _, source in answers["vae.elbo"].program)
    assert "def log_likelihood" in text
    assert "digits" not in text
    assert "session" not in text
    assert answers["vae.elbo"].uses == ("vae.kl_divergence",)


def test_the_whole_notebook_can_be_asked_for():
    cells = code_cells(json.dumps(solved()).encode())
    (answer,) = find_answers(cells, [Wanted("vae.kl_divergence", "kl_divergence", True)]).values()
    text = "\n".join(source for _, source in answer.program)
    assert "datasets.load" in text
    assert "check(" not in text


@pytest.mark.usefixtures("walls")
def test_an_answer_gets_what_loops_have_made_whether_its_exercise_asks_for_all_cells_or_not():
    answer = """# exercise: start.fit_gaussian
def fit_gaussian(points):
    assert seen == [0, 1, 2]
    centred = points - points.mean(0)
    return points.mean(0), centred.T @ centred / len(points)
"""
    book = nbformat.v4.new_notebook()
    for source in ("seen = []", "for i in range(3):\n    seen.append(i)", answer):
        book.cells.append(nbformat.v4.new_code_cell(source))
    for whole in (True, False):
        marking = Marking("00_start", "s")
        exercise = dataclasses.replace(get("start.fit_gaussian"), whole_notebook=whole)
        marking.__dict__["exercises"] = [exercise]  # where the cached property keeps them
        with make("bubblewrap", marking) as sandbox:
            assert graded(book, sandbox, marking).points == exercise.points


def test_names_and_comments_make_no_difference_to_a_fingerprint():
    def print_of(source):
        cells = code_cells(
            json.dumps({"cells": [{"cell_type": "code", "source": source}]}).encode()
        )
        (answer,) = find_answers(cells, [Wanted("a.f", "f")]).values()
        return answer.fingerprint

    first = print_of('def f(mu: int, s=1):\n    "doc"\n    total = mu + s  # sum\n    return total')
    renamed = print_of("def f(x, t=1):\n    y = x + t\n    return y")
    other = print_of("def f(x, t=1):\n    y = x - t\n    return y")
    assert first == renamed != other


def test_every_exercise_says_what_it_needs():
    assert not any(e.whole_notebook for e in all_exercises())


def test_no_sandbox_is_a_sentence_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(SandboxError, match="bubblewrap is not installed") as caught:
        make("auto", MARKING)
    assert "docker" in str(caught.value)
    assert "--no-sandbox" in str(caught.value)
    with pytest.raises(SandboxError, match="no sandbox 'magic'"):
        make("magic", MARKING)
