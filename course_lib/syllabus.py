"""What the course consists of: a typed view of `syllabus.toml`, its single source."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

SYLLABUS = Path(__file__).with_name("syllabus.toml")
ROOT = Path(__file__).parents[1]  # the checkout
# The lessons: inside an installed package, beside it in a checkout.
NOTEBOOKS = (Path(__file__).with_name("notebooks"), ROOT / "notebooks")


@dataclass(frozen=True)
class Written:
    """A text that a learner writes and a person marks by a rubric.

    `levels` says in words what earns 0, 1, 2, ... points, so the last one is worth the most.
    """

    id: str
    title: str
    task: str
    levels: tuple[str, ...]

    @property
    def points(self) -> int:
        return len(self.levels) - 1

    @property
    def cell(self) -> str:
        """The id of the notebook's cell in which the learner writes."""
        return "written-" + self.id.replace(".", "-")

    @property
    def rubric_cell(self) -> str:
        """The id of the cell above it, which holds the rubric."""
        return "rubric-" + self.id.replace(".", "-")


@dataclass(frozen=True)
class Lesson:
    """One lesson. `study_minutes` is a learner's time; `run_minutes` maps a machine to the time that
    the notebook takes there from top to bottom, unsolved; a machine is absent until measured.
    `gains_from_gpu` says whether a part of it is large enough to run on a GPU. `written` are its texts
    that a person marks."""

    id: str
    number: int
    title: str
    question: str
    objectives: tuple[str, ...]
    prerequisites: str
    data: tuple[str, ...]
    exercises: tuple[str, ...]
    study_minutes: int
    run_minutes: Mapping[str, float]
    presets: Mapping[str, Mapping] = field(repr=False)
    gains_from_gpu: bool = False
    written: tuple[Written, ...] = ()

    def settings(self, preset: str, **changes: object) -> SimpleNamespace:
        """The preset's values as attributes, tables nested: `settings.vae.latent_dim`.

        Every preset but "cpu" holds only what it changes of that one, and `changes` replaces values of the
        preset. Raises ValueError for a setting that the cpu preset does not have.
        """
        values = _over(self.presets["cpu"], self.presets.get(preset, {}))
        return _namespace(_over(values, changes))


@dataclass(frozen=True)
class Course:
    """The whole course. `repository` is "OWNER/NAME" on GitHub, or empty until somebody sets it."""

    title: str
    repository: str
    branch: str
    lessons: Mapping[str, Lesson]


@cache
def course() -> Course:
    """The course as `syllabus.toml` describes it."""
    content = tomllib.loads(SYLLABUS.read_text(encoding="utf-8"))
    lessons = {}
    for name, entry in content["lessons"].items():
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()
        }
        texts = [{**text, "levels": tuple(text["levels"])} for text in fields.pop("written", ())]
        lessons[name] = Lesson(id=name, written=tuple(Written(**text) for text in texts), **fields)
    return Course(lessons=lessons, **content["course"])


def lesson(name: str) -> Lesson:
    """The lesson called `name`, such as "01_vae". Raises ValueError that lists the known ones."""
    lessons = course().lessons
    if name not in lessons:
        raise ValueError(unknown("lesson", name, lessons))
    return lessons[name]


def notebook(lesson: Lesson) -> Path:
    """The file of a lesson. Raises FileNotFoundError where the library came without its lessons."""
    for folder in NOTEBOOKS:
        if (file := folder / f"{lesson.id}.ipynb").is_file():
            return file
    raise FileNotFoundError(f"The notebook {lesson.id}.ipynb did not come with this library.")


def unknown(kind: str, name: object, known) -> str:
    """A sentence for a name that nobody knows, with the known ones and the nearest of them."""
    known = list(known)
    near = get_close_matches(str(name), known, n=1, cutoff=0.5)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no {kind} called {name!r}.{guess} Known: {', '.join(map(repr, known))}."


@dataclass(frozen=True)
class Settings:
    """What the settings of all models share: they are read by name, and an unknown name is refused.

    >>> @dataclass(frozen=True, kw_only=True)
    ... class Walk(Settings):
    ...     steps: int
    ...     width: float = 1.0
    >>> Walk.of({"steps": 3})
    Walk(steps=3, width=1.0)
    """

    @classmethod
    def of(cls, table: "Settings | SimpleNamespace | Mapping[str, object]") -> Self:
        """The settings in `table`, such as `lesson.settings.cvae`, or a mapping of names to values.

        Settings of this class come back as they are. Raises ValueError for an unknown name, with the
        known ones, and for a missing one.
        """
        if isinstance(table, cls):
            return table
        values = dict(table) if isinstance(table, Mapping) else vars(table)
        known = {each.name: each.default is MISSING for each in fields(cls)}
        for name in values:
            if name not in known:
                raise ValueError(unknown(f"setting in {cls.__name__}", name, known))
        missing = [name for name, needed in known.items() if needed and name not in values]
        if missing:
            raise ValueError(f"{cls.__name__} needs values for {', '.join(missing)}.")
        return cls(**values)


def _over(base: Mapping, changes: Mapping) -> dict:
    """`base` with `changes` laid over it, table by table."""
    merged = dict(base)
    for key, value in changes.items():
        if key not in base:
            raise ValueError(unknown("setting in the cpu preset", key, base))
        both = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _over(base[key], value) if both else value
    return merged


def _namespace(table: Mapping) -> SimpleNamespace:
    return SimpleNamespace(
        **{k: _namespace(v) if isinstance(v, Mapping) else v for k, v in table.items()}
    )
