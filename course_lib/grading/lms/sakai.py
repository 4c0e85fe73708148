"""Sakai: how its downloads are recognised. Its gradebook takes `grades.csv`."""

import re
from collections.abc import Callable

from course_lib.grading.intake.archive import Leaf, plain
from course_lib.grading.lms.student import Layout, Recognised, Student, gathered

# "<name>(<login>)/Submission attachment(s)/*"
NAMED = re.compile(r"(?P<name>.+)\((?P<id>[^()]+)\)", re.DOTALL)
ATTACHMENTS = "submission attachment(s)"


def _recognise(leaves: list[Leaf], is_lesson: Callable[[str], bool]) -> Recognised:
    if not any(len(x.parts) > 2 and x.parts[1].casefold() == ATTACHMENTS for x in leaves):
        return Recognised([], leaves)
    found: list[tuple[object, Leaf, Student]] = []
    rest = []
    for leaf in leaves:
        match = NAMED.fullmatch(leaf.parts[0]) if len(leaf.parts) > 1 else None
        if match is None:
            rest.append(leaf)
            continue
        student = Student(plain(match["name"].strip()), plain(match["id"]), layout="sakai")
        found.append((leaf.parts[0], leaf, student))
    return gathered(found, rest)


LAYOUT = Layout("sakai", "Sakai", _recognise)
