"""A report as one HTML file: no network, readable by eye, by ear, on paper and on a phone.

Its one script only looks for findings and orders them; the page forbids any other.
"""

import base64
import hashlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from course_lib import __version__
from course_lib.audit.causes import SHOWN, Cause, causes
from course_lib.audit.drawings import (
    column_picture,
    drawn_first,
    ends,
    joint_pictures,
    matrices,
    reliability_picture,
)
from course_lib.audit.explain import (
    MEANINGS,
    SYMBOLS,
    about_metric,
    heading,
    interval,
    sentence,
    small,
    specifics,
    summary,
    times,
    with_unit,
)
from course_lib.audit.figure import draw_findings, gravest, shortened
from course_lib.audit.finding import VERDICTS, Finding, Findings
from course_lib.audit.policy import UNDECIDED, Gate, Policy, gate, policies
from course_lib.audit.schema import KINDS
from course_lib.files import page_templates
from course_lib.plots import image_html

QUESTIONS = {
    "structure": "Are the same columns there, and can they be read?",
    "fidelity": "Do the synthetic rows look like real ones?",
    "utility": "Do models learn from them what they should?",
    "bias": "Are all groups there, and treated as in the real data?",
    "privacy": "Do they reveal people in the training data?",
}

LISTED = 200  # rows of a table of findings
DRAWN = 60  # columns
SHORT = 240  # characters of a headline

SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")

_templates = page_templates(Path(__file__).parent)


def page(report: Findings, policy: Policy | None = None) -> str:
    """The report as HTML: verdict, picture, all findings with what they mean, schema, how to read.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> report = Findings((found,), None, (), {})
    >>> page(report).lower().startswith("<!doctype html>")
    True
    """
    figure, alt = draw_findings(report)
    held_to = {**policies(), **({policy.name: policy} if policy else {})}
    answers = [gate(report, each) for each in held_to.values()]
    measured = {finding.metric for finding in report.findings}
    return _templates.get_template("page.html").render(
        report=report,
        summary=summary(report.counts),
        picture=Markup(image_html(_png(figure), alt)),
        alt=alt,
        families=_families(report),
        found=_headlines(report),
        title=lambda finding: about_metric(finding.metric)["title"],
        beside=_beside,
        short=SHORT,
        drawn=drawn_first(report.profiles, report.findings)[:DRAWN],
        column_picture=column_picture,
        shortened=shortened,
        ends=ends,
        joint_pictures=joint_pictures,
        curves=reliability_picture(report.reliability) if report.reliability else None,
        script=Markup(SCRIPT),
        script_hash=base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode(),
        matrices=matrices(report.associations) if report.associations else [],
        gates=[(each, _stops(report, each)) for each in answers],
        metrics={name: about_metric(name) for name in sorted(measured)},
        kinds=KINDS,
        symbols=SYMBOLS,
        meanings=MEANINGS,
        slug=_slug,
        small=small,
        heading=heading,
        sentence=sentence,
        level=float(report.about.get("level", 0.05)),
        version=__version__,
    )


def snippet(report: Findings, most: int = 8) -> str:
    """A few lines of HTML for a notebook, in the colours of its theme.

    >>> found = Finding("bias", "label_rate", "sex = f", -0.1, -0.13, -0.07, margin=0.05, verdict="fail")
    >>> report = Findings((found,), None, (), {})
    >>> "1 fail" in snippet(report)
    True
    """
    facts = [f for f in report.findings if f.margin is None]
    worst = [f for f in facts + gravest(report.findings) if f.verdict in ("fail", "warn")]
    return _templates.get_template("snippet.html").render(
        report=report,
        summary=summary(report.counts),
        symbols=SYMBOLS,
        worst=[_row(finding, report) for finding in worst[:most]],
        shortened=shortened,
    )


def _png(figure: Figure) -> bytes:
    """Sharp on a fine screen, and small: a picture of flat colours needs few of them."""
    full, packed = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        # Scripts that no font here has become boxes; the page names all columns in text.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(full, format="png", dpi=160)
    Image.open(full).convert("RGB").quantize(200, dither=Image.Dither.NONE).save(
        packed, format="png", optimize=True
    )
    return packed.getvalue()


def _families(report: Findings) -> list[dict[str, Any]]:
    """What the template shows of each family that has findings."""
    shown = []
    for family in report.families:
        own = [finding for finding in report.findings if finding.family == family]
        if not own:
            continue
        passed = [finding for finding in own if finding.verdict == "pass"]
        dark = [finding for finding in own if finding.verdict in UNDECIDED]
        grave = [finding for finding in own if finding.verdict in ("fail", "warn")]
        shown.append(
            {
                "name": family,
                "question": QUESTIONS[family],
                "counts": _counts(own),
                "grave": [_row(finding, report) for finding in grave[:LISTED]],
                "dark": [_row(finding, report) for finding in dark[:LISTED]],
                "passed": [_row(finding, report) for finding in passed[:LISTED]],
                "more_grave": max(len(grave) - LISTED, 0),
                "more_dark": max(len(dark) - LISTED, 0),
                "more_passed": max(len(passed) - LISTED, 0),
            }
        )
    return shown


def _headlines(report: Findings) -> list[tuple[str, list[Cause], int]]:
    """Of each family that has any, the causes that are told, and how many there are besides."""
    found = causes(report.findings)
    told = [(name, [c for c in found if c.headline.family == name]) for name in report.families]
    return [(name, own[:SHOWN], max(len(own) - SHOWN, 0)) for name, own in told if own]


def _beside(cause: Cause) -> str:
    """How much it is, and how many findings come with it."""
    head, others = cause.headline, len(cause.others)
    told = []
    if head.margin and head.estimate is not None:
        told.append(f"{times(head)} times what matters")
    if others:
        told.append(f"{others:,} more come{'s' * (others == 1)} with it")
    return "; ".join(told)


def _stops(report: Findings, answer: Gate) -> list[str]:
    """Why a policy stops the rows: what the audit lacked, then a line for each family."""
    stopped = [finding for finding in report.findings if finding.id in {*answer.stopped_by}]
    lines = list(answer.reasons[: len(answer.reasons) - len(answer.stopped_by)])
    for family in report.families:
        own = [finding for finding in stopped if finding.family == family]
        grave = [finding for finding in own if finding.verdict not in UNDECIDED]
        parts = []
        if grave:
            more = f" and {len(grave) - 1:,} more" if len(grave) > 1 else ""
            parts.append(f"{causes(grave)[0].headline.id}{more}")
        if undecided := len(own) - len(grave):
            parts.append(f"{undecided:,} could not be decided")
        if parts:
            lines.append(f"{family}: {'; '.join(parts)}")
    return lines


def _slug(verdict: str) -> str:
    """A verdict as a class and an id of the page."""
    return verdict.replace(" ", "-")


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    return {v: sum(finding.verdict == v for finding in findings) for v in VERDICTS}


def _row(finding: Finding, report: Findings) -> dict[str, object]:
    return {
        "finding": finding,
        "title": about_metric(finding.metric)["title"],
        "estimate": with_unit(finding.estimate, finding.metric),
        "interval": interval(finding),
        "null": with_unit(finding.null, finding.metric),
        "reference": with_unit(finding.reference, finding.metric),
        "margin": with_unit(finding.margin, finding.metric, distance=True),
        "detectable": with_unit(finding.detectable, finding.metric, distance=True),
        "times": times(finding) if finding.margin and finding.estimate is not None else "–",
        "words": specifics(finding, report.about),
    }
