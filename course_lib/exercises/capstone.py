"""The exercises of lesson 20: the decisions between a table and a signed statement about it."""

import math
from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

from course_lib.audit.card import card_blanks
from course_lib.audit.choosing import (
    choose_generator,
    claim_verdicts,
    honest_score,
    replace_copies,
    rows_needed,
)
from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.plots import BLUE, GREY, ORANGE

# --- how many rows the policy needs -----------------------------------------------------------------


def _rows_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rate, margin, level=0.05, power=0.8):
        both = np.broadcast_arrays(np.asarray(rate, float), np.asarray(margin, float))
        return {"rate": both[0], "margin": both[1], "level": level, "power": power}

    rates = rng.uniform(0.03, 0.97, 8)
    return {
        "several rates": case(rates, 0.05),
        "several margins": case(rng.uniform(0.2, 0.8), rng.uniform(0.01, 0.2, 8)),
        "a small group": case(rng.uniform(0.001, 0.02, 5), 0.01),
        "another level": case(rates, 0.04, level=float(rng.uniform(0.005, 0.02))),
        "another power": case(rates, 0.04, power=float(rng.uniform(0.9, 0.99))),
    }


def _rows_by_loop(rate, margin, level=0.05, power=0.8):
    normal = NormalDist()
    z = normal.inv_cdf(1 - level / 2) - normal.inv_cdf((1 - power) / 2)
    pairs = zip(rate, margin, strict=True)
    return np.array([math.ceil((p * (1 - p) + p * (1 - p)) * z**2 / m**2) for p, m in pairs])


def _rows_by_error(rate, margin, level=0.05, power=0.8):
    error = margin / (norm.isf(level / 2) + norm.isf((1 - power) / 2))
    return -((-2 * rate * (1 - rate) / error**2) // 1)


def _rows_by_variance(rate, margin, level=0.05, power=0.8):
    z = np.abs(norm.ppf([level / 2, (1 - power) / 2])).sum()
    variance = 2 * (rate - rate**2)
    return np.ceil(np.square(z) * variance / np.square(margin))


def _rows_picture(answer):
    margin = np.linspace(0.01, 0.1, 60)
    fig, ax = plt.subplots(figsize=(4.8, 3))
    for rate, color in ((0.5, BLUE), (0.04, ORANGE)):
        ax.semilogy(margin, answer(np.full(60, rate), margin), color=color, label=f"rate {rate:g}")
    ax.set(xlabel="margin", ylabel="rows needed")
    ax.legend(fontsize=8)
    return fig, (
        "Rows needed against the margin, for the rates 0.5 and 0.04: both curves fall with the square of "
        "the margin, and the rate of one half needs more rows everywhere."
    )


ROWS_NEEDED = Exercise(
    id="capstone.rows_needed",
    title="Rows that a policy needs",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return for each rate and margin the number of rows n in each table, as a whole number rounded "
    "up: n = 2 rate (1 - rate) (z / margin)^2, where z is the sum of two quantiles of the normal "
    "distribution, the one at 1 - level / 2 and the one at (1 + power) / 2.",
    hints=(
        "norm.ppf gives the quantiles: norm.ppf(0.975) is 1.96.",
        "2 rate (1 - rate) is the variance of one row's difference. Round up at the end, with np.ceil.",
    ),
    reference=rows_needed,
    inputs=_rows_cases,
    numpy=True,
    picture=_rows_picture,
    mistakes={
        "Both tables have noise: the variance of a difference is twice that of one rate.": slip(
            "2 * rate *", "rate *"
        ),
        "The chance of passing is not counted: with so few rows a sound table passes by luck only.": slip(
            " + norm.ppf((1 + power) / 2)", ""
        ),
        "The interval has two ends, and noise may push it over either: (1 + power) / 2.": slip(
            "(1 + power) / 2", "power"
        ),
        "The level is shared by two ends: the quantile at 1 - level / 2.": slip(
            "1 - level / 2", "1 - level"
        ),
        "Half the margin takes four times the rows: square it.": slip(" ** 2", ""),
        "The variance of a rate is rate (1 - rate).": slip("rate * (1 - rate)", "rate"),
        "A part of a row is not enough: round up.": slip("np.ceil(", "np.floor("),
        "You subtracted the two quantiles. Add them.": slip(
            "+ norm.ppf((1 + power) / 2)", "- norm.ppf((1 + power) / 2)"
        ),
        "The fraction is turned round: the quantiles stand above, the margin below.": slip(
            "(distance / margin)", "(margin / distance)"
        ),
        "This is the number of rows of both tables together. Return that of each.": returning(
            "2 * np.ceil(2 * rate * (1 - rate) * (distance / margin) ** 2)"
        ),
        "The power is always 0.8 here. Use the argument, of which 0.8 is only the default.": slip(
            "(1 + power) / 2", "(1 + 0.8) / 2"
        ),
        "These are probabilities, and not quantiles: norm.ppf, not norm.cdf.": slip(
            "norm.ppf(1 - level / 2)", "norm.cdf(1 - level / 2)"
        ),
    },
    alternatives=(_rows_by_loop, _rows_by_error, _rows_by_variance),
)

# --- which generator --------------------------------------------------------------------------------


def _choice_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def tables(means, shared, own, draws=6, many=12):
        """`many` tables of scores (generators, draws), the generators in any order of their means."""
        made = []
        for _ in range(many):
            score = rng.permutation(np.asarray(means, float))[:, None]
            score = (
                score + shared * rng.normal(size=draws) + own * rng.normal(size=(len(means), draws))
            )
            made.append(score)
        return {"scores": np.array(made)}

    return {
        "one is clearly best": tables([3, 9, 15], 0.5, 0.5),
        "nobody is better": tables([5, 5, 5, 5], 1.0, 1.0),
        "draws that all share their luck": tables([5, 6.5, 8], 12.0, 0.3),
        "two good ones": tables([4, 4, 20], 0.5, 1.5),
        "few draws": tables([4, 5, 6], 0.2, 1.5, draws=3),
        "many draws": tables([4, 4.3, 9], 0.2, 1.0, draws=40),
    }


def _choice_probe(answer, scores):
    return np.array([float(answer(score)) for score in scores])


def _choice_by_loop(score):
    best = min(range(len(score)), key=lambda g: (score[g].mean(), g))
    for g in range(len(score)):
        d = score[g] - score[best]
        if g == best or np.mean(d) <= np.std(d, ddof=1) / math.sqrt(len(d)):
            return g


def _choice_by_variance(score):
    gaps = score - score[np.argmin(score.sum(axis=1))]
    error = np.sqrt(np.var(gaps, axis=1, ddof=1) / gaps.shape[1])
    return int(np.flatnonzero(np.mean(gaps, axis=1) - error <= 0)[0])


def _choice_by_t(score):
    means = score.mean(axis=1)
    best = score[means == means.min()][0]
    fits = [i for i, own in enumerate(score) if (own - best).sum() <= _spread(own - best)]
    return fits[0]


def _spread(gap):
    n = len(gap)
    return math.sqrt(n * sum((gap - gap.mean()) ** 2) / (n - 1))


def _choice_picture(answer):
    rng = np.random.default_rng(2)
    score = np.array([[9], [4.4], [4]]) + rng.normal(size=8) + 0.9 * rng.normal(size=(3, 8))
    chosen = int(answer(score))
    fig, ax = plt.subplots(figsize=(4.8, 3))
    for g, own in enumerate(score):
        color = ORANGE if g == chosen else BLUE
        ax.plot(np.full(8, g), own, "o", color=color, ls="none", ms=4)
        ax.plot([g - 0.2, g + 0.2], [own.mean()] * 2, color=color)
    ax.set(xticks=range(3), xlabel="generator, the simplest first", ylabel="score, lower is better")
    return fig, (
        "Eight scores of each of three generators. The first is far worse, the second and the third "
        "overlap; the chosen one, in orange, is the second, which is simpler than the third."
    )


CHOOSE = Exercise(
    id="capstone.choose_generator",
    title="Choose by a rule, not by luck",
    points=2,
    minutes=15,
    difficulty=2,
    task="Return the place of the first generator that is not clearly worse than the one with the "
    "lowest mean score. Take the differences of a generator's scores to the best one's, draw by "
    "draw. It is clearly worse if their mean is larger than their standard error (standard "
    "deviation with n - 1, over the root of n).",
    hints=(
        "score - score[best] has the differences of all generators at once, draw by draw.",
        "worse.std(axis=1, ddof=1) / np.sqrt(draws) is the standard error of each mean.",
        "np.argmax of booleans is the place of the first True.",
    ),
    reference=choose_generator,
    inputs=_choice_cases,
    probe=_choice_probe,
    numpy=True,
    picture=_choice_picture,
    mistakes={
        (
            "This takes the lowest mean, whatever its lead. A lead within its error is luck: take the "
            "first that is not clearly worse."
        ): returning("int(best)"),
        "The error of the best one alone holds what all draws share. Take that of the differences.": slip(
            "error = worse.std(axis=1, ddof=1)", "error = score[best].std(ddof=1)"
        ),
        "This is the spread of single draws. A mean of n draws is surer: divide by the root of n.": slip(
            " / np.sqrt(score.shape[1])", ""
        ),
        "Scores are better when they are lower: argmin.": slip("argmin()", "argmax()"),
        "This takes the last generator that will do. The first one is the simplest.": returning(
            "int(np.flatnonzero(worse.mean(axis=1) <= error)[-1])"
        ),
        "One lucky draw decides here. The best generator has the lowest mean over all draws.": slip(
            "score.mean(axis=1).argmin()", "score.min(axis=1).argmin()"
        ),
        "Only the first draw was looked at. Average over all draws.": returning(
            "int(score[:, 0].argmin())"
        ),
        "The standard deviation divides by n - 1: ddof=1.": slip("ddof=1", "ddof=0"),
        "One standard error is asked for, and not two.": slip("<= error", "<= 2 * error"),
        "This takes the first generator that is clearly worse.": slip("<= error", "> error"),
    },
    alternatives=(_choice_by_loop, _choice_by_variance, _choice_by_t),
)

# --- what the best one is worth ---------------------------------------------------------------------


def _honest_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {
        "many tables, two parts": {"score": rng.normal(5, 1, (30, 2))},
        "many tables, five parts": {"score": rng.normal(5, 1, (20, 5))},
        "one table is truly better": {
            "score": rng.normal(5, 0.5, (6, 4)) - 3 * (np.arange(6) == 2)[:, None]
        },
        "parts that differ": {"score": rng.normal(0, 1, (12, 3)) + np.array([2.0, 7, 20])},
        "two tables": {"score": rng.normal(1, 0.2, (2, 6))},
    }


def _honest_by_sum(score):
    total = score.sum(axis=1)
    parts = range(score.shape[1])
    return sum(score[np.argmin(total - score[:, k]), k] for k in parts) / len(parts)


def _honest_at_once(score):
    others = score.sum(axis=1, keepdims=True) - score
    return np.take_along_axis(score, others.argmin(axis=0)[None], axis=0).mean()


def _honest_by_mask(score):
    found = 0.0
    for k in range(score.shape[1]):
        rest = np.arange(score.shape[1]) != k
        chosen = sorted(range(len(score)), key=lambda g: score[g, rest].mean())[0]
        found += score[chosen, k]
    return found / score.shape[1]


def _honest_picture(answer):
    rng = np.random.default_rng(0)
    tried = [1, 2, 5, 10, 20, 50, 100]
    best = [np.mean([rng.normal(5, 1, (m, 2))[:, 0].min() for _ in range(200)]) for m in tried]
    honest = [np.mean([answer(rng.normal(5, 1, (m, 2))) for _ in range(200)]) for m in tried]
    fig, ax = plt.subplots(figsize=(4.8, 3))
    ax.semilogx(tried, best, "o-", color=ORANGE, label="the best, where it was chosen")
    ax.semilogx(tried, honest, "o-", color=BLUE, label="your honest score")
    ax.axhline(5, color=GREY, ls="--", lw=0.8)
    ax.set(xlabel="tables tried, all equally good", ylabel="score")
    ax.legend(fontsize=8)
    return fig, (
        "Tables that are all worth 5. The best score where it was chosen falls to 2.5 with 100 tables, and "
        "the honest score stays near 5."
    )


HONEST = Exercise(
    id="capstone.honest_score",
    title="What the winner is worth",
    points=2,
    minutes=12,
    difficulty=2,
    task="For each part of the real rows choose the table with the lowest mean score on all other parts, "
    "and take its score on this part; return the mean of these scores.",
    hints=(
        "np.delete(score, part, axis=1) has the scores on the other parts.",
        "The chosen table is others.argmin(); its honest score is score[chosen, part].",
    ),
    reference=honest_score,
    inputs=_honest_cases,
    numpy=True,
    picture=_honest_picture,
    mistakes={
        "The table was chosen by the very part that judges it: leave this part out of the choice.": slip(
            "np.delete(score, part, axis=1)", "score"
        ),
        "This is the lowest score of each part: every winner is judged where it was lucky.": returning(
            "float(score.min(axis=0).mean())"
        ),
        "One single part chose the table. Take the mean of all other parts.": slip(
            "np.delete(score, part, axis=1).mean(axis=1)", "score[:, part - 1]"
        ),
        "The chosen table is judged by the parts that chose it. Judge it by the part left out.": slip(
            "score[others.argmin(), part]", "others.min()"
        ),
        "Lower scores are better: argmin.": slip("argmin()", "argmax()"),
        "This is the mean of all tables. Only the chosen one's scores count.": returning(
            "float(score.mean())"
        ),
        "These are the scores of all parts. Return their mean.": returning("np.array(found)"),
        "This is the lowest of the scores. Return their mean.": returning("float(np.min(found))"),
        "The highest score on the other parts was taken. Take the mean of them.": slip(
            "np.delete(score, part, axis=1).mean(axis=1)",
            "np.delete(score, part, axis=1).max(axis=1)",
        ),
        "The scores of the parts were added up. Take their mean.": returning(
            "float(np.sum(found))"
        ),
    },
    alternatives=(_honest_by_sum, _honest_at_once, _honest_by_mask),
)

# --- copies out, groups as they were ----------------------------------------------------------------


def _copy_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, spare, groups, rate):
        group = np.r_[rng.integers(0, groups, n), rng.permutation(np.arange(spare) % groups)]
        copied = rng.random(n + spare) < np.asarray(rate)[group % len(rate)]
        return {"copied": copied, "group": group, "n": n}

    plain = case(12, 60, 2, [0.3, 0.3])
    return {
        "copies in two groups": plain,
        "a small group is copied most": case(20, 160, 4, [0.05, 0.1, 0.1, 0.7]),
        "no copies": {**plain, "copied": np.zeros(72, bool)},
        "one group": case(10, 30, 1, [0.4]),
        "spare rows are copies, too": case(15, 150, 3, [0.6, 0.5, 0.6]),
        "the last spare row is needed": {
            "copied": np.r_[rng.permutation([True, False, False]), True, False],
            "group": np.ones(5, int),
            "n": 3,
        },
        "too few spare rows": {
            "copied": np.r_[np.ones(3, bool), np.zeros(6, bool)],
            "group": np.r_[1, 1, 0, 1, np.zeros(5, int)],
            "n": 3,
        },
    }


def _copy_probe(answer, copied, group, n):
    before = copied.copy(), group.copy()
    try:
        kept = np.asarray(answer(copied, group, int(n)), dtype=float)
    except ValueError:
        kept = np.array([-1.0])
    untouched = (copied == before[0]).all() and (group == before[1]).all()
    return {"kept": kept, "inputs untouched": float(untouched)}


def _copies_by_queues(copied, group, n):
    spare = {g: [] for g in np.unique(group)}
    for place in range(n, len(group)):
        if not copied[place]:
            spare[group[place]].append(place)
    kept = []
    for place in range(n):
        if copied[place] and not spare[group[place]]:
            raise ValueError("no spare row left")
        kept.append(spare[group[place]].pop(0) if copied[place] else place)
    return np.array(kept)


def _copies_by_group(copied, group, n):
    kept = np.arange(n)
    for g in np.unique(group[:n]):
        gone = np.flatnonzero((group[:n] == g) & copied[:n])
        fresh = n + np.flatnonzero((group[n:] == g) & ~copied[n:])
        if len(fresh) < len(gone):
            raise ValueError(f"group {g} needs more rows")
        kept[gone] = fresh[: len(gone)]
    return kept


def _copies_by_taking(copied, group, n):
    free = ~copied
    free[:n] = False
    kept = list(range(n))
    for place in kept[:]:
        if copied[place]:
            fits = np.flatnonzero(free & (group == group[place]))
            if fits.size == 0:
                raise ValueError("draw more")
            kept[place] = fits[0]
            free[fits[0]] = False
    return np.array(kept)


def _copy_picture(answer):
    rng = np.random.default_rng(0)
    group = (rng.random(4000) < 0.1).astype(int)
    copied = rng.random(4000) < np.where(group, 0.5, 0.02)
    kept = np.asarray(answer(copied, group, 1000))
    dropped = np.flatnonzero(~copied[:1000])
    shares = [group[:1000].mean(), group[dropped].mean(), group[kept].mean()]
    fig, ax = plt.subplots(figsize=(4.8, 2.8))
    ax.bar(range(3), shares, color=[GREY, ORANGE, BLUE])
    ax.set(xticks=range(3), xticklabels=["as drawn", "copies dropped", "your table"])
    ax.set(ylabel="share of the small group")
    return fig, (
        "The share of a small group of which half are copies: as drawn a tenth, about half of that when "
        "copies are dropped, and a tenth again when they are replaced within their group."
    )


COPIES = Exercise(
    id="capstone.replace_copies",
    title="Copies out, groups as they were",
    points=2,
    minutes=15,
    difficulty=2,
    task="The first n rows are the table, the others are spare. Return n places: a row that is no copy "
    "keeps its own, and a copy is replaced by the first spare row of its group that is no copy and not "
    "used yet. Raise ValueError if a group has no spare row left, and leave the inputs as they are.",
    hints=(
        "Go through np.flatnonzero(copied[:n]) and look from n on for a spare row.",
        "A spare row must meet three conditions: the same group, no copy, not used yet.",
        "for ... else: the else part runs when no break ended the loop. Raise ValueError there.",
    ),
    reference=replace_copies,
    inputs=_copy_cases,
    probe=_copy_probe,
    numpy=True,
    picture=_copy_picture,
    mistakes={
        (
            "Dropping copies makes the table shorter, and groups with many copies smaller. Replace "
            "them."
        ): returning("np.flatnonzero(~copied[:n])"),
        "A copy was replaced by a row of another group: groups with many copies lose their share.": slip(
            "group[spare] == group[place] and ", ""
        ),
        "The new row may be a copy itself: look for a spare row that is none.": slip(
            "not copied[spare] and ", ""
        ),
        "One spare row was used more than once: that makes rows that repeat.": slip(
            "used.add(spare)", "pass"
        ),
        "Where no spare row is left a copy stays. Raise ValueError.": slip(
            'raise ValueError("draw more rows: a group has no spare row left")',
            "pass",
        ),
        "A row of the table itself was taken as spare. Spare rows begin at n.": slip(
            "range(n, len(group))", "range(len(group))"
        ),
        "These are the rows that are copies. Return n places, one for each row.": returning(
            "np.flatnonzero(copied[:n])"
        ),
        "Every row was replaced. Only copies are.": slip("np.flatnonzero(copied[:n])", "range(n)"),
        "The last spare row of the group was taken. Take the first.": slip(
            "range(n, len(group))", "reversed(range(n, len(group)))"
        ),
        "These are groups. Return the places of the rows.": returning("group[kept]"),
    },
    alternatives=(_copies_by_queues, _copies_by_group, _copies_by_taking),
)

# --- what is still blank ----------------------------------------------------------------------------

ENTRIES = ("purpose", "source", "choice", "may", "may not", "answers")
TEXTS = (
    "Practice for a course.",
    "",
    "   ",
    "____",
    "It holds until ____.",
    "Ask A. Person",
    "\n\t",
    "no_blank_here",
    "Read __init__ first.",
    "____ may ask for it.",
)


def _blank_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def cards(of, missing=0.0, wanted=6):
        """Ten cards: the number of each entry's text, which entries are there, which are wanted."""
        return {
            "texts": rng.choice(of, (10, 6)),
            "there": (rng.random((10, 6)) >= missing).astype(int),
            "wanted": np.array([rng.permutation(6)[:wanted] for _ in range(10)]),
        }

    return {
        "empty texts": cards([0, 1, 5]),
        "white space": cards([0, 2, 5, 6]),
        "signs of a blank": cards([0, 3, 4, 5, 7, 8, 9]),
        "entries that are missing": cards([0, 5, 7], missing=0.4),
        "only some are wanted": cards([0, 1, 3, 5], missing=0.1, wanted=4),
    }


def _blank_probe(answer, texts, there, wanted):
    found = np.full(wanted.shape, -1.0)
    for card, row in enumerate(texts):
        named = zip(ENTRIES, row, there[card], strict=True)
        words = {name: TEXTS[int(text)] for name, text, kept in named if kept}
        blank = list(answer(words, [ENTRIES[int(number)] for number in wanted[card]]))
        for place, name in enumerate(blank[: len(found[card])]):
            found[card, place] = ENTRIES.index(name)
    return found


def _blanks_by_list(words, wanted):
    return [
        n
        for n in wanted
        if n not in words or words[n].isspace() or not words[n] or "____" in words[n]
    ]


def _blanks_by_filter(words, wanted):
    def filled(name):
        kept = "".join(words.get(name, "____").split())
        return bool(kept) and kept.find("____") < 0

    return [name for name in wanted if not filled(name)]


def _blanks_by_replacing(words, wanted):
    blank = []
    for name in wanted:
        text = " ".join(words[name].split()) if name in words else ""
        if text == "" or text != text.replace("____", ""):
            blank += [name]
    return blank


def _blank_picture(answer):
    words = {
        "purpose": "Practice.",
        "source": "____",
        "choice": " ",
        "may": "Teach.",
        "answers": "A. P.",
    }
    blank = list(answer(words, list(ENTRIES)))
    fig, ax = plt.subplots(figsize=(4.8, 2.4))
    colors = [ORANGE if name in blank else BLUE for name in ENTRIES]
    ax.barh(range(6), [1] * 6, color=colors)
    ax.set(yticks=range(6), yticklabels=ENTRIES, xticks=[])
    ax.invert_yaxis()
    return fig, (
        "Six entries of a card: purpose, may and answers are filled in, in blue; source, choice and may "
        "not are blank, in orange."
    )


BLANKS = Exercise(
    id="capstone.card_blanks",
    title="What is still blank",
    points=1,
    minutes=8,
    difficulty=1,
    task="Return the names among wanted, in their order, whose entry is blank: it is missing from words, "
    "has nothing but white space, or holds four underscores in a row.",
    hints=(
        "words.get(name, '') gives an empty text where the entry is missing.",
        "text.strip() is empty if there was only white space, and an empty text counts as False.",
    ),
    reference=card_blanks,
    inputs=_blank_cases,
    probe=_blank_probe,
    numpy=True,
    picture=_blank_picture,
    mistakes={
        "A text of white space only is blank, too: strip it first.": slip(".strip()", ""),
        "A text that still holds ____ is not filled in.": slip(' or "____" in text', ""),
        "The sign of a blank may stand inside a sentence.": slip(
            '"____" in text', 'text == "____"'
        ),
        "An entry that is missing from the card is blank, too.": slip(
            "for name in wanted", "for name in [n for n in wanted if n in words]"
        ),
        "Only the wanted entries count, in their order.": slip(
            "for name in wanted",
            'for name in ("purpose", "source", "choice", "may", "may not", "answers")',
        ),
        "These are the entries that are filled in. Return the blank ones.": returning(
            "[name for name in wanted if name not in blank]"
        ),
        "The names are sorted here. Keep the order of wanted.": returning("sorted(blank)"),
        "This is the first blank alone. Return all of them.": returning("blank[:1]"),
        "Two underscores can belong to a word. Look for four in a row.": slip(
            '"____" in text', '"__" in text'
        ),
        "Only texts that begin with the sign were found. Look for it anywhere in the text.": slip(
            '"____" in text', 'text.startswith("____")'
        ),
    },
    alternatives=(_blanks_by_list, _blanks_by_filter, _blanks_by_replacing),
)

# --- what may be claimed ----------------------------------------------------------------------------


def _claim_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(estimate, error, margin, level=0.05):
        three = np.broadcast_arrays(*(np.asarray(x, float) for x in (estimate, error, margin)))
        return dict(zip(("estimate", "error", "margin"), map(np.array, three), strict=True)) | {
            "level": level
        }

    k = 12
    steps = rng.permutation(np.linspace(-0.2, 0.2, k))
    # Estimates between what one interval and what k intervals together allow.
    reach = norm.ppf(1 - 0.025), norm.ppf(1 - 0.025 / k)
    between = 0.1 - 0.02 * rng.uniform(reach[0] + 0.1, reach[1] - 0.05, k)
    sign = rng.choice([-1, 1], k)
    gone = np.where(rng.random(k) < 0.4, np.nan, rng.choice([0.0, 0.3, -0.3], k))
    gone[0] = np.nan
    return {
        "small errors": case(steps, 0.001, 0.1),
        "large errors": case(steps, 0.2, 0.1),
        "twelve claims at once": case(np.r_[sign * between, 0, 0.5, -0.5], 0.02, 0.1),
        "one claim": case([0.1 - 0.02 * 2.1], [0.02], [0.1]),
        "some were not measured": case(gone, 0.01, 0.1),
        "another level": case(steps / 2, 0.03, 0.1, level=0.5),
        "known exactly": case(rng.permutation([0.1, -0.1, 0.0, 0.2, -0.2]), 0.0, 0.1),
        "below and above": case([-0.3, 0.3, -0.05, 0.05, 0.0], 0.01, 0.1),
    }


def _claims_by_loop(estimate, error, margin, level=0.05):
    z = NormalDist().inv_cdf(1 - level / len(estimate) / 2)
    found = []
    for d, e, m in zip(estimate, error, margin, strict=True):
        if abs(d) + z * e <= m:
            found.append(1)
        elif abs(d) - z * e > m:
            found.append(-1)
        else:
            found.append(0)
    return np.array(found)


def _claims_by_select(estimate, error, margin, level=0.05):
    reach = norm.isf(level / 2 / estimate.size) * error
    size = np.abs(estimate)
    return np.select([size + reach <= margin, size - reach > margin], [1, -1], 0)


def _claims_by_sign(estimate, error, margin, level=0.05):
    z = -norm.ppf(0.5 * level / len(margin))
    verdict = np.zeros(len(estimate))
    verdict[np.maximum(estimate + z * error, z * error - estimate) <= margin] = 1
    verdict[np.maximum(estimate - z * error, -estimate - z * error) > margin] = -1
    return verdict


def _claim_picture(answer):
    estimate = np.array([0.0, 0.04, 0.07, 0.12, 0.2, -0.05])
    error = np.array([0.01, 0.01, 0.03, 0.02, 0.02, 0.04])
    verdict = np.asarray(answer(estimate, error, np.full(6, 0.1)))
    fig, ax = plt.subplots(figsize=(4.8, 3))
    colors = {1: BLUE, 0: GREY, -1: ORANGE}
    for k in range(6):
        ax.errorbar(estimate[k], k, xerr=2.64 * error[k], fmt="o", color=colors[int(verdict[k])])
    for side in (-0.1, 0.1):
        ax.axvline(side, color=GREY, ls="--", lw=0.8)
    ax.set(xlabel="difference, with the interval for six claims", yticks=range(6), ylabel="claim")
    return fig, (
        "Six differences with intervals between two lines at the margin of 0.1. Claims 0 and 1 lie inside "
        "and are supported; 2, 3 and 5 cross a line and are undecided; 4 lies outside and is refuted."
    )


CLAIMS = Exercise(
    id="capstone.claim_verdicts",
    title="What may be claimed",
    points=2,
    minutes=15,
    difficulty=3,
    task="Return for each of the k claims 1 if its interval lies within -margin to margin (ends included), "
    "-1 if the whole interval lies beyond on one side, and else 0, also where nothing was measured (NaN). "
    "The interval is estimate plus and minus z times error; z is the normal quantile at 1 - level / (2 k).",
    hints=(
        "k is the number of claims, len(estimate): the more is claimed, the wider each interval.",
        "supported = (low >= -margin) & (high <= margin); comparisons with NaN are False.",
        "supported.astype(int) - refuted.astype(int) is 1, 0 or -1.",
    ),
    reference=claim_verdicts,
    inputs=_claim_cases,
    numpy=True,
    picture=_claim_picture,
    mistakes={
        (
            "Each interval is right for one claim alone. With k claims one of them fails k times as "
            "often: level / (2 k)."
        ): slip("level / (2 * len(estimate))", "level / 2"),
        "The estimate alone lies within the margin. The whole interval has to.": slip(
            "reach = norm.ppf(1 - level / (2 * len(estimate))) * error", "reach = 0 * error"
        ),
        (
            "An interval with 0 in it shows that nothing was found. It may still reach beyond the "
            "margin."
        ): slip("(low >= -margin) & (high <= margin)", "(low <= 0) & (high >= 0)"),
        "An interval that crosses the margin refutes nothing: that claim is undecided.": slip(
            "(low > margin) | (high < -margin)", "~supported & (estimate == estimate)"
        ),
        "Only differences above the margin were seen. One below minus the margin counts, too.": slip(
            "(low >= -margin) & (high <= margin)",
            "high <= margin",
            "(low > margin) | (high < -margin)",
            "low > margin",
        ),
        "What was not measured refutes nothing: it is undecided.": slip(
            "(low > margin) | (high < -margin)",
            "(low > margin) | (high < -margin) | (low != low)",
        ),
        "The level is shared by the two ends of each interval: level / (2 k).": slip(
            "level / (2 * len(estimate))", "level / len(estimate)"
        ),
        "Supported and refuted have changed places.": slip(
            "supported.astype(int) - refuted.astype(int)",
            "refuted.astype(int) - supported.astype(int)",
        ),
        "One end within the margin is not enough: both have to lie within it.": slip(
            "(low >= -margin) & (high <= margin)", "(low >= -margin) | (high <= margin)"
        ),
        "The ends of the margin are included: compare with >= and <=.": slip(
            "(low >= -margin) & (high <= margin)", "(low > -margin) & (high < margin)"
        ),
        "This says whether a claim is supported. A refuted one gets -1.": returning(
            "supported.astype(int)"
        ),
        "The level is always 5 % here. Use the argument, of which 0.05 is only the default.": slip(
            "level / (2 * len(estimate))", "0.05 / (2 * len(estimate))"
        ),
    },
    alternatives=(_claims_by_loop, _claims_by_select, _claims_by_sign),
)
