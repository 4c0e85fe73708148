"""Who handed in, as an LMS's download shows it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from course_lib.grading.intake.archive import Leaf


@dataclass
class Student:
    """A student and the files that came in for them.

    Attributes:
        name: the name or login that the layout gives.
        id: the LMS's own id of the student, where the layout has one.
        late: the layout says that it came late.
        layout: whose id `id` is: "canvas", "moodle", "gradescope", "sakai", "nbgrader" or "".
        submitted: when it was handed in, where the layout says so.
        doubt: why it is not certain whose files these are; a person is asked then.
        leaves: the student's files.
    """

    name: str
    id: str = ""
    late: bool = False
    layout: str = ""
    submitted: datetime | None = None
    doubt: str = ""
    leaves: list[Leaf] = field(default_factory=list)


@dataclass(frozen=True)
class Recognised:
    """What a layout makes of a whole download: its students, and the files that do not fit it."""

    students: list[Student]
    rest: list[Leaf]


@dataclass(frozen=True)
class Layout:
    """How one LMS packs a download.

    Attributes:
        name: for `--layout`; `title` is for people.
        recognise: from all files, and a function that says whether a file name is the lesson's own,
            to the students. It reads only what the LMS itself wrote into the names.
    """

    name: str
    title: str
    recognise: Callable[[list[Leaf], Callable[[str], bool]], Recognised]


def gathered(found: Iterable[tuple[object, Leaf, Student]], rest: list[Leaf]) -> Recognised:
    """Files with one key are one student's."""
    students: dict[object, Student] = {}
    for key, leaf, student in found:
        known = students.setdefault(key, student)
        known.leaves.append(leaf)
        known.late |= student.late
        known.doubt = known.doubt or student.doubt
    return Recognised(list(students.values()), rest)
