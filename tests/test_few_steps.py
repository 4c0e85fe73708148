"""Lessons at a few steps, tried on small notebooks."""

import ast

import few_steps
import pytest
from lesson_runs import execute
from nbformat.v4 import new_code_cell, new_notebook

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


@pytest.mark.slow
def test_a_kernel_trains_for_a_few_steps_and_believes_every_claim(tmp_path):
    kernel = few_steps.environment(tmp_path / "ipython")
    book = new_notebook(cells=[new_code_cell(SETTINGS), new_code_cell("assert False\n1")])
    book.cells.append(new_code_cell(OTHERS))
    steps, one, others = (cell.outputs for cell in execute(book, tmp_path, **kernel).cells)
    assert steps[0].text == f"{few_steps.FEW}\n"
    assert one[0].data["text/plain"] == "1"
    assert others[0].data["text/plain"] == f"({few_steps.RECIPE}, {few_steps.MOST['nulls']})"
