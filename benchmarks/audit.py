"""The audit of the audit: what it says of data without a fault, and what it finds where one is.

Run in the course's environment; each part writes its figures into results/audit.json:

    python benchmarks/audit.py null      # 200 audits of rows of the same distribution as the real ones
    python benchmarks/audit.py power     # 50 audits of each planted fault: is it found, and named?
    python benchmarks/audit.py curves    # fainter and stronger faults, beside SDMetrics' quality report
    python benchmarks/audit.py shapes    # audits of rows of one distribution: seven shapes, three sizes
    python benchmarks/audit.py leaks     # 50 tables with each planted leak, and 50 without one
    python benchmarks/audit.py real      # six real tables, and four tables made of each

The tables of `null` and `curves` are draws of the loan simulator: 2,000 training, 1,000 holdout and 2,000
synthetic rows; those of the others stand in audit_faults.py, audit_shapes.py, audit_leaks.py and
audit_real.py. A run that was stopped goes on where it stopped; --fresh begins again; --minutes 8
stops it; --draws 10 asks for fewer.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from itertools import chain, product
from pathlib import Path

import numpy as np
import pandas as pd
from audit_faults import FAULTS, LEVEL, ROWS, Table, seen, tables
from audit_leaks import LEAKS, leak_found
from audit_peers import ask
from audit_real import CANDIDATES, TABLES, failures_of, is_right
from audit_shapes import SHAPES, drawn
from scipy import stats

from course_lib.audit import audit

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
PARTIAL = ROOT / "build" / "audit_benchmark"
LEAK_ROWS = 500  # of training, holdout and synthetic rows each
DRAWS = {"null": 200, "power": 50, "curves": 8, "leaks": 50, "real": 3}
SIZES = {300: 20, 3000: 6, 30_000: 2}  # rows of either side of a shape, and draws of each shape
FALSE_ALARMS, FOUND = 0.07, 0.95  # the bars
ALARMS = 0.05  # of the reports on shapes of one size, with any fail or warning
CLEAN = 40  # clean tables that tell how far SDMetrics' score varies by itself
SEEDS = {"null": 10_000, "power": 20_000, "curves": 30_000, "clean": 40_000, "shapes": 50_000}
SEEDS["leaks"] = 61_000


def audited(seed: int, parts: tuple[Table, Table, Table]) -> dict[str, list[float]]:
    """p and q of every finding that has them, by id."""
    report = audit(
        *parts, label="approved", sensitive=["sex", "ethnicity"], progress=False, seed=seed
    )
    return {f.id: [f.p, f.q] for f in report if f.p is not None}


def faultless(seed: int) -> dict[str, list[float]]:
    return audited(seed, tables(seed))


class Partial:
    """Finished draws, one line of JSON each, so that a stopped run loses nothing."""

    def __init__(self, part: str, fresh: bool, minutes: float = np.inf):
        self.until = time.monotonic() + 60 * minutes
        PARTIAL.mkdir(parents=True, exist_ok=True)
        self.file = PARTIAL / f"{part}.jsonl"
        if fresh:
            self.file.unlink(missing_ok=True)
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        self.done = {tuple(key): value for key, value in map(json.loads, lines)}

    def __call__(self, key: tuple, work: Callable, *args):
        if key not in self.done:
            if time.monotonic() > self.until:
                sys.exit(f"The time is over, at {key}: call it again to go on.")
            self.done[key] = work(*args)
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, self.done[key]]) + "\n")
        return self.done[key]


def null(partial: Partial) -> dict:
    """How often an audit of faultless data finds something, and each metric by itself."""
    seeds = range(SEEDS["null"], SEEDS["null"] + DRAWS["null"])
    draws = [partial(("null", seed), faultless, seed) for seed in seeds]
    alarms = [sorted(name for name, (_, q) in draw.items() if q < LEVEL) for draw in draws]
    p_of = defaultdict(list)
    for draw in draws:
        for name, (p, _) in draw.items():
            p_of[name.split("[")[0]].append(p)
    share = np.mean([bool(found) for found in alarms])
    return {
        "draws": len(draws),
        "findings_with_p": round(float(np.mean([len(draw) for draw in draws])), 1),
        "audits_with_a_false_alarm": share_and_interval(sum(map(bool, alarms)), len(alarms)),
        "bar": f"<= {FALSE_ALARMS:g}: {'met' if share <= FALSE_ALARMS else 'MISSED'}",
        "false_alarms": dict(pd.Series(list(chain(*alarms))).value_counts().astype(object)),
        "metrics": {
            name: {
                "tests": len(p),
                **{f"p_below_{a:g}": round(float(np.mean(np.less(p, a))), 4) for a in (0.05, 0.01)},
            }
            for name, p in sorted(p_of.items())
        },
    }


def caught(fault: str, strength: float, seed: int) -> tuple[list[str], list[str], bool]:
    """Of an audit of damaged rows: the right findings, which are headlines, whether one comes first."""
    card = FAULTS[fault]
    return tuple(seen(card, card.report(strength, seed)))


def power(partial: Partial) -> dict:
    """How often each fault is found and named at its usual strength."""
    rows = {}
    seeds = range(SEEDS["power"], SEEDS["power"] + DRAWS["power"])
    for seed, (fault, card) in product(seeds, FAULTS.items()):
        partial((fault, seed), caught, fault, card.usual, seed)
    for fault, card in FAULTS.items():
        each = [partial((fault, seed), caught, fault, card.usual, seed) for seed in seeds]
        found, named, first = (sum(map(bool, column)) for column in zip(*each, strict=True))
        by = pd.Series(list(chain(*(draw[1] for draw in each)))).value_counts() / len(each)
        rows[fault] = {
            "strength": card.usual,
            "strength_is": card.axis,
            "right_findings": card.right,
            "found": share_and_interval(found, len(each)),
            "named": share_and_interval(named, len(each)),
            "named_first": share_and_interval(first, len(each)),
            "bar": f">= {FOUND:g}: {'met' if named >= FOUND * len(each) else 'MISSED'}",
            "named_by": {name: round(float(value), 2) for name, value in by.head(6).items()},
        }
        print(fault, rows[fault]["found"], rows[fault]["named"], flush=True)
    return rows


def curves(partial: Partial) -> dict:
    """The same over five strengths, beside a change of SDMetrics' quality score."""
    seeds = range(SEEDS["curves"], SEEDS["curves"] + DRAWS["curves"])
    faults = {name: card for name, card in FAULTS.items() if card.strengths}
    cases = [(f, x, s) for f, card in faults.items() for x in card.strengths for s in seeds]
    ours = {case: partial(case, caught, *case)[0] for case in cases}
    clean = [("clean", 0, s) for s in range(SEEDS["clean"], SEEDS["clean"] + CLEAN)]
    theirs = quality([case for case in (*clean, *cases) if ("quality", *case) not in partial.done])
    for case, score in theirs.items():
        partial(("quality", *case), float, score)
    score = {case: partial.done[("quality", *case)] for case in (*clean, *cases)}
    usual = np.array([score[case] for case in clean])
    rows = {}
    for fault, card in faults.items():
        at = [[(fault, x, s) for s in seeds] for x in card.strengths]
        z = [[(score[k] - usual.mean()) / usual.std(ddof=1) for k in same] for same in at]
        rows[fault] = {
            "strength_is": card.axis,
            "strengths": card.strengths,
            "found_by_audit": [float(np.mean([bool(ours[k]) for k in same])) for same in at],
            "moved_sdmetrics": [float(np.mean(np.abs(each) > 1.96)) for each in z],
            "sdmetrics_mean_z": [round(float(np.mean(each)), 2) for each in z],
        }
    draw_curves(rows)
    return {
        "draws": DRAWS["curves"],
        "clean_quality_score": {
            "draws": CLEAN,
            "mean": round(float(usual.mean()), 4),
            "sd": round(float(usual.std(ddof=1)), 5),
        },
        "faults": rows,
    }


def alarms(shape: str, n: int, seed: int) -> list[str]:
    """The failures and warnings of one draw of a shape against another, without a holdout."""
    report = audit(
        drawn(shape, n, seed, 0), None, drawn(shape, n, seed, 1),
        label="approved", sensitive=["sex"], progress=False, seed=seed,
    )  # fmt: skip
    return [f"{f.verdict} {f.id}" for f in report if f.verdict in ("fail", "warn")]


def shapes(partial: Partial) -> dict:
    """How often an audit of one distribution ends with any failure or warning, by size and shape."""
    sizes = {}
    for n, draws in SIZES.items():
        found: dict[str, list[list[str]]] = {}
        for number, shape in enumerate(SHAPES):
            # Seeds of its own: the shapes have columns in common, whose luck would count seven times.
            first = SEEDS["shapes"] + 100 * number
            seeds = range(first, first + draws)
            found[shape] = [partial((shape, n, seed), alarms, shape, n, seed) for seed in seeds]
            print(n, shape, [each for each in found[shape] if each], flush=True)
        each = list(chain(*found.values()))
        raised = sum(map(bool, each))
        sizes[str(n)] = {
            "draws_of_each_shape": draws,
            "reports_with_an_alarm": share_and_interval(raised, len(each)),
            "bar": f"<= {ALARMS:g}: {'met' if raised <= ALARMS * len(each) else 'MISSED'}",
            "of_each_shape": {shape: sum(map(bool, these)) for shape, these in found.items()},
            "alarms": dict(pd.Series(list(chain(*each))).value_counts().astype(object)),
        }
    return {"sizes": sizes}


def leaks(partial: Partial) -> dict:
    """How often the checks of privacy find each planted leak, and anything where there is none."""

    def said(kind: str | None, seed: int) -> list[str]:
        parts = tables(seed, [LEAK_ROWS] * 3)
        return leak_found(kind, tuple(part.drop(columns="default") for part in parts), seed)

    rows = {}
    for kind in (None, *LEAKS):
        seeds = range(SEEDS["leaks"], SEEDS["leaks"] + DRAWS["leaks"])
        each = [partial((kind or "none", seed), said, kind, seed) for seed in seeds]
        hits = sum(map(bool, each))
        ids = [sorted({name.split()[1].split("[")[0] for name in draw}) for draw in each]
        by = pd.Series(list(chain(*ids))).value_counts() / len(each)
        met = hits >= FOUND * len(each) if kind else hits <= ALARMS * len(each)
        rows[kind or "none"] = {
            "strength": LEAKS[kind].strength if kind else "fresh rows",
            "found": share_and_interval(hits, len(each)),
            "bar": f"{'>=' if kind else '<='} {FOUND if kind else ALARMS:g}: {'met' if met else 'MISSED'}",
            "by_metric": {name: round(float(value), 2) for name, value in by.items()},
        }
        print(kind, rows[kind or "none"], flush=True)
    return {"rows": LEAK_ROWS, "leaks": rows}


def real(partial: Partial) -> dict:
    """Whether audits of other real rows, a bootstrap, a copula and independent columns are right."""
    rows: dict[str, dict] = {}
    for name, candidate in product(TABLES, CANDIDATES):
        each = [
            partial((name, candidate, seed), failures_of, name, candidate, seed)
            for seed in range(DRAWS["real"])
        ]
        failed = pd.Series([f"{family} {metric}" for draw in each for family, metric, _ in draw])
        rows.setdefault(name, {})[candidate] = {
            "right": sum(is_right(candidate, draw) for draw in each),
            "failures_of_an_audit": {
                what: round(count / len(each), 1) for what, count in failed.value_counts().items()
            },
        }
        print(name, candidate, rows[name][candidate], flush=True)
    right = sum(row["right"] for row in chain(*(table.values() for table in rows.values())))
    return {
        "verdicts": {candidate: card.verdict for candidate, card in CANDIDATES.items()},
        "right": f"{right} of {DRAWS['real'] * len(TABLES) * len(CANDIDATES)}",
        "tables": rows,
    }


def quality(cases: list[tuple]) -> dict[tuple, float]:
    """SDMetrics' quality score of synthetic against training rows, in an environment of its own."""
    if not cases:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (fault, strength, seed) in enumerate(cases):
            made = tables(seed) if fault == "clean" else FAULTS[fault].made(strength, seed)
            made[0].to_csv(Path(folder, f"{number}_real.csv"), index=False)
            made[2].to_csv(Path(folder, f"{number}_synthetic.csv"), index=False)
        scores = ask("quality", folder)
    return {case: scores[str(number)] for number, case in enumerate(cases)}


def draw_curves(rows: dict) -> None:
    """One panel a fault: share of draws found against its strength."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from course_lib.plots import BLUE, ORANGE

    fig, axes = plt.subplots(3, 4, figsize=(12, 8), sharey=True, layout="constrained")
    for ax, (fault, row) in zip(axes.flat, rows.items(), strict=False):
        at = range(len(row["strengths"]))
        ax.plot(at, row["found_by_audit"], "o-", color=BLUE, label="audit: the right finding")
        ax.plot(at, row["moved_sdmetrics"], "s--", color=ORANGE, label="SDMetrics: |z| > 1.96")
        ax.set(title=fault, xlabel=row["strength_is"], ylim=(-0.05, 1.05))
        ax.set_xticks(at, [f"{x:g}" for x in row["strengths"]])
        ax.axhline(FOUND, color="0.6", lw=0.8, ls=":")
    for ax in axes[:, 0]:
        ax.set_ylabel("share of draws")
    for ax in axes.flat[len(rows) :]:
        ax.axis("off")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    axes.flat[-1].legend(handles, labels, loc="center", frameon=False)
    fig.savefig(RESULTS / "audit_curves.png", dpi=110)
    plt.close(fig)


def share_and_interval(k: int, n: int) -> dict:
    """A share with its exact 95 % interval (Clopper and Pearson)."""
    low, high = stats.binomtest(int(k), n).proportion_ci(method="exact")
    return {"share": k / n, "interval": [round(float(low), 4), round(float(high), 4)]}


def write(part: str, result: dict) -> None:
    """Put one part into results/audit.json, which is replaced as a whole."""
    file = RESULTS / "audit.json"
    report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    report |= {
        "settings": {"rows": ROWS, "level": LEVEL, "draws": DRAWS, "seeds": SEEDS, "data": "loans"},
        part: {
            "date": date.today().isoformat(),
            "versions": {
                "python": platform.python_version(),
                **{
                    name: version(name)
                    for name in ("course-lib", "numpy", "pandas", "scikit-learn")
                },
            },
            **result,
        },
    }
    with tempfile.NamedTemporaryFile("w", dir=RESULTS, delete=False, encoding="utf-8") as new:
        new.write(json.dumps(report, indent=1) + "\n")
    Path(new.name).chmod(0o644)
    Path(new.name).replace(file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {part.__name__: part for part in (null, power, curves, shapes, leaks, real)}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--fresh", action="store_true", help="forget the draws of earlier runs")
    parser.add_argument("--minutes", type=float, default=np.inf, help="stop after that many")
    parser.add_argument("--draws", type=int, help="fewer or more than usual")
    asked = parser.parse_args()
    if asked.draws:
        DRAWS[asked.part] = asked.draws
    result = parts[asked.part](Partial(asked.part, asked.fresh, asked.minutes))
    write(asked.part, result)
    print(json.dumps(result, indent=1))
