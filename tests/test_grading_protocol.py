"""What crosses the sandbox's border: bytes that keep no agreement are refused, and cheaply."""

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from course_lib.exercises import get
from course_lib.exercises.judge import assess
from course_lib.exercises.trial import run
from course_lib.grading.execution import _outcome  # noqa: PLC2701
from course_lib.grading.sandbox import protocol

FIT = get("start.fit_gaussian")
EMPTY = b"PK\5\6" + bytes(18)


def payload_of(framed):
    return framed[protocol.FRAME.size :]


def message(header=b"{}", body=EMPTY):
    return struct.pack(">I", len(header)) + header + body


def npy(descr, shape, data, version=b"\1\0"):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


def archive(*members, compression=zipfile.ZIP_STORED, names=None):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as opened:
        for number, member in enumerate(members):
            opened.writestr(names[number] if names else f"{number}.npy", member)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(3),
        np.zeros((0, 5)),
        np.array([True, False]),
        np.array([1 + 2j, np.nan]),
        np.arange(10, dtype=">i4")[::2],
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_come_back_as_they_went(array):
    header, arrays = protocol.unpack(
        payload_of(protocol.pack_message({"a": [1, "ü"]}, {"one": array, "x": array}))
    )
    assert header == {"a": [1, "ü"]} and list(arrays) == ["one", "x"]
    for back in arrays.values():
        assert back.dtype == array.dtype and back.flags.writeable
        np.testing.assert_array_equal(back, array)


ONE = npy("<f8", (2,), bytes(16))
REFUSED = {
    "nothing": b"",
    "three bytes": b"\0\0\0",
    "JSON longer than the message": struct.pack(">I", 100) + b"{}",
    "no JSON": message(b"{'a': 1}"),
    "JSON of another form": message(b"[1]"),
    "JSON that is no text": message(b"\xff\xfe{}"),
    "JSON nested too deeply": message(b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
    "a whole number of a million digits": message(b'{"a": ' + b"1" * 10**6 + b"}"),
    "names that are no texts": message(b'{"arrays": [1]}', archive(ONE)),
    "names that are no list": message(b'{"arrays": "a"}', archive(ONE)),
    "a name twice": message(b'{"arrays": ["a", "a"]}', archive(ONE, ONE)),
    "fewer names than arrays": message(b'{"arrays": []}', archive(ONE)),
    "no archive": message(body=b""),
    "half an archive": message(b'{"arrays": ["a"]}', archive(ONE)[:-10]),
    "a compressed archive": message(b'{"arrays": ["a"]}', archive(ONE, compression=8)),
    "another file": message(b'{"arrays": ["a"]}', archive(ONE, names=["../../etc/passwd"])),
    "too many arrays": message(
        json.dumps({"arrays": [str(i) for i in range(300)]}).encode(), archive(*[ONE] * 300)
    ),
    "objects": message(
        b'{"arrays": ["a"]}', archive(npy("|O", (1,), pickle.dumps(np.array([{}]))))
    ),
    "text": message(b'{"arrays": ["a"]}', archive(npy("<U4", (1,), bytes(16)))),
    "dates": message(b'{"arrays": ["a"]}', archive(npy("<M8[s]", (1,), bytes(8)))),
    "records": message(b'{"arrays": ["a"]}', archive(npy([("a", "<f8")], (1,), bytes(8)))),
    "a shape beyond the data": message(
        b'{"arrays": ["a"]}', archive(npy("<f8", (10**12,), bytes(16)))
    ),
    "a negative shape": message(b'{"arrays": ["a"]}', archive(npy("<f8", (-2,), bytes(16)))),
    "a shape that overflows": message(
        b'{"arrays": ["a"]}', archive(npy("<f8", (2**62, 4), bytes(0)))
    ),
    "a shape of fractions": message(b'{"arrays": ["a"]}', archive(npy("<f8", (2.0,), bytes(16)))),
    "an empty array with a message in its shape": message(
        b'{"arrays": ["a"]}', archive(npy("<f8", (0, 10**15), b""))
    ),
    "too many dimensions": message(b'{"arrays": ["a"]}', archive(npy("<f8", (1,) * 40, bytes(8)))),
    "another version": message(
        b'{"arrays": ["a"]}', archive(npy("<f8", (2,), bytes(16), b"\x09\0"))
    ),
    "a header that is code": message(
        b'{"arrays": ["a"]}', archive(b"\x93NUMPY\1\0\x10\0__import__('os')" + bytes(16))
    ),
}


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED)
def test_what_keeps_no_agreement_is_refused(payload):
    with pytest.raises(protocol.ProtocolError):
        protocol.unpack(payload)


def test_frames_of_another_form_or_size_are_refused():
    for data in (b"HTTP/1.1 200 OK\r\n", protocol.FRAME.pack(protocol.MAGIC, 2**60)):
        with pytest.raises(protocol.ProtocolError):
            protocol.read_frame(io.BytesIO(data).read)
    with pytest.raises(EOFError):
        protocol.read_frame(io.BytesIO(protocol.frame(b"abc")[:-1]).read)


def test_bombs_cost_little():
    json_bomb = message(b'{"a": [' + b"[]," * 10**6 + b"[]]}")
    listed = b"".join(b"PK\1\2" + bytes(42) for _ in range(10**5))  # an empty member each
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2**16 - 1, 2**16 - 1, len(listed), 0, 0)
    directory = message(b"{}", listed + end)
    large = struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 1, 1, len(listed), 0, 0)
    for bomb in (json_bomb, directory, message(b"{}", listed + large)):
        tracemalloc.start()
        began = time.process_time()
        with pytest.raises(protocol.ProtocolError):
            protocol.unpack(bomb, protocol.MAX_JSON)
        assert time.process_time() - began < 0.5
        assert tracemalloc.get_traced_memory()[1] < 3 * len(bomb)
        tracemalloc.stop()


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_and_changed_messages_raise_only_wire_errors(seed):
    rng = np.random.default_rng(seed)
    good = payload_of(
        protocol.pack_message({"kinds": {"a": "number"}}, {"a": np.eye(3), "b": np.array(1)})
    )
    for _ in range(200):
        changed = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 6)):
            changed[place] = rng.integers(256)
        for data in (bytes(changed), good[: rng.integers(len(good))], rng.bytes(200)):
            try:
                header, arrays = protocol.unpack(data)
            except protocol.ProtocolError:
                continue
            assert isinstance(header, dict)
            assert all(a.dtype.kind in "biufc" and a.nbytes <= len(good) for a in arrays.values())


# --- the judge, when a message is well formed and hostile ---------------------------------------

NOTHING = {
    "kinds": {}, "error": "", "exception": "", "line": 0,
    "unsolved": False, "timed_out": False, "mutated": [],
}  # fmt: skip
TENSOR = "tensor float32 on cpu"
TWO = {"result[0]": TENSOR, "result[1]": TENSOR}
HOSTILE = {
    "nothing said": {},
    "infinite line": {**NOTHING, "error": "x", "line": float("inf")},
    "line that is no number": {**NOTHING, "error": "x", "line": float("nan")},
    "kinds that are a list": {**NOTHING, "kinds": [[[]]]},
    "kinds of kinds": {**NOTHING, "kinds": {"result[0]": {"a": []}, "result[1]": None}},
    "no arrays": {**NOTHING, "kinds": TWO},
    "mutated that is no list": {**NOTHING, "mutated": 3},
    "mutated of dictionaries": {**NOTHING, "kinds": TWO, "mutated": [{}, None]},
    "surrogates": {**NOTHING, "error": "\ud800", "exception": "\ud800"},
    "a name that is no exception": {**NOTHING, "error": "x", "exception": "__import__"},
    "a hidden input as a kind": {**NOTHING, "kinds": {"result": "tensor LEAK on LEAK"}},
    "a hidden input as an exception": {**NOTHING, "error": "LEAK", "exception": "LEAK"},
}
ARRAYS = {
    "bool": lambda shape: np.zeros(shape, bool),
    "bytes for bools": lambda shape: np.full(shape, 7, np.uint8).view(bool),
    "complex": lambda shape: np.full(shape, np.nan * 1j),
    "NaN": lambda shape: np.full(shape, np.nan, np.float32),
    "infinite": lambda shape: np.full(shape, -np.inf, np.float32),
    "byte-swapped": lambda shape: np.ones(shape, ">f4"),
    "long double": lambda shape: np.ones(shape, np.longdouble),
    "unsigned": lambda shape: np.full(shape, 2**64 - 1, np.uint64),
    "half": lambda shape: np.full(shape, 6e4, np.float16),
    "float32": lambda shape: np.full(shape, 3e38, np.float32),
    "empty": lambda shape: np.zeros((0, *shape), np.float32),
    "0-d": lambda shape: np.array(1.0, np.float32),
    "large": lambda shape: np.zeros((1000, 1000), np.float32),
}


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.filterwarnings("ignore")
def test_the_judge_survives_every_message(said, make):
    case = FIT.cases(1)[0]
    for kinds in (said.get("kinds"), TWO, {"result[0]": "number", "result[1]": TENSOR}):
        header = {**said, "kinds": kinds} if said else {}
        outcome = _outcome(FIT, header, {"result[0]": make((2,)), "result[1]": make((2, 2))})
        (verdict,) = assess(FIT, [case], [outcome])
        assert not verdict.passed
        assert verdict.sentence.isprintable() and "LEAK" not in verdict.sentence


def test_the_judge_passes_an_honest_message():
    case = FIT.cases(1)[0]
    right = run(FIT, FIT.reference, case)
    outcome = _outcome(FIT, {**NOTHING, "kinds": dict(right.kinds)}, dict(right.arrays))
    assert assess(FIT, [case], [outcome])[0].passed
