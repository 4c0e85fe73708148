"""Rows of numbers from `.npz` and `.npy` files and from folders of pictures, for `course-lib audit`."""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from course_lib.audit.entry_points import audit_arrays
from course_lib.audit.report import AuditReport
from course_lib.audit.schema import AuditError, listed

ARRAYS = {".npz", ".npy"}
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
ROWS = ("x", "images", "features", "data", "samples", "arr_0")  # names of the rows in an .npz
CLASSES = ("y", "classes", "labels", "label", "class")
PARTS = ("real", "holdout", "synthetic")
Features = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Rows:
    """Rows of one file or folder.

    Attributes:
        x: (n, ...): features, or pictures (n, height, width) or (n, height, width, 3) from 0 to 1.
        classes: one to each row (n,), or None.
        told: what was read, as a sentence.
    """

    x: np.ndarray
    classes: np.ndarray | None
    told: str


def holds_rows(path: str | Path) -> bool:
    """Whether it is an array's file, or a folder with pictures in it or in its own folders.

    >>> np.savez("made.npz", x=np.zeros((9, 2)))
    >>> holds_rows("made.npz"), holds_rows("made.csv")
    (True, False)
    """
    path = Path(path)
    if path.is_dir():
        return next(_pictures(path), None) is not None
    return path.suffix.lower() in ARRAYS


def read_rows(path: str | Path) -> Rows:
    """The rows of an `.npz`, an `.npy`, or a folder of pictures.

    An `.npz` holds the rows as `x` (or `images`, `features`, `data`, `samples`; or whatever is its only
    array of more than one dimension) and may hold their classes as `y` (or `classes`, `labels`). Pictures
    in folders of their own have these folders' names as classes. What was pickled is never loaded.

    Raises:
        AuditError: with what is wrong, and what to do.

    >>> np.savez("made.npz", x=np.zeros((9, 2)), y=np.arange(9) % 3)
    >>> read_rows("made.npz").told
    'x of 9 rows of 2 numbers, and their classes y'
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() not in ARRAYS:
        raise AuditError(
            f"{path} is no array and no folder of pictures, but another part is. Name the same kind for "
            "all: .npz, .npy, or a folder with pictures."
        )
    if not path.exists():
        raise AuditError(f"There is no file {path}.")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return Rows(loaded, None, _size("the array", loaded))
        with loaded:
            return _archive(path, {name: loaded[name] for name in loaded.files})
    except AuditError:
        raise
    except Exception as error:  # zip files and headers can be broken in many ways
        if "pickle" in str(error).lower() and _starts_as_array(path):
            raise AuditError(
                f"{path} holds Python objects (a pickle), which are not loaded: they can run any code. "
                "Save numbers: np.savez(file, x=np.asarray(rows, float))."
            ) from error
        told = f"{error}" if _starts_as_array(path) else "it is not a file that NumPy wrote"
        raise AuditError(f"{path} cannot be read as an array: {told}") from error


def _starts_as_array(path: Path) -> bool:
    """Whether a file begins as a zip or an .npy does; of any other, NumPy says that it is a pickle."""
    with path.open("rb") as file:
        return file.read(6).startswith((b"PK", b"\x93NUMPY"))


def _archive(path: Path, arrays: dict[str, np.ndarray]) -> Rows:
    names = [name for name in ROWS if name in arrays and arrays[name].ndim > 1]
    if not names:
        names = [name for name, array in arrays.items() if array.ndim > 1 and name not in CLASSES]
        names = names or [name for name in arrays if name in ROWS]  # told below that it has no rows
        if len(names) != 1:
            raise AuditError(
                f"{path} holds {listed(list(arrays)) if arrays else 'nothing'}: it is not clear which "
                "array is the rows. Call it x: np.savez(file, x=rows, y=classes)."
            )
    name = names[0]
    told = _size(name, arrays[name])
    found = next((each for each in CLASSES if each in arrays and each != name), None)
    if found is None:
        return Rows(arrays[name], None, told)
    classes = arrays[found]
    if classes.ndim == 2 and classes.shape[1] == 1:
        classes = classes[:, 0]
    if classes.shape != (len(arrays[name]),):
        raise AuditError(
            f"{path}: '{found}' has shape {classes.shape}, and '{name}' has {len(arrays[name])} rows: give "
            "one class to each row, as one number or word."
        )
    return Rows(arrays[name], classes, f"{told}, and their classes {found}")


def _size(name: str, array: np.ndarray) -> str:
    if array.ndim == 0:
        return f"{name}, one number"
    shape = " x ".join(map(str, array.shape[1:])) or "1"
    return f"{name} of {len(array):,} rows of {shape} numbers"


def _pictures(folder: Path) -> Iterator[Path]:
    """Pictures in the folder and in the folders in it, by name; what begins with a dot is left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from (
                file
                for file in sorted(path.iterdir())
                if file.suffix.lower() in PICTURES and not file.name.startswith(".")
            )
        elif path.suffix.lower() in PICTURES:
            yield path


def _folder(folder: Path) -> Rows:
    files = list(_pictures(folder))
    if not files:
        raise AuditError(f"{folder} has no pictures ({listed(sorted(PICTURES), 20)}).")
    inside = [file.parent != folder for file in files]
    if any(inside) and not all(inside):
        raise AuditError(
            f"{folder} has pictures of its own and in folders: put all into one folder, or each into the "
            "folder of its class."
        )
    first: tuple[Path, np.ndarray] | None = None
    rows = np.empty(0)
    for number, file in enumerate(files):
        picture = _picture(file)
        if first is None:
            first = file, picture
            rows = np.empty((len(files), *picture.shape), np.float32)
        elif picture.shape != first[1].shape:
            raise AuditError(
                f"The pictures differ in size: {_look(*first)}, and {_look(file, picture)}. Bring all of "
                "them to one size, real and synthetic in the same way."
            )
        rows[number] = picture
    classes = np.array([file.parent.name for file in files]) if all(inside) else None
    told = f"{len(files):,} pictures of {_shape(rows[0])}"
    return Rows(rows, classes, told + (", in folders by class" if classes is not None else ""))


def _picture(file: Path) -> np.ndarray:
    """Grey (height, width) or coloured (height, width, 3), from 0 to 1; what is transparent is on black."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            if picture.mode.startswith(("I", "F")):  # 16 bits and more
                values = np.asarray(picture, np.float32)
                return values / (65535 if picture.mode.startswith("I") else 1)
            grey = picture.mode in ("1", "L", "LA")
            return np.asarray(picture.convert("L" if grey else "RGB"), np.float32) / 255
    except Exception as error:  # Pillow raises errors of many kinds for broken files
        raise AuditError(f"{file} cannot be read as a picture: {error}") from error


def _shape(picture: np.ndarray) -> str:
    height, width = picture.shape[:2]
    return f"{width} x {height} pixels, {'grey' if picture.ndim == 2 else 'in colours'}"


def _look(file: Path, picture: np.ndarray) -> str:
    return f"{file.name} is {_shape(picture)}"


def features_from(text: str) -> Features:
    """The function that `--features module:function` names; modules of the working folder count, too.

    Raises:
        AuditError: where there is no such function.

    >>> features_from("numpy:square")(np.array([2.0])).tolist()
    [4.0]
    """
    module, _, name = text.partition(":")
    if not module or not name:
        raise AuditError(
            f"--features {text}: it wants a module and a function in it, as in --features my_file:embed."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise AuditError(
            f"--features {text}: {error}. The module must be installed, or be a file in this folder."
        ) from error
    except AttributeError as error:
        raise AuditError(f"--features {text}: the module has no function '{name}'.") from error
    except Exception as error:
        raise AuditError(
            f"--features {text}: the module cannot be imported: {_named(error)}"
        ) from error
    if not callable(found):
        raise AuditError(f"--features {text}: '{name}' is no function.")
    return cast(Features, found)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _with_features(rows: Rows, embed: Features, name: str) -> Rows:
    try:
        found = embed(rows.x)
    except Exception as error:  # of somebody's own code, so no fault of the audit
        raise AuditError(f"--features {name} fails on {rows.told}: {_named(error)}") from error
    if hasattr(found, "detach"):  # of PyTorch
        found = found.detach().cpu().numpy()
    x = np.asarray(found)
    if x.ndim < 2 or len(x) != len(rows.x):
        raise AuditError(
            f"--features {name}: of {len(rows.x):,} rows it made an array of shape {x.shape}; it must give "
            "one row of features, of one number or more, to each."
        )
    return replace(rows, x=x, told=f"{rows.told}; of these, features by {name}")


def audit_rows(
    real: str | Path,
    holdout: str | Path | None,
    synthetic: str | Path,
    *,
    features: str | None = None,
    **options: Any,
) -> AuditReport:
    """Audit arrays or pictures as `audit_arrays` does, read from files or folders.

    Args:
        real, holdout, synthetic: `.npz`, `.npy`, or folders of pictures.
        features: "module:function", to which the rows (n, ...) are given; it returns features (n, d).
            Without it the numbers are compared as they are.
        options: of `audit_arrays`.

    Raises:
        AuditError: for what cannot be read or audited.

    >>> for seed, name in enumerate(["real", "made"]):
    ...     np.savez(f"{name}.npz", x=np.random.default_rng(seed).normal(size=(99, 2)))
    >>> audit_rows("real.npz", None, "made.npz", progress=False).verdict
    'pass'
    """
    given = dict(zip(PARTS, (real, holdout, synthetic), strict=True))
    parts = {part: read_rows(path) for part, path in given.items() if path}
    if features:
        embed = features_from(features)
        parts = {part: _with_features(rows, embed, features) for part, rows in parts.items()}
    shapes = {part: rows.x.shape[1:] for part, rows in parts.items()}
    if len(set(shapes.values())) > 1:
        told = "; ".join(f"{part}: {rows.told}" for part, rows in parts.items())
        raise AuditError(f"The rows differ in size. {told}.")
    notes = [f"Read as {part} data: {rows.told}." for part, rows in parts.items()]
    without = [part for part, rows in parts.items() if rows.classes is None]
    classes: tuple[np.ndarray | None, ...] | None = None
    if not without:
        classes = tuple(parts[part].classes if part in parts else None for part in PARTS)
    elif len(without) < len(parts):
        notes.append(
            f"The {' and '.join(without)} data have no classes, so classes were not compared."
        )
    held = parts.get("holdout")
    report = audit_arrays(
        parts["real"].x,
        None if held is None else held.x,
        parts["synthetic"].x,
        classes=classes,
        **options,
    )
    return replace(report, notes=(*notes, *report.notes))
