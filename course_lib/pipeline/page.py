"""A page of the runs: one file, no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from course_lib.files import page_templates
from course_lib.pipeline.journal import Entry
from course_lib.pipeline.settings import PipelineSettings


def runs_page(
    settings: PipelineSettings,
    events: Sequence[Entry],
    in_force: Sequence[str],
    ledger: Mapping[str, float],
) -> str:
    """The HTML page of a pipeline: what is current, each day and why, and the privacy budget."""
    rows = [
        {
            **event,
            "state": "withdrawn"
            if event["event"] == "published" and event["day"] not in in_force
            else event["event"],
            # 0 to 1: how near the evidence came to the limit, by the number of its digits
            "near": _nearness(event.get("evidence", 0.0), settings.limit),
        }
        for event in reversed(events)
    ]
    template = page_templates(Path(__file__).parent).get_template("page.html")
    return template.render(
        settings=settings,
        rows=rows,
        current=in_force[-1] if in_force else "",
        spent=sum(ledger.values()),
        releases=len(ledger),
        counts={
            state: sum(row["state"] == state for row in rows)
            for state in ("published", "quarantined", "withdrawn")
        },
    )


def _nearness(evidence: float, limit: float) -> float:
    from math import log

    return min(1.0, max(0.0, log(max(evidence, 1.0)) / log(limit))) if limit > 1 else 1.0
