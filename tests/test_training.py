"""One training loop, and the checkpoints that save it."""

import math
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from course_lib import files, training

pytestmark = pytest.mark.usefixtures("own_settings")


# --- batches and the loop ----------------------------------------------------------------------


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
    training.finish(training.training_loop(step, [torch.zeros(2)], steps=3, ema=ema))
    expected = weights[0]
    for weight in weights[1:]:
        expected = 0.8 * expected + 0.2 * weight
    assert ema.module.weight.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("lr_schedule", "rates"),
    [("constant", [2, 2, 2, 2]), ("cosine", [1 + 0.5**0.5, 1, 1 - 0.5**0.5, 0])],
)
def test_the_learning_rates_follow_the_schedule(lr_schedule, rates):
    optimizers = [torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0) for _ in range(2)]

    def step(_):
        for each in optimizers:
            each.step()
        return 0.0

    options = {"optimizers": optimizers, "lr_schedule": lr_schedule}
    for at, _ in enumerate(training.training_loop(step, [torch.zeros(2)], steps=4, **options)):
        found = [each.param_groups[0]["lr"] for each in optimizers]
        assert found == pytest.approx([rates[at]] * 2, abs=1e-12)


@pytest.mark.parametrize(
    ("lr_schedule", "said"),
    [("cosin", "Did you mean 'cosine'"), ("cosine", "needs the optimizers")],
)
def test_a_schedule_without_effect_is_refused(lr_schedule, said):
    loop = training.training_loop(lambda _: 0.0, [torch.zeros(2)], steps=3, lr_schedule=lr_schedule)
    with pytest.raises(ValueError, match=said):
        next(loop)


@pytest.mark.parametrize(("clip", "moved"), [(None, 10.0), (2.0, 2.0), (20.0, 10.0)])
def test_gradients_are_clipped_to_the_norm(clip, moved):
    weight = nn.Parameter(torch.zeros(4))
    weight.grad = torch.full((4,), 1e6)  # of an earlier step: must not count
    optimizer = torch.optim.SGD([weight], lr=1.0)
    loss = training.gradient_step((weight * 5.0).sum() + 7, optimizer, clip_norm=clip)
    assert loss == 7.0
    assert weight.detach().norm().item() == pytest.approx(moved, rel=1e-4)


# --- checkpoints -------------------------------------------------------------------------------


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
        (file,) = (files.state_folder() / "checkpoints").iterdir()
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
    assert not (files.state_folder() / "checkpoints").exists()

    def half(content, stream):
        stream.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(torch, "save", half)
        trainer.load_or_train()
    assert list((files.state_folder() / "checkpoints").iterdir()) == []
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
