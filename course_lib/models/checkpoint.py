"""Trained weights that come with the course: small files of the safetensors format, in half precision.

A file begins with eight bytes, the length of its header. The header is JSON and says where each array lies,
and under "__metadata__" what the weights are. The rest is numbers, so nothing in a file is executed. The
format is that of https://github.com/huggingface/safetensors. Reading it takes a few lines, which is why the
course has them here instead of one more package.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib.files import write_whole
from course_lib.syllabus import unknown

FOLDER = Path(__file__).with_name("checkpoints")
ENDING = ".safetensors"
HALF = "F16"  # how the format calls half precision, the only type written and read here
BYTES = 2
LONGEST_HEADER = 100_000


class CheckpointError(ValueError):
    """A file that is no checkpoint of the course, or is damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """Trained weights, float32 by name, and what they are: settings, data, seed, date and versions."""

    weights: Mapping[str, Tensor]
    about: Mapping[str, str]

    def __str__(self) -> str:
        count = sum(weight.numel() for weight in self.weights.values())
        return f"{self.about['model']}: {count / 1e6:.2f} million weights, {self.about['date']}"


def checkpoint_names() -> list[str]:
    """The checkpoints that come with the course.

    >>> "01_vae" in checkpoint_names()
    True
    """
    return sorted(file.stem for file in FOLDER.glob("*" + ENDING))


def find_checkpoint(name: str) -> Checkpoint:
    """The checkpoint `name` of the course.

    Raises:
        ValueError: for an unknown name, with the known ones.
        CheckpointError: for a damaged file.

    >>> print(find_checkpoint("01_vae").about["data"].split(",")[0])
    mnist
    """
    if name not in checkpoint_names():
        raise ValueError(unknown("checkpoint", name, checkpoint_names()))
    return read(FOLDER / (name + ENDING))


def save(file: Path, weights: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write weights in half precision; the file appears only when it is complete.

    Raises:
        CheckpointError: for a number that half precision does not hold.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save(Path(folder, "a"), {"w": torch.ones(2)}, {"model": "two ones", "date": "today"})
    ...     print(read(Path(folder, "a")))
    two ones: 0.00 million weights, today
    """
    header: dict[str, object] = {"__metadata__": dict(about)}
    parts, start = [], 0
    for name, weight in weights.items():
        half = weight.detach().cpu().half()
        if not half.isfinite().all():
            raise CheckpointError(f"'{name}' has numbers that half precision does not hold.")
        parts.append(half.numpy().astype("<f2").tobytes())
        stop = start + len(parts[-1])
        header[name] = {"dtype": HALF, "shape": list(weight.shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin at a multiple of eight
    content = struct.pack("<Q", len(text)) + text + b"".join(parts)
    write_whole(file, content)


def read(file: Path) -> Checkpoint:
    """A checkpoint from `file`. Nothing in it is executed.

    Raises:
        CheckpointError: when the file is not of this format, not in half precision, or damaged.

    >>> print(sorted(read(FOLDER / "01_vae.safetensors").weights)[0])
    decoder.0.bias
    """
    content = file.read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", content)
        if length > LONGEST_HEADER:
            raise CheckpointError(f"its header would have {length:,} bytes")
        header = json.loads(content[8 : 8 + length])
        numbers = memoryview(content)[8 + length :]
        about = {str(k): str(v) for k, v in header.pop("__metadata__").items()}
        weights, end = {}, 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            start, stop = entry["data_offsets"]
            shape = [int(size) for size in entry["shape"]]
            if entry["dtype"] != HALF or min(shape, default=0) < 0:
                raise CheckpointError(f"'{name}' is not an array in half precision")
            if start != end or stop - start != BYTES * math.prod(shape):
                raise CheckpointError(f"the numbers of '{name}' lie elsewhere than its header says")
            array = np.frombuffer(numbers[start:stop], "<f2").reshape(shape)
            weights[name], end = torch.from_numpy(array.astype(np.float32)), stop
        if end != len(numbers):
            raise CheckpointError("it is longer or shorter than its header says")
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise CheckpointError(f"{file} cannot be used as a checkpoint: {error}.") from error
    return Checkpoint(weights, about)
