"""The exercises of lesson 17: steps, a contract, evidence, a budget, and the way back."""

import hashlib
import itertools
import json
import math

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import exprel
from scipy.stats import fisher_exact, hypergeom

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.pipeline.budget import charge
from course_lib.pipeline.contract import keeps_rule
from course_lib.pipeline.running import in_force
from course_lib.pipeline.sequential import e_cusum, e_value, group_p_values
from course_lib.pipeline.steps import run_once
from course_lib.plots import BLUE, GREY, ORANGE

# --- a step that runs once -------------------------------------------------------------------------


def _step_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    a, b, c = (int(x) for x in rng.choice(np.arange(65, 90), 3, replace=False))
    n = int(rng.integers(2, 9))

    def case(first, second, number, step, turned):
        columns = {"first": first, "second": second, "number": number, "step": step}
        return {k: np.array(v) for k, v in (columns | {"turned": turned}).items()}

    return {
        "the same call again": case([a] * 4, [b] * 4, [n] * 4, [0] * 4, [0] * 4),
        "another content": case([a, b, a, b], [c] * 4, [n] * 4, [0] * 4, [0] * 4),
        "other settings": case([a] * 4, [b] * 4, [n, n + 1, n, n + 2], [0] * 4, [0] * 4),
        "another step": case([a] * 4, [b] * 4, [n] * 4, [0, 1, 0, 1], [0] * 4),
        "the inputs in another order": case([a] * 4, [b] * 4, [n] * 4, [0] * 4, [0, 1, 1, 0]),
        "another content of the other input": case(
            [c] * 4, [a, b, a, b], [n] * 4, [0] * 4, [0] * 4
        ),
        "two contents change places": case([a, b, a], [b, a, b], [n] * 3, [0] * 3, [0] * 3),
    }


def _step_probe(answer, first, second, number, step, turned):
    calls = []

    def add(inputs, settings):
        calls.append(1)
        return str(inputs["rows"][0] + 3 * inputs["more"][0] + settings["n"]).encode()

    def multiply(inputs, settings):
        calls.append(1)
        return str(inputs["rows"][0] * inputs["more"][0] * settings["n"]).encode()

    store, outputs, counts = {}, [], []
    for one, two, n, which, other_way in zip(first, second, number, step, turned, strict=True):
        # All contents have the same length and the same sum of bytes: only a hash tells them apart.
        inputs = {"rows": bytes([int(one), 180 - one]), "more": bytes([int(two), 180 - two])}
        if other_way:
            inputs = dict(reversed(inputs.items()))
        outputs.append(float(answer((add, multiply)[int(which)], inputs, {"n": int(n)}, store)))
        counts.append(len(calls))
    return {"output": np.array(outputs), "calls so far": np.array(counts, dtype=float)}


def _once_by_tuple(step, inputs, settings, store):
    files = tuple(sorted((name, hashlib.sha256(c).digest()) for name, c in inputs.items()))
    key = (step.__name__, tuple(sorted(settings.items())), files)
    try:
        return store[key]
    except KeyError:
        store[key] = step(inputs, settings)
        return store[key]


def _once_by_one_hash(step, inputs, settings, store):
    total = hashlib.blake2b(json.dumps([step.__name__, settings], sort_keys=True).encode())
    for name in sorted(inputs):
        total.update(hashlib.blake2b(name.encode()).digest())
        total.update(hashlib.blake2b(inputs[name]).digest())
    if total.hexdigest() in store:
        return store[total.hexdigest()]
    return store.setdefault(total.hexdigest(), step(inputs, settings))


def _once_by_text(step, inputs, settings, store):
    key = f"{step.__name__} {sorted(settings.items())} "
    key += str([(name, hashlib.md5(inputs[name]).hexdigest()) for name in sorted(inputs)])
    output = store.get(key)
    if output is None:
        output = store[key] = step(inputs, settings)
    return output


def _step_picture(answer):
    store, counts, calls = {}, [], []

    def copy(inputs, settings):
        calls.append(1)
        return inputs["rows"]

    contents = [b"monday", b"monday", b"tuesday", b"monday", b"tuesday", b"wednesday"]
    for content in contents:
        answer(copy, {"rows": content}, {}, store)
        counts.append(len(calls))
    fig, ax = plt.subplots(figsize=(5, 2.8))
    ax.step(range(1, 7), counts, where="mid", color=BLUE)
    ax.set(
        xticks=range(1, 7), xticklabels=[c.decode() for c in contents], ylabel="calls of the step"
    )
    ax.tick_params(axis="x", rotation=20)
    return fig, (
        "Calls of the step after six requests for monday, monday, tuesday, monday, tuesday, wednesday: "
        "they grow only where a content comes for the first time, so they end at three."
    )


RUN_ONCE = Exercise(
    id="pipeline.run_once",
    title="A step that runs once",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return what step(inputs, settings) gives, but call it only if the store has no answer for the "
    "same call: the same step's name, the same settings, and the same names and contents of the inputs.",
    hints=(
        "Describe the call by a text, and use its hash as the key in the store.",
        "hashlib.sha256(content).hexdigest() is the hash of an input's content.",
        "json.dumps([step.__name__, settings, contents], sort_keys=True) does not depend on the order of "
        "names.",
    ),
    reference=run_once,
    inputs=_step_cases,
    probe=_step_probe,
    numpy=True,
    picture=_step_picture,
    mistakes={
        "The settings are not part of the key: with other settings an old answer comes back.": slip(
            "dict(settings), ", ""
        ),
        "Two contents of the same length count as the same. Hash the content.": slip(
            "hashlib.sha256(content).hexdigest()", "len(content)"
        ),
        "The step's name is not part of the key: two steps get each other's answers.": slip(
            "step.__name__, ", ""
        ),
        "The order of the names changes the key, so the step runs again for the same inputs.": slip(
            ", sort_keys=True", ""
        ),
        "The step runs at every call. Keep its answer in the store, and look there first.": slip(
            "if key not in store", "if True"
        ),
        "The names of the inputs are not part of the key: two contents may change places unseen.": slip(
            "{name: hashlib.sha256(content).hexdigest() for name, content in inputs.items()}",
            "sorted(hashlib.sha256(content).hexdigest() for content in inputs.values())",
        ),
        "Only one input is part of the key. All of them belong to it.": slip(
            "contents], sort_keys", "max(contents.items())], sort_keys"
        ),
        "Only the step's name is the key. The settings and the inputs belong to it, too.": slip(
            "json.dumps([step.__name__, dict(settings), contents], sort_keys=True)",
            "step.__name__",
        ),
        "Only the settings are the key. The step's name and the inputs belong to it, too.": slip(
            "[step.__name__, dict(settings), contents]", "[dict(settings)]"
        ),
        "Only the inputs are the key. The step's name and the settings belong to it, too.": slip(
            "[step.__name__, dict(settings), contents]", "[contents]"
        ),
        "The step runs twice. Call it once, and return what was stored.": slip(
            "store[key] = step(inputs, settings)",
            "store[key] = step(inputs, settings)\n        step(inputs, settings)",
        ),
        (
            "The store keeps a single answer, so the step runs again as soon as another call comes "
            "between. Keep them all."
        ): slip("store[key] = step", "store.clear()\n        store[key] = step"),
    },
    alternatives=(_once_by_tuple, _once_by_one_hash, _once_by_text),
)

# --- a rule of a contract --------------------------------------------------------------------------

KINDS = ("integer", "number", "category")
LETTERS = np.array(["", "a", "b", "c", "d"])


def _rule_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    least = int(rng.integers(10, 30))
    most = least + int(rng.integers(20, 40))

    def case(values, kind, low=0.0, high=0.0, levels=(), missing=0):
        return {
            "values": np.array(values, dtype=float),
            "kind": KINDS.index(kind),
            "least": float(low),
            "most": float(high),
            "levels": np.array(levels, dtype=int),
            "missing": missing,
        }

    spread = rng.integers(least - 15, most + 15, 12).astype(float)
    halves = np.r_[spread + 0.5 * (np.arange(12) % 2), least, most, least - 1, most + 1]
    gone = np.where(rng.random(16) < 0.3, np.nan, halves)
    gone[:3] = np.nan, least, most
    letters = rng.permutation(np.r_[0, 1, 2, 3, 4, rng.integers(0, 5, 6)])
    return {
        "whole numbers": case(halves, "integer", least, most),
        "numbers": case(halves, "number", least, most),
        "numbers that may be missing": case(gone, "number", least + 4, most - 12, missing=1),
        "whole numbers that may not": case(gone, "integer", least, most),
        "levels": case(letters, "category", levels=[1, 3]),
        "levels that may be missing": case(letters, "category", levels=[2, 3], missing=1),
    }


def _rule_probe(answer, values, kind, least, most, levels, missing):
    name = KINDS[int(kind)]
    column = LETTERS[values.astype(int)] if name == "category" else values
    return np.asarray(
        answer(column, name, least, most, tuple(LETTERS[levels]), bool(missing)), dtype=float
    )


def _rule_by_loop(values, kind, least, most, levels, missing):
    kept = []
    for value in values:
        if kind == "category":
            kept.append(missing if not value else value in levels)
        elif np.isnan(value):
            kept.append(missing)
        else:
            kept.append(least <= value <= most and (kind == "number" or value == int(value)))
    return np.array(kept)


def _rule_by_logic(values, kind, least, most, levels, missing):
    if kind == "category":
        allowed = [*levels, ""] if missing else list(levels)
        return np.array([value in allowed for value in values])
    gone = values != values
    good = np.logical_and.reduce([values >= least, values <= most])
    if kind == "integer":
        good = np.logical_and(good, np.floor(values) == values)
    return np.logical_or(good, gone) if missing else good


def _rule_by_filling(values, kind, least, most, levels, missing):
    if kind == "category":
        kept = sum((values == level).astype(int) for level in levels)
        return (kept + missing * (values == "")) > 0
    filled = np.nan_to_num(values, nan=least if missing else most + 1)
    whole = (np.round(filled) == filled) | (kind != "integer")
    return (np.clip(filled, least, most) == filled) & whole


def _rule_picture(answer):
    ages = np.arange(10.0, 100.0, 0.5)
    kept = np.asarray(answer(ages, "integer", 18, 90, (), False), bool)
    fig, ax = plt.subplots(figsize=(5, 2.4))
    ax.plot(ages[~kept], 0 * ages[~kept], "|", color=ORANGE, ls="none", label="breaks the rule")
    ax.plot(ages[kept], 0 * ages[kept] + 1, "|", color=BLUE, ls="none", label="keeps the rule")
    ax.set(xlabel="age", yticks=[], ylim=(-0.6, 2.2))
    ax.legend(fontsize=8, loc="upper left")
    return fig, (
        "Ages in steps of a half: whole numbers from 18 to 90 keep the rule, and halves and all other "
        "numbers break it."
    )


KEEPS_RULE = Exercise(
    id="pipeline.keeps_rule",
    title="A rule of the contract",
    points=1,
    minutes=10,
    difficulty=1,
    task="Return for each value whether it keeps the rule: a number lies from `least` to `most`, both "
    "ends allowed; an integer must also be whole; a category is one of the levels. A missing "
    "value (NaN, or an empty text of a category) keeps the rule only if `missing` is True.",
    hints=(
        "Find the missing values first: np.isnan(values) of numbers, values == '' of texts.",
        "np.isin(values, levels) tells which values are levels, and values % 1 == 0 which are whole.",
        "np.where(gone, missing, good) decides the missing ones apart.",
    ),
    reference=keeps_rule,
    inputs=_rule_cases,
    probe=_rule_probe,
    numpy=True,
    picture=_rule_picture,
    mistakes={
        "The lower end of the range is allowed, too.": slip(">= least", "> least"),
        "The upper end of the range is allowed, too.": slip("<= most", "< most"),
        "An integer has to be a whole number.": slip("good &= values % 1 == 0", "pass"),
        "A missing value passes here always. It passes only if missing is True.": slip(
            "np.where(gone, missing, good)", "np.where(gone, True, good)"
        ),
        "A missing value never passes here. It passes if missing is True.": slip(
            "np.where(gone, missing, good)", "np.where(gone, False, good)"
        ),
        "Any text passes here. A category has to be one of the levels.": slip(
            "np.isin(values, levels)", "values == values"
        ),
        "The upper end of the range is not looked at.": slip(" & (values <= most)", ""),
        "The lower end of the range is not looked at.": slip("(values >= least) & ", ""),
        "Any number is above one end or below the other. It has to be both: &.": slip(
            "(values >= least) & (values <= most)", "(values >= least) | (values <= most)"
        ),
        "Plain numbers need not be whole. Only integers do.": slip(
            'if kind == "integer":', "if kind:"
        ),
        "missing is turned round: a missing value passes if it is True.": slip(
            "missing, good", "not missing, good"
        ),
        "These are the values that break the rule. Return those that keep it.": returning(
            "~np.where(gone, missing, good).astype(bool)"
        ),
        "An empty text is a missing value of a category.": slip(
            'values == ""', "np.zeros(len(values), bool)"
        ),
        "Levels and other texts are turned round: a category has to be one of the levels.": slip(
            "np.isin(values, levels)", "~np.isin(values, levels)"
        ),
    },
    alternatives=(_rule_by_loop, _rule_by_logic, _rule_by_filling),
)

# --- an e-value from a p-value ---------------------------------------------------------------------


def _e_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {
        "ordinary p-values": {"p": rng.random(20)},
        "small p-values": {"p": 10.0 ** -rng.uniform(2, 60, 12)},
        "p-values near 1": {"p": 1 - 10.0 ** -rng.uniform(2, 9, 12)},
        "0, and 1": {"p": np.r_[0.0, 1.0, rng.uniform(0, 0.3, 5)]},
    }


def _e_probe(answer, p):
    with np.errstate(all="ignore"):  # what is no e-value may have no logarithm
        return {"log of the e-value": np.log(np.asarray(answer(p), dtype=float))}


def _e_by_exprel(p):
    L = -np.log(np.maximum(p, 1e-300))
    return np.where(L < 1e-8, 0.5, (exprel(L) - 1) / np.maximum(L, 1e-8))


def _e_by_series(p):
    found = []
    for value in p:
        L = -math.log(max(float(value), 1e-300))
        terms = [L**k / math.factorial(k + 2) for k in range(12)]
        found.append(sum(terms) if L < 0.5 else (math.exp(L) - 1 - L) / L**2)
    return np.array(found)


def _e_as_written(p):
    p = np.clip(p, 1e-300, 1)
    far = np.minimum(p, 0.999)
    value = (1 - far + far * np.log(far)) / (far * np.log(far) ** 2)
    L = -np.log(p)
    return np.where(p < 0.999, value, 0.5 + L / 6 + L**2 / 24)


def _e_picture(answer):
    p = np.logspace(-6, 0, 200)
    fig, ax = plt.subplots(figsize=(4.6, 3))
    ax.loglog(p, answer(p), color=BLUE, label="your e-value")
    ax.loglog(p, 1 / p, color=GREY, ls="--", label="1 / p, which is none")
    ax.axhline(1, color=ORANGE, lw=0.8)
    ax.set(xlabel="p-value", ylabel="e-value")
    ax.legend(fontsize=8)
    return fig, (
        "The e-value against the p-value, both on logarithmic axes: it falls from some thousands at "
        "p = 0.000001 to one half at p = 1, crosses 1 near p = 0.15, and stays below the dashed line of "
        "1 over p."
    )


E_VALUE = Exercise(
    id="pipeline.e_value",
    title="An e-value from a p-value",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return for each p-value the e-value (exp(L) - 1 - L) / L^2 with L = -log p; count a p below "
    "1e-300 as 1e-300, and give 0.5 + L / 6 where L is below 1e-4.",
    hints=(
        "np.clip(p, 1e-300, 1) keeps the logarithm finite.",
        "np.expm1(L) is exp(L) - 1, and more exact than the difference.",
        "np.where(L < 1e-4, ..., ...) computes both sides: divide by np.maximum(L, 1e-4) ** 2, which is "
        "never 0.",
    ),
    reference=e_value,
    inputs=_e_cases,
    probe=_e_probe,
    numpy=True,
    picture=_e_picture,
    mistakes={
        "1 / p is no e-value: its mean over a uniform p has no end.": returning(
            "1 / np.clip(p, 1e-300, 1)"
        ),
        "This is the mixture's member with k = 1/2. Mix over all k from 0 to 1.": returning(
            "0.5 / np.sqrt(np.clip(p, 1e-300, 1))"
        ),
        "L = -log p is positive: the sign is missing.": slip("-np.log(", "np.log("),
        "The logarithm is the natural one, np.log.": slip("np.log(", "np.log10("),
        "Divide by the square of L.": slip("np.maximum(L, 1e-4) ** 2", "np.maximum(L, 1e-4)"),
        "Small p-values are cut too early here: cut them at 1e-300.": slip("1e-300", "1e-12"),
        "At p = 1 the e-value is one half: 0.5 + L / 6 where L is near 0.": slip(
            "0.5 + L / 6", "1 + L / 6"
        ),
        "This is L, the logarithm. The e-value is (exp(L) - 1 - L) / L^2.": returning("L"),
        "L must be subtracted above.": slip("- L) /", "+ L) /"),
        "The 1 is missing above: exp(L) - 1 - L.": slip("np.expm1(L) - L", "np.exp(L) - L"),
        "The series holds near p = 1 only. Use it where L is below 1e-4.": returning(
            "np.asarray(series)"
        ),
        "L is missing above: exp(L) - 1 - L.": slip("(np.expm1(L) - L)", "np.expm1(L)"),
    },
    alternatives=(_e_by_exprel, _e_by_series, _e_as_written),
)

# --- their CUSUM -----------------------------------------------------------------------------------


def _cusum_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    calm, loud = rng.uniform(0.5, 1.1, 12), rng.uniform(1.5, 4, 6)
    return {
        "quiet days": {"e": calm},
        "a change after quiet days": {"e": np.r_[calm, loud]},
        "a change that ends": {"e": np.r_[loud, calm, loud[:2]]},
        "one day": {"e": loud[:1]},
        "one quiet day": {"e": calm[:1] / 2},
        "up and down": {"e": rng.uniform(0.2, 5, 15)},
    }


def _cusum_by_products(e):
    """The largest product of the last days, over the day on which it may have begun."""
    return np.array([max(np.prod(e[s : t + 1]) for s in range(t + 1)) for t in range(len(e))])


def _cusum_by_accumulate(e):
    return np.array(list(itertools.accumulate(e, lambda before, value: max(before, 1) * value)))


def _cusum_by_logs(e):
    total = np.cumsum(np.log(e))
    lowest = np.minimum.accumulate(np.r_[0.0, total[:-1]])
    return np.exp(total - lowest)


def _cusum_picture(answer):
    rng = np.random.default_rng(0)
    e = np.r_[rng.uniform(0.5, 1.2, 30), rng.uniform(1, 2.4, 15)]
    fig, ax = plt.subplots(figsize=(5, 3))
    ax.semilogy(range(1, 46), answer(e), color=BLUE, label="CUSUM")
    ax.semilogy(range(1, 46), np.cumprod(e), color=GREY, ls="--", label="product of all days")
    ax.axvline(30.5, color=ORANGE, lw=0.8)
    ax.set(xlabel="day", ylabel="evidence")
    ax.legend(fontsize=8)
    return fig, (
        "Evidence against the day on a logarithmic axis. Up to day 30 the CUSUM stays near 1 and the "
        "product of all days falls; then both rise, and only the CUSUM comes above 1 at once."
    )


E_CUSUM = Exercise(
    id="pipeline.e_cusum",
    title="Evidence for a change on any day",
    points=2,
    minutes=10,
    difficulty=2,
    task="Return the CUSUM after each day: the larger one of the evidence of the day before and 1, times "
    "today's e-value, with 1 before the first day.",
    hints=(
        "Keep the evidence of the day before in a variable that starts at 1.0.",
        "Each day: last = max(last, 1.0) * value. Collect last.",
    ),
    reference=e_cusum,
    inputs=_cusum_cases,
    numpy=True,
    picture=_cusum_picture,
    mistakes={
        "This is the product of all days: after many quiet days a change is seen much too late.": slip(
            "max(last, 1.0) * value", "last * value"
        ),
        "Take the larger one before today's e-value is multiplied, and not after it.": slip(
            "max(last, 1.0) * value", "max(last * value, 1.0)"
        ),
        "This adds 1 where the larger one of the two is asked for.": slip(
            "max(last, 1.0) * value", "(last + 1.0) * value"
        ),
        "Evidence of several days is multiplied, and not added.": slip(
            "max(last, 1.0) * value", "max(last, 1.0) + value"
        ),
        "The smaller one was taken, so the evidence can never grow.": slip(
            "max(last, 1.0)", "min(last, 1.0)"
        ),
        "This is the largest evidence so far. The CUSUM can also fall.": returning(
            "np.maximum.accumulate(evidence)"
        ),
        "This is the last day alone. Return the CUSUM after each day.": returning("evidence[-1:]"),
        "Today's e-value is compared with 1. It is the evidence of the day before that is.": slip(
            "max(last, 1.0) * value", "max(value, 1.0) * last"
        ),
        "One day late: the first number is that after the first day.": returning(
            "np.concatenate([[1.0], evidence[:-1]])"
        ),
        "Only today's e-value counts here. The evidence of the days before multiplies it.": returning(
            "e * 1.0"
        ),
        "This is the logarithm of the CUSUM. Return the CUSUM itself.": returning(
            "np.log(np.maximum(evidence, 1e-300))"
        ),
    },
    alternatives=(_cusum_by_products, _cusum_by_accumulate, _cusum_by_logs),
)

# --- a gate for each group -------------------------------------------------------------------------


def _group_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(n, m, shares, rates, rates_before):
        group = rng.choice(len(shares), n, p=shares)
        before = np.r_[np.arange(len(shares)), rng.choice(len(shares), m - len(shares), p=shares)]
        return {
            "label": (rng.random(n) < np.array(rates)[group]).astype(int),
            "group": group,
            "label_before": (rng.random(m) < np.array(rates_before)[before]).astype(int),
            "group_before": before,
        }

    return {
        "nothing changed": case(120, 600, [0.5, 0.3, 0.2], [0.4, 0.6, 0.3], [0.4, 0.6, 0.3]),
        "fewer labels in one group": case(150, 500, [0.6, 0.4], [0.5, 0.1], [0.5, 0.5]),
        "more labels in one group": case(150, 500, [0.3, 0.7], [0.7, 0.4], [0.3, 0.4]),
        "a small group": case(100, 400, [0.9, 0.1], [0.5, 0.2], [0.5, 0.6]),
        "a group that is not there today": case(80, 300, [0.5, 0.5, 0], [0.4] * 3, [0.4] * 3),
    }


def _groups_by_fisher(label, group, label_before, group_before):
    p = []
    for g in range(group_before.max() + 1):
        now, then = label[group == g], label_before[group_before == g]
        table = [[now.sum(), (1 - now).sum()], [then.sum(), (1 - then).sum()]]
        sides = [fisher_exact(table, alternative=side)[1] for side in ("less", "greater")]
        p.append(min(2 * min(sides), 1))
    return np.array(p)


def _groups_by_counting(label, group, label_before, group_before):
    size = group_before.max() + 1
    k, n = np.bincount(group, label, size), np.bincount(group, minlength=size)
    k_all = k + np.bincount(group_before, label_before, size)
    n_all = n + np.bincount(group_before, minlength=size)
    p = []
    for one in zip(k, n, k_all, n_all, strict=True):
        found, drawn, marked, whole = (int(x) for x in one)
        ways = [
            math.comb(marked, i) * math.comb(whole - marked, drawn - i) if i <= drawn else 0
            for i in range(marked + 1)
        ]
        total = math.comb(whole, drawn)
        p.append(min(1.0, 2 * min(sum(ways[: found + 1]) / total, sum(ways[found:]) / total)))
    return np.array(p)


def _groups_at_once(label, group, label_before, group_before):
    here = np.arange(group_before.max() + 1)[:, None]
    n, m = (group == here).sum(axis=1), (group_before == here).sum(axis=1)
    k, j = (
        (label * (group == here)).sum(axis=1),
        (label_before * (group_before == here)).sum(axis=1),
    )
    known = hypergeom(n + m, k + j, n)
    return np.minimum(1, 2 * np.minimum(known.cdf(k), known.sf(k - 1)))


def _group_picture(answer):
    rng = np.random.default_rng(0)
    before = rng.integers(0, 4, 2000)
    group = rng.integers(0, 4, 400)
    rates = np.array([0.5, 0.5, 0.25, 0.5])
    label = (rng.random(400) < rates[group]).astype(int)
    p = answer(label, group, (rng.random(2000) < 0.5).astype(int), before)
    fig, ax = plt.subplots(figsize=(4.2, 2.8))
    ax.bar(range(4), -np.log10(p), color=[BLUE, BLUE, ORANGE, BLUE])
    ax.set(xlabel="group", ylabel="-log10 of the p-value", xticks=range(4))
    return fig, (
        "Four groups, in the third of which the rate of the label was halved today: its bar, minus the "
        "logarithm of the p-value, is far higher than those of the others."
    )


GROUP_P_VALUES = Exercise(
    id="pipeline.group_p_values",
    title="A gate for each group",
    points=2,
    minutes=15,
    difficulty=3,
    task="Return for each group of the days before a two-sided p-value for its number of labels today: "
    "given how many labels it has today and before together, today's number is hypergeometric; double the "
    "smaller one of the two tails, each of which counts the number itself, and cut at 1.",
    hints=(
        "For group g: n = (group == g).sum() rows today, and k = label[group == g].sum() labels.",
        "hypergeom.cdf(k, n + n_before, k + k_before, n) is the chance of k labels or fewer.",
        "hypergeom.sf(k - 1, ...) is the chance of k labels or more. The p-value is min(1, 2 * the "
        "smaller).",
    ),
    reference=group_p_values,
    inputs=_group_cases,
    numpy=True,
    picture=_group_picture,
    mistakes={
        "Only too few labels are found here. The smaller one of both tails counts.": slip(
            "min(below, above)", "below"
        ),
        "Only too many labels are found here. The smaller one of both tails counts.": slip(
            "min(below, above)", "above"
        ),
        "The smaller tail has to be doubled: whoever looks at both sides looks twice.": slip(
            "2 * min(below, above)", "min(below, above)"
        ),
        "The upper tail counts the number itself, too: sf(k - 1).": slip(
            "hypergeom.sf(k - 1,", "hypergeom.sf(k,"
        ),
        "All rows were counted in every group. Take those of the group.": slip(
            "(group == g).sum()", "len(group)", "label[group == g].sum()", "label.sum()"
        ),
        "A p-value is at most 1: cut it there.": slip(
            "min(1.0, 2 * min(below, above))", "2 * min(below, above)"
        ),
        "The lower tail counts the number itself: cdf(k).": slip(
            "hypergeom.cdf(k,", "hypergeom.cdf(k - 1,"
        ),
        "The larger tail was taken. Double the smaller one.": slip(
            "min(below, above)", "max(below, above)"
        ),
        "The number of draws is that of today's rows, and not of those before.": slip(
            "k + k_before, n)", "k + k_before, n_before)", times=2
        ),
        "This is 1 minus the p-value. A small p-value speaks against equal rates.": returning(
            "1 - np.array(p_values)"
        ),
        "The p-values were multiplied by the number of groups. Return each as it is.": returning(
            "np.minimum(1, np.array(p_values) * len(p_values))"
        ),
        "The two tails were multiplied. Double the smaller one.": slip(
            "2 * min(below, above)", "below * above"
        ),
    },
    alternatives=(_groups_by_fisher, _groups_by_counting, _groups_at_once),
)

# --- the budget ------------------------------------------------------------------------------------


def _budget_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    level = float(rng.uniform(0.5, 3))

    def case(release, cost, total):
        return {"release": np.array(release), "cost": np.array(cost, float), "total": float(total)}

    costs = level * rng.uniform(0.1, 0.4, 9)
    return {
        "until it is spent": case(range(9), costs, level),
        "a smaller one still fits": case(range(4), level * np.array([0.7, 0.5, 0.2, 0.2]), level),
        "a resumed run": case([0, 1, 0, 1, 2, 2, 3], [0.3 * level] * 7, level),
        "just the whole of it": case(range(5), [level / 4] * 5, level),
        "sums that are not exact": case(
            range(4), [0.1 * 2**k for k in [seed % 3] * 4], 0.3 * 2 ** (seed % 3)
        ),
        "no cost at all": case(range(4), [0.0, -level, np.inf, level / 2], level),
    }


def _budget_probe(answer, release, cost, total):
    ledger, granted, spent, untouched = {}, [], [], []
    for name, price in zip(release, cost, strict=True):
        before = dict(ledger)
        try:
            said, after = answer(ledger, f"release {int(name)}", float(price), total)
        except ValueError:
            said, after = -1, ledger
        untouched.append(ledger == before)
        ledger = dict(after)
        granted.append(float(said))
        spent.append(sum(ledger.values()))
    return {
        "granted": np.array(granted),
        "spent": np.array(spent),
        "ledger untouched": np.array(untouched, float),
    }


def _charge_by_rest(ledger, release, cost, total):
    if not 0 < cost < float("inf"):
        raise ValueError("a cost is above 0")
    after = dict(ledger)
    if release not in after:
        rest = total - sum(after.values())
        if cost - rest > 1e-9 * total:
            return False, after
        after[release] = cost
    return True, after


def _charge_by_trying(ledger, release, cost, total):
    if np.isnan(cost) or np.isinf(cost) or cost <= 0:
        raise ValueError("a cost is above 0")
    tried = {release: cost, **ledger}
    fits = (
        release in ledger or sum(tried.values()) < total or np.isclose(sum(tried.values()), total)
    )
    return bool(fits), tried if fits else dict(ledger)


def _charge_by_cases(ledger, release, cost, total):
    if cost <= 0 or cost != cost or cost == math.inf:
        raise ValueError("a cost is above 0")
    known = release in ledger
    over = round(math.fsum(ledger.values()) + cost, 9) > round(total, 9)
    new = {} if known or over else {release: cost}
    return known or not over, ledger | new


def _budget_picture(answer):
    ledger, spent = {}, []
    for day in range(12):
        ledger = answer(ledger, f"day {day}", 0.13, 1.0)[1]
        spent.append(sum(ledger.values()))
    fig, ax = plt.subplots(figsize=(4.6, 2.8))
    ax.step(range(1, 13), spent, where="mid", color=BLUE)
    ax.axhline(1, color=ORANGE, lw=0.8)
    ax.set(xlabel="release", ylabel="budget spent", ylim=(0, 1.1))
    return fig, (
        "The budget spent after each of twelve releases: it rises by 0.13 a release up to 0.91 at the "
        "seventh, and stays there, below the line at 1."
    )


CHARGE = Exercise(
    id="pipeline.charge",
    title="A budget that cannot be overspent",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return whether the release may be made, and the ledger afterwards as a new dict. A release that "
    "is in the ledger is granted and not charged again; one that would bring the sum above the total is "
    "refused and costs nothing. Allow 1e-12 of the total for rounding, and raise ValueError for a cost "
    "that is not a finite number above 0.",
    hints=(
        "Look first whether release in ledger.",
        "math.fsum([*ledger.values(), cost]) is what would be spent.",
        "{**ledger, release: cost} is a new dict with one entry more.",
    ),
    reference=charge,
    inputs=_budget_cases,
    probe=_budget_probe,
    numpy=True,
    picture=_budget_picture,
    mistakes={
        "A release that was charged is asked for again after a crash: grant it before anything else.": slip(
            "if release in ledger:", "if False:"
        ),
        "The cost of this release is not part of the sum: the last one overspends.": slip(
            "[*ledger.values(), cost]", "[*ledger.values()]"
        ),
        "A release that is refused costs nothing.": slip(
            "return False, dict(ledger)", "return False, {**ledger, release: cost}"
        ),
        "Whoever spends just the whole budget does not overspend it.": slip(
            "> total * (1 + 1e-12)", ">= total"
        ),
        "Three times 0.1 is a little more than 0.3 for a computer: allow for rounding.": slip(
            " * (1 + 1e-12)", ""
        ),
        "A cost of 0, a negative one, or one that is not finite has to be refused by ValueError.": slip(
            "not (math.isfinite(cost) and cost > 0)", "False"
        ),
        (
            "A release that was charged before is charged again. Grant it, and leave the ledger as it "
            "is."
        ): slip(
            "        return True, dict(ledger)\n    #",
            "        return True, {**ledger, release: ledger[release] + cost}\n    #",
        ),
        "A release that is in the ledger was refused. It is paid for: grant it.": slip(
            "        return True, dict(ledger)\n    #",
            "        return False, dict(ledger)\n    #",
        ),
        "The other releases are gone from the ledger. Add the new one to them.": returning(
            "True, {release: cost}"
        ),
        "Nothing is ever refused: compare the sum with the total.": slip(
            "> total * (1 + 1e-12)", "> math.inf"
        ),
        "The release was granted, but not written down: add its cost to the ledger.": slip(
            "return True, {**ledger, release: cost}", "return True, dict(ledger)"
        ),
        "Nothing is ever granted: refuse only what would bring the sum above the total.": slip(
            "> total * (1 + 1e-12)", "> -math.inf"
        ),
    },
    alternatives=(_charge_by_rest, _charge_by_trying, _charge_by_cases),
)

# --- what is in force ------------------------------------------------------------------------------

EVENTS = ("published", "quarantined", "rolled back")


def _force_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(pairs):
        return {
            "event": np.array([EVENTS.index(event) for event, _ in pairs]),
            "day": np.array([day for _, day in pairs]),
        }

    p, q, r = EVENTS
    first = int(rng.integers(1, 40))
    days = list(range(first, first + 8))
    stopped = [int(day) for day in rng.choice(days[1:-1], 2, replace=False)]
    half = [(q if day in stopped else p, day) for day in days]
    good = [day for day in days if day not in stopped]
    return {
        "good days": case([(p, day) for day in days]),
        "days in quarantine": case(half),
        "back to an earlier day": case([*half, (r, good[2])]),
        "back, and on": case([*half, (r, good[1]), (p, days[-1] + 1), (q, days[-1] + 2)]),
        "back to nothing": case([*half[:4], (r, 0), (p, days[-1] + 1)]),
        "back twice": case([*half, (r, good[3]), (p, days[-1] + 1), (r, good[1])]),
        "back to the current day": case([*half, (r, good[-1])]),
    }


def _force_probe(answer, event, day):
    events = [
        {"event": EVENTS[int(kind)], "day": str(int(number)) if number else ""}
        for kind, number in zip(event, day, strict=True)
    ]
    return np.array([float(name) for name in answer(events)])


def _force_by_popping(events):
    days = []
    for event in events:
        if event["event"] == "published":
            days.append(event["day"])
        if event["event"] == "rolled back":
            while days and days[-1] != event["day"]:
                days.pop()
    return days


def _force_from_the_end(events):
    days, until = [], None
    for event in reversed(events):
        if event["event"] == "rolled back" and until is None:
            until = event["day"]
            if not until:
                break
        elif event["event"] == "published" and until in (None, event["day"]):
            days.append(event["day"])
            until = None
    return days[::-1]


def _force_by_slices(events):
    days = []
    for event in events:
        kind, day = event["event"], event["day"]
        if kind == "published":
            days = [*days, day]
        elif kind == "rolled back":
            days = [d for place, d in enumerate(days) if day in days[place:]]
    return days


def _force_picture(answer):
    story = [("published", str(day)) for day in range(1, 6)]
    story += [("quarantined", "6"), ("published", "7"), ("rolled back", "3"), ("published", "8")]
    events = [{"event": event, "day": day} for event, day in story]
    fig, ax = plt.subplots(figsize=(5, 3))
    for number in range(1, len(events) + 1):
        days = [int(day) for day in answer(events[:number])]
        ax.plot([number] * len(days), days, "s", color=BLUE, ls="none", ms=5)
        if days:
            ax.plot(number, days[-1], "s", color=ORANGE, ls="none", ms=5)
    ax.set(xlabel="events so far", ylabel="days in force")
    return fig, (
        "The days in force after each of nine events, the current one in orange: they grow to five, stay "
        "when day 6 is quarantined, become six with day 7, three after the roll-back, and four with day 8."
    )


IN_FORCE = Exercise(
    id="pipeline.in_force",
    title="What is in force after rolling back",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return the days that are published and not withdrawn, in their order. An event 'published' adds "
    "its day, 'quarantined' adds nothing, and 'rolled back' withdraws all days after its day, or all days "
    "if its day is ''.",
    hints=(
        "Go through the events with a list of days.",
        "days.index(day) is the place of a day; days[: place + 1] keeps it and all before it.",
    ),
    reference=in_force,
    inputs=_force_cases,
    probe=_force_probe,
    numpy=True,
    picture=_force_picture,
    mistakes={
        "A day in quarantine is not published: it adds nothing.": slip(
            'event["event"] == "published"', 'event["event"] != "rolled back"'
        ),
        "Rolling back withdraws the days after its day.": slip(
            'event["event"] == "rolled back"', "False"
        ),
        "The day to which one goes back is in force again: keep it.": slip(
            'days.index(event["day"]) + 1', 'days.index(event["day"])'
        ),
        "Going back to '' withdraws every day.": slip(
            'if event["day"] else []', 'if event["day"] else days'
        ),
        "All days after that day are withdrawn, and not the last one alone.": slip(
            'days[: days.index(event["day"]) + 1]', "days[:-1]"
        ),
        "The days stand in the reverse order. The earliest comes first.": returning("days[::-1]"),
        "This is the current day alone. Return all days in force.": returning("days[-1:]"),
        "One day too many is left: the day to which one goes back is the last one.": slip(
            "+ 1] if", "+ 2] if"
        ),
        "The days before that day are withdrawn, too. They stay in force.": slip(
            'days[: days.index(event["day"]) + 1]', '[event["day"]]'
        ),
        (
            "The days after that day are still there, and the day itself is there twice. Cut the list "
            "after it."
        ): slip('days[: days.index(event["day"]) + 1]', '[*days, event["day"]]'),
        "These are the days in quarantine. Return those in force.": returning(
            "[e['day'] for e in events if e['event'] == 'quarantined']"
        ),
    },
    alternatives=(_force_by_popping, _force_from_the_end, _force_by_slices),
)
