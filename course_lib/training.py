"""One training loop for every model, and checkpoints that are used only where they truly fit.

The loop is a generator: it yields after every step, so the notebook may plot, stop or branch.
"""

import hashlib
import inspect
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from course_lib import __version__
from course_lib.files import write_whole
from course_lib.session import interactive, state_folder


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
    """Yield shuffled batches for ever, epoch after epoch; the last batch of an epoch may be small.

    Args:
        data: tensors of equal length (n, ...), on the device on which the batches are wanted.
        batch_size: rows a batch, cut to n where n is smaller.
        seed: the order depends on it alone, not on the global generator.
    """
    rows = len(data[0])
    if rows == 0 or any(len(part) != rows for part in data):
        lengths = ", ".join(str(len(part)) for part in data)
        raise ValueError(f"The data's parts need one length above 0; theirs are {lengths}.")
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
    schedulers: Sequence[torch.optim.lr_scheduler.LRScheduler] = (),
    ema: AveragedModel | None = None,
    model: nn.Module | None = None,
    label: str = "training",
) -> Iterator[Step]:
    """Call `step(*batch)` `steps` times and yield a `Step` after each.

    Args:
        step: does one optimisation step and returns its loss, or a dict of named losses.
        data: the tensors that batches are cut from, see `batches`.
        schedulers: of the learning rates, advanced after every step.
        ema, model: after every step `ema` is moved towards `model`, see `ema_of`.
        label: stands beside the progress bar, which only an interactive session shows.

    Raises:
        FloatingPointError: when a loss is not finite, with the step and what to try.
    """
    bar = tqdm(total=steps, desc=label, disable=not interactive(), leave=False)
    with bar:
        some = islice(batches(data, batch_size, seed), steps)
        for number, batch in enumerate(some, start=1):
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
            if ema is not None and model is not None:
                ema.update_parameters(model)
            bar.update()
            yield Step(number, steps, losses)


def finish(loop: Iterator[Step]) -> Step:
    """Run `loop` to its end and return its last step."""
    (last,) = deque(loop, maxlen=1)
    return last


def gradient_step(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None = None,
) -> float:
    """Zero the gradients, go backward from `loss`, clip to the norm `clip_norm`, and step."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip_norm is not None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, clip_norm)
    optimizer.step()
    return loss.item()


def ema_of(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the weights: ema <- decay * ema + (1 - decay) * model.

    `ema.module` is the averaged model. Batch-norm statistics are averaged as well.
    """
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


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

    What decides is `key`, completed by the model's architecture, the source code of models, data
    and training, and the versions of course_lib and PyTorch: change any, and the model is trained anew.
    A checkpoint that is damaged or belongs to something else is never used; this is said. Nothing in
    it is executed (`weights_only=True`). The file appears only when complete, so an interruption
    leaves no half-written one.

    Args:
        name: the file's first part, for people.
        model: trained in place by `train`; its parameters and buffers are what is kept.
        train: called only when there is no checkpoint that fits. It may return a module, such as
            the moving average of `ema_of`, whose weights are then taken over into `model`.
        key: settings, seed, data fingerprint: all that determines the result, as JSON.
        folder: where to keep checkpoints; `.course/checkpoints` beside the notebook by default.
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
        print(f"The checkpoint could not be kept ({error}); everything else goes on.")


def _sources(model: nn.Module) -> str:
    """A hash of the code behind the result: data, models and training, and the model's own class."""
    package = Path(__file__).parent
    files = [Path(__file__), *package.glob("datasets/*.py"), *package.glob("models/**/*.py")]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files)))
    # A class written in a notebook has no file; its compiled methods stand for it.
    for method in filter(inspect.isfunction, vars(type(model)).values()):
        digest.update(f"{method.__code__.co_code}{method.__code__.co_names}".encode())
        digest.update(
            repr([c for c in method.__code__.co_consts if not inspect.iscode(c)]).encode()
        )
    return digest.hexdigest()
