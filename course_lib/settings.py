"""Settings of a model: one frozen dataclass for each, read from a table and checked."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import SimpleNamespace
from typing import Self

from course_lib.syllabus import unknown


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
        known = {field.name: field.default is MISSING for field in fields(cls)}
        for name in values:
            if name not in known:
                raise ValueError(unknown(f"setting in {cls.__name__}", name, known))
        missing = [name for name, needed in known.items() if needed and name not in values]
        if missing:
            raise ValueError(f"{cls.__name__} needs values for {', '.join(missing)}.")
        return cls(**values)
