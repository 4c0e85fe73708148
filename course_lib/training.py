"""One training loop for every model, and checkpoints that are used only if they fit exactly.

The loop is a generator: it yields after every step, so the notebook may plot, stop or branch.
"""

import hashlib
import inspect
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from course_lib import __version__
from course_lib.files import state_folder, write_whole
from course_lib.session import interactive
from course_lib.syllabus import Settings, unknown

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Step:
    """What the loop yields: this step's number (from 1), how many there are, and the losses."""

    number: int
    total: int
    losses: Mapping[str, float]

    @property
    def last(self) -> bool:
        return self.number == self.total


def batches(data: Sequence[Tensor], batch_size: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield shuffled batches without end, epoch after epoch; the last batch of an epoch may be small.

    Args:
        data: tensors of equal length (n, ...), on the device where the batches are needed.
        batch_size: rows in a batch; n, if n is smaller.
        seed: the order depends only on it, not on the global generator.

    Raises ValueError for tensors without rows or of unequal lengths.

    >>> rows, labels = next(batches([torch.zeros(10, 2), torch.arange(10)], batch_size=4, seed=0))
    >>> rows.shape, labels.shape
    (torch.Size([4, 2]), torch.Size([4]))
    """
    rows = len(data[0])
    if rows == 0 or any(len(part) != rows for part in data):
        lengths = ", ".join(str(len(part)) for part in data)
        raise ValueError(
            f"The parts of the data must have one length above 0; they have {lengths}."
        )
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(rows, generator=generator, device="cpu").to(data[0].device)
        for chosen in order.split(batch_size):
            yield tuple(part[chosen] for part in data)


def training_loop(
    step: Callable[..., float | Tensor | Mapping[str, float | Tensor]],
    data: Sequence[Tensor],
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    optimizers: Sequence[torch.optim.Optimizer] = (),
    lr_schedule: str = "constant",
    ema: "MovingAverage | None" = None,
    label: str = "training",
) -> Iterator[Step]:
    """Call `step(*batch)` `steps` times and yield a `Step` after each.

    Args:
        step: does one optimisation step and returns its loss, or a dict of named losses.
        data: the tensors that batches are cut from, see `batches`.
        optimizers: those whose learning rates follow `lr_schedule`.
        lr_schedule: "cosine" lets the rates fall to 0 along half a cosine over all steps (Loshchilov and
            Hutter 2017, arXiv 1608.03983, eq. 5, without restarts); "constant" leaves them alone.
        ema: a moving average of a model, see `ema_of`; it is updated after every step.
        label: the name of the progress bar, which only an interactive session shows.

    Raises:
        ValueError: for an unknown schedule, or a cosine without optimizers.
        FloatingPointError: when a loss is not finite, with the step and what to try.

    >>> loop = training_loop(lambda x: x.mean(), [torch.ones(8)], steps=2)
    >>> [(step.number, step.losses["loss"]) for step in loop]
    [(1, 1.0), (2, 1.0)]
    """
    schedulers = _schedulers(optimizers, lr_schedule, steps)
    bar = tqdm(total=steps, desc=label, disable=not interactive(), leave=False)
    with bar:
        chosen = islice(batches(data, batch_size, seed), steps)
        reached = Step(0, steps, {})
        for number, batch in enumerate(chosen, start=1):
            losses = step(*batch)
            losses = losses if isinstance(losses, Mapping) else {"loss": losses}
            losses = {name: float(value) for name, value in losses.items()}
            if not np.isfinite(list(losses.values())).all():
                raise FloatingPointError(
                    f"Step {number} gave the losses {losses}: training has diverged. "
                    "A smaller learning rate or gradient clipping usually helps."
                )
            for scheduler in schedulers:
                scheduler.step()
            if ema is not None:
                ema.update()
            bar.update()
            reached = Step(
                number, steps, losses
            )  # course_lib.kernel tells it after an interruption
            yield reached


def _schedulers(
    optimizers: Sequence[torch.optim.Optimizer], lr_schedule: str, steps: int
) -> list[torch.optim.lr_scheduler.LRScheduler]:
    if lr_schedule not in SCHEDULES:
        raise ValueError(unknown("schedule", lr_schedule, SCHEDULES))
    if lr_schedule == "constant":
        return []
    if not optimizers:
        raise ValueError(
            "A cosine schedule needs the optimizers whose learning rates it lets fall."
        )
    return [torch.optim.lr_scheduler.CosineAnnealingLR(each, steps) for each in optimizers]


def finish(loop: Iterator[Step]) -> Step:
    """Run `loop` to its end and return its last step.

    >>> finish(training_loop(lambda x: x.mean(), [torch.ones(8)], steps=3)).number
    3
    """
    (last,) = deque(loop, maxlen=1)
    return last


def gradient_step(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None = None,
) -> float:
    """Zero the gradients, backpropagate `loss`, clip to the norm `clip_norm`, and step; returns the loss.

    >>> weight = nn.Parameter(torch.ones(1))
    >>> gradient_step((3 * weight).sum(), torch.optim.SGD([weight], lr=0.5)), weight.item()
    (3.0, -0.5)
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip_norm is not None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, clip_norm)
    optimizer.step()
    return loss.item()


class MovingAverage(AveragedModel):
    """An exponential moving average of a model's weights that knows which model it follows.

    `module` is the averaged model.
    """

    def __init__(self, model: nn.Module, decay: float):
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self._followed = (model,)  # in a tuple, so that PyTorch does not make it a submodule

    def update(self) -> None:
        """Move the average towards the model as it is now."""
        self.update_parameters(*self._followed)


def ema_of(model: nn.Module, decay: float) -> MovingAverage:
    """An exponential moving average of the weights: ema <- decay * ema + (1 - decay) * model.

    `ema.module` is the averaged model. Batch-norm statistics are averaged as well.

    >>> model = nn.Linear(1, 1)
    >>> ema = ema_of(model, decay=0.9)
    >>> ema.update()
    >>> torch.equal(ema.module.weight, model.weight)  # the first update copies the model
    True
    """
    return MovingAverage(model, decay)


def fingerprint(*data: Tensor | np.ndarray | pd.DataFrame) -> str:
    """A hash of the values, shapes and types of arrays and tables: equal data, equal fingerprint.

    A table's columns count with their names; its index does not.
    """
    digest = hashlib.sha256()
    for array in data:
        if isinstance(array, pd.DataFrame):
            digest.update(str(array.dtypes.to_dict()).encode())
            array = pd.util.hash_pandas_object(array, index=False)
        array = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def load_or_train(
    name: str,
    model: nn.Module,
    train: Callable[[], object],
    key: Mapping[str, object],
    folder: Path | None = None,
) -> nn.Module:
    """Fill `model` from a checkpoint that fits exactly, or else by `train()`, and keep the result.

    A checkpoint fits if nothing has changed in `key`, in the model's architecture, in the source code of
    models, data and training, or in the versions of course_lib and PyTorch. A checkpoint that is
    damaged or belongs to something else is never used, and a message says so. Nothing in it is
    executed (`weights_only=True`). The file appears only when complete, so an interruption leaves no
    half-written one.

    Args:
        name: the first part of the file's name.
        model: trained in place by `train`; its parameters and buffers are kept.
        train: called only if no checkpoint fits. It may return a module, such as
            the moving average of `ema_of`, whose weights are then taken over into `model`.
        key: settings, seed, fingerprint of the data: all that determines the result, as JSON.
        folder: where to keep checkpoints; by default `.course/checkpoints` next to the notebook.
    """
    full_key = json.dumps(
        {
            **key,
            "architecture": repr(model),
            "code": _sources(model),
            "versions": [__version__, torch.__version__],
        },
        sort_keys=True,
    )
    folder = folder or state_folder() / "checkpoints"
    file = folder / f"{name}-{hashlib.sha256(full_key.encode()).hexdigest()[:16]}.pt"
    if file.exists():
        try:
            _restore(model, file, full_key)
            print(f"{name}: taken from the checkpoint {file}")
            return model
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            print(f"{name}: the checkpoint {file} cannot be used ({reason}); training anew.")
    trained = train()
    if isinstance(trained, AveragedModel):
        trained = trained.module
    if isinstance(trained, nn.Module) and trained is not model:
        model.load_state_dict(trained.state_dict())
    _save(model, file, full_key)
    return model


def fit_with_checkpoint(
    name: str,
    model: nn.Module,
    loop: Iterator[Step],
    *,
    settings: Settings,
    data: Sequence[Tensor],
    seed: int,
) -> None:
    """`load_or_train` for a training loop that has not begun: `settings`, `data` and `seed` are its key.

    Args:
        loop: trains `model` in place, and leaves it with the weights to keep.
    """
    key = {**asdict(settings), "seed": seed, "data": fingerprint(*data)}
    load_or_train(name, model, lambda: finish(loop), key)
    model.eval()


def _restore(model: nn.Module, file: Path, key: str) -> None:
    content = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or content.get("key") != key:
        raise ValueError("it was made for something else")
    state = content["state"]
    wanted = model.state_dict()
    if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in wanted.items()}:
        raise ValueError("its weights do not fit the model")
    model.load_state_dict(state)


def _save(model: nn.Module, file: Path, key: str) -> None:
    content = {"key": key, "state": model.state_dict()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, lambda stream: torch.save(content, stream))
    except OSError as error:
        print(f"The checkpoint could not be kept ({error}); the training itself is not affected.")


def _sources(model: nn.Module) -> str:
    """A hash of the code behind the result: data, models and training, and the model's own class."""
    package = Path(__file__).parent
    files = [Path(__file__), *package.glob("datasets/*.py"), *package.glob("models/**/*.py")]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files)))
    # A class written in a notebook has no file; its compiled methods are hashed instead.
    for method in filter(inspect.isfunction, vars(type(model)).values()):
        digest.update(f"{method.__code__.co_code}{method.__code__.co_names}".encode())
        digest.update(
            repr([c for c in method.__code__.co_consts if not inspect.iscode(c)]).encode()
        )
    return digest.hexdigest()
