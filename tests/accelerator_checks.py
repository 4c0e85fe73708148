"""What tests/test_accelerator.py runs in a process of its own, where the stand-in is installed."""

import copy
import io
import weakref
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from standins.accelerator import install
from torch import nn

from course_lib import devices
from course_lib.models import classifier, diffusion, gan, vae
from course_lib.training import ema_of, gradient_step

DEVICE = install()
HERE, THERE = torch.randn(4, 3), torch.randn(4, 3).to(DEVICE)


@contextmanager
def by_default(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


# --- what must fail ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mix",
    [
        lambda: HERE + THERE,
        lambda: THERE @ HERE.T,
        lambda: HERE.clone().add_(THERE),
        lambda: torch.tensor(1.0).add_(THERE.sum()),
        lambda: torch.cat([HERE, THERE]),
        lambda: torch.stack([THERE.sum(), torch.tensor(1.0)]),
        lambda: torch.where(THERE > 0, THERE, HERE),
        lambda: HERE[THERE[:, 0] > 0],
        lambda: HERE[torch.tensor([0, 1], device=DEVICE)],
        lambda: torch.equal(HERE, THERE),
        lambda: nn.Linear(3, 2)(THERE),
        lambda: nn.Linear(3, 2).to(DEVICE)(HERE),
        lambda: nn.Embedding(4, 2)(torch.tensor([1], device=DEVICE)),
        lambda: F.cross_entropy(THERE, torch.tensor([0, 1, 2, 0])),
    ],
)
def test_tensors_of_both_sides_do_not_mix(mix):
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        mix()


@pytest.mark.parametrize(
    "convert",
    [lambda x: x.numpy(), np.asarray, lambda x: np.asarray([x, x]), lambda x: np.log(x)],
)
def test_numpy_takes_nothing_from_the_device(convert):
    with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\) to copy"):
        convert(THERE)


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: torch.randn(3, device=DEVICE, generator=g),
        lambda g: torch.rand(3, device=DEVICE, generator=g),
        lambda g: torch.randint(9, (3,), device=DEVICE, generator=g),
        lambda g: torch.randperm(3, device=DEVICE, generator=g),
        lambda g: torch.multinomial(THERE.abs(), 1, generator=g),
        lambda g: torch.normal(THERE, 1.0, generator=g),
    ],
)
def test_the_cpus_generator_does_not_draw_on_the_device(draw):
    with pytest.raises(RuntimeError, match="Expected a 'standin' device type for generator"):
        draw(torch.Generator())


def test_an_error_on_the_way_back_is_raised(capfd):
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x.cpu()):
        square = THERE.clone().requires_grad_().square()
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        square.sum().backward()
    through = THERE.clone().requires_grad_()
    through.register_hook(lambda gradient: gradient + HERE)
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        torch.autograd.grad(through.sum(), through)


# --- what must work ------------------------------------------------------------------------------


def test_installing_again_changes_nothing():
    assert install() == DEVICE == torch.device("standin")


def test_copies_are_copies():
    back = THERE.cpu()
    assert type(back) is torch.Tensor and back.device.type == "cpu"
    assert np.asarray(back).shape == (4, 3)
    back += 1
    assert not torch.equal(back, THERE.cpu())
    there = HERE.to(DEVICE)
    there += 1
    torch.testing.assert_close(there.cpu(), HERE + 1)
    assert there.to(DEVICE) is there and there.device == torch.device("standin:0")
    assert HERE.clone().copy_(there).device.type == "cpu"
    there[:2] = HERE[:2]
    torch.testing.assert_close(there[:2].cpu(), HERE[:2])


def test_numbers_and_positions_may_come_from_the_cpu():
    for there in (THERE * torch.tensor(2.0), THERE[torch.tensor([0, 2])], THERE[HERE > 0]):
        assert there.device.type == "standin"
    there = THERE.clone()
    there[there > 0] = 1.0
    there[0] = torch.tensor(3.0)
    assert there[0].tolist() == [3.0] * 3 and float(there[0, 0]) == 3 and bool(there[0, 0] > 2)
    assert f"{there[0, 0]:.2f}" == "3.00" and "standin:0" in repr(there)


def test_what_is_no_longer_used_is_gone_at_once():
    there = torch.ones(3, device=DEVICE)
    twice = there + there
    gone = weakref.ref(there)
    del there
    assert gone() is None and twice.tolist() == [2.0] * 3


def test_in_place_changes_of_shape_are_seen():
    there = torch.zeros(4, 3, device=DEVICE).unsqueeze_(0)
    assert there.shape == (1, 4, 3) and (there + 1).shape == (1, 4, 3)
    assert torch.add(THERE, 1, out=torch.empty(0, device=DEVICE)).shape == (4, 3)
    parameter = nn.Parameter(THERE.clone())
    parameter.data = torch.ones(2, device=DEVICE)
    assert parameter.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("where", [{"device": DEVICE}, {}], ids=["said", "by default"])
def test_tensors_are_made_on_the_device(where):
    with by_default(None if where else DEVICE):
        made = [
            torch.randn(3, **where),
            torch.rand(3, **where),
            torch.randint(5, (3,), **where),
            torch.randperm(5, **where),
            torch.arange(5, **where),
            torch.linspace(0, 1, 5, **where),
            torch.zeros(2, **where),
            torch.ones(2, **where),
            torch.full((2,), 3.0, **where),
            torch.eye(3, **where),
            torch.tensor([1, 2], **where),
            torch.as_tensor([1.0], **where),
            THERE.new_tensor([2.0]),
            torch.randn_like(THERE),
        ]
    assert {each.device.type for each in made} == {"standin"}
    assert made[4].tolist() == [0, 1, 2, 3, 4]
    assert torch.ones_like(THERE, device="cpu").device.type == "cpu"


def test_a_seed_gives_the_cpus_numbers_and_a_fork_leaves_the_generator_alone():
    torch.manual_seed(3)
    with torch.random.fork_rng():
        first = torch.randn(3, device=DEVICE)
    with torch.random.fork_rng(device_type="standin"):
        assert torch.equal(first, torch.randn(3, device=DEVICE))
    torch.manual_seed(3)
    assert torch.equal(first.cpu(), torch.randn(3))


def test_functions_give_what_they_give_on_the_cpu():
    images = torch.randn(2, 4, 8, 8)
    kernel = torch.randn(3, 4, 3, 3)
    results = [
        [
            F.conv2d(x, kernel.to(x.device), padding=1),
            F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2),
            F.layer_norm(x, (8, 8)),
            F.group_norm(x, 2),
            F.interpolate(x, scale_factor=2, mode="bilinear"),
            F.max_pool2d(x, 2),
            F.softplus(x),
            torch.logsumexp(x, 1),
            torch.cdist(x[0, 0], x[1, 0]),
            torch.lgamma(x.abs() + 1),
            F.mse_loss(x, torch.zeros_like(x)),
            F.cross_entropy(x[:, :, 0, 0], torch.tensor([0, 1], device=x.device)),
            F.embedding(torch.tensor([0, 1], device=x.device), x[0, 0]),
            F.one_hot(x.flatten(1).argmax(dim=1) % 3, 3),
            x.sort(dim=1).values.cumsum(dim=1).unique(),
        ]
        for x in (images, images.to(DEVICE))
    ]
    for here, there in zip(*results, strict=True):
        assert there.device.type == "standin"
        torch.testing.assert_close(there.cpu(), here)
    heads = torch.binomial(torch.full((9,), 16.0, device=DEVICE), torch.full((9,), 0.5).to(DEVICE))
    assert heads.device.type == "standin" and 0 <= heads.min().item() <= heads.max().item() <= 16
    assert (F.dropout(torch.ones(99, device=DEVICE), 0.5) == 0).any()


def test_a_module_moves_in_place_and_its_state_travels():
    network = nn.Linear(3, 2)
    weight = network.weight
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network.to(DEVICE)
    assert network.weight is weight and isinstance(weight, nn.Parameter)
    before = weight.detach().clone()
    gradient_step(network(THERE).square().mean(), optimizer)
    assert not torch.equal(before, weight)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    for place, expected in (("cpu", "cpu"), (None, "standin")):
        file.seek(0)
        state = torch.load(file, map_location=place, weights_only=True)
        assert {each.device.type for each in state.values()} == {expected}
        other = nn.Linear(3, 2).to(DEVICE)
        other.load_state_dict(state)
        assert torch.equal(other.weight, weight)
    twin = copy.deepcopy(network)
    assert torch.equal(twin.weight, weight) and len(list(twin.parameters())) == 2
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    assert len(list(torch.load(file, weights_only=False).parameters())) == 2


def losses_of_training(device, network, fused=True):
    """A few steps with fused Adam, an average of the weights, and a penalty on the gradient."""
    torch.manual_seed(0)
    with by_default(device):
        network = network()
        assert {each.device.type for each in network.parameters()} == {torch.device(device).type}
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, fused=fused)
        ema, losses = ema_of(network, 0.9), []
        for _ in range(4):
            x = torch.randn(8, 1, 8, 8)
            loss = gan.gradient_penalty(lambda x: network(x)[:, 0], x) + network(x).square().mean()
            losses.append(gradient_step(loss, optimizer, clip_norm=1.0))
            ema.update_parameters(network)
        return [*losses, ema.module(torch.ones(1, 1, 8, 8)).sum().item()]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(
    "network",
    [
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.SiLU(), nn.Linear(16, 1)),
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2),
            nn.GroupNorm(2, 4),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(36, 1),
        ),
    ],
    ids=["mlp", "convolutions"],
)
def test_training_gives_the_cpus_losses(network, fused):
    here = losses_of_training("cpu", network, fused)
    assert losses_of_training(DEVICE, network, fused) == pytest.approx(here, rel=1e-5)


# --- the course's own functions ------------------------------------------------------------------

TRAINING = {"steps": 4, "batch_size": 40, "learning_rate": 1e-3}
MLP = {"width": 32, "depth": 2, "dropout": 0.1}
OF_VAE = vae.VAESettings(latent_dim=4, beta=1.0, shift=0.3, **MLP, **TRAINING)
OF_GAN = gan.GANSettings(latent_dim=4, channels=8, gamma=0.3, ema_decay=0.9, **TRAINING)
OF_DIFFUSION = diffusion.MLPDiffusion(ema_decay=0.9, drop_class=0.1, **MLP, **TRAINING)


def draws_of_vae(x, y):
    model = vae.conditional_vae(x, y, OF_VAE)
    bound = vae.importance_weighted_bound(model.log_weights(x[:10], 2, y[:10]))
    mu, log_var = model.encode(x[:10], y[:10])
    images = model.sample(10, y[:10])
    assert vae.draw(images).device == x.device
    return torch.cat([images, bound[:, None], mu, log_var], dim=1)


def draws_of_gan(x, y):
    generator = gan.conditional_gan(x, y, OF_GAN)
    return torch.cat([generator.sample(10, y[:10]), gan.slerp(x[0], x[1], 10)], dim=1)


def draws_of_diffusion(x, y):
    model = diffusion.conditional_diffusion(x, y, OF_DIFFUSION)
    return model.sample(10, y[:10], steps=4, eta=1.0, guidance=1.0)


def verdicts_of_judge(x, y):
    judge = classifier.train_judge(x, y)
    assert 0 <= judge.accuracy(x, y) <= 1
    chosen = classifier.balanced(x, y, 2)
    return torch.cat([judge.features(chosen), judge.confidence(chosen)[:, None]], dim=1)


@pytest.mark.parametrize("default", [None, DEVICE], ids=["moved", "by default"])
@pytest.mark.parametrize(
    "model", [draws_of_vae, draws_of_gan, draws_of_diffusion, verdicts_of_judge]
)
def test_the_courses_models_train_and_draw(model, default, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "SETTINGS", replace(classifier.SETTINGS, steps=4))
    x, y = torch.randint(0, 17, (100, 64)).float(), torch.arange(100) % 10
    drawn = {}
    for device in (torch.device("cpu"), DEVICE):
        monkeypatch.setenv("COURSE_STATE", str(tmp_path / device.type))
        with by_default(default if device == DEVICE else None):
            for run in ("trained", "from the checkpoint"):
                torch.manual_seed(1)
                drawn[device.type, run] = model(x.to(device), y.to(device)).detach()
    for run in ("trained", "from the checkpoint"):
        assert drawn["standin", run].device.type == "standin"
        torch.testing.assert_close(drawn["standin", run].cpu(), drawn["cpu", run])


def test_the_trial_of_a_device_passes_here_and_names_what_is_missing(monkeypatch):
    assert devices.fault_of(DEVICE) == ""

    def missing(*args):
        raise NotImplementedError("'aten::lgamma' is not there for this device")

    monkeypatch.setattr(torch, "lgamma", missing)
    assert devices.fault_of(DEVICE) == "'aten::lgamma' is not there for this device"
