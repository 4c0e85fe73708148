"""No answer passes without solving its exercise: constants, guesses, other answers' numbers, twins."""

import builtins
import importlib
import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch

from course_lib.exercises import all_exercises, get
from course_lib.exercises.exercise import call
from course_lib.exercises.judge import assess
from course_lib.exercises.trial import Outcome, run
from course_lib.grading.sandbox.engines import hidden_files
from course_lib.grading.sandbox.interpreter import PACKAGE
from course_lib.grading.telling import counted

SEEDS = (1, 2, 3)


# --- answers that are written down ------------------------------------------------------------------


def earned(exercise, cases, outcomes):
    verdicts = assess(unnamed(exercise), cases, outcomes)
    return sum(v.passed for v in counted(exercise, cases, verdicts))


def unnamed(exercise):
    """Without its mistakes, which say why an answer is wrong and not whether it is, and take time."""
    return replace(exercise, mistakes={})


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


@pytest.mark.slow
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
    tried = [(function, inspect.signature(function)) for function in functions(files)]
    for exercise in map(unnamed, exercises):
        case = exercise.cases(5)[-1]
        expected = run(exercise, exercise.reference, case)
        hasty = replace(exercise, seconds=1.0)
        for function, signature in tried:
            for ahead in ((), (None,)):

                def answer(*given, function=function, ahead=ahead):
                    return function(*ahead, *given)

                if exercise.probe is call and not takes(signature, *ahead, *case.inputs):
                    continue
                given = run(hasty, answer, case)
                if not (given.kinds and expected.kinds):
                    continue
                if not assess(exercise, [case], [given])[0].passed:
                    continue
                cases = exercise.cases(5)
                outcomes = [run(hasty, answer, c) for c in cases]
                if earned(exercise, cases, outcomes):
                    found.add((exercise.id, f"{function.__module__}.{function.__qualname__}"))
    return found


def takes(signature, *given):
    try:
        signature.bind(*given)
    except TypeError:
        return False
    return True


@pytest.mark.slow
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
    assert 20 < len(visible) < 70  # the data sets and what starts a session
    assert twins(all_exercises(), visible) == set()


def test_every_exercise_and_every_reference_is_hidden():
    hidden = set(map(str, hidden_files()))
    for exercise in all_exercises():
        for function in (exercise.reference, exercise.inputs, exercise.picture):
            assert inspect.getsourcefile(inspect.unwrap(function)) in hidden
