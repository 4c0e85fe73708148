"""Write two pages as examples into a folder: an audit of synthetic rows, and feedback on a submission.

    python docs/site/examples.py FOLDER

The real rows are those of Adult, if they can be had; else those of the course's own loans.
"""

import sys
from pathlib import Path

from course_lib import datasets
from course_lib.audit import audit
from course_lib.datasets.fetch import DataError
from course_lib.datasets.splits import TableDataset
from course_lib.exercises import get
from course_lib.exercises.checking import try_out
from course_lib.grading.feedback import feedback_page
from course_lib.grading.result import UNSOLVED, Case, Mark, Result
from course_lib.models.tabular import GaussianCopula
from course_lib.syllabus import lesson

ROWS = 6000  # of each table: enough to find what there is, and quick
GRADED = "01_vae"
STUDENT = "Example of a student"


def main(folder: Path) -> None:
    real = real_data()
    train, held_out = real.train[:ROWS], real.held_out[:ROWS]
    made = GaussianCopula().fit(train).sample(len(train), seed=0)
    report = audit(
        train, held_out, made, label=real.label, sensitive=real.sensitive, list_rows=False
    )
    report.to_html(folder / "audit.html")
    (folder / "audited.txt").write_text(real.name, encoding="utf-8")
    (folder / "feedback.html").write_text(feedback_page(graded()), encoding="utf-8")


def real_data() -> TableDataset:
    try:
        return datasets.load("adult")
    except DataError as error:
        print(f"Adult cannot be had, so the example audits the embedded loans: {error}")
        return datasets.load("loans")


def graded() -> Result:
    """A submission with right, wrong and missing answers, judged by the exercises themselves.

    Of a list of exercises every third is answered wrongly, the next is left out, the other is solved.
    """
    marks = []
    for number, exercise in enumerate(map(get, lesson(GRADED).exercises)):
        if number % 3 == 0:
            answer = exercise.alternatives[0]
        elif number % 3 == 1:
            answer = exercise.typical_mistakes[0].answer
        else:
            answer = stub
        verdicts = try_out(exercise, answer)
        share = exercise.points / len(verdicts)
        cases = tuple(
            Case(case.name, verdict.passed, share * verdict.passed, share, verdict.sentence)
            for case, verdict in verdicts
        )
        points = round(sum(case.points for case in cases), 2)
        marks.append(Mark(exercise.id, exercise.title, points, exercise.points, "tag", cases))
    return Result(STUDENT, f"{GRADED}.ipynb", GRADED, tuple(marks))


def stub(*_inputs: object) -> None:
    raise NotImplementedError(UNSOLVED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
