"""Lessons at a few steps, tried on small notebooks."""

import ast
from types import SimpleNamespace

import few_steps
import pytest
from lesson_runs import execute
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.syllabus import course

SETTINGS = """
from course_lib.syllabus import lesson

print(lesson("01_vae").settings("cpu").vae.steps)
"""
OTHERS = """
from course_lib.mode_collapse import recipe

recipe("ring", "vanilla").steps, lesson("09_audit_fidelity").settings("gpu").nulls
"""


def test_claims_are_left_out_and_nothing_else():
    tree = ast.parse("if a:\n    assert b\nelse:\n    c = 1\nassert d, 'no'\ne")
    left = ast.unparse(few_steps.WithoutClaims().visit(tree))
    assert left == "if a:\n    pass\nelse:\n    c = 1\npass\ne"


def test_every_number_but_the_steps_is_changed():
    for lesson in course().lessons.values():
        as_they_are, others = (flat(lesson.settings("cpu")) for _ in range(2))
        changed = flat(few_steps.changed(lesson.settings("cpu")))
        assert as_they_are == others
        for name, value in changed.items():
            kept = name.endswith("steps") or name.startswith("mnist.") or isinstance(value, str)
            assert (value == others[name]) == (kept or others[name] == 1), name


def flat(settings, path=""):
    """Every setting by its path."""
    found = {}
    for name, value in vars(settings).items():
        inner = isinstance(value, SimpleNamespace)
        found |= flat(value, f"{path}{name}.") if inner else {path + name: value}
    return found


@pytest.mark.slow
def test_a_kernel_trains_for_a_few_steps_and_believes_every_claim(tmp_path):
    kernel = few_steps.environment(tmp_path / "ipython")
    book = new_notebook(cells=[new_code_cell(SETTINGS), new_code_cell("assert False\n1")])
    book.cells.append(new_code_cell(OTHERS))
    steps, one, others = (cell.outputs for cell in execute(book, tmp_path, **kernel).cells)
    assert steps[0].text == f"{few_steps.FEW}\n"
    assert one[0].data["text/plain"] == "1"
    assert others[0].data["text/plain"] == f"({few_steps.RECIPE}, {few_steps.MOST['nulls']})"
