"""Findings in plain words: what a metric means, and what this one number says."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from course_lib.audit.finding import VERDICTS, Finding

FILE = Path(__file__).with_name("explanations.toml")

# What is checked, in the order in which a reader should look: the name of each `kind` of metric.
KINDS = {
    "presence": "values there",
    "shape": "distribution",
    "variety": "tails and variety",
    "pairs": "pairs",
    "size": "group size",
    "label": "label",
    "proxy": "proxy",
    "utility": "utility",
    "decisions": "decisions",
    "privacy": "privacy",
}
SYMBOLS = {"fail": "✗", "warn": "!", "underpowered": "?", "not testable": "–", "pass": "✓"}
MEANINGS = {
    "fail": "a difference too large for chance, and large enough to matter",
    "warn": "a difference too large for chance, but smaller than what matters",
    "underpowered": "no difference was found, but the interval leaves room for one that matters",
    "not testable": "it needs data that were not given, such as a holdout",
    "pass": "the interval shows that a difference that matters is not there",
}
# What a metric's `null` says where the file has none.
FACT = "None: it is a fact about the tables, and needs no test."
UNKNOWN = {
    "title": "",
    "kind": "shape",
    "measures": "A metric that this version does not know.",
    "formula": "",
    "null": "",
    "read": "",
    "misses": "",
    "act": "",
    "paper": "",
}


@cache
def metrics() -> Mapping[str, Mapping[str, str]]:
    """All explanations, by metric.

    >>> metrics()["mmd"]["title"]
    'Kernel distance of whole rows'
    """
    told = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {metric: {"null": FACT} | words for metric, words in told.items()}


def about_metric(metric: str) -> Mapping[str, str]:
    """A metric's title, kind, unit and texts; stand-ins for one from a newer version's report.

    >>> about_metric("a_new_one")["title"]
    'a new one'
    """
    return metrics().get(metric) or UNKNOWN | {"title": metric.replace("_", " ")}


def paper(metric: str) -> str:
    """Where a metric comes from.

    >>> paper("recall")[:24]
    'Kynkäänniemi et al. 2019'
    """
    return about_metric(metric)["paper"]


def with_unit(value: float | None, metric: str, *, distance: bool = False) -> str:
    """A number of a metric with its unit: 14.3%, +2.1 points, 0.31 sd, 0.532, 1.2 nats.

    Args:
        distance: a margin or a smallest effect: it has no sign, and of two shares it is in points.

    >>> with_unit(0.143, "missing_rate"), with_unit(0.02, "missing_rate", distance=True)
    ('+14.3 points', '2 points')
    """
    if value is None:
        return "–"
    unit = about_metric(metric).get("unit", "plain")
    sign = "+" if unit in ("points", "signed") and not distance and value else ""
    if unit in ("share", "points"):
        value *= 100
        if distance:
            return f"{value:.3g} point" + "s" * (f"{value:.3g}" != "1")
        digits = 1 if abs(value) >= 1 or value == 0 else 2 if abs(value) >= 0.1 else 3
        # What rounds to 0 has no sign, above all no minus.
        sign = sign if round(value, digits) else ""
        return f"{value:{sign}z.{digits}f}" + ("%" if unit == "share" else " points")
    number = f"{value:{sign}z.3g}"
    return number + {"sd": " sd", "nats": " nats"}.get(unit, "")


def interval(finding: Finding) -> str:
    """The finding's 95% interval, or nothing. That of a size is of its true value, without chance's part.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> interval(found)
    '-13.0 points to -7.0 points'
    """
    if finding.low is None or finding.high is None:
        return ""
    told = f"{with_unit(finding.low, finding.metric)} to {with_unit(finding.high, finding.metric)}"
    beyond = finding.magnitude and (finding.estimate or 0.0) > finding.high
    return told + " without what chance adds" * beyond


def chance(p: float) -> str:
    """A p-value as a frequency.

    >>> chance(0.004)
    'about once in 250'
    """
    if p < 1e-9:
        return "less than once in a billion"
    if p > 0.1:
        return f"{p:.0%} of the time"
    return f"about once in {float(f'{1 / p:.2g}'):,.0f}"


def small(p: float) -> str:
    """A p-value to read: what lies below all doubt is only bounded.

    >>> small(1e-20)
    '< 1e-12'
    """
    return f"= {p:.2g}" if p >= 1e-12 else "< 1e-12"


def times(finding: Finding) -> str:
    """The effect in margins, with as many digits as help.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> times(found)
    '2'
    """
    return f"{finding.effect:,.0f}" if finding.effect >= 10 else f"{finding.effect:.2g}"


def explanation(finding: Finding, about: Mapping[str, Any]) -> str:
    """What a finding measures, what it says here, how it comes to its verdict, and its source.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> explanation(found, {"level": 0.05}).splitlines()[0]
    'sex = f · Label rate of the group · fail'
    """
    words = about_metric(finding.metric)
    general = {
        "What it measures": f"{words['measures']} {words['read']}",
        **specifics(finding, about),
        "What it misses": " ".join(filter(None, (words["misses"], sentence(finding.caveat)))),
        "Source": words["paper"],
    }
    head = f"{finding.slice} · {words['title']} · {finding.verdict}"
    paragraphs = [heading(name) + " " + text for name, text in general.items() if text]
    return "\n\n".join(filter(None, [head, sentence(finding.method), *paragraphs]))


def heading(name: str) -> str:
    """A paragraph's heading with the mark that ends it.

    >>> heading("Source"), heading("Could it be chance?")
    ('Source.', 'Could it be chance?')
    """
    return name if name.endswith("?") else f"{name}."


def specifics(finding: Finding, about: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers of one finding say, in sentences by heading.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> specifics(found, {"level": 0.05})["What to do"][:27]
    'See whether the other group'
    """
    parts = {"What was found": _found(finding)}
    if finding.margin is not None:
        parts["Could it be chance?"] = _chance(finding)
        parts["Would an effect that matters have been seen?"] = _power(finding)
    parts["Verdict"] = _verdict(finding, float(about.get("level", 0.05)))
    parts["What to do"] = _act(finding)
    return {name: text for name, text in parts.items() if text}


def _found(finding: Finding) -> str:
    if finding.margin is None:
        return ""
    if finding.estimate is None:
        return "Nothing could be measured: too few rows."

    def number(value: float | None) -> str:
        return with_unit(value, finding.metric)

    told = f"The estimate is {number(finding.estimate)}"
    told += f" (95% interval {interval(finding)})" if interval(finding) else ""
    told += f", from {finding.n:,} rows on the smaller side."
    if finding.null is not None:
        told += f" Two samples of one distribution would give about {number(finding.null)}"
        told += f"; the real holdout gives {number(finding.reference)}" * (
            finding.reference is not None
        )
        told += "."
    return told


def _chance(finding: Finding) -> str:
    if finding.estimate is None:
        return ""
    if finding.p is None:
        return "No exact test is known for this measure, so the interval decides."
    told = (
        "If both sides have the same distribution, a result this extreme would come "
        f"{chance(finding.p)} (p {small(finding.p)})."
    )
    if finding.q is not None:
        told += f" Corrected for the other tests of its family, q {small(finding.q)}: "
        told += (
            f"among findings as clear as this one, {_share(finding.q)} may be false alarms."
            if finding.q < 0.5
            else "no sign of more than chance."
        )
    return told


def _share(q: float) -> str:
    return f"about {q:.0%}" if q >= 0.01 else "fewer than one in a hundred"


def _power(finding: Finding) -> str:
    if finding.detectable is None or finding.margin is None:
        return "It is not known what effect could have been found here."
    least, margin = (
        with_unit(value, finding.metric, distance=True)
        for value in (finding.detectable, finding.margin)
    )
    seen = finding.detectable <= finding.margin
    return (
        f"{'Yes' if seen else 'Not reliably'}: an effect of {least} would have been found in four of "
        f"five cases, and {margin} from the expected value is where it begins to matter."
    )


def _verdict(finding: Finding, level: float) -> str:
    if finding.margin is None and finding.verdict == "underpowered":
        return (
            "Underpowered: the audit has no measure for this column, so it says nothing about it."
        )
    if finding.verdict == "not testable":
        return "Not testable: it needs data that were not given, so nobody knows."
    if finding.margin is None:
        return f"{finding.verdict.capitalize()}: a fact about the tables, which needs no test."
    if finding.estimate is None:
        return "Underpowered: there is no number to judge."
    far = f"{times(finding)} times the margin"
    if finding.q is None:
        return {
            "fail": f"Fail: the whole interval is beyond the margin around the expected value ({far}).",
            "pass": "Pass: the whole interval is within the margin around the expected value.",
        }.get(
            finding.verdict,
            "Underpowered: the interval reaches across the margin, so nobody can say whether the "
            "difference matters.",
        )
    return {
        "fail": f"Fail: it is too large for chance (q below {level:g}), and at {far} large enough to "
        "matter.",
        "warn": f"Warn: it is too large for chance (q below {level:g}), but at {far} smaller than "
        "what matters.",
        "pass": "Pass: the whole 95% interval is within the margin, so a difference that matters is not "
        "there.",
    }.get(
        finding.verdict,
        "Underpowered: no sign of a difference, but the interval reaches beyond the margin, so one that "
        "matters may be there.",
    )


def _act(finding: Finding) -> str:
    if finding.verdict in ("fail", "warn") or (
        finding.margin is None and finding.verdict != "pass"
    ):
        return about_metric(finding.metric)["act"]
    if finding.verdict == "pass":
        return ""
    told = "Do not read this as a pass. More rows, or fewer findings, would decide it."
    # Errors shrink with the root of the rows, except where models are drawn, not rows.
    trained = about_metric(finding.metric)["kind"] in ("utility", "decisions")
    if finding.detectable and finding.margin and not trained:
        more = (finding.detectable / finding.margin) ** 2
        if more > 1:
            told += f" Roughly {more:,.1f} times as many rows, real and synthetic, would be enough."
    return told


def sentence(text: str) -> str:
    """A phrase as a sentence; a symbol at its start stays as it is.

    >>> sentence("rounded alike")
    'Rounded alike.'
    """
    if not text:
        return ""
    start = text[0].upper() if text[1:2].islower() else text[0]
    return start + text[1:] + "." * (text[-1] not in ".?!")


def summary(counts: Mapping[str, int]) -> str:
    """A report's verdict in a sentence or two, from the number of findings with each verdict.

    >>> summary({"fail": 0, "warn": 0, "underpowered": 0, "not testable": 0, "pass": 9})
    'No difference that matters was found in 9 findings.'
    """
    total = sum(counts.values())
    fail, warn, dark, untested, _ = (counts.get(verdict, 0) for verdict in VERDICTS)
    if fail:
        told = (
            f"The synthetic data differ from the real data in ways that matter: {fail} of "
            f"{total} finding{'s' * (total != 1)} fail{'s' * (fail == 1)}."
        )
    elif warn:
        told = (
            f"The synthetic data differ from the real data, but by less than matters: {warn} of {total} "
            f"findings warn{'s' * (warn == 1)}, and none fails."
        )
    else:
        told = f"No difference that matters was found in {total} finding{'s' * (total != 1)}."
    if dark:
        told += (
            f" {dark} could not be decided: the rows are too few to see a difference that matters, or a "
            "column cannot be compared."
        )
    if untested:
        told += f" {untested} are not testable without a holdout that the generator has not seen."
    return told
