"""One picture of a report: where the harm is, and how much of it."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from course_lib.audit.explain import KINDS, SYMBOLS, about_metric, times
from course_lib.audit.finding import FAMILIES, VERDICTS, Finding, Findings
from course_lib.plots import BLUE, GREY, ORANGE, WIDEST
from course_lib.session import THEME

ROWS = 18  # of the matrix
GRAVEST = 12  # findings of the forest plot
TWICE = 2  # findings of one metric in it, so that pairs of columns do not crowd out the rest
WHOLE = "whole rows"
# Fill and ink of each verdict: hue, lightness and symbol all tell them apart.
LOOKS = {
    "fail": (ORANGE, "white"),
    "warn": ("#fbe3d2", "#8a3d00"),
    "underpowered": ("#eeeeee", "#444444"),
    "not testable": ("#eeeeee", "#444444"),
    "pass": ("#d7e8f4", BLUE),
}
MARKERS = {"fail": "X", "warn": "^", "underpowered": "o", "not testable": "o", "pass": "s"}
INKS = {"fail": ORANGE, "warn": "#8a3d00", "underpowered": GREY, "not testable": GREY, "pass": BLUE}


def draw_findings(report: Findings) -> tuple[Figure, str]:
    """The picture and its description in words.

    Left, a matrix: columns and groups of the data against kinds of check, each cell with its gravest
    verdict. Right, the gravest findings of each family: how far they are from the value expected of
    one distribution, in margins, so that 1 is where an effect begins to matter.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> report = Findings((found,), None, (), {})
    >>> figure, description = draw_findings(report)
    >>> description[:38]
    'An audit of 1 finding: 1 fail, 0 warn,'
    """
    rows, more = _rows(report.findings)
    worst = gravest(report.findings)
    with plt.style.context(THEME):
        height = max(1.5 + 0.25 * len(rows), 1.4 + 0.4 * len(worst), 3.0)
        fig = Figure(figsize=(WIDEST, height), layout="constrained")
        grid = fig.subplots(1, 2, width_ratios=[_width(rows), 1])
        _matrix(grid[0], rows, more, least=round(1.6 * len(worst)))
        _forest(grid[1], worst)
        _legend(fig, report.counts)
    return fig, _told(report, rows, worst)


def _width(rows: dict[str, dict[str, str]]) -> float:
    """Of the matrix, relative to the forest plot."""
    return max(len(_kinds(rows)), 4) / 9


# --- where --------------------------------------------------------------------------------------


def _rows(findings: Sequence[Finding]) -> tuple[dict[str, dict[str, str]], int]:
    """Of each column or group, the gravest verdict of each kind of check; and how many are left out.

    Findings come with the gravest first, and so do the rows.
    """
    cells: dict[str, dict[str, str]] = {}
    broken = {
        finding.columns[0]
        for finding in findings
        if finding.verdict == "fail"
        and len(finding.columns) == 1
        and about_metric(finding.metric)["kind"] == "shape"
    }
    for finding in findings:
        for place in places(finding, broken):
            kind = about_metric(finding.metric)["kind"]
            cells.setdefault(place, {}).setdefault(kind, finding.verdict)
    order = sorted(cells, key=lambda place: _gravity(place, cells[place]))
    kept = order[:ROWS]
    return {place: cells[place] for place in kept}, len(order) - len(kept)


def places(finding: Finding, broken: Collection[str] = ()) -> Iterator[str]:
    """The rows of the matrix that a finding belongs to: columns, groups, or whole rows.

    A pair belongs to both its columns, or only to those that are `broken` by themselves: their
    pairs with all others fail for that reason.

    >>> list(places(Finding("bias", "label_rate", "sex = f", columns=("sex", "paid"))))
    ['sex = f']
    """
    kind = about_metric(finding.metric)["kind"]
    group = finding.slice.removesuffix(" against the rest")
    if kind == "pairs":
        yield from [name for name in finding.columns if name in broken] or finding.columns
    elif not finding.columns:
        yield WHOLE
    elif finding.family in ("bias", "utility") and kind in ("size", "label", "utility"):
        yield finding.columns[0] if group.startswith("predicting ") else group
    else:
        yield finding.columns[0]


def _gravity(place: str, cells: dict[str, str]) -> tuple[int, ...]:
    """Sorts rows: missing columns, then by the number of failures, intersections last of equals."""
    fails, warns, dark = (
        -sum(each == verdict for each in cells.values()) for verdict in VERDICTS[:3]
    )
    return (cells.get("presence") != "fail", fails, " & " in place, warns, dark)


def _kinds(rows: dict[str, dict[str, str]]) -> list[str]:
    return [kind for kind in KINDS if any(kind in cells for cells in rows.values())]


def _matrix(ax: Axes, rows: dict[str, dict[str, str]], more: int, least: int) -> None:
    kinds = _kinds(rows)
    for y, cells in enumerate(rows.values()):
        for x, kind in enumerate(kinds):
            if kind not in cells:
                continue
            fill, ink = LOOKS[cells[kind]]
            ax.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, color=fill, lw=0))
            ax.text(x, y, SYMBOLS[cells[kind]], color=ink, ha="center", va="center", size=9)
    ax.set_xlim(-0.5, max(len(kinds), 1) - 0.5)
    if more:
        ax.text(-0.5, len(rows), f"and {more} more; none fails more checks", va="center", size=8)
    ax.set_ylim(max(len(rows) + bool(more), least, 1) - 0.5, -0.5)
    ax.set_xticks(range(len(kinds)), [KINDS[kind] for kind in kinds])
    ax.tick_params(length=0, labelsize=8)
    ax.tick_params(axis="x", labeltop=True, labelbottom=False, labelrotation=55)
    for label in ax.get_xticklabels():
        label.set(ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), [shortened(place, 26) for place in rows], parse_math=False)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_title("Where: the most serious verdict of each check", size=10)


# --- how much -----------------------------------------------------------------------------------


def gravest(findings: Sequence[Finding]) -> list[Finding]:
    """The gravest measured findings, dealt out evenly among the families.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> len(gravest([found] * 9))
    2
    """
    queues = []
    for family in FAMILIES:
        own = [f for f in findings if f.family == family and f.margin and f.estimate is not None]
        own.sort(key=lambda f: (VERDICTS.index(f.verdict), -f.effect))
        seen: Counter[str] = Counter()
        kept = []
        for finding in own:
            seen[finding.metric] += 1
            if seen[finding.metric] <= TWICE:
                kept.append(finding)
        queues.append(kept)
    dealt = [
        (VERDICTS.index(finding.verdict), turn, finding)
        for queue in queues
        for turn, finding in enumerate(queue)
    ]
    dealt.sort(key=lambda each: each[:2])
    chosen = [finding for *_, finding in dealt[:GRAVEST]]
    return sorted(chosen, key=lambda f: (VERDICTS.index(f.verdict), -f.effect))


def in_margins(finding: Finding) -> tuple[float, float]:
    """The finding's interval as distances from the expected value, in margins; 0 if it holds it.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> [round(end, 2) for end in in_margins(found)]
    [1.4, 2.6]
    """
    if finding.estimate is None or not finding.margin:
        return 0.0, 0.0
    # The interval of a size is of its true value, without chance's part: see `Finding.distance`.
    null = 0.0 if finding.magnitude else finding.null or 0.0
    sign = 1 if finding.estimate >= null else -1
    ends = [
        sign * ((finding.estimate if end is None else end) - null) / finding.margin
        for end in (finding.low, finding.high)
    ]
    return max(min(ends), 0.0), max(*ends, 0.0)


def _forest(ax: Axes, findings: Sequence[Finding]) -> None:
    for y, finding in enumerate(findings):
        ink = INKS[finding.verdict]
        ax.plot(in_margins(finding), [y, y], color=ink, lw=1.6, ls="-", solid_capstyle="butt")
        ax.plot(finding.effect, y, MARKERS[finding.verdict], color=ink, ms=7, mec="white", mew=0.8)
        if finding.detectable is not None and finding.margin:
            ax.plot(finding.detectable / finding.margin, y, "|", color="#444444", ms=9, mew=1.2)
    ax.axvline(1, color="#222222", lw=1.0, ls="--", zorder=0)
    far = max((max(f.effect, in_margins(f)[1]) for f in findings), default=1.0)
    if far > 6:
        # Even up to where it matters, by tens beyond.
        ax.set_xscale("symlog", linthresh=1)
        ticks = [0, 1, *(10**k for k in range(1, 7) if 10**k < 2 * far)]
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
        ax.set_xlim(0, far * 1.6)
    else:
        ax.set_xlim(0, max(far * 1.08, 1.5))
    ax.set_ylim(max(len(findings), 1) - 0.5, -0.5)
    names = [
        f"{about_metric(f.metric)['title'].split(':')[0]}\n{shortened(f.slice, 32)}"
        for f in findings
    ]
    ax.set_yticks(range(len(findings)), names, parse_math=False)
    ax.tick_params(labelsize=7.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.set_xlabel("times the effect that matters; | the least it would have found", size=8)
    ax.xaxis.set_label_coords(1.0, -0.06)
    ax.xaxis.label.set(ha="right")
    ax.set_title("How much: the most serious of each family", size=10, loc="right")
    if not findings:
        ax.text(0.5, 0.5, "nothing was measured", transform=ax.transAxes, ha="center")


def _legend(fig: Figure, counts: dict[str, int]) -> None:
    handles = [
        Line2D([], [], ls="", marker=MARKERS[v], color=INKS[v], ms=7, label=f"{SYMBOLS[v]} {n} {v}")
        for v, n in counts.items()
    ]
    row = {"ncols": len(handles), "columnspacing": 1.3, "handletextpad": 0.1}
    fig.legend(handles=handles, loc="outside upper left", fontsize=9, **row)


def shortened(name: str, most: int) -> str:
    """A name of at most `most` characters on one line, cut in the middle, where names differ least.

    >>> shortened("a very long name of a column", 16)
    'a very lon…olumn'
    """
    name = " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())
    if len(name) > most and " & " in name:  # an intersection: its levels say most
        name = " & ".join(part.split(" = ", 1)[-1] for part in name.split(" & "))
    if len(name) <= most:
        return name
    end = most // 3
    return f"{name[: most - end - 1]}…{name[-end:]}"


# --- in words -----------------------------------------------------------------------------------


def _told(report: Findings, rows: dict[str, dict[str, str]], worst: Sequence[Finding]) -> str:
    counts = ", ".join(f"{number} {verdict}" for verdict, number in report.counts.items())
    number = len(report.findings)
    told = f"An audit of {number} finding{'s' * (number != 1)}: {counts}."
    for verdict, verb in (("fail", "fail"), ("warn", "warn")):
        where = [
            f"{shortened(place, 40)} in {_joined([KINDS[k] for k in KINDS if cells.get(k) == verdict])}"
            for place, cells in rows.items()
            if verdict in cells.values()
        ]
        if where:
            more = f"; and {len(where) - 8} more" if len(where) > 8 else ""
            told += f" Checks {verb} for: {'; '.join(where[:8])}{more}."
    harm = [f for f in worst if f.verdict in ("fail", "warn")][:6]
    if harm:
        told += " The most serious effects, in multiples of what matters: " + "; ".join(
            f"{about_metric(f.metric)['title']}, {shortened(f.slice, 40)}: {times(f)}" for f in harm
        )
        return told + "."
    return told + " No finding is a fail or a warn."


def _joined(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
