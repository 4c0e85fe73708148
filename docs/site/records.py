"""A page for each file of benchmarks/results: its figures as tables, with each run drawn as a dot.

Most records have `runs`, the figures of each run by group, as `benchmarks/common.py` writes them. Of others
whatever has the shape of a table becomes one.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

OPEN = 4  # measures that are shown at once; the others lie behind a fold
EDGE = 3.0  # per cent of a row's width that stay free at each end
LOGARITHMIC = 30.0  # times the smallest value, from which on a scale is logarithmic
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
# Records that are not called after the word that makes them.
NAMED = {
    "finance_recall": "finance",
    "finance_leaks": "finance_leak",
    "manufacturing_real_lives": "manufacturing_cmapss",
}
ELSEWHERE = ("versions", "date")  # parts of a record that stand at another place of its page
SIGNS = {">=": "at least", "<=": "at most"}
Values = dict[str, dict[str, list[float]]]  # measure, group, the runs' values


@dataclass(frozen=True)
class Command:
    """A row of the table in benchmarks/README.md: a script, the word behind it, and what it measures."""

    script: str
    word: str
    measures: str

    @property
    def record(self) -> str:
        """The name of the record that it writes, if the script writes one for each word."""
        name = f"{self.script}_{self.word}".rstrip("_")
        return NAMED.get(name, name)

    def __str__(self) -> str:
        return f"python benchmarks/{self.script}.py {self.word}".rstrip()


def commands(readme: str) -> list[Command]:
    """All commands of the table, in its order."""
    row = r"(?m)^\| `python benchmarks/(\w+)\.py(?: (\w+))?` \| (.+?) \| [^|]+ \|$"
    return [Command(*found) for found in re.findall(row, readme)]


def behind(record: str, told: Sequence[Command]) -> list[Command]:
    """The commands that write a record: the one of its name, or all of the script of its name."""
    own = [command for command in told if command.record == record]
    files = {file.stem for file in RESULTS.glob("*.json")}
    return own or [c for c in told if c.script == record and c.record not in files]


def index_page(files: Sequence[Path], readme: str) -> str:
    """The list of records."""
    told = commands(readme)
    rows = "\n".join(
        f"| [{spoken(file.stem)}](results/{file.stem}.md) "
        f"| {'; '.join(command.measures for command in behind(file.stem, told))} "
        f"| {dates(json.loads(file.read_text(encoding='utf-8')))} |"
        for file in files
    )
    names = "\n".join(f"results/{file.stem}" for file in files)
    return (
        "# What was measured\n\nThe records that lessons and pages quote. Each page shows every run; the "
        "[commands](README.md) make the records anew.\n\n| record | what it holds | measured on |\n"
        f"|---|---|---|\n{rows}\n\n```{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{names}\n```\n"
    )


def record_page(file: Path, readme: str) -> str:
    """One record: what it is, its measures, its settings, and all of it as it stands in the file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    made = "".join(
        f"- `{command}`: {command.measures}\n" for command in behind(file.stem, commands(readme))
    )
    parts = [
        f"# {spoken(file.stem).capitalize()}",
        f"`benchmarks/results/{file.name}`, measured on {dates(content)} by\n\n{made}",
    ]
    parts += [picture(png, content) for png in sorted(file.parent.glob(f"{file.stem}_*.png"))]
    if "runs" in content and isinstance(content["runs"], dict):
        values, bars = by_measure(content["runs"]), content.get("bars", {})
        parts.append(f"{counted(content['runs'])} Each dot is a run, the line is their median.")
        drawn = [measure_html(name, groups, bars) for name, groups in values.items()]
        kind = "measures"
    else:
        shown = {key: each for key, each in content.items() if key != "settings"}
        drawn, kind = [*tables(shown)], "tables"
    parts += map(raw, drawn[:OPEN])
    if more := drawn[OPEN:]:
        parts.append(raw(folded(f"{len(more)} more {kind}", "".join(more))))
    settings = {key: content[key] for key in ("settings", "versions") if key in content}
    for title, inside in (("Settings and versions", settings), ("The whole record", content)):
        text = json.dumps(inside, indent=1, ensure_ascii=False)
        parts.append(raw(folded(title, f"<pre>{escape(text)}</pre>")))
    return "\n\n".join(parts) + "\n"


def dates(content: Mapping[str, Any]) -> str:
    """When a record was made; its parts may have dates of their own."""
    parts = [content, *(part for part in content.values() if isinstance(part, dict))]
    days = sorted({part["date"] for part in parts if isinstance(part.get("date"), str)})
    return " and ".join(dict.fromkeys([days[0], days[-1]])) if days else "an unknown day"


def counted(runs: Mapping[str, Sequence]) -> str:
    sizes = sorted({len(rows) for rows in runs.values()})
    many = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"{many} run{'s' * (many != '1')} of {len(runs)} group{'s' * (len(runs) != 1)}."


def spoken(name: str) -> str:
    """A name of the code in words."""
    return name.replace("_", " ")


def number(value: float) -> str:
    """Three digits, and no exponent for everyday numbers.

    >>> number(1234.5), number(0.98765), number(7.0)
    ('1,234', '0.988', '7')
    """
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.2e}"


# --- runs by group -------------------------------------------------------------------------------


def by_measure(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Values:
    """The numbers of all runs, measure by measure and group by group."""
    found: Values = {}
    for group, rows in runs.items():
        for row in rows:
            for name, value in row.items():
                if name != "seed" and isinstance(value, int | float) and math.isfinite(value):
                    found.setdefault(name, {}).setdefault(group, []).append(float(value))
    return found


def measure_html(name: str, groups: Mapping[str, Sequence[float]], bars: Mapping[str, Any]) -> str:
    """One measure as a table with a row of dots for each group, and a sentence on it from the numbers."""
    sign, bar = bars.get(name, ("", None))
    everything = [value for values in groups.values() for value in values]
    scale = Scale([*everything, *([] if bar is None else [bar])])
    middles = {group: median(values) for group, values in groups.items()}
    low, high = min(middles, key=middles.__getitem__), max(middles, key=middles.__getitem__)
    told = ""
    if middles[low] < middles[high]:
        told = f"The lowest median is {number(middles[low])}, of “{low}”, and the highest "
        told += f"{number(middles[high])}, of “{high}”."
    elif len(groups) > 1:
        told = f"All medians are {number(middles[low])}."
    if bar is not None:
        met = sum(value >= bar if sign == ">=" else value <= bar for value in middles.values())
        told += f" Asked for: {SIGNS[sign]} {number(bar)}; {met} of {len(groups)} medians reach it."
    rows = "".join(
        f'<tr><th scope="row">{escape(group)}</th><td>{dots(scale, values, middles[group], bar)}</td>'
        f"<td>{number(middles[group])}{between(values)}</td></tr>"
        for group, values in groups.items()
    )
    return (
        f'<table class="record"><caption><strong>{escape(spoken(name))}.</strong> {escape(told)}</caption>'
        f'<thead><tr><th scope="col">group</th><th scope="col">{scale.html()}</th>'
        f'<th scope="col">median (lowest to highest)</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def between(values: Sequence[float]) -> str:
    if len(values) < 2 or min(values) == max(values):
        return ""
    return f" <small>({number(min(values))} to {number(max(values))})</small>"


class Scale:
    """Where values stand between the lowest and the highest, in per cent of a row's width."""

    def __init__(self, values: Sequence[float]):
        self.low, self.high = min(values), max(values)
        self.is_log = self.low > 0 and self.high / self.low > LOGARITHMIC
        if not self.is_log and 0 < self.low < self.high / 2:
            self.low = 0.0  # so that lengths can be compared

    def place(self, value: float) -> float:
        if self.low == self.high:
            return 50.0
        low, high, at = (math.log(x) if self.is_log else x for x in (self.low, self.high, value))
        return EDGE + (100 - 2 * EDGE) * (at - low) / (high - low)

    def html(self) -> str:
        """Both ends as a column's head."""
        if self.low == self.high:
            return f"<span>{number(self.low)}</span>"
        kind = "<span>logarithmic</span>" if self.is_log else ""
        low, high = (f"<span>{number(end)}</span>" for end in (self.low, self.high))
        return f'<span class="ends">{low}{kind}{high}</span>'


def dots(scale: Scale, values: Sequence[float], middle: float, bar: float | None) -> str:
    """A row of dots; the numbers stand beside it, so that it is left out for screen readers."""
    drawn = "".join(
        f'<circle cx="{scale.place(value):.1f}%" cy="50%" r="3.5"/>' for value in values
    )
    at = scale.place(middle)
    drawn += f'<line class="middle" x1="{at:.1f}%" x2="{at:.1f}%" y1="10%" y2="90%"/>'
    if bar is not None:
        at = scale.place(bar)
        drawn += f'<line class="bar" x1="{at:.1f}%" x2="{at:.1f}%" y1="0" y2="100%"/>'
    return f'<svg aria-hidden="true">{drawn}</svg>'


# --- records of another shape ----------------------------------------------------------------------


def tables(content: Mapping[str, Any], title: str = "") -> Iterator[str]:
    """Whatever in a record has the shape of a table; `versions` and `date` stand elsewhere."""
    content = {key: value for key, value in content.items() if key not in ELSEWHERE}
    if single := [[key, value] for key, value in content.items() if is_cell(value)]:
        yield plain_table(title, ["", "value"], single)
    inside = {k: v for k, v in content.items() if isinstance(v, dict) and not is_cell(v)}
    times = Counter(name for each in inside.values() for name in cells_of(each))
    names = [name for name, found in times.items() if found > len(inside) / 2 and found > 1]
    rows = {key: each for key, each in inside.items() if any(name in each for name in names)}
    if rows:
        filled = [[key, *(each.get(name, "") for name in names)] for key, each in rows.items()]
        yield plain_table(title, ["", *names], filled)
    for key, value in content.items():
        if key in inside:
            left = {k: v for k, v in value.items() if key not in rows or k not in names}
            yield from tables(left, joined(title, key))
        elif isinstance(value, list) and not is_cell(value) and isinstance(value[0], dict):
            heads = [name for name in value[0] if all(is_cell(each.get(name)) for each in value)]
            filled = [[each.get(name) for name in heads] for each in value]
            yield plain_table(joined(title, key), heads, filled)


def joined(title: str, key: str) -> str:
    return f"{title}: {spoken(key)}" if title else spoken(key)


def is_cell(value: Any) -> bool:
    """Whether a value can stand in a cell: a number, a word, or a few of them."""
    if isinstance(value, dict):  # a share with its interval
        return value.keys() == {"share", "interval"}
    if isinstance(value, list):
        return len(value) <= 6 and all(isinstance(each, int | float | str) for each in value)
    return value is None or isinstance(value, int | float | str)


def cells_of(row: Mapping[str, Any]) -> list[str]:
    return [name for name, value in row.items() if is_cell(value) and name not in ELSEWHERE]


def plain_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(
        f'<th scope="col">{escape(spoken(name))}</th>' if name else "<td></td>" for name in heads
    )
    body = "".join(
        f'<tr><th scope="row">{cell(first)}</th>{"".join(f"<td>{cell(each)}</td>" for each in others)}</tr>'
        for first, *others in rows
    )
    return (
        '<div class="pst-scrollable-table-container"><table class="record"><caption><strong>'
        f"{escape(title or 'All in all')}</strong></caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def cell(value: Any) -> str:
    if isinstance(value, dict):
        low, high = value["interval"]
        return f"{value['share']:.1%} ({low:.1%} to {high:.1%})"
    if isinstance(value, list):
        return ", ".join(map(cell, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    return number(value) if isinstance(value, int | float) else escape(spoken(value))


def picture(file: Path, content: Mapping[str, Any]) -> str:
    """A picture that lies beside a record, with a description from the record."""
    part = content.get(file.stem.split("_")[-1], {})
    faults = part.get("faults", {}) if isinstance(part, dict) else {}
    found = [all_of["found_by_audit"][-1] for all_of in faults.values()]
    told = f"{spoken(file.stem).capitalize()}."
    if found:
        told += f" Curves of how often each of {len(found)} faults is found, at growing strength. At the "
        told += (
            f"strongest, the audit finds {sum(share == 1 for share in found)} of them in all of "
        )
        told += f"{part['draws']} draws; the tables below have the numbers."
    return f"```{{image}} {file.name}\n:alt: {told}\n:class: course-picture\n```"


def folded(title: str, inside: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def raw(html: str) -> str:
    """HTML as a block of a MyST page."""
    return f"```{{raw}} html\n{html}\n```"
