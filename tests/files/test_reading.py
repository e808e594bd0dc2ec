"""Reading files that somebody else wrote."""

import os
import threading

import pytest

from medveil.errors import IntegrityError
from medveil.files.reading import read_regular


def test_a_regular_file_of_the_right_length_is_read(tmp_path):
    path = tmp_path / "x"
    for content in (b"", b"abc", b"x" * 10):
        path.write_bytes(content)
        assert read_regular(path, limit=10, what="record") == content
    link = tmp_path / "link"
    link.symlink_to(path)
    assert read_regular(link, limit=10, what="record") == b"x" * 10


def test_a_missing_file_is_left_to_the_caller(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", limit=10, what="record")


def test_a_long_file_is_not_read(tmp_path):
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(6 << 30)  # sparse
    with pytest.raises(IntegrityError, match="record is longer than 64 bytes"):
        read_regular(path, limit=64, what="record")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_or_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found = []

    def read(path):
        try:
            read_regular(path, limit=64, what="record")
        except IntegrityError as error:
            found.append(error.message)

    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        thread = threading.Thread(target=read, args=(path,), daemon=True)
        thread.start()
        thread.join(10)
    assert found == ["the record is not a regular file"] * 3


def test_what_cannot_be_opened_is_an_integrity_error(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (tmp_path / "file" / "below", loop, tmp_path / "a\0b"):
        with pytest.raises(IntegrityError, match="the record cannot be read"):
            read_regular(path, limit=64, what="record")
