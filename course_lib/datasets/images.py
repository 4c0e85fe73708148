"""Fetched images: the IDX files of MNIST and Fashion-MNIST, the npz files of PneumoniaMNIST."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np

from course_lib.datasets.fetch import DataError, fetch
from course_lib.datasets.splits import Dataset, Split, halves
from course_lib.syllabus import unknown

SPLITS = ("60k", "10k")


def idx_family(name: str, split: str | None = None) -> Dataset:
    """MNIST or Fashion-MNIST, x (n, 28, 28) with grey levels 0 to 255, y the class.

    Args:
        split: "60k" (the default), the official 60,000 to train and 10,000 to test; or "10k", the
            10,000 official test images alone, 8,000 of them to train and 2,000 held out.

    Raises:
        ValueError: for another split.
        DataError: when a file cannot be fetched.

    >>> print(idx_family("mnist", split="10k"))
    mnist: 8,000 to train, 2,000 held out, each of shape (28, 28)
    """
    if (split or "60k") not in SPLITS:
        raise ValueError(unknown(f"split of {name}", split, SPLITS))
    test = _idx_part(name, "t10k")
    if split == "10k":
        return Dataset(name, *halves(*test, held_out=2000))
    try:
        return Dataset(name, _idx_part(name, "train"), test)
    except DataError as error:
        raise DataError(
            f"{error} The test images are at hand, so datasets.load({name!r}, split='10k') works."
        ) from error


def _idx_part(name: str, part: str) -> Split:
    images = read_idx(fetch(name, f"{part}-images-idx3-ubyte.gz"))
    labels = read_idx(fetch(name, f"{part}-labels-idx1-ubyte.gz"))
    return Split(images.astype(np.float32), labels.astype(np.int64))


def read_idx(path: Path) -> np.ndarray:
    """The array of a gzipped IDX file of unsigned bytes.

    The header: two zero bytes, 8 for unsigned bytes, the number of axes, then the length of each
    as a big-endian 32-bit number. Source: LeCun, Cortes and Burges, the MNIST database.

    Raises:
        ValueError: for a file of another type or length.

    >>> header = bytes([0, 0, 8, 2]) + np.array([2, 3], ">u4").tobytes()
    >>> _ = Path("six.gz").write_bytes(gzip.compress(header + bytes(range(6))))
    >>> read_idx(Path("six.gz")).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes.")
    shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def pneumonia_mnist() -> Dataset:
    """5,856 chest X-rays of children, x (n, 28, 28) with grey levels 0 to 255, y 1 for pneumonia.

    The validation part of the file belongs to `train` here, as in the collection it was cut from.

    Raises:
        DataError: when the file cannot be fetched.

    >>> print(pneumonia_mnist())
    pneumonia_mnist: 5,232 to train, 624 held out, each of shape (28, 28)
    """
    return _pneumonia("pneumonia_mnist", "pneumoniamnist.npz")


def pneumonia_mnist_rebuilt() -> Dataset:
    """The images of `pneumonia_mnist` from a stand-in, which was rebuilt from two public partial copies.

    Raises:
        DataError: when the file cannot be fetched.

    >>> print(pneumonia_mnist_rebuilt())
    pneumonia_mnist_rebuilt: 5,232 to train, 624 held out, each of shape (28, 28)
    - A stand-in: not the publisher's file. 8 images stand in its training and in its validation part.
    """
    note = (
        "A stand-in: not the publisher's file. 8 images stand in its training and in its "
        "validation part."
    )
    return replace(
        _pneumonia("pneumonia_mnist_rebuilt", "pneumoniamnist_rebuilt.npz"), notes=(note,)
    )


def _pneumonia(name: str, file: str) -> Dataset:
    parts = {}
    # Loading a pickle could run code from the file, so pickles are never read.
    with np.load(fetch(name, file), allow_pickle=False) as arrays:
        for part in ("train", "val", "test"):
            parts[part] = arrays[f"{part}_images"], arrays[f"{part}_labels"].ravel()
    x, y = (np.concatenate(pair) for pair in zip(parts["train"], parts["val"], strict=True))
    train, held_out = (
        Split(x.astype(np.float32), y.astype(np.int64)) for x, y in ((x, y), parts["test"])
    )
    return Dataset(name, train, held_out)
