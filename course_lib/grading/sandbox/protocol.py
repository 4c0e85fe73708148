"""What crosses the sandbox's border: frames of JSON and of arrays (npz without pickle).

Both sides use this module, but only `unpack_arrays` and `read_json` meet bytes that a hostile
process has written. They bound every size before anything is allocated.
"""

import io
import json
import math
import struct
import zipfile
from collections.abc import Callable, Mapping

import numpy as np

from course_lib.grading import bounded_json

FRAME = struct.Struct(">4sQ")
MAGIC = b"CLf1"
MAX_FRAME = 64 * 2**20
MAX_INWARD = 256 * 2**20  # a job is handed whole notebooks
MAX_JSON = 2**20  # empty lists take twenty times the memory of their text
MAX_ARRAYS = 256
MAX_DIMENSIONS = 16


class ProtocolError(ValueError):
    """Bytes that keep none of the agreements; the message says which."""


def frame(payload: bytes) -> bytes:
    """`payload` with its length before it."""
    return FRAME.pack(MAGIC, len(payload)) + payload


def read_frame(read: Callable[[int], bytes], limit: int = MAX_FRAME) -> bytes:
    """One frame; `read(n)` gives at most n bytes, and none at the end."""
    magic, size = FRAME.unpack(_exactly(read, FRAME.size))
    if magic != MAGIC or size > limit:
        raise ProtocolError("what came is not a frame of the agreed form or size")
    return _exactly(read, size)


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    parts, left = [], size
    while left:
        part = read(min(left, 2**20))
        if not part:
            raise EOFError("the other side ended in the middle of a message")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def pack_message(header: Mapping, arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """JSON and arrays as one frame. Arrays travel under numbers, their names in the JSON."""
    arrays = arrays or {}
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_STORED) as archive:
        for number, array in enumerate(arrays.values()):
            part = io.BytesIO()
            np.lib.format.write_array(part, np.asarray(array), allow_pickle=False)
            archive.writestr(f"{number}.npy", part.getvalue())
    text = json.dumps({**header, "arrays": list(arrays)}).encode()
    return frame(struct.pack(">I", len(text)) + text + body.getvalue())


def unpack(payload: bytes, max_json: int = MAX_INWARD) -> tuple[dict, dict[str, np.ndarray]]:
    """The JSON and the arrays of a frame's payload. Raises ProtocolError."""
    if len(payload) < 4:
        raise ProtocolError("the message is too short")
    (size,) = struct.unpack(">I", payload[:4])
    if size > max_json:
        raise ProtocolError("the message's JSON is too long")
    header = read_json(payload[4 : 4 + size])
    names = header.pop("arrays", [])
    arrays = unpack_arrays(payload[4 + size :])
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ProtocolError("the names of the arrays are no list of texts")
    if len(names) != len(arrays) or len(set(names)) != len(names):
        raise ProtocolError("the arrays and their names do not match")
    return header, dict(zip(names, arrays, strict=True))


def read_json(data: bytes) -> dict:
    try:
        value = bounded_json.loads(data)
    except ValueError:
        raise ProtocolError("the message is not valid JSON") from None
    if not isinstance(value, dict):
        raise ProtocolError("the message is JSON of another form")
    return value


def unpack_arrays(data: bytes) -> list[np.ndarray]:
    """Arrays of numbers from an uncompressed npz. Nothing larger than `data` is allocated."""
    _check_directory(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if [m.filename for m in members] != [f"{i}.npy" for i in range(len(members))]:
                raise ProtocolError("the archive holds other files")
            if any(m.compress_type != zipfile.ZIP_STORED for m in members):
                raise ProtocolError("the archive is compressed")
            if sum(m.file_size for m in members) > len(data):
                raise ProtocolError("the archive lies about its size")
            return [_array(archive.read(member)) for member in members]
    except ProtocolError:
        raise
    except Exception as error:  # zipfile and NumPy raise many kinds on broken bytes
        raise ProtocolError(f"the arrays cannot be read ({type(error).__name__})") from None


def _check_directory(data: bytes) -> None:
    """The directory at the archive's end is short, so that `zipfile` may read it whole."""
    if data[-22:-18] != b"PK\5\6" or data[-42:-38] == b"PK\6\7":
        raise ProtocolError("the archive does not end as it should")
    number, size = struct.unpack("<HI", data[-12:-6])
    if number > MAX_ARRAYS or size > 64 * MAX_ARRAYS:
        raise ProtocolError(f"more than {MAX_ARRAYS} arrays")


def _array(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, fortran, dtype = read(stream)
    if dtype.kind not in "biufc" or dtype.itemsize > 16:
        raise ProtocolError(f"an array of the kind {dtype.kind!r}")
    if len(shape) > MAX_DIMENSIONS or any(not isinstance(n, int) or n < 0 for n in shape):
        raise ProtocolError("an array of an impossible shape")
    if math.prod(n for n in shape if n) > MAX_FRAME:  # an empty one could carry a message so
        raise ProtocolError("an array of an impossible shape")
    values = data[stream.tell() :]
    if math.prod(shape) * dtype.itemsize != len(values):
        raise ProtocolError("an array that lies about its shape")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran else "C").copy()
