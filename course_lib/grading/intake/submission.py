"""What came in: one submission for each student and attempt, from any kind of folder or zip.

Known layouts (each also inside one outer folder or zip, and with a student's own zip opened):
- a notebook a student, or a folder a student, as people collect them;
- nbgrader: `submitted/<student>/<assignment>/*.ipynb` with `timestamp.txt`;
- Canvas: `<name>[_LATE]_<user id>_<file id>_<file name>`, as its `content_zipper.rb` writes them;
- Moodle: `<full name>_<participant>_assignsubmission_file_/*`, as its `mod/assign` writes them;
- Gradescope: `assignment_<id>_export/submission_<id>/*` with `submission_metadata.yml`;
- Sakai: `<name>(<login>)/Submission attachment(s)/*`.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import SequenceMatcher
from pathlib import Path

from course_lib.grading import bounded_json
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.archive import Leaf, Source, archive, folder, inner, plain
from course_lib.grading.lms import LAYOUTS, canvas, gradescope, moodle, nbgrader
from course_lib.grading.lms.sakai import ATTACHMENTS
from course_lib.grading.lms.student import Student
from course_lib.syllabus import course

NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?$", re.IGNORECASE)  # browsers append the latter
# What else a student may have handed in: a zip, another archive, and what Canvas writes for text that
# was typed in and for a link.
HANDED_IN = re.compile(r"(\.(zip|7z|rar|tar|tgz|gz|bz2|xz)|_(text|link)\.html)$", re.IGNORECASE)
MOST_ATTEMPTS = 20  # of one student; a folder of a million notebooks is not a submission
MOST_ZIPS = 5  # of one student
BY_HAND, _BY_HAND_TITLE = "folder", "Collected by hand"


@dataclass(frozen=True)
class Submission:
    """One attempt of one student. It can be pickled, and holds no bytes of the notebook.

    Attributes:
        student: the name or login that the layout gives.
        source: where it came from, for people: "week1.zip/doejane_1234_56789_01_vae.ipynb".
        student_id: the LMS's own id of the student, where the layout has one.
        attempt: 1, 2, ...; a higher one came later.
        submitted: when, where the layout says so.
        late: the layout says that it came late.
        problem: a sentence for a person where there is no notebook to read.
        layout: "canvas", "moodle", "gradescope", "sakai", "nbgrader" or "": whose id it is.
        doubt: a sentence for a person where it is not certain whose submission this is.
    """

    student: str
    source: str
    student_id: str = ""
    attempt: int = 1
    submitted: datetime | None = None
    late: bool = False
    problem: str = ""
    layout: str = ""
    doubt: str = ""
    _bytes: Source | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """The notebook's bytes. Raises GradingError with a sentence if they cannot be read."""
        if self.problem or self._bytes is None:
            raise GradingError(self.problem or "There is no notebook to read.")
        content = self._bytes.read(bounded_json.LARGEST)
        try:
            bounded_json.measure(content)
        except bounded_json.TooLargeError as error:
            raise GradingError(f"The notebook is not read: {error}.") from None
        return content


@dataclass(frozen=True)
class Intake:
    """What a folder or zip was taken for, the submissions in it, and which files beside them are
    nobody's: such as an answer that was handed in as a text."""

    layout: str
    submissions: list[Submission]
    passed_over: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        students = len({(s.student, s.student_id) for s in self.submissions})
        return f"{self.layout}, {students} {'student' if students == 1 else 'students'}"


def find(path: Path | str, lesson: str, layout: str = "auto") -> list[Submission]:
    """The submissions of a lesson in a folder, a zip or a single notebook; see `take_in`."""
    return take_in(path, lesson, layout).submissions


def take_in(path: Path | str, lesson: str, layout: str = "auto") -> Intake:
    """The submissions of a lesson in a folder, a zip or a single notebook, by student.

    The layout is decided once for the whole, from the parts of the names that the LMS has written.
    Each student that the layout shows has at least one submission; where no notebook can be found or
    read, `problem` says so. Nobody's files can take the place of somebody else's.

    Args:
        layout: "auto", one of `LAYOUTS`, or "folder": collected by hand.

    Raises:
        GradingError: if the path does not exist, is not a folder, zip or notebook, or holds no
            submission; and if two layouts fit equally well.
    """
    path = Path(path)
    if not path.exists():
        raise GradingError(f"There is no folder or file {path}.")
    if layout not in ("auto", BY_HAND, *LAYOUTS):
        names = ", ".join(["auto", BY_HAND, *LAYOUTS])
        raise GradingError(f"--layout {layout}: the known ones are {names}.")
    path = path.resolve()  # a worker that reads may run in another folder
    if path.is_dir():
        name, leaves = path.name, folder(path)
    elif NOTEBOOK.search(path.name):
        name, leaves = _stem(path.name), [Leaf((path.name,), plain(path.name), Source(path))]
    else:
        name, leaves = path.stem, archive(path)
    finder = _Finder(lesson)
    title, found = finder.submissions(leaves, name, layout)
    if not found:
        raise GradingError(
            f"Nothing in {path} looks like a submission: a notebook (.ipynb), a zip, or a folder for "
            "each student."
        )
    found.sort(key=lambda s: (s.student.casefold(), s.student, s.student_id, s.attempt))
    return Intake(title, found, finder.passed_over)


def _stem(name: str) -> str:
    return NOTEBOOK.sub("", name) if NOTEBOOK.search(name) else Path(name).stem


def _pattern(lesson: str) -> re.Pattern:
    """What finds "01_vae" in "1 VAE (final)": its number and words, with anything between them."""
    number, *words = re.split(r"[\W_]+", lesson)
    start = rf"(?<!\d)0*{int(number)}" if number.isdigit() else re.escape(number)
    rest = r"[\W_]*".join(["", *map(re.escape, words)])
    return re.compile(rf"{start}{rest}(?![A-Za-z])", re.IGNORECASE)


# What is left of a copy's name: "01_vae (1)", "Copy of 01_vae", "01_vae-Copy1", "01_vae-2".
_COPY = re.compile(r"(copy|kopie)?(?: (?:of|von))? ?(\d{0,3})", re.IGNORECASE)


class _Finder:
    """Tells students apart, and finds each one's notebook of the lesson among their files."""

    def __init__(self, lesson: str):
        self.lesson = lesson
        self.own = _pattern(lesson)
        self.others = [_pattern(other) for other in course().lessons if other != lesson]
        self.passed_over: list[str] = []

    # --- names ----------------------------------------------------------------------------------

    def rest(self, name: str) -> str | None:
        """What a name holds besides the lesson's; None if it does not hold that."""
        stem = _stem(name)
        found = self.own.search(stem)
        return None if found is None else f"{stem[: found.start()]} {stem[found.end() :]}"

    def copy(self, name: str) -> int | None:
        """0 for the lesson's own name, n for its n-th copy, None for another name."""
        rest = self.rest(name)
        if rest is None:
            return None
        found = _COPY.fullmatch(re.sub(r"[\W_]+", " ", rest).strip())
        return int(found[2] or bool(found[1])) if found else None

    def is_other(self, name: str) -> bool:
        """Whether a name is that of another lesson."""
        stem = _stem(name)
        return not self.own.search(stem) and any(other.search(stem) for other in self.others)

    # --- whose ----------------------------------------------------------------------------------

    def submissions(
        self, leaves: list[Leaf], name: str, layout: str
    ) -> tuple[str, list[Submission]]:
        """The layout's title, and the submissions of all students in the tree called `name`."""
        if layout == "auto" and self._is_one_student(leaves):
            title, students = "One student", [Student(plain(name), leaves=leaves)]
        else:
            title, students = self._told_apart(self._level(leaves), layout)
        found = []
        for student in _labelled(students):
            found += self._attempts(student)
        return title, _told_by_source(found)

    def _told_apart(self, leaves: list[Leaf], layout: str) -> tuple[str, list[Student]]:
        if layout == BY_HAND:
            loose = (leaf.name for leaf in leaves if len(leaf.parts) == 1)
            self.passed_over = sorted(plain(x, 60) for x in loose if not self._loose_name(x))
            return _BY_HAND_TITLE, self._by_hand(leaves)
        if layout != "auto":
            known = LAYOUTS[layout]
            result = known.recognise(leaves, self._is_lesson)
            if not result.students:
                raise GradingError(f"--layout {layout}: this is not a download from {known.title}.")
            return known.title, result.students + self._by_hand(result.rest)
        fits = []
        for known in LAYOUTS.values():
            result = known.recognise(leaves, self._is_lesson)
            others = {leaf.parts[0] for leaf in result.rest if self._may_be_handed_in(leaf)}
            share = len(result.students) / (len(result.students) + len(others) or 1)
            if share > 0.5:  # what a person has added does not change what it is
                fits.append((share, known, result))
        if not fits:
            return self._told_apart(leaves, BY_HAND)
        best = max(share for share, _, _ in fits)
        chosen = [(known, result) for share, known, result in fits if share == best]
        if len(chosen) > 1:
            titles = " or ".join(known.title for known, _ in chosen)
            options = " or ".join(f"--layout {known.name}" for known, _ in chosen)
            raise GradingError(f"This may come from {titles}. Say which: {options}.")
        ((known, result),) = chosen
        return known.title, result.students + self._by_hand(result.rest)

    def _is_lesson(self, name: str) -> bool:
        return self.copy(name) is not None

    def _may_be_handed_in(self, leaf: Leaf) -> bool:
        return len(leaf.parts) > 1 or bool(self._loose_name(leaf.name))

    def _level(self, leaves: list[Leaf]) -> list[Leaf]:
        """The tree from the level of the students on, below folders and zips that only wrap it."""
        while True:
            if any(leaf.parts[0] == nbgrader.SUBMITTED and len(leaf.parts) > 3 for leaf in leaves):
                return leaves
            top, *further = {leaf.parts[0] for leaf in leaves} or {""}
            if (
                further
                or canvas.parse(top)
                or moodle.NAMED.fullmatch(top)
                or gradescope.FOLDER.fullmatch(top)
            ):
                return leaves
            below = leaves
            if len(leaves) == 1 and leaves[0].is_zip:
                below = inner(leaves[0])
            if any(len(leaf.parts) == 1 for leaf in below):
                return leaves
            below = _stripped(below)
            books = [leaf.parts for leaf in below if NOTEBOOK.search(leaf.name)]
            if (
                self._is_one_student(below)
                # "jane/Untitled.ipynb" is Jane's, but "01_vae/jane.ipynb" too.
                or (list(map(len, books)) == [1] and not self._tells(books[0][0], top))
                or (not books and not any(leaf.is_zip or len(leaf.parts) > 1 for leaf in below))
            ):
                return leaves
            leaves = below

    def _tells(self, book: str, top: str) -> bool:
        """Whether a notebook's name rather than its folder's must be that of a student."""
        return self.rest(book) is not None or self.copy(top) is not None

    def _is_one_student(self, leaves: list[Leaf]) -> bool:
        """Whether this is one student's folder: one notebook is called like the lesson, or lies in
        a folder that is, and nothing next to it could be another student's."""
        books = [leaf.parts for leaf in leaves if NOTEBOOK.search(leaf.name)]
        books = [parts for parts in books if not any(map(self.is_other, parts))]
        if len(books) != 1 or any(leaf.is_zip for leaf in leaves):
            return False
        *folders, name = books[0]
        in_place = not folders or (len(folders) == 1 and self.copy(folders[0]) == 0)
        return in_place and self.copy(name) is not None

    def _by_hand(self, leaves: list[Leaf]) -> list[Student]:
        """Students by folder, else by the name of their file."""
        names = {x.name: self._loose_name(x.name) for x in leaves if len(x.parts) == 1}
        counts = Counter(filter(None, names.values()))
        found: dict[object, Student] = {}
        for leaf in leaves:
            top = leaf.parts[0]
            if len(leaf.parts) > 1:
                found.setdefault(("folder", top), Student(plain(top))).leaves.append(leaf)
            elif name := names[top]:
                first = self._copied(top)
                if first and first in names:  # "jane_01_vae (1)" is Jane's second attempt
                    key, name = ("file", first), names[first]
                else:
                    key = ("file", top)
                    name = name if counts[name] == 1 else _stem(top)
                found.setdefault(key, Student(plain(name))).leaves.append(leaf)
        return list(found.values())

    def _copied(self, name: str) -> str:
        """The file of which this one is a browser's copy, after the lesson's name: "jane_01_vae.ipynb"
        for "jane_01_vae (1).ipynb"; "" if it is not such a copy."""
        if self.copy(name) is not None or self.rest(name) is None:
            return ""
        first = re.sub(r" ?\(\d{1,3}\)(?=\.ipynb)", "", name, flags=re.IGNORECASE)
        return first if first != name else ""

    def _loose_name(self, name: str) -> str:
        """Whose a file outside all folders is, by its name; "" if it is not a submission."""
        if not (NOTEBOOK.search(name) or HANDED_IN.search(name)):
            return ""
        rest = self.rest(name)
        told = re.sub(r"\(\s*\)|[\s_]+", " ", rest or "").strip(" -.,")
        return told if told and self.copy(name) is None else _stem(name)

    # --- which ----------------------------------------------------------------------------------

    def _attempts(self, student: Student) -> list[Submission]:
        leaves = student.leaves
        attached = [x for x in leaves if ATTACHMENTS in map(str.casefold, x.parts)]
        chosen = self._chosen(attached or leaves)
        about = Submission(
            student=student.name,
            source=leaves[0].shown,
            student_id=student.id,
            submitted=student.submitted,
            late=student.late,
            layout=student.layout,
            doubt=student.doubt,
        )
        if isinstance(chosen, str):
            return [replace(about, problem=chosen)]
        found, attempt = [], 0
        for leaf in chosen:
            # Canvas counts on: "-2" is a third attempt, even where the zip has no other.
            counted = self.copy(leaf.name) or 0 if student.layout == "canvas" else 0
            attempt = max(attempt, counted) + 1
            found.append(
                replace(
                    about,
                    source=leaf.shown,
                    attempt=attempt,
                    submitted=student.submitted or _timestamp(leaf, leaves),
                    problem=leaf.source.problem if leaf.source else "",
                    _bytes=leaf.source,
                )
            )
        return found

    def _chosen(self, leaves: list[Leaf], opened: bool = False) -> list[Leaf] | str:
        """The lesson's notebooks among a student's files, the earliest attempt first, or why there
        is none. Those in higher folders come before copies in deeper ones."""
        books = [leaf for leaf in leaves if leaf.source and NOTEBOOK.search(leaf.name)]
        nearness = [self._nearness(leaf) for leaf in books]
        nearest = max(nearness, default=-1)
        zips = [leaf for leaf in leaves if leaf.is_zip]
        if nearest < 1 and zips and not opened:
            unzipped = [below for leaf in zips[:MOST_ZIPS] for below in inner(leaf)]
            return self._chosen([x for x in leaves if not x.is_zip] + unzipped, opened=True)
        if nearest < 0:
            return self._nothing(leaves, bool(books))
        found = [leaf for leaf, near in zip(books, nearness, strict=True) if near == nearest]
        if nearest == 0 and len(found) > 1:
            return self._closest(found)
        depth = min(len(leaf.parts) for leaf in found)
        found = [leaf for leaf in found if len(leaf.parts) == depth]
        if len(found) > MOST_ATTEMPTS:
            return (
                f"There are {len(found)} notebooks called like {self.lesson}; a person must say "
                "which one counts."
            )
        return sorted(found, key=lambda leaf: self._attempt(leaf.name))

    def _attempt(self, name: str) -> int:
        """The number that a browser or an LMS has put behind the lesson's name; 0 for none."""
        copied = re.search(r"\((\d{1,3})\)$", _stem(name))
        return self.copy(name) or (int(copied[1]) if copied else 0)

    def _nearness(self, leaf: Leaf) -> int:
        """2: called like the lesson; 1: with its name in it; 0: anything; -1: another lesson."""
        folders = leaf.parts[1:-1]
        if self.copy(leaf.name) is not None:
            return 2
        if self.rest(leaf.name) is not None or any(self.copy(part) == 0 for part in folders):
            return 1
        return -1 if any(map(self.is_other, (leaf.name, *folders))) else 0

    def _closest(self, books: list[Leaf]) -> list[Leaf] | str:
        likeness = [
            SequenceMatcher(None, _stem(leaf.name).casefold(), self.lesson).ratio()
            for leaf in books[:MOST_ATTEMPTS]
        ]
        second, best = sorted(likeness)[-2:]
        if len(books) <= MOST_ATTEMPTS and best > max(0.6, second + 0.1):
            return [books[likeness.index(best)]]
        return (
            f"None of the notebooks {_listed(books)} is called like {self.lesson}; a person must "
            "say which one counts."
        )

    def _nothing(self, leaves: Iterable[Leaf], others: bool) -> str:
        files = [leaf for leaf in leaves if leaf.source]
        if problem := next(
            (source.problem for leaf in files if (source := leaf.source) and source.problem), ""
        ):
            return f"There is no notebook that can be read. {problem}"
        if not files:
            return "The folder is empty."
        if others:
            return f"There is no notebook of {self.lesson}, only {_listed(files)}."
        return f"There is no notebook (.ipynb), only {_listed(files)}."


def _labelled(students: list[Student]) -> list[Student]:
    """The same students, each with a name (and id) of its own.

    Names that look the same, up to spaces and the way in which accents are written, may be a mistake
    or a trick: they are told apart, never merged, and a person is asked.
    """
    alike: dict[tuple[str, str], list[Student]] = {}
    for student in students:
        student.name = plain(" ".join(student.name.split())) or "unnamed"
        alike.setdefault((student.name.casefold(), student.id), []).append(student)
    taken: set[tuple[str, str]] = {(student.name, student.id) for student in students}
    given: set[tuple[str, str]] = set()
    for group in alike.values():
        if len(group) > 1:
            where = ", ".join(plain(student.leaves[0].shown, 120) for student in group[:4])
            sentence = (
                f"Several submissions are of the name {group[0].name}: {where}. Whose is whose?"
            )
            for student in group:
                student.doubt = student.doubt or sentence
    # Whoever is called exactly so keeps the name; the others get a number.
    for student in sorted(students, key=lambda s: s.leaves[0].parts[0] != s.name):
        if (student.name, student.id) in given:
            names = (f"{student.name} ({n})" for n in range(2, len(students) + 2))
            student.name = next(name for name in names if (name, student.id) not in taken)
            taken.add((student.name, student.id))
        given.add((student.name, student.id))
    return students


def _told_by_source(found: list[Submission]) -> list[Submission]:
    """The same, where one `source` never names two files: names may differ in what is not shown,
    and a zip may hold two files of one name. (Those who hand in together share one file.)"""
    files: dict[str, list[Source | None]] = {}
    told = []
    for submission in found:
        known = files.setdefault(submission.source, [])
        if submission._bytes is None or submission._bytes not in known:
            known.append(submission._bytes)
        number = known.index(submission._bytes) if submission._bytes else len(known) - 1
        source = f"{submission.source} ({number + 1})" if number else submission.source
        told.append(replace(submission, source=source))
    return told


def _stripped(leaves: list[Leaf]) -> list[Leaf]:
    return [replace(leaf, parts=leaf.parts[1:]) for leaf in leaves]


def _listed(leaves: list[Leaf], most: int = 4) -> str:
    names = [plain(leaf.name, 60) for leaf in leaves[:most]]
    more = f" and {len(leaves) - most} more" if len(leaves) > most else ""
    return ", ".join(names) + more


def _timestamp(leaf: Leaf, leaves: list[Leaf]) -> datetime | None:
    """When it was submitted, from the `timestamp.txt` that nbgrader puts next to the notebook."""
    beside = (*leaf.parts[:-1], "timestamp.txt")
    file = next((other.source for other in leaves if other.parts == beside), None)
    try:
        text = file.read(1000).decode() if file else ""
        return datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    except (GradingError, ValueError):
        return None
