"""The data card of a synthetic table and what may be said of it, on one page to print and sign."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from course_lib import __version__
from course_lib.audit.explain import SYMBOLS
from course_lib.audit.finding import FAMILIES, VERDICTS, Findings
from course_lib.audit.policy import Gate
from course_lib.audit.schema import AuditError, listed
from course_lib.files import page_templates, write_whole

BLANK = "____"
# What no program can know. A person writes it; until then the card says that it is missing.
WORDS = {
    "purpose": "Purpose: for whom, and what a wrong decision costs",
    "source": "The real rows: where from, who is in them, who is missing",
    "choice": "Why this generator, and what was done about what failed",
    "may": "What may be done with the table, and said of it",
    "may not": "What may not",
    "answers": "Who answers for it, and until when it holds",
}
CLAIMS = {1: "supported", 0: "undecided", -1: "refuted"}
STATED = 4  # reasons why a policy stops the rows

_templates = page_templates(Path(__file__).parent)


def card_blanks(words: dict[str, str], wanted: list[str]) -> list[str]:
    """The wanted entries that nobody has filled in, in their order.

    An entry is blank if it is missing, has nothing but white space, or still holds "____".

    >>> wanted = ["purpose", "source", "choice", "may", "may not", "answers"]
    >>> card_blanks({"purpose": "Practice.", "source": " ", "choice": "It ____."}, wanted)
    ['source', 'choice', 'may', 'may not', 'answers']
    """
    blank = []
    for name in wanted:
        text = words.get(name, "").strip()
        if not text or "____" in text:
            blank.append(name)
    return blank


@dataclass(frozen=True)
class DataCard:
    """One page about a synthetic table: facts of the run, what a person wrote, and claims.

    Attributes:
        facts: pairs of a name and a value, from the run.
        counts: family to verdict to how many findings have it.
        gate: the policy, and what it says of the audit.
        claims: pairs of a sentence and "supported", "undecided" or "refuted".
        words: the entries of `WORDS`, each a text or `BLANK`.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    counts: Mapping[str, Mapping[str, int]]
    gate: Gate
    claims: tuple[tuple[str, str], ...]
    words: Mapping[str, str]

    @property
    def blanks(self) -> list[str]:
        """The entries that a person has still to fill in."""
        return card_blanks(dict(self.words), list(WORDS))

    def __str__(self) -> str:
        passed = f"{'passes' if self.gate else 'does not pass'} the policy {self.gate.policy.name}"
        blanks = f"still blank: {', '.join(self.blanks)}" if self.blanks else "complete"
        return f"{self.title}: {passed}; the card is {blanks}"

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The page, which needs no network and prints on A4; into a file if a path is given."""
        text = _templates.get_template("card_page.html").render(
            title=self.title, body=Markup(self._repr_html_())
        )
        if path is not None:
            write_whole(path, text)
        return text

    def _repr_html_(self) -> str:
        return _templates.get_template("card.html").render(
            card=self,
            asked=WORDS,
            symbols=SYMBOLS,
            verdicts=[v for v in VERDICTS if any(row[v] for row in self.counts.values())],
            stated=STATED,
            version=__version__,
        )


def data_card(
    report: Findings,
    gate: Gate,
    made: pd.DataFrame,
    *,
    title: str,
    generator: str,
    words: Mapping[str, str],
    claims: Mapping[str, int] | None = None,
) -> DataCard:
    """A card of the synthetic table `made`, from its audit and what a policy says of that.

    Args:
        report, gate: `audit(...)`, and its `gate(policy)`.
        generator: which one, with its seed and what was done to its rows.
        words: entries of `WORDS`; what is left out is blank.
        claims: from a sentence to 1 (supported), 0 (undecided) or -1 (refuted).

    Raises:
        AuditError: `words` has an entry that the card lacks, or a claim has another number.

    >>> from course_lib.audit import Policy
    >>> from course_lib.audit.policy import gate as held_to
    >>> report = Findings((), None, (), {"rows": {"train": 10}})
    >>> table = pd.DataFrame({"x": [1, 2]})
    >>> card = data_card(report, held_to(report, Policy("mine")), table, title="T", generator="g", words={})
    >>> len(card.blanks), card.facts[0]
    (6, ('Generator', 'g'))
    """
    if wrong := sorted(set(words) - set(WORDS)):
        raise AuditError(f"The card has no '{wrong[0]}'; it has {listed(list(WORDS))}.")
    claims = claims or {}
    if any(verdict not in CLAIMS for verdict in claims.values()):
        raise AuditError(
            "A claim is 1 if it is supported, 0 if it is undecided, -1 if it is refuted."
        )
    about = report.about
    policy = json.dumps(asdict(gate.policy), sort_keys=True)
    label = (
        f"{about.get('label') or 'none'}; groups: {', '.join(about.get('sensitive') or ['none'])}"
    )
    facts = {
        "Generator": generator,
        "Synthetic rows": f"{len(made):,}, of {made.shape[1]} columns: {listed(list(map(str, made)), 12)}",
        "Real rows": ", ".join(
            f"{rows:,} {part}"
            for part, rows in (about.get("rows") or {}).items()
            if part != "synthetic"
        ),
        "Label": label,
        "Audit": f"seed {about.get('seed', 0)}, level {about.get('level', 0.05)}",
        "SHA-256 of the table as CSV": _hash(made.to_csv(index=False, lineterminator="\n")),
        "SHA-256 of the policy": _hash(policy),
    }
    counts = {
        family: {v: sum(f.family == family and f.verdict == v for f in report) for v in VERDICTS}
        for family in FAMILIES
    }
    return DataCard(
        title,
        tuple(facts.items()),
        counts,
        gate,
        tuple((sentence, CLAIMS[int(verdict)]) for sentence, verdict in claims.items()),
        {name: str(words.get(name, BLANK)).strip() or BLANK for name in WORDS},
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
