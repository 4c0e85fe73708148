"""Checkpoints: what is written comes back, what is damaged is refused, and the course's draw digits."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file

from course_lib.models import checkpoint
from course_lib.models.trained import MODELS, trained

ABOUT = {"model": "small", "date": "2026-01-01"}
WEIGHTS = {
    "a": torch.tensor([[1.0, -0.5], [2.0, 0.25]]),
    "b": torch.zeros(0),
    "c": torch.tensor(3.0),
}


def test_weights_come_back_rounded_to_half_precision(tmp_path):
    file = tmp_path / "x.safetensors"
    checkpoint.save(file, WEIGHTS | {"d": torch.tensor([1 / 3])}, ABOUT)
    found = checkpoint.read(file)
    assert found.about == ABOUT
    for name, weight in WEIGHTS.items():
        torch.testing.assert_close(found.weights[name], weight, rtol=0, atol=0)
    assert found.weights["d"].item() == torch.tensor(1 / 3).half().item()
    assert found.weights["d"].dtype == torch.float32


def test_a_file_is_of_the_safetensors_format(tmp_path):
    file = tmp_path / "x.safetensors"
    checkpoint.save(file, WEIGHTS, ABOUT)
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0 and header["__metadata__"] == ABOUT
    assert header["a"] == {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}
    read = load_file(file)
    assert torch.equal(read["a"].float(), WEIGHTS["a"])


def damaged(change):
    def file_of(path):
        checkpoint.save(path, WEIGHTS, ABOUT)
        path.write_bytes(change(path.read_bytes()))
        return path

    return file_of


def header_with(old, new):
    def change(content):
        (length,) = struct.unpack("<Q", content[:8])
        text = content[8 : 8 + length].replace(old, new)
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    return change


@pytest.mark.parametrize(
    "change",
    {
        "empty": lambda content: b"",
        "cut": lambda content: content[:-1],
        "longer": lambda content: content + b"\0\0",
        "a huge header": lambda content: struct.pack("<Q", 1 << 40) + content[8:],
        "no JSON": header_with(b"{", b"<"),
        "another type": header_with(b'"F16"', b'"F64"'),
        "another shape": header_with(b"[2, 2]", b"[2, 3]"),
        "a negative shape": header_with(b"[2, 2]", b"[-2, -2]"),
        "overlapping": header_with(b"[0, 8]", b"[2, 8]"),
        "no metadata": header_with(b"__metadata__", b"metadata"),
        "a pickle": lambda content: b"\x80\x04N.",
    }.values(),
)
def test_a_damaged_file_is_refused(tmp_path, change):
    with pytest.raises(checkpoint.CheckpointError, match="cannot be used"):
        checkpoint.read(damaged(change)(tmp_path / "x.safetensors"))


def test_numbers_that_half_precision_does_not_hold_are_refused(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="'a'"):
        checkpoint.save(tmp_path / "x.safetensors", {"a": torch.tensor([1e6])}, ABOUT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", checkpoint.checkpoint_names())
def test_the_course_s_checkpoints_are_small_and_say_what_they_are(name):
    assert name in MODELS
    file = checkpoint.FOLDER / (name + checkpoint.ENDING)
    assert file.stat().st_size <= 2_000_000
    about = checkpoint.find_checkpoint(name).about
    assert {"settings", "seed", "data", "date", "versions", "made by"} <= set(about)
    assert "training part" in about["data"]


@pytest.mark.parametrize("name", sorted(set(checkpoint.checkpoint_names()) - {"mnist_judge"}))
def test_a_model_draws_digits_that_the_judge_reads(name):
    y = torch.arange(10).repeat(10 if name != "03_diffusion" else 2)
    few = {"steps": 10, "guidance": 0.5} if name == "03_diffusion" else {}
    torch.manual_seed(0)
    images = trained(name).sample(len(y), y, **few)
    assert (trained("mnist_judge").predict(images) == y).float().mean() > 0.85


def test_an_unknown_checkpoint_is_named():
    with pytest.raises(ValueError, match="01_vae"):
        checkpoint.find_checkpoint("01_vea")
