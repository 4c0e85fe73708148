"""No answer passes without solving its exercise: constants, guesses, copies, twins, bombs."""

import builtins
import csv
import importlib
import inspect
import io
import json
import resource
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from course_lib.cli import main
from course_lib.exercises import all_exercises, get
from course_lib.exercises.answers import Wanted, code_cells, find_answers, fingerprint_of
from course_lib.exercises.exercise import call
from course_lib.exercises.judge import assess
from course_lib.exercises.trial import Outcome, run
from course_lib.grading import bounded_json, command
from course_lib.grading.errors import GradingError
from course_lib.grading.intake.submission import find
from course_lib.grading.policy import choose, final_points
from course_lib.grading.result import Case, Mark, Result
from course_lib.grading.sandbox.engines import PACKAGE, hidden_files
from course_lib.grading.summary import similar
from course_lib.grading.telling import counted

SEEDS = (1, 2, 3)
ANSWER = (
    "# exercise: start.fit_gaussian\nimport torch\ndef fit_gaussian(points):\n"
    "    mean = points.mean(dim=0)\n    return mean, (points - mean).T @ (points - mean) / len(points)\n"
)


def book(source=ANSWER, **more):
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell], **more}


# --- JSON that is larger than it looks --------------------------------------------------------------

BOMBS = {
    "dictionaries": b'[{"":0},' + b'{"":0},' * 3_000_000 + b"0]",
    "lists": b"[" + b"[]," * 8_000_000 + b"0]",
    "numbers": b"[" + b"1," * 12_000_000 + b"1]",
    "keys of one dictionary": b'{"a":0' + b',"a":0' * 4_000_000 + b"}",
    "deep": b"[" * 5_000_000,
    "deep, and closed": b"[" * 800_000 + b"]" * 800_000,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_it_is_parsed(kind):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(bounded_json.TooLargeError):
        bounded_json.loads(BOMBS[kind])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize(
    "text", ["[" + "1," * 500_000, '{"a": "' + "\\\\" * 600_000, '"' + '\\"' * 700_000, "{" * 100]
)
def test_broken_json_is_told_in_a_moment(text):
    with pytest.raises(ValueError):
        bounded_json.loads(text.encode())


def test_a_large_notebook_of_figures_and_text_is_read():
    cells = [{"cell_type": "code", "source": ["a = {}, [], ':'\n"] * 50, "outputs": []}] * 400
    figure = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo" * 500_000}}
    cells.append({"cell_type": "code", "source": '"\\" \\\\', "outputs": [figure]})
    text = json.dumps({"cells": cells}).encode()
    assert len(text) > 4 * 2**20
    assert bounded_json.loads(text) == {"cells": cells}


def test_a_bomb_costs_only_its_own_student_a_mark(tmp_path, walls):
    """The case of the 285 KB zip that took 6.1 GB."""
    whole = json.dumps(book()).encode()
    with zipfile.ZipFile(tmp_path / "week.zip", "w", zipfile.ZIP_DEFLATED) as week:
        week.writestr("aaron_00_start.ipynb", whole)
        week.writestr(
            "mallory_00_start.ipynb", whole[:-1] + b',"x":[' + b'{"":0},' * 7_000_000 + b"0]}"
        )
        week.writestr("zoe_00_start.ipynb", json.dumps(book(ANSWER + "# z")).encode())
    code = (
        "import resource, sys; from course_lib.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4_500_000 * 1024,) * 2)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    call_ = ["grade", str(tmp_path / "week.zip"), "--lesson", "00_start", "--workers", "1"]
    call_ += ["--out", str(tmp_path / "out"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *call_], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    rows = {r["student"]: r for r in table(tmp_path / "out" / "grades.csv")}
    assert (rows["aaron"]["grade"], rows["zoe"]["grade"]) == ("1", "1")
    assert rows["mallory"]["grade"] == "" and "values" in rows["mallory"]["flags"]
    assert len(list((tmp_path / "out" / "feedback").iterdir())) == 3
    assert (tmp_path / "out" / "similar.csv").exists()


def table(file):
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("a fault"), RecursionError()])
def test_a_crash_has_an_exit_status_of_its_own(error, monkeypatch, tmp_path, capsys):
    def crash(*_):
        raise error

    monkeypatch.setattr(command, "grade_class", crash)
    (tmp_path / "jane_00_start.ipynb").write_text(json.dumps(book()))
    call_ = ["grade", str(tmp_path), "--lesson", "00_start", "--out", str(tmp_path / "out")]
    assert main(call_) == 3
    assert "fault in the grader" in capsys.readouterr().err


def test_one_page_that_fails_leaves_the_others(monkeypatch, tmp_path, walls):
    for name in ("ann", "bob", "cem"):
        (tmp_path / f"{name}_00_start.ipynb").write_text(json.dumps(book(ANSWER + f"# {name}")))
    whole = command.feedback.feedback_page

    def page(result, *others):
        if result.student == "bob":
            raise MemoryError
        return whole(result, *others)

    monkeypatch.setattr(command.feedback, "feedback_page", page)
    settings = command.Settings(tmp_path, "00_start", tmp_path / "out", workers=1, progress=False)
    graded = command.grade_class(settings)
    assert ["bob" in notice for notice in graded.notices] == [True]
    assert len(list((tmp_path / "out" / "feedback").iterdir())) == 2


def test_what_is_too_large_is_a_sentence(tmp_path):
    (tmp_path / "jane_00_start.ipynb").write_bytes(b"[" * 2_000_000)
    (submission,) = find(tmp_path, "00_start")
    with pytest.raises(GradingError, match="deep"):
        submission.read()


# --- answers that are written down ------------------------------------------------------------------


def earned(exercise, cases, outcomes):
    return sum(v.passed for v in counted(exercise, cases, assess(exercise, cases, outcomes)))


def average(outcomes):
    """An outcome with the mean of each array, where all have one shape."""
    first = outcomes[0]
    arrays = {}
    for name, array in first.arrays.items():
        others = [o.arrays.get(name, np.zeros(0)) for o in outcomes]
        same = all(other.shape == array.shape for other in others)
        arrays[name] = np.mean(others, axis=0).astype(array.dtype) if same else array
    return Outcome(arrays, first.kinds)


def filled(outcome, value):
    return Outcome({n: np.full_like(a, value) for n, a in outcome.arrays.items()}, outcome.kinds)


@pytest.mark.slow
@pytest.mark.parametrize("exercise", all_exercises(), ids=lambda e: e.id)
def test_nothing_that_was_written_down_earns_a_point(exercise):
    """Neither the answers to other numbers, nor their mean, nor one number for all."""
    right = {
        seed: [run(exercise, exercise.reference, case) for case in exercise.cases(seed)]
        for seed in (0, *SEEDS)
    }
    for seed in SEEDS:
        cases = exercise.cases(seed)
        assert earned(exercise, cases, right[seed]) == len(cases)
        for other in set(right) - {seed}:
            assert earned(exercise, cases, right[other]) == 0, f"seed {other} for {seed}"
        others = [right[other] for other in right if other != seed]
        assert earned(exercise, cases, list(map(average, zip(*others, strict=True)))) == 0
        for value in (0, 1):
            constant = [filled(outcome, value) for outcome in right[seed]]
            assert earned(exercise, cases, constant) == 0, f"all {value}"


def test_an_edge_counts_together_with_a_case_that_tells():
    exercise = get("vae.kl_divergence")
    cases = exercise.cases(7)
    zeros = [filled(run(exercise, exercise.reference, case), 0) for case in cases]
    verdicts = assess(exercise, cases, zeros)
    assert [v.passed for v in verdicts] == [True, False, False, False]
    assert not any(v.passed for v in counted(exercise, cases, verdicts))
    right = run(exercise, exercise.reference, cases[1])
    verdicts = assess(exercise, cases, [zeros[0], right, *zeros[2:]])
    assert [v.passed for v in counted(exercise, cases, verdicts)] == [True, True, False, False]


DRAWS = {
    "uniform": lambda n, k: (torch.rand(n, k) - 0.5) * 12**0.5,
    "coins": lambda n, k: torch.randint(0, 2, (n, k)) * 2.0 - 1,
    "triangular": lambda n, k: (torch.rand(n, k) - torch.rand(n, k)) * 6**0.5,
    "Laplace": lambda n, k: torch.distributions.Laplace(0.0, 0.5**0.5).sample((n, k)),
    "logistic": lambda n, k: (
        torch.logit(torch.rand(n, k).clamp(1e-6, 1 - 1e-6)) * 3**0.5 / torch.pi
    ),
    "one column for all": lambda n, k: torch.randn(n, 1).expand(n, k),
    "one row for all": lambda n, k: torch.randn(1, k).expand(n, k),
    "every row ten times": lambda n, k: torch.randn(n // 10, k).repeat(10, 1),
    "sorted": lambda n, k: torch.randn(n, k).sort(dim=0).values,
    "rounded": lambda n, k: torch.randn(n, k).round(),
}


@pytest.mark.parametrize("draw", DRAWS)
def test_latents_of_standard_deviation_1_are_not_enough(draw):
    exercise = get("vae.sample")

    @torch.no_grad()
    def sample(decoder, count, latent_dim):
        return 16 * torch.sigmoid(decoder(DRAWS[draw](count, latent_dim)))

    for seed in SEEDS:
        cases = exercise.cases(seed)
        assert earned(exercise, cases, [run(exercise, sample, case) for case in cases]) == 0


def test_right_latents_pass_whatever_the_generator_gives():
    exercise = get("vae.sample")

    @torch.no_grad()
    def sample(decoder, count, latent_dim):
        torch.manual_seed(number)
        return 16 * torch.sigmoid(decoder(torch.randn(count, latent_dim)))

    for number in range(40):
        cases = exercise.cases(number + 1)
        assert earned(exercise, cases, [run(exercise, sample, case) for case in cases]) == 2, number


# --- the library's own solutions in other places ----------------------------------------------------


def functions(files):
    """Every function and method of these modules of the library, private ones too."""
    for file in files:
        path = file.relative_to(PACKAGE.parent).with_suffix("")
        name = ".".join(path.parts).removesuffix(".__init__")
        if name.startswith("course_lib.grading") or file.stem == "__main__":
            continue
        module = importlib.import_module(name)
        for thing in vars(module).values():
            if getattr(thing, "__module__", "") != name:
                continue
            if inspect.isfunction(thing):
                yield thing
            if inspect.isclass(thing):
                yield from filter(inspect.isfunction, vars(thing).values())


def twins(exercises, files):
    """Pairs of an exercise and a function that earns a point of it, called as it is or with None for its
    first argument."""
    found = set()
    tried = list(functions(files))
    for exercise in exercises:
        case = exercise.cases(5)[-1]
        expected = run(exercise, exercise.reference, case)
        for function in tried:
            for ahead in ((), (None,)):

                def answer(*given, function=function, ahead=ahead):
                    return function(*ahead, *given)

                try:
                    inspect.signature(function).bind(*ahead, *case.inputs)
                except (TypeError, ValueError):
                    if exercise.probe is call:
                        continue
                given = run(replace(exercise, seconds=1.0), answer, case)
                if not (given.kinds and expected.kinds):
                    continue
                if not assess(exercise, [case], [given])[0].passed:
                    continue
                cases = exercise.cases(5)
                outcomes = [run(replace(exercise, seconds=1.0), answer, c) for c in cases]
                if earned(exercise, cases, outcomes):
                    found.add((exercise.id, f"{function.__module__}.{function.__qualname__}"))
    return found


def test_the_search_finds_twins_among_what_is_hidden():
    exercises = [get("bias.equalized_odds"), get("bias.demographic_parity"), get("tables.one_hot")]
    hidden = [f for f in hidden_files() if f.parent.name in ("audit", "checks", "tabular")]
    found = {exercise for exercise, _ in twins(exercises, hidden)}
    assert {"bias.equalized_odds", "bias.demographic_parity"} <= found


@pytest.mark.slow
def test_what_an_answer_sees_of_the_library_holds_no_solution(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builtins, "input", lambda *_: "")
    visible = sorted(set(PACKAGE.rglob("*.py")) - set(hidden_files()))
    assert 20 < len(visible) < 60
    assert twins(all_exercises(), visible) == set()


def test_every_exercise_and_every_reference_is_hidden():
    hidden = set(map(str, hidden_files()))
    for exercise in all_exercises():
        for function in (exercise.reference, exercise.inputs, exercise.picture):
            assert inspect.getsourcefile(inspect.unwrap(function)) in hidden


# --- many attempts ----------------------------------------------------------------------------------


def attempt(number, points=1.0):
    mark = Mark("start.fit_gaussian", "Fit", points, 3.0, "tag", ())
    return Result("mallory", f"{number}.ipynb", "00_start", (mark,), attempt=number)


@pytest.mark.parametrize(("count", "person"), [(1, False), (3, False), (4, True), (20, True)])
@pytest.mark.parametrize("which", ["best", "last"])
def test_more_than_three_attempts_need_a_person(count, person, which):
    (chosen,) = choose([attempt(n + 1, n % 3) for n in range(count)], which)
    assert chosen.needs_person is person
    assert (final_points(chosen) is None) is person
    (chosen,) = choose([attempt(n + 1) for n in range(count)], which, most=30)
    assert not chosen.needs_person


# --- copies -----------------------------------------------------------------------------------------


def print_of(source, name):
    found = find_answers(code_cells(json.dumps(book(source)).encode()), [Wanted("x", name)])["x"]
    return found.fingerprint


def test_a_copy_stays_one_under_other_names_annotations_and_layout():
    reference = get("bias.equalized_odds").reference
    copy = """
def equalized_odds(wahr, gewaehlt, gruppe):
    "Mine."
    luecken: list = []
    for seite in (0, 1):
        raten = [gewaehlt[(gruppe == k) & (wahr == seite)].mean()
                 for k in np.unique(gruppe)]
        luecken.append((max(raten) - min(raten)))  # a comment
    return float(max(luecken))
"""
    assert print_of(copy, "equalized_odds") == fingerprint_of(reference)
    other = copy.replace("max(raten) - min(raten)", "np.ptp(raten)")
    assert print_of(other, "equalized_odds") != fingerprint_of(reference)


def test_stubs_are_not_alike():
    def result(student, sentence):
        cases = (Case("a", False, 0, 1, sentence),)
        mark = Mark("vae.elbo", "ELBO", 0, 2, "tag", cases, fingerprint="same", length=50)
        return Result(student, f"{student}.ipynb", "01_vae", (mark,))

    stubs = [result(name, "Not solved yet.") for name in "abc"]
    assert len(similar(stubs).splitlines()) == 1
    tries = [result(name, "The sign is wrong.") for name in "de"]
    assert similar([*stubs, *tries]).splitlines()[1:] == ["vae.elbo,50,2,d | e"]
