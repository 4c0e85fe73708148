"""Write what the syllabus knows into the notebooks, the README and docs; strip the notebooks.

In each notebook six kinds of cell are written: the cell with the id `header`; the rubric in each cell
whose id is `rubric-...`; the card in each cell whose id is `card-...` (the heading `### Exercise: ...`
and the two paragraphs after it; other text in the cell stays, and a new card goes below it); the first
code cell, `colab`; the last, `save`; and before it `next`, which leads to the next lesson. Between markers
are written: the lessons and the badges in the README, the gpu presets in docs/gpu.md, the links in
docs/anywhere.md, and the recorded runs in docs/capstone.md. Outputs and other traces of a run are removed
from the notebooks.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

from course_lib.colab import FIRST_CELL_METADATA, first_cell
from course_lib.exercises import get
from course_lib.exercises.aliases import original
from course_lib.exercises.exercise import Exercise
from course_lib.files import write_whole
from course_lib.syllabus import ROOT, SYLLABUS, Lesson, Written, course

README = ROOT / "README.md"
GPU = ROOT / "docs" / "gpu.md"
ANYWHERE = ROOT / "docs" / "anywhere.md"
CAPSTONE = ROOT / "docs" / "capstone.md"
CAPSTONE_RUNS = ROOT / "benchmarks" / "results" / "capstone.json"
SAVE_CELL = """\
# Keep your work: on Colab on your Drive if it is mounted, else as a download. In Lab it is a file.
from course_lib import save_work

save_work()"""
COME_BACK = (
    "Your answers are kept in this notebook, what the cells have made is not: click the cell where you "
    "stopped, and choose *Run > Run All Above Selected Cell*"
)
MARKS = "<!-- {name}: written by `python course.py sync` -->", "<!-- end of {name} -->"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def write_all(check: bool = False) -> int:
    """Bring every generated part up to date. With `check`, change nothing and only list what is not.

    Returns:
        The exit status: 1 if `check` found something out of date, else 0.
    """
    stale = []
    for file, content in generated():
        if file.exists() and file.read_text(encoding="utf-8") == content:
            continue
        stale.append(file)
        if not check:
            write_whole(file, content)
        print(f"{file.relative_to(ROOT)}: {'not up to date' if check else 'written'}")
    if not stale:
        print("Everything is up to date.")
    return 1 if check and stale else 0


def set_repository(repository: str, branch: str = "main") -> int:
    """Set the repository that badges, links and first cells point to.

    Args:
        repository: "OWNER/NAME" on GitHub, or its address; "" for none.
        branch: the branch that learners get.

    Returns:
        The exit status of `write_all`.

    Raises:
        ValueError: GitHub allows no repository or no branch of this name.
    """
    name = re.sub(r"^(https?://)?(www\.)?github\.com/|(\.git)?/?$", "", repository.strip())
    if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[\w.-]{1,100}", name, re.ASCII):
        raise ValueError(f"{repository!r} cannot be a repository: write it as OWNER/NAME.")
    if not re.fullmatch(r"[A-Za-z0-9_][\w./-]*", branch, re.ASCII) or ".." in branch:
        raise ValueError(f"{branch!r} cannot be the name of a branch.")
    text = SYLLABUS.read_text(encoding="utf-8")
    for key, value in (("repository", name), ("branch", branch)):
        text, found = re.subn(rf'(?m)^{key} = ".*"$', f'{key} = "{value}"', text, count=1)
        if not found:
            raise ValueError(f"{SYLLABUS.name} has no line that begins with `{key} = `.")
    write_whole(SYLLABUS, text)
    course.cache_clear()
    return write_all()


def generated() -> Iterator[tuple[Path, str]]:
    """Every file with generated parts, and what it should hold."""
    for lesson in course().lessons.values():
        file = ROOT / "notebooks" / f"{lesson.id}.ipynb"
        yield file, generated_notebook(lesson, file.read_text(encoding="utf-8"))
    table = _between(README.read_text(encoding="utf-8"), "lessons", lesson_table())
    yield README, _between(table, "badges", badges())
    if GPU.exists():  # only a checkout has it
        yield GPU, _between(GPU.read_text(encoding="utf-8"), "gpu", gpu_table())
    if ANYWHERE.exists():
        yield ANYWHERE, _between(ANYWHERE.read_text(encoding="utf-8"), "links", link_list())
    if CAPSTONE.exists() and CAPSTONE_RUNS.exists():
        yield CAPSTONE, _between(CAPSTONE.read_text(encoding="utf-8"), "runs", capstone_runs())


def _between(text: str, name: str, part: str) -> str:
    """The text with `part` between its two markers."""
    begin, end = (mark.format(name=name) for mark in MARKS)
    before, _, rest = text.partition(begin)
    return "\n".join(filter(None, [f"{before}{begin}", part, f"{end}{rest.partition(end)[2]}"]))


def generated_notebook(lesson: Lesson, source: str) -> str:
    """The lesson's notebook with its header and cards written and its outputs stripped."""
    book = json.loads(source)
    cards = {card_id(get(name)): get(name) for name in lesson.exercises}
    rubrics = {text.rubric_cell: text for text in lesson.written}
    texts = {text.cell for text in lesson.written}
    missing = {"header", *cards, *rubrics, *texts} - {cell["id"] for cell in book["cells"]}
    if missing:
        raise ValueError(
            f"{lesson.id}.ipynb has no Markdown cell with the id {', '.join(sorted(missing))}: "
            "add an empty one, and it will be written."
        )
    _place(book, "colab", first_cell(course().repository, course().branch), first=True)
    _place(book, "save", SAVE_CELL, first=False)
    _place_next(book, next_lesson(lesson))
    for cell in book["cells"]:
        if cell["id"] == "header":
            cell["source"] = header(lesson)
        elif cell["id"] in cards:
            cell["source"] = with_card("".join(cell["source"]), cards[cell["id"]])
        elif cell["id"] in rubrics:
            cell["source"] = rubric(rubrics[cell["id"]])
        _strip(cell)
    book["metadata"] = METADATA
    # As Jupyter writes it: sorted keys, one space, source line by line, a newline at the end.
    return json.dumps(book, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def header(lesson: Lesson) -> str:
    """The first cell: title, badge, question, objectives, minutes, data, what to know before."""
    objectives = "\n".join(f"- {objective}" for objective in lesson.objectives)
    points = sum(get(name).points for name in lesson.exercises)
    count = len(lesson.exercises)
    return "\n\n".join(
        filter(
            None,
            [
                f"# {lesson.number:02d} {lesson.title}",
                badge(lesson),
                f"**{lesson.question}**",
                f"When you have worked through this notebook, you can\n\n{objectives}",
                "| | |\n|---|---|\n"
                f"| Time to study | about {lesson.study_minutes} minutes, "
                f"{count} exercise{'s' * (count != 1)}, {points} point{'s' * (points != 1)}"
                f"{_by_hand(lesson)} |\n"
                f"| Time to run | {_minutes(lesson, 'cpu')} on two CPU cores; "
                f"{_minutes(lesson, 't4')} on a T4 |\n"
                f"| Data | {_data(lesson)}: no download |\n"
                f"| Know before | {lesson.prerequisites} |\n"
                f"| Coming back | {COME_BACK} |",
            ],
        )
    )


def _by_hand(lesson: Lesson) -> str:
    points = sum(text.points for text in lesson.written)
    count = len(lesson.written)
    return f"; {count} texts that a person reads, {points} points" if lesson.written else ""


def _data(lesson: Lesson) -> str:
    names = ", ".join(f"`{name}`" for name in lesson.data)
    return f"{names}, embedded" if names else "simulated in the lesson"


def next_lesson(lesson: Lesson) -> str:
    """The cell that leads on from a lesson."""
    later = [other for other in course().lessons.values() if other.number > lesson.number]
    if not later:
        return "This was the last lesson. The page of progress above lists all of them."
    follows = min(later, key=lambda other: other.number)
    link = f"[{follows.number:02d} {follows.title}]({follows.id}.ipynb)"
    return f"**Next:** {link}. {follows.question}"


def _place_next(book: dict, source: str) -> None:
    """Write the Markdown cell `next`; if it is missing, before the cell that saves."""
    cells = book["cells"]
    cell = next((cell for cell in cells if cell["id"] == "next"), None)
    if cell is None:
        cell = {"cell_type": "markdown", "id": "next", "metadata": {}}
        cells.insert(next(n for n, c in enumerate(cells) if c["id"] == "save"), cell)
    cell["source"] = source


def _place(book: dict, name: str, source: str, *, first: bool) -> None:
    """Write the code cell with this id; if it is missing, before the first code cell or at the end."""
    cells = book["cells"]
    cell = next((cell for cell in cells if cell["id"] == name), None)
    if cell is None:
        cell = {"cell_type": "code", "id": name, "metadata": {}, "outputs": []}
        at = next((n for n, c in enumerate(cells) if c["cell_type"] == "code"), len(cells))
        cells.insert(at if first else len(cells), cell)
    cell["source"] = source


def badge(lesson: Lesson) -> str:
    """The Colab badge, or nothing while the course has no repository."""
    repository, branch = course().repository, course().branch
    if not repository:
        return ""
    target = f"github/{repository}/blob/{branch}/notebooks/{lesson.id}.ipynb"
    return (
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/{target})"
    )


def one_click() -> dict[str, str]:
    """Where the course opens with one click, by the name of the service; empty without a repository."""
    repository, branch = course().repository, course().branch
    if not repository:
        return {}
    first = f"notebooks/{min(course().lessons)}.ipynb"
    pulled = {
        "repo": f"https://github.com/{repository}",
        "branch": branch,
        "urlpath": f"lab/tree/{repository.partition('/')[2]}/{first}",
    }
    return {
        "Colab": f"https://colab.research.google.com/github/{repository}/blob/{branch}/{first}",
        "Binder": f"https://mybinder.org/v2/gh/{repository}/{quote(branch, safe='')}"
        f"?urlpath={quote(f'lab/tree/{first}', safe='')}",
        "Codespaces": f"https://codespaces.new/{repository}/tree/{branch}",
        "JupyterHub": f"https://YOUR-HUB/hub/user-redirect/git-pull?{urlencode(pulled)}",
    }


BADGES = {
    "Colab": "https://colab.research.google.com/assets/colab-badge.svg",
    "Binder": "https://mybinder.org/badge_logo.svg",
    "Codespaces": "https://github.com/codespaces/badge.svg",
}


def badges() -> str:
    """The README's badges: tests, and each service that is the same for everybody."""
    repository = course().repository
    if not repository:
        return ""
    run = f"https://github.com/{repository}/actions/workflows/tests.yml"
    shown = [f"[![Tests]({run}/badge.svg)]({run})"]
    shown += [f"[![Open in {name}]({BADGES[name]})]({one_click()[name]})" for name in BADGES]
    return "\n".join(shown)


def link_list() -> str:
    """The links of docs/anywhere.md; without a repository, what to do to get them."""
    if not course().repository:
        return (
            "The links to these places appear here once the course is on GitHub and "
            "`python course.py repo OWNER/NAME` has been told where."
        )
    return "\n".join(f"- [{name}]({link})" for name, link in one_click().items())


def exercise_card(exercise: Exercise) -> str:
    """The card over an exercise."""
    points = f"{exercise.points} point{'s' * (exercise.points != 1)}"
    arrays = "NumPy arrays" if exercise.numpy else "PyTorch tensors"
    return (
        f"### Exercise: {exercise.title}\n\n"
        f"*`{exercise.id}`: {points}, about {exercise.minutes} minutes, "
        f"difficulty {exercise.difficulty} of 3; arrays come and go as {arrays}*\n\n{exercise.task}"
    )


def rubric(text: Written) -> str:
    """The cell above a text that a person marks: what to write, and what earns how many points."""
    levels = "\n".join(f"| {points} | {level} |" for points, level in enumerate(text.levels))
    return (
        f"### Write: {text.title}\n\n*`{text.id}`: {text.points} points; a person reads this*\n\n"
        f"{text.task}\n\n| points | what is there |\n|---|---|\n{levels}"
    )


def with_card(text: str, exercise: Exercise) -> str:
    """`text` with its card replaced, or with the card after it where it has none yet."""
    old = re.compile(r"### Exercise:.*?\n\n.*?\n\n.*?(?=\n\n|\Z)", re.DOTALL)
    if old.search(text):
        return old.sub(lambda _: exercise_card(exercise), text, count=1)
    return f"{text}\n\n{exercise_card(exercise)}".strip()


def card_id(exercise: Exercise) -> str:
    return "card-" + original(exercise.id).replace(".", "-")


def lesson_table() -> str:
    """The README's table of lessons, and what they take together."""
    rows = [
        f"| [{x.number:02d} {x.title}](notebooks/{x.id}.ipynb){_colab_link(x)} | {x.question} "
        f"| {x.study_minutes} min | {_minutes(x, 'cpu')} | {len(x.exercises)} |"
        for x in course().lessons.values()
    ]
    head = (
        "| lesson | the question | to study | to run, 2 cores | exercises |\n|---|---|---|---|---|"
    )
    lessons = course().lessons.values()
    hours = sum(x.study_minutes for x in lessons) / 60
    count = sum(len(x.exercises) for x in lessons)
    total = f"In all about {hours:.0f} hours of study, with {count} exercises."
    return "\n".join([head, *rows, "", total])


def gpu_table() -> str:
    """What the gpu preset of each lesson changes of the cpu preset, and what computes on the GPU."""
    rows = ["| lesson | on the GPU | what changes |", "|---|---|---|"]
    for x in course().lessons.values():
        where = 'the section "Larger"' if x.gains_from_gpu else "nothing"
        said = "; ".join(_changes(x.presets["cpu"], x.presets.get("gpu", {}))) or "nothing"
        rows.append(f"| {x.number:02d} {x.title} | {where} | {said} |")
    return "\n".join(rows)


def capstone_runs() -> str:
    """The runs of benchmarks/capstone.py: how many findings stop each table, and how it ended."""
    groups = json.loads(CAPSTONE_RUNS.read_text(encoding="utf-8"))["runs"]
    names = ("independent", "copula", "by_kind", "filter", "vae")
    head = ("table", "seed", "independent", "copula", "copula by kind", "filter", "VAE", "taken")
    rows = [f"| {' | '.join(head)} | at the end | result |", "|---" * 10 + "|"]
    reasons = []
    for group, runs in groups.items():
        for run in runs:
            counts = ("none could be made" if run[name] < 0 else f"{run[name]:g}" for name in names)
            result = "passed" if run["passed"] else "stopped"
            cells = [group, run["seed"], *counts, run["remedy"], run["final"], result]
            rows.append(f"| {' | '.join(map(str, cells))} |")
            if run["stopped_by"]:
                reasons.append(f"- {group}, seed {run['seed']}: {', '.join(run['stopped_by'])}")
    stopped = ["", "What stopped the tables at the end:", "", *reasons] if reasons else []
    return "\n".join([*rows, *stopped])


def _changes(before: Mapping, after: Mapping, path: str = "") -> Iterator[str]:
    """Each value that `after` changes, by its path: "`vae.steps` 1,500 to 4,000"."""
    for key, value in after.items():
        if isinstance(value, Mapping):
            yield from _changes(before.get(key, {}), value, f"{path}{key}.")
        elif before.get(key) != value:
            yield f"`{path}{key}` {_plain(before.get(key))} to {_plain(value)}"


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _colab_link(lesson: Lesson) -> str:
    return f" {badge(lesson)}" if course().repository else ""


def _minutes(lesson: Lesson, machine: str) -> str:
    minutes = lesson.run_minutes.get(machine)
    return f"{minutes:g} min" if minutes else "not measured yet"


def _strip(cell: dict) -> None:
    """Remove what a run leaves behind; cells tagged nbval-check-output keep their outputs."""
    source = cell["source"]
    cell["source"] = re.split(r"(?<=\n)", source) if isinstance(source, str) else source
    cell["source"] = [line for line in cell["source"] if line]
    tags = cell.get("metadata", {}).get("tags", [])
    cell["metadata"] = {"tags": tags} if tags else {}
    if cell["id"] == "colab":
        cell["metadata"] |= FIRST_CELL_METADATA
    if cell["cell_type"] != "code":
        return
    if "nbval-check-output" not in tags:
        cell["outputs"] = []
    # nbval refuses outputs in a cell without a count. Any number will do.
    cell["execution_count"] = 1 if cell["outputs"] else None
    for output in cell["outputs"]:
        if "execution_count" in output:
            output["execution_count"] = None
