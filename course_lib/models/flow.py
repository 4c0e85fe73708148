r"""Flow matching: learn the velocity that carries noise to data along straight lines.

Lipman et al. 2023, "Flow matching for generative modeling", arXiv 2210.02747; the straight path is also
the rectified flow of Liu et al. 2023, arXiv 2209.03003, and one of the stochastic interpolants of Albergo
and Vanden-Eijnden 2023, arXiv 2209.15571.

**Time runs the other way here than in `diffusion`**: t = 0 is noise $z$ and t = 1 is data $x$, and

$$x_t = (1 - t)\, z + t\, x, \qquad \frac{d x_t}{d t} = x - z .$$

The network learns the mean of $x - z$ given $x_t$. Following it from a noise gives a path that is not
straight in general: where lines cross, only their mean can be learned. `length_over_chord` measures it.

Any path $x_t = a_t x + b_t z$ from $b_0 = 1$ to $a_1 = 1$ will do. With a sine and a cosine (`arc_path`) it
is that of a diffusion model with the cosine schedule whose network says v, in this direction of time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.syllabus import Settings
from course_lib.training import ema_of, finish, gradient_step, training_loop

Velocity = Callable[[Tensor, Tensor], Tensor]  # points (n, d) and times (n,) to velocities (n, d)
Path = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # x, noise, t to x_t and velocity


def straight_path(x: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The point at time t on the straight line from noise to data, and its velocity, (n, d) each.

    Args:
        x, noise: (n, d).
        t: (n,), from 0 (noise) to 1 (data).

    >>> x, noise = torch.ones(1, 2), torch.zeros(1, 2)
    >>> straight_path(x, noise, torch.tensor([0.25]))
    (tensor([[0.2500, 0.2500]]), tensor([[1., 1.]]))
    """
    # x_t = (1 - t) noise + t x, and its derivative in t
    t = t.unsqueeze(1)
    return (1 - t) * noise + t * x, x - noise


def arc_path(x: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The point at time t on a quarter of an ellipse from noise to data, and its velocity, (n, d) each.

    It is the path of a diffusion model with the cosine schedule, and of Albergo and Vanden-Eijnden's
    trigonometric interpolant. Arguments as for `straight_path`.

    >>> x, noise = torch.ones(1, 2), torch.zeros(1, 2)
    >>> arc_path(x, noise, torch.tensor([1 / 3]))
    (tensor([[0.5000, 0.5000]]), tensor([[1.3603, 1.3603]]))
    """
    # x_t = sin(pi t / 2) x + cos(pi t / 2) noise, and its derivative in t
    angle = (math.pi / 2 * t).unsqueeze(1)
    velocity = math.pi / 2 * (angle.cos() * x - angle.sin() * noise)
    return angle.sin() * x + angle.cos() * noise, velocity


def marginal_velocity(
    x_t: Tensor, data: Tensor, a: float, b: float, a_rate: float, b_rate: float
) -> Tensor:
    """The mean velocity at x_t (n, d) if `data` (m, d) are all there is and x_t = a x + b noise: (n, d).

    Lipman et al., eq. 8: each of the data counts as much as it explains x_t.

    Args:
        a, b: the weights of data and noise at this time, b above 0.
        a_rate, b_rate: how fast they change with time.

    >>> data = torch.tensor([[-1.0], [1.0]])
    >>> marginal_velocity(torch.zeros(1, 1), data, a=0.5, b=0.5, a_rate=1.0, b_rate=-1.0)
    tensor([[0.]])
    """
    # p(x | x_t) is proportional to exp(-|x_t - a x|^2 / (2 b^2)), for each of the data
    weights = torch.softmax(-(torch.cdist(x_t, a * data) ** 2) / (2 * b**2), dim=1)
    mean = weights @ data
    # the mean of a' x + b' noise, where the noise is (x_t - a x) / b
    return a_rate * mean + b_rate * (x_t - a * mean) / b


def flow_matching_loss(
    velocity: Velocity, x: Tensor, t: Tensor, noise: Tensor, path: Path = straight_path
) -> Tensor:
    """The mean squared error of the velocity on given paths (Lipman et al., eq. 23): a scalar.

    Args:
        velocity: the network, from x_t (n, d) and t (n,) to (n, d).
        x, noise: (n, d).
        t: (n,), from 0 (noise) to 1 (data).
        path: gives x_t and the velocity there.

    >>> x, noise, t = torch.ones(2, 3), torch.zeros(2, 3), torch.tensor([0.1, 0.9])
    >>> flow_matching_loss(lambda x_t, t: torch.zeros_like(x_t), x, t, noise)
    tensor(1.)
    """
    # E || v_theta(x_t, t) - dx_t/dt ||^2, as a mean over the numbers
    x_t, target = path(x, noise, t)
    return F.mse_loss(velocity(x_t, t), target)


@torch.no_grad()
def euler_path(velocity: Velocity, noise: Tensor, steps: int) -> Tensor:
    """Points (steps + 1, n, d) on the way from noise (n, d) at t = 0 to data at t = 1, by Euler's steps.

    >>> euler_path(lambda x_t, t: torch.ones_like(x_t), torch.zeros(1, 1), steps=2).flatten()
    tensor([0.0000, 0.5000, 1.0000])
    """
    points = [noise]
    for i in range(steps):
        t = torch.full((len(noise),), i / steps, device=noise.device)
        points.append(points[-1] + velocity(points[-1], t) / steps)
    return torch.stack(points)


@torch.no_grad()
def euler_log_density(velocity: Velocity, x: Tensor, steps: int, rounds: int = 20) -> Tensor:
    """log q(x) of the distribution that `euler_path` draws from with as many steps, at x (n, d): (n,).

    Each step of Euler's maps a point to another one, by x + v(x, t) / steps. It is undone by repeating
    x = x_next - v(x, t) / steps, which ends at the right point if v changes by less than `steps` for a
    change of 1 in x. The density falls by the determinant of each step, as in a normalising flow (Rezende
    and Mohamed 2015, arXiv 1505.05770, eq. 5): exact for Euler's steps, without an error of the time.

    Args:
        velocity: as for `euler_path`; it must treat each point apart from the others.
        rounds: how often the repetition goes on.

    >>> x = torch.tensor([[1.0, 1.0]])  # one step to 1.5 times the noise: q is normal with sd 1.5
    >>> euler_log_density(lambda x_t, t: 0.5 * x_t, x, steps=1)
    tensor([-3.0933])
    """

    def one(point: Tensor, t: Tensor) -> Tensor:
        return velocity(point[None], t[None])[0]

    jacobian = torch.func.vmap(torch.func.jacrev(one))
    identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    log_density = torch.zeros(len(x), dtype=x.dtype, device=x.device)
    for i in reversed(range(steps)):
        t = torch.full((len(x),), i / steps, dtype=x.dtype, device=x.device)
        after = x
        for _ in range(rounds):
            x = after - velocity(x, t) / steps
        log_density -= torch.linalg.slogdet(identity + jacobian(x, t) / steps).logabsdet
    normal = -0.5 * (x**2).sum(dim=1) - x.shape[1] / 2 * math.log(2 * math.pi)
    return normal + log_density


def heun_step(
    velocity: Callable[[Tensor, Tensor], Tensor], x_t: Tensor, t: Tensor, dt: float
) -> Tensor:
    """Where x_t (n, d) is at the time t (n,) + dt, by Heun's method: the mean of two velocities.

    An Euler step guesses the point that it leads to, and the velocity there is asked, too (Karras et al.
    2022, arXiv 2206.00364, algorithm 1).

    >>> heun_step(lambda x_t, t: 2 * t.unsqueeze(1), torch.zeros(1, 1), torch.tensor([0.0]), dt=1.0)
    tensor([[1.]])
    """
    # x + dt (v(x, t) + v(x + dt v(x, t), t + dt)) / 2
    first = velocity(x_t, t)
    second = velocity(x_t + dt * first, t + dt)
    return x_t + dt * (first + second) / 2


@torch.no_grad()
def heun_path(velocity: Velocity, noise: Tensor, steps: int) -> Tensor:
    """Like `euler_path`, by Heun's steps: each asks for the velocity twice.

    >>> heun_path(lambda x_t, t: 2 * t.unsqueeze(1), torch.zeros(1, 1), steps=2).flatten()
    tensor([0.0000, 0.2500, 1.0000])
    """
    points = [noise]
    for i in range(steps):
        t = torch.full((len(noise),), i / steps, device=noise.device)
        points.append(heun_step(velocity, points[-1], t, 1 / steps))
    return torch.stack(points)


def length_over_chord(path: Tensor) -> Tensor:
    """How much longer each path is than the straight line between its ends: 1 for a straight one.

    Args:
        path: (steps + 1, n, d).

    >>> corner = torch.tensor([[[0.0, 0.0]], [[3.0, 0.0]], [[3.0, 4.0]]])
    >>> length_over_chord(corner)
    tensor([1.4000])
    """
    length = path.diff(dim=0).norm(dim=-1).sum(dim=0)
    return length / (path[-1] - path[0]).norm(dim=-1)


def scale_latents(codes: Tensor, train: Tensor) -> Tensor:
    """Codes (n, d) moved and scaled as it makes the training codes (m, d) centred, with one size for all.

    Rombach et al. 2022, arXiv 2112.10752, section G, divide by one standard deviation of all numbers, so
    that the noise of a diffusion model or a flow is as large as what it is added to.

    >>> train = torch.tensor([[0.0, 4.0], [2.0, 8.0], [1.0, 6.0]])
    >>> scale_latents(torch.tensor([[1.0, 6.0]]), train)
    tensor([[0., 0.]])
    """
    # (codes - mean of each latent) / sqrt(mean square of all that is left of the training codes)
    mean = train.mean(dim=0)
    return (codes - mean) / (train - mean).pow(2).mean().sqrt()


def distillation_loss(
    student: Callable[[Tensor, Tensor], Tensor], noise: Tensor, made: Tensor
) -> Tensor:
    """How far one step of the student from t = 0 misses what its teacher made of the noise: a scalar.

    Liu et al. 2023, section 2.2: the mean squared error over the numbers.

    Args:
        student: a velocity, as for `euler_path`.
        noise, made: (n, d), the teacher's start and end.

    >>> noise, made = torch.zeros(2, 3), torch.ones(2, 3)
    >>> distillation_loss(lambda x_t, t: torch.ones_like(x_t), noise, made)
    tensor(0.)
    """
    # E || noise + v_theta(noise, 0) - made ||^2
    t = torch.zeros(len(noise), device=noise.device)
    return F.mse_loss(noise + student(noise, t), made)


@dataclass(frozen=True, kw_only=True)
class FlowSettings(Settings):
    """How a flow is trained.

    Attributes:
        width, depth: of its network, a `diffusion.Denoiser`.
        steps, batch_size, learning_rate: of Adam; the rate falls to 0 along a cosine.
        ema_decay: of the moving average of the weights, which are those that the network ends with.

    >>> FlowSettings(steps=100).batch_size
    128
    """

    width: int = 128
    depth: int = 3
    steps: int
    batch_size: int = 128
    learning_rate: float = 2e-3
    ema_decay: float = 0.998


def fit(
    network: nn.Module,
    loss: Callable[..., Tensor],
    data: Sequence[Tensor],
    settings: FlowSettings | SimpleNamespace,
    *,
    seed: int = 0,
) -> nn.Module:
    """Train `network` by loss(network, *batch) and return it with averaged weights, in evaluation mode.

    Args:
        data: the tensors that batches are cut from, of equal length.

    >>> settings = FlowSettings(steps=2)
    >>> fit(nn.Linear(2, 2), lambda network, x: network(x).pow(2).mean(), [torch.ones(8, 2)], settings)
    Linear(in_features=2, out_features=2, bias=True)
    """
    settings = FlowSettings.of(settings)
    optimizer = torch.optim.Adam(
        network.parameters(), settings.learning_rate, (0.9, 0.99), fused=True
    )
    ema = ema_of(network, settings.ema_decay)
    network.train()
    loop = training_loop(
        lambda *batch: gradient_step(loss(network, *batch), optimizer),
        data,
        steps=settings.steps,
        batch_size=settings.batch_size,
        seed=seed,
        optimizers=[optimizer],
        lr_schedule="cosine",
        ema=ema,
        label="training the flow",
    )
    finish(loop)
    return ema.module.eval()


def operations(network: nn.Module) -> int:
    """Additions and multiplications in the linear layers of `network` for one example.

    >>> operations(nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 1)))
    32
    """
    return sum(2 * part.weight.numel() for part in network.modules() if isinstance(part, nn.Linear))
