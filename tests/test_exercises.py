"""Every exercise: its judge knows right from wrong, and names the mistake."""

import contextlib
import json
import re
import time
from dataclasses import replace
from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib import exercises
from course_lib.exercises import aliases, assess, checking, get, record
from course_lib.exercises.answers import CodeCell, Wanted, find_answers
from course_lib.exercises.checking import check, try_out
from course_lib.exercises.slips import returning, slip
from course_lib.exercises.submit import lesson_of
from course_lib.exercises.trial import run

ALL = exercises.all_exercises()
EACH = pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
SEED = pytest.mark.parametrize(
    "seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))]
)


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))
    return tmp_path


@EACH
@SEED
def test_the_reference_passes(exercise, seed):
    assert all(verdict.passed for _, verdict in try_out(exercise, exercise.reference, seed))


def test_no_answer_s_time_goes_into_an_import(monkeypatch):
    done = []
    monkeypatch.setattr(checking, "import_module", done.append)
    monkeypatch.setattr(checking, "run", lambda *a: done.append("run") or run(*a))
    exercise = get("vae.train_step")
    try_out(exercise, exercise.reference)
    assert done[:2] == ["torch._dynamo", "run"]


@EACH
@SEED
def test_at_least_three_right_answers_written_otherwise_pass(exercise, seed):
    assert len(exercise.alternatives) >= 3
    for answer in exercise.alternatives:
        failed = [(c.name, v) for c, v in try_out(exercise, answer, seed) if not v.passed]
        assert not failed


@EACH
def test_another_seed_gives_other_numbers_of_the_same_kind(exercise):
    for one, other in zip(exercise.cases(0), exercise.cases(1), strict=True):
        assert (one.name, list(one.inputs)) == (other.name, list(other.inputs))
    for name, value in exercise.cases(0)[-1].inputs.items():
        again = exercise.cases(0)[-1].inputs[name]
        np.testing.assert_array_equal(value, again)
    values = [v for c in exercise.cases(0) for v in c.inputs.values()]
    others = [v for c in exercise.cases(1) for v in c.inputs.values()]
    assert any(not np.array_equal(a, b) for a, b in zip(values, others, strict=True))


@EACH
def test_the_card_is_complete(exercise):
    assert exercise.points > 0 and exercise.minutes > 0 and exercise.difficulty in (1, 2, 3)
    assert len(exercise.hints) >= 2 and exercise.task.endswith(".")
    figure, alt = exercise.picture(exercise.reference)
    plt.close(figure)
    assert len(alt) > 40


def scaled(x, by=2.0):
    """Twice by default, as 2.0 says."""
    twice = by * x
    return twice


@pytest.mark.parametrize(
    ("change", "given"),
    [
        (slip("by * x", "by + x"), 5.0),
        (slip("2.0", "4.0"), 12.0),  # the docstring does not count
        (slip("twice", "product", times=2), 6.0),
        (slip("twice =", "y =", "return twice", "return y"), 6.0),
        (returning("twice - by"), 4.0),
    ],
)
def test_a_slip_is_the_reference_with_something_changed(change, given):
    assert change.of(scaled)(3.0) == given
    assert scaled(3.0) == 6.0


def test_a_slip_keeps_what_the_reference_s_module_defines_and_its_decorators():
    grad_mode = slip("@torch.no_grad()\n", "").of(get("vae.sample").reference)
    assert grad_mode(lambda z: z.requires_grad_(), 2, 3).requires_grad
    assert not get("vae.sample").reference(lambda z: z, 2, 3).requires_grad


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (slip("thrice", "once"), "'thrice' 0 times, and not 1 times"),
        (slip("twice", "y"), "'twice' 2 times, and not 1 times"),
        (slip("by * x", "by + x", times=2), "'by * x' 1 times, and not 2 times"),
    ],
)
def test_a_slip_that_does_not_fit_the_reference_is_refused(change, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        change.of(scaled)(3.0)


def test_a_slip_needs_pairs_of_texts_and_a_reference():
    with pytest.raises(ValueError, match="pairs"):
        slip("by", "to", "x")
    with pytest.raises(ValueError, match="part of an exercise"):
        slip("by", "to")(3.0)


@pytest.mark.parametrize(("numpy", "kind"), [(False, np.float32), (True, np.float64)])
def test_floats_have_32_bits_in_tensors_and_64_in_numpy(numpy, kind):
    inputs = {"a": np.ones(2), "b": [0.5, 1.0], "n": np.arange(3), "x": 0.25, "name": "SGD"}
    (case,) = replace(KL, inputs=lambda seed: {"the case": inputs}, numpy=numpy).cases(0)
    assert case.name == "the case"
    assert [case.inputs[name].dtype for name in "abn"] == [kind, kind, np.int64]
    assert (case.inputs["x"], case.inputs["name"]) == (0.25, "SGD")


def test_an_exercise_in_numpy_gets_and_gives_arrays():
    exercise = get("mode_collapse.mode_counts")
    seen = []

    def counts(samples, centres, sd):
        seen.append(type(samples))
        return exercise.reference(samples, centres, sd).astype(np.int8)

    outcome = run(exercise, counts, exercise.cases(0)[0])
    assert seen == [np.ndarray]
    assert outcome.kinds == {"result": "NumPy array float64"}

    def changes(samples, centres, sd):
        samples[0] = 0
        return exercise.reference(samples, centres, sd)

    assert run(exercise, changes, exercise.cases(0)[0]).mutated == ("samples",)


def stub(*_):
    raise NotImplementedError("write me")


def raises(mu, log_var):
    return mu / log_var.undefined


def endless(mu, log_var):
    while True:
        pass


def endless_that_swallows(mu, log_var):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


def in_place(mu, log_var):
    right = KL.reference(mu, log_var)
    mu.add_(1)
    return right


def gives_nan(mu, log_var):
    return KL.reference(mu, log_var) * torch.nan


def quits(mu, log_var):
    raise SystemExit


def nothing(mu, log_var):
    KL.reference(mu, log_var)


KL = get("vae.kl_divergence")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (raises, "raised AttributeError"),
        (endless, "stopped after"),
        (endless_that_swallows, "stopped after"),
        (in_place, "changed its input `mu` in place"),
        (gives_nan, "NaN values"),
        (quits, "raised SystemExit"),
        (nothing, "forget `return`"),
        (3.0, "this is a float"),
        (KL.reference(torch.ones(2, 2), torch.ones(2, 2)), "this is a Tensor"),
        (lambda: None, "raised TypeError"),
        (lambda mu, log_var: "text", "of the kind “str”"),
        (lambda mu, log_var: KL.reference(mu, log_var).numpy(), "NumPy array float32"),
        (lambda mu, log_var: KL.reference(mu, log_var).double(), "Keep the type"),
        (lambda mu, log_var: KL.reference(mu, log_var).to("meta"), "meta"),
        (lambda mu, log_var: KL.reference(mu, log_var)[:, None], "has another shape"),
        (lambda mu, log_var: (mu, log_var), "2 values"),
        (lambda mu, log_var: {}, "returned nothing"),
        (lambda mu, log_var: {"kl": KL.reference(mu, log_var)}, "a dictionary with the keys “kl”"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_whatever_an_answer_does_there_is_a_sentence(answer, sentence):
    quick = replace(KL, seconds=0.3)
    case = quick.cases(0)[0]
    (verdict,) = assess(quick, [case], [run(quick, answer, case)])
    assert not verdict.passed
    assert sentence in verdict.sentence
    assert "Traceback" not in verdict.sentence and "\n" not in verdict.sentence


def test_the_learners_line_is_shown():
    case = KL.cases(0)[0]
    assert "return mu / log_var.undefined" in run(KL, raises, case).error


def test_the_limit_holds_outside_the_main_thread(tmp_path):
    """There no signal can end a loop, as on Windows."""
    from threading import Thread

    outcomes = []
    quick = replace(KL, seconds=0.3)
    thread = Thread(target=lambda: outcomes.append(run(quick, endless, quick.cases(0)[0])))
    thread.start()
    thread.join(timeout=20)
    assert outcomes and "stopped after 0.3 seconds" in outcomes[0].error


def test_a_learners_interruption_passes_through():
    def interrupted(mu, log_var):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(KL, interrupted, KL.cases(0)[0])


def test_checking_leaves_the_random_generators_alone(capsys):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.randn(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    check("vae.sample", get("vae.sample").reference)
    assert torch.equal(torch.randn(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])


def test_check_returns_the_learners_answer_or_the_reference(capsys):
    right = KL.alternatives[0]
    assert check("vae.kl_divergence", right) is right
    assert "Solved" in capsys.readouterr().out
    wrong = KL.typical_mistakes[0].answer
    assert check("vae.kl_divergence", wrong) is KL.reference
    said = capsys.readouterr().out
    assert "Not right yet" in said and KL.typical_mistakes[0].sentence in said
    assert check("vae.kl_divergence", stub) is KL.reference
    assert "Not solved yet" in capsys.readouterr().out


def test_an_unknown_exercise_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"Did you mean 'vae\.kl_divergence'"):
        check("vae.kl_divergance", stub)


WHAT_IT_COMPUTES = {  # the functions keep their names, by which answers are found
    "diffusion.classifier_free_guidance": "guide",
    "mode_collapse.high_quality_share": "high_quality",
    "cures.minibatch_standard_deviation": "with_deviation",
    "cures.unrolled_discriminator": "unrolled",
    "cures.acceptance_probability": "acceptance",
    "model_collapse.median_variance": "gaussian_median_variance",
    "model_collapse.extinction_probability": "extinction",
    "fidelity.extrapolate_to_infinite_size": "extrapolate",
    "fidelity.frechet_distance": "frechet_of_moments",
    "bias.share_z_score": "share_z",
}


@EACH
def test_an_id_ends_in_the_function_or_in_what_it_computes(exercise):
    name = WHAT_IT_COMPUTES.get(exercise.id, exercise.id.partition(".")[2])
    assert name == exercise.reference.__name__


def test_every_former_id_leads_to_an_exercise():
    known = {exercise.id for exercise in ALL}
    assert set(aliases.FORMER.values()) <= known and not set(aliases.FORMER) & known
    for former, today in aliases.FORMER.items():
        assert get(former) is get(today) and aliases.original(today) == former


def test_a_former_id_still_checks_and_records(own_state, capsys):
    right = KL.alternatives[0]
    assert check("vae.kl", right) is right
    assert exercises.progress().loc["vae.kl_divergence", "solved"] == "yes"


def test_a_record_with_former_ids_still_counts(own_state):
    (own_state / "progress.json").write_text('{"version": 1, "solved": ["vae.kl", "vae.elbo"]}')
    assert exercises.progress().loc["vae.kl_divergence", "solved"] == "yes"
    record.record_solved("vae.sample")
    kept = json.loads((own_state / "progress.json").read_text())["solved"]
    assert kept == ["vae.elbo", "vae.kl_divergence", "vae.sample"]


def test_an_answer_is_found_by_its_former_marker_and_check():
    sources = (
        "# exercise: vae.kl\ndef mine(mu, log_var):\n    return mu",
        "def kl_divergence(mu, log_var):\n    return log_var",
        'kl_divergence = check("vae.kl", kl_divergence)',
    )
    cells = [CodeCell(number, source) for number, source in enumerate(sources, 1)]
    found = find_answers(cells[:1], [Wanted.of(KL)])["vae.kl_divergence"]
    assert (found.found, found.name, found.cell) == ("marker", "mine", 1)
    found = find_answers(cells, [Wanted.of(KL)])["vae.kl_divergence"]
    assert (found.found, found.cell) == ("name", 2)
    assert lesson_of(cells) == "01_vae"


def test_progress_survives_and_a_broken_record_is_put_aside(own_state, capsys):
    assert set(exercises.progress()["solved"]) == {"not yet"}
    check("vae.kl_divergence", KL.reference)
    table = exercises.progress()
    assert table.loc["vae.kl_divergence", "solved"] == "yes"
    assert table.loc["vae.elbo", "solved"] == "not yet"
    (own_state / "progress.json").write_text("{broken")
    assert set(exercises.progress()["solved"]) == {"not yet"}
    assert (own_state / "progress.unreadable.json").read_text() == "{broken"
    assert "put aside" in capsys.readouterr().out


def test_check_goes_on_where_progress_cannot_be_kept(own_state, monkeypatch, capsys):
    (own_state / "file").write_text("")
    monkeypatch.setenv("COURSE_STATE", str(own_state / "file" / "folder"))
    assert check("vae.kl_divergence", KL.reference) is KL.reference
    assert "could not be kept" in capsys.readouterr().out


def html_of(exercise_id, answer, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "course_lib.exercises.checking.display", lambda bundle, raw: shown.append(bundle)
    )
    check(exercise_id, answer)
    return shown[0]["text/html"]


def test_hints_open_one_by_one_and_the_solution_comes_last(monkeypatch):
    html = html_of("vae.kl_divergence", stub, monkeypatch)
    places = [html.index(f"Hint {n} of {len(KL.hints)}") for n in range(1, len(KL.hints) + 1)]
    solution = html.index("return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(dim=-1)")
    assert places == sorted(places) and places[-1] < solution
    assert html.count("<details") == html.count("</details>") == len(KL.hints) + 2


def test_a_reason_that_repeats_is_said_once(monkeypatch):
    mistake = KL.typical_mistakes[0]
    html = html_of("vae.kl_divergence", mistake.answer, monkeypatch)
    assert html.count(escape(mistake.sentence)) == 1


def test_a_solved_exercise_shows_no_hints_and_html_is_escaped(monkeypatch):
    assert "Hint" not in html_of("vae.kl_divergence", KL.reference, monkeypatch)

    def nasty(mu, log_var):
        raise ValueError("<script>alert(1)</script> `<b>`")

    html = html_of("vae.kl_divergence", nasty, monkeypatch)
    assert "<script>" not in html and "<code>&lt;b&gt;</code>" in html
