"""Files that are written whole or not at all."""

import os
import stat
import sys

import pytest

from course_lib.files import write_whole


@pytest.mark.parametrize(
    "content", ["grün\n", "grün\n".encode(), lambda file: file.write("grün\n".encode())]
)
def test_text_bytes_or_a_function(tmp_path, content):
    write_whole(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == "grün\n".encode()
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_the_old_file(tmp_path):
    write_whole(tmp_path / "file", "old")

    def broken(file):
        file.write(b"half of the n")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_whole(tmp_path / "file", broken)
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize(("private", "mode"), [(False, 0o640), (True, 0o600)])
def test_who_may_read_it(tmp_path, private, mode):
    mask = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", "text", private=private)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
