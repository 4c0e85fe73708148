"""nbgrader: its folders, a lesson as its assignment, and results in its gradebook."""

from collections.abc import Callable
from dataclasses import replace

from course_lib.grading.intake.archive import Leaf, plain
from course_lib.grading.lms.student import Layout, Recognised, Student, gathered

SUBMITTED = "submitted"


def _recognise(leaves: list[Leaf], is_lesson: Callable[[str], bool]) -> Recognised:
    """`submitted/<student>/<assignment>/*` in a course's folder; its other files are not students'."""
    found: list[tuple[object, Leaf, Student]] = [
        (
            leaf.parts[1],
            replace(leaf, parts=leaf.parts[1:]),
            Student(plain(leaf.parts[1]), layout="nbgrader"),
        )
        for leaf in leaves
        if leaf.parts[0] == SUBMITTED and len(leaf.parts) > 3
    ]
    return gathered(found, [] if found else leaves)


LAYOUT = Layout("nbgrader", "nbgrader", _recognise)
