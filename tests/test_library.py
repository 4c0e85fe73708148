"""The library's parts, one by one, held against definitions, oracles and planted faults."""

import math
import os
import pickle
import random
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from data_sets import EACH_DATASET
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from torch import nn

from course_lib import datasets, devices, explore, plots, session, training
from course_lib.audit.fidelity import frechet_distance, manifold_measures
from course_lib.datasets.augmentation import random_shift
from course_lib.explore.quiz import questions
from course_lib.models import classifier, gaussian, layers, vae
from course_lib.syllabus import course


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    """A state folder of its own for each test, and the figure settings put back after it."""
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("COURSE_PRESET", raising=False)
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def alt_of(html):
    """The descriptions of the pictures in a piece of HTML, as a browser would read them."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tag == "img" and found.append(dict(attrs)["alt"])
    parser.feed(html)
    return found


# --- session -----------------------------------------------------------------------------------


def test_start_prints_one_line_and_hands_over_the_settings(capsys):
    started = session.start("01_vae", preset="cpu", seed=3)
    (line,) = capsys.readouterr().out.splitlines()
    for part in ("01", "Build a VAE", "device cpu", "preset cpu", "seed 3", "min to run"):
        assert part in line
    assert started.settings.vae.steps == course().lessons["01_vae"].presets["cpu"]["vae"]["steps"]
    assert plt.rcParams["image.cmap"] == "gray_r"


def test_an_unknown_lesson_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"Did you mean '01_vae'\? Known: '00_start'"):
        session.start("vae")


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_an_unknown_preset_is_refused_with_the_known_ones(by, monkeypatch):
    monkeypatch.setenv("COURSE_PRESET", "tpu" if by == "environment" else "")
    with pytest.raises(ValueError, match="Known: 'cpu', 'gpu'"):
        session.start("00_start", preset="tpu" if by == "argument" else None)


def test_the_preset_comes_from_argument_environment_hardware_in_this_order(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert session.start("01_vae").preset == "cpu"
    monkeypatch.setenv("COURSE_PRESET", "gpu")
    assert session.start("01_vae").preset == "gpu"
    assert devices.NO_GPU in capsys.readouterr().out
    assert session.start("01_vae", preset="cpu").preset == "cpu"
    monkeypatch.delenv("COURSE_PRESET")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with_gpu = session.start("01_vae")
    assert (with_gpu.preset, with_gpu.device.type) == ("gpu", "cuda")
    assert session.start("01_vae", preset="cpu").device.type == "cpu"


def test_what_a_gpu_does_not_help_stays_on_the_cpu_and_this_is_said(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    small = session.start("05_tables")
    assert (small.preset, small.device.type) == ("gpu", "cpu")
    assert devices.TOO_SMALL in capsys.readouterr().out


def test_a_preset_holds_what_it_changes_of_the_cpu_s():
    cpu, gpu = (course().lessons["05_tables"].settings(preset) for preset in ("cpu", "gpu"))
    changed = course().lessons["05_tables"].presets["gpu"]
    assert gpu.vae.width == cpu.vae.width and gpu.vae.steps == changed["vae"]["steps"]
    assert gpu.vae.steps > cpu.vae.steps
    for lesson in course().lessons.values():
        assert list(repeated(lesson.presets["cpu"], lesson.presets.get("gpu", {}))) == []


def repeated(base, changes):
    """What `changes` says again of `base`."""
    for key, value in changes.items():
        if isinstance(value, dict):
            yield from repeated(base[key], value)
        elif base.get(key) == value:
            yield key


@pytest.mark.parametrize("has_all", [True, False])
def test_apple_s_gpu_is_used_only_where_it_has_every_operation(has_all, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    if has_all:
        monkeypatch.setattr(devices, "fault_of", lambda device: "")
    for preset in (None, "gpu"):
        started = session.start("01_vae", preset=preset)
        assert started.device.type == ("mps" if has_all else "cpu")
        assert ("Apple's GPU cannot do all" in capsys.readouterr().out) is not has_all
        assert started.preset == (preset or "cpu")  # by itself it is no reason for a download
    assert session.start("01_vae", preset="cpu").device.type == "cpu"
    assert session.start("05_tables").device.type == "cpu"


def test_a_device_is_tried_before_it_is_used():
    assert devices.fault_of(torch.device("cpu")) == ""
    assert devices.fault_of(torch.device("meta")) != ""  # tensors without numbers


def test_start_seeds_every_global_generator():
    def draws(seed):
        session.start("00_start", preset="cpu", seed=seed)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draws(1) == draws(1)
    assert not set(draws(1)) & set(draws(2))


@pytest.mark.parametrize(("value", "watching"), [("0", False), ("", False), ("1", True)])
def test_the_environment_says_whether_somebody_is_watching(value, watching, monkeypatch):
    monkeypatch.setenv("COURSE_INTERACTIVE", value)
    assert session.interactive() is watching


# --- training: batches and the loop ------------------------------------------------------------


def test_batches_depend_on_the_seed_alone_and_cover_each_epoch():
    x, y = torch.arange(10), torch.arange(10) * 10

    def first(seed, count=6):
        stream = training.batches([x, y], batch_size=4, seed=seed)
        return [next(stream) for _ in range(count)]

    torch.manual_seed(1)
    one = first(0)
    torch.manual_seed(2)
    for (a, b), (c, d) in zip(one, first(0), strict=True):
        assert torch.equal(a, c) and torch.equal(b, d)
        assert torch.equal(b, a * 10)  # rows stay together
    assert [len(batch[0]) for batch in one] == [4, 4, 2, 4, 4, 2]
    epochs = [torch.cat([batch[0] for batch in part]) for part in (one[:3], one[3:])]
    assert all(torch.equal(epoch.sort().values, x) for epoch in epochs)
    assert not torch.equal(*epochs)
    assert not torch.equal(epochs[0], torch.cat([batch[0] for batch in first(1, 3)]))


@pytest.mark.parametrize("lengths", [(3, 4), (0, 0)])
def test_batches_refuse_parts_that_do_not_fit(lengths):
    with pytest.raises(ValueError, match=f"{lengths[0]}, {lengths[1]}"):
        next(training.batches([torch.zeros(n) for n in lengths], 2, 0))


def test_the_loop_yields_every_step_and_stops_when_the_caller_does():
    calls = []
    loop = training.training_loop(
        lambda x: calls.append(len(x)) or len(calls), [torch.zeros(8)], steps=5, batch_size=3
    )
    steps = []
    for step in loop:
        steps.append(step)
        if step.number == 3:
            break
    assert [(s.number, s.total, s.losses) for s in steps] == [
        (1, 5, {"loss": 1.0}),
        (2, 5, {"loss": 2.0}),
        (3, 5, {"loss": 3.0}),
    ]
    assert calls == [3, 3, 2] and not steps[-1].last
    last = training.finish(loop)
    assert last.number == 5 and last.last and len(calls) == 5


def test_no_steps_are_no_steps():
    def never(x):
        raise AssertionError("called")

    assert list(training.training_loop(never, [torch.zeros(8)], steps=0)) == []


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_training(bad):
    losses = iter([1.0, bad])
    loop = training.training_loop(
        lambda x: {"a": torch.tensor(1.0), "b": next(losses)}, [torch.zeros(4)], steps=9
    )
    with pytest.raises(FloatingPointError, match=r"Step 2 .*learning rate"):
        training.finish(loop)


def test_the_moving_average_follows_its_formula():
    model = nn.Linear(1, 1, bias=False)
    ema = training.ema_of(model, decay=0.8)
    weights = [3.0, 5.0, -1.0]

    def step(_):
        nn.init.constant_(model.weight, next(values))
        return 0.0

    values = iter(weights)
    training.finish(training.training_loop(step, [torch.zeros(2)], steps=3, ema=ema, model=model))
    expected = weights[0]
    for weight in weights[1:]:
        expected = 0.8 * expected + 0.2 * weight
    assert ema.module.weight.item() == pytest.approx(expected)


def test_the_schedulers_advance_with_every_step():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    loop = training.training_loop(lambda _: 0.0, [torch.zeros(2)], steps=3, schedulers=[scheduler])
    training.finish(loop)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.125)


@pytest.mark.parametrize(("clip", "moved"), [(None, 10.0), (2.0, 2.0), (20.0, 10.0)])
def test_gradients_are_clipped_to_the_norm(clip, moved):
    weight = nn.Parameter(torch.zeros(4))
    weight.grad = torch.full((4,), 1e6)  # of an earlier step: must not count
    optimizer = torch.optim.SGD([weight], lr=1.0)
    loss = training.gradient_step((weight * 5.0).sum() + 7, optimizer, clip_norm=clip)
    assert loss == 7.0
    assert weight.detach().norm().item() == pytest.approx(moved, rel=1e-4)


# --- training: checkpoints ---------------------------------------------------------------------

KEY = {"seed": 0, "data": training.fingerprint(np.arange(3)), "steps": 10}


class Trainer:
    """Counts how often it was asked to train; every training gives other weights."""

    def __init__(self):
        self.count = 0

    def load_or_train(self, key=KEY, model=None, folder=None):
        model = model or nn.Linear(2, 1)

        def train():
            self.count += 1
            for parameter in model.parameters():
                nn.init.constant_(parameter, self.count)

        return training.load_or_train("test", model, train, key, folder)

    @property
    def file(self):
        (file,) = (session.state_folder() / "checkpoints").iterdir()
        return file


@pytest.fixture
def trainer():
    return Trainer()


def test_a_checkpoint_that_fits_is_used(trainer, capsys):
    trained = trainer.load_or_train()
    loaded = trainer.load_or_train()
    assert trainer.count == 1
    assert torch.equal(trained.weight, loaded.weight) and torch.equal(trained.bias, loaded.bias)
    assert "taken from the checkpoint" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"steps": 11}, {"data": training.fingerprint(np.arange(1, 4))}], ids=str
)
def test_another_key_trains_anew_and_leaves_the_first_alone(trainer, change):
    trainer.load_or_train()
    assert trainer.load_or_train({**KEY, **change}).weight[0, 0] == 2
    assert trainer.load_or_train().weight[0, 0] == 1


def test_another_architecture_or_version_trains_anew(trainer, monkeypatch):
    for activation in (nn.ReLU(), nn.Tanh()):  # weights of one shape
        trainer.load_or_train(model=nn.Sequential(nn.Linear(2, 1), activation))
    assert trainer.count == 2
    monkeypatch.setattr(training, "__version__", "another")
    trainer.load_or_train(model=nn.Sequential(nn.Linear(2, 1), nn.ReLU()))
    assert trainer.count == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(4), np.zeros(5)),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(4), np.zeros(4, np.float32)),
        (np.zeros(4), np.full(4, 1e-300)),
    ],
)
def test_a_fingerprint_tells_data_apart(one, other):
    assert training.fingerprint(one) == training.fingerprint(torch.from_numpy(one.copy()))
    assert training.fingerprint(one) != training.fingerprint(other)


def test_a_fingerprint_tells_tables_apart():
    table = pd.DataFrame({"age": [30, 40], "sex": ["f", "m"]})
    assert training.fingerprint(table) == training.fingerprint(table.set_index([[5, 6]]))
    for other in (
        table.rename(columns={"age": "years"}),
        table.assign(age=[30, 41]),
        table.astype({"age": float}),
        table[::-1],
    ):
        assert training.fingerprint(table) != training.fingerprint(other)


class Bomb:
    """A pickle of it runs a command when it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'echo > "{self.marker}"',)


def truncate(file, _):
    file.write_bytes(file.read_bytes()[:-50])


def of_another_key(file, _):
    torch.save({**torch.load(file), "key": "another"}, file)


def of_another_shape(file, _):
    content = torch.load(file)
    torch.save({**content, "state": nn.Linear(7, 1).state_dict()}, file)


def bomb_in_a_pickle(file, marker):
    file.write_bytes(pickle.dumps(Bomb(marker)))


def bomb_in_a_checkpoint(file, marker):
    torch.save({"key": torch.load(file)["key"], "state": Bomb(marker)}, file)


DAMAGES = [
    lambda file, _: file.write_bytes(b""),
    lambda file, _: file.write_bytes(b"neither a pickle nor a zip"),
    lambda file, _: torch.save([1, 2], file),
    truncate,
    of_another_key,
    of_another_shape,
    bomb_in_a_pickle,
    bomb_in_a_checkpoint,
]
NAMES = ["empty", "garbage", "foreign", *(damage.__name__ for damage in DAMAGES[3:])]


@pytest.mark.parametrize("damage", DAMAGES, ids=NAMES)
def test_a_bad_checkpoint_is_never_run_and_trained_anew(trainer, damage, tmp_path, capsys):
    marker = tmp_path / "boom"
    trainer.load_or_train()
    damage(trainer.file, marker)
    assert trainer.load_or_train().weight[0, 0] == 2
    assert not marker.exists()
    assert "cannot be used (" in capsys.readouterr().out
    assert trainer.load_or_train().weight[0, 0] == 2 and trainer.count == 2  # repaired


def test_the_bomb_is_a_real_one(trainer, tmp_path):
    marker = tmp_path / "boom"
    trainer.load_or_train()
    bomb_in_a_checkpoint(trainer.file, marker)
    torch.load(trainer.file, weights_only=False)
    assert marker.exists()


def test_the_moving_average_is_taken_over(trainer):
    def average(model):
        ema = training.ema_of(model, 0.5)
        nn.init.constant_(ema.module.weight, 9.0)
        return ema

    for returned in (average, lambda model: average(model).module):
        model = nn.Linear(2, 1)
        name = f"ema-{returned.__name__}"
        training.load_or_train(name, model, lambda m=model, r=returned: r(m), {"name": name})
        assert (model.weight == 9).all()


def test_an_interrupted_training_or_write_leaves_nothing(trainer, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.load_or_train("test", nn.Linear(2, 1), interrupted, KEY)
    assert not (session.state_folder() / "checkpoints").exists()

    def half(content, stream):
        stream.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(torch, "save", half)
        trainer.load_or_train()
    assert list((session.state_folder() / "checkpoints").iterdir()) == []
    trainer.load_or_train()
    assert trainer.file.suffix == ".pt"


def test_a_full_disk_keeps_the_older_checkpoint_whole_and_goes_on(trainer, monkeypatch, capsys):
    trainer.load_or_train()
    before = trainer.file.read_bytes()

    def full(content, stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        trainer.load_or_train({**KEY, "seed": 1})
    assert trainer.file.read_bytes() == before
    assert "could not be kept" in capsys.readouterr().out


def test_training_goes_on_where_nothing_can_be_written(trainer, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert trainer.load_or_train(folder=tmp_path / "file" / "folder").weight[0, 0] == 1
    assert "could not be kept" in capsys.readouterr().out


# --- plots -------------------------------------------------------------------------------------


@pytest.mark.parametrize("alt", ["", "  \n", None])
def test_a_figure_without_description_is_refused(alt):
    with pytest.raises(ValueError, match="needs a description"):
        plots.show(plt.figure(), alt=alt)


def test_a_description_reaches_the_page_whole_and_the_figure_is_closed():
    alt = 'Loss < 1 & "falling" <b>fast</b>'
    content = plots.bundle(plt.figure(), f" {alt} ")
    assert alt_of(content["text/html"]) == [alt]
    assert content["text/plain"] == alt
    assert content["image/png"] in content["text/html"]
    assert plt.get_fignums() == []


@pytest.fixture
def displays(monkeypatch):
    """What was displayed: a list of [first content, later contents ...], one for each handle."""
    shown = []

    def display(content, raw, display_id=False):
        assert raw
        shown.append([content])
        return SimpleNamespace(update=lambda content, raw: shown[-1].append(content))

    monkeypatch.setattr(plots, "display", display)
    return shown


def train_with_dashboard(steps, samples=None, every=0.0):
    with plots.Dashboard("VAE", every=every) as dashboard:
        for step in training.training_loop(lambda _: 2.0, [torch.zeros(2)], steps=steps):
            dashboard.update(step, samples=samples, extra={"held out": 3.0})


def test_the_dashboard_draws_once_when_nobody_is_watching(displays):
    calls = []
    train_with_dashboard(4, samples=lambda: calls.append(1) or np.zeros((2, 8, 8)))
    ((content,),) = displays
    assert len(calls) == 1
    for part in ("VAE: step 4 of 4", "loss 2", "held out 3", "2 samples"):
        assert part in content["text/plain"]


def test_the_dashboard_redraws_in_one_place_when_somebody_is_watching(displays, monkeypatch):
    monkeypatch.setenv("COURSE_INTERACTIVE", "1")
    train_with_dashboard(3)
    (contents,) = displays
    assert [c["text/plain"][:16] for c in contents[:3]] == [
        f"VAE: step {n} of 3" for n in (1, 2, 3)
    ]
    assert all(alt_of(content["text/html"]) for content in contents)


def test_the_dashboard_does_not_redraw_too_often(displays, monkeypatch):
    monkeypatch.setenv("COURSE_INTERACTIVE", "1")
    train_with_dashboard(20, every=60.0)
    assert [len(contents) for contents in displays] == [2]  # the first step and the end


def test_the_dashboard_shows_what_was_reached_before_a_failure(displays):
    with pytest.raises(KeyboardInterrupt), plots.Dashboard("VAE") as dashboard:
        dashboard.update(training.Step(1, 9, {"loss": 1.0}))
        raise KeyboardInterrupt
    assert "step 1 of 9" in displays[0][0]["text/plain"]


@pytest.mark.parametrize("shape", [(3, 64), (8, 8), (0, 8, 8), (2, 1, 8, 8)])
def test_an_image_grid_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"\(n, height, width\)"):
        plots.image_grid(np.zeros(shape))


def test_an_image_grid_holds_every_image_in_its_place():
    images = np.arange(1, 6).reshape(5, 1, 1) * np.ones((5, 2, 2))
    sheet = np.asarray(plots.image_grid(images, columns=3).axes[0].images[0].get_array())
    assert sheet.shape == (2 * 3 + 1, 3 * 3 + 1)
    assert [sheet[1, 1], sheet[2, 5], sheet[1, 8], sheet[4, 1], sheet[5, 5]] == [1, 2, 3, 4, 5]


# --- explore and quiz --------------------------------------------------------------------------


def test_explore_draws_once_with_the_defaults_and_again_when_a_control_moves():
    calls = []

    def figure(size, kind):
        calls.append((size, kind))
        return plt.figure(), f"{kind} of size {size:g}"

    slider = widgets.FloatSlider(value=2.5, max=10, description="how large")
    menu = widgets.Dropdown(options=["ring", "grid"])
    box = explore.explore(figure, size=slider, kind=menu)
    assert calls == [(2.5, "ring")]
    assert not slider.continuous_update
    readout, picture = box.children[-2:]
    assert alt_of(picture.value) == ["ring of size 2.5"]
    assert "how large: 2.5; kind: ring" in readout.value
    slider.value = 4
    menu.value = "grid"
    assert calls[1:] == [(4, "ring"), (4, "grid")]
    assert alt_of(picture.value) == ["grid of size 4"] and "how large: 4" in readout.value
    assert plt.get_fignums() == []


def test_an_error_in_the_figure_stops_the_cell_and_is_shown_later():
    def figure(x):
        if x > 1:
            raise KeyError("<boom>")
        return plt.figure(), "fine"

    with pytest.raises(KeyError):
        explore.explore(figure, x=widgets.IntSlider(value=2))
    slider = widgets.IntSlider(value=0)
    picture = explore.explore(figure, x=slider).children[-1]
    with pytest.raises(KeyError):
        slider.value = 3
    assert "&lt;boom&gt;" in picture.value
    slider.value = 1
    assert alt_of(picture.value) == ["fine"]


def test_explore_refuses_a_figure_without_description():
    with pytest.raises(ValueError, match="needs a description"):
        explore.explore(lambda: (plt.figure(), ""))


def test_the_quiz_answers_every_choice_and_keeps_the_score():
    asked = questions("00_start")
    *blocks, score = explore.quiz("00_start").children
    for number, (question, block) in enumerate(zip(asked, blocks, strict=True), start=1):
        title, choices, feedback = block.children
        assert f"<b>{number}. " in title.value and choices.value is None
        wrong = next(option for option in question.options if option != question.right)
        choices.value = wrong
        assert "Not quite." in feedback.value and escape(question.options[wrong]) in feedback.value
        assert f"{number - 1} of {len(asked)}" in score.value
        choices.value = question.right
        assert "Right." in feedback.value
        assert f"{number} of {len(asked)}" in score.value


def test_an_unknown_quiz_is_refused():
    with pytest.raises(ValueError, match="Did you mean '00_start'"):
        explore.quiz("00_star")


# --- audit: the Frechet distance -----------------------------------------------------------------


@pytest.mark.parametrize(("d", "n"), [(16, 1000), (64, 1000)])
def test_frechet_distance_of_one_law_is_its_known_bias(d, n):
    """E ~ (d^2 + 5d) / (2n) for two samples of N(0, I_d); averaged over five seeds."""
    values = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        values.append(frechet_distance(*rng.standard_normal((2, n, d))))
    assert np.mean(values) == pytest.approx((d**2 + 5 * d) / (2 * n), rel=0.06)


def test_frechet_distance_of_planted_changes_is_exact(rng):
    x = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5))
    shift = np.array([3.0, 0, -1, 0, 2])
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + shift) == pytest.approx(14, rel=1e-9)
    centred = x - x.mean(axis=0)
    variance = np.trace(np.cov(x, rowvar=False))  # ddof = 1
    assert frechet_distance(centred, 3 * centred) == pytest.approx(4 * variance, rel=1e-9)


def test_frechet_distance_of_covariances_that_do_not_commute(rng):
    """Against the formula with the matrix root taken by scipy."""
    from scipy.linalg import sqrtm

    x, y = rng.standard_normal((400, 4)), rng.standard_normal((500, 4)) @ rng.random((4, 4))
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(
        cov_x + cov_y - 2 * np.real(sqrtm(cov_x @ cov_y))
    )
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_bears_features_without_full_rank(rng):
    few = rng.standard_normal((10, 40))
    constant = np.hstack([rng.standard_normal((200, 3)), np.ones((200, 2))])
    for x in (few, constant):
        assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
        assert frechet_distance(x, x + 1) == pytest.approx(x.shape[1], rel=1e-6)
    assert frechet_distance(np.zeros((5, 1)), np.ones((5, 1))) == pytest.approx(1)


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (np.zeros(5), np.zeros(5), "two matrices"),
        (np.zeros((5, 2)), np.zeros((5, 3)), "one width"),
        (np.zeros((1, 2)), np.zeros((5, 2)), "at least two rows"),
        (np.zeros((5, 2)), np.full((5, 2), np.nan), "not finite"),
    ],
)
def test_frechet_distance_refuses_bad_features(real, generated, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(real, generated)


# --- models ------------------------------------------------------------------------------------


def test_the_gaussian_is_the_maximum_likelihood_fit():
    points = torch.randn(50, 3) @ torch.randn(3, 3) + 2
    mean, covariance = gaussian.fit_gaussian(points)
    torch.testing.assert_close(mean, points.mean(0))
    torch.testing.assert_close(covariance, points.T.cov(correction=0))


def test_an_mlp_has_the_sizes_asked_for():
    model = layers.mlp(4, 8, 6, 2, dropout=0.5)
    linear = [m for m in model if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(4, 8), (8, 6), (6, 2)]
    assert [type(m).__name__ for m in model].count("Dropout") == 2
    assert isinstance(model[-1], nn.Linear) and len(layers.mlp(3, 2)) == 1


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 17, (30, 64), generator=generator).float()
    mu, log_var = torch.randn(2, 30, 4, generator=generator)
    return SimpleNamespace(x=x, mu=mu, log_var=log_var, y=torch.arange(30) % 10)


@pytest.mark.parametrize("levels", [16, 30])
def test_the_likelihood_is_torch_s_binomial(batch, levels):
    logits = torch.linspace(-30, 30, 30 * 64).reshape(30, 64)
    binomial = torch.distributions.Binomial(levels, logits=logits.double())
    torch.testing.assert_close(
        vae.log_likelihood(batch.x.double(), logits.double(), levels),
        binomial.log_prob(batch.x.double()).sum(-1),
    )


def test_the_likelihood_sums_to_one_over_the_grey_levels():
    x = torch.arange(17.0)[:, None]
    total = vae.log_likelihood(x, torch.full((17, 1), 0.7)).exp().sum()
    assert total.item() == pytest.approx(1, rel=1e-5)


def test_the_divergence_is_torch_s_and_the_mean_over_samples(batch):
    q = torch.distributions.Normal(batch.mu, torch.exp(0.5 * batch.log_var))
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = vae.kl_divergence(batch.mu, batch.log_var)
    torch.testing.assert_close(kl, torch.distributions.kl_divergence(q, prior).sum(-1))
    torch.manual_seed(0)
    z = q.sample((20_000,))
    log_ratio = (q.log_prob(z) - prior.log_prob(z)).sum(-1)
    standard_error = log_ratio.std(0) / math.sqrt(len(z))
    assert ((log_ratio.mean(0) - kl).abs() < 5 * standard_error).all()


def test_a_reparameterised_sample_has_the_right_law_and_passes_gradients(batch):
    torch.manual_seed(0)
    noise = torch.randn(40_000, 30, 4)
    z = vae.reparameterize(batch.mu, batch.log_var, noise)
    torch.testing.assert_close(z.mean(0), batch.mu, atol=0.1, rtol=0)
    torch.testing.assert_close(z.var(0), batch.log_var.exp(), atol=0.02, rtol=0.05)
    log_var = torch.zeros(1, 1, requires_grad=True)
    vae.reparameterize(torch.zeros(1, 1), log_var, torch.full((1, 1), 2.0)).sum().backward()
    assert log_var.grad.item() == pytest.approx(1.0)  # d/dv exp(v/2) 2 at v = 0


@pytest.mark.parametrize("classes", [0, 10])
def test_the_bound_of_the_model_is_its_parts_put_together(batch, classes):
    torch.manual_seed(0)
    model = vae.VAE(latent_dim=4, width=16, classes=classes).eval()
    y = batch.y if classes else None
    noise = torch.randn(30, 4)
    mu, log_var = model.encode(batch.x, y)
    logits = model.decode(mu + torch.exp(log_var / 2) * noise, y)
    binomial = torch.distributions.Binomial(16, logits=logits)
    expected = binomial.log_prob(batch.x).sum(-1) - 3 * vae.kl_divergence(mu, log_var)
    torch.testing.assert_close(model.elbo(batch.x, y, beta=3.0, noise=noise), expected)
    torch.testing.assert_close(vae.elbo(batch.x, logits, mu, log_var, beta=3.0), expected)


def test_a_conditional_model_is_told_the_class_and_others_are_not(batch):
    told, untold = vae.VAE(4, 16, classes=10), vae.VAE(4, 16)
    with pytest.raises(ValueError, match="is conditional: say which class"):
        told.elbo(batch.x)
    with pytest.raises(ValueError, match="is conditional"):
        told.sample(3)
    with pytest.raises(ValueError, match="not conditional"):
        untold.elbo(batch.x, batch.y)
    noise = torch.randn(30, 4)
    one, other = told.sample(30, batch.y, noise), told.sample(30, (batch.y + 1) % 10, noise)
    assert one.shape == (30, 64) and not torch.equal(one, other)
    assert one.min() >= 0 and one.max() <= 16


def test_the_importance_weighted_bound_tightens_and_reaches_the_truth(batch):
    """With a decoder that ignores z, log p(x) is known: the likelihood itself."""
    torch.manual_seed(0)
    model = vae.VAE(latent_dim=4, width=16).eval()
    nn.init.zeros_(model.decoder[-1].weight)
    nn.init.constant_(model.encoder[-1].bias, 0.5)  # q is another law than the prior
    truth = vae.log_likelihood(batch.x, model.decode(torch.zeros(30, 4)))
    weights = model.log_weights(batch.x, 3000)
    assert weights.shape == (3000, 30)
    bounds = [
        torch.stack([vae.importance_weighted_bound(part) for part in weights.split(k)]).mean(0)
        for k in (1, 10, 100, 3000)
    ]
    for looser, tighter in pairwise(bounds):
        assert tighter.mean() > looser.mean()
    kl = vae.kl_divergence(*model.encode(batch.x))
    torch.testing.assert_close(bounds[0], truth - kl, atol=0.1, rtol=0)
    torch.testing.assert_close(bounds[-1], truth, atol=0.1, rtol=0)


def test_active_units_are_those_that_vary():
    mu = torch.randn(500, 4) * torch.tensor([1.0, 0.05, 0.5, 0.0]) + torch.tensor([0, 0, 0, 3.0])
    assert vae.active_units(mu) == 2
    assert vae.active_units(mu, threshold=1e-4) == 3


def test_fitting_raises_the_bound_and_depends_on_the_seed_alone():
    x = torch.from_numpy(datasets.load("digits").train.x[:100]).flatten(1)
    settings = SimpleNamespace(steps=60, batch_size=10, learning_rate=1e-2, beta=1.0, shift=0.3)

    def fitted(seed):
        torch.manual_seed(seed)
        model = vae.VAE(latent_dim=2, width=16)
        losses = [s.losses["loss"] for s in vae.fit(model, [x], settings, seed=seed)]
        assert not model.training
        return losses

    one = fitted(1)
    assert np.mean(one[-10:]) < 0.8 * np.mean(one[:3])
    assert one == fitted(1) and one != fitted(2)


def test_the_judge_leaves_the_caller_s_randomness_alone_and_is_kept(monkeypatch, capsys):
    monkeypatch.setitem(classifier.SETTINGS, "steps", 2)
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    judge = classifier.digit_judge()
    assert torch.equal(torch.rand(2), expected)
    again = classifier.digit_judge()
    assert "taken from the checkpoint" in capsys.readouterr().out
    images = torch.rand(5, 8, 8) * 16
    assert torch.equal(judge.features(images), again.features(images.flatten(1)))
    assert judge.features(images).shape == (5, 64)
    assert judge.accuracy(images, judge.predict(images)) == 1.0


# --- datasets ----------------------------------------------------------------------------------


def test_the_digits_are_split_as_stated():
    digits = datasets.load("digits")
    assert len(digits.train.x) == 1197 and len(digits.held_out.x) == 600
    assert digits.train.x.shape[1:] == (8, 8)
    assert (digits.train.x.dtype, digits.train.y.dtype) == (np.float32, np.int64)
    assert digits.train.x.min() == 0 and digits.train.x.max() == 16
    # Every digit of the collection is in exactly one part.
    both = np.concatenate([part.x.reshape(-1, 64) for part in (digits.train, digits.held_out)])
    original = load_digits().data
    assert sorted(map(tuple, both)) == sorted(map(tuple, original))
    # Stratified: each digit has the same share of both parts, as nearly as whole numbers go.
    counts = np.bincount(np.concatenate([digits.train.y, digits.held_out.y]))
    np.testing.assert_allclose(np.bincount(digits.held_out.y), counts * 600 / 1797, atol=1)


@EACH_DATASET
def test_data_are_the_same_every_time(name, split):
    np.random.seed(1)
    one = datasets.load(name, split)
    np.random.seed(2)
    other = datasets.load(name, split)
    for part in ("train", "held_out"):
        if isinstance(one, datasets.TableDataset):
            pd.testing.assert_frame_equal(getattr(one, part), getattr(other, part))
            continue
        np.testing.assert_array_equal(getattr(one, part).x, getattr(other, part).x)
        np.testing.assert_array_equal(getattr(one, part).y, getattr(other, part).y)


def test_the_real_tables_are_those_of_scikit_learn_under_readable_names():
    cancer, patients = datasets.load("breast_cancer"), datasets.load("diabetes")
    for data, original, target in (
        (cancer, load_breast_cancer(), "malignant"),
        (patients, load_diabetes(scaled=False), "progression"),
    ):
        assert data.label == target and list(data.train) == list(data.held_out)
        both = pd.concat([data.train, data.held_out]).astype(float)
        flipped = 1 - original.target if target == "malignant" else original.target
        expected = np.column_stack([original.data, flipped])
        assert sorted(map(tuple, both.to_numpy())) == sorted(map(tuple, expected))
    assert cancer.train["malignant"].dtype == bool
    malignant = [part["malignant"].mean() for part in (cancer.train, cancer.held_out)]
    np.testing.assert_allclose(malignant, 212 / 569, atol=1 / 169)
    assert set(patients.train["sex"]) == {"1", "2"}  # codes, not numbers


def test_what_the_cards_say_of_the_real_tables_holds():
    patients, cancer = (
        pd.concat([data.train, data.held_out])
        for data in (datasets.load("diabetes"), datasets.load("breast_cancer"))
    )
    triglycerides = np.exp(patients["log_triglycerides"])
    ldl = patients["total_cholesterol"] - patients["hdl"] - triglycerides / 5
    assert (np.abs(ldl - patients["ldl"]) < 0.01).sum() == 438
    assert (cancer["mean_perimeter"] ** 2 / cancer["mean_area"] - 1).min() > 11
    assert cancer["mean_compactness"].between(0.019, 0.35).all()
    flat = cancer[["mean_concavity", "concavity_error", "worst_concavity"]] == 0
    assert flat.all(axis=1).sum() == 13


def test_unknown_data_and_cards_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="Did you mean 'digits'"):
        datasets.load("digit")
    with pytest.raises(ValueError, match=r"Known: 'adult', .*'moons'"):
        datasets.card("cifar10")


@pytest.mark.parametrize("shape", [(400, 64), (400, 8, 8)])
def test_a_shift_moves_by_at_most_a_pixel_and_as_often_as_asked(shape):
    torch.manual_seed(0)
    images = torch.zeros(400, 8, 8)
    images[:, 3, 4] = 1.0
    assert torch.equal(random_shift(images, 0.0), images)
    moved = random_shift(images.reshape(shape), 0.5)
    assert moved.shape == shape
    _, rows, columns = moved.reshape(400, 8, 8).nonzero(as_tuple=True)
    assert len(rows) == 400  # each image still has its one dot
    offsets = {(r - 3, c - 4) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)}
    assert offsets == {(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    share = ((rows != 3) | (columns != 4)).float().mean().item()
    assert share == pytest.approx(0.5 * 8 / 9, abs=0.1)


def test_a_shift_fills_with_paper_and_drops_what_leaves():
    torch.manual_seed(0)
    totals = random_shift(torch.ones(200, 8, 8), 1.0).sum(dim=(1, 2))
    assert set(totals.tolist()) == {64.0, 56.0, 49.0}


def test_other_images_get_the_grey_levels_of_the_digits():
    x = np.array([[[0.0, 255.0], [128.0, 15.0]]], np.float32)
    held_out = datasets.Split(np.zeros_like(x), np.zeros(1))
    images = datasets.Dataset("some", datasets.Split(x, np.zeros(1)), held_out).with_levels(16)
    np.testing.assert_array_equal(images.train.x, [[[0, 16], [8, 1]]])
    assert images.train.x.dtype == np.float32 and images.held_out.x.max() == 0
    digits = datasets.load("digits")
    np.testing.assert_array_equal(digits.with_levels(16).held_out.x, digits.held_out.x)


def test_watching_a_training_does_not_change_it(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_INTERACTIVE", "1")
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with plots.Dashboard("watched", every=0.0) as dashboard:
        dashboard.update(training.Step(1, 2, {"loss": 1.0}), lambda: torch.rand(4, 8, 8))
    torch.testing.assert_close(torch.rand(2), expected)


# --- precision, recall, density, coverage ------------------------------------------------------


@pytest.mark.parametrize(
    ("d", "expected"),
    [(2, (0.993, 0.998, 0.985, 0.968)), (64, (0.68, 0.70, 0.92, 0.967))],
)
def test_manifold_measures_of_one_law_are_the_published_ones(d, expected):
    """k = 5, n = 2000: the mean of five seeds, against values measured with the prdc library. In 64
    dimensions single draws scatter by 0.02 (precision, recall) and 0.05 (density)."""
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        found.append(manifold_measures(rng.normal(size=(2000, d)), rng.normal(size=(2000, d))))
    tolerances = {"precision": 0.04, "recall": 0.04, "density": 0.1, "coverage": 0.02}
    for (name, tolerance), value in zip(tolerances.items(), expected, strict=True):
        assert np.mean([f[name] for f in found]) == pytest.approx(value, abs=tolerance)


def test_a_shrunken_generator_fools_density_and_not_recall():
    rng = np.random.default_rng(0)
    real, shrunk = rng.normal(size=(1000, 64)), 0.5 * rng.normal(size=(1000, 64))
    found = manifold_measures(real, shrunk)
    assert found["precision"] == 1 and found["recall"] == 0 and found["density"] > 50


def test_manifold_measures_refuse_what_they_cannot_measure():
    with pytest.raises(ValueError, match="one width"):
        manifold_measures(np.zeros((9, 2)), np.zeros((9, 3)))
    with pytest.raises(ValueError, match="more than k"):
        manifold_measures(np.zeros((5, 2)), np.zeros((9, 2)))
