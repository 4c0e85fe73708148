"""What an answer needs of its notebook, told without running it."""

import pytest

from course_lib.exercises.answers import CodeCell, Wanted, find_answers, is_newer
from course_lib.exercises.dependence import Dependence
from course_lib.exercises.loading import load_answer
from course_lib.exercises.magics import as_python
from course_lib.exercises.sources import excerpt, statements

F = Wanted("a.f", "f")


def found(*sources):
    cells = [CodeCell(number, source) for number, source in enumerate(sources, 1)]
    return find_answers(cells, [F])["a.f"]


def kept(*sources, program=0):
    """The cells that the least program of `f` keeps."""
    return [number for number, source in found(*sources).programs[program] if source.strip()]


@pytest.mark.parametrize(
    ("sources", "cells", "certain"),
    [
        (["K = 1", "x = 2", "def f():\n    return K"], [1, 3], True),
        (["def g():\n    return 1", "y = g()", "def f():\n    return g()"], [1, 3], True),
        (["d = {}", "d['k'] = 1", "x = 3", "def f():\n    return d['k']"], [1, 2, 4], False),
        (["class C:\n    pass", "C.k = 1", "def f():\n    return C.k"], [1, 2, 3], False),
        (["p = []", "for i in [1]:\n    p.append(i)", "def f():\n    return p"], [1, 2, 3], False),
        (["def s():\n    global K\n    K = 1", "s()", "def f():\n    return K"], [1, 2, 3], False),
        (["d = {}", "e = d", "e['k'] = 1", "def f():\n    return d"], [1, 2, 3, 4], False),
        (["from math import *", "x = 1", "def f():\n    return pi"], [1, 3], True),
        (["def f():\n    return sum([1])", "sum = 0"], [1], True),
        (["K = 1", "def f():\n    return K", "K = 2"], [1, 2], True),
        (["def f():\n    return g()", "def g():\n    return 1"], [1, 2], True),
        (["exec('K = 1')", "def f():\n    return K"], [2], False),
        (["def f():\n    return K"], [1], False),
        (["from __future__ import annotations", "def f(x: Y):\n    return 1"], [1, 2], False),
    ],
)
def test_what_an_answer_needs(sources, cells, certain):
    answer = found(*sources)
    assert kept(*sources) == cells
    assert answer.certain == certain
    assert len(answer.programs) == 1 or not certain


def test_an_object_that_is_handed_to_a_function_may_change_there():
    sources = (
        "d = {}",
        "def g(x):\n    x['k'] = 1",
        "g(d)",
        "z = 9",
        "def f():\n    return d['k']",
    )
    assert kept(*sources) == [1, 5]
    assert kept(*sources, program=1) == [1, 2, 3, 5]
    assert kept(*sources, program=-1) == [1, 2, 3, 4, 5]


def test_the_answer_is_what_its_check_gets():
    sources = ["def f():\n    raise NotImplementedError", "def g():\n    return 1"]
    assert found(*sources).unsolved
    answer = found(*sources, 'f = check("a.f", g)')
    assert (answer.found, answer.name, answer.cell) == ("check", "g", 2)
    answer = found(*sources, 'f = check("a.f", lambda: g())')
    assert (answer.found, answer.name, answer.cell) == ("check", "", 3)
    last = found("def f():\n    return 1", 'f = check("a.f", f)', "def f():\n    return 2")
    assert (last.cell, last.other.cell) == (1, 3)


def test_odd_characters_end_no_line():
    source = "# a\u2028b\x0cc\x85d\ndef f():\n    return 1\n"
    (answer,) = statements(source)
    assert excerpt(source, [answer]) == "\ndef f():\n    return 1\n\n"
    assert load_answer(found(source).program, "f").answer() == 1


@pytest.mark.parametrize(
    ("source", "python"),
    [
        ("%%time\nx = 1", "\nx = 1"),
        ("\n%%capture out\nx = 1", "\n\nx = 1"),
        ("%time x = 1", "x = 1"),
        ("x = 1", "x = 1"),
    ],
)
def test_magics_that_only_stand_around_the_code(source, python):
    assert as_python(source).rstrip("\n") == python


def test_what_is_asked_of_the_world_outside_is_noted():
    source = as_python("!pip install x\n%matplotlib inline\nf = 1")
    loaded = load_answer(((1, source),), "f")
    assert loaded.answer == 1
    assert loaded.outside == ("!pip install x",)
    loaded = load_answer(
        found("import nowhere_at_all\ndef f():\n    return nowhere_at_all").program, "f"
    )
    assert loaded.outside == (
        "cell 1 raised ModuleNotFoundError: No module named 'nowhere_at_all'",
    )


def test_a_check_hands_on_what_it_gets_or_the_library_s():
    program = ((1, 'from course_lib import check\nf = check("a.f", len)\ng = check("a.g", abs)'),)
    loaded = load_answer(program, "", "a.g", {"a.f": ("h", "def h():\n    return 7")})
    assert loaded.answer is abs
    loaded = load_answer(program, "f", "a.f", {"a.f": ("h", "def h():\n    return 7")})
    assert loaded.answer() == 7


def test_a_cell_may_wait_and_import_from_the_future():
    program = (
        (1, "from __future__ import annotations"),
        (2, "async def k():\n    return 1\nK = await k()"),
        (3, "def f(x: Nowhere = None):\n    return K"),
    )
    assert load_answer(program, "f").answer() == 1


def test_versions_are_compared_as_numbers():
    assert not is_newer("3.9")
    assert is_newer("3.99")
    assert is_newer("")


def test_a_module_s_function_with_what_it_needs():
    everything = statements(
        "import math\nK = 1\nL = 2\ndef g():\n    return K\ndef f():\n    return g()"
    )
    roots = [s for s in everything if "f" in s.binds]
    assert [s.first for s in Dependence(everything).needed(roots).statements] == [2, 4, 6]
