"""pipeline.toml: what it may say, and what is wrong where it says something else."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib.pipeline.contract import KINDS, Contract, Rule
from course_lib.pipeline.journal import PipelineError
from course_lib.pipeline.watching import Tolerance
from course_lib.privacy.accountant import rho_for
from course_lib.syllabus import unknown

TABLES = ("name", "data", "contract", "gates", "generate", "budget", "audit")
OWN_GENERATOR = ":"  # as in mymodule:make_rows


@dataclass(frozen=True)
class PipelineSettings:
    """What pipeline.toml says, checked.

    Attributes:
        folder: where pipeline.toml is, and what the pipeline writes.
        arrivals: a pattern of files, one a day in the order of their names, relative to the folder.
        reference: a file of rows that are trusted from the start.
        days, false_stop: a good stream is stopped within so many days with at most this chance.
        generator: "copula", "marginals", or "module:function".
        rows: how many rows are made a day.
        total_rho, release_rho: the whole privacy budget and what a release costs; None without one.
        report: whether each day's rows are also audited in full, for people to read.
    """

    name: str
    folder: Path
    arrivals: str
    reference: str
    contract: Contract
    days: int = 60
    false_stop: float = 0.05
    tolerance: Tolerance = field(default_factory=Tolerance)
    generator: str = "copula"
    rows: int = 1000
    total_rho: float | None = None
    release_rho: float | None = None
    report: bool = False

    @property
    def limit(self) -> float:
        """The evidence that stops a day."""
        return self.days / self.false_stop

    @property
    def private(self) -> bool:
        """Whether the generator spends the privacy budget."""
        return self.generator == "marginals"


def read_settings(path: str | Path) -> PipelineSettings:
    """What a pipeline.toml says.

    Raises:
        PipelineError: when it cannot be read, or says something that is not understood. The message names
            the file, the place in it, and what is wanted.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise PipelineError(f"{path} is not TOML: {error}") from None
    try:
        return _settings(content, path.resolve().parent)
    except PipelineError as error:
        raise PipelineError(f"{path}: {error}") from None


def _settings(content: Mapping[str, Any], folder: Path) -> PipelineSettings:
    _known(content, TABLES, "")
    data = _table(content, "data", ("arrivals", "reference"))
    gates = _table(content, "gates", ("days", "false_stop", "distance", "kept", "nearer"))
    generate = _table(content, "generate", ("method", "rows"))
    audit = _table(content, "audit", ("report",))
    generator = _value(generate, "generate.method", str, "copula")
    if generator not in ("copula", "marginals") and OWN_GENERATOR not in generator:
        raise PipelineError(
            "generate.method is one of 'copula', 'marginals', or a function of your own as "
            f"'module:function'; got {generator!r}."
        )
    contract = _contract(_table(content, "contract", ("columns", "label", "groups")))
    total = release = None
    if generator == "marginals":
        if "budget" not in content:
            raise PipelineError("the method 'marginals' is private: a table [budget] is wanted.")
        budget = _table(content, "budget", ("epsilon", "delta", "releases"))
        epsilon = _between(_value(budget, "budget.epsilon", float), "budget.epsilon", 0, 1e3)
        delta = _between(_value(budget, "budget.delta", float), "budget.delta", 0, 1)
        releases = _value(budget, "budget.releases", int)
        if releases < 1:
            raise PipelineError(f"budget.releases is at least 1; got {releases}.")
        total = rho_for(epsilon, delta)
        release = total / releases
        contract.public_rows()  # tells now what a private generator would miss later
    elif "budget" in content:
        raise PipelineError(
            f"[budget] belongs to the private method 'marginals'; generate.method is {generator!r}."
        )
    days, rows = (
        _value(table, name, int, default)
        for table, name, default in ((gates, "gates.days", 60), (generate, "generate.rows", 1000))
    )
    for name, number in (("gates.days", days), ("generate.rows", rows)):
        if number < 1:
            raise PipelineError(f"{name} is at least 1; got {number}.")
    tolerance = {
        name: _between(_value(gates, f"gates.{name}", float, default), f"gates.{name}", 0, 1)
        for name, default in vars(Tolerance()).items()
    }
    return PipelineSettings(
        name=_value(content, "name", str, folder.name),
        folder=folder,
        arrivals=_value(data, "data.arrivals", str),
        reference=_value(data, "data.reference", str),
        contract=contract,
        days=days,
        false_stop=_between(
            _value(gates, "gates.false_stop", float, 0.05), "gates.false_stop", 0, 1
        ),
        tolerance=Tolerance(**tolerance),
        generator=generator,
        rows=rows,
        total_rho=total,
        release_rho=release,
        report=_value(audit, "audit.report", bool, False),
    )


def _contract(table: Mapping[str, Any]) -> Contract:
    columns = table.get("columns")
    if not isinstance(columns, Mapping) or not columns:
        raise PipelineError("wanted: a table [contract.columns.NAME] for each column.")
    rules = {name: _rule(name, rule) for name, rule in columns.items()}
    label = _value(table, "contract.label", str) if "label" in table else None
    groups = _value(table, "contract.groups", list, [])
    for name in [*groups, *([label] if label else [])]:
        if name not in rules:
            raise PipelineError(unknown("column in the contract", name, rules))
    for name in groups:
        if rules[name].numeric:
            raise PipelineError(f"contract.groups: '{name}' is not a category.")
    return Contract(rules, label, tuple(groups))


def _rule(name: str, table: object) -> Rule:
    place = f"contract.columns.{name}"
    if not isinstance(table, Mapping):
        raise PipelineError(f"{place} is a table, such as {{ kind = 'integer', min = 0 }}.")
    _known(table, ("kind", "min", "max", "levels", "missing", "often"), f"{place}.")
    kind = _value(table, f"{place}.kind", str)
    if kind not in KINDS:
        raise PipelineError(f"{place}.kind: {unknown('kind', kind, KINDS)}")
    least, most = (
        _value(table, f"{place}.{end}", float) if end in table else None for end in ("min", "max")
    )
    levels = _value(table, f"{place}.levels", list, [])
    if kind == "category":
        if least is not None or most is not None:
            raise PipelineError(f"{place} is a category, which has levels, and no min or max.")
        if not levels or not all(isinstance(level, str) for level in levels):
            raise PipelineError(f"{place}.levels: wanted is a list of the levels, as texts.")
    elif levels:
        raise PipelineError(f"{place} is a number, which has min and max, and no levels.")
    elif least is not None and most is not None and least > most:
        raise PipelineError(f"{place}: min {least:g} is above max {most:g}.")
    often = _value(table, f"{place}.often", list, [])
    if often and kind == "category":
        raise PipelineError(f"{place} is a category, and often belongs to a number.")
    for number in often:
        if not isinstance(number, int | float) or not (
            (least is None or least <= number) and (most is None or number <= most)
        ):
            raise PipelineError(f"{place}.often holds numbers of its range; got {number!r}.")
    missing = _value(table, f"{place}.missing", bool, False)
    return Rule(kind, least, most, tuple(levels), missing, tuple(map(float, often)))


def _table(content: Mapping[str, Any], name: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, Mapping):
        raise PipelineError(f"[{name}] is a table; got {table!r}.")
    _known(table, known, f"{name}.")
    return table


def _known(table: Mapping[str, Any], names: tuple[str, ...], place: str) -> None:
    for name in table:
        if name not in names:
            raise PipelineError(unknown("setting", f"{place}{name}", [place + n for n in names]))


def _value(table: Mapping[str, Any], place: str, kind: type, default: Any = None) -> Any:
    name = place.rsplit(".", 1)[-1]
    if name not in table:
        if default is None:
            raise PipelineError(f"{place} is missing.")
        return default
    value = table[name]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        words = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}
        raise PipelineError(f"{place} is {words.get(kind, 'a list')}; got {value!r}.")
    return value


def _between(value: float, name: str, least: float, most: float) -> float:
    if not least < value <= most:
        raise PipelineError(f"{name} lies above {least:g} and up to {most:g}; got {value:g}.")
    return value
