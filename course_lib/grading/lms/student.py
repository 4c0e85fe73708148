"""Who handed in, as an LMS's download shows it."""

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
        layout: "canvas", "moodle", "gradescope" or "": whose id `id` is.
        submitted: when it was handed in, where the layout says so.
        leaves: the student's files.
    """

    name: str
    id: str = ""
    late: bool = False
    layout: str = ""
    submitted: datetime | None = None
    leaves: list[Leaf] = field(default_factory=list)
