"""Work that a team has handed in once: its mark goes to every member."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from course_lib.grading.lms.table import no_columns, read_csv_rows
from course_lib.grading.result import Result

# The columns of Canvas's export of groups, of Moodle's grading worksheet, and plain ones.
TEAM = ("group_name", "group", "team")
NAME = ("full name", "name", "student", "member")
ID = ("canvas_user_id", "identifier", "id")


@dataclass(frozen=True)
class Member:
    """One member of a team, by name and by the LMS's id, "" where the file has none."""

    name: str
    id: str = ""


def read_teams(file: Path) -> dict[str, list[Member]]:
    """The members of each team, by its name in lower case.

    Args:
        file: a CSV file with a column for the team and one for the member's name: Canvas's export
            of a group set, Moodle's grading worksheet of a team assignment, or one made by hand.

    Raises:
        GradingError: if it cannot be read, or lacks these columns.
    """
    head, *rows = read_csv_rows(file, [])
    place = {column.strip().casefold(): number for number, column in enumerate(head)}
    team, name, id = (
        next((place[column] for column in columns if column in place), None)
        for columns in (TEAM, NAME, ID)
    )
    if team is None or name is None:
        raise no_columns(file, head, ["group", "name"])
    teams: dict[str, list[Member]] = {}
    for row in rows:
        if key := _key(row[team]):
            number = row[id].rpartition(" ")[2] if id is not None else ""
            teams.setdefault(key, []).append(Member(row[name].strip(), number))
    return teams


def for_members(results: Sequence[Result], teams: dict[str, list[Member]]) -> list[Result]:
    """The results, with a team's replaced by one for each of its members."""
    return [
        replace(result, student=member.name, student_id=member.id)
        for result in results
        for member in teams.get(_key(result.student), [Member(result.student, result.student_id)])
    ]


def _key(name: str) -> str:
    return " ".join(name.split()).casefold()
