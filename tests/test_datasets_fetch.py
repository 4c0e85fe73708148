"""Fetching data: every fault ends in one clear sentence, and the cache never holds a broken file.

The servers are real ones on loopback, and so are the processes, the full disk and the read-only one.
"""

import gzip
import hashlib
import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from course_lib import datasets
from course_lib.datasets import fetch, images
from course_lib.datasets.registry import Remote, RemoteFile

ROOT = Path(__file__).parents[1]
CONTENT = np.random.default_rng(0).bytes(300_000)
PAGE = b"\n<!DOCTYPE html><html><body>Please sign in.</body></html>"
STATUS = {"403": 403, "404": 404, "500": 500}

pytestmark = pytest.mark.network


class Handler(http.server.BaseHTTPRequestHandler):
    """The first folder of the address says how the server behaves."""

    def do_GET(self):
        place = self.path.split("/")[1]
        asked = self.headers.get("Range")
        self.server.seen.append((place, asked))
        content = {"wrong": b"x" * len(CONTENT), "cut": CONTENT[:100_000]}.get(place, CONTENT)
        if self.path.startswith("http:"):  # we are taken for a proxy
            return self.send(200, PAGE)
        if place in STATUS:
            return self.send(STATUS[place], b"<html>no</html>")
        if place == "page":
            return self.send(200, PAGE)
        if place == "silent":
            return self.server.over.wait()
        if place == "endless":
            return self.send_without_end()
        if place in ("no-range", "cut") or not asked:
            return self.send(200, content, place)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if place == "short":
            return self.send(416, b"")
        return self.send(206, content[start:], place)

    def send(self, status, content, place=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if place in ("truncated", "stalls"):
            self.wfile.write(content[:100_000])
            self.wfile.flush()
            if place == "stalls":
                self.server.over.wait()
        elif place == "drips":  # the rest comes when the test lets it
            self.wfile.write(content[:100_000])
            self.server.go_on.wait()
            self.wfile.write(content[100_000:])
        else:
            self.wfile.write(content)

    def send_without_end(self):
        self.send_response(200)
        self.end_headers()
        try:
            while self.server.sent < 100_000_000:  # should nobody hang up
                self.server.sent += self.wfile.write(CONTENT)
        except ConnectionError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server on loopback; `seen` lists the places and ranges that it was asked for."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen, server.sent = [], 0
        server.over, server.go_on = threading.Event(), threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.over.set()
        server.go_on.set()
        server.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no mirror and no proxy."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", fetch.MIRROR):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "toy"


def offer(monkeypatch, *places, content=CONTENT):
    """Make "toy" the only data set, one file at these places."""
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    file = RemoteFile("toy.bin", digest, len(content))
    toy = Remote("toy", "CC0", "digits", places, {"toy.bin": file})
    monkeypatch.setattr(fetch, "registry", lambda: {"toy": toy})


def get():
    return fetch.fetch("toy", "toy.bin")


def refusal():
    with pytest.raises(datasets.DataError) as caught:
        get()
    return checked(str(caught.value))


def checked(message):
    """What every refusal has: the data set, one sentence, and the way on."""
    assert message.startswith("The data set 'toy' is not at hand: ")
    way_on = "; to go on without it, use datasets.load('digits'), which needs no network."
    assert "; to get it, " in message and message.endswith(way_on)
    assert "\n" not in message and not re.search(r"[.?!] [A-Z]", message)
    return message


def kept(cache):
    return sorted(path.name for path in cache.iterdir() if path.name != ".lock")


# --- when all is well ----------------------------------------------------------------------------


def test_a_file_is_fetched_once(server, cache, monkeypatch):
    offer(monkeypatch, f"{server.url}/good/")
    assert get() == get() == cache / "toy.bin"
    assert get().read_bytes() == CONTENT
    assert server.seen == [("good", None)]
    assert kept(cache) == ["toy.bin"]


def test_a_bar_shows_how_far_it_is_when_somebody_watches(server, monkeypatch, capsys):
    offer(monkeypatch, f"{server.url}/good/")
    monkeypatch.setenv("COURSE_INTERACTIVE", "1")
    get()
    assert "toy.bin:" in capsys.readouterr().err
    monkeypatch.setenv("COURSE_INTERACTIVE", "0")
    monkeypatch.setenv(fetch.CACHE, os.environ[fetch.CACHE] + "2")
    get()
    assert capsys.readouterr().err == ""


# --- what a place can do wrong -------------------------------------------------------------------

FAULTS = {
    "403": ("HTTP 403 Forbidden", "try another network"),
    "404": ("HTTP 404 Not Found", "newer version of the course"),
    "500": ("HTTP 500 Internal Server Error", "try again later"),
    "silent": ("no answer in time", "to get it, check the connection, or try again later"),
    "stalls": ("nothing more came after ", "goes on where it stopped"),
    "truncated": ("the download broke off after ", "goes on where it stopped"),
    "cut": ("the download broke off after 100,000 of 300,000", "goes on where it stopped"),
    "wrong": ("another file, its hash differs", "try again later"),
    "endless": ("another file, its hash differs", "try again later"),
    "page": ("a web page came in place of the file", "sign in to the network or its proxy"),
}


@pytest.mark.parametrize("place", FAULTS)
def test_a_fault_is_told_and_leaves_no_broken_file(place, server, cache, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (0.3, 0.3))
    url = f"{server.url}/{place}/"
    offer(monkeypatch, url)
    reason, remedy = FAULTS[place]
    message = refusal()
    assert f"toy.bin (0.3 MB) was asked of {url} (" in message
    assert reason in message and remedy in message
    assert f"or set {fetch.MIRROR} to a folder that holds toy/toy.bin" in message
    assert server.sent < 20_000_000  # what the sockets hold, and not all that is sent
    assert len(server.seen) == 1  # no loop of retries
    assert not (cache / "toy.bin").exists()
    if place not in ("stalls", "truncated", "cut"):
        assert kept(cache) == []
    else:  # what is right so far is kept, under a name that says what it is
        assert kept(cache) == ["toy.bin.part"]
        part = (cache / "toy.bin.part").read_bytes()
        assert part and CONTENT.startswith(part)
        assert f"after {len(part):,} of 300,000 bytes" in message


@pytest.mark.parametrize("place", FAULTS)
def test_after_any_fault_the_next_place_is_tried_and_the_next_call_works(
    place, server, cache, monkeypatch
):
    monkeypatch.setattr(fetch, "TIMEOUT", (0.3, 0.3))
    offer(monkeypatch, f"{server.url}/{place}/", f"{server.url}/good/")
    assert get().read_bytes() == CONTENT
    assert [asked for asked, _ in server.seen] == [place, "good"]
    assert kept(cache) == ["toy.bin"]


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_without_a_network(cache, monkeypatch):
    place = f"http://127.0.0.1:{closed_port()}/"
    offer(monkeypatch, place)
    message = refusal()
    assert f"asked of {place} (no connection to the server)" in message
    assert "check the network connection and try again" in message
    assert kept(cache) == []


def test_a_name_that_no_dns_knows(cache, monkeypatch):
    offer(monkeypatch, "http://nowhere.invalid/")  # reserved for this, RFC 2606
    message = refusal()
    assert "asked of http://nowhere.invalid/ (the server's name cannot be found)" in message
    assert "check the network connection" in message


def test_a_connection_that_is_not_safe(server, cache, monkeypatch):
    offer(monkeypatch, f"https://127.0.0.1:{server.server_port}/good/")
    assert "(no safe connection (https) could be made); to get it, sign in" in refusal()
    assert kept(cache) == []


def test_every_place_is_named_with_its_reason(server, monkeypatch):
    offer(monkeypatch, f"{server.url}/404/", f"{server.url}/500/")
    message = refusal()
    assert (
        f"of {server.url}/404/ (HTTP 404 Not Found) and of {server.url}/500/ (HTTP 500" in message
    )


def test_a_proxy_that_wants_a_password_first(server, cache, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    offer(monkeypatch, "http://data.example/")
    assert "http://data.example/ (a web page came in place of the file)" in refusal()
    assert kept(cache) == []


# --- interrupted -----------------------------------------------------------------------------------


def test_a_download_goes_on_where_it_stopped(server, cache, monkeypatch):
    offer(monkeypatch, f"{server.url}/truncated/")
    refusal()
    there = (cache / "toy.bin.part").stat().st_size
    offer(monkeypatch, f"{server.url}/page/")
    refusal()  # and a page in between costs nothing
    offer(monkeypatch, f"{server.url}/good/")
    assert get().read_bytes() == CONTENT
    resumed = f"bytes={there}-"
    assert server.seen == [("truncated", None), ("page", resumed), ("good", resumed)]
    assert kept(cache) == ["toy.bin"]


def test_a_server_without_ranges_starts_from_the_beginning(server, cache, monkeypatch):
    offer(monkeypatch, f"{server.url}/no-range/")
    cache.mkdir(parents=True)
    (cache / "toy.bin.part").write_bytes(CONTENT[:1000])
    assert get().read_bytes() == CONTENT
    assert server.seen == [("no-range", "bytes=1000-")]


def test_a_spoilt_beginning_is_not_gone_on_with_for_ever(server, cache, monkeypatch):
    offer(monkeypatch, f"{server.url}/good/")
    cache.mkdir(parents=True)
    (cache / "toy.bin.part").write_bytes(b"x" * 1000)
    assert get().read_bytes() == CONTENT
    assert server.seen == [("good", "bytes=1000-"), ("good", None)]


def test_a_beginning_that_the_server_does_not_have_is_dropped(server, cache, monkeypatch):
    offer(monkeypatch, f"{server.url}/short/", f"{server.url}/good/")
    cache.mkdir(parents=True)
    (cache / "toy.bin.part").write_bytes(CONTENT[:1000])
    assert get().read_bytes() == CONTENT
    assert server.seen == [("short", "bytes=1000-"), ("good", None)]


def test_a_spoilt_file_in_the_cache_is_fetched_again(server, cache, monkeypatch):
    cache.mkdir(parents=True)
    (cache / "toy.bin").write_bytes(b"x" + CONTENT[1:])
    offer(monkeypatch, f"{server.url}/500/")
    refusal()
    assert kept(cache) == []
    offer(monkeypatch, f"{server.url}/good/")
    assert get().read_bytes() == CONTENT


# --- other processes -------------------------------------------------------------------------------

CHILD = """
import hashlib, sys
connected = []
sys.addaudithook(lambda event, _: connected.append(event) if event == "socket.connect" else None)
from course_lib.datasets import DataError, fetch
from course_lib.datasets.registry import Remote, RemoteFile
assert not connected, "nothing is fetched by importing"
place, digest = sys.argv[1:]
file = RemoteFile("toy.bin", digest, 300_000)
fetch.registry = lambda: {"toy": Remote("toy", "CC0", "digits", (place,), {"toy.bin": file})}
try:
    print(hashlib.sha256(fetch.fetch("toy", "toy.bin").read_bytes()).hexdigest())
except DataError as error:
    print(error)
"""
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def child(place, *before):
    """Another process that fetches "toy" from `place` into the same cache."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", CHILD, place, f"sha256:{DIGEST}"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_download_leaves_nothing_broken_and_is_gone_on_with(server, cache, monkeypatch):
    part = cache / "toy.bin.part"
    process = child(f"{server.url}/drips/")
    until(lambda: part.exists() and part.stat().st_size > 0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    there = part.stat().st_size
    assert 0 < there <= 100_000 and CONTENT.startswith(part.read_bytes())
    assert not (cache / "toy.bin").exists()
    offer(monkeypatch, f"{server.url}/good/")
    assert get().read_bytes() == CONTENT
    assert server.seen == [("drips", None), ("good", f"bytes={there}-")]
    assert kept(cache) == ["toy.bin"]


def test_two_processes_at_once_fetch_it_once(server, cache):
    both = [child(f"{server.url}/drips/") for _ in range(2)]
    until(lambda: server.seen)
    time.sleep(0.5)  # for the second to come as far
    server.go_on.set()
    assert [process.communicate()[0].strip() for process in both] == [DIGEST, DIGEST]
    assert server.seen == [("drips", None)]
    assert kept(cache) == ["toy.bin"]


def test_another_process_that_never_ends(server, cache, monkeypatch):
    offer(monkeypatch, f"{server.url}/good/")
    monkeypatch.setattr(fetch, "PATIENCE", 0.2)
    cache.mkdir(parents=True)
    with FileLock(cache / ".lock"):
        message = refusal()
    assert f"another process has been fetching it into {cache} for" in message
    assert "to get it, wait for it or end it, and try again" in message
    assert server.seen == []


# --- the cache -------------------------------------------------------------------------------------


def test_a_full_disk(server, bubblewrap, tmp_path):
    disk = tmp_path / "cache"
    disk.mkdir()
    room = [
        bubblewrap,
        "--bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--size",
        "200000",
        "--tmpfs",
        str(disk),
    ]
    message = checked(child(f"{server.url}/good/", *room).communicate()[0].strip())
    assert (
        f"the disk is full: toy.bin needs 0.3 MB in {disk / 'toy'} and 0.2 MB are free" in message
    )
    assert f"make room or set {fetch.CACHE}" in message


def test_a_read_only_cache(server, bubblewrap, tmp_path):
    (tmp_path / "cache").mkdir()
    room = [bubblewrap, "--ro-bind", "/", "/", "--dev", "/dev"]
    message = checked(child(f"{server.url}/good/", *room).communicate()[0].strip())
    assert f"cannot be written to the cache {tmp_path / 'cache' / 'toy'} (Read-only" in message
    assert f"set {fetch.CACHE} to a folder in which you may write" in message
    assert server.seen == []


def test_a_full_read_only_cache_is_read(server, cache, monkeypatch):
    """As an instructor may set up for a class: nothing is written when all is there."""
    offer(monkeypatch, f"{server.url}/good/")
    get()
    (cache / ".lock").unlink(missing_ok=True)
    before = sorted(cache.iterdir())
    assert get().read_bytes() == CONTENT
    assert sorted(cache.iterdir()) == before


def test_a_cache_that_is_no_folder(server, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    offer(monkeypatch, f"{server.url}/good/")
    assert f"set {fetch.CACHE} to a folder" in refusal()


# --- mirrors ---------------------------------------------------------------------------------------


def test_a_mirror_folder_is_read_where_it_lies(server, cache, tmp_path, monkeypatch):
    offer(monkeypatch, f"{server.url}/good/")
    monkeypatch.setenv(fetch.MIRROR, str(tmp_path / "mirror"))
    path = tmp_path / "mirror" / "toy" / "toy.bin"
    message = refusal()
    assert f"{path}, where {fetch.MIRROR} points, does not exist" in message
    assert f"put toy.bin from {server.url}/good/ there, or unset {fetch.MIRROR}" in message
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    assert "is another file than the publisher's" in refusal()
    path.write_bytes(CONTENT)
    assert get() == path
    assert server.seen == [] and not cache.exists()


def test_a_cache_carried_elsewhere_is_a_mirror(server, cache, tmp_path, monkeypatch):
    offer(monkeypatch, f"{server.url}/good/")
    path = get()
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "elsewhere"))
    monkeypatch.setenv(fetch.MIRROR, str(cache.parent))
    assert get() == path and len(server.seen) == 1


def test_a_mirror_on_the_web_stands_in_for_every_place(server, cache, monkeypatch):
    offer(monkeypatch, f"{server.url}/404/")
    monkeypatch.setenv(fetch.MIRROR, f"{server.url}/good")
    assert get() == cache / "toy.bin"
    assert server.seen == [("good", None)]


# --- the files ---------------------------------------------------------------------------------------


def idx(array):
    shape = np.array(array.shape, ">u4").tobytes()
    return gzip.compress(b"\0\0\x08" + bytes([array.ndim]) + shape + array.tobytes())


def test_idx_files_are_read_as_they_are_defined(tmp_path):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx(array))
    np.testing.assert_array_equal(images.read_idx(tmp_path / "a"), array)
    (tmp_path / "b").write_bytes(gzip.compress(b"\0\0\x0d\1" + b"\0" * 8))
    with pytest.raises(ValueError, match="not an IDX file"):
        images.read_idx(tmp_path / "b")


def test_the_official_parts_and_the_small_split(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    sizes = {"train": 50, "t10k": 10_000}
    arrays = {}
    for part, n in sizes.items():
        arrays[part] = rng.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % 10).astype("u1")
        for kind, array in zip(("images-idx3", "labels-idx1"), arrays[part], strict=True):
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(idx(array))
    asked = []
    monkeypatch.setattr(images, "fetch", lambda _, file: asked.append(file) or tmp_path / file)
    small = datasets.load("mnist", split="10k")
    assert asked == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert (len(small.train.x), len(small.held_out.x)) == (8000, 2000)
    assert np.bincount(small.held_out.y).tolist() == [200] * 10
    assert str(datasets.load("fashion_mnist", "60k")).startswith("fashion_mnist: 50 to train")
    whole = datasets.load("mnist")
    assert whole.train.x.shape == (50, 28, 28)
    np.testing.assert_array_equal(whole.held_out.x, arrays["t10k"][0])
    np.testing.assert_array_equal(whole.train.y, arrays["train"][1])
    assert (whole.train.x.dtype, whole.train.y.dtype) == (np.float32, np.int64)

    def no_training_images(_, file):
        if file.startswith("train"):
            raise datasets.DataError("Not at hand.")
        return tmp_path / file

    monkeypatch.setattr(images, "fetch", no_training_images)
    with pytest.raises(datasets.DataError, match=r"load\('mnist', split='10k'\) works"):
        datasets.load("mnist")


def test_the_x_rays_are_read_and_a_pickle_never(tmp_path, monkeypatch):
    path = tmp_path / "pneumoniamnist.npz"
    monkeypatch.setattr(images, "fetch", lambda *_: path)
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 5), ("val", 3), ("test", 4)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        arrays[f"{part}_labels"] = rng.integers(0, 2, (n, 1), np.uint8)
    np.savez(path, **arrays)
    data = datasets.load("pneumonia_mnist")
    assert data.train.x.shape == (8, 28, 28) and data.held_out.y.shape == (4,)
    both = np.concatenate([arrays["train_labels"], arrays["val_labels"]]).ravel()
    np.testing.assert_array_equal(data.train.y, both)
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int64)
    np.savez(path, **arrays | {"val_labels": np.array([{}, {}, {}], object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        datasets.load("pneumonia_mnist")


def test_splits_that_there_are_not():
    with pytest.raises(ValueError, match=r"no split of mnist called '1k'.* Known: '60k', '10k'"):
        datasets.load("mnist", split="1k")
    with pytest.raises(ValueError, match=r"digits has one split only: write datasets.load"):
        datasets.load("digits", split="10k")
